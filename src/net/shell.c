/* shell.c -- a command of the owner's own, run by /bin/sh.
 *
 * It holds no descriptor but its first three. When it takes too long, its whole
 * group ends with it; what it leaves in the background before is its owner's.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"
#include "loop.h"
#include "shell.h"

enum { TICK_MS = 5 };

static void become(const char *command, char *const *env, int in, int out)
{
	int null = open("/dev/null", O_RDWR), fd;

	setpgid(0, 0);
	/* Handlers are reset by exec, what is ignored or blocked is not. */
	keeper_signals(0);
	if (null < 0 || dup2(in < 0 ? null : in, 0) < 0 ||
	    dup2(out < 0 ? null : out, 1) < 0 || dup2(null, 2) < 0)
		_exit(126);
	for (fd = 3; fd < FD_SETSIZE; fd++)
		close(fd);
	if (env)
		execle("/bin/sh", "sh", "-c", command, (char *)NULL, env);
	else
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

long shell_start(const char *command, char *const *env, int in, int out)
{
	pid_t pid = fork();

	if (pid == 0)
		become(command, env, in, out);
	if (pid > 0)
		setpgid(pid, pid);
	return pid;
}

int shell_end(long number, int64_t deadline, int wanted)
{
	pid_t pid = (pid_t)number, got;
	struct timeval tv;
	int status = -1;

	while (wanted && loop_now() < deadline) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid || got < 0)
			return got == pid ? status : -1;
		tv.tv_sec = 0;
		tv.tv_usec = TICK_MS * 1000;
		select(0, NULL, NULL, NULL, &tv);
	}
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}
