/* estimate.c -- how many tokens a text, an image, a document will be.
 *
 * No tokenizer and no tables: integer weights a class of code points, fitted
 * to the public vocabularies, within a few percent on code, prose, JSON and
 * tool output (OA-127). One pass, but for runs that may be base64, which are
 * looked over once more. Escaped text is unescaped on the way; nothing is
 * copied. Images and PDFs are read through their base64 in the same manner.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

enum {
	BLOB_MIN = 40,		/* a run this long, with digits, is no word */
	BLOB_DIGITS = 16,	/* one digit in this many at least */
	IMAGE_SIDE = 1568,	/* larger ones are scaled down by the service */
	IMAGE_PIXELS = 750,	/* a token */
	IMAGE_MAX = 1600, IMAGE_MIN = 50,
	PAGE_TOKENS = 2000,
	PAGE_BYTES = 50000,	/* of a PDF whose pages can't be counted */
	PIECE = 100		/* a token, in our hundredths */
};

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
	static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
	const char *name;
	int32_t u, low;
	char e;

	if (c->p == c->end)
		return '\\';
	e = *c->p++;
	if (e != 'u') {
		name = memchr(names, e, sizeof names - 1);
		return name ? values[name - names] : (unsigned char)e;
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

static int32_t next_point(struct cursor *c)
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

static enum class class_of(int32_t u)
{
	if (is_lower(u) || is_upper(u))
		return LETTER;
	if (u >= 0x80)
		return wide_class(u);
	if (u >= '0' && u <= '9')
		return DIGIT;
	if (u == ' ' || u == '\t')
		return SPACE;
	return u == '\n' || u == '\r' ? NEWLINE : PUNCT;
}

/* Of base64, base64url, hex. */
static int is_blob(int32_t u)
{
	return is_lower(u) || is_upper(u) || (u >= '0' && u <= '9') ||
	    u == '+' || u == '/' || u == '_' || u == '=' || u == '-';
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

/* Takes the rest of a run of class k; its length, the first included. */
static uint64_t take_run(struct scan *s, enum class k)
{
	struct cursor before = s->at;
	uint64_t len = 1;
	int32_t u;

	while ((u = next_point(&s->at)) != TEXT_END && class_of(u) == k) {
		s->last = u;
		before = s->at;
		len++;
	}
	s->at = before;
	return len;
}

static uint64_t take_word(struct scan *s, int32_t first)
{
	struct cursor before = s->at;
	uint64_t len = 1;
	int accented = first >= 0x80, upper = is_upper(first);
	enum class k;
	int32_t u;

	s->last = first;
	while ((u = next_point(&s->at)) != TEXT_END) {
		k = class_of(u);
		if ((k != LETTER && k != ACCENTED) ||
		    (is_upper(u) && is_lower(s->last)))
			break;
		accented |= k == ACCENTED;
		upper &= is_upper(u);
		s->last = u;
		before = s->at;
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

static uint64_t estimate(struct str text, enum vocabulary v, enum reading how)
{
	struct scan s = { .w = &weights[v] };
	uint64_t sum = 0;
	int32_t u;

	if (text.n == 0)
		return 0;
	s.at = (struct cursor){ text.p, text.p + text.n, how, 0, 0 };
	while ((u = next_point(&s.at)) != TEXT_END)
		sum += take_item(&s, u);
	return sum;
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

/* ---- images and documents ---- */

/* Bytes one after the other, out of base64 or as they are. */
struct bytes {
	struct str text;
	size_t at;
	int base64;
	uint32_t bits;
	int nbits;
};

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

/* -1 at the end. What is no digit is passed over, "\n" and the backslash of
 * "\/" too: the text is still escaped. */
static int next_byte(struct bytes *s)
{
	int d;

	if (!s->base64)
		return s->at < s->text.n ?
		    (unsigned char)s->text.p[s->at++] : -1;
	while (s->nbits < 8) {
		if (s->at == s->text.n)
			return -1;
		if (s->text.p[s->at] == '\\' && ++s->at < s->text.n &&
		    s->text.p[s->at] != '/') {
			s->at++;
			continue;
		}
		if (s->at == s->text.n || s->text.p[s->at] == '=')
			return -1;
		d = base64_digit(s->text.p[s->at++]);
		if (d < 0)
			continue;
		s->bits = (s->bits & 0xff) << 6 | (uint32_t)d;
		s->nbits += 6;
	}
	s->nbits -= 8;
	return (int)(s->bits >> s->nbits & 0xff);
}

static void skip_bytes(struct bytes *s, size_t n)
{
	while (n && next_byte(s) >= 0)
		n--;
}

/* n bytes, most or least significant first; 0 past the end. */
static unsigned big(struct bytes *s, int n)
{
	unsigned v = 0;
	int c;

	while (n-- && (c = next_byte(s)) >= 0)
		v = v << 8 | (unsigned)c;
	return v;
}

static unsigned little(struct bytes *s, int n)
{
	unsigned v = 0;
	int c, i;

	for (i = 0; i < n && (c = next_byte(s)) >= 0; i++)
		v |= (unsigned)c << (8 * i);
	return v;
}

/* Segments up to the frame header, SOF0..15 but DHT, JPG and DAC. */
static void jpeg_size(struct bytes *s, unsigned *w, unsigned *h)
{
	unsigned marker, n;

	while (next_byte(s) == 0xff) {
		do
			marker = big(s, 1);
		while (marker == 0xff);
		if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7))
			continue;	/* stands alone */
		n = big(s, 2);
		if (n < 2 || marker == 0xda)
			return;
		if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 &&
		    marker != 0xc8 && marker != 0xcc) {
			skip_bytes(s, 1);
			*h = big(s, 2);
			*w = big(s, 2);
			return;
		}
		skip_bytes(s, n - 2);
	}
}

static void webp_size(struct bytes *s, unsigned *w, unsigned *h)
{
	unsigned kind = big(s, 4), v;

	skip_bytes(s, 4);
	if (kind == 0x56503820) {		/* "VP8 " */
		skip_bytes(s, 6);
		*w = little(s, 2) & 0x3fff;
		*h = little(s, 2) & 0x3fff;
	} else if (kind == 0x5650384c) {	/* "VP8L" */
		if (big(s, 1) != 0x2f)
			return;
		v = little(s, 4);
		*w = (v & 0x3fff) + 1;
		*h = (v >> 14 & 0x3fff) + 1;
	} else if (kind == 0x56503858) {	/* "VP8X" */
		skip_bytes(s, 4);
		*w = little(s, 3) + 1;
		*h = little(s, 3) + 1;
	}
}

struct str image_type(struct str b)
{
	if (str_starts(b, S("\x89PNG\r\n\x1a\n")))
		return S("image/png");
	if (str_starts(b, S("\xff\xd8\xff")))
		return S("image/jpeg");
	if (str_starts(b, S("GIF87a")) || str_starts(b, S("GIF89a")))
		return S("image/gif");
	if (str_starts(b, S("RIFF")) &&
	    str_starts(str_from(b, 8), S("WEBP")))
		return S("image/webp");
	return S("");
}

static int read_size(struct bytes s, unsigned *w, unsigned *h)
{
	char head[12];
	struct bytes start = s;
	struct str type;
	size_t n;
	int c;

	for (n = 0; n < sizeof head && (c = next_byte(&start)) >= 0; n++)
		head[n] = (char)c;
	type = image_type((struct str){ head, n });
	*w = *h = 0;
	if (str_eq(type, S("image/png"))) {
		skip_bytes(&s, 16);
		*w = big(&s, 4);
		*h = big(&s, 4);
	} else if (str_eq(type, S("image/gif"))) {
		skip_bytes(&s, 6);
		*w = little(&s, 2);
		*h = little(&s, 2);
	} else if (str_eq(type, S("image/jpeg"))) {
		skip_bytes(&s, 2);
		jpeg_size(&s, w, h);
	} else if (str_eq(type, S("image/webp"))) {
		skip_bytes(&s, 12);
		webp_size(&s, w, h);
	}
	return *w && *h ? OK : E_BAD;
}

int image_size(struct str bytes, unsigned *w, unsigned *h)
{
	struct bytes s = { .text = bytes };

	return read_size(s, w, h);
}

uint64_t estimate_image(struct jstr base64)
{
	struct bytes s = { .text = base64.raw, .base64 = 1 };
	unsigned width, height;
	uint64_t w, h, side, n;

	if (read_size(s, &width, &height) != OK)
		return IMAGE_MAX;
	w = width;
	h = height;
	side = w > h ? w : h;
	if (side > IMAGE_SIDE) {
		w = (w * IMAGE_SIDE + side - 1) / side;
		h = (h * IMAGE_SIDE + side - 1) / side;
	}
	n = (w * h + IMAGE_PIXELS - 1) / IMAGE_PIXELS;
	return n < IMAGE_MIN ? IMAGE_MIN : n > IMAGE_MAX ? IMAGE_MAX : n;
}

/* Follows a word through the bytes; 1 when c is its last one. Good for words
 * whose first byte comes but once in them. */
static int follow(const char *word, size_t *at, int c)
{
	*at = c == word[*at] ? *at + 1 : c == word[0];
	if (word[*at])
		return 0;
	*at = 0;
	return 1;
}

uint64_t estimate_pdf(struct jstr base64)
{
	static const char key[] = "/Type", value[] = "/Page";
	struct bytes s = { .text = base64.raw, .base64 = 1 };
	size_t in_key = 0, in_value = 0, in_packed = 0;
	uint64_t pages = 0, size = 0, packed = 0;
	int c, after_key = 0, after_page = 0;

	for (; (c = next_byte(&s)) >= 0; size++) {
		/* /Pages is the tree above the pages. */
		if (after_page && c != 's')
			pages++;
		after_page = 0;
		packed |= (uint64_t)follow("ObjStm", &in_packed, c);
		if (after_key) {
			if (in_value == 0 && is_blank((char)c))
				continue;
			if (c == value[in_value]) {
				after_page = !value[++in_value];
				after_key = !after_page;
			} else {
				after_key = 0;
			}
			if (!after_key)
				in_value = 0;
			in_key = !after_key && c == '/';
			continue;
		}
		after_key = follow(key, &in_key, c);
	}
	pages += (uint64_t)after_page;
	if ((packed || pages == 0) &&
	    pages < (size + PAGE_BYTES - 1) / PAGE_BYTES)
		pages = (size + PAGE_BYTES - 1) / PAGE_BYTES;
	return (pages ? pages : 1) * PAGE_TOKENS;
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
		    estimate_image(b->data) : IMAGE_MAX);
	return PIECE * estimate_pdf(b->data);
}

/* Everything but what nests. */
static uint64_t block_cost(const struct block *b, enum vocabulary v)
{
	switch (b->type) {
	case B_TEXT:
	case B_COMPACTION:
		return estimate_jstr(b->text, v);
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
		    estimate_json(b->input, v);
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

static uint64_t blocks_cost(const struct block *b, size_t n, enum vocabulary v)
{
	uint64_t sum = 0;
	size_t i, k;

	for (i = 0; i < n; i++) {
		sum += block_cost(&b[i], v);
		for (k = 0; k < b[i].ncontent; k++)
			sum += block_cost(&b[i].content[k], v);
	}
	return sum;
}

int64_t estimate_request(const struct request *r, enum vocabulary v)
{
	uint64_t sum = REQUEST_COST;
	size_t i;
	int any = 0;

	if (r->nsystem)
		sum += MESSAGE_COST + blocks_cost(r->system, r->nsystem, v);
	for (i = 0; i < r->nmessages; i++)
		sum += MESSAGE_COST + blocks_cost(r->messages[i].blocks,
		    r->messages[i].n, v);
	for (i = 0; i < r->ntools; i++) {
		/* A server's tools cost the client nothing (AN 7). */
		if (r->tools[i].kind == TOOL_SERVER)
			continue;
		any = 1;
		sum += TOOL_COST + estimate_jstr(r->tools[i].name, v) +
		    estimate_jstr(r->tools[i].description, v) +
		    estimate_json(json_raw(r->tools[i].schema), v);
	}
	if (any)
		sum += TOOLS_COST;
	return (int64_t)((sum + PIECE - 1) / PIECE);
}
