/* http.h -- HTTP/1.1 message heads and framing, both directions (RFC 9112).
 *
 * Push parsers over whole heads: the caller buffers until http_head_end finds
 * the end, then parses once. Strict: what two parsers could read differently
 * is refused. Slices point into the caller's buffer.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HTTP_H
#define HTTP_H

#include "../base/base.h"

enum {
	HTTP_HEAD_MAX = 32768,	/* common servers stop at 8-32 KiB */
	HTTP_LINE_MAX = 8192,	/* request line; 414 beyond */
	HTTP_FIELDS_MAX = 100,	/* what real clients send, times four */
	HTTP_CHUNK_LINE_MAX = 1024,	/* size and extensions */
	HTTP_CHUNK_MAX = 0x7fffffff,	/* of one chunk; JSON ends there too */
	HTTP_CHUNK_EXCESS_MAX = 16384,	/* of chunk lines over what 16 bytes a
					 * chunk and twice its content excuse */
	HTTP_TRAILER_MAX = 8192	/* read, counted, dropped */
};

struct http_field {
	struct str name, value;		/* value trimmed of blanks */
};

enum http_framing { HTTP_NO_BODY, HTTP_COUNTED, HTTP_CHUNKED, HTTP_TO_CLOSE };

struct http_head {
	struct str method, target;	/* requests */
	struct str path, query;		/* of target: absolute form reduced; query
					 * without '?'; neither decoded */
	struct str authority;		/* of an absolute-form target, else empty */
	int status;			/* responses: 100..999 */
	struct str reason;
	int minor;			/* HTTP/1.minor, 0 or 1 */
	enum http_framing framing;
	uint64_t length;		/* HTTP_COUNTED */
	int keep_alive;			/* persistent after this message */
	int expect_continue;
	int upgrade;			/* asked for, never granted */
	size_t nfields;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* Offset just past the empty line that ends a head at the front of `in`; 0
 * when it isn't there yet. from: how far a previous call had looked. */
size_t http_head_end(struct str in, size_t from);

/* Judges a head that isn't complete: OK, or a status to refuse with (400 for
 * bytes that can't start a request such as a TLS hello or an HTTP/2 preface,
 * 414, 431). from: how much of it a previous call found good. */
int http_request_partial(struct str in, size_t from);
/* The same for a response: OK, or E_BAD for bytes that can't become a head (a
 * TLS alert, HTTP/2, bare LF) or one that grew too large. */
int http_response_partial(struct str in, size_t from);

/* Parses a complete head (up to and including the empty line). Returns 0 or
 * the status to refuse with: 400, 414, 417, 431, 501, 505; *why gets a static text.
 * A request is refused for: control bytes, bare CR or LF, obs-fold, blanks
 * before a colon, empty or illegal names, missing, second or malformed Host
 * on 1.1, Content-Length that is listed, signed, differing or not decimal,
 * Transfer-Encoding other than exactly `chunked`, with Content-Length, or in
 * HTTP/1.0; major versions other than 1 (1.2 and up are read as 1.1, as RFC
 * 9110 2.5 asks). An expectation without a body to wait for, or in HTTP/1.0, is
 * not reported. Unknown methods parse. CONNECT has an authority and no path;
 * OPTIONS may have the path "*". */
int http_request(struct http_head *h, struct str head, const char **why);

/* Parses a response head. request_head: the request was HEAD. OK or E_BAD,
 * *why gets a static text. 1xx, 204, 304 and answers to HEAD have no body;
 * conflicting framing is an error, never a guess, and so is 101, which nothing
 * here asks for. keep_alive is about this answer's own words: the caller also
 * drops a connection on which bytes follow that it didn't ask for. */
int http_response(struct http_head *h, struct str head, int request_head,
    const char **why);

/* Value of the first field of that name, case ignored; p NULL if absent. */
struct str http_field(const struct http_head *h, struct str name);
/* Whether a comma list in any field of that name has the token. */
int http_has_token(const struct http_head *h, struct str name,
    struct str token);

/* Body bytes out of the stream. Memory is the caller's: slices of *in. */
struct http_body {
	enum http_framing framing;
	int state;
	uint64_t left;		/* of the counted body or the chunk */
	size_t line;		/* bytes of the current chunk line or trailers */
	size_t excess;		/* of chunk lines; see HTTP_CHUNK_EXCESS_MAX */
	unsigned char digits, done;
	const char *why;	/* after E_BAD */
};

void http_body_init(struct http_body *b, const struct http_head *h);
/* Takes framing and content off the front of *in; *out gets the next run of
 * content, possibly empty, with OK and with E_NONE. OK: call again when *in has
 * more (at least one byte was taken, if there was one). E_NONE: the body is
 * complete, the last run may come with it, and *in starts with what follows;
 * every later call says so. E_BAD: framing error, every later call too. For
 * HTTP_TO_CLOSE the caller ends it by http_body_eof. */
int http_body(struct http_body *b, struct str *in, struct str *out);
/* The connection ended. OK when that completes the body, else E_BAD. */
int http_body_eof(struct http_body *b);

/* Percent-decodes a path into b; E_BAD for a bad escape or a NUL. */
int http_decode(struct buf *b, struct str path);
/* Value of a query parameter, still encoded; p NULL if absent. */
struct str http_query(struct str query, struct str name);
/* True if v may be sent as a field value: no control bytes but tab. */
int http_value_ok(struct str v);

#endif
