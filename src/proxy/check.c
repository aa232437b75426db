/* check.c -- --check: the settings, then a look at every upstream.
 *
 * Uses the connections and the backends of the real thing, so that what it
 * finds is what a request would meet.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <unistd.h>

#include "proxy.h"

enum { ANSWER_MS = 10000 };	/* for the answer to the probe */

static void say(struct str s)
{
	ssize_t n;

	while (s.n && (n = write(1, s.p, s.n)) > 0)
		s = str_from(s, (size_t)n);
}

static void swallow(struct sink *s, const struct event *e)
{
	(void)s;
	(void)e;
}

/* Waits for the probe's connection or the helper, whichever speaks. u: may be
 * NULL. */
static void wait_for(struct proxy *p, struct conn *u, unsigned want,
    int64_t until)
{
	loop_begin(&p->loop);
	loop_want(&p->loop, helper_fd(&p->helper), helper_want(&p->helper));
	if (u && u->state != CONN_FREE)
		loop_want(&p->loop, u->fd, conn_want(u, want));
	if (u && conn_deadline(u) < until)
		until = conn_deadline(u);
	if (helper_deadline(&p->helper) < until)
		until = helper_deadline(&p->helper);
	loop_wait(&p->loop, u && conn_pending(u) ? 0 : until);
	p->now = loop_now();
	helper_turn(&p->helper, p->now);
}

static int connect_to(struct proxy *p, struct conn *u, struct buf *b)
{
	int64_t began = p->now;
	int r;

	while ((r = conn_connect(p, u)) == E_MORE)
		wait_for(p, u, 0, LOOP_NEVER);
	if (r != OK) {
		buf_put(b, S("FAILED: "));
		buf_put(b, fault_text(&u->fault));
		return E_FAULT;
	}
	buf_put(b, S("reached in "));
	buf_int(b, p->now - began);
	buf_put(b, S(" ms"));
	if (u->up->tls) {
		buf_put(b, S(", "));
		buf_put(b, tls_cipher(u->tls));
	}
	return OK;
}

/* Sends what encode and head wrote and reads the answer's head and a little
 * of its body into in. The status, or -1. */
static int ask(struct proxy *p, struct conn *u, const struct call *call,
    struct http_head *h, struct buf *in)
{
	int64_t until = p->now + ANSWER_MS;
	size_t i, end = 0;
	struct str part;
	const char *why;
	long n;

	for (i = 0; i <= call->nbody; i++) {
		part = i ? call->body[i - 1] : call->head;
		while (part.n && p->now < until) {
			n = conn_send(u, &part, 1);
			if (n == SOCK_ERR)
				return -1;
			part = str_from(part, n > 0 ? (size_t)n : 0);
			if (part.n)
				wait_for(p, u, WANT_WRITE, until);
		}
	}
	while (end == 0 && p->now < until && in->n < in->cap) {
		conn_flushed(u);
		n = conn_recv(u, in->p + in->n, in->cap - in->n);
		if (n == SOCK_AGAIN) {
			wait_for(p, u, WANT_READ, until);
			continue;
		}
		if (n <= 0)
			return -1;
		in->n += (size_t)n;
		end = http_head_end(buf_str(in), 0);
	}
	if (end == 0 || http_response(h, (struct str){ in->p, end }, 0,
	    &why) != OK)
		return -1;
	return h->status;
}

/* Reads the list to its end, as far as it fits, and lets the backend look for
 * the model in it. in begins with the head. */
static int64_t list_window(struct proxy *p, struct conn *u, struct call *call,
    const struct http_head *h, struct buf *in)
{
	int64_t until = p->now + ANSWER_MS;
	struct str raw = buf_str(in), piece;
	struct http_body body;
	long n = 1;
	int r = OK;

	raw = str_from(raw, http_head_end(raw, 0));
	in->n = 0;
	http_body_init(&body, h);
	while (r == OK && n > 0) {
		while (r == OK && raw.n) {
			r = http_body(&body, &raw, &piece);
			memmove(in->p + in->n, piece.p, piece.n);
			in->n += piece.n;
		}
		if (r != OK)
			break;
		while ((n = conn_recv(u, in->p + in->n, in->cap - in->n)) ==
		    SOCK_AGAIN && p->now < until)
			wait_for(p, u, WANT_READ, until);
		raw = (struct str){ in->p + in->n, n > 0 ? (size_t)n : 0 };
	}
	raw = buf_str(in);
	if ((r != E_NONE && (r != OK || http_body_eof(&body) != OK)) ||
	    call->up->backend->begin(call, h) != OK ||
	    call->up->backend->decode(call, &raw, 1, 1) != CALL_DONE)
		return 0;
	return call->window;
}

static void put_window(struct buf *b, struct str model, int64_t window)
{
	if (window <= 0)
		return;
	buf_put(b, S("; window of "));
	buf_printable(b, model);
	buf_put(b, S(": "));
	buf_int(b, window);
	buf_put(b, S(" tokens"));
	if (window < WINDOW_SMALL)
		buf_put(b, S(" (too small: Claude Code's instructions and "
		    "tools alone may fill it)"));
}

/* A GET of the list of models: costs nothing, and tries the credential. */
static int probe(struct proxy *p, struct conn *u, struct upstream *up,
    struct buf *b)
{
	static char memory[1 << 20], answer[262144];
	struct http_head h, client = { 0 };
	struct arena a = { memory, memory + sizeof memory };
	struct notes notes = { 0 };
	struct sink sink = { swallow };
	struct call call = { .kind = CALL_MODELS, .up = up, .a = &a,
		.notes = &notes, .ids = &p->ids, .client = &client };
	struct buf in = buf_on(answer, sizeof answer);
	int status;

	client.target = client.path = S("/v1/models");
	call.answer.sink = &sink;
	call.model = up->model;
	call.now = loop_wall() / 1000;
	call.state = arena_get(&a, up->backend->state_size);
	if (!call.state || up->backend->encode(&call) != OK ||
	    up->backend->head(&call) != OK)
		return 0;
	status = ask(p, u, &call, &h, &in);
	if (status < 0) {
		buf_put(b, S("; FAILED: no HTTP answer to GET "));
		buf_put(b, up->base);
		buf_put(b, S("/models"));
		return 1;
	}
	buf_put(b, S("; list of models: status "));
	buf_int(b, status);
	if (status == 200 && !up->backend->passthrough)
		put_window(b, up->model, list_window(p, u, &call, &h, &in));
	if (status == 401 || status == 403) {
		buf_put(b, up->key.n ? S(" (FAILED: the key was refused)") :
		    S(" (a key is asked for)"));
		return up->key.n > 0;
	}
	return 0;
}

/* A count of tokens, which costs nothing, signed: whether the keys are taken.
 * Only some models can be asked; a refusal of the model is an answer too. */
static int try_keys(struct proxy *p, struct call *call, struct buf *b)
{
	static char answer[32768];
	struct buf in = buf_on(answer, sizeof answer);
	struct http_head h;
	struct conn *u = conn_get(p, call->up, 1);
	int failed = !u || connect_to(p, u, b) != OK, status;

	call->state = arena_get(call->a, call->up->backend->state_size);
	if (!failed && call->state &&
	    call->up->backend->encode(call) == OK &&
	    call->up->backend->head(call) == OK) {
		status = ask(p, u, call, &h, &in);
		buf_put(b, call->aws && call->aws->bearer.n ?
		    S("; count of tokens with the bearer key: ") :
		    S("; signed count of tokens: "));
		if (status < 0)
			buf_put(b, S("FAILED, no HTTP answer"));
		else
			buf_put(b, S("status ")), buf_int(b, status);
		if (status == 401 || status == 403)
			buf_put(b, S(" (FAILED: the keys were refused, or may "
			    "not do bedrock:CountTokens)"));
		failed = status < 0 || status == 401 || status == 403;
	}
	if (u)
		conn_close(u);
	return failed;
}

static int check_aws(struct proxy *p, struct upstream *up, struct buf *b)
{
	static char memory[1 << 20];
	static const char text[] = "{\"model\":\"claude-sonnet-4-6\","
	    "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
	struct arena a = { memory, memory + sizeof memory };
	struct notes notes = { 0 };
	struct sink sink = { swallow };
	struct request req = { .body = S("") };
	struct json doc;
	struct call call = { .kind = CALL_COUNT, .up = up, .a = &a,
		.notes = &notes, .ids = &p->ids, .req = &req };
	int r;

	call.answer.sink = &sink;
	call.now = loop_wall() / 1000;
	call.model = up->model.n ? up->model : S("claude-sonnet-4-6");
	if (json_parse(&doc, S(text), &a, NULL) != OK || request_parse(&req,
	    &doc, 1, &a, &notes, &call.fault) != OK)
		return 1;
	while ((r = account_ready(p, &call)) == E_MORE)
		wait_for(p, NULL, 0, LOOP_NEVER);
	account_describe(&p->account, b);
	if (r != OK) {
		buf_put(b, S("FAILED: "));
		buf_put(b, fault_text(&call.fault));
		return 1;
	}
	if (call.aws && call.aws->model.n) {
		buf_put(b, S("\n  the inference profile stands for "));
		buf_printable(b, call.aws->model);
	}
	buf_put(b, S("\n  "));
	buf_put(b, call.up->authority);
	buf_put(b, S(": "));
	return try_keys(p, &call, b);
}

static int check_one(struct proxy *p, struct upstream *up)
{
	char text[2048];
	struct buf b = buf_on(text, sizeof text);
	struct conn *u;
	int failed = 0;

	buf_put(&b, S("upstream "));
	buf_put(&b, up->name);
	buf_put(&b, S(": "));
	if (up->backend->local) {
		buf_put(&b, S("built in"));
	} else if (up->backend->signed_aws) {
		failed = check_aws(p, up, &b);
	} else {
		buf_put(&b, up->authority);
		buf_put(&b, S(", "));
		u = conn_get(p, up, 1);
		failed = !u || connect_to(p, u, &b) != OK ||
		    probe(p, u, up, &b);
		if (u)
			conn_close(u);
	}
	buf_chr(&b, '\n');
	say(buf_str(&b));
	return failed;
}

int check_socket(const struct config *c)
{
	char text[256 + SOCK_PATH_MAX];
	struct buf b = buf_on(text, sizeof text);
	enum sock_reason why;
	int fd, r = OK;

	if (c->socket.n == 0)
		return 0;
	buf_put(&b, S("socket unix:"));
	buf_printable(&b, c->socket);
	buf_put(&b, S(": "));
	fd = sock_local_connect(c->socket, &why);
	sock_close(fd);
	if (fd >= 0)
		buf_put(&b, S("somebody listens there now"));
	else
		r = local_look(c->socket, &b);
	if (fd < 0 && r == OK)
		buf_put(&b, S("nobody listens there yet"));
	else if (r != OK)
		buf_put(&b, S(" (FAILED)"));
	buf_chr(&b, '\n');
	say(buf_str(&b));
	return r != OK;
}

int check_run(struct proxy *p)
{
	static char text[32768];
	struct buf b = buf_on(text, sizeof text);
	int failed = 0;
	size_t i;

	config_print(p->config, &b);
	if (p->tls.path[0]) {
		buf_put(&b, S("trusted roots: "));
		buf_u64(&b, p->tls.count);
		buf_put(&b, S(" from "));
		buf_put(&b, str_of(p->tls.path));
		buf_chr(&b, '\n');
	} else if (p->tls_why.n) {
		buf_put(&b, S("trusted roots: "));
		buf_put(&b, p->tls_why);
		buf_chr(&b, '\n');
		failed = 1;
	}
	buf_put(&b, S("rights given up by: "));
	if (p->config->sandbox)
		sandbox_text(&b, p->rights);
	else
		buf_put(&b, S("none (SANDBOX=off)"));
	buf_chr(&b, '\n');
	say(buf_str(&b));
	for (i = 0; i < p->config->nupstreams; i++)
		failed |= check_one(p, &p->config->upstreams[i]);
	helper_stop(&p->helper);
	return failed;
}
