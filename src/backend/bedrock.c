/* bedrock.c -- Amazon Bedrock: which way a call goes, its target and its
 * signature, the frames of its answer.
 *
 * Claude is called by InvokeModel with Anthropic's own body, every other
 * model by Converse, unless BEDROCK_API says otherwise. The MESSAGES endpoint
 * of newer regions isn't used: InvokeModel serves every Claude in every
 * region. Nothing of a client's head is passed on (BR-4).
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock.h"
#include "../wire/sigv4.h"

enum {
	METADATA_WAIT = 5000,	/* ms after messageStop (BR-93) */
	TARGET_MAX = 8192,	/* an id of 2048 bytes, each as %XX, and more */
	FIELDS_MAX = 12
};

/* ---- configuration ---- */

static int one_of(struct str v, const char *list)
{
	struct str all = str_of(list), one;

	while (str_cut(&all, ' ', &one))
		if (str_eq(one, v))
			return 1;
	return 0;
}

static int wrong(struct fault *f, const char *name, struct str why)
{
	FAULT(f, 500, str_of(name), S(": "), why);
	return E_FAULT;
}

int bedrock_setup(struct upstream *u, const struct bedrock_options *o,
    struct fault *f)
{
	struct bedrock_facts *facts = u->facts;

	if (!one_of(o->prefix, "auto global us eu apac jp au ca us-gov none"))
		return wrong(f, "BEDROCK_PROFILE_PREFIX", S("must be auto, "
		    "global, us, eu, apac, jp, au, ca, us-gov or none"));
	if ((o->guardrail.n > 0) != (o->guardrail_version.n > 0))
		return wrong(f, o->guardrail.n ? "BEDROCK_GUARDRAIL_VERSION" :
		    "BEDROCK_GUARDRAIL_ID", S("a guardrail has an id and a "
		    "version; set both"));
	if (!http_value_ok(o->guardrail) ||
	    !http_value_ok(o->guardrail_version))
		return wrong(f, "BEDROCK_GUARDRAIL_ID", S("holds control "
		    "bytes"));
	if (o->guardrail_trace.n && !one_of(o->guardrail_trace,
	    "ENABLED DISABLED ENABLED_FULL"))
		return wrong(f, "BEDROCK_GUARDRAIL_TRACE", S("must be ENABLED, "
		    "DISABLED or ENABLED_FULL"));
	if (o->latency.n && !one_of(o->latency, "standard optimized"))
		return wrong(f, "BEDROCK_LATENCY", S("must be standard or "
		    "optimized"));
	if (o->tier.n && !one_of(o->tier, "default flex priority reserved"))
		return wrong(f, "BEDROCK_SERVICE_TIER", S("must be default, "
		    "flex, priority or reserved"));
	facts->opt = *o;
	return OK;
}

int64_t bedrock_clock_offset(const struct upstream *u)
{
	const struct bedrock_facts *facts = u ? u->facts : NULL;

	return facts ? facts->clock_offset : 0;
}

static const struct bedrock_options *options(const struct call *c)
{
	return &((const struct bedrock_facts *)c->up->facts)->opt;
}

/* ---- the body ---- */

/* {"input":{"invokeModel":{"body":"BASE64"}}}, or the members of Converse
 * (BR-130). */
static int wrap_count(struct call *c, const struct bedrock *st)
{
	struct buf b = buf_open(c->a);
	struct str whole;
	size_t i;

	if (!st->invoke) {
		if (c->nbody != 1)
			return E_FULL;
		c->body[1] = c->body[0];
		c->body[0] = S("{\"input\":{\"converse\":");
		c->body[2] = S("}}");
		c->nbody = 3;
		return OK;
	}
	for (i = 0; i < c->nbody; i++)
		buf_put(&b, c->body[i]);
	if (b.full)
		return E_FULL;
	whole = buf_end(c->a, &b);
	b = buf_open(c->a);
	buf_put(&b, S("{\"input\":{\"invokeModel\":{\"body\":\""));
	buf_base64(&b, whole);
	buf_put(&b, S("\"}}}"));
	if (b.full)
		return E_FULL;
	c->body[0] = buf_end(c->a, &b);
	c->nbody = 1;
	return OK;
}

int bedrock_empty(struct call *c)
{
	struct usage usage = { .input = c->estimate, .thinking = -1,
	    .estimated = 1 };
	const struct jstr none = { { NULL, 0 } };

	c->answer.usage = usage;
	answer_finish(&c->answer, STOP_MAX_TOKENS, none, none, &usage);
	return CALL_DONE;
}

static int choose_way(struct call *c, struct bedrock *st)
{
	enum bedrock_api api = options(c)->api;
	int claude = st->model.family == FAMILY_CLAUDE;

	if (api == BEDROCK_INVOKE && !claude) {
		FAULT(&c->fault, 400, S("BEDROCK_API=invoke serves Claude "
		    "alone, not "), c->model, S("; set it to auto"));
		return E_FAULT;
	}
	st->invoke = claude && api != BEDROCK_CONVERSE;
	return OK;
}

static int encode(struct call *c)
{
	struct bedrock *st = c->state;
	int r;

	if (c->kind == CALL_MODELS) {
		r = bedrock_list(c);
		return r == OK ? CALL_DONE : r;
	}
	r = bedrock_resolve(c, &st->model);
	c->served = st->model.id;
	if (r == OK)
		r = choose_way(c, st);
	if (r == OK)
		r = st->invoke ? bedrock_invoke(c, st) : bedrock_converse(c, st);
	if (r != OK)
		return r;
	if (c->kind == CALL_COUNT) {
		c->upstream_stream = 0;
		if (!c->aws || !(st->model.can & CAN_COUNT))
			return E_NONE;
		return wrap_count(c, st);
	}
	if (body_size(c) > BEDROCK_BODY_MAX) {
		FAULT(&c->fault, 413, S("Bedrock takes requests up to 25 MB"));
		return E_FAULT;
	}
	return OK;
}

/* ---- the head ---- */

static struct str operation(const struct call *c, const struct bedrock *st)
{
	if (c->kind == CALL_COUNT)
		return S("/count-tokens");
	if (st->invoke)
		return c->upstream_stream ? S("/invoke-with-response-stream") :
		    S("/invoke");
	return c->upstream_stream ? S("/converse-stream") : S("/converse");
}

static void put_target(struct buf *b, const struct call *c,
    const struct bedrock *st)
{
	buf_put(b, c->up->base);
	buf_put(b, S("/model/"));
	sigv4_encode(b, c->kind == CALL_COUNT ? st->model.bare : st->model.id);
	buf_put(b, operation(c, st));
}

/* What is sent and signed, beside what signing adds (BR-3, AW-6). */
static size_t list_fields(const struct call *c, const struct bedrock *st,
    struct sigv4_pair *f)
{
	const struct bedrock_options *o = options(c);
	struct sigv4_pair own[] = {
		{ S("x-amzn-bedrock-guardrailidentifier"), o->guardrail },
		{ S("x-amzn-bedrock-guardrailversion"), o->guardrail_version },
		{ S("x-amzn-bedrock-trace"), o->guardrail_trace },
		{ S("x-amzn-bedrock-performanceconfig-latency"), o->latency },
		{ S("x-amzn-bedrock-service-tier"), o->tier }
	};
	int frames = c->upstream_stream && c->kind == CALL_MESSAGES;
	size_t i, n = 0;

	f[n++] = (struct sigv4_pair){ S("host"), c->up->authority };
	f[n++] = (struct sigv4_pair){ S("content-type"),
	    S("application/json") };
	f[n++] = (struct sigv4_pair){ S("accept"), frames ?
	    S("application/vnd.amazon.eventstream") : S("application/json") };
	if (!st->invoke || c->kind != CALL_MESSAGES)
		return n;
	if (frames)
		f[n++] = (struct sigv4_pair){ S("x-amzn-bedrock-accept"),
		    S("application/json") };
	for (i = 0; i < COUNT(own); i++)
		if (own[i].value.n)
			f[n++] = own[i];
	return n;
}

static int sign(struct call *c, struct str target,
    const struct sigv4_pair *fields, size_t n, struct buf *b)
{
	const struct bedrock_facts *facts = c->up->facts;
	struct sigv4 s = {
		.id = c->aws->id, .secret = c->aws->secret,
		.token = c->aws->token, .region = c->aws->region,
		.service = S("bedrock"), .now = c->now + facts->clock_offset,
		.method = S("POST"), .path = target, .fields = fields,
		.nfields = n
	};
	int r;

	if (c->aws->bearer.n) {
		buf_put(b, S("authorization: Bearer "));
		buf_put(b, c->aws->bearer);
		buf_put(b, S("\r\n"));
		return OK;
	}
	sigv4_payload(s.payload, c->body, c->nbody);
	r = sigv4_sign(&s, b);
	if (r == OK || r == E_FULL)
		return r;
	FAULT(&c->fault, 401, S("the AWS credentials "), c->aws->profile.n ?
	    S("of profile ") : S("of the environment"), c->aws->profile,
	    S(" can't sign: the key or the region has impossible "
	    "characters"));
	c->fault.should_retry = 0;
	return E_FAULT;
}

static int head(struct call *c)
{
	char room[TARGET_MAX];
	struct buf target = buf_on(room, sizeof room), b = buf_open(c->a);
	struct sigv4_pair fields[FIELDS_MAX];
	size_t i, n;
	int r;

	put_target(&target, c, c->state);
	if (target.full)
		return E_FULL;
	n = list_fields(c, c->state, fields);
	head_begin(&b, S("POST"), c, buf_str(&target));
	for (i = 1; i < n; i++) {	/* head_begin wrote host */
		buf_put(&b, fields[i].name);
		buf_put(&b, S(": "));
		buf_put(&b, fields[i].value);
		buf_put(&b, S("\r\n"));
	}
	r = sign(c, buf_str(&target), fields, n, &b);
	buf_put(&b, S("\r\n"));
	if (r != OK || b.full)
		return r == OK ? E_FULL : r;
	c->head = buf_end(c->a, &b);
	return OK;
}

/* ---- the answer ---- */

static int begin(struct call *c, const struct http_head *h)
{
	struct bedrock *st = c->state;

	st->streamed = str_istarts(http_field(h, S("content-type")),
	    S("application/vnd.amazon.eventstream"));
	if (st->invoke)
		bedrock_invoke_head(st, h);
	if (st->streamed)
		eventstream_init(&st->frames, 0);
	else
		st->whole = buf_open(c->a);
	return OK;
}

static int broken(struct call *c, struct str why)
{
	FAULT(&c->fault, 502, S("upstream "), c->up->name, S(": "), why);
	return E_FAULT;
}

static int take_frame(struct call *c, struct bedrock *st,
    const struct eventstream_message *m)
{
	struct str name, text;
	enum eventstream_kind kind = eventstream_kind(m, &name, &text);

	switch (kind) {
	case EVENTSTREAM_EVENT:
		if (!st->invoke)
			return bedrock_converse_event(c, st, name, m->payload);
		return str_eq(name, S("chunk")) ?
		    bedrock_invoke_event(c, st, m->payload) : OK;
	case EVENTSTREAM_EXCEPTION:
	case EVENTSTREAM_ERROR:
		return bedrock_exception(c, st, name, text,
		    kind == EVENTSTREAM_EXCEPTION);
	case EVENTSTREAM_SKIP:
		return OK;
	case EVENTSTREAM_ALIEN:
		break;
	}
	return broken(c, S("a frame of the stream has no kind"));
}

static int decode_frames(struct call *c, struct bedrock *st, struct str *in,
    int end)
{
	struct eventstream_message m;
	int r;

	while ((r = eventstream_next(&st->frames, in, &m)) == OK) {
		r = take_frame(c, st, &m);
		if (r != OK)
			return r;
	}
	if (r == E_BAD)
		return broken(c, eventstream_text(st->frames.error));
	if (!end) {
		c->wait_ms = st->stopped ? METADATA_WAIT : 0;
		return OK;
	}
	if (eventstream_end(&st->frames, *in) != OK)
		return broken(c, S("the stream ended inside a frame"));
	return st->invoke ? broken(c, S("the stream ended early")) :
	    bedrock_converse_end(c, st);
}

static int take_count(struct call *c, struct str text)
{
	struct json doc;

	if (json_parse(&doc, text, c->a, NULL) == OK)
		c->counted = json_int(json_get(json_root(&doc),
		    S("inputTokens")), -1);
	return CALL_DONE;
}

static int decode(struct call *c, struct str *in, int end, int clean)
{
	struct bedrock *st = c->state;
	struct str text;

	if (st->streamed)
		return decode_frames(c, st, in, end);
	buf_put(&st->whole, *in);
	*in = str_from(*in, in->n);
	if (st->whole.full)
		return E_FULL;
	if (!end)
		return OK;
	text = buf_end(c->a, &st->whole);
	if (!clean)
		return broken(c, S("the answer was cut off"));
	if (c->kind == CALL_COUNT)
		return take_count(c, text);
	return st->invoke ? bedrock_invoke_answer(c, st, text) :
	    bedrock_converse_answer(c, st, text);
}

static int refuse(struct call *c, const struct http_head *h, struct str body)
{
	return bedrock_refuse(c, c->state, h, body);
}

const struct backend backend_bedrock = {
	.name = "bedrock",
	.facts_size = sizeof(struct bedrock_facts),
	.state_size = sizeof(struct bedrock),
	.signed_aws = 1,
	.retries = BEDROCK_RETRIES,
	.encode = encode,
	.head = head,
	.begin = begin,
	.decode = decode,
	.refuse = refuse,
};
