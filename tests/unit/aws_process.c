/* Tests of net/aws_process: limits of a command's time and output (AW-61).
 *
 * SPDX-License-Identifier: MIT */
/* link: net/shell.c net/keeper.c net/aws.c net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include <sys/wait.h>

#include "t.h"
#include "../../src/net/aws_process.c"

static char memory[1 << 22];
static char reason[500];
static struct arena arena;
static struct buf why;

static int command(const char *text, int64_t ms, struct str *output)
{
	static struct lookup l;

	arena = (struct arena){ memory, memory + sizeof(memory) };
	why = buf_on(reason, sizeof(reason));
	l.a = &arena;
	l.why = &why;
	return run(&l, S("what"), str_of(text), output, ms);
}

static int says(const char *text)
{
	return str_find(buf_str(&why), str_of(text)) < why.n;
}

/* No child may be left, neither running nor as a zombie. */
static int childless(void)
{
	return waitpid(-1, NULL, WNOHANG) < 0;
}

int main(void)
{
	struct str out;
	int64_t start;

	T_INT(command("printf abc; echo no >&2", 5000, &out), OK, "runs");
	T_STR(out, S("abc"), "standard output alone");
	T_INT(command("cat; echo $?", 5000, &out), OK, "stdin is empty");
	T_STR(out, S("0\n"), "and ends at once");
	T_INT(command("kill -PIPE $$; echo on", 5000, &out), E_FAULT,
	    "SIGPIPE isn't left ignored");
	T(command("exit 1", 5000, &out) == E_FAULT && says("by hand"),
	    "a failed command");
	T(command("no-such-command-here", 5000, &out) == E_FAULT, "none");
	start = loop_now();
	T(command("sleep 30", 200, &out) == E_FAULT && says("a minute"),
	    "one that takes too long");
	T(command("sleep 30 & echo $!", 200, &out) == E_FAULT,
	    "one that leaves another behind, which holds the pipe");
	T(command("exec >&-; sleep 30", 200, &out) == E_FAULT,
	    "one that closes its output and stays");
	T(loop_now() - start < 5000, "the limits hold");
	T(command("yes", 5000, &out) == E_FAULT && says("1 MiB"),
	    "output without end");
	T_INT(command("head -c 1048000 /dev/zero", 5000, &out), OK,
	    "much output");
	T_INT(out.n, 1048000, "all of it");
	T(childless(), "nothing is left behind");
	return t_done("aws_process");
}
