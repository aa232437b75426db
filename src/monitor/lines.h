/* lines.h -- what the parts of the monitor share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef LINES_H
#define LINES_H

#include "journal_own.h"
#include "monitor.h"

extern const char *const metric_classes[METRIC_CLASSES];

/* console.c: wall_ms is when it ended, since 1970. */
void console_begin(const struct record *r);
void console_end(const struct record *r, int64_t wall_ms);
/* 2026-11-25T13:10:26.123Z */
void monitor_when(struct buf *b, int64_t wall_ms);
/* events.c: the record's lines in the journal, its answer as it comes */
void events_request(struct record *r);
void events_answer(struct record *r, const struct event *e);
void events_response(struct record *r);
/* log.c */
void log_record(const struct record *r, int64_t now);

#endif
