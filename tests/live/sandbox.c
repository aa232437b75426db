/* sandbox.c -- what the running program can't do, tried in its own process.
 *
 *	build/tests/live/sandbox [build/claudecodex]
 *
 * As a debugger would, the test stops the program in its wait and has it make
 * system calls of the test's choice: what an attacker could do who runs code
 * in there. Then it goes on and must still serve. Linux on x86-64; needs to be
 * allowed to trace, as root or a debugger is.
 *
 * SPDX-License-Identifier: MIT */
#include "../unit/t.h"
#include "start.h"

#if defined(__linux__) && defined(__x86_64__)

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

enum { SCRATCH = 8192 };	/* below the stack pointer */

static struct started proxy;
static struct user_regs_struct kept;

static int attach(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0)
		return 0;
	waitpid(pid, &status, 0);
	return ptrace(PTRACE_GETREGS, pid, NULL, &kept) == 0;
}

static void detach(pid_t pid)
{
	ptrace(PTRACE_SETREGS, pid, NULL, &kept);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

static void poke(pid_t pid, unsigned long at, const char *text, size_t n)
{
	unsigned long word;
	size_t i;

	for (i = 0; i < n; i += sizeof(word)) {
		word = 0;
		memcpy(&word, text + i, n - i < sizeof(word) ? n - i :
		    sizeof(word));
		ptrace(PTRACE_POKEDATA, pid, at + i, word);
	}
}

/* The instruction before is the system call in which it waited; it is made
 * once more with other numbers. text goes to where s says so: -1. */
static long call(pid_t pid, long number, const char *text, long a, long b,
    long c, long d)
{
	unsigned long at = (kept.rsp - SCRATCH) & ~15ul;
	struct user_regs_struct r = kept;
	int status;

	poke(pid, at, text, strlen(text) + 1);
	r.rip = kept.rip - 2;
	r.orig_rax = (unsigned long)-1;	/* nothing to be restarted */
	r.rax = (unsigned long)number;
	r.rdi = a == -1 ? at : (unsigned long)a;
	r.rsi = b == -1 ? at : (unsigned long)b;
	r.rdx = (unsigned long)c;
	r.r10 = (unsigned long)d;
	ptrace(PTRACE_SETREGS, pid, NULL, &r);
	ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	ptrace(PTRACE_GETREGS, pid, NULL, &r);
	return (long)r.rax;
}

static int healthy(void)
{
	static const char ask[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
		"Connection: close\r\n\r\n";
	char in[512] = "";
	struct pollfd p = { dial(proxy.port), POLLIN, 0 };
	ssize_t n = 0;

	if (send(p.fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) > 0 &&
	    poll(&p, 1, 4000) > 0)
		n = recv(p.fd, in, sizeof(in) - 1, 0);
	close(p.fd);
	return n > 0 && strstr(in, " 200 ");
}

static int status_has(pid_t pid, const char *line)
{
	char path[64], text[4096] = "";
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	f = fopen(path, "r");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = '\0';
	return strstr(text, line) != NULL;
}

/* watches: it is the one that watches over workers, which may do more. */
static void test_calls(pid_t pid, int watches)
{
	static const struct {
		const char *what, *text;
		long number, a, b, c, d, want;
	} calls[] = {
		{ "read a file", "/etc/passwd", SYS_openat, AT_FDCWD, -1,
		    O_RDONLY, 0, -EPERM },
		{ "read its environment", "/proc/self/environ", SYS_openat,
		    AT_FDCWD, -1, O_RDONLY, 0, -EPERM },
		{ "make a file", "/tmp/claudecodex-was-here", SYS_openat,
		    AT_FDCWD, -1, O_WRONLY | O_CREAT, 0600, -EPERM },
		{ "remove a file", "/tmp/claudecodex-was-here", SYS_unlink, -1,
		    0, 0, 0, -EPERM },
		{ "start a program", "/bin/true", SYS_execve, -1, 0, 0, 0,
		    -EPERM },
		{ "fork", "", SYS_fork, 0, 0, 0, 0, -EPERM },
		{ "clone", "", SYS_clone, SIGCHLD, 0, 0, 0, -EPERM },
		{ "use a Unix socket", "", SYS_socket, AF_UNIX, SOCK_STREAM, 0,
		    0, -EPERM },
		{ "listen", "", SYS_listen, 3, 5, 0, 0, -EPERM },
		{ "debug", "", SYS_ptrace, PTRACE_ATTACH, 1, 0, 0, -EPERM },
		{ "signal its parent", "", SYS_kill, 1, 0, 0, 0, -EPERM },
		{ "make code", "", SYS_mmap, 0, 4096, 5, 0x22, -EPERM },
		{ "change its user", "", SYS_setuid, 0, 0, 0, 0, -EPERM },
		{ "mount", "/", SYS_mount, -1, -1, 0, 0, -EPERM },
		{ "load a module", "", SYS_finit_module, 0, 0, 0, 0, -EPERM },
		{ "be another architecture", "", 0x40000000 | SYS_getpid, 0, 0,
		    0, 0, -EPERM }
	};
	size_t i;
	long own;

	if (!attach(pid)) {
		t_skip("the program's own process can't be traced here");
		return;
	}
	/* That it works at all. */
	own = call(pid, SYS_getpid, "", 0, 0, 0, 0);
	T_INT(own, pid, "a call that it may make");
	for (i = 0; own == pid && i < COUNT(calls); i++)
		if (!watches || (calls[i].number != SYS_fork &&
		    calls[i].number != SYS_clone &&
		    calls[i].number != SYS_kill && calls[i].c != O_RDONLY))
			T_INT(call(pid, calls[i].number, calls[i].text,
		    calls[i].a, calls[i].b, calls[i].c, calls[i].d),
		    calls[i].want, "it can't %s", calls[i].what);
	detach(pid);
	T(healthy(), "and goes on serving");
}

/* The first child of a process; 0: none. */
static pid_t child_of(pid_t pid)
{
	char path[64];
	long child = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)pid,
	    (long)pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%ld", &child) != 1)
		child = 0;
	if (f)
		fclose(f);
	return (pid_t)child;
}

/* It may start no process, and still its helper is replaced. */
static void test_helper(void)
{
	pid_t keeper = child_of(proxy.pid), helper, next = 0;
	int64_t end = now_ms() + 4000;
	struct timespec nap = { 0, 20000000 };

	helper = keeper > 0 ? child_of(keeper) : 0;
	if (helper <= 0) {
		t_skip("which processes are its children isn't told here");
		return;
	}
	kill(helper, SIGKILL);
	while ((next == 0 || next == helper) && now_ms() < end) {
		nanosleep(&nap, NULL);
		next = child_of(keeper);
	}
	T(next > 0 && next != helper, "a helper that dies is replaced");
	T(healthy(), "and the program goes on");
	if (kill(keeper, SIGKILL) == 0)
		nanosleep(&nap, NULL);
	T(healthy(), "also without a keeper");
}

/* Its upstream has a name and the keeper is killed: nobody can look names up
 * any more. It says so and ends, for who started it to start it anew. */
static void test_keeper(const char *binary, const char *workers)
{
	const char *const settings[] = { "OPENAI_MODEL=m", workers,
		"OPENAI_BASE_URL=https://llm.invalid/v1", NULL };
	static const char ask[] = "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nContent-Length: 72\r\n\r\n{\"model\":\"m\","
	    "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"hi\"}]}";
	int64_t end = now_ms() + START_MS;
	struct timespec nap = { 0, 20000000 };
	static char text[65536];
	struct pollfd p;
	int told = 0;
	ssize_t n;
	FILE *f;

	if (!T(start(&proxy, binary, settings), "it starts"))
		return;
	T(kill(child_of(proxy.pid), SIGKILL) == 0, "its keeper is killed");
	T(healthy(), "which alone is no reason to end");
	/* The helper may still be about to die: it is asked more than once. */
	while (started_alive(&proxy) && now_ms() < end) {
		p = (struct pollfd){ dial(proxy.port), POLLIN, 0 };
		(void)send(p.fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL);
		n = poll(&p, 1, START_MS) == 1 ?
		    recv(p.fd, text, sizeof(text) - 1, 0) : -1;
		told |= n > 0 && strncmp(text, "HTTP/1.1 502", 12) == 0 &&
		    strstr(text, "helper") != NULL;
		close(p.fd);
		nanosleep(&nap, NULL);
	}
	T(told, "who needs it is told: %s", text);
	T(WIFEXITED(proxy.status) && WEXITSTATUS(proxy.status) == 1,
	    "then it ends, with status 1");
	f = fopen(proxy.output, "r");
	n = f ? (ssize_t)fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	T(strstr(text, "to be started anew") != NULL, "and says why: %s", text);
	start_quiet = 1;
	stop(&proxy, 0);
	start_quiet = 0;
}

/* The newest child, once there are as many. */
static pid_t last_child(pid_t pid, int n)
{
	int64_t end = now_ms() + START_MS;
	struct timespec nap = { 0, 20000000 };
	char path[64];
	long child = 0;
	FILE *f;
	int k;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)pid,
	    (long)pid);
	for (k = 0; k < n && now_ms() < end; nanosleep(&nap, NULL)) {
		f = fopen(path, "r");
		for (k = 0; f && fscanf(f, "%ld", &child) == 1; k++)
			;
		if (f)
			fclose(f);
	}
	return k == n ? (pid_t)child : 0;
}

/* A worker may do no more than who serves alone; who watches may neither start
 * programs nor write. */
static void test_workers(void)
{
	pid_t worker = last_child(proxy.pid, 5);
	int64_t end = now_ms() + START_MS;

	if (worker == 0) {
		t_skip("which processes are its children isn't told here");
		return;
	}
	T(healthy(), "workers serve");
	while (!status_has(worker, "\nSeccomp_filters:\t2\n") &&
	    now_ms() < end)
		;
	test_calls(worker, 0);
	test_calls(proxy.pid, 1);
}

int main(int argc, char **argv)
{
	static const char *const two[] = { "LLM_BACKEND=demo", "WORKERS=2",
		NULL };
	static const char *const settings[] = { "LLM_BACKEND=demo", NULL };
	static const char *const off[] = { "LLM_BACKEND=demo", "SANDBOX=off",
		NULL };
	const char *binary = argc > 1 ? argv[1] : "build/claudecodex";
	int sifted;

	if (!T(start(&proxy, binary, settings), "it starts"))
		return t_done("sandbox");
	T(healthy(), "it serves");
	sifted = status_has(proxy.pid, "\nSeccomp:\t2\n");
	if (sifted) {
		T(status_has(proxy.pid, "\nNoNewPrivs:\t1\n"), "no_new_privs");
		test_calls(proxy.pid, 0);
		test_helper();
	} else {
		t_skip("seccomp: not in this system or this build");
	}
	T(stop(&proxy, 0), "SIGTERM ends it with status 0");
	T(start(&proxy, binary, two), "WORKERS=2");
	if (sifted)
		test_workers();
	T(stop(&proxy, 0), "SIGTERM ends it too");
	T(start(&proxy, binary, off), "SANDBOX=off");
	T(healthy() && status_has(proxy.pid, "\nSeccomp:\t0\n"), "does without");
	T(stop(&proxy, 0), "SIGTERM ends it as well");
	if (sifted)
		test_keeper(binary, "WORKERS=1");
	if (sifted)
		test_keeper(binary, "WORKERS=2");
	return t_done("sandbox");
}

#else

int main(void)
{
	t_skip("this test knows Linux on x86-64 only");
	T(1, "nothing to try");
	return t_done("sandbox");
}

#endif
