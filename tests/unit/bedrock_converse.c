/* bedrock_converse.c -- tests of the request for Converse (BR-50..BR-69).
 *
 * Each row is a request for a model, and what its body has at a path: NULL for
 * nothing. ' stands for ", in the request and in what is expected.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/bedrock_converse.c"
#include "../bedrock_converse.h"

static struct conv w;

static struct str quoted(const char *s)
{
	static char room[1 << 16];
	struct buf b = buf_on(room, sizeof room);

	for (; *s; s++)
		buf_chr(&b, *s == '\'' ? '"' : *s);
	return buf_str(&b);
}

struct row {
	const char *label, *model, *members, *path, *want, *noted;
};

static void run(const struct row *rows, size_t n)
{
	static const char *last_model, *last_members;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		/* NULL: as in the row before. */
		last_model = rows[i].model ? rows[i].model : last_model;
		last_members = rows[i].members ? rows[i].members :
		    last_members;
		r = conv_encode(&w, last_model, last_members, CALL_MESSAGES);
		if (!T(r == OK, "%s: encode says %d %.*s", rows[i].label, r,
		    r == E_FAULT ? (int)w.c.fault.n : 0, w.c.fault.text))
			continue;
		T_STR(json_raw(conv_at(&w, rows[i].path)),
		    quoted(rows[i].want ? rows[i].want : ""), "%s: %s of %s",
		    rows[i].label, rows[i].path, last_model);
		if (rows[i].noted)
			T(conv_noted(&w, rows[i].noted), "%s: note \"%s\"",
			    rows[i].label, rows[i].noted);
	}
}
#define RUN(rows) run((rows), COUNT(rows))

#define ADDITIONAL "additionalModelRequestFields"

/* ---- 7.1 ---- */

static void test_fields(void)
{
	static const struct row rows[] = {
		{ "7.1 system string", CLAUDE_45, "'system':'Be kind.'",
		    "system", "[{'text':'Be kind.'}]", NULL },
		{ "7.1 system blocks", CLAUDE_45, "'system':[{'type':'text',"
		    "'text':'a'},{'type':'text','text':'b','cache_control':"
		    "{'type':'ephemeral'}}]", "system", "[{'text':'a'},"
		    "{'text':'b'},{'cachePoint':{'type':'default'}}]", NULL },
		{ "BR-143 billing line", CLAUDE_45, "'system':[{'type':'text',"
		    "'text':'x-anthropic-billing-header: cc=1;'},"
		    "{'type':'text','text':'b'}]", "system",
		    "[{'text':'b'}]", "dropped system" },
		{ "BR-55 no system at all", CLAUDE_45, "'system':"
		    "[{'type':'text','text':'x-anthropic-billing-header: 1'}]",
		    "system", NULL, NULL },
		{ "7.1 max_tokens", CLAUDE_45, "'max_tokens':77",
		    "inferenceConfig", "{'maxTokens':77}", NULL },
		{ "BR-51 max_tokens clamped", NOVA, "'max_tokens':64000",
		    "inferenceConfig.maxTokens", "10000",
		    "clamped max_tokens" },
		{ "7.1 temperature", NOVA, "'temperature':0.25,'top_p':0.5",
		    "inferenceConfig", "{'maxTokens':4096,'temperature':0.25,"
		    "'topP':0.5}", NULL },
		{ "7.1 temperature above 1", NOVA, "'temperature':1.5",
		    "inferenceConfig.temperature", "1",
		    "clamped temperature" },
		{ "7.1 temperature below 0", NOVA, "'temperature':-0.1",
		    "inferenceConfig.temperature", "0",
		    "clamped temperature" },
		{ "7.1 temperature exponent", NOVA, "'temperature':5e-1",
		    "inferenceConfig.temperature", "5e-1", NULL },
		{ "7.1 stop sequences", LLAMA, "'stop_sequences':['a','\\n',"
		    "'b','']", "inferenceConfig.stopSequences", "['a','b']",
		    "dropped stop_sequences" },
		{ "7.1 blank stops alone", LLAMA, "'stop_sequences':[' ']",
		    "inferenceConfig", "{'maxTokens':4096}", NULL },
		{ "7.1 at most four for Nova", NOVA, "'stop_sequences':"
		    "['1','2','3','4','5']", "inferenceConfig.stopSequences",
		    "['1','2','3','4']", "dropped stop_sequences" },
		{ "7.1 Claude says which stop", CLAUDE_45,
		    "'stop_sequences':['x']",
		    "additionalModelResponseFieldPaths",
		    "['/stop_sequence']", NULL },
		{ "7.1 and so when streamed", CLAUDE_45,
		    "'stop_sequences':['x'],'stream':true",
		    "additionalModelResponseFieldPaths",
		    "['/delta/stop_sequence']", NULL },
		{ "7.1 others don't", NOVA, "'stop_sequences':['x']",
		    "additionalModelResponseFieldPaths", NULL, NULL },
		{ "7.1 top_k Claude", CLAUDE_45, "'top_k':7", ADDITIONAL,
		    "{'top_k':7}", NULL },
		{ "7.1 top_k Nova", NOVA, "'top_k':7", ADDITIONAL,
		    "{'inferenceConfig':{'topK':7}}", NULL },
		{ "7.1 top_k Cohere", COHERE, "'top_k':7", ADDITIONAL,
		    "{'k':7}", NULL },
		{ "7.1 top_k Llama", LLAMA, "'top_k':7", ADDITIONAL, NULL,
		    "dropped top_k" },
		{ "7.1 metadata", CLAUDE_45, "'metadata':{'user_id':'u'}",
		    "requestMetadata", NULL, "dropped metadata" },
		{ "7.1 what Converse has no field for", CLAUDE_45,
		    "'service_tier':'auto','mcp_servers':[],'context_management"
		    "':{'edits':[]},'container':'c'", "", "{'messages':"
		    "[{'role':'user','content':[{'text':'hi'}]}],"
		    "'inferenceConfig':{'maxTokens':4096}}",
		    "dropped context_management" },
	};

	RUN(rows);
}

static void test_sampling(void)
{
	static const struct row rows[] = {
		{ "BR-50 4.5: not both", CLAUDE_45, "'temperature':0.5,"
		    "'top_p':0.9", "inferenceConfig",
		    "{'maxTokens':4096,'temperature':0.5}", "dropped top_p" },
		{ "BR-50 4.5: top_p alone", CLAUDE_45, "'top_p':0.9",
		    "inferenceConfig", "{'maxTokens':4096,'topP':0.9}", NULL },
		{ "BR-50 4.0: both", CLAUDE_40, "'temperature':0.5,"
		    "'top_p':0.9", "inferenceConfig", "{'maxTokens':4096,"
		    "'temperature':0.5,'topP':0.9}", NULL },
		{ "BR-50 4.7 and later: none", CLAUDE_5, "'temperature':1,"
		    "'top_p':0.9,'top_k':5", "inferenceConfig",
		    "{'maxTokens':4096}", "dropped temperature" },
		{ "BR-50 4.7 and later: none", NULL, NULL, ADDITIONAL, NULL,
		    "dropped top_k" },
		{ "BR-50 thinking: none", CLAUDE_45, "'temperature':1,"
		    "'top_p':0.9,'top_k':5,'thinking':{'type':'enabled',"
		    "'budget_tokens':2000}", "inferenceConfig",
		    "{'maxTokens':4096}", "dropped top_p" },
		{ "BR-50 thinking: none", NULL, NULL, ADDITIONAL,
		    "{'thinking':{'type':'enabled','budget_tokens':2000}}",
		    "dropped top_k" },
		{ "BR-50 thinking disabled", CLAUDE_45, "'temperature':1,"
		    "'thinking':{'type':'disabled'}", "inferenceConfig",
		    "{'maxTokens':4096,'temperature':1}", NULL },
		{ "BR-50 Nova 2 at high", NOVA_2, "'temperature':1,'top_p':1,"
		    "'thinking':{'type':'enabled','budget_tokens':20000}", "",
		    "{'messages':[{'role':'user','content':[{'text':'hi'}]}],"
		    "'additionalModelRequestFields':{'reasoningConfig':"
		    "{'type':'enabled','maxReasoningEffort':'high'}}}",
		    "dropped max_tokens" },
	};

	RUN(rows);
}

static void test_thinking(void)
{
	static const struct row rows[] = {
		{ "7.1 thinking unchanged", CLAUDE_5, "'thinking':"
		    "{'type':'adaptive','display':'omitted'}", ADDITIONAL,
		    "{'thinking':{'type':'adaptive','display':'omitted'}}",
		    NULL },
		{ "BR-50 budget below max_tokens", CLAUDE_45, "'max_tokens':"
		    "3000,'thinking':{'type':'enabled','budget_tokens':5000}",
		    ADDITIONAL ".thinking.budget_tokens", "2999",
		    "clamped thinking.budget_tokens" },
		{ "BR-50 budget under 1024", CLAUDE_45, "'max_tokens':1000,"
		    "'thinking':{'type':'enabled','budget_tokens':5000}",
		    ADDITIONAL, NULL, "dropped thinking" },
		{ "adaptive, of a model that isn't", CLAUDE_45, "'max_tokens':"
		    "64000,'thinking':{'type':'adaptive','display':'omitted'}",
		    ADDITIONAL, "{'thinking':{'type':'enabled',"
		    "'budget_tokens':31999,'display':'omitted'}}",
		    "changed thinking.type" },
		{ "adaptive, by effort", CLAUDE_40, "'max_tokens':"
		    "64000,'thinking':{'type':'adaptive'},'output_config':"
		    "{'effort':'medium'}", ADDITIONAL ".thinking",
		    "{'type':'enabled','budget_tokens':16384}", NULL },
		{ "adaptive, with little room", CLAUDE_45, "'max_tokens':900,"
		    "'thinking':{'type':'adaptive'}", ADDITIONAL, NULL,
		    "dropped thinking" },
		{ "between_tools is off", CLAUDE_45, "'thinking':{'type':"
		    "'between_tools'}", ADDITIONAL ".thinking",
		    "{'type':'disabled'}", "changed thinking.type" },
		{ "newer ones know both", CLAUDE_46, "'thinking':{'type':"
		    "'between_tools'}", ADDITIONAL ".thinking",
		    "{'type':'between_tools'}", NULL },
		{ "display needs its beta", CLAUDE_5, "'thinking':{'type':"
		    "'adaptive','display':'updates'}", ADDITIONAL,
		    "{'thinking':{'type':'adaptive'}}",
		    "dropped thinking.display" },
		{ "display with its beta", CLAUDE_5, "'betas':"
		    "['thinking-display-updates-2026-08-18'],'thinking':"
		    "{'type':'adaptive','display':'updates'}", ADDITIONAL,
		    "{'thinking':{'type':'adaptive','display':'updates'},"
		    "'anthropic_beta':['thinking-display-updates-2026-08-18']}"
		    , NULL },
		{ "7.1 thinking of old ones",
		    "anthropic.claude-3-haiku-20240307-v1:0",
		    "'thinking':{'type':'enabled','budget_tokens':2000}",
		    ADDITIONAL, NULL, "dropped thinking" },
		{ "7.1 Nova 1 has none", NOVA,
		    "'thinking':{'type':'enabled','budget_tokens':2000}",
		    ADDITIONAL, NULL, "dropped thinking" },
		{ "Nova 2: low", NOVA_2,
		    "'thinking':{'type':'enabled','budget_tokens':2000}",
		    ADDITIONAL ".reasoningConfig",
		    "{'type':'enabled','maxReasoningEffort':'low'}", NULL },
		{ "Nova 2: xhigh is high", NOVA_2, "'thinking':{'type':"
		    "'adaptive'},'output_config':{'effort':'xhigh'}",
		    ADDITIONAL ".reasoningConfig.maxReasoningEffort",
		    "'high'", NULL },
		{ "Nova 2: adaptive alone", NOVA_2,
		    "'thinking':{'type':'adaptive'}", ADDITIONAL
		    ".reasoningConfig.maxReasoningEffort", "'medium'", NULL },
		{ "Nova 2: off", NOVA_2, "'thinking':{'type':'disabled'}",
		    ADDITIONAL, NULL, NULL },
		{ "gpt-oss by effort", GPT_OSS,
		    "'output_config':{'effort':'max'}", ADDITIONAL,
		    "{'reasoning_effort':'high'}", NULL },
		{ "gpt-oss by budget", GPT_OSS, "'thinking':"
		    "{'type':'enabled','budget_tokens':8000}", ADDITIONAL,
		    "{'reasoning_effort':'medium'}", NULL },
		{ "gpt-oss off is low", GPT_OSS,
		    "'thinking':{'type':'disabled'}", ADDITIONAL,
		    "{'reasoning_effort':'low'}", NULL },
		{ "DeepSeek has no control", DEEPSEEK,
		    "'thinking':{'type':'adaptive'},"
		    "'output_config':{'effort':'low'}", ADDITIONAL, NULL,
		    "dropped output_config.effort" },
		{ "7.1 effort", CLAUDE_5, "'output_config':"
		    "{'effort':'xhigh'}", ADDITIONAL,
		    "{'output_config':{'effort':'xhigh'}}", NULL },
		/* FN-24: beside thinking, not inside it. */
		{ "FN-24 effort and thinking are siblings", CLAUDE_5,
		    "'thinking':{'type':'adaptive'},'output_config':"
		    "{'effort':'high'}", ADDITIONAL,
		    "{'thinking':{'type':'adaptive'},'output_config':"
		    "{'effort':'high'}}", NULL },
		{ "BR-23 effort of 4.5 with its beta", CLAUDE_45,
		    "'output_config':{'effort':'low'}", ADDITIONAL,
		    "{'output_config':{'effort':'low'},'anthropic_beta':"
		    "['effort-2025-11-24']}", NULL },
		{ "7.1 effort of older ones", CLAUDE_40,
		    "'output_config':{'effort':'low'}", ADDITIONAL, NULL,
		    "dropped output_config.effort" },
	};

	RUN(rows);
}

static void test_format(void)
{
#define SCHEMA "'output_config':{'format':{'type':'json_schema'," \
	"'schema':{'type':'object', 'properties':{}}}}"
	static const struct row rows[] = {
		{ "a schema for the answer", CLAUDE_45, SCHEMA,
		    "outputConfig.textFormat.structure.jsonSchema", "{'name':"
		    "'output','schema':'{\\'type\\':\\'object\\',"
		    "\\'properties\\':{}}'}", NULL },
		{ "as text where there is none", CLAUDE_5, SCHEMA,
		    "system.0.text", "'Answer with one JSON object that "
		    "matches this JSON Schema, and with nothing else:\\n"
		    "{\\'type\\':\\'object\\',\\'properties\\':{}}'",
		    "changed output_config.format" },
		{ "and no field then", NULL, NULL, "outputConfig", NULL,
		    NULL },
	};
#undef SCHEMA

	RUN(rows);
}

/* ---- 7.2 ---- */

#define MESSAGES(list) "'messages':[" list "]"
#define USER(content) "{'role':'user','content':" content "}"
#define BOT(content) "{'role':'assistant','content':" content "}"
#define SYS(content) "{'role':'system','content':" content "}"
#define USE(id, name) "{'type':'tool_use','id':'" id "','name':'" name \
	"','input':{'a':1}}"
#define RESULT(id, text) "{'type':'tool_result','tool_use_id':'" id \
	"','content':'" text "'}"
#define TOOLS "'tools':[{'name':'f','input_schema':{'type':'object'}}],"

static void test_roles(void)
{
	static const struct row rows[] = {
		{ "BR-52 neighbours merge", CLAUDE_45, MESSAGES(USER("'a'") ","
		    USER("'b'") "," BOT("'c'") "," BOT("'d'") "," USER("'e'")),
		    "messages", "[" USER("[{'text':'a'},{'text':'b'}]") ","
		    BOT("[{'text':'c'},{'text':'d'}]") ","
		    USER("[{'text':'e'}]") "]", NULL },
		{ "BR-52 the user begins", NOVA, MESSAGES(BOT("'c'") ","
		    USER("'e'")), "messages.0", USER("[{'text':"
		    "'(continue)'}]"), "added messages" },
		{ "BR-53 prefill", CLAUDE_45, MESSAGES(USER("'a'") ","
		    BOT("'so \\n \\u2003'")), "messages.1",
		    BOT("[{'text':'so'}]"), NULL },
		{ "BR-53 prefill of 4.6", CLAUDE_46, MESSAGES(USER("'a'") ","
		    BOT("'so '")), "messages.2", USER("[{'text':"
		    "'(continue)'}]"), "changed messages" },
		{ "BR-53 and of others", LLAMA, MESSAGES(USER("'a'") ","
		    BOT("'so '")), "messages.2", USER("[{'text':"
		    "'(continue)'}]"), "changed messages" },
		{ "BR-54 leading system messages", CLAUDE_45,
		    "'system':'x'," MESSAGES(SYS("'y'") "," USER("'a'")),
		    "system", "[{'text':'x'},{'text':'y'}]", NULL },
		{ "BR-54 later ones, in place", CLAUDE_45, MESSAGES(USER("'a'")
		    "," BOT("'b'") "," SYS("'y'") "," USER("'c'")),
		    "messages.2", USER("[{'text':'<system-reminder>\\ny\\n"
		    "</system-reminder>'},{'text':'c'}]"),
		    "changed messages.role" },
		{ "BR-54 behind results", CLAUDE_45, TOOLS MESSAGES(USER("'a'")
		    "," BOT("[" USE("t1", "f") "]") "," SYS("'y'") ","
		    USER("[" RESULT("t1", "r") "]")), "messages.2",
		    USER("[{'toolResult':{'toolUseId':'t1','content':"
		    "[{'text':'r'}]}},{'text':'<system-reminder>\\ny\\n"
		    "</system-reminder>'}]"), NULL },
		{ "BR-54 cleared at the next user's", CLAUDE_45, MESSAGES(
		    USER("'a'") "," BOT("'b'") ",{'role':'system','content':"
		    "'y','clear_at':'next_user_message'}," USER("'c'") ","
		    "{'role':'system','content':'z','clear_at':"
		    "'next_user_message'}"), "messages.2", USER("[{'text':'c'}"
		    ",{'text':'<system-reminder>\\nz\\n"
		    "</system-reminder>'}]"), NULL },
		{ "BR-54 nothing but system", CLAUDE_45, MESSAGES(SYS("'x'")
		    "," SYS("'y'")), "messages", "[" USER("[{'text':"
		    "'<system-reminder>\\ny\\n</system-reminder>'}]") "]",
		    NULL },
		{ "BR-55 FN-28 blank text", CLAUDE_45, MESSAGES(USER("[{'type':"
		    "'text','text':' \\u00a0\\u200b\\t'},{'type':'text',"
		    "'text':'a'}]")), "messages.0", USER("[{'text':'a'}]"),
		    NULL },
		{ "BR-55 unescaped blanks", CLAUDE_45, MESSAGES(USER("[{'type'"
		    ":'text','text':'\xe2\x80\x83\xe3\x80\x80\xef\xbb\xbf'},"
		    "{'type':'text','text':'a'}]")), "messages.0",
		    USER("[{'text':'a'}]"), NULL },
		{ "BR-55 FN-28 an empty user message", CLAUDE_45,
		    MESSAGES(USER("'\\u200b'")), "messages",
		    "[" USER("[{'text':'(no content)'}]") "]",
		    "added messages.content" },
		{ "BR-55 an empty one of the assistant", CLAUDE_45,
		    MESSAGES(USER("'a'") "," BOT("'\\u200b'") ","
		    USER("'b'")), "messages",
		    "[" USER("[{'text':'a'},{'text':'b'}]") "]", NULL },
		{ "BR-56 lone surrogates", CLAUDE_45, MESSAGES(USER(
		    "'a\\ud83d b\\ud83d\\ude80'")), "messages.0.content.0.text",
		    "'a\\ufffd b\\ud83d\\ude80'", NULL },
		{ "BR-66 no system field", MISTRAL_7B, "'system':'x',"
		    MESSAGES(USER("'a'")), "messages", "[" USER("[{'text':"
		    "'x'},{'text':'a'}]") "]", "changed system" },
		{ "BR-66 no system field", NULL, NULL, "system", NULL, NULL },
	};

	RUN(rows);
}

static void test_pairs(void)
{
#define A "messages.1.content"
#define B "messages.2.content"
	static const struct row rows[] = {
		{ "BR-59 results first", CLAUDE_45, TOOLS MESSAGES(USER("'a'")
		    "," BOT("[" USE("t1", "f") "," USE("t2", "f") "]") ","
		    USER("[{'type':'text','text':'so'}," RESULT("t2", "2") ","
		    RESULT("t1", "1") "]")), B, "[{'toolResult':"
		    "{'toolUseId':'t2','content':[{'text':'2'}]}},"
		    "{'toolResult':{'toolUseId':'t1','content':"
		    "[{'text':'1'}]}},{'text':'so'}]", NULL },
		{ "BR-59 a missing one", CLAUDE_45, TOOLS MESSAGES(USER("'a'")
		    "," BOT("[" USE("t1", "f") "," USE("t2", "f") "]") ","
		    USER("[" RESULT("t2", "2") "]")), B ".1",
		    "{'toolResult':{'toolUseId':'t1','content':[{'text':"
		    "'(no result: interrupted)'}],'status':'error'}}",
		    "added tool_result" },
		{ "BR-59 an orphan", CLAUDE_45, TOOLS MESSAGES(USER("["
		    RESULT("t9", "9") "]")), "messages.0.content",
		    "[{'text':'[tool result: 9]'}]", "changed tool_result" },
		{ "BR-59 a second result", CLAUDE_45, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("t1", "f") "]") "," USER("["
		    RESULT("t1", "1") "," RESULT("t1", "2") "]")), B,
		    "[{'toolResult':{'toolUseId':'t1','content':"
		    "[{'text':'1'}]}},{'text':'[tool result: 2]'}]", NULL },
		{ "BR-59 a second call", CLAUDE_45, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("t1", "f") "," USE("t1", "f")
		    "]") "," USER("[" RESULT("t1", "1") "]")), A,
		    "[{'toolUse':{'toolUseId':'t1','name':'f','input':"
		    "{'a':1}}},{'text':'[tool call f: {\\'a\\':1}]'}]", NULL },
		{ "BR-59 a call at the end", CLAUDE_45, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("t1", "f") "]")), "messages.2",
		    USER("[{'toolResult':{'toolUseId':'t1','content':[{'text':"
		    "'(no result: interrupted)'}],'status':'error'}}]"),
		    NULL },
		{ "BR-59 a result too late", CLAUDE_45, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("t1", "f") "]") "," USER("'b'")
		    "," BOT("'c'") "," USER("[" RESULT("t1", "1") "]")),
		    "messages.4.content", "[{'text':'[tool result: 1]'}]",
		    NULL },
		{ "BR-60 an id with a dot", CLAUDE_45, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("t.1", "f") "]") "," USER("["
		    RESULT("t.1", "1") "]")), A ".0.toolUse.toolUseId",
		    "'tu_61a4dd05ca40f09703979bf6'", "renamed tool_use.id" },
		{ "BR-60 the same for its result", NULL, NULL,
		    B ".0.toolResult.toolUseId",
		    "'tu_61a4dd05ca40f09703979bf6'", NULL },
		{ "BR-60 however it is spelled", CLAUDE_45, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("t\\u002e1", "f") "]") ","
		    USER("[" RESULT("t.1", "1") "]")), B,
		    "[{'toolResult':{'toolUseId':"
		    "'tu_61a4dd05ca40f09703979bf6','content':"
		    "[{'text':'1'}]}}]", NULL },
		{ "BR-60 Mistral: nine", MISTRAL, TOOLS MESSAGES(USER("'a'")
		    "," BOT("[" USE("abcDEF123", "f") "," USE("toolu_01", "f")
		    "]")), A ".0.toolUse.toolUseId", "'abcDEF123'", NULL },
		{ "BR-60 Mistral: too short, so of the hash", NULL, NULL,
		    A ".1.toolUse.toolUseId", "'e53365mze'",
		    "renamed tool_use.id" },
		{ "BR-60 Mistral: the first nine", MISTRAL, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("toolu_01abX", "f") ","
		    USE("toolu_01abY", "f") "]") "," USER("["
		    RESULT("toolu_01abY", "y") "," RESULT("toolu_01abX", "x")
		    "]")), A ".0.toolUse.toolUseId", "'toolu01ab'",
		    "renamed tool_use.id" },
		{ "BR-60 Mistral: a clash", NULL, NULL,
		    A ".1.toolUse.toolUseId", "'pkc1bt1sp'", NULL },
		{ "BR-60 Mistral: so its result", NULL, NULL,
		    B ".0.toolResult.toolUseId", "'pkc1bt1sp'", NULL },
		{ "BR-60 Mistral: and the other's", NULL, NULL,
		    B ".1.toolResult.toolUseId", "'toolu01ab'", NULL },
	};
#undef A
#undef B

	RUN(rows);
}

/* ---- 7.3 ---- */

#define PNG "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAA="
#define IMAGE(media, data) "{'type':'image','source':{'type':'base64'," \
	"'media_type':'" media "','data':'" data "'}}"
#define FILE64(title, media, data) "{'type':'document','title':'" title \
	"','source':{'type':'base64','media_type':'" media "','data':'" \
	data "'}}"

static void test_images(void)
{
#define C "messages.0.content"
	static const struct row rows[] = {
		{ "7.3 text", CLAUDE_45, MESSAGES(USER("[{'type':'text','text'"
		    ":'a\\nb','citations':[]}]")), C, "[{'text':'a\\nb'}]",
		    NULL },
		{ "7.3 image", NOVA, MESSAGES(USER("[" IMAGE("image/png", PNG)
		    "]")), C, "[{'image':{'format':'png','source':{'bytes':'"
		    PNG "'}}}]", NULL },
		{ "7.3 its bytes know better", NOVA, MESSAGES(USER("["
		    IMAGE("image/gif", PNG) "]")), C ".0.image.format",
		    "'png'", NULL },
		{ "7.3 jpg is jpeg", NOVA, MESSAGES(USER("["
		    IMAGE("image/jpg", "AAAA") "]")), C ".0.image.format",
		    "'jpeg'", NULL },
		{ "7. base64 without blanks", NOVA, MESSAGES(USER("["
		    IMAGE("image/png", "AA\\r\\nAA BB\\/\\u002bCC-_") "]")),
		    C ".0.image.source.bytes", "'AAAABB/+CC+/'", NULL },
		{ "7. base64 padded", NOVA, MESSAGES(USER("["
		    IMAGE("image/png", "AAAABB") "," IMAGE("image/png", "AA=")
		    "]")), C ".0.image.source.bytes", "'AAAABB=='", NULL },
		{ "7. base64 padded", NULL, NULL, C ".1.image.source.bytes",
		    "'AA=='", NULL },
		{ "7.3 s3", NOVA, MESSAGES(USER("[{'type':'image','source':"
		    "{'type':'url','url':'s3://b/k.jpg'}}]")), C, "[{'image':"
		    "{'format':'jpeg','source':{'s3Location':{'uri':"
		    "'s3://b/k.jpg'}}}}]", NULL },
		{ "BR-57 only the user's", CLAUDE_45, MESSAGES(USER("'a'") ","
		    BOT("[" IMAGE("image/png", PNG) "]") "," USER("'b'")),
		    "messages", "[" USER("[{'text':'a'},{'text':'b'}]") "]",
		    "dropped image" },
	};

	RUN(rows);
}

static void test_documents(void)
{
	static const struct row rows[] = {
		{ "7.3 pdf", CLAUDE_45, MESSAGES(USER("[" FILE64("Q3 plan",
		    "application/pdf", "JVBERi0x") ",{'type':'text','text':"
		    "'a'}]")), C, "[{'document':{'format':'pdf','name':"
		    "'Q3 plan','source':{'bytes':'JVBERi0x'}}},"
		    "{'text':'a'}]", NULL },
		{ "7.3 docx", NOVA, MESSAGES(USER("[" FILE64("x", "application"
		    "/vnd.openxmlformats-officedocument.wordprocessingml."
		    "document", "AAAA") "]")), C ".0.document.format",
		    "'docx'", NULL },
		{ "7.3 markdown", NOVA, MESSAGES(USER("[" FILE64("x",
		    "text/markdown", "AAAA") "]")), C ".0.document.format",
		    "'md'", NULL },
		{ "7.3 text is a file too", NOVA, MESSAGES(USER("[{'type':"
		    "'document','title':'t','source':{'type':'text',"
		    "'media_type':'text/plain','data':'h\\u00e9\\n'}}]")), C
		    ".0", "{'document':{'format':'txt','name':'t','source':"
		    "{'bytes':'aMOpCg=='}}}", NULL },
		{ "BR-57 a text beside it", NULL, NULL, C ".1",
		    "{'text':'See the attached document.'}", NULL },
		{ "BR-57 a result's text is not beside it", CLAUDE_45, TOOLS
		    MESSAGES(USER("'a'") "," BOT("[" USE("t1", "f") "]") ","
		    USER("[" RESULT("t1", "r") "," FILE64("d",
		    "application/pdf", "AAAA") "]")), "messages.2.content.2",
		    "{'text':'See the attached document.'}", NULL },
		{ "BR-57 nor what says that there is none", CLAUDE_45, TOOLS
		    MESSAGES(USER("'a'") "," BOT("[" USE("t1", "f") "]") ","
		    USER("[" FILE64("d", "application/pdf", "AAAA") "]")),
		    "messages.2.content.2",
		    "{'text':'See the attached document.'}", NULL },
		{ "7.3 content, Claude", CLAUDE_45, MESSAGES(USER("[{'type':"
		    "'document','context':'old','source':{'type':'content',"
		    "'content':[{'type':'text','text':'p'},{'type':'text',"
		    "'text':' '},{'type':'text','text':'q'}]}}]")),
		    C ".0.document", "{'format':'txt','name':'document-1',"
		    "'source':{'content':[{'text':'p'},{'text':'q'}]},"
		    "'context':'old'}", NULL },
		{ "7.3 content, others", NOVA, MESSAGES(USER("[{'type':"
		    "'document','title':'T','source':{'type':'content',"
		    "'content':[{'type':'text','text':'p'}]}}]")), C,
		    "[{'text':'[document T]\\np'}]", NULL },
		{ "BR-57 names", NOVA, MESSAGES(USER("[" FILE64(
		    " a  b_(c)[d]\xc3\xa9.pdf\\n", "application/pdf", "AAAA")
		    "]")), C ".0.document.name", "'a b-(c)[d]--pdf'", NULL },
		{ "BR-57 no name", NOVA, MESSAGES(USER("[" FILE64("a",
		    "application/pdf", "AAAA") "," FILE64(" ",
		    "application/pdf", "AAAA") "]")), C ".1.document.name",
		    "'document-2'", NULL },
		{ "BR-57 once each", NOVA, MESSAGES(USER("[" FILE64("a",
		    "application/pdf", "AAAA") "," FILE64("a",
		    "application/pdf", "AAAA") "," FILE64("a",
		    "application/pdf", "AAAA") "]")), C ".2.document.name",
		    "'a-3'", NULL },
		{ "BR-57 in an assistant's turn", CLAUDE_45, MESSAGES(
		    USER("'a'") "," BOT("[{'type':'document','title':'t',"
		    "'source':{'type':'text','data':'x'}}]") "," USER("'b'")),
		    "messages.1.content", "[{'text':'[document t]\\nx'}]",
		    NULL },
		{ "7.3 search result, Claude", CLAUDE_45, MESSAGES(USER("[{"
		    "'type':'search_result','source':'u','title':'t',"
		    "'content':[{'type':'text','text':'p'}]}]")), C,
		    "[{'searchResult':{'source':'u','title':'t','content':"
		    "[{'text':'p'}],'citations':{'enabled':false}}}]", NULL },
		{ "7.3 search result, others", LLAMA, MESSAGES(USER("[{"
		    "'type':'search_result','source':'u','title':'t',"
		    "'content':[{'type':'text','text':'p'}]}]")), C,
		    "[{'text':'[search result t, u]\\np'}]", NULL },
		{ "7.3 container_upload", CLAUDE_45, MESSAGES(USER("[{'type':"
		    "'container_upload','file_id':'f'}]")), C,
		    "[{'text':'(no content)'}]", "dropped container_upload" },
		{ "7.3 compaction", CLAUDE_45, MESSAGES(USER("'a'") ","
		    BOT("[{'type':'compaction','content':'sum'}]") ","
		    USER("'b'")), "messages.1.content",
		    "[{'text':'sum'}]", NULL },
		{ "7.3 server tools", CLAUDE_45, MESSAGES(USER("'a'") ","
		    BOT("[{'type':'server_tool_use','id':'s','name':"
		    "'web_search','input':{}},{'type':'web_search_tool_result'"
		    ",'tool_use_id':'s','content':[]},{'type':'text','text':"
		    "'x'}]") "," USER("'b'")), "messages.1.content",
		    "[{'text':'x'}]", "dropped server_tool_use" },
	};
#undef C

	RUN(rows);
}

static void test_results(void)
{
#define CALL(result) TOOLS MESSAGES(USER("'a'") "," \
	BOT("[" USE("t1", "f") "]") "," USER("[{'type':'tool_result'," \
	"'tool_use_id':'t1'" result "}]"))
#define R "messages.2.content.0.toolResult"
	static const struct row rows[] = {
		{ "BR-58 nothing left", CLAUDE_45, CALL(""), R ".content",
		    "[{'text':'(no output)'}]", NULL },
		{ "BR-58 blank", CLAUDE_45, CALL(",'content':[{'type':'text',"
		    "'text':'\\n'}]"), R ".content",
		    "[{'text':'(no output)'}]", NULL },
		{ "BR-58 an image", CLAUDE_45, CALL(",'content':["
		    IMAGE("image/png", PNG) "]"), R ".content",
		    "[{'image':{'format':'png','source':{'bytes':'" PNG
		    "'}}}]", NULL },
		{ "BR-58 text only", LLAMA, CALL(",'content':["
		    IMAGE("image/png", PNG) "]"), R ".content",
		    "[{'text':'[image]'}]", "dropped image" },
		{ "BR-58 text only, a link", MISTRAL, CALL(",'content':["
		    "{'type':'image','source':{'type':'url','url':'x'}}]"),
		    R ".content", "[{'text':'[image]'}]", NULL },
		{ "BR-58 a reference", CLAUDE_45, CALL(",'content':[{'type':"
		    "'tool_reference','tool_name':'g h'}]"), R ".content",
		    "[{'text':'Tool available: g_h_0cf976b5'}]", NULL },
		{ "BR-58 anything else", CLAUDE_45, CALL(",'content':[{'type':"
		    "'browser_state','tabs':[ ]}]"), R ".content.0.text",
		    "'{\\'type\\':\\'browser_state\\',\\'tabs\\':[]}'", NULL },
		{ "BR-58 an error", NOVA, CALL(",'is_error':true,'content':"
		    "'no'"), R, "{'toolUseId':'t1','content':[{'text':'no'}],"
		    "'status':'error'}", NULL },
		{ "BR-58 an error, in words", LLAMA, CALL(",'is_error':true,"
		    "'content':'no'"), R, "{'toolUseId':'t1','content':"
		    "[{'text':'Error: no'}]}", NULL },
		{ "BR-58 an error without words", DEEPSEEK, CALL(
		    ",'is_error':true"), "messages.2.content.0.text",
		    "'[tool result: Error: ]'", NULL },
		{ "BR-58 an error without words", LLAMA, CALL(
		    ",'is_error':true"), R ".content",
		    "[{'text':'Error: (no output)'}]", NULL },
		{ "BR-57 a document in a result", CLAUDE_45, CALL(",'content'"
		    ":[" FILE64("d", "application/pdf", "AAAA") "]"),
		    "messages.2.content.1", NULL, NULL },
	};
#undef R

	RUN(rows);
}

static void test_reasoning(void)
{
#define THOUGHT(sign) MESSAGES(USER("'a'") "," BOT("[{'type':'thinking'," \
	"'thinking':'h','signature':'" sign "'},{'type':'text','text':'t'}]") \
	"," USER("'b'"))
#define C "messages.1.content"
	static const struct row rows[] = {
		{ "7.3 thinking", CLAUDE_45, THOUGHT("Eq+/=="), C,
		    "[{'reasoningContent':{'reasoningText':{'text':'h',"
		    "'signature':'Eq+/=='}}},{'text':'t'}]", NULL },
		{ "7.3 unsigned", CLAUDE_45, THOUGHT(""), C,
		    "[{'text':'t'}]", "dropped thinking" },
		{ "BR-71 our own mark", CLAUDE_45,
		    THOUGHT("p1.eyJ1IjoiYmVkcm9jayJ9"), C,
		    "[{'text':'t'}]", "dropped thinking" },
		{ "7.3 others take none", DEEPSEEK, THOUGHT("Eq"), C,
		    "[{'text':'t'}]", "dropped thinking" },
		{ "7.3 redacted", CLAUDE_45, MESSAGES(USER("'a'") ","
		    BOT("[{'type':'redacted_thinking','data':'Zg=='},"
		    "{'type':'text','text':'t'}]") "," USER("'b'")), C,
		    "[{'reasoningContent':{'redactedContent':'Zg=='}},"
		    "{'text':'t'}]", NULL },
		{ "BR-61 order is kept", CLAUDE_45, TOOLS MESSAGES(USER("'a'")
		    "," BOT("[{'type':'thinking','thinking':'1','signature':"
		    "'S'},{'type':'text','text':' '},{'type':'thinking',"
		    "'thinking':'2','signature':'T'}," USE("t1", "f") "]") ","
		    USER("[" RESULT("t1", "r") "]")), C,
		    "[{'reasoningContent':{'reasoningText':{'text':'1',"
		    "'signature':'S'}}},{'reasoningContent':{'reasoningText':"
		    "{'text':'2','signature':'T'}}},{'toolUse':{'toolUseId':"
		    "'t1','name':'f','input':{'a':1}}}]", NULL },
		{ "BR-61 begun without reasoning", CLAUDE_45,
		    "'thinking':{'type':'enabled','budget_tokens':2000},"
		    TOOLS MESSAGES(USER("'a'") "," BOT("[{'type':'thinking',"
		    "'thinking':'1','signature':'p1.e30'}," USE("t1", "f")
		    "]") "," USER("[" RESULT("t1", "r") "]")), ADDITIONAL,
		    NULL, "dropped thinking" },
		{ "BR-61 begun with redacted", CLAUDE_45,
		    "'thinking':{'type':'enabled','budget_tokens':2000},"
		    TOOLS MESSAGES(USER("'a'") "," BOT("[{'type':"
		    "'redacted_thinking','data':'Zg=='}," USE("t1", "f")
		    "]") "," USER("[" RESULT("t1", "r") "]")), ADDITIONAL,
		    "{'thinking':{'type':'enabled','budget_tokens':2000}}",
		    NULL },
		{ "BR-61 begun with it", CLAUDE_45,
		    "'thinking':{'type':'enabled','budget_tokens':2000},"
		    TOOLS MESSAGES(USER("'a'") "," BOT("[{'type':'thinking',"
		    "'thinking':'1','signature':'S'}," USE("t1", "f")
		    "]") "," USER("[" RESULT("t1", "r") "]")), ADDITIONAL,
		    "{'thinking':{'type':'enabled','budget_tokens':2000}}",
		    NULL },
	};
#undef C

	RUN(rows);
}

/* ---- 7.4 ---- */

static void test_tools(void)
{
#define LONG "a23456789b23456789c23456789d23456789e23456789f23456789g23456789"
#define SPEC "toolConfig.tools.0.toolSpec"
	static const struct row rows[] = {
		{ "BR-62 a tool", CLAUDE_45, "'tools':[{'name':'f',"
		    "'description':'does','input_schema':{'$schema':'s',"
		    "'type':'object','properties':{'a':{'type':'string'}}}}]",
		    "toolConfig", "{'tools':[{'toolSpec':{'name':'f',"
		    "'description':'does','inputSchema':{'json':{'type':"
		    "'object','properties':{'a':{'type':'string'}}}}}}]}",
		    NULL },
		{ "BR-62 a blank description", CLAUDE_45, "'tools':[{'name':"
		    "'f','description':' ','input_schema':{}}]", SPEC,
		    "{'name':'f','inputSchema':{'json':{'type':'object'}}}",
		    NULL },
		{ "BR-62 Nova's schema", NOVA_2, "'tools':[{'name':'f',"
		    "'input_schema':{'type':'object','properties':{},"
		    "'additionalProperties':false,'required':[]}}]",
		    SPEC ".inputSchema.json", "{'type':'object',"
		    "'properties':{},'required':[]}",
		    "dropped tools.input_schema" },
		{ "BR-62 a name too long", CLAUDE_45, "'tools':[{'name':'"
		    LONG "xyz','input_schema':{}}]", SPEC ".name",
		    "'a23456789b23456789c23456789d23456789e23456789f23456789g_"
		    "3a3bb03e'", "renamed tools.name" },
		{ "BR-62 odd characters", CLAUDE_45, "'tools':[{'name':"
		    "'mcp.x/y','input_schema':{}}]", SPEC ".name",
		    "'mcp_x_y_05a5c7ee'", NULL },
		{ "BR-62 in the history too", CLAUDE_45, "'tools':[{'name':"
		    "'mcp.x/y','input_schema':{}}]," MESSAGES(USER("'a'") ","
		    BOT("[" USE("t1", "mcp.x/y") "]")),
		    "messages.1.content.0.toolUse.name",
		    "'mcp_x_y_05a5c7ee'", NULL },
		{ "BR-62 and in tool_choice", CLAUDE_45, "'tools':[{'name':"
		    "'mcp.x/y','input_schema':{}}],'tool_choice':{'type':"
		    "'tool','name':'mcp.x/y'}", "toolConfig.toolChoice",
		    "{'tool':{'name':'mcp_x_y_05a5c7ee'}}", NULL },
		{ "BR-62 strict", CLAUDE_45, "'tools':[{'name':'f','strict':"
		    "true,'input_schema':{}}]", SPEC ".strict", "true", NULL },
		{ "BR-62 strict of others", NOVA, "'tools':[{'name':'f',"
		    "'strict':true,'input_schema':{}}]", SPEC ".strict",
		    NULL, "dropped tools.strict" },
		{ "BR-64 FN-29 history without tools", CLAUDE_45, MESSAGES(
		    USER("'a'") "," BOT("[" USE("t1", "f") "," USE("t2", "g")
		    "," USE("t3", "f") "]")), "toolConfig",
		    "{'tools':[{'toolSpec':{'name':'f','description':"
		    "'Not available.','inputSchema':{'json':{'type':"
		    "'object'}}}},{'toolSpec':{'name':'g','description':"
		    "'Not available.','inputSchema':{'json':{'type':"
		    "'object'}}}}]}", "added tools" },
		{ "BR-64 an empty list", CLAUDE_45, "'tools':[]",
		    "toolConfig", NULL, NULL },
		{ "BR-65 no tools in streams", LLAMA, TOOLS "'stream':true",
		    "toolConfig.tools.0.toolSpec.name", "'f'", NULL },
		{ "BR-65 no tools at all", DEEPSEEK, TOOLS MESSAGES(
		    USER("'a'") "," BOT("[" USE("t1", "f") "]") ","
		    USER("[" RESULT("t1", "r") "]")), "", "{'messages':["
		    USER("[{'text':'a'}]") "," BOT("[{'text':'[tool call f: "
		    "{\\'a\\':1}]'}]") "," USER("[{'text':"
		    "'[tool result: r]'}]") "],'inferenceConfig':"
		    "{'maxTokens':4096}}", "dropped tools" },
		{ "BR-67 tools known by type", CLAUDE_45, "'tools':[{'type':"
		    "'bash_20250124','name':'bash','cache_control':{'type':"
		    "'ephemeral'}}]", ADDITIONAL, "{'tools':[{'type':"
		    "'bash_20250124','name':'bash'}],'anthropic_beta':"
		    "['computer-use-2025-01-24']}", NULL },
		{ "BR-67 a computer", CLAUDE_46, "'tools':[{'type':"
		    "'computer_20251124','name':'computer'}]",
		    ADDITIONAL ".anthropic_beta",
		    "['computer-use-2025-11-24']", NULL },
		{ "BR-67 others have none", NOVA, "'tools':[{'type':"
		    "'bash_20250124','name':'bash'}]", "toolConfig", NULL,
		    "dropped tools" },
		{ "BR-67 server tools", CLAUDE_45, "'tools':[{'type':"
		    "'web_search_20250305','name':'web_search'}]",
		    "toolConfig", NULL, "dropped tools" },
		{ "BR-67 the model is told", NULL, NULL, "system.0.text",
		    "'The tool web_search is not available here. Do not "
		    "pretend to have used it: say that it is not available, "
		    "and answer from what you know.'", NULL },
	};

	RUN(rows);
	T_INT(conv_encode(&w, LLAMA, TOOLS "'stream':true", CALL_MESSAGES),
	    OK, "BR-65");
	T_INT(w.c.upstream_stream, 0, "BR-65 replayed");
	conv_encode(&w, LLAMA, "'stream':true", CALL_MESSAGES);
	T_INT(w.c.upstream_stream, 1, "BR-65 streamed without tools");
	conv_encode(&w, CLAUDE_45, TOOLS "'stream':true", CALL_MESSAGES);
	T_INT(w.c.upstream_stream, 1, "BR-65 and with them by others");
	conv_encode(&w, CLAUDE_45, "'tools':[{'name':'mcp.x/y',"
	    "'input_schema':{}}]", CALL_MESSAGES);
	T_STR(bedrock_tool_name(&w.st, (struct jstr){
	    S("mcp_x_y_05a5c7ee") }).raw, S("mcp.x/y"), "BR-62 and back");
	T_STR(bedrock_tool_name(&w.st, (struct jstr){ S("other") }).raw,
	    S("other"), "BR-62 others pass");
}

static void test_choice(void)
{
#define CHOICE(members) TOOLS "'tool_choice':{" members "}"
	static const struct row rows[] = {
		{ "BR-63 auto", CLAUDE_45, CHOICE("'type':'auto'"),
		    "toolConfig.toolChoice", NULL, NULL },
		{ "BR-63 any", CLAUDE_45, CHOICE("'type':'any'"),
		    "toolConfig.toolChoice", "{'any':{}}", NULL },
		{ "BR-63 any, Mistral", MISTRAL, CHOICE("'type':'any'"),
		    "toolConfig.toolChoice", "{'any':{}}", NULL },
		{ "BR-63 any, Llama", LLAMA, CHOICE("'type':'any'"),
		    "toolConfig.toolChoice", NULL, "changed tool_choice" },
		{ "BR-63 tool, Nova", NOVA, CHOICE("'type':'tool',"
		    "'name':'f'"), "toolConfig.toolChoice",
		    "{'tool':{'name':'f'}}", NULL },
		{ "BR-63 tool, Mistral: no other", MISTRAL, "'tools':["
		    "{'name':'e','input_schema':{}},{'name':'f',"
		    "'input_schema':{}}],'tool_choice':{'type':'tool',"
		    "'name':'f'}", "toolConfig", "{'tools':[{'toolSpec':"
		    "{'name':'f','inputSchema':{'json':{'type':"
		    "'object'}}}}]}", "changed tool_choice" },
		{ "BR-63 none, Claude", CLAUDE_45, CHOICE("'type':'none'"),
		    ADDITIONAL, "{'tool_choice':{'type':'none'}}", NULL },
		{ "BR-63 none, Claude", NULL, NULL,
		    "toolConfig.tools.0.toolSpec.name", "'f'", NULL },
		{ "BR-63 none, Nova", NOVA, CHOICE("'type':'none'"),
		    "toolConfig", NULL, "dropped tools" },
		{ "BR-63 no parallel calls", CLAUDE_45, CHOICE("'type':'any',"
		    "'disable_parallel_tool_use':true"), ADDITIONAL,
		    "{'tool_choice':{'type':'any',"
		    "'disable_parallel_tool_use':true}}", NULL },
		{ "BR-63 no parallel calls", NULL, NULL,
		    "toolConfig.toolChoice", NULL, NULL },
		{ "BR-63 no parallel calls, a tool", CLAUDE_45, CHOICE("'type'"
		    ":'tool','name':'f','disable_parallel_tool_use':true"),
		    ADDITIONAL, "{'tool_choice':{'type':'tool','name':'f',"
		    "'disable_parallel_tool_use':true}}", NULL },
		{ "BR-63 no parallel calls, Nova", NOVA, CHOICE("'type':"
		    "'auto','disable_parallel_tool_use':true"), ADDITIONAL,
		    NULL, "dropped tool_choice.disable_parallel_tool_use" },
		{ "BR-63 forced with thinking", CLAUDE_45, CHOICE("'type':"
		    "'any'") ",'thinking':{'type':'enabled','budget_tokens':"
		    "2000}", "toolConfig.toolChoice", NULL,
		    "changed tool_choice" },
		{ "BR-63 a tool that isn't sent", CLAUDE_45, "'tools':["
		    "{'name':'f','input_schema':{}},{'name':'ws','type':"
		    "'web_search_20250305'}],'tool_choice':{'type':'tool',"
		    "'name':'ws'}", "toolConfig.toolChoice", NULL, NULL },
		{ "BR-63 a tool that isn't sent", NULL, NULL, "system.0.text",
		    "'The tool ws is not available here. Do not pretend to "
		    "have used it: say that it is not available, and answer "
		    "from what you know.'", NULL },
		{ "BR-63 forced, Sonnet 5.5", SONNET_55, CHOICE("'type':'tool'"
		    ",'name':'f'"), "toolConfig.toolChoice", NULL,
		    "changed tool_choice" },
	};

	RUN(rows);
}

static void test_betas(void)
{
	static const struct row rows[] = {
		{ "7.1 betas that were asked for", CLAUDE_45, "'betas':"
		    "['interleaved-thinking-2025-05-14']",
		    ADDITIONAL ".anthropic_beta",
		    "['fine-grained-tool-streaming-2025-05-14',"
		    "'interleaved-thinking-2025-05-14']", NULL },
		{ "7.1 Claude only", NOVA, "", ADDITIONAL, NULL, NULL },
	};

	w.client.nfields = 2;
	w.client.fields[0].name = S("anthropic-beta");
	w.client.fields[0].value = S("claude-code-20250219, "
	    "fine-grained-tool-streaming-2025-05-14,context-management-"
	    "2025-06-27");
	w.client.fields[1].name = S("Anthropic-Beta");
	w.client.fields[1].value = S("fine-grained-tool-streaming-2025-05-14");
	RUN(rows);
	w.client.nfields = 0;
	T_INT(conv_encode(&w, CLAUDE_45 "[1m]", "", CALL_MESSAGES), OK,
	    "BR-14");
	T_STR(json_raw(conv_at(&w, ADDITIONAL)), quoted("{'anthropic_beta':"
	    "['context-1m-2025-08-07']}"), "BR-14 long context");
	conv_encode(&w, CLAUDE_5 "[1m]", "", CALL_MESSAGES);
	T_STR(json_raw(conv_at(&w, ADDITIONAL)), S(""),
	    "BR-14 newer ones have it anyway");
}

/* ---- 7.5 ---- */

#define MARK ",'cache_control':{'type':'ephemeral'}"
#define MARK_1H ",'cache_control':{'type':'ephemeral','ttl':'1h'}"
#define TEXT(text, mark) "{'type':'text','text':'" text "'" mark "}"
#define POINT "{'cachePoint':{'type':'default'}}"
#define POINT_1H "{'cachePoint':{'type':'default','ttl':'1h'}}"

static void test_cache(void)
{
#define TOOL_MARK(mark) "'tools':[{'name':'f','input_schema':{}" mark "}],"
	static const struct row rows[] = {
		{ "BR-68 FN-27 in a message", CLAUDE_45, MESSAGES(USER("["
		    TEXT("a", MARK) "," TEXT("b", "") "]")),
		    "messages.0.content", "[{'text':'a'}," POINT
		    ",{'text':'b'}]", NULL },
		{ "BR-68 an hour", CLAUDE_45, MESSAGES(USER("["
		    TEXT("a", MARK_1H) "]")), "messages.0.content",
		    "[{'text':'a'}," POINT_1H "]", NULL },
		{ "BR-68 an hour, older ones", CLAUDE_40, MESSAGES(USER("["
		    TEXT("a", MARK_1H) "]")), "messages.0.content",
		    "[{'text':'a'}," POINT "]",
		    "changed cache_control.ttl" },
		{ "BR-68 tools", CLAUDE_45, TOOL_MARK(MARK),
		    "toolConfig.tools.1", POINT, NULL },
		{ "BR-68 not in Nova's tools", NOVA, TOOL_MARK(MARK),
		    "toolConfig.tools.1", NULL,
		    "dropped tools.cache_control" },
		{ "BR-68 in Nova's messages", NOVA, MESSAGES(USER("["
		    TEXT("a", MARK_1H) "]")), "messages.0.content",
		    "[{'text':'a'}," POINT "]", NULL },
		{ "BR-68 none for the rest", LLAMA, MESSAGES(USER("["
		    TEXT("a", MARK) "]")), "messages.0.content",
		    "[{'text':'a'}]", "dropped cache_control" },
		{ "BR-68 behind a result, not in it", CLAUDE_45, TOOLS
		    MESSAGES(USER("'a'") "," BOT("[" USE("t1", "f") "]") ","
		    USER("[{'type':'tool_result','tool_use_id':'t1',"
		    "'content':[" TEXT("r", MARK) "]}]")),
		    "messages.2.content", "[{'toolResult':{'toolUseId':'t1',"
		    "'content':[{'text':'r'}]}}," POINT "]", NULL },
		{ "BR-68 never behind reasoning", CLAUDE_45, MESSAGES(
		    USER("'a'") "," BOT("[{'type':'thinking','thinking':'h',"
		    "'signature':'S'" MARK "}," TEXT("t", "") "]") ","
		    USER("'b'")), "messages.1.content.1", "{'text':'t'}",
		    NULL },
		{ "BR-69 the earliest goes", CLAUDE_45, "'system':["
		    TEXT("s", MARK) "]," TOOL_MARK(MARK) MESSAGES(USER("["
		    TEXT("a", MARK) "," TEXT("b", MARK) "," TEXT("c", MARK)
		    "]")), "messages.0.content", "[{'text':'a'},{'text':'b'},"
		    POINT ",{'text':'c'}," POINT "]",
		    "dropped cache_control" },
		{ "BR-69 no hour after five minutes", CLAUDE_45, "'system':["
		    TEXT("s", MARK_1H) "]," TOOL_MARK(MARK), "system",
		    "[{'text':'s'}," POINT "]", "changed cache_control.ttl" },
		{ "BR-69 an hour, then five minutes", CLAUDE_45, "'system':["
		    TEXT("s", MARK_1H) "]," MESSAGES(USER("[" TEXT("a", MARK)
		    "]")), "system", "[{'text':'s'}," POINT_1H "]", NULL },
		{ "automatic, behind the last block", CLAUDE_45,
		    "'cache_control':{'type':'ephemeral'}",
		    "messages.0.content", "[{'text':'hi'}," POINT "]", NULL },
	};

	RUN(rows);
}

/* ---- what is refused ---- */

static void test_refusals(void)
{
	static const struct {
		const char *model, *members, *text;
	} rows[] = {
		{ CLAUDE_45, MESSAGES(USER("'a'") "," USER("[" TEXT("x", "")
		    "," IMAGE("image/png", "AAAAB") "]")),
		    "messages.1.content.1.source: data is not valid base64" },
		{ CLAUDE_45, MESSAGES(USER("[" IMAGE("image/png", "AA*A")
		    "]")),
		    "messages.0.content.0.source: data is not valid base64" },
		{ CLAUDE_45, MESSAGES(USER("[" IMAGE("image/png", "AA=A")
		    "]")),
		    "messages.0.content.0.source: data is not valid base64" },
		{ CLAUDE_45, MESSAGES(USER("[" IMAGE("image/png", "AA=-")
		    "]")),
		    "messages.0.content.0.source: data is not valid base64" },
		{ CLAUDE_45, MESSAGES(USER("[" IMAGE("image/png", "AA===")
		    "]")),
		    "messages.0.content.0.source: data is not valid base64" },
		{ CLAUDE_45, MESSAGES(USER("[" IMAGE("image/bmp", "AAAA")
		    "]")), "messages.0.content.0.source: images are png, "
		    "jpeg, gif or webp" },
		{ NOVA, MESSAGES(USER("[{'type':'image','source':{'type':"
		    "'url','url':'https://x/y.png'}}]")),
		    "messages.0.content.0.source: only base64 can be sent: "
		    "this service fetches no links and knows no file ids" },
		{ NOVA, MESSAGES(USER("[{'type':'document','source':{'type':"
		    "'file','file_id':'f'}}]")),
		    "messages.0.content.0.source: only base64 can be sent: "
		    "this service fetches no links and knows no file ids" },
		{ NOVA, MESSAGES(USER("[" FILE64("x", "application/zip",
		    "AAAA") "]")), "messages.0.content.0.source: documents "
		    "are pdf, csv, doc, docx, xls, xlsx, html, txt or md" },
		{ CLAUDE_45, TOOLS MESSAGES(USER("'a'") "," BOT("["
		    USE("t1", "f") "]") "," USER("[{'type':'tool_result',"
		    "'tool_use_id':'t1','content':[" TEXT("x", "") ","
		    IMAGE("image/png", "?") "]}]")),
		    "messages.2.content.0.content.1.source: data is not valid "
		    "base64" },
		{ CLAUDE_45, "'thread':{'id':'x'}", "thread: not available "
		    "with this backend, which can't do what it asks for" },
	};
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		T_INT(conv_encode(&w, rows[i].model, rows[i].members,
		    CALL_MESSAGES), E_FAULT, "7.3 refused: %s",
		    rows[i].members);
		T_STR(fault_text(&w.c.fault), str_of(rows[i].text),
		    "7.3 refused: %s", rows[i].members);
		T_INT(w.c.fault.status, 400, "7.3 refused");
	}
}

/* ---- the rest ---- */

static void test_configured(void)
{
	struct bedrock_learned *l;

	w.facts.opt.guardrail = S("gr-1");
	w.facts.opt.guardrail_version = S("DRAFT");
	w.facts.opt.guardrail_trace = S("ENABLED_FULL");
	w.facts.opt.latency = S("optimized");
	w.facts.opt.tier = S("flex");
	w.facts.opt.keep_billing = 1;
	T_INT(conv_encode(&w, NOVA, "'system':'x-anthropic-billing-header: "
	    "1'", CALL_MESSAGES), OK, "configured");
	T_STR(json_raw(conv_at(&w, "guardrailConfig")), quoted(
	    "{'guardrailIdentifier':'gr-1','guardrailVersion':'DRAFT',"
	    "'trace':'enabled_full'}"), "7.1 guardrail");
	T_STR(json_raw(conv_at(&w, "performanceConfig")),
	    quoted("{'latency':'optimized'}"), "7.1 latency");
	T_STR(json_raw(conv_at(&w, "serviceTier")), quoted("{'type':'flex'}"),
	    "7.1 tier");
	T_STR(json_raw(conv_at(&w, "system")), quoted(
	    "[{'text':'x-anthropic-billing-header: 1'}]"), "BR-143 kept");
	memset(&w.facts, 0, sizeof w.facts);

	/* What was learned of a model (BR-25). */
	conv_call(&w, CLAUDE_45, conv_request(&w, ""), CALL_MESSAGES);
	l = bedrock_learned(&w.c);
	l->no_top_p = 1;
	l->max_tokens = 100;
	strcpy(l->strip[l->nstrips++], "output_config.effort");
	strcpy(l->strip[l->nstrips++], "thinking.display");
	T_INT(conv_encode(&w, CLAUDE_45, "'output_config':{'effort':'low'},"
	    "'thinking':{'type':'disabled','display':'omitted'}",
	    CALL_MESSAGES), OK, "BR-25");
	T_STR(json_raw(conv_at(&w, ADDITIONAL)),
	    quoted("{'thinking':{'type':'disabled'}}"), "BR-25 strips");
	T_STR(json_raw(conv_at(&w, "inferenceConfig")),
	    quoted("{'maxTokens':100}"), "BR-25, BR-51 learned limit");
	T(conv_noted(&w, "dropped thinking.display"), "BR-25 is noted");
	l = bedrock_learned(&w.c);
	l->no_sampling = 1;
	conv_encode(&w, CLAUDE_45, "'temperature':1,'top_k':2",
	    CALL_MESSAGES);
	T_STR(json_raw(conv_at(&w, "inferenceConfig")),
	    quoted("{'maxTokens':100}"), "BR-25 no sampling");
	memset(&w.facts, 0, sizeof w.facts);
}

/* AN-20: nothing is to be generated, so nobody is asked. */
static struct {
	struct sink sink;
	int events, stop;
} nobody;

static void take(struct sink *s, const struct event *e)
{
	(void)s;
	nobody.events++;
	if (e->type == EV_MESSAGE_DELTA)
		nobody.stop = (int)e->stop;
}

static void test_nothing(void)
{
	nobody.sink.event = take;
	conv_call(&w, NOVA, conv_request(&w, "'max_tokens':0"),
	    CALL_MESSAGES);
	w.c.answer.sink = &nobody.sink;
	T_INT(bedrock_converse(&w.c, &w.st), CALL_DONE, "AN-20");
	T_INT(nobody.events, 3, "AN-20 start, delta, stop");
	T_INT(nobody.stop, STOP_MAX_TOKENS, "AN-20");
	T_INT(w.c.answer.usage.input, w.c.estimate, "AN-20 the estimate");
}

static void test_count(void)
{
	T_INT(conv_encode(&w, CLAUDE_45, "'system':'s','temperature':1,"
	    "'stop_sequences':['x'],'thinking':{'type':'enabled',"
	    "'budget_tokens':2000}," TOOLS, CALL_COUNT), OK, "BR-130");
	T_STR(w.c.body[0], quoted("{'toolConfig':{'tools':[{'toolSpec':"
	    "{'name':'f','inputSchema':{'json':{'type':'object'}}}}]},"
	    "'system':[{'text':'s'}],'messages':[" USER("[{'text':'hi'}]")
	    "],'additionalModelRequestFields':{'thinking':{'type':'enabled',"
	    "'budget_tokens':2000}}}"), "BR-130 the members that count");
}

static void test_estimate(void)
{
	static char text[40000];
	size_t n = 33000, i;

	memcpy(text, "'system':'", 10);
	for (i = 10; i < 10 + n; i++)
		text[i] = "a word "[i % 7];
	memcpy(text + i, "'", 2);
	conv_encode(&w, NOVA, text, CALL_MESSAGES);
	T_INT(w.c.estimate, (33002 * 10 + 32) / 33 + 8, "BR-133 3.3 bytes");
	conv_encode(&w, CLAUDE_5, text, CALL_MESSAGES);
	T_INT(w.c.estimate, (33002 * 10 + 24) / 25 + 8, "BR-133 2.5 bytes");
	conv_encode(&w, NOVA, MESSAGES(USER("[" IMAGE("image/webp", "AAAA")
	    "]")), CALL_MESSAGES);
	T_INT(w.c.estimate, 1600 + 8, "BR-133 an image of unknown size");
	conv_encode(&w, NOVA, TOOLS, CALL_MESSAGES);
	T_INT(w.c.estimate, 350 + 8 + (20 * 10 + 32) / 33,
	    "BR-133 tools");
	conv_encode(&w, NOVA, MESSAGES(USER("'" "\\n\\n\\n\\n\\n\\n\\n\\n\\n"
	    "\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n"
	    "\\n\\nx" "'")), CALL_MESSAGES);
	T_INT(w.c.estimate, 11 + 8, "BR-133 escapes are one byte");
}

/* The same bytes for the same conversation: caches live on it. */
static void test_stable(void)
{
	static char first[CONV_TEXT];
	struct str one, two;

	conv_encode(&w, CLAUDE_45, TOOLS MESSAGES(USER("[" FILE64("a",
	    "application/pdf", "AAAA") "," TEXT("x", "") "]") "," BOT("["
	    USE("t.1", "f") "]") "," USER("[" RESULT("t.1", "r") "]")),
	    CALL_MESSAGES);
	one = json_raw(conv_at(&w, "messages"));
	memcpy(first, one.p, one.n);
	one.p = first;
	conv_encode(&w, CLAUDE_45, TOOLS MESSAGES(USER("[" FILE64("a",
	    "application/pdf", "AAAA") "," TEXT("x", "") "]") "," BOT("["
	    USE("t.1", "f") "]") "," USER("[" RESULT("t.1", "r") "]") ","
	    BOT("'b'") "," USER("[" FILE64("a", "application/pdf", "AAAA")
	    "]")), CALL_MESSAGES);
	two = json_raw(conv_at(&w, "messages"));
	T(two.n > one.n && memcmp(one.p, two.p, one.n - 1) == 0,
	    "BR-57, BR-60 the next request begins as this one did");
}

/* A long text, so that base64 of it goes through several pieces. */
static void test_long_text(void)
{
	static char members[9000], want[9000], wide[9000];
	struct buf b = buf_on(members, sizeof members), plain;
	int i;

	buf_put(&b, S(MESSAGES("{'role':'user','content':[{'type':'document',"
	    "'source':{'type':'text','data':'")));
	b.n -= 1;
	plain = buf_on(wide, sizeof wide);
	for (i = 0; i < 700; i++) {
		buf_put(&b, i % 3 ? S("\\ud83d\\ude80") : S("ab\\n"));
		buf_put(&plain, i % 3 ? S("\xf0\x9f\x9a\x80") : S("ab\n"));
	}
	buf_put(&b, S("'}}]}]"));
	buf_chr(&b, '\0');
	T(!b.full, "room");
	T_INT(conv_encode(&w, NOVA, members, CALL_MESSAGES), OK, "long text");
	b = buf_on(want, sizeof want);
	buf_chr(&b, '"');
	buf_base64(&b, buf_str(&plain));
	buf_chr(&b, '"');
	T_STR(json_raw(conv_at(&w, "messages.0.content.0.document.source."
	    "bytes")), buf_str(&b), "7.3 a long text document");
}

/* More documents than are kept in mind. */
static void test_many_documents(void)
{
	static char members[1 << 14];
	struct buf b = buf_on(members, sizeof members);
	char path[64];
	int i;

	buf_put(&b, S("'messages':[{'role':'user','content':["));
	for (i = 0; i < NAMES_KEPT + 8; i++) {
		buf_put(&b, i ? S(",") : S(""));
		buf_put(&b, S(FILE64("same", "application/pdf", "AAAA")));
	}
	buf_put(&b, S("]}]"));
	buf_chr(&b, '\0');
	T(!b.full, "room");
	T_INT(conv_encode(&w, NOVA, members, CALL_MESSAGES), OK, "many");
	T_STR(json_str(conv_at(&w, "messages.0.content.31.document.name")).raw,
	    S("same-32"), "BR-57 the last that is kept in mind");
	for (i = NAMES_KEPT; i < NAMES_KEPT + 8; i++) {
		snprintf(path, sizeof path,
		    "messages.0.content.%d.document.name", i);
		snprintf(members, sizeof members, "document-%d", i + 1);
		T_STR(json_str(conv_at(&w, path)).raw, str_of(members),
		    "BR-57 then by number");
	}
}

#define EVERYTHING "'system':[" TEXT("s", MARK) "]," \
	"'thinking':{'type':'enabled','budget_tokens':2000}," \
	"'output_config':{'effort':'low'},'stop_sequences':['x','y']," \
	"'tools':[{'name':'f x','description':'d','input_schema':{}" MARK \
	"},{'type':'bash_20250124','name':'bash'}]," \
	MESSAGES(BOT("[" TEXT("x", "") "]") "," USER("[" FILE64("d", \
	"application/pdf", "AAAA") "," IMAGE("image/png", PNG) "]") "," \
	BOT("[{'type':'thinking','thinking':'h','signature':'S'}," \
	USE("t.1", "f x") "," USE("t2", "g") "]") "," USER("[" \
	RESULT("t.1", "r") "," RESULT("t9", "z") "]") "," SYS("'mid'") "," \
	BOT("'ok'"))

/* The nth byte that is missing, for every n: E_FULL and nothing else. */
static void test_full(void)
{
	static const char *const models[] = { CLAUDE_45, MISTRAL, DEEPSEEK };
	size_t i, room, need;
	int r;

	for (i = 0; i < COUNT(models); i++) {
		w.room = 0;
		r = conv_encode(&w, models[i], EVERYTHING, CALL_MESSAGES);
		T_INT(r, OK, "everything for %s", models[i]);
		for (room = 1; room < CONV_ARENA; room++) {
			w.room = room;
			r = conv_encode(&w, models[i], EVERYTHING,
			    CALL_MESSAGES);
			if (r != E_FULL)
				break;
		}
		need = room;
		T_INT(r, OK, "full until it fits, %s at %zu bytes", models[i],
		    need);
		T(need > 1000, "it was full until %zu bytes", need);
	}
	w.room = 0;
}

int main(void)
{
	test_fields();
	test_sampling();
	test_thinking();
	test_format();
	test_roles();
	test_pairs();
	test_images();
	test_documents();
	test_results();
	test_reasoning();
	test_tools();
	test_choice();
	test_betas();
	test_cache();
	test_refusals();
	test_configured();
	test_nothing();
	test_count();
	test_estimate();
	test_stable();
	test_long_text();
	test_many_documents();
	test_full();
	return t_done("bedrock_converse");
}
