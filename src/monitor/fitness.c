/* fitness.c -- what each model that served is fit for, counted from the lines of
 * a journal.
 *
 * A request's class, its model and its end stand in three lines, and alerts in
 * others: what joins them is the request's id, kept until newer ones take its
 * place. Medians come from counts by logarithm, so a row has a fixed size.
 *
 * SPDX-License-Identifier: MIT */
#include "fitness.h"
#include "journal_own.h"
#include "pages.h"

enum {
	FEW = 10,		/* requests or calls that say too little */
	CARE_PERCENT = 1,	/* of calls that go wrong, */
	POOR_PERCENT = 5,
	UNSTEADY_PERCENT = 10	/* of requests that fail or stall */
};

/* ---- times ------------------------------------------------------------ */

/* Spans grow with the time: as many again each time it doubles. */
static size_t span_of(int64_t ms)
{
	uint64_t v = ms < 0 ? 0 : (uint64_t)ms, octave = 0;
	size_t i;

	while (v >> octave >= 2 * FITNESS_STEP)
		octave++;
	i = (size_t)(octave * FITNESS_STEP + (v >> octave));
	return i < FITNESS_SPANS ? i : FITNESS_SPANS - 1;
}

/* The middle of a span. */
static int64_t time_of(size_t i)
{
	size_t octave = i < 2 * FITNESS_STEP ? 0 : i / FITNESS_STEP - 1;
	int64_t from = (int64_t)(i - octave * FITNESS_STEP) << octave;

	return from + ((int64_t)1 << octave) / 2;
}

static void add_time(struct fitness_times *t, struct jv seconds)
{
	if (json_type(seconds) != JSON_NUMBER)
		return;
	t->span[span_of(page_nano(seconds) / 1000000)]++;
	t->n++;
}

int64_t fitness_median(const struct fitness_times *t)
{
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < FITNESS_SPANS; i++) {
		seen += t->span[i];
		if (t->n && 2 * seen >= t->n)
			return time_of(i);
	}
	return -1;
}

/* ---- counting --------------------------------------------------------- */

static struct fitness_recent *recent_of(struct fitness *f, struct str id)
{
	uint64_t key = journal_hash(id);
	struct fitness_recent *x = &f->recent[key % FITNESS_RECENT];

	if (x->id != key)
		*x = (struct fitness_recent){ .id = key };
	return x;
}

/* Its index plus one. */
static unsigned char row_of(struct fitness *f, struct str backend,
    struct str model)
{
	size_t i;

	backend = str_head(backend, RECORD_TEXT);
	model = str_head(model, RECORD_TEXT);
	for (i = 0; i < f->n && i < FITNESS_MODELS; i++)
		if (str_eq(label_str(&f->row[i].model), model) &&
		    str_eq(label_str(&f->row[i].backend), backend))
			return (unsigned char)(i + 1);
	if (i == FITNESS_MODELS) {
		backend = S("");
		model = S("others");
	}
	if (i == f->n) {
		label_set(&f->row[i].backend, backend);
		label_set(&f->row[i].model, model);
		f->n++;
	}
	return (unsigned char)(i + 1);
}

static void count_request(struct fitness_recent *x, struct jv v)
{
	struct jv class = json_get(v, S("cdx.class"));

	x->skip = json_is(class, S("probe")) || json_is(class, S("count")) ||
	    json_is(class, S("models"));
	x->asked_again = json_int(json_get(v, S("cdx.retry")), 0) > 0;
}

/* Another attempt is on the account of who failed the one before. */
static void count_upstream(struct fitness *f, struct fitness_recent *x,
    struct jv v, struct arena *a)
{
	struct str model = page_text(v, "cdx.model.served", a);

	if (x->row)
		f->row[x->row - 1].retries++;
	x->row = row_of(f, page_text(v, "cdx.upstream.backend", a),
	    model.n ? model : S("?"));
	f->row[x->row - 1].loops += x->loops;
	f->row[x->row - 1].retries += x->asked_again;
	x->loops = x->asked_again = 0;
}

static void add_usage(struct fitness_row *r, struct jv v)
{
	struct jv cost = json_get(v, S("cdx.cost_usd"));
	int64_t in = json_int(json_get(v, S("gen_ai.usage.input_tokens")), 0);

	r->input += in;
	r->cached += json_int(json_get(v,
	    S("gen_ai.usage.cache_read.input_tokens")), 0);
	r->output += json_int(json_get(v, S("gen_ai.usage.output_tokens")), 0);
	if (json_type(cost) == JSON_NUMBER)
		r->nano_usd += page_nano(cost);
	else
		r->unpriced += in > 0;
}

static void count_response(struct fitness *f, struct fitness_recent *x,
    struct jv v)
{
	struct fitness_row *r = &f->row[x->row - 1];
	struct jv t = json_get(v, S("cdx.t"));
	struct jv outcome = json_get(v, S("cdx.outcome"));
	int failed = json_type(json_get(v, S("error.type"))) == JSON_STRING ||
	    json_is(outcome, S("cut"));

	r->requests++;
	r->calls += json_count(json_get(v, S("cdx.tool_calls")));
	r->truncated += json_is(json_get(v, S("cdx.stop_reason")),
	    S("max_tokens")) != 0;
	r->errors += failed != 0;
	add_usage(r, v);
	if (failed || json_is(outcome, S("cancelled")))
		return;
	add_time(&r->first, json_get(t, S("first")));
	add_time(&r->total, json_get(t, S("done")));
}

static void count_alert(struct fitness *f, struct fitness_recent *x,
    struct jv v, struct arena *a)
{
	struct str rule = page_text(v, "rule", a);
	struct fitness_row *r = x->row ? &f->row[x->row - 1] : NULL;
	int loop = str_starts(rule, S("repeat_")) ||
	    str_eq(rule, S("ping_pong"));

	if (!r) {
		x->loops |= loop != 0;
		return;
	}
	r->loops += loop != 0;
	r->bad_json += str_eq(rule, S("bad_tool_json")) != 0;
	r->unknown += str_eq(rule, S("unknown_tool")) != 0;
	r->stalls += str_eq(rule, S("stall")) != 0;
}

void fitness_line(struct fitness *f, const struct journal_line *l,
    struct arena scratch)
{
	struct fitness_recent *x;
	struct json doc;
	struct jv v;

	if ((l->kind != J_REQUEST && l->kind != J_UPSTREAM &&
	    l->kind != J_RESPONSE && l->kind != J_ALERT) ||
	    json_parse(&doc, l->text, &scratch, NULL) != OK)
		return;
	v = json_root(&doc);
	if (f->since.n == 0)
		label_set(&f->since, page_text(v, "ts", &scratch));
	x = recent_of(f, page_text(v, "id", &scratch));
	if (l->kind == J_REQUEST)
		count_request(x, v);
	else if (x->skip)
		return;
	else if (l->kind == J_UPSTREAM)
		count_upstream(f, x, v, &scratch);
	else if (l->kind == J_ALERT)
		count_alert(f, x, v, &scratch);
	else if (x->row)
		count_response(f, x, v);
}

/* ---- telling ---------------------------------------------------------- */

static int stands_before(const struct fitness *f, size_t a, size_t b)
{
	return f->row[a].requests > f->row[b].requests ||
	    (a < b && f->row[a].requests == f->row[b].requests);
}

/* Its place is the number of those before it; "others" stays the last. */
const struct fitness_row *fitness_row(const struct fitness *f, size_t i)
{
	size_t most = f->n < FITNESS_MODELS ? f->n : FITNESS_MODELS, k, m, n;

	if (i >= f->n || i == FITNESS_MODELS)
		return i < f->n ? &f->row[i] : NULL;
	for (k = 0; k < most; k++) {
		for (m = n = 0; m < most; m++)
			n += stands_before(f, m, k) != 0;
		if (n == i)
			break;
	}
	return &f->row[k];
}

enum fitness_fit fitness_fit(const struct fitness_row *r)
{
	uint64_t wrong = r->bad_json + r->unknown + r->loops + r->truncated;

	if (r->requests < FEW)
		return FIT_FEW;
	if ((r->errors + r->stalls) * 100 >= r->requests * UNSTEADY_PERCENT)
		return FIT_UNSTEADY;
	if (r->calls == 0)
		return FIT_TEXT;
	if (r->calls < FEW)
		return FIT_FEW;
	if (wrong * 100 >= r->calls * POOR_PERCENT)
		return FIT_POOR;
	return wrong * 100 >= r->calls * CARE_PERCENT ? FIT_CARE : FIT_TOOLS;
}

const char *fitness_fit_name(enum fitness_fit fit)
{
	static const char *const names[] = { "few", "tools", "care", "text",
		"poor", "unsteady" };

	return names[fit];
}

const char *fitness_fit_words(enum fitness_fit fit)
{
	static const char *const words[] = {
		"too little seen", "fit for tools", "tools, with care",
		"text only so far", "poor with tools", "unsteady"
	};

	return words[fit];
}

static void put_text(struct buf *b, const char *key, struct str s)
{
	buf_put(b, S("\""));
	buf_put(b, str_of(key));
	buf_put(b, S("\":"));
	json_quote(b, s);
	buf_chr(b, ',');
}

/* null: not known. */
static void put_number(struct buf *b, const char *key, int64_t v)
{
	buf_put(b, S("\""));
	buf_put(b, str_of(key));
	buf_put(b, S("\":"));
	if (v >= 0)
		buf_int(b, v);
	else
		buf_put(b, S("null"));
	buf_chr(b, ',');
}

static void put_row(struct buf *b, const struct fitness_row *r)
{
	const struct {
		const char *key;
		int64_t v;
	} numbers[] = {
		{ "requests", (int64_t)r->requests },
		{ "tool_calls", (int64_t)r->calls },
		{ "bad_tool_json", (int64_t)r->bad_json },
		{ "unknown_tools", (int64_t)r->unknown },
		{ "loops", (int64_t)r->loops },
		{ "truncated", (int64_t)r->truncated },
		{ "errors", (int64_t)r->errors },
		{ "retries", (int64_t)r->retries },
		{ "stalls", (int64_t)r->stalls },
		{ "first_byte_ms", fitness_median(&r->first) },
		{ "answer_ms", fitness_median(&r->total) },
		{ "input_tokens", r->input },
		{ "cache_read_tokens", r->cached },
		{ "output_tokens", r->output },
		{ "unpriced", (int64_t)r->unpriced }
	};
	size_t i;

	buf_chr(b, '{');
	put_text(b, "backend", label_str(&r->backend));
	put_text(b, "model", label_str(&r->model));
	put_text(b, "fit", str_of(fitness_fit_name(fitness_fit(r))));
	put_text(b, "verdict", str_of(fitness_fit_words(fitness_fit(r))));
	for (i = 0; i < COUNT(numbers); i++)
		put_number(b, numbers[i].key, numbers[i].v);
	buf_put(b, S("\"cost_usd\":"));
	if (r->nano_usd || !r->unpriced)
		buf_fixed(b, r->nano_usd, 9);
	else
		buf_put(b, S("null"));
	buf_chr(b, '}');
}

void fitness_json(const struct fitness *f, struct buf *b)
{
	const struct fitness_row *r;
	size_t i;

	buf_chr(b, '{');
	put_text(b, "since", label_str(&f->since));
	buf_put(b, S("\"models\":["));
	for (i = 0; (r = fitness_row(f, i)) != NULL; i++) {
		buf_put(b, i ? S(",\n") : S(""));
		put_row(b, r);
	}
	buf_put(b, S("]}\n"));
}

static void put_cell(struct buf *b, uint64_t n, uint64_t of)
{
	buf_put(b, S("<td>"));
	if (n)
		buf_u64(b, n);
	if (n && of) {
		buf_put(b, S(" <small>"));
		buf_fixed(b, (int64_t)(n * 1000 / of), 1);
		buf_put(b, S(" %</small>"));
	}
	buf_put(b, S("</td>"));
}

static void put_ms(struct buf *b, int64_t ms)
{
	buf_put(b, S("<td>"));
	if (ms >= 0) {
		buf_fixed(b, (ms + 5) / 10, 2);
		buf_put(b, S(" s"));
	}
	buf_put(b, S("</td>"));
}

static void put_html_row(struct buf *b, const struct fitness_row *r)
{
	buf_put(b, S("<tr><td>"));
	page_put_html(b, label_str(&r->model));
	buf_put(b, S(" <small>"));
	page_put_html(b, label_str(&r->backend));
	buf_put(b, S("</small></td><td>"));
	buf_put(b, str_of(fitness_fit_words(fitness_fit(r))));
	buf_put(b, S("</td>"));
	put_cell(b, r->requests, 0);
	put_cell(b, r->calls, 0);
	put_cell(b, r->bad_json, r->calls);
	put_cell(b, r->unknown, r->calls);
	put_cell(b, r->loops, r->calls);
	put_cell(b, r->truncated, r->requests);
	put_cell(b, r->errors, r->requests);
	put_cell(b, r->retries, r->requests);
	put_cell(b, r->stalls, r->requests);
	put_ms(b, fitness_median(&r->first));
	put_ms(b, fitness_median(&r->total));
	buf_put(b, S("<td>"));
	if (r->nano_usd || !r->unpriced) {
		buf_chr(b, '$');
		buf_fixed(b, r->nano_usd / 100000, 4);
	}
	buf_put(b, r->unpriced ? r->nano_usd ? S(" + ?") : S("?") : S(""));
	buf_put(b, S("</td></tr>\n"));
}

void fitness_html(const struct fitness *f, struct buf *b)
{
	const struct fitness_row *r;
	size_t i;

	if (f->n == 0)
		return;
	buf_put(b, S("<h2>Models</h2>\n<table><tr><th>model</th><th>fit</th>"
	    "<th>requests</th><th>tool calls</th><th>bad JSON</th>"
	    "<th>unknown tools</th><th>loops</th><th>truncated</th>"
	    "<th>errors</th><th>retries</th><th>stalls</th>"
	    "<th>first byte</th><th>answer</th><th>cost</th></tr>\n"));
	for (i = 0; (r = fitness_row(f, i)) != NULL; i++)
		put_html_row(b, r);
	buf_put(b, S("</table>\n"));
}

/* ---- /dashboard/fitness ------------------------------------------------- */

int page_next_fitness(struct page *pg, struct buf *b)
{
	struct journal_line l;
	int r;

	if (pg->state)
		return E_NONE;
	while ((r = page_line(pg, 0, &l)) == OK)
		fitness_line(pg->own, &l, pg->work);
	if (r == E_MORE)
		return r;
	pg->state = 1;
	fitness_json(pg->own, b);
	return OK;
}

int page_fitness_begin(struct page *pg, struct arena *a)
{
	pg->own = arena_get(a, sizeof(struct fitness));
	pg->next = page_next_fitness;
	return pg->own ? OK : E_FULL;
}
