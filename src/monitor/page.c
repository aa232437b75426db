/* page.c -- the monitor over HTTP: which answer a path gets, its head, and the
 * pieces in which it leaves.
 *
 * Everything here is text that models and tools wrote, so every answer says
 * that it is no script, no frame and nobody else's; only the page itself may
 * run one, and only its own. No Access-Control field is ever sent.
 *
 * An answer lives in the slot's memory: what it remembers first, then room to
 * read a line, then room to write a unit.
 *
 * SPDX-License-Identifier: MIT */
#include "../wire/http.h"
#include "pages.h"
#include "web.h"

enum {
	STEPS_MAX = 64,		/* empty units in one call */
	DATA_DEFAULT = 100,	/* lines of /dashboard/data, and its most */
	DATA_MAX = 1000,
	QUERY_MAX = 256,	/* bytes of a search */
	UNIT_MIN = 65536,	/* less memory than this serves nothing */
	ID_REACH = 160		/* of a line's beginning: v, seq, ts, event, id */
};

static const char strict[] =
"content-security-policy: default-src 'none'; base-uri 'none'; "
"form-action 'none'; frame-ancestors 'none'; sandbox\r\n";

static const char own_script[] =
"content-security-policy: default-src 'none'; script-src 'self'; "
"style-src 'self'; connect-src 'self'; img-src 'self' data:; "
"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
"require-trusted-types-for 'script'; trusted-types 'none'\r\n";

static const char alone[] =
"referrer-policy: no-referrer\r\n"
"cross-origin-opener-policy: same-origin\r\n"
"cross-origin-resource-policy: same-origin\r\n";

static void put_z(struct buf *b, const char *z)
{
	buf_put(b, str_of(z));
}

static void begin_head(struct page_head *h, struct str type, const char *csp,
    const char *cache)
{
	h->status = 200;
	h->type = type;
	h->length = -1;
	h->fields = buf_on(h->text, sizeof h->text);
	put_z(&h->fields, csp);
	put_z(&h->fields, alone);
	put_z(&h->fields, "cache-control: ");
	put_z(&h->fields, cache);
	put_z(&h->fields, "\r\n");
}

/* ---- what is there ---------------------------------------------------- */

static int next_none(struct page *pg, struct buf *b)
{
	(void)pg;
	(void)b;
	return E_NONE;
}

static void whole(struct page_head *h, struct str body)
{
	h->length = (int64_t)body.n;
	h->page->unit = body;
	h->page->next = next_none;
}

static const struct web_file *file(struct str name)
{
	const struct web_file *f;

	/* The last has no name, and isn't counted in WEB_FILES. */
	for (f = web_files; *f->name; f++)
		if (str_eq(name, str_of(f->name)))
			return f;
	return NULL;
}

static struct str web_type(struct str name)
{
	if (str_ends(name, S(".js")))
		return S("text/javascript; charset=utf-8");
	if (str_ends(name, S(".css")))
		return S("text/css; charset=utf-8");
	if (str_ends(name, S(".svg")))
		return S("image/svg+xml");
	return S("application/octet-stream");
}

/* Writes a file's address where the page names it, with the file's tag behind
 * it: so that the files can be kept for good, and new ones are seen. */
static struct str versioned(struct str html, struct arena *a)
{
	struct buf b = buf_open(a);
	const struct web_file *f;
	struct str rest = html, name, tag;
	size_t i, at;

	while (rest.n) {
		at = str_find(rest, S("/dashboard/"));
		at += at < rest.n ? 11 : 0;
		buf_put(&b, str_head(rest, at));
		rest = str_from(rest, at);
		name = str_head(rest, str_chr(rest, '"'));
		f = file(name);
		if (!f)
			continue;
		buf_put(&b, name);
		buf_put(&b, S("?v="));
		tag = str_of(f->tag);
		for (i = 0; i < tag.n; i++)
			if (tag.p[i] != '"')
				buf_chr(&b, tag.p[i]);
		rest = str_from(rest, name.n);
	}
	return b.full ? html : buf_end(a, &b);
}

static void open_html(struct page_head *h, const struct web_file *f,
    struct arena *a)
{
	begin_head(h, S("text/html; charset=utf-8"), own_script, "no-store");
	whole(h, versioned((struct str){ f->bytes, f->n }, a));
}

static void open_file(struct page_head *h, const struct web_file *f,
    struct str none_match)
{
	begin_head(h, web_type(str_of(f->name)), strict,
	    "max-age=31536000, immutable");
	put_z(&h->fields, "etag: ");
	put_z(&h->fields, f->tag);
	put_z(&h->fields, "\r\n");
	whole(h, (struct str){ f->bytes, f->n });
	if (none_match.n && (str_eq(none_match, S("*")) ||
	    str_find(none_match, str_of(f->tag)) < none_match.n))
		h->status = 304;
}

/* ---- what is made from the journal ------------------------------------ */

int page_line(struct page *pg, int blobs, struct journal_line *l)
{
	uint64_t first = journal_first(pg->j);

	if (pg->seq < first)
		pg->seq = first;
	while (pg->seq < pg->end) {
		if (pg->look <= 0)
			return E_MORE;
		pg->look -= 64;		/* an index entry is looked at */
		if (journal_line(pg->j, pg->seq++, l) != OK)
			continue;
		if (l->kind == J_BLOB ? !blobs :
		    pg->key && l->session != pg->key)
			continue;
		pg->look -= (long)l->text.n;
		return OK;
	}
	return E_NONE;
}

void page_comma(struct page *pg, struct buf *b)
{
	if (pg->count++)
		buf_put(b, S(",\n"));
}

struct str page_text(struct jv v, const char *key, struct arena *work)
{
	struct str s = json_text(work, json_str(json_get(v, str_of(key))));

	return s.p ? s : S("");
}

int64_t page_nano(struct jv v)
{
	struct str s = json_num(v);
	int64_t n = 0;
	int places = -1;
	size_t i;

	for (i = 0; i < s.n && places < 9; i++) {
		if (s.p[i] == '.' && places < 0) {
			places = 0;
			continue;
		}
		if (s.p[i] < '0' || s.p[i] > '9' || n > INT64_MAX / 100)
			break;
		n = n * 10 + (s.p[i] - '0');
		places += places >= 0;
	}
	for (places = places < 0 ? 0 : places; places < 9; places++)
		n = n > INT64_MAX / 100 ? n : n * 10;
	return n;
}

static size_t size_of(struct jv v, const char *key)
{
	int64_t n = json_int(json_get(v, str_of(key)), 0);

	return n > 0 && n < INT32_MAX ? (size_t)n : 0;
}

/* Whether a line is of that request: its id stands near its beginning. */
static int line_is(struct str line, struct str id)
{
	struct str s = str_head(line, ID_REACH);
	size_t at = str_find(s, S("\"id\":\""));

	s = str_from(s, at + 6);
	return str_starts(s, id) && s.n > id.n && s.p[id.n] == '"';
}

int page_chain_begin(struct page_chain *c, struct str id, uint64_t seq,
    struct arena *a)
{
	if (!c->sha)
		c->sha = arena_array(a, CHAIN_MAX, JOURNAL_SHA);
	if (!c->sha || id.n > sizeof c->id)
		return E_FULL;
	if (id.n)
		memcpy(c->id, id.p, id.n);
	c->nid = id.n;
	c->n = c->need = 0;
	c->seq = seq + 1;
	c->session = 0;
	c->begun = c->whole = 0;
	return OK;
}

/* The line's own messages stand behind those it keeps of an earlier one. */
static void take_add(struct page_chain *c, struct jv m)
{
	size_t keep = size_of(m, "keep"), i;
	struct json_iter it = json_iter(json_get(m, S("add")));
	struct jstr sha;

	if (!c->begun) {
		c->n = c->need = keep + json_count(json_get(m, S("add")));
		c->skip = c->n > CHAIN_MAX ? c->n - CHAIN_MAX : 0;
		c->begun = 1;
	}
	for (i = keep; i < c->need && json_next(&it); i++) {
		sha = json_str(it.value);
		if (sha.raw.n == JOURNAL_SHA && i >= c->skip)
			memcpy(c->sha[i - c->skip], sha.raw.p, JOURNAL_SHA);
	}
	c->need = keep < c->need ? keep : c->need;
}

int page_chain(struct page *pg, struct page_chain *c)
{
	struct journal_line l;
	struct arena work;
	struct json doc;
	struct str base;
	struct jv m;

	while (c->seq > journal_first(pg->j)) {
		if (pg->look <= 0)
			return E_MORE;
		pg->look -= 64;
		if (journal_line(pg->j, --c->seq, &l) != OK ||
		    l.kind != J_REQUEST || (c->session && l.session !=
		    c->session) || !line_is(l.text, (struct str){ c->id,
		    c->nid }))
			continue;
		c->session = l.session;
		work = pg->work;
		pg->look -= (long)l.text.n;
		if (json_parse(&doc, l.text, &work, NULL) != OK)
			return OK;
		m = json_get(json_root(&doc), S("cdx.messages"));
		take_add(c, m);
		if (c->need <= c->skip) {
			c->whole = c->skip == 0;
			return OK;
		}
		base = page_text(m, "base", &work);
		if (base.n == 0 || base.n > sizeof c->id)
			return OK;
		memcpy(c->id, base.p, base.n);
		c->nid = base.n;
	}
	return OK;
}

void page_put_raw(struct buf *b, struct jv v)
{
	struct str s = json_raw(v);

	buf_put(b, s.n ? s : S("null"));
}

struct str page_blob(const struct page *pg, struct str sha)
{
	struct journal_line l;
	struct str s;

	if (sha.n != JOURNAL_SHA || journal_blob(pg->j, sha, &l) != OK)
		return S("");
	/* The data is the line's last member. */
	s = str_from(l.text, str_find(l.text, S(",\"data\":")) + 8);
	return str_head(s, s.n ? s.n - 1 : 0);
}

static void put_blobs(const struct page *pg, struct buf *b, struct jv list)
{
	struct json_iter it = json_iter(list);
	struct str data;
	int any = 0;

	while (json_next(&it)) {
		data = page_blob(pg, json_str(it.value).raw);
		if (data.n && any++)
			buf_chr(b, ',');
		buf_put(b, data);
	}
}

void page_put_body(const struct page *pg, const struct page_chain *c,
    struct jv v, struct buf *b)
{
	struct jv max = json_get(v, S("gen_ai.request.max_tokens"));
	struct str tools = page_blob(pg, json_str(json_get(json_get(v,
	    S("cdx.tools")), S("sha"))).raw), data;
	size_t i;
	int any = 0;

	buf_put(b, S("{\"model\":"));
	page_put_raw(b, json_get(v, S("gen_ai.request.model")));
	if (json_type(max) == JSON_NUMBER) {
		buf_put(b, S(",\"max_tokens\":"));
		buf_put(b, json_raw(max));
	}
	if (json_true(json_get(v, S("gen_ai.request.stream"))))
		buf_put(b, S(",\"stream\":true"));
	buf_put(b, S(",\"system\":["));
	put_blobs(pg, b, json_get(v, S("cdx.system")));
	if (tools.n) {
		buf_put(b, S("],\"tools\":"));
		buf_put(b, tools);
		buf_put(b, S(",\"messages\":["));
	} else {
		buf_put(b, S("],\"messages\":["));
	}
	for (i = c->skip; i < c->n; i++) {
		data = page_blob(pg, (struct str){ c->sha[i - c->skip],
		    JOURNAL_SHA });
		if (data.n && any++)
			buf_chr(b, ',');
		buf_put(b, data);
	}
	buf_put(b, S("]}"));
}

static struct str query(const struct page_ask *ask, const char *name,
    struct arena *a)
{
	struct str v = http_query(ask->query, str_of(name));
	struct buf b = buf_open(a);

	if (http_decode(&b, v) != OK || b.full)
		return S("");
	return buf_end(a, &b);
}

/* A file's name for a browser to keep it under: letters and digits alone. */
static void put_attachment(struct buf *b, struct str name, struct str end)
{
	size_t i;
	char c;

	buf_put(b, S("content-disposition: attachment; "
	    "filename=\"claudecodex-"));
	for (i = 0; i < name.n && i < 64; i++) {
		c = name.p[i];
		buf_chr(b, (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '_' ? c : '_');
	}
	buf_put(b, end);
	buf_put(b, S("\"\r\n"));
}

static int nothing(struct fault *f, const char *what)
{
	FAULT(f, 404, str_of(what));
	return E_FAULT;
}

static int open_export(struct page_head *h, const struct page_ask *ask,
    struct arena *a, struct fault *f)
{
	static const struct {
		const char *as, *type, *end;
		int (*begin)(struct page *pg, struct arena *a);
		int (*next)(struct page *pg, struct buf *b);
	} forms[] = {
		{ "jsonl", "application/jsonl; charset=utf-8", ".jsonl",
		    page_jsonl_begin, page_next_jsonl },
		{ "html", "text/html; charset=utf-8", ".html",
		    page_html_begin, page_next_html },
		{ "har", "application/json", ".har",
		    page_har_begin, page_next_har },
		{ "otlp", "application/json", ".otlp.json",
		    NULL, page_next_otlp }
	};
	struct str as = query(ask, "as", a);
	size_t i;

	if (as.n == 0)
		as = S("jsonl");
	for (i = 0; i < COUNT(forms); i++)
		if (str_eq(as, str_of(forms[i].as)))
			break;
	if (i == COUNT(forms)) {
		FAULT(f, 400, S("as: must be jsonl, html, har or otlp"));
		return E_FAULT;
	}
	h->type = str_of(forms[i].type);
	h->page->next = forms[i].next;
	put_attachment(&h->fields, h->page->name, str_of(forms[i].end));
	return !forms[i].begin || forms[i].begin(h->page, a) == OK ? OK :
	    nothing(f, "no memory for an export");
}

/* An answer about a session or a request needs one. */
static int is_known(struct page *pg, int session)
{
	struct journal_line l;
	uint64_t seq;

	if (pg->name.n == 0 || pg->name.n > NAME_MAX_BYTES)
		return 0;
	if (!session)
		return journal_find(pg->j, pg->name, J_REQUEST, 0, &l) == OK;
	for (seq = journal_first(pg->j); seq < pg->end; seq++)
		if (journal_line(pg->j, seq, &l) == OK &&
		    l.session == pg->key && l.kind != J_BLOB)
			return 1;
	return 0;
}

static int open_raw(struct page_head *h, const struct page_ask *ask,
    struct arena *a, struct fault *f)
{
	struct page *pg = h->page;
	struct str side = query(ask, "side", a), part = query(ask, "part", a);
	struct str only = query(ask, "only", a);
	int request = str_eq(part, S("request")), r, cut;
	int client = str_eq(side, S("client"));
	enum raw_side which = client ? request ? RAW_CLIENT_REQUEST :
	    RAW_CLIENT_RESPONSE : request ? RAW_UPSTREAM_REQUEST :
	    RAW_UPSTREAM_RESPONSE;
	struct buf b = buf_open(a);

	if ((!client && !str_eq(side, S("upstream"))) ||
	    (!request && !str_eq(part, S("response")))) {
		FAULT(f, 400, S("side: must be client or upstream, and part: "
		    "request or response"));
		return E_FAULT;
	}
	r = str_eq(only, S("body")) ? OK :
	    journal_raw(pg->j, pg->name, which, 1, &b);
	if ((r == OK || r == E_LIMIT) && !str_eq(only, S("head"))) {
		cut = r == E_LIMIT;
		r = journal_raw(pg->j, pg->name, which, 0, &b);
		r = r == OK && cut ? E_LIMIT : r;
	}
	if (r != OK && r != E_LIMIT)
		return nothing(f, "these bytes were not kept, or no longer");
	h->type = S("text/plain; charset=utf-8");
	put_attachment(&h->fields, pg->name, client ? request ?
	    S("-client-request.txt") : S("-client-response.txt") : request ?
	    S("-upstream-request.txt") : S("-upstream-response.txt"));
	if (r == E_LIMIT)
		buf_put(&h->fields, S("cdx-cut: true\r\n"));
	whole(h, buf_end(a, &b));
	return OK;
}

static int open_blob(struct page_head *h, struct str sha, struct arena *a,
    struct fault *f)
{
	struct str copy = arena_str(a, page_blob(h->page, sha));

	if (!copy.p || copy.n == 0)
		return nothing(f, "no such blob, or no longer");
	whole(h, copy);
	return OK;
}

static int open_search(struct page *pg, const struct page_ask *ask,
    struct arena *a, struct fault *f)
{
	struct str q = query(ask, "q", a), after = query(ask, "after", a);
	struct buf b;

	if (q.n == 0 || q.n > QUERY_MAX) {
		FAULT(f, 400, S("q: must be 1 to 256 bytes"));
		return E_FAULT;
	}
	if (after.n && str_u64(after, &pg->seq) != OK) {
		FAULT(f, 400, S("after: must be a number"));
		return E_FAULT;
	}
	pg->seq += after.n > 0;
	b = buf_open(a);
	json_escape(&b, q);
	pg->name = buf_end(a, &b);
	pg->next = page_next_search;
	return page_search_begin(pg, a) == OK ? OK :
	    nothing(f, "no memory for a search");
}

static int open_data(struct page *pg, const struct page_ask *ask,
    struct arena *a, struct fault *f)
{
	struct str limit = query(ask, "limit", a);
	struct journal_line l;
	uint64_t n = DATA_DEFAULT;

	if (limit.n && (str_u64(limit, &n) != OK || n == 0)) {
		FAULT(f, 400, S("limit: must be a number from 1 to 1000"));
		return E_FAULT;
	}
	n = n > DATA_MAX ? DATA_MAX : n;
	for (pg->seq = pg->end; n && pg->seq > journal_first(pg->j);)
		if (journal_line(pg->j, --pg->seq, &l) == OK &&
		    l.kind != J_BLOB)
			n--;
	pg->next = page_next_data;
	return OK;
}

/* "/request/ID/raw" and its like: what stands before the id, and behind. */
static int is_under(struct str path, struct str prefix, struct str end,
    struct str *id)
{
	if (!str_starts(path, prefix) || !str_ends(path, end) ||
	    path.n <= prefix.n + end.n)
		return 0;
	*id = str_from(str_head(path, path.n - end.n), prefix.n);
	return str_chr(*id, '/') == id->n;
}

static int open_journal(struct page_head *h, const struct page_ask *ask,
    struct arena *a, struct fault *f)
{
	struct page *pg = h->page;
	struct str id, after;

	begin_head(h, S("application/json"), strict, "no-store");
	if (str_eq(ask->path, S("/events"))) {
		begin_head(h, S("text/event-stream; charset=utf-8"), strict,
		    "no-store");
		buf_put(&h->fields, S("x-accel-buffering: no\r\n"));
		after = ask->last_id.n ? ask->last_id :
		    query(ask, "after", a);
		return page_events(pg, a, after) == OK ? OK :
		    nothing(f, "no memory for the events");
	}
	if (str_eq(ask->path, S("/data")))
		return open_data(pg, ask, a, f);
	if (str_eq(ask->path, S("/sessions"))) {
		pg->next = page_next_sessions;
		return page_sessions_begin(pg, a) == OK ? OK :
		    nothing(f, "no memory for the sessions");
	}
	if (str_eq(ask->path, S("/fitness")))
		return page_fitness_begin(pg, a) == OK ? OK :
		    nothing(f, "no memory for the models");
	if (str_eq(ask->path, S("/search")))
		return open_search(pg, ask, a, f);
	if (str_eq(ask->path, S("/prices"))) {
		pg->next = page_next_prices;
		return OK;
	}
	if (is_under(ask->path, S("/blob/"), S(""), &id))
		return open_blob(h, id, a, f);
	if (is_under(ask->path, S("/session/"), S(""), &id) ||
	    is_under(ask->path, S("/export/"), S(""), &id)) {
		pg->name = id;
		pg->key = journal_key(id);
		if (!is_known(pg, 1))
			return nothing(f, "no such session, or no longer");
		if (str_starts(ask->path, S("/export/")))
			return open_export(h, ask, a, f);
		pg->next = page_next_session;
		return OK;
	}
	if (is_under(ask->path, S("/request/"), S("/raw"), &id) ||
	    is_under(ask->path, S("/request/"), S(""), &id)) {
		pg->name = id;
		if (!is_known(pg, 0))
			return nothing(f, "no such request, or no longer");
		if (str_ends(ask->path, S("/raw")))
			return open_raw(h, ask, a, f);
		pg->most = query(ask, "all", a).n > 0;
		pg->next = page_next_request;
		return page_request_begin(pg, a) == OK ? OK :
		    nothing(f, "no memory for a request");
	}
	return nothing(f, "there is nothing at this path");
}

int page_open(struct page_head *h, struct monitor *m,
    const struct page_ask *ask, struct arena *a, int64_t now,
    struct fault *f)
{
	const struct web_file *asset, *page;
	struct page *pg = arena_get(a, sizeof *pg);
	size_t half;
	int r;

	if (!pg || arena_room(a) < 2 * UNIT_MIN)
		return nothing(f, "no memory for an answer");
	h->page = pg;
	pg->m = m;
	pg->j = m->journal;
	pg->now = pg->began = pg->wake = now;
	pg->end = pg->j ? journal_next(pg->j) : 0;
	page = file(S("index.html"));
	asset = file(str_from(ask->path, 1));
	if (ask->path.n == 0) {
		if (!page)
			return nothing(f, "this program was built without "
			    "its page");
		open_html(h, page, a);
	} else if (asset && asset != page) {
		open_file(h, asset, ask->none_match);
	} else {
		if (!pg->j)
			return nothing(f, "there is no journal");
		r = open_journal(h, ask, a, f);
		if (r != OK)
			return r;
	}
	half = arena_room(a) / 2;
	pg->work = (struct arena){ a->cur, a->cur + half };
	pg->room = (struct arena){ a->cur + half, a->end };
	return OK;
}

int page_whole(const struct page *pg)
{
	return pg->next == next_none;
}

/* ---- taking it -------------------------------------------------------- */

int page_more(struct page *pg, struct buf *out, size_t backlog, int64_t now)
{
	struct buf b;
	struct str piece;
	size_t room = PAGE_PIECE;
	int steps, r;

	pg->now = now;
	pg->look = LOOK_MAX;
	for (steps = 0; room && steps < STEPS_MAX; steps++) {
		if (pg->unit.n == 0) {
			b = buf_on(pg->room.cur, arena_room(&pg->room));
			pg->backlog = backlog + PAGE_PIECE - room;
			r = pg->next(pg, &b);
			pg->unit = buf_str(&b);
			if (r != OK && pg->unit.n == 0)
				return r;
		}
		piece = str_head(pg->unit, room);
		buf_put(out, piece);
		pg->unit = str_from(pg->unit, piece.n);
		room -= piece.n;
	}
	return OK;
}

int64_t page_wake(const struct page *pg, size_t backlog, int64_t now)
{
	if (!pg->live || pg->unit.n)
		return now;
	return page_events_wake(pg, backlog, now);
}
