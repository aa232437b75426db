/* event.c -- tests of core/event.c: the bytes of the stream and of the folded
 * Message, with all keys of the API's section 4.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/core/event.c"

static char room[65536];
static struct buf b;

static struct str write_one(const struct event *e, int edits)
{
	b = buf_on(room, sizeof room);
	event_write(&b, e, S("req_9"), edits);
	return buf_str(&b);
}

static struct jstr j(const char *s)
{
	return (struct jstr){ str_of(s) };
}

static void test_stream(void)
{
	struct event e = { .type = EV_MESSAGE_START };
	struct fault f;

	/* The worked stream of AN 5.5, keys in our order. */
	e.id = j("msg_01AbCdEfGhJkLmNpQrStUvWx");
	e.model = j("claude-opus-5-5");
	e.usage = (struct usage){ .input = 903, .output = 1, .thinking = -1 };
	T_STR(write_one(&e, 0), S("event: message_start\n"
	    "data: {\"type\":\"message_start\",\"message\":{\"id\":"
	    "\"msg_01AbCdEfGhJkLmNpQrStUvWx\",\"type\":\"message\",\"role\":"
	    "\"assistant\",\"model\":\"claude-opus-5-5\",\"content\":[],"
	    "\"stop_reason\":null,\"stop_sequence\":null,\"stop_details\":null,"
	    "\"container\":null,\"diagnostics\":null,\"usage\":{"
	    "\"input_tokens\":903,\"output_tokens\":1,"
	    "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
	    "\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,"
	    "\"ephemeral_1h_input_tokens\":0},\"output_tokens_details\":null,"
	    "\"server_tool_use\":null,\"service_tier\":\"standard\","
	    "\"inference_geo\":null,\"speed\":null}}}\n\n"), "AN 5.5 start");
	T(str_find(write_one(&e, 1), S("\"context_management\":null,")) < b.n,
	    "beta requests get context_management");
	e.usage.priority = 1;
	T(str_find(write_one(&e, 0), S("null,\"service_tier\":\"priority\","
	    "\"inference_geo\"")) < b.n, "OA-114 in message_start");

	e = (struct event){ .type = EV_BLOCK_START, .block = B_TEXT };
	T_STR(write_one(&e, 0), S("event: content_block_start\n"
	    "data: {\"type\":\"content_block_start\",\"index\":0,"
	    "\"content_block\":{\"type\":\"text\",\"text\":\"\","
	    "\"citations\":null}}\n\n"), "AN 5.2 text");
	e.block = B_THINKING;
	T_STR(write_one(&e, 0), S("event: content_block_start\n"
	    "data: {\"type\":\"content_block_start\",\"index\":0,"
	    "\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\","
	    "\"signature\":\"\"}}\n\n"), "AN 5.2 thinking");
	e = (struct event){ .type = EV_BLOCK_START, .block = B_TOOL_USE,
	    .index = 1, .id = j("toolu_7Qm2"), .name = j("read_log") };
	T_STR(write_one(&e, 0), S("event: content_block_start\n"
	    "data: {\"type\":\"content_block_start\",\"index\":1,"
	    "\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_7Qm2\","
	    "\"name\":\"read_log\",\"caller\":{\"type\":\"direct\"},\"input\":{}}}"
	    "\n\n"), "AN 5.2 tool_use, input {}");
	e.toolset = j("computer");
	T(str_find(write_one(&e, 0), S("\"toolset_name\":\"computer\"")) < b.n,
	    "tools of a toolset");
	e = (struct event){ .type = EV_BLOCK_START, .index = 3,
	    .block = B_REDACTED_THINKING, .text = j("ZGF0YQ==") };
	T_STR(write_one(&e, 0), S("event: content_block_start\n"
	    "data: {\"type\":\"content_block_start\",\"index\":3,"
	    "\"content_block\":{\"type\":\"redacted_thinking\",\"data\":"
	    "\"ZGF0YQ==\"}}\n\n"), "AN 5.2 redacted, complete");

	e = (struct event){ .type = EV_TEXT, .index = 2,
	    .text = j("a \\\"b\\\" \\ud83d") };
	T_STR(write_one(&e, 0), S("event: content_block_delta\n"
	    "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{"
	    "\"type\":\"text_delta\",\"text\":\"a \\\"b\\\" \\ufffd\"}}\n\n"),
	    "AN 9: a lone surrogate never leaves");
	e.type = EV_THINKING;
	e.text = j("h");
	T(str_find(write_one(&e, 0), S("{\"type\":\"thinking_delta\","
	    "\"thinking\":\"h\"}}\n\n")) < b.n, "FN-22 the field is thinking");
	e.type = EV_SIGNATURE;
	T(str_find(write_one(&e, 0), S("{\"type\":\"signature_delta\","
	    "\"signature\":\"h\"}}\n\n")) < b.n, "signature_delta");
	e.type = EV_INPUT;
	e.text = j("{\\\"pier\\\":");
	T(str_find(write_one(&e, 0), S("{\"type\":\"input_json_delta\","
	    "\"partial_json\":\"{\\\"pier\\\":\"}}\n\n")) < b.n, "input_json_delta");
	e.type = EV_BLOCK_STOP;
	T_STR(write_one(&e, 0), S("event: content_block_stop\n"
	    "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"), "stop");

	e = (struct event){ .type = EV_MESSAGE_DELTA, .stop = STOP_TOOL_USE,
	    .usage = { .input = 887, .output = 42, .thinking = -1 } };
	T_STR(write_one(&e, 0), S("event: message_delta\n"
	    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
	    "\"tool_use\",\"stop_sequence\":null,\"stop_details\":null,"
	    "\"container\":null},\"usage\":{\"input_tokens\":887,"
	    "\"output_tokens\":42,\"cache_creation_input_tokens\":0,"
	    "\"cache_read_input_tokens\":0,\"output_tokens_details\":null,"
	    "\"server_tool_use\":null}}\n\n"), "AN 5.5 delta");
	e.stop = STOP_REFUSAL;
	e.explanation = j("no");
	e.stop_sequence = j("END");
	e.usage.thinking = 7;
	e.usage.input = -3;
	write_one(&e, 1);
	T(str_find(buf_str(&b), S("\"stop_details\":{\"type\":\"refusal\","
	    "\"category\":null,\"explanation\":\"no\"}")) < b.n, "AN 3 refusal");
	T(str_find(buf_str(&b), S("\"stop_sequence\":\"END\"")) < b.n, "sequence");
	T(str_find(buf_str(&b), S("\"output_tokens_details\":{"
	    "\"thinking_tokens\":7}")) < b.n, "OA-69 thinking tokens");
	T(str_find(buf_str(&b), S("\"context_management\":{"
	    "\"applied_edits\":[]}")) < b.n, "OA-24 applied_edits");
	T(str_find(buf_str(&b), S("\"input_tokens\":0")) < b.n,
	    "AN-15 a count is never negative");
	e.stop = STOP_OTHER;
	T(str_find(write_one(&e, 0), S("\"stop_reason\":\"end_turn\"")) < b.n,
	    "a reason without a name");

	e = (struct event){ .type = EV_MESSAGE_STOP };
	T_STR(write_one(&e, 0), S("event: message_stop\n"
	    "data: {\"type\":\"message_stop\"}\n\n"), "message_stop");
	FAULT(&f, 529, S("busy"));
	e = (struct event){ .type = EV_ERROR, .fault = &f };
	T_STR(write_one(&e, 0), S("event: error\n"
	    "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
	    "\"message\":\"busy\"},\"request_id\":\"req_9\"}\n\n"), "AN 5.2 error");
	b.n = 0;
	event_write_ping(&b);
	T_STR(buf_str(&b), S("event: ping\ndata: {\"type\":\"ping\"}\n\n"), "ping");
}

/* ---- the fold ---- */

static struct {
	struct sink sink;
	struct fold fold;
	struct answer an;
} w;

static void take(struct sink *s, const struct event *e)
{
	(void)s;
	fold_event(&w.fold, e);
}

static const struct jstr none = { { NULL, 0 } };

static struct answer *fresh(size_t cap)
{
	b = buf_on(room, cap);
	w.sink.event = take;
	w.an = (struct answer){ .sink = &w.sink, .id = S("msg_1"),
	    .model = j("m"), .usage = { .input = 3, .thinking = -1 } };
	fold_init(&w.fold, &b, 0);
	return &w.an;
}

static struct str input_of(struct str piece1, struct str piece2)
{
	static char memory[16384];
	struct arena a = { memory, memory + sizeof memory };
	static struct json doc;
	struct answer *an = fresh(sizeof room);

	answer_open(an, B_TOOL_USE, j("id"), j("n"));
	answer_text(an, (struct jstr){ piece1 });
	answer_text(an, (struct jstr){ piece2 });
	answer_finish(an, STOP_TOOL_USE, none, none, NULL);
	if (!T(json_parse(&doc, buf_str(&b), &a, NULL) == OK, "valid: %.*s",
	    (int)b.n, b.p))
		return S("");
	return json_raw(json_get(json_at(json_get(json_root(&doc),
	    S("content")), 0), S("input")));
}

static void test_fold(void)
{
	struct answer *an = fresh(sizeof room);
	struct usage u = { .input = 412, .output = 11, .cache_read = 5,
	    .cache_write = 9, .cache_write_1h = 2, .thinking = -1 };

	answer_open(an, B_THINKING, none, none);
	answer_text(an, j("h\\n"));
	answer_signature(an, j("old"));
	answer_signature(an, j("sig"));
	answer_open(an, B_TEXT, none, none);
	answer_text(an, j("The "));
	answer_text(an, j("tide\\u00e9"));
	answer_redacted(an, j("ZA=="));
	answer_finish(an, STOP_END_TURN, none, none, &u);
	T_STR(buf_str(&b), S("{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"
	    "\"assistant\",\"model\":\"m\",\"content\":[{\"type\":\"thinking\","
	    "\"thinking\":\"h\\n\",\"signature\":\"sig\"},{\"type\":\"text\","
	    "\"text\":\"The tide\\u00e9\",\"citations\":null},{\"type\":"
	    "\"redacted_thinking\",\"data\":\"ZA==\"}],\"stop_reason\":"
	    "\"end_turn\",\"stop_sequence\":null,\"stop_details\":null,"
	    "\"container\":null,\"diagnostics\":null,\"usage\":{"
	    "\"input_tokens\":412,\"output_tokens\":11,"
	    "\"cache_creation_input_tokens\":9,\"cache_read_input_tokens\":5,"
	    "\"cache_creation\":{\"ephemeral_5m_input_tokens\":7,"
	    "\"ephemeral_1h_input_tokens\":2},\"output_tokens_details\":null,"
	    "\"server_tool_use\":null,\"service_tier\":\"standard\","
	    "\"inference_geo\":null,\"speed\":null}}"), "AN 3 whole message");
	an = fresh(sizeof room);
	fold_init(&w.fold, &b, 1);
	answer_finish(an, STOP_MAX_TOKENS, none, none, &u);
	T(str_find(buf_str(&b), S("\"content\":[],\"stop_reason\":"
	    "\"max_tokens\"")) < b.n, "AN-20 no content");
	T(str_find(buf_str(&b), S("\"context_management\":{"
	    "\"applied_edits\":[]}")) < b.n, "beta requests");
	an = fresh(sizeof room);
	answer_open(an, B_THINKING, none, none);
	answer_finish(an, STOP_END_TURN, none, none, &u);
	T(str_find(buf_str(&b), S("{\"type\":\"thinking\",\"thinking\":\"\","
	    "\"signature\":\"\"}")) < b.n, "unsigned thinking is still JSON");
}

static void test_input(void)
{
	T_STR(input_of(S("{\\\"a\\\":[1,"), S("2.50]}")),
	    S("{\"a\":[1,2.50]}"), "AN-16, AN-29 an object, numbers as they came");
	T_STR(input_of(S(""), S("")), S("{}"), "OA-105 nothing is {}");
	T_STR(input_of(S(" \\n"), S("")), S("{}"), "OA-105 blanks are {}");
	T_STR(input_of(S("[1,"), S("2]")), S("{\"value\":[1,2]}"),
	    "OA-105 an array");
	T_STR(input_of(S("{\\\"a\\\":"), S("\\\"x\\ty")),
	    S("{\"_raw\":\"{\\\"a\\\":\\\"x\\ty\"}"), "OA-105 beyond repair");
	T_STR(input_of(S("{\\\"a\\\":\\\"\\\\ud8"), S("3d\\\"}")),
	    S("{\"a\":\"\\ufffd\"}"), "AN 9 a lone surrogate in an argument");
	T_STR(input_of(S("{\\\"a\\\":\\\"\\\\\\"), S("\"\\\"}")),
	    S("{\"a\":\"\\\"\"}"), "a piece cut inside an escape");
}

static void test_room(void)
{
	size_t cap;
	struct answer *an;

	/* No size may be written past, whatever is under way. */
	for (cap = 0; cap < 900; cap++) {
		an = fresh(cap);
		memset(room + cap, 0x55, 16);
		answer_open(an, B_THINKING, none, none);
		answer_text(an, j("thought"));
		answer_signature(an, j("s"));
		answer_open(an, B_TOOL_USE, j("i"), j("n"));
		answer_text(an, j("[\\\"abc\\\"]"));
		answer_open(an, B_TOOL_USE, j("i"), j("n"));
		answer_text(an, j("{\\\"abc"));
		answer_finish(an, STOP_TOOL_USE, none, none, NULL);
		T(b.full || json_check(buf_str(&b), NULL, NULL) == OK,
		    "with %u bytes: full or whole", (unsigned)cap);
		T(room[cap] == 0x55 && room[cap + 15] == 0x55,
		    "with %u bytes: within bounds", (unsigned)cap);
	}
	T(!b.full, "900 bytes are enough");
}

int main(void)
{
	test_stream();
	test_fold();
	test_input();
	test_room();
	return t_done("event");
}
