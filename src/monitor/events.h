/* events.h -- what the files share that write a record's lines.
 *
 *	events.c		upstream attempts, the answer as it comes
 *	events_request.c	the request: what it is, what is new in it
 *	events_raw.c		exact bytes of both sides
 *	events_results.c	results of tools, and how long they took
 *	events_response.c	the end of an answer
 *
 * SPDX-License-Identifier: MIT */
#ifndef EVENTS_H
#define EVENTS_H

#include "lines.h"
#include "recognise.h"

extern const struct str event_absent;	/* written as null */

/* The text, or event_absent when there is none. */
struct str event_label(const struct label *l);
struct str event_text(const char *z);
/* The journal's key of a record's session; 0: none. */
uint32_t event_session(const struct record *r);
/* ,"cdx.preview": the beginning of a text; the line's private end. */
void event_preview(struct journal *j, struct jstr text);
/* Names of all contents of f->q, and their sums. */
void event_names(struct facts *f, struct quick *names, struct arena *scratch);
/* Writes what a request's line names: system blocks, tools, messages. */
void event_contents(struct record *r, const struct facts *f);
/* Keeps the client's exact bytes; after event_names. */
void event_raw(struct record *r, const struct facts *f);
/* New results of tools, as elements of the array that is open in the line; and
 * for the alerts. */
void event_results(struct record *r, const struct facts *f);
void event_results_told(struct record *r, const struct facts *f);

#endif
