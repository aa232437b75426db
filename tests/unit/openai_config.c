/* openai_config.c -- profiles, flags, what is learned and kept, request heads.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/backend/openai.c"
#include "t.h"

static struct openai_facts facts;
static struct upstream up;
static struct call c;
static struct fault f;

static int configured(const char *host, unsigned port, int tls,
	const char *profile, const char *list)
{
	memset(&facts, 0, sizeof facts);
	memset(&f, 0, sizeof f);
	up = (struct upstream){ .backend = &backend_openai, .facts = &facts,
	    .host = str_of(host), .authority = str_of(host), .port = port,
	    .tls = tls, .key = S("k"), .base = S("/v1") };
	memset(&c, 0, sizeof c);
	c.up = &up;
	return configure(&up, str_of(profile), str_of(list), &f);
}

static void test_detection(void)
{
	static const struct {
		const char *host;
		unsigned port;
		int tls;
		enum openai_profile want;
	} cases[] = {
		{ "api.openai.com", 443, 1, P_OPENAI },
		{ "API.OpenAI.com", 443, 1, P_OPENAI },
		{ "x.openai.azure.com", 443, 1, P_OPENAI },
		{ "generativelanguage.googleapis.com", 443, 1, P_GEMINI },
		{ "openrouter.ai", 443, 1, P_OPENROUTER },
		{ "api.deepseek.com", 443, 1, P_DEEPSEEK },
		{ "127.0.0.1", 11434, 0, P_OLLAMA },
		{ "box.lan", 1234, 0, P_LMSTUDIO },
		{ "127.0.0.1", 8000, 0, P_VLLM },
		{ "127.0.0.1", 8080, 0, P_LLAMACPP },
		{ "127.0.0.1", 8081, 0, P_GENERIC },
		{ "example.com", 8000, 1, P_GENERIC },
		{ "notopenrouter.ai", 443, 1, P_GENERIC },
		{ "api.openai.com.evil.example", 443, 1, P_GENERIC },
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		T_INT(configured(cases[i].host, cases[i].port, cases[i].tls,
		    "auto", ""), OK, "%s", cases[i].host);
		T_INT(facts.flags.profile, cases[i].want, "section 1: %s:%u",
		    cases[i].host, cases[i].port);
	}
	T_STR(up.name, S("api.openai.com.evil.example"),
	    "a generic one is called by its host");
	configured("h", 1, 0, "ollama", "");
	T_STR(up.name, S("ollama"), "others by their profile");
}

static void test_profiles(void)
{
	size_t i;

	for (i = 0; i < COUNT(profile_names); i++) {
		T_INT(configured("h", 1, 0, profile_names[i], ""), OK,
		    "profile %s", profile_names[i]);
		T_INT(facts.flags.profile, (intmax_t)i, "%s",
		    profile_names[i]);
		T(facts.flags.stream_options && facts.flags.null_content,
		    "%s: what all have", profile_names[i]);
	}
	T_INT(configured("h", 1, 0, "olama", ""), E_FAULT, "no such profile");
	T(str_find(fault_text(&f), S("OPENAI_PROFILE")) < f.n &&
	    str_find(fault_text(&f), S("lmstudio")) < f.n,
	    "the variable and the names: %s", f.text);
	/* Section 1, a column each. */
	configured("h", 1, 0, "openai", "");
	T(facts.flags.max_field == MAX_COMPLETION_TOKENS &&
	    facts.flags.system_role == SYSTEM_AUTO && facts.flags.mid_system &&
	    !facts.flags.top_k && facts.flags.file_parts &&
	    facts.flags.tool_limit == 128 && facts.flags.parallel_flag,
	    "openai");
	configured("h", 1, 0, "gemini", "");
	T(facts.flags.schema_subset == SCHEMA_GEMINI && facts.flags.buffer_args
	    && facts.flags.reasoning_back == REASONING_BACK_GEMINI, "gemini");
	configured("h", 1, 0, "ollama", "");
	T(!facts.flags.image_url && !facts.flags.gif && facts.flags.images &&
	    facts.flags.buffer_args && !facts.flags.top_k, "ollama");
	configured("h", 1, 0, "deepseek", "");
	T(!facts.flags.images && facts.flags.send_reasoning == 2 &&
	    facts.flags.schema_out == SCHEMA_OUT_JSON_OBJECT, "deepseek");
}

static void test_key(void)
{
	configured("api.openai.com", 443, 1, "", "");
	up.key = S("");
	T_INT(configure(&up, S(""), S(""), &f), E_FAULT, "a key is needed");
	T(str_find(fault_text(&f), S("OPENAI_API_KEY")) < f.n, "%s", f.text);
	T_INT(configure(&up, S(""), S("key_needed=0"), &f), OK,
	    "unless a flag says otherwise");
	T_INT(configure(&up, S("ollama"), S(""), &f), OK, "or a local one");
}

static void bad_flags(const char *list, const char *says)
{
	T_INT(configured("h", 1, 0, "generic", list), E_FAULT, "%s", list);
	T(str_starts(fault_text(&f), S("OPENAI_FLAGS: ")) &&
	    str_find(fault_text(&f), str_of(says)) < f.n, "%s: %.*s", list,
	    (int)f.n, f.text);
}

static void test_flags(void)
{
	T_INT(configured("h", 1, 0, "generic", " top_k=1 , think_tags=open,"
	    "max_output=4096,null_content=no,file_parts=yes,"
	    "tool_id=9alnum,stop=upstream,,vocabulary=c,"
	    "extra_body={\"a\":\"},\\\"\",\"b\":[1,2]} , context=8192"), OK,
	    "many flags: %.*s", (int)f.n, f.text);
	T(facts.flags.top_k == 1 && facts.flags.think_tags == THINK_OPEN &&
	    facts.flags.max_output == 4096 && facts.flags.context == 8192 &&
	    facts.flags.null_content == 0 && facts.flags.file_parts == 1 &&
	    facts.flags.tool_id_9 && facts.flags.stop_upstream &&
	    facts.flags.vocabulary == VOCAB_C, "each has its value");
	T_STR(facts.flags.extra_body, S("{\"a\":\"},\\\"\",\"b\":[1,2]}"),
	    "OA-28 JSON with commas of its own");
	bad_flags("topk=1", "no flag 'topk'");
	bad_flags("topk=1", "think_tags");
	bad_flags("topk=1", "extra_body");
	bad_flags("top_k=2", "top_k cannot be '2'; it takes 0|1");
	bad_flags("top_k", "top_k cannot be ''");
	bad_flags("max_field=tokens", "max_tokens|max_completion_tokens");
	bad_flags("context=8k", "a whole number");
	bad_flags("context=99999999999999999999", "a whole number");
	bad_flags("extra_body={\"a\":1", "JSON object");
	bad_flags("extra_body={\"a\":1}x,top_k=1", "JSON object");
	bad_flags("extra_body=[1]", "JSON object");
	bad_flags("extra_body=", "JSON object");
	bad_flags("exact_count=1", "gemini, vllm and llamacpp");
}

/* Every flag takes each of its values, and changes what it names. */
static void test_all_flags(void)
{
	char list[128];
	struct str values, one;
	size_t i;
	int v, got;

	for (i = 0; i < COUNT(flags); i++) {
		values = flags[i].values ? str_of(flags[i].values) : S("7");
		for (v = 0; str_cut(&values, '|', &one); v++) {
			snprintf(list, sizeof list, "%s=%.*s", flags[i].name,
			    (int)one.n, one.p);
			T_INT(configured("h", 1, 0, "vllm", list), OK, "%s",
			    list);
			if (!flags[i].values)
				continue;
			memcpy(&got, (char *)&facts.flags + flags[i].at,
			    sizeof got);
			T_INT(got, v, "%s", list);
		}
	}
}

static void test_models(void)
{
	static const struct { const char *name; int version, reasons; } m[] = {
		{ "o1", 0, 1 }, { "o1-mini", 0, 1 }, { "o3-pro", 0, 1 },
		{ "o4-mini", 0, 1 }, { "o2", 0, 0 }, { "o3x", 0, 0 },
		{ "gpt-5", 50, 1 }, { "gpt-5-mini", 50, 1 },
		{ "gpt-5.4-codex", 54, 1 }, { "gpt-6", 60, 1 },
		{ "openai/gpt-5.1", 51, 1 }, { "GPT-5", 50, 1 },
		{ "gpt-10.2", 102, 1 }, { "gpt-4o", 40, 0 },
		{ "gpt-4.1", 41, 0 }, { "gpt-3.5-turbo", 35, 0 },
		{ "gpt-oss-120b", 0, 0 }, { "llama3", 0, 0 }, { "", 0, 0 },
		{ "gpt-", 0, 0 }, { "gpt-99999999999999", 10000, 1 },
	};
	size_t i;

	for (i = 0; i < COUNT(m); i++) {
		T_INT(openai_is_reasoning(str_of(m[i].name)), m[i].reasons,
		    "OA-10 %s", m[i].name);
		if (i + 1 < COUNT(m))
			T_INT(openai_gpt_version(str_of(m[i].name)),
			    m[i].version, "OA-61 %s", m[i].name);
	}
}

static void test_learned(void)
{
	static char longer[LEARNED_NAME + 2];
	char name[16];
	size_t i;

	configured("h", 1, 0, "generic", "");
	c.model = S("a");
	openai_learned(&c)->refused |= 1u << PARAM_TOP_P;
	T(openai_refused(&c, PARAM_TOP_P), "OA-5");
	T(!openai_refused(&c, PARAM_TOP_K), "OA-5 that one alone");
	c.model = S("b");
	T(!openai_refused(&c, PARAM_TOP_P), "OA-5 a model each");
	for (i = 0; i < LEARNED_MAX - 1; i++) {
		c.model = S("a");
		T(openai_refused(&c, PARAM_TOP_P), "OA-5 used, so kept");
		snprintf(name, sizeof name, "m%zu", i);
		c.model = str_of(name);
		openai_learned(&c);
	}
	c.model = S("a");
	T(openai_refused(&c, PARAM_TOP_P), "OA-5 the oldest goes, not this");
	memset(longer, 'x', sizeof longer - 1);
	c.model = str_of(longer);
	openai_learned(&c)->refused |= 1u << PARAM_TOP_P;
	c.attempt = 1;
	T(openai_refused(&c, PARAM_TOP_P), "a long name's second attempt");
	c.attempt = 0;
	T(!openai_refused(&c, PARAM_TOP_P), "but not the next call");
}

static void test_kept(void)
{
	static char value[CACHE_VALUE + 1];
	char id[24];
	struct str s;
	size_t i, found = 0;

	configured("h", 1, 0, "gemini", "");
	T(openai_find_kept(&c, S("a")).n == 0, "OA-66 nothing yet");
	openai_keep(&c, S("a"), S("{\"r\":true}"));
	openai_keep(&c, S("b"), S("{}"));
	T_STR(openai_find_kept(&c, S("a")), S("{\"r\":true}"), "OA-66");
	openai_keep(&c, S("a"), S("{\"x\":\"y\"}"));
	T_STR(openai_find_kept(&c, S("a")), S("{\"x\":\"y\"}"),
	    "OA-66 the last one");
	c.now_ms = CACHE_AGE_MS;
	T_STR(openai_find_kept(&c, S("b")), S("{}"), "OA-66 24 h");
	c.now_ms = UINT64_C(2) * CACHE_AGE_MS + 1;
	T(openai_find_kept(&c, S("b")).n == 0, "OA-66 and no longer");
	openai_keep(&c, S("big"), (struct str){ value, sizeof value });
	T(openai_find_kept(&c, S("big")).n == 0, "OA-66 too long");
	/* Many more bytes than there is room for: each that is found is right,
	 * the latest are. */
	for (i = 0; i < 3000; i++) {
		size_t n = (size_t)snprintf(id, sizeof id, "id%zu", i);

		memset(value, (int)('a' + i % 26), 700);
		openai_keep(&c, (struct str){ id, n },
		    (struct str){ value, 700 });
	}
	for (i = 0; i < 3000; i++) {
		size_t n = (size_t)snprintf(id, sizeof id, "id%zu", i);

		s = openai_find_kept(&c, (struct str){ id, n });
		if (s.n == 0)
			continue;
		found++;
		memset(value, (int)('a' + i % 26), 700);
		T_STR(s, ((struct str){ value, 700 }), "OA-66 id%zu", i);
	}
	T(found > 500 && found <= CACHE_BYTES / 700, "OA-66 %zu are kept",
	    found);
	T(openai_find_kept(&c, S("id2999")).n, "OA-66 the latest is");
}

static char head_room[4096];
static struct arena a;

static struct openai_state state;
static struct str head_model;

static void heads(enum call_kind kind, const char *profile, const char *base,
	const char *line)
{
	char want[256];

	configured("h", 1, 0, profile, "");
	up.base = str_of(base);
	c.kind = kind;
	c.state = &state;
	c.model = head_model;
	a = (struct arena){ head_room, head_room + sizeof head_room };
	c.a = &a;
	T_INT(head(&c), OK, "head");
	snprintf(want, sizeof want, "%s HTTP/1.1\r\nhost: h\r\n", line);
	T(str_starts(c.head, str_of(want)), "OA-1 %s: %.*s", line,
	    (int)c.head.n, c.head.p);
	T(str_ends(c.head, S("\r\n\r\n")), "OA-1 its end");
}

static void test_heads(void)
{
	heads(CALL_MESSAGES, "generic", "/v1", "POST /v1/chat/completions");
	T(str_find(c.head, S("authorization: Bearer k\r\n")) < c.head.n &&
	    str_find(c.head, S("accept: application/json\r\n")) < c.head.n &&
	    str_find(c.head, S("content-type: application/json\r\n")) <
	    c.head.n && str_find(c.head, S("user-agent: claudecodex/")) <
	    c.head.n, "OA-1 fields");
	c.upstream_stream = 1;
	up.key = S("");
	a = (struct arena){ head_room, head_room + sizeof head_room };
	T_INT(head(&c), OK, "head");
	T(str_find(c.head, S("authorization")) == c.head.n,
	    "OA-1 none without a key");
	T(str_find(c.head, S("accept: text/event-stream\r\n")) < c.head.n,
	    "OA-1 a stream");
	heads(CALL_MODELS, "generic", "/v1", "GET /v1/models");
	T(str_find(c.head, S("content-")) == c.head.n, "OA-1 GET: no body");
	state.sent.count = COUNT_VLLM;
	heads(CALL_COUNT, "vllm", "/v1", "POST /tokenize");
	heads(CALL_COUNT, "vllm", "/a/v1", "POST /a/tokenize");
	state.sent.count = COUNT_ANTHROPIC;
	heads(CALL_COUNT, "llamacpp", "/v1", "POST /v1/messages/count_tokens");
	heads(CALL_COUNT, "llamacpp", "", "POST /v1/messages/count_tokens");
	state.sent.count = COUNT_TEMPLATE;
	heads(CALL_COUNT, "llamacpp", "/v1", "POST /apply-template");
	state.sent.count = COUNT_PROMPT;
	heads(CALL_COUNT, "llamacpp", "/v1", "POST /tokenize");
	state.sent.count = COUNT_OPENAI;
	heads(CALL_COUNT, "openai", "/v1", "POST /v1/responses/input_tokens");
	T(str_find(c.head, S("authorization: Bearer k\r\n")) < c.head.n,
	    "OA-125 with the key");
	state.sent.count = COUNT_GEMINI;
	head_model = S("a b\r\n");
	heads(CALL_COUNT, "gemini", "/v1beta/openai",
	    "POST /v1beta/models/a%20b%0D%0A:countTokens");
	T(str_find(c.head, S("x-goog-api-key: k\r\n")) < c.head.n &&
	    str_find(c.head, S("authorization")) == c.head.n,
	    "OA-125 the native endpoint's way to show it");
	head_model = S("models/g");
	heads(CALL_COUNT, "gemini", "/v1beta",
	    "POST /v1beta/models/g:countTokens");
	a = (struct arena){ head_room, head_room + 40 };
	T_INT(head(&c), E_FULL, "no room");
}

int main(void)
{
	test_detection();
	test_profiles();
	test_key();
	test_flags();
	test_all_flags();
	test_models();
	test_learned();
	test_kept();
	test_heads();
	return t_done("openai_config");
}
