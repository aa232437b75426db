/* redact.c -- secrets by value and by shape, in pieces cut anywhere.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/monitor/redact.c"
#include "t.h"

static const struct str known[] = {
	{ "hunter2-and-more", 16 }, { "none", 4 }
};
static char out_text[65536];

static struct str whole(struct str in)
{
	static struct redact_set set;
	struct buf b = buf_on(out_text, sizeof out_text);

	redact_set_init(&set, known, COUNT(known));
	redact_text(&set, &b, in);
	return buf_str(&b);
}

/* The same in pieces of n bytes: what comes out must be the same. */
static int in_pieces(struct str in, size_t n)
{
	static char text[65536];
	struct redact_set set;
	struct redact r;
	struct buf b = buf_on(text, sizeof text);
	struct str want = whole(in);

	redact_set_init(&set, known, COUNT(known));
	redact_begin(&r, &set);
	for (; in.n; in = str_from(in, n))
		redact_put(&r, &b, str_head(in, n));
	redact_end(&r, &b);
	return str_eq(buf_str(&b), want);
}

static const struct {
	const char *in, *out;
} cases[] = {
	{ "nothing here", "nothing here" },
	{ "", "" },
	{ "{\"k\":\"sk-ant-api03-AAAA_BBBB-1234\"}",
	  "{\"k\":\"[redacted anthropic_key len=27]\"}" },
	{ "sk-or-v1-0123456789abcdef", "[redacted openrouter_key len=25]" },
	{ "key=sk-proj-0123456789ab end",
	  "key=[redacted openai_key len=20] end" },
	{ "a task-list-of-things-to-do", "a task-list-of-things-to-do" },
	{ "sk-short", "sk-short" },
	{ "AKIAIOSFODNN7EXAMPLE", "[redacted aws_key len=20]" },
	{ "(ghp_0123456789abcdefghij)",
	  "([redacted github_token len=24])" },
	{ "github_pat_11AAAAAAA0123456789",
	  "[redacted github_token len=30]" },
	{ "xoxb-12345678-abc", "[redacted slack_token len=17]" },
	{ "AIzaSyA0123456789abcdefghijklmnop",
	  "[redacted google_key len=33]" },
	{ "one\\nsk-ant-0123456789",
	  "one\\n[redacted anthropic_key len=17]" },
	{ "twice\\\\nsk-ant-0123456789 x",
	  "twice\\\\n[redacted anthropic_key len=17] x" },
	{ "\\u0022sk-ant-0123456789\\u0022",
	  "\\u0022[redacted anthropic_key len=17]\\u0022" },
	{ "Authorization: Bearer abcdefgh12345678",
	  "Authorization: Bearer [redacted bearer len=16]" },
	{ "basic authentication and bearer authorization",
	  "basic authentication and bearer authorization" },
	{ "password hunter2-and-more!",
	  "password [redacted configured_key len=16]!" },
	{ "xhunter2-and-morex",
	  "x[redacted configured_key len=16]x" },
	{ "none of it", "none of it" },
	{ "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
	  "[redacted jwt len=41]" },
	{ "eyJhbGciOiJIUzI1NiJ9 alone", "eyJhbGciOiJIUzI1NiJ9 alone" },
	{ "-----BEGIN RSA PRIVATE KEY-----\\nMIIEow\\n-----END RSA PRIVATE "
	  "KEY-----\\nrest", "[redacted private_key len=70]\\nrest" },
	{ "{\"a\":\"-----BEGIN PRIVATE KEY-----\\nMII\",\"b\":1}",
	  "{\"a\":\"[redacted private_key len=32]\",\"b\":1}" },
	{ "-----BEGIN CERTIFICATE-----", "-----BEGIN CERTIFICATE-----" },
	{ "https://x/?key=AIzaSyA0123456789abcdefghijklmnop&b=1",
	  "https://x/?key=[redacted google_key len=33]&b=1" },
	{ "C:\\\\new\\\\sk-file", "C:\\\\new\\\\sk-file" }
};

static void test_cases(void)
{
	size_t i, n, bad;

	for (i = 0; i < COUNT(cases); i++) {
		struct str in = str_of(cases[i].in);

		T_STR(whole(in), str_of(cases[i].out), "case %lu",
		    (unsigned long)i);
		for (n = 1, bad = 0; n <= in.n; n++)
			bad += !in_pieces(in, n);
		T_INT(bad, 0, "case %lu in pieces of any size",
		    (unsigned long)i);
	}
}

/* Long inputs that begin like something for ever. */
static void test_long(void)
{
	static char text[20000];
	struct str all = { text, sizeof text };
	size_t i;

	memset(text, 'a', sizeof text);
	memcpy(text, "sk-ant-", 7);
	T_STR(whole(all), S("[redacted anthropic_key len=20000]"),
	    "a key without end");
	T(in_pieces(all, 7) && in_pieces(all, 600), "in pieces");
	memcpy(text, "eyJaaaa", 7);
	T_STR(whole(all), all, "a word that begins like a JWT");
	T(in_pieces(all, 7) && in_pieces(all, 600), "in pieces");
	memset(text, '\\', sizeof text);
	T_STR(whole(all), all, "backslashes");
	T(in_pieces(all, 7) && in_pieces(all, 600), "in pieces");
	for (i = 0; i + 11 < sizeof text; i += 11)
		memcpy(text + i, "-----BEGIN ", 11);
	T_STR(whole(all), all, "beginnings of PEM");
	for (i = 0; i + 7 < sizeof text; i += 7)
		memcpy(text + i, " bearer", 7);
	T_STR(whole(all), all, "bearers");
	T(in_pieces(all, 1) && in_pieces(all, 511) && in_pieces(all, 513),
	    "in pieces");
}

static unsigned roll(unsigned n)
{
	static uint32_t x = 20261125;

	x = x * 1664525 + 1013904223;
	return (x >> 8) % n;
}

/* Passing over what can't hold a key changes nothing: against looking at each
 * byte, and in pieces, on texts put together from what matters. */
static void test_skipping(void)
{
	static const char *const bits[] = {
		"sk-ant-", "sk-", "AKIA", "github_pat_", "xoxb-", "eyJ",
		".eyJ", "Bearer ", "basic ", "bearer", "-----BEGIN ",
		"PRIVATE KEY-----", "-----END", "\\n", "\\\\u00e9", "\\",
		"\"", " ", " ", "\n", "=", "/", "a", "to", "0123456789",
		"abcdefghijkl", "hunter2-and-more", "hunter2", "hunter",
		"a word of prose. And another, longer one: nothing in it. ",
		"/usr/share/doc/somewhere/else", "\xc3\xa9", "us:pa", "us"
	};
	static const struct str odd[] = { { "hunter2-and-more", 16 },
	    { "us:pa ss", 8 }, { "short1", 6 } };
	static char text[4096], slow_text[16384], fast_text[16384];
	static struct redact_set fast, slow;
	struct buf in, a, b;
	struct str rest;
	struct redact r;
	size_t i, n, k, bad = 0, hit = 0;

	for (i = 0; i < 60000; i++) {
		if (i % 20000 == 0) {	/* a key, none, three */
			redact_set_init(&fast, i == 40000 ? odd : known,
			    i == 0 ? 1 : i == 20000 ? 0 : 3);
			slow = fast;
			slow.run = 0;
			T(fast.run >= 6, "there is something to skip");
		}
		in = buf_on(text, sizeof text);
		for (n = roll(i % 2 ? 40 : 6); n > 0; n--)
			buf_put(&in, str_of(bits[roll(COUNT(bits))]));
		a = buf_on(slow_text, sizeof slow_text);
		redact_text(&slow, &a, buf_str(&in));
		b = buf_on(fast_text, sizeof fast_text);
		redact_begin(&r, &fast);
		for (rest = buf_str(&in); rest.n; rest = str_from(rest, k)) {
			k = 1 + roll(i % 3 ? 300 : 9);
			redact_put(&r, &b, str_head(rest, k));
		}
		redact_end(&r, &b);
		hit += a.n != in.n;
		if (!str_eq(buf_str(&a), buf_str(&b)) && bad++ < 3)
			T_STR(buf_str(&b), buf_str(&a), "of \"%.*s\"",
			    (int)in.n, in.p);
		b = buf_on(fast_text, sizeof fast_text);
		redact_text(&fast, &b, buf_str(&in));
		if (!str_eq(buf_str(&a), buf_str(&b)) && bad++ < 3)
			T_STR(buf_str(&b), buf_str(&a), "at once: \"%.*s\"",
			    (int)in.n, in.p);
	}
	T_INT(bad, 0, "the same, skipping or not");
	T(hit > 5000, "with keys in them: %lu", (unsigned long)hit);
	b = buf_on(fast_text, sizeof fast_text);
	redact_text(&fast, &b, S("words and words and words and words and "
	    "words then short1 and \"us:pa ss\" words and words and words and "
	    "words and words and words and words"));
	T(str_find(buf_str(&b), S("short1")) == b.n, "a short value is found");
	T(str_find(buf_str(&b), S("pa ss")) == b.n, "and one of odd bytes");
}

static void test_head(void)
{
	static const char *const secret[] = {
		"AUTH", "Proxy-Authorization", "apikey", "X-ApiKey", "my_KEY",
		"Key", "x-some-key", "X-Token", "x-SECRET-name", "Set-Cookie",
		"x-signature", "Credential", "x-password", "x-passw"
	};
	static const char *const open[] = {
		"", "a", "content-length", "connection", "cook", "x-keyed",
		"monkey", "toke", "x-ratelimit-limit-tokens", "server"
	};
	size_t i;
	struct redact_set set;
	struct buf b = buf_on(out_text, sizeof out_text);

	redact_set_init(&set, NULL, 0);
	redact_head(&set, &b, S("POST /v1/messages?k=sk-ant-0123456789 "
	    "HTTP/1.1\r\nHost: h\r\nX-Api-Key: abc\r\nauthorization: Bearer "
	    "x\r\nx-goog-api-key: zz\r\nCookie: a=b\r\nx-amz-security-token: "
	    "q\r\nanthropic-ratelimit-tokens-remaining: 5\r\n"
	    "anthropic-version: 2023-06-01\r\n\r\n"));
	T_STR(buf_str(&b), S("POST /v1/messages?k=[redacted anthropic_key "
	    "len=17] HTTP/1.1\r\nHost: h\r\nX-Api-Key: [redacted header "
	    "len=3]\r\nauthorization: [redacted header len=8]\r\n"
	    "x-goog-api-key: [redacted header len=2]\r\nCookie: [redacted "
	    "header len=3]\r\nx-amz-security-token: [redacted header len=1]"
	    "\r\nanthropic-ratelimit-tokens-remaining: 5\r\n"
	    "anthropic-version: 2023-06-01\r\n\r\n"), "fields by their names");
	T_INT(set.count[RK_HEADER], 5, "counted");
	T_INT(set.count[RK_ANTHROPIC], 1, "by kind");
	for (i = 0; i < COUNT(secret); i++)
		T(redact_field(str_of(secret[i])), "%s", secret[i]);
	for (i = 0; i < COUNT(open); i++)
		T(!redact_field(str_of(open[i])), "%s", open[i]);
}

int main(void)
{
	test_cases();
	test_long();
	test_skipping();
	test_head();
	return t_done("redact");
}
