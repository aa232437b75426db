/* fetch.h -- one HTTP request, from URL to whole answer, waiting for it.
 *
 * For the helper's workers alone, where waiting is allowed: never for the
 * loop. Everything has one deadline, but for the system's resolver, which
 * keeps its own: a worker has a deadline of its own too. No redirect is
 * followed, no cookie kept, no connection reused: credential services need
 * none of these. Answers are bounded.
 *
 * SPDX-License-Identifier: MIT */
#ifndef FETCH_H
#define FETCH_H

#include "../base/base.h"
#include "../wire/http.h"
#include "tls.h"

enum {
	FETCH_URL_MAX = 8192,
	FETCH_ANSWER_MAX = 65536,	/* unless told: the largest credential
					 * answer is 10 KiB */
	FETCH_ADDRS_MAX = 8
};

/* A URL's parts, slices of its text. */
struct fetch_url {
	int tls;
	struct str host;	/* without brackets */
	unsigned port;
	struct str authority;	/* for the Host field: no default port */
	struct str path, query;	/* path "" stands for "/"; query without '?' */
	struct str target;	/* both, as on the request line; may be "" */
};

/* http or https with a host; no user, no fragment, no blank or control byte.
 * OK or E_BAD. */
int fetch_url(struct fetch_url *u, struct str url);

struct fetch {
	struct str method, url;
	struct str fields;	/* further field lines, each with CR LF */
	struct str body;	/* content-length is added for PUT and POST */
	struct str socket;	/* for http: asked by this Unix socket; empty: by
				 * the URL's host and port */
	int64_t deadline;	/* loop_now() */
	struct tls_shared *tls;	/* for https; roots already loaded */
	struct str proxy;	/* for https: http://[user:password@]host:port,
				 * asked to CONNECT; empty: none */
	size_t answer_max;	/* head and body; 0: FETCH_ANSWER_MAX */
};

struct fetch_answer {
	struct http_head head;
	struct str body;
	int64_t date;		/* of its Date field, unix s; 0 without one, or
				 * with an Age (AW-10) */
};

/* OK: an answer of whatever status, in the arena. E_FAULT: none; *why is told
 * in one line without secrets. E_FULL: no room. */
int fetch(const struct fetch *f, struct arena *a, struct fetch_answer *out,
    struct buf *why);

#endif
