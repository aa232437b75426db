/* alarm.c -- ALERT_CMD of the running program, as its owner would use it.
 *
 *	build/tests/live/alarm [build/claudecodex]
 *
 * The upstream is a child of the test whose model calls a tool that nobody
 * offered, by a name made to be run, to command a terminal, or to be taken for
 * an option: each call is an alert.
 *
 * SPDX-License-Identifier: MIT */
#include "../unit/t.h"
#include "start.h"

enum { WAIT_MS = 9000 };

#define KEY "sk-proj-0123456789abcdefghijkl"

static const char *binary;
static struct started s;
static char url[64];
static pid_t upstream;

static void nap(long ms)
{
	poll(NULL, 0, (int)ms);
}

/* ---- the upstream ----------------------------------------------------- */

static void answer_all(int listener)
{
	static const char body[] = "{\"choices\":[{\"index\":0,\"message\":{"
	    "\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
	    "\"c1\",\"type\":\"function\",\"function\":{\"name\":\"$(touch "
	    "pwned);`touch pwned`\\u001b[2J -rf\",\"arguments\":\"{}\"}}]},"
	    "\"finish_reason\":\"tool_calls\"}]}";
	static char in[65536];
	ssize_t n, got;
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		for (got = 0; got == 0 || in[got - 1] != '}'; got += n)
			if ((n = recv(fd, in + got, sizeof in - (size_t)got,
			    0)) <= 0)
				break;
		dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json"
		    "\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		    sizeof body - 1, body);
		close(fd);
	}
	_exit(0);
}

static void begin_upstream(void)
{
	int port, listener = listen_free(&port);

	snprintf(url, sizeof url, "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    port);
	upstream = fork();
	if (upstream == 0)
		answer_all(listener);
	close(listener);
}

/* ---- the program ------------------------------------------------------ */

static int begin(const char *command, const char *more)
{
	const char *settings[] = { "OPENAI_MODEL=m", "OPENAI_API_KEY=" KEY,
	    url, command, "MONITOR_TOKEN=a-token-of-ours",
	    "AWS_SECRET_ACCESS_KEY=aws-secret-of-ours", "LC_ALL=C", more,
	    NULL };

	return T(start(&s, binary, settings), "the program starts");
}

static char *ask(const char *request)
{
	static char in[65536];
	struct pollfd p = { dial(s.port), POLLIN, 0 };
	size_t n = 0;
	ssize_t k;

	if (send(p.fd, request, strlen(request), MSG_NOSIGNAL) > 0)
		while (n < sizeof in - 1 && poll(&p, 1, WAIT_MS) > 0 &&
		    (k = recv(p.fd, in + n, sizeof in - 1 - n, 0)) > 0)
			n += (size_t)k;
	close(p.fd);
	in[n] = '\0';
	return in;
}

/* One alert. */
static void provoke(void)
{
	static const char body[] = "{\"model\":\"m\",\"max_tokens\":9,"
	    "\"tools\":[{\"name\":\"Bash\",\"input_schema\":{\"type\":"
	    "\"object\"}}],\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"go on\"}]}";
	char text[1024];

	snprintf(text, sizeof text, "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nConnection: close\r\nx-claude-code-session-id: "
	    "s/1\r\nContent-Length: %zu\r\n\r\n%s", sizeof body - 1, body);
	T(strncmp(ask(text), "HTTP/1.1 200", 12) == 0, "it serves");
}

static struct str read_one(const char *name)
{
	char path[256];
	struct str t;

	snprintf(path, sizeof path, "%s/%s", s.dir, name);
	t = t_file(path);
	return t.p ? t : S("");
}

static int has(struct str text, const char *words)
{
	return str_find(text, str_of(words)) < text.n;
}

/* Waits for words in a file of its folder. */
static int comes(const char *name, const char *words, int ms)
{
	int64_t end = now_ms() + ms;

	while (!has(read_one(name), words)) {
		if (now_ms() >= end)
			return 0;
		nap(20);
	}
	return 1;
}

static int figure(const char *outcome)
{
	static const char get[] = "GET /metrics HTTP/1.1\r\nHost: localhost"
	    "\r\nConnection: close\r\nAuthorization: Bearer a-token-of-ours"
	    "\r\n\r\n";
	char name[96], *at;

	snprintf(name, sizeof name, "claudecodex_alert_commands_total{"
	    "outcome=\"%s\"} ", outcome);
	at = strstr(ask(get), name);
	return at ? atoi(at + strlen(name)) : 0;
}

static int lines(const char *name)
{
	struct str t = read_one(name), one;
	int n = 0;

	while (str_cut(&t, '\n', &one))
		n++;
	return n;
}

/* ---- tests ------------------------------------------------------------ */

static int harmless(struct str t)
{
	size_t i;

	for (i = 0; i < t.n; i++)
		if ((unsigned char)t.p[i] < ' ' && t.p[i] != '\n')
			return 0;
	return 1;
}

/* Nothing but what a program needs to know about its owner. */
static int is_bare(struct str env)
{
	static const char *const own[] = { "ALERT_RULE", "ALERT_TEXT",
	    "ALERT_COUNT", "ALERT_URL", "ALERT_MISSED", "PATH", "HOME",
	    "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD" };
	struct str line, name;
	size_t i;

	while (str_cut(&env, '\n', &line) && line.n) {
		name = str_head(line, str_chr(line, '='));
		for (i = 0; i < COUNT(own); i++)
			if (str_eq(name, str_of(own[i])))
				break;
		if (i == COUNT(own)) {
			printf("\t%.*s\n", (int)line.n, line.p);
			return 0;
		}
	}
	return 1;
}

static void test_data(const char *sandbox)
{
	struct str got, env, line;
	char link[128];

	if (!begin("ALERT_CMD=env >got; echo \"[$ALERT_TEXT]\" >>got; cat >in; "
	    "echo $? >>in; id -u >out; echo end >>out", sandbox))
		return;
	provoke();
	T(comes("out", "end\n", WAIT_MS), "an alert runs the command");
	env = got = read_one("got");
	T(has(got, "ALERT_RULE=unknown_tool\n"), "the rule");
	T(has(got, "ALERT_TEXT=unknown_tool: $(touch pwned);`touch pwned`"),
	    "the text as it is");
	T(has(got, "-rf was not offered\n"), "to its end");
	T(has(got, "\n[unknown_tool: $(touch pwned);"), "in quotes too");
	T(has(got, "ALERT_COUNT=1\n") && has(got, "ALERT_MISSED=0\n"),
	    "figures");
	snprintf(link, sizeof link, "ALERT_URL=http://localhost:%d/dashboard"
	    "#/s/s%%2F1/r/req_", s.port);
	T(has(got, link) && has(got, "/new\n"), "a link to the step");
	T(harmless(got), "nothing that commands a terminal");
	env.n = str_find(env, S("\n[")) + 1;
	T(is_bare(env), "nothing else in its environment");
	T(!has(got, KEY) && !has(got, "of-ours"), "no key");
	line = read_one("in");
	T(str_starts(line, S("{\"v\":1,\"seq\":")) &&
	    has(line, "\"event\":\"cdx.alert\"") &&
	    has(line, "\"rule\":\"unknown_tool\"") &&
	    has(line, "}\n0\n"), "the line on its input, then its end");
	T_INT(lines("in"), 2, "one line");
	T(read_one("pwned").n == 0 && access("pwned", F_OK) != 0,
	    "what the model wrote was not run");
	snprintf(link, sizeof link, "%s/pwned", s.dir);
	T(access(link, F_OK) != 0, "nor there");
	T_INT(figure("ok"), 1, "it is counted");
	T(stop(&s, 0), "SIGTERM ends the program");
}

/* While one hangs others wait, then are dropped; requests feel nothing. */
static void test_hangs(void)
{
	int64_t began, longest = 0, t;
	pid_t left;
	int i;

	if (!begin("ALERT_CMD=echo on >>ran; sleep 300 & echo $! >left; "
	    "wait; echo never >>ran", NULL))
		return;
	provoke();
	T(comes("left", "\n", WAIT_MS), "one that hangs");
	for (i = 0; i < 20; i++) {
		began = now_ms();
		provoke();
		t = now_ms() - began;
		longest = t > longest ? t : longest;
	}
	T(longest < 2000, "no request waits for it: %ld ms", (long)longest);
	T(figure("dropped") >= 4, "sixteen wait, the others are dropped");
	T_INT(lines("ran"), 1, "one runs at a time");
	left = (pid_t)atoi(read_one("left").p);
	T(left > 0 && kill(left, 0) == 0, "it goes on");
	T(comes("output", "ALERT_CMD took longer than 10 seconds", 15000),
	    "until its time is over");
	for (i = 0; i < 100 && kill(left, 0) == 0; i++)
		nap(20);
	T(kill(left, 0) != 0, "what it started ends too");
	T(comes("ran", "on\non\n", WAIT_MS), "then the next");
	T(!has(read_one("ran"), "never"), "it didn't come to its end");
	T(figure("failed") >= 1, "counted as failed");
	T(stop(&s, 0), "SIGTERM ends the program, whatever it does");
}

static void test_absent(void)
{
	struct str out;
	int i;

	if (!begin("ALERT_CMD=/no/such/program --at-all", NULL))
		return;
	provoke();
	T(comes("output", "ALERT_CMD ended with status 127: there is no such",
	    WAIT_MS), "a command that isn't there is told");
	provoke();
	for (i = 0; i < 200 && figure("failed") < 2; i++)
		nap(20);
	T_INT(figure("failed"), 2, "the next alert tries again");
	out = read_one("output");
	out = str_from(out, str_find(out, S("status 127")) + 10);
	T(!has(out, "status 127"), "which is not told again");
	T(stop(&s, 0), "SIGTERM ends the program");
}

/* The end of the program takes nothing from one that runs, nor waits. */
static void test_end(void)
{
	char path[64], command[200];
	int64_t began;

	snprintf(path, sizeof path, "/tmp/claudecodex-alarm-%ld",
	    (long)getpid());
	snprintf(command, sizeof command, "ALERT_CMD=touch %s; sleep 2; echo "
	    "whole >%s", path, path);
	if (!begin(command, NULL))
		return;
	provoke();
	began = now_ms();
	while (access(path, F_OK) != 0 && now_ms() - began < WAIT_MS)
		nap(20);
	T(stop(&s, 0) && t_file(path).n == 0, "it ends without waiting");
	while (t_file(path).n == 0 && now_ms() - began < WAIT_MS)
		nap(50);
	T(has(t_file(path), "whole\n"), "and the command comes to its end");
	unlink(path);
}

int main(int argc, char **argv)
{
	binary = argc > 1 ? argv[1] : "build/claudecodex";
	signal(SIGPIPE, SIG_IGN);
	begin_upstream();
	test_data(NULL);
	test_data("SANDBOX=off");
	test_hangs();
	test_absent();
	test_end();
	kill(upstream, SIGKILL);
	waitpid(upstream, NULL, 0);
	return t_done("alarm");
}
