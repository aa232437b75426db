// claude-code.mjs -- the real Claude Code, headless, through the proxy, doing
// a job of several steps against strict upstreams of four kinds.
//
// The model's script: read two files at once, write a third from what the
// results said, edit it, report. Its job is done only if every result came
// back whole, so the files and the last line prove the round trips.
//
// SPDX-License-Identifier: MIT
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync,
	writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, scenario, summary } from './harness.mjs';

const claude = process.env.CLAUDE;
const root = mkdtempSync(join(tmpdir(), 'claudecodex-claude-'));
let serial = 0;

// What JSON, shells and terminals stumble over.
const TRICKY = 'tab\there "quoted" back\\slash \u00fc \u6f22 \ud83d\ude42 </x> $HOME %s';

export function project() {
	const dir = join(root, `p${++serial}`);

	mkdirSync(join(dir, 'home'), { recursive: true });
	mkdirSync(join(dir, 'work'));
	writeFileSync(join(dir, 'work', 'a.txt'), `alpha ${TRICKY}\n`);
	writeFileSync(join(dir, 'work', 'b.txt'), 'the number is 4711\n');
	return { home: join(dir, 'home'), work: join(dir, 'work') };
}

// Runs it to its end; the events of --output-format stream-json.
export function run(url, { home, work }, prompt, { args = [], env = {},
	ms = 90000 } = {}) {
	return new Promise((done, fail) => {
		const child = spawn(claude, ['-p', '--output-format', 'stream-json',
			'--verbose', '--include-partial-messages', '--allowedTools',
			'Bash', 'Read', 'Write', 'Edit', ...args], { cwd: work,
			env: { HOME: home, PATH: process.env.PATH, LANG: 'C.UTF-8',
				IS_SANDBOX: '1', DISABLE_AUTOUPDATER: '1',
				ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: 'sk-ant-client-key',
				CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
				CLAUDE_CODE_GATEWAY_HINT_HEADERS: '1', ...env } });
		const began = Date.now();
		const timer = setTimeout(() => child.kill('SIGKILL'), ms);
		let out = '', err = '';

		child.stdin.end(prompt);
		child.stdout.on('data', (d) => out += d);
		child.stderr.on('data', (d) => err += d);
		child.on('error', fail);
		child.on('close', (code, signal) => {
			clearTimeout(timer);
			const events = out.split('\n').filter(Boolean).map((l) => {
				try {
					return JSON.parse(l);
				} catch {
					return { type: 'text', l };
				}
			});
			done({ code, signal, err, events, ms: Date.now() - began,
				result: events.find((e) => e.type === 'result'),
				blocks: events.filter((e) => e.type === 'assistant')
					.flatMap((e) => e.message.content) });
		});
	});
}

// ---- the scripted model ----

function textOf(content) {
	return typeof content === 'string' ? content :
		(content ?? []).map((p) => p.text ?? '').join('\n');
}

// The job's folder, and the conversation since it was given.
export function jobOf(body) {
	for (const [i, m] of body.messages.entries()) {
		const dir = m.role === 'user' &&
			/JOB\[([^\]]+)\]/.exec(textOf(m.content))?.[1];
		if (dir)
			return { dir, since: body.messages.slice(i + 1) };
	}
	return null;
}

export function results(since) {
	const last = since.findLastIndex((m) => m.role === 'assistant');

	return since.slice(last + 1).filter((m) => m.role === 'tool')
		.map((m) => textOf(m.content));
}

function step(first) {
	return (body) => {
		const job = jobOf(body);
		if (!job)
			return { text: 'Nothing to do.' };
		const { dir, since } = job;
		const got = results(since);
		const turn = since.filter((m) => m.tool_calls).length;

		switch (turn) {
		case 0:
			return { reasoning: 'Two files, so both at once.',
				text: 'Reading both files.', calls: first(dir) };
		case 1: {
			if (got.length !== 2 || !got[0].includes(TRICKY))
				return { text: `BROKEN results: ${JSON.stringify(got)}` };
			const n = /number is (\d+)/.exec(got[1])?.[1];
			return { reasoning: `The number is ${n}.`, calls: [{
				name: 'Write', args: { file_path: `${dir}/out.txt`,
					content: `number=${n}\n${TRICKY}\nlast line\n` } }] };
		}
		case 2:
			return { text: 'Now the edit.', calls: [{ name: 'Edit', args: {
				file_path: `${dir}/out.txt`, old_string: 'last line',
				new_string: `edited "line" \\ ${TRICKY}` } }] };
		default:
			return { reasoning: 'All done.', text: got.length === 1 ?
				`JOB DONE \u2713 ${TRICKY}` : `BROKEN: ${got.length} results` };
		}
	};
}

const readBoth = (dir) => [
	{ name: 'Read', args: { file_path: `${dir}/a.txt` } },
	{ name: 'Read', args: { file_path: `${dir}/b.txt` } }];
const bashAndRead = (dir) => [
	{ name: 'Bash', args: { command: `cat ${dir}/a.txt`,
		description: 'Show a.txt' } },
	{ name: 'Read', args: { file_path: `${dir}/b.txt` } }];

export const prompt = (p) => `Read a.txt and b.txt, write out.txt, edit it. JOB[${p.work}]`;

function checkJob(p, r) {
	assert.equal(r.code, 0, `exit ${r.code} ${r.signal}: ${r.err}\n${
		JSON.stringify(r.result)}`);
	assert.equal(r.result.result, `JOB DONE \u2713 ${TRICKY}`);
	assert.equal(r.result.is_error, false);
	assert.equal(readFileSync(join(p.work, 'out.txt'), 'utf8'),
		`number=4711\n${TRICKY}\nedited "line" \\ ${TRICKY}\n`);
}

// ---- scenarios ----

const SHAPES = [
	['openai', 'gpt-5.1', bashAndRead, false],
	['gemini', 'gemini-3-pro', readBoth, false],
	['ollama', 'qwen3', readBoth, true],
	['vllm', 'Qwen/Qwen3-32B', bashAndRead, true],
];

for (const [shape, name, first, reasons] of SHAPES)
	await scenario(`claude code, a job of four steps, ${shape}`, async (s) => {
		const p = project();
		const px = await s.pair(shape, step(first), name);
		const r = await run(px.url, p, prompt(p));

		checkJob(p, r);
		assert.deepEqual(s.up.refusals, []);
		const jobs = s.up.chats.filter((c) => jobOf(c.body));
		assert.equal(jobs.length, 4, 'four steps, four requests');
		for (const c of s.up.chats) {
			assert.equal(c.body.model, name);
			assert.equal(c.body.stream, true);
			assert.ok(!JSON.stringify(c).includes('sk-ant-client-key'),
				'the client\'s key went upstream');
			assert.ok(!JSON.stringify(c.body).includes('x-anthropic-billing'));
		}
		/* Both calls in one assistant message, both results behind it. */
		const { since } = jobOf(jobs[1].body);
		const at = since.findIndex((m) => m.tool_calls);
		assert.equal(since[at].tool_calls.length, 2);
		assert.deepEqual(since.slice(at + 1, at + 3).map((m) => m.tool_call_id),
			since[at].tool_calls.map((t) => t.id));
		if (shape === 'gemini')
			assert.equal(JSON.stringify(s.up.chats).includes('skip_thought'),
				false, 'a signature was lost');
		/* Prefix caches need the same bytes again. */
		for (let i = 1; i < jobs.length; i++) {
			assert.deepEqual(jobs[i].body.tools.slice(0, jobs[0].body.tools.length),
				jobs[0].body.tools);
			assert.deepEqual(jobs[i].body.messages.slice(0, 2),
				jobs[0].body.messages.slice(0, 2));
		}
		assert.equal(r.blocks.some((b) => b.type === 'thinking'), reasons);
		/* The console and the log tell the same story. */
		const { begin, end } = px.lines;
		assert.equal(end.length, begin.length);
		assert.ok(begin.length >= 4);
		assert.equal(end.filter((l) => /calls (Read|Bash) Read/.test(l)).length, 1);
		assert.ok(end.some((l) => /200 tool_use.*calls Write/.test(l)), end);
		const log = px.log;
		const chats = log.filter((l) => l.class !== 'count');
		assert.equal(chats.length, s.up.chats.length);
		for (const l of chats) {
			assert.equal(l.outcome, 'done');
			assert.equal(l.class_by, 'hint');
			assert.equal(l.usage_estimated, false);
		}
		assert.ok(chats.some((l) => l.notes?.length), 'no notes');
		assert.ok(!px.console.includes('warning'), px.console);
	});

rmSync(root, { recursive: true, force: true });
summary('claude-code');
