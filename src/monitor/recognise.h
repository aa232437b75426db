/* recognise.h -- sessions, agents, turns and steps, out of single requests.
 *
 * A session is what one run of a client is. A conversation is one agent of it:
 * its requests follow one another and each repeats what was said before. All
 * of it rests on the client's own claims and on what messages have in common:
 * for showing, never for access. How a thing is known is kept with it: "hint"
 * and "header" (the client said so), "body", "guess".
 *
 * Tables are of fixed size; what was used longest ago makes room, and then
 * begins anew as if it had never been seen.
 *
 * SPDX-License-Identifier: MIT */
#ifndef RECOGNISE_H
#define RECOGNISE_H

#include "../wire/http.h"
#include "blob.h"
#include "monitor.h"

enum {
	SESSIONS_MAX = 64,
	CONVS_MAX = 128,	/* agents of all sessions */
	CONV_MESSAGES = 2048,	/* names of messages kept of each; of a longer
				 * one the rest always counts as new */
	CONV_CALLS = 24,	/* calls of its last answer */
	CONV_RECENT = 8,	/* different calls counted for alerts */
	SYSTEM_MAX = 16,	/* system blocks told apart */
	SPAWNS_MAX = 64,	/* calls that may have started an agent */
	CHAIN_MAX = 64		/* requests that lean on an earlier one, in a row */
};

struct session {
	uint64_t key;		/* 0: free */
	struct label id;
	const char *by;
	int hints;		/* a hint header was seen */
	int agents;		/* an agent header was seen: who has none is the
				 * main agent */
	int64_t first_ms, last_ms;	/* since 1970 */
	unsigned turn, lanes;
	uint64_t prompt;	/* of the current turn; 0: not known */
	unsigned in_flight, requests, errors, alerts, unpriced;
	int64_t input, output, cache_read, cache_write;
	int64_t cost;		/* in 10^-12 USD: what has a price */
	int spent_told;		/* percent of its budget, as last said */
};

struct called {
	uint64_t id, hash;	/* of the call's id; of name and arguments */
	int answered;		/* its result was seen */
};

struct recent {			/* for alerts */
	uint64_t hash;
	unsigned count;
};

struct conv {
	struct session *of;	/* NULL: free */
	uint64_t session, agent;	/* agent: key of its id; 0: none given */
	int sub;		/* a sub-agent's, though without an id */
	unsigned lane;
	unsigned in_flight;
	uint64_t used;		/* for making room */
	struct label agent_id, parent, type;
	const char *type_by;
	struct label last;	/* id of its last request */
	uint64_t last_seq, root_seq;	/* lines: of that; of the one that
					 * everything leans on */
	unsigned chain;		/* requests since the root */
	unsigned turn, step;
	int64_t last_start, last_end;	/* loop clock; 0: none */
	size_t n;		/* messages of its last request */
	struct sha16 sha[CONV_MESSAGES];
	size_t nsystem;
	struct sha16 system[SYSTEM_MAX], tools;
	uint64_t model;
	enum cache_mark marks;
	int64_t cached;		/* tokens its last request left in a cache */
	size_t ncalls;
	struct called call[CONV_CALLS];
	struct label spawn_call, spawn_request;
	const char *link_by;
	/* alerts.c */
	struct recent recent[CONV_RECENT];
	uint64_t pong[4], last_result;
	unsigned results, errors, context;
};

struct spawn {
	uint64_t session, prompt, n;	/* n: order; 0: free */
	struct label call, request;
	int taken;
};

struct recogniser {
	uint64_t clock;
	struct session session[SESSIONS_MAX];
	struct conv conv[CONVS_MAX];
	struct spawn spawn[SPAWNS_MAX];
};

/* What one request says; made by events.c, used during one call. */
struct facts {
	const struct request *q;
	const struct http_head *head;
	struct str peer, body;
	struct sha16 *sha;	/* of all messages; NULL: no memory for them */
	struct sha16 block[SYSTEM_MAX];		/* of the system's blocks */
	uint64_t *sum, block_sum[SYSTEM_MAX], tools_sum;	/* blob.h */
	struct sha16 system[SYSTEM_MAX], tools;		/* what is compared */
	size_t nsystem;
	uint64_t first_text;	/* of the first user text; 0: none */
	uint64_t prompt;	/* of the prompt id; 0: none */
	struct str prompt_id;
};

enum cause {
	CAUSE_NONE, CAUSE_INITIAL, CAUSE_SYSTEM, CAUSE_TOOLS, CAUSE_MODEL,
	CAUSE_MESSAGES, CAUSE_TTL_5M, CAUSE_TTL_1H, CAUSE_SERVER,
	CAUSE_NOT_SUPPORTED, CAUSE_MARKS, CAUSES
};

/* NULL for CAUSE_NONE. */
const char *cause_name(enum cause c);

/* Fills the record's session, conversation, turn, step, predecessor, and what
 * would explain a cache miss. Counts it as in flight. */
void recognise_request(struct record *r, struct facts *f);
/* A session that was known before a start, or a new one. NULL: no room. */
struct session *recognise_session(struct monitor *m, struct str id);
/* A session goes on under another name. E_NONE: there is none, or there is one
 * of that name already. */
int recognise_rename(struct monitor *m, struct str from, struct str to);
/* One of its conversations, likewise; agent: its id, if one was given. */
struct conv *recognise_conv(struct monitor *m, struct session *s,
    struct str agent, int sub, unsigned lane);
/* What a model's name is known by. */
uint64_t recognise_key(struct str s);
/* Whether a result is new: after the last answer, to a call of it that has
 * none yet. */
int recognise_result(struct record *r, struct jstr id);
/* The conversation's last request is this one from now on. */
void recognise_remember(struct record *r, const struct facts *f);
/* It ended: the conversation goes on from here. */
void recognise_response(struct record *r);
/* A call in an answer may start an agent: remembered by its prompt. */
void recognise_spawn(struct record *r, struct str call, uint64_t prompt);
/* The user text that began a conversation, without reminders, as a key. */
uint64_t recognise_text(struct jstr text, struct arena scratch);
struct jstr recognise_first_text(const struct request *q);
int recognise_reminder(struct jstr text);

#endif
