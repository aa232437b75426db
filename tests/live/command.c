/* command.c -- tail, top and report of the built program.
 *
 *	build/tests/live/command [build/claudecodex]
 *
 * Each runs as its owner would run it, with its output in a pipe. What models
 * and tools wrote must not command the terminal, and damage must be told by
 * line and byte.
 *
 * SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700	/* realpath */
#include "../unit/t.h"
#include "start.h"

enum { OUTPUT = 1 << 20, WAIT_MS = 8000 };

static char said[OUTPUT];
static size_t nsaid;
static char binary[4096];
static struct started program;
static char file[128];

#define LINE(SEQ, EVENT, ID, REST) "{\"v\":1,\"seq\":" SEQ ",\"ts\":" \
	"\"2026-11-25T13:10:26.123Z\",\"event\":\"" EVENT "\",\"id\":\"" ID \
	"\"" REST "}\n"

static const char journal[] =
	LINE("1", "cdx.request", "req_aaaaaa1", ",\"gen_ai.conversation.id\":"
	"\"s-one\",\"cdx.class\":\"main\",\"gen_ai.request.model\":\"big\","
	"\"cdx.preview\":\"fix \\u001b[2J\\u202ethe login\",\"cdx.turn\":1,"
	"\"cdx.step\":1,\"cdx.tool_results\":[]")
	LINE("2", "cdx.upstream", "req_aaaaaa1", ",\"attempt\":1,"
	"\"cdx.model.served\":\"small\"")
	LINE("3", "cdx.response", "req_aaaaaa1", ",\"gen_ai.conversation.id\":"
	"\"s-one\",\"http.response.status_code\":200,\"error.type\":null,"
	"\"cdx.stop_reason\":\"tool_use\",\"gen_ai.usage.input_tokens\":12000,"
	"\"gen_ai.usage.cache_read.input_tokens\":9000,"
	"\"gen_ai.usage.output_tokens\":300,\"cdx.cost_usd\":0.0123,"
	"\"cdx.cache.cause\":\"tools_changed\",\"cdx.tool_calls\":[{"
	"\"gen_ai.tool.name\":\"Bash\",\"bytes\":9}],\"cdx.t\":{\"accept\":0,"
	"\"first\":0.5,\"done\":2.5},\"cdx.preview\":\"I \\u001b]0;see\"")
	LINE("4", "cdx.request", "req_bbbbbb2", ",\"gen_ai.conversation.id\":"
	"\"s-two\",\"cdx.class\":\"main\",\"gen_ai.request.model\":\"big\","
	"\"cdx.preview\":\"other\",\"cdx.tool_results\":[{"
	"\"gen_ai.tool.call.id\":\"t1\",\"gen_ai.tool.name\":\"Bash\",\"ms\":"
	"742,\"by\":\"client\",\"error\":true,\"bytes\":310}]")
	LINE("5", "cdx.alert", "req_aaaaaa1", ",\"rule\":\"repeat_call\","
	"\"count\":4,\"detail\":\"Bash npm test\"");

static const char damage[] = "{\"v\":1,\"seq\":6,\"ts\"\n"
	LINE("7", "cdx.first", "req_bbbbbb2", "")
	"{\"v\":1,\"seq\":8,";

/* ---- running ------------------------------------------------------------ */

static pid_t run(int *out, const char *const *args)
{
	char port[32];
	char *argv[8], *env[4];
	size_t n = 1;
	int pipes[2];
	pid_t pid;

	snprintf(port, sizeof port, "SERVER_PORT=%d", program.port);
	if (pipe(pipes) != 0)
		exit(1);
	argv[0] = binary;
	while (*args && n < COUNT(argv) - 1)
		memcpy(&argv[n++], args++, sizeof argv[0]);
	argv[n] = NULL;
	env[0] = port;
	env[1] = NULL;
	pid = fork();
	if (pid == 0) {
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		close(pipes[0]);
		execve(binary, argv, env);
		_exit(127);
	}
	close(pipes[1]);
	*out = pipes[0];
	nsaid = 0;
	return pid;
}

/* Reads until text has come, or the end, or the time is over. */
static int heard(int out, const char *text)
{
	int64_t end = now_ms() + WAIT_MS;
	struct pollfd p = { out, POLLIN, 0 };
	ssize_t n;

	for (;;) {
		if (text && str_find((struct str){ said, nsaid },
		    str_of(text)) < nsaid)
			return 1;
		if (now_ms() >= end || poll(&p, 1, (int)(end - now_ms())) <= 0)
			return 0;
		n = read(out, said + nsaid, sizeof said - nsaid);
		if (n <= 0)
			return text == NULL;
		nsaid += (size_t)n;
	}
}

static int ended(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* To its end. Returns its status. */
static int whole(const char *a, const char *b, const char *c)
{
	const char *args[] = { a, b, c, NULL };
	int out, status;
	pid_t pid = run(&out, args);

	heard(out, NULL);
	close(out);
	status = ended(pid);
	return status;
}

static int says(const char *text)
{
	return str_find((struct str){ said, nsaid }, str_of(text)) < nsaid;
}

static int harmless(void)
{
	return !says("\033") && !says("\xe2\x80\xae");
}

static void write_file(const char *a, const char *b)
{
	FILE *f = fopen(file, "w");

	if (f) {
		fputs(a, f);
		fputs(b, f);
		fclose(f);
	}
}

/* ---- tests -------------------------------------------------------------- */

static void test_report(void)
{
	write_file(journal, "");
	T_INT(whole("report", file, NULL), 0, "a report");
	T(says("5 lines\n"), "lines: %.*s", (int)nsaid, said);
	T(says("s-one") && says("s-two"), "sessions");
	T(says("in 12.0k (75% cached)  out 300  $0.0123"), "sums");
	T(says("fix \\u{001b}[2J\\u{202e}the login"), "texts as texts");
	T(harmless(), "that command no terminal");
	T(says("small") && says("first 500 ms  total 2.5 s"), "the model");
	T(says("1 loops"), "how fit it is");
	T(says("Bash") && says("1 calls  1 errors  mean 742 ms"), "the tool");
	T(says("tools_changed") && says("repeat_call"), "causes and alerts");
	T_INT(whole("report", "--html", file), 0, "as a page");
	T(says("</html>") && !says("<script"), "whole, without script");
	T(harmless(), "and harmless");
}

static void test_damage(void)
{
	char where[64];

	write_file(journal, damage);
	T_INT(whole("report", file, NULL), 0, "a damaged file");
	snprintf(where, sizeof where, "damaged: line 6, byte %zu: ",
	    sizeof journal - 1);
	T(says(where), "line and byte: %.*s", (int)nsaid, said);
	T(says("damaged: line 8"), "the last, cut");
	T(says("6 lines  2 damaged"), "the others count");
	write_file("nothing of ours\n", "\x01\x02\n");
	T_INT(whole("report", file, NULL), 1, "a foreign file");
	write_file("", "");
	T_INT(whole("report", file, NULL), 1, "an empty one");
	T_INT(whole("report", "/nonexistent/file", NULL), 1, "none");
	T(says("cannot open"), "says so");
	T_INT(whole("report", NULL, NULL), 2, "no name");
	T_INT(whole("report", "--what", NULL), 2, "an unknown option");
	T_INT(whole("tail", "--what", NULL), 2, "of tail too");
	T_INT(whole("top", NULL, NULL), 2, "top needs a terminal");
}

static void test_tail_file(void)
{
	const char *const plain[] = { "tail", file, NULL };
	const char *const one[] = { "tail", "-s", "s-two", "--json", file,
		NULL };
	char moved[160];
	FILE *f;
	pid_t pid;
	int out;

	write_file(journal, "");
	pid = run(&out, plain);
	T(heard(out, "repeat_call"), "what is there");
	T(says("aaaaa1 -> main T1.1 big"), "a request: %.*s", (int)nsaid,
	    said);
	T(says("aaaaa1 | I \\u{001b}]0;see"), "its answer's beginning");
	T(says("<- 200 tool_use, first 500 ms, total 2.5 s, in 12.0k (9000 "
	    "cached), out 300, $0.0123, cache miss: tools_changed, "
	    "calls Bash"), "its end");
	T(says("< Bash 742 ms, 310 B, error"), "a tool's result");
	T(harmless(), "harmless");
	f = fopen(file, "a");
	if (f) {
		fputs(LINE("6", "cdx.alert", "req_c", ",\"rule\":\"late\""),
		    f);
		fclose(f);
	}
	T(heard(out, "late"), "and what is added");
	snprintf(moved, sizeof moved, "%s.1", file);
	T(rename(file, moved) == 0, "it is finished");
	write_file(LINE("7", "cdx.alert", "req_d", ",\"rule\":\"rotated\""),
	    "");
	T(heard(out, "rotated"), "and the one that follows it");
	unlink(moved);
	kill(pid, SIGTERM);
	T_INT(ended(pid), 0, "ends when told");
	close(out);
	write_file(journal, "");
	pid = run(&out, one);
	T(heard(out, "\"seq\":4"), "one session's lines");
	T(!says("\"seq\":3,"), "alone");
	kill(pid, SIGINT);
	T_INT(ended(pid), 0, "ends by ^C");
	close(out);
}

static void send_message(void)
{
	static const char content[] = "{\"model\":\"claude-opus-5-5\","
		"\"max_tokens\":999,\"stream\":true,\"messages\":[{\"role\":"
		"\"user\",\"content\":\"hello there\"}]}";
	char text[1024];
	int fd = dial(program.port);
	struct pollfd p = { fd, POLLIN, 0 };

	snprintf(text, sizeof text, "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
	    sizeof content - 1, content);
	T(send(fd, text, strlen(text), 0) == (ssize_t)strlen(text), "asked");
	while (poll(&p, 1, WAIT_MS) > 0 && recv(fd, text, sizeof text, 0) > 0)
		continue;
	close(fd);
}

static void test_tail_proxy(void)
{
	static const char *const settings[] = { "LLM_BACKEND=demo",
		"LOG_BODIES=all", NULL };
	const char *const args[] = { "tail", "--old", NULL };
	const char *again[] = { "replay", "--model", "other", program.logs,
		NULL, NULL };
	pid_t pid;
	int out, i;

	close(listen_free(&program.port));
	pid = run(&out, args);
	T(heard(out, "no proxy answers"), "nobody there: it waits");
	if (!T(start(&program, binary, settings), "the program starts"))
		return;
	kill(pid, SIGTERM);
	ended(pid);
	close(out);
	pid = run(&out, args);
	send_message();
	T(heard(out, "<- 200 end_turn"), "an answer's end");
	T(says("-> main") && says("\"hello there\""), "its request");
	T(says("| I am the demo model"), "its words");
	kill(pid, SIGTERM);
	T_INT(ended(pid), 0, "ends when told");
	close(out);
	/* The file is a moment behind the console. */
	for (i = 0; i < 20 && (whole("report", program.logs, NULL) != 0 ||
	    i < 2); i++)
		poll(NULL, 0, 100);
	T(says("1 steps"), "its journal as a report: %.*s", (int)nsaid, said);
	pid = run(&out, again);
	heard(out, NULL);
	close(out);
	T_INT(ended(pid), 2, "a replay asks first");
	T(says("would send 1 requests"), "and says what: %.*s", (int)nsaid,
	    said);
	again[4] = "--yes";
	pid = run(&out, again);
	heard(out, NULL);
	close(out);
	T_INT(ended(pid), 0, "then it is sent");
	T(says("then  text") && says("now   text") &&
	    says("1 steps, 0 failed"), "and compared: %.*s", (int)nsaid, said);
	stop(&program, 0);
}

/* Answers one request after the other, each with a text of SIZE bytes. */
static void answer_at_length(int listener)
{
	enum { SIZE = 300000 };
	static char text[SIZE + 1], in[65536];
	ssize_t n, got;
	int fd;

	memset(text, 'w', SIZE);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		for (got = 0; got == 0 || in[got - 1] != '}'; got += n)
			if ((n = recv(fd, in + got, sizeof in - (size_t)got,
			    0)) <= 0)
				break;
		dprintf(fd, "HTTP/1.1 200 OK\r\nContent-Type: application/json"
		    "\r\nConnection: close\r\n\r\n{\"choices\":[{\"index\":0,"
		    "\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},"
		    "\"finish_reason\":\"stop\"}]}", text);
		close(fd);
	}
}

static void test_long_answer(void)
{
	static char url[64];
	const char *const settings[] = { "OPENAI_MODEL=m", url, NULL };
	const char *const args[] = { "replay", "--model", "other", "--yes",
		program.logs, NULL };
	int port, listener = listen_free(&port), out, i;
	pid_t child, pid;

	snprintf(url, sizeof url, "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    port);
	child = fork();
	if (child == 0)
		answer_at_length(listener);
	close(listener);
	if (T(start(&program, binary, settings), "the program starts")) {
		send_message();
		for (i = 0; i < 20 && (whole("report", program.logs, NULL) !=
		    0 || !says("1 steps")); i++)
			poll(NULL, 0, 100);
		pid = run(&out, args);
		heard(out, NULL);
		close(out);
		T_INT(ended(pid), 0, "a long answer is replayed");
		T(says("then  text, 300.0 KB") && says("now   text, 300.0 KB"),
		    "whole: %.*s", (int)nsaid, said);
		stop(&program, 0);
	}
	kill(child, SIGKILL);
	ended(child);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "build/claudecodex";

	signal(SIGPIPE, SIG_IGN);
	if (!realpath(name, binary)) {
		perror(name);
		return 1;
	}
	snprintf(file, sizeof file, "/tmp/claudecodex-journal-%d",
	    (int)getpid());
	test_report();
	test_damage();
	test_tail_file();
	unlink(file);
	test_tail_proxy();
	test_long_answer();
	return t_done("command");
}
