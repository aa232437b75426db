// bedrock.mjs -- Amazon Bedrock: the real Claude Code and Anthropic's SDK
// through the proxy to a stand-in that judges with AWS's own packages.
//
// SPDX-License-Identifier: MIT
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Bedrock, KEYS, turns } from './bedrock-upstream.mjs';
import { project, run } from './claude.mjs';
import { assert, scenario, summary } from './harness.mjs';

const Anthropic = createRequire(join(process.env.NODE_MODULES,
	'x.js'))('@anthropic-ai/sdk');
const TRICKY = 'tab\there "quoted" back\\slash \u00fc \u6f22 \ud83d\ude42 </x> $HOME %s';
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const ENV = { LLM_BACKEND: 'bedrock', AWS_REGION: 'us-east-1',
	AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
	AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey };

async function pair(s, model, env = {}, options = {}) {
	const b = s.keep(await new Bedrock({ model, ...options }).listen());
	const px = await s.proxy({ ...ENV,
		AWS_ENDPOINT_URL_BEDROCK_RUNTIME: b.url, ...env });

	return { b, px, client: new Anthropic({ baseURL: px.url,
		apiKey: 'sk-ant-client-key', maxRetries: 0 }) };
}

// ---- Claude Code ----

function job(dir) {
	return (body) => {
		const all = turns(body);
		const at = all.findIndex((t) => t.role === 'user' && t.text.includes('JOB['));
		const last = all.at(-1);

		if (at < 0)
			return { text: 'Nothing to do.' };
		switch (all.slice(at).filter((t) => t.calls.length).length) {
		case 0:
			return { reasoning: 'Two files and a picture, all at once.',
				text: 'Reading.', calls: ['a.txt', 'b.txt', 'p.png'].map((f) =>
					({ name: 'Read', args: { file_path: `${dir}/${f}` } })) };
		case 1: {
			const r = last.results;
			if (r.length !== 3 || !r.some((x) => x.text.includes(TRICKY)))
				return { text: `BROKEN ${JSON.stringify(last)}` };
			const n = r.map((x) => /number is (\d+)/.exec(x.text)?.[1]).find(Boolean);
			return { reasoning: `The number is ${n}.`, calls: [{ name: 'Write',
				args: { file_path: `${dir}/out.txt`,
					content: `number=${n} images=${r.reduce((k, x) => k + x.images, 0)}\n${TRICKY}\nlast line\n` } }] };
		}
		case 2:
			return { text: 'Now the edit.', calls: [{ name: 'Edit', args: {
				file_path: `${dir}/out.txt`, old_string: 'last line',
				new_string: `edited "line" \\ ${TRICKY}` } }] };
		default:
			return { reasoning: 'All done.', text: last.results.length === 1 ?
				`JOB DONE \u2713 ${TRICKY}` : `BROKEN: ${last.results.length} results` };
		}
	};
}

for (const [name, id, env, images] of [
	['invoke, Claude', 'us.anthropic.claude-', {}, 1],
	['converse, Claude', 'us.anthropic.claude-', { BEDROCK_API: 'converse' }, 1],
	['converse, Nova', 'us.amazon.nova-pro-v1:0', { BEDROCK_MODEL_ID: 'us.amazon.nova-pro-v1:0' }, 1],
	['converse, Llama', 'us.meta.llama4-maverick-17b-instruct-v1:0',
		{ BEDROCK_MODEL_ID: 'us.meta.llama4-maverick-17b-instruct-v1:0' }, 0],
	['converse, Mistral', 'mistral.mistral-large-2407-v1:0',
		{ BEDROCK_MODEL_ID: 'mistral.mistral-large-2407-v1:0' }, 0],
	['converse, DeepSeek', 'deepseek.v3-v1:0',
		{ BEDROCK_MODEL_ID: 'deepseek.v3-v1:0' }, 0],
	['converse, gpt-oss', 'openai.gpt-oss-120b-1:0',
		{ BEDROCK_MODEL_ID: 'openai.gpt-oss-120b-1:0' }, 0]])
	await scenario(`claude code bedrock ${name}: a job with parallel calls, thinking, an image`, async (s) => {
		const p = project({ 'a.txt': `alpha ${TRICKY}\n`, 'b.txt': 'the number is 4711\n', 'p.png': PNG });
		const { b, px } = await pair(s, job(p.work), env);
		const r = await run(px.url, p, 'Two files and a picture. JOB[1]');

		assert.deepEqual(b.refusals.filter((t) => !/counting tokens/.test(t)), []);
		assert.equal(r.code, 0, `exit ${r.code}: ${r.err}\n${JSON.stringify(r.result)}`);
		assert.equal(r.result.result, `JOB DONE \u2713 ${TRICKY}`);
		assert.equal(readFileSync(join(p.work, 'out.txt'), 'utf8'),
			`number=4711 images=${images}\n${TRICKY}\nedited "line" \\ ${TRICKY}\n`);
		assert.ok(b.chats.length >= 4);
		for (const c of b.chats) {
			assert.ok(c.id.startsWith(id), c.id);
			/* BR-65: with tools, Llama can't be streamed. */
			assert.equal(c.operation, name.startsWith('invoke') ?
				'invoke-with-response-stream' : name.endsWith('Llama') ?
					'converse' : 'converse-stream');
			assert.ok(!JSON.stringify(c).includes('sk-ant-client-key'));
			assert.ok(!JSON.stringify(c.body).includes('x-anthropic-billing'));
			for (const h of ['anthropic-beta', 'anthropic-version', 'x-api-key', 'x-app'])
				assert.equal(c.headers[h], undefined, h);
			if (name.endsWith('Mistral'))	/* BR-60 */
				for (const t of turns(c.body))
					for (const e of [...t.calls, ...t.results])
						assert.match(e.id, /^[A-Za-z0-9]{9}$/);
		}
		/* BR-26, BR-61: what Claude signed comes back, turn by turn. What
		 * others thought has no signature and stays away (BR-71). */
		const signed = b.chats.map((c) => turns(c.body).reduce((k, t) => k + t.thinking, 0));
		assert.equal(Math.max(...signed), /Claude/.test(name) ? 2 : 0, `${signed}`);
		/* BR-68, BR-69: marks arrive where the model takes them (the upstream
		 * refuses more than four and those in a wrong place), and what was
		 * read and written to the cache is what Claude Code counts. */
		const main = b.chats.filter((c) => JSON.stringify(c.body).includes('JOB['));
		const marks = (c) => JSON.stringify(c.body).match(/"(cachePoint|cache_control)":\{/g)?.length ?? 0;
		for (const c of main)
			assert.ok(/Claude|Nova/.test(name) ? marks(c) >= 1 : marks(c) === 0, `${marks(c)} marks`);
		const total = (k) => b.chats.reduce((n, c) => n + c.usage[k], 0);
		assert.equal(r.result.usage.cache_read_input_tokens, total('read'));
		assert.equal(r.result.usage.cache_creation_input_tokens, total('write'));
		assert.equal(r.result.usage.input_tokens, total('input'));
		assert.ok(r.blocks.some((x) => x.type === 'thinking'));
		assert.ok(!px.console.includes(KEYS.secretAccessKey));
	});

// ---- the SDK ----

const ASK = { model: 'claude-sonnet-5-5', max_tokens: 2000,
	messages: [{ role: 'user', content: 'Go on.' }] };
const TOOL = { name: 'weather', description: 'Tells it.', input_schema:
	{ type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } };
const SAYS = { reasoning: `hm ${TRICKY}`, text: `It says ${TRICKY}`,
	calls: [{ name: 'weather', args: { city: 'Z\u00fcrich "x" \\' } },
		{ name: 'weather', args: {} }] };

for (const [way, env] of [['invoke', {}], ['converse', { BEDROCK_API: 'converse' }],
	['nova', { BEDROCK_MODEL_ID: 'amazon.nova-lite-v1:0' }]]) {
	await scenario(`sdk bedrock ${way}: streamed and whole say the same`, async (s) => {
		const { b, client, px } = await pair(s, () => SAYS, env);
		const ask = { ...ASK, tools: [TOOL] };
		const live = await client.messages.stream(ask).finalMessage();
		const whole = await client.messages.create(ask);
		const shape = (m) => m.content.map(({ type, text, thinking, name, input }) =>
			({ type, text, thinking, name, input }));

		assert.deepEqual(b.refusals, []);
		assert.deepEqual(shape(live), shape(whole));
		assert.deepEqual(shape(live), [
			{ type: 'thinking', thinking: SAYS.reasoning },
			{ type: 'text', text: SAYS.text },
			...SAYS.calls.map((c) => ({ type: 'tool_use', name: c.name, input: c.args }))]
			.map((x) => ({ type: x.type, text: x.text, thinking: x.thinking, name: x.name, input: x.input })));
		for (const [i, m] of [live, whole].entries()) {
			const u = b.chats[i].usage;
			assert.equal(m.model, ASK.model);
			assert.equal(m.stop_reason, 'tool_use');
			assert.match(m.id, /^msg_/);
			assert.equal(m.usage.output_tokens, u.output);
			assert.equal(m.usage.input_tokens, u.input);
			assert.equal(m.usage.cache_read_input_tokens, u.read);
			assert.equal(m.usage.cache_creation_input_tokens, u.write);
		}
		/* What was signed comes back signed, or not at all. */
		await client.messages.create({ ...ask, messages: [...ask.messages,
			{ role: 'assistant', content: live.content },
			{ role: 'user', content: live.content.filter((c) => c.type === 'tool_use')
				.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: 'sunny' })) }] });
		assert.deepEqual(b.refusals, []);
		const list = await client.models.list();
		assert.ok(list.data.length > 0);
		assert.ok(!px.console.includes('sk-ant-client-key'));
	});

	await scenario(`sdk bedrock ${way}: what goes wrong, BR-120 121`, async (s) => {
		let fail = null;
		const { b, client } = await pair(s, () => ({ text: 'some words to be cut', fail }), env);
		const cases = [
			[{ status: 429, code: 'ThrottlingException', message: 'Too many requests, please wait before trying again.' }, 429, 'rate_limit_error'],
			[{ status: 429, code: 'ThrottlingException', message: 'Too many tokens per day, please wait before trying again.' }, 429, 'rate_limit_error', 'false'],
			[{ status: 503, code: 'ServiceUnavailableException', message: 'Bedrock is unable to process your request.' }, 529, 'overloaded_error'],
			[{ status: 500, code: 'InternalServerException', message: 'x' }, 500, 'api_error'],
			[{ status: 424, code: 'ModelErrorException', message: 'x' }, 500, 'api_error'],
			[{ status: 408, code: 'ModelTimeoutException', message: 'x' }, 504, 'timeout_error'],
			[{ status: 403, code: 'AccessDeniedException', message: 'You don\'t have access to the model with the specified model ID.' }, 403, 'permission_error'],
			[{ status: 404, code: 'ResourceNotFoundException', message: 'x' }, 404, 'not_found_error'],
			[{ status: 400, code: 'ValidationException', message: 'The model returned the following errors: Input is too long for requested model.' }, 400, 'invalid_request_error', null, /prompt is too long: \d+ tokens > \d+ maximum/],
		];
		for (const [f, status, type, retry, text] of cases) {
			fail = f;
			const e = await client.messages.create(ASK).then(() => null, (x) => x);
			assert.equal(e?.status, status, `${f.code}: ${e}`);
			assert.equal(e.error.error.type, type, f.code);
			if (retry)
				assert.equal(e.headers.get('x-should-retry'), retry, f.message);
			assert.match(e.message, text ?? /./);
			assert.ok(e.headers.get('request-id'));
			assert.ok(!e.message.includes('The model returned'));
		}
		fail = { exception: 'throttlingException', message: 'slow down', after: 0 };
		const first = await client.messages.stream(ASK).finalMessage().then(() => null, (x) => x);
		assert.equal(first.status, 429, 'an exception before anything is an HTTP error');
		for (const f of [{ exception: 'modelStreamErrorException', message: 'broke', after: 3 },
			{ cut: 3 }, { flip: 3 }]) {
			fail = f;
			const e = await client.messages.stream(ASK).finalMessage().then(() => null, (x) => x);
			assert.ok(e, `${JSON.stringify(f)} gave a whole message`);
			assert.match(e.message, /api_error|overloaded|error/);
		}
		fail = null;
		assert.equal((await client.messages.stream(ASK).finalMessage()).content[0].text,
			'some words to be cut');
		assert.ok(b.chats.length > 10);
	});
}

await scenario('sdk bedrock: counting, BR-130 131 132', async (s) => {
	const { client, b } = await pair(s, () => ({ text: 'x' }));
	const { max_tokens: _, ...count } = ASK;
	const known = await client.messages.countTokens({ ...count, model: 'claude-sonnet-4-6' });
	const guess = await client.messages.countTokens({ ...count, model: 'claude-opus-5-5' });

	assert.equal(known.input_tokens, 4321);
	assert.ok(guess.input_tokens > 0 && guess.input_tokens < 200);
	assert.deepEqual(b.refusals, []);
	assert.deepEqual(b.requests.map((r) => r.id), ['anthropic.claude-sonnet-4-6']);
});

await scenario('sdk bedrock: a profile that is not there, then the next, BR-13', async (s) => {
	const { client, b } = await pair(s, (body, entry) => entry.id.startsWith('us.') ?
		{ fail: { status: 400, code: 'ValidationException', message: 'The provided model identifier is invalid.' } } :
		{ text: 'found' });

	for (let i = 0; i < 2; i++)
		assert.equal((await client.messages.create({ ...ASK, model: 'claude-opus-5-5' })).content[0].text, 'found');
	assert.deepEqual(b.chats.map((c) => c.id), ['us.anthropic.claude-opus-5-5',
		'global.anthropic.claude-opus-5-5', 'global.anthropic.claude-opus-5-5']);
});

await scenario('sdk bedrock: fields that are refused are learned, BR-25', async (s) => {
	const { client, b } = await pair(s, (body) => body.top_k !== undefined ?
		{ fail: { status: 400, code: 'ValidationException', message: 'top_k: Extra inputs are not permitted' } } :
		body.max_tokens > 1000 ? { fail: { status: 400, code: 'ValidationException',
			message: 'The maximum tokens you requested exceeds the model limit of 1000. Try again with a maximum tokens value that is lower than 1000.' } } :
			{ text: 'healed' });

	for (let i = 0; i < 2; i++)
		assert.equal((await client.messages.create({ ...ASK, model: 'claude-sonnet-4-6', top_k: 5 })).content[0].text, 'healed');
	assert.equal(b.chats.length, 4, 'two heals, then none');
});

await scenario('sdk bedrock: models by ARN, by name, by MODEL_MAP', async (s) => {
	const arn = 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-20250514-v1:0';
	const { client, b } = await pair(s, () => ({ text: 'x' }), {
		MODEL_MAP: `claude-mapped=${arn},claude-nova=amazon.nova-pro-v1:0`,
		BEDROCK_MODEL_ID_HAIKU: 'us.anthropic.claude-haiku-4-5-20251001-v1:0' });

	for (const model of ['claude-mapped', 'claude-nova', 'claude-3-5-haiku-latest', 'opus'])
		assert.equal((await client.messages.create({ ...ASK, model })).model, model);
	assert.deepEqual(b.refusals, []);
	assert.deepEqual(b.chats.map((c) => c.id), [arn, 'amazon.nova-pro-v1:0',
		'us.anthropic.claude-haiku-4-5-20251001-v1:0', 'us.anthropic.claude-opus-5-5']);
	const e = await client.messages.create({ ...ASK, model: 'gpt-9' }).then(() => null, (x) => x);
	assert.equal(e.status, 404);
});

await scenario('sdk bedrock: a region the keys or the model are not for', async (s) => {
	const { client, b } = await pair(s, () => ({ text: 'x' }), { AWS_REGION: 'eu-west-1' });
	const e = await client.messages.create(ASK).then(() => null, (x) => x);

	assert.equal(e.status, 401);
	assert.equal(e.headers.get('x-should-retry'), 'false');
	assert.match(e.message, /region: eu-west-1/);
	assert.equal(b.requests.length, 1);
	const far = await pair(s, (body, entry) => ({ fail: { status: 400, code: 'ValidationException',
		message: 'The provided model identifier is invalid.' } }), { AWS_REGION: 'us-east-1' });
	const f = await far.client.messages.create({ ...ASK, model: 'us.amazon.nova-premier-v1:0' }).then(() => null, (x) => x);
	assert.equal(f.status, 404);
	assert.match(f.message, /us\.amazon\.nova-premier-v1:0 in us-east-1/);
});

for (const [way, env] of [['invoke', {}], ['converse', { BEDROCK_API: 'converse' }]])
	await scenario(`sdk bedrock ${way}: signed thinking over turns, streamed and whole`, async (s) => {
		let n = 0;
		const { b, client } = await pair(s, () => ({ reasoning: `step ${++n} ${TRICKY}`, text: `said ${n}`,
			calls: [{ name: 'weather', args: { city: String(n) } }] }), env);
		const messages = [...ASK.messages];

		for (let i = 0; i < 5; i++) {
			const ask = { ...ASK, tools: [TOOL], messages, max_tokens: 8000,
				thinking: { type: 'enabled', budget_tokens: 2000 }, model: 'claude-sonnet-4-6' };
			const m = i % 2 ? await client.messages.create(ask) :
				await client.messages.stream(ask).finalMessage();
			assert.equal(m.content[0].type, 'thinking');
			assert.equal(m.content[0].thinking, `step ${i + 1} ${TRICKY}`);
			assert.ok(b.issued.has(m.content[0].signature), 'BR-26 its own signature');
			messages.push({ role: 'assistant', content: m.content }, { role: 'user',
				content: m.content.filter((c) => c.type === 'tool_use').map((c) =>
					({ type: 'tool_result', tool_use_id: c.id, content: 'sunny' })) });
			assert.equal(turns(b.chats.at(-1).body).reduce((k, t) => k + t.thinking, 0), i);
		}
		assert.deepEqual(b.refusals, []);
	});

await scenario('sdk bedrock: a body near the limit, and one over it, BR-5', async (s) => {
	const { client, b } = await pair(s, () => ({ text: 'long' }), { MAX_BODY: '40m' });
	const of = (n) => ({ ...ASK, messages: [{ role: 'user', content: 'word '.repeat(n / 5) }] });

	assert.equal((await client.messages.create(of(24_900_000))).content[0].text, 'long');
	assert.deepEqual(b.refusals, []);
	const e = await client.messages.create(of(25_100_000)).then(() => null, (x) => x);
	assert.equal(e.status, 413);
	assert.equal(e.error.error.type, 'request_too_large');
	assert.equal(b.requests.length, 1, 'it was not sent');
	const { max_tokens: _, ...count } = of(25_100_000);
	const c = await client.messages.countTokens({ ...count, model: 'claude-opus-5-5' });
	assert.ok(c.input_tokens > 1_000_000, 'BR-132 counted all the same');
});

await scenario('sdk bedrock: a clock that is off, AW-10', async (s) => {
	const { client, b } = await pair(s, () => ({ text: 'on time' }), {}, { skew: 3600 });

	for (let i = 0; i < 2; i++)
		assert.equal((await client.messages.create(ASK)).content[0].text, 'on time');
	assert.equal(b.requests.length, 3, 'one retry, once');
});

await scenario('sdk bedrock: a Bedrock API key, AW-11', async (s) => {
	const { client, b, px } = await pair(s, () => ({ text: 'x' }),
		{ AWS_BEARER_TOKEN_BEDROCK: 'ABSKinterop0123456789' }, { bearer: 'ABSKinterop0123456789' });

	await client.messages.create(ASK);
	assert.equal(b.requests[0].headers['x-amz-date'], undefined);
	assert.ok(!px.console.includes('ABSKinterop'));
});

for (const [way, env] of [['invoke', {}], ['converse', { BEDROCK_API: 'converse' }]])
	await scenario(`bedrock ${way}: a client that leaves closes the upstream, BR-40 BR-102`, async (s) => {
		const { client, b } = await pair(s, () => ({ text: 'word '.repeat(400), delay: 20 }), env);
		const stream = client.messages.stream(ASK);

		const done = stream.done();

		await Promise.race([done, new Promise((r) => stream.once('text', r))]);
		stream.abort();
		await done.catch(() => {});
		for (let i = 0; i < 100 && !b.closed.length; i++)
			await new Promise((r) => setTimeout(r, 20));
		assert.equal(b.closed.length, 1);
	});

summary('bedrock');
