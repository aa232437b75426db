/* writer.c -- hands lines to the child that writes them.
 *
 * One frame is on its way at a time, copied out of the ring when it begins, as
 * the ring may turn over before it has left. A child that died took with it
 * what was in its socket: then, too, the file begins anew.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "../net/loop.h"
#include "../net/sandbox.h"
#include "journal_own.h"
#include "lines.h"
#include "scribe.h"

enum {
	FRAMES_MAX = 16,	/* a turn */
	BATCH = 65536,		/* bytes of lines that leave together, */
	FULL_MORE = 65536,	/* a head, beside a fourth of RAW_MB */
	FLUSH_MS = 5,		/* or after so long: a call of the system costs
				 * more than a line */
	AGAIN_MIN = 500, AGAIN_MAX = 30000,	/* ms between two children */
	CLOSE_MS = 1000,
	DAY_MS = 86400000
};

/* ---- the child -------------------------------------------------------- */

/* It ends when the parent does: by the end of the socket, after what is in it
 * was written. */
static void be_child(void *ctx, int fd)
{
	struct journal *j = ctx;
	int k;

	for (k = 0; k < 3; k++) {
		sock_close(k);
		(void)open("/dev/null", O_RDWR);
	}
	(void)sandbox_store();
	scribe_run(&j->writer.opt, fd, j->writer.frame.p);
}

static void start(struct journal *j, int64_t now)
{
	struct writer *w = &j->writer;

	w->again = now + AGAIN_MAX;
	w->fd = keeper_child(&w->keeper);
	w->frame.n = w->sent = w->nin = 0;
	w->blocked = 0;
	w->full_lost = 0;
}

/* The first of the requests whose bytes wait is done with. */
static void end_full(struct writer *w, int lost)
{
	w->full_first = (w->full_first + 1) % WRITER_FULL;
	w->nfull--;
	w->full_side = 0;
	w->full.n = w->full_sent = 0;
	w->full_dropped += lost != 0;
}

static void lost_child(struct journal *j, int64_t now)
{
	struct writer *w = &j->writer;
	int64_t pause = AGAIN_MIN;
	unsigned i;

	sock_close(w->fd);
	w->fd = -1;
	for (i = 0; i < w->deaths && pause < AGAIN_MAX; i++)
		pause *= 2;
	w->deaths++;
	w->again = now + pause;
	j->dropped += j->next - w->seq;
	w->seq = j->fresh = j->next;
	if (w->nfull && w->full_side)
		end_full(w, 1);
}

/* ---- frames ----------------------------------------------------------- */

static void begin_frame(struct writer *w, enum scribe_kind kind, size_t n)
{
	struct scribe_head h = { (uint32_t)kind, (uint32_t)n };

	w->sent = 0;
	w->frame.n = 0;
	w->frame.full = 0;
	buf_put(&w->frame, (struct str){ (const char *)&h, sizeof h });
}

static void put_frame(struct writer *w, enum scribe_kind kind, struct str s)
{
	begin_frame(w, kind, s.n);
	buf_put(&w->frame, s);
}

/* A line as the file gets it. What LOG_BODIES keeps back stands at its end. */
static void add_line(struct journal *j, const struct entry *e)
{
	struct buf *b = &j->writer.frame;
	struct str text = { j->ring + e->pos % j->size, e->n };

	if (e->closed && e->public < e->n - 1) {
		buf_put(b, str_head(text, e->public));
		buf_put(b, e->kind == J_BLOB ? S(",\"data\":null}\n") :
		    S("}\n"));
		return;
	}
	buf_put(b, text);
	buf_chr(b, '\n');
}

static void frame_rotate(struct writer *w, uint64_t n)
{
	char text[24];
	struct buf b = buf_on(text, sizeof text);

	buf_u64(&b, n);
	put_frame(w, SCRIBE_ROTATE, buf_str(&b));
}

/* As many lines as leave together; at least one, whatever its size. */
static void frame_lines(struct journal *j)
{
	struct writer *w = &j->writer;
	struct scribe_head h;
	struct entry *e;

	begin_frame(w, SCRIBE_LINES, 0);
	while (w->seq < j->next) {
		e = &j->entry[w->seq & (j->nentries - 1)];
		if (e->rotates || (w->frame.n > sizeof h &&
		    w->frame.n + e->n > BATCH))
			break;
		if (e->n)
			add_line(j, e);
		w->seq++;
	}
	h = (struct scribe_head){ SCRIBE_LINES,
	    (uint32_t)(w->frame.n - sizeof h) };
	memcpy(w->frame.p, &h, sizeof h);
}

/* A whole side, as far as it was kept. */
static void read_side(struct journal *j, struct str id, enum raw_side side)
{
	struct buf *b = &j->writer.full;

	b->n = j->writer.full_sent = 0;
	b->full = 0;
	if (journal_raw(j, id, side, 1, b) == OK &&
	    journal_raw(j, id, side, 0, b) == E_LIMIT)
		buf_put(b, S("\n[claudecodex: cut here, as a fourth of RAW_MB "
		    "is the most that is kept]\n"));
}

/* Of the requests whose bytes wait a piece of the first. 0: none waits. */
static int frame_full(struct journal *j)
{
	static const char *const names[RAW_SIDES] = { "-client-request.http",
		"-upstream-request.http", "-upstream-response.http",
		"-client-response.http" };
	struct writer *w = &j->writer;
	struct scribe_head h;
	struct str id, part;

	while (w->nfull && w->full_sent == w->full.n) {
		id = str_of(w->full_id[w->full_first]);
		if (w->full_side == RAW_SIDES) {
			end_full(w, 0);
			continue;
		}
		read_side(j, id, (enum raw_side)w->full_side++);
		/* The client's request is the oldest: without it the rest is
		 * gone too, or will be. */
		if (w->full_side == 1 && w->full.n == 0)
			end_full(w, 1);
	}
	if (w->nfull == 0)
		return 0;
	part = str_head(str_from(buf_str(&w->full), w->full_sent), BATCH);
	w->full_sent += part.n;
	begin_frame(w, SCRIBE_FULL, 0);
	buf_put(&w->frame, str_of(w->full_id[w->full_first]));
	buf_put(&w->frame, str_of(names[w->full_side - 1]));
	buf_chr(&w->frame, '\0');
	buf_put(&w->frame, part);
	h = (struct scribe_head){ SCRIBE_FULL,
	    (uint32_t)(w->frame.n - sizeof h) };
	memcpy(w->frame.p, &h, sizeof h);
	return 1;
}

/* Puts the next frame together. 0: there is none. */
static int next_frame(struct journal *j)
{
	struct writer *w = &j->writer;
	struct entry *e;

	if (w->reopen) {
		w->reopen = 0;
		put_frame(w, SCRIBE_REOPEN, S(""));
		return 1;
	}
	if (w->nqueue) {
		put_frame(w, SCRIBE_LOG, (struct str){ w->queue, w->nqueue });
		w->nqueue = 0;
		return 1;
	}
	if (w->seq < j->first) {
		j->dropped += j->next - w->seq;
		w->seq = j->fresh = j->next;
	}
	if (w->seq == j->next)
		return frame_full(j);
	e = &j->entry[w->seq & (j->nentries - 1)];
	if (e->rotates) {
		e->rotates = 0;
		frame_rotate(w, e->key);
	} else {
		frame_lines(j);
	}
	return 1;
}

/* ---- news ------------------------------------------------------------- */

static void hear(struct writer *w)
{
	struct scribe_news news;

	memcpy(&news, w->in, sizeof news);
	w->nin = 0;
	w->failing = news.fails != 0;
	w->why = (int)news.why;
	w->deaths = 0;
	w->full_dropped += news.lost - w->full_lost;
	w->full_lost = news.lost;
}

static void listen_to(struct journal *j, int64_t now)
{
	struct writer *w = &j->writer;
	enum sock_reason why;
	long n;

	for (;;) {
		n = sock_read(w->fd, (char *)w->in + w->nin,
		    sizeof(struct scribe_news) - w->nin, &why);
		if (n == SOCK_AGAIN)
			return;
		if (n <= 0) {
			lost_child(j, now);
			return;
		}
		w->nin += (size_t)n;
		if (w->nin == sizeof(struct scribe_news))
			hear(w);
	}
}

/* ---- turns ------------------------------------------------------------ */

int writer_fd(const struct journal *j)
{
	return j ? j->writer.fd : -1;
}

unsigned writer_want(const struct journal *j)
{
	return j->writer.fd < 0 ? 0 : WANT_READ | (j->writer.blocked ?
	    WANT_WRITE : 0);
}

static int has_more(const struct journal *j)
{
	const struct writer *w = &j->writer;

	return w->sent < w->frame.n || w->reopen || w->nqueue ||
	    w->seq < j->next || w->nfull;
}

/* 1: more could go. */
static int send_some(struct journal *j)
{
	struct writer *w = &j->writer;
	enum sock_reason why;
	long n;

	if (w->sent == w->frame.n && !next_frame(j))
		return 0;
	n = sock_write(w->fd, str_from(buf_str(&w->frame), w->sent), &why);
	w->blocked = n == SOCK_AGAIN;
	if (n <= 0)
		return 0;	/* an error is met by the next read */
	w->sent += (size_t)n;
	return 1;
}

static int is_due(struct journal *j, int64_t now)
{
	struct writer *w = &j->writer;

	if (w->flush_at == 0)
		w->flush_at = now + FLUSH_MS;
	return now >= w->flush_at || w->nqueue > sizeof w->queue / 2 ||
	    (w->seq < j->next && (w->seq < j->first || j->head -
	    j->entry[w->seq & (j->nentries - 1)].pos > BATCH));
}

void writer_turn(struct journal *j, int64_t now, int idle)
{
	struct writer *w = &j->writer;
	size_t i;

	if (w->opt.dir.n == 0)
		return;
	if (w->fd < 0 && now >= w->again)
		start(j, now);
	if (w->fd >= 0 && w->readable)
		listen_to(j, now);
	if (w->fd < 0 || !has_more(j) || !(is_due(j, now) || idle))
		return;
	for (i = 0; i < FRAMES_MAX && send_some(j); i++)
		continue;
	if (!has_more(j))
		w->flush_at = 0;
}

int64_t writer_wake(const struct journal *j)
{
	const struct writer *w = &j->writer;

	if (w->opt.dir.n == 0)
		return LOOP_NEVER;
	if (w->fd < 0)
		return w->again;
	return has_more(j) && !w->blocked ? w->flush_at : LOOP_NEVER;
}

void writer_log(struct journal *j, struct str line)
{
	struct writer *w = &j->writer;

	if (w->opt.dir.n == 0)
		return;
	if (line.n + 1 > sizeof w->queue - w->nqueue) {
		j->dropped++;
		return;
	}
	memcpy(w->queue + w->nqueue, line.p, line.n);
	w->nqueue += line.n;
	w->queue[w->nqueue++] = '\n';
}

void writer_full(struct journal *j, struct str id)
{
	struct writer *w = &j->writer;
	char *to;

	if (!w->full.cap || id.n >= ID_MAX ||
	    j->opt.bodies == LOG_BODIES_NONE ||
	    (j->opt.bodies == LOG_BODIES_ERRORS && !j->failed))
		return;
	if (w->nfull == WRITER_FULL) {
		w->full_dropped++;
		return;
	}
	to = w->full_id[(w->full_first + w->nfull++) % WRITER_FULL];
	memcpy(to, id.p, id.n);
	to[id.n] = '\0';
}

static void put_segment(struct journal *j, int64_t now, int rotates)
{
	struct writer *w = &j->writer;
	struct buf *b;
	uint64_t seq;

	w->segment++;
	w->emitted = w->carried = 0;
	w->began = now;
	b = journal_begin(j, J_SEGMENT, S(""), 0);
	j->open.key = w->segment;
	j->open.rotates = rotates != 0;
	journal_put_int(j, "n", (int64_t)w->segment);
	journal_put_key(j, "started");
	buf_chr(b, '"');
	monitor_when(b, loop_wall());
	buf_chr(b, '"');
	journal_put_text(j, "version", S(VERSION));
	seq = journal_end(j);
	j->fresh = seq;
}

void writer_segment(struct journal *j, int64_t now)
{
	struct writer *w = &j->writer;
	uint64_t most = w->carried < w->opt.total_max / 4 ? 2 * w->carried :
	    w->opt.total_max / 2;

	if (most < w->opt.segment_max)
		most = w->opt.segment_max;
	if (w->opt.dir.n == 0 || (w->emitted < most &&
	    now - w->began < DAY_MS))
		return;
	put_segment(j, now, 1);
}

void writer_reopen(struct journal *j)
{
	struct writer *w = &j->writer;

	w->reopen = 1;
}

void writer_open(struct journal *j, const struct writer_options *o)
{
	struct writer *w = &j->writer;
	char *frame = o->dir.n ? share_map_own(SCRIBE_MAX + 64) : NULL;
	uint64_t size = 0, room;
	int64_t now = loop_now();

	w->opt = *o;
	w->fd = -1;
	if (!frame)
		w->opt.dir.n = 0;
	if (w->opt.dir.n == 0)
		return;
	w->frame = buf_on(frame, SCRIBE_MAX);
	room = j->opt.raw / 4 + FULL_MORE;
	frame = o->full && j->opt.raw ? share_map_own(room) : NULL;
	w->full = buf_on(frame, frame ? (size_t)room : 0);
	load_tail(j, o->dir, &size, &w->segment);
	w->seq = j->next;
	/* A file that is half full already is finished. */
	put_segment(j, now, size > o->segment_max / 2);
	w->emitted = size > o->segment_max / 2 ? 0 : size;
	(void)keeper_start(&w->keeper, be_child, j, 0);
	start(j, now);
}

void writer_close(struct journal *j)
{
	struct writer *w = &j->writer;
	int64_t until = loop_now() + CLOSE_MS, now;
	struct pollfd p;

	if (w->opt.dir.n == 0)
		return;
	while (w->fd >= 0 && (now = loop_now()) < until && has_more(j)) {
		w->flush_at = now;
		p = (struct pollfd){ w->fd, POLLOUT, 0 };
		(void)poll(&p, 1, (int)(until - now));
		writer_turn(j, now, 1);
	}
	sock_close(w->fd);
	w->fd = -1;
	now = loop_now();
	keeper_stop(&w->keeper, until > now ? (int)(until - now) : 0);
}
