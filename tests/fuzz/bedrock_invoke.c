/* bedrock_invoke.c -- fuzz target: a body edited for InvokeModel, its answer.
 *
 * The first byte chooses. Even: model, version, betas and what was learned;
 * the rest is a client's body. Odd: the rest is chunks' events, a line each;
 * with the next bit, chunks' payloads.
 *
 * Holds: the body that goes out is JSON, of the client's members only those
 * that are named here are left out or differ, in the order they came in;
 * blocks are balanced and nothing follows the end.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "../../src/backend/bedrock_invoke.c"
#include "../invoke.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world w;

static const char *const models[] = { "claude-opus-5-5", "claude-opus-4-8",
	"claude-opus-4-6", "claude-sonnet-4-5[1m]", "claude-3-haiku-20240307" };

/* Members at the top that may go or differ. */
static const char *const named[] = { "model", "stream", "anthropic_version",
	"anthropic_beta", "betas", "container", "mcp_servers", "inference_geo",
	"speed", "service_tier", "fallbacks", "diagnostics", "output_format",
	"output_config", "context_management", "thinking", "temperature",
	"top_p", "top_k", "user_profile_id", "tools", "tool_choice", "system",
	"messages", "max_tokens", "cache_control", "x" };

static int is_named(struct jstr key)
{
	size_t i;

	for (i = 0; i < COUNT(named); i++)
		if (jstr_eq(key, str_of(named[i])))
			return 1;
	return 0;
}

/* What isn't named went out as it came, in its order. */
static void compare(struct jv was, struct jv is)
{
	struct json_iter from = json_iter(was), to = json_iter(is);
	int more;

	while (json_next(&from)) {
		if (is_named(from.key))
			continue;
		do {
			more = json_next(&to);
			assert(more);
		} while (is_named(to.key));
		assert(str_eq(from.key.raw, to.key.raw));
		assert(str_eq(json_raw(from.value), json_raw(to.value)));
	}
	while (json_next(&to))
		assert(is_named(to.key));
}

static void edit(struct str body, unsigned how)
{
	static char first[WORLD_ARENA], rest[WORLD_ARENA];
	struct arena a = { rest, rest + sizeof rest };
	struct bedrock_learned *l;
	struct json doc;
	struct str out;
	int r;

	w.client = (struct http_head){ 0 };
	if (how & 1)
		world_field(&w.client, "anthropic-version", "2026-10-21");
	if (how & 2)
		world_field(&w.client, "anthropic-beta", "compact-2026-01-12,"
		    "mid-conversation-tool-changes-2026-07-01,"
		    "tool-search-tool-2025-10-19,tool-examples-2025-10-29");
	if (world_call(&w, body, how & 4 ? CALL_COUNT : CALL_MESSAGES) != OK)
		return;
	w.c.model = str_of(models[how / 16 % COUNT(models)]);
	r = bedrock_resolve(&w.c, &w.st.model);
	assert(r == OK);
	l = bedrock_learned(&w.c);
	if (how & 8) {
		l->nstrips = 3;
		memcpy(l->strip[0], "x", 2);
		memcpy(l->strip[1], "messages.#.content.#.caller", 28);
		memcpy(l->strip[2], "tools.#.input_schema.properties", 32);
	}
	r = bedrock_invoke(&w.c, &w.st);
	assert(r == OK || r == E_FAULT || r == E_FULL || r == E_NONE ||
	    (r == CALL_DONE && w.req.max_tokens == 0));
	assert((r == CALL_DONE) == w.ended && !w.broken);
	assert(r != E_NONE || w.c.kind == CALL_COUNT);
	assert(w.c.estimate >= 0);
	if (r != OK)
		return;
	out = world_body(&w);
	assert(out.n < sizeof first);
	memcpy(first, out.p, out.n);
	out.p = first;
	if (json_parse(&doc, out, &a, NULL) != OK) {
		/* Deeper by what was put around it, or too large here. */
		assert(json_check(out, NULL, NULL) == OK);
		return;
	}
	compare(w.req.json, json_root(&doc));
}

static void hear(struct str text, unsigned how)
{
	static char room[1 << 16];
	struct str line;
	struct buf b;
	int r = OK;

	world_call(&w, S(""), CALL_MESSAGES);
	while (r == OK && str_cut(&text, '\n', &line)) {
		b = buf_on(room, sizeof room);
		if (how & 2) {
			buf_put(&b, line);
		} else {
			buf_put(&b, S("{\"bytes\":\""));
			buf_base64(&b, line);
			buf_put(&b, S("\"}"));
		}
		r = bedrock_invoke_event(&w.c, &w.st, buf_str(&b));
		assert(w.a.end == w.memory + sizeof w.memory);
	}
	assert(r == OK || r == CALL_DONE || r == E_FAULT || r == E_FULL);
	assert(!w.broken && (r == CALL_DONE) == w.ended);
	if (r == E_FAULT)
		assert(w.c.fault.status >= 400 && w.c.fault.status < 600);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data + 1, size - 1 };

	if (size < 2 || size > 1 << 14)
		return 0;
	memset(&w.facts, 0, sizeof w.facts);
	if (data[0] & 1)
		hear(text, data[0]);
	else
		edit(text, data[0] / 2);
	return 0;
}
