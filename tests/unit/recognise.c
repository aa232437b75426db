/* recognise.c -- sessions, agents, turns, tool times, cache causes, alerts,
 * as the journal's lines tell them.
 *
 * Requests are written as JSON, parsed and recorded like real ones. After each
 * the reader's side is played: every message is found again, through bases and
 * blobs, in the ring as well as behind the beginning of a segment.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/metrics.c */
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
/* link: monitor/monitor.c */
/* link: monitor/prices.c */
/* link: monitor/quick.c */
/* link: monitor/raw.c */
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
/* link: net/share.c */
#include "../../src/monitor/recognise.c"
#include "../../src/monitor/load.h"
#include "t.h"

enum { SLOTS = 8, BODY = 1 << 20, ARENA = 32 << 20 };

static struct monitor mon;
static struct call_ {
	struct record r;
	struct request q;
	struct json doc;
	struct http_head head;
	struct notes notes;
	struct arena a;
	char body[BODY];
} calls[SLOTS];
static char memory[SLOTS][ARENA];
static int64_t now = 1000;
static unsigned serial;

static void begin_world(uint64_t size)
{
	struct monitor_options o = { .console_fd = -1, .memory = size,
	    .slots = SLOTS };

	memset(&mon, 0, sizeof mon);
	monitor_open(&mon, &o);
	serial = 0;
}

/* One field of the client's head; "" ends nothing. */
static void field(struct call_ *c, const char *name, const char *value)
{
	struct http_field *f = &c->head.fields[c->head.nfields++];

	f->name = str_of(name);
	f->value = str_of(value);
}

static struct call_ *fresh(size_t slot)
{
	struct call_ *c = &calls[slot];

	memset(&c->head, 0, sizeof c->head);
	memset(&c->notes, 0, sizeof c->notes);
	c->head.method = S("POST");
	c->head.target = S("/v1/messages");
	return c;
}

/* The request arrives. */
static void ask(struct call_ *c, const char *body)
{
	struct record_source from = { .head = &c->head,
	    .peer = S("127.0.0.1") };
	struct fault f;
	char id[16];
	size_t slot = (size_t)(c - calls);

	snprintf(c->body, sizeof c->body, "%s", body);
	c->a = (struct arena){ memory[slot], memory[slot] + ARENA };
	memset(&c->q, 0, sizeof c->q);
	if (json_parse(&c->doc, str_of(c->body), &c->a, NULL) != OK ||
	    request_parse(&c->q, &c->doc, 0, &c->a, &c->notes, &f) != OK) {
		T(0, "a request of this test is not sound: %.300s", body);
		return;
	}
	record_init(&c->r, &mon);
	c->r.slot = slot;
	snprintf(id, sizeof id, "req_%u", ++serial);
	label_set(&c->r.id, str_of(id));
	label_jset(&c->r.asked, c->q.model);
	c->r.served = c->r.asked;
	c->r.arrived = now;
	c->r.wall_ms = 1800000000000 + now;
	c->r.notes = &c->notes;
	record_classify(&c->r, &c->q,
	    http_field(&c->head, S("x-claude-code-request-class")),
	    http_field(&c->head, S("x-claude-code-agent-id")),
	    http_field(&c->head, S("x-claude-code-parent-agent-id")));
	from.req = &c->q;
	from.body = str_of(c->body);
	from.arena = &c->a;
	record_begin(&c->r, &from);
	record_upstream(&c->r, &(struct record_sent){
	    .backend = S("anthropic"), .host = S("api.anthropic.com"),
	    .port = 443, .head = S("POST /v1/messages HTTP/1.1\r\n\r\n") });
}

static void event(struct call_ *c, struct event e)
{
	c->r.sink.event(&c->r.sink, &e);
}

static void say(struct call_ *c, const char *text)
{
	event(c, (struct event){ .type = EV_MESSAGE_START });
	event(c, (struct event){ .type = EV_BLOCK_START, .block = B_TEXT });
	event(c, (struct event){ .type = EV_TEXT,
	    .text.raw = str_of(text) });
	event(c, (struct event){ .type = EV_BLOCK_STOP });
}

static void use(struct call_ *c, const char *id, const char *name,
    const char *input)
{
	event(c, (struct event){ .type = EV_BLOCK_START, .block = B_TOOL_USE,
	    .id.raw = str_of(id), .name.raw = str_of(name) });
	event(c, (struct event){ .type = EV_INPUT,
	    .text.raw = str_of(input) });
	event(c, (struct event){ .type = EV_BLOCK_STOP });
}

static void end_with(struct call_ *c, enum stop_reason stop, int64_t input,
    int64_t read, int64_t written)
{
	struct event e = { .type = EV_MESSAGE_DELTA, .stop = stop };

	e.usage = (struct usage){ .input = input, .cache_read = read,
	    .cache_write = written, .output = 10, .thinking = -1 };
	event(c, e);
	event(c, (struct event){ .type = EV_MESSAGE_STOP });
	c->r.outcome = OUTCOME_DONE;
	c->r.status = 200;
	c->r.ended = now;
	record_end(&c->r);
}

static void end(struct call_ *c)
{
	end_with(c, STOP_END_TURN, 100, 0, 0);
}

/* ---- what the lines say ----------------------------------------------- */

static struct str line_of(const struct call_ *c, enum journal_kind kind)
{
	struct journal_line l = { 0 };

	if (journal_find(mon.journal, label_str(&c->r.id), kind, 0, &l) != OK)
		return S("{}");
	return l.text;
}

static struct str asked(const struct call_ *c, const char *key)
{
	return journal_member(line_of(c, J_REQUEST), str_of(key));
}

static struct str answered(const struct call_ *c, const char *key)
{
	return journal_member(line_of(c, J_RESPONSE), str_of(key));
}

/* Names of all messages of a request, by its line and those it leans on. */
static size_t resolve(struct str id, struct str *sha, size_t max, int depth)
{
	struct journal_line l;
	struct str m, add, one;
	struct jstr base;
	size_t n = 0;

	if (depth > 100 ||
	    journal_find(mon.journal, id, J_REQUEST, 0, &l) != OK)
		return SIZE_MAX;
	m = journal_member(l.text, S("cdx.messages"));
	base = journal_text(m, S("base"));
	if (base.raw.n) {
		n = resolve(base.raw, sha, max, depth + 1);
		if (n == SIZE_MAX ||
		    (size_t)journal_number(m, S("keep"), 0) > n)
			return SIZE_MAX;
		n = (size_t)journal_number(m, S("keep"), 0);
	}
	add = str_from(journal_member(m, S("add")), 1);
	while (str_cut(&add, ',', &one) && n < max) {
		if (one.n < JOURNAL_SHA + 2)
			break;		/* [] */
		sha[n++] = str_head(str_from(one, 1), JOURNAL_SHA);
	}
	return n == (size_t)journal_number(m, S("n"), -1) ? n : SIZE_MAX;
}

static int readable(const struct call_ *c)
{
	struct str sha[600];
	struct journal_line l;
	size_t n = resolve(label_str(&c->r.id), sha, 600, 0), i;
	struct sha16 want;
	char hex[JOURNAL_SHA];

	if (n != c->q.nmessages)
		return 0;
	for (i = 0; i < n; i++) {
		blob_message(&mon.journal->quick, &want, &c->q.messages[i],
		    c->a);
		if (!str_eq(sha[i], blob_hex(&want, hex)) ||
		    journal_blob(mon.journal, sha[i], &l) != OK)
			return 0;
	}
	return 1;
}

static unsigned count_alerts(const char *rule)
{
	struct journal_line l;
	uint64_t seq;
	unsigned n = 0;

	for (seq = journal_first(mon.journal); seq < journal_next(mon.journal);
	    seq++)
		n += journal_line(mon.journal, seq, &l) == OK &&
		    l.kind == J_ALERT && str_eq(journal_text(l.text,
		    S("rule")).raw, str_of(rule));
	return n;
}

/* ---- tests ------------------------------------------------------------ */

#define HEAD "{\"model\":\"claude-opus-5-5\",\"max_tokens\":100,"
#define SYS "\"system\":[{\"type\":\"text\",\"text\":\"x-anthropic-billing-" \
	"header: cch=1;\"},{\"type\":\"text\",\"text\":\"You are an " \
	"interactive agent\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
#define TOOLS "\"tools\":[{\"name\":\"Bash\",\"input_schema\":{\"type\":" \
	"\"object\"}}],"
#define USER(t) "{\"role\":\"user\",\"content\":\"" t "\"}"
#define SAYS(t) "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\"," \
	"\"text\":\"" t "\"}]}"
#define USES(id, c) "{\"role\":\"assistant\",\"content\":[{\"type\":" \
	"\"tool_use\",\"id\":\"" id "\",\"name\":\"Bash\",\"input\":{" \
	"\"command\":\"" c "\"}}]}"
#define RESULT(id, t) "{\"role\":\"user\",\"content\":[{\"type\":" \
	"\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":\"" t "\"}]}"
#define BODY(m) HEAD SYS TOOLS "\"messages\":[" m "]}"

static void test_sessions(void)
{
	struct call_ *c;

	begin_world(1 << 20);
	c = fresh(0);
	field(c, "x-claude-code-session-id", "8f3c0000-aaaa");
	ask(c, BODY(USER("one")));
	T_STR(asked(c, "cdx.session.by"), S("\"header\""), "by header");
	T_STR(asked(c, "gen_ai.conversation.id"), S("\"8f3c0000-aaaa\""),
	    "its id");
	T_STR(asked(c, "gen_ai.agent.name"), S("\"main\""), "the main agent");
	T_STR(asked(c, "cdx.class"), S("\"main\""), "class");
	end(c);
	c = fresh(0);
	ask(c, HEAD "\"metadata\":{\"user_id\":\"user_00_account__session_"
	    "12345678-0000-4000-8000-0123456789ab\"},\"messages\":["
	    USER("hi") "]}");
	T_STR(asked(c, "cdx.session.by"), S("\"body\""), "the older user_id");
	T_STR(asked(c, "gen_ai.conversation.id"),
	    S("\"12345678-0000-4000-8000-0123456789ab\""), "its session");
	end(c);
	c = fresh(0);
	ask(c, HEAD "\"metadata\":{\"user_id\":\"{\\\"device_id\\\":\\\"d\\\","
	    "\\\"session_id\\\":\\\"87654321-0000\\\"}\"},\"messages\":["
	    USER("hi") "]}");
	T_STR(asked(c, "gen_ai.conversation.id"), S("\"87654321-0000\""),
	    "the newer user_id, JSON in a string");
	end(c);
	c = fresh(0);
	ask(c, BODY(USER("same words")));
	T_STR(asked(c, "cdx.session.by"), S("\"guess\""), "none: a guess");
	T(str_starts(asked(c, "gen_ai.conversation.id"), S("\"guess-")),
	    "that says it is one");
	end(c);
	calls[1] = calls[0];
	c = fresh(2);
	ask(c, BODY(USER("same words") "," SAYS("yes") "," USER("more")));
	T_STR(asked(c, "gen_ai.conversation.id"), asked(&calls[1],
	    "gen_ai.conversation.id"), "it goes on by its first words");
	end(c);
	/* 256 bytes of printable ASCII at most. */
	c = fresh(0);
	field(c, "x-claude-code-session-id", "bad\x01id");
	ask(c, BODY(USER("zz")));
	T_STR(asked(c, "cdx.session.by"), S("\"guess\""),
	    "a claim with control bytes is none");
	end(c);
}

static struct call_ *in_session(size_t slot, const char *agent)
{
	struct call_ *c = fresh(slot);

	field(c, "x-claude-code-session-id", "s-1");
	if (agent)
		field(c, "x-claude-code-agent-id", agent);
	return c;
}

#define NOTICE "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":" \
	"\"<system-reminder>\\n[SYSTEM NOTIFICATION - NOT USER INPUT]\"}]}"

/* As 2.1.330 does it: each notice of a background agent's end comes with a
 * prompt id of its own. */
static void test_notices(void)
{
	static const struct {
		const char *prompt, *messages, *turn, *step, *what;
	} all[] = {
		{ "p1", USER("do it"), "1", "1", "a prompt" },
		{ "p2", USER("do it") "," SAYS("begun") "," NOTICE, "1", "2",
		    "a notice has a prompt id and begins no turn" },
		{ "p2", USER("do it") "," SAYS("begun") "," NOTICE ","
		    USES("t1", "ls") "," RESULT("t1", "a"), "1", "3",
		    "nor does what follows it" },
		{ "p3", USER("do it") "," SAYS("begun") "," NOTICE ","
		    USES("t1", "ls") "," RESULT("t1", "a") ","
		    USES("t2", "ls") "," "{\"role\":\"user\",\"content\":["
		    "{\"type\":\"tool_result\",\"tool_use_id\":\"t2\","
		    "\"content\":\"stopped\"},{\"type\":\"text\",\"text\":"
		    "\"rather this\"}]}", "2", "1",
		    "what a person says beside results does" }
	};
	struct call_ *c;
	char body[4096];
	size_t i;

	begin_world(1 << 20);
	for (i = 0; i < COUNT(all); i++) {
		c = in_session(0, NULL);
		field(c, "x-claude-code-prompt-id", all[i].prompt);
		snprintf(body, sizeof body, BODY("%s"), all[i].messages);
		ask(c, body);
		T_STR(asked(c, "cdx.turn"), str_of(all[i].turn), "%s",
		    all[i].what);
		T_STR(asked(c, "cdx.step"), str_of(all[i].step), "%s",
		    all[i].what);
		end(c);
	}
}

static void test_turns(void)
{
	struct call_ *c;

	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it")));
	T_STR(asked(c, "cdx.turn"), S("1"), "the first turn");
	T_STR(asked(c, "cdx.prev"), S("null"), "nothing before it");
	T(readable(c), "all of it is there");
	say(c, "I run it.");
	use(c, "t1", "Bash", "{\\\"command\\\":\\\"ls\\\"}");
	now += 500;
	end_with(c, STOP_TOOL_USE, 100, 0, 0);
	now += 2000;
	c = in_session(0, NULL);
	field(c, "x-claude-code-prev-tool-durations", "Read=9;Bash=742");
	ask(c, BODY(USER("do it") "," USES("t1", "ls") ","
	    RESULT("t1", "a b")));
	T_STR(asked(c, "cdx.turn"), S("1"), "a result goes on in its turn");
	T_STR(asked(c, "cdx.step"), S("2"), "the second step");
	T_STR(asked(c, "cdx.prev"), S("\"req_1\""), "after the first");
	T(str_starts(asked(c, "cdx.messages"), S("{\"base\":\"req_1\","
	    "\"keep\":1,")), "only what is new is added");
	T_STR(asked(c, "cdx.tool_results"), S("[{\"gen_ai.tool.call.id\":"
	    "\"t1\",\"gen_ai.tool.name\":\"Bash\",\"ms\":742,\"by\":"
	    "\"client\",\"error\":false,\"bytes\":5}]"),
	    "the client's own time, by name");
	T_STR(asked(c, "cdx.hints"), S("true"), "that header is a hint");
	T(readable(c), "through its base");
	end(c);
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it") "," USES("t1", "ls") ","
	    RESULT("t1", "a b") "," SAYS("done") "," USER("and more")));
	T_STR(asked(c, "cdx.turn"), S("2"), "a person speaks: a new turn");
	T_STR(asked(c, "cdx.step"), S("1"), "from its first step");
	T_STR(asked(c, "cdx.tool_results"), S("[]"),
	    "a repeated result is no new one");
	end(c);
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it") "," USES("t1", "ls") ","
	    RESULT("t1", "a b") "," SAYS("done") "," USER("and more")));
	T_STR(asked(c, "cdx.turn"), S("2"), "the same again is a retry");
	T_STR(asked(c, "cdx.retry"), S("1"), "and says so");
	T(readable(c), "with everything kept");
	end(c);
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it") "," USES("t1", "ls") ","
	    RESULT("t1", "a b") "," SAYS("done") "," USER("and more") ","
	    SAYS("ok") "," USER("<system-reminder>x</system-reminder>")));
	T_STR(asked(c, "cdx.turn"), S("2"), "a reminder is nobody's words");
	end(c);
	c = in_session(0, NULL);
	ask(c, HEAD SYS TOOLS "\"messages\":[" USER("do it") ","
	    USES("t1", "ls") ",{\"role\":\"user\",\"content\":[{\"type\":"
	    "\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"a b\","
	    "\"cache_control\":{\"type\":\"ephemeral\"}}]}]}");
	T(str_starts(journal_member(asked(c, "cdx.messages"), S("keep")),
	    S("3")), "a cache mark that moved changes nothing");
	end(c);
}

/* A client that says only later who it is. */
static void test_merge(void)
{
	struct call_ *c;

	begin_world(1 << 20);
	c = fresh(0);
	ask(c, BODY(USER("do it")));
	T(str_starts(asked(c, "gen_ai.conversation.id"), S("\"guess-")),
	    "guessed at first");
	T_INT(asked(c, "cdx.session.was").n, 0, "nothing is merged");
	say(c, "a");
	use(c, "t1", "Agent", "{\\\"prompt\\\":\\\"look\\\","
	    "\\\"subagent_type\\\":\\\"Explore\\\"}");
	end(c);
	T(str_find(answered(c, "cdx.tool_calls"), S("\"agent\":\"Explore\"")) <
	    answered(c, "cdx.tool_calls").n, "the agent that a call asks for");
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it") "," SAYS("a") "," USER("more")));
	T(str_starts(asked(c, "cdx.session.was"), S("\"guess-")),
	    "then it has a name");
	T_STR(asked(c, "cdx.session.by"), S("\"header\""), "of its own");
	T_STR(asked(c, "cdx.prev"), S("\"req_1\""), "and goes on");
	T_STR(asked(c, "cdx.turn"), S("2"), "in its next turn");
	T(readable(c), "with all that was said");
	end(c);
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it") "," SAYS("a") "," USER("more") "," SAYS("b")
	    "," USER("again")));
	T_INT(asked(c, "cdx.session.was").n, 0, "once");
	end(c);
	c = fresh(0);
	ask(c, BODY(USER("do it")));
	T(str_starts(asked(c, "gen_ai.conversation.id"), S("\"guess-")),
	    "who begins the same without a name is another one");
	end(c);
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it")));
	T_INT(asked(c, "cdx.session.was").n, 0, "a session with a past of its "
	    "own takes in no other");
	end(c);
}

/* The process begins anew, with the same lines. */
static void start_again(void)
{
	memset(mon.recogniser, 0, sizeof *mon.recogniser);
	mon.journal->fresh = journal_next(mon.journal);
	restore_sessions(&mon);
}

static void test_recall(void)
{
	struct call_ *c;
	size_t i;

	begin_world(1 << 20);
	c = fresh(0);
	ask(c, BODY(USER("do it")));
	end_with(c, STOP_END_TURN, 100, 0, 0);
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it") "," SAYS("a") "," USER("run it")));
	use(c, "t1", "Bash", "{\\\"command\\\":\\\"ls\\\"}");
	end_with(c, STOP_TOOL_USE, 100, 0, 5000);
	c = in_session(0, "a1");
	ask(c, BODY(USER("look")));
	end(c);
	start_again();
	c = in_session(0, NULL);
	ask(c, BODY(USER("do it") "," SAYS("a") "," USER("run it") ","
	    USES("t1", "ls") "," RESULT("t1", "a b")));
	T_STR(asked(c, "cdx.prev"), S("\"req_2\""), "known after a restart");
	T_STR(asked(c, "cdx.turn"), S("2"), "in its turn");
	T_STR(asked(c, "cdx.step"), S("2"), "at its step");
	T_INT(journal_number(asked(c, "cdx.messages"), S("new"), -1), 3,
	    "what is new is known");
	T_INT(journal_member(asked(c, "cdx.messages"), S("base")).n, 0,
	    "but nothing leans on a former life");
	T(str_find(asked(c, "cdx.tool_results"), S("\"t1\"")) <
	    asked(c, "cdx.tool_results").n, "a result of a call of then");
	T(readable(c), "it stands alone");
	end_with(c, STOP_END_TURN, 5100, 0, 0);
	T_STR(answered(c, "cdx.cache.expected"), S("5000"),
	    "what lay in the cache");
	T_STR(answered(c, "cdx.cache.cause"), S("\"likely_server_side\""),
	    "system, tools and model are those of then");
	c = in_session(0, "a1");
	ask(c, BODY(USER("look") "," SAYS("b") "," USER("on")));
	T_STR(asked(c, "cdx.prev"), S("\"req_3\""), "an agent too");
	T_INT(journal_number(asked(c, "cdx.messages"), S("new"), -1), 1,
	    "with what it said");
	end(c);
	/* A journal that lost its beginning: nothing is guessed. */
	for (i = 0; i < 2; i++) {
		mon.journal->first = journal_next(mon.journal) - 2 * i;
		start_again();
		c = in_session(0, NULL);
		ask(c, BODY(USER("do it") "," SAYS("a") "," USER("now")));
		T_STR(asked(c, "cdx.prev"), S("null"), "without its lines it "
		    "is unknown");
		T(readable(c), "and written whole");
		end(c);
	}
}

static void test_agents(void)
{
	struct call_ *c, *d, *e;

	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, BODY(USER("go")));
	use(c, "t1", "Agent", "{\\\"description\\\":\\\"d\\\",\\\"prompt\\\":"
	    "\\\"look at \\\\u0061\\\"}");
	use(c, "t2", "Agent", "{\\\"prompt\\\":\\\"look at b\\\"}");
	end_with(c, STOP_TOOL_USE, 10, 0, 0);
	c = in_session(0, "agent-a");
	field(c, "x-claude-code-agent-type", "Explore");
	ask(c, HEAD "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
	    "\"text\",\"text\":\"<system-reminder>r</system-reminder>\"},{"
	    "\"type\":\"text\",\"text\":\"look at a\"}]}]}");
	d = in_session(1, "agent-b");
	field(d, "x-claude-code-parent-agent-id", "agent-a");
	ask(d, HEAD "\"system\":\"You are a file search specialist for x\","
	    "\"messages\":[" USER("look at b") "]}");
	T_STR(asked(c, "cdx.class"), S("\"subagent\""), "an agent by header");
	T_STR(asked(c, "gen_ai.agent.name"), S("\"Explore\""), "its type");
	T_STR(asked(c, "cdx.agent.name.by"), S("\"hint\""), "by a hint");
	T_STR(asked(c, "cdx.agent.call"), S("\"t1\""),
	    "the call that started it, by its prompt");
	T_STR(asked(c, "cdx.agent.call_request"), S("\"req_1\""), "whose");
	T_STR(asked(c, "cdx.link_by"), S("\"body\""), "how it is known");
	T_STR(asked(d, "gen_ai.agent.name"), S("\"Explore\""),
	    "by its system prompt");
	T_STR(asked(d, "cdx.agent.name.by"), S("\"body\""), "said so");
	T_STR(asked(d, "cdx.agent.parent"), S("\"agent-a\""), "nested");
	T_STR(asked(d, "cdx.agent.call"), S("\"t2\""), "its own call");
	T_STR(asked(d, "cdx.lane"), S("0"), "who has an id needs no lane");
	end(c);
	end(d);
	/* A fork copies everything: only time tells. */
	c = in_session(0, NULL);
	ask(c, BODY(USER("go") "," SAYS("1") "," USER("2")));
	d = in_session(1, NULL);
	ask(d, BODY(USER("go") "," SAYS("1") "," USER("2") "," SAYS("3")
	    "," USER("fork")));
	T_STR(asked(d, "cdx.lane"), S("1"), "overlap in time opens a lane");
	T_STR(asked(d, "cdx.prev"), S("\"req_4\""),
	    "a fork leans on what it left");
	T(readable(d), "and is readable");
	end(c);
	end(d);
	e = in_session(2, NULL);
	ask(e, BODY(USER("go") "," SAYS("1") "," USER("2") "," SAYS("3")
	    "," USER("fork") "," SAYS("4") "," USER("5")));
	T_STR(asked(e, "cdx.lane"), S("1"), "the lane goes on");
	T_STR(asked(e, "cdx.prev"), S("\"req_5\""), "from its own request");
	end(e);
	/* Without any header, an agent of its own kind. */
	c = in_session(0, NULL);
	ask(c, HEAD "\"system\":\"cc_is_subagent=true\",\"messages\":["
	    USER("alone") "]}");
	T_STR(asked(c, "cdx.class"), S("\"subagent\""), "by its body");
	T_STR(asked(c, "cdx.lane"), S("2"), "in a lane");
	end(c);
}

static void test_side_calls(void)
{
	static const struct {
		const char *body, *class, *by;
	} cases[] = {
		{ "{\"model\":\"m\",\"max_tokens\":1,\"messages\":["
		  USER("quota") "]}", "\"probe\"", "\"body\"" },
		{ HEAD "\"system\":\"Generate a concise title\",\"messages\":["
		  USER("abc") "]}", "\"auxiliary\"", "\"body\"" },
		{ HEAD "\"messages\":[" USER("Please write a 5-10 word title")
		  "]}", "\"auxiliary\"", "\"body\"" },
		{ HEAD "\"messages\":[" USER("CRITICAL: Respond with TEXT "
		  "only") "]}", "\"compaction\"", "\"body\"" },
		{ BODY(USER("Generate a concise thing")), "\"main\"",
		  "\"guess\"" }
	};
	struct call_ *c;
	size_t i;

	begin_world(1 << 20);
	for (i = 0; i < COUNT(cases); i++) {
		c = in_session(0, NULL);
		ask(c, cases[i].body);
		T_STR(asked(c, "cdx.class"), str_of(cases[i].class),
		    "class of case %lu", (unsigned long)i);
		T_STR(asked(c, "cdx.class.by"), str_of(cases[i].by),
		    "how known, case %lu", (unsigned long)i);
		end(c);
	}
	c = in_session(0, NULL);
	field(c, "x-claude-code-request-class", "workflow");
	ask(c, BODY(USER("x")));
	T_STR(asked(c, "cdx.class"), S("\"workflow\""), "a hint wins");
	T_STR(asked(c, "cdx.class.by"), S("\"hint\""), "and is named");
	end(c);
	c = in_session(0, NULL);
	ask(c, BODY(USER("This session is being continued from a previous "
	    "conversation that")));
	T_STR(asked(c, "gen_ai.conversation.compacted"), S("true"),
	    "what follows a compaction");
	end(c);
}

/* Eight scripted causes; each begins with a hit of 1000 tokens. */
static void cause(const char *body, int64_t pause, int64_t read,
    const char *want, const char *label)
{
	struct call_ *c;

	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, BODY(USER("a") "," SAYS("b") "," USER("c")));
	end_with(c, STOP_END_TURN, 50, 0, 5000);
	T_STR(answered(c, "cdx.cache.cause"), S("\"initial\""), "initial");
	now += pause;
	c = in_session(0, NULL);
	ask(c, body);
	end_with(c, STOP_END_TURN, 50, read, 5000 - read);
	T_STR(answered(c, "cdx.cache.cause"), str_of(want), "%s", label);
	T_INT(count_alerts("cache_miss"), strcmp(want, "null") != 0,
	    "an alert for %s", label);
	if (strcmp(want, "null") != 0)
		T(journal_member(line_of(c, J_RESPONSE),
		    S("cdx.cache.cost_usd")).n > 0, "%s has a price", label);
	if (strcmp(want, "\"messages_rewritten\"") == 0)
		T_STR(answered(c, "cdx.cache.index"), S("1"), "from where on");
}

static void test_causes(void)
{
#define MORE "," SAYS("d") "," USER("e")
	cause(BODY(USER("a") "," SAYS("b") "," USER("c") MORE), 0, 5000,
	    "null", "a hit");
	cause(BODY(USER("a") "," SAYS("b") "," USER("c") MORE), 0, 0,
	    "\"likely_server_side\"", "nothing explains it");
	cause(BODY(USER("a") "," SAYS("b") "," USER("c") MORE), 400000, 0,
	    "\"ttl_expired_5m\"", "too late");
	cause(BODY(USER("a") "," SAYS("B") "," USER("c") MORE), 0, 0,
	    "\"messages_rewritten\"", "an earlier message changed");
	cause(HEAD SYS "\"tools\":[{\"name\":\"Bash\",\"input_schema\":{"
	    "\"type\":\"object\",\"x\":1}}],\"messages\":[" USER("a") ","
	    SAYS("b") "," USER("c") MORE "]}", 0, 0, "\"tools_changed\"",
	    "a tool changed");
	cause(HEAD "\"system\":[{\"type\":\"text\",\"text\":\"other\","
	    "\"cache_control\":{\"type\":\"ephemeral\"}}]," TOOLS
	    "\"messages\":[" USER("a") "," SAYS("b") "," USER("c") MORE "]}",
	    0, 0, "\"system_prompt_changed\"", "the system prompt changed");
	cause("{\"model\":\"claude-sonnet-5-5\",\"max_tokens\":100," SYS TOOLS
	    "\"messages\":[" USER("a") "," SAYS("b") "," USER("c") MORE "]}",
	    0, 0, "\"model_changed\"", "the model changed");
	cause("{\"model\":\"claude-opus-5-5\",\"max_tokens\":100,\"system\":[{"
	    "\"type\":\"text\",\"text\":\"x-anthropic-billing-header: "
	    "cch=2;\"},{\"type\":\"text\",\"text\":\"You are an interactive "
	    "agent\"}]," TOOLS "\"messages\":[" USER("a") "," SAYS("b") ","
	    USER("c") MORE "]}", 0, 5000, "null",
	    "the attribution block is none");
}

/* A mark of an hour, and services that keep nothing. */
static void test_other_causes(void)
{
#define HOUR HEAD "\"system\":[{\"type\":\"text\",\"text\":\"s\"," \
	"\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]," \
	"\"messages\":["
	struct call_ *c;

	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, HOUR USER("a") "]}");
	end_with(c, STOP_END_TURN, 50, 0, 5000);
	now += 4000000;
	c = in_session(0, NULL);
	ask(c, HOUR USER("a") "," SAYS("b") "," USER("c") "]}");
	end_with(c, STOP_END_TURN, 50, 0, 5000);
	T_STR(answered(c, "cdx.cache.cause"), S("\"ttl_expired_1h\""),
	    "an hour has passed");
	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, HOUR USER("a") "]}");
	end_with(c, STOP_END_TURN, 5000, 0, 0);
	c = in_session(0, NULL);
	ask(c, HOUR USER("a") "," SAYS("b") "," USER("c") "]}");
	end_with(c, STOP_END_TURN, 5000, 0, 0);
	T_STR(answered(c, "cdx.cache.cause"), S("\"not_supported_upstream\""),
	    "the service keeps nothing");
	c = in_session(0, NULL);
	ask(c, HOUR USER("a") "," SAYS("b") "," USER("c") "," SAYS("d") ","
	    USER("e") "]}");
	note(&c->notes, NOTE_DROPPED, S("cache_control"), S("no equivalent"));
	end_with(c, STOP_END_TURN, 5000, 0, 0);
	T_STR(answered(c, "cdx.cache.cause"), S("\"marks_dropped\""),
	    "translation could not carry the marks");
}

static void test_costs(void)
{
	struct call_ *c;

	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, BODY(USER("a")));
	end_with(c, STOP_END_TURN, 1000, 10000, 2000);
	/* 1000 at 4, 10000 at 0.2, 2000 at 5, 10 out at 20, a million. */
	T_STR(answered(c, "cdx.cost_usd"), S("0.016200000"), "a sum");
	T_STR(answered(c, "gen_ai.usage.input_tokens"), S("13000"),
	    "OpenTelemetry's input has what was cached in it");
	c = in_session(0, NULL);
	ask(c, "{\"model\":\"what\",\"max_tokens\":9,\"messages\":["
	    USER("a") "]}");
	end_with(c, STOP_END_TURN, 1000, 0, 0);
	T_STR(answered(c, "cdx.cost_usd"), S("null"), "unknown is not 0");
	T_STR(answered(c, "cdx.price"), S("null"), "nor dated");
	/* The metrics are told after all that has been found out. */
	T_INT(mon.metrics.model[0].cost, 16200000000, "so say the metrics");
	T_INT(mon.metrics.model[1].cost, -1, "unknown here too");
	T_INT(mon.metrics.model[1].unpriced, 1010, "its tokens are told");
	T_INT(mon.metrics.cause[CAUSE_INITIAL], 0, "no miss: not counted");
	T_INT(mon.metrics.cause[CAUSE_MODEL], 1, "one: counted");
}

/* The n-th step of a loop: a call, and the result of the one before. */
static void step(const char *command, const char *result, int error, int n)
{
	static char history[8192], body[16384];
	char input[200];
	struct call_ *c = in_session(0, NULL);

	if (n == 0)
		snprintf(history, sizeof history, "%s", USER("go"));
	snprintf(body, sizeof body, "%s\"messages\":[%s]}", HEAD TOOLS,
	    history);
	ask(c, body);
	snprintf(input, sizeof input, "{\\\"command\\\":\\\"%s\\\"}", command);
	snprintf(body, sizeof body, "t%d", n);
	use(c, body, "Bash", input);
	end_with(c, STOP_TOOL_USE, 10, 0, 0);
	snprintf(history + strlen(history), sizeof history - strlen(history),
	    ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","
	    "\"id\":\"t%d\",\"name\":\"Bash\",\"input\":{\"command\":\"%s\"}}]"
	    "},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"t%d\",\"is_error\":%s,\"content\":\"%s\"}]}",
	    n, command, n, error ? "true" : "false", result);
}

static void test_alerts(void)
{
	char text[64];
	struct call_ *c;
	int i;

	begin_world(1 << 20);
	for (i = 0; i < 6; i++) {
		snprintf(text, sizeof text, "result number %d, which is long",
		    i);
		step("npm test", text, 0, i);
	}
	T_INT(count_alerts("repeat_call"), 1, "equal calls raise one alert");
	T_INT(count_alerts("repeat_result"), 0, "their results differ");
	begin_world(1 << 20);
	for (i = 0; i < 6; i++) {
		snprintf(text, sizeof text, "command %d", i);
		step(text, "the very same result of all of them", 0, i);
	}
	T_INT(count_alerts("repeat_call"), 0, "different calls raise none");
	T_INT(count_alerts("repeat_result"), 1, "equal results one");
	begin_world(1 << 20);
	for (i = 0; i < 6; i++)
		step(i % 2 ? "make" : "cat", i % 2 ? "x" : "y", 0, i);
	T_INT(count_alerts("ping_pong"), 1, "two that alternate");
	T_INT(count_alerts("repeat_call"), 0, "each between the other's");
	begin_world(1 << 20);
	for (i = 0; i < 8; i++) {
		snprintf(text, sizeof text, "command %d", i);
		step(text, "no", 1, i);
	}
	T_INT(count_alerts("error_streak"), 1, "failures in a row");
	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, BODY(USER("a")));
	use(c, "t1", "Bahs", "{}");
	use(c, "t2", "Bash", "{\\\"command\\\":");
	end_with(c, STOP_TOOL_USE, 190000, 0, 0);
	T_INT(count_alerts("unknown_tool"), 1, "a tool not offered");
	T_INT(count_alerts("bad_tool_json"), 1, "arguments that end early");
	T_INT(count_alerts("context"), 1, "a window nearly full");
	c = in_session(0, NULL);
	ask(c, BODY(USER("b")));
	use(c, "t2", "Bash", "{\\\"command\\\":");
	end_with(c, STOP_MAX_TOKENS, 10, 0, 0);
	T_INT(count_alerts("truncated"), 1, "cut inside a call");
	T_INT(count_alerts("bad_tool_json"), 1, "which is not broken JSON");
	for (i = 0; i < 4; i++) {
		c = in_session(0, NULL);
		ask(c, BODY(USER("b")));
		FAULT(&c->r.fault, 529, S("overloaded"));
		c->r.outcome = OUTCOME_ERROR;
		c->r.ended = now;
		record_end(&c->r);
	}
	T_INT(count_alerts("upstream_errors"), 1, "three errors in a minute");
	c = in_session(0, NULL);
	ask(c, BODY(USER("c")));
	c->r.sent = now;
	alerts_stall(&c->r, now + 29000);
	T_INT(count_alerts("stall"), 0, "29 s of silence");
	alerts_stall(&c->r, now + 31000);
	alerts_stall(&c->r, now + 35000);
	T_INT(count_alerts("stall"), 1, "31 s, told once");
	end(c);
}

/* Secrets and what nobody reads, wherever they stand. */
static void test_contents(void)
{
	struct call_ *c;
	struct journal_line l;
	uint64_t seq;
	size_t found = 0;
	static char body[BODY];
	char base64[513];

	memset(base64, 'A', 512);
	base64[512] = '\0';
	snprintf(body, sizeof body, HEAD "\"system\":\"sk-ant-0123456789ab\","
	    "\"tools\":[{\"name\":\"t\",\"description\":\"ghp_0123456789abcd"
	    "\",\"input_schema\":{ \"type\" :\n\"object\"}}],\"messages\":[{"
	    "\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{"
	    "\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"%s\"}"
	    "},{\"type\":\"tool_result\",\"tool_use_id\":\"x\",\"content\":[{"
	    "\"type\":\"text\",\"text\":\"line\\nAKIA0123456789ABCDEF\","
	    "\"cache_control\":{\"type\":\"ephemeral\"}}]},{\"type\":\"text\","
	    "\"text\":\"</script>\\u202e\"}]}]}", base64);
	begin_world(1 << 20);
	c = in_session(0, NULL);
	ask(c, body);
	say(c, "the key sk-ant-0123456789ab, twice");
	use(c, "u", "t", "{\\\"a\\\":\\\"x\\\\nsk-ant-0123456789ab\\\"}");
	end(c);
	for (seq = 1; seq < journal_next(mon.journal); seq++) {
		if (journal_line(mon.journal, seq, &l) != OK)
			continue;
		T(json_check(l.text, NULL, NULL) == OK &&
		    str_chr(l.text, '\n') == l.text.n, "line %lu is one line "
		    "of JSON", (unsigned long)seq);
		found += str_find(l.text, S("0123456789")) < l.text.n;
		found += str_find(l.text, S("AAAAAAAA")) < l.text.n;
		found += str_find(l.text, S("cache_control")) < l.text.n;
	}
	T_INT(found, 0, "no secret, no base64, no cache mark in any line");
	T(readable(c), "though found by their names");
}

/* A long session in a small ring: whatever is young is readable; and after
 * the beginning of a segment nothing before it is named. */
static void test_long(void)
{
	static char body[BODY];
	struct call_ *c;
	struct str sha[600];
	struct journal_line l;
	uint64_t fresh_from = 0;
	size_t at, i, k, n, bad = 0, old = 0;

	begin_world(1 << 18);
	snprintf(body, sizeof body, "%s\"messages\":[%s", HEAD SYS TOOLS,
	    USER("a long job"));
	at = strlen(body);
	for (i = 0; i < 250; i++) {
		snprintf(body + at, 3, "]}");
		c = in_session(0, NULL);
		if (i == 120)
			mon.journal->fresh = fresh_from =
			    journal_next(mon.journal);
		ask(c, body);
		bad += !readable(c);
		n = resolve(label_str(&c->r.id), sha, 600, 0);
		for (k = 0; fresh_from && n != SIZE_MAX && k < n; k++)
			old += journal_blob(mon.journal, sha[k], &l) != OK ||
			    l.seq < fresh_from;
		end(c);
		at += (size_t)snprintf(body + at, 600, ",%s%lu%s,%s%lu%s",
		    "{\"role\":\"assistant\",\"content\":\"answer ",
		    (unsigned long)i, " of some length, to fill the ring\"}",
		    "{\"role\":\"user\",\"content\":\"next ",
		    (unsigned long)i, "\"}");
	}
	T(journal_first(mon.journal) > 1, "the ring has turned over");
	T_INT(bad, 0, "each of 250 requests is readable when it comes");
	T_INT(old, 0, "and names nothing from before its segment");
}

/* A conversation of n blobs, of which each request has one more. Returns how
 * many segments hold it. */
static uint64_t converse(size_t n, uint64_t segment, uint64_t total)
{
	struct journal_options o = { .memory = 4 << 20, .slots = 1 };
	struct journal *j = journal_open(&o);
	char filler[1000], sha[40];
	uint64_t key;
	size_t i, k;

	memset(filler, 'x', sizeof filler);
	j->writer.opt = (struct writer_options){ .dir = S("x"),
	    .segment_max = segment, .total_max = total };
	for (i = 20; i < n; i++) {
		writer_segment(j, 0);
		for (k = 0; k < i; k++) {
			snprintf(sha, sizeof sha, "%016lx%016lx",
			    (unsigned long)k * 7919 + 1, 0ul);
			key = journal_sha_key(str_of(sha));
			if (!journal_needs(j, key))
				continue;
			journal_begin(j, J_BLOB, S(""), 0);
			j->open.key = key;
			journal_put_text(j, "data", (struct str){ filler,
			    sizeof filler });
			journal_wrote(j, key, journal_end(j));
		}
		journal_begin(j, J_REQUEST, S("r"), 1);
		journal_end(j);
	}
	return j->writer.segment;
}

static void test_segments(void)
{
	uint64_t n = converse(120, 200000, 1 << 30);

	T(n == 0, "one that fits is in one: %lu", (unsigned long)n);
	n = converse(120, 20000, 1 << 30);
	T(n >= 2 && n <= 6, "a larger one is repeated as it doubles, not with "
	    "each request: %lu", (unsigned long)n);
	n = converse(120, 20000, 100000);
	T(n > 6 && n < 100, "but no file takes more than half of all: %lu",
	    (unsigned long)n);
}

static void test_session_budget(void)
{
	struct session sess = { 0 };
	struct record r = { .mon = &mon, .sess = &sess, .ended = 1 };
	unsigned before = count_alerts("spend");

	mon.opt.spend_session = 10000000000000u;
	sess.cost = 7999999999999;
	alerts_response(&r);
	T_INT(count_alerts("spend"), before, "FN-55 below 80 %%");
	sess.cost = 8000000000000;
	alerts_response(&r);
	alerts_response(&r);
	T_INT(count_alerts("spend"), before + 1, "FN-55 80 %%, once");
	sess.cost = 10000000000000;
	alerts_response(&r);
	T_INT(count_alerts("spend"), before + 2, "FN-55 all of it");
	mon.opt.spend_session = 0;
}

int main(void)
{
	test_sessions();
	test_turns();
	test_notices();
	test_merge();
	test_recall();
	test_agents();
	test_side_calls();
	test_causes();
	test_other_causes();
	test_costs();
	test_alerts();
	test_session_budget();
	test_contents();
	test_long();
	test_segments();
	return t_done("recognise");
}
