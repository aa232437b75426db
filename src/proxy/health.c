/* health.c -- --health: asks the running proxy whether it is well.
 *
 * For containers that hold nothing but the program: it finds the port as the
 * program itself does, from flags and environment, sends one request, and its
 * exit status is the answer. Nothing is set up for it.
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum { HEALTH_MS = 3000 };

/* Ready within the time that is left. */
static int await(struct loop *l, int fd, unsigned want, int64_t until)
{
	while (loop_now() < until) {
		loop_begin(l);
		loop_want(l, fd, want);
		(void)loop_wait(l, until);
		if (loop_readable(l, fd) || loop_writable(l, fd))
			return OK;
	}
	return E_NONE;
}

static int ask(struct loop *l, int fd)
{
	static const char request[] = "GET /health HTTP/1.1\r\n"
		"Host: localhost\r\nConnection: close\r\n\r\n";
	int64_t until = loop_now() + HEALTH_MS;
	enum sock_reason why;
	char line[64];
	size_t n = 0;
	long got = 1;

	if (await(l, fd, WANT_WRITE, until) != OK ||
	    sock_connect_done(fd, &why) != OK ||
	    sock_write(fd, S(request), &why) != sizeof request - 1)
		return E_NONE;
	while (n < 12 && got > 0 && await(l, fd, WANT_READ, until) == OK) {
		got = sock_read(fd, line + n, sizeof line - n, &why);
		n += got > 0 ? (size_t)got : 0;
	}
	return str_starts((struct str){ line, n }, S("HTTP/1.1 200")) ? OK :
	    E_FAULT;
}

int health_run(struct loop *l, const struct config *c)
{
	struct str host = c->host;
	struct sock_addr a;
	enum sock_reason why;
	int fd, r;

	/* Who listens everywhere listens here. */
	if (host.n == 0 || str_ieq(host, S("localhost")) ||
	    str_eq(host, S("0.0.0.0")))
		host = S("127.0.0.1");
	else if (str_eq(host, S("::")))
		host = S("::1");
	if (sock_addr_parse(&a, host, c->port) != OK)
		return 1;
	fd = sock_connect_start(&a, &why);
	r = fd < 0 ? E_NONE : ask(l, fd);
	sock_close(fd);
	return r == OK ? 0 : 1;
}
