/* keeper.c -- a process that starts others, for one that gave that right up.
 *
 * The keeper holds a copy of what its parent held when it was split off, and
 * looks at nothing of it. It reads descriptors from one socket and knows no
 * other bytes.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "keeper.h"
#include "loop.h"

enum { TICK = 2, MOMENT = 50 };	/* ms */

void keeper_bind(long parent)
{
#ifdef __linux__
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	if (getppid() != (pid_t)parent)
		_exit(0);
}

void keeper_signals(int ignored)
{
	static const int all[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE,
		SIGXFSZ };
	struct sigaction sa;
	sigset_t none;
	size_t i;

	memset(&sa, 0, sizeof sa);
	sigemptyset(&sa.sa_mask);
	for (i = 0; i < COUNT(all); i++) {
		sa.sa_handler = ignored && all[i] != SIGCHLD ? SIG_IGN :
		    SIG_DFL;
		(void)sigaction(all[i], &sa, NULL);
	}
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* No number beyond FD_SETSIZE is ever kept by this program, so the search ends
 * there. */
void keeper_close_others(int keep)
{
	int fd;

	for (fd = 3; fd < FD_SETSIZE; fd++)
		if (fd != keep)
			sock_close(fd);
	sock_close(0);
	(void)open("/dev/null", O_RDONLY);
}

static void tick(void)
{
	const struct timespec t = { 0, TICK * 1000000 };

	(void)nanosleep(&t, NULL);
}

static void end_child(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* The parent is through. The child's descriptor has ended as well; a bound one
 * is given a moment to end its own. */
static void last_child(const struct keeper *k, pid_t pid)
{
	int left;

	for (left = MOMENT; pid > 0 && (left > 0 || !k->bound); left -= TICK) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return;
		tick();
	}
	end_child(pid);
}

static void keep(const struct keeper *k, int from)
{
	pid_t own = getpid(), pid = 0;
	enum sock_reason why;
	int fd;

	while ((fd = sock_take(from, &why)) >= 0) {
		end_child(pid);
		pid = fork();
		if (pid == 0) {
			if (k->bound)
				keeper_bind(own);
			keeper_close_others(fd);
			k->run(k->ctx, fd);
			_exit(0);
		}
		sock_close(fd);
	}
	last_child(k, pid);
	_exit(0);
}

long keeper_fork(int *fd)
{
	enum sock_reason why;
	int pair[2];
	pid_t pid;

	if (sock_pair(pair, &why) != OK)
		return -1;
	pid = fork();
	*fd = pair[pid == 0];
	sock_close(pair[pid != 0]);
	if (pid < 0)
		sock_close(*fd);
	return pid;
}

static int split(struct keeper *k)
{
	long parent = getpid();
	int fd;

	k->pid = keeper_fork(&fd);
	if (k->pid == 0) {
		keeper_bind(parent);
		/* What the terminal says is for the parent to decide. */
		keeper_signals(1);
		keeper_close_others(fd);
		keep(k, fd);
	}
	if (k->pid < 0) {
		k->pid = 0;
		return E_FAULT;
	}
	k->fd = fd;
	return OK;
}

int keeper_start(struct keeper *k, void (*run)(void *ctx, int fd), void *ctx,
    int bound)
{
	k->fd = -1;
	k->pid = 0;
	k->run = run;
	k->ctx = ctx;
	k->bound = bound;
	return split(k);
}

int keeper_child(struct keeper *k)
{
	enum sock_reason why;
	int fd[2], r;

	/* It was killed, and can be replaced only by one who may do so. */
	if (k->fd < 0 && split(k) != OK)
		return -1;
	if (sock_pair(fd, &why) != OK)
		return -1;
	r = sock_give(k->fd, fd[1], &why);
	sock_close(fd[1]);
	if (r == OK)
		return fd[0];
	sock_close(fd[0]);
	sock_close(k->fd);
	k->fd = -1;
	if (k->pid > 0)
		(void)waitpid((pid_t)k->pid, NULL, WNOHANG);
	return -1;
}

void keeper_stop(struct keeper *k, int ms)
{
	pid_t pid = (pid_t)k->pid;
	int64_t until = loop_now() + ms;

	sock_close(k->fd);
	k->fd = -1;
	k->pid = 0;
	/* What still runs then dies with us, if it is bound; a disk that hangs
	 * is not waited for. */
	while (pid > 0 && waitpid(pid, NULL, WNOHANG) == 0 &&
	    loop_now() < until)
		tick();
}
