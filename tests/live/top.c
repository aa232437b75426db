/* top.c -- claudecodex top on a terminal: what is on the screen.
 *
 *	build/tests/live/top [build/claudecodex]
 *
 * The other end of a pseudo-terminal is a small emulator that keeps the screen
 * as a person would see it and knows only the sequences that top has a reason
 * to send: any other one came from a text that commands the terminal. The
 * upstream is the test itself, so that answers last as long as it likes.
 *
 * SPDX-License-Identifier: MIT */
#define _XOPEN_SOURCE 700	/* posix_openpt, realpath */
#define _DEFAULT_SOURCE		/* TIOCSWINSZ */
#include <sys/ioctl.h>
#include <termios.h>

#include "../unit/t.h"
#include "start.h"

enum { COLS = 200, ROWS = 60, WAIT_MS = 8000 };

static char binary[4096];
static struct started program;
static int upstream, master = -1;

/* ---- the terminal ----------------------------------------------------- */

static struct screen {
	char cell[ROWS][COLS + 1];
	int cols, rows, x, y;
	int frames;		/* since the size changed: the first of them may
				 * not know it yet */
	int other, hidden, nowrap;	/* as ?1049, ?25 and ?7 say */
	unsigned strange;		/* sequences that top has no use for */
	char seq[32];
	size_t nseq;			/* of an unfinished one */
} tty;

static void blank(int y, int from)
{
	memset(tty.cell[y] + from, ' ', (size_t)(COLS - from));
}

static void clear_below(void)
{
	int y;

	blank(tty.y, tty.x);
	for (y = tty.y + 1; y < ROWS; y++)
		blank(y, 0);
}

static void command(const char *seq)
{
	static const char *const modes[] = { "?1049", "?25", "?7" };
	int *mode[] = { &tty.other, &tty.hidden, &tty.nowrap };
	size_t n = strlen(seq) - 1, i;
	char last = seq[n];

	if (last == 'm')
		return;
	if (last == 'H' && n == 0) {
		tty.x = tty.y = 0;
		tty.frames++;
	} else if (last == 'K' && n == 0) {
		blank(tty.y, tty.x);
	} else if (last == 'J' && n == 0) {
		clear_below();
	} else if (strcmp(seq, "2J") == 0) {
		tty.x = tty.y = 0;
		clear_below();
	} else {
		for (i = 0; i < COUNT(modes); i++)
			if (strlen(modes[i]) == n && memcmp(modes[i], seq,
			    n) == 0 && (last == 'h' || last == 'l')) {
				*mode[i] = i ? last == 'l' : last == 'h';
				return;
			}
		tty.strange++;
	}
}

static void take(unsigned char c)
{
	if (tty.nseq) {
		if (tty.nseq == 1 && c != '[') {
			tty.strange++;
			tty.nseq = 0;
			return;
		}
		if (tty.nseq < sizeof tty.seq - 1)
			tty.seq[tty.nseq++] = (char)c;
		if (tty.nseq > 2 && c >= 0x40) {
			tty.seq[tty.nseq] = '\0';
			command(tty.seq + 2);
			tty.nseq = 0;
		}
	} else if (c == 033) {
		tty.seq[tty.nseq++] = (char)c;
	} else if (c == '\r') {
		tty.x = 0;
	} else if (c == '\n') {
		if (tty.y < tty.rows - 1)
			tty.y++;
		else if (tty.frames > 1)
			tty.strange++;	/* it would scroll the head away */
	} else if (c < ' ') {
		tty.strange++;
	} else if ((c & 0xc0) != 0x80 && tty.x < tty.cols) {
		tty.cell[tty.y][tty.x++] = c < 0x80 ? (char)c : '?';
	}
}

static void resize(int cols, int rows)
{
	struct winsize w = { 0 };

	tty.cols = cols;
	tty.rows = rows;
	tty.frames = 0;
	w.ws_col = (unsigned short)cols;
	w.ws_row = (unsigned short)rows;
	ioctl(master, TIOCSWINSZ, &w);
}

static void look(int ms)
{
	struct pollfd p = { master, POLLIN, 0 };
	unsigned char in[4096];
	ssize_t n, i;

	if (poll(&p, 1, ms) <= 0 || (n = read(master, in, sizeof in)) <= 0)
		return;
	for (i = 0; i < n; i++)
		take(in[i]);
}

/* Waits until the screen has a text in some line, or in none. The line, or
 * -1. */
static int shown(const char *text, int wanted)
{
	int64_t end = now_ms() + WAIT_MS;
	int y;

	do {
		for (y = 0; y < tty.rows; y++)
			if (strstr(tty.cell[y], text))
				break;
		if ((y < tty.rows) == wanted)
			return wanted ? y : 0;
		look(50);
	} while (now_ms() < end);
	return -1;
}

static void print_screen(void)
{
	int y;

	for (y = 0; y < 8; y++)
		printf("\t|%.100s\n", tty.cell[y]);
}

/* ---- top -------------------------------------------------------------- */

static int open_terminal(void)
{
	int slave, y;

	memset(&tty, 0, sizeof tty);
	for (y = 0; y < ROWS; y++)
		blank(y, 0);
	master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
		return -1;
	fcntl(master, F_SETFD, FD_CLOEXEC);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	resize(160, 24);
	return slave;
}

static pid_t run_top(int slave)
{
	static char name[] = "top", term[] = "TERM=xterm";
	char port[32], *argv[] = { binary, name, NULL };
	char *env[] = { port, term, NULL };
	pid_t pid;

	snprintf(port, sizeof port, "SERVER_PORT=%d", program.port);
	pid = fork();
	if (pid == 0) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		dup2(slave, 0);
		dup2(slave, 1);
		dup2(slave, 2);
		execve(binary, argv, env);
		_exit(127);
	}
	return pid;
}

static int ended(pid_t pid)
{
	int64_t end = now_ms() + WAIT_MS;
	int status = -1;

	while (waitpid(pid, &status, WNOHANG) == 0 && now_ms() < end)
		look(20);
	if (now_ms() >= end) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		return -1;
	}
	look(0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- both sides of the proxy ------------------------------------------ */

static int ask(const char *words)
{
	char content[512], text[1024];
	int fd = dial(program.port), n;

	n = snprintf(content, sizeof content, "{\"model\":\"claude-opus-5-5\","
	    "\"max_tokens\":999,\"stream\":true,\"messages\":[{\"role\":"
	    "\"user\",\"content\":\"%s\"}]}", words);
	n = snprintf(text, sizeof text, "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
	    n, content);
	T(fd >= 0 && send(fd, text, (size_t)n, 0) == n, "asked");
	return fd;
}

static void give(int fd, const char *text)
{
	T(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text),
	    "the upstream says something");
}

/* The proxy's connection, its request read. */
static int serve(void)
{
	struct pollfd p = { upstream, POLLIN, 0 };
	char in[65536];
	size_t n = 0;
	ssize_t k;
	int fd;

	if (poll(&p, 1, WAIT_MS) != 1)
		return -1;
	fd = accept(upstream, NULL, NULL);
	p.fd = fd;
	while (n < sizeof in - 1 && poll(&p, 1, WAIT_MS) == 1 &&
	    (k = recv(fd, in + n, sizeof in - 1 - n, 0)) > 0) {
		n += (size_t)k;
		in[n] = '\0';
		if (strstr(in, "\r\n\r\n") && in[n - 1] == '}')
			break;
	}
	give(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
	    "Connection: close\r\n\r\ndata: {\"choices\":[{\"index\":0,"
	    "\"delta\":{\"content\":\"so\"}}]}\n\n");
	return fd;
}

/* ---- tests ------------------------------------------------------------ */

static void test_rows(void)
{
	int y, client, server;

	client = ask("fix \\u001b[2J\\u001b]0;me\\u0007 the \\u202elogin");
	server = serve();
	y = shown("the \\u{202e}login", 1);
	T(y >= 3, "a row for the request, with its words as a text");
	T(shown("\\u{001b}[2J", 1) == y, "all of them");
	T(shown(" main ", 1) == y && shown("claude-opus-5-5", 1) == y,
	    "its class and model");
	T(shown(" text ", 1) == y, "what its answer is at");
	T(shown("1 in flight, 1 requests, 0 errors", 1) == 0,
	    "the head counts");
	resize(70, 24);
	T(shown("login", 0) == 0, "narrow: no room for the words");
	T(shown(" text ", 1) == y, "the rest stays");
	resize(70, 4);
	T(shown("id     class", 1) == 2 && shown(" text ", 0) == 0,
	    "low: no line is written that would scroll");
	while (tty.frames < 4)
		look(WAIT_MS);
	resize(180, 40);
	T(shown("the \\u{202e}login", 1) == y, "wide again: all of it");
	give(server, "data: {\"choices\":[{\"index\":0,\"delta\":{},"
	    "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
	close(server);
	T(shown("end_turn", 1) == y, "how it ended");
	T(shown("0 in flight", 1) == 0, "the head again");
	T(shown("end_turn", 0) == 0, "after a moment it is gone");
	close(client);
	client = ask("another");
	server = serve();
	T(shown("another", 1) >= 3, "another one");
	close(server);
	T(shown("api_error", 1) >= 3 || shown("overloaded_error", 1) >= 3,
	    "a failure is called one");
	close(client);
}

static int same(const struct termios *a, const struct termios *b)
{
	return a->c_lflag == b->c_lflag && a->c_iflag == b->c_iflag &&
	    a->c_cc[VMIN] == b->c_cc[VMIN] &&
	    a->c_cc[VTIME] == b->c_cc[VTIME];
}

static void test_top(int how)
{
	struct termios before, while_, after;
	int slave = open_terminal();
	pid_t pid;

	if (slave < 0) {
		t_skip("no pseudo-terminal here");
		return;
	}
	tcgetattr(slave, &before);
	pid = run_top(slave);
	T(shown("claudecodex", 1) == 0 && shown("in flight", 1) == 0,
	    "it connects");
	T(tty.other && tty.hidden && tty.nowrap, "on a screen of its own");
	tcgetattr(slave, &while_);
	T(!(while_.c_lflag & (ICANON | ECHO)), "keys come one by one");
	if (how == 'q')
		test_rows();
	if (how == SIGTERM)
		kill(pid, SIGTERM);
	else if (how == 3)
		T(write(master, "\003", 1) == 1, "^C");
	else
		T(write(master, "xq", 2) == 2, "a key that says nothing; q");
	T_INT(ended(pid), 0, "it ends");
	T(!tty.other && !tty.hidden && !tty.nowrap,
	    "the screen is given back");
	tcgetattr(slave, &after);
	T(same(&before, &after), "and the keyboard");
	T_INT(tty.strange, 0, "no sequence but top's own");
	if (t_count.failed)
		print_screen();
	close(slave);
	close(master);
}

int main(int argc, char **argv)
{
	static char url[64];
	const char *const settings[] = { "OPENAI_MODEL=m", url, NULL };
	const char *name = argc > 1 ? argv[1] : "build/claudecodex";
	int port;

	signal(SIGPIPE, SIG_IGN);
	if (!realpath(name, binary)) {
		perror(name);
		return 1;
	}
	upstream = listen_free(&port);
	snprintf(url, sizeof url, "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    port);
	if (T(start(&program, binary, settings), "the program starts")) {
		test_top('q');
		test_top(3);
		test_top(SIGTERM);
		T(stop(&program, 0), "SIGTERM ends it");
	}
	return t_done("top");
}
