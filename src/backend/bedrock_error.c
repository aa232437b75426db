/* bedrock_error.c -- refusals: what they mean, what is learned from them.
 *
 * The service names its errors by a code; the words behind it decide the rest.
 * What the request can be healed of (a member, a beta, a limit, an ability, an
 * inference profile) is remembered for the model, and the request goes out
 * once more; what new credentials or a corrected clock may heal, once. All of
 * this only before the client was sent anything. The rest becomes a fault that
 * makes the client do the right thing, in the service's own words, without
 * what is secret.
 *
 * Memory: the call's arena; full, it costs words, not the answer.
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock.h"
#include "../wire/sigv4.h"

enum {
	BODY_SHOWN = 500,	/* of a body in no known shape (AW-120) */
	HEALS_MAX = 4,		/* a request (BR-25) */
	CODE_SHOWN = 64,
	ADDED_MAX = 280,	/* of what is said behind it, */
	ADDED_TO = 250,		/* and then of the text itself */
	SKEW_MIN = 240,		/* seconds; less isn't worth correcting (AW-10) */
	WINDOW_USUAL = 200000
};

/* Bits of call.tried; the rest counts heals. */
enum { TRIED_RENEW = 1, TRIED_CLOCK = 2, TRIED_HEAL = 4 };

enum kind {
	PLAIN, INVALID, DENIED, EXPIRED, SIGNATURE, NOBODY, NOT_FOUND
};

struct said {
	struct str code, text;	/* plain; the text without secrets */
	struct str whole;	/* the text as it came, for what is learned */
	int64_t original;	/* the model's own status; 0 */
	int json;
	int status;		/* for the client */
	enum kind kind;
};

static int has(struct str text, struct str what)
{
	return str_ifind(text, what) < text.n;
}

/* ---- reading (AW-120) ---- */

/* "a.b#NameException:http://..., more" */
static struct str cut_code(struct str s)
{
	size_t at;

	s = str_head(s, str_chr(s, ':'));
	s = str_head(s, str_chr(s, ','));
	while ((at = str_chr(s, '#')) < s.n)
		s = str_from(s, at + 1);
	return str_trim(s);
}

static struct str plain(struct call *c, struct jv v)
{
	struct str s = json_text(c->a, json_str(v));

	return s.p ? s : S("");
}

static void read_body(struct call *c, struct said *s, struct str body)
{
	static const char *const texts[] = {
		"message", "Message", "errorMessage"
	};
	struct json doc;
	struct jv root;
	size_t i;

	if (json_parse(&doc, body, c->a, NULL) == OK) {
		s->json = 1;
		root = json_root(&doc);
		if (!s->code.n)
			s->code = cut_code(plain(c, json_get(root,
			    S("__type"))));
		if (!s->code.n)
			s->code = cut_code(plain(c, json_get(root,
			    S("code"))));
		for (i = 0; i < COUNT(texts) && !s->whole.n; i++)
			s->whole = str_trim(plain(c, json_get(root,
			    str_of(texts[i]))));
		s->original = json_int(json_get(root,
		    S("originalStatusCode")), 0);
	}
	if (!s->whole.n)
		s->whole = str_trim(body);
}

/* Before anything is cut: a cut could leave half of a secret. */
static struct str masked(struct call *c, struct str text)
{
	const struct aws_credentials *aws = c->aws;
	struct str secrets[5] = { c->up->key };
	struct buf b = buf_open(c->a);

	if (aws) {
		secrets[1] = aws->bearer;
		secrets[2] = aws->id;
		secrets[3] = aws->secret;
		secrets[4] = aws->token;
	}
	mask_secrets(&b, text, secrets, COUNT(secrets));
	return b.full ? S("") : buf_end(c->a, &b);
}

static void mask_said(struct call *c, struct said *s)
{
	const struct str lead = S("The model returned the following errors: ");

	if (str_starts(s->whole, lead))
		s->whole = str_from(s->whole, lead.n);
	s->text = str_head(masked(c, s->whole), BODY_SHOWN);
	s->code = str_head(masked(c, s->code), CODE_SHOWN);
}

/* ---- the table of section 11 ---- */

static void find_code(struct said *s)
{
	static const struct {
		const char *code;
		int status;
		enum kind kind;
	} codes[] = {
		{ "Validation", 400, INVALID }, { "Conflict", 400, PLAIN },
		{ "AccessDenied", 403, DENIED },
		{ "FTUFormNotFilled", 403, DENIED },
		{ "ExpiredToken", 401, EXPIRED },
		{ "UnrecognizedClient", 401, EXPIRED },
		{ "InvalidClientTokenId", 401, EXPIRED },
		{ "InvalidSignature", 401, SIGNATURE },
		{ "SignatureDoesNotMatch", 401, SIGNATURE },
		{ "RequestTimeTooSkewed", 401, SIGNATURE },
		{ "RequestExpired", 401, SIGNATURE },
		{ "RequestInTheFuture", 401, SIGNATURE },
		{ "AuthFailure", 401, SIGNATURE },
		{ "MissingAuthenticationToken", 401, NOBODY },
		{ "IncompleteSignature", 401, NOBODY },
		{ "ResourceNotFound", 404, NOT_FOUND },
		{ "UnknownOperation", 404, PLAIN },
		{ "Throttling", 429, PLAIN },
		{ "TooManyRequests", 429, PLAIN },
		{ "ServiceQuotaExceeded", 429, PLAIN },
		{ "ModelNotReady", 529, PLAIN },
		{ "ServiceUnavailable", 529, PLAIN },
		{ "InternalServer", 500, PLAIN },
		{ "InternalFailure", 500, PLAIN },
		{ "ModelError", 500, PLAIN },
		{ "ModelStreamError", 500, PLAIN },
		{ "ModelTimeout", 504, PLAIN }
	};
	size_t i;

	for (i = 0; i < COUNT(codes); i++)
		if (eventstream_is(s->code, str_of(codes[i].code))) {
			s->status = codes[i].status;
			s->kind = codes[i].kind;
		}
	/* The model's own refusal, passed on. */
	if (s->original >= 400 && s->original < 500 &&
	    eventstream_is(s->code, S("ModelError"))) {
		s->status = 400;
		s->kind = INVALID;
	}
}

static void find_status(struct said *s, int status)
{
	struct fault f;

	fault_from_status(&f, status, S(""), S(""));
	s->status = f.status;
	s->kind = status == 400 ? INVALID : status == 401 ? NOBODY :
	    status == 403 ? DENIED : status == 404 ? NOT_FOUND : PLAIN;
	/* A page of some balancer's. */
	if (!s->json && status > 500)
		s->status = status == 504 ? 504 : 502;
}

/* Where the words say more than the code. */
static void find_words(const struct call *c, struct said *s)
{
	static const struct {
		const char *text;
		int status;
		enum kind kind;
	} words[] = {
		{ "provided model identifier is invalid", 404, NOT_FOUND },
		{ "on-demand throughput isn", 404, NOT_FOUND },
		{ "end of its life", 404, PLAIN },
		/* Section 16 on BR-120. */
		{ "account is suspended", 403, DENIED },
		{ "account has been suspended", 403, DENIED },
		{ "not subscribed", 403, DENIED },
		{ "have access to the model", 403, DENIED },
		{ "use case details have not been submitted", 403, DENIED },
		{ "INVALID_PAYMENT_INSTRUMENT", 403, DENIED }
	};
	size_t i;

	for (i = 0; i < COUNT(words); i++)
		if (s->status < 429 && s->status != 401 &&
		    has(s->whole, str_of(words[i].text))) {
			s->status = words[i].status;
			s->kind = words[i].kind;
		}
	if (s->status == 403 && has(s->whole, S("security token")) &&
	    (has(s->whole, S("expired")) || has(s->whole, S("invalid")))) {
		s->status = 401;
		s->kind = EXPIRED;
	}
	/* A key of the service's own that it doesn't take (AW-12). */
	if (s->status == 403 && c->aws && c->aws->bearer.n &&
	    (has(s->whole, S("API key")) || has(s->whole, S("bearer")) ||
	    has(s->whole, S("authentication failed")))) {
		s->status = 401;
		s->kind = NOBODY;
	}
}

/* ---- what is learned (BR-25) ---- */

/* Names that the service puts between members: which kind of a union. */
static int is_tag(struct str s)
{
	static const char *const tags[] = {
		"custom", "ephemeral", "text", "image", "document",
		"search_result", "thinking", "redacted_thinking", "tool_use",
		"tool_result", "tool_reference", "server_tool_use",
		"container_upload", "compaction", "base64", "url", "file",
		"enabled", "adaptive", "disabled", "auto", "any", "tool",
		"none", "json_schema", "str"
	};
	size_t i;

	for (i = 0; i < COUNT(tags); i++)
		if (str_eq(s, str_of(tags[i])))
			return 1;
	/* bash_20250124, web_search_tool_result */
	return str_ends(s, S("_tool_result")) || (s.n > 9 &&
	    str_starts(str_from(s, s.n - 9), S("_20")));
}

static int is_path_byte(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	    (ch >= '0' && ch <= '9') || ch == '_' || ch == '-' || ch == '.';
}

/* "tools.0.custom.strict" as "tools.#.strict". 0: it can't be left out, or
 * not be kept. */
static size_t member_path(struct str path, char out[LEARNED_PATH])
{
	/* Without these it would be no request any more. */
	static const char *const needed[] = {
		"messages", "max_tokens", "anthropic_version", "system",
		"role", "content", "type", "text", "source", "data", "name",
		"id", "input", "input_schema", "tool_use_id", "#", ""
	};
	struct buf b = buf_on(out, LEARNED_PATH);
	struct str part = S("");
	uint64_t n;
	size_t i;

	for (i = 0; i < path.n; i++)
		if (!is_path_byte(path.p[i]))
			return 0;
	while (str_cut(&path, '.', &part)) {
		if (b.n && path.n && is_tag(part))
			continue;
		if (str_u64(part, &n) != E_BAD)
			part = S("#");
		if (b.n)
			buf_chr(&b, '.');
		buf_put(&b, part);
	}
	for (i = 0; i < COUNT(needed); i++)
		if (str_eq(part, str_of(needed[i])))
			return 0;
	return b.full ? 0 : b.n;
}

static int learn_member(struct bedrock_learned *l, struct str path)
{
	char room[LEARNED_PATH] = { 0 };
	size_t n = member_path(path, room), i;

	if (n == 0 || n == LEARNED_PATH)
		return 0;
	if (str_eq((struct str){ room, n }, S("anthropic_beta"))) {
		i = l->betas != 2;
		l->betas = 2;
		return (int)i;
	}
	for (i = 0; i < l->nstrips; i++)
		if (strcmp(l->strip[i], room) == 0)
			return 0;
	if (l->nstrips == LEARNED_STRIPS)
		return 0;
	memcpy(l->strip[l->nstrips++], room, sizeof room);
	return 1;
}

/* Every "PATH: Extra inputs are not permitted" of the text. */
static int learn_members(struct bedrock_learned *l, struct str text)
{
	const struct str words = S(": Extra inputs are not permitted");
	int r = 0;
	size_t at, from;

	while ((at = str_find(text, words)) < text.n) {
		for (from = at; from > 0 && is_path_byte(text.p[from - 1]);)
			from--;
		r |= learn_member(l, str_head(str_from(text, from),
		    at - from));
		text = str_from(text, at + words.n);
	}
	return r;
}

/* "#/tools/0: extraneous key [strict] is not permitted", as the schema says
 * it. */
static int learn_key(struct bedrock_learned *l, struct str text)
{
	const struct str words = S(": extraneous key [");
	char room[LEARNED_PATH];
	struct buf b = buf_on(room, sizeof room);
	size_t at = str_find(text, words), from = at, i;
	struct str key;

	if (at == text.n)
		return 0;
	while (from > 0 && text.p[from - 1] != '#')
		from--;
	for (i = from; i < at; i++)
		if (i > from)
			buf_chr(&b, text.p[i] == '/' ? '.' : text.p[i]);
	if (b.n)
		buf_chr(&b, '.');
	key = str_from(text, at + words.n);
	buf_put(&b, str_head(key, str_chr(key, ']')));
	return b.full ? 0 : learn_member(l, buf_str(&b));
}

static int learn_ability(struct bedrock_learned *l,
    const struct bedrock_model *m, struct str text)
{
	static const struct {
		const char *text;
		unsigned lacks;
	} words[] = {
		{ "tool use in streaming mode", CAN_TOOLS_STREAMED },
		{ "support tool use", CAN_TOOLS | CAN_TOOLS_STREAMED },
		{ "support the system field", CAN_SYSTEM },
		{ "support system messages", CAN_SYSTEM },
		{ "support system prompts", CAN_SYSTEM },
		{ "toolChoice.any", CAN_CHOOSE_ANY },
		{ "toolChoice.tool", CAN_CHOOSE_TOOL },
		{ "toolResult.status", CAN_RESULT_STATUS },
		{ "support the status field", CAN_RESULT_STATUS },
		{ "allow prompt caching", CAN_CACHE | CAN_CACHE_TOOLS },
		{ "support prompt caching", CAN_CACHE | CAN_CACHE_TOOLS },
		{ "support assistant message prefill", CAN_PREFILL },
		{ "must end with a user message", CAN_PREFILL },
		{ "support the effort parameter", CAN_EFFORT },
		{ "thinking is not supported", CAN_THINK },
		{ "support thinking", CAN_THINK },
		{ "unexpected role", CAN_SYSTEM_TURNS },
		{ "role: input should be", CAN_SYSTEM_TURNS }
	};
	size_t i;

	for (i = 0; i < COUNT(words); i++)
		if ((m->can & words[i].lacks) &&
		    has(text, str_of(words[i].text))) {
			l->lacks |= words[i].lacks;
			return 1;
		}
	return 0;
}

/* The number at the end of s. */
static struct str last_number(struct str s)
{
	size_t n = s.n;

	while (n > 0 && s.p[n - 1] >= '0' && s.p[n - 1] <= '9')
		n--;
	return str_from(s, n);
}

/* "... exceeds the model limit of 8192. Try again with ...", or Anthropic's
 * "max_tokens: 128000 > 64000, which is the maximum allowed number of ..." */
static int learn_limit(struct bedrock_learned *l, struct str text)
{
	const struct str ours = S("exceeds the model limit of ");
	const struct str theirs = S(", which is the maximum allowed number of "
	    "output tokens");
	size_t at = str_ifind(text, ours);
	struct str number = str_from(text, at + ours.n);
	uint64_t n = 0;

	if (at < text.n) {
		for (at = 0; at < number.n && number.p[at] >= '0' &&
		    number.p[at] <= '9'; )
			at++;
		number.n = at;
	} else {
		at = str_ifind(text, theirs);
		number = last_number(str_head(text, at < text.n ? at : 0));
	}
	if (str_u64(number, &n) != OK || n == 0 || n > INT32_MAX ||
	    l->max_tokens == (int64_t)n)
		return 0;
	l->max_tokens = (int64_t)n;
	return 1;
}

static int learn_sampling(struct bedrock_learned *l, struct str text)
{
	static const char *const fields[] = { "temperature", "top_p",
		"top_k" };
	static const char *const words[] = { "deprecated", "not supported",
		"unsupported" };
	size_t i, k;

	if (has(text, S("top_p")) && has(text, S("cannot both be"))) {
		i = !l->no_top_p;
		l->no_top_p = 1;
		return (int)i;
	}
	for (i = 0; i < COUNT(fields); i++)
		for (k = 0; k < COUNT(words); k++)
			if (!l->no_sampling &&
			    has(text, str_of(fields[i])) &&
			    has(text, str_of(words[k])))
				return l->no_sampling = 1;
	return 0;
}

static int learn(struct bedrock_learned *l, const struct bedrock_model *m,
    struct str text)
{
	if (has(text, S("invalid beta flag")) && l->betas < 2) {
		l->betas++;
		return 1;
	}
	if (has(text, S("thinking")) && has(text, S("display: Input should")))
		return learn_member(l, S("thinking.display"));
	return learn_members(l, text) || learn_key(l, text) ||
	    learn_limit(l, text) || learn_sampling(l, text) ||
	    learn_ability(l, m, text);
}

/* Whether it is worth sending the request once more. When another request
 * learned something meanwhile, this one goes out with that, and says nothing
 * new about what is known. */
static int heal(struct call *c, const struct bedrock *st, struct str text)
{
	struct bedrock_learned *l = bedrock_learned(c);

	if (c->tried / TRIED_HEAL >= HEALS_MAX)
		return 0;
	if (l->news == st->model.news) {
		if (!learn(l, &st->model, text))
			return 0;
		l->news++;
	}
	c->tried += TRIED_HEAL;
	return 1;
}

/* The next inference profile (BR-13). */
static int next_profile(struct call *c, const struct bedrock *st)
{
	struct bedrock_learned *l = bedrock_learned(c);

	if (l->candidate != st->model.candidate &&
	    l->candidate < st->model.tries)
		return 1;
	if (st->model.candidate + 1 < st->model.tries) {
		l->candidate = st->model.candidate + 1;
		return 1;
	}
	l->candidate = 0;
	return 0;
}

/* ---- the clock and the credentials (AW-9, AW-10, AW-91) ---- */

/* The service's time less ours, if that is why it doesn't take a signature. */
static int learn_clock(struct call *c, const struct http_head *h)
{
	struct bedrock_facts *f = c->up->facts;
	int64_t theirs, off;

	if (!h || (c->tried & TRIED_CLOCK) || http_field(h, S("age")).p ||
	    sigv4_http_date(http_field(h, S("date")), &theirs) != OK)
		return 0;
	c->tried |= TRIED_CLOCK;
	off = theirs - c->now;
	if (off - f->clock_offset >= SKEW_MIN ||
	    f->clock_offset - off >= SKEW_MIN) {
		f->clock_offset = off;
		return 1;
	}
	/* Another request may have learned it after this one was signed. */
	return f->clock_offset != 0 && c->attempt == 0;
}

static int may_renew(struct call *c)
{
	if ((c->aws && c->aws->bearer.n) || (c->tried & TRIED_RENEW))
		return 0;
	c->tried |= TRIED_RENEW;
	return c->renew = 1;
}

/* What a person can do about it. */
static struct str advice(const struct call *c, enum kind kind, struct buf *b)
{
	struct str profile = c->aws ? c->aws->profile : S("");

	if (c->aws && c->aws->bearer.n)
		return S("; check AWS_BEARER_TOKEN_BEDROCK");
	if (profile.n) {
		buf_put(b, S("; run `aws sso login --profile "));
		buf_put(b, str_head(profile, 64));
		buf_put(b, S("` or `aws configure --profile "));
		buf_put(b, str_head(profile, 64));
		buf_put(b, S("`"));
	} else {
		buf_put(b, S("; run `aws configure`, or check "
		    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "
		    "AWS_SESSION_TOKEN"));
	}
	if (kind == SIGNATURE)
		buf_put(b, S(", and this machine's clock"));
	return buf_str(b);
}

/* ---- the fault ---- */

static int is_overflow(struct call *c, const struct bedrock *st,
    const struct said *s)
{
	uint64_t tokens, limit;

	if (s->kind != INVALID || !overflow_text(s->whole, &tokens, &limit))
		return 0;
	if (!limit && st->model.window > 0)
		limit = (uint64_t)st->model.window;
	if (!limit)
		limit = WINDOW_USUAL;
	if (!tokens && c->estimate > 0)
		tokens = (uint64_t)c->estimate;
	fault_overflow(&c->fault, tokens, limit);
	return 1;
}

/* Behind the service's own words. */
static struct str addition(const struct call *c, const struct bedrock *st,
    const struct said *s, struct buf *b)
{
	if (s->status == 401)
		return advice(c, s->kind, b);
	if (s->kind != NOT_FOUND || !st->model.id.n || !c->aws)
		return S("");
	buf_put(b, S(" (model "));
	buf_put(b, str_head(st->model.id, 120));
	buf_put(b, S(" in "));
	buf_put(b, str_head(c->aws->region, 63));
	buf_chr(b, ')');
	return buf_str(b);
}

static void set_fault(struct call *c, const struct bedrock *st,
    const struct said *s)
{
	char room[ADDED_MAX];
	struct buf b = buf_on(room, sizeof room);
	struct str text = s->text.n ? s->text : s->code.n ? s->code :
	    S("the service gave no reason");
	struct str more = addition(c, st, s, &b);
	int named = (s->status == 401 || s->status == 403) && s->code.n &&
	    s->text.n;

	if (is_overflow(c, st, s))
		return;
	FAULT(&c->fault, s->status, named ? s->code : S(""),
	    named ? S(": ") : S(""), str_head(text, more.n ? ADDED_TO :
	    BODY_SHOWN), more);
	if (!c->fault.n)	/* bytes that are no text */
		FAULT(&c->fault, s->status, S("the service gave no reason"));
	/* Another try would be told the same (BR-120). */
	if (s->status == 401 || s->status == 403 ||
	    has(s->whole, S("tokens per day")))
		c->fault.should_retry = 0;
}

/* Without an error: the estimate counts (BR-132). What won't change is
 * remembered (BR-131). */
static int give_up_counting(struct call *c, const struct said *s)
{
	if (s->status == 403 || s->status == 404 ||
	    has(s->whole, S("counting tokens")) ||
	    has(s->whole, S("count tokens")))
		bedrock_learned(c)->lacks |= CAN_COUNT;
	c->counted = -1;
	return CALL_DONE;
}

static int judge(struct call *c, const struct bedrock *st, struct said *s,
    const struct http_head *h)
{
	int again = 0;

	if (!c->answer.started) {
		if (s->kind == EXPIRED)
			again = may_renew(c);
		else if (s->kind == SIGNATURE)
			again = learn_clock(c, h);
		else if (s->kind == NOT_FOUND && c->kind == CALL_MESSAGES)
			again = next_profile(c, st);
		else if (s->kind == INVALID)
			again = heal(c, st, s->whole);
	}
	if (again)
		return CALL_RETRY;
	if (c->kind == CALL_COUNT)
		return give_up_counting(c, s);
	set_fault(c, st, s);
	if (h)
		c->fault.retry_after = retry_after(h, c->now);
	return E_FAULT;
}

int bedrock_refuse(struct call *c, struct bedrock *st,
    const struct http_head *h, struct str body)
{
	struct said s = { .code = cut_code(http_field(h,
	    S("x-amzn-errortype"))) };

	c->renew = 0;
	read_body(c, &s, body);
	find_status(&s, h->status);
	find_code(&s);
	find_words(c, &s);
	mask_said(c, &s);
	return judge(c, st, &s, h);
}

int bedrock_exception(struct call *c, struct bedrock *st, struct str name,
    struct str text, int is_exception)
{
	struct said s = { .code = cut_code(name) };

	c->renew = 0;
	if (is_exception)
		read_body(c, &s, text);
	else
		s.whole = str_trim(text);
	s.status = 500;
	s.kind = PLAIN;
	find_code(&s);
	find_words(c, &s);
	mask_said(c, &s);
	return judge(c, st, &s, NULL);
}
