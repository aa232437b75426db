/* page_export.c -- a session as a file: journal lines, or a page without a script.
 *
 * The lines are the journal's own, each blob before the first line that names
 * it, so that the file reads like a segment. The page is for people who have
 * nothing but a browser: text of models and tools stands in it as text.
 *
 * SPDX-License-Identifier: MIT */
#include "fitness.h"
#include "pages.h"

enum { BEFORE, COUNTED, WITHIN, AFTER };
enum {
	PROBES = 64,		/* of the table, before it counts as full */
	SHA_REACH = 200,	/* of a blob's line: where its name stands */
	FOLD = 4096		/* bytes of a text that can be folded */
};

/* ---- JSON lines ------------------------------------------------------- */

/* Lines leave in the order of their numbers, as in a segment: so a first walk
 * finds out which blobs are named, and a second one writes them where they
 * stand. */
struct wanted {
	int all;		/* the table was too small */
	uint64_t name[SEEN_MAX];	/* of a blob; 0: none */
	unsigned char written[SEEN_MAX];
};

/* Its place in the table, or a free one; SEEN_MAX: neither. */
static size_t place(const struct wanted *w, struct str sha, uint64_t *name)
{
	uint64_t v = 0;
	size_t i, at;

	for (i = 0; i < 16 && i < sha.n; i++)
		v = v << 4 | (uint64_t)(sha.p[i] <= '9' ? sha.p[i] - '0' :
		    sha.p[i] - 'a' + 10);
	*name = v += v == 0;
	for (i = 0; i < PROBES; i++) {
		at = (size_t)(v + i) & (SEEN_MAX - 1);
		if (w->name[at] == v || w->name[at] == 0)
			return at;
	}
	return SEEN_MAX;
}

static void want(struct wanted *w, struct jstr sha)
{
	uint64_t name;
	size_t at;

	if (sha.raw.n != JOURNAL_SHA)
		return;
	at = place(w, sha.raw, &name);
	if (at == SEEN_MAX)
		w->all = 1;
	else
		w->name[at] = name;
}

static void want_list(struct wanted *w, struct jv list)
{
	struct json_iter it = json_iter(list);

	while (json_next(&it))
		want(w, json_str(it.value));
}

/* Whether a blob's line is to be written now: the first time it is met. */
static int is_wanted(struct wanted *w, struct str line)
{
	struct str s = str_head(line, SHA_REACH);
	uint64_t name;
	size_t at;

	s = str_from(s, str_find(s, S("\"sha\":\"")) + 7);
	if (s.n < JOURNAL_SHA)
		return 0;
	at = place(w, str_head(s, JOURNAL_SHA), &name);
	if (at == SEEN_MAX)
		return w->all;
	if (w->written[at] || (w->name[at] != name && !w->all))
		return 0;
	w->name[at] = name;
	w->written[at] = 1;
	return 1;
}

static void want_of_line(struct page *pg, const struct journal_line *l)
{
	struct arena work = pg->work;
	struct json doc;
	struct jv v;

	if ((l->kind != J_REQUEST && l->kind != J_RESPONSE) ||
	    json_parse(&doc, l->text, &work, NULL) != OK)
		return;
	v = json_root(&doc);
	want_list(pg->own, json_get(v, S("cdx.system")));
	want(pg->own, json_str(json_get(json_get(v, S("cdx.tools")),
	    S("sha"))));
	want_list(pg->own, json_get(json_get(v, S("cdx.messages")),
	    S("add")));
	want_list(pg->own, json_get(v, S("cdx.content")));
}

int page_next_jsonl(struct page *pg, struct buf *b)
{
	struct journal_line l;
	int r = page_line(pg, pg->state != BEFORE, &l);

	if (r == E_NONE && pg->state == BEFORE) {
		pg->state = WITHIN;
		pg->seq = 0;
		return OK;
	}
	if (r != OK)
		return r;
	if (pg->state == BEFORE) {
		want_of_line(pg, &l);
	} else if (l.kind != J_BLOB || is_wanted(pg->own, l.text)) {
		buf_put(b, l.text);
		buf_chr(b, '\n');
	}
	return OK;
}

int page_jsonl_begin(struct page *pg, struct arena *a)
{
	pg->own = arena_get(a, sizeof(struct wanted));
	return pg->own ? OK : E_FULL;
}

/* ---- HTML ------------------------------------------------------------- */

/* What would not be seen, or would make other text seem to be what it isn't:
 * controls, and the marks that turn direction, join or hide. */
static int is_sly(unsigned long c)
{
	return (c < 0x20 && c != '\n' && c != '\t') ||
	    (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c ||
	    (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x2069) || c == 0xfeff ||
	    (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

static unsigned long code_point(struct str s, int n)
{
	static const unsigned char mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	unsigned long c = (unsigned char)s.p[0] & mask[n];
	int i;

	for (i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)s.p[i] & 0x3f);
	return c;
}

static void put_sly(struct buf *b, unsigned long c)
{
	static const char hex[] = "0123456789abcdef";
	int shift;

	buf_put(b, S("\\u{"));
	for (shift = c > 0xffff ? 20 : 12; shift >= 0; shift -= 4)
		buf_chr(b, hex[c >> shift & 15]);
	buf_chr(b, '}');
}

void page_put_html(struct buf *b, struct str s)
{
	unsigned long c;
	int n;

	while (s.n) {
		n = utf8_len(s);
		if (n <= 0) {
			buf_put(b, S("\xef\xbf\xbd"));
			s = str_from(s, 1);
			continue;
		}
		c = code_point(s, n);
		if (is_sly(c))
			put_sly(b, c);
		else if (c == '<')
			buf_put(b, S("&lt;"));
		else if (c == '>')
			buf_put(b, S("&gt;"));
		else if (c == '&')
			buf_put(b, S("&amp;"));
		else if (c == '"')
			buf_put(b, S("&quot;"));
		else if (c == '\'')
			buf_put(b, S("&#39;"));
		else
			buf_put(b, str_head(s, (size_t)n));
		s = str_from(s, (size_t)n);
	}
}

void page_put_plain(struct buf *b, struct str s)
{
	unsigned long c;
	int n;

	while (s.n) {
		n = utf8_len(s);
		c = n > 0 ? code_point(s, n) : 0;
		if (n <= 0) {
			buf_put(b, S("\xef\xbf\xbd"));
			n = 1;
		} else if (c == '\n' || c == '\t') {
			buf_chr(b, ' ');
		} else if (is_sly(c)) {
			put_sly(b, c);
		} else {
			buf_put(b, str_head(s, (size_t)n));
		}
		s = str_from(s, (size_t)n);
	}
}

static const char html_begin[] =
"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
"style-src 'unsafe-inline'\">\n"
"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
"<meta name=\"color-scheme\" content=\"light dark\">\n<style>\n"
"body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
"padding:0 1rem}\n"
"pre{font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;"
"overflow-wrap:anywhere;margin:.3rem 0}\n"
"article{border-top:1px solid #8888;padding:.6rem 0}\n"
"h1{font-size:1.2rem}h2{font-size:1rem;margin:.2rem 0}\n"
"h3,.role,summary{font-size:.8rem;font-weight:600;margin:.5rem 0 0;"
"opacity:.7}\n"
".meta{font-size:.85rem;opacity:.75;margin:.2rem 0}\n"
".part{border-left:3px solid #8886;padding-left:.7rem;margin:.5rem 0}\n"
".assistant{border-color:#46c}.error{border-color:#c33}\n"
"table{border-collapse:collapse;display:block;overflow:auto;"
"font-size:.85rem}\n"
"th,td{padding:.2rem .6rem .2rem 0;text-align:right;white-space:nowrap;"
"border-bottom:1px solid #8884}\n"
"th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}\n"
"small{opacity:.7}\n"
"</style>\n<title>";

static void put_z(struct buf *b, const char *z)
{
	buf_put(b, str_of(z));
}

static void put_string(struct buf *b, struct jv v, struct arena work)
{
	struct str s = json_text(&work, json_str(v));

	page_put_html(b, s.p ? s : S("[too long to be shown]"));
}

/* A text with its title; a long one can be folded away. It starts open: what
 * is looked for in the page must be found. */
static void put_pre(struct buf *b, const char *title, struct jv v,
    struct arena work)
{
	int fold = *title && json_raw(v).n > FOLD;
	struct buf text;

	if (*title) {
		put_z(b, fold ? "<details open><summary>" : "<h3>");
		put_z(b, title);
		if (fold) {
			put_z(b, ", ");
			buf_u64(b, json_raw(v).n / 1024 + 1);
			put_z(b, " KB");
		}
		put_z(b, fold ? "</summary>" : "</h3>");
	}
	put_z(b, "<pre>");
	if (json_type(v) == JSON_STRING) {
		put_string(b, v, work);
	} else {
		text = buf_open(&work);
		json_compact(&text, json_raw(v));
		page_put_html(b, buf_str(&text));
	}
	put_z(b, fold ? "</pre></details>" : "</pre>");
}

static void put_result(struct buf *b, struct jv v, struct arena work)
{
	struct jv content = json_get(v, S("content"));
	struct json_iter it = json_iter(content);
	int error = json_true(json_get(v, S("is_error")));

	if (json_type(content) != JSON_ARRAY) {
		put_pre(b, error ? "tool result (error)" : "tool result",
		    content, work);
		return;
	}
	while (json_next(&it))
		put_pre(b, error ? "tool result (error)" : "tool result",
		    json_is(json_get(it.value, S("type")), S("text")) ?
		    json_get(it.value, S("text")) : it.value, work);
}

static void put_block(struct buf *b, struct jv v, struct arena work)
{
	struct jv type = json_get(v, S("type"));

	if (json_is(type, S("text"))) {
		put_pre(b, json_str(json_get(v, S("text"))).raw.n > FOLD ?
		    "text" : "", json_get(v, S("text")), work);
	} else if (json_is(type, S("thinking"))) {
		put_z(b, "<details open><summary>thinking</summary>");
		put_pre(b, "", json_get(v, S("thinking")), work);
		put_z(b, "</details>");
	} else if (json_is(type, S("tool_use"))) {
		put_z(b, "<h3>tool call: ");
		put_string(b, json_get(v, S("name")), work);
		put_z(b, "</h3>");
		put_pre(b, "", json_get(v, S("input")), work);
	} else if (json_is(type, S("tool_result"))) {
		put_result(b, v, work);
	} else {
		put_pre(b, "", v, work);
	}
}

static void put_message(struct page *pg, struct buf *b, struct str sha)
{
	struct arena work = pg->work;
	struct journal_line l;
	struct json_iter it;
	struct json doc;
	struct jv data, content;

	if (journal_blob(pg->j, sha, &l) == OK)
		pg->look -= (long)l.text.n;
	else
		l.text = S("");
	if (json_parse(&doc, l.text, &work, NULL) != OK) {
		put_z(b, "<p class=\"meta\">[a message that is no longer "
		    "kept]</p>");
		return;
	}
	data = json_get(json_root(&doc), S("data"));
	content = json_get(data, S("content"));
	put_z(b, json_is(json_get(data, S("role")), S("assistant")) ?
	    "<div class=\"part assistant\">" : "<div class=\"part\">");
	put_z(b, "<div class=\"role\">");
	put_string(b, json_get(data, S("role")), work);
	put_z(b, "</div>");
	it = json_iter(content);
	if (json_type(content) == JSON_ARRAY)
		while (json_next(&it))
			put_block(b, it.value, work);
	else
		put_pre(b, "", json_type(content) ? content : data, work);
	put_z(b, "</div>\n");
}

static void put_fact(struct buf *b, const char *name, struct jv v,
    struct arena work)
{
	if (json_type(v) == JSON_ABSENT || json_type(v) == JSON_NULL)
		return;
	put_z(b, " · ");
	put_z(b, name);
	if (json_type(v) == JSON_STRING)
		put_string(b, v, work);
	else
		page_put_html(b, json_raw(v));
}

/* A step is written message by message: a large one must not make streams
 * wait. */
struct html {
	struct label id;	/* of the step under way; empty: none */
	uint64_t from;		/* its line */
	int answered;
	size_t n, told;
	char (*sha)[JOURNAL_SHA];	/* of the messages to write */
	struct fitness fitness;	/* of the models, counted beforehand */
};

static void keep_shas(struct html *h, struct jv list)
{
	struct json_iter it = json_iter(list);
	struct jstr sha;

	h->n = h->told = 0;
	while (h->n < CHAIN_MAX && json_next(&it)) {
		sha = json_str(it.value);
		if (sha.raw.n == JOURNAL_SHA)
			memcpy(h->sha[h->n++], sha.raw.p, JOURNAL_SHA);
	}
}

static void put_answer(struct page *pg, struct buf *b)
{
	struct html *h = pg->own;
	struct arena work = pg->work;
	struct journal_line l;
	struct json doc;
	struct jv v;

	h->n = h->told = 0;
	if (journal_find(pg->j, label_str(&h->id), J_RESPONSE, h->from, &l) !=
	    OK || json_parse(&doc, l.text, &work, NULL) != OK) {
		put_z(b, "<p class=\"meta\">in flight</p>");
		return;
	}
	v = json_root(&doc);
	put_z(b, "<p class=\"meta\">answer");
	put_fact(b, "status ", json_get(v, S("http.response.status_code")),
	    work);
	put_fact(b, "model ", json_get(v, S("gen_ai.response.model")), work);
	put_fact(b, "stop ", json_get(v, S("cdx.stop_reason")), work);
	put_fact(b, "in ", json_get(v, S("gen_ai.usage.input_tokens")), work);
	put_fact(b, "cached ", json_get(v,
	    S("gen_ai.usage.cache_read.input_tokens")), work);
	put_fact(b, "out ", json_get(v, S("gen_ai.usage.output_tokens")),
	    work);
	put_fact(b, "seconds ", json_get(json_get(v, S("cdx.t")), S("done")),
	    work);
	put_fact(b, "$", json_get(v, S("cdx.cost_usd")), work);
	put_z(b, "</p>\n");
	if (json_type(json_get(v, S("error.type"))) == JSON_STRING) {
		put_z(b, "<div class=\"part error\">");
		put_string(b, json_get(v, S("error.type")), work);
		put_pre(b, "", json_get(v, S("cdx.error")), work);
		put_z(b, "</div>\n");
	}
	keep_shas(h, json_get(v, S("cdx.content")));
}

static void put_step(struct page *pg, struct buf *b,
    const struct journal_line *l)
{
	struct html *h = pg->own;
	struct arena work = pg->work;
	struct json doc;
	struct jv v;

	if (json_parse(&doc, l->text, &work, NULL) != OK)
		return;
	v = json_root(&doc);
	label_set(&h->id, page_text(v, "id", &work));
	h->from = l->seq;
	h->answered = 0;
	put_z(b, "<article id=\"");
	page_put_html(b, label_str(&h->id));
	put_z(b, "\"><h2>");
	put_string(b, json_get(v, S("cdx.class")), work);
	put_z(b, " ");
	page_put_html(b, label_str(&h->id));
	put_z(b, "</h2><p class=\"meta\">");
	put_string(b, json_get(v, S("ts")), work);
	put_fact(b, "turn ", json_get(v, S("cdx.turn")), work);
	put_fact(b, "step ", json_get(v, S("cdx.step")), work);
	put_fact(b, "agent ", json_get(v, S("gen_ai.agent.name")), work);
	put_fact(b, "asked for ", json_get(v, S("gen_ai.request.model")),
	    work);
	put_fact(b, "earlier messages ", json_get(json_get(v,
	    S("cdx.messages")), S("keep")), work);
	put_z(b, "</p>\n");
	keep_shas(h, json_get(json_get(v, S("cdx.messages")), S("add")));
}

static int go_on_with_step(struct page *pg, struct buf *b)
{
	struct html *h = pg->own;

	if (h->told < h->n) {
		put_message(pg, b, (struct str){ h->sha[h->told++],
		    JOURNAL_SHA });
	} else if (!h->answered) {
		h->answered = 1;
		put_answer(pg, b);
	} else {
		h->id.n = 0;
		put_z(b, "</article>\n");
	}
	if (b->full) {
		b->full = 0;
		b->n = 0;
		put_z(b, "<p class=\"meta\">[too large to be shown]</p>\n");
	}
	return OK;
}

static void put_top(struct page *pg, struct buf *b)
{
	put_z(b, html_begin);
	page_put_html(b, pg->name);
	put_z(b, "</title></head><body><h1>Session ");
	page_put_html(b, pg->name);
	put_z(b, "</h1><p class=\"meta\">recorded by claudecodex " VERSION
	    "; keys are redacted</p>\n");
	fitness_html(&((struct html *)pg->own)->fitness, b);
}

/* A walk of its own: what models come to stands before what they said. */
static int count_models(struct page *pg)
{
	struct html *h = pg->own;
	struct journal_line l;
	int r = page_line(pg, 0, &l);

	if (r == OK)
		fitness_line(&h->fitness, &l, pg->work);
	if (r != E_NONE)
		return r;
	pg->state = COUNTED;
	pg->seq = 0;
	return OK;
}

int page_next_html(struct page *pg, struct buf *b)
{
	struct html *h = pg->own;
	struct journal_line l;
	int r;

	if (pg->state == AFTER)
		return E_NONE;
	if (pg->state == BEFORE)
		return count_models(pg);
	if (pg->state == COUNTED) {
		pg->state = WITHIN;
		put_top(pg, b);
		return OK;
	}
	if (pg->look <= 0)
		return E_MORE;
	if (h->id.n)
		return go_on_with_step(pg, b);
	r = page_line(pg, 0, &l);
	if (r == OK && l.kind == J_REQUEST)
		put_step(pg, b, &l);
	if (r != E_NONE)
		return r;
	put_z(b, "</body></html>\n");
	pg->state = AFTER;
	return OK;
}

int page_html_begin(struct page *pg, struct arena *a)
{
	struct html *h = arena_get(a, sizeof *h);

	pg->own = h;
	if (h)
		h->sha = arena_array(a, CHAIN_MAX, JOURNAL_SHA);
	return h && h->sha ? OK : E_FULL;
}
