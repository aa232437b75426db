// talk.mjs -- a coding client's side of conversations: its headers, system
// prompts, tools and turns, with answers that the caller writes down.
//
// Every Talk has a mark in its system prompt, by which script() finds the
// answer that the upstream's model has to give.
//
// SPDX-License-Identifier: MIT
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const answers = new Map();	/* mark -> answers to come */
let serial = 0;

// The model of an Upstream.
export function script(body) {
	const system = JSON.stringify([body.system, body.messages.filter((m) =>
		m.role === 'system' || m.role === 'developer')]);
	const mark = /\[mark (\d+)\]/.exec(system)?.[1];

	return answers.get(mark)?.shift() ?? { text: 'Nothing was scripted.' };
}

const schema = (...names) => ({ type: 'object', properties: Object.fromEntries(
	names.map((n) => [n, { type: 'string', description: `The ${n}.` }])),
required: names });
export const tool = (name, ...args) => ({ name, description:
	`${name} does what its name says.`, input_schema: schema(...args) });
export const TOOLS = [tool('Agent', 'description', 'prompt', 'subagent_type'),
	tool('Bash', 'command'), tool('Edit', 'file_path', 'old_string',
		'new_string'), tool('Grep', 'pattern'), tool('Read', 'file_path'),
	tool('mcp__github__create_issue', 'title'),
	tool('mcp__github__search_code', 'query'),
	tool('mcp__browser__open', 'url')];
export const call = (name, args) => ({ name, args });
export const agentCall = (prompt, type = 'Explore') => call('Agent', {
	description: 'a look', prompt, subagent_type: type });

export class Talk {
	/* system: what it is told; agent, parent, type: of a spawned one. by:
	 * 'header', 'json', 'old' or 'none', how the session is told. hints:
	 * whether the client sends its hint headers. ttl: of its cache marks. */
	constructor(px, o = {}) {
		Object.assign(this, { px, session: randomUUID(), by: 'header',
			hints: true, system: 'You are an interactive agent.',
			tools: TOOLS, model: 'claude-opus-5', cls: 'main',
			key: 'sk-ant-api03-' + 'k'.repeat(90), messages: [],
			extra: {}, mark: String(++serial) }, o);
		answers.set(this.mark, []);
	}
	headers(more) {
		const h = { 'content-type': 'application/json',
			'anthropic-version': '2023-06-01', 'x-api-key': this.key,
			'user-agent': 'claude-cli/2.1.330 (external, cli)',
			'x-app': 'cli', 'anthropic-beta':
			'claude-code-20250219,interleaved-thinking-2025-05-14' };

		if (this.by === 'header')
			h['x-claude-code-session-id'] = this.session;
		if (this.agent)
			h['x-claude-code-agent-id'] = this.agent;
		if (this.parent)
			h['x-claude-code-parent-agent-id'] = this.parent;
		if (this.hints) {
			h['x-claude-code-request-class'] = this.cls;
			if (this.type)
				h['x-claude-code-agent-type'] = this.type;
		}
		return { ...h, ...more };
	}
	body(more) {
		const hex = 'ab'.repeat(32);
		const user = { json: JSON.stringify({ device_id: hex, account_uuid:
			'', session_id: this.session }), old: `user_${hex
		}_account__session_${this.session}` }[this.by];
		const messages = this.messages.map((m) => structuredClone(m));
		/* As the client does: the mark moves on to the last message. */
		const last = messages.at(-1)?.content;
		const mark = { type: 'ephemeral', ...this.ttl && { ttl: this.ttl } };
		if (Array.isArray(last))
			last.at(-1).cache_control = mark;

		return { model: this.model, max_tokens: 32000, stream: true,
			system: [{ type: 'text', text:
				'x-anthropic-billing-header: cc_version=2.1.330.0ab; ' +
				'cc_entrypoint=cli; cch=00000;' }, { type: 'text', text:
				`${this.system} [mark ${this.mark}]`, cache_control:
				mark }],
			...this.tools.length ? { tools: this.tools } : {},
			messages, ...user ? { metadata: { user_id: user } } : {},
			...this.extra, ...more };
	}
	/* Says it, and takes the answer in; { status, id, content, text }. */
	async ask(content, answer, { head, body, keep = true, onText } = {}) {
		if (content)
			this.messages.push({ role: 'user', content: typeof content ===
				'string' ? [{ type: 'text', text: content }] : content });
		if (answer)
			answers.get(this.mark).push(answer);
		this.sent = JSON.stringify(this.body(body));
		const r = await fetch(`${this.px.url}/v1/messages?beta=true`, {
			method: 'POST', headers: this.headers(head), body: this.sent,
			signal: this.signal });
		const out = { status: r.status, id: r.headers.get('request-id'),
			content: [], text: '', raw: '' };
		if (r.status !== 200) {
			out.text = await r.text();
			return out;
		}
		await take(r, out, onText);
		if (keep && out.done)
			this.messages.push({ role: 'assistant', content: out.content });
		return out;
	}
	/* The results of the last answer's calls, in their order. */
	async results(texts, answer, { times, ...more } = {}) {
		const uses = this.messages.at(-1).content.filter((b) =>
			b.type === 'tool_use');

		return this.ask(uses.map((u, i) => ({ type: 'tool_result',
			tool_use_id: u.id, ...typeof texts[i] === 'string' ?
				{ content: texts[i] } : texts[i] })), answer, { ...more,
			head: { ...more.head, ...times && this.hints ?
				{ 'x-claude-code-prev-tool-durations': times } : {} } });
	}
}

async function take(r, out, onText) {
	let rest = '';

	try {
		for await (const part of r.body.pipeThrough(
			new TextDecoderStream())) {
			rest += part;
			out.raw += part;
			const events = rest.split('\n\n');
			rest = events.pop();
			for (const e of events) {
				const data = /^data: ?(.*)$/m.exec(e)?.[1];
				if (data)
					event(JSON.parse(data), out, onText);
			}
		}
	} catch (e) {
		out.broken = String(e);
	}
}
function event(d, out, onText) {
	const b = out.content[d.index];

	out.usage = { ...out.usage, ...d.message?.usage, ...d.usage };
	if (d.type === 'content_block_start')
		out.content[d.index] = { ...d.content_block, json: '' };
	else if (d.type === 'error')
		out.error = d.error;
	else if (d.type === 'message_stop')
		out.done = true;
	else if (d.type === 'content_block_stop' && b.type === 'tool_use')
		b.input = JSON.parse(b.json || '{}');
	if (d.type === 'content_block_stop')
		delete b.json;
	if (d.type !== 'content_block_delta')
		return;
	if (d.delta.type === 'text_delta') {
		b.text += d.delta.text;
		out.text += d.delta.text;
		onText?.(d.delta.text);
	} else if (d.delta.type === 'thinking_delta') {
		b.thinking += d.delta.thinking;
	} else if (d.delta.type === 'signature_delta') {
		b.signature = (b.signature ?? '') + d.delta.signature;
	} else if (d.delta.type === 'input_json_delta') {
		b.json += d.delta.partial_json;
	}
}

// The day of tests 4 to 7: main, two agents at a time, one of them with its
// own, side calls, parallel tools, an error with its retry, a cut stream.
export async function day(px, o = {}) {
	const main = new Talk(px, o);
	const { session } = main;
	const side = new Talk(px, { ...o, session, cls: 'auxiliary', tools: [],
		model: 'claude-haiku-4-5', system: 'Generate a concise title.' });
	const step = {};

	step.title = await side.ask('why does the button do nothing?',
		{ text: '{"title": "Fix login button"}' });
	await count(main, 'why does the button do nothing?');
	step.first = await main.ask('why does the button do nothing?', {
		reasoning: 'The tests will tell.', text: 'I run the tests.',
		calls: [call('Bash', { command: 'npm test' })] });
	await sleep(60);
	step.bash = await main.results([{ content: 'exit status 1', is_error:
		true }], { text: 'It fails. I read.', calls: [call('Read',
		{ file_path: 'src/a.c' }), call('Read', { file_path: 'src/b.c' })] },
	{ times: 'Bash=742' });
	await sleep(20);
	step.reads = await main.results(['int a;', 'int b;'],
		{ text: 'Two files. Two agents look further.', calls: [
			agentCall('Find every handler.'), agentCall('Plan the tests.',
				'Plan')] }, { times: 'Read=9;Read=11' });
	const agent = (prompt, more) => new Talk(px, { ...o, session, cls:
		'subagent', system: 'You are a file search specialist.',
	...more, prompt });
	const spawn = (id, type, more) => agent('', o.hints === false ? { ...more,
		type, parent: null } : { agent: id, type, ...more });
	const explore = spawn('a1f3', 'Explore'), plan = spawn('b7c2', 'Plan',
		{ system: 'You are a software architect and planning specialist.' });
	const nested = spawn('c90d', 'general-purpose', { parent: 'a1f3',
		system: 'You are an agent for Claude Code.' });
	await Promise.all([(async () => {
		step.explore = await explore.ask('Find every handler.', { wait: 150,
			text: 'Searching.', calls: [agentCall('Read the menu.',
				'general-purpose')] });
		step.nested = await nested.ask('Read the menu.', { wait: 60,
			text: 'Menu: line 41.' });
		step.explored = await explore.results(['Menu: line 41.'],
			{ text: 'One handler.' });
	})(), (async () => {
		step.plan = await plan.ask('Plan the tests.', { wait: 250, text:
			'Click twice.' });
	})()]);
	step.both = await main.results(['One handler.', 'Click twice.'],
		{ text: 'All is known.' });
	return { main, side, explore, plan, nested, session, step };
}
export async function count(talk, text) {
	const r = await fetch(`${talk.px.url}/v1/messages/count_tokens`, {
		method: 'POST', headers: talk.headers(), body: JSON.stringify({
			model: talk.model, messages: [{ role: 'user',
				content: text }] }) });

	await r.text();
	return r.status;
}

// And the rest of it: the quota probe, an overload with its retry, a fork at
// work beside its like, a cut stream, a compaction.
export async function evening(px, { main, session, step }) {
	const probe = new Talk(px, { session, hints: false, tools: [] });

	step.probe = await probe.ask('quota', { text: '#' }, { body: { max_tokens:
		1 } });
	step.busy = await main.ask('and the menu?', { fail: { status: 400 } });
	step.again = await main.ask(null, { text: 'Soon.' }, { head:
		{ 'x-stainless-retry-count': '1' } });
	const fork = Object.assign(Object.create(Talk.prototype), main,
		{ messages: [...main.messages] });
	const both = [['Go on.', main], ['Look at the tabs meanwhile.', fork]];
	[step.on, step.fork] = await Promise.all(both.map(([text, t]) =>
		t.ask(text, { wait: 700, text: 'It is so.' })));
	step.cut = await main.ask('and then?', { text: 'This is cut in the middle',
		fail: { cut: 2 } }, { keep: false });
	main.messages.pop();
	step.summary = await main.ask('CRITICAL: Respond with TEXT ONLY. Sum up.',
		{ text: 'A button was fixed.' }, { head: {
			'x-claude-code-request-class': 'compaction',
			'x-claude-code-compaction': 'manual' } });
	main.messages = [];
	step.after = await main.ask('This session is being continued from a ' +
		'previous conversation. A button was fixed. Now the menu.',
	{ text: 'Going on.' }, { head: { 'x-claude-code-context-compacted':
		'manual' } });
}
