// anthropic.mjs -- the backend whose bytes pass: a stand-in for Anthropic's
// service that keeps what it got and sends what no list of events knows.
//
// SPDX-License-Identifier: MIT
import http from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { assert, scenario, summary } from './harness.mjs';

const Anthropic = createRequire(join(process.env.NODE_MODULES,
	'x.js'))('@anthropic-ai/sdk');
const KEY = 'sk-ant-client-key-0123456789';
const STREAM = [
	['message_start', { message: { id: 'msg_1', type: 'message',
		role: 'assistant', model: 'm', content: [], stop_reason: null,
		stop_sequence: null, usage: { input_tokens: 9, output_tokens: 1,
			field_of_2099: { deep: [1, 2.50] } } } }],
	['ping', {}], ['event_of_2099', { anything: '\u6f22 \ud83d\ude42' }],
	['content_block_start', { index: 0, content_block: { type: 'text',
		text: '', mark: null } }],
	['content_block_delta', { index: 0, delta: { type: 'text_delta',
		text: 'as it is \u2028 "q"' } }],
	['content_block_stop', { index: 0 }],
	['message_delta', { delta: { stop_reason: 'end_turn',
		stop_sequence: null }, usage: { output_tokens: 7 } }],
	['message_stop', {}],
].map(([type, rest]) => `event: ${type}\r\ndata:  ${
	JSON.stringify({ type, ...rest })}\r\n\r\n: a comment\r\n\r\n`).join('');
const WHOLE = '{"id":"msg_2", "type":"message","role":"assistant","model":"m",\n "content":[{"type":"text","text":"\\u0041 whole"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":4},"field_of_2099":1e2}';

async function service(stage, answer) {
	const got = [];
	const server = http.createServer(async (req, res) => {
		const parts = [];
		for await (const part of req)
			parts.push(part);
		got.push({ url: req.url, headers: req.headers,
			body: Buffer.concat(parts).toString() });
		const a = answer(got.at(-1));
		res.writeHead(a.status ?? 200, { 'content-type': a.type ??
			'application/json', 'request-id': 'req_theirs',
			'anthropic-ratelimit-requests-limit': '50', ...a.headers });
		res.end(a.body);
	});
	await new Promise((r) => server.listen(0, '127.0.0.1', r));
	stage.keep({ close: () => {
		server.closeAllConnections();
		server.close();
	} });
	return { got, url: `http://127.0.0.1:${server.address().port}` };
}

const usual = ({ url, body }) => /count_tokens/.test(url) ?
	{ body: '{"input_tokens":77}' } : JSON.parse(body).stream ?
	{ type: 'text/event-stream; charset=utf-8', body: STREAM } :
	{ body: WHOLE };

function post(px, body, headers = {}) {
	return fetch(`${px.url}/v1/messages?beta=true`, { method: 'POST', body,
		headers: { 'content-type': 'application/json',
			'anthropic-version': '2023-06-01', 'x-api-key': KEY, ...headers } });
}

for (const stream of [true, false])
	await scenario(`anthropic: bytes pass both ways, ${stream ? 'stream' :
		'whole'}`, async (s) => {
		const a = await service(s, usual);
		const px = await s.proxy({ LLM_BACKEND: 'anthropic',
			ANTHROPIC_UPSTREAM_URL: a.url });
		const body = `{ "model":"claude-opus-5-5", "max_tokens": 1e2,"stream":${stream},\n"field_of_2099":{"x":1.50},"messages":[{"role":"user","content":[{"type":"text","text":"\\u00fc \u6f22","cache_control":{"type":"ephemeral"}},{"type":"block_of_2099","y":[]}]}]}`;
		const r = await post(px, body, { 'anthropic-beta':
			'beta-of-2099-01-01,context-1m-2025-08-07',
			cookie: 'a=b', 'x-claude-code-session-id': 'f00d' });

		assert.equal(r.status, 200);
		assert.equal(await r.text(), stream ? STREAM : WHOLE);
		assert.equal(r.headers.get('anthropic-ratelimit-requests-limit'), '50');
		assert.equal(a.got.length, 1);
		assert.equal(a.got[0].body, body);
		assert.equal(a.got[0].url, '/v1/messages?beta=true');
		const h = a.got[0].headers;
		assert.equal(h['x-api-key'], KEY);
		assert.equal(h['anthropic-beta'],
			'beta-of-2099-01-01,context-1m-2025-08-07');
		assert.equal(h['x-claude-code-session-id'], 'f00d');
		assert.equal(h.cookie, undefined);
		const l = await px.logged((e) => e.backend === 'anthropic');
		assert.equal(l.output_tokens, stream ? 7 : 4);
		assert.ok(!px.console.includes(KEY));
		assert.ok(!JSON.stringify(px.journal).includes(KEY));
	});

await scenario('anthropic: the SDK, counting, and its refusals', async (s) => {
	let refusal = null;
	const a = await service(s, (r) => refusal ?? usual(r));
	const px = await s.proxy({ LLM_BACKEND: 'anthropic',
		ANTHROPIC_UPSTREAM_URL: a.url });
	const c = new Anthropic({ baseURL: px.url, apiKey: null, maxRetries: 0,
		authToken: 'token-0123456789' });
	const ask = { model: 'claude-opus-5-5', max_tokens: 9,
		messages: [{ role: 'user', content: 'x' }] };
	const m = await c.messages.stream(ask).finalMessage();

	assert.equal(m.content[0].text, 'as it is \u2028 "q"');
	assert.equal(a.got[0].headers.authorization, 'Bearer token-0123456789');
	assert.equal(a.got[0].headers['x-api-key'], undefined);
	const { max_tokens: _, ...count } = ask;
	assert.equal((await c.messages.countTokens(count)).input_tokens, 77);
	refusal = { status: 429, headers: { 'retry-after': '7' }, body:
		'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}' };
	await assert.rejects(c.messages.create(ask), (e) => e.status === 429 &&
		e.error.error.type === 'rate_limit_error' &&
		e.headers.get('retry-after') === '7');
});

await scenario('anthropic: a credential goes home and nowhere else', async (s) => {
	const a = await service(s, usual);
	await s.upstream({ shape: 'openai', model: () => ({ text: 'other' }) });
	const px = await s.proxy({ LLM_BACKEND: 'anthropic',
		ANTHROPIC_UPSTREAM_URL: a.url, OPENAI_BASE_URL: s.up.base,
		OPENAI_API_KEY: s.up.key, OPENAI_PROFILE: 'openai',
		MODEL_MAP: 'claude-haiku-*=openai_compatible:gpt-5.1,claude-sonnet-*=anthropic:claude-renamed' });
	const text = (model) => `{"model":"${model}","max_tokens":50,"messages":[{"role":"user","content":"x"}]}`;

	for (const model of ['claude-haiku-5-5', 'claude-sonnet-5-5',
		'claude-opus-5-5'])
		assert.equal((await post(px, text(model))).status, 200);
	assert.deepEqual(a.got.map((r) => r.body), [text('claude-renamed'),
		text('claude-opus-5-5')]);
	assert.ok(a.got.every((r) => r.headers['x-api-key'] === KEY));
	assert.ok(!JSON.stringify(a.got).includes(s.up.key));
	assert.equal(s.up.chats.length, 1);
	assert.ok(!JSON.stringify(s.up.requests).includes(KEY));
});

await scenario('anthropic: its own key replaces the client\'s; ours stays', async (s) => {
	const a = await service(s, usual);
	const px = await s.proxy({ LLM_BACKEND: 'anthropic',
		ANTHROPIC_UPSTREAM_URL: a.url, PROXY_API_KEY: KEY,
		ANTHROPIC_API_KEY: 'sk-ant-owner-0123456789' });
	const r = await post(px, '{"model":"claude-opus-5-5","max_tokens":5,"messages":[{"role":"user","content":"x"}]}');

	assert.equal(r.status, 200);
	assert.equal(a.got[0].headers['x-api-key'], 'sk-ant-owner-0123456789');
	assert.ok(!JSON.stringify(a.got).includes(KEY));
});

summary('anthropic');
