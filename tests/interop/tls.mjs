// tls.mjs -- the program and an upstream that speaks TLS: connections kept,
// handshakes that are silent or slow, answers that end without close_notify,
// a certificate that is another's. net/tls alone is tls-zoo.sh's affair.
//
// SPDX-License-Identifier: MIT
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { assert, scenario, sleep, summary } from './harness.mjs';

const here = mkdtempSync(join(tmpdir(), 'claudecodex-tls-'));
const KEY = 'sk-upstream-0123456789abcdef';
const CONNECT = 1.5;		/* CONNECT_TIMEOUT, s */
process.on('exit', () => rmSync(here, { recursive: true, force: true }));

/* Trusted for exactly its server: it is no CA's. */
function certificate(name) {
	const key = join(here, `${name}.key`), cert = join(here, `${name}.crt`);

	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
		'ec_paramgen_curve:prime256v1', '-nodes', '-days', '9', '-subj',
		'/CN=zoo', '-addext', 'basicConstraints=critical,CA:FALSE',
		'-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out',
		cert], { stdio: 'ignore' });
	return { file: cert, cert: readFileSync(cert), key: readFileSync(key) };
}
const ours = certificate('ours'), theirs = certificate('theirs');

/* silent: it takes connections and says nothing. */
async function upstream(stage, answer, { pair = ours, silent = false } = {}) {
	const up = { asked: [], connections: 0 };
	const context = tls.createSecureContext({ ...pair, maxVersion: 'TLSv1.2' });
	const open = new Set();
	const server = net.createServer((socket) => {
		open.add(socket);
		up.connections++;
		socket.on('error', () => {}).on('close', () => open.delete(socket));
		if (silent)
			return;
		const s = new tls.TLSSocket(socket, { isServer: true,
			secureContext: context });
		let text = '';

		s.on('error', () => {}).on('data', (d) => {
			text += d;
			const head = text.indexOf('\r\n\r\n') + 4;
			const n = Number(/content-length: (\d+)/.exec(text)?.[1]);

			if (head < 4 || text.length < head + n)
				return;
			up.asked.push(text.slice(0, head + n));
			text = text.slice(head + n);
			answer(s, socket);
		});
	});
	await new Promise((r) => server.listen(0, '127.0.0.1', r));
	stage.keep({ close: () => {
		open.forEach((s) => s.destroy());
		server.close();
	} });
	up.base = `https://127.0.0.1:${server.address().port}/v1`;
	return up;
}

const proxy = (stage, up, env) => stage.proxy({ OPENAI_BASE_URL: up.base,
	OPENAI_API_KEY: KEY, OPENAI_MODEL: 'm', SSL_CERT_FILE: ours.file,
	CONNECT_TIMEOUT: String(CONNECT), ...env });

async function ask(px, stream = false) {
	const began = Date.now();
	const r = await fetch(`${px.url}/v1/messages`, { method: 'POST',
		headers: { 'content-type': 'application/json' },
		body: JSON.stringify({ model: 'm', max_tokens: 9, stream,
			messages: [{ role: 'user', content: 'x' }] }) });

	return { status: r.status, text: await r.text(), ms: Date.now() - began };
}

const WHOLE = JSON.stringify({ id: 'c', choices: [{ index: 0, message: {
	role: 'assistant', content: 'over TLS' }, finish_reason: 'stop' }],
	usage: { prompt_tokens: 3, completion_tokens: 4 } });
const EVENTS = ['over ', 'TLS'].map((content) => `data: ${JSON.stringify({
	choices: [{ index: 0, delta: { content } }] })}\n\n`).join('') +
	'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
const head = (type, framing) =>
	`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${framing}\r\n\r\n`;
const counted = (n) => head('application/json', `content-length: ${n}`);
const to_close = (type) => head(type, 'connection: close');
const chunk = (text) => `${text.length.toString(16)}\r\n${text}\r\n`;

await scenario('tls: a connection is kept, and one that ended is replaced',
	async (s) => {
	let end = false;
	const up = await upstream(s, (t) => {
		t.write(counted(WHOLE.length) + WHOLE);
		if (end)
			t.end();
	});
	const px = await proxy(s, up);

	for (let i = 0; i < 4; i++) {
		end = i === 2;
		const r = await ask(px);
		assert.equal(r.status, 200, r.text);
		assert.match(r.text, /over TLS/);
		await sleep(end ? 100 : 0);
	}
	assert.equal(up.connections, 2);
	assert.equal(up.asked.length, 4);
	assert.match(up.asked[0], new RegExp(`authorization: Bearer ${KEY}`));
});

await scenario('tls: a silent handshake has a deadline', async (s) => {
	const up = await upstream(s, null, { silent: true });
	const px = await proxy(s, up);
	const late = ask(px);
	const health = await fetch(`${px.url}/health`);

	assert.equal(health.status, 200);
	const r = await late;
	assert.ok(r.status === 502 || r.status === 504, r.text);
	assert.match(r.text, /127\.0\.0\.1.*CONNECT_TIMEOUT/);
	assert.ok(r.ms < CONNECT * 1000 + 4000, `${r.ms} ms`);
});

/* In front of an upstream: its bytes arrive one by one. */
async function drip(stage, up, ms) {
	const { port } = new URL(up.base);
	const front = net.createServer((near) => {
		const far = net.connect(port, '127.0.0.1');
		let queue = Buffer.alloc(0), ended = false;
		const timer = setInterval(() => {
			if (queue.length)
				near.write(queue.subarray(0, 1));
			else if (ended)
				near.end();
			queue = queue.subarray(1);
		}, ms);

		near.setNoDelay(true).pipe(far);
		far.on('data', (d) => { queue = Buffer.concat([queue, d]); })
			.on('error', () => {}).on('close', () => { ended = true; });
		near.on('error', () => {}).on('close', () => {
			clearInterval(timer);
			far.destroy();
		});
	});
	await new Promise((r) => front.listen(0, '127.0.0.1', r));
	stage.keep(front);
	return { base: `https://127.0.0.1:${front.address().port}/v1` };
}

await scenario('tls: a slow handshake has that deadline as a whole',
	async (s) => {
	const up = await upstream(s, (t) => t.end(counted(WHOLE.length) + WHOLE));
	const px = await proxy(s, await drip(s, up, 20));
	const r = await ask(px);

	assert.ok(r.status === 502 || r.status === 504, r.text);
	assert.match(r.text, /CONNECT_TIMEOUT/);
	assert.ok(r.ms < CONNECT * 1000 + 4000, `${r.ms} ms`);
	assert.equal(up.asked.length, 0);
});

await scenario('tls: byte by byte, but in time', async (s) => {
	const up = await upstream(s, (t) => t.end(counted(WHOLE.length) + WHOLE));
	const px = await proxy(s, await drip(s, up, 2),
		{ CONNECT_TIMEOUT: '60' });
	const r = await ask(px);

	assert.equal(r.status, 200, r.text);
	assert.match(r.text, /over TLS/);
});

/* Its bytes have left, then the connection ends under TLS. */
const cut = (text) => (t, socket) => t.write(text, () => socket.end());
const finished = (text) => /"stop_reason":"end_turn"|message_stop/.test(text);

for (const [name, answer, stream] of [
	['a counted body', counted(WHOLE.length + 9) + WHOLE],
	['a body that ends with its connection', to_close('application/json') +
		WHOLE],
	['a chunked stream', head('text/event-stream',
		'transfer-encoding: chunked') + chunk(EVENTS.slice(0, 100)), true],
	['a stream that ends with its connection',
		to_close('text/event-stream') + EVENTS.slice(0, 100), true]])
	await scenario(`tls: no close_notify in ${name}: an error`, async (s) => {
		const up = await upstream(s, cut(answer));
		const px = await proxy(s, up);
		const r = await ask(px, stream);

		assert.ok(!finished(r.text), r.text);
		assert.match(r.text, /"type":"error"/);
		assert.equal(r.status, stream ? 200 : 502, r.text);
	});

await scenario('tls: with close_notify such a body is whole', async (s) => {
	const up = await upstream(s, (t) =>
		t.end(to_close('application/json') + WHOLE));
	const px = await proxy(s, up);
	const r = await ask(px);

	assert.equal(r.status, 200, r.text);
	assert.match(r.text, /over TLS/);
});

await scenario('tls: another\'s certificate gets no request', async (s) => {
	const up = await upstream(s, (t) => t.end(counted(WHOLE.length) + WHOLE),
		{ pair: theirs });
	const px = await proxy(s, up);
	const r = await ask(px);

	assert.equal(r.status, 502, r.text);
	assert.match(r.text, /127\.0\.0\.1/);
	assert.match(r.text, /certificate/);
	assert.equal(up.asked.length, 0);
	assert.ok(!r.text.includes(KEY));
});

summary('tls');
