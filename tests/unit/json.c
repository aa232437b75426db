/* json.c -- tests of wire/json and wire/jstr.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <time.h>

#include "t.h"
#include "../../src/wire/json.c"
#include "../../src/wire/jstr.c"

enum {
	MEMORY = 64 << 20	/* the largest text below, times its tokens */
};

static char memory[MEMORY];

static struct arena fresh(void)
{
	return (struct arena){ memory, memory + sizeof memory };
}

static struct json doc;

/* The root of z, parsed into fresh memory; absent when it is refused. */
static struct jv parsed(struct str text)
{
	struct arena a = fresh();

	json_parse(&doc, text, &a, NULL);
	return json_root(&doc);
}

static struct jstr js(const char *z)
{
	return (struct jstr){ str_of(z) };
}

/* ---- the validator ---- */

static const struct {
	const char *text;
	int code;
	size_t n;		/* tokens, or the place of the error */
} checks[] = {
	{ "{}", OK, 1 }, { " [ ] ", OK, 1 }, { "null", OK, 1 },
	{ "\"\"", OK, 1 }, { "-0", OK, 1 }, { "1.5e+7", OK, 1 },
	{ "{\"a\":1}", OK, 3 }, { "[1,2,[3,{}]]", OK, 6 },
	{ "{\"a\":{\"b\":[]},\"c\":\"d\"}", OK, 7 },
	{ "\t\r\n true\n", OK, 1 }, { "\"\\ud800\"", OK, 1 },
	{ "\"\x7f\xc2\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf\"", OK, 1 },
	{ "", E_BAD, 0 }, { "  ", E_BAD, 2 }, { "{\"a\"}", E_BAD, 4 },
	{ "[1.2.3]", E_BAD, 4 }, { "[1,]", E_BAD, 3 }, { "[,1]", E_BAD, 1 },
	{ "{\"a\":1,}", E_BAD, 7 }, { "{a:1}", E_BAD, 1 },
	{ "[1 2]", E_BAD, 3 }, { "[1}", E_BAD, 2 }, { "{\"a\":1]", E_BAD, 6 },
	{ "]", E_BAD, 0 }, { "1 2", E_BAD, 2 }, { "[]]", E_BAD, 2 },
	{ "01", E_BAD, 1 }, { "-", E_BAD, 1 }, { "1.", E_BAD, 2 },
	{ ".5", E_BAD, 0 }, { "1e", E_BAD, 2 }, { "1e+", E_BAD, 3 },
	{ "+1", E_BAD, 0 }, { "-a", E_BAD, 1 }, { "0x1", E_BAD, 1 },
	{ "tru", E_BAD, 0 }, { "nulL", E_BAD, 0 }, { "truex", E_BAD, 4 },
	{ "\"", E_BAD, 0 }, { "\"a", E_BAD, 0 }, { "\"\\", E_BAD, 1 },
	{ "\"\\x\"", E_BAD, 1 }, { "\"\\u12\"", E_BAD, 1 },
	{ "\"\\u12g4\"", E_BAD, 1 }, { "\"a\tb\"", E_BAD, 2 },
	{ "\"\xff\"", E_BAD, 1 }, { "\"\xc0\x80\"", E_BAD, 1 },
	{ "\"\xed\xa0\x80\"", E_BAD, 1 }, { "\"\xe2\x82", E_BAD, 1 },
	{ "\xef\xbb\xbf{}", E_BAD, 0 }, { "{}\xc2\xa0", E_BAD, 2 },
	{ "{\"a\" 1}", E_BAD, 5 }, { "{\"a\":", E_BAD, 5 }, { "[", E_BAD, 1 },
	{ "{1:2}", E_BAD, 1 }, { "{\"a\":1 \"b\":2}", E_BAD, 7 },
	{ "'a'", E_BAD, 0 }, { "[1]//", E_BAD, 3 }, { "\f1", E_BAD, 0 },
};

static void test_check(void)
{
	struct json_error e;
	struct arena a;
	struct str s;
	size_t i, n;
	int r;

	for (i = 0; i < COUNT(checks); i++) {
		s = str_of(checks[i].text);
		r = json_check(s, &n, &e);
		T_INT(r, checks[i].code, "check: %s", s.p);
		T_INT(e.code, r, "the error's code: %s", s.p);
		T_INT(r ? e.at : n, checks[i].n, "check's number: %s", s.p);
		T(r ? e.why != NULL : 1, "a reason: %s", s.p);
		a = fresh();
		T_INT(json_parse(&doc, s, &a, NULL), r, "parse: %s", s.p);
		T_INT(doc.n, r ? 0 : n, "parse's tokens: %s", s.p);
	}
	T_INT(json_check((struct str){ "[\0]", 3 }, &n, NULL), E_BAD,
	    "a NUL is no blank");
	T_INT(json_check((struct str){ "\"\0\"", 3 }, &n, NULL), E_BAD,
	    "a NUL in a string");
	T_INT(json_check((struct str){ NULL, 0 }, &n, NULL), E_BAD, "nothing");
	T_INT(json_check((struct str){ "x", (size_t)JSON_TEXT_MAX + 1 }, &n,
	    &e), E_LIMIT, "a text jsmn can't count is not even looked at");
}

/* Every place of a wide step may hold the byte that ends it, and an escape
 * may lie across two steps. */
static void test_places(void)
{
	static const struct {
		const char *mid;
		int ok;
	} mids[] = {
		{ "\\n", 1 }, { "\\\"", 1 }, { "\\u00e9", 1 },
		{ "\\\\", 1 }, { "\\\\\\\"", 1 },
		{ "\xc3\xa9", 1 }, { "\xf0\x9f\x98\x80", 1 }, { "\x7f", 1 },
		{ "\x1f", 0 }, { "\x80", 0 }, { "\xff", 0 }, { "\n", 0 },
		{ "\\q", 0 }, { "\"", 0 }, { "\xe2\x82", 0 }, { "\\u1", 0 },
		{ "\\\\\"", 0 },
	};
	static const char *fills[] = { "a", "\\n", "\\\\", "a\\\"" };
	char text[1024];
	size_t i, f, front, back, m, n;
	struct buf b;

	for (i = 0; i < COUNT(mids); i++)
	for (f = 0; f < COUNT(fills); f++)
	for (front = 0; front < 80; front++)
	for (back = 0; back < 80; back += back < 20 ? 5 : 30) {
		b = buf_on(text, sizeof text);
		buf_chr(&b, '"');
		for (m = 0; m < front; m++)
			buf_put(&b, str_of(fills[f]));
		buf_put(&b, str_of(mids[i].mid));
		for (m = 0; m < back; m++)
			buf_chr(&b, ' ');
		buf_chr(&b, '"');
		T_INT(json_check(buf_str(&b), &n, NULL) == OK, mids[i].ok,
		    "%s after %zu of %s, %zu behind", mids[i].mid, front,
		    fills[f], back);
	}
}

/* A text of `times` copies of a unit, between two ends. */
static struct str repeated(const char *front, const char *unit, size_t times,
    const char *back)
{
	static char text[8 << 20];
	struct buf b = buf_on(text, sizeof text);

	buf_put(&b, str_of(front));
	while (times--)
		buf_put(&b, str_of(unit));
	buf_put(&b, str_of(back));
	if (!T(!b.full, "the test's text fits"))
		exit(1);
	return buf_str(&b);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_depth(void)
{
	struct json_error e;
	struct arena a = fresh();
	struct str s;
	struct buf b;
	char text[4 * JSON_DEPTH_MAX];
	size_t i, n;

	for (i = JSON_DEPTH_MAX - 1; i <= JSON_DEPTH_MAX + 1; i++) {
		b = buf_on(text, sizeof text);
		for (n = 0; n < i; n++)
			buf_chr(&b, '[');
		for (n = 0; n < i; n++)
			buf_chr(&b, ']');
		T_INT(json_parse(&doc, buf_str(&b), &a, &e),
		    i > JSON_DEPTH_MAX ? E_LIMIT : OK, "%zu levels", i);
	}
	T_INT(e.at, JSON_DEPTH_MAX, "the bracket too many is named");
	s = repeated("", "{\"a\":", JSON_DEPTH_MAX, "0");
	n = s.n;
	for (i = 0; i < JSON_DEPTH_MAX; i++)
		((char *)(uintptr_t)s.p)[n++] = '}';
	s.n = n;
	T_INT(json_parse(&doc, s, &a, &e), OK, "128 objects");
}

/* Hostile shapes: the time of each, for 1 MB, in a generous bound that any
 * quadratic way through them passes a hundredfold. */
static void test_hostile(void)
{
	static const struct {
		const char *front, *unit, *back;
	} shapes[] = {
		{ "", "[", "" }, { "", "{\"a\":", "" }, { "[", "[],", "1]" },
		{ "[", "{},", "1]" }, { "\"", "\\", "\"" },
		{ "\"", "\\u", "\"" }, { "", " ", "1" }, { "", "1", "" },
		{ "[", "1,", "1]" }, { "{", "\"\":0,", "\"\":1}" },
		{ "[", "\"a\",", "\"\"]" }, { "\"", "\xc3\xa9", "\"" },
		{ "[", "\"0123456789012345678901234567890123456789"
		    "0123456789012345678901234567890123456789\",", "0]" },
	};
	struct arena a;
	struct jv v;
	double t;
	size_t i;
	struct str s;

	for (i = 0; i < COUNT(shapes); i++) {
		s = repeated(shapes[i].front, shapes[i].unit,
		    (1 << 20) / strlen(shapes[i].unit), shapes[i].back);
		a = fresh();
		t = seconds();
		json_parse(&doc, s, &a, NULL);
		v = json_root(&doc);
		json_get(v, S("none"));
		json_at(v, json_count(v) - 1);
		t = seconds() - t;
		T(t < 5, "1 MB of %s takes %.3f s", shapes[i].unit, t);
	}
}

/* ---- the corpus ---- */

static void test_corpus(void)
{
	char dir[4096], path[8192];
	struct dirent *e;
	struct arena a;
	struct str s;
	unsigned long seen[3] = { 0 }, good[3] = { 0 };
	const char *kinds = "yni", *k;
	double t, slowest = 0;
	DIR *d;
	int r;

	if (!t_shared("vectors/json/README.md"))
		return;
	snprintf(dir, sizeof dir, "%s/vectors/json/test_parsing",
	    getenv("SHARED") ? getenv("SHARED") : "../shared");
	d = opendir(dir);
	while (d && (e = readdir(d))) {
		k = strchr(kinds, e->d_name[0]);
		if (!k || e->d_name[1] != '_')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		s = t_file(path);
		a = fresh();
		t = seconds();
		r = json_parse(&doc, s, &a, NULL);
		t = seconds() - t;
		if (t > slowest)
			slowest = t;
		seen[k - kinds]++;
		good[k - kinds] += r == OK;
		if (*k != 'i')
			T(*k == 'y' ? r == OK : r != OK, "%s", e->d_name);
	}
	if (d)
		closedir(d);
	T(seen[0] && seen[1], "the corpus was read");
	T(slowest < 0.1, "no file is slow: %.3f s", slowest);
	printf("json: corpus: %lu of %lu y_ accepted, %lu of %lu n_ refused, "
	    "%lu of %lu i_ accepted, slowest %.0f us\n", good[0], seen[0],
	    seen[1] - good[1], seen[1], good[2], seen[2], slowest * 1e6);
}

/* ---- views ---- */

static void test_views(void)
{
	struct jv v = parsed(S(" {\"a\": [1, {\"b\": [[], {}]}, \"x\\ny\"],"
	    "\"\\u0062\": true, \"n\":null,\"f\":false, \"a\\\\\": 7,"
	    "\"d\": 1, \"d\": 2, \"e\": {\"d\":3}, \"\": \"empty\"} "));
	struct jv a = json_get(v, S("a"));
	struct json_iter it;
	size_t n = 0;

	T_INT(json_type(v), JSON_OBJECT, "object");
	T_INT(json_count(v), 9, "members");
	T_INT(json_type(a), JSON_ARRAY, "array");
	T_INT(json_count(a), 3, "elements");
	T_INT(json_int(json_at(a, 0), -1), 1, "first");
	T_STR(json_raw(json_at(a, 1)), S("{\"b\": [[], {}]}"), "raw, nested");
	T_STR(json_raw(json_at(a, 2)), S("\"x\\ny\""), "raw keeps quotes");
	T_STR(json_str(json_at(a, 2)).raw, S("x\\ny"), "str is inside");
	T_INT(json_type(json_at(a, 3)), JSON_ABSENT, "past the end");
	T_INT(json_type(json_at(a, SIZE_MAX)), JSON_ABSENT, "far past it");
	T_INT(json_type(json_at(v, 0)), JSON_ABSENT, "no element of an object");
	T_INT(json_type(json_get(a, S("a"))), JSON_ABSENT,
	    "no member of an array");
	T(json_true(json_get(v, S("b"))), "an escaped name is found");
	T_INT(json_type(json_get(v, S("n"))), JSON_NULL, "null");
	T_INT(json_type(json_get(v, S("f"))), JSON_FALSE, "false");
	T(!json_true(json_get(v, S("f"))), "false is not true");
	T_INT(json_int(json_get(v, S("a\\")), 0), 7, "a backslash in a name");
	T_INT(json_type(json_get(v, S("a\\\\"))), JSON_ABSENT,
	    "names are compared unescaped");
	T_INT(json_int(json_get(v, S("d")), 0), 2, "the last of two wins");
	T(json_is(json_get(v, S("")), S("empty")), "the empty name");
	T(!json_is(json_get(v, S("zz")), S("")), "absent is no empty string");
	T(!json_is(json_get(v, S("n")), S("null")), "a word is no string");
	T_INT(json_type(json_get(json_at(json_get(v, S("q")), 3), S("b"))),
	    JSON_ABSENT, "look-ups chain through nothing");
	T_STR(json_raw(json_get(v, S("q"))), S(""), "raw of nothing");
	T_STR(json_num(json_get(v, S("q"))), S(""), "number of nothing");
	T_STR(json_str(json_get(v, S("n"))).raw, S(""), "string of null");
	T_INT(json_count(json_get(v, S("d"))), 0, "a number has no members");
	for (it = json_iter(v); json_next(&it); n++)
		if (n == 0)
			T(jstr_eq(it.key, S("a")), "the first key");
	T_INT(n, 9, "all members walked");
	T(jstr_eq(it.key, S("")) && json_is(it.value, S("empty")),
	    "the last member");
	for (n = 0, it = json_iter(a); json_next(&it); n++)
		T_STR(it.key.raw, S(""), "elements have no names");
	T_INT(n, 3, "all elements walked");
	it = json_iter(json_get(v, S("q")));
	T(!json_next(&it), "nothing to walk in nothing");
	T(!json_next(&it), "and again");

	T_STR(json_num(parsed(S(" -1.5e3 "))), S("-1.5e3"), "a lone number");
	T_STR(json_raw(parsed(S(" null\n"))), S("null"), "a lone word");
	T_STR(json_str(parsed(S(" \"s\" "))).raw, S("s"), "a lone string");
	T_INT(json_type(parsed(S("{"))), JSON_ABSENT, "a refused text");
}

static void test_int(void)
{
	static const struct {
		const char *text;
		int64_t v;
	} ints[] = {
		{ "0", 0 }, { "-0", 0 }, { "7", 7 }, { "-7", -7 },
		{ "5.0", 5 }, { "1e3", 1000 }, { "1E+3", 1000 },
		{ "1.5e1", 15 }, { "12.50e2", 1250 }, { "100e-2", 1 },
		{ "-2.0e0", -2 }, { "0.0", 0 }, { "0e999999999999999999", 0 },
		{ "0e-999999999999999999", 0 }, { "0.001e3", 1 },
		{ "9223372036854775807", INT64_MAX },
		{ "-9223372036854775808", INT64_MIN },
		{ "922337203685477580700e-2", INT64_MAX },
		{ "0.000000000000000000000000000001e30", 1 },
		{ "1000000000000000000000000000000e-30", 1 },
		{ "1e18", 1000000000000000000 },
		/* what isn't one */
		{ "9223372036854775808", -99 }, { "-9223372036854775809", -99 },
		{ "1e19", -99 }, { "0.5", -99 }, { "1e-1", -99 },
		{ "1.5", -99 }, { "1e999999999999999999", -99 },
		{ "1e-999999999999999999", -99 }, { "15e-1", -99 },
		{ "true", -99 }, { "\"5\"", -99 }, { "[]", -99 },
		{ "null", -99 }, { "18446744073709551616", -99 },
		{ "18446744073709551617", -99 },
	};
	size_t i;

	for (i = 0; i < COUNT(ints); i++)
		T_INT(json_int(parsed(str_of(ints[i].text)), -99), ints[i].v,
		    "int: %s", ints[i].text);
}

/* Long strings go past jsmn; whether they do must not be seen. */
static void test_long_strings(void)
{
	static char text[1 << 16];
	static struct arena a;
	struct arena tight;
	struct json with, without;
	struct buf b = buf_on(text, sizeof text);
	size_t i, n, room;

	buf_chr(&b, '{');
	for (i = 0; i < 200; i++) {
		buf_put(&b, i ? S(",\"") : S("\""));
		for (n = 0; n < i * 7 % 90; n++)
			buf_put(&b, n % 9 ? S("k") : S("\\\""));
		buf_put(&b, S("\":[\""));
		for (n = 0; n < i * 5 % 99; n++)
			buf_put(&b, n % 7 ? S("v") : S("\\n"));
		buf_put(&b, S("\",{\"x\":\""));
		for (n = 0; n < i * 3 % 120; n++)
			buf_chr(&b, 'w');
		buf_put(&b, S("\"},1]"));
	}
	buf_chr(&b, '}');
	a = fresh();
	T_INT(json_parse(&with, buf_str(&b), &a, NULL), OK, "with room");
	room = with.n * sizeof(jsmntok_t);
	tight = (struct arena){ a.cur, a.cur + room + 64 };
	T_INT(json_parse(&without, buf_str(&b), &tight, NULL), OK,
	    "without room for notes");
	T(with.n == without.n && memcmp(with.toks, without.toks, room) == 0,
	    "the same tokens");
	/* Every size of arena either serves or says no. */
	for (i = 0; i < room + 80; i += 13) {
		tight = (struct arena){ a.cur, a.cur + i };
		n = (size_t)json_parse(&without, buf_str(&b), &tight, NULL);
		T((int)n == (i < room ? E_FULL : OK) ||
		    ((int)n == E_FULL && i < room + 16), "%zu bytes", i);
		if ((int)n == E_FULL)
			T(tight.cur == a.cur && without.n == 0,
			    "nothing is taken by a failure");
		else
			T(memcmp(with.toks, without.toks, room) == 0,
			    "the same tokens in %zu bytes", i);
	}
}

/* So many tokens that they stand where a string's note was put. */
static void test_dense(void)
{
	static char text[1 << 14];
	struct buf b = buf_on(text, sizeof text);
	struct arena a = fresh();
	struct json dense;
	size_t i;

	buf_put(&b, S("[\"a string of some length\""));
	for (i = 0; i < 4000; i++)
		buf_put(&b, S(",1"));
	buf_chr(&b, ']');
	T_INT(json_parse(&dense, buf_str(&b), &a, NULL), OK, "dense");
	T_INT(dense.n, 4002, "all tokens");
	T(json_is(json_at(json_root(&dense), 0), S("a string of some length")) &&
	    json_int(json_at(json_root(&dense), 4000), 0) == 1, "all there");
}

/* ---- strings ---- */

static char out[1 << 16];

static struct str unescaped(const char *z)
{
	struct buf b = buf_on(out, strlen(z));

	json_unescape(&b, js(z));
	T(!b.full, "never longer than its source: %s", z);
	return buf_str(&b);
}

static struct str put(const char *z)
{
	struct buf b = buf_on(out, sizeof out);

	json_put(&b, js(z));
	return buf_str(&b);
}

static void test_unescape(void)
{
	struct arena a = fresh(), none = { memory, memory + 2 };
	struct str s;

	T_STR(unescaped("plain"), S("plain"), "no escape");
	T_STR(unescaped("\\\"\\\\\\/\\b\\f\\n\\r\\t"), S("\"\\/\b\f\n\r\t"),
	    "the short ones");
	T_STR(unescaped("\\u0041\\u00e9\\u20AC"), S("A\xc3\xa9\xe2\x82\xac"),
	    "one to three bytes");
	T_STR(unescaped("\\ud83d\\ude00"), S("\xf0\x9f\x98\x80"), "a pair");
	T_STR(unescaped("a\\u0000b"), S("a\0b"), "NUL");
	T_STR(unescaped("\\ud83d"), S("\xef\xbf\xbd"), "high alone");
	T_STR(unescaped("\\ude00x"), S("\xef\xbf\xbdx"), "low alone");
	T_STR(unescaped("\\ud83d\\ud83d\\ude00"),
	    S("\xef\xbf\xbd\xf0\x9f\x98\x80"), "high, then a pair");
	T_STR(unescaped("\\ude00\\ud83d"), S("\xef\xbf\xbd\xef\xbf\xbd"),
	    "the wrong way round");
	T_STR(unescaped("\\ud83d\\n"), S("\xef\xbf\xbd\n"), "high, other");
	T_STR(unescaped("\\\\u0041"), S("\\u0041"), "an escaped backslash");
	T_STR(unescaped("\\udbff\\udfff"), S("\xf4\x8f\xbf\xbf"), "the last");
	/* Not from json_parse, but never out of bounds. */
	T_STR(unescaped("\\"), S("\\"), "cut: backslash");
	T_STR(unescaped("\\u12"), S("\\u12"), "cut: \\u12");
	T_STR(unescaped("\\q"), S("\\q"), "unknown");

	s = js("same").raw;
	T(json_text(&a, js("")).p != NULL, "empty is not failure");
	T(json_text(&a, (struct jstr){ s }).p == s.p, "uncopied");
	T_STR(json_text(&a, js("a\\tb")), S("a\tb"), "copied");
	T(json_text(&none, js("a\\tb")).p == NULL, "no room");
	T(none.cur == memory, "and nothing taken");
}

static void test_compare(void)
{
	T(jstr_eq(js("abc"), S("abc")), "eq");
	T(!jstr_eq(js("abc"), S("abd")), "differs");
	T(!jstr_eq(js("abc"), S("ab")), "longer");
	T(!jstr_eq(js("ab"), S("abc")), "shorter");
	T(jstr_eq(js(""), S("")), "empty");
	T(jstr_eq(js("\\u0061b"), S("ab")), "escaped");
	T(jstr_eq(js("\\u00e9"), S("\xc3\xa9")), "escaped, two bytes");
	T(jstr_eq(js("\\n"), S("\n")), "newline");
	T(!jstr_eq(js("\\n"), S("\\n")), "source is not text");
	T(jstr_eq(js("\\\\n"), S("\\n")), "text is");
	T(jstr_eq(js("\\ud83d"), S("\xef\xbf\xbd")), "lone surrogate");
	T(!jstr_eq(js("\\u00e9"), S("\xc3")), "half a character");
	T(jstr_starts(js("abc"), S("ab")), "starts");
	T(jstr_starts(js("abc"), S("")), "with nothing");
	T(jstr_starts(js("abc"), S("abc")), "whole");
	T(!jstr_starts(js("ab"), S("abc")), "too short");
	T(!jstr_starts(js("\\u0061b"), S("abc")), "too short unescaped");
	T(jstr_starts(js("\\u0061bc"), S("ab")), "starts, escaped");
	T(jstr_starts(js("\\u20ac"), S("\xe2\x82")), "ends in an escape");
}

static void test_escape(void)
{
	struct buf b = buf_on(out, sizeof out);
	struct json_error e;
	size_t n;
	int i;

	json_quote(&b, S("a\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xff\xe2\x82"));
	T_STR(buf_str(&b), S("\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f"
	    "\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""), "quote");
	for (i = 0; i < 256; i++) {
		char c = (char)i, back[8];
		struct buf text = buf_on(back, sizeof back);
		struct str one = { &c, 1 };

		b = buf_on(out, sizeof out);
		json_quote(&b, one);
		T_INT(json_check(buf_str(&b), &n, &e), OK, "byte %d", i);
		json_unescape(&text,
		    (struct jstr){ cut(buf_str(&b), 1, b.n - 1) });
		T_STR(buf_str(&text), i < 128 ? one : S("\xef\xbf\xbd"),
		    "byte %d comes back", i);
	}
	b = buf_on(out, 3);
	json_quote(&b, S("abc"));
	T(b.full && b.n <= 3, "a full buffer stays full");
	b = buf_on(out, sizeof out);
	json_quote(&b, (struct str){ NULL, 0 });
	T_STR(buf_str(&b), S("\"\""), "quote of nothing");
}

static void test_put(void)
{
	T_STR(put("plain"), S("plain"), "put: plain");
	T_STR(put("\\n\\\"\\\\\\u0041\\ud83d\\ude00"),
	    S("\\n\\\"\\\\\\u0041\\ud83d\\ude00"), "put: nothing to mend");
	T_STR(put("a\\ud83db"), S("a\\ufffdb"), "put: high alone");
	T_STR(put("\\uDE00"), S("\\ufffd"), "put: low alone");
	T_STR(put("\\\\ud83d"), S("\\\\ud83d"), "put: a backslash, then ud83d");
	T_STR(put("\\ud83d\\ud83d\\ude00\\ude00"),
	    S("\\ufffd\\ud83d\\ude00\\ufffd"), "put: around a pair");
	T_STR(put("\\ud83d\\u0041"), S("\\ufffd\\u0041"), "put: high, other");
	T_STR(put(""), S(""), "put: nothing");
}

static void test_copies(void)
{
	static const char raw[] = " { \"a b\" : [ 1 , \"\\n\\\"\\\\ \" ] ,\n"
	    "\t\"c\":\"\\ud83d \" , \"\":\"\"}\r\n";
	static const char compact[] = "{\"a b\":[1,\"\\n\\\"\\\\ \"],"
	    "\"c\":\"\\ud83d \",\"\":\"\"}";
	struct buf b = buf_on(out, sizeof out), back;
	char text[256];

	json_compact(&b, S(raw));
	T_STR(buf_str(&b), S(compact), "compact");
	b.n = 0;
	json_stringify(&b, S(raw));
	T_STR(buf_str(&b), S("{\\\"a b\\\":[1,\\\"\\\\n\\\\\\\"\\\\\\\\ \\\"],"
	    "\\\"c\\\":\\\"\\\\ud83d \\\",\\\"\\\":\\\"\\\"}"), "stringify");
	back = buf_on(text, sizeof text);
	json_unescape(&back, (struct jstr){ buf_str(&b) });
	T_STR(buf_str(&back), S(compact), "stringify, unescaped, is compact");
	b.n = 0;
	json_stringify(&b, S(""));
	json_compact(&b, (struct str){ NULL, 0 });
	T_INT(b.n, 0, "of nothing, nothing");
	json_compact(&b, S("12"));
	T_STR(buf_str(&b), S("12"), "compact: a number");
	b.n = 0;
	json_compact(&b, S("\"a\\"));
	T_STR(buf_str(&b), S("\"a\\"), "compact: cut in an escape");
}

/* ---- pieces ---- */

static void test_whole(void)
{
	static const struct {
		const char *text;
		size_t n;
	} wholes[] = {
		{ "", 0 }, { "abc", 3 }, { "a\\", 1 }, { "a\\n", 3 },
		{ "a\\\\", 3 }, { "a\\\\\\", 3 }, { "a\\u", 1 },
		{ "a\\u00e", 1 }, { "a\\u00e9", 7 }, { "\\\\u00", 5 },
		{ "\\ud83d", 0 }, { "\\ud83d\\", 0 }, { "\\ud83d\\u", 0 },
		{ "\\ud83d\\ude0", 0 }, { "\\ud83d\\ude00", 12 },
		{ "\\ud83da", 7 }, { "\\ud83d\\n", 8 }, { "\\ude00", 6 },
		{ "\\ud83d\\ud83d", 6 }, { "x\\ud83d\\u0041", 13 },
		{ "a\xc3", 1 }, { "a\xc3\xa9", 3 }, { "\xe2", 0 },
		{ "\xe2\x82", 0 }, { "\xe2\x82\xac", 3 }, { "\xf0\x9f\x98", 0 },
		{ "\xf0\x9f\x98\x80", 4 }, { "\\ud83d\xc3", 6 },
		{ "\x80", 1 }, { "\xff", 1 },
	};
	size_t i;

	for (i = 0; i < COUNT(wholes); i++)
		T_INT(json_whole(str_of(wholes[i].text)), wholes[i].n,
		    "whole: %s", wholes[i].text);
}

static void scan_case(const char *z, size_t want, int done, int bad)
{
	struct json_scan s;
	size_t n = strlen(z), cuts, i, sum, step;

	for (cuts = 0; cuts <= n; cuts++) {
		memset(&s, 0, sizeof s);
		sum = json_scan(&s, (struct str){ z, cuts });
		sum += json_scan(&s, (struct str){ z + cuts, n - cuts });
		T_INT(sum, want, "scan: %s cut at %zu", z, cuts);
		T(s.done == done && s.bad == bad, "scan's end: %s", z);
	}
	memset(&s, 0, sizeof s);
	for (sum = i = 0; i < n; i += step) {
		step = 1;
		sum += json_scan(&s, (struct str){ z + i, step });
	}
	T(sum == want && s.done == done && s.bad == bad,
	    "scan: %s byte by byte", z);
}

static void test_scan(void)
{
	struct json_scan s = { .depth = 0 };
	size_t i;

	scan_case("{}", 2, 1, 0);
	scan_case(" {\"a\":[1,{\"b\":\"]}\\\"\"}]} tail", 23, 1, 0);
	scan_case("{}{}", 2, 1, 0);
	scan_case("{\"a\":", 5, 0, 0);
	scan_case("{\"a\\\\\"}x", 7, 1, 0);
	scan_case("[{]}", 4, 0, 1);
	scan_case("}", 1, 0, 1);
	scan_case("\"a\\\"b\" ", 6, 1, 0);
	scan_case("12 ", 2, 1, 0);
	scan_case("12", 2, 0, 0);
	scan_case("null,", 4, 1, 0);
	scan_case("", 0, 0, 0);
	scan_case("  ", 2, 0, 0);
	for (i = 0; i < JSON_DEPTH_MAX; i++)
		json_scan(&s, i % 3 ? S("[") : S("{"));
	T_INT(s.bad, 0, "scan: 128 levels");
	json_scan(&s, S("["));
	T_INT(s.bad, 1, "scan: 129 levels");
	T_INT(json_scan(&s, S("abc")), 3, "a lost scan lets everything pass");
}

static void strings(void)
{
	T(json_is_string(S("\"\"")), "an empty string");
	T(json_is_string(S("\"a\\\"\\u00e9\xc3\xa9\"")), "escapes, UTF-8");
	T(!json_is_string(S("")) && !json_is_string(S("\"")) &&
	    !json_is_string(S("a")) && !json_is_string(S("\"a")), "no end");
	T(!json_is_string(S("\"a\"b\"")) && !json_is_string(S("\"a\" ")),
	    "nothing behind it");
	T(!json_is_string(S("\"\\\"")) && !json_is_string(S("\"\\x\"")) &&
	    !json_is_string(S("\"\n\"")) && !json_is_string(S("\"\xc3\"")),
	    "broken ones");
}

int main(void)
{
	test_check();
	test_places();
	test_depth();
	test_hostile();
	test_corpus();
	test_views();
	test_int();
	test_long_strings();
	test_dense();
	test_unescape();
	test_compare();
	test_escape();
	test_put();
	test_copies();
	test_whole();
	test_scan();
	strings();
	return t_done("json");
}
