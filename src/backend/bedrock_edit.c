/* bedrock_edit.c -- a body of Anthropic's, part by part, as InvokeModel takes
 * it.
 *
 * What is left out stands in a table of paths, and what this model refused
 * before is more of the same (BR-25). Members that aren't in it are let
 * through: the service will say if it doesn't know them either. What is copied
 * whole is never looked into; the walk into the rest has a stack of its own,
 * so no input makes it deep.
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock_edit.h"
#include "../wire/sha256.h"

enum {
	WALK_DEPTH = 12,	/* members go that deep; below, all is copied */
	ID_LONGEST = 64,
	ID_HASHED = 12		/* bytes of a hash in the place of an id */
};

/* BR-20, BR-23. why NULL: nobody misses it. */
static const struct {
	const char *path;
	unsigned when;
	const char *why;
} strips[] = {
	{ "model", ALWAYS, NULL },
	{ "stream", ALWAYS, NULL },
	{ "anthropic_version", ALWAYS, NULL },	/* written anew, */
	{ "anthropic_beta", ALWAYS, NULL },	/* and these two */
	{ "betas", ALWAYS, NULL },
	{ "container", ALWAYS, "not on Bedrock" },
	{ "mcp_servers", ALWAYS, "not on Bedrock" },
	{ "inference_geo", ALWAYS, "not on Bedrock" },
	{ "speed", ALWAYS, "not on Bedrock" },
	{ "service_tier", ALWAYS, "not on Bedrock" },
	{ "fallbacks", ALWAYS, "not on Bedrock" },
	{ "diagnostics", ALWAYS, "not on Bedrock" },
	{ "output_format", ALWAYS, "not on Bedrock" },
	{ "output_config.format", NO_STRICT, "this model doesn't take it" },
	{ "output_config.effort", NO_EFFORT, "this model doesn't take it" },
	{ "context_management", NO_EDITS, "its beta isn't sent" },
	{ "thinking", NO_THINK, "this model doesn't take it" },
	{ "thinking.display", NO_UPDATES, "its beta isn't sent" },
	{ "temperature", NO_SAMPLING, "this model doesn't take it" },
	{ "top_p", NO_SAMPLING | NO_TOP_P, "this model doesn't take it" },
	{ "top_k", NO_SAMPLING, "this model doesn't take it" },
	{ "user_profile_id", NO_PROFILE, "this model doesn't take it" },
	{ "tools", NO_TOOLS, "none is left" },
	{ "tool_choice", NO_TOOLS, "no tool is left" },
	{ "tools.#.eager_input_streaming", ALWAYS, NULL },
	{ "tools.#.allowed_callers", ALWAYS, "not on Bedrock" },
	{ "tools.#.strict", NO_STRICT, "this model doesn't take it" },
	{ "tools.#.defer_loading", NO_SEARCH, "its beta isn't sent" },
	{ "tools.#.input_examples", NO_EXAMPLES, "its beta isn't sent" },
	{ "messages.#.output_config", NO_TURNS, "its beta isn't sent" },
	{ "messages.#.content.#.citations", CITED,
	    "refused in texts of the user" }
};

/* ---- paths ---- */

/* A path too long for its room matches nothing; nor does a name that reads like
 * a path. */
size_t edit_enter(struct edit *e, struct str part)
{
	size_t was = e->npath;

	if (part.n >= sizeof e->path - was || str_chr(part, '.') < part.n) {
		e->npath = sizeof e->path;
		return was;
	}
	if (was)
		e->path[e->npath++] = '.';
	memcpy(e->path + e->npath, part.p, part.n);
	e->npath += part.n;
	return was;
}

static int path_is(const struct edit *e, struct str path)
{
	return str_eq((struct str){ e->path, e->npath }, path);
}

/* Whether the path is of something inside this one. */
static int path_above(const struct edit *e, struct str path)
{
	return path.n > e->npath && path.p[e->npath] == '.' &&
	    memcmp(path.p, e->path, e->npath) == 0;
}

int edit_drops(struct edit *e)
{
	size_t i;

	for (i = 0; i < COUNT(strips); i++) {
		if (!(strips[i].when & e->why) ||
		    !path_is(e, str_of(strips[i].path)))
			continue;
		if (strips[i].why)
			note(e->c->notes, NOTE_DROPPED,
			    str_of(strips[i].path), str_of(strips[i].why));
		return 1;
	}
	for (i = 0; i < e->l->nstrips; i++)
		if (path_is(e, str_of(e->l->strip[i]))) {
			note(e->c->notes, NOTE_DROPPED, S("members"),
			    S("this model refused them before"));
			return 1;
		}
	return 0;
}

int edit_reaches(const struct edit *e)
{
	size_t i;

	if (e->effort.doc && path_is(e, S("output_config")))
		return 1;
	for (i = 0; i < COUNT(strips); i++)
		if ((strips[i].when & e->why) &&
		    path_above(e, str_of(strips[i].path)))
			return 1;
	for (i = 0; i < e->l->nstrips; i++)
		if (path_above(e, str_of(e->l->strip[i])))
			return 1;
	return 0;
}

/* ---- writing ---- */

void edit_sep(struct edit *e)
{
	char last = e->b.n ? e->b.p[e->b.n - 1] : '{';

	if (last != '[' && last != '{')
		buf_chr(&e->b, ',');
}

void edit_key(struct edit *e, struct str key)
{
	edit_sep(e);
	buf_chr(&e->b, '"');
	buf_put(&e->b, key);
	buf_put(&e->b, S("\":"));
}

/* type and ttl alone (BR-23). */
static void put_cache(struct edit *e, struct jv v)
{
	struct jv ttl = json_get(v, S("ttl"));
	size_t was;

	if (json_type(v) != JSON_OBJECT) {
		buf_put(&e->b, json_raw(v));
		return;
	}
	buf_put(&e->b, S("{\"type\":"));
	buf_put(&e->b, json_type(json_get(v, S("type"))) == JSON_STRING ?
	    json_raw(json_get(v, S("type"))) : S("\"ephemeral\""));
	was = edit_enter(e, S("ttl"));
	if (json_type(ttl) == JSON_STRING && (e->m->can & CAN_CACHE_1H) &&
	    !edit_drops(e)) {
		buf_put(&e->b, S(",\"ttl\":"));
		buf_put(&e->b, json_raw(ttl));
	}
	e->npath = was;
	buf_chr(&e->b, '}');
}

static void put_cache_of(struct edit *e, struct jv block)
{
	struct jv v = json_get(block, S("cache_control"));

	if (json_type(v) == JSON_OBJECT) {
		buf_put(&e->b, S(",\"cache_control\":"));
		put_cache(e, v);
	}
}

/* A text block of ours, around escaped text, with that block's cache mark. */
static void put_text(struct edit *e, struct str before, struct jstr text,
    struct str after, struct jv marked)
{
	edit_sep(e);
	buf_put(&e->b, S("{\"type\":\"text\",\"text\":\""));
	buf_put(&e->b, before);
	buf_put(&e->b, text.raw);
	buf_put(&e->b, after);
	buf_chr(&e->b, '"');
	put_cache_of(e, marked);
	buf_chr(&e->b, '}');
}

static int is_type(struct jv block, struct str type)
{
	return json_is(json_get(block, S("type")), type);
}

static void put_reference(struct edit *e, struct jv v)
{
	note(e->c->notes, NOTE_CHANGED, S("tool_reference"),
	    S("its beta isn't sent; text instead"));
	put_text(e, S("Tool available: "), json_str(json_get(v,
	    S("tool_name"))), S(""), v);
}

/* A block that Bedrock would have to fetch (BR-23). */
static int is_remote(struct edit *e, struct jv v)
{
	struct jv type = json_get(json_get(v, S("source")), S("type"));
	int image = is_type(v, S("image"));
	char room[64];
	struct buf b = buf_on(room, sizeof room);

	if ((!image && !is_type(v, S("document"))) ||
	    (!json_is(type, S("url")) && !json_is(type, S("file"))))
		return 0;
	buf_put(&b, S("messages."));
	buf_u64(&b, e->message);
	buf_put(&b, S(".content."));
	buf_u64(&b, e->block);
	if (e->fault == OK)
		FAULT(&e->c->fault, 400, buf_str(&b), image ? S(": image") :
		    S(": document"), S(".source: Bedrock fetches no "),
		    json_is(type, S("url")) ? S("url") : S("file"),
		    S("; send the data as base64"));
	e->fault = E_FAULT;
	return 1;
}

/* A block inside a tool's result, if it doesn't go out as it is. */
static int put_nested(struct edit *e, struct jv v)
{
	if (is_type(v, S("tool_reference")) && (e->why & NO_SEARCH)) {
		put_reference(e, v);
		return 1;
	}
	/* Empty: the service takes no such text (BR-24). */
	if (is_type(v, S("text")) && json_type(json_get(v, S("text"))) ==
	    JSON_STRING && json_str(json_get(v, S("text"))).raw.n == 0)
		return 1;
	return is_remote(e, v);
}

/* An id of a call or of its result, in the service's letters; the same for
 * both (section 16 on BR-60). */
static void put_id(struct edit *e, struct jv v)
{
	struct str id = json_str(v).raw;
	unsigned char hash[SHA256_SIZE];
	size_t i;

	for (i = 0; i < id.n; i++)
		if (!(id.p[i] >= 'a' && id.p[i] <= 'z') &&
		    !(id.p[i] >= 'A' && id.p[i] <= 'Z') &&
		    !(id.p[i] >= '0' && id.p[i] <= '9') && id.p[i] != '_' &&
		    id.p[i] != '-')
			break;
	if (i == id.n && id.n <= ID_LONGEST) {
		buf_put(&e->b, json_raw(v));
		return;
	}
	sha256(hash, id);
	buf_put(&e->b, S("\"tu_"));
	buf_hex(&e->b, (struct str){ (const char *)hash, ID_HASHED });
	buf_chr(&e->b, '"');
}

static int is_id(const struct edit *e)
{
	return path_is(e, S("messages.#.content.#.id")) ||
	    path_is(e, S("messages.#.content.#.tool_use_id"));
}

struct frame {
	struct json_iter it;
	size_t path;		/* what it becomes when this ends */
};

void edit_object(struct edit *e, struct jv v)
{
	static const char nested[] = "messages.#.content.#.content";
	struct frame stack[WALK_DEPTH], *f = stack;
	size_t depth = 1, was;

	*f = (struct frame){ json_iter(v), e->npath };
	buf_chr(&e->b, f->it.object ? '{' : '[');
	while (depth) {
		f = &stack[depth - 1];
		if (!json_next(&f->it)) {
			buf_chr(&e->b, f->it.object ? '}' : ']');
			e->npath = f->path;
			depth--;
			continue;
		}
		if (!f->it.object && path_is(e, S(nested)) &&
		    put_nested(e, f->it.value))
			continue;
		was = edit_enter(e, f->it.object ? f->it.key.raw : S("#"));
		if (f->it.object && edit_drops(e)) {
			e->npath = was;
			continue;
		}
		if (f->it.object)
			edit_key(e, f->it.key.raw);
		else
			edit_sep(e);
		if (f->it.object && jstr_eq(f->it.key, S("cache_control"))) {
			put_cache(e, f->it.value);
		} else if (json_type(f->it.value) >= JSON_ARRAY &&
		    depth < WALK_DEPTH && (path_is(e, S(nested)) ||
		    path_is(e, S("messages.#.content.#.content.#")) ||
		    edit_reaches(e))) {
			v = f->it.value;
			stack[depth++] = (struct frame){ json_iter(v), was };
			buf_chr(&e->b, json_type(v) == JSON_OBJECT ? '{' : '[');
			continue;
		} else if (json_type(f->it.value) == JSON_STRING && is_id(e)) {
			put_id(e, f->it.value);
		} else if (e->effort.doc &&
		    path_is(e, S("output_config.effort"))) {
			buf_put(&e->b, json_raw(e->effort));
		} else {
			buf_put(&e->b, json_raw(f->it.value));
		}
		e->npath = was;
	}
}

void edit_value(struct edit *e, struct jv v)
{
	if (path_is(e, S("cache_control")))
		put_cache(e, v);
	else if (json_type(v) >= JSON_ARRAY && edit_reaches(e))
		edit_object(e, v);
	else
		buf_put(&e->b, json_raw(v));
}

/* ---- texts that say nothing (BR-24) ---- */

static int is_blank(struct jstr s)
{
	size_t i;

	for (i = 0; i < s.raw.n; i++) {
		if (s.raw.p[i] == ' ')
			continue;
		if (s.raw.p[i] != '\\' || ++i == s.raw.n ||
		    !memchr("ntrf", s.raw.p[i], 4))
			return 0;
	}
	return 1;
}

static int is_blank_text(struct jv v)
{
	struct jv text = json_get(v, S("text"));

	return is_type(v, S("text")) && json_type(text) == JSON_STRING &&
	    is_blank(json_str(text));
}

static int is_marked(struct jv v)
{
	return json_type(json_get(v, S("cache_control"))) == JSON_OBJECT;
}

/* The cache mark of blank texts that follow; absent if there is none. */
static struct jv mark_behind(struct json_iter it)
{
	while (json_next(&it) && is_blank_text(it.value))
		if (is_marked(it.value))
			return it.value;
	return (struct jv){ NULL, 0 };
}

/* A block as it is, but for members; `it` stands behind it. */
static void put_whole(struct edit *e, struct jv v, struct json_iter it)
{
	struct jv mark = mark_behind(it);
	size_t was = edit_enter(e, S("#"));

	edit_sep(e);
	if (json_type(v) == JSON_OBJECT)
		edit_object(e, v);
	else
		buf_put(&e->b, json_raw(v));
	/* Inside the brace. */
	if (mark.doc && !is_marked(v) && !is_type(v, S("thinking")) &&
	    json_count(v) && !e->b.full) {
		e->b.n--;
		put_cache_of(e, mark);
		buf_chr(&e->b, '}');
	}
	e->npath = was;
}

/* Whether a blank text goes: another block stays, and its cache mark is none,
 * or is where the block before took it. */
static int blank_goes(struct jv v, struct jv before, size_t others)
{
	return others && is_blank_text(v) && (!is_marked(v) ||
	    (json_count(before) && !is_marked(before) &&
	    !is_type(before, S("thinking"))));
}

/* ---- system ---- */

static int is_billing(const struct edit *e, struct jstr text)
{
	const struct bedrock_facts *f = e->c->up->facts;

	return !f->opt.keep_billing &&
	    jstr_starts(text, S("x-anthropic-billing-header:"));
}

/* Whether anything of a system message is still to be said. */
static int says(const struct edit *e, size_t at)
{
	const struct message *m = &e->r->messages[at];
	size_t i;

	if (m->clear_at_next_user && at < e->users)
		return 0;
	for (i = 0; i < m->n; i++)
		if (m->blocks[i].type == B_TEXT)
			return 1;
	return 0;
}

static int any_says(const struct edit *e, size_t from, size_t to)
{
	while (from < to)
		if (says(e, from++))
			return 1;
	return 0;
}

/* Texts of system messages; reminder: inside a user's turn. */
static void put_said(struct edit *e, size_t from, size_t to, int reminder)
{
	const struct message *m;
	size_t i;

	for (; from < to; from++) {
		m = &e->r->messages[from];
		for (i = 0; i < m->n && says(e, from); i++)
			if (m->blocks[i].type == B_TEXT)
				put_text(e, reminder ?
				    S("<system-reminder>\\n") : S(""),
				    m->blocks[i].text, reminder ?
				    S("\\n</system-reminder>") : S(""),
				    m->blocks[i].json);
		if (reminder)
			note(e->c->notes, NOTE_CHANGED, S("messages.role"),
			    S("system messages become <system-reminder> text "
			    "of the user"));
	}
}

void edit_system(struct edit *e, struct jv v)
{
	struct json_iter it = json_iter(v);
	struct jv before = { NULL, 0 };
	size_t from = e->b.n;

	edit_key(e, S("system"));
	if (json_type(v) == JSON_STRING && !any_says(e, 0, e->leading) &&
	    !is_billing(e, json_str(v))) {
		buf_put(&e->b, json_raw(v));
		return;
	}
	buf_chr(&e->b, '[');
	if (json_type(v) == JSON_STRING && !is_blank(json_str(v)) &&
	    !is_billing(e, json_str(v)))
		put_text(e, S(""), json_str(v), S(""), before);
	while (!it.object && json_next(&it)) {
		if (is_billing(e, json_str(json_get(it.value, S("text")))) ||
		    blank_goes(it.value, before, e->r->nsystem))
			continue;
		put_whole(e, it.value, it);
		before = it.value;
	}
	put_said(e, 0, e->leading, 0);
	if (e->b.n && e->b.p[e->b.n - 1] == '[' && !e->b.full)
		e->b.n = from;
	else
		buf_chr(&e->b, ']');
}

/* ---- messages ---- */

/* A document in an answer, which the newer version takes as text alone. */
static void put_flat(struct edit *e, struct jv v)
{
	struct jv source = json_get(v, S("source"));
	struct jv data = json_get(source, is_type(source, S("content")) ?
	    S("content") : S("data"));
	struct json_iter it = json_iter(data);

	note(e->c->notes, NOTE_CHANGED, S("document"),
	    S("refused in answers of the model; text instead"));
	edit_sep(e);
	buf_put(&e->b, S("{\"type\":\"text\",\"text\":\"<document>\\n"));
	if (is_type(source, S("base64")))
		buf_put(&e->b, S("(not text)"));
	else
		buf_put(&e->b, json_str(data).raw);
	while (!it.object && json_next(&it))
		buf_put(&e->b, json_str(json_get(it.value, S("text"))).raw);
	buf_put(&e->b, S("\\n</document>\""));
	put_cache_of(e, v);
	buf_chr(&e->b, '}');
}

/* A block that doesn't go out as it is; 0: it does. */
static int put_turned(struct edit *e, const struct message *m, struct jv v)
{
	if (is_type(v, S("thinking")) && anthropic_foreign(json_str(
	    json_get(v, S("signature"))))) {
		note(e->c->notes, NOTE_DROPPED, S("thinking"),
		    S("signed by another service"));
		return 1;
	}
	if (is_remote(e, v))
		return 1;
	if (is_type(v, S("tool_reference")) && (e->why & NO_SEARCH)) {
		put_reference(e, v);
		return 1;
	}
	if (e->newer && m->role == ROLE_ASSISTANT &&
	    is_type(v, S("document"))) {
		put_flat(e, v);
		return 1;
	}
	return 0;
}

/* A user's turn, with the system messages that join it: those of [from, at)
 * come behind its results, those of (at, to) at its end. */
struct turn {
	size_t from, at, to;
};

static void put_blocks(struct edit *e, const struct turn *t,
    const struct message *m, struct jv content)
{
	struct json_iter it = json_iter(content);
	struct jv before = { NULL, 0 };
	int said = t->from == t->at;

	for (e->block = 0; !it.object && json_next(&it); e->block++) {
		if (!said && !is_type(it.value, S("tool_result"))) {
			put_said(e, t->from, t->at, 1);
			said = 1;
		}
		if (blank_goes(it.value, before, m->n) ||
		    put_turned(e, m, it.value))
			continue;
		if (e->newer && m->role == ROLE_USER && json_count(json_get(
		    it.value, S("citations"))) && is_type(it.value, S("text")))
			e->why |= CITED;
		put_whole(e, it.value, it);
		e->why &= ~(unsigned)CITED;
		before = it.value;
	}
	if (!said)
		put_said(e, t->from, t->at, 1);
}

static void put_content(struct edit *e, const struct turn *t, struct jv v)
{
	const struct message *m = &e->r->messages[t->at];
	struct jv none = { NULL, 0 };

	if (json_type(v) == JSON_STRING && !any_says(e, t->from, t->at) &&
	    !any_says(e, t->at + 1, t->to)) {
		buf_put(&e->b, json_raw(v));
		return;
	}
	buf_chr(&e->b, '[');
	if (json_type(v) == JSON_STRING) {
		put_said(e, t->from, t->at, 1);
		if (!is_blank(json_str(v)))
			put_text(e, S(""), json_str(v), S(""), none);
	} else {
		put_blocks(e, t, m, v);
	}
	put_said(e, t->at + 1, t->to, 1);
	/* All of it was another model's thinking. */
	if (e->b.n && e->b.p[e->b.n - 1] == '[' && json_count(v))
		put_text(e, S("(thinking of another model)"), (struct jstr){
		    S("") }, S(""), none);
	buf_chr(&e->b, ']');
}

static void put_message(struct edit *e, const struct turn *t)
{
	struct json_iter it = json_iter(e->r->messages[t->at].json);
	size_t was;

	e->message = t->at;
	edit_sep(e);
	buf_chr(&e->b, '{');
	while (it.object && json_next(&it)) {
		was = edit_enter(e, it.key.raw);
		if (!edit_drops(e)) {
			edit_key(e, it.key.raw);
			if (jstr_eq(it.key, S("content")))
				put_content(e, t, it.value);
			else
				edit_value(e, it.value);
		}
		e->npath = was;
	}
	buf_chr(&e->b, '}');
}

/* System messages that no turn of the user is beside. */
static void put_alone(struct edit *e, size_t from, size_t to)
{
	if (!any_says(e, from, to))
		return;
	edit_sep(e);
	buf_put(&e->b, S("{\"role\":\"user\",\"content\":["));
	put_said(e, from, to, 1);
	buf_put(&e->b, S("]}"));
}

static int is_turned(const struct edit *e, size_t at)
{
	return !e->turns && at < e->r->nmessages &&
	    e->r->messages[at].role == ROLE_SYSTEM;
}

/* A system message joins the user's turn beside it, the one before or else
 * the one after (section 16). So it stays where it is when the next request
 * repeats it, which prompt caches depend on. */
void edit_messages(struct edit *e)
{
	size_t was = edit_enter(e, S("#")), n = e->r->nmessages;
	struct turn t;

	buf_chr(&e->b, '[');
	for (t.to = e->leading; t.to < n;) {
		t.from = t.at = t.to;
		while (is_turned(e, t.at))
			t.at++;
		if (t.at == n || (t.from < t.at &&
		    e->r->messages[t.at].role != ROLE_USER)) {
			put_alone(e, t.from, t.at);
			t.to = t.at;
			continue;
		}
		t.to = t.at + 1;
		while (e->r->messages[t.at].role == ROLE_USER &&
		    is_turned(e, t.to))
			t.to++;
		put_message(e, &t);
	}
	buf_chr(&e->b, ']');
	e->npath = was;
}
