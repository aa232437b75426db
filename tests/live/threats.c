/* threats.c -- what a web page, a cloned repository, another user of the machine
 * or a careless start could do, tried on the running program.
 *
 *	build/tests/live/threats [build/claudecodex]
 *
 * Every path against foreign names and origins; how it starts with what it must
 * refuse; what its terminal gets to see; what it leaves open. The monitor's
 * pages have tests of their own in page.c, the rights of the process in
 * sandbox.c.
 *
 * SPDX-License-Identifier: MIT */
#include "../unit/t.h"
#include "start.h"

enum { ANSWER = 1 << 16, WAIT_MS = 2000, END_MS = 6000 };

static const char *binary;
static char answer[ANSWER + 1];
static struct started proxy;

/* Sends text, reads until the end or for ms; the status, 0 for none. */
static int ask(int port, const char *text, int ms)
{
	int64_t end = now_ms() + ms;
	struct pollfd p = { dial(port), POLLIN, 0 };
	size_t n = 0;
	ssize_t k = 1;

	if (p.fd < 0 || send(p.fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		k = 0;
	while (k != 0 && n < ANSWER && now_ms() < end &&
	    poll(&p, 1, (int)(end - now_ms())) > 0) {
		k = recv(p.fd, answer + n, ANSWER - n, 0);
		if (k < 0)
			break;
		n += (size_t)k;
	}
	if (p.fd >= 0)
		close(p.fd);
	answer[n] = '\0';
	return n > 12 ? atoi(answer + 9) : 0;
}

static int get(const char *method, const char *target, const char *fields)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\n%sConnection: close"
	    "\r\n\r\n", method, target, fields);
	return ask(proxy.port, text, WAIT_MS);
}

/* FN-49: DNS rebinding, cross-site requests: before routing, on every path. */
static void test_web_pages(void)
{
	static const char *const paths[] = {
		"/", "/health", "/metrics", "/v1/models", "/v1/messages",
		"/v1/messages/count_tokens", "/api/hello",
		"/api/event_logging/batch", "/dashboard", "/dashboard/app.js",
		"/nowhere", "/%2e%2e/dashboard", "//health"
	};
	static const char *const foreign[] = {
		"Host: evil.test\r\n",
		"Host: localhost.evil.test\r\n",
		"Host: 192.168.1.10\r\n",
		"Host: localhost\r\nOrigin: http://evil.test\r\n",
		"Host: localhost\r\nOrigin: null\r\n",
		"Host: localhost\r\nOrigin: http://localhost.evil.test\r\n",
		"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"
	};
	static const char *const methods[] = { "GET", "OPTIONS", "HEAD" };
	size_t i, k, m;
	int status;

	for (i = 0; i < COUNT(paths); i++)
		for (k = 0; k < COUNT(foreign); k++)
			for (m = 0; m < COUNT(methods); m++) {
				status = get(methods[m], paths[i], foreign[k]);
				T(status == 403 || status == 421, "%s %s, "
				    "%.60s: %d", methods[m], paths[i],
				    foreign[k], status);
				T(!strstr(answer, "ccess-control-allow"),
				    "and no leave to read it");
			}
	status = get("GET", "http://evil.test/health", "Host: localhost\r\n");
	T(status == 403 || status == 421 || status == 400,
	    "a foreign absolute form: %d", status);
	T_INT(get("GET", "/health", "Host: localhost\r\n"), 200,
	    "and our own names are served");
}

static int file_has(const char *path, const char *text)
{
	struct str s = t_file(path);

	return s.p && str_find(s, str_of(text)) < s.n;
}

/* Names, prompts and headers on the way to a terminal. */
static void test_terminal(void)
{
	static const char body[] = "{\"model\":\"claude-\\u001b[31mX\\r\\nforged"
		" line\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\","
		"\"content\":\"a\\u001b]0;title\\u0007\\nb\\u009b\"}]}";
	char text[1024];

	snprintf(text, sizeof(text), "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nUser-Agent: a\tb\r\nX-Claude-Code-Session-Id: s%%0d%%0a"
	    "\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
	    sizeof(body) - 1, body);
	T(ask(proxy.port, text, WAIT_MS) >= 200, "an odd model gets an answer");
	T(file_has(proxy.output, "forged"), "its name is shown");
	T(!file_has(proxy.output, "\nforged"), "on the line it belongs to");
	T(!file_has(proxy.output, "\033") && !file_has(proxy.output, "\007") &&
	    !file_has(proxy.output, "\302\233"), "without control characters");
}

static void test_process(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/limits", (long)proxy.pid);
	if (!file_has(path, "Max core file size"))
		t_skip("limits of a process: no /proc here");
	else
		T(file_has(path, "Max core file size        0 "),
		    "no core files");
	snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)proxy.pid);
	T(!file_has(path, "canary"), "no key among the arguments");
}

/* A start that must not go well; the reason is among what it says. */
static void refused(const char *what, const char *a, const char *b,
    const char *c, const char *want)
{
	char dir[] = "/tmp/claudecodex-threats-XXXXXX", out[64], arg[4096];
	char port[32], one[256], two[256], three[256], home[64];
	char *env[] = { port, home, one, two, three, NULL };
	char *argv[] = { arg, NULL };
	int64_t end = now_ms() + END_MS;
	struct timespec nap = { 0, 20000000 };
	int status = -1, fd;
	pid_t pid;

	if (!mkdtemp(dir))
		return;
	snprintf(out, sizeof(out), "%s/output", dir);
	snprintf(home, sizeof(home), "HOME=%s", dir);
	snprintf(port, sizeof(port), "SERVER_PORT=%d", proxy.port);
	snprintf(one, sizeof(one), "%s", a);
	snprintf(two, sizeof(two), "%s", b);
	snprintf(three, sizeof(three), "%s", c);
	snprintf(arg, sizeof(arg), "%s", binary);
	fd = open(out, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	pid = fork();
	if (pid == 0) {
		dup2(fd, 1);
		dup2(fd, 2);
		execve(binary, argv, env);
		_exit(127);
	}
	close(fd);
	while (waitpid(pid, &status, WNOHANG) == 0 && now_ms() < end)
		nanosleep(&nap, NULL);
	if (now_ms() >= end) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	T(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%s: refused to "
	    "start", what);
	T(file_has(out, want), "%s: says \"%s\"", what, want);
	T(!file_has(out, "canary"), "%s: shows no key", what);
	remove_files(dir);
}

static void test_starts(void)
{
	refused("a port that is taken", "LLM_BACKEND=demo", "A=", "B=",
	    "already in use");
	refused("all addresses without a key", "SERVER_HOST=0.0.0.0",
	    "LLM_BACKEND=demo", "SERVER_PORT=0", "PROXY_API_KEY");
	refused("all IPv6 addresses without a key", "SERVER_HOST=::",
	    "LLM_BACKEND=demo", "SERVER_PORT=0", "PROXY_API_KEY");
	refused("a key that would add a field",
	    "OPENAI_API_KEY=sk-canary\r\nX-Other: 1", "OPENAI_MODEL=m", "A=",
	    "OPENAI_API_KEY");
	refused("the same of the proxy's own key",
	    "PROXY_API_KEY=sk-canary\nX: 1", "LLM_BACKEND=demo", "A=",
	    "PROXY_API_KEY");
}

/* --check in the folder of a .env of that mode. */
static void test_env_file(const char *path, mode_t mode)
{
	char out[96], arg[4096], env_demo[] = "LLM_BACKEND=demo";
	char check[] = "--check", *argv[] = { arg, check, NULL };
	char *env[] = { env_demo, NULL };
	int status = 0, fd;
	pid_t pid;

	snprintf(arg, sizeof(arg), "%s", binary);
	snprintf(out, sizeof(out), "%s/out", proxy.dir);
	chmod(path, mode);
	fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	pid = fork();
	if (pid == 0) {
		dup2(fd, 1);
		dup2(fd, 2);
		if (chdir(proxy.dir) == 0)
			execve(binary, argv, env);
		_exit(127);
	}
	close(fd);
	waitpid(pid, &status, 0);
	T(file_has(out, "can be read by other users") == ((mode & 077) != 0),
	    "a .env that others can read is warned of: mode %o",
	    (unsigned)mode);
	T(!file_has(out, "canary-file"), "and its key not shown");
}

/* Started all the same, but with a word. */
static void test_warnings(void)
{
	static const char *const wide[] = { "LLM_BACKEND=demo",
		"SERVER_HOST=0.0.0.0", "PROXY_API_KEY=canary-wide", NULL };
	char path[96];
	FILE *f;

	if (!T(start(&proxy, binary, wide), "all addresses, with a key"))
		return;
	T(get("GET", "/health", "Host: localhost\r\n") == 200, "it serves");
	T(file_has(proxy.output, "listening beyond this machine"),
	    "it warns of listening beyond this machine");
	T(!file_has(proxy.output, "canary-wide"), "without the key");
	T(stop(&proxy, 0), "SIGTERM ends it");
	/* The environment names the folder of its .env: the one before. */
	if (!T(mkdir(proxy.dir, 0700) == 0, "its folder"))
		return;
	snprintf(path, sizeof(path), "%s/.env", proxy.dir);
	f = fopen(path, "w");
	if (f) {
		fputs("OPENAI_API_KEY=canary-file\n", f);
		fclose(f);
	}
	test_env_file(path, 0644);
	test_env_file(path, 0600);
	remove_files(proxy.dir);
}

/* Descriptors 0 to 2 closed: no connection may get their numbers, where a
 * message for the console would end up in it. */
static void test_closed(void)
{
	char arg[4096], env_port[32], env_demo[] = "LLM_BACKEND=demo";
	char *argv[] = { arg, NULL }, *env[] = { env_port, env_demo, NULL };
	char path[64], link[64];
	struct timespec nap = { 0, 20000000 };
	int64_t end = now_ms() + END_MS;
	int port, i, status = 0;
	ssize_t n;
	pid_t pid;

	close(listen_free(&port));
	snprintf(arg, sizeof(arg), "%s", binary);
	snprintf(env_port, sizeof(env_port), "SERVER_PORT=%d", port);
	pid = fork();
	if (pid == 0) {
		for (i = 0; i < 3; i++)
			close(i);
		execve(binary, argv, env);
		_exit(127);
	}
	while (ask(port, "GET /health HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n", WAIT_MS) != 200 && now_ms() < end)
		nanosleep(&nap, NULL);
	T(now_ms() < end, "closed 0 to 2: it serves");
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "/proc/%ld/fd/%d", (long)pid, i);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (n > 0)
			T(strcmp(link, "/dev/null") == 0, "closed %d is %s", i,
			    link);
	}
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	T(WIFEXITED(status) && WEXITSTATUS(status) == 0, "closed 0 to 2: ends");
}

int main(int argc, char **argv)
{
	static const char *const settings[] = { "LLM_BACKEND=demo",
		"OPENAI_API_KEY=sk-canary-0123456789abcdef", NULL };
	static char full[8192];
	char here[4096];

	binary = argc > 1 ? argv[1] : "build/claudecodex";
	if (binary[0] != '/' && getcwd(here, sizeof(here))) {
		snprintf(full, sizeof(full), "%s/%s", here, binary);
		binary = full;
	}
	if (!T(start(&proxy, binary, settings), "it starts"))
		return t_done("threats");
	test_web_pages();
	test_terminal();
	test_process();
	test_starts();
	T(stop(&proxy, 0), "SIGTERM ends it with status 0");
	test_closed();
	test_warnings();
	return t_done("threats");
}
