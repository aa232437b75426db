/* bedrock_error.c -- tests of refusals: what the client is told, what is
 * learned, when the request goes out once more.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/bedrock_error.c"
#include "../invoke.h"

static struct world w;

#define BODY "{\"model\":\"claude-opus-4-5\",\"max_tokens\":9,\"messages\":[" \
	"{\"role\":\"user\",\"content\":\"x\"}]}"

/* A new call, resolved; what was learned stays. */
static void call_for(const char *model, enum call_kind kind)
{
	world_call(&w, S(BODY), kind);
	w.c.model = str_of(model);
	T_INT(bedrock_resolve(&w.c, &w.st.model), OK, "%s", model);
}

static void fresh(void)
{
	memset(&w.facts, 0, sizeof w.facts);
	memset(&w.aws, 0, sizeof w.aws);
	call_for("claude-opus-4-5", CALL_MESSAGES);
}

/* The same call, encoded once more. */
static void again(void)
{
	w.c.attempt++;
	memset(&w.st, 0, sizeof w.st);
	bedrock_resolve(&w.c, &w.st.model);
}

static int refused(int status, const char *code, const char *body)
{
	w.head = (struct http_head){ .status = status };
	if (code)
		world_field(&w.head, "x-amzn-errortype", code);
	return bedrock_refuse(&w.c, &w.st, &w.head, str_of(body));
}

static int invalid(const char *message)
{
	char body[800];

	snprintf(body, sizeof body, "{\"message\":\"%s\"}", message);
	return refused(400, "ValidationException", body);
}

static void test_table(void)
{
	static const struct {
		int status;
		const char *code, *body, *want;
	} cases[] = {
		{ 400, "ValidationException", "{\"message\":\"messages: no\"}",
		    "400 invalid_request_error messages: no" },
		{ 400, "ValidationException:http://internal/x,y",
		    "{\"message\":\"The model returned the following errors: "
		    "max_tokens: too small\"}",
		    "400 invalid_request_error max_tokens: too small" },
		{ 400, NULL, "{\"__type\":\"com.amazon.coral#"
		    "ServiceQuotaExceededException\",\"Message\":\"q\"}",
		    "429 rate_limit_error q" },
		{ 400, NULL, "{\"code\":\"ConflictException\","
		    "\"errorMessage\":\"c\"}", "400 invalid_request_error c" },
		{ 403, "AccessDeniedException", "{\"message\":\"User is not "
		    "authorized\"}", "403 permission_error "
		    "AccessDeniedException: User is not authorized; again 0" },
		{ 404, "FTUFormNotFilled", "{\"message\":\"fill it\"}",
		    "403 permission_error FTUFormNotFilled: fill it; again 0" },
		{ 403, "MissingAuthenticationTokenException",
		    "{\"message\":\"none\"}", "401 authentication_error "
		    "MissingAuthenticationTokenException: none; run `aws "
		    "configure`, or check AWS_ACCESS_KEY_ID, "
		    "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; again 0" },
		{ 404, "UnknownOperationException", "{}",
		    "404 not_found_error {}" },
		{ 429, "ThrottlingException", "{\"message\":\"Too many "
		    "requests\"}", "429 rate_limit_error Too many requests" },
		{ 429, "ThrottlingException", "{\"message\":\"Too many tokens "
		    "per day\"}", "429 rate_limit_error Too many tokens per "
		    "day; again 0" },
		{ 429, "ModelNotReadyException", "{\"message\":\"wait\"}",
		    "529 overloaded_error wait" },
		{ 503, "ServiceUnavailableException", "{\"message\":\"no\"}",
		    "529 overloaded_error no" },
		{ 500, "InternalServerException", "{\"message\":\"oops\"}",
		    "500 api_error oops" },
		{ 424, "ModelErrorException", "{\"message\":\"m\"}",
		    "500 api_error m" },
		{ 424, "ModelErrorException", "{\"message\":\"m\","
		    "\"originalStatusCode\":422}",
		    "400 invalid_request_error m" },
		{ 424, "ModelErrorException", "{\"message\":\"m\","
		    "\"originalStatusCode\":503}", "500 api_error m" },
		{ 424, "ModelStreamErrorException", "{\"message\":\"m\"}",
		    "500 api_error m" },
		{ 408, "ModelTimeoutException", "{\"message\":\"slow\"}",
		    "504 timeout_error slow" },
		{ 413, NULL, "{\"message\":\"big\"}",
		    "413 request_too_large big" },
		{ 503, NULL, "<html>busy</html>",
		    "502 api_error <html>busy</html>" },
		{ 502, NULL, "", "502 api_error the service gave no reason" },
		{ 504, NULL, "<html>", "504 timeout_error <html>" },
		{ 404, "ResourceNotFoundException", "{\"message\":\"This model "
		    "version has reached the end of its life.\"}",
		    "404 not_found_error This model version has reached the "
		    "end of its life." },
		{ 400, "ValidationException", "{\"message\":\"Your account is "
		    "suspended\"}", "403 permission_error ValidationException: "
		    "Your account is suspended; again 0" },
		{ 404, "ResourceNotFoundException", "{\"message\":\"Model use "
		    "case details have not been submitted for this account\"}",
		    "403 permission_error ResourceNotFoundException: Model use "
		    "case details have not been submitted for this account; "
		    "again 0" },
		{ 403, NULL, "{\"message\":\"\"}", "403 permission_error "
		    "{\"message\":\"\"}; again 0" }
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		fresh();
		T_INT(refused(cases[i].status, cases[i].code, cases[i].body),
		    E_FAULT, "section 11: %s", cases[i].body);
		T_STR(world_fault(&w), str_of(cases[i].want),
		    "AW-120, BR-120, section 11: %s", cases[i].body);
	}
	fresh();
	w.head = (struct http_head){ .status = 429 };
	world_field(&w.head, "retry-after", "7");
	bedrock_refuse(&w.c, &w.st, &w.head, S("{\"message\":\"m\"}"));
	T_STR(world_fault(&w), S("429 rate_limit_error m; after 7"),
	    "BR-120 retry-after is kept");
}

static void test_overflow(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "Input is too long for requested model.",
		    "200001 tokens > 200000" },
		{ "prompt is too long: 210333 tokens > 200000 maximum",
		    "210333 tokens > 200000" },
		{ "Input Tokens Exceeded: Number of input tokens exceeds "
		    "maximum length. Please update the input to try again.",
		    "200001 tokens > 200000" },
		{ "Too Many Input Tokens", "200001 tokens > 200000" },
		{ "This model's maximum context length is 131072 tokens. "
		    "Please reduce the length of the prompt",
		    "131073 tokens > 131072" },
		{ "The input exceeds the model's context", "200001 tokens > "
		    "200000" },
		{ "The prompt is longer than the model's context length 8192",
		    "8193 tokens > 8192" }
	};
	char want[100];
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		fresh();
		T_INT(invalid(cases[i].text), E_FAULT, "BR-121");
		snprintf(want, sizeof want, "400 invalid_request_error prompt "
		    "is too long: %s maximum", cases[i].want);
		T_STR(world_fault(&w), str_of(want), "BR-121 %s",
		    cases[i].text);
	}
	fresh();
	w.c.estimate = 250000;
	invalid("Input is too long for requested model.");
	T_STR(fault_text(&w.c.fault), S("prompt is too long: 250000 tokens > "
	    "200000 maximum"), "BR-121 the estimate");
	fresh();
	invalid("input length and `max_tokens` exceed context limit: 190000 + "
	    "32000 > 200000, decrease input length or `max_tokens` and try "
	    "again");
	T_STR(fault_text(&w.c.fault), S("input length and `max_tokens` exceed "
	    "context limit: 190000 + 32000 > 200000, decrease input length or "
	    "`max_tokens` and try again"), "BR-122 verbatim");
	fresh();
	refused(429, "ThrottlingException", "{\"message\":\"too many input "
	    "tokens, wait\"}");
	T_INT(w.c.fault.status, 429, "BR-121 in a ValidationException only");
}

static void test_secrets(void)
{
	static const char body[] = "{\"message\":\"The canonical string was "
	    "x-amz-security-token:IQoJb3JpZ2luX2VjTOKEN/+= of "
	    "AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG\"}";
	struct str text;

	fresh();
	w.aws.id = S("AKIAIOSFODNN7EXAMPLE");
	w.aws.secret = S("wJalrXUtnFEMI/K7MDENG");
	w.aws.token = S("IQoJb3JpZ2luX2VjTOKEN/+=");
	T_INT(refused(403, "SignatureDoesNotMatch", body), E_FAULT, "AW-9");
	text = fault_text(&w.c.fault);
	T(str_find(text, S("AKIA")) == text.n && str_find(text, S("wJal")) ==
	    text.n && str_find(text, S("IQoJ")) == text.n,
	    "no secret is shown: %.*s", (int)text.n, text.p);
	T(str_find(text, S("security-token:***")) < text.n, "masked");
	T(str_find(text, S("this machine's clock")) < text.n,
	    "what to look at");
	T_INT(refused(403, "x AKIAIOSFODNN7EXAMPLE", "{\"message\":\"m\"}"),
	    E_FAULT, "a code that is none");
	T_STR(world_fault(&w), S("403 permission_error x ***: m; again 0"),
	    "and shows none");
	fresh();
	w.aws.bearer = S("ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl");
	T_INT(refused(403, NULL, "{\"Message\":\"Authentication failed: check "
	    "your API Key ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl\"}"), E_FAULT,
	    "AW-12 final");
	T_STR(world_fault(&w), S("401 authentication_error Authentication "
	    "failed: check your API Key ***; check AWS_BEARER_TOKEN_BEDROCK; "
	    "again 0"), "AW-12");
}

static void test_credentials(void)
{
	static const char expired[] = "{\"message\":\"The security token "
	    "included in the request is expired\"}";

	fresh();
	w.aws.profile = S("dev");
	T_INT(refused(403, "ExpiredTokenException", expired), CALL_RETRY,
	    "AW-91 looked up anew");
	T_INT(w.c.renew, 1, "AW-91 the caller is told");
	again();
	T_INT(refused(403, "ExpiredTokenException", expired), E_FAULT,
	    "AW-91 once");
	T_INT(w.c.renew, 0, "AW-91 no more");
	T_STR(world_fault(&w), S("401 authentication_error "
	    "ExpiredTokenException: The security token included in the request "
	    "is expired; run `aws sso login --profile dev` or `aws configure "
	    "--profile dev`; again 0"), "what to run");
	fresh();
	T_INT(refused(403, NULL, "{\"message\":\"The security token included "
	    "in the request is invalid.\"}"), CALL_RETRY, "by its words");
	fresh();
	T_INT(refused(403, "UnrecognizedClientException", "{}"), CALL_RETRY,
	    "section 11");
	fresh();
	w.aws.bearer = S("ABSKx");
	T_INT(refused(403, "ExpiredTokenException", expired), E_FAULT,
	    "AW-12 a bearer token isn't refreshed");
	fresh();
	w.c.answer.started = 1;
	T_INT(refused(403, "ExpiredTokenException", expired), E_FAULT,
	    "not behind an answer");
}

static int skewed(const char *date, const char *age)
{
	w.head = (struct http_head){ .status = 403 };
	world_field(&w.head, "x-amzn-errortype", "InvalidSignatureException");
	if (date)
		world_field(&w.head, "Date", date);
	if (age)
		world_field(&w.head, "Age", age);
	return bedrock_refuse(&w.c, &w.st, &w.head, S("{\"message\":"
	    "\"Signature expired: x is now earlier than y\"}"));
}

static void test_clock(void)
{
	/* 1795000000 is Wed, 18 Nov 2026 11:06:40 GMT. */
	static const char late[] = "Wed, 18 Nov 2026 11:16:40 GMT";
	static const char now[] = "Wed, 18 Nov 2026 11:06:45 GMT";

	fresh();
	T_INT(skewed(late, NULL), CALL_RETRY, "AW-10 FN-32 once more");
	T_INT(w.facts.clock_offset, 600, "AW-10 the service's time less ours");
	again();
	T_INT(skewed(late, NULL), E_FAULT, "AW-10 once");
	T_INT(w.c.fault.status, 401, "AW-9 then 401");
	T_INT(w.c.fault.should_retry, 0, "AW-9 hopeless");
	call_for("claude-opus-4-5", CALL_MESSAGES);
	T_INT(skewed(late, NULL), CALL_RETRY,
	    "AW-10 it was signed before that was known");
	call_for("claude-opus-4-5", CALL_MESSAGES);
	T_INT(skewed(now, NULL), CALL_RETRY, "AW-10 our clock was put right");
	T_INT(w.facts.clock_offset, 5, "AW-10 and back");
	fresh();
	T_INT(skewed(now, NULL), E_FAULT, "AW-10 less than four minutes");
	T_INT(w.facts.clock_offset, 0, "AW-10 unchanged");
	fresh();
	T_INT(skewed(late, "3"), E_FAULT, "AW-10 not out of a cache");
	T_INT(skewed(NULL, NULL), E_FAULT, "AW-10 no Date");
	T_INT(skewed("yesterday", NULL), E_FAULT, "AW-10 no Date");
}

static void test_profiles(void)
{
	static const char text[] = "Invocation of model ID x with on-demand "
	    "throughput isn't supported. Retry your request with the ID or ARN "
	    "of an inference profile that contains this model.";

	fresh();
	T_STR(w.st.model.id, S("us.anthropic.claude-opus-4-5-20251101-v1:0"),
	    "BR-13");
	T_INT(invalid("The provided model identifier is invalid."),
	    CALL_RETRY, "BR-13 the next");
	again();
	T_STR(w.st.model.id,
	    S("global.anthropic.claude-opus-4-5-20251101-v1:0"), "BR-13");
	T_INT(refused(404, "ResourceNotFoundException", "{}"), CALL_RETRY,
	    "BR-13 404 too");
	again();
	T_STR(w.st.model.id, S("anthropic.claude-opus-4-5-20251101-v1:0"),
	    "BR-13 bare");
	T_INT(invalid(text), E_FAULT, "BR-13 that was the last");
	T(str_starts(world_fault(&w), S("404 not_found_error Invocation of "
	    "model ID x with on-demand throughput")) && str_ends(
	    fault_text(&w.c.fault), S(" (model anthropic.claude-opus-4-5-"
	    "20251101-v1:0 in us-east-1)")), "section 11: 404, for what");
	T_INT(bedrock_learned(&w.c)->candidate, 0, "BR-13 from the front");

	/* Two at once: the second doesn't skip one. */
	fresh();
	bedrock_learned(&w.c)->candidate = 1;
	T_INT(invalid(text), CALL_RETRY, "BR-13");
	T_INT(bedrock_learned(&w.c)->candidate, 1, "BR-13 nothing is skipped");
	again();
	T_INT(w.st.model.candidate, 1, "BR-13 the winner is remembered");

	fresh();
	call_for("us.anthropic.claude-opus-4-5-20251101-v1:0", CALL_MESSAGES);
	T_INT(invalid(text), E_FAULT, "BR-13 a person's id stays");
}

static const char *strip(size_t i)
{
	return bedrock_learned(&w.c)->strip[i];
}

static void test_strips(void)
{
	static const struct {
		const char *path, *want;	/* NULL: not learned */
	} cases[] = {
		{ "tools.0.custom.defer_loading", "tools.#.defer_loading" },
		{ "output_config.effort", "output_config.effort" },
		{ "system.2.cache_control.ephemeral.scope",
		    "system.#.cache_control.scope" },
		{ "messages.11.content.3.tool_use.caller",
		    "messages.#.content.#.caller" },
		{ "messages.1.content.0.tool_result.content.0.text.x",
		    "messages.#.content.#.content.#.x" },
		{ "messages.1.content.0.image.source.base64.x",
		    "messages.#.content.#.source.x" },
		{ "thinking.enabled.display", "thinking.display" },
		{ "tools.1.computer_20250124.x", "tools.#.x" },
		{ "tool_choice.tool.x", "tool_choice.x" },
		{ "container", "container" },
		{ "messages", NULL }, { "max_tokens", NULL },
		{ "system", NULL }, { "a..", NULL },
		{ "messages.0.role", NULL }, { "messages.0", NULL },
		{ "messages.0.content.0.text.type", NULL }, { "", NULL },
		{ "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c."
		    "d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z", NULL }
	};
	char text[400];
	size_t i;
	int r;

	for (i = 0; i < COUNT(cases); i++) {
		fresh();
		snprintf(text, sizeof text, "%s: Extra inputs are not "
		    "permitted", cases[i].path);
		r = invalid(text);
		T_INT(r, cases[i].want ? CALL_RETRY : E_FAULT, "BR-25 %s",
		    text);
		if (r == CALL_RETRY)
			T_STR(str_of(strip(0)), str_of(cases[i].want),
			    "BR-25 %s", text);
	}
	fresh();
	T_INT(invalid("***: a.x: Extra inputs are not permitted\\nb.1.y: Extra "
	    "inputs are not permitted"), CALL_RETRY, "BR-25 two at once");
	T_STR(str_of(strip(0)), S("a.x"), "BR-25 the first");
	T_STR(str_of(strip(1)), S("b.#.y"), "BR-25 the second");
	again();
	T_INT(invalid("a.x: Extra inputs are not permitted"), E_FAULT,
	    "BR-25 known and sent without: the client's");
	fresh();
	T_INT(invalid("Malformed input request: #/tools/0: extraneous key "
	    "[strict] is not permitted, please reformat your input and try "
	    "again."), CALL_RETRY, "BR-25 the schema's words");
	T_STR(str_of(strip(0)), S("tools.#.strict"), "BR-25 #/tools/0");
	fresh();
	invalid("Malformed input request: #: extraneous key [speed] is not "
	    "permitted");
	T_STR(str_of(strip(0)), S("speed"), "BR-25 #");
	fresh();
	T_INT(invalid("no such mark / here: extraneous key [speed] is not "
	    "permitted"), E_FAULT, "BR-25 no path");
	fresh();
	T_INT(invalid("anthropic_beta: Extra inputs are not permitted"),
	    CALL_RETRY, "BR-25 the betas");
	T_INT(bedrock_learned(&w.c)->betas, 2, "BR-25 the betas");
	fresh();
	T_INT(invalid("thinking.adaptive.display: Input should be "
	    "'summarized' or 'omitted'"), CALL_RETRY, "BR-25 a new value");
	T_STR(str_of(strip(0)), S("thinking.display"), "BR-25 a new value");
}

static void test_heals(void)
{
	struct bedrock_learned *l;
	int i, r = CALL_RETRY;

	fresh();
	T_INT(invalid("invalid beta flag"), CALL_RETRY, "BR-25 FN-26 betas");
	again();
	T_INT(w.st.model.betas, 1, "BR-25 those that a member needs");
	T_INT(invalid("invalid beta flag"), CALL_RETRY, "BR-25 betas");
	again();
	T_INT(w.st.model.betas, 2, "BR-25 none");
	T_INT(invalid("invalid beta flag"), E_FAULT, "BR-25 the client's");

	/* Two at once: learned by the first, not twice. */
	fresh();
	T_INT(invalid("invalid beta flag"), CALL_RETRY, "BR-25");
	w.c.tried = 0;
	T_INT(invalid("invalid beta flag"), CALL_RETRY, "BR-25 the other");
	T_INT(bedrock_learned(&w.c)->betas, 1, "BR-25 not learned twice");

	fresh();
	l = bedrock_learned(&w.c);
	T_INT(invalid("`temperature` and `top_p` cannot both be specified for "
	    "this model. Please use only one."), CALL_RETRY, "BR-25");
	T_INT(l->no_top_p, 1, "BR-25 top_p");
	T_INT(l->no_sampling, 0, "BR-25 temperature stays");
	again();
	T_INT(invalid("`temperature` is deprecated for this model."),
	    CALL_RETRY, "BR-25");
	T_INT(l->no_sampling, 1, "BR-25 all three");
	again();
	T_INT(invalid("The maximum tokens you requested exceeds the model "
	    "limit of 8192. Try again with a maximum tokens value that is "
	    "lower than 8192."), CALL_RETRY, "BR-25");
	T_INT(l->max_tokens, 8192, "BR-25 the limit");
	again();
	T_INT(w.st.model.max_output, 8192, "BR-25 the limit");
	l->max_tokens = 0;
	T(learn_limit(l, S("max_tokens: 128000 > 64000, which is the maximum "
	    "allowed number of output tokens for claude-sonnet-4-5")) &&
	    l->max_tokens == 64000, "BR-25 as Anthropic says it");
	T(!learn_limit(l, S("max_tokens: x > y, which is the maximum allowed "
	    "number of output tokens")) && !learn_limit(l, S("exceeds the "
	    "model limit of 99999999999999999999")) && !learn_limit(l,
	    S("exceeds the model limit of ")), "BR-25 no number");
	l->max_tokens = 8192;
	T_INT(invalid("This model doesn't support tool use in streaming "
	    "mode."), CALL_RETRY, "BR-65");
	T_INT(l->lacks, CAN_TOOLS_STREAMED, "BR-65");
	again();
	T_INT(w.st.model.can & CAN_TOOLS_STREAMED, 0, "BR-65");
	T_INT(invalid("This model doesn't support the system field."),
	    E_FAULT, "BR-25 four at most");
	call_for("claude-opus-4-5", CALL_MESSAGES);
	T_INT(invalid("This model doesn't support the system field."),
	    CALL_RETRY, "BR-66 counted by the request");

	fresh();
	for (i = 0; i < LEARNED_STRIPS + 2; i++) {
		char text[64];

		snprintf(text, sizeof text, "m%d: Extra inputs are not "
		    "permitted", i);
		call_for("claude-opus-4-5", CALL_MESSAGES);
		r = invalid(text);
	}
	T_INT(r, E_FAULT, "BR-25 bounded");
	fresh();
	w.c.answer.started = 1;
	T_INT(invalid("invalid beta flag"), E_FAULT,
	    "BR-25 before any output only");
}

static void test_count(void)
{
	fresh();
	call_for("claude-opus-4-5", CALL_COUNT);
	T_INT(refused(429, "ThrottlingException", "{}"), CALL_DONE,
	    "BR-132 never an error");
	T_INT(w.c.counted, -1, "BR-132 the estimate counts");
	T_INT(bedrock_learned(&w.c)->lacks, 0, "BR-131 that passes");
	T_INT(invalid("a.x: Extra inputs are not permitted"), CALL_RETRY,
	    "BR-130 healed all the same");
	T_INT(invalid("The provided model doesn't support counting tokens."),
	    CALL_RETRY, "learned meanwhile");
	again();
	T_INT(invalid("The provided model doesn't support counting tokens."),
	    CALL_DONE, "BR-131");
	again();
	T_INT(w.st.model.can & CAN_COUNT, 0, "BR-131 remembered");
	w.aws.region = S("eu-west-1");
	again();
	T(w.st.model.can & CAN_COUNT, "BR-131 for one region");
	T_INT(invalid("The provided model identifier is invalid."),
	    CALL_DONE, "BR-131 no other profile is tried");
	T_INT(bedrock_learned(&w.c)->candidate, 0, "BR-131");
	again();
	T_INT(w.st.model.can & CAN_COUNT, 0, "BR-131 remembered");
	fresh();
	call_for("claude-opus-4-5", CALL_COUNT);
	T_INT(refused(403, "AccessDeniedException", "{}"), CALL_DONE,
	    "BR-132");
	T(bedrock_learned(&w.c)->lacks & CAN_COUNT, "not asked again");
}

static int threw(const char *name, const char *text, int is_exception)
{
	return bedrock_exception(&w.c, &w.st, str_of(name), str_of(text),
	    is_exception);
}

static void test_exceptions(void)
{
	fresh();
	T_INT(threw("validationException", "{\"message\":\"The model returned "
	    "the following errors: prompt is too long: 210333 tokens > 200000 "
	    "maximum\"}", 1), E_FAULT, "BR-36");
	T_STR(world_fault(&w), S("400 invalid_request_error prompt is too "
	    "long: 210333 tokens > 200000 maximum"), "BR-36, BR-121");
	fresh();
	T_INT(threw("validationException", "{\"message\":\"invalid beta "
	    "flag\"}", 1), CALL_RETRY, "BR-25 as the first frame");
	fresh();
	w.c.answer.started = 1;
	T_INT(threw("modelStreamErrorException", "{\"message\":\"The system "
	    "encountered an unexpected error\",\"originalStatusCode\":500}",
	    1), E_FAULT, "BR-36 in mid-stream");
	T_STR(world_fault(&w), S("500 api_error The system encountered an "
	    "unexpected error"), "BR-36");
	threw("throttlingException", "{\"message\":\"slow\"}", 1);
	T_STR(world_fault(&w), S("429 rate_limit_error slow"), "BR-36");
	threw("ServiceUnavailableException", "{\"message\":\"no\"}", 1);
	T_STR(world_fault(&w), S("529 overloaded_error no"), "AW-27");
	threw("modelTimeoutException", "", 1);
	T_STR(world_fault(&w), S("504 timeout_error modelTimeoutException"),
	    "section 16: an unreadable payload keeps the type");
	threw("InternalFailure", "stream broke", 0);
	T_STR(world_fault(&w), S("500 api_error stream broke"), "AW-27");
	threw("Whatever", "\xe0\xa8", 0);
	T_STR(world_fault(&w), S("500 api_error the service gave no reason"),
	    "bytes that are no text");
	threw("Whatever", "", 0);
	T_STR(world_fault(&w), S("500 api_error Whatever"), "AW-27");
}

/* Whatever room there is, there is an answer. */
static void test_room(void)
{
	size_t n;
	int r;

	for (n = 0; n < 2000; n++) {
		fresh();
		w.a.end = w.a.cur + n;
		r = invalid("a.x: Extra inputs are not permitted");
		T(r == CALL_RETRY || r == E_FAULT, "%zu bytes", n);
		if (r == E_FAULT)
			T(w.c.fault.status == 400 && w.c.fault.n,
			    "%zu bytes", n);
	}
}

int main(void)
{
	test_table();
	test_overflow();
	test_secrets();
	test_credentials();
	test_clock();
	test_profiles();
	test_strips();
	test_heals();
	test_count();
	test_exceptions();
	test_room();
	return t_done("bedrock_error");
}
