/* json.c -- fuzz target: any bytes as JSON text and as the inside of a string.
 *
 * Holds: the validator, jsmn and the views agree on the tokens; views lie in
 * the text and in each other; compact text means the same; a stringified
 * value unescapes to its compact form; strings survive every way through, cut
 * anywhere; an arena too small takes nothing; broken text stays in bounds.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "../../src/wire/json.c"
#include "../../src/wire/jstr.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	SIZE_MAX_IN = 1 << 16,
	CUTS = 24,		/* of each text, spread evenly */
	GETS = 12		/* look-ups in each object */
};

/* Aligned, as one of them is taken for an array of tokens. */
static _Alignas(16) char memory[64 * SIZE_MAX_IN], more[64 * SIZE_MAX_IN];
static char text1[8 * SIZE_MAX_IN], text2[8 * SIZE_MAX_IN];
static char text3[8 * SIZE_MAX_IN];

static struct arena on(char *p, size_t n)
{
	return (struct arena){ p, p + n };
}

/* Runs a writer into a buffer of exactly the size it may need. */
static struct str wrote(void (*write)(struct buf *, struct str), char *p,
    size_t cap, struct str s)
{
	struct buf b = buf_on(p, cap);

	write(&b, s);
	assert(!b.full);
	return buf_str(&b);
}

static void unescape(struct buf *b, struct str s)
{
	json_unescape(b, (struct jstr){ s });
}

static void put(struct buf *b, struct str s)
{
	json_put(b, (struct jstr){ s });
}

static int within(struct str in, struct str s)
{
	return s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n);
}

/* s, cut where json_whole says, unescapes to the same. */
static void cut_anywhere(struct str s, struct str plain, char *p, size_t cap)
{
	size_t i, at, whole;
	struct buf b;

	for (i = 0; i <= CUTS; i++) {
		at = s.n * i / CUTS;
		whole = json_whole(str_head(s, at));
		assert(whole <= at && at - whole < 12);
		b = buf_on(p, cap);
		unescape(&b, str_head(s, whole));
		unescape(&b, str_from(s, whole));
		assert(str_eq(buf_str(&b), plain));
	}
}

/* The inside of a string the validator let through. */
static void good_string(struct str s)
{
	struct str plain = wrote(unescape, text1, s.n, s);
	struct str out = wrote(put, text2, s.n, s);
	struct arena a = on(more, s.n);
	struct jstr j = { s };
	struct buf b;

	assert(utf8_valid(plain) == plain.n);
	assert(out.n == s.n);
	assert(str_eq(wrote(put, text3, s.n, out), out));
	assert(str_eq(wrote(unescape, text3, s.n, out), plain));
	assert(jstr_eq(j, plain) && jstr_starts(j, plain));
	assert(jstr_starts(j, str_head(plain, plain.n / 2)));
	assert(plain.n == 0 || !jstr_eq(j, str_head(plain, plain.n - 1)));
	assert(str_eq(json_text(&a, j), plain));
	cut_anywhere(s, plain, text3, s.n);
	b = buf_on(text2, sizeof text2);
	json_quote(&b, plain);
	assert(!b.full && json_check(buf_str(&b), NULL, NULL) == OK);
	out = cut(buf_str(&b), 1, b.n - 1);
	assert(str_eq(wrote(unescape, text3, out.n, out), plain));
}

static void walk(struct jv v)
{
	struct json_iter it = json_iter(v);
	struct str raw = json_raw(v), name;
	size_t n = 0;

	assert(raw.n && within(v.doc->text, raw));
	assert(json_check(raw, NULL, NULL) == OK);
	if (json_type(v) == JSON_STRING)
		good_string(json_str(v).raw);
	(void)json_int(v, 7);
	while (json_next(&it)) {
		assert(within(raw, json_raw(it.value)));
		assert(within(raw, it.key.raw));
		assert(it.object || json_at(v, n).i == it.value.i || n > GETS);
		if (it.object && n < GETS) {
			good_string(it.key.raw);
			name = wrote(unescape, text1, it.key.raw.n, it.key.raw);
			assert(json_type(json_get(v, name)) != JSON_ABSENT);
		}
		n++;
	}
	assert(n == json_count(v));
	assert(json_type(json_at(v, n)) == JSON_ABSENT);
}

/* jsmn on its own, without the strings kept from it, finds the same. */
static void same_as_jsmn(const struct json *doc)
{
	jsmntok_t *toks = (jsmntok_t *)(void *)more;
	const jsmntok_t *t;
	jsmn_parser j;
	size_t i;
	int r;

	jsmn_init(&j);
	r = jsmn_parse(&j, doc->text.p, doc->text.n, toks, (unsigned)doc->n);
	/* A word or a number alone is more than it can tell. */
	if (doc->n == 1 && doc->toks[0].t.type == JSMN_PRIMITIVE)
		return;
	assert(r >= 0 && (size_t)r == doc->n);
	for (i = 0; i < doc->n; i++) {
		t = &doc->toks[i].t;
		assert(t->type == toks[i].type && t->start == toks[i].start);
		assert(t->end == toks[i].end && t->size == toks[i].size);
		assert(t->parent > (int)i && t->parent <= (int)doc->n);
	}
}

static void small_arenas(const struct json *doc)
{
	struct arena a;
	struct json d;
	size_t i, need = doc->n * sizeof(jsmntok_t), room;

	for (i = 0; i < CUTS; i++) {
		room = need * i / (CUTS - 4);
		a = on(more, room);
		if (json_parse(&d, doc->text, &a, NULL) == OK) {
			assert(room >= need && d.n == doc->n);
			assert(memcmp(d.toks, doc->toks, need) == 0);
		} else {
			assert(room < need + 16 && d.n == 0);
			assert(a.cur == more);
		}
	}
}

static void scan_cut(struct str text, size_t at, size_t want)
{
	struct json_scan s;
	size_t n;

	memset(&s, 0, sizeof s);
	n = json_scan(&s, str_head(text, at));
	assert(n == (at < want ? at : want));
	n += json_scan(&s, str_from(text, at));
	assert(n == want && !s.bad);
	/* What ends a number is not its own. */
	assert(s.done || want == text.n);
}

static void good_text(const struct json *doc)
{
	struct str text = doc->text, raw = json_raw(json_root(doc));
	struct str small = wrote(json_compact, text1, text.n, text), again;
	struct arena a = on(more, sizeof more);
	struct json d;
	size_t i, n;
	int r;

	n = (size_t)(raw.p - text.p) + raw.n;
	for (i = 0; i <= CUTS; i++)
		scan_cut(text, text.n * i / CUTS, n);

	assert(str_eq(wrote(json_compact, text2, small.n, small), small));
	r = json_parse(&d, small, &a, NULL);
	assert(r == OK && d.n == doc->n);
	for (i = 0; i < d.n; i++) {
		assert(d.toks[i].t.type == doc->toks[i].t.type);
		assert(d.toks[i].t.size == doc->toks[i].t.size);
		assert(d.toks[i].t.parent == doc->toks[i].t.parent);
		assert(d.toks[i].t.type > JSMN_ARRAY ? str_eq(
		    inside(&d, &d.toks[i].t), inside(doc, &doc->toks[i].t)) : 1);
	}
	again = wrote(json_stringify, text2, 2 * small.n, text);
	assert(str_eq(wrote(unescape, text3, again.n, again), small));
	for (i = 0; i < doc->n; i++)
		walk(view(doc, i));
}

/* Whatever the bytes are: bounds, and what holds all the same. */
static void any_bytes(struct str s)
{
	struct json_scan scan = { .depth = 0 };
	struct jstr j = { s };
	struct str out = wrote(unescape, text1, s.n, s);
	struct buf b = buf_on(text2, sizeof text2);

	assert(jstr_eq(j, out) && jstr_starts(j, str_head(out, out.n / 3)));
	cut_anywhere(s, out, text3, s.n);
	assert(wrote(put, text3, s.n, s).n == s.n);
	wrote(json_compact, text3, s.n, s);
	wrote(json_stringify, text3, 2 * s.n, s);
	assert(json_scan(&scan, s) <= s.n);
	json_quote(&b, s);
	assert(json_check(buf_str(&b), NULL, NULL) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct arena a = on(memory, sizeof memory);
	struct json_error e, f;
	struct json doc;
	size_t n;
	int r;

	if (size > SIZE_MAX_IN)
		return 0;
	any_bytes(text);
	r = json_check(text, &n, &e);
	assert(r == e.code && e.at <= size && !e.why == (r == OK));
	assert(json_parse(&doc, text, &a, &f) == r);
	assert(e.code == f.code && e.at == f.at && e.why == f.why);
	assert(doc.n == (r == OK ? n : 0));
	if (r != OK)
		return 0;
	same_as_jsmn(&doc);
	small_arenas(&doc);
	good_text(&doc);
	return 0;
}
