/* surface.c -- what a client of the Messages API may count on, asked of the
 * running program (AN-n): paths, headers, keys, names of models, the shape of
 * answers and errors. The demo answers.
 *
 *	build/tests/live/surface [build/claudecodex]
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/http.h"
#include "../../src/wire/json.h"
#include "../unit/t.h"
#include "start.h"

enum { ANSWER = 1 << 20, ANSWER_MS = 8000, SLOTS = 6 };

static struct started proxy;
static char in_mem[ANSWER], body_mem[ANSWER];
static struct http_head head;
static struct buf body;
static _Alignas(16) char json_mem[ANSWER];
static struct json doc;

#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define PLAIN "{\"model\":\"claude-x\",\"max_tokens\":64," ASK "}"
#define STREAM "{\"model\":\"claude-x\",\"max_tokens\":64,\"stream\":true," \
	ASK "}"

/* The whole answer, to the end of the connection. */
static size_t converse(const char *text)
{
	int64_t end = now_ms() + ANSWER_MS;
	struct pollfd p = { dial(proxy.port), POLLIN, 0 };
	size_t n = strlen(text), got = 0;
	ssize_t r = 1;

	if (p.fd < 0 || send(p.fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
		return 0;
	while (r > 0 && got < ANSWER) {
		if (poll(&p, 1, (int)(end - now_ms())) <= 0)
			break;
		r = recv(p.fd, in_mem + got, ANSWER - got, 0);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			r = 1;
		else if (r > 0)
			got += (size_t)r;
	}
	close(p.fd);
	return got;
}

/* target: with its method. fields: whole lines. The status; head, body and,
 * when that is JSON, doc are set. */
static int ask(const char *target, const char *fields, const char *text)
{
	static char all[8192];
	struct arena a = { json_mem, json_mem + sizeof json_mem };
	struct http_body framing;
	struct str in, run;
	const char *why;
	size_t end;
	int r = OK;

	snprintf(all, sizeof all, "%s HTTP/1.1\r\nHost: localhost\r\n%s"
	    "Connection: close\r\nContent-Length: %zu\r\n\r\n%s", target,
	    fields, strlen(text), text);
	in = (struct str){ in_mem, converse(all) };
	body = buf_on(body_mem, sizeof body_mem);
	memset(&doc, 0, sizeof doc);
	end = http_head_end(in, 0);
	if (!end || http_response(&head, str_head(in, end), 0, &why) != OK)
		return -1;
	in = str_from(in, end);
	http_body_init(&framing, &head);
	while (r == OK && in.n) {
		r = http_body(&framing, &in, &run);
		if (r != E_BAD)
			buf_put(&body, run);
	}
	if (json_parse(&doc, buf_str(&body), &a, NULL) != OK)
		memset(&doc, 0, sizeof doc);
	return head.status;
}

static struct jv at(const char *a, const char *b)
{
	struct jv v = { NULL, 0 };

	if (doc.text.p)
		v = json_get(json_root(&doc), str_of(a));
	return b ? json_get(v, str_of(b)) : v;
}

static struct str text_of(struct jv v)
{
	return json_str(v).raw;
}

static int has(const char *text)
{
	return str_find(buf_str(&body), str_of(text)) < body.n;
}

/* An error of Anthropic's shape, its id in the head and in the body. */
static void error_is(int status, const char *type, const char *label)
{
	struct str id = http_field(&head, S("request-id"));

	T_INT(head.status, status, "%s: status", label);
	T_STR(text_of(at("error", "type")), str_of(type), "%s: type", label);
	T(id.n == 28 && str_starts(id, S("req_")), "%s: request-id", label);
	T_STR(text_of(at("request_id", NULL)), id, "%s: request_id", label);
}

/* FN-53: it listens when all is ready. start() waits for the port alone, so the
 * first of these is the first request it ever gets. */
static void test_paths(void)
{
	T_INT(ask("POST /v1/messages?beta=true", "", PLAIN), 200,
	    "AN-1 a query is ignored");
	T_STR(text_of(at("type", NULL)), S("message"), "AN-1 a message");
	T_INT(ask("POST /v1/messages/count_tokens?beta=true", "", PLAIN), 200,
	    "AN-1 when counting too");
	T(json_int(at("input_tokens", NULL), 0) > 0, "a count");
	T_INT(ask("GET /v1/models/claude%2Fx%3Aone", "", ""), 200,
	    "AN-2 an escaped id");
	T_STR(text_of(at("id", NULL)), S("claude/x:one"), "AN-2 decoded");
	T_INT(ask("POST //v1//messages", "", PLAIN), 200,
	    "AN-3 slashes collapse");
	T_INT(ask("HEAD /", "", ""), 200, "the probe at start");
	T_INT((int)body.n, 0, "no body");
	ask("POST /v1/messages/batches", "", "{}");
	error_is(404, "not_found_error", "batches");
	ask("GET /v1/nothing", "", "");
	error_is(404, "not_found_error", "another path");
	ask("POST /model/anthropic.claude-x/invoke", "", PLAIN);
	error_is(404, "not_found_error", "BR-141 BR-142 a path of Bedrock's");
	T(str_find(buf_str(&body), S("CLAUDE_CODE_USE_BEDROCK")) < body.n,
	    "BR-142 what to set instead");
	ask("GET /v1/messages", "", "");
	error_is(405, "invalid_request_error", "another method");
	T_STR(http_field(&head, S("allow")), S("POST"), "and which would do");
}

static void test_headers(void)
{
	T_INT(ask("POST /v1/messages", "Content-Type: text/plain\r\n"
	    "anthropic-version: 2031-01-01\r\n", PLAIN), 200,
	    "JSON whatever the type says, any version");
	T_INT(ask("POST /v1/messages", "anthropic-beta: x-2031,, y\r\n"
	    "anthropic-beta: \r\nanthropic-beta: interleaved-thinking-2025-05-14"
	    "\r\n", PLAIN), 200, "AN-6 betas are hints");
	ask("POST /v1/messages", "Content-Encoding: gzip\r\n", PLAIN);
	error_is(400, "invalid_request_error", "AN-4 an encoding");
	T_STR(text_of(json_get(at("error", "details"), S("error_code"))),
	    S("request_body_encoding_unsupported"), "AN-4 its code");
	ask("POST /v1/messages", "Accept: text/event-stream\r\n", PLAIN);
	T_STR(http_field(&head, S("content-type")), S("application/json"),
	    "AN-7 FN-12 the body alone asks for a stream");
	ask("POST /v1/messages", "Accept: application/json\r\n", STREAM);
	T_STR(http_field(&head, S("content-type")),
	    S("text/event-stream; charset=utf-8"), "AN-7 OA-14 a stream");
	T(has("event: message_start") && has("event: message_stop"),
	    "AN-7 whole");
}

/* Sections 3 and 4: every key, for old clients and new ones. */
static void test_shape(void)
{
	static const char *const versions[] = { "2023-06-01", "2026-10-21" };
	static const char *const keys[] = { "id", "type", "role", "model",
		"content", "stop_reason", "stop_sequence", "stop_details",
		"container", "diagnostics", "usage" };
	static const char *const usage[] = { "input_tokens", "output_tokens",
		"cache_creation_input_tokens", "cache_read_input_tokens",
		"cache_creation", "output_tokens_details", "server_tool_use",
		"service_tier", "inference_geo", "speed" };
	char field[64];
	size_t i, k;

	for (i = 0; i < COUNT(versions); i++) {
		snprintf(field, sizeof field, "anthropic-version: %s\r\n",
		    versions[i]);
		T_INT(ask("POST /v1/messages", field, PLAIN), 200, "%s",
		    versions[i]);
		for (k = 0; k < COUNT(keys); k++)
			T(json_type(at(keys[k], NULL)) != JSON_ABSENT,
			    "AN-8 %s in %s", keys[k], versions[i]);
		for (k = 0; k < COUNT(usage); k++)
			T(json_type(at("usage", usage[k])) != JSON_ABSENT,
			    "AN-8 usage.%s in %s", usage[k], versions[i]);
		T(str_starts(text_of(at("id", NULL)), S("msg_")), "AN-13 id");
	}
}

static void test_models(void)
{
	struct jv first;

	T_INT(ask("POST /v1/messages", "", "{\"model\":\"claude-opus-9[1m]\","
	    "\"max_tokens\":64," ASK "}"), 200, "AN-28 any claude name");
	T_STR(text_of(at("model", NULL)), S("claude-opus-9[1m]"),
	    "AN-14 the name that was asked for");
	T_INT(ask("GET /v1/models/claude-haiku-4-5-20251001%5B1m%5D", "", ""),
	    200, "AN-28 any claude name is a model");
	T_STR(text_of(at("type", NULL)), S("model"), "AN-27 Anthropic's shape");
	T_INT(ask("GET /v1/models?limit=1000", "", ""), 200, "the list");
	T_INT(json_type(at("has_more", NULL)), JSON_FALSE, "AN-27 the list");
	first = json_at(at("data", NULL), 0);
	T(str_starts(text_of(json_get(first, S("id"))), S("claude")),
	    "AN-26 names that Claude Code shows come first: %.*s",
	    (int)body.n, body.p);
	T_STR(text_of(at("first_id", NULL)),
	    text_of(json_get(first, S("id"))), "AN-27 first_id");
	T_INT(ask("GET /v1/models?after_id=nobody", "", ""), 200,
	    "an unknown cursor");
	T(json_count(at("data", NULL)) == 0 &&
	    json_type(at("first_id", NULL)) == JSON_NULL, "an empty page");
}

/* A model of one's own has a name that the picker shows; one that the map
 * doesn't lead to has none. */
static void test_offers(void)
{
	struct jv list;

	T_INT(ask("GET /v1/models", "", ""), 200, "upstream down, a list");
	list = at("data", NULL);
	T_INT((int)json_count(list), 3, "AN-26 as many as can be asked for: "
	    "%.*s", (int)body.n, body.p);
	T_STR(text_of(json_get(json_at(list, 0), S("id"))), S("claude-one"),
	    "AN-26 the map's names");
	T_STR(text_of(json_get(json_at(list, 1), S("id"))),
	    S("claude-qwen-qwen3-coder"), "AN-26 an alias");
	T_STR(text_of(json_get(json_at(list, 1), S("display_name"))),
	    S("Qwen/Qwen3-Coder"), "and what it stands for");
	T_STR(text_of(json_get(json_at(list, 2), S("id"))),
	    S("Qwen/Qwen3-Coder"), "AN-26 then the upstream's own");
	T_INT((int)json_int(json_get(json_at(list, 1), S("max_input_tokens")),
	    0), 131072, "AN 8 the window, where it is known");
	T_INT((int)json_int(json_get(json_at(list, 1), S("max_tokens")), 0),
	    32000, "AN 8 the longest answer");
	T_INT(json_type(json_get(json_at(list, 0), S("max_input_tokens"))),
	    JSON_NULL, "AN 8 of another backend it isn't");
	T_INT(ask("GET /v1/models/claude-any", "", ""), 200, "one of them");
	T_INT((int)json_int(at("max_input_tokens", NULL), 0), 131072,
	    "AN 8 the window of one");
}

static void test_keys(void)
{
	T_INT(ask("POST /v1/messages", "x-api-key: right-key\r\n"
	    "Authorization: Bearer other\r\n", PLAIN), 200,
	    "AN-5 both, the one is right");
	T_INT(ask("POST /v1/messages", "x-api-key: other\r\n"
	    "Authorization: Bearer right-key\r\n", PLAIN), 200,
	    "AN-5 both, the other is right");
	ask("POST /v1/messages", "x-api-key: other\r\n"
	    "Authorization: Bearer another\r\n", PLAIN);
	error_is(401, "authentication_error", "AN-5 neither");
}

/* Whether /health is answered on this connection. */
static int well(int fd)
{
	static const char text[] = "GET /health HTTP/1.1\r\nHost: localhost"
		"\r\n\r\n";
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;

	if (send(fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0 ||
	    poll(&p, 1, ANSWER_MS) != 1)
		return 0;
	n = recv(fd, in_mem, ANSWER, 0);
	return n > 0 && str_starts((struct str){ in_mem, (size_t)n },
	    S("HTTP/1.1 200 "));
}

/* As many connections as there are slots, none of which has said a word yet:
 * room is made for one more that came, not for one that may come. */
static void test_full(void)
{
	int fd[SLOTS + 1], i, n = 0;

	for (i = 0; i < SLOTS; i++)
		fd[i] = dial(proxy.port);
	for (i = 0; i < SLOTS; i++)
		n += well(fd[i]);
	T_INT(n, SLOTS, "every slot is served at once");
	fd[SLOTS] = dial(proxy.port);
	T(well(fd[SLOTS]), "one more takes the place of one that rests");
	for (i = 0; i <= SLOTS; i++)
		close(fd[i]);
}

int main(int argc, char **argv)
{
	static const char *const demo[] = { "MODEL_MAP=claude-one=demo", NULL };
	static const char *const down[] = { "OPENAI_MODEL=Qwen/Qwen3-Coder",
		"OPENAI_FLAGS=context=131072,max_output=32000",
		"OPENAI_BASE_URL=http://127.0.0.1:1/v1",
		"ANTHROPIC_UPSTREAM_MODEL=claude-far",
		"ANTHROPIC_UPSTREAM_URL=http://127.0.0.1:1",
		"MODEL_MAP=claude-one=anthropic:claude-far", NULL };
	static const char *const keyed[] = { "PROXY_API_KEY=right-key", NULL };
	static const char *const small[] = { "MAX_CONNECTIONS=6", NULL };
	const char *name = argc > 1 ? argv[1] : getenv("CLAUDECODEX");

	name = name ? name : "build/claudecodex";
	if (T(start(&proxy, name, demo), "the program starts")) {
		test_paths();
		test_headers();
		test_shape();
		test_models();
	}
	T(stop(&proxy, t_count.failed > 0), "SIGTERM ends it");
	if (T(start(&proxy, name, down), "it starts without its upstream"))
		test_offers();
	T(stop(&proxy, t_count.failed > 0), "SIGTERM ends it");
	if (T(start(&proxy, name, keyed), "it starts with a key"))
		test_keys();
	T(stop(&proxy, t_count.failed > 0), "SIGTERM ends it");
	if (T(start(&proxy, name, small), "it starts with few slots"))
		test_full();
	T(stop(&proxy, t_count.failed > 0), "SIGTERM ends it");
	return t_done("surface");
}
