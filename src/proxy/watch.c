/* watch.c -- the monitor's answers on their way to whoever watches.
 *
 * page.c makes them, piece by piece; here they get their framing and are made
 * no faster than they are taken. A watcher is a client like any other: it is
 * never waited for, and nothing waits for it. Only a share of the slots may
 * watch, so that requests always find one.
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum {
	WATCHERS_MAX = 16,	/* a browser opens up to 6; two and their tabs */
	LOOK_MS = 50,		/* as often as deltas are told */
	WATCHERS_PART = 4	/* at most one in so many slots */
};

int watch_admits(const struct proxy *p, const struct http_head *h)
{
	return p->config->monitor_token.n &&
	    http_query(h->query, S("token")).p &&
	    str_eq(str_trim(h->path), S("/dashboard"));
}

static int room_to_watch(const struct proxy *p)
{
	size_t i, n = 0, most = p->n / WATCHERS_PART;

	most = most > WATCHERS_MAX ? WATCHERS_MAX : most ? most : 1;
	for (i = 0; i < p->n; i++)
		n += p->clients[i].state == CLIENT_PAGE;
	return n < most;
}

/* ?token=...: from then on a cookie says it, and the address no longer. */
static void answer_token(struct proxy *p, struct client *c)
{
	struct str given = http_query(c->head.query, S("token"));
	struct buf token = buf_open(&c->a);
	char text[512];
	struct buf fields = buf_on(text, sizeof text);
	struct fault f;
	int ok = http_decode(&token, given) == OK;

	if (!ok || !guard_token(p, buf_end(&c->a, &token))) {
		FAULT(&f, 401, S("this is not the MONITOR_TOKEN"));
		f.should_retry = 0;
		reply_fault(c, &f);
		return;
	}
	guard_cookie(p, &fields);
	buf_put(&fields, S("location: /dashboard\r\ncache-control: no-store"
	    "\r\nreferrer-policy: no-referrer\r\n"));
	reply(c, 303, S(""), buf_str(&fields), S(""));
}

void watch_start(struct proxy *p, struct client *c, struct str rest)
{
	struct page_head *h = arena_get(&c->a, sizeof *h);
	struct page_ask ask;
	struct fault f;
	int r;

	if (watch_admits(p, &c->head)) {
		answer_token(p, c);
		return;
	}
	ask.path = rest;
	ask.query = c->head.query;
	ask.last_id = http_field(&c->head, S("last-event-id"));
	ask.none_match = http_field(&c->head, S("if-none-match"));
	if (!h) {
		FAULT(&f, 500, S("no memory for an answer"));
		reply_fault(c, &f);
		return;
	}
	monitor_enter(p->monitor);
	r = page_open(h, p->monitor, &ask, &c->a, p->now, &f);
	monitor_leave(p->monitor);
	if (r != OK) {
		reply_fault(c, &f);
		return;
	}
	if (h->length < 0 && !room_to_watch(p)) {
		FAULT(&f, 503, S("as many watch as may; close a page, or "
		    "raise MAX_CONNECTIONS"));
		f.retry_after = 5;
		reply_fault(c, &f);
		return;
	}
	reply_head(c, &c->out, h->status, h->type, buf_str(&h->fields),
	    h->length);
	if (h->status != 200 || str_eq(c->head.method, S("HEAD"))) {
		client_done(c);
		return;
	}
	c->page = h->page;
	c->state = CLIENT_PAGE;
}

void watch_turn(struct proxy *p, struct client *c)
{
	size_t waiting = c->out.n - c->out_sent;
	int r;

	if (waiting >= OUT_HIGH)
		return;
	if (!page_whole(c->page))
		chunk_begin(c);
	monitor_enter(p->monitor);
	r = page_more(c->page, &c->out, waiting, p->now);
	monitor_leave(p->monitor);
	chunk_end(c);
	/* The stream never ends by itself; a clean end sends browsers back to
	 * ask again. */
	if (r == E_MORE && p->draining)
		r = E_NONE;
	if (r == E_NONE) {
		if (!page_whole(c->page))
			last_chunk(c);
		c->large = 1;
		client_done(c);
	} else if (r == E_LIMIT) {
		client_close(p, c);
	}
}

int64_t watch_deadline(const struct proxy *p, const struct client *c)
{
	size_t waiting = c->out.n - c->out_sent;
	int64_t wake;

	if (waiting >= OUT_HIGH)
		return LOOP_NEVER;	/* it has to take something first */
	wake = p->draining ? p->now : page_wake(c->page, waiting, p->now);
	/* Nobody tells us what other workers wrote. */
	if (p->worker && wake > p->now + LOOK_MS)
		wake = p->now + LOOK_MS;
	return wake;
}
