/* anthropic.c -- tests of the anthropic backend: what passes, what never does,
 * and what the record gets.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/anthropic.c"

static struct {
	struct sink sink;
	char memory[262144], message[65536];
	struct buf whole;
	struct fold fold;
	struct arena a;
	struct json doc;
	struct request req;
	struct notes notes;
	struct ids ids;
	struct state state;
	struct upstream up;
	struct http_head client, reply;
	struct call c;
	struct usage usage;
	enum stop_reason stop;
	unsigned starts, stops;
} w;

static void take(struct sink *s, const struct event *e)
{
	(void)s;
	w.starts += e->type == EV_MESSAGE_START;
	w.stops += e->type == EV_MESSAGE_STOP;
	if (e->type == EV_MESSAGE_DELTA) {
		w.usage = e->usage;
		w.stop = e->stop;
	}
	fold_event(&w.fold, e);
}

static void field(const char *name, const char *value)
{
	struct http_field *f = &w.client.fields[w.client.nfields++];

	f->name = str_of(name);
	f->value = str_of(value);
}

/* A call with that body (NULL: none) for that upstream host. */
static void set_up(const char *text, const char *host)
{
	struct fault f;

	memset(&w.state, 0, sizeof w.state);
	w.a = (struct arena){ w.memory, w.memory + sizeof w.memory };
	w.sink.event = take;
	w.whole = buf_on(w.message, sizeof w.message);
	fold_init(&w.fold, &w.whole, 0);
	w.starts = w.stops = 0;
	w.notes.n = 0;
	w.client = (struct http_head){ .path = S("/v1/messages") };
	w.reply = (struct http_head){ .status = 200, .nfields = 1 };
	w.reply.fields[0].name = S("content-type");
	w.reply.fields[0].value = S("text/event-stream; charset=utf-8");
	w.up = (struct upstream){ .backend = &backend_anthropic, .tls = 1,
	    .name = S("anthropic"), .host = str_of(host),
	    .authority = str_of(host) };
	w.c = (struct call){ .kind = CALL_MESSAGES, .up = &w.up, .a = &w.a,
	    .notes = &w.notes, .ids = &w.ids, .client = &w.client,
	    .state = &w.state, .counted = -1 };
	if (text) {
		T_INT(json_parse(&w.doc, str_of(text), &w.a, NULL), OK, "%s",
		    text);
		T_INT(request_parse(&w.req, &w.doc, 0, &w.a, &w.notes, &f), OK,
		    "%s", text);
		w.c.req = &w.req;
		w.c.model = json_text(&w.a, w.req.model);
	}
	w.c.answer.sink = &w.sink;
	w.c.answer.id = S("msg_1");
	w.c.answer.model = (struct jstr){ S("asked") };
}

static struct str body(void)
{
	static char room[65536];
	struct buf b = buf_on(room, sizeof room);
	size_t i;

	for (i = 0; i < w.c.nbody; i++)
		buf_put(&b, w.c.body[i]);
	return buf_str(&b);
}

#define BODY "{\"hologram\":1,\"model\":\"claude-x\",\"max_tokens\":9," \
	"\"messages\":[{\"role\":\"user\",\"content\":\"x\"}] }"
#define HOME "api.anthropic.com"

static void test_body(void)
{
	static const char history[] = "{\"messages\":[{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":"
	    "\"p1.abc\"},{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"thinking\","
	    "\"thinking\":\"k\",\"signature\":\"genuine\"}]},{\"role\":"
	    "\"assistant\",\"content\":[ {\"type\":\"thinking\",\"thinking\":\"h\"}"
	    " ]},{\"role\":\"user\",\"content\":\"x\"}],\"model\":\"m\","
	    "\"max_tokens\":9}";

	set_up(BODY, HOME);
	T_INT(w.notes.n, 1, "the parser noted what it doesn't know");
	T_INT(backend_anthropic.encode(&w.c), OK, "encode");
	T_INT(w.c.nbody, 1, "one slice");
	T_STR(body(), S(BODY), "verbatim");
	T(w.c.body[0].p == w.req.body.p, "not a copy");
	T_INT(w.notes.n, 0, "nothing was dropped, nothing is said");
	T_INT(w.c.estimate, 0, "no estimate before it is needed");

	set_up(BODY, HOME);
	w.c.model = S("claude \"y\"");
	T_INT(backend_anthropic.encode(&w.c), OK, "encode");
	T_INT(w.c.nbody, 3, "three slices");
	T_STR(body(), S("{\"hologram\":1,\"model\":\"claude \\\"y\\\"\","
	    "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}"
	    "] }"), "the model alone is replaced");

	set_up(history, HOME);
	w.c.model = S("n");
	T_INT(backend_anthropic.encode(&w.c), OK, "encode");
	T_STR(body(), S("{\"messages\":[{\"role\":\"assistant\",\"content\":["
	    "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"thinking\","
	    "\"thinking\":\"k\",\"signature\":\"genuine\"}]},{\"role\":"
	    "\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"(thinking "
	    "of another model)\"}]},{\"role\":\"user\",\"content\":\"x\"}],"
	    "\"model\":\"n\",\"max_tokens\":9}"),
	    "note 21: foreign signatures go, genuine ones stay");
	T_INT(w.notes.n, 1, "note 21: said");
	T_INT(w.notes.v[0].count, 2, "note 21: twice");

	set_up(NULL, HOME);
	w.c.kind = CALL_MODELS;
	T_INT(backend_anthropic.encode(&w.c), OK, "a list has no body");
	T_INT(w.c.nbody, 0, "a list has no body");
}

static int has(const char *s)
{
	return str_find(w.c.head, str_of(s)) < w.c.head.n;
}

static void test_head(void)
{
	set_up(BODY, HOME);
	w.client.path = S("//v1///messages");
	w.client.query = S("beta=true");
	w.up.base = S("/gate/v1");
	field("Host", "localhost:8082");
	field("x-api-key", "client-key");
	field("anthropic-version", "2026-10-21");
	field("anthropic-beta", "a-1,b-2");
	field("anthropic-beta", "c-3");
	field("User-Agent", "claude-cli/2.1");
	field("X-Claude-Code-Session-Id", "s");
	field("x-stainless-retry-count", "0");
	field("x-app", "cli");
	field("Cookie", "secret");
	field("traceparent", "00-1");
	field("connection", "keep-alive, x-stainless-os");
	field("x-stainless-os", "hop");
	field("transfer-encoding", "chunked");
	field("accept-encoding", "gzip, br");
	field("content-encoding", "x");
	field("accept", "application/json");
	T_INT(backend_anthropic.encode(&w.c), OK, "encode");
	T_INT(backend_anthropic.head(&w.c), OK, "head");
	T(str_starts(w.c.head, S("POST /gate/v1/messages?beta=true HTTP/1.1\r\n"
	    "host: api.anthropic.com\r\nuser-agent: claude-cli/2.1\r\n")),
	    "AN-3 target and host: %.*s", (int)w.c.head.n, w.c.head.p);
	T(has("\r\nanthropic-version: 2026-10-21\r\n"), "version");
	T(!has("2023-06-01"), "one version");
	T(has("\r\nanthropic-beta: a-1,b-2\r\nanthropic-beta: c-3\r\n"),
	    "every repeat of anthropic-beta");
	T(has("X-Claude-Code-Session-Id: s\r\n"), "session");
	T(has("x-stainless-retry-count: 0\r\n"), "stainless");
	T(has("x-app: cli\r\n"), "x-app");
	T(has("x-api-key: client-key\r\n"), "its own credential, to Anthropic");
	T(has("accept-encoding: identity\r\n"), "identity");
	T(has("content-type: application/json\r\n"), "type");
	T(!has("ookie") && !has("traceparent") && !has("gzip") &&
	    !has("chunked") && !has("content-encoding"), "nothing else");
	T(!has("x-stainless-os"), "what Connection names is hop by hop");
	T(!has("localhost"), "one host");
	T(str_ends(w.c.head, S("\r\n\r\n")), "the empty line");

	set_up(BODY, HOME);
	w.up.key = S("sk-ant-api03-k");
	field("x-api-key", "client-key");
	field("authorization", "Bearer client");
	backend_anthropic.encode(&w.c);
	T_INT(backend_anthropic.head(&w.c), OK, "head");
	T(has("x-api-key: sk-ant-api03-k\r\n"), "the configured key");
	T(!has("client"), "and no other");
	T(has("anthropic-version: 2023-06-01\r\n"), "AN 1.1 default version");

	set_up(BODY, "gateway.example");
	field("authorization", "Bearer client");
	backend_anthropic.encode(&w.c);
	T_INT(backend_anthropic.head(&w.c), E_FAULT, "not to another host");
	T_INT(w.c.fault.status, 401, "not to another host");
	T_INT(w.c.fault.should_retry, 0, "AN-23");
	set_up(BODY, "evil-anthropic.com");
	field("x-api-key", "client");
	backend_anthropic.encode(&w.c);
	T_INT(backend_anthropic.head(&w.c), E_FAULT, "nor to one that looks so");
	set_up(BODY, HOME);
	w.up.tls = 0;
	field("x-api-key", "client");
	backend_anthropic.encode(&w.c);
	T_INT(backend_anthropic.head(&w.c), E_FAULT, "nor in the clear");

	set_up(BODY, HOME);
	w.c.own_key = S("proxy-key");
	field("x-api-key", "proxy-key");
	field("authorization", "Bearer mine");
	backend_anthropic.encode(&w.c);
	T_INT(backend_anthropic.head(&w.c), OK, "head");
	T(!has("proxy-key"), "the proxy's own key is never sent on");
	T(has("authorization: Bearer mine\r\n"), "the other is");

	set_up(NULL, HOME);
	w.c.kind = CALL_MODELS;
	w.client.path = S("/v1/models");
	w.client.query = S("limit=1000");
	T_INT(backend_anthropic.head(&w.c), OK, "a list");
	T(str_starts(w.c.head, S("GET /v1/models?limit=1000 HTTP/1.1\r\n")),
	    "a list");
	T(!has("content-"), "has no body");
	w.c.client = NULL;
	T_INT(backend_anthropic.head(&w.c), OK, "without a client");
	T(str_starts(w.c.head, S("GET /v1/models HTTP/1.1\r\n")), "a list");
}

/* ---- answers ---- */

static const char stream[] =
	"event: message_start\n"
	"data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_up\",\"usage\":"
	"{\"input_tokens\":100,\"output_tokens\":1,\"cache_read_input_tokens\":50,"
	"\"cache_creation_input_tokens\":7,\"cache_creation\":{"
	"\"ephemeral_1h_input_tokens\":3}}}}\n\n"
	"event: ping\ndata: {\"type\":\"ping\"}\n\n"
	"event: content_block_start\n"
	"data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{"
	"\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
	"event: content_block_delta\n"
	"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
	"\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
	"event: content_block_delta\n"
	"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
	"\"signature_delta\",\"signature\":\"sig\"}}\n\n"
	"event: content_block_stop\n"
	"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
	"event: content_block_start\n"
	"data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{"
	"\"type\":\"text\",\"text\":\"\"}}\n\n"
	"event: hologram\ndata: {\"type\":\"hologram\"}\n\n"
	"event: content_block_delta\n"
	"data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
	"\"text_delta\",\"text\":\"caf\\u00e9\"}}\n\n"
	"event: content_block_delta\n"
	"data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
	"\"input_json_delta\",\"partial_json\":\"lost\"}}\n\n"
	"event: content_block_stop\n"
	"data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
	"event: content_block_start\n"
	"data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{"
	"\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"ls\",\"input\":{}}}\n\n"
	"event: content_block_delta\n"
	"data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":"
	"\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"}}\n\n"
	"event: content_block_delta\n"
	"data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":"
	"\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n"
	"event: content_block_stop\n"
	"data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
	"event: message_delta\n"
	"data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\","
	"\"stop_sequence\":null},\"usage\":{\"input_tokens\":null,"
	"\"output_tokens\":42,\"output_tokens_details\":{\"thinking_tokens\":9}}}"
	"\n\n"
	"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

#define FOLDED "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"," \
	"\"signature\":\"sig\"},{\"type\":\"text\",\"text\":\"caf\\u00e9\"," \
	"\"citations\":null},{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":" \
	"\"ls\",\"caller\":{\"type\":\"direct\"},\"input\":{\"a\":1}}]," \
	"\"stop_reason\":\"tool_use\""

/* Shows decode the text in steps of n bytes. */
static int feed(struct str text, size_t n, int clean)
{
	static char in[65536];
	struct str rest = { in, 0 };
	size_t at = 0, more;
	int r = OK;

	backend_anthropic.begin(&w.c, &w.reply);
	do {
		more = text.n - at < n ? text.n - at : n;
		memmove(in, rest.p, rest.n);
		memcpy(in + rest.n, text.p + at, more);
		rest = (struct str){ in, rest.n + more };
		at += more;
		r = backend_anthropic.decode(&w.c, &rest, at == text.n, clean);
	} while (r == OK && at < text.n);
	return r;
}

static void check_answer(size_t n)
{
	T(str_find(buf_str(&w.whole), S(FOLDED)) < w.whole.n,
	    "in steps of %u: %.*s", (unsigned)n, (int)w.whole.n, w.whole.p);
	T_INT(w.starts, 1, "one start");
	T_INT(w.stops, 1, "one stop");
	T_INT(w.usage.input, 100, "a null count keeps its value");
	T_INT(w.usage.output, 42, "output");
	T_INT(w.usage.cache_read, 50, "cache read");
	T_INT(w.usage.cache_write, 7, "cache write");
	T_INT(w.usage.cache_write_1h, 3, "for an hour");
	T_INT(w.usage.thinking, 9, "thinking");
	T_INT(w.usage.estimated, 0, "the service's own figures");
}

/* Deltas that differ in their text alone are taken without parsing. */
static void test_alike(void)
{
#define EVENT(x) "data: {\"type\":" x "}\n\n"
#define BEGIN EVENT("\"message_start\",\"message\":{}") \
	EVENT("\"content_block_start\",\"index\":0,\"content_block\":" \
	"{\"type\":\"text\",\"text\":\"\"}")
#define TEXT(x) EVENT("\"content_block_delta\",\"index\":0,\"delta\":" \
	"{\"type\":\"text_delta\",\"text\":" x "}")
#define THOUGHT(x) EVENT("\"content_block_delta\",\"index\":0,\"delta\":" \
	"{\"type\":\"thinking_delta\",\"thinking\":" x "}")
#define STOP EVENT("\"content_block_stop\",\"index\":0") \
	EVENT("\"message_stop\"")
	static const char words[] = BEGIN TEXT("\"a\"") TEXT("\"\"")
	    TEXT("\"\\\"b\"") TEXT("\"c\",\"text\":\"d\"") TEXT("\"e\"")
	    THOUGHT("\"f\"") THOUGHT("\"g\"") TEXT("null") TEXT("\"h\"")
	    TEXT("\"i\"") STOP TEXT("\"k\"");
	size_t n;

	for (n = 1; n < sizeof words + 7; n += n < 9 ? 1 : 61) {
		set_up(BODY, HOME);
		T_INT(feed(S(words), n, 1), CALL_DONE, "alike");
		T(str_find(buf_str(&w.whole), S("\"text\":\"a\\\"bdehi\""))
		    < w.whole.n, "in steps of %u: %.*s", (unsigned)n,
		    (int)w.whole.n, w.whole.p);
		T(w.usage.estimated && w.c.estimate > 0,
		    "no usage: an estimate");
	}
	set_up(BODY, HOME);
	T_INT(feed(S(BEGIN TEXT("\"a\"") TEXT("\"b\"") TEXT("\"\\x\"")
	    STOP), 4000, 1), E_MORE, "broken text is no text");
}

static void test_stream(void)
{
	size_t n;
	struct str cut = S(stream);

	for (n = 1; n < sizeof stream + 7; n += n < 9 ? 1 : 61) {
		set_up(BODY, HOME);
		T_INT(feed(S(stream), n, 1), CALL_DONE, "in steps of %u",
		    (unsigned)n);
		check_answer(n);
	}
	/* Cut anywhere before the last event is complete: never finished. */
	for (n = 0; n + 2 < cut.n; n += 97) {
		set_up(BODY, HOME);
		T_INT(feed(str_head(cut, n), 4096, 0), E_MORE,
		    "note 6: cut at %u", (unsigned)n);
		T_INT(w.stops, 0, "note 6: no end is made up");
	}
	set_up(BODY, HOME);
	T_INT(feed(S("event: error\ndata: {\"type\":\"error\",\"error\":{"
	    "\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"), 99,
	    1), E_FAULT, "an error event");
	T_INT(w.c.fault.status, 529, "its status");
	T_STR(fault_text(&w.c.fault), S("upstream anthropic: Overloaded"),
	    "its words");
	set_up(BODY, HOME);
	T_INT(feed(S("data: {oops\n\n"), 99, 1), E_MORE, "not JSON");
	T_INT(w.c.fault.status, 502, "not JSON");
}

static void test_whole(void)
{
	static const char text[] = "{\"type\":\"message\",\"content\":[{\"type\":"
	    "\"thinking\",\"thinking\":\"hm\",\"signature\":\"sig\"},{\"type\":"
	    "\"text\",\"text\":\"caf\\u00e9\"},{\"type\":\"tool_use\",\"id\":"
	    "\"toolu_1\",\"name\":\"ls\",\"input\":{\"a\" : 1}}],\"stop_reason\":"
	    "\"tool_use\",\"usage\":{\"input_tokens\":100,\"output_tokens\":42,"
	    "\"cache_read_input_tokens\":50,\"cache_creation_input_tokens\":7,"
	    "\"cache_creation\":{\"ephemeral_1h_input_tokens\":3},"
	    "\"output_tokens_details\":{\"thinking_tokens\":9}}}";
	size_t n;

	for (n = 1; n < sizeof text + 7; n += 50) {
		set_up(BODY, HOME);
		w.reply.fields[0].value = S("application/json");
		T_INT(feed(S(text), n, 1), CALL_DONE, "whole, in steps of %u",
		    (unsigned)n);
		check_answer(n);
	}
	set_up(BODY, HOME);
	w.reply.fields[0].value = S("application/json");
	T_INT(feed(str_head(S(text), 99), 50, 0), E_FAULT, "cut");
	set_up(BODY, HOME);
	w.reply.fields[0].value = S("application/json");
	T_INT(feed(S("{\"content\":[{\"type\":\"redacted_thinking\",\"data\":"
	    "\"ZA==\"},{\"type\":\"hologram\"}],\"stop_reason\":\"stop_sequence\","
	    "\"stop_sequence\":\"END\"}"), 50, 1), CALL_DONE, "other blocks");
	T(str_find(buf_str(&w.whole), S("\"data\":\"ZA==\"")) < w.whole.n &&
	    str_find(buf_str(&w.whole), S("\"stop_sequence\":\"END\"")) <
	    w.whole.n, "%.*s", (int)w.whole.n, w.whole.p);
}

static void test_others(void)
{
	set_up(BODY, HOME);
	w.c.kind = CALL_COUNT;
	T_INT(feed(S("{\"input_tokens\":1234}"), 5, 1), CALL_DONE, "count");
	T_INT(w.c.counted, 1234, "count");
	set_up(NULL, HOME);
	w.c.kind = CALL_MODELS;
	T_INT(feed(S("{\"data\":[{\"id\":\"claude-a\"},{\"id\":\"b\\u0063\"},{}]}"),
	    5, 1), CALL_DONE, "models");
	T_INT(w.c.nmodels, 2, "models");
	T_STR(w.c.models[1], S("bc"), "models");

	set_up(BODY, HOME);
	w.up.key = S("sk-ant-secret-secret-secret");
	w.reply.status = 403;
	w.reply.fields[0].name = S("retry-after");
	w.reply.fields[0].value = S("7");
	T_INT(backend_anthropic.refuse(&w.c, &w.reply, S("{\"type\":\"error\","
	    "\"error\":{\"type\":\"permission_error\",\"message\":\"no: "
	    "sk-ant-secret-secret-secret\"}}")), E_FAULT, "refused");
	T_INT(w.c.fault.status, 403, "the service's own status");
	T_STR(str_of(w.c.fault.type), S("permission_error"), "and type");
	T_INT(w.c.fault.retry_after, 7, "and delay");
	T(str_find(fault_text(&w.c.fault), S("secret")) == w.c.fault.n,
	    "keys are masked: %.*s", (int)w.c.fault.n, w.c.fault.text);
	w.reply.status = 500;
	backend_anthropic.refuse(&w.c, &w.reply, S("<html>oops</html>"));
	T_STR(fault_text(&w.c.fault), S("upstream anthropic: <html>oops</html>"),
	    "no JSON");
}

/* What is kept of an event must not lie on the tokens it is read by. */
static void nearly_full(void)
{
	static char text[9000];
	struct anthropic_answer an;
	struct call c = w.c;
	struct arena a;
	size_t n, room;
	int r;

	n = (size_t)snprintf(text, sizeof text, "{\"type\":\"message_delta\","
	    "\"delta\":{\"stop_reason\":\"stop_sequence\","
	    "\"stop_sequence\":\"");
	memset(text + n, 'x', 8000);
	snprintf(text + n + 8000, sizeof text - n - 8000,
	    "\"},\"usage\":{\"output_tokens\":7}}");
	c.a = &a;
	for (room = 64; room < 40000; room += 8) {
		a = (struct arena){ w.memory, w.memory + room };
		memset(&an, 0, sizeof an);
		an.begun = 1;
		r = anthropic_event(&c, &an, str_of(text));
		T(r == E_FULL || (r == OK && an.usage.output == 7 &&
		    an.stop == STOP_SEQUENCE && (!an.stop_sequence.raw.n ||
		    an.stop_sequence.raw.n == 8000)), "room of %zu: %d", room,
		    r);
	}
	T_INT((int)an.stop_sequence.raw.n, 8000, "kept where there is room");
}

int main(void)
{
	test_body();
	test_head();
	test_alike();
	test_stream();
	test_whole();
	test_others();
	nearly_full();
	return t_done("anthropic");
}
