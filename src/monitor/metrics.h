/* metrics.h -- counters since the start, in Prometheus' text format.
 *
 * Names of models and providers come from outside, so there is a bound: as
 * many pairs as MODELS_MAX have series of their own, later ones share one.
 * Nothing that grows with use is a label: no session, prompt or id.
 *
 * SPDX-License-Identifier: MIT */
#ifndef METRICS_H
#define METRICS_H

#include "../core/core.h"

enum {
	METRIC_CLASSES = 10,
	METRIC_MODELS = 32,	/* and "other" */
	METRIC_CODES = 16,
	METRIC_BUCKETS = 17,	/* 10 ms, doubled each: to 655 s */
	METRIC_TOOLS = 32,	/* known ones, "mcp" and "other" */
	METRIC_OUTCOMES = 4,	/* of a tool: ok error bad_json unknown_tool */
	METRIC_CAUSES = 11, METRIC_RULES = 16, METRIC_ERRORS = 12,
	METRIC_NAME = 96
};

struct metric_histogram {
	uint64_t bucket[METRIC_BUCKETS];	/* not cumulative */
	uint64_t over;				/* beyond the last */
	uint64_t sum_us;			/* microseconds */
};

/* One pair of provider and model that served. */
struct metric_model {
	unsigned char nprovider, nmodel;	/* nprovider 0: free */
	char provider[METRIC_NAME], model[METRIC_NAME];
	uint64_t code[METRIC_CLASSES][METRIC_CODES];
	struct metric_histogram duration[METRIC_CLASSES];
	struct metric_histogram first, chunk;
	uint64_t input, output, cache_read, cache_write, thinking;
	uint64_t unpriced;	/* tokens */
	int64_t cost;		/* 10^-12 USD; -1: nothing had a price */
	uint64_t retries;
	uint64_t errors[METRIC_ERRORS];
};

struct metrics {
	int64_t started;	/* ms since 1970 */
	uint64_t ended;		/* requests */
	struct metric_model model[METRIC_MODELS + 1];
	uint64_t tool[METRIC_TOOLS][METRIC_OUTCOMES];
	struct metric_histogram tool_time[METRIC_TOOLS];
	uint64_t cause[METRIC_CAUSES], rule[METRIC_RULES];
};

struct monitor;
struct record;

/* Once, at the start; t is zero. */
void metrics_init(struct metrics *t, int64_t wall_ms);
/* In each process, before it may open files no more: for its memory. */
void metrics_open(void);
/* Bytes of memory that this process holds; those alone that it shares with
 * nobody, or those alone that it does. 0: not known. */
uint64_t metrics_resident(int shared);
/* A request ended. */
void metrics_record(struct metrics *t, const struct record *r);
/* A tool's result came back; ms: as the client measured it, or -1. */
void metrics_result(struct metrics *t, struct str tool, int error,
    int64_t ms);
/* A model called what is no tool of the request, or with what is no JSON. */
void metrics_call(struct metrics *t, struct str tool, int known);
void metrics_alert(struct metrics *t, struct str rule);

/* All of it. in_flight: requests now; watchers: who reads the live stream. */
void metrics_write(const struct monitor *m, size_t in_flight, size_t watchers,
    struct buf *b);

#endif
