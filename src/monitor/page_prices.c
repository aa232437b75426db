/* page_prices.c -- /dashboard/prices: what tokens cost, for a page that asks
 * what a session would have cost elsewhere.
 *
 *	{"date":"2026-10-09","models":{"provider/model":[input,output,
 *	cache_read,write_5m,write_1h],...}}
 *
 * USD a million tokens, null where a rate isn't known. Rows of PRICES_FILE come
 * last, under the names that they have there, so they are what a reader of JSON
 * keeps of a name that stands twice. Higher rates of long prompts are left out:
 * a sum over a session can't say which requests were long.
 *
 * SPDX-License-Identifier: MIT */
#include "pages.h"
#include "prices.h"

enum { PLACES = 4 };		/* a price's unit is 10^-4 USD */

static void put_row(struct buf *b, const struct price *p)
{
	const int32_t rates[] = { p->input, p->output, p->read, p->write_5m,
		p->write_1h };
	size_t i;

	for (i = 0; i < COUNT(rates); i++) {
		buf_chr(b, i ? ',' : '[');
		if (rates[i] < 0)
			buf_put(b, S("null"));
		else
			buf_fixed(b, rates[i], PLACES);
	}
	buf_chr(b, ']');
}

int page_next_prices(struct page *pg, struct buf *b)
{
	const struct prices *own = pg->m->prices;
	const struct price *p;
	struct str provider, model;
	const char *date = "";
	size_t i;

	if (pg->state)
		return E_NONE;
	pg->state = 1;
	if (prices_at(0, &provider, &model))
		(void)prices_find(NULL, provider, model, &date);
	buf_put(b, S("{\"date\":"));
	json_quote(b, str_of(date));
	buf_put(b, S(",\"models\":{"));
	for (i = 0; (p = prices_at(i, &provider, &model)) != NULL; i++) {
		page_comma(pg, b);
		buf_chr(b, '"');
		json_escape(b, provider);
		buf_chr(b, '/');
		json_escape(b, model);
		buf_put(b, S("\":"));
		put_row(b, p);
	}
	for (i = 0; own && i < own->n; i++) {
		page_comma(pg, b);
		json_quote(b, (struct str){ own->own[i].name, own->own[i].n });
		buf_chr(b, ':');
		put_row(b, &own->own[i].price);
	}
	buf_put(b, S("}}\n"));
	return OK;
}
