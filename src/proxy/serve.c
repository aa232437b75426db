/* serve.c -- the loop's one turn: who wants what, select, who can go on.
 *
 * Only connections that something happened to are visited: their descriptor
 * is ready, their deadline has passed, the helper spoke, or decrypted bytes
 * wait. So a turn costs what happens in it, beside the scan that select()
 * needs anyway.
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum {
	ACCEPT_MAX = 16,	/* new connections a turn */
	ACCEPT_PAUSE = 200	/* ms without accepting after running out of
				 * descriptors: no busy loop */
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int have_slot(const struct proxy *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->clients[i].state == CLIENT_FREE)
			return 1;
	return 0;
}

static int is_resting(const struct client *c)
{
	return c->state == CLIENT_HEAD && !c->begun;
}

/* Without a slot, and nobody who could make room, those who wait in the
 * backlog are not looked at: select would wake us for nothing, at once. */
static int can_take(const struct proxy *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->clients[i].state == CLIENT_FREE ||
		    is_resting(&p->clients[i]))
			return 1;
	return 0;
}

/* All slots taken: the connection that has rested longest makes room. */
static void make_room(struct proxy *p)
{
	struct client *c, *oldest = NULL;
	size_t i;

	for (i = 0; i < p->n; i++) {
		c = &p->clients[i];
		if (is_resting(c) &&
		    (!oldest || c->deadline < oldest->deadline))
			oldest = c;
	}
	if (oldest)
		client_close(p, oldest);
}

static void accept_some(struct proxy *p, int listener)
{
	struct sock_addr peer = { 0 };
	enum sock_reason why = SOCK_FINE;
	int i, fd;

	for (i = 0; i < ACCEPT_MAX; i++) {
		/* Later ones may not be there, and who was just accepted has
		 * had no turn to be read. */
		if (i == 0 && !have_slot(p))
			make_room(p);
		if (!have_slot(p))
			return;
		fd = sock_accept(listener, &peer, &why);
		if (fd == SOCK_AGAIN)
			return;
		if (fd < 0) {
			if (p->accept_after <= p->now - 10000)
				monitor_say(p->monitor, "warning",
				    S("out of file descriptors: new "
				    "connections wait"));
			p->accept_after = p->now + ACCEPT_PAUSE;
			return;
		}
		client_accept(p, fd, &peer);
	}
}

static int64_t collect_wants(struct proxy *p, int64_t wake)
{
	struct client *c;
	size_t i;

	for (i = 0; i < p->n; i++) {
		c = &p->clients[i];
		if (c->state == CLIENT_FREE)
			continue;
		loop_want(&p->loop, c->fd, client_want(c));
		wake = earlier(wake, client_deadline(p, c));
		if (c->x.stage == X_NONE || !c->x.conn)
			continue;
		loop_want(&p->loop, c->x.conn->fd,
		    conn_want(c->x.conn, exchange_want(c)));
		if (conn_pending(c->x.conn) && exchange_want(c))
			wake = 0;
	}
	for (i = 0; i < p->n; i++) {
		if (p->conns[i].state != CONN_IDLE &&
		    p->conns[i].state != CONN_DRAIN)
			continue;
		loop_want(&p->loop, p->conns[i].fd,
		    conn_want(&p->conns[i], 0));
		wake = earlier(wake, conn_deadline(&p->conns[i]));
	}
	return wake;
}

static int conn_ready(const struct proxy *p, const struct client *c)
{
	const struct conn *u = c->x.conn;

	if (c->x.stage == X_SIGN)
		return 1;
	if (c->x.stage == X_NONE || !u)
		return 0;
	return u->state == CONN_RESOLVE || loop_readable(&p->loop, u->fd) ||
	    loop_writable(&p->loop, u->fd) ||
	    (conn_pending(u) && exchange_want(c));
}

static void serve(struct proxy *p)
{
	struct client *c;
	size_t i;
	int r, w;

	for (i = 0; i < p->n; i++) {
		c = &p->clients[i];
		if (c->state == CLIENT_FREE)
			continue;
		r = loop_readable(&p->loop, c->fd);
		w = loop_writable(&p->loop, c->fd);
		if (r || w || conn_ready(p, c) || p->now >= client_deadline(p, c))
			client_turn(p, c, r, w);
	}
}

size_t proxy_busy(const struct proxy *p)
{
	size_t i, n = 0;

	for (i = 0; i < p->n; i++)
		n += p->clients[i].state != CLIENT_FREE &&
		    !(p->clients[i].state == CLIENT_HEAD &&
		    !p->clients[i].begun);
	return n;
}

int64_t proxy_want_monitor(struct proxy *p)
{
	loop_want(&p->loop, monitor_fd(p->monitor), monitor_want(p->monitor));
	loop_want(&p->loop, otlp_fd(p->monitor), otlp_want(p->monitor));
	loop_want(&p->loop, alarm_fd(p->monitor), WANT_READ);
	return p->monitor_at;
}

void proxy_turn_monitor(struct proxy *p)
{
	p->monitor_at = earlier(monitor_turn(p->monitor, p->now,
	    loop_readable(&p->loop, monitor_fd(p->monitor))),
	    otlp_turn(p->monitor, p->now));
	p->monitor_at = earlier(p->monitor_at, alarm_turn(p->monitor, p->now,
	    loop_readable(&p->loop, alarm_fd(p->monitor))));
}

unsigned proxy_turn(struct proxy *p, int64_t wake)
{
	unsigned signals;
	int i, fd;

	loop_begin(&p->loop);
	p->now = loop_now();
	if (p->now >= p->accept_after && !p->draining)
		for (i = 0; i < p->nlisteners && can_take(p); i++)
			loop_want(&p->loop, p->listener[i], WANT_READ);
	else if (!p->draining)
		wake = earlier(wake, p->accept_after);
	loop_want(&p->loop, helper_fd(&p->helper), helper_want(&p->helper));
	wake = earlier(wake, helper_deadline(&p->helper));
	if (p->worker)
		loop_want(&p->loop, p->orders, WANT_READ);
	else
		wake = earlier(wake, proxy_want_monitor(p));
	wake = collect_wants(p, wake);
	signals = loop_wait(&p->loop, wake);
	p->now = loop_now();
	fd = helper_fd(&p->helper);
	if (loop_readable(&p->loop, fd) || loop_writable(&p->loop, fd) ||
	    p->now >= helper_deadline(&p->helper))
		helper_turn(&p->helper, p->now);
	/* Pooled connections first: one that its server has just closed must
	 * not be taken up again. */
	conn_tend(p);
	account_tend(p);
	serve(p);
	if (p->worker)
		monitor_resident(p->monitor, p->now);
	else
		proxy_turn_monitor(p);
	if (!p->draining)
		for (i = 0; i < p->nlisteners; i++)
			if (loop_readable(&p->loop, p->listener[i]))
				accept_some(p, p->listener[i]);
	return signals;
}
