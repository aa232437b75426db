// upstream.mjs -- a strict OpenAI-compatible server with a scripted model.
//
// It has the manners of one provider (shape: openai, gemini, ollama, vllm):
// what it refuses is in strict.mjs, how it streams is here. What it says comes
// from `model`, a function of the request:
//
//	{ reasoning, text, calls: [{ name, args }], finish, pieces, fail,
//	  usage, late, wait, pause: { at, ms }, delay }
//
// `fail` is a failure instead: { status, headers, body } or { reset } before
// the answer, { cut: n } or { error: n } after n chunks of it. `usage` is laid
// over the usual one; `late` is the time to the head, `wait` to the first
// chunk, `pause` one before chunk `at`. Counting tokens (counting.mjs) is no
// matter of the model's: `counting` makes it { late, reset, status, body }.
// Every request is kept in .requests, with the bytes of both ways and when each
// word was said; one JSON line each, in the file.
//
// SPDX-License-Identifier: MIT
import { appendFileSync } from 'node:fs';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { count } from './counting.mjs';
import { errorBody, refuse } from './strict.mjs';

let serial = 0;

function callId(shape) {
	const n = String(++serial).padStart(6, '0');

	if (shape === 'gemini')
		return '';
	return shape === 'vllm' ? `chatcmpl-tool-${n}aF` : `call_${n}Zq`;
}

function cutUp(s, size) {
	const out = [];

	/* By UTF-16 units, as naive servers do, but never inside a pair: a
	 * lone surrogate can't be written as UTF-8. */
	for (let i = 0; i < s.length;) {
		let n = Math.min(size, s.length - i);
		if (/[\ud800-\udbff]/.test(s[i + n - 1]))
			n++;
		out.push(s.slice(i, i + n));
		i += n;
	}
	return out;
}

const promptOf = (body) =>
	Math.ceil(JSON.stringify(body.messages).length / 4);

function usageOf(shape, body, a) {
	const prompt = promptOf(body);
	const out = 20 + Math.ceil(JSON.stringify(a).length / 4);
	const u = { prompt_tokens: prompt, completion_tokens: out,
		total_tokens: prompt + out };

	if (shape === 'gemini')
		u.total_tokens += 17;	/* thoughts, in no other count */
	if (shape === 'openai') {
		u.prompt_tokens_details = {
			cached_tokens: Math.min(64, prompt >> 1) };
		u.completion_tokens_details = { reasoning_tokens: 8 };
	}
	return u;
}

class Style {
	constructor(shape, body, answer, issued) {
		this.shape = shape;
		this.body = body;
		this.a = answer;
		this.usage = { ...usageOf(shape, body, answer), ...answer.usage };
		this.calls = (answer.calls ?? []).map((c) => ({
			id: callId(shape), type: 'function', function: {
				name: c.name, arguments: typeof c.args === 'string' ?
					c.args : JSON.stringify(c.args) } }));
		if (shape === 'gemini' && this.calls.length) {
			const signature = `sig+/${++serial}==`;
			issued.add(signature);
			this.calls[0].extra_content = { google: {
				thought_signature: signature } };
		}
		this.finish = answer.finish ?? (this.calls.length &&
			shape !== 'gemini' ? 'tool_calls' : 'stop');
		this.head = { id: `chatcmpl-${++serial}`, created: 1760000000,
			model: body.model };
	}
	chunk(delta, finish = null, more = {}) {
		return { ...this.head, object: 'chat.completion.chunk',
			choices: [{ index: 0, delta, finish_reason: finish }],
			...more };
	}
	*callDeltas() {
		if (this.shape === 'gemini') {
			for (const c of this.calls)
				yield { role: 'assistant', tool_calls: [c] };
			return;
		}
		for (const [index, c] of this.calls.entries()) {
			if (this.shape === 'ollama') {
				yield { role: 'assistant', content: '',
					tool_calls: [{ index, ...c }] };
				continue;
			}
			yield { tool_calls: [{ index, id: c.id, type: c.type,
				function: { name: c.function.name, arguments: '' } }] };
			for (const piece of cutUp(c.function.arguments, 7))
				yield { tool_calls: [{ index,
					function: { arguments: piece } }] };
		}
	}
	*chunks() {
		const { shape, a } = this;
		const role = shape === 'gemini' || shape === 'ollama' ?
			{ role: 'assistant' } : {};
		const wanted = this.body.stream_options?.include_usage;

		if (shape === 'openai' || shape === 'vllm')
			yield this.chunk({ role: 'assistant', content: '' });
		if (shape === 'vllm' || shape === 'ollama')
			for (const t of cutUp(a.reasoning ?? '', 9))
				yield this.chunk({ ...role, reasoning: t,
					...(shape === 'ollama' ? { content: '' } : {}) });
		for (const t of a.pieces ?? cutUp(a.text ?? '', 11))
			yield this.chunk({ ...role, content: t });
		for (const d of this.callDeltas())
			yield this.chunk(d);
		yield this.chunk(shape === 'openai' ? {} : { ...role,
			content: '' }, this.finish,
			shape === 'gemini' && wanted ? { usage: this.usage } : {});
		if (shape !== 'gemini' && wanted)
			yield { ...this.head, object: 'chat.completion.chunk',
				choices: [], usage: this.usage };
	}
	whole() {
		const message = { role: 'assistant', content: this.a.text ?? null };

		if (this.calls.length)
			message.tool_calls = this.calls;
		if (this.a.reasoning && ['vllm', 'ollama'].includes(this.shape))
			message.reasoning = this.a.reasoning;
		return { ...this.head, object: 'chat.completion', choices: [
			{ index: 0, message, finish_reason: this.finish }],
			usage: this.usage };
	}
}

export class Upstream {
	constructor({ shape, model, key = '', file = null, window = 0,
	    most = 128000, counting = null }) {
		Object.assign(this, { shape, model, key, file, window, most, counting });
		/* { path, headers, body, status, refusal, usage (as sent) } */
		this.requests = [];
		this.closed = [];	/* times when the peer left mid-answer */
		this.issued = new Set();
		this.server = http.createServer((req, res) => this.serve(req, res));
		this.server.keepAliveTimeout = 30000;
	}
	async listen() {
		await new Promise((r) => this.server.listen(0, '127.0.0.1', r));
		this.port = this.server.address().port;
		this.base = `http://127.0.0.1:${this.port}/v1`;
		return this;
	}
	close() {
		this.server.closeAllConnections();
		this.server.close();
	}
	get chats() {
		return this.requests.filter((r) => r.path === '/v1/chat/completions');
	}
	get refusals() {
		return this.requests.filter((r) => r.refusal).map((r) => r.refusal);
	}
	keep(entry) {
		this.requests.push(entry);
		if (this.file)
			appendFileSync(this.file, JSON.stringify({ ...entry,
				headers: undefined, text: undefined }) + '\n');
		return entry;
	}
	async serve(req, res) {
		const parts = [];

		for await (const part of req)
			parts.push(part);
		const text = Buffer.concat(parts).toString();
		const path = req.url.split('?')[0];
		const entry = { path, headers: req.headers, text, body: null,
			status: 200, refusal: null, at: Date.now(), sent: '', said: [] };
		try {
			entry.body = text ? JSON.parse(text) : null;
		} catch {
			entry.refusal = 'not JSON';
		}
		this.keep(entry);
		try {
			await this.answer(req, res, path, entry);
		} catch (e) {
			entry.refusal = `upstream.mjs itself: ${e.stack}`;
			res.destroy();
		}
	}
	json(res, status, body, headers = {}) {
		const text = JSON.stringify(body);

		res.writeHead(status, { 'content-type': 'application/json',
			'content-length': Buffer.byteLength(text), ...headers });
		res.end(text);
	}
	refuse(res, entry, status, message, param, code) {
		entry.status = status;
		entry.refusal = `${param ?? ''}: ${message}`;
		this.json(res, status, errorBody(this.shape, status, message,
			param, code));
	}
	async answer(req, res, path, entry) {
		const { body } = entry;

		const native = /:countTokens$/.test(path);

		if (this.key && (native ? req.headers['x-goog-api-key'] !== this.key :
		    req.headers.authorization !== `Bearer ${this.key}`))
			return this.refuse(res, entry, 401, 'Incorrect API key provided.', null, 'invalid_api_key');
		if (path === '/v1/models')
			return this.json(res, 200, { object: 'list', data: [
				{ id: 'model-a', object: 'model' },
				{ id: 'model-b', object: 'model' }] });
		const counted = req.method === 'POST' && count(this, path, body);
		if (counted) {
			await sleep(this.counting?.late ?? 0);
			if (this.counting?.reset)
				return req.socket.resetAndDestroy();
			if (this.counting?.status)
				return this.json(res, this.counting.status,
					this.counting.body ?? {});
			return counted.refusal ? this.refuse(res, entry,
				counted.status, counted.refusal) :
				this.json(res, counted.status, counted.body);
		}
		if (path !== '/v1/chat/completions' || req.method !== 'POST')
			return this.refuse(res, entry, 404, `no route ${req.method} ${req.url}`);
		if (req.headers['content-type'] !== 'application/json')
			return this.refuse(res, entry, 415, 'content-type must be application/json');
		const e = refuse(this.shape, body, this.issued) ??
			this.tooLong(body);
		if (e)
			return this.refuse(res, entry, 400, e.message, e.param, e.code);
		const a = await this.model(body, entry, this);
		if (a.fail?.reset)
			return req.socket.resetAndDestroy();
		if (a.fail?.status) {
			entry.status = a.fail.status;
			return this.json(res, a.fail.status, a.fail.body ??
				errorBody(this.shape, a.fail.status, 'scripted failure'),
				a.fail.headers);
		}
		const style = new Style(this.shape, body, a, this.issued);
		entry.usage = style.usage;
		if (!body.stream)
			return this.json(res, 200, style.whole());
		return this.stream(res, entry, style, a);
	}
	/* What the answer may hold; vLLM counts it on top of the prompt. */
	tooLong(body) {
		const prompt = promptOf(body);
		const max = body.max_tokens ?? body.max_completion_tokens ?? 0;

		if (max > this.most)
			return { param: 'max_tokens', code: 'invalid_value', message: this.shape === 'gemini' ?
				`Unable to submit request because it has a maxOutputTokens value of ${max} but the supported range is from 1 (inclusive) to ${this.most + 1} (exclusive). Update the value and try again.` :
				`max_tokens is too large: ${max}. This model supports at most ${this.most} completion tokens, whereas you provided ${max}.` };
		if (!this.window || prompt + max <= this.window)
			return null;
		return { param: 'max_tokens', code: null, message: prompt >= this.window ?
			`This model's maximum context length is ${this.window} tokens. However, your request has ${prompt} input tokens. Please reduce the length of the input messages.` :
			`'max_tokens' or 'max_completion_tokens' is too large: ${max}. This model's maximum context length is ${this.window} tokens and your request has ${prompt} input tokens (${max} > ${this.window} - ${prompt}).` };
	}
	async stream(res, entry, style, a) {
		let n = 0, gone = false;
		const write = (text) => {
			entry.sent += text;
			res.write(text);
		};

		res.on('close', () => {
			gone = true;
			if (!res.writableEnded)
				this.closed.push(Date.now());
		});
		await sleep(a.late ?? 0);
		res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8',
			'cache-control': 'no-cache' });
		res.flushHeaders();
		await sleep(a.wait ?? 0);
		for (const chunk of style.chunks()) {
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
				res.end(`data: ${JSON.stringify(errorBody(this.shape,
					500, 'scripted failure in the middle'))}\n\n`);
				return;
			}
			n++;
			write(`data: ${JSON.stringify(chunk)}\n\n`);
			const said = chunk.choices[0]?.delta.content;
			if (said)
				entry.said.push({ said, at: Date.now(),
					exact: performance.now() });
			if (a.delay)
				await sleep(a.delay);
		}
		write('data: [DONE]\n\n');
		res.end();
	}
}
