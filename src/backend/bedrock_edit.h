/* bedrock_edit.h -- a body of Anthropic's, on its way to InvokeModel.
 *
 * bedrock_edit.c	what is left out or turned, part by part
 * bedrock_invoke.c	why, the rest of the body, and the answer
 *
 * The client's text is copied member by member, in its order and with its
 * numbers' spelling. Private to these files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BEDROCK_EDIT_H
#define BEDROCK_EDIT_H

#include "bedrock.h"

enum {
	EDIT_FLAGS = 32,	/* betas sent at once; clients send a dozen */
	EDIT_PATH = LEARNED_PATH + 32	/* longer than any path that matters */
};

/* Why a member may have to go. */
enum {
	ALWAYS = 1, NO_EDITS = 2, NO_SEARCH = 4, NO_EXAMPLES = 8,
	NO_STRICT = 16, NO_EFFORT = 32, NO_THINK = 64, NO_UPDATES = 128,
	NO_SAMPLING = 256, NO_TOP_P = 512, NO_TOOLS = 1024, NO_PROFILE = 2048,
	CITED = 4096, NO_TURNS = 8192
};

struct edit {
	struct call *c;
	const struct bedrock_model *m;
	const struct bedrock_learned *l;
	const struct request *r;
	struct buf b;			/* the body */
	unsigned why;			/* which of the reasons hold */
	unsigned needs, kept;		/* BETA_ bits: of members that are there;
					 * of flags that are sent */
	struct str flags[EDIT_FLAGS];
	size_t nflags;
	int newer;			/* anthropic_version 2026-10-21 */
	int turns;			/* role system stays among the messages */
	size_t leading;			/* system messages in front: of `system` */
	size_t users;			/* behind the last message of a user */
	size_t message, block;		/* where we are, for a refusal */
	struct jv effort;		/* that a turn asked for last, where turns
					 * can't say it; else absent */
	char path[EDIT_PATH];		/* of where we are: "tools.#.strict" */
	size_t npath;
	int fault;			/* OK; E_FAULT: c->fault is set */
};

/* Goes one member down; '#' for elements. e->npath must become what this
 * returns when leaving. */
size_t edit_enter(struct edit *e, struct str part);
/* Whether the member at the path goes; notes it. */
int edit_drops(struct edit *e);
/* Whether something inside the value at the path goes. */
int edit_reaches(const struct edit *e);
/* A comma, unless a list or an object was just opened. */
void edit_sep(struct edit *e);
void edit_key(struct edit *e, struct str key);
/* A value at the path, without what goes. */
void edit_value(struct edit *e, struct jv v);
/* An object at the path, looked into in any case. */
void edit_object(struct edit *e, struct jv v);
/* The member `system`, with the system messages in front; v may be absent.
 * Nothing when nothing is left. */
void edit_system(struct edit *e, struct jv v);
/* The list of messages. */
void edit_messages(struct edit *e);

#endif
