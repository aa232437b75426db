/* openai_encode.c -- fuzz target: a request for chat.completions.
 *
 * The first byte chooses the profile, the second whether it is to be counted,
 * how much room there is, the model and what was learned of it; the rest is the
 * client's body; ' in it stands for ". If that doesn't begin with a brace, it is
 * read as a conversation (conversation.h).
 *
 * Holds, of any body that the parser takes: a body that is JSON, or a fault;
 * no member stands twice; each message has a role of the dialect and what that
 * role must have; every call has its result in the messages right behind it,
 * nothing else has one; a function's name is spelled as services want, a
 * tool_choice has tools; something is estimated.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/backend/openai_answer.h"
#include "../../src/backend/openai_request.h"
#include "../conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_MAX = 1 << 13, ARENA = 4 << 20, PENDING_MAX = 1 << 10,
	COUNTED = 1, NARROW = 2, LEARNED = 4
};

static const char *const profiles[] = {
	"openai", "gemini", "openrouter", "deepseek", "vllm", "llamacpp",
	"ollama", "lmstudio", "generic"
};
static const char *const flags[] = {
	"", "system_role=developer", "max_output=100", "tool_id=9alnum",
	"tool_args=stream", "exact_count=1", "context=9000", "gif=1"
};
static const char *const models[] = {
	"gpt-5.5", "gemini-3-pro", "deepseek-reasoner", "qwen3", "gpt-4o",
	"kimi-k2", "mistral-large", "claude-opus-4-5"
};

static _Alignas(16) char memory[ARENA];
static char text[1 << 16];
static struct openai_facts facts;
static struct upstream up;
static struct call c;
static struct request req;
static struct json doc, out;
static struct notes notes;
static struct ids ids;
static struct http_head client;
static struct sink sink;
static char state[sizeof(struct openai_state)];
static struct jstr calls[PENDING_MAX];
static size_t ncalls;

static void ignore(struct sink *s, const struct event *e)
{
	(void)s;
	(void)e;
}

static int serve(uint8_t profile, uint8_t how)
{
	struct fault f = { 0 };
	const char *name;
	int r;

	memset(&facts, 0, sizeof(facts));
	memset(&up, 0, sizeof(up));
	memset(&c, 0, sizeof(c));
	memset(&notes, 0, sizeof(notes));
	memset(state, 0, sizeof(state));
	up.backend = &backend_openai;
	up.facts = &facts;
	up.key = S("k");	/* some profiles need one */
	up.host = S("127.0.0.1");
	up.base = S("/v1");
	up.authority = S("127.0.0.1:9");
	sink.event = ignore;
	c.up = &up;
	c.model = str_of(models[how >> 5]);
	c.kind = how & COUNTED ? CALL_COUNT : CALL_MESSAGES;
	c.req = &req;
	c.client = &client;
	c.notes = &notes;
	c.ids = &ids;
	c.state = state;
	c.counted = -1;
	c.answer.sink = &sink;
	c.answer.id = S("msg_1");
	c.answer.ended = 1;	/* nobody listens */
	name = flags[profile / COUNT(profiles) % COUNT(flags)];
	r = backend_openai.configure(&up, str_of(profiles[profile %
	    COUNT(profiles)]), str_of(name), &f);
	/* That one only some profiles know. */
	assert(r == OK || strcmp(name, "exact_count=1") == 0);
	return r;
}

static struct jv at(struct jv v, const char *name)
{
	return json_get(v, str_of(name));
}

static int has(struct jv v, const char *name)
{
	return json_type(at(v, name)) != JSON_ABSENT;
}

static void check_names(struct jv object)
{
	struct json_iter it = json_iter(object), other;

	while (json_next(&it))
		for (other = it; json_next(&other); )
			assert(!str_eq(it.key.raw, other.key.raw));
}

static void check_call(struct jv call)
{
	struct jv function = at(call, "function");
	struct jstr name = json_str(at(function, "name"));

	assert(ncalls < PENDING_MAX);
	calls[ncalls] = json_str(at(call, "id"));
	/* Whoever gives two calls one id gets two results of that id. */
	assert(calls[ncalls++].raw.n > 0 && name.raw.n > 0);
	assert(json_type(at(function, "arguments")) == JSON_STRING);
}

static void check_result(struct jv message)
{
	struct jstr id = json_str(at(message, "tool_call_id"));
	size_t i = 0;

	while (i < ncalls && !str_eq(calls[i].raw, id.raw))
		i++;
	assert(i < ncalls);
	calls[i] = calls[--ncalls];
}

static void check_messages(struct jv list)
{
	struct json_iter it = json_iter(list), call;
	struct jv role;

	assert(json_count(list) > 0);
	while (json_next(&it)) {
		check_names(it.value);
		role = at(it.value, "role");
		if (json_is(role, S("tool"))) {
			check_result(it.value);
			assert(has(it.value, "content"));
			continue;
		}
		assert(ncalls == 0);
		if (json_is(role, S("assistant"))) {
			call = json_iter(at(it.value, "tool_calls"));
			assert(has(it.value, "content") ||
			    json_count(at(it.value, "tool_calls")) > 0);
			while (json_next(&call))
				check_call(call.value);
			continue;
		}
		assert(json_is(role, S("user")) || json_is(role, S("system")) ||
		    json_is(role, S("developer")));
		assert(has(it.value, "content"));
	}
	assert(ncalls == 0);
}

static int is_spelled(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') &&
		    !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') &&
		    s.p[i] != '_' && s.p[i] != '-' && s.p[i] != '.' &&
		    s.p[i] != ':')
			return 0;
	return s.n && s.n <= 128;
}

static void check_tools(struct jv list)
{
	struct json_iter it = json_iter(list);
	struct jv function;

	while (json_next(&it)) {
		function = at(it.value, "function");
		check_names(function);
		if (json_type(function) == JSON_OBJECT)
			assert(is_spelled(json_str(at(function, "name")).raw));
	}
}

static void check(struct arena *a)
{
	struct jv root;

	assert(c.nbody == 1);
	assert(json_check(c.body[0], NULL, NULL) == OK);
	if (json_parse(&out, c.body[0], a, NULL) != OK)
		return;			/* no room for that here */
	if (c.kind == CALL_COUNT)
		return;			/* each server counts its own form */
	root = json_root(&out);
	check_names(root);
	ncalls = 0;
	if (has(root, "messages"))
		check_messages(at(root, "messages"));
	if (has(root, "tools"))
		check_tools(at(root, "tools"));
	assert(!has(root, "tool_choice") || has(root, "tools"));
	assert(c.estimate > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { memory, memory + ARENA };
	struct str body = { text, size - 2 };
	struct fault f = { 0 };
	size_t i;
	int r;

	if (size < 3 || size > INPUT_MAX || serve(data[0], data[1]) != OK)
		return 0;
	for (i = 2; i < size; i++)
		text[i - 2] = data[i] == '\'' ? '"' : (char)data[i];
	if (data[2] != '{')
		body = conversation(text, sizeof(text), data + 2, size - 2);
	if (json_parse(&doc, body, &a, NULL) != OK || request_parse(&req, &doc,
	    c.kind == CALL_COUNT, &a, &notes, &f) != OK)
		return 0;
	c.a = &a;
	if (data[1] & LEARNED) {
		struct openai_learned *l = openai_learned(&c);

		l->refused = data[0] * 0x0101u;
		l->window = 9000;
	}
	if (data[1] & NARROW)
		a.end = a.cur + 64 * (size_t)data[0];
	r = openai_encode(&c);
	a.end = memory + ARENA;
	assert(r == OK || r == E_FAULT || r == CALL_DONE || r == E_NONE ||
	    (r == E_FULL && data[1] & NARROW));
	assert(r != E_FAULT || (c.fault.status >= 400 && c.fault.status < 600));
	assert(r != E_NONE || c.kind == CALL_COUNT);
	if (r == OK)
		check(&a);
	return 0;
}
