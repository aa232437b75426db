/* base.c -- slices, arena, bounded writer, numbers, base64, hex, UTF-8.
 *
 * SPDX-License-Identifier: MIT */
#include "base.h"

/* Where callers don't take them in, they stand here. */
extern inline struct str str_of(const char *z);
extern inline int str_eq(struct str a, struct str b);
extern inline size_t str_chr(struct str s, char c);
extern inline struct str str_from(struct str s, size_t at);
extern inline struct str str_head(struct str s, size_t n);
extern inline size_t arena_room(const struct arena *a);
extern inline struct buf buf_on(char *p, size_t cap);
extern inline struct str buf_str(const struct buf *b);
extern inline void buf_put(struct buf *b, struct str s);
extern inline void buf_chr(struct buf *b, char c);

static unsigned char lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

static int ieq(const char *a, const char *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (lower(a[i]) != lower(b[i]))
			return 0;
	return 1;
}

int str_ieq(struct str a, struct str b)
{
	return a.n == b.n && ieq(a.p, b.p, a.n);
}

int str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_head(s, prefix.n), prefix);
}

int str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && ieq(s.p, prefix.p, prefix.n);
}

int str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	    str_eq(str_from(s, s.n - suffix.n), suffix);
}

size_t str_find(struct str s, struct str what)
{
	size_t at = 0;

	if (what.n == 0)
		return 0;
	while (s.n - at >= what.n) {
		at += str_chr(str_from(s, at), what.p[0]);
		if (s.n - at < what.n)
			break;
		if (memcmp(s.p + at, what.p, what.n) == 0)
			return at;
		at++;
	}
	return s.n;
}

size_t str_ifind(struct str s, struct str what)
{
	unsigned char first = what.n ? lower(*what.p) : 0;
	size_t at;

	for (at = 0; s.n - at >= what.n && at < s.n; at++)
		if (lower(s.p[at]) == first && ieq(s.p + at, what.p, what.n))
			return at;
	return what.n ? s.n : 0;
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
	while (s.n && is_blank(s.p[0]))
		s = str_from(s, 1);
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

int str_cut(struct str *s, char c, struct str *part)
{
	size_t at;

	if (s->n == 0)
		return 0;
	at = str_chr(*s, c);
	*part = str_head(*s, at);
	*s = str_from(*s, at + 1);
	return 1;
}

int str_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0, d;
	size_t i;

	if (s.n == 0)
		return E_BAD;
	for (i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return E_BAD;
	for (i = 0; i < s.n; i++) {
		d = (uint64_t)(s.p[i] - '0');
		if (v > (UINT64_MAX - d) / 10)
			return E_LIMIT;
		v = v * 10 + d;
	}
	*out = v;
	return OK;
}

int str_glob(struct str pattern, struct str s)
{
	size_t p = 0, i = 0, star = pattern.n, mark = 0;

	/* On a mismatch only the last star is widened: earlier ones have
	 * nothing to gain from it. */
	while (i < s.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = i;
		} else if (p < pattern.n &&
		    (pattern.p[p] == '?' || pattern.p[p] == s.p[i])) {
			p++;
			i++;
		} else if (star < pattern.n) {
			p = star + 1;
			i = ++mark;
		} else {
			return 0;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

int str_eq_secret(struct str a, struct str b)
{
	volatile unsigned char diff = 0;
	size_t i;

	/* Lengths may leak; contents may not. */
	if (a.n != b.n)
		return 0;
	for (i = 0; i < a.n; i++)
		diff = (unsigned char)(diff | (a.p[i] ^ b.p[i]));
	return diff == 0;
}

void *arena_get(struct arena *a, size_t n)
{
	size_t pad = (size_t)(-(uintptr_t)a->cur & 15);
	char *p;

	if (arena_room(a) < pad || arena_room(a) - pad < n)
		return NULL;
	p = a->cur + pad;
	a->cur = p + n;
	return memset(p, 0, n);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / size)
		return NULL;
	return arena_get(a, count * size);
}

char *arena_bytes(struct arena *a, size_t n)
{
	char *p = a->cur;

	if (arena_room(a) < n)
		return NULL;
	a->cur += n;
	return p;
}

struct str arena_str(struct arena *a, struct str s)
{
	char *p = arena_bytes(a, s.n);

	if (!p)
		return (struct str){ NULL, 0 };
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

struct buf buf_open(struct arena *a)
{
	return buf_on(a->cur, arena_room(a));
}

struct str buf_end(struct arena *a, const struct buf *b)
{
	a->cur += b->n;
	return buf_str(b);
}

void buf_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	buf_put(b, (struct str){ digits + at, sizeof digits - at });
}

void buf_int(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_chr(b, '-');
	buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_fixed(struct buf *b, int64_t v, int places)
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v, unit = 1;
	int i;

	for (i = 0; i < places; i++)
		unit *= 10;
	if (v < 0)
		buf_chr(b, '-');
	buf_u64(b, u / unit);
	if (places > 0)
		buf_chr(b, '.');
	for (u %= unit, unit /= 10; places > 0; places--) {
		buf_chr(b, (char)('0' + u / unit));
		u %= unit;
		unit /= 10;
	}
}

static const char hex_digits[] = "0123456789abcdef";

void buf_hex(struct buf *b, struct str bytes)
{
	size_t i;

	for (i = 0; i < bytes.n; i++) {
		buf_chr(b, hex_digits[(unsigned char)bytes.p[i] >> 4]);
		buf_chr(b, hex_digits[(unsigned char)bytes.p[i] & 15]);
	}
}

static void base64(struct buf *b, struct str s, const char *abc, int pad)
{
	char q[4];
	uint32_t v;
	size_t i, left;

	for (i = 0; i < s.n; i += 3) {
		left = s.n - i;
		v = (uint32_t)(unsigned char)s.p[i] << 16;
		if (left > 1)
			v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
		if (left > 2)
			v |= (uint32_t)(unsigned char)s.p[i + 2];
		q[0] = abc[v >> 18];
		q[1] = abc[v >> 12 & 63];
		q[2] = left > 1 ? abc[v >> 6 & 63] : '=';
		q[3] = left > 2 ? abc[v & 63] : '=';
		buf_put(b, (struct str){ q,
		    pad || left > 2 ? 4 : left + 1 });
	}
}

void buf_base64(struct buf *b, struct str bytes)
{
	base64(b, bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/", 1);
}

void buf_base64url(struct buf *b, struct str bytes)
{
	base64(b, bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789-_", 0);
}

void buf_drop(struct buf *b, size_t n)
{
	if (n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n = n < b->n ? b->n - n : 0;
}

int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

int base64_decode(struct buf *b, struct str text)
{
	uint32_t v = 0;
	size_t i, digits = 0, pads = 0;
	int d;

	for (i = 0; i < text.n; i++) {
		if (is_blank(text.p[i]))
			continue;
		if (text.p[i] == '=') {
			pads++;
			continue;
		}
		d = base64_value(text.p[i]);
		if (d < 0 || pads)
			return E_BAD;
		v = v << 6 | (uint32_t)d;
		if (digits++ % 4)
			buf_chr(b, (char)(v >> (6 - 2 * ((digits - 1) % 4))));
	}
	/* One digit over carries no whole byte. */
	if (digits % 4 == 1 || pads > 2 || (pads && (digits + pads) % 4))
		return E_BAD;
	return b->full ? E_FULL : OK;
}

int utf8_len(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char low = 0x80, high = 0xbf;
	int n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	/* The second byte rules out overlong forms, surrogates and what lies
	 * past U+10FFFF (RFC 3629, section 4). */
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	for (i = 1; i < n; i++) {
		if ((size_t)i == s.n)
			return -1;
		if (p[i] < low || p[i] > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

size_t utf8_valid(struct str s)
{
	size_t at = 0;
	int n;

	while (at < s.n && (n = utf8_len(str_from(s, at))) > 0)
		at += (size_t)n;
	return at;
}

static void put_escaped(struct buf *b, unsigned char c)
{
	buf_put(b, S("\\x"));
	buf_chr(b, hex_digits[c >> 4]);
	buf_chr(b, hex_digits[c & 15]);
}

/* U+200E, 200F, 202A to 202E, 2066 to 2069: what turns the direction of text,
 * so that it reads as something else than it is. */
static int turns_text(const unsigned char *p)
{
	return p[0] == 0xe2 && ((p[1] == 0x80 && (p[2] == 0x8e ||
	    p[2] == 0x8f || (p[2] >= 0xaa && p[2] <= 0xae))) ||
	    (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

/* Bytes at the front that stand for themselves: most texts have no other. */
static size_t plain_run(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= 0x20 && s.p[n] < 0x7f && s.p[n] != '\\')
		n++;
	return n;
}

void buf_printable(struct buf *b, struct str s)
{
	unsigned char c;
	size_t run;
	int i, n;

	while (s.n) {
		run = plain_run(str_head(s, b->cap - b->n));
		buf_put(b, str_head(s, run));
		s = str_from(s, run);
		if (s.n == 0)
			break;
		n = utf8_len(s);
		c = (unsigned char)s.p[0];
		if (n <= 0) {
			put_escaped(b, c);
			n = 1;
		} else if (n == 1 && (c < 0x20 || c == 0x7f)) {
			put_escaped(b, c);
		} else if (n == 2 && c == 0xc2 && (unsigned char)s.p[1] < 0xa0) {
			/* C1 controls: U+009B alone is an escape sequence. */
			put_escaped(b, c);
			put_escaped(b, (unsigned char)s.p[1]);
		} else if (n == 3 && turns_text((const unsigned char *)s.p)) {
			for (i = 0; i < 3; i++)
				put_escaped(b, (unsigned char)s.p[i]);
		} else if (c == '\\') {
			buf_put(b, S("\\\\"));
		} else {
			buf_put(b, str_head(s, (size_t)n));
		}
		s = str_from(s, (size_t)n);
	}
}
