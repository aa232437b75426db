/* demo.h -- what the two parts of the demo backend share.
 *
 * demo.c         the pace: an answer told word by word
 * demo_script.c  what the answer is, out of the request
 *
 * SPDX-License-Identifier: MIT */
#ifndef DEMO_H
#define DEMO_H

#include "backend.h"

enum { DEMO_CALLS_MAX = 2 };

/* Plain text and JSON in the call's arena. */
struct demo_script {
	struct str thinking;	/* empty: none */
	struct str text;
	struct {
		struct jstr name;
		struct str input;	/* a JSON object */
	} calls[DEMO_CALLS_MAX];
	size_t ncalls;
};

/* The same request gives the same script. OK or E_FULL. */
int demo_script(struct demo_script *s, struct call *c);

/* Writes a JSON value that fits the schema: required members only, with what
 * the prompt gives or something harmless. path, prompt: plain text. */
void demo_fill(struct buf *b, struct jv schema, struct str path,
    struct str prompt);

#endif
