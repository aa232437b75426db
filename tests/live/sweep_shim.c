/* sweep_shim.c -- one system call that fails once, for tests/live/faults.c.
 *
 * Built as a shared object when that test runs and put before the program by
 * LD_PRELOAD. SWEEP="CALL ERRNO NTH ROLE": in the process that was started (ROLE
 * 0), or in all its children together (1), the NTH call of that number fails
 * with that error and isn't made. NTH 0: never. All calls are counted in the
 * file that SWEEP_COUNT names.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* syscall */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sweep_calls.h"

/* With _GNU_SOURCE addresses are of types that no definition can have. */
#ifndef RTLD_NEXT
#define RTLD_NEXT ((void *)-1L)
#endif

#define NAME_OF(NAME) #NAME,
static const char *const names[CALLS] = { SWEEP_CALLS(NAME_OF) };

static struct sweep *sweep;
static unsigned long chosen, error, nth, role;
static pid_t own;
static void *real[CALLS];

__attribute__((constructor))
static void begin(void)
{
	const char *s = getenv("SWEEP"), *path = getenv("SWEEP_COUNT");
	void *m = MAP_FAILED;
	char *end;
	int fd, i;

	for (i = 0; i < CALLS; i++)
		real[i] = dlsym(RTLD_NEXT, names[i]);
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0)
		m = mmap(NULL, sizeof(*sweep), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (!s || m == MAP_FAILED)
		return;
	chosen = strtoul(s, &end, 10);
	error = strtoul(end, &end, 10);
	nth = strtoul(end, &end, 10);
	role = strtoul(end, NULL, 10);
	own = getpid();
	sweep = m;
}

static int fails(enum sweep_call call)
{
	unsigned n, r;

	if (!sweep)
		return 0;
	r = getpid() == own ? SWEEP_MAIN : SWEEP_CHILDREN;
	n = __atomic_add_fetch(&sweep->count[r][call], 1, __ATOMIC_RELAXED);
	if (call != chosen || r != role || n != nth)
		return 0;
	__atomic_add_fetch(&sweep->injected, 1, __ATOMIC_RELAXED);
	errno = (int)error;
	return 1;
}

#define WRAP(TYPE, NAME, PARAMS, ARGS) \
TYPE NAME PARAMS \
{ \
	TYPE (*f) PARAMS; \
	if (fails(CALL_##NAME)) \
		return (TYPE)-1; \
	memcpy(&f, &real[CALL_##NAME], sizeof(f)); \
	return f ARGS; \
}

typedef struct sockaddr *addr;
typedef const struct sockaddr *caddr;

WRAP(int, bind, (int a, caddr b, socklen_t c), (a, b, c))
WRAP(int, accept, (int a, addr b, socklen_t *c), (a, b, c))

/* Whatever it says, the descriptor is gone, as on Linux. */
int close(int a)
{
	int (*f)(int);

	memcpy(&f, &real[CALL_close], sizeof(f));
	if (!fails(CALL_close))
		return f(a);
	(void)f(a);
	errno = (int)error;
	return -1;
}

WRAP(int, dup, (int a), (a))
WRAP(int, dup2, (int a, int b), (a, b))
WRAP(pid_t, fork, (void), ())
WRAP(int, flock, (int a, int b), (a, b))
WRAP(int, fstat, (int a, struct stat *b), (a, b))
WRAP(int, fstatat, (int a, const char *b, struct stat *c, int d), (a, b, c, d))
WRAP(int, fsync, (int a), (a))
WRAP(int, ftruncate, (int a, off_t b), (a, b))
WRAP(int, getpeername, (int a, addr b, socklen_t *c), (a, b, c))
WRAP(ssize_t, getrandom, (void *a, size_t b, unsigned c), (a, b, c))
WRAP(int, getsockname, (int a, addr b, socklen_t *c), (a, b, c))
WRAP(int, getsockopt, (int a, int b, int c, void *d, socklen_t *e),
    (a, b, c, d, e))
WRAP(int, kill, (pid_t a, int b), (a, b))
WRAP(int, listen, (int a, int b), (a, b))
WRAP(int, madvise, (void *a, size_t b, int c), (a, b, c))
WRAP(int, mkdir, (const char *a, mode_t b), (a, b))
WRAP(int, mkdirat, (int a, const char *b, mode_t c), (a, b, c))
WRAP(void *, mmap, (void *a, size_t b, int c, int d, int e, off_t g),
    (a, b, c, d, e, g))
WRAP(int, munmap, (void *a, size_t b), (a, b))
WRAP(int, nanosleep, (const struct timespec *a, struct timespec *b), (a, b))
WRAP(int, poll, (struct pollfd *a, nfds_t b, int c), (a, b, c))
WRAP(ssize_t, pread, (int a, void *b, size_t c, off_t d), (a, b, c, d))
WRAP(ssize_t, read, (int a, void *b, size_t c), (a, b, c))
WRAP(ssize_t, recvmsg, (int a, struct msghdr *b, int c), (a, b, c))
WRAP(int, rename, (const char *a, const char *b), (a, b))
WRAP(int, renameat, (int a, const char *b, int c, const char *d), (a, b, c, d))
WRAP(int, select, (int a, fd_set *b, fd_set *c, fd_set *d, struct timeval *e),
    (a, b, c, d, e))
WRAP(int, setpgid, (pid_t a, pid_t b), (a, b))
WRAP(int, setrlimit, (__rlimit_resource_t a, const struct rlimit *b), (a, b))
WRAP(int, setsockopt, (int a, int b, int c, const void *d, socklen_t e),
    (a, b, c, d, e))
WRAP(int, shutdown, (int a, int b), (a, b))
WRAP(int, sigaction, (int a, const struct sigaction *b, struct sigaction *c),
    (a, b, c))
WRAP(int, sigprocmask, (int a, const sigset_t *b, sigset_t *c), (a, b, c))
WRAP(int, socket, (int a, int b, int c), (a, b, c))
WRAP(int, socketpair, (int a, int b, int c, int d[2]), (a, b, c, d))
WRAP(int, stat, (const char *a, struct stat *b), (a, b))
WRAP(int, unlink, (const char *a), (a))
WRAP(int, unlinkat, (int a, const char *b, int c), (a, b, c))
WRAP(pid_t, waitpid, (pid_t a, int *b, int c), (a, b, c))
WRAP(ssize_t, write, (int a, const void *b, size_t c), (a, b, c))

/* These fail with NULL. */
DIR *fdopendir(int a)
{
	DIR *(*f)(int);

	memcpy(&f, &real[CALL_fdopendir], sizeof(f));
	return fails(CALL_fdopendir) ? NULL : f(a);
}

struct dirent *readdir(DIR *a)
{
	struct dirent *(*f)(DIR *);

	memcpy(&f, &real[CALL_readdir], sizeof(f));
	return fails(CALL_readdir) ? NULL : f(a);
}

/* The same for a connection: where the error says that it is over, it is. */
#define MOVE(NAME, PARAMS, ARGS) \
ssize_t NAME PARAMS \
{ \
	ssize_t (*f) PARAMS; \
	if (fails(CALL_##NAME)) { \
		if (errno == ECONNRESET || errno == EPIPE || \
		    errno == ETIMEDOUT) \
			(void)shutdown(a, SHUT_RDWR); \
		errno = (int)error; \
		return -1; \
	} \
	memcpy(&f, &real[CALL_##NAME], sizeof(f)); \
	return f ARGS; \
}

MOVE(recv, (int a, void *b, size_t c, int d), (a, b, c, d))
MOVE(send, (int a, const void *b, size_t c, int d), (a, b, c, d))
MOVE(sendmsg, (int a, const struct msghdr *b, int c), (a, b, c))

/* Interrupted, it goes on by itself. */
int connect(int a, caddr b, socklen_t c)
{
	int (*f)(int, caddr, socklen_t), failed = fails(CALL_connect), r = -1;

	memcpy(&f, &real[CALL_connect], sizeof(f));
	if (!failed || error == EINTR)
		r = f(a, b, c);
	if (failed)
		errno = (int)error;
	return failed ? -1 : r;
}

/* Those with arguments that may be there: one more, or more, as a register. */
#define ONE_MORE(NAME, PARAMS, LAST, TYPE, ...) \
int NAME PARAMS \
{ \
	int (*f) PARAMS; \
	va_list ap; \
	TYPE more; \
	if (fails(CALL_##NAME)) \
		return -1; \
	va_start(ap, LAST); \
	more = va_arg(ap, TYPE); \
	va_end(ap); \
	memcpy(&f, &real[CALL_##NAME], sizeof(f)); \
	return f(__VA_ARGS__, more); \
}

ONE_MORE(open, (const char *a, int b, ...), b, int, a, b)
ONE_MORE(openat, (int a, const char *b, int c, ...), c, int, a, b, c)
ONE_MORE(fcntl, (int a, int b, ...), b, long, a, b)
ONE_MORE(ioctl, (int a, unsigned long b, ...), b, void *, a, b)

int prctl(int option, ...)
{
	int (*f)(int, ...);
	unsigned long v[4];
	va_list ap;
	int i;

	if (fails(CALL_prctl))
		return -1;
	va_start(ap, option);
	for (i = 0; i < 4; i++)
		v[i] = va_arg(ap, unsigned long);
	va_end(ap);
	memcpy(&f, &real[CALL_prctl], sizeof(f));
	return f(option, v[0], v[1], v[2], v[3]);
}

long syscall(long number, ...)
{
	long (*f)(long, ...);
	long v[6];
	va_list ap;
	int i;

	if (fails(CALL_syscall))
		return -1;
	va_start(ap, number);
	for (i = 0; i < 6; i++)
		v[i] = va_arg(ap, long);
	va_end(ap);
	memcpy(&f, &real[CALL_syscall], sizeof(f));
	return f(number, v[0], v[1], v[2], v[3], v[4], v[5]);
}
