/* keys.c -- strings of a request, sorted and found again.
 *
 * What a client sends has as many calls, results and tools as it likes:
 * looking each up among all the others would take time by their square. The
 * array is the caller's and is sorted in its place.
 *
 * SPDX-License-Identifier: MIT */
#include "keys.h"

static int key_less(const struct key *a, const struct key *b)
{
	size_t n = a->s.n < b->s.n ? a->s.n : b->s.n;
	int d = n ? memcmp(a->s.p, b->s.p, n) : 0;

	if (d)
		return d < 0;
	return a->s.n != b->s.n ? a->s.n < b->s.n : a->i < b->i;
}

static void sift(struct key *k, size_t at, size_t n)
{
	struct key t;
	size_t child;

	while ((child = 2 * at + 1) < n) {
		if (child + 1 < n && key_less(&k[child], &k[child + 1]))
			child++;
		if (!key_less(&k[at], &k[child]))
			return;
		t = k[at];
		k[at] = k[child];
		k[child] = t;
		at = child;
	}
}

/* Heapsort: no recursion, and no order that makes it slow. */
void keys_sort(struct key *k, size_t n)
{
	struct key t;
	size_t i;

	for (i = n / 2; i-- > 0; )
		sift(k, i, n);
	for (i = n; i-- > 1; ) {
		t = k[0];
		k[0] = k[i];
		k[i] = t;
		sift(k, 0, i);
	}
}

const struct key *keys_find(const struct key *k, size_t n, struct str s)
{
	struct key want = { s, SIZE_MAX };
	size_t low = 0, high = n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (key_less(&want, &k[mid]))
			high = mid;
		else
			low = mid + 1;
	}
	return low && str_eq(k[low - 1].s, s) ? &k[low - 1] : NULL;
}
