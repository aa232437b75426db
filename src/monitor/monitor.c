/* monitor.c -- the readers of a record, the counters, the redaction that stands
 * before all of them, and the lock.
 *
 * SPDX-License-Identifier: MIT */
#include "../net/loop.h"
#include "lines.h"

enum {
	SOON_MS = 10,		/* whoever comes by then need not be woken */
	RESIDENT_MS = 1000
};

void monitor_redact(struct monitor *m, struct buf *b, struct str text)
{
	mask_secrets(b, text, m->secrets, m->opt.nsecrets);
}

/* ---- several processes ------------------------------------------------ */

static int owner = -1;		/* wakes the process that owns the monitor */

void monitor_worker(int fd)
{
	owner = fd;
	metrics_open();
}

void monitor_enter(struct monitor *m)
{
	share_take(&m->lock);
}

static int has_news(const struct monitor *m)
{
	return m->nconsole || m->otlp.n != m->slept_queue ||
	    (m->journal && journal_next(m->journal) != m->slept_at);
}

void monitor_leave(struct monitor *m)
{
	int wakes = 0;

	if (!m->lock.shared)
		return;
	if (m->asleep && owner >= 0 && share_once() && has_news(m)) {
		m->asleep = 0;
		wakes = 1;
	}
	share_free(&m->lock);
	if (wakes)
		sock_wake(owner);
}

void monitor_settle(struct monitor *m, int64_t now, int64_t wake)
{
	m->slept_at = m->journal ? journal_next(m->journal) : 0;
	m->slept_queue = m->otlp.n;
	m->asleep = wake > now + SOON_MS;
}

void monitor_mend(struct monitor *m)
{
	m->colour = m->opt.colour;
	if (m->journal)
		journal_mend(m->journal);
}

void monitor_resident(struct monitor *m, int64_t now)
{
	static int64_t told;

	if (now - told < RESIDENT_MS)
		return;
	told = now;
	m->resident[share_self() - 1] = metrics_resident(0);
}

/* ---- records ---------------------------------------------------------- */

void record_begin(struct record *r, const struct record_source *from)
{
	struct monitor *m = r->mon;

	monitor_enter(m);
	m->open++;
	m->requests++;
	r->begun = 1;
	if (r->accepted == 0)
		r->accepted = r->arrived;
	console_begin(r);
	events_request(r, from);
	if (m->journal && r->req && r->slot < m->opt.slots)
		m->in_flight[r->slot] = r;
	monitor_leave(m);
}

void record_end(struct record *r)
{
	struct monitor *m = r->mon;

	monitor_enter(m);
	if (r->outcome == OUTCOME_CANCELLED)
		m->cancelled++;
	else if (r->outcome != OUTCOME_DONE)
		m->errors++;
	console_end(r, r->wall_ms + (r->ended - r->arrived));
	events_response(r);
	/* By now it is known what it cost and whether the cache missed. */
	metrics_record(&m->metrics, r);
	if (m->journal && r->slot < m->opt.slots)
		m->in_flight[r->slot] = NULL;
	m->open -= m->open > 0;
	r->begun = 0;
	/* Who is alone sees it before its client does. */
	if (m->open == 0)
		console_flush(m);
	monitor_leave(m);
}

void record_abandon(struct record *r, const struct fault *f,
    const struct arena *arena)
{
	static const struct request nothing;
	struct monitor *m = r->mon;
	struct journal_line l;

	r->req = r->req ? &nothing : NULL;
	r->notes = NULL;
	r->arena = arena;
	r->fault = *f;
	r->status = r->status ? r->status : f->status;
	r->outcome = OUTCOME_CUT;
	r->ended = loop_now();
	monitor_enter(m);
	/* It may have died while it said so itself. */
	if (m->journal && r->req && journal_find(m->journal, label_str(&r->id),
	    J_RESPONSE, 0, &l) == OK) {
		m->in_flight[r->slot] = NULL;
		m->open -= m->open > 0;
		m->metrics.ended++;
		r->begun = 0;
	} else {
		record_end(r);
	}
	monitor_leave(m);
}

uint64_t monitor_dropped(const struct monitor *m)
{
	return m->dropped + (m->journal ? m->journal->dropped : 0);
}
