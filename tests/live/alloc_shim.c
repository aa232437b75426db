/* alloc_shim.c -- an allocator that counts its calls, for tests/live/memory.c.
 *
 * Built as a shared object when that test runs and put before the program by
 * LD_PRELOAD. The count lies in the file ALLOC_COUNT names, where the test
 * reads it. Only the process that started counts: its children have a pid of
 * their own. Memory comes from one array and is never given back, so that no
 * other allocator has to be found.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	HEAP = 64 << 20,	/* touched as far as it is used */
	LINE = 16		/* alignment, and room for the size before it */
};

struct page {
	uint64_t pid, calls, selftest;
};

static char heap[HEAP];
static size_t used;
static struct page *page;

/* The C library declares these with attributes of its own. */
int posix_memalign(void **out, size_t align, size_t n);
void *aligned_alloc(size_t align, size_t n);

static void count(void)
{
	if (page && page->pid == (uint64_t)getpid())
		page->calls++;
}

static void *take(size_t align, size_t n)
{
	uintptr_t at = (uintptr_t)heap + used + LINE;
	size_t start;

	if (align < LINE)
		align = LINE;
	start = (size_t)(((at + align - 1) & ~(uintptr_t)(align - 1)) -
	    (uintptr_t)heap);
	if (start > HEAP || n > HEAP - start) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(heap + start - LINE, &n, sizeof(n));
	used = start + n;
	return heap + start;
}

void *malloc(size_t n)
{
	count();
	return take(LINE, n);
}

void *calloc(size_t n, size_t size)
{
	count();
	if (size && n > HEAP / size) {
		errno = ENOMEM;
		return NULL;
	}
	return take(LINE, n * size);	/* never given out before: zeros */
}

void *realloc(void *p, size_t n)
{
	size_t old = 0;
	void *q;

	count();
	q = take(LINE, n);
	if (!p || !q)
		return q;
	memcpy(&old, (char *)p - LINE, sizeof(old));
	return memcpy(q, p, old < n ? old : n);
}

void free(void *p)
{
	(void)p;
	count();
}

int posix_memalign(void **out, size_t align, size_t n)
{
	count();
	*out = take(align, n);
	return *out ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t n)
{
	count();
	return take(align, n);
}

/* Counts a pair of its own, to show that calls are seen at all. */
__attribute__((constructor))
static void begin(void)
{
	const char *name = getenv("ALLOC_COUNT");
	int fd = name ? open(name, O_RDWR) : -1;
	void *(*volatile get)(size_t) = malloc;
	void (*volatile put)(void *) = free;
	struct page *m;
	uint64_t before;

	if (fd < 0)
		return;
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (m == MAP_FAILED || m->pid)
		return;
	m->pid = (uint64_t)getpid();
	page = m;
	before = m->calls;
	put(get(1));
	m->selftest = m->calls - before;
}
