/* clock_shim.c -- a clock that jumps, for tests/interop/page-facts.mjs.
 *
 * Built as a shared object when that test runs and put before the program by
 * LD_PRELOAD. The file that CLOCK_FILE names holds a number of seconds, binary,
 * which the test changes: so much later it is, by every clock.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* syscall */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *later;

__attribute__((constructor))
static void begin(void)
{
	const char *path = getenv("CLOCK_FILE");
	int fd = path ? open(path, O_RDONLY) : -1;
	void *m = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*later), PROT_READ,
	    MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (m != MAP_FAILED)
		later = m;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long r = syscall(SYS_clock_gettime, id, ts);

	if (r == 0 && later)
		ts->tv_sec += (time_t)*later;
	return (int)r;
}
