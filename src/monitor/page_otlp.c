/* page_otlp.c -- a session as OTLP/JSON traces, by the GenAI conventions.
 *
 * A session is a trace, a request a span of kind client; a tool call whose
 * time the client told is a span of its own that ends where the request with
 * its result begins. Texts stay out: an export to a collector is for figures.
 *
 * SPDX-License-Identifier: MIT */
#include "../wire/sha256.h"
#include "load.h"
#include "pages.h"

enum { BEFORE, WITHIN, AFTER };
enum { TRACE_ID = 16, SPAN_ID = 8 };	/* bytes */

static void put_z(struct buf *b, const char *z)
{
	buf_put(b, str_of(z));
}

/* An id that is the same in every export. */
static void put_id(struct buf *b, struct str of, struct str also, size_t n)
{
	unsigned char hash[SHA256_SIZE];
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, of);
	sha256_add(&s, also);
	sha256_end(&s, hash);
	buf_chr(b, '"');
	buf_hex(b, (struct str){ (const char *)hash, n });
	buf_chr(b, '"');
}

static void put_time(struct buf *b, const char *key, int64_t ms)
{
	put_z(b, ",\"");
	put_z(b, key);
	put_z(b, "\":\"");
	buf_int(b, ms);
	put_z(b, "000000\"");
}

/* Attributes keep their type; what is null or absent is left out. */
static void put_attribute(struct buf *b, int *any, const char *key,
    struct jv v)
{
	struct json_iter it = json_iter(v);
	struct str raw = json_raw(v);
	int first = 1;

	if (json_type(v) == JSON_ABSENT || json_type(v) == JSON_NULL ||
	    json_type(v) == JSON_OBJECT)
		return;
	put_z(b, (*any)++ ? ",{\"key\":\"" : "{\"key\":\"");
	put_z(b, key);
	put_z(b, "\",\"value\":{");
	if (json_type(v) == JSON_STRING) {
		put_z(b, "\"stringValue\":");
		buf_put(b, raw);
	} else if (json_type(v) == JSON_ARRAY) {
		put_z(b, "\"arrayValue\":{\"values\":[");
		while (json_next(&it)) {
			if (json_type(it.value) != JSON_STRING)
				continue;
			put_z(b, first ? "{\"stringValue\":" :
			    ",{\"stringValue\":");
			buf_put(b, json_raw(it.value));
			put_z(b, "}");
			first = 0;
		}
		put_z(b, "]}");
	} else if (json_type(v) != JSON_NUMBER) {
		put_z(b, "\"boolValue\":");
		buf_put(b, raw);
	} else if (str_chr(raw, '.') < raw.n || str_chr(raw, 'e') < raw.n ||
	    str_chr(raw, 'E') < raw.n) {
		put_z(b, "\"doubleValue\":");
		buf_put(b, raw);
	} else {
		put_z(b, "\"intValue\":\"");
		buf_put(b, raw);
		put_z(b, "\"");
	}
	put_z(b, "}}");
}

static void put_attributes(struct buf *b, int *any, struct jv v,
    const char *const *keys, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		put_attribute(b, any, keys[i], json_get(v, str_of(keys[i])));
}

static void begin_span(struct page *pg, struct buf *b, struct str id,
    struct str also)
{
	page_comma(pg, b);
	put_z(b, "{\"traceId\":");
	put_id(b, pg->name, S(""), TRACE_ID);
	put_z(b, ",\"spanId\":");
	put_id(b, id, also, SPAN_ID);
}

static void put_tool(struct page *pg, struct buf *b, struct jv v,
    struct str id, int64_t end)
{
	static const char *const keys[] = {
		"gen_ai.tool.name", "gen_ai.tool.call.id"
	};
	struct jstr name = json_str(json_get(v, S("gen_ai.tool.name")));
	struct jstr call = json_str(json_get(v, S("gen_ai.tool.call.id")));
	int64_t ms = json_int(json_get(v, S("ms")), -1);
	int any = 1;

	if (ms < 0 || !json_is(json_get(v, S("by")), S("client")))
		return;
	begin_span(pg, b, id, call.raw);
	put_z(b, ",\"name\":\"execute_tool ");
	buf_put(b, name.raw);
	put_z(b, "\",\"kind\":1");
	put_time(b, "startTimeUnixNano", end - ms);
	put_time(b, "endTimeUnixNano", end);
	put_z(b, ",\"attributes\":[{\"key\":\"gen_ai.operation.name\","
	    "\"value\":{\"stringValue\":\"execute_tool\"}}");
	put_attributes(b, &any, v, keys, COUNT(keys));
	put_z(b, json_true(json_get(v, S("error"))) ?
	    "],\"status\":{\"code\":2}}" : "],\"status\":{}}");
}

static void put_span(struct page *pg, struct buf *b, struct jv v, struct jv u,
    struct jv r, struct str id, int64_t start)
{
	static const char *const asked[] = {
		"gen_ai.operation.name", "gen_ai.conversation.id",
		"gen_ai.agent.id", "gen_ai.agent.name", "gen_ai.request.model",
		"gen_ai.request.max_tokens", "gen_ai.request.stream",
		"gen_ai.request.reasoning.level",
		"gen_ai.conversation.compacted", "cdx.class", "cdx.turn",
		"cdx.step"
	};
	static const char *const sent[] = {
		"gen_ai.provider.name", "server.address", "server.port"
	};
	static const char *const answered[] = {
		"http.response.status_code", "error.type",
		"gen_ai.response.id", "gen_ai.response.model",
		"gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens",
		"gen_ai.usage.cache_read.input_tokens",
		"gen_ai.usage.cache_write.input_tokens",
		"gen_ai.usage.output_tokens",
		"gen_ai.usage.reasoning.output_tokens", "cdx.cost_usd"
	};
	struct jv t = json_get(r, S("cdx.t"));
	int64_t end = start + page_nano(json_get(t, S("done"))) / 1000000;
	int any = 0;

	begin_span(pg, b, id, S(""));
	put_z(b, ",\"name\":\"chat ");
	buf_put(b, json_str(json_get(v, S("gen_ai.request.model"))).raw);
	put_z(b, "\",\"kind\":3");
	put_time(b, "startTimeUnixNano", start);
	put_time(b, "endTimeUnixNano", end);
	put_z(b, ",\"attributes\":[");
	put_attributes(b, &any, v, asked, COUNT(asked));
	put_attributes(b, &any, u, sent, COUNT(sent));
	put_attributes(b, &any, r, answered, COUNT(answered));
	put_attribute(b, &any, "gen_ai.response.time_to_first_chunk",
	    json_get(t, S("first")));
	put_z(b, json_type(json_get(r, S("error.type"))) == JSON_STRING ?
	    "],\"status\":{\"code\":2}}" : "],\"status\":{}}");
}

/* A request's line, and its other two where they are. */
static void put_request(struct page *pg, struct buf *b,
    const struct journal_line *l)
{
	struct arena work = pg->work;
	struct json doc[3];
	struct jv v, other[2] = { { NULL, 0 }, { NULL, 0 } };
	static const enum journal_kind kinds[] = { J_UPSTREAM, J_RESPONSE };
	struct journal_line o;
	struct json_iter it;
	struct str id;
	int64_t start;
	size_t i;

	if (json_parse(&doc[0], l->text, &work, NULL) != OK)
		return;
	v = json_root(&doc[0]);
	id = page_text(v, "id", &work);
	start = journal_when(page_text(v, "ts", &work));
	it = json_iter(json_get(v, S("cdx.tool_results")));
	while (json_next(&it))
		put_tool(pg, b, it.value, id, start);
	if (json_is(json_get(v, S("cdx.class")), S("count")))
		return;
	for (i = 0; i < 2; i++)
		if (journal_find(pg->j, id, kinds[i], l->seq, &o) == OK &&
		    json_parse(&doc[i + 1], o.text, &work, NULL) == OK)
			other[i] = json_root(&doc[i + 1]);
	if (json_type(other[1]) != JSON_ABSENT)	/* a span has an end */
		put_span(pg, b, v, other[0], other[1], id, start);
}

void page_otlp_open(struct buf *b)
{
	put_z(b, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":"
	    "\"service.name\",\"value\":{\"stringValue\":\"claudecodex\"}},"
	    "{\"key\":\"service.version\",\"value\":{\"stringValue\":\""
	    VERSION "\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":"
	    "\"claudecodex\",\"version\":\"" VERSION "\"},\"spans\":[\n");
}

void page_otlp_close(struct buf *b)
{
	put_z(b, "]}]}]}\n");
}

/* Without a session the request is a trace of its own. */
void page_otlp_request(struct page *pg, struct buf *b,
    const struct journal_line *l)
{
	struct arena all = pg->work;
	struct json doc;
	struct jv v;

	if (json_parse(&doc, l->text, &pg->work, NULL) == OK) {
		v = json_root(&doc);
		pg->name = page_text(v, "gen_ai.conversation.id", &pg->work);
		if (!pg->name.n)
			pg->name = page_text(v, "id", &pg->work);
		put_request(pg, b, l);
	}
	pg->work = all;
}

int page_next_otlp(struct page *pg, struct buf *b)
{
	struct journal_line l;
	int r;

	if (pg->state == AFTER)
		return E_NONE;
	if (pg->state == BEFORE) {
		pg->state = WITHIN;
		page_otlp_open(b);
		return OK;
	}
	r = page_line(pg, 0, &l);
	if (r == OK && l.kind == J_REQUEST)
		put_request(pg, b, &l);
	if (r != E_NONE)
		return r;
	page_otlp_close(b);
	pg->state = AFTER;
	return OK;
}
