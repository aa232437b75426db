/* request.c -- the client's body as typed slices, checked.
 *
 * One pass over the views of wire/json: each object's members are picked by
 * name once, so the cost is linear in the body whatever its shape. Nothing is
 * copied; arrays of blocks, messages and tools come from the arena.
 *
 * What is wrong is refused with the path of the place (AN-10); what is merely
 * unknown is noted and let through (AN-9, AN-12): clients are newer than we
 * are. Blocks nest one level: a tool_result inside a tool_result has a type
 * and no content. That bound makes recursion needless.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

enum {
	MESSAGES_MAX = 100000,	/* the API's own limit */
	QUOTE_MAX = 48		/* bytes of the client's value in a message */
};

struct parser {
	struct request *r;
	struct arena *a;
	struct notes *notes;
	struct fault *f;
	struct str root;	/* where we are: "messages", "system", ... */
	int64_t i, j, k;	/* element, its block, that block's; -1: none */
};

/* ---- refusals ---- */

/* As much of a client's string as a person wants to read. */
static struct str clip(struct jstr s)
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
static int refuse_quoting(struct parser *p, struct str key, struct str why,
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
	if (key.n && b.n)
		buf_chr(&b, '.');
	buf_put(&b, key);
	FAULT(p->f, 400, buf_str(&b), S(": "), why, quote ? S(" \"") : S(""),
	    clip(what), quote ? S("\"") : S(""));
	return E_FAULT;
}

static int refuse(struct parser *p, struct str key, struct str why)
{
	return refuse_quoting(p, key, why, (struct jstr){ S("") });
}

static int refuse_type(struct parser *p, struct str key, struct jv v,
    struct str want)
{
	if (json_type(v) == JSON_ABSENT)
		return refuse(p, key, S("Field required"));
	return refuse(p, key, want);
}

#define WANT(what) S("Input should be " what)

static void at_top(struct parser *p)
{
	p->root = S("");
	p->i = p->j = p->k = -1;
}

/* ---- members ---- */

/* Absent and null are the same to every optional member. */
static int given(struct jv v)
{
	return json_type(v) != JSON_ABSENT && json_type(v) != JSON_NULL;
}

/* Puts the members called names[i] into out[i]; the last of a name wins. */
static void members(struct jv object, const struct str *names, struct jv *out,
    size_t n)
{
	struct json_iter it = json_iter(object);
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = (struct jv){ NULL, 0 };
	if (!it.object)
		return;
	while (json_next(&it))
		for (i = 0; i < n; i++)
			if (jstr_eq(it.key, names[i])) {
				out[i] = it.value;
				break;
			}
}

/* White space alone, which the real API refuses (AN-11). */
static int is_blank(struct jstr s)
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

static enum cache_mark cache_mark(struct jv v)
{
	if (!json_is(json_get(v, S("type")), S("ephemeral")))
		return CACHE_NONE;
	return json_is(json_get(v, S("ttl")), S("1h")) ? CACHE_1H : CACHE_5M;
}

static enum effort effort(struct parser *p, struct jv v)
{
	static const struct {
		struct str name;
		enum effort effort;
	} names[] = {
		{ { "none", 4 }, EFFORT_NONE },
		{ { "minimal", 7 }, EFFORT_MINIMAL },
		{ { "low", 3 }, EFFORT_LOW },
		{ { "medium", 6 }, EFFORT_MEDIUM },
		{ { "high", 4 }, EFFORT_HIGH },
		{ { "xhigh", 5 }, EFFORT_XHIGH },
		{ { "max", 3 }, EFFORT_MAX }
	};
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (json_is(v, names[i].name))
			return names[i].effort;
	if (given(v))
		note(p->notes, NOTE_DROPPED, S("output_config.effort"),
		    S("unknown level"));
	return EFFORT_UNSET;
}

/* ---- blocks ---- */

enum {
	M_TYPE, M_TEXT, M_SOURCE, M_TITLE, M_CONTEXT, M_CONTENT, M_ID, M_NAME,
	M_INPUT, M_TOOL_USE_ID, M_IS_ERROR, M_THINKING, M_SIGNATURE, M_DATA,
	M_TOOL_NAME, M_FILE_ID, M_CACHE, BLOCK_MEMBERS
};

static const struct str block_members[BLOCK_MEMBERS] = {
	{ "type", 4 }, { "text", 4 }, { "source", 6 }, { "title", 5 },
	{ "context", 7 }, { "content", 7 }, { "id", 2 }, { "name", 4 },
	{ "input", 5 }, { "tool_use_id", 11 }, { "is_error", 8 },
	{ "thinking", 8 }, { "signature", 9 }, { "data", 4 },
	{ "tool_name", 9 }, { "file_id", 7 }, { "cache_control", 13 }
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
		return refuse_type(p, block_members[which], m[which],
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
		return refuse(p, block_members[which],
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
		return refuse_type(p, S("source"), source, WANT("an object"));
	type = json_get(source, S("type"));
	if (json_type(type) != JSON_STRING)
		return refuse_type(p, S("source.type"), type,
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
			return refuse_type(p, S("source.data"), data,
			    WANT("a string"));
	}
	return OK;
}

static int take_input(struct parser *p, struct jv input, struct block *b)
{
	b->input = S("{}");
	if (!given(input))
		return OK;
	if (json_type(input) != JSON_OBJECT)
		return refuse(p, S("input"), WANT("an object"));
	b->input = json_raw(input);
	return OK;
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
		return refuse(p, S(""), WANT("an object"));
	members(v, block_members, m, BLOCK_MEMBERS);
	r = take_name(p, m, M_TYPE, &type);
	if (r != OK)
		return r;
	b->json = v;
	b->type = block_type(type);
	b->cache = cache_mark(m[M_CACHE]);
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
	case B_SERVER_TOOL_RESULT:
		b->id = json_str(m[M_TOOL_USE_ID]);
		return OK;
	case B_MCP:
		b->id = json_str(given(m[M_ID]) ? m[M_ID] : m[M_TOOL_USE_ID]);
		b->name = json_str(m[M_NAME]);
		b->input = json_type(m[M_INPUT]) == JSON_OBJECT ?
		    json_raw(m[M_INPUT]) : S("{}");
		return OK;
	case B_CONTAINER_UPLOAD:
		b->data = json_str(m[M_FILE_ID]);
		return OK;
	case B_COMPACTION:
		b->text = json_str(m[M_CONTENT]);
		b->signature = json_str(m[M_SIGNATURE]);
		return OK;
	case B_BROWSER_STATE:
	case B_FALLBACK:
	case B_TOOL_ADDITION:
	case B_TOOL_REMOVAL:
		return OK;
	case B_UNKNOWN:
		note(p->notes, NOTE_DROPPED, clip(type),
		    S("unknown block type"));
		return OK;
	}
	return OK;
}

/* A content that is a string is one text block. */
static int one_text(struct parser *p, struct jv v, struct block **out,
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

/* The inner level: content of a tool_result, search_result or document.
 * White space is data here; only what is empty goes. */
static int read_inner(struct parser *p, struct jv v, struct block *b)
{
	struct json_iter it = json_iter(v);
	struct jv deeper;
	struct block *to;
	int r;

	if (!given(v))
		return OK;
	if (json_type(v) == JSON_STRING) {
		if (json_str(v).raw.n == 0)
			return OK;
		return one_text(p, v, &b->content, &b->ncontent);
	}
	if (json_type(v) != JSON_ARRAY)
		return refuse(p, S("content"), WANT("a string or a list"));
	b->content = arena_array(p->a, json_count(v), sizeof *b->content);
	if (!b->content)
		return E_FULL;
	for (p->k = 0; json_next(&it); p->k++) {
		to = &b->content[b->ncontent];
		r = read_block(p, it.value, to, &deeper);
		if (r != OK)
			return r;
		if (to->type == B_TEXT && to->text.raw.n == 0)
			*to = (struct block){ .type = B_TEXT };
		else
			b->ncontent++;
	}
	p->k = -1;
	return OK;
}

/* Content of a message, or system; j counts in the path. */
static int read_blocks(struct parser *p, struct jv v, int64_t *at,
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
		if (to->type == B_TEXT && is_blank(to->text))
			*to = (struct block){ .type = B_TEXT };
		else
			++*n;
	}
	*at = -1;
	return OK;
}

/* ---- messages ---- */

static int read_role(struct parser *p, struct jv v, enum role *role)
{
	if (json_is(v, S("user")))
		*role = ROLE_USER;
	else if (json_is(v, S("assistant")))
		*role = ROLE_ASSISTANT;
	else if (json_is(v, S("system")))
		*role = ROLE_SYSTEM;
	else if (json_type(v) == JSON_STRING)
		return refuse_quoting(p, S("role"), WANT("user, assistant or "
		    "system, not"), json_str(v));
	else
		return refuse_type(p, S("role"), v, WANT("a string"));
	return OK;
}

static int read_message(struct parser *p, struct jv v, struct message *m)
{
	static const struct str names[] = {
		{ "role", 4 }, { "content", 7 }, { "clear_at", 8 },
		{ "output_config", 13 }
	};
	enum { ROLE, CONTENT, CLEAR_AT, CONFIG, N };
	struct jv member[N], content;
	enum effort turn;
	int r;

	if (json_type(v) != JSON_OBJECT)
		return refuse(p, S(""), WANT("an object"));
	members(v, names, member, N);
	m->json = v;
	r = read_role(p, member[ROLE], &m->role);
	if (r != OK)
		return r;
	content = member[CONTENT];
	m->clear_at_next_user = m->role == ROLE_SYSTEM &&
	    json_is(member[CLEAR_AT], S("next_user_message"));
	/* A turn may set its own effort; the last one said is in force. */
	if (m->role == ROLE_SYSTEM && given(member[CONFIG])) {
		turn = effort(p, json_get(member[CONFIG], S("effort")));
		if (turn != EFFORT_UNSET)
			p->r->effort = turn;
	}
	if (json_type(content) == JSON_STRING)
		return is_blank(json_str(content)) ? OK :
		    one_text(p, content, &m->blocks, &m->n);
	if (json_type(content) == JSON_ARRAY)
		return read_blocks(p, content, &p->j, &m->blocks, &m->n);
	return refuse_type(p, S("content"), content,
	    WANT("a string or a list"));
}

static int read_messages(struct parser *p, struct jv v)
{
	struct request *r = p->r;
	struct json_iter it = json_iter(v);
	struct message m;
	int e;

	at_top(p);
	if (json_type(v) != JSON_ARRAY)
		return refuse_type(p, S("messages"), v, WANT("a list"));
	if (json_count(v) == 0)
		return refuse(p, S("messages"),
		    S("at least one message is required"));
	if (json_count(v) > MESSAGES_MAX)
		return refuse(p, S("messages"),
		    S("at most 100000 messages are allowed"));
	r->messages = arena_array(p->a, json_count(v), sizeof *r->messages);
	if (!r->messages)
		return E_FULL;
	p->root = S("messages");
	for (p->i = 0; json_next(&it); p->i++) {
		m = (struct message){ 0 };
		e = read_message(p, it.value, &m);
		if (e != OK)
			return e;
		/* The only one stays, empty or not. */
		if (m.n || (it.left == 0 && r->nmessages == 0))
			r->messages[r->nmessages++] = m;
	}
	return OK;
}

static int read_system(struct parser *p, struct jv v)
{
	at_top(p);
	if (!given(v))
		return OK;
	if (json_type(v) == JSON_STRING)
		return is_blank(json_str(v)) ? OK :
		    one_text(p, v, &p->r->system, &p->r->nsystem);
	if (json_type(v) != JSON_ARRAY)
		return refuse(p, S("system"), WANT("a string or a list"));
	p->root = S("system");
	return read_blocks(p, v, &p->j, &p->r->system, &p->r->nsystem);
}

/* ---- tools ---- */

static enum tool_kind tool_kind(struct jstr type, int schema)
{
	static const struct {
		const char *prefix;
		enum tool_kind kind;
	} kinds[] = {
		{ "bash_", TOOL_BASH }, { "text_editor_", TOOL_TEXT_EDITOR },
		{ "memory_", TOOL_MEMORY },
		{ "computer_toolset_", TOOL_TOOLSET },
		{ "browser_toolset_", TOOL_TOOLSET },
		{ "computer_", TOOL_COMPUTER },
		{ "web_search_", TOOL_SERVER }, { "web_fetch_", TOOL_SERVER },
		{ "code_execution_", TOOL_SERVER },
		{ "tool_search_tool_", TOOL_SERVER },
		{ "advisor_", TOOL_SERVER }, { "mcp_toolset", TOOL_SERVER }
	};
	size_t i;

	if (type.raw.n == 0 || jstr_eq(type, S("custom")))
		return TOOL_CLIENT;
	for (i = 0; i < COUNT(kinds); i++)
		if (jstr_starts(type, str_of(kinds[i].prefix)))
			return kinds[i].kind;
	/* A kind of the future: with a schema it is as good as a client's
	 * own, without one only Anthropic can know what to do. */
	return schema ? TOOL_CLIENT : TOOL_SERVER;
}

static int read_tool(struct parser *p, struct jv v, struct tool *t)
{
	static const struct str names[] = {
		{ "type", 4 }, { "name", 4 }, { "description", 11 },
		{ "input_schema", 12 }, { "strict", 6 },
		{ "defer_loading", 13 }, { "cache_control", 13 }
	};
	enum { TYPE, NAME, DESCRIPTION, SCHEMA, STRICT, DEFER, CACHE, N };
	struct jv m[N];

	if (json_type(v) != JSON_OBJECT)
		return refuse(p, S(""), WANT("an object"));
	members(v, names, m, N);
	t->json = v;
	t->type = json_str(m[TYPE]);
	if (json_type(m[SCHEMA]) == JSON_OBJECT)
		t->schema = m[SCHEMA];
	else if (given(m[SCHEMA]))
		return refuse(p, S("input_schema"), WANT("an object"));
	t->kind = tool_kind(t->type, t->schema.doc != NULL);
	if (t->kind == TOOL_CLIENT && jstr_eq(t->type, S("custom")))
		t->type = (struct jstr){ S("") };
	t->name = json_str(m[NAME]);
	if (t->kind != TOOL_SERVER && t->kind != TOOL_TOOLSET &&
	    t->name.raw.n == 0)
		return refuse_type(p, S("name"), m[NAME],
		    WANT("a string that is not empty"));
	if (json_type(m[DESCRIPTION]) == JSON_STRING)
		t->description = json_str(m[DESCRIPTION]);
	t->strict = json_true(m[STRICT]);
	t->defer_loading = json_true(m[DEFER]);
	t->cache = cache_mark(m[CACHE]);
	return OK;
}

static int read_tools(struct parser *p, struct jv v)
{
	struct json_iter it = json_iter(v);
	int r;

	at_top(p);
	if (!given(v))
		return OK;
	if (json_type(v) != JSON_ARRAY)
		return refuse(p, S("tools"), WANT("a list"));
	p->r->tools = arena_array(p->a, json_count(v), sizeof *p->r->tools);
	if (!p->r->tools)
		return E_FULL;
	p->root = S("tools");
	for (p->i = 0; json_next(&it); p->i++) {
		r = read_tool(p, it.value, &p->r->tools[p->r->ntools]);
		if (r != OK)
			return r;
		p->r->ntools++;
	}
	return OK;
}

static int read_choice(struct parser *p, struct jv v)
{
	struct request *r = p->r;
	struct jv type = json_get(v, S("type")), name;

	at_top(p);
	if (!given(v))
		return OK;
	if (json_type(v) != JSON_OBJECT)
		return refuse(p, S("tool_choice"), WANT("an object"));
	r->no_parallel = json_true(json_get(v,
	    S("disable_parallel_tool_use")));
	if (json_is(type, S("auto"))) {
		r->choice = CHOICE_AUTO;
	} else if (json_is(type, S("any"))) {
		r->choice = CHOICE_ANY;
	} else if (json_is(type, S("none"))) {
		r->choice = CHOICE_NONE;
	} else if (json_is(type, S("tool"))) {
		name = json_get(v, S("name"));
		r->choice = CHOICE_TOOL;
		r->choice_name = json_str(name);
		if (r->choice_name.raw.n == 0)
			return refuse_type(p, S("tool_choice.name"), name,
			    WANT("a string that is not empty"));
	} else if (json_type(type) == JSON_STRING) {
		return refuse_quoting(p, S("tool_choice.type"),
		    WANT("auto, any, tool or none, not"), json_str(type));
	} else {
		return refuse_type(p, S("tool_choice.type"), type,
		    WANT("a string"));
	}
	return OK;
}

/* ---- the rest ---- */

static int read_thinking(struct parser *p, struct jv v)
{
	struct request *r = p->r;
	struct jv type = json_get(v, S("type"));
	struct jv display = json_get(v, S("display"));

	if (!given(v))
		return OK;
	if (json_type(v) != JSON_OBJECT)
		return refuse(p, S("thinking"), WANT("an object"));
	if (json_type(type) != JSON_STRING)
		return refuse_type(p, S("thinking.type"), type,
		    WANT("a string"));
	r->thinking_budget = json_int(json_get(v, S("budget_tokens")), 0);
	if (json_is(display, S("omitted")))
		r->display = DISPLAY_OMITTED;
	else if (json_is(display, S("updates")))
		r->display = DISPLAY_UPDATES;
	if (json_is(type, S("disabled")))
		r->thinking = THINKING_DISABLED;
	else if (json_is(type, S("between_tools")))
		r->thinking = THINKING_BETWEEN_TOOLS;
	else if (json_is(type, S("enabled")))
		r->thinking = THINKING_ENABLED;
	else
		r->thinking = THINKING_ADAPTIVE;
	if (r->thinking == THINKING_ADAPTIVE && !json_is(type, S("adaptive")))
		note(p->notes, NOTE_CHANGED, S("thinking.type"),
		    S("unknown, read as adaptive"));
	return OK;
}

static int read_stops(struct parser *p, struct jv v)
{
	struct request *r = p->r;
	struct json_iter it = json_iter(v);

	if (!given(v))
		return OK;
	if (json_type(v) != JSON_ARRAY)
		return refuse(p, S("stop_sequences"), WANT("a list"));
	r->stops = arena_array(p->a, json_count(v), sizeof *r->stops);
	if (!r->stops)
		return E_FULL;
	p->root = S("stop_sequences");
	for (p->i = 0; json_next(&it); p->i++) {
		if (json_type(it.value) != JSON_STRING)
			return refuse(p, S(""), WANT("a string"));
		/* An empty one would end every answer before it begins. */
		if (json_str(it.value).raw.n)
			r->stops[r->nstops++] = json_str(it.value);
	}
	at_top(p);
	return OK;
}

static int read_number(struct parser *p, struct str name, struct jv v,
    struct str *out)
{
	if (!given(v))
		return OK;
	if (json_type(v) != JSON_NUMBER)
		return refuse(p, name, WANT("a number"));
	*out = json_num(v);
	return OK;
}

static int read_max_tokens(struct parser *p, struct jv v, int count)
{
	p->r->max_tokens = json_int(v, -1);
	if (p->r->max_tokens >= 0 || count)
		return OK;
	if (json_type(v) == JSON_NUMBER && json_int(v, 0) < 0)
		return refuse(p, S("max_tokens"),
		    S("Input should be greater than or equal to 0"));
	return refuse_type(p, S("max_tokens"), v, WANT("a whole number"));
}

static void read_config(struct parser *p, struct jv config, struct jv format)
{
	struct jv newer = json_get(config, S("format"));

	/* What a turn said about effort wins over what the body says; it was
	 * not read yet, so this only sets the start. */
	p->r->effort = effort(p, json_get(config, S("effort")));
	if (json_type(newer) == JSON_OBJECT)
		p->r->format = newer;
	else if (json_type(format) == JSON_OBJECT)
		p->r->format = format;
}

enum {
	T_MODEL, T_MAX_TOKENS, T_MESSAGES, T_SYSTEM, T_STREAM, T_STOPS,
	T_TEMPERATURE, T_TOP_P, T_TOP_K, T_TOOLS, T_CHOICE, T_THINKING,
	T_CONFIG, T_FORMAT, T_METADATA, T_TIER, T_CACHE, T_EDITS,
	T_CONTAINER, TOP_READ,
	/* Known to us and of no use to any backend but the one that gets the
	 * body as it is; or for the backends to judge. */
	T_SPEED = TOP_READ, T_GEO, T_COMPACTION, T_MCP, T_THREAD,
	T_DIAGNOSTICS, T_FALLBACKS, T_CREDIT, T_BILLING, T_BETAS, TOP_MEMBERS
};

static const struct str top_members[TOP_MEMBERS] = {
	{ "model", 5 }, { "max_tokens", 10 }, { "messages", 8 },
	{ "system", 6 }, { "stream", 6 }, { "stop_sequences", 14 },
	{ "temperature", 11 }, { "top_p", 5 }, { "top_k", 5 },
	{ "tools", 5 }, { "tool_choice", 11 }, { "thinking", 8 },
	{ "output_config", 13 }, { "output_format", 13 }, { "metadata", 8 },
	{ "service_tier", 12 }, { "cache_control", 13 },
	{ "context_management", 18 }, { "container", 9 }, { "speed", 5 },
	{ "inference_geo", 13 }, { "compaction", 10 }, { "mcp_servers", 11 },
	{ "thread", 6 }, { "diagnostics", 11 }, { "fallbacks", 9 },
	{ "fallback_credit_token", 21 }, { "billing_policy", 14 },
	{ "betas", 5 }
};

static void read_top(struct parser *p, struct jv *m)
{
	struct json_iter it = json_iter(p->r->json);
	size_t i;

	for (i = 0; i < TOP_MEMBERS; i++)
		m[i] = (struct jv){ NULL, 0 };
	while (json_next(&it)) {
		for (i = 0; i < TOP_MEMBERS; i++)
			if (jstr_eq(it.key, top_members[i]))
				break;
		if (i < TOP_MEMBERS)
			m[i] = it.value;
		else
			note(p->notes, NOTE_DROPPED, clip(it.key),
			    S("unknown field"));
	}
	if (given(m[T_CONTAINER]))
		note(p->notes, NOTE_DROPPED, S("container"),
		    S("code execution is Anthropic's own"));
}

/* The scalars, and what hangs on no other part. */
static int read_scalars(struct parser *p, const struct jv *m, int count)
{
	struct request *r = p->r;
	int e;

	at_top(p);
	r->model = json_str(m[T_MODEL]);
	r->model_json = m[T_MODEL];
	if (r->model.raw.n == 0)
		return refuse_type(p, S("model"), m[T_MODEL],
		    WANT("a string that is not empty"));
	e = read_max_tokens(p, m[T_MAX_TOKENS], count);
	if (e != OK)
		return e;
	r->stream = json_true(m[T_STREAM]);
	if (!r->stream && given(m[T_STREAM]) &&
	    json_type(m[T_STREAM]) != JSON_FALSE)
		return refuse(p, S("stream"), WANT("true or false"));
	r->user_id = json_str(json_get(m[T_METADATA], S("user_id")));
	r->standard_only = json_is(m[T_TIER], S("standard_only"));
	r->wants_edits = given(m[T_EDITS]);
	r->cache = cache_mark(m[T_CACHE]);
	read_config(p, m[T_CONFIG], m[T_FORMAT]);
	e = read_number(p, S("temperature"), m[T_TEMPERATURE],
	    &r->temperature);
	if (e == OK)
		e = read_number(p, S("top_p"), m[T_TOP_P], &r->top_p);
	if (e == OK)
		e = read_number(p, S("top_k"), m[T_TOP_K], &r->top_k);
	if (e == OK)
		e = read_stops(p, m[T_STOPS]);
	return e == OK ? read_thinking(p, m[T_THINKING]) : e;
}

int request_parse(struct request *r, const struct json *doc, int count,
    struct arena *a, struct notes *notes, struct fault *f)
{
	struct parser p = { r, a, notes, f, S(""), -1, -1, -1 };
	struct jv m[TOP_MEMBERS];
	int e;

	*r = (struct request){ .body = doc->text, .json = json_root(doc),
	    .max_tokens = -1 };
	if (json_type(r->json) != JSON_OBJECT) {
		FAULT(f, 400, S("the body must be a JSON object"));
		return E_FAULT;
	}
	read_top(&p, m);
	e = read_scalars(&p, m, count);
	if (e == OK)
		e = read_messages(&p, m[T_MESSAGES]);
	if (e == OK)
		e = read_system(&p, m[T_SYSTEM]);
	if (e == OK)
		e = read_tools(&p, m[T_TOOLS]);
	return e == OK ? read_choice(&p, m[T_CHOICE]) : e;
}
