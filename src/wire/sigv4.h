/* sigv4.h -- AWS Signature Version 4: a request in, header fields out.
 *
 * For the services that take an encoded path and encode it once more before
 * signing (all but S3): Bedrock, STS. Headers are signed, never the query
 * (no presigned URLs). Nothing is kept, nothing allocated: the canonical
 * request is hashed as it is walked, and exists nowhere as a whole.
 *
 * The caller sends exactly what it had signed: the same path, the same query
 * (sigv4_query writes it), the same fields plus those sigv4_sign writes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SIGV4_H
#define SIGV4_H

#include "../base/base.h"
#include "sha256.h"

enum {
	SIGV4_FIELDS_MAX = 64,	/* signed at once; our requests have under 20 */
	SIGV4_QUERY_MAX = 32,	/* pairs; control-plane calls have under 10 */
	SIGV4_NAME_MAX = 64,	/* of a region or a service: one host label */
	SIGV4_ID_MAX = 128,	/* an access key id; the service's own bound */
	SIGV4_DATE = 16		/* "20261123T123456Z" */
};

/* A header field, or a query parameter (neither side encoded). */
struct sigv4_pair {
	struct str name, value;
};

struct sigv4 {
	struct str id, secret;		/* the access key */
	struct str token;		/* of temporary credentials, or empty */
	struct str region, service;
	int64_t now;			/* unix seconds, corrected for skew */
	const unsigned char *key;	/* from sigv4_key, or NULL: derive it */

	struct str method;
	struct str path;		/* as on the request line: encoded once.
					 * Without the query. */
	const struct sigv4_pair *query;
	size_t nquery;
	const struct sigv4_pair *fields;	/* `host` must be among them */
	size_t nfields;
	unsigned char payload[SHA256_SIZE];	/* sigv4_payload of the body */
	int send_payload;		/* add and sign x-amz-content-sha256 */
};

/* The digest of a body that is sent as n slices one after the other. */
void sigv4_payload(unsigned char out[SHA256_SIZE], const struct str *part,
    size_t n);

/* Derives the signing key for a secret, the day of `now`, a region and a
 * service. It may be kept for these four and is as secret as the secret:
 * overwrite it when the credentials go. */
void sigv4_key(unsigned char key[SHA256_SIZE], struct str secret,
    int64_t now, struct str region, struct str service);

/* Writes the fields the request must gain, each line with its CR LF:
 *   x-amz-date, x-amz-security-token if there is a token,
 *   x-amz-content-sha256 if asked for, authorization.
 * Of the caller's fields all are signed but those that change on the way or
 * belong to one hop (AW-6); fields of the names above, and `date`, are left
 * out: the caller must not send them. Only x-amz-content-sha256 is taken at
 * the caller's word and stands for the payload's digest. Fields of one name
 * are joined by commas. A value's blanks are folded for signing alone.
 * OK; E_FULL when b has no room; E_LIMIT for more fields or longer names than
 * above; E_BAD when a field is missing (host, method, id, secret, region,
 * service), a path doesn't begin with '/' or has control bytes, blanks or a
 * '?', or an id or token has bytes that don't belong in a field. */
int sigv4_sign(const struct sigv4 *s, struct buf *b);

/* The query as it must stand on the request line, without '?': in order,
 * encoded once. OK, E_FULL or E_LIMIT. */
int sigv4_query(struct buf *b, const struct sigv4_pair *pair, size_t n);

/* Percent-encodes all but A-Z a-z 0-9 - . _ ~ (AW-3): a model id as one
 * segment of a path, a value of a form body. */
void sigv4_encode(struct buf *b, struct str s);

/* "20261123T123456Z"; years 1970 to 9999, else the nearest. */
void sigv4_date(char out[SIGV4_DATE], int64_t now);

/* A Date field ("Mon, 23 Nov 2026 12:34:56 GMT", the one form that servers
 * still send) to unix seconds, to learn the clock's offset (AW-10). E_BAD. */
int sigv4_http_date(struct str text, int64_t *now);

/* An ISO 8601 instant, as credentials carry for their expiry:
 * "2026-11-23T12:34:56Z", with a fraction (dropped), with an offset such as
 * +01:00, or with "UTC" for the Z. Unix seconds, from 0. E_BAD. */
int sigv4_iso_date(struct str text, int64_t *now);

#endif
