/* events.c -- a record's lines in the journal.
 *
 * A request's line leans on the one before it in its conversation: it names
 * that, how many messages it keeps of it, and what is new. It leans on nothing
 * when that line is about to leave the ring, belongs to an earlier segment of
 * the file, or itself leans on too many.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"
#include "recognise.h"

enum {
	SERVERS_MAX = 16,	/* MCP servers told apart */
	TIMES_MAX = 32,		/* durations the client reports at most */
	PREVIEW_MAX = 160,
	BODY_HASHED = 8192,	/* of an upstream's request */
	PROMPT_ID = 64
};

static const struct str absent = { NULL, 0 };

static struct str or_null(const struct label *l)
{
	return l->n ? label_str(l) : absent;
}

static struct str text_or_null(const char *z)
{
	return z ? str_of(z) : absent;
}

static uint32_t session_key(const struct record *r)
{
	return r->session.n ? journal_key(label_str(&r->session)) : 0;
}

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

/* Names of everything. System blocks are told apart from the attribution
 * block on; it is left out of what is compared. */
static void gather(struct facts *f, struct quick *names,
    struct arena *scratch)
{
	const struct request *q = f->q;
	size_t i;

	f->sha = arena_array(scratch, q->nmessages, sizeof *f->sha);
	for (i = 0; f->sha && i < q->nmessages; i++)
		blob_message(names, &f->sha[i], &q->messages[i],
		    *scratch);
	for (i = 0; i < q->nsystem && f->nsystem < SYSTEM_MAX; i++)
		if (!is_attribution(&q->system[i]))
			blob_block(names, &f->system[f->nsystem++],
			    &q->system[i], *scratch);
	blob_tools(names, &f->tools, q);
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

static void write_blobs(struct record *r, const struct facts *f,
    struct sha16 system[SYSTEM_MAX], struct arena scratch)
{
	struct journal *j = r->mon->journal;
	const struct request *q = f->q;
	uint32_t session = session_key(r);
	size_t i;

	for (i = 0; i < q->nsystem && i < SYSTEM_MAX; i++) {
		blob_block(&j->quick, &system[i], &q->system[i], scratch);
		blob_write_system(j, &system[i], &q->system[i], session);
	}
	if (q->ntools)
		blob_write_tools(j, &f->tools, q, tools_bytes(q), session);
	for (i = 0; f->sha && i < q->nmessages; i++)
		blob_write_message(j, &f->sha[i], &q->messages[i], session);
}

static struct str mcp_server(struct jstr name)
{
	struct str s = name.raw;

	if (!str_starts(s, S("mcp__")))
		return absent;
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

	journal_put_text(j, "gen_ai.operation.name", S("chat"));
	journal_put_text(j, "gen_ai.conversation.id", or_null(&r->session));
	journal_put_text(j, "cdx.session.by", text_or_null(r->session_by));
	journal_put_text(j, "cdx.class", str_of(r->class));
	journal_put_text(j, "cdx.class.by", str_of(r->class_by));
	journal_put_text(j, "gen_ai.agent.id", or_null(&r->agent));
	journal_put_text(j, "cdx.agent.parent", or_null(&r->parent));
	journal_put_text(j, "gen_ai.agent.name", or_null(&r->agent_type));
	journal_put_text(j, "cdx.agent.name.by",
	    text_or_null(r->agent_type_by));
	journal_put_int(j, "cdx.lane", r->lane);
	if (r->spawn_call.n) {
		journal_put_text(j, "cdx.agent.call",
		    label_str(&r->spawn_call));
		journal_put_text(j, "cdx.agent.call_request",
		    label_str(&r->spawn_request));
		journal_put_text(j, "cdx.link_by", text_or_null(r->link_by));
	}
	journal_put_text(j, "cdx.prompt.id", f->prompt_id.n ? f->prompt_id :
	    absent);
	journal_put_int(j, "cdx.turn", r->turn);
	journal_put_int(j, "cdx.step", r->step);
	journal_put_text(j, "cdx.turn.by", text_or_null(r->turn_by));
	journal_put_text(j, "cdx.prev", or_null(&r->prev));
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
	journal_put_text(j, "gen_ai.request.reasoning.level",
	    text_or_null(effort_name(q)));
	journal_put_bool(j, "gen_ai.conversation.compacted", r->compacted);
	journal_put_text(j, "cdx.client", or_null(&r->client));
	journal_put_int(j, "cdx.retry", r->retry);
}

/* ---- results of tools ------------------------------------------------- */

struct times {			/* what the client measured */
	size_t n;
	struct {
		struct str name;	/* percent-encoded */
		int64_t ms;
		int used;
	} v[TIMES_MAX];
};

/* Bash=742;Read=9 */
static void read_times(struct times *t, struct str s)
{
	struct str one, name;
	uint64_t ms;

	t->n = 0;
	while (t->n < TIMES_MAX && str_cut(&s, ';', &one)) {
		one = str_trim(one);
		if (!str_cut(&one, '=', &name) || str_u64(one, &ms) != OK ||
		    ms > INT32_MAX)
			continue;
		t->v[t->n].name = name;
		t->v[t->n].used = 0;
		t->v[t->n++].ms = (int64_t)ms;
	}
}

/* The first unused one of that name; they come in the order of results. */
static int64_t time_of(struct times *t, struct str tool)
{
	char plain[RECORD_TEXT];
	struct buf b;
	size_t i;

	for (i = 0; i < t->n; i++) {
		b = buf_on(plain, sizeof plain);
		if (t->v[i].used || http_decode(&b, t->v[i].name) != OK ||
		    !str_eq(buf_str(&b), tool))
			continue;
		t->v[i].used = 1;
		return t->v[i].ms;
	}
	return -1;
}

/* The call that a result answers, in the assistant messages before it. */
static const struct block *call_of(const struct request *q, size_t message,
    struct jstr id)
{
	const struct message *m;
	size_t k, looked;

	for (looked = 0; message-- > 0 && looked < 3;) {
		m = &q->messages[message];
		if (m->role != ROLE_ASSISTANT)
			continue;
		looked++;
		for (k = m->n; k-- > 0;)
			if (m->blocks[k].type == B_TOOL_USE &&
			    str_eq(m->blocks[k].id.raw, id.raw))
				return &m->blocks[k];
	}
	return NULL;
}

static uint64_t hash_result(const struct block *b)
{
	uint64_t h = 0;
	size_t i;

	for (i = 0; i < b->ncontent; i++)
		h = h * 0x100000001b3u ^ journal_hash(b->content[i].text.raw) ^
		    journal_hash(str_head(b->content[i].data.raw, 4096));
	return h;
}

static void put_result(struct record *r, const struct block *b,
    const struct block *call, struct times *t)
{
	struct journal *j = r->mon->journal;
	struct label name = { 0 }, id;
	size_t bytes = json_raw(json_get(b->json, S("content"))).n;
	int64_t ms;

	if (call)
		label_jset(&name, call->name);
	label_jset(&id, b->id);
	ms = name.n ? time_of(t, label_str(&name)) : -1;
	metrics_result(&r->mon->metrics, label_str(&name), b->is_error, ms);
	buf_put(&j->line, S("{\"gen_ai.tool.call.id\":"));
	journal_quote(j, &j->line, label_str(&id));
	journal_put_text(j, "gen_ai.tool.name", or_null(&name));
	if (ms >= 0) {
		journal_put_int(j, "ms", ms);
		journal_put_text(j, "by", S("client"));
	} else if (r->prev_end) {
		journal_put_int(j, "ms", r->arrived - r->prev_end);
		journal_put_text(j, "by", S("gap"));
	} else {
		journal_put_null(j, "ms");
		journal_put_null(j, "by");
	}
	journal_put_bool(j, "error", b->is_error);
	journal_put_int(j, "bytes", (int64_t)bytes);
	buf_chr(&j->line, '}');
}

/* For each new result of a tool. */
static void each_result(struct record *r, const struct facts *f,
    void (*one)(struct record *, const struct block *, const struct block *,
    struct times *))
{
	const struct request *q = f->q;
	struct times t;
	size_t i, k;

	read_times(&t, http_field(f->head,
	    S("x-claude-code-prev-tool-durations")));
	/* What stands before the last answer is history, also where we have
	 * not seen it. */
	for (i = q->nmessages; i > r->first_new &&
	    q->messages[i - 1].role != ROLE_ASSISTANT; i--)
		continue;
	for (; i < q->nmessages; i++)
		for (k = 0; k < q->messages[i].n; k++)
			if (q->messages[i].role == ROLE_USER &&
			    q->messages[i].blocks[k].type == B_TOOL_RESULT &&
			    recognise_result(r, q->messages[i].blocks[k].id))
				one(r, &q->messages[i].blocks[k], call_of(q, i,
				    q->messages[i].blocks[k].id), &t);
}

static void put_one(struct record *r, const struct block *b,
    const struct block *call, struct times *t)
{
	struct buf *line = &r->mon->journal->line;

	if (line->p[line->n - 1] != '[')
		buf_chr(line, ',');
	put_result(r, b, call, t);
}

static void tell_one(struct record *r, const struct block *b,
    const struct block *call, struct times *t)
{
	struct label name = { 0 };
	uint64_t id = journal_hash(b->id.raw);

	(void)t;
	if (call)
		label_jset(&name, call->name);
	alerts_result(r, id, label_str(&name), hash_result(b),
	    json_raw(json_get(b->json, S("content"))).n, b->is_error);
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

static void put_preview(struct journal *j, struct jstr text)
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

static void put_request(struct record *r, const struct facts *f,
    const struct sha16 *system)
{
	struct journal *j = r->mon->journal;
	struct buf *b = journal_begin(j, J_REQUEST, label_str(&r->id),
	    session_key(r));
	size_t i;

	put_identity(r, f);
	put_asked(r, f);
	journal_put_key(j, "cdx.system");
	buf_chr(b, '[');
	for (i = 0; i < f->q->nsystem && i < SYSTEM_MAX; i++) {
		if (i)
			buf_chr(b, ',');
		blob_put(b, &system[i]);
	}
	buf_chr(b, ']');
	put_tools(j, f);
	put_messages(j, r, f);
	put_marks(j, f->q);
	journal_put_int(j, "cdx.body_bytes", (int64_t)r->bytes_in);
	journal_put_key(j, "cdx.tool_results");
	buf_chr(b, '[');
	each_result(r, f, put_one);
	buf_chr(b, ']');
	put_preview(j, newest(f->q));
}

/* ---- exact bytes ------------------------------------------------------ */

void record_raw(struct record *r, enum raw_side side, int head,
    struct str bytes)
{
	struct journal *j = r->mon->journal;

	if (!j || !r->req)
		return;
	if (head)
		raw_head(j, r->slot, side, bytes);
	else
		raw_add(j, r->slot, side, bytes);
}

/* The client's head, put together again: what it said, field by field. */
static void keep_client(struct record *r, const struct facts *f)
{
	struct journal *j = r->mon->journal;
	const struct http_head *h = f->head;
	struct arena scratch = *r->arena;
	struct buf b = buf_open(&scratch);
	size_t i;

	buf_put(&b, h->method);
	buf_chr(&b, ' ');
	buf_put(&b, h->target);
	buf_put(&b, h->minor ? S(" HTTP/1.1\r\n") : S(" HTTP/1.0\r\n"));
	for (i = 0; i < h->nfields; i++) {
		buf_put(&b, h->fields[i].name);
		buf_put(&b, S(": "));
		buf_put(&b, h->fields[i].value);
		buf_put(&b, S("\r\n"));
	}
	buf_put(&b, S("\r\n"));
	raw_begin(j, r->slot, label_str(&r->id));
	if (b.full)
		return;
	raw_head(j, r->slot, RAW_CLIENT_REQUEST, buf_str(&b));
	raw_add(j, r->slot, RAW_CLIENT_REQUEST, f->body);
}

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
	struct sha16 system[SYSTEM_MAX];
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
	write_blobs(r, &f, system, scratch);
	leant = may_lean(j, r);
	put_request(r, &f, system);
	seq = journal_end(j);
	if (r->conv && r->goes_on) {
		/* In this order: both may be one. */
		r->conv->root_seq = leant ? r->leans->root_seq : seq;
		r->conv->chain = leant ? r->leans->chain + 1 : 0;
		r->conv->last_seq = seq;
	}
	recognise_remember(r, &f);
	r->leans = NULL;
	each_result(r, &f, tell_one);
	live_start(j, r->slot, label_str(&r->id), session_key(r));
	if (r->arena)
		keep_client(r, &f);
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
	size_t i;

	if (!j || !r->req)
		return;
	raw_head(j, r->slot, RAW_UPSTREAM_REQUEST, s->head);
	for (i = 0; i < s->nbody; i++)
		raw_add(j, r->slot, RAW_UPSTREAM_REQUEST, s->body[i]);
	r->provider = provider_name(s);
	target = str_from(s->head, str_chr(s->head, ' ') + 1);
	target = str_head(target, str_chr(target, ' '));
	target = str_head(target, str_chr(target, '?'));
	journal_begin(j, J_UPSTREAM, label_str(&r->id), session_key(r));
	journal_put_int(j, "attempt", r->attempts);
	journal_put_text(j, "gen_ai.provider.name", r->provider);
	journal_put_text(j, "server.address", s->host.n ? s->host : absent);
	if (s->host.n)
		journal_put_int(j, "server.port", s->port);
	else
		journal_put_null(j, "server.port");
	journal_put_text(j, "url.path", target.n ? target : absent);
	journal_put_text(j, "cdx.model.served", or_null(&r->served));
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
	journal_put_text(j, "cdx.upstream.backend", s->backend);
	journal_end(j);
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

	journal_begin(j, J_FIRST, label_str(&r->id), session_key(r));
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

/* ---- response --------------------------------------------------------- */

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
	journal_put_text(j, "cdx.usage.by", !r->have_usage ? absent :
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
	journal_put_text(j, "cdx.price", text_or_null(r->price_date));
	journal_put_text(j, "cdx.cache.cause",
	    text_or_null(cause_name((enum cause)r->cause)));
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
	journal_put_text(j, "cdx.aborted", r->outcome == OUTCOME_CANCELLED ?
	    S("client") : r->outcome == OUTCOME_CUT ? S("upstream") : absent);
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
		journal_put_text(j, "hash", (struct str){ hex, 16 });
		buf_put(b, S(",\"agent\":null}"));
	}
	buf_chr(b, ']');
}

static void put_response(struct record *r, const struct sha16 *content)
{
	struct journal *j = r->mon->journal;
	struct buf *b = journal_begin(j, J_RESPONSE, label_str(&r->id),
	    session_key(r));

	journal_put_text(j, "gen_ai.conversation.id", or_null(&r->session));
	journal_put_int(j, "http.response.status_code", r->status);
	journal_put_text(j, "error.type", r->fault.status ?
	    str_of(r->fault.type) : absent);
	journal_put_text(j, "gen_ai.response.id", or_null(&r->message));
	journal_put_text(j, "gen_ai.response.model", or_null(&r->served));
	journal_put_key(j, "gen_ai.response.finish_reasons");
	buf_chr(b, '[');
	journal_quote(j, b, finish_reason(r));
	buf_chr(b, ']');
	journal_put_text(j, "cdx.stop_reason", r->stop == STOP_NONE ? absent :
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
	journal_put_text(j, "cdx.outcome", outcome_name(r->outcome));
	journal_put_int(j, "cdx.attempts", r->attempts);
	journal_put_int(j, "cdx.bytes_out", (int64_t)r->bytes_out);
	journal_put_text(j, "cdx.error", r->fault.status ?
	    fault_text(&r->fault) : absent);
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
		put_preview(j, (struct jstr){ s });
}

/* LOG_BODIES=errors: only now is it known that the contents are wanted. */
static void write_again(struct record *r, struct arena scratch)
{
	struct facts f = { .q = r->req };
	struct sha16 system[SYSTEM_MAX];
	size_t i;

	f.sha = arena_array(&scratch, r->req->nmessages, sizeof *f.sha);
	for (i = 0; f.sha && i < r->req->nmessages; i++)
		blob_message(&r->mon->journal->quick, &f.sha[i],
		    &r->req->messages[i], scratch);
	blob_tools(&r->mon->journal->quick, &f.tools, r->req);
	write_blobs(r, &f, system, scratch);
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
		said = blob_write_answer(j, &sha, r->slot, session_key(r),
		    scratch);
	}
	if (j->failed && j->opt.bodies == LOG_BODIES_ERRORS)
		write_again(r, scratch);
	account(r);
	put_response(r, said == OK ? &sha : NULL);
	if (said == OK)
		preview_answer(r);
	journal_end(j);
	j->failed = 0;
	alerts_response(r);
	recognise_response(r);
}
