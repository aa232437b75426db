/* otlp.h -- requests pushed to an OpenTelemetry collector as they end.
 *
 * OTLP/HTTP with JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp), a
 * span a request and one a timed tool call, by the GenAI conventions; figures
 * and names, no texts. A child process does the sending, so a collector may be
 * as slow as it likes: what finds no room on the way is dropped and counted.
 *
 * SPDX-License-Identifier: MIT */
#ifndef OTLP_H
#define OTLP_H

#include "../net/keeper.h"

enum {
	OTLP_QUEUE = 256,	/* requests that ended and were not handed over */
	OTLP_SPANS = 64,	/* requests in one document */
	OTLP_FRAME = 262144,	/* a document */
	OTLP_ID = 40,
	OTLP_WHY = 120
};

struct otlp_options {
	struct str url;		/* of the traces; empty: nothing is pushed */
	struct str fields;	/* further field lines, each with CR LF */
	struct str cert_file;	/* roots for https; empty: the system's */
	struct str proxy;	/* for https: http://...; empty: none */
};

struct otlp_news {		/* from the child */
	uint32_t fails;		/* 1: the collector didn't take it */
	uint32_t lost;		/* documents given up, so far */
	char why[OTLP_WHY];	/* with fails: one line, NUL at its end */
};

struct otlp {
	struct otlp_options opt;
	int fd;			/* -1: no child */
	struct keeper keeper;
	int64_t again;		/* when a child may be started, loop clock */
	int64_t due;		/* when what waits is handed over */
	unsigned deaths;
	size_t first, n;	/* of the queue */
	char id[OTLP_QUEUE][OTLP_ID];
	uint64_t dropped;	/* requests that found no room */
	uint64_t lost;		/* documents the collector didn't take */
	int failing;
	char *memory;		/* scratch and the frame */
	struct buf frame;
	size_t sent;
	size_t nin;
	union {
		struct otlp_news news;
		char in[sizeof(struct otlp_news)];
	} u;
};

struct monitor;

/* Starts the child when there is somewhere to push to. */
void otlp_open(struct monitor *m, const struct otlp_options *o);
/* A request ended and its lines are in the journal. */
void otlp_ended(struct monitor *m, struct str id);
/* For the loop. */
int otlp_fd(const struct monitor *m);
unsigned otlp_want(const struct monitor *m);
/* Never blocks. Returns when it wants to be called at the latest. */
int64_t otlp_turn(struct monitor *m, int64_t now);
/* Hands over what is left, for a second at most. */
void otlp_close(struct monitor *m);

#endif
