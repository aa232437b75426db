// harness.mjs -- scenarios and the proxy they talk to.
//
// The proxy runs in a folder of its own, with nothing of the caller's
// environment, on a port that it picks itself. A scenario is a name and an
// async function; it fails when that throws. What was started within it ends
// with it, and the proxy's console is shown when it failed.
//
// SPDX-License-Identifier: MIT
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Service } from './service.mjs';
import { Upstream } from './upstream.mjs';

export { assert, sleep };

const binary = resolve(process.env.CLAUDECODEX ?? 'build/claudecodex');
const only = process.env.ONLY;		/* a part of scenarios' names */
const keep = process.env.KEEP;		/* a folder to keep journals in */
/* A folder with nothing but the binary, which then sees nothing else. */
const image = process.env.IMAGE;
const figures = [];
let passed = 0, failed = 0;

const ended = (l, { asked, sent }) => ({
	id: l.id, class: asked['cdx.class'], class_by: asked['cdx.class.by'],
	session: asked['gen_ai.conversation.id'],
	agent: asked['gen_ai.agent.id'], client: asked['cdx.client'],
	model: asked['gen_ai.request.model'],
	served_model: l['gen_ai.response.model'],
	backend: sent?.['cdx.upstream.backend'],
	status: l['http.response.status_code'], outcome: l['cdx.outcome'],
	stop_reason: l['cdx.stop_reason'] ?? undefined,
	output_tokens: l['gen_ai.usage.output_tokens'],
	cache_read_tokens: l['gen_ai.usage.cache_read.input_tokens'],
	usage_estimated: l['cdx.usage.by'] === 'estimate',
	tools_called: l['cdx.tool_calls'].map((c) => c['gen_ai.tool.name']),
	notes: sent?.['cdx.notes'].map(([field, kind, why]) =>
		({ field, kind, why })),
	error: l['cdx.error'] });

export class Proxy {
	constructor(env) {
		this.dir = mkdtempSync(join(tmpdir(), 'claudecodex-interop-'));
		this.env = env;
	}
	async start() {
		const out = openSync(join(this.dir, 'console'), 'a');
		const end = Date.now() + 10000;

		const home = image ? '/' : this.dir;
		this.child = spawn(image ? '/usr/sbin/chroot' : binary,
			image ? [image, '/claudecodex'] : [], { cwd: this.dir,
				stdio: ['ignore', out, out],
				env: { PATH: '/usr/bin:/bin', HOME: home,
					SERVER_PORT: '0', LOG_DIR: join(home, 'log'),
					...this.env } });
		this.ended = new Promise((r) => this.child.on('exit',
			(code, signal) => r({ code, signal })));
		while (!this.port) {
			const m = /answers on http:\/\/[^ ]*:(\d+) /
				.exec(this.console);
			if (m)
				this.port = Number(m[1]);
			else if (Date.now() > end || this.child.exitCode !== null)
				throw new Error(`the proxy did not start:\n${this.console}`);
			else
				await sleep(20);
		}
		this.url = `http://127.0.0.1:${this.port}`;
		return this;
	}
	get console() {
		return readFileSync(join(this.dir, 'console'), 'utf8');
	}
	/* The console's lines of requests: { begin, end } */
	get lines() {
		const all = this.console.split('\n');

		return { begin: all.filter((l) => / -> /.test(l)),
			end: all.filter((l) => / <- /.test(l)) };
	}
	/* The journal's lines, as they stand. */
	get journal() {
		try {
			return readFileSync(join(this.dir, 'log',
				'structured.jsonl'), 'utf8').split('\n')
				.filter(Boolean).map((l) => JSON.parse(l));
		} catch (e) {
			if (e.code === 'ENOENT')
				return [];
			throw e;
		}
	}
	/* One object a request that has ended. The file's writer may be a
	 * moment behind the console. */
	get log() {
		const nap = new Int32Array(new SharedArrayBuffer(4));

		for (let i = 0; i < 100 &&
		    this.written.length < this.lines.end.length; i++)
			Atomics.wait(nap, 0, 0, 20);
		return this.written;
	}
	get written() {
		const begun = new Map(), out = [];

		for (const l of this.journal) {
			if (l.event === 'cdx.request')
				begun.set(l.id, { asked: l });
			else if (l.event === 'cdx.upstream')
				begun.get(l.id).sent = l;
			else if (l.event === 'cdx.response')
				out.push(ended(l, begun.get(l.id)));
		}
		return out;
	}
	async logged(test, ms = 3000) {
		const end = Date.now() + ms;

		for (;;) {
			const hit = this.log.find(test);
			if (hit || Date.now() > end)
				return hit;
			await sleep(20);
		}
	}
	/* Ends it; true if it did so by itself, in time and with status 0. */
	async stop() {
		const late = sleep(10000).then(() => 'late');

		if (!this.child)
			return { code: 0, signal: null };
		this.child.kill('SIGTERM');
		const r = await Promise.race([this.ended, late]);
		if (r === 'late')
			this.child.kill('SIGKILL');
		return r;
	}
}

// What a scenario starts, so that it can be ended with it.
export class Stage {
	constructor(name) {
		this.name = name;
		this.things = [];
		this.proxies = [];
	}
	async upstream(options) {
		const u = await new Upstream({ key: 'sk-upstream-0123456789abcdef',
			...options }).listen();
		this.things.push(u);
		this.up = u;
		return u;
	}
	keep(thing) {
		this.things.push(thing);
		return thing;
	}
	async proxy(env) {
		this.px = new Proxy(env);
		this.proxies.push(this.px);
		await this.px.start();
		return this.px;
	}
	/* A proxy in front of one upstream. */
	async pair(shape, model, name, { env = {}, ...options } = {}) {
		await this.upstream({ shape, model, ...options });
		return this.proxy({ OPENAI_BASE_URL: this.up.base,
			OPENAI_API_KEY: this.up.key, OPENAI_MODEL: name,
			OPENAI_PROFILE: shape, ...env });
	}
	/* One in front of a stand-in for Anthropic's service. */
	async passing(model, key, env = {}) {
		this.up = this.keep(await new Service({ model, key }).listen());
		return this.proxy({ LLM_BACKEND: 'anthropic',
			ANTHROPIC_UPSTREAM_URL: this.up.base, ...env });
	}
	/* The same proxy, started anew. */
	async again() {
		const { env } = this.px;

		await this.px.stop();
		this.proxies.splice(this.proxies.indexOf(this.px), 1);
		rmSync(this.px.dir, { recursive: true, force: true });
		return this.proxy(env);
	}
	async end(ok, said) {
		let trouble = null;

		for (const px of this.proxies) {
			const r = await px.stop();
			if (r.code !== 0)
				trouble = `the proxy ended with ${JSON.stringify(r)}`;
			if (!ok || trouble)
				said.push(px.console.replace(/^/gm, '    | '));
		}
		if (this.px && keep)
			cpSync(join(this.px.dir, 'log'), join(keep, this.name
				.replace(/\W+/g, '-')), { recursive: true });
		for (const px of this.proxies)
			rmSync(px.dir, { recursive: true, force: true });
		for (const t of this.things)
			t.close();
		return trouble;
	}
}

// So many run at once, of those that aren't awaited one by one.
const width = Number(process.env.JOBS ?? 2);
const all = [], waiting = [];
let running = 0;

async function turn() {
	if (running++ >= width)
		await new Promise((r) => waiting.push(r));
}

function next() {
	running--;
	waiting.shift()?.();
}

// idle: it waits more than it works, so it takes nobody's turn.
export function scenario(name, run, { idle = false } = {}) {
	if (only && !name.includes(only))
		return null;
	const p = idle ? act(name, run) :
		turn().then(() => act(name, run)).finally(next);
	all.push(p);
	return p;
}

async function act(name, run) {
	const stage = new Stage(name);
	const began = Date.now();
	const said = [];
	let why = null;

	try {
		const late = new AbortController();
		await Promise.race([run(stage), sleep(240000, null,
			{ signal: late.signal, ref: false }).then(() => {
			throw new Error('still ran after 240 s');
		})]);
		late.abort();
	} catch (e) {
		why = e.stack ?? String(e);
	}
	const trouble = await stage.end(!why, said);
	why ??= trouble;
	if (why) {
		failed++;
		said.push(String(why).replace(/^/gm, '    '));
		for (const u of stage.things)
			for (const r of u.refusals ?? [])
				said.push(`    refused: ${r}`);
	} else {
		passed++;
	}
	said.push(`${why ? 'FAILED' : 'ok    '} ${name} (${((Date.now() -
		began) / 1000).toFixed(1)} s)`);
	console.log(said.join('\n'));
}

// What was measured, for the end of it all.
export function figure(what, value) {
	figures.push(`figure ${what}: ${value}`);
}

// How late this machine is just now: timers of our own, while f runs. As late
// may be what is measured, and once for each of three processes in a row when
// it is more than any machine is that has nothing else to do.
async function lateness(f) {
	const all = [];
	let last = performance.now();
	const timer = setInterval(() => {
		const t = performance.now();
		all.push(t - last - 5);
		last = t;
	}, 5);

	try {
		const r = await f();
		all.sort((a, b) => a - b);
		const late = Math.max(0, all[Math.floor(all.length * 0.98)] ?? 0);
		return { r, slack: late < 5 ? late : 3 * late };
	} finally {
		clearInterval(timer);
	}
}

// Times on a busy machine: the first of a few tries that is good, each given
// the slack of its own moment; the last one, if none is.
export async function timely(measure, good, tries = 4) {
	for (let i = 1; ; i++) {
		const { r, slack } = await lateness(measure);
		if (good(r, slack) || i === tries)
			return { r, slack };
	}
}

export async function summary(name) {
	await Promise.all(all);
	if (figures.length)
		console.log(figures.join('\n'));
	console.log(`${name}: ${passed} passed, ${failed} failed`);
	process.exit(failed ? 1 : 0);
}
