/* Tests of monitor/payloads: files of exact bytes, and which of them go.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include "../../src/monitor/payloads.c"
#include "t.h"

static char root[] = "/tmp/claudecodex-payloads-XXXXXX";
static int dir;

static struct payloads fresh(uint64_t max)
{
	return (struct payloads){ .fd = -1, .max = max, .age = 3600 };
}

static void put(struct payloads *p, const char *name, const char *text)
{
	static char message[4096];
	size_t n = strlen(name) + 1, k = strlen(text);

	memcpy(message, name, n);
	memcpy(message + n, text, k);
	payloads_put(p, dir, (struct str){ message, n + k });
}

static struct str content(const char *name)
{
	char path[256];
	struct str s;

	snprintf(path, sizeof path, "%s/requests_full/%s", root, name);
	s = t_file(path);
	return s.p ? s : S("none");
}

static int is_there(const char *name)
{
	struct stat st;
	char path[256];

	snprintf(path, sizeof path, "%s/requests_full/%s", root, name);
	return lstat(path, &st) == 0;
}

/* As if it had been written so many seconds ago. */
static void age(const char *name, long seconds)
{
	struct timespec t[2] = { { time(NULL) - seconds, 0 },
	    { time(NULL) - seconds, 0 } };
	char path[256];

	snprintf(path, sizeof path, "%s/requests_full/%s", root, name);
	T(utimensat(AT_FDCWD, path, t, 0) == 0, "aged");
}

static void test_put(void)
{
	struct payloads p = fresh(1 << 20);

	put(&p, "a.http", "one ");
	put(&p, "a.http", "two");
	put(&p, "b.http", "other");
	T_STR(content("a.http"), S("one two"), "pieces of a file");
	T_STR(content("b.http"), S("other"), "another");
	put(&p, "a.http", "again");
	T_STR(content("a.http"), S("one two"), "none is written twice");
	put(&p, "../c.http", "x");
	put(&p, ".d.http", "x");
	put(&p, "e/f.http", "x");
	put(&p, "", "x");
	T(!is_there("../c.http") && !is_there(".d.http"),
	    "a name is no path");
	T_INT(p.total, 12, "bytes are counted");
	close(p.fd);
}

static void test_tidy(void)
{
	struct payloads p = fresh(1 << 20);
	char name[32], path[256];
	int i, left = 0;

	age("a.http", 7200);
	payloads_tidy(&p, dir);
	T(!is_there("a.http") && is_there("b.http"), "what is too old goes");
	T_INT(p.total, 5, "and is not counted");
	/* More than one look finds. */
	p = fresh(1000);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "n%03d.http", i);
		put(&p, name, "0123456789");
		age(name, 1000 - i);
	}
	payloads_tidy(&p, dir);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "n%03d.http", i);
		left += is_there(name);
		if (i < 100)
			T(!is_there(name), "%s is among the oldest", name);
	}
	T(left <= 87 && left > 60, "together they are bounded: %d", left);
	T(is_there("n199.http"), "the newest stays");
	snprintf(path, sizeof path, "%s/requests_full/mine", root);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	p = fresh(0);
	payloads_tidy(&p, dir);
	T(!is_there("n199.http") && is_there("mine"),
	    "only what is called so is deleted");
	unlink(path);
	close(p.fd);
}

static void test_link(void)
{
	struct payloads p = fresh(1 << 20);
	char path[256];

	snprintf(path, sizeof path, "%s/requests_full", root);
	T(rmdir(path) == 0 && symlink("/tmp", path) == 0, "a link");
	put(&p, "claudecodex-linked.http", "x");
	T(access("/tmp/claudecodex-linked.http", F_OK) != 0,
	    "is not followed");
	T(p.failed, "that file is given up");
	T_INT(p.lost, 1, "and counted");
	unlink(path);
}

int main(void)
{
	if (!mkdtemp(root) || (dir = open(root, O_RDONLY | O_DIRECTORY)) < 0) {
		perror(root);
		return 1;
	}
	test_put();
	test_tidy();
	test_link();
	close(dir);
	rmdir(root);
	return t_done("payloads");
}
