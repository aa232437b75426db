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
	uint32_t document;	/* members of a document that are carried */
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

static int is_among(struct jstr key, const struct str *names, size_t n,
    uint32_t set)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (set >> i & 1 && jstr_eq(key, names[i]))
			return 1;
	return 0;
}

/* A note for each member of v that isn't among the n names, of which those in
 * the set were read. */
static void tell_members(const struct tell *t, struct jv v,
    const struct str *names, size_t n, uint32_t set, struct str where)
{
	struct json_iter it = json_iter(v);
	struct str name;
	struct buf b;

	if (!it.object)
		return;
	while (json_next(&it)) {
		if (is_among(it.key, names, n, set) ||
		    says_nothing(it.value) || is_said(t, where, it.key))
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

/* names: an array of all that were read. */
#define TELL(t, v, names, where) \
	tell_members((t), (v), (names), COUNT(names), ~(uint32_t)0, (where))

/* What is read of blocks of these types; the others are told of as a whole. */
static uint32_t read_of(const struct tell *t, enum block_type type)
{
	const uint32_t all = MEMBER(M_TYPE) | MEMBER(M_CACHE);

	switch (type) {
	case B_TEXT:
		return all | MEMBER(M_TEXT);
	case B_IMAGE:
		return all | MEMBER(M_SOURCE);
	case B_DOCUMENT:
		return all | t->document;
	case B_SEARCH_RESULT:
		return all | MEMBER(M_SOURCE) | MEMBER(M_TITLE) |
		    MEMBER(M_CONTENT);
	case B_THINKING:
		return MEMBER(M_TYPE) | MEMBER(M_THINKING) |
		    MEMBER(M_SIGNATURE);
	case B_TOOL_USE:
		return all | MEMBER(M_ID) | MEMBER(M_NAME) | MEMBER(M_INPUT);
	case B_TOOL_RESULT:
		return all | MEMBER(M_TOOL_USE_ID) | MEMBER(M_CONTENT) |
		    MEMBER(M_IS_ERROR);
	default:
		return ~(uint32_t)0;
	}
}

static void tell_block(const struct tell *t, const struct block *b,
    struct str where)
{
	static const struct str source[] = {
		{ "type", 4 }, { "media_type", 10 }, { "data", 4 },
		{ "url", 3 }, { "file_id", 7 }, { "content", 7 }
	};
	uint32_t read = read_of(t, b->type);

	if (b->members & ~read)
		tell_members(t, b->json, block_members, BLOCK_MEMBERS, read,
		    where);
	if (b->type == B_IMAGE || b->type == B_DOCUMENT)
		TELL(t, json_get(b->json, S("source")), source, S("source"));
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

void request_unread(const struct request *r, uint32_t document,
    struct arena *a, struct notes *notes, struct str why)
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
	const struct tell tell = { a, notes, why, document }, *t = &tell;
	size_t i;

	TELL(t, json_get(r->json, S("tool_choice")), choice, S("tool_choice"));
	TELL(t, json_get(r->json, S("thinking")), thinking, S("thinking"));
	TELL(t, json_get(r->json, S("metadata")), metadata, S("metadata"));
	TELL(t, json_get(r->json, S("output_config")), config,
	    S("output_config"));
	tell_blocks(t, r->system, r->nsystem, S("system"));
	for (i = 0; i < r->ntools; i++)
		if (r->tools[i].kind == TOOL_CLIENT)
			TELL(t, r->tools[i].json, tool, S("tools"));
	for (i = 0; i < r->nmessages; i++) {
		TELL(t, r->messages[i].json, message, S("messages"));
		tell_blocks(t, r->messages[i].blocks, r->messages[i].n,
		    S("content"));
	}
}
