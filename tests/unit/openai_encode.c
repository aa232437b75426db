/* openai_encode.c -- the sending side of the OpenAI backend, rule by rule: a
 * client's body in, the upstream's body out, compared as bytes.
 *
 * JSON is written with ' for " here, and ` for ', so that it can be read.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/backend/openai_encode.c"
#include "../../src/backend/openai_answer.h"
#include "t.h"

enum { ARENA = 16 << 20 };

static _Alignas(16) char memory[ARENA];
static char text[1 << 20], want_room[1 << 20];
static struct openai_facts facts;
static struct upstream up;
static struct call c;
static struct request req;
static struct json doc;
static struct notes notes;
static struct arena a;
static struct ids ids;
static struct http_head client;
static char state[sizeof(struct openai_state)];
static int code;			/* what encode said */

/* ---- events of answers that need no upstream ---- */

static struct {
	struct sink sink;
	int starts, stops, blocks;
	enum stop_reason stop;
	struct usage usage;
} seen;

static void see(struct sink *s, const struct event *e)
{
	(void)s;
	seen.starts += e->type == EV_MESSAGE_START;
	seen.stops += e->type == EV_MESSAGE_STOP;
	seen.blocks += e->type == EV_BLOCK_START;
	if (e->type == EV_MESSAGE_DELTA) {
		seen.stop = e->stop;
		seen.usage = e->usage;
	}
}

/* ---- a call ---- */

static struct str quoted(char *room, size_t cap, const char *s)
{
	size_t i;

	for (i = 0; s[i] && i < cap; i++)
		room[i] = s[i] == '\'' ? '"' : s[i] == '`' ? '\'' : s[i];
	return (struct str){ room, i };
}

/* An upstream of that profile, knowing nothing yet. */
static void serve(const char *profile, const char *flags, const char *model)
{
	struct fault f = { 0 };

	memset(&facts, 0, sizeof facts);
	memset(&up, 0, sizeof up);
	memset(&client, 0, sizeof client);
	memset(&c, 0, sizeof c);
	up.backend = &backend_openai;
	up.facts = &facts;
	up.host = S("127.0.0.1");
	up.key = S("k");
	up.base = S("/v1");
	up.authority = S("127.0.0.1:9");
	if (backend_openai.configure(&up, str_of(profile), str_of(flags), &f))
		T(0, "configure: %.*s", (int)f.n, f.text);
	c.model = str_of(model);
}

/* Encodes for what serve set up; the body, or nothing. */
static struct str encode_kind(struct str body, enum call_kind kind)
{
	struct str model = c.model, none = { NULL, 0 };
	int attempt = c.attempt;
	uint64_t now_ms = c.now_ms;
	struct fault f = { 0 };

	memset(&c, 0, sizeof c);
	c.now_ms = now_ms;
	memset(state, 0, sizeof state);
	memset(&notes, 0, sizeof notes);
	memset(&seen, 0, sizeof seen);
	a = (struct arena){ memory, memory + ARENA };
	seen.sink.event = see;
	c.kind = kind;
	c.req = &req;
	c.up = &up;
	c.model = model;
	c.attempt = attempt;
	c.client = &client;
	c.a = &a;
	c.notes = &notes;
	c.ids = &ids;
	c.state = state;
	c.counted = -1;
	c.answer.sink = &seen.sink;
	c.answer.id = S("msg_1");
	if (json_parse(&doc, body, &a, NULL) != OK ||
	    request_parse(&req, &doc, kind == CALL_COUNT, &a, &notes, &f)) {
		T(0, "the test's request: %.*s %.*s", (int)f.n, f.text,
		    (int)body.n, body.p);
		return none;
	}
	code = openai_encode(&c);
	if (code != OK || !c.nbody)
		return none;
	T(json_check(c.body[0], NULL, NULL) == OK, "valid JSON: %.*s",
	    (int)c.body[0].n, c.body[0].p);
	return c.body[0];
}

/* fields: messages and whatever else, inside the braces. */
static struct str encode(const char *fields)
{
	static char body[1 << 20], all[1 << 20];

	snprintf(all, sizeof all, "{'model':'claude-x','max_tokens':1000,%s}",
	    fields);
	return encode_kind(quoted(body, sizeof body, all), CALL_MESSAGES);
}

static int has(struct str s, const char *what)
{
	struct str w = quoted(want_room, sizeof want_room, what);

	return str_find(s, w) < s.n;
}

static struct str last;			/* the body of the latest check */

T_PRINTF(3, 4)
static void contains(const char *fields, const char *what, const char *label,
	...)
{
	char room[256];
	va_list ap;

	last = encode(fields);
	va_start(ap, label);
	vsnprintf(room, sizeof room, label, ap);
	va_end(ap);
	if (!T(has(last, what), "%s: %s", room, what))
		t_show("body", last);
}

static void lacks(const char *fields, const char *what, const char *label)
{
	last = encode(fields);
	if (!T(code == OK && !has(last, what), "%s: no %s", label, what))
		t_show("body", last);
}

/* The messages array, exactly; %s is a list of messages. */
static void becomes(const char *messages, const char *want, const char *label)
{
	static char fields[1 << 16];
	size_t at;

	snprintf(fields, sizeof fields, "'messages':[%s]", messages);
	last = encode(fields);
	at = str_find(last, S("\"messages\":[")) + 12;
	last = str_from(last, at);
	last = str_head(last, str_find(last, S("],\"stream\"")));
	T_STR(last, quoted(want_room, sizeof want_room, want), "%s", label);
}

static int noted(enum note_kind kind, const char *field)
{
	size_t i;

	for (i = 0; i < notes.n; i++)
		if (notes.v[i].kind == kind &&
		    str_eq(notes.v[i].field, str_of(field)))
			return 1;
	return 0;
}

#define HI "'messages':[{'role':'user','content':'hi'}]"
#define U(text) "{'role':'user','content':'" text "'}"
#define A(text) "{'role':'assistant','content':'" text "'}"
#define UB(blocks) "{'role':'user','content':[" blocks "]}"
#define AB(blocks) "{'role':'assistant','content':[" blocks "]}"
#define TEXT(t) "{'type':'text','text':'" t "'}"
#define USE(id) "{'type':'tool_use','id':'" id "','name':'f','input':{}}"
#define RESULT(id, t) "{'type':'tool_result','tool_use_id':'" id \
	"','content':'" t "'}"
#define CALL(id) "{'id':'" id "','type':'function','function':" \
	"{'name':'f','arguments':'{}'}}"
#define TOOL(id, t) "{'role':'tool','tool_call_id':'" id "','content':'" t \
	"'}"
#define TOOLS(names) "'tools':[" names "]"
#define F(name) "{'name':'" name "','input_schema':{'type':'object'}}"
#define PNG "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAYAAAAf8/9h"
#define GIF "R0lGODlhAQABAAAAACw="
#define IMAGE(media, data) "{'type':'image','source':{'type':'base64'," \
	"'media_type':'" media "','data':'" data "'}}"
#define URL_OF(media, data) "{'type':'image_url','image_url':{'url':" \
	"'data:" media ";base64," data "'}}"

/* ---- top level (section 2) ---- */

static void test_fields(void)
{
	serve("generic", "", "local");
	T_STR(encode(HI), quoted(want_room, sizeof want_room,
	    "{'model':'local','max_tokens':1000,'messages':[{'role':'user',"
	    "'content':'hi'}],'stream':false}"),
	    "OA-2 OA-4 OA-6: nothing but what was asked");
	contains(HI ",'stream':true", "'stream':true,'stream_options':"
	    "{'include_usage':true}}", "OA-2 OA-3 FN-15");
	T(c.upstream_stream == 1, "OA-2 upstream_stream");
	lacks(HI, "stream_options", "OA-3 not without a stream");
	contains(HI ",'temperature':0.7,'top_p':0.9", "'temperature':0.7,"
	    "'top_p':0.9", "OA-10 OA-11");
	lacks(HI ",'top_k':5", "top_k", "OA-12 not at generic");
	T(noted(NOTE_DROPPED, "top_k"), "OA-12 noted");
	lacks(HI ",'stop_sequences':['END']", "END", "OA-13 the proxy's own");
	lacks(HI ",'metadata':{'user_id':'u'}", "'u'", "OA-15 dropped");
	lacks(HI ",'service_tier':'standard_only'", "tier", "OA-21");
	lacks(HI ",'speed':'fast','inference_geo':'eu','cache_control':"
	    "{'type':'ephemeral'},'fallbacks':[],'diagnostics':{}",
	    "eu", "OA-22 OA-23");
	serve("generic", "always_stream=1,stream_options=0", "local");
	contains(HI, "'stream':true}", "OA-2 always_stream");
	serve("generic", "send_user=1,stop=upstream,top_k=1", "local");
	contains(HI ",'metadata':{'user_id':'u-1'}", "'user':'u-1'",
	    "OA-15 send_user");
	contains(HI ",'stop_sequences':['a','b','c','d','e']",
	    "'stop':['a','b','c','d']", "OA-13 first four");
	contains(HI ",'top_k':5", "'top_k':5", "OA-12");
	serve("openrouter", "", "meta/llama");
	contains(HI ",'top_k':40", "'top_k':40", "OA-12 openrouter");
}

/* No member of a client's is absent upstream without a word. */
static void test_members(void)
{
	static const struct {
		const char *body, *field;
	} cases[] = {
		{ HI ",'thinking':{'type':'adaptive','x':1}", "thinking.x" },
		{ HI ",'tool_choice':{'type':'auto','x':1}", "tool_choice.x" },
		{ HI ",'metadata':{'user_id':'u','x':1}", "metadata.x" },
		{ HI ",'output_config':{'effort':'low','x':1}",
		    "output_config.x" },
		{ HI ",'system':[{'type':'text','text':'s','x':1}]",
		    "system.x" },
		{ HI ",'tools':[{'name':'t','input_schema':{},"
		    "'allowed_callers':['direct']}]", "tools.allowed_callers" },
		{ HI ",'tools':[{'name':'t','input_schema':{},'e':1}]",
		    "tools.e" },
		{ "'messages':[{'role':'user','content':'a','x':{}}]",
		    "messages.x" },
		{ "'messages':[{'role':'user','content':[{'type':'text',"
		    "'text':'a','citations':[{'type':'c'}]}]}]",
		    "content.citations" },
		{ "'messages':[{'role':'user','content':[{'type':'document',"
		    "'source':{'type':'text','media_type':'text/plain',"
		    "'data':'d'},'context':'c'}]}]", "content.context" },
		{ "'messages':[{'role':'user','content':[{'type':'document',"
		    "'source':{'type':'text','media_type':'text/plain',"
		    "'data':'d','x':1}}]}]", "source.x" },
		{ "'messages':[{'role':'user','content':'a'},{'role':"
		    "'assistant','content':[{'type':'tool_use','id':'i',"
		    "'name':'n','input':{},'caller':{}}]},{'role':'user',"
		    "'content':[{'type':'tool_result','tool_use_id':'i'}]}]",
		    "content.caller" },
		{ "'messages':[{'role':'user','content':'a'},{'role':"
		    "'assistant','content':[{'type':'tool_use','id':'i',"
		    "'name':'n','input':{}}]},{'role':'user','content':["
		    "{'type':'tool_result','tool_use_id':'i','content':["
		    "{'type':'text','text':'t','x':1}]}]}]", "content.x" },
	};
	size_t i;

	serve("generic", "", "local");
	for (i = 0; i < COUNT(cases); i++) {
		lacks(cases[i].body, "'x':", "an unknown member");
		T(noted(NOTE_DROPPED, cases[i].field), "noted: %s",
		    cases[i].field);
	}
	lacks("'messages':[{'role':'user','content':[{'type':'text','text':"
	    "'a','citations':null,'cache_control':{'type':'ephemeral'}}]}],"
	    "'tools':[{'name':'t','type':'custom','description':'d',"
	    "'input_schema':{},'strict':false,'defer_loading':false}]", "@",
	    "members that say nothing");
	T(!noted(NOTE_DROPPED, "content.citations") &&
	    !noted(NOTE_DROPPED, "tools.description") &&
	    !noted(NOTE_DROPPED, "tools.type"), "are no loss");
}

static void test_openai_fields(void)
{
	serve("openai", "", "gpt-4.1");
	contains(HI, "'max_completion_tokens':1000", "OA-8 openai");
	contains(HI ",'service_tier':'standard_only'",
	    "'service_tier':'default'", "OA-21");
	lacks(HI ",'service_tier':'auto'", "service_tier", "OA-21 auto");
	contains(HI ",'temperature':1", "'temperature':1", "OA-10 gpt-4.1");
	contains(HI ",'metadata':{'user_id':'u-1'}",
	    "'safety_identifier':'u-1','prompt_cache_key':'u-1'", "OA-15");
	/* 65 bytes: one too many. sha256 of 65 times x. */
	contains(HI ",'metadata':{'user_id':'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}", "'safety_identifier':"
	    "'9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9'",
	    "OA-15 hashed");
	serve("openai", "", "gpt-5");
	lacks(HI ",'temperature':0.5,'top_p':0.5", "0.5", "OA-10 OA-11 gpt-5");
	T(noted(NOTE_DROPPED, "temperature") && noted(NOTE_DROPPED, "top_p"),
	    "OA-10 without an error, not without a note");
	serve("openai", "", "gpt-5.1");
	contains(HI ",'temperature':0.5,'thinking':{'type':'disabled'}",
	    "'temperature':0.5", "OA-10 effort none");
	serve("openai", "stop=upstream", "o3");
	lacks(HI ",'stop_sequences':['END']", "END", "OA-13 o3");
	contains(HI ",'system':'be'", "{'role':'developer','content':'be'}",
	    "OA-7 developer");
	serve("openai", "", "gpt-4o");
	contains(HI ",'system':'be'", "{'role':'system','content':'be'}",
	    "OA-7 system");
}

static void test_session(void)
{
	serve("openai", "", "gpt-4.1");
	client.nfields = 1;
	client.fields[0].name = S("X-Claude-Code-Session-Id");
	client.fields[0].value = S("05af49e3-d27c-6b05-f49e-8d27c16b05af");
	contains(HI ",'metadata':{'user_id':'u-1'}", "'safety_identifier':"
	    "'u-1','prompt_cache_key':'05af49e3-d27c-6b05-f49e-8d27c16b05af'",
	    "OA-15 field note 40: the session");
	client.fields[0].value = S("a\"b");
	contains(HI, "'prompt_cache_key':'a\\'b'", "OA-15 escaped");
}

static void test_system(void)
{
	serve("generic", "", "local");
	contains(HI ",'system':[{'type':'text','text':"
	    "'x-anthropic-billing-header: cc_version=1;'},{'type':'text',"
	    "'text':'one','cache_control':{'type':'ephemeral'}},"
	    "{'type':'text','text':'two'}]",
	    "[{'role':'system','content':'one\\n\\ntwo'},", "OA-7 OA-22");
	lacks(HI ",'system':[{'type':'text','text':"
	    "'x-anthropic-billing-header: cc_version=1;'}]", "system",
	    "OA-7 nothing left, no message");
	T(noted(NOTE_DROPPED, "system"), "OA-7 noted");
	serve("openrouter", "cache_marks=1", "anthropic/claude-opus-5");
	contains(HI ",'system':[{'type':'text','text':'one'},{'type':'text',"
	    "'text':'two','cache_control':{'type':'ephemeral'}}]",
	    "'content':[{'type':'text','text':'one'},{'type':'text','text':"
	    "'two','cache_control':{'type':'ephemeral'}}]", "OA-22 marks");
	serve("openrouter", "cache_marks=1", "meta/llama");
	lacks(HI ",'system':[{'type':'text','text':'two','cache_control':"
	    "{'type':'ephemeral'}}]", "cache_control", "OA-22 others");
}

static void test_max(void)
{
	serve("generic", "max_output=500", "local");
	contains(HI, "'max_tokens':500,", "OA-8 clamp");
	T(noted(NOTE_CLAMPED, "max_tokens"), "OA-8 noted");
	serve("generic", "context=600", "local");
	contains(HI, "'max_tokens':5", "FN-18 FN-19 window");
	T(c.estimate + openai_state(&c)->sent.sent_max + 64 == 600,
	    "FN-19 exactly what is left");
	serve("openai", "", "gpt-5");
	last = encode_kind(quoted(text, sizeof text, "{'model':'m',"
	    "'max_tokens':1," HI "}"), CALL_MESSAGES);
	T(has(last, "'max_completion_tokens':16"),
	    "OA-8 FN-46 at least 16; a quota probe is asked like the rest");
	openai_learned(&c)->retry_max = 300;
	c.attempt = 1;
	contains(HI, "'max_completion_tokens':300", "OA-120 second attempt");
	contains(HI, "'max_completion_tokens':1000", "OA-120 that one alone");
	serve("generic", "", "local");
	contains(HI, "'max_tokens':1000", "OA-8 no window known");
	openai_learned(&c)->window = 600;
	c.now_ms = WINDOW_AGE_MS;
	contains(HI, "'max_tokens':5", "OA-120 a window a refusal told of");
	c.now_ms = WINDOW_AGE_MS + 1;
	contains(HI, "'max_tokens':1000", "OA-120 asked anew after a while");
}

static void test_empty_answer(void)
{
	serve("generic", "", "local");
	last = encode_kind(quoted(text, sizeof text, "{'model':'m',"
	    "'max_tokens':0," HI "}"), CALL_MESSAGES);
	T_INT(code, CALL_DONE, "OA-9 AN-20 no call");
	T(seen.starts == 1 && seen.stops == 1 && seen.blocks == 0,
	    "AN-20 an empty message");
	T(seen.stop == STOP_MAX_TOKENS && seen.usage.output == 0 &&
	    seen.usage.input > 3, "AN-20 usage");
}

/* The rows that other rules fill out. */
static void test_rows(void)
{
	serve("openai", "", "gpt-5.1");
	contains(HI "," TOOLS(F("f")), "'tools':[{'type':'function','function':"
	    "{'name':'f',", "OA-16 tools");
	contains(HI ",'output_config':{'effort':'low'}",
	    "'reasoning_effort':'low'", "OA-19 thinking");
	becomes(UB("{'type':'text','text':'a','citations':[{'type':"
	    "'char_location','cited_text':'b'}]},{'type':'text','text':'c'}"),
	    U("a\\n\\nc"), "OA-32 a text without its citations");
	lacks("'messages':[" UB(IMAGE("image/png", PNG) ",{'type':'text','text':"
	    "'a','citations':[{'cited_text':'b'}]}") "]", "citations", "OA-32 among images too");
	last = encode_kind(quoted(text, sizeof text, "{'model':'m',"
	    "'max_tokens':9,'stream':true," HI "}"), CALL_MESSAGES);
	T(has(last, "'stream':true"), "OA-14 a stream is asked for");
	contains(HI, "'stream':false", "OA-14 or none");
}

static void test_refused_fields(void)
{
	static const char *const fields[] = {
		"'mcp_servers':[{'name':'x'}]", "'thread':{'id':'t'}",
		"'compaction':{'type':'summarize'}"
	};
	char room[256];
	size_t i;

	serve("generic", "", "local");
	for (i = 0; i < COUNT(fields); i++) {
		snprintf(room, sizeof room, "%s,%s", HI, fields[i]);
		encode(room);
		T(code == E_FAULT && c.fault.status == 400, "OA-26 %s",
		    fields[i]);
		T((i == 1) == (c.fault.code != NULL), "AN 2 the thread's code");
	}
	encode(HI ",'mcp_servers':[],'container':'c1','future':1");
	T(code == OK, "OA-25 OA-26 OA-27 go on");
	T(noted(NOTE_DROPPED, "container"), "OA-25 noted");
	encode(HI ",'context_management':{'edits':[{'type':"
	    "'compact_20260112'},{'type':'clear_thinking_20251015'}]}");
	T(code == OK && noted(NOTE_DROPPED, "context_management.edits"),
	    "OA-24 compact is noted");
}

static void test_extra(void)
{
	serve("generic", "top_k=1,extra_body={\"seed\":7, \"max_tokens\":9,"
	    "\"a\":{\"b\":[1, 2]}},mid_system=1", "local");
	last = encode(HI);
	T_STR(last, quoted(want_room, sizeof want_room,
	    "{'model':'local','messages':[{'role':'user','content':'hi'}],"
	    "'stream':false,'seed':7,'max_tokens':9,'a':{'b':[1,2]}}"),
	    "OA-28 merged last, overriding");
	serve("generic", "extra_body={\"model\":\"other\"}", "local");
	T_STR(encode(HI), quoted(want_room, sizeof want_room,
	    "{'max_tokens':1000,'messages':[{'role':'user','content':'hi'}],"
	    "'stream':false,'model':'other'}"), "OA-28 the first field too");
}

static void test_format(void)
{
#define SCHEMA "{'type':'object','properties':{'n':{'type':'integer'}}," \
	"'required':['n'],'additionalProperties':false}"
	serve("openai", "", "gpt-4.1");
	contains(HI ",'output_config':{'format':{'type':'json_schema',"
	    "'schema':" SCHEMA "}}", "'response_format':{'type':'json_schema',"
	    "'json_schema':{'name':'output','schema':" SCHEMA
	    ",'strict':true}}", "OA-20 strict");
	contains(HI ",'output_format':{'type':'json_schema','schema':"
	    "{'type':'object','properties':{}}}", "'strict':false}}",
	    "OA-20 not strict");
	serve("deepseek", "", "deepseek-chat");
	contains(HI ",'output_format':{'type':'json_schema','schema':" SCHEMA
	    "}", "'response_format':{'type':'json_object'}", "OA-20 object");
	T(has(last, "and with nothing else:\\n{\\'type\\':\\'object\\'"),
	    "OA-20 schema in the system text");
	serve("generic", "schema_out=none", "local");
	lacks(HI ",'output_format':{'type':'json_schema','schema':" SCHEMA
	    "}", "response_format", "OA-20 none");
	T(has(last, "{\\'type\\':\\'object\\'"), "OA-20 in the text alone");
}

/* ---- messages (section 3) ---- */

static void test_user(void)
{
	serve("generic", "", "local");
	becomes(UB(TEXT("a") "," TEXT("b")), "{'role':'user','content':"
	    "'a\\n\\nb'}", "OA-31 one string");
	becomes(UB(TEXT("a") "," IMAGE("image/png", PNG)),
	    "{'role':'user','content':[{'type':'text','text':'a'},"
	    URL_OF("image/png", PNG) "]}", "OA-31 OA-33 parts");
	becomes(UB(IMAGE("image/jpeg", PNG)), "{'role':'user','content':["
	    URL_OF("image/png", PNG) "]}", "OA-33 the real type");
	T(noted(NOTE_CHANGED, "image.source.media_type"), "OA-33 noted");
	becomes(UB(IMAGE("image/png", "iVBO\\nRw0K Ggo=\\r\\n")),
	    "{'role':'user','content':[" URL_OF("image/png", "iVBORw0KGgo=")
	    "]}", "OA-33 without blanks");
	becomes(UB(IMAGE("image/png", "iVBORw0KGg\\/=")),
	    "{'role':'user','content':[" URL_OF("image/png", "iVBORw0KGg/=")
	    "]}", "OA-33 an escaped slash");
	becomes(UB("{'type':'image','source':{'type':'url','url':"
	    "'https://e/x.png'}}"), "{'role':'user','content':[{'type':"
	    "'image_url','image_url':{'url':'https://e/x.png'}}]}",
	    "OA-33 a link");
	becomes(UB(TEXT("\\u00e9\\ud83d\\ude42\\ud83d.")), "{'role':'user',"
	    "'content':'\\u00e9\\ud83d\\ude42\\ufffd.'}",
	    "text as it came, but for a lone surrogate");
	becomes(U("go") "," AB(USE("a")) "," UB(RESULT("a", "x\\udc00")),
	    "{'role':'user','content':'go'},{'role':'assistant','content':"
	    "null,'tool_calls':[" CALL("a") "]}," TOOL("a", "x\\ufffd"),
	    "in a result too");
	contains(HI "," TOOLS("{'name':'f','description':'d\\ud83d',"
	    "'input_schema':{}}"), "'description':'d\\ufffd'",
	    "and in a description");
	becomes(U("a") "," U("b"), "{'role':'user','content':'a\\n\\nb'}",
	    "AN 2.1 neighbours merge");
}

static void test_omitted(void)
{
	serve("ollama", "", "qwen");
	becomes(UB(IMAGE("image/gif", GIF)), "{'role':'user','content':"
	    "'[image, 1 KB, not sent: this backend takes no such image]'}",
	    "OA-33 gif at ollama");
	T(noted(NOTE_DROPPED, "image"), "section 12: noted");
	becomes(UB("{'type':'image','source':{'type':'url','url':"
	    "'https://e/x.png'}}"), "{'role':'user','content':'[image, not "
	    "sent: this backend takes no links]'}", "OA-33 link at ollama");
	serve("deepseek", "", "deepseek-chat");
	becomes(UB(IMAGE("image/png", PNG)), "{'role':'user','content':"
	    "'[image omitted: the model cannot see images]'}", "OA-33 text");
	becomes(UB("{'type':'document','title':'a \\'b\\'','source':{'type':"
	    "'base64','media_type':'application/pdf','data':'JVBERi0='}}"),
	    "{'role':'user','content':'[document \\'a `b`\\', 1 KB, not "
	    "sent: this backend takes no files]'}", "OA-34 section 12");
	T(noted(NOTE_DROPPED, "document"), "OA-34 noted");
	becomes(UB("{'type':'document','source':{'type':'file','file_id':"
	    "'f'}}"), "{'role':'user','content':'[document without a name, "
	    "not sent: this backend takes no files]'}", "OA-34 file id");
}

static void test_documents(void)
{
	serve("generic", "", "local");
	becomes(UB("{'type':'document','title':'T','context':'C','source':"
	    "{'type':'text','media_type':'text/plain','data':'D'}}"),
	    "{'role':'user','content':'<document title=\\'T\\'>\\n<context>C"
	    "</context>\\nD\\n</document>'}", "OA-34 text");
	becomes(UB("{'type':'document','source':{'type':'content','content':["
	    TEXT("x") "," IMAGE("image/png", PNG) "," TEXT("y") "]}}"),
	    "{'role':'user','content':[{'type':'text','text':'<document>\\n"
	    "x\\n'}," URL_OF("image/png", PNG) ",{'type':'text','text':'y\\n"
	    "</document>'}]}", "OA-34 content with an image");
	becomes(UB("{'type':'search_result','source':'s','title':'t',"
	    "'content':[" TEXT("x") "]}"), "{'role':'user','content':"
	    "'<search_result source=\\'s\\' title=\\'t\\'>\\nx\\n"
	    "</search_result>'}", "OA-35");
	serve("openai", "", "gpt-4.1");
	becomes(UB("{'type':'document','title':'T','source':{'type':'base64',"
	    "'media_type':'application/pdf','data':'JVBERi0='}}"),
	    "{'role':'user','content':[{'type':'file','file':{'filename':"
	    "'T.pdf','file_data':'data:application/pdf;base64,JVBERi0='}}]}",
	    "OA-34 pdf");
}

static void test_results(void)
{
	serve("generic", "", "local");
	becomes(U("go") "," AB(USE("a") "," USE("b")) ","
	    UB(TEXT("x") "," RESULT("b", "2") "," RESULT("a", "1")),
	    U("go") ",{'role':'assistant','content':null,'tool_calls':["
	    CALL("a") "," CALL("b") "]}," TOOL("a", "1") "," TOOL("b", "2")
	    "," U("x"), "OA-30 OA-42: in the calls' order, text after");
	becomes(U("go") "," AB(USE("a")) "," UB("{'type':'tool_result',"
	    "'tool_use_id':'a'}"), U("go") ",{'role':'assistant','content':"
	    "null,'tool_calls':[" CALL("a") "]},"
	    TOOL("a", "(no output)"), "OA-37 empty");
	becomes(U("go") "," AB(USE("a")) "," UB("{'type':'tool_result',"
	    "'tool_use_id':'a','content':[" TEXT("x") ",{'type':"
	    "'tool_reference','tool_name':'t'},{'type':'browser_state',"
	    "'tabs':[ {'tab_id':1} ]}]}"), U("go") ",{'role':'assistant',"
	    "'content':null,'tool_calls':[" CALL("a") "]},"
	    TOOL("a", "x\\nTool available: t\\n{\\'type\\':"
	    "\\'browser_state\\',\\'tabs\\':[{\\'tab_id\\':1}]}"), "OA-37");
	becomes(U("go") "," AB(USE("a")) "," UB("{'type':'tool_result',"
	    "'tool_use_id':'a','content':[{'type':'search_result','source':"
	    "'s','title':'t','content':[" TEXT("x") "]},{'type':'document',"
	    "'title':'d','source':{'type':'content','content':[" TEXT("y") ","
	    IMAGE("image/png", PNG) "," TEXT("z") "]}},{'type':'document',"
	    "'source':{'type':'content','content':'w'}}]}"), U("go")
	    ",{'role':'assistant','content':null,'tool_calls':[" CALL("a")
	    "]}," TOOL("a", "<search_result source=\\'s\\' title=\\'t\\'>"
	    "\\nx\\n</search_result>\\n<document title=\\'d\\'>\\ny\\n"
	    "[image 1 of tool result a is in the next message]\\nz\\n"
	    "</document>\\n<document>\\nw\\n</document>") ",{'role':'user',"
	    "'content':[" TEXT("Image 1 from tool result a:") ","
	    URL_OF("image/png", PNG) "]}", "OA-37 what nests in a result");
	becomes(U("go") "," AB(USE("a")) "," UB(RESULT("a", "1") ","
	    RESULT("a", "2")), U("go") ",{'role':'assistant','content':null,"
	    "'tool_calls':[" CALL("a") "]}," TOOL("a", "2"), "OA-40");
	T(noted(NOTE_DROPPED, "tool_result"), "OA-40 noted");
	becomes(U("go") "," AB(USE("a")) "," U("stop"), U("go")
	    ",{'role':'assistant','content':null,'tool_calls':[" CALL("a")
	    "]}," TOOL("a", "(no result: the call was interrupted)") ","
	    U("stop"), "OA-41 a call without result");
	T(noted(NOTE_ADDED, "tool_result"), "OA-41 noted");
	becomes(UB(RESULT("z", "1") "," TEXT("x")),
	    U("Result of an earlier tool call z:\\n1\\n\\nx"),
	    "OA-41 a result without call");
	becomes(U("go") "," AB(USE("a")), U("go") ",{'role':'assistant',"
	    "'content':null,'tool_calls':[" CALL("a") "]},"
	    TOOL("a", "(no result: the call was interrupted)"),
	    "OA-41 at the end");
}

static void error_becomes(const char *content, const char *want)
{
	static char in[1024], out[1024];

	snprintf(in, sizeof in, "%s,%s,{'role':'user','content':[{'type':"
	    "'tool_result','tool_use_id':'a','is_error':true%s}]}", U("go"),
	    AB(USE("a")), content);
	snprintf(out, sizeof out, "%s,{'role':'assistant','content':null,"
	    "'tool_calls':[%s]},{'role':'tool','tool_call_id':'a',"
	    "'content':'%s'}", U("go"), CALL("a"), want);
	becomes(in, out, "OA-38");
}

static void test_errors(void)
{
	serve("generic", "", "local");
	error_becomes(",'content':'no bulb'", "Error: no bulb");
	error_becomes(",'content':'ERROR no bulb'", "ERROR no bulb");
	error_becomes(",'content':'<tool_use_error>x'", "<tool_use_error>x");
	error_becomes("", "Error: (no output)");
}

static void test_result_media(void)
{
#define MEDIA_RESULT(id, block) "{'type':'tool_result','tool_use_id':'" id \
	"','content':[" TEXT("see") "," block "]}"
	serve("generic", "", "local");
	becomes(U("go") "," AB(USE("a")) "," UB(MEDIA_RESULT("a",
	    IMAGE("image/png", PNG))), U("go") ",{'role':'assistant',"
	    "'content':null,'tool_calls':[" CALL("a") "]}," TOOL("a", "see\\n"
	    "[image 1 of tool result a is in the next message]") ","
	    "{'role':'user','content':[{'type':'text','text':"
	    "'Image 1 from tool result a:'}," URL_OF("image/png", PNG) "]}",
	    "OA-39 images alone");
	serve("deepseek", "", "deepseek-chat");
	lacks("'messages':[" U("go") "," AB(USE("a")) ","
	    UB(MEDIA_RESULT("a", IMAGE("image/png", PNG))) "]", "image_url",
	    "OA-39 a model without eyes");
	T(has(last, "see\\n[image omitted"), "section 12 in a result");
	serve("generic", "", "local");
	contains("'messages':[" U("go") "," AB(USE("a")) ","
	    UB(MEDIA_RESULT("a", "{'type':'document','source':{'type':"
	    "'base64','media_type':'application/pdf','data':'JVBERi0='}}"))
	    "]", "see\\n[document without a name, 1 KB, not sent",
	    "section 12: pdf in a result");
	serve("openai", "", "gpt-4.1");
	contains("'messages':[" U("go") "," AB(USE("a")) ","
	    UB(MEDIA_RESULT("a", "{'type':'document','source':{'type':"
	    "'base64','media_type':'application/pdf','data':'JVBERi0='}}"))
	    "]", "{'type':'text','text':'Document 1 from tool result a:'},"
	    "{'type':'file'", "OA-39 pdf");
}

static void test_assistant(void)
{
	serve("generic", "", "local");
	becomes(U("q") "," AB(TEXT("a") "," TEXT("b") "," TEXT(" c") ","
	    TEXT("d\\n") "," TEXT("e")) "," U("r"), U("q") ","
	    A("a\\n\\nb c\\n\\nd\\ne") "," U("r"), "OA-42 joined");
	becomes(U("q") "," AB(TEXT("a\\\\n") "," TEXT("b")) "," U("r"),
	    U("q") "," A("a\\\\n\\n\\nb") "," U("r"),
	    "OA-42 a backslash and n is no blank");
	becomes(U("q") "," AB("{'type':'thinking','thinking':'t',"
	    "'signature':'s'},{'type':'redacted_thinking','data':'x'}") ","
	    U("r"), U("q\\n\\nr"), "OA-46 OA-48 nothing left");
	becomes(U("q") "," AB("{'type':'tool_use','id':'a','name':'f',"
	    "'input':{ 'k' : [1.0, 'x\\ny'] , 'a':1e3}}") "," U("r"),
	    U("q") ",{'role':'assistant','content':null,'tool_calls':[{'id':"
	    "'a','type':'function','function':{'name':'f','arguments':"
	    "'{\\'k\\':[1.0,\\'x\\\\ny\\'],\\'a\\':1e3}'}}]},"
	    TOOL("a", "(no result: the call was interrupted)") "," U("r"),
	    "OA-43 compact, numbers and order kept");
	serve("generic", "null_content=no", "local");
	contains("'messages':[" U("q") "," AB(USE("a")) "]",
	    "'content':'','tool_calls'", "OA-42 null_content");
}

static void test_ids(void)
{
	serve("generic", "", "local");
	contains("'messages':[" U("q") "," AB(USE("a.b:c")) ","
	    UB(RESULT("a.b:c", "1")) "]", "'id':'call_"
	    "b2a25f70f5cf2429a9473fdc41f092c9", "OA-44 hashed");
	T(has(last, "'tool_call_id':'call_b2a25f70f5cf2429a9473fdc41f092c9'"),
	    "OA-44 on both");
	contains("'messages':[" U("q") ","
	    AB(USE("0123456789012345678901234567890123456789")) "]",
	    "'id':'0123456789012345678901234567890123456789'",
	    "OA-44 forty go");
	lacks("'messages':[" U("q") ","
	    AB(USE("01234567890123456789012345678901234567890")) "]",
	    "'id':'0", "OA-44 forty-one don't");
	serve("generic", "tool_id=9alnum", "local");
	contains("'messages':[" U("q") "," AB(USE("abcdefghi")) "]",
	    "'id':'abcdefghi'", "OA-44 nine as they are");
	lacks("'messages':[" U("q") "," AB(USE("abc_efghi")) "]",
	    "'id':'abc_", "OA-44 nine, alphanumeric");
	T(last.n && str_find(last, S("\"id\":\"")) + 6 + 9 ==
	    str_find(last, S("\",\"type\":\"function\"")),
	    "OA-44 nine of the hash");
}

static void test_server_history(void)
{
	serve("generic", "", "local");
	becomes(U("q") "," AB("{'type':'server_tool_use','id':'s1','name':"
	    "'web_search','input':{'query':'tide'}},{'type':"
	    "'web_search_tool_result','tool_use_id':'s1','content':[{'type':"
	    "'web_search_result','title':'T','url':'https://e',"
	    "'encrypted_content':'zzz'}]}," TEXT("High.")) "," U("r"),
	    U("q") "," A("[web_search: tide]\\nT - https://e\\n\\nHigh.") ","
	    U("r"), "OA-45");
	becomes(U("q") "," AB("{'type':'server_tool_use','id':'s1','name':"
	    "'code_execution','input':{}},{'type':"
	    "'code_execution_tool_result','tool_use_id':'s1','content':"
	    "{'stdout':'x'}}") "," U("r"), U("q\\n\\nr"),
	    "OA-45 unreadable: the pair is dropped");
}

static void test_compaction(void)
{
	serve("generic", "", "local");
	becomes(U("old") "," A("older") "," U("x") ","
	    AB("{'type':'compaction','content':'S'}," TEXT("go on")) ","
	    U("r"), U("Summary of the conversation so far:\\nS") ","
	    A("go on") "," U("r"), "OA-46 what came before is dropped");
	becomes(U("q") "," AB(TEXT("a") ",{'type':'compaction','content':"
	    "'S'}") "," U("r"), U("q") "," A("a\\n\\nS") "," U("r"),
	    "OA-46 not first: text at its place");
}

static void test_prefill(void)
{
	serve("generic", "", "local");
	becomes(U("q") "," A("I am"), U("q") "," A("I am"), "OA-47 as it is");
	T_STR(openai_state(&c)->sent.prefill, S("I am"), "OA-47 remembered");
	T(noted(NOTE_CHANGED, "messages"), "OA-47 noted");
	serve("vllm", "", "m");
	contains("'messages':[" U("q") "," A("I am") "]",
	    "'add_generation_prompt':false,'continue_final_message':true",
	    "OA-47 vllm");
	T(!noted(NOTE_CHANGED, "messages"), "OA-47 vllm goes on");
	contains("'messages':[" A("I am") "]", "'messages':[" U(".") ","
	    A("I am") "]", "OA-36 no user message");
	lacks("'messages':[" U("q") "," AB(USE("a")) "]", "continue_final",
	    "OA-47 calls are no prefill");
	/* The number before it is rewritten shorter: it moves along. */
	serve("generic", "context=400", "local");
	contains("'messages':[" U("q") "," A("I am") "]", "'I am'", "OA-47");
	T_STR(openai_state(&c)->sent.prefill, S("I am"), "OA-47 after a move");
}

static void test_mid_system(void)
{
#define SYS(t) "{'role':'system','content':'" t "'}"
	serve("openai", "", "gpt-4.1");
	becomes(U("a") "," SYS("s") "," A("b") "," U("c"), U("a") ","
	    SYS("s") "," A("b") "," U("c"), "OA-49 same place");
	becomes(U("a") "," AB(USE("i")) "," SYS("s") "," UB(RESULT("i", "1")),
	    U("a") ",{'role':'assistant','content':null,'tool_calls':["
	    CALL("i") "]}," TOOL("i", "1") "," SYS("s"),
	    "OA-49 never between calls and results");
	serve("generic", "", "local");
	becomes(U("a") "," SYS("s"), U("a\\n\\n<system-reminder>\\ns\\n"
	    "</system-reminder>"), "OA-49 the previous one when last");
	becomes(A("x") "," SYS("s") "," U("b"), A("x") ","
	    U("<system-reminder>\\ns\\n</system-reminder>\\n\\nb"),
	    "OA-49 the next one");
	becomes(U("a") "," AB(USE("i")) "," SYS("s") "," UB(RESULT("i", "1")
	    "," TEXT("t")), U("a") ",{'role':'assistant','content':null,"
	    "'tool_calls':[" CALL("i") "]}," TOOL("i", "1") ","
	    U("<system-reminder>\\ns\\n</system-reminder>\\n\\nt"),
	    "OA-49 behind the results");
	becomes("{'role':'system','content':'s','clear_at':"
	    "'next_user_message'}," U("a"), U("a"), "OA-49 cleared");
	becomes(U("a") ",{'role':'system','content':'s','clear_at':"
	    "'next_user_message'}", U("a\\n\\n<system-reminder>\\ns\\n"
	    "</system-reminder>"), "OA-49 not yet");
}

/* The bytes up to the last message are the same in the next request. */
static void test_prefix(void)
{
	static char first[4096];
	static const char *const profiles[] = { "openai", "generic", "vllm",
	    "gemini", "llamacpp" };
	struct str one, two;
	size_t i, n;

	for (i = 0; i < COUNT(profiles); i++) {
		serve(profiles[i], "", "m");
		one = encode("'system':'be',"TOOLS(F("f") "," F("g"))
		    ",'messages':[" U("a") "," SYS("s") "]");
		memcpy(first, one.p, one.n);
		one.p = first;
		two = encode("'system':'be'," TOOLS(F("f") "," F("g"))
		    ",'messages':[" U("a") "," SYS("s") "," AB(USE("i")) ","
		    UB(RESULT("i", "1")) "]");
		n = str_find(one, S("],\"stream\""));
		T(n < one.n && str_starts(two, str_head(one, n)),
		    "OA-29 OA-49 %s: the prefix stays", profiles[i]);
	}
}

/* ---- reasoning (section 4) ---- */

static void effort(const char *profile, const char *model, const char *ask,
	const char *want)
{
	char fields[512];

	serve(profile, "", model);
	snprintf(fields, sizeof fields, HI "%s%s", *ask ? "," : "", ask);
	if (*want)
		contains(fields, want, "OA-60 OA-61 %s %s %s", profile, model,
		    ask);
	else
		lacks(fields, "reasoning", "OA-61 unset");
}

#define EFFORT(l) "'output_config':{'effort':'" l "'}"
#define BUDGET(n) "'thinking':{'type':'enabled','budget_tokens':" n "}"
#define OFF "'thinking':{'type':'disabled'}"

static void test_effort(void)
{
	effort("openai", "o3", BUDGET("2000"), "'reasoning_effort':'low'");
	effort("openai", "o3", BUDGET("4096"), "'reasoning_effort':'medium'");
	effort("openai", "o3", BUDGET("31999"), "'reasoning_effort':'high'");
	effort("openai", "o3", EFFORT("max"), "'reasoning_effort':'high'");
	effort("openai", "o4-mini", OFF, "'reasoning_effort':'low'");
	effort("openai", "o3", "", "");
	effort("openai", "gpt-5", OFF, "'reasoning_effort':'minimal'");
	effort("openai", "gpt-5-mini", EFFORT("xhigh"),
	    "'reasoning_effort':'high'");
	effort("openai", "gpt-5.1", OFF, "'reasoning_effort':'none'");
	effort("openai", "gpt-5.2", BUDGET("40000"),
	    "'reasoning_effort':'xhigh'");
	effort("openai", "gpt-5.4", EFFORT("high") "," TOOLS(F("f")),
	    "'reasoning_effort':'none'");
	T(noted(NOTE_CHANGED, "output_config.effort"), "OA-61 noted");
	effort("openai", "gpt-5.5", TOOLS(F("f")),
	    "'reasoning_effort':'none'");
	effort("openai", "gpt-5.4", EFFORT("high"),
	    "'reasoning_effort':'high'");
	effort("openai", "gpt-4.1", EFFORT("high"), "");
	effort("openai", "gpt-4o", BUDGET("2000"), "");
	effort("gemini", "gemini-3-flash", OFF, "'reasoning_effort':'none'");
	effort("gemini", "gemini-3-pro", OFF, "'reasoning_effort':'minimal'");
	effort("gemini", "gemini-3-pro", EFFORT("max"),
	    "'reasoning_effort':'high'");
	effort("gemini", "gemini-3-pro", "'thinking':{'type':'adaptive'}",
	    "'extra_body':{'google':{'thinking_config':"
	    "{'include_thoughts':true}}}");
	effort("openrouter", "meta/llama", EFFORT("max"),
	    "'reasoning':{'effort':'xhigh'}");
	effort("openrouter", "anthropic/claude-x", BUDGET("2000"),
	    "'reasoning':{'max_tokens':2000}");
	effort("openrouter", "meta/llama", OFF, "'reasoning':{'enabled':false}");
	effort("deepseek", "deepseek-chat", EFFORT("low"),
	    "'thinking':{'type':'enabled'},'reasoning_effort':'high'");
	effort("deepseek", "deepseek-chat", EFFORT("max"),
	    "'reasoning_effort':'max'");
	effort("deepseek", "deepseek-chat", OFF,
	    "'thinking':{'type':'disabled'}");
	effort("ollama", "qwen3", OFF, "'reasoning_effort':'none'");
	effort("ollama", "qwen3", EFFORT("xhigh"),
	    "'reasoning_effort':'max'");
	effort("generic", "local", EFFORT("high"), "");
	effort("vllm", "m", EFFORT("high"), "");
	serve("vllm", "template_thinking=1", "m");
	contains(HI "," OFF, "'chat_template_kwargs':"
	    "{'enable_thinking':false}", "OA-61 vllm");
}

static void test_reasoning_back(void)
{
#define THINK(t, s) "{'type':'thinking','thinking':'" t "','signature':'" s \
	"'}"
#define TALK "'messages':[" U("a") "," AB(THINK("t1", "sig") "," TEXT("b")) \
	"," U("c") "," AB(THINK("t2", "p1.e30") "," USE("i")) "," \
	UB(RESULT("i", "1")) "]"
	serve("generic", "", "local");
	lacks(TALK, "t1", "OA-62 dropped");
	serve("deepseek", "", "deepseek-reasoner");
	contains(TALK, "'content':'b','reasoning_content':'t1'}",
	    "OA-62 FN-23 deepseek");
	T(has(last, "'reasoning_content':'t2','tool_calls'"), "OA-62 all");
	contains("'messages':[" U("a") "," A("b") "," U("c") "]",
	    "'content':'b','reasoning_content':''}", "OA-62 empty");
	openai_learned(&c)->refused |= 1u << PARAM_REASONING_SPACE;
	contains("'messages':[" U("a") "," A("b") "," U("c") "]",
	    "'content':'b','reasoning_content':' '}", "OA-62 a space");
	serve("vllm", "send_reasoning=1", "m");
	contains(TALK, "'reasoning':'t2'", "OA-62 vllm");
	T(!has(last, "t1"), "OA-62 since the user's last text");
	serve("vllm", "", "m");
	lacks(TALK, "t2", "OA-62 not unless asked");
	/* The envelope's own text, where the client wasn't shown any: x. */
	serve("deepseek", "", "deepseek-reasoner");
	contains("'messages':[" U("a") "," AB(THINK("", "p1.eyJ4IjoiaGlkIn0")
	    "," TEXT("b")) "," U("c") "]", "'reasoning_content':'hid'",
	    "OA-62 OA-65 hidden text");
	openai_keep(&c, S("i9"), S("{\"x\":\"kept\"}"));
	contains("'messages':[" U("a") "," AB(USE("i9")) ","
	    UB(RESULT("i9", "1")) "]", "'reasoning_content':'kept'",
	    "OA-66 from the cache");
}

static void test_envelopes(void)
{
	/* {"d":[{"type":"reasoning.text","text":"q"}]} */
#define D "p1.eyJkIjpbeyJ0eXBlIjoicmVhc29uaW5nLnRleHQiLCJ0ZXh0IjoicSJ9XX0"
	serve("openrouter", "", "x/y");
	contains("'messages':[" U("a") "," AB(THINK("t", D) "," TEXT("b"))
	    "," U("c") "]", "'reasoning_details':[{'type':'reasoning.text',"
	    "'text':'q'}]", "OA-62 OA-65 details");
	openai_keep(&c, S("i"), S("{\"d\":[{\"n\":1}]}"));
	contains("'messages':[" U("a") "," AB(THINK("t", D) "," USE("i"))
	    "," U("c") "]", "'reasoning_details':[{'n':1}],'tool_calls'",
	    "OA-66 the cache first");
	lacks("'messages':[" U("a") "," AB(THINK("t", "p1.!!") ","
	    TEXT("b")) "," U("c") "]", "reasoning_details",
	    "OA-65 a broken one is none");
	T(code == OK, "OA-65 and no error");
	lacks("'messages':[" U("a") "," AB(THINK("t", "p1.bm90IGpzb24") ","
	    TEXT("b")) "," U("c") "]", "reasoning_details", "OA-65 no JSON");
	/* {"u":"other","d":[{"n":2}]} */
	lacks("'messages':[" U("a") "," AB(THINK("t",
	    "p1.eyJ1Ijoib3RoZXIiLCJkIjpbeyJuIjoyfV19") "," TEXT("b")) ","
	    U("c") "]", "reasoning_details", "field note 21: another maker's");
	serve("gemini", "", "gemini-3-pro");
	contains("'messages':[" U("a") "," AB(USE("i") "," USE("j")) ","
	    U("c") "]", "'id':'i'", "OA-67");
	T(has(last, "'extra_content':{'google':{'thought_signature':"
	    "'skip_thought_signature_validator'}}},{'id':'j'"),
	    "OA-67 FN-25 fallback on the first alone");
	/* {"t":{"i":"SIG"}} */
	contains("'messages':[" U("a") "," AB(THINK("",
	    "p1.eyJ0Ijp7ImkiOiJTSUcifX0") "," USE("i")) "," U("c") "]",
	    "'thought_signature':'SIG'", "OA-67 FN-25 from the envelope");
	openai_keep(&c, S("i"), S("{\"t\":{\"i\":\"KEPT\"}}"));
	contains("'messages':[" U("a") "," AB(THINK("",
	    "p1.eyJ0Ijp7ImkiOiJTSUcifX0") "," USE("i")) "," U("c") "]",
	    "'thought_signature':'KEPT'", "OA-66 OA-67 the cache first");
}

static int shown(const char *flags, const char *thinking)
{
	char fields[256];

	serve("generic", flags, "local");
	snprintf(fields, sizeof fields, HI "%s", thinking);
	encode(fields);
	return openai_state(&c)->sent.show_reasoning;
}

static void test_shown(void)
{
	T_INT(shown("", ""), 0, "OA-64 absent");
	T_INT(shown("", ",'thinking':{'type':'adaptive'}"), 1, "OA-64");
	T_INT(shown("", "," OFF), 0, "OA-64 disabled");
	T_INT(shown("", ",'thinking':{'type':'adaptive','display':"
	    "'omitted'}"), 2, "OA-64 omitted");
	T_INT(shown("show_reasoning=always", ""), 1, "OA-64 always");
}

/* ---- tools (section 5) ---- */

static void test_tools(void)
{
	serve("generic", "", "local");
	contains(HI "," TOOLS("{'name':'f','description':'d','input_schema':"
	    "{'type':'object','properties':{'a':{'type':'string'}}},"
	    "'cache_control':{'type':'ephemeral'},'eager_input_streaming':"
	    "true,'input_examples':[{'a': 'x'},{'a':'y'},{},{}]}"),
	    "'tools':[{'type':'function','function':{'name':'f',"
	    "'description':'d\\nExamples:\\n{\\'a\\':\\'x\\'}\\n{\\'a\\':"
	    "\\'y\\'}\\n{}','parameters':{'type':'object','properties':{'a':"
	    "{'type':'string'}}}}}]", "OA-50");
	lacks(HI "," TOOLS(F("f")), "description", "OA-50 none");
	contains(HI "," TOOLS(F("a.b c")), "'name':'a_b_c_", "OA-51");
	T(noted(NOTE_RENAMED, "tools.name"), "OA-51 noted");
	T_STR(openai_state(&c)->sent.names[0].client.raw, S("a.b c"),
	    "OA-51 the way back");
	T_INT((intmax_t)openai_state(&c)->sent.names[0].upstream.n, 5 + 9,
	    "OA-51 eight digits");
	contains("'messages':[" U("q") "," AB("{'type':'tool_use','id':'a',"
	    "'name':'a.b c','input':{}}") "]," TOOLS(F("a.b c"))
	    ",'tool_choice':{'type':'tool','name':'a.b c'}",
	    "'tool_choice':{'type':'function','function':{'name':'a_b_c_",
	    "OA-51 in tool_choice");
	T(!has(last, "'name':'a.b c'"), "OA-51 and in history");
	encode(HI "," TOOLS(F("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"
	    "uvwxyzabcdefghijklm")));
	T_INT((intmax_t)openai_state(&c)->sent.names[0].upstream.n, 64,
	    "OA-51 cut to 64");
	serve("gemini", "", "gemini-3-pro");
	contains(HI "," TOOLS(F("3d")), "'name':'_d_", "OA-51 gemini");
}

static void test_strict(void)
{
	serve("openai", "", "gpt-4.1");
	contains(HI "," TOOLS("{'name':'f','strict':true,'input_schema':"
	    SCHEMA "}"), ",'strict':true}}]", "5.3 strict");
	lacks(HI "," TOOLS("{'name':'f','strict':true,'input_schema':"
	    "{'type':'object','properties':{'a':{}}}}"), "strict",
	    "5.3 the schema doesn't");
	T(noted(NOTE_DROPPED, "tools.strict"), "5.3 noted");
	lacks(HI "," TOOLS("{'name':'f','input_schema':" SCHEMA "}"),
	    "strict", "5.3 not asked");
	serve("generic", "", "local");
	lacks(HI "," TOOLS("{'name':'f','strict':true,'input_schema':" SCHEMA
	    "}"), "strict", "5.3 not at generic");
}

static void choice(const char *profile, const char *ask, const char *want,
	const char *label)
{
	char fields[512];

	serve(profile, "", "m");
	snprintf(fields, sizeof fields, HI "," TOOLS(F("f") "," F("g"))
	    ",'tool_choice':{'type':%s}", ask);
	contains(fields, want, "%s", label);
}

static void test_choice(void)
{
	choice("generic", "'auto'", "'tool_choice':'auto'", "OA-17 auto");
	choice("generic", "'any'", "'tool_choice':'required'", "OA-17 FN-36 any");
	choice("generic", "'none'", "'tool_choice':'none'", "OA-17 none");
	choice("generic", "'tool','name':'g'", "'tool_choice':{'type':"
	    "'function','function':{'name':'g'}}", "OA-17 named");
	choice("ollama", "'tool','name':'g'", "'tool_choice':{'type':"
	    "'function','function':{'name':'g'}}", "section 12 ollama");
	choice("lmstudio", "'tool','name':'g'", "'tools':[{'type':'function',"
	    "'function':{'name':'g','parameters':{'type':'object',"
	    "'properties':{}}}}],'tool_choice':'required'",
	    "section 12 lmstudio");
	choice("llamacpp", "'tool','name':'g'", "'tool_choice':'required'",
	    "OA-17 llamacpp");
	T(!has(last, "'name':'f'"), "OA-17 the named tool alone");
	choice("openai", "'auto','disable_parallel_tool_use':true",
	    "'parallel_tool_calls':false", "OA-18 FN-36");
	serve("generic", "", "m");
	lacks(HI "," TOOLS(F("f")) ",'tool_choice':{'type':'auto',"
	    "'disable_parallel_tool_use':true}", "parallel", "OA-18 unflagged");
	serve("openai", "", "m");
	lacks(HI ",'tool_choice':{'type':'auto','disable_parallel_tool_use':"
	    "true}", "tool_choice", "OA-17 without tools");
	T(!has(last, "parallel"), "OA-18 FN-36 without tools");
}

static void test_server_tools(void)
{
#define SEARCH "{'type':'web_search_20250305','name':'web_search'," \
	"'max_uses':8}"
	serve("generic", "", "local");
	contains(HI ",'system':'be'," TOOLS(SEARCH), "'content':'be\\n\\nThe "
	    "tool web_search is not available here.", "OA-54 told");
	T(!has(last, "tools"), "OA-54 FN-39 left out");
	T(noted(NOTE_DROPPED, "tools"), "OA-54 FN-39 noted");
	contains(HI "," TOOLS(SEARCH) ",'tool_choice':{'type':'tool','name':"
	    "'web_search'}", "web_search is not available", "OA-54 named");
	T(!has(last, "tool_choice"), "OA-54 no choice without tools");
	lacks(HI "," TOOLS(SEARCH "," F("f")), "web_search",
	    "OA-54 among others");
	contains(HI "," TOOLS(SEARCH "," F("f")) ",'tool_choice':{'type':"
	    "'tool','name':'web_search'}", "'tool_choice':'auto'",
	    "section 12: becomes auto");
	T(has(last, "web_search is not available"), "section 12: told");
	encode(HI "," TOOLS("{'type':'browser_toolset_20310801'}"));
	T(code == E_FAULT && c.fault.status == 400, "OA-56 unknown members");
	contains(HI "," TOOLS(F("f") ",{'type':'computer_toolset_20260801',"
	    "'configs':{'zoom':{'enabled':false},'wait':{'enabled':null}}},"
	    F("g")), "'name':'computer__screenshot','description':'Look at the "
	    "screen.','parameters':{'type':'object','properties':{}}}},"
	    "{'type':'function','function':{'name':'g',", "OA-56 a member");
	T(has(last, "'name':'computer__wait'") && !has(last, "zoom"),
	    "OA-56 those that are on");
	T(has(last, "'computer__left_click_drag','description':'Drag with the "
	    "left mouse button from start_coordinate to coordinate.',"
	    "'parameters':{'type':'object','properties':{'start_coordinate':{"
	    "'type':'array','items':{'type':'number'},'minItems':2,"), "OA-56 "
	    "its schema");
	T(openai_state(&c)->sent.nnames == 18, "OA-56 17 members less one, f "
	    "and g");
	contains(HI "," TOOLS("{'type':'browser_toolset_20260801'},{'type':"
	    "'browser_toolset_20260801'}"), "'name':'browser__navigate'",
	    "OA-56 browser");
	T(openai_state(&c)->sent.nnames == 29, "OA-56 without files and code");
	contains(HI "," TOOLS("{'type':'browser_toolset_20260801','configs':{"
	    "'javascript_exec':{'enabled':true}}}"),
	    "'name':'browser__javascript_exec'", "OA-56 asked for");
	contains("'messages':[" U("go") "," AB("{'type':'tool_use','id':'a',"
	    "'name':'screenshot','toolset_name':'computer','input':{}}") ","
	    UB(RESULT("a", "1")) "]," TOOLS("{'type':"
	    "'computer_toolset_20260801'}"), "{'id':'a','type':'function',"
	    "'function':{'name':'computer__screenshot',", "OA-56 in history");
	serve("gemini", "", "gemini-2.5-pro");
	contains(HI "," TOOLS("{'type':'computer_toolset_20260801'},{'type':"
	    "'browser_toolset_20260801'}"), "'name':'browser__form_input'",
	    "OA-56 OA-58 as Gemini takes it");
	T(!has(last, "'type':['string'"), "OA-58 one type a schema");
	serve("generic", "", "local");
	contains(HI "," TOOLS("{'type':'bash_20250124','name':'bash'}"),
	    "'name':'bash','description':'Run a command", "OA-55 bash");
	T(has(last, "'command':{'type':'string'},'restart':{'type':"
	    "'boolean'}"), "OA-55 its schema");
	contains(HI "," TOOLS("{'type':'text_editor_20250124','name':"
	    "'str_replace_editor'}"), "'insert','undo_edit']", "OA-55 undo");
	lacks(HI "," TOOLS("{'type':'text_editor_20250728','name':"
	    "'str_replace_based_edit_tool'}"), "undo_edit", "OA-55 no undo");
	contains(HI "," TOOLS("{'type':'memory_20250818','name':'memory'},"
	    "{'type':'computer_20250124','name':'computer',"
	    "'display_width_px':1,'display_height_px':1}"),
	    "'old_path':{'type':'string'}", "OA-55 memory");
	T(has(last, "'action':{'type':'string'},'coordinate':"), "OA-55");
}

#define LATER(name) "{'name':'" name "','defer_loading':true," \
	"'input_schema':{'type':'object'}}"

static void test_deferred(void)
{
	serve("generic", "", "local");
	contains(HI "," TOOLS(F("f") "," LATER("late")), "'late'",
	    "OA-53 no search: an ordinary tool");
	lacks(HI "," TOOLS(F("ToolSearch") "," LATER("late")), "'late'",
	    "OA-53 the model can ask for it");
	contains("'messages':[" U("q") "," AB(USE("i")) ",{'role':'user',"
	    "'content':[{'type':'tool_result','tool_use_id':'i','content':"
	    "[{'type':'tool_reference','tool_name':'late'}]}]}],"
	    TOOLS(F("ToolSearch") "," LATER("late") "," LATER("other")),
	    "'name':'late'", "OA-53 asked for");
	T(!has(last, "other"), "OA-53 that one alone");
	T(has(last, "Tool available: late"), "OA-37 and told so");
	contains("'messages':[" U("q") "," AB("{'type':'tool_use','id':'i',"
	    "'name':'late','input':{}}") "]," TOOLS(F("ToolSearch") ","
	    LATER("late")), "'tools':[{'type':'function','function':{'name':"
	    "'ToolSearch','parameters':{'type':'object','properties':{}}}},"
	    "{'type':'function','function':{'name':'late'",
	    "section 12: called already");
	contains(HI "," TOOLS("{'type':'tool_search_tool_regex_20251119',"
	    "'name':'tool_search_tool_regex'}," LATER("late")), "'late'",
	    "OA-53 a server's search can't run: all of them");
	T(!has(last, "tool_search_tool_regex"), "OA-54");
}

static void test_limit(void)
{
	serve("openai", "tool_limit=2", "gpt-4.1");
	contains(HI "," TOOLS(F("a") "," LATER("l1") "," LATER("l2")), "'l1'",
	    "section 12: only as many as needed");
	T(!has(last, "'l2'"), "OA-52 the last deferred one goes");
	T(noted(NOTE_DROPPED, "tools"), "OA-52 noted");
	encode(HI "," TOOLS(F("a") "," F("b") "," F("c")));
	T(code == E_FAULT && c.fault.status == 400 &&
	    str_find(fault_text(&c.fault), S("3 tools")) < c.fault.n,
	    "OA-52 the count");
}

static void test_tool_changes(void)
{
	serve("openai", "", "gpt-4.1");
	lacks("'messages':[" U("q") ",{'role':'system','content':[{'type':"
	    "'tool_removal','tool_name':'g'}]}]," TOOLS(F("f") "," F("g")),
	    "'g'", "OA-49 removed");
	contains("'messages':[" U("q") ",{'role':'system','content':[{'type':"
	    "'tool_removal','tool_name':'g'}]}," U("r") ",{'role':'system',"
	    "'content':[{'type':'tool_addition','tool':{'name':'g'}}]}],"
	    TOOLS(F("f") "," F("g")), "'g'", "OA-49 and back");
#define ADDS(tool) "{'role':'system','content':[{'type':'tool_addition'," \
	"'tool':{'type':'tool_definition','definition':" tool "}}]}"
	contains("'messages':[" U("q") "," ADDS(F("h")) "," U("r") "],"
	    TOOLS(F("f")), "'name':'f','parameters':{'type':'object',"
	    "'properties':{}}}},{'type':'function','function':{'name':'h',",
	    "OA-49 a new definition");
	contains("'messages':[" U("q") "," ADDS(F("h")) "," U("r") "]",
	    "'name':'h'", "OA-49 the first one");
	lacks("'messages':[" U("q") "," ADDS(F("h")) ",{'role':'system',"
	    "'content':[{'type':'tool_removal','tool':{'type':"
	    "'tool_reference','name':'h'}}]}]," TOOLS(F("f")), "'h'",
	    "OA-49 defined and removed");
}

/* ---- what is learned (OA-5) ---- */

static void refuse(enum openai_param p)
{
	openai_learned(&c)->refused |= 1u << p;
}

static void test_learned(void)
{
	serve("openai", "stop=upstream", "gpt-4.1");
	encode(HI ",'stream':true,'temperature':1,'top_p':1,'stop_sequences':"
	    "['x'],'metadata':{'user_id':'u'},'service_tier':"
	    "'standard_only'," TOOLS(F("f")) ",'tool_choice':{'type':'auto',"
	    "'disable_parallel_tool_use':true}");
	T(openai_state(&c)->sent.sent_params == (1u << PARAM_TEMPERATURE |
	    1u << PARAM_TOP_P | 1u << PARAM_STOP | 1u << PARAM_USER |
	    1u << PARAM_SERVICE_TIER | 1u << PARAM_PARALLEL |
	    1u << PARAM_STREAM_OPTIONS | 1u << PARAM_MAX_SWAP),
	    "OA-5 what was sent is known");
	refuse(PARAM_TEMPERATURE);
	refuse(PARAM_TOP_P);
	refuse(PARAM_STOP);
	refuse(PARAM_USER);
	refuse(PARAM_SERVICE_TIER);
	refuse(PARAM_PARALLEL);
	refuse(PARAM_STREAM_OPTIONS);
	refuse(PARAM_MAX_SWAP);
	last = encode(HI ",'stream':true,'temperature':1,'top_p':1,"
	    "'stop_sequences':['x'],'metadata':{'user_id':'u'},"
	    "'service_tier':'standard_only'," TOOLS(F("f"))
	    ",'tool_choice':{'type':'auto','disable_parallel_tool_use':true}");
	T_STR(last, quoted(want_room, sizeof want_room, "{'model':'gpt-4.1',"
	    "'max_tokens':1000,'tools':[{'type':'function','function':"
	    "{'name':'f','parameters':{'type':'object','properties':{}}}}],"
	    "'tool_choice':'auto','messages':[{'role':'user','content':'hi'}"
	    "],'stream':true}"), "OA-5 none of them again");
	c.model = S("gpt-4o");
	contains(HI ",'temperature':1", "'temperature':1",
	    "OA-5 another model has its own");
	serve("openai", "", "gpt-5");
	encode(HI "," EFFORT("low"));
	refuse(PARAM_REASONING_EFFORT);
	lacks(HI "," EFFORT("low"), "effort", "OA-5 reasoning_effort");
	serve("openai", "", "some-model");
	encode(HI);
	refuse(PARAM_EFFORT_NONE);
	contains(HI "," TOOLS(F("f")), "'reasoning_effort':'none'",
	    "OA-61 learned for an unknown model");
	serve("openai", "", "gpt-4.1");
	encode(HI);
	refuse(PARAM_RESPONSE_FORMAT);
	lacks(HI ",'output_format':{'type':'json_schema','schema':" SCHEMA
	    "}", "response_format", "OA-5 response_format");
	T(has(last, "nothing else:"), "OA-5 then in words");
}

/* ---- counting (section 9) ---- */

static void test_count(void)
{
	struct str body = quoted(text, sizeof text, "{'model':'m',"
	    "'messages':[{'role':'user','content':'Hello, world!'}]}");

	serve("generic", "", "local");
	encode_kind(body, CALL_COUNT);
	T_INT(code, E_NONE, "OA-126");
	/* 300 + 400 + 326 hundredths. */
	T_INT(c.estimate, 11, "OA-129");
	openai_learned(&c)->ratio = 65536 / 2 * 3;
	encode_kind(body, CALL_COUNT);
	T_INT(c.estimate, 17, "OA-131 ceil(11 x 1.5)");
	T_INT(openai_state(&c)->sent.estimate, 11, "OA-131 as it was");
	serve("vllm", "", "qwen");
	T_STR(encode_kind(body, CALL_COUNT), quoted(want_room,
	    sizeof want_room, "{'model':'qwen','messages':[{'role':'user',"
	    "'content':'Hello, world!'}]}"), "OA-123");
	refuse(PARAM_EXACT_COUNT);
	encode_kind(body, CALL_COUNT);
	T_INT(code, E_NONE, "OA-126 a 404 disables it");
	serve("llamacpp", "", "qwen");
	T_STR(encode_kind(body, CALL_COUNT), body, "OA-124 as it came");
	facts.count_lost = 1;
	T_STR(encode_kind(body, CALL_COUNT), quoted(want_room,
	    sizeof want_room, "{'model':'qwen','messages':[{'role':'user',"
	    "'content':'Hello, world!'}]}"), "OA-124 older servers' template");
	T_INT(openai_state(&c)->sent.count, COUNT_TEMPLATE, "OA-124 older");
	facts.count_lost = 2;
	encode_kind(body, CALL_COUNT);
	T_INT(code, E_NONE, "OA-124 none of the ways is there");
}

static struct str counted(const char *profile, const char *model,
	const char *fields)
{
	static char body[1 << 16], all[1 << 16];

	serve(profile, "exact_count=1", model);
	snprintf(all, sizeof all, "{'model':'m',%s}", fields);
	return encode_kind(quoted(body, sizeof body, all), CALL_COUNT);
}

#define COUNTED(profile, model, fields, want, ...) \
	T_STR(counted(profile, model, fields), quoted(want_room, \
	    sizeof want_room, want), __VA_ARGS__)

/* A conversation with all that a count has to carry over. */
#define ALL_KINDS "'system':'S','tools':[{'name':'f','description':'d'," \
	"'input_schema':{'type':'object','properties':{}}}]," \
	"'messages':[" UB(TEXT("look") "," IMAGE("image/png", PNG)) "," \
	AB(TEXT("so") "," USE("i") "," USE("j")) "," \
	UB(RESULT("j", "two") "," RESULT("i", "o\\nne") "," TEXT("go")) "]"

static void test_count_native(void)
{
	serve("openai", "", "gpt-5");
	encode(HI);
	encode_kind(quoted(text, sizeof text, "{'model':'m','messages':["
	    U("hi") "]}"), CALL_COUNT);
	T_INT(code, E_NONE, "OA-125 only when asked for");
	COUNTED("openai", "gpt-5", ALL_KINDS, "{'model':'gpt-5','input':["
	    "{'role':'developer','content':'S'},"
	    "{'role':'user','content':[{'type':'input_text','text':'look'},"
	    "{'type':'input_image','image_url':'data:image/png;base64," PNG
	    "'}]},{'role':'assistant','content':'so'},"
	    "{'type':'function_call','call_id':'i','name':'f',"
	    "'arguments':'{}'},{'type':'function_call','call_id':'j',"
	    "'name':'f','arguments':'{}'},{'type':'function_call_output',"
	    "'call_id':'i','output':'o\\nne'},{'type':"
	    "'function_call_output','call_id':'j','output':'two'},"
	    "{'role':'user','content':'go'}],'tools':[{'type':'function',"
	    "'name':'f','description':'d','parameters':{'type':'object',"
	    "'properties':{}},'strict':false}]}", "OA-125 openai");
	COUNTED("gemini", "gemini-3-pro", ALL_KINDS,
	    "{'generateContentRequest':{'model':'models/gemini-3-pro',"
	    "'systemInstruction':{'parts':[{'text':'S'}]},'contents':["
	    "{'role':'user','parts':[{'text':'look'},{'inlineData':"
	    "{'mimeType':'image/png','data':'" PNG "'}}]},"
	    "{'role':'model','parts':[{'text':'so'},{'functionCall':"
	    "{'name':'f','args':{}},'thoughtSignature':"
	    "'skip_thought_signature_validator'},{'functionCall':"
	    "{'name':'f','args':{}}}]},{'role':'user','parts':["
	    "{'functionResponse':{'name':'f','response':{'output':"
	    "'o\\nne'}}},{'functionResponse':{'name':'f','response':"
	    "{'output':'two'}}},{'text':'go'}]}],'tools':["
	    "{'functionDeclarations':[{'name':'f','description':'d',"
	    "'parameters':{'type':'object','properties':{}}}]}]}}",
	    "OA-125 gemini");
	COUNTED("gemini", "models/g", "'messages':[" U("hi") "]",
	    "{'generateContentRequest':{'model':'models/g','contents':["
	    "{'role':'user','parts':[{'text':'hi'}]}]}}",
	    "OA-125 gemini, nothing else");
	counted("gemini", "g", "'messages':[" UB("{'type':'image','source':"
	    "{'type':'url','url':'https://h/i.png'}}") "]");
	T_INT(code, E_NONE, "OA-125 a link is estimated");
	T(c.estimate > 1600, "OA-125 %d", (int)c.estimate);
}

/* A long text of many kinds, so that its sample differs from its whole. */
static void test_ratio(void)
{
	static char fields[1 << 16];
	struct str body;
	int64_t near, exact;
	size_t n, i;

	n = (size_t)snprintf(fields, sizeof fields, "{\"model\":\"m\","
	    "\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
	    "\"content\":\"");
	for (i = 0; n < 40000; i++)
		n += (size_t)snprintf(fields + n, sizeof fields - n,
		    i % 37 < 11 ? "%zu{%zx}; " : "some words %zu of a row ",
		    i, i * i);
	n += (size_t)snprintf(fields + n, sizeof fields - n, "\"}]}");
	body = (struct str){ fields, n };
	serve("generic", "", "local");
	encode_kind(body, CALL_COUNT);
	exact = c.estimate;
	encode_kind(body, CALL_MESSAGES);
	near = c.estimate;
	T(near != exact, "OA-131 %d is near, not %d", (int)near, (int)exact);
	openai_learned(&c)->ratio = 65536 / 4 * 5;
	encode_kind(body, CALL_MESSAGES);
	T_INT(c.estimate, (near * 5 + 3) / 4, "OA-131 a message");
	encode_kind(body, CALL_COUNT);
	T_INT(c.estimate, (near * 5 + 3) / 4,
	    "OA-131 a count by the estimate that taught the ratio");
}

static void test_estimate(void)
{
	int64_t with;

	serve("generic", "", "local");
	/* 300 + 400 + "hi" 97 = 797. */
	encode(HI);
	T_INT(c.estimate, 8, "OA-129 one message");
	/* + tools 1200 + 700 + "f" 97 + the parameters. */
	encode(HI "," TOOLS(F("f")));
	T_INT(c.estimate, (797 + 1900 + 97 + (int64_t)estimate_text(
	    S("{\"type\":\"object\",\"properties\":{}}"), VOCAB_O) + 99) / 100,
	    "OA-129 tools");
	/* assistant 400 + name 97 + arguments + 800; tool 800 + text. */
	encode("'messages':[" U("hi") "," AB(USE("i")) "," UB(RESULT("i",
	    "hi")) "]");
	T_INT(c.estimate, (797 + 400 + 97 + (int64_t)estimate_text(S("{}"),
	    VOCAB_O) + 800 + 800 + 97 + 99) / 100, "OA-129 calls");
	encode("'messages':[" UB(TEXT("hi") "," IMAGE("image/png", PNG))
	    "]");
	T_INT(c.estimate, (797 + 5000 + 99) / 100, "OA-129 16x16 image");
	T_INT(openai_state(&c)->sent.estimate, 0, "OA-131 not with images");
	encode("'messages':[" U("hi") "," AB(THINK("a long thought, which "
	    "costs nothing where it is not sent", "sig") "," TEXT("hi")) "]");
	with = c.estimate;
	encode("'messages':[" U("hi") "," A("hi") "]");
	T_INT(with, c.estimate, "OA-130 what isn't sent isn't counted");
	serve("ollama", "context=7", "qwen");
	encode(HI);
	T(code == E_FAULT && c.fault.status == 400 && str_starts(
	    fault_text(&c.fault), S("prompt is too long: 8 tokens > 7")),
	    "FN-42 these cut silently");
	serve("vllm", "context=7", "qwen");
	encode(HI);
	T(code == OK, "others say so themselves");
}

/* ---- memory ---- */

/* Whatever room there is: a clean end, and never past it. */
static void test_arena(void)
{
	static char body[4096];
	struct str s = quoted(body, sizeof body, "{'model':'m','max_tokens':9,"
	    "'system':'be'," TOOLS(F("f") "," F("a.b")) ",'messages':["
	    U("q") "," AB(THINK("t", D) "," USE("i")) "," UB(RESULT("i", "1")
	    "," IMAGE("image/png", PNG)) "]}");
	static const char *const profiles[] = { "openrouter", "gemini" };
	size_t i, j, room, ok = 0;
	char *end, was;

	for (j = 0; j < COUNT(profiles); j++) {
		serve(profiles[j], "extra_body={\"seed\":7}", "m");
		encode_kind(s, CALL_MESSAGES);
		T(code == OK, "%s: enough room", profiles[j]);
		for (i = 0; i < 60; i++) {
			room = i * 160 + i % 7;
			a = (struct arena){ memory, memory + ARENA };
			memset(&notes, 0, sizeof notes);
			json_parse(&doc, s, &a, NULL);
			request_parse(&req, &doc, 0, &a, &notes, &c.fault);
			a.end = end = a.cur + room;
			was = *end;
			*end = '#';
			memset(state, 0, sizeof state);
			c.nbody = 0;
			code = openai_encode(&c);
			T((code == OK || code == E_FULL) && *end == '#' &&
			    a.cur <= a.end, "arena of %zu bytes: %d", room,
			    code);
			*end = was;
			ok += code == OK;
		}
	}
	T(ok > 0 && ok < 120, "some fit, some don't");
}

/* ---- the shapes of real bodies ---- */

static void test_fixtures(void)
{
	static const char *const names[] = {
		"fixtures/claude-code-small.json",
		"fixtures/claude-code-tools.json",
		"fixtures/claude-code-long.json"
	};
	static const char *const profiles[] = { "openai", "gemini",
	    "openrouter", "deepseek", "vllm", "llamacpp", "ollama",
	    "lmstudio", "generic" };
	const char *path;
	struct str body, out;
	size_t i, j;

	for (i = 0; i < COUNT(names); i++) {
		path = t_shared(names[i]);
		if (!path)
			continue;
		body = t_file(path);
		for (j = 0; j < COUNT(profiles); j++) {
			serve(profiles[j], "", "gpt-4.1");
			out = encode_kind(body, CALL_MESSAGES);
			T(code == OK && out.n > body.n / 2,
			    "%s for %s: %zu bytes", names[i], profiles[j],
			    out.n);
			T((size_t)c.estimate > out.n / 8 &&
			    (size_t)c.estimate < out.n / 2,
			    "%s: %jd tokens of %zu bytes", names[i],
			    (intmax_t)c.estimate, out.n);
			T(!has(out, "cache_control"), "OA-22 %s", names[i]);
		}
	}
}

int main(void)
{
	test_fields();
	test_members();
	test_openai_fields();
	test_session();
	test_system();
	test_max();
	test_empty_answer();
	test_rows();
	test_refused_fields();
	test_extra();
	test_format();
	test_user();
	test_omitted();
	test_documents();
	test_results();
	test_errors();
	test_result_media();
	test_assistant();
	test_ids();
	test_server_history();
	test_compaction();
	test_prefill();
	test_mid_system();
	test_prefix();
	test_effort();
	test_reasoning_back();
	test_envelopes();
	test_shown();
	test_tools();
	test_strict();
	test_choice();
	test_server_tools();
	test_deferred();
	test_limit();
	test_tool_changes();
	test_learned();
	test_count();
	test_count_native();
	test_ratio();
	test_estimate();
	test_arena();
	test_fixtures();
	return t_done("openai_encode");
}
