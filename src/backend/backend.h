/* backend.h -- what a model service must be able to do for us.
 *
 * A backend is one file and one struct backend. It turns the canonical
 * request into upstream bytes and upstream bytes into canonical events. It
 * knows nothing of sockets, TLS, chunking, clocks or the client. It never
 * allocates: memory is the call's arena and its zeroed state.
 *
 * To add one: the file, a line in backend.c's table, golden cases under
 * tests/golden/NAME/, a row in the README.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BACKEND_H
#define BACKEND_H

#include "../core/core.h"
#include "../wire/http.h"

struct backend;
struct aws_credentials;		/* bedrock.h */

/* A configured service. Made at start, constant while serving but for facts,
 * where a backend keeps what it learns (OA-5, OA-131). */
struct upstream {
	const struct backend *backend;
	struct str name;		/* for people: "openai", "ollama" */
	int tls;
	struct str host;		/* name or address, no brackets */
	unsigned port;
	struct str authority;		/* value of the Host field */
	struct str base;		/* path before ours: "", "/v1"; no last slash */
	struct str key;			/* empty: none */
	struct str model;		/* default upstream model; may be empty */
	struct str warning;		/* for its owner, from configure; static */
	int64_t window, max_output;	/* of its models, in tokens, as configured;
					 * 0: not known */
	void *facts;			/* backend->facts_size bytes, zeroed once */
};

enum call_kind { CALL_MESSAGES, CALL_COUNT, CALL_MODELS };

enum {
	CALL_MODELS_MAX = 1000,	/* ids kept of an upstream's list */
	WINDOW_SMALL = 32768	/* tokens; Claude Code's instructions and tools
				 * are 15k to 25k before the first word */
};

/* Results of refuse and decode, beside those of base.h. */
enum {
	CALL_DONE = 2,		/* the answer is complete */
	CALL_RETRY = 3,		/* encode again and send once more: something was
				 * learned. Only while !answer.started */
	CALL_NEXT = 4		/* of decode, never for CALL_MESSAGES: the answer
				 * takes one more call, of the body it left;
				 * arena and state stay */
};

/* One call to an upstream. The caller sets the first part, then
 *   encode, head, (send), begin, decode*,        for a 2xx, and after
 *                                                CALL_NEXT from head on
 *   encode, head, (send), refuse                 for anything else
 * with encode starting over after CALL_RETRY (attempt is then 1, the arena
 * where it was before the first encode, state zeroed). */
struct call {
	enum call_kind kind;
	const struct request *req;	/* NULL for CALL_MODELS */
	struct upstream *up;
	struct str model;		/* for the upstream, plain bytes */
	const struct http_head *client;	/* the client's head: for passing
					 * through, session hints */
	struct arena *a;
	struct notes *notes;
	struct ids *ids;
	struct answer answer;		/* sink, id, model set by the caller */
	int attempt;
	unsigned tried;			/* the backend's own; kept over CALL_RETRY */
	int64_t now;			/* unix time, seconds */
	uint64_t now_ms;		/* monotonic, for what is remembered */
	void *state;			/* backend->state_size zeroed bytes */
	const struct aws_credentials *aws;	/* set when the backend asks for
						 * them (signed_aws) */
	struct str own_key;		/* PROXY_API_KEY: a client that shows it
					 * shows it to us, it is never sent on */

	/* Set by encode. */
	struct str body[3];		/* sent one after the other */
	size_t nbody;
	int64_t estimate;		/* input tokens of what is sent */
	int upstream_stream;		/* 1: asked for a stream */
	struct str served;		/* the model by its name there, where
					 * that isn't c->model */
	/* Set by head: request line and fields, with the empty line. */
	struct str head;

	/* Results. */
	struct fault fault;		/* after E_FAULT */
	int renew;			/* with CALL_RETRY: look the credentials up
					 * anew first */
	int64_t counted;		/* CALL_COUNT: tokens; -1 */
	struct str *models;		/* CALL_MODELS: ids in the arena */
	size_t nmodels;
	int64_t window;			/* CALL_MODELS: of the call's model; 0: the
					 * list doesn't tell */
	unsigned wait_ms;		/* set by decode with OK. Local: call decode
					 * again after this. Else, when not 0: the
					 * answer may be over already; after that
					 * long without a byte, call decode with
					 * end and clean 1 */
};

struct backend {
	const char *name;		/* as in LLM_BACKEND and MODEL_MAP */
	size_t facts_size, state_size;
	int local;			/* no upstream: decode makes the answer */
	int signed_aws;			/* wants call.aws before encode */
	int retries;			/* CALL_RETRY so often at most; 0 means 1 */
	int passthrough;		/* the client gets the upstream's bytes; decode
					 * serves the record only */

	/* At start. profile, flags: OPENAI_PROFILE, OPENAI_FLAGS. OK or
	 * E_FAULT with a message that names the variable. */
	int (*configure)(struct upstream *u, struct str profile,
	    struct str flags, struct fault *f);

	/* Writes c->body, c->estimate. OK; E_FAULT (the client's mistake, or
	 * this backend can't serve it); E_FULL (arena); CALL_DONE (answered
	 * without an upstream, events were emitted); E_NONE (COUNT, MODELS: this
	 * service can't say; use c->estimate). */
	int (*encode)(struct call *c);

	/* Writes c->head into the arena: credentials, signature, length. */
	int (*head)(struct call *c);

	/* A 2xx head arrived. OK or E_FAULT. */
	int (*begin)(struct call *c, const struct http_head *h);

	/* Takes whole frames off the front of *in and emits events; in's bytes
	 * may be changed. OK: nothing more to take now (what is left of *in is an
	 * unfinished frame). end: the upstream's body is complete; clean: 1 if
	 * its framing said so, 0 if the connection just ended; decode must then
	 * return CALL_DONE, E_FAULT or CALL_RETRY.
	 * CALL_DONE may come before the end: what follows is dropped.
	 * E_FAULT: c->fault is set; if answer.started, the caller sends it as the
	 * error event (answer_error), else as an HTTP error. E_MORE, of a
	 * passthrough alone: the stream broke off or broke its protocol, and
	 * the client was not told. */
	int (*decode)(struct call *c, struct str *in, int end, int clean);

	/* Any other status, with the body as far as it was read (bounded).
	 * E_FAULT, CALL_RETRY, or CALL_DONE (answered by events, OA-120). */
	int (*refuse)(struct call *c, const struct http_head *h,
	    struct str body);
};

extern const struct backend backend_openai, backend_anthropic, backend_demo,
    backend_bedrock;

/* NULL when there is none of that name. */
const struct backend *backend_find(struct str name);
/* All of them, in the order of --help; NULL after the last. */
const struct backend *backend_at(size_t i);

/* What head functions share: the request line (target is the whole, up->base
 * included), host, user-agent (the client's own where its bytes pass through),
 * accept-encoding: identity and, but for a GET without body, content-length.
 * The caller adds its own fields, content-type too, and the empty line. */
void head_begin(struct buf *b, struct str method, const struct call *c,
    struct str target);
size_t body_size(const struct call *c);
/* This machine: localhost, ::1 or an address of 127/8 in numbers. Names that
 * begin like one are anybody's. */
int host_is_loopback(struct str host);

/* What refuse functions share (OA-119, OA-120): the status row for an
 * upstream's status, Retry-After bounded, secrets masked. */
void fault_from_status(struct fault *f, int status, struct str upstream,
    struct str text);
/* Seconds from a Retry-After field, -1 when absent or malformed. */
int retry_after(const struct http_head *h, int64_t now);
/* Header lines of an answer's anthropic-ratelimit-*, from x-ratelimit-* of
 * the upstream's head: what it doesn't state, or states malformed, is left
 * out. now_ms: unix time. */
enum { LIMITS_MAX = 512 };	/* bytes of all six */
void put_limits(struct buf *b, const struct http_head *h, int64_t now_ms);
/* Masks what looks like a key, and up->key itself. */
void put_masked(struct buf *b, struct str text, struct str key);
/* Reads "prompt is too long" out of the wordings of all services (OA-120).
 * 1 if it is one; tokens and limit are 0 when the text doesn't say. */
int overflow_text(struct str text, uint64_t *tokens, uint64_t *limit);
/* The fault that makes Claude Code compact (AN-25). */
void fault_overflow(struct fault *f, uint64_t tokens, uint64_t limit);

#endif
