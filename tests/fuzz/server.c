/* Fuzz target: the whole server over a kernel of our own.
 *
 * sock.c and loop.c are compiled in with their system calls replaced: sockets
 * are arrays, time is a number, and a call is interrupted, told to wait, cut
 * short, reset or refused as the input says. So everything above runs as it
 * does in the program, thousands of times a second and the same each time. The
 * helper, which forks, is replaced by one that knows its answers.
 *
 * Input: a byte of faults, four of chance, then sections, each begun by
 * "\n=====" and a letter: c, what a client sends; u, what the next connection
 * to an upstream answers, once it was asked something; e, the same, unasked.
 * Text before the first belongs to a client.
 *
 * Holds: descriptors are used only while open and all closed in the end; no
 * turn is for nothing; memory charged is given back and no request stays
 * counted; what clients get is HTTP, its JSON valid, its errors Anthropic's,
 * its streams in order; and no message is finished that no upstream finished.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../../src/proxy/proxy.h"
#include "../../src/wire/json.h"
#include "../../src/wire/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_MAX = 1 << 16,
	FIRST = 16,		/* descriptor; the listener's */
	FDS = 48,
	OUT_MAX = 1 << 20,	/* what a client takes; then it takes no more */
	SECTIONS_MAX = 24,
	IDLE_TURNS = 64,	/* in a row without anything happening */
	LEAVE_MS = 30000,	/* then clients that are still there go */
	END_MS = 200000		/* by then all that rests is closed */
};

enum { INTERRUPT = 1, AGAIN = 2, RESET = 4, SHORT = 8, BYTES = 16, REFUSE = 32,
	LATE = 64, FIN = 128 };

struct end {
	int open, client, connected, reset, shut, asked;
	struct str in;		/* still to be read by the server */
	struct buf out;		/* what it wrote */
};

static struct end ends[FDS];
static char out_mem[FDS][OUT_MAX];
static struct str clients[SECTIONS_MAX], answers[SECTIONS_MAX];
static int unasked[SECTIONS_MAX];
static size_t nclients, nanswers, arrived, dialled;
static unsigned faults;
static uint32_t chance;
static int64_t at_ms = 1000, wall_ms = INT64_C(1764000000000);
static int64_t leave_at;
static unsigned long moved;

static void show(void)
{
	int i;

	for (i = 1; i < FDS; i++)
		if (ends[i].out.n)
			fprintf(stderr, "-- %s %d, open %d\n%.*s\n",
			    ends[i].client ? "client" : "upstream", i,
			    ends[i].open, (int)ends[i].out.n, ends[i].out.p);
}

static void held(int cond, int line)
{
	if (cond)
		return;
	show();
	fprintf(stderr, "server.c:%d doesn't hold\n", line);
	__builtin_trap();
}

#define hold(COND) held(COND, __LINE__)

static uint32_t next(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 17;
	chance ^= chance << 5;
	return chance;
}

/* Whether a fault that the input asks for happens now. */
static int happens(unsigned fault, unsigned often)
{
	return faults & fault && next() % often == 0;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

/* Injected: it counts as something that happened. */
static int fail(int error)
{
	moved++;
	return refuse(error);
}

static struct end *end_of(int fd)
{
	hold(fd > FIRST && fd < FIRST + FDS && ends[fd - FIRST].open);
	return &ends[fd - FIRST];
}

static size_t piece(size_t n, size_t least)
{
	if (faults & BYTES && n > least)
		return least;
	return faults & SHORT && n > 1 ? 1 + next() % n : n;
}

static int gone(const struct end *e)
{
	return e->reset || (e->client && at_ms >= leave_at);
}

static int readable(const struct end *e)
{
	return gone(e) || (e->connected && (e->client || e->asked) &&
	    (e->in.n || !e->client || faults & FIN));
}

/* ---- the kernel --------------------------------------------------------- */

static int new_end(int client)
{
	int fd;

	for (fd = FIRST + 1; fd < FIRST + FDS; fd++) {
		struct end *e = &ends[fd - FIRST];

		if (e->open || e->out.n)
			continue;
		memset(e, 0, sizeof(*e));
		e->open = 1;
		e->client = e->connected = client;
		e->out = buf_on(out_mem[fd - FIRST], OUT_MAX);
		return fd;
	}
	return fail(EMFILE);
}

static int k_socket(int family, int type, int protocol)
{
	(void)family, (void)type, (void)protocol;
	return happens(REFUSE, 8) ? fail(EMFILE) : new_end(0);
}

static int k_connect(int fd, const struct sockaddr *a, socklen_t n)
{
	struct end *e = end_of(fd);

	(void)a, (void)n;
	moved++;
	if (happens(REFUSE, 6))
		return fail(ECONNREFUSED);
	e->connected = !happens(LATE, 2);
	if (dialled < nanswers) {
		e->asked = unasked[dialled];
		e->in = answers[dialled++];
	}
	return e->connected ? 0 : fail(happens(INTERRUPT, 2) ? EINTR :
	    EINPROGRESS);
}

static int k_accept(int fd, struct sockaddr *a, socklen_t *n)
{
	struct sockaddr_in from = { .sin_family = AF_INET };

	hold(fd == FIRST);
	if (arrived == nclients)
		return refuse(EAGAIN);
	if (happens(AGAIN, 4))
		return fail(EAGAIN);
	if (happens(INTERRUPT, 4))
		return fail(EINTR);
	if (happens(REFUSE, 8))
		return fail(next() & 1 ? EMFILE : ECONNABORTED);
	fd = new_end(1);
	if (fd < 0)
		return -1;
	moved++;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	memcpy(a, &from, sizeof(from));
	*n = sizeof(from);
	ends[fd - FIRST].in = clients[arrived++];
	return fd;
}

/* What every transfer may meet first. */
static int troubled(struct end *e)
{
	if (happens(INTERRUPT, 4))
		return fail(EINTR);
	if (happens(AGAIN, 4))
		return fail(EAGAIN);
	if (happens(RESET, 24))
		e->reset = 1;
	if (gone(e))
		return refuse(next() & 1 ? ECONNRESET : EPIPE);
	return e->connected ? 0 : refuse(ENOTCONN);
}

static ssize_t k_recv(int fd, void *p, size_t n, int flags)
{
	struct end *e;

	(void)flags;
	if (fd == -1)
		return refuse(EBADF);	/* loop.c's own, which isn't open */
	e = end_of(fd);
	if (troubled(e))
		return -1;
	if (!readable(e))
		return refuse(EAGAIN);
	moved++;
	n = piece(n < e->in.n ? n : e->in.n, 1);
	if (n)
		memcpy(p, e->in.p, n);
	e->in = str_from(e->in, n);
	return (ssize_t)n;
}

static ssize_t put(struct end *e, const void *p, size_t n)
{
	size_t room = e->out.cap - e->out.n;

	if (room == 0)
		return refuse(EAGAIN);	/* it takes no more: time goes by */
	n = piece(n < room ? n : room, 512);
	moved += n > 0;
	e->asked |= n > 0;
	buf_put(&e->out, (struct str){ p, n });
	return (ssize_t)n;
}

static ssize_t k_send(int fd, const void *p, size_t n, int flags)
{
	struct end *e = end_of(fd);

	hold(flags & MSG_NOSIGNAL && !e->shut);
	return troubled(e) ? -1 : put(e, p, n);
}

static ssize_t k_sendmsg(int fd, const struct msghdr *m, int flags)
{
	struct end *e = end_of(fd);
	ssize_t n, sum = 0;
	size_t i;

	hold(flags & MSG_NOSIGNAL && !e->shut && m->msg_iovlen > 0);
	if (troubled(e))
		return -1;
	for (i = 0; i < m->msg_iovlen; i++) {
		n = put(e, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len);
		if (n < 0)
			return sum ? sum : -1;
		sum += n;
		if ((size_t)n < m->msg_iov[i].iov_len)
			break;
	}
	return sum;
}

static int k_shutdown(int fd, int how)
{
	(void)how;
	end_of(fd)->shut = 1;
	moved++;
	return 0;
}

static int k_close(int fd)
{
	end_of(fd)->open = 0;
	moved++;
	return 0;
}

static int k_fcntl(int fd, int command, ...)
{
	(void)end_of(fd);
	return command == F_GETFL ? O_RDWR : 0;
}

static int k_setsockopt(int fd, int level, int name, const void *p, socklen_t n)
{
	(void)end_of(fd), (void)level, (void)name, (void)p, (void)n;
	return 0;
}

static int k_getsockopt(int fd, int level, int name, void *p, socklen_t *n)
{
	struct end *e = end_of(fd);
	int error = happens(REFUSE, 6) ? ETIMEDOUT : 0;

	(void)level, (void)name, (void)n;
	e->connected |= !error;
	memcpy(p, &error, sizeof(error));
	moved += error != 0;
	return 0;
}

static int k_getpeername(int fd, struct sockaddr *a, socklen_t *n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = 9 };

	if (!end_of(fd)->connected)
		return refuse(ENOTCONN);
	memcpy(a, &to, sizeof(to));
	*n = sizeof(to);
	return 0;
}

static int k_getsockname(int fd, struct sockaddr *a, socklen_t *n)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = 10 };

	(void)end_of(fd);
	memcpy(a, &own, sizeof(own));
	*n = sizeof(own);
	return 0;
}

static int k_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t)
{
	int64_t step = t ? (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000 : 1;
	int fd, ready = 0, wanted = 0, hide;
	struct end *e;

	(void)x;
	hide = happens(LATE, 4);
	for (fd = 0; fd < n; fd++) {
		int in = FD_ISSET((size_t)fd, r) != 0;
		int out = FD_ISSET((size_t)fd, w) != 0;

		if (!in && !out)
			continue;
		wanted++;
		e = fd == FIRST ? NULL : end_of(fd);
		in = in && !hide && (e ? readable(e) : arrived < nclients);
		out = out && !hide && (gone(e) || !e->connected ||
		    e->out.cap > e->out.n);
		FD_CLR((size_t)fd, r);
		FD_CLR((size_t)fd, w);
		if (in)
			FD_SET((size_t)fd, r);
		if (out)
			FD_SET((size_t)fd, w);
		ready += in + out;
	}
	if (happens(INTERRUPT, 8))
		return fail(EINTR);
	if (ready)
		return ready;
	/* Nothing happens but that time goes by; not past the moment at which
	 * clients leave. */
	hold(t != NULL || hide || wanted <= 1);
	if (hide)
		step = 1;
	if (at_ms < leave_at && at_ms + step > leave_at)
		step = leave_at - at_ms;
	moved += step > 0;
	at_ms += step;
	return 0;
}

static int k_clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t ms = id == CLOCK_MONOTONIC ? at_ms : wall_ms + at_ms;

	t->tv_sec = (time_t)(ms / 1000);
	t->tv_nsec = (long)(ms % 1000 * 1000000);
	return 0;
}

static ssize_t k_getrandom(void *p, size_t n, unsigned flags)
{
	size_t i;

	(void)flags;
	for (i = 0; i < n; i++)
		((unsigned char *)p)[i] = (unsigned char)next();
	return (ssize_t)n;
}

#define socket k_socket
#define connect k_connect
#define accept k_accept
#define recv k_recv
#define send k_send
#define sendmsg k_sendmsg
#define shutdown k_shutdown
#define close k_close
#define fcntl k_fcntl
#define setsockopt k_setsockopt
#define getsockopt k_getsockopt
#define getpeername k_getpeername
#define getsockname k_getsockname
#define select k_select
#define clock_gettime k_clock_gettime
#define getrandom k_getrandom
#define reason sock_reason_of
#include "../../src/net/sock.c"
#undef reason
#include "../../src/net/loop.c"
#undef close
#undef select
#undef fcntl
#undef send

/* ---- the helper --------------------------------------------------------- */

int helper_start(struct helper *h, const struct helper_service *services,
    size_t n, int64_t at)
{
	(void)h, (void)services, (void)n, (void)at;
	return OK;
}

int helper_keep(struct helper *h, const struct helper_service *services,
    size_t n)
{
	(void)h, (void)services, (void)n;
	return OK;
}

int helper_fd(const struct helper *h)
{
	(void)h;
	return -1;
}

unsigned helper_want(const struct helper *h)
{
	(void)h;
	return 0;
}

int64_t helper_deadline(const struct helper *h)
{
	(void)h;
	return LOOP_NEVER;
}

void helper_turn(struct helper *h, int64_t at)
{
	(void)h, (void)at;
}

void helper_forget(struct helper *h, enum helper_kind kind, struct str ask)
{
	(void)h, (void)kind, (void)ask;
}

void helper_stop(struct helper *h)
{
	(void)h;
}

int helper_ask(struct helper *h, enum helper_kind kind, struct str ask,
    int64_t at, struct str *answer)
{
	static char text[1024];
	struct buf b = buf_on(text, sizeof(text));
	struct credentials c = { .id = S("AKIDEXAMPLE"), .secret = S("secret"),
		.source = S("here"), .region = S("us-east-1"),
		.region_source = S("default") };

	(void)h, (void)kind, (void)ask, (void)at;
	if (happens(REFUSE, 8)) {
		*answer = S("there are no credentials");
		return E_FAULT;
	}
	credentials_write(&b, &c);
	*answer = buf_str(&b);
	return OK;
}

int helper_resolve(struct helper *h, struct str host, unsigned port,
    int64_t at, struct helper_addrs *out, struct str *why)
{
	(void)h, (void)at, (void)why;
	out->n = 1;
	return sock_addr_parse(&out->addr[0], host, port) == OK ? OK : E_FAULT;
}

/* ---- the server --------------------------------------------------------- */

static struct proxy proxy;
static struct config config;
static struct monitor monitor;

static const char *setting(void *ctx, const char *name)
{
	static const char *const table[][2] = {
		{ "LLM_BACKEND", "openai_compatible" },
		{ "OPENAI_BASE_URL", "http://127.0.0.1:9/v1" },
		{ "OPENAI_API_KEY", "sk-planted" }, { "OPENAI_MODEL", "m" },
		{ "ANTHROPIC_UPSTREAM_URL", "http://127.0.0.1:9" },
		{ "ANTHROPIC_API_KEY", "sk-ant-planted" },
		{ "BEDROCK_BASE_URL", "http://127.0.0.1:9" },
		{ "MODEL_MAP", "a=anthropic:claude-a,demo=demo,"
		    "b=bedrock:amazon.nova-pro-v1:0,"
		    "i=bedrock:anthropic.claude-sonnet-4-20250514-v1:0" },
		{ "MONITOR_REPLAY", "1" }, { "SANDBOX", "off" },
		{ "MONITOR_MEMORY", "1m" }, { "RAW_MB", "1" },
		{ "MAX_BODY", "64k" }, { "MAX_CONNECTIONS", "6" },
		{ "LOG_DIR", "" }, { "NO_COLOR", "1" },
		{ "FIRST_BYTE_TIMEOUT", "6" }, { "IDLE_TIMEOUT", "5" },
		{ "HEADER_TIMEOUT", "4" }, { "BODY_TIMEOUT", "4" },
		{ "KEEPALIVE_TIMEOUT", "3" }, { "WRITE_TIMEOUT", "4" },
		{ "CONNECT_TIMEOUT", "3" }, { "HOME", "/nonexistent" }
	};
	size_t i;

	(void)ctx;
	for (i = 0; i < COUNT(table); i++)
		if (strcmp(table[i][0], name) == 0)
			return table[i][1];
	return NULL;
}

static void begin(void)
{
	static _Alignas(16) char memory[6 << 20];
	static char text[8192];
	struct arena a = { memory, memory + sizeof(memory) };
	struct buf out = buf_on(text, sizeof(text));
	struct config_input in = { .env = setting, .machine_memory = 1 << 30 };
	struct monitor_options o = { .console_fd = -1, .memory = 1 << 20,
		.raw = 1 << 20 };

	if (config_load(&config, &in, &a, &out) != CONFIG_RUN)
		fprintf(stderr, "%.*s\n", (int)out.n, text);
	hold(config.nupstreams > 0);
	proxy.config = &config;
	proxy.monitor = &monitor;
	proxy.listener[0] = FIRST;
	proxy.nlisteners = 1;
	hold(memory_map(&proxy, config.connections) == OK);
	o.slots = proxy.n;
	o.secrets = config.secrets;
	o.nsecrets = config.nsecrets;
	monitor_open(&monitor, &o);
	account_init(&proxy);
}

/* ---- the input ---------------------------------------------------------- */

static void add(struct str s, char letter)
{
	if (letter == 'c' && nclients < SECTIONS_MAX) {
		clients[nclients++] = s;
	} else if (letter != 'c' && nanswers < SECTIONS_MAX) {
		unasked[nanswers] = letter == 'e';
		answers[nanswers++] = s;
	}
}

static void take_apart(struct str in)
{
	struct str mark = S("\n=====");
	char letter = 'c';
	size_t at;

	nclients = nanswers = arrived = dialled = 0;
	for (;;) {
		at = str_find(in, mark);
		if (at || letter != 'c')
			add(str_head(in, at), letter);
		if (in.n < at + mark.n + 2)
			return;
		letter = in.p[at + mark.n];
		/* The rest of that line says what is the case. */
		in = str_from(in, at + mark.n);
		in = str_from(in, str_chr(in, '\n') + 1);
	}
}

/* Whether some upstream may have said that its message is complete. */
static int may_finish(void)
{
	static const char *const ends_by[] = { "[DONE]", "finish", "stop",
		"chunked", "\\",
		"length"	/* all that was promised came: taken as whole */
	};
	size_t i, k;

	for (i = 0; i < nclients; i++)
		if (str_find(clients[i], S("demo")) < clients[i].n ||
		    str_find(clients[i], S("max_tokens\":0")) < clients[i].n ||
		    str_find(clients[i], S("\\")) < clients[i].n)
			return 1;
	for (i = 0; i < nanswers; i++)
		for (k = 0; k < COUNT(ends_by); k++)
			if (str_ifind(answers[i], str_of(ends_by[k])) <
			    answers[i].n)
				return 1;
	return 0;
}

/* ---- what clients get --------------------------------------------------- */

/* Whether a client may have asked for Anthropic's, whose bytes pass as they
 * come: what they say is the upstream's affair then. */
static int passes(void)
{
	size_t i;

	for (i = 0; i < nclients; i++)
		if (str_find(clients[i], S("a\"")) < clients[i].n)
			return 1;
	return 0;
}

/* A stream of the Messages API. However it ends, it says so. */
static void check_stream(struct str in, int framed)
{
	int begun = 0, open = 0, ended = 0, pass = passes();
	struct sse d = { 0 };
	struct sse_event e;
	int error;

	while (sse_next(&d, &in, 0, &e) == OK) {
		error = str_eq(e.event, S("error"));
		if (!begun && !str_starts(e.event, S("message_")) && !error &&
		    !str_eq(e.event, S("ping")) && !pass)
			return;		/* another stream: the monitor's */
		hold(pass || (!ended && json_check(e.data, NULL, NULL) == OK));
		begun = 1;
		ended |= error || str_find(e.data, S("\"message_stop\"")) <
		    e.data.n || str_find(e.data, S("\"error\"")) < e.data.n;
		if (str_eq(e.event, S("message_stop")))
			hold(may_finish() && (!open || pass));
		if (str_eq(e.event, S("content_block_start")))
			hold(++open == 1 || pass);
		if (str_eq(e.event, S("content_block_stop")))
			hold(--open == 0 || pass);
	}
	hold(!framed || ended || !begun || in.n);
}

static void check_body(const struct http_head *h, struct str body, int framed)
{
	struct str type = http_field(h, S("content-type"));

	/* A refusal that passes may be of any type. */
	if (h->status == 200 && str_starts(type, S("text/event-stream")))
		check_stream(body, framed);
	if (!framed || !str_starts(type, S("application/json")) || !body.n ||
	    passes())
		return;
	hold(json_check(body, NULL, NULL) == OK);
	if (h->status >= 400)
		hold(str_starts(body, S("{\"type\":\"error\"")));
	if (str_find(body, S("\"type\":\"message\"")) < body.n &&
	    str_find(body, S("\"stop_reason\":\"")) < body.n)
		hold(may_finish());
}

static void check_client(const struct end *e)
{
	static char text[OUT_MAX];
	static struct http_head h;
	struct str in = buf_str(&e->out), piece_of;
	struct http_body framing;
	const char *why;
	struct buf b;
	size_t at;
	int r;

	hold(str_find(in, S("planted")) == in.n);
	while ((at = http_head_end(in, 0))) {
		hold(http_response(&h, str_head(in, at), 0, &why) == OK);
		in = str_from(in, at);
		b = buf_on(text, sizeof(text));
		http_body_init(&framing, &h);
		do {
			r = http_body(&framing, &in, &piece_of);
			hold(r != E_BAD);
			buf_put(&b, piece_of);
		} while (r == OK && in.n);
		/* An HTTP/1.0 client that is let go can't tell it from an end. */
		check_body(&h, buf_str(&b), r == E_NONE);
		if (r == OK && http_body_eof(&framing) == OK)
			r = E_NONE;
		if (r != E_NONE)
			break;
	}
}

static int all_closed(void)
{
	int i;

	for (i = 1; i < FDS; i++)
		if (ends[i].open)
			return 0;
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned long before, idle = 0;
	int64_t end;
	int i, head;

	/* A fuzzer finds the keys' mark out: then it may stand anywhere. */
	if (size < 6 || size > INPUT_MAX ||
	    str_find((struct str){ (const char *)data, size },
	    S("planted")) < size)
		return 0;
	faults = data[0];
	memcpy(&chance, data + 1, 4);
	chance |= 1;
	if (!proxy.config)
		begin();
	take_apart((struct str){ (const char *)data + 5, size - 5 });
	memset(ends, 0, sizeof(ends));
	leave_at = at_ms + LEAVE_MS;
	end = at_ms + END_MS;
	while (arrived < nclients || !all_closed()) {
		before = moved;
		(void)proxy_turn(&proxy, end);
		idle = moved == before ? idle + 1 : 0;
		hold(idle < IDLE_TURNS);
		hold(at_ms < end);
	}
	hold(proxy_busy(&proxy) == 0 && proxy.charged == 0);
	hold(monitor.open == 0);
	head = 0;
	for (i = 0; i < (int)nclients; i++)
		head |= str_find(clients[i], S("HEAD ")) < clients[i].n;
	/* To HEAD there are lengths without bodies. */
	for (i = 1; i < FDS && !head; i++)
		if (ends[i].client)
			check_client(&ends[i]);
	return 0;
}
