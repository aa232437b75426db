/* local.h -- a Unix socket to listen on, as a file that is its user's alone.
 *
 * Who may use it is decided by the file's mode, so the care is about the file:
 * made with its mode, in a directory where nobody else can put another in its
 * place; what a killed process left is replaced, and nothing else ever is. The
 * process that serves may not remove files (sandbox.h): one that is split off
 * before that does it in the end.
 *
 * SPDX-License-Identifier: MIT */
#ifndef LOCAL_H
#define LOCAL_H

#include "keeper.h"
#include "sock.h"

struct local {
	int fd;			/* listens; -1: none */
	struct str path;
	uint64_t dev, ino;	/* the file, and when it was made: numbers */
	int64_t made_s, made_ns;	/* are given out again soon */
	struct keeper remover;
	int sandbox;
};

/* None yet. */
void local_init(struct local *l);
/* Listens on path, which must live as long as l, with mode 0600. A socket of
 * our user where nobody listens any more is replaced. Refused: a path that
 * somebody listens on; a file of another kind or another user's; a directory
 * that isn't there or isn't ours or root's, or where other users may write
 * without the sticky bit, as they could put a socket of theirs in its place.
 * OK, or E_FAULT with a reason in why and nothing left. */
int local_listen(struct local *l, struct str path, struct buf *why);
/* The same without doing it. */
int local_look(struct str path, struct buf *why);
/* Splits off the process that removes the file when we end, in whatever way.
 * sandbox: it gives up other rights. OK or E_FAULT, the file removed. */
int local_keep(struct local *l, int sandbox);
/* Has the file removed if it is still the one that was made, and waits for
 * that, for a second at most. To be called while fd listens: who starts anew
 * meanwhile then finds it alive and leaves it. fd stays open. */
void local_remove(struct local *l);
/* In a process that was split off later: the file is not its affair. */
void local_forget(struct local *l);

#endif
