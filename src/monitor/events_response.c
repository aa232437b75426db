/* events_response.c -- the line of an answer's end, whatever end it was.
 *
 * SPDX-License-Identifier: MIT */
#include "events.h"

static struct str finish_reason(const struct record *r)
{
	if (r->outcome != OUTCOME_DONE)
		return S("error");
	switch (r->stop) {
	case STOP_MAX_TOKENS:
	case STOP_CONTEXT_WINDOW:
		return S("length");
	case STOP_TOOL_USE:
		return S("tool_call");
	case STOP_REFUSAL:
		return S("content_filter");
	default:
		return S("stop");
	}
}

static struct str outcome_name(enum outcome o)
{
	switch (o) {
	case OUTCOME_DONE:
		return S("done");
	case OUTCOME_ERROR:
		return S("error");
	case OUTCOME_CUT:
		return S("cut");
	case OUTCOME_CANCELLED:
	case OUTCOME_OPEN:
		break;
	}
	return S("cancelled");
}

/* Anthropic's input_tokens leaves out what was cached, OTel's doesn't. */
static void put_usage(struct record *r)
{
	static const char *const keys[] = {
		"gen_ai.usage.input_tokens",
		"gen_ai.usage.cache_read.input_tokens",
		"gen_ai.usage.cache_write.input_tokens",
		"gen_ai.usage.output_tokens",
		"gen_ai.usage.reasoning.output_tokens"
	};
	struct journal *j = r->mon->journal;
	const struct usage *u = &r->usage;
	int64_t v[COUNT(keys)];
	size_t i;

	v[0] = u->input + u->cache_read + u->cache_write;
	v[1] = u->cache_read;
	v[2] = u->cache_write;
	v[3] = u->output;
	v[4] = u->thinking;
	for (i = 0; i < COUNT(keys); i++)
		if (r->have_usage && v[i] >= 0)
			journal_put_int(j, keys[i], v[i]);
		else
			journal_put_null(j, keys[i]);
	journal_put_word(j, "cdx.usage.by", !r->have_usage ? event_absent :
	    u->estimated ? S("estimate") : S("upstream"));
}

static void put_cost(struct record *r)
{
	struct journal *j = r->mon->journal;

	journal_put_key(j, "cdx.cost_usd");
	if (r->cost >= 0)
		buf_fixed(&j->line, r->cost / 1000, 9);
	else
		buf_put(&j->line, S("null"));
	journal_put_text(j, "cdx.price", event_text(r->price_date));
	journal_put_word(j, "cdx.cache.cause",
	    event_text(cause_name((enum cause)r->cause)));
	if (r->cause == CAUSE_MESSAGES)
		journal_put_int(j, "cdx.cache.index",
		    (int64_t)r->cause_index);
	if (r->cause != CAUSE_NONE && r->cached_before > 0)
		journal_put_int(j, "cdx.cache.expected", r->cached_before);
	if (r->miss_cost > 0) {
		journal_put_key(j, "cdx.cache.cost_usd");
		buf_fixed(&j->line, r->miss_cost / 1000, 9);
	}
}

static void put_at(struct record *r, const char *key, int64_t at)
{
	struct journal *j = r->mon->journal;

	if (at)
		journal_put_seconds(j, key, at - r->accepted);
	else
		journal_put_null(j, key);
}

static void put_times(struct record *r)
{
	struct journal *j = r->mon->journal;

	buf_put(&j->line, S(",\"cdx.t\":{\"accept\":0"));
	put_at(r, "body", r->arrived);
	put_at(r, "connect", r->connected);
	put_at(r, "sent", r->sent);
	put_at(r, "head", r->first_byte);
	put_at(r, "first", r->first_token);
	put_at(r, "last", r->last);
	put_at(r, "done", r->ended);
	buf_chr(&j->line, '}');
	journal_put_int(j, "cdx.chunks", r->chunks);
	journal_put_seconds(j, "cdx.stall_max", r->stall);
	journal_put_word(j, "cdx.aborted", r->outcome == OUTCOME_CANCELLED ?
	    S("client") : r->outcome == OUTCOME_CUT ? S("upstream") : event_absent);
}

static void put_calls(struct record *r)
{
	struct journal *j = r->mon->journal;
	const struct record_call *c = r->mon->called;
	struct buf *b = &j->line;
	char hex[16];
	size_t i, k;

	journal_put_key(j, "cdx.tool_calls");
	buf_chr(b, '[');
	for (i = 0; i < r->ncalled; i++) {
		buf_put(b, i ? S(",{\"gen_ai.tool.call.id\":") :
		    S("{\"gen_ai.tool.call.id\":"));
		journal_quote(j, b, label_str(&c[i].call));
		journal_put_text(j, "gen_ai.tool.name",
		    label_str(&c[i].name));
		journal_put_int(j, "bytes", (int64_t)c[i].bytes);
		for (k = 0; k < 16; k++)
			hex[k] = "0123456789abcdef"[c[i].hash >>
			    (60 - 4 * k) & 15];
		journal_put_word(j, "hash", (struct str){ hex, 16 });
		journal_put_text(j, "agent", event_label(&c[i].agent));
		buf_chr(b, '}');
	}
	buf_chr(b, ']');
}

static void put_response(struct record *r, const struct sha16 *content)
{
	struct journal *j = r->mon->journal;
	struct buf *b = journal_begin(j, J_RESPONSE, label_str(&r->id),
	    event_session(r));

	journal_put_text(j, "gen_ai.conversation.id", event_label(&r->session));
	journal_put_int(j, "http.response.status_code", r->status);
	journal_put_text(j, "error.type", r->fault.status ?
	    str_of(r->fault.type) : event_absent);
	journal_put_text(j, "gen_ai.response.id", event_label(&r->message));
	journal_put_text(j, "gen_ai.response.model", event_label(&r->served));
	journal_put_key(j, "gen_ai.response.finish_reasons");
	buf_chr(b, '[');
	journal_quote(j, b, finish_reason(r));
	buf_chr(b, ']');
	journal_put_word(j, "cdx.stop_reason", r->stop == STOP_NONE ? event_absent :
	    str_of(stop_reason_name(r->stop)));
	journal_put_key(j, "cdx.content");
	buf_chr(b, '[');
	if (content)
		blob_put(b, content);
	buf_chr(b, ']');
	put_calls(r);
	put_usage(r);
	put_cost(r);
	put_times(r);
	journal_put_word(j, "cdx.outcome", outcome_name(r->outcome));
	journal_put_int(j, "cdx.attempts", r->attempts);
	journal_put_int(j, "cdx.bytes_out", (int64_t)r->bytes_out);
	journal_put_text(j, "cdx.error", r->fault.status ?
	    fault_text(&r->fault) : event_absent);
}

/* The beginning of the answer's first text. */
static void preview_answer(struct record *r)
{
	struct journal *j = r->mon->journal;
	const struct live *l = &j->live[r->slot];
	struct str s = { NULL, 0 };
	size_t i, to;

	for (i = 0; i < l->nblocks && s.n == 0; i++) {
		if (l->block[i].kind != LIVE_TEXT)
			continue;
		to = i + 1 < l->nblocks ? l->block[i + 1].from : l->n;
		s.p = j->live_bytes + r->slot * j->live_size +
		    l->block[i].from;
		s.n = to - l->block[i].from;
	}
	if (s.n)
		event_preview(j, (struct jstr){ s });
}

/* LOG_BODIES=errors: only now is it known that the contents are wanted. */
static void write_again(struct record *r, struct arena scratch)
{
	struct facts f = { .q = r->req };

	event_names(&f, &r->mon->journal->quick, &scratch);
	event_contents(r, &f);
}

void events_response(struct record *r)
{
	struct journal *j = r->mon->journal;
	struct arena scratch = { NULL, NULL };
	struct sha16 sha;
	int said = E_NONE;

	if (!j || !r->req)
		return;
	if (r->arena)
		scratch = *r->arena;
	j->failed = r->fault.status != 0 || r->outcome == OUTCOME_CUT;
	if (r->slot < j->opt.slots) {
		live_end(j, r->slot);
		account_calls(r, scratch);
		said = blob_write_answer(j, &sha, r->slot, event_session(r),
		    scratch);
	}
	if (j->failed && j->opt.bodies == LOG_BODIES_ERRORS)
		write_again(r, scratch);
	account(r);
	put_response(r, said == OK ? &sha : NULL);
	if (said == OK)
		preview_answer(r);
	journal_end(j);
	writer_full(j, label_str(&r->id));
	j->failed = 0;
	alerts_response(r);
	recognise_response(r);
}
