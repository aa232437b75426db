/* events.c -- tests of monitor/events.c: what a watcher sees of an answer.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/events_request.c monitor/events_raw.c */
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

/* ---- exact bytes of a conversation ------------------------------------- */

static char work_room[1 << 20], raw_room[1 << 14];

/* What is kept of a request with this body; twice: of the second of two. */
static struct str kept(const char *body, int twice)
{
	static int n;
	struct http_head head = { .method = S("POST"), .target = S("/"),
	    .minor = 1 };
	struct buf b = buf_on(raw_room, sizeof raw_room);
	struct request q;
	struct notes notes = { .n = 0 };
	struct fault fault;
	struct arena a;
	struct json doc;
	char id[32];

	do {
		struct facts f = { .q = &q, .head = &head,
		    .body = str_of(body) };

		a = (struct arena){ work_room,
		    work_room + sizeof work_room };
		if (!T(json_parse(&doc, f.body, &a, NULL) == OK &&
		    request_parse(&q, &doc, 0, &a, &notes, &fault) == OK,
		    "a request"))
			break;
		record_init(&r, &mon);
		r.req = &q;
		r.arena = &a;
		snprintf(id, sizeof id, "req_%d", n++);
		label_set(&r.id, str_of(id));
		event_names(&f, &mon.journal->quick, &a);
		event_raw(&r, &f);
	} while (twice--);
	T_INT(journal_raw(mon.journal, str_of(id), RAW_CLIENT_REQUEST, 0, &b),
	    OK, "kept whole");
	return buf_str(&b);
}

#define KEY "sk-ant-0123456789abcdef"
#define MASKED "[redacted anthropic_key len=23]"
#define HEAD "{\"model\":\"m\",\"max_tokens\":1,"
#define SYSTEM(text) "\"system\":[{\"type\":\"text\",\"text\":\"" text \
	"\"}]"
#define TOOLS(text) "\"tools\": [ {\"name\":\"A\",\"input_schema\":{\"type\":" \
	"\"object\"}} , {\"name\":\"B\",\"description\":\"" text "\"," \
	"\"input_schema\":{\"type\":\"object\"}}]"
#define SAID "{\"role\":\"user\",\"content\":\"a path /usr/lib/x.so\"}"
#define MESSAGES(text) "\"messages\":[" SAID ",\n{\"role\":\"assistant\"," \
	"\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}," SAID "]"

/* A conversation's parts are looked at once: the second time its bytes are the
 * same, and a key is masked wherever it stands, each time. */
static void test_parts(void)
{
	static const struct {
		const char *body, *want, *what;
	} cases[] = {
		{ HEAD SYSTEM("s") "," TOOLS("t") "," MESSAGES("m") "}",
		    HEAD SYSTEM("s") "," TOOLS("t") "," MESSAGES("m") "}",
		    "nothing to mask" },
		{ HEAD MESSAGES("m") "," TOOLS("t") "," SYSTEM("s") "}",
		    HEAD MESSAGES("m") "," TOOLS("t") "," SYSTEM("s") "}",
		    "in another order" },
		{ HEAD MESSAGES("m") ",\"system\":\"" KEY "\"}",
		    HEAD MESSAGES("m") ",\"system\":\"" MASKED "\"}",
		    "a key in a system text" },
		{ HEAD SYSTEM(KEY) "," TOOLS("t") "," MESSAGES("m") "}",
		    HEAD SYSTEM(MASKED) "," TOOLS("t") "," MESSAGES("m") "}",
		    "a key in a system block" },
		{ HEAD SYSTEM("s") "," TOOLS(KEY) "," MESSAGES("m") "}",
		    HEAD SYSTEM("s") "," TOOLS(MASKED) "," MESSAGES("m") "}",
		    "a key in a tool" },
		{ HEAD SYSTEM("s") "," TOOLS("t") "," MESSAGES(KEY) "}",
		    HEAD SYSTEM("s") "," TOOLS("t") "," MESSAGES(MASKED) "}",
		    "a key in a message" },
		{ HEAD MESSAGES("m") ",\"x\":\"" KEY "\"}",
		    HEAD MESSAGES("m") ",\"x\":\"" MASKED "\"}",
		    "a key behind the parts" },
		{ HEAD "\"x\":\"" KEY "\"," MESSAGES("m") "}",
		    HEAD "\"x\":\"" MASKED "\"," MESSAGES("m") "}",
		    "a key before them" },
		{ HEAD MESSAGES("-----BEGIN PRIVATE KEY-----\\nMII") "}",
		    HEAD MESSAGES("[redacted private_key len=32]") "}",
		    "a private key without its end" }
	};
	struct journal_options o = { .memory = 1 << 20, .slots = 1,
	    .raw = 1 << 17 };
	size_t i;

	mon.journal = journal_open(&o);
	if (!T(mon.journal != NULL, "a journal"))
		return;
	for (i = 0; i < COUNT(cases); i++) {
		T_STR(kept(cases[i].body, 0), str_of(cases[i].want),
		    "%s", cases[i].what);
		T_STR(kept(cases[i].body, 1), str_of(cases[i].want),
		    "%s", cases[i].what);
	}
}

/* What was found clean is known to be, and isn't looked at: a key that is known
 * only since then stands there. (None becomes known in a running program.) */
static void test_parts_known(void)
{
	static const struct str secret[] = { { "/usr/lib", 8 } },
	    odd[] = { { "{\"role", 6 } };
	const char *body = HEAD MESSAGES("m") "}";
	struct str text;

	kept(body, 0);
	redact_set_init(&mon.journal->redact, secret, 1);
	T_STR(kept(body, 0), str_of(body), "not looked at again");
	redact_set_init(&mon.journal->redact, odd, 1);
	text = kept(body, 0);
	T(text.n && str_find(text, odd[0]) == text.n,
	    "but where a key may span two parts");
}

int main(void)
{
	test_pieces();
	test_parts();
	test_parts_known();
	return t_done("events");
}
