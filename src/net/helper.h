/* helper.h -- what would block the loop, done in a child process.
 *
 * Questions are asked by content, not by number: whoever waits calls the same
 * function each turn and gets E_MORE until the answer is there. So any number
 * of requests share one lookup, a request that goes away has nothing to
 * cancel, and answers are kept for a while without further code.
 *
 * The child runs each question in a process of its own, at most
 * HELPER_WORKERS at once, and ends it at its deadline: a name server that
 * doesn't answer delays only those who ask about it. If the child dies,
 * open questions fail, and it is started again at a bounded rate, by a keeper
 * that was split off at the start. All die with the parent. Apart from
 * helper_start and helper_stop nothing here waits.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HELPER_H
#define HELPER_H

#include "../base/base.h"
#include "keeper.h"
#include "sock.h"

enum {
	HELPER_WORKERS = 8,
	HELPER_ENTRIES = 16,	/* questions open or remembered */
	HELPER_ASK_MAX = 256,	/* a DNS name, a profile's name */
	HELPER_ANSWER_MAX = 8192,	/* credentials with a long session token */
	HELPER_ADDRS_MAX = 8,
	HELPER_NAMES_KEEP = 60	/* s; services move slower than that */
};

enum helper_kind {
	HELPER_RESOLVE = 1, HELPER_CREDENTIALS = 2,
	HELPER_HELLO = 3,	/* not asked: a child tells its number */
	HELPER_MODEL = 4
};

/* How a kind is answered, in the worker process, where blocking, allocating
 * and exiting are allowed. The worker leads a process group of its own, which
 * is killed as a whole at the deadline; signals are at their defaults, standard
 * input is /dev/null. OK: the answer is in *answer and may be kept for
 * *keep_s seconds (0: hand it to who is waiting now, then ask anew).
 * Else *answer is a one-line reason. Resolving is built in. */
struct helper_service {
	enum helper_kind kind;
	int (*serve)(struct str ask, struct buf *answer, unsigned *keep_s);
	unsigned deadline_ms;	/* then the worker is killed */
};

enum { HELPER_SERVICES_MAX = 3 };

/* One question and its answer. */
struct helper_entry {
	int state;
	enum helper_kind kind;
	uint32_t id;
	int64_t asked, used;	/* all times as loop_now() */
	int64_t until;		/* deadline, or end of keeping */
	size_t nask, nanswer;
	char ask[HELPER_ASK_MAX];
	char answer[HELPER_ANSWER_MAX];
};

struct helper_frame {		/* the message, both ways */
	uint32_t id, kind, n, keep_s;
	int32_t status;
	char text[HELPER_ANSWER_MAX];
};

struct helper {
	int fd;			/* to the child; -1: none now */
	struct keeper keeper;	/* starts it, and another when it dies */
	long pid;		/* 0 until the child said so */
	uint32_t next_id;
	int64_t heard;		/* when it last answered, or was started */
	int64_t again;		/* when a new child may be started */
	unsigned deaths;	/* in a row, without an answer between */
	int lost;		/* its keeper is gone as well, no other could be
				 * split off, and somebody asked */
	size_t nservices;
	struct helper_service services[HELPER_SERVICES_MAX];
	size_t in_n, out_n;	/* bytes of the frames so far */
	struct helper_frame in, out;
	struct helper_entry entry[HELPER_ENTRIES];
};

/* Starts the child: after loop_init, which occupies descriptors 0-2, but early,
 * before secrets are read and memory is filled, as it gets a copy of both. h is
 * zero, and isn't written where nothing stands: its pages cost nothing till
 * then. OK; E_FAULT, which is not final, as helper_turn tries again; E_LIMIT:
 * too many services. */
int helper_start(struct helper *h, const struct helper_service *services,
    size_t n, int64_t now);

/* The same without the child, which the first turn starts; as often as wanted
 * before that. */
int helper_keep(struct helper *h, const struct helper_service *services,
    size_t n);

/* For the loop: descriptor (-1: none), interest, and when to turn next. */
int helper_fd(const struct helper *h);
unsigned helper_want(const struct helper *h);
int64_t helper_deadline(const struct helper *h);
/* Once a turn: moves messages, ends what is late, reaps and restarts the
 * child. Never blocks. */
void helper_turn(struct helper *h, int64_t now);

/* Asks, or looks at the answer. OK: *answer holds it, valid until the next
 * call of any function here. E_MORE: not there yet, call again next turn.
 * E_FAULT: *answer is a reason such as "name not found"; it is remembered for
 * a second, so that all who wait see it, and asking after that tries anew.
 * E_LIMIT: ask is empty or longer than HELPER_ASK_MAX, or nobody serves that
 * kind. */
int helper_ask(struct helper *h, enum helper_kind kind, struct str ask,
    int64_t now, struct str *answer);
/* Forgets an answer, overwriting it: addresses that all failed, credentials
 * that were refused. An open question stays open. */
void helper_forget(struct helper *h, enum helper_kind kind, struct str ask);

struct helper_addrs {
	size_t n;
	struct sock_addr addr[HELPER_ADDRS_MAX];	/* port filled in */
};

/* Addresses of host in the order to try them, as the system's resolver gives
 * them, remembered for HELPER_NAMES_KEEP seconds. Numeric addresses and
 * "localhost" are answered at once, without the child. Results as helper_ask;
 * *why is set with E_FAULT and E_LIMIT only. */
int helper_resolve(struct helper *h, struct str host, unsigned port,
    int64_t now, struct helper_addrs *out, struct str *why);

/* Ends the child and wipes answers. Waits for it for a tenth of a second at
 * the most. */
void helper_stop(struct helper *h);

#endif
