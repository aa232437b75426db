/* event.c -- events as a client reads them: Anthropic's event stream, or the
 * one Message of a client that asked for no stream.
 *
 * Every key the newest API knows is written, as null where we have nothing:
 * older clients ignore unknown keys, newer ones count on them (AN-8).
 * Strings go through json_put, so half a surrogate pair from an upstream
 * never leaves.
 *
 * The fold writes the Message as the events come and keeps nothing but
 * offsets. Only a tool's input is looked at again, at the end of its block,
 * for it must become an object whatever the upstream sent (AN-16).
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

const char *stop_reason_name(enum stop_reason r)
{
	switch (r) {
	case STOP_NONE:
		return "";
	case STOP_END_TURN:
		return "end_turn";
	case STOP_MAX_TOKENS:
		return "max_tokens";
	case STOP_SEQUENCE:
		return "stop_sequence";
	case STOP_TOOL_USE:
		return "tool_use";
	case STOP_PAUSE_TURN:
		return "pause_turn";
	case STOP_REFUSAL:
		return "refusal";
	case STOP_CONTEXT_WINDOW:
		return "model_context_window_exceeded";
	case STOP_OTHER:
		return "other";
	}
	return "";
}

static void put_string(struct buf *b, struct jstr s)
{
	buf_chr(b, '"');
	json_put(b, s);
	buf_chr(b, '"');
}

static void put_string_or_null(struct buf *b, struct jstr s)
{
	if (s.raw.p)
		put_string(b, s);
	else
		buf_put(b, S("null"));
}

/* A count is never negative and never null (AN-15). */
static void put_count(struct buf *b, struct str name, int64_t v)
{
	buf_put(b, name);
	buf_int(b, v > 0 ? v : 0);
}

static void put_usage_head(struct buf *b, const struct usage *u)
{
	put_count(b, S("\"usage\":{\"input_tokens\":"), u->input);
	put_count(b, S(",\"output_tokens\":"), u->output);
	put_count(b, S(",\"cache_creation_input_tokens\":"), u->cache_write);
	put_count(b, S(",\"cache_read_input_tokens\":"), u->cache_read);
}

static void put_usage_details(struct buf *b, const struct usage *u)
{
	buf_put(b, S(",\"output_tokens_details\":"));
	if (u->thinking >= 0) {
		put_count(b, S("{\"thinking_tokens\":"), u->thinking);
		buf_chr(b, '}');
	} else {
		buf_put(b, S("null"));
	}
	buf_put(b, S(",\"server_tool_use\":null"));
}

static void put_usage_whole(struct buf *b, const struct usage *u)
{
	put_usage_head(b, u);
	put_count(b, S(",\"cache_creation\":{\"ephemeral_5m_input_tokens\":"),
	    u->cache_write - u->cache_write_1h);
	put_count(b, S(",\"ephemeral_1h_input_tokens\":"), u->cache_write_1h);
	buf_chr(b, '}');
	put_usage_details(b, u);
	buf_put(b, S(",\"service_tier\":\""));
	buf_put(b, u->priority ? S("priority") : S("standard"));
	buf_put(b, S("\",\"inference_geo\":null,\"speed\":null}"));
}

static void put_message_head(struct buf *b, const struct event *e)
{
	buf_put(b, S("{\"id\":"));
	put_string(b, e->id);
	buf_put(b, S(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"));
	put_string(b, e->model);
	buf_put(b, S(",\"content\":["));
}

/* stop_reason and what goes with it, without braces. A reason that has no
 * name in the protocol is an ordinary end. */
static void put_stop(struct buf *b, const struct event *e)
{
	enum stop_reason r = e->stop == STOP_NONE || e->stop == STOP_OTHER ?
	    STOP_END_TURN : e->stop;

	buf_put(b, S("\"stop_reason\":\""));
	buf_put(b, str_of(stop_reason_name(r)));
	buf_put(b, S("\",\"stop_sequence\":"));
	put_string_or_null(b, e->stop_sequence);
	buf_put(b, S(",\"stop_details\":"));
	if (r == STOP_REFUSAL) {
		buf_put(b, S("{\"type\":\"refusal\",\"category\":null,"
		    "\"explanation\":"));
		put_string_or_null(b, e->explanation);
		buf_chr(b, '}');
	} else {
		buf_put(b, S("null"));
	}
	buf_put(b, S(",\"container\":null"));
}

/* Up to where the block's deltas go: type and, for a tool, its names. */
static void put_block_head(struct buf *b, const struct event *e)
{
	switch (e->block) {
	case B_THINKING:
		buf_put(b, S("{\"type\":\"thinking\",\"thinking\":\""));
		return;
	case B_REDACTED_THINKING:
		buf_put(b, S("{\"type\":\"redacted_thinking\",\"data\":"));
		put_string(b, e->text);
		return;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		buf_put(b, e->block == B_TOOL_USE ?
		    S("{\"type\":\"tool_use\",\"id\":") :
		    S("{\"type\":\"server_tool_use\",\"id\":"));
		put_string(b, e->id);
		buf_put(b, S(",\"name\":"));
		put_string(b, e->name);
		if (e->toolset.raw.n) {
			buf_put(b, S(",\"toolset_name\":"));
			put_string(b, e->toolset);
		}
		buf_put(b, S(",\"caller\":{\"type\":\"direct\"},\"input\":"));
		return;
	default:
		/* Kinds that no translating backend makes. */
		buf_put(b, S("{\"type\":\"text\",\"text\":\""));
		return;
	}
}

/* ---- the stream ---- */

static void write_message_start(struct buf *b, const struct event *e, int edits)
{
	buf_put(b, S("event: message_start\n"
	    "data: {\"type\":\"message_start\",\"message\":"));
	put_message_head(b, e);
	buf_put(b, S("],\"stop_reason\":null,\"stop_sequence\":null,"
	    "\"stop_details\":null,\"container\":null,\"diagnostics\":null,"));
	if (edits)
		buf_put(b, S("\"context_management\":null,"));
	put_usage_whole(b, &e->usage);
	buf_put(b, S("}}\n\n"));
}

static void write_block_start(struct buf *b, const struct event *e)
{
	buf_put(b, S("event: content_block_start\n"
	    "data: {\"type\":\"content_block_start\",\"index\":"));
	buf_int(b, e->index);
	buf_put(b, S(",\"content_block\":"));
	put_block_head(b, e);
	switch (e->block) {
	case B_THINKING:
		buf_put(b, S("\",\"signature\":\"\"}}\n\n"));
		return;
	case B_REDACTED_THINKING:
		buf_put(b, S("}}\n\n"));
		return;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		buf_put(b, S("{}}}\n\n"));
		return;
	default:
		buf_put(b, S("\",\"citations\":null}}\n\n"));
		return;
	}
}

static void write_delta(struct buf *b, const struct event *e, struct str kind)
{
	buf_put(b, S("event: content_block_delta\n"
	    "data: {\"type\":\"content_block_delta\",\"index\":"));
	buf_int(b, e->index);
	buf_put(b, kind);
	put_string(b, e->text);
	buf_put(b, S("}}\n\n"));
}

static void write_message_delta(struct buf *b, const struct event *e, int edits)
{
	buf_put(b, S("event: message_delta\n"
	    "data: {\"type\":\"message_delta\",\"delta\":{"));
	put_stop(b, e);
	buf_put(b, S("},"));
	if (edits)
		buf_put(b, S("\"context_management\":{\"applied_edits\":[]},"));
	put_usage_head(b, &e->usage);
	put_usage_details(b, &e->usage);
	buf_put(b, S("}}\n\n"));
}

void event_write(struct buf *b, const struct event *e, struct str request_id,
    int edits)
{
	switch (e->type) {
	case EV_MESSAGE_START:
		write_message_start(b, e, edits);
		return;
	case EV_BLOCK_START:
		write_block_start(b, e);
		return;
	case EV_TEXT:
		write_delta(b, e,
		    S(",\"delta\":{\"type\":\"text_delta\",\"text\":"));
		return;
	case EV_THINKING:
		write_delta(b, e,
		    S(",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":"));
		return;
	case EV_SIGNATURE:
		write_delta(b, e, S(",\"delta\":{\"type\":\"signature_delta\","
		    "\"signature\":"));
		return;
	case EV_INPUT:
		write_delta(b, e, S(",\"delta\":{\"type\":\"input_json_delta\","
		    "\"partial_json\":"));
		return;
	case EV_BLOCK_STOP:
		buf_put(b, S("event: content_block_stop\n"
		    "data: {\"type\":\"content_block_stop\",\"index\":"));
		buf_int(b, e->index);
		buf_put(b, S("}\n\n"));
		return;
	case EV_MESSAGE_DELTA:
		write_message_delta(b, e, edits);
		return;
	case EV_MESSAGE_STOP:
		buf_put(b, S("event: message_stop\n"
		    "data: {\"type\":\"message_stop\"}\n\n"));
		return;
	case EV_ERROR:
		buf_put(b, S("event: error\ndata: "));
		fault_write(b, e->fault, request_id);
		buf_put(b, S("\n\n"));
		return;
	case EV_PIECE:
		return;
	}
}

void event_write_ping(struct buf *b)
{
	buf_put(b, S("event: ping\ndata: {\"type\":\"ping\"}\n\n"));
}

/* ---- the fold ---- */

void fold_init(struct fold *f, struct buf *b, int edits)
{
	*f = (struct fold){ .b = b, .edits = edits };
}

/* What was written behind offset to takes the place of what was there. */
static void put_back(struct buf *b, size_t to, size_t from)
{
	if (b->full)
		return;
	memmove(b->p + to, b->p + from, b->n - from);
	b->n = to + (b->n - from);
}

static struct str written(const struct buf *b, size_t from)
{
	return (struct str){ b->p + from, b->n - from };
}

/* The pieces stand in the buffer, still escaped once more than the object
 * they make. What makes no object is kept inside one, for the client to see
 * (OA-105). */
static void fold_input(struct buf *b, size_t at)
{
	size_t raw = b->n, end;
	struct str text;

	json_unescape(b, (struct jstr){ written(b, at) });
	if (b->full)
		return;
	text = str_trim(written(b, raw));
	end = b->n;
	if (text.n == 0) {
		buf_put(b, S("{}"));
	} else if (json_check(text, NULL, NULL) != OK) {
		buf_put(b, S("{\"_raw\":"));
		json_quote(b, text);
		buf_chr(b, '}');
	} else if (text.p[0] != '{') {
		buf_put(b, S("{\"value\":"));
		json_put(b, (struct jstr){ text });
		buf_chr(b, '}');
	} else {
		json_put(b, (struct jstr){ text });
	}
	put_back(b, at, end);
}

static void fold_stop(struct fold *f)
{
	switch (f->block) {
	case B_THINKING:
		if (!f->signed_at)
			buf_put(f->b, S("\",\"signature\":\""));
		buf_put(f->b, S("\"}"));
		return;
	case B_REDACTED_THINKING:
		buf_chr(f->b, '}');
		return;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		fold_input(f->b, f->input_at);
		buf_chr(f->b, '}');
		return;
	default:
		buf_put(f->b, S("\",\"citations\":null}"));
		return;
	}
}

static void fold_signature(struct fold *f, struct jstr s)
{
	/* A later one replaces the first. */
	if (f->signed_at && !f->b->full)
		f->b->n = f->signed_at;
	f->signed_at = f->b->n;
	buf_put(f->b, S("\",\"signature\":\""));
	json_put(f->b, s);
}

static void fold_end(struct fold *f, const struct event *e)
{
	buf_put(f->b, S("],"));
	put_stop(f->b, e);
	buf_put(f->b, S(",\"diagnostics\":null,"));
	if (f->edits)
		buf_put(f->b, S("\"context_management\":"
		    "{\"applied_edits\":[]},"));
	put_usage_whole(f->b, &e->usage);
	buf_chr(f->b, '}');
}

void fold_event(struct fold *f, const struct event *e)
{
	switch (e->type) {
	case EV_MESSAGE_START:
		put_message_head(f->b, e);
		return;
	case EV_BLOCK_START:
		if (f->any++)
			buf_chr(f->b, ',');
		put_block_head(f->b, e);
		f->block = e->block;
		f->input_at = f->b->n;
		f->signed_at = 0;
		return;
	case EV_TEXT:
		json_put(f->b, e->text);
		return;
	case EV_THINKING:
		/* The signature is the last thing of its block. */
		if (!f->signed_at)
			json_put(f->b, e->text);
		return;
	case EV_SIGNATURE:
		fold_signature(f, e->text);
		return;
	case EV_INPUT:
		buf_put(f->b, e->text.raw);
		return;
	case EV_BLOCK_STOP:
		fold_stop(f);
		return;
	case EV_MESSAGE_DELTA:
		fold_end(f, e);
		return;
	case EV_MESSAGE_STOP:
	case EV_ERROR:
	case EV_PIECE:
		return;
	}
}
