/* page_steps.c -- what the page and scripts ask of the journal: the newest lines,
 * the sessions, one session, one request with its blobs, a search.
 *
 * All are JSON, and all are made of the journal's own lines, so that whoever
 * reads one reads the others. Each walks the ring a bounded way at a time.
 *
 * SPDX-License-Identifier: MIT */
#include "pages.h"

enum {
	SESSIONS_MAX = 256,	/* told of; the ones that rested longest are not */
	HITS_MAX = 200,
	SEARCH_MS = 2000,	/* from its first look to its last */
	STAMP = 24,		/* "2026-11-25T13:08:12.123Z" */
	FIND_COST = LOOK_MAX / 4,	/* of a walk over the whole index */
	BLOBS_MAX = CHAIN_MAX
};

enum { BEFORE, WITHIN, AFTER };

/* ---- lines ------------------------------------------------------------ */

static int put_lines(struct page *pg, struct buf *b, struct str end)
{
	struct journal_line l;
	int r;

	if (pg->state == AFTER)
		return E_NONE;
	r = page_line(pg, 0, &l);
	if (r == OK) {
		page_comma(pg, b);
		buf_put(b, l.text);
	} else if (r == E_NONE) {
		pg->state = AFTER;
		buf_put(b, end);
		r = OK;
	}
	return r;
}

int page_next_data(struct page *pg, struct buf *b)
{
	if (pg->state != BEFORE)
		return put_lines(pg, b, S("]\n"));
	pg->state = WITHIN;
	buf_chr(b, '[');
	return OK;
}

int page_next_session(struct page *pg, struct buf *b)
{
	if (pg->state != BEFORE)
		return put_lines(pg, b, S("]}\n"));
	pg->state = WITHIN;
	buf_put(b, S("{\"session\":"));
	json_quote(b, pg->name);
	buf_put(b, S(",\"next\":"));
	buf_u64(b, pg->end);
	buf_put(b, S(",\"lines\":["));
	return OK;
}

/* ---- sessions --------------------------------------------------------- */

struct tally {
	uint32_t key;
	uint64_t seq;		/* of its last line */
	struct label id, name, by;
	char started[STAMP], last[STAMP];
	uint64_t steps, open, errors, unpriced;
	int64_t input, output, read, written, nano_usd;
};

struct sessions {
	size_t n, lost;
	struct tally v[SESSIONS_MAX];
};

static struct tally *tally(struct sessions *s, uint32_t key, int begin)
{
	struct tally *t, *old = &s->v[0];
	size_t i;

	for (i = 0; i < s->n; i++) {
		t = &s->v[i];
		if (t->key == key)
			return t;
		if (t->seq < old->seq)
			old = t;
	}
	if (!begin)
		return NULL;
	if (s->n < SESSIONS_MAX)
		old = &s->v[s->n++];
	else
		s->lost++;
	memset(old, 0, sizeof *old);
	old->key = key;
	return old;
}

static void stamp(char to[STAMP], struct str ts)
{
	if (ts.n == STAMP)
		memcpy(to, ts.p, STAMP);
}

static void count_request(struct tally *t, struct jv v, struct arena *work)
{
	struct str class = page_text(v, "cdx.class", work);
	struct str ts = page_text(v, "ts", work);

	if (t->id.n == 0) {
		label_set(&t->id, page_text(v, "gen_ai.conversation.id",
		    work));
		label_set(&t->by, page_text(v, "cdx.session.by", work));
		stamp(t->started, ts);
	}
	if (str_eq(class, S("main")) && t->name.n == 0)
		label_set(&t->name, page_text(v, "cdx.preview", work));
	if (!str_eq(class, S("count")) && !str_eq(class, S("probe")))
		t->steps++;
	t->open++;
	stamp(t->last, ts);
}

static void count_response(struct tally *t, struct jv v, struct arena *work)
{
	struct jv cost = json_get(v, S("cdx.cost_usd"));

	t->open -= t->open > 0;
	stamp(t->last, page_text(v, "ts", work));
	t->errors += json_type(json_get(v, S("error.type"))) == JSON_STRING;
	t->input += json_int(json_get(v, S("gen_ai.usage.input_tokens")), 0);
	t->output += json_int(json_get(v, S("gen_ai.usage.output_tokens")), 0);
	t->read += json_int(json_get(v,
	    S("gen_ai.usage.cache_read.input_tokens")), 0);
	t->written += json_int(json_get(v,
	    S("gen_ai.usage.cache_write.input_tokens")), 0);
	if (json_type(cost) == JSON_NUMBER)
		t->nano_usd += page_nano(cost);
	else
		t->unpriced++;
}

static void count_line(struct page *pg, const struct journal_line *l)
{
	struct arena work = pg->work;
	struct tally *t;
	struct json doc;

	if ((l->kind != J_REQUEST && l->kind != J_RESPONSE) || !l->session)
		return;
	t = tally(pg->own, l->session, l->kind == J_REQUEST);
	if (!t || json_parse(&doc, l->text, &work, NULL) != OK)
		return;
	t->seq = l->seq;
	if (l->kind == J_REQUEST)
		count_request(t, json_root(&doc), &work);
	else
		count_response(t, json_root(&doc), &work);
}

static void put_number(struct buf *b, const char *key, int64_t v)
{
	buf_put(b, S(",\""));
	buf_put(b, str_of(key));
	buf_put(b, S("\":"));
	buf_int(b, v);
}

static void put_stamp(struct buf *b, const char *key, const char ts[STAMP])
{
	buf_put(b, S(",\""));
	buf_put(b, str_of(key));
	buf_put(b, S("\":"));
	if (ts[0])
		json_quote(b, (struct str){ ts, STAMP });
	else
		buf_put(b, S("null"));
}

static void put_tally(struct buf *b, const struct tally *t)
{
	buf_put(b, S("{\"id\":"));
	json_quote(b, label_str(&t->id));
	buf_put(b, S(",\"by\":"));
	json_quote(b, label_str(&t->by));
	buf_put(b, S(",\"name\":"));
	json_quote(b, label_str(&t->name));
	put_stamp(b, "started", t->started);
	put_stamp(b, "last", t->last);
	put_number(b, "steps", (int64_t)t->steps);
	put_number(b, "in_flight", (int64_t)t->open);
	put_number(b, "errors", (int64_t)t->errors);
	put_number(b, "input_tokens", t->input);
	put_number(b, "output_tokens", t->output);
	put_number(b, "cache_read_tokens", t->read);
	put_number(b, "cache_write_tokens", t->written);
	/* Unknown is null, never 0; "unpriced" says how many aren't in it. */
	buf_put(b, S(",\"cost_usd\":"));
	if (t->nano_usd || !t->unpriced)
		buf_fixed(b, t->nano_usd, 9);
	else
		buf_put(b, S("null"));
	put_number(b, "unpriced", (int64_t)t->unpriced);
	buf_chr(b, '}');
}

/* The one with the newest line of those not told yet. */
static struct tally *newest(struct sessions *s)
{
	struct tally *best = NULL;
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i].seq && (!best || s->v[i].seq > best->seq))
			best = &s->v[i];
	return best;
}

int page_next_sessions(struct page *pg, struct buf *b)
{
	struct sessions *s = pg->own;
	struct journal_line l;
	struct tally *t;
	int r;

	if (pg->state == AFTER)
		return E_NONE;
	if (pg->state == BEFORE) {
		while ((r = page_line(pg, 0, &l)) == OK)
			count_line(pg, &l);
		if (r == E_MORE)
			return r;
		pg->state = WITHIN;
		buf_put(b, S("{\"next\":"));
		buf_u64(b, pg->end);
		buf_put(b, s->lost ? S(",\"more\":true,\"sessions\":[") :
		    S(",\"more\":false,\"sessions\":["));
		return OK;
	}
	t = newest(s);
	if (t) {
		page_comma(pg, b);
		put_tally(b, t);
		t->seq = 0;
		return OK;
	}
	pg->state = AFTER;
	buf_put(b, S("]}\n"));
	return OK;
}

int page_sessions_begin(struct page *pg, struct arena *a)
{
	pg->own = arena_get(a, sizeof(struct sessions));
	pg->next = page_next_sessions;
	return pg->own ? OK : E_FULL;
}

/* ---- one request ------------------------------------------------------ */

/* In this order: its lines, all its messages by name, and what it is made of:
 * system, tools, the messages that are new in it (all, if asked) and the
 * answer. */
struct one {
	struct page_chain chain;
	uint64_t request, response;	/* seq of its lines; 0: none */
	size_t kind;			/* of ORDER */
	uint64_t from;
	size_t nblobs, told;
	char (*blob)[JOURNAL_SHA];
};

enum { ONE_LINES = 1, ONE_CHAIN, ONE_BLOBS, ONE_END };

static const enum journal_kind order[] = {
	J_REQUEST, J_UPSTREAM, J_FIRST, J_RESPONSE, J_ALERT, J_REPLAY
};

static void want_blob(struct one *o, struct jstr sha)
{
	size_t i;

	if (sha.raw.n != JOURNAL_SHA || o->nblobs == BLOBS_MAX)
		return;
	for (i = 0; i < o->nblobs; i++)
		if (memcmp(o->blob[i], sha.raw.p, JOURNAL_SHA) == 0)
			return;
	memcpy(o->blob[o->nblobs++], sha.raw.p, JOURNAL_SHA);
}

static void want_all(struct one *o, struct jv list)
{
	struct json_iter it = json_iter(list);

	while (json_next(&it))
		want_blob(o, json_str(it.value));
}

static void want_of_line(struct page *pg, uint64_t seq)
{
	struct arena work = pg->work;
	struct journal_line l;
	struct json doc;
	struct jv v;

	if (!seq || journal_line(pg->j, seq, &l) != OK ||
	    json_parse(&doc, l.text, &work, NULL) != OK)
		return;
	v = json_root(&doc);
	want_all(pg->own, json_get(v, S("cdx.system")));
	want_blob(pg->own, json_str(json_get(json_get(v, S("cdx.tools")),
	    S("sha"))));
	want_all(pg->own, json_get(json_get(v, S("cdx.messages")), S("add")));
	want_all(pg->own, json_get(v, S("cdx.content")));
}

static int put_one_line(struct page *pg, struct buf *b)
{
	struct one *o = pg->own;
	struct journal_line l;

	if (pg->look <= 0)
		return E_MORE;
	pg->look -= FIND_COST;
	if (journal_find(pg->j, pg->name, order[o->kind], o->from, &l) == OK) {
		page_comma(pg, b);
		buf_put(b, l.text);
		if (l.kind == J_REQUEST)
			o->request = l.seq;
		if (l.kind == J_RESPONSE)
			o->response = l.seq;
		o->from = l.seq + 1;
		if (l.kind != J_REQUEST && l.kind != J_RESPONSE)
			return OK;	/* there may be another */
	}
	o->kind++;
	o->from = o->request;
	if (o->kind == COUNT(order)) {
		buf_put(b, S("],\n\"messages\":["));
		page_chain_begin(&o->chain, pg->name, o->request, NULL);
		pg->state = ONE_CHAIN;
	}
	return OK;
}

static int put_chain(struct page *pg, struct buf *b)
{
	struct one *o = pg->own;
	size_t i;

	if (page_chain(pg, &o->chain) != OK)
		return E_MORE;
	for (i = o->chain.skip; i < o->chain.n; i++) {
		const char *sha = o->chain.sha[i - o->chain.skip];

		if (i > o->chain.skip)
			buf_chr(b, ',');
		if (sha[0])
			json_quote(b, (struct str){ sha, JOURNAL_SHA });
		else
			buf_put(b, S("null"));
		if (pg->most && sha[0])
			want_blob(o, (struct jstr){ { sha, JOURNAL_SHA } });
	}
	want_of_line(pg, o->request);
	want_of_line(pg, o->response);
	buf_put(b, o->chain.whole ? S("],\"whole\":true,\n\"blobs\":{") :
	    S("],\"whole\":false,\n\"blobs\":{"));
	pg->state = ONE_BLOBS;
	pg->count = 0;
	return OK;
}

static int put_one_blob(struct page *pg, struct buf *b)
{
	struct one *o = pg->own;
	struct journal_line l;
	struct str sha;

	if (o->told == o->nblobs) {
		buf_put(b, S("}}\n"));
		pg->state = ONE_END;
		return OK;
	}
	sha = (struct str){ o->blob[o->told++], JOURNAL_SHA };
	if (journal_blob(pg->j, sha, &l) != OK)
		return OK;
	page_comma(pg, b);
	json_quote(b, sha);
	buf_chr(b, ':');
	buf_put(b, l.text);
	return OK;
}

int page_next_request(struct page *pg, struct buf *b)
{
	switch (pg->state) {
	case BEFORE:
		pg->state = ONE_LINES;
		buf_put(b, S("{\"id\":"));
		json_quote(b, pg->name);
		buf_put(b, S(",\"lines\":["));
		return OK;
	case ONE_LINES:
		return put_one_line(pg, b);
	case ONE_CHAIN:
		return put_chain(pg, b);
	case ONE_BLOBS:
		return put_one_blob(pg, b);
	}
	return E_NONE;
}

int page_request_begin(struct page *pg, struct arena *a)
{
	struct one *o = arena_get(a, sizeof *o);

	pg->own = o;
	if (!o)
		return E_FULL;
	o->blob = arena_array(a, BLOBS_MAX, JOURNAL_SHA);
	return o->blob && page_chain_begin(&o->chain, pg->name, 0, a) == OK ?
	    OK : E_FULL;
}

/* ---- search ----------------------------------------------------------- */

/* A blob is written before the line that names it: the names of those that
 * matched are kept until then. */
struct search {
	size_t n;
	char sha[HITS_MAX][JOURNAL_SHA];
};

static void put_hit(struct page *pg, struct buf *b,
    const struct journal_line *l, struct str sha)
{
	struct str id = str_from(l->text, str_find(l->text, S("\"id\":\"")) +
	    6);

	page_comma(pg, b);
	buf_put(b, S("{\"seq\":"));
	buf_u64(b, l->seq);
	buf_put(b, S(",\"id\":\""));
	buf_put(b, str_head(id, str_chr(id, '"')));
	buf_put(b, S("\",\"event\":\""));
	buf_put(b, journal_kind_name(l->kind));
	buf_chr(b, '"');
	if (sha.n) {
		buf_put(b, S(",\"sha\":"));
		json_quote(b, sha);
	}
	buf_chr(b, '}');
}

static struct str sha_of(struct str line)
{
	struct str s = str_from(line, str_find(line, S("\"sha\":\"")) + 7);

	return str_head(s, JOURNAL_SHA);
}

static void look_at(struct page *pg, struct buf *b,
    const struct journal_line *l)
{
	struct search *s = pg->own;
	struct str data = l->text, sha;
	size_t i;

	if (l->kind == J_BLOB) {
		data = str_from(data, str_find(data, S(",\"data\":")));
		if (str_ifind(data, pg->name) == data.n)
			return;
		sha = sha_of(l->text);
		if (s->n < HITS_MAX && sha.n == JOURNAL_SHA)
			memcpy(s->sha[s->n++], sha.p, JOURNAL_SHA);
		return;
	}
	if (l->kind != J_REQUEST && l->kind != J_RESPONSE)
		return;
	for (i = 0; i < s->n && pg->count < HITS_MAX; i++) {
		sha = (struct str){ s->sha[i], JOURNAL_SHA };
		if (str_find(l->text, sha) < l->text.n)
			put_hit(pg, b, l, sha);
	}
}

/* from: the first line that wasn't looked at; 0: all were. ?after=next goes on
 * there. */
static int end_search(struct page *pg, struct buf *b, uint64_t from)
{
	buf_put(b, S("],\"next\":"));
	if (from)
		buf_u64(b, from - 1);
	else
		buf_put(b, S("null"));
	buf_put(b, S("}\n"));
	pg->state = AFTER;
	return OK;
}

int page_next_search(struct page *pg, struct buf *b)
{
	struct search *s = pg->own;
	struct journal_line l;
	int r;

	if (pg->state == AFTER)
		return E_NONE;
	if (pg->state == BEFORE) {
		pg->state = WITHIN;
		buf_put(b, S("{\"hits\":["));
		return OK;
	}
	if (pg->now - pg->began > SEARCH_MS)
		return end_search(pg, b, pg->seq);
	r = page_line(pg, 1, &l);
	if (r == E_NONE)
		return end_search(pg, b, 0);
	if (r != OK)
		return r;
	/* Not between a blob and the line that names it. */
	if (l.kind == J_BLOB && (s->n == HITS_MAX || pg->count >= HITS_MAX))
		return end_search(pg, b, l.seq);
	look_at(pg, b, &l);
	return OK;
}

int page_search_begin(struct page *pg, struct arena *a)
{
	pg->own = arena_get(a, sizeof(struct search));
	return pg->own ? OK : E_FULL;
}
