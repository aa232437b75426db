/* request.c -- the client's body as typed slices, checked.
 *
 * One pass over the views of wire/json: each object's members are picked by
 * name once, so the cost is linear in the body whatever its shape. Nothing is
 * copied; arrays of messages and tools come from the arena. Content blocks
 * are read in block.c.
 *
 * What is wrong is refused with the path of the place (AN-10); what is merely
 * unknown is noted and let through (AN-9, AN-12): clients are newer than we
 * are.
 *
 * SPDX-License-Identifier: MIT */
#include "request.h"

enum {
	MESSAGES_MAX = 100000,	/* the API's own limit */
	ADDED_MAX = 512		/* tools defined inside a conversation: each is looked
				 * for among all of them */
};

static void at_top(struct parser *p)
{
	p->root = S("");
	p->i = p->j = p->k = p->l = -1;
}

/* ---- effort ---- */

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
	if (parse_given(v))
		note(p->notes, NOTE_DROPPED, S("output_config.effort"),
		    S("unknown level"));
	return EFFORT_UNSET;
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
		return parse_refuse_value(p, S("role"), WANT("user, assistant or "
		    "system, not"), json_str(v));
	else
		return parse_refuse_type(p, S("role"), v, WANT("a string"));
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
		return parse_refuse(p, S(""), WANT("an object"));
	parse_members(v, names, member, N);
	m->json = v;
	r = read_role(p, member[ROLE], &m->role);
	if (r != OK)
		return r;
	content = member[CONTENT];
	m->clear_at_next_user = m->role == ROLE_SYSTEM &&
	    json_is(member[CLEAR_AT], S("next_user_message"));
	/* A turn may set its own effort; the last one said is in force. */
	if (m->role == ROLE_SYSTEM && parse_given(member[CONFIG])) {
		turn = effort(p, json_get(member[CONFIG], S("effort")));
		if (turn != EFFORT_UNSET)
			p->r->effort = turn;
	}
	if (json_type(content) == JSON_STRING)
		return parse_is_blank(json_str(content)) ? OK :
		    parse_one_text(p, content, &m->blocks, &m->n);
	if (json_type(content) == JSON_ARRAY)
		return parse_blocks(p, content, &p->j, &m->blocks, &m->n);
	return parse_refuse_type(p, S("content"), content,
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
		return parse_refuse_type(p, S("messages"), v, WANT("a list"));
	if (json_count(v) == 0)
		return parse_refuse(p, S("messages"),
		    S("at least one message is required"));
	if (json_count(v) > MESSAGES_MAX)
		return parse_refuse(p, S("messages"),
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
	if (!parse_given(v))
		return OK;
	if (json_type(v) == JSON_STRING)
		return parse_is_blank(json_str(v)) ? OK :
		    parse_one_text(p, v, &p->r->system, &p->r->nsystem);
	if (json_type(v) != JSON_ARRAY)
		return parse_refuse(p, S("system"), WANT("a string or a list"));
	p->root = S("system");
	return parse_blocks(p, v, &p->j, &p->r->system, &p->r->nsystem);
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
		return parse_refuse(p, S(""), WANT("an object"));
	parse_members(v, names, m, N);
	t->json = v;
	t->type = json_str(m[TYPE]);
	if (json_type(m[SCHEMA]) == JSON_OBJECT)
		t->schema = m[SCHEMA];
	else if (parse_given(m[SCHEMA]))
		return parse_refuse(p, S("input_schema"), WANT("an object"));
	t->kind = tool_kind(t->type, t->schema.doc != NULL);
	if (t->kind == TOOL_CLIENT && jstr_eq(t->type, S("custom")))
		t->type = (struct jstr){ S("") };
	t->name = json_str(m[NAME]);
	if (t->kind != TOOL_SERVER && t->kind != TOOL_TOOLSET &&
	    t->name.raw.n == 0)
		return parse_refuse_type(p, S("name"), m[NAME],
		    WANT("a string that is not empty"));
	if (json_type(m[DESCRIPTION]) == JSON_STRING)
		t->description = json_str(m[DESCRIPTION]);
	t->strict = json_true(m[STRICT]);
	t->defer_loading = json_true(m[DEFER]);
	t->cache = parse_cache_mark(m[CACHE]);
	return OK;
}

/* The definition that a tool_addition brings along; absent when it names a
 * tool that is known. */
static struct jv added(const struct message *m, size_t i)
{
	struct jv none = { NULL, 0 }, v;

	if (m->role != ROLE_SYSTEM || m->blocks[i].type != B_TOOL_ADDITION)
		return none;
	v = json_get(json_get(m->blocks[i].json, S("tool")), S("definition"));
	return json_type(v) == JSON_OBJECT ? v : none;
}

static size_t count_added(const struct request *r)
{
	size_t i, j, n = 0;

	for (i = 0; i < r->nmessages; i++)
		for (j = 0; j < r->messages[i].n; j++)
			n += added(&r->messages[i], j).doc != NULL;
	return n;
}

/* What the conversation adds to the list follows it, and what it defines anew
 * takes its place (OA-49). */
static int read_added(struct parser *p)
{
	struct request *r = p->r;
	struct tool t;
	struct jv v;
	size_t i, j, k;
	int e;

	p->root = S("tool_addition");
	p->i = 0;
	for (i = 0; i < r->nmessages; i++) {
		for (j = 0; j < r->messages[i].n; j++) {
			v = added(&r->messages[i], j);
			if (!v.doc)
				continue;
			if (p->i == ADDED_MAX) {
				note(p->notes, NOTE_DROPPED,
				    S("tool_addition"), S("too many"));
				return OK;
			}
			t = (struct tool){ 0 };
			e = read_tool(p, v, &t);
			if (e != OK)
				return e;
			p->i++;
			for (k = 0; k < r->ntools; k++)
				if (str_eq(r->tools[k].name.raw, t.name.raw))
					break;
			r->tools[k] = t;
			r->ntools += k == r->ntools;
		}
	}
	return OK;
}

static int read_tools(struct parser *p, struct jv v)
{
	struct json_iter it = json_iter(v);
	size_t n = count_added(p->r);
	int r;

	at_top(p);
	if (parse_given(v) && json_type(v) != JSON_ARRAY)
		return parse_refuse(p, S("tools"), WANT("a list"));
	p->r->tools = arena_array(p->a, json_count(v) + n,
	    sizeof *p->r->tools);
	if (!p->r->tools)
		return E_FULL;
	p->root = S("tools");
	for (p->i = 0; json_next(&it); p->i++) {
		r = read_tool(p, it.value, &p->r->tools[p->r->ntools]);
		if (r != OK)
			return r;
		p->r->ntools++;
	}
	return n ? read_added(p) : OK;
}

static int read_choice(struct parser *p, struct jv v)
{
	struct request *r = p->r;
	struct jv type = json_get(v, S("type")), name;

	at_top(p);
	if (!parse_given(v))
		return OK;
	if (json_type(v) != JSON_OBJECT)
		return parse_refuse(p, S("tool_choice"), WANT("an object"));
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
			return parse_refuse_type(p, S("tool_choice.name"), name,
			    WANT("a string that is not empty"));
	} else if (json_type(type) == JSON_STRING) {
		return parse_refuse_value(p, S("tool_choice.type"),
		    WANT("auto, any, tool or none, not"), json_str(type));
	} else {
		return parse_refuse_type(p, S("tool_choice.type"), type,
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

	if (!parse_given(v))
		return OK;
	if (json_type(v) != JSON_OBJECT)
		return parse_refuse(p, S("thinking"), WANT("an object"));
	if (json_type(type) != JSON_STRING)
		return parse_refuse_type(p, S("thinking.type"), type,
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

	if (!parse_given(v))
		return OK;
	if (json_type(v) != JSON_ARRAY)
		return parse_refuse(p, S("stop_sequences"), WANT("a list"));
	r->stops = arena_array(p->a, json_count(v), sizeof *r->stops);
	if (!r->stops)
		return E_FULL;
	p->root = S("stop_sequences");
	for (p->i = 0; json_next(&it); p->i++) {
		if (json_type(it.value) != JSON_STRING)
			return parse_refuse(p, S(""), WANT("a string"));
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
	if (!parse_given(v))
		return OK;
	if (json_type(v) != JSON_NUMBER)
		return parse_refuse(p, name, WANT("a number"));
	*out = json_num(v);
	return OK;
}

static int read_max_tokens(struct parser *p, struct jv v, int count)
{
	p->r->max_tokens = json_int(v, -1);
	if (p->r->max_tokens >= 0 || count)
		return OK;
	if (json_type(v) == JSON_NUMBER && json_int(v, 0) < 0)
		return parse_refuse(p, S("max_tokens"),
		    S("Input should be greater than or equal to 0"));
	return parse_refuse_type(p, S("max_tokens"), v, WANT("a whole number"));
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
			note(p->notes, NOTE_DROPPED, parse_clip(it.key),
			    S("unknown field"));
	}
	if (parse_given(m[T_CONTAINER]))
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
		return parse_refuse_type(p, S("model"), m[T_MODEL],
		    WANT("a string that is not empty"));
	e = read_max_tokens(p, m[T_MAX_TOKENS], count);
	if (e != OK)
		return e;
	r->stream = json_true(m[T_STREAM]);
	if (!r->stream && parse_given(m[T_STREAM]) &&
	    json_type(m[T_STREAM]) != JSON_FALSE)
		return parse_refuse(p, S("stream"), WANT("true or false"));
	r->user_id = json_str(json_get(m[T_METADATA], S("user_id")));
	r->standard_only = json_is(m[T_TIER], S("standard_only"));
	r->wants_edits = parse_given(m[T_EDITS]);
	r->cache = parse_cache_mark(m[T_CACHE]);
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
	struct parser p = { r, a, notes, f, S(""), -1, -1, -1, -1 };
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
