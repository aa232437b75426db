/* tls-client.c -- one connection with net/tls, reported as a line.
 *
 *	tls-client [-c CAFILE] [-t SECONDS] [-p ADDRESS] [-n TIMES] HOST PORT
 *
 * Connects to ADDRESS (127.0.0.1) and PORT, does the handshake as if with
 * HOST at the time SECONDS (now), sends a GET and reads to the end. For each of
 * TIMES connections prints, separated by spaces:
 *
 *	open CIPHER resumed|full bytes=N closed|cut [text]
 *	failed TEXT
 *
 * SPDX-License-Identifier: MIT */
/* link: net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../src/net/loop.h"
#include "../../src/net/tls.h"

enum { DEADLINE = 10000 };

static struct tls connection;
static struct tls_shared shared;
static char memory[TLS_TRUST_MEMORY];

static void print(struct str s)
{
	printf("%.*s", (int)s.n, s.p);
}

/* Waits until the socket is ready for what is wanted, or the deadline. */
static int wait_for(struct loop *l, int fd, unsigned want, int64_t deadline)
{
	loop_begin(l);
	loop_want(l, fd, want);
	loop_wait(l, deadline);
	return l->ready > 0 || loop_now() < deadline;
}

static int dial(struct loop *l, const struct sock_addr *a)
{
	int64_t deadline = loop_now() + DEADLINE;
	enum sock_reason why;
	int fd = sock_connect_start(a, &why), r = SOCK_AGAIN;

	while (fd >= 0 && wait_for(l, fd, WANT_WRITE, deadline) &&
	    (r = sock_connect_done(fd, &why)) == SOCK_AGAIN)
		;
	if (fd >= 0 && r == OK)
		return fd;
	printf("failed to connect: ");
	print(sock_text(why));
	putchar('\n');
	return -1;
}

static size_t take(struct tls *t)
{
	size_t n = 0;
	struct str s;

	while ((s = tls_recv(t)).n) {
		n += s.n;
		tls_ack(t, s.n);
	}
	return n;
}

static void talk(struct loop *l, int fd)
{
	struct str ask = S("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
	int64_t deadline = loop_now() + DEADLINE;
	struct tls *t = &connection;
	enum tls_state state;
	size_t got = 0;
	int told = 0;

	for (;;) {
		state = tls_pump(t, fd);
		if (state == TLS_OPEN && !told++) {
			printf("open ");
			print(tls_cipher(t));
			printf(tls_resumed(t) ? " resumed" : " full");
		}
		got += take(t);
		if (state == TLS_OPEN && ask.n)
			ask = str_from(ask, tls_send(t, ask));
		if (state != TLS_OPEN && state != TLS_HANDSHAKE)
			break;
		if (!wait_for(l, fd, tls_want(t), deadline)) {
			printf("stalled\n");
			return;
		}
	}
	if (told)
		printf(" bytes=%lu ", (unsigned long)got);
	printf(state == TLS_CLOSED ? "closed" : state == TLS_CUT ? "cut " :
	    "failed ");
	print(tls_error(t));
	putchar('\n');
}

static int usage(void)
{
	fprintf(stderr, "usage: tls-client [-c CAFILE] [-t SECONDS] "
	    "[-p ADDRESS] [-n TIMES] HOST PORT\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct str file = { NULL, 0 }, to = S("127.0.0.1");
	struct arena arena = { memory, memory + sizeof memory };
	int64_t when = loop_wall();
	int c, fd, times = 1;
	struct sock_addr a;
	struct loop l;
	char text[1024];
	struct buf why = buf_on(text, sizeof text);

	while ((c = getopt(argc, argv, "c:t:p:n:")) != -1) {
		if (c == 'c')
			file = str_of(optarg);
		else if (c == 't')
			when = atoll(optarg) * 1000;
		else if (c == 'p')
			to = str_of(optarg);
		else if (c == 'n')
			times = atoi(optarg);
		else
			return usage();
	}
	if (argc - optind != 2 || loop_init(&l) != OK ||
	    sock_addr_parse(&a, to, (unsigned)atoi(argv[optind + 1])) != OK)
		return usage();
	(void)tls_trust(&shared, &arena, file, &why);
	while (times-- > 0) {
		if ((fd = dial(&l, &a)) < 0)
			return 1;
		if (tls_start(&connection, &shared, str_of(argv[optind]),
		    a.port, when) != OK) {
			printf("failed ");
			print(tls_error(&connection));
			putchar('\n');
		} else {
			talk(&l, fd);
		}
		tls_wipe(&connection);
		sock_close(fd);
	}
	return 0;
}
