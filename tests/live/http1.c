/* http1.c -- the request cases of tests/data/http1 against the running
 * program, over sockets.
 *
 *	build/tests/live/http1 [build/claudecodex]
 *
 * Several cases at a time, each on a connection of its own: what to send, then
 * what comes back, then whether a further request on the same connection is
 * answered, then whether /health answers on a fresh one. All have to hold.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/http.h"
#include "../http1.h"
#include "../unit/t.h"
#include "start.h"

enum {
	LANES = 8,		/* cases at a time */
	LANE_IN = 1 << 18,
	CASE_MS = 4000,		/* for the server to do what it has to */
	ANSWERS_MAX = 16
};

static const char probe[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";

enum lane_state {
	LANE_FREE,
	LANE_PARTS,		/* sends, pauses, awaits */
	LANE_ANSWERS,		/* all sent; waits for the expected */
	LANE_PROBE,		/* a request more on the same connection */
	LANE_HEALTH		/* a request on a fresh one */
};

struct answer {
	int status;
	size_t body;
	int cors;
};

struct lane {
	enum lane_state state;
	int fd;
	struct vcase c;
	char *sent_mem, *in_mem;
	struct buf in;
	size_t part, sent;	/* within that part */
	size_t probed;		/* bytes of the probe that left */
	int64_t wake, deadline;
	size_t nanswers, interims, goal;
	struct answer answers[ANSWERS_MAX];
	struct http_head h;
	struct http_body body;
	int in_body, broken, eof, reset, cant_send;
	char why[160];
};

struct score {
	const char *level;
	int passed, all;
};

static struct lane lanes[LANES];
static struct score scores[] = {
	{ "must", 0, 0 }, { "should", 0, 0 }, { "policy", 0, 0 },
	{ "product", 0, 0 }
};
static int port;

static int is(const struct lane *l, const char *name, const char *value)
{
	return json_is(json_get(l->c.expect, str_of(name)), str_of(value));
}

static int number(const struct lane *l, const char *name, int otherwise)
{
	return (int)json_int(json_get(l->c.expect, str_of(name)), otherwise);
}

/* ---- what comes back ---------------------------------------------------- */

static void read_answer(struct lane *l, struct str *in)
{
	const char *why;
	size_t end = http_head_end(*in, 0), i;
	struct answer *a = &l->answers[l->nanswers];

	if (end == 0)
		return;
	if (http_response(&l->h, str_head(*in, end), l->nanswers == 0 &&
	    str_starts(l->c.text, S("HEAD ")), &why) != OK) {
		snprintf(l->why, sizeof(l->why), "malformed answer: %s", why);
		l->broken = 1;
		return;
	}
	*in = str_from(*in, end);
	if (l->h.status < 200) {
		l->interims++;
		return;
	}
	memset(a, 0, sizeof(*a));
	a->status = l->h.status;
	for (i = 0; i < l->h.nfields; i++)
		a->cors |= str_istarts(l->h.fields[i].name,
		    S("Access-Control-Allow-"));
	http_body_init(&l->body, &l->h);
	l->in_body = 1;
}

/* Whole answers out of what has come. */
static void take(struct lane *l)
{
	struct str in = buf_str(&l->in), run;
	size_t before;
	int rc;

	do {
		before = in.n;
		if (!l->in_body && in.n)
			read_answer(l, &in);
		while (l->in_body && !l->broken) {
			size_t n = in.n;

			rc = http_body(&l->body, &in, &run);
			l->answers[l->nanswers].body += run.n;
			if (rc == E_BAD) {
				snprintf(l->why, sizeof(l->why),
				    "malformed body: %s", l->body.why);
				l->broken = 1;
			}
			if (rc == E_NONE) {
				l->in_body = 0;
				l->nanswers++;
			}
			if (n == in.n)
				break;
		}
	} while (!l->broken && in.n != before && l->nanswers < ANSWERS_MAX);
	buf_drop(&l->in, l->in.n - in.n);
}

static void receive(struct lane *l)
{
	ssize_t n = recv(l->fd, l->in.p + l->in.n, l->in.cap - l->in.n, 0);

	if (n > 0) {
		l->in.n += (size_t)n;
		take(l);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		l->reset = n < 0;
		l->eof = 1;
		if (l->in_body && http_body_eof(&l->body) == OK) {
			l->in_body = 0;
			l->nanswers++;
		}
	}
}

/* ---- what is sent ------------------------------------------------------- */

/* 1: all of it left; 0: later; a peer that doesn't take it any more counts as
 * sent, what it answered is still to be read. */
static int push(struct lane *l, struct str s, size_t *sent)
{
	while (*sent < s.n && !l->cant_send) {
		ssize_t n = send(l->fd, s.p + *sent, s.n - *sent,
		    MSG_NOSIGNAL);

		if (n > 0)
			*sent += (size_t)n;
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			l->cant_send = 1;
	}
	return 1;
}

static void send_parts(struct lane *l, int64_t now)
{
	while (l->part < l->c.nparts) {
		struct part *p = &l->c.parts[l->part];

		if (p->kind == PART_BYTES) {
			if (!push(l, p->bytes, &l->sent))
				return;
		} else if (p->kind == PART_HALF_CLOSE) {
			shutdown(l->fd, SHUT_WR);
		} else if (l->wake == 0) {
			l->wake = now + p->ms;
			return;
		} else if (now < l->wake && !(p->kind == PART_AWAIT &&
		    (l->interims || l->nanswers))) {
			return;
		}
		l->wake = 0;
		l->sent = 0;
		l->part++;
	}
	l->state = LANE_ANSWERS;
	l->deadline = now + CASE_MS;
}

/* ---- the verdict -------------------------------------------------------- */

static int failed(struct lane *l, const char *why)
{
	size_t n = strlen(l->why), i;

	snprintf(l->why + n, sizeof(l->why) - n, "%s%s; got", n ? "; " : "",
	    why);
	for (i = 0; i < l->nanswers; i++) {
		n = strlen(l->why);
		snprintf(l->why + n, sizeof(l->why) - n, " %d",
		    l->answers[i].status);
	}
	n = strlen(l->why);
	snprintf(l->why + n, sizeof(l->why) - n, "%s%s",
	    l->nanswers ? "" : " nothing", l->reset ? ", reset" :
	    l->eof ? ", closed" : ", open");
	return 0;
}

static int accepted(struct lane *l, int keep)
{
	size_t i, want = l->goal;
	struct json_iter it = json_iter(json_get(l->c.expect,
	    S("not_status")));
	/* "An application error is fine; framing must hold." */
	int any = strcmp(l->c.id, "cl-zero") == 0;

	if (l->nanswers < want)
		return failed(l, "not all answered");
	for (i = 0; i < want; i++)
		if (l->answers[i].status != 200 && !any)
			return failed(l, "not answered with 200");
	while (json_next(&it))
		if (json_int(it.value, 0) == l->answers[0].status)
			return failed(l, "forbidden status");
	if (l->nanswers > want && l->answers[want].status != 200)
		return failed(l, "the next request is refused");
	if (keep && l->nanswers == want)
		return failed(l, "the next request is not answered");
	if (is(l, "close", "must") && (!l->eof || l->nanswers > want))
		return failed(l, "not closed");
	if (json_true(json_get(l->c.expect, S("empty_response_body"))) &&
	    l->answers[0].body)
		return failed(l, "an answer to HEAD has a body");
	if (l->interims && !is(l, "interim", "allowed"))
		return failed(l, "100 Continue that wasn't asked for");
	return 1;
}

static int rejected(struct lane *l)
{
	size_t before = (size_t)number(l, "responses_before", 0), i;
	int must = is(l, "close", "must");

	for (i = 0; i < before; i++)
		if (i >= l->nanswers || l->answers[i].status != 200)
			return failed(l, "no answer before");
	if (l->nanswers == before)
		return json_true(json_get(l->c.expect, S("silent_ok"))) &&
		    l->eof ? 1 : failed(l, "no refusal");
	if (!status_listed(l->c.expect, l->answers[before].status))
		return failed(l, "another status");
	if (must && (!l->eof || l->nanswers > before + 1))
		return failed(l, "not closed");
	if (!must && l->nanswers > before + 1 &&
	    l->answers[before + 1].status != 200)
		return failed(l, "the next request is refused");
	return 1;
}

static int verdict(struct lane *l)
{
	int first = l->nanswers ? l->answers[0].status : 0;

	if (l->broken)
		return failed(l, "can't be read");
	if (is(l, "verdict", "accept"))
		return accepted(l, is(l, "close", "keep"));
	if (is(l, "verdict", "reject"))
		return rejected(l);
	if (is(l, "verdict", "reject-or-close"))
		return l->eof && l->nanswers <= 1 ? 1 :
		    failed(l, "not closed after one answer");
	if (is(l, "verdict", "incomplete"))
		return l->eof && (l->nanswers == 0 || (l->nanswers == 1 &&
		    first >= 300)) ? 1 : failed(l, "half a request");
	if (is(l, "verdict", "forbid"))
		return status_listed(l->c.expect, first) &&
		    !l->answers[0].cors ? 1 : failed(l, "not forbidden");
	return l->nanswers || l->eof ? 1 : failed(l, "hangs");
}

static void count(const char *level, int ok)
{
	size_t i;

	for (i = 0; i < COUNT(scores); i++)
		if (strcmp(scores[i].level, level) == 0) {
			scores[i].all++;
			scores[i].passed += ok;
		}
}

static void judge(struct lane *l)
{
	int ok = verdict(l);

	count(l->c.level, ok);
	if (ok)
		t_count.passed++;
	else
		T(0, "%s %s: %s", l->c.level, l->c.id, l->why);
}

/* ---- one lane, one case ------------------------------------------------- */

static void begin(struct lane *l, struct jv json, const struct names *names)
{
	char *sent = l->sent_mem, *in = l->in_mem;

	memset(l, 0, sizeof(*l));
	l->sent_mem = sent;
	l->in_mem = in;
	l->in = buf_on(in, LANE_IN);
	if (!T(vcase_expand(&l->c, json, names, sent), "expanded"))
		return;
	l->goal = (size_t)number(l, "responses", 1);
	if (is(l, "verdict", "reject"))
		l->goal = (size_t)number(l, "responses_before", 0) + 1;
	l->fd = dial(port);
	if (!T(l->fd >= 0, "%s: the program takes connections", l->c.id))
		return;
	l->state = LANE_PARTS;
	l->deadline = now_ms() + 2 * CASE_MS;
}

static void health(struct lane *l)
{
	close(l->fd);
	l->fd = dial(port);
	if (!T(l->fd >= 0, "after %s: takes connections", l->c.id)) {
		l->state = LANE_FREE;
		return;
	}
	l->state = LANE_HEALTH;
	l->deadline = now_ms() + CASE_MS;
	l->in.n = l->nanswers = l->probed = 0;
	l->in_body = l->broken = l->eof = l->cant_send = 0;
	l->c.text.n = 0;
}

/* Whether nothing more is to be learned from waiting. */
static int settled(struct lane *l, int64_t now)
{
	int must = is(l, "close", "must") || is(l, "verdict",
	    "reject-or-close") || is(l, "verdict", "incomplete");

	if (l->eof || l->broken || now >= l->deadline)
		return 1;
	if (must || l->nanswers < l->goal)
		return 0;
	return 1;
}

static void step(struct lane *l, int64_t now)
{
	struct str ask = { probe, sizeof(probe) - 1 };

	if (l->state == LANE_PARTS) {
		send_parts(l, now);
		if (l->eof || l->broken || now >= l->deadline)
			l->state = LANE_ANSWERS;
	}
	if (l->state == LANE_ANSWERS && settled(l, now)) {
		if (l->eof || l->broken || now >= l->deadline ||
		    (!is(l, "verdict", "accept") &&
		    !is(l, "verdict", "reject"))) {
			judge(l);
			health(l);
			return;
		}
		l->state = LANE_PROBE;
		l->deadline = now + CASE_MS;
	}
	if (l->state == LANE_PROBE) {
		push(l, ask, &l->probed);
		if (l->nanswers > l->goal || l->eof || l->broken ||
		    now >= l->deadline) {
			judge(l);
			health(l);
		}
	} else if (l->state == LANE_HEALTH) {
		push(l, ask, &l->probed);
		if (!l->nanswers && !l->eof && !l->broken && now < l->deadline)
			return;
		T(l->nanswers == 1 && l->answers[0].status == 200,
		    "after %s: /health answers", l->c.id);
		close(l->fd);
		l->state = LANE_FREE;
	}
}

static short wants(const struct lane *l)
{
	short w = l->eof ? 0 : POLLIN;

	if (l->state == LANE_PARTS && l->part < l->c.nparts &&
	    l->c.parts[l->part].kind == PART_BYTES)
		w |= POLLOUT;
	return w;
}

/* One turn of all lanes. Returns how many are at work. */
static int turn(void)
{
	struct pollfd fds[LANES];
	int busy = 0;
	size_t i;

	for (i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i];

		fds[i].fd = l->state == LANE_FREE ? -1 : l->fd;
		fds[i].events = wants(l);
		fds[i].revents = 0;
		busy += l->state != LANE_FREE;
	}
	if (busy)
		poll(fds, LANES, 5);
	for (i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i];

		if (l->state == LANE_FREE)
			continue;
		if (!l->eof && fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			receive(l);
		step(l, now_ms());
	}
	return busy;
}

static void run_cases(const struct vfile *f, const struct names *names)
{
	struct json_iter it = json_iter(f->cases);
	size_t i, more = 1;

	while (more) {
		for (i = 0; i < LANES; i++) {
			if (lanes[i].state != LANE_FREE)
				continue;
			more = (size_t)json_next(&it);
			if (!more)
				break;
			begin(&lanes[i], it.value, names);
		}
		turn();
	}
	while (turn())
		;
}

int main(int argc, char **argv)
{
	static const char *const settings[] = { "LLM_BACKEND=demo", NULL };
	static char tree[TREE_MAX], host[32];
	const char *binary = argc > 1 ? argv[1] : getenv("CLAUDECODEX");
	struct names names = { { host, 0 }, { host + 10, 0 }, { "/health", 7 },
		{ "/v1/messages", 12 } };
	struct started s;
	struct vfile f;
	size_t i;

	if (!T(vfile_load(&f, "tests/data/http1/requests.json", tree,
	    sizeof(tree)), "requests.json is read"))
		return t_done("http1");
	for (i = 0; i < LANES; i++) {
		lanes[i].sent_mem = malloc(BYTES_MAX);
		lanes[i].in_mem = malloc(LANE_IN);
		if (!lanes[i].sent_mem || !lanes[i].in_mem)
			return 1;
	}
	if (T(start(&s, binary ? binary : "build/claudecodex", settings),
	    "the program starts")) {
		port = s.port;
		names.host.n = (size_t)snprintf(host, sizeof(host),
		    "127.0.0.1:%d", port);
		names.port.n = names.host.n - 10;
		run_cases(&f, &names);
	}
	T(stop(&s, t_count.failed > 0), "SIGTERM ends it with status 0");
	for (i = 0; i < COUNT(scores); i++)
		printf("%-8s %3d of %3d\n", scores[i].level, scores[i].passed,
		    scores[i].all);
	T(scores[0].all > 0, "there were cases");
	return t_done("http1");
}
