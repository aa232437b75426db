/* share.c -- memory that several processes of ours write, and the lock on it.
 *
 * The lock is one word. Whoever finds it taken looks again for about as long
 * as a sleep would cost, then sleeps for moments: its holder may need the
 * processor. A holder that dies leaves its number in it, so that the process
 * that watches over the others can take it over.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS, MAP_NORESERVE, madvise */
#include <sys/mman.h>
#include <time.h>

#include "share.h"

enum {
	HIDDEN_MAX = 32,
	LOOKS = 100000,		/* some 100 us: to sleep and be woken costs as
				 * much, and a small request holds it for 10 */
	MOMENT_NS = 20000
};

static struct {
	int on;
	size_t nhidden;
	struct {
		void *p;
		size_t n;
	} hidden[HIDDEN_MAX];
	unsigned who, depth;
	uint32_t times;
	int (*wait)(void *ctx, uint32_t hold);
	void *ctx;
} self;

/* ---- memory ----------------------------------------------------------- */

static void *map(uint64_t n, int how)
{
	void *m;

	if (n == 0 || n > SIZE_MAX / 2)
		return NULL;
	m = mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE,
	    how | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return m == MAP_FAILED ? NULL : m;
}

void share_begin(void)
{
	self.on = 1;
}

void *share_map_own(uint64_t n)
{
	return map(n, MAP_PRIVATE);
}

void *share_map_open(uint64_t n)
{
	return map(n, self.on ? MAP_SHARED : MAP_PRIVATE);
}

void *share_map(uint64_t n)
{
	void *m = share_map_open(n);

#ifdef MADV_DONTFORK
	if (m && self.on && self.nhidden < HIDDEN_MAX &&
	    madvise(m, (size_t)n, MADV_DONTFORK) == 0) {
		self.hidden[self.nhidden].p = m;
		self.hidden[self.nhidden++].n = (size_t)n;
	}
#endif
	return m;
}

void share_reveal(void)
{
#ifdef MADV_DONTFORK
	for (; self.nhidden; self.nhidden--)
		(void)madvise(self.hidden[self.nhidden - 1].p,
		    self.hidden[self.nhidden - 1].n, MADV_DOFORK);
#endif
}

void share_drop(void *from, size_t n)
{
#ifdef MADV_REMOVE
	if (self.on) {
		(void)madvise(from, n, MADV_REMOVE);
		return;
	}
#endif
	(void)madvise(from, n, MADV_DONTNEED);
}

/* ---- the lock --------------------------------------------------------- */

void share_become(unsigned who, int (*wait)(void *ctx, uint32_t hold),
    void *ctx)
{
	self.who = who;
	self.wait = wait;
	self.ctx = ctx;
	self.depth = 0;
}

unsigned share_self(void)
{
	return self.who;
}

unsigned share_holder(uint32_t hold)
{
	return hold & SHARE_WHO_MAX;
}

/* The hold to take over: 0, nobody's, or that of one that is dead. */
static uint32_t wait_for(struct share_lock *l)
{
	const struct timespec t = { 0, MOMENT_NS };
	uint32_t hold = 0;
	unsigned i;

	for (;;) {
		for (i = 0; i < LOOKS; i++) {
			hold = atomic_load_explicit(&l->word,
			    memory_order_relaxed);
			if (hold == 0)
				return 0;
		}
		(void)nanosleep(&t, NULL);
		if (self.wait && self.wait(self.ctx, hold))
			return hold;
	}
}

void share_take(struct share_lock *l)
{
	uint32_t hold, was = 0;

	if (!l->shared || self.depth++)
		return;
	hold = self.who | ++self.times << 8;
	while (!atomic_compare_exchange_weak_explicit(&l->word, &was, hold,
	    memory_order_acquire, memory_order_relaxed))
		was = wait_for(l);
}

int share_once(void)
{
	return self.depth == 1;
}

void share_free(struct share_lock *l)
{
	if (l->shared && --self.depth == 0)
		atomic_store_explicit(&l->word, 0, memory_order_release);
}
