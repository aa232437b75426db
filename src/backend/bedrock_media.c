/* bedrock_media.c -- images and documents, as elements of Converse.
 *
 * Base64 is copied as it is but for the blanks in it; a document that is text
 * becomes base64, as the service wants files. What nobody could fetch from
 * here, a link or a file id, is refused with its path, and so is what isn't
 * base64 (7.3, BR-57).
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock_request.h"

enum {
	SNIFF = 64,		/* base64 that holds any image's first bytes */
	NAME_LONG = 200		/* of a document (BR-57) */
};

/* The path of the block, as the client knows it (AN-10). */
static void refuse(struct enc *e, const struct part *p, const struct block *b,
    struct str why)
{
	char room[96];
	struct buf path = buf_on(room, sizeof room);

	buf_put(&path, S("messages."));
	buf_u64(&path, (uint64_t)(p->m - e->req->messages));
	buf_put(&path, S(".content."));
	buf_u64(&path, (uint64_t)(p->b - p->m->blocks));
	if (b != p->b) {
		buf_put(&path, S(".content."));
		buf_u64(&path, (uint64_t)(b - p->b->content));
	}
	FAULT(&e->c->fault, 400, buf_str(&path), S(".source: "), why);
	e->refused = 1;
}

/* ---- base64 ---- */

static int is_digit64(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* As the service reads it: one alphabet, no blanks, padded. OK or E_BAD. */
static int put_base64(struct buf *b, struct str s)
{
	size_t at = 0, run, digits = 0, pads = 0;
	uint32_t c;

	while (at < s.n) {
		for (run = at; at < s.n && is_digit64(s.p[at]); at++)
			continue;
		if (at > run && pads)
			return E_BAD;
		buf_put(b, (struct str){ s.p + run, at - run });
		digits += at - run;
		if (at == s.n)
			break;
		c = bedrock_char(s, &at);
		pads += c == '=';
		if (c == '=' || c <= ' ')
			continue;
		c = c == '-' ? '+' : c == '_' ? '/' : c;
		if (pads || c > 'z' || !is_digit64((char)c))
			return E_BAD;
		buf_chr(b, (char)c);
		digits++;
	}
	if (digits == 0 || digits % 4 == 1 || pads > 2)
		return E_BAD;
	for (; digits % 4; digits++)
		buf_chr(b, '=');
	return OK;
}

/* The text's bytes in base64, a piece at a time. */
static void put_encoded(struct buf *b, struct jstr s)
{
	char room[768];
	struct buf plain = buf_on(room, sizeof room);
	struct str head;
	size_t n;

	while (s.raw.n) {
		head = str_head(s.raw, plain.cap - plain.n);
		n = head.n < s.raw.n ? json_whole(head) : head.n;
		head.n = n ? n : head.n;
		json_unescape(&plain, (struct jstr){ head });
		s.raw = str_from(s.raw, head.n);
		n = s.raw.n ? plain.n - plain.n % 3 : plain.n;
		buf_base64(b, str_head(buf_str(&plain), n));
		buf_drop(&plain, n);
	}
}

/* ---- images and documents ---- */

struct format {
	const char *name, *suffix, *media;
};

static const struct format images[] = {
	{ "png", ".png", "image/png" }, { "jpeg", ".jpeg", "image/jpeg" },
	{ "jpeg", ".jpg", "image/jpg" }, { "gif", ".gif", "image/gif" },
	{ "webp", ".webp", "image/webp" }
};

static const struct format documents[] = {
	{ "pdf", ".pdf", "application/pdf" }, { "csv", ".csv", "text/csv" },
	{ "doc", ".doc", "application/msword" },
	{ "docx", ".docx", "application/vnd.openxmlformats-officedocument."
	    "wordprocessingml.document" },
	{ "xls", ".xls", "application/vnd.ms-excel" },
	{ "xlsx", ".xlsx", "application/vnd.openxmlformats-officedocument."
	    "spreadsheetml.sheet" },
	{ "html", ".html", "text/html" }, { "txt", ".txt", "text/plain" },
	{ "md", ".md", "text/markdown" }
};

static int is_s3(const struct block *b)
{
	return b->source == SOURCE_URL && jstr_starts(b->data, S("s3://"));
}

/* Of a known kind; empty when it isn't. An image's own bytes know better than
 * its client, who often guesses. */
static struct str format_of(const struct block *b, const struct format *f,
    size_t n)
{
	char bytes[SNIFF];
	struct buf out = buf_on(bytes, sizeof bytes);
	struct str media = b->media_type.raw, real = S("");
	size_t i;

	if (b->type == B_IMAGE && base64_decode(&out, str_head(b->data.raw,
	    SNIFF)) == OK)
		real = image_type(buf_str(&out));
	if (real.n)
		media = real;
	for (i = 0; i < n; i++)
		if (is_s3(b) ? str_ends(b->data.raw, str_of(f[i].suffix)) :
		    jstr_eq((struct jstr){ media }, str_of(f[i].media)))
			return str_of(f[i].name);
	return S("");
}

static void put_source(struct enc *e, const struct part *p,
    const struct block *b)
{
	if (is_s3(b)) {
		buf_put(&e->b, S("{\"s3Location\":{\"uri\":\""));
		json_put(&e->b, b->data);
		buf_put(&e->b, S("\"}}"));
		return;
	}
	if (b->source != SOURCE_BASE64) {
		refuse(e, p, b, S("only base64 can be sent: this service "
		    "fetches no links and knows no file ids"));
		return;
	}
	buf_put(&e->b, S("{\"bytes\":\""));
	if (put_base64(&e->b, b->data.raw) != OK)
		refuse(e, p, b, S("data is not valid base64"));
	buf_put(&e->b, S("\"}"));
}

void bedrock_put_image(struct enc *e, const struct part *p,
    const struct block *b)
{
	struct str format = format_of(b, images, COUNT(images));

	if (b->source == SOURCE_BASE64 && format.n == 0)
		refuse(e, p, b, S("images are png, jpeg, gif or webp"));
	bedrock_comma(e);
	buf_put(&e->b, S("{\"image\":{\"format\":\""));
	buf_put(&e->b, format.n ? format : S("png"));
	buf_put(&e->b, S("\",\"source\":"));
	put_source(e, p, b);
	buf_put(&e->b, S("}}"));
	e->tokens += estimate_image(b->data);
}

static int name_taken(const struct enc *e, struct str name)
{
	size_t i;

	for (i = 0; i + 1 < e->ndocuments && i < NAMES_KEPT; i++)
		if (str_eq(e->names[i], name))
			return !e->b.full;
	return 0;
}

/* Letters, digits, single blanks and a few signs, at most 200, not twice in a
 * request; counted in its order, so that the next request says the same. */
static void put_document_name(struct enc *e, struct jstr title)
{
	struct buf *b = &e->b;
	size_t at = 0, from = b->n, end, i;
	uint32_t c;

	e->ndocuments++;
	while (at < title.raw.n && b->n - from < NAME_LONG && !b->full) {
		c = bedrock_char(title.raw, &at);
		if (c > ' ' && (c > 'z' || c == '+' || c == '/' ||
		    !is_digit64((char)c)) && (c > ']' ||
		    !memchr("-()[]", (int)c, 5)))
			c = '-';
		if (c > ' ')
			buf_chr(b, (char)c);
		else if (b->n > from && b->p[b->n - 1] != ' ')
			buf_chr(b, ' ');
	}
	while (b->n > from && b->p[b->n - 1] == ' ')
		b->n--;
	if (b->n == from || e->ndocuments > NAMES_KEPT) {
		b->n = from;
		buf_put(b, S("document-"));
		buf_u64(b, e->ndocuments);
	}
	end = b->n;
	for (i = 2; name_taken(e, str_from(buf_str(b), from)); i++) {
		b->n = end;
		buf_chr(b, '-');
		buf_u64(b, i);
	}
	if (e->ndocuments <= NAMES_KEPT)
		e->names[e->ndocuments - 1] = str_from(buf_str(b), from);
}

int bedrock_has_words(const struct block *b)
{
	size_t i;

	for (i = 0; i < b->ncontent; i++)
		if (b->content[i].type == B_TEXT &&
		    !bedrock_blank(b->content[i].text))
			return 1;
	return 0;
}

/* [{"text":...}] of a block's texts, of which one at least isn't blank. */
void bedrock_put_texts(struct enc *e, const struct block *b)
{
	size_t i, texts = e->texts;

	buf_chr(&e->b, '[');
	for (i = 0; i < b->ncontent; i++) {
		if (b->content[i].type != B_TEXT) {
			note(e->c->notes, NOTE_DROPPED, S("content"),
			    S("only text is taken there"));
		} else if (!bedrock_blank(b->content[i].text)) {
			bedrock_put_line(e, b->content[i].text.raw);
		}
	}
	buf_chr(&e->b, ']');
	e->texts = texts;
}

void bedrock_put_document(struct enc *e, const struct part *p,
    const struct block *b)
{
	struct str format = b->source == SOURCE_TEXT ||
	    b->source == SOURCE_CONTENT ? S("txt") :
	    b->media_type.raw.n == 0 && !is_s3(b) ? S("pdf") :
	    format_of(b, documents, COUNT(documents));

	if (b->source == SOURCE_BASE64 && format.n == 0)
		refuse(e, p, b, S("documents are pdf, csv, doc, docx, xls, "
		    "xlsx, html, txt or md"));
	bedrock_comma(e);
	buf_put(&e->b, S("{\"document\":{\"format\":\""));
	buf_put(&e->b, format.n ? format : S("pdf"));
	buf_put(&e->b, S("\",\"name\":\""));
	put_document_name(e, b->title);
	buf_put(&e->b, S("\",\"source\":"));
	if (b->source == SOURCE_TEXT) {
		buf_put(&e->b, S("{\"bytes\":\""));
		put_encoded(&e->b, b->data);
		buf_put(&e->b, S("\"}"));
		bedrock_count_text(e, b->data.raw);
	} else if (b->source == SOURCE_CONTENT) {
		buf_put(&e->b, S("{\"content\":"));
		bedrock_put_texts(e, b);
		buf_chr(&e->b, '}');
	} else {
		put_source(e, p, b);
		if (str_eq(format, S("pdf")))
			/* 1500 a page here, 2000 there. */
			e->tokens += estimate_pdf(b->data) / 4 * 3;
		else
			e->bytes += b->data.raw.n / 4 * 3;
	}
	if (e->claude && !bedrock_blank(b->context)) {
		buf_put(&e->b, S(",\"context\":\""));
		bedrock_put_text(e, b->context);
		buf_chr(&e->b, '"');
	}
	buf_put(&e->b, S("}}"));
	e->documents++;
}

/* A document as such, where there is something in it that can be sent so. */
int bedrock_is_file(const struct enc *e, const struct block *b)
{
	return b->source == SOURCE_TEXT ? b->data.raw.n != 0 :
	    b->source != SOURCE_CONTENT || (e->claude && bedrock_has_words(b));
}
