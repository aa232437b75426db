/* share.h -- memory that several processes of ours write, and the lock on it.
 *
 * With WORKERS=n what the monitor knows lies in memory that all of them see at
 * the same addresses, as they are forked from the process that mapped it. So
 * pointers into it, and to what is constant in the program, mean the same
 * everywhere. Who changes or reads it holds the lock.
 *
 * Without share_begin nothing is shared, and taking the lock costs a test.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SHARE_H
#define SHARE_H

#include <stdatomic.h>

#include "../base/base.h"

/* From here on share_map gives memory that is shared. */
void share_begin(void);
/* Zeroed pages that cost nothing until they are touched; NULL: none. Children
 * that are split off before share_reveal don't get them (on Linux): neither
 * the keepers nor what they start has a use for clients' bytes. */
void *share_map(uint64_t n);
/* The same, but every child gets it. */
void *share_map_open(uint64_t n);
/* The same, but this process's alone. */
void *share_map_own(uint64_t n);
/* Gives pages of share_map's back. */
void share_drop(void *from, size_t n);
/* From here on children see all of it. */
void share_reveal(void);

/* Zeroed: not shared, and free. */
struct share_lock {
	int shared;
	_Atomic uint32_t word;	/* who holds it, and which time; 0: nobody */
};

enum { SHARE_WHO_MAX = 255 };

/* Who this process is, from 1 to SHARE_WHO_MAX, and what it does each time
 * that it has waited a moment for a lock. hold: who has it, and which time; two
 * equal ones are one and the same. It returns 1 when that one is dead, and what
 * it may have left half done is mended: the lock is then this process's. wait
 * may be NULL. */
void share_become(unsigned who, int (*wait)(void *ctx, uint32_t hold),
    void *ctx);
unsigned share_self(void);
unsigned share_holder(uint32_t hold);
/* Waits for it. The same process may take it again, and frees it as often. */
void share_take(struct share_lock *l);
/* Whether the next share_free lets go of it. */
int share_once(void);
void share_free(struct share_lock *l);

#endif
