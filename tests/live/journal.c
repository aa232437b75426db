/* journal.c -- LOG_DIR of the running program: its files, a start over, a
 * directory that can't be written, a writer that hangs or dies, a disk that is
 * full, segments.
 *
 *	build/tests/live/journal build/claudecodex
 *
 * The demo answers. What is in the files is read with the program's own
 * reader; nothing is deleted but what this test made.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/load.c */
#define _DEFAULT_SOURCE		/* syscall */
#include "../../src/monitor/load.h"
#include "start.h"
#include "../unit/t.h"

#ifdef __linux__
#include <sys/resource.h>
#include <sys/syscall.h>
#endif

enum { WAIT_MS = 5000, TEXT_MAX = 32 << 20, NAMES_MAX = 64 };

static const char *binary;
static struct started s;
static char room[80], dir[96], setting[128];
static char answer[65536], text[TEXT_MAX];
static char names[NAMES_MAX][64];
static size_t nnames;

static void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* ---- the program ------------------------------------------------------ */

static int begin(const char *more, const char *and)
{
	const char *settings[8] = { "LLM_BACKEND=demo", setting, more, and,
		NULL };

	snprintf(setting, sizeof setting, "LOG_DIR=%s", dir);
	return T(start(&s, binary, settings), "the program starts");
}

/* One request, to the end of its answer; its status. */
static int ask(const char *session, const char *words, int filler)
{
	static char out[1 << 20];
	struct pollfd p;
	size_t n = 0, at = 0, body;
	ssize_t r;
	int fd = dial(s.port);

	body = (size_t)snprintf(out + 512, sizeof out - 512, "{\"model\":"
	    "\"m\",\"max_tokens\":8,\"messages\":[{\"role\":\"user\","
	    "\"content\":\"%s %0*d\"}]}", words, filler, 0);
	n = (size_t)snprintf(out, 512, "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nConnection: close\r\nx-claude-code-session-id: %s"
	    "\r\nContent-Length: %zu\r\n\r\n", session, body);
	memmove(out + n, out + 512, body);
	n += body;
	answer[0] = '\0';
	while (fd >= 0) {
		p = (struct pollfd){ fd, at < n ? POLLOUT : POLLIN, 0 };
		if (poll(&p, 1, WAIT_MS) != 1)
			break;
		if (at < n) {
			r = send(fd, out + at, n - at, MSG_NOSIGNAL);
			at += r > 0 ? (size_t)r : 0;
			if (r < 0)
				break;
			continue;
		}
		r = recv(fd, out, sizeof out - 1, 0);
		if (r <= 0)
			break;
		if (!answer[0])
			snprintf(answer, sizeof answer, "%.*s", (int)r, out);
	}
	if (fd >= 0)
		close(fd);
	return str_starts(str_of(answer), S("HTTP/1.1 ")) ?
	    atoi(answer + 9) : 0;
}

/* A number of /metrics; -1: it isn't there. */
static long metric(const char *name)
{
	static char all[1 << 17];
	char start[80];
	int fd = dial(s.port);
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t r = 1;
	size_t n = 0;
	const char *at;

	say(fd, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n");
	while (r > 0 && n < sizeof all - 1 && poll(&p, 1, WAIT_MS) == 1) {
		r = recv(fd, all + n, sizeof all - 1 - n, 0);
		n += r > 0 ? (size_t)r : 0;
	}
	all[n] = '\0';
	if (fd >= 0)
		close(fd);
	snprintf(start, sizeof start, "\n%.70s ", name);
	at = strstr(all, start);
	return at ? atol(at + strlen(start)) : -1;
}

/* How often something was said so far. */
static int times(const char *words)
{
	struct str out = t_file(s.output);
	int n = 0;
	size_t at;

	while ((at = str_find(out, str_of(words))) < out.n) {
		out = str_from(out, at + 1);
		n++;
	}
	return n;
}

static int said(const char *words)
{
	int64_t until = now_ms() + WAIT_MS;
	struct str out;

	do {
		out = t_file(s.output);
		if (str_find(out, str_of(words)) < out.n)
			return 1;
		nap(50);
	} while (now_ms() < until);
	return 0;
}

/* ---- its files -------------------------------------------------------- */

static struct str read_one(const char *name)
{
	char path[256];
	FILE *f;
	size_t n;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "rb");
	n = f ? fread(text, 1, sizeof text, f) : 0;
	if (f)
		fclose(f);
	return (struct str){ text, n };
}

/* Waits for words in a file. */
static int holds(const char *name, const char *words)
{
	int64_t until = now_ms() + WAIT_MS;
	struct str t;

	do {
		t = read_one(name);
		if (str_find(t, str_of(words)) < t.n)
			return 1;
		nap(30);
	} while (now_ms() < until);
	return 0;
}

static long mode(const char *name)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return lstat(path, &st) == 0 ? (long)(st.st_mode & 0777) : -1;
}

static void list(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	nnames = 0;
	while (d && (e = readdir(d)) && nnames < NAMES_MAX)
		if (strncmp(e->d_name, "structured", 10) == 0)
			snprintf(names[nnames++], 64, "%.63s", e->d_name);
	if (d)
		closedir(d);
}

static void forget(void)
{
	char path[256];

	snprintf(path, sizeof path, "%s/pins", dir);
	remove_files(path);
	snprintf(path, sizeof path, "%s/requests_full", dir);
	remove_files(path);
	remove_files(dir);
}

/* A file by itself: lines in order, and every name that a request uses was
 * explained before it. Returns its last seq; 0: it isn't sound. */
static uint64_t sound(const char *name, uint64_t first)
{
	struct journal_reader r = { .text = read_one(name) };
	struct journal_line l;
	struct str m, add, one, before;
	struct jstr base;
	int k;

	while ((k = journal_read(&r, &l)) == OK) {
		if (first && l.seq < first)
			return 0;
		if (l.kind != J_REQUEST)
			continue;
		before = str_head(r.text, (size_t)(l.text.p - r.text.p));
		m = journal_member(l.text, S("cdx.messages"));
		base = journal_text(m, S("base"));
		if (base.raw.n && str_find(before, base.raw) == before.n)
			return 0;
		add = str_from(journal_member(m, S("add")), 1);
		while (str_cut(&add, ',', &one) && one.n > 32)
			if (str_find(before, str_head(str_from(one, 1), 32)) ==
			    before.n)
				return 0;
	}
	if (k != E_NONE)
		printf("%s: line %lu, byte %lu: %s\n", name,
		    (unsigned long)r.line, (unsigned long)r.at, r.why);
	return k == E_NONE ? r.seq : 0;
}

/* The child that has the journal open. */
static pid_t writer(void)
{
	char path[300], to[300];
	struct dirent *e, *g;
	DIR *d = opendir("/proc"), *fds;
	ssize_t n;
	pid_t found = -1;

	while (d && found < 0 && (e = readdir(d))) {
		snprintf(path, sizeof path, "/proc/%.20s/fd", e->d_name);
		if (e->d_name[0] < '0' || e->d_name[0] > '9' ||
		    atoi(e->d_name) == s.pid || !(fds = opendir(path)))
			continue;
		while ((g = readdir(fds)) != NULL) {
			snprintf(path, sizeof path, "/proc/%.20s/fd/%.20s",
			    e->d_name, g->d_name);
			n = readlink(path, to, sizeof to - 1);
			if (n <= 0)
				continue;
			to[n] = '\0';
			if (strncmp(to, dir, strlen(dir)) == 0 &&
			    strstr(to, "structured.jsonl"))
				found = (pid_t)atoi(e->d_name);
		}
		closedir(fds);
	}
	if (d)
		closedir(d);
	return found;
}

/* ---- tests ------------------------------------------------------------ */

static void test_files(void)
{
	uint64_t last;

	if (!begin(NULL, NULL))
		return;
	T_INT(ask("s-files", "my key is sk-ant-0123456789abcdef", 1), 200,
	    "a request");
	T(holds("structured.jsonl", "cdx.response"), "its lines are written");
	T_INT(mode("."), 0700, "the directory is ours alone");
	T_INT(mode("structured.jsonl"), 0600, "and so is the journal");
	T_INT(mode("requests.log"), 0600, "and the log");
	T(str_find(read_one("structured.jsonl"), S("0123456789abcdef")) ==
	    read_one("structured.jsonl").n, "without the key");
	T_INT(mode("requests_full"), -1, "no exact bytes unless asked for");
	T(holds("requests.log", " RES "), "two lines for people");
	T(str_find(read_one("requests.log"), S("0123456789abcdef")) ==
	    read_one("requests.log").n, "without the key");
	last = sound("structured.jsonl", 0);
	T(last > 5, "the journal is sound");
	T(stop(&s, 0), "it ends");
	/* Again, over a damaged end. */
	{
		char path[256];
		FILE *f;

		snprintf(path, sizeof path, "%s/structured.jsonl", dir);
		f = fopen(path, "ab");
		if (f) {
			fputs("garbage\n{\"v\":1,\"seq\":99", f);
			fclose(f);
		}
	}
	if (!begin(NULL, NULL))
		return;
	T(said("is damaged at byte"), "damage is told at start");
	T_INT(ask("s-files", "again", 1), 200, "it serves");
	T(holds("structured.jsonl", "again"), "and writes on");
	T(stop(&s, 0), "it ends");
	forget();
}

static void test_bodies(void)
{
	if (!begin("LOG_BODIES=none", NULL))
		return;
	T_INT(ask("s-none", "a private word", 1), 200, "a request");
	T(holds("structured.jsonl", "cdx.response"), "its lines");
	T(sound("structured.jsonl", 0) > 5, "are sound");
	T(str_find(read_one("structured.jsonl"), S("private")) ==
	    read_one("structured.jsonl").n, "without what was said");
	T(holds("structured.jsonl", "\"data\":null"), "which is named only");
	T(str_find(read_one("requests.log"), S("private")) ==
	    read_one("requests.log").n, "in the log neither");
	stop(&s, 0);
	forget();
	if (!begin("LOG_BODIES=errors", NULL))
		return;
	ask("s-err", "a private word", 1);
	T(holds("structured.jsonl", "cdx.response"), "one that went well");
	T(str_find(read_one("structured.jsonl"), S("private")) ==
	    read_one("structured.jsonl").n, "leaves no content");
	T(ask("s-err", "a failing word\"},{\"role\":\"nobody", 1) == 400,
	    "one that didn't");
	T(holds("structured.jsonl", "\"error.type\":\"invalid"), "is there");
	T(holds("structured.jsonl", "a failing word"), "with its content");
	stop(&s, 0);
	forget();
}

/* LOG_DIR that can't be made, until it can. */
static void test_unwritable(void)
{
	char saved[96];

	memcpy(saved, dir, sizeof saved);
	snprintf(dir, sizeof dir, "%s/not/there", room);
	if (!begin(NULL, NULL))
		return;
	T(said("cannot be written"), "it is told");
	T_INT(ask("s-un", "one", 1), 200, "requests go on");
	snprintf(dir, sizeof dir, "%s/not", room);
	mkdir(dir, 0700);
	snprintf(dir, sizeof dir, "%s/not/there", room);
	nap(3200);
	T_INT(ask("s-un", "two", 1), 200, "and on");
	T(said("written again"), "writing resumes by itself");
	T_INT(ask("s-un", "three", 1), 200, "and on");
	T(holds("structured.jsonl", "three"), "what comes now is written");
	T(sound("structured.jsonl", 0) > 0, "and stands alone");
	T(stop(&s, 0), "it ends");
	forget();
	snprintf(dir, sizeof dir, "%s/not", room);
	rmdir(dir);
	memcpy(dir, saved, sizeof dir);
}

static void test_link(void)
{
	char path[256], target[256];

	mkdir(dir, 0700);
	snprintf(path, sizeof path, "%s/structured.jsonl", dir);
	snprintf(target, sizeof target, "%s/elsewhere", room);
	if (symlink(target, path) != 0 || !begin(NULL, NULL))
		return;
	T(said("cannot be written"), "a link is not followed");
	T_INT(ask("s-link", "one", 1), 200, "requests go on");
	T(access(target, F_OK) != 0, "nothing is made behind it");
	stop(&s, 0);
	forget();
}

/* Somebody else made it, for us to fill: as root only can we pretend. */
static void test_foreign(void)
{
	if (geteuid() != 0) {
		t_skip("a directory of another user: needs root");
		return;
	}
	mkdir(dir, 0777);
	if (!T(chown(dir, 12345, 12345) == 0, "another's directory") ||
	    !begin(NULL, NULL))
		return;
	T(said("cannot be written"), "a directory of another user is not "
	    "written to");
	T_INT(ask("s-foreign", "one", 1), 200, "requests go on");
	list();
	T_INT(nnames, 0, "nothing is made in it");
	stop(&s, 0);
	forget();
}

/* The disk hangs: the writer is stopped. Then it dies. */
static void test_writer(void)
{
	int64_t began, longest = 0, t;
	int i, bad = 0;
	pid_t w;

	if (!begin("MONITOR_MEMORY=1m", "RAW_MB=0"))
		return;
	ask("s-w", "first", 1);
	T(holds("structured.jsonl", "first"), "the writer writes");
	w = writer();
	if (w < 0) {
		t_skip("there is no /proc/PID/fd here");
		stop(&s, 0);
		forget();
		return;
	}
	kill(w, SIGSTOP);
	for (i = 0; i < 120; i++) {
		char words[32];

		snprintf(words, sizeof words, "stuck %d", i);
		began = now_ms();
		bad += ask("s-w", words, 30000) != 200;
		t = now_ms() - began;
		longest = t > longest ? t : longest;
	}
	T_INT(bad, 0, "with a writer that hangs every request is served");
	T(longest < 2000, "and none waits: %ld ms", (long)longest);
	kill(w, SIGCONT);
	T(holds("structured.jsonl", "journal_dropped"),
	    "what was lost is counted, and said");
	ask("s-w", "after the gap", 1);
	T(holds("structured.jsonl", "after the gap"), "it writes again");
	T(sound("structured.jsonl", 0) > 0, "nothing unexplained is named");
	kill(w, SIGKILL);
	nap(50);
	for (i = 0; i < 20; i++) {
		bad += ask("s-w", "after its death", 1) != 200;
		nap(100);
	}
	T_INT(bad, 0, "a writer that dies harms nobody");
	T(holds("structured.jsonl", "after its death"), "another one goes on");
	T(sound("structured.jsonl", 0) > 0, "where it stopped");
	T(stop(&s, 0), "it ends");
	forget();
}

/* As on a full disk no file of that process may become longer than so: a write
 * is cut short, or fails. 0: this system can't. */
static int limit(pid_t pid, uint64_t bytes)
{
#ifdef __linux__
	uint64_t soft_hard[2] = { bytes, UINT64_MAX };

	return syscall(SYS_prlimit64, pid, RLIMIT_FSIZE, soft_hard, NULL) == 0;
#else
	(void)pid, (void)bytes;
	return 0;
#endif
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Requests for so long; how many were not served. */
static int ask_for(int64_t ms)
{
	static int unlike;	/* what was said before is stored once */
	int64_t until = now_ms() + ms;
	char words[32];
	int bad = 0;

	while (now_ms() < until) {
		snprintf(words, sizeof words, "while it is full %d", unlike++);
		bad += ask("s-d", words, 30000) != 200;
		nap(40);
	}
	return bad;
}

/* Starts, and fills the disk behind the first lines. The writer; -1: that can't
 * be done here. */
static pid_t begin_full(char path[128])
{
	pid_t w;

	snprintf(path, 128, "%s/structured.jsonl", dir);
	if (!begin("MONITOR_MEMORY=1m", "RAW_MB=0"))
		return -1;
	ask("s-d", "first", 1);
	T(holds("structured.jsonl", "first"), "the writer writes");
	w = writer();
	if (w > 0 && limit(w, size_of(path) + 1000))
		return w;
	t_skip("no process's files can be limited here");
	stop(&s, 0);
	forget();
	return -1;
}

/* The disk is full, and stays so: said once, lines are counted, requests go on.
 * Then there is a little room, again and again, as other programs write too;
 * then there is enough. */
static void test_full_disk(void)
{
	char path[128];
	int bad, i;
	pid_t w = begin_full(path);

	if (w < 0)
		return;
	bad = ask_for(7000);
	T(said("cannot be written ("), "a full disk is told");
	T_INT(times("cannot be written ("), 1, "once, while it stays so");
	T(metric("claudecodex_journal_dropped_total") > 10,
	    "lines that are lost are counted");
	T(sound("structured.jsonl", 0) > 0, "no half line stays in the file");
	for (i = 0; i < 2; i++) {
		limit(w, size_of(path) + 200000);
		bad += ask_for(4000);
	}
	T_INT(times("cannot be written ("), 1, "not each time it fills up");
	limit(w, UINT64_MAX);
	T(said("is written again"), "that it goes on is told");
	/* All that waits when it does is lost, and so would be the next. */
	nap(3500);
	T(holds("structured.jsonl", "journal_dropped"), "and what is missing");
	ask("s-d", "after all", 1);
	T(holds("structured.jsonl", "after all"), "it is written again");
	T(sound("structured.jsonl", 0) > 0, "nothing unexplained is named");
	T_INT(times("is written again"), 1, "as often as the trouble");
	T_INT(bad, 0, "every request is served meanwhile");
	T(stop(&s, 0), "it ends");
	forget();
}

/* A writer that takes another's place finds the disk as it should be. And a
 * console in a file that is full. */
static void test_full_other(void)
{
	char path[128];
	pid_t w = begin_full(path);
	int bad;

	if (w < 0)
		return;
	bad = ask_for(500);
	T(said("cannot be written ("), "a full disk is told");
	kill(w, SIGKILL);
	bad += ask_for(1500);
	T(said("is written again"), "another writer's success is told");
	T(metric("claudecodex_console_dropped_total") == 0, "all was said");
	limit(s.pid, size_of(s.output));
	bad += ask_for(500);
	T(metric("claudecodex_console_dropped_total") > 0,
	    "lines of a console that is full are counted");
	T_INT(bad, 0, "every request is served meanwhile");
	T(stop(&s, 0), "it ends");
	forget();
}

/* The files of requests_full whose name ends so; of the last its name. All of
 * them: their bytes. */
static size_t full_files(const char *end, char *name, size_t size,
    uint64_t *bytes)
{
	char path[300];
	struct dirent *e;
	struct stat st;
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof path, "%s/requests_full", dir);
	d = opendir(path);
	*bytes = 0;
	while (d && (e = readdir(d))) {
		snprintf(path, sizeof path, "%s/requests_full/%.120s", dir,
		    e->d_name);
		if (!str_ends(str_of(e->d_name), str_of(end)) ||
		    lstat(path, &st) != 0)
			continue;
		n++;
		*bytes += (uint64_t)st.st_size;
		snprintf(name, size, "requests_full/%.120s", e->d_name);
	}
	if (d)
		closedir(d);
	return n;
}

static int full_comes(const char *end, size_t wanted, char name[160])
{
	int64_t until = now_ms() + WAIT_MS;
	uint64_t bytes;

	while (full_files(end, name, 160, &bytes) < wanted) {
		if (now_ms() >= until)
			return 0;
		nap(30);
	}
	return 1;
}

static void test_full(void)
{
	static const char body[] = "{\"model\":\"m\",\"max_tokens\":8,"
	    "\"messages\":[{\"role\":\"user\",\"content\":\"my key is "
	    "[redacted anthropic_key len=23] 0\"}]}";
	static const char lost[] = "claudecodex_payloads_dropped_total";
	char name[160] = "";
	uint64_t bytes;
	struct str t;
	int i;

	if (!begin("LOG_FULL_PAYLOADS=1", "LOG_MAX_BYTES=256k"))
		return;
	T_INT(ask("s-full", "my key is sk-ant-0123456789abcdef", 1), 200,
	    "a request");
	T(full_comes("-client-response.http", 1, name), "its answer is kept");
	T(holds(name, "demo"), "whole");
	t = read_one(name);
	T(str_starts(t, S("HTTP/1.1 200 ")), "with its head");
	T(full_comes("-client-request.http", 1, name), "and itself");
	T_INT(mode(name), 0600, "for us alone");
	T_INT(mode("requests_full"), 0700, "and so the folder");
	t = read_one(name);
	T(str_starts(t, S("POST /v1/messages HTTP/1.1\r\n")), "its head");
	T(str_ends(t, S(body)), "its content to the byte, but for the key");
	T(str_find(t, S("\r\n\r\n")) + 4 + sizeof body - 1 == t.n,
	    "behind an empty line");
	/* 30 of 20 KB and more: the oldest go. */
	for (i = 0; i < 30; i++)
		ask("s-full", "many", 20000);
	ask("s-full", "the last", 1);
	for (i = 0; i < 100; i++) {
		full_files("-client-request.http", name, sizeof name, &bytes);
		if (str_find(read_one(name), S("the last")) <
		    read_one(name).n)
			break;
		nap(20);
	}
	full_files(".http", name, sizeof name, &bytes);
	T(bytes > 100000 && bytes <= 256 * 1024 + 40000,
	    "all together are bounded: %lu", (unsigned long)bytes);
	T(stop(&s, 0), "it ends");
	forget();
	if (!begin("LOG_FULL_PAYLOADS=1", "LOG_BODIES=errors"))
		return;
	ask("s-full", "goes well", 1);
	T(ask("s-full", "x\"},{\"role\":\"nobody", 1) == 400, "one that fails");
	T(holds("structured.jsonl", "\"error.type\":\"invalid"), "is told");
	T(full_comes("-client-response.http", 1, name), "and kept");
	T(holds(name, "invalid_request_error"), "as the client got it");
	T_INT(full_files("-client-request.http", name, sizeof name, &bytes),
	    1, "alone");
	T(stop(&s, 0), "it ends");
	forget();
	mkdir(dir, 0700);
	snprintf(name, sizeof name, "%s/requests_full", dir);
	if (symlink(room, name) == 0 && begin("LOG_FULL_PAYLOADS=1", NULL)) {
		ask("s-full", "elsewhere", 1);
		T(holds("structured.jsonl", "cdx.response"), "the journal");
		for (i = 0; i < 100 && metric(lost) < 2; i++)
			nap(20);
		T_INT(metric(lost), 2, "files that can't be are counted");
		T(stop(&s, 0), "it ends");
		T_INT(full_files(".http", name, sizeof name, &bytes), 0,
		    "a link is not followed");
		snprintf(name, sizeof name, "%s/requests_full", dir);
		unlink(name);
	}
	forget();
}

/* FN-50: files end, and the oldest go, whatever is written. */
static void test_segments(void)
{
	char path[256], words[32];
	size_t i, unsound = 0, pinned = 0;
	struct str t;
	FILE *f;

	mkdir(dir, 0700);
	snprintf(path, sizeof path, "%s/pins", dir);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "%s/pins/s-pin", dir);
	f = fopen(path, "w");
	if (f)
		fclose(f);
	if (!begin("LOG_MAX_BYTES=512k", "MONITOR_MEMORY=4m"))
		return;
	ask("s-pin", "pinned", 1);
	for (i = 0; i < 60; i++) {
		snprintf(words, sizeof words, "seg %u", (unsigned)i);
		ask("s-seg", words, 20000);
	}
	T(holds("structured.jsonl", "seg 59"), "the last is written");
	list();
	for (i = 0; i < nnames; i++) {
		unsound += sound(names[i], 0) == 0;
		t = read_one(names[i]);
		pinned += str_find(t, S("\"s-pin\"")) < t.n;
		T(t.n < 200000, "%s has a bounded size", names[i]);
	}
	T(nnames >= 3 && nnames <= 7, "segments come and go: %lu",
	    (unsigned long)nnames);
	T_INT(unsound, 0, "each stands alone");
	T_INT(pinned, 1, "the pinned one is still there");
	T(stop(&s, 0), "it ends");
	forget();
}

int main(int argc, char **argv)
{
	binary = argc > 1 ? argv[1] : getenv("CLAUDECODEX");
	strcpy(room, "/tmp/claudecodex-journal-XXXXXX");
	if (!binary || !mkdtemp(room)) {
		printf("usage: journal PROGRAM\n");
		return 1;
	}
	snprintf(dir, sizeof dir, "%s/logs", room);
	test_files();
	test_bodies();
	test_unwritable();
	test_link();
	test_foreign();
	test_writer();
	test_full_disk();
	test_full_other();
	test_full();
	test_segments();
	rmdir(room);
	return t_done("journal_files");
}
