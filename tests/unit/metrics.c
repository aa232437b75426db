/* metrics.c -- what is counted, and how it is written.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/account.c */
/* link: monitor/alerts.c */
/* link: monitor/blob.c */
/* link: monitor/quick.c */
/* link: monitor/console.c */
/* link: monitor/events.c */
/* link: monitor/events_request.c monitor/events_raw.c */
/* link: monitor/events_response.c */
/* link: monitor/events_results.c */
/* link: monitor/live.c */
/* link: monitor/load.c */
/* link: monitor/monitor.c */
/* link: monitor/prices.c */
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
/* link: net/keeper.c */
/* link: net/sandbox.c */
/* link: net/loop.c */
/* link: net/sock.c */
/* link: monitor/journal.c */
/* link: net/share.c */
#include "t.h"

#include "../../src/monitor/metrics.c"

static struct monitor mon;
static char text[1 << 20];
static struct str out;

static struct record request(const char *class, const char *provider,
    const char *model, int status)
{
	struct record r;

	memset(&r, 0, sizeof r);
	r.class = class;
	r.provider = str_of(provider);
	label_set(&r.served, str_of(model));
	r.status = status;
	r.outcome = status == 200 ? OUTCOME_DONE : OUTCOME_ERROR;
	r.cost = -1;
	r.arrived = 1000;
	r.ended = 2500;
	r.usage.thinking = -1;
	return r;
}

static void write_all(void)
{
	struct buf b = buf_on(text, sizeof text);

	metrics_write(&mon, 3, 2, &b);
	T(!b.full, "fits");
	out = buf_str(&b);
}

static int line(const char *l)
{
	return str_find(out, str_of(l)) < out.n;
}

static void begin(void)
{
	memset(&mon, 0, sizeof mon);
	metrics_init(&mon.metrics, 1795608000500);
}

static void requests(void)
{
	struct record r = request("main", "aws.bedrock", "m\"1\\\n", 200);

	begin();
	r.first_token = 1300;
	r.last = 2300;
	r.chunks = 11;
	r.have_usage = 1;
	r.usage = (struct usage){ .input = 7, .output = 5, .cache_read = 11,
	    .cache_write = 13, .thinking = 2 };
	r.cost = 1234567000000;		/* 1.234567 USD */
	metrics_record(&mon.metrics, &r);
	r.cost = -1;
	r.attempts = 3;
	metrics_record(&mon.metrics, &r);
	write_all();
#define WHO "provider=\"aws.bedrock\",model=\"m\\\"1\\\\\\n\""
	T(line("claudecodex_requests_total{class=\"main\"," WHO
	    ",code=\"200\"} 2\n"), "labels, escaped");
	T(line("_request_duration_seconds_bucket{class=\"main\"," WHO
	    ",le=\"1.28\"} 0\n") && line(",le=\"2.56\"} 2\n") &&
	    line(",le=\"+Inf\"} 2\n"), "cumulative buckets");
	T(line("_request_duration_seconds_sum{class=\"main\"," WHO
	    "} 3.000000\n"), "sum");
	T(line("first_chunk_seconds_sum{" WHO "} 0.600000\n"), "first");
	T(line("per_output_chunk_seconds_sum{" WHO "} 0.200000\n"), "chunks");
	T(line("tokens_total{" WHO ",type=\"input\"} 14\n") &&
	    line("type=\"cache_read\"} 22\n") &&
	    line("type=\"reasoning\"} 4\n"), "tokens by type");
	T(line("cost_usd_total{" WHO "} 1.234567\n"), "cost");
	T(line("unpriced_tokens_total{" WHO "} 36\n"), "and what has none");
	T(line("upstream_retries_total{" WHO "} 2\n"), "retries");
	r = request("count", "openai", "gpt", 200);
	r.have_usage = 1;
	r.usage.input = 1000;
	metrics_record(&mon.metrics, &r);
	write_all();
	T(!line("model=\"gpt\",type="), "a count uses no tokens");
	T(!line("cost_usd_total{provider=\"openai\""), "unknown is absent");
	T(line("requests_in_flight 3\n") && line("monitor_clients 2\n") &&
	    line("process_start_time_seconds 1795608000.500\n") &&
	    line("build_info{version=\"" VERSION "\"} 1\n"), "gauges");
}

static void troubles(void)
{
	struct record r = request("main", "openai", "gpt", 529);

	begin();
	r.sent = 1;
	r.fault.status = 529;
	r.fault.type = "overloaded_error";
	metrics_record(&mon.metrics, &r);
	r.sent = 0;
	r.fault.status = 400;
	r.fault.type = "invalid_request_error";
	r.status = 400;
	metrics_record(&mon.metrics, &r);
	r.outcome = OUTCOME_CANCELLED;
	metrics_record(&mon.metrics, &r);
	r = request("main", "openai", "gpt", 418);
	r.cause = CAUSE_TOOLS;
	metrics_record(&mon.metrics, &r);
	metrics_alert(&mon.metrics, S("stall"));
	metrics_alert(&mon.metrics, S("something new"));
	write_all();
	T(line("upstream_errors_total{provider=\"openai\",model=\"gpt\","
	    "error_type=\"overloaded_error\"} 1\n"), "an upstream's");
	T(!line("error_type=\"invalid_request_error\""), "the client's own");
	T(line("code=\"499\"} 1\n") && line("code=\"other\"} 1\n"), "codes");
	T(line("cache_misses_total{cause=\"tools_changed\"} 1\n"), "causes");
	T(line("alerts_total{rule=\"stall\"} 1\n") &&
	    line("alerts_total{rule=\"other\"} 1\n"), "alerts");
}

static void tools_of(void)
{
	begin();
	metrics_result(&mon.metrics, S("Bash"), 0, 742);
	metrics_result(&mon.metrics, S("Bash"), 1, -1);
	metrics_result(&mon.metrics, S("mcp__github__search"), 0, -1);
	metrics_result(&mon.metrics, S("mine"), 0, -1);
	metrics_result(&mon.metrics, S(""), 0, -1);
	metrics_call(&mon.metrics, S("Nope"), 0);
	metrics_call(&mon.metrics, S("Read"), 1);
	write_all();
	T(line("tool_calls_total{tool=\"Bash\",outcome=\"ok\"} 1\n") &&
	    line("tool=\"Bash\",outcome=\"error\"} 1\n"), "by outcome");
	T(line("tool=\"mcp\",outcome=\"ok\"} 1\n") &&
	    line("tool=\"other\",outcome=\"ok\"} 2\n") &&
	    line("tool=\"other\",outcome=\"unknown_tool\"} 1\n") &&
	    line("tool=\"Read\",outcome=\"bad_json\"} 1\n"), "bounded names");
	T(line("tool_duration_seconds_count{tool=\"Bash\"} 1\n") &&
	    line("tool_duration_seconds_sum{tool=\"Bash\"} 0.742000\n"),
	    "only what the client measured");
}

/* A client may ask for any number of models. */
static void bounds(void)
{
	char name[200];
	struct record r;
	size_t i, n = 0;
	int k;

	begin();
	for (k = 0; k < 500; k++) {
		snprintf(name, sizeof name, "model-%d", k);
		r = request("main", "openai", name, 200);
		metrics_record(&mon.metrics, &r);
	}
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	r = request("no such class", name, name, 200);
	metrics_record(&mon.metrics, &r);
	write_all();
	for (i = 0; i + 1 < out.n; i++)
		if (str_starts(str_from(out, i),
		    S("\nclaudecodex_requests_total{")))
			n++;
	T_INT((int)n, METRIC_MODELS + 2, "32 pairs, then other");
	T(line("{class=\"main\",provider=\"other\",model=\"other\",code="
	    "\"200\"} 468\n"), "the rest together");
	T(line("class=\"other\""), "an unknown class");
	T_INT((int)mon.metrics.ended, 501, "all");
}

int main(void)
{
	requests();
	troubles();
	tools_of();
	bounds();
	return t_done("metrics");
}
