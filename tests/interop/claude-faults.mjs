// claude-faults.mjs -- the real Claude Code when things go wrong upstream: it
// must try again, fall back, or say at once what is the matter, and never take
// half an answer for a whole one or run half a call.
//
// Each scenario names the rules it stands on, as in claude-tools.mjs.
//
// SPDX-License-Identifier: MIT
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MODELS, project, run, tap, target } from './claude.mjs';
import { assert, scenario, summary } from './harness.mjs';
import { play } from './script.mjs';

const SHAPES = [...Object.keys(MODELS), 'anthropic'];
const DONE = 'JOB DONE \u2713';
const call = (name, args) => ({ name, args });

// One answer an attempt; the last one stays.
const attempts = (...list) => () => list.length > 1 ? list.shift() : list[0];

const failure = (status, more) => ({ fail: { status, ...more } });

function checkDone(r) {
	assert.equal(r.code, 0, `exit ${r.code} ${r.signal}: ${r.err}\n${
		JSON.stringify(r.result)}`);
	assert.equal(r.result.result, DONE);
	assert.equal(r.result.is_error, false);
}

const sent = (s) => s.up.chats.map((c) => c.body.stream === true);
const answers = (r) => r.events.filter((e) => e.type === 'assistant')
	.flatMap((e) => e.message.content).filter((b) => b.type === 'text')
	.map((b) => b.text);

// ---- an upstream that is slow: begun first, as it takes its time ----

// Told to give up after 15 s of silence, it must hear from us before that,
// and without an upstream's head after an eighth of FIRST_BYTE_TIMEOUT.
for (const [shape, name, how] of [
	['ollama', 'before even a head', { late: 27000 }],
	['openai', 'before the first word', { wait: 27000 }],
	['vllm', 'in the middle', { pause: { at: 4, ms: 27000 } }]])
	scenario(`faults ${shape}: silent ${name}, pings, AN-19 OA-96 FN-8`, async (s) => {
		const p = project();
		await target(s, shape, play({ main: [{ text: DONE, pieces:
			['JOB ', 'DONE', ' \u2713'], ...how }] }),
		{ env: { FIRST_BYTE_TIMEOUT: '64' } });
		const t = await tap(s, s.px.url);
		const r = await run(t.url, p, 'Wait. JOB[main]', { env: {
			CLAUDE_ENABLE_STREAM_WATCHDOG: '1',
			CLAUDE_STREAM_IDLE_TIMEOUT_MS: '15000',
			CLAUDE_STREAM_FIRST_BYTE_TIMEOUT_MS: '15000' } });

		checkDone(r);
		assert.deepEqual(sent(s), [true], 'it gave up waiting');
		const [{ answer }] = t.got.filter((e) => /messages/.test(e.url));
		assert.ok(answer.split('event: ping').length > 2, answer);
	}, { idle: true });

// ---- before the first byte ----

for (const shape of ['openai', 'gemini', 'anthropic'])
	scenario(`faults ${shape}: 429, 500, 529 and then an answer, OA-120 122 AN-24 FN-44`, async (s) => {
		const p = project();
		await target(s, shape, play({ main: [attempts(
			failure(429, { headers: { 'retry-after': '1' } }),
			failure(500), failure(529), { text: DONE })] }));
		const t = await tap(s, s.px.url);
		const r = await run(t.url, p, 'Go. JOB[main]');

		checkDone(r);
		assert.deepEqual(t.got.map((e) => e.status), [429, 500, 529, 200]);
		assert.equal(t.got[0].reply['retry-after'], '1');
		assert.ok(t.got.every((e) => e.reply['request-id']));
		/* The client retries; we must not do so as well. */
		assert.deepEqual(sent(s), [true, true, true, true]);
		assert.equal(r.events.filter((e) => e.subtype === 'api_retry').length, 3);
	});

scenario('faults openai: 503, 504, a reset and then an answer, OA-120 122 FN-44', async (s) => {
	const p = project();
	await target(s, 'openai', play({ main: [attempts(failure(503),
		failure(504), { fail: { reset: true } }, { fail: { reset: true } },
		{ text: DONE })] }));
	const t = await tap(s, s.px.url);

	checkDone(await run(t.url, p, 'Go. JOB[main]'));
	/* One own try after a reset, not more. */
	assert.deepEqual(t.got.map((e) => e.status), [529, 504, 502, 200]);
	assert.equal(s.up.chats.length, 5);
});

// What no waiting mends is said at once, in one attempt.
for (const [name, shape, fail, said, tries] of [
	['a wrong key', 'openai', { status: 401, body: { error: {
		message: 'Incorrect API key provided: sk-upst***.',
		code: 'invalid_api_key' } } }, /Incorrect API key/, 1],
	['a wrong key', 'gemini', { status: 401, body: [{ error: { code: 401,
		message: 'API key not valid.', status: 'UNAUTHENTICATED' } }] },
	/API key not valid/, 1],
	['no money left', 'openai', { status: 429, body: { error: { message:
		'You exceeded your current quota.', type: 'insufficient_quota',
	code: 'insufficient_quota' } } }, /credit|quota/i, 1],
	['a model that isn\'t there', 'ollama', { status: 404, body: { error: {
		message: 'model "qwen3" not found, try pulling it first' } } },
	/model/, 2],
	['a refused request', 'vllm', { status: 400, body: { error: { message:
		'the template has no tools', type: 'BadRequestError', code: 400 } } },
	/the template has no tools/, 6],
	['forbidden', 'openai', { status: 403, body: { error: {
		message: 'Country not supported' } } }, /Country|authenticate/, 1]])
	scenario(`faults ${shape}: ${name} is said at once, OA-119 120 AN-23 FN-44 53`, async (s) => {
		const p = project();
		await target(s, shape, play({ main: [{ fail }] }));
		const r = await run(s.px.url, p, 'Go. JOB[main]');

		assert.equal(r.code, 1);
		assert.equal(r.result.is_error, true);
		assert.match(r.result.result, said);
		assert.ok(s.up.chats.length <= tries, String(s.up.chats.length));
		assert.ok(!r.result.result.includes(s.up.key));
	});

scenario('faults vllm: a parameter refused is left out, unseen by the client, OA-5 24 FN-19', async (s) => {
	const p = project();
	await target(s, 'vllm', play({ main: [{ text: DONE }] }),
		{ window: 40000 });
	const t = await tap(s, s.px.url);

	for (let i = 0; i < 2; i++)
		checkDone(await run(t.url, p, 'Go. JOB[main]'));
	assert.deepEqual(t.got.map((e) => e.status), [200, 200]);
	assert.equal(s.up.chats.length, 3);
	assert.equal(s.up.refusals.length, 1);
});

// ---- after it ----

const LONG = 'word \u6f22 '.repeat(60);

for (const shape of SHAPES)
	for (const how of ['cut', 'error'])
		scenario(`faults ${shape}: ${how === 'cut' ? 'cut' : 'an error'} in the middle of a text, OA-93 95 121 FN-2 6 7`, async (s) => {
			const p = project();
			await target(s, shape, play({ main: [attempts(
				{ text: LONG, fail: { [how]: 9 } }, { text: DONE })] }));
			const t = await tap(s, s.px.url);
			const r = await run(t.url, p, 'Go. JOB[main]');

			checkDone(r);
			/* Half a text is no answer, and none of it stays: that
			 * depends on its block not having been closed. */
			assert.deepEqual(answers(r), [DONE]);
			assert.equal(s.up.chats.length, 2);
			const first = t.got.find((e) => /messages/.test(e.url)).answer;
			assert.ok(!first.includes('message_stop'));
			/* Told by an event, it doesn't wait but asks without a
			 * stream, and that is asked of the upstream as well. */
			if (shape !== 'anthropic' || how === 'error') {
				assert.match(first, /event: error/);
				assert.deepEqual(sent(s), [true, false]);
			}
			assert.deepEqual(s.up.refusals, []);
		});

const counts = (p, text) => ({ text, calls: [call('Bash', {
	command: `echo ran >> ${join(p.work, 'count')}; ${'true; '.repeat(40)}`,
	description: 'Count' })] });

for (const shape of SHAPES)
	for (const text of ['', 'Counting.'])
		scenario(`faults ${shape}: cut in a call ${text ?
			'behind a text' : 'of its own'}, which runs once, OA-88 93 FN-3 5 6`, async (s) => {
			const p = project();
			const c = counts(p, text);
			/* Calls come whole here, so it is cut before. */
			const cut = ['gemini', 'ollama'].includes(shape) ?
				Math.ceil(text.length / 11) : 12;
			await target(s, shape, play({ main: [
				attempts({ ...c, fail: { cut } }, c), (t) =>
					t.last.results.length ? { text: DONE } : c,
				{ text: DONE }] }));
			const r = await run(s.px.url, p, 'Go. JOB[main]');

			checkDone(r);
			assert.equal(readFileSync(join(p.work, 'count'), 'utf8'),
				'ran\n');
			assert.equal(s.up.chats.length, 3);
			assert.deepEqual(s.up.refusals, []);
		});

scenario('faults openai: a length that cuts a call runs nothing, OA-88 110 FN-5', async (s) => {
	const p = project();
	await target(s, 'openai', play({ main: [
		{ calls: [call('Bash', `{"command": "touch ${join(p.work, 'no')}`)],
			finish: 'length' },
		{ text: DONE }, { text: DONE }, { text: DONE }, { text: DONE }] }));
	const r = await run(s.px.url, p, 'Go. JOB[main]');

	checkDone(r);
	assert.ok(!existsSync(join(p.work, 'no')));
	assert.ok(s.px.log.some((l) => l.stop_reason === 'max_tokens'));
});

scenario('faults ollama: broken arguments are mended, OA-88 105 FN-3', async (s) => {
	const p = project({ 'a.txt': 'apples\n' });
	const args = JSON.stringify({ file_path: join(p.work, 'a.txt') });
	await target(s, 'ollama', play({ main: [
		{ calls: [call('Read', args.slice(0, -1)),
			call('Read', JSON.stringify(args)),
			call('Read', `\`\`\`json\n${args}\n\`\`\``)] },
		(t) => ({ text: t.last.results.every((x) => /apples/.test(x.text)) ?
			DONE : JSON.stringify(t.last.results) })] }));

	checkDone(await run(s.px.url, p, 'Go. JOB[main]'));
	assert.deepEqual(s.up.refusals, []);
});

for (const shape of ['openai', 'gemini'])
	scenario(`faults ${shape}: a filter ends it as a refusal, OA-104 110 FN-5`, async (s) => {
		const p = project();
		await target(s, shape, play({ main: [{ text: 'I must', finish:
			'content_filter' }, (t) => ({ text:
			/safety classifier/.test(t.last.text) ? DONE :
				`BROKEN ${t.last.text}` })] }));

		checkDone(await run(s.px.url, p, 'Go. JOB[main]'));
		assert.deepEqual(s.px.log.map((l) => l.stop_reason),
			['refusal', 'end_turn']);
	});

scenario('faults vllm: an answer of thoughts alone is asked for again, OA-68 108', async (s) => {
	const p = project();
	await target(s, 'vllm', play({ main: [attempts(
		{ reasoning: 'Only this.' }, { text: DONE })] }));

	checkDone(await run(s.px.url, p, 'Go. JOB[main]'));
	assert.deepEqual(s.up.refusals, []);
});

summary('claude-faults');
