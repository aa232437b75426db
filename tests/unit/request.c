/* request.c -- tests of core/request.c: what is read, what is refused and where,
 * what is merely noted.
 *
 * SPDX-License-Identifier: MIT */
#include <time.h>

#include "t.h"

#include "../../src/core/request.c"

static char memory[1 << 20];
static struct arena a;
static struct json doc;
static struct request r;
static struct notes notes;
static struct fault f;

static int parse_as(const char *text, int count)
{
	a = (struct arena){ memory, memory + sizeof memory };
	notes.n = 0;
	f.n = 0;
	if (!T(json_parse(&doc, str_of(text), &a, NULL) == OK, "%s", text))
		return E_BAD;
	return request_parse(&r, &doc, count, &a, &notes, &f);
}

static void good(const char *text)
{
	T(parse_as(text, 0) == OK, "accepted: %s (%.*s)", text, (int)f.n, f.text);
}

static void refused(const char *text, const char *why)
{
	T_INT(parse_as(text, 0), E_FAULT, "refused: %s", text);
	T_STR(fault_text(&f), str_of(why), "AN-10 %s", text);
	T_INT(f.status, 400, "AN-10 status");
}

#define M(messages) "{\"model\":\"m\",\"max_tokens\":9,\"messages\":" messages "}"
#define U(content) M("[{\"role\":\"user\",\"content\":" content "}]")
#define WITH(more) "{\"model\":\"m\",\"max_tokens\":9,\"messages\":" \
	"[{\"role\":\"user\",\"content\":\"x\"}]," more "}"

static void test_refusals(void)
{
	refused("[]", "the body must be a JSON object");
	refused("{}", "model: Field required");
	refused("{\"model\":3}", "model: Input should be a string that is not "
	    "empty");
	refused("{\"model\":\"m\"}", "max_tokens: Field required");
	refused("{\"model\":\"m\",\"max_tokens\":\"9\"}",
	    "max_tokens: Input should be a whole number");
	refused("{\"model\":\"m\",\"max_tokens\":1.5}",
	    "max_tokens: Input should be a whole number");
	refused("{\"model\":\"m\",\"max_tokens\":-1}",
	    "max_tokens: Input should be greater than or equal to 0");
	refused("{\"model\":\"m\",\"max_tokens\":1}", "messages: Field required");
	refused(M("{}"), "messages: Input should be a list");
	refused(M("[]"), "messages: at least one message is required");
	refused(M("[1]"), "messages.0: Input should be an object");
	refused(M("[{\"content\":\"x\"}]"), "messages.0.role: Field required");
	refused(M("[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"tool\","
	    "\"content\":\"x\"}]"), "messages.1.role: Input should be user, "
	    "assistant or system, not \"tool\"");
	refused(M("[{\"role\":\"user\"}]"), "messages.0.content: Field required");
	refused(U("7"), "messages.0.content: Input should be a string or a list");
	refused(U("[\"x\"]"), "messages.0.content.0: Input should be an object");
	refused(U("[{\"text\":\"x\"}]"),
	    "messages.0.content.0.type: Field required");
	refused(U("[{\"type\":7}]"),
	    "messages.0.content.0.type: Input should be a string");
	refused(U("[{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"text\"}]"),
	    "messages.0.content.1.text: Field required");
	refused(M("[{\"role\":\"user\",\"content\":\" \"},{\"role\":\"user\","
	    "\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"x\"},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"}]}]"),
	    "messages.3.content.0.tool_use_id: Field required");
	refused(U("[{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":"
	    "[{\"type\":\"text\",\"text\":\"x\"},{\"text\":\"y\"}]}]"),
	    "messages.0.content.0.content.1.type: Field required");
	refused(U("[{\"type\":\"tool_use\",\"id\":\"\",\"name\":\"n\"}]"),
	    "messages.0.content.0.id: must not be empty");
	refused(U("[{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"n\","
	    "\"input\":\"{}\"}]"),
	    "messages.0.content.0.input: Input should be an object");
	refused(U("[{\"type\":\"image\"}]"),
	    "messages.0.content.0.source: Field required");
	refused(U("[{\"type\":\"image\",\"source\":{\"type\":\"base64\"}}]"),
	    "messages.0.content.0.source.data: Field required");
	refused(WITH("\"system\":5"), "system: Input should be a string or a list");
	refused(WITH("\"system\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":"
	    "\"text\"}]"), "system.1.text: Field required");
	refused(WITH("\"tools\":{}"), "tools: Input should be a list");
	refused(WITH("\"tools\":[{\"name\":\"n\"},{}]"),
	    "tools.1.name: Field required");
	refused(WITH("\"tools\":[{\"name\":\"n\",\"input_schema\":[]}]"),
	    "tools.0.input_schema: Input should be an object");
	refused(WITH("\"tool_choice\":\"auto\""),
	    "tool_choice: Input should be an object");
	refused(WITH("\"tool_choice\":{\"type\":\"required\"}"),
	    "tool_choice.type: Input should be auto, any, tool or none, not "
	    "\"required\"");
	refused(WITH("\"tool_choice\":{\"type\":\"tool\"}"),
	    "tool_choice.name: Field required");
	refused(WITH("\"stop_sequences\":[\"a\",1]"),
	    "stop_sequences.1: Input should be a string");
	refused(WITH("\"temperature\":\"hot\""),
	    "temperature: Input should be a number");
	refused(WITH("\"stream\":1"), "stream: Input should be true or false");
	refused(WITH("\"thinking\":{}"), "thinking.type: Field required");
	/* Quoted, cut at a whole character. */
	refused(M("[{\"role\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "\xc3\xa9\",\"content\":\"x\"}]"), "messages.0.role: Input should be "
	    "user, assistant or system, not \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaa\"");
}

static void test_count(void)
{
	T_INT(parse_as("{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
	    "\"content\":\"x\"}]}", 1), OK, "AN 7: max_tokens is optional");
	T_INT(r.max_tokens, -1, "AN 7: absent");
	T_INT(parse_as(U("\"x\""), 1), OK, "AN 7: and tolerated");
}

static void test_scalars(void)
{
	good("{\"model\":\"a\",\"model\":\"claude[1m]\",\"max_tokens\":1e3,"
	    "\"stream\":true,\"temperature\":0.70,\"top_p\":1,\"top_k\":5,"
	    "\"stop_sequences\":[\"a\",\"\",\"b\\n\"],\"metadata\":{\"user_id\":"
	    "\"u\"},\"service_tier\":\"standard_only\",\"cache_control\":{"
	    "\"type\":\"ephemeral\",\"ttl\":\"1h\"},\"context_management\":{},"
	    "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":31999,"
	    "\"display\":\"updates\"},\"output_config\":{\"effort\":\"xhigh\","
	    "\"format\":{\"type\":\"json_schema\",\"schema\":{}}},"
	    "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"hologram\":1,"
	    "\"container\":\"c\",\"speed\":\"fast\"}");
	T_STR(r.model.raw, S("claude[1m]"), "the last of two wins");
	T_STR(json_raw(r.model_json), S("\"claude[1m]\""), "to be spliced");
	T_INT(r.max_tokens, 1000, "1e3 is whole");
	T_INT(r.stream, 1, "stream");
	T_STR(r.temperature, S("0.70"), "numbers stay text");
	T_STR(r.top_k, S("5"), "top_k");
	T_INT(r.nstops, 2, "an empty stop sequence is none");
	T_STR(r.stops[1].raw, S("b\\n"), "still escaped");
	T_STR(r.user_id.raw, S("u"), "user_id");
	T_INT(r.standard_only, 1, "service_tier");
	T_INT(r.cache, CACHE_1H, "automatic cache mark");
	T_INT(r.wants_edits, 1, "context_management");
	T_INT(r.thinking, THINKING_ENABLED, "thinking");
	T_INT(r.thinking_budget, 31999, "budget");
	T_INT(r.display, DISPLAY_UPDATES, "display");
	T_INT(r.effort, EFFORT_XHIGH, "effort");
	T(r.format.doc != NULL, "format");
	T_INT(notes.n, 2, "AN-9 notes");
	T_STR(notes.v[0].field, S("hologram"), "AN-9 an unknown field");
	T_STR(notes.v[1].field, S("container"), "AN 2 container");

	good(WITH("\"output_format\":{\"type\":\"json_schema\"},\"thinking\":{"
	    "\"type\":\"adaptive\"},\"tools\":null,\"system\":null,"
	    "\"tool_choice\":null,\"stop_sequences\":null,\"temperature\":null,"
	    "\"stream\":null,\"context_management\":null,\"output_config\":null,"
	    "\"metadata\":{\"user_id\":null}"));
	T(r.format.doc != NULL, "AN 2 output_format, the older spelling");
	T_INT(r.wants_edits, 0, "null is absent");
	T_INT(r.thinking, THINKING_ADAPTIVE, "adaptive");
	T_INT(r.display, DISPLAY_SUMMARIZED, "default display");
	good(WITH("\"thinking\":{\"type\":\"dreaming\"},\"output_config\":{"
	    "\"effort\":\"heroic\"}"));
	T_INT(r.thinking, THINKING_ADAPTIVE, "a kind of the future");
	T_INT(r.effort, EFFORT_UNSET, "a level of the future");
	T_INT(notes.n, 2, "both are noted");
}

static void test_blocks(void)
{
	struct block *b;

	good(U("[{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":"
	    "\"ephemeral\"}},"
	    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
	    "\"image/png\",\"data\":\"AA==\"}},"
	    "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"http://x\"}},"
	    "{\"type\":\"document\",\"title\":\"t\",\"context\":\"c\",\"source\":{"
	    "\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"d\"}]}},"
	    "{\"type\":\"document\",\"source\":{\"type\":\"file\",\"file_id\":"
	    "\"f\"}},"
	    "{\"type\":\"search_result\",\"source\":\"s\",\"title\":\"t\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"e\"}]},"
	    "{\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"g\"},"
	    "{\"type\":\"redacted_thinking\",\"data\":\"r\"},"
	    "{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"n\",\"input\":{\"a\" : 1}"
	    "},"
	    "{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"n\",\"input\":null},"
	    "{\"type\":\"server_tool_use\",\"id\":\"i\",\"name\":\"n\"},"
	    "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"w\","
	    "\"content\":[]},"
	    "{\"type\":\"mcp_tool_use\",\"id\":\"m\",\"name\":\"n\"},"
	    "{\"type\":\"container_upload\",\"file_id\":\"f\"},"
	    "{\"type\":\"compaction\",\"content\":\"s\"},"
	    "{\"type\":\"fallback\"},{\"type\":\"tool_addition\"},"
	    "{\"type\":\"tool_removal\"},{\"type\":\"hologram\"}]"));
	if (!T_INT(r.messages[0].n, 19, "every block of AN 2.2"))
		return;
	b = r.messages[0].blocks;
	T_INT(b[0].cache, CACHE_5M, "cache mark");
	T_INT(b[1].source, SOURCE_BASE64, "base64");
	T_STR(b[1].media_type.raw, S("image/png"), "media type");
	T_STR(b[1].data.raw, S("AA=="), "data");
	T_INT(b[2].source, SOURCE_URL, "url");
	T_STR(b[2].data.raw, S("http://x"), "url");
	T_INT(b[3].source, SOURCE_CONTENT, "content");
	T_INT(b[3].ncontent, 1, "its blocks");
	T_STR(b[3].content[0].text.raw, S("d"), "its text");
	T_STR(b[3].title.raw, S("t"), "title");
	T_INT(b[4].source, SOURCE_FILE, "file");
	T_STR(b[4].data.raw, S("f"), "file_id");
	T_STR(b[5].text.raw, S("s"), "source of a search result");
	T_STR(b[5].content[0].text.raw, S("e"), "its text");
	T_STR(b[6].text.raw, S("h"), "thinking");
	T_STR(b[6].signature.raw, S("g"), "signature");
	T_STR(b[7].text.raw, S("r"), "redacted");
	T_STR(b[8].input, S("{\"a\" : 1}"), "input as it came");
	T_STR(b[9].input, S("{}"), "null input");
	T_STR(b[10].input, S("{}"), "absent input");
	T_INT(b[11].type, B_SERVER_TOOL_RESULT, "a server's result");
	T_STR(b[11].id.raw, S("w"), "its id");
	T_INT(b[12].type, B_MCP, "mcp");
	T_STR(b[13].data.raw, S("f"), "upload");
	T_STR(b[14].text.raw, S("s"), "summary");
	T_INT(b[18].type, B_UNKNOWN, "AN-12 unknown");
	T_INT(notes.n, 1, "AN-12 noted");
	T_STR(notes.v[0].field, S("hologram"), "AN-12 by its type");
	T_STR(json_raw(b[17].json), S("{\"type\":\"tool_removal\"}"), "raw block");
}

static void test_additions(void)
{
#define ADDS(tool) "{\"role\":\"system\",\"content\":[{\"type\":" \
	"\"tool_addition\",\"tool\":" tool "}]}"
#define DEFINES(tool) ADDS("{\"type\":\"tool_definition\"," \
	"\"definition\":" tool "}")
	good("{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":"
	    "\"user\",\"content\":\"q\"}," DEFINES("{\"name\":\"g\","
	    "\"input_schema\":{}}") "," ADDS("{\"name\":\"a\"}") ","
	    DEFINES("{\"name\":\"b\",\"description\":\"new\"}") "],"
	    "\"tools\":[{\"name\":\"a\"},{\"name\":\"b\",\"description\":"
	    "\"old\"}]}");
	T_INT(r.ntools, 3, "OA-49 declared and added");
	T_STR(r.tools[1].description.raw, S("new"), "defined anew, in place");
	T_STR(r.tools[2].name.raw, S("g"), "added at the end");
	refused("{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":"
	    "\"user\",\"content\":\"q\"}," DEFINES("{\"name\":\"g\"}") ","
	    DEFINES("{\"name\":7}") "]}",
	    "tool_addition.1.name: Input should be a string that is not empty");
}

static void test_results(void)
{
	struct block *b;

	good(U("[{\"tool_use_id\":\"t\",\"type\":\"tool_result\",\"content\":"
	    "\"plain\"},{\"type\":\"tool_result\",\"tool_use_id\":\"u\","
	    "\"is_error\":true,\"content\":[{\"type\":\"text\",\"text\":\"\"},"
	    "{\"type\":\"text\",\"text\":\"\\n\"},{\"type\":\"tool_reference\","
	    "\"tool_name\":\"n\"},{\"type\":\"image\",\"source\":{\"type\":"
	    "\"base64\",\"data\":\"\"}},{\"type\":\"browser_state\"},"
	    "{\"type\":\"tool_result\",\"tool_use_id\":\"v\",\"content\":\"x\"}]},"
	    "{\"type\":\"tool_result\",\"tool_use_id\":\"w\"},"
	    "{\"type\":\"tool_result\",\"tool_use_id\":\"x\",\"content\":\"\"}]"));
	b = r.messages[0].blocks;
	T_INT(r.messages[0].n, 4, "four results");
	T_INT(b[0].ncontent, 1, "a string is one text");
	T_STR(b[0].content[0].text.raw, S("plain"), "its text");
	T(b[0].content[0].json.doc == NULL, "made from a string");
	T_INT(b[1].is_error, 1, "is_error");
	T_INT(b[1].ncontent, 5, "what is empty goes, white space is data");
	T_STR(b[1].content[1].name.raw, S("n"), "tool_reference");
	T_INT(b[1].content[4].type, B_TOOL_RESULT, "one level");
	T_INT(b[1].content[4].ncontent, 0, "and no deeper");
	good(U("[{\"tool_use_id\":\"t\",\"type\":\"tool_result\",\"content\":"
	    "[{\"type\":\"document\",\"source\":{\"type\":\"content\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"text\","
	    "\"text\":\"d\"},{\"type\":\"document\",\"source\":{\"type\":"
	    "\"content\",\"content\":\"no\"}}]}},{\"type\":\"search_result\","
	    "\"source\":\"s\",\"title\":\"t\",\"content\":[{\"type\":"
	    "\"text\",\"text\":\"e\"}]}]}]"));
	b = r.messages[0].blocks[0].content;
	T_INT(r.messages[0].blocks[0].ncontent, 2, "OA-37 a result's blocks");
	if (T_INT(b[0].ncontent, 2, "OA-37 a document in a result"))
		T_STR(b[0].content[0].text.raw, S("d"), "its text");
	T_INT(b[0].content[1].ncontent, 0, "but no document in a document");
	if (T_INT(b[1].ncontent, 1, "OA-37 a search result in a result"))
		T_STR(b[1].content[0].text.raw, S("e"), "its text");
	refused(U("[{\"tool_use_id\":\"t\",\"type\":\"tool_result\",\"content\":"
	    "[{\"type\":\"search_result\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"e\"},{\"type\":\"text\"}]}]}]"),
	    "messages.0.content.0.content.0.content.1.text: Field required");
	T_INT(b[2].ncontent, 0, "absent content");
	T_INT(b[3].ncontent, 0, "empty content");
}

static void test_blank(void)
{
	good(M("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
	    "\" \\n\\t\\r\\f\"},{\"type\":\"text\",\"text\":\"x\"}]},"
	    "{\"role\":\"assistant\",\"content\":\"  \"},"
	    "{\"role\":\"assistant\",\"content\":[]},"
	    "{\"role\":\"user\",\"content\":\"y\"}]"));
	T_INT(r.nmessages, 2, "AN-11 a message that becomes empty goes");
	T_INT(r.messages[0].n, 1, "AN-11 blank text goes");
	T_STR(r.messages[0].blocks[0].text.raw, S("x"), "AN-11 the other stays");
	T_INT(notes.n, 0, "AN-11 silently");
	good(M("[{\"role\":\"user\",\"content\":\"\"}]"));
	T_INT(r.nmessages, 1, "AN-11 but the only one stays");
	T_INT(r.messages[0].n, 0, "AN-11 empty");
	good(WITH("\"system\":[{\"type\":\"text\",\"text\":\" \"},{\"type\":"
	    "\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\"}}]"));
	T_INT(r.nsystem, 1, "AN-11 in system");
	T_INT(r.system[0].cache, CACHE_5M, "its mark");
	good(WITH("\"system\":\"s\""));
	T_INT(r.nsystem, 1, "a string is one block");
}

static void test_system_turns(void)
{
	good("{\"model\":\"m\",\"max_tokens\":9,\"output_config\":{\"effort\":"
	    "\"low\"},\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{"
	    "\"role\":\"system\",\"clear_at\":\"next_user_message\","
	    "\"output_config\":{\"effort\":\"high\"},\"content\":\"env\"}]}");
	T_INT(r.messages[1].role, ROLE_SYSTEM, "AN 2.1 system in messages");
	T_INT(r.messages[1].clear_at_next_user, 1, "clear_at");
	T_INT(r.effort, EFFORT_HIGH, "a turn's own effort wins");
}

static void test_tools(void)
{
	static const struct {
		const char *type;
		enum tool_kind kind;
	} kinds[] = {
		{ "bash_20250124", TOOL_BASH },
		{ "text_editor_20250728", TOOL_TEXT_EDITOR },
		{ "memory_20250818", TOOL_MEMORY },
		{ "computer_20251124", TOOL_COMPUTER },
		{ "computer_toolset_20260801", TOOL_TOOLSET },
		{ "browser_toolset_20260801", TOOL_TOOLSET },
		{ "web_search_20250305", TOOL_SERVER },
		{ "web_fetch_20250910", TOOL_SERVER },
		{ "code_execution_20250825", TOOL_SERVER },
		{ "tool_search_tool_regex_20251119", TOOL_SERVER },
		{ "advisor_20260301", TOOL_SERVER },
		{ "mcp_toolset", TOOL_SERVER },
		{ "custom", TOOL_CLIENT }, { "hologram_2030", TOOL_SERVER }
	};
	char text[400];
	size_t i;

	for (i = 0; i < COUNT(kinds); i++) {
		snprintf(text, sizeof text, WITH("\"tools\":[{\"type\":\"%s\","
		    "\"name\":\"n\"}]"), kinds[i].type);
		good(text);
		T_INT(r.tools[0].kind, kinds[i].kind, "AN 2.4 %s",
		    kinds[i].type);
	}
	good(WITH("\"tools\":[{\"name\":\"a\",\"description\":\"\",\"strict\":true,"
	    "\"defer_loading\":true,\"input_schema\":{\"type\":\"object\"},"
	    "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}},"
	    "{\"type\":null,\"name\":\"b\"},{\"type\":\"hologram_2030\",\"name\":"
	    "\"c\",\"input_schema\":{}}],\"tool_choice\":{\"type\":\"tool\","
	    "\"name\":\"b\",\"disable_parallel_tool_use\":true}"));
	T_INT(r.ntools, 3, "three");
	T(r.tools[0].description.raw.p != NULL, "empty is not absent");
	T(r.tools[1].description.raw.p == NULL, "absent");
	T_INT(r.tools[0].strict, 1, "strict");
	T_INT(r.tools[0].defer_loading, 1, "defer_loading");
	T_INT(r.tools[0].cache, CACHE_1H, "mark");
	T_INT(r.tools[1].kind, TOOL_CLIENT, "type null");
	T_INT(r.tools[2].kind, TOOL_CLIENT, "unknown, but with a schema");
	T_INT(r.choice, CHOICE_TOOL, "tool_choice");
	T_STR(r.choice_name.raw, S("b"), "its name");
	T_INT(r.no_parallel, 1, "disable_parallel_tool_use");
}

/* ---- large ones ---- */

static double parse_many(size_t n, const char *message, int want)
{
	static char big[8 << 20];
	static char large[192 << 20];
	struct buf b = buf_on(big, sizeof big);
	struct arena la = { large, large + sizeof large };
	clock_t t;
	size_t i;

	buf_put(&b, S("{\"model\":\"m\",\"max_tokens\":1,\"messages\":["));
	for (i = 0; i < n; i++) {
		if (i)
			buf_chr(&b, ',');
		buf_put(&b, str_of(message));
	}
	buf_put(&b, S("]}"));
	T(!b.full, "the test's own buffer holds it");
	t = clock();
	T_INT(json_parse(&doc, buf_str(&b), &la, NULL), OK, "large body");
	T_INT(request_parse(&r, &doc, 0, &la, &notes, &f), want,
	    "%lu messages", (unsigned long)n);
	return (double)(clock() - t) / CLOCKS_PER_SEC;
}

static void test_large(void)
{
	static const char one[] = "{\"role\":\"user\",\"content\":[{\"type\":"
	    "\"text\",\"text\":\"x\"}]}";
	double little = parse_many(10000, one, OK), much;

	much = parse_many(100000, one, OK);
	T_INT(r.nmessages, 100000, "AN 9: a hundred thousand messages");
	T(much < 20 * little + 0.5, "linear: %.3f s, a tenth %.3f s", much,
	    little);
	parse_many(100001, one, E_FAULT);
	T_STR(fault_text(&f), S("messages: at most 100000 messages are allowed"),
	    "AN 9: one too many");
	parse_many(50000, "{\"role\":\"user\",\"content\":[{\"type\":\"q\"}]}", OK);
}

/* Every amount of memory gives an answer. */
static void test_arena(void)
{
	static const char text[] = "{\"model\":\"m\",\"max_tokens\":9,"
	    "\"stop_sequences\":[\"a\"],\"tools\":[{\"name\":\"n\"}],\"system\":"
	    "\"s\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
	    "\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":"
	    "\"text\",\"text\":\"x\"}]}]},{\"role\":\"user\",\"content\":\"x\"}]}";
	struct arena whole = { memory, memory + sizeof memory }, part;
	size_t n, full = 0, fine = 0;
	int e;

	if (!T(json_parse(&doc, S(text), &whole, NULL) == OK, "the body"))
		return;
	for (n = 0; n < 4096; n++) {
		part = (struct arena){ whole.cur, whole.cur + n };
		e = request_parse(&r, &doc, 0, &part, &notes, &f);
		full += e == E_FULL;
		fine += e == OK;
	}
	T_INT(full + fine, 4096, "full or fine, nothing else");
	T(full > 100 && fine > 100, "both happened");
}

static void test_fixtures(void)
{
	static const struct {
		const char *name;
		size_t messages, system, tools;
	} files[] = {
		{ "fixtures/claude-code-small.json", 2, 3, 7 },
		{ "fixtures/claude-code-tools.json", 1, 3, 25 },
		{ "fixtures/claude-code-long.json", 62, 3, 12 }
	};
	const char *path;
	struct str text;
	size_t i;

	for (i = 0; i < COUNT(files); i++) {
		path = t_shared(files[i].name);
		text = path ? t_file(path) : S("");
		if (!text.n)
			continue;
		good(text.p);
		T_INT(r.nmessages, files[i].messages, "%s", files[i].name);
		T_INT(r.nsystem, files[i].system, "%s", files[i].name);
		T_INT(r.ntools, files[i].tools, "%s", files[i].name);
		T_INT(notes.n, 0, "a real client's body surprises us nowhere");
	}
}

int main(void)
{
	test_refusals();
	test_count();
	test_scalars();
	test_blocks();
	test_results();
	test_additions();
	test_blank();
	test_system_turns();
	test_tools();
	test_large();
	test_arena();
	test_fixtures();
	return t_done("request");
}
