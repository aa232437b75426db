/* fitness.c -- what models come to, counted from lines.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/page.c */
/* link: monitor/page_events.c */
/* link: monitor/page_steps.c */
/* link: monitor/page_prices.c */
/* link: monitor/page_export.c */
/* link: monitor/page_har.c */
/* link: monitor/page_otlp.c */
/* link: monitor/page_replay.c */
/* link: monitor/account.c */
/* link: monitor/alerts.c */
/* link: monitor/blob.c */
/* link: monitor/console.c */
/* link: monitor/events.c */
/* link: monitor/events_request.c monitor/events_raw.c */
/* link: monitor/events_response.c */
/* link: monitor/events_results.c */
/* link: monitor/journal.c */
/* link: monitor/live.c */
/* link: monitor/load.c */
/* link: monitor/metrics.c */
/* link: monitor/monitor.c */
/* link: monitor/prices.c */
/* link: monitor/quick.c */
/* link: monitor/raw.c */
/* link: monitor/recognise.c */
/* link: monitor/record.c */
/* link: monitor/redact.c */
/* link: monitor/recall.c */
/* link: monitor/restore.c */
/* link: monitor/scribe.c */
/* link: monitor/payloads.c */
/* link: monitor/start.c */
/* link: monitor/writer.c */
/* link: net/loop.c */
/* link: net/sock.c */
/* link: net/keeper.c */
/* link: net/sandbox.c */
/* link: net/share.c */
#include "../../src/monitor/fitness.c"
#include "t.h"

static struct fitness fit;
static char scratch[1 << 20], text[1 << 20];
static unsigned serial;

/* ---- lines ------------------------------------------------------------ */

static void line(enum journal_kind kind, const char *id, const char *more)
{
	char mem[1024];
	struct journal_line l = { .kind = kind };
	int n = snprintf(mem, sizeof mem, "{\"ts\":\"2026-11-25T13:08:12.123Z\","
	    "\"id\":\"%s\"%s}", id, more);

	l.text = (struct str){ mem, (size_t)n };
	fitness_line(&fit, &l, (struct arena){ scratch, scratch +
	    sizeof scratch });
}

static void ask(const char *id, const char *class)
{
	char more[128];

	snprintf(more, sizeof more, ",\"cdx.class\":\"%s\",\"cdx.retry\":0",
	    class);
	line(J_REQUEST, id, more);
}

static void send(const char *id, const char *backend, const char *model)
{
	char more[256];

	snprintf(more, sizeof more, ",\"cdx.model.served\":\"%s\","
	    "\"cdx.upstream.backend\":\"%s\"", model, backend);
	line(J_UPSTREAM, id, more);
}

static void end(const char *id, const char *more)
{
	char all[512];

	snprintf(all, sizeof all, ",\"gen_ai.usage.input_tokens\":100,"
	    "\"cdx.outcome\":\"done\",\"cdx.t\":{\"first\":0.2,\"done\":1.000}%s",
	    more);
	line(J_RESPONSE, id, all);
}

static void warn(const char *id, const char *rule)
{
	char more[64];

	snprintf(more, sizeof more, ",\"rule\":\"%s\"", rule);
	line(J_ALERT, id, more);
}

/* n whole requests of a model, each with a call, some of them wrong. */
static void work(const char *model, unsigned n, unsigned wrong,
    const char *rule)
{
	char id[24];
	unsigned i;

	for (i = 0; i < n; i++) {
		snprintf(id, sizeof id, "req_%u", ++serial);
		ask(id, "main");
		send(id, "openai", model);
		if (i < wrong)
			warn(id, rule);
		end(id, ",\"cdx.tool_calls\":[{}]");
	}
}

static void reset(void)
{
	memset(&fit, 0, sizeof fit);
}

static struct jv told(struct json *doc)
{
	static char mem[1 << 20];
	struct arena a = { mem, mem + sizeof mem };
	struct buf b = buf_on(text, sizeof text);

	fitness_json(&fit, &b);
	T_INT(json_parse(doc, buf_str(&b), &a, NULL), OK, "it is JSON: %.*s",
	    (int)b.n, b.p);
	return json_root(doc);
}

/* ---- tests ------------------------------------------------------------ */

static void test_counts(void)
{
	const struct fitness_row *r;

	reset();
	ask("a", "main");
	send("a", "openai", "glm-5");
	warn("a", "unknown_tool");
	warn("a", "bad_tool_json");
	warn("a", "stall");
	warn("a", "cache_miss");
	end("a", ",\"cdx.tool_calls\":[{},{}],\"cdx.cost_usd\":0.25");
	ask("b", "auxiliary");
	send("b", "openai", "glm-5");
	end("b", ",\"cdx.stop_reason\":\"max_tokens\",\"cdx.cost_usd\":null");
	r = fitness_row(&fit, 0);
	T_STR(label_str(&r->model), S("glm-5"), "the model");
	T_STR(label_str(&r->backend), S("openai"), "and whose");
	T_INT(r->requests, 2, "requests");
	T_INT(r->calls, 2, "calls");
	T_INT(r->unknown, 1, "unknown tools");
	T_INT(r->bad_json, 1, "bad JSON");
	T_INT(r->stalls, 1, "stalls");
	T_INT(r->truncated, 1, "truncated");
	T_INT(r->loops + r->errors + r->retries, 0, "and nothing else");
	T_INT(r->nano_usd, 250000000, "what has a price");
	T_INT(r->unpriced, 1, "and what has none");
	T_INT(r->input, 200, "tokens");
	T(!fitness_row(&fit, 1), "one row");
}

/* A loop shows in the results that a request brings: before it is known who
 * will answer. */
static void test_order(void)
{
	const struct fitness_row *r;

	reset();
	ask("a", "main");
	warn("a", "repeat_result");
	warn("a", "cache_miss");
	send("a", "openai", "m");
	warn("a", "repeat_call");
	warn("a", "ping_pong");
	end("a", "");
	r = fitness_row(&fit, 0);
	T_INT(r->loops, 3, "loops, told early and late");
	line(J_RESPONSE, "nobody", "");
	warn("nobody", "stall");
	line(J_RESPONSE, "", ",\"cdx.t\":7");
	line(J_REQUEST, "x", ",\"cdx.class\":[1]");
	line(J_UPSTREAM, "x", "");
	T_INT(r->requests, 1, "an end without a beginning is nobody's");
	T_STR(label_str(&fitness_row(&fit, 1)->model), S("?"),
	    "a model without a name");
}

static void test_errors(void)
{
	const struct fitness_row *r;

	reset();
	ask("a", "main");
	send("a", "openai", "weak");
	send("a", "anthropic", "strong");
	end("a", "");
	ask("b", "main");
	send("b", "openai", "weak");
	line(J_RESPONSE, "b", ",\"error.type\":\"api_error\",\"cdx.outcome\":"
	    "\"error\",\"cdx.t\":{\"first\":9,\"done\":9}");
	ask("c", "main");
	send("c", "openai", "weak");
	line(J_RESPONSE, "c", ",\"error.type\":null,\"cdx.outcome\":\"cut\"");
	line(J_REQUEST, "d", ",\"cdx.class\":\"main\",\"cdx.retry\":2");
	send("d", "openai", "weak");
	line(J_RESPONSE, "d", ",\"cdx.outcome\":\"cancelled\",\"cdx.t\":"
	    "{\"done\":9}");
	r = fitness_row(&fit, 0);
	T_STR(label_str(&r->model), S("weak"), "the most requests first");
	T_INT(r->requests, 3, "what ended there");
	T_INT(r->errors, 2, "an error, and a cut; no going away");
	T_INT(r->retries, 2, "by us, and by its client");
	T_INT(fitness_median(&r->total), -1, "failures have no time");
	T_INT(fitness_row(&fit, 1)->retries, 0, "not of who helped out");
	reset();
	ask("p", "probe");
	send("p", "openai", "m");
	end("p", "");
	ask("q", "count");
	send("q", "openai", "m");
	end("q", "");
	T(!fitness_row(&fit, 0), "probes and counts are no work");
}

static void test_times(void)
{
	static const int64_t some[] = { 0, 1, 31, 32, 63, 64, 65, 100, 999,
		2500, 30000, 600000 };
	struct fitness_times t = { { 0 }, 0 };
	struct json doc;
	char mem[16];
	int64_t got;
	size_t i;

	T_INT(fitness_median(&t), -1, "nothing timed");
	for (i = 0; i < COUNT(some); i++) {
		got = time_of(span_of(some[i]));
		T(got >= some[i] * 98 / 100 && got <= some[i] * 102 / 100 + 1,
		    "%d ms is %d", (int)some[i], (int)got);
	}
	for (i = 1; i < FITNESS_SPANS; i++)
		T(time_of(i) > time_of(i - 1), "span %zu", i);
	T_INT(span_of(INT64_MAX), FITNESS_SPANS - 1, "beyond the last");
	T_INT(span_of(-5), 0, "a clock that went back");
	for (i = 1; i <= 9; i++) {
		struct arena a = { scratch, scratch + sizeof scratch };

		snprintf(mem, sizeof mem, "0.0%zu", i);
		T_INT(json_parse(&doc, str_of(mem), &a, NULL), OK, "a number");
		add_time(&t, json_root(&doc));
	}
	T_INT(fitness_median(&t), 50, "the middle of nine");
}

static void test_bound(void)
{
	char name[16];
	const struct fitness_row *r = NULL;
	size_t i, all = 0;

	reset();
	for (i = 0; i < 3 * FITNESS_MODELS; i++) {
		snprintf(name, sizeof name, "m%zu", i);
		work(name, i == 5 ? 9 : i < FITNESS_MODELS ? 1 : 4, 0, "");
	}
	T_INT(fit.n, FITNESS_MODELS + 1, "a bound");
	T_STR(label_str(&fitness_row(&fit, 0)->model), S("m5"),
	    "the most requests first");
	for (i = 0; fitness_row(&fit, i); i++)
		all += (r = fitness_row(&fit, i))->requests;
	T_INT(i, FITNESS_MODELS + 1, "every row once");
	T_STR(label_str(&r->model), S("others"), "the rest comes last");
	T_INT(r->requests, 4 * 2 * FITNESS_MODELS, "and is all there");
	T_INT(all, FITNESS_MODELS + 8 + r->requests, "nothing twice");
}

static void test_fit(void)
{
	static const struct {
		unsigned n, wrong;
		const char *rule, *fit;
	} rows[] = {
		{ 9, 0, "", "few" }, { 200, 0, "", "tools" },
		{ 200, 1, "bad_tool_json", "tools" },
		{ 200, 2, "unknown_tool", "care" },
		{ 200, 9, "repeat_call", "care" },
		{ 200, 10, "bad_tool_json", "poor" },
		{ 200, 20, "stall", "unsteady" }
	};
	struct json doc;
	struct jv list;
	char id[8];
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		reset();
		work("m", rows[i].n, rows[i].wrong, rows[i].rule);
		list = json_get(told(&doc), S("models"));
		T(json_is(json_get(json_at(list, 0), S("fit")),
		    str_of(rows[i].fit)), "%u of %u %s: %s", rows[i].wrong,
		    rows[i].n, rows[i].rule, rows[i].fit);
	}
	reset();
	for (i = 0; i < 12; i++) {
		snprintf(id, sizeof id, "t%zu", i);
		ask(id, "main");
		send(id, "openai", "m");
		end(id, i < 9 ? "" : ",\"cdx.tool_calls\":[]");
	}
	T_INT(fitness_fit(fitness_row(&fit, 0)), FIT_TEXT, "no call was made");
}

static void test_told(void)
{
	struct json doc;
	struct jv v, one;
	struct buf b;

	reset();
	v = told(&doc);
	T_INT(json_count(json_get(v, S("models"))), 0, "nothing yet");
	b = buf_on(text, sizeof text);
	fitness_html(&fit, &b);
	T_INT(b.n, 0, "and no table");
	work("<b>&\\\"x", 20, 1, "bad_tool_json");
	v = told(&doc);
	one = json_at(json_get(v, S("models")), 0);
	T(json_is(json_get(v, S("since")), S("2026-11-25T13:08:12.123Z")),
	    "since when");
	T(json_is(json_get(one, S("model")), S("<b>&\"x")), "a name as text");
	T_INT(json_int(json_get(one, S("bad_tool_json")), -1), 1, "a count");
	T_INT(json_int(json_get(one, S("first_byte_ms")), -1), 202, "first byte");
	T(json_type(json_get(one, S("cost_usd"))) == JSON_NULL,
	    "an unknown cost is null");
	b = buf_on(text, sizeof text);
	fitness_html(&fit, &b);
	T(str_find(buf_str(&b), S("&lt;b&gt;&amp;&quot;x")) < b.n,
	    "and no markup");
	T(str_find(buf_str(&b), S("1 <small>5.0 %</small>")) < b.n,
	    "a rate beside its count");
	T(str_find(buf_str(&b), S("poor with tools")) < b.n, "in words");
}

int main(void)
{
	test_counts();
	test_order();
	test_errors();
	test_times();
	test_bound();
	test_fit();
	test_told();
	return t_done("fitness");
}
