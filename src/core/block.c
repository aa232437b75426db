/* block.c -- content blocks of a request, and how any part of it is refused.
 *
 * Blocks nest two levels, and the second in documents and search results
 * alone: a tool_result inside a tool_result has a type and no content. That
 * bound makes recursion needless.
 *
 * SPDX-License-Identifier: MIT */
#include "request.h"

enum { QUOTE_MAX = 48 };	/* bytes of the client's value in a message */

/* ---- refusals ---- */

/* As much of a client's string as a person wants to read. */
struct str parse_clip(struct jstr s)
{
	struct str head = str_head(s.raw, QUOTE_MAX);

	return str_head(head, utf8_valid(head));
}

static void put_index(struct buf *b, struct str before, int64_t i)
{
	if (i < 0)
		return;
	buf_put(b, before);
	buf_int(b, i);
}

/* key: the member, may be empty; what: a value to quote, may be empty. */
int parse_refuse_value(struct parser *p, struct str key, struct str why,
    struct jstr what)
{
	char path[160];
	struct buf b = buf_on(path, sizeof path);
	int quote = what.raw.n != 0;

	buf_put(&b, p->root);
	put_index(&b, S("."), p->i);
	put_index(&b, str_eq(p->root, S("messages")) ? S(".content.") : S("."),
	    p->j);
	put_index(&b, S(".content."), p->k);
	put_index(&b, S(".content."), p->l);
	if (key.n && b.n)
		buf_chr(&b, '.');
	buf_put(&b, key);
	FAULT(p->f, 400, buf_str(&b), S(": "), why, quote ? S(" \"") : S(""),
	    parse_clip(what), quote ? S("\"") : S(""));
	return E_FAULT;
}

int parse_refuse(struct parser *p, struct str key, struct str why)
{
	return parse_refuse_value(p, key, why, (struct jstr){ S("") });
}

int parse_refuse_type(struct parser *p, struct str key, struct jv v,
    struct str want)
{
	if (json_type(v) == JSON_ABSENT)
		return parse_refuse(p, key, S("Field required"));
	return parse_refuse(p, key, want);
}

/* ---- members ---- */

/* Absent and null are the same to every optional member. */
int parse_given(struct jv v)
{
	return json_type(v) != JSON_ABSENT && json_type(v) != JSON_NULL;
}

uint32_t parse_members(struct jv object, const struct str *names,
    struct jv *out, size_t n)
{
	struct json_iter it = json_iter(object);
	uint32_t found = 0;
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = (struct jv){ NULL, 0 };
	if (!it.object)
		return 0;
	while (json_next(&it)) {
		for (i = 0; i < n; i++)
			if (jstr_eq(it.key, names[i])) {
				out[i] = it.value;
				break;
			}
		found |= (uint32_t)1 << i;
	}
	return found;
}

/* White space alone, which the real API refuses (AN-11). */
int parse_is_blank(struct jstr s)
{
	static const char escapes[] = "ntrf";
	size_t i;

	for (i = 0; i < s.raw.n; i++) {
		char c = s.raw.p[i];

		if (c == ' ')
			continue;
		if (c != '\\' || ++i == s.raw.n ||
		    !memchr(escapes, s.raw.p[i], sizeof escapes - 1))
			return 0;
	}
	return 1;
}

enum cache_mark parse_cache_mark(struct jv v)
{
	if (!json_is(json_get(v, S("type")), S("ephemeral")))
		return CACHE_NONE;
	return json_is(json_get(v, S("ttl")), S("1h")) ? CACHE_1H : CACHE_5M;
}

/* ---- blocks ---- */

const struct str block_members[BLOCK_MEMBERS] = {
	{ "type", 4 }, { "text", 4 }, { "source", 6 }, { "title", 5 },
	{ "context", 7 }, { "content", 7 }, { "id", 2 }, { "name", 4 },
	{ "input", 5 }, { "tool_use_id", 11 }, { "is_error", 8 },
	{ "thinking", 8 }, { "signature", 9 }, { "data", 4 },
	{ "tool_name", 9 }, { "file_id", 7 }, { "cache_control", 13 },
	{ "citations", 9 }
};

static enum block_type block_type(struct jstr type)
{
	static const struct {
		const char *name;
		enum block_type type;
	} names[] = {
		{ "text", B_TEXT }, { "tool_use", B_TOOL_USE },
		{ "tool_result", B_TOOL_RESULT }, { "thinking", B_THINKING },
		{ "image", B_IMAGE }, { "document", B_DOCUMENT },
		{ "redacted_thinking", B_REDACTED_THINKING },
		{ "search_result", B_SEARCH_RESULT },
		{ "tool_reference", B_TOOL_REFERENCE },
		{ "browser_state", B_BROWSER_STATE },
		{ "server_tool_use", B_SERVER_TOOL_USE },
		{ "container_upload", B_CONTAINER_UPLOAD },
		{ "compaction", B_COMPACTION }, { "fallback", B_FALLBACK },
		{ "tool_addition", B_TOOL_ADDITION },
		{ "tool_removal", B_TOOL_REMOVAL }
	};
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (jstr_eq(type, str_of(names[i].name)))
			return names[i].type;
	if (jstr_starts(type, S("mcp_tool_")))
		return B_MCP;
	if (str_ends(type.raw, S("_tool_result")))
		return B_SERVER_TOOL_RESULT;
	return B_UNKNOWN;
}

/* A string that must be there. */
static int take(struct parser *p, const struct jv *m, int which,
    struct jstr *out)
{
	if (json_type(m[which]) != JSON_STRING)
		return parse_refuse_type(p, block_members[which], m[which],
		    WANT("a string"));
	*out = json_str(m[which]);
	return OK;
}

/* An identifier: must be there and must say something. */
static int take_name(struct parser *p, const struct jv *m, int which,
    struct jstr *out)
{
	int r = take(p, m, which, out);

	if (r == OK && out->raw.n == 0)
		return parse_refuse(p, block_members[which],
		    S("must not be empty"));
	return r;
}

static int take_source(struct parser *p, struct jv source, struct block *b)
{
	static const struct {
		const char *type, *data;
		enum source_kind kind;
	} kinds[] = {
		{ "base64", "data", SOURCE_BASE64 },
		{ "text", "data", SOURCE_TEXT },
		{ "url", "url", SOURCE_URL },
		{ "file", "file_id", SOURCE_FILE },
		{ "content", NULL, SOURCE_CONTENT }
	};
	struct jv type, data;
	size_t i;

	if (json_type(source) != JSON_OBJECT)
		return parse_refuse_type(p, S("source"), source, WANT("an object"));
	type = json_get(source, S("type"));
	if (json_type(type) != JSON_STRING)
		return parse_refuse_type(p, S("source.type"), type,
		    WANT("a string"));
	b->media_type = json_str(json_get(source, S("media_type")));
	b->source = SOURCE_UNKNOWN;
	for (i = 0; i < COUNT(kinds); i++) {
		if (!json_is(type, str_of(kinds[i].type)))
			continue;
		b->source = kinds[i].kind;
		if (!kinds[i].data)
			continue;
		data = json_get(source, str_of(kinds[i].data));
		b->data = json_str(data);
		if (json_type(data) != JSON_STRING)
			return parse_refuse_type(p, S("source.data"), data,
			    WANT("a string"));
	}
	return OK;
}

static int take_input(struct parser *p, struct jv input, struct block *b)
{
	b->input = S("{}");
	if (!parse_given(input))
		return OK;
	if (json_type(input) != JSON_OBJECT)
		return parse_refuse(p, S("input"), WANT("an object"));
	b->input = json_raw(input);
	return OK;
}

/* Kinds that a service of Anthropic's alone made, or that say nothing to
 * anybody else. Whatever they hold is taken as it is. */
static void read_rare(const struct jv *m, struct block *b)
{
	switch (b->type) {
	case B_SERVER_TOOL_RESULT:
		b->id = json_str(m[M_TOOL_USE_ID]);
		return;
	case B_MCP:
		b->id = json_str(parse_given(m[M_ID]) ? m[M_ID] :
		    m[M_TOOL_USE_ID]);
		b->name = json_str(m[M_NAME]);
		b->input = json_type(m[M_INPUT]) == JSON_OBJECT ?
		    json_raw(m[M_INPUT]) : S("{}");
		return;
	case B_CONTAINER_UPLOAD:
		b->data = json_str(m[M_FILE_ID]);
		return;
	case B_COMPACTION:
		b->text = json_str(m[M_CONTENT]);
		b->signature = json_str(m[M_SIGNATURE]);
		return;
	default:
		return;
	}
}

/* Everything but what nests; that is left in *content. */
static int read_block(struct parser *p, struct jv v, struct block *b,
    struct jv *content)
{
	struct jv m[BLOCK_MEMBERS];
	struct jstr type = { S("") };
	int r;

	*content = (struct jv){ NULL, 0 };
	if (json_type(v) != JSON_OBJECT)
		return parse_refuse(p, S(""), WANT("an object"));
	b->members = parse_members(v, block_members, m, BLOCK_MEMBERS);
	r = take_name(p, m, M_TYPE, &type);
	if (r != OK)
		return r;
	b->json = v;
	b->type = block_type(type);
	b->cache = parse_cache_mark(m[M_CACHE]);
	switch (b->type) {
	case B_TEXT:
		return take(p, m, M_TEXT, &b->text);
	case B_THINKING:
		/* Unsigned thinking is a client's to send: some servers that
		 * it talked to before sign nothing. */
		b->signature = json_str(m[M_SIGNATURE]);
		return take(p, m, M_THINKING, &b->text);
	case B_REDACTED_THINKING:
		return take(p, m, M_DATA, &b->text);
	case B_IMAGE:
		return take_source(p, m[M_SOURCE], b);
	case B_DOCUMENT:
		b->title = json_str(m[M_TITLE]);
		b->context = json_str(m[M_CONTEXT]);
		r = take_source(p, m[M_SOURCE], b);
		if (b->source == SOURCE_CONTENT)
			*content = json_get(m[M_SOURCE], S("content"));
		return r;
	case B_SEARCH_RESULT:
		b->text = json_str(m[M_SOURCE]);
		b->title = json_str(m[M_TITLE]);
		*content = m[M_CONTENT];
		return OK;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
		r = take_name(p, m, M_ID, &b->id);
		if (r == OK)
			r = take_name(p, m, M_NAME, &b->name);
		return r == OK ? take_input(p, m[M_INPUT], b) : r;
	case B_TOOL_RESULT:
		b->is_error = json_true(m[M_IS_ERROR]);
		*content = m[M_CONTENT];
		return take_name(p, m, M_TOOL_USE_ID, &b->id);
	case B_TOOL_REFERENCE:
		return take_name(p, m, M_TOOL_NAME, &b->name);
	case B_UNKNOWN:
		note(p->notes, NOTE_DROPPED, parse_clip(type),
		    S("unknown block type"));
		return OK;
	default:
		read_rare(m, b);
		return OK;
	}
}

/* A content that is a string is one text block. */
int parse_one_text(struct parser *p, struct jv v, struct block **out,
    size_t *n)
{
	struct jstr text = json_str(v);

	*out = arena_array(p->a, 1, sizeof **out);
	if (!*out)
		return E_FULL;
	(*out)->type = B_TEXT;
	(*out)->text = text;
	*n = 1;
	return OK;
}

/* An inner level: content of a tool_result, search_result or document; at
 * counts in the path. White space is data here; only what is empty goes. */
static int read_level(struct parser *p, struct jv v, int64_t *at,
    struct block *b, int (*nested)(struct parser *, struct jv, struct block *))
{
	struct json_iter it = json_iter(v);
	struct jv deeper;
	struct block *to;
	int r;

	if (!parse_given(v))
		return OK;
	if (json_type(v) == JSON_STRING) {
		if (json_str(v).raw.n == 0)
			return OK;
		return parse_one_text(p, v, &b->content, &b->ncontent);
	}
	if (json_type(v) != JSON_ARRAY)
		return parse_refuse(p, S("content"), WANT("a string or a list"));
	b->content = arena_array(p->a, json_count(v), sizeof *b->content);
	if (!b->content)
		return E_FULL;
	for (*at = 0; json_next(&it); ++*at) {
		to = &b->content[b->ncontent];
		r = read_block(p, it.value, to, &deeper);
		if (r == OK && nested && to->type != B_TOOL_RESULT)
			r = nested(p, deeper, to);
		if (r != OK)
			return r;
		if (to->type == B_TEXT && to->text.raw.n == 0)
			*to = (struct block){ .type = B_TEXT };
		else
			b->ncontent++;
	}
	*at = -1;
	return OK;
}

static int read_innermost(struct parser *p, struct jv v, struct block *b)
{
	return read_level(p, v, &p->l, b, NULL);
}

static int read_inner(struct parser *p, struct jv v, struct block *b)
{
	return read_level(p, v, &p->k, b, read_innermost);
}

/* Content of a message, or system; j counts in the path. */
int parse_blocks(struct parser *p, struct jv v, int64_t *at,
    struct block **out, size_t *n)
{
	struct json_iter it = json_iter(v);
	struct block *to;
	struct jv inner;
	int r;

	*n = 0;
	*out = arena_array(p->a, json_count(v), sizeof **out);
	if (!*out)
		return E_FULL;
	for (*at = 0; json_next(&it); ++*at) {
		to = &(*out)[*n];
		r = read_block(p, it.value, to, &inner);
		if (r == OK)
			r = read_inner(p, inner, to);
		if (r != OK)
			return r;
		if (to->type == B_TEXT && parse_is_blank(to->text))
			*to = (struct block){ .type = B_TEXT };
		else
			++*n;
	}
	*at = -1;
	return OK;
}
