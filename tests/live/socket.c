/* socket.c -- SERVER_SOCKET: a Unix socket instead of a port, or beside one.
 *
 *	build/tests/live/socket [build/claudecodex]
 *
 * Its file: mode, what is replaced and what is not, when it goes. Who is served
 * there and who isn't: as root a child becomes another user and tries. Every
 * way in which the program looks for a running one. The upstream is the test
 * itself where an answer has to last. What listens on a port is found in /proc.
 *
 * SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700	/* posix_openpt, realpath */
#include "../unit/t.h"
#include "start.h"

#include <sys/un.h>

enum {
	ANSWER = 1 << 18, WAIT_MS = 8000, SOON_MS = 2000, FDS = 64,
	NOBODY = 65534
};

static char binary[4096], answer[ANSWER + 1], path[100], dir[64];
static struct started proxy;

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- running ------------------------------------------------------------ */

/* With nothing but these in its environment; output goes to proxy.output. */
static pid_t run(const char *arg, const char *more, const char *const *env)
{
	static char own[3][160];
	char *argv[4] = { binary, NULL, NULL, NULL }, *vars[START_ENV_MAX];
	size_t n = 0, i;
	int fd;
	pid_t pid;

	memcpy(&argv[1], &arg, sizeof argv[1]);
	memcpy(&argv[2], &more, sizeof argv[2]);
	snprintf(own[0], sizeof own[0], "SERVER_SOCKET=%s", path);
	snprintf(own[1], sizeof own[1], "HOME=%s", dir);
	snprintf(own[2], sizeof own[2], "TERM=xterm");
	/* The first of a name is the one that counts. */
	for (; env && *env; env++)
		memcpy(&vars[n++], env, sizeof vars[0]);
	for (i = 0; i < 3; i++)
		vars[n++] = own[i];
	vars[n] = NULL;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fd = open(proxy.output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		umask(0);	/* it must not depend on ours */
		if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0 ||
		    chdir(dir) != 0)
			_exit(126);
		execve(binary, argv, vars);
		_exit(127);
	}
	return pid;
}

static int status_of(pid_t pid)
{
	int64_t end = now_ms() + WAIT_MS;
	int status = -1;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() >= end) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
		nap(5);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int says(const char *text)
{
	struct str s = t_file(proxy.output);

	return s.p && str_find(s, str_of(text)) < s.n;
}

static int heard(const char *text)
{
	int64_t end = now_ms() + WAIT_MS;

	while (!says(text) && now_ms() < end)
		nap(20);
	return says(text);
}

static int dial_at(const char *where)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(u.sun_path, where, strlen(where) + 1);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (connect(fd, (struct sockaddr *)&u, sizeof u) == 0)
		return fd;
	close(fd);
	return -1;
}

/* A socket at a place, by the test; -1 when it can't. */
static int listen_at(const char *where)
{
	struct sockaddr_un u = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(u.sun_path, where, strlen(where) + 1);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (bind(fd, (struct sockaddr *)&u, sizeof u) == 0 &&
	    listen(fd, 8) == 0)
		return fd;
	close(fd);
	return -1;
}

static int begin(const char *const *env)
{
	int64_t end = now_ms() + WAIT_MS;
	int fd = -1;

	proxy.pid = run(NULL, NULL, env);
	while (started_alive(&proxy) && now_ms() < end && fd < 0) {
		fd = dial_at(path);
		if (fd < 0)
			nap(5);
	}
	close(fd);
	if (fd < 0)
		started_show(&proxy);
	return fd >= 0;
}

/* SIGTERM and its status. */
static int finish(void)
{
	kill(proxy.pid, SIGTERM);
	return status_of(proxy.pid);
}

static const char *const demo[] = { "LLM_BACKEND=demo", NULL };

/* ---- asking ------------------------------------------------------------- */

/* Reads until the end, or until text has come. */
static size_t read_all(int fd, const char *text)
{
	int64_t end = now_ms() + WAIT_MS;
	struct pollfd p = { fd, POLLIN, 0 };
	size_t n = 0;
	ssize_t k = 1;

	answer[0] = '\0';
	while (fd >= 0 && k > 0 && n < ANSWER && now_ms() < end &&
	    poll(&p, 1, (int)(end - now_ms())) > 0) {
		k = recv(fd, answer + n, ANSWER - n, 0);
		n += k > 0 ? (size_t)k : 0;
		answer[n] = '\0';
		if (text && strstr(answer, text))
			break;
	}
	return n;
}

static void say_message(int fd, const char *stream, const char *fields)
{
	char body[256], text[1024];

	snprintf(body, sizeof body, "{\"model\":\"claude-x\",\"max_tokens\":"
	    "99,\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"hello there\"}]}", stream);
	snprintf(text, sizeof text, "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\n%sConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
	    fields, strlen(body), body);
	say(fd, text);
}

/* The status of the answer, which is in answer. */
static int message(const char *stream, const char *fields)
{
	int fd = dial_at(path);

	say_message(fd, stream, fields);
	read_all(fd, NULL);
	close(fd);
	return strlen(answer) > 12 ? atoi(answer + 9) : 0;
}

static int get(const char *target, const char *fields)
{
	char text[512];
	int fd = dial_at(path);

	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\n%sConnection: close"
	    "\r\n\r\n", target, fields);
	say(fd, text);
	read_all(fd, NULL);
	close(fd);
	return strlen(answer) > 12 ? atoi(answer + 9) : 0;
}

#define OURS "Host: localhost\r\n"

/* How many of its descriptors listen on a port; -1: it can't be seen. */
static int ports_of(pid_t pid)
{
	static const char *const tables[] = { "/proc/net/tcp",
		"/proc/net/tcp6" };
	char name[64], link[64], inode[32];
	struct str text, line;
	int fd, found = 0;
	ssize_t n;
	size_t i;

	/* Its descriptors are root's to see: it isn't dumpable. */
	snprintf(name, sizeof name, "/proc/%ld/fd", (long)pid);
	if (access("/proc/net/tcp", R_OK) != 0 || access(name, X_OK) != 0 ||
	    geteuid() != 0)
		return -1;
	for (fd = 0; fd < FDS; fd++) {
		snprintf(name, sizeof name, "/proc/%ld/fd/%d", (long)pid, fd);
		n = readlink(name, link, sizeof link - 1);
		link[n > 0 ? n : 0] = '\0';
		if (strncmp(link, "socket:[", 8) != 0)
			continue;
		snprintf(inode, sizeof inode, " %ld ", atol(link + 8));
		for (i = 0; i < COUNT(tables); i++) {
			text = t_file(tables[i]);
			while (str_cut(&text, '\n', &line))
				found += str_find(line, str_of(inode)) <
				    line.n && str_find(line, S(" 0A ")) <
				    line.n;
		}
	}
	return found;
}

/* ---- tests -------------------------------------------------------------- */

static void test_alone(void)
{
	struct stat st;
	int ports;

	if (!T(begin(demo), "it listens on a socket"))
		return;
	T(lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) &&
	    (st.st_mode & 07777) == 0600, "its mode is 0600, not %o",
	    (unsigned)st.st_mode & 07777);
	T(heard("listening on unix:/"), "the start says where");
	T(heard("ANTHROPIC_UNIX_SOCKET=/") && !says("http://localhost:"),
	    "how to use it, and names no port");
	ports = ports_of(proxy.pid);
	if (ports < 0)
		t_skip("ports of a process: needs root and /proc");
	else
		T_INT(ports, 0, "no TCP port is open");
	T_INT(get("/health", OURS), 200, "a request is answered");
	T_INT(message("false", ""), 200, "a message is answered");
	T(strstr(answer, "\"type\":\"message\"") != NULL, "whole");
	T_INT(message("true", ""), 200, "a stream is answered");
	T(strstr(answer, "event: message_stop") != NULL, "to its end");
	T_INT(get("/health", "Host: evil.test\r\n"), 403,
	    "a foreign name is refused there too");
	T_INT(get("/health", OURS "Origin: http://evil.test\r\n"), 403,
	    "and a foreign origin");
	T_INT(get("/dashboard", OURS), 200, "the monitor is this machine's");
	T_INT(finish(), 0, "SIGTERM ends it with status 0");
	T(lstat(path, &st) != 0 && errno == ENOENT,
	    "the file is removed at the end");
}

static void test_both(void)
{
	static char port[32];
	static const char *const both[] = { "LLM_BACKEND=demo",
		"PROXY_API_KEY=0123456789abcdef", port, NULL };
	struct stat st;
	int number, fd, ports;

	close(listen_free(&number));
	snprintf(port, sizeof port, "SERVER_PORT=%d", number);
	if (!T(begin(both), "both"))
		return;
	fd = dial(number);
	T(fd >= 0, "the port is open beside the socket");
	close(fd);
	ports = ports_of(proxy.pid);
	T(ports != 0, "and would have been seen: %d", ports);
	T_INT(message("false", ""), 401, "PROXY_API_KEY is asked for");
	T_INT(message("false", "x-api-key: 0123456789abcdef\r\n"), 200,
	    "and taken");
	T_INT(finish(), 0, "ends");
	/* What fails at the port must leave no file. */
	fd = listen_free(&number);
	snprintf(port, sizeof port, "SERVER_PORT=%d", number);
	T_INT(status_of(run(NULL, NULL, both)), 1, "a port that is taken");
	T(lstat(path, &st) != 0, "no file is left");
	close(fd);
}

/* A start that must not go well, and leaves what is there as it is. */
static void refused(const char *what, const char *want)
{
	struct stat was, is;
	int there = lstat(path, &was) == 0;

	T_INT(status_of(run(NULL, NULL, demo)), 1, "%s: no start", what);
	if (!T(says(want), "%s: says \"%s\"", what, want))
		started_show(&proxy);
	T((lstat(path, &is) == 0) == there && (!there ||
	    (was.st_ino == is.st_ino && was.st_mode == is.st_mode)),
	    "%s: left as it is", what);
}

static void test_files(void)
{
	char other[120];
	struct stat st;
	FILE *f;
	int fd;

	fd = listen_at(path);
	T(fd >= 0, "somebody");
	refused("a living socket is refused", "somebody listens there");
	close(fd);
	T(lstat(path, &st) == 0, "his socket is left");
	T(begin(demo), "a stale socket is replaced");
	T_INT(get("/health", OURS), 200, "and serves");
	refused("a second start", "somebody listens there already");
	T_INT(get("/health", OURS), 200, "the first goes on");
	/* Somebody's own at its place is not its own to remove. */
	unlink(path);
	fd = listen_at(path);
	T_INT(finish(), 0, "ends");
	T(lstat(path, &st) == 0, "what isn't its own stays");
	close(fd);
	unlink(path);
	f = fopen(path, "w");
	if (f)
		fclose(f);
	refused("a file is refused", "no socket");
	unlink(path);
	snprintf(other, sizeof other, "%s/elsewhere", dir);
	T(symlink(other, path) == 0, "a link");
	refused("a link that leads nowhere", "no socket");
	T(lstat(other, &st) != 0, "nothing was made where it leads");
	close(listen_at(other));
	refused("a link to a stale socket", "no socket");
	unlink(path);
	unlink(other);
	if (geteuid() != 0) {
		t_skip("another user's socket: needs root");
		return;
	}
	close(listen_at(path));
	T(lchown(path, NOBODY, NOBODY) == 0, "another's");
	refused("another user's socket", "another user's");
	unlink(path);
}

static void test_directories(void)
{
	static const char *const long_path[] = { "LLM_BACKEND=demo",
		"SERVER_SOCKET=/tmp/0123456789012345678901234567890123456789"
		"01234567890123456789012345678901234567890123456789012345678"
		"90123456789", NULL };
	static const char *const nowhere[] = { "LLM_BACKEND=demo",
		"SERVER_SOCKET=/nonexistent/sock", NULL };

	chmod(dir, 0777);
	refused("a directory for all", "others may write");
	chmod(dir, 0770);
	refused("a directory for a group", "others may write");
	chmod(dir, 01777);
	T(begin(demo), "one with the sticky bit will do");
	T_INT(finish(), 0, "ends");
	chmod(dir, 0700);
	if (geteuid() == 0) {
		T(chown(dir, NOBODY, NOBODY) == 0, "another's");
		refused("a directory of another user's", "another user");
		T(chown(dir, 0, 0) == 0, "ours");
	} else {
		t_skip("another user's directory: needs root");
	}
	T_INT(status_of(run(NULL, NULL, long_path)), 1, "a long path");
	T(says("SERVER_SOCKET: is longer than"), "names the variable");
	T_INT(status_of(run(NULL, NULL, nowhere)), 1, "no directory");
	T(says("cannot listen on unix:/nonexistent/sock: its directory"),
	    "says so");
}

/* Killed, it can't end well; a process of its own tidies up. */
static void test_killed(void)
{
	int64_t end = now_ms() + SOON_MS;
	struct stat st;
	int status, i;

	/* It listens a moment before that process is there. */
	T(begin(demo) && heard("listening on unix:/"), "again");
	kill(proxy.pid, SIGKILL);
	waitpid(proxy.pid, &status, 0);
	while (lstat(path, &st) == 0 && now_ms() < end)
		nap(5);
	T(lstat(path, &st) != 0, "the file goes with one that was killed");
	/* Several at once: one of them serves, and is found. */
	for (i = 0; i < 4; i++) {
		pid_t one, two;

		close(listen_at(path));
		one = run(NULL, NULL, demo);
		two = run(NULL, NULL, demo);
		end = now_ms() + WAIT_MS;
		while (waitpid(one, &status, WNOHANG) == 0 &&
		    waitpid(two, &status, WNOHANG) == 0 && now_ms() < end)
			nap(5);
		T(WIFEXITED(status) && WEXITSTATUS(status) == 1,
		    "of two that start at once one is refused");
		T_INT(get("/health", OURS), 200, "and the other serves");
		if (kill(one, SIGTERM) == 0)
			waitpid(one, &status, 0);
		if (kill(two, SIGTERM) == 0)
			waitpid(two, &status, 0);
		T(lstat(path, &st) != 0, "until its end");
	}
}

/* ---- other users -------------------------------------------------------- */

/* In a child of another user: what asking comes to; 0: it couldn't. */
static int ask_as(unsigned uid)
{
	int pipes[2], status = 0;
	char out[4] = "";
	pid_t pid;

	if (pipe(pipes) != 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgid(uid) != 0 || setuid(uid) != 0)
			_exit(1);
		snprintf(out, sizeof out, "%d", get("/health", OURS));
		_exit(write(pipes[1], out, 3) != 3);
	}
	close(pipes[1]);
	if (read(pipes[0], out, 3) < 0)
		out[0] = '\0';
	close(pipes[0]);
	waitpid(pid, &status, 0);
	return atoi(out);
}

/* Another user listens: nothing is told to it. */
static void test_false_proxy(void)
{
	static const char *const key[] = { "PROXY_API_KEY=canary-0123456789",
		NULL };
	int pipes[2], fd, got = -1;
	pid_t pid, tail;
	char byte = 0;

	chmod(dir, 01777);
	if (pipe(pipes) != 0)
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct pollfd p;
		char in[64];

		umask(0);
		if (setuid(NOBODY) != 0 || (fd = listen_at(path)) < 0 ||
		    write(pipes[1], "x", 1) != 1)
			_exit(1);
		for (;;) {
			p.fd = accept(fd, NULL, NULL);
			p.events = POLLIN;
			if (poll(&p, 1, WAIT_MS) > 0 &&
			    recv(p.fd, in, sizeof in, 0) > 0 &&
			    write(pipes[1], "k", 1) != 1)
				_exit(1);
			close(p.fd);
		}
	}
	if (read(pipes[0], &byte, 1) == 1 && byte == 'x') {
		fcntl(pipes[0], F_SETFL, O_NONBLOCK);
		T_INT(status_of(run("--health", NULL, key)), 1,
		    "another user's proxy is not healthy");
		T(says("another user"), "says why");
		tail = run("tail", NULL, key);
		T(heard("no proxy of this user's"), "tail doesn't follow it");
		kill(tail, SIGTERM);
		status_of(tail);
		got = read(pipes[0], &byte, 1) > 0;
	}
	T_INT(got, 0, "and no key was told to it");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(pipes[0]);
	close(pipes[1]);
	unlink(path);
	chmod(dir, 0700);
}

static void test_users(void)
{
	if (geteuid() != 0) {
		t_skip("other users: needs root");
		return;
	}
	chmod(dir, 0711);
	if (!T(begin(demo), "for other users"))
		return;
	T_INT(ask_as(NOBODY), 0, "the mode keeps others out");
	chmod(path, 0666);
	T_INT(ask_as(NOBODY), 403, "where it was opened, their user does");
	T(heard("another user came by SERVER_SOCKET"), "it is said");
	T_INT(ask_as(0), 200, "its own user is served");
	T_INT(finish(), 0, "ends");
	T(access(path, F_OK) != 0, "a changed mode doesn't keep the file");
	chmod(dir, 0700);
	test_false_proxy();
}

/* ---- who looks for it --------------------------------------------------- */

static void test_top(void)
{
	char name[96], in[4096];
	int64_t end = now_ms() + WAIT_MS;
	int master = posix_openpt(O_RDWR | O_NOCTTY), slave, found = 0;
	char arg[] = "top", term[] = "TERM=xterm", *argv[] = { binary, arg,
		NULL }, *env[] = { term, name, NULL };
	ssize_t n;
	pid_t pid;

	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
		t_skip("top: no pseudo-terminal here");
		return;
	}
	fcntl(master, F_SETFD, FD_CLOEXEC);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	snprintf(name, sizeof name, "SERVER_SOCKET=%.80s", path);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		dup2(slave, 0);
		dup2(slave, 1);
		dup2(slave, 2);
		execve(binary, argv, env);
		_exit(127);
	}
	close(slave);
	while (!found && now_ms() < end) {
		struct pollfd p = { master, POLLIN, 0 };

		n = poll(&p, 1, 100) > 0 ? read(master, in, sizeof in - 1) : 0;
		in[n > 0 ? n : 0] = '\0';
		found = strstr(in, " requests, ") != NULL;
	}
	T(found, "top shows a proxy on the socket");
	kill(pid, SIGTERM);
	status_of(pid);
	close(master);
}

static void test_commands(void)
{
	static char logs[160];
	static const char *const logged[] = { "LLM_BACKEND=demo", logs, NULL };
	const char *again[] = { binary, "replay", "--model", "other", "--yes",
		NULL, NULL };
	char to[160], *argv[7], env_socket[160], *env[] = { env_socket, NULL };
	pid_t pid, tail;
	int fd;

	T_INT(status_of(run("--health", NULL, demo)), 1, "nobody is well");
	T(says("no such socket"), "says why");
	T_INT(status_of(run("--check", NULL, demo)), 0, "--check without one");
	T(says("nobody listens there yet"), "says so");
	chmod(dir, 0777);
	T_INT(status_of(run("--check", NULL, demo)), 1, "--check: no place");
	T(says("others may write") && says("FAILED"), "says why");
	chmod(dir, 0700);
	snprintf(logs, sizeof logs, "LOG_DIR=%s/logs", dir);
	if (!T(begin(logged), "with a log"))
		return;
	pid = proxy.pid;
	T_INT(status_of(run("--health", NULL, demo)), 0,
	    "--health finds it on the socket");
	T_INT(status_of(run("--check", NULL, demo)), 0, "--check");
	T(says("somebody listens there now"), "--check finds it too");
	tail = run("tail", "--old", NULL);
	T_INT(message("true", ""), 200, "a message");
	T(heard("-> main"), "tail follows it");
	T(heard("<- 200"), "to the answer's end");
	kill(tail, SIGTERM);
	T_INT(status_of(tail), 0, "ends when told");
	test_top();
	snprintf(to, sizeof to, "%s/logs", dir);
	again[5] = to;
	memcpy(argv, again, sizeof argv);
	snprintf(env_socket, sizeof env_socket, "SERVER_SOCKET=%s", path);
	nap(300);		/* the file is a moment behind */
	fflush(stdout);
	tail = fork();
	if (tail == 0) {
		fd = open(proxy.output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		dup2(fd, 1);
		dup2(fd, 2);
		execve(binary, argv, env);
		_exit(127);
	}
	T_INT(status_of(tail), 0, "replay asks it");
	T(says("1 steps, 0 failed"), "and is answered");
	proxy.pid = pid;
	T_INT(finish(), 0, "ends");
	remove_files(to);
}

/* ---- answers that last -------------------------------------------------- */

#define CHUNK(TEXT) "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\"," \
	"\"model\":\"m\",\"choices\":[{\"index\":0," TEXT "}]}\n\n"

static const char begins[] = "HTTP/1.1 200 OK\r\nContent-Type: "
	"text/event-stream\r\nConnection: close\r\n\r\n"
	CHUNK("\"delta\":{\"role\":\"assistant\",\"content\":\"half-said \"},"
	"\"finish_reason\":null");
static const char ends[] =
	CHUNK("\"delta\":{\"content\":\"and done\"},\"finish_reason\":null")
	CHUNK("\"delta\":{},\"finish_reason\":\"stop\"") "data: [DONE]\n\n";

/* The upstream's end of a request, its head read. */
static int taken(int listener)
{
	struct pollfd p = { listener, POLLIN, 0 };
	char in[4096];
	int fd;

	if (poll(&p, 1, WAIT_MS) <= 0)
		return -1;
	fd = accept(listener, NULL, NULL);
	p.fd = fd;
	if (poll(&p, 1, WAIT_MS) > 0 && recv(fd, in, sizeof in, 0) <= 0)
		return -1;
	return fd;
}

static int ends_soon(int fd)
{
	int64_t end = now_ms() + SOON_MS;
	struct pollfd p = { fd, POLLIN, 0 };
	char in[4096];

	while (now_ms() < end && poll(&p, 1, (int)(end - now_ms())) > 0)
		if (recv(fd, in, sizeof in, 0) <= 0)
			return 1;
	return 0;
}

static void test_ends(const char *workers)
{
	static char url[64];
	static const char *env[] = { "OPENAI_MODEL=m", url, NULL, NULL };
	struct stat st;
	int port, listener = listen_free(&port), client, up, i;

	env[2] = workers;
	snprintf(url, sizeof url, "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    port);
	if (!T(begin(env), "with an upstream, %s", workers))
		return;
	for (i = 0; i < 2; i++) {
		client = dial_at(path);
		say_message(client, i ? "true" : "false", "");
		up = taken(listener);
		T(up >= 0, "asked upstream");
		if (i) {
			say(up, begins);
			read_all(client, "half-said");
		}
		close(client);
		T(ends_soon(up), "gone %s: the upstream sees it",
		    i ? "in a stream" : "before an answer");
		close(up);
		client = dial_at(path);
		say_message(client, "false", "");
		up = taken(listener);
		shutdown(client, SHUT_WR);
		read_all(client, "102 ");
		close(client);
		T(ends_soon(up), "gone after its direction's end: that too");
		close(up);
		client = dial_at(path);
		say_message(client, "true", "");
		shutdown(client, SHUT_WR);
		up = taken(listener);
		if (i)
			nap(200);
		say(up, begins);
		say(up, ends);
		close(up);
		read_all(client, NULL);
		T(strstr(answer, "message_stop") != NULL,
		    "one that ended its direction is answered");
		close(client);
	}
	client = dial_at(path);
	say_message(client, "true", "");
	up = taken(listener);
	say(up, begins);
	read_all(client, "half-said");
	kill(proxy.pid, SIGHUP);
	kill(proxy.pid, SIGTERM);
	for (i = 0; i < SOON_MS && lstat(path, &st) == 0; i += 5)
		nap(5);
	T(lstat(path, &st) != 0, "SIGTERM: the file goes at once");
	i = listen_at(path);
	T(i >= 0, "and its place is free for another");
	say(up, ends);
	close(up);
	read_all(client, NULL);
	T(strstr(answer, "message_stop") != NULL, "what runs may end");
	close(client);
	T_INT(status_of(proxy.pid), 0, "status 0");
	T(lstat(path, &st) == 0, "the other's file stays");
	close(i);
	unlink(path);
	close(listener);
}

int main(int argc, char **argv)
{
	if (!realpath(argc > 1 ? argv[1] : "build/claudecodex", binary)) {
		perror("build/claudecodex");
		return 1;
	}
	strcpy(dir, "/tmp/claudecodex-socket-XXXXXX");
	if (!mkdtemp(dir))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	snprintf(path, sizeof path, "%s/sock", dir);
	snprintf(proxy.output, sizeof proxy.output, "%s.out", dir);
	test_alone();
	test_both();
	test_files();
	test_directories();
	test_killed();
	test_users();
	test_commands();
	test_ends("WORKERS=1");
	test_ends("WORKERS=2");
	unlink(proxy.output);
	remove_files(dir);
	return t_done("socket");
}
