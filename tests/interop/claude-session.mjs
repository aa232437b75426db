// claude-session.mjs -- the real Claude Code over more than one request:
// sessions that go on, are compacted, change model or backend, are cancelled.
//
// Each scenario names the rules it stands on, as in claude-tools.mjs.
//
// SPDX-License-Identifier: MIT
import { join } from 'node:path';
import { KEY, MODELS, project, run, start, tap, target } from './claude.mjs';
import { assert, scenario, sleep, summary } from './harness.mjs';
import { play, talk } from './script.mjs';

const SHAPES = [...Object.keys(MODELS), 'anthropic'];
const DONE = 'JOB DONE \u2713';
const call = (name, args) => ({ name, args });
const reads = (p, file = 'a.txt') => ({ calls: [call('Read',
	{ file_path: join(p.work, file) })] });

function checkDone(s, r, refusals = []) {
	assert.equal(r.code, 0, `exit ${r.code} ${r.signal}: ${r.err}`);
	assert.equal(r.result.result, DONE);
	assert.equal(r.result.is_error, false);
	assert.deepEqual(s.up.refusals, refusals);
}

async function until(test, what) {
	for (let i = 0; i < 250; i++) {
		if (test())
			return;
		await sleep(20);
	}
	throw new Error(`never: ${what}`);
}

// ---- going on ----

for (const shape of SHAPES)
	for (const how of ['--continue', '--resume'])
		scenario(`session ${shape}: ${how}, past a new proxy, OA-29 44 65-67 FN-20 25`, async (s) => {
			const p = project({ 'a.txt': 'apples\n' });
			await target(s, shape, play({
				first: [{ ...reads(p), reasoning: 'Which?' },
					{ text: DONE, reasoning: 'Those.' }],
				second: [{ ...reads(p), reasoning: 'Again?' },
					(t) => ({ text: t.steps.length === 4 &&
						/apples/.test(t.steps[1].ask.results[0].text) ?
						DONE : `BROKEN: ${JSON.stringify(t.steps)}` })],
			}));
			const r = await run(s.px.url, p, 'Begin. JOB[first]');

			checkDone(s, r);
			/* What the proxy knew of the first part is gone. */
			await s.again();
			const more = await run(s.px.url, p, 'Go on. JOB[second]',
				{ args: how === '--continue' ? [how] :
					[how, r.result.session_id] });
			checkDone(s, more);
			assert.equal(more.result.session_id, r.result.session_id);
			assert.equal(s.up.chats.length, 4);
		});

// One session over two backends; each keeps its thoughts to itself.
for (const [from, to] of [['vllm', 'anthropic'], ['anthropic', 'ollama'],
	['gemini', 'anthropic'], ['anthropic', 'gemini'], ['ollama', 'openai']])
	scenario(`session: begun on ${from}, continued on ${to}, OA-62 65 67 FN-20 21`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		const parts = {
			first: [{ ...reads(p), reasoning: 'Which?' },
				{ text: DONE, reasoning: 'Those.' }],
			second: [{ ...reads(p), reasoning: 'Again?' }, (t) => ({ text:
				/apples/.test(t.last.results[0].text) ? DONE : 'BROKEN' })],
		};
		await target(s, from, play(parts));
		checkDone(s, await run(s.px.url, p, 'Begin. JOB[first]'));
		await s.px.stop();
		await target(s, to, play(parts));
		checkDone(s, await run(s.px.url, p, 'Go on. JOB[second]',
			{ args: ['--continue'] }));
		assert.equal(s.up.chats.length, 2);
	});

// ---- what caches of prefixes live on ----

const open = (body) => JSON.stringify(body.messages).slice(0, -1);

for (const shape of Object.keys(MODELS))
	scenario(`session ${shape}: each request begins as the one before, byte for byte, OA-29 49 FN-40`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		const both = { calls: [...reads(p).calls, call('Bash',
			{ command: 'echo hi', description: 'Say hi' })] };
		const waits = { calls: [call('Bash', { command: 'sleep 0.5',
			description: 'Wait' })] };
		const ends = (t) => /task-notification/.test(t.steps.map((x) =>
			x.ask.text).join()) ? { text: DONE } : waits;
		await target(s, shape, play({
			main: [{ ...both, reasoning: 'Hm.' }, { calls: [call('ToolSearch',
				{ query: 'select:WebFetch,NotebookEdit' })] }, both,
			{ calls: [call('Agent', { description: 'child', prompt:
				'Look. JOB[child]', subagent_type: 'general-purpose' })] },
			waits, ends, ends, ends, ends],
			child: [both, { text: 'seen' }],
			more: [both, { text: DONE }],
		}));
		await run(s.px.url, p, 'Begin. JOB[main]',
			{ tools: ['Read', 'Bash', 'Agent'] });
		checkDone(s, await run(s.px.url, p, 'Go on. JOB[more]',
			{ args: ['--continue'] }));
		const [child, main] = [true, false].map((is) => s.up.chats
			.filter((c) => (c.job === 'child') === is).map((c) => c.body));
		assert.ok(main.length >= 8 && child.length === 2);
		for (const list of [main, child])
			for (let i = 1; i < list.length; i++) {
				const was = open(list[i - 1]);
				assert.equal(open(list[i]).slice(0, was.length), was);
				/* Only what it searched for comes in between. */
				assert.deepEqual(list[i].tools.filter((t) =>
					!/^(WebFetch|NotebookEdit)$/.test(t.function.name)),
				list[0].tools);
				if (i > 2)
					assert.deepEqual(list[i].tools, list[2].tools);
			}
	});

// ---- compaction ----

const compacts = /CRITICAL: Respond with TEXT ONLY/;
const SUMMARY = '<analysis>short</analysis>\n<summary>The apples were read. \u6f22</summary>';

// The model of a play, and SUMMARY for who asks for one.
function compacting(parts) {
	const usual = play(parts);

	return (body, entry, up) => {
		if (!compacts.test(talk(body, up.dialect).last.text))
			return usual(body, entry, up);
		entry.job = 'summary';
		return { text: SUMMARY };
	};
}

const summaries = (s) => s.up.chats.filter((c) => c.job === 'summary');
const isCompacted = (t) => /being continued/.test(t.steps[0].ask.text) &&
	t.steps[0].ask.text.includes('The apples were read. \u6f22');

for (const shape of SHAPES)
	scenario(`session ${shape}: /compact, and on, OA-36 41 49 FN-17`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		await target(s, shape, compacting({
			first: [reads(p), { text: DONE }],
			second: [(t) => ({ text: isCompacted(t) ? DONE :
				`BROKEN: ${t.steps[0].ask.text.slice(0, 2000)}` })],
		}));
		checkDone(s, await run(s.px.url, p, 'Begin. JOB[first]'));
		const c = await run(s.px.url, p, '/compact', { args: ['--continue'] });
		assert.equal(c.code, 0, c.err);
		assert.ok(c.events.some((e) => e.subtype === 'compact_boundary'));
		assert.equal(summaries(s).length, 1);
		checkDone(s, await run(s.px.url, p, 'Go on. JOB[second]',
			{ args: ['--continue'] }));
		const l = s.px.log.filter((e) => e.class === 'compaction');
		assert.equal(l.length, 1);
		assert.equal(l[0].class_by, 'hint');
	});

const TOO_LONG = {
	openai: [400, { error: { message: "This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens. Please reduce the length of the messages.", type: 'invalid_request_error', param: 'messages', code: 'context_length_exceeded' } }],
	gemini: [400, [{ error: { code: 400, status: 'INVALID_ARGUMENT', message: 'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).' } }]],
	ollama: [400, { error: { message: 'prompt is too long: context length exceeded', type: 'invalid_request_error', param: null, code: null } }],
	vllm: [400, { error: { message: "This model's maximum context length is 32768 tokens. However, your request has 40000 input tokens. Please reduce the length of the input messages.", type: 'BadRequestError', param: null, code: 400 } }],
	anthropic: [400, null],
};

for (const shape of SHAPES)
	scenario(`session ${shape}: too long, so it compacts and goes on, OA-120 AN-25 FN-17 18`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		const [status, body] = TOO_LONG[shape];
		const full = { fail: { status, body, message:
			'prompt is too long: 250000 tokens > 200000 maximum' } };
		await target(s, shape, compacting({
			first: [reads(p), { text: DONE }],
			second: [(t) => isCompacted(t) ? { text: DONE } : full],
		}));
		checkDone(s, await run(s.px.url, p, 'Begin. JOB[first]'));
		const r = await run(s.px.url, p, 'Go on. JOB[second]',
			{ args: ['--continue'] });
		checkDone(s, r);
		assert.equal(summaries(s).length, 1);
		assert.equal(r.events.filter((e) =>
			e.subtype === 'compact_boundary').length, 1);
	});

// Claude Code compares the usage it was told with the window it believes in.
for (const shape of ['openai', 'gemini', 'anthropic'])
	scenario(`session ${shape}: told a high usage, it compacts in time, OA-111 112 AN-18 FN-13 15`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		const usage = shape === 'anthropic' ?
			{ input_tokens: 1000, cache_read_input_tokens: 189000 } :
			{ prompt_tokens: 190000, total_tokens: 190040,
				prompt_tokens_details: { cached_tokens: 189000 } };
		await target(s, shape, compacting({ first: [
			{ ...reads(p), usage }, { ...reads(p), usage },
			(t) => ({ text: isCompacted(t) ? DONE :
				'BROKEN: it wasn\'t compacted' })] }));
		const r = await run(s.px.url, p, 'Begin. JOB[first]',
			{ env: { CLAUDE_CODE_AUTO_COMPACT_WINDOW: '100000' } });

		assert.equal(r.code, 0, r.err);
		assert.equal(summaries(s).length, 1);
		assert.ok(r.events.some((e) => e.subtype === 'compact_boundary'));
		assert.deepEqual(s.up.refusals, []);
	});

// ---- without the hints that the README asks for ----

scenario('session openai: without hints the classes are told all the same, FN-45 52', async (s) => {
	const p = project({ 'a.txt': 'apples\n' });
	const env = { CLAUDE_CODE_GATEWAY_HINT_HEADERS: '' };
	await target(s, 'openai', compacting({
		first: [{ calls: [call('Agent', { description: 'child', prompt:
			'Look. JOB[child]', subagent_type: 'Explore',
		run_in_background: false }), call('ToolSearch',
			{ query: 'select:WebSearch' })] },
		{ calls: [call('WebSearch', { query: 'JOB[search] tides' })] },
		{ text: DONE }],
		child: [reads(p), { text: 'seen' }],
		search: [{ text: 'nothing found' }],
		second: [{ text: DONE }],
	}));
	checkDone(s, await run(s.px.url, p, 'Begin. JOB[first]',
		{ env, tools: ['Read', 'Agent', 'WebSearch'] }));
	await run(s.px.url, p, '/compact', { env, args: ['--continue'] });
	checkDone(s, await run(s.px.url, p, 'Go on. JOB[second]',
		{ env, args: ['--continue'] }));
	await run(s.px.url, p, '/context', { env });
	const classes = { main: 'first second', subagent: 'child',
		auxiliary: 'search', compaction: 'summary' };
	const log = s.px.log.filter((l) => l.class !== 'count');
	assert.ok(s.px.log.length > log.length, 'nothing was counted');
	assert.equal(log.length, s.up.chats.length);
	/* Answers end in their order here, so the log's lines match. */
	for (const [i, c] of s.up.chats.entries())
		assert.ok(classes[log[i].class]?.includes(c.job),
			`${c.job} is taken for ${log[i].class} (${log[i].class_by})`);
	assert.ok(log.every((l) => l.session && l.class_by !== 'hint'));
});

// ---- models ----

scenario('session: aliases reach the models of MODEL_MAP, OA-6 AN-14 28 FN-52', async (s) => {
	const p = project({ 'a.txt': 'apples\n' });
	await s.pair('openai', play({ main: [{ text: DONE }] }), 'gpt-5.1', { env: {
		MODEL_MAP: 'claude-opus-*=gpt-5.1,claude-sonnet-*=gpt-5,claude-haiku-*=gpt-5-mini,gpt-4o=gpt-4o' } });

	for (const [asked, named, served] of [
		['opus', 'claude-opus-5-5', 'gpt-5.1'],
		['sonnet', 'claude-sonnet-5-5', 'gpt-5'],
		['haiku', 'claude-haiku-5-5', 'gpt-5-mini'],
		['opus[1m]', 'claude-opus-5-5', 'gpt-5.1'],
		['gpt-4o', 'gpt-4o', 'gpt-4o'],
		['claude-3-5-haiku-20241022', 'claude-3-5-haiku-20241022',
			'gpt-5.1']]) {
		const n = s.up.chats.length;
		const r = await run(s.px.url, p, 'Who? JOB[main]',
			{ args: ['--model', asked] });
		checkDone(s, r);
		assert.deepEqual(s.up.chats.slice(n).map((c) => c.body.model),
			[served], asked);
		const said = r.events.filter((e) => e.type === 'assistant')
			.map((e) => e.message.model);
		assert.deepEqual(said, [named], asked);
		assert.equal(s.px.log.at(-1).served_model, served);
	}
});

scenario('session: main and child on two backends, OA-6 62 FN-21 48 52', async (s) => {
	const p = project({ 'a.txt': 'apples\n' });
	const parts = {
		main: [{ reasoning: 'Ask.', calls: [call('Agent', { prompt:
			'Read it. JOB[child]', description: 'child', model: 'haiku',
		subagent_type: 'general-purpose', run_in_background: false })] },
		(t) => ({ text: /SAW apples/.test(t.last.results[0].text) ? DONE :
			'BROKEN' })],
		child: [{ ...reads(p), reasoning: 'Look.' }, (t) => ({ text:
			`SAW ${/apples/.exec(t.last.results[0].text)}` })],
	};
	await s.upstream({ shape: 'vllm', model: play(parts) });
	const other = s.up;
	await s.passing(play(parts), KEY, { OPENAI_BASE_URL: other.base,
		OPENAI_API_KEY: other.key, OPENAI_PROFILE: 'vllm',
		MODEL_MAP: 'claude-haiku-*=openai_compatible:qwen3' });
	const r = await run(s.px.url, p, 'Both. JOB[main]',
		{ tools: ['Read', 'Agent'] });

	checkDone(s, r);
	assert.deepEqual(other.refusals, []);
	assert.deepEqual(s.up.chats.map((c) => c.job), ['main', 'main']);
	assert.deepEqual(other.chats.map((c) => c.job), ['child', 'child']);
	assert.ok(!JSON.stringify(other.requests).includes(KEY));
	assert.ok(!JSON.stringify(s.up.requests).includes(other.key));
});

// ---- the stream ----

// What the deltas of each block say, in order.
function streamed(events) {
	const out = [];
	let block = null;

	for (const { event: e } of events.filter((x) => x.type === 'stream_event')) {
		if (e.type === 'content_block_start')
			out.push(block = { type: e.content_block.type, text: '' });
		if (e.type === 'content_block_delta')
			block.text += e.delta.text ?? e.delta.thinking ??
				e.delta.partial_json ?? '';
	}
	return out;
}

for (const shape of SHAPES)
	scenario(`session ${shape}: the deltas say what the upstream said, OA-42 79 81 83 AN-19 FN-1 2 3 9`, async (s) => {
		const p = project({ 'a.txt': 'apples\n' });
		const said = 'Caf\u00e9 \u6f22\u5b57 \ud83d\ude42\ud83d\udc69\u200d\ud83d\udcbb "q" \\n </x>\n\n\tdata: [DONE] \u2028\ufeff end';
		const args = `{"file_path": ${JSON.stringify(join(p.work, 'a.txt'))}, "limit": 3}`;
		const reasons = !['openai', 'gemini'].includes(shape);
		await target(s, shape, play({ main: [
			{ reasoning: `Hm \u6f22 ${said}`, text: said, calls: [call('Read',
				shape === 'anthropic' ? JSON.parse(args) : args)] },
			{ text: DONE }] }));
		const r = await run(s.px.url, p, 'Say. JOB[main]');
		const all = streamed(r.events);

		checkDone(s, r);
		if (reasons)
			assert.equal(all.shift().text, `Hm \u6f22 ${said}`);
		assert.deepEqual(all.map((b) => b.type), ['text', 'tool_use', 'text']);
		assert.equal(all[0].text, said);
		assert.deepEqual(JSON.parse(all[1].text), JSON.parse(args));
		if (['openai', 'vllm'].includes(shape))	/* the others buffer */
			assert.equal(all[1].text, args);
		assert.equal(all[2].text, DONE);
	});

// ---- cancelling ----

for (const shape of ['openai', 'vllm', 'anthropic'])
	for (const [when, how] of [['in mid-stream', { delay: 20 }],
		['before the first byte', { wait: 60000 }]])
		scenario(`session ${shape}: SIGINT ${when} closes the upstream, AN-21 FN-43`, async (s) => {
			const p = project();
			await target(s, shape, play({ main: [{ text: 'on and on '
				.repeat(3000), ...how }] }));
			const c = start(s.px.url, p, 'Go. JOB[main]');

			await until(() => s.up.chats.length === 1, 'a request');
			if (how.delay) {
				let heard = '';
				c.child.stdout.on('data', (d) => heard += d);
				await until(() => heard.includes('text_delta'), 'a word');
			}
			assert.equal(s.up.closed.length, 0);
			c.child.kill('SIGINT');
			await until(() => s.up.closed.length === 1, 'the end upstream');
			const r = await c.ended;
			assert.notEqual(r.result?.subtype, 'success');
			assert.ok(await s.px.logged((l) => l.outcome === 'cancelled'));
			assert.equal(s.up.chats.length, 1, 'it was tried again');
		});

scenario('session openai: SIGINT ends two agents\' upstreams as well, AN-21 FN-43', async (s) => {
	const p = project();
	const endless = [{ text: 'on and on '.repeat(3000), delay: 20 }];
	await target(s, 'openai', play({ one: endless, two: endless, main: [
		{ calls: ['one', 'two'].map((n) => call('Agent', { description: n,
			prompt: `JOB[${n}]`, subagent_type: 'general-purpose',
			run_in_background: false })) }] }));
	const t = await tap(s, s.px.url);
	const c = start(t.url, p, 'Go. JOB[main]', { tools: ['Agent'] });

	await until(() => s.up.chats.length === 3, 'two children');
	c.child.kill('SIGINT');
	await until(() => s.up.closed.length === 2, 'both ends upstream');
	await c.ended;
	await until(() => s.px.log.filter((l) =>
		l.outcome === 'cancelled').length === 2, 'two cancelled');
});

// ---- as the Agent SDK drives it: messages and orders line by line ----

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

for (const shape of ['openai', 'ollama', 'anthropic'])
	scenario(`session ${shape}: a picture in a message, then an interrupt, OA-33 41 AN-21 FN-38 43`, async (s) => {
		const p = project();
		await target(s, shape, play({
			first: [(t) => ({ text: t.last.images[0] === PNG ? 'seen' :
				'BROKEN' })],
			second: [{ text: 'on and on '.repeat(3000), delay: 20 }],
			third: [(t) => ({ text: t.steps.length > 2 ? DONE :
				'BROKEN' })],
		}));
		const c = start(s.px.url, p, null, { args: ['--input-format',
			'stream-json'] });
		const put = (o) => c.child.stdin.write(`${JSON.stringify(o)}\n`);
		const say = (...content) => put({ type: 'user',
			message: { role: 'user', content } });
		const text = (x) => ({ type: 'text', text: x });
		let heard = '';

		c.child.stdout.on('data', (d) => heard += d);
		say(text('Look. JOB[first]'), { type: 'image', source: {
			type: 'base64', media_type: 'image/png', data: PNG } });
		await until(() => /"result":"seen"/.test(heard), 'an answer');
		say(text('Talk. JOB[second]'));
		await until(() => heard.includes('on and on'), 'words');
		put({ type: 'control_request', request_id: '1',
			request: { subtype: 'interrupt' } });
		await until(() => s.up.closed.length === 1, 'the end upstream');
		say(text('Go on. JOB[third]'));
		await until(() => heard.includes(`"result":"${DONE}"`), 'the last');
		c.child.stdin.end();
		checkDone(s, await c.ended);
		assert.ok(await s.px.logged((l) => l.outcome === 'cancelled'));
	});

// ---- who may ----

scenario('session openai: the proxy\'s own key, as a token, AN-5 23 FN-48 49', async (s) => {
	const p = project();
	await target(s, 'openai', play({ main: [{ text: DONE }] }),
		{ env: { PROXY_API_KEY: 'sk-proxy-0123456789' } });
	const as = (token) => run(s.px.url, p, 'Go. JOB[main]', { env: {
		ANTHROPIC_API_KEY: '', ANTHROPIC_AUTH_TOKEN: token } });

	checkDone(s, await as('sk-proxy-0123456789'));
	const t = await tap(s, s.px.url);
	const r = await run(t.url, p, 'Go. JOB[main]', { env: {
		ANTHROPIC_API_KEY: '', ANTHROPIC_AUTH_TOKEN: 'sk-wrong' } });
	assert.equal(r.code, 1);
	assert.ok(t.got.length <= 2 && t.got.every((e) => e.status === 401));
	assert.equal(s.up.chats.length, 1);
	assert.ok(!JSON.stringify(s.up.requests).includes('sk-proxy'));
});

// ---- the first minute: nothing configured ----

scenario('session demo: the built-in model reads a file and says so', async (s) => {
	const p = project({ 'notes.txt': 'apples\n' });
	await s.proxy({ LLM_BACKEND: 'demo' });
	const r = await run(s.px.url, p, 'Show me the file notes.txt');

	assert.equal(r.code, 0, r.err);
	assert.deepEqual(r.blocks.filter((b) => b.type === 'tool_use')
		.map((b) => b.name), ['Read']);
	assert.match(r.result.result, /apples/);
	assert.ok(r.blocks.some((b) => b.type === 'thinking' && b.signature));
});

summary('claude-session');
