// strict.mjs -- what four OpenAI-compatible servers refuse, as refusals.
//
// A lenient stand-in proves little: real servers answer 400 to a field too
// many. Each rule here is one that a provider is known to enforce, or, where
// the provider would silently do something else (ollama drops the id of a
// tool message whose content is a list), the refusal that makes it visible.
//
// refuse(shape, body, issued) returns null, or { param, message }.
//
// SPDX-License-Identifier: MIT

class Refusal extends Error {
	constructor(param, message, code = null) {
		super(message);
		this.param = param;
		this.code = code;
	}
}

function no(param, message, code) {
	throw new Refusal(param, message, code);
}

const COMMON = ['model', 'messages', 'tools', 'tool_choice', 'stream',
	'stream_options', 'temperature', 'top_p', 'stop', 'n', 'seed',
	'response_format', 'presence_penalty', 'frequency_penalty',
	'reasoning_effort', 'logprobs', 'top_logprobs'];
const FIELDS = {
	openai: [...COMMON, 'max_tokens', 'max_completion_tokens', 'user',
		'safety_identifier', 'prompt_cache_key', 'parallel_tool_calls',
		'service_tier', 'store', 'metadata', 'modalities', 'audio',
		'prediction', 'logit_bias', 'verbosity', 'web_search_options',
		'prompt_cache_retention'],
	gemini: [...COMMON, 'max_tokens', 'max_completion_tokens',
		'extra_body'],
	ollama: [...COMMON, 'max_tokens', 'reasoning'],
	vllm: [...COMMON, 'max_tokens', 'user', 'parallel_tool_calls', 'top_k',
		'min_p', 'repetition_penalty', 'chat_template_kwargs',
		'add_generation_prompt', 'continue_final_message',
		'include_reasoning', 'priority'],
};
const ROLES = {
	openai: ['system', 'developer', 'user', 'assistant', 'tool'],
	gemini: ['system', 'user', 'assistant', 'tool'],
	ollama: ['system', 'user', 'assistant', 'tool'],
	vllm: ['system', 'user', 'assistant', 'tool'],
};
const EFFORTS = {
	gemini: ['none', 'minimal', 'low', 'medium', 'high'],
	ollama: ['none', 'low', 'medium', 'high', 'max'],
	vllm: ['low', 'medium', 'high'],
};

const reasons = (model) => /^(o\d|gpt-5)/.test(model);

function effortsOf(model) {
	const minor = /^gpt-5\.(\d+)/.exec(model)?.[1];

	if (/^o\d/.test(model))
		return ['low', 'medium', 'high'];
	if (minor === undefined)
		return ['minimal', 'low', 'medium', 'high'];
	return ['none', 'low', 'medium', 'high',
		...(minor >= 2 ? ['xhigh'] : [])];
}

// ---- top level ----

function checkFields(shape, b) {
	for (const [key, value] of Object.entries(b)) {
		if (!FIELDS[shape].includes(key))
			no(key, shape === 'gemini' ?
				`Invalid JSON payload received. Unknown name "${key}": Cannot find field.` :
				`Unrecognized request argument supplied: ${key}`);
		if (value === null)
			no(key, `Invalid type for '${key}': expected a value, but got null instead.`);
	}
	if (typeof b.model !== 'string' || !b.model)
		no('model', 'you must provide a model parameter');
	if (b.stream_options && b.stream !== true)
		no('stream_options', "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
	if ('stream' in b && typeof b.stream !== 'boolean')
		no('stream', 'stream must be a boolean');
	for (const key of ['max_tokens', 'max_completion_tokens', 'top_k'])
		if (key in b && !(Number.isInteger(b[key]) && b[key] > 0))
			no(key, `${key} must be a positive integer`);
	for (const key of ['user', 'safety_identifier', 'prompt_cache_key'])
		if (b[key]?.length > 64)
			no(key, `Invalid '${key}': string too long. Expected a string with maximum length 64.`, 'string_above_max_length');
	if (Array.isArray(b.stop) && b.stop.length > 4)
		no('stop', "Invalid 'stop': array too long.");
	if (b.temperature > 2 || b.temperature < 0)
		no('temperature', 'temperature out of range');
}

function checkModelFields(shape, b) {
	const efforts = shape === 'openai' ? effortsOf(b.model) :
		EFFORTS[shape];

	if ('reasoning_effort' in b && !efforts.includes(b.reasoning_effort))
		no('reasoning_effort', `Unsupported value: 'reasoning_effort' does not support '${b.reasoning_effort}' with this model.`, 'unsupported_value');
	if (shape !== 'openai')
		return;
	if (!reasons(b.model)) {
		if ('reasoning_effort' in b)
			no('reasoning_effort', "Unrecognized request argument supplied: reasoning_effort");
		return;
	}
	if ('max_tokens' in b)
		no('max_tokens', "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", 'unsupported_parameter');
	for (const key of ['temperature', 'top_p'])
		if (key in b && b[key] !== 1)
			no(key, `Unsupported value: '${key}' does not support ${b[key]} with this model. Only the default (1) value is supported.`, 'unsupported_value');
	if ('stop' in b)
		no('stop', "Unsupported parameter: 'stop' is not supported with this model.", 'unsupported_parameter');
	if (/^gpt-5\.([4-9]|\d\d)/.test(b.model) && b.tools &&
	    b.reasoning_effort !== 'none')
		no('reasoning_effort', `Function tools with reasoning_effort are not supported for ${b.model} in /v1/chat/completions. Please use /v1/responses instead.`);
}

// ---- tools ----

const GEMINI_KEYWORDS = ['type', 'format', 'title', 'description', 'nullable',
	'enum', 'items', 'properties', 'required', 'anyOf', 'minItems',
	'maxItems', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern',
	'propertyOrdering', 'default'];

function checkGeminiSchema(s, at) {
	for (const key of Object.keys(s))
		if (!GEMINI_KEYWORDS.includes(key))
			no(at, `Invalid JSON payload received. Unknown name "${key}" at '${at}': Cannot find field.`);
	if ('type' in s && typeof s.type !== 'string')
		no(at, `Proto field is not repeating, cannot start list at '${at}.type'.`);
	if (s.type === 'array' && !s.items)
		no(at, `${at}.items: missing field.`);
	if (s.type === 'string' && s.format &&
	    !['enum', 'date-time'].includes(s.format))
		no(at, `${at}.format: only 'enum' and 'date-time' are supported for STRING type`);
	if (s.enum && (s.type !== 'string' ||
	    s.enum.some((v) => typeof v !== 'string')))
		no(at, `${at}.enum: only allowed for STRING type`);
	for (const name of s.required ?? [])
		if (!s.properties || !(name in s.properties))
			no(at, `${at}.required: property '${name}' is not defined`);
}

// Every object that is a schema, with its place.
function* schemas(s, at) {
	if (typeof s !== 'object' || s === null || Array.isArray(s))
		no(at, `${at}: a schema must be an object`);
	yield [s, at];
	for (const [k, v] of Object.entries(s.properties ?? {}))
		yield* schemas(v, `${at}.properties.${k}`);
	if (s.items && !Array.isArray(s.items) && s.items !== true)
		yield* schemas(s.items, `${at}.items`);
	for (const key of ['anyOf', 'oneOf', 'allOf'])
		for (const [i, v] of (s[key] ?? []).entries())
			yield* schemas(v, `${at}.${key}[${i}]`);
}

function checkTool(shape, t, i) {
	const at = `tools[${i}]`;
	const f = t.function;

	if (Object.keys(t).some((k) => !['type', 'function'].includes(k)) ||
	    t.type !== 'function' || typeof f !== 'object')
		no(at, `Unknown parameter: '${at}': ${Object.keys(t)}`);
	for (const key of Object.keys(f))
		if (!['name', 'description', 'parameters', 'strict'].includes(key) ||
		    f[key] === null)
			no(`${at}.function`, `Unknown parameter: '${at}.function.${key}'.`);
	if (!/^[a-zA-Z0-9_-]{1,64}$/.test(f.name) ||
	    (shape === 'gemini' && !/^[a-zA-Z_]/.test(f.name)))
		no(`${at}.function.name`, `Invalid '${at}.function.name': string does not match pattern.`);
	if (f.parameters?.type !== 'object')
		no(`${at}.function.parameters`, `Invalid schema for function '${f.name}': schema must be a JSON Schema of 'type: "object"'.`, 'invalid_function_parameters');
	if (typeof f.parameters.properties !== 'object')
		no(`${at}.function.parameters`, `Invalid schema for function '${f.name}': object schema missing properties.`, 'invalid_function_parameters');
	for (const [s, where] of schemas(f.parameters, `${at}.function.parameters`)) {
		if (shape === 'gemini')
			checkGeminiSchema(s, where);
		if (shape === 'openai' && s.type === 'array' && !('items' in s))
			no(where, `Invalid schema for function '${f.name}': array schema missing items.`, 'invalid_function_parameters');
	}
}

function checkTools(shape, b) {
	const names = new Set();

	if (b.tools === undefined) {
		for (const key of ['tool_choice', 'parallel_tool_calls'])
			if (key in b)
				no(key, `'${key}' is only allowed when 'tools' are specified.`);
		return;
	}
	if (!Array.isArray(b.tools) || b.tools.length === 0)
		no('tools', "Invalid 'tools': empty array.");
	if (shape === 'openai' && b.tools.length > 128)
		no('tools', "Invalid 'tools': array too long. Expected an array with maximum length 128.", 'array_above_max_length');
	for (const [i, t] of b.tools.entries()) {
		checkTool(shape, t, i);
		if (names.has(t.function.name))
			no('tools', `Duplicate function declaration found: ${t.function.name}`);
		names.add(t.function.name);
	}
	const choice = b.tool_choice?.function?.name;
	if (choice && !names.has(choice))
		no('tool_choice', `Tool choice '${choice}' not found in 'tools'.`);
	if ('tool_choice' in b && !choice &&
	    !['auto', 'none', 'required'].includes(b.tool_choice))
		no('tool_choice', 'Invalid tool_choice');
}

// ---- messages ----

const MAGIC = { 'image/png': '89504e47', 'image/jpeg': 'ffd8ff',
	'image/gif': '47494638', 'image/webp': '52494646' };

function checkImage(shape, url, at) {
	const m = /^data:([a-z/+.-]+);base64,([A-Za-z0-9+/]+={0,2})$/.exec(url);

	if (!m) {
		if (!/^https?:\/\//.test(url) || shape === 'ollama')
			no(at, 'invalid image input');
		return;
	}
	if (!MAGIC[m[1]] || (shape === 'ollama' && m[1] === 'image/gif'))
		no(at, `You uploaded an unsupported image: ${m[1]}`);
	if (!Buffer.from(m[2], 'base64').toString('hex').startsWith(MAGIC[m[1]]))
		no(at, `The image data does not match ${m[1]}`);
}

function checkPart(shape, p, at) {
	if (p.type === 'text') {
		if (typeof p.text !== 'string' ||
		    Object.keys(p).some((k) => !['type', 'text'].includes(k)))
			no(at, `Unknown parameter in '${at}'`);
	} else if (p.type === 'image_url') {
		if (typeof p.image_url?.url !== 'string')
			no(at, 'image_url.url must be a string');
		checkImage(shape, p.image_url.url, at);
	} else if (p.type === 'file' && shape === 'openai') {
		if (!/^data:application\/pdf;base64,/.test(p.file?.file_data) ||
		    !p.file.filename)
			no(at, 'Invalid file data');
	} else {
		no(at, `Invalid value: '${p.type}'.`);
	}
}

function checkContent(shape, m, at) {
	const c = m.content;

	if (typeof c === 'string')
		return;
	if (m.role === 'assistant' && m.tool_calls && (c === null || c === undefined))
		return;
	if (!Array.isArray(c) || c.length === 0)
		no(`${at}.content`, `Invalid value for 'content': expected a string, got ${c}.`);
	if (m.role !== 'user')
		no(`${at}.content`, `${m.role} messages take a string here`);
	for (const [i, p] of c.entries())
		checkPart(shape, p, `${at}.content[${i}]`);
}

const MESSAGE_KEYS = {
	system: ['role', 'content', 'name'],
	developer: ['role', 'content', 'name'],
	user: ['role', 'content', 'name'],
	assistant: ['role', 'content', 'name', 'tool_calls', 'refusal'],
	tool: ['role', 'content', 'tool_call_id'],
};

function checkCalls(shape, m, at) {
	if (!Array.isArray(m.tool_calls) || m.tool_calls.length === 0)
		no(`${at}.tool_calls`, 'empty array. Expected an array with minimum length 1.');
	for (const [k, t] of m.tool_calls.entries()) {
		const where = `${at}.tool_calls[${k}]`;
		let args;

		if (typeof t.id !== 'string' || t.id.length < 1 || t.id.length > 40)
			no(`${where}.id`, `Invalid '${where}.id': string too long. Expected a string with maximum length 40.`, 'string_above_max_length');
		if (t.type !== 'function' || typeof t.function?.arguments !== 'string')
			no(where, 'a call needs type and function');
		if (Object.keys(t).some((k) => !['id', 'type', 'function',
		    ...(shape === 'gemini' ? ['extra_content'] : [])].includes(k)))
			no(where, `Unknown parameter in '${where}'`);
		try {
			args = JSON.parse(t.function.arguments);
		} catch {
			no(where, 'invalid tool call arguments');
		}
		if (typeof args !== 'object' || Array.isArray(args) || !args)
			no(where, 'tool call arguments must be an object');
	}
	const ids = new Set(m.tool_calls.map((t) => t.id));
	if (ids.size !== m.tool_calls.length)
		no(`${at}.tool_calls`, 'duplicate tool call ids');
}

// Tool messages stand right after the calls, one for each.
function checkPairs(messages) {
	let open = new Set(), after = -1;

	for (const [i, m] of [...messages, { role: 'end' }].entries()) {
		if (m.role === 'tool') {
			if (!open.delete(m.tool_call_id))
				no(`messages[${i}]`, "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.");
			continue;
		}
		if (open.size)
			no(`messages[${after}]`, `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...open]}`);
		open = new Set((m.tool_calls ?? []).map((t) => t.id));
		after = i;
	}
}

function checkMessages(shape, b) {
	if (!Array.isArray(b.messages) || b.messages.length === 0)
		no('messages', "Invalid 'messages': empty array.");
	for (const [i, m] of b.messages.entries()) {
		const at = `messages[${i}]`;
		const extra = shape === 'vllm' || shape === 'ollama' ?
			['reasoning'] : [];

		if (!ROLES[shape].includes(m.role))
			no(`${at}.role`, `Invalid value: '${m.role}'.`);
		for (const key of Object.keys(m))
			if (![...MESSAGE_KEYS[m.role], ...extra].includes(key))
				no(at, `Unknown parameter: '${at}.${key}'.`);
		if (m.role === 'system' && i > 0 && shape !== 'openai')
			no(at, 'System message must be at the beginning.');
		if ('tool_calls' in m)
			checkCalls(shape, m, at);
		checkContent(shape, m, at);
		if (m.role === 'tool' && m.content === '')
			no(at, 'empty tool content');
	}
	if (!b.messages.some((m) => m.role === 'user'))
		no('messages', 'No user query found in messages.');
	checkPairs(b.messages);
}

// Gemini 3: the first call of each step of the current turn carries the
// signature that came with it.
function checkSignatures(b, issued) {
	const from = b.messages.findLastIndex((m) => m.role === 'user');

	for (const [i, m] of b.messages.entries()) {
		const given = m.tool_calls?.[0].extra_content?.google
			?.thought_signature;

		if (i < from || !m.tool_calls)
			continue;
		if (!given)
			no(`messages[${i}]`, 'Function call is missing a thought_signature in functionCall parts.');
		/* For calls of another model Google names this literal. */
		if (!issued.has(given) &&
		    given !== 'skip_thought_signature_validator')
			no(`messages[${i}]`, 'Thought signature is not valid.');
	}
}

export function refuse(shape, body, issued) {
	try {
		if (typeof body !== 'object' || !body || Array.isArray(body))
			no(null, 'We could not parse the JSON body of your request.');
		checkFields(shape, body);
		checkModelFields(shape, body);
		checkTools(shape, body);
		checkMessages(shape, body);
		if (shape === 'gemini')
			checkSignatures(body, issued);
	} catch (e) {
		if (e instanceof Refusal)
			return e;
		throw e;
	}
	return null;
}

// The body in which each server wraps an error.
export function errorBody(shape, status, message, param = null, code = null) {
	if (shape === 'gemini')
		return [{ error: { code: status, message,
			status: status === 400 ? 'INVALID_ARGUMENT' :
				status === 401 ? 'UNAUTHENTICATED' : 'UNKNOWN' } }];
	if (shape === 'vllm')
		return { error: { message, param, code: status,
			type: status === 400 ? 'BadRequestError' : 'Error' } };
	return { error: { message, param, code,
		type: 'invalid_request_error' } };
}
