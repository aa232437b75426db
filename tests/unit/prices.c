/* prices.c -- which price belongs to a model, and sums.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/monitor/prices.c"
#include "t.h"

static char memory[1 << 20];
static struct prices own;

static int64_t input_rate(const char *provider, const char *model)
{
	const char *date;
	const struct price *p = prices_find(&own, str_of(provider),
	    str_of(model), &date);

	return p ? p->input : -1;
}

static void test_names(void)
{
	static const struct {
		const char *provider, *model;
		int64_t input;
	} cases[] = {
		{ "anthropic", "claude-opus-5-5", 40000 },
		{ "anthropic", "claude-opus-5-5[1m]", 40000 },
		{ "anthropic", "claude-sonnet-4-5-20250929", 30000 },
		{ "anthropic", "claude-opus-9", -1 },
		{ "anthropic", "claude-opus-5-5-turbo", -1 },
		{ "openai", "gpt-5-2025-08-07", 12500 },
		{ "openai", "gpt-5", 12500 },
		{ "openai", "claude-opus-5-5", -1 },
		/* A bare name is not claimed by another provider. */
		{ "openrouter", "gpt-5", -1 },
		{ "groq", "gpt-4o", -1 },
		{ "aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
		  30000 },
		{ "aws.bedrock", "anthropic.claude-opus-5-5", 40000 },
		{ "aws.bedrock", "global.anthropic.claude-haiku-4-5-20251001-"
		  "v1:0", 10000 },
		{ "aws.bedrock", "amazon.nova-pro-v1:0", -1 },
		{ "aws.bedrock", "claude-opus-5-5", -1 },
		{ "", "", -1 }, { "anthropic", "", -1 }
	};
	size_t i;

	own.n = 0;
	for (i = 0; i < COUNT(cases); i++)
		T_INT(input_rate(cases[i].provider, cases[i].model),
		    cases[i].input, "%s/%s", cases[i].provider,
		    cases[i].model);
}

static int64_t cost(const char *model, struct usage u)
{
	const char *date;
	const struct price *p = prices_find(NULL, S("anthropic"),
	    str_of(model), &date);

	return p ? price_of(p, &u) : -2;
}

static void test_sums(void)
{
	const char *date;
	struct usage u = { .input = 1000000, .output = 1000000,
	    .cache_read = 1000000, .cache_write = 2000000,
	    .cache_write_1h = 1000000 };

	/* 4 + 20 + 0.2 + 5 + 8 USD */
	T_INT(cost("claude-opus-5-5", u), 37200000000000, "all kinds");
	T_INT(cost("claude-opus-5-5", (struct usage){ 0 }), 0, "nothing");
	T_INT(cost("claude-haiku-5-5", (struct usage){ .input = 100000,
	    .output = 1000 }), 10500000000, "below the tier");
	T_INT(cost("claude-haiku-5-5", (struct usage){ .input = 100001,
	    .output = 1000 }), 52500500000, "above it, all of it");
	T_INT(cost("claude-haiku-5-5", (struct usage){
	    .cache_write = 200000 }), 125000000000, "writes too");
	T_INT(cost("claude-opus-5-5", (struct usage){ .input = INT64_MAX / 2 }),
	    -1, "no overflow");
	T_INT(price_of(prices_find(NULL, S("openai"), S("gpt-5"), &date),
	    &(struct usage){ .cache_write = 1 }), -1,
	    "a rate that is not known is not 0");
}

static int read_all(const char *text)
{
	struct arena a = { memory, memory + sizeof memory };
	struct str why = S("");

	return prices_read(&own, str_of(text), &a, &why);
}

static void test_file(void)
{
	const char *date = "";

	T_INT(read_all("{\"gpt-5\":{\"input\":2,\"output\":3.5},"
	    "\"groq/llama\":{\"input\":0.05,\"output\":0.08,"
	    "\"cache_read\":0.0125},\"local\":{\"input\":0,\"output\":0}}"),
	    OK, "the owner's file");
	T_INT(input_rate("openai", "gpt-5"), 20000, "over the list");
	T_INT(input_rate("groq", "llama"), 500, "with a provider");
	T_INT(input_rate("openai", "llama"), -1, "for that one only");
	T_INT(input_rate("openai", "local"), 0, "free is 0, if somebody says "
	    "so");
	T_INT(input_rate("anthropic", "claude-opus-5-5"), 40000,
	    "the rest stays");
	prices_find(&own, S("groq"), S("llama"), &date);
	T_STR(str_of(date), S("file"), "its date says where from");
	T_INT(read_all("{\"m\":{\"input\":\"1\",\"output\":2}}"), E_BAD,
	    "a number is a number");
	T_INT(read_all("{\"m\":{\"input\":-1,\"output\":2}}"), E_BAD,
	    "no negative prices");
	T_INT(read_all("[]"), E_BAD, "an object");
	T_INT(read_all("{\"m\":{\"input\":1"), E_BAD, "whole JSON");
	T_INT(read_all("{\"m\":1e5}"), E_BAD, "rows are objects");
}

static void test_table(void)
{
	struct str who, model;
	const struct price *p;
	const char *date;
	size_t i;

	for (i = 0; (p = prices_at(i, &who, &model)) != NULL; i++) {
		T(prices_find(NULL, who, model, &date) == p,
		    "row %lu is found by its own name", (unsigned long)i);
		T(p->input > 0 && p->output > p->input && p->read < p->input,
		    "row %lu is plausible", (unsigned long)i);
	}
	T(i > 40, "the table has rows");
}

int main(void)
{
	test_names();
	test_sums();
	test_file();
	test_table();
	return t_done("prices");
}
