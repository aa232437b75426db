/* bare.c -- the floor: our loop and our sockets, and nothing else.
 *
 *	build/tests/bench/bare PORT UPSTREAM-PORT
 *
 * Every client gets a connection to the upstream of its own, and what either
 * says goes to the other unread: no HTTP, no JSON, no record of anything. Many
 * streams are waited for as proxy/serve.c does it. What this costs beside nginx
 * is what select() and the system calls cost, and no program built on them is
 * below it.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/loop.c net/sock.c */
#include <stdlib.h>

#include "../../src/net/loop.h"

enum {
	PAIRS = 480,		/* two descriptors each, under FD_SETSIZE */
	ROOM = 65536,		/* as much as one read takes */
	MANY = 32, LOOK_EVERY = 100, PAUSE = 500	/* as in serve.c */
};

/* One direction. */
struct way {
	int from, to;
	size_t n, sent;
	char data[ROOM];
};

static struct pair {
	struct way out, in;	/* to the upstream; to the client */
	int used, answers;	/* the upstream spoke last */
} pairs[PAIRS];
static size_t nused;
static struct loop loop;

static void end(struct pair *p)
{
	sock_close(p->out.from);
	sock_close(p->out.to);
	p->used = 0;
	nused--;
}

static void begin(int client, const struct sock_addr *upstream)
{
	enum sock_reason why;
	size_t i;
	int up = sock_connect_start(upstream, &why);

	for (i = 0; pairs[i].used; i++)		/* nused < PAIRS */
		;
	if (up < 0) {
		sock_close(client);
		return;
	}
	pairs[i].used = 1;
	pairs[i].answers = 0;
	pairs[i].out.from = pairs[i].in.to = client;
	pairs[i].out.to = pairs[i].in.from = up;
	pairs[i].out.n = pairs[i].out.sent = 0;
	pairs[i].in.n = pairs[i].in.sent = 0;
	nused++;
}

static void want(const struct way *w)
{
	if (w->sent < w->n)
		loop_want(&loop, w->to, WANT_WRITE);
	else
		loop_want(&loop, w->from, WANT_READ);
}

/* 0: an end. spoke: becomes who when there was something. */
static int pass(struct way *w, int *spoke, int who)
{
	enum sock_reason why;
	long k;

	if (w->sent == w->n) {
		if (!loop_readable(&loop, w->from))
			return 1;
		k = sock_read(w->from, w->data, ROOM, &why);
		if (k <= 0)
			return k == SOCK_AGAIN;
		*spoke = who;
		w->n = (size_t)k;
		w->sent = 0;
	} else if (!loop_writable(&loop, w->to)) {
		return 1;
	}
	k = sock_write(w->to, (struct str){ w->data + w->sent,
	    w->n - w->sent }, &why);
	if (k < 0)
		return k == SOCK_AGAIN;
	w->sent += (size_t)k;
	return 1;
}

static void turn(int listener, const struct sock_addr *upstream)
{
	static int64_t look_at, began;
	int64_t now = loop_now();
	int due = nused < MANY || now >= look_at;
	struct sock_addr peer;
	enum sock_reason why;
	size_t i;
	int fd;

	if (nused >= MANY && (size_t)loop.ready < nused / 8 && now == began)
		loop_pause(PAUSE);
	loop_begin(&loop);
	loop_want(&loop, nused < PAIRS ? listener : -1, WANT_READ);
	for (i = 0; i < PAIRS; i++) {
		if (!pairs[i].used)
			continue;
		want(&pairs[i].in);
		if (due || !pairs[i].answers ||
		    pairs[i].out.sent < pairs[i].out.n)
			want(&pairs[i].out);
	}
	if (due)
		look_at = now + LOOK_EVERY;
	if (loop_wait(&loop, due ? LOOP_NEVER : look_at))
		exit(0);
	began = loop_now();
	for (i = 0; i < PAIRS; i++)
		if (pairs[i].used &&
		    (!pass(&pairs[i].out, &pairs[i].answers, 0) ||
		    !pass(&pairs[i].in, &pairs[i].answers, 1)))
			end(&pairs[i]);
	while (nused < PAIRS && loop_readable(&loop, listener) &&
	    (fd = sock_accept(listener, &peer, &why)) >= 0)
		begin(fd, upstream);
}

int main(int argc, char **argv)
{
	struct sock_addr here, upstream;
	enum sock_reason why;
	int listener;

	if (argc != 3 || loop_init(&loop) != OK ||
	    sock_addr_parse(&here, S("127.0.0.1"),
	    (unsigned)atoi(argv[1])) != OK ||
	    sock_addr_parse(&upstream, S("127.0.0.1"),
	    (unsigned)atoi(argv[2])) != OK)
		return 2;
	listener = sock_listen_one(&here, &why);
	if (listener < 0)
		return 1;
	for (;;)
		turn(listener, &upstream);
}
