/* fetch.c -- a blocking HTTP client for a process that has nothing else to do.
 *
 * Sockets are the non-blocking ones of sock.c and TLS is tls.c's pump, with a
 * select() of our own around them; so there is one code for both, and one
 * deadline over all of it. Memory is the caller's arena.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/select.h>
#include <netdb.h>
#include <netinet/in.h>

#include "fetch.h"
#include "loop.h"
#include "../wire/sigv4.h"

/* -- URLs -- */

static int port_of(struct str s, unsigned *port)
{
	uint64_t v;

	if (str_u64(s, &v) != OK || v == 0 || v > 65535)
		return E_BAD;
	*port = (unsigned)v;
	return OK;
}

/* "host", "host:port", "[address]:port". */
static int read_authority(struct fetch_url *u, struct str s)
{
	unsigned usual = u->tls ? 443 : 80;
	size_t end = str_chr(s, ':');

	u->authority = s;
	u->port = usual;
	if (s.n && s.p[0] == '[') {
		end = str_chr(s, ']');
		if (end == s.n)
			return E_BAD;
		u->host = str_head(str_from(s, 1), end - 1);
		end++;
	} else {
		u->host = str_head(s, end);
	}
	if (end < s.n) {
		if (s.p[end] != ':' || port_of(str_from(s, end + 1),
		    &u->port) != OK)
			return E_BAD;
		/* AW-7: the signed host and the sent one leave out a port that
		 * goes without saying. */
		if (u->port == usual)
			u->authority = str_head(s, end);
	}
	return u->host.n && u->host.n <= TLS_HOST_MAX ? OK : E_BAD;
}

int fetch_url(struct fetch_url *u, struct str url)
{
	size_t i, n;

	memset(u, 0, sizeof(*u));
	if (url.n > FETCH_URL_MAX)
		return E_BAD;
	for (i = 0; i < url.n; i++)
		if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f ||
		    url.p[i] == '#' || url.p[i] == '\\')
			return E_BAD;
	u->tls = str_istarts(url, S("https://"));
	if (!u->tls && !str_istarts(url, S("http://")))
		return E_BAD;
	url = str_from(url, u->tls ? 8 : 7);
	for (n = 0; n < url.n && url.p[n] != '/' && url.p[n] != '?'; n++)
		if (url.p[n] == '@')
			return E_BAD;
	u->target = str_from(url, n);
	n = str_chr(u->target, '?');
	u->path = str_head(u->target, n);
	u->query = str_from(u->target, n + 1);
	return read_authority(u, str_head(url, url.n - u->target.n));
}

/* -- one connection -- */

struct link {
	int fd;
	struct tls *tls;	/* NULL: plain */
	struct str host;
	int64_t deadline;
	struct buf *why;
};

static int say(struct link *l, struct str what)
{
	buf_put(l->why, l->host);
	buf_put(l->why, S(": "));
	buf_put(l->why, what);
	return E_FAULT;
}

/* Waits until fd can do one of what is wanted. */
static int await(struct link *l, unsigned want)
{
	int64_t left = l->deadline - loop_now();
	struct timeval tv;
	fd_set r, w;
	int n;

	if (left <= 0)
		return say(l, S("no answer in time"));
	FD_ZERO(&r);
	FD_ZERO(&w);
	if (want & WANT_READ)
		FD_SET(l->fd, &r);
	if (want & WANT_WRITE)
		FD_SET(l->fd, &w);
	tv.tv_sec = (time_t)(left / 1000);
	tv.tv_usec = (suseconds_t)(left % 1000 * 1000);
	n = select(l->fd + 1, &r, &w, NULL, &tv);
	/* An interrupted wait is begun again by the caller's loop. */
	return n == 0 ? say(l, S("no answer in time")) : OK;
}

static int connect_one(struct link *l, const struct sock_addr *a,
    enum sock_reason *why)
{
	int r;

	*why = SOCK_FINE;
	l->fd = sock_connect_start(a, why);
	if (l->fd < 0)
		return E_FAULT;
	while ((r = sock_connect_done(l->fd, why)) == SOCK_AGAIN) {
		*why = SOCK_TIMEOUT;
		if (await(l, WANT_WRITE) != OK)
			break;
	}
	if (r == OK)
		return OK;
	sock_close(l->fd);
	l->fd = -1;
	return E_FAULT;
}

static size_t resolve(struct sock_addr *to, struct str host, unsigned port)
{
	char name[TLS_HOST_MAX + 1];
	struct addrinfo hints, *list, *i;
	size_t n = 0;

	if (sock_addr_parse(to, host, port) == OK)
		return 1;
	if (host.n >= sizeof(name))
		return 0;
	memcpy(name, host.p, host.n);
	name[host.n] = '\0';
	memset(&hints, 0, sizeof(hints));
	hints.ai_socktype = SOCK_STREAM;
	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return 0;
	for (i = list; i && n < FETCH_ADDRS_MAX; i = i->ai_next)
		if (sock_addr_of(to + n, i->ai_addr, i->ai_addrlen) == OK)
			to[n++].port = (uint16_t)port;
	freeaddrinfo(list);
	return n;
}

/* Tries the host's addresses in turn; one deadline for all of them. */
static int open_link(struct link *l, struct str host, unsigned port)
{
	struct sock_addr to[FETCH_ADDRS_MAX];
	enum sock_reason reason = SOCK_FINE;
	size_t i, n, had = l->why->n;

	n = resolve(to, host, port);
	if (!n)
		return say(l, S("name not found"));
	for (i = 0; i < n; i++) {
		l->why->n = had;
		if (connect_one(l, to + i, &reason) == OK)
			return OK;
	}
	l->why->n = had;
	return say(l, sock_text(reason));
}

static int open_local(struct link *l, struct str path)
{
	enum sock_reason reason;

	l->fd = sock_local_connect(path, &reason);
	return l->fd >= 0 ? OK : say(l, sock_text(reason));
}

static int tls_lost(struct link *l)
{
	struct str why = tls_error(l->tls);

	if (!why.n)
		return say(l, S("connection closed"));
	buf_put(l->why, why);
	return E_FAULT;
}

static int send_tls(struct link *l, struct str s)
{
	enum tls_state state;

	for (;;) {
		state = tls_pump(l->tls, l->fd);
		if (state != TLS_HANDSHAKE && state != TLS_OPEN)
			return tls_lost(l);
		if (state == TLS_OPEN && s.n) {
			s = str_from(s, tls_send(l->tls, s));
			state = tls_pump(l->tls, l->fd);
			if (state != TLS_OPEN)
				return tls_lost(l);
		}
		if (!s.n && tls_sent(l->tls))
			return OK;
		/* Plaintext that waits would block sending: nothing was asked
		 * yet, so there can be none from an honest server. */
		if (tls_recv(l->tls).n)
			return say(l, S("spoke before it was asked"));
		if (await(l, tls_want(l->tls)) != OK)
			return E_FAULT;
	}
}

static int send_all(struct link *l, struct str s)
{
	enum sock_reason reason;
	long n;

	if (l->tls)
		return send_tls(l, s);
	while (s.n) {
		n = sock_write(l->fd, s, &reason);
		if (n == SOCK_AGAIN) {
			if (await(l, WANT_WRITE) != OK)
				return E_FAULT;
		} else if (n < 0) {
			return say(l, sock_text(reason));
		} else {
			s = str_from(s, (size_t)n);
		}
	}
	return OK;
}

/* Some bytes into b. OK, E_NONE at the end, E_FAULT. */
static int receive(struct link *l, struct buf *b)
{
	enum sock_reason reason;
	enum tls_state state;
	struct str s;
	long n;

	if (b->n == b->cap)
		return say(l, S("the answer is too large"));
	for (;;) {
		if (l->tls) {
			state = tls_pump(l->tls, l->fd);
			s = str_head(tls_recv(l->tls), b->cap - b->n);
			if (s.n) {
				buf_put(b, s);
				tls_ack(l->tls, s.n);
				return OK;
			}
			if (state == TLS_CLOSED || state == TLS_CUT)
				return E_NONE;
			if (state != TLS_OPEN)
				return tls_lost(l);
			if (await(l, tls_want(l->tls)) != OK)
				return E_FAULT;
			continue;
		}
		n = sock_read(l->fd, b->p + b->n, b->cap - b->n, &reason);
		if (n > 0) {
			b->n += (size_t)n;
			return OK;
		}
		if (n == SOCK_EOF)
			return E_NONE;
		if (n != SOCK_AGAIN)
			return say(l, sock_text(reason));
		if (await(l, WANT_READ) != OK)
			return E_FAULT;
	}
}

/* -- answers -- */

/* Reads until a head is whole; *end gets its size. Interim ones are passed. */
static int read_head(struct link *l, struct buf *b, struct http_head *h,
    size_t *end)
{
	const char *why;
	size_t from = 0, n;
	struct str in;
	int r;

	for (;;) {
		in = str_from(buf_str(b), *end);
		n = http_head_end(in, from);
		if (!n) {
			from = in.n > 3 ? in.n - 3 : 0;
			if (in.n > HTTP_HEAD_MAX)
				return say(l, S("the answer's head is too large"));
			r = receive(l, b);
			if (r == E_NONE)
				return say(l, S("closed before its answer"));
			if (r != OK)
				return r;
			continue;
		}
		if (http_response(h, str_head(in, n), 0, &why) != OK)
			return say(l, str_of(why));
		*end += n;
		from = 0;
		if (h->status >= 200)
			return OK;
	}
}

/* Content is moved to where framing was, so that it is one slice. */
static int read_body(struct link *l, struct buf *b, size_t at,
    struct fetch_answer *out)
{
	struct http_body body;
	struct str in, piece;
	size_t taken = at;
	int r;

	http_body_init(&body, &out->head);
	out->body = (struct str){ b->p + at, 0 };
	for (;;) {
		in = str_from(buf_str(b), taken);
		r = http_body(&body, &in, &piece);
		if (r == E_BAD)
			return say(l, str_of(body.why));
		if (piece.n)
			memmove(b->p + at + out->body.n, piece.p, piece.n);
		out->body.n += piece.n;
		taken = b->n - in.n;
		if (r == E_NONE)
			return OK;
		if (in.n)
			continue;
		r = receive(l, b);
		if (r == E_NONE)
			return http_body_eof(&body) == OK ? OK :
			    say(l, S("its answer was cut short"));
		if (r != OK)
			return r;
	}
}

static void put_request(struct buf *b, const struct fetch *f,
    const struct fetch_url *u)
{
	buf_put(b, f->method);
	buf_chr(b, ' ');
	if (!u->path.n)
		buf_chr(b, '/');
	buf_put(b, u->target);
	buf_put(b, S(" HTTP/1.1\r\nhost: "));
	buf_put(b, u->authority);
	buf_put(b, S("\r\n"));
	buf_put(b, f->fields);
	if (f->body.n || !str_eq(f->method, S("GET"))) {
		buf_put(b, S("content-length: "));
		buf_u64(b, f->body.n);
		buf_put(b, S("\r\n"));
	}
	buf_put(b, S("connection: close\r\n\r\n"));
	buf_put(b, f->body);
}

static void learn_date(struct fetch_answer *out)
{
	int64_t at;

	out->date = 0;
	if (!http_field(&out->head, S("age")).p && sigv4_http_date(
	    http_field(&out->head, S("date")), &at) == OK)
		out->date = at;
}

static int converse(struct link *l, struct arena *a, const struct fetch *f,
    const struct fetch_url *u, struct fetch_answer *out)
{
	struct buf b = buf_open(a);
	struct str request;
	size_t end = 0, max = f->answer_max ? f->answer_max : FETCH_ANSWER_MAX;
	char *room;
	int r;

	put_request(&b, f, u);
	request = buf_end(a, &b);
	room = arena_bytes(a, max);
	if (b.full || !room)
		return E_FULL;
	r = send_all(l, request);
	if (r != OK)
		return r;
	b = buf_on(room, max);
	r = read_head(l, &b, &out->head, &end);
	if (r != OK)
		return r;
	learn_date(out);
	return read_body(l, &b, end, out);
}

/* -- proxies and TLS -- */

/* Percent signs in a proxy's login stand for the bytes they spell. */
static void put_login(struct buf *fields, struct str login)
{
	char plain[512];
	struct buf b = buf_on(plain, sizeof(plain));

	if (http_decode(&b, login) != OK)
		b.n = 0;
	buf_put(fields, S("proxy-authorization: Basic "));
	buf_base64(fields, buf_str(&b));
	buf_put(fields, S("\r\n"));
}

/* "http://user:password@host:port/" -> "host:port", and a field. */
static struct str proxy_host(struct str proxy, struct buf *fields)
{
	size_t n = str_find(proxy, S("://"));

	if (n < proxy.n)
		proxy = str_from(proxy, n + 3);
	if (str_ends(proxy, S("/")))
		proxy.n--;
	for (n = proxy.n; n && proxy.p[n - 1] != '@'; n--)
		;
	if (n)
		put_login(fields, str_head(proxy, n - 1));
	return str_from(proxy, n);
}

static void put_tunnel(struct buf *b, const struct fetch_url *u,
    struct str field)
{
	char text[TLS_HOST_MAX + 16];
	struct buf to = buf_on(text, sizeof(text));

	buf_put(&to, u->authority);
	if (u->port == 443)
		buf_put(&to, S(":443"));
	buf_put(b, S("CONNECT "));
	buf_put(b, buf_str(&to));
	buf_put(b, S(" HTTP/1.1\r\nhost: "));
	buf_put(b, buf_str(&to));
	buf_put(b, S("\r\n"));
	buf_put(b, field);
	buf_put(b, S("\r\n"));
}

/* Asks the proxy for a tunnel to the URL's host (RFC 9110 9.3.6). */
static int tunnel(struct link *l, struct arena scratch, const struct fetch *f,
    const struct fetch_url *u)
{
	char login[1024];
	struct buf field = buf_on(login, sizeof(login)), b, in;
	struct fetch_url via = { 0 };
	struct http_head head;
	struct str request;
	size_t end = 0;
	int r;

	if (read_authority(&via, proxy_host(f->proxy, &field)) != OK)
		return say(l, S("HTTPS_PROXY isn't http://host:port"));
	l->host = via.host;
	r = open_link(l, via.host, via.port);
	if (r != OK)
		return r;
	b = buf_open(&scratch);
	put_tunnel(&b, u, buf_str(&field));
	request = buf_end(&scratch, &b);
	in = buf_open(&scratch);
	if (b.full || field.full || !in.cap)
		return E_FULL;
	/* What follows the head can be nothing: in TLS the client speaks first,
	 * and it hasn't. */
	r = send_all(l, request);
	if (r == OK)
		r = read_head(l, &in, &head, &end);
	if (r != OK)
		return r;
	if (head.status < 200 || head.status > 299 || end != in.n)
		return say(l, S("the proxy refused the tunnel"));
	l->host = u->host;
	return OK;
}

int fetch(const struct fetch *f, struct arena *a, struct fetch_answer *out,
    struct buf *why)
{
	struct link l = { -1, NULL, { NULL, 0 }, f->deadline, why };
	struct tls *tls = NULL;
	struct fetch_url u;
	int r;

	if (fetch_url(&u, f->url) != OK) {
		buf_put(why, S("not a URL that can be asked"));
		return E_FAULT;
	}
	l.host = u.host;
	if (u.tls) {
		tls = arena_get(a, sizeof(*tls));
		if (!tls)
			return E_FULL;
	}
	if (u.tls && f->proxy.n)
		r = tunnel(&l, *a, f, &u);
	else if (!u.tls && f->socket.n)
		r = open_local(&l, f->socket);
	else
		r = open_link(&l, u.host, u.port);
	if (r == OK && u.tls) {
		l.tls = tls;
		if (tls_start(tls, f->tls, u.host, u.port, loop_wall()) != OK)
			r = tls_lost(&l);
	}
	if (r == OK)
		r = converse(&l, a, f, &u, out);
	if (l.tls)
		tls_wipe(l.tls);
	sock_close(l.fd);
	return r;
}
