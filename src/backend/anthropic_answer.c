/* anthropic_answer.c -- Anthropic's events and Messages into ours.
 *
 * The service's own protocol is what our events are made after, so little is
 * translated. Tolerant where the service may grow: an unknown event, block or
 * delta is passed over, a missing count keeps its last value.
 *
 * SPDX-License-Identifier: MIT */
#include "anthropic.h"

static const struct jstr none = { { NULL, 0 } };

int anthropic_foreign(struct jstr signature)
{
	return signature.raw.n == 0 || jstr_starts(signature, S("p1."));
}

/* ---- faults ---- */

/* Static texts for what struct fault points to, and their statuses. */
static const struct {
	const char *type;
	int status;
} types[] = {
	{ "invalid_request_error", 400 }, { "authentication_error", 401 },
	{ "billing_error", 402 }, { "permission_error", 403 },
	{ "not_found_error", 404 }, { "request_too_large", 413 },
	{ "rate_limit_error", 429 }, { "timeout_error", 504 },
	{ "overloaded_error", 529 }, { "api_error", 500 }
};

void anthropic_fault(struct call *c, int status, struct str body)
{
	char room[FAULT_TEXT_MAX];
	struct arena scratch = *c->a;
	struct buf b = buf_on(room, sizeof room);
	struct json doc;
	struct jv error = { NULL, 0 };
	struct str text = S("");
	size_t i, kind = COUNT(types);

	if (json_parse(&doc, body, &scratch, NULL) == OK) {
		error = json_get(json_root(&doc), S("error"));
		text = json_text(&scratch, json_str(json_get(error,
		    S("message"))));
	}
	for (i = 0; i < COUNT(types); i++)
		if (json_is(json_get(error, S("type")),
		    str_of(types[i].type)))
			kind = i;
	if (text.n == 0)
		text = str_head(str_trim(body), FAULT_TEXT_MAX / 2);
	text = str_head(text, FAULT_TEXT_MAX - 64);
	put_masked(&b, text, c->up->key);
	if (status == 0)
		status = kind < COUNT(types) ? types[kind].status : 500;
	fault_from_status(&c->fault, status, c->up->name, buf_str(&b));
	if (kind < COUNT(types))
		c->fault.type = types[kind].type;
}

static int bad(struct call *c, struct str why)
{
	FAULT(&c->fault, 502, S("upstream "), c->up->name, why);
	return E_FAULT;
}

/* ---- parts ---- */

/* Tokens of what is read stand in the far half of the arena, for in the near
 * one the answer keeps a little and arguments are rewritten. */
static struct arena near_half(const struct arena *a)
{
	return (struct arena){ a->cur, a->cur + arena_room(a) / 2 };
}

static struct arena far_half(const struct arena *a)
{
	return (struct arena){ a->cur + arena_room(a) / 2, a->end };
}

static void take_count(struct jv v, int64_t *to)
{
	if (json_type(v) == JSON_NUMBER)
		*to = json_int(v, *to);
}

/* Totals so far; what is null or absent says nothing new. */
static void take_usage(struct anthropic_answer *an, struct jv v)
{
	struct usage *u = &an->usage;

	if (json_type(v) != JSON_OBJECT)
		return;
	take_count(json_get(v, S("input_tokens")), &u->input);
	take_count(json_get(v, S("output_tokens")), &u->output);
	take_count(json_get(v, S("cache_read_input_tokens")), &u->cache_read);
	take_count(json_get(v, S("cache_creation_input_tokens")),
	    &u->cache_write);
	take_count(json_get(json_get(v, S("cache_creation")),
	    S("ephemeral_1h_input_tokens")), &u->cache_write_1h);
	take_count(json_get(json_get(v, S("output_tokens_details")),
	    S("thinking_tokens")), &u->thinking);
	u->estimated = 0;
}

static enum stop_reason stop_of(struct jv v)
{
	enum stop_reason r;

	if (json_type(v) != JSON_STRING)
		return STOP_NONE;
	for (r = STOP_END_TURN; r < STOP_OTHER; r++)
		if (json_is(v, str_of(stop_reason_name(r))))
			return r;
	return STOP_OTHER;
}

/* A string that must outlive its event; as null when there is no room. */
static struct jstr keep(struct call *c, struct jv v)
{
	struct jstr s = json_str(v);

	/* The tokens lie in the far half: two of these stay before it. */
	if (json_type(v) != JSON_STRING || s.raw.n > arena_room(c->a) / 4)
		return none;
	return (struct jstr){ arena_str(c->a, s.raw) };
}

static void take_stop(struct call *c, struct anthropic_answer *an,
    struct jv delta)
{
	struct jv reason = json_get(delta, S("stop_reason"));
	struct jv sequence = json_get(delta, S("stop_sequence"));
	struct jv why = json_get(json_get(delta, S("stop_details")),
	    S("explanation"));

	if (json_type(reason) == JSON_STRING)
		an->stop = stop_of(reason);
	if (json_type(sequence) == JSON_STRING)
		an->stop_sequence = keep(c, sequence);
	if (json_type(why) == JSON_STRING)
		an->explanation = keep(c, why);
}

static enum block_type type_of(struct jv v)
{
	static const struct {
		const char *name;
		enum block_type type;
	} names[] = {
		{ "text", B_TEXT }, { "thinking", B_THINKING },
		{ "redacted_thinking", B_REDACTED_THINKING },
		{ "tool_use", B_TOOL_USE },
		{ "server_tool_use", B_SERVER_TOOL_USE },
		{ "mcp_tool_use", B_MCP }, { "compaction", B_COMPACTION }
	};
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (json_is(v, str_of(names[i].name)))
			return names[i].type;
	return str_ends(json_str(v).raw, S("_tool_result")) ?
	    B_SERVER_TOOL_RESULT : B_UNKNOWN;
}

/* Arguments that came whole, as the one piece they are. */
static int put_input(struct call *c, struct jv input)
{
	struct arena scratch = near_half(c->a);
	struct buf b;

	if (json_count(input) == 0)
		return OK;
	b = buf_open(&scratch);
	json_stringify(&b, json_raw(input));
	if (b.full)
		return E_FULL;
	answer_text(&c->answer, (struct jstr){ buf_str(&b) });
	return OK;
}

/* A block as it stands at its start, or whole. */
static int open_block(struct call *c, struct jv v)
{
	struct answer *a = &c->answer;
	enum block_type type = type_of(json_get(v, S("type")));
	struct jstr id = json_str(json_get(v, S("id")));
	struct jstr name = json_str(json_get(v, S("name")));
	struct jstr signature;

	switch (type) {
	case B_REDACTED_THINKING:
		answer_redacted(a, json_str(json_get(v, S("data"))));
		return OK;
	case B_TEXT:
		answer_open(a, type, id, name);
		answer_text(a, json_str(json_get(v, S("text"))));
		return OK;
	case B_THINKING:
		answer_open(a, type, id, name);
		answer_text(a, json_str(json_get(v, S("thinking"))));
		signature = json_str(json_get(v, S("signature")));
		if (signature.raw.n)
			answer_signature(a, signature);
		return OK;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		answer_open(a, type, id, name);
		return put_input(c, json_get(v, S("input")));
	default:
		answer_open(a, type, id, name);
		return OK;
	}
}

static const struct {
	const char *type, *field;
	enum block_type block, other;
} kinds[] = {
	{ "text_delta", "text", B_TEXT, B_TEXT },
	{ "thinking_delta", "thinking", B_THINKING, B_THINKING },
	{ "input_json_delta", "partial_json", B_TOOL_USE, B_SERVER_TOOL_USE }
};

/* A delta of another kind than its block is passed over, as the service's own
 * clients do. */
static void take_piece(struct call *c, size_t kind, struct jstr piece)
{
	struct answer *a = &c->answer;

	if (a->open && (a->block == kinds[kind].block ||
	    a->block == kinds[kind].other))
		answer_text(a, piece);
}

static void take_delta(struct call *c, struct anthropic_answer *an,
    struct jv delta, struct str event)
{
	struct jv type = json_get(delta, S("type")), piece;
	size_t i;

	for (i = 0; i < COUNT(kinds); i++) {
		if (!json_is(type, str_of(kinds[i].type)))
			continue;
		piece = json_get(delta, str_of(kinds[i].field));
		take_piece(c, i, json_str(piece));
		an->kind = i;
		an->alike.n = 0;	/* it was of the kind before */
		if (json_type(piece) == JSON_STRING)
			alike_learn(&an->alike, event, json_raw(piece));
	}
	if (json_is(type, S("signature_delta")))
		answer_signature(&c->answer, json_str(json_get(delta,
		    S("signature"))));
}

static int finish(struct call *c, struct anthropic_answer *an)
{
	answer_finish(&c->answer, an->stop, an->stop_sequence,
	    an->explanation, &an->usage);
	return CALL_DONE;
}

static void begin(struct call *c, struct anthropic_answer *an)
{
	if (an->begun)
		return;
	an->begun = 1;
	an->usage = (struct usage){ .input = c->answer.usage.input,
	    .thinking = -1, .estimated = 1 };
	an->stop_sequence = an->explanation = none;
}

/* Whoever doesn't say what was read gets an estimate, made only then. */
static void start(struct call *c, struct anthropic_answer *an,
    struct jv usage)
{
	take_usage(an, usage);
	if (an->usage.estimated && c->estimate == 0 && c->req) {
		c->estimate = estimate_request(c->req, VOCAB_O, 1);
		an->usage.input = c->estimate;
	}
	c->answer.usage = an->usage;
	answer_start(&c->answer);
}

/* ---- events ---- */

static int read_event(struct call *c, struct anthropic_answer *an,
    struct jv v, struct str json)
{
	struct jv type = json_get(v, S("type"));
	struct jv message;

	begin(c, an);
	if (json_is(type, S("content_block_delta"))) {
		take_delta(c, an, json_get(v, S("delta")), json);
	} else if (json_is(type, S("content_block_start"))) {
		return open_block(c, json_get(v, S("content_block")));
	} else if (json_is(type, S("content_block_stop"))) {
		answer_close(&c->answer);
	} else if (json_is(type, S("message_start"))) {
		if (c->answer.started)
			return bad(c, S(" began its answer twice"));
		message = json_get(v, S("message"));
		start(c, an, json_get(message, S("usage")));
	} else if (json_is(type, S("message_delta"))) {
		take_stop(c, an, json_get(v, S("delta")));
		take_usage(an, json_get(v, S("usage")));
	} else if (json_is(type, S("message_stop"))) {
		if (!c->answer.started)
			return bad(c, S(" ended an answer it never began"));
		return finish(c, an);
	} else if (json_is(type, S("error"))) {
		anthropic_fault(c, 0, json);
		an->told = 1;
		return E_FAULT;
	}
	return OK;
}

int anthropic_event(struct call *c, struct anthropic_answer *an,
    struct str json)
{
	struct arena far = far_half(c->a);
	struct jstr piece;
	struct json doc;
	int r;

	if (alike_text(&an->alike, json, &piece)) {
		take_piece(c, an->kind, piece);
		return OK;
	}
	r = json_parse(&doc, json, &far, NULL);
	if (r == E_FULL)
		return E_FULL;
	if (r != OK)
		return bad(c, S(" sent an event that is not JSON"));
	return read_event(c, an, json_root(&doc), json);
}

int anthropic_message(struct call *c, struct anthropic_answer *an,
    struct str json)
{
	struct arena far = far_half(c->a);
	struct json doc;
	struct json_iter it;
	int r = json_parse(&doc, json, &far, NULL);

	if (r == E_FULL)
		return E_FULL;
	if (r != OK || json_type(json_root(&doc)) != JSON_OBJECT)
		return bad(c, S(" sent an answer that is not JSON"));
	if (json_is(json_get(json_root(&doc), S("type")), S("error"))) {
		anthropic_fault(c, 0, json);
		return E_FAULT;
	}
	begin(c, an);
	start(c, an, json_get(json_root(&doc), S("usage")));
	it = json_iter(json_get(json_root(&doc), S("content")));
	while (!it.object && json_next(&it)) {
		r = open_block(c, it.value);
		if (r != OK)
			return r;
		answer_close(&c->answer);
	}
	take_stop(c, an, json_root(&doc));
	return finish(c, an);
}
