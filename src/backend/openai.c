/* openai.c -- any server that speaks chat.completions: profiles, flags, the
 * request head, what is learned while serving.
 *
 * A profile is a row of data: what one family of servers takes, wants and
 * says. It is chosen by name or by the base URL, and OPENAI_FLAGS changes single
 * fields of it. What an upstream refuses at run time is remembered per model
 * (OA-5), and what it wants to see again is kept by tool id (OA-66); both live
 * in memory of a fixed size, the upstream's facts, and only there.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"	/* for the size of its state */
#include "../wire/sha256.h"

/* ---- profiles (section 1) ---- */

/* Fields left out are 0: no, none, or the first of their values. */
static const struct openai_flags profiles[] = {
	[P_OPENAI] = {
		.profile = P_OPENAI,
		.key_needed = 1,
		.max_field = MAX_COMPLETION_TOKENS,
		.system_role = SYSTEM_AUTO,
		.mid_system = 1,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_EFFORT,
		.image_url = 1, .gif = 1, .images = 1, .file_parts = 1,
		.named_tool_choice = NAMED_YES,
		.parallel_flag = 1,
		.null_content = 1,
		.tool_limit = 128,
		.tools_reasoning_drop = 1,
	},
	[P_GEMINI] = {
		.profile = P_GEMINI,
		.key_needed = 1,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_EFFORT,
		.reasoning_back = REASONING_BACK_GEMINI,
		.image_url = 1, .gif = 1, .images = 1,
		.schema_subset = SCHEMA_GEMINI,
		.named_tool_choice = NAMED_YES,
		.buffer_args = 1,
		.null_content = 1,
	},
	[P_OPENROUTER] = {
		.profile = P_OPENROUTER,
		.key_needed = 1,
		.mid_system = 1,
		.top_k = 1,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_OPENROUTER,
		.reasoning_back = REASONING_BACK_DETAILS,
		.image_url = 1, .gif = 1, .images = 1, .file_parts = 1,
		.named_tool_choice = NAMED_YES,
		.parallel_flag = 1,
		.null_content = 1,
	},
	[P_DEEPSEEK] = {
		.profile = P_DEEPSEEK,
		.key_needed = 1,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_DEEPSEEK,
		.reasoning_back = REASONING_BACK_CONTENT,
		.send_reasoning = 2,
		.schema_out = SCHEMA_OUT_JSON_OBJECT,
		.named_tool_choice = NAMED_YES,
		.null_content = 1,
	},
	[P_VLLM] = {
		.profile = P_VLLM,
		.top_k = 1,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_TEMPLATE,
		.reasoning_back = REASONING_BACK_REASONING,
		.image_url = 1, .gif = 1, .images = 1,
		.named_tool_choice = NAMED_YES,
		.parallel_flag = 1,
		.think_tags = THINK_AUTO,
		.null_content = 1,
		.exact_count = 1,
	},
	[P_LLAMACPP] = {
		.profile = P_LLAMACPP,
		.top_k = 1,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_TEMPLATE,
		.reasoning_back = REASONING_BACK_CONTENT,
		.image_url = 1, .gif = 1, .images = 1,
		.schema_subset = SCHEMA_GRAMMAR,
		.named_tool_choice = NAMED_ONLY_TOOL,
		.parallel_flag = 1,
		.think_tags = THINK_AUTO,
		.null_content = 1,
		.exact_count = 1,
	},
	[P_OLLAMA] = {
		.profile = P_OLLAMA,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_EFFORT,
		.reasoning_back = REASONING_BACK_REASONING,
		.images = 1,
		.named_tool_choice = NAMED_YES,	/* ignored there; harmless */
		.buffer_args = 1,
		.think_tags = THINK_AUTO,
		.null_content = 1,
	},
	[P_LMSTUDIO] = {
		.profile = P_LMSTUDIO,
		.top_k = 1,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_EFFORT,
		.images = 1, .gif = 1,
		.named_tool_choice = NAMED_ONLY_TOOL,
		.buffer_args = 1,
		.think_tags = THINK_AUTO,
		.null_content = 1,
	},
	[P_GENERIC] = {
		.profile = P_GENERIC,
		.stream_options = 1,
		.reasoning_in = REASONING_IN_NONE,
		.image_url = 1, .gif = 1, .images = 1,
		.schema_out = SCHEMA_OUT_JSON_OBJECT,
		.named_tool_choice = NAMED_YES,
		.buffer_args = 1,
		.think_tags = THINK_AUTO,
		.null_content = 1,
	},
};

static const char *const profile_names[] = {
	[P_OPENAI] = "openai", [P_GEMINI] = "gemini",
	[P_OPENROUTER] = "openrouter", [P_DEEPSEEK] = "deepseek",
	[P_VLLM] = "vllm", [P_LLAMACPP] = "llamacpp", [P_OLLAMA] = "ollama",
	[P_LMSTUDIO] = "lmstudio", [P_GENERIC] = "generic"
};

/* A host, itself or below it, or a port. */
static const struct {
	const char *host;
	unsigned port;
	enum openai_profile profile;
} places[] = {
	{ "api.openai.com", 0, P_OPENAI },
	{ "openai.azure.com", 0, P_OPENAI },
	{ "generativelanguage.googleapis.com", 0, P_GEMINI },
	{ "openrouter.ai", 0, P_OPENROUTER },
	{ "api.deepseek.com", 0, P_DEEPSEEK },
	/* Where these servers listen unless told otherwise: a hint, no proof,
	 * and OPENAI_PROFILE corrects it. */
	{ NULL, 11434, P_OLLAMA },
	{ NULL, 1234, P_LMSTUDIO },
	{ NULL, 8000, P_VLLM },
	{ NULL, 8080, P_LLAMACPP },
};

static int host_is(struct str host, struct str name)
{
	if (host.n > name.n && host.p[host.n - name.n - 1] != '.')
		return 0;
	return host.n >= name.n &&
	    str_ieq(str_from(host, host.n - name.n), name);
}

static enum openai_profile detect(const struct upstream *u)
{
	size_t i;

	for (i = 0; i < COUNT(places); i++)
		if (places[i].host ? host_is(u->host, str_of(places[i].host)) :
		    !u->tls && u->port == places[i].port)
			return places[i].profile;
	return P_GENERIC;
}

/* ---- flags ---- */

#define YES_NO "0|1"
#define AT(field) offsetof(struct openai_flags, field)

/* Values in the order of the enum, which begins at 0; NULL: a number. */
static const struct flag {
	const char *name, *values;
	size_t at;
} flags[] = {
	{ "always_stream", YES_NO, AT(always_stream) },
	{ "cache_marks", YES_NO, AT(cache_marks) },
	{ "context", NULL, AT(context) },
	{ "exact_count", YES_NO, AT(exact_count) },
	{ "file_parts", YES_NO, AT(file_parts) },
	{ "gif", YES_NO, AT(gif) },
	{ "image_url", YES_NO, AT(image_url) },
	{ "images", YES_NO, AT(images) },
	{ "key_needed", YES_NO, AT(key_needed) },
	{ "max_field", "max_tokens|max_completion_tokens", AT(max_field) },
	{ "max_output", NULL, AT(max_output) },
	{ "mid_system", YES_NO, AT(mid_system) },
	{ "name_pieces", YES_NO, AT(name_pieces) },
	{ "named_tool_choice", YES_NO, AT(named_tool_choice) },
	{ "null_content", YES_NO, AT(null_content) },
	{ "parallel_flag", YES_NO, AT(parallel_flag) },
	{ "reasoning_back", "no|reasoning_content|reasoning|details|gemini",
	    AT(reasoning_back) },
	{ "reasoning_in", "none|effort|openrouter|deepseek|template",
	    AT(reasoning_in) },
	{ "schema_out", "json_schema|json_object|none", AT(schema_out) },
	{ "schema_subset", "full|gemini|grammar", AT(schema_subset) },
	{ "send_reasoning", "0|1|all", AT(send_reasoning) },
	{ "send_user", YES_NO, AT(send_user) },
	{ "show_reasoning", "asked|always", AT(show_reasoning_always) },
	{ "stop", "proxy|upstream", AT(stop_upstream) },
	{ "stream_options", YES_NO, AT(stream_options) },
	{ "strict_pairs", YES_NO, AT(strict_pairs) },
	{ "system_role", "system|auto|developer", AT(system_role) },
	{ "template_thinking", YES_NO, AT(template_thinking) },
	{ "text_calls", YES_NO, AT(text_calls) },
	{ "think_tags", "no|auto|open", AT(think_tags) },
	{ "tool_args", "stream|buffer", AT(buffer_args) },
	{ "tool_id", "any|9alnum", AT(tool_id_9) },
	{ "tool_limit", NULL, AT(tool_limit) },
	{ "tools_reasoning", "keep|drop", AT(tools_reasoning_drop) },
	{ "top_k", YES_NO, AT(top_k) },
	{ "vocabulary", "o|c", AT(vocabulary) },
};

/* Which of the values, written "a|b|c", this is; -1. */
static int value_of(struct str values, struct str v)
{
	struct str one;
	int i;

	if (str_eq(values, S(YES_NO)) && str_eq(v, S("yes")))
		return 1;
	if (str_eq(values, S(YES_NO)) && str_eq(v, S("no")))
		return 0;
	for (i = 0; str_cut(&values, '|', &one); i++)
		if (str_eq(one, v))
			return i;
	return -1;
}

static int bad_value(struct fault *f, const struct flag *flag, struct str v)
{
	FAULT(f, 400, S("OPENAI_FLAGS: "), str_of(flag->name), S(" cannot be '"),
	    str_head(v, 60), S("'; it takes "),
	    flag->values ? str_of(flag->values) : S("a whole number"));
	return E_FAULT;
}

static int set_flag(struct openai_flags *to, const struct flag *flag,
    struct str v, struct fault *f)
{
	char *field = (char *)to + flag->at;
	uint64_t u;
	int64_t big;
	int i;

	/* All of them are enums or int; C leaves the size of an enum open. */
	_Static_assert(sizeof to->max_field == sizeof i, "enum is int");
	_Static_assert(sizeof to->vocabulary == sizeof i, "enum is int");
	if (!flag->values) {
		if (str_u64(v, &u) != OK || u > INT64_MAX)
			return bad_value(f, flag, v);
		big = (int64_t)u;
		memcpy(field, &big, sizeof big);
		return OK;
	}
	i = value_of(str_of(flag->values), v);
	if (i < 0)
		return bad_value(f, flag, v);
	memcpy(field, &i, sizeof i);
	return OK;
}

static int unknown_flag(struct fault *f, struct str name)
{
	char room[FAULT_TEXT_MAX];
	struct buf b = buf_on(room, sizeof room);
	size_t i;

	for (i = 0; i < COUNT(flags); i++) {
		buf_put(&b, str_of(flags[i].name));
		buf_put(&b, S(" "));
	}
	buf_put(&b, S("extra_body"));
	FAULT(f, 400, S("OPENAI_FLAGS: no flag '"), str_head(name, 40),
	    S("'; flags: "), buf_str(&b));
	return E_FAULT;
}

/* Its JSON holds commas of its own, so its end is where the object ends. */
static int set_extra(struct openai_flags *to, struct str *rest,
    struct fault *f)
{
	struct json_scan scan = { .depth = 0 };
	struct str text = str_head(*rest, json_scan(&scan, *rest));

	*rest = str_trim(str_from(*rest, text.n));
	if (text.n == 0 || text.p[0] != '{' ||
	    json_check(text, NULL, NULL) != OK ||
	    (rest->n && rest->p[0] != ',')) {
		FAULT(f, 400, S("OPENAI_FLAGS: extra_body takes a JSON "
		    "object, then a comma or the end"));
		return E_FAULT;
	}
	*rest = str_from(*rest, 1);
	to->extra_body = text;
	return OK;
}

static int read_flags(struct openai_flags *to, struct str list,
    struct fault *f)
{
	struct str one, name;
	size_t i;

	while ((list = str_trim(list)).n) {
		if (str_starts(list, S("extra_body="))) {
			list = str_from(list, S("extra_body=").n);
			if (set_extra(to, &list, f) != OK)
				return E_FAULT;
			continue;
		}
		str_cut(&list, ',', &one);
		one = str_trim(one);
		if (one.n == 0)
			continue;
		name = str_trim(str_head(one, str_chr(one, '=')));
		for (i = 0; i < COUNT(flags); i++)
			if (str_eq(name, str_of(flags[i].name)))
				break;
		if (i == COUNT(flags))
			return unknown_flag(f, name);
		one = str_trim(str_from(one, str_chr(one, '=') + 1));
		if (set_flag(to, &flags[i], one, f) != OK)
			return E_FAULT;
	}
	return OK;
}

static int pick_profile(const struct upstream *u, struct str name,
    enum openai_profile *out, struct fault *f)
{
	size_t i;

	if (name.n == 0 || str_eq(name, S("auto"))) {
		*out = detect(u);
		return OK;
	}
	for (i = 0; i < COUNT(profile_names); i++) {
		if (!str_eq(name, str_of(profile_names[i])))
			continue;
		*out = (enum openai_profile)i;
		return OK;
	}
	FAULT(f, 400, S("OPENAI_PROFILE: no profile '"), str_head(name, 40),
	    S("'; it is one of auto openai gemini openrouter deepseek vllm "
	    "llamacpp ollama lmstudio generic"));
	return E_FAULT;
}

static int configure(struct upstream *u, struct str profile, struct str list,
    struct fault *f)
{
	struct openai_facts *facts = u->facts;
	enum openai_profile p;

	if (pick_profile(u, str_trim(profile), &p, f) != OK)
		return E_FAULT;
	facts->flags = profiles[p];
	if (read_flags(&facts->flags, list, f) != OK)
		return E_FAULT;
	if (facts->flags.exact_count && p != P_VLLM && p != P_LLAMACPP &&
	    p != P_OPENAI && p != P_GEMINI) {
		FAULT(f, 400, S("OPENAI_FLAGS: exact_count is there for the "
		    "profiles openai, gemini, vllm and llamacpp only"));
		return E_FAULT;
	}
	u->window = facts->flags.context;
	u->max_output = facts->flags.max_output;
	if (u->window && u->window < WINDOW_SMALL)
		u->warning = S("OPENAI_FLAGS: context is below 32768 tokens, "
		    "which Claude Code's instructions and tools alone may "
		    "fill; give the model a larger window");
	u->name = p == P_GENERIC && u->host.n ? u->host :
	    str_of(profile_names[p]);
	if (facts->flags.key_needed && u->key.n == 0) {
		FAULT(f, 401, S("OPENAI_API_KEY is not set, and "), u->name,
		    S(" at "), u->authority, S(" asks for a key"));
		return E_FAULT;
	}
	return OK;
}

/* ---- what is learned (OA-5) ---- */

static struct openai_facts *facts_of(const struct call *c)
{
	return c->up->facts;
}

const struct openai_flags *openai_flags(const struct call *c)
{
	return &facts_of(c)->flags;
}

struct estimates *openai_estimates(const struct call *c)
{
	return &facts_of(c)->estimates;
}

struct openai_learned *openai_learned(struct call *c)
{
	struct openai_facts *f = facts_of(c);
	struct openai_learned *l, *oldest = f->learned;
	size_t i;

	if (c->model.n > LEARNED_NAME) {
		/* It still serves this call and its second attempt. */
		if (c->attempt == 0)
			memset(&f->unnamed, 0, sizeof f->unnamed);
		return &f->unnamed;
	}
	f->clock++;
	for (i = 0; i < LEARNED_MAX; i++) {
		l = &f->learned[i];
		if (l->used && str_eq(c->model,
		    (struct str){ l->model, l->nmodel })) {
			l->used = f->clock;
			return l;
		}
		if (l->used < oldest->used)
			oldest = l;
	}
	memset(oldest, 0, sizeof *oldest);
	if (c->model.n)
		memcpy(oldest->model, c->model.p, c->model.n);
	oldest->nmodel = c->model.n;
	oldest->used = f->clock;
	return oldest;
}

int openai_refused(struct call *c, enum openai_param p)
{
	return openai_learned(c)->refused >> p & 1;
}

/* ---- model families ---- */

/* Routers put the maker before the name: openai/gpt-5. */
static struct str bare_name(struct str model)
{
	size_t at;

	while ((at = str_chr(model, '/')) < model.n)
		model = str_from(model, at + 1);
	return model;
}

static int digits(struct str *s)
{
	int v = 0;

	while (s->n && s->p[0] >= '0' && s->p[0] <= '9') {
		if (v < 1000)
			v = v * 10 + (s->p[0] - '0');
		*s = str_from(*s, 1);
	}
	return v;
}

int openai_gpt_version(struct str model)
{
	struct str s = bare_name(model);
	int major, minor = 0;

	if (!str_istarts(s, S("gpt-")))
		return 0;
	s = str_from(s, 4);
	if (s.n == 0 || s.p[0] < '0' || s.p[0] > '9')
		return 0;
	major = digits(&s);
	if (s.n > 1 && s.p[0] == '.') {
		s = str_from(s, 1);
		minor = digits(&s);
	}
	return major * 10 + (minor > 9 ? 9 : minor);
}

int openai_is_reasoning(struct str model)
{
	struct str s = bare_name(model);

	if (openai_gpt_version(model) >= 50)
		return 1;
	return s.n >= 2 && (s.p[0] == 'o' || s.p[0] == 'O') &&
	    (s.p[1] == '1' || s.p[1] == '3' || s.p[1] == '4') &&
	    (s.n == 2 || s.p[2] == '-');
}

/* ---- opaque data by tool id (OA-66) ---- */

static uint64_t id_hash(struct str id)
{
	unsigned char sum[SHA256_SIZE];
	uint64_t h;

	sha256(sum, id);
	memcpy(&h, sum, sizeof h);
	return h ? h : 1;
}

/* The places a hash may have. */
static struct openai_kept *ways(struct openai_facts *f, uint64_t hash)
{
	return &f->kept[hash % (CACHE_MAX / CACHE_WAYS) * CACHE_WAYS];
}

void openai_keep(struct call *c, struct str tool_id, struct str json)
{
	struct openai_facts *f = facts_of(c);
	uint64_t hash = id_hash(tool_id), at;
	struct openai_kept *k = ways(f, hash), *to = k;
	size_t i;

	if (tool_id.n == 0 || json.n == 0 || json.n > CACHE_VALUE)
		return;
	for (i = 0; i < CACHE_WAYS; i++) {
		if (k[i].hash == hash) {
			to = &k[i];
			break;
		}
		if (to->hash && (k[i].hash == 0 || k[i].at_ms < to->at_ms))
			to = &k[i];
	}
	/* A value lies in one piece: what the end can't hold begins anew. */
	at = f->written % CACHE_BYTES;
	if (CACHE_BYTES - at < json.n) {
		f->written += CACHE_BYTES - at;
		at = 0;
	}
	memcpy(f->ring + at, json.p, json.n);
	to->hash = hash;
	to->at_ms = c->now_ms;
	to->begin = f->written;
	to->n = (uint32_t)json.n;
	f->written += json.n;
}

struct str openai_find_kept(struct call *c, struct str tool_id)
{
	struct openai_facts *f = facts_of(c);
	uint64_t hash = id_hash(tool_id);
	struct openai_kept *k = ways(f, hash);
	struct str none = { NULL, 0 };
	size_t i;

	for (i = 0; i < CACHE_WAYS; i++) {
		if (k[i].hash != hash)
			continue;
		if (f->written - k[i].begin > CACHE_BYTES ||
		    c->now_ms - k[i].at_ms > CACHE_AGE_MS) {
			k[i].hash = 0;
			return none;
		}
		k[i].at_ms = c->now_ms;
		return (struct str){ f->ring + k[i].begin % CACHE_BYTES,
		    k[i].n };
	}
	return none;
}

/* ---- the request head (OA-1) ---- */

static void put_target(struct buf *b, const struct call *c)
{
	switch (c->kind) {
	case CALL_COUNT:
		openai_count_target(b, c);
		return;
	case CALL_MODELS:
	case CALL_MESSAGES:
		break;
	}
	buf_put(b, c->up->base);
	buf_put(b, c->kind == CALL_MODELS ? S("/models") :
	    S("/chat/completions"));
}

static int head(struct call *c)
{
	char room[1024];
	struct buf target = buf_on(room, sizeof room), b;

	put_target(&target, c);
	if (target.full)
		return E_FULL;
	b = buf_open(c->a);
	head_begin(&b, c->kind == CALL_MODELS ? S("GET") : S("POST"), c,
	    buf_str(&target));
	buf_put(&b, c->upstream_stream ? S("accept: text/event-stream\r\n") :
	    S("accept: application/json\r\n"));
	if (c->kind != CALL_MODELS)
		buf_put(&b, S("content-type: application/json\r\n"));
	/* Never the client's own credential. */
	if (c->up->key.n) {
		/* Gemini's native endpoint takes no key as a bearer's. */
		buf_put(&b, c->kind == CALL_COUNT &&
		    openai_flags(c)->profile == P_GEMINI ?
		    S("x-goog-api-key: ") : S("authorization: Bearer "));
		buf_put(&b, c->up->key);
		buf_put(&b, S("\r\n"));
	}
	buf_put(&b, S("\r\n"));
	if (b.full)
		return E_FULL;
	c->head = buf_end(c->a, &b);
	return OK;
}

const struct backend backend_openai = {
	.name = "openai_compatible",
	.facts_size = sizeof(struct openai_facts),
	.state_size = sizeof(struct openai_state),
	.configure = configure,
	.encode = openai_encode,
	.head = head,
	.begin = openai_begin,
	.decode = openai_decode,
	.refuse = openai_refuse,
};
