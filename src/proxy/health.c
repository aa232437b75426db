/* health.c -- --health: asks the running proxy whether it is well.
 *
 * For containers that hold nothing but the program: it finds socket or port as
 * the program itself does, from flags and environment, sends one request, and
 * its exit status is the answer; when that is no, one line says why. Nothing is
 * set up for it.
 *
 * SPDX-License-Identifier: MIT */
#include <unistd.h>

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

/* Fills in why for anything but OK. */
static int ask(struct loop *l, int fd, struct buf *said)
{
	static const char request[] = "GET /health HTTP/1.1\r\n"
		"Host: localhost\r\nConnection: close\r\n\r\n";
	int64_t until = loop_now() + HEALTH_MS;
	enum sock_reason why = SOCK_TIMEOUT;
	struct str first;
	char line[64];
	size_t n = 0;
	long got = 1;

	if (await(l, fd, WANT_WRITE, until) != OK ||
	    sock_connect_done(fd, &why) != OK ||
	    sock_write(fd, S(request), &why) != sizeof request - 1) {
		buf_put(said, sock_text(why));
		return E_NONE;
	}
	while (n < 12 && got > 0 && await(l, fd, WANT_READ, until) == OK) {
		got = sock_read(fd, line + n, sizeof line - n, &why);
		n += got > 0 ? (size_t)got : 0;
	}
	first = (struct str){ line, n };
	first = str_head(first, str_chr(first, '\r'));
	if (str_starts(first, S("HTTP/1.1 200")))
		return OK;
	buf_put(said, n == 0 ? S("no answer within 3 s") :
	    S("it answers "));
	buf_printable(said, first);
	return E_FAULT;
}

static void say(struct buf *b)
{
	struct str s;
	ssize_t n;

	buf_chr(b, '\n');
	s = buf_str(b);
	while (s.n && (n = write(2, s.p, s.n)) > 0)
		s = str_from(s, (size_t)n);
}

static int dial_port(const struct config *c, struct buf *said,
    enum sock_reason *why)
{
	struct str host = c->host;
	struct sock_addr a;

	/* Who listens everywhere listens here. */
	if (host.n == 0 || str_ieq(host, S("localhost")) ||
	    str_eq(host, S("0.0.0.0")))
		host = S("127.0.0.1");
	else if (str_eq(host, S("::")))
		host = S("::1");
	buf_printable(said, str_head(host, 64));
	buf_put(said, S(" port "));
	buf_u64(said, c->port);
	buf_put(said, S(": "));
	*why = SOCK_BAD_ADDRESS;
	return sock_addr_parse(&a, host, c->port) != OK ? SOCK_ERR :
	    sock_connect_start(&a, why);
}

int health_run(struct loop *l, const struct config *c)
{
	enum sock_reason why;
	char text[256 + SOCK_PATH_MAX];
	struct buf b = buf_on(text, sizeof text);
	int fd, r;

	buf_put(&b, S("claudecodex: not healthy: "));
	if (c->socket.n) {
		buf_put(&b, S("unix:"));
		buf_printable(&b, c->socket);
		buf_put(&b, S(": "));
		fd = sock_local_connect(c->socket, &why);
	} else {
		fd = dial_port(c, &b, &why);
	}
	if (fd < 0)
		buf_put(&b, sock_text(why));
	r = fd < 0 ? E_NONE : ask(l, fd, &b);
	sock_close(fd);
	if (r != OK)
		say(&b);
	return r == OK ? 0 : 1;
}
