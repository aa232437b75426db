/* pages.h -- what the files of the monitor's HTTP side share: an answer that
 * is made unit by unit.
 *
 * A unit is a line, an element of an array, a step of an export. It is written
 * whole into the second half of the answer's memory and leaves from there in
 * pieces; the first half is for reading one line of the journal. The journal
 * moves on between two calls, so nothing of it is kept but numbers and names.
 *
 * SPDX-License-Identifier: MIT */
#ifndef PAGES_H
#define PAGES_H

#include "journal.h"
#include "page.h"

enum {
	LOOK_MAX = 262144,	/* bytes of lines looked at in one call: a
				 * millisecond, so that no stream waits */
	NAME_MAX_BYTES = 128,	/* of a session or a request; longer ones are
				 * nobody's */
	CHAIN_MAX = 8192,	/* messages of a request; more are of no use */
	SEEN_MAX = 65536	/* blobs of one export; a power of 2 */
};

struct page {
	struct monitor *m;
	const struct journal *j;
	int (*next)(struct page *pg, struct buf *unit);	/* writes one, or
				 * nothing. OK: call again; else as page_more */
	struct arena work;	/* scratch, anew for each unit */
	struct arena room;	/* of the unit */
	struct str unit;	/* made, not yet taken */
	size_t backlog;
	long look;		/* of LOOK_MAX, what is left */
	int64_t now, wake, began;
	int live;		/* the stream of events */
	uint64_t seq, end;	/* line to look at, and where to stop */
	uint32_t key;		/* of the session; 0: all */
	struct str name;	/* of the session or request; plain */
	int state;		/* of next's; 0 at first */
	size_t count, most;	/* elements written, and their limit */
	void *own;		/* next's */
};

/* ---- lines ------------------------------------------------------------ */

/* The next line below end of the session, or of any; blobs are passed over
 * unless asked for. Moves seq behind it. OK; E_MORE: looked long enough for
 * now; E_NONE: no more. */
int page_line(struct page *pg, int blobs, struct journal_line *l);
/* Writes "," but for the first time. */
void page_comma(struct page *pg, struct buf *b);

/* All messages of a request as names of blobs, oldest first: of its line, and
 * of those it builds on, which lie before it. The list is filled from its end,
 * a line each step. n may be more than CHAIN_MAX: the first skip are left out.
 * whole: nothing is missing; else what is, is zero bytes. */
struct page_chain {
	char (*sha)[JOURNAL_SHA];
	size_t n, skip, need;
	uint64_t seq;
	uint32_t session;
	size_t nid;
	char id[NAME_MAX_BYTES];
	int begun, whole;
};
/* seq: of the request's line. The list is taken from the arena once. */
int page_chain_begin(struct page_chain *c, struct str id, uint64_t seq,
    struct arena *a);
/* E_MORE: looked long enough for now. OK: as whole as it gets. */
int page_chain(struct page *pg, struct page_chain *c);

/* Text of a parsed member, unescaped; empty if absent. */
struct str page_text(struct jv v, const char *key, struct arena *work);

/* A decimal number in billionths; 0 if it is none. */
int64_t page_nano(struct jv v);
/* A value as it came; null where there is none. */
void page_put_raw(struct buf *b, struct jv v);
/* The data of a blob, as JSON; empty if it is no longer there. */
struct str page_blob(const struct page *pg, struct str sha);
/* The body of a request as its records tell it: cache marks, signatures and
 * what was redacted are not what was sent. chain: as whole as it gets. v: the
 * request's line, parsed. */
void page_put_body(const struct page *pg, const struct page_chain *chain,
    struct jv v, struct buf *b);

/* ---- what writes units ------------------------------------------------ */

/* page_events.c: starts behind the line of that number; "now": with what comes;
 * else with all there is. */
int page_events(struct page *pg, struct arena *a, struct str after);
int64_t page_events_wake(const struct page *pg, size_t backlog, int64_t now);
/* page_steps.c: begin takes what next remembers from the arena. */
int page_sessions_begin(struct page *pg, struct arena *a);
int page_search_begin(struct page *pg, struct arena *a);
int page_request_begin(struct page *pg, struct arena *a);
int page_next_data(struct page *pg, struct buf *b);
int page_next_session(struct page *pg, struct buf *b);
int page_next_sessions(struct page *pg, struct buf *b);
int page_next_request(struct page *pg, struct buf *b);
int page_next_search(struct page *pg, struct buf *b);
/* page_prices.c */
int page_next_prices(struct page *pg, struct buf *b);
/* fitness.c: of every session in memory. */
int page_fitness_begin(struct page *pg, struct arena *a);
int page_next_fitness(struct page *pg, struct buf *b);
/* page_export.c, page_har.c, page_otlp.c */
int page_jsonl_begin(struct page *pg, struct arena *a);
int page_html_begin(struct page *pg, struct arena *a);
int page_har_begin(struct page *pg, struct arena *a);
int page_next_jsonl(struct page *pg, struct buf *b);
int page_next_html(struct page *pg, struct buf *b);
int page_next_har(struct page *pg, struct buf *b);
int page_next_otlp(struct page *pg, struct buf *b);
/* A document of spans: its beginning, what one request comes to (nothing before
 * it has ended), its end. Of pg: m, j, work, count. */
void page_otlp_open(struct buf *b);
void page_otlp_request(struct page *pg, struct buf *b,
    const struct journal_line *l);
void page_otlp_close(struct buf *b);
/* Text as HTML: no markup, and what would turn the direction of text or
 * command a terminal is shown as \uXXXX. */
void page_put_html(struct buf *b, struct str text);
/* The same for one line of a terminal. */
void page_put_plain(struct buf *b, struct str text);

#endif
