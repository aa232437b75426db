/* scribe.h -- the child that writes the journal's files, and what it is told.
 *
 * Private to writer.c and scribe.c.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SCRIBE_H
#define SCRIBE_H

#include "writer.h"

enum scribe_kind {
	SCRIBE_LINES = 1,	/* whole ones with their ends, into
				 * structured.jsonl */
	SCRIBE_LOG,		/* the same into requests.log */
	SCRIBE_ROTATE,		/* the segment's number, in decimal, is the next
				 * one's: the current file is finished */
	SCRIBE_REOPEN,
	SCRIBE_FULL		/* a file's name, a zero byte, and what is added
				 * to that file of requests_full (payloads.h) */
};

struct scribe_head {		/* before each message; then n bytes */
	uint32_t kind, n;
};

struct scribe_news {		/* the other way */
	uint32_t fails;		/* 1: writing fails, and is tried again; 0: it
				 * works */
	uint32_t why;		/* errno */
	uint32_t lost;		/* files of requests_full given up so far */
};

enum { SCRIBE_MAX = (1 << 20) + 64 };	/* of a message */

/* An open LOG_DIR: made if need be, ours alone. -1 with errno. */
int scribe_dir(struct str path);
/* The child's life, until fd ends. text: SCRIBE_MAX bytes. */
void scribe_run(const struct writer_options *o, int fd, char *text);
/* Number of structured-NNNNNN.jsonl; 0: the name is no such. */
uint64_t scribe_number(const char *name);
/* That name; mem has room for 64 bytes. */
const char *scribe_name(char *mem, uint64_t number);

#endif
