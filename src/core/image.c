/* image.c -- what kind, how large, how many tokens: images and PDFs, by their
 * first bytes and marks.
 *
 * Read through their base64, of which nothing is copied and nothing is kept.
 * No pixel is decoded; what isn't understood costs what it costs at most.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

enum {
	IMAGE_SIDE = 1568,	/* larger ones are scaled down by the service */
	IMAGE_PIXELS = 750,	/* a token */
	IMAGE_MAX = 1600, IMAGE_MIN = 50,
	PAGE_TOKENS = 2000,
	PAGE_BYTES = 50000	/* of a PDF whose pages can't be counted */
};

/* Bytes one after the other, out of base64 or as they are. */
struct bytes {
	struct str text;
	size_t at;
	int base64;
	uint32_t bits;
	int nbits;
};

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
		d = base64_value(s->text.p[s->at++]);
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

static int is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
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
			if (in_value == 0 && is_blank(c))
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
