// bedrock-upstream.mjs -- a strict stand-in for bedrock-runtime.
//
// AWS's own packages judge and speak: @smithy/signature-v4 signs each request
// anew and the result must be what was sent; @smithy/eventstream-codec makes
// the frames. What the service refuses is refused here in its words. What is
// said comes from `model`, a function of the request in Anthropic's terms
// (turns(body) below gives them for either way in):
//
//	{ reasoning, text, calls: [{ name, args }], stop, fail, usage }
//
// fail: { status, code, message } before the answer, { exception, message,
// after } in mid-stream, { cut: n } after n frames, { flip: n } a bad bit in
// frame n.
//
// SPDX-License-Identifier: MIT
import http from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const from = createRequire(join(process.env.NODE_MODULES, 'x.js'));
const { SignatureV4 } = from('@smithy/signature-v4');
const { EventStreamCodec } = from('@smithy/eventstream-codec');
const { HttpRequest } = from('@smithy/protocol-http');
const { Sha256 } = from('@aws-crypto/sha256-js');
const { toUtf8, fromUtf8 } = from('@smithy/util-utf8');
const codec = new EventStreamCodec(toUtf8, fromUtf8);

export const KEYS = { accessKeyId: 'AKIAINTEROP0123456789',
	secretAccessKey: 'interop/secret+0123456789abcdefghijklmno' };
const BETAS = ['computer-use-2025-01-24', 'context-1m-2025-08-07',
	'context-management-2025-06-27', 'effort-2025-11-24',
	'interleaved-thinking-2025-05-14',
	'fine-grained-tool-streaming-2025-05-14',
	'tool-search-tool-2025-10-19', 'tool-examples-2025-10-29',
	'compact-2026-01-12', 'thinking-binding-controls-2026-08-01',
	'thinking-display-updates-2026-08-18',
	'mid-conversation-output-config-2026-07-01',
	'mid-conversation-tool-changes-2026-07-01',
	'dangerous-tool-use-2026-09-03'];
let serial = 0;

class Refusal extends Error {
	constructor(status, code, message) {
		super(message);
		Object.assign(this, { status, code });
	}
}

function want(ok, message) {
	if (!ok)
		throw new Refusal(400, 'ValidationException', message);
}

function only(o, names, path) {
	for (const k of Object.keys(o))
		want(names.includes(k), `${path}${path ? '.' : ''}${k}: Extra inputs are not permitted`);
}

// ---- Converse ----

const isClaude = (id) => id.includes('anthropic.claude');
const isNova = (id) => id.includes('amazon.nova');

function converseElement(c, at, id, role, seen) {
	const kind = Object.keys(c);

	want(kind.length === 1, `${at}: a union has exactly one member, not ${kind}`);
	const v = c[kind[0]];
	switch (kind[0]) {
	case 'text':
		want(v.trim() !== '', `The text field in the ContentBlock object at ${at} is blank. Add text to the text field, and try again.`);
		break;
	case 'image':
		only(v, ['format', 'source'], at);
		want(role === 'user' && ['png', 'jpeg', 'gif', 'webp'].includes(v.format) &&
			/^[A-Za-z0-9+/]+=*$/.test(v.source.bytes), `${at}: bad image`);
		break;
	case 'document':
		only(v, ['format', 'name', 'source', 'context', 'citations'], at);
		want(/^[A-Za-z0-9\-()[\] ]{1,200}$/.test(v.name) && !/ {2}/.test(v.name),
			`${at}: The document file name contains more than one consecutive whitespace character or a forbidden one`);
		break;
	case 'toolUse':
		only(v, ['toolUseId', 'name', 'input'], at);
		want(role === 'assistant' && /^[a-zA-Z0-9_.:-]{1,64}$/.test(v.toolUseId) &&
			/^[a-zA-Z0-9_-]{1,64}$/.test(v.name) && v.input &&
			typeof v.input === 'object' && !Array.isArray(v.input), `${at}: bad toolUse`);
		seen.uses.push(v.toolUseId);
		break;
	case 'toolResult':
		only(v, ['toolUseId', 'content', 'status'], at);
		want(role === 'user' && v.content.length > 0, `${at}: bad toolResult`);
		want(!v.status || isClaude(id) || isNova(id), `${at}: this model doesn't support the status field`);
		for (const [k, e] of v.content.entries()) {
			want(!e.cachePoint, `${at}.content.${k}: cachePoint not allowed`);
			converseElement(e, `${at}.content.${k}`, id, role, seen);
		}
		seen.results.push(v.toolUseId);
		break;
	case 'reasoningContent':
		want(isClaude(id) && role === 'assistant', `${at}: This model doesn't support reasoning content`);
		if (v.reasoningText)
			want(seen.issued.has(v.reasoningText.signature), `${at}: Invalid signature in thinking block`);
		break;
	case 'cachePoint':
		want(v.type === 'default' && (isClaude(id) || isNova(id)), `${at}: bad cachePoint`);
		seen.points++;
		break;
	default:
		want(false, `${at}: unknown member ${kind[0]}`);
	}
}

function checkConverse(body, id, issued) {
	const tools = body.toolConfig?.tools;
	let last = null, points = 0;

	only(body, ['messages', 'system', 'inferenceConfig', 'toolConfig',
		'guardrailConfig', 'additionalModelRequestFields',
		'additionalModelResponseFieldPaths', 'requestMetadata',
		'performanceConfig', 'serviceTier', 'outputConfig'], '');
	want(body.messages?.length > 0, 'The messages field is required');
	for (const [i, m] of body.messages.entries()) {
		const seen = { uses: [], results: [], issued, points: 0 };
		only(m, ['role', 'content'], `messages.${i}`);
		want(m.role === (i % 2 ? 'assistant' : 'user'), 'A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.');
		want(m.content.length > 0, `The content field in the Message object at messages.${i} is empty. Add a ContentBlock object to the content field and try again.`);
		for (const [j, c] of m.content.entries()) {
			converseElement(c, `messages.${i}.content.${j}`, id, m.role, seen);
			want(!(c.cachePoint && (j === 0 || m.content[j - 1].cachePoint)),
				`messages.${i}.content.${j}: misplaced cachePoint`);
		}
		const asked = last ?? [];
		want(seen.results.length <= asked.length, `The number of toolResult blocks at messages.${i}.content exceeds the number of toolUse blocks of previous turn.`);
		want(asked.every((u) => seen.results.includes(u)), `Expected toolResult blocks at messages.${i}.content for the following Ids: ${asked}`);
		want((!seen.uses.length && !seen.results.length) || tools, 'The toolConfig field must be defined when using toolUse and toolResult content blocks.');
		last = m.role === 'assistant' ? seen.uses : null;
		points += seen.points;
	}
	want(!last?.length, 'tool uses without results');
	want(body.messages.at(-1).role === 'user' || /claude-(3|(opus|sonnet|haiku)-4-[0-5])/.test(id),
		'This model does not support assistant message prefill. The conversation must end with a user message.');
	for (const [i, s] of (body.system ?? []).entries()) {
		want(Object.keys(s).length === 1 && (s.text || s.cachePoint), `system.${i}: bad element`);
		points += s.cachePoint ? 1 : 0;
	}
	want(!tools || tools.length > 0, 'toolConfig.tools: must not be empty');
	const names = new Set();
	for (const [i, t] of (tools ?? []).entries()) {
		if (t.cachePoint) {
			points++;
			want(isClaude(id), 'cachePoint in tools');
			continue;
		}
		only(t, ['toolSpec'], `toolConfig.tools.${i}`);
		only(t.toolSpec, ['name', 'description', 'inputSchema', 'strict'], `toolConfig.tools.${i}`);
		want(/^[a-zA-Z0-9_-]{1,64}$/.test(t.toolSpec.name) && !names.has(t.toolSpec.name), `toolConfig.tools.${i}: bad name`);
		names.add(t.toolSpec.name);
		want(t.toolSpec.description === undefined || t.toolSpec.description.trim(), 'blank description');
		want(t.toolSpec.inputSchema.json.type === 'object', 'The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: object.');
		if (isNova(id))
			only(t.toolSpec.inputSchema.json, ['type', 'properties', 'required'], 'inputSchema');
	}
	want(points <= 4, 'A maximum of 4 blocks with cache_control may be provided.');
	only(body.inferenceConfig ?? {}, ['maxTokens', 'temperature', 'topP', 'stopSequences', ...(isNova(id) ? ['topK'] : [])], 'inferenceConfig');
	const more = body.additionalModelRequestFields ?? {};
	if (isClaude(id)) {
		only(more, ['top_k', 'thinking', 'anthropic_beta', 'output_config', 'tool_choice', 'tools'], '');
		for (const b of more.anthropic_beta ?? [])
			want(BETAS.includes(b), 'invalid beta flag');
	} else {
		only(more, ['reasoningConfig', 'reasoning_effort', 'inferenceConfig', 'k'], '');
	}
}

// ---- InvokeModel ----

const BLOCKS = { text: ['text', 'citations'], image: ['source'],
	document: ['source', 'title', 'context', 'citations'],
	thinking: ['thinking', 'signature'], redacted_thinking: ['data'],
	tool_use: ['id', 'name', 'input', 'caller'],
	tool_result: ['tool_use_id', 'content', 'is_error'] };

function invokeBlock(b, at, issued) {
	want(BLOCKS[b.type], `${at}: Input tag '${b.type}' found using 'type' does not match any of the expected tags`);
	only(b, ['type', 'cache_control', ...BLOCKS[b.type]], `${at}.${b.type}`);
	if (b.cache_control)
		only(b.cache_control, ['type', 'ttl'], `${at}.${b.type}.cache_control.ephemeral`);
	if (b.type === 'text')
		want(b.text.trim(), `${at}: text content blocks must contain non-whitespace text`);
	if (b.type === 'thinking')
		want(issued.has(b.signature), `${at}: Invalid \`signature\` in \`thinking\` block`);
	if (b.type === 'image' || b.type === 'document')
		want(['base64', 'text', 'content'].includes(b.source.type), `${at}.source: url sources are not supported`);
	if (b.type === 'tool_result' && Array.isArray(b.content))
		for (const [k, c] of b.content.entries())
			invokeBlock(c, `${at}.content.${k}`, issued);
}

function checkInvoke(body, id, issued) {
	want(isClaude(id), 'Malformed input request');
	only(body, ['anthropic_version', 'anthropic_beta', 'max_tokens',
		'messages', 'system', 'tools', 'tool_choice', 'temperature', 'top_p',
		'top_k', 'stop_sequences', 'thinking', 'metadata',
		'context_management', 'output_config', 'cache_control',
		'user_profile_id'], '');
	want(['bedrock-2023-05-31', '2026-10-21'].includes(body.anthropic_version), 'anthropic_version: Field required');
	want(Number.isInteger(body.max_tokens), 'max_tokens: Field required');
	for (const b of body.anthropic_beta ?? [])
		want(BETAS.includes(b), 'invalid beta flag');
	want(!body.context_management || body.anthropic_beta?.includes('context-management-2025-06-27'), 'context_management: Extra inputs are not permitted');
	if (Array.isArray(body.system))
		for (const [i, s] of body.system.entries())
			invokeBlock(s, `system.${i}`, issued);
	const has = (b) => !!body.anthropic_beta?.some((x) => x.startsWith(b));
	for (const [i, m] of body.messages.entries()) {
		only(m, ['role', 'content', ...(has('mid-conversation-output-config') ? ['output_config'] : [])], `messages.${i}`);
		want(['user', 'assistant', ...(has('mid-conversation') ? ['system'] : [])].includes(m.role), `messages.${i}.role: Input should be 'user' or 'assistant'`);
		if (Array.isArray(m.content))
			for (const [j, b] of m.content.entries())
				invokeBlock(b, `messages.${i}.content.${j}`, issued);
	}
	for (const [i, t] of (body.tools ?? []).entries()) {
		want(!t.type || t.type === 'custom', `tools.${i}: Input tag '${t.type}' is not supported`);
		only(t, ['type', 'name', 'description', 'input_schema', 'cache_control',
			...(has('tool-search') ? ['defer_loading'] : [])], `tools.${i}.custom`);
		if (t.cache_control)
			only(t.cache_control, ['type', 'ttl'], `tools.${i}.custom.cache_control.ephemeral`);
	}
}

// ---- the request in one form: [{ role, text, calls, results, images }] ----

export function turns(body) {
	const flat = (c) => typeof c === 'string' ? c :
		(c ?? []).map((e) => e.text ?? (e.json ? JSON.stringify(e.json) : '')).join('\n');

	return body.messages.map((m) => {
		const parts = typeof m.content === 'string' ? [{ text: m.content }] : m.content;
		return { role: m.role, text: flat(parts.filter((p) => p.text !== undefined)),
			calls: parts.flatMap((p) => p.toolUse ? [{ id: p.toolUse.toolUseId, ...p.toolUse }] :
				p.type === 'tool_use' ? [p] : []),
			results: parts.flatMap((p) => p.toolResult ? [{ id: p.toolResult.toolUseId,
				error: p.toolResult.status === 'error', text: flat(p.toolResult.content),
				images: p.toolResult.content.filter((c) => c.image).length }] :
				p.type === 'tool_result' ? [{ id: p.tool_use_id, error: !!p.is_error,
					text: flat(p.content), images: Array.isArray(p.content) ?
						p.content.filter((c) => c.type === 'image').length : 0 }] : []),
			thinking: parts.filter((p) => p.reasoningContent || p.type === 'thinking').length,
			images: parts.filter((p) => p.image || p.type === 'image').length };
	});
}

// ---- answers ----

function cutUp(s, size) {
	return s.match(new RegExp(`[^]{1,${size}}`, 'gu')) ?? [];
}

function frame(headers, payload) {
	return Buffer.from(codec.encode({ headers: Object.fromEntries(
		Object.entries(headers).map(([k, value]) => [k, { type: 'string', value }])),
		body: fromUtf8(payload === null ? '' : JSON.stringify(payload)) }));
}

const event = (type, payload) => frame({ ':event-type': type,
	':content-type': 'application/json', ':message-type': 'event' },
	{ ...payload, p: 'abcdefgh'.slice(0, serial++ % 8) });

function usageOf(body, a) {
	return { input: 50 + Math.ceil(JSON.stringify(body.messages).length / 4),
		output: 10 + Math.ceil(JSON.stringify(a).length / 4), read: 64, write: 32,
		...a.usage };
}

const callsOf = (a, claude) => (a.calls ?? []).map((c) => ({ name: c.name,
	id: `${claude ? 'toolu_bdrk_' : 'tooluse_'}${String(++serial).padStart(8, '0')}Xy`,
	input: c.args }));

function* converseEvents(a, u, claude, issued) {
	const calls = callsOf(a, claude);
	let i = 0;

	yield event('messageStart', { role: 'assistant' });
	if (a.reasoning) {
		for (const text of cutUp(a.reasoning, 7))
			yield event('contentBlockDelta', { contentBlockIndex: i, delta: { reasoningContent: { text } } });
		if (claude) {
			const signature = `sig/${++serial}+==`;
			issued.add(signature);
			yield event('contentBlockDelta', { contentBlockIndex: i, delta: { reasoningContent: { signature } } });
		}
		yield event('contentBlockStop', { contentBlockIndex: i++ });
	}
	for (const text of cutUp(a.text ?? '', 9))
		yield event('contentBlockDelta', { contentBlockIndex: i, delta: { text } });
	if (a.text)
		yield event('contentBlockStop', { contentBlockIndex: i++ });
	for (const c of calls) {
		yield event('contentBlockStart', { contentBlockIndex: i, start: { toolUse: { toolUseId: c.id, name: c.name } } });
		for (const input of cutUp(JSON.stringify(c.input), 6))
			yield event('contentBlockDelta', { contentBlockIndex: i, delta: { toolUse: { input } } });
		yield event('contentBlockStop', { contentBlockIndex: i++ });
	}
	yield event('messageStop', { stopReason: a.stop ?? (calls.length ? 'tool_use' : 'end_turn') });
	yield event('metadata', { usage: { inputTokens: u.input, outputTokens: u.output,
		totalTokens: u.input + u.output + u.read + u.write, cacheReadInputTokens: u.read,
		cacheWriteInputTokens: u.write }, metrics: { latencyMs: 12 } });
}

function converseWhole(a, u, claude, issued) {
	const content = [];

	if (a.reasoning) {
		const signature = `sig/${++serial}+==`;
		issued.add(signature);
		content.push({ reasoningContent: { reasoningText: { text: a.reasoning, ...(claude ? { signature } : {}) } } });
	}
	if (a.text)
		content.push({ text: a.text });
	for (const c of callsOf(a, claude))
		content.push({ toolUse: { toolUseId: c.id, name: c.name, input: c.input } });
	return { output: { message: { role: 'assistant', content } },
		stopReason: a.stop ?? (a.calls?.length ? 'tool_use' : 'end_turn'),
		usage: { inputTokens: u.input, outputTokens: u.output, totalTokens: u.input + u.output,
			cacheReadInputTokens: u.read, cacheWriteInputTokens: u.write },
		metrics: { latencyMs: 3 } };
}

function message(a, u, issued) {
	const content = [];

	if (a.reasoning) {
		const signature = `sig/${++serial}+==`;
		issued.add(signature);
		content.push({ type: 'thinking', thinking: a.reasoning, signature });
	}
	if (a.text)
		content.push({ type: 'text', text: a.text });
	for (const c of callsOf(a, true))
		content.push({ type: 'tool_use', id: c.id, name: c.name, input: c.input });
	return { id: `msg_bdrk_${++serial}`, type: 'message', role: 'assistant', model: 'upstream-name',
		content, stop_reason: a.stop ?? (a.calls?.length ? 'tool_use' : 'end_turn'), stop_sequence: null,
		usage: { input_tokens: u.input, output_tokens: u.output, cache_read_input_tokens: u.read,
			cache_creation_input_tokens: u.write } };
}

function* invokeEvents(a, u, issued) {
	const chunk = (e) => event('chunk', { bytes: Buffer.from(JSON.stringify(e)).toString('base64') });
	const m = message(a, u, issued);

	yield chunk({ type: 'message_start', message: { ...m, content: [], stop_reason: null,
		usage: { ...m.usage, output_tokens: 1 } } });
	for (const [index, b] of m.content.entries()) {
		const start = b.type === 'tool_use' ? { ...b, input: {} } : b.type === 'thinking' ?
			{ type: 'thinking', thinking: '', signature: '' } : { type: 'text', text: '' };
		yield chunk({ type: 'content_block_start', index, content_block: start });
		if (b.type === 'thinking') {
			for (const thinking of cutUp(b.thinking, 7))
				yield chunk({ type: 'content_block_delta', index, delta: { type: 'thinking_delta', thinking } });
			yield chunk({ type: 'content_block_delta', index, delta: { type: 'signature_delta', signature: b.signature } });
		} else if (b.type === 'text') {
			for (const text of cutUp(b.text, 9))
				yield chunk({ type: 'content_block_delta', index, delta: { type: 'text_delta', text } });
		} else {
			for (const partial_json of cutUp(JSON.stringify(b.input), 6))
				yield chunk({ type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json } });
		}
		yield chunk({ type: 'content_block_stop', index });
	}
	yield chunk({ type: 'message_delta', delta: { stop_reason: m.stop_reason, stop_sequence: null },
		usage: { output_tokens: m.usage.output_tokens } });
	yield chunk({ type: 'message_stop', 'amazon-bedrock-invocationMetrics': { inputTokenCount: u.input,
		outputTokenCount: u.output, invocationLatency: 9, firstByteLatency: 3 } });
}

// ---- the service ----

export class Bedrock {
	constructor({ model, keys = KEYS, region = 'us-east-1', bearer = null,
	    skew = 0, counts = true, hides = {} }) {	/* hides: ARN -> model */
		Object.assign(this, { model, keys, region, bearer, skew, counts, hides });
		this.requests = [];	/* { path, id, operation, headers, body, refusal } */
		this.closed = [];
		this.issued = new Set();
		this.server = http.createServer((req, res) => this.serve(req, res));
	}
	async listen() {
		await new Promise((r) => this.server.listen(0, '127.0.0.1', r));
		this.url = `http://127.0.0.1:${this.server.address().port}`;
		return this;
	}
	close() {
		this.server.closeAllConnections();
		this.server.close();
	}
	get refusals() {
		return this.requests.filter((r) => r.refusal).map((r) => r.refusal);
	}
	get chats() {
		return this.requests.filter((r) => r.operation !== 'count-tokens');
	}
	get now() {
		return Date.now() + this.skew * 1000;
	}
	async authorize(req, body) {
		const given = req.headers.authorization ?? '';

		if (this.bearer) {
			if (given !== `Bearer ${this.bearer}`)
				throw new Refusal(403, 'AccessDeniedException', 'Authentication failed: Please make sure your API Key is valid.');
			return;
		}
		const m = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/bedrock\/aws4_request, SignedHeaders=([^,]+), Signature=[0-9a-f]{64}$/.exec(given);
		if (!m)
			throw new Refusal(403, 'MissingAuthenticationTokenException', `Missing Authentication Token: ${given}`);
		const keys = [this.keys].flat().find((k) => k.accessKeyId === m[1]);
		if (!keys)
			throw new Refusal(403, 'UnrecognizedClientException', 'The security token included in the request is invalid.');
		if (m[3] !== this.region)
			throw new Refusal(403, 'InvalidSignatureException', `Credential should be scoped to a valid region: ${m[3]}`);
		if ((keys.sessionToken ?? undefined) !== req.headers['x-amz-security-token'])
			throw new Refusal(403, 'UnrecognizedClientException', 'The security token included in the request is invalid.');
		if (keys.expired)
			throw new Refusal(403, 'ExpiredTokenException', 'The security token included in the request is expired');
		const d = req.headers['x-amz-date'];
		const at = Date.parse(d.replace(/^(....)(..)(..T..)(..)(..Z)$/, '$1-$2-$3:$4:$5'));
		if (Math.abs(at - this.now) > 300000)
			throw new Refusal(403, 'InvalidSignatureException', `Signature expired: ${d} is now earlier than ${new Date(this.now).toISOString()} (... - 5 min.)`);
		const names = m[4].split(';');
		for (const n of ['host', 'x-amz-date', 'content-type'])
			if (!names.includes(n))
				throw new Refusal(403, 'InvalidSignatureException', `'${n}' must be a 'SignedHeader' in the AWS Authorization.`);
		const signer = new SignatureV4({ credentials: keys, region: this.region,
			service: 'bedrock', sha256: Sha256, applyChecksum: false });
		const [path] = req.url.split('?');
		const signed = await signer.sign(new HttpRequest({ method: req.method,
			protocol: 'http:', hostname: '127.0.0.1', path, body,
			headers: Object.fromEntries(names.filter((n) => !/^x-amz-(date|security-token)$/.test(n))
				.map((n) => [n, req.headers[n]])) }), { signingDate: new Date(at) });
		if (signed.headers.authorization !== given)
			throw new Refusal(403, 'InvalidSignatureException', `The request signature we calculated does not match the signature you provided: ${signed.headers.authorization} not ${given}`);
	}
	async serve(req, res) {
		const parts = [];

		for await (const part of req)
			parts.push(part);
		const bytes = Buffer.concat(parts);
		const m = /^\/model\/([^/?]+)\/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)$/.exec(req.url);
		const entry = { path: req.url, id: m && decodeURIComponent(m[1]), operation: m?.[2],
			headers: req.headers, body: null, refusal: null };

		this.requests.push(entry);
		try {
			if (!m || req.method !== 'POST')
				throw new Refusal(404, 'UnknownOperationException', `${req.method} ${req.url}`);
			await this.authorize(req, bytes);
			try {
				entry.body = JSON.parse(bytes.toString());
			} catch {
				want(false, 'not JSON');
			}
			await this.answer(res, entry);
		} catch (e) {
			if (!(e instanceof Refusal))
				e.stack = `bedrock-upstream.mjs itself: ${e.stack}`;
			entry.refusal = e instanceof Refusal ? `${e.code}: ${e.message}` : e.stack;
			this.send(res, e.status ?? 500, { message: e.message }, { 'x-amzn-errortype':
				`${e.code ?? 'InternalServerException'}:http://internal.amazon.com/coral/com.amazon.bedrock/` });
		}
	}
	send(res, status, body, headers = {}) {
		const text = JSON.stringify(body);

		if (res.headersSent)
			return res.destroy();
		res.writeHead(status, { 'content-type': 'application/json', date: new Date(this.now).toUTCString(),
			'x-amzn-requestid': `aws-${++serial}`, 'content-length': Buffer.byteLength(text), ...headers });
		res.end(text);
	}
	async answer(res, entry) {
		const { operation } = entry, hidden = this.hides[entry.id], id = hidden ?? entry.id;
		const invoke = operation.startsWith('invoke');
		let body = entry.body;

		if (operation === 'count-tokens') {
			want(this.counts && !/^(us|eu|global)\./.test(id), 'The provided model doesn\'t support counting tokens.');
			if (body.input.invokeModel) {
				body = JSON.parse(Buffer.from(body.input.invokeModel.body, 'base64').toString());
				checkInvoke(body, id, this.issued);
			} else {
				checkConverse(body.input.converse, id, this.issued);
			}
			return this.send(res, 200, { inputTokens: 4321 });
		}
		/* The service has an inference profile for these, no model. */
		if (!hidden && /^anthropic\.claude-(opus|sonnet|haiku|fable)-[45]/.test(id))
			want(false, `Invocation of model ID ${id} with on-demand throughput isn't supported. Retry your request with the ID or ARN of an inference profile that contains this model.`);
		(invoke ? checkInvoke : checkConverse)(body, id, this.issued);
		const a = await this.model(body, entry, this);
		if (a.fail?.status)
			throw new Refusal(a.fail.status, a.fail.code, a.fail.message);
		const u = entry.usage = usageOf(body, a);
		const claude = isClaude(id);
		if (!operation.endsWith('stream'))
			return this.send(res, 200, invoke ? message(a, u, this.issued) :
				converseWhole(a, u, claude, this.issued));
		await this.stream(res, invoke ? invokeEvents(a, u, this.issued) :
			converseEvents(a, u, claude, this.issued), a);
	}
	async stream(res, frames, a) {
		let n = 0, gone = false;

		res.on('close', () => {
			gone = true;
			if (!res.writableEnded)
				this.closed.push(Date.now());
		});
		res.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream',
			'x-amzn-requestid': `aws-${++serial}`, date: new Date(this.now).toUTCString() });
		for (const f of frames) {
			if (gone)
				return;
			if (a.fail?.exception && n === (a.fail.after ?? 0)) {
				res.end(frame({ ':exception-type': a.fail.exception, ':content-type': 'application/json',
					':message-type': 'exception' }, { message: a.fail.message }));
				return;
			}
			if (n === a.fail?.cut) {
				await sleep(20);
				res.socket?.destroy();
				return;
			}
			if (n === a.fail?.flip)
				f[f.length - 6] ^= 4;
			n++;
			/* Frames and writes have nothing to do with each other. */
			const at = serial % f.length;
			res.write(f.subarray(0, at));
			res.write(f.subarray(at));
			if (a.delay)
				await sleep(a.delay);
		}
		res.end();
	}
}
