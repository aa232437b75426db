/* start.c -- the monitor's beginning and end, and what the files do.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../net/loop.h"
#include "lines.h"
#include "recognise.h"

enum {
	TEND_MS = 1000,
	FAILS_MS = 60000,	/* between two warnings about the log */
	CONSOLE_MS = 5,		/* that a line waits for others */
	PRICES_TEXT = 262144,	/* of PRICES_FILE */
	PRICES_SCRATCH = 4 << 20
};

static void say(struct monitor *m, const char *level, struct str a,
    struct str b, struct str c)
{
	char text[512];
	struct buf out = buf_on(text, sizeof text);

	buf_put(&out, a);
	buf_put(&out, str_head(b, 200));
	buf_put(&out, c);
	monitor_say(m, level, buf_str(&out));
}

static int read_text(struct str path, struct buf *b)
{
	char z[1024];
	ssize_t n;
	int fd;

	if (path.n >= sizeof z) {
		errno = ENAMETOOLONG;
		return E_NONE;
	}
	memcpy(z, path.p, path.n);
	z[path.n] = '\0';
	fd = open(z, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return E_NONE;
	while ((n = read(fd, b->p + b->n, b->cap - b->n)) > 0)
		b->n += (size_t)n;
	close(fd);
	if (b->n == b->cap)
		errno = EFBIG;
	return n == 0 && b->n < b->cap ? OK : E_NONE;
}

static void read_prices(struct monitor *m)
{
	struct str path = m->opt.prices_file, why = S("");
	char *text = share_map_own(PRICES_TEXT);
	struct arena a;
	struct buf b;

	a.cur = share_map_own(PRICES_SCRATCH);
	if (path.n == 0 || !text || !a.cur)
		return;
	a.end = a.cur + PRICES_SCRATCH;
	b = buf_on(text, PRICES_TEXT);
	if (read_text(path, &b) != OK)
		say(m, "warning", S("PRICES_FILE cannot be read: "),
		    str_of(strerror(errno)), S("; list prices are used"));
	else if (prices_read(m->prices, buf_str(&b), &a, &why) != OK)
		say(m, "warning", S("PRICES_FILE is not understood: "), why,
		    S("; list prices are used where it ends"));
}

static void open_journal(struct monitor *m)
{
	const struct monitor_options *o = &m->opt;
	struct journal_options jo = {
		.memory = o->memory, .raw = o->raw, .slots = o->slots,
		.bodies = o->bodies, .secrets = m->secrets,
		.nsecrets = o->nsecrets
	};
	struct writer_options wo = {
		.dir = o->log_dir, .segment_max = o->segment_max,
		.total_max = o->log_max_bytes, .keep = o->log_keep,
		.days = o->log_days, .full = o->full
	};
	char number[32];
	struct buf b = buf_on(number, sizeof number);

	m->journal = journal_open(&jo);
	m->recogniser = share_map(sizeof *m->recogniser);
	m->prices = share_map(sizeof *m->prices);
	m->in_flight = share_map((o->slots + 1) * sizeof *m->in_flight);
	if (!m->journal || !m->recogniser || !m->prices || !m->in_flight) {
		m->journal = NULL;
		say(m, "warning", S("no memory for the monitor "
		    "(MONITOR_MEMORY): requests are served, not recorded"),
		    S(""), S(""));
		return;
	}
	read_prices(m);
	writer_open(m->journal, &wo);
	restore_sessions(m);
	if (m->journal->damaged) {
		buf_u64(&b, m->journal->damage_at);
		say(m, "warning", S("the journal in LOG_DIR is damaged at "
		    "byte "), buf_str(&b), S(", which was passed over"));
	}
}

void monitor_open(struct monitor *m, const struct monitor_options *o)
{
	size_t i;

	m->lock.shared = o->shared;
	m->opt = *o;
	for (i = 0; i < o->nsecrets && i < MONITOR_SECRETS_MAX; i++)
		m->secrets[i] = o->secrets[i];
	m->opt.secrets = m->secrets;
	m->opt.nsecrets = i;
	m->colour = o->colour >= 0 ? o->colour : isatty(o->console_fd);
	m->opt.colour = m->colour;
	/* Reads the time zone now: later it would allocate while serving. */
	tzset();
	metrics_init(&m->metrics, loop_wall());
	open_journal(m);
}

void monitor_reopen(struct monitor *m)
{
	monitor_enter(m);
	if (m->journal)
		writer_reopen(m->journal);
	monitor_leave(m);
}

void monitor_close(struct monitor *m)
{
	monitor_enter(m);
	console_flush(m);
	if (m->journal)
		writer_close(m->journal);
	monitor_leave(m);
}

int monitor_fd(const struct monitor *m)
{
	return writer_fd(m->journal);
}

unsigned monitor_want(const struct monitor *m)
{
	return m->journal ? writer_want(m->journal) : 0;
}

/* What people hear of the log: at once that it can't be written, but not twice
 * within FAILS_MS, however often a disk is freed and full again meanwhile; that
 * it is written, where they know that it wasn't. Returns when it wants to be
 * called at the latest. */
static int64_t tell_files(struct monitor *m, int64_t now)
{
	const struct writer *w = &m->journal->writer;

	if (w->failing == m->fails_told)
		return LOOP_NEVER;
	if (w->failing && m->fails_at && now - m->fails_at < FAILS_MS)
		return m->fails_at + FAILS_MS;
	m->fails_told = w->failing;
	if (!w->failing) {
		monitor_say(m, "note", S("the log is written again"));
		return LOOP_NEVER;
	}
	m->fails_at = now;
	say(m, "warning", S("the log in LOG_DIR cannot be written ("),
	    w->why == EPERM ? S("directory of another user") :
	    str_of(strerror(w->why)), S("); requests go on, without it"));
	return LOOP_NEVER;
}

static int64_t turn(struct monitor *m, int64_t now, int readable)
{
	int64_t wake, tell;
	size_t i;

	if (m->nconsole && m->console_at == 0)
		m->console_at = now + CONSOLE_MS;
	if (m->open == 0 || (m->nconsole && now >= m->console_at))
		console_flush(m);
	if (m->nconsole == 0)
		m->console_at = 0;
	wake = m->console_at ? m->console_at : LOOP_NEVER;
	if (!m->journal)
		return wake;
	m->journal->writer.readable = readable;
	/* Not at once, even when nothing is in flight: on a single core the
	 * child that writes would take its turn before the next request. */
	writer_turn(m->journal, now, 0);
	tell = tell_files(m, now);
	if (tell < wake)
		wake = tell;
	if (now - m->tended >= TEND_MS) {
		m->tended = now;
		for (i = 0; i < m->opt.slots; i++)
			if (m->in_flight[i])
				alerts_stall(m->in_flight[i], now);
		alerts_dropped(m, now);
	}
	if (writer_wake(m->journal) < wake)
		wake = writer_wake(m->journal);
	if ((m->open || m->dropped_told != m->journal->dropped) &&
	    m->tended + TEND_MS < wake)
		wake = m->tended + TEND_MS;
	return wake;
}

int64_t monitor_turn(struct monitor *m, int64_t now, int readable)
{
	int64_t wake;

	monitor_enter(m);
	wake = turn(m, now, readable);
	monitor_leave(m);
	return wake;
}
