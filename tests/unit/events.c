/* events.c -- tests of monitor/events.c: what a watcher sees of an answer.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/events_request.c */
/* link: monitor/events_response.c */
/* link: monitor/events_results.c */
/* link: monitor/account.c */
/* link: monitor/metrics.c */
/* link: monitor/alerts.c */
/* link: monitor/blob.c */
/* link: monitor/console.c */
/* link: monitor/journal.c */
/* link: monitor/live.c */
/* link: monitor/load.c */
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
#include "../../src/monitor/events.c"
#include "t.h"

static struct monitor mon;
static struct record r;
static const struct request nothing;

static void say(enum event_type type, const char *id, const char *text)
{
	struct event e = { .type = type, .block = B_TOOL_USE };

	e.id.raw = str_of(id);
	e.name.raw = S("lamp");
	e.text.raw = str_of(text);
	events_answer(&r, &e, 1);
}

/* The blocks told to a watcher: each begins with its call's id. */
static struct str watched(void)
{
	static char room[512];
	struct buf b = buf_on(room, sizeof room);
	struct live_cursor c = { 0 };
	struct live_piece p;

	while (journal_live(mon.journal, 0, &c, &p) == OK) {
		if (p.begins) {
			buf_put(&b, p.call);
			buf_chr(&b, ':');
		}
		buf_put(&b, p.text.raw);
		buf_chr(&b, ' ');
	}
	return str_trim(buf_str(&b));
}

/* OA-89: in buffer mode the watcher sees the pieces, and them once. */
static void test_pieces(void)
{
	struct journal_options o = { .memory = 1 << 16, .slots = 1 };

	mon.journal = journal_open(&o);
	if (!T(mon.journal != NULL, "a journal"))
		return;
	record_init(&r, &mon);
	r.req = &nothing;
	live_start(mon.journal, 0, S("req_1"), 0);
	say(EV_PIECE, "a", "{");
	T_STR(watched(), S("a:{"), "at once");
	say(EV_PIECE, "a", "}");
	say(EV_BLOCK_START, "a", "");
	say(EV_INPUT, "", "{}");
	say(EV_BLOCK_STOP, "", "");
	T_STR(watched(), S("a:{}"), "and not a second time");
	say(EV_BLOCK_START, "b", "");
	say(EV_INPUT, "", "{1}");
	say(EV_BLOCK_STOP, "", "");
	T_STR(watched(), S("a:{} b:{1}"), "the next one as ever");
	say(EV_PIECE, "c", "{");
	say(EV_BLOCK_START, "d", "");
	say(EV_INPUT, "", "{2}");
	say(EV_BLOCK_STOP, "", "");
	say(EV_BLOCK_START, "c", "");
	say(EV_INPUT, "", "{3}");
	T_STR(watched(), S("a:{} b:{1} c:{ d:{2} c:{3}"),
	    "one that was overtaken comes whole");
}

int main(void)
{
	test_pieces();
	return t_done("events");
}
