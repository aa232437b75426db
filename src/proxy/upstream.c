/* upstream.c -- connections to upstreams: pool, connect, tunnel, TLS, bytes.
 *
 * A connection is made in steps, each of which may wait: the name (helper
 * process), the addresses one after the other, CONNECT through a proxy, the
 * TLS handshake. One deadline covers them all; CONN_TRY bounds an address
 * that doesn't answer while others wait their turn. An open connection
 * belongs to one exchange; afterwards it rests in the pool, if the exchange
 * left it clean.
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum {
	CONN_TRY = 2500,	/* ms for an address that isn't the last one */
	IDLE_MAX = 50000,	/* ms in the pool; common servers close at 60 s */
	POOL_MAX = 32,		/* resting connections, to all upstreams */
	DRAIN_MAX = 1000,	/* ms for the rest of a body's framing */
	DRAIN_BYTES = 4096
};

static int conn_fail(struct conn *c, struct str what, struct str why)
{
	struct str host = c->tunnel ? S("the proxy of HTTPS_PROXY") :
	    c->up->authority;

	/* The TLS engine's own text names the host already. */
	if (what.n == 0)
		FAULT(&c->fault, 502, why);
	else
		FAULT(&c->fault, 502, S("cannot reach "), host, S(": "), what,
		    why);
	return E_FAULT;
}

struct conn *conn_get(struct proxy *p, const struct upstream *up, int fresh)
{
	struct conn *c, *unused = NULL, *oldest = NULL;
	size_t i;

	/* The one that rested last: what it needs is in the caches. */
	for (i = p->nresting; i-- > 0;) {
		c = &p->conns[p->resting[i]];
		if (c->state != CONN_IDLE)
			continue;
		if (c->up == up && !fresh) {
			c->state = CONN_OPEN;
			c->reused = 1;
			c->cut = 0;
			return c;
		}
		if (!oldest || c->idle_since < oldest->idle_since)
			oldest = c;
	}
	for (i = 0; i < p->n && !unused; i++)
		if (p->conns[i].state == CONN_FREE)
			unused = &p->conns[i];
	if (!unused && oldest) {
		conn_close(oldest);
		unused = oldest;
	}
	if (!unused)
		return NULL;
	c = unused;
	c->state = CONN_RESOLVE;
	c->fd = -1;
	c->up = up;
	c->tls = &p->engines[c - p->conns];
	c->tunnel = up->tls && p->config->have_proxy &&
	    !config_no_proxy(p->config, up->host, up->port);
	c->reused = c->cut = 0;
	c->addrs.n = c->next = 0;
	c->nsmall = c->small_sent = 0;
	c->why = SOCK_FINE;
	c->deadline = p->now + p->config->connect_ms;
	return c;
}

static int resolve(struct proxy *p, struct conn *c)
{
	struct str host = c->tunnel ? p->config->proxy_host : c->up->host;
	unsigned port = c->tunnel ? p->config->proxy_port : c->up->port;
	struct str why;
	int r = helper_resolve(&p->helper, host, port, p->now, &c->addrs,
	    &why);

	if (r == E_MORE)
		return E_MORE;
	if (r != OK)
		return conn_fail(c, S("looking up its name: "), why);
	if (c->addrs.n == 0)
		return conn_fail(c, S("its name has no address"), S(""));
	c->state = CONN_CONNECT;
	return OK;
}

/* Starts the next address; E_FAULT when there is none left. */
static int next_address(struct proxy *p, struct conn *c)
{
	struct str host = c->tunnel ? p->config->proxy_host : c->up->host;

	while (c->next < c->addrs.n) {
		c->fd = sock_connect_start(&c->addrs.addr[c->next++], &c->why);
		if (c->fd >= 0) {
			c->try_until = c->next < c->addrs.n ?
			    p->now + CONN_TRY : c->deadline;
			return OK;
		}
		c->fd = -1;
	}
	/* All failed: the next request asks the resolver anew. */
	helper_forget(&p->helper, HELPER_RESOLVE, host);
	return conn_fail(c, sock_text(c->why), S(""));
}

/* What comes after the TCP connection. */
static void connected(struct proxy *p, struct conn *c)
{
	struct buf b = buf_on(c->small, sizeof c->small);

	if (!c->tunnel) {
		c->state = c->up->tls ? CONN_TLS : CONN_OPEN;
		if (c->up->tls)
			tls_start(c->tls, &p->tls, c->up->host, c->up->port,
			    loop_wall());
		return;
	}
	/* RFC 9110 section 9.3.6: authority form, always with the port. */
	buf_put(&b, S("CONNECT "));
	if (str_chr(c->up->host, ':') < c->up->host.n) {
		buf_chr(&b, '[');
		buf_put(&b, c->up->host);
		buf_chr(&b, ']');
	} else {
		buf_put(&b, c->up->host);
	}
	buf_chr(&b, ':');
	buf_u64(&b, c->up->port);
	buf_put(&b, S(" HTTP/1.1\r\nHost: "));
	buf_put(&b, c->up->host);
	buf_chr(&b, ':');
	buf_u64(&b, c->up->port);
	buf_put(&b, S("\r\n"));
	if (p->config->proxy_auth.n) {
		buf_put(&b, S("Proxy-Authorization: Basic "));
		buf_base64(&b, p->config->proxy_auth);
		buf_put(&b, S("\r\n"));
	}
	buf_put(&b, S("\r\n"));
	c->nsmall = b.n;
	c->small_sent = 0;
	c->state = CONN_TUNNEL_SEND;
}

static int connecting(struct proxy *p, struct conn *c)
{
	int r;

	if (c->fd < 0 && next_address(p, c) != OK)
		return E_FAULT;
	r = sock_connect_done(c->fd, &c->why);
	if (r == OK) {
		connected(p, c);
		return OK;
	}
	if (r == SOCK_AGAIN && p->now < c->try_until)
		return E_MORE;
	if (r == SOCK_AGAIN)
		c->why = SOCK_TIMEOUT;
	sock_close(c->fd);
	c->fd = -1;
	return OK;			/* come back for the next address */
}

static int tunnel_send(struct conn *c)
{
	struct str rest = str_from((struct str){ c->small, c->nsmall },
	    c->small_sent);
	long n = sock_write(c->fd, rest, &c->why);

	if (n == SOCK_AGAIN)
		return E_MORE;
	if (n < 0)
		return conn_fail(c, sock_text(c->why), S(""));
	c->small_sent += (size_t)n;
	if (c->small_sent < c->nsmall)
		return E_MORE;
	c->nsmall = 0;
	c->state = CONN_TUNNEL_READ;
	return OK;
}

static int tunnel_read(struct proxy *p, struct conn *c)
{
	struct http_head h;
	const char *why;
	char status[24];
	struct buf b = buf_on(status, sizeof status);
	size_t end = 0;
	long n;

	/* Byte by byte where it matters: what follows the answer's head is
	 * TLS and not ours to take. The server can't speak before us, so
	 * there is nothing behind the head. */
	n = sock_read(c->fd, c->small + c->nsmall, sizeof c->small - c->nsmall,
	    &c->why);
	if (n == SOCK_AGAIN)
		return E_MORE;
	if (n == SOCK_EOF)
		return conn_fail(c, S("it closed the connection on CONNECT"),
		    S(""));
	if (n < 0)
		return conn_fail(c, sock_text(c->why), S(""));
	c->nsmall += (size_t)n;
	end = http_head_end((struct str){ c->small, c->nsmall }, 0);
	if (end == 0 && c->nsmall < sizeof c->small)
		return E_MORE;
	if (end == 0 || http_response(&h, (struct str){ c->small, end }, 0,
	    &why) != OK)
		return conn_fail(c, S("it didn't answer CONNECT in HTTP"),
		    S(""));
	if (h.status / 100 != 2) {
		buf_u64(&b, (uint64_t)h.status);
		return conn_fail(c, S("it answered CONNECT with status "),
		    buf_str(&b));
	}
	if (end != c->nsmall)
		return conn_fail(c, S("it sent bytes before the handshake"),
		    S(""));
	c->tunnel = 0;
	connected(p, c);
	c->tunnel = 1;
	return OK;
}

static int handshake(struct conn *c)
{
	switch (tls_pump(c->tls, c->fd)) {
	case TLS_HANDSHAKE:
		return E_MORE;
	case TLS_OPEN:
		c->state = CONN_OPEN;
		return OK;
	case TLS_IDLE:
	case TLS_CLOSED:
	case TLS_CUT:
	case TLS_FAILED:
		break;
	}
	if (tls_error(c->tls).n == 0)
		return conn_fail(c, S("it closed the connection in the TLS "
		    "handshake"), S(""));
	return conn_fail(c, S(""), tls_error(c->tls));
}

static struct str step_name(enum conn_state s)
{
	switch (s) {
	case CONN_RESOLVE:
		return S("its name could not be looked up in time");
	case CONN_CONNECT:
		return S("no connection in time");
	case CONN_TUNNEL_SEND:
	case CONN_TUNNEL_READ:
		return S("no answer to CONNECT in time");
	case CONN_TLS:
		return S("the TLS handshake took too long");
	case CONN_FREE:
	case CONN_OPEN:
	case CONN_DRAIN:
	case CONN_IDLE:
		break;
	}
	return S("");
}

int conn_connect(struct proxy *p, struct conn *c)
{
	int r = OK;

	while (r == OK && c->state != CONN_OPEN) {
		if (p->now >= c->deadline) {
			FAULT(&c->fault, 504, S("cannot reach "),
			    c->up->authority, S(": "), step_name(c->state),
			    S(" (CONNECT_TIMEOUT)"));
			return E_FAULT;
		}
		switch (c->state) {
		case CONN_RESOLVE:
			r = resolve(p, c);
			break;
		case CONN_CONNECT:
			r = connecting(p, c);
			break;
		case CONN_TUNNEL_SEND:
			r = tunnel_send(c);
			break;
		case CONN_TUNNEL_READ:
			r = tunnel_read(p, c);
			break;
		case CONN_TLS:
			r = handshake(c);
			break;
		case CONN_FREE:
		case CONN_OPEN:
		case CONN_DRAIN:
		case CONN_IDLE:
			return OK;
		}
	}
	return r;
}

long conn_send(struct conn *c, const struct str *parts, size_t n)
{
	size_t taken = 0, k;

	if (!c->up->tls)
		return sock_writev(c->fd, parts, n, &c->why);
	while (n) {
		k = tls_send(c->tls, *parts);
		taken += k;
		if (k == parts->n) {
			parts++;
			n--;
			continue;
		}
		/* The record buffer is full, or its answer is coming in. */
		if (tls_pump(c->tls, c->fd) != TLS_OPEN)
			return SOCK_ERR;
		parts = &(struct str){ parts->p + k, parts->n - k };
		k = tls_send(c->tls, *parts);
		if (k == 0)
			return taken ? (long)taken : SOCK_AGAIN;
		taken += k;
		return (long)taken;
	}
	if (tls_pump(c->tls, c->fd) != TLS_OPEN)
		return SOCK_ERR;
	return (long)taken;
}

int conn_flushed(struct conn *c)
{
	if (!c->up->tls || tls_sent(c->tls))
		return 1;
	tls_pump(c->tls, c->fd);
	return tls_sent(c->tls);
}

long conn_recv(struct conn *c, char *to, size_t n)
{
	struct str s;
	enum tls_state state;
	long got;

	if (!c->up->tls) {
		got = sock_read(c->fd, to, n, &c->why);
		c->drained = got > 0 && (size_t)got < n;
		return got;
	}
	s = tls_recv(c->tls);
	state = tls_state(c->tls);
	if (s.n == 0) {
		state = tls_pump(c->tls, c->fd);
		s = tls_recv(c->tls);
	}
	if (s.n) {
		s = str_head(s, n);
		memcpy(to, s.p, s.n);
		tls_ack(c->tls, s.n);
		return (long)s.n;
	}
	switch (state) {
	case TLS_OPEN:
	case TLS_HANDSHAKE:
		return SOCK_AGAIN;
	case TLS_CUT:
		c->cut = 1;
		return SOCK_EOF;
	case TLS_CLOSED:
	case TLS_IDLE:
		return SOCK_EOF;
	case TLS_FAILED:
		break;
	}
	return SOCK_ERR;
}

int conn_pending(const struct conn *c)
{
	return (c->state == CONN_OPEN || c->state == CONN_DRAIN) &&
	    c->up->tls && tls_recv(c->tls).n > 0;
}

struct str conn_trouble(const struct conn *c)
{
	if (c->up->tls && tls_error(c->tls).n)
		return tls_error(c->tls);
	return sock_text(c->why);
}

unsigned conn_want(const struct conn *c, unsigned want)
{
	switch (c->state) {
	case CONN_FREE:
	case CONN_RESOLVE:
		return 0;
	case CONN_CONNECT:
		return c->fd < 0 ? 0 : WANT_WRITE;
	case CONN_TUNNEL_SEND:
		return WANT_WRITE;
	case CONN_TUNNEL_READ:
	case CONN_IDLE:			/* readable: the peer ended it */
		return WANT_READ;
	case CONN_TLS:
		return tls_want(c->tls);
	case CONN_DRAIN:
		want = WANT_READ;
		break;
	case CONN_OPEN:
		break;
	}
	if (!c->up->tls)
		return want;
	/* Records may have to go out before anything can come in. */
	if (want & WANT_READ)
		return tls_want(c->tls);
	return tls_want(c->tls) & (want | WANT_WRITE);
}

static void rest(struct proxy *p, struct conn *c)
{
	if (!c->listed)
		p->resting[p->nresting++] = (unsigned short)(c - p->conns);
	c->listed = 1;
}

void conn_release(struct proxy *p, struct conn *c)
{
	struct conn *idler, *oldest = NULL;
	size_t i, idle = 0;

	if (c->up->tls && (tls_state(c->tls) != TLS_OPEN ||
	    tls_recv(c->tls).n || !tls_sent(c->tls))) {
		conn_close(c);
		return;
	}
	for (i = 0; i < p->nresting; i++) {
		idler = &p->conns[p->resting[i]];
		if (idler->state != CONN_IDLE)
			continue;
		idle++;
		if (!oldest || idler->idle_since < oldest->idle_since)
			oldest = idler;
	}
	if (idle >= POOL_MAX)
		conn_close(oldest);
	c->state = CONN_IDLE;
	c->idle_since = p->now;
	rest(p, c);
}

void conn_drain(struct proxy *p, struct conn *c, const struct http_body *body)
{
	c->state = CONN_DRAIN;
	c->drain = *body;
	c->deadline = p->now + DRAIN_MAX;
	rest(p, c);
}

static void drain(struct proxy *p, struct conn *c)
{
	char bytes[DRAIN_BYTES];
	struct str in, piece;
	long n = conn_recv(c, bytes, sizeof bytes);
	int r = OK;

	if (n == SOCK_AGAIN && p->now < c->deadline)
		return;
	if (n > 0) {
		in = (struct str){ bytes, (size_t)n };
		while (r == OK && in.n)
			r = http_body(&c->drain, &in, &piece);
		if (r == OK)
			return;
		if (r == E_NONE && in.n == 0) {
			conn_release(p, c);
			return;
		}
	}
	conn_close(c);
}

void conn_close(struct conn *c)
{
	if (c->state == CONN_FREE)
		return;
	if (c->up->tls) {
		if (c->fd >= 0 && tls_state(c->tls) == TLS_OPEN) {
			tls_close(c->tls);
			tls_pump(c->tls, c->fd);
		}
		tls_wipe(c->tls);
	}
	sock_close(c->fd);
	c->fd = -1;
	c->state = CONN_FREE;
}

void conn_tend(struct proxy *p)
{
	struct conn *c;
	size_t i, n = 0;

	for (i = 0; i < p->nresting; i++) {
		c = &p->conns[p->resting[i]];
		if (c->state == CONN_DRAIN &&
		    (loop_readable(&p->loop, c->fd) || conn_pending(c) ||
		     p->now >= c->deadline))
			drain(p, c);
		else if (c->state == CONN_IDLE &&
		    (loop_readable(&p->loop, c->fd) ||
		     p->now - c->idle_since >= IDLE_MAX))
			conn_close(c);
		c->listed = c->state == CONN_IDLE || c->state == CONN_DRAIN;
		if (c->listed)
			p->resting[n++] = p->resting[i];
	}
	p->nresting = n;
}

int64_t conn_deadline(const struct conn *c)
{
	switch (c->state) {
	case CONN_FREE:
	case CONN_OPEN:
		break;
	case CONN_IDLE:
		return c->idle_since + IDLE_MAX;
	case CONN_CONNECT:
		return c->try_until < c->deadline ? c->try_until :
		    c->deadline;
	case CONN_RESOLVE:
	case CONN_TUNNEL_SEND:
	case CONN_TUNNEL_READ:
	case CONN_TLS:
	case CONN_DRAIN:
		return c->deadline;
	}
	return LOOP_NEVER;
}
