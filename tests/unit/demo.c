/* demo.c -- tests of the demo backend: it says what it is, calls what only
 * reads, keeps the protocol.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/demo.c"
#include "../../src/backend/demo_script.c"

static struct {
	struct sink sink;
	char memory[262144], sse[262144], message[262144];
	struct buf stream, whole;
	struct fold fold;
	struct json doc;
	struct request req;
	struct notes notes;
	struct ids ids;
	struct fault fault;
	struct demo state;
	struct upstream up;
	struct call c;
	struct usage usage;
	enum stop_reason stop;
	unsigned waits, events, texts;
} w;

static void take(struct sink *s, const struct event *e)
{
	(void)s;
	w.events++;
	w.texts += e->type == EV_TEXT;
	if (e->type == EV_MESSAGE_DELTA) {
		w.usage = e->usage;
		w.stop = e->stop;
	}
	event_write(&w.stream, e, S("req_1"), 0);
	fold_event(&w.fold, e);
}

/* The answer to a body, as the one Message; p NULL if there is none. */
static struct str answer(const char *text)
{
	struct arena a = { w.memory, w.memory + sizeof w.memory };
	struct str none = { NULL, 0 };
	int r, turns = 0;

	memset(&w.state, 0, sizeof w.state);
	w.sink.event = take;
	w.stream = buf_on(w.sse, sizeof w.sse);
	w.whole = buf_on(w.message, sizeof w.message);
	fold_init(&w.fold, &w.whole, 0);
	w.waits = w.events = w.texts = 0;
	w.notes.n = 0;
	w.up.backend = &backend_demo;
	if (!T(json_parse(&w.doc, str_of(text), &a, NULL) == OK, "%s", text) ||
	    !T(request_parse(&w.req, &w.doc, 0, &a, &w.notes, &w.fault) == OK,
	    "%s: %.*s", text, (int)w.fault.n, w.fault.text))
		return none;
	w.c = (struct call){ .req = &w.req, .up = &w.up, .a = &a,
		.ids = &w.ids, .notes = &w.notes, .state = &w.state };
	w.c.answer.sink = &w.sink;
	w.c.answer.id = S("msg_1");
	w.c.answer.model = w.req.model;
	r = backend_demo.encode(&w.c);
	while (r == OK && turns++ < 5000) {
		r = backend_demo.decode(&w.c, &none, 0, 1);
		w.waits += r == OK && w.c.wait_ms > 0;
	}
	T_INT(r, CALL_DONE, "it ends: %s", text);
	T_INT(json_check(buf_str(&w.whole), NULL, NULL), OK,
	    "valid JSON for %s: %.*s", text, (int)w.whole.n, w.whole.p);
	return buf_str(&w.whole);
}

static int says(struct str message, const char *what)
{
	return str_find(message, str_of(what)) < message.n;
}

#define SAYS(message, what) T(says((message), (what)), "%s in %.*s", (what), \
	(int)(message).n, (message).p)

#define USER(text) "\"messages\":[{\"role\":\"user\",\"content\":\"" text "\"}]"
#define READ "{\"name\":\"Read\",\"input_schema\":{\"type\":\"object\"," \
	"\"properties\":{\"file_path\":{\"type\":\"string\"},\"limit\":" \
	"{\"type\":\"integer\"}},\"required\":[\"file_path\"]}}"
#define LS "{\"name\":\"LS\",\"input_schema\":{\"type\":\"object\"," \
	"\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]}}"
#define WRITE "{\"name\":\"Write\",\"input_schema\":{\"type\":\"object\"," \
	"\"properties\":{\"file_path\":{\"type\":\"string\"}}}}"

static void test_text(void)
{
	struct str m = answer("{\"model\":\"m\",\"max_tokens\":9999,\"stream\":true,"
	    USER("Good \\\"morning\\\"") "}");

	SAYS(m, "I am the demo model inside claudecodex");
	SAYS(m, "no key, no network");
	SAYS(m, "OPENAI_MODEL");
	SAYS(m, "Good \\\"morning\\\"");
	SAYS(m, "\"stop_reason\":\"end_turn\"");
	SAYS(m, "\"model\":\"m\"");
	T(!says(m, "\"type\":\"thinking\""), "no thinking unasked");
	T(w.texts > 20 && w.waits > 20, "word by word, with a pause each");
	T(w.usage.output > 50 && w.usage.input > 5, "usage is estimated");
	m = answer("{\"model\":\"m\",\"max_tokens\":9999," USER("hi") "}");
	T_INT(w.waits, 0, "no pause without a stream");
	T(says(m, "demo model"), "the same without a stream");
}

static void test_thinking(void)
{
	struct str m = answer("{\"model\":\"m\",\"max_tokens\":9999,\"thinking\":"
	    "{\"type\":\"adaptive\"}," USER("hi") "}");
	size_t at;

	SAYS(m, "{\"type\":\"thinking\",\"thinking\":\"There is no model");
	SAYS(m, "\"signature\":\"p1.");
	T(w.usage.thinking > 0, "thinking is counted");
	at = str_find(buf_str(&w.stream), S("signature_delta"));
	T(at < w.stream.n, "FN-22 a signature before the text");
	m = answer("{\"model\":\"m\",\"max_tokens\":9999,\"thinking\":{\"type\":"
	    "\"adaptive\",\"display\":\"omitted\"}," USER("hi") "}");
	T(!says(m, "\"type\":\"thinking\""), "none where it is omitted");
	m = answer("{\"model\":\"m\",\"max_tokens\":5,\"thinking\":{\"type\":"
	    "\"adaptive\"}," USER("hi") "}");
	SAYS(m, "\"signature\":\"p1.");
	SAYS(m, "\"stop_reason\":\"max_tokens\"");
}

static void test_limits(void)
{
	struct str m = answer("{\"model\":\"m\",\"max_tokens\":5,"
	    USER("hi") "}");

	SAYS(m, "\"stop_reason\":\"max_tokens\"");
	T(w.usage.output <= 5 && w.usage.output > 0, "max_tokens is kept");
	m = answer("{\"model\":\"m\",\"max_tokens\":0," USER("hi") "}");
	SAYS(m, "\"content\":[],\"stop_reason\":\"max_tokens\"");
	T_INT(w.usage.output, 0, "AN-20 nothing is generated");
	m = answer("{\"model\":\"m\",\"max_tokens\":99,\"stop_sequences\":"
	    "[\"zzz\",\"network\",\" d\\u0065mo\"]," USER("hi") "}");
	SAYS(m, "\"text\":\"I am the\"");
	SAYS(m, "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":"
	    "\" d\\u0065mo\"");
	m = answer("{\"model\":\"m\",\"max_tokens\":99,\"stop_sequences\":"
	    "[\"I am\"]," USER("hi") "}");
	SAYS(m, "\"content\":[],\"stop_reason\":\"stop_sequence\"");
}

static void test_calls(void)
{
	struct str m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":["
	    WRITE "," READ "]," USER("Please read src/main.c.") "}");
	struct str first;

	SAYS(m, "\"type\":\"tool_use\",\"id\":\"toolu_");
	SAYS(m, "\"name\":\"Read\"");
	SAYS(m, "\"input\":{\"file_path\":\"src/main.c\"}");
	SAYS(m, "\"stop_reason\":\"tool_use\"");
	T(says(buf_str(&w.stream), "\"partial_json\":\"{\\\"file_path"),
	    "arguments come in pieces");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" WRITE "],"
	    USER("Please read and write src/main.c") "}");
	T(!says(m, "\"type\":\"tool_use\""), "a tool that writes is never called");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" READ "],"
	    USER("What is love?") "}");
	T(!says(m, "\"type\":\"tool_use\""), "nor one that wasn't asked for");
	SAYS(m, "ask me to read");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" READ "," LS "],"
	    USER("list the files and read a.txt, both in parallel") "}");
	first = str_from(m, str_find(m, S("\"type\":\"tool_use\"")) + 8);
	SAYS(m, "\"name\":\"Read\"");
	SAYS(m, "\"name\":\"LS\"");
	SAYS(first, "\"type\":\"tool_use\"");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" READ "],"
	    USER("read one.txt and two.txt in parallel") "}");
	SAYS(m, "{\"file_path\":\"one.txt\"}");
	SAYS(m, "{\"file_path\":\"two.txt\"}");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" READ "],"
	    "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true},"
	    USER("read one.txt and two.txt in parallel") "}");
	T(!says(m, "two.txt\"}"), "one call where only one is allowed");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" READ "],"
	    "\"system\":\"x\\nPrimary working directory: /home/u\\nmore\","
	    USER("read a.txt") "}");
	SAYS(m, "{\"file_path\":\"/home/u/a.txt\"}");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" READ "],"
	    "\"tool_choice\":{\"type\":\"none\"}," USER("read a.txt") "}");
	T(!says(m, "\"type\":\"tool_use\""), "tool_choice none");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" WRITE "," READ
	    "],\"tool_choice\":{\"type\":\"tool\",\"name\":\"Write\"},"
	    USER("hello") "}");
	SAYS(m, "\"name\":\"Write\",\"caller\":{\"type\":\"direct\"},\"input\":{}");
	/* Claude Code: reminders before, system turns behind the prompt. */
	m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":[" READ "],"
	    "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"<system-reminder>list</system-reminder>\"},{\"type\":"
	    "\"text\",\"text\":\"read x.txt\"}]},{\"role\":\"system\","
	    "\"content\":\"Primary working directory: /w\\n\"}]}");
	SAYS(m, "{\"file_path\":\"/w/x.txt\"}");
}

static void test_results(void)
{
	struct str m = answer("{\"model\":\"m\",\"max_tokens\":999,\"tools\":["
	    READ "],\"messages\":[{\"role\":\"user\",\"content\":\"read a\"},"
	    "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":"
	    "\"t\",\"name\":\"Read\",\"input\":{}}]},{\"role\":\"user\","
	    "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\","
	    "\"content\":\"first \\u00e9 line\\nsecond\"}]}]}");

	SAYS(m, "The tool answered with about 25 bytes. It begins: "
	    "first \xc3\xa9 line\\n");
	SAYS(m, "\"stop_reason\":\"end_turn\"");
	m = answer("{\"model\":\"m\",\"max_tokens\":999,"
	    "\"messages\":[{\"role\":\"user\","
	    "\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t\","
	    "\"is_error\":true}]}]}");
	SAYS(m, "The tool failed with about 0 bytes");
}

static void test_side_jobs(void)
{
	struct str m = answer("{\"model\":\"m\",\"max_tokens\":1,"
	    USER("quota") "}");

	SAYS(m, "\"text\":\"ok\"");
	SAYS(m, "end_turn");
	m = answer("{\"model\":\"m\",\"max_tokens\":99,\"system\":"
	    "\"Write a title for this.\"," USER("hi") "}");
	SAYS(m, "\"text\":\"Demo conversation\"");
	m = answer("{\"model\":\"m\",\"max_tokens\":99,\"output_config\":{\"format\":"
	    "{\"type\":\"json_schema\",\"schema\":{\"type\":\"object\","
	    "\"properties\":{\"title\":{\"type\":\"string\"},\"n\":{\"type\":"
	    "\"integer\",\"minimum\":3}},\"required\":[\"title\",\"n\"]}}},"
	    USER("hi") "}");
	SAYS(m, "{\\\"title\\\":\\\"Demo conversation\\\",\\\"n\\\":3}");
	m = answer("{\"model\":\"m\",\"max_tokens\":99,"
	    USER("Summarize this please: all of it") "}");
	SAYS(m, "a conversation of 1 message");
}

static struct str filled(const char *schema)
{
	static char room[65536], memory[65536];
	struct arena a = { memory, memory + sizeof memory };
	struct buf b = buf_on(room, sizeof room);
	static struct json doc;

	if (!T(json_parse(&doc, str_of(schema), &a, NULL) == OK, "%s", schema))
		return S("");
	demo_fill(&b, json_root(&doc), S("/p"), S("the prompt"));
	T_INT(json_check(buf_str(&b), NULL, NULL), OK, "valid for %s", schema);
	return buf_str(&b);
}

#define NEST(x) "{\"properties\":{\"a\":" x "},\"required\":[\"a\"]}"

static void test_fill(void)
{
	T_STR(filled("{}"), S("\"the prompt\""), "an empty schema");
	T_STR(filled("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":"
	    "\"string\",\"enum\":[\"x\",\"y\"]},\"b\":{\"const\":[1, 2]},\"c\":{"
	    "\"type\":[\"boolean\",\"null\"]},\"d\":{\"type\":\"array\"},\"e\":{"
	    "\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"number\"}},"
	    "\"f\":{\"type\":\"object\"},\"g\":{\"type\":\"array\",\"minItems\":1,"
	    "\"items\":{\"type\":\"object\",\"properties\":{\"path\":{}},"
	    "\"required\":[\"path\"]}}},\"required\":[\"a\",\"b\",\"c\",\"d\","
	    "\"e\",\"f\",\"g\",\"h\"]}"),
	    S("{\"a\":\"x\",\"b\":[1,2],\"c\":false,\"d\":[],\"e\":[1],\"f\":{},"
	    "\"g\":[{\"path\":\"/p\"}],\"h\":\"the prompt\"}"), "every type");
	T_STR(filled(NEST(NEST(NEST(NEST(NEST(NEST(NEST(NEST(NEST(NEST("{}")))))
	    )))))), S("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}"),
	    "deep ones end in {}");
	T_STR(filled("{\"required\":{\"a\":1},\"properties\":{\"a\":{}}}"),
	    S("{}"), "a broken schema");
}

static void test_names(void)
{
	static const char *const good[] = { "Read", "LS", "Glob", "Grep",
		"read_file", "mcp__files__list_dir", "get_weather",
		"NotebookRead", "searchDocs" };
	static const char *const bad[] = { "Write", "Bash", "spreadsheet",
		"WebSearch", "ToolSearch", "set_list", "thread", "TodoRead" };
	static struct json doc;
	char memory[512];
	struct arena a = { memory, memory + sizeof memory };
	struct tool t = { .kind = TOOL_CLIENT };
	size_t i;

	T_INT(json_parse(&doc, S("{}"), &a, NULL), OK, "a schema");
	t.schema = json_root(&doc);
	for (i = 0; i < COUNT(good); i++) {
		t.name.raw = str_of(good[i]);
		T(reads(&t), "%s reads", good[i]);
	}
	for (i = 0; i < COUNT(bad); i++) {
		t.name.raw = str_of(bad[i]);
		T(!reads(&t), "%s may do more", bad[i]);
	}
	t.name.raw = S("Read");
	t.defer_loading = 1;
	T(!reads(&t), "not loaded");
}

int main(void)
{
	test_text();
	test_thinking();
	test_limits();
	test_calls();
	test_results();
	test_side_jobs();
	test_fill();
	test_names();
	return t_done("demo");
}
