/* helper.c -- questions, answers, deadlines and deaths of the helper process.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/sock.c net/loop.c net/keeper.c net/sandbox.c */
#include "t.h"

#include "../../src/net/helper.c"

static struct helper helper;
static struct loop loop;

/* A service for tests: what it does is the question. */
static int serve_test(struct str ask, struct buf *answer, unsigned *keep_s)
{
	const struct timespec nap = { 0, 300000000 };
	sigset_t mask;

	*keep_s = 60;
	if (str_starts(ask, S("hang")))
		for (;;)
			(void)pause();
	if (str_eq(ask, S("nap")))
		(void)nanosleep(&nap, NULL);
	if (str_eq(ask, S("crash")))
		(void)raise(SIGKILL);
	if (str_eq(ask, S("exit")))
		_exit(3);
	if (str_eq(ask, S("once")))
		*keep_s = 0;
	if (str_eq(ask, S("fail"))) {
		buf_put(answer, S("it is Monday"));
		return E_FAULT;
	}
	if (str_eq(ask, S("group")))
		buf_put(answer, getpgrp() == getpid() ? S("own") : S("no"));
	if (str_eq(ask, S("input"))) {
		char c;

		buf_put(answer, read(0, &c, 1) == 0 ? S("end") : S("no"));
	}
	if (str_eq(ask, S("open"))) {
		int fd, n = 0;

		for (fd = 3; fd < FD_SETSIZE; fd++)
			n += fcntl(fd, F_GETFD) >= 0;
		buf_int(answer, n);
	}
	if (str_eq(ask, S("signals"))) {
		struct sigaction sa;

		(void)sigprocmask(SIG_BLOCK, NULL, &mask);
		buf_put(answer, sigaction(SIGTERM, NULL, &sa) == 0 &&
		    sa.sa_handler == SIG_DFL &&
		    !sigismember(&mask, SIGTERM) ? S("default") : S("no"));
	}
	if (str_eq(ask, S("long")))
		while (!answer->full)
			buf_chr(answer, 'x');
	if (str_eq(ask, S("full")))
		while (answer->n < answer->cap)
			buf_chr(answer, 'y');
	if (answer->n == 0) {
		buf_put(answer, S("re:"));
		buf_put(answer, ask);
	}
	return OK;
}

static const struct helper_service services[] = {
	{ HELPER_CREDENTIALS, serve_test, 400 }
};

static void turn(int64_t most)
{
	int64_t deadline = loop_now() + most, own = helper_deadline(&helper);

	loop_begin(&loop);
	loop_want(&loop, helper_fd(&helper), helper_want(&helper));
	loop_wait(&loop, own < deadline ? own : deadline);
	helper_turn(&helper, loop_now());
}

/* Asks until there is an answer, for ten seconds at most. */
static int ask(struct str what, struct str *answer)
{
	int64_t end = loop_now() + 10000;
	int r;

	while ((r = helper_ask(&helper, HELPER_CREDENTIALS, what, loop_now(),
	    answer)) == E_MORE && loop_now() < end)
		turn(1000);
	return r;
}

static void start(void)
{
	T_INT(helper_start(&helper, services, 1, loop_now()), OK, "starts");
}

static void test_answers(void)
{
	struct str a;
	int64_t t;

	start();
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("one"), loop_now(),
	    &a), E_MORE, "the first call never has the answer");
	T_INT(ask(S("one"), &a), OK, "one");
	T_STR(a, S("re:one"), "the answer to one");
	t = loop_now();
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("one"), t + 59000,
	    &a), OK, "kept for as long as the service said");
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("one"), t + 61000,
	    &a), E_MORE, "asked anew after that");
	T_INT(ask(S("one"), &a), OK, "and answered");
	T_INT(ask(S("once"), &a), OK, "kept for none but who waits");
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("once"),
	    loop_now() + 1100, &a), E_MORE, "keep 0 is asked anew");
	T_INT(ask(S("fail"), &a), E_FAULT, "a failure");
	T_STR(a, S("it is Monday"), "has its reason");
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("fail"), loop_now(),
	    &a), E_FAULT, "all who wait see it");
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("fail"),
	    loop_now() + 1100, &a), E_MORE, "then it is tried anew");
	T_INT(ask(S("full"), &a), OK, "an answer of the largest size");
	T_INT(a.n, HELPER_ANSWER_MAX, "arrives whole");
	T_INT(ask(S("long"), &a), E_FAULT, "a longer one fails");
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S(""), 1, &a), E_LIMIT,
	    "nothing can't be asked");
	T_INT(helper_ask(&helper, (enum helper_kind)9, S("x"), 1, &a),
	    E_LIMIT, "nor what nobody serves");
	helper_stop(&helper);
}

static void test_worker_world(void)
{
	struct str a;

	start();
	T_INT(ask(S("group"), &a), OK, "group");
	T_STR(a, S("own"), "a worker leads its own process group");
	T_INT(ask(S("input"), &a), OK, "input");
	T_STR(a, S("end"), "its standard input is empty");
	T_INT(ask(S("open"), &a), OK, "open");
	T_STR(a, S("1"), "it holds one descriptor besides 0-2");
	T_INT(ask(S("signals"), &a), OK, "signals");
	T_STR(a, S("default"), "its signals are at their defaults");
	helper_stop(&helper);
}

static void test_deadline(void)
{
	int64_t t = loop_now();
	struct str a, b;
	int r;

	start();
	(void)helper_ask(&helper, HELPER_CREDENTIALS, S("hang"), t, &a);
	T_INT(ask(S("quick"), &b), OK, "a hanging one delays no other");
	T(loop_now() - t < 300, "quick took %d ms", (int)(loop_now() - t));
	r = ask(S("hang"), &a);
	T_INT(r, E_FAULT, "what hangs is ended");
	T_STR(a, S("no answer in time"), "with a reason");
	T(loop_now() - t >= 400 && loop_now() - t < 2000,
	    "at its deadline, after %d ms", (int)(loop_now() - t));
	helper_stop(&helper);
}

/* More hanging questions than workers: the last gets its turn. */
static void test_all_busy(void)
{
	int64_t t = loop_now();
	char name[] = "hang0";
	struct str a;
	int i;

	start();
	for (i = 0; i < HELPER_WORKERS; i++) {
		name[4] = (char)('0' + i);
		(void)helper_ask(&helper, HELPER_CREDENTIALS, str_of(name),
		    t, &a);
	}
	T_INT(ask(S("patient"), &a), OK, "answered when a worker is free");
	T_STR(a, S("re:patient"), "and rightly");
	T(loop_now() - t >= 390, "not before, after %d ms",
	    (int)(loop_now() - t));
	helper_stop(&helper);
}

static void test_table_full(void)
{
	char name[] = "hang_A";
	struct str a;
	int i;

	start();
	for (i = 0; i < HELPER_ENTRIES; i++) {
		name[5] = (char)('A' + i);
		(void)helper_ask(&helper, HELPER_CREDENTIALS, str_of(name),
		    loop_now(), &a);
	}
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("more"), loop_now(),
	    &a), E_MORE, "no place: ask again later");
	T(find(&helper, HELPER_CREDENTIALS, S("more")) == NULL,
	    "it took none");
	T_INT(ask(S("more"), &a), OK, "and got one in the end");
	helper_stop(&helper);
}

static void test_deaths(void)
{
	struct str a;
	int64_t t;
	long pid;

	start();
	T_INT(ask(S("crash"), &a), E_FAULT, "a worker that crashes");
	T_STR(a, S("the lookup crashed"), "is a failure with a reason");
	T_INT(ask(S("exit"), &a), E_FAULT, "one that exits as well");
	T_INT(ask(S("fine"), &a), OK, "and the next is fine");

	(void)helper_ask(&helper, HELPER_CREDENTIALS, S("hang"), loop_now(),
	    &a);
	turn(0);
	pid = helper.pid;
	if (!T(pid > 1, "it has said its number"))
		return;
	(void)kill((pid_t)pid, SIGKILL);
	T_INT(ask(S("hang"), &a), E_FAULT, "the child killed");
	T_STR(a, S("the helper process ended; try again"), "has a reason");
	T_INT(helper_fd(&helper), -1, "no descriptor to wait for");
	T_INT(helper_want(&helper), 0, "and nothing wanted");
	t = loop_now();
	T_INT(ask(S("again"), &a), OK, "it is started again");
	T(helper.pid != pid, "as a new process");
	T(loop_now() - t < 1000, "after %d ms", (int)(loop_now() - t));
	turn(0);
	T_INT(waitpid(-1, NULL, WNOHANG), 0, "the keeper is our only child");
	pid = helper.keeper.pid;
	if (!T(pid > 1, "its number is known"))
		return;
	(void)kill((pid_t)pid, SIGKILL);
	t = loop_now();
	/* Until then the child may answer a last time. */
	while ((ask(S("later"), &a) != OK || helper.keeper.pid == pid) &&
	    loop_now() - t < 5000)
		turn(10);
	T_INT(ask(S("later"), &a), OK, "a keeper is replaced as well");
	T(helper.keeper.pid != pid, "by a new one");
	helper_stop(&helper);
	T_INT(waitpid(-1, NULL, WNOHANG), -1, "none is left after the stop");
}

static void test_restart_rate(void)
{
	int64_t now = loop_now(), last = now;
	int i;

	memset(&helper, 0, sizeof helper);
	for (i = 0; i < 20; i++) {
		back_off(&helper, now);
		T(helper.again - now >= last - now || i == 0,
		    "death %d waits no less than the one before", i);
		last = helper.again;
	}
	T_INT(helper.again - now, AGAIN_MAX, "up to a bound");
}

/* A stuck child is found out by the parent's own deadline. */
static void test_stuck(void)
{
	struct str a;
	int64_t now = loop_now();
	long pid;

	start();
	T_INT(ask(S("x"), &a), OK, "it works");
	pid = helper.pid;
	if (!T(pid > 1, "and has said its number"))
		return;
	(void)kill((pid_t)pid, SIGSTOP);
	(void)helper_ask(&helper, HELPER_CREDENTIALS, S("y"), now + 1000, &a);
	helper_turn(&helper, now + 1000);
	helper_turn(&helper, now + 1000 + 400 + SLACK);
	T_INT(helper_ask(&helper, HELPER_CREDENTIALS, S("y"),
	    now + 1000 + 400 + SLACK, &a), E_FAULT, "no answer in time");
	T_INT(helper.fd, -1, "and the child is given up");
	helper_stop(&helper);
}

/* What the child might send if it were not ours. */
static void test_garbage(void)
{
	struct helper_frame f;
	enum sock_reason why;
	int fd[2];

	memset(&helper, 0, sizeof helper);
	T_INT(sock_pair(fd, &why), OK, "a pair");
	helper.fd = fd[0];
	helper.keeper.fd = -1;
	memset(&f, 0xff, sizeof f);
	T_INT(frame_write(fd[1], &f), OK, "garbage goes out");
	helper_turn(&helper, loop_now());
	T_INT(helper.fd, -1, "an impossible length ends the child");
	sock_close(fd[1]);
	helper_stop(&helper);
}

static void test_life(void)
{
	struct str a;
	int status, fd[2];
	enum sock_reason why;
	char text[32] = "";
	long got = SOCK_AGAIN;
	int64_t end;
	pid_t child_pid, pid;

	/* A process that starts a helper with a hanging worker, tells its
	 * number and is killed. */
	T_INT(sock_pair(fd, &why), OK, "a pair");
	pid = fork();
	if (pid == 0) {
		struct buf b = buf_on(text, sizeof text);

		memset(&helper, 0, sizeof helper);
		(void)helper_start(&helper, services, 1, loop_now());
		(void)helper_ask(&helper, HELPER_CREDENTIALS, S("hang"),
		    loop_now(), &a);
		for (end = loop_now() + 2000; !helper.pid &&
		    loop_now() < end;)
			turn(20);
		turn(50);
		buf_int(&b, helper.pid);
		(void)sock_write(fd[1], buf_str(&b), &why);
		(void)raise(SIGKILL);
	}
	(void)waitpid(pid, &status, 0);
	got = sock_read(fd[0], text, sizeof text - 1, &why);
	child_pid = got > 0 ? (pid_t)atol(text) : 0;
	if (!T(child_pid > 1, "the helper was started"))
		return;
	end = loop_now() + 2000;
	while (kill(child_pid, 0) == 0 && loop_now() < end)
		turn(20);
	/* It may linger as a zombie of whoever adopts orphans here. */
	if (kill(child_pid, 0) == 0)
		t_skip("whether the helper died: nobody reaps orphans");
	else
		T(1, "the helper dies with its parent");
	sock_close(fd[0]);
	sock_close(fd[1]);
}

static int names(struct str host, struct helper_addrs *out, struct str *why)
{
	int64_t end = loop_now() + 20000;
	int r;

	while ((r = helper_resolve(&helper, host, 443, loop_now(), out, why))
	    == E_MORE && loop_now() < end)
		turn(1000);
	return r;
}

static void test_resolve(void)
{
	char text[SOCK_ADDR_TEXT];
	struct helper_addrs out;
	struct str why = S("");
	struct buf b;

	memset(&helper, 0, sizeof helper);
	T_INT(helper_resolve(&helper, S("192.0.2.1"), 80, 1, &out, &why), OK,
	    "an address needs no child");
	T_INT(out.n, 1, "one address");
	T_INT(out.addr[0].port, 80, "with the port");
	T_INT(helper_resolve(&helper, S("[2001:db8::1]"), 80, 1, &out, &why),
	    OK, "IPv6 in brackets");
	T_INT(helper_resolve(&helper, S("LocalHost"), 80, 1, &out, &why), OK,
	    "localhost needs none");
	T_INT(out.n, 2, "two addresses");
	T(sock_addr_is_loopback(&out.addr[0]) &&
	    sock_addr_is_loopback(&out.addr[1]), "both loopback");
	T_INT(helper_resolve(&helper, S("x.localhost."), 80, 1, &out, &why),
	    OK, "RFC 6761: below localhost as well");
	T_INT(helper_resolve(&helper, S("a b"), 80, 1, &out, &why), E_FAULT,
	    "no name");
	T_INT(helper_resolve(&helper, S(""), 80, 1, &out, &why), E_FAULT,
	    "no name at all");
	T_INT(helper_resolve(&helper, S("a\0b"), 80, 1, &out, &why), E_FAULT,
	    "NUL in a name");

	start();
	/* The resolver knows this machine's own name where /etc/hosts does;
	 * ip6-localhost is what Debian has there. */
	if (gethostname(text, sizeof text) == 0 &&
	    names(str_of(text), &out, &why) == OK) {
		T(out.n >= 1, "this machine has an address");
		T_INT(out.addr[0].port, 443, "with the port");
		b = buf_on(text, sizeof text);
		sock_addr_text(&b, &out.addr[0]);
		T(b.n > 4 && !b.full, "that has a text");
	} else {
		t_skip("own host name: the resolver does not know it");
	}
	T_INT(names(S("no-such-name.invalid"), &out, &why), E_FAULT,
	    "RFC 6761: invalid has no names");
	T(why.n > 0, "and there is a reason");
	helper_forget(&helper, HELPER_RESOLVE, S("no-such-name.invalid"));
	T(find(&helper, HELPER_RESOLVE, S("no-such-name.invalid")) == NULL,
	    "forgotten");
	helper_stop(&helper);
}

int main(void)
{
	T_INT(loop_init(&loop), OK, "loop");
	test_answers();
	test_worker_world();
	test_deadline();
	test_all_busy();
	test_table_full();
	test_deaths();
	test_restart_rate();
	test_stuck();
	test_garbage();
	test_life();
	test_resolve();
	return t_done("helper");
}
