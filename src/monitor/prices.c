/* prices.c -- the built-in table, the owner's own, and a sum.
 *
 * Whole numbers throughout: 10^-12 USD a token is 10^-6 USD a million, so the
 * table's 10^-4 USD a million are 100 of them.
 *
 * SPDX-License-Identifier: MIT */
#include "prices.h"

enum { UNIT = 100, NO = -1 };

/* Public list prices as of that day. */
static const char table_date[] = "2026-10-09";

static const struct {
	const char *provider, *model;
	struct price price;
} table[] = {
#define ROW(who, model, in, out, read, w5, w1) \
	{ who, model, { in, out, read, w5, w1, 0, 0, 0, 0 } }
#define CLAUDE(model, in, out, read) \
	{ "anthropic", model, { in, out, read, (in) * 5 / 4, (in) * 2, 0, 0, \
	    0, 0 } }
	CLAUDE("claude-fable-5-1", 100000, 500000, 2500),
	CLAUDE("claude-fable-5", 100000, 500000, 10000),
	CLAUDE("claude-opus-5-5", 40000, 200000, 2000),
	CLAUDE("claude-opus-5", 50000, 250000, 5000),
	CLAUDE("claude-opus-4-8", 50000, 250000, 5000),
	CLAUDE("claude-opus-4-7", 50000, 250000, 5000),
	CLAUDE("claude-opus-4-6", 50000, 250000, 5000),
	CLAUDE("claude-opus-4-5", 50000, 250000, 5000),
	CLAUDE("claude-opus-4-1", 150000, 750000, 15000),
	CLAUDE("claude-opus-4", 150000, 750000, 15000),
	CLAUDE("claude-sonnet-5-5", 20000, 100000, 2000),
	CLAUDE("claude-sonnet-5", 20000, 100000, 2000),
	CLAUDE("claude-sonnet-4-6", 30000, 150000, 3000),
	{ "anthropic", "claude-sonnet-4-5", { 30000, 150000, 3000, 37500,
	    60000, 200000, 60000, 225000, 6000 } },
	{ "anthropic", "claude-sonnet-4", { 30000, 150000, 3000, 37500,
	    60000, 200000, 60000, 225000, 6000 } },
	CLAUDE("claude-3-7-sonnet", 30000, 150000, 3000),
	{ "anthropic", "claude-haiku-5-5", { 1000, 5000, 100, 1250, 2000,
	    100000, 5000, 25000, 500 } },
	CLAUDE("claude-haiku-4-5", 10000, 50000, 1000),
	CLAUDE("claude-3-5-haiku", 8000, 40000, 800),
#undef CLAUDE
#define GPT(model, in, out, read) \
	ROW("openai", model, in, out, read, NO, NO)
	GPT("gpt-5.5", 50000, 300000, 5000),
	GPT("gpt-5.4", 25000, 150000, 2500),
	GPT("gpt-5.4-mini", 7500, 45000, 750),
	GPT("gpt-5.4-nano", 2000, 12500, 200),
	GPT("gpt-5.3-codex", 17500, 140000, 1750),
	GPT("gpt-5.2", 17500, 140000, 1750),
	GPT("gpt-5.2-codex", 17500, 140000, 1750),
	GPT("gpt-5.1", 12500, 100000, 1250),
	GPT("gpt-5.1-codex", 12500, 100000, 1250),
	GPT("gpt-5.1-codex-max", 12500, 100000, 1250),
	GPT("gpt-5.1-codex-mini", 2500, 20000, 250),
	GPT("gpt-5", 12500, 100000, 1250),
	GPT("gpt-5-codex", 12500, 100000, 1250),
	GPT("gpt-5-mini", 2500, 20000, 250),
	GPT("gpt-5-nano", 500, 4000, 50),
	GPT("gpt-4.1", 20000, 80000, 5000),
	GPT("gpt-4.1-mini", 4000, 16000, 1000),
	GPT("gpt-4.1-nano", 1000, 4000, 250),
	GPT("gpt-4o", 25000, 100000, 12500),
	GPT("gpt-4o-mini", 1500, 6000, 750),
	GPT("o4-mini", 11000, 44000, 2750),
	GPT("o3", 20000, 80000, 5000),
#undef GPT
	{ "gcp.gemini", "gemini-3.1-pro-preview", { 20000, 120000, 2000, NO,
	    NO, 200000, 40000, 180000, 4000 } },
	{ "gcp.gemini", "gemini-3-pro-preview", { 20000, 120000, 2000, NO,
	    NO, 200000, 40000, 180000, 4000 } },
	ROW("gcp.gemini", "gemini-3-flash-preview", 5000, 30000, 500, NO, NO),
	{ "gcp.gemini", "gemini-2.5-pro", { 12500, 100000, 1250, NO, NO,
	    200000, 25000, 150000, 2500 } },
	ROW("gcp.gemini", "gemini-2.5-flash", 3000, 25000, 300, NO, NO),
	ROW("gcp.gemini", "gemini-2.5-flash-lite", 1000, 4000, 100, NO, NO)
#undef ROW
};

const struct price *prices_at(size_t i, struct str *provider,
    struct str *model)
{
	if (i >= COUNT(table))
		return NULL;
	*provider = str_of(table[i].provider);
	*model = str_of(table[i].model);
	return &table[i].price;
}

/* ---- names ------------------------------------------------------------ */

static size_t digits_at_end(struct str s)
{
	size_t n = 0;

	while (n < s.n && s.p[s.n - 1 - n] >= '0' && s.p[s.n - 1 - n] <= '9')
		n++;
	return n;
}

/* -20250929 or -2025-08-07 */
static struct str without_date(struct str s)
{
	size_t n = digits_at_end(s);

	if (n == 8 && s.n > 9 && s.p[s.n - 9] == '-')
		return str_head(s, s.n - 9);
	if (n == 2 && s.n > 11 && s.p[s.n - 3] == '-' &&
	    digits_at_end(str_head(s, s.n - 3)) == 2 && s.p[s.n - 6] == '-' &&
	    digits_at_end(str_head(s, s.n - 6)) == 4 && s.p[s.n - 11] == '-')
		return str_head(s, s.n - 11);
	return s;
}

/* Bedrock's us.anthropic.claude-...-v1:0 is the model that its maker calls
 * claude-... */
static struct str bedrock_model(struct str s)
{
	size_t at = str_find(s, S("anthropic.")), n;

	if (at == s.n)
		return S("");
	s = str_from(s, at + 10);
	n = str_find(s, S("-v"));
	while (n < s.n && !(s.p[n + 2] >= '0' && s.p[n + 2] <= '9'))
		n += 2 + str_find(str_from(s, n + 2), S("-v"));
	return str_head(s, n);
}

static struct str without_window(struct str s)
{
	return str_ends(s, S("[1m]")) ? str_head(s, s.n - 4) : s;
}

/* ---- finding ---------------------------------------------------------- */

static const struct price *find_own(const struct prices *p,
    struct str provider, struct str model)
{
	size_t i, k;

	for (k = 0; p && k < 2; k++)
		for (i = 0; i < p->n; i++) {
			struct str name = { p->own[i].name, p->own[i].n };

			if (k == 1 ? str_eq(name, model) :
			    name.n == provider.n + 1 + model.n &&
			    str_starts(name, provider) &&
			    name.p[provider.n] == '/' &&
			    str_ends(name, model))
				return &p->own[i].price;
		}
	return NULL;
}

static const struct price *find_listed(struct str provider, struct str model)
{
	size_t i;

	if (str_eq(provider, S("aws.bedrock"))) {
		provider = S("anthropic");
		model = bedrock_model(model);
	}
	/* Nearly all end at the first byte. */
	for (i = 0; i < COUNT(table); i++)
		if (model.n && *model.p == *table[i].model &&
		    str_eq(model, str_of(table[i].model)) &&
		    str_eq(provider, str_of(table[i].provider)))
			return &table[i].price;
	return NULL;
}

const struct price *prices_find(const struct prices *p, struct str provider,
    struct str model, const char **date)
{
	const struct price *found;
	struct str tries[2];
	size_t i;

	tries[0] = without_window(model);
	tries[1] = without_date(tries[0]);
	*date = "file";
	for (i = 0; i < 2; i++)
		if ((found = find_own(p, provider, tries[i])) != NULL)
			return found;
	*date = table_date;
	for (i = 0; i < 2; i++)
		if ((found = find_listed(provider, tries[i])) != NULL)
			return found;
	if (str_eq(provider, S("aws.bedrock")))
		found = find_listed(S("anthropic"),
		    without_date(bedrock_model(tries[0])));
	if (!found)
		*date = NULL;
	return found;
}

/* ---- sums ------------------------------------------------------------- */

static int add(int64_t *sum, int64_t tokens, int64_t rate)
{
	if (tokens <= 0)
		return 1;
	/* Beyond this nothing real is billed; below it nothing overflows. */
	if (rate < 0 || tokens > (int64_t)1 << 32)
		return 0;
	*sum += tokens * rate * UNIT;
	return 1;
}

int64_t price_of(const struct price *p, const struct usage *u)
{
	int64_t in = p->input, out = p->output, read = p->read;
	int64_t w5 = p->write_5m, w1 = p->write_1h, sum = 0;
	int64_t all = u->input + u->cache_read + u->cache_write;

	if (p->above && all > p->above) {
		in = p->input2;
		out = p->output2;
		read = p->read2;
		/* A write costs the same multiple of the input. */
		w5 = p->input > 0 ? w5 * in / p->input : w5;
		w1 = p->input > 0 ? w1 * in / p->input : w1;
	}
	if (!add(&sum, u->input, in) || !add(&sum, u->output, out) ||
	    !add(&sum, u->cache_read, read) ||
	    !add(&sum, u->cache_write - u->cache_write_1h, w5) ||
	    !add(&sum, u->cache_write_1h, w1))
		return -1;
	return sum;
}

/* ---- PRICES_FILE ------------------------------------------------------ */

/* "0.25" in 10^-4; what is finer is cut off. -1: no number, or none of money. */
static int32_t amount(struct str s)
{
	struct str whole = str_head(s, str_chr(s, '.'));
	struct str part = str_from(s, whole.n + 1);
	uint64_t v;
	size_t i;

	if (str_u64(whole, &v) != OK || v > 100000)
		return -1;
	for (i = 0; i < part.n; i++)
		if (part.p[i] < '0' || part.p[i] > '9')
			return -1;
	for (i = 0; i < 4; i++)
		v = v * 10 + (i < part.n ? (uint64_t)(part.p[i] - '0') : 0);
	return (int32_t)v;
}

static int32_t rate(struct jv row, const char *key)
{
	return amount(json_num(json_get(row, str_of(key))));
}

int prices_read(struct prices *p, struct str text, struct arena *a,
    struct str *why)
{
	struct json doc;
	struct json_error err;
	struct json_iter it;
	struct own_price *o;
	struct buf b;

	p->n = 0;
	if (json_parse(&doc, text, a, &err) != OK) {
		*why = str_of(err.why);
		return E_BAD;
	}
	it = json_iter(json_root(&doc));
	if (!it.object) {
		*why = S("it is no JSON object");
		return E_BAD;
	}
	while (json_next(&it)) {
		if (p->n == PRICES_MAX) {
			*why = S("it has more than 128 models");
			return E_BAD;
		}
		o = &p->own[p->n];
		b = buf_on(o->name, sizeof o->name);
		json_unescape(&b, it.key);
		o->n = (unsigned char)b.n;
		o->price.input = rate(it.value, "input");
		o->price.output = rate(it.value, "output");
		o->price.read = rate(it.value, "cache_read");
		o->price.write_5m = rate(it.value, "write_5m");
		o->price.write_1h = rate(it.value, "write_1h");
		o->price.above = (int32_t)json_int(json_get(it.value,
		    S("above")), 0);
		o->price.input2 = rate(it.value, "input_above");
		o->price.output2 = rate(it.value, "output_above");
		o->price.read2 = rate(it.value, "cache_read_above");
		if (b.full || o->price.input < 0 || o->price.output < 0) {
			*why = S("a model has no input or output price in USD "
			    "a million tokens");
			return E_BAD;
		}
		p->n++;
	}
	return OK;
}
