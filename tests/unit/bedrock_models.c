/* bedrock_models.c -- tests of names, profiles, abilities and betas.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/bedrock_models.c"
#include "../invoke.h"

static struct world w;
static struct bedrock_model m;

/* The id that a name gets in a region. */
static struct str id_of(const char *name, const char *region)
{
	int r;

	w.aws.region = str_of(region);
	world_call(&w, S(""), CALL_MESSAGES);
	w.c.model = str_of(name);
	r = bedrock_resolve(&w.c, &m);
	return r == OK ? m.id : r == E_FAULT ? world_fault(&w) : S("?");
}

static void forget(void)
{
	memset(&w.facts, 0, sizeof w.facts);
}

static void test_names(void)
{
	static const struct {
		const char *name, *id;
	} cases[] = {
		{ "claude-opus-5-5", "us.anthropic.claude-opus-5-5" },
		{ "Claude-Sonnet-5-5", "us.anthropic.claude-sonnet-5-5" },
		{ "claude-opus-4-6", "us.anthropic.claude-opus-4-6-v1" },
		{ "claude-sonnet-4-6", "us.anthropic.claude-sonnet-4-6" },
		{ "claude-haiku-4-5-20251001",
		    "us.anthropic.claude-haiku-4-5-20251001-v1:0" },
		{ "claude-opus-4-20250514",
		    "us.anthropic.claude-opus-4-20250514-v1:0" },
		{ "claude-3-7-sonnet-latest",
		    "us.anthropic.claude-3-7-sonnet-20250219-v1:0" },
		{ "opus", "us.anthropic.claude-opus-5-5" },
		{ "opusplan", "us.anthropic.claude-opus-5-5" },
		{ "sonnet", "us.anthropic.claude-sonnet-5-5" },
		{ "haiku", "us.anthropic.claude-haiku-5-5" },
		{ "fable", "us.anthropic.claude-fable-5" },
		{ " opus[1M] ", "us.anthropic.claude-opus-5-5" },
		/* As they are. */
		{ "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
		    "eu.anthropic.claude-sonnet-4-5-20250929-v1:0" },
		{ "anthropic.claude-opus-5-5", "anthropic.claude-opus-5-5" },
		{ "us-gov.anthropic.claude-3-haiku-20240307-v1:0",
		    "us-gov.anthropic.claude-3-haiku-20240307-v1:0" },
		{ "amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0" },
		{ "us.deepseek.r1-v1:0", "us.deepseek.r1-v1:0" },
		{ "openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b-1:0" },
		/* A version that isn't in the table. */
		{ "claude-opus-6", "global.anthropic.claude-opus-6" },
		/* Nothing of ours. */
		{ "gpt-5", "404 not_found_error model: gpt-5" },
		{ "xx.anthropic.claude", "404 not_found_error model: "
		    "xx.anthropic.claude" },
		{ "", "400 invalid_request_error model: not a name that can "
		    "be sent" },
		{ "..", "400 invalid_request_error model: not a name that can "
		    "be sent" },
		{ "a b", "400 invalid_request_error model: not a name that can "
		    "be sent" }
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		forget();
		T_STR(id_of(cases[i].name, "us-east-1"), str_of(cases[i].id),
		    "BR-3, BR-10, BR-11 \"%s\"", cases[i].name);
	}
	id_of("opus[1m]", "us-east-1");
	T_INT(m.long_context, 1, "BR-10 [1m] is remembered");
	id_of("claude-opus-6", "us-east-1");
	T(world_noted(&w, "model"), "BR-10 an unknown version is said");
	/* Every row and every alias leads somewhere. */
	for (i = 0; i < COUNT(aliases); i++)
		T(find_name(str_of(aliases[i].name)) != NULL, "%s",
		    aliases[i].alias);
	for (i = 0; i < COUNT(claudes); i++)
		T_INT(read_version(str_of(claudes[i].id)),
		    claudes[i].version, "%s", claudes[i].id);
}

static void test_geographies(void)
{
	static const struct {
		const char *name, *region, *ids[TRIES_MAX + 1];
	} cases[] = {
		{ "claude-sonnet-4-5", "us-west-2", { "us.", "global.", "" } },
		{ "claude-sonnet-4-5", "ca-central-1", { "us.", "global.",
		    "" } },
		{ "claude-sonnet-4-5", "eu-west-3", { "eu.", "global.", "" } },
		{ "claude-sonnet-4-5", "ap-northeast-1", { "jp.", "global.",
		    "apac.", "" } },
		{ "claude-sonnet-4-5", "ap-southeast-2", { "global.", "au.",
		    "apac.", "" } },
		{ "claude-sonnet-4-5", "ap-south-1", { "global.", "apac.",
		    "" } },
		{ "claude-sonnet-4-5", "sa-east-1", { "global.", "" } },
		{ "claude-sonnet-4-5", "me-central-1", { "global.", "" } },
		{ "claude-sonnet-4-5", "us-gov-west-1", { "us-gov.", "" } },
		{ "claude-fable-5", "eu-west-1", { "global.", "eu.", "" } },
		{ "claude-sonnet-4-0", "ap-south-1", { "apac.", "global.",
		    "" } }
	};
	size_t i, k, n;
	struct str id;

	for (i = 0; i < COUNT(cases); i++) {
		forget();
		id_of(cases[i].name, cases[i].region);
		for (n = 1; cases[i].ids[n - 1][0]; n++)
			continue;
		T_INT(m.tries, n, "BR-12, BR-13 %s: candidates",
		    cases[i].region);
		for (k = 0; k < n; k++) {
			bedrock_learned(&w.c)->candidate = (int)k;
			id = id_of(cases[i].name, cases[i].region);
			T(str_starts(id, str_of(cases[i].ids[k])) &&
			    str_eq(str_from(id, strlen(cases[i].ids[k])),
			    m.bare) && m.candidate == (int)k,
			    "BR-13 %s, %zu: %.*s", cases[i].region, k,
			    (int)id.n, id.p);
		}
	}
	forget();
	w.facts.opt.prefix = S("global");
	T_STR(id_of("opus", "us-east-1"),
	    S("global.anthropic.claude-opus-5-5"), "BR-13 a fixed prefix");
	T_INT(m.tries, 1, "BR-13 is not left");
	w.facts.opt.prefix = S("none");
	T_STR(id_of("opus", "us-east-1"), S("anthropic.claude-opus-5-5"),
	    "BR-13 none");
	w.facts.opt.prefix = S("auto");
	bedrock_learned(&w.c)->candidate = 9;
	T_STR(id_of("opus", "us-east-1"), S("us.anthropic.claude-opus-5-5"),
	    "BR-13 auto");
	id_of("us.anthropic.claude-opus-5-5", "us-east-1");
	T_INT(m.tries, 1, "BR-13 what a person wrote is not changed");
}

#define PROFILE "arn:aws:bedrock:us-west-2:123456789012:inference-profile/" \
	"us.anthropic.claude-opus-4-5-20251101-v1:0"
#define OPAQUE "arn:aws:bedrock:eu-west-1:123456789012:" \
	"application-inference-profile/abc123"

static void test_arns(void)
{
	static const struct {
		const char *id, *region;
	} cases[] = {
		{ PROFILE, "us-west-2" }, { OPAQUE, "eu-west-1" },
		{ "arn:aws-us-gov:bedrock:us-gov-west-1:1:x/y",
		    "us-gov-west-1" },
		{ "arn:aws:bedrock:us-east-1::foundation-model/x",
		    "us-east-1" },
		{ "arn:aws:bedrock::1:x/y", "" },
		{ "arn:aws:bedrock:us-east-1", "" },
		{ "arn:aws:bedrock:evil.example/x:1:x/y", "" },
		{ "arn:aws:bedrock:-us:1:x/y", "" },
		{ "us.anthropic.claude-opus-5-5", "" }, { "", "" }
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++)
		T_STR(bedrock_arn_region(str_of(cases[i].id)),
		    str_of(cases[i].region), "AW-100, AW-101 %s",
		    cases[i].id);
	forget();
	T_STR(id_of(PROFILE, "us-east-1"), S(PROFILE), "BR-10 as it is");
	T_INT(m.family, FAMILY_CLAUDE, "BR-2");
	T_INT(m.version, 45, "BR-2 its version");
	T_STR(m.bare, S(PROFILE), "BR-131 no bare id");
	id_of(OPAQUE, "us-east-1");
	T_INT(m.family, FAMILY_OTHER, "BR-2 opaque: Converse");
	T_STR(bedrock_hidden(S(OPAQUE "[1m]")), S(OPAQUE), "BR-2 to be asked");
	T_INT(bedrock_hidden(S(PROFILE)).n, 0, "BR-2 this one says it");
	T_INT(bedrock_hidden(S("claude-opus-5-5")).n, 0, "BR-2 no ARN");
	w.aws.model = S("anthropic.claude-opus-4-5-20251101-v1:0");
	T_STR(id_of(OPAQUE, "us-east-1"), S(OPAQUE), "BR-2 called by its ARN");
	T_INT(m.family, FAMILY_CLAUDE, "BR-2 as the model that it hides");
	T_INT(m.version, 45, "BR-2 with its abilities");
	T_STR(m.bare, w.aws.model, "BR-131 and counted by its name");
	id_of(PROFILE, "us-east-1");
	T_STR(m.bare, S(PROFILE), "BR-2 which says nothing of others");
	w.aws.model = S("");
	w.facts.opt.api = BEDROCK_INVOKE;
	id_of(OPAQUE, "us-east-1");
	T_INT(m.family, FAMILY_CLAUDE, "BR-2 unless told");
	T_INT(m.version, 0, "BR-2 the newest");
	world_call(&w, S("{\"model\":\"claude-opus-4-1[1m]\",\"max_tokens\":1,"
	    "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"),
	    CALL_MESSAGES);
	w.c.model = S(OPAQUE);
	bedrock_resolve(&w.c, &m);
	T_INT(m.version, 41, "BR-2 or what the client calls it");
	T_INT(m.long_context, 1, "BR-14 asked for by the client");
	T(str_starts(id_of("arn:aws:bedrock:evil.example/:1:x/y",
	    "us-east-1"), S("400 ")), "AW-101 no host out of a model's name");
	forget();
}

static void test_hosts(void)
{
	static const struct {
		const char *region, *host;
		int fips, dual;
	} cases[] = {
		{ "us-east-1", "bedrock-runtime.us-east-1.amazonaws.com", 0,
		    0 },
		{ "us-east-1", "bedrock-runtime-fips.us-east-1.amazonaws.com",
		    1, 0 },
		{ "eu-west-1", "bedrock-runtime.eu-west-1.api.aws", 0, 1 },
		{ "eu-west-1", "bedrock-runtime-fips.eu-west-1.api.aws", 1,
		    1 },
		{ "us-gov-west-1",
		    "bedrock-runtime.us-gov-west-1.amazonaws.com", 0, 0 },
		{ "cn-north-1", "bedrock-runtime.cn-north-1.amazonaws.com.cn",
		    0, 0 },
		{ "cn-north-1", "bedrock-runtime.cn-north-1."
		    "api.amazonwebservices.com.cn", 0, 1 },
		{ "eusc-de-east-1",
		    "bedrock-runtime.eusc-de-east-1.amazonaws.eu", 0, 0 },
		{ "us-iso-east-1", "bedrock-runtime.us-iso-east-1.c2s.ic.gov",
		    0, 0 },
		{ "us-isob-east-1",
		    "bedrock-runtime.us-isob-east-1.sc2s.sgov.gov", 0, 0 },
		{ "us-isof-south-1",
		    "bedrock-runtime.us-isof-south-1.csp.hci.ic.gov", 0, 0 },
		{ "eu-isoe-west-1",
		    "bedrock-runtime.eu-isoe-west-1.cloud.adc-e.uk", 0, 0 },
		{ "eu-isoe-west-1",
		    "bedrock-runtime.eu-isoe-west-1.api.cloud-aws.adc-e.uk",
		    0, 1 },
		{ "xx-new-1", "bedrock-runtime.xx-new-1.amazonaws.com", 0, 0 }
	};
	char room[200];
	struct buf b;
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		b = buf_on(room, sizeof room);
		bedrock_host(&b, str_of(cases[i].region), cases[i].fips,
		    cases[i].dual);
		T_STR(buf_str(&b), str_of(cases[i].host), "AW-112 %s",
		    cases[i].region);
	}
}

static void test_abilities(void)
{
	static const struct {
		const char *id;
		enum bedrock_family family;
		unsigned with, without;
	} cases[] = {
		{ "claude-3-haiku-20240307", FAMILY_CLAUDE, CAN_TOOLS |
		    CAN_PREFILL | CAN_SAMPLING | CAN_TEMP_AND_TOP_P, CAN_CACHE |
		    CAN_THINK | CAN_EFFORT | CAN_COUNT },
		{ "claude-3-7-sonnet", FAMILY_CLAUDE, CAN_CACHE | CAN_THINK |
		    CAN_COUNT, CAN_CACHE_1H | CAN_EFFORT | CAN_STRICT },
		{ "claude-haiku-4-5", FAMILY_CLAUDE, CAN_CACHE_1H |
		    CAN_EFFORT | CAN_EFFORT_BETA | CAN_STRICT | CAN_PREFILL,
		    CAN_TEMP_AND_TOP_P | CAN_VERSION_2026 },
		{ "claude-opus-4-6", FAMILY_CLAUDE, CAN_SAMPLING | CAN_COUNT,
		    CAN_PREFILL },
		{ "claude-opus-4-7", FAMILY_CLAUDE, CAN_VERSION_2026 |
		    CAN_EFFORT, CAN_SAMPLING | CAN_STRICT | CAN_COUNT |
		    CAN_EFFORT_BETA | CAN_SYSTEM_TURNS },
		{ "claude-zeta", FAMILY_CLAUDE, CAN_VERSION_2026 |
		    CAN_SYSTEM_TURNS, CAN_SAMPLING | CAN_COUNT },
		{ "us.amazon.nova-2-lite-v1:0", FAMILY_NOVA2, CAN_TOOLS |
		    CAN_CHOOSE_TOOL | CAN_CACHE, CAN_CACHE_TOOLS |
		    CAN_CACHE_1H },
		{ "amazon.nova-micro-v1:0", FAMILY_NOVA, CAN_RESULT_STATUS,
		    CAN_THINK },
		{ "us.meta.llama3-3-70b-instruct-v1:0", FAMILY_LLAMA,
		    CAN_TOOLS, CAN_TOOLS_STREAMED | CAN_RESULT_MEDIA },
		{ "meta.llama3-8b-instruct-v1:0", FAMILY_LLAMA, CAN_SYSTEM,
		    CAN_TOOLS },
		{ "mistral.mistral-large-2402-v1:0", FAMILY_MISTRAL,
		    CAN_CHOOSE_ANY, CAN_CHOOSE_TOOL | CAN_RESULT_STATUS },
		{ "mistral.mixtral-8x7b-instruct-v0:1", FAMILY_MISTRAL, 0,
		    CAN_SYSTEM | CAN_TOOLS },
		{ "us.deepseek.r1-v1:0", FAMILY_DEEPSEEK, CAN_SYSTEM,
		    CAN_TOOLS },
		{ "openai.gpt-oss-120b-1:0", FAMILY_GPT_OSS, CAN_TOOLS,
		    CAN_CACHE },
		{ "cohere.command-r-plus-v1:0", FAMILY_COHERE, CAN_TOOLS, 0 },
		{ "qwen.qwen3-coder-480b-a35b-v1:0", FAMILY_OTHER, CAN_TOOLS,
		    CAN_CHOOSE_ANY }
	};
	size_t i;

	forget();
	for (i = 0; i < COUNT(cases); i++) {
		id_of(cases[i].id, "us-east-1");
		T_INT(m.family, cases[i].family, "BR-2 %s", cases[i].id);
		T_INT(m.can & cases[i].with, cases[i].with, "%s can",
		    cases[i].id);
		T_INT(m.can & cases[i].without, 0, "%s can't", cases[i].id);
	}
	id_of("claude-sonnet-4-5", "us-east-1");
	T_INT(m.window, 200000, "BR-14 window");
	id_of("claude-sonnet-4-5[1m]", "us-east-1");
	T_INT(m.window, 1000000, "BR-14 long");
	id_of("opus", "us-east-1");
	T_INT(m.window, 1000000, "BR-14 newer ones have it");
	id_of("claude-opus-4-1", "us-east-1");
	bedrock_learned(&w.c)->lacks = CAN_CACHE;
	bedrock_learned(&w.c)->max_tokens = 1234;
	bedrock_learned(&w.c)->betas = 1;
	id_of("claude-opus-4-1[1m]", "us-east-1");
	T_INT(m.can & CAN_CACHE, 0, "BR-25 less what was learned");
	T_INT(m.max_output, 1234, "BR-25 a limit that was learned");
	T_INT(m.betas, 1, "BR-25 betas");
	id_of("claude-opus-4-1", "us-west-2");
	T(m.can & CAN_CACHE, "BR-25 learned for one region");
}

static void test_learned(void)
{
	char name[400];
	struct bedrock_learned *l;
	int i;

	forget();
	world_call(&w, S(""), CALL_MESSAGES);
	for (i = 0; i < LEARNED_MODELS + 3; i++) {
		snprintf(name, sizeof name, "claude-%d", i);
		w.c.model = str_of(name);
		l = bedrock_learned(&w.c);
		T_INT(l->max_tokens, 0, "a new one knows nothing");
		l->max_tokens = i + 1;
		w.c.model = S("claude-0");
		T_INT(bedrock_learned(&w.c)->max_tokens, 1,
		    "what is used stays");
	}
	w.c.model = S("claude-1");
	T_INT(bedrock_learned(&w.c)->max_tokens, 0, "the oldest went");
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	w.c.model = str_of(name);
	bedrock_learned(&w.c)->max_tokens = 5;
	T_INT(bedrock_learned(&w.c)->max_tokens, 5, "a long name");
	name[399 - 1] = 'b';
	T_INT(bedrock_learned(&w.c)->max_tokens, 0, "another long name");
	w.c.aws = NULL;
	w.c.model = S("x");
	l = bedrock_learned(&w.c);
	T_STR(((struct str){ l->key, l->nkey }), S("us-east-1 x"),
	    "without credentials");
}

static int listed(const char *name)
{
	size_t i;

	for (i = 0; i < w.c.nmodels; i++)
		if (str_eq(w.c.models[i], str_of(name)))
			return 1;
	return 0;
}

static void list(const char *region)
{
	w.aws.region = str_of(region);
	world_call(&w, S(""), CALL_MODELS);
	T_INT(bedrock_list(&w.c), OK, "BR-140 %s", region);
}

static void test_list(void)
{
	forget();
	list("us-east-1");
	T_INT(w.c.nmodels, COUNT(claudes), "BR-140 all");
	T_STR(w.c.models[0], S("claude-opus-5-5"), "BR-140 newest first");
	list("eu-west-1");
	T(listed("claude-opus-5-5") && !listed("claude-fable-5"),
	    "BR-140 only what is reachable");
	list("us-gov-east-1");
	T(listed("claude-sonnet-4-5") && !listed("claude-opus-5-5"),
	    "BR-140 GovCloud");
	w.facts.opt.prefix = S("jp");
	list("us-east-1");
	T(listed("claude-haiku-4-5") && !listed("claude-sonnet-5-5"),
	    "BR-140 a fixed geography");
	w.facts.opt.prefix = S("");
	w.up.model = S("amazon.nova-pro-v1:0");
	list("us-east-1");
	T(listed("amazon.nova-pro-v1:0"), "BR-140 and the pinned one");
	w.up.model = S("");
	w.room = 64;
	world_call(&w, S(""), CALL_MODELS);
	T_INT(bedrock_list(&w.c), E_FULL, "no room");
	w.c.model = S("opus");
	w.a.end = w.a.cur + 8;
	T_INT(bedrock_resolve(&w.c, &m), E_FULL, "no room for an id");
	w.c.model = S("claude-next");
	T_INT(bedrock_resolve(&w.c, &m), E_FULL, "no room for a guess");
	w.room = 0;
}

static int beta(const char *flag, int converse)
{
	struct str as;

	return bedrock_beta(&w.c, &m, converse, str_of(flag), &as);
}

static void test_betas(void)
{
	struct str as;

	forget();
	id_of("claude-sonnet-4-5", "us-east-1");
	T(beta("interleaved-thinking-2025-05-14", 0), "BR-22 passes");
	T(beta("context-management-2025-06-27", 0), "BR-22 passes");
	T(!beta("context-management-2025-06-27", 1), "not on Converse");
	T(!beta("claude-code-20250219", 0), "BR-22 dropped");
	T(!beta("oauth-2025-04-20", 0), "BR-22 dropped");
	T(!beta("unheard-of-2030-01-01", 0), "BR-22 unknown: dropped");
	T(!beta("output-128k-2025-02-19", 0), "BR-22 3.7 only");
	T(bedrock_beta(&w.c, &m, 0, S("advanced-tool-use-2025-11-20"), &as) &
	    BETA_SEARCH, "BR-22 renamed");
	T_STR(as, S("tool-search-tool-2025-10-19"), "BR-22 renamed");
	w.facts.opt.betas = S("-effort-2025-11-24, +new-flag-1");
	T(!beta("effort-2025-11-24", 0), "BR-22 taken out by hand");
	T_INT(beta("new-flag-1", 0), BETA_SENT, "BR-22 let in by hand");
	w.facts.opt.betas = S("");
	m.betas = 1;
	T(beta("effort-2025-11-24", 0), "BR-25 a member needs it");
	T(!beta("interleaved-thinking-2025-05-14", 0), "BR-25 none does");
	m.betas = 2;
	T(!beta("effort-2025-11-24", 0), "BR-25 none at all");
	id_of("claude-3-7-sonnet", "us-east-1");
	T(beta("output-128k-2025-02-19", 0), "BR-22 3.7");
	T(!beta("interleaved-thinking-2025-05-14", 0), "BR-22 Claude 4 on");
}

int main(void)
{
	test_names();
	test_geographies();
	test_arns();
	test_hosts();
	test_abilities();
	test_learned();
	test_list();
	test_betas();
	return t_done("bedrock_models");
}
