/* bedrock_stream.c -- tests of Converse's answers (BR-70..BR-111): each rule's
 * events as a script, and the recorded streams in every division.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/bedrock_stream.c"
#include "../bedrock_stream.h"

static struct play p;
static char text[1 << 16];
static char scratch[1 << 22];

/* ' becomes ". */
static struct str quoted(const char *s)
{
	struct buf b = buf_on(text, sizeof text);

	for (; *s; s++)
		buf_chr(&b, *s == '\'' ? '"' : *s);
	return buf_str(&b);
}

struct row {
	const char *label, *script, *want;
};

#define TEXT(i, s) "D {'contentBlockIndex':" #i ",'delta':{'text':'" s "'}}\n"
#define THINK(i, m) "D {'contentBlockIndex':" #i \
	",'delta':{'reasoningContent':{" m "}}}\n"
#define TOOL(i, id, name) "B {'contentBlockIndex':" #i \
	",'start':{'toolUse':{'toolUseId':'" id "','name':'" name "'}}}\n"
#define INPUT(i, s) "D {'contentBlockIndex':" #i \
	",'delta':{'toolUse':{'input':'" s "'}}}\n"
#define STOP(i) "E {'contentBlockIndex':" #i "}\n"
#define END(reason) "X {'stopReason':'" reason "'}\n"
#define USAGE "M {'usage':{'inputTokens':3,'outputTokens':4,'totalTokens':7}}\n"
#define MARK "~p1.eyJ1IjoiYmVkcm9jayJ9"

static const struct row rows[] = {
	{ "BR-80 text has no start", "S {'role':'assistant'}\n"
	    TEXT(0, "Hel") TEXT(0, "lo") STOP(0) END("end_turn") USAGE,
	    "T{Hel|lo} end_turn 3/0/0/4." },
	{ "BR-81 BR-82 thinking, signature", THINK(0, "'text':'a'")
	    THINK(0, "'text':'b'") THINK(0, "'signature':'S=='") STOP(0)
	    TEXT(1, "c") STOP(1) END("end_turn") USAGE,
	    "R{a|b~S==} T{c} end_turn 3/0/0/4." },
	{ "BR-81 what is skipped", "D {'contentBlockIndex':0,'delta':"
	    "{'citation':{'title':'x'}}}\nD {'contentBlockIndex':0,'delta':"
	    "{'image':{'source':{}}}}\nD {'contentBlockIndex':0,'delta':"
	    "{'toolResult':[{'text':'x'}]}}\n" TEXT(0, "a") END("end_turn")
	    USAGE, "T{a} end_turn 3/0/0/4." },
	{ "BR-83 redacted in pieces", THINK(0, "'redactedContent':'QUJD'")
	    THINK(0, "'redactedContent':'RA=='") STOP(0) END("end_turn")
	    USAGE, "X{QUJDRA==} end_turn 3/0/0/4." },
	{ "BR-84 signature without text", THINK(0, "'signature':'S'") STOP(0)
	    END("end_turn") USAGE, "R{~S} end_turn 3/0/0/4." },
	{ "BR-84 signature in pieces", THINK(0, "'text':'a'")
	    THINK(0, "'signature':'S'") THINK(0, "'signature':'T'")
	    THINK(0, "'signature':''") STOP(0) END("end_turn") USAGE,
	    "R{a~ST} end_turn 3/0/0/4." },
	{ "BR-85 both at once", THINK(0, "'signature':'S','text':'a'")
	    END("end_turn") USAGE, "R{a~S} end_turn 3/0/0/4." },
	{ "BR-86 empty pieces", TEXT(0, "") THINK(0, "'text':''")
	    TEXT(0, "a") TEXT(0, "") END("end_turn") USAGE,
	    "T{a} end_turn 3/0/0/4." },
	{ "BR-70 blank text is no block", TEXT(0, "\\n") TEXT(0, " \\n")
	    STOP(0) TOOL(1, "t1", "f") STOP(1) END("tool_use") USAGE,
	    "C{t1 f {}} tool_use 3/0/0/4." },
	{ "BR-70 blanks in front are text", TEXT(0, "\\n") TEXT(0, " ")
	    TEXT(0, "a") TEXT(0, " ") TEXT(0, "\\n") STOP(0)
	    END("end_turn") USAGE, "T{\\n |a| |\\n} end_turn 3/0/0/4." },
	{ "AN 9 a character in two pieces", TEXT(0, "a\\ud83d")
	    TEXT(0, "\\ude80b") STOP(0) END("end_turn") USAGE,
	    "T{a|\\ud83d\\ude80|b} end_turn 3/0/0/4." },
	{ "AN 9 half a character", TEXT(0, "\\ud83d") TEXT(0, "b\\ud83d")
	    STOP(0) TOOL(1, "t1", "f") INPUT(1, "\\ud83d") INPUT(1, "\\uDE80")
	    END("tool_use") USAGE, "T{\\ufffd|b|\\ufffd} "
	    "C{t1 f \\ud83d\\uDE80} tool_use 3/0/0/4." },
	{ "BR-87 a tool without input", TOOL(0, "t1", "f") STOP(0)
	    TOOL(1, "t2", "f") INPUT(1, "") STOP(1) END("tool_use") USAGE,
	    "C{t1 f {}} C{t2 f {}} tool_use 3/0/0/4." },
	{ "BR-88 split anywhere", TOOL(0, "t1", "f") INPUT(0, "{\\'a\\\\")
	    INPUT(0, "u00e9\\':1}") STOP(0) END("tool_use") USAGE,
	    "C{t1 f {\\\"a\\\\|u00e9\\\":1}} tool_use 3/0/0/4." },
	{ "BR-89 sparse indexes, no stops", TEXT(0, "a") TEXT(2, "b")
	    TOOL(5, "t1", "f") INPUT(5, "{}") END("tool_use") USAGE,
	    "T{a} T{b} C{t1 f {}} tool_use 3/0/0/4." },
	{ "BR-89 repeated index", TEXT(0, "a") STOP(0) TEXT(0, "b") STOP(0)
	    END("end_turn") USAGE, "T{a} T{b} end_turn 3/0/0/4." },
	{ "BR-90 input without a start", TEXT(0, "a") STOP(0)
	    INPUT(1, "{}"), "T{a} !502 api_error upstream bedrock sent a "
	    "tool's input without its start" },
	{ "BR-91 Nova's own tools", "B {'contentBlockIndex':0,'start':"
	    "{'toolUse':{'toolUseId':'s','name':'nova_grounding','type':"
	    "'server_tool_use'}}}\n" INPUT(0, "{}") STOP(0)
	    "B {'contentBlockIndex':1,'start':{'toolResult':{'toolUseId':"
	    "'s'}}}\nD {'contentBlockIndex':1,'delta':{'toolResult':[]}}\n"
	    STOP(1) TEXT(2, "a") STOP(2) END("end_turn") USAGE,
	    "T{a} end_turn 3/0/0/4." },
	{ "BR-92 a call was made", TOOL(0, "t1", "f") STOP(0)
	    END("end_turn") USAGE, "C{t1 f {}} tool_use 3/0/0/4." },
	{ "BR-92 with a stop sequence", TOOL(0, "t1", "f") STOP(0)
	    END("stop_sequence") USAGE, "C{t1 f {}} tool_use 3/0/0/4." },
	{ "BR-92 but not when it was cut", TOOL(0, "t1", "f") STOP(0)
	    END("max_tokens") USAGE, "C{t1 f {}} max_tokens 3/0/0/4." },
	{ "BR-92 no call was made", TEXT(0, "a") END("tool_use") USAGE,
	    "T{a} end_turn 3/0/0/4." },
	{ "BR-93 without metadata", TEXT(0, "a") END("max_tokens"),
	    "T{a} max_tokens 0/0/0/0?." },
	{ "BR-93 metadata came early", USAGE TEXT(0, "a") END("end_turn"),
	    "T{a} end_turn 3/0/0/4." },
	{ "BR-94 nothing at all", "S {}\n" END("end_turn") USAGE,
	    "end_turn 3/0/0/4." },
	{ "BR-95 unknown things", "somethingNew {'x':1}\n"
	    "D {'contentBlockIndex':0,'delta':{'futureKind':{}}}\n"
	    "B {'contentBlockIndex':0,'start':{'futureKind':{}}}\n"
	    TEXT(0, "a") "X {'stopReason':'odd_reason','p':'abc'}\n" USAGE,
	    "T{a} other 3/0/0/4." },
	{ "BR-96 two ends", TEXT(0, "a") END("max_tokens") END("end_turn")
	    TEXT(1, "b") USAGE, "T{a} max_tokens 3/0/0/4." },
	{ "BR-98 null is absent", "D {'contentBlockIndex':0,'delta':{'text':"
	    "'a','toolUse':null,'reasoningContent':null},'p':'x'}\n"
	    "X {'stopReason':'end_turn','additionalModelResponseFields':"
	    "null}\nM {'usage':null}\n", "T{a} end_turn 0/0/0/0?." },
	{ "BR-99 names are mapped back", TOOL(0, "t1", "f_x_12345678")
	    END("tool_use") USAGE, "C{t1 f x {}} tool_use 3/0/0/4." },
	{ "BR-100 ids pass", TOOL(0, "a1B2c3D4e", "f") END("tool_use")
	    USAGE, "C{a1B2c3D4e f {}} tool_use 3/0/0/4." },
	{ "AN-17 an id is made", TOOL(0, "", "f") END("tool_use") USAGE,
	    "C{# f {}} tool_use 3/0/0/4." },
	{ "BR-101 kinds change in one index", THINK(0, "'text':'a'")
	    TEXT(0, "b") TOOL(0, "t1", "f") INPUT(0, "{}") STOP(0)
	    END("tool_use") USAGE,
	    "R{a" MARK "} T{b} C{t1 f {}} tool_use 3/0/0/4." },
	{ "BR-71 our mark", THINK(0, "'text':'a'") STOP(0) END("end_turn")
	    USAGE, "R{a" MARK "} end_turn 3/0/0/4." },
	{ "9. no index", "D {'delta':{'text':'a'}}\nD {'delta':{'text':"
	    "'b'}}\n" END("end_turn") USAGE, "T{a|b} end_turn 3/0/0/4." },
	{ "9. stop sequence", TEXT(0, "a") "X {'stopReason':'stop_sequence',"
	    "'additionalModelResponseFields':{'delta':{'stop_sequence':"
	    "'\\n\\nH'}}}\n" USAGE,
	    "T{a} stop_sequence=\\n\\nH 3/0/0/4." },
	{ "9. stop sequence, not known", TEXT(0, "a") END("stop_sequence")
	    USAGE, "T{a} stop_sequence 3/0/0/4." },
	{ "9. guardrail", TEXT(0, "a") END("guardrail_intervened") USAGE,
	    "T{a} refusal 3/0/0/4." },
	{ "9. filter", END("content_filtered") USAGE, "refusal 3/0/0/4." },
	{ "9. window", TEXT(0, "a") END("model_context_window_exceeded")
	    USAGE, "T{a} model_context_window_exceeded 3/0/0/4." },
	{ "16. malformed call", TOOL(0, "t1", "f") INPUT(0, "{") STOP(0)
	    END("malformed_tool_use") USAGE, "C{t1 f {} !500 api_error the "
	    "model's output was malformed" },
	{ "16. malformed output", END("malformed_model_output"),
	    "!500 api_error the model's output was malformed" },
	{ "9. the stream ends early", TEXT(0, "a"),
	    "T{a!502 api_error upstream bedrock ended its stream early" },
	{ "9. nothing came", "",
	    "!502 api_error upstream bedrock ended its stream early" },
	{ "not JSON", "D {'contentBlockIndex'\n",
	    "!502 api_error upstream bedrock sent what is not JSON" },
	{ "10. caches", END("end_turn") "M {'usage':{'inputTokens':3,"
	    "'outputTokens':4,'totalTokens':107,'cacheReadInputTokens':60,"
	    "'cacheWriteInputTokens':40,'cacheDetails':[{'ttl':'1h',"
	    "'inputTokens':30},{'ttl':'5m','inputTokens':10}]}}\n",
	    "end_turn 3/60/40/4+30." },
	{ "10. more than all of it", END("end_turn") "M {'usage':"
	    "{'inputTokens':3,'outputTokens':4,'cacheWriteInputTokens':40,"
	    "'cacheDetails':[{'ttl':'1h','inputTokens':90}]}}\n",
	    "end_turn 3/0/40/4+40." },
	{ "BR-111 input out of the total", END("end_turn") "M {'usage':"
	    "{'inputTokens':0,'outputTokens':4,'totalTokens':107,"
	    "'cacheReadInputTokens':60}}\n", "end_turn 43/60/0/4." },
	{ "BR-111 only then", END("end_turn") "M {'usage':{'inputTokens':1,"
	    "'outputTokens':4,'totalTokens':107}}\n", "end_turn 1/0/0/4." },
};

/* The client knows the tool as "f x". */
static void name_tool(void)
{
	p.name = (struct bedrock_name){ { S("f x") }, { S("f_x_12345678") },
	    NULL };
	p.st.names = &p.name;
}

static void test_scripts(void)
{
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		play_init(&p, FAMILY_OTHER);
		name_tool();
		T_STR(play_line(&p, play_script(&p, quoted(rows[i].script))),
		    str_of(rows[i].want), "%s", rows[i].label);
		T(!p.broken, "%s: %s", rows[i].label, p.broken);
	}
}

static void test_rest(void)
{
	static const char thoughts[] = THINK(0, "'text':'a'") TEXT(0, "b")
	    END("end_turn") USAGE;

	play_init(&p, FAMILY_DEEPSEEK);
	p.req.display = DISPLAY_OMITTED;
	T_STR(play_line(&p, play_script(&p, quoted(thoughts))),
	    S("R{" MARK "} T{b} end_turn 3/0/0/4."),
	    "AN 2.6 thinking omitted");

	play_init(&p, FAMILY_NOVA);
	play_script(&p, quoted(END("end_turn") "M {'usage':{'outputTokens':1},"
	    "'serviceTier':{'type':'priority'}}\n"));
	T_INT(p.st.usage.priority, 1, "10. the tier that served it");

	/* §16, AN 5.4: nothing commits before there is content. */
	play_init(&p, FAMILY_OTHER);
	T_INT(bedrock_converse_event(&p.c, &p.st, S("messageStart"),
	    S("{\"role\":\"assistant\"}")), OK, "start");
	T(!p.c.answer.started, "BR-97 an exception may still be a status");
	T_INT(bedrock_converse_event(&p.c, &p.st, S("messageStop"),
	    S("{\"stopReason\":\"end_turn\"}")), OK, "stop");
	T_INT(p.c.wait_ms, 5000, "BR-93 waits for metadata");
	T(!p.ended, "BR-93 FN-14 message_delta is held");
	p.c.answer.usage.input = 77;
	T_INT(bedrock_converse_end(&p.c, &p.st), CALL_DONE, "end");
	T_STR(buf_str(&p.line), S("end_turn 77/0/0/0?."),
	    "BR-110 the estimate, when nothing else is known");
	T_INT(bedrock_converse_event(&p.c, &p.st, S("metadata"), S("{}")),
	    CALL_DONE, "BR-96 after the end");
	T_INT(bedrock_converse_end(&p.c, &p.st), CALL_DONE, "BR-96");
	T(!p.broken, "BR-96 nothing more is said: %s", p.broken);
}

/* ---- whole answers ---- */

#define ANSWER(content, rest) "{'output':{'message':{'role':'assistant'," \
	"'content':[" content "]}}," rest "'usage':{'inputTokens':3," \
	"'outputTokens':4,'totalTokens':7},'metrics':{'latencyMs':1}}"
#define REASON(r) "'stopReason':'" r "',"

static const struct row answers[] = {
	{ "BR-70 text", ANSWER("{'text':'a\\nb'}", REASON("end_turn")),
	    "T{a\\nb} end_turn 3/0/0/4." },
	{ "BR-70 reasoning", ANSWER("{'reasoningContent':{'reasoningText':"
	    "{'text':'h','signature':'S'}}},{'reasoningContent':"
	    "{'redactedContent':'Zg=='}},{'text':'a'}", REASON("end_turn")),
	    "R{h~S} X{Zg==} T{a} end_turn 3/0/0/4." },
	{ "BR-71 unsigned", ANSWER("{'reasoningContent':{'reasoningText':"
	    "{'text':'h'}}}", REASON("end_turn")),
	    "R{h" MARK "} end_turn 3/0/0/4." },
	{ "BR-103 tools in one piece", ANSWER("{'text':'a'},{'toolUse':"
	    "{'toolUseId':'t1','name':'f_x_12345678','input':"
	    "{'a': 1.50,'b':'\\u00e9'}}},{'toolUse':{'toolUseId':'t2',"
	    "'name':'g','input':{}}}", REASON("tool_use")), "T{a} C{t1 f x "
	    "{\\\"a\\\":1.50,\\\"b\\\":\\\"\\\\u00e9\\\"}} C{t2 g {}} "
	    "tool_use 3/0/0/4." },
	{ "BR-70 citations", ANSWER("{'citationsContent':{'content':"
	    "[{'text':'a'},{'text':'b'}],'citations':[{}]}}",
	    REASON("end_turn")), "T{a|b} end_turn 3/0/0/4." },
	{ "BR-70 blank and unknown", ANSWER("{'text':' \\n'},{'image':{}},"
	    "{'text':'a'},{'future':1}", REASON("end_turn")),
	    "T{a} end_turn 3/0/0/4." },
	{ "BR-91 server tools", ANSWER("{'toolUse':{'toolUseId':'s','name':"
	    "'x','type':'server_tool_use','input':{'q':1}}},{'text':'a'}",
	    REASON("end_turn")), "T{a} end_turn 3/0/0/4." },
	{ "BR-94 nothing", ANSWER("", REASON("end_turn")),
	    "end_turn 3/0/0/4." },
	{ "BR-70 stop sequence", ANSWER("{'text':'a'}",
	    REASON("stop_sequence") "'additionalModelResponseFields':"
	    "{'stop_sequence':'Z'},"), "T{a} stop_sequence=Z 3/0/0/4." },
	{ "16. no message", "{'output':{},'stopReason':'end_turn'}",
	    "!502 api_error upstream bedrock sent an answer without a "
	    "message" },
	{ "not JSON", "<html>",
	    "!502 api_error upstream bedrock sent what is not JSON" },
	{ "16. malformed, before a word", ANSWER("{'text':'a'}",
	    REASON("malformed_tool_use")),
	    "!500 api_error the model's output was malformed" },
};

static void test_answers(void)
{
	size_t i;
	int r;

	for (i = 0; i < COUNT(answers); i++) {
		play_init(&p, FAMILY_LLAMA);
		name_tool();
		r = bedrock_converse_answer(&p.c, &p.st,
		    quoted(answers[i].script));
		T(r == CALL_DONE || r == E_FAULT, "%s: an end",
		    answers[i].label);
		T_STR(play_line(&p, r), str_of(answers[i].want), "%s",
		    answers[i].label);
		T(!p.broken, "%s: %s", answers[i].label, p.broken);
	}
}

/* ---- recorded streams ---- */

/* Whether each member that is wanted is there, equal. */
static int covers(struct jv got, struct jv want)
{
	struct json_iter it = json_iter(want);
	char room[4096];
	struct buf b = buf_on(room, sizeof room);

	if (json_type(want) == JSON_OBJECT) {
		while (json_next(&it)) {
			b.n = 0;
			json_unescape(&b, it.key);
			/* Those that the proxy makes, and an estimate. */
			if (json_is(it.value, S("$ID")) ||
			    json_is(it.value, S("$MODEL")))
				continue;
			if (!covers(json_get(got, buf_str(&b)), it.value) &&
			    !str_eq(buf_str(&b), S("cache_creation")))
				return 0;
		}
		return 1;
	}
	if (json_type(want) == JSON_STRING) {
		json_unescape(&b, json_str(want));
		return json_is(got, buf_str(&b));
	}
	return str_eq(json_raw(got), json_raw(want));
}

static struct {
	struct sink sink;
	struct buf b;
	char room[1 << 16];
} seen;

static void note_event(struct sink *s, const struct event *e)
{
	(void)s;
	event_write(&seen.b, e, S("req_1"), 0);
	play_sink(&p.sink, e);
}

/* Feeds a stream in pieces of step bytes (0: whole; -1: random) and leaves
 * what the client gets in seen.b, then how it ended. Exceptions are named, as
 * others read them. */
static void feed(struct str all, int step)
{
	static uint32_t x = 20261125;
	struct eventstream d;
	struct eventstream_message m;
	struct str in, name, words;
	size_t have = 0, done = 0, n;
	int r = OK;

	play_init(&p, FAMILY_CLAUDE);
	seen.sink.event = note_event;
	seen.b = buf_on(seen.room, sizeof seen.room);
	p.c.answer.sink = &seen.sink;
	eventstream_init(&d, 0);
	while (r == OK && have < all.n) {
		x = x * 1664525 + 1013904223;
		n = step > 0 ? (size_t)step : step < 0 ? 1 + (x >> 16) % 90 :
		    all.n;
		have = all.n - have < n ? all.n : have + n;
		in = (struct str){ all.p + done, have - done };
		while (r == OK && eventstream_next(&d, &in, &m) == OK) {
			if (eventstream_kind(&m, &name, &words) ==
			    EVENTSTREAM_EVENT) {
				r = bedrock_converse_event(&p.c, &p.st, name,
				    m.payload);
				continue;
			}
			buf_put(&seen.b, S("exception "));
			buf_put(&seen.b, name);
			r = E_FAULT;
		}
		done = have - in.n;
	}
	if (r == OK && eventstream_end(&d, str_from(all, done)) == OK)
		r = bedrock_converse_end(&p.c, &p.st);
	T(r == CALL_DONE || r == E_FAULT, "an end, not %d", r);
	T(!p.broken, "%s", p.broken);
}

static void compare(struct str name, struct jv want)
{
	struct arena a = { scratch + sizeof scratch / 2,
	    scratch + sizeof scratch };
	struct str rest = buf_str(&seen.b), line;
	struct json_iter it = json_iter(want);
	struct json doc;
	size_t n = 0;

	while (str_cut(&rest, '\n', &line)) {
		if (!str_starts(line, S("data: ")))
			continue;
		if (!T(json_next(&it) && json_parse(&doc, str_from(line, 6),
		    &a, NULL) == OK, "%.*s: one event too many: %.*s",
		    (int)name.n, name.p, (int)line.n, line.p))
			return;
		n++;
		T(covers(json_root(&doc), it.value), "%.*s: event %zu: %.*s",
		    (int)name.n, name.p, n, (int)line.n, line.p);
	}
	/* Exceptions are translated elsewhere; message_start, where nothing
	 * but it came before one, waits (AN 5.4). */
	while (json_next(&it))
		T(json_is(json_get(it.value, S("type")), S("error")) ||
		    (n == 0 && json_is(json_get(it.value, S("type")),
		    S("message_start"))), "%.*s: an event lacks: %.*s",
		    (int)name.n, name.p, (int)json_raw(it.value).n,
		    json_raw(it.value).p);
}

static void test_vectors(void)
{
	struct arena a = { scratch, scratch + sizeof scratch / 2 };
	struct str list = t_file("tests/data/eventstream.json"), name, all;
	struct json doc;
	struct json_iter it;
	char path[256], first[sizeof seen.room];
	size_t n, cases = 0;
	int step;

	if (!T(json_parse(&doc, list, &a, NULL) == OK, "the list is JSON"))
		return;
	it = json_iter(json_get(json_root(&doc), S("cases")));
	while (json_next(&it)) {
		name = json_str(json_get(it.value, S("name"))).raw;
		if (!str_starts(name, S("converse_")))
			continue;
		snprintf(path, sizeof path, "tests/data/eventstream/%.*s.bin",
		    (int)name.n, name.p);
		all = t_file(path);
		if (!T(all.p != NULL, "%s", path))
			continue;
		cases++;
		feed(all, 0);
		compare(name, json_get(it.value, S("anthropic_events")));
		n = seen.b.n;
		memcpy(first, seen.room, n);
		for (step = -40; step <= 40; step++) {
			feed(all, step < 0 ? -1 : step);
			T_STR(buf_str(&seen.b), ((struct str){ first, n }),
			    "%.*s in pieces of %d", (int)name.n, name.p,
			    step);
		}
	}
	T_INT(cases, 11, "recorded streams of Converse");
}

/* ---- no room ---- */

#define SIXTY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789ab"
#define LONG SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY SIXTY

static void test_full(void)
{
	static const char script[] = THINK(0, "'text':'a'")
	    THINK(0, "'signature':'SSSSSSSSSSSS'")
	    THINK(0, "'signature':'TTTTTTTTTTTT'") STOP(0)
	    TOOL(1, "t1", "f") INPUT(1, "{}") STOP(1)
	    "X {'stopReason':'stop_sequence','additionalModelResponseFields':"
	    "{'stop_sequence':'Z'}}\n" USAGE;
	static const char answer[] = ANSWER("{'text':'a'},{'toolUse':"
	    "{'toolUseId':'t1','name':'f','input':{'a':[1,2,3]}}}",
	    REASON("tool_use"));
	size_t room;
	int r, full = 0;

	for (room = 0; room < 4096; room += 1) {
		play_init(&p, FAMILY_CLAUDE);
		p.a.end = p.memory + room;
		r = play_script(&p, quoted(script));
		T(r == CALL_DONE || r == E_FULL, "%zu bytes: %d", room, r);
		T(!p.broken, "%zu bytes: %s", room, p.broken);
		full += r == E_FULL;
		play_init(&p, FAMILY_CLAUDE);
		p.a.end = p.memory + room;
		r = bedrock_converse_answer(&p.c, &p.st, quoted(answer));
		T(r == CALL_DONE || r == E_FULL, "%zu bytes: %d", room, r);
		T(!p.broken, "%zu bytes: %s", room, p.broken);
	}
	T(full > 100 && full < 4000, "full for %d sizes", full);

	/* What is kept comes near the tokens of the answer and stays off. */
	for (room = 2000; room < 12000; room += 32) {
		play_init(&p, FAMILY_CLAUDE);
		p.a.end = p.memory + room;
		r = bedrock_converse_answer(&p.c, &p.st, quoted(ANSWER(
		    "{'reasoningContent':{'reasoningText':{'text':'h',"
		    "'signature':'" LONG LONG LONG "'}}},"
		    "{'reasoningContent':{'redactedContent':'" LONG LONG "'}},"
		    "{'toolUse':{'toolUseId':'t1','name':'f','input':{'a':'"
		    LONG "'}}},{'text':'z'}", REASON("tool_use"))));
		if (r == CALL_DONE)
			T_STR(play_line(&p, r), S("R{h~" LONG LONG LONG
			    "} X{" LONG LONG "} C{t1 f {\\\"a\\\":\\\"" LONG
			    "\\\"}} T{z} tool_use 3/0/0/4."),
			    "%zu bytes: all of it", room);
		else
			T_INT(r, E_FULL, "%zu bytes", room);
		T(!p.broken, "%zu bytes: %s", room, p.broken);
	}

	/* Something else takes from the arena between two pieces. */
	play_init(&p, FAMILY_CLAUDE);
	bedrock_converse_event(&p.c, &p.st, S("contentBlockDelta"),
	    quoted("{'delta':{'reasoningContent':{'signature':'one'}}}"));
	arena_get(&p.a, 16);
	bedrock_converse_event(&p.c, &p.st, S("contentBlockDelta"),
	    quoted("{'delta':{'reasoningContent':{'signature':'two'}}}"));
	r = play_script(&p, quoted(END("end_turn") USAGE));
	T_STR(play_line(&p, r), S("R{~onetwo} end_turn 3/0/0/4."),
	    "BR-84 pieces that don't lie side by side");
}

int main(void)
{
	test_scripts();
	test_rest();
	test_answers();
	test_vectors();
	test_full();
	return t_done("bedrock_stream");
}
