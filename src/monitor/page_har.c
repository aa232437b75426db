/* page_har.c -- a session as HAR 1.2, for tools that read HTTP archives.
 *
 * An entry is a request with its answer. Bodies stand there as they were sent,
 * where those bytes are still kept; else they are rebuilt from records and say
 * so: an answer that went out as a stream is then the one message it amounts
 * to.
 *
 * SPDX-License-Identifier: MIT */
#include "load.h"
#include "pages.h"

enum { BEFORE, LOOKING, CHAIN, AFTER };

struct har {
	struct page_chain chain;
	uint64_t seq;		/* of the request under way */
};

static void put_z(struct buf *b, const char *z)
{
	buf_put(b, str_of(z));
}

/* Seconds as milliseconds. */
static void put_ms(struct buf *b, int64_t nano)
{
	buf_fixed(b, nano > 0 ? nano / 1000 : 0, 3);
}

static int put_header(struct buf *b, int any, const char *name, struct jv v)
{
	if (json_type(v) != JSON_STRING)
		return any;
	put_z(b, any ? ",{\"name\":\"" : "{\"name\":\"");
	put_z(b, name);
	put_z(b, "\",\"value\":");
	buf_put(b, json_raw(v));
	put_z(b, "}");
	return 1;
}

/* The fields of a head that was kept, whole lines behind its first. */
static int put_kept_headers(struct page *pg, struct buf *b, struct str id,
    enum raw_side side, struct arena work)
{
	struct buf head = buf_open(&work);
	struct str rest, line, name;
	int any = 0;

	if (journal_raw(pg->j, id, side, 1, &head) != OK)
		return 0;
	rest = buf_str(&head);
	str_cut(&rest, '\n', &line);
	while (str_cut(&rest, '\n', &line) && str_trim(line).n) {
		str_cut(&line, ':', &name);
		put_z(b, any++ ? ",{\"name\":" : "{\"name\":");
		json_quote(b, name);
		put_z(b, ",\"value\":");
		json_quote(b, str_trim(line));
		put_z(b, "}");
	}
	return any;
}

static void put_headers(struct page *pg, struct buf *b, struct str id,
    struct jv v, struct arena work)
{
	int any = 0;

	if (put_kept_headers(pg, b, id, RAW_CLIENT_REQUEST, work))
		return;
	any = put_header(b, any, "user-agent", json_get(v, S("cdx.client")));
	any = put_header(b, any, "x-claude-code-session-id", json_get(v,
	    S("gen_ai.conversation.id")));
	any = put_header(b, any, "x-claude-code-agent-id", json_get(v,
	    S("gen_ai.agent.id")));
	put_z(b, any ? ",{" : "{");
	put_z(b, "\"name\":\"content-type\",\"value\":"
	    "\"application/json\"}");
}

static void put_request(struct page *pg, struct buf *b, struct str id,
    struct jv v, struct arena work)
{
	struct har *h = pg->own;
	const char *how = "as it was sent, secrets redacted";
	struct buf body = buf_open(&work);

	put_z(b, "\"request\":{\"method\":\"POST\","
	    "\"url\":\"http://localhost/v1/messages");
	if (json_is(json_get(v, S("cdx.class")), S("count")))
		put_z(b, "/count_tokens");
	put_z(b, "\",\"httpVersion\":\"HTTP/1.1\",\"cookies\":[],"
	    "\"headers\":[");
	put_headers(pg, b, id, v, work);
	put_z(b, "],\"queryString\":[],\"postData\":{\"mimeType\":"
	    "\"application/json\",\"text\":\"");
	if (journal_raw(pg->j, id, RAW_CLIENT_REQUEST, 0, &body) != OK) {
		body.n = 0;
		body.full = 0;
		page_put_body(pg, &h->chain, v, &body);
		how = h->chain.whole ? "rebuilt from records" : "rebuilt from "
		    "records; earlier messages are no longer kept";
	}
	if (!body.full)
		json_escape(b, buf_str(&body));
	put_z(b, "\",\"comment\":\"");
	put_z(b, body.full ? "too large" : how);
	put_z(b, "\"},\"headersSize\":-1,\"bodySize\":");
	buf_int(b, json_int(json_get(v, S("cdx.body_bytes")), -1));
	put_z(b, "},\n");
}

/* The answer as one Message, or one error, without what wasn't kept. */
static void put_rebuilt(struct page *pg, struct buf *body, struct jv v)
{
	struct str data = page_blob(pg, json_str(json_at(json_get(v,
	    S("cdx.content")), 0)).raw);
	struct jv error = json_get(v, S("error.type"));
	struct str text = json_raw(json_get(v, S("cdx.error")));

	if (data.n > 2) {
		/* {"role":...,"content":[...]} and what a Message has more. */
		buf_put(body, str_head(data, data.n - 1));
		put_z(body, ",\"type\":\"message\",\"model\":");
		page_put_raw(body, json_get(v,
		    S("gen_ai.response.model")));
		put_z(body, ",\"stop_reason\":");
		page_put_raw(body, json_get(v, S("cdx.stop_reason")));
		put_z(body, "}");
	} else if (json_type(error) == JSON_STRING) {
		put_z(body, "{\"type\":\"error\",\"error\":{\"type\":");
		buf_put(body, json_raw(error));
		put_z(body, ",\"message\":");
		buf_put(body, text.n && text.p[0] == '"' ? text : S("\"\""));
		put_z(body, "}}");
	}
}

static void put_content(struct page *pg, struct buf *b, struct str id,
    struct jv v, struct arena work)
{
	struct buf body = buf_open(&work);
	const char *how = "as it was sent", *type = "application/json";

	if (journal_raw(pg->j, id, RAW_CLIENT_RESPONSE, 0, &body) != OK) {
		body.n = 0;
		body.full = 0;
		how = "rebuilt from records";
		put_rebuilt(pg, &body, v);
	} else if (!str_starts(buf_str(&body), S("{"))) {
		type = "text/event-stream";
	}
	put_z(b, "\"content\":{\"size\":");
	buf_u64(b, body.n);
	put_z(b, ",\"mimeType\":\"");
	put_z(b, type);
	put_z(b, "\",\"text\":\"");
	json_escape(b, buf_str(&body));
	put_z(b, "\",\"comment\":\"");
	put_z(b, how);
	put_z(b, "\"}");
}

static void put_response(struct page *pg, struct buf *b, struct str id,
    struct jv v, struct arena work)
{
	put_z(b, "\"response\":{\"status\":");
	buf_int(b, json_int(json_get(v, S("http.response.status_code")), 0));
	put_z(b, ",\"statusText\":\"\",\"httpVersion\":\"HTTP/1.1\","
	    "\"cookies\":[],\"headers\":[");
	if (!put_kept_headers(pg, b, id, RAW_CLIENT_RESPONSE, work)) {
		put_z(b, "{\"name\":\"request-id\",\"value\":");
		json_quote(b, id);
		put_z(b, "}");
	}
	put_z(b, "],");
	put_content(pg, b, id, v, work);
	put_z(b, ",\"redirectURL\":\"\",\"headersSize\":-1,\"bodySize\":");
	buf_int(b, json_int(json_get(v, S("cdx.bytes_out")), -1));
	put_z(b, "},\n");
}

static void put_timings(struct buf *b, struct jv t)
{
	int64_t sent = page_nano(json_get(t, S("sent")));
	int64_t first = page_nano(json_get(t, S("first")));
	int64_t done = page_nano(json_get(t, S("done")));

	if (first < sent)
		first = sent;
	if (done < first)
		first = done;
	put_z(b, "\"cache\":{},\"timings\":{\"send\":");
	put_ms(b, sent);
	put_z(b, ",\"wait\":");
	put_ms(b, first - sent);
	put_z(b, ",\"receive\":");
	put_ms(b, done - first);
	put_z(b, "},\"time\":");
	put_ms(b, done > sent ? done : sent);
}

static void put_entry(struct page *pg, struct buf *b)
{
	struct har *h = pg->own;
	struct arena work = pg->work;
	struct journal_line q, p;
	struct json request, response;
	struct jv v, a = { NULL, 0 };
	struct str id;

	if (journal_line(pg->j, h->seq, &q) != OK ||
	    json_parse(&request, q.text, &work, NULL) != OK)
		return;
	v = json_root(&request);
	id = page_text(v, "id", &work);
	if (journal_find(pg->j, id, J_RESPONSE, h->seq, &p) == OK &&
	    json_parse(&response, p.text, &work, NULL) == OK)
		a = json_root(&response);
	page_comma(pg, b);
	put_z(b, "{\"startedDateTime\":");
	if (journal_when(page_text(v, "ts", &work)))
		page_put_raw(b, json_get(v, S("ts")));
	else
		put_z(b, "\"1970-01-01T00:00:00.000Z\"");
	put_z(b, ",");
	put_request(pg, b, id, v, work);
	put_response(pg, b, id, a, work);
	put_timings(b, json_get(a, S("cdx.t")));
	put_z(b, ",\"_id\":");
	json_quote(b, id);
	put_z(b, ",\"_class\":");
	page_put_raw(b, json_get(v, S("cdx.class")));
	put_z(b, "}");
	if (b->full) {		/* an array of the others is still one */
		b->full = 0;
		b->n = 0;
		pg->count--;
	}
}

static int look_for_one(struct page *pg, struct buf *b)
{
	struct har *h = pg->own;
	struct arena work = pg->work;
	struct journal_line l;
	struct json doc;
	int r = page_line(pg, 0, &l);

	if (r == E_NONE) {
		put_z(b, "]}}\n");
		pg->state = AFTER;
		return OK;
	}
	if (r != OK || l.kind != J_REQUEST ||
	    json_parse(&doc, l.text, &work, NULL) != OK)
		return r;
	h->seq = l.seq;
	if (page_chain_begin(&h->chain, page_text(json_root(&doc), "id",
	    &work), l.seq, NULL) == OK)
		pg->state = CHAIN;
	return OK;
}

int page_next_har(struct page *pg, struct buf *b)
{
	struct har *h = pg->own;

	switch (pg->state) {
	case BEFORE:
		put_z(b, "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":"
		    "\"claudecodex\",\"version\":\"" VERSION "\"},\"pages\":[],"
		    "\"entries\":[\n");
		pg->state = LOOKING;
		return OK;
	case LOOKING:
		return look_for_one(pg, b);
	case CHAIN:
		if (page_chain(pg, &h->chain) != OK)
			return E_MORE;
		put_entry(pg, b);
		pg->state = LOOKING;
		return OK;
	}
	return E_NONE;
}

int page_har_begin(struct page *pg, struct arena *a)
{
	struct har *h = arena_get(a, sizeof *h);

	pg->own = h;
	return h ? page_chain_begin(&h->chain, S(""), 0, a) : E_FULL;
}
