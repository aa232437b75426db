// counting.mjs -- the counting endpoints of the test upstream: OpenAI's
// /responses/input_tokens, Gemini's countTokens, vLLM's /tokenize, llama.cpp's
// /v1/messages/count_tokens and what older ones have instead. Each refuses
// what the real one does.
//
// SPDX-License-Identifier: MIT
const only = (o, ...names) => {
	for (const k of Object.keys(o))
		if (!names.includes(k))
			throw new Error(`unknown parameter ${k}`);
};
const some = (ok, what) => {
	if (!ok)
		throw new Error(what);
};
const text = (v, what) => some(typeof v === 'string' && v !== '', what);

function responsesPart(part, i) {
	only(part, 'type', 'text', 'image_url', 'filename', 'file_data');
	if (part.type === 'input_text')
		text(part.text, `content[${i}].text`);
	else if (part.type === 'input_image')
		some(/^(data:image\/|https:)/.test(part.image_url), `content[${i}].image_url`);
	else
		some(part.type === 'input_file' && part.file_data, `content[${i}].type ${part.type}`);
}

function responses(body) {
	const calls = new Set();

	only(body, 'model', 'input', 'tools', 'instructions', 'reasoning');
	text(body.model, 'model');
	some(body.input.length, 'input is empty');
	for (const item of body.input) {
		if (item.type === 'function_call') {
			only(item, 'type', 'call_id', 'name', 'arguments');
			text(item.name, 'name');
			some(typeof JSON.parse(item.arguments) === 'object', 'arguments');
			calls.add(item.call_id);
		} else if (item.type === 'function_call_output') {
			only(item, 'type', 'call_id', 'output');
			some(calls.delete(item.call_id), `No tool call found for ${item.call_id}`);
			some(typeof item.output === 'string', 'output');
		} else {
			only(item, 'type', 'role', 'content');
			some(['system', 'developer', 'user', 'assistant']
				.includes(item.role), `role ${item.role}`);
			if (typeof item.content !== 'string')
				item.content.forEach(responsesPart);
		}
	}
	some(calls.size === 0, 'No tool output found');
	for (const t of body.tools) {
		only(t, 'type', 'name', 'description', 'parameters', 'strict');
		some(t.type === 'function' && typeof t.strict === 'boolean' &&
			/^[\w-]{1,64}$/.test(t.name), 'tools');
	}
	return { object: 'response.input_tokens', input_tokens: 2222 };
}

function nativePart(part, role, open) {
	only(part, 'text', 'inlineData', 'functionCall', 'functionResponse', 'thoughtSignature');
	if (part.functionCall) {
		some(role === 'model', 'a call by the user');
		some(typeof part.functionCall.args === 'object', 'args');
		open.push(part.functionCall.name);
	} else if (part.functionResponse) {
		some(open.shift() === part.functionResponse.name, 'number of function response parts');
		some(typeof part.functionResponse.response === 'object', 'response');
	} else if (part.inlineData) {
		some(part.inlineData.mimeType && part.inlineData.data, 'inlineData');
	} else {
		text(part.text, 'contents.parts must not be empty');
	}
}

function gemini(body, path) {
	const open = [];
	const r = body.generateContentRequest;

	only(body, 'generateContentRequest');
	only(r, 'model', 'systemInstruction', 'contents', 'tools');
	some(path.endsWith(`/${r.model}:countTokens`), 'models differ');
	some(r.contents.length, 'contents is not specified');
	for (const p of r.systemInstruction?.parts ?? [])
		text(p.text, 'systemInstruction');
	for (const c of r.contents) {
		some(['user', 'model'].includes(c.role), `role ${c.role}`);
		some(c.parts.length, 'contents.parts must not be empty');
		c.parts.forEach((p) => nativePart(p, c.role, open));
	}
	some(open.length === 0, 'a call without its response');
	for (const f of (r.tools ?? []).flatMap((t) => t.functionDeclarations))
		only(f, 'name', 'description', 'parameters');
	return { totalTokens: 3333 };
}

const TEMPLATE = (body) => `<|im_start|>${JSON.stringify(body.messages)}`;

function older(up, path, body) {
	if (path === '/apply-template') {
		some(body.messages.length, '"messages" is required');
		up.prompt = TEMPLATE(body);
		return { prompt: up.prompt };
	}
	some(body.content === up.prompt, 'not the prompt that was made');
	some(body.add_special === true, 'without the begin token');
	return { tokens: [...up.prompt.matchAll(/[^]{1,4}/g)].map((_, i) => i + 99) };
}

const ways = {
	openai: [[/^\/v1\/responses\/input_tokens$/, (up, path, body) => responses(body)]],
	gemini: [[/^\/v1beta\/models\/[^/]+:countTokens$/, (up, path, body) => gemini(body, path)]],
	vllm: [[/^\/tokenize$/, (up) => ({ count: 4321, max_model_len: up.window || 262144 })]],
	llamacpp: [[/^\/v1\/messages\/count_tokens$/, (up, path, body) =>
		({ input_tokens: 1000 + body.messages.length })]],
	'llamacpp-old': [[/^\/(apply-template|tokenize)$/, older]],
};

// What it answers: { status, body }; null: no counting endpoint of its shape.
export function count(up, path, body) {
	for (const [at, fn] of ways[up.shape] ?? []) {
		if (!at.test(path))
			continue;
		try {
			return { status: 200, body: fn(up, path, body) };
		} catch (e) {
			return { status: 400, refusal: e.message };
		}
	}
	return null;
}
