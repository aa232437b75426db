/* openai_media.c -- images and files: whether a backend takes them, and how.
 *
 * Base64 is copied as it is, but for blanks. What can't be sent becomes a line
 * of text that says so, with a note: a refusal would block every later turn of
 * the conversation (section 12).
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

enum { SNIFF = 64 };	/* base64 that holds any image's first bytes */

void openai_put_title(struct buf *b, struct jstr title)
{
	struct str s = title.raw;
	size_t at, run = 0;

	for (at = 0; at + 1 < s.n; at++) {
		if (s.p[at] != '\\')
			continue;
		if (s.p[at + 1] == '"') {
			json_put(b, (struct jstr){ str_head(str_from(s, run),
			    at - run) });
			buf_chr(b, '\'');
			run = at + 2;
		}
		at++;
	}
	json_put(b, (struct jstr){ str_from(s, run) });
}

/* The type its first bytes show, else the one the client says (OA-33). */
static struct str media_of(const struct block *b)
{
	char bytes[SNIFF];
	struct buf out = buf_on(bytes, sizeof bytes);
	struct str real = { NULL, 0 };

	if (base64_decode(&out, str_head(b->data.raw, SNIFF)) == OK)
		real = image_type(buf_str(&out));
	return real.n ? real : b->media_type.raw;
}

static int image_fits(const struct enc *e, const struct block *b)
{
	if (!e->flags->images)
		return 0;
	if (b->source == SOURCE_URL)
		return e->flags->image_url;
	return b->source == SOURCE_BASE64 &&
	    (e->flags->gif || !str_eq(media_of(b), S("image/gif")));
}

static int is_pdf(const struct block *b)
{
	return b->source == SOURCE_BASE64 &&
	    (b->media_type.raw.n == 0 ||
	    jstr_eq(b->media_type, S("application/pdf")));
}

int openai_is_media(const struct enc *e, const struct block *b)
{
	if (b->type == B_IMAGE)
		return image_fits(e, b);
	return b->type == B_DOCUMENT && e->flags->file_parts && is_pdf(b);
}

static void put_kilobytes(struct buf *b, size_t base64)
{
	buf_u64(b, (base64 / 4 * 3 + 1023) / 1024);
	buf_put(b, S(" KB, "));
}

void openai_put_omitted(struct enc *e, const struct block *b)
{
	int image = b->type == B_IMAGE;

	note(e->c->notes, NOTE_DROPPED, image ? S("image") : S("document"),
	    S("this backend takes none of this kind; the model is told"));
	if (image && !e->flags->images) {
		buf_put(&e->b,
		    S("[image omitted: the model cannot see images]"));
		return;
	}
	buf_put(&e->b, image ? S("[image, ") : S("[document "));
	if (b->title.raw.n) {
		buf_put(&e->b, S("\\\""));
		openai_put_title(&e->b, b->title);
		buf_put(&e->b, S("\\\", "));
	} else if (!image) {
		buf_put(&e->b, S("without a name, "));
	}
	if (b->source == SOURCE_BASE64)
		put_kilobytes(&e->b, b->data.raw.n);
	if (b->source == SOURCE_URL)
		buf_put(&e->b, S("not sent: this backend takes no links]"));
	else
		buf_put(&e->b, image ? S("not sent: this backend takes no "
		    "such image]") :
		    S("not sent: this backend takes no files]"));
}

/* Without the blanks some clients break it with. */
static void put_base64(struct buf *b, struct str s)
{
	size_t at, run = 0;

	if (!s.n || (!memchr(s.p, '\\', s.n) && !memchr(s.p, ' ', s.n))) {
		buf_put(b, s);
		return;
	}
	for (at = 0; at < s.n; at++) {
		if (s.p[at] != '\\' && s.p[at] != ' ')
			continue;
		buf_put(b, str_head(str_from(s, run), at - run));
		run = at + 1;
		if (s.p[at] == '\\' && at + 1 < s.n) {
			at++;
			/* \/ is a slash; \u002f may stay. */
			run = memchr("nrt", s.p[at], 3) ? at + 1 :
			    s.p[at] == '/' ? at : at - 1;
		}
	}
	buf_put(b, str_from(s, run));
}

static void put_image(struct enc *e, const struct block *b)
{
	struct str type = media_of(b);

	buf_put(&e->b, S("{\"type\":\"image_url\",\"image_url\":{\"url\":\""));
	if (b->source == SOURCE_URL) {
		put_text(e, b->data);
		e->cost += 160000;	/* its size isn't known */
	} else {
		if (!str_eq(type, b->media_type.raw))
			note(e->c->notes, NOTE_CHANGED,
			    S("image.source.media_type"),
			    S("its bytes are of another type"));
		buf_put(&e->b, S("data:"));
		json_put(&e->b, (struct jstr){ type });
		buf_put(&e->b, S(";base64,"));
		put_base64(&e->b, b->data.raw);
		e->cost += 100 * estimate_image(b->data);
	}
	buf_put(&e->b, S("\"}}"));
	e->images++;
}

static void put_file(struct enc *e, const struct block *b)
{
	buf_put(&e->b, S("{\"type\":\"file\",\"file\":{\"filename\":\""));
	if (b->title.raw.n)
		openai_put_title(&e->b, b->title);
	else
		buf_put(&e->b, S("document"));
	if (!str_ends(b->title.raw, S(".pdf")))
		buf_put(&e->b, S(".pdf"));
	buf_put(&e->b, S("\",\"file_data\":\"data:application/pdf;base64,"));
	put_base64(&e->b, b->data.raw);
	buf_put(&e->b, S("\"}}"));
	e->cost += 100 * estimate_pdf(b->data);
	e->images++;
}

void openai_put_media(struct enc *e, const struct block *b)
{
	if (b->type == B_IMAGE)
		put_image(e, b);
	else
		put_file(e, b);
}
