/* bedrock_models.c -- names of models, inference profiles, what a model takes.
 *
 * Tables first: they are what changes when a model comes out. What the service
 * refused is remembered beside them, a few models at a time, in the upstream's
 * facts; it is never more than the tables would have said. An id that a person
 * wrote is never changed.
 *
 * Memory: the call's arena, for an id that gets its geography.
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock.h"
#include "../wire/sha256.h"

enum {
	ID_LIMIT = 2048,	/* bytes of a model id (BR-3) */
	NAME_SHOWN = 100,	/* of a client's name, in a message */
	LABEL_MAX = 63,		/* bytes of a region: one label of a host */
	TRIES_MAX = 4,		/* candidates: the first and three more (BR-13) */
	NEWEST = 999,		/* a version that isn't known */
	WINDOW_LONG = 1000000
};

/* ---- tables (sections 3.2, 3.3; AW-112) ---- */

enum { GLOBAL = 1, US = 2, EU = 4, APAC = 8, JP = 16, AU = 32, CA = 64,
	GOV = 128 };

static const struct {
	const char *name;
	unsigned bit;
} geographies[] = {
	{ "global", GLOBAL }, { "us", US }, { "eu", EU }, { "apac", APAC },
	{ "jp", JP }, { "au", AU }, { "ca", CA }, { "us-gov", GOV }
};

static const struct place {
	const char *region;	/* its beginning; the first that fits counts */
	unsigned own, other;
	int global;
} places[] = {
	{ "us-gov-", GOV, 0, 0 }, { "us-iso", 0, 0, 0 },
	{ "cn-", 0, 0, 0 }, { "eusc-", 0, 0, 0 },
	{ "us-", US, 0, 1 }, { "ca-", US, 0, 1 }, { "eu-", EU, 0, 1 },
	{ "ap-northeast-1", JP, APAC, 1 }, { "ap-northeast-3", JP, APAC, 1 },
	{ "ap-southeast-2", AU, APAC, 1 }, { "ap-southeast-4", AU, APAC, 1 },
	{ "ap-southeast-6", AU, APAC, 1 }, { "ap-", APAC, 0, 1 },
	{ "", 0, 0, 1 }
};

static const struct {
	const char *region, *suffix, *dual;
} partitions[] = {
	{ "us-isob-", "sc2s.sgov.gov", "api.aws.scloud" },
	{ "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov" },
	{ "us-iso-", "c2s.ic.gov", "api.aws.ic.gov" },
	{ "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk" },
	{ "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn" },
	{ "eusc-", "amazonaws.eu", "api.amazonwebservices.eu" },
	{ "", "amazonaws.com", "api.aws" }
};

/* Claude, newest first: the name at Anthropic's, the id here without its
 * geography, and the profiles that are known to exist. */
static const struct claude {
	const char *name, *id;
	unsigned profiles;
	int version;
	int64_t max_output;	/* 0: not known */
} claudes[] = {
	{ "claude-opus-5-5", "anthropic.claude-opus-5-5",
	    GLOBAL | US | JP, 55, 128000 },
	{ "claude-sonnet-5-5", "anthropic.claude-sonnet-5-5",
	    GLOBAL | US, 55, 128000 },
	{ "claude-haiku-5-5", "anthropic.claude-haiku-5-5",
	    GLOBAL | US, 55, 0 },
	{ "claude-fable-5-2", "anthropic.claude-fable-5-2", US, 52, 0 },
	{ "claude-fable-5-1", "anthropic.claude-fable-5-1", US, 51, 0 },
	{ "claude-fable-5", "anthropic.claude-fable-5", US, 50, 0 },
	{ "claude-opus-5", "anthropic.claude-opus-5",
	    GLOBAL | US, 50, 128000 },
	{ "claude-sonnet-5", "anthropic.claude-sonnet-5",
	    GLOBAL | US | EU, 50, 128000 },
	{ "claude-opus-4-8", "anthropic.claude-opus-4-8",
	    GLOBAL | US | EU, 48, 128000 },
	{ "claude-opus-4-7", "anthropic.claude-opus-4-7",
	    GLOBAL | US | EU, 47, 128000 },
	{ "claude-opus-4-6", "anthropic.claude-opus-4-6-v1",
	    GLOBAL | US | EU | JP | APAC, 46, 128000 },
	{ "claude-sonnet-4-6", "anthropic.claude-sonnet-4-6",
	    GLOBAL | US | EU | JP, 46, 64000 },
	{ "claude-opus-4-5", "anthropic.claude-opus-4-5-20251101-v1:0",
	    GLOBAL | US | EU, 45, 64000 },
	{ "claude-sonnet-4-5", "anthropic.claude-sonnet-4-5-20250929-v1:0",
	    GLOBAL | US | EU | JP | GOV, 45, 64000 },
	{ "claude-haiku-4-5", "anthropic.claude-haiku-4-5-20251001-v1:0",
	    GLOBAL | US | EU | JP, 45, 64000 },
	{ "claude-opus-4-1", "anthropic.claude-opus-4-1-20250805-v1:0",
	    US, 41, 32000 },
	{ "claude-opus-4-0", "anthropic.claude-opus-4-20250514-v1:0",
	    US, 40, 32000 },
	{ "claude-sonnet-4-0", "anthropic.claude-sonnet-4-20250514-v1:0",
	    GLOBAL | US | EU | APAC, 40, 64000 },
	{ "claude-3-7-sonnet-latest",
	    "anthropic.claude-3-7-sonnet-20250219-v1:0",
	    US | EU | APAC, 37, 128000 },
	{ "claude-3-5-haiku-latest",
	    "anthropic.claude-3-5-haiku-20241022-v1:0", US, 35, 8192 },
	{ "claude-3-haiku-20240307", "anthropic.claude-3-haiku-20240307-v1:0",
	    US | EU | APAC, 30, 4096 }
};

/* Other names of the same (3.2, BR-11). */
static const struct {
	const char *alias, *name;
} aliases[] = {
	{ "opus", "claude-opus-5-5" }, { "opusplan", "claude-opus-5-5" },
	{ "sonnet", "claude-sonnet-5-5" }, { "haiku", "claude-haiku-5-5" },
	{ "fable", "claude-fable-5" },
	{ "claude-opus-4-5-20251101", "claude-opus-4-5" },
	{ "claude-sonnet-4-5-20250929", "claude-sonnet-4-5" },
	{ "claude-haiku-4-5-20251001", "claude-haiku-4-5" },
	{ "claude-opus-4-1-20250805", "claude-opus-4-1" },
	{ "claude-opus-4-20250514", "claude-opus-4-0" },
	{ "claude-sonnet-4-20250514", "claude-sonnet-4-0" },
	{ "claude-3-7-sonnet-20250219", "claude-3-7-sonnet-latest" },
	{ "claude-3-7-sonnet", "claude-3-7-sonnet-latest" },
	{ "claude-3-5-haiku-20241022", "claude-3-5-haiku-latest" },
	{ "claude-3-5-haiku", "claude-3-5-haiku-latest" },
	{ "claude-3-haiku", "claude-3-haiku-20240307" }
};

static const char *const providers[] = {
	"anthropic", "amazon", "meta", "mistral", "deepseek", "openai", "qwen",
	"cohere", "ai21", "writer", "google", "nvidia", "moonshot",
	"moonshotai", "minimax", "zai"
};

/* What a Claude takes, by its version. */
static const struct {
	unsigned can;
	int from, to;
} claude_can[] = {
	{ CAN_TOOLS | CAN_TOOLS_STREAMED | CAN_CHOOSE_ANY | CAN_CHOOSE_TOOL |
	    CAN_SYSTEM | CAN_RESULT_STATUS | CAN_RESULT_MEDIA, 0, NEWEST },
	{ CAN_CACHE | CAN_CACHE_TOOLS, 35, NEWEST },
	{ CAN_CACHE_1H, 45, NEWEST },
	{ CAN_PREFILL, 0, 45 },
	{ CAN_SAMPLING, 0, 46 },
	{ CAN_TEMP_AND_TOP_P, 0, 40 },
	{ CAN_THINK, 37, NEWEST },
	{ CAN_EFFORT, 45, NEWEST },
	{ CAN_EFFORT_BETA, 45, 46 },
	{ CAN_STRICT, 45, 46 },		/* refused by 4.7 and later */
	{ CAN_COUNT, 35, 46 },
	{ CAN_VERSION_2026, 47, NEWEST },
	{ CAN_SYSTEM_TURNS, 55, NEWEST }
};

enum {
	PLAIN = CAN_SYSTEM | CAN_SAMPLING | CAN_TEMP_AND_TOP_P,
	TOOLED = PLAIN | CAN_TOOLS | CAN_TOOLS_STREAMED,
	NOVA = TOOLED | CAN_CHOOSE_ANY | CAN_CHOOSE_TOOL | CAN_RESULT_STATUS |
	    CAN_RESULT_MEDIA | CAN_CACHE
};

/* The others, by the beginning of the bare id; the first that fits counts. */
static const struct {
	const char *id;
	enum bedrock_family family;
	unsigned can;
	int64_t window, max_output;
} others[] = {
	{ "amazon.nova-2-", FAMILY_NOVA2, NOVA, WINDOW_LONG, 0 },
	{ "amazon.nova-premier", FAMILY_NOVA, NOVA, WINDOW_LONG, 10000 },
	{ "amazon.nova-micro", FAMILY_NOVA, NOVA, 128000, 10000 },
	{ "amazon.nova-", FAMILY_NOVA, NOVA, 300000, 10000 },
	{ "amazon.titan-", FAMILY_OTHER, CAN_SAMPLING | CAN_TEMP_AND_TOP_P,
	    0, 0 },
	{ "meta.llama2", FAMILY_LLAMA, PLAIN, 4096, 0 },
	{ "meta.llama3-8b", FAMILY_LLAMA, PLAIN, 8192, 0 },
	{ "meta.llama3-70b", FAMILY_LLAMA, PLAIN, 8192, 0 },
	{ "meta.llama3-", FAMILY_LLAMA, PLAIN | CAN_TOOLS, 128000, 0 },
	{ "meta.", FAMILY_LLAMA, PLAIN | CAN_TOOLS, 0, 0 },
	{ "mistral.mistral-7b", FAMILY_MISTRAL, PLAIN & ~CAN_SYSTEM, 32000,
	    0 },
	{ "mistral.mixtral", FAMILY_MISTRAL, PLAIN & ~CAN_SYSTEM, 32000, 0 },
	{ "mistral.mistral-large-2402", FAMILY_MISTRAL, TOOLED |
	    CAN_CHOOSE_ANY, 32000, 8192 },
	{ "mistral.mistral-large", FAMILY_MISTRAL, TOOLED | CAN_CHOOSE_ANY,
	    128000, 0 },
	{ "mistral.", FAMILY_MISTRAL, TOOLED, 0, 0 },
	{ "deepseek.r1", FAMILY_DEEPSEEK, PLAIN, 128000, 32768 },
	{ "deepseek.", FAMILY_DEEPSEEK, TOOLED, 0, 0 },
	{ "openai.gpt-oss-", FAMILY_GPT_OSS, TOOLED, 128000, 0 },
	{ "cohere.", FAMILY_COHERE, TOOLED, 128000, 4096 },
	{ "", FAMILY_OTHER, TOOLED, 0, 0 }
};

/* Betas that may be sent (BR-22); any other makes the whole request fail.
 * carries: the members that need it, so that both go or stay. */
static const struct {
	const char *flag, *as;
	int from, to;
	int converse;		/* there too */
	unsigned carries;
} betas[] = {
	{ "computer-use-2025-01-24", NULL, 0, NEWEST, 1, BETA_COMPUTER },
	{ "computer-use-2025-11-24", NULL, 0, NEWEST, 1, BETA_COMPUTER },
	{ "context-1m-2025-08-07", NULL, 0, NEWEST, 1, 0 },
	{ "context-management-2025-06-27", NULL, 0, NEWEST, 0, BETA_EDITS },
	{ "effort-2025-11-24", NULL, 0, NEWEST, 1, BETA_EFFORT },
	{ "interleaved-thinking-2025-05-14", NULL, 40, NEWEST, 1, 0 },
	{ "fine-grained-tool-streaming-2025-05-14", NULL, 0, NEWEST, 1, 0 },
	{ "tool-search-tool-2025-10-19", NULL, 0, NEWEST, 0, BETA_SEARCH },
	{ "advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19", 0,
	    NEWEST, 0, BETA_SEARCH },
	{ "tool-examples-2025-10-29", NULL, 0, NEWEST, 1, BETA_EXAMPLES },
	{ "compact-2026-01-12", NULL, 0, NEWEST, 0, BETA_EDITS },
	{ "thinking-binding-controls-2026-08-01", NULL, 0, NEWEST, 1, 0 },
	{ "thinking-display-updates-2026-08-18", NULL, 0, NEWEST, 1,
	    BETA_UPDATES },
	{ "mid-conversation-output-config-2026-07-01", NULL, 0, NEWEST, 1,
	    BETA_SYSTEM | BETA_TURNS },
	{ "mid-conversation-tool-changes-2026-07-01", NULL, 0, NEWEST, 1,
	    BETA_SYSTEM },
	{ "dangerous-tool-use-2026-09-03", NULL, 0, NEWEST, 1, 0 },
	{ "output-128k-2025-02-19", NULL, 37, 37, 1, 0 },
	{ "token-efficient-tools-2025-02-19", NULL, 37, 37, 1, 0 }
};

/* ---- regions ---- */

/* One label of a host name (AW-101). */
static int is_region(struct str s)
{
	size_t i;

	if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' ||
	    s.p[s.n - 1] == '-')
		return 0;
	for (i = 0; i < s.n; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '-')
			return 0;
	return 1;
}

struct str bedrock_arn_region(struct str id)
{
	struct str part = S("");
	int i;

	/* arn:aws:bedrock:REGION:ACCOUNT:... */
	if (!str_starts(id, S("arn:")))
		return S("");
	for (i = 0; i < 4; i++)
		if (!str_cut(&id, ':', &part))
			return S("");
	return is_region(part) && id.n ? part : S("");
}

void bedrock_host(struct buf *b, struct str region, int fips, int dualstack)
{
	size_t i = 0;

	while (!str_starts(region, str_of(partitions[i].region)))
		i++;
	buf_put(b, fips ? S("bedrock-runtime-fips.") : S("bedrock-runtime."));
	buf_put(b, region);
	buf_chr(b, '.');
	buf_put(b, str_of(dualstack ? partitions[i].dual :
	    partitions[i].suffix));
}

static struct str region_of(const struct call *c)
{
	return c->aws && c->aws->region.n ? c->aws->region : S("us-east-1");
}

static const struct place *place_of(struct str region)
{
	const struct place *p = places;

	while (!str_starts(region, str_of(p->region)))
		p++;
	return p;
}

/* ---- names ---- */

static unsigned geography_bit(struct str name)
{
	size_t i;

	for (i = 0; i < COUNT(geographies); i++)
		if (str_eq(name, str_of(geographies[i].name)))
			return geographies[i].bit;
	return 0;
}

static const char *geography_name(unsigned bit)
{
	size_t i = 0;

	while (geographies[i].bit != bit)
		i++;
	return geographies[i].name;
}

/* Without [1m]; *is_long: it was there. */
static struct str strip_long(struct str name, int *is_long)
{
	name = str_trim(name);
	*is_long = name.n > 4 && str_ieq(str_from(name, name.n - 4),
	    S("[1m]"));
	return *is_long ? str_trim(str_head(name, name.n - 4)) : name;
}

struct str bedrock_hidden(struct str id)
{
	int ignored;

	id = strip_long(id, &ignored);
	return bedrock_arn_region(id).n && str_find(id,
	    S(":application-inference-profile/")) < id.n ? id : S("");
}

static const struct claude *find_name(struct str name)
{
	size_t i;

	for (i = 0; i < COUNT(aliases); i++)
		if (str_ieq(name, str_of(aliases[i].alias)))
			name = str_of(aliases[i].name);
	for (i = 0; i < COUNT(claudes); i++)
		if (str_ieq(name, str_of(claudes[i].name)))
			return &claudes[i];
	return NULL;
}

static const struct claude *find_id(struct str bare)
{
	size_t i;

	for (i = 0; i < COUNT(claudes); i++)
		if (str_eq(bare, str_of(claudes[i].id)))
			return &claudes[i];
	return NULL;
}

static struct str drop_geography(struct str id)
{
	size_t dot = str_chr(id, '.');

	return dot < id.n && geography_bit(str_head(id, dot)) ?
	    str_from(id, dot + 1) : id;
}

/* BR-10, step 4. */
static int is_bedrock_id(struct str id)
{
	struct str bare = drop_geography(id);
	size_t dot = str_chr(bare, '.'), i;

	for (i = 0; dot < bare.n && i < COUNT(providers); i++)
		if (str_eq(str_head(bare, dot), str_of(providers[i])))
			return 1;
	return 0;
}

/* A number of one or two digits, up to the next dash; -1. */
static int small_number(struct str s)
{
	int v = 0;
	size_t i;

	if (s.n == 0 || s.n > 2)
		return -1;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

/* claude-opus-4-6-v1 is 46, claude-3-7-sonnet-20250219 is 37; 0: no telling. */
static int read_version(struct str name)
{
	struct str rest = str_from(name, str_find(name, S("claude"))), part;
	int major = -1, minor = -1;

	while (major < 0 && str_cut(&rest, '-', &part))
		major = small_number(part);
	if (major < 0)
		return 0;
	if (str_cut(&rest, '-', &part))
		minor = small_number(part);
	return major * 10 + (minor > 0 && minor < 10 ? minor : 0);
}

/* ---- what a model is ---- */

static int64_t claude_window(struct str name, int version, int is_long)
{
	if (version == 0 || version > 46)
		return str_find(name, S("haiku")) < name.n ? 0 : WINDOW_LONG;
	return is_long && version >= 40 ? WINDOW_LONG : 200000;
}

static void describe_claude(struct bedrock_model *m, struct str name,
    const struct claude *row)
{
	int version = row ? row->version : read_version(name);
	int v = version ? version : NEWEST;
	size_t i;

	m->family = FAMILY_CLAUDE;
	m->version = version;
	m->max_output = row ? row->max_output : 0;
	m->window = claude_window(name, version, m->long_context);
	for (i = 0; i < COUNT(claude_can); i++)
		if (v >= claude_can[i].from && v <= claude_can[i].to)
			m->can |= claude_can[i].can;
}

static void describe_other(struct bedrock_model *m, struct str bare)
{
	size_t i = 0;

	while (!str_starts(bare, str_of(others[i].id)))
		i++;
	m->family = others[i].family;
	m->can = others[i].can;
	m->window = others[i].window;
	m->max_output = others[i].max_output;
}

/* By m->id, which a person wrote, plain or an ARN (BR-2). An ARN that hides
 * its model is what somebody learned (c->aws->model); else it is asked by
 * Converse, which takes any, and BEDROCK_API=invoke says that it is a Claude:
 * then the client's own name tells which. */
static void describe(struct call *c, struct bedrock_model *m)
{
	const struct bedrock_facts *f = c->up->facts;
	struct str id = m->id, name;
	size_t slash;
	int known = c->aws && c->aws->model.n && bedrock_hidden(id).n;
	int ignored;

	if (known)
		id = c->aws->model;
	else if (str_starts(id, S("arn:")))
		while ((slash = str_chr(id, '/')) < id.n)
			id = str_from(id, slash + 1);
	id = drop_geography(id);
	if (!str_starts(m->id, S("arn:")) || known)
		m->bare = id;
	if (str_find(id, S("anthropic.claude")) < id.n) {
		describe_claude(m, id, find_id(id));
	} else if (f->opt.api == BEDROCK_INVOKE && !is_bedrock_id(id)) {
		name = c->req ? strip_long(c->req->model.raw, &ignored) :
		    S("");
		describe_claude(m, name, find_name(name));
	} else {
		describe_other(m, id);
	}
}

/* ---- resolution (BR-10..14) ---- */

/* Geographies to try, in this order; 0: the bare id. */
static int candidates(unsigned known, struct str region, struct str prefix,
    unsigned out[TRIES_MAX])
{
	const struct place *p = place_of(region);
	const unsigned wish[] = { p->own & known, p->global ? GLOBAL : 0,
	    p->own, p->other };
	unsigned seen = 0;
	size_t i;
	int n = 0;

	if (prefix.n && !str_eq(prefix, S("auto"))) {
		out[0] = geography_bit(prefix);
		return 1;
	}
	for (i = 0; i < COUNT(wish); i++)
		if (wish[i] & ~seen) {
			out[n++] = wish[i];
			seen |= wish[i];
		}
	out[n++] = 0;
	return n;
}

/* An id out of a table, under the candidate that is to be tried. */
static int add_geography(struct call *c, struct bedrock_model *m,
    unsigned known)
{
	const struct bedrock_facts *f = c->up->facts;
	unsigned list[TRIES_MAX];
	struct buf b;

	m->tries = candidates(known, region_of(c), f->opt.prefix, list);
	m->candidate = bedrock_learned(c)->candidate;
	if (m->candidate >= m->tries)
		m->candidate = 0;
	m->id = m->bare;
	if (!list[m->candidate])
		return OK;
	b = buf_open(c->a);
	buf_put(&b, str_of(geography_name(list[m->candidate])));
	buf_chr(&b, '.');
	buf_put(&b, m->bare);
	if (b.full)
		return E_FULL;
	m->id = buf_end(c->a, &b);
	return OK;
}

static int from_table(struct call *c, struct bedrock_model *m,
    struct str name)
{
	const struct claude *row = find_name(name);
	struct buf b;

	if (row) {
		m->bare = str_of(row->id);
	} else {
		b = buf_open(c->a);
		buf_put(&b, S("anthropic."));
		buf_put(&b, name);
		if (b.full)
			return E_FULL;
		m->bare = buf_end(c->a, &b);
		note(c->notes, NOTE_CHANGED, S("model"),
		    S("not in the table of models, its id is a guess"));
	}
	describe_claude(m, m->bare, row);
	return add_geography(c, m, row ? row->profiles : 0);
}

static int is_sendable(struct str id)
{
	size_t i;

	if (id.n == 0 || id.n > ID_LIMIT || str_eq(id, S(".")) ||
	    str_eq(id, S("..")))
		return 0;
	for (i = 0; i < id.n; i++)
		if ((unsigned char)id.p[i] <= ' ' || id.p[i] == 0x7f)
			return 0;
	return 1;
}

int bedrock_resolve(struct call *c, struct bedrock_model *m)
{
	const struct bedrock_learned *l;
	struct str name;
	int asked = 0, r = OK;

	*m = (struct bedrock_model){ .tries = 1 };
	name = strip_long(c->model, &m->long_context);
	if (c->req)
		strip_long(c->req->model.raw, &asked);
	m->long_context |= asked;
	if (!is_sendable(name)) {
		FAULT(&c->fault, 400, S("model: not a name that can be sent"));
		return E_FAULT;
	}
	m->id = m->bare = name;
	if (str_starts(name, S("arn:")) && !bedrock_arn_region(name).n) {
		FAULT(&c->fault, 400, S("model: the ARN names no region: "),
		    str_head(name, NAME_SHOWN));
		return E_FAULT;
	}
	if (str_starts(name, S("arn:")) || is_bedrock_id(name)) {
		describe(c, m);
	} else if (find_name(name) || str_istarts(name, S("claude-"))) {
		r = from_table(c, m, name);
	} else {
		FAULT(&c->fault, 404, S("model: "), str_head(name,
		    NAME_SHOWN));
		r = E_FAULT;
	}
	if (r != OK)
		return r;
	l = bedrock_learned(c);
	m->can &= ~l->lacks;
	if (str_starts(m->bare, S("arn:")))	/* BR-131 */
		m->can &= ~(unsigned)CAN_COUNT;
	m->betas = l->betas;
	m->news = l->news;
	if (l->max_tokens)
		m->max_output = l->max_tokens;
	return OK;
}

/* ---- what is learned ---- */

struct bedrock_learned *bedrock_learned(struct call *c)
{
	struct bedrock_facts *f = c->up->facts;
	struct bedrock_learned *l, *oldest = f->learned;
	unsigned char hash[SHA256_SIZE];
	char room[sizeof oldest->key];
	struct buf key = buf_on(room, sizeof room);
	struct str name;
	size_t i;
	int ignored;

	name = strip_long(c->model, &ignored);
	buf_put(&key, region_of(c));
	buf_chr(&key, ' ');
	buf_put(&key, name);
	if (key.full) {
		sha256(hash, name);
		key = buf_on(room, sizeof room);
		buf_put(&key, region_of(c));
		buf_chr(&key, ' ');
		buf_hex(&key, (struct str){ (const char *)hash, sizeof hash });
	}
	f->turn++;
	for (i = 0; i < LEARNED_MODELS; i++) {
		l = &f->learned[i];
		if (l->used && str_eq(buf_str(&key),
		    (struct str){ l->key, l->nkey })) {
			l->used = f->turn;
			return l;
		}
		if (l->used < oldest->used)
			oldest = l;
	}
	*oldest = (struct bedrock_learned){ .nkey = key.n, .used = f->turn };
	memcpy(oldest->key, room, key.n);
	return oldest;
}

/* ---- lists ---- */

int bedrock_list(struct call *c)
{
	const struct bedrock_facts *f = c->up->facts;
	const struct place *p = place_of(region_of(c));
	struct str prefix = f->opt.prefix;
	unsigned reach = p->own | p->other | (p->global ? GLOBAL : 0);
	size_t i;

	if (prefix.n && !str_eq(prefix, S("auto")))
		reach = geography_bit(prefix) ? geography_bit(prefix) : ~0u;
	c->nmodels = 0;
	c->models = arena_array(c->a, COUNT(claudes) + 1, sizeof *c->models);
	if (!c->models)
		return E_FULL;
	for (i = 0; i < COUNT(claudes); i++)
		if (claudes[i].profiles & reach)
			c->models[c->nmodels++] = str_of(claudes[i].name);
	if (c->up->model.n && !find_name(c->up->model))
		c->models[c->nmodels++] = c->up->model;
	return OK;
}

/* The operator's word about a flag: '+', '-' or 0. */
static char by_hand(struct str list, struct str flag)
{
	struct str part;
	char word = 0;

	while (str_cut(&list, ',', &part)) {
		part = str_trim(part);
		if (part.n > 1 && str_eq(str_from(part, 1), flag))
			word = part.p[0];
	}
	return word;
}

int bedrock_beta(const struct call *c, const struct bedrock_model *m,
    int converse, struct str flag, struct str *as)
{
	const struct bedrock_facts *f = c->up->facts;
	int v = m->version ? m->version : NEWEST;
	unsigned carries = 0;
	int known = 0;
	size_t i;
	char word;

	*as = flag;
	for (i = 0; i < COUNT(betas); i++) {
		if (!str_eq(flag, str_of(betas[i].flag)))
			continue;
		if (betas[i].as)
			*as = str_of(betas[i].as);
		carries = betas[i].carries;
		known = v >= betas[i].from && v <= betas[i].to &&
		    (!converse || betas[i].converse);
	}
	word = by_hand(f->opt.betas, *as);
	if (word == '-' || (word != '+' && !known))
		return 0;
	/* Refused once: what no member needs goes, then all (BR-25). */
	if (m->betas == 2 || (m->betas == 1 && !carries))
		return 0;
	return (int)(BETA_SENT | carries);
}
