/* page.c -- the monitor's answers, made from a journal of a few lines.
 *
 * The journal is played here: its lines are a table, so that a test can take
 * old ones away and let answers grow between two calls.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/loop.c */
/* link: net/sock.c */
/* link: monitor/page_events.c */
/* link: monitor/page_steps.c */
/* link: monitor/load.c */
/* link: monitor/page_prices.c */
/* link: monitor/fitness.c */
/* link: monitor/prices.c */
/* link: monitor/page_export.c */
/* link: monitor/page_har.c */
/* link: monitor/page_otlp.c */
/* link: monitor/page_replay.c */
#include "../../src/monitor/page.c"
#include "../../src/monitor/prices.h"
#include "t.h"

enum {
	LINES = 4096, TEXT = 8 << 20, SLOTS = 3, ROOM = 24 << 20,
	OUT = 32 << 20
};

/* ---- a journal -------------------------------------------------------- */

struct journal {
	uint64_t first, next;
	struct journal_line line[LINES];
	size_t n;
	char text[TEXT];
	struct { const char *id; int answer, pieces; } live[SLOTS];
	uint64_t live_count;
};

static struct journal played;

uint64_t journal_first(const struct journal *j)
{
	return j->first;
}

uint64_t journal_next(const struct journal *j)
{
	return j->next;
}

int journal_line(const struct journal *j, uint64_t seq,
    struct journal_line *out)
{
	if (seq < j->first || seq >= j->next || !j->line[seq].seq)
		return E_NONE;
	*out = j->line[seq];
	return OK;
}

static int names(struct str line, const char *key, struct str value)
{
	char text[256];

	snprintf(text, sizeof text, "\"%s\":\"%.*s\"", key, (int)value.n,
	    value.p);
	return str_find(line, str_of(text)) < line.n;
}

int journal_blob(const struct journal *j, struct str sha,
    struct journal_line *out)
{
	uint64_t i;

	for (i = j->first; i < j->next; i++)
		if (j->line[i].kind == J_BLOB &&
		    names(str_head(j->line[i].text, 200), "sha", sha))
			return journal_line(j, i, out);
	return E_NONE;
}

int journal_find(const struct journal *j, struct str id,
    enum journal_kind kind, uint64_t from, struct journal_line *out)
{
	uint64_t i = from < j->first ? j->first : from;

	for (; i < j->next; i++)
		if (j->line[i].kind == kind &&
		    names(str_head(j->line[i].text, 200), "id", id))
			return journal_line(j, i, out);
	return E_NONE;
}

uint64_t journal_hash(struct str s);
uint64_t journal_hash(struct str s)
{
	return (uint64_t)journal_key(s) << 20 | s.n;
}

uint32_t journal_key(struct str session)
{
	uint32_t h = 1;
	size_t i;

	for (i = 0; i < session.n; i++)
		h = h * 31 + (unsigned char)session.p[i];
	return h | 1;
}

size_t journal_slots(const struct journal *j)
{
	(void)j;
	return SLOTS;
}

uint64_t journal_live_count(const struct journal *j)
{
	return j->live_count;
}

/* Each piece is one word of block 0. */
int journal_live(const struct journal *j, size_t slot, struct live_cursor *c,
    struct live_piece *out)
{
	static const char words[] = "one two three four five six seven ";

	if (c->answer != (uint32_t)j->live[slot].answer)
		*c = (struct live_cursor){
			.answer = (uint32_t)j->live[slot].answer
		};
	if (c->at >= (uint32_t)j->live[slot].pieces)
		return E_NONE;
	memset(out, 0, sizeof *out);
	out->id = str_of(j->live[slot].id);
	out->kind = slot == 2 ? LIVE_INPUT : slot ? LIVE_THINKING : LIVE_TEXT;
	out->begins = c->at == 0;
	out->name = S("Bash");
	out->call = S("toolu_1");
	out->text.raw = (struct str){ words + c->at * 4,
	    ((size_t)j->live[slot].pieces - c->at) * 4 };
	c->at = (uint32_t)j->live[slot].pieces;
	return OK;
}

int journal_raw(const struct journal *j, struct str id, enum raw_side side,
    int head, struct buf *out)
{
	(void)j;
	if (!str_eq(id, S("req_1")) || side == RAW_CLIENT_RESPONSE)
		return E_NONE;
	if (head)
		buf_put(out, S("POST / HTTP/1.1\r\nA: b\r\n\r\n"));
	else
		buf_put(out, S("{\"a\":1}"));
	return side == RAW_UPSTREAM_RESPONSE && !head ? E_LIMIT : OK;
}

void journal_stats(const struct journal *j, struct journal_stats *out)
{
	memset(out, 0, sizeof *out);
	out->lines = j->next;
}

/* A line that is written, for replays. */
static char written_text[512];
static struct buf written;

struct buf *journal_begin(struct journal *j, enum journal_kind kind,
    struct str id, uint32_t session)
{
	(void)j;
	(void)session;
	written = buf_on(written_text, sizeof written_text);
	buf_put(&written, journal_kind_name(kind));
	buf_chr(&written, ' ');
	buf_put(&written, id);
	return &written;
}

void journal_put_text(struct journal *j, const char *key, struct str s)
{
	struct buf *b = &written;

	(void)j;
	buf_chr(b, ' ');
	buf_put(b, str_of(key));
	buf_chr(b, '=');
	buf_put(b, s);
}

uint64_t journal_end(struct journal *j)
{
	(void)j;
	return 1;
}

void label_set(struct label *l, struct str s)
{
	l->n = s.n < RECORD_TEXT ? s.n : RECORD_TEXT;
	memcpy(l->p, s.p, l->n);
}

struct str label_str(const struct label *l)
{
	return (struct str){ l->p, l->n };
}

/* rest: the members behind the common ones. */
static uint64_t add(enum journal_kind kind, const char *session,
    const char *id, const char *rest)
{
	struct journal *j = &played;
	uint64_t seq = j->next++;
	char *to = j->text + j->n;
	int n;

	n = snprintf(to, TEXT - j->n, "{\"v\":1,\"seq\":%d,\"ts\":"
	    "\"2026-11-25T13:10:%02d.500Z\",\"event\":\"%s\"%s%s%s%s}",
	    (int)seq, (int)(seq % 60), journal_kind_name(kind).p,
	    *id ? ",\"id\":\"" : "", id, *id ? "\"" : "", rest);
	j->line[seq] = (struct journal_line){ seq, kind,
	    *session ? journal_key(str_of(session)) : 0,
	    { to, (size_t)n } };
	j->n += (size_t)n;
	return seq;
}

#define SHA(c) c c c c c c c c

static void add_blob(const char *sha, const char *kind, const char *data)
{
	static char text[4 << 20];

	snprintf(text, sizeof text, ",\"sha\":\"%s\",\"kind\":\"%s\","
	    "\"bytes\":%zu,\"data\":%s", sha, kind, strlen(data), data);
	add(J_BLOB, "", "", text);
}

static void reset(void)
{
	memset(&played, 0, sizeof played);
	played.first = played.next = 1;
}

/* ---- taking an answer ------------------------------------------------- */

static char room[ROOM], got_text[OUT];
static struct monitor monitor;
static struct page_head head;
static struct fault fault;
static struct buf got;

static int open_at(const char *path, const char *query_text,
    const char *last)
{
	struct page_ask ask = { str_of(path), str_of(query_text),
	    str_of(last), { NULL, 0 } };
	struct arena a = { room, room + sizeof room };

	memset(&head, 0, sizeof head);
	got = buf_on(got_text, sizeof got_text);
	monitor.journal = &played;
	return page_open(&head, &monitor, &ask, &a, 1000, &fault);
}

/* To its end; every piece is checked against its limit. */
static struct str take(const char *path, const char *query_text)
{
	int r, calls = 0, over = 0;
	size_t was;

	if (open_at(path, query_text, "") != OK)
		return S("");
	do {
		was = got.n;
		r = page_more(head.page, &got, 0, 1000);
		over += got.n - was > PAGE_PIECE;
	} while (r != E_NONE && r != E_LIMIT && ++calls < 100000);
	T(!over, "%s: no piece is larger than said", path);
	T(r == E_NONE, "%s: ends", path);
	T(page_more(head.page, &got, 0, 1000) == E_NONE,
	    "%s: stays at its end", path);
	return buf_str(&got);
}

static int has(struct str s, const char *text)
{
	return str_find(s, str_of(text)) < s.n;
}

static size_t times(struct str s, const char *text)
{
	size_t n = 0, at;

	while ((at = str_find(s, str_of(text))) < s.n) {
		s = str_from(s, at + 1);
		n++;
	}
	return n;
}

static struct json doc;
static char doc_mem[64 << 20];

static struct jv parsed(struct str s, const char *what)
{
	struct arena a = { doc_mem, doc_mem + sizeof doc_mem };
	struct json_error e = { 0, 0, "" };

	T(json_parse(&doc, s, &a, &e) == OK, "%s is JSON: %s at %zu", what,
	    e.why, e.at);
	return json_root(&doc);
}

/* Two sessions, one with two steps, of which the second builds on the first,
 * and one in flight. */
static void usual(void)
{
	reset();
	add(J_SEGMENT, "", "", ",\"n\":1");
	add_blob(SHA("aaaa"), "system", "{\"type\":\"text\",\"text\":"
	    "\"You are an interactive agent\"}");
	add_blob(SHA("bbbb"), "tool", "[{\"name\":\"Bash\"}]");
	add_blob(SHA("1111"), "message", "{\"role\":\"user\",\"content\":"
	    "[{\"type\":\"text\",\"text\":\"find the <script>alert(1)"
	    "</script> \\u202eevil \xe2\x80\xae \\\"needle\\\"\"}]}");
	add(J_REQUEST, "s1", "req_1", ",\"gen_ai.operation.name\":\"chat\","
	    "\"gen_ai.conversation.id\":\"s1\",\"cdx.session.by\":\"header\","
	    "\"cdx.class\":\"main\",\"gen_ai.request.model\":\"m\","
	    "\"gen_ai.request.max_tokens\":100,\"gen_ai.request.stream\":true,"
	    "\"cdx.system\":[\"" SHA("aaaa") "\"],\"cdx.tools\":{\"sha\":\""
	    SHA("bbbb") "\",\"n\":1},\"cdx.messages\":{\"add\":[\""
	    SHA("1111") "\"],\"n\":1},\"cdx.body_bytes\":77,"
	    "\"cdx.preview\":\"find <b>it</b>\"");
	add(J_UPSTREAM, "s1", "req_1", ",\"attempt\":1,"
	    "\"gen_ai.provider.name\":\"openai\",\"server.port\":443");
	add(J_FIRST, "s1", "req_1",
	    ",\"gen_ai.response.time_to_first_chunk\":0.8");
	add_blob(SHA("2222"), "message", "{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"},"
	    "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"<img src=x "
	    "onerror=alert(1)>\",\"input\":{\"a\":\"</pre>\"}}]}");
	add(J_RESPONSE, "s1", "req_1", ",\"http.response.status_code\":200,"
	    "\"error.type\":null,\"gen_ai.response.model\":\"m2\","
	    "\"gen_ai.response.finish_reasons\":[\"tool_call\"],"
	    "\"cdx.stop_reason\":\"tool_use\",\"cdx.content\":[\""
	    SHA("2222") "\"],\"gen_ai.usage.input_tokens\":1000,"
	    "\"gen_ai.usage.cache_read.input_tokens\":900,"
	    "\"gen_ai.usage.output_tokens\":50,\"cdx.cost_usd\":0.0123,"
	    "\"cdx.t\":{\"accept\":0,\"sent\":0.1,\"first\":0.8,\"last\":"
	    "2.5,\"done\":2.5}");
	add(J_REQUEST, "s2", "req_x", ",\"gen_ai.conversation.id\":\"s2\","
	    "\"cdx.class\":\"count\",\"gen_ai.request.model\":\"m\"");
	add_blob(SHA("3333"), "message", "{\"role\":\"user\",\"content\":"
	    "[{\"type\":\"tool_result\",\"tool_use_id\":\"toolu_1\","
	    "\"is_error\":true,\"content\":\"exit 1 </pre><b>\"}]}");
	add(J_REQUEST, "s1", "req_2", ",\"gen_ai.operation.name\":\"chat\","
	    "\"gen_ai.conversation.id\":\"s1\",\"cdx.class\":\"main\","
	    "\"cdx.prev\":\"req_1\",\"gen_ai.request.model\":\"m\","
	    "\"cdx.system\":[\"" SHA("aaaa") "\"],\"cdx.messages\":{\"base\":"
	    "\"req_1\",\"keep\":1,\"add\":[\"" SHA("2222") "\",\""
	    SHA("3333") "\"],\"n\":3},\"cdx.tool_results\":[{"
	    "\"gen_ai.tool.call.id\":\"toolu_1\",\"gen_ai.tool.name\":"
	    "\"Bash\",\"ms\":742,\"by\":\"client\",\"error\":true}]");
	add(J_RESPONSE, "s1", "req_2", ",\"http.response.status_code\":529,"
	    "\"error.type\":\"overloaded_error\",\"cdx.error\":\"<i>no</i>\","
	    "\"cdx.stop_reason\":null,\"cdx.content\":[],\"cdx.cost_usd\":null"
	    ",\"cdx.t\":{\"accept\":0,\"done\":0.2}");
	add(J_REQUEST, "s1", "req_3", ",\"gen_ai.conversation.id\":\"s1\","
	    "\"cdx.class\":\"subagent\",\"cdx.messages\":{\"base\":\"req_0\","
	    "\"keep\":2,\"add\":[\"" SHA("1111") "\"],\"n\":3}");
}

/* ---- tests ------------------------------------------------------------ */

static void test_page(void)
{
	struct page_ask ask = { S("/app.js"), S(""), S(""), S("") };
	struct arena a = { room, room + sizeof room };
	struct str fields;

	usual();
	if (WEB_FILES == 0) {
		t_skip("src/web is empty: no page to serve");
		return;
	}
	T_INT(open_at("", "", ""), OK, "the page opens");
	fields = buf_str(&head.fields);
	T(!head.fields.full, "its fields fit");
	T(has(fields, "require-trusted-types-for 'script'") &&
	    has(fields, "trusted-types 'none'") &&
	    has(fields, "frame-ancestors 'none'") &&
	    has(fields, "default-src 'none'") &&
	    !has(fields, "unsafe"), "its policy");
	T(has(fields, "referrer-policy: no-referrer") &&
	    has(fields, "cross-origin-opener-policy: same-origin") &&
	    has(fields, "cross-origin-resource-policy: same-origin"),
	    "it stands alone");
	T(has(take("", ""), "/dashboard/app.js?v="), "its script by version");
	T_INT(open_at("/app.js", "", ""), OK, "the script opens");
	fields = buf_str(&head.fields);
	T(has(fields, "immutable") && has(fields, "etag: \""),
	    "for good, with a tag");
	ask.none_match = str_from(fields, str_find(fields, S("etag: ")) + 6);
	ask.none_match = str_head(ask.none_match, str_chr(ask.none_match,
	    '\r'));
	T_INT(page_open(&head, &monitor, &ask, &a, 0, &fault), OK,
	    "asked again");
	T_INT(head.status, 304, "not modified");
	T_INT(open_at("/index.html", "", ""), E_FAULT, "the page has one name");
}

static void test_heads(void)
{
	usual();
	T_INT(open_at("/data", "", ""), OK, "data opens");
	T(has(buf_str(&head.fields), "cache-control: no-store"),
	    "data is not kept");
	T_INT(open_at("/nothing", "", ""), E_FAULT, "an unknown path");
	T_INT(fault.status, 404, "is not found");
	T_INT(open_at("/session/none", "", ""), E_FAULT, "unknown session");
	T_INT(open_at("/request/none", "", ""), E_FAULT, "unknown request");
	T_INT(open_at("/blob/" SHA("ffff"), "", ""), E_FAULT, "unknown blob");
	T_INT(open_at("/export/s1", "as=exe", ""), E_FAULT, "unknown form");
	T_INT(open_at("/search", "q=", ""), E_FAULT, "an empty search");
	T_INT(open_at("/data", "limit=x", ""), E_FAULT, "limit x");
}

static void test_data(void)
{
	struct jv v, s;
	struct str t;

	usual();
	v = parsed(take("/data", "limit=2"), "data");
	T_INT(json_count(v), 2, "as many as asked for");
	T(json_is(json_get(json_at(v, 1), S("id")), S("req_3")),
	    "the newest last");
	v = parsed(take("/data", ""), "all data");
	T_INT(json_count(v), 9, "all lines but blobs");
	v = parsed(take("/session/s1", ""), "session");
	T_INT(json_count(json_get(v, S("lines"))), 7, "lines of one session");
	v = parsed(take("/sessions", ""), "sessions");
	v = json_get(v, S("sessions"));
	T_INT(json_count(v), 2, "two sessions");
	s = json_at(v, 0);
	T(json_is(json_get(s, S("id")), S("s1")), "the newest first");
	T(json_is(json_get(s, S("by")), S("header")), "how it is known");
	T(json_is(json_get(s, S("name")), S("find <b>it</b>")), "its name");
	T_INT(json_int(json_get(s, S("steps")), 0), 3, "steps");
	T_INT(json_int(json_get(s, S("in_flight")), 0), 1, "in flight");
	T_INT(json_int(json_get(s, S("errors")), 0), 1, "errors");
	T_INT(json_int(json_get(s, S("input_tokens")), 0), 1000, "tokens");
	T_STR(json_num(json_get(s, S("cost_usd"))), S("0.012300000"), "cost");
	T_INT(json_int(json_get(s, S("unpriced")), 0), 1, "unknown costs");
	T_INT(json_int(json_get(json_at(v, 1), S("steps")), -1), 0,
	    "a count is no step");
	t = take("/blob/" SHA("bbbb"), "");
	T_STR(t, S("[{\"name\":\"Bash\"}]"), "a blob is its data");
	T_INT(head.length, 17, "its length is known");
}

static void test_request(void)
{
	struct jv v;

	usual();
	v = parsed(take("/request/req_1", ""), "request");
	T_INT(json_count(json_get(v, S("lines"))), 4, "its lines");
	T_INT(json_count(json_get(v, S("blobs"))), 4, "its blobs");
	v = parsed(take("/request/req_2", ""), "second request");
	T_INT(json_count(json_get(v, S("messages"))), 3, "with those before");
	T(json_is(json_at(json_get(v, S("messages")), 0), S(SHA("1111"))) &&
	    json_is(json_at(json_get(v, S("messages")), 2), S(SHA("3333"))),
	    "in order");
	T(json_true(json_get(v, S("whole"))), "whole");
	T_INT(json_count(json_get(v, S("blobs"))), 3, "only new messages");
	v = parsed(take("/request/req_2", "all=1"), "all of it");
	T_INT(json_count(json_get(v, S("blobs"))), 4, "all messages");
	v = parsed(take("/request/req_3", ""), "third request");
	T(!json_true(json_get(v, S("whole"))), "what it builds on is gone");
	T(json_type(json_at(json_get(v, S("messages")), 0)) == JSON_NULL,
	    "what is missing is null");
}

static void test_raw(void)
{
	usual();
	T_STR(take("/request/req_1/raw", "side=client&part=request"),
	    S("POST / HTTP/1.1\r\nA: b\r\n\r\n{\"a\":1}"), "head and body");
	T_STR(head.type, S("text/plain; charset=utf-8"), "as text");
	T(has(buf_str(&head.fields), "attachment"), "to be saved");
	T_STR(take("/request/req_1/raw", "side=client&part=request&only=body"),
	    S("{\"a\":1}"), "body alone");
	take("/request/req_1/raw", "side=upstream&part=response");
	T(has(buf_str(&head.fields), "cdx-cut: true"), "cut, and says so");
	T_INT(open_at("/request/req_1/raw", "side=client&part=response", ""),
	    E_FAULT, "not kept");
	T_INT(open_at("/request/req_1/raw", "side=us", ""), E_FAULT,
	    "side must be one of two");
	T_INT(fault.status, 400, "and says so");
}

static void test_search(void)
{
	struct jv v;
	int i;

	usual();
	v = parsed(take("/search", "q=%22NEEDLE"), "search");
	T_INT(json_count(json_get(v, S("hits"))), 2, "each line that names it");
	T(json_is(json_get(json_at(json_get(v, S("hits")), 0), S("id")),
	    S("req_1")), "its request");
	T(json_is(json_get(json_at(json_get(v, S("hits")), 0), S("sha")),
	    S(SHA("1111"))), "its blob");
	v = parsed(take("/search", "q=absent"), "vain search");
	T_INT(json_count(json_get(v, S("hits"))), 0, "none");
	T(json_type(json_get(v, S("next"))) == JSON_NULL, "all was seen");
	for (i = 0; i < 300; i++) {
		char sha[64], rest[256];

		snprintf(sha, sizeof sha, "%032d", i);
		add_blob(sha, "message", "\"needle\"");
		snprintf(rest, sizeof rest, ",\"cdx.messages\":{\"add\":"
		    "[\"%s\"]}", sha);
		snprintf(sha, sizeof sha, "req_n%d", i);
		add(J_REQUEST, "s1", sha, rest);
	}
	v = parsed(take("/search", "q=needle"), "many");
	T_INT(json_count(json_get(v, S("hits"))), 200, "capped");
	T(json_int(json_get(v, S("next")), -1) > 0, "and says where to go on");
}

static void test_prices(void)
{
	static struct prices own = { .n = 1, .own = { { .n = 5, .name = "mo\"el",
		.price = { 12500, 600000, -1, -1, -1, 0, 0, 0, 0 } } } };
	struct jv v, list, row;
	size_t n;

	usual();
	v = parsed(take("/prices", ""), "prices");
	list = json_get(v, S("models"));
	T(json_str(json_get(v, S("date"))).raw.n == 10, "as of a day");
	n = json_count(list);
	T(n > 10, "the built-in table");
	row = json_get(list, S("openai/gpt-5-mini"));
	T_INT(json_count(row), 5, "five rates");
	T_STR(json_num(json_at(row, 1)), S("2.0000"), "a million of its output");
	T(json_type(json_at(row, 3)) == JSON_NULL, "not known is null");
	monitor.prices = &own;
	v = parsed(take("/prices", ""), "one's own");
	monitor.prices = NULL;
	T_INT(json_count(json_get(v, S("models"))), n + 1,
	    "beside the table");
	row = json_get(json_get(v, S("models")), S("mo\"el"));
	T_STR(json_num(json_at(row, 0)), S("1.2500"), "under its own name");
}

static void test_fitness(void)
{
	struct jv v, one;

	usual();
	v = parsed(take("/fitness", ""), "fitness");
	T_INT(json_count(json_get(v, S("models"))), 1, "one model served");
	one = json_at(json_get(v, S("models")), 0);
	T_INT(json_int(json_get(one, S("requests")), 0), 1,
	    "one request ended that anybody served");
	T(json_is(json_get(one, S("fit")), S("few")), "too few to tell");
	T(has(take("/export/s1", "as=html"), "<table>"), "in the export too");
	T(!has(take("/export/s2", "as=html"), "<table>"),
	    "of its session alone");
	reset();
	v = parsed(take("/fitness", ""), "fitness");
	T_INT(json_count(json_get(v, S("models"))), 0, "none before");
}

static void test_jsonl(void)
{
	struct str all, line;
	int64_t at, last = 0;
	size_t n = 0;

	usual();
	all = take("/export/s1", "as=jsonl");
	T_INT(times(all, "\"cdx.blob\""), 5, "each blob once");
	T(str_find(all, S("\"sha\":\"" SHA("1111"))) <
	    str_find(all, S("\"id\":\"req_1\"")), "before what names it");
	T(!has(all, "req_x"), "of this session alone");
	while (str_cut(&all, '\n', &line)) {
		T(json_check(line, NULL, NULL) == OK, "line %zu", n);
		at = json_int(json_get(parsed(line, "line"), S("seq")), 0);
		T(at > last, "in the order of their numbers");
		last = at;
		n++;
	}
	T_INT(n, 12, "blobs and lines");
	T(has(buf_str(&head.fields), "filename=\"claudecodex-s1.jsonl\""),
	    "its name");
}

static void test_html(void)
{
	static const char sly[] = "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\x1b[2J"
		"\xc2\x9b<\"'&>\xff\xef\xbb\xbf";
	char text[256];
	struct buf b = buf_on(text, sizeof text);
	struct str all;

	usual();
	all = take("/export/s1", "as=html");
	T(!has(all, "<script") && !has(all, "<img"), "no element of theirs");
	T(has(all, "&lt;script&gt;alert(1)"), "the text is there");
	T(!has(all, "\xe2\x80\xae"), "no mark turns the text");
	T(has(all, "\\u{202e}evil"), "it is shown");
	T(has(all, "&lt;img src=x onerror=alert(1)&gt;"), "a tool's name");
	T(has(all, "exit 1 &lt;/pre&gt;"), "a result");
	T(has(all, "&lt;i&gt;no&lt;/i&gt;"), "an error");
	T_INT(times(all, "<article"), 3, "a step each");
	T_INT(times(all, "</article>"), 3, "closed");
	T_INT(times(all, "<pre>"), times(all, "</pre>"), "all is closed");
	T(has(all, "in flight"), "what goes on says so");
	T(str_ends(all, S("</body></html>\n")), "whole");
	page_put_html(&b, (struct str){ sly, sizeof sly - 1 });
	T_STR(buf_str(&b), S("\\u{202e}\\u{2066}\\u{200f}\\u{001b}[2J"
	    "\\u{009b}&lt;&quot;&#39;&amp;&gt;\xef\xbf\xbd\\u{feff}"),
	    "whatever is sly");
}

/* Members that HAR 1.2 demands. */
static void check_entry(struct jv e)
{
	static const char *const request[] = { "method", "url", "httpVersion",
		"cookies", "headers", "queryString", "headersSize",
		"bodySize" };
	static const char *const response[] = { "status", "statusText",
		"httpVersion", "cookies", "headers", "content", "redirectURL",
		"headersSize", "bodySize" };
	static const char *const timings[] = { "send", "wait", "receive" };
	size_t i;

	for (i = 0; i < COUNT(request); i++)
		T(json_type(json_get(json_get(e, S("request")),
		    str_of(request[i]))), "HAR request.%s", request[i]);
	for (i = 0; i < COUNT(response); i++)
		T(json_type(json_get(json_get(e, S("response")),
		    str_of(response[i]))), "HAR response.%s", response[i]);
	for (i = 0; i < COUNT(timings); i++)
		T(json_type(json_get(json_get(e, S("timings")),
		    str_of(timings[i]))) == JSON_NUMBER, "HAR timings.%s",
		    timings[i]);
	T(json_type(json_get(e, S("time"))) == JSON_NUMBER &&
	    json_type(json_get(e, S("startedDateTime"))) == JSON_STRING &&
	    json_type(json_get(e, S("cache"))) == JSON_OBJECT, "HAR entry");
}

static void test_har(void)
{
	struct arena a = { doc_mem + (32 << 20), doc_mem + sizeof doc_mem };
	struct json inner;
	struct jv v, e, t;
	struct str s;
	size_t i;

	usual();
	v = json_get(parsed(take("/export/s1", "as=har"), "HAR"), S("log"));
	T(json_is(json_get(v, S("version")), S("1.2")), "HAR version");
	v = json_get(v, S("entries"));
	T_INT(json_count(v), 3, "an entry each");
	for (i = 0; i < 3; i++)
		check_entry(json_at(v, i));
	e = json_at(v, 1);
	t = json_get(json_get(json_get(e, S("request")), S("postData")),
	    S("text"));
	s = json_text(&a, json_str(t));
	T(json_parse(&inner, s, &a, NULL) == OK, "the body is JSON");
	T_INT(json_count(json_get(json_root(&inner), S("messages"))), 3,
	    "with all messages");
	T(json_is(json_get(json_root(&inner), S("model")), S("m")), "model");
	e = json_at(v, 0);
	T_STR(json_num(json_get(json_get(e, S("timings")), S("wait"))),
	    S("700.000"), "waited");
	T(json_is(json_get(json_get(json_get(e, S("request")),
	    S("postData")), S("text")), S("{\"a\":1}")), "bytes as sent");
	T_INT(json_count(json_get(json_get(e, S("request")), S("headers"))),
	    1, "fields as sent");
	t = json_get(json_get(json_get(e, S("response")), S("content")),
	    S("text"));
	s = json_text(&a, json_str(t));
	T(json_parse(&inner, s, &a, NULL) == OK, "the answer is JSON");
	T(json_is(json_get(json_root(&inner), S("type")), S("message")),
	    "a message");
}

static void test_otlp(void)
{
	struct jv v, s;

	usual();
	v = parsed(take("/export/s1", "as=otlp"), "OTLP");
	v = json_get(json_at(json_get(json_at(json_get(v,
	    S("resourceSpans")), 0), S("scopeSpans")), 0), S("spans"));
	T_INT(json_count(v), 3, "two requests that ended, one tool");
	s = json_at(v, 0);
	T_INT(json_str(json_get(s, S("traceId"))).raw.n, 32, "trace id");
	T_INT(json_str(json_get(s, S("spanId"))).raw.n, 16, "span id");
	T(json_is(json_get(s, S("name")), S("chat m")), "name");
	T_INT(json_int(json_get(s, S("kind")), 0), 3, "client");
	/* 2026-11-25T13:10:05.500Z and 2.5 s. */
	T(json_is(json_get(s, S("startTimeUnixNano")),
	    S("1795612205500000000")), "start");
	T(json_is(json_get(s, S("endTimeUnixNano")),
	    S("1795612208000000000")), "end");
	T(has(json_raw(s), "{\"key\":\"gen_ai.usage.input_tokens\",\"value\":"
	    "{\"intValue\":\"1000\"}}"), "tokens");
	T(has(json_raw(s), "\"gen_ai.response.finish_reasons\",\"value\":"
	    "{\"arrayValue\":{\"values\":[{\"stringValue\":\"tool_call\"}]}}"),
	    "an array");
	T(has(json_raw(json_at(v, 1)), "execute_tool Bash"), "a tool");
	T_INT(json_int(json_get(json_get(json_at(v, 2), S("status")),
	    S("code")), 0), 2, "an error");
}

/* ---- the stream ------------------------------------------------------- */

/* Takes all there is now. */
static struct str events(int64_t now, size_t backlog)
{
	int r, calls = 0;

	got.n = 0;
	do
		r = page_more(head.page, &got, backlog, now);
	while (r == OK && ++calls < 10000);
	return r == E_LIMIT ? S("LIMIT") : buf_str(&got);
}

static void test_resume(void)
{
	struct str s;

	usual();
	T_INT(open_at("/events", "", ""), OK, "events open");
	s = events(1000, 0);
	T_INT(times(s, "\nid: "), played.next - 1, "all lines");
	T(has(s, "event: stat\n"), "figures first");
	T(!has(s, "event: gap"), "no gap");
	open_at("/events", "after=9", "");
	s = events(1000, 0);
	T(!has(s, "id: 9\n") && has(s, "id: 10\n"), "behind that line");
	open_at("/events", "after=2", "11");
	s = events(1000, 0);
	T(!has(s, "id: 11\n") && has(s, "id: 12\n"),
	    "Last-Event-ID outranks the address");
	open_at("/events", "after=999", "");
	s = events(1000, 0);
	T(has(s, "event: gap\ndata: {\"after\":999,\"first\":1}"),
	    "a number of another life");
	T(has(s, "id: 1\n"), "then all there is");
	played.first = 8;
	open_at("/events", "after=3", "");
	s = events(1000, 0);
	T(has(s, "event: gap\ndata: {\"after\":3,\"first\":8}"),
	    "what the ring no longer has");
	T(has(s, "id: 8\n") && !has(s, "id: 7\n"), "and what it has");
	played.line[9].seq = 0;
	open_at("/events", "after=7", "");
	s = events(1000, 0);
	T(has(s, "id: 8\n") && has(s, "id: 10\n"),
	    "a number without a line is passed over");
	played.first = 8;
	open_at("/events", "after=7", "");
	T(!has(events(1000, 0), "event: gap"), "nothing between, no gap");
}

static void test_blobs_in_stream(void)
{
	static char big[20000];

	usual();
	memset(big, 'x', sizeof big - 1);
	big[0] = big[sizeof big - 2] = '"';
	add_blob(SHA("9999"), "message", big);
	open_at("/events", "", "");
	T(has(events(1000, 0), "\"sha\":\"" SHA("9999")
	    "\",\"kind\":\"message\",\"bytes\":19999}\n"), "by name alone");
	T(has(buf_str(&got), "\"data\":{\"role\""), "small ones whole");
}

static void test_deltas(void)
{
	struct str s;

	usual();
	played.live[0].id = "req_3";
	played.live[0].answer = 4;
	played.live[0].pieces = 2;
	played.live[1].id = "req_1";	/* ended long ago */
	played.live[1].answer = 1;
	played.live[1].pieces = 3;
	played.live_count = 5;
	open_at("/events", "after=14", "");
	s = events(1000, 0);
	T(has(s, "event: delta\ndata: {\"id\":\"req_3\",\"i\":0,\"k\":\"text\","
	    "\"d\":\"one two \",\"b\":1}\n"), "from its beginning");
	T(!has(s, "\"id\":\"req_1\",\"i\""), "what has ended is not told");
	T_INT(page_wake(head.page, 0, 1000), 3000, "then it rests");
	played.live[0].pieces = 3;
	played.live_count++;
	T_INT(page_wake(head.page, 0, 1010), 1050, "joined for 50 ms");
	T_INT(events(1010, 0).n, 0, "not before");
	s = events(1050, 0);
	T(has(s, "\"d\":\"thre\"}"), "only what is new");
	played.live[0].pieces = 4;
	played.live_count++;
	T_INT(events(1100, 20000).n, 0, "a slow watcher gets none");
	T_INT(page_wake(head.page, 20000, 1100), INT64_MAX,
	    "and is not tried again before it took some");
	add(J_RESPONSE, "s1", "req_3", ",\"x\":1");
	s = events(1100, 0);
	T(has(s, "event: delta") && str_find(s, S("event: delta")) <
	    str_find(s, S("cdx.response")), "the last before the end");
	played.live[2].id = "req_4";
	played.live[2].answer = 1;
	played.live[2].pieces = 1;
	played.live_count++;
	s = events(1200, 0);
	T(has(s, "\"k\":\"json\"") && has(s, "\"name\":\"Bash\",\"call\":"
	    "\"toolu_1\""), "a tool by its name");
	s = events(4000, 0);
	T(has(s, "event: stat"), "figures every two seconds");
	s = events(20000, 0);
	T(has(s, "\n:\n\n") || str_starts(s, S(":\n\n")), "a comment");
}

static void test_overtaken(void)
{
	usual();
	open_at("/events", "after=2", "");
	page_more(head.page, &got, 0, 1000);
	events(1000, 0);
	add(J_ALERT, "s1", "req_1", "");
	played.first = played.next++;
	T_STR(events(1000, 0), S("LIMIT"), "the ring overtook it");
}

/* Larger than any piece, or several: made of many units. */
static void test_large(void)
{
	static char rest[300000];
	struct str s;
	size_t i;

	usual();
	memset(rest, 'y', sizeof rest - 1);
	memcpy(rest, ",\"y\":\"", 6);
	rest[sizeof rest - 2] = '"';
	for (i = 0; i < 10; i++)
		add(J_ALERT, "s1", "req_1", rest);
	s = take("/session/s1", "");
	T(s.n > 3000000, "three megabytes");
	T_INT(json_count(json_get(parsed(s, "a large session"),
	    S("lines"))), 17, "every line");
	open_at("/session/s1", "", "");
	T_INT(page_more(head.page, &got, 0, 1000), OK, "there is more");
	T(got.n <= PAGE_PIECE, "a piece at a time");
	T_INT(page_wake(head.page, 0, 1000), 1000, "at once");
}

/* ---- replay ----------------------------------------------------------- */

static int replay_of(const char *id, int64_t max, struct replay *r)
{
	struct arena a = { room, room + sizeof room };

	memset(r, 0, sizeof *r);
	r->of = str_of(id);
	r->model = S("other \"model\"");
	r->max_tokens = max;
	monitor.journal = &played;
	return page_replay(&monitor, r, &a, &fault);
}

static void test_replay(void)
{
	struct replay r;
	struct jv v, m;

	usual();
	T_INT(replay_of("req_2", 0, &r), OK, "a request made anew");
	v = parsed(r.body, "its body");
	T(json_is(json_get(v, S("model")), S("other \"model\"")), "model");
	T_INT(json_int(json_get(v, S("max_tokens")), 0), 4096,
	    "where the record doesn't say");
	T(json_true(json_get(v, S("stream"))), "streamed");
	T_INT(json_count(json_get(v, S("system"))), 1, "system");
	m = json_get(v, S("messages"));
	T_INT(json_count(m), 3, "all messages");
	T_INT(json_count(json_get(json_at(m, 1), S("content"))), 1,
	    "without the first model's thinking");
	T(has(r.body, "\"tool_use_id\":\"toolu_1\""), "results stay");
	T_STR(r.session, S("s1"), "its session");
	page_replayed(&monitor, &r, S("req_9"));
	T_STR(buf_str(&written), S("cdx.replay req_9 of=req_2 model="
	    "other \"model\""), "the line that joins them");
	T_INT(replay_of("req_1", 7, &r), OK, "another");
	v = parsed(r.body, "its body");
	T_INT(json_int(json_get(v, S("max_tokens")), 0), 7, "as asked");
	T_INT(json_count(json_get(v, S("tools"))), 1, "tools");
	T_INT(replay_of("req_3", 0, &r), E_FAULT, "what isn't whole");
	T_INT(fault.status, 409, "is not sent");
	T_INT(replay_of("req_none", 0, &r), E_FAULT, "nor what isn't there");
	T_INT(fault.status, 404, "and says so");
}

static void test_replay_contents(void)
{
	struct replay r;

	reset();
	add_blob(SHA("aaaa"), "message", "{\"role\":\"user\",\"content\":["
	    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":"
	    "\"[image/png 48 KB sha=00]\"}},{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"t\",\"content\":[{\"type\":\"image\","
	    "\"source\":{\"data\":\"[image/png 1 KB sha=11]\"}}]}]}");
	add_blob(SHA("bbbb"), "message", "{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"thinking\",\"thinking\":\"x\"}]}");
	add_blob(SHA("cccc"), "message", "{\"cdx.cut\":\"a long\"}");
	add(J_REQUEST, "s1", "req_a", ",\"cdx.messages\":{\"add\":[\""
	    SHA("aaaa") "\",\"" SHA("bbbb") "\"]}");
	add(J_REQUEST, "s1", "req_b", ",\"cdx.messages\":{\"add\":[\""
	    SHA("cccc") "\"]}");
	T_INT(replay_of("req_a", 0, &r), OK, "images");
	parsed(r.body, "images");
	T(has(r.body, "{\"type\":\"text\",\"text\":\"[image/png 48 KB "
	    "sha=00]\"}"), "an image by its name");
	T(has(r.body, "\"content\":[{\"type\":\"text\",\"text\":"
	    "\"[image/png 1 KB"), "in a result too");
	T(!has(r.body, "\"thinking\":\"x\""), "no thinking");
	T_INT(replay_of("req_b", 0, &r), E_FAULT, "a message that was cut");
}

int main(void)
{
	test_page();
	test_heads();
	test_data();
	test_request();
	test_raw();
	test_search();
	test_prices();
	test_fitness();
	test_jsonl();
	test_html();
	test_har();
	test_otlp();
	test_resume();
	test_blobs_in_stream();
	test_deltas();
	test_overtaken();
	test_large();
	test_replay();
	test_replay_contents();
	return t_done("page");
}
