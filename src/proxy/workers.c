/* workers.c -- WORKERS: several processes that serve, and one that watches.
 *
 * Each worker has the listeners, and slots, upstreams and a helper of its own;
 * whoever is awake first takes a connection. The monitor is in memory that all
 * of them share (share.h), so there is one journal and one page, and whichever
 * worker a reader meets can tell everything. The process that started them
 * serves nobody: it writes the journal's file, puts another worker in the place
 * of one that died, accounts for what that one left unfinished, and ends them.
 *
 * Signals are for this process alone. A worker takes orders from a socket, one
 * byte each; at the other end of it arrives a byte when there is something for
 * the journal's file. With the end of the socket, and with its parent's, a
 * worker ends.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy.h"

enum {
	WATCHER = SHARE_WHO_MAX,
	AGAIN_MIN = 100, AGAIN_MAX = 10000,	/* ms between two that die */
	HEALTHY = 10000,	/* ms after which a death counts as the first */
	STUCK = 10000,		/* ms that one may hold the lock: more than the
				 * largest request takes on the slowest machine */
	LOOKS = 1000,		/* and so often it must have been seen, as the
				 * clock goes on while all of us are stopped */
	COMPLAIN = 256,		/* moments */
	ORDER_TRIES = 100,	/* of a write that only a signal can be before */
	END_MS = 2000,		/* from being told to end at once */
	HELPER_MS = 100		/* for its helper's keeper to end */
};

struct worker {
	pid_t pid;		/* 0: none */
	int dead, status;	/* of waitpid; still to be accounted for */
	int fd;			/* orders go there */
	int64_t began, again;	/* when it was, and may be, started */
	unsigned deaths;	/* in a row */
	struct keeper helper;
};

static struct {
	struct worker of[WORKERS_MAX];
	size_t n;
	uint32_t hold;		/* of the lock, as it was seen last, */
	unsigned looks;		/* so many times */
	int64_t held_since;
	int64_t until;		/* while ending: who lives then is killed */
	int lost;		/* one can't go on, and no other could */
} all;

void workers_prepare(struct proxy *p, const struct helper_service *services,
    size_t n)
{
	for (all.n = 0; all.n < p->config->workers; all.n++) {
		(void)helper_keep(&p->helper, services, n);
		all.of[all.n].helper = p->helper.keeper;
		all.of[all.n].fd = -1;
	}
}

/* ---- one that died ---------------------------------------------------- */

static void say(struct proxy *p, size_t i, const char *what, int number,
    const char *then)
{
	char text[160];
	struct buf b = buf_on(text, sizeof text);

	buf_put(&b, S("worker "));
	buf_u64(&b, i + 1);
	buf_put(&b, str_of(what));
	if (number >= 0)
		buf_u64(&b, (uint64_t)number);
	buf_put(&b, str_of(then));
	monitor_say(p->monitor, "warning", buf_str(&b));
}

/* Its requests end here. What their records point to was its own memory. */
static void settle(struct proxy *p, size_t i)
{
	struct client *of = p->all + i * p->n;
	struct slot_memory mem = memory_slot(p, 0);
	struct arena scratch = { mem.work, mem.work_end };
	struct fault f;
	size_t k;

	FAULT(&f, 500, S("the worker that served this request died"));
	for (k = 0; k < p->n; k++) {
		if (of[k].x.rec.begun) {
			record_abandon(&of[k].x.rec, &f, &scratch);
			otlp_ended(p->monitor, label_str(&of[k].x.rec.id));
			memory_release(mem.work, mem.work_end);
		}
		/* What was never used costs no memory, and stays so. */
		if (of[k].state != CLIENT_FREE)
			memset(&of[k], 0, sizeof of[k]);
	}
}

/* It died with the lock, perhaps between two counters. */
static void count_anew(struct proxy *p)
{
	struct monitor *m = p->monitor;
	size_t k;

	m->open = 0;
	for (k = 0; k < p->nall; k++)
		m->open += p->all[k].x.rec.begun != 0;
	m->metrics.ended = m->requests - m->open;
}

static int is_dead(struct worker *w)
{
	if (!w->dead && w->pid && waitpid(w->pid, &w->status, WNOHANG) ==
	    w->pid)
		w->dead = 1;
	return w->dead;
}

/* While this process waits for the lock. Its holder may have died with it, or
 * have been stopped: one that is found with it again and again is ended, as all
 * others wait for it. */
static int wait_for_lock(void *ctx, uint32_t hold)
{
	struct proxy *p = ctx;
	unsigned who = share_holder(hold);

	if (who == 0 || who > all.n)
		return 0;
	if (is_dead(&all.of[who - 1])) {
		monitor_mend(p->monitor);
		count_anew(p);
		return 1;
	}
	if (hold != all.hold) {
		all.hold = hold;
		all.looks = 0;
		all.held_since = loop_now();
	}
	if (++all.looks > LOOKS && loop_now() - all.held_since > STUCK)
		(void)kill(all.of[who - 1].pid, SIGKILL);
	return 0;
}

static void back_off(struct worker *w, int64_t now)
{
	int64_t pause = AGAIN_MIN;
	unsigned k;

	if (now - w->began > HEALTHY)
		w->deaths = 0;
	for (k = 0; k < w->deaths && pause < AGAIN_MAX; k++)
		pause *= 2;
	w->deaths++;
	w->again = now + pause;
}

static void bury(struct proxy *p, size_t i)
{
	struct worker *w = &all.of[i];
	const char *then;

	/* Its helper's keeper is gone: another worker would have none. */
	all.lost |= WIFEXITED(w->status) && WEXITSTATUS(w->status) == 1;
	then = p->draining || all.lost ? "" : "; another takes its place";
	sock_close(w->fd);
	w->fd = -1;
	monitor_enter(p->monitor);
	settle(p, i);
	p->monitor->resident[i] = 0;
	p->taken[i] = 0;
	if (WIFSIGNALED(w->status))
		say(p, i, " was killed by signal ", WTERMSIG(w->status), then);
	else if (!p->draining || WEXITSTATUS(w->status))
		say(p, i, " ended with status ", WEXITSTATUS(w->status), then);
	monitor_leave(p->monitor);
	w->pid = 0;
	w->dead = 0;
	back_off(w, loop_now());
}

static size_t reap(struct proxy *p)
{
	size_t i, living = 0;

	for (i = 0; i < all.n; i++) {
		if (is_dead(&all.of[i]))
			bury(p, i);
		living += all.of[i].pid != 0;
	}
	return living;
}

/* ---- a worker --------------------------------------------------------- */

unsigned workers_orders(struct proxy *p)
{
	enum sock_reason why;
	char byte;
	long n;

	if (!loop_readable(&p->loop, p->orders))
		return 0;
	n = sock_read(p->orders, &byte, 1, &why);
	if (n == SOCK_AGAIN)
		return 0;
	if (n <= 0)
		p->draining = 1;	/* nobody watches: at once */
	return LOOP_TERM;
}

/* A worker that has waited long wakes who could do something about it. */
static int complain(void *ctx, uint32_t hold)
{
	static unsigned times;
	struct proxy *p = ctx;

	(void)hold;
	if (++times % COMPLAIN == 0)
		sock_wake(p->orders);
	return 0;
}

static int become(struct proxy *p, size_t i, long parent)
{
	size_t k;

	keeper_bind(parent);
	local_forget(&p->local);
	for (k = 0; k < all.n; k++) {
		sock_close(all.of[k].fd);
		if (k != i)
			sock_close(all.of[k].helper.fd);
	}
	p->worker = (unsigned)i + 1;
	p->clients = p->all + i * p->n;
	p->helper.keeper = all.of[i].helper;
	p->account.told = i > 0;
	share_become(p->worker, complain, p);
	monitor_worker(p->orders);
	return loop_init(&p->loop) == OK && loop_random(p->ids.seed,
	    sizeof p->ids.seed) == OK ? OK : E_FAULT;
}

/* OK; E_FAULT; in the worker E_MORE. */
static int start(struct proxy *p, size_t i)
{
	struct worker *w = &all.of[i];
	long parent = getpid();
	int fd;

	w->began = loop_now();
	w->again = w->began + AGAIN_MAX;
	w->pid = (pid_t)keeper_fork(&fd);
	if (w->pid == 0) {
		p->orders = fd;
		if (become(p, i, parent) != OK)
			_exit(2);
		return E_MORE;
	}
	if (w->pid < 0) {
		w->pid = 0;
		return E_FAULT;
	}
	w->fd = fd;
	return OK;
}

/* ---- watching --------------------------------------------------------- */

/* Nobody says it a second time, so it isn't given up at once. Where there is no
 * room for it, an order lies there already. */
static void order_one(const struct worker *w)
{
	enum sock_reason why;
	int tries = ORDER_TRIES;

	while (sock_write(w->fd, S("."), &why) == SOCK_AGAIN && --tries)
		continue;
}

static void order(int64_t now, int64_t grace)
{
	size_t i;

	for (i = 0; i < all.n; i++)
		if (all.of[i].pid)
			order_one(&all.of[i]);
	all.until = now + grace;
}

static void obey(struct proxy *p, unsigned signals)
{
	if (signals & LOOP_HUP)
		monitor_reopen(p->monitor);
	if (!(signals & (LOOP_TERM | LOOP_INT)))
		return;
	order(p->now, p->draining ? END_MS : p->config->drain_ms + END_MS);
	if (p->draining)
		return;
	p->draining = 1;
	proxy_stop_listening(p);
	if (p->monitor->open)
		monitor_say(p->monitor, "note", S("ending; requests in flight "
		    "may finish (DRAIN_TIMEOUT)"));
}

static unsigned wait_for_news(struct proxy *p)
{
	int64_t wake = p->draining ? all.until : LOOP_NEVER;
	enum sock_reason why;
	unsigned signals;
	char bytes[64];
	size_t i;

	loop_begin(&p->loop);
	if (proxy_want_monitor(p) < wake)
		wake = p->monitor_at;
	for (i = 0; i < all.n; i++) {
		loop_want(&p->loop, all.of[i].fd, WANT_READ);
		if (!all.of[i].pid && !p->draining && all.of[i].again < wake)
			wake = all.of[i].again;
	}
	signals = loop_wait(&p->loop, wake);
	p->now = loop_now();
	for (i = 0; i < all.n; i++)
		if (loop_readable(&p->loop, all.of[i].fd))
			(void)sock_read(all.of[i].fd, bytes, sizeof bytes,
			    &why);
	return signals;
}

static void tend_monitor(struct proxy *p)
{
	monitor_enter(p->monitor);
	proxy_turn_monitor(p);
	monitor_settle(p->monitor, p->now, p->monitor_at);
	monitor_leave(p->monitor);
}

static int replace(struct proxy *p)
{
	size_t i;
	int r;

	for (i = 0; i < all.n; i++) {
		if (all.of[i].pid || p->draining || p->now < all.of[i].again)
			continue;
		r = start(p, i);
		if (r == E_MORE)
			return r;
		if (r != OK)
			say(p, i, " can't be started: no process or no memory",
			    -1, "; tried again in ten seconds");
	}
	return OK;
}

static void kill_late(int64_t now)
{
	size_t i;

	for (i = 0; i < all.n && now >= all.until; i++)
		if (all.of[i].pid)
			(void)kill(all.of[i].pid, SIGKILL);
}

int workers_run(struct proxy *p)
{
	size_t i;

	p->config->max_memory /= all.n;
	share_reveal();
	share_become(WATCHER, wait_for_lock, p);
	for (;;) {
		if (replace(p) == E_MORE)
			return E_MORE;
		tend_monitor(p);
		obey(p, wait_for_news(p));
		if (reap(p) == 0 && p->draining)
			break;
		if (all.lost && !p->draining)
			obey(p, LOOP_TERM);
		if (p->draining)
			kill_late(p->now);
	}
	otlp_close(p->monitor);
	alarm_close(p->monitor);
	monitor_close(p->monitor);
	for (i = 0; i < all.n; i++)
		keeper_stop(&all.of[i].helper, HELPER_MS);
	return all.lost ? E_FAULT : OK;
}
