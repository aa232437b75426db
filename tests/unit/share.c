/* share.c -- memory and a lock for several processes.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/net/share.c"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "t.h"

enum { CHILDREN = 4, TIMES = 20000, PAGES = 65536 };

struct common {
	struct share_lock lock;
	uint64_t a, b;		/* change together */
	int wrong;
};

static struct common *c;
static pid_t dead;
static unsigned asked;

/* Each adds to both, and finds them equal whenever it has the lock. */
static void add(unsigned who)
{
	int i;

	share_become(who, NULL, NULL);
	for (i = 0; i < TIMES; i++) {
		share_take(&c->lock);
		c->wrong |= c->a != c->b || share_holder(c->lock.word) != who;
		c->a++;
		if (i % 3 == 0) {
			share_take(&c->lock);	/* once more, within */
			c->wrong |= share_once();
			share_free(&c->lock);
		}
		c->b++;
		c->wrong |= !share_once();
		share_free(&c->lock);
	}
	_exit(0);
}

static void exclusion(void)
{
	int i, status, bad = 0;
	pid_t pid[CHILDREN];

	for (i = 0; i < CHILDREN; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			add((unsigned)i + 1);
	}
	for (i = 0; i < CHILDREN; i++) {
		waitpid(pid[i], &status, 0);
		bad |= status;
	}
	T(!bad && !c->wrong, "one at a time");
	T_INT(c->a, CHILDREN * TIMES, "nothing is lost");
	T_INT(share_holder(c->lock.word), 0, "free in the end");
}

static int is_dead(void *ctx, uint32_t hold)
{
	int status;

	T(ctx == c, "context");
	T_INT(share_holder(hold), 7, "who has it");
	if (++asked == 1)
		kill(dead, SIGKILL);
	if (waitpid(dead, &status, WNOHANG) != dead)
		return 0;
	c->b = c->a;		/* mended before anybody else comes in */
	return 1;
}

static void holder_dies(void)
{
	dead = fork();
	if (dead == 0) {
		share_become(7, NULL, NULL);
		share_take(&c->lock);
		c->a++;
		for (;;)
			pause();
	}
	while (share_holder(c->lock.word) != 7)
		;
	share_become(9, is_dead, c);
	share_take(&c->lock);
	T(asked > 0 && c->a == c->b, "taken over, mended");
	T_INT(share_holder(c->lock.word), 9, "it is ours");
	share_free(&c->lock);
	T_INT(c->lock.word, 0, "and free");
}

/* 1: the child can read it. */
static int child_sees(const char *p)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(const volatile char *)p == 'x' ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void memory(void)
{
	char *hidden = share_map(PAGES), *open = share_map_open(PAGES);
	char *own = share_map_own(PAGES);
	pid_t pid;

	T(share_map(0) == NULL && share_map(UINT64_MAX) == NULL, "no such size");
	if (!T(hidden && open && own, "mapped"))
		return;
	hidden[0] = open[0] = own[0] = 'x';
	T(child_sees(open), "open to a child at once");
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
	if (getenv("RUN"))
		t_skip("%s gives a child all memory, and keeps what is given "
		    "back", getenv("RUN"));
	else
		T(!child_sees(hidden), "hidden from it");
#endif
	share_reveal();
	T(child_sees(hidden), "until it is revealed");
	pid = fork();
	if (pid == 0) {
		hidden[1] = own[1] = 'y';
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	T(hidden[1] == 'y' && own[1] == 0, "one is shared, one is not");
	share_drop(hidden, PAGES);
	T(hidden[0] == 0 || getenv("RUN"), "given back");
}

int main(void)
{
	struct share_lock alone = { 0 };

	share_take(&alone);
	share_take(&alone);
	share_free(&alone);
	T_INT(alone.word, 0, "without share_begin a lock is a test");
	share_begin();
	c = share_map_open(sizeof *c);
	if (!T(c != NULL, "memory"))
		return t_done("share");
	c->lock.shared = 1;
	exclusion();
	holder_dies();
	memory();
	return t_done("share");
}
