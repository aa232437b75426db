/* sse.c -- tests of wire/sse: published cases, our own, and hostile ones;
 * each whole, byte by byte and split at random.
 *
 * SPDX-License-Identifier: MIT */
#include <time.h>

#include "t.h"
#include "../../src/wire/json.h"
#include "../../src/wire/sse.c"

enum {
	BYTES = 1 << 16,	/* of one case */
	SPLITS = 60		/* random splits of each case */
};

static char memory[4 << 20];

/* As a reader of the format's own decoder has it: U+FFFD for what is no UTF-8. */
static void put_utf8(struct buf *b, struct str s)
{
	size_t good;

	while (s.n) {
		good = utf8_valid(s);
		buf_put(b, str_head(s, good));
		s = str_from(s, good);
		if (s.n) {
			buf_put(b, S("\xef\xbf\xbd"));
			s = str_from(s, 1);
		}
	}
}

/* What came out of one run: a line an event, with all that is told of it. */
static void tell(struct buf *b, const struct sse_event *e, struct str *id)
{
	if (e->id.p)
		*id = e->id;
	buf_put(b, e->event.n ? e->event : S("message"));
	buf_chr(b, '|');
	put_utf8(b, e->data);
	buf_chr(b, '|');
	buf_put(b, *id);
	buf_put(b, S("|\n"));
}

/* A reader as the program has one: bytes are put behind what is left over, and
 * every whole event is taken out. The buffer is the exact size of the bytes,
 * so that a sanitizer sees a step past them. */
struct reader {
	struct sse d;
	char *p;
	size_t n, cap, raw;
	char id_bytes[256];
	struct str id;
	struct buf out;
};

static void feed(struct reader *r, struct str piece, int end)
{
	struct sse_event e;
	struct str in;

	if (piece.n)
		memcpy(r->p + r->n, piece.p, piece.n);
	r->n += piece.n;
	in = (struct str){ r->p, r->n };
	while (sse_next(&r->d, &in, end, &e) == OK) {
		tell(&r->out, &e, &r->id);
		r->raw += e.raw.n;
		/* The last id outlives the buffer it was read from. */
		if (r->id.n > sizeof r->id_bytes)
			r->id.n = sizeof r->id_bytes;
		if (r->id.n)
			memmove(r->id_bytes, r->id.p, r->id.n);
		r->id.p = r->id_bytes;
	}
	memmove(r->p, in.p, in.n);
	r->n = in.n;
}

static uint32_t seed;

static uint32_t dice(void)
{
	seed = seed * 1664525 + 1013904223;
	return seed >> 8;
}

/* Feeds s in pieces of step bytes; 0: whole, or at random when `random`. */
static struct str run(struct str s, size_t step, int random, int end)
{
	static char out[2 * BYTES];
	struct reader r = { .n = 0 };
	size_t at = 0, n;

	r.cap = s.n;
	r.p = malloc(s.n ? s.n : 1);
	r.out = buf_on(out, sizeof out);
	if (!r.p)
		exit(1);
	while (at < s.n) {
		n = random ? dice() % (dice() % 4 ? 6 : 40) : step ? step : s.n;
		feed(&r, str_head(str_from(s, at), n), 0);
		at += n;
	}
	if (end)
		feed(&r, S(""), 1);
	T(!end || r.n == 0, "nothing is left after the end");
	T(!r.out.full, "the test's own buffer holds it");
	free(r.p);
	return buf_str(&r.out);
}

static void check_all(const char *name, struct str bytes, struct str want,
    int end)
{
	int i;

	T_STR(run(bytes, 0, 0, end), want, "%s whole", name);
	T_STR(run(bytes, 1, 0, end), want, "%s byte by byte", name);
	T_STR(run(bytes, 2, 0, end), want, "%s two by two", name);
	for (i = 0; i < SPLITS; i++)
		T_STR(run(bytes, 0, 1, end), want, "%s split %d", name, i);
}

/* ---- the published cases ---- */

/* Code points up to U+00FF, as bytes. */
static void put_bytes(struct buf *b, struct str utf8)
{
	size_t i;

	for (i = 0; i < utf8.n; i++)
		if ((unsigned char)utf8.p[i] < 0x80) {
			buf_chr(b, utf8.p[i]);
		} else {
			buf_chr(b, (char)((utf8.p[i] & 3) << 6 |
			    (utf8.p[i + 1] & 63)));
			i++;
		}
}

static void vector(struct jv c, struct arena a)
{
	static char bytes[BYTES], want[BYTES], name[80];
	struct buf in = buf_on(bytes, sizeof bytes);
	struct buf w = buf_on(want, sizeof want);
	struct buf label = buf_on(name, sizeof name - 1);
	struct jv expect = json_get(c, S("expect"));
	struct json_iter it;

	json_unescape(&label, json_str(json_get(c, S("id"))));
	name[label.n] = '\0';
	for (it = json_iter(json_get(c, S("send"))); json_next(&it); ) {
		T_INT(json_type(it.value), JSON_STRING, "%s: bytes", name);
		put_bytes(&in, json_text(&a, json_str(it.value)));
	}
	for (it = json_iter(json_get(expect, S("events"))); json_next(&it); ) {
		json_unescape(&w, json_str(json_get(it.value, S("event"))));
		buf_chr(&w, '|');
		json_unescape(&w, json_str(json_get(it.value, S("data"))));
		buf_chr(&w, '|');
		json_unescape(&w, json_str(json_get(it.value, S("id"))));
		buf_put(&w, S("|\n"));
	}
	T(!w.full && !in.full, "%s fits the test", name);
	check_all(name, buf_str(&in), buf_str(&w), 0);
}

static void test_vectors(const char *path)
{
	struct str text = t_file(path);
	struct arena a = { memory, memory + sizeof memory };
	struct json_iter it;
	struct json doc;
	size_t n = 0;

	if (!T(text.p != NULL, "%s is there (tests run in the root)", path))
		return;
	T_INT(json_parse(&doc, text, &a, NULL), OK, "%s is JSON", path);
	it = json_iter(json_get(json_root(&doc), S("cases")));
	for (; json_next(&it); n++)
		vector(it.value, a);
	T(n > 0, "%s has cases", path);
	printf("sse: %zu cases of %s\n", n, path);
}

/* ---- our own ---- */

/* FN-11: any end of line, several data lines, comments, an end without its
 * blank line. */
static const struct {
	const char *name, *bytes, *open, *ended;	/* ended NULL: as open */
} cases[] = {
	{ "nothing", "", "", NULL },
	{ "end after data", "data: a\n", "", "message|a||\n" },
	{ "end inside data", "data: a", "", "message|a||\n" },
	{ "end after CR", "data: a\r", "", "message|a||\n" },
	{ "end, two lines", "data: a\ndata: b", "", "message|a\nb||\n" },
	{ "end, no data", "event: a\n", "", "" },
	{ "end, comment", "data: a\n\n: bye", "message|a||\n", NULL },
	{ "end, short BOM", "\xef\xbb", "", "" },
	{ "only a BOM", "\xef\xbb\xbf", "", "" },
	{ "half a BOM is a field", "\xef\xbb" "data: a\n\ndata: b\n\n",
	    "message|b||\n", NULL },
	{ "event between data", "data: a\nevent: foo\n"
	    "data: bbbbbbbbbbbbbbbbbbbbbbbbbbbb\n\n",
	    "foo|a\nbbbbbbbbbbbbbbbbbbbbbbbbbbbb||\n", NULL },
	{ "event, id between data", "data: a\nevent: foo\nid: 7\n"
	    "data: bbbbbbbbbbbbbbbbbbbbbbbbbbbb\nx: y\ndata: c\n\n",
	    "foo|a\nbbbbbbbbbbbbbbbbbbbbbbbbbbbb\nc|7|\n", NULL },
	{ "id, event between data", "data: a\r\nid: 7\r\nevent: foo\r\n"
	    "data: bbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\ndata: c\r\n\r\n",
	    "foo|a\nbbbbbbbbbbbbbbbbbbbbbbbbbbbb\nc|7|\n", NULL },
	{ "event before, id between", "event: e\rdata: a\rid: 7\r"
	    "data: bbbbbbbbbbbbbbbbbbbb\r\r",
	    "e|a\nbbbbbbbbbbbbbbbbbbbb|7|\n", NULL },
	{ "event behind data", "data: a\ndata: b\nevent: late\n\n",
	    "late|a\nb||\n", NULL },
	{ "event behind data, at the end", "data: a\ndata: b\nevent: late",
	    "", "late|a\nb||\n" },
	{ "the last event wins", "event: x\ndata: a\nevent: y\ndata: b\n"
	    "event: z\ndata: c\n\n", "z|a\nb\nc||\n", NULL },
	{ "an empty event resets", "event: x\nevent:\ndata: a\n\n",
	    "message|a||\n", NULL },
	{ "empty data lines", "data\ndata:\ndata: \ndata:  \n\n",
	    "message|\n\n\n ||\n", NULL },
	{ "CR and LF apart", "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
	    "message|a||\nmessage|b||\nmessage|c||\n", NULL },
	{ "LF CR", "data: a\n\rdata: b\n\n", "message|a||\nmessage|b||\n",
	    NULL },
	{ "names like data", "dat: x\ndatax: y\nDATA: z\ndata : q\n"
	    "data: a\n\n", "message|a||\n", NULL },
	{ "colons", "data::a\n:data: b\n\n", "message|:a||\n", NULL },
};

static void test_cases(void)
{
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		check_all(cases[i].name, str_of(cases[i].bytes),
		    str_of(cases[i].open), 0);
		check_all(cases[i].name, str_of(cases[i].bytes),
		    str_of(cases[i].ended ? cases[i].ended : cases[i].open), 1);
	}
}

/* What is told about the input itself. */
static void test_contract(void)
{
	char bytes[] = ": hi\n\nevent: a\ndata: 1\nid: 5\n\ndata: 2\ndata: 3\n"
	    "\ndata: 4\n";
	struct str in = { bytes, sizeof bytes - 1 };
	struct sse_event e;
	struct sse d = { .seen = 0 };

	T_INT(sse_next(&d, &in, 0, &e), OK, "the first");
	T_STR(e.raw, S("event: a\ndata: 1\nid: 5\n\n"), "raw is the event");
	T(e.raw.p == bytes + 6, "slices point into the input");
	T_STR(e.id, S("5"), "its id");
	T_INT(sse_next(&d, &in, 0, &e), OK, "the second");
	T_STR(e.data, S("2\n3"), "joined");
	T(e.raw.p == NULL, "its raw bytes are gone");
	T(e.id.p == NULL, "no id is not an empty id");
	T_INT(sse_next(&d, &in, 0, &e), E_MORE, "the third isn't whole");
	T_STR(in, S("data: 4\n"), "and stays in front");
	T_INT(sse_next(&d, &in, 0, &e), E_MORE, "asking again");
	T_STR(in, S("data: 4\n"), "changes nothing");
	T_INT(sse_next(&d, &in, 1, &e), OK, "the end makes it whole");
	T_STR(e.data, S("4"), "the last one");
	T_INT(sse_next(&d, &in, 1, &e), E_MORE, "nothing behind the end");
	T_INT(in.n, 0, "all is taken");

	in = S(": a\n\n: b\n\n: c");
	memset(&d, 0, sizeof d);
	T_INT(sse_next(&d, &in, 0, &e), E_MORE, "comments only");
	T_STR(in, S(": c"), "are taken off, the unfinished one not");
}

/* Time of hostile streams, in bounds that a quadratic way misses by far. */
static void test_hostile(void)
{
	static const char *units[] = {
		"data:x\n", "data:x\r", "data\r\n", "\r", "\n", ":\r\r",
		"data:x\r\r", "event:x\ndata:x\n", "id:x\rdata:x\r", "x"
	};
	struct sse_event e;
	struct sse d;
	struct str in;
	clock_t t;
	size_t i, n, unit, step;

	for (i = 0; i < COUNT(units); i++)
		for (step = 1; step <= 1 << 20; step <<= 10) {
			unit = strlen(units[i]);
			for (n = 0; n < 1 << 20; n++)
				memory[n] = units[i][n % unit];
			memset(&d, 0, sizeof d);
			t = clock();
			in = (struct str){ memory, 0 };
			for (n = 0; n < 1 << 20; n += step) {
				in.n += step;
				while (sse_next(&d, &in, 0, &e) == OK)
					continue;
			}
			while (sse_next(&d, &in, 1, &e) == OK)
				continue;
			t = clock() - t;
			T_INT(in.n, 0, "all taken");
			T(t < 5 * CLOCKS_PER_SEC, "1 MB of \"%s\" in steps of "
			    "%zu takes %ld us", units[i], step,
			    (long)(t * (1000000 / CLOCKS_PER_SEC)));
		}
}

static void test_whole(void)
{
	static const struct {
		const char *text;
		size_t from, want;
	} rows[] = {
		{ "", 0, 0 }, { "data: a", 0, 0 }, { "data: a\n", 0, 0 },
		{ "data: a\r\n", 0, 0 }, { "data: a\n\n", 0, 9 },
		{ "data: a\r\r", 0, 9 }, { "data: a\r\n\r\n", 0, 11 },
		{ "data: a\r\n\r", 0, 10 }, { "data: a\n\ndata: b\n", 0, 9 },
		{ "data: a\n\ndata: b\n\n", 9, 18 },
		{ "data: a\n\ndata: b\n", 9, 0 }, { "\n", 0, 0 }
	};
	size_t i;

	for (i = 0; i < COUNT(rows); i++)
		T_INT(sse_whole(str_of(rows[i].text), rows[i].from),
		    rows[i].want, "whole events, row %zu", i);
}

int main(void)
{
	const char *path;

	seed = (uint32_t)time(NULL);
	if (getenv("SEED"))
		seed = (uint32_t)strtoul(getenv("SEED"), NULL, 10);
	printf("sse: seed %lu (SEED=... repeats it)\n", (unsigned long)seed);
	test_vectors("tests/data/sse.json");
	path = t_shared("vectors/http1/sse.json");
	if (path)
		test_vectors(path);
	test_cases();
	test_contract();
	test_whole();
	test_hostile();
	return t_done("sse");
}
