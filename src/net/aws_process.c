/* aws_process.c -- credential_process: another program's answer.
 *
 * The command is the user's own, run by the shell as the other tools do. It
 * has a time limit, its output a size limit, and both end the whole process
 * group. What it prints is never shown: not even when it isn't what was
 * expected.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/select.h>
#include <unistd.h>

#include "aws.h"
#include "loop.h"
#include "shell.h"
#include "../wire/json.h"

enum {
	PROCESS_MS = 60000,	/* AW-61 */
	OUTPUT_MAX = 1048576
};

/* Reads to the end, the limit or the deadline. OK, E_MORE (time), E_LIMIT. */
static int collect(int fd, struct buf *b, int64_t deadline)
{
	for (;;) {
		int64_t left = deadline - loop_now();
		struct timeval tv;
		fd_set set;
		ssize_t n;

		if (left <= 0)
			return E_MORE;
		if (b->n == b->cap)
			return E_LIMIT;
		FD_ZERO(&set);
		FD_SET(fd, &set);
		tv.tv_sec = (time_t)(left / 1000);
		tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
		if (select(fd + 1, &set, NULL, NULL, &tv) <= 0)
			continue;
		n = read(fd, b->p + b->n, b->cap - b->n);
		if (n == 0)
			return OK;
		if (n > 0)
			b->n += (size_t)n;
	}
}

static int run(struct lookup *l, struct str what, struct str command,
    struct str *output, int64_t ms)
{
	int64_t deadline = loop_now() + ms;
	char *room = arena_bytes(l->a, OUTPUT_MAX);
	struct buf b = buf_on(room, OUTPUT_MAX);
	int fd[2], r, status;
	long pid;

	if (!room || !command.p)
		return E_FULL;
	if (pipe(fd) != 0)
		return FAULT(l, what, S(": no pipe to be had"));
	pid = fd[0] < FD_SETSIZE ? shell_start(command.p, NULL, -1, fd[1]) :
	    -1;
	close(fd[1]);
	if (pid < 0) {
		close(fd[0]);
		return FAULT(l, what, S(": no process could be started"));
	}
	r = collect(fd[0], &b, deadline);
	close(fd[0]);
	status = shell_end(pid, deadline, r == OK);
	if (r == E_MORE)
		return FAULT(l, what, S(": no answer within a minute"));
	if (r == E_LIMIT)
		return FAULT(l, what, S(": more than 1 MiB of output"));
	if (status != 0)
		return FAULT(l, what, S(": the command failed; run it by hand "
		    "to see why"));
	*output = buf_str(&b);
	return OK;
}

int aws_process(struct lookup *l, struct str profile, struct str command,
    struct credentials *out)
{
	struct str what = JOIN(l, aws_where(l, profile),
	    S(": credential_process")), output = { NULL, 0 };
	struct json doc;
	int r;

	r = run(l, what, JOIN(l, command), &output, PROCESS_MS);
	if (r != OK)
		return r;
	r = aws_document(l, output, what, S("SessionToken"), 0, out);
	if (r != OK)
		return r;
	if (json_parse(&doc, str_trim(output), l->a, NULL) != OK)
		return E_FULL;
	if (json_int(json_get(json_root(&doc), S("Version")), 0) != 1)
		return FAULT(l, what, S(": Version is not 1"));
	if (out->expires && out->expires <= l->now)
		return FAULT(l, what, S(": gave credentials that have "
		    "expired"));
	out->source = JOIN(l, S("profile "), profile,
	    S(" (credential_process)"));
	return OK;
}
