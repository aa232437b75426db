/* account.c -- what an answer called, what it cost, and why a cache missed.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"
#include "recognise.h"

enum {
	SLACK = 95,		/* percent of what was cached that must be read
				 * again for a hit: services round down */
	ROUND = 1024		/* tokens they may leave out at the end */
};

/* ---- calls ------------------------------------------------------------ */

static struct str live_text(const struct journal *j, size_t slot, size_t i)
{
	const struct live *l = &j->live[slot];
	size_t from = l->block[i].from;
	size_t to = i + 1 < l->nblocks ? l->block[i + 1].from : l->n;

	return (struct str){ j->live_bytes + slot * j->live_size + from,
	    to - from };
}

/* An agent's start: by its prompt it will be known, its type is told. */
static void read_spawn(struct record *r, struct record_call *c,
    struct str input, struct arena scratch)
{
	struct json doc;
	struct jv v;

	if ((!str_eq(label_str(&c->name), S("Agent")) &&
	    !str_eq(label_str(&c->name), S("Task"))) ||
	    json_parse(&doc, input, &scratch, NULL) != OK)
		return;
	v = json_root(&doc);
	label_jset(&c->agent, json_str(json_get(v, S("subagent_type"))));
	recognise_spawn(r, label_str(&c->call), recognise_text(
	    json_str(json_get(v, S("prompt"))), scratch));
}

/* A few words of the arguments: the first string in them. */
static void brief(struct label *l, struct str input, struct arena scratch)
{
	struct json doc;
	struct json_iter it;

	l->n = 0;
	if (json_parse(&doc, input, &scratch, NULL) != OK)
		return;
	it = json_iter(json_root(&doc));
	while (it.object && json_next(&it))
		if (json_type(it.value) == JSON_STRING) {
			label_jset(l, json_str(it.value));
			return;
		}
}

static void read_call(struct record *r, size_t i, struct arena scratch)
{
	const struct live_block *k = &r->mon->journal->live[r->slot].block[i];
	struct record_call *c = &r->mon->called[r->ncalled++];
	struct jstr raw = { live_text(r->mon->journal, r->slot, i) };
	struct str input = raw.raw.n ? json_text(&scratch, raw) : S("{}");
	struct buf b;

	memset(c, 0, sizeof *c);
	label_set(&c->call, (struct str){ k->call, k->ncall });
	label_set(&c->name, (struct str){ k->name, k->nname });
	c->bytes = input.n;
	c->broken = !input.p || json_check(input, NULL, NULL) != OK;
	c->hash = journal_hash(label_str(&c->name));
	if (c->broken)
		return;
	b = buf_open(&scratch);
	json_compact(&b, input);
	input = b.full ? input : buf_end(&scratch, &b);
	c->hash = c->hash * 0x100000001b3u ^ journal_hash(input);
	brief(&c->brief, input, scratch);
	read_spawn(r, c, input, scratch);
}

void account_calls(struct record *r, struct arena scratch)
{
	const struct journal *j = r->mon->journal;
	const struct live *l;
	size_t i;

	r->ncalled = 0;
	if (r->slot >= j->opt.slots)
		return;
	l = &j->live[r->slot];
	for (i = 0; i < l->nblocks && r->ncalled < RECORD_CALLS_MAX; i++)
		if (l->block[i].kind == LIVE_INPUT)
			read_call(r, i, scratch);
}

/* ---- cache ------------------------------------------------------------ */

static int marks_dropped(const struct notes *ns)
{
	size_t i;

	for (i = 0; ns && i < ns->n; i++)
		if (ns->v[i].kind == NOTE_DROPPED && str_find(ns->v[i].field,
		    S("cache_control")) < ns->v[i].field.n)
			return 1;
	return 0;
}

/* r->cause holds what would explain a miss; here it is decided whether there
 * was one. A conversation that reads back what its last request left in the
 * cache has hit it. */
static void judge_cache(struct record *r)
{
	const struct usage *u = &r->usage;
	int64_t expected = r->conv ? r->conv->cached : 0;

	r->cached_before = expected;
	if (!r->conv || !r->goes_on || !r->have_usage || u->estimated ||
	    r->outcome != OUTCOME_DONE) {
		r->cause = CAUSE_NONE;
		return;
	}
	if (expected > 0) {
		if (u->cache_read * 100 >= expected * SLACK ||
		    u->cache_read + ROUND >= expected)
			r->cause = CAUSE_NONE;
		return;
	}
	if (u->cache_read > 0) {
		r->cause = CAUSE_NONE;
		return;
	}
	/* Nothing was in the cache that we know of. */
	if (r->marks == CACHE_NONE)
		r->cause = CAUSE_NONE;
	else if (marks_dropped(r->notes) && u->cache_write == 0)
		r->cause = CAUSE_MARKS;
	else if (r->cause != CAUSE_INITIAL && u->cache_write == 0)
		r->cause = CAUSE_NOT_SUPPORTED;
	else if (r->cause != CAUSE_INITIAL)
		r->cause = CAUSE_NONE;
}

/* ---- cost ------------------------------------------------------------- */

void account(struct record *r)
{
	const struct price *p = prices_find(r->mon->prices, r->provider,
	    label_str(&r->served), &r->price_date);
	struct usage hit;
	int64_t lost;

	judge_cache(r);
	r->cost = -1;
	if (!r->have_usage)
		r->price_date = NULL;
	if (!r->have_usage || strcmp(r->class, "count") == 0)
		return;
	if (p)
		r->cost = price_of(p, &r->usage);
	if (r->cost < 0)
		r->price_date = NULL;
	if (r->sess && r->cost >= 0)
		r->sess->cost += r->cost;
	else if (r->sess)
		r->sess->unpriced++;
	/* What the missed tokens would have cost, read from the cache. */
	lost = r->cached_before - r->usage.cache_read;
	if (r->cost < 0 || r->cause == CAUSE_NONE || lost <= 0)
		return;
	hit = r->usage;
	if (lost > hit.input + hit.cache_write)
		lost = hit.input + hit.cache_write;
	hit.cache_read += lost;
	if (lost <= hit.cache_write) {
		hit.cache_write -= lost;
	} else {
		hit.input -= lost - hit.cache_write;
		hit.cache_write = 0;
	}
	if (hit.cache_write_1h > hit.cache_write)
		hit.cache_write_1h = hit.cache_write;
	r->miss_cost = r->cost - price_of(p, &hit);
}
