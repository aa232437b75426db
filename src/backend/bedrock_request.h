/* bedrock_request.h -- what the parts of the Converse request share.
 *
 * bedrock_turns.c    whose turn it is, which result answers which call
 * bedrock_content.c  the elements of messages and of system
 * bedrock_media.c    images and documents among them
 * bedrock_tools.c    tools and tool_choice
 * bedrock_converse.c the other fields, and the whole
 *
 * A plan is made first, in the arena: turns, ids, names. Then the body is
 * written once, from front to back, into the rest of the arena.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BEDROCK_REQUEST_H
#define BEDROCK_REQUEST_H

#include "bedrock.h"
#include "keys.h"

enum {
	MARKS_MAX = 4,		/* cache points of a request (BR-69) */
	NAMES_KEPT = 32,	/* of documents, to be told apart; the service
				 * takes five */
	BETAS_MAX = 24		/* what clients send, times two */
};

/* A block that becomes one element of a message's content. */
struct part {
	const struct block *b;		/* NULL: the system message m */
	const struct message *m;
	struct str id;			/* of calls and results, as sent */
	enum cache_mark mark;
	int paired;		/* a call with its result, or such a result */
	int flat;		/* a call or a result that is sent as text */
};

/* Neighbours of equal role, as one. */
struct turn {
	enum role role;
	struct part *parts;
	size_t n;
	size_t calls;		/* sent as calls */
	struct str filler;	/* what it says if it says nothing */
	int made;		/* not the client's: said so already */
};

/* A tool under the name that the service takes. t NULL: the history has it,
 * the request doesn't (BR-64). */
struct sent_tool {
	const struct tool *t;
	struct jstr name, theirs;
};

struct enc {
	struct call *c;
	struct bedrock *st;
	const struct request *req;
	const struct bedrock_options *opt;
	struct bedrock_learned *learned;
	unsigned can;
	int claude, nova;
	int flatten;		/* no tools upstream: calls are text */

	struct turn *turns;
	size_t nturns;
	size_t leading;		/* system messages in front: part of `system` */
	size_t wished;		/* cache points in messages */
	int history;		/* calls or results are sent as such */

	struct sent_tool *tools;
	size_t ntools;
	size_t native;		/* Anthropic's own client tools */
	const struct tool *lone;	/* a server's tool that was asked for */
	enum tool_choice choice;

	int thinking;		/* Claude's field is sent, */
	int thinks;		/* and turns it on */
	int64_t budget;
	enum effort effort;	/* as sent; UNSET when not */
	int64_t max_tokens;
	int schema_in_text;	/* the answer's schema goes into `system` */
	struct str betas[BETAS_MAX];
	size_t nbetas;
	unsigned carried;	/* what they allow: BETA_ bits */

	struct buf b;		/* the body */
	size_t marks;		/* cache points written */
	size_t skip;		/* those still to be left out in messages */
	int short_mark;		/* one was for 5 minutes: none may be longer */
	size_t texts, documents;	/* elements of the message in hand */
	struct str lead;	/* goes in front of the next text */
	struct str names[NAMES_KEPT];
	size_t ndocuments;	/* of the request */
	int refused;		/* c->fault says why; sticky */
	uint64_t bytes;		/* of text (BR-133) */
	uint64_t tokens;	/* of everything else */
};

/* ---- bedrock_turns.c ---- */

/* The character at s.p[*at] of escaped text; *at is moved past it. Escapes
 * that are control characters come as blanks, surrogates one by one. */
uint32_t bedrock_char(struct str s, size_t *at);
/* Blank by Unicode, and characters without width: nothing to see (BR-55). */
int bedrock_blank(struct jstr s);
struct jstr bedrock_trim_end(struct jstr s);
/* OK, E_FAULT, E_FULL. */
int bedrock_plan_turns(struct enc *e);
/* n lower-case hex digits of the SHA-256 of the unescaped text. */
void bedrock_put_hash(struct buf *b, struct jstr s, size_t n);

/* ---- bedrock_content.c ---- */

/* The last byte written; 0: none. */
static inline char bedrock_last(const struct enc *e)
{
	return e->b.n ? e->b.p[e->b.n - 1] : 0;
}
/* A comma, unless this is the first in its list or object. */
void bedrock_comma(struct enc *e);
/* Escaped text, counted. */
void bedrock_put_text(struct enc *e, struct jstr s);
void bedrock_count_text(struct enc *e, struct str raw);
/* {"text":" and its end. */
void bedrock_text_begin(struct enc *e);
void bedrock_text_end(struct enc *e);
/* A whole text element. */
void bedrock_put_line(struct enc *e, struct str text);
/* A cache point, if the model takes one and there may be one more. */
void bedrock_put_mark(struct enc *e, enum cache_mark mark);
/* "system":[...], nothing if it says nothing; and the array of messages. */
void bedrock_put_system(struct enc *e);
void bedrock_put_messages(struct enc *e);

/* ---- bedrock_media.c ---- */

/* b is p's block, or one inside it. May refuse (e->refused). */
void bedrock_put_image(struct enc *e, const struct part *p,
    const struct block *b);
void bedrock_put_document(struct enc *e, const struct part *p,
    const struct block *b);
/* Whether a document can be sent as one, by this model; else it is text. */
int bedrock_is_file(const struct enc *e, const struct block *b);
/* Whether there is a text inside that isn't blank, and all of those as
 * [{"text":...}]. */
int bedrock_has_words(const struct block *b);
void bedrock_put_texts(struct enc *e, const struct block *b);

/* ---- bedrock_tools.c ---- */

/* A tool's name as the service takes it (BR-62). */
void bedrock_put_name(struct enc *e, struct buf *b, struct jstr name);
int bedrock_plan_tools(struct enc *e);	/* OK, E_FULL */
/* toolConfig, if there is one. */
void bedrock_put_tools(struct enc *e);
/* Members of additionalModelRequestFields for Claude. */
void bedrock_put_native(struct enc *e);

/* ---- bedrock_converse.c ---- */

/* "name": with the comma before it. */
void bedrock_key(struct enc *e, struct str name);
/* A note; returns 0. */
int bedrock_dropped(struct enc *e, struct str field, struct str why);
/* Whether this model refused a member of Claude's own fields before (BR-25);
 * indices as '#'. */
int bedrock_stripped(struct enc *e, struct str path);
/* Whether the flag is sent with this request. */
int bedrock_add_beta(struct enc *e, struct str flag);

#endif
