// sdk.mjs -- Anthropic's own SDK through the proxy to strict upstreams.
//
// SPDX-License-Identifier: MIT
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { assert, scenario, sleep, summary } from './harness.mjs';

const modules = process.env.NODE_MODULES;
const Anthropic = createRequire(join(modules, 'x.js'))('@anthropic-ai/sdk');
const MODELS = { openai: 'gpt-5.1', gemini: 'gemini-3-pro', ollama: 'qwen3',
	vllm: 'Qwen/Qwen3-32B' };
const SHAPES = Object.keys(MODELS);
const BASE = { model: 'claude-sonnet-5-5', max_tokens: 4096,
	messages: [{ role: 'user', content: 'Go on.' }] };

function client(px, more = {}) {
	return new Anthropic({ baseURL: px.url, apiKey: 'sk-ant-client-key',
		maxRetries: 0, ...more });
}

function pair(s, shape, model, options) {
	return s.pair(shape, model, MODELS[shape], options);
}

// Texts that differ in every byte class JSON and UTF-8 know; the same each run.
function text(seed, n) {
	const parts = ['plain words ', '\u00fc\u00f1', '\u6f22\u5b57',
		'\ud83d\ude42\ud83d\udc69\u200d\ud83d\udcbb', '\n\n', '\t',
		'"quoted"', '\\back\\', '</script>', '\u2028', '\u0001\u001f',
		'{"a":[1,2]}', '\ufeff', '%s%n', '\u007f', 'data: [DONE]', '\r\n'];
	let out = '', x = seed * 2654435761 >>> 0;

	while (out.length < n) {
		x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
		out += parts[(x >>> 16) % parts.length];
	}
	return `begin ${out} end`;
}

async function fails(promise, type, status) {
	try {
		await promise;
	} catch (e) {
		assert.ok(e instanceof type, `${e.constructor.name}: ${e.message}`);
		if (status !== undefined)
			assert.equal(e.status, status, e.message);
		return e;
	}
	throw new Error(`no ${type.name}`);
}

const usageIn = (u) => u.input_tokens + u.cache_read_input_tokens +
	u.cache_creation_input_tokens;

function checkUsage(u, entry, shape) {
	const given = entry.usage;

	assert.equal(usageIn(u), given.prompt_tokens);
	assert.equal(u.output_tokens, shape === 'gemini' ?
		given.total_tokens - given.prompt_tokens : given.completion_tokens);
	assert.equal(u.cache_read_input_tokens,
		given.prompt_tokens_details?.cached_tokens ?? 0);
}

// ---- answers ----

for (const shape of SHAPES) {
	await scenario(`sdk ${shape}: a stream, byte by byte`, async (s) => {
		const said = text(7, 20000);
		const px = await pair(s, shape, () => ({ text: said }));
		const types = [];
		let got = '';
		const stream = client(px).messages.stream(BASE);

		stream.on('text', (t) => got += t);
		stream.on('streamEvent', (e) => types.push(e.type));
		const m = await stream.finalMessage();
		assert.equal(got, said);
		assert.equal(m.content.length, 1);
		assert.equal(m.content[0].text, said);
		assert.equal(m.stop_reason, 'end_turn');
		assert.equal(m.type, 'message');
		assert.equal(m.role, 'assistant');
		assert.match(m.id, /^msg_/);
		assert.ok(stream.request_id, 'no request-id');
		checkUsage(m.usage, s.up.chats[0], shape);
		assert.equal(types[0], 'message_start');
		assert.deepEqual(types.slice(-3), ['content_block_stop',
			'message_delta', 'message_stop']);
		assert.deepEqual(s.up.refusals, []);
	});

	await scenario(`sdk ${shape}: without a stream`, async (s) => {
		const said = text(11, 20000);
		const px = await pair(s, shape, () => ({ text: said }));
		const m = await client(px).messages.create(BASE);

		assert.equal(m.content[0].text, said);
		assert.equal(m.stop_reason, 'end_turn');
		assert.ok(m._request_id);
		checkUsage(m.usage, s.up.chats[0], shape);
		assert.deepEqual(s.up.refusals, []);
	});
}

const TOOLS = [
	{ name: 'lamp', description: 'State of a lamp', input_schema: {
		$schema: 'https://json-schema.org/draft/2020-12/schema',
		type: 'object', additionalProperties: false, required: ['n'],
		properties: { n: { type: 'integer', exclusiveMinimum: 0, default: 1 },
			tags: { type: 'array', items: { type: 'string',
				enum: ['a', 'b'] }, maxItems: 3, uniqueItems: true },
			note: { type: ['string', 'null'], maxLength: 9 },
			when: { type: 'string', format: 'uri' },
			any: { oneOf: [{ const: 'x' }, { type: 'number',
				multipleOf: 2 }] },
			deep: { $ref: '#/$defs/d' }, list: { type: 'array' },
			map: { type: 'object', additionalProperties: { type: 'string' },
				propertyNames: { pattern: '^[a-z]+$' } } },
		$defs: { d: { type: 'object', properties: { e: { type: 'integer',
			enum: [1, 2] }, again: { $ref: '#/$defs/d' } },
			required: ['e'] } } } },
	{ name: 'camera', input_schema: { type: 'object' } },
	{ name: `mcp__a.server__${'very_'.repeat(10)}long`,
		description: 'A name no provider takes', input_schema: {
			type: 'object', properties: {} } }];
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const GIF = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';

for (const shape of SHAPES)
	for (const how of ['stream', 'create'])
		await scenario(`sdk ${shape}: tools and back, ${how}`, async (s) => {
			const args = [`{"n":3,"tags":["a"],"note":${
				JSON.stringify(text(3, 3000))},"big":12345678901234567890,"f":1.50}`,
				'{}', '{"x":{"y":[[],{}]}}'];
			const model = (body) => body.messages.some((m) => m.role === 'tool') ?
				{ text: 'Lit.' } : { text: 'Looking.', calls:
				body.tools.map((t, i) => ({ name: t.function.name,
					args: args[i] })) };
			const px = await pair(s, shape, model);
			const c = client(px);
			const ask = { ...BASE, tools: TOOLS };
			const raw = [];
			let first;

			if (how === 'stream') {
				const stream = c.messages.stream(ask);
				stream.on('streamEvent', (e) => {
					if (e.delta?.type === 'input_json_delta')
						raw[e.index] = (raw[e.index] ?? '') +
							e.delta.partial_json;
				});
				first = await stream.finalMessage();
				assert.deepEqual(raw.filter(Boolean), args);
			} else {
				first = await c.messages.create(ask);
			}
			assert.equal(first.stop_reason, 'tool_use');
			assert.equal(first.content[0].text, 'Looking.');
			const uses = first.content.slice(1);
			assert.deepEqual(uses.map((u) => u.name), TOOLS.map((t) => t.name));
			assert.deepEqual(uses.map((u) => u.input),
				args.map((a) => JSON.parse(a)));
			assert.equal(new Set(uses.map((u) => u.id)).size, 3);
			const second = { ...ask, messages: [...ask.messages,
				{ role: 'assistant', content: first.content },
				{ role: 'user', content: [
					{ type: 'tool_result', tool_use_id: uses[2].id,
						content: [{ type: 'text', text: 'third' }] },
					{ type: 'tool_result', tool_use_id: uses[1].id, content: [
						{ type: 'text', text: 'a picture:' },
						{ type: 'image', source: { type: 'base64',
							media_type: 'image/png', data: PIXEL } }] },
					{ type: 'tool_result', tool_use_id: uses[0].id,
						content: 'no bulb', is_error: true },
					{ type: 'text', text: 'And now?' }] }] };
			const m = how === 'stream' ?
				await c.messages.stream(second).finalMessage() :
				await c.messages.create(second);
			assert.equal(m.content[0].text, 'Lit.');
			assert.deepEqual(s.up.refusals, []);
			const sent = s.up.chats[1].body.messages;
			const at = sent.findIndex((x) => x.tool_calls);
			assert.deepEqual(sent.slice(at + 1, at + 4).map((x) => x.role),
				['tool', 'tool', 'tool']);
			assert.match(sent[at + 1].content, /no bulb/);
			assert.equal(sent[at + 3].content, 'third');
			assert.deepEqual(sent[at].tool_calls.map((x) =>
				x.function.arguments), args.map((a) =>
				JSON.stringify(JSON.parse(a))));
			assert.ok(JSON.stringify(sent[at + 4].content).includes(
				`data:image/png;base64,${PIXEL}`));
			assert.ok(JSON.stringify(sent[at + 4].content).includes('And now?'));
		});

for (const shape of ['vllm', 'ollama'])
	await scenario(`sdk ${shape}: thinking and back`, async (s) => {
		const thought = text(5, 900);
		const px = await pair(s, shape, (body) => body.messages.length > 2 ?
			{ text: 'Again.' } : { reasoning: thought, text: 'Said.' });
		const c = client(px);
		const thinking = { type: 'enabled', budget_tokens: 2000 };
		const m = await c.messages.stream({ ...BASE, thinking }).finalMessage();

		assert.deepEqual(m.content.map((b) => b.type), ['thinking', 'text']);
		assert.equal(m.content[0].thinking, thought);
		assert.ok(m.content[0].signature);
		const off = await c.messages.create({ ...BASE,
			thinking: { type: 'disabled' } });
		assert.deepEqual(off.content.map((b) => b.type), ['text']);
		const whole = await c.messages.create({ ...BASE, thinking });
		assert.equal(whole.content[0].thinking, thought);
		await c.messages.create({ ...BASE, thinking, messages: [
			...BASE.messages, { role: 'assistant', content: m.content },
			{ role: 'user', content: 'More.' }] });
		assert.deepEqual(s.up.refusals, []);
	});

for (const shape of SHAPES)
	await scenario(`sdk ${shape}: pictures and documents`, async (s) => {
		const px = await pair(s, shape, () => ({ text: 'Seen.' }));
		const pdf = Buffer.from('%PDF-1.4\n1 0 obj<</Type /Page>>endobj\n%%EOF\n')
			.toString('base64');
		const content = [
			{ type: 'image', source: { type: 'base64', media_type: 'image/png',
				data: PIXEL } },
			{ type: 'image', source: { type: 'base64', media_type: 'image/jpeg',
				data: PIXEL } },	/* says jpeg, is png */
			{ type: 'image', source: { type: 'base64', media_type: 'image/gif',
				data: GIF } },
			{ type: 'document', title: 'a "b"', source: { type: 'base64',
				media_type: 'application/pdf', data: pdf } },
			{ type: 'document', source: { type: 'text',
				media_type: 'text/plain', data: 'plain paper' } },
			{ type: 'text', text: 'What is this?' }];
		const m = await client(px).messages.create({ ...BASE,
			messages: [{ role: 'user', content }] });
		const parts = s.up.chats.at(-1).body.messages.at(-1).content;

		assert.equal(m.content[0].text, 'Seen.');
		assert.deepEqual(s.up.refusals, []);
		const urls = parts.filter((p) => p.type === 'image_url')
			.map((p) => p.image_url.url);
		assert.equal(urls.length, shape === 'ollama' ? 2 : 3);
		assert.equal(urls[0], `data:image/png;base64,${PIXEL}`);
		assert.equal(urls[1], urls[0]);
		assert.equal(parts.filter((p) => p.type === 'file').length,
			shape === 'openai' ? 1 : 0);
		assert.ok(JSON.stringify(parts).includes('plain paper'));
	});

for (const shape of SHAPES)
	await scenario(`sdk ${shape}: odd conversations are mended`, async (s) => {
		const px = await pair(s, shape, () => ({ text: 'Fine.' }));
		const use = (id, name = 'lamp') => ({ type: 'tool_use', id, name,
			input: { n: 1 } });
		const result = (id, content) => ({ type: 'tool_result',
			tool_use_id: id, content });
		const conversations = [
			/* A call that was never answered. */
			[{ role: 'user', content: 'a' },
				{ role: 'assistant', content: [use('t1'), use('t2')] },
				{ role: 'user', content: [result('t2', 'two')] },
				{ role: 'user', content: 'b' }],
			/* A result whose call was compacted away; one twice. */
			[{ role: 'user', content: [result('gone', 'lost'),
				{ type: 'text', text: 'a' }] },
				{ role: 'assistant', content: [use('t1')] },
				{ role: 'user', content: [result('t1', 'x'),
					result('t1', 'y')] }],
			/* Empty results, long and odd ids, blank texts. */
			[{ role: 'user', content: 'a' },
				{ role: 'assistant', content: [{ type: 'text', text: 'hm' },
					use(`id.with:odd/${'x'.repeat(60)}`), use('u', 'camera')] },
				{ role: 'user', content: [
					result(`id.with:odd/${'x'.repeat(60)}`, ''),
					{ type: 'tool_result', tool_use_id: 'u' },
					{ type: 'text', text: 'go' }] }],
			/* System messages in between, as Claude Code sends them. */
			[{ role: 'user', content: 'a' },
				{ role: 'system', content: 'Environment: none.' },
				{ role: 'assistant', content: [use('t1')] },
				{ role: 'user', content: [result('t1', 'x')] },
				{ role: 'system', content: [{ type: 'text',
					text: 'Reminder.' }] }],
			/* Thinking of another model, redacted, server tools. */
			[{ role: 'user', content: 'a' },
				{ role: 'assistant', content: [
					{ type: 'thinking', thinking: 'hm', signature: 'EqQBabc=' },
					{ type: 'redacted_thinking', data: 'zzz' },
					{ type: 'text', text: 'b' }] },
				{ role: 'user', content: 'c' }],
		];
		const c = client(px);

		for (const messages of conversations) {
			const m = await c.messages.create({ ...BASE, tools: TOOLS,
				messages, system: [{ type: 'text', text: 'Be kind.',
					cache_control: { type: 'ephemeral' } }],
				metadata: { user_id: 'u'.repeat(170) } });
			assert.equal(m.content[0].text, 'Fine.');
		}
		assert.deepEqual(s.up.refusals, []);
		assert.equal(s.up.chats.length, conversations.length);
	});

for (const shape of SHAPES)
	await scenario(`sdk ${shape}: every parameter at once`, async (s) => {
		const px = await pair(s, shape, () => ({ text: 'one two STOP three' }));
		const m = await client(px).beta.messages.create({ ...BASE,
			temperature: 0.3, top_p: 0.9, top_k: 5,
			stop_sequences: ['STOP', 'HALT', 'XX', 'YY', 'ZZ'],
			service_tier: 'auto', metadata: { user_id: 'x'.repeat(200) },
			tools: TOOLS, tool_choice: { type: 'tool', name: 'lamp',
				disable_parallel_tool_use: true },
			thinking: { type: 'enabled', budget_tokens: 1024 },
			output_config: { effort: 'high' },
			context_management: { edits: [
				{ type: 'clear_thinking_20251015', keep: 'all' }] },
			betas: ['context-management-2025-06-27', 'unknown-beta-2099'] });

		assert.equal(m.stop_reason, 'stop_sequence');
		assert.equal(m.stop_sequence, 'STOP');
		assert.equal(m.content[0].text, 'one two ');
		assert.deepEqual(s.up.refusals, []);
		const l = await px.logged((e) => e.stop_reason === 'stop_sequence');
		assert.ok(l.notes.length > 0, 'no notes');
	});

await scenario('sdk: output format, and parallel calls kept to one', async (s) => {
	const px = await pair(s, 'openai', (b) => b.response_format ?
		{ text: '{"a":1}' } : { calls: [{ name: 'camera', args: {} },
			{ name: 'camera', args: { second: true } }] });
	const c = client(px);
	const m = await c.messages.create({ ...BASE, output_config: { format: {
		type: 'json_schema', schema: { type: 'object',
			additionalProperties: false, properties: { a: { type: 'integer' } },
			required: ['a'] } } } });

	assert.equal(m.content[0].text, '{"a":1}');
	const f = s.up.chats[0].body.response_format;
	assert.equal(f.type, 'json_schema');
	assert.equal(f.json_schema.strict, true);
	const one = await c.messages.stream({ ...BASE, tools: TOOLS, tool_choice: {
		type: 'any', disable_parallel_tool_use: true } }).finalMessage();
	assert.equal(one.content.filter((b) => b.type === 'tool_use').length, 1);
	assert.equal(one.stop_reason, 'tool_use');
	assert.equal(s.up.chats[1].body.parallel_tool_calls, false);
	assert.equal(s.up.chats[1].body.tool_choice, 'required');
	assert.deepEqual(s.up.refusals, []);
});

// ---- the rest of the surface ----

await scenario('sdk: count_tokens, exact at vLLM and estimated elsewhere', async (s) => {
	const px = await pair(s, 'vllm', () => ({ text: 'x' }));
	const { model, messages } = BASE;
	const r = await client(px).messages.countTokens({ model, messages,
		tools: TOOLS });

	assert.equal(r.input_tokens, 4321);
	await px.stop();
	const other = await pair(s, 'openai', () => ({ text: 'x' }));
	const few = await client(other).messages.countTokens({ model, messages });
	const more = await client(other).messages.countTokens({ model, messages: [
		{ role: 'user', content: 'The harbour master logs every arrival. '
			.repeat(100) }] });
	assert.ok(few.input_tokens > 0 && few.input_tokens < 30);
	assert.ok(more.input_tokens > 600 && more.input_tokens < 900,
		String(more.input_tokens));
	assert.equal(s.up.chats.length, 0);
});

/* All that a count has to carry into another form. */
const COUNTED = { model: BASE.model, system: 'You keep a lighthouse.', tools: TOOLS,
	messages: [{ role: 'user', content: [{ type: 'text', text: 'Look.' },
		{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: PIXEL } }] },
	{ role: 'assistant', content: [{ type: 'text', text: 'So.' },
		{ type: 'tool_use', id: 'a', name: 'lamp', input: { n: 1, note: '"\\\n' } },
		{ type: 'tool_use', id: 'b', name: 'camera', input: {} }] },
	{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'b', content: text(5, 300) },
		{ type: 'tool_result', tool_use_id: 'a', content: 'on', is_error: true },
		{ type: 'text', text: 'Go on.' }] }] };

async function counting(s, shape, options = {}) {
	await s.upstream({ shape, model: () => ({ text: 'x' }), ...options });
	const px = await s.proxy({ OPENAI_API_KEY: s.up.key, OPENAI_MODEL: 'some-model',
		OPENAI_BASE_URL: shape === 'gemini' ?
			s.up.base.replace(/v1$/, 'v1beta/openai') : s.up.base,
		OPENAI_PROFILE: shape.replace('-old', ''), OPENAI_FLAGS: 'exact_count=1' });

	return async () => (await client(px).messages.countTokens(COUNTED)).input_tokens;
}

await scenario('sdk: OA-124, OA-125: counted in each service\'s own form', async (s) => {
	for (const [shape, want] of [['openai', 2222], ['gemini', 3333], ['llamacpp', 1003]]) {
		const ask = await counting(s, shape);

		assert.equal(await ask(), want, shape);
		assert.deepEqual(s.up.refusals, []);
		assert.equal(s.up.requests.length, 1);
		await s.px.stop();
	}
});

await scenario('sdk: OA-124: an older llama.cpp is asked in two steps, once learnt', async (s) => {
	const ask = await counting(s, 'llamacpp-old');
	const n = await ask();

	assert.equal(n, Math.ceil(s.up.prompt.length / 4), 'tokens of the prompt');
	assert.equal(await ask(), n);
	assert.deepEqual(s.up.requests.map((r) => r.path), ['/v1/messages/count_tokens',
		'/apply-template', '/tokenize', '/apply-template', '/tokenize']);
});

await scenario('sdk: OA-126: no count is ever an error, nor long', async (s) => {
	const guess = { low: 100, high: 4000 };
	const cases = { 'a 404': { status: 404 }, 'a 500': { status: 500 },
		nonsense: { status: 200, body: { tokens: 'many' } }, 'a reset': { reset: true },
		silence: { late: 4000 } };

	for (const shape of ['openai', 'gemini', 'llamacpp', 'llamacpp-old'])
		for (const [what, fault] of Object.entries(cases)) {
			const ask = await counting(s, shape, { counting: fault });
			const at = Date.now();
			const n = await ask();

			assert.ok(n > guess.low && n < guess.high, `${shape}, ${what}: ${n}`);
			assert.ok(Date.now() - at < 3500, `${shape}, ${what}`);
			const asked = s.up.requests.length;
			if (fault.status === 404) {
				await ask();
				assert.equal(s.up.requests.length, asked, `${shape}: asked again`);
			}
			await s.px.stop();
		}
});

await scenario('sdk: models', async (s) => {
	const px = await pair(s, 'openai', () => ({ text: 'x' }));
	const c = client(px);
	const ids = [];

	for await (const m of c.models.list({ limit: 2 }))
		ids.push(m.id);
	assert.ok(ids.includes('model-a') && ids.includes('model-b'), String(ids));
	assert.ok(ids.some((i) => i.startsWith('claude-')), String(ids));
	assert.equal(new Set(ids).size, ids.length);
	const m = await c.models.retrieve('claude-opus-5-5');
	assert.equal(m.id, 'claude-opus-5-5');
	assert.equal(m.type, 'model');
});

await scenario('sdk: twenty streams at once, each its own', async (s) => {
	const px = await pair(s, 'openai', (body) => {
		const n = Number(body.messages.at(-1).content.split(' ')[1]);
		return { text: text(n, 4000 + 97 * n), delay: n % 3 ? 1 : 0,
			calls: [{ name: 'camera', args: { n, t: text(n + 50, 500) } }] };
	});
	const c = client(px);
	const all = await Promise.all(Array.from({ length: 20 }, (_, n) =>
		c.messages.stream({ ...BASE, tools: TOOLS, messages: [{ role: 'user',
			content: `Number ${n} please` }] }).finalMessage()));

	for (const [n, m] of all.entries()) {
		assert.equal(m.content[0].text, text(n, 4000 + 97 * n));
		assert.deepEqual(m.content[1].input, { n, t: text(n + 50, 500) });
	}
	assert.deepEqual(s.up.refusals, []);
	assert.equal(px.log.length, 20);
});

await scenario('sdk: five megabytes in, one out', async (s) => {
	const said = text(1, 1000000);
	const long = text(2, 5000000);
	const px = await pair(s, 'openai', () => ({ pieces: said
		.match(/[^]{1,4001}(?![\udc00-\udfff])/g) }));
	const m = await client(px).messages.stream({ ...BASE, messages: [
		{ role: 'user', content: long }] }).finalMessage();

	assert.equal(m.content[0].text, said);
	assert.equal(s.up.chats[0].body.messages.at(-1).content, long);
});

// ---- failures ----

const failing = (status, more = {}) => () => ({ fail: { status, ...more } });

await scenario('sdk: a bad key upstream is tried once', async (s) => {
	const px = await pair(s, 'openai', () => ({ text: 'x' }),
		{ env: { OPENAI_API_KEY: 'sk-wrong-0123456789' } });
	const e = await fails(client(px, { maxRetries: 2 }).messages.create(BASE),
		Anthropic.AuthenticationError, 401);

	assert.equal(e.headers.get('x-should-retry'), 'false');
	assert.equal(e.error.error.type, 'authentication_error');
	assert.ok(e.requestID ?? e.headers.get('request-id'));
	assert.ok(!e.message.includes('sk-wrong-0123456789'));
	assert.equal(s.up.chats.length, 1);
});

await scenario('sdk: 429 and its retry-after', async (s) => {
	let n = 0;
	const px = await pair(s, 'openai', () => n++ ? { text: 'now' } :
		{ fail: { status: 429, headers: { 'retry-after': '1' } } });
	const began = Date.now();
	const m = await client(px, { maxRetries: 1 }).messages.create(BASE);

	assert.equal(m.content[0].text, 'now');
	assert.ok(Date.now() - began >= 950, 'it did not wait');
	n = 0;
	const e = await fails(client(px).messages.stream(BASE).finalMessage(),
		Anthropic.RateLimitError, 429);
	assert.equal(e.headers.get('retry-after'), '1');
	assert.equal(e.error.error.type, 'rate_limit_error');
});

await scenario('sdk: each status has its class', async (s) => {
	let status;
	const px = await pair(s, 'openai', () => ({ fail: { status } }));

	for (const [from, type, to, name] of [
		[400, Anthropic.BadRequestError, 400, 'invalid_request_error'],
		[402, Anthropic.APIError, 402, 'billing_error'],
		[403, Anthropic.PermissionDeniedError, 403, 'permission_error'],
		[404, Anthropic.NotFoundError, 404, 'not_found_error'],
		[422, Anthropic.BadRequestError, 400, 'invalid_request_error'],
		[500, Anthropic.InternalServerError, 500, 'api_error'],
		[503, Anthropic.InternalServerError, 529, 'overloaded_error'],
		[529, Anthropic.InternalServerError, 529, 'overloaded_error'],
		[504, Anthropic.InternalServerError, 504, 'timeout_error'],
	]) {
		status = from;
		const e = await fails(client(px).messages.stream(BASE).finalMessage(),
			type, to);
		assert.equal(e.error.error.type, name);
		assert.equal(e.error.type, 'error');
	}
});

for (const shape of SHAPES)
	await scenario(`sdk ${shape}: too long a prompt says so`, async (s) => {
		const words = {
			openai: [400, { error: { message: "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens. Please reduce the length of the messages.", type: 'invalid_request_error', param: 'messages', code: 'context_length_exceeded' } }],
			gemini: [400, [{ error: { code: 400, status: 'INVALID_ARGUMENT', message: 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).' } }]],
			ollama: [400, { error: { message: 'prompt is too long: context length exceeded', type: 'invalid_request_error', param: null, code: null } }],
			vllm: [400, { error: { message: "This model's maximum context length is 32768 tokens. However, your request has 40000 input tokens. Please reduce the length of the input messages.", type: 'BadRequestError', param: null, code: 400 } }],
		}[shape];
		const px = await pair(s, shape, failing(words[0], { body: words[1] }));
		const e = await fails(client(px).messages.stream(BASE).finalMessage(),
			Anthropic.BadRequestError, 400);

		assert.match(e.error.error.message,
			/^prompt is too long: \d+ tokens > \d+ maximum/);
	});

await scenario('sdk: mistakes of the client stay here', async (s) => {
	const px = await pair(s, 'openai', () => ({ text: 'x' }));
	const c = client(px);
	const { max_tokens: _, ...without } = BASE;

	for (const bad of [without, { ...BASE, messages: [] },
		{ ...BASE, messages: [{ role: 'user', content: [{ type: 'text' }] }] }]) {
		const e = await fails(c.messages.create(bad),
			Anthropic.BadRequestError, 400);
		assert.equal(e.error.error.type, 'invalid_request_error');
	}
	assert.equal(s.up.chats.length, 0);
});

await scenario('sdk: a key for the proxy itself', async (s) => {
	const px = await pair(s, 'openai', () => ({ text: 'in' }),
		{ env: { PROXY_API_KEY: 'sk-proxy-0123456789' } });
	const e = await fails(client(px, { maxRetries: 2 }).messages.create(BASE),
		Anthropic.AuthenticationError, 401);

	assert.equal(e.headers.get('x-should-retry'), 'false');
	assert.equal(s.up.chats.length, 0);
	for (const how of [{ apiKey: 'sk-proxy-0123456789' },
		{ apiKey: null, authToken: 'sk-proxy-0123456789' }]) {
		const m = await client(px, how).messages.create(BASE);
		assert.equal(m.content[0].text, 'in');
	}
	assert.ok(!JSON.stringify(s.up.requests).includes('sk-proxy-0123456789'));
	assert.ok(!px.console.includes('sk-proxy-0123456789'));
});

await scenario('sdk: abort in mid-stream reaches the upstream', async (s) => {
	const px = await pair(s, 'openai', () => ({ text: text(9, 60000),
		delay: 10 }));
	const stream = client(px).messages.stream(BASE);
	let aborted = 0;

	stream.on('text', (_, so_far) => {
		if (so_far.length > 50 && !aborted) {
			aborted = Date.now();
			stream.abort();
		}
	});
	await fails(stream.finalMessage(), Anthropic.APIUserAbortError);
	for (let i = 0; i < 50 && s.up.closed.length === 0; i++)
		await sleep(20);
	assert.equal(s.up.closed.length, 1, 'the upstream still sends');
	assert.ok(s.up.closed[0] - aborted < 1000);
	assert.ok(await px.logged((l) => l.outcome === 'cancelled'));
});

for (const shape of SHAPES)
	await scenario(`sdk ${shape}: a cut answer is no finished one`, async (s) => {
		const px = await pair(s, shape, () => ({ text: text(4, 3000),
			calls: [{ name: 'camera', args: { a: text(6, 900) } }],
			fail: { cut: s.cut } }));

		for (const cut of [5, 200]) {
			s.cut = cut;
			const stream = client(px).messages.stream({ ...BASE,
				tools: TOOLS });
			const types = [];
			stream.on('streamEvent', (e) => types.push(e.type));
			const e = await fails(stream.finalMessage(), Anthropic.APIError);
			assert.equal(e.error.error.type, 'api_error');
			assert.ok(!types.includes('message_stop'));
			assert.ok(!types.includes('message_delta'));
		}
		assert.ok(await px.logged((l) => l.outcome === 'cut'));
		assert.equal(s.up.chats.length, 2, 'no second try after bytes');
	});

await scenario('sdk: nothing listens upstream', async (s) => {
	const px = await pair(s, 'openai', () => ({ text: 'x' }),
		{ env: { OPENAI_BASE_URL: 'http://127.0.0.1:1/v1' } });
	const e = await fails(client(px).messages.create(BASE),
		Anthropic.InternalServerError, 502);

	assert.equal(e.error.error.type, 'api_error');
});

for (const [shape, options] of [['vllm', { window: 20000 }],
	['gemini', { most: 65536 }], ['openai', { most: 16384 }]])
	await scenario(`sdk ${shape}: learns how long an answer may be`, async (s) => {
		const px = await pair(s, shape, () => ({ text: 'short' }), options);
		const c = client(px);
		const ask = { ...BASE, max_tokens: 100000 };

		for (let i = 0; i < 3; i++)
			assert.equal((await c.messages.stream(ask).finalMessage())
				.content[0].text, 'short');
		assert.equal(s.up.refusals.length, 1, String(s.up.refusals));
	});

await scenario('sdk: what an upstream refuses is left out from then on', async (s) => {
	let refused = 0;
	const px = await pair(s, 'vllm', (body) => {
		if (!('top_k' in body))
			return { text: 'without' };
		refused++;
		return { fail: { status: 400, body: { error: { message:
			"Unsupported parameter: 'top_k' is not supported with this model.",
			param: 'top_k', type: 'BadRequestError', code: 400 } } } };
	});
	const c = client(px);

	for (let i = 0; i < 3; i++)
		assert.equal((await c.messages.create({ ...BASE, top_k: 4 }))
			.content[0].text, 'without');
	assert.equal(refused, 1);
	assert.equal(s.up.chats.length, 4);
});

summary('sdk');
