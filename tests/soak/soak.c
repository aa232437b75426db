/* soak.c -- the running program for an hour, while connections are cut.
 *
 *	build/tests/soak/soak [build/claudecodex [MINUTES [RATE [SEED]]]]
 *
 * Clients ask, streamed and whole, through the openai_compatible and the
 * anthropic backend; an upstream of our own answers by a script that follows
 * from a number in the request, so a client knows every byte it must get. All
 * connections, on both sides, pass a relay that splits what it carries at
 * random and ends one connection in a hundred at a random byte, by FIN or by
 * reset. What must hold: no crash, no hang, no message that looks finished and
 * isn't whole, memory and descriptors as at the beginning, and requests that
 * add up: /metrics, journal and clients. Everything but the program is a
 * process a connection, and simple.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS */
#include "../../src/wire/http.h"
#include "../../src/wire/sse.h"
#include "../live/start.h"
#include "../unit/t.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum {
	CLIENTS = 6,
	CUT = 100,		/* one connection in so many is ended */
	CUT_BYTES = 1 << 17,	/* within these */
	PER_CONNECTION = 5,	/* requests, at most */
	PIECES_MAX = 160,
	TEXT_MAX = 16384,	/* of an answer */
	REQUEST_MAX = 1 << 20,
	WIRE_MAX = 1 << 17,	/* of an answer, framing and events included */
	HANG_MS = 30000,
	SETTLE_MS = 20000,	/* for pool and idle connections to go */
	ANSWERS_MAX = 2000000,
	SAMPLES = 40,
	FULL_MINUTES = 10,	/* what is kept for the page is full by then */
	SLACK_KIB = 1024	/* memory may differ by so much */
};

enum verdict { LOST, REFUSED, BROKEN, WHOLE, HUNG, LIED, VERDICTS };

static const char *const verdict_names[VERDICTS] = { "lost", "refused",
	"cut", "whole", "hung", "lied" };

/* What the clients got: the id of an answer, and how it ended. */
struct answer { char id[32]; unsigned char verdict; };

/* Shared by all processes of the test. */
struct shared {
	_Atomic int over;
	_Atomic unsigned long sent, ended[VERDICTS], connections[2], cuts[2];
	_Atomic size_t nanswers;
	struct answer answers[ANSWERS_MAX];
};

static struct started proxy;
static struct shared *all;
static double rate = 20;

/* ---- chance and scripts ------------------------------------------------- */

static uint32_t state = 1;

static uint32_t next(uint32_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 17;
	*s ^= *s << 5;
	return *s;
}

static uint32_t any(uint32_t n)
{
	return next(&state) % n;
}

static void nap(long us)
{
	struct timespec t = { us / 1000000, us % 1000000 * 1000 };

	nanosleep(&t, NULL);
}

enum ending { ENDS_WELL, ENDS_CUT, ENDS_ERROR };

/* The answer that a number in the request stands for. Text is as it stands
 * inside a JSON string: it must arrive without a byte changed. */
struct script {
	enum ending ending;
	int pieces, tool, slow;
	struct str piece[PIECES_MAX];
	char text[TEXT_MAX], input[64];
	size_t n;
};

static void script_make(struct script *s, uint32_t seed)
{
	static const char *const words[] = { "alpha ", "be\\n", "g\\\"a ",
		"\xc3\xa9t\xc3\xa9 ", "\\u00df", "{x} ", "// ", "\\\\ ",
		"\xe2\x82\xac ", "the quick brown fox jumps over it. " };
	uint32_t r = seed * 2654435761u | 1;
	size_t k;
	int i, j;

	s->ending = seed % 64 == 1 ? ENDS_CUT : seed % 64 == 2 ? ENDS_ERROR :
	    ENDS_WELL;
	s->tool = (seed >> 6 & 3) == 0;
	s->slow = (seed >> 8 & 7) == 0;
	s->pieces = 1 + (int)(next(&r) % ((seed >> 11 & 7) ? 30 : PIECES_MAX));
	s->n = 0;
	for (i = 0; i < s->pieces; i++) {
		s->piece[i].p = s->text + s->n;
		for (j = (int)(next(&r) % 4); j >= 0; j--) {
			const char *w = words[next(&r) % COUNT(words)];

			k = strlen(w);
			if (s->n + k >= TEXT_MAX)
				break;
			memcpy(s->text + s->n, w, k);
			s->n += k;
		}
		s->piece[i].n = (size_t)(s->text + s->n - s->piece[i].p);
	}
	snprintf(s->input, sizeof(s->input),
	    "{\\\"path\\\":\\\"/tmp/%08x\\\"}", (unsigned)seed);
}

/* ---- the upstream: a process a connection ------------------------------- */

static size_t request_length(struct str in, struct http_head *h)
{
	size_t end = http_head_end(in, 0);
	const char *why;

	if (!end || http_request(h, str_head(in, end), &why) != OK)
		return 0;
	return in.n >= end + h->length ? end + (size_t)h->length : 0;
}

static void send_all(int fd, struct str s)
{
	ssize_t k;

	while (s.n && (k = send(fd, s.p, s.n, MSG_NOSIGNAL)) > 0)
		s = str_from(s, (size_t)k);
	if (s.n)
		_exit(0);
}

__attribute__((format(printf, 2, 3)))
static void chunk(int fd, const char *format, ...)
{
	static char text[TEXT_MAX + 1024], out[TEXT_MAX + 1100];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	n = snprintf(out, sizeof(out), "%x\r\n%s\r\n", (unsigned)n, text);
	send_all(fd, (struct str){ out, (size_t)n });
}

/* Half of the input of a tool, never splitting an escape. */
static int half(const struct script *s)
{
	return (int)str_find(str_of(s->input), S(":"));
}

#define CHOICE "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\"," \
	"\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{"

static void stream_openai(int fd, const struct script *s)
{
	int i, h = half(s);

	chunk(fd, CHOICE "\"role\":\"assistant\",\"content\":\"\"}}]}\n\n");
	for (i = 0; i < s->pieces; i++) {
		if (s->ending == ENDS_CUT && i == s->pieces / 2)
			_exit(0);
		chunk(fd, CHOICE "\"content\":\"%.*s\"}}]}\n\n",
		    (int)s->piece[i].n, s->piece[i].p);
		if (s->slow)
			nap(10000);
	}
	if (s->tool) {
		chunk(fd, CHOICE "\"tool_calls\":[{\"index\":0,\"id\":"
		    "\"call_1\",\"type\":\"function\",\"function\":{\"name\":"
		    "\"Read\",\"arguments\":\"%.*s\"}}]}}]}\n\n", h, s->input);
		chunk(fd, CHOICE "\"tool_calls\":[{\"index\":0,\"function\":{"
		    "\"arguments\":\"%s\"}}]}}]}\n\n", s->input + h);
	}
	if (s->ending == ENDS_CUT)
		_exit(0);
	chunk(fd, CHOICE "},\"finish_reason\":\"%s\"}]}\n\n",
	    s->tool ? "tool_calls" : "stop");
	chunk(fd, "data: {\"id\":\"c\",\"choices\":[],\"usage\":{"
	    "\"prompt_tokens\":3,\"completion_tokens\":5,\"total_tokens\":8}}"
	    "\n\ndata: [DONE]\n\n");
}

static void event(int fd, const char *name, const char *rest)
{
	chunk(fd, "event: %s\ndata: {\"type\":\"%s\"%s}\n\n", name, name,
	    rest);
}

static void delta(int fd, int index, const char *type, const char *field,
    struct str text)
{
	chunk(fd, "event: content_block_delta\ndata: {\"type\":"
	    "\"content_block_delta\",\"index\":%d,\"delta\":{\"type\":\"%s\","
	    "\"%s\":\"%.*s\"}}\n\n", index, type, field, (int)text.n, text.p);
}

static void stream_anthropic(int fd, const struct script *s)
{
	struct str input = str_of(s->input);
	int i;

	event(fd, "message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":"
	    "\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[]"
	    ",\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"
	    "{\"input_tokens\":3,\"output_tokens\":1}}");
	event(fd, "content_block_start", ",\"index\":0,\"content_block\":"
	    "{\"type\":\"text\",\"text\":\"\"}");
	for (i = 0; i < s->pieces; i++) {
		if (s->ending == ENDS_CUT && i == s->pieces / 2)
			_exit(0);
		delta(fd, 0, "text_delta", "text", s->piece[i]);
		if (s->slow)
			nap(10000);
	}
	event(fd, "content_block_stop", ",\"index\":0");
	if (s->tool) {
		event(fd, "content_block_start", ",\"index\":1,"
		    "\"content_block\":{\"type\":\"tool_use\",\"id\":"
		    "\"toolu_1\",\"name\":\"Read\",\"input\":{}}");
		delta(fd, 1, "input_json_delta", "partial_json",
		    str_head(input, (size_t)half(s)));
		delta(fd, 1, "input_json_delta", "partial_json",
		    str_from(input, (size_t)half(s)));
		event(fd, "content_block_stop", ",\"index\":1");
	}
	if (s->ending == ENDS_CUT)
		_exit(0);
	event(fd, "message_delta", s->tool ? ",\"delta\":{\"stop_reason\":"
	    "\"tool_use\",\"stop_sequence\":null},\"usage\":"
	    "{\"output_tokens\":5}" : ",\"delta\":{\"stop_reason\":"
	    "\"end_turn\",\"stop_sequence\":null},\"usage\":"
	    "{\"output_tokens\":5}");
	event(fd, "message_stop", "");
}

/* A JSON object with a Content-Length; cut: half of it. */
__attribute__((format(printf, 4, 5)))
static void whole(int fd, const char *status, int cut, const char *format, ...)
{
	static char text[TEXT_MAX + 1024], out[TEXT_MAX + 1200];
	va_list ap;
	int n, m;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	m = snprintf(out, sizeof(out), "HTTP/1.1 %s\r\nContent-Type: "
	    "application/json\r\nContent-Length: %d\r\n\r\n", status, n);
	memcpy(out + m, text, (size_t)n);
	send_all(fd, (struct str){ out, (size_t)(cut ? m + n / 2 : m + n) });
	if (cut)
		_exit(0);
}

static void whole_openai(int fd, const struct script *s)
{
	char tool[256] = "";

	if (s->tool)
		snprintf(tool, sizeof(tool), ",\"tool_calls\":[{\"id\":"
		    "\"call_1\",\"type\":\"function\",\"function\":{\"name\":"
		    "\"Read\",\"arguments\":\"%s\"}}]", s->input);
	whole(fd, "200 OK", s->ending == ENDS_CUT, "{\"id\":\"c\",\"object\":"
	    "\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
	    "\"message\":{\"role\":\"assistant\",\"content\":\"%.*s\"%s},"
	    "\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":3,"
	    "\"completion_tokens\":5,\"total_tokens\":8}}", (int)s->n, s->text,
	    tool, s->tool ? "tool_calls" : "stop");
}

static void whole_anthropic(int fd, const struct script *s, uint32_t seed)
{
	char tool[256] = "";

	if (s->tool)
		snprintf(tool, sizeof(tool), ",{\"type\":\"tool_use\",\"id\":"
		    "\"toolu_1\",\"name\":\"Read\",\"input\":{\"path\":"
		    "\"/tmp/%08x\"}}", (unsigned)seed);
	whole(fd, "200 OK", s->ending == ENDS_CUT, "{\"id\":\"msg_1\","
	    "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"%.*s\"}%s],"
	    "\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":"
	    "{\"input_tokens\":3,\"output_tokens\":5}}", (int)s->n, s->text,
	    tool, s->tool ? "tool_use" : "end_turn");
}

static void answer(int fd, struct str in, int openai)
{
	static struct script s;
	size_t at = str_find(in, S("soak:"));
	uint32_t seed = at < in.n ? (uint32_t)strtoul(in.p + at + 5, NULL, 16) :
	    0;
	int stream = str_find(in, S("\"stream\":true")) < in.n;

	script_make(&s, seed);
	if (s.ending == ENDS_ERROR) {
		whole(fd, "500 Broken", 0, "{\"type\":\"error\",\"error\":"
		    "{\"type\":\"api_error\",\"message\":\"broken\"}}");
		return;
	}
	if (!stream && openai)
		whole_openai(fd, &s);
	else if (!stream)
		whole_anthropic(fd, &s, seed);
	if (!stream)
		return;
	send_all(fd, S("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n"));
	if (openai)
		stream_openai(fd, &s);
	else
		stream_anthropic(fd, &s);
	send_all(fd, S("0\r\n\r\n"));
}

static void serve(int fd, int unused)
{
	static char in[REQUEST_MAX * 2];
	static struct http_head h;
	size_t n = 0, end;
	ssize_t k;

	(void)unused;
	while ((k = recv(fd, in + n, sizeof(in) - 1 - n, 0)) > 0) {
		n += (size_t)k;
		in[n] = '\0';
		end = request_length((struct str){ in, n }, &h);
		if (!end)
			continue;
		answer(fd, (struct str){ in, end },
		    str_ends(h.path, S("/chat/completions")));
		n = 0;
		if (any(3) == 0)
			break;
	}
}

/* ---- the relay: a process a connection ---------------------------------- */

static void end_by(int fd, int reset)
{
	struct linger l = { 1, 0 };

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

/* side 0: clients', 1: upstream's. */
static void relay(int fd, int to, int side)
{
	static char bytes[16384];
	int pair[2], from, open_ways = 2, i, idle = 0;
	long left = any(CUT) == 0 ? (long)any(1u << any(18)) : -1;
	struct pollfd p[2];
	ssize_t k;

	pair[0] = fd;
	pair[1] = dial(to);
	if (pair[1] < 0)
		return;
	fcntl(pair[1], F_SETFL, 0);
	p[0] = (struct pollfd){ pair[0], POLLIN, 0 };
	p[1] = (struct pollfd){ pair[1], POLLIN, 0 };
	all->connections[side]++;
	while (open_ways) {
		/* When it is over, what rests in a pool is let go. */
		if (poll(p, 2, 1000) <= 0) {
			if (all->over || ++idle > HANG_MS / 250)
				return;
			continue;
		}
		idle = 0;
		for (i = 0; i < 2; i++) {
			if (p[i].fd < 0 || !p[i].revents)
				continue;
			from = p[i].fd;
			k = recv(from, bytes, 1 + any(sizeof(bytes)), 0);
			if (k < 0)
				return;
			if (k == 0) {
				shutdown(pair[!i], SHUT_WR);
				p[i].fd = -1;
				open_ways--;
				continue;
			}
			if (left >= 0 && k > left) {
				send_all(pair[!i], (struct str){ bytes,
				    (size_t)left });
				all->cuts[side]++;
				end_by(pair[0], (int)any(2));
				end_by(pair[1], (int)any(2));
				return;
			}
			left -= left < 0 ? 0 : k;
			send_all(pair[!i], (struct str){ bytes, (size_t)k });
		}
	}
}

/* ---- processes ---------------------------------------------------------- */

static pid_t children[CLIENTS + 4];
static size_t nchildren;

static pid_t child(void)
{
	static uint32_t salt;
	pid_t pid;

	fflush(stdout);
	salt += 0x9e3779b9u;
	pid = fork();
	if (pid == 0) {
		state = (state ^ salt) | 1;
		(void)next(&state);
	}
	return pid;
}

/* A listener in a process of its own; what it accepts gets one each. */
static int listener(void (*f)(int, int, int), int to, int side)
{
	int port, l = listen_free(&port), fd;
	pid_t pid = child();

	children[nchildren++] = pid;
	while (pid == 0) {
		signal(SIGCHLD, SIG_IGN);
		fd = accept(l, NULL, NULL);
		if (fd >= 0 && child() == 0) {
			close(l);
			f(fd, to, side);
			_exit(0);
		}
		close(fd);
		if (getppid() == 1)
			_exit(0);
	}
	close(l);
	return port;
}

static void serve_one(int fd, int to, int side)
{
	serve(fd, to);
	(void)side;
}

/* ---- clients ------------------------------------------------------------ */

static char request[REQUEST_MAX + 4096], wire[WIRE_MAX + 1], body[WIRE_MAX];

static size_t make_request(uint32_t seed, int stream, int last)
{
	static char text[REQUEST_MAX + 2048];
	size_t fill = any(20) == 0 ? any(200000) : any(4000);
	int n, m;

	n = snprintf(text, sizeof(text), "{\"model\":\"claude-%c\","
	    "\"max_tokens\":999,\"stream\":%s,\"tools\":[{\"name\":\"Read\","
	    "\"description\":\"reads\",\"input_schema\":{\"type\":\"object\","
	    "\"properties\":{\"path\":{\"type\":\"string\"}}}}],"
	    "\"messages\":[{\"role\":\"user\",\"content\":\"soak:%08x ",
	    seed >> 14 & 1 ? 'o' : 'a', stream ? "true" : "false",
	    (unsigned)seed);
	memset(text + n, 'x', fill);
	n += (int)fill;
	n += snprintf(text + n, sizeof(text) - (size_t)n, "\"}]}");
	m = snprintf(request, sizeof(request), "POST /v1/messages HTTP/1.1\r\n"
	    "Host: localhost\r\n%santhropic-version: 2023-06-01\r\n"
	    "Content-Type: application/json\r\nx-claude-code-session-id: "
	    "soak-%u\r\nContent-Length: %d\r\n\r\n",
	    last ? "Connection: close\r\n" : "", (unsigned)(seed & 15), n);
	memcpy(request + m, text, (size_t)n);
	return (size_t)(m + n);
}

struct got {
	size_t n;		/* bytes on the wire */
	struct http_head h;
	struct str body;
	int head, ended, hung;
};

/* What came so far, taken apart from the start. Returns whether it ended. */
static int look(struct got *g)
{
	struct str in = { wire, g->n }, piece;
	struct buf b = buf_on(body, sizeof(body));
	size_t end = http_head_end(in, 0);
	struct http_body framing;
	const char *why;
	int r = OK;

	g->head = g->ended = 0;
	g->body = (struct str){ body, 0 };
	if (!end || http_response(&g->h, str_head(in, end), 0, &why) != OK)
		return 0;
	g->head = 1;
	http_body_init(&framing, &g->h);
	in = str_from(in, end);
	while (r == OK && in.n) {
		r = http_body(&framing, &in, &piece);
		if (r != E_BAD)
			buf_put(&b, piece);
	}
	g->body = buf_str(&b);
	g->ended = r == E_NONE;
	return r != OK;
}

/* Sends, reads to the end of the answer. Returns whether the connection may
 * be used again. */
static int talk(int fd, size_t n, struct got *g)
{
	int64_t end = now_ms() + HANG_MS;
	struct pollfd p = { fd, 0, 0 };
	size_t sent = 0;
	ssize_t k;

	memset(g, 0, sizeof(*g));
	for (;;) {
		p.events = sent < n ? POLLIN | POLLOUT : POLLIN;
		if (now_ms() > end || poll(&p, 1, HANG_MS) <= 0) {
			g->hung = 1;
			break;
		}
		if (sent < n && p.revents & POLLOUT) {
			k = send(fd, request + sent, n - sent, MSG_NOSIGNAL);
			sent = k > 0 ? sent + (size_t)k : n;
		}
		if (!(p.revents & ~POLLOUT))
			continue;
		k = recv(fd, wire + g->n, WIRE_MAX - g->n, 0);
		if (k < 0 && errno == EAGAIN)
			continue;
		if (k <= 0)
			break;
		g->n += (size_t)k;
		/* Only what may be an end is looked at: it starts over. */
		if ((wire[g->n - 1] == '\n' || wire[g->n - 1] == '}') &&
		    look(g))
			return g->ended && g->h.keep_alive && sent >= n;
	}
	look(g);
	return 0;
}

/* The string of a field in an event, still escaped. */
static struct str field(struct str data, struct str name)
{
	size_t at = str_find(data, name), i;

	if (at == data.n)
		return S("");
	data = str_from(data, at + name.n);
	for (i = 0; i < data.n && data.p[i] != '"'; i++)
		i += data.p[i] == '\\';
	return str_head(data, i);
}

/* Events of a stream: whether it stopped, with all that the script says. */
static enum verdict judge_stream(struct got *g, const struct script *s)
{
	static char text_mem[WIRE_MAX], input_mem[WIRE_MAX];
	struct buf text = buf_on(text_mem, sizeof(text_mem));
	struct buf input = buf_on(input_mem, sizeof(input_mem));
	struct sse d = { 0 };
	struct sse_event e;
	struct str in = g->body;
	int stopped = 0, error = 0, after = 0, reason = 0;

	while (sse_next(&d, &in, 0, &e) == OK) {
		after |= stopped;
		stopped |= str_eq(e.event, S("message_stop"));
		error |= str_eq(e.event, S("error"));
		buf_put(&text, field(e.data, S("\"text_delta\",\"text\":\"")));
		buf_put(&input, field(e.data, S("\"partial_json\":\"")));
		reason |= str_find(e.data, s->tool ?
		    S("\"stop_reason\":\"tool_use\"") :
		    S("\"stop_reason\":\"end_turn\"")) < e.data.n;
	}
	if (!stopped && !error && g->ended)
		return LIED;	/* a body that ends well says how it ended */
	if (!stopped)
		return BROKEN;
	return !after && !error && reason && s->ending == ENDS_WELL &&
	    str_eq(buf_str(&text), (struct str){ s->text, s->n }) &&
	    str_eq(buf_str(&input), s->tool ? str_of(s->input) : S("")) ?
	    WHOLE : LIED;
}

static enum verdict judge_whole(const struct got *g, const struct script *s,
    uint32_t seed)
{
	char input[64];
	struct str text = field(g->body, S("\"type\":\"text\",\"text\":\""));

	snprintf(input, sizeof(input), "\"input\":{\"path\":\"/tmp/%08x\"}",
	    (unsigned)seed);
	return s->ending == ENDS_WELL &&
	    str_eq(text, (struct str){ s->text, s->n }) &&
	    (str_find(g->body, str_of(input)) < g->body.n) == s->tool ?
	    WHOLE : LIED;
}

static enum verdict judge(struct got *g, const struct script *s,
    uint32_t seed, int stream)
{
	if (g->hung)
		return HUNG;
	if (!g->head)
		return LOST;
	if (g->h.status != 200)
		return !g->ended || str_starts(g->body,
		    S("{\"type\":\"error\"")) ? REFUSED : LIED;
	if (stream)
		return judge_stream(g, s);
	return g->ended ? judge_whole(g, s, seed) : BROKEN;
}

static void note(const struct got *g, enum verdict v, uint32_t seed)
{
	struct str id = g->head ? http_field(&g->h, S("request-id")) : S("");
	struct answer *a;
	size_t i;

	all->ended[v]++;
	if (v == LIED || v == HUNG)
		printf("%s, %08x: %zu bytes: %.*s\n", verdict_names[v],
		    (unsigned)seed, g->n, g->n < 6000 ? (int)g->n : 6000, wire);
	fflush(stdout);
	if (!id.n || id.n >= sizeof(a->id))
		return;
	i = all->nanswers++;
	if (i >= ANSWERS_MAX)
		return;
	a = &all->answers[i];
	memcpy(a->id, id.p, id.n);
	a->verdict = (unsigned char)v;
}

static void client(int port)
{
	static struct script s;
	static struct got g;
	int fd = -1, left = 0, stream;
	enum verdict v;
	uint32_t seed;
	size_t n;

	while (!all->over && getppid() != 1) {
		if (fd < 0) {
			left = 1 + (int)any(PER_CONNECTION);
			fd = dial(port);
		}
		if (fd < 0) {
			nap(100000);
			continue;
		}
		seed = next(&state);
		stream = any(3) != 0;
		script_make(&s, seed);
		n = make_request(seed, stream, left == 1);
		all->sent++;
		if (!talk(fd, n, &g) || --left == 0) {
			close(fd);
			fd = -1;
		}
		v = judge(&g, &s, seed, stream);
		note(&g, v, seed);
		nap((long)(any(2000) * 1000 * CLIENTS / rate));
	}
	_exit(0);
}

/* ---- what the program uses ---------------------------------------------- */

/* Of it and of its children. */
struct use { long pss, fds, processes; double cpu; };

static long number_in(const char *path, const char *key)
{
	char line[256];
	FILE *f = fopen(path, "r");
	long v = 0;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			v = strtol(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return v;
}

static int descriptors(long pid)
{
	char path[64];
	int n = -2;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%ld/fd", pid);
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n < 0 ? 0 : n;
}

static double cpu_of(long pid)
{
	char path[64], line[1024], *p;
	unsigned long u = 0, s = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "r");
	if (f && fgets(line, sizeof(line), f) && (p = strrchr(line, ')')))
		sscanf(p + 2, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		    "%lu %lu", &u, &s);
	if (f)
		fclose(f);
	return (double)(u + s) / (double)sysconf(_SC_CLK_TCK);
}

static struct use use_of(void)
{
	struct use u = { 0, 0, 0, 0 };
	struct dirent *e;
	char path[64];
	DIR *d = opendir("/proc");
	long pid;

	while (d && (e = readdir(d))) {
		pid = strtol(e->d_name, NULL, 10);
		snprintf(path, sizeof(path), "/proc/%ld/status", pid);
		if (pid <= 0 || (pid != proxy.pid &&
		    number_in(path, "PPid:") != proxy.pid))
			continue;
		u.processes++;
		snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
		u.pss += number_in(path, "Pss:");
		u.fds += descriptors(pid);
		u.cpu += cpu_of(pid);
	}
	if (d)
		closedir(d);
	return u;
}

/* What it uses once its children have started and nothing changes. */
static struct use at_rest(void)
{
	int64_t end = now_ms() + SETTLE_MS;
	struct use u = use_of(), before;
	int same = 0;

	while (now_ms() < end && same < 5) {
		nap(100000);
		before = u;
		u = use_of();
		same = u.fds == before.fds && u.processes == before.processes ?
		    same + 1 : 0;
	}
	return u;
}

/* A page of the program itself, past the relay; its status. */
static int fetch(const char *path, char *out, size_t cap)
{
	int64_t end = now_ms() + 5000;
	struct pollfd p = { dial(proxy.port), POLLIN, 0 };
	size_t n = 0;
	ssize_t k = 1;

	out[0] = '\0';
	if (p.fd < 0)
		return 0;
	k = snprintf(out, cap, "GET %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n", path);
	send(p.fd, out, (size_t)k, MSG_NOSIGNAL);
	while (n < cap - 1 && now_ms() < end && poll(&p, 1, 5000) == 1) {
		k = recv(p.fd, out + n, cap - 1 - n, 0);
		if (k <= 0)
			break;
		n += (size_t)k;
	}
	close(p.fd);
	out[n] = '\0';
	return str_starts(str_of(out), S("HTTP/1.1 ")) ? atoi(out + 9) : 0;
}

static void show(const struct use *u, int64_t since)
{
	printf("%6ld s  %6ld KiB  %3ld descriptors  %ld processes  %6.1f s of "
	    "CPU  %lu requests: %lu whole, %lu refused, %lu cut, %lu lost, "
	    "%lu hung, %lu lied; cut %lu of %lu and %lu of %lu\n",
	    (long)(since / 1000), u->pss, u->fds, u->processes, u->cpu,
	    (unsigned long)all->sent, (unsigned long)all->ended[WHOLE],
	    (unsigned long)all->ended[REFUSED],
	    (unsigned long)all->ended[BROKEN], (unsigned long)all->ended[LOST],
	    (unsigned long)all->ended[HUNG], (unsigned long)all->ended[LIED],
	    (unsigned long)all->cuts[0], (unsigned long)all->connections[0],
	    (unsigned long)all->cuts[1], (unsigned long)all->connections[1]);
	fflush(stdout);
}

/* ---- adding up ---------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct answer *)a)->id,
	    ((const struct answer *)b)->id);
}

static struct answer *journal;
static size_t njournal;

/* Ends of requests in one file of the journal. */
static void read_journal(const char *path)
{
	static char line[1 << 20];
	FILE *f = fopen(path, "r");
	struct str id, s;

	while (f && fgets(line, sizeof(line), f)) {
		s = str_of(line);
		if (str_find(s, S("\"event\":\"cdx.response\"")) == s.n)
			continue;
		id = field(s, S("\"id\":\""));
		if (njournal == ANSWERS_MAX || id.n >= sizeof(journal->id))
			break;
		memcpy(journal[njournal].id, id.p, id.n);
		journal[njournal++].verdict = str_find(s,
		    S("\"cdx.outcome\":\"done\"")) < s.n ? WHOLE : BROKEN;
	}
	if (f)
		fclose(f);
}

static void read_journals(void)
{
	char path[512];
	struct dirent *e;
	DIR *d = opendir(proxy.logs);

	journal = mmap(NULL, ANSWERS_MAX * sizeof(*journal),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (journal == MAP_FAILED)
		exit(1);
	while (d && (e = readdir(d)))
		if (strncmp(e->d_name, "structured", 10) == 0 &&
		    strstr(e->d_name, ".jsonl")) {
			snprintf(path, sizeof(path), "%s/%s", proxy.logs,
			    e->d_name);
			read_journal(path);
		}
	if (d)
		closedir(d);
	qsort(journal, njournal, sizeof(*journal), by_id);
}

static unsigned long metric(const char *text, const char *name)
{
	unsigned long sum = 0;
	const char *p = text, *line;

	while ((p = strstr(p, name))) {
		line = strpbrk(p, "\n");
		if (p[-1] == '\n' && line && (p[strlen(name)] == '{' ||
		    p[strlen(name)] == ' ')) {
			while (line > p && line[-1] != ' ')
				line--;
			sum += strtoul(line, NULL, 10);
		}
		p += strlen(name);
	}
	return sum;
}

static void add_up(unsigned long counted)
{
	size_t i, n = all->nanswers, absent = 0, differ = 0, twice = 0;
	struct answer *a;

	read_journals();
	qsort(all->answers, n, sizeof(*all->answers), by_id);
	for (i = 1; i < njournal; i++)
		twice += by_id(&journal[i - 1], &journal[i]) == 0;
	for (i = 0; i < n; i++) {
		a = bsearch(&all->answers[i], journal, njournal,
		    sizeof(*journal), by_id);
		absent += !a;
		differ += a && all->answers[i].verdict == WHOLE &&
		    a->verdict != WHOLE;
	}
	printf("%lu requests sent; %zu answers have an id, %lu got none; "
	    "%zu ends in the journal, %lu in /metrics\n",
	    (unsigned long)all->sent, n, (unsigned long)all->ended[LOST],
	    njournal, counted);
	T_INT(counted, njournal, "/metrics and the journal agree");
	T_INT(twice, 0, "the journal has every request once");
	T_INT(absent, 0, "every answer a client saw is in the journal");
	T(njournal >= n && njournal <= n + all->ended[LOST],
	    "what the journal has more, its clients lost");
	/* The last bytes may be cut after a client saw the end. */
	T(differ <= all->cuts[0], "what a client has whole, the journal has: "
	    "%zu of %zu differ", differ, n);
}

/* ---- the run ------------------------------------------------------------ */

static int begin(const char *binary, int openai, int anthropic)
{
	char a[64], b[64];
	const char *settings[] = { a, b, "OPENAI_MODEL=m", "MODEL_MAP="
		"claude-o=openai_compatible:m,claude-a=anthropic:m",
		"ANTHROPIC_API_KEY=k", "OPENAI_API_KEY=k", "LOG_KEEP=1000",
		"LOG_BODIES=none", "LOG_MAX_MB=16", "KEEPALIVE_TIMEOUT=5",
		"MONITOR_MEMORY=2m", "RAW_MB=1", "LOG_MAX_BYTES=4g",
		"ASAN_OPTIONS=abort_on_error=1", NULL };

	snprintf(a, sizeof(a), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    openai);
	snprintf(b, sizeof(b), "ANTHROPIC_UPSTREAM_URL=http://127.0.0.1:%d",
	    anthropic);
	return start(&proxy, binary, settings);
}

static void watch(double minutes, struct use *middle, struct use *last)
{
	static char text[65536];
	int64_t begun = now_ms(), length = (int64_t)(minutes * 60000), t;
	int i, asleep = 0;

	for (i = 1; i <= SAMPLES && started_alive(&proxy); i++) {
		while ((t = now_ms() - begun) < length * i / SAMPLES)
			nap(50000);
		*last = use_of();
		if (i <= SAMPLES / 2)
			*middle = *last;
		asleep += fetch("/health", text, sizeof(text)) != 200;
		show(last, t);
	}
	T_INT(asleep, 0, "/health says 200 every time");
}

/* Everybody gone home: what is left is what it began with. */
static void settle(const struct use *first, char *text, size_t cap)
{
	int64_t end = now_ms() + SETTLE_MS;
	struct use u;

	do {
		nap(200000);
		u = use_of();
	} while (now_ms() < end && u.fds > first->fds);
	show(&u, 0);
	T(u.fds <= first->fds, "descriptors: %ld at first, %ld at rest",
	    first->fds, u.fds);
	T_INT(u.processes, first->processes, "and as many processes");
	T_INT(fetch("/metrics", text, cap), 200, "/metrics");
	T_INT(metric(text, "claudecodex_requests_in_flight"), 0,
	    "nothing is in flight");
	T_INT(metric(text, "claudecodex_journal_dropped_total"), 0,
	    "the journal dropped nothing");
}

static void soak(double minutes)
{
	static char text[1 << 18];
	struct use first = at_rest(), middle = first, last = first;
	int to = listener(relay, proxy.port, 0);
	size_t i, clients = nchildren;

	show(&first, 0);
	for (i = 0; i < CLIENTS; i++)
		if ((children[nchildren++] = child()) == 0)
			client(to);
	watch(minutes, &middle, &last);
	all->over = 1;
	for (i = clients; i < nchildren; i++)
		waitpid(children[i], NULL, 0);
	nchildren = clients;
	T(started_alive(&proxy), "it lives");
	settle(&first, text, sizeof(text));
	T(all->ended[WHOLE] > all->sent / 2, "most requests end well");
	T_INT(all->ended[HUNG], 0, "none hangs");
	T_INT(all->ended[LIED], 0, "none looks finished that isn't");
	if (minutes < FULL_MINUTES)
		t_skip("memory: it is still being filled in so short a run");
	else
		T(last.pss <= middle.pss + middle.pss / 20 + SLACK_KIB,
		    "memory: %ld KiB half way, %ld at the end", middle.pss, last.pss);
	add_up(metric(text, "claudecodex_requests_total"));
}

int main(int argc, char **argv)
{
	const char *binary = argc > 1 ? argv[1] : "build/claudecodex";
	double minutes = argc > 2 ? strtod(argv[2], NULL) : 1;
	int up;

	rate = argc > 3 ? strtod(argv[3], NULL) : rate;
	state = (argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) :
	    (uint32_t)now_ms()) | 1;
	printf("%g minutes, %g requests a second, seed %u\n", minutes, rate,
	    (unsigned)state);
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return 1;
	up = listener(serve_one, 0, 0);
	if (T(begin(binary, listener(relay, up, 1), listener(relay, up, 1)),
	    "it starts"))
		soak(minutes);
	T(stop(&proxy, 0), "SIGTERM ends it with status 0");
	while (nchildren)
		kill(children[--nchildren], SIGKILL);
	return t_done("soak");
}
