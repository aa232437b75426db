/* upstream.h -- the OpenAI-compatible server all programs are measured with.
 *
 * A process of its own that answers what the end of a request asks for: whole,
 * a stream as fast as it goes, or one event after the other. An event of a slow
 * stream says when it was sent, so that who reads it knows how late it is.
 *
 * SPDX-License-Identifier: MIT */
#ifndef UPSTREAM_H
#define UPSTREAM_H

#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "../../src/wire/http.h"
#include "../live/start.h"

enum {
	SERVED_MAX = 1536,	/* it holds what all of them pool */
	REQUEST_MAX = 16 << 20,
	EVENTS = 200,		/* of a stream as fast as it goes */
	PACED = 100,		/* of a slow one, */
	PACE_MS = 20,		/* so far apart */
	STAMP_DIGITS = 15,
	TEXT_MAX = 1 << 17
};

#define STAMP "@at"		/* before the time in an event */

struct served {
	int fd;
	int64_t due;		/* us; next event of a slow stream */
	size_t left;		/* events still to send */
	struct str out;
	struct buf in;
};

static struct served served[SERVED_MAX];
static size_t served_top;	/* none is open from here on */
static char burst_text[TEXT_MAX], slow_head[256];
static struct str burst, whole;
static pid_t upstream_pid;

/* Shared with the upstream: nobody on its core sleeps. To wake a core that does
 * costs some microseconds, more on a virtual machine, and who sends pays. The
 * slower of two programs would pay it oftener, and that alone. */
static int *awake;

static int wait_for(struct pollfd *p, size_t n, int wait)
{
	int got = poll(p, n, *awake ? 0 : wait);

	if (got == 0 && *awake)
		sched_yield();
	return got;
}

static const char event_start[] = "data: {\"id\":\"chatcmpl-1\",\"object\":"
	"\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"m\","
	"\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
static const char event_end[] = "\"},\"logprobs\":null,"
	"\"finish_reason\":null}]}\n\n";
static const char last_text[] = "data: {\"id\":\"chatcmpl-1\",\"object\":"
	"\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"m\","
	"\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],"
	"\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":200,"
	"\"total_tokens\":209}}\n\ndata: [DONE]\n\n";
static const char whole_text[] = "{\"id\":\"chatcmpl-1\",\"object\":"
	"\"chat.completion\",\"created\":1764000000,\"model\":\"m\","
	"\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
	"\"content\":\"Done: the function returns early now.\"},"
	"\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":300,"
	"\"completion_tokens\":9,\"total_tokens\":309}}";

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void put_chunk(struct buf *b, const char *text)
{
	char line[32];

	snprintf(line, sizeof(line), "%zx\r\n", strlen(text));
	buf_put(b, str_of(line));
	buf_put(b, str_of(text));
	buf_put(b, S("\r\n"));
}

static void make_answers(void)
{
	static char text[1024];
	struct buf b = buf_on(burst_text, sizeof(burst_text));
	char event[512];
	int i;

	snprintf(slow_head, sizeof(slow_head), "HTTP/1.1 200 OK\r\n"
	    "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n");
	snprintf(event, sizeof(event), "%sand so on %s", event_start,
	    event_end);
	buf_put(&b, str_of(slow_head));
	for (i = 0; i < EVENTS; i++)
		put_chunk(&b, event);
	put_chunk(&b, last_text);
	buf_put(&b, S("0\r\n\r\n"));
	burst = buf_str(&b);
	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Type: "
	    "application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    sizeof(whole_text) - 1, whole_text);
	whole = str_of(text);
}

/* A whole request stands in front of in: 0 not yet, else its length. */
static size_t request_length(struct str in)
{
	static struct http_head h;
	size_t end = http_head_end(in, 0);
	const char *why;

	if (!end || http_request(&h, str_head(in, end), &why) != OK)
		return 0;
	return in.n >= end + h.length ? end + (size_t)h.length : 0;
}

static void upstream_answer(struct served *l)
{
	struct str in = buf_str(&l->in);
	size_t n = request_length(in);

	if (!n)
		return;
	in = str_from(in, n > 256 ? n - 256 : 0);
	l->in.n = 0;
	if (str_find(in, S("@burst")) < in.n) {
		l->out = burst;
	} else if (str_find(in, S("@slow")) < in.n) {
		l->out = str_of(slow_head);
		l->left = PACED;
		l->due = now_us() + PACE_MS * 1000;
	} else {
		l->out = whole;
	}
}

static void upstream_pace(struct served *l)
{
	static char one[512], last[1024];
	char text[512];
	struct buf b;

	l->due += PACE_MS * 1000;
	if (!last[0]) {
		b = buf_on(last, sizeof(last));
		put_chunk(&b, last_text);
		buf_put(&b, S("0\r\n\r\n"));
	}
	snprintf(text, sizeof(text), "%s" STAMP "%0*lld %s", event_start,
	    STAMP_DIGITS, (long long)now_us(), event_end);
	b = buf_on(one, sizeof(one) - 1);
	put_chunk(&b, text);
	one[b.n] = '\0';
	/* Few bytes: they go out at once, before the next overwrites them. */
	l->out = str_of(--l->left ? one : last);
}

static void upstream_end(struct served *l)
{
	close(l->fd);
	l->fd = -1;
	l->left = 0;
	l->out.n = 0;
	while (served_top && served[served_top - 1].fd < 0)
		served_top--;
}

/* Room for the largest request is needed here, and only for a few. */
static void upstream_read(struct served *l)
{
	ssize_t n;

	if (!l->in.p)
		l->in = buf_on(mmap(NULL, REQUEST_MAX, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		    REQUEST_MAX);
	n = recv(l->fd, l->in.p + l->in.n, l->in.cap - l->in.n, 0);
	if (n > 0) {
		l->in.n += (size_t)n;
		upstream_answer(l);
	} else if (n == 0 || errno != EAGAIN) {
		upstream_end(l);
	}
}

static void upstream_accept(int listener)
{
	int fd = accept(listener, NULL, NULL), one = 1;
	size_t i;

	for (i = 0; fd >= 0 && i < SERVED_MAX; i++) {
		if (served[i].fd >= 0)
			continue;
		served[i].fd = fd;
		served[i].in.n = 0;
		served_top = i >= served_top ? i + 1 : served_top;
		fcntl(fd, F_SETFL, O_NONBLOCK);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		return;
	}
	close(fd);
}

static void upstream_serve(struct served *l, short ready)
{
	ssize_t n;

	if (l->fd >= 0 && ready && !l->out.n)
		upstream_read(l);
	if (l->fd >= 0 && !l->out.n && l->left && l->due <= now_us())
		upstream_pace(l);
	if (l->fd < 0 || !l->out.n)
		return;
	n = send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL);
	if (n > 0)
		l->out = str_from(l->out, (size_t)n);
	else if (errno != EAGAIN)
		upstream_end(l);
}

static int upstream_turn(int listener, int wait)
{
	static struct pollfd p[SERVED_MAX + 1];
	int64_t next = INT64_MAX, now;
	size_t top = served_top, i;

	for (i = 0; i < top; i++) {
		p[i].fd = served[i].fd;
		p[i].events = served[i].out.n ? POLLOUT : POLLIN;
	}
	p[top].fd = listener;
	p[top].events = POLLIN;
	if (wait_for(p, top + 1, wait) < 0)
		return 1000;
	for (i = 0; i < top; i++) {
		upstream_serve(&served[i], p[i].revents);
		if (served[i].fd >= 0 && served[i].left &&
		    served[i].due < next)
			next = served[i].due;
	}
	if (p[top].revents)
		upstream_accept(listener);
	if (next == INT64_MAX)
		return 1000;
	now = now_us();
	return next > now ? (int)((next - now + 999) / 1000) : 0;
}

/* Returns its port. */
static int upstream_start(void)
{
	int port, listener = listen_free(&port), wait = 1000;
	size_t i;

	awake = mmap(NULL, sizeof(*awake), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (awake == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	make_answers();
	listen(listener, SERVED_MAX);
	upstream_pid = fork();
	if (upstream_pid < 0) {
		perror("fork");
		exit(1);
	}
	if (upstream_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < SERVED_MAX; i++)
			served[i].fd = -1;
		for (;;)
			wait = upstream_turn(listener, wait);
	}
	close(listener);
	return port;
}

#endif
