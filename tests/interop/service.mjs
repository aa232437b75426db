// service.mjs -- a strict stand-in for Anthropic's Messages service, with a
// scripted model as in upstream.mjs.
//
// It refuses what the service refuses: fields and features whose beta is not
// in the head, blank texts, results without their call, thinking that it
// didn't sign or that was changed since, more than four cache marks.
//
// SPDX-License-Identifier: MIT
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

let serial = 0;

class Refusal extends Error {}

function no(text) {
	throw new Refusal(text);
}

const FIELDS = ['model', 'messages', 'system', 'tools', 'tool_choice',
	'metadata', 'max_tokens', 'thinking', 'output_config', 'stream',
	'stop_sequences', 'temperature', 'top_p', 'top_k', 'service_tier',
	'cache_control', 'context_management',
	'safeguards'];
const BLOCKS = {
	user: ['text', 'image', 'document', 'tool_result', 'search_result'],
	assistant: ['text', 'thinking', 'redacted_thinking', 'tool_use'],
	system: ['text'],
};
const MAGIC = { 'image/png': '89504e47', 'image/jpeg': 'ffd8ff',
	'application/pdf': '255044462d' };

const blocksOf = (c) => typeof c === 'string' ? [{ type: 'text', text: c }] : c;

function checkSource(b, at) {
	const { type, media_type, data } = b.source ?? {};

	if (b.type === 'document' && type === 'text')
		return;
	if (type !== 'base64' || !MAGIC[media_type] ||
	    !Buffer.from(data, 'base64').toString('hex').startsWith(MAGIC[media_type]))
		no(`${at}.source: the data does not match ${media_type}`);
}

function checkResult(b, at) {
	const c = b.content ?? '';

	if (typeof c === 'string')
		return;
	for (const [i, p] of c.entries()) {
		const where = `${at}.content.${i}`;
		if (!['text', 'image', 'document', 'search_result',
			'tool_reference'].includes(p.type))
			no(`${where}: Input tag '${p.type}' found`);
		if (p.type === 'text' && !p.text)
			no(`${where}.text: text content blocks must be non-empty`);
		if (p.type === 'image' || p.type === 'document')
			checkSource(p, where);
	}
}

function checkBlock(b, role, signed, at) {
	if (!BLOCKS[role].includes(b.type))
		no(`${at}: Input tag '${b.type}' found using 'type' does not match any of the expected tags`);
	if (b.type === 'text' && !b.text?.trim())
		no(`${at}.text: text content blocks must contain non-whitespace text`);
	if (b.type === 'thinking' && signed.get(b.signature) !== b.thinking)
		no(`${at}: Invalid \`signature\` in \`thinking\` block`);
	if (b.type === 'tool_use' && (!/^[a-zA-Z0-9_-]+$/.test(b.id) ||
	    typeof b.input !== 'object' || Array.isArray(b.input)))
		no(`${at}: String should match pattern '^[a-zA-Z0-9_-]+$'`);
	if (b.type === 'image' || b.type === 'document')
		checkSource(b, at);
	if (b.type === 'tool_result')
		checkResult(b, at);
}

// Calls are answered in the next message of the user, all of them.
function checkPairs(messages) {
	const ids = new Set();
	let open = new Set();

	for (const [i, m] of messages.entries()) {
		const blocks = blocksOf(m.content);
		if (m.role === 'user')
			for (const b of blocks.filter((x) => x.type === 'tool_result'))
				if (!open.delete(b.tool_use_id))
					no(`messages.${i}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${b.tool_use_id}`);
		if (open.size)
			no(`messages.${i - 1}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${[...open]}`);
		if (m.role !== 'assistant')
			continue;
		for (const b of blocks.filter((x) => x.type === 'tool_use')) {
			if (ids.has(b.id))
				no(`messages.${i}: \`tool_use\` ids must be unique`);
			ids.add(b.id);
			open.add(b.id);
		}
	}
	if (open.size)
		no(`\`tool_use\` ids were found without results: ${[...open]}`);
}

function checkTools(b, betas) {
	const names = new Set();

	for (const [i, t] of (b.tools ?? []).entries()) {
		const at = `tools.${i}`;
		if (names.has(t.name))
			no('tools: Tool names must be unique.');
		names.add(t.name);
		if (t.type && t.type !== 'custom') {
			if (!/^web_search_\d+$/.test(t.type))
				no(`${at}: Input tag '${t.type}' found`);
			continue;
		}
		if (!/^[a-zA-Z0-9_-]{1,128}$/.test(t.name))
			no(`${at}.custom.name: String should match pattern`);
		if (t.input_schema?.type !== 'object')
			no(`${at}.custom.input_schema.type: Field required`);
		if (t.defer_loading && !betas.includes('advanced-tool-use'))
			no(`${at}.custom.defer_loading: Extra inputs are not permitted`);
	}
	if (b.tool_choice?.name && !names.has(b.tool_choice.name))
		no(`tool_choice: Tool '${b.tool_choice.name}' not found in provided tools`);
}

function checkFields(b, betas, counting) {
	for (const key of Object.keys(b))
		if (!FIELDS.includes(key))
			no(`${key}: Extra inputs are not permitted`);
	if (typeof b.model !== 'string' || !b.model)
		no('model: Field required');
	if (!counting && !(Number.isInteger(b.max_tokens) && b.max_tokens > 0 &&
	    b.max_tokens <= 128000))
		no('max_tokens: Field required');
	if (b.context_management && !betas.includes('context-management'))
		no('context_management: Extra inputs are not permitted');
	if (b.safeguards && !betas.includes('dangerous-tool-use'))
		no('safeguards: Extra inputs are not permitted');
	if (b.output_config?.effort && !betas.includes('effort'))
		no('output_config: Extra inputs are not permitted');
	if (b.thinking?.display === 'updates' &&
	    !betas.includes('thinking-display-updates'))
		no('thinking.display: Input should be summarized or omitted');
	if (b.thinking?.type === 'enabled' &&
	    !(b.thinking.budget_tokens >= 1024 &&
	    b.thinking.budget_tokens < b.max_tokens))
		no('max_tokens must be greater than thinking.budget_tokens');
}

function check(b, headers, signed, counting) {
	const betas = headers['anthropic-beta'] ?? '';
	const marks = JSON.stringify(b).split('"cache_control":{').length - 1;

	if (headers['anthropic-version'] !== '2023-06-01')
		no('anthropic-version: header is required');
	checkFields(b, betas, counting);
	checkTools(b, betas);
	if (marks > 4)
		no(`A maximum of 4 blocks with cache_control may be provided. Found ${marks}.`);
	for (const [i, s] of blocksOf(b.system ?? []).entries())
		checkBlock(s, 'system', signed, `system.${i}`);
	if (!Array.isArray(b.messages) || !b.messages.length)
		no('messages: at least one message is required');
	for (const [i, m] of b.messages.entries()) {
		if (!BLOCKS[m.role])
			no(`messages.${i}.role: unexpected role`);
		if (m.output_config && (m.role !== 'system' ||
		    !betas.includes('per-turn-control')))
			no(`messages.${i}.output_config: Extra inputs are not permitted`);
		/* Claude Code sends empty ones that only set the effort. */
		if (!m.content?.length && !m.output_config)
			no(`messages.${i}: content must be non-empty`);
		for (const [j, x] of blocksOf(m.content).entries())
			checkBlock(x, m.role, signed, `messages.${i}.content.${j}`);
	}
	checkPairs(b.messages);
	if (b.messages.at(-1).role === 'assistant' && b.thinking)
		no('This model does not support assistant message prefill.');
}

const TYPES = { 400: 'invalid_request_error', 401: 'authentication_error',
	429: 'rate_limit_error', 529: 'overloaded_error' };

export class Service {
	dialect = 'anthropic';
	requests = [];		/* { path, headers, text, body, status, sent } */
	closed = [];
	signed = new Map();	/* signature: the thinking under it */
	constructor({ model, key }) {
		Object.assign(this, { model, key });
		this.server = http.createServer((req, res) => this.serve(req, res));
	}
	async listen() {
		await new Promise((r) => this.server.listen(0, '127.0.0.1', r));
		this.port = this.server.address().port;
		this.base = `http://127.0.0.1:${this.port}`;
		return this;
	}
	close() {
		this.server.closeAllConnections();
		this.server.close();
	}
	get chats() {
		return this.requests.filter((r) => r.path === '/v1/messages');
	}
	get refusals() {
		return this.requests.filter((r) => r.refusal).map((r) => r.refusal);
	}
	json(res, status, text, headers = {}) {
		res.writeHead(status, { 'content-type': 'application/json',
			'content-length': Buffer.byteLength(text), ...headers });
		res.end(text);
	}
	error(res, status, message, headers) {
		this.json(res, status, JSON.stringify({ type: 'error', error: {
			type: TYPES[status] ?? 'api_error', message },
			request_id: `req_${++serial}` }), headers);
	}
	async serve(req, res) {
		const parts = [];

		for await (const part of req)
			parts.push(part);
		const text = Buffer.concat(parts).toString();
		const entry = { path: req.url.split('?')[0], headers: req.headers,
			text, status: 200, refusal: null, at: Date.now() };
		this.requests.push(entry);
		try {
			entry.body = JSON.parse(text || 'null');
			if (req.headers['x-api-key'] !== this.key)
				no(`key: ${req.headers['x-api-key']}`);
			if (!entry.path.startsWith('/v1/messages'))
				no(`no route ${req.url}`);
			check(entry.body, req.headers, this.signed,
				/count/.test(entry.path));
			await this.answer(res, entry);
		} catch (e) {
			entry.refusal = e instanceof Refusal ? e.message : e.stack;
			entry.status = 400;
			if (res.headersSent)
				res.destroy();
			else
				this.error(res, 400, e.message);
		}
	}
	blocks(a) {
		const out = [];

		if (a.reasoning) {
			const signature = Buffer.from(`signed ${++serial}`)
				.toString('base64');
			this.signed.set(signature, a.reasoning);
			out.push({ type: 'thinking', thinking: a.reasoning, signature });
		}
		if (a.text)
			out.push({ type: 'text', text: a.text });
		for (const c of a.calls ?? [])
			out.push({ type: 'tool_use', id: `toolu_${++serial}Zq`,
				name: c.name, input: c.args });
		return out;
	}
	async answer(res, entry) {
		const { body } = entry;

		if (/count_tokens/.test(entry.path))
			return this.json(res, 200, '{"input_tokens":777}');
		const a = await this.model(body, entry, this);
		if (a.fail?.reset)
			return res.socket.resetAndDestroy();
		if (a.fail?.status) {
			entry.status = a.fail.status;
			return this.error(res, a.fail.status, a.fail.message ??
				'scripted failure', a.fail.headers);
		}
		const content = this.blocks(a);
		const usage = { input_tokens: 1000 + entry.text.length % 97,
			output_tokens: 40 + (a.text ?? '').length,
			cache_creation_input_tokens: 11, cache_read_input_tokens: 512,
			...a.usage };
		const message = { id: `msg_${++serial}`, type: 'message',
			role: 'assistant', model: body.model, content,
			stop_reason: a.calls?.length ? 'tool_use' : 'end_turn',
			stop_sequence: null, usage };
		entry.usage = usage;
		const headers = { 'request-id': `req_theirs${serial}` };
		if (!body.stream) {
			entry.sent = JSON.stringify(message);
			return this.json(res, 200, entry.sent, headers);
		}
		entry.sent = '';
		await this.stream(res, entry, message, a, headers);
	}
	async stream(res, entry, message, a, headers) {
		let gone = false, n = 0;

		res.on('close', () => {
			gone = true;
			if (!res.writableEnded)
				this.closed.push(Date.now());
		});
		res.writeHead(200, { 'content-type':
			'text/event-stream; charset=utf-8', ...headers });
		res.flushHeaders();
		await sleep(a.wait ?? 0);
		const write = (e) => {
			const text = `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`;
			entry.sent += text;
			res.write(text);
		};
		for (const e of events(message, entry.body.safeguards && a.judges)) {
			if (a.pause?.at === n)
				await sleep(a.pause.ms);
			if (gone)
				return;
			if (n === a.fail?.cut) {
				await sleep(20);	/* what was written is out */
				res.socket?.destroy();
				return;
			}
			if (n === a.fail?.error) {
				write({ type: 'error', error: { type: 'overloaded_error',
					message: 'scripted failure in the middle' } });
				break;
			}
			n++;
			write(e);
			if (a.delay)
				await sleep(a.delay);
		}
		res.end();
	}
}

function* pieces(s) {
	for (const m of s.matchAll(/[^]{1,9}(?![\udc00-\udfff])/g))
		yield m[0];
}

function* blockEvents(index, b) {
	const delta = (type, rest) => ({ type: 'content_block_delta', index,
		delta: { type, ...rest } });
	const empty = { text: { text: '' }, thinking: { thinking: '',
		signature: '' }, tool_use: { input: {} } }[b.type];

	yield { type: 'content_block_start', index,
		content_block: { ...b, ...empty } };
	if (b.type === 'text')
		for (const text of pieces(b.text))
			yield delta('text_delta', { text });
	if (b.type === 'thinking') {
		for (const thinking of pieces(b.thinking))
			yield delta('thinking_delta', { thinking });
		yield delta('signature_delta', { signature: b.signature });
	}
	if (b.type === 'tool_use')
		for (const partial_json of pieces(JSON.stringify(b.input)))
			yield delta('input_json_delta', { partial_json });
	yield { type: 'content_block_stop', index };
}

// What the service thinks of the calls, where it was asked.
function verdicts(content, judges) {
	const ids = content.filter((b) => b.type === 'tool_use').map((b) => b.id);

	return judges && { safeguard_results: [{ type: 'dangerous_tool_use',
		status: { type: 'available', tool_uses: Object.assign({},
			...ids.map(judges)) } }] };
}

function* events(message, judges) {
	const { content, stop_reason, usage } = message;

	yield { type: 'message_start', message: { ...message, content: [],
		stop_reason: null, usage: { ...usage, output_tokens: 1 } } };
	yield { type: 'ping' };
	for (const [index, b] of content.entries())
		yield* blockEvents(index, b);
	yield { type: 'message_delta', delta: { stop_reason,
		stop_sequence: null, ...verdicts(content, judges) }, usage: { output_tokens: usage.output_tokens } };
	yield { type: 'message_stop' };
}
