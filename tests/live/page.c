/* page.c -- the monitor over HTTP, asked of the running program.
 *
 *	build/tests/live/page [build/claudecodex]
 *
 * An upstream of our own streams as many words as the request's text says. The
 * test reads as watchers and as a client, and holds the one against the other:
 * what is told live, what the journal says, and that no watcher is felt.
 *
 * SPDX-License-Identifier: MIT */
#include <netinet/tcp.h>

#include "../../src/wire/http.h"
#include "../../src/wire/json.h"
#include "../unit/t.h"
#include "start.h"

enum {
	BUFFER = 8 << 20,
	SOON_MS = 6000,		/* for what should come at once */
	CONNECTIONS = 24,	/* of the program: 6 may watch */
	WATCHERS = CONNECTIONS / 4,
	WORDS = 250		/* of a long stream */
};

static char in_mem[BUFFER], body_mem[BUFFER], ask_mem[8192];
static char json_mem[32 << 20];
static struct json doc;
static struct http_head head;
static struct str body;
static struct started program;
static size_t in_n;		/* of in_mem, read so far */
static int listener, listener_port;
static const char *binary;

#define SESSION "8f3c0000-1111-2222-3333-444455556666"

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- the upstream ------------------------------------------------------- */

static void say_chunk(int fd, const char *delta, const char *finish)
{
	char data[512], text[600];

	snprintf(data, sizeof data, "data: {\"id\":\"c1\",\"object\":"
	    "\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"
	    "\"index\":0,\"delta\":{%s},\"finish_reason\":%s}]}\n\n", delta,
	    finish);
	snprintf(text, sizeof text, "%zx\r\n%s\r\n", strlen(data), data);
	say(fd, text);
}

/* "... words N every M": that many, so many ms apart. */
static void answer_one(int fd, const char *request)
{
	const char *w = strstr(request, "words "), *e = strstr(request,
	    "every ");
	long n = w ? strtol(w + 6, NULL, 10) : 3;
	long ms = e ? strtol(e + 6, NULL, 10) : 0, i;
	char word[64];

	say(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n");
	for (i = 0; i < n; i++) {
		snprintf(word, sizeof word, "\"content\":\"word%ld \"", i);
		say_chunk(fd, word, "null");
		if (ms)
			nap(ms);
	}
	say_chunk(fd, "", "\"stop\"");
	say(fd, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
}

static void serve_connection(int fd)
{
	static char text[1 << 20];
	size_t n = 0, end, length;
	const char *l;
	int on = 1;
	ssize_t r;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	while (n < sizeof text - 1 &&
	    (r = read(fd, text + n, sizeof text - 1 - n)) > 0) {
		n += (size_t)r;
		text[n] = '\0';
		end = http_head_end((struct str){ text, n }, 0);
		l = strstr(text, "ontent-length: ");
		if (!l)
			l = strstr(text, "ontent-Length: ");
		length = end && l ? (size_t)strtol(l + 15, NULL, 10) : 0;
		if (!end || n < end + length)
			continue;
		answer_one(fd, text + end);
		n = 0;
	}
	_exit(0);
}

static pid_t start_upstream(void)
{
	pid_t pid;
	int fd;

	listener = listen_free(&listener_port);
	pid = fork();
	if (pid != 0)
		return pid;
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd >= 0 && fork() == 0)
			serve_connection(fd);
		if (fd >= 0)
			close(fd);
	}
}

/* ---- asking ------------------------------------------------------------- */

static ssize_t read_some(int fd, char *p, size_t n, int64_t end)
{
	struct pollfd f = { fd, POLLIN, 0 };
	int64_t left = end - now_ms();
	ssize_t r;

	do {
		if (poll(&f, 1, left > 0 ? (int)left : 0) <= 0)
			return -1;
		r = recv(fd, p, n, 0);
	} while (r < 0 && (errno == EAGAIN || errno == EINTR));
	return r > 0 ? r : 0;
}

static int send_ask(const char *line, const char *fields, const char *content)
{
	int fd = dial(program.port);

	snprintf(ask_mem, sizeof ask_mem, "%s HTTP/1.1\r\n%s%s"
	    "Content-Length: %zu\r\n\r\n%s", line, strstr(fields, "Host:") ?
	    "" : "Host: localhost\r\n", fields, strlen(content), content);
	if (fd >= 0)
		say(fd, ask_mem);
	return fd;
}

/* Takes the framing off what has come. 1: the body is whole. */
static int unframe(struct str in)
{
	struct buf out = buf_on(body_mem, sizeof body_mem);
	struct http_body b;
	const char *why = "";
	size_t end = http_head_end(in, 0);
	struct str run;
	int r = OK;

	body = S("");
	head.status = 0;
	if (!end || http_response(&head, str_head(in, end), 0, &why) != OK)
		return 0;
	in = str_from(in, end);
	http_body_init(&b, &head);
	if (head.framing == HTTP_NO_BODY)
		return 1;
	while (r == OK && in.n) {
		r = http_body(&b, &in, &run);
		if (r == OK || r == E_NONE)
			buf_put(&out, run);
	}
	body = buf_str(&out);
	return r == E_NONE || b.done || (head.framing == HTTP_COUNTED &&
	    b.left == 0);
}

/* Reads until the answer is whole, or holds text, or the time is over. */
static int read_on(int fd, const char *text, int ms)
{
	int64_t end = now_ms() + ms;
	ssize_t r;

	for (;;) {
		r = read_some(fd, in_mem + in_n, sizeof in_mem - in_n, end);
		if (r > 0)
			in_n += (size_t)r;
		if (unframe((struct str){ in_mem, in_n }))
			return 1;
		if (text && str_find(body, str_of(text)) < body.n)
			return 1;
		if (r <= 0)
			return 0;
	}
}

static int read_until(int fd, const char *text, int ms)
{
	in_n = 0;
	return read_on(fd, text, ms);
}

static int ask(const char *line, const char *fields, const char *content)
{
	int fd = send_ask(line, fields, content);

	read_until(fd, NULL, SOON_MS);
	close(fd);
	return head.status;
}

static int get(const char *path)
{
	char line[512];

	snprintf(line, sizeof line, "GET %s", path);
	return ask(line, "Connection: close\r\n", "");
}

static int has(struct str s, const char *text)
{
	return str_find(s, str_of(text)) < s.n;
}

static struct jv got_json(const char *what)
{
	struct arena a = { json_mem, json_mem + sizeof json_mem };
	struct json_error e = { 0, 0, "" };

	T(json_parse(&doc, body, &a, &e) == OK, "%s is JSON: %s", what, e.why);
	return json_root(&doc);
}

static int send_message(const char *text, int stream)
{
	char content[1024];

	snprintf(content, sizeof content, "{\"model\":\"claude-opus-5-5\","
	    "\"max_tokens\":100,\"stream\":%s,\"messages\":[{\"role\":"
	    "\"user\",\"content\":\"%s\"}]}", stream ? "true" : "false", text);
	return send_ask("POST /v1/messages", "Connection: close\r\n"
	    "x-claude-code-session-id: " SESSION "\r\n", content);
}

/* ---- who may ------------------------------------------------------------ */

static const char *const paths[] = {
	"/dashboard", "/dashboard/app.js", "/dashboard/data",
	"/dashboard/events", "/dashboard/sessions",
	"/dashboard/session/" SESSION, "/dashboard/request/req_1",
	"/dashboard/request/req_1/raw?side=client&part=request",
	"/dashboard/blob/00000000000000000000000000000000",
	"/dashboard/search?q=word", "/dashboard/export/" SESSION "?as=html"
};

static void test_refusals(void)
{
	static const char *const fields[] = {
		"Host: evil.test\r\n", "Host: 127.0.0.1.evil.test:80\r\n",
		"Origin: https://evil.test\r\n", "Origin: null\r\n",
		"Origin: http://localhost:1\r\n",
		"Sec-Fetch-Site: cross-site\r\n",
		"Sec-Fetch-Site: same-site\r\n"
	};
	char line[512], all[256];
	size_t i, k;

	for (i = 0; i < COUNT(paths); i++)
		for (k = 0; k < COUNT(fields); k++) {
			snprintf(line, sizeof line, "GET %s", paths[i]);
			snprintf(all, sizeof all, "%sConnection: close\r\n",
			    fields[k]);
			T_INT(ask(line, all, ""), 403, "%s with %s", paths[i],
			    fields[k]);
			T(!has(body, "<html") && !has(body, "word") &&
			    body.n < 600, "no content of %s", paths[i]);
			T(!http_field(&head,
			    S("access-control-allow-origin")).p,
			    "no CORS on %s", paths[i]);
		}
	T_INT(ask("POST /dashboard/replay", "Connection: close\r\n", "{}"),
	    404, "replay is off");
	T_INT(ask("POST /dashboard/data", "Connection: close\r\n", "{}"), 405,
	    "data is read only");
	T_INT(ask("GET /dashboard/data", "Connection: close\r\n"
	    "Sec-Fetch-Site: same-origin\r\n", ""), 200, "our own page may");
}

static void test_root(void)
{
	T_INT(ask("GET /", "Connection: close\r\nAccept: text/html\r\n", ""),
	    303, "a browser is sent on");
	T_STR(http_field(&head, S("location")), S("/dashboard"), "to the page");
	T_INT(get("/"), 200, "others get JSON");
	T(has(body, "\"messages\":\"/v1/messages\""), "as before");
}

static void test_head(void)
{
	static const char *const all[][2] = {
		{ "x-content-type-options", "nosniff" },
		{ "referrer-policy", "no-referrer" },
		{ "cross-origin-opener-policy", "same-origin" },
		{ "cross-origin-resource-policy", "same-origin" },
		{ "cache-control", "no-store" }
	};
	size_t i;

	T_INT(get("/dashboard/sessions"), 200, "sessions");
	for (i = 0; i < COUNT(all); i++)
		T_STR(http_field(&head, str_of(all[i][0])), str_of(all[i][1]),
		    "%s", all[i][0]);
	T(has(http_field(&head, S("content-security-policy")),
	    "default-src 'none'"), "a policy");
	T_INT(ask("HEAD /dashboard/events", "Connection: close\r\n", ""), 200,
	    "HEAD of the stream ends");
	if (get("/dashboard") != 200) {
		t_skip("src/web is empty: no page to serve");
		return;
	}
	T(has(http_field(&head, S("content-security-policy")),
	    "require-trusted-types-for 'script'"), "the page's policy");
}

/* ---- what is told ------------------------------------------------------- */

/* Words arrive at a watcher before the answer has ended. */
static void test_live(void)
{
	int watcher = send_ask("GET /dashboard/events?after=0", "", ""), fd;

	T(read_until(watcher, "event: stat", SOON_MS), "a watcher is told");
	fd = send_message("words 6 every 150", 1);
	T(read_on(watcher, "word1 ", 900), "words come while they stream");
	T(has(body, "\"event\":\"cdx.request\""), "behind the request");
	T(!has(body, "cdx.response"), "and before its end");
	T(has(body, "event: delta\ndata: {\"id\":\"req_"), "as deltas");
	close(watcher);
	read_until(fd, NULL, SOON_MS);
	close(fd);
	T_INT(get("/dashboard/sessions"), 200, "sessions");
	T(has(body, SESSION), "its name is there");
	T(json_count(json_get(got_json("sessions"), S("sessions"))) > 0,
	    "told of");
	T_INT(get("/dashboard/data?limit=5"), 200, "data");
	T(json_count(got_json("data")) > 0, "lines");
}

static void test_request(void)
{
	char path[256];
	struct jv lines, v;
	struct str id;

	get("/dashboard/session/" SESSION);
	lines = json_get(got_json("session"), S("lines"));
	id = json_str(json_get(json_at(lines, 0), S("id"))).raw;
	snprintf(path, sizeof path, "/dashboard/request/%.*s", (int)id.n,
	    id.p);
	T_INT(get(path), 200, "%s", path);
	v = got_json("request");
	T(json_count(json_get(v, S("lines"))) >= 2, "its lines");
	T(json_type(json_get(v, S("blobs"))) == JSON_OBJECT, "its blobs");
	T_INT(get("/dashboard/export/" SESSION "?as=har"), 200, "HAR");
	v = json_get(json_get(got_json("HAR"), S("log")), S("entries"));
	T(json_count(v) > 0, "entries");
	T_INT(get("/dashboard/export/" SESSION "?as=otlp"), 200, "OTLP");
	T(json_type(json_get(got_json("OTLP"), S("resourceSpans"))) ==
	    JSON_ARRAY, "spans");
	T_INT(get("/dashboard/export/" SESSION "?as=jsonl"), 200, "JSON lines");
	T(str_starts(body, S("{\"v\":1")), "lines");
	T_INT(get("/dashboard/export/" SESSION "?as=html"), 200, "HTML");
	T(str_ends(body, S("</html>\n")) && !has(body, "<script"),
	    "whole, and without a script");
	T_INT(get("/dashboard/search?q=words"), 200, "search");
	T(json_type(json_get(got_json("search"), S("hits"))) == JSON_ARRAY,
	    "hits");
}

static void test_resume(void)
{
	char line[128];
	uint64_t last;
	int fd;

	get("/dashboard/sessions");
	last = (uint64_t)json_int(json_get(got_json("sessions"), S("next")),
	    0) - 1;
	snprintf(line, sizeof line, "Last-Event-ID: %d\r\n", (int)last - 1);
	fd = send_ask("GET /dashboard/events", line, "");
	snprintf(line, sizeof line, "\nid: %d\n", (int)last);
	T(read_until(fd, line, SOON_MS), "the line that was missed");
	snprintf(line, sizeof line, "\nid: %d\n", (int)last - 1);
	T(!has(body, line), "and none that wasn't");
	T(!has(body, "event: gap"), "no gap");
	close(fd);
	fd = send_ask("GET /dashboard/events?after=99999999", "", "");
	T(read_until(fd, "event: gap", SOON_MS), "a number from elsewhere");
	close(fd);
}

/* ---- watchers that don't read ------------------------------------------- */

static struct str told_text(void)
{
	static char text[1 << 20];
	struct buf b = buf_on(text, sizeof text);
	struct str s = body, line;

	while (str_cut(&s, '\n', &line))
		if (has(line, "text_delta"))
			buf_put(&b, str_from(line, str_find(line,
			    S("\"text\":"))));
	return buf_str(&b);
}

static int64_t stream_words(struct str *text)
{
	char ask_for[64];
	int64_t began = now_ms();
	int fd;

	snprintf(ask_for, sizeof ask_for, "words %d every 2", WORDS);
	fd = send_message(ask_for, 1);
	T(read_until(fd, NULL, 20000), "a stream of %d words", WORDS);
	close(fd);
	*text = told_text();
	return now_ms() - began;
}

static void test_stuck(void)
{
	static char before[1 << 20];
	int watcher[WATCHERS + 1], small = 1024, i, fd;
	struct str text, alone;
	int64_t free_ms, held_ms;

	free_ms = stream_words(&text);
	T(has(text, "word0 ") && has(text, "word249 "), "all words");
	memcpy(before, text.p, text.n);
	alone = (struct str){ before, text.n };
	for (i = 0; i < WATCHERS; i++) {
		watcher[i] = send_ask("GET /dashboard/events?after=0", "", "");
		setsockopt(watcher[i], SOL_SOCKET, SO_RCVBUF, &small,
		    sizeof small);
	}
	nap(100);
	T_INT(get("/dashboard/events"), 503, "no more than a share may watch");
	T_INT(get("/dashboard/blob/0"), 404, "small answers go on");
	held_ms = stream_words(&text);
	T_STR(text, alone, "the same words with %d stuck watchers", WATCHERS);
	/* A machine that is busy elsewhere may be so more than once. */
	for (i = 0; i < 4 && held_ms >= free_ms + free_ms / 2 + 200; i++)
		held_ms = stream_words(&text);
	T(held_ms < free_ms + free_ms / 2 + 200, "in the same time: %d ms, "
	    "%d ms alone", (int)held_ms, (int)free_ms);
	close(watcher[0]);
	nap(500);
	fd = send_ask("GET /dashboard/events?after=0", "", "");
	T(read_until(fd, "event: stat", SOON_MS), "a place is free again");
	close(fd);
	for (i = 1; i < WATCHERS; i++)
		close(watcher[i]);
}

/* ---- programs ----------------------------------------------------------- */

static int start_with(const char *const *more)
{
	static char url[64], most[32];
	const char *settings[16] = { "LLM_BACKEND=openai_compatible", url,
		"OPENAI_MODEL=m", most, "NO_COLOR=1" };
	size_t n = 5;

	snprintf(url, sizeof url, "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    listener_port);
	snprintf(most, sizeof most, "MAX_CONNECTIONS=%d", CONNECTIONS);
	while (more && *more && n < COUNT(settings) - 1)
		settings[n++] = *more++;
	settings[n] = NULL;
	return T(start(&program, binary, settings), "the program starts");
}

static void run_plain(void)
{
	int64_t began;
	int fd;

	if (!start_with(NULL))
		return;
	test_root();
	test_live();
	test_refusals();
	test_head();
	test_request();
	test_resume();
	test_stuck();
	fd = send_ask("GET /dashboard/events", "", "");
	read_until(fd, "event: stat", SOON_MS);
	began = now_ms();
	T(stop(&program, 0), "it ends");
	T(now_ms() - began < 3000, "and doesn't wait for its watchers");
	close(fd);
}

static void run_small_ring(void)
{
	static const char *const more[] = { "MONITOR_MEMORY=65536", NULL };
	int i, fd;

	if (!start_with(more))
		return;
	for (i = 0; i < 200; i++) {
		fd = send_message("words 4 every 0", 1);
		read_until(fd, NULL, SOON_MS);
		close(fd);
	}
	fd = send_ask("GET /dashboard/events?after=1", "", "");
	T(read_until(fd, "event: gap", SOON_MS), "what the ring lost is named");
	close(fd);
	stop(&program, 0);
}

static void run_token(void)
{
	static const char *const more[] = { "MONITOR_TOKEN=open-sesame-1",
		NULL };
	char fields[512];
	struct str cookie;

	if (!start_with(more))
		return;
	T_INT(get("/dashboard"), 401, "without the token");
	T_INT(get("/dashboard/data"), 401, "nor its data");
	T_INT(get("/dashboard?token=wrong-sesame1"), 401, "a wrong one");
	T_INT(get("/dashboard/data?token=open-sesame-1"), 401,
	    "only at the door");
	T_INT(get("/dashboard?token=open-sesame-1"), 303, "the right one");
	T_STR(http_field(&head, S("location")), S("/dashboard"),
	    "leads to an address without it");
	cookie = http_field(&head, S("set-cookie"));
	T(has(cookie, "HttpOnly") && has(cookie, "SameSite=Strict"),
	    "as a cookie no script reads");
	T(!has(cookie, "sesame"), "that doesn't tell the token");
	cookie = str_head(cookie, str_chr(cookie, ';'));
	snprintf(fields, sizeof fields, "Cookie: a=b; %.*s\r\n"
	    "Connection: close\r\n", (int)cookie.n, cookie.p);
	T_INT(ask("GET /dashboard/data", fields, ""), 200, "which opens");
	T_INT(ask("GET /dashboard/data", "Authorization: Bearer "
	    "open-sesame-1\r\nConnection: close\r\n", ""), 200, "or Bearer");
	snprintf(fields, sizeof fields, "Cookie: claudecodex_%d=00\r\n"
	    "Connection: close\r\n", program.port);
	T_INT(ask("GET /dashboard/data", fields, ""), 401, "another cookie");
	stop(&program, 0);
}

static void run_key(void)
{
	static const char *const more[] = { "PROXY_API_KEY=key-of-proxy",
		NULL };

	if (!start_with(more))
		return;
	T_INT(get("/dashboard/data"), 401, "the proxy's key closes it");
	T_INT(ask("GET /dashboard/data", "x-api-key: key-of-proxy\r\n"
	    "Connection: close\r\n", ""), 200, "and opens it");
	stop(&program, 0);
}

static void run_wide(void)
{
	static const char *const more[] = { "PROXY_API_KEY=key-of-proxy",
		"SERVER_HOST=0.0.0.0", NULL };

	if (!start_with(more))
		return;
	T_INT(ask("GET /dashboard/data", "x-api-key: key-of-proxy\r\n"
	    "Connection: close\r\n", ""), 404,
	    "beyond this machine there is no monitor without a token");
	T_INT(ask("GET /", "Connection: close\r\nAccept: text/html\r\n"
	    "x-api-key: key-of-proxy\r\n", ""), 200, "the plain page");
	T(has(body, "MONITOR_TOKEN"), "says so");
	stop(&program, 0);
}

static int post_replay(const char *origin, const char *site,
    const char *type, const char *content)
{
	char fields[512];

	snprintf(fields, sizeof fields, "%s%sContent-Type: %s\r\n",
	    origin, site, type);
	return ask("POST /dashboard/replay", fields, content);
}

static void run_replay(void)
{
	static const char *const more[] = { "MONITOR_REPLAY=1", NULL };
	static const char json[] = "application/json";
	static const char site[] = "Sec-Fetch-Site: same-origin\r\n";
	char own[96], content[256], path[128];
	struct str id;
	int fd;

	if (!start_with(more))
		return;
	fd = send_message("words 5 every 0", 1);
	read_until(fd, NULL, SOON_MS);
	close(fd);
	snprintf(own, sizeof own, "Host: localhost:%d\r\nOrigin: "
	    "http://localhost:%d\r\n", program.port, program.port);
	T_INT(post_replay("Origin: null\r\n", site, json, "{}"), 403,
	    "replay: origin null");
	T_INT(post_replay("Origin: http://evil.test\r\n", site, json, "{}"),
	    403, "replay: another origin");
	T_INT(post_replay("", site, json, "{}"), 403, "replay: no origin");
	T_INT(post_replay(own, "", json, "{}"), 403, "replay: from nowhere");
	T_INT(post_replay(own, "Sec-Fetch-Site: cross-site\r\n", json, "{}"),
	    403, "replay: cross-site");
	T_INT(post_replay(own, site, "text/plain", "{}"), 415,
	    "replay: a form's type");
	T_INT(post_replay(own, site, json, "{"), 400, "replay: no JSON");
	T_INT(post_replay(own, site, json, "{\"of\":\"req_none\","
	    "\"model\":\"m\",\"confirm_cost\":true}"), 404,
	    "replay: of nothing");
	get("/dashboard/data?limit=1");
	id = json_str(json_get(json_at(got_json("data"), 0), S("id"))).raw;
	snprintf(content, sizeof content, "{\"of\":\"%.*s\",\"model\":\"other"
	    "\"}", (int)id.n, id.p);
	T_INT(post_replay(own, site, json, content), 400,
	    "replay: its cost is not confirmed");
	T(has(body, "1 KB to m at "), "and is said: %.*s", (int)body.n,
	    body.p);
	get("/dashboard/data?limit=1");
	id = json_str(json_get(json_at(got_json("data"), 0), S("id"))).raw;
	snprintf(content, sizeof content, "{\"of\":\"%.*s\",\"model\":"
	    "\"openai:other\",\"confirm_cost\":true}", (int)id.n, id.p);
	T_INT(post_replay(own, site, json, content), 202, "replay: taken on");
	id = json_str(json_get(got_json("replay"), S("id"))).raw;
	snprintf(path, sizeof path, "/dashboard/request/%.*s", (int)id.n,
	    id.p);
	nap(300);		/* nobody waits at the other end */
	T_INT(get(path), 200, "replay: it is recorded");
	T(has(body, "\"cdx.class\":\"replay\"") && has(body,
	    "\"event\":\"cdx.replay\"") && has(body,
	    "\"cdx.model.served\":\"other\"") && has(body,
	    "\"cdx.outcome\":\"done\""), "replay: as what it is: %.*s",
	    (int)body.n, body.p);
	T(has(body, "word4 "), "replay: with its answer");
	stop(&program, 0);
}

int main(int argc, char **argv)
{
	pid_t upstream;

	signal(SIGPIPE, SIG_IGN);
	binary = argc > 1 ? argv[1] : "build/claudecodex";
	upstream = start_upstream();
	run_plain();
	run_small_ring();
	run_token();
	run_key();
	run_wide();
	run_replay();
	kill(upstream, SIGTERM);
	waitpid(upstream, NULL, 0);
	return t_done("page");
}
