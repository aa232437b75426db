/* events_raw.c -- exact bytes of both sides, as a record sees them.
 *
 * A client repeats its whole conversation with each request, and to look for
 * keys in all of it would cost more than to parse it. What was looked at once
 * and found clean is known by its sum (quick.c), and isn't looked at again.
 *
 * SPDX-License-Identifier: MIT */
#include "events.h"

void record_raw(struct record *r, enum raw_side side, int head,
    struct str bytes)
{
	struct journal *j = r->mon->journal;

	if (!j || !r->req)
		return;
	monitor_enter(r->mon);
	if (head)
		raw_head(j, r->slot, side, bytes);
	else
		raw_add(j, r->slot, side, bytes);
	monitor_leave(r->mon);
}

/* The client's head, put together again: what it said, field by field. */
static int keep_head(struct record *r, const struct http_head *h)
{
	struct arena scratch = *r->arena;
	struct buf b = buf_open(&scratch);
	size_t i;

	buf_put(&b, h->method);
	buf_chr(&b, ' ');
	buf_put(&b, h->target);
	buf_put(&b, h->minor ? S(" HTTP/1.1\r\n") : S(" HTTP/1.0\r\n"));
	for (i = 0; i < h->nfields; i++) {
		buf_put(&b, h->fields[i].name);
		buf_put(&b, S(": "));
		buf_put(&b, h->fields[i].value);
		buf_put(&b, S("\r\n"));
	}
	buf_put(&b, S("\r\n"));
	if (!b.full)
		raw_head(r->mon->journal, r->slot, RAW_CLIENT_REQUEST,
		    buf_str(&b));
	return b.full ? E_FULL : OK;
}

/* What is left of the body, as it is kept part by part. */
struct rest {
	struct record *r;
	struct str text;
};

/* Goes on to an element of an array in the body, and past it. Returns whether
 * nothing in it was masked. */
static int keep_part(struct rest *rest, struct str part, int clean)
{
	struct record *r = rest->r;
	struct journal *j = r->mon->journal;
	size_t at;

	/* One that stands in another's place was kept with it. */
	if (part.n == 0 || part.p < rest->text.p)
		return 0;
	at = (size_t)(part.p - rest->text.p);
	raw_add(j, r->slot, RAW_CLIENT_REQUEST, str_head(rest->text, at));
	rest->text = str_from(rest->text, at + part.n);
	return raw_part(j, r->slot, RAW_CLIENT_REQUEST, part, clean);
}

static void keep_system(struct rest *rest, const struct facts *f)
{
	struct quick *q = &rest->r->mon->journal->quick;
	size_t i;

	for (i = 0; i < f->q->nsystem && i < SYSTEM_MAX; i++)
		if (keep_part(rest, json_raw(f->q->system[i].json),
		    quick_clean(q, f->block_sum[i])))
			quick_set_clean(q, f->block_sum[i]);
}

/* They have one sum together. */
static void keep_tools(struct rest *rest, const struct facts *f)
{
	struct quick *q = &rest->r->mon->journal->quick;
	int clean = quick_clean(q, f->tools_sum), all = 1;
	size_t i;

	for (i = 0; i < f->q->ntools; i++)
		if (!keep_part(rest, json_raw(f->q->tools[i].json), clean))
			all = 0;
	if (all)
		quick_set_clean(q, f->tools_sum);
}

static void keep_messages(struct rest *rest, const struct facts *f)
{
	struct quick *q = &rest->r->mon->journal->quick;
	size_t i;

	for (i = 0; f->sha && i < f->q->nmessages; i++)
		if (keep_part(rest, json_raw(f->q->messages[i].json),
		    quick_clean(q, f->sum[i])))
			quick_set_clean(q, f->sum[i]);
}

void event_raw(struct record *r, const struct facts *f)
{
	static void (*const keep[])(struct rest *, const struct facts *) = {
		keep_system, keep_tools, keep_messages
	};
	struct journal *j = r->mon->journal;
	struct jv members[COUNT(keep)] = {
		json_get(f->q->json, S("system")),
		json_get(f->q->json, S("tools")),
		json_get(f->q->json, S("messages"))
	};
	struct rest rest = { r, f->body };
	const char *from = f->body.p, *start;
	size_t i, next;

	raw_begin(j, r->slot, label_str(&r->id));
	if (keep_head(r, f->head) != OK)
		return;
	/* In the order they have in the body. */
	for (;; from = json_raw(members[next]).p + 1) {
		next = COUNT(keep);
		for (i = 0; i < COUNT(keep); i++) {
			start = json_raw(members[i]).p;
			if (members[i].doc && start >= from && (next ==
			    COUNT(keep) || start <
			    json_raw(members[next]).p))
				next = i;
		}
		if (next == COUNT(keep))
			break;
		keep[next](&rest, f);
	}
	raw_add(j, r->slot, RAW_CLIENT_REQUEST, rest.text);
}
