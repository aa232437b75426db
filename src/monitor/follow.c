/* follow.c -- the events of a running proxy, over and over.
 *
 * A connection that ends is made again after a second, from the last line on,
 * so that a restart of the proxy is not felt. Only this machine's own proxy
 * is followed: the token goes nowhere else.
 *
 * SPDX-License-Identifier: MIT */
#include "term.h"
#include "../wire/json.h"

enum { RETRY_MS = 1000 };

int follow_open(struct follow *f, const struct command_input *in)
{
	f->socket = command_socket(in);
	f->port = command_port(in);
	f->token = str_of(in->env(in->ctx, "MONITOR_TOKEN"));
	f->key = str_of(in->env(in->ctx, "PROXY_API_KEY"));
	f->fd = -1;
	return http_value_ok(f->token) && http_value_ok(f->key) ?
	    loop_init(&f->loop) : E_FAULT;
}

static void hang_up(struct follow *f)
{
	sock_close(f->fd);
	f->fd = -1;
	f->retry_at = loop_now() + RETRY_MS;
}

static void dial(struct follow *f)
{
	struct sock_addr a;
	enum sock_reason why;

	memset(&f->sse, 0, sizeof f->sse);
	f->raw = buf_on(f->raw_mem, sizeof f->raw_mem);
	f->content = buf_on(f->content_mem, sizeof f->content_mem);
	f->taken = 0;
	f->in_body = 0;
	f->fd = -1;
	if (f->socket.n)
		f->fd = sock_local_connect(f->socket, &why);
	else if (sock_addr_parse(&a, S("127.0.0.1"), f->port) == OK)
		f->fd = sock_connect_start(&a, &why);
	f->connecting = f->fd >= 0;
	if (f->fd < 0)
		f->retry_at = loop_now() + RETRY_MS;
}

static void ask(struct follow *f)
{
	char mem[2048];
	struct buf b = buf_on(mem, sizeof mem);
	enum sock_reason why;

	buf_put(&b, S("GET /dashboard/events"));
	if (f->from_now)
		buf_put(&b, S("?after=now"));
	buf_put(&b, S(" HTTP/1.1\r\nhost: localhost"));
	if (!f->socket.n) {
		buf_chr(&b, ':');
		buf_u64(&b, f->port);
	}
	buf_put(&b, S("\r\naccept: text/event-stream\r\n"));
	if (f->last) {
		buf_put(&b, S("last-event-id: "));
		buf_u64(&b, f->last);
		buf_put(&b, S("\r\n"));
	}
	if (f->token.n || f->key.n) {
		buf_put(&b, f->token.n ? S("authorization: Bearer ") :
		    S("x-api-key: "));
		buf_put(&b, f->token.n ? f->token : f->key);
		buf_put(&b, S("\r\n"));
	}
	buf_put(&b, S("\r\n"));
	if (b.full || sock_write(f->fd, buf_str(&b), &why) != (long)b.n)
		hang_up(f);
}

/* Why it doesn't let us: Anthropic's shape of an error. */
static int refused(struct follow *f)
{
	static char mem[65536];
	struct arena a = { mem, mem + sizeof mem };
	struct buf b = buf_on(f->fault, sizeof f->fault);
	struct json doc;
	struct jstr text = { { NULL, 0 } };

	if (json_parse(&doc, buf_str(&f->content), &a, NULL) == OK)
		text = json_str(json_get(json_get(json_root(&doc),
		    S("error")), S("message")));
	if (text.raw.n)
		json_unescape(&b, text);
	else
		buf_put(&b, S("it answers, but not as a monitor"));
	f->nfault = b.n;
	return E_FAULT;
}

static int take_head(struct follow *f)
{
	struct str in = buf_str(&f->raw);
	size_t end = http_head_end(in, 0);
	const char *why;

	if (!end)
		return f->raw.n == f->raw.cap ? E_BAD : E_MORE;
	if (http_response(&f->head, str_head(in, end), 0, &why) != OK)
		return E_BAD;
	http_body_init(&f->body, &f->head);
	buf_drop(&f->raw, end);
	f->in_body = 1;
	return OK;
}

/* What has come, without its framing. E_NONE: that was all. */
static int take_body(struct follow *f)
{
	struct str in = buf_str(&f->raw), piece;
	int r = OK;

	while (r == OK && in.n) {
		r = http_body(&f->body, &in, &piece);
		if (r == OK || r == E_NONE)
			buf_put(&f->content, piece);
	}
	buf_drop(&f->raw, f->raw.n - in.n);
	return f->content.full ? E_BAD : r;
}

static int receive(struct follow *f)
{
	enum sock_reason why;
	int r;
	long n = sock_read(f->fd, f->raw.p + f->raw.n, f->raw.cap - f->raw.n,
	    &why);

	if (n == SOCK_AGAIN)
		return E_MORE;
	if (n > 0)
		f->raw.n += (size_t)n;
	r = n > 0 ? OK : E_NONE;
	if (r == OK && !f->in_body)
		r = take_head(f);
	if (r == OK)
		r = take_body(f);
	if ((r == E_NONE || n <= 0) && f->in_body && f->head.status != 200)
		return refused(f);
	if (r == E_NONE || r == E_BAD || n <= 0)
		hang_up(f);
	return E_MORE;
}

static int take_event(struct follow *f, struct sse_event *ev)
{
	struct str in;
	uint64_t id;

	if (!f->in_body || f->head.status != 200)
		return E_MORE;
	buf_drop(&f->content, f->taken);
	in = buf_str(&f->content);
	if (sse_next(&f->sse, &in, 0, ev) != OK) {
		f->taken = 0;
		buf_drop(&f->content, f->content.n - in.n);
		return E_MORE;
	}
	f->taken = f->content.n - in.n;
	if (ev->id.n && str_u64(ev->id, &id) == OK)
		f->last = id;
	return OK;
}

int follow_next(struct follow *f, int64_t until, struct sse_event *ev)
{
	enum sock_reason why;
	int64_t wake = until;
	int r;

	if (take_event(f, ev) == OK)
		return OK;
	if (f->fd < 0 && loop_now() >= f->retry_at)
		dial(f);
	if (f->fd < 0 && f->retry_at < wake)
		wake = f->retry_at;
	loop_begin(&f->loop);
	loop_want(&f->loop, f->fd, f->connecting ? WANT_WRITE : WANT_READ);
	if (loop_wait(&f->loop, wake) & (LOOP_TERM | LOOP_INT))
		return E_NONE;
	if (f->fd >= 0 && f->connecting && loop_writable(&f->loop, f->fd)) {
		r = sock_connect_done(f->fd, &why);
		f->connecting = r == SOCK_AGAIN;
		if (r == OK)
			ask(f);
		else if (r == SOCK_ERR)
			hang_up(f);
		return E_MORE;
	}
	if (f->fd < 0 || f->connecting || !loop_readable(&f->loop, f->fd))
		return E_MORE;
	r = receive(f);
	return r == E_FAULT ? r : take_event(f, ev);
}
