/* loop.c -- one turn of select(), clocks, signals, random bytes.
 *
 * Signal handlers do two async-signal-safe things: they note the signal in a
 * flag and drop a byte into a socket pair that every select watches, so that
 * a signal arriving just before the call still ends it. Nothing here knows
 * what the descriptors are.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/random.h>
#endif

#include "loop.h"

enum {
	WAIT_MAX = 60000,	/* ms; longer sleeps come back for nothing */
	RANDOM_MAX = 256	/* getrandom gives that much in one piece */
};

static const struct {
	int number;
	unsigned bit;
} caught[] = {
	{ SIGTERM, LOOP_TERM },
	{ SIGINT, LOOP_INT },
	{ SIGHUP, LOOP_HUP },
	{ SIGCHLD, LOOP_CHILD }
};

/* Shared with the handler. wake[1] is the end it writes to. */
static volatile sig_atomic_t seen[COUNT(caught)];
static int wake[2] = { -1, -1 };

static void on_signal(int number)
{
	size_t i;

	for (i = 0; i < COUNT(caught); i++)
		if (caught[i].number == number)
			seen[i] = 1;
	sock_wake(wake[1]);
}

/* A socket that got number 2 would receive what libc prints on errors. */
static int occupy_standard(void)
{
	int fd, i;

	for (i = 0; i <= 2; i++) {
		if (fcntl(i, F_GETFD) >= 0 || errno != EBADF)
			continue;
		fd = open("/dev/null", O_RDWR);
		if (fd != i)		/* the lowest free one, so i */
			return E_FAULT;
	}
	return OK;
}

static int catch_signals(void)
{
	struct sigaction sa;
	size_t i;

	memset(&sa, 0, sizeof sa);
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = SIG_IGN;
	if (sigaction(SIGPIPE, &sa, NULL) < 0 ||
	    sigaction(SIGXFSZ, &sa, NULL) < 0)
		return E_FAULT;
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART | SA_NOCLDSTOP;
	for (i = 0; i < COUNT(caught); i++) {
		seen[i] = 0;
		if (sigaction(caught[i].number, &sa, NULL) < 0)
			return E_FAULT;
	}
	return OK;
}

int loop_init(struct loop *l)
{
	enum sock_reason why;

	memset(l, 0, sizeof *l);
	if (occupy_standard() != OK)
		return E_FAULT;
	sock_close(wake[0]);
	sock_close(wake[1]);
	wake[0] = wake[1] = -1;
	if (sock_pair(wake, &why) != OK)
		return E_FAULT;
	return catch_signals();
}

void loop_begin(struct loop *l)
{
	FD_ZERO(&l->read);
	FD_ZERO(&l->write);
	l->top = 0;
	l->ready = 0;
	loop_want(l, wake[0], WANT_READ);
}

void loop_want(struct loop *l, int fd, unsigned want)
{
	if (fd < 0 || want == 0)
		return;
	/* Writing past an fd_set is memory corruption, in release as well. */
	if (fd >= FD_SETSIZE)
		abort();
	if (want & WANT_READ)
		FD_SET((size_t)fd, &l->read);
	if (want & WANT_WRITE)
		FD_SET((size_t)fd, &l->write);
	if (fd >= l->top)
		l->top = fd + 1;
}

static struct timeval *until(struct timeval *tv, int64_t deadline)
{
	int64_t left, now = loop_now();

	if (deadline == LOOP_NEVER)
		return NULL;
	left = deadline > now ? deadline - now : 0;
	if (left > WAIT_MAX)
		left = WAIT_MAX;
	tv->tv_sec = (time_t)(left / 1000);
	tv->tv_usec = (suseconds_t)(left % 1000 * 1000);
	return tv;
}

/* select found a bad descriptor and filled nothing in. Those that are bad
 * stay in the sets, the others are taken out. */
static void keep_bad(struct loop *l)
{
	int fd;

	for (fd = 0; fd < l->top; fd++) {
		if (!FD_ISSET((size_t)fd, &l->read) && !FD_ISSET((size_t)fd, &l->write))
			continue;
		if (fcntl(fd, F_GETFD) >= 0) {
			FD_CLR((size_t)fd, &l->read);
			FD_CLR((size_t)fd, &l->write);
			continue;
		}
		FD_SET((size_t)fd, &l->read);
		FD_SET((size_t)fd, &l->write);
		l->ready++;
	}
}

static void nothing_ready(struct loop *l)
{
	FD_ZERO(&l->read);
	FD_ZERO(&l->write);
	l->ready = 0;
}

/* The bytes first, then the flags: a signal in between leaves both set for
 * the next turn, which is one turn too many and never one too few. */
static unsigned signals(void)
{
	enum sock_reason why;
	unsigned bits = 0;
	char sink[64];
	size_t i;

	while (sock_read(wake[0], sink, sizeof sink, &why) > 0)
		;
	for (i = 0; i < COUNT(caught); i++) {
		if (!seen[i])
			continue;
		seen[i] = 0;
		bits |= caught[i].bit;
	}
	return bits;
}

unsigned loop_wait(struct loop *l, int64_t deadline)
{
	struct timeval tv;
	int n;

	n = select(l->top, &l->read, &l->write, NULL, until(&tv, deadline));
	l->ready = n > 0 ? n : 0;
	if (n < 0 && errno == EBADF)
		keep_bad(l);
	else if (n < 0)
		nothing_ready(l);	/* a signal, or no memory: look again */
	if (n < 0 || (wake[0] >= 0 && FD_ISSET((size_t)wake[0], &l->read))) {
		if (n > 0)
			l->ready--;
		return signals();
	}
	return 0;
}

void loop_pause(long microseconds)
{
	struct timespec t = { 0, microseconds * 1000 };

	(void)nanosleep(&t, NULL);
}

int loop_readable(const struct loop *l, int fd)
{
	return fd >= 0 && fd < l->top && FD_ISSET((size_t)fd, &l->read) != 0;
}

int loop_writable(const struct loop *l, int fd)
{
	return fd >= 0 && fd < l->top && FD_ISSET((size_t)fd, &l->write) != 0;
}

static int64_t clock_ms(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		return 0;
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* When loop_now() was last asked. */
static int64_t asked;

int64_t loop_now(void)
{
	/* Above 0 even in the first millisecond after boot. */
	return asked = clock_ms(CLOCK_MONOTONIC) + 1;
}

int64_t loop_recent(void)
{
	return asked ? asked : loop_now();
}

int64_t loop_wall(void)
{
	return clock_ms(CLOCK_REALTIME);
}

static int from_device(char *p, size_t n)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;

	while (fd >= 0 && n && got > 0) {
		/* pread ignores the offset of a device that has none. */
		got = pread(fd, p, n, 0);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
	sock_close(fd);
	return n ? E_FAULT : OK;
}

int loop_random(void *p, size_t n)
{
#ifdef __linux__
	ssize_t got;

	if (n > RANDOM_MAX)
		return E_FAULT;
	/* Before the kernel's pool is filled, early in a boot, this waits:
	 * the one wait that is better than going on. */
	do
		got = getrandom(p, n, 0);
	while (got < 0 && errno == EINTR);
	if (got >= 0 && (size_t)got == n)
		return OK;
#endif
	return n > RANDOM_MAX ? E_FAULT : from_device(p, n);
}
