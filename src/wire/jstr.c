/* jstr.c -- the strings of JSON: unescaping, escaping, source text copied
 * into new text, and text that arrives in pieces.
 *
 * Nothing here judges: what comes in has passed json.c, or is our own. Text
 * that is broken all the same is never read past its end; what comes out of
 * it is then as broken as it was.
 *
 * SPDX-License-Identifier: MIT */
#include "json.h"
#include "jsonchar.h"

/* ---- escapes ---- */

static int is_high(uint32_t c)
{
	return c >= 0xd800 && c < 0xdc00;
}

static int is_low(uint32_t c)
{
	return c >= 0xdc00 && c < 0xe000;
}

static int is_surrogate(uint32_t c)
{
	return c >= 0xd800 && c < 0xe000;
}

/* The code unit of the \u escape at offset at; -1 when there is none. */
static int unit_at(struct str s, size_t at)
{
	if (s.n < at || s.n - at < 6 || s.p[at] != '\\' || s.p[at + 1] != 'u')
		return -1;
	return hex4(s.p + at + 2);
}

/* Reads the escape at the front of s, which is a backslash; a pair of
 * surrogates is one escape, a lone one stays what it is. Returns its length.
 * What the validator would not have let through is a backslash, literally. */
static size_t escape_read(struct str s, uint32_t *c)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	int u, low;

	*c = '\\';
	if (s.n < 2)
		return 1;
	if (s.p[1] != 'u') {
		name = memchr(names, s.p[1], sizeof names - 1);
		if (!name)
			return 1;
		*c = (uint32_t)values[name - names];
		return 2;
	}
	u = unit_at(s, 0);
	if (u < 0)
		return 1;
	*c = (uint32_t)u;
	if (is_high(*c) && (low = unit_at(s, 6)) >= 0 &&
	    is_low((uint32_t)low)) {
		*c = 0x10000 + ((*c & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
		return 12;
	}
	return 6;
}

/* UTF-8 of c; a surrogate becomes U+FFFD. Never longer than its escape. */
static size_t encode(uint32_t c, char out[4])
{
	if (is_surrogate(c))
		c = 0xfffd;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* Offset of the first backslash at or after at; s.n when there is none. */
static size_t next_escape(struct str s, size_t at)
{
	const char *p, *end;

	if (at >= s.n)
		return s.n;
	p = s.p + at;
	end = s.p + s.n;
	while ((p = mark_end(p, end)) < end && *p != '\\')
		p++;
	return (size_t)(p - s.p);
}

/* The same, of the escapes that are longer than two bytes. */
static size_t next_long_escape(struct str s, size_t at)
{
	const char *p, *end;

	if (at >= s.n)
		return s.n;
	p = s.p + at;
	end = s.p + s.n;
	/* A quote can only be there in text that is broken. */
	while ((p = skip_simple(p, end, 0)) < end && *p != '\\')
		p++;
	return (size_t)(p - s.p);
}

static struct str between(const char *p, const char *end)
{
	struct str s = { p, (size_t)(end - p) };

	return s;
}

static struct str cut(struct str s, size_t from, size_t to)
{
	return str_from(str_head(s, to), from);
}

void json_unescape(struct buf *b, struct jstr s)
{
	size_t run = 0, at;
	uint32_t c;
	char utf8[4];

	while ((at = next_escape(s.raw, run)) < s.raw.n) {
		buf_put(b, cut(s.raw, run, at));
		run = at + escape_read(str_from(s.raw, at), &c);
		buf_put(b, (struct str){ utf8, encode(c, utf8) });
	}
	buf_put(b, str_from(s.raw, run));
}

struct str json_text(struct arena *a, struct jstr s)
{
	struct buf b;

	if (s.raw.n == 0)
		return S("");
	if (next_escape(s.raw, 0) == s.raw.n)
		return s.raw;
	b = buf_open(a);
	json_unescape(&b, s);
	if (b.full)
		return (struct str){ NULL, 0 };
	return buf_end(a, &b);
}

/* Whether text is a prefix of the unescaped s. *whole: they are equal. */
static int match(struct str s, struct str text, int *whole)
{
	size_t n, used;
	uint32_t c;
	char utf8[4];

	*whole = 0;
	while (text.n) {
		if (s.n == 0)
			return 0;
		if (s.p[0] != '\\') {
			if (s.p[0] != text.p[0])
				return 0;
			s = str_from(s, 1);
			text = str_from(text, 1);
			continue;
		}
		used = escape_read(s, &c);
		n = encode(c, utf8);
		if (n > text.n)
			return memcmp(utf8, text.p, text.n) == 0;
		if (memcmp(utf8, text.p, n) != 0)
			return 0;
		s = str_from(s, used);
		text = str_from(text, n);
	}
	*whole = s.n == 0;
	return 1;
}

int jstr_same(struct jstr s, struct str text)
{
	int whole;

	/* An escape is always longer than what it stands for. */
	if (s.raw.n == text.n)
		return str_eq(s.raw, text) && (str_chr(text, '\\') == text.n ||
		    (match(s.raw, text, &whole) && whole));
	return s.raw.n > text.n && match(s.raw, text, &whole) && whole;
}

int jstr_starts(struct jstr s, struct str prefix)
{
	int whole;

	return s.raw.n >= prefix.n && match(s.raw, prefix, &whole);
}

static void put_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	static const char letters[] = "btn.fr";	/* from backspace, 8 */

	buf_chr(b, '\\');
	if (is_mark((char)c)) {
		buf_chr(b, (char)c);
	} else if (c >= 8 && c < 14 && c != 11) {
		buf_chr(b, letters[c - 8]);
	} else {
		buf_put(b, S("u00"));
		buf_chr(b, hex[c >> 4]);
		buf_chr(b, hex[c & 15]);
	}
}

void json_escape(struct buf *b, struct str s)
{
	const char *p = s.p, *run = p, *end;
	int n;

	if (s.n == 0)
		return;
	for (end = p + s.n; (p = plain_end(p, end)) < end; ) {
		if ((unsigned char)*p >= 0x80) {
			n = utf8_len(between(p, end));
			if (n > 0) {
				p += n;
				continue;
			}
			buf_put(b, between(run, p));
			buf_put(b, S("\xef\xbf\xbd"));
		} else {
			buf_put(b, between(run, p));
			put_escape(b, (unsigned char)*p);
		}
		run = ++p;
	}
	buf_put(b, between(run, end));
}

void json_quote(struct buf *b, struct str s)
{
	buf_chr(b, '"');
	json_escape(b, s);
	buf_chr(b, '"');
}

/* One string of a source text, from its opening quote at p; past it. With
 * `again` every quote and backslash gets a backslash in front. */
static const char *copy_string(struct buf *b, const char *p, const char *end,
    int again)
{
	const char *run = p;
	int open = 0;

	for (; (p = mark_end(p, end)) < end; p++) {
		if (again) {
			buf_put(b, between(run, p));
			buf_chr(b, '\\');
			run = p;
		}
		if (*p == '"' && open++) {
			p++;
			break;
		}
		if (*p == '\\' && p + 1 < end && is_mark(*++p) && again) {
			buf_put(b, between(run, p));
			buf_chr(b, '\\');
			run = p;
		}
	}
	buf_put(b, between(run, p));
	return p;
}

static void copy_value(struct buf *b, struct str raw, int again)
{
	const char *p = raw.p, *run = p, *end;

	if (raw.n == 0)
		return;
	for (end = p + raw.n; p < end; ) {
		if (*p == '"') {
			buf_put(b, between(run, p));
			run = p = copy_string(b, p, end, again);
		} else if (is_blank(*p)) {
			buf_put(b, between(run, p));
			run = p = skip_blanks(p, end);
		} else {
			p++;
		}
	}
	buf_put(b, between(run, end));
}

void json_stringify(struct buf *b, struct str raw)
{
	copy_value(b, raw, 1);
}

void json_compact(struct buf *b, struct str raw)
{
	copy_value(b, raw, 0);
}

void json_put(struct buf *b, struct jstr s)
{
	size_t run = 0, at, used;
	uint32_t c;

	/* One copy, unless there is something to mend. Only a long
	 * escape can be that. */
	for (at = 0; (at = next_long_escape(s.raw, at)) < s.raw.n; at += used) {
		used = escape_read(str_from(s.raw, at), &c);
		if (!is_surrogate(c))
			continue;
		buf_put(b, cut(s.raw, run, at));
		buf_put(b, S("\\ufffd"));
		run = at + used;
	}
	buf_put(b, str_from(s.raw, run));
}

/* ---- pieces ---- */

/* How many bytes at the end of s begin a UTF-8 sequence that goes on. */
static size_t open_utf8(struct str s)
{
	size_t n;

	for (n = 1; n <= 3 && n <= s.n; n++) {
		if ((unsigned char)s.p[s.n - n] < 0x80)
			break;
		if (utf8_len(str_from(s, s.n - n)) < 0)
			return n;
	}
	return 0;
}

size_t json_whole(struct str s)
{
	size_t at, used = 0, left;
	uint32_t c;

	for (at = 0; (at = next_escape(s, at)) < s.n; at += used) {
		left = s.n - at;
		if (left < 2 || (s.p[at + 1] == 'u' && left < 6))
			return at;
		used = escape_read(str_from(s, at), &c);
		/* A high surrogate waits for as long as what follows may yet
		 * become the low one. */
		if (is_high(c) && left < 12 &&
		    (left < 7 || s.p[at + 6] == '\\') &&
		    (left < 8 || s.p[at + 7] == 'u'))
			return at;
	}
	return s.n - open_utf8(s);
}

static int top_is_object(const struct json_scan *s)
{
	int level = s->depth - 1;

	return s->stack[level / 8] >> level % 8 & 1;
}

static void scan_open(struct json_scan *s, int object)
{
	int bit = 1 << s->depth % 8, byte = s->depth / 8;

	if (s->depth == JSON_DEPTH_MAX) {
		s->bad = 1;
		return;
	}
	s->stack[byte] = (unsigned char)(object ? s->stack[byte] | bit :
	    s->stack[byte] & ~bit);
	s->depth++;
}

static void scan_close(struct json_scan *s, int object)
{
	if (s->depth == 0 || top_is_object(s) != object)
		s->bad = 1;
	else if (--s->depth == 0)
		s->done = 1;
}

/* Past one byte inside a string, or past as many as say nothing. */
static const char *scan_string(struct json_scan *s, const char *p,
    const char *end)
{
	if (s->escape) {
		s->escape = 0;
		return p + 1;
	}
	p = mark_end(p, end);
	if (p == end)
		return p;
	if (*p == '\\') {
		s->escape = 1;
	} else {
		s->in_string = 0;
		s->done = s->depth == 0;
	}
	return p + 1;
}

/* One byte outside strings. Returns 0 when it isn't the value's any more: a
 * number or a word alone ends where something else begins. */
static int scan_byte(struct json_scan *s, char c)
{
	int lone = s->started && s->depth == 0;

	if (lone && (is_blank(c) || memchr("\"{}[],:", c, 7))) {
		s->done = 1;
		return 0;
	}
	if (is_blank(c))
		return 1;
	s->started = 1;
	if (c == '"')
		s->in_string = 1;
	else if (c == '{' || c == '[')
		scan_open(s, c == '{');
	else if (c == '}' || c == ']')
		scan_close(s, c == '}');
	return 1;
}

size_t json_scan(struct json_scan *s, struct str piece)
{
	const char *p = piece.p, *end;

	if (piece.n == 0)
		return 0;
	for (end = p + piece.n; p < end && !s->done && !s->bad; ) {
		if (s->in_string)
			p = scan_string(s, p, end);
		else if (scan_byte(s, *p))
			p++;
	}
	return s->bad ? piece.n : (size_t)(p - piece.p);
}
