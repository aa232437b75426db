/* command.h -- what the program does besides serving: tail, top, report.
 *
 * A command reads a journal's file, or follows a running proxy by the
 * monitor's stream of events, and writes to a terminal or a pipe. Texts of
 * models and tools never command a terminal: what isn't plain is shown
 * escaped.
 *
 * SPDX-License-Identifier: MIT */
#ifndef COMMAND_H
#define COMMAND_H

#include "../base/base.h"

struct command_input {
	int argc;		/* without the program's name and the command */
	char *const *argv;
	const char *(*env)(void *ctx, const char *name);
	void *ctx;
};

/* Where a command finds the journal when path is a folder: mem, holding
 * "path/structured.jsonl"; otherwise path. */
const char *command_path(const char *path, char *mem, size_t n);
/* Whether a first argument is a command. */
int command_is(const char *name);
/* Runs it; returns the exit status. */
int command_run(const char *name, const struct command_input *in);

#endif
