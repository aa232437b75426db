/* estimate.c -- how many tokens a text or a whole request will be.
 *
 * No tokenizer and no tables: integer weights a class of code points, fitted
 * to the public vocabularies, within a few percent on code, prose, JSON and
 * tool output (OA-127). One pass, but for runs that may be base64, which are
 * looked over once more. Escaped text is unescaped on the way; nothing is
 * copied. Images and PDFs are in image.c.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

enum {
	BLOB_MIN = 40,		/* a run this long, with digits, is no word */
	BLOB_DIGITS = 16,	/* one digit in this many at least */
	IMAGE_UNSEEN = 1600,	/* tokens, where only its address is known */
	PIECE = 100,		/* a token, in our hundredths */
	SAMPLE = 128,		/* bytes looked at ... */
	SAMPLE_EVERY = 1024,	/* ... out of so many, where near is enough, */
	SAMPLE_LONG = 2048,	/* and out of so many in texts longer than this */
	KEPT_BITS = 26		/* of an estimate: 670,000 tokens in one text */
};

/* ---- bytes ---- */

/* What a byte is, as bits: texts are mostly ASCII, and this is the one pass
 * that looks at each byte of a request by itself. */
enum { LOWER = 1, UPPER = 2, DIGITS = 4, BLANKS = 8, BREAKS = 16, BLOB = 32,
	WIDE = 64 };

static const unsigned char byte_bits[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 16, 0, 0, 16, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 32, 0, 32,
	36, 36, 36, 36, 36, 36, 36, 36, 36, 36, 0, 0, 0, 32, 0, 0,
	0, 34, 34, 34, 34, 34, 34, 34, 34, 34, 34, 34, 34, 34, 34, 34,
	34, 34, 34, 34, 34, 34, 34, 34, 34, 34, 34, 0, 0, 0, 0, 32,
	0, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33,
	33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 0, 0, 0, 0, 0,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
	64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
};

static unsigned bits_of(char c)
{
	return byte_bits[(unsigned char)c];
}

/* ---- code points ---- */

enum reading { PLAIN, ESCAPED, COMPACT };

/* A place in a text, copied to look ahead. */
struct cursor {
	const char *p, *end;
	enum reading reading;
	int in_string;		/* COMPACT: blanks count only in strings */
	int literal;		/* COMPACT: behind a backslash */
};

enum { TEXT_END = -1, ILL_FORMED = 0xfffd };

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int32_t hex4(const char *p)
{
	int32_t v = 0;
	int i, d;

	for (i = 0; i < 4; i++) {
		d = hex_digit(p[i]);
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* p is behind the backslash. */
static int32_t next_escape(struct cursor *c)
{
	int32_t u, low;
	char e;

	if (c->p == c->end)
		return '\\';
	e = *c->p++;
	switch (e) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'b':
		return '\b';
	case 'f':
		return '\f';
	case 'u':
		break;
	default:
		return (unsigned char)e;
	}
	if (c->end - c->p < 4 || (u = hex4(c->p)) < 0)
		return 'u';
	c->p += 4;
	if (u < 0xd800 || u > 0xdfff)
		return u;
	if (u < 0xdc00 && c->end - c->p >= 6 && c->p[0] == '\\' &&
	    c->p[1] == 'u' && (low = hex4(c->p + 2)) >= 0xdc00 &&
	    low < 0xe000) {
		c->p += 6;
		return 0x10000 + ((u & 0x3ff) << 10 | (low & 0x3ff));
	}
	return ILL_FORMED;
}

static int32_t next_wide(struct cursor *c)
{
	struct str s = { c->p, (size_t)(c->end - c->p) };
	const unsigned char *u = (const unsigned char *)c->p;
	int n = utf8_len(s);

	if (n <= 0) {
		c->p++;
		return ILL_FORMED;
	}
	c->p += n;
	if (n == 2)
		return (u[0] & 0x1f) << 6 | (u[1] & 0x3f);
	if (n == 3)
		return (u[0] & 0x0f) << 12 | (u[1] & 0x3f) << 6 |
		    (u[2] & 0x3f);
	return (u[0] & 0x07) << 18 | (u[1] & 0x3f) << 12 |
	    (u[2] & 0x3f) << 6 | (u[3] & 0x3f);
}

static int is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline int32_t next_point(struct cursor *c)
{
	char b;

	if (c->reading == COMPACT && !c->in_string)
		while (c->p < c->end && is_blank(*c->p))
			c->p++;
	if (c->p == c->end)
		return TEXT_END;
	b = *c->p;
	if ((unsigned char)b >= 0x80)
		return next_wide(c);
	c->p++;
	if (b == '\\' && c->reading == ESCAPED)
		return next_escape(c);
	if (b == '"' && !c->literal)
		c->in_string = !c->in_string;
	c->literal = b == '\\' && !c->literal;
	return b;
}

/* ---- classes ---- */

enum class {
	LETTER, ACCENTED, DIGIT, SPACE, NEWLINE, PUNCT, HAN, KANA, HANGUL,
	CYRILLIC, OTHER
};

static enum class wide_class(int32_t u)
{
	if (u >= 0xc0 && u <= 0x24f)
		return ACCENTED;
	if (u >= 0x370 && u <= 0x52f)
		return CYRILLIC;	/* and Greek */
	if ((u >= 0x3400 && u <= 0x4dbf) || (u >= 0x4e00 && u <= 0x9fff) ||
	    (u >= 0xf900 && u <= 0xfaff) || (u >= 0x20000 && u <= 0x3ffff))
		return HAN;
	if ((u >= 0x3040 && u <= 0x30ff) || (u >= 0xff66 && u <= 0xff9f))
		return KANA;
	if ((u >= 0x1100 && u <= 0x11ff) || (u >= 0x3130 && u <= 0x318f) ||
	    (u >= 0xac00 && u <= 0xd7af))
		return HANGUL;
	return OTHER;
}

static int is_upper(int32_t u)
{
	return u >= 'A' && u <= 'Z';
}

static int is_lower(int32_t u)
{
	return u >= 'a' && u <= 'z';
}

static inline enum class class_of(int32_t u)
{
	unsigned bits;

	if (u >= 0x80)
		return wide_class(u);
	bits = u < 0 ? 0 : byte_bits[u];
	if (bits & (LOWER | UPPER))
		return LETTER;
	if (bits & DIGITS)
		return DIGIT;
	if (bits & BLANKS)
		return SPACE;
	return bits & BREAKS ? NEWLINE : PUNCT;
}

/* Of base64, base64url, hex. */
static int is_blob(int32_t u)
{
	return u >= 0 && u < 0x80 && (byte_bits[u] & BLOB);
}

/* ---- weights, in hundredths of a token ---- */

struct weights {
	int blob, accented, accented_more, upper, word, word_more, cyrillic,
	    cyrillic_more, digits, spaces, space_digit, newline, punct,
	    punct_more, han, kana, hangul, other;
};

static const struct weights weights[] = {
	[VOCAB_O] = { 66, 112, 21, 168, 97, 45, 114, 23, 115, 141, 110, 98,
	    66, 11, 75, 72, 78, 113 },
	[VOCAB_C] = { 66, 117, 53, 162, 95, 56, 165, 43, 120, 140, 97, 108,
	    66, 7, 104, 100, 125, 153 }
};

/* The first code points of a word are free, those past it are not. */
static uint64_t past(uint64_t len, uint64_t free, int each)
{
	return len > free ? (len - free) * (uint64_t)each : 0;
}

struct scan {
	struct cursor at;
	const struct weights *w;
	int32_t last;		/* the code point before */
	int punct;		/* the last item but spaces was punctuation */
};

/* Passes over plain bytes of class k, without their code points. */
static uint64_t skip_run(struct scan *s, enum class k)
{
	unsigned bits = k == DIGIT ? DIGITS : k == NEWLINE ? BREAKS :
	    k == SPACE ? BLANKS : 0;
	const char *from = s->at.p, *p = from;

	if (!bits || s->at.reading == COMPACT)
		return 0;
	while (p < s->at.end && (bits_of(*p) & bits))
		p++;
	if (p > from)
		s->last = p[-1];
	s->at.p = p;
	return (uint64_t)(p - from);
}

/* The next byte is a code point by itself, and no matter where it stands. */
static inline int is_plain(const struct cursor *c)
{
	return c->reading != COMPACT && *c->p != '\\' &&
	    !(bits_of(*c->p) & WIDE);
}

/* Takes the rest of a run of class k; its length, the first included. */
static uint64_t take_run(struct scan *s, enum class k)
{
	struct cursor before;
	uint64_t len = 1;
	int32_t u;

	for (;;) {
		len += skip_run(s, k);
		if (s->at.p == s->at.end)
			return len;
		if (is_plain(&s->at)) {
			if (class_of(*s->at.p) != k)
				return len;
			s->last = *s->at.p++;
			len++;
			continue;
		}
		before = s->at;
		u = next_point(&s->at);
		if (u == TEXT_END || class_of(u) != k)
			break;
		s->last = u;
		len++;
	}
	s->at = before;
	return len;
}

/* Passes over plain letters up to a capital behind a small one. *upper: still
 * capitals alone. No letter changes what the cursor knows. */
static uint64_t skip_letters(struct scan *s, int *upper)
{
	const char *from = s->at.p, *p = from;
	unsigned bits, last = is_lower(s->last) ? LOWER : 0, all = UPPER;

	for (; p < s->at.end; p++) {
		bits = bits_of(*p) & (LOWER | UPPER);
		if (!bits || (bits & UPPER && last & LOWER))
			break;
		all &= bits;
		last = bits;
	}
	if (p > from) {
		s->last = p[-1];
		*upper = *upper && all;
	}
	s->at.p = p;
	return (uint64_t)(p - from);
}

static uint64_t take_word(struct scan *s, int32_t first)
{
	struct cursor before;
	uint64_t len = 1;
	int accented = first >= 0x80, upper = is_upper(first);
	enum class k;
	int32_t u;

	s->last = first;
	for (;;) {
		len += skip_letters(s, &upper);
		before = s->at;
		/* A word ends here, unless more is behind an escape. */
		if (before.p < before.end && *before.p != '\\' &&
		    !(bits_of(*before.p) & WIDE))
			break;
		u = next_point(&s->at);
		if (u == TEXT_END)
			break;
		k = class_of(u);
		if ((k != LETTER && k != ACCENTED) ||
		    (is_upper(u) && is_lower(s->last)))
			break;
		accented |= k == ACCENTED;
		upper = upper && is_upper(u);
		s->last = u;
		len++;
	}
	s->at = before;
	if (accented)
		return (uint64_t)s->w->accented +
		    past(len, 4, s->w->accented_more);
	if (upper && len > 1)
		return (uint64_t)s->w->upper;
	return (uint64_t)s->w->word + past(len, 7, s->w->word_more);
}

/* Takes the run that begins with the letter or digit just read, if it is a
 * blob; else nothing. Called at the start of a run only, so every code point
 * is looked over once. */
static uint64_t take_blob(struct scan *s, int32_t first)
{
	struct cursor at = s->at, before = at;
	uint64_t len = 1, digits = class_of(first) == DIGIT;
	int32_t u, last = first;
	const char *p = at.p;

	/* Nearly always it is short, and no escape prolongs it. */
	while (p < at.end && (bits_of(*p) & BLOB))
		p++;
	if (p - at.p + 1 < BLOB_MIN && (p == at.end || *p != '\\'))
		return 0;
	while ((u = next_point(&at)) != TEXT_END && is_blob(u)) {
		digits += class_of(u) == DIGIT;
		last = u;
		before = at;
		len++;
	}
	if (len < BLOB_MIN || digits * BLOB_DIGITS < len)
		return 0;
	s->at = before;
	s->last = last;
	return len;
}

static uint64_t take_spaces(struct scan *s, int32_t first)
{
	struct cursor ahead;
	uint64_t len = take_run(s, SPACE);

	if (len > 1 || first == '\t')
		return (uint64_t)s->w->spaces;
	if (s->at.p < s->at.end && (bits_of(*s->at.p) & (LOWER | UPPER)))
		return 0;
	ahead = s->at;
	return class_of(next_point(&ahead)) == DIGIT ?
	    (uint64_t)s->w->space_digit : 0;
}

static uint64_t take_item(struct scan *s, int32_t u)
{
	const struct weights *w = s->w;
	int before = s->punct, fresh = !is_blob(s->last);
	enum class k = class_of(u);
	uint64_t n;

	s->last = u;
	s->punct = k == PUNCT || (k == SPACE && before);
	if ((k == LETTER || k == DIGIT) && fresh &&
	    (n = take_blob(s, u)) != 0)
		return n * (uint64_t)w->blob;
	switch (k) {
	case LETTER:
	case ACCENTED:
		return take_word(s, u);
	case CYRILLIC:
		n = take_run(s, k);
		return (uint64_t)w->cyrillic + past(n, 4, w->cyrillic_more);
	case DIGIT:
		n = take_run(s, k);
		return (n + 2) / 3 * (uint64_t)w->digits;
	case SPACE:
		return take_spaces(s, u);
	case NEWLINE:
		take_run(s, k);
		return before ? 0 : (uint64_t)w->newline;
	case PUNCT:
		n = take_run(s, k);
		return (uint64_t)w->punct + past(n, 1, w->punct_more);
	case HAN:
		return (uint64_t)w->han;
	case KANA:
		return (uint64_t)w->kana;
	case HANGUL:
		return (uint64_t)w->hangul;
	case OTHER:
		break;
	}
	return (uint64_t)w->other;
}

/* Prose and most of code: plain words, one blank between them. Takes as many as
 * there are, at one look a byte; what is any different is left to take_item. */
static uint64_t take_prose(struct scan *s)
{
	const char *p = s->at.p, *end = s->at.end, *q;
	unsigned bits, last, all;
	uint64_t sum = 0, len;

	for (;;) {
		last = 0;
		all = UPPER;
		for (q = p; q < end; q++) {
			bits = bits_of(*q) & (LOWER | UPPER);
			if (!bits || (bits & UPPER && last & LOWER))
				break;
			all &= bits;
			last = bits;
		}
		len = (uint64_t)(q - p);
		/* It may go on, or be a part of something longer. */
		if (len == 0 || len >= BLOB_MIN || q == end || *q == '\\' ||
		    bits_of(*q) & (BLOB | WIDE))
			break;
		sum += (uint64_t)(all && len > 1 ? s->w->upper : s->w->word);
		if (len > 7 && !all)
			sum += past(len, 7, s->w->word_more);
		s->last = q[-1];
		s->punct = 0;
		p = q;
		if (*q != ' ' || end - q < 2 ||
		    !(bits_of(q[1]) & (LOWER | UPPER)))
			break;
		s->last = ' ';
		p = q + 1;
	}
	s->at.p = p;
	return sum;
}

static uint64_t estimate(struct str text, enum vocabulary v, enum reading how)
{
	struct scan s = { .w = &weights[v] };
	uint64_t sum = 0;
	int32_t u;

	if (text.n == 0)
		return 0;
	s.at = (struct cursor){ text.p, text.p + text.n, how, 0, 0 };
	for (;;) {
		if (how != COMPACT && !is_blob(s.last))
			sum += take_prose(&s);
		u = next_point(&s.at);
		if (u == TEXT_END)
			return sum;
		sum += take_item(&s, u);
	}
}

uint64_t estimate_text(struct str s, enum vocabulary v)
{
	return estimate(s, v, PLAIN);
}

uint64_t estimate_jstr(struct jstr s, enum vocabulary v)
{
	return estimate(s.raw, v, ESCAPED);
}

uint64_t estimate_json(struct str raw, enum vocabulary v)
{
	return estimate(raw, v, COMPACT);
}

/* The next window at or after *at, evenly spread; empty behind the last. One
 * may begin inside a word or an escape: that is part of the few percent. */
static struct str next_window(struct str s, size_t *at)
{
	size_t step = s.n > SAMPLE_LONG ? SAMPLE_LONG : SAMPLE_EVERY;
	struct str w = str_head(str_from(s, *at), s.n <= SAMPLE_EVERY ? s.n :
	    SAMPLE);

	*at += step;
	return w;
}

uint64_t estimate_near(struct str s, enum vocabulary v)
{
	uint64_t sum = 0, seen = 0;
	struct str window;
	size_t at = 0;

	while ((window = next_window(s, &at)).n) {
		sum += estimate(window, v, ESCAPED);
		seen += window.n;
	}
	return seen == 0 || seen == s.n ? sum : sum * s.n / seen;
}

/* For telling texts apart, not for trust: who makes two alike gets an
 * estimate that is wrong. */
static uint64_t mix(uint64_t h, struct str s)
{
	uint64_t w;
	size_t n;

	while (s.n) {
		n = s.n < sizeof w ? s.n : sizeof w;
		w = 0;
		memcpy(&w, s.p, n);
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 32;
		s.p += n;
		s.n -= n;
	}
	return h;
}

/* An entry is the sum's upper bits, and the estimate below them. */
uint64_t estimate_kept(struct estimates *kept, struct str s,
    enum vocabulary v)
{
	uint64_t h = (uint64_t)s.n * 2 + (v == VOCAB_C), n, *place;
	struct str window;
	size_t at = 0;

	while ((window = next_window(s, &at)).n)
		h = mix(h, window);
	place = &kept->v[h % ESTIMATES_KEPT];
	if (*place && *place >> KEPT_BITS == h >> KEPT_BITS)
		return *place & (((uint64_t)1 << KEPT_BITS) - 1);
	n = estimate_near(s, v);
	if (n >> KEPT_BITS == 0)
		*place = h >> KEPT_BITS << KEPT_BITS | n;
	return n;
}

/* ---- whole requests (OA-129) ---- */

enum {
	REQUEST_COST = 300, MESSAGE_COST = 400, CALL_COST = 800,
	TOOLS_COST = 1200, TOOL_COST = 700
};

static uint64_t file_cost(const struct block *b)
{
	if (b->type == B_IMAGE)
		return PIECE * (b->source == SOURCE_BASE64 ?
		    estimate_image(b->data) : IMAGE_UNSEEN);
	return PIECE * estimate_pdf(b->data);
}

/* Everything but what nests. */
static uint64_t lone_cost(const struct block *b, enum vocabulary v, int near)
{
	switch (b->type) {
	case B_TEXT:
	case B_COMPACTION:
		return near ? estimate_near(b->text.raw, v) :
		    estimate_jstr(b->text, v);
	case B_IMAGE:
		return file_cost(b);
	case B_DOCUMENT:
		return estimate_jstr(b->title, v) +
		    estimate_jstr(b->context, v) +
		    (b->source == SOURCE_TEXT ? estimate_jstr(b->data, v) :
		    b->source == SOURCE_CONTENT ? 0 : file_cost(b));
	case B_SEARCH_RESULT:
		return estimate_jstr(b->text, v) + estimate_jstr(b->title, v);
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		return CALL_COST + estimate_jstr(b->name, v) +
		    (near ? estimate_near(b->input, v) :
		    estimate_json(b->input, v));
	case B_TOOL_RESULT:
		return MESSAGE_COST;
	case B_TOOL_REFERENCE:
		return estimate_jstr(b->name, v);
	case B_SERVER_TOOL_RESULT:
	case B_BROWSER_STATE:
		return estimate_json(json_raw(b->json), v);
	case B_THINKING:
	case B_REDACTED_THINKING:
	case B_CONTAINER_UPLOAD:
	case B_FALLBACK:
	case B_TOOL_ADDITION:
	case B_TOOL_REMOVAL:
	case B_UNKNOWN:
		break;
	}
	/* Earlier thinking isn't shown to the model again. */
	return 0;
}

/* With the content of a result or a document, and what nests in that. */
static uint64_t block_cost(const struct block *b, enum vocabulary v, int near)
{
	uint64_t sum = lone_cost(b, v, near);
	const struct block *in;
	size_t i, k;

	for (i = 0; i < b->ncontent; i++) {
		in = &b->content[i];
		sum += lone_cost(in, v, near);
		for (k = 0; k < in->ncontent; k++)
			sum += lone_cost(&in->content[k], v, near);
	}
	return sum;
}

static uint64_t blocks_cost(const struct block *b, size_t n, enum vocabulary v,
    int near)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < n; i++)
		sum += block_cost(&b[i], v, near);
	return sum;
}

int64_t estimate_request(const struct request *r, enum vocabulary v, int near)
{
	uint64_t sum = REQUEST_COST;
	size_t i;
	int any = 0;

	if (r->nsystem)
		sum += MESSAGE_COST + blocks_cost(r->system, r->nsystem,
		    v, near);
	for (i = 0; i < r->nmessages; i++)
		sum += MESSAGE_COST + blocks_cost(r->messages[i].blocks,
		    r->messages[i].n, v, near);
	for (i = 0; i < r->ntools; i++) {
		/* A server's tools cost the client nothing (AN 7). */
		if (r->tools[i].kind == TOOL_SERVER)
			continue;
		any = 1;
		sum += TOOL_COST + estimate_jstr(r->tools[i].name, v) +
		    (near ? estimate_near(r->tools[i].description.raw, v) :
		    estimate_jstr(r->tools[i].description, v)) +
		    (near ? estimate_near(json_raw(r->tools[i].schema), v) :
		    estimate_json(json_raw(r->tools[i].schema), v));
	}
	if (any)
		sum += TOOLS_COST;
	return (int64_t)((sum + PIECE - 1) / PIECE);
}
