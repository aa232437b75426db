/* Tests of monitor/alarm: what an alert becomes, how often one is run.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/alerts.c monitor/account.c monitor/blob.c monitor/console.c monitor/events.c monitor/events_request.c monitor/events_raw.c monitor/events_response.c monitor/events_results.c */
/* link: monitor/journal.c monitor/live.c monitor/load.c monitor/metrics.c monitor/monitor.c monitor/prices.c monitor/quick.c monitor/raw.c monitor/recognise.c monitor/record.c monitor/redact.c monitor/recall.c monitor/restore.c monitor/scribe.c monitor/payloads.c monitor/start.c monitor/writer.c */
/* link: monitor/page.c monitor/page_events.c monitor/page_steps.c monitor/page_prices.c monitor/page_export.c monitor/page_har.c monitor/page_otlp.c monitor/page_replay.c monitor/fitness.c */
/* link: net/keeper.c net/sandbox.c net/loop.c net/sock.c net/shell.c */
/* link: net/share.c */
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

/* The count of the alert that was raised, which says detail; 0: none was. */
static int64_t told(const char *detail)
{
	struct order o;
	size_t n = mon.alarm.n;

	mon.alarm.n = 0;
	if (n == 0)
		return 0;
	T_INT(n, 1, "FN-55 one alert");
	T_INT(make_order(&mon, mon.alarm.seq[mon.alarm.first], &o), OK,
	    "FN-55 an alert");
	T(str_ends(str_of(o.text), str_of(detail)), "FN-55 %s, not %s",
	    detail, o.text);
	return atoll(o.count + strlen("ALERT_COUNT="));
}

/* 80, 90, 100 % of a budget, each once, by hour and day: a cap has to
 * be announced before it is reached. */
static void test_spend(void)
{
	static const struct {
		int64_t at, cents;	/* minutes; what the request cost */
		int64_t want;
		const char *detail, *line;
	} steps[] = {
		{ 1, 79, 0, "", "" },
		{ 2, 1, 80, "80 % of this hour's budget",
		    "cdx-spend: hour 80%\r\n" },
		{ 3, 5, 0, "", "cdx-spend: hour 80%\r\n" },
		{ 4, 7, 90, "90 % of this hour's budget",
		    "cdx-spend: hour 90%\r\n" },
		{ 5, 8, 100, "100 % of this hour's budget",
		    "cdx-spend: hour 100%\r\n" },
		{ 6, 99, 0, "", "cdx-spend: hour 100%\r\n" },
		{ 7, 1, 200, "200 % of this hour's budget",
		    "cdx-spend: hour 200%\r\n" },
		/* The hour is over; the day, of $4, isn't. */
		{ 61, 50, 0, "", "" },
		{ 122, 70, 80, "80 % of this day's budget",
		    "cdx-spend: day 80%\r\n" },
		{ 123, 10, 80, "80 % of this hour's budget",
		    "cdx-spend: hour 80%, day 80%\r\n" },
		{ 1442, 79, 0, "", "" }
	};
	struct record r = { .mon = &mon };
	char room[SPEND_LINE];
	struct buf b;
	size_t i;

	mon.alarm.n = 0;
	mon.opt.spend_hour = 1000000000000u;
	mon.opt.spend_day = 4000000000000u;
	for (i = 0; i < COUNT(steps); i++) {
		r.ended = steps[i].at * 60000;
		r.cost = steps[i].cents * 10000000000;
		alerts_response(&r);
		T_INT(told(steps[i].detail), steps[i].want,
		    "FN-55 step %zu", i);
		b = buf_on(room, sizeof room);
		monitor_put_spend(&b, &mon, r.ended);
		T_STR(buf_str(&b), str_of(steps[i].line), "FN-55 header %zu",
		    i);
	}
	mon.opt.spend_hour = mon.opt.spend_day = 0;
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
	test_spend();
	alarm_close(&mon);
	return t_done("alarm_unit");
}
