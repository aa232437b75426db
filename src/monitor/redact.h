/* redact.h -- keys out of whatever is kept or shown.
 *
 * A push machine: text comes in pieces cut anywhere, and leaves with every
 * secret replaced by "[redacted KIND len=N]". What might still become a secret
 * is held back, a few hundred bytes at most. Known values go wherever they
 * stand; shapes (sk-ant-, AKIA, ghp_, a JWT, a private key, ...) where a word
 * begins. Works on plain text as on JSON source, any number of times escaped:
 * a replacement needs no escape and never eats a quote.
 *
 * SPDX-License-Identifier: MIT */
#ifndef REDACT_H
#define REDACT_H

#include "../base/base.h"

enum {
	REDACT_HOLD = 512,	/* longer than any beginning we wait for */
	REDACT_FIRST = 8
};

enum redact_kind {
	RK_CONFIGURED, RK_ANTHROPIC, RK_OPENROUTER, RK_OPENAI, RK_AWS,
	RK_GITHUB, RK_SLACK, RK_GOOGLE, RK_PRIVATE, RK_JWT, RK_BEARER, RK_API,
	RK_HEADER, RK_KINDS
};

/* "anthropic_key" and so on. */
const char *redact_kind_name(enum redact_kind k);

/* What is looked for; made once. */
struct redact_set {
	const struct str *secrets;
	size_t nsecrets;
	uint64_t count[RK_KINDS];	/* replaced so far */
	size_t nfirst;		/* more than REDACT_FIRST: any */
	char first[REDACT_FIRST];	/* bytes of known values */
	size_t run;		/* bytes of a word together that all others
				 * have */
	int odd;		/* but known values have not */
	unsigned char byte[256];
	unsigned char start[8192], known[8192];	/* bit per pair of first
						 * bytes */
};

void redact_set_init(struct redact_set *set, const struct str *secrets,
    size_t n);

struct redact {
	struct redact_set *set;
	unsigned char inside;	/* a key, a PEM block, or neither */
	unsigned char kind;
	unsigned char word;	/* the last byte was one of a word */
	uint64_t n;		/* bytes swallowed so far */
	size_t nheld;
	char held[REDACT_HOLD];
};

void redact_begin(struct redact *r, struct redact_set *set);
void redact_put(struct redact *r, struct buf *out, struct str in);
/* Whether something was begun whose end is to be seen. */
int redact_holds(const struct redact *r);
/* Writes what was held back. */
void redact_end(struct redact *r, struct buf *out);
/* All three at once. */
void redact_text(struct redact_set *set, struct buf *out, struct str in);
/* Whether a field's value must not be seen, by the field's name: authorization,
 * cookies, anything with key, token, secret, ... in it. */
int redact_field(struct str name);
/* A head (start line, fields, empty line) with such values replaced. */
void redact_head(struct redact_set *set, struct buf *out, struct str head);

#endif
