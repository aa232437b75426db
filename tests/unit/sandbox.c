/* sandbox.c -- what the processes can't do any more, tried by them.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/net/sandbox.c"

#include "t.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/wait.h>

enum {
	READ_FILE = 1, WRITE_FILE = 2, FORK = 4, EXEC = 8, UNIX = 16, INET = 32,
	CONNECT = 64, CONNECT_OTHER = 128, BIND = 256, SIGNAL = 512,
	CODE = 1024, LIST = 2048, RANDOM = 4096, MEMORY = 8192
};

static int port[2], listener[2];
static char file[] = "/tmp/claudecodex-test-XXXXXX";

static int listen_free(int *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 ||
	    listen(fd, 8) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		return -1;
	*p = ntohs(a.sin_port);
	return fd;
}

static int connects(int to)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0), ok;

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)to);
	ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
	close(fd);
	return ok;
}

static int opens(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	close(fd);
	return fd >= 0;
}

static int forks(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static void exec_true(void)
{
	char name[] = "/bin/true", *argv[] = { name, NULL };

	execve(name, argv, argv + 1);
}

static int maps(int protection)
{
	return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	    0) != MAP_FAILED;
}

/* Everything is tried; what went well comes back as bits. Exec is tried last:
 * if it goes well the answer is missing. */
static int try_all(int fd)
{
	int sum = 0, s;
	char byte;
	DIR *d;

	sum |= opens("/etc/passwd", O_RDONLY) ? READ_FILE : 0;
	sum |= opens(file, O_WRONLY) ? WRITE_FILE : 0;
	sum |= forks() ? FORK : 0;
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	sum |= s >= 0 ? UNIX : 0;
	s = socket(AF_INET, SOCK_STREAM, 0);
	sum |= s >= 0 ? INET : 0;
	if (s >= 0) {
		struct sockaddr_in a = { .sin_family = AF_INET };

		a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		sum |= bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		    listen(s, 1) == 0 ? BIND : 0;
	}
	sum |= connects(port[0]) ? CONNECT : 0;
	sum |= connects(port[1]) ? CONNECT_OTHER : 0;
	sum |= kill(getppid(), 0) == 0 ? SIGNAL : 0;
	sum |= maps(PROT_READ | PROT_EXEC) ? CODE : 0;
	sum |= maps(PROT_READ | PROT_WRITE) ? MEMORY : 0;
	d = opendir("/tmp");
	sum |= d && readdir(d) ? LIST : 0;
	sum |= syscall(SYS_getrandom, &byte, (size_t)1, 0) == 1 ? RANDOM : 0;
	if (write(fd, &sum, sizeof(sum)) != sizeof(sum))
		return 1;
	exec_true();
	sum = EXEC;
	return write(fd, &sum, sizeof(sum)) != sizeof(sum);
}

/* Runs one of the three in a child. *rights: what it says is in force. -1 when
 * it says nothing. */
static int tried(int which, unsigned *rights)
{
	unsigned ports[1];
	int fd[2], sum[3] = { -1, -1, -1 };
	pid_t pid;

	ports[0] = (unsigned)port[0];
	if (pipe(fd) != 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		*rights = which == 0 ? sandbox_serve(ports, 1) : which == 1 ?
		    sandbox_store() : sandbox_resolve();
		sum[0] = (int)*rights;
		if (write(fd[1], sum, sizeof(int)) != sizeof(int))
			_exit(1);
		_exit(try_all(fd[1]));
	}
	close(fd[1]);
	for (int i = 0; i < 3; i++)
		if (read(fd[0], &sum[i], sizeof(int)) != sizeof(int))
			break;
	close(fd[0]);
	waitpid(pid, NULL, 0);
	*rights = (unsigned)sum[0];
	/* The third word comes only if the program was not started. */
	return sum[1] < 0 ? -1 : sum[1] | (sum[2] == EXEC ? 0 : EXEC);
}

static void test_processes(void)
{
	static const struct {
		const char *name;
		int may, files_only, ports_only;
	} want[] = {
		/* files_only: barred by Landlock alone, and so on. */
		{ "serving", INET | CONNECT | RANDOM | MEMORY, 0,
		    CONNECT_OTHER },
		{ "storing", READ_FILE | WRITE_FILE | LIST | RANDOM | MEMORY, 0,
		    0 },
		{ "resolving", READ_FILE | FORK | UNIX | INET | CONNECT |
		    CONNECT_OTHER | SIGNAL | CODE | LIST | RANDOM | MEMORY,
		    WRITE_FILE, 0 }
	};
	unsigned rights = 0;
	int i, did, may;

	for (i = 0; i < (int)COUNT(want); i++) {
		did = tried(i, &rights);
		if (!(rights & SANDBOX_CALLS)) {
			t_skip("%s: there is no seccomp here",
			    want[i].name);
			continue;
		}
		may = want[i].may;
		if (!(rights & SANDBOX_FILES))
			may |= want[i].files_only;
		if (i == 0 && !(rights & SANDBOX_PORTS))
			may |= want[i].ports_only;
		T_INT(did, may, "%s: what it can do, as bits", want[i].name);
		T(rights & SANDBOX_PRIVS, "%s: no_new_privs", want[i].name);
	}
}

static void test_text(void)
{
	char room[128];
	struct buf b = buf_on(room, sizeof room);

	sandbox_text(&b, SANDBOX_PRIVS | SANDBOX_CALLS | SANDBOX_FILES |
	    SANDBOX_PORTS);
	T_STR(buf_str(&b), S("seccomp, Landlock (files, ports)"), "all");
	b.n = 0;
	sandbox_text(&b, SANDBOX_PRIVS);
	T(str_starts(buf_str(&b), S("none")), "nothing that helps");
}

int main(void)
{
	struct rlimit core;
	int fd = mkstemp(file);

	close(fd);
	listener[0] = listen_free(&port[0]);
	listener[1] = listen_free(&port[1]);
	T(listener[0] >= 0 && listener[1] >= 0, "two listeners");
	test_processes();
	test_text();
	sandbox_begin();
	T(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0,
	    "no core files");
#ifdef __linux__
	if (SANITIZED)
		t_skip("who may read its memory: a build with sanitizers");
	else
		T_INT(prctl(PR_GET_DUMPABLE), 0, "nobody else of its user may "
		    "read its memory");
#endif
	T_INT(umask(0), 077, "what it makes is its user's alone");
	unlink(file);
	return t_done("sandbox");
}
