/* monitor.h -- what the owner sees of each request: the console's lines and
 * the log in LOG_DIR.
 *
 * A record is a sink: it stands first in the tee of a request and sees
 * exactly the events that its client sees. The monitor never makes a request
 * wait and never fails one: what can't be written is dropped and counted.
 *
 * SPDX-License-Identifier: MIT */
#ifndef MONITOR_H
#define MONITOR_H

#include "../core/core.h"
#include "journal.h"

enum {
	RECORD_TOOLS_MAX = 16,	/* names of called tools kept; more are counted */
	RECORD_TEXT = 96,	/* kept of any name: a model, a tool */
	MONITOR_SECRETS_MAX = 16	/* known values that are never written */
};

enum outcome {
	OUTCOME_OPEN, OUTCOME_DONE, OUTCOME_ERROR,	/* a clean error answer */
	OUTCOME_CUT,		/* failed after the first byte to the client */
	OUTCOME_CANCELLED	/* the client went away */
};

/* A text kept by value, cut at a whole character. */
struct label {
	size_t n;
	char p[RECORD_TEXT];
};
void label_set(struct label *l, struct str s);
void label_jset(struct label *l, struct jstr s);	/* unescaped */
struct str label_str(const struct label *l);

struct record {
	struct sink sink;		/* set by record_init */
	struct monitor *mon;
	size_t slot;			/* of the client's connection */
	struct label id;		/* request id */
	const char *class;		/* main subagent auxiliary compaction probe
					 * count models; static */
	const char *class_by;		/* hint header body guess; static */
	struct label session, agent, client;	/* client: user-agent */
	struct label asked, served, backend;	/* models; name of upstream */
	size_t messages, tools_offered, bytes_in;
	uint64_t bytes_out;		/* to the client */
	int stream, attempts, status;
	enum outcome outcome;
	int64_t wall_ms;		/* arrival, since 1970 */
	int64_t arrived, sent, first_byte, first_token, ended;	/* loop clock,
					 * ms; 0: did not happen */
	struct usage usage;
	int have_usage;
	enum stop_reason stop;
	size_t ntools;			/* calls made */
	struct label tools[RECORD_TOOLS_MAX];
	size_t text_bytes, thinking_bytes, input_bytes;
	struct label growing;		/* id of a call whose pieces were shown */
	int shown;			/* the open block is that call */
	struct label prompt;		/* beginning of the last user text */
	const struct notes *notes;	/* NULL: none */
	struct fault fault;		/* status 0: none */
};

struct monitor_options {
	struct str log_dir;		/* empty: no log */
	uint64_t log_max_bytes;		/* of all files together */
	enum log_bodies bodies;
	int console_fd;			/* 1; -1: silent */
	int colour;			/* -1: by isatty, NO_COLOR, TERM */
	uint64_t memory, raw;		/* of the journal in memory, of exact
					 * bytes */
	size_t slots;			/* connections in flight at most */
	const struct str *secrets;	/* masked wherever they'd appear */
	size_t nsecrets;
};

enum { METRIC_CLASSES = 9 };

/* Counters since the start. */
struct metrics {
	uint64_t ended[METRIC_CLASSES][OUTCOME_CANCELLED + 1];
	uint64_t input, output, cache_read, cache_write;	/* tokens */
	uint64_t tool_calls, retries, duration_ms;
};

/* Files and the console. About 130 KiB. */
struct monitor {
	struct monitor_options opt;
	struct journal *journal;	/* NULL: no memory for it */
	int colour;
	int log_fd;
	uint64_t log_size;		/* of the current file */
	uint64_t dropped;		/* lines that could not be written */
	int warned;			/* the warning is out; cleared on success */
	int64_t retry_at;		/* when a failed log is tried again */
	uint64_t requests, errors, cancelled;
	struct metrics metrics;
	struct str secrets[MONITOR_SECRETS_MAX];
	char line[65536];		/* one record, rendered */
	char text[65536];
};

/* Opens the log (directory 0700, file 0600, no symbolic links, refused if
 * others own it). Never fails: what is wrong is said once on the console. */
void monitor_open(struct monitor *m, const struct monitor_options *o);
/* SIGHUP: closes and opens the log anew. */
void monitor_reopen(struct monitor *m);
void monitor_close(struct monitor *m);

void record_init(struct record *r, struct monitor *m);
/* The request's class by its headers and body (spec of sessions and side
 * calls), from the client's own claims: for showing, never for access. */
void record_classify(struct record *r, const struct request *req,
    struct str request_class, struct str agent_id, struct str parent_id);
/* A line when it arrives and one when it ends. The latter also goes to the
 * log, as one JSON object. Both are called once a record. */
void record_begin(struct record *r);
void record_end(struct record *r, int64_t now);
/* Lines of our own: start, warnings. Plain text, escaped by the function. */
void monitor_say(struct monitor *m, const char *level, struct str text);
/* The counters in Prometheus' text format. in_flight: requests now. */
void metrics_write(const struct monitor *m, size_t in_flight, struct buf *b);
/* Takes every known secret and everything key-shaped out of a text. */
void monitor_redact(struct monitor *m, struct buf *b, struct str text);

#endif
