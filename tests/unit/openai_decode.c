/* openai_decode.c -- the receiving side of the OpenAI backend: each case is
 * played whole, byte by byte and in random pieces, and all must agree.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/backend/openai_decode.c"
#include "../openai.h"
#include "t.h"

static struct world w;
static char bytes[1 << 20], room[1 << 20];
static unsigned seed = 1;

/* ---- shorthand ---------------------------------------------------------
 *
 * Each line of a script is an event: c TEXT content, r TEXT reasoning, t JSON
 * an element of tool_calls, d JSON a delta, f REASON finish, u P C T usage,
 * D [DONE], anything else as it stands. */

static void put_choice(struct buf *b, const char *before, struct str s,
	const char *after)
{
	buf_put(b, S("data: {\"choices\":[{\"index\":0,"));
	buf_put(b, str_of(before));
	buf_put(b, s);
	buf_put(b, str_of(after));
	buf_put(b, S("}]}\n\n"));
}

static void put_usage(struct buf *b, struct str s)
{
	struct str n = S("0");

	buf_put(b, S("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":"));
	str_cut(&s, ' ', &n);
	buf_put(b, n);
	buf_put(b, S(",\"completion_tokens\":"));
	str_cut(&s, ' ', &n);
	buf_put(b, n);
	buf_put(b, S(",\"total_tokens\":"));
	str_cut(&s, ' ', &n);
	buf_put(b, n);
	buf_put(b, S("}}\n\n"));
}

static void put_line(struct buf *b, struct str l)
{
	struct str s = str_from(l, 2);

	if (str_starts(l, S("c "))) {
		put_choice(b, "\"delta\":{\"content\":\"", s, "\"}");
	} else if (str_starts(l, S("r "))) {
		put_choice(b, "\"delta\":{\"reasoning_content\":\"", s, "\"}");
	} else if (str_starts(l, S("t "))) {
		put_choice(b, "\"delta\":{\"tool_calls\":[", s, "]}");
	} else if (str_starts(l, S("d "))) {
		put_choice(b, "\"delta\":", s, "");
	} else if (str_starts(l, S("f "))) {
		put_choice(b, "\"delta\":{},\"finish_reason\":\"", s, "\"");
	} else if (str_starts(l, S("u "))) {
		put_usage(b, s);
	} else if (str_eq(l, S("D"))) {
		buf_put(b, S("data: [DONE]\n\n"));
	} else {
		buf_put(b, l);
		buf_put(b, S("\n\n"));
	}
}

static struct str script(const char *lines)
{
	struct buf b = buf_on(bytes, sizeof bytes);
	struct str rest = str_of(lines), l;

	while (str_cut(&rest, '\n', &l))
		put_line(&b, l);
	return buf_str(&b);
}

static struct str trimmed(struct str s)
{
	return str_trim(s);
}

/* One run; the line it made. */
static struct str once(struct str in, int steps, int clean)
{
	world_call(&w);
	world_feed(&w, in, room, steps, clean);
	T(!w.broken, "the stream keeps its promises: %s",
		w.broken ? w.broken : "");
	return trimmed(buf_str(&w.line));
}

static void play(const char *label, struct str in, int clean, const char *want)
{
	static char first[WORLD_LINE];
	struct str got;
	int i;

	got = once(in, 0, clean);
	T_STR(got, str_of(want), "%s", label);
	memcpy(first, got.p, got.n);
	T_STR(once(in, 1, clean), ((struct str){ first, got.n }),
		"%s, byte by byte", label);
	for (i = 0; i < 3; i++, seed++)
		T_STR(once(in, -(int)seed, clean),
			((struct str){ first, got.n }), "%s, seed %u", label,
			seed);
}

/* A stream that ends with the connection, cleanly unless cut() is used. */
static void stream(const char *label, const char *lines, const char *want)
{
	play(label, script(lines), 1, want);
}

static void cut_off(const char *label, const char *lines, const char *want)
{
	play(label, script(lines), 0, want);
}

static void whole(const char *label, const char *json, const char *want)
{
	w.content_type = S("application/json");
	play(label, str_of(json), 1, want);
	w.content_type = S("text/event-stream");
}

#define END "f stop\nu 10 5 15\nD"
#define OUT " end_turn 10/0/0/5."
#define USED " tool_use 10/0/0/5."

#define CALL(i, id, name, args) "t {\"index\":" #i ",\"id\":\"" id \
	"\",\"type\":\"function\",\"function\":{\"name\":\"" name \
	"\",\"arguments\":\"" args "\"}}\n"
#define MORE(i, args) "t {\"index\":" #i ",\"function\":{\"arguments\":\"" \
	args "\"}}\n"
#define BLANKS "                                                                "

/* ---- cases ------------------------------------------------------------- */

static void plain_text(void)
{
	world_init(&w);
	stream("text", "c Hel\nc lo\n" END, "T{Hel|lo}" OUT);
	play("OA-70 line ends and comments",
		S(": keep-alive\n\ndata:{\"choices\":[{\"delta\":{\"content\":"
		"\"a\"}}]}\r\n\r\r: x\rdata: {\"choices\":[{\"delta\":\n"
		"data: {\"content\":\"b\"}}]}\n\ndata: [DONE]\n\n"), 1,
		"T{a|b} end_turn 0/0/0/?.");
	stream("OA-71 nothing after [DONE]", "c a\nf stop\n"
		"data: [DONE]  \nc b", "T{a} end_turn 0/0/0/?.");
	cut_off("OA-72 EOF after the finish is an end", "c a\nf stop\nu 1 2 3",
		"T{a} end_turn 1/0/0/2.");
	play("OA-73 the last event without its blank line",
		S("data: {\"choices\":[{\"delta\":{\"content\":\"x\"},"
		"\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]"), 1,
		"T{x} end_turn 0/0/0/?.");
	stream("OA-74 what isn't JSON is skipped", "c a\ndata: oops\ndata: {\n"
		"c b\ndata: x\n" END, "T{a|b}" OUT);
	T_INT(w.notes.n, 1, "OA-74 with a note");
	stream("OA-74 three in a row are an error", "c a\ndata: oops\ndata: {\n"
		"data: x\n" END,
		"T{a!502 api_error upstream local: its stream isn't JSON");
	stream("OA-76 FN-15 chunks without choices", "data: {\"id\":\"x\"}\n"
		"data: {\"choices\":[],\"prompt_filter_results\":[]}\nc a\n"
		END, "T{a}" OUT);
	stream("OA-77 the choice numbered 0", "data: {\"choices\":[{\"index\":1,"
		"\"delta\":{\"content\":\"no\"}},{\"index\":0,\"delta\":"
		"{\"content\":\"yes\"}}]}\n" END, "T{yes}" OUT);
	stream("OA-80 empty deltas", "d {\"role\":\"assistant\",\"content\":"
		"\"\"}\nd {\"content\":null}\nd {}\nc a\n" END, "T{a}" OUT);
	stream("OA-80 message in place of delta",
		"data: {\"choices\":[{\"index\":0,\"message\":{\"content\":"
		"\"all\"},\"finish_reason\":\"stop\"}]}\nu 10 5 15\nD",
		"T{all}" OUT);
	stream("OA-80 but not a second time", "c all\n"
		"data: {\"choices\":[{\"index\":0,\"message\":{\"content\":"
		"\"all\"},\"finish_reason\":\"stop\"}]}\nu 10 5 15\nD",
		"T{all}" OUT);
	stream("OA-82 finish in the chunk of the last delta",
		"data: {\"choices\":[{\"delta\":{\"content\":\"z\"},"
		"\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
		"\"completion_tokens\":5}}\nD", "T{z}" OUT);
	stream("OA-83 blanks before text", "c \\n\\n\nc  \nc Hi\n" END,
		"T{\\n\\n |Hi}" OUT);
	stream("OA-83 blanks before a call are dropped", "c \\n\\n\n"
		"t {\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"lamp\","
		"\"arguments\":\"{}\"}}\n" END, "C{c1 lamp {}}" USED);
	stream("OA-108 nothing but a finish", END, "end_turn 10/0/0/5.");
	stream("OA-68 text after the finish stays in order",
		"c a\nf stop\nc b\nu 10 5 15\nD", "T{a|b}" OUT);
	stream("a large piece after small ones that were dropped", "c \\n\n"
		CALL(0, "c1", "lamp", "{}") "c " BLANKS BLANKS BLANKS BLANKS BLANKS
		"\nc a\n" END, "C{c1 lamp {}} T{" BLANKS BLANKS BLANKS BLANKS BLANKS
		"|a} tool_use 10/0/0/5.");
	stream("escapes pass untouched", "c \\u003cb\\u003e \\\"q\\\" \\/ é\n"
		END, "T{\\u003cb\\u003e \\\"q\\\" \\/ é}" OUT);
}

/* Chunks that differ in their text alone are taken without parsing. */
static void alike(void)
{
	const struct alike *a;

	world_init(&w);
	stream("words", "c a\nc b\nc c\nc d\n" END, "T{a|b|c|d}" OUT);
	a = &openai_state(&w.c)->alike;
	T(a->n && a->tries == 0, "the second was like the first");
	stream("empty ones too", "c \nc a\nc \nc b\n" END, "T{a|b}" OUT);
	stream("and escapes", "c a\nc \\\"\nc \\\\\nc \\u00e9é\n" END,
		"T{a|\\\"|\\\\|\\u00e9é}" OUT);
	stream("not text that leaves its string", "c a\nd {\"content\":\"b\"},"
		"\"x\":{\"content\":\"c\"}\n" END, "T{a|b}" OUT);
	stream("nor a second value in its place", "c a\n"
		"d {\"content\":\"b\",\"content\":\"c\"}\n" END,
		"T{a|c}" OUT);
	stream("nor broken text", "c a\nc b\\x\nc \\\nc c\n" END,
		"T{a|c}" OUT);
	T_INT(w.notes.n, 1, "which is noted");
	stream("a finish with text", "c a\nc b\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":"
		"\"c\"},\"finish_reason\":\"length\"}]}\nc d\nu 10 5 15\nD",
		"T{a|b|c|d} max_tokens 10/0/0/5.");
	stream("text between thoughts and calls", "c a\nr b\nc c\nc d\n"
		CALL(0, "c1", "lamp", "{}") "c e\n" END,
		"T{a} R{b~{}} T{c|d} C{c1 lamp {}} T{e}" USED);
	play("an error in the same shape",
	    S("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
	    "data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\n"
	    "event: error\n"
	    "data: {\"choices\":[{\"delta\":{\"content\":\"c\"}}]}\n\n"), 1,
	    "T{a|b!500 api_error upstream local: {\"choices\":[{\"delta\":"
	    "{\"content\":\"c\"}}]}");
	stream("never two alike", "d {\"content\":\"a\",\"n\":1}\n"
		"d {\"content\":\"b\",\"n\":2}\nd {\"content\":\"c\",\"n\":3}\n"
		"d {\"content\":\"d\",\"n\":4}\nd {\"content\":\"e\",\"n\":5}\n"
		"d {\"content\":\"f\",\"n\":6}\nd {\"content\":\"g\",\"n\":7}\n"
		"d {\"content\":\"h\",\"n\":8}\nd {\"content\":\"i\",\"n\":9}\n"
		END, "T{a|b|c|d|e|f|g|h|i}" OUT);
	a = &openai_state(&w.c)->alike;
	T_INT(a->tries, ALIKE_TRIES, "is not looked for any more");
}

static void split_characters(void)
{
	world_init(&w);
	w.merge = 1;
	stream("OA-79 a pair of surrogates in two chunks",
		"c a\\ud83d\nc \\ude42b\n" END, "T{a\\ud83d\\ude42b}" OUT);
	stream("OA-79 only half of it", "c a\\ud83d\nc b\n" END,
		"T{a\\ufffdb}" OUT);
	stream("OA-79 half of it at the end", "c a\\ud83d\n" END,
		"T{a\\ufffd}" OUT);
	stream("OA-79 half of it before a call", "c a\\ud83d\n"
		"t {\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"lamp\","
		"\"arguments\":\"{}\"}}\n" END,
		"T{a\\ufffd} C{c1 lamp {}}" USED);
	stream("a low half alone", "c a\\ude42b\n" END, "T{a\\ufffdb}" OUT);
	stream("OA-79 FN-9 UTF-8 in two chunks", "c a\xf0\x9f\nc \x99\x82z\n" END,
		"T{a\xf0\x9f\x99\x82z}" OUT);
	stream("OA-79 UTF-8 in four chunks", "c a\xf0\nc \x9f\nc \x99\n"
		"c \x82z\n" END, "T{a\xf0\x9f\x99\x82z}" OUT);
	stream("OA-79 the rest never comes", "c \xc3\nc z\n" END,
		"T{\\ufffdz}" OUT);
	stream("OA-79 the rest never comes, at the end", "c x\xc3\n" END,
		"T{x\\ufffd}" OUT);
	stream("a stray byte", "c a\xff" "b\n" END, "T{a\\ufffdb}" OUT);
	stream("OA-79 in arguments",
		"t {\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"lamp\","
		"\"arguments\":\"{\\\"s\\\":\\\"\\ud83d\"}}\n"
		"t {\"index\":0,\"function\":{\"arguments\":\"\\ude42\\\"}\"}}\n"
		END, "C{c1 lamp {\\\"s\\\":\\\"\\ud83d\\ude42\\\"}}" USED);
	stream("OA-79 in reasoning", "r x\\ud83d\nr \\ude42\nc a\n" END,
		"R{x\\ud83d\\ude42~{}} T{a}" OUT);
	whole("OA-79 in a whole answer", "{\"choices\":[{\"message\":"
		"{\"content\":\"a\xff\xc3\xa9\"},\"finish_reason\":\"stop\"}],"
		"\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}",
		"T{a\\ufffd\xc3\xa9}" OUT);
}

static void reasoning(void)
{
	world_init(&w);
	stream("OA-63 reasoning_content", "r a\nr b\nc c\n" END,
		"R{a|b~{}} T{c}" OUT);
	stream("OA-63 reasoning", "d {\"reasoning\":\"a\"}\nc c\n" END,
		"R{a~{}} T{c}" OUT);
	stream("OA-63 thinking", "d {\"thinking\":\"a\"}\nc c\n" END,
		"R{a~{}} T{c}" OUT);
	stream("OA-63 details", "d {\"reasoning_details\":[{\"type\":"
		"\"reasoning.summary\",\"summary\":\"a\"}]}\nc c\n" END,
		"R{a~{}} T{c}" OUT);
	stream("OA-63 the same in two fields",
		"d {\"reasoning\":\"a\",\"reasoning_content\":\"a\","
		"\"reasoning_details\":[{\"type\":\"reasoning.text\","
		"\"text\":\"a\"}]}\nc c\n" END, "R{a~{}} T{c}" OUT);
	stream("Mistral's parts", "d {\"content\":[{\"type\":\"thinking\","
		"\"thinking\":[{\"type\":\"text\",\"text\":\"a\"}]}]}\n"
		"d {\"content\":[{\"type\":\"text\",\"text\":\"c\"}]}\n" END,
		"R{a~{}} T{c}" OUT);
	stream("OA-81 all kinds in one chunk", "d {\"tool_calls\":[{\"index\":0,"
		"\"id\":\"c1\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{}\"}}],\"content\":\"b\",\"reasoning_content\":\"a\"}\n"
		END, "R{a~{}} T{b} C{c1 lamp {}}" USED);
	stream("field note 1: text, reasoning, text", "c a\nr b\nc c\n" END,
		"T{a} R{b~{}} T{c}" OUT);
	stream("blank reasoning opens nothing", "r \\n\nc c\n" END,
		"T{c}" OUT);
	stream("reasoning that begins with blanks", "r \\n\nr a\nc c\n" END,
		"R{\\n|a~{}} T{c}" OUT);
	w.sent.show_reasoning = 0;
	stream("OA-64 hidden", "r a\nc b\nr c\nc d\n" END, "T{b|d}" OUT);
	w.sent.show_reasoning = 2;
	stream("OA-64 omitted", "r a\nr b\nc c\n" END, "R{~{}} T{c}" OUT);
	w.flags->reasoning_back = REASONING_BACK_CONTENT;
	stream("OA-65 omitted, but must return", "r a\nr b\nc c\n" END,
		"R{~{\"r\":true,\"x\":\"ab\",\"u\":\"local\"}} T{c}" OUT);
	w.sent.show_reasoning = 1;
	stream("OA-65 r", "r a\nc c\n" END,
		"R{a~{\"r\":true,\"u\":\"local\"}} T{c}" OUT);
	w.flags->reasoning_back = REASONING_BACK_DETAILS;
	stream("OA-65 d: pieces put together",
		"d {\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":"
		"\"a\",\"index\":0}]}\nd {\"reasoning_details\":[{\"type\":"
		"\"reasoning.text\",\"text\":\"b\",\"index\":0,\"signature\":"
		"\"s\"},{\"type\":\"reasoning.encrypted\",\"data\":\"e\","
		"\"index\":1}]}\nc c\n" END, "R{a|b~{\"d\":[{\"type\":"
		"\"reasoning.text\",\"text\":\"ab\",\"signature\":\"s\","
		"\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":"
		"\"e\",\"index\":1}],\"u\":\"local\"}} T{c}" OUT);
	stream("OA-65 d: a signature, and a piece with nothing new",
		"d {\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":"
		"\"a\",\"index\":0}]}\nd {\"reasoning_details\":[{\"type\":"
		"\"reasoning.text\",\"index\":0}]}\nd {\"reasoning_details\":[{"
		"\"type\":\"reasoning.text\",\"signature\":\"s\",\"index\":0},{"
		"\"type\":\"x\",\"y\":[1]}]}\nc c\n" END, "R{a~{\"d\":[{\"type\":"
		"\"reasoning.text\",\"text\":\"a\",\"signature\":\"s\","
		"\"index\":0},{\"type\":\"x\",\"y\":[1]}],\"u\":\"local\"}} "
		"T{c}" OUT);
	stream("OA-65 details without text get a carrier before a call",
		"d {\"reasoning_details\":[{\"type\":\"reasoning.encrypted\","
		"\"data\":\"e\"}]}\nt {\"index\":0,\"id\":\"c1\",\"function\":"
		"{\"name\":\"lamp\",\"arguments\":\"{}\"}}\n" END,
		"R{~{\"d\":[{\"type\":\"reasoning.encrypted\",\"data\":\"e\"}],"
		"\"u\":\"local\"}} C{c1 lamp {}}" USED);
	T(str_find(openai_find_kept(&w.c, S("c1")), S("\"data\":\"e\"")) <
		openai_find_kept(&w.c, S("c1")).n, "OA-66 kept for the call");
}

static void think_tags(void)
{
	world_init(&w);
	w.merge = 1;
	w.flags->think_tags = THINK_AUTO;
	stream("OA-68 a tag", "c <think>\\nab</think>\\n\\ncd\n" END,
		"R{ab~{}} T{cd}" OUT);
	stream("OA-68 in pieces", "c \\n<\nc thi\nc nk>a\nc b<\nc /th\n"
		"c ink>\nc \\n\nc c\n" END, "R{ab~{}} T{c}" OUT);
	stream("OA-68 escaped, as Go does", "c \\u003cthink\\u003ea\\u003c\n"
		"c /think\\u003eb\n" END, "R{a~{}} T{b}" OUT);
	stream("OA-68 the other tag", "c <thinking>a</think>b</thinking>c\n"
		END, "R{a</think>b~{}} T{c}" OUT);
	stream("OA-68 near misses", "c <thin\nc g>a\n" END, "T{<thing>a}" OUT);
	stream("OA-68 near misses inside", "c <think>a<</thi</think>b\n" END,
		"R{a<</thi~{}} T{b}" OUT);
	stream("OA-68 only at the start", "c a<think>b</think>\n" END,
		"T{a<think>b</think>}" OUT);
	stream("OA-68 blanks before plain text", "c \\n \nc a\n" END,
		"T{\\n a}" OUT);
	stream("OA-68 empty thoughts", "c <think>\\n\\n</think>\\n\\nHi\n" END,
		"T{Hi}" OUT);
	stream("OA-68 no end tag: better than nothing", "c <think>a\nc b\n"
		END, "R{ab~{}} T{ab}" OUT);
	stream("OA-68 no end tag, but a call", "c <think>a\nt {\"index\":0,"
		"\"id\":\"c1\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{}\"}}\n" END, "R{a~{}} C{c1 lamp {}}" USED);
	stream("OA-68 a held beginning is given at the end", "c <thi\n" END,
		"T{<thi}" OUT);
	stream("reasoning in a field: no tags expected", "r a\n"
		"c <think>b\n" END, "R{a~{}} T{<think>b}" OUT);
	w.sent.show_reasoning = 0;
	stream("OA-68 hidden", "c <think>a</think>b\n" END, "T{b}" OUT);
	stream("OA-68 hidden, no end tag", "c <think>a\n" END, "T{a}" OUT);
	w.sent.show_reasoning = 1;
	w.flags->think_tags = THINK_OPEN;
	stream("OA-68 open", "c \\nab\nc c</think>\nc d\n" END,
		"R{abc~{}} T{d}" OUT);
	w.flags->think_tags = THINK_NO;
	stream("OA-68 off", "c <think>a</think>b\n" END,
		"T{<think>a</think>b}" OUT);
	w.flags->reasoning_back = REASONING_BACK_GEMINI;
	stream("Gemini's thoughts", "c <thought>a\nc b</thought>c\n" END,
		"R{ab~{}} T{c}" OUT);
	stream("Gemini's marked thoughts", "d {\"content\":\"a\","
		"\"extra_content\":{\"google\":{\"thought\":true}}}\nc c\n"
		END, "R{a~{}} T{c}" OUT);
}

static void calls(void)
{
	world_init(&w);
	stream("a call in pieces", CALL(0, "c1", "lamp", "")
		MORE(0, "{\\\"n\\\"") MORE(0, ":3}") "f tool_calls\nu 10 5 15\nD",
		"C{c1 lamp {\\\"n\\\"|:3}}" USED);
	stream("two calls", CALL(0, "c1", "lamp", "{}")
		CALL(1, "c2", "sound", "{\\\"a\\\":1}") END,
		"C{c1 lamp {}} C{c2 sound {\\\"a\\\":1}}" USED);
	stream("OA-84 pieces before the name", "t {\"index\":0,\"id\":\"c1\","
		"\"function\":{\"arguments\":\"{\\\"n\\\":\"}}\n"
		MORE(0, "3") "t {\"index\":0,\"function\":{\"name\":\"lamp\"}}\n"
		MORE(0, "}") END, "C{c1 lamp {\\\"n\\\":3|}}" USED);
	stream("OA-84 the name again and again", CALL(0, "c1", "lamp", "{")
		CALL(0, "c1", "lamp", "}") END, "C{c1 lamp {|}}" USED);
	stream("OA-84 a longer name", CALL(0, "c1", "la", "")
		CALL(0, "c1", "lamp", "{}") END, "C{c1 lamp {}}" USED);
	w.flags->name_pieces = 1;
	stream("OA-84 name_pieces", CALL(0, "c1", "la", "")
		CALL(0, "", "mp", "{}") END, "C{c1 lamp {}}" USED);
	w.flags->name_pieces = 0;
	stream("OA-84 no name ever", "t {\"index\":0,\"id\":\"c1\","
		"\"function\":{\"arguments\":\"{}\"}}\n" END, "end_turn 10/0/0/5.");
	stream("OA-85 interleaved", CALL(0, "c1", "lamp", "{\\\"n\\\"")
		CALL(1, "c2", "sound", "{\\\"a\\\"") MORE(0, ":1}")
		MORE(1, ":2}") END,
		"C{c1 lamp {\\\"n\\\"|:1}} C{c2 sound {\\\"a\\\"|:2}}" USED);
	stream("OA-85 the others at the finish, by number",
		CALL(0, "c1", "lamp", "{\\\"n\\\"") CALL(2, "c3", "sound", "{}")
		CALL(1, "c2", "sound", "{\\\"a\\\":2}") MORE(0, ":1}") END,
		"C{c1 lamp {\\\"n\\\"|:1}} C{c2 sound {\\\"a\\\":2}} "
		"C{c3 sound {}}" USED);
	stream("OA-86 text inside a call waits", CALL(0, "c1", "lamp", "{")
		"c wait\nr hm\nc \\n\n" MORE(0, "}") END,
		"C{c1 lamp {|}} R{hm~{}} T{wait\\n}" USED);
	stream("OA-87 no index (Gemini)",
		"t {\"id\":\"\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{\\\"n\\\":1}\"}}\nt {\"id\":\"\",\"function\":{\"name\":"
		"\"lamp\",\"arguments\":\"{\\\"n\\\":1}\"}}\n" END,
		"C{# lamp {\\\"n\\\":1}} C{# lamp {\\\"n\\\":1}}" USED);
	stream("OA-87 no index, two in one chunk, without arguments",
		"d {\"tool_calls\":[{\"id\":\"\",\"function\":{\"name\":\"lamp\"}},"
		"{\"id\":\"\",\"function\":{\"name\":\"lamp\"}}]}\n" END,
		"C{# lamp {}} C{# lamp {}}" USED);
	stream("OA-87 no index, by id", "t {\"id\":\"a\",\"function\":{\"name\":"
		"\"lamp\",\"arguments\":\"{\"}}\nt {\"id\":\"b\",\"function\":"
		"{\"name\":\"sound\",\"arguments\":\"{}\"}}\nt {\"id\":\"a\","
		"\"function\":{\"arguments\":\"}\"}}\n" END,
		"C{a lamp {|}} C{b sound {}}" USED);
	stream("OA-87 index 0 for all", CALL(0, "c1", "lamp", "{}")
		CALL(0, "c2", "lamp", "{}") END,
		"C{c1 lamp {}} C{c2 lamp {}}" USED);
	stream("one id for all, no index", "d {\"tool_calls\":[{\"id\":\"c1\","
		"\"function\":{\"name\":\"lamp\",\"arguments\":\"{}\"}},{"
		"\"id\":\"c1\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{}\"}}]}\nt {\"id\":\"c1\",\"function\":{\"name\":\"sound\","
		"\"arguments\":\"{}\"}}\n" END,
		"C{c1 lamp {}} C{# lamp {}} C{# sound {}}" USED);
	stream("an id made up for each piece", CALL(0, "c1", "lamp", "{")
		"t {\"index\":0,\"id\":\"c2\",\"function\":{\"arguments\":"
		"\"}\"}}\n" END, "C{c1 lamp {|}}" USED);
	stream("OA-87 numbers from 1, with gaps", CALL(1, "c1", "lamp", "{}")
		CALL(7, "c2", "lamp", "{}") END,
		"C{c1 lamp {}} C{c2 lamp {}}" USED);
	stream("OA-88 no arguments", CALL(0, "c1", "lamp", "")
		CALL(1, "c2", "sound", " ") END,
		"C{c1 lamp {}} C{c2 sound {}}" USED);
	stream("OA-88 cut by the limit", CALL(0, "c1", "lamp", "{\\\"n\\\":[1")
		"f length\nu 10 5 15\nD",
		"C{c1 lamp {\\\"n\\\":[1} max_tokens 10/0/0/5.");
	stream("OA-88 the end is missing", CALL(0, "c1", "lamp",
		"{\\\"n\\\":[1,{\\\"s\\\":\\\"x") END,
		"C{c1 lamp {\\\"n\\\":[1,{\\\"s\\\":\\\"x|\\\"}]}}" USED);
	stream("OA-88 beyond repair", CALL(0, "c1", "lamp", "{]") END,
		"C{c1 lamp {]}" USED);
	stream("OA-90 an object", "t {\"index\":0,\"id\":\"c1\",\"function\":"
		"{\"name\":\"lamp\",\"arguments\":{ \"n\" : \"a\\\"b\" }}}\n" END,
		"C{c1 lamp {\\\"n\\\":\\\"a\\\\\\\"b\\\"}}" USED);
	stream("OA-91 two objects in one", CALL(0, "c1", "lamp",
		"{\\\"n\\\":1}{\\\"n\\\":2}") END,
		"C{c1 lamp {\\\"n\\\":1}} C{# lamp {\\\"n\\\":2}}" USED);
	stream("OA-91 two objects in pieces", CALL(0, "c1", "lamp", "{}")
		MORE(0, " {\\\"n\\\"") MORE(0, ":2}") END,
		"C{c1 lamp {}} C{# lamp  {\\\"n\\\":2}}" USED);
	stream("OA-91 other text behind", CALL(0, "c1", "lamp", "{}x")
		MORE(0, "y") END, "C{c1 lamp {}}" USED);
	stream("OA-92 the whole call again", CALL(0, "c1", "lamp", "{\\\"n\\\"")
		MORE(0, ":1}") CALL(0, "c1", "lamp", "{ \\\"n\\\": 1}") END,
		"C{c1 lamp {\\\"n\\\"|:1}}" USED);
	stream("OA-92 again and again, then another", CALL(0, "c1", "lamp", "{}")
		MORE(0, "{}") MORE(0, "{}") MORE(0, "{\\\"n\\\":1}") END,
		"C{c1 lamp {}} C{# lamp {\\\"n\\\":1}}" USED);
	stream("OA-98 function_call", "d {\"function_call\":{\"name\":\"lamp\","
		"\"arguments\":\"{\"}}\nd {\"function_call\":{\"arguments\":"
		"\"}\"}}\nf function_call\nu 10 5 15\nD", "C{# lamp {|}}" USED);
	stream("OA-106 ids", CALL(0, "a.b:0", "lamp", "{}")
		CALL(1, "x", "lamp", "{\\\"n\\\":1}")
		"t {\"index\":2,\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{}\"}}\n" END,
		"C{# lamp {}} C{x lamp {\\\"n\\\":1}} C{# lamp {}}" USED);
	stream("arguments that don't begin with a brace",
		CALL(0, "c1", "lamp", "\\\"{") MORE(0, "\\\\\\\"n\\\\\\\":1}\\\"")
		END, "C{c1 lamp {\\\"n\\\":1}}" USED);
	stream("OA-110 stop with calls", CALL(0, "c1", "lamp", "{}")
		"f stop\nu 10 5 15\nD", "C{c1 lamp {}}" USED);
	stream("OA-110 tool_calls without one", "c a\nf tool_calls\n"
		"u 10 5 15\nD", "T{a}" OUT);
}

static void call_names(void)
{
	world_init(&w);
	w.names[1].client.raw = S("a.long-name");
	w.names[1].upstream = S("a_long-name");
	stream("OA-51 mapped back", CALL(0, "c1", "a_long-name", "{}") END,
		"C{c1 a.long-name {}}" USED);
	stream("OA-51 prefixes", CALL(0, "c1", "functions.sound", "{}")
		CALL(1, "c2", "default_api:sound", "{}")
		CALL(2, "c3", "default_api.a_long-name", "{}") END,
		"C{c1 sound {}} C{c2 sound {}} C{c3 a.long-name {}}" USED);
	stream("OA-51 case", CALL(0, "c1", "Sound", "{}") END,
		"C{c1 sound {}}" USED);
	stream("OA-51 unknown", CALL(0, "c1", "other", "{}") END,
		"C{c1 other {}}" USED);
}

static void toolset(void)
{
	world_init(&w);
	w.names[1].upstream = S("computer__key");
	w.names[1].client.raw = S("key");
	w.names[1].toolset.raw = S("computer");
	stream("OA-56 a member", CALL(0, "c1", "computer__key", "{}")
		CALL(1, "c2", "sound", "{}") END,
		"C{c1 computer:key {}} C{c2 sound {}}" USED);
}

static void buffered(void)
{
	world_init(&w);
	w.flags->buffer_args = 1;
	stream("OA-89 in one piece", CALL(0, "c1", "lamp", "{ \\\"n\\\"")
		MORE(0, ": 1}") END, "C{c1 lamp {\\\"n\\\":1}}" USED);
	once(script("c Hi.\n" CALL(0, "c1", "lamp", "{ \\\"n\\\"")
		MORE(0, ":1}") CALL(1, "c2", "sound", "{") MORE(1, "}") END),
		0, 1);
	T_STR(buf_str(&w.shown), S("1 lamp { \\\"n\\\";1 lamp :1};2 sound {;"
		"2 sound };"), "OA-89 the owner sees the pieces");
	once(script(CALL(0, "c1", "lamp", "{") CALL(1, "c2", "sound", "{")
		MORE(0, "}") MORE(1, "}") END), 0, 1);
	T_STR(buf_str(&w.shown), S("0 lamp {;0 lamp };"),
		"OA-89 of one call at a time, from its beginning");
	once(script(CALL(0, "c1", "lamp", "{") CALL(1, "c2", "sound", "{}")
		MORE(0, "}") END), 0, 1);
	T_STR(buf_str(&w.shown), S("0 lamp {;"),
		"OA-89 no longer when another overtakes it");
	once(script("t {\"index\":0,\"id\":\"c\",\"function\":{\"arguments\":"
		"\"{\"}}\n" CALL(0, "c", "lamp", "}") END), 0, 1);
	T_STR(buf_str(&w.shown), S(""), "OA-89 not without its name");
	w.names[1].client.raw = S("a.long-name");
	w.names[1].upstream = S("a_long-name");
	once(script(CALL(0, "c1", "a_long-name", "{}") END), 0, 1);
	T_STR(buf_str(&w.shown), S("0 a.long-name {};"),
		"OA-51 OA-89 by the client's name");
	stream("OA-89 two", CALL(0, "c1", "lamp", "{") CALL(1, "c2", "sound",
		"{}") MORE(0, "}") END, "C{c2 sound {}} C{c1 lamp {}}" USED);
	stream("OA-88 buffered and cut", CALL(0, "c1", "lamp", "{\\\"n")
		"f length\nu 10 5 15\nD",
		"C{c1 lamp {\\\"n} max_tokens 10/0/0/5.");
	stream("OA-105 double", CALL(0, "c1", "lamp",
		"\\\"{\\\\\\\"n\\\\\\\": 1}\\\"") END,
		"C{c1 lamp {\\\"n\\\":1}}" USED);
}

static void arguments(void)
{
	static const struct {
		const char *label, *in, *want;
	} t[] = {
		{ "empty", "", "{}" },
		{ "blank", " \n", "{}" },
		{ "object", "{\"a\": [1, 2]}", "{\"a\":[1,2]}" },
		{ "null", "null", "{}" },
		{ "double", "\"{\\\"a\\\":1}\"", "{\"a\":1}" },
		{ "string", "\"x\"", "{\"value\":\"x\"}" },
		{ "array", "[1, 2]", "{\"value\":[1,2]}" },
		{ "number", "1e400", "{\"value\":1e400}" },
		{ "fence", "```json\n{\"a\":1}\n```", "{\"a\":1}" },
		{ "comma", "{\"a\":1,", "{\"a\":1}" },
		{ "open string", "{\"a\":\"x", "{\"a\":\"x\"}" },
		{ "open escape", "{\"a\":\"x\\", "{\"a\":\"x\\\\\"}" },
		{ "open unicode", "{\"a\":\"x\\u12", "{\"a\":\"x\\u1200\"}" },
		{ "open word", "{\"a\":tr", "{\"a\":true}" },
		{ "open number", "{\"a\":-", "{\"a\":-0}" },
		{ "open fraction", "{\"a\":1.", "{\"a\":1.0}" },
		{ "open exponent", "{\"a\":1e", "{\"a\":1e0}" },
		{ "after a key", "{\"a\"", "{\"a\":null}" },
		{ "two values", "{\"a\":1 2", "{\"_raw\":\"{\\\"a\\\":1 2\"}" },
		{ "no comma", "{\"a\":1 \"b\"", "{\"_raw\":\"{\\\"a\\\":1 "
			"\\\"b\\\"\"}" },
		{ "bad escape", "{\"a\":\"\\uzz", "{\"_raw\":\"{\\\"a\\\":"
			"\\\"\\\\uzz\"}" },
		{ "open key", "{\"a", "{\"a\":null}" },
		{ "no value", "{\"a\":", "{\"a\":null}" },
		{ "open array", "{\"a\":[{\"b\":[", "{\"a\":[{\"b\":[]}]}" },
		{ "garbage", "call me", "{\"_raw\":\"call me\"}" },
		{ "wrong bracket", "{\"a\":1]", "{\"_raw\":\"{\\\"a\\\":1]\"}" }
	};
	struct arena a;
	size_t i;

	world_init(&w);
	for (i = 0; i < COUNT(t); i++) {
		world_call(&w);
		a = w.arena;
		T_STR(repair_object(&a, &w.c, str_of(t[i].in)),
			str_of(t[i].want), "OA-105 %s", t[i].label);
	}
}

static void stops(void)
{
	static struct jstr seq[] = { { { "END", 3 } }, { { "\\n\\n", 4 } },
		{ { "abcd", 4 } }, { { "bc", 2 } }, { { "\\u00e9", 6 } } };

	world_init(&w);
	w.merge = 1;
	w.req.stops = seq;
	w.req.nstops = 1;
	stream("OA-116 a hit", "c abc\nc E\nc ND more\n" END,
		"T{abc} stop_sequence=END 0/0/0/?.");
	stream("OA-115 no hit", "c abE\nc N\nc x EN\n" END,
		"T{abENx EN}" OUT);
	stream("OA-116 at the very start", "c END\n" END,
		"stop_sequence=END 0/0/0/?.");
	stream("OA-116 across a call", "c aEN\n" CALL(0, "c1", "lamp", "{}")
		"c D b\n" END,
		"T{aEN} C{c1 lamp {}} stop_sequence=END 0/0/0/?.");
	stream("OA-115 not in reasoning or arguments", "r END\n"
		CALL(0, "c1", "lamp", "{\\\"END\\\":1}") END,
		"R{END~{}} C{c1 lamp {\\\"END\\\":1}}" USED);
	w.req.nstops = 5;
	stream("OA-115 blanks", "c a\\n\nc \\nb\n" END,
		"T{a} stop_sequence=\\n\\n 0/0/0/?.");
	stream("OA-116 the earliest start wins", "c xabc\nc d\n" END,
		"T{x} stop_sequence=abcd 0/0/0/?.");
	stream("OA-116 unless it comes to nothing", "c xabc\nc e\n" END,
		"T{xa} stop_sequence=bc 0/0/0/?.");
	stream("OA-116 the same at the end", "c xabc\n" END,
		"T{xa} stop_sequence=bc 10/0/0/5.");
	stream("OA-116 other spellings", "c xé\n" END,
		"T{x} stop_sequence=\\u00e9 0/0/0/?.");
	stream("text is escaped again", "c \\\"q\\\" \\u003c\\t\n" END,
		"T{\\\"q\\\" <\\t}" OUT);
	whole("OA-118 whole: cut, calls dropped", "{\"choices\":[{\"message\":"
		"{\"content\":\"a END b\",\"tool_calls\":[{\"id\":\"c1\","
		"\"function\":{\"name\":\"lamp\",\"arguments\":\"{}\"}}]},"
		"\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":"
		"10,\"completion_tokens\":5}}",
		"T{a } stop_sequence=END 10/0/0/5.");
	stream("OA-110 vLLM says which", "c a\ndata: {\"choices\":[{\"index\":0,"
		"\"delta\":{},\"finish_reason\":\"stop\",\"stop_reason\":"
		"\"bc\"}]}\nu 10 5 15\nD", "T{a} stop_sequence=bc 10/0/0/5.");
	stream("OA-117 a number is no sequence", "c a\ndata: {\"choices\":[{"
		"\"index\":0,\"delta\":{},\"finish_reason\":\"stop\","
		"\"stop_reason\":128009}]}\nu 10 5 15\nD", "T{a}" OUT);
}

static void prefill(void)
{
	world_init(&w);
	w.merge = 1;
	w.sent.prefill = S("Once \\u00fcpon");
	stream("OA-47 repeated", "c On\nc ce üp\nc on a time\n" END,
		"T{ a time}" OUT);
	stream("OA-47 not repeated", "c Onc\nc tober\n" END, "T{Onctober}" OUT);
	stream("OA-47 cut short", "c Once\n" END, "T{Once}" OUT);
	stream("OA-47 nothing else", "c Once üpon\n" END, "end_turn 10/0/0/5.");
}

static void ends(void)
{
	world_init(&w);
	stream("OA-93 [DONE] alone", "c a\nD", "T{a} end_turn 0/0/0/?.");
	cut_off("OA-93 FN-6 cut", "c a", "T{a!502 api_error upstream local: it "
		"closed the stream early");
	stream("OA-93 no finish, generic", "c a", "T{a!502 api_error "
		"upstream local: it closed the stream early");
	stream("OA-93 a complete call", CALL(0, "c1", "lamp", "{}"),
		"C{c1 lamp {}} tool_use 0/0/0/?.");
	cut_off("OA-93 a complete call, but cut", CALL(0, "c1", "lamp", "{}"),
		"C{c1 lamp {}} !502 api_error upstream local: it closed the "
		"stream early");
	stream("OA-93 an incomplete call stays open",
		CALL(0, "c1", "lamp", "{\\\"a"), "C{c1 lamp {\\\"a!502 "
		"api_error upstream local: it closed the stream early");
	stream("OA-94 nothing", "", "!502 api_error upstream local: it sent an "
		"empty stream");
	stream("OA-94 a role and [DONE]", "d {\"role\":\"assistant\"}\nD",
		"!502 api_error upstream local: it sent an empty stream");
	w.flags->context = 4096;
	w.c.estimate = 5000;
	stream("OA-94 too long for LM Studio", "D", "!400 invalid_request_error"
		" prompt is too long: 5000 tokens > 4096 maximum");
	w.flags->profile = P_OLLAMA;
	stream("OA-93 no finish, ollama", "c a", "T{a} end_turn 5000/0/0/?.");
	cut_off("OA-93 cut, ollama", "c a", "T{a!502 api_error upstream "
		"local: it closed the stream early");
	world_init(&w);
	stream("OA-95 FN-7 error object, nothing after it", "c a\ndata: {\"error\":{\"message\":"
		"\"boom\",\"code\":503}}\nc b\nD",
		"T{a!529 overloaded_error upstream local: boom");
	stream("OA-95 error text", "c a\ndata: {\"error\":\"boom\"}",
		"T{a!500 api_error upstream local: boom");
	stream("OA-95 event: error", "c a\nevent: error\ndata: {\"message\":"
		"\"boom\"}", "T{a!502 api_error upstream local: it closed the "
		"stream early");
	play("OA-95 event: error", S("event: error\ndata: {\"message\":\"boom\"}"
		"\n\n"), 1, "!500 api_error upstream local: boom");
	play("OA-95 event: error, as text", S("event: error\ndata: boom\n\n"),
		1, "!500 api_error upstream local: boom");
	stream("OA-95 in the choice", "c a\ndata: {\"choices\":[{\"index\":0,"
		"\"delta\":{},\"error\":{\"code\":429,\"message\":\"slow\"}}]}",
		"T{a!429 rate_limit_error upstream local: slow");
	stream("OA-95 finish error", "c a\nf error\nD", "T{a!502 api_error "
		"upstream local: the model stopped with an error");
	stream("OA-110 length", "c a\nf length\nu 10 5 15\nD",
		"T{a} max_tokens 10/0/0/5.");
	stream("OA-110 content_filter", "c a\nf content_filter\nu 10 5 15\nD",
		"T{a} refusal 10/0/0/5.");
	stream("OA-110 SAFETY", "f SAFETY\nu 10 5 15\nD",
		"refusal 10/0/0/5.");
	stream("OA-97 refusal", "d {\"refusal\":\"No\"}\nd {\"refusal\":\"!\"}\n"
		"f stop\nu 10 5 15\nD", "T{No|!} refusal(No!) 10/0/0/5.");
	w.req.no_parallel = 1;
	stream("OA-99 a second call", CALL(0, "c1", "lamp", "{}")
		CALL(1, "c2", "lamp", "{\\\"n\\\":1}") END,
		"C{c1 lamp {}} tool_use 0/0/0/?.");
	stream("OA-99 text behind the call", CALL(0, "c1", "lamp", "{}")
		"c \\n\nc x\n" END, "C{c1 lamp {}} tool_use 0/0/0/?.");
	stream("OA-99 one call", CALL(0, "c1", "lamp", "{}") END,
		"C{c1 lamp {}}" USED);
}

static void usage(void)
{
	world_init(&w);
	w.c.estimate = 77;
	stream("OA-111 AN-18 FN-15 cached and written", "c a\nf stop\ndata: {\"choices\":[],"
		"\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":19,"
		"\"total_tokens\":219,\"prompt_tokens_details\":{"
		"\"cached_tokens\":128,\"cache_write_tokens\":30}}}\nD",
		"T{a} end_turn 42/128/30/19.");
	stream("OA-111 deepseek", "c a\nf stop\ndata: {\"choices\":[],"
		"\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":19,"
		"\"prompt_cache_hit_tokens\":300}}\nD",
		"T{a} end_turn 0/200/0/19.");
	stream("OA-112 Gemini's thoughts", "c a\nf stop\nu 100 5 150\nD",
		"T{a} end_turn 100/0/0/50.");
	stream("OA-113 none", "c hello world\nf stop\nD",
		"T{hello world} end_turn 77/0/0/?.");
	T_INT(w.usage.output, 2, "OA-113 two words, two tokens");
	stream("OA-113 a call", CALL(0, "c1", "lamp", "{}") "f stop\nD",
		"C{c1 lamp {}} tool_use 77/0/0/?.");
	T_INT(w.usage.output, 6, "OA-132 and four for a call");
	stream("OA-113 zeros", "c hello world\nf stop\nu 0 0 0\nD",
		"T{hello world} end_turn 77/0/0/?.");
	stream("OA-78 on every chunk", "data: {\"choices\":[{\"delta\":{"
		"\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":5,"
		"\"completion_tokens\":1}}\ndata: {\"choices\":[{\"delta\":{"
		"\"content\":\"b\"},\"finish_reason\":\"stop\"}],\"usage\":{"
		"\"prompt_tokens\":5,\"completion_tokens\":2}}\n"
		"data: {\"choices\":[],\"usage\":null}\nD",
		"T{a|b} end_turn 5/0/0/2.");
	stream("OA-69", "c a\nf stop\ndata: {\"choices\":[],\"usage\":{"
		"\"prompt_tokens\":9,\"completion_tokens\":8,"
		"\"completion_tokens_details\":{\"reasoning_tokens\":6}}}\nD",
		"T{a} end_turn 9/0/0/8.");
	T_INT(w.usage.thinking, 6, "OA-69");
	T(!w.usage.priority && !w.began.priority, "OA-114 standard");
	stream("OA-114 priority", "data: {\"service_tier\":\"priority\","
		"\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\nf stop\n"
		"u 9 8 17\nD", "T{a} end_turn 9/0/0/8.");
	T(w.usage.priority && w.began.priority, "OA-114 from the start");
	stream("OA-114 known at the end", "c a\ndata: {\"service_tier\":"
		"\"priority\",\"choices\":[{\"delta\":{},"
		"\"finish_reason\":\"stop\"}]}\nD", "T{a} end_turn 77/0/0/?.");
	T(w.usage.priority && !w.began.priority, "OA-114 not known before");
	stream("OA-114 another", "data: {\"service_tier\":\"flex\","
		"\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n"
		"data: {\"service_tier\":null,\"choices\":[]}\nf stop\nD",
		"T{a} end_turn 77/0/0/?.");
	T(!w.usage.priority && !w.began.priority, "OA-114 else standard");
	stream("nonsense", "c a\nf stop\ndata: {\"choices\":[],\"usage\":{"
		"\"prompt_tokens\":-9,\"completion_tokens\":1e300,"
		"\"total_tokens\":\"x\"}}\nD", "T{a} end_turn 77/0/0/?.");
}

static void waiting(void)
{
	struct str in;
	int r;

	world_init(&w);
	in = script("c a\nf stop");
	world_call(&w);
	r = world_feed(&w, in, room, 0, -1);
	T(r == OK && w.c.wait_ms == 2000, "OA-78 waits 2 s for the usage");
	r = openai_decode(&w.c, &(struct str){ room, 0 }, 1, 1);
	T_INT(r, CALL_DONE, "OA-78 and ends without");
	world_call(&w);
	r = world_feed(&w, script("c a"), room, 0, -1);
	T(r == OK && w.c.wait_ms == 0, "no wait before the finish");
	world_call(&w);
	r = world_feed(&w, script("c a\n" END "\nc b"), room, 0, 1);
	in = S("data: x\n\n");
	T(r == CALL_DONE && openai_decode(&w.c, &in, 0, 0) == CALL_DONE &&
		in.n == 0, "what follows the end is dropped");
}

/* A server that gives more than the window it told of has a larger one. */
static void windows(void)
{
	world_init(&w);
	world_call(&w);
	w.sent.sent_max = 3000;
	openai_learned(&w.c)->window = 4096;
	stream("a window, room left", "c a\nf stop\nu 1096 5 1101\nD",
		"T{a} end_turn 1096/0/0/5.");
	T_INT(openai_learned(&w.c)->window, 4096, "OA-120 it fits");
	stream("a window, not told", "c a\nf stop\nD",
		"T{a} end_turn 0/0/0/?.");
	T_INT(openai_learned(&w.c)->window, 4096, "OA-120 not known");
	stream("a window that grew", "c a\nf stop\nu 1097 5 1102\nD",
		"T{a} end_turn 1097/0/0/5.");
	T_INT(openai_learned(&w.c)->window, 0, "OA-120 forgotten");
}

static void calibration(void)
{
	double r;
	int i;

	world_init(&w);
	w.sent.estimate = 1000;
	for (i = 0; i < 10; i++)
		once(script("c a\nf stop\nu 1250 5 1255\nD"), 0, 1);
	r = (double)openai_learned(&w.c)->ratio / 65536;
	T(r > 1.24 && r < 1.26, "OA-131 r is %f", r);
	for (i = 0; i < 30; i++)
		once(script("c a\nf stop\nu 9000 5 9005\nD"), 0, 1);
	r = (double)openai_learned(&w.c)->ratio / 65536;
	T(r > 1.99 && r <= 2.0, "OA-131 at most 2, r is %f", r);
	world_init(&w);
	w.sent.estimate = 499;
	once(script("c a\nf stop\nu 1250 5 1255\nD"), 0, 1);
	T_INT(openai_learned(&w.c)->ratio, 0, "OA-131 not from small ones");
}

static void google(void)
{
	struct str kept;

	world_init(&w);
	w.flags->reasoning_back = REASONING_BACK_GEMINI;
	stream("OA-67 with the call", "t {\"id\":\"g1\",\"function\":{\"name\":"
		"\"lamp\",\"arguments\":\"{}\"},\"extra_content\":{\"google\":{"
		"\"thought_signature\":\"SIG\"}}}\n" END, "C{g1 lamp {}}" USED);
	kept = openai_find_kept(&w.c, S("g1"));
	T_STR(kept, S("{\"t\":{\"g1\":\"SIG\"}}"), "OA-66 kept");
	stream("OA-67 after thoughts that are shown", "c <thought>a</thought>\n"
		"t {\"id\":\"g2\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{}\"},\"extra_content\":{\"google\":{\"thought_signature\":"
		"\"S2\"}}}\n" END, "R{a~{\"t\":{\"g2\":\"S2\"},\"u\":\"local\"}} "
		"C{g2 lamp {}}" USED);
	stream("OA-67 in a delta of its own", "t {\"id\":\"g3\",\"function\":{"
		"\"name\":\"lamp\",\"arguments\":\"{}\"}}\nd {\"extra_content\":{"
		"\"google\":{\"thought_signature\":\"S3\"}}}\n" END,
		"C{g3 lamp {}}" USED);
	T_STR(openai_find_kept(&w.c, S("g3")), S("{\"t\":{\"g3\":\"S3\"}}"),
		"OA-66 kept");
	stream("OA-67 before its call", "t {\"extra_content\":{\"google\":{"
		"\"thought_signature\":\"S4\"}}}\nt {\"id\":\"g4\",\"function\":{"
		"\"name\":\"lamp\",\"arguments\":\"{}\"}}\n" END,
		"C{g4 lamp {}}" USED);
	T_STR(openai_find_kept(&w.c, S("g4")), S("{\"t\":{\"g4\":\"S4\"}}"),
		"OA-66 kept");
	whole("OA-65 t in a whole answer", "{\"choices\":[{\"message\":{"
		"\"reasoning_content\":\"a\",\"tool_calls\":[{\"id\":\"g5\","
		"\"function\":{\"name\":\"lamp\",\"arguments\":\"{}\"},"
		"\"extra_content\":{\"google\":{\"thought_signature\":\"S5\"}}}]},"
		"\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
		"\"completion_tokens\":5}}",
		"R{a~{\"t\":{\"g5\":\"S5\"},\"u\":\"local\"}} C{g5 lamp {}}" USED);
	w.flags->reasoning_back = REASONING_BACK_CONTENT;
	w.sent.show_reasoning = 0;
	stream("OA-62 hidden text is kept for the call", "r why\n"
		CALL(0, "k1", "lamp", "{}") END, "C{k1 lamp {}}" USED);
	T_STR(openai_find_kept(&w.c, S("k1")), S("{\"x\":\"why\"}"),
		"OA-66 kept");
}

#define WHOLE(message, finish) "{\"id\":\"x\",\"choices\":[{\"index\":0," \
	"\"message\":" message ",\"finish_reason\":\"" finish "\"}],\"usage\":{" \
	"\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}}"

/* FN-41: a call written as text stays text unless its owner wants otherwise, but
 * it is said. */
static void written_calls(void)
{
	static const char *const marks[] = {
		"<tool_call>\\n{}", "<function=lamp>", "<invoke name=\\\"lamp\\\"",
		"<|python_tag|>", "<|tool_call|>", "[TOOL_CALLS][{",
		"<\xef\xbd\x9c" "DSML\xef\xbd\x9c", "<\xef\xbd\x9c" "tool",
		"{\\\"name\\\": \\\"lamp\\\"", "<<[{<tool_call>"
	};
	static const char *const others[] = {
		"<tool>", "a < b", "[TOOL", "{\\\"names\\\":1}", "<tool call>"
	};
	char lines[200], want[200];
	size_t i, k, cut;

	for (i = 0; i < COUNT(marks); i++) {
		/* In two pieces, cut anywhere. */
		for (cut = 1; cut < 4; cut++) {
			k = strlen(marks[i]) * cut / 4;
			/* Not inside an escape or a character. */
			while (marks[i][k - 1] == '\\' ||
			    (marks[i][k] & 0xc0) == 0x80)
				k--;
			snprintf(lines, sizeof lines, "c Let me %.*s\nc %s\n"
			    END, (int)k, marks[i], marks[i] + k);
			world_init(&w);
			w.merge = 1;
			snprintf(want, sizeof want, "T{Let me %s}" OUT,
			    marks[i]);
			stream("FN-41 text", lines, want);
			T_INT(w.notes.n, 1, "FN-41 %s is told", marks[i]);
		}
	}
	for (i = 0; i < COUNT(others); i++) {
		snprintf(lines, sizeof lines, "c %s\n" END, others[i]);
		snprintf(want, sizeof want, "T{%s}" OUT, others[i]);
		stream("FN-41 text", lines, want);
		T_INT(w.notes.n, 0, "FN-41 %s is none", others[i]);
	}
	stream("FN-41 a real call as well", "c <tool_call>\n"
		CALL(0, "c1", "lamp", "{}") END,
		"T{<tool_call>} C{c1 lamp {}}" USED);
	T_INT(w.notes.n, 0, "FN-41 then the call is what counts");
	w.sent.nnames = 0;
	stream("FN-41 without tools", "c <tool_call>\n" END,
		"T{<tool_call>}" OUT);
	T_INT(w.notes.n, 0, "FN-41 nothing could be called");
	world_init(&w);
}

static void whole_answers(void)
{
	world_init(&w);
	whole("OA-102 order", WHOLE("{\"tool_calls\":[{\"index\":1,\"id\":\"c2\","
		"\"function\":{\"name\":\"sound\",\"arguments\":\"{ }\"}},{"
		"\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"lamp\","
		"\"arguments\":\"\"}}],\"content\":\" b\",\"reasoning\":\"a\"}",
		"tool_calls"), "R{a~{}} T{ b} C{c1 lamp {}} C{c2 sound {}}" USED);
	whole("OA-102 blank text", WHOLE("{\"content\":\" \\n\"}", "stop"),
		"end_turn 10/0/0/5.");
	whole("OA-103 parts", WHOLE("{\"content\":[{\"type\":\"text\",\"text\":"
		"\"a\"},{\"type\":\"output_text\",\"text\":\"b\"}]}", "stop"),
		"T{a|b}" OUT);
	whole("OA-103 a refusal part", WHOLE("{\"content\":[{\"type\":"
		"\"refusal\",\"refusal\":\"No\"}]}", "stop"),
		"T{No} refusal(No) 10/0/0/5.");
	whole("OA-104", WHOLE("{\"content\":null,\"refusal\":\"No\"}", "stop"),
		"T{No} refusal(No) 10/0/0/5.");
	whole("OA-105 arguments as they come", WHOLE("{\"tool_calls\":[{\"id\":"
		"\"c1\",\"function\":{\"name\":\"lamp\",\"arguments\":{\"n\": 1}}},"
		"{\"id\":\"c2\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"null}},{\"id\":\"c3\",\"function\":{\"name\":\"lamp\","
		"\"arguments\":\"[1]\"}}]}", "tool_calls"),
		"C{c1 lamp {\\\"n\\\":1}} C{c2 lamp {}} "
		"C{c3 lamp {\\\"value\\\":[1]}}" USED);
	whole("OA-106 the same id twice", WHOLE("{\"tool_calls\":[{\"id\":"
		"\"c1\",\"index\":0,\"function\":{\"name\":\"lamp\",\"arguments\":"
		"{\"n\":1}}},{\"id\":\"c1\",\"index\":1,\"function\":{\"name\":"
		"\"lamp\",\"arguments\":{\"n\":2}}}]}", "tool_calls"),
		"C{c1 lamp {\\\"n\\\":1}} C{# lamp {\\\"n\\\":2}}" USED);
	whole("OA-106 one id and one number for all", WHOLE("{\"tool_calls\":[{"
		"\"id\":\"c1\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{}\"}},{\"id\":\"c1\",\"function\":{\"name\":\"lamp\","
		"\"arguments\":\"{}\"}},{\"index\":0,\"function\":{\"name\":"
		"\"lamp\"}},{\"index\":0,\"function\":{\"name\":\"lamp\"}}]}",
		"tool_calls"), "C{c1 lamp {}} C{# lamp {}} C{# lamp {}} "
		"C{# lamp {}}" USED);
	whole("OA-107", WHOLE("{\"content\":null,\"function_call\":{\"name\":"
		"\"lamp\",\"arguments\":\"{}\"}}", "function_call"),
		"C{# lamp {}}" USED);
	whole("OA-100 no choices", "{\"choices\":[]}", "!502 api_error upstream "
		"local: it returned no choices");
	whole("OA-101 error in a 200", "{\"error\":{\"message\":\"bad\","
		"\"code\":403}}", "!403 permission_error upstream local: bad");
	whole("OA-75 error in an array", "[{\"error\":{\"code\":429,\"message\":"
		"\"q\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
		"!429 rate_limit_error upstream local: q");
	whole("not JSON", "{\"choices\":", "!502 api_error upstream local: its "
		"answer is not JSON: the text ends too early at byte 11");
	play("OA-75 JSON to a stream request", S("\r\n\r\n\xef\xbb\xbf  "
		WHOLE("{\"content\":\"a\"}", "stop")), 1,
		"T{a}" OUT);
	play("OA-75 JSON to a stream request", S("\r\n\r\n"
		WHOLE("{\"content\":\"a\"}", "stop") "\n"), 1, "T{a}" OUT);
	play("a byte order mark", S("\xef\xbb\xbf"
		WHOLE("{\"content\":\"a\"}", "stop")), 1, "T{a}" OUT);
	play("cut inside", S("{\"choices\":["), 0, "!502 api_error upstream "
		"local: it closed the connection inside its answer");
	written_calls();
	w.flags->text_calls = 1;
	whole("OA-109 FN-41 a call as text", WHOLE("{\"content\":\" {\\\"name\\\": "
		"\\\"lamp\\\", \\\"arguments\\\": {\\\"n\\\": 1}}\"}", "stop"),
		"C{# lamp {\\\"n\\\":1}}" USED);
	stream("OA-109 in a stream", "c <tool_\nc call>\\n{\\\"name\\\":\n"
		"c \\\"lamp\\\",\\\"arguments\\\":{}}\\n</tool_call>\n" END,
		"C{# lamp {}}" USED);
	stream("OA-109 an unknown name", "c {\\\"name\\\":\\\"x\\\",\n"
		"c \\\"arguments\\\":{}}\n" END,
		"T{{\\\"name\\\":\\\"x\\\",\\\"arguments\\\":{}}}" OUT);
	stream("OA-109 plain text", "c  a\nc {}\n" END, "T{ a|{}}" OUT);
	T_INT(w.notes.n, 0, "OA-109 and nothing to say");
}

/* What is rarely sent, but has been. */
static void oddities(void)
{
	static struct block used = { .type = B_TOOL_USE, .id = { { "c1", 2 } } };
	static struct message before = { .role = ROLE_ASSISTANT,
		.blocks = &used, .n = 1 };
	static char kept[CACHE_VALUE + 1000];
	struct buf b = buf_on(kept, sizeof kept);

	world_init(&w);
	w.req.messages = &before;
	w.req.nmessages = 1;
	stream("AN-17 an id of the history", CALL(0, "c1", "lamp", "{}")
		CALL(1, "c2", "lamp", "{\\\"n\\\":1}") END,
		"C{# lamp {}} C{c2 lamp {\\\"n\\\":1}}" USED);
	world_init(&w);
	stream("OA-88 after a comma", CALL(0, "c1", "lamp", "{\\\"n\\\":1,")
		END, "C{c1 lamp {\\\"n\\\":1,|\\\"\\\":null}}" USED);
	stream("OA-88 beyond repair, brackets in order", CALL(0, "c1", "lamp",
		"{\\\"n\\\" 1") END, "C{c1 lamp {\\\"n\\\" 1}" USED);
	stream("tool_calls as an object", "d {\"tool_calls\":{\"index\":0,"
		"\"id\":\"c1\",\"function\":{\"name\":\"lamp\",\"arguments\":"
		"\"{}\"}}}\n" END, "C{c1 lamp {}}" USED);
	stream("a call without a function", "t {\"index\":0,\"id\":\"c1\","
		"\"name\":\"lamp\",\"arguments\":\"{}\"}\n" END,
		"C{c1 lamp {}}" USED);
	stream("names written with escapes", "d {\"cont\\u0065nt\":\"a\"}\n"
		END, "T{a}" OUT);
	stream("parts that are strings", "d {\"content\":[\"a\",\"b\"]}\n"
		END, "T{a|b}" OUT);
	stream("empty data is no chunk", "data: \nc a\n" END, "T{a}" OUT);
	stream("a backslash before a stray byte", "c a\nc x\\\xff\n" END,
		"T{a}" OUT);
	stream("an escaped backslash before what looks like a byte",
		"c a\xff\\\\udcc3\nc b\n" END, "T{a\\ufffd\\\\udcc3|b}" OUT);
	w.merge = 1;
	w.sent.prefill = S("\\uD83D\\uDE42 ok");
	stream("OA-47 a pair in the prefill", "c 🙂 o\nc k then\n" END,
		"T{ then}" OUT);
	stream("OA-47 nearly the pair", "c \\ud83d\\ude43 ok\n" END,
		"T{\\ud83d\\ude43 ok}" OUT);
	world_init(&w);
	w.flags->reasoning_back = REASONING_BACK_CONTENT;
	w.sent.show_reasoning = 0;
	buf_put(&b, S("r "));
	while (b.n < CACHE_VALUE)
		buf_put(&b, S("why "));
	buf_put(&b, S("\nt {\"id\":\"k2\",\"function\":{\"name\":\"lamp\"},"
		"\"extra_content\":{\"google\":{\"thought_signature\":"));
	buf_put(&b, S("\"S\"}}}\n" END));
	buf_chr(&b, '\0');
	T(!b.full, "the script has room");
	stream("OA-66 text too long to be kept", kept, "C{k2 lamp {}}" USED);
	T_STR(openai_find_kept(&w.c, S("k2")), S("{\"t\":{\"k2\":\"S\"}}"),
		"OA-66 the signature is");
	world_init(&w);
	w.flags->profile = P_OLLAMA;
	w.sent.estimate = 9000;
	stream("FN-42 a prompt that was cut", "c a\nf stop\n"
		"u 4096 5 4101\nD", "T{a} end_turn 4096/0/0/5.");
	T(w.notes.n == 1 && !openai_learned(&w.c)->ratio,
		"it is said, and not learned from");
	stream("more written than sent", "c a\nf stop\ndata: {\"choices\":[],"
		"\"usage\":{\"prompt_tokens\":200,\"completion_tokens\":19,"
		"\"prompt_tokens_details\":{\"cached_tokens\":150,"
		"\"cache_write_tokens\":90}}}\nD", "T{a} end_turn 0/150/50/19.");
}

static void worked(void)
{
	world_init(&w);
	stream("7.5", "d {\"role\":\"assistant\",\"content\":\"\"}\n"
		"d {\"reasoning_content\":\"Need depth.\"}\n"
		"d {\"content\":\"\\n\\n\"}\n"
		"d {\"tool_calls\":[{\"id\":\"c1\",\"function\":{\"name\":"
		"\"sound\",\"arguments\":\"{\\\"at\\\"\"}}]}\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{"
		"\"function\":{\"arguments\":\":7}\"}}]},\"finish_reason\":"
		"\"stop\"}]}\n"
		"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":200,"
		"\"completion_tokens\":19,\"total_tokens\":219,"
		"\"prompt_tokens_details\":{\"cached_tokens\":128}}}\nD",
		"R{Need depth.~{}} C{c1 sound {\\\"at\\\"|:7}} "
		"tool_use 72/128/0/19.");
}

static int list(enum call_kind kind, const char *json)
{
	world_init(&w);
	w.c.kind = kind;
	w.asked = kind == CALL_MODELS ? NULL : &w.req;
	world_call(&w);
	return world_feed(&w, str_of(json), room, 0, 1);
}

static void template(const char *json, int want)
{
	world_init(&w);
	w.c.kind = CALL_COUNT;
	w.sent.count = COUNT_TEMPLATE;
	world_call(&w);
	T_INT(world_feed(&w, str_of(json), room, 0, 1), want, "OA-124 %s",
		json);
}

static void counts_and_models(void)
{
	T(list(CALL_COUNT, "{\"count\":12,\"max_model_len\":9}") == CALL_DONE &&
		w.c.counted == 12, "OA-123");
	T_INT(openai_learned(&w.c)->window, 0, "OA-123 nobody else's window");
	world_init(&w);
	w.flags->profile = P_VLLM;
	w.c.kind = CALL_COUNT;
	w.c.now_ms = 7;
	world_call(&w);
	T(world_feed(&w, S("{\"count\":12,\"max_model_len\":4096}"), room, 0,
		1) == CALL_DONE && openai_learned(&w.c)->window == 4096,
		"OA-123 the window is told along");
	T(list(CALL_COUNT, "{\"input_tokens\":7}") == CALL_DONE &&
		w.c.counted == 7, "OA-124");
	T(list(CALL_COUNT, "{\"tokens\":[1,2,3]}") == CALL_DONE &&
		w.c.counted == 3, "OA-124 older servers");
	T(list(CALL_COUNT, "{}") == E_FAULT, "OA-126 no count is a failure");
	template("{\"prompt\":\"<s>a\\n\\\"b\\\"\"}", CALL_NEXT);
	T_STR(w.c.body[0], S("{\"content\":\"<s>a\\n\\\"b\\\"\","
		"\"add_special\":true,\"parse_special\":true}"),
		"OA-124 the prompt goes on");
	T_INT(openai_state(&w.c)->sent.count, COUNT_PROMPT, "OA-124 to /tokenize");
	T_INT(backend_openai.begin(&w.c, &w.head), OK, "OA-124 the next answer");
	T(world_feed(&w, S("{\"tokens\":[1,22,333,4]}"), room, 0, 1) ==
		CALL_DONE && w.c.counted == 4, "OA-124 counted at last");
	template("{\"prompt\":7}", E_FAULT);
	template("{}", E_FAULT);
	T(list(CALL_MODELS, "{\"object\":\"list\",\"data\":[{\"id\":\"a\"},{"
		"\"id\":\"b\\/c\"},{}]}") == CALL_DONE && w.c.nmodels == 2,
		"models");
	T_STR(w.c.models[1], S("b/c"), "ids are unescaped");
	T(list(CALL_MODELS, "{\"data\":[{\"id\":\"a\",\"context_length\":7},{"
		"\"id\":\"m\",\"context_window\":8192}]}") == CALL_DONE &&
		w.c.window == 8192, "the window of the model");
	T(list(CALL_MODELS, "{\"data\":[{\"id\":\"a\",\"max_model_len\":7},{"
		"\"id\":\"m\",\"max_model_len\":-1}]}") == CALL_DONE &&
		w.c.window <= 0, "another's window is not ours");
	T(list(CALL_MODELS, "{\"models\":[{\"name\":\"n\"},\"s\"]}") ==
		CALL_DONE && w.c.nmodels == 2, "models, another shape");
	T(list(CALL_MODELS, "[]") == CALL_DONE && w.c.nmodels == 0,
		"an empty list");
	world_init(&w);
	w.content_type = S("text/html; charset=utf-8");
	world_call(&w);
	T(world_feed(&w, S("<html>"), room, 0, 1) == E_FAULT &&
		w.c.fault.status == 502 && w.c.fault.should_retry == 0,
		"a web page");
}

/* Every amount of memory must do, or be said to be too little. */
static void little_memory(void)
{
	static const char lines[] = "r why\nc <think>x</think>abc END\nc d\n"
		CALL(0, "c1", "lamp", "{\\\"n\\\":[1,2,3]") "c later\n"
		CALL(1, "c2", "sound", "{\\\"n\\\":\\\"x\\\\ny") MORE(0, "}")
		MORE(0, "{\\\"n\\\":[1,2,3]}") END;
	static struct jstr seq[] = { { { "ENDE", 4 } } };
	struct str in, full;
	static char want[WORLD_LINE];
	size_t n;
	int r, done = 0, failed = 0;

	world_init(&w);
	w.req.stops = seq;
	w.req.nstops = 1;
	w.flags->reasoning_back = REASONING_BACK_DETAILS;
	in = script(lines);
	full = once(in, 0, 1);
	memcpy(want, full.p, full.n);
	full.p = want;
	for (n = 0; n < 30000; n += n < 6000 ? 16 : 512) {
		w.room = n;
		world_call(&w);
		r = world_feed(&w, in, room, 0, 1);
		T(r == CALL_DONE || r == E_FAULT, "room %zu: an end", n);
		T(!w.broken, "room %zu: %s", n, w.broken ? w.broken : "");
		if (r == E_FAULT) {
			failed++;
			T_INT(w.c.fault.status, 502, "room %zu", n);
		} else if (++done && !str_eq(str_trim(buf_str(&w.line)),
			full)) {
			T_STR(str_trim(buf_str(&w.line)), full, "room %zu", n);
		}
	}
	T(done > 5 && failed > 5, "both happened: %d, %d", done, failed);
}

int main(void)
{
	const char *from = getenv("SEED");

	seed = from ? (unsigned)atoi(from) : 1;
	printf("seed %u\n", seed);
	plain_text();
	alike();
	split_characters();
	reasoning();
	think_tags();
	calls();
	call_names();
	toolset();
	buffered();
	arguments();
	stops();
	prefill();
	ends();
	usage();
	waiting();
	windows();
	calibration();
	google();
	whole_answers();
	oddities();
	worked();
	counts_and_models();
	little_memory();
	return t_done("openai_decode");
}
