/* base.c -- texts of strangers on a terminal; secrets compared.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../src/base/base.c"
#include "t.h"

static void shown(struct str s, struct str want, const char *label)
{
	char text[256];
	struct buf b = buf_on(text, sizeof text);

	buf_printable(&b, s);
	T_STR(buf_str(&b), want, "%s", label);
}

/* Who compares up to the first difference tells by the time it takes how much
 * of a guess is right. So the other text's last byte lies where nobody may
 * read: a comparison that goes to the end dies of it, whatever differs. */
static void test_secret_to_the_end(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *two = mmap(NULL, 2 * (size_t)page, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct str key = S("the key itself");
	int status = 0;
	size_t at;
	char *p;
	pid_t pid;

	if (!T(two != MAP_FAILED, "two pages"))
		return;
	p = two + page - (key.n - 1);
	for (at = 0; at < key.n - 1; at++) {
		mprotect(two, 2 * (size_t)page, PROT_READ | PROT_WRITE);
		memcpy(p, key.p, key.n);
		p[at] ^= 1;
		mprotect(two + page, (size_t)page, PROT_NONE);
		pid = fork();
		if (pid == 0) {
			signal(SIGSEGV, SIG_DFL);
			signal(SIGBUS, SIG_DFL);
			_exit(str_eq_secret(key, (struct str){ p, key.n }));
		}
		waitpid(pid, &status, 0);
		T(WIFSIGNALED(status), "a secret is compared to its end, "
		    "whichever byte differs: %lu", (unsigned long)at);
	}
	munmap(two, 2 * (size_t)page);
}

static void test_secret(void)
{
	struct str key = S("0123456789abcdef");
	char other[16];
	size_t i;
	int bit;

	T(str_eq_secret(key, S("0123456789abcdef")), "the same");
	T(str_eq_secret(S(""), S("")), "nothing and nothing");
	for (i = 0; i < key.n; i++)
		T(!str_eq_secret(key, str_head(key, i)), "a part of it");
	for (i = 0; i < key.n; i++)
		for (bit = 0; bit < 8; bit++) {
			memcpy(other, key.p, key.n);
			other[i] = (char)(other[i] ^ 1 << bit);
			T(!str_eq_secret(key, (struct str){ other, key.n }),
			    "bit %d of byte %lu counts", bit,
			    (unsigned long)i);
		}
}

int main(void)
{
	test_secret();
	test_secret_to_the_end();
	shown(S("plain \xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x99\x82"),
	    S("plain \xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x99\x82"), "letters");
	shown(S("a\x1b[2J\x7f\n"), S("a\\x1b[2J\\x7f\\x0a"), "controls");
	shown(S("\xc2\x9b" "1m"), S("\\xc2\\x9b" "1m"), "C1");
	shown(S("\xff\xc3"), S("\\xff\\xc3"), "what is no UTF-8");
	shown(S("a\\x"), S("a\\\\x"), "a backslash");
	shown(S("\xe2\x80\xae" "gpj.exe\xe2\x81\xa6\xe2\x80\x8f"),
	    S("\\xe2\\x80\\xae" "gpj.exe\\xe2\\x81\\xa6\\xe2\\x80\\x8f"),
	    "what turns the direction of text");
	shown(S("\xe2\x80\xa6\xe2\x80\x94\xe2\x81\xa5"),
	    S("\xe2\x80\xa6\xe2\x80\x94\xe2\x81\xa5"), "their neighbours");
	return t_done("base");
}
