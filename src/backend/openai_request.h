/* openai_request.h -- what the parts of the sending side share.
 *
 * A plan is made first, in the arena: turns, which result answers which call,
 * which tools are sent, what comes back out of envelopes. Then the body is
 * written once, from front to back, into the rest of the arena.
 *
 * SPDX-License-Identifier: MIT */
#ifndef OPENAI_REQUEST_H
#define OPENAI_REQUEST_H

#include "keys.h"
#include "openai.h"

enum item_kind {
	ITEM_BLOCK,
	ITEM_SYSTEM,		/* a system message inside the conversation */
	ITEM_SUMMARY		/* compaction: stands for what came before it */
};

struct item {
	enum item_kind kind;
	const struct block *b;
	const struct message *m;	/* where it came from */
	/* tool_use: its result, NULL if there is none. tool_result: not NULL
	 * when a call takes it. */
	const struct item *pair;
	int repeated;		/* tool_result: a later one wins (OA-40) */
	struct jv envelope;	/* OA-65: of a thinking block's signature; of a
				 * tool_use, out of the cache */
};

/* Neighbours of equal role, as one. */
struct turn {
	enum role role;
	struct item *items;
	size_t n;
	size_t calls;
	size_t results;		/* index of the turn with the calls' results;
				 * 0: there is none */
};

/* A tool that stands for a member of a toolset (OA-56). */
struct member_tool {
	struct tool tool;
	struct jstr set, member;
};

enum { WROTE_MAX = 32 };	/* twice what any profile writes */

struct enc {
	struct call *c;
	const struct openai_flags *flags;
	const struct request *req;
	struct openai_sent *sent;

	struct turn *turns;
	size_t nturns;
	int talks;		/* a user message will be there */
	size_t last_text;	/* the last turn in which the user speaks */

	const struct tool **tools;	/* sent, with sent->names beside them */
	size_t ntools;
	struct member_tool *members;	/* some of tools point in here */
	size_t nmembers;
	const struct tool *lone;	/* server tool that was all there was, or that
				 * was asked for by name: the model is told */
	enum tool_choice choice;
	struct str choice_name;

	struct json extra;	/* extra_body (OA-28) */
	int has_extra;
	int schema_in_text;	/* the answer's schema goes into the system text */
	int marks;		/* cache_control is kept on text parts (OA-22) */
	enum effort effort;	/* as sent; UNSET when not */

	struct buf b;		/* the body */
	struct str wrote[WROTE_MAX];	/* names of its members */
	size_t nwrote;
	size_t nmessages;	/* written so far */
	uint64_t cost;		/* hundredths of a token (OA-129) */
	int images;
};

/* ---- openai_turns.c ---- */

int openai_plan_turns(struct enc *e);	/* OK, E_FAULT, E_FULL */

/* ---- openai_tools.c ---- */

int openai_plan_tools(struct enc *e);
void openai_put_tools(struct enc *e);	/* the fields; nothing without tools */
void openai_put_name(struct enc *e, struct buf *b, struct jstr name);

/* ---- openai_toolset.c ---- */

/* How many tools a toolset may become; 0: we don't know its members. */
size_t openai_toolset_size(const struct tool *t);
/* Adds those that are on to e->tools and e->members, where there is room. OK or
 * E_FULL. */
int openai_toolset_expand(struct enc *e, const struct tool *t);
/* The name of a call as it is sent: b of the history. */
void openai_put_call_name(struct enc *e, const struct block *b);

/* ---- openai_media.c ---- */

/* Whether a block is sent as a part that isn't text. */
int openai_is_media(const struct enc *e, const struct block *b);
void openai_put_media(struct enc *e, const struct block *b);
/* In the place of what can't be sent: section 12 on OA-34 and OA-39. */
void openai_put_omitted(struct enc *e, const struct block *b);
/* A title inside quotes of its own: " becomes '. */
void openai_put_title(struct buf *b, struct jstr title);

/* ---- openai_messages.c ---- */

void openai_put_messages(struct enc *e);	/* the array */
/* {"role":"...", with the comma before it. */
void openai_message_begin(struct enc *e, struct str role);
/* The same id for a call and for its result (OA-44). */
void openai_put_id(struct enc *e, struct jstr id);
/* Text of a JSON string; parts takes the images among it, NULL: nobody does. */
struct openai_parts;
void openai_put_document(struct enc *e, const struct block *b,
    struct openai_parts *parts);
void openai_put_search_result(struct enc *e, const struct block *b);
/* A whole message: the result of a call, or that there is none. */
void openai_put_tool_message(struct enc *e, const struct item *call);
/* Whether a user's turn makes a user message; tool messages are none. */
int openai_has_parts(const struct enc *e, const struct turn *t);

/* ---- openai_assistant.c ---- */

void openai_put_assistant(struct enc *e, size_t at);
/* Whether anything of a server tool's result can be read (OA-45). */
int openai_readable(const struct block *b);

/* A top-level field: key before its value, key_end after it, which takes it
 * back if extra_body has one of that name (OA-28). */
size_t openai_key(struct enc *e, struct str name);
void openai_key_end(struct enc *e, struct str name, size_t mark);
void openai_put_raw(struct enc *e, struct str name, struct str value);
/* Whether a member of that name was written. */
int openai_wrote(const struct enc *e, const char *name);
/* openai_account.c: notes for what stands nowhere in the body, once it is
 * written. */
void openai_account(struct enc *e);
/* A field that an upstream may refuse: whether to send it now. */
int openai_may_send(struct enc *e, enum openai_param p);

/* ---- openai_effort.c ---- */

void openai_put_thinking(struct enc *e);	/* the fields, and e->effort */
/* Whether the client wants to see the model think (OA-64). */
int openai_shows(const struct request *r);
/* Models that OpenRouter can give a budget, and that know cache marks. */
int openai_is_claude_or_gemini(const struct enc *e);

/* Whether sampling will do: where the service's own figures are to come; and
 * where earlier ones have corrected such an estimate, as its ratio (OA-131)
 * holds for no other way of counting. */
static inline int counts_nearly(const struct enc *e)
{
	return e->c->kind != CALL_COUNT || openai_learned(e->c)->ratio;
}

/* A text of the request, which may have lone surrogates. */
static inline void put_text(struct enc *e, struct jstr s)
{
	const struct json *doc = e->req->json.doc;

	if (doc && doc->plain)
		buf_put(&e->b, s.raw);
	else
		json_put(&e->b, s);
}

/* Counts what was written since `from` as text of a JSON string. */
static inline void cost_text(struct enc *e, size_t from)
{
	struct jstr s = { str_from(buf_str(&e->b), from) };

	e->cost += counts_nearly(e) ?
	    estimate_kept(openai_estimates(e->c), s.raw,
	    e->flags->vocabulary) :
	    estimate_jstr(s, e->flags->vocabulary);
}

/* The lower-case hex SHA-256 of a string, unescaped: n digits of it. */
void openai_put_hash(struct buf *b, struct jstr s, size_t n);

#endif
