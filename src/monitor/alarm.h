/* alarm.h -- ALERT_CMD: the owner's own command, run when an alert is raised.
 *
 * One at a time, ALARM_BURST in a row and then one each ALARM_EVERY_MS; what
 * waits meanwhile is ALARM_QUEUE alerts at most, the newest are dropped and
 * counted beyond. Each has ALARM_MS, then it and its group are killed. It is
 * run by a child of a keeper (keeper.h), as the process that serves may start
 * none; no request waits for any of this.
 *
 * It is started by /bin/sh -c with nothing of the alert in its words. Its
 * input is the alert's line of the journal, and its environment
 *
 *	ALERT_RULE	repeat_call, stall, ...
 *	ALERT_TEXT	the rule, ": " and the detail, for a person: it may hold
 *			words of a model, but no control byte, and begins with
 *			neither "-" nor a bracket
 *	ALERT_COUNT	a number
 *	ALERT_URL	the step on the page
 *	ALERT_MISSED	alerts that were dropped since the last one
 *
 * and what a program needs to know about its owner: PATH, HOME, the locale, a
 * desktop's session, nothing else: no key is handed on.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ALARM_H
#define ALARM_H

#include "../net/keeper.h"

enum {
	ALARM_QUEUE = 16,
	ALARM_BURST = 10, ALARM_EVERY_MS = 10000,
	ALARM_MS = 10000,
	ALARM_COMMAND = 4096	/* bytes of ALERT_CMD, with a zero byte */
};

struct alarm_news {		/* from the child */
	uint32_t how;		/* enum alarm_end */
	uint32_t code;		/* a status or the number of a signal */
};

struct alarm {
	int fd;			/* of the child; -1: none runs */
	struct keeper keeper;
	unsigned port;		/* for ALERT_URL */
	int64_t until;		/* when the child is given up, loop clock */
	int64_t full;		/* the allowance is whole again then */
	size_t first, n;	/* of the queue */
	uint64_t seq[ALARM_QUEUE];	/* their lines in the journal; filled by
					 * alerts.c */
	uint64_t run, failed, dropped;	/* failed: of those run */
	uint64_t missed;	/* dropped before the last that was run */
	struct alarm_news told;	/* the last end that was said aloud */
	size_t nin;
	union {
		struct alarm_news news;
		char in[sizeof(struct alarm_news)];
	} u;
	char command[ALARM_COMMAND];	/* empty: none */
};

struct monitor;

/* Before rights are given up. command: shorter than ALARM_COMMAND. port: where
 * the page is; 0: on none. */
void alarm_open(struct monitor *m, struct str command, unsigned port);
/* For the loop. */
int alarm_fd(const struct monitor *m);
/* Never blocks. Returns when it wants to be called at the latest. */
int64_t alarm_turn(struct monitor *m, int64_t now, int readable);
/* One that runs has its time; what waits is not run any more. */
void alarm_close(struct monitor *m);

#endif
