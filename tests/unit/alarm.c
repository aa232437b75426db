/* Tests of monitor/alarm: what an alert becomes, how often one is run.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/alerts.c monitor/account.c monitor/blob.c monitor/console.c monitor/events.c monitor/events_request.c monitor/events_response.c monitor/events_results.c */
/* link: monitor/journal.c monitor/live.c monitor/load.c monitor/metrics.c monitor/monitor.c monitor/prices.c monitor/quick.c monitor/raw.c monitor/recognise.c monitor/record.c monitor/redact.c monitor/recall.c monitor/restore.c monitor/scribe.c monitor/payloads.c monitor/start.c monitor/writer.c */
/* link: monitor/page.c monitor/page_events.c monitor/page_steps.c monitor/page_prices.c monitor/page_export.c monitor/page_har.c monitor/page_otlp.c monitor/page_replay.c monitor/fitness.c */
/* link: net/keeper.c net/sandbox.c net/loop.c net/sock.c net/shell.c */
#include "t.h"
#include "../../src/monitor/alarm.c"

static struct monitor mon;

static uint64_t alert(const char *rule, const char *detail,
    const char *session)
{
	journal_begin(mon.journal, J_ALERT, S("req_1"), 1);
	journal_put_text(mon.journal, "rule", str_of(rule));
	journal_put_int(mon.journal, "count", 3);
	journal_put_text(mon.journal, "gen_ai.conversation.id",
	    str_of(session));
	journal_put_text(mon.journal, "detail", str_of(detail));
	return journal_end(mon.journal);
}

static void test_order(void)
{
	static char longest[257], wide[129];
	struct order o;
	size_t i;

	T_INT(make_order(&mon, alert("stall", "-x\n\033[2J \xe2\x80\xae"
	    "$(id) \"q\"", "a b/\xc3\xa9"), &o), OK, "an order");
	T_STR(str_of(o.rule), S("ALERT_RULE=stall"), "the rule");
	T_STR(str_of(o.text), S("ALERT_TEXT=stall: -x \\u{001b}[2J \\u{202e}"
	    "$(id) \"q\""), "no control byte, no other direction, no option");
	T_STR(str_of(o.count), S("ALERT_COUNT=3"), "the count");
	T_STR(str_of(o.url), S("ALERT_URL=http://localhost:8082/dashboard#/s/"
	    "a%20b%2F%C3%A9/r/req_1/new"), "the address");
	T(str_ends(str_of(o.line), S("}\n")), "a whole line");
	/* The largest that alerts.c and the labels let through. */
	for (i = 0; i < sizeof longest - 1; i++)
		longest[i] = '\001';
	for (i = 0; i < sizeof wide - 1; i++)
		wide[i] = '\001';
	T_INT(make_order(&mon, alert("unknown_tool", longest, wide), &o), OK,
	    "the longest of all");
	T(strlen(o.text) < sizeof o.text && str_ends(str_of(o.line),
	    S("}\n")), "has room");
	T_INT(make_order(&mon, 999999, &o), E_NONE, "a line that is gone");
}

static void test_shared(void)
{
	T(is_shared(S("PATH=/bin")) && is_shared(S("LC_TIME=C")) &&
	    is_shared(S("DISPLAY=:0")), "what a program needs");
	T(!is_shared(S("OPENAI_API_KEY=x")) && !is_shared(S("PATHS=x")) &&
	    !is_shared(S("HTTPS_PROXY=http://u:p@h")) && !is_shared(S("")),
	    "nothing else");
}

/* Runs all that is due; how many. */
static uint64_t turns(int64_t now)
{
	uint64_t before = mon.alarm.run;
	int i;

	for (i = 0; i < 2000; i++) {
		struct timeval tv = { 0, 5000 };

		(void)alarm_turn(&mon, now, 1);
		if (mon.alarm.fd < 0 && alarm_turn(&mon, now, 1) > now)
			break;
		select(0, NULL, NULL, NULL, &tv);
	}
	return mon.alarm.run - before;
}

static void fill(size_t n)
{
	struct record r = { .mon = &mon };
	size_t i;

	memset(&r.id, 0, sizeof r.id);
	for (i = 0; i < n; i++) {
		r.last = 1;
		r.stalled = 0;
		r.req = (const struct request *)(const void *)&r;
		alerts_stall(&r, 60000);
	}
}

static void test_pace(void)
{
	int64_t t = 1000000;

	fill(ALARM_QUEUE + 3);
	T_INT(mon.alarm.dropped, 3, "beyond the queue they are dropped");
	T_INT(turns(t), ALARM_BURST, "so many in a row");
	T_INT(alarm_turn(&mon, t, 0), t + ALARM_EVERY_MS, "then a pause");
	T_INT(turns(t + ALARM_EVERY_MS - 1), 0, "not before its end");
	T_INT(turns(t + ALARM_EVERY_MS), 1, "one");
	T_INT(turns(t + 4 * ALARM_EVERY_MS), 3, "three");
	T_INT(turns(t + 1000 * (int64_t)ALARM_EVERY_MS), 2, "the rest");
	T(alarm_turn(&mon, t, 0) == LOOP_NEVER, "nothing is left");
	T_INT(mon.alarm.failed, 0, "all went well");
	fill(ALARM_QUEUE);
	T_INT(turns(t + 2000 * (int64_t)ALARM_EVERY_MS), ALARM_BURST,
	    "rest gives no more than a row");
}

int main(void)
{
	static const struct monitor_options o = { .console_fd = -1,
	    .memory = 1 << 20, .slots = 2 };

	monitor_open(&mon, &o);
	T(mon.journal != NULL, "a monitor");
	alarm_open(&mon, S("true"), 8082);
	test_order();
	test_shared();
	test_pace();
	alarm_close(&mon);
	return t_done("alarm_unit");
}
