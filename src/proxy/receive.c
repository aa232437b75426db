/* receive.c -- the answer of an exchange's upstream.
 *
 * Its head is refused or taken; its content loses the framing of HTTP where it
 * was read, and the backend makes events of what then stands in x.in. What the
 * backend hasn't taken stays for the next read.
 *
 * SPDX-License-Identifier: MIT */
#include "../wire/sse.h"
#include "exchange.h"

enum {
	COMMIT_AFTER = 8000	/* ms from the upstream's 2xx (AN 5.4) */
};

/* Host and port of a Location. The rest may hold a password or a token, and
 * goes into an error, a log and a page. Empty when it names none. */
static struct str location_host(struct str where)
{
	size_t scheme = str_find(where, S("//")), i;
	struct str host = str_from(where, scheme + 2);

	for (i = 0; i < scheme; i++)
		if (where.p[i] == '/' || where.p[i] == '?' ||
		    where.p[i] == '#')
			return S("");
	for (i = 0; i < host.n && host.p[i] != '/' && host.p[i] != '?' &&
	    host.p[i] != '#' && host.p[i] != '\\'; i++)
		;
	host = str_head(host, i);
	while ((i = str_chr(host, '@')) < host.n)
		host = str_from(host, i + 1);
	return str_head(host, 100);
}

static int refused_by_head(struct exchange *x)
{
	struct str encoding = http_field(&x->head, S("content-encoding"));
	struct str host = location_host(http_field(&x->head, S("location")));
	struct fault *f = &x->call.fault;

	if (x->head.status == 101) {
		FAULT(f, 502, S("upstream "), x->call.up->name,
		    S(" switched protocols unasked"));
		return E_FAULT;
	}
	if (encoding.n && !str_ieq(encoding, S("identity"))) {
		FAULT(f, 502, S("upstream "), x->call.up->name,
		    S(" sent content-encoding "), str_head(encoding, 40),
		    S(", which was not asked for"));
		return E_FAULT;
	}
	if (x->head.status / 100 != 3)
		return OK;
	/* Never followed: the key would go along. */
	FAULT(f, 502, S("upstream "), x->call.up->name,
	    S(" redirects to "), host.n ? host : S("another path"),
	    S("; redirects are not followed, correct the base URL"));
	f->should_retry = 0;
	return E_FAULT;
}

static void keep_limits(struct exchange *x)
{
	char text[LIMITS_MAX + SPEND_LINE];
	struct buf b = buf_on(text, sizeof text);

	if (!x->call.up->backend->passthrough)
		put_limits(&b, &x->head, loop_wall());
	monitor_put_spend(&b, x->rec.mon, loop_recent());
	if (b.n && !b.full)
		x->limits = arena_str(&x->client->a, buf_str(&b));
}

/* A complete head stands at the front of in. */
static void take_head(struct proxy *p, struct client *c, size_t end)
{
	struct exchange *x = &c->x;
	struct str head = arena_str(&c->a, (struct str){ x->in.p, end });
	const char *why = "";

	buf_drop(&x->in, end);
	x->looked = 0;
	if (!head.p || http_response(&x->head, head, 0, &why) != OK) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" broke HTTP: "), str_of(why));
		exchange_fail(p, c);
		return;
	}
	if (x->head.status / 100 == 1 && x->head.status != 101) {
		if (++x->interim <= INTERIM_MAX)
			return;
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" sends interim answers without end"));
		exchange_fail(p, c);
		return;
	}
	if (refused_by_head(x) != OK) {
		exchange_fail(p, c);
		return;
	}
	record_raw(&x->rec, RAW_UPSTREAM_RESPONSE, 1, head);
	http_body_init(&x->body, &x->head);
	keep_limits(x);
	x->rec.first_byte = loop_now();
	x->deadline = p->now + p->config->idle_ms;
	x->stage = x->head.status / 100 == 2 ? X_BODY : X_REFUSED;
	if (x->stage == X_BODY && x->call.up->backend->begin(&x->call,
	    &x->head) != OK) {
		exchange_fail(p, c);
		return;
	}
	if (x->call.up->backend->passthrough)
		pass_head(c);
	else if (x->stage == X_BODY && x->req.stream)
		x->commit_at = p->now + COMMIT_AFTER;
}

/* A stream is passed on by whole events: one that is cut would leave the client
 * with half of its JSON, and that is what it would complain of. */
static int by_event(const struct exchange *x)
{
	return x->stage == X_BODY && pass_is_stream(x);
}

/* On to the client with what stands in in up to offset end. */
static void pass_up_to(struct client *c, size_t end)
{
	struct exchange *x = &c->x;

	if (end <= x->passed)
		return;
	pass_bytes(c, str_from(str_head(buf_str(&x->in), end), x->passed));
	x->passed = end;
}

/* Takes the framing off raw bytes that stand right behind the content. */
static void take_content(struct exchange *x, struct str raw)
{
	struct client *c = x->client;
	struct str piece;
	size_t from = x->in.n;
	int r = OK;

	while (r == OK && raw.n) {
		r = http_body(&x->body, &raw, &piece);
		if (r == E_BAD)
			break;
		if (x->call.up->backend->passthrough && !by_event(x))
			pass_bytes(c, piece);
		if (piece.n && piece.p != x->in.p + x->in.n)
			memmove(x->in.p + x->in.n, piece.p, piece.n);
		x->in.n += piece.n;
	}
	/* All of a read at once: events are short, and come by the dozen. */
	record_raw(&x->rec, RAW_UPSTREAM_RESPONSE, 0,
	    str_from(buf_str(&x->in), from));
	if (r == OK)
		return;
	x->content_done = 1;
	/* Bytes behind the answer belong to nothing. */
	x->clean = r == E_NONE && raw.n == 0;
	if (r == E_BAD)
		x->clean = -1;
}

/* What came along with the head. */
static void begin_content(struct exchange *x)
{
	struct str raw = buf_str(&x->in);

	x->in.n = 0;
	x->ready = raw.n > 0;
	if (x->body.framing == HTTP_NO_BODY ||
	    (x->body.framing == HTTP_COUNTED && x->body.left == 0)) {
		x->content_done = x->ready = 1;
		x->clean = raw.n == 0;
	} else {
		take_content(x, raw);
	}
}

void exchange_read_head(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	size_t end, from;
	long n;

	n = conn_recv(x->conn, x->in.p + x->in.n, READ_MAX);
	if (n == SOCK_AGAIN)
		return;
	if (n <= 0) {
		exchange_broken(p, c, n == SOCK_EOF ? S("closed") :
		    conn_trouble(x->conn));
		return;
	}
	x->got_byte = 1;
	x->in.n += (size_t)n;
	while (x->stage == X_HEAD &&
	    (end = http_head_end(buf_str(&x->in), x->looked)) != 0)
		take_head(p, c, end);
	if (x->stage == X_BODY || x->stage == X_REFUSED)
		begin_content(x);
	if (x->stage != X_HEAD)
		return;
	from = x->looked;
	x->looked = x->in.n;
	if (http_response_partial(buf_str(&x->in), from) != OK ||
	    x->interim > INTERIM_MAX) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" sent what is no HTTP/1.1 head, or too large a one"));
		exchange_fail(p, c);
	}
}

/* One read. 1: there is something new. */
static int read_content(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	size_t room = x->in.cap - x->in.n;
	long n;

	if (x->content_done)
		return 0;
	if (room == 0) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" sent an event larger than the proxy's buffer"));
		exchange_fail(p, c);
		return 0;
	}
	n = conn_recv(x->conn, x->in.p + x->in.n,
	    room < READ_MAX ? room : READ_MAX);
	if (n == SOCK_AGAIN)
		return 0;
	if (n <= 0) {
		x->content_done = 1;
		x->clean = -1;
		if (n == SOCK_EOF && !x->conn->cut &&
		    http_body_eof(&x->body) == OK)
			x->clean = 0;
		return 1;
	}
	x->deadline = p->now + p->config->idle_ms;
	if (x->tail_at)
		x->tail_at = p->now + x->call.wait_ms;
	if (x->in.n + (size_t)n > x->touched)
		x->touched = x->in.n + (size_t)n;
	take_content(x, (struct str){ x->in.p + x->in.n, (size_t)n });
	return 1;
}

/* For the record alone. What is left at the end of a stream was cut. */
static void decode_for_record(struct exchange *x)
{
	struct str s = buf_str(&x->in);
	size_t took;
	int r;

	if (by_event(x) && x->clean < 0)
		s.n = x->in.n = x->passed;	/* what the client has */
	r = x->call.up->backend->decode(&x->call, &s, x->content_done,
	    x->clean > 0);
	if (r != OK)
		x->finished = 3;	/* no more to learn */
	/* Its framing may have ended well, its message didn't. */
	if (r == E_MORE && pass_is_stream(x)) {
		x->content_done = 1;
		x->clean = -1;
	}
	took = x->in.n - s.n;
	if (by_event(x) && !x->content_done)
		pass_up_to(x->client, took);
	buf_drop(&x->in, took);
	x->looked = x->in.n;
	x->passed -= x->passed < took ? x->passed : took;
}

static void decode_passed(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	if (x->stage == X_REFUSED) {
		if (x->content_done)
			x->call.up->backend->refuse(&x->call, &x->head,
			    str_head(buf_str(&x->in), ERROR_BODY_MAX));
		else if (x->in.n > ERROR_BODY_MAX)
			x->in.n = ERROR_BODY_MAX;
	} else {
		if (by_event(x))
			pass_up_to(c, sse_whole(buf_str(&x->in), x->looked));
		if (by_event(x) && x->content_done && x->clean >= 0)
			pass_up_to(c, x->in.n);
		if (x->finished == 0)
			decode_for_record(x);
	}
	/* And the other way round: after message_stop nothing is missing. */
	if (x->clean < 0 && x->call.answer.ended && pass_is_stream(x))
		x->clean = 0;
	if (x->finished == 3) {
		if (by_event(x) && x->clean >= 0)
			pass_up_to(c, x->in.n);
		x->in.n = x->passed = x->looked = 0;
	}
	if (c->out.full) {
		FAULT(&x->call.fault, 502,
		    S("the answer is larger than the proxy's buffer"));
		exchange_fail(p, c);
	} else if (x->content_done) {
		pass_end(p, c);
	}
}

void exchange_decode(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct call *call = &x->call;
	struct str s = buf_str(&x->in);
	int ending = x->content_done || (x->tail_at && p->now >= x->tail_at);
	int r;

	/* Whole JSON may stand in half a body: its length was promised. */
	if (x->content_done && x->clean < 0 && str_istarts(http_field(&x->head,
	    S("content-type")), S("application/json"))) {
		FAULT(&call->fault, 502, S("upstream "), call->up->name,
		    S(" was cut off: "), str_of(x->body.why ? x->body.why :
		    "the connection ended"));
		exchange_fail(p, c);
		return;
	}
	call->wait_ms = 0;
	r = call->up->backend->decode(call, &s, ending,
	    x->clean > 0 || (x->tail_at && !x->content_done));
	buf_drop(&x->in, x->in.n - s.n);
	if (c->out.full) {
		c->out.full = 0;
		FAULT(&call->fault, 502,
		    S("the answer is larger than the proxy's buffer"));
		r = E_FAULT;
	}
	if (r == OK && call->wait_ms)
		x->tail_at = p->now + call->wait_ms;
	switch (r) {
	case OK:
		if (!ending)
			return;
		FAULT(&call->fault, 502, S("upstream "), call->up->name,
		    S(" ended its answer early"));
		exchange_fail(p, c);
		return;
	case CALL_DONE:
		exchange_done(p, c);
		return;
	case CALL_RETRY:
		exchange_retry(p, c);
		return;
	case CALL_NEXT:
		exchange_follow(p, c);
		return;
	case E_FULL:
		FAULT(&call->fault, 502,
		    S("the answer is larger than the proxy's memory"));
		break;
	}
	exchange_fail(p, c);
}

void exchange_read_body(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	int rounds = 0, dry;

	if (exchange_backlog(c) > OUT_HIGH)
		return;
	dry = x->ready && x->conn->drained;	/* it came with the head */
	while (x->stage == X_BODY || x->stage == X_REFUSED) {
		if (!x->ready) {
			if (dry || !read_content(p, c))
				break;
			dry = x->conn->drained;
		}
		x->ready = 0;
		if (x->call.up->backend->passthrough) {
			decode_passed(p, c);
		} else if (x->stage == X_BODY) {
			exchange_decode(p, c);
		} else if (x->content_done || x->in.n >= ERROR_BODY_MAX) {
			int r = x->call.up->backend->refuse(&x->call, &x->head,
			    buf_str(&x->in));

			if (r == CALL_DONE)
				exchange_done(p, c);
			else if (r == CALL_RETRY)
				exchange_retry(p, c);
			else
				exchange_fail(p, c);
		}
		if (++rounds == 4 || exchange_backlog(c) > OUT_HIGH)
			break;
	}
}
