/* request.h -- what the two parts of the request's parser share.
 *
 * request.c  the body: scalars, messages, tools
 * block.c    content blocks; refusals with their path
 *
 * Private to these files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef REQUEST_H
#define REQUEST_H

#include "core.h"

struct parser {
	struct request *r;
	struct arena *a;
	struct notes *notes;
	struct fault *f;
	struct str root;	/* where we are: "messages", "system", ... */
	int64_t i, j, k, l;	/* element, its block, that block's, and its;
				 * -1: none */
};

#define WANT(what) S("Input should be " what)

/* As much of a client's string as a person wants to read. */
struct str parse_clip(struct jstr s);
/* All three give E_FAULT and the fault "PATH.key: why". what: a value to quote,
 * may be empty; an absent v is refused as a field that is required. */
int parse_refuse_value(struct parser *p, struct str key, struct str why,
    struct jstr what);
int parse_refuse(struct parser *p, struct str key, struct str why);
int parse_refuse_type(struct parser *p, struct str key, struct jv v,
    struct str want);

/* Absent and null are the same to every optional member. */
int parse_given(struct jv v);
/* Puts the members called names[i] into out[i]; the last of a name wins. n is
 * 31 at most. Returns the set of names found, with n in it for any other. */
uint32_t parse_members(struct jv object, const struct str *names,
    struct jv *out, size_t n);
/* White space alone, which the real API refuses (AN-11). */
int parse_is_blank(struct jstr s);
enum cache_mark parse_cache_mark(struct jv v);

/* A string, as the one text block it stands for. OK or E_FULL. */
int parse_one_text(struct parser *p, struct jv v, struct block **out,
    size_t *n);
/* Content of a message, or system, without blank texts; *at counts in the
 * path. OK, E_FAULT, E_FULL. */
int parse_blocks(struct parser *p, struct jv v, int64_t *at,
    struct block **out, size_t *n);

#endif
