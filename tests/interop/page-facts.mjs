// page-facts.mjs -- whether what the monitor's page says is so: its times,
// sums, causes and bytes against what was sent, and what it does under load.
//
// The numbers are those of the page's acceptance tests.
//
// SPDX-License-Identifier: MIT
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, figure, scenario, sleep, summary, timely } from './harness.mjs';
import { Bedrock, KEYS } from './bedrock-upstream.mjs';
import { at, open, outline, quit, rows, show, textOf, until } from './browser.mjs';
import { project, run } from './claude.mjs';
import { Mock, long } from './page-mock.mjs';
import { play } from './script.mjs';
import { Service } from './service.mjs';
import { TOOLS, Talk, call, count, day, script, tool } from './talk.mjs';

const KEY = 'sk-ant-api03-' + 'k'.repeat(90);
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const TABS = ['new', 'tools', 'system', 'context', 'wire', 'timing', 'compare'];
const valid = createRequire(join(process.env.NODE_MODULES, 'x.js'))(
	'har-validator');
const openai = (s, env = {}) => s.pair('vllm', script, 'qwen3', { env });
const aloud = (text) => console.log(`    NOT RUN: ${text}`);
const sha = (x) => createHash('sha256').update(x).digest('hex');
const clean = (page) => assert.deepEqual(page.trouble, []);
const lines = async (px, event) => (await (await fetch(
	`${px.url}/dashboard/data?limit=1000`)).json()).filter((l) =>
	!event || l.event === event);
/* Our name of the last request: Anthropic's own answers carry theirs. */
const idOf = async (px) => (await lines(px, 'cdx.request')).at(-1).id;
const near = (a, b, by, what) => assert.ok(Math.abs(a - b) <= by,
	`${what}: ${a}, not ${b} (within ${by})`);
const ms = (t) => /min|:/.test(t) ? NaN : parseFloat(t) * (/ms/.test(t) ? 1 : 1e3);

async function anthropic(s, env = {}) {
	s.up = s.keep(await new Service({ model: script, key: KEY }).listen());
	return s.proxy({ LLM_BACKEND: 'anthropic', ANTHROPIC_UPSTREAM_URL:
		s.up.base, ...env });
}

await scenario('facts 7: tool times in their grades, and a person\'s', async (s) => {
	const px = await openai(s), page = await open(s, px.url);
	const go = async () => {
		const t = new Talk(px);
		let paused;
		const one = await t.ask('go', { text: 'a', calls: [call('Bash',
			{ command: 'make' })] }, { onText: () => paused = Date.now() });
		await sleep(742 + 400);		/* the tool, and who thinks */
		const two = await t.results(['ok'], { text: 'b', calls: [call('Read',
			{ file_path: 'a' }), call('Read', { file_path: 'b' })] },
		{ times: 'Bash=742' });
		await sleep(30);
		const three = await t.results(['A', 'B'], { text: 'c', calls: [
			call('Grep', { pattern: 'x' })] }, { times: 'Read=9;Read=11' });
		const since = Date.now();
		await sleep(300);
		const most = Date.now() - since;
		await t.results(['none'], { text: 'd' });
		const text = await show(page, t.session, one.id);
		const human = /human[^\n]*?([\d.]+ m?s)/.exec(await textOf(page,
			'#strip'));
		assert.match(text, /result Bash 742 ms/);
		return { t, one, two, three, most, said: ms(human[1]), human:
			s.up.chats.at(-3).at - paused - 742 };
	};
	const { r: { t, one, two, three, most, said, human }, slack } =
		await timely(go, (r, slack) => Math.abs(r.said - r.human) <=
			50 + slack);
	let text;

	near(said, human, 50 + slack, 'human time');
	text = await show(page, t.session, two.id);
	assert.match(text, /Read[^]*file_path[^]*a[^]*result Read 9 ms[^]*file_path[^]*b[^]*result Read 11 ms/);
	text = await show(page, t.session, three.id);
	const bound = /result Grep ≤ ([\d.]+ m?s)/.exec(text);
	assert.ok(bound, text);
	near(ms(bound[1]), most, 100 + slack, 'at most');
	/* What was measured is solid, what is a bound is hatched. */
	const bar = (id, i) => page.$eval(`[data-key="${id}"] .bar.tool.n${i}`,
		(e) => [getComputedStyle(e).backgroundImage.includes('repeating'),
			e.getBoundingClientRect().width]);
	assert.equal((await bar(one.id, 0))[0], false);
	assert.equal((await bar(three.id, 0))[0], true);
	assert.match(await textOf(page, '#strip'), /tools ≤.*human ≥/s);
	clean(page);
});

await scenario('facts 8: a line and a tool that changed, and nothing else', async (s) => {
	const px = await openai(s), t = new Talk(px, { system:
		'You are an interactive agent.\nBe brief.\nBe kind.\nBe quick.' });

	await t.ask('one', { text: 'a' });
	t.system = t.system.replace('Be kind.', 'Be exact.');
	t.tools = TOOLS.map((x) => x.name === 'Grep' ? tool('Grep', 'pattern',
		'path') : x);
	const two = await t.ask('two', { text: 'b' });
	const page = await open(s, px.url, { hash: at(t.session, two.id, 'system') });
	await show(page, t.session, two.id, 'system');
	assert.deepEqual(await page.$$eval('#panel ins, #panel del', (all) =>
		all.map((e) => e.innerText.trim())), ['- Be kind.', '+ Be exact.']);
	const text = await show(page, t.session, two.id, 'tools');
	const changed = await page.$$eval('#panel tr', (all) => all.filter((e) =>
		/changed|added/.test(e.lastChild.innerText)).map((e) =>
		e.querySelector('summary').innerText));
	assert.deepEqual(changed, ['Grep']);
	assert.ok(!/removed/.test(text));
	for (const [server, mark] of [['github', 'mcp__github'], ['browser',
		'mcp__browser'], ['built in', null]]) {
		const n = t.tools.filter((x) => mark ? x.name.startsWith(mark) :
			!x.name.startsWith('mcp__')).reduce((a, x) => a +
			Buffer.byteLength(JSON.stringify(x)), 0);
		assert.ok(text.includes(`${server} ${n} bytes`), `${server} ${n}: ${
			text.split('\n')[0]}`);
	}
	const last = (await lines(px, 'cdx.request')).at(-1)['cdx.tools'];
	assert.equal(last.mcp.github, t.tools.filter((x) => x.name.startsWith(
		'mcp__github')).reduce((a, x) => a + JSON.stringify(x).length, 0));
	clean(page);
});

async function bedrock(s, env = {}) {
	s.up = s.keep(await new Bedrock({ model: script }).listen());
	return s.proxy({ LLM_BACKEND: 'bedrock', AWS_REGION: 'us-east-1',
		AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
		AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
		AWS_ENDPOINT_URL_BEDROCK_RUNTIME: s.up.url, ...env });
}

/* A clock that the test puts forward: environment for a proxy, and a way. */
function clock(s) {
	const dir = mkdtempSync(join(tmpdir(), 'claudecodex-clock-'));
	const file = join(dir, 'later'), lib = join(dir, 'shim.so');
	const put = (seconds) => {
		const b = Buffer.alloc(8);

		b.writeBigInt64LE(BigInt(seconds));
		writeFileSync(file, b);
	};

	s.keep({ close: () => rmSync(dir, { recursive: true }) });
	put(0);
	execFileSync(process.env.CC || 'cc', ['-shared', '-fPIC', '-O2', '-o', lib,
		new URL('../live/clock_shim.c', import.meta.url).pathname]);
	return { env: { LD_PRELOAD: lib, CLOCK_FILE: file }, put };
}

await scenario('facts 9: why the cache missed', async (s) => {
	/* A connection that rests must outlive the leaps of the clock: whoever sends
	 * on one that is being closed has no answer. */
	const time = clock(s), px = await anthropic(s, { ...time.env,
		KEEPALIVE_TIMEOUT: '86400' });
	const t = new Talk(px, { key: KEY });
	const usage = (write, read) => ({ input_tokens: 20,
		cache_creation_input_tokens: write, cache_read_input_tokens: read });
	const miss = usage(6000, 0), hit = usage(100, 6000), none = usage(0, 0);
	const seen = {};
	const page = await open(s, px.url);
	const ask = async (name, text, usage = miss, who = t) => {
		const r = await who.ask(text, { text: 'answer ' + text, usage });
		assert.equal(r.status, 200, r.text);
		await show(page, who.session, await idOf(px));
		seen[name] = await textOf(page, '#head');
	};

	await ask('initial', 'first');
	await ask('hit', 'again', hit);
	t.system += ' And be brief.';
	await ask('system_prompt_changed', 'second');
	t.tools = [...TOOLS.slice(1), TOOLS[0]];
	await ask('tools_changed', 'third');
	t.model = 'claude-sonnet-5';
	await ask('model_changed', 'fourth');
	t.messages[2].content[0].text = 'rewritten';
	await ask('messages_rewritten', 'fifth');
	await ask('likely_server_side', 'sixth');
	time.put(310);
	await ask('ttl_expired_5m', 'seventh');
	t.ttl = '1h';
	await ask('hit for an hour', 'eighth', hit);
	time.put(310 + 1200);
	await ask('hit within the hour', 'ninth', hit);
	time.put(310 + 1200 + 3610);
	await ask('ttl_expired_1h', 'tenth');
	for (const [name, head] of Object.entries(seen))
		if (name.startsWith('hit'))
			assert.doesNotMatch(head, /cache miss/, name);
		else
			assert.match(head, new RegExp(`cache miss: ${name}\\b`));
	assert.match(seen.messages_rewritten, /at message 2/);
	assert.match(seen.tools_changed, /\$\d/);	/* priced */
	assert.match(seen.ttl_expired_5m, /\$\d/);
	/* Ours: a service that keeps nothing, and marks that it never saw. */
	const u = new Talk(px, { key: KEY });
	await ask('not yet', 'a', none, u);
	await ask('none', 'b', none, u);
	assert.match(seen.none, /cache miss: not_supported_upstream\b/);
	const other = await bedrock(await sub(s), { BEDROCK_MODEL_ID:
		'us.meta.llama4-maverick-17b-instruct-v1:0' });
	const v = new Talk(other), page2 = await open(s, other.url);
	for (const text of ['a', 'c']) {
		const r = await v.ask(text, { text: 'd', usage: { read: 0,
			write: 0 } });
		await show(page2, v.session, r.id);
		assert.match(await textOf(page2, '#head'),
			/cache miss: marks_dropped\b/);
	}
	const counted = await (await fetch(px.url + '/metrics')).text();
	for (const name of Object.keys(seen).filter((x) => /_/.test(x)))
		assert.match(counted, new RegExp(
			`cache_misses_total\\{cause="${name}"\\} [1-9]`), name);
	clean(page);
	clean(page2);
});

// A second proxy within a scenario.
async function sub(s) {
	const { Stage } = await import('./harness.mjs');
	const more = new Stage();

	s.keep({ close: () => more.end(true) });
	return more;
}

// The page's totals, the metrics' and the sum over the journal, against what
// the upstream said: { input (uncached), read, write, output }.
async function agree(s, px, t, said, priced) {
	const answers = await lines(px, 'cdx.response');
	const of = (k) => answers.reduce((a, l) => a + (l[k] ?? 0), 0);
	const metrics = await (await fetch(px.url + '/metrics')).text();
	const value = (name, more = '') => [...metrics.matchAll(new RegExp(
		`^claudecodex_${name}\\{[^}]*${more}[^}]*\\} ([\\d.e-]+)`, 'gm'))]
		.reduce((a, m) => a + Number(m[1]), 0);
	const all = said.input + said.read + said.write;

	assert.equal(of('gen_ai.usage.input_tokens'), all);
	assert.equal(of('gen_ai.usage.cache_read.input_tokens'), said.read);
	assert.equal(of('gen_ai.usage.cache_write.input_tokens'), said.write);
	assert.equal(of('gen_ai.usage.output_tokens'), said.output);
	for (const [type, n] of [['input', said.input], ['cache_read', said.read],
		['cache_write', said.write], ['output', said.output]])
		assert.equal(value('tokens_total', `type="${type}"`), n, type);
	const page = await open(s, px.url);
	await show(page, t.session, answers.at(-1).id);
	const strip = (await textOf(page, '#strip')).replace(/\s+/g, ' ');
	const cost = of('cdx.cost_usd');
	for (const w of [`input ${all} `, `from cache ${(100 * said.read / all)
		.toFixed()}%`, `written ${said.write} `, `output ${said.output} `,
	priced ? `cost $${cost.toFixed(cost < 0.01 ? 4 : 2)} ` : 'cost ? '])
		assert.ok(strip.includes(w), `${w}: ${strip}`);
	if (priced) {
		assert.ok(cost > 0);
		near(value('cost_usd_total'), cost, 1e-6, 'the cost');
	} else {
		assert.ok(answers.every((l) => l['cdx.cost_usd'] === null));
		assert.ok(!/claudecodex_cost_usd_total\{/.test(metrics));
		assert.equal(value('unpriced_tokens_total'), all + said.output);
	}
	clean(page);
}

await scenario('facts 10: the page, the metrics and the journal agree', async (s) => {
	const px = await anthropic(s), t = new Talk(px, { key: KEY });

	await t.ask('one', { text: 'a', usage: { input_tokens: 40, output_tokens:
		50, cache_read_input_tokens: 0, cache_creation_input_tokens: 300 } });
	await t.ask('two', { text: 'b', usage: { input_tokens: 20, output_tokens:
		70, cache_read_input_tokens: 300, cache_creation_input_tokens: 30 } });
	await agree(s, px, t, { input: 60, read: 300, write: 330, output: 120 },
		true);
});

await scenario('facts 10: so they do of OpenAI\'s counts, which hold what was cached', async (s) => {
	const px = await s.pair('openai', script, 'a-model-without-a-price');
	const t = new Talk(px);

	for (const [all, cached, out] of [[300, 0, 10], [400, 320, 20]]) {
		const r = await t.ask('one', { text: 'a', usage: { prompt_tokens: all,
			completion_tokens: out, total_tokens: all + out,
			prompt_tokens_details: { cached_tokens: cached } } });
		assert.equal(r.status, 200, r.text);
	}
	await agree(s, px, t, { input: 380, read: 320, write: 0, output: 30 },
		false);
});

for (const api of ['converse', 'invoke'])
	await scenario(`facts 10: so they do of Bedrock's, ${api}`, async (s) => {
		const px = await bedrock(s, { BEDROCK_API: api });
		const t = new Talk(px);

		for (const usage of [{ input: 40, read: 0, write: 300, output: 50 },
			{ input: 20, read: 300, write: 30, output: 70 }]) {
			const r = await t.ask('one', { text: 'a', usage });
			assert.equal(r.status, 200, r.text);
		}
		assert.ok(s.up.chats.every((c) => c.operation.startsWith(api)));
		await agree(s, px, t, { input: 60, read: 300, write: 330, output:
			120 }, true);
	});

await scenario('facts 11: the waterfall', async (s) => {
	const px = await openai(s), page = await open(s, px.url);
	const pieces = Array.from({ length: 20 }, (_, i) => `word${i} `);
	const row = (name) => page.$$eval('#panel tr', (all, name) => {
		const e = all.find((x) => x.firstChild.innerText === name);
		const bar = e.querySelector('.bar').style;
		return { took: e.children[2].innerText, left: parseFloat(bar.left),
			end: parseFloat(bar.left) + parseFloat(bar.width) };
	}, name);
	const run = async () => {
		const t = new Talk(px), times = [];
		const r = await t.ask('slowly', { wait: 300, delay: 50, pieces, usage:
			{ completion_tokens: 400, prompt_tokens: 10, total_tokens:
			410 } }, { onText: () => times.push(Date.now()) });
		const end = Date.now(), sent = s.up.chats.at(-1).at;
		const text = await show(page, t.session, r.id, 'timing');
		return { all: end - sent, first: times[0] - sent, stream: end -
			times[0], wait: await row('waiting'), streaming: await row(
			'streaming'), rate: Number(/([\d.]+) tokens\/s/.exec(text)[1]) };
	};
	const off = (r) => ({ waiting: ms(r.wait.took) - r.first,
		'its edge': r.wait.end / 100 * r.all - r.first,
		'the end': r.streaming.end / 100 * r.all - r.all });
	const rate = (x, slack) => Math.abs(x.rate / (400e3 / x.stream) - 1) <
		0.05 + slack / x.stream;
	const { r, slack } = await timely(run, (x, slack) => Object.values(off(x))
		.every((v) => Math.abs(v) <= 30 + slack) && rate(x, slack));

	for (const [what, by] of Object.entries(off(r)))
		assert.ok(Math.abs(by) <= 30 + slack, `${what}: ${by} ms off`);
	assert.ok(rate(r, slack), `${r.rate} tokens/s, not ${400e3 / r.stream}`);
	clean(page);
});

for (const [name, make] of [['passed on', anthropic], ['translated', openai]])
	await scenario(`facts 12: both sides, to the byte: ${name}`, async (s) => {
		const px = await make(s), t = new Talk(px, { key: KEY });
		const r = await t.ask('héllo \u6f22', { text: 'wörld', reasoning: 'hm',
			calls: [call('Bash', { command: 'ls' })] });
		const e = s.up.chats.at(-1), id = await idOf(px);
		const raw = async (side, part) => Buffer.from(await (await fetch(
			`${px.url}/dashboard/request/${id}/raw?side=${side}&part=${part
			}&only=body`)).arrayBuffer());

		assert.equal(sha(await raw('client', 'request')), sha(t.sent));
		assert.equal(sha(await raw('upstream', 'request')), sha(e.text));
		assert.equal(sha(await raw('upstream', 'response')), sha(e.sent));
		assert.equal(sha(await raw('client', 'response')), sha(r.raw));
		assert.equal(t.sent === e.text, name === 'passed on');
		const page = await open(s, px.url);
		const text = await show(page, t.session, id, 'wire');
		assert.match(text, /client request[^]*POST \/v1\/messages/);
		assert.match(text, /upstream response[^]*HTTP\/1.1 200/);
		assert.ok(!/rebuilt|not kept/.test(text), text);
		assert.ok(text.includes('wörld') && text.includes('héllo'));
		clean(page);
	});

await scenario('facts 12: no field is lost without a note', async (s) => {
	const px = await openai(s), page = await open(s, px.url);
	const fields = { thinking: { type: 'enabled', budget_tokens: 2048 },
		metadata: { user_id: 'x' }, top_k: 5, top_p: 0.9, temperature: 1,
		stop_sequences: ['END'], service_tier: 'auto', tool_choice:
		{ type: 'auto' }, context_management: { edits: [] },
		container: 'c', mcp_servers: [], output_config: { effort: 'high' },
		speed: 'fast', inference_geo: 'us', field_of_2099: { a: 1 } };
	const names = { system: 'messages', stop_sequences: 'stop',
		max_tokens: 'max_completion_tokens' };
	const lost = [];

	for (const [k, v] of Object.entries(fields)) {
		const t = new Talk(px, { extra: { [k]: v } });
		const r = await t.ask('hi', { text: 'ok' });
		if (r.status === 400) {		/* refused: also an account */
			assert.ok(r.text.includes(k), `${k}: ${r.text}`);
			continue;
		}
		assert.equal(r.status, 200, `${k}: ${r.text}`);
		const up = s.up.chats.at(-1).body;
		const notes = (await lines(px, 'cdx.upstream')).at(-1)['cdx.notes'];
		for (const f of Object.keys(JSON.parse(t.sent)))
			if (!(f in up || names[f] in up || notes.some((n) =>
				n[0] === f || n[0].startsWith(f + '.'))))
				lost.push(f);
		if (k === 'top_k' || k === 'field_of_2099') {
			const text = await show(page, t.session, r.id, 'wire');
			assert.ok(k in up || new RegExp(`${k}\\s+dropped`).test(text),
				text.slice(0, 400));
		}
	}
	assert.deepEqual(lost, []);
	/* And in what is inside them: wherever a member of no meaning is put,
	 * it is upstream or in a note. */
	const whole = { ...fields, system: [{ type: 'text', text: 's' }],
		tool_choice: { type: 'auto' }, tools: [{ name: 'Bash', description: 'd',
			input_schema: { type: 'object', properties: {} } }],
		messages: [{ role: 'user', content: [{ type: 'text', text: 'a' },
			{ type: 'image', source: { type: 'base64', media_type: 'image/png',
				data: PNG } }] },
		{ role: 'assistant', content: [{ type: 'text', text: 'b' },
			{ type: 'tool_use', id: 'toolu_1', name: 'Bash', input: {} }] },
		{ role: 'user', content: [{ type: 'tool_result', tool_use_id:
			'toolu_1', content: [{ type: 'text', text: 'c' }] }] }] };
	const objects = (v, f, path = '') => {
		if (v && typeof v === 'object' && !Array.isArray(v) && path)
			f(v, path);
		for (const [k, x] of Object.entries(v ?? {}))
			if (typeof x === 'object')
				objects(x, f, path + '.' + k);
	};
	const all = [];
	objects(whole, (v, path) => all.push(path));
	/* A schema and what a call was given are carried as they are; of what is
	 * dropped as a whole its own note tells. */
	const apart = /input|\.(context_management|mcp_servers|field_of_2099)/;
	for (const want of all.filter((p) => !apart.test(p))) {
		const body = structuredClone(whole);
		objects(body, (v, path) => path === want && (v.of_2099 = 1));
		const r = await fetch(px.url + '/v1/messages', { method: 'POST', headers:
			{ 'content-type': 'application/json' }, body: JSON.stringify({
			model: 'claude-opus-5', max_tokens: 9, ...body }) });
		assert.equal(r.status, 200, want + await r.text());
		await r.text().catch(() => 0);
		const notes = (await lines(px, 'cdx.upstream')).at(-1)['cdx.notes'];
		if (!JSON.stringify(s.up.chats.at(-1).body).includes('of_2099') &&
		    !notes.some((n) => /of_2099$/.test(n[0])))
			lost.push(want);
	}
	assert.ok(all.length > 12, String(all));
	assert.deepEqual(lost, []);
	clean(page);
});

await scenario('facts 13: copied as curl, it runs', async (s) => {
	const px = await openai(s), t = new Talk(px, { key: KEY });
	const r = await t.ask('it\'s "quoted" $HOME `x` \\n é', { text: 'once' });
	const first = s.up.chats.at(-1).body;
	const page = await open(s, px.url, { permissions: ['clipboard-read',
		'clipboard-write'] });

	await show(page, t.session, r.id, 'wire');
	const copied = async (before) => until(page, async (before) => {
		const c = await navigator.clipboard.readText();
		return c.startsWith('curl') && c !== before && c;
	}, before);
	const go = (command, env) => new Promise((ok, no) => execFile('bash', ['-c',
		command], { env: { PATH: process.env.PATH, NO_PROXY: '127.0.0.1',
		...env } }, (e, text, err) => e ? no(new Error(e.message + err)) :
		ok(text)));
	await page.keyboard.press('Y');
	const command = await copied();
	assert.ok(!command.includes(KEY) && command.includes('$ANTHROPIC_API_KEY'),
		command.slice(0, 600));
	assert.match(await go(command, { ANTHROPIC_API_KEY: KEY }), /message_start/);
	assert.equal(s.up.chats.length, 2);
	assert.deepEqual(s.up.chats.at(-1).body, first);
	/* What the proxy sent, without the proxy. */
	await page.click('text=upstream as curl');
	const sent = await copied(command);
	assert.ok(sent.includes(`curl -sN '${s.up.base}/chat/completions'`) &&
		sent.includes('$OPENAI_API_KEY') && !sent.includes(s.up.key),
	sent.slice(0, 600));
	assert.match(await go(sent, { OPENAI_API_KEY: s.up.key }),
		/chat\.completion\.chunk/);
	assert.equal(s.up.chats.length, 3);
	const last = s.up.chats.at(-1);
	assert.equal(last.status, 200);
	assert.deepEqual(last.body, first);
	assert.equal(last.headers.authorization, 'Bearer ' + s.up.key);
	clean(page);
});

await scenario('facts 14: no secret is kept or shown', async (s) => {
	const px = await openai(s), planted = { anthropic: 'sk-ant-api03-' +
		'Q'.repeat(40), aws: 'AKIA' + 'QZ7XW3ABCDEFGHIJ', github: 'ghp_' +
		'q'.repeat(36), google: 'AIza' + 'Sy0123456789abcdefghijklmnopqrstuvw',
	slack: 'xox' + 'b-1234567890-abcdefghijklmnop', jwt: 'eyJhbGciOiJIUzI1NiJ9.' +
		'eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U' };
	const t = new Talk(px, { key: 'sk-ant-api03-' + 'H'.repeat(60) });
	const all = Object.values(planted).join(' and ');
	let sse = '';
	const watcher = new AbortController();
	const watch = fetch(`${px.url}/dashboard/events`, { signal: watcher.signal })
		.then(async (r) => {
			for await (const p of r.body.pipeThrough(new TextDecoderStream()))
				sse += p;
		}).catch(() => 0);
	const page = await open(s, px.url);
	const one = await t.ask(`keys: ${all}`, { text: `I see ${all}`, delay: 5,
		calls: [call('Bash', { command: `echo ${all}` })] });
	const two = await t.results([`out: ${all}`], { text: 'done' });
	let seen = '';

	for (const id of [one.id, two.id])
		for (const tab of TABS) {
			await show(page, t.session, id, tab);
			seen += await page.evaluate(() => document.documentElement
				.outerHTML);
		}
	assert.match(seen, /redacted/);
	await sleep(300);
	watcher.abort();
	await watch;
	for (const as of ['jsonl', 'html', 'har', 'otlp'])
		seen += await (await fetch(`${px.url}/dashboard/export/${t.session
		}?as=${as}`)).text();
	for (const side of ['client', 'upstream'])
		for (const part of ['request', 'response'])
			seen += await (await fetch(`${px.url}/dashboard/request/${one.id
			}/raw?side=${side}&part=${part}`)).text();
	const dir = join(px.dir, 'log');
	for (const f of readdirSync(dir, { recursive: true, withFileTypes: true }))
		if (f.isFile())
			seen += readFileSync(join(f.parentPath ?? f.path, f.name), 'utf8');
	seen += px.console + sse;
	for (const [kind, secret] of Object.entries({ ...planted, own: t.key,
		upstream: s.up.key }))
		assert.ok(!seen.includes(secret), `${kind} at ...${seen.slice(
			Math.max(0, seen.indexOf(secret) - 80), seen.indexOf(secret))}`);
	const got = JSON.stringify(s.up.chats.at(-1).body);
	for (const [kind, secret] of Object.entries(planted))
		assert.ok(got.includes(secret), `${kind} did not get there`);
	clean(page);
});

await scenario('facts 15: exports', async (s) => {
	const px = await openai(s), d = await day(px);
	const get = async (as) => (await fetch(`${px.url}/dashboard/export/${
		d.session}?as=${as}`)).text();
	const all = (await get('jsonl')).trim().split('\n').map((l) => JSON.parse(l));
	const page = await open(s, px.url, { hash: at(d.session, d.step.bash.id) });
	const text = await show(page, d.session, d.step.bash.id);
	const mine = await rows(page);
	const mock = s.keep(new Mock());

	/* The same page from the file alone. */
	await mock.listen();
	mock.lines = all;
	mock.seq = all.at(-1).seq;
	for (const l of all)
		if (l.event === 'cdx.blob')
			mock.blobs.set(l.sha, l.data);
	/* And from a proxy that finds it as its journal. */
	const dir = mkdtempSync(join(tmpdir(), 'claudecodex-import-'));
	s.keep({ close: () => rmSync(dir, { recursive: true }) });
	writeFileSync(join(dir, 'structured.jsonl'), await get('jsonl'), { mode:
		0o600 });
	const px2 = await openai(await sub(s), { LOG_DIR: dir });
	for (const url of [mock.url.replace('/dashboard', ''), px2.url]) {
		const again = await open(s, url, { hash: at(d.session,
			d.step.bash.id) });
		assert.equal(await show(again, d.session, d.step.bash.id), text);
		assert.deepEqual(await rows(again), mine);
		clean(again);
	}
	const html = await get('html');
	assert.ok(!/<script/i.test(html));
	const file = join(px.dir, 'export.html');
	writeFileSync(file, html);
	const still = await (await page.context().browser().newContext()).newPage();
	await still.goto('file://' + file);
	const body = await still.evaluate(() => document.body.innerText);
	for (const w of ['why does the button do nothing?', 'I run the tests.',
		'npm test', 'exit status 1', 'All is known.', 'Menu: line 41.'])
		assert.ok(body.includes(w), w);
	await still.context().close();
	const whole = JSON.parse(await get('har')), har = whole.log;
	await valid.har(whole);
	await assert.rejects(valid.har({ log: { ...har, creator: {} } }));
	assert.equal(har.version, '1.2');
	assert.ok(har.creator.name && har.entries.length >= 9);
	for (const e of har.entries) {
		for (const k of ['send', 'wait', 'receive'])
			assert.ok(e.timings[k] >= 0, `timings.${k}`);
		assert.ok(Date.parse(e.startedDateTime) > 0 && e.time >= 0);
	}
	assert.ok(JSON.parse(await get('otlp')).resourceSpans.length);
	clean(page);
});

await scenario('facts 16: replay', async (s) => {
	const px = await openai(s), t = new Talk(px);
	const r = await t.ask('go', { text: 'a', calls: [call('Bash', {
		command: 'rm x' })] });
	const post = (u, origin) => fetch(`${u}/dashboard/replay`, { method: 'POST',
		headers: { 'content-type': 'application/json', origin,
			'sec-fetch-site': origin === u ? 'same-origin' : 'cross-site' },
		body: JSON.stringify({ of: r.id, model: 'other', confirm_cost:
			true }) });

	assert.equal((await post(px.url, px.url)).status, 404);
	assert.ok([403, 421].includes((await post(px.url, 'http://evil.test'))
		.status));
	const page = await open(s, px.url);
	await show(page, t.session, r.id, 'compare');
	/* What if: the recorded tokens at another model's prices. */
	const { models } = await (await fetch(`${px.url}/dashboard/prices`)).json();
	const end = (await lines(px, 'cdx.response')).at(-1);
	const [name, price] = Object.entries(models)[0];
	const cost = (end['gen_ai.usage.input_tokens'] * price[0] +
		end['gen_ai.usage.output_tokens'] * price[1]) / 1e6;
	const table = (await textOf(page, '#panel')).replace(/\s+/g, ' ');
	assert.ok(cost > 0 && table.includes(`${name} $${cost.toFixed(cost < 0.01 ?
		4 : 2)}`), `${name} ${cost}: ${table}`);
	await page.fill('#model', 'other');
	await page.check('#panel [type=checkbox]');
	await page.click('#panel form button');
	await until(page, () => /Replay is off/.test(document.querySelector('#said')
		.innerText));
	assert.equal(s.up.chats.length, 1);
	const more = await sub(s), on = await openai(more, { MONITOR_REPLAY: '1' });
	const u = new Talk(on), first = await u.ask('go', { text: 'a', calls: [
		call('Bash', { command: 'rm x' })] });
	const page2 = await open(s, on.url);
	await show(page2, u.session, first.id, 'compare');
	await page2.fill('#model', 'other');
	await page2.check('#panel [type=checkbox]');
	await page2.click('#panel form button');
	await until(page2, () => document.querySelectorAll('#panel .sides > *')
		.length === 2, null, 'both are shown', 8000);
	assert.equal(more.up.chats.length, 2);
	const compared = await textOf(page2, '#panel .sides');
	assert.match(compared, /claude-opus-5 → qwen3[^]*replay, other → qwen3/);
	assert.match(compared, /rm x/);
	assert.ok([403, 421].includes((await post(on.url, 'http://evil.test'))
		.status));
	assert.equal(more.up.chats.length, 2);
});

await scenario('facts: which model is fit for what', async (s) => {
	const px = await openai(s, { MODEL_MAP: 'claude-haiku-*=small' });
	const good = new Talk(px), weak = new Talk(px, { model: 'claude-haiku-4-5' });
	const facts = async () => Object.fromEntries((await (await fetch(
		`${px.url}/dashboard/fitness`)).json()).models.map((m) => [m.model, m]));
	const work = async (t, n, name, more = {}) => {
		for (let i = 0; i < n; i++) {
			await t.ask(`part ${i}`, { text: 'x', calls: [call(name, { command:
				`part ${i}` })], ...more });
			await t.results([`part ${i} is done`], { text: 'done' });
		}
	};

	await work(good, 10, 'Bash');
	await count(good, 'not counted');
	await work(weak, 5, 'Bash');
	await work(weak, 1, 'ReadFile');
	for (let i = 0; i < 4; i++)
		await (i ? weak.results(['what the tool says each time, word for word'],
			{ text: 'y', calls: [call('Bash', { command: 'again' })] }) :
			weak.ask('go', { text: 'y', calls: [call('Bash', { command:
				'again' })] }));
	await weak.results(['what the tool says each time, word for word'],
		{ text: 'so be it' });
	await weak.ask('the end', { text: 'cut off', finish: 'length' });
	await weak.ask('more', { fail: { status: 500, body: { error: { message:
		'broken', type: 'server_error' } } } }, { keep: false });
	const f = await facts(), { qwen3, small } = f;
	assert.deepEqual([qwen3.requests, qwen3.tool_calls, qwen3.fit, qwen3.verdict],
		[20, 10, 'tools', 'fit for tools']);
	for (const k of ['bad_tool_json', 'unknown_tools', 'loops', 'truncated',
		'errors', 'retries', 'stalls'])
		assert.equal(qwen3[k], 0, k);
	assert.deepEqual([small.tool_calls, small.unknown_tools, small.truncated,
		small.errors, small.fit], [10, 1, 1, 1, 'poor'], JSON.stringify(small));
	assert.ok(small.loops >= 1, JSON.stringify(small));
	assert.ok(qwen3.first_byte_ms >= 0 && qwen3.answer_ms >=
		qwen3.first_byte_ms);
	/* The page says the same, with its share beside each count. */
	const page = await open(s, px.url, { width: 900 });
	const id = (await lines(px, 'cdx.request')).at(0).id;
	await show(page, good.session, id, 'compare');
	const told = (await page.$$eval('#panel .wide tr', (all) => all.map((r) =>
		[...r.cells].map((c) => c.innerText)))).map((r) => r.join('|'));
	assert.ok(told.includes('unknown tools|0|1 10.0%'), told.join('\n'));
	assert.ok(told.includes('fit|fit for tools|poor with tools'), told.join('\n'));
	assert.ok(told.includes('tool calls|10|10'), told.join('\n'));
	clean(page);
	/* So does a report, and the proxy after a restart. */
	const report = await new Promise((ok, no) => execFile(process.env.CLAUDECODEX,
		['report', join(px.dir, 'log')], (e, text) => e ? no(e) : ok(text)));
	assert.match(report, /qwen3 +fit for tools +20 requests  10 tool calls/);
	assert.match(report, /small +poor with tools .* 1 unknown tools \(10\.0%\)/);
	await px.stop();
	px.env.SERVER_PORT = String(px.port);
	px.port = 0;
	await px.start();
	await until(page, async (u) => (await fetch(u).catch(() => 0)).ok,
		`${px.url}/dashboard`);
	assert.deepEqual(await facts(), f);
});

await scenario('facts 17: alerts', async (s) => {
	const px = await openai(s);
	const run = async (commands) => {
		const t = new Talk(px);
		await t.ask('go', { text: 'x', calls: [call('Bash',
			{ command: commands[0] })] });
		for (const [i, c] of commands.slice(1).entries())
			await t.results([`result ${i}`], { text: 'x', calls: [call('Bash',
				{ command: c })] });
		await t.results(['result last'], { text: 'end' });
		/* The whole history once more. */
		await t.ask('and now?', { text: 'nothing' });
		return t;
	};
	const calm = await run(['a', 'b', 'c', 'd']);
	const page = await open(s, px.url);
	await until(page, () => document.querySelectorAll('[role=option]').length);
	assert.equal(await page.locator('.alert').count(), 0);
	const t = await run(['npm test', 'npm test', 'npm test', 'npm test']);
	await until(page, () => document.querySelectorAll('.alert').length);
	await sleep(300);
	const all = (await lines(px, 'cdx.alert')).filter((l) =>
		l.rule === 'repeat_call');
	assert.equal(all.length, 1, JSON.stringify(all));
	const text = await textOf(page, '#alerts');
	assert.match(text, /repeat call/);
	assert.match(text, /npm test/);
	await page.click('.alert');
	await until(page, (s) => location.hash.includes(s), t.session);
	assert.ok(!(await lines(px, 'cdx.alert')).some((l) =>
		l['gen_ai.conversation.id'] === calm.session));
	clean(page);
});

// Passes bytes on until it is told to cut them off.
async function relay(s, px) {
	const open = new Set();
	let broken = false;
	const server = net.createServer((c) => {
		const up = net.connect(px.port, '127.0.0.1');
		for (const x of [c, up]) {
			open.add(x);
			x.on('error', () => 0);
			x.on('close', () => {
				open.delete(x);
				c.destroy();
				up.destroy();
			});
		}
		if (broken)
			return c.destroy();
		c.pipe(up).pipe(c);
	});
	const cut = (yes) => {
		broken = yes;
		for (const x of open)
			x.destroy();
	};

	await new Promise((ok) => server.listen(0, '127.0.0.1', ok));
	s.keep({ close: () => {
		cut(true);
		server.close();
	} });
	return { url: `http://127.0.0.1:${server.address().port}`, cut };
}

await scenario('facts 20: after a broken stream and a restart', async (s) => {
	const px = await openai(s), d = await day(px);
	const between = await relay(s, px);
	const page = await open(s, between.url);

	await page.addInitScript(() => {
		window.ids = [];
		const Real = EventSource;
		window.EventSource = class extends Real {
			constructor(u) {
				super(u);
				this.addEventListener('message', (e) =>
					window.ids.push(JSON.parse(e.data).seq));
			}
		};
	});
	/* Anew, at an address that goes along with the session. */
	await page.goto('about:blank');
	await page.goto(`${between.url}/dashboard#/s/${d.session}`);
	await until(page, () => document.querySelectorAll('[role=option]').length
		=== 9);
	/* Its stream is broken off in the middle of an answer, and for a while
	 * there is no other. */
	const slow = d.main.ask('while nobody looks', { delay: 150, pieces:
		['xx ', 'yy ', 'zz ', 'ww '] });
	await until(page, () => /xx/.test(document.querySelector('#panel')
		.innerText));
	between.cut(true);
	await until(page, () => /no connection/.test(document.querySelector('#state')
		.innerText));
	await sleep(200);
	between.cut(false);
	const r = await slow;
	await d.main.ask('and more', { text: 'ok' });
	await until(page, (id) => document.getElementById('r-' + id), r.id);
	await until(page, () => document.querySelectorAll('[role=option]').length
		=== 11, null, 'eleven steps', 8000);
	await px.stop();
	await until(page, () => /no connection/.test(document.querySelector('#state')
		.innerText));
	px.env.SERVER_PORT = String(px.port);
	px.port = 0;
	await px.start();
	await until(page, () => /● live/.test(document.querySelector('#state')
		.innerText), null, 'live again', 10000);
	const last = await d.main.ask('after the restart', { text: 'I am back.' });
	await until(page, (id) => document.getElementById('r-' + id), last.id);
	assert.equal((await rows(page)).length, 12);
	const ids = await page.evaluate(() => window.ids);
	for (let i = 1; i < ids.length; i++)
		assert.equal(ids[i], ids[i - 1] + 1, `${ids[i]} after ${ids[i - 1]}`);
	/* It goes on where it was: only what is new is shown as new. */
	const after = await show(page, d.session, last.id);
	assert.match(after, new RegExp(`^${d.main.messages.length - 3
	} earlier messages hidden`), after.slice(0, 400));
	assert.ok(!/npm test/.test(after), after.slice(0, 400));
	/* Anew: everything comes back from the journal's file. */
	const text = await show(page, d.session, d.step.bash.id);
	const fresh = await open(s, px.url, { hash: at(d.session,
		d.step.bash.id) });
	assert.equal(await show(fresh, d.session, d.step.bash.id), text);
	assert.deepEqual((await rows(fresh)).map((x) => x.id), (await rows(page))
		.map((x) => x.id));
});

// A small disk of its own, or null where this user may not mount one.
async function disk(s) {
	const dir = mkdtempSync(join(tmpdir(), 'claudecodex-disk-'));
	const ok = await new Promise((done) => execFile('mount', ['-t', 'tmpfs',
		'-o', 'size=256k', 'tmpfs', dir], (e) => done(!e)));

	/* Lazily: a child of the proxy may end a moment after it. */
	s.keep({ close: () => {
		if (ok)
			execFileSync('umount', ['-l', dir]);
		rmSync(dir, { recursive: true });
	} });
	if (!ok)
		aloud('21, a full disk: this user may not mount one');
	return ok ? dir : null;
}
function fill(dir) {
	try {
		writeFileSync(join(dir, 'filler'), Buffer.alloc(1 << 20));
	} catch (e) {
		assert.equal(e.code, 'ENOSPC');
	}
}
// Watchers that never read, with hardly any buffer to be written to.
async function stuck(s, px, n) {
	const c = spawn('perl', ['-MSocket', '-e', '$| = 1; for (1 .. $ARGV[1]) ' +
		'{ socket(my $s, PF_INET, SOCK_STREAM, 0); setsockopt($s, ' +
		'SOL_SOCKET, SO_RCVBUF, 2048); connect($s, sockaddr_in($ARGV[0], ' +
		'INADDR_LOOPBACK)) or die; syswrite($s, "GET /dashboard/events ' +
		'HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n"); push @s, $s } ' +
		'print "there"; sleep', px.port, n]);

	s.keep({ close: () => c.kill() });
	await new Promise((ok, no) => {
		c.stdout.on('data', ok);
		c.on('exit', () => no(new Error('no perl to make watchers')));
	});
}
function reading(s, px, n) {
	const end = new AbortController();

	s.keep({ close: () => end.abort() });
	for (let i = 0; i < n; i++)
		fetch(`${px.url}/dashboard/events`, { signal: end.signal }).then(
			async (r) => {
				for await (const p of r.body)
					void p;
			}).catch(() => 0);
	return end;
}
const metric = async (px, name) => Number(new RegExp(`^${name} (\\d+)`, 'm')
	.exec(await (await fetch(px.url + '/metrics')).text())?.[1] ?? NaN);
const metricIs = (px, name, f) => until({ evaluate: async () => f(await metric(
	px, name)) }, null, null, name);
const p99 = (list) => list.sort((a, b) => a - b)[Math.floor(list.length * 0.99)];

await scenario('facts 21: stuck watchers and a full disk do no harm', async (s) => {
	const pieces = Array.from({ length: 1000 }, (_, i) =>
		`piece ${i} of the long answer `);
	const more = await sub(s), small = await disk(s);
	const calm = await openai(s), px = await openai(more, { MONITOR_MEMORY:
		'1m', WRITE_TIMEOUT: '5', ...small && { LOG_DIR: join(small,
		'log') } });
	const run = async (stage, to) => {
		const times = [];
		const r = await new Talk(to).ask('much', { pieces, delay: 1 },
			{ onText: () => times.push(performance.now()) });
		const { said } = stage.up.chats.at(-1);

		assert.equal(r.text, pieces.join(''));
		assert.equal(times.length, pieces.length);
		return { late: p99(times.map((t, i) => t - said[i].exact)), rate: 1e6 /
			(said.at(-1).exact - said[0].exact) };
	};

	await run(s, calm);
	await run(more, px);
	if (small)
		fill(small);
	await stuck(s, px, 5);
	await metricIs(px, 'claudecodex_monitor_clients', (n) => n === 5);
	/* One after the other, and again: both in the same weather. */
	const { r, slack } = await timely(async () => {
		const all = [];
		for (let i = 0; i < 3; i++)
			all.push([await run(s, calm), await run(more, px)]);
		const least = (k) => Math.min(...all.map((x) => x[k].late));
		return { without: least(0), with: least(1), rate: all[0][1].rate };
	}, (r, slack) => r.with - r.without < 1 + slack, 3);
	figure('a delta through the proxy, p99', `${r.without.toFixed(2)} ms, with ` +
		`5 stuck watchers${small ? ' and a full disk' : ''} ${r.with.toFixed(2)
		} ms, at ${r.rate.toFixed()} deltas/s`);
	assert.ok(r.with - r.without < 1 + slack, JSON.stringify(r));
	/* Who takes nothing for WRITE_TIMEOUT is let go; what the disk doesn't
	 * take is counted. */
	const much = Array.from({ length: 64 }, (_, i) => String(i % 10)
		.repeat(16384));
	for (let i = 0; i < 6; i++)
		assert.equal((await new Talk(px).ask(`${i}`.repeat(200000), { pieces:
			much })).text, much.join(''));
	await metricIs(px, 'claudecodex_monitor_clients', (n) => n === 0);
	if (small)
		await metricIs(px, 'claudecodex_journal_dropped_total', (n) => n > 0);
});

await scenario('facts 21: what a watcher costs', async (s) => {
	const px = await openai(s), page = await open(s, px.url);
	const pieces = Array.from({ length: 1000 }, (_, i) => `piece ${i} `);
	/* Microseconds of a processor, of the process that serves. */
	const used = () => Number(readFileSync(`/proc/${px.child.pid}/schedstat`,
		'utf8').split(' ')[0]) / 1e3;
	const run = async () => {
		const before = used();
		const r = await new Talk(px).ask('much', { pieces, delay: 1 });

		assert.equal(r.text, pieces.join(''));
		return (used() - before) / pieces.length;
	};
	const least = async () => Math.min(await run(), await run(), await run());

	await page.context().close();
	await metricIs(px, 'claudecodex_monitor_clients', (n) => n === 0);
	await run();
	const alone = await least();
	reading(s, px, 5);
	await metricIs(px, 'claudecodex_monitor_clients', (n) => n === 5);
	const watched = await least();
	figure('CPU of a delta', `${alone.toFixed(1)} us with no watcher, ${
		watched.toFixed(1)} us with 5`);
	/* Joined for 50 ms: five watchers may not make it several times that. */
	assert.ok(watched < alone * 4, `${alone} -> ${watched} us`);
});

await scenario('facts 21: a full disk does no harm', async (s) => {
	const small = await disk(s);

	if (!small)
		return;
	const px = await openai(s, { LOG_DIR: join(small, 'log') });
	await new Talk(px).ask('while there is room', { text: 'yes' });
	fill(small);
	const page = await open(s, px.url), pieces = Array.from({ length: 200 },
		(_, i) => `piece ${i} `);
	let said = '';
	const watcher = new AbortController();
	fetch(`${px.url}/dashboard/events`, { signal: watcher.signal }).then(
		async (r) => {
			for await (const p of r.body.pipeThrough(
				new TextDecoderStream()))
				said += p;
		}).catch(() => 0);
	for (let i = 0; i < 5; i++) {
		const r = await new Talk(px).ask('x'.repeat(200000), { pieces });
		assert.equal(r.text, pieces.join(''));
	}
	await until(page, () => document.querySelectorAll('#rail li').length === 6);
	for (let i = 0; i < 100 && !/"failing":1/.test(said); i++)
		await sleep(100);
	watcher.abort();
	assert.match(said, /"failing":1/);
	await until(page, () => /log failing/.test(document.querySelector('#state')
		.innerText));
	clean(page);
});

await scenario('facts: a journal grows with what is new', async (s) => {
	const px = await openai(s), t = new Talk(px, { system: 'You are an ' +
		'interactive agent. '.repeat(400), tools: TOOLS.map((x) => ({ ...x,
		description: `${x.name} does what its name says. `.repeat(100) })) });
	const words = (n, of) => Array.from({ length: n }, (_, i) => ((i * 7919 +
		of * 104729) % 99991).toString(36)).join(' ');
	let naive = 0;
	const size = () => readdirSync(join(px.dir, 'log')).filter((f) =>
		f.startsWith('structured')).reduce((a, f) => a + statSync(join(px.dir,
		'log', f)).size, 0);

	for (let i = 0; i < 200; i++) {
		const answer = { text: words(60, i), calls: [call('Bash', { command:
			`make test${i}` })] };
		const r = i ? await t.results([words(300, i)], answer) :
			await t.ask('Begin.', answer);
		assert.equal(r.status, 200, r.text);
		naive += Buffer.byteLength(t.sent) + Buffer.byteLength(r.raw);
	}
	await until({ evaluate: async () => readFileSync(join(px.dir, 'log',
		'structured.jsonl'), 'utf8').split('"cdx.response"').length === 201 });
	figure('journal of 200 steps', `${(size() / 1e6).toFixed(2)} MB, of ${
		(naive / 1e6).toFixed(1)} MB sent and answered (${(naive / size())
		.toFixed()} times as much)`);
	assert.ok(size() < naive / 10, `${size()} of ${naive}`);
});

await scenario('facts: how it looks', async (s) => {
	const px = await openai(s), d = await day(px), names = [];

	mkdirSync('build/screenshots', { recursive: true });
	for (const colorScheme of ['light', 'dark'])
		for (const width of [1440, 1024, 420]) {
			const page = await open(s, px.url, { colorScheme, width, hash:
				at(d.session, d.step.bash.id) });
			const name = `build/screenshots/page-${colorScheme}-${width}.png`;
			await show(page, d.session, d.step.bash.id);
			await page.screenshot({ path: name });
			assert.ok(statSync(name).size > 10000, name);
			names.push(name);
			clean(page);
			await page.context().close();
		}
	figure('screenshots', [...names, 'build/screenshots/claude-code.png']
		.join(' '));
});

await scenario('facts 22: ten thousand steps', async (s) => {
	const mock = new Mock(), dir = mkdtempSync(join(tmpdir(),
		'claudecodex-long-'));

	/* As a proxy finds them that is started anew. */
	s.keep({ close: () => rmSync(dir, { recursive: true }) });
	await long(mock, 10000);
	writeFileSync(join(dir, 'structured.jsonl'), mock.lines.map((l) =>
		JSON.stringify(l) + '\n').join(''), { mode: 0o600 });
	const px = await openai(s, { LOG_DIR: dir, MONITOR_MEMORY: '64m' });
	const page = await open(s, px.url);
	await until(page, () => /10000/.test(document.querySelector('#strip')
		.innerText), null, 'all steps are in', 60000);
	await sleep(500);
	/* Wall time, and the page's own processor time: on a machine that does
	 * other things beside it, that one tells what the page asks for. */
	const cdp = await page.context().newCDPSession(page);
	await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
	const busy = async () => (await cdp.send('Performance.getMetrics')).metrics
		.find((m) => m.name === 'TaskDuration').value * 1e3;
	const timed = async (f) => {
		const before = await busy(), { ms, n } = await page.evaluate(f);

		return { ms, cpu: (await busy() - before) / n };
	};
	const scroll = () => timed(async () => {
		const list = document.querySelector('#list'), t = [];
		list.scrollTop = 0;
		await new Promise((done) => {
			const step = (now) => {
				t.push(now);
				list.scrollTop += 900;
				if (t.length < 120)
					requestAnimationFrame(step);
				else
					done();
			};
			requestAnimationFrame(step);
		});
		const frames = t.slice(1).map((x, i) => x - t[i]).sort((a, b) => a - b);
		return { ms: frames[frames.length >> 1], n: t.length };
	});
	const look = () => timed(async () => {
		const f = document.querySelector('#filter'), all = [];
		const rows = document.querySelector('#rows');
		for (const q of ['tool:Bash', 'tool:Grep ms>900', 'file77', '']) {
			const t = performance.now();
			const was = rows.style.height;
			f.value = q;
			f.dispatchEvent(new Event('input'));
			while (rows.style.height === was)
				await new Promise(requestAnimationFrame);
			all.push(performance.now() - t);
		}
		return { ms: Math.max(...all), n: all.length };
	});
	const { r: frame, slack } = await timely(scroll, (x, slack) => x.ms <= 18 +
		slack);
	const { r: filter, slack: more } = await timely(look, (x, slack) => x.ms <
		100 + slack);
	const enough = (x, most, what) => {
		if (x.ms <= most)
			return;
		console.log(`    ${what}: ${x.ms.toFixed()} ms on this busy machine, ` +
			'judged by the page\'s own time');
		assert.ok(x.cpu <= most * 1.4, `${what}: ${JSON.stringify(x)}`);
	};
	const heap = await page.evaluate(() => {
		window.gc();
		return performance.memory.usedJSHeapSize / 1048576;
	});
	const drawn = await page.locator('[role=option]').count();
	figure('page at 10,000 steps', `heap ${heap.toFixed()} MB, scroll ${(1000 /
		frame.ms).toFixed()} frames/s (median; ${frame.cpu.toFixed(1)
	} ms of processor a frame), filter ${filter.ms.toFixed()} ms (${
		filter.cpu.toFixed()} of processor), ${drawn} rows drawn`);
	enough(frame, 18 + slack, 'a frame');
	enough(filter, 100 + more, 'the filter');
	assert.ok(heap < 150, `heap ${heap} MB`);
	assert.ok(drawn < 80, `${drawn} rows`);
	clean(page);
});

await scenario('facts 24: segments that stand alone', async (s) => {
	const px = await openai(s, { LOG_MAX_MB: '1', LOG_KEEP: '3' });
	const binary = process.env.CLAUDECODEX ?? 'build/claudecodex';
	const dir = join(px.dir, 'log'), files = () => readdirSync(dir).filter((f) =>
		/^structured.*\.jsonl$/.test(f)).sort();
	const first = new Talk(px);

	await first.ask('pinned ' + 'x'.repeat(400000), { text: 'kept' });
	mkdirSync(join(dir, 'pins'), { recursive: true, mode: 0o700 });
	writeFileSync(join(dir, 'pins', first.session), '', { mode: 0o600 });
	for (let i = 0; i < 12; i++)
		await new Talk(px).ask(`number ${i} ` + String(i % 10).repeat(400000),
			{ text: `answer ${i}` });
	await until({ evaluate: async () => files().length >= 3 }, null, null,
		'three segments');
	for (const f of files()) {
		const text = readFileSync(join(dir, f), 'utf8');
		const all = text.split('\n').slice(0, -1).map((l) => JSON.parse(l));
		const blobs = new Set(all.filter((l) => l.event === 'cdx.blob')
			.map((l) => l.sha));
		assert.equal(all[0].event, 'cdx.segment', f);
		for (const l of all)
			for (const x of [l['cdx.messages']?.add, l['cdx.system'],
				l['cdx.content']].flat())
				assert.ok(!x || blobs.has(x), `${f} names ${x}`);
		if (!all.some((l) => l.event === 'cdx.request'))
			continue;
		const alone = mkdtempSync(join(tmpdir(), 'claudecodex-alone-'));
		s.keep({ close: () => rmSync(alone, { recursive: true }) });
		cpSync(join(dir, f), join(alone, 'one.jsonl'));
		const out = await new Promise((ok, no) => execFile(binary, ['report',
			join(alone, 'one.jsonl')], (e, text, err) => e ? no(new Error(`${f}: ${
			e.message} ${err}`)) : ok(text)));
		assert.match(out, /claude-opus-5|qwen3/, f);
	}
	const kept = files().map((f) => readFileSync(join(dir, f), 'utf8'));
	assert.ok(kept.some((x) => x.includes(first.session)), 'the pin was lost');
});

await scenario('facts: the real client, two agents at once', async (s) => {
	const p = project({ 'a.txt': 'saw apples\n', 'b.txt': 'saw pears\n' });
	const agent = (name, type) => call('Agent', { description: `child ${name}`,
		prompt: `Read your file. JOB[${name}]`, subagent_type: type,
		run_in_background: false });
	const child = (name, file) => [{ text: `${name} looks.`, wait: 700, calls: [
		call('Read', { file_path: join(p.work, file) })] },
	{ text: `${name} has seen it.` }];
	const px = await s.pair('vllm', play({ one: child('one', 'a.txt'),
		two: child('two', 'b.txt'), main: [{ text: 'First a command.', calls:
		[call('Bash', { command: 'sleep 0.4; echo done', description:
			'waits' })] }, { text: 'Two at once.', calls: [
			agent('one', 'general-purpose'), agent('two', 'Explore')] },
		{ text: 'Both have seen it.' }] }), 'qwen3');
	const page = await open(s, px.url);
	const r = await run(px.url, p, 'Send two. JOB[main]', { tools: ['Read',
		'Bash', 'Agent'] });

	assert.equal(r.code, 0, r.err);
	assert.match(r.result.result, /Both have seen it/);
	await until(page, () => /Both have seen it/.test(document.querySelector(
		'#list').innerText));
	assert.equal(await page.locator('#rail li').count(), 1);
	assert.match(await textOf(page, '#strip'), /by header/);
	const lanes = (await outline(page)).filter((x) => x.kind === 'lane' &&
		!/side calls/.test(x.text));
	assert.equal(lanes.length, 2, JSON.stringify(lanes));
	assert.ok(lanes.every((x) => /from step 2/.test(x.text) && !/~/.test(
		x.text)), JSON.stringify(lanes));
	assert.ok(lanes.some((x) => /Explore/.test(x.text)));
	const all = await rows(page), first = all.find((x) => /sleep 0\.4/.test(
		x.text));
	const session = await page.evaluate(() => decodeURIComponent(location.hash)
		.split('/')[2]);
	const text = await show(page, session, first.id);
	const took = /result Bash (≤ )?([\d.]+ m?s)/.exec(text);
	assert.ok(took && !took[1], 'the client says how long a tool took');
	assert.ok(ms(took[2]) >= 400 && ms(took[2]) < 5000, took[2]);
	mkdirSync('build/screenshots', { recursive: true });
	await page.screenshot({ path: 'build/screenshots/claude-code.png' });
	clean(page);
});

await quit();
summary('page-facts');
