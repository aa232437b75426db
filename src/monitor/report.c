/* report.c -- claudecodex report: what a journal's file amounts to.
 *
 *	report [--html] FILE|DIRECTORY
 *
 * Sessions, models, tools, cache misses and alerts, counted from the lines.
 * A damaged line is told by its number and byte, and passed over. Unknown
 * prices are a question mark, never 0. --html writes the texts instead: a page
 * without script, for a browser that has nothing else.
 *
 * SPDX-License-Identifier: MIT */
#include "fitness.h"
#include "journal_own.h"
#include "load.h"
#include "pages.h"
#include "term.h"

enum {
	SESSIONS = 512, TOOLS = 256, NAMES = 64,
	RECENT = 8192,		/* requests whose session is remembered */
	PARSE = 64 << 20,
	HTML = 96 << 20,
	DAMAGE_MAX = 20		/* told one by one */
};

/* Sums of the requests of a session. */
struct sums {
	struct label name, title;
	uint64_t requests, errors, unpriced;
	int64_t input, cached, output, nano_usd;
	int64_t from, to;	/* wall clock, ms */
};

struct tally {
	struct label name;
	uint64_t calls, results, errors, timed, bytes;
	int64_t ms, most;
};

struct named {
	struct label name;
	uint64_t n;
};

struct recent {
	uint64_t id;
	size_t session;		/* plus one; 0: not known */
};

struct report {
	struct term out;
	char *parse;
	uint64_t lines, damaged;
	size_t nsessions, ntools, ncauses, nrules, lost;
	struct sums session[SESSIONS];
	struct fitness fitness;
	struct tally tool[TOOLS];
	struct named cause[NAMES], rule[NAMES];
	struct recent recent[RECENT];
};

/* ---- counting --------------------------------------------------------- */

static struct recent *recent_of(struct report *r, struct str id)
{
	uint64_t key = journal_hash(id);
	struct recent *x = &r->recent[key % RECENT];

	if (x->id != key)
		*x = (struct recent){ .id = key };
	return x;
}

/* Index plus one; 0: the table is full, which is counted. */
static size_t session_of(struct report *r, struct str name)
{
	size_t i;

	name = str_head(name, RECORD_TEXT);
	for (i = 0; i < r->nsessions; i++)
		if (str_eq(label_str(&r->session[i].name), name))
			return i + 1;
	if (r->nsessions == SESSIONS) {
		r->lost++;
		return 0;
	}
	label_set(&r->session[r->nsessions].name, name);
	return ++r->nsessions;
}

static struct tally *tool_of(struct report *r, struct str name)
{
	size_t i;

	name = str_head(name, RECORD_TEXT);
	for (i = 0; i < r->ntools; i++)
		if (str_eq(label_str(&r->tool[i].name), name))
			return &r->tool[i];
	if (r->ntools == TOOLS) {
		r->lost++;
		return &r->tool[TOOLS - 1];
	}
	label_set(&r->tool[r->ntools].name, name);
	return &r->tool[r->ntools++];
}

static void count_name(struct named *list, size_t *n, struct str name)
{
	size_t i;

	name = str_head(name, RECORD_TEXT);
	for (i = 0; i < *n; i++)
		if (str_eq(label_str(&list[i].name), name))
			break;
	if (i == NAMES)
		return;
	if (i == *n) {
		label_set(&list[i].name, name);
		++*n;
	}
	list[i].n++;
}

static void count_results(struct report *r, struct jv list, struct arena *a)
{
	struct json_iter it = json_iter(list);
	struct tally *t;
	int64_t ms;

	while (json_next(&it)) {
		t = tool_of(r, page_text(it.value, "gen_ai.tool.name", a));
		t->results++;
		t->errors += json_true(json_get(it.value, S("error"))) != 0;
		t->bytes += (uint64_t)json_int(json_get(it.value,
		    S("bytes")), 0);
		ms = json_int(json_get(it.value, S("ms")), -1);
		/* Only the client knows; a gap holds waiting for people. */
		if (ms < 0 || !json_is(json_get(it.value, S("by")),
		    S("client")))
			continue;
		t->timed++;
		t->ms += ms;
		t->most = ms > t->most ? ms : t->most;
	}
}

static void count_request(struct report *r, struct jv v, struct arena *a)
{
	struct str class = page_text(v, "cdx.class", a);
	struct recent *x = recent_of(r, page_text(v, "id", a));
	struct str id = page_text(v, "gen_ai.conversation.id", a);
	struct str was = page_text(v, "cdx.session.was", a);
	int64_t at = journal_when(page_text(v, "ts", a));
	struct sums *s;

	count_results(r, json_get(v, S("cdx.tool_results")), a);
	x->session = session_of(r, was.n ? was : id.n ? id : S("(none)"));
	if (was.n && x->session)
		label_set(&r->session[x->session - 1].name, id);
	if (!x->session)
		return;
	s = &r->session[x->session - 1];
	if (str_eq(class, S("main")) && s->title.n == 0)
		label_set(&s->title, page_text(v, "cdx.preview", a));
	if (!str_eq(class, S("count")) && !str_eq(class, S("probe")))
		s->requests++;
	s->from = s->from ? s->from : at;
	s->to = at;
}

static void add_answer(struct sums *s, struct jv v)
{
	struct jv cost = json_get(v, S("cdx.cost_usd"));

	s->errors += json_type(json_get(v, S("error.type"))) == JSON_STRING;
	s->input += json_int(json_get(v, S("gen_ai.usage.input_tokens")), 0);
	s->cached += json_int(json_get(v,
	    S("gen_ai.usage.cache_read.input_tokens")), 0);
	s->output += json_int(json_get(v, S("gen_ai.usage.output_tokens")), 0);
	if (json_type(cost) == JSON_NUMBER)
		s->nano_usd += page_nano(cost);
	else
		s->unpriced++;
}

static void count_response(struct report *r, struct jv v, struct arena *a)
{
	struct recent *x = recent_of(r, page_text(v, "id", a));
	struct json_iter it = json_iter(json_get(v, S("cdx.tool_calls")));
	struct str cause = page_text(v, "cdx.cache.cause", a);

	while (json_next(&it))
		tool_of(r, page_text(it.value, "gen_ai.tool.name",
		    a))->calls++;
	if (cause.n)
		count_name(r->cause, &r->ncauses, cause);
	if (x->session) {
		add_answer(&r->session[x->session - 1], v);
		r->session[x->session - 1].to = journal_when(page_text(v, "ts",
		    a));
	}
}

static void count_line(struct report *r, const struct journal_line *l)
{
	struct arena a = { r->parse, r->parse + PARSE };
	struct json doc;

	r->lines++;
	fitness_line(&r->fitness, l, a);
	if (l->kind == J_BLOB || l->kind == J_SEGMENT ||
	    json_parse(&doc, l->text, &a, NULL) != OK)
		return;
	if (l->kind == J_REQUEST)
		count_request(r, json_root(&doc), &a);
	else if (l->kind == J_RESPONSE)
		count_response(r, json_root(&doc), &a);
	else if (l->kind == J_ALERT)
		count_name(r->rule, &r->nrules, page_text(json_root(&doc),
		    "rule", &a));
}

/* ---- telling ---------------------------------------------------------- */

static void put_name(struct term *o, struct str name, size_t width)
{
	size_t from = o->b.n;

	term_put(o, S("  "));
	term_text(o, BOLD, name.n ? str_head(name, utf8_valid(str_head(name,
	    width - 3))) : S("?"));
	term_pad(o, from, width);
}

static void put_usd(struct term *o, const struct sums *s)
{
	char mem[32];
	struct buf b = buf_on(mem, sizeof mem);

	if (s->nano_usd || !s->unpriced) {
		buf_put(&b, S("$"));
		buf_fixed(&b, s->nano_usd / 100000, 4);
	}
	buf_put(&b, s->unpriced ? s->nano_usd ? S(" + ?") : S("$?") : S(""));
	term_put(o, buf_str(&b));
}

static void put_tokens(struct term *o, const struct sums *s)
{
	term_put(o, S("  in "));
	term_tokens(o, (uint64_t)s->input);
	if (s->cached && s->input) {
		term_put(o, S(" ("));
		term_u64(o, (uint64_t)(s->cached * 100 / s->input));
		term_put(o, S("% cached)"));
	}
	term_put(o, S("  out "));
	term_tokens(o, (uint64_t)s->output);
	term_put(o, S("  "));
	put_usd(o, s);
}

static void put_count(struct term *o, uint64_t n, const char *what,
    enum colour c)
{
	char mem[64];
	struct buf b = buf_on(mem, sizeof mem);

	if (n == 0)
		return;
	buf_put(&b, S("  "));
	buf_u64(&b, n);
	buf_chr(&b, ' ');
	buf_put(&b, str_of(what));
	term_say(o, c, buf_str(&b));
}

static void put_title(struct term *o, const char *text)
{
	term_put(o, S("\n"));
	term_say(o, GREEN, str_of(text));
	term_put(o, S("\n"));
}

static void tell_sessions(struct report *r)
{
	struct term *o = &r->out;
	const struct sums *s;
	size_t i;

	put_title(o, "sessions");
	for (i = 0; i < r->nsessions; i++) {
		s = &r->session[i];
		put_name(o, str_head(label_str(&s->name), 8), 12);
		term_u64(o, s->requests);
		term_put(o, S(" steps  "));
		term_ms(o, s->to - s->from);
		put_tokens(o, s);
		put_count(o, s->errors, "errors", RED);
		if (s->title.n) {
			term_put(o, S("  \""));
			term_text(o, DIM, label_str(&s->title));
			term_put(o, S("\""));
		}
		term_put(o, S("\n"));
	}
}

/* A count of what went wrong, and of how many. */
static void put_rate(struct term *o, uint64_t n, uint64_t of,
    const char *what, enum colour c)
{
	char mem[96];
	struct buf b = buf_on(mem, sizeof mem);

	buf_put(&b, str_of(what));
	if (of) {
		buf_put(&b, S(" ("));
		buf_fixed(&b, (int64_t)(n * 1000 / of), 1);
		buf_put(&b, S("%)"));
	}
	buf_chr(&b, 0);
	put_count(o, n, mem, c);
}

static void put_fit(struct term *o, const struct fitness_row *m)
{
	static const enum colour colours[] = {
		DIM, GREEN, YELLOW, PLAIN, RED, RED
	};
	enum fitness_fit fit = fitness_fit(m);
	size_t from = o->b.n;

	term_say(o, colours[fit], str_of(fitness_fit_words(fit)));
	term_pad(o, from, 18);
}

static void put_times(struct term *o, const struct fitness_row *m)
{
	if (m->total.n == 0)
		return;
	term_put(o, S("  first "));
	term_ms(o, fitness_median(&m->first));
	term_put(o, S("  total "));
	term_ms(o, fitness_median(&m->total));
}

static void tell_model(struct term *o, const struct fitness_row *m)
{
	const struct sums s = { .input = m->input, .cached = m->cached,
	    .output = m->output, .nano_usd = m->nano_usd,
	    .unpriced = m->unpriced };

	put_name(o, label_str(&m->model), 32);
	put_fit(o, m);
	term_u64(o, m->requests);
	term_put(o, S(" requests"));
	put_count(o, m->calls, "tool calls", PLAIN);
	put_times(o, m);
	put_tokens(o, &s);
	put_rate(o, m->errors, m->requests, "errors", RED);
	put_rate(o, m->retries, m->requests, "retries", YELLOW);
	put_rate(o, m->bad_json, m->calls, "bad tool JSON", RED);
	put_rate(o, m->unknown, m->calls, "unknown tools", RED);
	put_rate(o, m->loops, m->calls, "loops", YELLOW);
	put_rate(o, m->truncated, m->requests, "truncated", YELLOW);
	put_rate(o, m->stalls, m->requests, "stalls", YELLOW);
	term_put(o, S("  "));
	term_text(o, DIM, label_str(&m->backend));
	term_put(o, S("\n"));
}

static void tell_models(struct report *r)
{
	const struct fitness_row *m;
	size_t i;

	put_title(&r->out, "models");
	for (i = 0; (m = fitness_row(&r->fitness, i)) != NULL; i++)
		tell_model(&r->out, m);
}

static void tell_tools(struct report *r)
{
	struct term *o = &r->out;
	const struct tally *t;
	size_t i;

	if (r->ntools)
		put_title(o, "tools");
	for (i = 0; i < r->ntools; i++) {
		t = &r->tool[i];
		put_name(o, label_str(&t->name), 32);
		term_u64(o, t->calls);
		term_put(o, S(" calls"));
		put_count(o, t->errors, "errors", RED);
		if (t->timed) {
			term_put(o, S("  mean "));
			term_ms(o, t->ms / (int64_t)t->timed);
			term_put(o, S("  most "));
			term_ms(o, t->most);
		}
		term_put(o, S("  "));
		term_bytes(o, t->bytes);
		term_put(o, S("\n"));
	}
}

static void tell_names(struct report *r, const char *title,
    const struct named *list, size_t n)
{
	size_t i;

	if (n)
		put_title(&r->out, title);
	for (i = 0; i < n; i++) {
		put_name(&r->out, label_str(&list[i].name), 32);
		term_u64(&r->out, list[i].n);
		term_put(&r->out, S("\n"));
	}
}

static void tell_damage(struct report *r, const struct journal_reader *j)
{
	struct term *o = &r->out;

	if (++r->damaged > DAMAGE_MAX)
		return;
	term_say(o, YELLOW, S("damaged: line "));
	term_u64(o, j->line);
	term_put(o, S(", byte "));
	term_u64(o, j->at);
	term_put(o, S(": "));
	term_put(o, str_of(j->why));
	term_put(o, S("\n"));
}

static int tell(struct report *r, struct str text)
{
	struct journal_reader j = { .text = text };
	struct journal_line l;
	int k;

	while ((k = journal_read(&j, &l)) != E_NONE) {
		if (k == OK) {
			count_line(r, &l);
			continue;
		}
		tell_damage(r, &j);
		journal_skip(&j);
	}
	term_u64(&r->out, r->lines);
	term_put(&r->out, S(" lines"));
	put_count(&r->out, r->damaged, "damaged", RED);
	put_count(&r->out, r->lost, "names beyond what fits here", YELLOW);
	term_put(&r->out, S("\n"));
	tell_sessions(r);
	tell_models(r);
	tell_tools(r);
	tell_names(r, "cache misses", r->cause, r->ncauses);
	tell_names(r, "alerts", r->rule, r->nrules);
	term_flush(&r->out);
	/* A file of which nothing could be read is no report. */
	return r->lines ? 0 : 1;
}

/* ---- the page --------------------------------------------------------- */

static int write_html(struct report *r, struct str text, const char *path)
{
	char *m = command_memory(HTML);
	struct arena a;
	struct page pg;
	struct buf b;
	int k = OK;

	if (!m)
		return command_fail(S("no memory for "), str_of(path));
	a = (struct arena){ m, m + HTML / 3 };
	memset(&pg, 0, sizeof pg);
	pg.j = command_load(text, &r->lines, &r->damaged);
	if (!pg.j || page_html_begin(&pg, &a) != OK)
		return command_fail(S("no memory for "), str_of(path));
	pg.name = str_of(path);
	pg.end = journal_next(pg.j);
	pg.work = (struct arena){ m + HTML / 3, m + HTML / 3 * 2 };
	while (k != E_NONE && !r->out.gone) {
		pg.look = INT32_MAX;
		b = buf_on(m + HTML / 3 * 2, HTML / 3);
		k = page_next_html(&pg, &b);
		term_put(&r->out, buf_str(&b));
	}
	term_flush(&r->out);
	if (r->damaged)
		command_fail(S("damaged lines were passed over; report "
		    "without --html names them"), S(""));
	return r->lines ? 0 : 1;
}

int command_report(const struct command_input *in)
{
	struct report *r = command_memory(sizeof *r);
	struct args a = { in->argc, in->argv, 0 };
	const char *arg, *path = NULL;
	struct str text;
	int html = 0;

	if (!r)
		return command_fail(S("no memory"), S(""));
	term_open(&r->out, 1, in);
	while ((arg = args_next(&a)) != NULL) {
		if (strcmp(arg, "--html") == 0)
			html = 1;
		else if (*arg == '-' || path)
			return command_fail(S("usage: claudecodex report "
			    "[--html] FILE|LOG_DIR, not "),
			    str_of(arg));
		else
			path = arg;
	}
	if (!path)
		return command_fail(S("usage: claudecodex report [--html] "
		    "FILE|LOG_DIR"), S(""));
	r->parse = command_memory(PARSE);
	if (!r->parse)
		return command_fail(S("no memory"), S(""));
	if (command_map(path, &text) != OK)
		return 1;
	return html ? write_html(r, text, path) : tell(r, text);
}
