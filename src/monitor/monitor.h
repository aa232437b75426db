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
#include "../net/share.h"
#include "../wire/http.h"
#include "alarm.h"
#include "journal.h"
#include "metrics.h"
#include "otlp.h"

enum {
	RECORD_CALLS_MAX = 24,	/* calls of an answer looked at */
	RECORD_TOOLS_MAX = 16,	/* names of called tools kept; more are counted */
	WORKERS_MAX = 32,	/* processes that serve */
	RECORD_TEXT = 128,	/* kept of any name: a model, a tool */
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

/* One tool that an answer calls. */
struct record_call {
	struct label call, name, brief;	/* brief: first words of the arguments */
	struct label agent;		/* type of the agent it starts, if one */
	uint64_t hash;			/* of name and arguments */
	size_t bytes;
	int broken;			/* arguments are no JSON */
};

struct session;			/* recognise.h */
struct conv;
struct recogniser;

struct record {
	struct sink sink;		/* set by record_init */
	struct monitor *mon;
	size_t slot;			/* of the client's connection */
	int begun;			/* and not ended */
	struct label id;		/* request id */
	const char *class;		/* main subagent auxiliary compaction probe
					 * count models; static */
	const char *class_by;		/* hint header body guess; static */
	struct label session, agent, client;	/* client: user-agent */
	struct label session_was;	/* guessed until now */
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
	struct label message;		/* id of the answer */
	/* For the journal: what the request is, while it is in memory. */
	const struct request *req;
	const struct arena *arena;	/* scratch beyond its end */
	int64_t accepted, connected, last, stall;	/* loop clock; longest
					 * silence inside the answer, ms */
	unsigned chunks;		/* pieces of content */
	/* recognise.c */
	struct session *sess;		/* NULL: none, or no room for it */
	struct conv *conv;		/* NULL: not part of a conversation */
	struct conv *leans;		/* whose last request this one repeats;
					 * during record_begin alone */
	const char *session_by, *turn_by, *link_by;	/* static, or NULL */
	struct label parent, prev, agent_type, spawn_call, spawn_request;
	const char *agent_type_by;
	unsigned turn, step, lane;
	int retry;			/* attempt of the client's; 0: the first */
	int goes_on;			/* the conversation continues from it */
	int compacted;
	size_t first_new;		/* messages before it are known already */
	int64_t prev_end;		/* loop clock; 0: not known */
	enum cache_mark marks;		/* the longest-lived */
	int cause;			/* enum cause: of a cache miss, if one */
	size_t cause_index;
	int64_t cached_before;		/* tokens; -1: not known */
	int window_1m, stalled;
	/* account.c */
	struct str provider;		/* OpenTelemetry's name; lives on */
	int64_t cost, miss_cost;	/* 10^-12 USD; -1: not known */
	const char *price_date;
	size_t ncalled;			/* of monitor.called, at the end */
	const struct notes *notes;	/* NULL: none */
	struct fault fault;		/* status 0: none */
};

struct monitor_options {
	struct str log_dir;		/* empty: no log */
	uint64_t log_max_bytes;		/* of all files together */
	uint64_t segment_max;		/* of one */
	unsigned log_keep, log_days;
	struct str prices_file;		/* empty: list prices alone */
	enum log_bodies bodies;
	int full;			/* exact bytes go to LOG_DIR too */
	int console_fd;			/* 1; -1: silent */
	int colour;			/* -1: by isatty, NO_COLOR, TERM */
	uint64_t memory, raw;		/* of the journal in memory, of exact
					 * bytes */
	size_t slots;			/* connections in flight at most */
	int shared;			/* several processes have it; share_begin
					 * was called */
	/* Budgets, 10^-12 USD; 0: no alert. */
	uint64_t spend_session, spend_hour, spend_day;
	const struct str *secrets;	/* masked wherever they'd appear */
	size_t nsecrets;
};

/* What a stretch of time cost; told: percent of its budget, as last said. */
struct spend {
	int64_t began, cost;
	int told;
};

/* Files and the console. About half a megabyte, most of it counters. */
struct monitor {
	struct monitor_options opt;
	struct journal *journal;	/* NULL: no memory for it */
	struct recogniser *recogniser;	/* not NULL when journal isn't */
	struct prices *prices;
	struct record_call called[RECORD_CALLS_MAX];	/* of the answer that
					 * ends now */
	struct record **in_flight;	/* by slot; NULL: none */
	size_t open;			/* how many there are */
	uint64_t alerts;
	int64_t error_at[3];		/* upstream errors, the newest last */
	struct spend hour, day;
	uint64_t dropped_told;
	int64_t dropped_at, tended;
	int64_t fails_at;		/* people heard that the log fails */
	int fails_told;			/* and nothing else since */
	int colour;
	uint64_t dropped;		/* lines of the console that found no room */
	size_t nconsole, console_lines;	/* that wait to be written together */
	int64_t console_at;		/* when they are, at the latest; 0: none */
	int64_t clock_at;		/* second that clock tells */
	char clock[8];			/* 12:03:11 */
	char console[4096];		/* PIPE_BUF: a pipe takes it whole */
	uint64_t requests, errors, cancelled;
	/* Where several processes serve. */
	struct share_lock lock;
	int asleep;			/* the owner waits to be woken; with so
					 * much before it: */
	uint64_t slept_at;
	size_t slept_queue;
	uint64_t resident[WORKERS_MAX];	/* bytes, not counting shared ones */
	struct metrics metrics;
	struct otlp otlp;
	struct alarm alarm;
	struct str secrets[MONITOR_SECRETS_MAX];
	char line[65536];		/* one record, rendered */
	char text[65536];
};

/* Opens the log (directory 0700, file 0600, no symbolic links, refused if
 * others own it). m is zero, and most of it stays so, costing no memory, until
 * it is used. Never fails: what is wrong is said once on the console. */
void monitor_open(struct monitor *m, const struct monitor_options *o);
/* SIGHUP: closes and opens the log anew. */
void monitor_reopen(struct monitor *m);
void monitor_close(struct monitor *m);
/* Lines of the console and of LOG_DIR that could not be written. */
uint64_t monitor_dropped(const struct monitor *m);
/* Several processes may serve with one monitor, in memory that they share: one
 * more owns it and writes the journal's file. A lock stands before all of it:
 * what a record does takes it, and so do monitor_say and what is done in turns;
 * who calls anything else, as a page, takes it around that.
 *
 * monitor_worker: this process serves, and wakes the owner by a byte into fd.
 * monitor_settle: the owner is about to wait until then. monitor_mend: a process died while it held the lock:
 * what may be half written is forgotten. */
void monitor_enter(struct monitor *m);
void monitor_leave(struct monitor *m);
void monitor_worker(int fd);
void monitor_settle(struct monitor *m, int64_t now, int64_t wake);
void monitor_mend(struct monitor *m);
/* At most once a second: what this process holds of memory. */
void monitor_resident(struct monitor *m, int64_t now);
/* For the loop: the journal's way to the disk (-1: none), and what is due by
 * time alone. monitor_turn, once a turn, returns when it wants to be called at
 * the latest, as loop_now(). readable: select found monitor_fd so. */
int monitor_fd(const struct monitor *m);
unsigned monitor_want(const struct monitor *m);
int64_t monitor_turn(struct monitor *m, int64_t now, int readable);

void record_init(struct record *r, struct monitor *m);
/* The request's class by its headers and body (spec of sessions and side
 * calls), from the client's own claims: for showing, never for access. */
void record_classify(struct record *r, const struct request *req,
    struct str request_class, struct str agent_id, struct str parent_id);
/* What leaves for the upstream, each time something does. All must live on
 * but for head and body. */
struct record_sent {
	struct str backend, host;
	unsigned port;
	int tls;
	struct str head;
	const struct str *body;
	size_t nbody, bytes;
};
void record_upstream(struct record *r, const struct record_sent *s);
/* A header line of an answer, where 80 % or more of a budget of time is spent;
 * else nothing. */
void monitor_put_spend(struct buf *b, const struct monitor *m, int64_t now);
enum { SPEND_LINE = 64 };	/* bytes of it at most */
/* Bytes as they come and go, for the journal's memory of exact bytes: a head
 * (whole), then content without transfer coding. */
void record_raw(struct record *r, enum raw_side side, int head,
    struct str bytes);
/* What record_begin needs beside the record. req, head: NULL where there are
 * none; peer: the client's address; body: its bytes; arena: the request's, its free part is
 * scratch then and at record_end. */
struct record_source {
	const struct request *req;
	const struct http_head *head;
	struct str peer, body;
	const struct arena *arena;
};
/* A line when it arrives and one when it ends. The latter also goes to the
 * log, as one JSON object. Both are called once a record. */
void record_begin(struct record *r, const struct record_source *from);
void record_end(struct record *r);
/* The process that served it is gone: ends it as cut, with that fault. What it
 * points to is gone too. arena: scratch. */
void record_abandon(struct record *r, const struct fault *f,
    const struct arena *arena);
/* Lines of our own: start, warnings. Plain text, escaped by the function. */
void monitor_say(struct monitor *m, const char *level, struct str text);
/* Takes every known secret and everything key-shaped out of a text. */
void monitor_redact(struct monitor *m, struct buf *b, struct str text);

#endif
