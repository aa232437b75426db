/* bedrock_stream.c -- Converse's answers, streamed or whole, into events.
 *
 * Blocks have no start of their own but for tools; indexes skip; stops may
 * lack; signatures and redacted data come in pieces and leave in one. A whole
 * answer goes the same way, each block as one piece (BR-103). Pieces of text
 * and of a tool's input pass as they are, still escaped; what has to wait
 * stands in the call's arena, each event's tokens in its far half for as long
 * as the event lasts. What is unknown is passed over.
 *
 * Exceptions and the framing are others' business.
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock.h"

enum { TRAIL_MS = 5000 };	/* for metadata after messageStop (BR-93) */

/* {"u":"bedrock"}: thinking that nobody signed gets a mark of ours, by which it
 * is known when it comes back (BR-71). */
static const struct jstr own_mark = { { "p1.eyJ1IjoiYmVkcm9jayJ9", 23 } };
static const struct jstr none = { { NULL, 0 } };

static int bad(struct call *c, struct str why)
{
	FAULT(&c->fault, 502, S("upstream "), c->up->name, why);
	return E_FAULT;
}

/* ---- what waits ---- */

/* Appends in place while nothing else was taken from the arena. */
static int keep(struct call *c, struct bedrock *st, struct jstr piece)
{
	struct buf *p = &st->pending;
	char *to = arena_bytes(c->a, piece.raw.n);

	if (to && p->n && to != p->p + p->n) {
		to = arena_bytes(c->a, p->n + piece.raw.n);
		if (to)
			memcpy(to, p->p, p->n);
		p->p = to;
		to = to ? to + p->n : NULL;
	}
	if (!to)
		return E_FULL;
	if (p->n == 0)
		p->p = to;
	if (piece.raw.n)
		memcpy(to, piece.raw.p, piece.raw.n);
	p->n += piece.raw.n;
	return OK;
}

/* ---- blocks ---- */

/* Whether two escapes are the halves of one character: together they may be
 * written. */
static int is_pair(struct str s)
{
	return s.n == 12 && s.p[6] == '\\' && s.p[7] == 'u' &&
	    (s.p[8] | 0x20) == 'd' && ((s.p[9] | 0x20) >= 'c' &&
	    (s.p[9] | 0x20) <= 'f');
}

static int is_blank(struct jstr s)
{
	static const char escapes[] = "ntrf";
	size_t i;

	for (i = 0; i < s.raw.n; i++)
		if (s.raw.p[i] != ' ' && (s.raw.p[i] != '\\' ||
		    !memchr(escapes, s.raw.p[++i], sizeof escapes - 1)))
			return 0;
	return 1;
}

/* A piece of whatever is open. The first half of a character outside the
 * basic plane waits for the other one. */
static void put_piece(struct call *c, struct bedrock *st, struct jstr piece)
{
	struct jstr mark = { S("\\ufffd") };
	char pair[2 * sizeof st->half];
	struct buf b = buf_on(pair, sizeof pair);
	size_t n;

	if (st->nhalf && piece.raw.n) {
		buf_put(&b, (struct str){ st->half, st->nhalf });
		buf_put(&b, str_head(piece.raw, sizeof st->half));
		st->nhalf = 0;
		if (is_pair(buf_str(&b))) {
			mark.raw = buf_str(&b);
			piece.raw = str_from(piece.raw, sizeof st->half);
		}
		answer_text(&c->answer, mark);
	}
	n = json_whole(piece.raw);
	if (piece.raw.n - n == sizeof st->half) {
		st->nhalf = sizeof st->half;
		memcpy(st->half, piece.raw.p + n, st->nhalf);
		piece.raw.n = n;
	}
	answer_text(&c->answer, piece);
}

static void close_block(struct call *c, struct bedrock *st)
{
	struct jstr pending = { buf_str(&st->pending) };

	if (st->nhalf)
		answer_text(&c->answer, (struct jstr){ S("\\ufffd") });
	st->nhalf = 0;
	switch (st->open) {
	case OPEN_THINKING:
		answer_signature(&c->answer, pending.raw.n ? pending :
		    own_mark);
		break;
	case OPEN_REDACTED:
		answer_redacted(&c->answer, pending);
		break;
	case OPEN_TOOL:
		if (!st->input_bytes)
			answer_text(&c->answer, (struct jstr){ S("{}") });
		break;
	case OPEN_NOTHING:
	case OPEN_TEXT:
	case OPEN_SKIPPED:
		break;
	}
	answer_close(&c->answer);
	st->open = OPEN_NOTHING;
	st->pending.n = 0;
	st->input_bytes = 0;
}

/* Makes a block of that kind the open one. Thinking begins with its first
 * piece, and the kind may change within an index (BR-101). */
static void need(struct call *c, struct bedrock *st, enum bedrock_open kind)
{
	if (st->open == kind)
		return;
	close_block(c, st);
	st->open = kind;
	if (kind == OPEN_THINKING)
		answer_open(&c->answer, B_THINKING, none, none);
}

static void open_tool(struct call *c, struct bedrock *st, struct jv use)
{
	struct jstr id = json_str(json_get(use, S("toolUseId")));
	struct jstr name = json_str(json_get(use, S("name")));
	char room[ID_MAX];

	close_block(c, st);
	if (json_is(json_get(use, S("type")), S("server_tool_use"))) {
		st->open = OPEN_SKIPPED;
		return;
	}
	if (id.raw.n == 0)
		id.raw = id_new(c->ids, S("toolu_"), room);
	st->open = OPEN_TOOL;
	st->tools++;
	answer_open(&c->answer, B_TOOL_USE, id, bedrock_tool_name(st, name));
}

/* Blank text opens no block until something follows: alone it is none, and a
 * whole answer must say the same (BR-70). */
static int put_text(struct call *c, struct bedrock *st, struct jstr piece)
{
	if (piece.raw.n == 0)
		return OK;
	need(c, st, OPEN_TEXT);
	if (!c->answer.open) {
		if (is_blank(piece))
			return keep(c, st, piece);
		answer_open(&c->answer, B_TEXT, none, none);
		answer_text(&c->answer, (struct jstr){
		    buf_str(&st->pending) });
		st->pending.n = 0;
	}
	put_piece(c, st, piece);
	return OK;
}

static void put_thought(struct call *c, struct bedrock *st,
    struct jstr piece)
{
	if (piece.raw.n == 0)
		return;
	need(c, st, OPEN_THINKING);
	/* Claude itself leaves out what the client doesn't want to see. */
	if (st->model.family == FAMILY_CLAUDE || !c->req ||
	    c->req->display != DISPLAY_OMITTED)
		put_piece(c, st, piece);
}

static int put_reasoning(struct call *c, struct bedrock *st, struct jv v)
{
	struct jstr signature = json_str(json_get(v, S("signature")));
	struct jstr redacted = json_str(json_get(v, S("redactedContent")));

	put_thought(c, st, json_str(json_get(v, S("text"))));
	if (signature.raw.n) {
		need(c, st, OPEN_THINKING);
		if (keep(c, st, signature) != OK)
			return E_FULL;
	}
	if (redacted.raw.n) {
		need(c, st, OPEN_REDACTED);
		return keep(c, st, redacted);
	}
	return OK;
}

/* ---- usage and the end (section 10) ---- */

static int64_t count(struct jv usage, struct str name)
{
	int64_t n = json_int(json_get(usage, name), 0);

	return n > 0 && n < INT64_MAX / 8 ? n : 0;
}

/* whole: what has `usage`, and perhaps the tier that served it. */
static void take_usage(struct bedrock *st, struct jv whole)
{
	struct usage *u = &st->usage;
	struct jv v = json_get(whole, S("usage"));
	struct json_iter it = json_iter(json_get(v, S("cacheDetails")));
	int64_t rest;

	if (json_type(v) != JSON_OBJECT)
		return;
	*u = (struct usage){ .thinking = -1 };
	u->priority = json_is(json_get(json_get(whole, S("serviceTier")),
	    S("type")), S("priority"));
	u->input = count(v, S("inputTokens"));
	u->output = count(v, S("outputTokens"));
	u->cache_read = count(v, S("cacheReadInputTokens"));
	u->cache_write = count(v, S("cacheWriteInputTokens"));
	while (!it.object && json_next(&it))
		if (json_is(json_get(it.value, S("ttl")), S("1h")))
			u->cache_write_1h = count(it.value, S("inputTokens"));
	if (u->cache_write_1h > u->cache_write)
		u->cache_write_1h = u->cache_write;
	rest = count(v, S("totalTokens")) - u->output - u->cache_read -
	    u->cache_write;
	if (u->input == 0 && rest > 0)
		u->input = rest;	/* BR-111 */
	st->have_usage = 1;
}

static int take_stop_sequence(struct call *c, struct bedrock *st, struct jv v)
{
	struct jv s = json_get(v, S("stop_sequence"));

	if (json_type(s) != JSON_STRING)
		s = json_get(json_get(v, S("delta")), S("stop_sequence"));
	if (json_type(s) != JSON_STRING)
		return OK;
	/* Nothing waits any more: the block is closed. */
	if (keep(c, st, json_str(s)) != OK)
		return E_FULL;
	st->stop_sequence.raw = (struct str){ st->pending.p, st->pending.n };
	st->pending.n = 0;
	return OK;
}

static int is_malformed(struct jv reason)
{
	return json_is(reason, S("malformed_tool_use")) ||
	    json_is(reason, S("malformed_model_output"));
}

static enum stop_reason stop_of(struct jv reason)
{
	static const struct {
		const char *name;
		enum stop_reason stop;
	} names[] = {
		{ "end_turn", STOP_END_TURN }, { "tool_use", STOP_TOOL_USE },
		{ "max_tokens", STOP_MAX_TOKENS },
		{ "stop_sequence", STOP_SEQUENCE },
		{ "guardrail_intervened", STOP_REFUSAL },
		{ "content_filtered", STOP_REFUSAL },
		{ "model_context_window_exceeded", STOP_CONTEXT_WINDOW }
	};
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (json_is(reason, str_of(names[i].name)))
			return names[i].stop;
	return STOP_OTHER;
}

/* What models say about calls is not always so (BR-92). */
static enum stop_reason true_stop(const struct bedrock *st)
{
	if (st->tools && (st->stop == STOP_END_TURN ||
	    st->stop == STOP_SEQUENCE))
		return STOP_TOOL_USE;
	if (!st->tools && st->stop == STOP_TOOL_USE)
		return STOP_END_TURN;
	return st->stop;
}

static int finish(struct call *c, struct bedrock *st)
{
	enum stop_reason stop = true_stop(st);
	struct usage usage = { .input = c->answer.usage.input,
	    .thinking = -1, .estimated = 1 };

	if (st->have_usage)
		usage = st->usage;
	st->done = 1;
	answer_finish(&c->answer, stop, stop == STOP_SEQUENCE ?
	    st->stop_sequence : none, none, &usage);
	return CALL_DONE;
}

/* The tokens stand in the far half of the arena; until its end is set back,
 * what is kept goes into the near one and can't meet them. */
static int read_json(struct call *c, struct json *doc, struct str text)
{
	struct arena far = *c->a;
	int r;

	far.cur += arena_room(&far) / 2;
	c->a->end = far.cur;
	r = json_parse(doc, text, &far, NULL);
	return r == OK || r == E_FULL ? r :
	    bad(c, S(" sent what is not JSON"));
}

/* ---- events (section 9) ---- */

/* Another index means that the open block is over, stop or no stop. */
static void move_to(struct call *c, struct bedrock *st, struct jv event)
{
	int64_t at = json_int(json_get(event, S("contentBlockIndex")),
	    st->at);

	if (at != st->at)
		close_block(c, st);
	st->at = at;
}

static int take_start(struct call *c, struct bedrock *st, struct jv v)
{
	struct jv start = json_get(v, S("start"));
	struct jv use = json_get(start, S("toolUse"));

	move_to(c, st, v);
	if (json_type(use) == JSON_OBJECT) {
		open_tool(c, st, use);
	} else if (json_type(json_get(start, S("toolResult"))) ==
	    JSON_OBJECT || json_type(json_get(start, S("image"))) ==
	    JSON_OBJECT) {
		close_block(c, st);
		st->open = OPEN_SKIPPED;
	}
	return OK;
}

static int take_delta(struct call *c, struct bedrock *st, struct jv v)
{
	struct jv delta = json_get(v, S("delta"));
	struct jv use = json_get(delta, S("toolUse"));
	struct jstr input = json_str(json_get(use, S("input")));

	move_to(c, st, v);
	if (st->open == OPEN_SKIPPED)
		return OK;
	if (put_text(c, st, json_str(json_get(delta, S("text")))) != OK)
		return E_FULL;
	if (json_type(use) == JSON_OBJECT && st->open != OPEN_TOOL)
		return bad(c, S(" sent a tool's input without its start"));
	if (input.raw.n) {
		st->input_bytes = 1;
		put_piece(c, st, input);
	}
	return put_reasoning(c, st, json_get(delta, S("reasoningContent")));
}

static int take_stop(struct call *c, struct bedrock *st, struct jv v)
{
	struct jv reason = json_get(v, S("stopReason"));

	close_block(c, st);
	if (is_malformed(reason)) {
		FAULT(&c->fault, 500, S("the model's output was malformed"));
		return E_FAULT;
	}
	st->stop = stop_of(reason);
	st->stopped = 1;
	return take_stop_sequence(c, st,
	    json_get(v, S("additionalModelResponseFields")));
}

static int take_event(struct call *c, struct bedrock *st, struct str type,
    struct jv v)
{
	int r = OK;

	if (str_eq(type, S("metadata")))
		take_usage(st, v);
	else if (st->stopped)
		return OK;	/* only usage may still come (BR-96) */
	else if (str_eq(type, S("contentBlockDelta")))
		r = take_delta(c, st, v);
	else if (str_eq(type, S("contentBlockStart")))
		r = take_start(c, st, v);
	else if (str_eq(type, S("contentBlockStop")))
		close_block(c, st);
	else if (str_eq(type, S("messageStop")))
		r = take_stop(c, st, v);
	if (r == OK && st->stopped && st->have_usage)
		return finish(c, st);
	if (r == OK && st->stopped)
		c->wait_ms = TRAIL_MS;
	return r;
}

int bedrock_converse_event(struct call *c, struct bedrock *st,
    struct str type, struct str payload)
{
	struct arena whole = *c->a;
	struct json doc;
	int r;

	if (st->done)
		return CALL_DONE;
	r = read_json(c, &doc, payload);
	if (r == OK)
		r = take_event(c, st, type, json_root(&doc));
	c->a->end = whole.end;
	return r;
}

int bedrock_converse_end(struct call *c, struct bedrock *st)
{
	if (st->done)
		return CALL_DONE;
	if (st->stopped)
		return finish(c, st);
	return bad(c, S(" ended its stream early"));
}

/* ---- a whole answer (section 8) ---- */

/* Arguments that came as an object, as the one piece they are. */
static int put_input(struct call *c, struct bedrock *st, struct jv input)
{
	struct arena scratch = *c->a;
	struct buf b;

	if (json_type(input) != JSON_OBJECT || json_count(input) == 0)
		return OK;
	b = buf_open(&scratch);
	json_stringify(&b, json_raw(input));
	if (b.full)
		return E_FULL;
	st->input_bytes = 1;
	answer_text(&c->answer, (struct jstr){ buf_str(&b) });
	return OK;
}

static int put_element(struct call *c, struct bedrock *st, struct jv v)
{
	struct jv use = json_get(v, S("toolUse"));
	struct jv reasoning = json_get(v, S("reasoningContent"));
	struct jv text = json_get(reasoning, S("reasoningText"));
	struct json_iter it = json_iter(json_get(json_get(v,
	    S("citationsContent")), S("content")));
	int r = put_text(c, st, json_str(json_get(v, S("text"))));

	while (r == OK && !it.object && json_next(&it))
		r = put_text(c, st, json_str(json_get(it.value, S("text"))));
	if (r != OK)
		return r;
	if (json_type(text) == JSON_OBJECT) {
		/* One without text is a block too, if it is signed. */
		r = put_reasoning(c, st, text);
	} else if (json_type(reasoning) == JSON_OBJECT) {
		r = put_reasoning(c, st, reasoning);
	} else if (json_type(use) == JSON_OBJECT) {
		open_tool(c, st, use);
		if (st->open == OPEN_TOOL)
			r = put_input(c, st, json_get(use, S("input")));
	}
	close_block(c, st);
	return r;
}

static int take_answer(struct call *c, struct bedrock *st, struct jv v)
{
	struct jv message = json_get(json_get(v, S("output")), S("message"));
	struct json_iter it = json_iter(json_get(message, S("content")));
	int r;

	if (json_type(message) != JSON_OBJECT)
		return bad(c, S(" sent an answer without a message"));
	/* Before anything is said, so that it is an HTTP error. */
	if (is_malformed(json_get(v, S("stopReason"))))
		return take_stop(c, st, v);
	take_usage(st, v);
	while (!it.object && json_next(&it)) {
		r = put_element(c, st, it.value);
		if (r != OK)
			return r;
	}
	r = take_stop(c, st, v);
	return r == OK ? finish(c, st) : r;
}

int bedrock_converse_answer(struct call *c, struct bedrock *st,
    struct str json)
{
	struct arena whole = *c->a;
	struct json doc;
	int r = read_json(c, &doc, json);

	if (r == OK)
		r = take_answer(c, st, json_root(&doc));
	c->a->end = whole.end;
	return r;
}
