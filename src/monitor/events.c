/* events.c -- a record's lines in the journal.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

static uint32_t session_key(const struct record *r)
{
	return r->session.n ? journal_key(label_str(&r->session)) : 0;
}

void events_request(struct record *r)
{
	struct journal *j = r->mon->journal;
	struct str none = { NULL, 0 };
	struct buf *b;

	if (!j)
		return;
	b = journal_begin(j, J_REQUEST, label_str(&r->id), session_key(r));
	journal_put_text(b, "gen_ai.operation.name", S("chat"));
	journal_put_text(b, "gen_ai.conversation.id", r->session.n ?
	    label_str(&r->session) : none);
	journal_put_text(b, "cdx.class", str_of(r->class));
	journal_put_text(b, "cdx.class.by", str_of(r->class_by));
	journal_put_text(b, "gen_ai.agent.id", r->agent.n ?
	    label_str(&r->agent) : none);
	journal_put_text(b, "gen_ai.request.model", label_str(&r->asked));
	journal_put_bool(b, "gen_ai.request.stream", r->stream);
	journal_put_text(b, "cdx.client", label_str(&r->client));
	journal_put_int(b, "cdx.body_bytes", (int64_t)r->bytes_in);
	journal_end(j);
	live_start(j, r->slot, label_str(&r->id), session_key(r));
}

static void begin_block(struct record *r, const struct event *e)
{
	struct journal *j = r->mon->journal;
	struct jstr none = { { NULL, 0 } };

	switch (e->block) {
	case B_THINKING:
	case B_REDACTED_THINKING:
		live_block(j, r->slot, LIVE_THINKING, none, none);
		return;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		live_block(j, r->slot, LIVE_INPUT, e->name, e->id);
		return;
	default:
		live_block(j, r->slot, LIVE_TEXT, none, none);
	}
}

static int is_growing(const struct record *r, const struct event *e)
{
	struct label id;

	label_jset(&id, e->id);
	return r->growing.n && str_eq(label_str(&id), label_str(&r->growing));
}

/* A call that its client gets whole is shown as it grows. */
static void show_piece(struct record *r, const struct event *e)
{
	if (!is_growing(r, e))
		begin_block(r, e);
	label_jset(&r->growing, e->id);
	live_add(r->mon->journal, r->slot, e->text);
}

static void show_block(struct record *r, const struct event *e)
{
	r->shown = is_growing(r, e);
	if (!r->shown)
		begin_block(r, e);
	r->growing.n = 0;
}

void events_answer(struct record *r, const struct event *e)
{
	struct journal *j = r->mon->journal;

	if (!j)
		return;
	switch (e->type) {
	case EV_BLOCK_START:
		show_block(r, e);
		break;
	case EV_PIECE:
		show_piece(r, e);
		break;
	case EV_TEXT:
	case EV_THINKING:
	case EV_INPUT:
		if (!r->shown)
			live_add(j, r->slot, e->text);
		break;
	case EV_MESSAGE_START:
	case EV_SIGNATURE:
	case EV_BLOCK_STOP:
	case EV_MESSAGE_DELTA:
	case EV_MESSAGE_STOP:
	case EV_ERROR:
		break;
	}
}

void events_response(struct record *r)
{
	struct journal *j = r->mon->journal;
	struct str none = { NULL, 0 };
	struct buf *b;

	if (!j)
		return;
	b = journal_begin(j, J_RESPONSE, label_str(&r->id), session_key(r));
	journal_put_int(b, "http.response.status_code", r->status);
	journal_put_text(b, "error.type", r->fault.status ?
	    str_of(r->fault.type) : none);
	journal_put_text(b, "cdx.stop_reason", r->stop == STOP_NONE ? none :
	    str_of(stop_reason_name(r->stop)));
	journal_put_int(b, "gen_ai.usage.output_tokens", r->usage.output);
	journal_end(j);
}
