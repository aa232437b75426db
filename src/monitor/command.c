/* command.c -- which command, its arguments, and the files they read.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* MAP_ANONYMOUS */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal_own.h"
#include "load.h"
#include "term.h"

enum { PORT_DEFAULT = 8082 };

static const struct {
	const char *name;
	int (*run)(const struct command_input *in);
} commands[] = {
	{ "tail", command_tail },
	{ "top", command_top },
	{ "report", command_report },
	{ "replay", command_replay }
};

static size_t find(const char *name)
{
	size_t i;

	for (i = 0; i < COUNT(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			break;
	return i;
}

int command_is(const char *name)
{
	return find(name) < COUNT(commands);
}

int command_run(const char *name, const struct command_input *in)
{
	return commands[find(name)].run(in);
}

const char *args_next(struct args *a)
{
	return a->at < a->argc ? a->argv[a->at++] : NULL;
}

int command_fail(struct str what, struct str which)
{
	char text[1024];
	struct buf b = buf_on(text, sizeof text);
	ssize_t n;

	buf_put(&b, S("claudecodex: "));
	buf_put(&b, what);
	buf_printable(&b, str_head(which, 400));
	buf_chr(&b, '\n');
	n = write(2, b.p, b.n);
	(void)n;			/* there is nobody else to tell */
	return 2;
}

struct str command_socket(const struct command_input *in)
{
	return str_of(in->env(in->ctx, "SERVER_SOCKET"));
}

unsigned command_port(const struct command_input *in)
{
	uint64_t n;

	if (str_u64(str_of(in->env(in->ctx, "SERVER_PORT")), &n) == OK &&
	    n > 0 && n < 65536)
		return (unsigned)n;
	return PORT_DEFAULT;
}

void *command_memory(size_t n)
{
	void *m = mmap(NULL, n, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return m == MAP_FAILED ? NULL : m;
}

const char *command_path(const char *path, char *mem, size_t n)
{
	struct buf b = buf_on(mem, n);
	struct stat st;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return path;
	buf_put(&b, str_of(path));
	buf_put(&b, S("/structured.jsonl"));
	buf_chr(&b, '\0');
	return b.full ? path : mem;
}

int command_map(const char *path, struct str *out)
{
	const char *named = path;
	char inside[1024];
	struct buf b = buf_on(inside, sizeof inside);
	struct stat st;
	void *m = MAP_FAILED;
	int fd;

	path = command_path(path, inside, sizeof inside);
	*out = S("");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		buf_put(&b, S("cannot open ("));
		buf_put(&b, str_of(strerror(errno)));
		buf_put(&b, S("): "));
		command_fail(buf_str(&b), str_of(named));
		return E_FAULT;
	}
	if (st.st_size == 0) {
		close(fd);
		return OK;
	}
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < SIZE_MAX / 8)
		m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
		    0);
	close(fd);
	if (m == MAP_FAILED) {
		command_fail(S("cannot read "), str_of(path));
		return E_FAULT;
	}
	*out = (struct str){ m, (size_t)st.st_size };
	return OK;
}

static void insert(struct journal *j, const struct journal_line *l)
{
	struct entry e = { .kind = (unsigned char)l->kind };

	e.key = l->kind == J_BLOB ?
	    journal_sha_key(journal_text(l->text, S("sha")).raw) :
	    journal_hash(journal_text(l->text, S("id")).raw);
	journal_insert(j, l->seq, &e, l->text);
	if (l->kind == J_BLOB)
		journal_wrote(j, e.key, l->seq);
}

struct journal *command_load(struct str text, uint64_t *lines,
    uint64_t *damaged)
{
	struct journal_options o = { .slots = 1 };
	struct journal_reader rd = { .text = text };
	struct journal_line l;
	struct journal *j;
	int k;

	o.memory = (uint64_t)text.n * 3 + (32 << 20);
	j = journal_open(&o);
	while (j && (k = journal_read(&rd, &l)) != E_NONE) {
		if (k == OK) {
			++*lines;
			insert(j, &l);
			continue;
		}
		++*damaged;
		journal_skip(&rd);
	}
	return j;
}
