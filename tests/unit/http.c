/* http.c -- HTTP heads and bodies: single rules by hand, then the cases of
 * tests/data/http1 at parser level, whole, byte by byte and at random cuts.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/http.c"
#include "../http1.h"
#include "t.h"

static const char *why;

static int req(struct http_head *h, const char *text)
{
	return http_request(h, str_of(text), &why);
}

static int resp(struct http_head *h, const char *text)
{
	return http_response(h, str_of(text), 0, &why);
}

#define GET "GET /health HTTP/1.1\r\nHost: localhost\r\n"

static void head_end(void)
{
	struct str s = S("GET / HTTP/1.1\r\nHost: a\r\n\r\nrest");
	size_t i, end = s.n - 4;

	T_INT(http_head_end(s, 0), end, "end of head, from the start");
	for (i = 0; i <= s.n; i++) {
		size_t got = http_head_end(str_head(s, i), i ? i - 1 : 0);

		if (i < end)
			T_INT(got, 0, "no end in %zu bytes", i);
		if (i == end)
			T_INT(got, end, "end seen with its last byte");
	}
	for (i = 0; i < end; i++)
		T_INT(http_head_end(s, i), end, "end found from %zu", i);
	T_INT(http_head_end((struct str){ NULL, 0 }, 0), 0, "nothing");
	T_INT(http_head_end(S("\r\n\r\n"), 0), 4, "an empty head has an end");
}

static void request_parts(void)
{
	static struct http_head h;

	T_INT(req(&h, "POST /v1/messages?beta=true HTTP/1.1\r\nHost: [::1]:80\r\n"
	    "X-A:  a\tb \t\r\nX-E:\r\nContent-Length: 007\r\n\r\n"), 0, "%s", why);
	T_STR(h.method, S("POST"), "method");
	T_STR(h.target, S("/v1/messages?beta=true"), "target");
	T_STR(h.path, S("/v1/messages"), "path");
	T_STR(h.query, S("beta=true"), "query");
	T_INT(h.authority.n, 0, "no authority");
	T_INT(h.minor, 1, "minor");
	T_INT(h.nfields, 4, "fields");
	T_STR(http_field(&h, S("x-a")), S("a\tb"), "value trimmed, tab kept");
	T(http_field(&h, S("X-E")).p != NULL, "an empty value is present");
	T(http_field(&h, S("X-F")).p == NULL, "an absent field is absent");
	T_INT(h.framing, HTTP_COUNTED, "counted");
	T_INT(h.length, 7, "length with leading zeros");
	T_INT(h.keep_alive, 1, "1.1 persists");

	T_INT(req(&h, "GET http://LocalHost:80?q HTTP/1.1\r\nHost: a\r\n\r\n"),
	    0, "absolute form without a path");
	T_STR(h.path, S("/"), "its path is the root");
	T_STR(h.query, S("q"), "its query");
	T_STR(h.authority, S("LocalHost:80"), "its authority");
	T_INT(req(&h, "GET HTTP://a/b HTTP/1.1\r\nHost: a\r\n\r\n"), 0,
	    "scheme in any case");
	T_STR(h.path, S("/b"), "its path");
	T_INT(req(&h, "GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	    "empty authority");
	T_INT(req(&h, "GET http://u@a/b HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	    "user info in the authority");
	T_INT(req(&h, "GET https://a/b HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	    "another scheme");
	T_INT(req(&h, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), 400, "fragment");
	T_INT(req(&h, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0, "asterisk");
	T_STR(h.path, S("*"), "asterisk is the path");
	T_INT(req(&h, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400,
	    "asterisk is for OPTIONS");
	T_INT(req(&h, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"), 0,
	    "CONNECT parses");
	T_STR(h.authority, S("a:443"), "CONNECT has an authority");
	T_INT(h.path.n, 0, "CONNECT has no path");
	T_INT(req(&h, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), 0,
	    "unknown methods parse");
	T_INT(req(&h, "GET / HTTP/1.9\r\nHost: a\r\n\r\n"), 0, "9110 2.5");
	T_INT(h.minor, 1, "a higher minor is read as 1.1");
	T_INT(req(&h, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505, "version 2");
	T_INT(req(&h, "GET / HTTP/1.1\r\nHost: a\r\n\r\nX"), 400,
	    "bytes after the head are not the head");
	T_INT(req(&h, "GET / HTTP/1.1\r\nHost: a\r\n"), 400, "half a head");
	T_INT(req(&h, "\r\n\r\n"), 400, "an empty head");
	T_INT(req(&h, ""), 400, "nothing at all");
}

static void request_hosts(void)
{
	static const struct { const char *host; int ok; } cases[] = {
		{ "localhost", 1 }, { "localhost:1", 1 }, { "127.0.0.1", 1 },
		{ "[::1]", 1 }, { "[::1]:8082", 1 }, { "a_b-c.d", 1 },
		{ "[::ffff:127.0.0.1]", 1 }, { "a:65535", 1 },
		{ "", 0 }, { ":80", 0 }, { "a:", 0 }, { "a:65536", 0 },
		{ "a:000080", 0 }, { "a:8x", 0 }, { "a b", 0 }, { "a/b", 0 },
		{ "u@a", 0 }, { "a,b", 0 }, { "[::1", 0 }, { "[]", 0 },
		{ "[:]", 0 }, { "::1", 0 }, { "[::1]x", 0 }, { "[g::]", 0 },
		{ "a:80:80", 0 }, { "a%2eb", 0 }, { "\xc3\xa9", 0 },
	};
	static struct http_head h;
	char text[200];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
		    cases[i].host);
		T_INT(req(&h, text), cases[i].ok ? 0 : 400, "Host: %s",
		    cases[i].host);
	}
	T_INT(req(&h, "GET / HTTP/1.0\r\n\r\n"), 0, "1.0 needs no Host");
	T_INT(h.keep_alive, 0, "1.0 doesn't persist");
	T_INT(req(&h, "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400,
	    "two Hosts are refused in 1.0 as well");
}

static void request_fields(void)
{
	static struct http_head h;

	T_INT(req(&h, GET "Connection: foo , CLOSE\r\n\r\n"), 0, "%s", why);
	T_INT(h.keep_alive, 0, "close in a list");
	T_INT(req(&h, GET "Connection: closed\r\n\r\n"), 0, "%s", why);
	T_INT(h.keep_alive, 1, "closed is not close");
	T_INT(req(&h, GET "Connection: a\r\nConnection: close\r\n\r\n"), 0,
	    "%s", why);
	T_INT(h.keep_alive, 0, "close in the second field");
	T_INT(req(&h, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), 0,
	    "%s", why);
	T_INT(h.keep_alive, 1, "1.0 persists when it asks");
	T_INT(req(&h, GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), 0,
	    "%s", why);
	T_INT(h.upgrade, 1, "upgrade is seen");

	T_INT(req(&h, GET "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"),
	    0, "%s", why);
	T_INT(h.expect_continue, 1, "Expect");
	T_INT(req(&h, GET "Expect: 100-continue\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n"), 0, "%s", why);
	T_INT(h.expect_continue, 1, "Expect with chunks");
	T_INT(req(&h, GET "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"),
	    0, "%s", why);
	T_INT(h.expect_continue, 0, "nothing to wait for");
	T_INT(req(&h, "POST / HTTP/1.0\r\nExpect: 100-continue\r\n"
	    "Content-Length: 1\r\n\r\n"), 0, "%s", why);
	T_INT(h.expect_continue, 0, "an HTTP/1.0 client can't mean it");
	T_INT(req(&h, GET "Expect: tea\r\n\r\n"), 417, "unknown expectation");

	T_INT(req(&h, GET "Content-Length: 18446744073709551615\r\n\r\n"), 0,
	    "2^64-1 is a length");
	T(h.length == UINT64_MAX, "2^64-1 is kept");
	T_INT(req(&h, GET "Content-Length: 18446744073709551616\r\n\r\n"), 400,
	    "2^64 is none");
	T_INT(req(&h, GET "Transfer-Encoding: gzip\r\n\r\n"), 501, "gzip");
	T_INT(req(&h, GET "X\x7f: a\r\n\r\n"), 400, "DEL in a name");
	T_INT(req(&h, GET "X: a\x7f\r\n\r\n"), 400, "DEL in a value");
	T_INT(req(&h, GET "X: a\x80\xff\r\n\r\n"), 0, "obs-text in a value");
}

/* A refusal of an unfinished head is the refusal of the finished one. */
static void agree(const char *name, struct str whole)
{
	static struct http_head h;
	int full = http_request(&h, whole, &why);
	size_t i, good = 0;

	for (i = 0; i < whole.n; i++) {
		int part = http_request_partial(str_head(whole, i), 0);

		if (part != OK && part != full) {
			T_INT(part, full, "%s: cut at %zu", name, i);
			return;
		}
		/* Going on from where all was good says the same. */
		if (i <= good + 3 && good != whole.n)
			T_INT(http_request_partial(str_head(whole, i), good),
			    part, "%s: from %zu to %zu", name, good, i);
		if (part != OK)
			good = whole.n;
		else if (i % 3 == 0)
			good = i;
	}
	T(1, "%s: parts agree", name);
}

static void request_limits(void)
{
	static struct http_head h;
	static char text[HTTP_HEAD_MAX + 4096];
	struct buf b = buf_on(text, sizeof(text));
	size_t i, k;

	buf_put(&b, S("GET /"));
	while (b.n < HTTP_LINE_MAX - 9)
		buf_chr(&b, 'a');
	buf_put(&b, S(" HTTP/1.1\r\nHost: a\r\n\r\n"));
	T_INT(http_request(&h, buf_str(&b), &why), 0, "a line of 8192");
	b.n = 5;
	while (b.n < HTTP_LINE_MAX - 8)
		buf_chr(&b, 'a');
	buf_put(&b, S(" HTTP/1.1\r\nHost: a\r\n\r\n"));
	T_INT(http_request(&h, buf_str(&b), &why), 414, "a line of 8193");
	agree("long line", buf_str(&b));

	for (i = 99; i <= 100; i++) {
		b.n = 0;
		buf_put(&b, S(GET));
		for (k = 0; k < i; k++)
			buf_put(&b, S("A: b\r\n"));
		buf_put(&b, S("\r\n"));
		T_INT(http_request(&h, buf_str(&b), &why), i == 99 ? 0 : 431,
		    "%zu fields", i + 1);
		agree("many fields", buf_str(&b));
	}

	b.n = 0;
	buf_put(&b, S(GET "X: "));
	while (b.n < HTTP_HEAD_MAX - 4)
		buf_chr(&b, 'x');
	buf_put(&b, S("\r\n\r\n"));
	T_INT(http_request(&h, buf_str(&b), &why), 0, "a head of 32768");
	b.n -= 4;
	buf_put(&b, S("x\r\n\r\n"));
	T_INT(http_request(&h, buf_str(&b), &why), 431, "a head of 32769");
	agree("large head", buf_str(&b));

	T_INT(http_request_partial(S("\x16\x03\x01\x02"), 0), 400, "TLS hello");
	T_INT(http_request_partial(S("PRI * HTTP/2.0\r\n"), 0), 400, "HTTP/2");
	T_INT(http_request_partial(S("GET / HTTP/1.1\n"), 0), 400, "bare LF");
	T_INT(http_request_partial(S("GET / HTTP/1.1\r"), 0), 0, "CR may go on");
	T_INT(http_request_partial(S("\r\n\r\n"), 0), 400, "two empty lines");
	T_INT(http_request_partial(S("\r\nGET"), 0), 0, "one empty line");
	T_INT(http_request_partial(S(""), 0), 0, "nothing yet");
}

static void responses(void)
{
	static struct http_head h;

	T_INT(resp(&h, "HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 3\r\n\r\n"),
	    OK, "%s", why);
	T_STR(h.reason, S("Tr\xe8s bien"), "reason");
	T_INT(h.status, 200, "status");
	T_INT(h.framing, HTTP_COUNTED, "counted");
	T_INT(h.keep_alive, 1, "persists");
	T_INT(resp(&h, "HTTP/1.1 999\r\n\r\n"), OK, "no reason, no space");
	T_INT(h.framing, HTTP_TO_CLOSE, "to the close");
	T_INT(h.keep_alive, 0, "so it can't persist");
	T_INT(resp(&h, "HTTP/1.1 099 x\r\n\r\n"), E_BAD, "status 099");
	T_INT(resp(&h, "HTTP/1.1 101 x\r\n\r\n"), E_BAD, "101 unasked");
	T_INT(resp(&h, "HTTP/1.1 100 x\r\nContent-Length: 3\r\n\r\n"), E_BAD,
	    "interim answer with a body");
	T_INT(resp(&h, "HTTP/1.1 100 x\r\nContent-Length: 0\r\n\r\n"), OK,
	    "interim answer that says it has none");
	T_INT(h.framing, HTTP_NO_BODY, "interim answers have no body");
	T_INT(resp(&h, "HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n"), OK, "204");
	T_INT(h.keep_alive, 1, "204 with length 0 persists");
	T_INT(resp(&h, "HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
	    E_BAD, "chunks in HTTP/1.0");
	T_INT(resp(&h, "HTTP/1.0 200 x\r\nContent-Length: 1\r\n\r\n"), OK, "1.0");
	T_INT(h.keep_alive, 0, "1.0 doesn't persist");
	T_INT(resp(&h, "HTTP/1.1 200  x\r\n\r\n"), OK, "reason may be odd");
	T_INT(resp(&h, "HTTP/1.1  200 x\r\n\r\n"), E_BAD, "two spaces");
	T_INT(resp(&h, "\r\nHTTP/1.1 200 x\r\n\r\n"), E_BAD, "empty line first");
	T_INT(http_response_partial(S("HTT"), 0), OK, "may become a head");
	T_INT(http_response_partial(S("HTTP/2"), 0), E_BAD, "HTTP/2");
	T_INT(http_response_partial(S("\x15\x03\x01"), 0), E_BAD, "TLS alert");
	T_INT(http_response_partial(S("HTTP/1.1 200 OK\nA"), 0), E_BAD, "bare LF");
}

/* Feeds text in pieces of step bytes (0: pieces of random size); content goes
 * to out. Returns the last result, *rest what was left unread. */
static int feed(struct http_body *b, struct str text, size_t step,
    struct buf *out, size_t *rest)
{
	struct str in = { text.p, 0 }, run;
	size_t at = 0;
	int rc = OK;

	while (rc == OK && (at < text.n || in.n)) {
		size_t n = step ? step : 1 + (size_t)rand() % 7;
		size_t before;

		if (in.n == 0) {
			if (n > text.n - at)
				n = text.n - at;
			in.p = text.p + at;
			in.n = n;
			at += n;
		}
		before = in.n;
		rc = http_body(b, &in, &run);
		buf_put(out, run);
		if (rc == OK)
			T(in.n < before, "a call takes something");
	}
	*rest = text.n - at + in.n;
	return rc;
}

#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* want NULL: a framing error. */
static void chunks(const char *text, const char *want, size_t rest_want)
{
	static struct http_head h;
	static char space[65536];
	size_t step, rest;

	resp(&h, CHUNKED);
	for (step = 0; step < 6; step++) {
		struct buf out = buf_on(space, sizeof(space));
		struct http_body b;
		struct str none = { text, 0 }, run;
		int rc;

		http_body_init(&b, &h);
		rc = feed(&b, str_of(text), step, &out, &rest);
		if (!want) {
			T_INT(rc, E_BAD, "%.40s, step %zu", text, step);
			T(b.why != NULL, "%.40s: says why", text);
			T_INT(http_body(&b, &none, &run), E_BAD, "stays bad");
			T_INT(http_body_eof(&b), E_BAD, "bad to the end");
			continue;
		}
		T_INT(rc, E_NONE, "%.40s, step %zu", text, step);
		T_STR(buf_str(&out), str_of(want), "%.40s", text);
		T_INT(rest, rest_want, "%.40s: rest", text);
		T_INT(http_body(&b, &none, &run), E_NONE, "stays done");
		T_INT(http_body_eof(&b), OK, "complete at the end");
	}
}

static void chunked(void)
{
	static char big[70000];
	struct buf b;
	int i;

	chunks("3\r\nabc\r\n0\r\n\r\n", "abc", 0);
	chunks("3\r\nabc\r\n0\r\n\r\nGET", "abc", 3);
	chunks("0\r\n\r\n\r\n", "", 2);
	chunks("1;a=\"b;\";c\r\nx\r\n00a\r\n0123456789\r\n0;z\r\nA: b\r\nC:\r\n\r\n",
	    "x0123456789", 0);
	chunks("0000000000000003\r\nabc\r\n0\r\n\r\n", "abc", 0);
	chunks("00000000000000003\r\nabc\r\n0\r\n\r\n", NULL, 0);
	chunks("80000000\r\n", NULL, 0);
	chunks("3 \r\nabc\r\n0\r\n\r\n", NULL, 0);
	chunks("3 ;a\r\nabc\r\n0\r\n\r\n", NULL, 0);
	chunks(";a\r\n", NULL, 0);
	chunks("3;\x7f\r\n", NULL, 0);
	chunks("3;a\rb\r\n", NULL, 0);
	chunks("3\r\nabc\n", NULL, 0);
	chunks("3\r\nabc\rX", NULL, 0);
	chunks("0\r\n A: b\r\n\r\n", NULL, 0);
	chunks("0\r\nA : b\r\n\r\n", NULL, 0);
	chunks("0\r\n: b\r\n\r\n", NULL, 0);
	chunks("0\r\nA: b\n\r\n", NULL, 0);
	chunks("0\r\nA: b\rC: d\r\n\r\n", NULL, 0);
	chunks("0\r\n\rX", NULL, 0);

	b = buf_on(big, sizeof(big) - 1);
	buf_put(&b, S("3;"));
	while (b.n < HTTP_CHUNK_LINE_MAX - 2)
		buf_chr(&b, 'x');
	buf_put(&b, S("\r\nabc\r\n0\r\n\r\n"));
	big[b.n] = '\0';
	chunks(big, "abc", 0);		/* the longest chunk line */
	b.n -= 12;
	buf_put(&b, S("x\r\nabc\r\n0\r\n\r\n"));
	big[b.n] = '\0';
	chunks(big, NULL, 0);		/* one byte more */

	b.n = 0;
	buf_put(&b, S("0\r\n"));
	while (b.n < 3 + HTTP_TRAILER_MAX)
		buf_put(&b, S("A: b\r\n"));
	buf_put(&b, S("\r\n"));
	big[b.n] = '\0';
	chunks(big, NULL, 0);		/* trailers too large */

	b.n = 0;
	for (i = 0; i < 100; i++) {
		int k;

		buf_put(&b, S("1;"));
		for (k = 0; k < 500; k++)
			buf_chr(&b, 'e');
		buf_put(&b, S("\r\nx\r\n"));
	}
	big[b.n] = '\0';
	chunks(big, NULL, 0);		/* extensions out of proportion */
}

static void counted_and_to_close(void)
{
	static struct http_head h;
	struct http_body b;
	struct str in, run;

	resp(&h, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
	http_body_init(&b, &h);
	in = S("ab");
	T_INT(http_body(&b, &in, &run), OK, "two of three");
	T_STR(run, S("ab"), "they come out");
	in = S("cHTTP");
	T_INT(http_body(&b, &in, &run), E_NONE, "the third completes it");
	T_STR(run, S("c"), "and comes out with that");
	T_STR(in, S("HTTP"), "what follows is left");
	T_INT(http_body(&b, &in, &run), E_NONE, "still complete");
	T_STR(in, S("HTTP"), "and still left");
	T_INT(http_body_eof(&b), OK, "end after completion");
	http_body_init(&b, &h);
	in = S("ab");
	(void)http_body(&b, &in, &run);
	T_INT(http_body_eof(&b), E_BAD, "cut short");
	T(b.why != NULL, "says why");
	T_INT(http_body(&b, &in, &run), E_BAD, "and stays failed");

	resp(&h, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	http_body_init(&b, &h);
	in = S("x");
	T_INT(http_body(&b, &in, &run), E_NONE, "empty counted body");
	T_INT(in.n, 1, "takes nothing");

	resp(&h, "HTTP/1.1 200 OK\r\n\r\n");
	http_body_init(&b, &h);
	in = S("abc");
	T_INT(http_body(&b, &in, &run), OK, "to the close");
	T_STR(run, S("abc"), "everything is content");
	T_INT(in.n, 0, "and taken");
	T_INT(http_body_eof(&b), OK, "the close ends it");
	T_INT(http_body(&b, &in, &run), E_NONE, "complete then");
}

static void decode(const char *path, const char *want)
{
	char space[64];
	struct buf b = buf_on(space, sizeof(space));
	int rc = http_decode(&b, str_of(path));

	T_INT(rc, want ? OK : E_BAD, "decode %s", path);
	if (want)
		T_STR(buf_str(&b), str_of(want), "decode %s", path);
}

static void small_things(void)
{
	struct str q = S("a=1&bb=2&c&&d==x&a=9&=z");
	char two[2];
	struct buf b = buf_on(two, sizeof(two));

	decode("/a%20b%2Fc%7e", "/a b/c~");
	decode("/+", "/+");
	decode("", "");
	decode("/%", NULL);
	decode("/%2", NULL);
	decode("/%2g", NULL);
	decode("/%g2", NULL);
	decode("/%00", NULL);
	T_INT(http_decode(&b, S("abc")), E_FULL, "decode without room");

	T_STR(http_query(q, S("a")), S("1"), "first of its name");
	T_STR(http_query(q, S("bb")), S("2"), "a longer name");
	T_STR(http_query(q, S("d")), S("=x"), "value with an equals sign");
	T_STR(http_query(q, S("")), S("z"), "an empty name");
	T(http_query(q, S("c")).p != NULL, "present without a value");
	T_INT(http_query(q, S("c")).n, 0, "an empty value");
	T(http_query(q, S("b")).p == NULL, "a prefix is no name");
	T(http_query(S(""), S("a")).p == NULL, "no query");

	T(http_value_ok(S("a\tb \xff")), "tab and obs-text may be sent");
	T(!http_value_ok(S("a\r\nX: y")), "line ends may not");
	T(!http_value_ok(S("a\0")), "NUL may not");
	T(!http_value_ok(S("\x7f")), "DEL may not");
}

/* ---- the cases of tests/data/http1 ------------------------------------- */

/* What a server would have done with a case, as far as parsing decides it. */
struct verdict {
	int answered;		/* requests that were whole and good */
	int status;		/* of the refusal that followed, or 0 */
	int keep;		/* after the last good request */
	int may_continue;	/* 100 could have been sent */
	int rest;		/* of bytes, not yet a whole request */
	struct str body;	/* of the first request that had one */
};

enum { MODEL_BODY_MAX = 32 << 20 };

static int model_head(struct verdict *v, struct str *in, struct http_head *h)
{
	size_t end = http_head_end(*in, 0);

	if (end == 0) {
		v->status = http_request_partial(*in, 0);
		return 0;
	}
	v->status = http_request(h, str_head(*in, end), &why);
	if (v->status)
		return 0;
	if (h->framing == HTTP_COUNTED && h->length > MODEL_BODY_MAX)
		v->status = 413;
	if (!str_eq(h->method, S("GET")) && !str_eq(h->method, S("HEAD")) &&
	    !str_eq(h->method, S("POST")))
		v->status = 405;
	v->may_continue |= h->expect_continue;
	*in = str_from(*in, end);
	return v->status == 0;
}

/* cuts: how many bytes arrive at once; 0 for pieces of random size. */
static void model_server(struct verdict *v, struct str text, size_t cuts,
    struct buf *body)
{
	static struct http_head h;
	struct http_body b;
	struct str in = { text.p, 0 }, run;
	size_t seen = 0;
	int in_body = 0, rc;

	memset(v, 0, sizeof(*v));
	v->keep = 1;
	body->n = 0;
	for (;;) {
		if (!in_body && in.n && model_head(v, &in, &h)) {
			http_body_init(&b, &h);
			in_body = 1;
		}
		if (v->status)
			break;
		rc = OK;
		while (in_body && rc == OK) {
			size_t before = in.n;

			rc = http_body(&b, &in, &run);
			buf_put(body, run);
			if (rc == OK && in.n == before)
				break;
		}
		if (rc == E_BAD) {
			v->status = 400;
			break;
		}
		if (rc == E_NONE) {
			in_body = 0;
			v->answered++;
			v->keep = h.keep_alive;
			if (!v->keep)
				break;
			continue;
		}
		if (seen == text.n)
			break;
		rc = (int)(cuts ? cuts : 1 + (size_t)rand() % 40);
		if ((size_t)rc > text.n - seen)
			rc = (int)(text.n - seen);
		seen += (size_t)rc;
		in.n += (size_t)rc;
		if (in.n == (size_t)rc)
			in.p = text.p + seen - (size_t)rc;
	}
	v->rest = !v->status && (in.n > 0 || in_body);
	v->body = buf_str(body);
}

static int request_holds(const struct vcase *c, const struct verdict *v)
{
	struct str verdict = json_str(json_get(c->expect, S("verdict"))).raw;
	struct str close = json_str(json_get(c->expect, S("close"))).raw;
	struct jv body = json_get(c->expect, S("body"));
	struct jv interim = json_get(c->expect, S("interim"));
	static char space[1 << 16];
	struct arena a = { space, space + sizeof(space) };

	if (str_eq(verdict, S("accept")))
		return v->status == 0 && v->answered == (int)json_int(
		    json_get(c->expect, S("responses")), 1) && !v->rest &&
		    !(str_eq(close, S("keep")) && !v->keep) &&
		    !(str_eq(close, S("must")) && v->keep) &&
		    !(json_is(interim, S("forbidden")) && v->may_continue) &&
		    (!json_type(body) || str_eq(v->body, vbytes(&a, body)));
	if (str_eq(verdict, S("reject")))
		return v->answered == (int)json_int(json_get(c->expect,
		    S("responses_before")), 0) &&
		    status_listed(c->expect, v->status);
	if (str_eq(verdict, S("reject-or-close")))
		return v->status >= 400 || (v->answered == 1 && !v->keep);
	if (str_eq(verdict, S("incomplete")))
		return v->answered == 0;
	/* either, and forbid: whose Host or Origin it is isn't for a parser. */
	return str_eq(verdict, S("either")) || str_eq(verdict, S("forbid"));
}

static char tree[TREE_MAX], bytes[BYTES_MAX], content_space[BYTES_MAX];
static struct vcase vcase;

static void request_cases(void)
{
	static const struct names names = {
		{ "127.0.0.1:8082", 14 }, { "8082", 4 }, { "/health", 7 },
		{ "/v1/messages", 12 }
	};
	struct buf body = buf_on(content_space, sizeof(content_space));
	struct verdict whole, cut;
	struct json_iter it;
	struct vfile f;
	size_t step;
	int i;

	if (!T(vfile_load(&f, "tests/data/http1/requests.json", tree,
	    sizeof(tree)), "requests.json is read"))
		return;
	it = json_iter(f.cases);
	while (json_next(&it)) {
		T(vcase_expand(&vcase, it.value, &names, bytes), "expanded");
		model_server(&whole, vcase.text, vcase.text.n, &body);
		T(request_holds(&vcase, &whole),
		    "%s %s: %d answered, status %d, keep %d", vcase.level,
		    vcase.id, whole.answered, whole.status, whole.keep);
		/* One byte at a time, where that isn't too long. */
		step = 1 + vcase.text.n / 5000;
		for (i = 0; i < 12; i++) {
			model_server(&cut, vcase.text, i ? 0 : step, &body);
			if (vcase.text.n > 20000 && i)
				break;
			T(cut.answered == whole.answered &&
			    cut.status == whole.status &&
			    cut.keep == whole.keep && cut.rest == whole.rest &&
			    cut.body.n == whole.body.n, "%s: the same however "
			    "it is cut (%d, status %d, keep %d, rest %d)",
			    vcase.id, cut.answered, cut.status, cut.keep,
			    cut.rest);
		}
	}
}

struct reading {
	const char *kind;	/* of an error; NULL while all is well */
	int status, done, keep;
	struct str body;
};

enum { MODEL_INTERIM_MAX = 20 };

static void reading_head(struct reading *r, struct str *in, struct http_head *h,
    int head_request, int *interims)
{
	size_t end = http_head_end(*in, 0);

	if (end == 0) {
		if (http_response_partial(*in, 0) == E_BAD)
			r->kind = in->n > HTTP_HEAD_MAX ? "limit" : "framing";
		return;
	}
	if (http_response(h, str_head(*in, end), head_request, &why) != OK) {
		r->kind = end > HTTP_HEAD_MAX ? "limit" : "framing";
		return;
	}
	*in = str_from(*in, end);
	if (h->status < 200) {
		if (++*interims > MODEL_INTERIM_MAX)
			r->kind = "limit";
		return;
	}
	r->status = h->status;
	r->keep = h->keep_alive;
	if (h->framing == HTTP_COUNTED && h->length > MODEL_BODY_MAX)
		r->kind = "limit";
	if (http_field(h, S("Content-Encoding")).n &&
	    !str_ieq(http_field(h, S("Content-Encoding")), S("identity")))
		r->kind = "encoding";
}

static void model_client(struct reading *r, const struct vcase *c, size_t cuts,
    struct buf *body)
{
	static struct http_head h;
	int head_request = json_is(json_get(c->json, S("request_method")),
	    S("HEAD"));
	struct http_body b;
	struct str in = { c->text.p, 0 }, run;
	size_t seen = 0, n;
	int interims = 0, rc, before;

	memset(r, 0, sizeof(*r));
	body->n = 0;
	while (!r->kind && !r->done) {
		before = r->status;
		n = in.n;
		if (!r->status && in.n) {
			reading_head(r, &in, &h, head_request, &interims);
			if (r->kind)
				break;
			if (r->status && !before)
				http_body_init(&b, &h);
		}
		while (r->status && !r->done) {
			size_t left = in.n;

			rc = http_body(&b, &in, &run);
			buf_put(body, run);
			if (rc == E_BAD)
				r->kind = "framing";
			r->done = rc == E_NONE;
			if (rc == E_BAD || left == in.n)
				break;
		}
		if (!r->status && in.n && in.n < n)
			continue;	/* an interim answer was taken */
		if (r->kind || r->done || seen == c->text.n)
			break;
		n = cuts ? cuts : 1 + (size_t)rand() % 40;
		if (n > c->text.n - seen)
			n = c->text.n - seen;
		if (in.n == 0)
			in.p = c->text.p + seen;
		seen += n;
		in.n += n;
	}
	r->body = buf_str(body);
	if (r->done && (in.n || seen < c->text.n))
		r->keep = 0;		/* bytes nobody asked for */
	if (r->kind || r->done)
		return;
	if (json_is(json_get(c->json, S("then")), S("hold")))
		r->kind = "unfinished";
	else if (r->status && http_body_eof(&b) == OK)
		r->done = 1;
	else if (str_ends(r->body, S("data: [DONE]\n\n")))
		r->done = 1, r->keep = 0;
	else
		r->kind = "truncated";
}

static int response_holds(const struct vcase *c, const struct reading *r)
{
	struct str verdict = json_str(json_get(c->expect, S("verdict"))).raw;
	struct jv body = json_get(c->expect, S("body"));
	static char space[1 << 16];
	struct arena a = { space, space + sizeof(space) };

	if (str_eq(verdict, S("ok")))
		return r->done && !r->kind &&
		    status_listed(c->expect, r->status) && r->keep ==
		    json_true(json_get(c->expect, S("reusable"))) &&
		    (!json_type(body) || str_eq(r->body, vbytes(&a, body)));
	if (str_eq(verdict, S("error")))
		return r->kind && json_is(json_get(c->expect, S("kind")),
		    str_of(r->kind));
	return str_eq(verdict, S("either"));
}

static void response_cases(const char *path)
{
	static const struct names names;
	struct buf body = buf_on(content_space, sizeof(content_space));
	struct reading whole, cut;
	struct json_iter it;
	struct vfile f;
	int i;

	if (!T(vfile_load(&f, path, tree, sizeof(tree)), "%s is read", path))
		return;
	it = json_iter(f.cases);
	while (json_next(&it)) {
		T(vcase_expand(&vcase, it.value, &names, bytes), "expanded");
		model_client(&whole, &vcase, vcase.text.n, &body);
		T(response_holds(&vcase, &whole),
		    "%s: status %d, done %d, keep %d, %s", vcase.id,
		    whole.status, whole.done, whole.keep,
		    whole.kind ? whole.kind : "no error");
		for (i = 0; i < 12; i++) {
			size_t step = 1 + vcase.text.n / 5000;

			if (vcase.text.n > 20000 && i)
				break;
			model_client(&cut, &vcase, i ? 0 : step, &body);
			T(cut.status == whole.status && cut.done == whole.done
			    && cut.keep == whole.keep &&
			    cut.kind == whole.kind &&
			    cut.body.n == whole.body.n,
			    "%s: the same however it is cut (status %d, done "
			    "%d, keep %d, %s)", vcase.id, cut.status, cut.done,
			    cut.keep, cut.kind ? cut.kind : "no error");
		}
	}
}

int main(void)
{
	unsigned seed = 0x1d0f;

	printf("cuts are random from seed %u\n", seed);
	srand(seed);
	head_end();
	request_parts();
	request_hosts();
	request_fields();
	request_limits();
	responses();
	chunked();
	counted_and_to_close();
	small_things();
	request_cases();
	response_cases("tests/data/http1/responses.json");
	response_cases("tests/data/http1/more-responses.json");
	return t_done("http");
}
