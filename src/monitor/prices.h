/* prices.h -- what tokens cost, at list price; an estimate, never a bill.
 *
 * A price belongs to a provider's model: "provider/model" first, then the bare
 * name, but only where the row is that provider's own or the owner of this
 * program wrote it without one (PRICES_FILE). Unknown is unknown, never 0.
 *
 * SPDX-License-Identifier: MIT */
#ifndef PRICES_H
#define PRICES_H

#include "../core/core.h"

enum { PRICES_MAX = 128, PRICE_NAME = 80 };	/* rows of PRICES_FILE */

/* In 10^-4 USD a million tokens; -1: not known. */
struct price {
	int32_t input, output, read, write_5m, write_1h;
	int32_t above;		/* tokens of input; 0: one rate for all */
	int32_t input2, output2, read2;	/* beyond it, for the whole request */
};

struct own_price {
	unsigned char n;
	char name[PRICE_NAME];	/* with its provider, or bare */
	struct price price;
};

struct prices {
	size_t n;
	struct own_price own[PRICES_MAX];
};

/* {"provider/model" or "model": {"input","output","cache_read","write_5m",
 * "write_1h","above","input_above","output_above","cache_read_above"}, ...},
 * USD a million tokens. Rows; E_BAD: it isn't that, *why says what. */
int prices_read(struct prices *p, struct str text, struct arena *a,
    struct str *why);
/* The price of a model, with *date where it is from; NULL: not known. */
const struct price *prices_find(const struct prices *p, struct str provider,
    struct str model, const char **date);
/* In 10^-12 USD; -1 when a rate that is needed isn't known. */
int64_t price_of(const struct price *p, const struct usage *u);
/* Row i of the built-in table, for a page that compares. NULL after the last. */
const struct price *prices_at(size_t i, struct str *provider,
    struct str *model);

#endif
