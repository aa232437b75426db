/* writer.h -- the journal's way to the disk: a child process that may wait.
 *
 * The ring is the queue. Lines are handed to the child over a socket as it
 * takes them. A disk that is slow, full or gone for a while costs nothing, as
 * long as the ring holds what waits. When it turns over before, all that waits
 * is dropped and counted, and the file goes on with what is new, as if a
 * segment had begun: it never names what it doesn't hold. No request ever
 * waits for any of this.
 *
 * Files in LOG_DIR (0700, never a link, never another user's):
 *	structured.jsonl		the segment being written, 0600
 *	structured-000007.jsonl		finished ones, by number
 *	requests.log, requests.log.1	two lines a request, for people
 *	requests_full/			exact bytes (payloads.h), where asked for
 *	pins/ID				an empty file: segments with that session
 *					are not deleted
 *
 * A segment ends at its size, or after a day. One that begins with
 * conversations of more than half its size may grow to twice what they take, so
 * that at most every second byte repeats an earlier one; but not beyond half of
 * LOG_MAX_BYTES. The oldest are deleted when
 * there are more than LOG_KEEP, when one is older than LOG_DAYS, and when all
 * together are larger than LOG_MAX_BYTES.
 *
 * SPDX-License-Identifier: MIT */
#ifndef WRITER_H
#define WRITER_H

#include "../net/keeper.h"
#include "../core/core.h"

struct journal;

enum {
	WRITER_DIR_MAX = 1024, WRITER_QUEUE = 65536,
	WRITER_FULL = 64	/* requests whose exact bytes wait */
};

struct writer_options {
	struct str dir;			/* empty: no file, no child */
	uint64_t segment_max, total_max;
	unsigned keep, days;
	int full;		/* exact bytes are written as well */
};

struct writer {
	struct writer_options opt;
	int fd;			/* -1: no child */
	struct keeper keeper;	/* starts it, and another when it dies */
	int64_t again;		/* when a new child may be started */
	unsigned deaths;
	uint64_t seq;		/* of the next line to hand over */
	uint64_t segment;	/* number of the current segment */
	uint64_t emitted;	/* bytes of lines since it began */
	uint64_t carried;	/* of these, blobs that an earlier one has too */
	int64_t began;		/* loop clock */
	int failing, why;	/* the file can't be written now; errno */
	struct buf frame;	/* on its way */
	size_t sent;
	int blocked;		/* the child takes no more for now */
	int reopen;		/* it is to be told to open its files anew */
	int readable;		/* it has said something; set by the owner */
	int64_t flush_at;	/* what waits leaves then; 0: nothing waits */
	size_t nqueue;
	char queue[WRITER_QUEUE];	/* lines of requests.log */
	size_t full_first, nfull;	/* requests that wait */
	char full_id[WRITER_FULL][ID_MAX];
	unsigned full_side;	/* of the first: enum raw_side, the next one */
	struct buf full;	/* the bytes of the side before that */
	size_t full_sent;
	uint64_t full_dropped;	/* requests that found no room, or whose bytes
				 * were gone; files the child gave up */
	uint32_t full_lost;	/* of these, by the child that is */
	size_t nin;
	unsigned char in[64];
};

/* Looks at LOG_DIR, loads the end of what is there into the ring and starts
 * the child. Waits for the disk: at start only. */
void writer_open(struct journal *j, const struct writer_options *o);
/* For the loop. */
int writer_fd(const struct journal *j);
unsigned writer_want(const struct journal *j);
/* Moves what is due; all of it when nothing is in flight (idle), and hears what
 * the child says. Never blocks. */
void writer_turn(struct journal *j, int64_t now, int idle);
/* When it wants its next turn, as loop_now(). */
int64_t writer_wake(const struct journal *j);
/* A line for people. Whole, without its end. */
void writer_log(struct journal *j, struct str line);
/* A request has ended: its exact bytes, where LOG_BODIES keeps what it said. */
void writer_full(struct journal *j, struct str id);
/* Before a request's lines: a new segment, if it is time for one. */
void writer_segment(struct journal *j, int64_t now);
/* SIGHUP: the files are opened anew. */
void writer_reopen(struct journal *j);
/* Hands over what is left, for a second at most. */
void writer_close(struct journal *j);

#endif
