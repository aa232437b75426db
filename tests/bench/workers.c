/* workers.c -- how many requests a second one worker answers, and two.
 *
 *	build/tests/bench/workers build/claudecodex [SECONDS [LOAD]]
 *
 * The demo answers, so that nothing but the program and this client need the
 * processors; what the client itself takes is told, as it has to share them. Each
 * load runs with WORKERS=1 and WORKERS=2 in turn, three times; the medians are
 * printed. A wrong answer makes the run void.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <sys/resource.h>

#include "../unit/t.h"
#include "../live/start.h"
#include "body.h"

enum { LANES = 16, BODY_MAX = 2 << 20, ANSWER_MAX = 1 << 16, ROUNDS = 3 };

struct lane {
	int fd;
	size_t sent, n;
	char in[ANSWER_MAX];
};

static const struct {
	const char *name;
	size_t bytes;
} loads[] = {
	{ "1 KB", 1 << 10 }, { "120 KB", 120 << 10 }, { "1 MB", 1 << 20 }
};

static struct lane lanes[LANES];
static char text[BODY_MAX], body_text[BODY_MAX];
static struct str request;

static void void_run(const char *why)
{
	printf("void: %s\n", why);
	exit(1);
}

static void make_request(size_t bytes)
{
	struct buf b = buf_on(body_text, sizeof(body_text));
	struct buf r = buf_on(text, sizeof(text));

	put_body(&b, bytes, 0, S("once more"));
	buf_put(&r, S("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Type: application/json\r\nContent-Length: "));
	buf_u64(&r, b.n);
	buf_put(&r, S("\r\n\r\n"));
	buf_put(&r, buf_str(&b));
	request = buf_str(&r);
}

/* Whether the answer is there whole. */
static int answered(struct lane *l)
{
	struct str in = { l->in, l->n }, head;
	size_t end = str_find(in, S("\r\n\r\n")), at;
	uint64_t n;

	if (end == in.n)
		return 0;
	head = str_head(in, end);
	at = str_ifind(head, S("content-length: ")) + 16;
	head = str_from(head, at);
	if (str_u64(str_head(head, str_chr(head, '\r')), &n) != OK)
		void_run("an answer without a length");
	if (in.n < end + 4 + n)
		return 0;
	if (!str_starts(in, S("HTTP/1.1 200")) ||
	    str_find(in, S("\"stop_reason\":")) == in.n)
		void_run("a wrong answer");
	return 1;
}

static void move(struct lane *l)
{
	ssize_t k;

	if (l->sent < request.n) {
		k = send(l->fd, request.p + l->sent, request.n - l->sent,
		    MSG_NOSIGNAL);
		l->sent += k > 0 ? (size_t)k : 0;
		if (k < 0 && errno != EAGAIN)
			void_run("a connection that ends");
		return;
	}
	k = recv(l->fd, l->in + l->n, sizeof(l->in) - l->n, 0);
	if (k == 0 || (k < 0 && errno != EAGAIN))
		void_run("a connection that ends");
	l->n += k > 0 ? (size_t)k : 0;
}

/* Requests in ms milliseconds. */
static size_t put_load(int64_t ms)
{
	struct pollfd p[LANES];
	int64_t end = now_ms() + ms;
	size_t i, done = 0;

	while (now_ms() < end) {
		for (i = 0; i < LANES; i++)
			p[i] = (struct pollfd){ lanes[i].fd,
			    lanes[i].sent < request.n ? POLLOUT : POLLIN, 0 };
		if (poll(p, LANES, 1000) <= 0)
			void_run("nothing moves");
		for (i = 0; i < LANES; i++) {
			if (!p[i].revents)
				continue;
			move(&lanes[i]);
			if (!answered(&lanes[i]))
				continue;
			done++;
			lanes[i].n = lanes[i].sent = 0;
		}
	}
	return done;
}

static double own_cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double rate(const char *binary, int workers, int64_t ms, double *share)
{
	static const char *const names[] = { "WORKERS=1", "WORKERS=2" };
	const char *const settings[] = { names[workers - 1],
	    "LLM_BACKEND=demo", "NO_COLOR=1", NULL };
	struct started s;
	double cpu;
	size_t i, n;

	if (!start(&s, binary, settings))
		exit(1);
	for (i = 0; i < LANES; i++) {
		lanes[i].n = lanes[i].sent = 0;
		lanes[i].fd = dial(s.port);
		if (lanes[i].fd < 0)
			void_run("no connection");
	}
	put_load(200);
	cpu = own_cpu();
	n = put_load(ms);
	*share += (own_cpu() - cpu) * 1000 / (double)ms;
	for (i = 0; i < LANES; i++)
		close(lanes[i].fd);
	if (!stop(&s, 0))
		void_run("a bad end");
	return (double)n * 1000 / (double)ms;
}

static int by_double(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int64_t ms = argc > 2 ? atoi(argv[2]) * 1000 : 1000;
	double v[2][ROUNDS], share;
	size_t i;
	int r, w, known = 0;

	if (argc < 2 || ms < 1) {
		fprintf(stderr, "usage: workers PROGRAM [SECONDS [LOAD]]\n");
		return 2;
	}
	printf("%-26s %8s %8s %7s   client's share of a processor; there are "
	    "%ld\n", "requests a second", "1 worker", "2", "ratio",
	    sysconf(_SC_NPROCESSORS_ONLN));
	for (i = 0; i < COUNT(loads); i++) {
		if (argc > 3 && strcmp(argv[3], loads[i].name) != 0)
			continue;
		known = 1;
		make_request(loads[i].bytes);
		share = 0;
		for (r = 0; r < ROUNDS; r++)
			for (w = 1; w <= 2; w++)
				v[w - 1][r] = rate(argv[1], w, ms, &share);
		for (w = 0; w < 2; w++)
			qsort(v[w], ROUNDS, sizeof(v[w][0]), by_double);
		printf("%-26s %8.0f %8.0f %7.2f   %.2f\n", loads[i].name,
		    v[0][ROUNDS / 2], v[1][ROUNDS / 2],
		    v[1][ROUNDS / 2] / v[0][ROUNDS / 2],
		    share / (2 * ROUNDS));
	}
	if (!known)
		fprintf(stderr, "workers: there is no load %s\n", argv[3]);
	return known ? 0 : 2;
}
