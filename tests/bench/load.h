/* load.h -- puts requests on a program and looks at every answer.
 *
 * A wrong answer ends the trial; what was wrong is kept in it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef LOAD_H
#define LOAD_H

#include "target.h"

enum {
	LANES = 450,		/* what one process of ours takes at most */
	ANSWER_MAX = 1 << 18,
	CASE_MS = 60000		/* a load that takes longer is void */
};

enum kind { WHOLE, BURST, SLOW };

/* What is done to a program, and what came of it. */
struct trial {
	const struct target *t;
	struct str text;	/* the request */
	enum kind kind;
	size_t lanes, total;
	int refusable;		/* 4xx with an error's shape is right too */
	int64_t *took;		/* us of each request, or NULL */
	int64_t *late;		/* us of each event, or NULL; */
	size_t late_max;	/* so many */
	long *pss;		/* taken in the middle, or NULL */

	size_t nlate;
	int status;
	char wrong[512];	/* empty: all answers were right */
};

struct lane {
	int fd;
	struct str out;
	struct buf in;
	int64_t asked;
	char mem[ANSWER_MAX];
};

static struct lane lanes[LANES];

static size_t count_of(struct str s, const char *what)
{
	size_t n = 0, at;
	struct str w = str_of(what);

	for (; (at = str_find(s, w)) < s.n; s = str_from(s, at + w.n))
		n++;
	return n;
}

/* The content of a body, its framing off; nginx cuts it where it likes. */
static struct str content(const struct http_head *h, struct str in)
{
	static char mem[ANSWER_MAX];
	struct buf b = buf_on(mem, sizeof(mem));
	struct http_body body;
	struct str piece;
	int r = OK;

	http_body_init(&body, h);
	while (r == OK && in.n) {
		r = http_body(&body, &in, &piece);
		if (r != E_BAD)
			buf_put(&b, piece);
	}
	return r == E_NONE ? buf_str(&b) : S("");
}

static void wrong(struct trial *x, const char *what, struct str shown)
{
	if (!x->wrong[0])
		snprintf(x->wrong, sizeof(x->wrong), "%s: %s %.*s",
		    names[x->t->who], what, (int)(shown.n < 400 ? shown.n :
		    400), shown.p ? shown.p : "");
}

/* Whether a whole answer stands in l->in. */
static int answered(struct lane *l, struct trial *x)
{
	static struct http_head h;
	struct str in = buf_str(&l->in), body, end_word;
	size_t end = http_head_end(in, 0), events;
	const char *why;

	/* Taken apart once, when its end can be seen. */
	if (!end || !str_ends(in, x->kind == WHOLE ? S("}") :
	    S("\r\n0\r\n\r\n")))
		return 0;
	if (http_response(&h, str_head(in, end), 0, &why) != OK) {
		wrong(x, "no HTTP:", in);
		return 0;
	}
	body = content(&h, str_from(in, end));
	if (x->kind == WHOLE && body.n == 0)
		return 0;
	x->status = h.status;
	events = x->kind == WHOLE ? 0 : x->kind == BURST ? EVENTS : PACED - 1;
	end_word = str_of(x->kind == WHOLE ? x->t->end : x->t->stream_end);
	if (x->refusable && h.status >= 400 && h.status < 500)
		end_word = S("\"type\":\"error\"");
	else if (h.status != 200)
		wrong(x, "refused:", in);
	if (str_find(body, end_word) == body.n ||
	    (events && count_of(body, x->t->event) != events))
		wrong(x, "an incomplete answer:", in);
	return 1;
}

static void lane_end(struct lane *l)
{
	close(l->fd);
	l->fd = -1;
	l->out.n = 0;
}

static void lane_ask(struct lane *l, struct trial *x)
{
	int one = 1;

	if (l->fd < 0) {
		l->fd = dial(x->t->port);
		if (l->fd < 0) {
			wrong(x, "no connection", S(""));
			return;
		}
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	l->out = x->text;
	l->in = buf_on(l->mem, sizeof(l->mem));
	l->asked = now_us();
}

/* How late the events are that came in s; one cut in two is left out. */
static void note_stamps(struct trial *x, struct str s)
{
	int64_t now = now_us(), at;
	size_t i, k;

	while ((i = str_find(s, S(STAMP))) < s.n && x->nlate < x->late_max) {
		s = str_from(s, i + sizeof(STAMP) - 1);
		for (at = 0, k = 0; k < STAMP_DIGITS && k < s.n &&
		    s.p[k] >= '0' && s.p[k] <= '9'; k++)
			at = at * 10 + s.p[k] - '0';
		if (k == STAMP_DIGITS)
			x->late[x->nlate++] = now - at;
	}
}

static void lane_move(struct lane *l, struct trial *x)
{
	ssize_t n;

	if (l->out.n) {
		n = send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL);
		if (n > 0)
			l->out = str_from(l->out, (size_t)n);
		else if (errno != EAGAIN)
			wrong(x, "took no request:", str_of(strerror(errno)));
		return;
	}
	n = recv(l->fd, l->in.p + l->in.n, l->in.cap - l->in.n, 0);
	if (n > 0) {
		if (x->late)
			note_stamps(x, (struct str){ l->in.p + l->in.n,
			    (size_t)n });
		l->in.n += (size_t)n;
	} else if (n == 0 || errno != EAGAIN) {
		wrong(x, "closed a connection after", buf_str(&l->in));
	}
}

static void trial_turn(struct trial *x, size_t *begun, size_t *ended)
{
	static struct pollfd p[LANES];
	size_t i;

	for (i = 0; i < x->lanes; i++) {
		p[i].fd = lanes[i].fd;
		p[i].events = lanes[i].out.n ? POLLOUT : POLLIN;
	}
	wait_for(p, x->lanes, 1000);
	if (x->pss && *x->pss < 0 && count_of(buf_str(&lanes[0].in),
	    x->t->event) > PACED / 2)
		*x->pss = pss_kb(x->t);
	for (i = 0; i < x->lanes && !x->wrong[0]; i++) {
		struct lane *l = &lanes[i];

		if (l->fd < 0 || !p[i].revents)
			continue;
		lane_move(l, x);
		if (l->out.n || !answered(l, x))
			continue;
		if (x->took)
			x->took[*ended] = now_us() - l->asked;
		++*ended;
		l->in.n = 0;
		if (*begun < x->total)
			lane_ask(l, x);
		else
			lane_end(l);
		++*begun;
	}
}

/* Returns whether every answer was right. */
static int trial(struct trial *x)
{
	int64_t end = now_ms() + CASE_MS;
	size_t begun, ended = 0, i;

	x->wrong[0] = '\0';
	x->nlate = 0;
	for (begun = 0; begun < x->lanes; begun++)
		lane_ask(&lanes[begun], x);
	while (ended < x->total && !x->wrong[0]) {
		if (now_ms() > end)
			wrong(x, "takes too long", S(""));
		trial_turn(x, &begun, &ended);
	}
	for (i = 0; i < x->lanes; i++)
		if (lanes[i].fd >= 0)
			lane_end(&lanes[i]);
	return !x->wrong[0];
}

#endif
