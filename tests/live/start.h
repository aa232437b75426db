/* start.h -- starts the built program for a live test, and ends it.
 *
 * It runs in a folder of its own with nothing but the environment given here,
 * so that no .env, key or log of the machine plays a part. Its output is kept
 * there and shown when something failed.
 *
 * SPDX-License-Identifier: MIT */
#ifndef START_H
#define START_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PORT_TRIES = 4,
	SAY_MS = 8000,		/* for the other side to make room */
	START_MS = 8000,	/* until it listens; a sanitized build is slow */
	STOP_MS = 8000,		/* from SIGTERM to its end */
	START_ENV_MAX = 32,
	OUTPUT_SHOWN = 3000	/* bytes of the program's output */
};

struct started {
	pid_t pid;
	int port;
	int status;		/* of waitpid, once it ended */
	const char *arg;	/* NULL: none */
	char dir[64], output[80], logs[80];
};

static int start_quiet;		/* what is to fail is not shown */

static inline int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline struct sockaddr_in loopback(int port)
{
	struct sockaddr_in a;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	return a;
}

/* A listener on a free port of the loopback; *port gets it. */
static inline int listen_free(int *port)
{
	struct sockaddr_in a = loopback(0);
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 ||
	    listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
		perror("listen");
		exit(1);
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	*port = ntohs(a.sin_port);
	return fd;
}

/* Connected, non-blocking; -1 when refused. */
static inline int dial(int port)
{
	struct sockaddr_in a = loopback(port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return -1;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* All of it, unless the other side doesn't read. */
static inline void say_bytes(int fd, const char *bytes, size_t n)
{
	size_t sent = 0;
	struct pollfd p = { fd, POLLOUT, 0 };
	ssize_t r;

	while (fd >= 0 && sent < n && poll(&p, 1, SAY_MS) > 0) {
		r = send(fd, bytes + sent, n - sent, MSG_NOSIGNAL);
		if (r < 0 && errno != EAGAIN && errno != EINTR)
			return;
		sent += r > 0 ? (size_t)r : 0;
	}
}

static inline void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

static inline int started_alive(struct started *s)
{
	return s->pid > 0 && waitpid(s->pid, &s->status, WNOHANG) == 0;
}

static inline void started_show(const struct started *s)
{
	FILE *f = fopen(s->output, "r");
	char line[512];

	if (start_quiet) {
		if (f)
			fclose(f);
		return;
	}
	printf("the end of what the program wrote:\n");
	/* The line this lands in is shown from its middle. */
	if (f && fseek(f, -OUTPUT_SHOWN, SEEK_END) != 0)
		rewind(f);
	while (f && fgets(line, sizeof(line), f))
		printf("    | %s", line);
	if (f)
		fclose(f);
	fflush(stdout);
}

static inline void become(const struct started *s, const char *binary,
    char *const *env)
{
	char *argv[3];
	int fd = open(s->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int null = open("/dev/null", O_RDONLY);

	if (fd < 0 || null < 0 || dup2(null, 0) < 0 || dup2(fd, 1) < 0 ||
	    dup2(fd, 2) < 0 || chdir(s->dir) != 0)
		_exit(126);
	/* execve takes strings it doesn't write to as if it did. */
	memcpy(&argv[0], &binary, sizeof(argv[0]));
	memcpy(&argv[1], &s->arg, sizeof(argv[1]));
	argv[2] = NULL;
	execve(binary, argv, env);
	_exit(127);
}

/* Somebody may have taken the port that was free a moment ago. */
static inline int port_taken(const struct started *s)
{
	FILE *f = fopen(s->output, "r");
	char line[512];
	int taken = 0;

	while (f && fgets(line, sizeof(line), f))
		taken |= strstr(line, "port already in use") != NULL;
	if (f)
		fclose(f);
	return taken;
}

/* settings: "NAME=value" ..., NULL. Returns whether it listens. */
static inline int start(struct started *s, const char *binary,
    const char *const *settings)
{
	static char own[4][128];
	static char path[4096];
	char *env[START_ENV_MAX];
	int64_t end = now_ms() + START_MS;
	struct timespec nap = { 0, 20000000 };
	size_t n = 0, i;
	int fd, tries = PORT_TRIES, own_port = 1;

	memset(s, 0, sizeof(*s));
	strcpy(s->dir, "/tmp/claudecodex-test-XXXXXX");
	/* It runs elsewhere: a relative path wouldn't find it. */
	if (!mkdtemp(s->dir) || !getcwd(path, sizeof(path) / 2)) {
		perror(s->dir);
		return 0;
	}
	n = binary[0] == '/' ? 0 : strlen(path);
	snprintf(path + n, sizeof(path) - n, n ? "/%s" : "%s", binary);
	n = 0;
	snprintf(s->output, sizeof(s->output), "%s/output", s->dir);
	snprintf(s->logs, sizeof(s->logs), "%s/logs", s->dir);
	snprintf(own[1], sizeof(own[1]), "LOG_DIR=%s", s->logs);
	snprintf(own[2], sizeof(own[2]), "HOME=%s", s->dir);
	snprintf(own[3], sizeof(own[3]), "PATH=/usr/bin:/bin");
	/* The first of a name is the one that counts. */
	while (*settings && n < START_ENV_MAX - 5) {
		own_port &= strncmp(*settings, "SERVER_PORT=", 12) != 0;
		memcpy(&env[n++], settings, sizeof(env[0]));
		settings++;
	}
	for (i = 0; i < 4; i++)
		env[n++] = own[i];
	env[n] = NULL;
	do {
		close(listen_free(&s->port));
		snprintf(own[0], sizeof(own[0]), "SERVER_PORT=%d", s->port);
		s->pid = fork();
		if (s->pid == 0)
			become(s, path, env);
		while (started_alive(s) && now_ms() < end) {
			fd = dial(s->port);
			if (fd >= 0) {
				close(fd);
				return 1;
			}
			nanosleep(&nap, NULL);
		}
	} while (own_port && --tries && port_taken(s));
	started_show(s);
	return 0;
}

static inline void remove_files(const char *dir)
{
	char name[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", dir, e->d_name);
		unlink(name);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

/* SIGTERM. Returns whether it ended in time and with status 0; shows its
 * output when it didn't, or when show is set. */
static inline int stop(struct started *s, int show)
{
	int64_t end = now_ms() + STOP_MS;
	struct timespec nap = { 0, 20000000 };
	int ok;

	if (s->pid > 0 && started_alive(s)) {
		kill(s->pid, SIGTERM);
		while (started_alive(s) && now_ms() < end)
			nanosleep(&nap, NULL);
		if (now_ms() >= end) {
			printf("it didn't end on SIGTERM\n");
			kill(s->pid, SIGKILL);
			waitpid(s->pid, &s->status, 0);
		}
	}
	ok = WIFEXITED(s->status) && WEXITSTATUS(s->status) == 0;
	if (!ok && !start_quiet)
		printf("it ended with wait status 0x%x\n",
		    (unsigned)s->status);
	if (!ok || show)
		started_show(s);
	remove_files(s->logs);
	remove_files(s->dir);
	return ok;
}

#endif
