/* http1_upstream.c -- the response cases of tests/data/http1, played to the
 * running program by an upstream that misbehaves as they say.
 *
 *	build/tests/live/http1_upstream [build/claudecodex]
 *
 * One case after the other: a client's request, whose text names the case, is
 * relayed to us; we play the case on that connection. A good answer has to reach
 * the client, a broken one has to become an error. Then the client asks once
 * more: whether that comes on the same connection shows if it was kept.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/http.h"
#include "../http1.h"
#include "../unit/t.h"
#include "start.h"

enum {
	PEERS = 16,		/* connections the program may open to us */
	BUFFER = 1 << 17,
	ANSWER_MS = 6000,	/* for the client to be answered */
	DROP_MS = 2000		/* for a spoiled connection to be closed */
};

struct peer {
	int fd;			/* -1: free */
	unsigned serial;
	char mem[BUFFER];
	struct buf in;
	int playing;
	size_t part, sent;
	int64_t wake;
	const struct vcase *script;
	struct str text;	/* of a plain answer, when script is NULL */
};

struct client {
	int fd;
	char mem[BUFFER], content_mem[BUFFER];
	struct buf in, content;
	struct http_head h;
	struct http_body body;
	int status, done, eof, broken;
};

static struct peer peers[PEERS];
static struct client client;
static struct vcase current;
static unsigned serials;
static unsigned asked_on;	/* serial of the last request's connection */
static int asks;		/* requests of the current case */
static int listener, port;

static const char again[] = "case-again";
static const char plain[] =
	"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	"Content-Length: 220\r\n\r\n"
	"{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":"
	"[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
	"\"plain-answer\"},\"finish_reason\":\"stop\"}],\"usage\":"
	"{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}";

/* ---- the upstream's side ------------------------------------------------ */

static void peer_end(struct peer *p, int reset)
{
	struct linger l = { 1, 0 };

	if (reset)
		setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(p->fd);
	p->fd = -1;
}

static void peer_accept(void)
{
	int fd = accept(listener, NULL, NULL);
	size_t i;

	for (i = 0; fd >= 0 && i < PEERS; i++) {
		struct peer *p = &peers[i];

		if (p->fd >= 0)
			continue;
		fcntl(fd, F_SETFL, O_NONBLOCK);
		p->fd = fd;
		p->serial = ++serials;
		p->in = buf_on(p->mem, BUFFER);
		p->playing = 0;
		return;
	}
	if (fd >= 0)
		close(fd);
}

/* A whole request: play what its text asks for. */
static void peer_asked(struct peer *p)
{
	struct str in = buf_str(&p->in), run;
	size_t end = http_head_end(in, 0);
	static struct http_head h;
	struct http_body b;
	const char *why;
	int rc = OK;

	if (p->playing || end == 0)
		return;
	T_INT(http_request(&h, str_head(in, end), &why), 0,
	    "the upstream's request: %s", why);
	in = str_from(in, end);
	http_body_init(&b, &h);
	while (rc == OK && in.n)
		rc = http_body(&b, &in, &run);
	if (rc == OK && !b.done)
		return;
	T(rc != E_BAD, "the upstream's request has a good body");
	T(in.n == 0, "one request at a time on a connection");
	in = buf_str(&p->in);
	p->script = str_find(in, str_of(again)) == in.n ? &current : NULL;
	p->text = str_of(plain);
	p->in.n = 0;
	p->part = p->sent = 0;
	p->wake = 0;
	p->playing = 1;
	asked_on = p->serial;
	asks += p->script != NULL;
}

static void peer_read(struct peer *p)
{
	ssize_t n = recv(p->fd, p->in.p + p->in.n, p->in.cap - p->in.n, 0);

	if (n > 0) {
		p->in.n += (size_t)n;
		peer_asked(p);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		peer_end(p, 0);
	}
}

/* 1 when all has left. */
static int peer_push(struct peer *p, struct str s)
{
	while (p->sent < s.n) {
		ssize_t n = send(p->fd, s.p + p->sent, s.n - p->sent,
		    MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0 && errno != EINTR) {
				peer_end(p, 0);
			return 0;
		}
		if (n > 0)
			p->sent += (size_t)n;
	}
	p->sent = 0;
	return 1;
}

static void peer_play(struct peer *p, int64_t now)
{
	struct jv then;

	if (!p->script) {
		p->playing = !peer_push(p, p->text);
		return;
	}
	for (; p->part < p->script->nparts; p->part++) {
		const struct part *part = &p->script->parts[p->part];

		if (part->kind == PART_PAUSE) {
			if (p->wake == 0)
				p->wake = now + part->ms;
			if (now < p->wake)
				return;
			p->wake = 0;
		} else if (!peer_push(p, part->bytes)) {
			return;
		}
	}
	p->playing = 0;
	then = json_get(p->script->json, S("then"));
	/* A FIN; the socket goes when the program closes its side. */
	if (json_is(then, S("close")) && p->fd >= 0)
		shutdown(p->fd, SHUT_WR);
	if (json_is(then, S("rst")) && p->fd >= 0)
		peer_end(p, 1);
}

/* ---- the client's side -------------------------------------------------- */

static void client_ask(const char *text, int stream)
{
	static char space[1024];
	struct buf b = buf_on(space, sizeof(space));
	char body[512];
	int n = snprintf(body, sizeof(body), "{\"model\":\"m\",\"max_tokens\":8,"
	    "\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"%s\"}]}", stream ? "true" : "false", text);

	buf_put(&b, S("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Type: application/json\r\nConnection: close\r\n"
	    "Content-Length: "));
	buf_u64(&b, (uint64_t)n);
	buf_put(&b, S("\r\n\r\n"));
	buf_put(&b, str_of(body));
	client.fd = dial(port);
	client.in = buf_on(client.mem, BUFFER);
	client.content = buf_on(client.content_mem, BUFFER);
	client.status = client.done = client.eof = client.broken = 0;
	/* So little fits the socket's buffer. */
	if (client.fd < 0 ||
	    send(client.fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n)
		client.eof = 1;
}

static void client_take(void)
{
	struct str in = buf_str(&client.in), run;
	size_t end = http_head_end(in, 0);
	const char *why;
	int rc = OK;

	if (!client.status && end) {
		client.broken = http_response(&client.h, str_head(in, end), 0,
		    &why) != OK;
		client.status = client.h.status;
		in = str_from(in, end);
		http_body_init(&client.body, &client.h);
	}
	while (client.status && !client.broken && !client.done && rc == OK) {
		rc = http_body(&client.body, &in, &run);
		buf_put(&client.content, run);
		client.broken = rc == E_BAD;
		client.done = rc == E_NONE;
		if (in.n == 0)
			break;
	}
	buf_drop(&client.in, client.in.n - in.n);
}

static void client_read(void)
{
	ssize_t n = recv(client.fd, client.in.p + client.in.n,
	    client.in.cap - client.in.n, 0);

	if (n > 0) {
		client.in.n += (size_t)n;
		client_take();
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		client.eof = 1;
		if (client.status && http_body_eof(&client.body) == OK)
			client.done = 1;
	}
}

/* ---- both together ------------------------------------------------------ */

static void turn(void)
{
	struct pollfd fds[PEERS + 2];
	int asking = client.fd >= 0 && !client.eof;
	size_t i;

	fds[0].fd = listener;
	fds[1].fd = asking ? client.fd : -1;
	fds[0].events = fds[1].events = POLLIN;
	fds[0].revents = fds[1].revents = 0;
	for (i = 0; i < PEERS; i++) {
		fds[i + 2].fd = peers[i].fd;
		fds[i + 2].events = POLLIN;
		fds[i + 2].revents = 0;
		if (peers[i].playing)
			fds[i + 2].events |= POLLOUT;
	}
	poll(fds, PEERS + 2, 10);
	for (i = 0; i < PEERS; i++) {
		struct peer *p = &peers[i];

		if (p->fd >= 0 && fds[i + 2].revents & ~POLLOUT)
			peer_read(p);
		if (p->fd >= 0 && p->playing)
			peer_play(p, now_ms());
	}
	if (fds[0].revents)
		peer_accept();
	if (asking && fds[1].revents)
		client_read();
}

/* Asks and waits for the whole answer. */
static void converse(const char *text, int stream)
{
	int64_t end = now_ms() + ANSWER_MS;

	client_ask(text, stream);
	while (!client.done && !client.eof && !client.broken &&
	    now_ms() < end)
		turn();
	if (client.fd >= 0)
		close(client.fd);
	client.fd = -1;
}

static struct peer *peer_of(unsigned serial)
{
	size_t i;

	for (i = 0; i < PEERS; i++)
		if (peers[i].fd >= 0 && peers[i].serial == serial)
			return &peers[i];
	return NULL;
}

static int dropped(unsigned serial)
{
	int64_t end = now_ms() + DROP_MS;

	while (peer_of(serial) && now_ms() < end)
		turn();
	return peer_of(serial) == NULL;
}

/* ---- the verdict -------------------------------------------------------- */

static int has(const char *text)
{
	struct str in = buf_str(&client.content);

	return str_find(in, str_of(text)) < in.n;
}

/* An error as a client knows it: a status, or an event in a stream; never an
 * answer that looks complete. */
static int is_error(int stream)
{
	if (!client.done || !has("\"type\":\"error\""))
		return 0;
	if (client.status >= 500)
		return 1;
	return stream && client.status == 200 && has("event: error") &&
	    !has("message_stop");
}

/* The text the case's answer holds: its "content" begins r-. */
static int has_text(void)
{
	struct str in = current.text, mark = S("\"r-");
	struct jstr body = json_str(json_get(current.expect, S("body")));
	size_t at, n;
	char text[32];

	if (body.raw.n) {
		in = body.raw;
		mark = S("\\\"r-");
	}
	at = str_find(in, mark);
	if (at == in.n)
		return 0;
	in = str_from(in, at + mark.n - 2);
	for (n = 0; n < in.n && n < sizeof(text) - 1 && in.p[n] != '"' &&
	    in.p[n] != '\\'; n++)
		text[n] = in.p[n];
	text[n] = '\0';
	return has(text);
}

static int is_answer(int stream)
{
	return client.done && client.status == 200 && has_text() &&
	    !has("\"type\":\"error\"") && (!stream || has("message_stop"));
}

static const char *got(void)
{
	static char line[200];
	struct str c = buf_str(&client.content);

	snprintf(line, sizeof(line), "status %d%s%s: %.*s", client.status,
	    client.done ? ", whole" : ", not whole",
	    client.broken ? ", malformed" : "", (int)(c.n < 120 ? c.n : 120),
	    c.n ? c.p : "");
	return line;
}

/* Whether the connection was kept, seen from the next request. */
static void judge_reuse(unsigned served, unsigned newest, int reusable)
{
	if (!reusable) {
		T(dropped(served), "%s: the connection is closed", current.id);
		T(asked_on != served, "%s: the connection isn't used again",
		    current.id);
		return;
	}
	T(asked_on <= newest, "%s: the connection is used again", current.id);
}

static void run_case(void)
{
	struct jv expect = current.expect;
	int stream = json_true(json_get(current.json, S("stream")));
	int ok = json_is(json_get(expect, S("verdict")), S("ok"));
	int error = json_is(json_get(expect, S("verdict")), S("error"));
	int reusable = json_true(json_get(expect, S("reusable")));
	/* Well-formed HTTP without an answer in it is an error above HTTP. */
	int hollow = ok && str_find(json_str(json_get(expect,
	    S("body"))).raw, S("r-")) ==
	    json_str(json_get(expect, S("body"))).raw.n;
	unsigned served, newest;
	char text[80];
	size_t i;

	/* A peer that is still speaking belongs to a case that is over. */
	for (i = 0; i < PEERS; i++)
		if (peers[i].fd >= 0 && peers[i].playing)
			peer_end(&peers[i], 0);
	asks = 0;
	asked_on = 0;
	snprintf(text, sizeof(text), "case %s", current.id);
	converse(text, stream);
	served = asked_on;
	newest = serials;
	T(served != 0, "%s: the request comes to the upstream", current.id);
	T(asks <= 3, "%s: %d attempts", current.id, asks);
	if (hollow || error)
		T(is_error(stream), "%s: is an error, not %s", current.id,
		    got());
	else if (ok)
		T(is_answer(stream), "%s: is answered, not %s", current.id,
		    got());
	else
		T(is_answer(stream) || is_error(stream),
		    "%s: has a clean outcome, not %s", current.id, got());
	if (error)
		T(dropped(served), "%s: the connection is closed", current.id);
	converse(again, 0);
	T(client.done && client.status == 200 && has("plain-answer"),
	    "after %s: the next request is answered, not %s", current.id,
	    got());
	/* "May the connection carry another request": of a refusal the
	 * program reads no more than it wants to tell. */
	if (ok && !(reusable && !status_listed(expect, 200) &&
	    !status_listed(expect, 204)))
		judge_reuse(served, newest, reusable);
}

static void run_cases(const struct vfile *f, char *mem)
{
	static const struct names names;
	struct json_iter it = json_iter(f->cases);
	int left = 0;

	while (json_next(&it)) {
		if (!T(vcase_expand(&current, it.value, &names, mem),
		    "expanded"))
			return;
		if (json_type(json_get(it.value, S("request_method"))))
			left++;	/* the program asks no upstream by HEAD */
		else
			run_case();
	}
	if (left)
		printf("%d cases of HEAD are for the unit test alone\n", left);
}

int main(int argc, char **argv)
{
	static char tree[TREE_MAX], base[80], bytes[BYTES_MAX];
	const char *settings[] = { "LLM_BACKEND=openai_compatible", base,
		"OPENAI_MODEL=m", "FIRST_BYTE_TIMEOUT=2", "IDLE_TIMEOUT=2",
		"CONNECT_TIMEOUT=2", NULL };
	const char *binary = argc > 1 ? argv[1] : getenv("CLAUDECODEX");
	static const char *const files[] = {
		"tests/data/http1/responses.json",
		"tests/data/http1/more-responses.json"
	};
	struct started s;
	struct vfile f;
	size_t i;
	int upstream;

	for (i = 0; i < PEERS; i++)
		peers[i].fd = -1;
	client.fd = -1;
	listener = listen_free(&upstream);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	snprintf(base, sizeof(base), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    upstream);
	if (T(start(&s, binary ? binary : "build/claudecodex", settings),
	    "the program starts")) {
		port = s.port;
		for (i = 0; i < COUNT(files); i++)
			if (T(vfile_load(&f, files[i], tree, sizeof(tree)),
			    "%s is read", files[i]))
				run_cases(&f, bytes);
	}
	T(stop(&s, t_count.failed > 0), "SIGTERM ends it with status 0");
	return t_done("http1_upstream");
}
