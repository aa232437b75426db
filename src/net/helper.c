/* helper.c -- what would block the loop, done in a child process.
 *
 * Four kinds of process run code of this file. The parent keeps a table of
 * questions and moves frames to and from the child without ever blocking. The
 * child hands each question to a worker and watches them with poll(). A
 * worker answers one question and exits; it is the only one that may hang,
 * and it is killed when it does. Between parent and child is a keeper
 * (keeper.h), as the parent gives up the right to start processes.
 *
 * Memory is the caller's struct helper; the child's table is on its stack.
 * The keeper starts as a copy of the parent, so it is started early; a child
 * started again copies what the keeper holds, and nothing newer.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"
#include "loop.h"
#include "sandbox.h"

enum {
	RESOLVE_TIME = 10000,	/* ms; libc asks two servers in that time */
	SLACK = 5000,		/* ms; a question may wait for a free worker */
	GRACE = 1000,		/* ms; for all who wait to see the answer */
	AGAIN_MIN = 100,	/* ms; between a crash and the next child, */
	AGAIN_MAX = 10000,	/* doubled by each crash up to this */
	STOP_TIME = 100,	/* ms */
	KEEP_MAX = 86400	/* s */
};

enum { FREE, QUEUED, ASKED, GOOD, BAD };	/* of an entry */

/* ---- resolving, in a worker ---- */

static struct str resolve_text(int err)
{
	switch (err) {
	case EAI_NONAME:
		return S("name not found");
	case EAI_AGAIN:
		return S("no name server answers");
	case EAI_FAIL:
		return S("the name server refuses to answer");
	case EAI_MEMORY:
		return S("out of memory while resolving");
	default:
		/* Among them "no address of this kind", which not every
		 * system has a name for. */
		return S("the name has no address");
	}
}

static void put_address(struct buf *answer, const struct addrinfo *ai)
{
	struct sock_addr a;

	if (sock_addr_of(&a, ai->ai_addr, ai->ai_addrlen) == OK)
		buf_put(answer, (struct str){ (const char *)&a, sizeof a });
}

static int resolve(struct str ask, struct buf *answer, unsigned *keep_s)
{
	char name[HELPER_ASK_MAX + 1];
	struct addrinfo hints, *list, *ai;
	int err;

	memcpy(name, ask.p, ask.n);
	name[ask.n] = '\0';
	memset(&hints, 0, sizeof hints);
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	err = getaddrinfo(name, NULL, &hints, &list);
	if (err) {
		buf_put(answer, resolve_text(err));
		return E_FAULT;
	}
	for (ai = list; ai; ai = ai->ai_next)
		if (answer->n < HELPER_ADDRS_MAX * sizeof(struct sock_addr))
			put_address(answer, ai);
	freeaddrinfo(list);
	*keep_s = HELPER_NAMES_KEEP;
	if (answer->n)
		return OK;
	buf_put(answer, S("the name has no address"));
	return E_FAULT;
}

static const struct helper_service *service(const struct helper *h,
    uint32_t kind)
{
	size_t i;

	for (i = 0; i < h->nservices; i++)
		if (h->services[i].kind == kind)
			return &h->services[i];
	return NULL;
}

/* ---- the child and its workers ---- */

struct worker {
	int fd;			/* -1: free */
	pid_t pid;
	int64_t deadline;
	uint32_t id, kind;
	size_t n;		/* bytes of the answer so far */
	struct helper_frame answer;
};

/* A whole frame over a blocking descriptor. OK, or E_NONE at its end. */
static int frame_read(int fd, struct helper_frame *f)
{
	enum sock_reason why;
	size_t n = 0;
	long got;

	while (n < sizeof *f) {
		got = sock_read(fd, (char *)f + n, sizeof *f - n, &why);
		if (got < 0)
			return E_NONE;
		n += (size_t)got;
	}
	return f->n <= sizeof f->text ? OK : E_NONE;
}

static int frame_write(int fd, const struct helper_frame *f)
{
	struct str s = { (const char *)f, sizeof *f };
	enum sock_reason why;
	long put;

	while (s.n) {
		put = sock_write(fd, s, &why);
		if (put < 0)
			return E_NONE;
		s = str_from(s, (size_t)put);
	}
	return OK;
}

static void set_text(struct helper_frame *f, int status, struct str text)
{
	text = str_head(text, sizeof f->text);
	f->status = status;
	f->n = (uint32_t)text.n;
	memcpy(f->text, text.p, text.n);
}

/* The life of a worker. */
static void work(const struct helper *h, int fd, const struct helper_frame *q)
{
	static struct helper_frame a;
	const struct helper_service *s = service(h, q->kind);
	struct str ask = { q->text, q->n };
	struct buf b = buf_on(a.text, sizeof a.text);
	unsigned keep_s = 0;

	a.id = q->id;
	a.kind = q->kind;
	if (!s || ask.n > HELPER_ASK_MAX) {
		set_text(&a, E_FAULT, S("nobody answers such questions"));
	} else {
		a.status = s->serve(ask, &b, &keep_s);
		a.n = (uint32_t)b.n;
		a.keep_s = keep_s;
		if (b.full)
			set_text(&a, E_FAULT, S("the answer is too long"));
	}
	(void)frame_write(fd, &a);
	_exit(0);
}

static unsigned time_for(const struct helper *h, uint32_t kind)
{
	const struct helper_service *s = service(h, kind);

	return s ? s->deadline_ms : RESOLVE_TIME;
}

/* Starts a worker on a question, or answers that it can't. */
static int hire(const struct helper *h, int up, struct worker *w,
    const struct helper_frame *q)
{
	pid_t child = getpid();
	enum sock_reason why;
	int fd[2] = { -1, -1 };

	memset(&w->answer, 0, sizeof w->answer);
	w->id = w->answer.id = q->id;
	w->kind = w->answer.kind = q->kind;
	w->n = 0;
	w->deadline = loop_now() + time_for(h, q->kind);
	w->pid = sock_pair(fd, &why) == OK ? fork() : -1;
	if (w->pid == 0) {
		(void)setpgid(0, 0);
		keeper_bind(child);
		keeper_signals(0);
		keeper_close_others(fd[1]);
		work(h, fd[1], q);
	}
	sock_close(fd[1]);
	if (w->pid > 0) {
		/* Done by both: whoever comes second finds it done. */
		(void)setpgid(w->pid, w->pid);
		w->fd = fd[0];
		return OK;
	}
	sock_close(fd[0]);
	set_text(&w->answer, E_FAULT, S("the system starts no process"));
	return frame_write(up, &w->answer);
}

/* A worker is through, one way or another. */
static int dismiss(int up, struct worker *w, struct str failure)
{
	int r;

	(void)kill(-w->pid, SIGKILL);
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	sock_close(w->fd);
	w->fd = -1;
	if (failure.n || w->answer.id != w->id ||
	    w->answer.n > sizeof w->answer.text) {
		memset(&w->answer, 0, sizeof w->answer);
		w->answer.id = w->id;
		w->answer.kind = w->kind;
		set_text(&w->answer, E_FAULT, failure.n ? failure :
		    S("the answer is garbled"));
	}
	r = frame_write(up, &w->answer);
	memset(&w->answer, 0, sizeof w->answer);
	return r;
}

/* Reads what a worker has written. OK, or E_NONE: the parent is gone. */
static int listen_to(int up, struct worker *w)
{
	enum sock_reason why;
	long got = sock_read(w->fd, (char *)&w->answer + w->n,
	    sizeof w->answer - w->n, &why);

	if (got == SOCK_AGAIN)
		return OK;
	if (got < 0)
		return dismiss(up, w, S("the lookup crashed"));
	w->n += (size_t)got;
	if (w->n < sizeof w->answer)
		return OK;
	return dismiss(up, w, S(""));
}

static int wait_ms(const struct worker *w)
{
	int64_t next = INT64_MAX, now = loop_now();
	size_t i;

	for (i = 0; i < HELPER_WORKERS; i++)
		if (w[i].fd >= 0 && w[i].deadline < next)
			next = w[i].deadline;
	if (next == INT64_MAX)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

/* One turn of the child. A new question is read only when there is a worker
 * to give it to; until then it waits in the socket. */
static int child_turn(const struct helper *h, int up, struct worker *w)
{
	struct pollfd p[HELPER_WORKERS + 1];
	struct helper_frame q;
	struct worker *idle = NULL;
	int i, r = OK;

	for (i = 0; i < HELPER_WORKERS; i++) {
		p[i].fd = w[i].fd;
		p[i].events = POLLIN;
		p[i].revents = 0;
		if (w[i].fd < 0)
			idle = &w[i];
	}
	/* Without an idle worker the end of the parent is still noticed:
	 * POLLHUP comes unasked. */
	p[HELPER_WORKERS].fd = up;
	p[HELPER_WORKERS].events = idle ? POLLIN : 0;
	p[HELPER_WORKERS].revents = 0;
	if (poll(p, HELPER_WORKERS + 1, wait_ms(w)) < 0)
		return errno == EINTR ? OK : E_NONE;
	for (i = 0; i < HELPER_WORKERS && r == OK; i++) {
		if (p[i].revents)
			r = listen_to(up, &w[i]);
		if (w[i].fd >= 0 && w[i].deadline <= loop_now())
			r = dismiss(up, &w[i], S("no answer in time"));
	}
	if (r != OK || !p[HELPER_WORKERS].revents)
		return r;
	if (!idle || frame_read(up, &q) != OK)
		return E_NONE;
	return hire(h, up, idle, &q);
}

static void child(void *ctx, int up)
{
	const struct helper *h = ctx;
	static struct worker w[HELPER_WORKERS];
	static struct helper_frame hello;
	size_t i;

	/* Resolving alone is done with fewer rights than running what the
	 * owner has configured. */
	if (h->nservices == 1)
		(void)sandbox_resolve();
	hello.kind = HELPER_HELLO;
	hello.status = (int32_t)getpid();
	for (i = 0; i < HELPER_WORKERS; i++)
		w[i].fd = -1;
	if (frame_write(up, &hello) == OK)
		while (child_turn(h, up, w) == OK)
			;
	for (i = 0; i < HELPER_WORKERS; i++)
		if (w[i].fd >= 0)
			(void)kill(-w[i].pid, SIGKILL);
}

/* ---- the parent ---- */

static void forget(struct helper_entry *e)
{
	static void *(*const volatile set)(void *, int, size_t) = memset;

	set(e, 0, sizeof *e);
}

static int is_open(const struct helper_entry *e)
{
	return e->state == QUEUED || e->state == ASKED;
}

static void settle(struct helper_entry *e, int state, struct str text,
    int64_t until)
{
	text = str_head(text, sizeof e->answer);
	e->state = state;
	e->nanswer = text.n;
	memcpy(e->answer, text.p, text.n);
	e->until = until;
}

static void fail_open(struct helper *h, int state, struct str why, int64_t now)
{
	size_t i;

	for (i = 0; i < HELPER_ENTRIES; i++)
		if (h->entry[i].state == state)
			settle(&h->entry[i], BAD, why, now + GRACE);
}

/* Sets when the next child may be started: later each time. */
static void back_off(struct helper *h, int64_t now)
{
	unsigned shift = h->deaths < 7 ? h->deaths : 7;
	int64_t wait = (int64_t)AGAIN_MIN << shift;

	h->again = now + (wait < AGAIN_MAX ? wait : AGAIN_MAX);
	h->deaths++;
}

/* The child is gone or not to be trusted; the keeper ends it before it starts
 * the next. */
static void bury(struct helper *h, int64_t now)
{
	sock_close(h->fd);
	h->fd = -1;
	h->pid = 0;
	back_off(h, now);
	fail_open(h, ASKED, S("the helper process ended; try again"), now);
}

static int start_child(struct helper *h, int64_t now)
{
	h->fd = keeper_child(&h->keeper);
	if (h->fd < 0) {
		back_off(h, now);
		return E_FAULT;
	}
	h->heard = now;
	h->in_n = h->out_n = 0;
	return OK;
}

int helper_keep(struct helper *h, const struct helper_service *services,
    size_t n)
{
	size_t i;

	h->fd = -1;
	h->next_id = 1;
	h->nservices = 0;
	h->services[h->nservices++] = (struct helper_service){
	    HELPER_RESOLVE, resolve, RESOLVE_TIME };
	for (i = 0; i < n && h->nservices < HELPER_SERVICES_MAX; i++)
		h->services[h->nservices++] = services[i];
	if (i < n)
		return E_LIMIT;
	(void)keeper_start(&h->keeper, child, h, 1);
	return OK;
}

int helper_start(struct helper *h, const struct helper_service *services,
    size_t n, int64_t now)
{
	int r = helper_keep(h, services, n);

	return r == OK ? start_child(h, now) : r;
}

int helper_fd(const struct helper *h)
{
	return h->fd;
}

static struct helper_entry *queued(struct helper *h)
{
	struct helper_entry *first = NULL;
	size_t i;

	for (i = 0; i < HELPER_ENTRIES; i++)
		if (h->entry[i].state == QUEUED &&
		    (!first || h->entry[i].asked < first->asked))
			first = &h->entry[i];
	return first;
}

unsigned helper_want(const struct helper *h)
{
	unsigned want = h->fd >= 0 ? WANT_READ : 0;
	size_t i;

	if (h->fd < 0)
		return 0;
	if (h->out_n)
		want |= WANT_WRITE;
	for (i = 0; i < HELPER_ENTRIES; i++)
		if (h->entry[i].state == QUEUED)
			want |= WANT_WRITE;
	return want;
}

int64_t helper_deadline(const struct helper *h)
{
	int64_t next = h->fd < 0 ? h->again : LOOP_NEVER;
	size_t i;

	for (i = 0; i < HELPER_ENTRIES; i++)
		if (is_open(&h->entry[i]) && h->entry[i].until < next)
			next = h->entry[i].until;
	return next;
}

/* Sends as much as goes. out_n counts what is left of the frame. */
static void send_frames(struct helper *h, int64_t now)
{
	struct helper_entry *e;
	enum sock_reason why;
	struct str s;
	long put;

	while (h->fd >= 0) {
		if (h->out_n == 0) {
			if (!(e = queued(h)))
				return;
			memset(&h->out, 0, sizeof h->out);
			h->out.id = e->id;
			h->out.kind = e->kind;
			set_text(&h->out, OK, (struct str){ e->ask, e->nask });
			h->out_n = sizeof h->out;
			e->state = ASKED;
		}
		s.p = (const char *)&h->out + (sizeof h->out - h->out_n);
		s.n = h->out_n;
		put = sock_write(h->fd, s, &why);
		if (put == SOCK_AGAIN)
			return;
		if (put < 0) {
			bury(h, now);
			return;
		}
		h->out_n -= (size_t)put;
	}
}

static void take_answer(struct helper *h, int64_t now)
{
	struct helper_frame *f = &h->in;
	struct str text = { f->text, f->n };
	int64_t keep_ms = f->keep_s < KEEP_MAX ? f->keep_s : KEEP_MAX;
	size_t i;

	if (f->kind == HELPER_HELLO) {
		h->pid = f->status;
		return;
	}
	h->heard = now;
	h->deaths = 0;
	keep_ms = f->keep_s ? keep_ms * 1000 : GRACE;
	for (i = 0; i < HELPER_ENTRIES; i++) {
		struct helper_entry *e = &h->entry[i];

		if (e->state != ASKED || e->id != f->id)
			continue;
		if (f->status == OK)
			settle(e, GOOD, text, now + keep_ms);
		else
			settle(e, BAD, text, now + GRACE);
	}
	memset(f, 0, sizeof *f);
}

static void receive_frames(struct helper *h, int64_t now)
{
	enum sock_reason why;
	long got;

	while (h->fd >= 0) {
		got = sock_read(h->fd, (char *)&h->in + h->in_n,
		    sizeof h->in - h->in_n, &why);
		if (got == SOCK_AGAIN)
			return;
		if (got < 0) {
			bury(h, now);
			return;
		}
		h->in_n += (size_t)got;
		if (h->in_n < sizeof h->in)
			continue;
		h->in_n = 0;
		if (h->in.n > sizeof h->in.text) {
			bury(h, now);
			return;
		}
		take_answer(h, now);
	}
}

/* The child ends what is late; this is for when it doesn't, because it is
 * stuck itself or because all workers were busy until now. */
static void end_late(struct helper *h, int64_t now)
{
	int stuck = 0;
	size_t i;

	for (i = 0; i < HELPER_ENTRIES; i++) {
		struct helper_entry *e = &h->entry[i];

		if (!is_open(e) || e->until > now)
			continue;
		stuck |= e->state == ASKED && h->heard < e->asked;
		settle(e, BAD, S("no answer in time"), now + GRACE);
	}
	if (stuck && h->fd >= 0)
		bury(h, now);
}

void helper_turn(struct helper *h, int64_t now)
{
	if (h->fd < 0 && now >= h->again && start_child(h, now) != OK) {
		h->lost |= h->keeper.fd < 0 && queued(h);
		fail_open(h, QUEUED, S("the helper process can't be started"),
		    now);
	}
	send_frames(h, now);
	receive_frames(h, now);
	end_late(h, now);
}

static struct helper_entry *find(struct helper *h, enum helper_kind kind,
    struct str ask)
{
	size_t i;

	for (i = 0; i < HELPER_ENTRIES; i++) {
		struct helper_entry *e = &h->entry[i];
		struct str s = { e->ask, e->nask };

		if (e->state != FREE && e->kind == kind && str_eq(s, ask))
			return e;
	}
	return NULL;
}

/* A place for a new question: a free one, else the answer that was of use
 * longest ago. NULL when all are still open. */
static struct helper_entry *place(struct helper *h)
{
	struct helper_entry *best = NULL;
	size_t i;

	for (i = 0; i < HELPER_ENTRIES; i++) {
		struct helper_entry *e = &h->entry[i];

		if (e->state == FREE)
			return e;
		if (!is_open(e) && (!best || e->used < best->used))
			best = e;
	}
	return best;
}

int helper_ask(struct helper *h, enum helper_kind kind, struct str ask,
    int64_t now, struct str *answer)
{
	struct helper_entry *e;

	*answer = S("such a question can't be asked");
	if (ask.n == 0 || ask.n > HELPER_ASK_MAX || !service(h, kind))
		return E_LIMIT;
	*answer = S("");
	e = find(h, kind, ask);
	if (e && is_open(e))
		return E_MORE;
	if (e && now < e->until) {
		e->used = now;
		*answer = (struct str){ e->answer, e->nanswer };
		return e->state == GOOD ? OK : E_FAULT;
	}
	if (!e && !(e = place(h)))
		return E_MORE;
	forget(e);
	e->state = QUEUED;
	e->kind = kind;
	e->id = h->next_id++;
	e->asked = e->used = now;
	e->until = now + time_for(h, kind) + SLACK;
	e->nask = ask.n;
	memcpy(e->ask, ask.p, ask.n);
	return E_MORE;
}

void helper_forget(struct helper *h, enum helper_kind kind, struct str ask)
{
	struct helper_entry *e = find(h, kind, ask);

	if (e && !is_open(e))
		forget(e);
}

static int is_name(struct str host)
{
	size_t i;

	for (i = 0; i < host.n; i++)
		if (host.p[i] <= ' ' || host.p[i] > '~')
			return 0;
	return host.n > 0 && host.n <= 255;
}

/* RFC 6761: localhost is this machine, whatever a name server says. */
static int is_localhost(struct str host)
{
	if (str_ends(host, S(".")))
		host.n--;
	if (host.n > 10 && host.p[host.n - 10] == '.')
		host = str_from(host, host.n - 9);
	return str_ieq(host, S("localhost"));
}

int helper_resolve(struct helper *h, struct str host, unsigned port,
    int64_t now, struct helper_addrs *out, struct str *why)
{
	struct str answer;
	size_t i;
	int r;

	out->n = 0;
	if (sock_addr_parse(&out->addr[0], host, port) == OK) {
		out->n = 1;
		return OK;
	}
	if (is_localhost(host)) {
		(void)sock_addr_parse(&out->addr[0], S("127.0.0.1"), port);
		(void)sock_addr_parse(&out->addr[1], S("::1"), port);
		out->n = 2;
		return OK;
	}
	if (!is_name(host) || port > UINT16_MAX) {
		*why = S("not a host name");
		return E_FAULT;
	}
	r = helper_ask(h, HELPER_RESOLVE, host, now, &answer);
	if (r == E_FAULT || r == E_LIMIT)
		*why = answer;
	if (r != OK)
		return r;
	out->n = answer.n / sizeof out->addr[0];
	if (out->n > HELPER_ADDRS_MAX)
		out->n = HELPER_ADDRS_MAX;
	memcpy(out->addr, answer.p, out->n * sizeof out->addr[0]);
	for (i = 0; i < out->n; i++)
		out->addr[i].port = (uint16_t)port;
	return OK;
}

void helper_stop(struct helper *h)
{
	size_t i;

	sock_close(h->fd);
	h->fd = -1;
	/* At the end of its socket the child ends its workers and itself. */
	keeper_stop(&h->keeper, STOP_TIME);
	for (i = 0; i < HELPER_ENTRIES; i++)
		forget(&h->entry[i]);
	h->again = LOOP_NEVER;
	h->pid = 0;
}
