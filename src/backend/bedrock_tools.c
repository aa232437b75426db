/* bedrock_tools.c -- which tools are sent, under which names, and tool_choice.
 *
 * A client's own tools are toolConfig's. Those that Claude knows by type, and
 * what toolChoice can't say, are Claude's own fields beside it. What runs on
 * Anthropic's servers can't run here; where it was asked for the model is
 * told, because clients answer a refusal by asking again (7.4).
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock_request.h"

enum {
	NAME_MAX = 64,		/* of a tool (BR-62) */
	NAME_CUT = 55,		/* with _ and eight digits: 64 */
	NAME_HASH = 8,
	TOOLS_TOKENS = 350	/* that any tools cost (BR-133) */
};

/* ---- names of tools (BR-62) ---- */

static int name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static int name_ok(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!name_byte(s.p[i]))
			return 0;
	return s.n && s.n <= NAME_MAX;
}

void bedrock_put_name(struct enc *e, struct buf *b, struct jstr name)
{
	struct str s = str_head(name.raw, NAME_CUT);
	size_t i;

	if (name_ok(name.raw)) {
		buf_put(b, name.raw);
		return;
	}
	note(e->c->notes, NOTE_RENAMED, S("tools.name"),
	    S("letters, digits, _ and - only, at most 64"));
	for (i = 0; i < s.n; i++)
		buf_chr(b, name_byte(s.p[i]) ? s.p[i] : '_');
	buf_chr(b, '_');
	bedrock_put_hash(b, name, NAME_HASH);
}

struct jstr bedrock_tool_name(const struct bedrock *st, struct jstr theirs)
{
	const struct bedrock_name *n;

	for (n = st->names; n; n = n->next)
		if (str_eq(n->theirs.raw, theirs.raw))
			return n->ours;
	return theirs;
}

/* t NULL: one that only the history has. */
static int add_tool(struct enc *e, const struct tool *t, struct jstr name)
{
	char room[NAME_MAX];
	struct buf b = buf_on(room, sizeof room);
	struct jstr theirs = name;
	struct bedrock_name *n;

	if (!name_ok(name.raw)) {
		bedrock_put_name(e, &b, name);
		theirs.raw = arena_str(e->c->a, buf_str(&b));
		n = arena_get(e->c->a, sizeof *n);
		if (!theirs.raw.p || !n)
			return E_FULL;
		*n = (struct bedrock_name){ name, theirs, e->st->names };
		e->st->names = n;
	}
	e->tools[e->ntools++] = (struct sent_tool){ t, name, theirs };
	return OK;
}

/* ---- which tools (7.4) ---- */

/* Tools that Claude knows by type, with the beta they need (BR-67). */
static int is_native(struct enc *e, const struct tool *t)
{
	switch (t->kind) {
	case TOOL_BASH:
	case TOOL_TEXT_EDITOR:
		bedrock_add_beta(e, S("computer-use-2025-01-24"));
		return e->claude;
	case TOOL_COMPUTER:
		return bedrock_add_beta(e, jstr_eq(t->type,
		    S("computer_20251124")) ? S("computer-use-2025-11-24") :
		    S("computer-use-2025-01-24"));
	case TOOL_MEMORY:
		return bedrock_add_beta(e, S("context-management-2025-06-27"));
	default:
		return 0;
	}
}

static int asked_for(const struct request *r, const struct tool *t)
{
	return r->choice == CHOICE_TOOL &&
	    str_eq(r->choice_name.raw, t->name.raw);
}

static int take_tools(struct enc *e)
{
	const struct request *r = e->req;
	const struct tool *t;
	size_t i;
	int code, found = 0;

	for (i = 0; i < r->ntools; i++) {
		t = &r->tools[i];
		if (t->kind == TOOL_CLIENT) {
			code = add_tool(e, t, t->name);
			if (code != OK)
				return code;
			found |= asked_for(r, t);
		} else if (is_native(e, t)) {
			e->native++;
			found |= asked_for(r, t);
		} else {
			bedrock_dropped(e, S("tools"), S("run by Anthropic's own "
			    "service, or unknown to this model"));
			if (t->name.raw.n &&
			    (asked_for(r, t) || r->ntools == 1))
				e->lone = t;
		}
	}
	if (e->choice == CHOICE_TOOL && !found)
		e->choice = CHOICE_AUTO;
	return OK;
}

/* History without tools is refused: one for each name in it (BR-64). */
static int take_history(struct enc *e, size_t calls)
{
	struct key *k = arena_array(e->c->a, calls, sizeof *k);
	const struct part *p;
	size_t i, j, n = 0;
	int code;

	if (!k)
		return E_FULL;
	for (i = 0; i < e->nturns; i++)
		for (j = 0; j < e->turns[i].n; j++) {
			p = &e->turns[i].parts[j];
			if (!p->b || p->b->type != B_TOOL_USE || p->flat)
				continue;
			k[n] = (struct key){ p->b->name.raw, n };
			n++;
		}
	keys_sort(k, n);
	for (i = 0; i < n; i++) {
		if (i && str_eq(k[i].s, k[i - 1].s))
			continue;
		code = add_tool(e, NULL, (struct jstr){ k[i].s });
		if (code != OK)
			return code;
	}
	note(e->c->notes, NOTE_ADDED, S("tools"),
	    S("the history has calls, so there have to be tools"));
	return OK;
}

/* Non-Claudes that can't be told which tool see no other (BR-63). */
static void keep_one(struct enc *e)
{
	size_t i;

	for (i = 0; i < e->ntools; i++)
		if (str_eq(e->tools[i].name.raw, e->req->choice_name.raw))
			e->tools[0] = e->tools[i];
	e->ntools = 1;
}

static void plan_choice(struct enc *e)
{
	int any = e->choice == CHOICE_ANY, tool = e->choice == CHOICE_TOOL;
	struct str why = S("");

	if ((any && !(e->can & CAN_CHOOSE_ANY)) ||
	    (tool && !(e->can & CAN_CHOOSE_TOOL)))
		why = S("this model can't be forced to call");
	else if ((any || tool) && e->thinks)
		why = S("thinking goes with a free choice only");
	else if ((any || tool) && str_find(e->st->model.bare,
	    S("claude-sonnet-5-5")) < e->st->model.bare.n)
		why = S("this model refuses a forced choice");
	if (why.n == 0)
		return;
	note(e->c->notes, NOTE_CHANGED, S("tool_choice"), why);
	if (tool && !e->claude && e->ntools)
		keep_one(e);
	e->choice = CHOICE_AUTO;
}

int bedrock_plan_tools(struct enc *e)
{
	size_t i, calls = 0;
	int r;

	if (e->flatten) {
		if (e->req->ntools)
			note(e->c->notes, NOTE_DROPPED, S("tools"),
			    e->can & CAN_TOOLS ? S("none is to be called") :
			    S("this model takes none"));
		return OK;
	}
	for (i = 0; i < e->nturns; i++)
		calls += e->turns[i].calls;
	e->tools = arena_array(e->c->a, e->req->ntools + calls,
	    sizeof *e->tools);
	if (!e->tools)
		return E_FULL;
	r = take_tools(e);
	if (r == OK && e->ntools == 0 && e->history)
		return take_history(e, calls);
	if (r == OK)
		plan_choice(e);
	return r;
}

/* ---- toolConfig ---- */

/* Always an object by its own word; Nova takes three members only. */
static void put_schema(struct enc *e, struct jv schema)
{
	struct json_iter it = json_iter(schema);

	buf_put(&e->b, S("{\"type\":\"object\""));
	while (json_next(&it)) {
		if (jstr_eq(it.key, S("type")) ||
		    jstr_eq(it.key, S("$schema")))
			continue;
		if (e->nova && !jstr_eq(it.key, S("properties")) &&
		    !jstr_eq(it.key, S("required"))) {
			bedrock_dropped(e, S("tools.input_schema"), S("this "
			    "model takes type, properties and required "
			    "only"));
			continue;
		}
		buf_put(&e->b, S(",\""));
		json_put(&e->b, it.key);
		buf_put(&e->b, S("\":"));
		json_put(&e->b, (struct jstr){ json_raw(it.value) });
	}
	buf_chr(&e->b, '}');
	e->bytes += json_raw(schema).n;
}

static void put_tool(struct enc *e, const struct sent_tool *s)
{
	const struct tool *t = s->t;

	bedrock_comma(e);
	buf_put(&e->b, S("{\"toolSpec\":{\"name\":\""));
	buf_put(&e->b, s->theirs.raw);
	buf_chr(&e->b, '"');
	e->bytes += s->theirs.raw.n;
	if (!t) {
		buf_put(&e->b, S(",\"description\":\"Not available.\","
		    "\"inputSchema\":{\"json\":{\"type\":\"object\"}}}}"));
		return;
	}
	if (!bedrock_blank(t->description)) {
		buf_put(&e->b, S(",\"description\":\""));
		bedrock_put_text(e, t->description);
		buf_chr(&e->b, '"');
	}
	buf_put(&e->b, S(",\"inputSchema\":{\"json\":"));
	put_schema(e, t->schema);
	buf_chr(&e->b, '}');
	if (t->strict && e->can & CAN_STRICT &&
	    !bedrock_stripped(e, S("tools.#.strict")))
		buf_put(&e->b, S(",\"strict\":true"));
	else if (t->strict)
		bedrock_dropped(e, S("tools.strict"),
		    S("this model doesn't take it"));
	buf_put(&e->b, S("}}"));
	if (e->can & CAN_CACHE_TOOLS)
		bedrock_put_mark(e, t->cache);
	else if (t->cache != CACHE_NONE)
		bedrock_dropped(e, S("tools.cache_control"),
		    S("this model's tools can't be a cache point"));
}

/* {"auto":{}} is what an absent one means. With parallel calls forbidden it is
 * Claude's own field that says it (BR-63). */
static void put_choice(struct enc *e)
{
	if (e->claude && e->req->no_parallel)
		return;
	if (e->choice == CHOICE_ANY)
		buf_put(&e->b, S(",\"toolChoice\":{\"any\":{}}"));
	if (e->choice != CHOICE_TOOL)
		return;
	buf_put(&e->b, S(",\"toolChoice\":{\"tool\":{\"name\":\""));
	bedrock_put_name(e, &e->b, e->req->choice_name);
	buf_put(&e->b, S("\"}}"));
}

void bedrock_put_tools(struct enc *e)
{
	size_t i;

	if (e->ntools + e->native)
		e->tokens += TOOLS_TOKENS;
	if (e->ntools == 0)
		return;
	bedrock_comma(e);
	buf_put(&e->b, S("\"toolConfig\":{\"tools\":["));
	for (i = 0; i < e->ntools; i++)
		put_tool(e, &e->tools[i]);
	buf_chr(&e->b, ']');
	put_choice(e);
	buf_chr(&e->b, '}');
}

/* ---- Claude's own fields ---- */

static void put_native_tool(struct enc *e, const struct tool *t)
{
	struct json_iter it = json_iter(t->json);

	bedrock_comma(e);
	buf_chr(&e->b, '{');
	while (json_next(&it)) {
		if (jstr_eq(it.key, S("cache_control")))
			continue;
		bedrock_comma(e);
		buf_chr(&e->b, '"');
		json_put(&e->b, it.key);
		buf_put(&e->b, S("\":"));
		json_put(&e->b, (struct jstr){ json_raw(it.value) });
	}
	buf_chr(&e->b, '}');
	e->bytes += json_raw(t->json).n;
}

static void put_tools_by_type(struct enc *e)
{
	const struct request *r = e->req;
	size_t i;

	if (!e->native)
		return;
	bedrock_key(e, S("tools"));
	buf_chr(&e->b, '[');
	for (i = 0; i < r->ntools; i++)
		if (r->tools[i].kind != TOOL_CLIENT &&
		    is_native(e, &r->tools[i]))
			put_native_tool(e, &r->tools[i]);
	buf_chr(&e->b, ']');
}

static void put_their_choice(struct enc *e)
{
	if (e->ntools + e->native == 0 || (e->choice != CHOICE_NONE &&
	    !e->req->no_parallel) || bedrock_stripped(e, S("tool_choice")))
		return;
	bedrock_key(e, S("tool_choice"));
	if (e->choice == CHOICE_NONE) {
		buf_put(&e->b, S("{\"type\":\"none\"}"));
		return;
	}
	buf_put(&e->b, S("{\"type\":"));
	if (e->choice == CHOICE_TOOL) {
		buf_put(&e->b, S("\"tool\",\"name\":\""));
		bedrock_put_name(e, &e->b, e->req->choice_name);
		buf_chr(&e->b, '"');
	} else {
		buf_put(&e->b, e->choice == CHOICE_ANY ? S("\"any\"") :
		    S("\"auto\""));
	}
	buf_put(&e->b, S(",\"disable_parallel_tool_use\":true}"));
}

void bedrock_put_native(struct enc *e)
{
	put_tools_by_type(e);
	put_their_choice(e);
}
