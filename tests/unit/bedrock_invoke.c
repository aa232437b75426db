/* bedrock_invoke.c -- tests of InvokeModel: how a body of Anthropic's is
 * edited, and what its answer becomes.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/bedrock_invoke.c"
#include "../invoke.h"

static struct world w;
static int counting;

#define HELLO "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define OLD "{\"anthropic_version\":\"bedrock-2023-05-31\""

/* The body that goes out for members beside model and max_tokens; else what
 * the client is told. */
static struct str sent(const char *model, const char *members)
{
	static char text[65536];
	int r;

	snprintf(text, sizeof text, "{\"model\":\"%s\",\"max_tokens\":9,%s}",
	    model, members);
	r = world_call(&w, str_of(text), counting ? CALL_COUNT :
	    CALL_MESSAGES);
	T_INT(r, OK, "%s", text);
	r = r == OK ? bedrock_resolve(&w.c, &w.st.model) : r;
	T_INT(r, OK, "%s", text);
	r = r == OK ? bedrock_invoke(&w.c, &w.st) : r;
	if (r != OK)
		return r == E_FAULT ? world_fault(&w) : r == E_NONE ?
		    S("none") : S("?");
	r = json_check(world_body(&w), NULL, NULL);
	T_INT(r, OK, "JSON: %.*s", (int)world_body(&w).n, world_body(&w).p);
	return world_body(&w);
}

/* The body's rest, behind the members that every one has. */
static struct str rest(const char *model, const char *members)
{
	struct str s = sent(model, members);
	static const char head[] = OLD ",\"max_tokens\":9,";

	return str_starts(s, S(head)) ? str_from(s, sizeof head - 1) : s;
}

/* What members are sent as, in the place of those that were given. */
static void turned_for(const char *model, const char *from, const char *to,
    const char *label)
{
	char want[4000];

	snprintf(want, sizeof want, "%s}", to);
	T_STR(rest(model, from), str_of(want), "%s", label);
}

static void forget(void)
{
	memset(&w.facts, 0, sizeof w.facts);
	w.client = (struct http_head){ 0 };
}

static void flags(const char *list)
{
	w.client = (struct http_head){ 0 };
	world_field(&w.client, "Anthropic-Beta", list);
}

static void version(const char *v)
{
	world_field(&w.client, "anthropic-version", v);
}

static void test_top(void)
{
	forget();
	T_STR(sent("claude-opus-4-5", "\"stream\":true," HELLO),
	    S(OLD ",\"max_tokens\":9," HELLO "}"),
	    "BR-20 model and stream go, the version comes");
	T_INT(w.c.upstream_stream, 1, "BR-20 the operation says it");
	T_STR(sent("claude-opus-4-5", " \"x\" : [ 1.50e+2, 0.10 ],\n"
	    "\"metadata\":{\"user_id\":\"\\u00e9\\/\"}, " HELLO),
	    S(OLD ",\"max_tokens\":9,\"x\":[ 1.50e+2, 0.10 ],\"metadata\":"
	    "{\"user_id\":\"\\u00e9\\/\"}," HELLO "}"),
	    "section 4: order, spelling and what is unknown");
	T_INT(w.c.upstream_stream, 0, "not streamed");
	T(!world_noted(&w, "x"), "what passes isn't said to be dropped");
	T_STR(rest("claude-opus-4-5", "\"container\":\"c\",\"mcp_servers\":[],"
	    "\"inference_geo\":\"us\",\"speed\":\"fast\",\"service_tier\":"
	    "\"auto\",\"fallbacks\":[],\"diagnostics\":{},\"output_format\":"
	    "{\"type\":\"json_schema\",\"schema\":{}}," HELLO), S(HELLO "}"),
	    "BR-23 members that go");
	T(world_noted(&w, "container") && world_noted(&w, "speed"),
	    "BR-23 and are named");
	T_STR(rest("claude-opus-4-5", "\"thinking\":{\"type\":\"enabled\","
	    "\"budget_tokens\":2048},\"temperature\":1.0,\"top_p\":0.5,"
	    "\"top_k\":5,\"stop_sequences\":[\"a\"],\"tool_choice\":"
	    "{\"type\":\"auto\"}," HELLO), S("\"thinking\":{\"type\":"
	    "\"enabled\",\"budget_tokens\":2048},\"temperature\":1.0,\"top_p\":"
	    "0.5,\"top_k\":5,\"stop_sequences\":[\"a\"],\"tool_choice\":"
	    "{\"type\":\"auto\"}," HELLO "}"), "BR-23 members that stay");
	T_STR(rest("claude-3-haiku-20240307", "\"thinking\":{\"type\":"
	    "\"adaptive\"}," HELLO), S(HELLO "}"),
	    "a model that can't think isn't asked to");
	T_STR(rest("claude-opus-4-5", "\"context_management\":{\"edits\":[]},"
	    HELLO), S(HELLO "}"), "BR-23 without its beta");
	world_field(&w.client, "anthropic-user-profile-id", "up_1");
	T_STR(rest("claude-opus-4-5", "\"user_profile_id\":\"up_2\"," HELLO),
	    S(HELLO "}"), "BR-23 not for older models");
	T_STR(sent("claude-opus-4-8", HELLO),
	    S(OLD ",\"user_profile_id\":\"up_1\",\"max_tokens\":9," HELLO
	    "}"), "BR-23 from the head");
	T_STR(rest("claude-opus-4-8", "\"user_profile_id\":\"up_2\"," HELLO),
	    S("\"user_profile_id\":\"up_2\"," HELLO "}"),
	    "BR-23 the body's own");
}

static void test_thinking(void)
{
	forget();
	turned_for("claude-haiku-4-5", "\"max_tokens\":5000,\"thinking\":"
	    "{\"type\":\"adaptive\",\"display\":\"omitted\"}," HELLO,
	    "\"max_tokens\":5000,\"thinking\":{\"type\":\"enabled\","
	    "\"budget_tokens\":4999}," HELLO, "a budget for older models");
	T(world_noted(&w, "thinking"), "is said");
	turned_for("claude-haiku-4-5", "\"max_tokens\":64000,\"thinking\":"
	    "{\"type\":\"adaptive\"}," HELLO, "\"max_tokens\":64000,"
	    "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":31999},"
	    HELLO, "not all of it");
	turned_for("claude-haiku-4-5", "\"thinking\":{\"type\":\"adaptive\"},"
	    HELLO, "\"thinking\":{\"type\":\"disabled\"}," HELLO,
	    "too few tokens to think");
	turned_for("claude-opus-4-6", "\"thinking\":{\"type\":\"adaptive\"},"
	    HELLO, "\"thinking\":{\"type\":\"adaptive\"}," HELLO,
	    "BR-26 unchanged where it is known");
}

static void test_nothing_to_say(void)
{
	static const char body[] = "{\"model\":\"claude-opus-4-5\","
	    "\"max_tokens\":0," HELLO "}";

	forget();
	world_call(&w, S(body), CALL_MESSAGES);
	bedrock_resolve(&w.c, &w.st.model);
	T_INT(bedrock_invoke(&w.c, &w.st), CALL_DONE, "AN-20 nobody is asked");
	T_STR(buf_str(&w.line), S("start msg_ours max_tokens 9/0/0/0."),
	    "AN-20");
}

static void test_version(void)
{
	static const char newer[] = "{\"anthropic_version\":\"2026-10-21\"";
	static const char doc[] = "\"messages\":[{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"document\",\"source\":{\"type\":\"text\","
	    "\"media_type\":\"text/plain\",\"data\":\"a\\\"b\"}},{\"type\":"
	    "\"document\",\"source\":{\"type\":\"content\",\"content\":["
	    "{\"type\":\"text\",\"text\":\"c\"},{\"type\":\"text\",\"text\":"
	    "\"d\"}]}}]},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
	    "\"text\":\"q\",\"citations\":[{}]},{\"type\":\"text\",\"text\":"
	    "\"r\",\"citations\":[]},{\"type\":\"document\",\"source\":"
	    "{\"type\":\"text\",\"data\":\"x\"},\"citations\":{\"enabled\":"
	    "true}}]}]";

	forget();
	version("2026-10-21");
	T(str_starts(sent("claude-opus-4-7", HELLO), S(newer)), "BR-20 4.7");
	T(str_starts(sent("claude-opus-4-6", HELLO), S(OLD)),
	    "BR-20 lowered for 4.6");
	T_STR(sent("claude-opus-5-5", "\"temperature\":1,\"top_p\":1,"
	    "\"top_k\":1," HELLO), S("{\"anthropic_version\":\"2026-10-21\","
	    "\"max_tokens\":9," HELLO "}"), "BR-20 sampling goes");
	T_STR(str_from(sent("claude-opus-5-5", doc), sizeof newer - 1),
	    S(",\"max_tokens\":9,\"messages\":[{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"<document>\\na\\\"b\\n"
	    "</document>\"},{\"type\":\"text\",\"text\":\"<document>\\ncd\\n"
	    "</document>\"}]},{\"role\":\"user\",\"content\":[{\"type\":"
	    "\"text\",\"text\":\"q\"},{\"type\":\"text\",\"text\":\"r\","
	    "\"citations\":[]},{\"type\":\"document\",\"source\":{\"type\":"
	    "\"text\",\"data\":\"x\"},\"citations\":{\"enabled\":true}}]}]}"),
	    "BR-20 documents of answers as text, citations of texts");
	forget();
	version("2023-06-01");
	T(str_starts(sent("claude-opus-5-5", HELLO), S(OLD)),
	    "BR-20 never raised");
	turned_for("claude-opus-4-8", doc, doc, "BR-20 as it is");
	T(str_starts(sent("claude-opus-5-5", "\"anthropic_version\":"
	    "\"2026-10-21\"," HELLO), S(newer)), "BR-20 the body's own");
	T(str_starts(sent("claude-opus-5-5", "\"anthropic_version\":"
	    "\"other-1\"," HELLO), S("{\"anthropic_version\":\"other-1\"")),
	    "BR-20 unless present");
	version("2026-10-21");
	T(str_starts(sent("claude-opus-5-5", "\"anthropic_version\":"
	    "\"bedrock-2023-05-31\"," HELLO), S(OLD)), "BR-20 present");
}

static void test_betas(void)
{
	forget();
	flags("claude-code-20250219, interleaved-thinking-2025-05-14,,"
	    "oauth-2025-04-20");
	world_field(&w.client, "anthropic-beta",
	    "interleaved-thinking-2025-05-14,nobody-knows-1");
	T_STR(sent("claude-opus-4-5", "\"betas\":[\"compact-2026-01-12\","
	    "\"interleaved-thinking-2025-05-14\"],\"anthropic_beta\":["
	    "\"context-management-2025-06-27\"]," HELLO),
	    S(OLD ",\"anthropic_beta\":[\"interleaved-thinking-2025-05-14\","
	    "\"context-management-2025-06-27\",\"compact-2026-01-12\"],"
	    "\"max_tokens\":9," HELLO "}"), "BR-21, BR-22, FN-26 one list, filtered");
	flags("advanced-tool-use-2025-11-20,tool-search-tool-2025-10-19");
	T_STR(sent("claude-opus-4-5", HELLO), S(OLD ",\"anthropic_beta\":["
	    "\"tool-search-tool-2025-10-19\"],\"max_tokens\":9," HELLO "}"),
	    "BR-22 renamed");
	flags("claude-code-20250219");
	T_STR(rest("claude-opus-4-5", HELLO), S(HELLO "}"),
	    "BR-21 left out when empty");
	forget();
	T_STR(sent("claude-sonnet-4-5[1m]", HELLO), S(OLD
	    ",\"anthropic_beta\":[\"context-1m-2025-08-07\"],\"max_tokens\":9,"
	    HELLO "}"), "BR-14 long context");
	T_STR(rest("claude-sonnet-5-5[1m]", HELLO), S(HELLO "}"),
	    "BR-14 newer ones have it");
	T_STR(rest("claude-haiku-4-5[1m]", HELLO), S(HELLO "}"),
	    "BR-14 others never");
	T_STR(sent("claude-opus-4-6", "\"output_config\":{\"effort\":"
	    "\"high\"}," HELLO), S(OLD ",\"anthropic_beta\":["
	    "\"effort-2025-11-24\"],\"max_tokens\":9,\"output_config\":"
	    "{\"effort\":\"high\"}," HELLO "}"),
	    "section 16 on BR-23: effort with its beta");
	T_STR(rest("claude-opus-4-8", "\"output_config\":{\"effort\":"
	    "\"high\",\"format\":{\"type\":\"json_schema\"}}," HELLO),
	    S("\"output_config\":{\"effort\":\"high\"}," HELLO "}"),
	    "BR-23 effort alone; format is refused by 4.7 on");
	T_STR(rest("claude-sonnet-4-0", "\"output_config\":{\"effort\":"
	    "\"high\"}," HELLO), S(HELLO "}"), "BR-23 dropped for older");
	T(world_noted(&w, "output_config.effort"), "BR-23 and named");
	T_INT(w.notes.v[0].count, 1, "once");
	w.facts.opt.betas = S("-effort-2025-11-24");
	T_STR(rest("claude-opus-4-6", "\"output_config\":{\"effort\":"
	    "\"high\",\"x\":1}," HELLO), S("\"output_config\":{\"x\":1}," HELLO
	    "}"), "section 16 on BR-23: not when the list forbids it");
	forget();
	flags("context-management-2025-06-27,"
	    "thinking-display-updates-2026-08-18");
	T_STR(sent("claude-opus-5-5", "\"thinking\":{\"type\":\"adaptive\","
	    "\"display\":\"updates\"},\"context_management\":{\"edits\":[]},"
	    HELLO), S(OLD ",\"anthropic_beta\":["
	    "\"context-management-2025-06-27\","
	    "\"thinking-display-updates-2026-08-18\"],\"max_tokens\":9,"
	    "\"thinking\":{\"type\":\"adaptive\",\"display\":\"updates\"},"
	    "\"context_management\":{\"edits\":[]}," HELLO "}"),
	    "BR-23 members with their betas");
	/* "invalid beta flag": only what a member needs; then none. */
	flags("context-management-2025-06-27,interleaved-thinking-2025-05-14,"
	    "thinking-display-updates-2026-08-18,effort-2025-11-24");
	sent("claude-opus-5-5", HELLO);
	bedrock_learned(&w.c)->betas = 1;
	T_STR(sent("claude-opus-5-5", "\"context_management\":{\"edits\":[]},"
	    HELLO), S(OLD ",\"anthropic_beta\":["
	    "\"context-management-2025-06-27\"],\"max_tokens\":9,"
	    "\"context_management\":{\"edits\":[]}," HELLO "}"),
	    "BR-25 those that a member needs");
	bedrock_learned(&w.c)->betas = 2;
	T_STR(rest("claude-opus-5-5", "\"thinking\":{\"type\":\"adaptive\","
	    "\"display\":\"updates\"},\"context_management\":{\"edits\":[]},"
	    HELLO), S("\"thinking\":{\"type\":\"adaptive\"}," HELLO "}"),
	    "BR-25 none, and no member that needs one");
}

static void test_tools(void)
{
	static const char plain[] = "{\"name\":\"a\",\"input_schema\":"
	    "{\"type\":\"object\",\"properties\":{\"strict\":{},"
	    "\"cache_control\":{\"scope\":1}}}}";
	char text[2000];

	forget();
	snprintf(text, sizeof text, "\"tools\":[%s]," HELLO, plain);
	turned_for("claude-opus-4-8", text, text,
	    "a schema isn't looked into");
	T_STR(sent("claude-opus-4-8", "\"tools\":[{\"name\":\"a\","
	    "\"input_schema\":{},\"eager_input_streaming\":true,\"strict\":"
	    "true,\"allowed_callers\":[],\"input_examples\":[{}],"
	    "\"defer_loading\":true,\"cache_control\":{\"type\":\"ephemeral\","
	    "\"scope\":\"global\",\"ttl\":\"1h\"}}]," HELLO),
	    S(OLD ",\"anthropic_beta\":["
	    "\"fine-grained-tool-streaming-2025-05-14\"],\"max_tokens\":9,"
	    "\"tools\":[{\"name\":\"a\",\"input_schema\":{},\"cache_control\":"
	    "{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]," HELLO "}"),
	    "BR-23 members of tools");
	T(world_noted(&w, "tools.#.strict") &&
	    world_noted(&w, "tools.#.defer_loading") &&
	    !world_noted(&w, "tools.#.eager_input_streaming"), "named");
	T_STR(rest("claude-opus-4-5", "\"tools\":[{\"name\":\"a\","
	    "\"input_schema\":{},\"strict\":true}]," HELLO), S("\"tools\":["
	    "{\"name\":\"a\",\"input_schema\":{},\"strict\":true}]," HELLO
	    "}"), "BR-23 strict where it is taken");
	T_STR(rest("claude-opus-4-1", "\"cache_control\":{\"type\":"
	    "\"ephemeral\",\"ttl\":\"1h\"}," HELLO), S("\"cache_control\":"
	    "{\"type\":\"ephemeral\"}," HELLO "}"), "BR-23 ttl from 4.5 on");
	flags("tool-search-tool-2025-10-19,tool-examples-2025-10-29");
	T(str_ends(sent("claude-opus-4-5", "\"tools\":[{\"type\":"
	    "\"tool_search_tool_regex_20251119\",\"name\":\"s\"},{\"name\":"
	    "\"a\",\"input_schema\":{},\"defer_loading\":true,"
	    "\"input_examples\":[{}]}]," HELLO), S("\"tools\":[{\"type\":"
	    "\"tool_search_tool_regex_20251119\",\"name\":\"s\"},{\"name\":"
	    "\"a\",\"input_schema\":{},\"defer_loading\":true,"
	    "\"input_examples\":[{}]}]," HELLO "}")),
	    "BR-23 tool search with its beta");
	forget();
	T_STR(rest("claude-opus-4-5", "\"tools\":[{\"type\":"
	    "\"tool_search_tool_regex_20251119\",\"name\":\"s\"},{\"type\":"
	    "\"web_search_20250305\",\"name\":\"w\"},{\"type\":"
	    "\"bash_20250124\",\"name\":\"bash\"},{\"type\":\"advisor_2\","
	    "\"name\":\"v\"}],\"tool_choice\":{\"type\":\"any\"}," HELLO),
	    S("\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"}],"
	    "\"tool_choice\":{\"type\":\"any\"}," HELLO "}"),
	    "BR-23 server tools go");
	T_STR(rest("claude-opus-4-5", "\"tools\":[{\"type\":"
	    "\"web_search_20250305\",\"name\":\"w\"}],\"tool_choice\":"
	    "{\"type\":\"auto\"}," HELLO), S(HELLO "}"),
	    "BR-23 and with the last of them tool_choice");
	T_STR(rest("claude-opus-4-5", "\"tools\":[{\"type\":"
	    "\"web_search_20250305\",\"name\":\"w\"}],\"tool_choice\":"
	    "{\"type\":\"tool\",\"name\":\"w\"}," HELLO), S("400 "
	    "invalid_request_error tool_choice.name: w is run by Anthropic, "
	    "not by Bedrock"), "BR-23 one that is asked for by name");
	T_STR(rest("claude-opus-4-5", "\"tools\":[]," HELLO),
	    S("\"tools\":[]," HELLO "}"), "an empty list is the client's");
}

#define USER(content) "{\"role\":\"user\",\"content\":" content "}"
#define BOT(content) "{\"role\":\"assistant\",\"content\":" content "}"
#define SYS(content) "{\"role\":\"system\",\"content\":" content "}"
#define TEXT(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define REMIND(text) TEXT("<system-reminder>\\n" text "\\n</system-reminder>")
#define MARKED(text) "{\"type\":\"text\",\"text\":\"" text \
	"\",\"cache_control\":{\"type\":\"ephemeral\"}}"
#define RESULT(id) "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\"}"

static void turned(const char *from, const char *to, const char *label)
{
	turned_for("claude-opus-4-5", from, to, label);
}

static void test_system(void)
{
	forget();
	turned("\"system\":\"x-anthropic-billing-header: 1\"," HELLO, HELLO,
	    "BR-143 a string");
	turned("\"system\":[" TEXT("x-anthropic-billing-header: cc") ","
	    MARKED("s") "]," HELLO, "\"system\":[" MARKED("s") "]," HELLO,
	    "BR-143 a block");
	turned("\"system\":[" TEXT("x-anthropic-billing-header: cc") "],"
	    HELLO, HELLO, "BR-143 the only block");
	w.facts.opt.keep_billing = 1;
	turned("\"system\":[" TEXT("x-anthropic-billing-header: cc") "],"
	    HELLO, "\"system\":[" TEXT("x-anthropic-billing-header: cc") "],"
	    HELLO, "BR-143 a setting");
	forget();
	turned("\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":"
	    "{\"type\":\"ephemeral\",\"scope\":\"global\"}}]," HELLO,
	    "\"system\":[" MARKED("s") "]," HELLO, "BR-23 cache_control");
	turned("\"system\":\"s\",\"messages\":[" SYS("\"one\"") ","
	    SYS("[" MARKED("two") "]") "," USER("\"u\"") "]",
	    "\"system\":[" TEXT("s") "," TEXT("one") "," MARKED("two") "],"
	    "\"messages\":[" USER("\"u\"") "]",
	    "section 16: leading ones join system");
	turned("\"messages\":[" SYS("\"one\"") "," USER("\"u\"") "]",
	    "\"messages\":[" USER("\"u\"") "],\"system\":[" TEXT("one") "]",
	    "section 16: or make one");
	turned("\"messages\":[" SYS("\"one\"") "]",
	    "\"messages\":[" USER("[" REMIND("one") "]") "]",
	    "section 16: nothing else: they are what is asked");
	turned("\"messages\":[" USER("\"u\"") "," SYS("[" MARKED("s") "]")
	    "," BOT("\"a\"") "," SYS("\"t\"") "," USER("[" RESULT("i") ","
	    TEXT("v") "]") "]",
	    "\"messages\":[" USER("[" TEXT("u") ",{\"type\":\"text\",\"text\":"
	    "\"<system-reminder>\\ns\\n</system-reminder>\",\"cache_control\":"
	    "{\"type\":\"ephemeral\"}}]") "," BOT("\"a\"") "," USER("["
	    RESULT("i") "," REMIND("t") "," TEXT("v") "]") "]",
	    "section 16: the turn before, else the turn after, behind its "
	    "results");
	T(world_noted(&w, "messages.role"), "section 16: named");
	turned("\"messages\":[" USER("[" RESULT("i") "]") "," SYS("\"s\"")
	    "," USER("\"v\"") "]", "\"messages\":[" USER("[" RESULT("i") ","
	    REMIND("s") "]") "," USER("\"v\"") "]", "section 16: in order");
	turned("\"messages\":[" USER("\"u\"") "," BOT("\"a\"") ","
	    SYS("\"s\"") "]", "\"messages\":[" USER("\"u\"") "," BOT("\"a\"")
	    "," USER("[" REMIND("s") "]") "]", "section 16: at the end");
	turned("\"messages\":[" USER("\"u\"") "," BOT("\"a\"") ","
	    SYS("\"s\"") "," BOT("\"b\"") "]", "\"messages\":[" USER("\"u\"")
	    "," BOT("\"a\"") "," USER("[" REMIND("s") "]") "," BOT("\"b\"")
	    "]", "section 16: between two answers");
	turned("\"messages\":[" USER("\"u\"") ",{\"role\":\"system\","
	    "\"content\":\"s\",\"clear_at\":\"next_user_message\"}," BOT("\"a\"")
	    "," USER("\"v\"") ",{\"role\":\"system\",\"content\":\"t\","
	    "\"clear_at\":\"next_user_message\"}]", "\"messages\":["
	    USER("\"u\"") "," BOT("\"a\"") "," USER("[" TEXT("v") ","
	    REMIND("t") "]") "]", "what the next turn clears is gone");
	flags("mid-conversation-tool-changes-2026-07-01");
	T(str_ends(sent("claude-opus-5-5", "\"messages\":[" USER("\"u\"") ","
	    SYS("\"s\"") "]"), S("\"messages\":[" USER("\"u\"") ","
	    SYS("\"s\"") "]}")), "section 16: with its beta it stays");
	bedrock_learned(&w.c)->lacks |= CAN_SYSTEM_TURNS;
	T(str_ends(sent("claude-opus-5-5", "\"messages\":[" USER("\"u\"") ","
	    SYS("\"s\"") "]"), S("\"messages\":[" USER("[" TEXT("u") ","
	    REMIND("s") "]") "]}")), "BR-25 unless the model refused it");
	forget();
	turned("\"messages\":[" USER("\"u\"") "," SYS("[" TEXT("s") ","
	    "{\"type\":\"tool_addition\",\"tool\":{\"type\":"
	    "\"tool_definition\",\"definition\":{\"name\":\"late\","
	    "\"input_schema\":{}}}}]") "]", "\"messages\":[" USER("["
	    TEXT("u") "," REMIND("s") "]") "],\"tools\":[{\"name\":\"late\","
	    "\"input_schema\":{}}]",
	    "section 16: what such a message defines is in the list");
}

static void test_blocks(void)
{
	forget();
	turned("\"messages\":[" BOT("[{\"type\":\"thinking\",\"thinking\":"
	    "\"h\",\"signature\":\"Eq\\/oB\\u002b==\"}," TEXT("a") "]") ","
	    USER("\"u\"") "]", "\"messages\":[" BOT("[{\"type\":\"thinking\","
	    "\"thinking\":\"h\",\"signature\":\"Eq\\/oB\\u002b==\"},"
	    TEXT("a") "]") "," USER("\"u\"") "]",
	    "BR-26 signatures pass byte for byte");
	turned("\"messages\":[" BOT("[{\"type\":\"thinking\",\"thinking\":"
	    "\"h\",\"signature\":\"p1.x\"}," TEXT("a") "]") "," BOT("[{\"type\":"
	    "\"thinking\",\"thinking\":\"h\"}]") "]", "\"messages\":[" BOT("["
	    TEXT("a") "]") "," BOT("[" TEXT("(thinking of another model)")
	    "]") "]", "note 21: other services' thinking goes");
	turned("\"messages\":[" USER("[" TEXT("a") "," TEXT(" \\n") ","
	    TEXT("b") "]") "]", "\"messages\":[" USER("[" TEXT("a") ","
	    TEXT("b") "]") "]", "BR-24 blank texts go");
	turned("\"messages\":[" USER("[" TEXT("a") "," TEXT("") ","
	    MARKED(" ") "," TEXT("b") "]") "]", "\"messages\":[" USER("["
	    MARKED("a") "," TEXT("b") "]") "]",
	    "BR-24 their cache mark moves to the block before");
	turned("\"messages\":[" USER("[" MARKED("a") "," MARKED(" ") "]")
	    "]", "\"messages\":[" USER("[" MARKED("a") "," MARKED(" ") "]")
	    "]", "BR-24 or it is the client's error");
	turned("\"messages\":[" USER("[" MARKED(" ") "," TEXT("b") "]") "]",
	    "\"messages\":[" USER("[" MARKED(" ") "," TEXT("b") "]") "]",
	    "BR-24 no block before");
	turned("\"messages\":[" USER("[" TEXT(" ") "]") "]", "\"messages\":["
	    USER("[" TEXT(" ") "]") "]", "BR-24 the only one stays");
	turned("\"messages\":[" USER("[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"i\",\"content\":[{\"type\":\"tool_reference\","
	    "\"tool_name\":\"grep\"}," TEXT("") "," TEXT(" ") ",{\"type\":"
	    "\"text\",\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\","
	    "\"scope\":1}}],\"is_error\":false}]") "]", "\"messages\":["
	    USER("[{\"type\":\"tool_result\",\"tool_use_id\":\"i\","
	    "\"content\":[" TEXT("Tool available: grep") "," TEXT(" ") ","
	    MARKED("x") "],\"is_error\":false}]") "]",
	    "section 16: tool_reference; BR-23, BR-24 inside a result");
	flags("tool-search-tool-2025-10-19");
	T(str_ends(sent("claude-opus-4-5", "\"messages\":[" USER("[{\"type\":"
	    "\"tool_result\",\"tool_use_id\":\"i\",\"content\":[{\"type\":"
	    "\"tool_reference\",\"tool_name\":\"grep\"}]}]") "]"),
	    S("[{\"type\":\"tool_reference\",\"tool_name\":\"grep\"}]}]}]}")),
	    "section 16: unless its beta is sent");
	forget();
	T(str_starts(rest("claude-opus-4-5", "\"messages\":[" USER("[{\"type\":"
	    "\"image\",\"source\":{\"type\":\"url\",\"url\":\"http://x\"}}]")
	    "]"), S("400 invalid_request_error messages.0.content.0: "
	    "image.source: Bedrock fetches no url")), "BR-23 nothing is fetched");
	T(str_starts(rest("claude-opus-4-5", "\"messages\":[" BOT("\"a\"")
	    "," USER("[" TEXT("t") ",{\"type\":"
	    "\"tool_result\",\"tool_use_id\":\"i\",\"content\":[{\"type\":"
	    "\"document\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}]}]")
	    "]"), S("400 invalid_request_error messages.1.content.1: "
	    "document.source: Bedrock fetches no file")), "BR-23 inside a result");
	counting = 1;
	T_STR(rest("claude-opus-4-5", "\"messages\":[" USER("[{\"type\":"
	    "\"image\",\"source\":{\"type\":\"url\",\"url\":\"http://x\"}}]")
	    "]"), S("none"), "BR-132 a count is never refused");
	T(w.c.estimate > 1600, "BR-133 estimated instead");
	counting = 0;
}

static void learned(const char *path)
{
	struct bedrock_learned *l = bedrock_learned(&w.c);

	strcpy(l->strip[l->nstrips++], path);
}

/* What an old model is asked for when a turn sets its effort. */
static void test_turn_effort(void)
{
	static const char low[] = ",\"messages\":[" USER("\"u\"")
	    ",{\"role\":\"system\",\"content\":\"s\",\"output_config\":"
	    "{\"effort\":\"low\"}}]";
	char text[600];

	forget();
	snprintf(text, sizeof text, "\"output_config\":{\"effort\":\"high\","
	    "\"x\":1}%s", low);
	T(str_find(sent("claude-opus-4-8", text), S("\"output_config\":"
	    "{\"effort\":\"low\",\"x\":1},\"messages\":[{\"role\":\"user\","
	    "\"content\":[" TEXT("u") "," REMIND("s") "]}]}")) <
	    world_body(&w).n, "a turn's effort is in force: %.*s",
	    (int)world_body(&w).n, world_body(&w).p);
	snprintf(text, sizeof text, "\"x\":1%s", low);
	T(str_starts(sent("claude-opus-4-8", text), S(OLD ",\"output_config\":"
	    "{\"effort\":\"low\"},\"max_tokens\":9,\"x\":1,")),
	    "without a place of its own it gets one");
	T(str_starts(sent("claude-sonnet-4-0", text), S(OLD
	    ",\"max_tokens\":9,\"x\":1,")), "but not for older models");
	flags("mid-conversation-output-config-2026-07-01");
	T(str_ends(sent("claude-opus-5-5", text), S("\"content\":\"s\","
	    "\"output_config\":{\"effort\":\"low\"}}]}")),
	    "with its beta it stays where it is");
}

/* What is too long, too many, or there twice. */
static void test_odd(void)
{
	char text[4000], list[1000];
	size_t n;
	int i;

	forget();
	memset(list, 'k', 300);
	list[300] = '\0';
	snprintf(text, sizeof text, "\"%s\":{\"a\":1}," HELLO, list);
	turned(text, text, "a path too long for any rule");
	sent("claude-opus-4-5", HELLO);
	learned("metadata.a");
	snprintf(text, sizeof text, "\"metadata\":{\"%s\":{\"a\":1}}," HELLO,
	    list);
	turned(text, text, "and inside one that is looked into");
	forget();
	for (i = 0, n = 0; i < 40; i++)
		n += (size_t)snprintf(list + n, sizeof list - n, "+f-%d,", i);
	w.facts.opt.betas = (struct str){ list, n };
	for (i = 0, n = 0; i < 40; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "f-%d,", i);
	flags(text);
	sent("claude-opus-4-5", HELLO);
	T(str_find(world_body(&w), S("\"f-31\"")) < world_body(&w).n &&
	    str_find(world_body(&w), S("\"f-32\"")) == world_body(&w).n,
	    "as many betas as there is room for");
	forget();
	turned("\"system\":\"a\",\"tools\":[{\"name\":\"t\"}],\"messages\":"
	    "[" USER("\"x\"") "],\"system\":\"b\",\"tools\":[{\"name\":"
	    "\"u\"}]," HELLO, "\"system\":\"b\",\"tools\":[{\"name\":\"u\"}],"
	    HELLO, "members that are there twice: the last");
	turned("\"cache_control\":null," HELLO, "\"cache_control\":null,"
	    HELLO, "no mark");
	turned("\"messages\":[" USER("[" RESULT("i") "]") "," BOT("\"a\"")
	    "," SYS("\"s\"") "," USER("[" RESULT("j") "]") "]",
	    "\"messages\":[" USER("[" RESULT("i") "]") "," BOT("\"a\"") ","
	    USER("[" RESULT("j") "," REMIND("s") "]") "]",
	    "section 16: behind results alone");
	turned("\"messages\":[" USER("\"u\"") "," BOT("\"a\"") ",{\"role\":"
	    "\"system\",\"content\":\"s\",\"clear_at\":"
	    "\"next_user_message\"}," BOT("\"b\"") "," USER("\"v\"") "]",
	    "\"messages\":[" USER("\"u\"") "," BOT("\"a\"") "," BOT("\"b\"")
	    "," USER("\"v\"") "]", "cleared, and beside nobody");
	turned("\"messages\":[" USER("[{\"type\":\"tool_reference\","
	    "\"tool_name\":\"grep\"}]") "]", "\"messages\":[" USER("["
	    TEXT("Tool available: grep") "]") "]",
	    "section 16: tool_reference beside a result");
	turned("\"messages\":[" USER("[{\"type\":\"document\",\"source\":"
	    "{\"type\":\"base64\",\"media_type\":\"application/pdf\","
	    "\"data\":\"JVBERi0x\"}},{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"i\",\"content\":[{\"type\":"
	    "\"search_result\",\"source\":\"s\",\"title\":\"t\","
	    "\"content\":[" TEXT("found") "]}]}]") "]", "\"messages\":["
	    USER("[{\"type\":\"document\",\"source\":{\"type\":\"base64\","
	    "\"media_type\":\"application/pdf\",\"data\":\"JVBERi0x\"}},"
	    "{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":["
	    "{\"type\":\"search_result\",\"source\":\"s\",\"title\":\"t\","
	    "\"content\":[" TEXT("found") "]}]}]") "]", "what is fine stays");
	T(w.c.estimate >= 1500, "BR-133 a page");
	version("2026-10-21");
	T(str_find(sent("claude-opus-5-5", "\"messages\":[" BOT("[{\"type\":"
	    "\"document\",\"source\":{\"type\":\"base64\",\"data\":"
	    "\"JVBERi0x\"}}]") "]"), S(TEXT("<document>\\n(not text)\\n"
	    "</document>"))) < world_body(&w).n, "BR-20 a PDF of an answer");
}

static void test_ids(void)
{
	static const char bad[] = "{\"type\":\"tool_use\",\"id\":\"f.x:0\"";

	forget();
	turned("\"messages\":[" BOT("[{\"type\":\"tool_use\",\"id\":"
	    "\"toolu_1-a\",\"name\":\"n\",\"input\":{}}]") ","
	    USER("[" RESULT("toolu_1-a") "]") "]", "\"messages\":["
	    BOT("[{\"type\":\"tool_use\",\"id\":\"toolu_1-a\",\"name\":"
	    "\"n\",\"input\":{}}]") "," USER("[" RESULT("toolu_1-a") "]")
	    "]", "section 16 on BR-60: ids that are fine");
	sent("claude-opus-4-5", "\"messages\":[{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"tool_use\",\"id\":\"f.x:0\",\"name\":"
	    "\"n\",\"input\":{\"id\":\"f.x:0\"}}]}," USER("["
	    RESULT("f.x:0") "]") "]");
	T(str_find(world_body(&w), S(bad)) == world_body(&w).n &&
	    str_find(world_body(&w), S("\"input\":{\"id\":\"f.x:0\"}")) <
	    world_body(&w).n, "section 16 on BR-60: ids alone");
	T(str_find(world_body(&w), S("\"id\":\"tu_c926db78992811288f790ef2\"")) <
	    world_body(&w).n && str_find(world_body(&w), S("\"tool_use_id\":"
	    "\"tu_c926db78992811288f790ef2\"")) < world_body(&w).n,
	    "section 16 on BR-60: the same for both: %.*s",
	    (int)world_body(&w).n, world_body(&w).p);
}

static void test_learned(void)
{
	forget();
	sent("claude-opus-4-5", HELLO);
	learned("x");
	learned("tools.#.y");
	learned("messages.#.content.#.caller");
	learned("messages.#.content.#.source.z");
	learned("system.#.cache_control.ttl");
	learned("metadata.a.b");
	turned("\"x\":1,\"metadata\":{\"a\":{\"b\":1,\"c\":[2]}},\"tools\":["
	    "{\"name\":\"a\",\"y\":{},\"x\":1}],\"system\":[{\"type\":\"text\","
	    "\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":"
	    "\"1h\"}}],\"messages\":[" BOT("[{\"type\":\"tool_use\",\"id\":"
	    "\"i\",\"name\":\"n\",\"input\":{\"caller\":1},\"caller\":{}}]")
	    "," USER("[{\"type\":\"image\",\"source\":{\"type\":\"base64\","
	    "\"data\":\"AA==\",\"z\":[1,{\"z\":2}]}}]") "]",
	    "\"metadata\":{\"a\":{\"c\":[2]}},\"tools\":[{\"name\":\"a\","
	    "\"x\":1}],\"system\":[" MARKED("s") "],\"messages\":[" BOT("["
	    "{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"n\",\"input\":"
	    "{\"caller\":1}}]") "," USER("[{\"type\":\"image\",\"source\":"
	    "{\"type\":\"base64\",\"data\":\"AA==\"}}]") "]",
	    "BR-25 what was refused goes, everywhere it has that shape");
	T(world_noted(&w, "members"), "BR-25 named");
	learned("metadata.a.c");
	turned("\"metadata\":{\"a\":{\"b\":1}}," HELLO, "\"metadata\":"
	    "{\"a\":{}}," HELLO, "BR-25 what is left empty");
	bedrock_learned(&w.c)->no_top_p = 1;
	turned("\"top_p\":1,\"temperature\":1," HELLO, "\"temperature\":1,"
	    HELLO, "BR-25 top_p");
	bedrock_learned(&w.c)->no_sampling = 1;
	turned("\"top_p\":1,\"temperature\":1,\"top_k\":1," HELLO, HELLO,
	    "BR-25 all three");
	bedrock_learned(&w.c)->max_tokens = 5;
	T_STR(sent("claude-opus-4-5", HELLO), S(OLD ",\"max_tokens\":5,"
	    HELLO "}"), "BR-25 max_tokens");
	T(world_noted(&w, "max_tokens"), "BR-25 named");
	bedrock_learned(&w.c)->max_tokens = 10;
	T_STR(sent("claude-opus-4-5", HELLO), S(OLD ",\"max_tokens\":9,"
	    HELLO "}"), "BR-25 less is left alone");
}

static void test_count(void)
{
	static const char body[] = "{\"model\":\"claude-opus-4-5\"," HELLO
	    "}";

	forget();
	world_call(&w, S(body), CALL_COUNT);
	bedrock_resolve(&w.c, &w.st.model);
	T_INT(bedrock_invoke(&w.c, &w.st), OK, "BR-130");
	T_STR(world_body(&w), S(OLD ",\"max_tokens\":1," HELLO "}"),
	    "BR-130 max_tokens if absent");
	T_INT(w.c.estimate, 9, "BR-133 2 bytes, one message");
	sent("claude-opus-5-5", "\"system\":\"0123456789\\n\\u00e9\","
	    "\"tools\":[{\"name\":\"abcd\"}]," HELLO);
	T_INT(w.c.estimate, (14 + 15 + 2) * 10 / 25 + 1 + 350 + 8,
	    "BR-133 a finer tokenizer");
	sent("claude-3-haiku-20240307", "\"messages\":[" USER("\"0x1f 0x2e "
	    "0x3d 0x4c 0x5b 0x6a 0x79 0x88 {}{}{}[][];;,,--++ 0x1f 0x2e 0x3d "
	    "0x4c 0x5b 0x6a 0x79 0x88\"") "]");
	T(w.c.estimate > 8 + 103 * 10 / 33 + 1,
	    "BR-133 what is dense counts for more: %ld", (long)w.c.estimate);
}

/* ---- the answer ---- */

static int chunk(const char *event)
{
	char room[8192], json[8192];
	struct buf b = buf_on(room, sizeof room);

	buf_base64(&b, str_of(event));
	snprintf(json, sizeof json, "{\"bytes\":\"%.*s\",\"p\":\"abc\"}",
	    (int)b.n, room);
	return bedrock_invoke_event(&w.c, &w.st, str_of(json));
}

static void listen(void)
{
	world_call(&w, S(""), CALL_MESSAGES);
	w.broken = NULL;
}

#define START(usage) "{\"type\":\"message_start\",\"message\":{\"model\":" \
	"\"x\",\"id\":\"msg_bdrk_1\",\"usage\":{" usage "}}}"
#define DELTA "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":" \
	"\"end_turn\"},\"usage\":{\"output_tokens\":5}}"
#define METRICS "{\"type\":\"message_stop\",\"amazon-bedrock-invocation" \
	"Metrics\":{\"inputTokenCount\":14,\"outputTokenCount\":6," \
	"\"cacheReadInputTokenCount\":3,\"cacheWriteInputTokenCount\":2}}"

static void test_stream(void)
{
	size_t room;

	listen();
	T_INT(chunk(START("\"input_tokens\":7,\"output_tokens\":1")), OK,
	    "BR-32");
	T_INT(chunk("{\"type\":\"content_block_start\",\"index\":0,"
	    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}"), OK, "BR-31");
	room = arena_room(&w.a);
	T_INT(chunk("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
	    "{\"type\":\"text_delta\",\"text\":\"a\\u00e9\"}}"), OK,
	    "BR-31 AW-29");
	T_INT(chunk("{\"type\":\"ping\"}"), OK, "BR-39");
	T_INT(chunk("{\"no\":\"type\"}"), OK, "BR-31 no type");
	T_INT(bedrock_invoke_event(&w.c, &w.st, S("{\"p\":\"x\"}")), OK,
	    "AW-28 padding alone");
	T_INT(bedrock_invoke_event(&w.c, &w.st, S("{\"bytes\":null}")), OK,
	    "AW-28 null is absent");
	T_INT(chunk("{\"type\":\"content_block_stop\",\"index\":0}"), OK,
	    "BR-31");
	T_INT(arena_room(&w.a), room, "nothing is kept");
	T_INT(chunk(DELTA), OK, "BR-34 held");
	T_INT(chunk(METRICS), CALL_DONE, "BR-33");
	T_STR(buf_str(&w.line), S("start msg_bdrk_1 T{a\\u00e9} end_turn "
	    "7/5/0/0."), "BR-34 what is present isn't overwritten");
	T(!w.broken, "%s", w.broken);

	listen();
	chunk(START(""));
	chunk(DELTA);
	T_INT(chunk(METRICS), CALL_DONE, "BR-34");
	T_STR(buf_str(&w.line), S("start msg_bdrk_1 end_turn 14/5/3/2."),
	    "BR-34 what was missing");

	listen();
	chunk(START(""));
	chunk("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
	    "\"max_tokens\"},\"usage\":{\"input_tokens\":8,\"output_tokens\":"
	    "5}}");
	chunk(METRICS);
	T_STR(buf_str(&w.line), S("start msg_bdrk_1 max_tokens 8/5/0/0."),
	    "BR-34 said later");

	listen();
	chunk(START("\"input_tokens\":7"));
	T_INT(chunk("{\"type\":\"error\",\"error\":{\"type\":"
	    "\"overloaded_error\",\"message\":\"Overloaded\"}}"), E_FAULT,
	    "BR-35");
	T_STR(world_fault(&w), S("529 overloaded_error Overloaded"),
	    "BR-35 as it is");

	listen();
	chunk(START("\"input_tokens\":7"));
	chunk(DELTA);
	T_INT(chunk("{\"type\":\"message_stop\","
	    "\"amazon-bedrock-guardrailAction\":\"INTERVENED\"}"), CALL_DONE,
	    "BR-123");
	T_STR(buf_str(&w.line), S("start msg_bdrk_1 refusal 7/5/0/0."),
	    "BR-123");
}

static void test_bad_chunks(void)
{
	static const char *const payloads[] = {
		"{", "", "{\"bytes\":\"****\"}", "{\"bytes\":\"eyJ\"}",
		"{\"bytes\":\"e-_9\"}", "{\"bytes\":\"e30=e30=\"}",
		"{\"bytes\":\"e30 \"}", "{\"bytes\":\"bm8g\"}",
		"{\"bytes\":\"====\"}"
	};
	size_t i;

	for (i = 0; i < COUNT(payloads); i++) {
		listen();
		T_INT(bedrock_invoke_event(&w.c, &w.st, str_of(payloads[i])),
		    E_FAULT, "BR-31, AW-28 %s", payloads[i]);
		T_INT(w.c.fault.status, 502, "BR-31 %s", payloads[i]);
	}
	listen();
	T_INT(bedrock_invoke_event(&w.c, &w.st, S("{\"bytes\":\"eyJ0eXBlIjoi"
	    "cGluZyJ9\\u0020\"}")), E_FAULT, "BR-31 blanks aren't digits");
	T_INT(bedrock_invoke_event(&w.c, &w.st, S("{\"bytes\":\"eyJ0eXBlIjoi"
	    "cGluZy\\u004a9\"}")), OK, "escapes are JSON's");
}

static void test_whole(void)
{
	static const char text[] = "{\"id\":\"msg_bdrk_2\",\"type\":\"message\","
	    "\"role\":\"assistant\",\"model\":\"x\",\"content\":[{\"type\":"
	    "\"thinking\",\"thinking\":\"h\",\"signature\":\"s\"},{\"type\":"
	    "\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"toolu_1\","
	    "\"name\":\"n\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\","
	    "\"usage\":{\"input_tokens\":7,\"output_tokens\":5},"
	    "\"amazon-bedrock-trace\":{}}";
	static const char bare[] = "{\"content\":[],\"stop_reason\":"
	    "\"end_turn\"}";

	listen();
	T_INT(bedrock_invoke_answer(&w.c, &w.st, S(text)), CALL_DONE, "BR-30");
	T_STR(buf_str(&w.line), S("start msg_bdrk_2 R{h~s} T{a} C{toolu_1 n "
	    "{\\\"a\\\":1}} tool_use 7/5/0/0."), "BR-30");
	listen();
	T_INT(bedrock_invoke_answer(&w.c, &w.st, S(bare)), CALL_DONE, "BR-30");
	T_STR(buf_str(&w.line), S("start msg_ours end_turn 99/0/0/0."),
	    "BR-30 an id of ours, an estimate");
	listen();
	w.head = (struct http_head){ .status = 200 };
	world_field(&w.head, "x-amzn-bedrock-input-token-count", "14");
	world_field(&w.head, "x-amzn-bedrock-output-token-count", "6");
	world_field(&w.head, "X-Amzn-Bedrock-Cache-Read-Input-Token-Count",
	    "3");
	world_field(&w.head, "x-amzn-bedrock-cache-write-input-token-count",
	    "many");
	bedrock_invoke_head(&w.st, &w.head);
	bedrock_invoke_answer(&w.c, &w.st, S(bare));
	T_STR(buf_str(&w.line), S("start msg_ours end_turn 14/6/3/0."),
	    "BR-30 counts of the head");
	listen();
	bedrock_invoke_head(&w.st, &w.head);
	bedrock_invoke_answer(&w.c, &w.st, S(text));
	T(str_ends(buf_str(&w.line), S("tool_use 7/5/0/0.")),
	    "BR-30 the answer's own count");
	listen();
	world_field(&w.head, "x-amzn-bedrock-guardrailaction", "INTERVENED");
	bedrock_invoke_head(&w.st, &w.head);
	bedrock_invoke_answer(&w.c, &w.st, S(text));
	T(str_find(buf_str(&w.line), S(" refusal ")) < w.line.n, "BR-123");
	listen();
	bedrock_invoke_answer(&w.c, &w.st, S("{\"content\":[],"
	    "\"stop_reason\":\"end_turn\",\"amazon-bedrock-guardrailAction\":"
	    "\"INTERVENED\"}"));
	T_STR(buf_str(&w.line), S("start msg_ours refusal 99/0/0/0."),
	    "BR-123 a member");
	listen();
	T_INT(bedrock_invoke_answer(&w.c, &w.st, S("<html>")), E_FAULT,
	    "not JSON");
	T_INT(w.c.fault.status, 502, "not JSON");
	listen();
	T_INT(bedrock_invoke_answer(&w.c, &w.st, S("{\"type\":\"error\","
	    "\"error\":{\"type\":\"invalid_request_error\",\"message\":"
	    "\"no\"}}")), E_FAULT, "BR-35");
	T_STR(world_fault(&w), S("400 invalid_request_error no"), "BR-35");
}

/* Whatever room there is, nothing half is sent, and nothing breaks. */
static void test_room(void)
{
	static const char body[] = "{\"model\":\"claude-opus-4-5\","
	    "\"max_tokens\":1,\"system\":\"s\",\"messages\":["
	    SYS("\"l\"") "," USER("[" TEXT("a") "," MARKED(" ") ",{\"type\":"
	    "\"tool_result\",\"tool_use_id\":\"i\",\"content\":[{\"type\":"
	    "\"tool_reference\",\"tool_name\":\"grep\"}]}]") "," SYS("\"s\"")
	    "],\"tools\":[{\"name\":\"a\",\"strict\":true}],\"output_config\":"
	    "{\"effort\":\"low\"}}";
	char want[4000];
	size_t n, size = 0, i;
	int r;

	forget();
	for (n = 2000; n-- > 0;) {
		world_call(&w, S(body), CALL_MESSAGES);
		bedrock_resolve(&w.c, &w.st.model);
		if (n < arena_room(&w.a))
			w.a.end = w.a.cur + n;
		r = bedrock_invoke(&w.c, &w.st);
		if (size == 0) {
			T_INT(r, OK, "with room");
			size = world_body(&w).n;
			memcpy(want, world_body(&w).p, size);
		}
		T_INT(r, n >= size ? OK : E_FULL, "%zu bytes", n);
		if (r == OK)
			T_STR(world_body(&w), ((struct str){ want, size }),
			    "%zu bytes", n);
	}
	for (n = 0; n < 3000; n += 7) {
		listen();
		w.a.end = w.a.cur + n;
		r = chunk(START("\"input_tokens\":7"));
		for (i = 0; r == OK && i < 3; i++)
			r = chunk("{\"type\":\"content_block_start\",\"index\":0,"
			    "\"content_block\":{\"type\":\"tool_use\",\"id\":"
			    "\"i\",\"name\":\"n\",\"input\":{\"a\":[1,2,3]}}}");
		T(r == OK || r == E_FULL, "%zu bytes", n);
		T(!w.broken && w.a.end == w.memory + n, "%zu bytes", n);
	}
}

/* The streams that others made: payloads of the frames, what comes of them. */
static void test_vectors(void)
{
	static const struct {
		const char *file, *want;
	} cases[] = {
		{ "invoke_claude_text", "start msg_bdrk_01ABCDEF T{H\xc3\xa9llo} "
		    "end_turn 14/5/0/0." },
		{ "invoke_exception_midstream", "start msg_bdrk_01ABCDEF T{500 "
		    "api_error The system encountered an unexpected error "
		    "during processing. Try your request again." },
		{ "invoke_inband_error", "start msg_bdrk_01ABCDEF 529 "
		    "overloaded_error Overloaded" }
	};
	struct eventstream_message m;
	struct eventstream d;
	enum eventstream_kind kind;
	struct str in, name, text;
	char path[100];
	const char *found;
	size_t i;
	int r;

	for (i = 0; i < COUNT(cases); i++) {
		snprintf(path, sizeof path, "vectors/eventstream/%s.bin",
		    cases[i].file);
		found = t_shared(path);
		if (!found)
			continue;
		in = t_file(found);
		listen();
		eventstream_init(&d, 0);
		r = OK;
		while (r == OK && eventstream_next(&d, &in, &m) == OK) {
			kind = eventstream_kind(&m, &name, &text);
			r = kind == EVENTSTREAM_EVENT ?
			    bedrock_invoke_event(&w.c, &w.st, m.payload) :
			    bedrock_exception(&w.c, &w.st, name, text,
			    kind == EVENTSTREAM_EXCEPTION);
		}
		T_INT(r, i ? E_FAULT : CALL_DONE, "%s", cases[i].file);
		if (r == E_FAULT)
			buf_put(&w.line, world_fault(&w));
		T_STR(buf_str(&w.line), str_of(cases[i].want),
		    "BR-31..36 %s", cases[i].file);
	}
}

int main(void)
{
	test_top();
	test_thinking();
	test_nothing_to_say();
	test_version();
	test_betas();
	test_tools();
	test_system();
	test_blocks();
	test_ids();
	test_turn_effort();
	test_odd();
	test_learned();
	test_count();
	test_stream();
	test_bad_chunks();
	test_whole();
	test_room();
	test_vectors();
	return t_done("bedrock_invoke");
}
