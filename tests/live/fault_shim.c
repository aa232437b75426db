/* fault_shim.c -- system calls that fail, for tests/live/faults.c.
 *
 * Built as a shared object when that test runs and put before the program by
 * LD_PRELOAD. FAULTS="SEED RATE HARSH": one call in RATE is interrupted, told to
 * wait, or moves less than it was asked to; with HARSH also reset, refused, out
 * of descriptors or of disk. Calls are made with syscall(2), so that no other
 * library has to be found. Only who serves is disturbed: a process with
 * listeners, its own or of who forked it, from its first select on. FAULT_COUNT names a file in which faults are counted, and
 * which says by how many seconds the wall clock is off.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* syscall */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct counts { uint64_t mild, harsh; int64_t clock; };

static uint32_t state = 1;
static unsigned rate, harsh, listens, on;
static pid_t own;
static struct counts *counts;

static uint32_t next(void)
{
	/* xorshift (Marsaglia): enough to spread faults. */
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

__attribute__((constructor))
static void begin(void)
{
	const char *s = getenv("FAULTS"), *path = getenv("FAULT_COUNT");
	char *end;
	int fd = path ? open(path, O_RDWR) : -1;
	void *m = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*counts),
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (!s || m == MAP_FAILED)
		return;
	counts = m;
	state = (uint32_t)strtoul(s, &end, 10) | 1;
	rate = (unsigned)strtoul(end, &end, 10);
	harsh = (unsigned)strtoul(end, NULL, 10);
	own = getpid();
}

static int due(unsigned every)
{
	return on && rate && getpid() == own && next() % every == 0;
}

/* An error to pretend, or 0. */
static int mild(int a, int b)
{
	if (!due(rate))
		return 0;
	__sync_fetch_and_add(&counts->mild, 1);
	return next() & 1 ? a : b;
}

static int hard(int a, int b)
{
	if (!harsh || !due(rate * 5))
		return 0;
	__sync_fetch_and_add(&counts->harsh, 1);
	return next() & 1 ? a : b;
}

/* The same for a connection, which is then broken indeed. */
static int broken(int fd, int a, int b)
{
	int family = AF_UNIX, e;
	socklen_t n = sizeof(family);

	/* What lies inside the program breaks with its other end only. */
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n);
	e = family == AF_UNIX ? 0 : hard(a, b);
	if (e)
		(void)syscall(SYS_shutdown, fd, SHUT_RDWR);
	return e;
}

static size_t shorter(size_t n)
{
	if (n < 2 || !due(rate))
		return n;
	__sync_fetch_and_add(&counts->mild, 1);
	return 1 + next() % (n < 64 ? n : 64);
}

static int fail(int error)
{
	errno = error;
	return -1;
}

int listen(int fd, int backlog)
{
	listens = 1;
	return (int)syscall(SYS_listen, fd, backlog);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	int e = mild(EINTR, EAGAIN);

	if (!e)
		e = broken(fd, ECONNRESET, ETIMEDOUT);
	if (e)
		return fail(e);
	return syscall(SYS_recvfrom, fd, p, shorter(n), flags, NULL, NULL);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	int e = mild(EINTR, EAGAIN);

	if (!e)
		e = broken(fd, ECONNRESET, EPIPE);
	if (e)
		return fail(e);
	return syscall(SYS_sendto, fd, p, shorter(n), flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct msghdr less = *m;
	struct iovec v;
	int e = m->msg_controllen ? 0 : mild(EINTR, EAGAIN);

	if (!e && !m->msg_controllen)
		e = broken(fd, ECONNRESET, EPIPE);
	if (e)
		return fail(e);
	if (m->msg_iovlen && !m->msg_controllen && due(rate)) {
		__sync_fetch_and_add(&counts->mild, 1);
		v = m->msg_iov[0];
		v.iov_len = shorter(v.iov_len);
		less.msg_iov = &v;
		less.msg_iovlen = 1;
	}
	return syscall(SYS_sendmsg, fd, &less, flags);
}

int accept(int fd, struct sockaddr *a, socklen_t *n)
{
	int e = mild(EINTR, ECONNABORTED);

	if (!e)
		e = hard(EMFILE, ENOMEM);
	return e ? fail(e) : (int)syscall(SYS_accept, fd, a, n);
}

int socket(int family, int type, int protocol)
{
	int e = hard(EMFILE, ENOBUFS);

	return e ? fail(e) : (int)syscall(SYS_socket, family, type, protocol);
}

int connect(int fd, const struct sockaddr *a, socklen_t n)
{
	int e = hard(ECONNREFUSED, ENETUNREACH), r;

	if (e)
		return fail(e);
	r = (int)syscall(SYS_connect, fd, a, n);
	/* Interrupted, it goes on by itself. */
	return mild(EINTR, EINTR) ? fail(EINTR) : r;
}

int select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t)
{
	struct timespec ts = { 0, 0 };
	int e;

	if (listens && getpid() != own) {
		own = getpid();
		state ^= (uint32_t)own << 8;
	}
	on = listens;
	e = mild(EINTR, ENOMEM);
	if (e)
		return fail(e);
	if (t) {
		ts.tv_sec = t->tv_sec;
		ts.tv_nsec = t->tv_usec * 1000;
	}
	return (int)syscall(SYS_pselect6, n, r, w, x, t ? &ts : NULL, NULL);
}

/* The wall clock jumps; what only goes forward isn't touched. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	int r = (int)syscall(SYS_clock_gettime, id, t);

	if (r == 0 && id == CLOCK_REALTIME && counts)
		t->tv_sec += counts->clock;
	return r;
}

/* The console: a disk that is full, a terminal that hangs. */
ssize_t write(int fd, const void *p, size_t n)
{
	int e = hard(ENOSPC, EIO);

	return e ? fail(e) : syscall(SYS_write, fd, p, n);
}
