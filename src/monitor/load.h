/* load.h -- reading a journal: damage is told by line and byte.
 *
 * SPDX-License-Identifier: MIT */
#ifndef LOAD_H
#define LOAD_H

#include "journal.h"

/* A walk over the text of a journal. Zeroed but for text. */
struct journal_reader {
	struct str text;
	size_t at;		/* of the next line, or of the damage */
	uint64_t line;		/* number of the line last looked at, from 1 */
	uint64_t seq;		/* of the last good line */
	const char *why;	/* static: what is wrong at at */
};

/* The next line: OK with *out (text, seq, kind); E_NONE: the end; E_BAD: it
 * is no line of a journal, r->line and r->at say where and r->why what. The
 * reader then stays there: journal_skip goes on behind that line. Never fails
 * otherwise, whatever the text. Lines must be JSON objects with v 1, a seq that
 * grows, and a known event; a last line without its end is damage. */
int journal_read(struct journal_reader *r, struct journal_line *out);
void journal_skip(struct journal_reader *r);

/* The inside of a top-level member's string, found without parsing the whole:
 * for lines that journal_read has passed. p NULL: absent, or no string. */
struct jstr journal_text(struct str line, struct str key);
/* The source of a member's value; empty when absent. */
struct str journal_member(struct str line, struct str key);
/* Sources of n members in one walk; p NULL where absent. */
void journal_members(struct str line, const struct str *keys, struct str *out,
    size_t n);
/* What a member's source says, as the two around. */
struct jstr journal_inside(struct str member);
int64_t journal_integer(struct str member, int64_t otherwise);
/* A member's number, or otherwise. */
int64_t journal_number(struct str line, struct str key, int64_t otherwise);
/* A line's "ts" in milliseconds since 1970; 0 if it is none. */
int64_t journal_when(struct str ts);

#endif
