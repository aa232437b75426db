/* http.c -- HTTP/1.1 heads and bodies, read strictly (RFC 9110, RFC 9112).
 *
 * One scan, from left to right, serves whole heads and unfinished ones. It
 * stops at the first byte that breaks a rule, so the verdict on a message does
 * not depend on how the network cut it. Where the RFC lets a recipient repair
 * a message (bare LF, folded lines, equal lengths sent twice) this one refuses:
 * two readers who repair differently are how requests are smuggled.
 *
 * Nothing is copied and nothing is kept: slices point into the caller's bytes,
 * and a body decoder is the few words of its struct.
 *
 * SPDX-License-Identifier: MIT */
#include "http.h"

enum {
	EXCESS_PER_CHUNK = 16,	/* overhead any honest sender may have */
	PORT_DIGITS = 5
};

enum kind { REQUEST, RESPONSE };

/* RFC 9110 5.6.2: letters, digits and !#$%&'*+-.^_`|~, a bit for each. */
static int is_tchar(unsigned char c)
{
	static const uint64_t set[4] = {
		0x03ff6cfa00000000, 0x57ffffffc7fffffe, 0, 0
	};

	return (int)(set[c >> 6] >> (c & 63) & 1);
}

static int is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(unsigned char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int is_ctl(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

static int is_token(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!is_tchar((unsigned char)s.p[i]))
			return 0;
	return s.n > 0;
}

static int is_alnum(unsigned char c)
{
	unsigned char l = c | 0x20;

	return is_digit(c) || (l >= 'a' && l <= 'z');
}

/* Blanks of a field value: space and tab only (RFC 9110 5.6.3). CR, LF and
 * the rest were refused by the scan. */
static struct str trim(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_from(s, 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static int refuse(const char **why, int status, const char *text)
{
	*why = text;
	return status;
}

/* host [":" port], as a Host field or an authority may be here: a DNS name, an
 * IPv4 address or a bracketed IPv6 address. What else RFC 3986 allows in a name
 * (escapes, sub-delimiters, user info) names no host anyone runs, and reads
 * differently to different parsers. */
static int host_ok(struct str s)
{
	size_t i = 0, port, n = 0;

	if (s.n && s.p[0] == '[') {
		for (i = 1; i < s.n && (hex_value((unsigned char)s.p[i]) >= 0 ||
		    s.p[i] == ':' || s.p[i] == '.'); i++)
			;
		if (i < 3 || i == s.n || s.p[i++] != ']')
			return 0;
	} else {
		for (; i < s.n && (is_alnum((unsigned char)s.p[i]) ||
		    s.p[i] == '-' || s.p[i] == '.' || s.p[i] == '_'); i++)
			;
		if (i == 0)
			return 0;
	}
	if (i == s.n)
		return 1;
	if (s.p[i++] != ':' || i == s.n || s.n - i > PORT_DIGITS)
		return 0;
	for (port = 0; i < s.n; i++, n++) {
		if (!is_digit((unsigned char)s.p[i]))
			return 0;
		port = port * 10 + (size_t)(s.p[i] - '0');
	}
	return port <= 65535;
}

/* One line starting at *at. OK: *line is it without CRLF and *at is past it.
 * E_MORE: the end is not there yet, and what is there is good. Otherwise the
 * status to refuse with. */
static int next_line(struct str in, size_t *at, int start_line, enum kind kind,
    struct str *line, const char **why)
{
	size_t i, end = in.n < HTTP_HEAD_MAX ? in.n : HTTP_HEAD_MAX;

	for (i = *at; i < end; i++) {
		unsigned char c = (unsigned char)in.p[i];

		if (!is_ctl(c) && !start_line)
			continue;
		if (c == '\r') {
			if (i + 1 == in.n)
				return E_MORE;
			if (i + 1 == end)
				break;
			if (in.p[i + 1] != '\n')
				return refuse(why, 400, "CR without LF");
			*line = str_head(str_from(in, *at), i - *at);
			*at = i + 2;
			return OK;
		}
		if (c == '\n')
			return refuse(why, 400, "LF without CR");
		if (is_ctl(c))
			return refuse(why, 400, "control byte in the head");
		if (i - *at >= HTTP_LINE_MAX)
			return refuse(why, 414, "first line too long");
		if (kind == REQUEST && (c < ' ' || c > 0x7e))
			return refuse(why, 400, "bad byte in the request line");
	}
	return end == in.n ? E_MORE : refuse(why, 431, "head too large");
}

/* Higher minor versions are read as 1.1, as RFC 9110 2.5 asks. */
static int version(struct str v, int *minor, const char **why)
{
	if (v.n != 8 || !str_starts(v, S("HTTP/")) || v.p[6] != '.' ||
	    !is_digit((unsigned char)v.p[5]) ||
	    !is_digit((unsigned char)v.p[7]))
		return refuse(why, 400, "malformed HTTP version");
	if (v.p[5] != '1')
		return refuse(why, 505, "HTTP version not supported");
	*minor = v.p[7] > '0';
	return OK;
}

/* http://authority[/path][?query], down to its parts. */
static int absolute_form(struct http_head *h, struct str *path)
{
	struct str rest = str_from(h->target, 7);
	size_t n = 0;

	while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
		n++;
	h->authority = str_head(rest, n);
	*path = str_from(rest, n);
	return host_ok(h->authority) ? OK : E_BAD;
}

static int target(struct http_head *h, const char **why)
{
	struct str path = h->target;
	size_t q;

	if (str_eq(h->method, S("CONNECT"))) {
		h->authority = h->target;
		if (!host_ok(h->authority))
			return refuse(why, 400, "malformed CONNECT target");
		return OK;
	}
	if (str_eq(path, S("*")) && str_eq(h->method, S("OPTIONS"))) {
		h->path = path;
		return OK;
	}
	if (str_istarts(path, S("http://")) && absolute_form(h, &path) != OK)
		return refuse(why, 400, "malformed authority in the target");
	if (str_chr(path, '#') != path.n)
		return refuse(why, 400, "fragment in the target");
	q = str_chr(path, '?');
	h->query = str_from(path, q + (q < path.n));
	h->path = str_head(path, q);
	if (h->path.n == 0 && h->authority.n)
		h->path = S("/");
	if (h->path.n == 0 || h->path.p[0] != '/')
		return refuse(why, 400, "malformed target");
	return OK;
}

static int request_line(struct http_head *h, struct str line, const char **why)
{
	struct str rest;
	size_t sp = str_chr(line, ' ');
	int status;

	if (line.n == 0)
		return refuse(why, 400, "empty request line");
	if (str_eq(line, S("PRI * HTTP/2.0")))
		return refuse(why, 400, "HTTP/2 is not spoken here");
	h->method = str_head(line, sp);
	if (!is_token(h->method))
		return refuse(why, 400, "malformed method");
	rest = str_from(line, sp + 1);
	sp = str_chr(rest, ' ');
	h->target = str_head(rest, sp);
	if (h->target.n == 0)
		return refuse(why, 400, "no target in the request line");
	if (sp == rest.n)
		return refuse(why, 400, "no HTTP version in the request line");
	status = version(str_from(rest, sp + 1), &h->minor, why);
	return status != OK ? status : target(h, why);
}

/* "HTTP/1.1 200 OK"; many servers leave out the reason, some its space. */
static int status_line(struct http_head *h, struct str line, const char **why)
{
	size_t i;

	if (version(str_head(line, 8), &h->minor, why) != OK)
		return 400;
	if (line.n < 12 || line.p[8] != ' ' || (line.n > 12 && line.p[12] != ' '))
		return refuse(why, 400, "malformed status line");
	for (i = 9; i < 12; i++) {
		if (!is_digit((unsigned char)line.p[i]))
			return refuse(why, 400, "malformed status");
		h->status = h->status * 10 + (line.p[i] - '0');
	}
	if (h->status < 100)
		return refuse(why, 400, "status below 100");
	h->reason = str_from(line, 13);
	return OK;
}

static int field(struct http_head *h, struct str line, const char **why)
{
	size_t colon = str_chr(line, ':');
	struct http_field *f;

	if (line.p[0] == ' ' || line.p[0] == '\t')
		return refuse(why, 400, "folded header line");
	if (colon == line.n)
		return refuse(why, 400, "header line without a colon");
	if (!is_token(str_head(line, colon)))
		return refuse(why, 400, "malformed header name");
	if (h->nfields == HTTP_FIELDS_MAX)
		return refuse(why, 431, "too many header fields");
	f = &h->fields[h->nfields++];
	f->name = str_head(line, colon);
	f->value = trim(str_from(line, colon + 1));
	return OK;
}

/* The grammar of a head, as far as it is there. OK: *at is past its empty
 * line; E_MORE: good so far; otherwise a status. What the fields mean is not
 * looked at, so that a part of a head is never refused for another reason
 * than the whole would be. */
static int scan(struct http_head *h, struct str in, enum kind kind, size_t *at,
    const char **why)
{
	struct str line;
	int status;

	memset(h, 0, sizeof(*h));
	*at = 0;
	/* RFC 9112 2.2: some clients end a body with an extra CRLF. */
	if (kind == REQUEST && str_starts(in, S("\r\n")))
		*at = 2;
	status = next_line(in, at, 1, kind, &line, why);
	if (status == OK)
		status = kind == REQUEST ? request_line(h, line, why) :
		    status_line(h, line, why);
	while (status == OK) {
		status = next_line(in, at, 0, kind, &line, why);
		if (status != OK || line.n == 0)
			break;
		status = field(h, line, why);
	}
	return status;
}

/* Content-Length and Transfer-Encoding. Sets framing to HTTP_COUNTED or
 * HTTP_CHUNKED, or leaves it. Each may come once; RFC 9112 6.3 would allow to
 * merge equal lengths. */
static int framing(struct http_head *h, const char **why)
{
	size_t i, ncl = 0, nte = 0;

	for (i = 0; i < h->nfields; i++) {
		struct http_field *f = &h->fields[i];

		if (str_ieq(f->name, S("Content-Length"))) {
			if (ncl++)
				return refuse(why, 400, "Content-Length twice");
			if (str_u64(f->value, &h->length) != OK)
				return refuse(why, 400,
				    "malformed Content-Length");
			h->framing = HTTP_COUNTED;
		} else if (str_ieq(f->name, S("Transfer-Encoding"))) {
			if (nte++)
				return refuse(why, 400,
				    "Transfer-Encoding twice");
			if (!str_ieq(f->value, S("chunked")))
				return refuse(why, f->value.n ? 501 : 400,
				    "Transfer-Encoding is not chunked");
			h->framing = HTTP_CHUNKED;
		}
	}
	if (ncl && nte)
		return refuse(why, 400,
		    "Content-Length with Transfer-Encoding");
	if (nte && h->minor == 0)
		return refuse(why, 400, "Transfer-Encoding in HTTP/1.0");
	return OK;
}

static void connection(struct http_head *h)
{
	struct str name = S("Connection");

	h->keep_alive = (h->minor > 0 ||
	    http_has_token(h, name, S("keep-alive"))) &&
	    !http_has_token(h, name, S("close"));
}

/* RFC 9112 3.2: exactly one on 1.1. On 1.0 it may be missing. */
static int host(const struct http_head *h, const char **why)
{
	size_t i, n = 0;

	for (i = 0; i < h->nfields; i++) {
		if (!str_ieq(h->fields[i].name, S("Host")))
			continue;
		if (n++)
			return refuse(why, 400, "Host twice");
		if (!host_ok(h->fields[i].value))
			return refuse(why, 400, "malformed Host");
	}
	if (n == 0 && h->minor > 0)
		return refuse(why, 400, "no Host");
	return OK;
}

/* RFC 9110 10.1.1: an HTTP/1.0 client can't mean it, and a request without a
 * body has nothing to wait for. */
static int expect(struct http_head *h, const char **why)
{
	int body = h->framing == HTTP_CHUNKED || h->length > 0;
	size_t i;

	for (i = 0; i < h->nfields && h->minor > 0; i++) {
		if (!str_ieq(h->fields[i].name, S("Expect")))
			continue;
		if (!str_ieq(h->fields[i].value, S("100-continue")))
			return refuse(why, 417, "unknown expectation");
		h->expect_continue = body;
	}
	return OK;
}

size_t http_head_end(struct str in, size_t from)
{
	/* The end may begin in what was looked at already. */
	size_t at = from > 3 ? from - 3 : 0;
	struct str rest = str_from(in, at);
	size_t n = str_find(rest, S("\r\n\r\n"));

	return n == rest.n ? 0 : in.n - rest.n + n + 4;
}

/* Whether the bytes past from only lengthen a field line, in a head that was
 * good up to there: then nothing new can be wrong with it. Lines are few, so
 * a head that comes byte by byte isn't read over and over. */
static int only_longer(struct str in, size_t from, enum kind kind)
{
	size_t start = kind == REQUEST && str_starts(in, S("\r\n")) ? 2 : 0;

	if (from <= start || from > in.n || in.n >= HTTP_HEAD_MAX ||
	    in.p[from - 1] == '\r' ||
	    !memchr(in.p + start, '\n', from - start))
		return 0;
	while (from < in.n && !is_ctl((unsigned char)in.p[from]))
		from++;
	return from == in.n;
}

int http_request_partial(struct str in, size_t from)
{
	struct http_head h;
	const char *why;
	size_t at;
	int status;

	if (only_longer(in, from, REQUEST))
		return OK;
	status = scan(&h, in, REQUEST, &at, &why);
	return status == E_MORE ? OK : status;
}

int http_response_partial(struct str in, size_t from)
{
	struct str start = str_head(S("HTTP/1."), in.n);
	struct http_head h;
	const char *why;
	size_t at;
	int status;

	if (!str_starts(in, start))
		return E_BAD;
	if (only_longer(in, from, RESPONSE))
		return OK;
	status = scan(&h, in, RESPONSE, &at, &why);
	return status == E_MORE ? OK : status == OK ? OK : E_BAD;
}

int http_request(struct http_head *h, struct str head, const char **why)
{
	size_t at;
	int status;

	*why = "";
	status = scan(h, head, REQUEST, &at, why);
	if (status == E_MORE || (status == OK && at != head.n))
		return refuse(why, 400, "not one complete head");
	if (status == OK)
		status = host(h, why);
	if (status == OK)
		status = framing(h, why);
	if (status == OK)
		status = expect(h, why);
	if (status != OK)
		return status;
	connection(h);
	h->upgrade = http_has_token(h, S("Connection"), S("upgrade"));
	return OK;
}

int http_response(struct http_head *h, struct str head, int request_head,
    const char **why)
{
	size_t at;
	int status, empty;

	*why = "";
	status = scan(h, head, RESPONSE, &at, why);
	if (status == E_MORE || (status == OK && at != head.n))
		status = refuse(why, 400, "not one complete head");
	if (status == OK)
		status = framing(h, why);
	if (status != OK)
		return E_BAD;
	if (h->status == 101) {
		*why = "101 though no upgrade was asked for";
		return E_BAD;
	}
	connection(h);
	empty = h->status < 200 || h->status == 204;
	/* These never have a body (RFC 9112 6.3), but a server that announced
	 * one may go on to send it. After 204 nothing more is read; an interim
	 * answer would leave its body where the real head is looked for. A
	 * length in 304 or in an answer to HEAD is honest: of another answer. */
	if (empty && (h->framing == HTTP_CHUNKED || h->length > 0)) {
		if (h->status < 200) {
			*why = "interim answer with a body";
			return E_BAD;
		}
		h->keep_alive = 0;
	}
	if (empty || h->status == 304 || request_head) {
		h->framing = HTTP_NO_BODY;
		h->length = 0;
	} else if (h->framing == HTTP_NO_BODY) {
		h->framing = HTTP_TO_CLOSE;
		h->keep_alive = 0;
	}
	return OK;
}

struct str http_field(const struct http_head *h, struct str name)
{
	struct str none = { NULL, 0 };
	size_t i;

	for (i = 0; i < h->nfields; i++)
		if (str_ieq(h->fields[i].name, name))
			return h->fields[i].value;
	return none;
}

int http_has_token(const struct http_head *h, struct str name,
    struct str token)
{
	struct str list, part;
	size_t i;

	for (i = 0; i < h->nfields; i++) {
		if (!str_ieq(h->fields[i].name, name))
			continue;
		list = h->fields[i].value;
		while (str_cut(&list, ',', &part))
			if (str_ieq(trim(part), token))
				return 1;
	}
	return 0;
}

/* States of a chunked body. A line's states follow its bytes one by one, so a
 * cut anywhere changes nothing. */
enum {
	SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF,
	TRAILER, TRAILER_NAME, TRAILER_VALUE, TRAILER_LF, LAST_LF, BROKEN
};

void http_body_init(struct http_body *b, const struct http_head *h)
{
	memset(b, 0, sizeof(*b));
	b->framing = h->framing;
	b->left = h->framing == HTTP_COUNTED ? h->length : 0;
	b->state = SIZE;
	b->done = h->framing == HTTP_NO_BODY ||
	    (h->framing == HTTP_COUNTED && h->length == 0);
}

static int broken(struct http_body *b, const char *why)
{
	b->state = BROKEN;
	b->why = why;
	return E_BAD;
}

static int size_byte(struct http_body *b, unsigned char c)
{
	int v = hex_value(c);

	if (v >= 0) {
		if (b->digits++ == 16)
			return broken(b, "chunk size too long");
		b->left = b->left << 4 | (unsigned)v;
		return OK;
	}
	if (b->digits == 0)
		return broken(b, "no chunk size");
	if (b->left > HTTP_CHUNK_MAX)
		return broken(b, "chunk too large");
	if (c != ';' && c != '\r')
		return broken(b, "bad byte in a chunk size");
	b->state = c == ';' ? EXTENSION : SIZE_LF;
	return OK;
}

/* The end of a size line. Long extensions on tiny chunks would make us read
 * without end for a body that stays under its limit: what lines cost beyond
 * what the content excuses is counted over the whole body. */
static int size_end(struct http_body *b)
{
	uint64_t allowed = EXCESS_PER_CHUNK + 2 * b->left;

	b->excess += b->line;
	b->excess = b->excess > allowed ? b->excess - (size_t)allowed : 0;
	if (b->excess > HTTP_CHUNK_EXCESS_MAX)
		return broken(b, "too much chunk overhead");
	b->state = b->left ? DATA : TRAILER;
	b->line = 0;
	b->digits = 0;
	return OK;
}

static int trailer_byte(struct http_body *b, unsigned char c)
{
	switch (b->state) {
	case TRAILER:
		if (c == '\r') {
			b->state = LAST_LF;
			return OK;
		}
		if (!is_tchar(c))
			return broken(b, "malformed trailer");
		b->state = TRAILER_NAME;
		return OK;
	case TRAILER_NAME:
		if (c == ':')
			b->state = TRAILER_VALUE;
		else if (!is_tchar(c))
			return broken(b, "malformed trailer");
		return OK;
	case TRAILER_VALUE:
		if (c == '\r')
			b->state = TRAILER_LF;
		else if (is_ctl(c))
			return broken(b, "control byte in a trailer");
		return OK;
	default:	/* TRAILER_LF, LAST_LF */
		if (c != '\n')
			return broken(b, "CR without LF");
		b->done = b->state == LAST_LF;
		b->state = TRAILER;
		return OK;
	}
}

/* One byte of framing. */
static int chunk_byte(struct http_body *b, unsigned char c)
{
	switch (b->state) {
	case SIZE:
	case EXTENSION:
	case SIZE_LF:
		if (++b->line > HTTP_CHUNK_LINE_MAX)
			return broken(b, "chunk line too long");
		if (b->state == SIZE)
			return size_byte(b, c);
		if (b->state == SIZE_LF)
			return c == '\n' ? size_end(b) :
			    broken(b, "CR without LF");
		if (c == '\r')
			b->state = SIZE_LF;
		else if (is_ctl(c))
			return broken(b, "control byte in a chunk extension");
		return OK;
	case DATA_CR:
		b->state = DATA_LF;
		return c == '\r' ? OK : broken(b, "chunk without its end");
	case DATA_LF:
		b->state = SIZE;
		return c == '\n' ? OK : broken(b, "chunk without its end");
	default:
		if (++b->line > HTTP_TRAILER_MAX)
			return broken(b, "trailers too large");
		return trailer_byte(b, c);
	}
}

/* Up to b->left bytes, as far as they are there. */
static struct str content(struct http_body *b, struct str *in)
{
	size_t n = in->n < b->left ? in->n : (size_t)b->left;
	struct str run = str_head(*in, n);

	*in = str_from(*in, n);
	b->left -= n;
	return run;
}

int http_body(struct http_body *b, struct str *in, struct str *out)
{
	*out = str_head(*in, 0);
	if (b->state == BROKEN)
		return E_BAD;
	if (b->done)
		return E_NONE;
	switch (b->framing) {
	case HTTP_NO_BODY:
		return E_NONE;
	case HTTP_TO_CLOSE:
		*out = *in;
		*in = str_from(*in, in->n);
		return OK;
	case HTTP_COUNTED:
		*out = content(b, in);
		b->done = b->left == 0;
		return b->done ? E_NONE : OK;
	case HTTP_CHUNKED:
		break;
	}
	while (in->n && !b->done) {
		if (b->state == DATA) {
			*out = content(b, in);
			if (b->left == 0)
				b->state = DATA_CR;
			return OK;
		}
		if (chunk_byte(b, (unsigned char)in->p[0]) != OK)
			return E_BAD;
		*in = str_from(*in, 1);
	}
	return b->done ? E_NONE : OK;
}

int http_body_eof(struct http_body *b)
{
	if (b->state == BROKEN)
		return E_BAD;
	if (b->done || b->framing == HTTP_TO_CLOSE) {
		b->done = 1;
		return OK;
	}
	return broken(b, "connection closed inside the body");
}

int http_decode(struct buf *b, struct str path)
{
	size_t i;
	int hi, lo;

	for (i = 0; i < path.n; i++) {
		char c = path.p[i];

		if (c == '%') {
			if (path.n - i < 3)
				return E_BAD;
			hi = hex_value((unsigned char)path.p[i + 1]);
			lo = hex_value((unsigned char)path.p[i + 2]);
			if (hi < 0 || lo < 0)
				return E_BAD;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c == '\0')
			return E_BAD;
		buf_chr(b, c);
	}
	return b->full ? E_FULL : OK;
}

struct str http_query(struct str query, struct str name)
{
	struct str none = { NULL, 0 }, part;
	size_t eq;

	while (str_cut(&query, '&', &part)) {
		eq = str_chr(part, '=');
		if (part.n && str_eq(str_head(part, eq), name))
			return str_from(part, eq + (eq < part.n));
	}
	return none;
}

int http_value_ok(struct str v)
{
	size_t i;

	for (i = 0; i < v.n; i++)
		if (is_ctl((unsigned char)v.p[i]))
			return 0;
	return 1;
}
