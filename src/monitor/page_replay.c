/* page_replay.c -- a recorded request made anew, for another model.
 *
 * The body is put together from the journal's blobs. What only the first model
 * could read is left out (its thinking, whose signatures aren't kept), what
 * isn't kept is named in its place (images), and what was redacted stays so:
 * no secret leaves by this way. A request that isn't there whole isn't sent.
 *
 * SPDX-License-Identifier: MIT */
#include "pages.h"

enum { TOKENS = 4096 };		/* where the record doesn't say */

/* An image or document of which the journal holds the size alone. */
static int is_named_only(struct jv block, struct jstr *name)
{
	*name = json_str(json_get(json_get(block, S("source")), S("data")));
	return name->raw.n && name->raw.p[0] == '[';
}

static int is_left_out(struct jv block)
{
	struct jv type = json_get(block, S("type"));

	return json_is(type, S("thinking")) ||
	    json_is(type, S("redacted_thinking")) ||
	    json_is(type, S("compaction"));
}

static void put_text(struct buf *b, struct str escaped)
{
	buf_put(b, S("{\"type\":\"text\",\"text\":\""));
	buf_put(b, escaped);
	buf_put(b, S("\"}"));
}

static void put_flat(struct buf *b, struct jv block)
{
	struct jstr name;

	if (is_named_only(block, &name))
		put_text(b, name.raw);
	else
		buf_put(b, json_raw(block));
}

/* A result's content may hold images of its own. */
static void put_result(struct buf *b, struct jv block)
{
	struct json_iter it = json_iter(block), in;
	int any = 0, inner = 0;

	buf_chr(b, '{');
	while (json_next(&it)) {
		buf_put(b, any++ ? S(",\"") : S("\""));
		buf_put(b, it.key.raw);
		buf_put(b, S("\":"));
		if (!jstr_eq(it.key, S("content")) ||
		    json_type(it.value) != JSON_ARRAY) {
			buf_put(b, json_raw(it.value));
			continue;
		}
		buf_chr(b, '[');
		in = json_iter(it.value);
		while (json_next(&in)) {
			if (inner++)
				buf_chr(b, ',');
			put_flat(b, in.value);
		}
		buf_chr(b, ']');
	}
	buf_chr(b, '}');
}

/* OK, or E_BAD for a message that was cut. */
static int put_message(struct buf *b, struct jv data)
{
	struct jv content = json_get(data, S("content"));
	struct json_iter it = json_iter(content);
	int any = 0;

	if (json_type(json_get(data, S("role"))) != JSON_STRING)
		return E_BAD;
	buf_put(b, S("{\"role\":"));
	buf_put(b, json_raw(json_get(data, S("role"))));
	buf_put(b, S(",\"content\":["));
	while (json_type(content) == JSON_ARRAY && json_next(&it)) {
		if (is_left_out(it.value))
			continue;
		if (any++)
			buf_chr(b, ',');
		if (json_is(json_get(it.value, S("type")), S("tool_result")))
			put_result(b, it.value);
		else
			put_flat(b, it.value);
	}
	if (json_type(content) == JSON_STRING)
		put_text(b, json_str(content).raw);
	else if (!any)
		put_text(b, S("(thinking, left out)"));
	buf_put(b, S("]}"));
	return OK;
}

static int put_messages(struct page *pg, const struct page_chain *c,
    struct buf *b)
{
	struct arena work;
	struct json doc;
	struct str data;
	size_t i;

	for (i = 0; i < c->n; i++) {
		work = pg->work;
		data = page_blob(pg, (struct str){ c->sha[i], JOURNAL_SHA });
		if (json_parse(&doc, data, &work, NULL) != OK)
			return E_BAD;
		if (i)
			buf_chr(b, ',');
		if (put_message(b, json_root(&doc)) != OK)
			return E_BAD;
	}
	return c->n ? OK : E_BAD;
}

static int put_system(struct page *pg, struct jv list, struct buf *b)
{
	struct json_iter it = json_iter(list);
	struct str data;
	int any = 0;

	buf_put(b, S(",\"system\":["));
	while (json_next(&it)) {
		data = page_blob(pg, json_str(it.value).raw);
		if (data.n == 0)
			return E_BAD;
		if (any++)
			buf_chr(b, ',');
		buf_put(b, data);
	}
	buf_chr(b, ']');
	return OK;
}

static int put_tools(struct page *pg, struct jv sha, struct buf *b)
{
	struct str data;

	if (json_type(sha) != JSON_STRING)
		return OK;
	data = page_blob(pg, json_str(sha).raw);
	if (data.n == 0 || data.p[0] != '[')
		return E_BAD;
	buf_put(b, S(",\"tools\":"));
	buf_put(b, data);
	return OK;
}

static int put_all(struct page *pg, const struct page_chain *c,
    const struct journal_line *l, const struct replay *r, struct buf *b)
{
	struct arena whole = pg->work;
	struct json doc;
	struct jv v;
	int64_t max = r->max_tokens;
	int ok;

	if (json_parse(&doc, l->text, &pg->work, NULL) != OK)
		return E_BAD;
	v = json_root(&doc);
	if (max <= 0)
		max = json_int(json_get(v, S("gen_ai.request.max_tokens")),
		    TOKENS);
	buf_put(b, S("{\"model\":"));
	json_quote(b, r->model);
	buf_put(b, r->whole ? S(",\"max_tokens\":") :
	    S(",\"stream\":true,\"max_tokens\":"));
	buf_int(b, max);
	ok = put_system(pg, json_get(v, S("cdx.system")), b) == OK &&
	    put_tools(pg, json_get(json_get(v, S("cdx.tools")), S("sha")),
	    b) == OK;
	buf_put(b, S(",\"messages\":["));
	ok = ok && put_messages(pg, c, b) == OK;
	buf_put(b, S("]}"));
	pg->work = whole;
	return ok ? OK : E_BAD;
}

int page_replay(struct monitor *m, struct replay *r, struct arena *a,
    struct fault *f)
{
	struct page_chain *c = arena_get(a, sizeof *c);
	struct page *pg = arena_get(a, sizeof *pg);
	struct journal_line l;
	struct arena whole;
	struct json doc;
	struct buf b;
	size_t half;

	if (!c || !pg || !m->journal || journal_find(m->journal, r->of,
	    J_REQUEST, 0, &l) != OK) {
		FAULT(f, 404, S("of: no such request, or no longer"));
		return E_FAULT;
	}
	if (page_chain_begin(c, r->of, l.seq, a) != OK) {
		FAULT(f, 413, S("no memory for the request"));
		return E_FAULT;
	}
	half = arena_room(a) / 2;
	pg->j = m->journal;
	pg->look = INT32_MAX;
	pg->work = whole = (struct arena){ a->cur + half, a->end };
	if (page_chain(pg, c) != OK || !c->whole) {
		FAULT(f, 409, S("the request is no longer kept whole"));
		return E_FAULT;
	}
	b = buf_on(a->cur, half);
	if (put_all(pg, c, &l, r, &b) != OK || b.full) {
		FAULT(f, 409, S("a part of the request was not kept whole"));
		return E_FAULT;
	}
	r->body = buf_end(a, &b);
	r->session = S("");
	if (json_parse(&doc, l.text, &whole, NULL) == OK) {
		r->session = page_text(json_root(&doc),
		    "gen_ai.conversation.id", &whole);
		r->session = arena_str(a, r->session);
	}
	return OK;
}

void page_replayed(struct monitor *m, const struct replay *r, struct str id)
{
	if (!m->journal)
		return;
	journal_begin(m->journal, J_REPLAY, id, r->session.n ?
	    journal_key(r->session) : 0);
	journal_put_text(m->journal, "of", r->of);
	journal_put_text(m->journal, "model", r->model);
	journal_end(m->journal);
}
