/* openai_encode.c -- the canonical request as a chat.completions body.
 *
 * A field that would be null is left out. What the profile doesn't know, and
 * what this upstream refused before for this model, isn't sent (OA-4, OA-5).
 * Fields and messages come in the same order and the same compact form every
 * time, so that one conversation's requests begin with the same bytes: that is
 * what upstream prompt caches live on (OA-29).
 *
 * The token estimate is made of what is written, while it is written (OA-130).
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

enum {
	USER_MAX = 64,		/* OpenAI refuses longer ids of users (OA-15) */
	STOPS_MAX = 4,		/* of `stop` at OpenAI (OA-13) */
	REASONING_MIN = 16,	/* tokens below which reasoning models fail (OA-8) */
	ROOM_MIN = 256,		/* tokens asked for however full the window is */
	ROOM_GUESSED = 8,	/* less than a window's 8th part left: how much
				 * exactly is for the server to say */
	ROOM_SPARE = 64		/* kept free between prompt and answer (OA-120) */
};

/* ---- fields ---- */

size_t openai_key(struct enc *e, struct str name)
{
	size_t mark = e->b.n;

	if (mark > 1)
		buf_chr(&e->b, ',');
	buf_chr(&e->b, '"');
	buf_put(&e->b, name);
	buf_put(&e->b, S("\":"));
	if (e->nwrote < WROTE_MAX)
		e->wrote[e->nwrote++] = name;
	return mark;
}

int openai_wrote(const struct enc *e, const char *name)
{
	size_t i;

	for (i = 0; i < e->nwrote; i++)
		if (str_eq(e->wrote[i], str_of(name)))
			return 1;
	return 0;
}

void openai_key_end(struct enc *e, struct str name, size_t mark)
{
	if (e->has_extra && json_type(json_get(json_root(&e->extra), name)) !=
	    JSON_ABSENT)
		e->b.n = mark;
}

void openai_put_raw(struct enc *e, struct str name, struct str value)
{
	size_t mark = openai_key(e, name);

	buf_put(&e->b, value);
	openai_key_end(e, name, mark);
}

int openai_may_send(struct enc *e, enum openai_param p)
{
	if (openai_refused(e->c, p))
		return 0;
	e->sent->sent_params |= 1u << p;
	return 1;
}

/* ---- limits, sampling, stops ---- */

static void clamp(int64_t *v, int64_t max, struct enc *e)
{
	if (max <= 0 || *v <= max)
		return;
	*v = max;
	note(e->c->notes, NOTE_CLAMPED, S("max_tokens"),
	    S("the most this backend gives for this model"));
}

static struct str max_name(struct enc *e)
{
	int completion = e->flags->max_field == MAX_COMPLETION_TOKENS;

	if (openai_refused(e->c, PARAM_MAX_SWAP))
		completion = !completion;
	return completion ? S("max_completion_tokens") : S("max_tokens");
}

/* OA-8. Returns where the number stands. */
static size_t put_max(struct enc *e)
{
	struct openai_learned *l = openai_learned(e->c);
	int64_t v = e->req->max_tokens;
	struct str name = max_name(e);
	size_t mark, at;

	if (v < 0)
		return 0;
	clamp(&v, e->flags->max_output, e);
	clamp(&v, l->max_output, e);
	if (e->c->attempt > 0) {
		clamp(&v, l->retry_max, e);
		l->retry_max = 0;
	}
	if (v < REASONING_MIN && openai_is_reasoning(e->c->model)) {
		v = REASONING_MIN;
		note(e->c->notes, NOTE_CLAMPED, S("max_tokens"),
		    S("reasoning models need at least 16"));
	}
	e->sent->sent_max = v;
	e->sent->sent_params |= 1u << PARAM_MAX_SWAP;
	mark = openai_key(e, name);
	at = e->b.n;
	buf_int(&e->b, v);
	openai_key_end(e, name, mark);
	return e->b.n > at ? at : 0;
}

static void put_number(struct enc *e, enum openai_param p, struct str name,
    struct str value)
{
	if (value.n && openai_may_send(e, p))
		openai_put_raw(e, name, value);
}

/* OA-10, OA-11: models that reason want both left alone, unless they are
 * told not to. */
static void put_sampling(struct enc *e)
{
	const struct request *r = e->req;
	int free = !openai_is_reasoning(e->c->model) ||
	    (openai_gpt_version(e->c->model) && e->effort == EFFORT_NONE);

	if (free) {
		put_number(e, PARAM_TEMPERATURE, S("temperature"),
		    r->temperature);
		put_number(e, PARAM_TOP_P, S("top_p"), r->top_p);
	}
	if (e->flags->top_k)
		put_number(e, PARAM_TOP_K, S("top_k"), r->top_k);
	else if (r->top_k.n)
		note(e->c->notes, NOTE_DROPPED, S("top_k"),
		    S("this backend doesn't know it"));
}

/* OA-13: by default the proxy itself watches for them. */
static void put_stops(struct enc *e)
{
	size_t i, mark;

	if (!e->flags->stop_upstream || e->req->nstops == 0 ||
	    openai_is_reasoning(e->c->model) || !openai_may_send(e, PARAM_STOP))
		return;
	mark = openai_key(e, S("stop"));
	for (i = 0; i < e->req->nstops && i < STOPS_MAX; i++) {
		buf_put(&e->b, i ? S(",\"") : S("[\""));
		json_put(&e->b, e->req->stops[i]);
		buf_chr(&e->b, '"');
	}
	buf_chr(&e->b, ']');
	openai_key_end(e, S("stop"), mark);
}

/* ---- who asks, and how the answer is to look ---- */

static void put_short(struct enc *e, struct str name, struct jstr v)
{
	size_t mark;

	if (v.raw.n == 0)
		return;
	mark = openai_key(e, name);
	buf_chr(&e->b, '"');
	/* Unescaped it can only be shorter. */
	if (v.raw.n <= USER_MAX)
		json_put(&e->b, v);
	else
		openai_put_hash(&e->b, v, USER_MAX);
	buf_chr(&e->b, '"');
	openai_key_end(e, name, mark);
}

/* OA-15. The session's id keeps the requests of a conversation on one cache,
 * and other conversations of the same user off it. */
static void put_identity(struct enc *e)
{
	char room[6 * 128];
	struct buf b = buf_on(room, sizeof room);
	struct str session = { NULL, 0 };

	if (e->flags->profile == P_OPENAI) {
		if (!openai_may_send(e, PARAM_USER))
			return;
		if (e->c->client)
			session = http_field(e->c->client,
			    S("x-claude-code-session-id"));
		json_escape(&b, str_head(session, 128));
		put_short(e, S("safety_identifier"), e->req->user_id);
		if (b.n)
			put_short(e, S("prompt_cache_key"),
			    (struct jstr){ buf_str(&b) });
		else
			put_short(e, S("prompt_cache_key"), e->req->user_id);
	} else if (e->flags->send_user && e->req->user_id.raw.n &&
	    openai_may_send(e, PARAM_USER)) {
		put_short(e, S("user"), e->req->user_id);
	}
}

static int has_format(const struct enc *e)
{
	return json_type(json_get(e->req->format, S("schema"))) == JSON_OBJECT;
}

/* OA-20 */
static void plan_format(struct enc *e)
{
	if (!has_format(e))
		return;
	e->schema_in_text = e->flags->schema_out != SCHEMA_OUT_JSON_SCHEMA ||
	    openai_refused(e->c, PARAM_RESPONSE_FORMAT);
	if (e->schema_in_text)
		note(e->c->notes, NOTE_CHANGED, S("output_config.format"),
		    S("the schema is part of the system text"));
}

static void put_format(struct enc *e)
{
	struct jv schema = json_get(e->req->format, S("schema"));
	size_t mark;

	if (!has_format(e) || e->flags->schema_out == SCHEMA_OUT_NONE ||
	    !openai_may_send(e, PARAM_RESPONSE_FORMAT))
		return;
	mark = openai_key(e, S("response_format"));
	if (e->flags->schema_out == SCHEMA_OUT_JSON_OBJECT) {
		buf_put(&e->b, S("{\"type\":\"json_object\"}"));
	} else {
		buf_put(&e->b, S("{\"type\":\"json_schema\",\"json_schema\":"
		    "{\"name\":\"output\",\"schema\":"));
		openai_schema(&e->b, e->c, schema);
		buf_put(&e->b, openai_schema_strict(schema) ?
		    S(",\"strict\":true}}") : S(",\"strict\":false}}"));
	}
	openai_key_end(e, S("response_format"), mark);
}

static void put_stream(struct enc *e)
{
	struct call *c = e->c;

	c->upstream_stream = e->req->stream || e->flags->always_stream;
	openai_put_raw(e, S("stream"), c->upstream_stream ? S("true") :
	    S("false"));
	if (c->upstream_stream && e->flags->stream_options &&
	    openai_may_send(e, PARAM_STREAM_OPTIONS))
		openai_put_raw(e, S("stream_options"),
		    S("{\"include_usage\":true}"));
}

/* The last message is the beginning of the answer (OA-47). */
static void put_prefill(struct enc *e)
{
	const struct turn *t = e->nturns ? &e->turns[e->nturns - 1] : NULL;

	if (!t || t->role != ROLE_ASSISTANT || t->calls)
		return;
	switch (e->flags->profile) {
	case P_VLLM:
		openai_put_raw(e, S("add_generation_prompt"), S("false"));
		openai_put_raw(e, S("continue_final_message"), S("true"));
		return;
	case P_LLAMACPP:
	case P_OPENROUTER:
		return;
	default:
		note(e->c->notes, NOTE_CHANGED, S("messages"),
		    S("this backend answers anew instead of going on with the "
		    "last assistant message"));
		return;
	}
}

static void put_extra(struct enc *e)
{
	struct json_iter it;

	if (!e->has_extra)
		return;
	it = json_iter(json_root(&e->extra));
	while (json_next(&it)) {
		buf_put(&e->b, e->b.n > 1 ? S(",\"") : S("\""));
		buf_put(&e->b, it.key.raw);
		buf_put(&e->b, S("\":"));
		json_compact(&e->b, json_raw(it.value));
	}
}

/* ---- the whole ---- */

static void put_model(struct enc *e)
{
	size_t mark = openai_key(e, S("model"));

	json_quote(&e->b, e->c->model);
	openai_key_end(e, S("model"), mark);
}

static void put_messages(struct enc *e)
{
	size_t mark = openai_key(e, S("messages"));

	openai_put_messages(e);
	openai_key_end(e, S("messages"), mark);
}

/* What is counted is what counts: no field but these costs tokens. */
static void put_count(struct enc *e)
{
	buf_chr(&e->b, '{');
	put_model(e);
	openai_put_tools(e);
	put_messages(e);
	put_prefill(e);
	buf_chr(&e->b, '}');
}

/* Returns where the number of max_tokens stands; 0: nowhere. */
static size_t put_body(struct enc *e)
{
	size_t max_at;

	buf_chr(&e->b, '{');
	put_model(e);
	max_at = put_max(e);
	openai_put_thinking(e);
	put_sampling(e);
	put_stops(e);
	if (e->flags->profile == P_OPENAI && e->req->standard_only &&
	    openai_may_send(e, PARAM_SERVICE_TIER))
		openai_put_raw(e, S("service_tier"), S("\"default\""));
	put_identity(e);
	openai_put_tools(e);
	if (e->ntools && e->req->no_parallel && e->flags->parallel_flag &&
	    openai_may_send(e, PARAM_PARALLEL))
		openai_put_raw(e, S("parallel_tool_calls"), S("false"));
	put_format(e);
	put_messages(e);
	put_prefill(e);
	put_stream(e);
	put_extra(e);
	buf_chr(&e->b, '}');
	return max_at;
}

/* Tokens of the prompt, and what this model's real counts make of them. */
static void sum_up(struct enc *e)
{
	uint64_t tokens = (e->cost + 300 + 99) / 100;
	uint64_t ratio = openai_learned(e->c)->ratio;

	e->sent->estimate = e->images ? 0 : (int64_t)tokens;
	if (ratio)
		tokens = (tokens * ratio + 65535) / 65536;
	e->c->estimate = (int64_t)tokens;
}

/* A window that a refusal told of spares the next requests theirs. The
 * estimate may err, so near the window's end, and for a second attempt, which
 * goes by the server's own count, it decides nothing. */
static int64_t window_of(struct enc *e)
{
	const struct openai_learned *l = openai_learned(e->c);
	int64_t learned = l->window;

	if (e->flags->context)
		return e->flags->context;
	if (e->c->attempt > 0 || e->c->now_ms - l->window_ms > WINDOW_AGE_MS ||
	    learned - e->c->estimate < learned / ROOM_GUESSED)
		return 0;
	return learned;
}

/* With a known window, prompt and answer have to fit it together: some servers
 * refuse, others cut the prompt without a word. The number was written before
 * the prompt's size was known. */
static void fit_max(struct enc *e, size_t at)
{
	int64_t window = window_of(e);
	int64_t room = window - e->c->estimate - ROOM_SPARE;
	char digits[24];
	struct buf d = buf_on(digits, sizeof digits);
	size_t was = 0, less;

	if (room < ROOM_MIN)
		room = ROOM_MIN;
	if (!at || window == 0 || e->sent->sent_max <= room ||
	    e->b.full)
		return;
	while (e->b.p[at + was] >= '0' && e->b.p[at + was] <= '9')
		was++;
	buf_int(&d, room);
	less = was - d.n;
	memcpy(e->b.p + at, d.p, d.n);
	memmove(e->b.p + at + d.n, e->b.p + at + was, e->b.n - at - was);
	e->b.n -= less;
	if (e->sent->prefill.n)
		e->sent->prefill.p -= less;
	e->sent->sent_max = room;
	note(e->c->notes, NOTE_CLAMPED, S("max_tokens"),
	    S("what the model's window leaves beside the prompt"));
}

/* These two cut a long prompt silently (field reports): better that the
 * client hears of it and compacts. */
static int overflows(const struct enc *e)
{
	return e->flags->context && e->c->estimate > e->flags->context &&
	    (e->flags->profile == P_OLLAMA || e->flags->profile == P_LMSTUDIO);
}

static int refuse_field(struct enc *e, struct str name)
{
	FAULT(&e->c->fault, 400, name, S(": not available with this backend, "
	    "which can't do what it asks for"));
	return E_FAULT;
}

/* What would change the meaning if it were left out (OA-26), and what is
 * worth a word (OA-24, OA-25). */
static int check_fields(struct enc *e)
{
	struct jv root = e->req->json;
	struct json_iter it = json_iter(json_get(json_get(root,
	    S("context_management")), S("edits")));
	struct jv v = json_get(root, S("thread"));

	if (json_count(json_get(root, S("mcp_servers"))))
		return refuse_field(e, S("mcp_servers"));
	if (json_type(v) == JSON_OBJECT || json_type(v) == JSON_STRING) {
		refuse_field(e, S("thread"));
		e->c->fault.code = "thread_unsupported_request";
		return E_FAULT;
	}
	if (json_type(json_get(root, S("compaction"))) == JSON_OBJECT)
		return refuse_field(e, S("compaction"));
	v = json_get(root, S("container"));
	if (json_type(v) == JSON_OBJECT || json_type(v) == JSON_STRING)
		note(e->c->notes, NOTE_DROPPED, S("container"),
		    S("Anthropic's containers aren't reachable from here"));
	while (json_next(&it))
		if (json_is(json_get(it.value, S("type")),
		    S("compact_20260112")))
			note(e->c->notes, NOTE_DROPPED,
			    S("context_management.edits"),
			    S("compaction is Anthropic's own"));
	return OK;
}

static int plan(struct enc *e)
{
	int r = check_fields(e);

	if (r == OK && e->flags->extra_body.n) {
		r = json_parse(&e->extra, e->flags->extra_body, e->c->a, NULL);
		e->has_extra = 1;
	}
	if (r == OK)
		r = openai_plan_turns(e);
	if (r == OK)
		r = openai_plan_tools(e);
	plan_format(e);
	e->marks = e->flags->cache_marks &&
	    e->flags->profile == P_OPENROUTER && openai_is_claude_or_gemini(e);
	return r;
}

/* AN-20: nothing is to be generated, so nobody is asked. */
static int answer_empty(struct call *c)
{
	struct usage usage = { .input = c->estimate, .thinking = -1,
	    .estimated = 1 };
	struct jstr none = { { NULL, 0 } };

	c->answer.usage = usage;
	answer_start(&c->answer);
	answer_finish(&c->answer, STOP_MAX_TOKENS, none, none, &usage);
	return CALL_DONE;
}

static int finish(struct enc *e, size_t max_at)
{
	struct call *c = e->c;

	if (e->b.full)
		return E_FULL;
	sum_up(e);
	if (c->kind == CALL_MESSAGES && overflows(e)) {
		fault_overflow(&c->fault, (uint64_t)c->estimate,
		    (uint64_t)e->flags->context);
		return E_FAULT;
	}
	fit_max(e, max_at);
	c->body[0] = buf_end(c->a, &e->b);
	c->nbody = 1;
	if (c->kind == CALL_MESSAGES)
		return e->req->max_tokens == 0 ? answer_empty(c) : OK;
	return openai_count_body(c);
}

int openai_encode(struct call *c)
{
	struct enc e = { .c = c, .flags = openai_flags(c), .req = c->req,
	    .sent = c->state };
	size_t max_at = 0;
	int r;

	c->upstream_stream = 0;
	if (c->kind == CALL_MODELS)
		return OK;
	e.sent->show_reasoning = !openai_shows(c->req) &&
	    !e.flags->show_reasoning_always ? 0 :
	    c->req->display == DISPLAY_OMITTED ? 2 : 1;
	r = plan(&e);
	if (r != OK)
		return r;
	e.b = buf_open(c->a);
	if (c->kind == CALL_COUNT)
		put_count(&e);
	else
		max_at = put_body(&e);
	if (c->kind == CALL_MESSAGES)
		openai_account(&e);
	r = finish(&e, max_at);
	if (r == OK && c->kind == CALL_MESSAGES)
		request_unread(c->req, MEMBER(M_SOURCE) | MEMBER(M_TITLE), c->a,
		    c->notes, S("this API has no place for it"));
	return r;
}
