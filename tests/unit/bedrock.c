/* bedrock.c -- which way a call goes, its head and signature, the frames of
 * its answer; one part above what each way does to body and events.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/bedrock.c"

enum { MEMORY = 96 << 20, SENT = 1 << 16 };

static _Alignas(16) char memory[MEMORY];
static char events_text[SENT];
static struct buf events;
static struct bedrock_facts facts;
static struct upstream up;
static struct call c;
static struct arena a;
static struct json doc;
static struct request req;
static struct notes notes;
static struct ids ids;
static struct aws_credentials aws;
static struct http_head client;

static void take(struct sink *s, const struct event *e)
{
	(void)s;
	event_write(&events, e, S("req_1"), 0);
}

static struct sink sink = { take };

static void begin_world(void)
{
	memset(&facts, 0, sizeof facts);
	memset(&aws, 0, sizeof aws);
	facts.opt.prefix = S("auto");
	up = (struct upstream){ .backend = &backend_bedrock,
		.name = S("bedrock"), .tls = 1, .facts = &facts,
		.host = S("h.test"), .authority = S("h.test") };
	aws.id = S("AKIDEXAMPLE");
	aws.secret = S("secret");
	aws.region = S("us-east-1");
}

static int encode_text(struct str text, const char *model,
    enum call_kind kind)
{
	a = (struct arena){ memory, memory + sizeof memory };
	memset(&notes, 0, sizeof notes);
	memset(&c, 0, sizeof c);
	events = buf_on(events_text, sizeof events_text);
	c.kind = kind;
	c.up = &up;
	c.model = str_of(model);
	c.a = &a;
	c.notes = &notes;
	c.ids = &ids;
	c.client = &client;
	c.aws = &aws;
	c.now = 1795608000;	/* 2026-11-25T12:00:00Z */
	c.answer.sink = &sink;
	c.answer.id = S("msg_1");
	c.answer.model = (struct jstr){ S("asked") };
	c.counted = -1;
	if (kind != CALL_MODELS) {
		T_INT(json_parse(&doc, text, &a, NULL), OK, "test's JSON");
		T_INT(request_parse(&req, &doc, kind == CALL_COUNT, &a, &notes,
		    &c.fault), OK, "test's request");
		c.req = &req;
	}
	c.state = arena_get(&a, backend_bedrock.state_size);
	return backend_bedrock.encode(&c);
}

static int encode_for(const char *model, int stream, enum call_kind kind)
{
	static char text[512];

	snprintf(text, sizeof text, "{\"model\":\"asked\",\"max_tokens\":9,"
	    "\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"hi\"}]}", stream ? "true" : "false");
	return encode_text(str_of(text), model, kind);
}

static int head_has(const char *text)
{
	return str_find(c.head, str_of(text)) < c.head.n;
}

static void head_is(const char *model, int stream, const char *target)
{
	char line[256];

	T_INT(encode_for(model, stream, CALL_MESSAGES), OK, "%s", model);
	T_INT(backend_bedrock.head(&c), OK, "%s", model);
	snprintf(line, sizeof line, "POST %s HTTP/1.1\r\n", target);
	T(str_starts(c.head, str_of(line)), "BR-1 BR-3 %s: %.*s", target, 200,
	    c.head.p);
}

static void ways(void)
{
	begin_world();
	head_is("claude-opus-5-5", 1, "/model/us.anthropic.claude-opus-5-5/"
	    "invoke-with-response-stream");
	T(head_has("accept: application/vnd.amazon.eventstream\r\n") &&
	    head_has("x-amzn-bedrock-accept: application/json\r\n"), "BR-3");
	head_is("claude-opus-5-5", 0,
	    "/model/us.anthropic.claude-opus-5-5/invoke");
	T(head_has("accept: application/json\r\n"), "BR-3");
	head_is("amazon.nova-pro-v1:0", 1,
	    "/model/amazon.nova-pro-v1%3A0/converse-stream");
	T(!head_has("x-amzn-bedrock-accept"), "BR-3");
	head_is("amazon.nova-pro-v1:0", 0,
	    "/model/amazon.nova-pro-v1%3A0/converse");
	/* FN-31: a slash is part of the name, encoded once. */
	head_is("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.n", 0,
	    "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile"
	    "%2Fus.amazon.n/converse");
	up.base = S("/gate");
	head_is("amazon.nova-pro-v1:0", 0,
	    "/gate/model/amazon.nova-pro-v1%3A0/converse");
	begin_world();
	facts.opt.api = BEDROCK_CONVERSE;
	head_is("claude-opus-5-5", 0,
	    "/model/us.anthropic.claude-opus-5-5/converse");
	facts.opt.api = BEDROCK_INVOKE;
	T_INT(encode_for("amazon.nova-pro-v1:0", 0, CALL_MESSAGES), E_FAULT,
	    "BR-1 invoke is Claude's alone");
	T(str_find(fault_text(&c.fault), S("BEDROCK_API")) <
	    fault_text(&c.fault).n, "and names the setting");
}

static void heads(void)
{
	begin_world();
	aws.token = S("tok//en==");
	facts.opt.guardrail = S("gr-1");
	facts.opt.guardrail_version = S("DRAFT");
	facts.opt.latency = S("optimized");
	facts.opt.tier = S("flex");
	head_is("claude-opus-5-5", 0,
	    "/model/us.anthropic.claude-opus-5-5/invoke");
	T(head_has("/20261125/us-east-1/bedrock/aws4_request, "),
	    "AW-1 the signing name");
	T(head_has("SignedHeaders=accept;content-type;host;x-amz-date;"
	    "x-amz-security-token;x-amzn-bedrock-guardrailidentifier;"
	    "x-amzn-bedrock-guardrailversion;"
	    "x-amzn-bedrock-performanceconfig-latency;"
	    "x-amzn-bedrock-service-tier, "), "AW-6 what is signed");
	T(head_has("x-amz-date: 20261125T120000Z\r\n") &&
	    head_has("x-amz-security-token: tok//en==\r\n"), "AW-2");
	T(head_has("content-length: ") && !head_has("transfer-encoding"),
	    "AW-8 counted");
	T(head_has("host: h.test\r\n") && str_ends(c.head, S("\r\n\r\n")),
	    "AW-7 whole");
	facts.clock_offset = 3600;
	backend_bedrock.head(&c);
	T(head_has("x-amz-date: 20261125T130000Z\r\n"), "AW-10 their clock");
	aws.bearer = S("ABSKtoken");
	backend_bedrock.head(&c);
	T(head_has("authorization: Bearer ABSKtoken\r\n") &&
	    !head_has("x-amz-date") && !head_has("AWS4"), "AW-11 AW-13");
	aws.bearer = S("");
	aws.region = S("");
	T(backend_bedrock.head(&c) == E_FAULT && c.fault.status == 401 &&
	    c.fault.should_retry == 0, "no region, no signature");
}

static void counting(void)
{
	begin_world();
	T_INT(encode_for("claude-sonnet-4-6", 0, CALL_COUNT), OK, "can count");
	backend_bedrock.head(&c);
	T(head_has("POST /model/anthropic.claude-sonnet-4-6/count-tokens "),
	    "BR-131 without its geography");
	T(str_starts(c.body[0], S("{\"input\":{\"invokeModel\":{\"body\":\"eyJ")),
	    "BR-130 in base64");
	T_INT(encode_for("claude-opus-5-5", 0, CALL_COUNT), E_NONE,
	    "BR-131 can't");
	T(c.estimate > 0, "BR-132 the estimate is there");
	c.aws = NULL;
	T_INT(encode_for("amazon.nova-pro-v1:0", 0, CALL_COUNT), E_NONE,
	    "BR-132 nor this");
	T_INT(encode_for("", 0, CALL_MODELS), CALL_DONE, "BR-140 no call");
	T(c.nmodels > 10, "but a list");
}

/* 25 MB and a little. */
static void large(void)
{
	static char text[BEDROCK_BODY_MAX + 4096];
	struct buf b = buf_on(text, sizeof text);

	begin_world();
	buf_put(&b, S("{\"model\":\"asked\",\"max_tokens\":9,\"messages\":[{"
	    "\"role\":\"user\",\"content\":\""));
	memset(text + b.n, 'x', BEDROCK_BODY_MAX);
	b.n += BEDROCK_BODY_MAX;
	buf_put(&b, S("\"}]}"));
	T_INT(encode_text(buf_str(&b), "claude-opus-5-5", CALL_MESSAGES),
	    E_FAULT, "BR-5 too large");
	T_INT(c.fault.status, 413, "BR-5 said before anything is sent");
}

/* ---- answers ---- */

static void answer_with(const char *type)
{
	struct http_head h = { .status = 200 };
	char text[256];
	const char *why;

	snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\ncontent-type: %s\r\n"
	    "content-length: 9\r\n\r\n", type);
	T_INT(http_response(&h, str_of(text), 0, &why), OK, "test's head");
	T_INT(backend_bedrock.begin(&c, &h), OK, "begins");
}

static int feed(const char *text, int end)
{
	static char room[4096];
	struct buf b = buf_on(room, sizeof room);
	struct str in;

	buf_put(&b, str_of(text));
	in = buf_str(&b);
	return backend_bedrock.decode(&c, &in, end, 1);
}

static void answers(void)
{
	begin_world();
	encode_for("amazon.nova-pro-v1:0", 1, CALL_MESSAGES);
	answer_with("application/json");
	feed("{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{"
	    "\"text\":\"whole\"}]}},", 0);
	T_INT(feed("\"stopReason\":\"end_turn\",\"usage\":{\"inputTokens\":1,"
	    "\"outputTokens\":2,\"totalTokens\":3}}", 1), CALL_DONE,
	    "AW-31 JSON where a stream was asked for");
	T(str_find(buf_str(&events), S("whole")) < events.n, "is the answer");
	encode_for("amazon.nova-pro-v1:0", 1, CALL_MESSAGES);
	answer_with("text/html");
	T_INT(feed("<html>", 1), E_FAULT, "AW-31 a page is none");
	encode_for("amazon.nova-pro-v1:0", 1, CALL_MESSAGES);
	answer_with("application/vnd.amazon.eventstream");
	T_INT(feed("\0\0\0\0garbage, but long enough", 0), OK, "too short");
	T_INT(feed("this is no frame at all, and long", 0), E_FAULT,
	    "AW-22 framing can't be found again");
	T_INT(c.fault.status, 502, "the upstream's doing");
	encode_for("claude-opus-5-5", 1, CALL_MESSAGES);
	answer_with("application/vnd.amazon.eventstream");
	T_INT(feed("", 1), E_FAULT, "BR-37 nothing at all");
	encode_for("claude-sonnet-4-6", 0, CALL_COUNT);
	answer_with("application/json");
	T_INT(feed("{\"inputTokens\":77}", 1), CALL_DONE, "BR-130");
	T_INT(c.counted, 77, "counted");
	encode_for("claude-sonnet-4-6", 0, CALL_COUNT);
	answer_with("application/json");
	T_INT(feed("no", 1), CALL_DONE, "BR-132 never an error");
	T_INT(c.counted, -1, "the estimate counts");
}

static void settings(void)
{
	struct bedrock_options o = { .prefix = S("global") };
	struct fault f;

	begin_world();
	T_INT(bedrock_setup(&up, &o, &f), OK, "plain");
	T_STR(facts.opt.prefix, S("global"), "BR-13 kept");
	o.latency = S("fast");
	T_INT(bedrock_setup(&up, &o, &f), E_FAULT, "unknown latency");
	o.latency = S("");
	o.tier = S("gold");
	T_INT(bedrock_setup(&up, &o, &f), E_FAULT, "unknown tier");
	o.tier = S("");
	o.guardrail = S("x");
	T(bedrock_setup(&up, &o, &f) == E_FAULT && str_find(fault_text(&f),
	    S("BEDROCK_GUARDRAIL_VERSION")) < fault_text(&f).n,
	    "half a guardrail");
}

int main(void)
{
	ways();
	heads();
	counting();
	large();
	answers();
	settings();
	return t_done("bedrock");
}
