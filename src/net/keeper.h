/* keeper.h -- a process that starts others, for one that gave that right up.
 *
 * The process that serves may start no process (sandbox.h), yet a child of its
 * may die and has to be replaced. So a keeper is split off at the start, while
 * there are no strangers' bytes in memory: it waits for one end of a socket
 * pair, forks, and the child serves that. There is one child at a time; asking
 * for another ends the one before.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KEEPER_H
#define KEEPER_H

#include "../base/base.h"

struct keeper {
	int fd;			/* -1: none */
	long pid;
	void (*run)(void *ctx, int fd);
	void *ctx;
	int bound;
};

/* run: the life of a child, with a blocking descriptor to us, everything else
 * closed but standard output and error, input at /dev/null; it returns to end.
 * SIGTERM, SIGINT, SIGHUP, SIGPIPE and SIGXFSZ are ignored. ctx is as it is now.
 * bound: the child is killed when we die; else it learns of it by the end of
 * its descriptor, and is not killed before it ends by itself. OK or E_FAULT,
 * after which keeper_child tries again. */
int keeper_start(struct keeper *k, void (*run)(void *ctx, int fd), void *ctx,
    int bound);
/* A new child; our descriptor to it, non-blocking, or -1. */
int keeper_child(struct keeper *k);
/* The end of the child's descriptor has been closed by the caller before: waits
 * at most ms for child and keeper to end. */
void keeper_stop(struct keeper *k, int ms);

/* A process like this one. In it 0, and *fd leads to us, blocking; here its
 * number, and *fd leads there, non-blocking; or -1. */
long keeper_fork(int *fd);

/* For processes that are split off. Dies with its parent, where the system can
 * do that; elsewhere the end of a socket tells. parent: getpid() before. */
void keeper_bind(long parent);
/* The four signals above: ignored, or at their defaults; none blocked. */
void keeper_signals(int ignored);
/* Everything but standard output and error and the one descriptor. */
void keeper_close_others(int keep);

#endif
