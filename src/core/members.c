/* members.c -- members of a request that a translation doesn't read, for the
 * notes: no field of a client's is absent upstream without a word.
 *
 * The body's own members are request.c's to name; here are those inside
 * messages, blocks, tools and the like.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

enum { MEMBER_SHOWN = 48 };	/* bytes of a name, for people */

/* Names of members that are read. */
struct names {
	const struct str *v;
	size_t n;
};

#define NAMES(list) ((struct names){ (list), COUNT(list) })

struct tell {
	struct arena *a;
	struct notes *notes;
	struct str why;
	struct names document;	/* members of a document that are carried */
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

static int is_among(struct jstr key, struct names names)
{
	size_t i;

	for (i = 0; i < names.n; i++)
		if (jstr_eq(key, names.v[i]))
			return 1;
	return 0;
}

/* A note for each member of v that isn't among those that were read. */
static void tell_members(const struct tell *t, struct jv v, struct names read,
    struct str where)
{
	struct json_iter it = json_iter(v);
	struct str name;
	struct buf b;

	if (!it.object)
		return;
	while (json_next(&it)) {
		if (is_among(it.key, read) || says_nothing(it.value) ||
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
static struct names members_of(const struct tell *t, enum block_type type)
{
	static const struct str text[] = {
		{ "type", 4 }, { "text", 4 }, { "cache_control", 13 }
	}, image[] = {
		{ "type", 4 }, { "source", 6 }, { "cache_control", 13 }
	}, search_result[] = {
		{ "type", 4 }, { "source", 6 }, { "title", 5 },
		{ "content", 7 }, { "cache_control", 13 }
	}, thinking[] = {
		{ "type", 4 }, { "thinking", 8 }, { "signature", 9 }
	}, tool_use[] = {
		{ "type", 4 }, { "id", 2 }, { "name", 4 }, { "input", 5 },
		{ "cache_control", 13 }
	}, tool_result[] = {
		{ "type", 4 }, { "tool_use_id", 11 }, { "content", 7 },
		{ "is_error", 8 }, { "cache_control", 13 }
	};

	switch (type) {
	case B_TEXT:
		return NAMES(text);
	case B_IMAGE:
		return NAMES(image);
	case B_DOCUMENT:
		return t->document;
	case B_SEARCH_RESULT:
		return NAMES(search_result);
	case B_THINKING:
		return NAMES(thinking);
	case B_TOOL_USE:
		return NAMES(tool_use);
	case B_TOOL_RESULT:
		return NAMES(tool_result);
	default:
		return (struct names){ NULL, 0 };
	}
}

static void tell_block(const struct tell *t, const struct block *b,
    struct str where)
{
	static const struct str source[] = {
		{ "type", 4 }, { "media_type", 10 }, { "data", 4 },
		{ "url", 3 }, { "file_id", 7 }, { "content", 7 }
	};
	struct names read = members_of(t, b->type);

	if (!read.v)
		return;
	tell_members(t, b->json, read, where);
	if (b->type == B_IMAGE || b->type == B_DOCUMENT)
		tell_members(t, json_get(b->json, S("source")), NAMES(source),
		    S("source"));
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

void request_unread(const struct request *r, const struct str *document,
    size_t ndocument, struct arena *a, struct notes *notes, struct str why)
{
	static const struct str choice[] = {
		{ "type", 4 }, { "name", 4 }, { "disable_parallel_tool_use", 25 }
	}, thinking[] = {
		{ "type", 4 }, { "budget_tokens", 13 }, { "display", 7 }
	}, metadata[] = {
		{ "user_id", 7 }
	}, config[] = {
		{ "effort", 6 }, { "format", 6 }
	}, tool[] = {
		{ "type", 4 }, { "name", 4 }, { "description", 11 },
		{ "input_schema", 12 }, { "strict", 6 }, { "defer_loading", 13 },
		{ "cache_control", 13 }
	}, message[] = {
		{ "role", 4 }, { "content", 7 }, { "clear_at", 8 },
		{ "output_config", 13 }
	};
	const struct tell tell = { a, notes, why, { document, ndocument } },
	    *t = &tell;
	size_t i;

	tell_members(t, json_get(r->json, S("tool_choice")), NAMES(choice),
	    S("tool_choice"));
	tell_members(t, json_get(r->json, S("thinking")), NAMES(thinking),
	    S("thinking"));
	tell_members(t, json_get(r->json, S("metadata")), NAMES(metadata),
	    S("metadata"));
	tell_members(t, json_get(r->json, S("output_config")), NAMES(config),
	    S("output_config"));
	tell_blocks(t, r->system, r->nsystem, S("system"));
	for (i = 0; i < r->ntools; i++)
		if (r->tools[i].kind == TOOL_CLIENT)
			tell_members(t, r->tools[i].json, NAMES(tool),
			    S("tools"));
	for (i = 0; i < r->nmessages; i++) {
		tell_members(t, r->messages[i].json, NAMES(message),
		    S("messages"));
		tell_blocks(t, r->messages[i].blocks, r->messages[i].n,
		    S("content"));
	}
}
