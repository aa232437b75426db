/* limits.c -- deadlines, slots and descriptors of the running program.
 *
 *	build/tests/live/limits [build/claudecodex]
 *
 * A head or a body that comes byte by byte, a connection that rests, a client
 * that reads nothing; all slots and all descriptors taken; an upstream that
 * answers at its second address only; what the system says of the process.
 *
 * SPDX-License-Identifier: MIT */
#include "../unit/t.h"
#include "start.h"

#include <sys/resource.h>

enum {
	SLACK_MS = 4000,	/* a busy machine */
	FULL = 64,		/* more than the descriptors allowed */
	WATCH_MS = 1000
};

static const char *binary;
static struct started proxy;
static char text[65536];

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Reads to the end or for ms. Returns 1 when it was ended by the program. */
static int ended(int fd, int ms)
{
	int64_t end = now_ms() + ms;
	struct pollfd p = { fd, POLLIN, 0 };
	size_t n = 0;
	ssize_t k = 1;

	while (n < sizeof(text) - 1 && now_ms() < end &&
	    poll(&p, 1, (int)(end - now_ms())) == 1) {
		k = recv(fd, text + n, sizeof(text) - 1 - n, 0);
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	text[n] = '\0';
	return k <= 0;
}

static int healthy(void)
{
	int fd = dial(proxy.port);
	static const char ask[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n";

	if (fd < 0 || send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) < 0)
		return 0;
	(void)ended(fd, SLACK_MS);
	close(fd);
	return strncmp(text, "HTTP/1.1 200", 12) == 0;
}

/* Sends begin, then a byte every 50 ms for as long as it may: how long. */
static int64_t drip(const char *begin, int *fd)
{
	int64_t from = now_ms();
	struct pollfd p = { dial(proxy.port), POLLIN, 0 };

	*fd = p.fd;
	(void)send(p.fd, begin, strlen(begin), MSG_NOSIGNAL);
	while (now_ms() < from + SLACK_MS && poll(&p, 1, 50) == 0)
		if (send(p.fd, "x", 1, MSG_NOSIGNAL) < 0)
			break;
	return now_ms() - from;
}

/* Asks again and again and reads nothing: the answers stop somewhere. */
static void test_reader(void)
{
	static const char ask[] = "GET /dashboard/app.js HTTP/1.1\r\nHost: "
	    "localhost\r\n\r\n";
	int64_t end = now_ms() + 2 * SLACK_MS;
	struct pollfd p = { dial(proxy.port), 0, 0 };
	int i;

	for (i = 0; i < 400; i++)
		(void)send(p.fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);
	while (now_ms() < end && poll(&p, 1, 50) == 0)
		(void)send(p.fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);
	T(p.revents & (POLLHUP | POLLERR),
	    "a client that reads nothing is dropped (WRITE_TIMEOUT)");
	close(p.fd);
	T(healthy(), "/health");
}

static void test_deadlines(void)
{
	static const char *const settings[] = { "LLM_BACKEND=demo",
		"HEADER_TIMEOUT=0.6", "BODY_TIMEOUT=0.6",
		"KEEPALIVE_TIMEOUT=0.6", "WRITE_TIMEOUT=0.6", NULL };
	int64_t ms;
	int fd;

	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	ms = drip("GET /health HTTP/1.1\r\nHost: localhost\r\nX: ", &fd);
	T(ms >= 500 && ms < SLACK_MS && ended(fd, SLACK_MS),
	    "a head in drops is ended by its total, after %ld ms", (long)ms);
	T(strncmp(text, "HTTP/1.1 408 ", 13) == 0, "with a 408: %.80s", text);
	close(fd);
	ms = drip("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Length: 1000\r\n\r\n{", &fd);
	T(ms >= 500 && ms < SLACK_MS && ended(fd, SLACK_MS),
	    "and a body, after %ld ms", (long)ms);
	close(fd);
	ms = now_ms();
	fd = dial(proxy.port);
	T(ended(fd, SLACK_MS), "a connection that says nothing is ended");
	T(now_ms() - ms >= 500, "not before its time");
	close(fd);
	fd = dial(proxy.port);
	(void)send(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 41,
	    MSG_NOSIGNAL);
	T(ended(fd, SLACK_MS) && strncmp(text, "HTTP/1.1 200 ", 13) == 0,
	    "one that rests after an answer is ended too");
	close(fd);
	T(healthy(), "/health");
	test_reader();
	T(stop(&proxy, 0), "SIGTERM ends it");
}

static long ticks(void)
{
	char path[64], *p;
	unsigned long u = 0, s = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)proxy.pid);
	f = fopen(path, "r");
	p = f && fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	if (p)
		sscanf(p + 2, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		    "%lu %lu", &u, &s);
	if (f)
		fclose(f);
	return (long)(u + s);
}

/* A second during which nothing happens must cost nothing. */
static void still(const char *when)
{
	long before;

	nap(300);		/* for it to meet what there is */
	before = ticks();
	nap(WATCH_MS);
	before = ticks() - before;
	T(before <= sysconf(_SC_CLK_TCK) / 20 * WATCH_MS / 1000 + 1,
	    "%s: no busy loop: %ld ticks in a second", when, before);
}

static void test_slots(void)
{
	static const char *const settings[] = { "LLM_BACKEND=demo",
		"MAX_CONNECTIONS=4", NULL };
	static const char ask[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
	    "\r\n";
	static const char half[] = "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nContent-Length: 1000\r\n\r\n{";
	struct pollfd p;
	int fd[4];
	size_t i;

	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	for (i = 0; i < COUNT(fd); i++) {
		fd[i] = dial(proxy.port);
		(void)send(fd[i], ask, sizeof(ask) - 1, MSG_NOSIGNAL);
		p = (struct pollfd){ fd[i], POLLIN, 0 };
		T(poll(&p, 1, SLACK_MS) == 1, "slot %zu answers", i);
	}
	T(healthy(), "resting connections make room for another");
	for (i = 0; i < COUNT(fd); i++) {
		close(fd[i]);
		fd[i] = dial(proxy.port);
		(void)send(fd[i], half, sizeof(half) - 1, MSG_NOSIGNAL);
	}
	p = (struct pollfd){ dial(proxy.port), POLLIN, 0 };
	(void)send(p.fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);
	still("all slots at work and one waits");
	close(fd[0]);
	T(poll(&p, 1, SLACK_MS) == 1, "it is served when one has gone");
	close(p.fd);
	for (i = 1; i < COUNT(fd); i++)
		close(fd[i]);
	T(stop(&proxy, 0), "SIGTERM ends it");
}

/* This machine's address on its network, in network order; 0: it has none.
 * Nothing is sent: the way there is looked up. */
static uint32_t own_address(void)
{
	struct sockaddr_in a = loopback(9);
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	a.sin_addr.s_addr = htonl(0xc6336401);	/* 198.51.100.1, nobody's */
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		a.sin_addr.s_addr = 0;
	close(fd);
	return a.sin_addr.s_addr;
}

/* One address of the network holds three of four slots, and no more. */
static void test_addresses(void)
{
	static const char *const settings[] = { "LLM_BACKEND=demo",
		"MAX_CONNECTIONS=4", "SERVER_HOST=0.0.0.0",
		"PROXY_API_KEY=0123456789abcdef", NULL };
	struct sockaddr_in a = loopback(0);
	int fd[4];
	size_t i;

	a.sin_addr.s_addr = own_address();
	if (a.sin_addr.s_addr == 0 ||
	    a.sin_addr.s_addr == htonl(INADDR_LOOPBACK)) {
		t_skip("connections of one address: this machine has loopback "
		    "alone");
		return;
	}
	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	a.sin_port = htons((uint16_t)proxy.port);
	for (i = 0; i < COUNT(fd); i++) {
		fd[i] = socket(AF_INET, SOCK_STREAM, 0);
		T(connect(fd[i], (struct sockaddr *)&a, sizeof(a)) == 0,
		    "connection %zu", i);
		say(fd[i], "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n");
		if (i < COUNT(fd) - 1)
			T(!ended(fd[i], 100), "connection %zu stays", i);
	}
	(void)ended(fd[3], SLACK_MS);
	T(strstr(text, "HTTP/1.1 429 ") && strstr(text, "CLIENT_CONNECTIONS") &&
	    strstr(text, "rate_limit_error") && strstr(text,
	    "request-id: req_") && strstr(text, "\"request_id\":\"req_"),
	    "the fourth is refused: %s", text);
	T(healthy(), "there is room for another address");
	for (i = 0; i < COUNT(fd); i++)
		close(fd[i]);
	T(stop(&proxy, 0), "SIGTERM ends it");
}

/* Out of descriptors: those who wait wait, without a busy loop, and come in
 * when there is room. */
static void test_descriptors(void)
{
	static const char *const settings[] = { "LLM_BACKEND=demo", NULL };
	struct rlimit old, low;
	int fd[FULL];
	size_t i;

	if (getrlimit(RLIMIT_NOFILE, &old) != 0 || old.rlim_max < 256)
		return;
	low = old;
	low.rlim_cur = 48;
	setrlimit(RLIMIT_NOFILE, &low);
	i = (size_t)T(start(&proxy, binary, settings), "it starts");
	setrlimit(RLIMIT_NOFILE, &old);
	if (!i)
		return;
	for (i = 0; i < FULL; i++)
		fd[i] = dial(proxy.port);
	still("out of descriptors");
	T(started_alive(&proxy), "it lives");
	for (i = 0; i < FULL; i++)
		close(fd[i]);
	T(healthy(), "then everybody is served");
	T(stop(&proxy, 0), "SIGTERM ends it");
}

/* localhost is 127.0.0.1 first; this one listens at ::1 alone. */
static void test_second_address(void)
{
	static const char ask[] = "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nConnection: close\r\nContent-Length: 72\r\n\r\n"
	    "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
	    "\"content\":\"hi\"}]}";
	static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: "
	    "application/json\r\nConnection: close\r\n\r\n{\"choices\":[{"
	    "\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
	    "\"second-address\"},\"finish_reason\":\"stop\"}]}";
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t n = sizeof(a);
	char url[64];
	const char *settings[] = { url, "OPENAI_MODEL=m", NULL };
	int l = socket(AF_INET6, SOCK_STREAM, 0), fd, up;
	struct pollfd p = { l, POLLIN, 0 };

	a.sin6_addr.s6_addr[15] = 1;
	if (l < 0 || bind(l, (struct sockaddr *)&a, n) != 0 ||
	    listen(l, 4) != 0 || getsockname(l, (struct sockaddr *)&a, &n)) {
		t_skip("no IPv6 here: one address instead of two");
		return;
	}
	fcntl(l, F_SETFD, FD_CLOEXEC);
	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://localhost:%d/v1",
	    ntohs(a.sin6_port));
	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	fd = dial(proxy.port);
	(void)send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);
	up = poll(&p, 1, SLACK_MS) == 1 ? accept(l, NULL, NULL) : -1;
	T(up >= 0, "the second address is tried when the first refuses");
	if (up >= 0) {
		(void)recv(up, text, sizeof(text), 0);
		(void)send(up, reply, sizeof(reply) - 1, MSG_NOSIGNAL);
		close(up);
	}
	(void)ended(fd, SLACK_MS);
	T(strstr(text, "second-address") != NULL, "and its answer comes: %s",
	    text);
	close(fd);
	close(l);
	T(stop(&proxy, 0), "SIGTERM ends it");
}

/* A body that nobody wants: its sender looks at the answer when all has left.
 * Closing on what is unread would reset it, and its answer, away. */
static void test_still_sending(void)
{
	static const char head[] = "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nx-api-key: k\r\nContent-Length: 900000\r\n\r\n";
	static char body[900000];
	struct pollfd p = { dial(proxy.port), POLLOUT, 0 };
	size_t n = 0;
	ssize_t k = 0;

	(void)send(p.fd, head, sizeof(head) - 1, MSG_NOSIGNAL);
	while (n < sizeof(body) && poll(&p, 1, SLACK_MS) == 1) {
		k = send(p.fd, body + n, sizeof(body) - n < 16384 ?
		    sizeof(body) - n : 16384, MSG_NOSIGNAL);
		if (k < 0)
			break;
		n += (size_t)k;
	}
	shutdown(p.fd, SHUT_WR);
	(void)ended(p.fd, SLACK_MS);
	T(n == sizeof(body) && strncmp(text, "HTTP/1.1 413 ", 13) == 0 &&
	    recv(p.fd, text, 1, 0) == 0, "an error reaches a client that "
	    "still sends, without a reset: %zu bytes left, then %.80s", n,
	    text);
	close(p.fd);
}

/* Who asks first whether it may send what is too much isn't asked for it. */
static void test_expect(void)
{
	static const char *const settings[] = { "LLM_BACKEND=demo",
		"MAX_BODY=64k", "PROXY_API_KEY=k", NULL };
	static const struct {
		const char *fields, *status;
	} rows[] = {
		{ "x-api-key: k\r\nContent-Length: 70000", "413" },
		{ "x-api-key: x\r\nContent-Length: 7", "401" },
		{ "Content-Length: 7", "401" },
		{ "x-api-key: k\r\nOrigin: null\r\nContent-Length: 7",
		    "403" }
	};
	char request[256];
	size_t i;
	int fd;

	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	for (i = 0; i < COUNT(rows); i++) {
		snprintf(request, sizeof(request), "POST /v1/messages "
		    "HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
		    "%s\r\n\r\n", rows[i].fields);
		fd = dial(proxy.port);
		(void)send(fd, request, strlen(request), MSG_NOSIGNAL);
		T(ended(fd, SLACK_MS) && strncmp(text + 9, rows[i].status, 3)
		    == 0, "Expect: a refusal instead of 100, with %s: %.80s",
		    rows[i].fields, text);
		close(fd);
	}
	test_still_sending();
	T(stop(&proxy, 0), "SIGTERM ends it");
}

/* A name that nobody has: who asks is told, and nobody waits with him. */
static void test_no_name(void)
{
	static const char *const settings[] = { "OPENAI_MODEL=m",
		"OPENAI_BASE_URL=http://no-such-name.invalid/v1",
		"CONNECT_TIMEOUT=1.5", NULL };
	static const char ask[] = "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nConnection: close\r\nContent-Length: 72\r\n\r\n"
	    "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
	    "\"content\":\"hi\"}]}";
	int fd;

	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	fd = dial(proxy.port);
	(void)send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);
	T(healthy(), "looking up a name holds up nobody");
	(void)ended(fd, SLACK_MS);
	T((strncmp(text, "HTTP/1.1 502 ", 13) == 0 ||
	    strncmp(text, "HTTP/1.1 504 ", 13) == 0) &&
	    strstr(text, "no-such-name.invalid") && strstr(text, "its name"),
	    "a name without an address is a 502 that says so: %s", text);
	close(fd);
	T(stop(&proxy, 0), "SIGTERM ends it");
}

static void test_process(void)
{
	static const char *const settings[] = { "LLM_BACKEND=demo", NULL };
	char path[64];
	FILE *f;
	size_t n;

	if (!T(start(&proxy, binary, settings) && healthy(), "it starts"))
		return;
	snprintf(path, sizeof(path), "/proc/%ld/limits", (long)proxy.pid);
	f = fopen(path, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	if (f)
		fclose(f);
	T(strstr(text, "Max core file size        0  ") != NULL,
	    "no core file: %s", text);
	f = fopen(proxy.output, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	if (f)
		fclose(f);
	T((strstr(text, "running as root") != NULL) == (geteuid() == 0),
	    "started as root it says so, else it doesn't: %s", text);
	T(stop(&proxy, 0), "SIGTERM ends it");
}

int main(int argc, char **argv)
{
	binary = argc > 1 ? argv[1] : "build/claudecodex";
	test_deadlines();
	test_slots();
	test_addresses();
	test_second_address();
	test_expect();
	test_no_name();
	/* Under an emulator it is the emulator that is looked at. */
	if (!getenv("RUN")) {
		test_descriptors();
		test_process();
	}
	return t_done("limits");
}
