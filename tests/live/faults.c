/* faults.c -- the running program, with system calls that fail at random.
 *
 *	build/tests/live/faults [build/claudecodex [SEED [all]]]
 *
 * fault_shim.c makes them fail. In the first round they are interrupted, told to
 * wait or cut short, and the clock jumps by days and decades: nobody may notice,
 * every answer is whole. In the second connections are reset and refused,
 * descriptors and disk run out: an answer is whole or visibly isn't, and the
 * program lives, keeps no descriptor, and ends as it should. Both with one process
 * that serves, and with two.
 *
 * Then one at a time, by sweep_shim.c: each call fails once with each error that
 * it can give, at several places from start to end, in the program and in its
 * children. A start may be refused, with a reason; what has started answers,
 * says so to /health, and ends with status 0 and no child left. Those are about
 * five hundred runs, of which SWEPT are done, others each time, unless all are
 * asked for: make faults.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/http.h"
#include "../unit/t.h"
#include "start.h"

#include <sys/mman.h>
#include <sys/un.h>

#include "sweep_calls.h"

enum {
	MILD = 250, HARSH = 400,	/* requests */
	RATE_MILD = 6, RATE_HARSH = 12,	/* one call in so many */
	BIG = 60000,		/* bytes of some requests */
	ANSWER = 1 << 18,
	WAIT_MS = 5000,
	HUNG_MAX = 3,		/* then it is clear enough */
	SWEPT = 24,		/* of a sweep, where not all is asked for */
	PLACES = 4,		/* of a call's occurrences */
	GONE_MS = 3000,		/* for children after the end */
	CHILDREN_MAX = 32
};

struct counts { uint64_t mild, harsh; int64_t clock; };

static struct started proxy;
static struct counts *counts;
static char socket_path[sizeof((struct sockaddr_un *)0)->sun_path];
static char request[BIG + 1024], in_mem[ANSWER + 1], body_mem[ANSWER];
static int upstream_port;
static pid_t upstream;

#define PIECE(TEXT) "data: {\"choices\":[{\"index\":0,\"delta\":{" TEXT
static const char streamed[] = "HTTP/1.1 200 OK\r\nContent-Type: "
	"text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char pieces[] =
	PIECE("\"role\":\"assistant\",\"content\":\"alpha \"}}]}\n\n")
	PIECE("\"content\":\"beta \"}}]}\n\n")
	PIECE("\"content\":\"omega\"}}]}\n\n")
	PIECE("},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"
	"\"completion_tokens\":5,\"total_tokens\":8}}\n\n")
	"data: [DONE]\n\n";
static const char whole[] = "{\"choices\":[{\"index\":0,\"message\":{\"role\":"
	"\"assistant\",\"content\":\"alpha beta omega\"},\"finish_reason\":"
	"\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,"
	"\"total_tokens\":8}}";

/* ---- the upstream: a process a connection, which can't fail ------------- */

static size_t request_length(struct str in)
{
	static struct http_head h;
	size_t end = http_head_end(in, 0);
	const char *why;

	if (!end || http_request(&h, str_head(in, end), &why) != OK)
		return 0;
	return in.n >= end + h.length ? end + (size_t)h.length : 0;
}

static void serve(int fd)
{
	static char in[1 << 20], text[4096];
	struct str stream = S("\"stream\":true");
	size_t n = 0;
	ssize_t k;

	while ((k = recv(fd, in + n, sizeof(in) - n, 0)) > 0) {
		n += (size_t)k;
		if (!request_length((struct str){ in, n }))
			continue;
		if (str_find((struct str){ in, n }, stream) < n)
			snprintf(text, sizeof(text), "%s%zx\r\n%s\r\n0\r\n\r\n",
			    streamed, sizeof(pieces) - 1, pieces);
		else
			snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n"
			    "Content-Type: application/json\r\n"
			    "Content-Length: %zu\r\n\r\n%s",
			    sizeof(whole) - 1, whole);
		say(fd, text);
		n = 0;
	}
	_exit(0);
}

static void upstream_start(void)
{
	int l = listen_free(&upstream_port), fd;

	upstream = fork();
	if (upstream == 0) {
		signal(SIGCHLD, SIG_IGN);
		for (;;) {
			fd = accept(l, NULL, NULL);
			if (fd >= 0 && fork() == 0)
				serve(fd);
			close(fd);
			if (getppid() == 1)
				_exit(0);
		}
	}
	close(l);
}

/* ---- the client --------------------------------------------------------- */

enum verdict { LOST, REFUSED, CUT, GOOD, LIED };

static size_t make_request(int stream, size_t size)
{
	static char fill[BIG], body[BIG + 512];
	int n;

	memset(fill, 'x', size);
	fill[size] = '\0';
	n = snprintf(body, sizeof(body), "{\"model\":\"m\",\"max_tokens\":9,"
	    "\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"%s\"}]}", stream ? "true" : "false", fill);
	n = snprintf(request, sizeof(request), "POST /v1/messages HTTP/1.1\r\n"
	    "Host: localhost\r\nConnection: close\r\nContent-Type: "
	    "application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
	return (size_t)n;
}

/* Sends and reads to the end, and closes; bytes of the answer. -1: it hung. */
static long talk_on(int fd, size_t n)
{
	int64_t end = now_ms() + WAIT_MS;
	struct pollfd p = { fd, 0, 0 };
	size_t sent = 0, got = 0;
	ssize_t k = 1;

	while (p.fd >= 0 && k != 0 && got < ANSWER) {
		p.events = sent < n ? POLLIN | POLLOUT : POLLIN;
		if (now_ms() > end || poll(&p, 1, WAIT_MS) <= 0) {
			close(p.fd);
			return -1;
		}
		if (sent < n && p.revents & POLLOUT) {
			k = send(p.fd, request + sent, n - sent, MSG_NOSIGNAL);
			sent = k > 0 ? sent + (size_t)k : n;
			k = 1;
		}
		if (!(p.revents & ~POLLOUT))
			continue;
		k = recv(p.fd, in_mem + got, ANSWER - got, 0);
		if (k < 0 && errno == EAGAIN)
			k = 1;
		else
			got += k > 0 ? (size_t)k : 0;
		if (k < 0)
			break;
	}
	if (p.fd >= 0)
		close(p.fd);
	in_mem[got] = '\0';
	return (long)got;
}

static long talk(size_t n)
{
	return talk_on(dial(proxy.port), n);
}

static enum verdict judge(long got, int stream)
{
	static struct http_head h;
	struct str in = { in_mem, got > 0 ? (size_t)got : 0 }, piece;
	struct buf b = buf_on(body_mem, sizeof(body_mem));
	size_t end = http_head_end(in, 0);
	struct http_body body;
	const char *why;
	int r = OK, all;

	if (!end || http_response(&h, str_head(in, end), 0, &why) != OK)
		return LOST;
	http_body_init(&body, &h);
	in = str_from(in, end);
	while (r == OK && in.n) {
		r = http_body(&body, &in, &piece);
		if (r != E_BAD)
			buf_put(&b, piece);
	}
	if (h.status != 200)
		return str_find(buf_str(&b), S("\"type\":\"error\"")) < b.n ||
		    r != E_NONE ? REFUSED : LIED;
	all = str_find(buf_str(&b), S("alpha ")) < b.n &&
	    str_find(buf_str(&b), S("beta ")) < b.n &&
	    str_find(buf_str(&b), S("omega")) < b.n;
	if (r == E_NONE && str_find(buf_str(&b), stream ?
	    S("event: message_stop") : S("\"stop_reason\":\"end_turn\"")) < b.n)
		return all ? GOOD : LIED;
	/* Cut off, or ended by an error event: it must not look finished. */
	return str_find(buf_str(&b), S("message_stop")) < b.n && !all ? LIED :
	    CUT;
}

/* Children of it and theirs, once each. */
static size_t children(pid_t *pids)
{
	char path[64], line[512], *p;
	size_t n = 0, i, before;
	struct dirent *e;
	long pid, parent;
	FILE *f;
	DIR *d;

	do {
		before = n;
		d = opendir("/proc");
		while (d && (e = readdir(d)) && n < CHILDREN_MAX) {
			pid = strtol(e->d_name, NULL, 10);
			snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
			f = pid > 0 ? fopen(path, "r") : NULL;
			p = f && fgets(line, sizeof(line), f) ?
			    strrchr(line, ')') : NULL;
			if (f)
				fclose(f);
			parent = p ? strtol(p + 4, NULL, 10) : 0;
			for (i = 0; i < n && pids[i] != pid; i++)
				;
			if (i < n || !parent)
				continue;
			for (i = 0; i < n && pids[i] != parent; i++)
				;
			if (i < n || parent == proxy.pid)
				pids[n++] = (pid_t)pid;
		}
		if (d)
			closedir(d);
	} while (n > before);
	return n;
}

/* Of the program and its children. */
static int descriptors(void)
{
	pid_t pids[CHILDREN_MAX + 1];
	size_t i, many = children(pids);
	char path[64];
	int n = 0;
	DIR *d;

	pids[many++] = proxy.pid;
	for (i = 0; i < many; i++) {
		snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pids[i]);
		d = opendir(path);
		while (d && readdir(d) != NULL)
			n++;
		if (d)
			closedir(d);
	}
	return n;
}

static void round_of(const char *name, unsigned total, int harsh, int workers)
{
	/* A day on, a day back, about 1970, and about 2100. */
	static const int64_t clocks[] = { 0, 86400, -86400, -1795000000,
		INT64_C(2300000000) };
	unsigned seen[LIED + 1] = { 0 }, i, hung = 0;
	struct timespec nap = { 0, 300000000 };
	int before = descriptors(), after;
	enum verdict v;
	long got;

	counts->mild = counts->harsh = 0;
	for (i = 0; i < total; i++) {
		/* The wall clock jumps all the while: nobody may notice. */
		counts->clock = clocks[i / 10 % COUNT(clocks)];
		got = talk(make_request(i & 1, i % 10 == 9 ? BIG - 1 : 10));
		hung += got < 0;
		v = judge(got, i & 1);
		seen[v]++;
		if ((!harsh && v != GOOD) || v == LIED || got < 0)
			printf("%s, %u: %ld bytes: %.300s\n", name, i, got,
			    in_mem);
		if (!started_alive(&proxy) || hung == HUNG_MAX)
			break;
	}
	printf("%s: %lu interrupted, %lu failed; %u whole, %u refused, %u cut, "
	    "%u lost\n", name, (unsigned long)counts->mild,
	    (unsigned long)counts->harsh, seen[GOOD], seen[REFUSED],
	    seen[CUT], seen[LOST]);
	T(counts->mild > total, "%s: faults are made", name);
	T_INT(hung, 0, "%s: none hangs", name);
	T_INT(seen[LIED], 0, "%s: none looks finished that isn't", name);
	if (!harsh)
		T_INT(seen[GOOD], total, "%s: nobody notices", name);
	else
		T(counts->harsh > 20 && seen[GOOD] > total / 2,
		    "%s: most go well all the same", name);
	T(started_alive(&proxy), "%s: the program lives", name);
	nanosleep(&nap, NULL);
	after = descriptors();
	/* Connections to the upstream may rest in each pool. */
	T(after <= before + 3 * workers, "%s: descriptors, %d before, %d after", name,
	    before, after);
}

static int build_shim(const char *shim, const char *source)
{
	char command[512];
	const char *cc = getenv("CC");

	snprintf(command, sizeof(command), "%s -shared -fPIC -O1 -o %s "
	    "tests/live/%s", cc && *cc ? cc : "cc", shim, source);
	return system(command) == 0;
}

/* ---- one call at a time ------------------------------------------------- */

#define EACH(NAME, ...) { CALL_##NAME, { __VA_ARGS__ } }
static const struct {
	enum sweep_call call;
	int errors[10];
} sweeps[] = {
	EACH(accept, EINTR, ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM,
	    EPROTO, EPERM, ENETDOWN),
	EACH(bind, EACCES, EADDRINUSE, EADDRNOTAVAIL, ENOMEM),
	EACH(close, EINTR, EIO), EACH(dup, EMFILE), EACH(dup2, EMFILE, EBUSY),
	EACH(connect, ECONNREFUSED, EINTR, ENETUNREACH, EHOSTUNREACH,
	    ETIMEDOUT, EADDRNOTAVAIL, EAGAIN, EACCES, EPERM),
	EACH(fcntl, EMFILE, EINVAL), EACH(fdopendir, ENOMEM),
	EACH(flock, EWOULDBLOCK, EINTR, ENOLCK), EACH(fork, EAGAIN, ENOMEM),
	EACH(fstat, EIO, ENOMEM), EACH(fstatat, EIO, EACCES, ENOMEM),
	EACH(fsync, EIO, ENOSPC, EROFS), EACH(ftruncate, EIO, EPERM),
	EACH(getpeername, ENOBUFS, ENOTCONN),
	EACH(getrandom, EINTR, ENOSYS, EAGAIN),
	EACH(getsockname, ENOBUFS), EACH(getsockopt, ENOMEM, ENOPROTOOPT),
	EACH(ioctl, EINTR, ENOTTY), EACH(kill, EPERM, ESRCH),
	EACH(listen, EADDRINUSE, ENOMEM), EACH(madvise, EAGAIN, ENOMEM),
	EACH(mkdir, EACCES, ENOSPC, EROFS, ENOENT, EDQUOT),
	EACH(mkdirat, EACCES, ENOSPC, EROFS, ENOENT, EDQUOT),
	EACH(mmap, ENOMEM, EAGAIN, EPERM), EACH(munmap, ENOMEM),
	EACH(nanosleep, EINTR),
	EACH(open, EACCES, EMFILE, ENFILE, ENOENT, ENOSPC, EROFS, ENOMEM),
	EACH(openat, EACCES, EMFILE, ENFILE, ENOSPC, EROFS, EDQUOT, ENOMEM),
	EACH(poll, EINTR, ENOMEM), EACH(prctl, EINVAL, EPERM),
	EACH(pread, EINTR, EIO), EACH(read, EINTR, EIO), EACH(readdir, EIO),
	EACH(recv, EINTR, EAGAIN, ECONNRESET, ENOMEM, ETIMEDOUT),
	EACH(recvmsg, EINTR, ENOMEM, EMFILE),
	EACH(rename, EACCES, ENOSPC, EROFS),
	EACH(renameat, EACCES, ENOSPC, EROFS), EACH(select, EINTR, ENOMEM),
	EACH(send, EINTR, EAGAIN, ECONNRESET, EPIPE, ENOBUFS, ENOMEM),
	EACH(sendmsg, EINTR, EAGAIN, ECONNRESET, EPIPE, ENOBUFS, ENOMEM),
	EACH(setpgid, EPERM), EACH(setrlimit, EPERM), EACH(setsockopt, ENOMEM),
	EACH(shutdown, ENOTCONN), EACH(sigaction, EINVAL),
	EACH(sigprocmask, EINVAL),
	EACH(socket, EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES, EAFNOSUPPORT),
	EACH(socketpair, EMFILE, ENFILE, ENOMEM),
	EACH(stat, EACCES, ENOENT, EIO), EACH(syscall, ENOSYS, EPERM),
	EACH(unlink, EACCES, EROFS), EACH(unlinkat, EACCES, EROFS, ENOENT),
	EACH(waitpid, EINTR, ECHILD),
	EACH(write, EINTR, EIO, ENOSPC, EPIPE, EDQUOT)
};

#define SWEEP_NAME(NAME) #NAME,
static const char *const call_names[CALLS] = { SWEEP_CALLS(SWEEP_NAME) };
static const char *const role_names[SWEEP_ROLES] = { "program", "children" };

static struct sweep *sweep;
static unsigned swept, made, refused_start;

static int dial_file(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(a.sun_path, socket_path, sizeof(socket_path));
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* By the port and by the socket. */
static int healthy(void)
{
	int64_t end = now_ms() + WAIT_MS;
	struct timespec nap = { 0, 20000000 };
	int well = 0;
	size_t n;

	do {
		n = (size_t)snprintf(request, sizeof(request), "GET /health "
		    "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
		if (talk_on(well ? dial_file() : dial(proxy.port), n) > 0 &&
		    strncmp(in_mem, "HTTP/1.1 200", 12) == 0 && well++)
			return 1;
		nanosleep(&nap, NULL);
	} while (started_alive(&proxy) && now_ms() < end);
	return 0;
}

static int all_gone(const pid_t *pids, size_t n)
{
	int64_t end = now_ms() + GONE_MS;
	struct timespec nap = { 0, 5000000 };
	size_t i;

	for (i = 0; i < n; i++)
		while (kill(pids[i], 0) == 0) {
			if (now_ms() > end)
				return 0;
			nanosleep(&nap, NULL);
		}
	return 1;
}

/* What has started, to its end. NULL, or what was wrong. */
static const char *lives_and_ends(void)
{
	pid_t pids[CHILDREN_MAX];
	const char *wrong = NULL;
	size_t n;
	int i;

	for (i = 0; i < 4 && !wrong; i++) {
		long got = talk(make_request(i & 1, i == 2 ? BIG - 1 : 10));

		if (got < 0)
			wrong = "a request hangs";
		else if (judge(got, i & 1) == LIED)
			wrong = "an answer looks finished that isn't";
		if (i == 1)
			kill(proxy.pid, SIGHUP);
	}
	if (!wrong && !healthy())
		wrong = "/health doesn't answer";
	if (!started_alive(&proxy))
		wrong = "it ended before it was told to";
	n = children(pids);
	if (!stop(&proxy, 0) && !wrong)
		wrong = "SIGTERM doesn't end it with status 0";
	if (!all_gone(pids, n) && !wrong)
		wrong = "a child is left";
	return wrong;
}

static int said_why(void)
{
	struct stat st;

	return stat(proxy.output, &st) == 0 && st.st_size > 0;
}

static void sweep_one(const char *binary, const char *const *settings,
    size_t i, int error, unsigned nth, int role)
{
	const char *wrong = NULL;

	sweep->injected = 0;
	memset(sweep->count, 0, sizeof(sweep->count));
	start_quiet = 1;
	if (start(&proxy, binary, settings)) {
		wrong = lives_and_ends();
	} else {
		refused_start++;
		if (started_alive(&proxy))
			wrong = "it neither starts nor ends";
		else if (!WIFEXITED(proxy.status) ||
		    WEXITSTATUS(proxy.status) != 1)
			wrong = "a start refused without status 1";
		else if (!said_why())
			wrong = "a start refused without a word";
		start_quiet = wrong == NULL;
		stop(&proxy, wrong != NULL);
	}
	start_quiet = 0;
	swept++;
	made += sweep->injected;
	T(!wrong, "%s: call %u of %s fails with %s: %s", role_names[role], nth,
	    call_names[sweeps[i].call], strerror(error), wrong);
}

/* Occurrences from the first to the last. */
static unsigned place(unsigned count, int k)
{
	return 1 + (count - 1) * (unsigned)k / (PLACES - 1);
}

static void sweep_run(const char *binary, const char *shim, const char *file,
    unsigned long seed, int everything)
{
	static unsigned count[SWEEP_ROLES][CALLS];
	char preload[96], which[64] = "SWEEP=0 0 0 0", path[96], url[64];
	char local[sizeof(socket_path) + 16];
	const char *settings[] = { preload, which, path, url, local,
		"OPENAI_MODEL=m", "KEEPALIVE_TIMEOUT=2", "DRAIN_TIMEOUT=2",
		NULL };
	unsigned total = 0, pass, due = 0, n, at, last;
	size_t i, e;
	int role, k;

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", shim);
	snprintf(path, sizeof(path), "SWEEP_COUNT=%s", file);
	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    upstream_port);
	snprintf(local, sizeof(local), "SERVER_SOCKET=%s", socket_path);
	sweep_one(binary, settings, 0, 0, 0, 0);
	memcpy(count, sweep->count, sizeof(count));
	/* First to count them, then to make those whose turn it is. */
	for (pass = 0; pass < 2; pass++)
		for (due = 0, role = 0; role < SWEEP_ROLES; role++)
			for (i = 0; i < COUNT(sweeps); i++)
				for (e = 0; sweeps[i].errors[e]; e++)
					for (last = 0, k = 0; k < PLACES; k++) {
						n = count[role][sweeps[i].call];
						at = n ? place(n, k) : 0;
						if (at == last)
							continue;
						last = at;
						total += !pass;
						if (!pass || (!everything &&
						    (due++ + seed) %
						    (total / SWEPT + 1) != 0))
							continue;
						snprintf(which, sizeof(which),
						    "SWEEP=%d %d %u %d",
						    (int)sweeps[i].call,
						    sweeps[i].errors[e], at,
						    role);
						sweep_one(binary, settings, i,
						    sweeps[i].errors[e], at,
						    role);
					}
	printf("one call at a time: %u places, %u tried, %u failed as told; "
	    "%u starts refused with a reason\n", total, swept - 1, made,
	    refused_start);
	T(made > (swept - 1) / 2, "most of the calls were met");
	/* Whatever is left of it, the next one takes its place and removes it. */
	strcpy(which, "SWEEP=0 0 0 0");
	sweep_one(binary, settings, 0, 0, 0, 0);
	T(access(socket_path, F_OK) != 0, "no socket is left");
}

static void run(const char *binary, const char *shim, const char *file,
    unsigned long seed, int harsh, int workers)
{
	char preload[96], faults[64], count[96], url[64], many[32], name[64];
	const char *settings[] = { preload, faults, count, url, many,
		"OPENAI_MODEL=m", "KEEPALIVE_TIMEOUT=2", NULL };

	snprintf(many, sizeof(many), "WORKERS=%d", workers);
	snprintf(name, sizeof(name), "%s, %d at work", harsh ? "harsh" :
	    "mild", workers);

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", shim);
	snprintf(count, sizeof(count), "FAULT_COUNT=%s", file);
	snprintf(url, sizeof(url), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    upstream_port);
	snprintf(faults, sizeof(faults), "FAULTS=%lu %d %d", seed, harsh ?
	    RATE_HARSH : RATE_MILD, harsh);
	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	round_of(name, harsh ? HARSH : MILD, harsh, workers);
	T(stop(&proxy, 0), "SIGTERM ends it with status 0");
}

/* A file of n zero bytes that the program maps too. */
static void *shared_file(const char *path, size_t n)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *m = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)n) == 0)
		m = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		exit(1);
	close(fd);
	return m;
}

int main(int argc, char **argv)
{
	static char dir[] = "/tmp/claudecodex-faults-XXXXXX";
	const char *binary = argc > 1 ? argv[1] : "build/claudecodex";
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) :
	    (unsigned long)now_ms();
	char shim[64], file[64], other[64], counted[64];

	if (getenv("SANITIZE") || getenv("RUN")) {
		t_skip("faults: this build brings calls of its own");
		T(1, "nothing to run");
		return t_done("faults");
	}
	if (!mkdtemp(dir))
		return 1;
	snprintf(shim, sizeof(shim), "%s/shim.so", dir);
	snprintf(other, sizeof(other), "%s/sweep.so", dir);
	snprintf(file, sizeof(file), "%s/count", dir);
	snprintf(counted, sizeof(counted), "%s/sweep", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/socket", dir);
	counts = shared_file(file, sizeof(*counts));
	sweep = shared_file(counted, sizeof(*sweep));
	if (T(build_shim(shim, "fault_shim.c") &&
	    build_shim(other, "sweep_shim.c"), "the shims are built")) {
		printf("seed %lu\n", seed);
		upstream_start();
		run(binary, shim, file, seed, 0, 1);
		run(binary, shim, file, seed + 1, 1, 1);
		run(binary, shim, file, seed + 2, 0, 2);
		run(binary, shim, file, seed + 3, 1, 2);
		sweep_run(binary, other, counted, seed, argc > 3);
		kill(upstream, SIGKILL);
	}
	remove_files(dir);
	return t_done("faults");
}
