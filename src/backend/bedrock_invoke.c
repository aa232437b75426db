/* bedrock_invoke.c -- InvokeModel: Anthropic's body for a Claude, and its
 * answer in chunks.
 *
 * First it is settled which betas go out and, by that, which members may stay;
 * then the body is written once (bedrock_edit.c has its larger parts). The
 * answer carries Anthropic's own events, which anthropic_answer.c reads; here
 * is what Bedrock wraps around them.
 *
 * Memory: the body in the call's arena; of the answer nothing but what is
 * being read, at the arena's far end.
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock_edit.h"

enum {
	ID_SHOWN = 80,		/* of a message id from upstream */
	BUDGET_MIN = 1024,	/* of tokens to think with; and what Claude Code
				 * gives the models that want a figure */
	BUDGET_USUAL = 31999
};

/* ---- tools ---- */

static int is_search(const struct tool *t)
{
	return jstr_starts(t->type, S("tool_search_tool_"));
}

/* Run by Anthropic, not by Bedrock (BR-23). */
static int is_server(const struct edit *e, const struct tool *t)
{
	static const char *const kinds[] = { "web_search_", "web_fetch_",
		"code_execution_", "advisor_", "mcp_toolset" };
	size_t i;

	if (is_search(t))
		return (e->why & NO_SEARCH) != 0;
	for (i = 0; i < COUNT(kinds); i++)
		if (jstr_starts(t->type, str_of(kinds[i])))
			return 1;
	return 0;
}

/* Tools that a conversation defined are no part of the list, unless its system
 * messages stay what they are. */
static size_t count_tools(const struct edit *e, struct jv list)
{
	return e->turns ? json_count(list) : e->r->ntools;
}

static int judge_tools(struct edit *e)
{
	const struct request *r = e->r;
	size_t n = count_tools(e, json_get(r->json, S("tools"))), i, left = 0;
	const struct tool *t;

	for (i = 0; i < n; i++) {
		t = &r->tools[i];
		if (!is_server(e, t)) {
			left++;
			continue;
		}
		note(e->c->notes, NOTE_DROPPED, S("tools"),
		    S("run by Anthropic, not by Bedrock"));
		if (r->choice == CHOICE_TOOL && t->name.raw.n &&
		    str_eq(t->name.raw, r->choice_name.raw)) {
			FAULT(&e->c->fault, 400, S("tool_choice.name: "),
			    str_head(t->name.raw, 64),
			    S(" is run by Anthropic, not by Bedrock"));
			return E_FAULT;
		}
	}
	if (n && !left)
		e->why |= NO_TOOLS;
	return OK;
}

static void put_tools(struct edit *e, struct jv list)
{
	struct json_iter it = json_iter(list);
	size_t n = count_tools(e, list), i, was = edit_enter(e, S("#"));
	const struct tool *t;

	buf_chr(&e->b, '[');
	for (i = 0; i < n; i++) {
		t = &e->r->tools[i];
		if (e->turns)
			json_next(&it);
		if (is_server(e, t))
			continue;
		edit_sep(e);
		edit_object(e, e->turns ? it.value : t->json);
	}
	buf_chr(&e->b, ']');
	e->npath = was;
}

/* ---- betas (BR-21, BR-22) ---- */

static void add_flag(struct edit *e, struct str flag)
{
	struct str as;
	unsigned may = (unsigned)bedrock_beta(e->c, e->m, 0, str_trim(flag),
	    &as);
	size_t i;

	/* Refused before: only for a member that is there. */
	if (!may || (e->m->betas && !(may & e->needs & ~(unsigned)BETA_SENT)))
		return;
	for (i = 0; i < e->nflags; i++)
		if (str_eq(e->flags[i], as))
			return;
	if (e->nflags == EDIT_FLAGS)
		return;
	e->flags[e->nflags++] = as;
	e->kept |= may;
}

static void add_flags(struct edit *e, struct jv list)
{
	struct json_iter it = json_iter(list);

	while (!it.object && json_next(&it))
		add_flag(e, json_str(it.value).raw);
}

static void add_header_flags(struct edit *e)
{
	const struct http_head *h = e->c->client;
	struct str list, flag;
	size_t i;

	for (i = 0; h && i < h->nfields; i++) {
		if (!str_ieq(h->fields[i].name, S("anthropic-beta")))
			continue;
		list = h->fields[i].value;
		while (str_cut(&list, ',', &flag))
			add_flag(e, flag);
	}
}

/* What members ask for: theirs, and the flags that stand for a member that
 * goes (BR-14, BR-23). */
static void add_own_flags(struct edit *e)
{
	const struct request *r = e->r;
	int v = e->m->version;
	size_t i;

	for (i = 0; i < r->ntools; i++)
		if (json_true(json_get(r->tools[i].json,
		    S("eager_input_streaming"))))
			add_flag(e,
			    S("fine-grained-tool-streaming-2025-05-14"));
	if (e->m->long_context && (v == 40 || v == 45 || v == 46) &&
	    str_find(e->m->bare, S("sonnet")) < e->m->bare.n)
		add_flag(e, S("context-1m-2025-08-07"));
	if ((e->needs & BETA_EFFORT) && (e->m->can & CAN_EFFORT_BETA))
		add_flag(e, S("effort-2025-11-24"));
}

static unsigned find_needs(const struct request *r)
{
	unsigned needs = 0;
	size_t i, k, j;

	for (i = 0; i < r->ntools; i++) {
		const struct tool *t = &r->tools[i];

		if (t->kind == TOOL_COMPUTER)
			needs |= BETA_COMPUTER;
		if (t->defer_loading || is_search(t))
			needs |= BETA_SEARCH;
		if (json_count(json_get(t->json, S("input_examples"))))
			needs |= BETA_EXAMPLES;
	}
	for (i = 0; i < r->nmessages; i++) {
		if (r->messages[i].role == ROLE_SYSTEM)
			needs |= BETA_SYSTEM;
		if (json_type(json_get(r->messages[i].json,
		    S("output_config"))) != JSON_ABSENT)
			needs |= BETA_TURNS;
		for (k = 0; k < r->messages[i].n; k++) {
			const struct block *b = &r->messages[i].blocks[k];

			for (j = 0; j < b->ncontent; j++)
				if (b->content[j].type == B_TOOL_REFERENCE)
					needs |= BETA_SEARCH;
		}
	}
	if (r->wants_edits)
		needs |= BETA_EDITS;
	if (r->effort != EFFORT_UNSET)
		needs |= BETA_EFFORT;
	if (r->display == DISPLAY_UPDATES)
		needs |= BETA_UPDATES;
	return needs;
}

/* ---- what goes ---- */

static void find_reasons(struct edit *e)
{
	static const struct {
		unsigned beta, why;
	} hang[] = {
		{ BETA_EDITS, NO_EDITS }, { BETA_SEARCH, NO_SEARCH },
		{ BETA_EXAMPLES, NO_EXAMPLES }, { BETA_TURNS, NO_TURNS }
	};
	unsigned can = e->m->can;
	size_t i;

	e->why = ALWAYS;
	for (i = 0; i < COUNT(hang); i++)
		if (!(e->kept & hang[i].beta))
			e->why |= hang[i].why;
	if (!(can & CAN_STRICT))
		e->why |= NO_STRICT;
	if (!(can & CAN_EFFORT) || ((can & CAN_EFFORT_BETA) &&
	    !(e->kept & BETA_EFFORT)))
		e->why |= NO_EFFORT;
	if (!(can & CAN_THINK))
		e->why |= NO_THINK;
	if (e->r->display == DISPLAY_UPDATES && !(e->kept & BETA_UPDATES))
		e->why |= NO_UPDATES;
	if (e->newer || e->l->no_sampling)
		e->why |= NO_SAMPLING;
	if (e->l->no_top_p)
		e->why |= NO_TOP_P;
	if (!(can & CAN_VERSION_2026))
		e->why |= NO_PROFILE;
}

/* Where the leading system messages end, the last of the user's, and what
 * they say that only a beta would carry. */
static void find_turns(struct edit *e)
{
	const struct request *r = e->r;
	struct jv v;
	size_t i;

	for (i = 0; (e->why & NO_TURNS) && i < r->nmessages; i++) {
		v = json_get(json_get(r->messages[i].json,
		    S("output_config")), S("effort"));
		if (json_type(v) == JSON_STRING)
			e->effort = v;
	}

	e->turns = (e->m->can & CAN_SYSTEM_TURNS) && (e->kept & BETA_SYSTEM);
	for (i = 0; i < r->nmessages; i++)
		if (r->messages[i].role == ROLE_USER)
			e->users = i + 1;
	for (i = 0; !e->turns && i < r->nmessages; i++)
		if (r->messages[i].role != ROLE_SYSTEM)
			break;
	/* Nothing but system messages: then they are what is asked. */
	e->leading = i < r->nmessages && !e->turns ? i : 0;
}

/* The parser notes what it doesn't know as dropped; here it passes. */
static void forget_unknown(struct notes *ns)
{
	size_t i, n = 0;

	for (i = 0; i < ns->n; i++)
		if (!str_starts(ns->v[i].why, S("unknown")))
			ns->v[n++] = ns->v[i];
	ns->n = n;
}

/* ---- the body ---- */

/* BR-20: the client's version where the model knows it; never raised. */
static void put_version(struct edit *e)
{
	static const char newer[] = "2026-10-21";
	const struct http_head *h = e->c->client;
	struct jv own = json_get(e->r->json, S("anthropic_version"));

	e->newer = (e->m->can & CAN_VERSION_2026) && (json_is(own, S(newer)) ||
	    (json_type(own) != JSON_STRING && h && str_eq(str_trim(http_field(
	    h, S("anthropic-version"))), S(newer))));
	buf_put(&e->b, S("{\"anthropic_version\":"));
	if (json_type(own) == JSON_STRING && !json_is(own, S(newer)))
		buf_put(&e->b, json_raw(own));
	else
		buf_put(&e->b, e->newer ? S("\"2026-10-21\"") :
		    S("\"bedrock-2023-05-31\""));
}

/* What isn't in the client's body. */
static void put_added(struct edit *e)
{
	const struct http_head *h = e->c->client;
	struct str who = h ? http_field(h, S("anthropic-user-profile-id")) :
	    S("");
	size_t i, was;

	if (e->nflags) {
		edit_key(e, S("anthropic_beta"));
		buf_chr(&e->b, '[');
		for (i = 0; i < e->nflags; i++) {
			edit_sep(e);
			json_quote(&e->b, e->flags[i]);
		}
		buf_chr(&e->b, ']');
	}
	was = edit_enter(e, S("user_profile_id"));
	if (who.n && json_type(json_get(e->r->json, S("user_profile_id"))) ==
	    JSON_ABSENT && !edit_drops(e)) {
		edit_key(e, S("user_profile_id"));
		json_quote(&e->b, who);
	}
	e->npath = was;
	if (e->effort.doc && !(e->why & NO_EFFORT) && json_type(json_get(
	    e->r->json, S("output_config"))) == JSON_ABSENT) {
		edit_key(e, S("output_config"));
		buf_put(&e->b, S("{\"effort\":"));
		buf_put(&e->b, json_raw(e->effort));
		buf_chr(&e->b, '}');
	}
	if (e->c->kind == CALL_COUNT && e->r->max_tokens < 0)
		buf_put(&e->b, S(",\"max_tokens\":1"));
}

static void put_max_tokens(struct edit *e, struct jv v)
{
	if (!e->l->max_tokens || e->r->max_tokens <= e->l->max_tokens) {
		buf_put(&e->b, json_raw(v));
		return;
	}
	buf_int(&e->b, e->l->max_tokens);
	note(e->c->notes, NOTE_CLAMPED, S("max_tokens"),
	    S("to what the model said it can"));
}

/* Models before 4.6 want to be told how much: a newer name, mapped to one of
 * them, comes with thinking that they don't know. */
static void put_thinking(struct edit *e, struct jv v)
{
	int64_t most = e->r->max_tokens - 1;

	if (!e->m->version || e->m->version > 45 ||
	    !json_is(json_get(v, S("type")), S("adaptive"))) {
		edit_value(e, v);
		return;
	}
	note(e->c->notes, NOTE_CHANGED, S("thinking"),
	    S("this model wants a budget"));
	if (most < BUDGET_MIN) {
		buf_put(&e->b, S("{\"type\":\"disabled\"}"));
		return;
	}
	buf_put(&e->b, S("{\"type\":\"enabled\",\"budget_tokens\":"));
	buf_int(&e->b, most < BUDGET_USUAL ? most : BUDGET_USUAL);
	buf_chr(&e->b, '}');
}

static void put_member(struct edit *e, struct jstr key, struct jv v)
{
	size_t from = e->b.n;
	struct jv last;

	if (jstr_eq(key, S("system"))) {
		last = json_get(e->r->json, S("system"));
		if (last.i == v.i && json_type(v) >= JSON_STRING)
			edit_system(e, v);
		return;
	}
	if (jstr_eq(key, S("messages"))) {
		last = json_get(e->r->json, S("messages"));
		if (last.i != v.i)
			return;
		edit_key(e, key.raw);
		edit_messages(e);
	} else if (jstr_eq(key, S("tools")) && json_type(v) == JSON_ARRAY) {
		last = json_get(e->r->json, S("tools"));
		if (last.i != v.i)
			return;
		edit_key(e, key.raw);
		put_tools(e, v);
	} else {
		edit_key(e, key.raw);
		if (jstr_eq(key, S("max_tokens")))
			put_max_tokens(e, v);
		else if (jstr_eq(key, S("thinking")))
			put_thinking(e, v);
		else
			edit_value(e, v);
		/* An object that nothing is left of goes too. */
		if (json_count(v) && str_ends(buf_str(&e->b), S("{}")))
			e->b.n = e->b.full ? e->b.n : from;
	}
}

static void put_body(struct edit *e)
{
	const struct jv root = e->r->json, absent = { NULL, 0 };
	struct json_iter it = json_iter(root);
	size_t was;

	put_added(e);
	while (json_next(&it)) {
		was = edit_enter(e, it.key.raw);
		if (!edit_drops(e))
			put_member(e, it.key, it.value);
		e->npath = was;
	}
	if (json_type(json_get(root, S("system"))) < JSON_STRING &&
	    e->leading) {
		was = edit_enter(e, S("system"));
		edit_system(e, absent);
		e->npath = was;
	}
	if (json_type(json_get(root, S("tools"))) != JSON_ARRAY &&
	    count_tools(e, absent) && !(e->why & NO_TOOLS)) {
		was = edit_enter(e, S("tools"));
		edit_key(e, S("tools"));
		put_tools(e, absent);
		e->npath = was;
	}
	buf_chr(&e->b, '}');
}

int bedrock_invoke(struct call *c, struct bedrock *st)
{
	struct edit e = { .c = c, .m = &st->model, .r = c->req,
	    .l = bedrock_learned(c) };

	c->estimate = bedrock_estimate(c->req, st->model.version);
	c->upstream_stream = c->req->stream;
	forget_unknown(c->notes);
	if (c->kind == CALL_MESSAGES && c->req->max_tokens == 0)
		return bedrock_empty(c);
	e.needs = find_needs(c->req);
	add_header_flags(&e);
	add_flags(&e, json_get(c->req->json, S("anthropic_beta")));
	add_flags(&e, json_get(c->req->json, S("betas")));
	add_own_flags(&e);
	e.b = buf_open(c->a);
	put_version(&e);
	find_reasons(&e);
	find_turns(&e);
	e.fault = judge_tools(&e);
	if (e.fault == OK)
		put_body(&e);
	if (e.fault != OK)	/* a count is never refused (BR-132) */
		return c->kind == CALL_COUNT ? E_NONE : E_FAULT;
	if (e.b.full)
		return E_FULL;
	c->body[0] = buf_end(c->a, &e.b);
	c->nbody = 1;
	return OK;
}

/* ---- the answer (section 5) ---- */

void bedrock_invoke_head(struct bedrock *st, const struct http_head *h)
{
	static const char *const names[] = {
		"x-amzn-bedrock-input-token-count",
		"x-amzn-bedrock-output-token-count",
		"x-amzn-bedrock-cache-read-input-token-count",
		"x-amzn-bedrock-cache-write-input-token-count"
	};
	int64_t *const to[] = { &st->usage.input, &st->usage.output,
	    &st->usage.cache_read, &st->usage.cache_write };
	uint64_t v;
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (str_u64(http_field(h, str_of(names[i])), &v) == OK &&
		    v < INT64_MAX) {
			*to[i] = (int64_t)v;
			st->have_usage = 1;
		}
	if (str_eq(http_field(h, S("x-amzn-bedrock-guardrailaction")),
	    S("INTERVENED")))
		st->stop = STOP_REFUSAL;
}

static int bad(struct call *c, struct str why)
{
	FAULT(&c->fault, 502, S("upstream "), c->up->name, why);
	return E_FAULT;
}

/* An event that says how the answer ended, if a guardrail says otherwise
 * (BR-123). */
struct guard {
	struct sink sink;	/* first */
	struct sink *to;
};

static void guard_event(struct sink *s, const struct event *e)
{
	struct sink *to = ((struct guard *)s)->to;
	struct event turned = *e;

	if (e->type == EV_MESSAGE_DELTA)
		turned.stop = STOP_REFUSAL;
	to->event(to, &turned);
}

static void take_metrics(struct bedrock *st, struct jv v)
{
	struct jv m = json_get(v, S("amazon-bedrock-invocationMetrics"));

	if (json_is(json_get(v, S("amazon-bedrock-guardrailAction")),
	    S("INTERVENED")))
		st->stop = STOP_REFUSAL;
	if (json_type(m) != JSON_OBJECT)
		return;
	st->have_usage = 1;
	st->usage.input = json_int(json_get(m, S("inputTokenCount")), 0);
	st->usage.output = json_int(json_get(m, S("outputTokenCount")), 0);
	st->usage.cache_read = json_int(json_get(m,
	    S("cacheReadInputTokenCount")), 0);
	st->usage.cache_write = json_int(json_get(m,
	    S("cacheWriteInputTokenCount")), 0);
}

/* The service's id for the message, and what it says beside Anthropic's
 * members. */
static void look_at(struct call *c, struct bedrock *st, struct str json)
{
	struct arena scratch = *c->a;
	struct str id;
	struct json doc;
	struct jv v;

	if (json_parse(&doc, json, &scratch, NULL) != OK)
		return;
	v = json_root(&doc);
	take_metrics(st, v);
	if (json_type(json_get(v, S("message"))) == JSON_OBJECT)
		v = json_get(v, S("message"));
	if (json_type(json_get(json_get(v, S("usage")), S("input_tokens"))) ==
	    JSON_NUMBER)
		st->have_input = 1;
	id = json_str(json_get(v, S("id"))).raw;
	if (c->answer.started || id.n == 0 || id.n > ID_SHOWN)
		return;
	id = arena_str(c->a, id);
	if (id.p)
		c->answer.id = id;
}

/* Counts that only Bedrock gave; never over Anthropic's own (BR-34). */
static void fill_usage(struct call *c, struct bedrock *st)
{
	struct usage *u = &st->answer.usage;

	if (st->have_input || !st->have_usage)
		return;
	if (!st->answer.begun) {
		*u = (struct usage){ .thinking = -1,
		    .output = st->usage.output };
		st->answer.begun = 1;
	}
	u->input = st->usage.input;
	if (!u->cache_read)
		u->cache_read = st->usage.cache_read;
	if (!u->cache_write)
		u->cache_write = st->usage.cache_write;
	if (!u->output)
		u->output = st->usage.output;
	u->estimated = 0;
	if (!c->answer.started)
		c->answer.usage = *u;
}

/* An error inside a chunk goes to the client as it is (BR-35). */
static void bare_fault(struct call *c)
{
	struct fault *f = &c->fault;
	struct str text = fault_text(f), name = c->up->name;
	const char *type = f->type;
	int again = f->should_retry;

	if (!str_starts(text, S("upstream ")) ||
	    !str_starts(str_from(text, 9), name) ||
	    !str_starts(str_from(text, 9 + name.n), S(": ")))
		return;
	FAULT(f, f->status, str_from(text, 11 + name.n));
	f->type = type;
	f->should_retry = again;
}

static int read_answer(struct call *c, struct bedrock *st, struct str json,
    int (*read)(struct call *, struct anthropic_answer *, struct str))
{
	struct guard g = { { guard_event }, c->answer.sink };
	int r;

	/* Most events say nothing but a piece of text. */
	if (!c->answer.started ||
	    str_find(json, S("\"amazon-bedrock-")) < json.n ||
	    str_find(json, S("\"input_tokens\"")) < json.n)
		look_at(c, st, json);
	fill_usage(c, st);
	if (st->stop == STOP_REFUSAL)
		c->answer.sink = &g.sink;
	r = read(c, &st->answer, json);
	c->answer.sink = g.to;
	if (r == E_FAULT)
		bare_fault(c);
	return r;
}

/* The standard digits alone, and padded (BR-31). */
static int is_base64(struct str s)
{
	size_t i;

	if (s.n % 4)
		return 0;
	for (i = 0; i < 2 && s.n && s.p[s.n - 1] == '='; i++)
		s.n--;
	for (i = 0; i < s.n; i++)
		if (base64_value(s.p[i]) < 0 || s.p[i] == '-' ||
		    s.p[i] == '_')
			return 0;
	return 1;
}

int bedrock_invoke_event(struct call *c, struct bedrock *st,
    struct str payload)
{
	struct arena scratch = *c->a;
	char *end = c->a->end;
	struct json doc;
	struct str text;
	struct buf b;
	size_t n;
	int r = json_parse(&doc, payload, &scratch, NULL);

	if (r == E_FULL)
		return E_FULL;
	if (r != OK)
		return bad(c, S(" sent a chunk that is not JSON"));
	if (json_type(json_get(json_root(&doc), S("bytes"))) != JSON_STRING)
		return OK;
	text = json_text(&scratch, json_str(json_get(json_root(&doc),
	    S("bytes"))));
	if (!text.p)
		return E_FULL;
	if (!is_base64(text))
		return bad(c, S(" sent a chunk that is not base64"));
	/* At the far end: the near one is for what the event leaves. */
	n = text.n / 4 * 3;
	if (n > arena_room(&scratch))
		return E_FULL;
	b = buf_on(end - n, n);
	if (base64_decode(&b, text) != OK)
		return bad(c, S(" sent a chunk that is not base64"));
	c->a->end = end - n;
	r = read_answer(c, st, buf_str(&b), anthropic_event);
	c->a->end = end;
	return r;
}

int bedrock_invoke_answer(struct call *c, struct bedrock *st,
    struct str json)
{
	return read_answer(c, st, json, anthropic_message);
}
