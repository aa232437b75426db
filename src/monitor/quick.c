/* quick.c -- names of contents that were seen before, without hashing them.
 *
 * A client repeats its whole conversation with each request. SHA-256 over all
 * of it would cost more than everything else we do, so a message's bytes first
 * go through a sum that is ten times as fast, and a table says which name those
 * bytes had. The sum is keyed with random words (NH, as in UMAC: products of
 * halves with a secret added), so that nobody who writes a message can make it
 * pass for another one.
 *
 * SPDX-License-Identifier: MIT */
#include "../net/loop.h"
#include "blob.h"
#include "journal_own.h"

enum {
	BLOCK = QUICK_KEYS * 4,	/* bytes of one sum */
	CLEAN = 1,
	WAYS = 4,		/* places that a sum may have, side by side */
	PLACES = 1 << 14	/* names remembered: some twenty long sessions */
};

int quick_open(struct quick *q)
{
	q->seen = share_map(PLACES * sizeof *q->seen);
	if (loop_random(q->key, sizeof q->key) != OK ||
	    loop_random(&q->mix, sizeof q->mix) != OK)
		return E_FAULT;
	q->mix |= 1;
	return q->seen ? OK : E_FULL;
}

void quick_forget(struct quick *q)
{
	memset(q->seen, 0, PLACES * sizeof *q->seen);
}

static uint32_t word(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t sum_block(const uint32_t *key, const char *p)
{
	uint64_t a = 0, b = 0;
	size_t i;

	for (i = 0; i < QUICK_KEYS; i += 4) {
		a += (uint64_t)(word(p + 4 * i) + key[i]) *
		    (word(p + 4 * i + 4) + key[i + 1]);
		b += (uint64_t)(word(p + 4 * i + 8) + key[i + 2]) *
		    (word(p + 4 * i + 12) + key[i + 3]);
	}
	return a + (b << 32 | b >> 32);
}

static uint64_t mix(const struct quick *q, uint64_t h, uint64_t sum)
{
	h = (h ^ sum) * q->mix;
	return h ^ h >> 29;
}

uint64_t quick_sum(const struct quick *q, uint64_t h, struct str s)
{
	char last[BLOCK];

	h = mix(q, h, s.n + 1);
	for (; s.n >= BLOCK; s = str_from(s, BLOCK))
		h = mix(q, h, sum_block(q->key, s.p));
	if (s.n) {
		memset(last, 0, sizeof last);
		memcpy(last, s.p, s.n);
		h = mix(q, h, sum_block(q->key, last));
	}
	return h;
}

/* The lowest bit of a sum is another thing's; a place of zeros is nobody's. */
static int is_of(const struct seen *s, uint64_t sum)
{
	return (s->sum ^ sum) <= CLEAN && sum > CLEAN;
}

static struct seen *places(const struct quick *q, uint64_t sum)
{
	return &q->seen[(sum >> 1 & (PLACES / WAYS - 1)) * WAYS];
}

static struct seen *find(const struct quick *q, uint64_t sum)
{
	struct seen *s = places(q, sum);
	size_t i;

	for (i = 0; i < WAYS; i++)
		if (is_of(&s[i], sum))
			return &s[i];
	return NULL;
}

/* A new one takes the place of the oldest. */
struct sha16 *quick_name(struct quick *q, uint64_t sum, int *known)
{
	struct seen *s = find(q, sum);

	*known = s != NULL;
	if (!s) {
		s = places(q, sum);
		memmove(s + 1, s, (WAYS - 1) * sizeof *s);
		s->sum = sum & ~(uint64_t)CLEAN;
	}
	return &s->name;
}

int quick_clean(const struct quick *q, uint64_t sum)
{
	const struct seen *s = find(q, sum);

	return s && s->sum & CLEAN;
}

void quick_set_clean(struct quick *q, uint64_t sum)
{
	struct seen *s = find(q, sum);

	if (s)
		s->sum |= CLEAN;
}
