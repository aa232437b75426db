/* loop.c -- readiness, deadlines, signals, clocks.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/sock.c */
#include "t.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#ifdef __linux__
#include <sys/random.h>

/* What the system gives: 0 all of it, 1 a part, 2 nothing. */
static int meagre;

static ssize_t few(void *p, size_t n, unsigned flags)
{
	if (meagre == 2) {
		errno = ENOSYS;
		return -1;
	}
	return getrandom(p, meagre ? n / 2 : n, flags);
}
#define getrandom few
#endif

#include "../../src/net/loop.c"

static struct loop loop;
static enum sock_reason why;

static void test_ready(void)
{
	int fd[2];
	char in[4];

	T_INT(sock_pair(fd, &why), OK, "pair");
	loop_begin(&loop);
	loop_want(&loop, fd[0], WANT_READ);
	loop_want(&loop, -1, WANT_READ | WANT_WRITE);
	T_INT(loop_wait(&loop, 0), 0, "no signal");
	T_INT(loop.ready, 0, "nothing to read");
	T(!loop_readable(&loop, fd[0]), "not readable");
	T(!loop_readable(&loop, -1) && !loop_writable(&loop, -1), "-1");
	T(!loop_readable(&loop, 1000), "beyond the highest wanted");

	loop_begin(&loop);
	loop_want(&loop, fd[0], WANT_READ);
	loop_want(&loop, fd[0], WANT_WRITE);
	loop_want(&loop, fd[1], 0);
	(void)loop_wait(&loop, LOOP_NEVER);
	T_INT(loop.ready, 1, "writable ends the wait");
	T(loop_writable(&loop, fd[0]), "writable");
	T(!loop_readable(&loop, fd[0]), "wants add up, results do not");
	T(!loop_writable(&loop, fd[1]), "want 0 is no want");

	T_INT(sock_write(fd[1], S("x"), &why), 1, "a byte");
	loop_begin(&loop);
	loop_want(&loop, fd[0], WANT_READ | WANT_WRITE);
	(void)loop_wait(&loop, LOOP_NEVER);
	T_INT(loop.ready, 2, "both ways");
	T(loop_readable(&loop, fd[0]) && loop_writable(&loop, fd[0]), "both");
	T_INT(sock_read(fd[0], in, sizeof in, &why), 1, "taken");
	loop_begin(&loop);
	T(!loop_readable(&loop, fd[0]), "a turn starts with nothing");
	sock_close(fd[0]);
	sock_close(fd[1]);
}

static void test_deadline(void)
{
	int64_t t = loop_now();

	loop_begin(&loop);
	T_INT(loop_wait(&loop, t + 60), 0, "no signal");
	T(loop_now() - t >= 60, "slept %d ms", (int)(loop_now() - t));
	T(loop_now() - t < 2000, "and not much longer");
	t = loop_now();
	(void)loop_wait(&loop, t - 1000);
	(void)loop_wait(&loop, INT64_MIN);
	T(loop_now() - t < 50, "a past deadline does not sleep");
}

/* A descriptor closed under our feet must not make the loop spin. */
static void test_bad(void)
{
	int fd[2];

	T_INT(sock_pair(fd, &why), OK, "pair");
	loop_begin(&loop);
	loop_want(&loop, fd[0], WANT_READ);
	loop_want(&loop, fd[1], WANT_READ);
	sock_close(fd[0]);
	(void)loop_wait(&loop, LOOP_NEVER);
	T_INT(loop.ready, 1, "one is bad");
	T(loop_readable(&loop, fd[0]) && loop_writable(&loop, fd[0]),
	    "it is ready for its owner to see");
	T(!loop_readable(&loop, fd[1]), "the other is not");
	sock_close(fd[1]);
}

static void test_signals(void)
{
	static const struct {
		int number;
		unsigned bit;
	} each[] = {
		{ SIGTERM, LOOP_TERM }, { SIGINT, LOOP_INT },
		{ SIGHUP, LOOP_HUP }, { SIGCHLD, LOOP_CHILD }
	};
	size_t i;
	pid_t pid;
	unsigned got;
	int64_t t;

	for (i = 0; i < COUNT(each); i++) {
		(void)raise(each[i].number);
		loop_begin(&loop);
		T_INT(loop_wait(&loop, LOOP_NEVER), each[i].bit,
		    "signal %d before the wait", each[i].number);
		T_INT(loop.ready, 0, "is no descriptor");
		loop_begin(&loop);
		T_INT(loop_wait(&loop, 0), 0, "and is told once");
	}
	(void)raise(SIGTERM);
	(void)raise(SIGHUP);
	(void)raise(SIGHUP);
	loop_begin(&loop);
	T_INT(loop_wait(&loop, LOOP_NEVER), LOOP_TERM | LOOP_HUP, "together");
	(void)raise(SIGPIPE);
	T(1, "SIGPIPE is ignored");
	for (i = 0; i < 100000; i++)
		(void)raise(SIGHUP);
	loop_begin(&loop);
	T_INT(loop_wait(&loop, LOOP_NEVER), LOOP_HUP, "a flood is one");

	t = loop_now();
	pid = fork();
	if (pid == 0) {
		const struct timespec nap = { 0, 50000000 };

		(void)nanosleep(&nap, NULL);
		_exit(0);
	}
	got = 0;
	while (!(got & LOOP_CHILD) && loop_now() - t < 5000) {
		loop_begin(&loop);
		got = loop_wait(&loop, t + 5000);
	}
	T(got & LOOP_CHILD, "a child's end interrupts the wait");
	T(loop_now() - t < 2000, "at once");
	(void)waitpid(pid, NULL, 0);
}

static void test_clocks(void)
{
	int64_t a = loop_now(), b = loop_now();

	T(a > 0 && b >= a, "forward");
	loop_pause(3000);
	T_INT(loop_recent(), b, "what was said last, whatever time it is");
	T(loop_now() > b && loop_recent() > b, "until it is asked again");
	T(loop_wall() > INT64_C(1500000000000), "wall clock in ms");
}

static void test_random(void)
{
	unsigned char a[256], b[256];
	size_t i, same = 0, zero = 0;

	memset(a, 0, sizeof a);
	memset(b, 0, sizeof b);
	T_INT(loop_random(a, sizeof a), OK, "random");
	T_INT(loop_random(b, sizeof b), OK, "random");
	for (i = 0; i < sizeof a; i++) {
		same += a[i] == b[i];
		zero += a[i] == 0;
	}
	T(same < 32 && zero < 32, "not twice the same");
	T_INT(loop_random(a, 257), E_FAULT, "more than the bound");
	memset(a, 0, sizeof a);
	T_INT(from_device((char *)a, sizeof a), OK, "the device as well");
	for (i = zero = 0; i < sizeof a; i++)
		zero += a[i] == 0;
	T(zero < 32, "filled");
}

/* Neither the call nor the device: an error, and nothing that could be taken
 * for random bytes. */
static void test_no_random(void)
{
#ifdef __linux__
	struct rlimit old, low = { 0, 0 };
	unsigned char a[32];
	size_t i, same;

	memset(a, 0x55, sizeof a);
	(void)getrlimit(RLIMIT_NOFILE, &old);
	low.rlim_max = old.rlim_max;
	for (meagre = 1; meagre <= 2; meagre++) {
		T_INT(loop_random(a, sizeof a), OK, "the device helps out");
		(void)setrlimit(RLIMIT_NOFILE, &low);
		T_INT(loop_random(a, sizeof a), E_FAULT,
		    "no random bytes: an error, no other source");
		(void)setrlimit(RLIMIT_NOFILE, &old);
	}
	meagre = 0;
	for (same = i = 0; i < sizeof a; i++)
		same += a[i] == 0x55;
	T(same < 8, "the device's were there");
#endif
}

/* In a child, as it takes the standard descriptors away. */
static void test_standard(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct loop l;
		int fd;

		for (fd = 0; fd < 3; fd++)
			sock_close(fd);
		if (loop_init(&l) != OK)
			_exit(2);
		for (fd = 0; fd < 3; fd++)
			if (fcntl(fd, F_GETFD) < 0)
				_exit(3);
		if (wake[0] < 3 || wake[1] < 3)
			_exit(4);
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	T_INT(status, 0, "0-2 are occupied before anything else opens");
}

/* Past FD_SETSIZE the program ends rather than write beyond the set. */
static void test_trap(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGABRT, SIG_DFL);
		loop_begin(&loop);
		loop_want(&loop, FD_SETSIZE, WANT_READ);
		_exit(0);
	}
	(void)waitpid(pid, &status, 0);
	T(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "trapped");
}

int main(void)
{
	T_INT(loop_init(&loop), OK, "init");
	T_INT(loop_init(&loop), OK, "and again, as after a fork");
	test_ready();
	test_deadline();
	test_bad();
	test_signals();
	test_clocks();
	test_random();
	test_no_random();
	test_standard();
	test_trap();
	return t_done("loop");
}
