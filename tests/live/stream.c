/* stream.c -- answers of an OpenAI-compatible upstream that goes well, breaks,
 * stalls, refuses or floods, relayed by the running program.
 *
 *	build/tests/live/stream [build/claudecodex]
 *
 * Each group of cases is a process with a program and an upstream of its own,
 * so that groups wait at the same time. Within a group one thread plays both
 * ends: it asks as the client, answers as the upstream, and reads as the
 * client again. Every wait is bounded.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/http.h"
#include "../unit/t.h"
#include "start.h"

enum {
	BUFFER = 32 << 20,	/* of an answer; the flood's is the longest */
	ASKED_MAX = 1 << 16,	/* a request as the upstream gets it */
	SOON_MS = 4000,		/* for what should come at once */
	GONE_MS = 1000,		/* for the upstream to see the client leave */
	STREAMS = 40,		/* more than the program takes for few; */
	STREAMS_FEW = 20,	/* what there is room for on small machines */
	FLOOD_MAX = 64 << 20,	/* bytes the upstream would send */
	FLOOD_HELD = 8 << 20,	/* that may lie in sockets and buffers */
	RSS_KB = 8 << 10,	/* the program may grow by */
	SETTINGS_MAX = 16
};

/* A connection of the program to us. */
struct up {
	int fd;			/* -1: none */
	int reused;		/* the last request came on the one before */
	char mem[ASKED_MAX];
	struct buf in;
};

struct answer {
	int status, whole;
	struct buf in, body;
	char head[4096];	/* its text, lower case */
};

struct group {
	const char *name;
	void (*run)(void);
	const char *settings[5];
};

static char in_mem[BUFFER], body_mem[BUFFER];
static struct answer answer;
static struct up up;
static struct started proxy;
static int listener, listener_port;
static char binary[4096];

#define CHUNK(TEXT) "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\"," \
	"\"model\":\"m\",\"choices\":[{\"index\":0," TEXT "}]}\n\n"

static const char stream_head[] = "HTTP/1.1 200 OK\r\n"
	"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char hello[] = CHUNK("\"delta\":{\"role\":\"assistant\","
	"\"content\":\"hello \"},\"finish_reason\":null");
static const char world[] = CHUNK("\"delta\":{\"content\":\"world\"},"
	"\"finish_reason\":null");
static const char finish[] = CHUNK("\"delta\":{},\"finish_reason\":\"stop\"")
	"data: [DONE]\n\n";
static const char plain[] = "{\"id\":\"c1\",\"object\":\"chat.completion\","
	"\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
	"\"assistant\",\"content\":\"plain-answer\"},\"finish_reason\":"
	"\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1,"
	"\"total_tokens\":2}}";

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static int has(struct str s, const char *text)
{
	return str_find(s, str_of(text)) < s.n;
}

/* One read, waited for until end. Bytes, 0 at the end or a reset, -1 when
 * nothing came. */
static ssize_t read_some(int fd, struct buf *b, int64_t end)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left;
	ssize_t n;

	if (fd < 0 || b->n == b->cap)
		return 0;
	do {
		left = end - now_ms();
		if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
			return -1;
		n = recv(fd, b->p + b->n, b->cap - b->n, 0);
	} while (n < 0 && (errno == EAGAIN || errno == EINTR));
	if (n > 0)
		b->n += (size_t)n;
	return n > 0 ? n : 0;
}

/* ---- the upstream's side ------------------------------------------------ */

static void fd_end(int *fd, int reset)
{
	struct linger l = { 1, 0 };

	if (*fd < 0)
		return;
	if (reset)
		setsockopt(*fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(*fd);
	*fd = -1;
}

static void say_chunk(int fd, const char *text)
{
	char line[4096];

	snprintf(line, sizeof(line), "%zx\r\n%s\r\n", strlen(text), text);
	say(fd, line);
}

static void say_json(int fd, const char *status, const char *fields,
    const char *body)
{
	char text[4096];

	snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Type: "
	    "application/json\r\n%sContent-Length: %zu\r\n\r\n%s", status,
	    fields, strlen(body), body);
	say(fd, text);
}

static void say_start(int fd)
{
	say(fd, stream_head);
	say_chunk(fd, hello);
}

static void say_rest(int fd)
{
	say_chunk(fd, world);
	say_chunk(fd, finish);
	say(fd, "0\r\n\r\n");
}

static int request_whole(struct buf *in)
{
	static struct http_head h;
	struct str s = buf_str(in), run;
	size_t end = http_head_end(s, 0);
	struct http_body b;
	const char *why;
	int rc = OK;

	if (!end || http_request(&h, str_head(s, end), &why) != OK)
		return 0;
	s = str_from(s, end);
	http_body_init(&b, &h);
	while (rc == OK && s.n)
		rc = http_body(&b, &s, &run);
	return rc == E_NONE || b.done;
}

/* The next whole request, on the connection we have or on a new one. */
static int up_next(int ms)
{
	int64_t end = now_ms() + ms;
	struct pollfd p[2] = { { -1, POLLIN, 0 }, { -1, POLLIN, 0 } };

	up.in = buf_on(up.mem, sizeof(up.mem));
	up.reused = up.fd >= 0;
	p[0].fd = listener;
	while (now_ms() < end) {
		p[1].fd = up.fd;
		if (poll(p, 2, (int)(end - now_ms())) <= 0)
			continue;
		if (up.fd >= 0 && p[1].revents) {
			if (read_some(up.fd, &up.in, end) <= 0)
				fd_end(&up.fd, 0);
			else if (request_whole(&up.in))
				return 1;
		} else if (p[0].revents) {
			fd_end(&up.fd, 0);
			up.fd = accept(listener, NULL, NULL);
			up.in.n = 0;
			up.reused = 0;
			fcntl(up.fd, F_SETFD, FD_CLOEXEC);
		}
	}
	return 0;
}

/* Whether the program closes our connection within ms. */
static int up_closed(int64_t ms)
{
	static char mem[4096];
	struct buf b = buf_on(mem, sizeof(mem));

	return read_some(up.fd, &b, now_ms() + ms) == 0;
}

/* The next case begins with no connection in the pool. */
static void up_fresh(void)
{
	fd_end(&up.fd, 0);
	nap(20);
}

/* ---- the client's side -------------------------------------------------- */

static int ask_with(const char *fields, const char *text, int stream)
{
	char body[1024], all[2048];
	int n = snprintf(body, sizeof(body), "{\"model\":\"m\",\"max_tokens\":"
	    "64,\"temperature\":0.5,\"stream\":%s,\"messages\":[{\"role\":"
	    "\"user\",\"content\":\"%s\"}]}", stream ? "true" : "false", text);
	int fd = dial(proxy.port);

	snprintf(all, sizeof(all), "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nContent-Type: application/json\r\n%s"
	    "Connection: close\r\nContent-Length: %d\r\n\r\n%s", fields, n,
	    body);
	say(fd, all);
	return fd;
}

static int ask(int stream)
{
	return ask_with("", "hi", stream);
}

static void answer_start(void)
{
	answer.in = buf_on(in_mem, sizeof(in_mem));
}

/* What came so far is taken apart. */
static void answer_parse(int eof)
{
	static struct http_head h;
	struct str in = buf_str(&answer.in), run;
	size_t end = http_head_end(in, 0), i;
	struct http_body b;
	const char *why;
	int rc = OK;

	answer.body = buf_on(body_mem, sizeof(body_mem));
	answer.status = answer.whole = 0;
	answer.head[0] = '\0';
	h.status = 0;
	/* An interim response may come first. */
	while (end && http_response(&h, str_head(in, end), 0, &why) == OK &&
	    h.status < 200) {
		in = str_from(in, end);
		end = http_head_end(in, 0);
	}
	if (!end || h.status < 200)
		return;
	answer.status = h.status;
	for (i = 0; i < end && i < sizeof(answer.head) - 1; i++)
		answer.head[i] = in.p[i] >= 'A' && in.p[i] <= 'Z' ?
		    (char)(in.p[i] + 32) : in.p[i];
	answer.head[i] = '\0';
	in = str_from(in, end);
	http_body_init(&b, &h);
	while (rc == OK && in.n) {
		rc = http_body(&b, &in, &run);
		if (rc != E_BAD)
			buf_put(&answer.body, run);
	}
	answer.whole = rc != E_BAD && (b.done || rc == E_NONE ||
	    (eof && http_body_eof(&b) == OK));
}

/* The rest of the answer, to its end. */
static void answer_read(int *fd)
{
	int64_t end = now_ms() + SOON_MS;
	ssize_t n = 1;

	while (n > 0)
		n = read_some(*fd, &answer.in, end);
	answer_parse(n == 0);
	fd_end(fd, 0);
}

static void answer_all(int *fd)
{
	answer_start();
	answer_read(fd);
}

/* Until text has come, as it is on the wire. */
static int answer_until(int fd, const char *text)
{
	int64_t end = now_ms() + SOON_MS;

	while (!has(buf_str(&answer.in), text))
		if (read_some(fd, &answer.in, end) <= 0)
			return 0;
	return 1;
}

static int answer_has(const char *text)
{
	return has(buf_str(&answer.body), text);
}

/* A stream that looks complete, and is. */
static int answer_streamed(void)
{
	return answer.status == 200 && answer.whole &&
	    answer_has("event: message_start") && answer_has("hello ") &&
	    answer_has("world") && answer_has("event: message_stop") &&
	    !answer_has("event: error");
}

static int answer_cut(void)
{
	return answer.status == 200 && answer.whole &&
	    answer_has("event: error") && !answer_has("message_stop");
}

static int answer_plain(void)
{
	return answer.status == 200 && answer.whole &&
	    answer_has("plain-answer");
}

static int answer_error(int status, const char *text)
{
	return answer.status == status && answer.whole &&
	    answer_has("\"type\":\"error\"") && answer_has(text) &&
	    strstr(answer.head, "\r\nrequest-id: ") != NULL;
}

static const char *got(void)
{
	static char line[400];
	size_t n = answer.body.n < 300 ? answer.body.n : 300;

	snprintf(line, sizeof(line), "status %d%s: %.*s", answer.status,
	    answer.whole ? ", whole" : ", not whole", (int)n,
	    answer.body.p ? answer.body.p : "");
	return line;
}

/* ---- answers, refusals and connections ---------------------------------- */

static void case_stream(void)
{
	int i, fd;

	for (i = 0; i < 3; i++) {
		fd = ask(1);
		T(up_next(SOON_MS), "stream %d: it is asked for", i);
		T(up.reused == (i > 0), "stream %d: the connection is kept "
		    "after a chunked stream", i);
		say_start(up.fd);
		say_rest(up.fd);
		answer_all(&fd);
		T(answer_streamed(), "stream %d: %s", i, got());
	}
	up_fresh();
}

/* By FIN or RST, before or after the answer began. */
static void case_cut(int reset, int begun)
{
	const char *how = reset ? "RST" : "FIN";
	int fd = ask(1);

	T(up_next(SOON_MS), "cut: asked");
	T(!up.reused, "cut: on a new connection");
	answer_start();
	if (begun) {
		say_start(up.fd);
		T(answer_until(fd, "hello "), "AN-19 the text before it "
		    "comes at once");
	}
	fd_end(&up.fd, reset);
	/* Without a byte of an answer it is tried once more. */
	if (!begun) {
		T(up_next(SOON_MS) && !up.reused, "cut: asked once more");
		fd_end(&up.fd, reset);
		T(!up_next(100), "cut: not a third time");
	}
	answer_read(&fd);
	if (begun)
		T(answer_cut(), "cut by %s: an error event: %s", how, got());
	else
		T(answer_error(502, "api_error"), "cut by %s before the first "
		    "byte: %s", how, got());
}

/* FN-10: each fragment of a tool's arguments leaves when it came. */
static void case_fragments(void)
{
	int fd = ask(1);

	T(up_next(SOON_MS), "FN-10 asked");
	answer_start();
	say_start(up.fd);
	say_chunk(up.fd, CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,"
	    "\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":"
	    "\"Bash\",\"arguments\":\"{\\\"first\"}}]}"));
	T(answer_until(fd, "partial_json\":\"{\\\"first"), "FN-10 the first "
	    "fragment doesn't wait for the next: %s", got());
	say_chunk(up.fd, CHUNK("\"delta\":{\"tool_calls\":[{\"index\":0,"
	    "\"function\":{\"arguments\":\"\\\":1}\"}}]}"));
	T(answer_until(fd, "partial_json\":\"\\\":1}"), "FN-10 nor does the "
	    "second: %s", got());
	say_rest(up.fd);
	answer_read(&fd);
}

/* FN-54: what wasn't asked for can't be read, and isn't passed on. */
static void case_encoded(void)
{
	int fd = ask(0);

	T(up_next(SOON_MS), "FN-54 asked");
	T(has(buf_str(&up.in), "accept-encoding: identity\r\n"),
	    "FN-54 without compression");
	say_json(up.fd, "200 OK", "Content-Encoding: gzip\r\n", plain);
	answer_all(&fd);
	T(answer_error(502, "content-encoding gzip"), "FN-54 %s", got());
	up_fresh();
}

static void case_refusals(void)
{
	int fd = ask(1);

	T(up_next(SOON_MS), "429: asked");
	say_json(up.fd, "429 Too Many Requests", "Retry-After: 7\r\n",
	    "{\"error\":{\"message\":\"slow down\",\"type\":\"requests\","
	    "\"code\":\"rate_limit_exceeded\"}}");
	answer_all(&fd);
	T(answer_error(429, "rate_limit_error") &&
	    strstr(answer.head, "\r\nretry-after: 7\r\n"), "429: %s", got());

	fd = ask(1);
	T(up_next(SOON_MS), "401: asked");
	say_json(up.fd, "401 Unauthorized", "", "{\"error\":{\"message\":"
	    "\"bad key\",\"code\":\"invalid_api_key\"}}");
	answer_all(&fd);
	T(answer_error(401, "authentication_error") &&
	    strstr(answer.head, "\r\nx-should-retry: false\r\n"),
	    "401: %s", got());

	fd = ask(1);
	T(up_next(SOON_MS), "overflow: asked");
	say_json(up.fd, "400 Bad Request", "", "{\"error\":{\"message\":"
	    "\"This model's maximum context length is 8192 tokens. However, "
	    "your messages resulted in 9000 tokens.\",\"type\":"
	    "\"invalid_request_error\",\"param\":\"messages\",\"code\":"
	    "\"context_length_exceeded\"}}");
	answer_all(&fd);
	T(answer_error(400, "prompt is too long: 9000 tokens > 8192 maximum"),
	    "overflow: %s", got());
	up_fresh();
}

#define LIMITS "X-RateLimit-Limit-Requests: 60\r\n" \
	"x-ratelimit-remaining-tokens: 149984\r\n" \
	"x-ratelimit-reset-requests: 1m30s\r\n" \
	"x-ratelimit-reset-tokens: soon\r\n"

static int answer_limits(void)
{
	const char *at = strstr(answer.head,
	    "\r\nanthropic-ratelimit-requests-reset: 20");

	return strstr(answer.head,
	    "\r\nanthropic-ratelimit-requests-limit: 60\r\n") &&
	    strstr(answer.head,
	    "\r\nanthropic-ratelimit-tokens-remaining: 149984\r\n") &&
	    at && strcspn(at + 2, "\r") == strlen(
	    "anthropic-ratelimit-requests-reset: 2026-11-25t13:10:25z") &&
	    !strstr(answer.head, "tokens-reset") &&
	    !strstr(answer.head, "x-ratelimit");
}

/* AN section 6.2: on whole answers, streams and refusals; none invented. */
static void case_limits(void)
{
	int fd = ask(0);

	T(up_next(SOON_MS), "limits: asked");
	say_json(up.fd, "200 OK", LIMITS, plain);
	answer_all(&fd);
	T(answer_plain() && answer_limits(), "limits: %s", answer.head);

	fd = ask(1);
	T(up_next(SOON_MS), "limits, stream: asked");
	say(up.fd, "HTTP/1.1 200 OK\r\n" LIMITS
	    "Content-Type: text/event-stream\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n");
	say_chunk(up.fd, hello);
	say_rest(up.fd);
	answer_all(&fd);
	T(answer_streamed() && answer_limits(), "limits, stream: %s",
	    answer.head);

	fd = ask(1);
	T(up_next(SOON_MS), "limits, 429: asked");
	say_json(up.fd, "429 Too Many Requests", LIMITS,
	    "{\"error\":{\"message\":\"slow down\"}}");
	answer_all(&fd);
	T(answer_error(429, "rate_limit_error") && answer_limits(),
	    "limits, 429: %s", answer.head);
	up_fresh();
}

static void case_parameter(void)
{
	int fd = ask(0);

	T(up_next(SOON_MS), "parameter: asked");
	T(has(buf_str(&up.in), "\"temperature\""), "it is sent at first");
	say_json(up.fd, "400 Bad Request", LIMITS, "{\"error\":{\"message\":"
	    "\"Unsupported parameter: 'temperature' is not supported with "
	    "this model.\",\"type\":\"invalid_request_error\",\"param\":"
	    "\"temperature\",\"code\":\"unsupported_parameter\"}}");
	if (T(up_next(SOON_MS), "parameter: asked again"))
		T(!has(buf_str(&up.in), "\"temperature\""),
		    "the refused parameter is left out");
	say_json(up.fd, "200 OK", "", plain);
	answer_all(&fd);
	T(answer_plain(), "a refused parameter isn't seen: %s", got());
	T(!strstr(answer.head, "ratelimit"), "the limits are those of the "
	    "second answer, which told none");
	up_fresh();
}

static void ask_plain(const char *label)
{
	int fd = ask(0);

	T(up_next(SOON_MS), "%s: asked", label);
	say_json(up.fd, "200 OK", "", plain);
	answer_all(&fd);
	T(answer_plain(), "%s: %s", label, got());
}

/* A resting connection that ends as the next request is on its way. */
static void case_stale(void)
{
	int fd;

	ask_plain("stale, first");
	fd = ask(0);
	T(up_next(SOON_MS) && up.reused, "stale: the connection is used");
	fd_end(&up.fd, 0);
	T(up_next(SOON_MS) && !up.reused, "stale: asked on a new one");
	say_json(up.fd, "200 OK", "", plain);
	answer_all(&fd);
	T(answer_plain(), "stale, second: %s", got());

	/* Once, not for ever. */
	fd = ask(0);
	T(up_next(SOON_MS) && up.reused, "stale: used again");
	fd_end(&up.fd, 0);
	T(up_next(SOON_MS), "stale: asked once more");
	fd_end(&up.fd, 0);
	T(!up_next(200), "stale: not a third time");
	answer_all(&fd);
	T(answer_error(502, "api_error"), "stale, third: %s", got());

	/* Closed while it rests. */
	ask_plain("before a rest");
	fd_end(&up.fd, 0);
	ask_plain("after a rest");
	up_fresh();
}

/* The client leaves, by a reset or by closing, before or in its answer. */
static void case_gone(int reset, int begun)
{
	const char *how = reset ? "RST" : "FIN";
	int fd = ask(1);

	T(up_next(SOON_MS), "gone: asked");
	answer_start();
	if (begun) {
		say_start(up.fd);
		T(answer_until(fd, "hello "), "gone: the stream began");
	}
	fd_end(&fd, reset);
	T(up_closed(GONE_MS), "AN-21 gone by %s %s: the upstream sees it", how,
	    begun ? "in a stream" : "before the head");
	up_fresh();
}

static int begin_stream(const char *who)
{
	int fd = ask(1);

	T(up_next(SOON_MS), "%s: asked", who);
	answer_start();
	say_start(up.fd);
	T(answer_until(fd, "hello "), "%s: the stream began", who);
	return fd;
}

/* A client that only closes its sending side still listens. */
static void case_half(int stream)
{
	int fd = ask(stream);

	shutdown(fd, SHUT_WR);
	T(up_next(SOON_MS), "half-closed: asked");
	/* Longer than the program takes to look whether it is gone. */
	nap(700);
	if (stream) {
		say_start(up.fd);
		nap(100);
		say_rest(up.fd);
	} else {
		say_json(up.fd, "200 OK", "", plain);
	}
	answer_all(&fd);
	T(stream ? answer_streamed() : answer_plain(), "half-closed: %s",
	    got());
	up_fresh();
}

static int emulated(void)
{
	return getenv("EMULATED") && *getenv("EMULATED");
}

/* With room for STREAMS: the program has less where addresses are short, and is
 * given less where it is emulated. */
static int has_room(void)
{
	return sizeof(void *) >= 8 && !emulated();
}

static void case_many(void)
{
	int clients[STREAMS], ups[STREAMS];
	size_t n = has_room() ? STREAMS : STREAMS_FEW, i;
	char own[64], text[512];

	for (i = 0; i < n; i++) {
		snprintf(own, sizeof(own), "who-%zu.", i);
		clients[i] = ask_with("", own, 1);
		T(up_next(SOON_MS), "many: %zu is asked for", i);
		ups[i] = up.fd;
		up.fd = -1;
		say_start(ups[i]);
	}
	/* All are silent when the first leaves. */
	answer_start();
	T(answer_until(clients[0], "hello "), "many: the first has begun");
	fd_end(&clients[0], 0);
	up.fd = ups[0];
	T(up_closed(GONE_MS), "many: its upstream sees that one is gone");
	fd_end(&up.fd, 0);
	for (i = 1; i < n; i++) {
		snprintf(text, sizeof(text), CHUNK("\"delta\":{\"content\":"
		    "\"who-%zu.\"},\"finish_reason\":null"), i);
		say_chunk(ups[i], text);
	}
	for (i = n; i-- > 1;)
		say_rest(ups[i]);
	for (i = 1; i < n; i++) {
		snprintf(own, sizeof(own), "who-%zu.", i);
		answer_all(&clients[i]);
		T(answer_streamed() && answer_has(own), "many, %zu: %s", i,
		    got());
	}
	for (i = 1; i < n; i++)
		fd_end(&ups[i], 0);
	nap(20);
}

/* What others send, client or upstream, is theirs alone: each piece of a
 * stream comes while a bad message is refused beside it. */
static void case_beside(void)
{
	static const char *const bad[] = {
		"GET / HTTP/1.1\nHost: localhost\n\n",
		"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
		    "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
		    "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"\x16\x03\x01\x02\x01", "PRI * HTTP/2.0\r\n\r\n"
	};
	static const char *const broken[] = { "HTTP/1.1 200 OK\r\n"
		"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nContent-Type: "
		"text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz" };
	static char other_mem[8192];
	char piece[256], mark[32];
	struct buf other;
	int fd = begin_stream("beside"), mine = up.fd, his;
	size_t i;

	up.fd = -1;
	for (i = 0; i < COUNT(bad) + COUNT(broken); i++) {
		other = buf_on(other_mem, sizeof(other_mem));
		if (i < COUNT(bad)) {
			his = dial(proxy.port);
			say(his, bad[i]);
		} else {
			his = ask(0);
			T(up_next(SOON_MS), "beside: another is asked for");
			say(up.fd, broken[i - COUNT(bad)]);
			fd_end(&up.fd, 0);
		}
		while (read_some(his, &other, now_ms() + SOON_MS) > 0)
			continue;
		T(has(buf_str(&other), i < COUNT(bad) ? "HTTP/1.1 4" :
		    "HTTP/1.1 502 "), "a malformed message ends with an error: "
		    "%zu", i);
		fd_end(&his, 0);
		snprintf(mark, sizeof(mark), "piece-%zu.", i);
		snprintf(piece, sizeof(piece), CHUNK("\"delta\":{\"content\":"
		    "\"%s\"},\"finish_reason\":null"), mark);
		say_chunk(mine, piece);
		T(answer_until(fd, mark), "and the stream beside it goes on");
	}
	say_rest(mine);
	answer_read(&fd);
	T(answer_streamed(), "beside, to its end: %s", got());
	fd_end(&mine, 0);
	up_fresh();
}

/* One line of ten megabytes: whole, or an error; never a part as a whole. */
static void case_long_line(void)
{
	static char line[11 << 20], head[64];
	size_t n, i, seen = 0, all;
	int fd;

	n = (size_t)snprintf(line, sizeof(line), "data: {\"choices\":[{"
	    "\"index\":0,\"delta\":{\"content\":\"");
	memset(line + n, '~', 10 << 20);
	strcpy(line + n + (10 << 20), "\"}}]}\n\n");
	all = strlen(line);
	snprintf(head, sizeof(head), "%zx\r\n", all);
	fd = begin_stream("long line");
	say(up.fd, head);
	for (i = 0; i < all; i += n) {
		struct pollfd p = { up.fd, POLLOUT, 0 };
		ssize_t k;

		/* Who isn't read any more has been told enough. */
		if (poll(&p, 1, SOON_MS) != 1)
			break;
		k = send(up.fd, line + i, all - i < 65536 ? all - i : 65536,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (k < 0 && errno != EAGAIN)
			break;
		n = k > 0 ? (size_t)k : 0;
		read_some(fd, &answer.in, now_ms());
	}
	say(up.fd, "\r\n");
	say_rest(up.fd);
	answer_read(&fd);
	for (i = 0; i < answer.body.n; i++)
		seen += answer.body.p[i] == '~';
	T(answer_cut() || (answer_streamed() && seen == 10 << 20),
	    "a line of 10 MB is whole or an error: %zu came, %s", seen, got());
	T(started_alive(&proxy), "and the program lives");
	up_fresh();
}

static void run_answers(void)
{
	case_stream();
	case_cut(0, 1);
	case_cut(1, 1);
	case_cut(0, 0);
	case_cut(1, 0);
	case_refusals();
	case_encoded();
	case_stale();
	case_many();
	case_beside();
	case_long_line();
	case_limits();
	case_parameter();
}

static void run_clients(void)
{
	case_gone(0, 0);
	case_gone(1, 0);
	case_gone(0, 1);
	case_gone(1, 1);
	case_half(0);
	case_half(1);
}

/* ---- stalls ------------------------------------------------------------- */

static void run_stalls(void)
{
	int64_t began = now_ms();
	int fd = ask(0);

	T(up_next(SOON_MS), "first byte: asked");
	answer_all(&fd);
	T(answer_error(504, "timeout_error"), "OA-96 no first byte: %s",
	    got());
	T(now_ms() - began >= 450, "not before its time");
	up_fresh();

	fd = ask(1);
	T(up_next(SOON_MS), "idle: asked");
	say_start(up.fd);
	answer_all(&fd);
	T(answer_cut() && answer_has("timeout_error"),
	    "OA-96 a stall in a stream: %s", got());
	T(up_closed(GONE_MS), "a stall: the connection is closed");
}

/* Local servers send no head before they have read the prompt. The stream
 * begins without it, long before the client's own patience ends. */
static void run_patience(void)
{
	int fd = ask(1);

	T(up_next(SOON_MS), "FN-8 no head: asked");
	answer_start();
	T(answer_until(fd, "message_start"), "FN-8 no head: the stream begins");
	say_start(up.fd);
	say_rest(up.fd);
	answer_read(&fd);
	T(answer_streamed(), "FN-8 a late head: %s", got());

	fd = ask(1);
	T(up_next(SOON_MS), "FN-8 refused late: asked");
	answer_start();
	T(answer_until(fd, "message_start"), "FN-8 refused late: begun");
	say_json(up.fd, "503 Service Unavailable", "",
	    "{\"error\":{\"message\":\"no memory\"}}");
	answer_read(&fd);
	T(answer_cut() && answer_has("overloaded_error"),
	    "OA-121 a late refusal is an event: %s", got());

	fd = ask(1);
	T(up_next(SOON_MS), "OA-96 no head at all: asked");
	answer_all(&fd);
	T(answer_cut() && answer_has("timeout_error"),
	    "OA-96 no head at all: %s", got());
}

/* ---- a client that doesn't read ----------------------------------------- */

static long rss_kb(void)
{
	char path[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)proxy.pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kb = strtol(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

/* Sends text over and over until end; *at is how far it got in the last. */
static size_t flood(const char *text, int64_t end, size_t *at)
{
	struct pollfd p = { up.fd, POLLOUT, 0 };
	size_t sent = 0, n = strlen(text);
	ssize_t r;

	while (sent < FLOOD_MAX && now_ms() < end) {
		if (poll(&p, 1, 20) <= 0)
			continue;
		r = send(up.fd, text + *at, n - *at, MSG_NOSIGNAL);
		if (r < 0 && errno != EAGAIN)
			break;
		if (r > 0) {
			sent += (size_t)r;
			*at = (*at + (size_t)r) % n;
		}
	}
	return sent;
}

/* It reads after all: the last chunk is completed, then the end is said. */
static void flood_end(int *fd, const char *text, size_t at)
{
	struct pollfd p = { up.fd, POLLOUT, 0 };
	int64_t end = now_ms() + SOON_MS;
	size_t n = strlen(text);
	ssize_t r;

	answer_start();
	while (at && now_ms() < end) {
		read_some(*fd, &answer.in, now_ms());
		if (poll(&p, 1, 1) <= 0)
			continue;
		r = send(up.fd, text + at, n - at, MSG_NOSIGNAL);
		if (r > 0)
			at = (at + (size_t)r) % n;
	}
	/* What is left fits the socket once some of it was read. */
	while (read_some(*fd, &answer.in, now_ms() + 50) > 0)
		continue;
	say_rest(up.fd);
	answer_read(fd);
}

static void run_flood(void)
{
	static char wave[2048], data[3000], text[4096];
	size_t at = 0, i, n = 0, sent, chunks;
	int fd = ask(1), size = 1 << 16;
	long before = rss_kb(), after;

	memset(wave, '~', sizeof(wave) - 1);
	snprintf(data, sizeof(data), CHUNK("\"delta\":{\"content\":\"%s\"},"
	    "\"finish_reason\":null"), wave);
	snprintf(text, sizeof(text), "%zx\r\n%s\r\n", strlen(data), data);
	T(up_next(SOON_MS), "flood: asked");
	setsockopt(up.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	fcntl(up.fd, F_SETFL, O_NONBLOCK);
	say_start(up.fd);
	sent = flood(text, now_ms() + 1000, &at);
	after = rss_kb();
	T(sent < FLOOD_HELD, "AN-22 a client that doesn't read stalls the upstream: "
	    "%zu bytes sent", sent);
	if (emulated())
		t_skip("memory, of a program that is emulated");
	else if (before > 0)
		T(after - before < RSS_KB, "it grew by %ld KB",
		    after - before);
	else
		t_skip("no VmRSS in /proc");

	flood_end(&fd, text, at);
	T(answer_streamed(), "flood, at its end: %s", got());
	for (i = 0; i < answer.body.n; i++)
		n += answer.body.p[i] == '~';
	chunks = (sent + strlen(text) - 1) / strlen(text);
	T_INT(n, chunks * strlen(wave), "every character arrives");
}

static int file_has(const char *path, const char *text)
{
	struct str s = t_file(path);

	return s.p && has(s, text);
}

/* ---- starts and ends ---------------------------------------------------- */

/* Runs the program until it ends by itself. Its status and output. */
static int run_once(const char *arg, const char *const *settings, char *out,
    size_t cap)
{
	char *env[SETTINGS_MAX];
	struct started s;
	int64_t end = now_ms() + SOON_MS;
	size_t n = 0;
	FILE *f;

	memset(&s, 0, sizeof(s));
	s.arg = arg;
	out[0] = '\0';
	strcpy(s.dir, "/tmp/claudecodex-test-XXXXXX");
	if (!mkdtemp(s.dir))
		return -1;
	snprintf(s.output, sizeof(s.output), "%s/output", s.dir);
	for (; settings[n] && n < SETTINGS_MAX - 1; n++)
		memcpy(&env[n], &settings[n], sizeof(env[0]));
	env[n] = NULL;
	s.pid = fork();
	if (s.pid == 0)
		become(&s, binary, env);
	while (started_alive(&s) && now_ms() < end)
		nap(10);
	if (now_ms() >= end) {
		kill(s.pid, SIGKILL);
		waitpid(s.pid, &s.status, 0);
	}
	f = fopen(s.output, "r");
	n = f ? fread(out, 1, cap - 1, f) : 0;
	out[n] = '\0';
	if (f)
		fclose(f);
	remove_files(s.dir);
	return WIFEXITED(s.status) ? WEXITSTATUS(s.status) : -1;
}

static size_t lines(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void case_refused_starts(void)
{
	char port[40], url[80], out[4096];
	const char *settings[] = { "LLM_BACKEND=openai_compatible", url,
		"OPENAI_MODEL=m", port, "HOME=/nonexistent", "LOG_DIR=off",
		NULL, NULL };
	int unused;

	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    listener_port);
	snprintf(port, sizeof(port), "SERVER_PORT=%d", proxy.port);
	T_INT(run_once(NULL, settings, out, sizeof(out)), 1,
	    "a taken port: exit");
	T(lines(out) == 1, "a taken port: one line: %s", out);
	close(listen_free(&unused));
	snprintf(port, sizeof(port), "SERVER_PORT=%d", unused);
	settings[6] = "SERVER_HOST=0.0.0.0";
	T_INT(run_once(NULL, settings, out, sizeof(out)), 1,
	    "open to all without a key: exit");
	T(strstr(out, "PROXY_API_KEY") != NULL,
	    "open to all without a key: it says what is missing: %s", out);
	settings[6] = NULL;
	T_INT(run_once("--health", settings, out, sizeof(out)), 1,
	    "--health of nobody: exit");
	/* qemu 7 hands MIPS programs SO_ERROR in the machine's own numbers. */
	T(lines(out) == 1 && strstr(out, emulated() ? "not healthy: " :
	    "connection refused"), "--health of nobody: one line: %s", out);
	snprintf(port, sizeof(port), "SERVER_PORT=%d", proxy.port);
	T_INT(run_once("--health", settings, out, sizeof(out)), 0,
	    "--health: exit");
	T(lines(out) == 0, "--health: nothing to say: %s", out);
}

/* --check, with this list of models to be had. */
static void check(const char *flags, const char *models, char *out, size_t cap)
{
	char url[80];
	const char *settings[] = { "LLM_BACKEND=openai_compatible", url,
		"OPENAI_MODEL=m", "HOME=/nonexistent", "LOG_DIR=off", flags,
		NULL };
	pid_t pid = fork();

	if (pid == 0) {
		if (up_next(SOON_MS))
			say_json(up.fd, "200 OK", "", models);
		_exit(0);
	}
	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    listener_port);
	T_INT(run_once("--check", settings, out, cap), 0, "--check: exit");
	waitpid(pid, NULL, 0);
}

/* Quirk index: a window that Claude Code's own prompt fills. */
static void case_windows(void)
{
	static const char small[] = "warning: OPENAI_FLAGS: context is below";
	static char out[16384];

	check("OPENAI_FLAGS=context=32767", "{\"data\":[]}", out, sizeof(out));
	T(strstr(out, small) != NULL, "a small window is warned of: %s", out);
	T(!strstr(out, "window of"), "the list doesn't tell: %s", out);
	check("OPENAI_FLAGS=context=32768", "{\"data\":[{\"id\":\"other\","
	    "\"max_model_len\":4096},{\"id\":\"m\",\"max_model_len\":"
	    "131072}]}", out, sizeof(out));
	T(!strstr(out, small), "32k are enough: %s", out);
	T(strstr(out, "window of m: 131072 tokens\n") != NULL,
	    "the list tells: %s", out);
	check("OPENAI_FLAGS=", "{\"data\":[{\"id\":\"m\","
	    "\"context_length\":8192}]}", out, sizeof(out));
	T(!strstr(out, small) &&
	    strstr(out, "window of m: 8192 tokens (too small") != NULL,
	    "the list tells of a small one: %s", out);
	T(file_has(proxy.output, "OPENAI_FLAGS: context is below"),
	    "said at start");
}

static void run_ends(void)
{
	int fd;

	case_refused_starts();
	case_windows();
	fd = begin_stream("SIGTERM");
	kill(proxy.pid, SIGTERM);
	nap(200);
	T(started_alive(&proxy), "SIGTERM: it waits for the stream");
	say_rest(up.fd);
	answer_read(&fd);
	T(answer_streamed(), "SIGTERM in a stream: %s", got());
}

/* A stream that doesn't end: it waits for as long as it may, then ends well. */
static void run_drain(void)
{
	int64_t end = now_ms() + SOON_MS;
	int fd = begin_stream("drain"), late;

	kill(proxy.pid, SIGTERM);
	while ((late = dial(proxy.port)) >= 0 && now_ms() < end) {
		close(late);
		nap(5);
	}
	T(late < 0, "SIGTERM: nobody new is taken");
	T(started_alive(&proxy), "drain: it waits for the stream");
	while (started_alive(&proxy) && now_ms() < end + SOON_MS)
		nap(10);
	T(WIFEXITED(proxy.status) && WEXITSTATUS(proxy.status) == 0 &&
	    now_ms() < end + SOON_MS,
	    "DRAIN_TIMEOUT ends it with status 0, whatever is in flight");
	answer_read(&fd);
	T(!answer_has("message_stop"), "and what was cut doesn't look whole");
}

/* ---- keys and secrets --------------------------------------------------- */

static void run_keys(void)
{
	static const char *const good[] = { "x-api-key: right-key\r\n",
		"Authorization: Bearer right-key\r\n" };
	static const char *const bad[] = { "", "x-api-key: wrong-key\r\n",
		"Authorization: Bearer right-ke\r\n",
		"x-api-key: right-key1\r\n" };
	size_t i;
	int fd;

	for (i = 0; i < COUNT(bad); i++) {
		fd = ask_with(bad[i], "hi", 0);
		answer_all(&fd);
		T(answer_error(401, "authentication_error"), "key %s: %s",
		    bad[i], got());
	}
	T(!up_next(50), "no wrong key reaches the upstream");
	for (i = 0; i < COUNT(good); i++) {
		fd = ask_with(good[i], "hi", 0);
		T(up_next(SOON_MS), "key: asked");
		T(!has(buf_str(&up.in), "right-key"), "it isn't passed on");
		say_json(up.fd, "200 OK", "", plain);
		answer_all(&fd);
		T(answer_plain(), "key %s: %s", good[i], got());
	}
}

#define CANARY "sk-canary-0123456789abcdefghijklmnop"

/* The program has ended: all it wrote is there. */
static void secret_written(void)
{
	char path[512];
	struct dirent *e;
	size_t files = 0;
	DIR *d = opendir(proxy.logs);

	T(!file_has(proxy.output, CANARY), "secret: not in the output");
	T(file_has(proxy.output, "Incorrect key"), "but the text round it is");
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", proxy.logs, e->d_name);
		if (e->d_name[0] == '.')
			continue;
		files++;
		T(!file_has(path, CANARY), "secret: not in %s", e->d_name);
	}
	if (d)
		closedir(d);
	T(files > 0, "secret: there is a log");
}

static void run_secret(void)
{
	static const char *const status[] = { "401 Unauthorized",
		"400 Bad Request", "500 Internal Server Error" };
	size_t i;
	int fd;

	for (i = 0; i < 2 * COUNT(status); i++) {
		fd = ask(i % 2 == 0);
		T(up_next(SOON_MS), "secret: asked");
		T(has(buf_str(&up.in), CANARY), "secret: the upstream gets it");
		say_json(up.fd, status[i / 2], "", "{\"error\":{\"message\":"
		    "\"Incorrect key provided: " CANARY ".\",\"code\":\"x\"}}");
		answer_all(&fd);
		T(answer.status >= 400 && answer.whole, "secret: %s", got());
		T(!has(buf_str(&answer.in), CANARY), "secret, answer: %s",
		    got());
	}
	fd = ask(1);
	T(up_next(SOON_MS), "secret in a stream: asked");
	answer_start();
	say_start(up.fd);
	say_chunk(up.fd, "data: {\"error\":{\"message\":\"for " CANARY
	    "\"}}\n\n");
	answer_read(&fd);
	T(answer_cut() && !answer_has(CANARY), "secret in a stream: %s",
	    got());
	kill(proxy.pid, SIGTERM);
	for (i = 0; i < 200 && started_alive(&proxy); i++)
		nap(20);
	secret_written();
}

/* ---- an upstream whose bytes pass --------------------------------------- */

static const char passing_head[] = "HTTP/1.1 200 OK\r\nContent-Type: "
	"text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/* Events of every kind of line end leave byte for byte as they came, in
 * whatever pieces that was, and as soon as they are whole. */
static void case_passed_pieces(void)
{
	static const char text[] = "event: message_start\r\ndata: {\"type\":"
	    "\"message_start\",\"message\":{\"id\":\"msg_1\"}}\r\n\r\n"
	    ": so\r\r\ndata: {\"type\":\r\ndata: \"ping\"}\r\n\r\n"
	    "data: {\"type\":\"message_stop\"}\r\n\r\n: bye";
	static char part[sizeof(text)];
	size_t i, wrong = 0;
	int fd;

	for (i = 1; i < sizeof(text) - 1; i += i > 8 ? 2 : 1) {
		fd = ask(1);
		wrong += !up_next(SOON_MS);
		answer_start();
		say(up.fd, passing_head);
		memcpy(part, text, i);
		part[i] = '\0';
		say_chunk(up.fd, part);
		nap(3);
		say_chunk(up.fd, text + i);
		say(up.fd, "0\r\n\r\n");
		answer_read(&fd);
		wrong += !answer.whole || !str_eq(buf_str(&answer.body),
		    str_of(text));
	}
	T(wrong == 0, "passing, in pieces: %zu went wrong", wrong);
}

/* Of an event that isn't whole the client sees nothing: it would complain of
 * the JSON instead of what happened. */
static void case_passed_cut(void)
{
	static const char *const halves[] = {
		"event: content_block_start\ndata: {\"type\":\"half",
		/* All is there but the line that ends it. */
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n"
	};
	size_t i;
	int fd;

	for (i = 0; i < COUNT(halves); i++) {
		fd = ask(1);
		T(up_next(SOON_MS), "passing, half an event: asked");
		answer_start();
		say(up.fd, passing_head);
		say_chunk(up.fd, "event: message_start\ndata: {\"type\":"
		    "\"message_start\",\"message\":{\"id\":\"msg_1\"}}\n\n");
		say_chunk(up.fd, halves[i]);
		T(answer_until(fd, "msg_1"), "passing, before half an event");
		fd_end(&up.fd, 0);
		answer_read(&fd);
		T(answer_cut() && answer_has("msg_1") && !answer_has("half"),
		    "passing, %s: %s", halves[i], got());
	}
}

static void run_passing(void)
{
	static const char fields[] =
	    "anthropic-ratelimit-input-tokens-limit: 50000\r\n"
	    "anthropic-ratelimit-requests-reset: 2026-11-25T13:10:25Z\r\n"
	    "x-ratelimit-limit-requests: 60\r\n";
	static const struct {
		const char *status, *body;
	} rows[] = {
		{ "200 OK", "{\"id\":\"msg_1\",\"type\":\"message\"}" },
		{ "429 Too Many Requests", "{\"type\":\"error\",\"error\":"
		    "{\"type\":\"rate_limit_error\",\"message\":\"x\"}}" }
	};
	static const char *const heads[] = {
		"Transfer-Encoding: chunked", "Connection: close",
		"Content-Length: 105"
	};
	static const char begun[] = "event: message_start\ndata: {\"type\":"
	    "\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":"
	    "{\"input_tokens\":3}}}\n\n";
	size_t i;
	int fd;

	/* However its framing ends: without message_stop it isn't whole. */
	for (i = 0; i < COUNT(heads); i++) {
		fd = ask(1);
		T(up_next(SOON_MS), "passing: asked");
		answer_start();
		say(up.fd, "HTTP/1.1 200 OK\r\nContent-Type: text/"
		    "event-stream\r\n");
		say(up.fd, heads[i]);
		say(up.fd, "\r\n\r\n");
		if (i == 0) {
			say_chunk(up.fd, begun);
			say(up.fd, "0\r\n\r\n");
		} else {
			say(up.fd, begun);
		}
		if (i == 1)
			fd_end(&up.fd, 0);
		answer_read(&fd);
		T(answer_cut() && answer_has("event: message_start"),
		    "passing, no message_stop, %s: %s", heads[i], got());
	}
	fd = ask(1);
	T(up_next(SOON_MS), "passing: asked");
	answer_start();
	say_start(up.fd);
	say_chunk(up.fd, "event: ping\ndata: {\"type\"\n\n");
	answer_read(&fd);
	T(answer_cut(), "passing, an event that is no JSON: %s", got());
	fd = ask(1);
	T(up_next(SOON_MS), "passing: asked");
	answer_start();
	say_start(up.fd);
	say_chunk(up.fd, begun);
	say_chunk(up.fd, "event: message_stop\ndata: {\"type\":"
	    "\"message_stop\"}\n\n");
	fd_end(&up.fd, 0);
	answer_read(&fd);
	T(answer.whole && answer_has("event: message_stop") &&
	    !answer_has("event: error"),
	    "passing, cut after message_stop: %s", got());
	case_passed_pieces();
	case_passed_cut();
	/* What breaks off in the middle of a turn leaves nothing to the next
	 * client in its slot. */
	fd = ask(0);
	T(up_next(SOON_MS), "passing: asked");
	say(up.fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\nno size\r\n");
	answer_all(&fd);
	T(!answer.whole, "passing, broken JSON: %s",
	    got());
	fd = dial(proxy.port);
	say(fd, "GET /dashboard/data HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n");
	answer_all(&fd);
	T(answer.status == 200 && answer.whole, "after broken JSON: %s", got());
	for (i = 0; i < COUNT(rows); i++) {
		fd = ask(0);
		T(up_next(SOON_MS), "passing: asked");
		say_json(up.fd, rows[i].status, fields, rows[i].body);
		answer_all(&fd);
		T(answer.whole && answer_has(rows[i].body) &&
		    strstr(answer.head,
		    "\r\nanthropic-ratelimit-input-tokens-limit: 50000\r\n") &&
		    strstr(answer.head, "\r\nanthropic-ratelimit-requests-"
		    "reset: 2026-11-25t13:10:25z\r\n") &&
		    !strstr(answer.head, "requests-limit"),
		    "AN 6.2 passed on with %s: %s", rows[i].status,
		    answer.head);
	}
}

/* ---- groups ------------------------------------------------------------- */

static const struct group groups[] = {
	{ "answers", run_answers, { NULL } },
	{ "clients", run_clients, { NULL } },
	{ "fragments", case_fragments, { "OPENAI_FLAGS=tool_args=stream",
	    NULL } },
	{ "stalls", run_stalls, { "FIRST_BYTE_TIMEOUT=0.5",
	    "IDLE_TIMEOUT=0.5", NULL } },
	{ "patience", run_patience, { "FIRST_BYTE_TIMEOUT=2", NULL } },
	{ "flood", run_flood, { NULL } },
	{ "ends", run_ends, { "OPENAI_FLAGS=context=8192", NULL } },
	{ "drain", run_drain, { "DRAIN_TIMEOUT=1", NULL } },
	{ "keys", run_keys, { "PROXY_API_KEY=right-key", NULL } },
	{ "secret", run_secret, { "OPENAI_API_KEY=" CANARY, NULL } },
	{ "passing", run_passing, { "MODEL_MAP=m=anthropic:m",
	    "ANTHROPIC_API_KEY=k", NULL } },
};

/* In a process of its own; the counts go up the pipe. */
static void group_run(const struct group *g, int pipe_end)
{
	static char url[80], other[80];
	const char *settings[SETTINGS_MAX] = { "LLM_BACKEND=openai_compatible",
		url, other, "OPENAI_MODEL=m" };
	size_t i, n = 4;

	up.fd = -1;
	listener = listen_free(&listener_port);
	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    listener_port);
	snprintf(other, sizeof(other), "ANTHROPIC_UPSTREAM_URL=http://127.0.0.1"
	    ":%d", listener_port);
	for (i = 0; g->settings[i]; i++)
		settings[n++] = g->settings[i];
	if (has_room())
		settings[n++] = "MAX_CONNECTIONS=64";
	settings[n++] = "DRAIN_TIMEOUT=5";	/* the first of a name counts */
	if (T(start(&proxy, binary, settings), "%s: the program starts",
	    g->name))
		g->run();
	fd_end(&up.fd, 0);
	T(stop(&proxy, t_count.failed > 0), "%s: SIGTERM ends it with status "
	    "0", g->name);
	fflush(stdout);
	if (write(pipe_end, &t_count, sizeof(t_count)) !=
	    (ssize_t)sizeof(t_count))
		_exit(1);
	_exit(0);
}

static void absolute(const char *name)
{
	size_t n;

	if (name[0] != '/' && !getcwd(binary, sizeof(binary) / 2))
		binary[0] = '\0';
	n = strlen(binary);
	snprintf(binary + n, sizeof(binary) - n, n ? "/%s" : "%s", name);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : getenv("CLAUDECODEX");
	unsigned long passed = 0, failed = 0, skipped = 0;
	int ends[2];
	size_t i;

	absolute(name ? name : "build/claudecodex");
	if (pipe(ends) != 0)
		return 1;
	fcntl(ends[0], F_SETFD, FD_CLOEXEC);
	fcntl(ends[1], F_SETFD, FD_CLOEXEC);
	for (i = 0; i < COUNT(groups); i++)
		if (fork() == 0)
			group_run(&groups[i], ends[1]);
	close(ends[1]);
	for (i = 0; i < COUNT(groups); i++) {
		if (read(ends[0], &t_count, sizeof(t_count)) !=
		    (ssize_t)sizeof(t_count))
			break;
		passed += t_count.passed;
		failed += t_count.failed;
		skipped += t_count.skipped;
	}
	t_count.passed = passed;
	t_count.failed = failed;
	t_count.skipped = skipped;
	T(i == COUNT(groups), "every group came to its end");
	while (wait(NULL) > 0)
		continue;
	return t_done("stream");
}
