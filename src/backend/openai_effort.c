/* openai_effort.c -- how long a model is to think, as each provider is told.
 *
 * The client's level or budget becomes the nearest one that the model takes,
 * under the name that its provider has for it (4.1). Not said is not sent.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

#define L(level) (1u << EFFORT_##level)

static const char *const effort_names[] = {
	[EFFORT_NONE] = "none", [EFFORT_MINIMAL] = "minimal",
	[EFFORT_LOW] = "low", [EFFORT_MEDIUM] = "medium",
	[EFFORT_HIGH] = "high", [EFFORT_XHIGH] = "xhigh", [EFFORT_MAX] = "max"
};

/* OA-60 */
static enum effort level_of(const struct request *r)
{
	switch (r->thinking) {
	case THINKING_DISABLED:
	case THINKING_BETWEEN_TOOLS:
		return EFFORT_NONE;
	case THINKING_ENABLED:
		if (r->effort != EFFORT_UNSET)
			return r->effort;
		return r->thinking_budget < 4096 ? EFFORT_LOW :
		    r->thinking_budget < 16384 ? EFFORT_MEDIUM :
		    r->thinking_budget < 32768 ? EFFORT_HIGH : EFFORT_XHIGH;
	case THINKING_ABSENT:
	case THINKING_ADAPTIVE:
		break;
	}
	return r->effort;
}

/* The nearest accepted level below, else the nearest above. */
static enum effort nearest(enum effort level, unsigned accepted)
{
	unsigned i;

	for (i = level; i > EFFORT_UNSET; i--)
		if (accepted >> i & 1)
			return (enum effort)i;
	for (i = level; i <= EFFORT_MAX; i++)
		if (accepted >> i & 1)
			return (enum effort)i;
	return EFFORT_UNSET;
}

/* OA-61's rows for OpenAI. */
static enum effort openai_level(struct enc *e, enum effort level)
{
	int v = openai_gpt_version(e->c->model);
	unsigned accepted = L(LOW) | L(MEDIUM) | L(HIGH);

	if (!openai_is_reasoning(e->c->model) &&
	    !openai_refused(e->c, PARAM_EFFORT_NONE))
		return EFFORT_UNSET;
	if (e->ntools && (openai_refused(e->c, PARAM_EFFORT_NONE) ||
	    (v >= 54 && e->flags->tools_reasoning_drop))) {
		if (level != EFFORT_NONE && level != EFFORT_UNSET)
			note(e->c->notes, NOTE_CHANGED,
			    S("output_config.effort"), S("this model takes "
			    "tools on this API only without reasoning"));
		return EFFORT_NONE;
	}
	if (v == 50)
		accepted |= L(MINIMAL);
	if (v >= 51)
		accepted |= L(NONE);
	if (v >= 52)
		accepted |= L(XHIGH);
	return level == EFFORT_UNSET ? level : nearest(level, accepted);
}

static enum effort effort_level(struct enc *e, enum effort level)
{
	unsigned accepted = L(NONE) | L(LOW) | L(MEDIUM) | L(HIGH);

	if (e->flags->profile == P_OPENAI)
		return openai_level(e, level);
	if (level == EFFORT_UNSET)
		return level;
	switch (e->flags->profile) {
	case P_GEMINI:
		accepted |= L(MINIMAL);
		if (str_ifind(e->c->model, S("pro")) < e->c->model.n)
			accepted &= ~L(NONE);
		break;
	case P_OLLAMA:
		/* It reads minimal as low, and xhigh as max. */
		if (level == EFFORT_MINIMAL || level == EFFORT_XHIGH)
			return level == EFFORT_MINIMAL ? EFFORT_LOW :
			    EFFORT_MAX;
		accepted |= L(MAX);
		break;
	default:
		break;
	}
	return nearest(level, accepted);
}

static void put_effort(struct enc *e, enum effort level)
{
	size_t mark;

	if (level == EFFORT_UNSET ||
	    !openai_may_send(e, PARAM_REASONING_EFFORT))
		return;
	e->effort = level;
	mark = openai_key(e, S("reasoning_effort"));
	json_quote(&e->b, str_of(effort_names[level]));
	openai_key_end(e, S("reasoning_effort"), mark);
}

int openai_shows(const struct request *r)
{
	return r->thinking == THINKING_ENABLED ||
	    r->thinking == THINKING_ADAPTIVE;
}

static int is_maker(const struct enc *e, struct str name)
{
	return str_ifind(e->c->model, name) < e->c->model.n;
}

int openai_is_claude_or_gemini(const struct enc *e)
{
	return is_maker(e, S("claude")) || is_maker(e, S("gemini"));
}

static void put_openrouter(struct enc *e, enum effort level)
{
	size_t mark;

	if (level == EFFORT_UNSET ||
	    !openai_may_send(e, PARAM_REASONING_EFFORT))
		return;
	e->effort = level;
	mark = openai_key(e, S("reasoning"));
	if (level == EFFORT_NONE) {
		buf_put(&e->b, S("{\"enabled\":false}"));
	} else if (e->req->thinking == THINKING_ENABLED &&
	    e->req->effort == EFFORT_UNSET && openai_is_claude_or_gemini(e)) {
		buf_put(&e->b, S("{\"max_tokens\":"));
		buf_int(&e->b, e->req->thinking_budget);
		buf_chr(&e->b, '}');
	} else {
		level = nearest(level, L(MINIMAL) | L(LOW) | L(MEDIUM) |
		    L(HIGH) | L(XHIGH));
		buf_put(&e->b, S("{\"effort\":"));
		json_quote(&e->b, str_of(effort_names[level]));
		buf_chr(&e->b, '}');
	}
	openai_key_end(e, S("reasoning"), mark);
}

static void put_deepseek(struct enc *e, enum effort level)
{
	if (level == EFFORT_UNSET)
		return;
	openai_put_raw(e, S("thinking"), level == EFFORT_NONE ?
	    S("{\"type\":\"disabled\"}") : S("{\"type\":\"enabled\"}"));
	if (level != EFFORT_NONE)
		put_effort(e, nearest(level, L(HIGH) | L(MAX)));
}

void openai_put_thinking(struct enc *e)
{
	enum effort level = level_of(e->req);

	switch (e->flags->reasoning_in) {
	case REASONING_IN_NONE:
		if (level != EFFORT_UNSET)
			note(e->c->notes, NOTE_DROPPED, S("thinking"),
			    S("this backend has no control of reasoning"));
		return;
	case REASONING_IN_EFFORT:
		put_effort(e, effort_level(e, level));
		if (e->flags->profile == P_GEMINI && openai_shows(e->req) &&
		    !openai_refused(e->c, PARAM_REASONING_EFFORT))
			openai_put_raw(e, S("extra_body"), S("{\"google\":"
			    "{\"thinking_config\":"
			    "{\"include_thoughts\":true}}}"));
		return;
	case REASONING_IN_OPENROUTER:
		put_openrouter(e, level);
		return;
	case REASONING_IN_DEEPSEEK:
		put_deepseek(e, level);
		return;
	case REASONING_IN_TEMPLATE:
		if (level != EFFORT_UNSET && e->flags->template_thinking)
			openai_put_raw(e, S("chat_template_kwargs"),
			    level == EFFORT_NONE ?
			    S("{\"enable_thinking\":false}") :
			    S("{\"enable_thinking\":true}"));
		return;
	}
}
