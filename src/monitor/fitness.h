/* fitness.h -- what each model that served is fit for, out of real traffic.
 *
 * Whoever has the journal's lines gives them here, one after the other: the
 * page those in memory, a report those of a file. So all of them count alike,
 * and a restart loses nothing that the journal kept. A row is a model of a
 * backend. There is a bound: later ones share the last row, "others". Probes
 * and counts of tokens are no work and are left out.
 *
 * SPDX-License-Identifier: MIT */
#ifndef FITNESS_H
#define FITNESS_H

#include "journal.h"
#include "monitor.h"

enum {
	FITNESS_MODELS = 32,	/* as metrics have; and "others" */
	FITNESS_RECENT = 2048,	/* requests in flight that are told apart */
	FITNESS_STEP = 32,	/* spans of time an octave: within 2 % */
	FITNESS_SPANS = 16 * FITNESS_STEP	/* to 17 minutes */
};

/* How often each time was taken, by its logarithm. */
struct fitness_times {
	uint32_t span[FITNESS_SPANS];
	uint64_t n;
};

struct fitness_row {
	struct label backend, model;
	uint64_t requests;	/* that ended */
	uint64_t calls;		/* of tools */
	uint64_t bad_json, unknown, loops;	/* of calls */
	uint64_t truncated, errors, retries, stalls;	/* of requests */
	int64_t input, cached, output;		/* tokens */
	int64_t nano_usd;	/* of those with a price */
	uint64_t unpriced;	/* requests that used tokens without one */
	struct fitness_times first, total;	/* of whole answers */
};

/* Of a request whose end has not been seen. */
struct fitness_recent {
	uint64_t id;
	unsigned char row;	/* plus one; 0: not known yet */
	unsigned char skip;	/* no work */
	unsigned char asked_again;	/* by its client */
	unsigned char loops;	/* one was told before it was known who would answer */
};

/* Zeroed at first. */
struct fitness {
	size_t n;
	uint64_t shared;	/* requests in "others" */
	struct label since;	/* "ts" of the first line counted */
	struct fitness_row row[FITNESS_MODELS + 1];
	struct fitness_recent recent[FITNESS_RECENT];
};

/* Counts a line; blobs say nothing. */
void fitness_line(struct fitness *f, const struct journal_line *l,
    struct arena scratch);

/* The i-th row, those with the most requests first; NULL: there are no more. */
const struct fitness_row *fitness_row(const struct fitness *f, size_t i);

enum fitness_fit {
	FIT_FEW,		/* too little was seen */
	FIT_TOOLS,		/* fit for work with tools */
	FIT_CARE,		/* works with tools, and errs now and then */
	FIT_TEXT,		/* no tool was called: text is all that's known */
	FIT_POOR,		/* errs with tools too often */
	FIT_UNSTEADY		/* its service fails too often to tell */
};
enum fitness_fit fitness_fit(const struct fitness_row *r);
/* "tools", "care" ...: for programs; and in words, for people. */
const char *fitness_fit_name(enum fitness_fit fit);
const char *fitness_fit_words(enum fitness_fit fit);

/* The median in ms; -1: nothing was timed. */
int64_t fitness_median(const struct fitness_times *t);

/* {"since":...,"models":[{...}]}, ended by a newline. */
void fitness_json(const struct fitness *f, struct buf *b);
/* A table for a page without script; nothing if no model served. */
void fitness_html(const struct fitness *f, struct buf *b);

#endif
