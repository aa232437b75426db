/* otlp.c -- requests pushed to an OpenTelemetry collector as they end.
 *
 * The queue holds names of requests; their spans are written from the journal
 * when the child can take a document, at most one a second. The child has the
 * trusted roots and the connection, and nothing of a client's but these
 * documents.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../net/fetch.h"
#include "../net/loop.h"
#include "lines.h"
#include "pages.h"

enum {
	BATCH_MS = 1000,	/* between two documents */
	AGAIN_MIN = 1000, AGAIN_MAX = 60000,	/* ms between two children */
	CLOSE_MS = 1000,
	SCRATCH = 3 << 20,	/* three lines of the journal, parsed */
	END_ROOM = 64,		/* for the end of a document */
	FETCH_MS = 10000, TRIES = 3,	/* for one document */
	CHILD_MEMORY = 1 << 20
};

/* ---- the child -------------------------------------------------------- */

struct sender {
	const struct otlp_options *o;
	int fd;
	struct tls_shared tls;
	struct otlp_news news;
};

static int read_all(int fd, char *to, size_t n)
{
	ssize_t r;

	while (n > 0) {
		r = read(fd, to, n);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return E_NONE;
		to += r;
		n -= (size_t)r;
	}
	return OK;
}

static void tell(struct sender *s, int fails, struct str why)
{
	struct str all = { (const char *)&s->news, sizeof s->news };
	ssize_t r;

	s->news.fails = fails != 0;
	why = str_head(why, sizeof s->news.why - 1);
	memset(s->news.why, 0, sizeof s->news.why);
	memcpy(s->news.why, why.p, why.n);
	while (all.n > 0) {
		r = write(s->fd, all.p, all.n);
		if (r < 0 && errno != EINTR)
			return;
		all = str_from(all, r > 0 ? (size_t)r : 0);
	}
}

/* 1: the collector has it. 0: it hasn't, and another try may help. -1: it
 * won't. */
static int post(struct sender *s, struct str body, struct arena a,
    struct buf *why)
{
	static const char type[] = "content-type: application/json\r\n";
	struct buf fields = buf_open(&a);
	struct fetch_answer answer;
	struct fetch f = { .method = S("POST"), .url = s->o->url,
		.body = body, .tls = &s->tls, .proxy = s->o->proxy };
	int status;

	buf_put(&fields, S(type));
	buf_put(&fields, s->o->fields);
	if (fields.full)
		return -1;
	f.fields = buf_end(&a, &fields);
	f.deadline = loop_now() + FETCH_MS;
	if (fetch(&f, &a, &answer, why) != OK)
		return 0;
	status = answer.head.status;
	if (status / 100 == 2)
		return 1;
	buf_put(why, S("status "));
	buf_int(why, status);
	return status == 429 || status >= 500 ? 0 : -1;
}

static void deliver(struct sender *s, struct str body, struct arena a)
{
	char text[OTLP_WHY];
	struct buf why = buf_on(text, sizeof text);
	int i, r = 0;

	for (i = 0; i < TRIES && r == 0; i++) {
		if (i)
			(void)poll(NULL, 0, 500 << i);
		why.n = 0;
		why.full = 0;
		r = post(s, body, a, &why);
	}
	if (r > 0 && s->news.fails)
		tell(s, 0, S(""));
	if (r <= 0) {
		s->news.lost++;
		tell(s, 1, buf_str(&why));
	}
}

static void run(const struct otlp_options *o, int fd, char *frame)
{
	static char memory[CHILD_MEMORY], roots[TLS_TRUST_MEMORY];
	struct arena a = { memory, memory + sizeof memory };
	struct arena r = { roots, roots + sizeof roots };
	struct sender s = { .o = o, .fd = fd };
	char text[256];
	struct buf why = buf_on(text, sizeof text);
	uint32_t n;

	if (str_istarts(o->url, S("https://")))
		(void)tls_trust(&s.tls, &r, o->cert_file, &why);
	while (read_all(fd, (char *)&n, sizeof n) == OK && n <= OTLP_FRAME &&
	    read_all(fd, frame, n) == OK)
		deliver(&s, (struct str){ frame, n }, a);
}

static void child(void *ctx, int fd)
{
	struct otlp *o = ctx;

	run(&o->opt, fd, o->frame.p);
}

static void start(struct otlp *o, int64_t now)
{
	o->again = now + AGAIN_MAX;
	o->fd = keeper_child(&o->keeper);
	o->frame.n = o->sent = o->nin = 0;
}

static void lost_child(struct otlp *o, int64_t now)
{
	int64_t pause = AGAIN_MIN;
	unsigned i;

	sock_close(o->fd);
	o->fd = -1;
	for (i = 0; i < o->deaths && pause < AGAIN_MAX; i++)
		pause *= 2;
	o->deaths++;
	o->again = now + pause;
}

/* ---- documents -------------------------------------------------------- */

void otlp_open(struct monitor *m, const struct otlp_options *opt)
{
	struct otlp *o = &m->otlp;

	o->fd = -1;
	o->opt = *opt;
	if (!m->journal || !opt->url.n)
		return;
	o->memory = mmap(NULL, SCRATCH + OTLP_FRAME, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (o->memory == MAP_FAILED) {
		o->memory = NULL;
		return;
	}
	o->frame = buf_on(o->memory + SCRATCH, OTLP_FRAME);
	(void)keeper_start(&o->keeper, child, o, 0);
	start(o, loop_now());
}

void otlp_ended(struct monitor *m, struct str id)
{
	struct otlp *o = &m->otlp;
	char *to;

	if (!o->memory || id.n >= OTLP_ID)
		return;
	monitor_enter(m);
	if (o->n == OTLP_QUEUE) {
		o->first = (o->first + 1) % OTLP_QUEUE;
		o->n--;
		o->dropped++;
	}
	to = o->id[(o->first + o->n++) % OTLP_QUEUE];
	memcpy(to, id.p, id.n);
	to[id.n] = '\0';
	if (o->n == 1)
		o->due = loop_now() + BATCH_MS;
	monitor_leave(m);
}

/* E_FULL: its spans don't fit behind those that are there, which stay. */
static int put_request(struct monitor *m, struct page *pg, struct str id)
{
	struct buf *b = &m->otlp.frame;
	size_t before = b->n, count = pg->count;
	struct journal_line l;

	if (journal_find(m->journal, id, J_REQUEST, 0, &l) != OK) {
		m->otlp.dropped++;
		return OK;
	}
	page_otlp_request(pg, b, &l);
	if (!b->full && b->cap - b->n >= END_ROOM)
		return OK;
	b->n = before;
	b->full = 0;
	pg->count = count;
	return E_FULL;
}

/* The next document, behind its length. */
static void make_frame(struct monitor *m)
{
	struct otlp *o = &m->otlp;
	struct page pg = { .m = m, .j = m->journal,
		.work = { o->memory, o->memory + SCRATCH } };
	uint32_t n = 0;
	size_t i;

	o->frame.n = o->sent = 0;
	o->frame.full = 0;
	buf_put(&o->frame, (struct str){ (const char *)&n, sizeof n });
	page_otlp_open(&o->frame);
	for (i = 0; i < OTLP_SPANS && o->n > 0; i++) {
		if (put_request(m, &pg, str_of(o->id[o->first])) != OK) {
			if (pg.count > 0)
				break;		/* for the next document */
			o->dropped++;		/* larger than any */
		}
		o->first = (o->first + 1) % OTLP_QUEUE;
		o->n--;
	}
	page_otlp_close(&o->frame);
	if (pg.count == 0) {
		o->frame.n = 0;
		return;
	}
	n = (uint32_t)(o->frame.n - sizeof n);
	memcpy(o->frame.p, &n, sizeof n);
}

/* ---- turns ------------------------------------------------------------ */

int otlp_fd(const struct monitor *m)
{
	return m->otlp.memory ? m->otlp.fd : -1;
}

unsigned otlp_want(const struct monitor *m)
{
	const struct otlp *o = &m->otlp;

	return WANT_READ | (o->sent < o->frame.n ? WANT_WRITE : 0);
}

static void hear(struct monitor *m)
{
	struct otlp *o = &m->otlp;
	char text[OTLP_WHY + 80];
	struct buf b = buf_on(text, sizeof text);

	o->nin = 0;
	o->deaths = 0;
	o->lost = o->u.news.lost;
	o->u.news.why[OTLP_WHY - 1] = '\0';
	if ((int)o->u.news.fails == o->failing)
		return;
	o->failing = (int)o->u.news.fails;
	if (!o->failing) {
		monitor_say(m, "note", S("the collector of "
		    "OTEL_EXPORTER_OTLP_ENDPOINT takes spans again"));
		return;
	}
	buf_put(&b, S("OTEL_EXPORTER_OTLP_ENDPOINT: spans are lost: "));
	buf_put(&b, str_of(o->u.news.why));
	monitor_say(m, "warning", buf_str(&b));
}

static void listen_to(struct monitor *m, int64_t now)
{
	struct otlp *o = &m->otlp;
	enum sock_reason why;
	long n;

	for (;;) {
		n = sock_read(o->fd, o->u.in + o->nin,
		    sizeof o->u.in - o->nin, &why);
		if (n == SOCK_AGAIN)
			return;
		if (n <= 0) {
			lost_child(o, now);
			return;
		}
		o->nin += (size_t)n;
		if (o->nin == sizeof o->u.in)
			hear(m);
	}
}

static int64_t turn(struct monitor *m, int64_t now)
{
	struct otlp *o = &m->otlp;
	enum sock_reason why;
	long n;

	if (o->fd < 0 && now >= o->again)
		start(o, now);
	if (o->fd >= 0)
		listen_to(m, now);
	if (o->fd < 0)
		return o->again;
	if (o->sent == o->frame.n && o->n > 0 && now >= o->due) {
		make_frame(m);
		o->due = now + BATCH_MS;
	}
	while (o->sent < o->frame.n) {
		n = sock_write(o->fd, str_from(buf_str(&o->frame), o->sent),
		    &why);
		if (n <= 0)
			break;
		o->sent += (size_t)n;
	}
	return o->n > 0 && o->sent == o->frame.n ? o->due : LOOP_NEVER;
}

int64_t otlp_turn(struct monitor *m, int64_t now)
{
	int64_t wake;

	if (!m->otlp.memory)
		return LOOP_NEVER;
	monitor_enter(m);
	wake = turn(m, now);
	monitor_leave(m);
	return wake;
}

void otlp_close(struct monitor *m)
{
	struct otlp *o = &m->otlp;
	int64_t end = loop_now() + CLOSE_MS;
	struct pollfd p;

	while (o->memory && o->fd >= 0 && loop_now() < end &&
	    (o->n > 0 || o->sent < o->frame.n)) {
		o->due = 0;
		(void)otlp_turn(m, loop_now());
		p = (struct pollfd){ o->fd, POLLOUT, 0 };
		if (o->fd >= 0 && o->sent < o->frame.n)
			(void)poll(&p, 1, 20);
	}
	if (!o->memory)
		return;
	if (o->fd >= 0)
		sock_close(o->fd);
	o->fd = -1;
	keeper_stop(&o->keeper, end > loop_now() ? (int)(end - loop_now()) :
	    0);
}
