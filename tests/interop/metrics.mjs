// metrics.mjs -- /metrics before promtool and a real Prometheus, the dashboard
// made for it, figures that must agree with what the upstream counted, and spans
// pushed to a collector.
//
// SPDX-License-Identifier: MIT
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, scenario, sleep, summary } from './harness.mjs';

const Anthropic = createRequire(join(process.env.NODE_MODULES,
	'x.js'))('@anthropic-ai/sdk');
const KNOWN = 'claude-sonnet-5-5';	/* has a list price */

function promtool(text) {
	return new Promise((done) => {
		const child = execFile('promtool', ['check', 'metrics'],
			(e, out, err) => done({ code: e ? e.code : 0, text: out + err }));
		child.stdin.end(text);
	});
}

// { name: { labels, value }[] }
function parse(text) {
	const all = {};

	for (const l of text.split('\n')) {
		const m = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(l);
		if (!m)
			continue;
		const labels = Object.fromEntries([...(m[2] ?? '').matchAll(
			/(\w+)="((?:[^"\\]|\\.)*)"/g)].map((x) => [x[1], x[2]]));
		(all[m[1]] ??= []).push({ labels, value: Number(m[3]) });
	}
	return all;
}

const sum = (list, where = {}) => (list ?? []).filter((s) => Object.entries(where)
	.every(([k, v]) => s.labels[k] === v)).reduce((n, s) => n + s.value, 0);

async function traffic(s, env = {}) {
	let n = 0;
	const px = await s.pair('openai', () => {
		n++;
		if (n === 3)
			return { fail: { status: 429, body: { error: { message: 'slow' } } } };
		return n === 1 ? { text: 'first', calls: [{ name: 'Bash', args: { command: 'ls' } }] } :
			{ text: 'more words to be counted' };
	}, 'gpt-5.1', { env });
	const c = new Anthropic({ baseURL: px.url, apiKey: 'k', maxRetries: 0 });
	const ask = { model: KNOWN, max_tokens: 500, tools: [{ name: 'Bash', description: 'x',
		input_schema: { type: 'object' } }], messages: [{ role: 'user', content: 'go' }] };
	const a = await c.messages.create(ask);

	await c.messages.stream({ ...ask, messages: [...ask.messages, { role: 'assistant', content: a.content },
		{ role: 'user', content: a.content.filter((b) => b.type === 'tool_use')
			.map((b) => ({ type: 'tool_result', tool_use_id: b.id, content: 'no', is_error: true })) }] },
	{ headers: { 'x-claude-code-prev-tool-durations': 'Bash=742' } }).finalMessage();
	await c.messages.create(ask).catch(() => {});
	await c.messages.create({ ...ask, max_tokens: -1 }).catch(() => {});
	return px;
}

const text = async (px) => (await fetch(`${px.url}/metrics`)).text();

await scenario('metrics: promtool has nothing to say', async (s) => {
	const px = await traffic(s);
	const r = await promtool(await text(px));

	assert.deepEqual(r, { code: 0, text: '' });
});

await scenario('metrics: figures are the upstream\'s', async (s) => {
	const px = await traffic(s);
	const m = parse(await text(px));
	const used = s.up.chats.filter((c) => c.usage).map((c) => c.usage);
	const add = (f) => used.reduce((n, u) => n + f(u), 0);
	const t = (type) => sum(m.claudecodex_tokens_total, { type });

	assert.equal(t('output'), add((u) => u.completion_tokens));
	assert.equal(t('input') + t('cache_read') + t('cache_write'), add((u) => u.prompt_tokens));
	assert.equal(t('cache_read'), add((u) => u.prompt_tokens_details.cached_tokens));
	assert.equal(t('reasoning'), add((u) => u.completion_tokens_details.reasoning_tokens));
	assert.equal(sum(m.claudecodex_requests_total), 4);
	assert.equal(sum(m.claudecodex_requests_total, { code: '200', provider: 'openai' }), 2);
	assert.equal(sum(m.claudecodex_requests_total, { code: '429' }), 1);
	assert.equal(sum(m.claudecodex_upstream_errors_total, { error_type: 'rate_limit_error' }), 1);
	assert.equal(sum(m.claudecodex_tool_calls_total, { tool: 'Bash', outcome: 'error' }), 1);
	assert.equal(sum(m.claudecodex_tool_duration_seconds_sum), 0.742);
	assert.equal(sum(m.claudecodex_request_duration_seconds_count), 4);
	assert.equal(sum(m.claudecodex_time_to_first_chunk_seconds_count), 2);
});

await scenario('metrics: a real Prometheus reads them', async (s) => {
	const px = await traffic(s);
	const dir = mkdtempSync(join(tmpdir(), 'claudecodex-prometheus-'));
	const port = await new Promise((r) => {
		const l = http.createServer().listen(0, '127.0.0.1', () => {
			const { port: p } = l.address();
			l.close(() => r(p));
		});
	});

	writeFileSync(join(dir, 'p.yml'), `global:\n  scrape_interval: 1s\nscrape_configs:\n- job_name: claudecodex\n  static_configs:\n  - targets: ['127.0.0.1:${px.port}']\n`);
	const child = spawn('prometheus', [`--config.file=${dir}/p.yml`, `--storage.tsdb.path=${dir}/data`,
		`--web.listen-address=127.0.0.1:${port}`, '--log.level=error'], { stdio: 'ignore' });
	s.keep({ close: () => {
		child.kill('SIGKILL');
		rmSync(dir, { recursive: true, force: true });
	} });
	const query = async (q) => {
		const r = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(q)}`)
			.then((x) => x.json()).catch(() => null);
		return r?.data?.result ?? [];
	};
	let got = [];
	for (let i = 0; i < 200 && !got.length; i++) {
		await sleep(100);
		got = await query('sum(claudecodex_requests_total)');
	}
	assert.equal(got[0]?.value[1], '4');
	assert.equal((await query('up'))[0].value[1], '1');
	/* Every panel of the dashboard asks what Prometheus understands, about
	 * names that exist. */
	const board = JSON.parse(readFileSync('tools/grafana.json', 'utf8'));
	const names = [...(await text(px)).matchAll(/^# TYPE (\S+) (\S+)$/gm)].map((x) => x[1]);
	for (const p of board.panels)
		for (const { expr } of p.targets) {
			const q = expr.replaceAll('$__rate_interval', '1m');
			const r = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(q)}`);
			assert.equal(r.status, 200, `${p.title}: ${q}`);
			for (const [n] of q.matchAll(/\b(claudecodex|process)_[a-z_]+/g))
				assert.ok(names.includes(n.replace(/_bucket$/, '')), `${p.title}: no ${n}`);
		}
	/* And every name is on it, or is told apart by no panel on purpose. */
	const asked = JSON.stringify(board.panels);
	for (const n of names.filter((x) => !/build_info|start_time|console_dropped|otlp_dropped/.test(x)))
		assert.ok(asked.includes(n), `no panel shows ${n}`);
});

// A collector that takes documents as `answer` says: a status, or null for
// never.
async function collector(s, answer) {
	const got = [];
	const server = http.createServer(async (req, res) => {
		const parts = [];
		for await (const p of req)
			parts.push(p);
		const status = answer(got.length);
		got.push({ url: req.url, headers: req.headers, status,
			body: JSON.parse(Buffer.concat(parts).toString()) });
		if (status)
			res.writeHead(status, { 'content-type': 'application/json' }).end('{}');
	});
	await new Promise((r) => server.listen(0, '127.0.0.1', r));
	s.keep({ close: () => {
		server.closeAllConnections();
		server.close();
	} });
	return { got, url: `http://127.0.0.1:${server.address().port}`,
		get spans() {
			return got.filter((g) => g.status === 200).flatMap((g) => g.body.resourceSpans)
				.flatMap((r) => r.scopeSpans).flatMap((x) => x.spans);
		} };
}

async function until(test, ms = 10000) {
	for (let i = 0; i < ms / 50 && !test(); i++)
		await sleep(50);
	assert.ok(test(), String(test));
}

const attributes = (span) => Object.fromEntries(span.attributes.map(({ key, value }) =>
	[key, value.stringValue ?? (value.intValue === undefined ? value.doubleValue ??
		value.boolValue ?? value.arrayValue.values.map((v) => v.stringValue) : Number(value.intValue))]));

await scenario('otlp: spans reach a collector, by the GenAI conventions', async (s) => {
	const c = await collector(s, () => 200);

	await traffic(s, { OTEL_EXPORTER_OTLP_ENDPOINT: `${c.url}/`,
		OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=a%20b,authorization=Bearer otlp-secret-0123' });
	await until(() => c.spans.filter((x) => x.name.startsWith('chat ')).length >= 3);
	assert.equal(c.got[0].url, '/v1/traces');
	assert.equal(c.got[0].headers['content-type'], 'application/json');
	assert.equal(c.got[0].headers['x-tenant'], 'a b');
	for (const x of c.spans) {
		assert.match(x.traceId, /^[0-9a-f]{32}$/);
		assert.match(x.spanId, /^[0-9a-f]{16}$/);
		assert.ok(BigInt(x.endTimeUnixNano) >= BigInt(x.startTimeUnixNano));
		assert.ok(Math.abs(Number(BigInt(x.startTimeUnixNano) / 1000000n) - Date.now()) < 60000);
	}
	const chat = c.spans.filter((x) => x.name === `chat ${KNOWN}`).map((x) => ({ ...attributes(x), status: x.status }));
	const used = s.up.chats.filter((x) => x.usage).map((x) => x.usage);
	assert.equal(chat[0]['gen_ai.provider.name'], 'openai');
	assert.equal(chat[0]['gen_ai.operation.name'], 'chat');
	assert.deepEqual(chat[0]['gen_ai.response.finish_reasons'], ['tool_call']);
	assert.equal(chat[0]['gen_ai.usage.input_tokens'], used[0].prompt_tokens, 'cached tokens are part of it');
	assert.equal(chat[0]['gen_ai.usage.output_tokens'], used[0].completion_tokens);
	assert.ok(chat.some((x) => x['error.type'] && x.status.code === 2));
	const tool = c.spans.find((x) => x.name === 'execute_tool Bash');
	assert.equal(BigInt(tool.endTimeUnixNano) - BigInt(tool.startTimeUnixNano), 742000000n);
	const text = JSON.stringify(c.got.map((g) => g.body));
	for (const secret of ['more words', 'otlp-secret', 'first"'])
		assert.ok(!text.includes(secret), `${secret} is in a span`);
	assert.ok(!s.px.console.includes('otlp-secret'));
});

await scenario('otlp: a collector that refuses, hangs or is gone costs spans alone', async (s) => {
	let mode = 503;
	const c = await collector(s, () => mode);
	const px = await traffic(s, { OTEL_EXPORTER_OTLP_ENDPOINT: c.url });
	await until(() => /spans are lost: status 503/.test(px.console));
	mode = 200;
	const client = new Anthropic({ baseURL: px.url, apiKey: 'k', maxRetries: 0 });
	const ask = { model: KNOWN, max_tokens: 500, messages: [{ role: 'user', content: 'go' }] };
	await client.messages.create(ask);
	await until(() => /takes spans again/.test(px.console));
	mode = null;
	const began = Date.now();
	for (let i = 0; i < 300; i++)
		await client.messages.create(ask);
	assert.ok(Date.now() - began < 30000);
	const m = parse(await text(px));
	assert.equal(sum(m.claudecodex_requests_in_flight), 0);
	assert.ok(sum(m.claudecodex_otlp_dropped_total) >= 1);
});

summary('metrics');
