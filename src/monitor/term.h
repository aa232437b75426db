/* term.h -- what the commands share: a terminal to write to, a proxy to
 * follow, a journal's file to read.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TERM_H
#define TERM_H

#include "../net/loop.h"
#include "../wire/http.h"
#include "../wire/sse.h"
#include "command.h"
#include "journal.h"

/* ---- term.c ----------------------------------------------------------- */

enum colour { PLAIN, DIM, BOLD, GREEN, YELLOW, RED, CYAN };

struct term {
	int fd, colour, tty;
	int gone;		/* nobody reads any more */
	struct buf b;
	char mem[65536];
};

/* colour: by the terminal, NO_COLOR and TERM. */
void term_open(struct term *t, int fd, const struct command_input *in);
void term_put(struct term *t, struct str s);	/* ours, as it is */
void term_text(struct term *t, enum colour c, struct str s); /* theirs: one
				 * line, harmless */
void term_say(struct term *t, enum colour c, struct str s);	/* ours */
void term_u64(struct term *t, uint64_t v);
void term_clock(struct term *t, int64_t wall_ms);	/* local time */
void term_ms(struct term *t, int64_t ms);	/* "6.2 s", "340 ms" */
void term_bytes(struct term *t, uint64_t n);
/* Tokens: "912", "12.3k". */
void term_tokens(struct term *t, uint64_t n);
/* Spaces up to a column of the line begun at from (of b.n). */
void term_pad(struct term *t, size_t from, size_t column);
void term_flush(struct term *t);

/* ---- follow.c --------------------------------------------------------- */

enum {
	FOLLOW_CONTENT = 4 << 20,	/* of the stream: its largest event */
	FOLLOW_RAW = 65536
};

/* A running proxy's stream of events; comes back where it was interrupted. */
struct follow {
	struct loop loop;
	struct str socket;		/* SERVER_SOCKET; empty: the port */
	unsigned port;
	struct str token, key;		/* MONITOR_TOKEN, PROXY_API_KEY */
	int fd;
	int connecting;
	int in_body;
	int64_t retry_at;
	uint64_t last;			/* number of the last line */
	int from_now;			/* no old lines */
	int told;			/* that it isn't there */
	struct sse sse;
	struct http_head head;
	struct http_body body;
	struct buf raw, content;
	size_t taken;			/* of content, by the last event */
	char fault[600];		/* why it refused */
	size_t nfault;
	char raw_mem[FOLLOW_RAW], content_mem[FOLLOW_CONTENT];
};

/* OK or E_FAULT. */
int follow_open(struct follow *f, const struct command_input *in);
/* OK: an event, until the next call. E_MORE: none by then, or the connection
 * changed. E_NONE: told to end. E_FAULT: refused; fault says why. */
int follow_next(struct follow *f, int64_t until, struct sse_event *ev);

/* ---- command.c -------------------------------------------------------- */

/* The next argument; the value of an option that needs one. NULL: no more. */
struct args {
	int argc;
	char *const *argv;
	int at;
};
const char *args_next(struct args *a);
/* One line to standard error; returns 2. */
int command_fail(struct str what, struct str which);
/* A whole file, mapped; of a directory its structured.jsonl. OK or E_FAULT,
 * told to standard error. */
int command_map(const char *path, struct str *out);
/* n bytes of memory, for good; NULL: none. */
void *command_memory(size_t n);
/* A journal's text in memory, to be looked up; NULL: no memory. Counts lines
 * and damaged ones. */
struct journal *command_load(struct str text, uint64_t *lines,
    uint64_t *damaged);
/* Where the running proxy listens: the path of its socket, or empty; else its
 * port. */
struct str command_socket(const struct command_input *in);
unsigned command_port(const struct command_input *in);

int command_tail(const struct command_input *in);
int command_top(const struct command_input *in);
int command_report(const struct command_input *in);
int command_replay(const struct command_input *in);

#endif
