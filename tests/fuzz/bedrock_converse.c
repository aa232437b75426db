/* bedrock_converse.c -- fuzz target: a request for Converse.
 *
 * The first byte chooses the model, the second whether it is to be counted and
 * how much room there is, the rest is the client's body; ' in it stands for ".
 * If that doesn't begin with a brace, each of its bytes is a block of a
 * conversation: five bits say which, two whose, one that a message begins.
 *
 * Holds, of any body that the parser takes: a body that is JSON, or a fault;
 * every element has exactly one member, no list is empty, no text is blank;
 * roles alternate and the user begins; each call has its result in the next
 * message, nothing else has one; calls have tools; cache points stand where
 * they may, four at most; names and ids are spelled as the service wants.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/backend/bedrock_converse.c"
#include "../bedrock_converse.h"
#include "../conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_IN = 1 << 13, CALLS_MAX = 1 << 10 };

static struct conv w;
static struct jstr calls[CALLS_MAX];
static size_t ncalls, marks, tool_parts;

static const char *const models[] = {
	CLAUDE_37, CLAUDE_45, CLAUDE_46, CLAUDE_5, SONNET_55, NOVA, NOVA_2,
	LLAMA, MISTRAL, MISTRAL_7B, DEEPSEEK, GPT_OSS, COHERE
};

static int is_spelled(struct jstr s, size_t most)
{
	size_t i;

	for (i = 0; i < s.raw.n; i++)
		if (!(s.raw.p[i] >= 'a' && s.raw.p[i] <= 'z') &&
		    !(s.raw.p[i] >= 'A' && s.raw.p[i] <= 'Z') &&
		    !(s.raw.p[i] >= '0' && s.raw.p[i] <= '9') &&
		    s.raw.p[i] != '_' && s.raw.p[i] != '-')
			return 0;
	return s.raw.n && s.raw.n <= most;
}

static int has(struct jv v, const char *name)
{
	return json_type(json_get(v, str_of(name))) != JSON_ABSENT;
}

static void check_call(struct jv use)
{
	struct jstr id = json_str(json_get(use, S("toolUseId")));
	size_t i;

	assert(is_spelled(id, 64));
	assert(is_spelled(json_str(json_get(use, S("name"))), 64));
	assert(json_type(json_get(use, S("input"))) == JSON_OBJECT);
	for (i = 0; i < ncalls; i++)
		assert(!str_eq(calls[i].raw, id.raw));
	assert(ncalls < CALLS_MAX);
	calls[ncalls++] = id;
	tool_parts++;
}

static void check_list(struct jv list, int inside);

/* One of the calls that wait, which then waits no more. */
static void check_result(struct jv result)
{
	struct jstr id = json_str(json_get(result, S("toolUseId")));
	size_t i = 0;

	while (i < ncalls && !str_eq(calls[i].raw, id.raw))
		i++;
	assert(i < ncalls);
	calls[i] = calls[--ncalls];
	check_list(json_get(result, S("content")), 1);
	tool_parts++;
}

/* inside: of a result. */
static void check_list(struct jv list, int inside)
{
	struct json_iter it = json_iter(list);
	int point = 1, any = 0;

	assert(json_type(list) == JSON_ARRAY);
	while (json_next(&it)) {
		assert(json_count(it.value) == 1);
		if (has(it.value, "cachePoint")) {
			assert(!point && !inside);
			point = 1;
			marks++;
			continue;
		}
		point = has(it.value, "reasoningContent");
		any = 1;
		if (has(it.value, "text"))
			assert(!bedrock_blank(json_str(json_get(it.value,
			    S("text")))));
		else if (has(it.value, "toolUse"))
			check_call(json_get(it.value, S("toolUse")));
		else if (has(it.value, "toolResult"))
			check_result(json_get(it.value, S("toolResult")));
		assert(!inside || (!has(it.value, "toolUse") &&
		    !has(it.value, "toolResult")));
	}
	assert(any);
}

static void check_messages(struct jv list)
{
	struct json_iter it = json_iter(list);
	int user = 1;

	assert(json_count(list) > 0);
	for (; json_next(&it); user = !user) {
		assert(json_is(json_get(it.value, S("role")),
		    user ? S("user") : S("assistant")));
		assert(user || ncalls == 0);
		check_list(json_get(it.value, S("content")), 0);
		assert(!user || ncalls == 0);
	}
	assert(ncalls == 0);
	assert(!user || w.st.model.can & CAN_PREFILL);
}

static void check_tools(struct jv list)
{
	struct json_iter it = json_iter(list);
	struct jv spec;

	assert(json_count(list) > 0);
	while (json_next(&it)) {
		assert(json_count(it.value) == 1);
		marks += (size_t)has(it.value, "cachePoint");
		spec = json_get(it.value, S("toolSpec"));
		if (json_type(spec) == JSON_ABSENT)
			continue;
		assert(is_spelled(json_str(json_get(spec, S("name"))), 64));
		assert(json_is(json_get(json_get(json_get(spec,
		    S("inputSchema")), S("json")), S("type")), S("object")));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char text[CONV_TEXT];
	struct str body = { text, size - 2 };
	enum call_kind kind;
	size_t i;
	int r;

	if (size < 3 || size > SIZE_MAX_IN)
		return 0;
	for (i = 2; i < size; i++)
		text[i - 2] = data[i] == '\'' ? '"' : (char)data[i];
	if (data[2] != '{')
		body = conversation(text, sizeof text, data + 2, size - 2);
	kind = data[1] & 1 ? CALL_COUNT : CALL_MESSAGES;
	if (conv_call(&w, models[data[0] % COUNT(models)],
	    body, kind) != OK)
		return 0;
	w.c.answer.ended = 1;	/* nobody listens */
	if (data[1] & 2)
		w.a.end = w.a.cur + 16 * (size_t)data[1];
	r = bedrock_converse(&w.c, &w.st);
	w.a.end = w.memory + CONV_ARENA;
	assert(r == OK || r == E_FAULT || r == CALL_DONE ||
	    (r == E_FULL && data[1] & 2));
	assert(r != E_FAULT || w.c.fault.status == 400);
	if (r != OK && r != CALL_DONE)
		return 0;
	assert(json_parse(&w.out, w.c.body[0], &w.a, NULL) == OK);
	ncalls = marks = tool_parts = 0;
	if (has(json_root(&w.out), "toolConfig"))
		check_tools(conv_at(&w, "toolConfig.tools"));
	if (has(json_root(&w.out), "system"))
		check_list(conv_at(&w, "system"), 0);
	check_messages(conv_at(&w, "messages"));
	assert(marks <= MARKS_MAX);
	assert(!tool_parts || has(json_root(&w.out), "toolConfig"));
	assert(w.c.estimate > 0);
	return 0;
}
