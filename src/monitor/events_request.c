/* events_request.c -- the line of a request, and the contents it names.
 *
 * It leans on the request before it in its conversation: it names that, how
 * many messages it keeps of it, and what is new. It leans on nothing when that
 * line is about to leave the ring, belongs to an earlier segment of the file,
 * or itself leans on too many.
 *
 * SPDX-License-Identifier: MIT */
#include "events.h"

enum {
	SERVERS_MAX = 16,	/* MCP servers told apart */
	PROMPT_ID = 64
};

/* ---- facts ------------------------------------------------------------ */

/* The client's own block at the front of the system prompt; what is in it
 * changes with each request, and says nothing to a model. */
static int is_attribution(const struct block *b)
{
	return jstr_starts(b->text, S("x-anthropic-billing-header:"));
}

static struct str prompt_of(const struct facts *f)
{
	struct str id = http_field(f->head, S("x-claude-code-prompt-id")), s;
	size_t n;

	if (id.n == 0 && f->q->nsystem && is_attribution(&f->q->system[0])) {
		s = f->q->system[0].text.raw;
		s = str_from(s, str_find(s, S("cc_prompt_id=")) + 13);
		for (n = 0; n < s.n && s.p[n] != ';' && s.p[n] != ' '; n++)
			continue;
		id = str_head(s, n);
	}
	return id.n <= PROMPT_ID ? id : S("");
}

void event_names(struct facts *f, struct quick *names, struct arena *scratch)
{
	const struct request *q = f->q;
	size_t i;

	f->sha = arena_array(scratch, q->nmessages, sizeof *f->sha);
	f->sum = arena_array(scratch, q->nmessages, sizeof *f->sum);
	if (!f->sum)
		f->sha = NULL;
	for (i = 0; f->sha && i < q->nmessages; i++)
		f->sum[i] = blob_message(names, &f->sha[i], &q->messages[i],
		    *scratch);
	for (i = 0; i < q->nsystem && i < SYSTEM_MAX; i++)
		f->block_sum[i] = blob_block(names, &f->block[i],
		    &q->system[i], *scratch);
	f->tools_sum = blob_tools(names, &f->tools, q);
}

/* System blocks are told apart from the attribution block on; it is left out of
 * what is compared. */
static void gather(struct facts *f, struct quick *names,
    struct arena *scratch)
{
	const struct request *q = f->q;
	size_t i;

	event_names(f, names, scratch);
	for (i = 0; i < q->nsystem && i < SYSTEM_MAX; i++)
		if (!is_attribution(&q->system[i]))
			f->system[f->nsystem++] = f->block[i];
	f->first_text = recognise_text(recognise_first_text(q), *scratch);
	f->prompt_id = prompt_of(f);
	f->prompt = f->prompt_id.n ? journal_hash(f->prompt_id) | 1 : 0;
}

/* ---- request ---------------------------------------------------------- */

static size_t tools_bytes(const struct request *q)
{
	size_t i, n = 0;

	for (i = 0; i < q->ntools; i++)
		n += json_raw(q->tools[i].json).n;
	return n;
}

void event_contents(struct record *r, const struct facts *f)
{
	struct journal *j = r->mon->journal;
	const struct request *q = f->q;
	uint32_t session = event_session(r);
	size_t i;

	for (i = 0; i < q->nsystem && i < SYSTEM_MAX; i++)
		blob_write_system(j, &f->block[i], &q->system[i], session);
	if (q->ntools)
		blob_write_tools(j, &f->tools, q, tools_bytes(q), session);
	for (i = 0; f->sha && i < q->nmessages; i++)
		blob_write_message(j, &f->sha[i], &q->messages[i], session);
}

static struct str mcp_server(struct jstr name)
{
	struct str s = name.raw;

	if (!str_starts(s, S("mcp__")))
		return event_absent;
	s = str_from(s, 5);
	return str_head(s, str_find(s, S("__")));
}

static void put_tools(struct journal *j, const struct facts *f)
{
	const struct request *q = f->q;
	struct str server[SERVERS_MAX], s;
	size_t bytes[SERVERS_MAX] = { 0 }, n = 0, i, k;
	struct buf *b = &j->line;

	journal_put_key(j, "cdx.tools");
	if (q->ntools == 0) {
		buf_put(b, S("null"));
		return;
	}
	for (i = 0; i < q->ntools; i++) {
		s = mcp_server(q->tools[i].name);
		for (k = 0; k < n && !str_eq(server[k], s); k++)
			continue;
		if (!s.p || k == SERVERS_MAX)
			continue;
		if (k == n)
			server[n++] = s;
		bytes[k] += json_raw(q->tools[i].json).n;
	}
	buf_put(b, S("{\"sha\":"));
	blob_put(b, &f->tools);
	journal_put_int(j, "n", (int64_t)q->ntools);
	journal_put_int(j, "bytes", (int64_t)tools_bytes(q));
	buf_put(b, S(",\"mcp\":{"));
	for (k = 0; k < n; k++) {
		buf_put(b, k ? S(",\"") : S("\""));
		buf_put(b, server[k]);
		buf_put(b, S("\":"));
		buf_u64(b, bytes[k]);
	}
	buf_put(b, S("}}"));
}

static int may_lean(const struct journal *j, const struct record *r)
{
	const struct conv *c = r->leans;

	return c && r->first_new && c->last.n && c->chain < CHAIN_MAX &&
	    c->root_seq >= j->young && c->root_seq >= j->fresh;
}

static void put_messages(struct journal *j, const struct record *r,
    const struct facts *f)
{
	struct buf *b = &j->line;
	size_t i, from = 0;

	journal_put_key(j, "cdx.messages");
	buf_chr(b, '{');
	if (may_lean(j, r)) {
		buf_put(b, S("\"base\":\""));
		buf_put(b, label_str(&r->leans->last));
		buf_put(b, S("\",\"keep\":"));
		buf_u64(b, from = r->first_new);
		buf_chr(b, ',');
	}
	buf_put(b, S("\"add\":["));
	for (i = from; f->sha && i < f->q->nmessages; i++) {
		if (i > from)
			buf_chr(b, ',');
		blob_put(b, &f->sha[i]);
	}
	buf_put(b, S("],\"n\":"));
	buf_u64(b, f->q->nmessages);
	buf_put(b, S(",\"new\":"));
	buf_u64(b, r->first_new);
	buf_chr(b, '}');
}

static void put_mark(struct buf *b, const char *where, size_t i)
{
	if (b->p[b->n - 1] != '[')
		buf_chr(b, ',');
	buf_put(b, S("[\""));
	buf_put(b, str_of(where));
	buf_put(b, S("\","));
	buf_u64(b, i);
	buf_chr(b, ']');
}

static void put_marks(struct journal *j, const struct request *q)
{
	struct buf *b = &j->line;
	size_t i, k;

	journal_put_key(j, "cdx.cache_marks");
	buf_chr(b, '[');
	for (i = 0; i < q->ntools; i++)
		if (q->tools[i].cache)
			put_mark(b, "tools", i);
	for (i = 0; i < q->nsystem; i++)
		if (q->system[i].cache)
			put_mark(b, "system", i);
	for (i = 0; i < q->nmessages; i++)
		for (k = 0; k < q->messages[i].n; k++)
			if (q->messages[i].blocks[k].cache) {
				put_mark(b, "messages", i);
				break;
			}
	buf_chr(b, ']');
}

static const char *effort_name(const struct request *q)
{
	static const char *const names[] = {
		NULL, "none", "minimal", "low", "medium", "high", "xhigh",
		"max"
	};

	return names[q->effort];
}

static void put_identity(struct record *r, const struct facts *f)
{
	struct journal *j = r->mon->journal;

	journal_put_word(j, "gen_ai.operation.name", S("chat"));
	journal_put_text(j, "gen_ai.conversation.id", event_label(&r->session));
	journal_put_word(j, "cdx.session.by", event_text(r->session_by));
	if (r->session_was.n)
		journal_put_word(j, "cdx.session.was",
		    label_str(&r->session_was));
	journal_put_word(j, "cdx.class", str_of(r->class));
	journal_put_word(j, "cdx.class.by", str_of(r->class_by));
	journal_put_text(j, "gen_ai.agent.id", event_label(&r->agent));
	journal_put_text(j, "cdx.agent.parent", event_label(&r->parent));
	journal_put_text(j, "gen_ai.agent.name", event_label(&r->agent_type));
	journal_put_word(j, "cdx.agent.name.by",
	    event_text(r->agent_type_by));
	journal_put_int(j, "cdx.lane", r->lane);
	if (r->spawn_call.n) {
		journal_put_text(j, "cdx.agent.call",
		    label_str(&r->spawn_call));
		journal_put_text(j, "cdx.agent.call_request",
		    label_str(&r->spawn_request));
		journal_put_word(j, "cdx.link_by", event_text(r->link_by));
	}
	journal_put_text(j, "cdx.prompt.id", f->prompt_id.n ? f->prompt_id :
	    event_absent);
	journal_put_int(j, "cdx.turn", r->turn);
	journal_put_int(j, "cdx.step", r->step);
	journal_put_word(j, "cdx.turn.by", event_text(r->turn_by));
	journal_put_text(j, "cdx.prev", event_label(&r->prev));
	journal_put_bool(j, "cdx.hints", r->sess && r->sess->hints);
}

static void put_asked(struct record *r, const struct facts *f)
{
	struct journal *j = r->mon->journal;
	const struct request *q = f->q;

	journal_put_text(j, "gen_ai.request.model", label_str(&r->asked));
	if (q->max_tokens >= 0)
		journal_put_int(j, "gen_ai.request.max_tokens",
		    q->max_tokens);
	else
		journal_put_null(j, "gen_ai.request.max_tokens");
	journal_put_bool(j, "gen_ai.request.stream", q->stream);
	journal_put_word(j, "gen_ai.request.reasoning.level",
	    event_text(effort_name(q)));
	journal_put_bool(j, "gen_ai.conversation.compacted", r->compacted);
	journal_put_text(j, "cdx.client", event_label(&r->client));
	journal_put_int(j, "cdx.retry", r->retry);
}

/* The first line of what is new: a person's words, or a tool's. */
static struct jstr newest(const struct request *q)
{
	const struct block *b;
	size_t i, k;

	for (i = q->nmessages; i-- > 0;) {
		if (q->messages[i].role != ROLE_USER)
			continue;
		for (k = 0; k < q->messages[i].n; k++) {
			b = &q->messages[i].blocks[k];
			if (b->type == B_TOOL_RESULT && b->ncontent &&
			    b->content[0].type == B_TEXT)
				return b->content[0].text;
			if (b->type == B_TEXT && !recognise_reminder(b->text))
				return b->text;
		}
		break;
	}
	return (struct jstr){ { NULL, 0 } };
}

static void put_request(struct record *r, const struct facts *f)
{
	struct journal *j = r->mon->journal;
	struct buf *b = journal_begin(j, J_REQUEST, label_str(&r->id),
	    event_session(r));
	size_t i;

	put_identity(r, f);
	put_asked(r, f);
	journal_put_key(j, "cdx.system");
	buf_chr(b, '[');
	for (i = 0; i < f->q->nsystem && i < SYSTEM_MAX; i++) {
		if (i)
			buf_chr(b, ',');
		blob_put(b, &f->block[i]);
	}
	buf_chr(b, ']');
	put_tools(j, f);
	put_messages(j, r, f);
	put_marks(j, f->q);
	journal_put_int(j, "cdx.body_bytes", (int64_t)r->bytes_in);
	journal_put_key(j, "cdx.tool_results");
	buf_chr(b, '[');
	event_results(r, f);
	buf_chr(b, ']');
	event_preview(j, newest(f->q));
}

/* ---- the whole ---------------------------------------------------------- */

static void is_compacted(struct record *r, const struct facts *f)
{
	r->compacted = http_field(f->head,
	    S("x-claude-code-context-compacted")).n > 0 ||
	    jstr_starts(recognise_first_text(f->q), S("This session is being "
	    "continued from a previous conversation"));
}

static void count_retry(struct record *r, const struct facts *f)
{
	uint64_t n;

	if (str_u64(http_field(f->head, S("x-stainless-retry-count")), &n) ==
	    OK && n < 1000)
		r->retry = (int)n;
}

void events_request(struct record *r, const struct record_source *from)
{
	struct journal *j = r->mon->journal;
	struct facts f = { .q = from->req, .head = from->head,
	    .peer = from->peer, .body = from->body };
	struct arena scratch = { NULL, NULL };
	uint64_t seq;
	int leant;

	if (!j || !from->req || !from->head)
		return;
	if (from->arena)
		scratch = *from->arena;
	r->req = from->req;
	r->arena = from->arena;
	r->window_1m = str_find(http_field(f.head, S("anthropic-beta")),
	    S("context-1m")) < http_field(f.head, S("anthropic-beta")).n;
	writer_segment(j, r->arrived);
	gather(&f, &j->quick, &scratch);
	count_retry(r, &f);
	is_compacted(r, &f);
	recognise_request(r, &f);
	event_contents(r, &f);
	leant = may_lean(j, r);
	put_request(r, &f);
	seq = journal_end(j);
	if (r->conv && r->goes_on) {
		/* In this order: both may be one. */
		r->conv->root_seq = leant ? r->leans->root_seq : seq;
		r->conv->chain = leant ? r->leans->chain + 1 : 0;
		r->conv->last_seq = seq;
	}
	recognise_remember(r, &f);
	r->leans = NULL;
	event_results_told(r, &f);
	live_start(j, r->slot, label_str(&r->id), event_session(r));
	if (r->arena)
		event_raw(r, &f);
}
