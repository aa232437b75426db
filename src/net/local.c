/* local.c -- a Unix socket to listen on, as a file that is its user's alone.
 *
 * The directory is held open while the file in it is looked at, replaced and
 * made, and locked, so that two who start at once don't take each other's file
 * for one that was left. The lock is the directory's own (flock): a file beside
 * the socket would be one more to be left. Where a file system has no locks
 * there is none.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* S_ISVTX */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "local.h"
#include "sandbox.h"

enum {
	LOCK_TRIES = 100,	/* of PAUSE: two seconds; a start takes a */
	PAUSE = 20,		/* millisecond */
	REMOVE_MS = 1000	/* for the file to be removed */
};

static int say(struct buf *why, struct str text)
{
	buf_put(why, text);
	return E_FAULT;
}

static int say_errno(struct buf *why, struct str text)
{
	const char *reason = strerror(errno);

	buf_put(why, text);
	buf_put(why, S(": "));
	buf_put(why, str_of(reason));
	return E_FAULT;
}

/* The path's parts with a NUL each. dir holds the final slash. */
static int split(struct str path, char dir[SOCK_PATH_MAX + 1],
    char name[SOCK_PATH_MAX + 1])
{
	size_t n = path.n;

	while (n && path.p[n - 1] != '/')
		n--;
	if (n == 0 || n == path.n || path.n > SOCK_PATH_MAX ||
	    memchr(path.p, 0, path.n))
		return E_BAD;
	memcpy(dir, path.p, n);
	dir[n] = '\0';
	memcpy(name, path.p + n, path.n - n);
	name[path.n - n] = '\0';
	return OK;
}

/* Its directory, open, if it is fit for us; else -1. */
static int open_dir(struct str path, char name[SOCK_PATH_MAX + 1],
    struct buf *why)
{
	char dir[SOCK_PATH_MAX + 1];
	struct stat st;
	int fd;

	if (split(path, dir, name) != OK) {
		say(why, S("not a path of a file"));
		return -1;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		say_errno(why, S("its directory can't be opened"));
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		say(why, S("its directory belongs to another user"));
	else if (st.st_mode & 022 && !(st.st_mode & S_ISVTX))
		say(why, S("others may write to its directory (chmod go-w)"));
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int lock(int dir)
{
	const struct timespec pause = { 0, PAUSE * 1000000 };
	int i;

	for (i = 0; i < LOCK_TRIES; i++) {
		if (flock(dir, LOCK_EX | LOCK_NB) == 0 ||
		    (errno != EWOULDBLOCK && errno != EINTR))
			return OK;
		(void)nanosleep(&pause, NULL);
	}
	return E_FAULT;
}

/* What is there already: OK, nothing; E_NONE, what one of us left; E_FAULT,
 * what isn't to be touched. */
static int inspect(int dir, const char *name, struct str path, struct buf *why)
{
	enum sock_reason reason;
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? OK :
		    say_errno(why, S("it can't be looked at"));
	if (!S_ISSOCK(st.st_mode))
		return say(why, S("there is a file that is no socket"));
	if (st.st_uid != geteuid())
		return say(why, S("there is a socket of another user's"));
	fd = sock_local_connect(path, &reason);
	sock_close(fd);
	if (fd >= 0)
		return say(why, S("somebody listens there already"));
	if (reason == SOCK_REFUSED)
		return E_NONE;
	buf_put(why, S("whether somebody listens there can't be told: "));
	return say(why, sock_text(reason));
}

int local_look(struct str path, struct buf *why)
{
	char name[SOCK_PATH_MAX + 1];
	int dir = open_dir(path, name, why), r;

	if (dir < 0)
		return E_FAULT;
	r = inspect(dir, name, path, why);
	close(dir);
	return r == E_FAULT ? E_FAULT : OK;
}

/* As the directory that was looked at has it, and no ACL of that directory has
 * opened it to others. */
static int is_as_meant(struct local *l, int dir, const char *name)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return 0;
	if (st.st_mode & 077) {
		(void)unlinkat(dir, name, 0);
		return 0;
	}
	l->dev = (uint64_t)st.st_dev;
	l->ino = (uint64_t)st.st_ino;
	l->made_s = (int64_t)st.st_mtim.tv_sec;
	l->made_ns = (int64_t)st.st_mtim.tv_nsec;
	return 1;
}

static int make(struct local *l, int dir, const char *name, struct buf *why)
{
	enum sock_reason reason;
	int r;

	if (lock(dir) != OK)
		return say(why, S("its directory is locked by another process"));
	r = inspect(dir, name, l->path, why);
	if (r == E_NONE && unlinkat(dir, name, 0) < 0)
		return say_errno(why, S("what was left there can't be removed"));
	if (r == E_FAULT)
		return E_FAULT;
	l->fd = sock_local_listen(l->path, &reason);
	if (l->fd < 0)
		return say(why, sock_text(reason));
	if (is_as_meant(l, dir, name))
		return OK;
	sock_close(l->fd);
	l->fd = -1;
	return say(why, S("the file system doesn't keep it to this user"));
}

void local_init(struct local *l)
{
	memset(l, 0, sizeof *l);
	l->fd = l->remover.fd = -1;
}

int local_listen(struct local *l, struct str path, struct buf *why)
{
	char name[SOCK_PATH_MAX + 1];
	int dir, r;

	l->path = path;
	dir = open_dir(path, name, why);
	if (dir < 0)
		return E_FAULT;
	r = make(l, dir, name, why);
	close(dir);		/* and the lock with it */
	return r;
}

/* ---- the end ---------------------------------------------------------- */

/* Numbers of files are used again, so the time is compared as well; the mode
 * and with it the time of its change are the user's to alter. */
static int is_ours(const struct local *l, const struct stat *st)
{
	return S_ISSOCK(st->st_mode) && (uint64_t)st->st_dev == l->dev &&
	    (uint64_t)st->st_ino == l->ino &&
	    (int64_t)st->st_mtim.tv_sec == l->made_s &&
	    (int64_t)st->st_mtim.tv_nsec == l->made_ns;
}

static void unlink_ours(const struct local *l)
{
	char name[SOCK_PATH_MAX + 1], text[256];
	struct buf unheard = buf_on(text, sizeof text);
	struct stat st;
	int dir = open_dir(l->path, name, &unheard);

	if (dir < 0)
		return;
	if (lock(dir) == OK &&
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    is_ours(l, &st))
		(void)unlinkat(dir, name, 0);
	close(dir);
}

/* The life of the process that removes it: waits for the end of ours. */
static void wait_and_unlink(const struct local *l, int from, pid_t parent)
{
	const struct timespec pause = { 0, PAUSE * 1000000 };
	enum sock_reason why;
	char byte;

	keeper_signals(1);
	keeper_close_others(from);
	if (l->sandbox)
		(void)sandbox_store();
	/* An error is no end, unless nobody is left to end. */
	while (sock_read(from, &byte, 1, &why) != SOCK_EOF &&
	    getppid() == parent)
		(void)nanosleep(&pause, NULL);
	unlink_ours(l);
	_exit(0);
}

int local_keep(struct local *l, int sandbox)
{
	pid_t parent = getpid();
	int fd;

	l->sandbox = sandbox;
	l->remover.pid = keeper_fork(&fd);
	if (l->remover.pid == 0)
		wait_and_unlink(l, fd, parent);
	if (l->remover.pid < 0) {
		l->remover.pid = 0;
		unlink_ours(l);
		return E_FAULT;
	}
	l->remover.fd = fd;
	return OK;
}

void local_remove(struct local *l)
{
	if (l->remover.pid)
		keeper_stop(&l->remover, REMOVE_MS);
}

void local_forget(struct local *l)
{
	sock_close(l->remover.fd);
	l->remover.fd = -1;
	l->remover.pid = 0;
}
