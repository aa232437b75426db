/* bedrock_converse.c -- the canonical request as a body of Converse.
 *
 * Fields come in the same order and form every time, tools, system, messages
 * first, so that one conversation's requests begin with the same bytes. What
 * the model's family doesn't take, and what it refused before (BR-25), isn't
 * sent, with a note. What Converse has no field for goes to Claude as a field
 * of its own. The estimate counts what is written (BR-133).
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock_request.h"

enum {
	ADAPTIVE_SINCE = 45,	/* the last Claude without: 4.5 */
	BUDGET_MIN = 1024,	/* tokens of thinking (BR-50) */
	BUDGET_LOW = 4096, BUDGET_MEDIUM = 16384,
	BUDGET_HIGH = 31999,	/* what clients send those models themselves */
	NOVA_STOPS = 4
};

void bedrock_key(struct enc *e, struct str name)
{
	bedrock_comma(e);
	buf_chr(&e->b, '"');
	buf_put(&e->b, name);
	buf_put(&e->b, S("\":"));
}

int bedrock_dropped(struct enc *e, struct str field, struct str why)
{
	note(e->c->notes, NOTE_DROPPED, field, why);
	return 0;
}

int bedrock_stripped(struct enc *e, struct str path)
{
	size_t i;

	for (i = 0; i < e->learned->nstrips; i++)
		if (str_eq(str_of(e->learned->strip[i]), path))
			return !bedrock_dropped(e,
			    str_of(e->learned->strip[i]),
			    S("this model refuses it"));
	return 0;
}

/* ---- betas ---- */

int bedrock_add_beta(struct enc *e, struct str flag)
{
	struct str as = flag;
	unsigned carries = 0;
	size_t i;

	if (e->claude)
		carries = (unsigned)bedrock_beta(e->c, &e->st->model, 1,
		    flag, &as);
	if (!carries)
		return 0;
	for (i = 0; i < e->nbetas; i++)
		if (str_eq(e->betas[i], as))
			return 1;
	if (e->nbetas == BETAS_MAX)
		return 0;
	e->betas[e->nbetas++] = as;
	e->carried |= carries;
	return 1;
}

static void add_list(struct enc *e, struct jv list)
{
	struct json_iter it = json_iter(list);

	while (!it.object && json_next(&it))
		if (json_str(it.value).raw.n)
			bedrock_add_beta(e, json_str(it.value).raw);
}

/* What the client asked for, in its head and in its body (BR-21). */
static void plan_betas(struct enc *e)
{
	const struct http_head *h = e->c->client;
	struct str rest, flag;
	size_t i;

	for (i = 0; h && i < h->nfields; i++) {
		if (!str_ieq(h->fields[i].name, S("anthropic-beta")))
			continue;
		rest = h->fields[i].value;
		while (str_cut(&rest, ',', &flag))
			if (str_trim(flag).n)
				bedrock_add_beta(e, str_trim(flag));
	}
	add_list(e, json_get(e->req->json, S("betas")));
	add_list(e, json_get(e->req->json, S("anthropic_beta")));
	if (e->st->model.long_context && e->st->model.version &&
	    e->st->model.version <= 46)
		bedrock_add_beta(e, S("context-1m-2025-08-07"));
}

/* ---- thinking and effort (BR-50) ---- */

static int is_on(const struct request *r)
{
	return r->thinking == THINKING_ENABLED ||
	    r->thinking == THINKING_ADAPTIVE;
}

/* As for other services (OA-60). */
static enum effort level_of(const struct request *r)
{
	if (r->thinking == THINKING_DISABLED ||
	    r->thinking == THINKING_BETWEEN_TOOLS)
		return EFFORT_NONE;
	if (r->effort == EFFORT_UNSET && r->thinking == THINKING_ENABLED)
		return r->thinking_budget < 4096 ? EFFORT_LOW :
		    r->thinking_budget < 16384 ? EFFORT_MEDIUM : EFFORT_HIGH;
	return r->effort;
}

/* Of low, medium, high the nearest below, else above. */
static enum effort of_three(enum effort level)
{
	return level < EFFORT_LOW ? EFFORT_LOW :
	    level > EFFORT_HIGH ? EFFORT_HIGH : level;
}

/* Claude goes on after a tool's result only with the reasoning that led to the
 * call (BR-61). Where another model made the call there is none. */
static int lost_reasoning(const struct enc *e)
{
	const struct turn *t;

	if (e->nturns < 2 || e->turns[e->nturns - 1].role != ROLE_USER)
		return 0;
	t = &e->turns[e->nturns - 2];
	return t->calls && t->parts[0].b &&
	    t->parts[0].b->type != B_THINKING &&
	    t->parts[0].b->type != B_REDACTED_THINKING;
}

/* Models that know neither adaptive thinking nor other new kinds of it. A
 * client that believes to talk to a newer one doesn't recover from their
 * refusal, so they get a budget instead. */
static int is_old(const struct enc *e)
{
	return e->st->model.version && e->st->model.version <= ADAPTIVE_SINCE;
}

static int64_t budget_of(const struct request *r)
{
	if (r->thinking == THINKING_ENABLED)
		return r->thinking_budget;
	return r->effort == EFFORT_UNSET || r->effort > EFFORT_MEDIUM ?
	    BUDGET_HIGH : r->effort == EFFORT_MEDIUM ? BUDGET_MEDIUM :
	    BUDGET_LOW;
}

/* Whether Claude's field is sent; e->budget in it. */
static int keeps_thinking(struct enc *e)
{
	const struct request *r = e->req;
	int64_t budget = budget_of(r);

	if (r->thinking == THINKING_ABSENT)
		return 0;
	if (!(e->can & CAN_THINK))
		return is_on(r) && bedrock_dropped(e, S("thinking"),
		    S("this model has none that can be turned on"));
	if (bedrock_stripped(e, S("thinking")))
		return 0;
	if (is_old(e) && (r->thinking == THINKING_ADAPTIVE ||
	    r->thinking == THINKING_BETWEEN_TOOLS))
		note(e->c->notes, NOTE_CHANGED, S("thinking.type"),
		    S("this model knows enabled and disabled only"));
	else if (r->thinking != THINKING_ENABLED)
		return 1;
	if (!is_on(r))
		return 1;
	e->budget = budget;
	if (e->max_tokens >= 0 && e->budget >= e->max_tokens)
		e->budget = e->max_tokens - 1;
	if (e->budget < BUDGET_MIN)
		return bedrock_dropped(e, S("thinking"),
		    S("max_tokens leaves it less than 1024 tokens"));
	if (lost_reasoning(e))
		return bedrock_dropped(e, S("thinking"), S("the turn was begun "
		    "without thinking of this model's"));
	if (e->budget != budget)
		note(e->c->notes, NOTE_CLAMPED, S("thinking.budget_tokens"),
		    S("must be less than max_tokens"));
	return 1;
}

static void plan_effort(struct enc *e)
{
	const struct request *r = e->req;

	if (r->effort == EFFORT_UNSET)
		return;
	if (!(e->can & CAN_EFFORT) ||
	    bedrock_stripped(e, S("output_config.effort")) ||
	    (e->can & CAN_EFFORT_BETA &&
	    !bedrock_add_beta(e, S("effort-2025-11-24")))) {
		bedrock_dropped(e, S("output_config.effort"),
		    S("this model doesn't know it, or not on this way"));
		return;
	}
	e->effort = r->effort < EFFORT_LOW ? EFFORT_LOW : r->effort;
}

static void plan_thinking(struct enc *e)
{
	const struct request *r = e->req;
	enum effort level = level_of(r);

	switch (e->st->model.family) {
	case FAMILY_CLAUDE:
		e->thinking = keeps_thinking(e);
		e->thinks = e->thinking && is_on(r);
		plan_effort(e);
		return;
	case FAMILY_NOVA2:
		if (is_on(r))
			e->effort = level == EFFORT_UNSET ? EFFORT_MEDIUM :
			    of_three(level);
		return;
	case FAMILY_GPT_OSS:
		if (level != EFFORT_UNSET)
			e->effort = of_three(level);
		return;
	default:
		if (is_on(r))
			bedrock_dropped(e, S("thinking"),
			    S("this model has no control of it"));
		if (r->effort != EFFORT_UNSET)
			bedrock_dropped(e, S("output_config.effort"),
			    S("this model has no control of it"));
		return;
	}
}

/* ---- additionalModelRequestFields ---- */

static void put_string(struct enc *e, struct str name, struct str plain)
{
	bedrock_key(e, name);
	json_quote(&e->b, plain);
}

static const char *effort_name(enum effort level)
{
	static const char *const names[] = {
		[EFFORT_LOW] = "low", [EFFORT_MEDIUM] = "medium",
		[EFFORT_HIGH] = "high", [EFFORT_XHIGH] = "xhigh",
		[EFFORT_MAX] = "max"
	};

	return names[level];
}

/* A member of the client's own, unless it is of no use. */
static void put_thinking_member(struct enc *e, struct jstr key, struct jv v)
{
	char path[LEARNED_PATH];
	struct buf b = buf_on(path, sizeof path);

	buf_put(&b, S("thinking."));
	buf_put(&b, key.raw);
	if (jstr_eq(key, S("type")) || jstr_eq(key, S("budget_tokens")) ||
	    bedrock_stripped(e, buf_str(&b)))
		return;
	if (e->req->display == DISPLAY_UPDATES && jstr_eq(key, S("display")) &&
	    !(e->carried & BETA_UPDATES)) {
		bedrock_dropped(e, S("thinking.display"),
		    S("its beta isn't sent"));
		return;
	}
	bedrock_comma(e);
	buf_chr(&e->b, '"');
	json_put(&e->b, key);
	buf_put(&e->b, S("\":"));
	json_put(&e->b, (struct jstr){ json_raw(v) });
}

static void put_thinking(struct enc *e)
{
	struct jv v = json_get(e->req->json, S("thinking"));
	struct json_iter it = json_iter(v);

	if (!e->thinking)
		return;
	bedrock_key(e, S("thinking"));
	buf_put(&e->b, S("{\"type\":\""));
	if (e->budget)
		buf_put(&e->b, S("enabled"));
	else if (is_old(e))
		buf_put(&e->b, S("disabled"));
	else
		json_put(&e->b, json_str(json_get(v, S("type"))));
	buf_chr(&e->b, '"');
	if (e->budget) {
		bedrock_key(e, S("budget_tokens"));
		buf_int(&e->b, e->budget);
	}
	while (json_next(&it))
		put_thinking_member(e, it.key, it.value);
	buf_chr(&e->b, '}');
}

/* Whether it may be sent at all (BR-50). */
static int samples(const struct enc *e)
{
	return e->can & CAN_SAMPLING && !e->learned->no_sampling &&
	    !e->thinks;
}

static void put_top_k(struct enc *e)
{
	struct str k = e->req->top_k;

	if (k.n == 0)
		return;
	if (samples(e) && e->claude && !bedrock_stripped(e, S("top_k"))) {
		bedrock_key(e, S("top_k"));
		buf_put(&e->b, k);
	} else if (samples(e) && e->nova) {
		bedrock_key(e, S("inferenceConfig"));
		buf_put(&e->b, S("{\"topK\":"));
		buf_put(&e->b, k);
		buf_chr(&e->b, '}');
	} else if (samples(e) && e->st->model.family == FAMILY_COHERE) {
		bedrock_key(e, S("k"));
		buf_put(&e->b, k);
	} else {
		bedrock_dropped(e, S("top_k"), S("this model doesn't take it"));
	}
}

static void put_level(struct enc *e)
{
	struct str level;

	if (e->effort == EFFORT_UNSET)
		return;
	level = str_of(effort_name(e->effort));
	if (e->claude) {
		bedrock_key(e, S("output_config"));
		buf_put(&e->b, S("{\"effort\":"));
		json_quote(&e->b, level);
		buf_chr(&e->b, '}');
	} else if (e->nova) {
		bedrock_key(e, S("reasoningConfig"));
		buf_put(&e->b, S("{\"type\":\"enabled\","
		    "\"maxReasoningEffort\":"));
		json_quote(&e->b, level);
		buf_chr(&e->b, '}');
	} else {
		put_string(e, S("reasoning_effort"), level);
	}
}

static void put_betas(struct enc *e)
{
	size_t i;

	if (e->nbetas == 0)
		return;
	bedrock_key(e, S("anthropic_beta"));
	buf_chr(&e->b, '[');
	for (i = 0; i < e->nbetas; i++) {
		bedrock_comma(e);
		json_quote(&e->b, e->betas[i]);
	}
	buf_chr(&e->b, ']');
}

static void put_additional(struct enc *e)
{
	size_t mark = e->b.n;

	bedrock_key(e, S("additionalModelRequestFields"));
	buf_chr(&e->b, '{');
	put_thinking(e);
	put_top_k(e);
	put_level(e);
	if (e->claude) {
		bedrock_put_native(e);
		put_betas(e);
	} else if (e->req->no_parallel) {
		bedrock_dropped(e, S("tool_choice.disable_parallel_tool_use"),
		    S("this model doesn't take it"));
	}
	if (bedrock_last(e) == '{')
		e->b.n = mark;
	else
		buf_chr(&e->b, '}');
}

/* ---- inferenceConfig ---- */

/* 0..1, by its text: whatever doesn't begin with a zero is one at least. */
static struct str unit(struct enc *e, struct str number)
{
	struct str v = number.p[0] == '-' ? S("0") :
	    number.p[0] == '0' || memchr(number.p, '-', number.n) ? number :
	    S("1");

	if (!str_eq(v, number) && !str_starts(number, S("1.0")))
		note(e->c->notes, NOTE_CLAMPED, S("temperature"),
		    S("between 0 and 1"));
	return v;
}

static void put_sampling(struct enc *e)
{
	const struct request *r = e->req;
	int both = e->can & CAN_TEMP_AND_TOP_P && !e->learned->no_top_p;
	int free = samples(e) && !(e->nova && e->effort == EFFORT_HIGH);

	if (r->temperature.n && free) {
		bedrock_key(e, S("temperature"));
		buf_put(&e->b, unit(e, r->temperature));
	} else if (r->temperature.n) {
		bedrock_dropped(e, S("temperature"),
		    S("this model doesn't take it, or not with thinking"));
	}
	if (r->top_p.n && free && (both || r->temperature.n == 0)) {
		bedrock_key(e, S("topP"));
		buf_put(&e->b, r->top_p);
	} else if (r->top_p.n) {
		bedrock_dropped(e, S("top_p"), S("this model doesn't take it, "
		    "or not with temperature or thinking"));
	}
}

static void put_stops(struct enc *e)
{
	const struct request *r = e->req;
	size_t i, n = 0, most = e->nova ? NOVA_STOPS : r->nstops;

	for (i = 0; i < r->nstops; i++) {
		if (bedrock_blank(r->stops[i]) || n == most) {
			bedrock_dropped(e, S("stop_sequences"), n == most ?
			    S("this model takes at most four") :
			    S("a blank one is refused"));
			continue;
		}
		if (n++ == 0) {
			bedrock_key(e, S("stopSequences"));
			buf_chr(&e->b, '[');
		}
		bedrock_comma(e);
		buf_chr(&e->b, '"');
		json_put(&e->b, r->stops[i]);
		buf_chr(&e->b, '"');
	}
	if (n)
		buf_chr(&e->b, ']');
	e->st->wants_stop_sequence = n && e->claude;
}

static void put_inference(struct enc *e)
{
	size_t mark = e->b.n;

	bedrock_key(e, S("inferenceConfig"));
	buf_chr(&e->b, '{');
	if (e->max_tokens >= 0 && !(e->nova && e->effort == EFFORT_HIGH)) {
		bedrock_key(e, S("maxTokens"));
		buf_int(&e->b, e->max_tokens);
	} else if (e->max_tokens >= 0) {
		bedrock_dropped(e, S("max_tokens"),
		    S("this model refuses it at its highest effort"));
	}
	put_sampling(e);
	put_stops(e);
	if (bedrock_last(e) == '{')
		e->b.n = mark;
	else
		buf_chr(&e->b, '}');
}

/* ---- what the configuration says, and the rest ---- */

static void put_configured(struct enc *e)
{
	const struct bedrock_options *o = e->opt;
	size_t i;

	if (o->guardrail.n) {
		bedrock_key(e, S("guardrailConfig"));
		buf_chr(&e->b, '{');
		put_string(e, S("guardrailIdentifier"), o->guardrail);
		put_string(e, S("guardrailVersion"), o->guardrail_version);
		if (o->guardrail_trace.n) {
			/* In a header it is ENABLED, here enabled. */
			bedrock_key(e, S("trace"));
			buf_chr(&e->b, '"');
			for (i = 0; i < o->guardrail_trace.n; i++)
				buf_chr(&e->b, o->guardrail_trace.p[i] == '_' ?
				    '_' : (char)(o->guardrail_trace.p[i] |
				    0x20));
			buf_chr(&e->b, '"');
		}
		buf_chr(&e->b, '}');
	}
	if (o->latency.n) {
		bedrock_key(e, S("performanceConfig"));
		buf_chr(&e->b, '{');
		put_string(e, S("latency"), o->latency);
		buf_chr(&e->b, '}');
	}
	if (o->tier.n) {
		bedrock_key(e, S("serviceTier"));
		buf_chr(&e->b, '{');
		put_string(e, S("type"), o->tier);
		buf_chr(&e->b, '}');
	}
}

static int has_format(const struct enc *e)
{
	return json_type(json_get(e->req->format, S("schema"))) == JSON_OBJECT;
}

static void plan_format(struct enc *e)
{
	if (!has_format(e) || (e->can & CAN_STRICT &&
	    !bedrock_stripped(e, S("output_config.format"))))
		return;
	e->schema_in_text = 1;
	note(e->c->notes, NOTE_CHANGED, S("output_config.format"),
	    S("the schema is part of the system text"));
}

static void put_format(struct enc *e)
{
	if (!has_format(e) || e->schema_in_text)
		return;
	bedrock_key(e, S("outputConfig"));
	buf_put(&e->b, S("{\"textFormat\":{\"type\":\"json_schema\","
	    "\"structure\":{\"jsonSchema\":{\"name\":\"output\","
	    "\"schema\":\""));
	json_stringify(&e->b, json_raw(json_get(e->req->format,
	    S("schema"))));
	buf_put(&e->b, S("\"}}}}"));
}

static void put_paths(struct enc *e)
{
	if (!e->st->wants_stop_sequence)
		return;
	bedrock_key(e, S("additionalModelResponseFieldPaths"));
	buf_put(&e->b, e->c->upstream_stream ?
	    S("[\"/delta/stop_sequence\"]") : S("[\"/stop_sequence\"]"));
}

/* What there is no place for here, and what would change the meaning if it
 * were left out. */
static int check_fields(struct enc *e)
{
	static const struct str none[] = {
		{ "metadata", 8 }, { "service_tier", 12 },
		{ "context_management", 18 }, { "mcp_servers", 11 },
		{ "speed", 5 }, { "inference_geo", 13 },
		{ "diagnostics", 11 }, { "fallbacks", 9 }
	};
	static const struct str vital[] = {
		{ "thread", 6 }, { "compaction", 10 }
	};
	struct json_iter it = json_iter(e->req->json);
	size_t i;

	while (json_next(&it)) {
		for (i = 0; i < COUNT(none); i++)
			if (jstr_eq(it.key, none[i]) &&
			    json_type(it.value) != JSON_NULL)
				bedrock_dropped(e, none[i],
				    S("Converse has no field for it"));
		for (i = 0; i < COUNT(vital); i++) {
			if (!jstr_eq(it.key, vital[i]) ||
			    json_type(it.value) != JSON_OBJECT)
				continue;
			FAULT(&e->c->fault, 400, vital[i], S(": not available "
			    "with this backend, which can't do what it asks "
			    "for"));
			return E_FAULT;
		}
	}
	return OK;
}

/* ---- the whole ---- */

/* BR-51 */
static void clamp_tokens(struct enc *e)
{
	int64_t most = e->st->model.max_output;

	if (most <= 0 || e->max_tokens <= most)
		return;
	e->max_tokens = most;
	note(e->c->notes, NOTE_CLAMPED, S("max_tokens"),
	    S("the most that this model gives"));
}

static int plan(struct enc *e)
{
	const struct request *r = e->req;
	int code = check_fields(e);

	e->max_tokens = r->max_tokens;
	clamp_tokens(e);
	e->choice = r->choice;
	e->flatten = !(e->can & CAN_TOOLS) ||
	    (r->choice == CHOICE_NONE && !e->claude);
	if (code == OK)
		code = bedrock_plan_turns(e);
	if (code != OK)
		return code;
	plan_betas(e);
	plan_thinking(e);
	plan_format(e);
	return bedrock_plan_tools(e);
}

static void put_body(struct enc *e)
{
	buf_chr(&e->b, '{');
	bedrock_put_tools(e);
	bedrock_put_system(e);
	bedrock_put_messages(e);
	if (e->c->kind == CALL_MESSAGES) {
		put_inference(e);
		put_configured(e);
		put_format(e);
		put_paths(e);
	}
	put_additional(e);
	buf_chr(&e->b, '}');
}

/* Claude's tokens became finer with 4.7. */
static int64_t estimate(const struct enc *e)
{
	int version = e->st->model.version;
	uint64_t bytes = e->claude && (version == 0 || version >= 47) ?
	    (e->bytes * 10 + 24) / 25 : (e->bytes * 10 + 32) / 33;

	return (int64_t)(bytes + e->tokens);
}

int bedrock_converse(struct call *c, struct bedrock *st)
{
	const struct bedrock_facts *facts = c->up->facts;
	enum bedrock_family family = st->model.family;
	struct enc e = { .c = c, .st = st, .req = c->req, .opt = &facts->opt,
	    .learned = bedrock_learned(c), .can = st->model.can,
	    .claude = family == FAMILY_CLAUDE,
	    .nova = family == FAMILY_NOVA || family == FAMILY_NOVA2 };
	int r = plan(&e);

	if (r != OK)
		return r;
	c->upstream_stream = c->req->stream && (e.ntools + e.native == 0 ||
	    st->model.can & CAN_TOOLS_STREAMED);
	e.b = buf_open(c->a);
	put_body(&e);
	if (e.refused)
		return E_FAULT;
	if (e.b.full)
		return E_FULL;
	c->body[0] = buf_end(c->a, &e.b);
	c->nbody = 1;
	c->estimate = estimate(&e);
	if (c->kind == CALL_MESSAGES)
		request_unread(c->req, MEMBER(M_SOURCE) | MEMBER(M_TITLE) |
		    MEMBER(M_CONTEXT) | MEMBER(M_CITATIONS), c->a, c->notes,
		    S("Converse has no place for it"));
	return c->kind == CALL_MESSAGES && c->req->max_tokens == 0 ?
	    bedrock_empty(c) : OK;
}
