/* workers.c -- WORKERS=2: one journal and one page over two processes, and what
 * becomes of requests when one of them dies.
 *
 *	build/tests/live/workers [build/claudecodex]
 *
 * Which worker takes a connection is decided by stopping the other one while
 * the connection is made and asked on. The test is the upstream as well, so it
 * decides how far an answer has come. Needs /proc.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/core/core.h"
#include "../unit/t.h"
#include "start.h"

enum {
	N = 2,
	CHILDREN = N + 1,	/* keepers, which are started before */
	SOON_MS = 8000,
	SHORT_MS = 1000,
	ROOM = 8 << 20,		/* of an answer, of the journal */
	KILLS = 5,
	SPREAD = 16,		/* connections */
	PROCESSES = 64
};

static struct started proxy;
static pid_t worker[N];
static int listener, upstream_port;
static char answer[ROOM], file_text[ROOM];
static char binary[4096];

#define CHUNK(TEXT) "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\"," \
	"\"model\":\"m\",\"choices\":[{\"index\":0," TEXT "}]}\n\n"

static const char begins[] = "HTTP/1.1 200 OK\r\nContent-Type: "
	"text/event-stream\r\nConnection: close\r\n\r\n"
	CHUNK("\"delta\":{\"role\":\"assistant\",\"content\":\"half-said \"},"
	"\"finish_reason\":null");
static const char ends[] =
	CHUNK("\"delta\":{\"content\":\"and done\"},\"finish_reason\":null")
	CHUNK("\"delta\":{},\"finish_reason\":\"stop\"") "data: [DONE]\n\n";

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- who serves --------------------------------------------------------- */

static unsigned long long began(pid_t pid, pid_t *parent)
{
	unsigned long long t = 0;
	char path[64], state = 'Z';
	int of = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%*d (%*[^)]) %c %d %*d %*d %*d %*d %*d %*d %*d "
	    "%*d %*d %*d %*d %*d %*d %*d %*d %*d %*d %llu", &state, &of, &t) != 3)
		t = 0;
	if (f)
		fclose(f);
	*parent = state == 'Z' ? 0 : (pid_t)of;
	return t;
}

/* The program's children in the order in which they were started. */
static size_t children(pid_t *out)
{
	unsigned long long at[PROCESSES], t;
	DIR *d = opendir("/proc");
	struct dirent *e;
	pid_t parent, pid;
	size_t n = 0, i;

	while (d && (e = readdir(d)) && n < PROCESSES) {
		pid = (pid_t)atol(e->d_name);
		if (pid <= 0 || !(t = began(pid, &parent)) ||
		    parent != proxy.pid)
			continue;
		for (i = n++; i > 0 && (at[i - 1] > t || (at[i - 1] == t &&
		    out[i - 1] > pid)); i--) {
			at[i] = at[i - 1];
			out[i] = out[i - 1];
		}
		at[i] = t;
		out[i] = pid;
	}
	if (d)
		closedir(d);
	return n;
}

/* Waits until both are there, the second not being one that has gone. */
static int find_workers(pid_t gone)
{
	int64_t end = now_ms() + SOON_MS;
	pid_t all[PROCESSES];
	size_t n, i;

	while (now_ms() < end) {
		n = children(all);
		for (i = 0; i < n && all[i] != gone; i++)
			;
		if (n == CHILDREN + N && i == n) {
			worker[0] = all[n - 2];
			worker[1] = all[n - 1];
			return 1;
		}
		nap(10);
	}
	return 0;
}

/* ---- both ends ---------------------------------------------------------- */

/* Reads on until text has come (1), or the connection ended (0); -1: neither
 * came in time. n: of answer so far. */
static int read_until(int fd, size_t *n, const char *text)
{
	int64_t end = now_ms() + SOON_MS;
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t k;

	for (;;) {
		answer[*n] = '\0';
		if (text && strstr(answer, text))
			return 1;
		if (fd < 0 || *n == ROOM - 1 || now_ms() >= end ||
		    poll(&p, 1, (int)(end - now_ms())) <= 0)
			return -1;
		k = recv(fd, answer + *n, ROOM - 1 - *n, 0);
		if (k == 0 || (k < 0 && errno == ECONNRESET))
			return 0;
		*n += k > 0 ? (size_t)k : 0;
	}
}

/* Whether the one that was not stopped gets hold of what both share. */
static int other_goes_on(void)
{
	char in[64] = "";
	struct pollfd p = { dial(proxy.port), POLLIN, 0 };
	ssize_t n = 0;

	say(p.fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
	if (poll(&p, 1, SHORT_MS) > 0)
		n = recv(p.fd, in, sizeof(in) - 1, 0);
	close(p.fd);
	return n > 0 && strstr(in, " 200 ");
}

static void stop_once(size_t i)
{
	char path[64], state;
	FILE *f;

	kill(worker[i], SIGSTOP);
	do {
		snprintf(path, sizeof(path), "/proc/%ld/stat",
		    (long)worker[i]);
		f = fopen(path, "r");
		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 'T';
		if (f)
			fclose(f);
	} while (state != 'T');
}

/* Not at a moment when it has the lock, which the other then waits for. */
static void stopped(size_t i)
{
	int tries;

	for (tries = 0; tries < 20; tries++) {
		stop_once(i);
		if (other_goes_on())
			return;
		kill(worker[i], SIGCONT);
		nap(5);
	}
}

/* A connection that worker i takes, with a request on it. It goes on once the
 * request has had an effect there: what the caller waits for. */
static int ask_worker(size_t i, const char *text)
{
	int fd;

	stopped(1 - i);
	fd = dial(proxy.port);
	say(fd, text);
	return fd;
}

static void go_on(void)
{
	kill(worker[0], SIGCONT);
	kill(worker[1], SIGCONT);
}

static const char *message(const char *session, const char *messages)
{
	static char all[8192];
	char body[4096];
	int n = snprintf(body, sizeof(body), "{\"model\":\"m\",\"max_tokens\":"
	    "64,\"stream\":true,\"messages\":[%s]}", messages);

	snprintf(all, sizeof(all), "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nContent-Type: application/json\r\n"
	    "X-Claude-Code-Session-Id: %s\r\nConnection: close\r\n"
	    "Content-Length: %d\r\n\r\n%s", session, n, body);
	return all;
}

static const char *get(const char *path)
{
	static char all[512];

	snprintf(all, sizeof(all), "GET %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n", path);
	return all;
}

/* The upstream's side of the request that was just asked. */
static int upstream_takes(void)
{
	struct pollfd p = { listener, POLLIN, 0 };
	char in[8192];
	int fd;

	if (poll(&p, 1, SOON_MS) <= 0 ||
	    (fd = accept(listener, NULL, NULL)) < 0)
		return -1;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	p.fd = fd;
	if (poll(&p, 1, SOON_MS) <= 0 || recv(fd, in, sizeof(in), 0) <= 0)
		T(0, "the upstream is asked");
	return fd;
}

/* One whole exchange, served by worker i. */
static int exchange(size_t i, const char *session, const char *messages)
{
	int fd = ask_worker(i, message(session, messages)), up, r;
	size_t n = 0;

	up = upstream_takes();
	say(up, begins);
	say(up, ends);
	close(up);
	r = read_until(fd, &n, "event: message_stop");
	close(fd);
	go_on();
	return r == 1;
}

static int fetch(size_t i, const char *path)
{
	int fd = ask_worker(i, get(path)), r;
	size_t n = 0;

	r = read_until(fd, &n, NULL);
	close(fd);
	go_on();
	return r == 0 && strncmp(answer, "HTTP/1.1 200", 12) == 0;
}

/* ---- the journal -------------------------------------------------------- */

static size_t read_journal(void)
{
	char path[128];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/structured.jsonl", proxy.logs);
	f = fopen(path, "r");
	if (f) {
		n = fread(file_text, 1, ROOM - 1, f);
		fclose(f);
	}
	file_text[n] = '\0';
	return n;
}

static size_t count(const char *in, const char *what)
{
	size_t n = 0;

	for (; (in = strstr(in, what)); in += strlen(what))
		n++;
	return n;
}

/* Waits for so many of it in the file. */
static int journal_has(const char *what, size_t n)
{
	int64_t end = now_ms() + SOON_MS;

	while (read_journal(), count(file_text, what) < n && now_ms() < end)
		nap(10);
	return count(file_text, what) == n;
}

/* A text member of the first line that has `in` in it, from *at on. */
static const char *member(const char **at, const char *in, const char *key,
    char *to, size_t size)
{
	const char *line = strstr(*at, in), *end;

	to[0] = '\0';
	if (!line)
		return to;
	while (line > file_text && line[-1] != '\n')
		line--;
	end = strchr(line, '\n');
	*at = end ? end : line + strlen(line);
	line = strstr(line, key);
	if (line && line < *at)
		snprintf(to, size, "%.*s", (int)strcspn(line + strlen(key),
		    "\",}"), line + strlen(key));
	return to;
}

/* Whole lines whose numbers go up by one. */
static int in_order(void)
{
	unsigned long long seq, last = 0;
	char *line = file_text, *end;

	for (; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end || end == line || end[-1] != '}' ||
		    sscanf(line, "{\"v\":1,\"seq\":%llu", &seq) != 1 ||
		    (last && seq != last + 1))
			return 0;
		last = seq;
	}
	return last > 0;
}

/* ---- cases -------------------------------------------------------------- */

#define USER(TEXT) "{\"role\":\"user\",\"content\":\"" TEXT "\"}"
#define SAID "{\"role\":\"assistant\",\"content\":\"half-said and done\"}"

static void one_session(void)
{
	static const char session[] = "11111111-2222-3333-4444-555555555555";
	char id[64], prev[64], turn[16], path[128];
	const char *at;
	int i;

	T(exchange(0, session, USER("one")) &&
	    exchange(1, session, USER("one") "," SAID "," USER("two")) &&
	    exchange(0, session, USER("one") "," SAID "," USER("two") ","
	    SAID "," USER("three")), "a session over both workers");
	T(journal_has("\"cdx.response\"", 3), "every answer in one file");
	T(in_order(), "numbers without gap or repetition");
	at = file_text;
	member(&at, "\"cdx.request\"", "\"id\":\"", id, sizeof(id));
	for (i = 2; i <= 3; i++) {
		const char *same = at;

		member(&same, "\"cdx.request\"", "\"cdx.prev\":\"", prev,
		    sizeof(prev));
		T(id[0] && strcmp(id, prev) == 0,
		    "request %d goes on from what the other worker served",
		    i);
		same = at;
		member(&same, "\"cdx.request\"", "\"cdx.turn\":", turn,
		    sizeof(turn));
		T_INT(atoi(turn), i, "turn %d is recognised as such", i);
		member(&at, "\"cdx.request\"", "\"id\":\"", id, sizeof(id));
	}
	snprintf(path, sizeof(path), "/dashboard/session/%s", session);
	for (i = 0; i < N; i++) {
		T(fetch((size_t)i, path) && count(answer, "cdx.request") == 3 &&
		    count(answer, "cdx.response") == 3,
		    "worker %d's page tells the whole session", i + 1);
		T(fetch((size_t)i, "/metrics") && strstr(answer,
		    "code=\"200\"} 3\n"), "worker %d's metrics add up", i + 1);
		T(fetch((size_t)i, "/health") && strstr(answer,
		    "\"requests\":3"), "so does its health");
	}
}

/* A reader at one worker sees an answer of the other as it comes. */
static void live_page(void)
{
	size_t n = 0, seen = 0;
	int page, fd, up;

	page = ask_worker(0, get("/dashboard/events?after=now"));
	T_INT(read_until(page, &n, "event: stat"), 1, "a stream of events");
	go_on();
	fd = ask_worker(1, message("live", USER("live")));
	up = upstream_takes();
	say(up, begins);
	go_on();
	T_INT(read_until(page, &n, "\"d\":\"half-said \""), 1,
	    "it shows what another worker's answer gained");
	T(!strstr(answer, "\"cdx.response\""), "before its end");
	say(up, ends);
	close(up);
	T_INT(read_until(page, &n, "\"cdx.response\""), 1, "and its end");
	T_INT(read_until(fd, &seen, "event: message_stop"), 1,
	    "which its client has got");
	close(page);
	close(fd);
}

static void killed(void)
{
	pid_t gone = worker[1];
	size_t n = 0;
	int a, b, up_a, up_b;

	a = ask_worker(0, message("a", USER("lives")));
	up_a = upstream_takes();
	say(up_a, begins);
	T_INT(read_until(a, &n, "half-said"), 1, "one stream");
	go_on();
	n = 0;
	b = ask_worker(1, message("b", USER("dies")));
	up_b = upstream_takes();
	say(up_b, begins);
	T_INT(read_until(b, &n, "half-said"), 1, "one at the other worker");
	go_on();
	kill(gone, SIGKILL);
	T_INT(read_until(b, &n, NULL), 0, "it ends with its worker");
	T(!strstr(answer, "message_stop") && !strstr(answer, "\r\n0\r\n"),
	    "and doesn't look complete");
	T(journal_has("\"cdx.outcome\":\"cut\"", 1) &&
	    strstr(file_text, "the worker that served this request died"),
	    "its record has an end");
	T(find_workers(gone), "another takes its place");
	n = 0;
	say(up_a, ends);
	T_INT(read_until(a, &n, "event: message_stop"), 1,
	    "the other stream went on");
	close(a);
	close(b);
	close(up_a);
	close(up_b);
	T(exchange(1, "c", USER("again")), "the new one serves");
	T(fetch(0, "/metrics") && strstr(answer,
	    "\nclaudecodex_requests_in_flight 0\n"), "nothing is in flight");
	T(fetch(1, "/dashboard/events?after=now") || strstr(answer,
	    "\"in_flight\":0,"), "as the page says");
	T(journal_has("\"cdx.response\"", 7) && in_order(),
	    "all of it in one file still");
}

static void reopened(void)
{
	char from[128], to[128];
	size_t i;

	snprintf(from, sizeof(from), "%s/structured.jsonl", proxy.logs);
	snprintf(to, sizeof(to), "%s/moved", proxy.logs);
	T(rename(from, to) == 0, "the file is moved away");
	kill(proxy.pid, SIGHUP);
	/* It is made with the first line that is written after. */
	for (i = 0; i < 50 && access(from, F_OK) != 0; i++)
		T(exchange(i % N, "d", USER("a line, perhaps before")),
		    "it goes on");
	T(access(from, F_OK) == 0, "SIGHUP: lines go to a new one");
}

/* Killed at any moment, also with the lock: whatever it was doing, the others
 * go on and every request has an end. */
static int open_files(pid_t pid)
{
	struct dirent *e;
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	d = opendir(path);
	while (d && (e = readdir(d)))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Connections that come together are shared; those that come while the other is
 * stopped are taken by the one that isn't. */
static void spread(void)
{
	int64_t end = now_ms() + SOON_MS;
	int fd[2 * SPREAD], before[N], took[N], i;

	/* One that has just begun still closes what isn't its own. */
	for (i = 0; i < N; i++)
		do {
			before[i] = open_files(worker[i]);
			nap(100);
		} while (open_files(worker[i]) != before[i]);
	for (i = 0; i < SPREAD; i++)
		fd[i] = dial(proxy.port);
	do {
		nap(10);
		for (i = 0; i < N; i++)
			took[i] = open_files(worker[i]) - before[i];
	} while (took[0] + took[1] < SPREAD && now_ms() < end);
	T(took[0] + took[1] == SPREAD && took[0] >= SPREAD / 4 &&
	    took[1] >= SPREAD / 4, "%d connections: %d and %d", SPREAD,
	    took[0], took[1]);
	stopped(1);
	for (i = SPREAD; i < 2 * SPREAD; i++)
		fd[i] = dial(proxy.port);
	end = now_ms() + SOON_MS;
	while (open_files(worker[0]) - before[0] < took[0] + SPREAD &&
	    now_ms() < end)
		nap(10);
	T_INT(open_files(worker[0]) - before[0], took[0] + SPREAD,
	    "who isn't stopped takes all that come");
	go_on();
	for (i = 0; i < 2 * SPREAD; i++)
		close(fd[i]);
}

static void storm(void)
{
	static const char body[] = "{\"model\":\"m\",\"max_tokens\":64,"
		"\"messages\":[" USER("Who are you?") "]}";
	size_t asked, whole = 0, cut = 0, n;
	char all[512];
	int fd, i, k;

	snprintf(all, sizeof(all), "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n"
	    "%s", strlen(body), body);
	for (k = 0; k < KILLS; k++) {
		for (i = 0; i < 40; i++) {
			if (i == 20 + 3 * k)
				kill(worker[k % N], SIGKILL);
			fd = dial(proxy.port);
			n = 0;
			say(fd, all);
			read_until(fd, &n, NULL);
			close(fd);
			if (strstr(answer, "\"stop_reason\":\""))
				whole++;
			else
				cut++;
		}
		T(find_workers(worker[k % N]), "replaced, time %d", k + 1);
	}
	T(cut <= KILLS && whole + cut == KILLS * 40,
	    "%zu of %d answers whole", whole, KILLS * 40);
	asked = (read_journal(), count(file_text, "\"cdx.request\""));
	T(asked >= whole && journal_has("\"cdx.response\"", asked),
	    "%zu requests, each with an end", asked);
	T(in_order(), "no line torn or lost");
	T(fetch(0, "/metrics") && strstr(answer,
	    "\nclaudecodex_requests_in_flight 0\n"), "none is left open");
}

static void drained(void)
{
	size_t n = 0;
	int a, b, up_a, up_b;
	char *stop_a;

	a = ask_worker(0, message("a", USER("one")));
	up_a = upstream_takes();
	say(up_a, begins);
	go_on();
	b = ask_worker(1, message("b", USER("two")));
	up_b = upstream_takes();
	say(up_b, begins);
	T_INT(read_until(b, &n, "half-said"), 1, "two streams");
	go_on();
	kill(proxy.pid, SIGTERM);
	kill(worker[0], SIGTERM);	/* as a service manager may do */
	while (dial(proxy.port) >= 0 && started_alive(&proxy))
		nap(10);
	T(started_alive(&proxy), "SIGTERM: nothing new, but it waits");
	say(up_a, ends);
	say(up_b, ends);
	T_INT(read_until(b, &n, "event: message_stop"), 1, "one finishes");
	n = 0;
	T_INT(read_until(a, &n, "event: message_stop"), 1, "so does the other");
	stop_a = strstr(answer, "event: error");
	T(!stop_a, "neither was cut");
	close(up_a);
	close(up_b);
	close(a);
	close(b);
}

static void told_twice(void)
{
	int64_t since;
	size_t n = 0;
	int a, up;

	a = ask_worker(0, message("a", USER("one")));
	up = upstream_takes();
	say(up, begins);
	T_INT(read_until(a, &n, "half-said"), 1, "a stream");
	go_on();
	since = now_ms();
	kill(proxy.pid, SIGTERM);
	while (dial(proxy.port) >= 0 && started_alive(&proxy))
		nap(10);
	kill(proxy.pid, SIGTERM);
	T_INT(read_until(a, &n, NULL), 0, "told twice it is cut");
	T(now_ms() - since < 4000, "at once");
	close(a);
	close(up);
}

/* Without the one that watches there is nobody: workers don't outlive it. */
static void orphans(void)
{
	int64_t end = now_ms() + SOON_MS;

	kill(proxy.pid, SIGKILL);
	waitpid(proxy.pid, &proxy.status, 0);
	while ((kill(worker[0], 0) == 0 || kill(worker[1], 0) == 0) &&
	    now_ms() < end)
		nap(10);
	T(kill(worker[0], 0) != 0 && kill(worker[1], 0) != 0,
	    "workers end with it");
}

static int begin(int upstream)
{
	char url[80];
	const char *const settings[] = { "WORKERS=2", "LLM_BACKEND=demo", NULL };
	const char *const with[] = { "WORKERS=2", url, "OPENAI_MODEL=m",
		"OPENAI_API_KEY=key-of-the-test", NULL };

	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    upstream_port);
	return T(start(&proxy, binary, upstream ? with : settings) &&
	    find_workers(0), "two workers start");
}

int main(int argc, char **argv)
{
	snprintf(binary, sizeof(binary), "%s", argc > 1 ? argv[1] :
	    "build/claudecodex");
	if (access("/proc/self/stat", R_OK) != 0) {
		printf("SKIPPED: workers, as there is no /proc\n");
		return 0;
	}
	signal(SIGPIPE, SIG_IGN);
	listener = listen_free(&upstream_port);
	if (begin(1)) {
		one_session();
		live_page();
		killed();
		reopened();
		drained();
		T(stop(&proxy, t_count.failed > 0), "it ends with status 0");
	}
	if (begin(1)) {
		told_twice();
		T(stop(&proxy, 0), "it ends with status 0");
	}
	if (begin(0)) {
		spread();
		storm();
		T(stop(&proxy, t_count.failed > 0), "it ends with status 0");
	}
	if (begin(0)) {
		orphans();
		remove_files(proxy.logs);
		remove_files(proxy.dir);
	}
	return t_done("workers");
}
