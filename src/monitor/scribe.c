/* scribe.c -- the child that writes the journal's files.
 *
 * It may block as long as a disk likes. What can't be written now, the disk
 * being full, is tried again every few seconds while the parent's ring holds
 * what follows; half a line is taken back first. Files are opened relative to
 * LOG_DIR, which is opened anew each time, so that a directory that was
 * replaced is noticed.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>	/* renameat */
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../net/sock.h"
#include "payloads.h"
#include "scribe.h"

enum {
	RETRY_MS = 3000,	/* after a failed write */
	LOG_MAX = 8 << 20,	/* of requests.log, then one older is kept */
	PINS_MAX = 64,
	NAME_MAX_ = 256,
	DAY = 86400
};

struct file {
	const char *name;
	int fd;
	uint64_t size;
};

struct scribe {
	const struct writer_options *o;
	int up;
	struct file line, log;
	struct scribe_news news;
	int wrote;		/* something, so far */
	struct payloads full;
};

/* ---- the directory ---------------------------------------------------- */

int scribe_dir(struct str path)
{
	char z[WRITER_DIR_MAX];
	struct stat st;
	int fd;

	if (path.n == 0 || path.n >= sizeof z) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(z, path.p, path.n);
	z[path.n] = '\0';
	if (mkdir(z, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = open(z, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid())) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

uint64_t scribe_number(const char *name)
{
	struct str s = str_of(name);
	uint64_t n;

	if (!str_starts(s, S("structured-")) || !str_ends(s, S(".jsonl")) ||
	    s.n < 18)
		return 0;
	s = str_head(str_from(s, 11), s.n - 17);
	return str_u64(s, &n) == OK ? n : 0;
}

const char *scribe_name(char *mem, uint64_t number)
{
	struct buf b = buf_on(mem, 64);

	buf_put(&b, S("structured-"));
	if (number < 1000000)
		buf_digits(&b, (int)number, 6);
	else
		buf_u64(&b, number);
	buf_put(&b, S(".jsonl"));
	buf_chr(&b, '\0');
	return mem;
}

/* ---- writing ---------------------------------------------------------- */

static int open_file(struct scribe *s, struct file *f)
{
	struct stat st;
	int dir = scribe_dir(s->o->dir);

	if (dir < 0)
		return E_NONE;
	f->fd = openat(dir, f->name, O_WRONLY | O_CREAT | O_APPEND |
	    O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	close(dir);
	if (f->fd >= 0 && (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(f->fd);
		f->fd = -1;
		errno = EINVAL;
	}
	if (f->fd < 0)
		return E_NONE;
	f->size = (uint64_t)st.st_size;
	return OK;
}

static void close_file(struct file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

static void tell(struct scribe *s, int fails, int why)
{
	const char *p = (const char *)&s->news;
	size_t n = sizeof s->news;
	ssize_t k;

	s->news.fails = (uint32_t)fails;
	s->news.why = (uint32_t)why;
	while (n && (k = write(s->up, p, n)) > 0) {
		p += k;
		n -= (size_t)k;
	}
}

/* A pause before another try. OK, or E_NONE: nobody wants it any more. */
static int rest(const struct scribe *s)
{
	struct pollfd p = { s->up, 0, 0 };

	return poll(&p, 1, RETRY_MS) > 0 && p.revents & (POLLHUP | POLLERR) ?
	    E_NONE : OK;
}

/* OK, or an errno. */
static int try_lines(struct scribe *s, struct file *f, const char *text,
    size_t n)
{
	ssize_t k;

	if (f->fd < 0 && open_file(s, f) != OK)
		return errno;
	do
		k = write(f->fd, text, n);
	while (k < 0 && errno == EINTR);
	if (k == (ssize_t)n) {
		f->size += n;
		return OK;
	}
	if (k < 0)
		return errno;
	/* Half of it is taken back: the file stays readable. */
	if (k > 0 && ftruncate(f->fd, (off_t)f->size) < 0)
		f->size += (uint64_t)k;
	return ENOSPC;
}

/* Whole lines, however long that takes. */
static int put_lines(struct scribe *s, struct file *f, const char *text,
    size_t n)
{
	int why;

	while ((why = try_lines(s, f, text, n)) != OK) {
		/* The file may have been moved, or its disk taken away. */
		close_file(f);
		if (!s->news.fails)
			tell(s, 1, why);
		if (rest(s) != OK)
			return E_NONE;
	}
	/* The first time as well: a child before this one may have failed. */
	if (s->news.fails || !s->wrote)
		tell(s, 0, 0);
	s->wrote = 1;
	return OK;
}

static int put_log(struct scribe *s, const char *text, size_t n)
{
	int dir;

	if (s->log.size > LOG_MAX && (dir = scribe_dir(s->o->dir)) >= 0) {
		renameat(dir, "requests.log", dir, "requests.log.1");
		close(dir);
		close_file(&s->log);
		s->log.size = 0;
	}
	return put_lines(s, &s->log, text, n);
}

/* ---- finished segments ------------------------------------------------ */

struct found {
	uint64_t n, number, bytes;	/* n: how many there are; of the oldest,
					 * its number; all bytes together */
	int64_t age;			/* of the oldest, s */
};

struct pins {
	size_t n;
	char name[PINS_MAX][72];
};

static void read_pins(int dir, struct pins *p)
{
	int fd = openat(dir, "pins", O_RDONLY | O_DIRECTORY | O_CLOEXEC |
	    O_NOFOLLOW);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	size_t n;

	p->n = 0;
	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (p->n < PINS_MAX && (e = readdir(d)) != NULL) {
		n = strlen(e->d_name);
		if (e->d_name[0] == '.' || n >= sizeof p->name[0])
			continue;
		memcpy(p->name[p->n++], e->d_name, n + 1);
	}
	closedir(d);
}

static int holds(struct str text, const struct pins *p)
{
	char mark[128];
	struct buf b;
	size_t i;

	for (i = 0; i < p->n; i++) {
		b = buf_on(mark, sizeof mark);
		buf_put(&b, S("\"gen_ai.conversation.id\":\""));
		buf_put(&b, str_of(p->name[i]));
		buf_chr(&b, '"');
		if (str_find(text, buf_str(&b)) < text.n)
			return 1;
	}
	return 0;
}

/* Whether a segment speaks of a session that somebody pinned. */
static int is_pinned(int dir, const char *name, const struct pins *p)
{
	struct stat st;
	void *m = MAP_FAILED;
	int fd, r = 0;

	if (p->n == 0)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
		m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
		    0);
	if (m != MAP_FAILED) {
		r = holds((struct str){ m, (size_t)st.st_size }, p);
		munmap(m, (size_t)st.st_size);
	}
	if (fd >= 0)
		close(fd);
	return r;
}

/* The finished segments that nobody pinned. after: numbers to pass over, as
 * pinned ones were found there. */
static int survey(int dir, struct found *f, uint64_t after, char name[64])
{
	int fd = dup(dir);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat st;
	struct buf b;
	uint64_t number;

	memset(f, 0, sizeof *f);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return E_NONE;
	}
	rewinddir(d);
	while ((e = readdir(d)) != NULL) {
		number = scribe_number(e->d_name);
		if (number <= after || fstatat(dir, e->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
			continue;
		f->n++;
		f->bytes += (uint64_t)st.st_size;
		if (f->number && number > f->number)
			continue;
		f->number = number;
		f->age = (int64_t)(time(NULL) - st.st_mtime);
		b = buf_on(name, 64);
		buf_put(&b, str_head(str_of(e->d_name), 63));
		buf_chr(&b, '\0');
	}
	closedir(d);
	return f->n ? OK : E_NONE;
}

/* Deletes the oldest until the limits hold. Pinned ones don't count. */
static void tidy(struct scribe *s)
{
	static struct pins pins;
	struct found f;
	uint64_t after = 0;
	char name[64];
	int dir = scribe_dir(s->o->dir);

	if (dir < 0)
		return;
	read_pins(dir, &pins);
	while (survey(dir, &f, after, name) == OK) {
		if (f.n < s->o->keep && f.bytes + s->o->segment_max <=
		    s->o->total_max && f.age < (int64_t)s->o->days * DAY)
			break;
		if (is_pinned(dir, name, &pins) || unlinkat(dir, name, 0) < 0)
			after = f.number;
	}
	close(dir);
}

/* The current file is finished; what follows belongs to segment n. */
static void rotate(struct scribe *s, struct str n)
{
	char name[64];
	uint64_t number;
	struct stat st;
	int dir;

	if (str_u64(n, &number) != OK || number < 2)
		return;
	close_file(&s->line);
	dir = scribe_dir(s->o->dir);
	if (dir < 0)
		return;
	if (fstatat(dir, s->line.name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		renameat(dir, s->line.name, dir,
		    scribe_name(name, number - 1));
	}
	if (s->o->full)
		payloads_tidy(&s->full, dir);
	close(dir);
	tidy(s);
}

static void put_payload(struct scribe *s, struct str message)
{
	int dir = scribe_dir(s->o->dir);

	if (dir < 0)
		return;
	payloads_put(&s->full, dir, message);
	close(dir);
	if (s->news.lost != s->full.lost) {
		s->news.lost = s->full.lost;
		tell(s, (int)s->news.fails, (int)s->news.why);
	}
}

/* ---- the child -------------------------------------------------------- */

static int get(int fd, char *p, size_t n)
{
	ssize_t k;

	while (n) {
		k = read(fd, p, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return E_NONE;
		p += k;
		n -= (size_t)k;
	}
	return OK;
}

void scribe_run(const struct writer_options *o, int fd, char *text)
{
	struct scribe s = { .o = o, .up = fd, .full = { .fd = -1,
	    .max = o->total_max, .age = (int64_t)o->days * DAY } };
	struct scribe_head h;
	int dir = o->full ? scribe_dir(o->dir) : -1;

	s.line = (struct file){ "structured.jsonl", -1, 0 };
	s.log = (struct file){ "requests.log", -1, 0 };
	tidy(&s);
	if (dir >= 0) {
		payloads_tidy(&s.full, dir);
		close(dir);
	}
	/* An unwritable directory is told at once. */
	if (open_file(&s, &s.line) != OK)
		tell(&s, 1, errno);
	while (get(fd, (char *)&h, sizeof h) == OK && h.n < SCRIBE_MAX &&
	    get(fd, text, h.n) == OK)
		switch ((enum scribe_kind)h.kind) {
		case SCRIBE_LINES:
			if (put_lines(&s, &s.line, text, h.n) != OK)
				return;
			break;
		case SCRIBE_LOG:
			if (put_log(&s, text, h.n) != OK)
				return;
			break;
		case SCRIBE_ROTATE:
			rotate(&s, (struct str){ text, h.n });
			break;
		case SCRIBE_REOPEN:
			close_file(&s.line);
			close_file(&s.log);
			break;
		case SCRIBE_FULL:
			put_payload(&s, (struct str){ text, h.n });
			break;
		}
}
