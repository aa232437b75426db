/* lines.h -- what the parts of the monitor share.
 *
 * SPDX-License-Identifier: MIT */
#ifndef LINES_H
#define LINES_H

#include "monitor.h"

extern const char *const metric_classes[METRIC_CLASSES];

/* console.c: wall_ms is when it ended, since 1970. */
void console_begin(const struct record *r);
void console_end(const struct record *r, int64_t wall_ms);
/* log.c */
void log_record(const struct record *r, int64_t now);

#endif
