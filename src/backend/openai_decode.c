/* openai_decode.c -- chunks and whole answers -> events.
 *
 * Frames are taken off, each parsed in scratch memory, its parts handed on in
 * a fixed order (OA-81): error, reasoning, text, calls, finish, usage. A whole
 * answer is one large chunk that goes the same way. What makes an answer
 * complete is a finish reason or [DONE], never the end of a connection alone.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

enum {
	TOKENS_SANE = 1 << 30,	/* larger figures are nobody's usage */
	RATIO_ONE = 65536,
	RATIO_FROM = 500	/* smaller estimates say little (OA-131) */
};

/* ---- failing ----------------------------------------------------------- */

/* Sends what is held back, so that nothing received is lost. The block stays
 * open: a client must not take half of it for the whole. */
static void let_go(struct call *c)
{
	if (c->answer.started && !openai_state(c)->open)
		text_flush(c);
}

static int fail(struct call *c, int status, struct str what)
{
	let_go(c);
	FAULT(&c->fault, status, S("upstream "), c->up->name, S(": "), what);
	if (c->answer.started)
		c->fault.type = "api_error";
	return E_FAULT;
}

static int fail_full(struct call *c)
{
	FAULT(&c->fault, 502, S("upstream "), c->up->name, S(": its answer "
	    "needs more memory than the proxy has for a request (MAX_BODY)"));
	c->fault.should_retry = 0;
	return E_FAULT;
}

static int fail_with(struct call *c, struct jv error, struct str text)
{
	let_go(c);
	return openai_error(c, 0, NULL, error, text);
}

/* ---- usage (6.2) ------------------------------------------------------- */

static int64_t tokens(struct jv holder, struct str name)
{
	int64_t n = json_int(json_get(holder, name), 0);

	return n < 0 ? 0 : n > TOKENS_SANE ? TOKENS_SANE : n;
}

static void take_usage(struct call *c, struct jv u)
{
	struct openai_state *st = openai_state(c);
	struct jv in = json_get(u, S("prompt_tokens_details"));
	struct jv out = json_get(u, S("completion_tokens_details"));
	int64_t prompt = tokens(u, S("prompt_tokens"));
	int64_t rest = tokens(u, S("total_tokens")) - prompt;
	struct usage v = { .thinking = -1 };

	v.output = tokens(u, S("completion_tokens"));
	/* Gemini leaves the thoughts out of the completion. */
	if (prompt && rest > v.output)
		v.output = rest;
	if (prompt + v.output == 0)
		return;
	v.cache_read = tokens(in, S("cached_tokens"));
	if (!v.cache_read)
		v.cache_read = tokens(u, S("prompt_cache_hit_tokens"));
	v.cache_write = tokens(in, S("cache_write_tokens"));
	if (v.cache_read > prompt)
		v.cache_read = prompt;
	if (v.cache_write > prompt - v.cache_read)
		v.cache_write = prompt - v.cache_read;
	v.input = prompt - v.cache_read - v.cache_write;
	if (json_type(json_get(out, S("reasoning_tokens"))) == JSON_NUMBER)
		v.thinking = tokens(out, S("reasoning_tokens"));
	st->usage = v;
	st->have_usage = 1;
}

/* OA-114; message_start tells it, if it is known by then. */
static void take_tier(struct call *c, struct jv tier)
{
	if (json_type(tier) == JSON_STRING)
		c->answer.usage.priority = json_is(tier, S("priority"));
}

/* The upstream's figure corrects our estimates of later requests (OA-131). */
static void calibrate(struct call *c, int64_t prompt)
{
	int64_t e = openai_state(c)->sent.estimate, q;
	struct openai_learned *l;

	if (e < RATIO_FROM || prompt <= 0)
		return;
	if (prompt < e / 2 && (openai_state(c)->flags->profile == P_OLLAMA ||
	    openai_state(c)->flags->profile == P_LMSTUDIO)) {
		/* They cut prompts that exceed their window, silently. */
		note(c->notes, NOTE_CHANGED, S("messages"), S("the upstream "
		    "read less than half of the prompt: is its context window "
		    "large enough?"));
		return;
	}
	q = prompt * RATIO_ONE / e;
	q = q < RATIO_ONE / 2 ? RATIO_ONE / 2 : q > 2 * RATIO_ONE ?
	    2 * RATIO_ONE : q;
	l = openai_learned(c);
	l->ratio = (uint32_t)((7 * (l->ratio ? l->ratio : RATIO_ONE) + 3 * q +
	    5) / 10);
}

/* It took more than the window that a refusal told of: the server was started
 * anew with a larger one. */
static void check_window(struct call *c, int64_t prompt)
{
	struct openai_learned *l = openai_learned(c);

	if (l->window && prompt > 0 && openai_state(c)->sent.sent_max >
	    l->window - prompt)
		l->window = 0;
}

static struct usage final_usage(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct usage u = st->usage;
	int64_t prompt = u.input + u.cache_read + u.cache_write;

	if (st->have_usage) {
		calibrate(c, prompt);
		check_window(c, prompt);
	} else {
		u = (struct usage){ .thinking = -1, .estimated = 1 };
	}
	if (!st->have_usage || prompt == 0)
		u.input = c->answer.usage.input;
	u.priority = c->answer.usage.priority;
	if (u.output == 0)
		u.output = (int64_t)((st->estimate + 99) / 100);
	if (u.output == 0 && c->answer.blocks)
		u.output = 1;
	return u;
}

/* ---- the end (6.1, OA-93, OA-94) --------------------------------------- */

static int is_one_of(struct jstr s, const struct str *words, size_t n)
{
	while (n--)
		if (str_ieq(s.raw, words[n]))
			return 1;
	return 0;
}
#define IS(s, ...) is_one_of((s), (const struct str[]){ __VA_ARGS__ }, \
	sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))

static int is_error(struct jstr finish)
{
	return IS(finish, S("error"), S("insufficient_system_resource"),
	    S("abort"));
}

/* The client's spelling of the sequence the upstream stopped at. */
static struct jstr stop_named(struct call *c, struct jstr said)
{
	struct arena scratch = *c->a;
	struct str text = json_text(&scratch, said);
	size_t i;

	for (i = 0; said.raw.n && c->req && i < c->req->nstops; i++)
		if (jstr_eq(c->req->stops[i], text))
			return c->req->stops[i];
	return (struct jstr){ { NULL, 0 } };
}

static enum stop_reason stop_reason(struct call *c, struct jstr *sequence)
{
	struct openai_state *st = openai_state(c);
	struct jstr f = st->finish;

	*sequence = st->cut == CUT_STOP ? st->stop_hit :
	    stop_named(c, st->stopped_at);
	if (sequence->raw.p)
		return STOP_SEQUENCE;
	if (st->cut == CUT_PARALLEL)
		return STOP_TOOL_USE;
	if (IS(f, S("length"), S("max_tokens")))
		return STOP_MAX_TOKENS;
	if (st->refused || IS(f, S("content_filter"), S("safety"),
	    S("recitation"), S("refusal"), S("prohibited_content"),
	    S("blocklist"), S("spii")))
		return STOP_REFUSAL;
	if (c->answer.tools)
		return STOP_TOOL_USE;
	if (IS(f, S("tool_calls"), S("function_call")))
		note(c->notes, NOTE_CHANGED, S("stop_reason"),
		    S("tool_calls without a call"));
	return STOP_END_TURN;
}

/* Nothing but reasoning in an open tag: better than nothing (OA-68). */
static void give_reasoning(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct rope r = st->reasoning;
	struct link *l;

	if (st->think.state != TH_IN || st->texts || c->answer.tools ||
	    st->cut || st->lost || r.n == 0)
		return;
	st->think.state = TH_DONE;
	text_close(c);
	answer_open(&c->answer, B_TEXT, (struct jstr){ { NULL, 0 } },
	    (struct jstr){ { NULL, 0 } });
	for (l = r.first; l; l = l->next)
		emit_text(c, (struct jstr){ link_str(l) });
}

static int finish(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct arena scratch;
	struct jstr sequence, why = { { NULL, 0 } };
	enum stop_reason stop;
	struct usage u;

	answer_start(&c->answer);
	if (!st->cut)
		chunk_maybe_call(c);
	text_flush(c);
	calls_finish(c);
	text_later(c);
	give_reasoning(c);
	text_close(c);
	if (st->full)
		return fail_full(c);
	stop = stop_reason(c, &sequence);
	u = final_usage(c);
	calls_keep(c);
	scratch = *c->a;
	if (st->refusal.n)
		why.raw = rope_flat(&scratch, &st->refusal);
	answer_finish(&c->answer, stop, sequence, why, &u);
	return CALL_DONE;
}

static int fail_empty(struct call *c)
{
	int64_t window = openai_state(c)->flags->context;

	/* LM Studio's answer to a prompt that is too long. */
	if (window > 0 && c->estimate > window && !c->answer.started) {
		fault_overflow(&c->fault, (uint64_t)c->estimate,
		    (uint64_t)window);
		return E_FAULT;
	}
	return fail(c, 502, S("it sent an empty stream"));
}

/* The stream ended, by [DONE] or otherwise: was that the answer? */
static int judge(struct call *c, int clean)
{
	struct openai_state *st = openai_state(c);
	enum openai_profile p = st->flags->profile;

	if (st->finish.raw.n)
		return finish(c);
	if (!st->any)
		return fail_empty(c);
	if (st->done)
		return finish(c);
	if (clean && !calls_incomplete(c) && (st->slots || p == P_GEMINI ||
	    p == P_OLLAMA || p == P_LMSTUDIO)) {
		note(c->notes, NOTE_ADDED, S("stop_reason"),
		    S("the stream ended without one"));
		return finish(c);
	}
	return fail(c, 502, S("it closed the stream early"));
}

/* ---- chunks ------------------------------------------------------------ */

static int after_chunk(struct call *c)
{
	struct openai_state *st = openai_state(c);

	if (st->full)
		return fail_full(c);
	if (st->cut)
		return finish(c);
	if (is_error(st->finish))
		return fail(c, 502, S("the model stopped with an error"));
	return OK;
}

static int take_chunk(struct call *c, const struct json *doc, int named_error)
{
	struct openai_state *st = openai_state(c);
	struct chunk k = chunk_read(doc, named_error);

	if (json_type(k.error) != JSON_ABSENT)
		return fail_with(c, k.error, doc->text);
	take_tier(c, k.tier);
	if (json_type(k.delta) == JSON_OBJECT)
		chunk_delta(c, k.delta);
	else if (!st->any)
		chunk_delta(c, k.message);
	chunk_finish(c, &k);
	if (json_type(k.usage) == JSON_OBJECT)
		take_usage(c, k.usage);
	chunk_learn(c, &k);
	return after_chunk(c);
}

static int take_whole(struct call *c, const struct json *doc)
{
	struct chunk k = chunk_read(doc, 0);

	if (json_type(k.error) != JSON_ABSENT)
		return fail_with(c, k.error, doc->text);
	if (!k.any_choice)
		return fail(c, 502, S("it returned no choices"));
	take_usage(c, k.usage);
	take_tier(c, k.tier);
	chunk_finish(c, &k);
	chunk_message(c, json_type(k.message) == JSON_OBJECT ? k.message :
	    k.delta);
	if (is_error(openai_state(c)->finish) || openai_state(c)->full)
		return after_chunk(c);
	return finish(c);
}

/* ---- frames ------------------------------------------------------------ */

/* Whether s ends in a backslash that is an escape's first half. */
static int open_escape(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[s.n - 1 - n] == '\\')
		n++;
	return n % 2 != 0;
}

/* Bytes that aren't UTF-8 become \udcXX, so that a character cut between two
 * chunks can be put together again (OA-79). Empty when that makes no JSON. */
static struct str with_bytes(struct arena *a, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	struct buf b = buf_open(a);
	size_t n;

	while (s.n) {
		n = utf8_valid(s);
		buf_put(&b, str_head(s, n));
		s = str_from(s, n);
		if (!s.n)
			break;
		if (open_escape(buf_str(&b)))
			return S("");
		buf_put(&b, S("\\udc"));
		buf_chr(&b, hex[(unsigned char)s.p[0] >> 4]);
		buf_chr(&b, hex[s.p[0] & 15]);
		s = str_from(s, 1);
	}
	return b.full ? S("") : buf_end(a, &b);
}

static int parse(struct call *c, struct json *doc, struct str text,
    struct json_error *err)
{
	int r = json_parse(doc, text, c->a, err);

	openai_state(c)->repaired = 0;
	if (r != E_BAD || utf8_valid(text) == text.n)
		return r;
	openai_state(c)->repaired = 1;
	return json_parse(doc, with_bytes(c->a, text), c->a, err);
}

static int bad_chunk(struct call *c)
{
	note(c->notes, NOTE_DROPPED, S("stream"),
	    S("an upstream event that isn't JSON"));
	if (++openai_state(c)->bad < BAD_CHUNKS_MAX)
		return OK;
	return fail(c, 502, S("its stream isn't JSON"));
}

static int take_event(struct call *c, const struct sse_event *e)
{
	struct openai_state *st = openai_state(c);
	struct str data = str_trim(e->data);
	int named_error = str_eq(e->event, S("error")), r;
	char *before = c->a->cur;
	struct jv none = { NULL, 0 };
	struct json doc;

	if (str_eq(data, S("[DONE]"))) {
		st->done = 1;
		return judge(c, 1);
	}
	if (data.n == 0)
		return OK;
	st->chunk++;
	if (!named_error && chunk_alike(c, data)) {
		st->bad = st->repaired = 0;
		return after_chunk(c);
	}
	r = parse(c, &doc, data, NULL);
	if (r == OK) {
		st->bad = 0;
		r = take_chunk(c, &doc, named_error);
	} else if (r == E_FULL) {
		r = fail_full(c);
	} else if (named_error) {
		r = fail_with(c, none, data);
	} else {
		r = bad_chunk(c);
	}
	c->a->cur = before;
	return r;
}

static int decode_sse(struct call *c, struct str *in, int end, int clean)
{
	struct openai_state *st = openai_state(c);
	struct sse_event e;
	int r;

	while (sse_next(&st->sse, in, end, &e) == OK) {
		r = take_event(c, &e);
		if (r != OK)
			return r;
	}
	if (end)
		return judge(c, clean);
	c->wait_ms = st->finish.raw.n ? TRAIL_MS : 0;
	return OK;
}

/* ---- lists -------------------------------------------------- */

static struct jstr model_id(struct jv v)
{
	static const struct str fields[] = {
		{ "id", 2 }, { "name", 4 }, { "model", 5 }
	};
	struct jstr id = json_str(v);
	size_t i;

	for (i = 0; i < COUNT(fields) && !id.raw.n; i++)
		id = json_str(json_get(v, fields[i]));
	return id;
}

/* vLLM, OpenRouter, Groq. */
static int64_t model_window(struct jv v)
{
	static const struct str fields[] = {
		{ "max_model_len", 13 }, { "context_length", 14 },
		{ "context_window", 14 }
	};
	int64_t n = 0;
	size_t i;

	for (i = 0; i < COUNT(fields) && n <= 0; i++)
		n = json_int(json_get(v, fields[i]), 0);
	return n;
}

static int take_models(struct call *c, const struct json *doc)
{
	struct jv root = json_root(doc), list = json_get(root, S("data"));
	struct json_iter it;
	struct jstr id;

	if (json_type(list) != JSON_ARRAY)
		list = json_get(root, S("models"));
	if (json_type(root) == JSON_ARRAY)
		list = root;
	it = json_iter(list);
	c->nmodels = 0;
	c->models = arena_array(c->a, it.left < CALL_MODELS_MAX ? it.left :
	    CALL_MODELS_MAX, sizeof *c->models);
	if (!c->models)
		return fail_full(c);
	while (c->nmodels < CALL_MODELS_MAX && json_next(&it)) {
		struct buf b = buf_open(c->a);

		id = model_id(it.value);
		if (!id.raw.n)
			continue;
		json_unescape(&b, id);
		if (b.full)
			return fail_full(c);
		c->models[c->nmodels++] = buf_end(c->a, &b);
		if (str_eq(c->models[c->nmodels - 1], c->model))
			c->window = model_window(it.value);
	}
	return CALL_DONE;
}

/* ---- whole bodies ------------------------------------------------------ */

static int fail_parse(struct call *c, const struct json_error *e, int clean)
{
	char at[24];
	struct buf b = buf_on(at, sizeof at);

	if (e->code == E_FULL)
		return fail_full(c);
	if (!clean)
		return fail(c, 502, S("it closed the connection inside its "
		    "answer"));
	buf_u64(&b, e->at);
	FAULT(&c->fault, 502, S("upstream "), c->up->name, S(": its answer is "
	    "not JSON: "), str_of(e->why), S(" at byte "), buf_str(&b));
	return E_FAULT;
}

static int decode_json(struct call *c, struct str *in, int end, int clean)
{
	struct openai_state *st = openai_state(c);
	struct json_error e;
	struct json doc;

	if (!end)
		return OK;
	st->whole = 1;
	st->chunk++;
	if (parse(c, &doc, str_trim(*in), &e) != OK)
		return fail_parse(c, &e, clean);
	switch (c->kind) {
	case CALL_COUNT:
		return openai_count_take(c, json_root(&doc));
	case CALL_MODELS:
		return take_models(c, &doc);
	case CALL_MESSAGES:
		break;
	}
	return take_whole(c, &doc);
}

static struct str without_blanks(struct str s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' ||
	    s.p[0] == '\n'))
		s = str_from(s, 1);
	return s;
}

/* What the first bytes are. Servers send blank lines to keep a connection
 * alive, a stream where none was asked for, and the other way round; the
 * content type doesn't tell. */
static enum mode sniff(struct call *c, struct str *in, int end)
{
	static const struct str mark = { "\xef\xbb\xbf", 3 };
	struct str rest;

	if (c->kind != CALL_MESSAGES)
		return MODE_JSON;
	*in = rest = without_blanks(*in);
	if (str_starts(rest, mark))
		rest = without_blanks(str_from(rest, mark.n));
	if (!end && (rest.n == 0 || str_starts(mark, rest)))
		return MODE_UNKNOWN;
	if (rest.n == 0 || (rest.p[0] != '{' && rest.p[0] != '['))
		return MODE_SSE;
	*in = rest;
	return MODE_JSON;
}

/* ---- the contract ------------------------------------------------------ */

int openai_begin(struct call *c, const struct http_head *h)
{
	struct openai_state *st = openai_state(c);
	struct str type = http_field(h, S("content-type"));

	/* After CALL_NEXT this isn't the first answer. */
	st->over = OK;
	st->mode = MODE_UNKNOWN;
	st->flags = openai_flags(c);
	if (str_istarts(type, S("text/html"))) {
		FAULT(&c->fault, 502, S("upstream "), c->up->name, S(" answers "
		    "with a web page: is the base URL right (often it ends in "
		    "/v1)?"));
		c->fault.should_retry = 0;
		return E_FAULT;
	}
	if (c->kind == CALL_MESSAGES)
		text_begin(c);
	return st->full ? fail_full(c) : OK;
}

int openai_decode(struct call *c, struct str *in, int end, int clean)
{
	struct openai_state *st = openai_state(c);
	int r;

	c->wait_ms = 0;
	if (!st->over && st->mode == MODE_UNKNOWN)
		st->mode = sniff(c, in, end);
	if (st->over)
		r = st->over;
	else if (st->mode == MODE_UNKNOWN)
		r = OK;
	else if (st->mode == MODE_SSE)
		r = decode_sse(c, in, end, clean);
	else
		r = decode_json(c, in, end, clean);
	if (r != OK) {
		st->over = r;
		*in = str_from(*in, in->n);
	}
	return r;
}
