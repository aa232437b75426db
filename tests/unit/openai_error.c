/* openai_error.c -- refusals of the services behind the OpenAI backend: what
 * the client gets, what is learned, what is tried again.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/backend/openai_error.c"
#include "../openai.h"
#include "t.h"

static struct world w;

static void field(const char *name, const char *value)
{
	struct http_field *f = &w.head.fields[w.head.nfields++];

	f->name = str_of(name);
	f->value = str_of(value);
}

/* The line a refusal makes; facts stay as they were. */
static struct str refused(int status, const char *body)
{
	int r;

	w.head.status = status;
	r = openai_refuse(&w.c, &w.head, str_of(body));
	if (r == E_FAULT)
		world_fault(&w);
	if (r == CALL_RETRY)
		buf_put(&w.line, S("retry"));
	T(r == E_FAULT || r == CALL_RETRY || r == CALL_DONE, "a result");
	T(!w.broken, "%s", w.broken ? w.broken : "");
	return buf_str(&w.line);
}

static void expect(const char *label, int status, const char *body,
	const char *want)
{
	world_init(&w);
	w.c.estimate = 1000;
	w.up.key = S("secret-key-1234");
	world_call(&w);
	T_STR(refused(status, body), str_of(want), "%s", label);
}

static void shapes(void)
{
	expect("OA-119 openai", 400, "{\"error\":{\"message\":\"m\",\"type\":"
		"\"invalid_request_error\",\"code\":null,\"param\":null}}",
		"!400 invalid_request_error upstream local: m");
	expect("OA-119 gemini, in an array", 400, "[{\"error\":{\"code\":400,"
		"\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\"}}]",
		"!400 invalid_request_error upstream local: m");
	expect("OA-119 openrouter", 404, "{\"error\":{\"code\":404,\"message\":"
		"\"m\",\"metadata\":{\"raw\":\"r\"}}}",
		"!404 not_found_error upstream local: m: r");
	expect("OA-119 text", 400, "{\"error\":\"m\"}",
		"!400 invalid_request_error upstream local: m");
	expect("OA-119 older vllm", 400, "{\"object\":\"error\",\"message\":"
		"\"m\",\"type\":\"BadRequestError\",\"code\":400}",
		"!400 invalid_request_error upstream local: m");
	expect("OA-119 fastapi", 422, "{\"detail\":\"m\"}",
		"!400 invalid_request_error upstream local: m");
	expect("OA-119 fastapi list", 422, "{\"detail\":[{\"loc\":[\"body\","
		"\"n\"],\"msg\":\"m\",\"type\":\"t\"}]}",
		"!400 invalid_request_error upstream local: m");
	expect("OA-119 message", 500, "{\"message\":\"m\"}",
		"!500 api_error upstream local: m");
	expect("OA-119 plain text", 502, " bad gateway\n",
		"!502 api_error upstream local: bad gateway");
	expect("OA-119 a key is masked", 400, "{\"error\":\"your "
		"secret-key-1234 is odd\"}",
		"!400 invalid_request_error upstream local: your *** is odd");
}

static void rows(void)
{
	static const struct {
		int status, want;
		const char *type;
	} t[] = {
		{ 400, 400, "invalid_request_error" },
		{ 405, 400, "invalid_request_error" },
		{ 415, 400, "invalid_request_error" },
		{ 422, 400, "invalid_request_error" },
		{ 401, 401, "authentication_error" },
		{ 402, 402, "billing_error" },
		{ 403, 403, "permission_error" },
		{ 404, 404, "not_found_error" },
		{ 408, 504, "timeout_error" },
		{ 409, 503, "overloaded_error" },
		{ 425, 503, "overloaded_error" },
		{ 429, 429, "rate_limit_error" },
		{ 500, 500, "api_error" },
		{ 502, 502, "api_error" },
		{ 503, 529, "overloaded_error" },
		{ 529, 529, "overloaded_error" },
		{ 504, 504, "timeout_error" },
		{ 302, 502, "api_error" }
	};
	size_t i;

	for (i = 0; i < COUNT(t); i++) {
		world_init(&w);
		world_call(&w);
		refused(t[i].status, "");
		T_INT(w.c.fault.status, t[i].want, "OA-120 status of %d",
			t[i].status);
		T_STR(str_of(w.c.fault.type), str_of(t[i].type),
			"OA-120 type of %d", t[i].status);
	}
	expect("OA-120 401", 401, "{\"error\":\"m\"}",
		"!401 authentication_error upstream local: m");
	T_INT(w.c.fault.should_retry, 0, "OA-120 a bad key: don't retry");
	expect("OA-120 quota", 429, "{\"error\":{\"message\":\"m\",\"code\":"
		"\"insufficient_quota\"}}",
		"!402 billing_error upstream local: m");
	expect("OA-120 loading", 503, "{\"error\":{\"message\":\"Loading "
		"model\",\"code\":503}}",
		"!503 overloaded_error upstream local: Loading model");
	T_INT(w.c.fault.retry_after, 5, "OA-120 loading: in 5 s");
}

static void delays(void)
{
	world_init(&w);
	world_call(&w);
	field("retry-after", "7");
	refused(429, "{\"error\":\"m\"}");
	T_INT(w.c.fault.retry_after, 7, "retry-after");
	world_call(&w);
	field("retry-after-ms", "1500");
	refused(429, "{\"error\":\"m\"}");
	T_INT(w.c.fault.retry_after, 2, "retry-after-ms, rounded up");
	world_call(&w);
	refused(429, "{\"error\":{\"message\":\"m\",\"details\":[{\"@type\":"
		"\"x\"},{\"retryDelay\":\"17.3s\"}]}}");
	T_INT(w.c.fault.retry_after, 18, "Gemini's retryDelay");
	world_call(&w);
	refused(429, "{\"error\":{\"message\":\"m\",\"metadata\":{\"headers\":{"
		"\"Retry-After\":\"9\"}}}}");
	T_INT(w.c.fault.retry_after, 9, "openrouter's headers");
	world_call(&w);
	refused(429, "{\"error\":{\"message\":\"m\",\"details\":[{"
		"\"retryDelay\":\"soon\"}]}}");
	T_INT(w.c.fault.retry_after, -1, "no number, no delay");
}

#define TOO_LONG "!400 invalid_request_error prompt is too long: "

static void overflows(void)
{
	expect("OA-120 openai", 400, "{\"error\":{\"message\":\"This model's "
		"maximum context length is 8192 tokens. However, your messages "
		"resulted in 10000 tokens. Please reduce the length of the "
		"messages.\",\"type\":\"invalid_request_error\",\"param\":"
		"\"messages\",\"code\":\"context_length_exceeded\"}}",
		TOO_LONG "10000 tokens > 8192 maximum");
	expect("OA-120 llamacpp", 400, "{\"error\":{\"code\":400,\"message\":"
		"\"the request exceeds the available context size\",\"type\":"
		"\"exceed_context_size_error\",\"n_prompt_tokens\":5000,"
		"\"n_ctx\":4096}}", TOO_LONG "5000 tokens > 4096 maximum");
	expect("OA-120 vllm", 400, "{\"object\":\"error\",\"message\":\"This "
		"model's maximum context length is 4096 tokens. However, you "
		"requested 5000 tokens in the messages, Please reduce the length "
		"of the messages.\",\"code\":400}",
		TOO_LONG "5000 tokens > 4096 maximum");
	expect("OA-120 gemini", 400, "[{\"error\":{\"code\":400,\"message\":"
		"\"The input token count (1200000) exceeds the maximum number of "
		"tokens allowed (1048576).\",\"status\":\"INVALID_ARGUMENT\"}}]",
		TOO_LONG "1200000 tokens > 1048576 maximum");
	expect("OA-120 lmstudio", 400, "{\"error\":\"Trying to keep the first "
		"9000 tokens when context the overflows. However, the model is "
		"loaded with context length of only 4096 tokens\"}",
		TOO_LONG "9000 tokens > 4096 maximum");
}

static void smaller_output(void)
{
	expect("OA-120 prompt + output too much, openai", 400,
		"{\"error\":{\"message\":\"This model's maximum context length is "
		"40000 tokens. However, you requested 42000 tokens (10000 in the "
		"messages, 32000 in the completion).\",\"code\":"
		"\"context_length_exceeded\"}}", "retry");
	T_INT(openai_learned(&w.c)->retry_max, 40000 - 10000 - 64,
		"OA-120 what fits");
	T_INT(openai_learned(&w.c)->window, 40000, "OA-120 the window");
	T(openai_learned(&w.c)->window_ms == w.c.now_ms, "and when");
	w.c.attempt = 1;
	world_call(&w);
	T_STR(refused(400, "{\"error\":{\"message\":\"This model's maximum "
		"context length is 40000 tokens. However, you requested 42000 "
		"tokens (10000 in the messages, 32000 in the completion).\","
		"\"code\":\"context_length_exceeded\"}}"),
		S(TOO_LONG "42000 tokens > 40000 maximum"), "OA-122 once");
	expect("OA-120 the same, vllm", 400, "{\"object\":\"error\","
		"\"message\":\"'max_tokens' or 'max_completion_tokens' is too "
		"large: 32000. This model's maximum context length is 32768 tokens "
		"and your request has 5000 input tokens (32000 > 32768 - 5000)."
		"\",\"code\":400}", "retry");
	T_INT(openai_learned(&w.c)->retry_max, 32768 - 5000 - 64,
		"OA-120 what fits");
	expect("OA-120 no room at all", 400, "{\"error\":{\"message\":\"This "
		"model's maximum context length is 10100 tokens. However, you "
		"requested 42000 tokens (10000 in the messages, 32000 in the "
		"completion).\",\"code\":\"context_length_exceeded\"}}",
		TOO_LONG "42000 tokens > 10100 maximum");
	expect("OA-120 a limit of the model", 400, "{\"error\":{\"message\":"
		"\"max_tokens is too large: 32000. This model supports at most "
		"16384 completion tokens, whereas you provided 32000.\","
		"\"param\":\"max_tokens\",\"code\":\"invalid_value\"}}", "retry");
	T_INT(openai_learned(&w.c)->max_output, 16384, "kept for the model");
	expect("OA-120 deepseek", 400, "{\"error\":{\"message\":\"Invalid "
		"max_tokens value, the valid range of max_tokens is [1, 8192]\","
		"\"code\":\"invalid_request_error\"}}", "retry");
	T_INT(openai_learned(&w.c)->max_output, 8192, "kept for the model");
	expect("OA-120 a range with an open end", 400, "{\"error\":{"
		"\"message\":\"maxOutputTokens of 32000 is outside the supported "
		"range from 1 (inclusive) to 8193 (exclusive)\"}}", "retry");
	T_INT(openai_learned(&w.c)->max_output, 8192, "its last value");
}

static void learn_one(const char *label, const char *body,
	enum openai_param want)
{
	expect(label, 400, body, "retry");
	T_INT(openai_learned(&w.c)->refused, UINT32_C(1) << want, "%s", label);
	w.c.attempt = 0;
	world_call(&w);
	T(!str_eq(refused(400, body), S("retry")), "%s: not a second time",
		label);
}

static void templates(void)
{
	expect("OA-59 llama.cpp without templates", 500, "{\"error\":{\"code\":"
		"500,\"message\":\"tools param requires --jinja flag\",\"type\":"
		"\"server_error\"}}", "!400 invalid_request_error upstream local: "
		"tools param requires --jinja flag: start llama-server with it, "
		"or it takes no tools");
}

static void parameters(void)
{
	learn_one("OA-5 by param", "{\"error\":{\"message\":\"Unsupported "
		"value: 'temperature' does not support 0.2 with this model. Only "
		"the default (1) value is supported.\",\"param\":\"temperature\","
		"\"code\":\"unsupported_value\"}}", PARAM_TEMPERATURE);
	learn_one("OA-5 swap", "{\"error\":{\"message\":\"Unsupported "
		"parameter: 'max_tokens' is not supported with this model. Use "
		"'max_completion_tokens' instead.\",\"param\":\"max_tokens\","
		"\"code\":\"unsupported_parameter\"}}", PARAM_MAX_SWAP);
	learn_one("OA-5 unknown name", "[{\"error\":{\"code\":400,\"message\":"
		"\"Invalid JSON payload received. Unknown name \\\"top_k\\\": Cannot "
		"find field.\",\"status\":\"INVALID_ARGUMENT\"}}]", PARAM_TOP_K);
	learn_one("OA-5 unquoted", "{\"error\":{\"message\":\"Unrecognized "
		"request argument supplied: stop\",\"code\":null}}", PARAM_STOP);
	learn_one("OA-5 quoted", "{\"error\":{\"message\":\"Unsupported "
		"parameter: 'stop' is not supported with this model.\"}}",
		PARAM_STOP);
	learn_one("OA-5 fastapi", "{\"detail\":[{\"loc\":[\"body\","
		"\"stream_options\"],\"msg\":\"Extra inputs are not permitted\","
		"\"type\":\"extra_forbidden\"}]}", PARAM_STREAM_OPTIONS);
	learn_one("OA-5 ollama", "{\"error\":{\"message\":\"\\\"llama3\\\" does "
		"not support thinking\"}}", PARAM_REASONING_EFFORT);
	learn_one("OA-5 parallel", "{\"error\":{\"message\":\"property "
		"'parallel_tool_calls' is unsupported\"}}", PARAM_PARALLEL);
	learn_one("OA-61 tools and reasoning", "{\"error\":{\"message\":"
		"\"Function tools with reasoning_effort are not supported for this "
		"model in /v1/chat/completions. Please use /v1/responses "
		"instead.\",\"param\":\"reasoning_effort\"}}", PARAM_EFFORT_NONE);
	learn_one("OA-62 reasoning_content", "{\"error\":{\"message\":\"Missing "
		"reasoning_content field in the assistant message\"}}",
		PARAM_REASONING_SPACE);
	learn_one("OA-58 empty object", "[{\"error\":{\"code\":400,\"message\":"
		"\"properties: should be non-empty for OBJECT type\"}}]",
		PARAM_EMPTY_OBJECT);
	expect("OA-5 a bad value isn't an unknown name", 400, "{\"error\":{"
		"\"message\":\"Invalid value for 'temperature'\",\"param\":"
		"\"temperature\"}}", "!400 invalid_request_error upstream local: "
		"Invalid value for 'temperature'");
	expect("an ordinary word isn't a parameter", 400, "{\"error\":"
		"\"stop words are not supported by user request\"}",
		"!400 invalid_request_error upstream local: stop words are not "
		"supported by user request");
	world_init(&w);
	w.sent.sent_params = 0;
	world_call(&w);
	T(!str_eq(refused(400, "{\"error\":\"Unknown name 'top_k'\"}"),
		S("retry")), "OA-5 what wasn't sent can't be left out");
	world_init(&w);
	world_call(&w);
	answer_start(&w.c.answer);
	T(!str_eq(refused(400, "{\"error\":\"Unknown name 'top_k'\"}"),
		S("retry")), "AN-24 not after the 200");
}

static void not_errors(void)
{
	expect("OA-120 could not finish", 400, "{\"error\":{\"message\":\"Could "
		"not finish the message because max_tokens or model output limit "
		"was reached. Please try again with higher max_tokens.\"}}",
		"max_tokens 1000/0/0/?.");
	expect("OA-120 policy", 400, "{\"error\":{\"message\":\"No \\\"way\\\"\","
		"\"code\":\"content_policy_violation\"}}",
		"refusal(No \\\"way\\\") 1000/0/0/?.");
	expect("OA-120 azure's filter", 400, "{\"error\":{\"message\":\"f\","
		"\"code\":\"content_filter\"}}", "refusal(f) 1000/0/0/?.");
}

/* A chunk with an error: no status but what it says itself. */
static void late(const char *label, const char *json, int started,
	const char *want)
{
	struct json doc;
	int r;

	world_init(&w);
	world_call(&w);
	if (started)
		answer_start(&w.c.answer);
	T(json_parse(&doc, str_of(json), w.c.a, NULL) == OK, "%s", json);
	r = openai_error(&w.c, 0, NULL, json_root(&doc), str_of(json));
	if (r == E_FAULT)
		world_fault(&w);
	T_STR(buf_str(&w.line), str_of(want), "%s", label);
}

static void mid_stream(void)
{
	late("OA-101 a code in a 200", "{\"code\":402,\"message\":\"m\"}", 0,
		"!402 billing_error upstream local: m");
	late("OA-101 a code as text", "{\"code\":\"429\",\"message\":\"m\"}", 0,
		"!429 rate_limit_error upstream local: m");
	late("OA-101 a type", "{\"type\":\"overloaded_error\",\"message\":"
		"\"m\"}", 0, "!529 overloaded_error upstream local: m");
	late("OA-101 nothing known", "{\"message\":\"m\"}", 0,
		"!500 api_error upstream local: m");
	late("OA-121 transient", "{\"code\":502,\"message\":\"m\"}", 1,
		"!502 api_error upstream local: m");
	late("OA-121 overloaded", "{\"code\":503,\"message\":\"m\"}", 1,
		"!529 overloaded_error upstream local: m");
	late("OA-121 timeout", "{\"code\":408,\"message\":\"m\"}", 1,
		"!504 timeout_error upstream local: m");
	late("OA-121 rate", "{\"code\":429,\"message\":\"m\"}", 1,
		"!429 rate_limit_error upstream local: m");
	late("OA-121 else", "{\"code\":401,\"message\":\"m\"}", 1,
		"!401 api_error upstream local: m");
}

static void counting(void)
{
	world_init(&w);
	w.c.kind = CALL_COUNT;
	world_call(&w);
	refused(404, "Not Found");
	T_INT(w.facts.count_lost, 2,
		"OA-126 a service without counting isn't asked again");
	world_init(&w);
	w.flags->profile = P_LLAMACPP;
	w.flags->exact_count = 1;
	w.c.kind = CALL_COUNT;
	w.sent.count = COUNT_ANTHROPIC;
	world_call(&w);
	T_STR(refused(404, "File Not Found"), S("retry"),
		"OA-124 an older server is asked the other way");
	T_INT(w.facts.count_lost, 1, "OA-124 learnt");
	w.sent.count = COUNT_TEMPLATE;
	world_call(&w);
	T(str_starts(refused(404, "File Not Found"), S("!404 ")),
		"OA-124 there is no third");
	T_INT(w.facts.count_lost, 2, "OA-124 learnt as well");
	w.sent.count = COUNT_ANTHROPIC;
	world_call(&w);
	refused(404, "File Not Found");
	T_INT(w.facts.count_lost, 2, "OA-124 a late answer unlearns nothing");
	world_init(&w);
	w.c.kind = CALL_COUNT;
	world_call(&w);
	w.c.model = S("qwen");
	refused(404, "The model `qwen` does not exist.");
	T(w.facts.count_lost == 0 && openai_refused(&w.c, PARAM_EXACT_COUNT),
		"OA-126 a model that isn't there says nothing of others");
	world_init(&w);
	w.c.kind = CALL_COUNT;
	world_call(&w);
	refused(500, "oops");
	T(!openai_refused(&w.c, PARAM_EXACT_COUNT), "OA-126 one that failed is");
}

static void little_memory(void)
{
	size_t n;

	for (n = 0; n < 4000; n += 8) {
		world_init(&w);
		w.room = n;
		world_call(&w);
		refused(400, "{\"error\":{\"message\":\"a\\nb\",\"code\":402,"
			"\"metadata\":{\"raw\":\"c\\nd\"}}}");
	}
}

int main(void)
{
	shapes();
	rows();
	delays();
	overflows();
	smaller_output();
	templates();
	parameters();
	not_errors();
	mid_stream();
	counting();
	little_memory();
	return t_done("openai_error");
}
