/* memory.c -- slots: mapped at start, handed back, the ceiling.
 *
 * Address space is reserved for the largest request in every slot at once;
 * pages come when they are touched and go back after a large request. So a
 * slot costs what it uses, and nothing is ever allocated while serving.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS, madvise */
#include <sys/mman.h>

#include "proxy.h"

enum {
	KEEP = 131072,		/* stays with a slot: most requests fit */
	PAGE = 65536,		/* at least the page size anywhere */
	/* A body, its tokens, its translation: for real bodies under four
	 * times their size in all. A hostile one that needs more gets 413. */
	WORK_TIMES = 6,
	WORK_MIN = 4 << 20,
	STREAM_BUFFER = 16 << 20,	/* the largest event, or whole answer */
	NARROW_BUFFER = 2 << 20	/* the same with 32-bit addresses */
};

static size_t round_up(size_t n)
{
	return (n + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static void *map(size_t n)
{
	void *m = mmap(NULL, n, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return m == MAP_FAILED ? NULL : m;
}

static size_t slot_size(const struct proxy *p)
{
	return p->work_size + p->in_size + p->out_size;
}

static int map_arrays(struct proxy *p)
{
	p->nall = p->n * p->config->workers;
	p->all = p->clients = share_map(round_up(p->nall * sizeof *p->all));
	p->conns = map(round_up(p->n * sizeof *p->conns));
	p->engines = map(round_up(p->n * sizeof *p->engines));
	p->taken = share_map(round_up(WORKERS_MAX * sizeof *p->taken));
	return p->clients && p->conns && p->engines && p->taken ? OK : E_FAULT;
}

int memory_map(struct proxy *p, unsigned slots)
{
	int narrow = sizeof(void *) < 8;
	size_t buffer = narrow ? NARROW_BUFFER : STREAM_BUFFER;
	uint64_t work = p->config->max_body * WORK_TIMES + WORK_MIN;

	if (work > SIZE_MAX / 4)
		return E_FAULT;
	p->work_size = round_up((size_t)work);
	p->in_size = round_up(buffer);
	p->out_size = round_up(buffer + CLIENT_IN + READ_MAX);
	/* Fewer slots rather than none, where address space is scarce or may
	 * not be promised (vm.overcommit_memory 2, ulimit -v). */
	for (p->n = slots; p->n >= 2; p->n /= 2) {
		if (slot_size(p) > SIZE_MAX / p->n)
			continue;
		p->memory = map(slot_size(p) * p->n);
		if (p->memory)
			return map_arrays(p);
	}
	return E_FAULT;
}

struct slot_memory memory_slot(const struct proxy *p, size_t i)
{
	struct slot_memory m;

	m.work = p->memory + i * slot_size(p);
	m.work_end = m.work + p->work_size;
	m.in = m.work_end;
	m.in_end = m.in + p->in_size;
	m.out = m.in_end;
	m.out_end = m.out + p->out_size;
	return m;
}

void memory_release(char *from, char *touched)
{
	size_t used = (size_t)(touched - from);

	if (used > KEEP)
		madvise(from + KEEP, round_up(used) - KEEP, MADV_DONTNEED);
}

int memory_charge(struct proxy *p, uint64_t n)
{
	if (p->charged > p->config->max_memory ||
	    n > p->config->max_memory - p->charged)
		return 0;
	p->charged += n;
	return 1;
}

void memory_discharge(struct proxy *p, uint64_t n)
{
	p->charged -= n;
}
