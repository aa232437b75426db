/* proxy.h -- the moving parts: connections to clients, connections to
 * upstreams, and the exchange between the two.
 *
 * One struct proxy, one thread, one loop. Everything is an array mapped at
 * start; a slot is in use or free. Who waits for what is computed from state
 * each turn (client_want, conn_want), and each state has one deadline.
 *
 *	client.c	HTTP server side: heads, bodies, replies, keep-alive
 *	guard.c		who may talk to us: Host, Origin, key
 *	surface.c	paths that are answered here
 *	watch.c		the monitor's answers, piece by piece
 *	replay.c	a recorded request, sent to another model
 *	exchange.c	a request on its way to a backend
 *	receive.c	the upstream's answer
 *	respond.c	what the client gets of it
 *	account.c	AWS: credentials, endpoints by region
 *	upstream.c	pool, connect, proxy CONNECT, TLS, bytes
 *	health.c	--health
 *	workers.c	WORKERS: several processes that serve
 *	memory.c	slots: mapped at start, handed back, the ceiling
 *
 * SPDX-License-Identifier: MIT */
#ifndef PROXY_H
#define PROXY_H

#include "../backend/bedrock.h"
#include "../monitor/page.h"
#include "../net/credentials.h"
#include "../net/fetch.h"
#include "../net/helper.h"
#include "../net/local.h"
#include "../net/loop.h"
#include "../net/sandbox.h"
#include "../net/tls.h"
#include "../wire/sha256.h"
#include "config.h"

enum {
	CONNECTIONS_MAX = 450,	/* two descriptors each stay below FD_SETSIZE */
	CLIENT_IN = 40960,	/* one head of HTTP_HEAD_MAX and what follows it */
	READ_MAX = 65536,	/* taken from a socket in one turn, so that one
				 * fast peer does not starve the others */
	OUT_HIGH = 65536,	/* more than this unsent to the client: the upstream
				 * is not read */
	HEAD_ROOM = 1024,	/* kept in front of a reply whose length is known
				 * only at its end */
	ERROR_BODY_MAX = 65536,	/* read of an upstream's refusal */
	INTERIM_MAX = 8,	/* 1xx heads before an upstream's real one */
	CONNECT_HEAD_MAX = 2048	/* CONNECT and the proxy's answer */
};

struct proxy;
struct client;

/* ---- memory.c --------------------------------------------------------- */

/* A slot's memory: three regions of virtual memory, touched as needed. */
struct slot_memory {
	char *work, *work_end;	/* bodies, tokens, what is made of them */
	char *in, *in_end;	/* the upstream's bytes */
	char *out, *out_end;	/* the client's */
};

/* Sizes follow from max_body and the machine's address width. Maps
 * everything; OK or E_FAULT. May lower *slots to what can be mapped. */
int memory_map(struct proxy *p, unsigned slots);
struct slot_memory memory_slot(const struct proxy *p, size_t i);
/* Gives back pages of a region beyond what small requests use. touched: the
 * highest address written. */
void memory_release(char *from, char *touched);
/* Reserves n bytes under MAX_MEMORY; 0 if that would pass it. */
int memory_charge(struct proxy *p, uint64_t n);
void memory_discharge(struct proxy *p, uint64_t n);

/* ---- upstream.c ------------------------------------------------------- */

enum conn_state {
	CONN_FREE,
	CONN_RESOLVE,		/* waits for the helper */
	CONN_CONNECT,		/* one address after the other */
	CONN_TUNNEL_SEND, CONN_TUNNEL_READ,	/* CONNECT through a proxy */
	CONN_TLS,
	CONN_OPEN,		/* belongs to an exchange */
	CONN_DRAIN,		/* its exchange has all it needs, but the end of
				 * the body's framing is still to come */
	CONN_IDLE		/* pooled */
};

struct conn {
	enum conn_state state;
	int fd;
	const struct upstream *up;
	int tunnel;		/* through HTTPS_PROXY */
	int reused;		/* has served a request before this one */
	int cut;		/* TLS ended without close_notify */
	int drained;		/* the last read took all that was there */
	int listed;		/* among those that rest */
	int64_t deadline;	/* of connecting as a whole */
	int64_t try_until;	/* of the address being tried */
	int64_t idle_since;
	struct helper_addrs addrs;
	size_t next;		/* address to try next */
	enum sock_reason why;
	struct tls *tls;	/* its engine; used if up->tls */
	size_t nsmall, small_sent;
	char small[CONNECT_HEAD_MAX];
	struct http_body drain;
	struct fault fault;	/* why connecting failed */
};

/* A pooled connection to up, or a new one; NULL when all slots are taken. */
struct conn *conn_get(struct proxy *p, const struct upstream *up, int fresh);
/* Goes on connecting. OK: open. E_MORE: waits. E_FAULT: conn->fault. */
int conn_connect(struct proxy *p, struct conn *c);
/* Bytes taken (0 and up), SOCK_AGAIN or SOCK_ERR (*why; text by
 * conn_trouble). */
long conn_send(struct conn *c, const struct str *parts, size_t n);
long conn_recv(struct conn *c, char *to, size_t n);
/* TLS: everything handed to conn_send has left. Plain: always. */
int conn_flushed(struct conn *c);
/* Decrypted bytes wait: don't sleep on select. */
int conn_pending(const struct conn *c);
/* Text for the last SOCK_ERR or cut. */
struct str conn_trouble(const struct conn *c);
/* What select should watch, beyond what the exchange wants (want). */
unsigned conn_want(const struct conn *c, unsigned want);
void conn_release(struct proxy *p, struct conn *c);	/* to the pool */
/* The message was complete before its framing was ([DONE], then the last
 * chunk): reads that off, then pools the connection. */
void conn_drain(struct proxy *p, struct conn *c,
    const struct http_body *body);
void conn_close(struct conn *c);
/* Closes pooled ones that ended or grew old. */
void conn_tend(struct proxy *p);
int64_t conn_deadline(const struct conn *c);

/* ---- account.c -------------------------------------------------------- */

enum {
	ENDPOINTS_MAX = 8,	/* regions called at once; people use one or two */
	ENDPOINT_MAX = 1024,	/* host twice, path */
	HIDDEN_MAX = 8,		/* inference profiles; people have one a model */
	HIDDEN_ID_MAX = 160,
	HIDDEN_REST = 600000	/* ms until one that nobody told is asked anew */
};

struct endpoint {
	struct upstream up;
	uint64_t used;		/* 0: never */
	char text[ENDPOINT_MAX];
};

/* What the ARN of an application inference profile stands for (BR-2). */
struct hidden_model {
	size_t narn, nmodel;	/* nmodel 0: could not be learned */
	int64_t until;		/* ask no sooner */
	char arn[HELPER_ASK_MAX], model[HIDDEN_ID_MAX];
};

struct account {
	struct upstream *up;	/* of the configuration; NULL: no AWS service */
	struct str ask;		/* of the helper */
	int told;		/* the owner knows whose keys are used */
	int64_t expires;	/* of last: unix s; 0: not known to */
	int64_t rest_until;	/* no look-up before then while last is good */
	size_t nlast;
	char last[HELPER_ANSWER_MAX];	/* the last good answer */
	uint64_t turn;
	struct endpoint endpoints[ENDPOINTS_MAX];
	size_t nhidden;
	struct hidden_model hidden[HIDDEN_MAX];
};

void account_init(struct proxy *p);
/* Sets c->aws, in c's arena, with the model behind an inference profile, and
 * turns c->up into the upstream of the call's region. OK; E_MORE: the helper is
 * looking, call again next turn; E_FAULT: c->fault; E_FULL. */
int account_ready(struct proxy *p, struct call *c);
/* The credentials were refused: they are looked up anew. */
void account_renew(struct proxy *p);
/* Once a turn: says at start whose keys are used. */
void account_tend(struct proxy *p);
/* One line about the credentials last found, without secrets; nothing if there
 * are none. */
void account_describe(const struct account *acc, struct buf *b);

/* ---- exchange.c ------------------------------------------------------- */

enum stage {
	X_NONE,
	X_LOCAL,		/* the backend answers by itself, paced */
	X_SIGN,			/* waits for credentials */
	X_WAIT,			/* no upstream slot free: for a moment */
	X_CONNECT, X_SEND, X_HEAD,
	X_REFUSED,		/* collecting a refusal's body */
	X_BODY
};

struct exchange {
	struct sink sink;	/* first: the tee */
	struct client *client;
	enum stage stage;
	struct conn *conn;
	struct call call;
	struct json doc;
	struct request req;
	struct notes notes;
	struct record rec;
	int recorded;		/* record_begin was called */
	struct arena before;	/* the arena as encode found it */
	struct buf in;		/* upstream: head, then content */
	size_t touched;		/* most of in ever used */
	size_t looked;		/* of in: that far no end was found, */
	size_t passed;		/* and so much the client has */
	size_t sent, total;	/* of head and body */
	int interim;
	int got_byte;		/* of the answer came */
	int redone;		/* a stale connection was replaced */
	int renewed;		/* the credentials were just looked up anew */
	unsigned char signer[SHA256_SIZE];	/* who signed last: a digest */
	struct http_head head;	/* of the answer */
	struct str limits;	/* header lines that follow from it */
	struct http_body body;
	int ready;		/* content to decode is there without a read */
	int content_done;	/* the body ended, */
	int clean;		/* 1 by its framing; 0 with its connection, or
				 * followed by bytes that belong to nothing; -1
				 * before its time */
	int committed;		/* the 200 is out */
	int finished;		/* answer complete or failed: nothing more */
	struct fold fold;
	int64_t deadline;	/* of the stage */
	int64_t by;		/* of the whole, for what has an answer to fall
				 * back on; LOOP_NEVER */
	int64_t commit_at;	/* 0: no */
	int64_t local_at;	/* when X_LOCAL or X_WAIT goes on */
	int64_t tail_at;	/* 0: no */
	int64_t last_out;	/* last byte for the client */
	struct str model_plain;	/* [1m] removed by the route */
};

/* The client's message is complete: starts the call of that kind. */
void exchange_start(struct proxy *p, struct client *c, enum call_kind kind);
/* Does what can be done now. */
void exchange_turn(struct proxy *p, struct client *c);
/* What the exchange waits for on its upstream connection. */
unsigned exchange_want(const struct client *c);
int64_t exchange_deadline(const struct client *c);
/* What is written to c->out between the two leaves as one chunk, where the
 * client speaks HTTP/1.1. last_chunk ends the body too. */
void chunk_begin(struct client *c);
void chunk_end(struct client *c);
void last_chunk(struct client *c);
/* The client is gone: upstream closed at once, record written. */
void exchange_cancel(struct proxy *p, struct client *c);

/* ---- client.c --------------------------------------------------------- */

enum client_state {
	CLIENT_FREE,
	CLIENT_HEAD,		/* waits for a request or reads its head */
	CLIENT_BODY,
	CLIENT_WORK,		/* an exchange is running */
	CLIENT_PAGE,		/* the monitor's answer is made as it is taken */
	CLIENT_REPLY,		/* the whole answer is in out */
	CLIENT_LINGER		/* closing: let the peer read our last words */
};

struct client {
	enum client_state state;
	int fd;
	size_t slot;
	struct sock_addr peer;
	int64_t deadline;
	struct slot_memory mem;
	struct arena a;		/* on mem.work, anew for each request */
	struct buf in;		/* CLIENT_IN bytes: heads, chunks, pipelined */
	size_t looked;		/* of in, by http_head_end */
	int begun;		/* bytes of this head have come, */
	int64_t begun_at;	/* the first of them then */
	struct http_head head;
	struct http_body body;
	struct buf content;	/* the request's body, in mem.work */
	uint64_t charged;	/* under MAX_MEMORY */
	struct buf out;		/* on mem.out */
	size_t out_sent, out_touched;
	size_t chunk;		/* in out: the open chunk's content; 0: none */
	int large;		/* holds more pages than a small request needs */
	int64_t rest_at;	/* when they go back */
	int said_continue;
	int close;		/* after this answer */
	int unread;		/* the body was not read to its end */
	int fin;		/* the peer ended its direction */
	int64_t probe_at;	/* look whether it is really gone; 0: no */
	char request_id[ID_MAX];
	struct page *page;	/* CLIENT_PAGE; in the arena */
	struct replay *replay;	/* NULL, or nothing is written any more */
	struct exchange x;
};

void client_accept(struct proxy *p, int fd, const struct sock_addr *peer);
void client_turn(struct proxy *p, struct client *c, int readable,
    int writable);
unsigned client_want(const struct client *c);
int64_t client_deadline(const struct proxy *p, const struct client *c);
void client_close(struct proxy *p, struct client *c);
struct str client_request_id(const struct client *c);

/* Complete answers. fields: whole lines with CRLF, or empty. They set state
 * to CLIENT_REPLY. */
void reply(struct client *c, int status, struct str type, struct str fields,
    struct str body);
void reply_fault(struct client *c, const struct fault *f);
/* The head of an answer whose body follows in chunks (HTTP/1.1) or to the
 * end of the connection (1.0). The exchange's limits are among its fields. */
void reply_head(struct client *c, struct buf *b, int status, struct str type,
    struct str fields, int64_t length);
/* The answer is whole: flush, then the next request or the end. */
void client_done(struct client *c);

/* ---- guard.c ---------------------------------------------------------- */

/* OK, or E_FAULT with the refusal. Before routing, on every path. */
int guard_check(const struct proxy *p, const struct http_head *h,
    struct fault *f);
/* The key, where one is configured: x-api-key or Bearer. The field that bore
 * it is emptied: it is ours, and no upstream's to see. */
int guard_key(const struct proxy *p, struct http_head *h, struct fault *f);
/* What the monitor's paths ask beyond guard_check: that it is on, a token or
 * key, and of a POST that it comes from our page. */
int guard_monitor(const struct proxy *p, struct http_head *h,
    struct fault *f);
/* Whether it is MONITOR_TOKEN, and the field that keeps it in a browser. */
int guard_token(const struct proxy *p, struct str token);
void guard_cookie(const struct proxy *p, struct buf *b);

/* ---- surface.c -------------------------------------------------------- */

enum path {
	PATH_NONE, PATH_MESSAGES, PATH_COUNT, PATH_MODELS, PATH_MODEL,
	PATH_HEALTH, PATH_ROOT, PATH_HELLO, PATH_EVENTS, PATH_METRICS,
	PATH_BATCHES, PATH_PAGE, PATH_REPLAY
};

/* Which path, by the decoded path with duplicate slashes collapsed. *rest:
 * what follows the prefix of PATH_MODEL and PATH_PAGE. text: CLIENT's arena keeps it. */
enum path surface_path(struct client *c, struct str *rest);
/* Methods of a path: "GET, HEAD". */
struct str surface_methods(enum path path);
int surface_allows(enum path path, struct str method);
/* Whether GET / is a browser's, to be sent on to the monitor. */
int surface_sends_on(const struct proxy *p, const struct http_head *h);
/* Answers what needs no upstream. */
void surface_answer(struct proxy *p, struct client *c, enum path path,
    struct str rest);
void surface_metrics(struct proxy *p, struct client *c);
/* GET /v1/models, with what the upstream listed. */
void surface_models(struct proxy *p, struct client *c, const struct str *ids,
    size_t n);

/* ---- watch.c ---------------------------------------------------------- */

/* Whether a request brings the monitor's token in its query: watch_start then
 * looks at it. */
int watch_admits(const struct proxy *p, const struct http_head *h);
/* The monitor's paths, but for replay. rest: what follows /dashboard. May
 * set CLIENT_PAGE. */
void watch_start(struct proxy *p, struct client *c, struct str rest);
/* Does what can be done now. */
void watch_turn(struct proxy *p, struct client *c);
int64_t watch_deadline(const struct proxy *p, const struct client *c);

/* ---- replay.c --------------------------------------------------------- */

/* The body of POST /dashboard/replay is there. */
void replay_start(struct proxy *p, struct client *c);
/* Where it goes: also "backend:model". */
int replay_route(struct proxy *p, struct str model, struct destination *d,
    struct fault *f);

/* ---- check.c ---------------------------------------------------------- */

/* --check: the settings, then a look at every upstream: name, connection,
 * TLS, and what it says to our credentials. Prints to standard output.
 * Returns the exit status: 0 when all that is configured works. */
int check_run(struct proxy *p);
/* Before rights are given up: says whether somebody listens on SERVER_SOCKET,
 * if it is set, and 1 if nobody could. */
int check_socket(const struct config *c);

/* ---- health.c --------------------------------------------------------- */

/* --health: asks the proxy that runs with this configuration. The exit status:
 * 0 when it answers as it should. */
int health_run(struct loop *l, const struct config *c);

/* ---- workers.c -------------------------------------------------------- */

/* Before rights are given up and memory is filled: a keeper for each worker's
 * helper. */
void workers_prepare(struct proxy *p, const struct helper_service *services,
    size_t n);
/* Starts them and watches over them until they are told to end. In a worker it
 * returns E_MORE, and the worker serves. Elsewhere OK; E_FAULT: one could not
 * go on, nor another in its place. */
int workers_run(struct proxy *p);
/* A worker's orders in place of signals, as LOOP_TERM: once to end when its
 * requests have, once more to end at once. */
unsigned workers_orders(struct proxy *p);

/* ---- serve.c ---------------------------------------------------------- */

/* What a slot waits for. That is computed from its state, which changes in its
 * own turn alone: in between it stands here, where a look at all slots costs
 * no more than reading one piece of memory. */
struct interest {
	int64_t at;		/* its next turn at the latest */
	int fd, up;		/* client and upstream, or -1 */
	unsigned char want, up_want;
	unsigned char known;	/* 0: something else may change it */
	unsigned char asks;	/* the helper, and may have its answer */
	unsigned char used;	/* if only by a replay, which has no client */
	unsigned char takes;	/* a new client may have this slot */
	unsigned char streams;	/* an answer is on its way in */
};

struct proxy {
	struct loop loop;
	struct helper helper;
	struct account account;
	struct tls_shared tls;
	struct config *config;
	struct monitor *monitor;
	struct ids ids;
	int64_t now;		/* loop_now() of this turn */
	int64_t monitor_at;	/* when the monitor wants its next turn */
	int listener[SOCK_LISTEN_MAX + 1];	/* ports and the socket */
	int nlisteners;
	struct local local;	/* SERVER_SOCKET */
	size_t streams;		/* answers on their way in */
	int64_t look_at;	/* at those who receive them, if many */
	int64_t accept_after;	/* out of descriptors: wait till then */
	int64_t turned_away;	/* when somebody was and it was said; 0: never */
	int64_t kept_out;	/* the same of other users at the socket */
	int draining;
	size_t n;		/* slots, clients, connections */
	struct client *clients;
	struct interest interest[CONNECTIONS_MAX];	/* one of each client */
	size_t nused;		/* one above the highest slot in use */
	unsigned worker;	/* which of WORKERS, from 1; 0: alone */
	int orders;		/* a worker's descriptor to who watches over it */
	_Atomic int *taken;	/* connections of each worker; shared */
	int64_t yield_until;	/* new ones are left to another; 0: not */
	size_t nall;		/* clients of all workers: memory that they */
	struct client *all;	/* share, so that one that died is accounted */
	struct conn *conns;
	struct tls *engines;	/* one of each connection */
	/* Connections that are pooled or drain; one that was taken up or closed
	 * stays in the list until conn_tend meets it. */
	unsigned short resting[CONNECTIONS_MAX];
	size_t nresting;
	char *memory;
	size_t work_size, in_size, out_size;
	uint64_t charged;	/* of MAX_MEMORY */
	struct str tls_why;	/* why no roots could be read */
	unsigned rights;	/* given up: SANDBOX_* */
};

/* One turn of the loop: wants, select, accept, serve. wake: look no later
 * than this. Returns the signals that came. */
unsigned proxy_turn(struct proxy *p, int64_t wake);
/* The monitor's own part of a turn: what it waits for, and its work. */
int64_t proxy_want_monitor(struct proxy *p);
void proxy_turn_monitor(struct proxy *p);
/* Nobody new: the listeners are closed, the socket's file removed. */
void proxy_stop_listening(struct proxy *p);
/* Clients that are not resting between requests. */
size_t proxy_busy(const struct proxy *p);

#endif
