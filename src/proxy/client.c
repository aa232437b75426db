/* client.c -- the HTTP/1.1 server side: heads, bodies, replies, keep-alive.
 *
 * A connection serves one request at a time; what a client pipelines waits
 * in its input buffer and is answered in order. The head is copied into the
 * slot's arena, so that its slices last as long as the request. A body is
 * read in place, right behind it. Refusals that leave input unread end the
 * connection with shutdown, a short read, then close: an early close would
 * reset the connection under our answer.
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum {
	REST_MS = 1000,		/* between requests, before pages go back */
	SMALL = 32768,		/* what stays with a slot anyway */
	LINGER_MS = 2000,	/* for the peer to read our last words */
	LINGER_BYTES = 1 << 20,	/* dropped meanwhile, at most */
	PROBE_FIRST = 60,	/* ms from our probe to the first look */
	PROBE_NEXT = 500,
	CHARGE_FREE = 65536,	/* bodies up to this size are not counted */
	CHARGE_TIMES = 4,	/* body, tokens, translation, answer */
	CHARGE_STEP = 1 << 20	/* of a chunked body, whose size nobody knows */
};

struct str client_request_id(const struct client *c)
{
	return str_of(c->request_id);
}

/* ---- writing ---------------------------------------------------------- */

static struct str reason(int status)
{
	static const struct { int status; const char *text; } table[] = {
		{ 200, "OK" }, { 202, "Accepted" }, { 303, "See Other" },
		{ 304, "Not Modified" }, { 400, "Bad Request" }, { 401, "Unauthorized" },
		{ 402, "Payment Required" }, { 403, "Forbidden" },
		{ 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 408, "Request Timeout" }, { 409, "Conflict" }, { 413, "Content Too Large" },
		{ 414, "URI Too Long" }, { 415, "Unsupported Media Type" },
		{ 417, "Expectation Failed" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" },
		{ 502, "Bad Gateway" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" }, { 529, "Overloaded" }
	};
	size_t i;

	for (i = 0; i < COUNT(table); i++)
		if (table[i].status == status)
			return str_of(table[i].text);
	return S("Unknown");
}

/* IMF-fixdate (RFC 9110 section 5.6.7). */
static void put_date(struct buf *b, int64_t unix_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct date d = date_of(unix_s);

	buf_put(b, (struct str){ days + d.weekday * 3, 3 });
	buf_put(b, S(", "));
	buf_digits(b, d.day, 2);
	buf_chr(b, ' ');
	buf_put(b, (struct str){ months + (d.month - 1) * 3, 3 });
	buf_chr(b, ' ');
	buf_digits(b, d.year, 4);
	buf_chr(b, ' ');
	buf_digits(b, d.hour, 2);
	buf_chr(b, ':');
	buf_digits(b, d.minute, 2);
	buf_chr(b, ':');
	buf_digits(b, d.second, 2);
	buf_put(b, S(" GMT"));
}

void reply_head(struct client *c, struct buf *b, int status, struct str type,
    struct str fields, int64_t length)
{
	int chunked = length < 0 && c->head.minor >= 1;

	if (length < 0 && !chunked)
		c->close = 1;
	buf_put(b, S("HTTP/1.1 "));
	buf_int(b, status);
	buf_chr(b, ' ');
	buf_put(b, reason(status));
	buf_put(b, S("\r\ndate: "));
	put_date(b, loop_wall() / 1000);
	if (type.n) {
		buf_put(b, S("\r\ncontent-type: "));
		buf_put(b, type);
	}
	if (chunked) {
		buf_put(b, S("\r\ntransfer-encoding: chunked"));
	} else if (length >= 0) {
		buf_put(b, S("\r\ncontent-length: "));
		buf_int(b, length);
	}
	buf_put(b, c->close ? S("\r\nconnection: close\r\n") :
	    S("\r\nconnection: keep-alive\r\n"));
	buf_put(b, S("x-content-type-options: nosniff\r\n"));
	if (str_ifind(fields, S("request-id:")) == fields.n) {
		buf_put(b, S("request-id: "));
		buf_put(b, client_request_id(c));
		buf_put(b, S("\r\n"));
	}
	buf_put(b, fields);
	buf_put(b, c->x.limits);
	buf_put(b, S("\r\n"));
}

void client_done(struct client *c)
{
	c->state = CLIENT_REPLY;
	c->probe_at = 0;
}

void reply(struct client *c, int status, struct str type, struct str fields,
    struct str body)
{
	reply_head(c, &c->out, status, type, fields, (int64_t)body.n);
	/* The length a GET would have had, but no body (RFC 9110, 9.3.2). */
	if (!str_eq(c->head.method, S("HEAD")))
		buf_put(&c->out, body);
	client_done(c);
}

void reply_fault(struct client *c, const struct fault *f)
{
	char body[2 * FAULT_TEXT_MAX * 3 + 256], fields[128];
	struct buf b = buf_on(body, sizeof body);
	struct buf h = buf_on(fields, sizeof fields);

	fault_write(&b, f, client_request_id(c));
	if (f->retry_after >= 0) {
		buf_put(&h, S("retry-after: "));
		buf_int(&h, f->retry_after);
		buf_put(&h, S("\r\n"));
	}
	if (f->should_retry >= 0)
		buf_put(&h, f->should_retry ? S("x-should-retry: true\r\n") :
		    S("x-should-retry: false\r\n"));
	reply(c, f->status, S("application/json"), buf_str(&h), buf_str(&b));
}

/* Refuses and ends the connection: the rest of the input can't be trusted, or
 * isn't worth reading. */
static void refuse(struct client *c, const struct fault *f)
{
	c->close = 1;
	c->unread = 1;
	reply_fault(c, f);
}

static void refuse_with(struct client *c, int status, struct str text)
{
	struct fault f;

	FAULT(&f, status, text);
	refuse(c, &f);
}

/* ---- life of a connection --------------------------------------------- */

/* Pages go back when a connection rests, not between two requests of a busy
 * one: getting them anew costs more than the copy they serve. */
static void give_back(struct client *c)
{
	if (!c->large)
		return;
	memory_release(c->mem.work, c->mem.work_end);
	memory_release(c->mem.in, c->mem.in + c->x.touched);
	memory_release(c->mem.out, c->out.p + c->out_touched);
	c->large = 0;
	c->out_touched = c->x.touched = 0;
}

static void next_request(struct proxy *p, struct client *c)
{
	if (c->content.n > SMALL || c->x.touched > SMALL ||
	    c->out_touched > SMALL || (size_t)(c->a.cur - c->mem.work) > SMALL)
		c->large = 1;
	memory_discharge(p, c->charged);
	c->charged = 0;
	c->a.cur = c->mem.work;
	c->a.end = c->mem.work_end;
	c->content = buf_on(NULL, 0);
	c->out.n = c->out_sent = c->chunk = 0;
	c->out.full = 0;
	c->looked = 0;
	c->begun = c->in.n > 0;
	c->begun_at = p->now;
	c->said_continue = c->close = c->unread = 0;
	c->x.stage = X_NONE;
	c->page = NULL;
	c->replay = NULL;
	c->rest_at = p->now + REST_MS;
	c->state = CLIENT_HEAD;
	c->deadline = p->now + (c->begun ? p->config->header_ms :
	    p->config->keepalive_ms);
}

void client_accept(struct proxy *p, int fd, const struct sock_addr *peer)
{
	struct client *c = NULL;
	size_t i;

	for (i = 0; i < p->n && !c; i++)
		if (p->clients[i].state == CLIENT_FREE)
			c = &p->clients[i];
	if (!c) {
		sock_close(fd);
		return;
	}
	c->slot = (size_t)(c - p->clients);
	p->interest[c->slot].known = 0;
	if (p->nused <= c->slot)
		p->nused = c->slot + 1;
	c->fd = fd;
	c->peer = *peer;
	c->mem = memory_slot(p, c->slot);
	c->in = buf_on(c->mem.out, CLIENT_IN);
	c->out = buf_on(c->mem.out + CLIENT_IN,
	    (size_t)(c->mem.out_end - c->mem.out) - CLIENT_IN);
	c->charged = 0;
	c->fin = 0;
	c->probe_at = 0;
	c->content = buf_on(NULL, 0);
	c->a.cur = c->mem.work;
	next_request(p, c);
}

void client_close(struct proxy *p, struct client *c)
{
	if (c->x.stage != X_NONE)
		exchange_cancel(p, c);
	sock_close(c->fd);
	c->fd = -1;
	c->in.n = 0;
	next_request(p, c);
	give_back(c);
	c->state = CLIENT_FREE;
	p->interest[c->slot].known = 0;
}

/* ---- reading a request ------------------------------------------------ */

static void dispatch(struct proxy *p, struct client *c)
{
	struct str rest;
	enum path path = surface_path(c, &rest);

	c->state = CLIENT_WORK;
	switch (path) {
	case PATH_MESSAGES:
		exchange_start(p, c, CALL_MESSAGES);
		break;
	case PATH_COUNT:
		exchange_start(p, c, CALL_COUNT);
		break;
	case PATH_MODELS:
		exchange_start(p, c, CALL_MODELS);
		break;
	case PATH_PAGE:
		watch_start(p, c, rest);
		break;
	case PATH_REPLAY:
		replay_start(p, c);
		break;
	case PATH_NONE:
	case PATH_BATCHES:		/* refused by their head */
	case PATH_MODEL:
	case PATH_HEALTH:
	case PATH_ROOT:
	case PATH_HELLO:
	case PATH_EVENTS:
	case PATH_METRICS:
		surface_answer(p, c, path, rest);
		break;
	}
}

static int needs_key(const struct proxy *p, const struct http_head *h,
    enum path path)
{
	switch (path) {
	case PATH_HEALTH:
	case PATH_HELLO:
	case PATH_EVENTS:
		return 0;
	case PATH_ROOT:
		/* A browser is only sent on from here. */
		return !str_eq(h->method, S("HEAD")) &&
		    !surface_sends_on(p, h);
	case PATH_PAGE:
		/* With the token in the query: it is looked at there. */
		return !watch_admits(p, h);
	case PATH_NONE:
	case PATH_MESSAGES:
	case PATH_COUNT:
	case PATH_MODELS:
	case PATH_MODEL:
	case PATH_METRICS:
	case PATH_BATCHES:
	case PATH_REPLAY:
		break;
	}
	return 1;
}

/* What can be told from the head alone; OK to read the body. */
static int judge(struct proxy *p, struct client *c, struct fault *f)
{
	struct http_head *h = &c->head;
	struct str rest, encoding = http_field(h, S("content-encoding"));
	enum path path;

	if (guard_check(p, h, f) != OK)
		return E_FAULT;
	path = surface_path(c, &rest);
	if (path == PATH_NONE || path == PATH_BATCHES) {
		/* Bedrock's own client comes with its paths (BR-142). */
		FAULT(f, 404, path == PATH_BATCHES ? S("message batches are "
		    "not supported by this proxy") :
		    S("there is nothing at this path"),
		    str_starts(h->path, S("/model/")) ? S("; this is an "
		    "Anthropic API: unset CLAUDE_CODE_USE_BEDROCK and set "
		    "ANTHROPIC_BASE_URL") : S(""));
		return E_FAULT;
	}
	if (!surface_allows(path, h->method)) {
		FAULT(f, 405, S("method "), str_head(h->method, 32),
		    S(" is not allowed here; allowed: "),
		    surface_methods(path));
		return E_FAULT;
	}
	if (path == PATH_REPLAY && !p->config->monitor_replay) {
		FAULT(f, 404, S("replay is off; MONITOR_REPLAY=1 turns it "
		    "on"));
		return E_FAULT;
	}
	if (needs_key(p, h, path) && (path == PATH_PAGE ||
	    path == PATH_REPLAY ? guard_monitor(p, h, f) :
	    guard_key(p, h, f)) != OK)
		return E_FAULT;
	if (encoding.n && !str_ieq(encoding, S("identity"))) {
		FAULT(f, 400, S("content-encoding "), str_head(encoding, 32),
		    S(" is not supported: send the body as it is"));
		f->code = "request_body_encoding_unsupported";
		return E_FAULT;
	}
	if (h->framing == HTTP_COUNTED && h->length > p->config->max_body) {
		FAULT(f, 413, S("the request is larger than MAX_BODY allows"));
		return E_FAULT;
	}
	return OK;
}

static void refuse_405(struct client *c, const struct fault *f)
{
	char line[64], body[2048];
	struct buf b = buf_on(line, sizeof line);
	struct buf j = buf_on(body, sizeof body);
	struct str rest;

	buf_put(&b, S("allow: "));
	buf_put(&b, surface_methods(surface_path(c, &rest)));
	buf_put(&b, S("\r\n"));
	fault_write(&j, f, client_request_id(c));
	reply(c, 405, S("application/json"), buf_str(&b), buf_str(&j));
}

static int charge(struct proxy *p, struct client *c, uint64_t n)
{
	struct fault f;

	if (memory_charge(p, n)) {
		c->charged += n;
		return OK;
	}
	FAULT(&f, 529, S("the proxy is at its memory limit (MAX_MEMORY); "
	    "other requests have to end first"));
	f.retry_after = 2;
	refuse(c, &f);
	return E_FAULT;
}

/* Room for the body, and leave to send it. */
static void begin_body(struct proxy *p, struct client *c)
{
	struct http_head *h = &c->head;
	size_t cap = h->framing == HTTP_COUNTED ? (size_t)h->length :
	    (size_t)p->config->max_body;

	if (h->framing == HTTP_COUNTED && h->length > CHARGE_FREE &&
	    charge(p, c, h->length * CHARGE_TIMES) != OK)
		return;
	if (arena_room(&c->a) < cap) {
		refuse_with(c, 413, S("the request is too large"));
		return;
	}
	c->content = buf_on(c->a.cur, cap);
	http_body_init(&c->body, h);
	c->state = CLIENT_BODY;
	c->deadline = p->now + p->config->body_ms;
	if (h->expect_continue && c->in.n == 0 &&
	    (h->framing == HTTP_CHUNKED || h->length > 0)) {
		buf_put(&c->out, S("HTTP/1.1 100 Continue\r\n\r\n"));
		c->said_continue = 1;
	}
}

static void begin_request(struct proxy *p, struct client *c, size_t end)
{
	struct str head = arena_str(&c->a, (struct str){ c->in.p, end });
	const char *why = "";
	struct fault f;
	int status;

	buf_drop(&c->in, end);
	id_new(&p->ids, S("req_"), c->request_id);
	status = http_request(&c->head, head, &why);
	if (status) {
		/* Nothing of this head may be believed: answer in 1.1. */
		c->head.minor = 1;
		c->head.method = S("");
		refuse_with(c, status, str_of(why));
		return;
	}
	c->close = !c->head.keep_alive || p->draining;
	if (judge(p, c, &f) == OK) {
		begin_body(p, c);
		return;
	}
	if (c->head.framing == HTTP_CHUNKED || c->head.length > 0)
		c->close = c->unread = 1;
	if (f.status == 405)
		refuse_405(c, &f);
	else
		reply_fault(c, &f);
}

static void read_head(struct proxy *p, struct client *c)
{
	struct str in = buf_str(&c->in);
	size_t skip = 0, end, from;
	int status;

	/* Blank lines before a request are ignored (RFC 9112 section 2.2),
	 * within reason. */
	while (skip + 1 < in.n && in.p[skip] == '\r' && in.p[skip + 1] == '\n')
		skip += 2;
	if (skip) {
		buf_drop(&c->in, skip);
		c->looked = 0;
		in = buf_str(&c->in);
	}
	if (in.n == 0)
		return;
	if (!c->begun) {
		c->begun = 1;
		c->begun_at = p->now;
		c->deadline = p->now + p->config->header_ms;
	}
	from = c->looked;
	end = http_head_end(in, from);
	c->looked = in.n;
	if (end) {
		c->looked = 0;
		begin_request(p, c, end);
		return;
	}
	status = http_request_partial(in, from);
	if (status == OK && in.n >= HTTP_HEAD_MAX)
		status = 431;
	if (status == OK)
		return;
	id_new(&p->ids, S("req_"), c->request_id);
	c->head.minor = 1;
	c->head.method = S("");
	refuse_with(c, status, status == 414 ?
	    S("the request line is too long") : status == 431 ?
	    S("the header section is too large") :
	    S("this is not an HTTP/1.1 request"));
}

/* Moves content out of raw bytes at the content's own end; what is left over
 * belongs to the next request. */
static void take_body(struct proxy *p, struct client *c, struct str raw)
{
	struct str piece;
	size_t before = c->content.n / CHARGE_STEP;
	int r = OK;

	while (r == OK && raw.n) {
		r = http_body(&c->body, &raw, &piece);
		if (r == E_BAD)
			break;
		if (piece.n > c->content.cap - c->content.n) {
			refuse_with(c, 413, S("the request is larger than "
			    "MAX_BODY allows"));
			return;
		}
		if (piece.n && piece.p != c->content.p + c->content.n)
			memmove(c->content.p + c->content.n, piece.p, piece.n);
		c->content.n += piece.n;
	}
	if (c->head.framing == HTTP_CHUNKED &&
	    c->content.n / CHARGE_STEP > before && charge(p, c,
	    (c->content.n / CHARGE_STEP - before) * CHARGE_STEP *
	    CHARGE_TIMES) != OK)
		return;
	if (r == E_BAD) {
		refuse_with(c, 400, str_of(c->body.why));
		return;
	}
	if (raw.n) {
		if (raw.n > c->in.cap - c->in.n) {
			refuse_with(c, 400, S("too much was sent ahead"));
			return;
		}
		memmove(c->in.p + c->in.n, raw.p, raw.n);
		c->in.n += raw.n;
	}
	if (r == E_NONE) {
		c->a.cur += c->content.n;
		dispatch(p, c);
	}
}

static void read_body(struct proxy *p, struct client *c, int readable)
{
	enum sock_reason why;
	struct str raw = buf_str(&c->in), piece;
	size_t room;
	long n;

	if (c->body.framing == HTTP_NO_BODY ||
	    (c->body.framing == HTTP_COUNTED && c->body.left == 0)) {
		struct str none = { NULL, 0 };

		http_body(&c->body, &none, &piece);
		dispatch(p, c);
		return;
	}
	if (raw.n) {
		c->in.n = 0;
		take_body(p, c, raw);
		return;
	}
	if (!readable)
		return;
	room = c->body.framing == HTTP_COUNTED ? (size_t)c->body.left :
	    (size_t)CLIENT_IN;
	if (room > READ_MAX * 4)
		room = READ_MAX * 4;
	n = sock_read(c->fd, c->content.p + c->content.n, room, &why);
	if (n == SOCK_AGAIN)
		return;
	if (n <= 0) {			/* it will never be whole */
		client_close(p, c);
		return;
	}
	take_body(p, c, (struct str){ c->content.p + c->content.n,
	    (size_t)n });
}

/* ---- watching and flushing -------------------------------------------- */

/* Reads ahead: pipelined requests, and the news that the peer is gone. 0 when
 * the connection is over. */
static int read_ahead(struct proxy *p, struct client *c)
{
	struct str processing = S("HTTP/1.1 102 Processing\r\n\r\n");
	enum sock_reason why;
	long n = sock_read(c->fd, c->in.p + c->in.n, c->in.cap - c->in.n,
	    &why);

	if (n == SOCK_AGAIN)
		return 1;
	if (n > 0) {
		c->in.n += (size_t)n;
		return 1;
	}
	if (n == SOCK_ERR) {
		client_close(p, c);
		return 0;
	}
	c->fin = 1;
	if (c->state == CLIENT_HEAD) {
		/* Ended between requests, or inside a head. */
		if (c->in.n == 0 || http_head_end(buf_str(&c->in), 0) == 0) {
			client_close(p, c);
			return 0;
		}
		return 1;
	}
	if (c->state != CLIENT_WORK || c->replay)
		return 1;
	/* Gone, or done speaking and waiting for its answer? Only a write
	 * tells: the answer to it from a closed socket is a reset. */
	if (c->head.minor == 0 || (c->x.committed &&
	    (c->x.call.up->backend->passthrough || !c->x.req.stream))) {
		client_close(p, c);
		return 0;
	}
	if (c->x.committed)
		c->x.last_out = 0;	/* a ping is due at once */
	else
		n = sock_write(c->fd, processing, &why);
	/* Half a head can't be taken back; a Unix socket says at once that
	 * nobody is there. */
	if (n == SOCK_ERR || (n > 0 && n < (long)processing.n)) {
		client_close(p, c);
		return 0;
	}
	c->probe_at = p->now + PROBE_FIRST;
	return 1;
}

static int probe(struct proxy *p, struct client *c)
{
	enum sock_reason why;
	struct sock_addr peer;
	char byte;

	if (!c->probe_at || p->now < c->probe_at)
		return 1;
	/* Once it has read a FIN, Linux goes on to read the end even after a
	 * reset; but then the socket has no peer any more. */
	if (sock_read(c->fd, &byte, 1, &why) == SOCK_ERR ||
	    sock_peer(c->fd, &peer) != OK ||
	    (peer.family == SOCK_LOCAL && sock_local_closed(c->fd))) {
		client_close(p, c);
		return 0;
	}
	c->probe_at = p->now + PROBE_NEXT;
	return 1;
}

/* Sends what is waiting. 0 when the connection is over. */
static int flush(struct proxy *p, struct client *c)
{
	enum sock_reason why;
	struct str rest = str_from(buf_str(&c->out), c->out_sent);
	long n;

	if (rest.n == 0)
		return 1;
	if (c->out.n > c->out_touched)
		c->out_touched = c->out.n;
	n = c->replay ? (long)rest.n : sock_write(c->fd, rest, &why);
	if (n == SOCK_AGAIN)
		return 1;
	if (n < 0) {
		client_close(p, c);
		return 0;
	}
	if (n > 0)
		c->deadline = p->now + p->config->write_ms;
	c->out_sent += (size_t)n;
	if (c->x.recorded)
		c->x.rec.bytes_out += (uint64_t)n;
	if (c->out_sent == c->out.n) {
		c->out.n = c->out_sent = 0;
	} else if (c->out_sent > c->out.n / 2 && c->out_sent > OUT_HIGH &&
	    !c->chunk) {
		buf_drop(&c->out, c->out_sent);
		c->out_sent = 0;
	}
	return 1;
}

static void linger(struct proxy *p, struct client *c)
{
	enum sock_reason why;
	long n = sock_read(c->fd, c->in.p, c->in.cap, &why);

	if (n == SOCK_AGAIN)
		return;
	if (n > 0 && (c->looked += (size_t)n) < LINGER_BYTES)
		return;
	client_close(p, c);
}

static void after_reply(struct proxy *p, struct client *c)
{
	if (c->out_sent < c->out.n)
		return;
	/* A body that was asked for by 100 Continue but not read, an input
	 * that can't be trusted: both end here. */
	if (!c->close && !c->fin && !p->draining) {
		next_request(p, c);
		return;
	}
	if ((c->unread || c->in.n) && !c->fin) {
		sock_shutdown_write(c->fd);
		c->state = CLIENT_LINGER;
		c->looked = 0;
		c->deadline = p->now + LINGER_MS;
		return;
	}
	if (c->fin && c->in.n && !c->close) {
		next_request(p, c);	/* pipelined before it ended */
		return;
	}
	client_close(p, c);
}

static void late(struct proxy *p, struct client *c)
{
	switch (c->state) {
	case CLIENT_HEAD:
		if (!c->begun)
			break;
		id_new(&p->ids, S("req_"), c->request_id);
		c->head.minor = 1;
		c->head.method = S("");
		refuse_with(c, 408, S("the request's head took too long "
		    "(HEADER_TIMEOUT)"));
		c->deadline = p->now + p->config->write_ms;
		return;
	case CLIENT_BODY:
		refuse_with(c, 408, S("the request's body took too long "
		    "(BODY_TIMEOUT)"));
		c->deadline = p->now + p->config->write_ms;
		return;
	case CLIENT_FREE:
	case CLIENT_WORK:
	case CLIENT_PAGE:
	case CLIENT_REPLY:
	case CLIENT_LINGER:
		break;
	}
	client_close(p, c);
}

unsigned client_want(const struct client *c)
{
	unsigned want = c->out_sent < c->out.n ? WANT_WRITE : 0;

	switch (c->state) {
	case CLIENT_FREE:
		return 0;
	case CLIENT_HEAD:
	case CLIENT_WORK:
	case CLIENT_PAGE:
		if (!c->fin && c->in.n < c->in.cap)
			want |= WANT_READ;
		break;
	case CLIENT_BODY:
	case CLIENT_LINGER:
		want |= WANT_READ;
		break;
	case CLIENT_REPLY:
		break;
	}
	return want;
}

int64_t client_deadline(const struct proxy *p, const struct client *c)
{
	int64_t at = c->deadline, x;

	if (c->state == CLIENT_FREE)
		return LOOP_NEVER;
	if (c->state == CLIENT_HEAD && c->large && c->rest_at < at)
		at = c->rest_at;
	/* While an exchange runs and nothing waits to be written, time is the
	 * exchange's business. */
	if (c->state == CLIENT_WORK) {
		if (c->out_sent == c->out.n)
			at = LOOP_NEVER;
		x = exchange_deadline(c);
		if (x < at)
			at = x;
		if (c->probe_at && c->probe_at < at)
			at = c->probe_at;
	}
	if (c->state == CLIENT_PAGE) {
		if (c->out_sent == c->out.n)
			at = LOOP_NEVER;
		x = watch_deadline(p, c);
		if (x < at)
			at = x;
	}
	return at;
}

void client_turn(struct proxy *p, struct client *c, int readable,
    int writable)
{
	enum client_state was;
	size_t left;
	int waited = c->out_sent < c->out.n;

	if (c->state == CLIENT_LINGER) {
		if (readable)
			linger(p, c);
		else if (p->now >= c->deadline)
			client_close(p, c);
		return;
	}
	if (readable && (c->state == CLIENT_HEAD || c->state == CLIENT_WORK ||
	    c->state == CLIENT_PAGE) && !read_ahead(p, c))
		return;
	if (writable && !flush(p, c))
		return;
	/* Each step may make the next one possible; every round either changes
	 * state or ends. */
	do {
		was = c->state;
		left = c->in.n;
		switch (c->state) {
		case CLIENT_HEAD:
			read_head(p, c);
			break;
		case CLIENT_BODY:
			read_body(p, c, readable);
			break;
		case CLIENT_WORK:
			exchange_turn(p, c);
			break;
		case CLIENT_PAGE:
			watch_turn(p, c);
			break;
		case CLIENT_REPLY:
			after_reply(p, c);
			break;
		case CLIENT_FREE:
		case CLIENT_LINGER:
			return;
		}
		if (c->state == CLIENT_FREE)
			return;
		if (c->state == CLIENT_WORK && !probe(p, c))
			return;
		if (c->out_sent < c->out.n && !flush(p, c))
			return;
		/* A reply whose rest left just now waits for nothing more. */
	} while (c->state != was || (c->state == CLIENT_HEAD &&
	    c->in.n != left && c->in.n) || (c->state == CLIENT_REPLY &&
	    c->out_sent == c->out.n));
	if (!waited && c->out_sent < c->out.n)
		c->deadline = p->now + p->config->write_ms;
	if (c->state == CLIENT_HEAD && c->large && p->now >= c->rest_at)
		give_back(c);
	if (p->now >= c->deadline && ((c->state != CLIENT_WORK &&
	    c->state != CLIENT_PAGE) || c->out_sent < c->out.n))
		late(p, c);
}
