/* openai_error.c -- refusals -> faults, retries.
 *
 * Every service words its errors in its own way, some in several. What is read
 * here is what decides: a prompt that is too long, a limit that was passed, a
 * parameter that isn't known, a policy. The rest goes by the status. A second
 * attempt is asked for only when something was learned that changes it.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

enum {
	BODY_SHOWN = 300,	/* of a body in no known shape */
	RAW_SHOWN = 300,	/* of a provider's words behind a router's */
	NUMBERS_MAX = 16,	/* read out of one message */
	SLACK = 64,		/* tokens left free when shrinking to a window */
	OUTPUT_MIN = 256,	/* less than this isn't worth a second attempt */
	LOADING_RETRY = 5	/* seconds; a model takes about that long */
};

/* An error, as far as it was understood. Plain text. */
struct said {
	struct str text, type, code, param;
	int64_t number;		/* a status in the body; 0: none */
	uint64_t tokens, window;	/* llama.cpp states them */
	int retry;		/* seconds; -1 */
};

static int has(struct str text, struct str what)
{
	return str_ifind(text, what) < text.n;
}

static int has_any(struct str text, const struct str *what, size_t n)
{
	while (n--)
		if (has(text, what[n]))
			return 1;
	return 0;
}
#define HAS(text, ...) has_any((text), (const struct str[]){ __VA_ARGS__ }, \
	sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))

/* ---- reading (OA-119) -------------------------------------------------- */

static struct str plain(struct call *c, struct jv v)
{
	struct str s = json_text(c->a, json_str(v));

	return s.p ? s : S("");
}

/* FastAPI's list of what is wrong with the body. */
static void read_detail(struct call *c, struct said *s, struct jv detail)
{
	struct jv first = json_at(detail, 0), loc = json_get(first, S("loc"));
	size_t n = json_count(loc);

	if (json_type(detail) == JSON_STRING) {
		s->text = plain(c, detail);
		return;
	}
	if (json_type(detail) == JSON_OBJECT) {
		s->text = plain(c, json_get(detail, S("message")));
		return;
	}
	s->text = plain(c, json_get(first, S("msg")));
	s->code = plain(c, json_get(first, S("type")));
	if (n)
		s->param = plain(c, json_at(loc, n - 1));
}

/* "17s" or "17.3s", as Gemini writes a delay; rounded up. */
static int read_delay(struct str s)
{
	uint64_t n;
	size_t dot = str_chr(s, '.');

	if (!str_ends(s, S("s")))
		return -1;
	s.n--;
	if (str_u64(str_head(s, dot), &n) != OK || n > 86400)
		return -1;
	return (int)n + (dot < s.n);
}

static void read_retry(struct call *c, struct said *s, struct jv e)
{
	struct json_iter it = json_iter(json_get(e, S("details")));
	struct jv headers = json_get(json_get(e, S("metadata")),
	    S("headers"));
	struct str v;
	uint64_t n;

	while (s->retry < 0 && !it.object && json_next(&it))
		s->retry = read_delay(plain(c, json_get(it.value,
		    S("retryDelay"))));
	it = json_iter(headers);
	while (s->retry < 0 && it.object && json_next(&it)) {
		v = json_text(c->a, it.key);
		if (str_ieq(v, S("retry-after")) && str_u64(json_type(
		    it.value) == JSON_STRING ? plain(c, it.value) :
		    json_num(it.value), &n) == OK && n <= 86400)
			s->retry = (int)n;
	}
}

/* What the provider behind a router said. */
static void read_raw(struct call *c, struct said *s, struct jv e)
{
	struct str raw = plain(c, json_get(json_get(e, S("metadata")),
	    S("raw")));
	struct buf b;

	if (!raw.n || raw.n > RAW_SHOWN || has(s->text, raw))
		return;
	b = buf_open(c->a);
	buf_put(&b, s->text);
	buf_put(&b, S(": "));
	buf_put(&b, raw);
	if (!b.full)
		s->text = buf_end(c->a, &b);
}

static void read_object(struct call *c, struct said *s, struct jv e)
{
	struct jv message = json_get(e, S("message"));
	struct jv code = json_get(e, S("code"));
	struct jv detail = json_get(e, S("detail"));
	uint64_t n;

	s->type = plain(c, json_get(e, S("type")));
	s->param = plain(c, json_get(e, S("param")));
	s->code = plain(c, code);
	s->number = json_int(code, 0);
	if (str_u64(s->code, &n) == OK && n < 600)
		s->number = (int64_t)n;
	if (!s->code.n)
		s->code = plain(c, json_get(e, S("status")));
	s->text = plain(c, message);
	if (json_type(message) == JSON_OBJECT)
		detail = json_get(message, S("detail"));
	if (!s->text.n && json_type(detail) != JSON_ABSENT)
		read_detail(c, s, detail);
	s->tokens = (uint64_t)json_int(json_get(e, S("n_prompt_tokens")), 0);
	s->window = (uint64_t)json_int(json_get(e, S("n_ctx")), 0);
	read_raw(c, s, e);
	read_retry(c, s, e);
}

static struct said read_error(struct call *c, struct jv error,
    struct str text)
{
	struct said s = { .retry = -1 };

	if (json_type(error) == JSON_OBJECT)
		read_object(c, &s, error);
	else
		s.text = plain(c, error);
	if (!s.text.n)
		s.text = str_head(str_trim(text), BODY_SHOWN);
	return s;
}

/* ---- a status where none came (OA-120, last rows) ---------------------- */

static int status_of(const struct said *s)
{
	static const struct {
		struct str word;
		int status;
	} words[] = {
		{ { "insufficient_quota", 18 }, 429 },
		{ { "rate_limit", 10 }, 429 },
		{ { "resource_exhausted", 18 }, 429 },
		{ { "overloaded", 10 }, 529 },
		{ { "unavailable", 11 }, 503 },
		{ { "deadline_exceeded", 17 }, 504 },
		{ { "timeout", 7 }, 504 },
		{ { "authentication", 14 }, 401 },
		{ { "unauthenticated", 15 }, 401 },
		{ { "permission_denied", 17 }, 403 },
		{ { "not_found", 9 }, 404 },
		{ { "invalid_request", 15 }, 400 },
		{ { "invalid_argument", 16 }, 400 },
		{ { "badrequest", 10 }, 400 }
	};
	size_t i;

	if (s->number >= 400 && s->number < 600)
		return (int)s->number;
	for (i = 0; i < COUNT(words); i++)
		if (has(s->type, words[i].word) || has(s->code, words[i].word))
			return words[i].status;
	return 500;
}

/* ---- limits ------------------------------------------------------------ */

struct numbers {
	uint64_t v[NUMBERS_MAX];
	size_t n;
};

/* All of them, thousands separated by commas or not. */
static struct numbers read_numbers(struct str s)
{
	struct numbers out = { .n = 0 };
	uint64_t v = 0;
	size_t i, digits = 0;

	for (i = 0; i <= s.n && out.n < NUMBERS_MAX; i++) {
		char ch = i < s.n ? s.p[i] : ' ';

		if (ch >= '0' && ch <= '9') {
			v = digits < 15 ? v * 10 + (uint64_t)(ch - '0') : v;
			digits++;
		} else if (ch == ',' && digits && digits < 4 && s.n - i > 3 &&
		    s.p[i + 1] >= '0' && s.p[i + 1] <= '9' &&
		    s.p[i + 2] >= '0' && s.p[i + 3] >= '0') {
			continue;
		} else {
			if (digits)
				out.v[out.n++] = v;
			v = 0;
			digits = 0;
		}
	}
	return out;
}

static int has_number(const struct numbers *n, uint64_t v)
{
	size_t i;

	for (i = 0; i < n->n; i++)
		if (n->v[i] == v)
			return 1;
	return 0;
}

static int speaks_of_output(struct str text)
{
	return HAS(text, S("max_tokens"), S("max_completion_tokens"),
	    S("max_output_tokens"), S("maxOutputTokens"), S("completion"),
	    S("in the output"), S("max_new_tokens"));
}

/* The prompt's part of what was too much: with the output asked for it makes
 * another number of the message; else the largest that is neither. */
static uint64_t prompt_part(const struct numbers *n, uint64_t window,
    uint64_t max)
{
	uint64_t best = 0;
	size_t i;

	for (i = 0; i < n->n; i++) {
		if (n->v[i] == max || n->v[i] == window)
			continue;
		if (n->v[i] && has_number(n, n->v[i] + max))
			return n->v[i];
		if (n->v[i] < window && n->v[i] > best)
			best = n->v[i];
	}
	return best;
}

/* Prompt and output together exceed the window, the prompt alone doesn't.
 * Returns the output that fits; 0 when that isn't the case. */
static int64_t output_that_fits(struct call *c, const struct said *s,
    uint64_t window)
{
	struct numbers n = read_numbers(s->text);
	int64_t sent = openai_state(c)->sent.sent_max;
	uint64_t prompt, fits;

	if (!window || sent <= 0 || !speaks_of_output(s->text))
		return 0;
	prompt = prompt_part(&n, window, (uint64_t)sent);
	if (!prompt)
		prompt = c->estimate > 0 ? (uint64_t)c->estimate : 0;
	if (prompt + SLACK + OUTPUT_MIN > window)
		return 0;
	fits = window - prompt - SLACK;
	return fits < (uint64_t)sent ? (int64_t)fits : 0;
}

/* "max_tokens is too large: 64000. This model supports at most 16384": the
 * largest number below what was sent; 0 when it isn't said. */
static int64_t output_limit(struct call *c, const struct said *s)
{
	struct numbers n = read_numbers(s->text);
	int64_t sent = openai_state(c)->sent.sent_max;
	uint64_t best = 0;
	size_t i;

	if (sent <= 0 || !HAS(s->text, S("max_tokens"),
	    S("max_completion_tokens"), S("max_output_tokens"),
	    S("maxOutputTokens"), S("max_new_tokens")))
		return 0;
	if (!HAS(s->text, S("too large"), S("at most"), S("maximum"),
	    S("less than or equal"), S("range"), S("exceed"), S("between"),
	    S("greater than"), S("larger than"), S("<=")))
		return 0;
	for (i = 0; i < n.n; i++)
		if (n.v[i] > best && n.v[i] < (uint64_t)sent)
			best = n.v[i];
	if (best && has(s->text, S("(exclusive)")))
		best--;
	return best >= OUTPUT_MIN ? (int64_t)best : 0;
}

/* ---- parameters (OA-5) ------------------------------------------------- */

static const struct {
	enum openai_param param;
	struct str name;
	int vague;		/* an ordinary word: only when it is marked */
} params[] = {
	{ PARAM_TEMPERATURE, { "temperature", 11 }, 0 },
	{ PARAM_TOP_P, { "top_p", 5 }, 0 },
	{ PARAM_TOP_K, { "top_k", 5 }, 0 },
	{ PARAM_STOP, { "stop", 4 }, 1 },
	{ PARAM_REASONING_EFFORT, { "reasoning_effort", 16 }, 0 },
	{ PARAM_REASONING_EFFORT, { "reasoning.effort", 16 }, 0 },
	{ PARAM_REASONING_EFFORT, { "reasoning", 9 }, 1 },
	{ PARAM_REASONING_EFFORT, { "support thinking", 16 }, 0 },
	{ PARAM_REASONING_EFFORT, { "think", 5 }, 1 },
	{ PARAM_REASONING_EFFORT, { "thinking", 8 }, 1 },
	{ PARAM_PARALLEL, { "parallel_tool_calls", 19 }, 0 },
	{ PARAM_STREAM_OPTIONS, { "stream_options", 14 }, 0 },
	{ PARAM_USER, { "user", 4 }, 1 },
	{ PARAM_USER, { "safety_identifier", 17 }, 0 },
	{ PARAM_USER, { "prompt_cache_key", 16 }, 0 },
	{ PARAM_STRICT, { "strict", 6 }, 1 },
	{ PARAM_SERVICE_TIER, { "service_tier", 12 }, 0 },
	{ PARAM_RESPONSE_FORMAT, { "response_format", 15 }, 0 }
};

static int is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_';
}

static int is_quote(char c)
{
	return c == '"' || c == '\'' || c == '`';
}

/* Whether text has name as a word; marked: in quotes, or behind a colon. */
static int names(struct str text, struct str name, int marked)
{
	size_t at = 0, end;
	char before, after;

	while ((at += str_find(str_from(text, at), name)) < text.n) {
		end = at + name.n;
		before = at ? text.p[at - 1] : ' ';
		after = end < text.n ? text.p[end] : ' ';
		if (!is_word(before) && !is_word(after) && (!marked ||
		    (is_quote(before) && is_quote(after)) ||
		    (at > 1 && text.p[at - 2] == ':')))
			return 1;
		at = end;
	}
	return 0;
}

static int says_unsupported(const struct said *s)
{
	return HAS(s->code, S("unsupported"), S("unknown_parameter"),
	    S("extra_forbidden")) ||
	    HAS(s->text, S("unsupported"), S("not supported"),
	    S("not support"), S("unknown name"), S("unknown parameter"),
	    S("unknown field"), S("unrecognized"), S("unexpected keyword"),
	    S("not permitted"));
}

/* Remembers it. 0 when it was known, or wasn't sent: then leaving it out
 * changes nothing. */
static int learn(struct call *c, enum openai_param p, int was_sent)
{
	if (!was_sent || openai_refused(c, p))
		return 0;
	openai_learned(c)->refused |= UINT32_C(1) << p;
	return 1;
}

/* Refusals that ask for something else than leaving a parameter out. *known:
 * it was one of them, whether new or not. */
static int learn_special(struct call *c, const struct said *s, int *known)
{
	*known = 1;
	if (has(s->text, S("non-empty for OBJECT")))
		return learn(c, PARAM_EMPTY_OBJECT, 1);
	if (names(s->text, S("reasoning_content"), 0))
		return learn(c, PARAM_REASONING_SPACE, 1);
	if (says_unsupported(s) && has(s->text, S("tools")) &&
	    names(s->text, S("reasoning_effort"), 0))
		return learn(c, PARAM_EFFORT_NONE, 1);
	if (says_unsupported(s) && (str_eq(s->param, S("max_tokens")) ||
	    str_eq(s->param, S("max_completion_tokens")) ||
	    names(s->text, S("max_tokens"), 0) ||
	    names(s->text, S("max_completion_tokens"), 0)))
		return learn(c, PARAM_MAX_SWAP, 1);
	*known = 0;
	return 0;
}

/* 1 when something was learned that another attempt can heed. */
static int learn_param(struct call *c, const struct said *s)
{
	uint64_t sent = openai_state(c)->sent.sent_params;
	int known, learned = learn_special(c, s, &known);
	size_t i;

	if (known || !says_unsupported(s))
		return learned;
	for (i = 0; i < COUNT(params); i++)
		if (str_eq(s->param, params[i].name) &&
		    learn(c, params[i].param, (int)(sent >>
		    params[i].param & 1)))
			return 1;
	for (i = 0; i < COUNT(params); i++)
		if (names(s->text, params[i].name, params[i].vague) &&
		    learn(c, params[i].param, (int)(sent >>
		    params[i].param & 1)))
			return 1;
	return 0;
}

/* ---- answers that aren't errors ---------------------------------------- */

static int answered(struct call *c, enum stop_reason stop, struct str why)
{
	struct usage u = { .input = c->answer.usage.input, .thinking = -1,
	    .estimated = 1 };
	struct jstr none = { { NULL, 0 } }, text = none;
	struct buf b = buf_open(c->a);

	json_escape(&b, why);
	if (why.n && !b.full)
		text.raw = buf_end(c->a, &b);
	answer_start(&c->answer);
	answer_finish(&c->answer, stop, none, text, &u);
	return CALL_DONE;
}

static int is_policy(const struct said *s)
{
	static const struct str words[] = {
		{ "content_policy_violation", 24 }, { "content_filter", 14 },
		{ "responsibleaipolicyviolation", 28 }
	};

	return has_any(s->code, words, COUNT(words)) ||
	    has_any(s->type, words, COUNT(words)) ||
	    has(s->text, S("content management policy"));
}

/* ---- the fault --------------------------------------------------------- */

static int seconds_of(const struct http_head *h, const struct said *s,
    int64_t now)
{
	struct str ms;
	uint64_t n;
	int r = -1;

	if (h) {
		r = retry_after(h, now);
		ms = http_field(h, S("retry-after-ms"));
		if (r < 0 && ms.n && str_u64(ms, &n) == OK && n <= 86400000)
			r = (int)((n + 999) / 1000);
	}
	return r < 0 ? s->retry : r;
}

/* After the 200 only the type is left to say it with (OA-121). */
static const char *late_type(int status)
{
	switch (status) {
	case 429:
		return "rate_limit_error";
	case 409: case 425: case 503: case 529:
		return "overloaded_error";
	case 408: case 504:
		return "timeout_error";
	}
	return "api_error";
}

static void set_fault(struct call *c, int status, const struct http_head *h,
    const struct said *s)
{
	struct fault *f = &c->fault;
	struct buf b = buf_open(c->a);
	struct str text = s->text;
	int seconds = seconds_of(h, s, c->now);

	put_masked(&b, text, c->up->key);
	/* Nothing that another try would change (OA-59). */
	if (status == 500 && has(s->text, S("--jinja"))) {
		status = 400;
		buf_put(&b, S(": start llama-server with it, or it takes no "
		    "tools"));
	}
	text = b.full ? S("") : buf_end(c->a, &b);
	if (!text.n && status == 404)
		text = S("no such model or path");
	fault_from_status(f, status, c->up->name, text);
	if (status == 429 && (str_eq(s->code, S("insufficient_quota")) ||
	    str_eq(s->type, S("insufficient_quota")))) {
		f->status = 402;
		f->type = fault_type(402);
		seconds = -1;
	}
	if (status == 503 && has(s->text, S("loading"))) {
		f->status = 503;
		f->type = fault_type(503);
		seconds = LOADING_RETRY;
	}
	if (seconds >= 0 && (f->status == 429 || f->status == 503 ||
	    f->status == 529))
		f->retry_after = seconds;
	if (f->status == 401)
		f->should_retry = 0;
	if (c->answer.started)
		f->type = late_type(status);
}

/* ---- the whole (OA-120) ------------------------------------------------ */

static int overflow(struct call *c, const struct said *s, uint64_t *tokens,
    uint64_t *window)
{
	int is = overflow_text(s->text, tokens, window);

	if (str_eq(s->type, S("exceed_context_size_error")) ||
	    has(s->code, S("context_length_exceeded")))
		is = 1;
	if (s->tokens)
		*tokens = s->tokens;
	if (s->window)
		*window = s->window;
	if (!*tokens && c->estimate > 0)
		*tokens = (uint64_t)c->estimate;
	if (!*window && openai_flags(c)->context > 0)
		*window = (uint64_t)openai_flags(c)->context;
	return is;
}

/* A second attempt with less output, or without what was refused. */
static int learned_something(struct call *c, const struct said *s,
    uint64_t window)
{
	struct openai_learned *l = openai_learned(c);
	int64_t n;

	if (c->attempt > 0 || c->answer.started)
		return 0;
	n = output_that_fits(c, s, window);
	if (n) {
		l->retry_max = n;
		l->window = (int64_t)window;
		l->window_ms = c->now_ms;
		return 1;
	}
	if (says_unsupported(s) && learn_param(c, s))
		return 1;
	n = output_limit(c, s);
	if (n) {
		l->max_output = n;
		return 1;
	}
	return learn_param(c, s);
}

int openai_error(struct call *c, int status, const struct http_head *h,
    struct jv error, struct str text)
{
	struct said s = read_error(c, error, text);
	int row = status ? status : status_of(&s), too_long;
	int mild = row == 400 || row == 413 || row == 422 || row == 500;
	uint64_t tokens = 0, window = 0;

	if (c->kind != CALL_MESSAGES) {
		set_fault(c, row, h, &s);
		return E_FAULT;
	}
	too_long = (mild || !status) && overflow(c, &s, &tokens, &window);
	if (mild && learned_something(c, &s, too_long ? window : 0))
		return CALL_RETRY;
	if (too_long) {
		fault_overflow(&c->fault, tokens, window);
		if (c->answer.started)
			c->fault.type = "api_error";
		return E_FAULT;
	}
	if (mild && !openai_state(c)->open) {
		if (has(s.text, S("could not finish the message because "
		    "max_tokens")))
			return answered(c, STOP_MAX_TOKENS, S(""));
		if (is_policy(&s))
			return answered(c, STOP_REFUSAL, s.text);
	}
	set_fault(c, row, h, &s);
	return E_FAULT;
}

int openai_refuse(struct call *c, const struct http_head *h, struct str body)
{
	struct jv error = { NULL, 0 }, inner;
	char *before = c->a->cur;
	struct json doc;
	int r;

	if (json_parse(&doc, body, c->a, NULL) == OK) {
		error = json_root(&doc);
		if (json_type(error) == JSON_ARRAY)
			error = json_at(error, 0);
		inner = json_get(error, S("error"));
		if (json_type(inner) == JSON_OBJECT ||
		    json_type(inner) == JSON_STRING)
			error = inner;
	}
	if (c->kind == CALL_COUNT && openai_count_gone(c, h->status, body))
		r = CALL_RETRY;
	else
		r = openai_error(c, h->status, h, error, body);
	c->a->cur = before;
	return r;
}
