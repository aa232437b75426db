/* json.c -- JSON text in, views out.
 *
 * What decides is the validator: one pass over the text, many bytes at a time
 * inside strings, with no recursion and no memory but a stack of
 * JSON_DEPTH_MAX bytes. jsmn only ever sees text that passed it: alone it
 * accepts broken JSON, and its time grows with the nesting, which the limit
 * bounds. jsmn reads byte by byte, so long strings, whose ends the validator
 * knows, are kept from it.
 *
 * Tokens come from the caller's arena, exactly as many as the validator
 * counted. Nothing else is kept, and no text is copied.
 *
 * Not done: numbers are not converted (but for json_int), duplicate names
 * are not refused, and nothing is allowed that RFC 8259 doesn't allow.
 *
 * SPDX-License-Identifier: MIT */
#include "json.h"
#include "jsonchar.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

/* jsmn's token, with one field put to another use: once jsmn is done with the
 * parent links, t.parent is the index of the first token past this value, so
 * that walking over a value costs the same whatever is inside. */
struct json_tok {
	jsmntok_t t;
};

/* A string long enough to be worth keeping from jsmn, which reads bytes: the
 * offsets of its two quotes. */
struct span {
	int open, close;
};

enum {
	NOTES_TIMES = 8,	/* a string of three bytes is a token of twenty */
	NOTES_MIN = 64,
	LONG_STRING = 8		/* about where handing over a string begins to
				 * cost less than jsmn's reading it */
};

/* ---- the validator ---- */

enum want {
	WANT_VALUE,
	WANT_VALUE_OR_END,	/* just after '[' */
	WANT_KEY,
	WANT_KEY_OR_END,	/* just after '{' */
	WANT_COMMA,		/* or the end of what is open */
	WANT_NOTHING		/* the value is complete */
};

struct check {
	const char *start, *end;
	struct json_error e;
	size_t ntok;
	int long_escapes;
	enum want want;
	/* Long strings, noted downwards from `spans` while there is room
	 * above `floor`. Both NULL when nobody wants them. */
	struct span *spans, *floor;
	int depth;
	char open[JSON_DEPTH_MAX];	/* '{' or '[', per level */
};

static const char *fail_as(struct check *c, int code, const char *at,
    const char *why)
{
	c->e.code = code;
	c->e.at = (size_t)(at - c->start);
	c->e.why = why;
	return NULL;
}

static const char *fail(struct check *c, const char *at, const char *why)
{
	return fail_as(c, E_BAD, at, why);
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && is_digit(*p))
		p++;
	return p;
}

/* Past the escape at p, which is a backslash; the short ones went by. */
static const char *check_escape(struct check *c, const char *p)
{
	if (c->end - p < 2)
		return fail(c, p, "unfinished string");
	if (p[1] != 'u')
		return fail(c, p, "unknown escape");
	/* A lone surrogate passes: clients do send them, and what goes out is
	 * put right by json_put. */
	if (c->end - p < 6 || hex4(p + 2) < 0)
		return fail(c, p, "bad \\u escape");
	c->long_escapes = 1;
	return p + 6;
}

static int is_tail(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Past the characters at p that aren't ASCII. Those of most scripts are told
 * by their first byte alone; the bounds of the rest are for utf8_len. */
static const char *check_utf8(struct check *c, const char *p)
{
	const char *end = c->end;
	unsigned char u;
	int n;

	do {
		u = (unsigned char)*p;
		if (u >= 0xc2 && u < 0xe0 && end - p >= 2 && is_tail(p[1]))
			n = 2;
		else if (u > 0xe0 && u < 0xf0 && u != 0xed && end - p >= 3 &&
		    is_tail(p[1]) && is_tail(p[2]))
			n = 3;
		else
			n = utf8_len((struct str){ p, (size_t)(end - p) });
		if (n <= 0)
			return fail(c, p, "ill-formed UTF-8");
		p += n;
	} while (p < end && (unsigned char)*p >= 0x80);
	return p;
}

static void note_span(struct check *c, const char *open, const char *close)
{
	if (c->spans == c->floor)
		return;
	c->spans--;
	c->spans->open = (int)(open - c->start);
	c->spans->close = (int)(close - c->start);
}

/* Past the string at p, which is its opening quote. */
static const char *check_string(struct check *c, const char *p)
{
	const char *open = p++;

	for (;;) {
		p = skip_simple(p, c->end, 1);
		if (p == c->end)
			return fail(c, open, "unfinished string");
		if (*p == '"')
			break;
		if (*p == '\\')
			p = check_escape(c, p);
		else if ((unsigned char)*p >= 0x80)
			p = check_utf8(c, p);
		else
			return fail(c, p, "control character in a string");
		if (!p)
			return NULL;
	}
	c->ntok++;
	if (p - open > LONG_STRING)
		note_span(c, open, p);
	return p + 1;
}

static const char *check_number(struct check *c, const char *p)
{
	const char *end = c->end, *from;

	if (*p == '-')
		p++;
	from = p;
	if (p < end && *p == '0')
		p++;
	else
		p = skip_digits(p, end);
	if (p == from)
		return fail(c, p, "bad number");
	if (p < end && *p == '.') {
		from = p + 1;
		p = skip_digits(from, end);
		if (p == from)
			return fail(c, p, "bad number");
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		from = p;
		p = skip_digits(from, end);
		if (p == from)
			return fail(c, p, "bad number");
	}
	c->ntok++;
	return p;
}

static const char *check_word(struct check *c, const char *p, struct str word)
{
	if ((size_t)(c->end - p) < word.n || memcmp(p, word.p, word.n) != 0)
		return fail(c, p, "unknown word");
	c->ntok++;
	return p + word.n;
}

static const char *check_open(struct check *c, const char *p)
{
	if (c->depth == JSON_DEPTH_MAX)
		return fail_as(c, E_LIMIT, p, "nesting deeper than 128");
	c->open[c->depth++] = *p;
	c->want = *p == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
	c->ntok++;
	return p + 1;
}

static const char *check_value(struct check *c, const char *p)
{
	c->want = c->depth ? WANT_COMMA : WANT_NOTHING;
	switch (*p) {
	case '"':
		return check_string(c, p);
	case '{': case '[':
		return check_open(c, p);
	case 't':
		return check_word(c, p, S("true"));
	case 'f':
		return check_word(c, p, S("false"));
	case 'n':
		return check_word(c, p, S("null"));
	}
	if (*p == '-' || is_digit(*p))
		return check_number(c, p);
	return fail(c, p, "a value was expected");
}

static const char *check_key(struct check *c, const char *p)
{
	if (*p != '"')
		return fail(c, p, "a name in quotes was expected");
	p = check_string(c, p);
	if (!p)
		return NULL;
	p = skip_blanks(p, c->end);
	if (p == c->end || *p != ':')
		return fail(c, p, "a colon was expected");
	c->want = WANT_VALUE;
	return p + 1;
}

/* A comma, or the bracket that closes what is open. */
static const char *check_comma(struct check *c, const char *p)
{
	char open = c->open[c->depth - 1];

	if (*p == ',')
		c->want = open == '{' ? WANT_KEY : WANT_VALUE;
	else if (*p != (open == '{' ? '}' : ']'))
		return fail(c, p, open == '{' ? "a comma or } was expected" :
		    "a comma or ] was expected");
	else if (--c->depth == 0)
		c->want = WANT_NOTHING;
	else
		c->want = WANT_COMMA;
	return p + 1;
}

static const char *check_step(struct check *c, const char *p)
{
	switch (c->want) {
	case WANT_VALUE_OR_END:
		if (*p == ']')
			return check_comma(c, p);
		return check_value(c, p);
	case WANT_VALUE:
		return check_value(c, p);
	case WANT_KEY_OR_END:
		if (*p == '}')
			return check_comma(c, p);
		return check_key(c, p);
	case WANT_KEY:
		return check_key(c, p);
	case WANT_COMMA:
		return check_comma(c, p);
	case WANT_NOTHING:
		break;
	}
	return fail(c, p, "text after the value");
}

/* Runs over the whole text. The outcome is c->e.code. */
static void check_text(struct check *c, struct str text)
{
	const char *p;

	if (!text.p)
		text = S("");
	c->start = p = text.p;
	c->end = p + text.n;
	c->want = WANT_VALUE;
	if (text.n > JSON_TEXT_MAX) {
		fail_as(c, E_LIMIT, p, "longer than 2 GiB");
		return;
	}
	for (;;) {
		p = skip_blanks(p, c->end);
		if (p == c->end)
			break;
		p = check_step(c, p);
		if (!p)
			return;
	}
	if (c->want != WANT_NOTHING)
		fail(c, p, "the text ends too early");
}

int json_check(struct str text, size_t *ntok, struct json_error *err)
{
	struct check c = { .depth = 0 };

	check_text(&c, text);
	if (ntok)
		*ntok = c.ntok;
	if (err)
		*err = c.e;
	return c.e.code;
}

int json_is_string(struct str s)
{
	struct check c = { .depth = 0 };

	c.start = s.p;
	c.end = s.p + s.n;
	return s.n >= 2 && *s.p == '"' && check_string(&c, s.p) == c.end;
}

/* ---- tokens ---- */

/* What jsmn would do about a string, without reading it. */
static void take_string(jsmn_parser *j, jsmntok_t *toks, size_t n,
    struct span s)
{
	jsmntok_t *t = jsmn_alloc_token(j, toks, n);

	if (!t)
		return;
	jsmn_fill_token(t, JSMN_STRING, s.open + 1, s.close);
	t->parent = j->toksuper;
	if (j->toksuper != -1)
		toks[j->toksuper].size++;
	j->pos = (unsigned)s.close + 1;
}

/* Lets jsmn run from one long string to the next. It stops at the quote it
 * finds at the end of its text and can go on after the closing one. `spans`
 * are in falling order, the first string last. */
static int tokenise(struct str text, jsmntok_t *toks, size_t n,
    const struct span *spans, size_t nspans)
{
	jsmn_parser j;
	size_t end;
	int r;

	jsmn_init(&j);
	/* One place calls it, so that a compiler can make it part of this loop
	 * and keep the parser in registers. */
	for (;;) {
		end = nspans ? (size_t)spans[--nspans].open + 1 : text.n;
		r = jsmn_parse(&j, text.p, end, toks, (unsigned)n);
		if (r != JSMN_ERROR_PART || end == text.n)
			break;
		if (j.pos + 1 != end)
			return E_BAD;
		take_string(&j, toks, n, spans[nspans]);
	}
	return r >= 0 && (size_t)r == n && j.toknext == n ? OK : E_BAD;
}

/* Puts the index past each value where its parent was. Containers wait on a
 * stack until the first token behind them. */
static void link_next(jsmntok_t *toks, size_t n)
{
	size_t stack[JSON_DEPTH_MAX], depth = 0, i;

	for (i = 0; i < n; i++) {
		while (depth && toks[stack[depth - 1]].end <= toks[i].start)
			toks[stack[--depth]].parent = (int)i;
		toks[i].parent = (int)i + 1;
		if (toks[i].type == JSMN_OBJECT || toks[i].type == JSMN_ARRAY)
			stack[depth++] = i;
	}
	while (depth)
		toks[stack[--depth]].parent = (int)n;
}

/* A number or a word alone. jsmn wants to see what ends it. */
static void lone_token(jsmntok_t *t, struct str text)
{
	struct str s = str_trim(text);

	t->type = JSMN_PRIMITIVE;
	t->size = 0;
	t->start = (int)(s.p - text.p);
	t->end = t->start + (int)s.n;
	t->parent = 1;
}

/* Where the notes of long strings begin, downwards: far enough for the tokens of
 * nearly all texts to find room below them, but not so far that it costs a page
 * of memory that nothing else uses. */
static struct span *spans_top(const struct arena *a, size_t n)
{
	size_t room = arena_room(a), off;

	if (room / NOTES_TIMES > n + NOTES_MIN)
		room = (n + NOTES_MIN) * NOTES_TIMES;
	off = (uintptr_t)(a->cur + room) % sizeof(struct span);
	return room < off ? NULL :
	    (struct span *)(void *)(a->cur + room - off);
}

/* Not zeroed: all of each is written. */
static jsmntok_t *tokens(struct arena *a, size_t n)
{
	size_t pad = (size_t)(-(uintptr_t)a->cur & 15);
	char *p;

	if (n > (SIZE_MAX - pad) / sizeof(jsmntok_t))
		return NULL;
	p = arena_bytes(a, pad + n * sizeof(jsmntok_t));
	return p ? (jsmntok_t *)(void *)(p + pad) : NULL;
}

static int parse(struct json *doc, struct str text, struct arena *a,
    struct check *c)
{
	struct span *top = spans_top(a, text.n);
	struct arena lower = *a;
	jsmntok_t *toks = NULL;
	size_t nspans;

	if (top) {
		c->spans = top;
		c->floor = top - ((char *)top - a->cur) /
		    (ptrdiff_t)sizeof(struct span);
	}
	check_text(c, text);
	if (c->e.code)
		return c->e.code;
	nspans = top ? (size_t)(top - c->spans) : 0;
	if (nspans) {
		lower.end = (char *)c->spans;
		toks = tokens(&lower, c->ntok);
	}
	if (!toks) {
		/* No notes, or they are in the way: jsmn reads it all. */
		nspans = 0;
		lower = *a;
		toks = tokens(&lower, c->ntok);
	}
	if (!toks) {
		fail_as(c, E_FULL, c->start, "no memory for the tokens");
		return E_FULL;
	}
	a->cur = lower.cur;
	if (!memchr("\"{[", str_trim(text).p[0], 3)) {
		lone_token(toks, text);
	} else if (tokenise(text, toks, c->ntok, c->spans, nspans) != OK) {
		fail(c, c->start, "the tokeniser disagrees");
		return E_BAD;
	} else {
		link_next(toks, c->ntok);
	}
	doc->toks = (const struct json_tok *)(const void *)toks;
	doc->n = c->ntok;
	doc->plain = !c->long_escapes;
	return OK;
}

int json_parse(struct json *doc, struct str text, struct arena *a,
    struct json_error *err)
{
	struct check c = { .depth = 0 };
	int r;

	doc->text = text;
	doc->toks = NULL;
	doc->n = 0;
	doc->plain = 0;
	r = parse(doc, text, a, &c);
	if (err)
		*err = c.e;
	return r;
}

/* ---- views ---- */

static const struct jv absent = { NULL, 0 };

static struct jv view(const struct json *doc, size_t i)
{
	struct jv v = { i < doc->n ? doc : NULL, i };

	return v;
}

static const jsmntok_t *tok(struct jv v)
{
	return v.doc ? &v.doc->toks[v.i].t : NULL;
}

static size_t next_of(const struct json *doc, size_t i)
{
	return (size_t)doc->toks[i].t.parent;
}

static struct str inside(const struct json *doc, const jsmntok_t *t)
{
	struct str s = { doc->text.p + t->start, (size_t)(t->end - t->start) };

	return s;
}

struct jv json_root(const struct json *doc)
{
	return view(doc, 0);
}

enum json_type json_type(struct jv v)
{
	const jsmntok_t *t = tok(v);

	if (!t)
		return JSON_ABSENT;
	if (t->type == JSMN_STRING)
		return JSON_STRING;
	switch (v.doc->text.p[t->start]) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	}
	return JSON_NUMBER;
}

struct jv json_get(struct jv v, struct str name)
{
	struct json_iter it = json_iter(v);
	struct jv found = absent;

	if (it.object)
		while (json_next(&it))
			if (jstr_eq(it.key, name))
				found = it.value;
	return found;
}

struct jv json_at(struct jv v, size_t index)
{
	struct json_iter it = json_iter(v);

	if (!it.doc || it.object || index >= it.left)
		return absent;
	while (index--)
		it.next = next_of(it.doc, it.next);
	return view(it.doc, it.next);
}

size_t json_count(struct jv v)
{
	return json_iter(v).left;
}

struct str json_raw(struct jv v)
{
	const jsmntok_t *t = tok(v);
	struct str s;

	if (!t)
		return S("");
	s = inside(v.doc, t);
	if (t->type == JSMN_STRING) {
		s.p--;
		s.n += 2;
	}
	return s;
}

struct jstr json_str(struct jv v)
{
	const jsmntok_t *t = tok(v);
	struct jstr s = { S("") };

	if (t && t->type == JSMN_STRING)
		s.raw = inside(v.doc, t);
	return s;
}

struct str json_num(struct jv v)
{
	return json_type(v) == JSON_NUMBER ? json_raw(v) : S("");
}

/* The digits in [p, e), skipping a point, times 10^exp, negative if minus.
 * E_LIMIT when an int64 can't hold it. */
static int scale(const char *p, const char *e, int64_t exp, int minus,
    int64_t *out)
{
	uint64_t max = (uint64_t)INT64_MAX + (minus != 0), v = 0, d;

	while (p < e || exp > 0) {
		if (p == e) {
			d = 0;
			exp--;
		} else if (*p++ == '.') {
			continue;
		} else {
			d = (uint64_t)(p[-1] - '0');
		}
		if (v > (max - d) / 10)
			return E_LIMIT;
		v = v * 10 + d;
	}
	*out = minus && v ? -(int64_t)(v - 1) - 1 : (int64_t)v;
	return OK;
}

/* The exponent that begins at p with its letter, or 0 at the end. Far past
 * what any int64 can be scaled by, only its sign matters. */
static int64_t exponent(const char *p, const char *end)
{
	int64_t v = 0;
	int minus = 0;

	for (; p < end; p++) {
		if (*p == '-')
			minus = 1;
		if (is_digit(*p) && v < (int64_t)1 << 40)
			v = v * 10 + (*p - '0');
	}
	return minus ? -v : v;
}

int64_t json_int(struct jv v, int64_t otherwise)
{
	struct str s = json_num(v);
	const char *p = s.p, *e, *point;
	int64_t exp, out;
	int minus;

	if (s.n == 0)
		return otherwise;
	for (e = p; e < s.p + s.n && *e != 'e' && *e != 'E'; )
		e++;
	exp = exponent(e, s.p + s.n);
	point = memchr(p, '.', (size_t)(e - p));
	if (point)
		exp -= e - point - 1;
	minus = *p == '-';
	p += minus;
	/* Zeros at the end move into the exponent; then a whole number has
	 * none below 0. Zeros at the front go away. */
	for (; e > p && (e[-1] == '0' || e[-1] == '.'); e--)
		exp += e[-1] == '0';
	while (p < e && (*p == '0' || *p == '.'))
		p++;
	if (p == e)
		return 0;
	if (exp < 0 || scale(p, e, exp, minus, &out) != OK)
		return otherwise;
	return out;
}

int json_true(struct jv v)
{
	return json_type(v) == JSON_TRUE;
}

int json_is(struct jv v, struct str text)
{
	return json_type(v) == JSON_STRING && jstr_eq(json_str(v), text);
}

struct json_iter json_iter(struct jv v)
{
	const jsmntok_t *t = tok(v);
	struct json_iter it = { .doc = v.doc };

	if (t && (t->type == JSMN_OBJECT || t->type == JSMN_ARRAY)) {
		it.object = t->type == JSMN_OBJECT;
		it.left = (size_t)t->size;
		it.next = v.i + 1;
	}
	return it;
}

int json_next(struct json_iter *it)
{
	if (it->left == 0)
		return 0;
	it->left--;
	if (it->object)
		it->key.raw = inside(it->doc, &it->doc->toks[it->next++].t);
	it->value = view(it->doc, it->next);
	it->next = next_of(it->doc, it->next);
	return 1;
}
