/* shell.h -- a command of the owner's own, run by /bin/sh.
 *
 * For children that may start programs, never for the process that serves. The
 * command's words are the owner's alone: what a stranger wrote reaches it by
 * its input and its environment, never as a part of the command.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SHELL_H
#define SHELL_H

#include "../base/base.h"

/* Starts it in a process group of its own, with signals as they are by default.
 * in, out: its input and output, /dev/null for -1; what it says to standard
 * error goes nowhere. env: its environment; NULL: ours. Its number; -1: no
 * process could be started. */
long shell_start(const char *command, char *const *env, int in, int out);
/* Waits until the deadline (loop_now()). Then, or at once when it isn't wanted,
 * its group is killed. Its status, as wait's; -1: ended by us, or unknown. */
int shell_end(long pid, int64_t deadline, int wanted);

#endif
