/* anthropic.h -- Anthropic's own answers, read into events: for the record of
 * what passes through, and for other services that carry the same JSON.
 *
 * SPDX-License-Identifier: MIT */
#ifndef ANTHROPIC_H
#define ANTHROPIC_H

#include "backend.h"

/* What an answer has said so far. A zeroed one is ready. */
struct anthropic_answer {
	struct usage usage;
	enum stop_reason stop;
	struct jstr stop_sequence, explanation;	/* in the call's arena */
	int begun;
	struct alike alike;	/* deltas of one kind, */
	size_t kind;		/* which */
	int told;		/* the fault is the service's own event */
};

/* One event's JSON (the data of an SSE event) into c->answer. OK; CALL_DONE
 * at message_stop; E_FAULT for an error event and for what isn't JSON; E_FULL.
 * Unknown events, blocks and deltas are passed over. Keeps a little in c->a. */
int anthropic_event(struct call *c, struct anthropic_answer *an,
    struct str json);
/* A whole Message. CALL_DONE, E_FAULT, E_FULL. */
int anthropic_message(struct call *c, struct anthropic_answer *an,
    struct str json);
/* Reads an error body's words into c->fault, type and all, under that status;
 * 0: the status that belongs to the type. */
void anthropic_fault(struct call *c, int status, struct str body);
/* Whether a thinking block's signature is none of Anthropic's: missing, or
 * made here (OA-65). To be left out of what Claude is sent. */
int anthropic_foreign(struct jstr signature);

#endif
