// page-mock.mjs -- the monitor's endpoints without the proxy.
//
// Serves src/web with the headers of the real thing and plays traffic as a
// coding client makes it, as journal lines: for working on the page, and for
// the tests that need more steps, or odder ones, than a proxy gives quickly.
//
//	node tests/interop/page-mock.mjs [PORT [SPEED [STEPS]]]
//
// SPEED 1 plays in real time, 0 at once; STEPS adds a session of that many.
//
// SPDX-License-Identifier: MIT
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const web = new URL('../../src/web/', import.meta.url);
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; " +
	"connect-src 'self'; img-src 'self' data:; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'";
const types = { html: 'text/html; charset=utf-8',
	js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' };
export const hostile = '<img src=x onerror="window.pwned=1"></script>' +
	'<script>window.pwned=1</script>\u202egpj.exe\u2066';

const shaOf = (data) => createHash('sha256').update(JSON.stringify(data))
	.digest('hex').slice(0, 32);

export class Mock {
	constructor({ ring = 100000, replay = true } = {}) {
		Object.assign(this, { ring, replay, lines: [], seq: 0, serial: 0,
			blobs: new Map(), watchers: new Set(), inFlight: 0,
			cost: 0, hits: [], skew: 0 });
	}
	listen(port = 0) {
		this.server = http.createServer((q, r) => this.answer(q, r));
		this.timer = setInterval(() => this.stat(), 2000);
		return new Promise((ok) => this.server.listen(port, '127.0.0.1',
			() => {
				this.port = this.server.address().port;
				this.url = `http://127.0.0.1:${this.port}/dashboard`;
				ok(this);
			}));
	}
	close() {
		clearInterval(this.timer);
		this.drop();
		this.server.close();
		this.server.closeAllConnections();
	}
	drop() {		/* every watcher's connection */
		for (const w of this.watchers)
			w.destroy();
		this.watchers.clear();
	}
	send(event, data, id) {
		const text = (id ? `id: ${id}\n` : '') +
			(event ? `event: ${event}\n` : '') +
			`data: ${JSON.stringify(data)}\n\n`;

		for (const w of this.watchers)
			w.write(text);
	}
	line(event, more, ms = Date.now() + this.skew) {
		const l = { v: 1, seq: ++this.seq, ts: new Date(ms).toISOString(),
			event, ...more };

		this.lines.push(l);
		this.send('', this.seen(l), l.seq);
		return l;
	}
	/* Large blobs go out as their sha alone. */
	seen(l) {
		return l.event === 'cdx.blob' && l.bytes > 8192 ?
			{ ...l, data: undefined } : l;
	}
	blob(data, kind) {
		const sha = shaOf(data);

		if (!this.blobs.has(sha)) {
			this.blobs.set(sha, data);
			this.line('cdx.blob', { sha, kind,
				bytes: JSON.stringify(data).length, data });
		}
		return sha;
	}
	stat() {
		this.send('stat', { now: Date.now() + this.skew,
			in_flight: this.inFlight, dropped: 0 });
	}
	answer(q, r) {
		const url = new URL(q.url, 'http://127.0.0.1');
		const p = url.pathname.replace(/^\/dashboard/, '');
		const type = { '': 'html', '/app.js': 'js', '/app.css': 'css' }[p];
		const head = { 'Content-Security-Policy': policy,
			'X-Content-Type-Options': 'nosniff',
			'Referrer-Policy': 'no-referrer',
			'Cross-Origin-Opener-Policy': 'same-origin',
			'Cross-Origin-Resource-Policy': 'same-origin' };
		const say = (status, data) => {
			r.writeHead(status, { ...head, 'Cache-Control': 'no-store',
				'Content-Type': 'application/json' });
			r.end(JSON.stringify(data));
		};
		const m = /^\/(session|request|blob|export)\/([^/]+)(\/raw)?$/
			.exec(p);

		this.hits.push(q.method + ' ' + q.url);
		if (type) {
			r.writeHead(200, { ...head, 'Content-Type': types[type] });
			r.end(readFileSync(new URL(p.slice(1) || 'index.html',
				web)));
		} else if (p === '/events') {
			this.watch(q, r, head, Number(q.headers['last-event-id'] ??
				url.searchParams.get('after') ?? -1));
		} else if (p === '/prices') {
			say(200, { date: '2026-11-01', models: prices });
		} else if (p === '/fitness') {
			say(200, { since: '', models: fitness });
		} else if (p === '/search') {
			say(200, this.search(url.searchParams.get('q')));
		} else if (p === '/replay' && q.method === 'POST') {
			this.replayOf(q, say);
		} else if (m) {
			this.one(m[1], decodeURIComponent(m[2]), !!m[3],
				url.searchParams, say, r, head);
		} else {
			say(404, { error: 'not found' });
		}
	}
	watch(q, r, head, after) {
		r.writeHead(200, { ...head, 'Content-Type': 'text/event-stream',
			'Cache-Control': 'no-store' });
		const held = this.lines.slice(-this.ring);
		const first = held[0]?.seq ?? 1;
		if (after >= 0 && (after + 1 < first || after > this.seq)) {
			r.write(`event: gap\ndata: ${JSON.stringify({ after, first })
			}\n\n`);
			after = -1;
		}
		for (const l of held)
			if (l.seq > after)
				r.write(`id: ${l.seq}\ndata: ${
					JSON.stringify(this.seen(l))}\n\n`);
		this.watchers.add(r);
		q.on('close', () => this.watchers.delete(r));
		this.stat();
	}
	of(id) {
		return this.lines.filter((l) => l.id === id);
	}
	search(q) {
		const hits = [];

		for (const [sha, data] of this.blobs)
			if (JSON.stringify(data).includes(q))
				hits.push({ sha });
		return { hits, next: null };
	}
	messages(id) {
		const q = this.of(id).find((l) => l.event === 'cdx.request');
		const m = q['cdx.messages'];

		return [...m.base ? this.messages(m.base).slice(0, m.keep) : [],
			...m.add];
	}
	one(what, id, raw, args, say, r, head) {
		if (what === 'blob')
			return say(this.blobs.has(id) ? 200 : 404, this.blobs.get(id));
		if (what === 'export') {
			r.writeHead(200, { ...head, 'Content-Type': 'text/plain',
				'Content-Disposition': 'attachment' });
			return r.end('{}\n');
		}
		if (what === 'session') {
			const ids = new Set(this.lines.filter((l) =>
				l['gen_ai.conversation.id'] === id).map((l) => l.id));
			return say(200, { lines: this.lines.filter((l) =>
				ids.has(l.id)) });
		}
		const lines = this.of(id);
		if (!lines.length)
			return say(404, { error: 'no such request' });
		if (raw) {
			const side = args.get('side');
			const text = args.get('part') === 'request' ?
				this.rawRequest(id, side) : this.rawResponse(id, side);
			r.writeHead(text ? 200 : 404, { ...head,
				'Content-Type': 'text/plain; charset=utf-8',
				'Content-Disposition': 'attachment' });
			return r.end(text);
		}
		const messages = this.messages(id);
		const q = lines[0], p = lines.find((l) =>
			l.event === 'cdx.response');
		const blobs = {};
		for (const sha of [...args.get('all') ? messages :
			q['cdx.messages'].add, ...q['cdx.system'],
		q['cdx.tools'].sha, ...p?.['cdx.content'] ?? []])
			blobs[sha] = { event: 'cdx.blob', sha,
				data: this.blobs.get(sha) };
		say(200, { id, lines, messages, whole: true, blobs });
	}
	rawRequest(id, side) {
		const q = this.of(id)[0];
		const body = { model: side === 'client' ?
			q['gen_ai.request.model'] : 'glm-5', max_tokens: 32000,
			stream: true,
			messages: this.messages(id).map((s) => this.blobs.get(s)) };
		const json = JSON.stringify(body);

		return side === 'client' ?
			'POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\n' +
			'content-type: application/json\r\n' +
			'x-api-key: [redacted anthropic_key len=108]\r\n' +
			`content-length: ${Buffer.byteLength(json)}\r\n\r\n${json}` :
			'POST /v1/chat/completions HTTP/1.1\r\nhost: api.x\r\n' +
			'authorization: [redacted bearer len=56]\r\n' +
			`content-type: application/json\r\n\r\n${json}`;
	}
	rawResponse(id, side) {
		const p = this.of(id).find((l) => l.event === 'cdx.response');

		if (!p)
			return '';
		return 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n' +
			(p['cdx.content'] ?? []).map((s) => 'data: ' +
				JSON.stringify(this.blobs.get(s))).join('\n\n') +
			(side === 'client' ? '\n\n' : '\n\ndata: [DONE]\n\n');
	}
	replayOf(q, say) {
		let text = '';

		q.on('data', (d) => text += d);
		q.on('end', () => {
			if (!this.replay)
				return say(404, { error: 'replay is off' });
			const { of, model } = JSON.parse(text);
			const old = this.of(of)[0];
			const conv = new Conv(this, {
				session: old['gen_ai.conversation.id'], model,
				kind: 'replay' });
			conv.messages = this.messages(of);
			conv.base = of;
			conv.turn = old['cdx.turn'];
			const id = `req_replay${++this.serial}`;
			this.line('cdx.replay', { id, of });
			conv.step({ id, content: [{ type: 'text',
				text: 'I would start by reading the handler itself.' },
				{ type: 'tool_use', id: `toolu_r${this.serial}`,
					name: 'Read', input: { file_path: 'src/login.c' } }],
				ms: 400 });
			say(202, { id });
		});
	}
}

const prices = {
	'claude-opus-5': [15, 75, 1.5, 18.75, 30],
	'claude-sonnet-5': [3, 15, 0.3, 3.75, 6],
	'claude-haiku-4-5': [1, 5, 0.1, 1.25, 2],
	'zai/glm-5': [0.6, 2.2, 0.11, 0, 0],
	'openai/gpt-5-mini': [0.25, 2, 0.025, 0, 0],
	'deepseek/deepseek-chat': [0.28, 0.42, 0.028, 0, 0]
};
const fits = (model, fit, verdict, requests, tool_calls, bad_tool_json, more) =>
	({ backend: 'openai_compatible', model, fit, verdict, requests, tool_calls,
		bad_tool_json, unknown_tools: 0, loops: 0, truncated: 0, errors: 0,
		retries: 0, stalls: 0, first_byte_ms: 812, answer_ms: 6144,
		cost_usd: null, ...more });
const fitness = [
	fits('glm-5', 'tools', 'fit for tools', 412, 388, 1, { retries: 3,
		cost_usd: 1.9312 }),
	fits('qwen3-coder-30b', 'poor', 'poor with tools', 96, 71, 6, { loops: 2,
		unknown_tools: 1, stalls: 1 }),
	fits('gpt-5-mini', 'few', 'too little seen', 7, 0, 0, { cost_usd: 0.0021 })
];
const schema = (...names) => ({ type: 'object', properties:
	Object.fromEntries(names.map((n) => [n, { type: 'string',
		description: `The ${n} to use, as an absolute value` }])),
	required: names });
const offered = ['Agent:description,prompt,subagent_type',
	'Bash:command,description', 'Edit:file_path,old_string,new_string',
	'Glob:pattern,path', 'Grep:pattern,path', 'Read:file_path',
	'TodoWrite:todos', 'WebFetch:url,prompt', 'Write:file_path,content',
	'mcp__github__create_issue:title,body',
	'mcp__github__list_commits:repo,branch',
	'mcp__github__search_code:query',
	'mcp__browser__open:url', 'mcp__browser__click:selector']
	.map((t) => {
		const [name, args] = t.split(':');
		return { name, description: `${name}: does what its name says. ` +
			'Use it when nothing narrower fits. '.repeat(name.length),
		input_schema: schema(...args.split(',')) };
	});

// One conversation: a session's main one, or an agent's.
export class Conv {
	constructor(mock, o) {
		Object.assign(this, { mock, session: 's', kind: 'main', turn: 0,
			n: 0, model: 'claude-opus-5', served: 'glm-5', agent: null,
			parent: null, name: null, by: 'header', tools: offered,
			system: 'You are an interactive agent that helps with ' +
			'software work.\n\nBe brief.\nNever guess at paths.\n',
			messages: [], base: null, price: true, cached: 0,
			host: 'api.z.ai', provider: 'openai', speed: 1 }, o);
	}
	/* `add`: what's new; `content`: what is answered, block by block. */
	async step({ add = [], content = [], id, ms = 900, wait = 600,
		status = 200, error = null, stop, retry = 0, cause = null,
		results, usage, aborted = null, turn, cls, notes, compacted,
		first = true, rewrite }) {
		const m = this.mock, real = this.speed;
		const began = Date.now() + m.skew;
		const nap = async (t) => {
			if (real)
				await sleep(t / real);
			else
				m.skew += t;
		};
		const kind = cls ?? this.kind;
		const conv = kind !== 'auxiliary' && kind !== 'count' &&
			kind !== 'probe';

		id ??= `req_${String(++m.serial).padStart(6, '0')}`;
		if (turn)
			this.turn++;
		const keep = rewrite ?? (conv ? this.messages.length : 0);
		const shas = add.map((a) => m.blob(a, 'message'));
		const system = this.system ? [m.blob({ type: 'text', text:
			'x-anthropic-billing-header: cc_version=2.1.330.abc; ' +
			'cc_entrypoint=cli' }, 'system'),
		m.blob({ type: 'text', text: this.system }, 'system')] : [];
		const tools = conv ? this.tools : [];
		const bytes = tools.map((t) => JSON.stringify(t).length);
		const mcp = {};
		tools.forEach((t, i) => {
			const s = /^mcp__(.+?)__/.exec(t.name)?.[1];
			if (s)
				mcp[s] = (mcp[s] ?? 0) + bytes[i];
		});
		m.inFlight++;
		m.line('cdx.request', { id, 'gen_ai.operation.name': 'chat',
			'gen_ai.conversation.id': this.session,
			'cdx.session.by': this.by, 'cdx.class': kind,
			'cdx.class.by': this.by === 'none' ? 'guess' : 'hint',
			'gen_ai.agent.id': this.agent, 'cdx.agent.parent': this.parent,
			'gen_ai.agent.name': this.name, 'cdx.turn': this.turn,
			'cdx.step': conv ? ++this.n : 1, 'cdx.prev': this.base,
			'gen_ai.request.model': this.model,
			'gen_ai.request.max_tokens': 32000,
			'gen_ai.request.stream': true,
			'gen_ai.request.reasoning.level': 'medium',
			'gen_ai.conversation.compacted': !!compacted,
			'cdx.client': 'claude-cli/2.1.330', 'cdx.retry': retry,
			'cdx.system': system, 'cdx.tools': { sha: m.blob(tools, 'tool'),
				n: tools.length, bytes: bytes.reduce((a, b) => a + b, 0),
				mcp },
			'cdx.messages': { base: conv ? this.base : null,
				keep: this.base && conv ? keep : 0, add: shas,
				n: (conv ? keep : 0) + shas.length,
				new: this.base && conv ? keep : 0 },
			'cdx.lane': this.lane ?? 0, 'cdx.hints': this.by !== 'none',
			...this.call ? { 'cdx.agent.call': this.call.id,
				'cdx.link_by': 'body' } : {},
			'cdx.cache_marks': [['system', 2], ['messages', keep +
				shas.length - 1]],
			'cdx.body_bytes': 60000 + keep * 2100,
			'cdx.tool_results': results ?? [],
			'cdx.preview': this.preview(add) });
		if (conv) {
			this.messages = [...this.messages.slice(0, keep), ...shas];
			this.base = id;
		}
		m.line('cdx.upstream', { id, attempt: 1,
			'gen_ai.provider.name': this.provider,
			'server.address': this.host, 'server.port': 443,
			'url.path': '/v1/chat/completions',
			'cdx.model.served': this.served, 'cdx.body_sha': shaOf(id),
			'cdx.body_bytes': 51000 + keep * 2000,
			'cdx.notes': notes ?? [['thinking', 'dropped',
				'no equivalent'], ['cache_control', 'dropped', 4],
			['max_tokens', 'renamed', 'max_completion_tokens'],
			['metadata', 'dropped', 'no equivalent']] });
		await nap(wait);
		const t = { accept: 0, body: 0.004, connect: 0.031, sent: 0.033 };
		if (first && status === 200) {
			t.first = (Date.now() + m.skew - began) / 1000;
			m.line('cdx.first', { id,
				'gen_ai.response.time_to_first_chunk': t.first });
			await this.stream(id, content, ms, real, nap);
			t.last = (Date.now() + m.skew - began) / 1000;
		}
		t.done = (Date.now() + m.skew - began) / 1000;
		const calls = content.filter((c) => c.type === 'tool_use');
		const blocks = aborted ? content.slice(0, 1) : content;
		const out = usage?.output ?? Math.ceil(
			JSON.stringify(content).length / 4);
		const input = usage?.input ?? (conv ? 14200 +
			this.messages.reduce((a, s) => a + Math.ceil(
				JSON.stringify(m.blobs.get(s)).length / 4) + 350, 0) :
			400);
		const read = usage?.read ?? (cause || !conv ? 0 : this.cached);
		const write = usage?.write ?? (conv ? Math.max(0, input - read -
			120) : 0);
		this.cached = input;
		const cost = this.price && status === 200 ? ((input - read - write) *
			0.6 + read * 0.11 + write * 0.6 + out * 2.2) / 1e6 * 4 : null;
		m.cost += cost ?? 0;
		m.inFlight--;
		if (conv && status === 200 && !aborted && content.length) {
			/* What is answered comes back as history. */
			this.reply = { role: 'assistant', content };
		}
		m.line('cdx.response', { id, 'http.response.status_code': status,
			'error.type': error, 'gen_ai.response.id': 'resp_' + id,
			'gen_ai.response.model': this.served,
			'gen_ai.response.finish_reasons': [aborted ? 'error' :
				calls.length ? 'tool_call' : 'stop'],
			'cdx.stop_reason': status !== 200 || aborted ? null : stop ??
				(calls.length ? 'tool_use' : 'end_turn'),
			'cdx.content': status === 200 ?
				[m.blob({ role: 'assistant', content: blocks },
					'message')] : [],
			'cdx.tool_calls': calls.map((c) => ({
				'gen_ai.tool.call.id': c.id, 'gen_ai.tool.name': c.name,
				bytes: JSON.stringify(c.input).length, agent: null })),
			...status === 200 ? {
				'gen_ai.usage.input_tokens': input,
				'gen_ai.usage.cache_read.input_tokens': read,
				'gen_ai.usage.cache_write.input_tokens': write,
				'gen_ai.usage.output_tokens': out,
				'gen_ai.usage.reasoning.output_tokens': 0 } : {},
			'cdx.usage.by': 'upstream', 'cdx.cost_usd': cost,
			'cdx.price': '2026-11-01', 'cdx.cache.cause': cause,
			'cdx.cache.cost_usd': cause && cause !== 'initial' ?
				input * 2e-6 : undefined,
			'cdx.t': t, 'cdx.chunks': Math.ceil(ms / 50),
			'cdx.stall_max': ms > 3000 ? 1.9 : 0.2,
			'cdx.preview': content.find((c) => c.text)?.text.slice(0, 96),
			'cdx.aborted': aborted });
		return id;
	}
	preview(add) {
		const c = add.at(-1)?.content;

		if (typeof c === 'string')
			return c.slice(0, 96);
		const b = c?.at(-1);
		return String(b?.text ?? b?.content ?? '').slice(0, 96);
	}
	async stream(id, content, ms, real, nap) {
		const m = this.mock;
		const all = [];

		content.forEach((b, i) => {
			const k = { text: 'text', thinking: 'think',
				tool_use: 'json' }[b.type];
			const s = b.text ?? b.thinking ?? JSON.stringify(b.input);
			(s.match(/\s*\S{1,12}/gs) ?? []).forEach((d, n) =>
				all.push({ id, i, k, d, ...n ? {} : { b: 1, ...k === 'json' ?
					{ name: b.name, call: b.id } : {} } }));
		});
		if (!real || !all.length)
			return nap(ms);
		const pause = Math.max(20, ms / all.length);
		for (const d of all) {
			m.send('delta', d);
			await sleep(pause / real);
		}
	}
	user(text) {
		return [...this.answered(), { role: 'user',
			content: [{ type: 'text', text }] }];
	}
	answered() {
		const a = this.reply ? [this.reply] : [];
		this.reply = null;
		return a;
	}
	result(...pairs) {
		return [...this.answered(), { role: 'user', content: pairs.map(
			([id, text, bad]) => ({ type: 'tool_result', tool_use_id: id,
				content: text, ...bad ? { is_error: true } : {} })) }];
	}
}

let calls = 0;
export const call = (name, input) => ({ type: 'tool_use',
	id: `toolu_${String(++calls).padStart(4, '0')}`, name, input });
export const text = (t) => ({ type: 'text', text: t });
export const think = (t) => ({ type: 'thinking', thinking: t,
	signature: 'sig' });
export const timed = (c, ms, by = 'client', error = false, bytes = 310) => ({
	'gen_ai.tool.call.id': c.id, 'gen_ai.tool.name': c.name, ms, by, error,
	bytes });

const reminder = '<system-reminder>\nThe todo list is empty. Do not mention ' +
	'this to the user.\n</system-reminder>\n';
const code = '#include "login.h"\n\nint\nlogin_click(struct button *b)\n{\n' +
	'\tif (!b->armed)\n\t\treturn -1;\n\tb->armed = 0;\n\treturn ' +
	'session_open(b->user);\n}\n';

// A working day of two sessions, shortened.
export async function play(mock, speed = 1) {
	const s1 = '8f3c2a10-77aa-4f0e-9a51-0d6f3b1c9e21';
	const nap = async (ms) => {
		if (speed)
			await sleep(ms / speed);
		else
			mock.skew += ms;
	};
	const main = new Conv(mock, { session: s1, speed });
	const aux = new Conv(mock, { session: s1, speed, model: 'claude-haiku-4-5',
		served: 'qwen3-4b', price: false, kind: 'auxiliary',
		system: 'Generate a concise title.' });

	if (!speed)
		mock.skew = -400000;
	await aux.step({ cls: 'probe', add: [{ role: 'user', content: 'quota' }],
		content: [text('#')], ms: 60, wait: 90 });
	await aux.step({ cls: 'count', add: [{ role: 'user', content: 'x' }],
		ms: 10, wait: 20 });
	const a = call('Bash', { command: 'npm test -- --grep login',
		description: 'Run the login tests' });
	const [title] = [aux.step({ add: [{ role: 'user', content:
		'why does the login button do nothing on second click?' }],
	content: [text('{"title": "Fix login button"}')], ms: 250, wait: 300 })];
	if (!speed)
		await title;
	await main.step({ turn: true, cause: 'initial', add: [{ role: 'user',
		content: [{ type: 'text', text: reminder }, { type: 'text', text:
			'why does the login button do nothing on second click?' }] }],
	content: [think('The user says the second click does nothing. A flag is ' +
		'probably cleared and never set again. I should run the tests ' +
		'first and read the handler.'), text('Let me run the tests and ' +
		'look at the handler.'), a], ms: 1800 });
	await title;
	await nap(742);
	const b = call('Read', { file_path: 'src/login.c' });
	const c = call('Read', { file_path: 'src/login.h' });
	const d = call('Grep', { pattern: 'armed', path: 'src' });
	await main.step({ add: main.result([a.id,
		'1) login\n   second click:\n   AssertionError: expected 2 to ' +
		'equal 1\n\nexit status 1', true]), results: [timed(a, 742, 'client',
		true)], content: [text('One test fails. I read the sources.'),
		b, c, d], ms: 1100 });
	await nap(60);
	const e = call('Edit', { file_path: 'src/login.c',
		old_string: '\tb->armed = 0;\n\treturn session_open(b->user);',
		new_string: '\treturn session_open(b->user);' });
	await main.step({ add: main.result([b.id, code], [c.id,
		'struct button {\n\tint armed;\n\tchar *user;\n};\n'], [d.id,
		'src/login.c:6:\tif (!b->armed)\nsrc/login.c:8:\tb->armed = 0;']),
	results: [timed(b, 9), timed(c, 11), timed(d, 48)], content: [
		text('I see: the handler disarms the button and nothing arms it ' +
		'again:\n\n```c\nb->armed = 0;\n```\n\nI take that line out.'), e],
	ms: 1500 });
	await nap(2600);		/* a person reads the diff */
	await main.step({ add: main.result([e.id, 'The file src/login.c has ' +
		'been updated.']), results: [timed(e, 31)], content: [text(
		'Done. The second click works now, since the button stays armed.')],
	ms: 700 });
	await nap(1500);

	/* Turn two: agents, one nested, a fork, a retry. */
	const f = call('Agent', { description: 'Find other buttons',
		prompt: 'Find every handler that clears armed.',
		subagent_type: 'Explore' });
	const g = call('Agent', { description: 'Plan the change',
		prompt: 'Plan how to test all buttons.', subagent_type: 'Plan' });
	await main.step({ status: 529, error: 'overloaded_error', add:
		main.user('now check all the other buttons too'), turn: true,
	wait: 300 });
	await nap(500);
	await main.step({ retry: 1, content: [think('Two independent questions. ' +
		'Two agents can look in parallel.'), text('I send two agents.'),
	f, g], ms: 1400 });
	const nested = call('Agent', { description: 'Read menus',
		prompt: 'Read src/menu.c and report.',
		subagent_type: 'general-purpose' });
	const explore = new Conv(mock, { session: s1, speed, agent: 'a1f3', call: f,
		name: 'Explore', kind: 'subagent', turn: 1,
		model: 'claude-haiku-4-5', system: 'You are a file search ' +
		'specialist.\n' });
	const plan = new Conv(mock, { session: s1, speed, agent: 'b7c2', call: g,
		name: 'Plan', kind: 'subagent', turn: 1, system:
		'You are a software architect and planning specialist.\n' });
	const child = new Conv(mock, { session: s1, speed, agent: 'c90d',
		call: nested, parent: 'a1f3', name: 'general-purpose', kind: 'subagent', turn: 1,
		system: 'You are an agent for Claude Code.\n' });
	const p1 = (async () => {
		const g1 = call('Grep', { pattern: 'armed = 0', path: 'src' });
		await explore.step({ cause: 'initial', add: [{ role: 'user', content:
			[text('Find every handler that clears armed.')] }],
		content: [text('Searching.'), g1], ms: 600, wait: 300 });
		await nap(1200);
		await explore.step({ add: explore.result([g1.id,
			'src/menu.c:41\nsrc/tab.c:12']), results: [timed(g1, 1210,
			'gap')], content: [nested], ms: 700 });
		const r = call('Read', { file_path: 'src/menu.c' });
		await child.step({ cause: 'initial', add: [{ role: 'user', content:
			[text('Read src/menu.c and report.')] }], content: [r],
		ms: 500 });
		await nap(20);
		await child.step({ add: child.result([r.id, code.repeat(40)]),
			results: [timed(r, 12, 'client', false, 8800)], content: [text(
				'menu.c clears the flag on line 41, as login.c did.')],
			ms: 900 });
		await explore.step({ add: explore.result([nested.id, 'menu.c clears ' +
			'the flag on line 41, as login.c did.']), results:
			[timed(nested, 2100)], content: [text('Two handlers: ' +
			'src/menu.c:41 and src/tab.c:12.')], ms: 600 });
	})();
	if (!speed)
		await p1;
	const p2 = (async () => {
		const w = call('WebFetch', { url: 'https://example.org/buttons',
			prompt: 'How are buttons tested?' });
		await plan.step({ cause: 'initial', add: [{ role: 'user', content:
			[text('Plan how to test all buttons.')] }], content: [w],
		ms: 1700 });
		await nap(900);
		await plan.step({ add: plan.result([w.id, 'a page '.repeat(300)]),
			results: [timed(w, 880)], content: [text('1. A table of ' +
			'buttons.\n2. Click each twice.\n3. Expect two sessions.')],
			ms: 2600 });
	})();
	await Promise.all([p1, p2]);
	/* A fork: the same conversation, at the same time as the next step. */
	const fork = new Conv(mock, { session: s1, speed, kind: 'main',
		lane: 1, messages: [...main.messages], base: null, turn: main.turn });
	const h = call('Bash', { command: 'make test', description: 'All tests' });
	const forked = fork.step({ add: [{ role: 'user', content: [text(
		'Fork: look at the tab order meanwhile.')] }], content: [text(
		'The tab order is as declared; nothing to change.')], ms: 2500 });
	if (!speed)
		await forked;
	await main.step({ add: main.result([f.id, 'Two handlers: src/menu.c:41 ' +
		'and src/tab.c:12.'], [g.id, '1. A table of buttons.']), results:
		[timed(f, 5200), timed(g, 5900)], content: [text('Both are back. ' +
		'I run everything.'), h], ms: 1300 });
	await forked;
	for (let i = 0; i < 4; i++) {
		await nap(500);
		const again = call('Bash', h.input);
		const prev = i ? main.last : h;
		main.last = again;
		if (i === 2)
			main.tools = [...offered.slice(0, 13), { ...offered[13],
				description: 'Clicks. Changed.' }];
		if (i === 3)
			main.system += 'A line that is new.\n';
		const id = await main.step({ add: main.result([prev.id,
			'2 failing\nexit status 2', true]), results: [timed(prev, 480,
			'client', true)], cause: [null, 'ttl_expired_5m',
			'tools_changed', 'system_prompt_changed'][i], content: [text(
			'Still two failures; again.'), again], ms: 500, wait: 400 });
		if (i === 2) {
			mock.line('cdx.alert', { rule: 'repeat_call', id, count: 4,
				detail: 'Bash make test' });
			mock.line('cdx.alert', { rule: 'cache_miss', id,
				detail: 'tools_changed, about $0.03' });
		}
	}
	await nap(300);
	await main.step({ add: main.result([main.last.id, 'exit status 2', true]),
		results: [timed(main.last, 470, 'client', true)], content: [text(
			'This answer is cut in the mid')], aborted: 'upstream_eof',
		error: 'api_error', ms: 500 });
	await main.step({ add: [], retry: 1, content: [text('The two failures ' +
		'are in tests that expect the old flag. They need a decision.')],
	ms: 900 });

	/* Compaction, then hostile text in every field. */
	await nap(1200);
	await main.step({ cls: 'compaction', turn: true, add: main.user(
		'CRITICAL: Respond with TEXT ONLY. Summarise.'), content: [text(
		'The user fixed a login button. '.repeat(20))], ms: 1500 });
	main.messages = [];
	main.reply = null;
	main.base = null;
	await main.step({ compacted: true, cause: 'messages_rewritten', add:
		[{ role: 'user', content: [text('This session is being continued ' +
		'from a previous conversation. The user fixed a login button.')] }],
	content: [text('Going on from the summary.')], ms: 700 });
	const bad = call(hostile, { [hostile]: hostile });
	const evil = new Conv(mock, { session: '1b0d-' + hostile, speed, by:
		'body', model: hostile, served: hostile, name: hostile, agent: null,
	system: hostile, host: hostile, provider: hostile, price: false,
	tools: [{ name: hostile, description: hostile,
		input_schema: { type: hostile } }] });
	await evil.step({ turn: true, cause: hostile, add: [{ role: 'user',
		content: [text(hostile)] }], content: [think(hostile), text(hostile +
		'\n```html\n' + hostile + '\n```'), bad], notes: [[hostile,
		hostile, hostile]], ms: 900 });
	const id = await evil.step({ add: evil.result([bad.id, hostile, true]),
		results: [timed(bad, 5, 'client', true)], status: 400,
		error: hostile });
	mock.line('cdx.alert', { rule: hostile, id, detail: hostile });
	return { main, evil };
}

// A session of n steps, written at once.
export async function long(mock, n, session = 'long-session') {
	const conv = new Conv(mock, { session, speed: 0, tools: [] });
	let prev = null;

	for (let i = 0; i < n; i++) {
		const c = call(['Bash', 'Read', 'Grep'][i % 3], {
			command: `step ${i}`, file_path: `src/file${i}.c` });
		await conv.step({ turn: i % 20 === 0, add: prev && i % 20 ?
			conv.result([prev.id, `result ${i}`]) :
			conv.user(`prompt ${i}`), results: prev && i % 20 ?
			[timed(prev, 20 + i % 700)] : [], content: [text(`doing ${i}`),
			c], usage: { input: 20000 + i * 15, read: 19000 + i * 15,
			write: 900, output: 60 }, ms: 800, wait: 300 });
		/* Only the last few messages are kept: the mock needs no more. */
		conv.messages = conv.messages.slice(-2);
		conv.base = null;
		prev = c;
	}
}

if (process.argv[1] && import.meta.url.endsWith('page-mock.mjs') &&
	process.argv[1].endsWith('page-mock.mjs')) {
	const [port = 3458, speed = 1, steps = 0] = process.argv.slice(2)
		.map(Number);
	const mock = await new Mock().listen(port);

	console.log(mock.url);
	if (steps)
		await long(mock, steps);
	mock.skew = 0;
	await play(mock, speed);
}
