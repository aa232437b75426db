/* events.c -- a record's lines in the journal: attempts upstream, and the answer
 * as it comes.
 *
 * SPDX-License-Identifier: MIT */
#include "events.h"

enum {
	PREVIEW_MAX = 160,
	BODY_HASHED = 8192	/* of an upstream's request */
};

const struct str event_absent = { NULL, 0 };

struct str event_label(const struct label *l)
{
	return l->n ? label_str(l) : event_absent;
}

struct str event_text(const char *z)
{
	return z ? str_of(z) : event_absent;
}

uint32_t event_session(const struct record *r)
{
	return r->session.n ? journal_key(label_str(&r->session)) : 0;
}

void event_preview(struct journal *j, struct jstr text)
{
	char plain[PREVIEW_MAX];
	struct buf b = buf_on(plain, sizeof plain);
	struct str s;

	text.raw = str_head(text.raw, sizeof plain);
	text.raw.n = json_whole(text.raw);
	json_unescape(&b, text);
	s = str_trim(buf_str(&b));
	s.n = utf8_valid(s);
	journal_private(j);
	journal_put_text(j, "cdx.preview", s);
}

/* ---- upstream --------------------------------------------------------- */

static void put_notes(struct journal *j, const struct notes *ns)
{
	struct buf *b = &j->line;
	size_t i;

	journal_put_key(j, "cdx.notes");
	buf_chr(b, '[');
	for (i = 0; ns && i < ns->n; i++) {
		buf_put(b, i ? S(",[") : S("["));
		journal_quote(j, b, str_head(ns->v[i].field, 128));
		buf_put(b, S(",\""));
		buf_put(b, str_of(note_kind_name(ns->v[i].kind)));
		buf_put(b, S("\","));
		if (ns->v[i].why.n)
			journal_quote(j, b, str_head(ns->v[i].why, 256));
		else
			buf_u64(b, ns->v[i].count);
		if (ns->v[i].why.n && ns->v[i].count > 1) {
			buf_chr(b, ',');
			buf_u64(b, ns->v[i].count);
		}
		buf_chr(b, ']');
	}
	buf_chr(b, ']');
	if (ns && ns->lost)
		journal_put_int(j, "cdx.notes.lost", ns->lost);
}

/* OpenTelemetry's names, by the host; else by the dialect spoken. */
static struct str provider_name(const struct record_sent *s)
{
	static const struct {
		const char *host, *name;
	} hosts[] = {
		{ ".openai.azure.com", "azure.ai.openai" },
		{ "api.openai.com", "openai" },
		{ "generativelanguage.googleapis.com", "gcp.gemini" },
		{ "api.deepseek.com", "deepseek" },
		{ "api.groq.com", "groq" }, { "api.mistral.ai", "mistral_ai" },
		{ "api.moonshot.ai", "moonshot_ai" },
		{ "api.moonshot.cn", "moonshot_ai" }, { "api.x.ai", "x_ai" },
		{ "openrouter.ai", "openrouter" }
	};
	size_t i;

	for (i = 0; i < COUNT(hosts); i++)
		if (str_ends(s->host, str_of(hosts[i].host)))
			return str_of(hosts[i].name);
	if (str_starts(s->backend, S("openai")))
		return S("openai");
	return str_eq(s->backend, S("bedrock")) ? S("aws.bedrock") :
	    s->backend;
}

void record_upstream(struct record *r, const struct record_sent *s)
{
	struct journal *j = r->mon->journal;
	struct sha16 sha;
	struct str target;

	if (!j || !r->req)
		return;
	monitor_enter(r->mon);
	raw_head(j, r->slot, RAW_UPSTREAM_REQUEST, s->head);
	raw_made(j, r->slot, RAW_UPSTREAM_REQUEST, RAW_CLIENT_REQUEST, s->body,
	    s->nbody);
	r->provider = provider_name(s);
	target = str_from(s->head, str_chr(s->head, ' ') + 1);
	target = str_head(target, str_chr(target, ' '));
	target = str_head(target, str_chr(target, '?'));
	journal_begin(j, J_UPSTREAM, label_str(&r->id), event_session(r));
	journal_put_int(j, "attempt", r->attempts);
	journal_put_word(j, "gen_ai.provider.name", r->provider);
	journal_put_word(j, "url.scheme", !s->host.n ? event_absent :
	    s->tls ? S("https") : S("http"));
	journal_put_text(j, "server.address", s->host.n ? s->host : event_absent);
	if (s->host.n)
		journal_put_int(j, "server.port", s->port);
	else
		journal_put_null(j, "server.port");
	journal_put_text(j, "url.path", target.n ? target : event_absent);
	journal_put_text(j, "cdx.model.served", event_label(&r->served));
	/* A large body costs more to hash than to send. */
	if (s->nbody && s->bytes <= BODY_HASHED) {
		blob_bytes(&j->quick, &sha, s->body, s->nbody);
		journal_put_key(j, "cdx.body_sha");
		blob_put(&j->line, &sha);
	} else {
		journal_put_null(j, "cdx.body_sha");
	}
	journal_put_int(j, "cdx.body_bytes", (int64_t)s->bytes);
	put_notes(j, r->notes);
	journal_put_word(j, "cdx.upstream.backend", s->backend);
	journal_end(j);
	monitor_leave(r->mon);
}

/* ---- answer ----------------------------------------------------------- */

static void begin_block(struct record *r, const struct event *e)
{
	struct journal *j = r->mon->journal;
	struct jstr no_name = { { NULL, 0 } };

	switch (e->block) {
	case B_THINKING:
	case B_REDACTED_THINKING:
		live_block(j, r->slot, LIVE_THINKING, no_name, no_name);
		return;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		live_block(j, r->slot, LIVE_INPUT, e->name, e->id);
		alerts_call(r, e->name);
		return;
	default:
		live_block(j, r->slot, LIVE_TEXT, no_name, no_name);
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

static void put_first(struct record *r, int64_t now)
{
	struct journal *j = r->mon->journal;

	journal_begin(j, J_FIRST, label_str(&r->id), event_session(r));
	journal_put_seconds(j, "gen_ai.response.time_to_first_chunk",
	    now - r->arrived);
	journal_end(j);
}

void events_answer(struct record *r, const struct event *e, int64_t now)
{
	struct journal *j = r->mon->journal;

	if (!j || !r->req)
		return;
	if (e->type != EV_MESSAGE_START && e->type != EV_ERROR) {
		if (r->last == 0)
			put_first(r, now);
		else if (now - r->last > r->stall)
			r->stall = now - r->last;
		r->last = now;
		r->stalled = 0;
	}
	switch (e->type) {
	case EV_MESSAGE_START:
		label_jset(&r->message, e->id);
		break;
	case EV_BLOCK_START:
		show_block(r, e);
		break;
	case EV_PIECE:
		r->chunks++;
		show_piece(r, e);
		break;
	case EV_TEXT:
	case EV_THINKING:
	case EV_INPUT:
		r->chunks++;
		if (!r->shown)
			live_add(j, r->slot, e->text);
		break;
	case EV_SIGNATURE:
		live_sign(j, r->slot, e->text);
		break;
	case EV_BLOCK_STOP:
		live_end(j, r->slot);
		break;
	case EV_MESSAGE_DELTA:
	case EV_MESSAGE_STOP:
	case EV_ERROR:
		break;
	}
}
