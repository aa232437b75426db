/* serve.c -- the loop's one turn: who wants what, select, who can go on.
 *
 * Only connections that something happened to are visited: their descriptor
 * is ready, their deadline has passed, the helper spoke, or decrypted bytes
 * wait. So a turn costs what happens in it, beside the scan that select()
 * needs anyway.
 *
 * SPDX-License-Identifier: MIT */
#include <limits.h>

#include "proxy.h"

enum {
	ACCEPT_MAX = 16,	/* new connections a turn */
	ACCEPT_PAUSE = 200,	/* ms without accepting after running out of
				 * descriptors: no busy loop */
	YIELD = 1,		/* ms that a new connection waits for a worker
				 * who has fewer, */
	YIELDED = 100,		/* and so long that was for this connection */
	SAY_AGAIN = 60000,	/* ms from one warning to the next of its kind */
	MANY = 32,		/* streams: select looks at both ends of all of
				 * them, whichever one it was that came on */
	LOOK_EVERY = 100,	/* ms, at the client's side of them */
	PAUSE = 500		/* us: more of them are ready then, and nobody
				 * sees a word come so much later */
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

/* One address, or one network of IPv6 as a house or a machine has it, may not
 * take all slots. On this machine addresses tell nobody apart. */
static int is_greedy(const struct proxy *p, const struct sock_addr *peer)
{
	static const unsigned char zeros[8];
	size_t i, n = 4, held = 0, most = p->config->per_client;

	if (sock_addr_is_loopback(peer))
		return 0;
	/* What begins with zeros is an address of IPv4 inside IPv6. */
	if (peer->family == 6)
		n = memcmp(peer->ip, zeros, sizeof zeros) == 0 ? 16 : 8;
	for (i = 0; i < p->n; i++)
		held += p->clients[i].state != CLIENT_FREE &&
		    p->clients[i].peer.family == peer->family &&
		    memcmp(p->clients[i].peer.ip, peer->ip, n) == 0;
	/* There may be fewer slots than were asked for. */
	return held >= (most < p->n ? most : (p->n * 3 + 3) / 4);
}

/* Somebody is told why he isn't served, and we are, now and then. first: the
 * answer's first lines. */
static void turn_away(struct proxy *p, int fd, struct str first,
    const struct fault *f, struct str warning, int64_t *said)
{
	char text[512], content[256], id_room[ID_MAX];
	struct str id = id_new(&p->ids, S("req_"), id_room);
	struct buf b = buf_on(text, sizeof text);
	struct buf body = buf_on(content, sizeof content);
	enum sock_reason why;

	fault_write(&body, f, id);
	buf_put(&b, first);
	buf_put(&b, S("content-type: application/json\r\nconnection: close\r\n"
	    "request-id: "));
	buf_put(&b, id);
	buf_put(&b, S("\r\ncontent-length: "));
	buf_int(&b, (int64_t)body.n);
	buf_put(&b, S("\r\n\r\n"));
	buf_put(&b, buf_str(&body));
	(void)sock_write(fd, buf_str(&b), &why);
	sock_close(fd);
	if (*said == 0 || *said <= p->now - SAY_AGAIN) {
		monitor_say(p->monitor, "warning", warning);
		*said = p->now;
	}
}

static void turn_away_greedy(struct proxy *p, int fd)
{
	struct fault f;

	FAULT(&f, 429, S("this address holds as many connections as one may "
	    "(CLIENT_CONNECTIONS)"));
	turn_away(p, fd, S("HTTP/1.1 429 Too Many Requests\r\n"
	    "retry-after: 5\r\n"), &f, S("an address holds as many "
	    "connections as one may (CLIENT_CONNECTIONS): more are turned "
	    "away"), &p->turned_away);
}

/* The file's mode keeps others out, unless it was changed; or they were given
 * a connection, or may pass over modes. */
static void turn_away_foreign(struct proxy *p, int fd)
{
	struct fault f;

	FAULT(&f, 403, S("this socket serves its own user and root alone "
	    "(SERVER_SOCKET)"));
	turn_away(p, fd, S("HTTP/1.1 403 Forbidden\r\n"), &f, S("another user "
	    "came by SERVER_SOCKET and was refused"), &p->kept_out);
}

static int is_resting(const struct client *c)
{
	return c->state == CLIENT_HEAD && !c->begun;
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

/* How many connections this process takes now. Of several workers whoever is
 * awake first would have most of them, and one processor. So who has more than
 * another leaves that one a moment to come, but no more: it may be stopped. */
static int acceptable(struct proxy *p)
{
	int i, have, least = INT_MAX;

	if (!p->worker)
		return ACCEPT_MAX;
	have = p->taken[p->worker - 1];
	for (i = 0; i < (int)p->config->workers; i++)
		if (i + 1 != (int)p->worker && p->taken[i] < least)
			least = p->taken[i];
	if (have <= least)
		return least - have < ACCEPT_MAX ? least - have + 1 :
		    ACCEPT_MAX;
	if (p->now >= p->yield_until && p->now - p->yield_until < YIELDED) {
		p->yield_until = 0;
		return 1;
	}
	p->yield_until = p->now + YIELD;
	return 0;
}

static void accept_some(struct proxy *p, int listener)
{
	struct sock_addr peer = { 0 };
	enum sock_reason why = SOCK_FINE;
	int i, fd, n = acceptable(p);

	for (i = 0; i < n; i++) {
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
		if (listener == p->local.fd)
			peer = (struct sock_addr){ .family = SOCK_LOCAL };
		if (peer.family == SOCK_LOCAL && sock_local_peer(fd) != OK)
			turn_away_foreign(p, fd);
		else if (is_greedy(p, &peer))
			turn_away_greedy(p, fd);
		else
			client_accept(p, fd, &peer);
		if (p->worker)
			p->taken[p->worker - 1]++;
	}
}

/* With many streams open a look at all of them costs more than an event. So
 * where the last one found few ready and there has been one in this
 * millisecond already, events are given time to gather. */
static void gather(const struct proxy *p)
{
	if (p->streams >= MANY && (size_t)p->loop.ready < p->streams / 8 &&
	    loop_now() == p->now)
		loop_pause(PAUSE);
}

/* Asks a slot. */
static void ask(struct proxy *p, const struct client *c, struct interest *n)
{
	const struct conn *u = c->x.stage == X_NONE ? NULL : c->x.conn;
	unsigned want = u ? exchange_want(c) : 0;

	*n = (struct interest){ .at = LOOP_NEVER, .fd = -1, .up = -1,
	    .takes = 1, .known = 1 };
	if (c->state == CLIENT_FREE)
		return;
	n->used = 1;
	n->takes = is_resting(c) != 0;
	n->fd = c->fd;
	n->want = (unsigned char)client_want(c);
	n->at = client_deadline(p, c);
	/* What the helper says and what the monitor has to show comes from
	 * without. */
	n->asks = c->x.stage == X_SIGN || (u && u->state == CONN_RESOLVE);
	n->known = !n->asks && c->state != CLIENT_PAGE;
	if (!u)
		return;
	if (want && conn_pending(u))
		n->at = n->known = 0;
	n->up = u->fd;
	n->up_want = (unsigned char)conn_want(u, want);
	n->streams = c->x.stage == X_BODY;
}

/* Whether a client that is sent an answer has gone shows by writing, too: with
 * many of them it is looked at now and then. */
static int clients_due(struct proxy *p, int64_t *wake)
{
	int due = p->streams < MANY || p->now >= p->look_at;

	if (due)
		p->look_at = p->now + LOOK_EVERY;
	else
		*wake = earlier(*wake, p->look_at);
	return due;
}

static int64_t collect_wants(struct proxy *p, int64_t wake)
{
	size_t i, streams = 0, takes = p->nused < p->n, last = 0;
	int look = clients_due(p, &wake), all, used = 0;
	struct interest *n;
	struct conn *c;

	for (i = 0; i < p->nused; i++) {
		n = &p->interest[i];
		if (!n->known)
			ask(p, &p->clients[i], n);
		if (n->used)
			last = i + 1;
		used += n->used;
		streams += n->streams;
		takes += n->takes;
		all = look || !n->streams;
		loop_want(&p->loop, n->fd, all ? n->want :
		    n->want & (unsigned)WANT_WRITE);
		loop_want(&p->loop, n->up, n->up_want);
		wake = earlier(wake, n->at);
	}
	p->streams = streams;
	p->nused = last;
	if (p->worker)
		p->taken[p->worker - 1] = used;
	for (i = 0; i < p->nresting; i++) {
		c = &p->conns[p->resting[i]];
		if (c->state != CONN_IDLE && c->state != CONN_DRAIN)
			continue;
		loop_want(&p->loop, c->fd, conn_want(c, 0));
		wake = earlier(wake, conn_deadline(c));
	}
	/* Without a slot, and nobody who could make room, those who wait in the
	 * backlog are not looked at: select would wake us for nothing. */
	if (p->draining)
		return wake;
	if (p->now < p->accept_after || p->now < p->yield_until)
		return earlier(wake, p->now < p->accept_after ?
		    p->accept_after : p->yield_until);
	for (i = 0; i < (size_t)p->nlisteners && takes; i++)
		loop_want(&p->loop, p->listener[i], WANT_READ);
	return wake;
}

static void serve(struct proxy *p)
{
	struct interest *n;
	size_t i;
	int r, w;

	for (i = 0; i < p->nused; i++) {
		n = &p->interest[i];
		r = loop_readable(&p->loop, n->fd);
		w = loop_writable(&p->loop, n->fd);
		if (!r && !w && !n->asks && p->now < n->at &&
		    !loop_readable(&p->loop, n->up) &&
		    !loop_writable(&p->loop, n->up))
			continue;
		n->known = 0;
		client_turn(p, &p->clients[i], r, w);
	}
}

void proxy_stop_listening(struct proxy *p)
{
	int i;

	local_remove(&p->local);
	for (i = 0; i < p->nlisteners; i++)
		sock_close(p->listener[i]);
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

	gather(p);
	loop_begin(&p->loop);
	p->now = loop_now();
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
