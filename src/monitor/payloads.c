/* payloads.c -- LOG_DIR/requests_full: files of exact bytes.
 *
 * What can't be written is given up, file by file: the journal tells of the
 * request anyway, and waits for the disk. Half a file is deleted.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "payloads.h"

enum { OLDEST = 64 };		/* found in one look at the directory */

static const char folder[] = "requests_full";

static int open_folder(int dir)
{
	struct stat st;
	int fd;

	if (mkdirat(dir, folder, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = openat(dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid())) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- what is deleted --------------------------------------------------- */

struct old {
	int64_t when;
	uint64_t size;
	char name[PAYLOADS_NAME];
};

struct survey {
	uint64_t total;
	size_t n;
	struct old old[OLDEST];	/* the oldest first */
};

static void keep_old(struct survey *s, const struct stat *st,
    const char *name)
{
	size_t i = s->n;

	while (i > 0 && s->old[i - 1].when > (int64_t)st->st_mtime)
		i--;
	if (i == OLDEST || strlen(name) >= PAYLOADS_NAME)
		return;
	if (s->n < OLDEST)
		s->n++;
	memmove(s->old + i + 1, s->old + i,
	    (s->n - i - 1) * sizeof *s->old);
	s->old[i].when = (int64_t)st->st_mtime;
	s->old[i].size = (uint64_t)st->st_size;
	memcpy(s->old[i].name, name, strlen(name) + 1);
}

static int look(int fd, struct survey *s)
{
	int copy = dup(fd);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *e;
	struct stat st;

	s->total = 0;
	s->n = 0;
	if (!d) {
		if (copy >= 0)
			close(copy);
		return E_NONE;
	}
	rewinddir(d);
	while ((e = readdir(d)) != NULL) {
		if (!str_ends(str_of(e->d_name), S(".http")) ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		s->total += (uint64_t)st.st_size;
		keep_old(s, &st, e->d_name);
	}
	closedir(d);
	return OK;
}

void payloads_tidy(struct payloads *p, int dir)
{
	static struct survey s;
	/* Some room at once, so that not each new file asks for another look. */
	uint64_t goal = p->max - p->max / 8;
	int64_t now = (int64_t)time(NULL);
	size_t i, gone = 1;
	int fd = open_folder(dir);

	while (fd >= 0 && gone > 0 && look(fd, &s) == OK) {
		for (i = gone = 0; i < s.n && (s.total > goal ||
		    now - s.old[i].when >= p->age); i++) {
			if (unlinkat(fd, s.old[i].name, 0) < 0)
				continue;
			s.total -= s.old[i].size;
			gone++;
		}
		p->total = s.total;
	}
	if (fd >= 0)
		close(fd);
}

/* ---- what is written --------------------------------------------------- */

/* A name is ours, but nothing that is a path gets further. */
static int is_plain(struct str name)
{
	size_t i;

	for (i = 0; i < name.n; i++)
		if (!(name.p[i] >= '0' && name.p[i] <= '9') &&
		    !((name.p[i] | 32) >= 'a' && (name.p[i] | 32) <= 'z') &&
		    !memchr("-_.", name.p[i], 3))
			return 0;
	return name.n > 0 && name.n < PAYLOADS_NAME && name.p[0] != '.';
}

static void begin(struct payloads *p, int dir, struct str name)
{
	int in = open_folder(dir);

	if (p->fd >= 0)
		close(p->fd);
	memcpy(p->name, name.p, name.n);
	p->name[name.n] = '\0';
	p->fd = in < 0 ? -1 : openat(in, p->name, O_WRONLY | O_CREAT |
	    O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	p->failed = p->fd < 0;
	p->lost += p->fd < 0;
	if (in >= 0)
		close(in);
}

static void give_up(struct payloads *p, int dir)
{
	int in = open_folder(dir);

	p->failed = 1;
	p->lost++;
	if (in < 0)
		return;
	(void)unlinkat(in, p->name, 0);
	close(in);
}

void payloads_put(struct payloads *p, int dir, struct str message)
{
	struct str name = str_head(message, str_chr(message, '\0'));
	struct str text = str_from(message, name.n + 1);
	ssize_t n;

	if (!is_plain(name))
		return;
	if (!str_eq(name, str_of(p->name))) {
		/* Between two files, so that none is deleted half written. */
		if (p->total > p->max)
			payloads_tidy(p, dir);
		begin(p, dir, name);
	}
	while (text.n && !p->failed) {
		n = write(p->fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			give_up(p, dir);
			return;
		}
		p->total += (uint64_t)n;
		text = str_from(text, (size_t)n);
	}
}
