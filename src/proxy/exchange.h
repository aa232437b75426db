/* exchange.h -- what the three files of an exchange share.
 *
 *	exchange.c	from the client's request to the upstream's doorstep
 *	receive.c	the upstream's answer: framing off, decoded
 *	respond.c	towards the client: events, messages, errors, the end
 *
 * Each end (done, fail, pass_end) closes the exchange: afterwards its stage is
 * X_NONE, and nothing of it may be used but what stands in client.out.
 *
 * SPDX-License-Identifier: MIT */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "proxy.h"

enum {
	PING_EVERY = 10000	/* ms without a byte for the client */
};

/* ---- exchange.c: other ways on ---------------------------------------- */

/* The connection ended before the answer did: once more on a new one while
 * nothing has come, otherwise the error. */
void exchange_broken(struct proxy *p, struct client *c, struct str why);
/* The backend wants to ask again (CALL_RETRY), or one thing more (CALL_NEXT),
 * whose body decode has left. */
void exchange_retry(struct proxy *p, struct client *c);
void exchange_follow(struct proxy *p, struct client *c);

/* ---- receive.c -------------------------------------------------------- */

/* What can be read now, in X_HEAD; in X_BODY and X_REFUSED. */
void exchange_read_head(struct proxy *p, struct client *c);
void exchange_read_body(struct proxy *p, struct client *c);
/* Has the backend decode what stands in x.in. */
void exchange_decode(struct proxy *p, struct client *c);

/* ---- respond.c -------------------------------------------------------- */

/* Bytes that wait for the client. */
size_t exchange_backlog(const struct client *c);
/* The tee, a struct sink's event: the record first, then the client. */
void exchange_tee(struct sink *s, const struct event *e);
/* The answer is complete. */
void exchange_done(struct proxy *p, struct client *c);
/* call.fault says what happened. Before anything was committed it becomes an
 * HTTP error, afterwards the error event that ends the stream. */
void exchange_fail(struct proxy *p, struct client *c);
/* The reply is written, or nobody wants one. */
void exchange_close(struct proxy *p, struct client *c, enum outcome outcome);
/* Done with the upstream: back to the pool, if what was read leaves it clean. */
void exchange_drop(struct proxy *p, struct client *c);
/* Signs of life: the 200 when it is time, pings. */
void exchange_tend(struct proxy *p, struct client *c);

/* An answer that is passed on as it is: its head, its content, its end. */
void pass_head(struct client *c);
void pass_bytes(struct client *c, struct str bytes);
void pass_end(struct proxy *p, struct client *c);
int pass_is_stream(const struct exchange *x);

#endif
