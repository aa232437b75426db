/* bench.c -- what a request costs here, beside nginx passing the same bytes.
 *
 *	build/tests/bench/bench build/claudecodex /usr/sbin/nginx [ROUNDS [LOAD]]
 *
 * One run on one machine: an upstream of our own, then rounds in which the
 * program and nginx take turns at the same loads. nginx has one process,
 * keep-alive upstreams, and looks into nothing. The load and the upstream run
 * on the first core, what is measured alone on the second. A cost is CPU time
 * as the scheduler counts it; what is printed is the median of the rounds. No
 * time is asserted, but a wrong answer makes the run void.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE		/* sched_setaffinity, memmem */
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "../../src/wire/http.h"
#include "../unit/t.h"
#include "../live/start.h"
#include "body.h"

enum {
	LANES = 512,		/* the upstream holds what both pool */
	BODY_MAX = 2 << 20,
	EVENTS = 200,		/* of a stream as fast as it goes */
	PACED = 100,		/* of a slow one, */
	PACE_MS = 20,		/* so far apart */
	ROUNDS_MAX = 15,
	ANSWER_MAX = 1 << 18,
	TEXT_MAX = 1 << 17,
	CASE_MS = 60000,	/* a load that takes longer is void */
	PROBES = 1500,		/* requests, for how long one takes */
	TRACED = 400		/* requests, for system calls */
};

enum kind { WHOLE, BURST, SLOW };

struct load {
	const char *name, *unit;
	size_t bytes;
	enum kind kind;
	size_t lanes, requests;
	double must, good, reach;	/* ratios to nginx, from the aims */
};

static const struct load loads[] = {
	{ "1 KB, 16 at once", "request", 1 << 10, WHOLE, 16, 4000,
	    1.5, 1.2, 1.0 },
	{ "120 KB, 16 at once", "request", 120 << 10, WHOLE, 16, 480,
	    4.0, 3.2, 2.0 },
	{ "1 MB, 4 at once", "request", 1 << 20, WHOLE, 4, 48,
	    3.5, 2.7, 1.8 },
	{ "stream of 200, 1 at once", "event", 1 << 10, BURST, 1, 100,
	    3, 2, 1.2 },
	{ "stream of 200, 16 at once", "event", 1 << 10, BURST, 16, 320,
	    3, 2, 1.2 },
	{ "200 slow streams", "event", 1 << 10, SLOW, 200, 200,
	    2, 1.3, 1.0 }
};

struct target {
	const char *name;
	pid_t pid;
	int port;
	const char *end;	/* stands in every good answer's body */
	const char *stream_end, *event;
};

/* One client connection, or one of the upstream's. */
struct lane {
	int fd;
	int64_t due;		/* us; next event of a slow stream */
	size_t left;		/* events still to send */
	struct str out;
	struct buf in;
	int64_t asked;
	char mem[ANSWER_MAX];
};

static struct lane lanes[LANES];
static char requests[COUNT(loads)][BODY_MAX];
static struct str request[COUNT(loads)];
static char burst_text[TEXT_MAX], slow_head[256], body_text[BODY_MAX];
static struct str burst, whole;
static double cost[COUNT(loads)][2][ROUNDS_MAX];
static int64_t took[3][PROBES];
static char dir[] = "/tmp/claudecodex-bench-XXXXXX";
static pid_t upstream_pid;

static const char event_text[] = "data: {\"id\":\"chatcmpl-1\",\"object\":"
	"\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"m\","
	"\"choices\":[{\"index\":0,\"delta\":{\"content\":\"and so on \"},"
	"\"logprobs\":null,\"finish_reason\":null}]}\n\n";
static const char last_text[] = "data: {\"id\":\"chatcmpl-1\",\"object\":"
	"\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"m\","
	"\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],"
	"\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":200,"
	"\"total_tokens\":209}}\n\ndata: [DONE]\n\n";
static const char whole_text[] = "{\"id\":\"chatcmpl-1\",\"object\":"
	"\"chat.completion\",\"created\":1764000000,\"model\":\"m\","
	"\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
	"\"content\":\"Done: the function returns early now.\"},"
	"\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":300,"
	"\"completion_tokens\":9,\"total_tokens\":309}}";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void on_core(pid_t pid, int core)
{
	cpu_set_t set;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

/* ---- requests ----------------------------------------------------------- */

static void make_request(size_t which)
{
	const struct load *l = &loads[which];
	struct buf b = buf_on(body_text, sizeof(body_text));
	struct buf r = buf_on(requests[which], BODY_MAX);
	char head[256];

	put_body(&b, l->bytes, l->kind != WHOLE, l->kind == WHOLE ?
	    S("@whole") : l->kind == BURST ? S("@burst") : S("@slow"));
	snprintf(head, sizeof(head), "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nContent-Type: application/json\r\n"
	    "anthropic-version: 2023-06-01\r\nContent-Length: %zu\r\n\r\n",
	    b.n);
	buf_put(&r, str_of(head));
	buf_put(&r, buf_str(&b));
	if (b.full || r.full)
		die("request");
	request[which] = buf_str(&r);
}

/* ---- the upstream ------------------------------------------------------- */

static void put_chunk(struct buf *b, const char *text)
{
	char line[32];

	snprintf(line, sizeof(line), "%zx\r\n", strlen(text));
	buf_put(b, str_of(line));
	buf_put(b, str_of(text));
	buf_put(b, S("\r\n"));
}

static void make_answers(void)
{
	static char text[1024];
	struct buf b = buf_on(burst_text, sizeof(burst_text));
	int i;

	snprintf(slow_head, sizeof(slow_head), "HTTP/1.1 200 OK\r\n"
	    "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked"
	    "\r\n\r\n");
	buf_put(&b, str_of(slow_head));
	for (i = 0; i < EVENTS; i++)
		put_chunk(&b, event_text);
	put_chunk(&b, last_text);
	buf_put(&b, S("0\r\n\r\n"));
	burst = buf_str(&b);
	snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Type: "
	    "application/json\r\nContent-Length: %zu\r\n\r\n%s",
	    sizeof(whole_text) - 1, whole_text);
	whole = str_of(text);
}

/* A whole request stands in front of in: 0 not yet, else its length. */
static size_t request_length(struct str in)
{
	static struct http_head h;
	size_t end = http_head_end(in, 0);
	const char *why;

	if (!end || http_request(&h, str_head(in, end), &why) != OK)
		return 0;
	return in.n >= end + h.length ? end + (size_t)h.length : 0;
}

static void upstream_answer(struct lane *l)
{
	struct str in = buf_str(&l->in);
	size_t n = request_length(in);

	if (!n)
		return;
	in = str_from(in, n > 256 ? n - 256 : 0);
	l->in.n = 0;
	if (str_find(in, S("@burst")) < in.n) {
		l->out = burst;
	} else if (str_find(in, S("@slow")) < in.n) {
		l->out = str_of(slow_head);
		l->left = PACED;
		l->due = now_us() + PACE_MS * 1000;
	} else {
		l->out = whole;
	}
}

static void upstream_pace(struct lane *l)
{
	static char one[512], last[1024];
	struct buf b;

	if (!one[0]) {
		b = buf_on(one, sizeof(one));
		put_chunk(&b, event_text);
		b = buf_on(last, sizeof(last));
		put_chunk(&b, last_text);
		buf_put(&b, S("0\r\n\r\n"));
	}
	l->due += PACE_MS * 1000;
	l->out = str_of(--l->left ? one : last);
}

static void lane_end(struct lane *l)
{
	close(l->fd);
	l->fd = -1;
	l->left = 0;
	l->out.n = 0;
}

/* Room for the largest request is needed here, and only for a few lanes. */
static void upstream_read(struct lane *l)
{
	ssize_t n;

	if (!l->in.p)
		l->in = buf_on(mmap(NULL, BODY_MAX, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), BODY_MAX);
	n = recv(l->fd, l->in.p + l->in.n, l->in.cap - l->in.n, 0);
	if (n > 0) {
		l->in.n += (size_t)n;
		upstream_answer(l);
	} else if (n == 0 || errno != EAGAIN) {
		lane_end(l);
	}
}

static void upstream_accept(int listener)
{
	int fd = accept(listener, NULL, NULL), one = 1;
	size_t i;

	for (i = 0; fd >= 0 && i < LANES; i++) {
		if (lanes[i].fd >= 0)
			continue;
		lanes[i].fd = fd;
		lanes[i].in.n = 0;
		fcntl(fd, F_SETFL, O_NONBLOCK);
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		return;
	}
	close(fd);
}

static int upstream_turn(int listener, int wait)
{
	struct pollfd p[LANES + 1];
	int64_t next = INT64_MAX, now;
	size_t i;

	for (i = 0; i < LANES; i++) {
		p[i].fd = lanes[i].fd;
		p[i].events = lanes[i].out.n ? POLLOUT : POLLIN;
	}
	p[LANES].fd = listener;
	p[LANES].events = POLLIN;
	if (poll(p, LANES + 1, wait) < 0)
		return 1000;
	now = now_us();
	for (i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i];
		ssize_t n;

		if (l->fd >= 0 && p[i].revents && !l->out.n)
			upstream_read(l);
		if (l->fd >= 0 && !l->out.n && l->left && l->due <= now)
			upstream_pace(l);
		if (l->fd >= 0 && l->out.n) {
			n = send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL);
			if (n > 0)
				l->out = str_from(l->out, (size_t)n);
			else if (errno != EAGAIN)
				lane_end(l);
		}
		if (l->fd >= 0 && l->left && l->due < next)
			next = l->due;
	}
	if (p[LANES].revents)
		upstream_accept(listener);
	if (next == INT64_MAX)
		return 1000;
	return next > now ? (int)((next - now + 999) / 1000) : 0;
}

static int upstream_start(void)
{
	int port, listener = listen_free(&port), wait = 1000;
	size_t i;

	listen(listener, LANES + 64);
	upstream_pid = fork();
	if (upstream_pid < 0)
		die("fork");
	if (upstream_pid == 0) {
		for (i = 0; i < LANES; i++)
			lanes[i].fd = -1;
		while (getppid() != 1)
			wait = upstream_turn(listener, wait);
		_exit(0);
	}
	close(listener);
	return port;
}

/* ---- what is measured --------------------------------------------------- */

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		die(path);
}

static void nginx_conf(int port, int upstream)
{
	static char text[4096];

	snprintf(text, sizeof(text), "daemon off;\nmaster_process off;\n"
	    "pid %s/nginx.pid;\nerror_log %s/error.log;\n"
	    "events { worker_connections 1024; }\nhttp {\n"
	    "access_log %s/access.log;\nclient_body_temp_path %s;\n"
	    "proxy_temp_path %s;\nfastcgi_temp_path %s;\nuwsgi_temp_path %s;\n"
	    "scgi_temp_path %s;\nclient_max_body_size 32m;\n"
	    "client_body_buffer_size 2m;\nkeepalive_requests 1000000;\n"
	    "upstream u { server 127.0.0.1:%d; keepalive 256; "
	    "keepalive_requests 1000000; }\n"
	    "server { listen 127.0.0.1:%d; location / {\n"
	    "proxy_pass http://u; proxy_http_version 1.1; proxy_set_header "
	    "Connection \"\"; proxy_buffering off; } } }\n",
	    dir, dir, dir, dir, dir, dir, dir, dir, upstream, port);
	write_file("nginx.conf", text);
}

/* fresh: without a journal to be read at the start. */
static void spawn(struct target *t, const char *binary, int upstream,
    int fresh)
{
	char path[128], conf[128], port[64], url[80], logs[96];
	char name[256], prefix[] = "-p", file[] = "-c", model[] =
		"OPENAI_MODEL=m", home[] = "HOME=/", plain[] = "NO_COLOR=1";
	char *ours[] = { name, NULL };
	char *theirs[] = { name, prefix, dir, file, conf, NULL };
	char *env[] = { port, url, logs, model, home, plain, NULL };
	int fd, is_nginx = strcmp(t->name, "nginx") == 0;

	snprintf(name, sizeof(name), "%s", binary);
	snprintf(conf, sizeof(conf), "%s/nginx.conf", dir);
	snprintf(path, sizeof(path), "%s/%s.out", dir, t->name);
	snprintf(port, sizeof(port), "SERVER_PORT=%d", t->port);
	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    upstream);
	snprintf(logs, sizeof(logs), "LOG_DIR=%s/%s", dir, fresh ? "fresh" :
	    "logs");
	if (is_nginx)
		nginx_conf(t->port, upstream);
	t->pid = fork();
	if (t->pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* no wrong answer leaves one */
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(fd, 1);
	dup2(fd, 2);
	execve(binary, is_nginx ? theirs : ours, env);
	_exit(127);
}

/* ns of CPU that a process has had; of its children too. */
static int64_t cpu_ns(pid_t pid)
{
	char path[64];
	long long ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/schedstat", (long)pid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lld", &ns) != 1)
		die(path);
	fclose(f);
	return ns;
}

static long pss_kb(pid_t pid)
{
	char path[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "Pss:", 4) == 0)
			kb = strtol(line + 4, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

/* ---- the load ----------------------------------------------------------- */

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

/* Whether a whole answer stands in l->in; dies when it is a wrong one. */
static int answered(struct lane *l, const struct target *t, enum kind kind)
{
	static struct http_head h;
	struct str in = buf_str(&l->in), body;
	size_t end = http_head_end(in, 0), events;
	const char *why;

	/* Taken apart once, when its end can be seen. */
	if (!end || !str_ends(in, kind == WHOLE ? S("}") : S("\r\n0\r\n\r\n")))
		return 0;
	if (http_response(&h, str_head(in, end), 0, &why) != OK ||
	    h.status != 200) {
		printf("%s: a wrong answer: %.400s\n", t->name, in.p);
		exit(1);
	}
	body = content(&h, str_from(in, end));
	if (kind == WHOLE && body.n == 0)
		return 0;
	events = kind == WHOLE ? 0 : kind == BURST ? EVENTS : PACED - 1;
	if (str_find(body, str_of(kind == WHOLE ? t->end : t->stream_end)) ==
	    body.n || (events && count_of(body, t->event) != events)) {
		printf("%s: an incomplete answer (%zu events): %.400s\n",
		    t->name, count_of(body, t->event), in.p);
		exit(1);
	}
	return 1;
}

static void lane_ask(struct lane *l, int port, struct str text)
{
	int one = 1;

	if (l->fd < 0) {
		l->fd = dial(port);
		if (l->fd < 0)
			die("connect");
		setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	}
	l->out = text;
	l->in = buf_on(l->mem, sizeof(l->mem));
	l->asked = now_us();
}

static void lane_move(struct lane *l, const struct target *t)
{
	ssize_t n;

	if (l->out.n) {
		n = send(l->fd, l->out.p, l->out.n, MSG_NOSIGNAL);
		if (n > 0)
			l->out = str_from(l->out, (size_t)n);
		else if (errno != EAGAIN)
			die(t->name);
		return;
	}
	n = recv(l->fd, l->in.p + l->in.n, l->in.cap - l->in.n, 0);
	if (n > 0) {
		l->in.n += (size_t)n;
	} else if (n == 0 || errno != EAGAIN) {
		printf("%s closed a connection\n", t->name);
		exit(1);
	}
}

/* Puts a load on a target. times: of each request, or NULL. pss: sampled in
 * the middle, or NULL. */
static void put_load(const struct target *t, size_t which, size_t nlanes,
    size_t total, int64_t *times, long *pss)
{
	struct pollfd p[LANES];
	size_t begun, ended = 0, i;
	int64_t end = now_ms() + CASE_MS;
	enum kind kind = loads[which].kind;

	for (begun = 0; begun < nlanes; begun++)
		lane_ask(&lanes[begun], t->port, request[which]);
	while (ended < total) {
		if (now_ms() > end) {
			printf("%s: takes too long\n", t->name);
			exit(1);
		}
		for (i = 0; i < nlanes; i++) {
			p[i].fd = lanes[i].fd;
			p[i].events = lanes[i].out.n ? POLLOUT : POLLIN;
		}
		poll(p, nlanes, 1000);
		if (pss && *pss < 0 && count_of(buf_str(&lanes[0].in),
		    t->event) > PACED / 2)
			*pss = pss_kb(t->pid);
		for (i = 0; i < nlanes; i++) {
			struct lane *l = &lanes[i];

			if (l->fd < 0 || !p[i].revents)
				continue;
			lane_move(l, t);
			if (l->out.n || !answered(l, t, kind))
				continue;
			if (times)
				times[ended] = now_us() - l->asked;
			ended++;
			l->in.n = 0;
			if (begun < total)
				lane_ask(l, t->port, request[which]);
			else
				lane_end(l);
			begun++;
		}
	}
	for (i = 0; i < nlanes; i++)
		if (lanes[i].fd >= 0)
			lane_end(&lanes[i]);
}

static double per(const struct load *l)
{
	return (double)l->requests * (l->kind == WHOLE ? 1 :
	    l->kind == BURST ? EVENTS : PACED);
}

static double measure(const struct target *t, size_t which, long *pss)
{
	const struct load *l = &loads[which];
	int64_t before;

	put_load(t, which, l->lanes, l->lanes, NULL, NULL);	/* warm */
	before = cpu_ns(t->pid);
	put_load(t, which, l->lanes, l->requests, NULL, pss);
	return (double)(cpu_ns(t->pid) - before) / 1000 / per(l);
}

/* ---- the report --------------------------------------------------------- */

static int by_double(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b)
{
	int64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static double median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_double);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void report_costs(int rounds)
{
	double ratios[ROUNDS_MAX], a, b;
	size_t i;
	int r;

	printf("\n%-26s %8s %8s %7s   %s\n", "CPU, us", "ours", "nginx",
	    "ratio", "must / good / reach for");
	for (i = 0; i < COUNT(loads); i++) {
		if (cost[i][0][0] <= 0)
			continue;
		for (r = 0; r < rounds; r++)
			ratios[r] = cost[i][0][r] / cost[i][1][r];
		a = median(cost[i][0], rounds);
		b = median(cost[i][1], rounds);
		printf("%-26s %8.2f %8.2f %7.2f   %.1f / %.1f / %.1f a %s\n",
		    loads[i].name, a, b, median(ratios, rounds),
		    loads[i].must, loads[i].good, loads[i].reach,
		    loads[i].unit);
	}
}

static void report_times(struct target *t)
{
	const struct target direct = { "upstream", upstream_pid, t[2].port,
		"\"finish_reason\":\"stop\"", "[DONE]", "\"content\":\"" };
	double p50[3], p99[3];
	int i;

	for (i = 0; i < 3; i++) {
		const struct target *x = i < 2 ? &t[i] : &direct;

		on_core(x->pid, 0);
		put_load(x, 0, 1, 100, NULL, NULL);
		put_load(x, 0, 1, PROBES, took[i], NULL);
		qsort(took[i], PROBES, sizeof(took[i][0]), by_time);
		p50[i] = (double)took[i][PROBES / 2];
		p99[i] = (double)took[i][PROBES * 99 / 100];
		if (i < 2)
			on_core(x->pid, 1);
	}
	printf("\n%-26s %8s %8s %8s %7s\n", "us for 1 KB, one core", "ours",
	    "nginx", "direct", "added");
	printf("%-26s %8.0f %8.0f %8.0f %7.2f\n", "median", p50[0], p50[1],
	    p50[2], (p50[0] - p50[2]) / (p50[1] - p50[2]));
	printf("%-26s %8.0f %8.0f %8.0f %7.2f\n", "99th of 100", p99[0],
	    p99[1], p99[2], (p99[0] - p99[2]) / (p99[1] - p99[2]));
}

static double calls_of(const struct target *t)
{
	char path[128], pid[24], line[256];
	char name[] = "strace", count[] = "-c", of[] = "-p", to[] = "-o";
	char *argv[] = { name, count, of, pid, to, path, NULL };
	double calls = -1;
	FILE *f;
	pid_t s;

	snprintf(path, sizeof(path), "%s/strace", dir);
	snprintf(pid, sizeof(pid), "%ld", (long)t->pid);
	unlink(path);
	s = fork();
	if (s == 0) {
		dup2(open("/dev/null", O_WRONLY), 2);
		execvp("strace", argv);
		_exit(127);
	}
	usleep(500000);
	put_load(t, 0, 16, TRACED, NULL, NULL);
	kill(s, SIGINT);
	waitpid(s, NULL, 0);
	f = fopen(path, "r");
	/* The last line: share, seconds, us a call, calls, errors, total. */
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " total\n"))
			(void)sscanf(line, "%*f %*f %*f %lf", &calls);
	if (f)
		fclose(f);
	return calls < 0 ? -1 : calls / TRACED;
}

static void clean_logs(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	remove_files(path);
}

static double start_ms(const char *binary, const char *name, int upstream)
{
	static const char ask[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
		"Connection: close\r\n\r\n";
	struct target t = { name, 0, 0, NULL, NULL, NULL };
	int64_t began;
	char byte;
	int fd;

	close(listen_free(&t.port));
	began = now_us();
	clean_logs("fresh");
	spawn(&t, binary, upstream, 1);
	while ((fd = dial(t.port)) < 0)
		usleep(100);
	fcntl(fd, F_SETFL, 0);
	if (send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) < 0 ||
	    recv(fd, &byte, 1, 0) != 1)
		die(name);
	began = now_us() - began;
	close(fd);
	kill(t.pid, SIGTERM);
	waitpid(t.pid, NULL, 0);
	return (double)began / 1000;
}

static void report_start(char **argv, int upstream)
{
	double v[2][9];
	int i;

	for (i = 0; i < 9; i++) {
		v[0][i] = start_ms(argv[1], "ours", upstream);
		v[1][i] = start_ms(argv[2], "nginx", upstream);
	}
	printf("%-26s %8.1f %8.1f %7s   must 9, reach for 3\n",
	    "ms from start to answer", median(v[0], 9), median(v[1], 9), "");
}

static void clean(void)
{
	kill(upstream_pid, SIGKILL);
	clean_logs("logs");
	clean_logs("fresh");
	remove_files(dir);
}

int main(int argc, char **argv)
{
	struct target t[3] = { { "ours", 0, 0, "end_turn", "message_stop",
		"event: content_block_delta" }, { "nginx", 0, 0,
		"\"finish_reason\":\"stop\"", "[DONE]", "\"content\":\"" } };
	long idle[2], busy[2] = { -1, -1 };
	int rounds = argc > 3 ? atoi(argv[3]) : 3, r, k;
	size_t i;

	if (argc < 3 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench PROGRAM NGINX [ROUNDS [LOAD]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mkdtemp(dir))
		die(dir);
	for (i = 0; i < LANES; i++)
		lanes[i].fd = -1;
	make_answers();
	for (i = 0; i < COUNT(loads); i++)
		make_request(i);
	on_core(0, 0);
	t[2].port = upstream_start();
	for (k = 0; k < 2; k++) {
		close(listen_free(&t[k].port));
		spawn(&t[k], argv[k + 1], t[2].port, 0);
		on_core(t[k].pid, 1);
		for (r = 0; r < 200 && (r = dial(t[k].port)) < 0; r++)
			usleep(20000);
		close(r);
		put_load(&t[k], 0, 1, 1, NULL, NULL);
		idle[k] = pss_kb(t[k].pid);
	}
	for (r = 0; r < rounds; r++)
		for (i = 0; i < COUNT(loads); i++)
			for (k = 0; k < 2; k++) {
				/* Who is first changes from round to round. */
				int who = (k + r) % 2;

				if (argc > 4 && !strstr(loads[i].name,
				    argv[4]))
					continue;
				cost[i][who][r] = measure(&t[who], i,
				    loads[i].kind == SLOW ? &busy[who] : NULL);
			}
	report_costs(rounds);
	if (argc > 4) {			/* one load, to look into */
		clean();
		return 0;
	}
	report_times(t);
	printf("\n%-26s %8s %8s %7s\n", "", "ours", "nginx", "ratio");
	printf("%-26s %8ld %8ld %7.2f   0.6 / 0.4 / 0.2\n", "kB (PSS) at rest",
	    idle[0], idle[1], (double)idle[0] / (double)idle[1]);
	printf("%-26s %8ld %8ld %7.2f   1.5 / 1.0 / 0.6\n",
	    "kB with 200 streams", busy[0], busy[1],
	    (double)busy[0] / (double)busy[1]);
	printf("%-26s %8.1f %8.1f %7s   must 9, reach for 5.5 (-1: no "
	    "strace)\n", "system calls for 1 KB", calls_of(&t[0]),
	    calls_of(&t[1]), "");
	for (k = 0; k < 2; k++) {
		kill(t[k].pid, SIGTERM);
		waitpid(t[k].pid, NULL, 0);
	}
	report_start(argv, t[2].port);
	clean();
	return 0;
}
