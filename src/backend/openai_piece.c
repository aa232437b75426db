/* openai_piece.c -- text in pieces: memory that outlives a chunk, ropes, single
 * characters, and those that were cut in two.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

/* ---- memory and ropes -------------------------------------------------- */

void *keep_get(struct call *c, size_t n)
{
	size_t pad;

	if (arena_room(c->a) < n)
		goto full;
	pad = (uintptr_t)(c->a->end - n) & 15;
	if (arena_room(c->a) - n < pad)
		goto full;
	c->a->end -= n + pad;
	return memset(c->a->end, 0, n);
full:
	openai_state(c)->full = 1;
	return NULL;
}

struct str keep_str(struct call *c, struct str s)
{
	char *p = keep_get(c, s.n);

	if (!p)
		return S("");
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

static struct link *rope_room(struct call *c, struct rope *r, size_t n)
{
	struct link *l = r->last, *more;
	size_t cap = n < LINK_MIN ? LINK_MIN : n;

	if (l && l->cap - l->n >= n)
		return l;
	/* Links that rope_clear left behind. */
	if (l && l->next && l->next->cap >= n) {
		r->last = l->next;
		return r->last;
	}
	more = keep_get(c, sizeof *more + cap);
	if (!more)
		return NULL;
	more->cap = cap;
	if (l) {
		more->next = l->next;
		l->next = more;
	} else {
		r->first = more;
	}
	r->last = more;
	return more;
}

void rope_put(struct call *c, struct rope *r, struct str piece)
{
	struct link *l;

	if (piece.n == 0)
		return;
	l = rope_room(c, r, piece.n);
	if (!l)
		return;
	memcpy((char *)(l + 1) + l->n, piece.p, piece.n);
	l->n += piece.n;
	r->n += piece.n;
}

void rope_clear(struct rope *r)
{
	struct link *l;

	for (l = r->first; l; l = l->next)
		l->n = 0;
	r->last = r->first;
	r->n = 0;
}

struct str rope_flat(struct arena *a, const struct rope *r)
{
	char *p = arena_bytes(a, r->n);
	const struct link *l;
	size_t n = 0;

	if (!p)
		return (struct str){ NULL, 0 };
	for (l = r->first; l; l = l->next) {
		memcpy(p + n, l + 1, l->n);
		n += l->n;
	}
	return (struct str){ p, r->n };
}

/* ---- characters -------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The code unit of the \u escape at the front of s; -1 when there is none. */
static int32_t unit_at(struct str s)
{
	int32_t v = 0;
	int i, d;

	if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u')
		return -1;
	for (i = 2; i < 6; i++) {
		d = hex_digit(s.p[i]);
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static int is_high(int32_t u)
{
	return u >= 0xd800 && u < 0xdc00;
}

static int is_low(int32_t u)
{
	return u >= 0xdc00 && u < 0xe000;
}

static uint32_t jchar_escape(struct str s, size_t *at)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	struct str rest = str_from(s, *at);
	int32_t u = unit_at(rest), low;
	const char *name;

	if (u >= 0) {
		*at += 6;
		low = is_high(u) ? unit_at(str_from(rest, 6)) : -1;
		if (!is_low(low))
			return (uint32_t)u;
		*at += 6;
		return 0x10000u + (((uint32_t)u & 0x3ff) << 10 |
		    ((uint32_t)low & 0x3ff));
	}
	name = rest.n > 1 ? memchr(names, rest.p[1], sizeof names - 1) : NULL;
	*at += rest.n > 1 ? 2 : 1;
	return name ? (uint32_t)values[name - names] : '\\';
}

uint32_t jchar(struct str s, size_t *at)
{
	unsigned char b = (unsigned char)s.p[*at];
	uint32_t v;
	int n, i;

	if (b == '\\')
		return jchar_escape(s, at);
	if (b < 0x80) {
		++*at;
		return b;
	}
	n = utf8_len(str_from(s, *at));
	if (n < 2) {
		++*at;
		return 0xfffd;
	}
	v = b & (0x7fu >> n);
	for (i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)s.p[*at + (size_t)i] & 63u);
	*at += (size_t)n;
	return v;
}

int jchar_blank(uint32_t ch)
{
	return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

int jstr_blank(struct jstr s)
{
	size_t at = 0;

	while (at < s.raw.n)
		if (!jchar_blank(jchar(s.raw, &at)))
			return 0;
	return 1;
}

/* ---- characters cut between chunks (OA-79) ----------------------------- */

/* The byte that stands as \udcXX at the front of s; -1 if none does. */
static int stray_byte(const struct call *c, struct str s)
{
	int32_t u = openai_state(c)->repaired ? unit_at(s) : -1;

	return u >= 0xdc80 && u <= 0xdcff ? u & 0xff : -1;
}

static struct str carry_join(struct call *c, struct carry *k, struct str s,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg)
{
	struct jstr joined = { S("\\ufffd") };
	char pair[12];
	int b, n = 0;

	if (k->escape && is_low(unit_at(s))) {
		memcpy(pair, k->p, 6);
		memcpy(pair + 6, s.p, 6);
		s = str_from(s, 6);
		joined.raw = (struct str){ pair, 12 };
	}
	while (!k->escape && n <= 0 && s.n && (b = stray_byte(c, s)) >= 0) {
		k->p[k->n] = (char)b;
		n = utf8_len((struct str){ k->p, (size_t)k->n + 1 });
		if (n == 0)
			break;
		k->n++;
		s = str_from(s, 6);
	}
	if (n < 0 && s.n == 0)
		return s;	/* still not whole */
	if (n > 0)
		joined.raw = (struct str){ k->p, k->n };
	k->n = 0;
	out(c, arg, joined);
	return s;
}

/* Whether the backslash at offset at is the second half of an escape. */
static int is_escaped(struct str s, size_t at)
{
	size_t n = 0;

	while (n < at && s.p[at - 1 - n] == '\\')
		n++;
	return n % 2 != 0;
}

/* How many bytes at the end of s begin a UTF-8 sequence that goes on. */
static size_t open_bytes(struct call *c, struct str s, struct carry *k)
{
	char bytes[3];
	size_t n, i;
	int b;

	for (n = 1; n <= 3 && n * 6 <= s.n; n++) {
		b = stray_byte(c, str_from(s, s.n - n * 6));
		if (b < 0 || is_escaped(s, s.n - n * 6))
			break;
		for (i = n - 1; i > 0; i--)
			bytes[i] = bytes[i - 1];
		bytes[0] = (char)b;
		if (utf8_len((struct str){ bytes, n }) < 0) {
			memcpy(k->p, bytes, n);
			k->n = (unsigned char)n;
			k->escape = 0;
			return n * 6;
		}
	}
	return 0;
}

void carry_pass(struct call *c, struct carry *k, struct jstr piece,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg)
{
	struct str s = piece.raw;
	struct carry rest = { .n = 0 };
	size_t n;

	if (s.n && k->n)
		s = carry_join(c, k, s, out, arg);
	if (s.n == 0)
		return;
	n = json_whole(s);
	if (n < s.n && s.n - n <= sizeof rest.p) {
		rest.escape = 1;
		rest.n = (unsigned char)(s.n - n);
		memcpy(rest.p, s.p + n, s.n - n);
	} else {
		n = s.n - open_bytes(c, s, &rest);
	}
	if (n)
		out(c, arg, (struct jstr){ str_head(s, n) });
	*k = rest;
}

void carry_flush(struct call *c, struct carry *k,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg)
{
	if (!k->n)
		return;
	k->n = 0;
	out(c, arg, (struct jstr){ S("\\ufffd") });
}

/* ---- out to the client ------------------------------------------------- */

static int has_surrogate(struct str s)
{
	size_t at = 0;

	while ((at += str_chr(str_from(s, at), '\\')) < s.n) {
		if (s.n - at > 2 && s.p[at + 1] == 'u' &&
		    (s.p[at + 2] | 0x20) == 'd')
			return 1;
		at += 2;
	}
	return 0;
}

void emit_text(struct call *c, struct jstr piece)
{
	struct arena scratch = *c->a;
	struct buf b;

	if (!has_surrogate(piece.raw)) {
		answer_text(&c->answer, piece);
		return;
	}
	b = buf_open(&scratch);
	json_put(&b, piece);
	if (b.full)
		openai_state(c)->full = 1;
	else
		answer_text(&c->answer, (struct jstr){ buf_str(&b) });
}
