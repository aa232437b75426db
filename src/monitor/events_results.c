/* events_results.c -- what tools gave back, and how long they took.
 *
 * The client's own measure comes in a header, by name and order. Without it
 * only the gap between two requests is known, which also holds a person's
 * hesitation: "by" says which it is.
 *
 * SPDX-License-Identifier: MIT */
#include "events.h"

enum { TIMES_MAX = 32 };	/* durations the client reports at most */

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
	journal_put_text(j, "gen_ai.tool.name", event_label(&name));
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

void event_results(struct record *r, const struct facts *f)
{
	each_result(r, f, put_one);
}

void event_results_told(struct record *r, const struct facts *f)
{
	each_result(r, f, tell_one);
}
