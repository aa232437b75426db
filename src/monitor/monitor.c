/* monitor.c -- the readers of a record, the counters, and the redaction that
 * stands before all of them.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

void monitor_redact(struct monitor *m, struct buf *b, struct str text)
{
	mask_secrets(b, text, m->secrets, m->opt.nsecrets);
}

void record_begin(struct record *r, const struct record_source *from)
{
	struct monitor *m = r->mon;

	m->requests++;
	if (r->accepted == 0)
		r->accepted = r->arrived;
	console_begin(r);
	events_request(r, from);
	if (m->journal && r->req && r->slot < m->opt.slots)
		m->in_flight[r->slot] = r;
	m->open++;
}

void record_end(struct record *r)
{
	struct monitor *m = r->mon;

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
	/* Who is alone sees it before its client does. */
	if (m->open == 0)
		console_flush(m);
}

uint64_t monitor_dropped(const struct monitor *m)
{
	return m->dropped + (m->journal ? m->journal->dropped : 0);
}
