/* loop.h -- one turn of select(), clocks, signals, random bytes.
 *
 * Nothing is registered. Each turn the owner of the loop says anew what every
 * descriptor waits for, as computed from its state:
 *
 *	loop_begin(&l);
 *	loop_want(&l, fd, WANT_READ);
 *	signals = loop_wait(&l, deadline);
 *	if (loop_readable(&l, fd)) ...
 *
 * SPDX-License-Identifier: MIT */
#ifndef LOOP_H
#define LOOP_H

#include <sys/select.h>

#include "../base/base.h"
#include "sock.h"

enum { LOOP_TERM = 1, LOOP_INT = 2, LOOP_HUP = 4, LOOP_CHILD = 8 };

#define LOOP_NEVER INT64_MAX

struct loop {
	fd_set read, write;	/* wants, and after loop_wait what is ready */
	int top;		/* one above the highest descriptor wanted */
	int ready;		/* descriptors found ready in this turn */
};

/* Occupies descriptors 0-2 with /dev/null where they are closed, so that no
 * socket ever gets their number; ignores SIGPIPE, and SIGXFSZ, so that a file as
 * long as it may be is an error like a full disk; catches SIGTERM, SIGINT,
 * SIGHUP and SIGCHLD through a descriptor of our own. One loop a process; a
 * forked child that goes on serving calls it again. OK or E_FAULT. */
int loop_init(struct loop *l);

void loop_begin(struct loop *l);
/* want: WANT_READ | WANT_WRITE, or 0; several calls for one fd add up. fd -1
 * is ignored; one >= FD_SETSIZE traps, as sock.c never lets it in. */
void loop_want(struct loop *l, int fd, unsigned want);
/* Sleeps until something is ready, a signal came, or loop_now() reaches the
 * deadline (LOOP_NEVER: none; one in the past: only looks). Returns the
 * LOOP_* signals since the last call. A descriptor that select refuses as
 * bad is reported ready both ways, so that its owner meets the error. */
unsigned loop_wait(struct loop *l, int64_t deadline);
/* Sleeps so long, at most, whatever happens; a signal ends it. */
void loop_pause(long microseconds);
int loop_readable(const struct loop *l, int fd);
int loop_writable(const struct loop *l, int fd);

/* Milliseconds that only ever go forward; the base is arbitrary but above 0.
 * All deadlines are in these. */
int64_t loop_now(void);
/* What loop_now() said last, without asking the system: a turn asks when it
 * begins and where it may have been long. For what happens many times a turn;
 * never to wait by, as it stands still. */
int64_t loop_recent(void);
/* Milliseconds since 1970 as the machine believes, 64 bits everywhere. For
 * records, signatures and certificates; never for a deadline. */
int64_t loop_wall(void);

/* n bytes (at most 256) from the system's generator. OK, or E_FAULT when there
 * is none: then no connection may be secured and no id made. */
int loop_random(void *p, size_t n);

#endif
