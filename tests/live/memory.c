/* memory.c -- what the running program does with memory and descriptors.
 *
 *	build/tests/live/memory [build/claudecodex]
 *
 * It allocates nothing while it serves, gives the memory of large requests
 * back, keeps to its limits, survives hostile JSON, and waits quietly when it
 * runs out of descriptors. The demo answers throughout.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/mman.h>

#include "../unit/t.h"
#include "start.h"

enum {
	LANES = 64,		/* requests in flight; the demo takes its time */
	BIG = 9 << 20,
	MB = 1 << 20,
	HEAD = 512,
	ANSWER = 1 << 16,	/* kept of each answer */
	ANSWER_MS = 8000,
	WARM = 20, MIXED = 1000,
	RESTED_MS = 1500,
	RSS_SLACK = 10,		/* percent */
	DESCRIPTORS = 24, CALLERS = 40,
	CPU_MS = 300		/* of a second in which nothing happens */
};

struct request {
	const char *method, *path;
	struct str body;
	int chunked;		/* the body is framed already */
	int want;		/* status */
};

struct lane {
	int fd;			/* -1: free */
	char head[HEAD], in[ANSWER + 1];
	struct str part[2];	/* what is still to be sent */
	size_t n;
	int status, number;
	struct request r;
};

/* What the shim shares, see alloc_shim.c. */
struct page {
	uint64_t pid, calls, selftest;
};

static struct lane lanes[LANES];
static char big[BIG], large[MB + HEAD];
static int port;

/* ---- a client ----------------------------------------------------------- */

static int lane_begin(struct lane *l, const struct request *r)
{
	int n;

	l->r = *r;
	l->n = 0;
	l->status = 0;
	if (r->chunked)
		n = snprintf(l->head, HEAD, "%s %s HTTP/1.1\r\nHost: localhost"
		    "\r\nConnection: close\r\nTransfer-Encoding: chunked"
		    "\r\n\r\n", r->method, r->path);
	else
		n = snprintf(l->head, HEAD, "%s %s HTTP/1.1\r\nHost: localhost"
		    "\r\nConnection: close\r\nContent-Type: application/json"
		    "\r\nContent-Length: %lu\r\n\r\n", r->method, r->path,
		    (unsigned long)r->body.n);
	l->part[0] = (struct str){ l->head, (size_t)n };
	l->part[1] = r->body;
	l->fd = dial(port);
	return l->fd >= 0;
}

static void lane_send(struct lane *l)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		struct str *s = &l->part[i];

		while (s->n) {
			ssize_t n = send(l->fd, s->p, s->n, MSG_NOSIGNAL);

			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0 && errno == EAGAIN)
				return;
			if (n < 0) {
				/* Refused by its head: read the answer. */
				l->part[0].n = l->part[1].n = 0;
				return;
			}
			s->p += n;
			s->n -= (size_t)n;
		}
	}
}

/* 1 at the answer's end. What isn't kept is read all the same. */
static int lane_read(struct lane *l)
{
	static char rest[ANSWER];
	size_t room;
	ssize_t n;

	for (;;) {
		room = ANSWER - l->n;
		n = room ? recv(l->fd, l->in + l->n, room, 0) :
		    recv(l->fd, rest, sizeof(rest), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			break;
		l->n += room ? (size_t)n : 0;
	}
	l->in[l->n] = '\0';
	if (l->n > 12 && memcmp(l->in, "HTTP/1.1 ", 9) == 0)
		l->status = atoi(l->in + 9);
	close(l->fd);
	l->fd = -1;
	return 1;
}

static void judge(const struct lane *l)
{
	T(l->status == l->r.want, "request %d, %s %s: %d, not %d: %.300s",
	    l->number, l->r.method, l->r.path, l->r.want, l->status, l->in);
}

/* One step for all lanes; returns how many are busy. */
static int lanes_step(void)
{
	struct pollfd p[LANES];
	struct lane *of[LANES];
	nfds_t n = 0, i;

	for (i = 0; i < LANES; i++) {
		struct lane *l = &lanes[i];

		if (l->fd < 0)
			continue;
		of[n] = l;
		p[n].fd = l->fd;
		p[n].revents = 0;
		p[n++].events = (short)(POLLIN |
		    (l->part[0].n + l->part[1].n ? POLLOUT : 0));
	}
	if (n == 0 || poll(p, n, 100) <= 0)
		return (int)n;
	for (i = 0; i < n; i++) {
		if (p[i].revents & POLLOUT)
			lane_send(of[i]);
		if (p[i].revents & ~POLLOUT && lane_read(of[i]))
			judge(of[i]);
	}
	return (int)n;
}

/* Gives each request up to the last to the next free lane. */
static void run(int from, int to, int width,
    void (*make)(struct request *, int))
{
	int64_t end = now_ms() + ANSWER_MS * 2;
	struct request r;
	int i, busy = 1;

	while (now_ms() < end && (from < to || busy)) {
		for (i = 0; i < width && from < to; i++) {
			if (lanes[i].fd >= 0)
				continue;
			make(&r, from);
			lanes[i].number = from++;
			T(lane_begin(&lanes[i], &r), "connected");
		}
		busy = lanes_step();
	}
	T(from == to && !busy, "all requests are answered in time");
	for (i = 0; i < LANES; i++) {
		if (lanes[i].fd >= 0)
			close(lanes[i].fd);
		lanes[i].fd = -1;
	}
}

/* One request; its answer's text. */
static const char *ask(const char *path, struct str body, int chunked)
{
	struct lane *l = &lanes[0];
	struct request r = { "POST", path, body, chunked, 0 };
	int64_t end = now_ms() + ANSWER_MS;
	struct pollfd p;
	int over = 0;

	if (body.n == 0)
		r.method = "GET";
	l->in[0] = '\0';
	if (!T(lane_begin(l, &r), "connected"))
		return l->in;
	while (!over && now_ms() < end) {
		p.fd = l->fd;
		p.revents = 0;
		p.events = (short)(POLLIN |
		    (l->part[0].n + l->part[1].n ? POLLOUT : 0));
		if (poll(&p, 1, 100) <= 0)
			continue;
		if (p.revents & POLLOUT)
			lane_send(l);
		if (p.revents & ~POLLOUT)
			over = lane_read(l);
	}
	T(over, "%s is answered in time", path);
	if (!over)
		close(l->fd);
	l->fd = -1;
	return l->in;
}

static int is_error(const char *answer, int status, const char *type)
{
	char name[64];

	snprintf(name, sizeof(name), "\"type\":\"%s\"", type);
	return lanes[0].status == status &&
	    strstr(answer, "\"type\":\"error\"") && strstr(answer, name);
}

static void healthy(const char *after)
{
	ask("/health", S(""), 0);
	T_INT(lanes[0].status, 200, "/health after %s", after);
}

/* before, then unit again and again up to n bytes, then after. */
static struct str fill(char *p, size_t n, const char *before,
    const char *unit, const char *after)
{
	size_t at = strlen(before), step = strlen(unit), end = strlen(after);

	memcpy(p, before, at);
	for (; at + step + end <= n; at += step)
		memcpy(p + at, unit, step);
	memcpy(p + at, after, end);
	return (struct str){ p, at + end };
}

/* ---- no allocation ------------------------------------------------------ */

#define SAY "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":6,"
#define HELLO "\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]"
#define TOOL "\"tools\":[{\"name\":\"read_file\",\"description\":\"reads\"," \
	"\"input_schema\":{\"type\":\"object\",\"properties\":{\"path\":" \
	"{\"type\":\"string\"}},\"required\":[\"path\"]}}],"

static const struct {
	const char *method, *path, *body;
	int want;
} mix[] = {
	{ "POST", "/v1/messages", SAY "\"stream\":true," HELLO "}", 200 },
	{ "POST", "/v1/messages", SAY HELLO "}", 200 },
	{ "POST", "/v1/messages", SAY TOOL HELLO "}", 200 },
	{ "POST", "/v1/messages", SAY "\"stream\":true," TOOL HELLO "}", 200 },
	{ "POST", "/v1/messages", "{\"model\":", 400 },
	{ "POST", "/v1/messages", SAY "\"stream\":true}", 400 },
	{ "POST", "/v1/messages/count_tokens",
	    "{\"model\":\"m\"," TOOL HELLO "}", 200 },
	{ "GET", "/v1/models", "", 200 },
	{ "GET", "/health", "", 200 },
	{ "POST", "/v1/messages", SAY "\"messages\":[{\"role\":\"user\","
	    "\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\","
	    "\"media_type\":\"image/png\",\"data\":\"iVBORw0KGgo=\"}}]}]}",
	    200 },
	{ "GET", "/nothing/here", "", 404 },
	{ "DELETE", "/v1/messages", "", 405 },
	{ "GET", "/metrics", "", 200 },
	{ "GET", "/dashboard", "", 200 },
	{ "GET", "/dashboard/data?limit=3", "", 200 },
	{ "GET", "/dashboard/sessions", "", 200 }
};

static void make_mixed(struct request *r, int i)
{
	size_t k = (size_t)i % COUNT(mix);

	r->method = mix[k].method;
	r->path = mix[k].path;
	r->body = str_of(mix[k].body);
	r->chunked = 0;
	r->want = mix[k].want;
	/* The same bytes each time: others in flight may share them. */
	if (i % 200 == 15) {
		r->method = "POST";
		r->path = "/v1/messages";
		r->body = fill(large, MB, SAY "\"messages\":[{\"role\":"
		    "\"user\",\"content\":\"", "large ", "\"}]}");
		r->want = 200;
	}
}

static int file_holds(const char *path, const char *text)
{
	struct str s = t_file(path);

	return s.p && str_find(s, str_of(text)) < s.n;
}

static int build_shim(const char *shim)
{
	char command[512];
	const char *cc = getenv("CC");

	snprintf(command, sizeof(command), "%s -shared -fPIC -O1 -fno-builtin "
	    "-o %s tests/live/alloc_shim.c", cc && *cc ? cc : "cc", shim);
	return system(command) == 0;
}

static void test_allocations(const char *binary)
{
	static char dir[] = "/tmp/claudecodex-shim-XXXXXX";
	char shim[64], file[64], preload[96], count[96];
	const char *settings[] = { "LLM_BACKEND=demo", preload, count, NULL };
	int sanitized = getenv("SANITIZE") || file_holds(binary, "__asan_init");
	struct page zero = { 0, 0, 0 };
	struct page *page = MAP_FAILED;
	struct started s;
	uint64_t warm;
	int fd;

	if (!T(mkdtemp(dir) != NULL, "a folder for the shim"))
		return;
	snprintf(shim, sizeof(shim), "%s/shim.so", dir);
	snprintf(file, sizeof(file), "%s/count", dir);
	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", shim);
	snprintf(count, sizeof(count), "ALLOC_COUNT=%s", file);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, &zero, sizeof(zero)) == sizeof(zero))
		page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
	if (sanitized)
		settings[1] = NULL;
	else
		T(build_shim(shim), "the shim is built");
	if (!T(page != MAP_FAILED, "a page to count on"))
		return;
	if (T(start(&s, binary, settings), "the program starts")) {
		port = s.port;
		run(0, WARM, LANES, make_mixed);
		warm = page->calls;
		run(WARM, MIXED, LANES, make_mixed);
		if (sanitized)
			t_skip("sanitized build: its allocator can't be "
			    "counted");
		else if (page->pid == 0)
			t_skip("nothing is preloaded into a static program");
		else {
			T_INT(page->pid, s.pid, "the program is counted");
			T_INT(page->selftest, 2, "calls are seen");
			T_INT(page->calls, warm, "no allocation in %d requests",
			    MIXED - WARM);
		}
	}
	T(stop(&s, 0), "SIGTERM ends it with status 0");
	munmap(page, sizeof(*page));
	close(fd);
	remove_files(dir);
}

/* ---- memory given back, hostile JSON ------------------------------------ */

static void make_large(struct request *r, int i)
{
	(void)i;
	r->method = "POST";
	r->path = "/v1/messages";
	r->chunked = 0;
	r->want = 200;
	r->body = fill(big, 8 * MB, SAY "\"messages\":[{\"role\":\"user\","
	    "\"content\":\"", "eight megabytes ", "\"}]}");
}

/* kB; -1 where there is no such file. */
static long rss(pid_t pid)
{
	char name[64], line[256];
	long kb = -1;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%ld/status", (long)pid);
	f = fopen(name, "r");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmRSS:", 6) == 0)
			kb = strtol(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

static void rest(long ms)
{
	struct timespec t;

	t.tv_sec = ms / 1000;
	t.tv_nsec = ms % 1000 * 1000000;
	nanosleep(&t, NULL);
}

static void test_given_back(const struct started *s)
{
	long before, after;

	run(0, WARM, 4, make_mixed);
	run(0, 4, 4, make_large);	/* the log's first ones */
	rest(RESTED_MS);
	before = rss(s->pid);
	run(0, 20, 4, make_large);
	rest(RESTED_MS);
	after = rss(s->pid);
	if (before < 0) {
		t_skip("there is no /proc/PID/status here");
		return;
	}
	T(after > 0 && after - before <= before * RSS_SLACK / 100,
	    "FN-51 memory is given back: %ld kB before, %ld kB after", before, after);
}

static void test_hostile(void)
{
	static const struct {
		const char *name, *before, *unit, *after;
		size_t n;
	} bodies[] = {
		{ "1 MB of [", "", "[", "", MB },
		{ "4 MB of {\"a\":", "", "{\"a\":", "", 4 * MB },
		{ "8 MB of 1,", "[", "1,", "1]", 8 * MB },
		{ "8 MB of 1, without an end", "[", "1,", "", 8 * MB },
		{ "8 MB of 1, as messages", SAY "\"messages\":[", "1,", "1]}",
		    8 * MB },
		{ "4 MB of [ in a tool", SAY HELLO ",\"tools\":[", "[", "",
		    4 * MB },
		{ "8 MB of empty keys", "{", "\"\":0,", "\"\":0}", 8 * MB }
	};
	const char *a;
	size_t i;

	for (i = 0; i < COUNT(bodies); i++) {
		a = ask("/v1/messages", fill(big, bodies[i].n, bodies[i].before,
		    bodies[i].unit, bodies[i].after), 0);
		T(is_error(a, 400, "invalid_request_error") ||
		    is_error(a, 413, "request_too_large"),
		    "%s is a clean error, not %d: %.300s", bodies[i].name,
		    lanes[0].status, a);
		healthy(bodies[i].name);
	}
}

static void test_large(const char *binary)
{
	/* The monitor fills what it was given, and keeps it: here, little. */
	static const char *const settings[] = { "LLM_BACKEND=demo",
		"MONITOR_MEMORY=256k", "RAW_MB=0", NULL };
	struct started s;

	if (T(start(&s, binary, settings), "the program starts")) {
		port = s.port;
		test_given_back(&s);
		test_hostile();
	}
	T(stop(&s, t_count.failed > 0), "SIGTERM ends it with status 0");
}

/* ---- limits ------------------------------------------------------------- */

static void test_limits(const char *binary)
{
	static const char *const ceiling[] = { "LLM_BACKEND=demo",
		"MAX_MEMORY=4m", NULL };
	static const char *const small[] = { "LLM_BACKEND=demo",
		"MAX_BODY=64k", NULL };
	struct str two = fill(big, 2 * MB, SAY "\"messages\":[{\"role\":"
	    "\"user\",\"content\":\"", "x", "\"}]}");
	struct started s;
	const char *a;

	if (T(start(&s, binary, ceiling), "it starts with MAX_MEMORY")) {
		port = s.port;
		a = ask("/v1/messages", two, 0);
		T(is_error(a, 529, "overloaded_error"), "a body above "
		    "MAX_MEMORY is a 529, not %.300s", a);
		T(strstr(a, "\r\nretry-after: ") != NULL,
		    "it says when to try again: %.300s", a);
		ask("/v1/messages", S(SAY HELLO "}"), 0);
		T_INT(lanes[0].status, 200, "a small one is answered after it");
	}
	T(stop(&s, 0), "SIGTERM ends it with status 0");
	if (T(start(&s, binary, small), "it starts with MAX_BODY")) {
		port = s.port;
		a = ask("/v1/messages", str_head(two, 65537), 0);
		T(is_error(a, 413, "request_too_large"), "FN-47 a body above "
		    "MAX_BODY is a 413, not %.300s", a);
		a = ask("/v1/messages", fill(big, 65600, "100c0\r\n", "x",
		    ""), 1);
		T(is_error(a, 413, "request_too_large"), "a chunked one too, "
		    "not %.300s", a);
		ask("/v1/messages", S(SAY HELLO "}"), 0);
		T_INT(lanes[0].status, 200, "a small one is answered after it");
	}
	T(stop(&s, 0), "SIGTERM ends it with status 0");
}

/* ---- out of descriptors ------------------------------------------------- */

/* ms of user and system time; -1 where it can't be told. */
static long cpu_ms(pid_t pid)
{
	char name[64], line[1024];
	unsigned long user = 0, sys = 0;
	const char *p = NULL;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%ld/stat", (long)pid);
	f = fopen(name, "r");
	if (f && fgets(line, sizeof(line), f))
		p = strrchr(line, ')');
	if (f)
		fclose(f);
	if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
	    "%*u %lu %lu", &user, &sys) != 2)
		return -1;
	return (long)((user + sys) * 1000 /
	    (unsigned long)sysconf(_SC_CLK_TCK));
}

/* A script that lowers the limit and becomes the program. */
static int write_script(const char *path, const char *binary)
{
	char cwd[2048];
	FILE *f;

	if (!getcwd(cwd, sizeof(cwd)) || !(f = fopen(path, "w")))
		return 0;
	fprintf(f, "#!/bin/sh\nulimit -n %d\nexec '%s%s%s'\n", DESCRIPTORS,
	    binary[0] == '/' ? "" : cwd, binary[0] == '/' ? "" : "/", binary);
	return fclose(f) == 0 && chmod(path, 0700) == 0;
}

enum caller { WAITS, SERVED, CLOSED };

/* Looks for ms at what became of the callers; how many are in that state. */
static int look(const int *fds, enum caller *state, enum caller which, long ms)
{
	int64_t end = now_ms() + ms;
	char in[4096];
	int i, n;

	do {
		for (n = i = 0; i < CALLERS; i++) {
			ssize_t got = state[i] != WAITS ? 0 :
			    recv(fds[i], in, sizeof(in), 0);

			if (got > 12 && memcmp(in, "HTTP/1.1 200", 12) == 0)
				state[i] = SERVED;
			else if (state[i] == WAITS &&
			    (got >= 0 || (errno != EAGAIN && errno != EINTR)))
				state[i] = CLOSED;
			n += state[i] == which;
		}
		rest(10);
	} while (now_ms() < end);
	return n;
}

static void crowd(const struct started *s)
{
	static const char get[] = "GET /health HTTP/1.1\r\nHost: localhost"
		"\r\n\r\n";
	enum caller state[CALLERS] = { WAITS };
	int64_t end = now_ms() + 4000;
	int fds[CALLERS];
	int i, served, closed;
	long before, spent;

	for (i = 0; i < CALLERS; i++) {
		fds[i] = dial(s->port);
		T(fds[i] >= 0 && send(fds[i], get, sizeof(get) - 1,
		    MSG_NOSIGNAL) == sizeof(get) - 1, "caller %d", i);
	}
	served = look(fds, state, SERVED, 200);
	before = cpu_ms(s->pid);
	served = look(fds, state, SERVED, 1000);
	spent = cpu_ms(s->pid) - before;
	if (before < 0)
		t_skip("there is no /proc/PID/stat here");
	else
		T(spent < CPU_MS, "it waits without spinning: %ld ms", spent);
	T(served >= 4 && served < DESCRIPTORS, "with %d descriptors %d are "
	    "served", DESCRIPTORS, served);
	T(look(fds, state, WAITS, 0) >= 4, "others wait");
	/* Those served go; the rest get their turn. */
	while (look(fds, state, WAITS, 0) > 0 && now_ms() < end)
		for (i = 0; i < CALLERS; i++)
			if (state[i] != WAITS && fds[i] >= 0) {
				close(fds[i]);
				fds[i] = -1;
			}
	T_INT(look(fds, state, WAITS, 0), 0, "nobody waits in the end");
	closed = look(fds, state, CLOSED, 0);
	T_INT(closed, 0, "nobody is turned away");
	T(look(fds, state, SERVED, 0) > served, "some who waited are served");
	for (i = 0; i < CALLERS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void test_descriptors(const char *binary)
{
	static const char *const settings[] = { "LLM_BACKEND=demo", NULL };
	static char script[] = "/tmp/claudecodex-few-XXXXXX";
	struct started s;
	int fd = mkstemp(script);

	if (!T(fd >= 0, "a script's name"))
		return;
	close(fd);
	if (!T(write_script(script, binary), "the script is written"))
		return;
	if (T(start(&s, script, settings), "it starts with %d descriptors",
	    DESCRIPTORS)) {
		crowd(&s);
		port = s.port;
		healthy("the crowd");
	}
	T(stop(&s, 0), "SIGTERM ends it with status 0");
	unlink(script);
}

int main(int argc, char **argv)
{
	const char *binary = argc > 1 ? argv[1] : getenv("CLAUDECODEX");
	size_t i;

	if (!binary)
		binary = "build/claudecodex";
	for (i = 0; i < LANES; i++)
		lanes[i].fd = -1;
	test_allocations(binary);
	test_large(binary);
	test_limits(binary);
	test_descriptors(binary);
	return t_done("memory");
}
