/* page_events.c -- /dashboard/events: what happens, as it happens.
 *
 * Server-sent events. A journal line is an event without a name, its id the
 * line's number; a blob of more than 8 KB comes without its data. Besides,
 * without an id, as nothing that is lost there is lost for good:
 *
 *	delta	{"id":request,"i":block,"k":"text|think|json","d":text}
 *		what an answer in flight gained, joined for 50 ms. "b":1 on the
 *		first of a block, also when a watcher comes late or comes back:
 *		whatever was shown of the block starts over; "name" and "call"
 *		of a tool stand there. "lost":true: the rest comes with the end
 *	stat	figures, every two seconds
 *	gap	{"after":asked,"first":seq}: what lay between is not here
 *
 * It begins behind ?after= or Last-Event-ID, after=now: with what comes; else
 * with all there is. A watcher that is slow gets no deltas until it has caught up; one that the
 * journal has overtaken is let go. Nothing is kept for anybody but a number
 * and a place in each answer.
 *
 * SPDX-License-Identifier: MIT */
#include "../net/loop.h"
#include "pages.h"

enum {
	BLOB_WHOLE = 8192,	/* longer lines of blobs lose their data */
	DELTA_MS = 50,
	DELTA_BACKLOG = 16384,	/* unsent, with which deltas wait */
	DELTA_UNIT = 65536,	/* deltas written in one go */
	STAT_MS = 2000,
	COMMENT_MS = 15000,
	RETRY_MS = 1000,	/* a browser asks again after */
	FIND_COST = LOOK_MAX / 4	/* of a walk over the whole index */
};

struct events {
	int64_t delta_at, stat_at, comment_at;
	uint64_t seen;		/* journal_live_count when all was told */
	uint64_t asked;
	int gap;		/* to be said first */
	int round;		/* of deltas, begun and not at its end */
	size_t slot, nslots;	/* where it goes on */
	struct live_cursor *at;
};

/* ---- deltas ----------------------------------------------------------- */

static void put_delta(struct buf *b, const struct live_piece *l)
{
	static const char *const kinds[] = {
		[LIVE_TEXT] = "text", [LIVE_THINKING] = "think",
		[LIVE_INPUT] = "json"
	};

	buf_put(b, S("event: delta\ndata: {\"id\":"));
	json_quote(b, l->id);
	buf_put(b, S(",\"i\":"));
	buf_u64(b, l->block);
	buf_put(b, S(",\"k\":\""));
	buf_put(b, str_of(kinds[l->kind]));
	buf_put(b, S("\",\"d\":\""));
	buf_put(b, l->text.raw);
	buf_chr(b, '"');
	if (l->begins) {
		buf_put(b, S(",\"b\":1"));
		if (l->kind == LIVE_INPUT) {
			buf_put(b, S(",\"name\":"));
			json_quote(b, l->name);
			buf_put(b, S(",\"call\":"));
			json_quote(b, l->call);
		}
	}
	buf_put(b, l->lost ? S(",\"lost\":true}\n\n") : S("}\n\n"));
}

/* An answer that ended before the watcher came is told by its line. */
static int has_ended(struct page *pg, struct str id)
{
	struct journal_line l;

	pg->look -= FIND_COST;
	return journal_find(pg->j, id, J_RESPONSE, 0, &l) == OK &&
	    l.seq < pg->seq;
}

/* What is new in a slot; of the request that line speaks of alone, if given. */
static void tell_slot(struct page *pg, struct buf *b, size_t slot,
    struct str line)
{
	struct events *ev = pg->own;
	struct live_cursor *at = &ev->at[slot], was;
	struct live_piece piece;
	int skip = 0, first = at->answer == 0;

	for (;;) {
		was = *at;
		if (journal_live(pg->j, slot, at, &piece) != OK)
			return;
		if (line.p && str_find(line, piece.id) == line.n) {
			*at = was;
			return;
		}
		/* A watcher that has just come is told of what goes on. */
		if (first)
			skip = has_ended(pg, piece.id);
		first = 0;
		if (!skip)
			put_delta(b, &piece);
	}
}

static int tell_deltas(struct page *pg, struct buf *b)
{
	struct events *ev = pg->own;

	if (!ev->round)
		ev->seen = journal_live_count(pg->j);
	ev->round = 1;
	while (ev->slot < ev->nslots && b->n < DELTA_UNIT) {
		if (pg->look <= 0)
			return E_MORE;
		tell_slot(pg, b, ev->slot++, (struct str){ NULL, 0 });
	}
	if (ev->slot < ev->nslots)
		return OK;
	ev->round = 0;
	ev->slot = 0;
	ev->delta_at = pg->now + DELTA_MS;
	return OK;
}

/* The last of an answer must not come behind its end. */
static void tell_last(struct page *pg, struct buf *b, struct str line)
{
	struct events *ev = pg->own;
	size_t i;

	for (i = 0; i < ev->nslots; i++)
		tell_slot(pg, b, i, line);
}

/* ---- lines ------------------------------------------------------------ */

static void put_line(struct buf *b, const struct journal_line *l)
{
	size_t cut = l->text.n;

	if (l->kind == J_BLOB && l->text.n > BLOB_WHOLE)
		cut = str_find(l->text, S(",\"data\":"));
	buf_put(b, S("id: "));
	buf_u64(b, l->seq);
	buf_put(b, S("\ndata: "));
	buf_put(b, str_head(l->text, cut));
	buf_put(b, cut < l->text.n ? S("}\n\n") : S("\n\n"));
}

static int tell_line(struct page *pg, struct buf *b)
{
	struct events *ev = pg->own;
	struct journal_line l;

	if (pg->seq < journal_first(pg->j))
		return E_LIMIT;
	if (journal_line(pg->j, pg->seq, &l) != OK) {
		pg->seq++;	/* a number without a line */
		return OK;
	}
	if (l.kind == J_RESPONSE && pg->backlog <= DELTA_BACKLOG &&
	    journal_live_count(pg->j) != ev->seen)
		tell_last(pg, b, l.text);
	put_line(b, &l);
	pg->seq++;
	return OK;
}

/* ---- figures ---------------------------------------------------------- */

static void put_number(struct buf *b, const char *key, uint64_t v)
{
	buf_put(b, S(",\""));
	buf_put(b, str_of(key));
	buf_put(b, S("\":"));
	buf_u64(b, v);
}

static void tell_stat(struct page *pg, struct buf *b)
{
	struct journal_stats s;

	journal_stats(pg->j, &s);
	buf_put(b, S("event: stat\ndata: {\"now\":"));
	buf_int(b, loop_wall());
	put_number(b, "in_flight", pg->m->requests - pg->m->metrics.ended);
	put_number(b, "requests", pg->m->requests);
	put_number(b, "errors", pg->m->errors);
	put_number(b, "cancelled", pg->m->cancelled);
	put_number(b, "first", journal_first(pg->j));
	put_number(b, "next", journal_next(pg->j));
	put_number(b, "ring_used", s.ring_used);
	put_number(b, "ring_size", s.ring_size);
	put_number(b, "dropped", s.dropped);
	put_number(b, "waiting", s.waiting);
	put_number(b, "segment", s.segment);
	put_number(b, "redactions", s.redactions);
	put_number(b, "failing", s.failing != 0);
	buf_put(b, S("}\n\n"));
}

static void tell_start(struct page *pg, struct buf *b)
{
	struct events *ev = pg->own;

	buf_put(b, S("retry: "));
	buf_u64(b, RETRY_MS);
	buf_put(b, S("\n\n"));
	if (ev->gap) {
		buf_put(b, S("event: gap\ndata: {\"after\":"));
		buf_u64(b, ev->asked);
		buf_put(b, S(",\"first\":"));
		buf_u64(b, pg->seq);
		buf_put(b, S("}\n\n"));
	}
	tell_stat(pg, b);
}

/* ---- the stream ------------------------------------------------------- */

static int next_event(struct page *pg, struct buf *b)
{
	struct events *ev = pg->own;

	if (!pg->state) {
		pg->state = 1;
		ev->stat_at = pg->now + STAT_MS;
		ev->comment_at = pg->now + COMMENT_MS;
		tell_start(pg, b);
		return OK;
	}
	if (ev->round)
		return tell_deltas(pg, b);
	if (pg->seq < journal_next(pg->j))
		return tell_line(pg, b);
	if (pg->backlog > DELTA_BACKLOG)
		return E_MORE;
	if (pg->now >= ev->delta_at &&
	    journal_live_count(pg->j) != ev->seen)
		return tell_deltas(pg, b);
	if (pg->now >= ev->stat_at) {
		ev->stat_at = pg->now + STAT_MS;
		tell_stat(pg, b);
		return OK;
	}
	if (pg->now >= ev->comment_at) {
		ev->comment_at = pg->now + COMMENT_MS;
		buf_put(b, S(":\n\n"));
		return OK;
	}
	return E_MORE;
}

int page_events(struct page *pg, struct arena *a, struct str after)
{
	uint64_t first = journal_first(pg->j), next = journal_next(pg->j);
	struct events *ev = arena_get(a, sizeof *ev);

	if (!ev)
		return E_FULL;
	ev->nslots = journal_slots(pg->j);
	ev->at = arena_array(a, ev->nslots + 1, sizeof *ev->at);
	if (!ev->at)
		return E_FULL;
	pg->own = ev;
	pg->next = next_event;
	pg->live = 1;
	pg->seq = first;
	if (str_eq(after, S("now")))
		pg->seq = next;
	if (str_u64(str_trim(after), &ev->asked) != OK)
		return OK;
	/* A number of an earlier run of the program may lie ahead of us. */
	if (ev->asked + 1 < first || ev->asked >= next)
		ev->gap = 1;
	else
		pg->seq = ev->asked + 1;
	return OK;
}

int64_t page_events_wake(const struct page *pg, size_t backlog, int64_t now)
{
	const struct events *ev = pg->own;
	int64_t at = ev->stat_at < ev->comment_at ? ev->stat_at :
	    ev->comment_at;

	if (!pg->state || ev->round || pg->seq < journal_next(pg->j))
		return now;
	if (backlog > DELTA_BACKLOG)
		return LOOP_NEVER;	/* until it has taken some of it */
	if (journal_live_count(pg->j) != ev->seen && ev->delta_at < at)
		at = ev->delta_at;
	return at;
}
