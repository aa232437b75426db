// claude.mjs -- the real Claude Code, headless, in a folder of its own.
//
// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync,
	writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const claude = process.env.CLAUDE;
const root = mkdtempSync(join(tmpdir(), 'claudecodex-claude-'));
let serial = 0;

export const KEY = 'sk-ant-client-key-0123456789';

/* What a client leaves running, to send its telemetry or to clean up, knows
 * its home, and would write into it while it is removed. */
function reap() {
	for (const pid of readdirSync('/proc').filter((n) => /^\d+$/.test(n)))
		try {
			if (readFileSync(`/proc/${pid}/environ`, 'latin1')
				.includes(`HOME=${root}/`))
				process.kill(Number(pid), 'SIGKILL');
		} catch {
			/* It ended by itself. */
		}
}

process.on('exit', () => {
	let trouble;

	/* A killed process may still end a call that it is in. */
	for (let i = 0; i < 20; i++)
		try {
			reap();
			return rmSync(root, { recursive: true, force: true });
		} catch (e) {
			trouble = e;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
		}
	console.error(`${root} couldn't be removed: ${trouble.message}`);
});

export function project(files = {}) {
	const dir = join(root, `p${++serial}`);
	const work = join(dir, 'work');

	mkdirSync(join(dir, 'home'), { recursive: true });
	mkdirSync(work);
	for (const [name, content] of Object.entries(files))
		writeFileSync(join(work, name), content);
	return { home: join(dir, 'home'), work };
}

// What went wrong is best seen in what it printed.
function outcome(out, err, code, signal, began) {
	const events = out.split('\n').filter(Boolean).map((l) => {
		try {
			return JSON.parse(l);
		} catch {
			return { type: 'text', l };
		}
	});

	return { code, signal, err, events, ms: Date.now() - began,
		result: events.findLast((e) => e.type === 'result'),
		blocks: events.filter((e) => e.type === 'assistant')
			.flatMap((e) => e.message.content) };
}

// What the README tells to export, and nothing of ours.
const environment = (url, { home }) => ({ HOME: home, PATH: process.env.PATH,
	TMPDIR: home, LANG: 'C.UTF-8', IS_SANDBOX: '1', DISABLE_AUTOUPDATER: '1',
	ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: KEY,
	CLAUDE_CODE_GATEWAY_HINT_HEADERS: '1' });

// { child, ended }: ended gives { code, events, result, blocks ... }. With no
// prompt its input stays open, for messages line by line.
export function start(url, p, prompt, { args = [], env = {},
	tools = ['Bash', 'Read', 'Write', 'Edit'], ms = 60000 } = {}) {
	const child = spawn(claude, ['-p', '--output-format', 'stream-json',
		'--verbose', '--include-partial-messages',
		...(tools.length ? ['--allowedTools', ...tools] : []), ...args], {
		cwd: p.work, env: { ...environment(url, p),
			CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', ...env } });
	const ended = new Promise((done, fail) => {
		const began = Date.now();
		const timer = setTimeout(() => child.kill('SIGKILL'), ms);
		let out = '', err = '';

		if (prompt !== null)
			child.stdin.end(prompt);
		child.stdout.setEncoding('utf8');
		child.stdout.on('data', (d) => out += d);
		child.stderr.on('data', (d) => err += d);
		child.on('error', fail);
		child.on('close', (code, signal) => {
			clearTimeout(timer);
			done(outcome(out, err, code, signal, began));
		});
	});

	return { child, ended };
}

export function run(...a) {
	return start(...a).ended;
}

// What a first start would ask.
function settle({ home, work }) {
	writeFileSync(join(home, '.claude.json'), JSON.stringify({
		hasCompletedOnboarding: true, theme: 'dark',
		customApiKeyResponses: { approved: [KEY.slice(-20)], rejected: [] },
		projects: { [work]: { hasTrustDialogAccepted: true,
			hasCompletedProjectOnboarding: true } } }));
}

// The client on a terminal, as a person has it; script(1) makes the terminal.
export class Screen {
	constructor(stage, url, p, { args = [], env = {} } = {}) {
		this.out = '';
		settle(p);
		this.child = spawn('script', ['-qfec', `stty cols 120 rows 50; exec ${
			[claude, ...args].join(' ')}`, '/dev/null'], { cwd: p.work,
			env: { ...environment(url, p), TERM: 'xterm-256color', ...env } });
		this.child.stdout.setEncoding('utf8');
		this.child.stdout.on('data', (d) => this.out += d);
		this.ended = new Promise((r) => this.child.on('close', r));
		stage.keep({ close: () => this.child.kill('SIGKILL') });
	}
	/* Without colours and spaces: those are cursor movements. */
	get text() {
		return this.out.replace(/\x1b\[[0-9;?>]*[ -/]*[@-~]/g, '')
			.replace(/\x1b\][^\x07]*\x07/g, '').replace(/\s+/g, '');
	}
	async sees(what, ms = 10000) {
		const end = Date.now() + ms;

		while (!this.text.includes(what.replace(/\s+/g, ''))) {
			if (Date.now() > end)
				throw new Error(`not on the screen: ${what}\n${
					this.text.slice(-3000)}`);
			await sleep(20);
		}
		await sleep(300);	/* until it takes keys */
	}
	async type(text) {
		this.out = '';
		this.child.stdin.write(text);
		await sleep(300);	/* else the key counts as pasted */
		this.child.stdin.write('\r');
	}
	key(k) {
		this.out = '';
		this.child.stdin.write(k);
	}
}

// Stands between the client and the proxy and keeps what was said.
export async function tap(stage, target) {
	const got = [];
	const { hostname, port } = new URL(target);
	const server = http.createServer(async (req, res) => {
		const parts = [];

		for await (const part of req)
			parts.push(part);
		const text = Buffer.concat(parts).toString();
		const entry = { method: req.method, url: req.url,
			headers: req.headers, text, answer: '' };
		got.push(entry);
		const on = http.request({ hostname, port, method: req.method,
			path: req.url, headers: req.headers }, (back) => {
			entry.status = back.statusCode;
			entry.reply = back.headers;
			res.writeHead(back.statusCode, back.headers);
			back.on('data', (d) => {
				entry.answer += d.toString('latin1');
				res.write(d);
			});
			back.on('end', () => res.end());
			back.on('error', () => res.destroy());
		});
		on.on('error', () => res.destroy());
		res.on('close', () => on.destroy());
		on.end(text);
	});

	await new Promise((r) => server.listen(0, '127.0.0.1', r));
	stage.keep({ close: () => {
		server.closeAllConnections();
		server.close();
	} });
	return { got, url: `http://127.0.0.1:${server.address().port}` };
}

export const MODELS = { openai: 'gpt-5.1', gemini: 'gemini-3-pro',
	ollama: 'qwen3', vllm: 'Qwen/Qwen3-32B' };

// A proxy in front of an upstream of that shape, or of Anthropic's.
export function target(stage, shape, model, { env, ...more } = {}) {
	return shape === 'anthropic' ? stage.passing(model, KEY, env) :
		stage.pair(shape, model, MODELS[shape], { env, ...more });
}
