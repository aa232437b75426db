/* lines.h -- what the parts of the monitor share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef LINES_H
#define LINES_H

#include "journal_own.h"
#include "monitor.h"
#include "prices.h"

/* console.c: writes what waits */
void console_flush(struct monitor *m);
/* console.c: a line there and one in requests.log, which has no colours.
 * wall_ms is when it ended, since 1970. */
void console_begin(const struct record *r);
void console_end(const struct record *r, int64_t wall_ms);
/* 2026-11-25T13:10:26.123Z */
void monitor_when(struct buf *b, int64_t wall_ms);
/* events.c: the record's lines in the journal, its answer as it comes */
void events_request(struct record *r, const struct record_source *from);
void events_answer(struct record *r, const struct event *e, int64_t now);
void events_response(struct record *r);
/* account.c: reads the calls of the answer into the record; then its cost and
 * what became of the cache */
void account_calls(struct record *r, struct arena scratch);
void account(struct record *r);
/* alerts.c: a tool is called; a result came back; the answer ended; time
 * passed. call, result: keys. */
void alerts_call(struct record *r, struct jstr name);
void alerts_result(struct record *r, uint64_t call, struct str name,
    uint64_t result, size_t bytes, int error);
void alerts_response(struct record *r);
void alerts_stall(struct record *r, int64_t now);
void alerts_dropped(struct monitor *m, int64_t now);
/* restore.c: sessions, out of the lines that were loaded */
void restore_sessions(struct monitor *m);
/* recall.c: where a conversation stood, by a request's line and its answer's */
void recall_request(struct monitor *m, struct session *s, struct str line);
void recall_response(struct monitor *m, struct str line);

#endif
