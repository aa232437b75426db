/* page.h -- the monitor over HTTP: its page, its data, its exports.
 *
 * An answer is opened, then taken piece by piece: it is never built whole, so
 * its size has no limit and needs no memory. What it can't say now it says
 * later (page_wake). All it tells comes from the journal, which was redacted
 * before anything got there.
 *
 * SPDX-License-Identifier: MIT */
#ifndef PAGE_H
#define PAGE_H

#include "monitor.h"

enum {
	PAGE_FIELDS_MAX = 1024,	/* head fields of an answer: the CSP's most */
	PAGE_PIECE = 32768	/* appended by one call of page_more */
};

struct page_ask {
	struct str path;	/* what follows /dashboard, decoded */
	struct str query;	/* still encoded */
	struct str last_id, none_match;	/* Last-Event-ID, If-None-Match */
};

struct page;

/* What the head says, and then the bytes. */
struct page_head {
	int status;		/* 200 or 304 */
	struct str type;
	char text[PAGE_FIELDS_MAX];
	struct buf fields;	/* whole lines, on text */
	int64_t length;		/* -1: not known */
	struct page *page;	/* in the arena; of GET */
};

/* OK, or E_FAULT: *f. The arena is the answer's until it ends. */
int page_open(struct page_head *h, struct monitor *m,
    const struct page_ask *ask, struct arena *a, int64_t now,
    struct fault *f);
/* Appends at most PAGE_PIECE bytes, for which there must be room. backlog:
 * bytes that the reader hasn't taken yet. OK, E_MORE: call again by page_wake.
 * E_NONE: complete. E_LIMIT: the reader is too slow for a live stream;
 * close. */
int page_more(struct page *pg, struct buf *out, size_t backlog, int64_t now);
/* Its length was known from the start. */
int page_whole(const struct page *pg);
/* When there may be more. */
int64_t page_wake(const struct page *pg, size_t backlog, int64_t now);

/* ---- replay ----------------------------------------------------------- */

struct replay {
	struct str of;		/* id of the recorded request */
	struct str model;	/* to ask for */
	int64_t max_tokens;	/* 0: as recorded */
	int whole;		/* not to be streamed */
	struct str body, session;	/* page_replay's, in the arena */
};

/* Makes the request's body anew. OK, or E_FAULT: it isn't
 * there whole. */
int page_replay(struct monitor *m, struct replay *r, struct arena *a,
    struct fault *f);
/* The line that joins the two requests. */
void page_replayed(struct monitor *m, const struct replay *r, struct str id);

#endif
