/* keys.h -- bytes of a request with an index, for look-ups: sorted, so that
 * no input makes them slow.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KEYS_H
#define KEYS_H

#include "../base/base.h"

struct key {
	struct str s;
	size_t i;
};
void keys_sort(struct key *k, size_t n);	/* by bytes, then by index */
/* The last of the equal ones; NULL if there is none. */
const struct key *keys_find(const struct key *k, size_t n, struct str s);

#endif
