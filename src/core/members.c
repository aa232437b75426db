/* members.c -- members of a request that a translation doesn't read, for the
 * notes: no field of a client's is absent upstream without a word.
 *
 * The body's own members are request.c's to name; here are those inside
 * messages, blocks, tools and the like.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

enum { MEMBER_SHOWN = 48 };	/* bytes of a name, for people */

struct tell {
	struct arena *a;
	struct notes *notes;
	struct str why;
	const char *document;	/* members of a document that are carried */
};

static int is_said(const struct tell *t, struct str where, struct jstr key)
{
	const struct notes *ns = t->notes;
	struct str f;
	size_t i;

	for (i = 0; i < ns->n; i++) {
		f = ns->v[i].field;
		if (str_starts(f, where) && f.n > where.n &&
		    f.p[where.n] == '.' &&
		    str_eq(str_from(f, where.n + 1), key.raw))
			return 1;
	}
	return 0;
}

static int says_nothing(struct jv v)
{
	return json_type(v) == JSON_NULL ||
	    (json_type(v) == JSON_ARRAY && json_count(v) == 0);
}

/* A note for each member of v that isn't among those that were read; known:
 * their names, a blank before and after each. */
static void tell_members(const struct tell *t, struct jv v, const char *known,
    struct str where)
{
	struct str names = str_of(known), rest, name;
	struct json_iter it = json_iter(v);
	struct buf b;
	size_t at;

	if (json_type(v) != JSON_OBJECT)
		return;
	while (json_next(&it)) {
		rest = names;
		while ((at = str_find(rest, it.key.raw)) < rest.n) {
			if (at && rest.p[at - 1] == ' ' &&
			    rest.p[at + it.key.raw.n] == ' ')
				break;
			rest = str_from(rest, at + 1);
		}
		if (at < rest.n || says_nothing(it.value) ||
		    is_said(t, where, it.key))
			continue;
		b = buf_open(t->a);
		buf_put(&b, where);
		buf_chr(&b, '.');
		name = str_head(it.key.raw, MEMBER_SHOWN);
		buf_put(&b, str_head(name, utf8_valid(name)));
		note(t->notes, NOTE_DROPPED, b.full ? where :
		    buf_end(t->a, &b), t->why);
	}
}

/* What blocks of these types have; the others are told of as a whole. */
static const char *members_of(const struct tell *t, enum block_type type)
{
	switch (type) {
	case B_TEXT:
		return " type text cache_control ";
	case B_IMAGE:
		return " type source cache_control ";
	case B_DOCUMENT:
		return t->document;
	case B_SEARCH_RESULT:
		return " type source title content cache_control ";
	case B_THINKING:
		return " type thinking signature ";
	case B_TOOL_USE:
		return " type id name input cache_control ";
	case B_TOOL_RESULT:
		return " type tool_use_id content is_error cache_control ";
	default:
		return NULL;
	}
}

static void tell_block(const struct tell *t, const struct block *b, struct str where)
{
	const char *known = members_of(t, b->type);

	if (!known)
		return;
	tell_members(t, b->json, known, where);
	if (b->type == B_IMAGE || b->type == B_DOCUMENT)
		tell_members(t, json_get(b->json, S("source")),
		    " type media_type data url file_id content ", S("source"));
}

static void tell_blocks(const struct tell *t, const struct block *b, size_t n,
    struct str where)
{
	size_t i, k;

	for (i = 0; i < n; i++) {
		tell_block(t, &b[i], where);
		for (k = 0; k < b[i].ncontent; k++)
			tell_block(t, &b[i].content[k], where);
	}
}

void request_unread(const struct request *r, const char *document,
    struct arena *a, struct notes *notes, struct str why)
{
	const struct tell tell = { a, notes, why, document }, *t = &tell;
	size_t i;

	tell_members(t, json_get(r->json, S("tool_choice")),
	    " type name disable_parallel_tool_use ", S("tool_choice"));
	tell_members(t, json_get(r->json, S("thinking")),
	    " type budget_tokens display ", S("thinking"));
	tell_members(t, json_get(r->json, S("metadata")), " user_id ",
	    S("metadata"));
	tell_members(t, json_get(r->json, S("output_config")),
	    " effort format ", S("output_config"));
	tell_blocks(t, r->system, r->nsystem, S("system"));
	for (i = 0; i < r->ntools; i++)
		if (r->tools[i].kind == TOOL_CLIENT)
			tell_members(t, r->tools[i].json, " type name "
			    "description input_schema strict defer_loading "
			    "cache_control ", S("tools"));
	for (i = 0; i < r->nmessages; i++) {
		tell_members(t, r->messages[i].json,
		    " role content clear_at output_config ", S("messages"));
		tell_blocks(t, r->messages[i].blocks, r->messages[i].n,
		    S("content"));
	}
}
