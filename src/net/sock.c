/* sock.c -- stream sockets, and the only place where errno is looked at.
 *
 * Plain POSIX calls, wrapped once: descriptors are checked against FD_SETSIZE
 * before anyone sees them, interrupted calls are repeated, and errno becomes
 * a reason with a text. It knows nothing of names, TLS or what is sent. No
 * memory is kept but the reserve descriptor and the tests' hook.
 *
 * SPDX-License-Identifier: MIT */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE		/* SO_PEERCRED */
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "sock.h"

enum {
	KEEPALIVE_IDLE = 60,	/* seconds of silence before the first probe */
	KEEPALIVE_EVERY = 15,
	KEEPALIVE_COUNT = 4,	/* lost probes: 60 + 4 * 15 = two minutes */
	ACCEPT_TRIES = 16,	/* dead connections skipped in one call */
	PORT_TRIES = 16		/* free ports tried until both families agree */
};

static const struct sock_hook *hook;

void sock_test_hook(const struct sock_hook *h)
{
	hook = h;
}

/* Lets a test fail the call that follows, or shorten it. */
static int barred(int op, int fd, size_t *n)
{
	long r = hook ? hook->before(hook->ctx, op, fd) : 0;

	if (r < 0) {
		errno = (int)-r;
		return 1;
	}
	if (r > 0 && n && *n > (size_t)r)
		*n = (size_t)r;
	return 0;
}

static enum sock_reason reason(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return SOCK_REFUSED;
	case ECONNRESET:
	case ECONNABORTED:
	case EPIPE:
	case ENOTCONN:
		return SOCK_RESET;
	case ETIMEDOUT:
		return SOCK_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return SOCK_NO_ROUTE;
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
		return SOCK_NO_FAMILY;
	case EADDRNOTAVAIL:
		return SOCK_NOT_LOCAL;
	case EADDRINUSE:
		return SOCK_IN_USE;
	case EACCES:
	case EPERM:
	case EROFS:
		return SOCK_DENIED;
	case EMFILE:
	case ENFILE:
		return SOCK_NO_FILES;
	case ENOBUFS:
	case ENOMEM:
		return SOCK_NO_MEMORY;
	case EINVAL:
		return SOCK_BAD_ADDRESS;
	case ENOENT:
	case ENOTDIR:
		return SOCK_NO_NAME;
	default:
		return SOCK_OTHER;
	}
}

struct str sock_text(enum sock_reason why)
{
	switch (why) {
	case SOCK_FINE:
		return S("no error");
	case SOCK_REFUSED:
		return S("connection refused");
	case SOCK_RESET:
		return S("connection closed by the peer");
	case SOCK_TIMEOUT:
		return S("connection timed out");
	case SOCK_NO_ROUTE:
		return S("host or network unreachable");
	case SOCK_NO_FAMILY:
		return S("address family not available on this machine");
	case SOCK_NOT_LOCAL:
		return S("no such address on this machine");
	case SOCK_IN_USE:
		return S("port already in use");
	case SOCK_DENIED:
		return S("not permitted by the system");
	case SOCK_NO_FILES:
		return S("out of file descriptors");
	case SOCK_NO_MEMORY:
		return S("the system is out of memory for sockets");
	case SOCK_BAD_ADDRESS:
		return S("not a numeric address");
	case SOCK_NO_NAME:
		return S("no such socket");
	case SOCK_FOREIGN:
		return S("another user's process is at the other end");
	case SOCK_OTHER:
		break;
	}
	return S("network error");
}

/* The system's form of an address, which stays in this file. */
union system_addr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t to_system(union system_addr *u, const struct sock_addr *a)
{
	memset(u, 0, sizeof *u);
	if (a->family == 4) {
		u->v4.sin_family = AF_INET;
		u->v4.sin_port = htons(a->port);
		memcpy(&u->v4.sin_addr, a->ip, 4);
		return sizeof u->v4;
	}
	u->v6.sin6_family = AF_INET6;
	u->v6.sin6_port = htons(a->port);
	u->v6.sin6_scope_id = a->scope;
	memcpy(&u->v6.sin6_addr, a->ip, 16);
	return sizeof u->v6;
}

static int from_system(struct sock_addr *a, const union system_addr *u)
{
	memset(a, 0, sizeof *a);
	if (u->any.sa_family == AF_INET) {
		a->family = 4;
		a->port = ntohs(u->v4.sin_port);
		memcpy(a->ip, &u->v4.sin_addr, 4);
	} else if (u->any.sa_family == AF_INET6) {
		a->family = 6;
		a->port = ntohs(u->v6.sin6_port);
		a->scope = u->v6.sin6_scope_id;
		memcpy(a->ip, &u->v6.sin6_addr, 16);
	} else if (u->any.sa_family == AF_UNIX) {
		a->family = SOCK_LOCAL;
	} else {
		return E_NONE;
	}
	return OK;
}

/* The zone after '%': a number, or the name of an interface. */
static int parse_zone(uint32_t *scope, struct str zone)
{
	char name[IF_NAMESIZE];
	uint64_t v;

	if (str_u64(zone, &v) == OK) {
		*scope = (uint32_t)v;
		return v && v <= UINT32_MAX ? OK : E_BAD;
	}
	if (zone.n == 0 || zone.n >= sizeof name)
		return E_BAD;
	memcpy(name, zone.p, zone.n);
	name[zone.n] = '\0';
	*scope = if_nametoindex(name);
	return *scope ? OK : E_BAD;
}

int sock_addr_parse(struct sock_addr *a, struct str host, unsigned port)
{
	char text[INET6_ADDRSTRLEN];
	struct str zone;
	int bracket = 0, percent;

	memset(a, 0, sizeof *a);
	if (port > UINT16_MAX)
		return E_BAD;
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
		host = str_head(str_from(host, 1), host.n - 2);
		bracket = 1;
	}
	zone = str_from(host, str_chr(host, '%'));
	percent = zone.n > 0;
	host.n -= zone.n;
	if (host.n == 0 || host.n >= sizeof text || memchr(host.p, 0, host.n))
		return E_BAD;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	a->port = (uint16_t)port;
	/* inet_pton takes four decimal parts and nothing else: 127.1 and
	 * 0x7f000001 are no addresses here. */
	if (!bracket && !percent && inet_pton(AF_INET, text, a->ip) == 1)
		a->family = 4;
	else if (inet_pton(AF_INET6, text, a->ip) == 1)
		a->family = 6;
	else
		return E_BAD;
	return percent ? parse_zone(&a->scope, str_from(zone, 1)) : OK;
}

int sock_addr_of(struct sock_addr *a, const void *system, size_t n)
{
	union system_addr u;

	memset(&u, 0, sizeof u);
	memcpy(&u, system, n < sizeof u ? n : sizeof u);
	return u.any.sa_family == AF_UNIX ? E_NONE : from_system(a, &u);
}

int sock_addr_is_loopback(const struct sock_addr *a)
{
	static const unsigned char one[16] = { [15] = 1 };
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (a->family == 4)
		return a->ip[0] == 127;
	if (a->family == SOCK_LOCAL)
		return 1;
	if (a->family != 6)
		return 0;
	return memcmp(a->ip, one, 16) == 0 ||
	    (memcmp(a->ip, mapped, 12) == 0 && a->ip[12] == 127);
}

static void put_v4(struct buf *b, const unsigned char *ip)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i)
			buf_chr(b, '.');
		buf_u64(b, ip[i]);
	}
}

/* RFC 5952: the first of the longest runs of zero words is "::", if it is two
 * words or more. */
static void put_v6(struct buf *b, const unsigned char *ip)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	int at = 8, longest = 1, i, n, shift, word, begun;

	if (memcmp(ip, mapped, sizeof mapped) == 0) {
		buf_put(b, S("::ffff:"));
		put_v4(b, ip + 12);
		return;
	}
	for (i = 0; i < 8; i++) {
		for (n = 0; i + n < 8; n++)
			if (ip[2 * (i + n)] || ip[2 * (i + n) + 1])
				break;
		if (n > longest) {
			longest = n;
			at = i;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == at) {
			buf_put(b, i + longest == 8 ? S("::") : S(":"));
			i += longest - 1;
			continue;
		}
		if (i)
			buf_chr(b, ':');
		word = ip[2 * i] << 8 | ip[2 * i + 1];
		for (begun = 0, shift = 12; shift >= 0; shift -= 4) {
			begun |= word >> shift || shift == 0;
			if (begun)
				buf_chr(b, "0123456789abcdef"[word >> shift &
				    15]);
		}
	}
}

void sock_addr_host(struct buf *b, const struct sock_addr *a)
{
	if (a->family == 4)
		put_v4(b, a->ip);
	else if (a->family == 6)
		put_v6(b, a->ip);
	else if (a->family == SOCK_LOCAL)
		buf_put(b, S("unix"));
	if (a->scope) {
		buf_chr(b, '%');
		buf_u64(b, a->scope);
	}
}

void sock_addr_text(struct buf *b, const struct sock_addr *a)
{
	if (a->family == 6)
		buf_chr(b, '[');
	sock_addr_host(b, a);
	if (a->family == 6)
		buf_chr(b, ']');
	buf_chr(b, ':');
	buf_u64(b, a->port);
}

static void set(int fd, int level, int option, int value)
{
	/* What is set here improves things, but nothing depends on it. */
	(void)setsockopt(fd, level, option, &value, sizeof value);
}

static int prepare(int fd, int nonblock)
{
	int flags = fcntl(fd, F_GETFL);

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || flags < 0)
		return -1;
	flags = nonblock ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags);
}

/* Closing comes before the reason is lost: errno is read first. */
static int give_up(int fd, enum sock_reason *why)
{
	*why = reason(errno);
	sock_close(fd);
	return SOCK_ERR;
}

static int stream_socket(int family, enum sock_reason *why)
{
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd >= FD_SETSIZE) {
		*why = SOCK_NO_FILES;
		sock_close(fd);
		return SOCK_ERR;
	}
	if (fd < 0 || prepare(fd, 1) < 0)
		return give_up(fd, why);
	return fd;
}

static int new_socket(const struct sock_addr *a, enum sock_reason *why)
{
	if (a->family == 4 || a->family == 6)
		return stream_socket(a->family == 4 ? AF_INET : AF_INET6, why);
	*why = SOCK_BAD_ADDRESS;
	return SOCK_ERR;
}

int sock_listen_one(const struct sock_addr *a, enum sock_reason *why)
{
	union system_addr u;
	socklen_t n = to_system(&u, a);
	int fd = new_socket(a, why);

	if (fd < 0)
		return SOCK_ERR;
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (a->family == 6)
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (bind(fd, &u.any, n) < 0 || listen(fd, SOMAXCONN) < 0)
		return give_up(fd, why);
	return fd;
}

/* 127.0.0.1, then ::1 at the same port: 1 or 2 descriptors, or SOCK_ERR. */
static int listen_loopback(int fd[SOCK_LISTEN_MAX], unsigned port,
    enum sock_reason *why)
{
	struct sock_addr a;

	if (sock_addr_parse(&a, S("127.0.0.1"), port) != OK) {
		*why = SOCK_BAD_ADDRESS;
		return SOCK_ERR;
	}
	fd[0] = sock_listen_one(&a, why);
	if (fd[0] < 0)
		return SOCK_ERR;
	(void)sock_addr_parse(&a, S("::1"), sock_port(fd[0]));
	fd[1] = sock_listen_one(&a, why);
	if (fd[1] >= 0)
		return 2;
	if (*why == SOCK_NO_FAMILY || *why == SOCK_NOT_LOCAL)
		return 1;
	/* Someone else there would get half of what is meant for us. */
	sock_close(fd[0]);
	return SOCK_ERR;
}

int sock_listen(int fd[SOCK_LISTEN_MAX], struct str host, unsigned port,
    enum sock_reason *why)
{
	struct sock_addr a;
	int i, n = SOCK_ERR;

	*why = SOCK_FINE;
	if (host.n == 0 || str_ieq(host, S("localhost"))) {
		for (i = 0; i < (port ? 1 : PORT_TRIES); i++) {
			n = listen_loopback(fd, port, why);
			if (n != SOCK_ERR || *why != SOCK_IN_USE)
				break;
		}
		return n;
	}
	if (sock_addr_parse(&a, host, port) != OK) {
		*why = SOCK_BAD_ADDRESS;
		return SOCK_ERR;
	}
	fd[0] = sock_listen_one(&a, why);
	return fd[0] < 0 ? SOCK_ERR : 1;
}

/* ---- names in the file system ----------------------------------------- */

_Static_assert(sizeof ((struct sockaddr_un *)0)->sun_path > SOCK_PATH_MAX,
    "SOCK_PATH_MAX is more than this system has room for");

/* A descriptor to go with the name, which must not look abstract: without a
 * file there is no mode that keeps others out. */
static int local_socket(struct sockaddr_un *u, struct str path,
    enum sock_reason *why)
{
	memset(u, 0, sizeof *u);
	u->sun_family = AF_UNIX;
	*why = SOCK_BAD_ADDRESS;
	if (path.n == 0 || path.p[0] != '/' || path.n > SOCK_PATH_MAX ||
	    memchr(path.p, 0, path.n))
		return SOCK_ERR;
	memcpy(u->sun_path, path.p, path.n);
	*why = SOCK_FINE;
	return stream_socket(AF_UNIX, why);
}

int sock_local_listen(struct str path, enum sock_reason *why)
{
	struct sockaddr_un u;
	int fd = local_socket(&u, path, why), r, err;
	mode_t mask;

	if (fd < 0)
		return SOCK_ERR;
	/* The file has its mode from its first moment on: a chmod would come
	 * too late for who is quick. */
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&u, sizeof u);
	err = errno;
	umask(mask);
	errno = err;
	if (r < 0 || listen(fd, SOMAXCONN) < 0)
		return give_up(fd, why);
	return fd;
}

int sock_local_connect(struct str path, enum sock_reason *why)
{
	struct sockaddr_un u;
	int fd = local_socket(&u, path, why), r;

	if (fd < 0)
		return SOCK_ERR;
	do
		r = barred('c', fd, NULL) ? -1 :
		    connect(fd, (const struct sockaddr *)&u, sizeof u);
	while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == EINPROGRESS)) {
		*why = SOCK_TIMEOUT;
	} else if (r < 0) {
		*why = reason(errno);
	} else if (sock_local_peer(fd) == OK) {
		return fd;
	} else {
		*why = SOCK_FOREIGN;
	}
	sock_close(fd);
	return SOCK_ERR;
}

int sock_local_peer(int fd)
{
#ifdef __linux__
	/* The kernel's struct ucred, which a libc shows to GNU programs only. */
	struct { int32_t pid; uint32_t uid, gid; } who = { 0, UINT32_MAX, 0 };
	socklen_t n = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 ||
	    n != sizeof who)
		return E_FAULT;
	return who.uid == 0 || who.uid == geteuid() ? OK : E_FAULT;
#else
	(void)fd;
	return OK;
#endif
}

int sock_local_closed(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

static int accept_failed(int err, enum sock_reason *why)
{
	*why = reason(err);
	switch (err) {
	case EMFILE:
	case ENFILE:
		return SOCK_FULL;
	case ENOBUFS:
	case ENOMEM:
		return SOCK_FULL;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
	case EOPNOTSUPP:
	case EFAULT:
		return SOCK_ERR;
	default:
		/* EAGAIN; or, as accept(2) warns, an error that the network
		 * has for a connection still waiting: its own affair. */
		return SOCK_AGAIN;
	}
}

int sock_accept(int listener, struct sock_addr *peer, enum sock_reason *why)
{
	union system_addr u;
	struct sock_addr unused;
	socklen_t n;
	int fd, i;

	*why = SOCK_FINE;
	for (i = 0; i < ACCEPT_TRIES; i++) {
		n = sizeof u;
		memset(&u, 0, sizeof u);
		fd = barred('a', listener, NULL) ? -1 :
		    accept(listener, &u.any, &n);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return accept_failed(errno, why);
		if (fd >= FD_SETSIZE) {
			*why = SOCK_NO_FILES;
			sock_close(fd);
			return SOCK_FULL;
		}
		if (prepare(fd, 1) < 0) {
			sock_close(fd);
			continue;
		}
		if (u.any.sa_family != AF_UNIX)
			set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
		(void)from_system(peer ? peer : &unused, &u);
		return fd;
	}
	return SOCK_AGAIN;
}

static void keep_alive(int fd)
{
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
#endif
#ifdef TCP_KEEPINTVL
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY);
#endif
#ifdef TCP_KEEPCNT
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT);
#endif
}

int sock_connect_start(const struct sock_addr *a, enum sock_reason *why)
{
	union system_addr u;
	socklen_t n = to_system(&u, a);
	int fd = new_socket(a, why);

	if (fd < 0)
		return SOCK_ERR;
	*why = SOCK_FINE;
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	keep_alive(fd);
	/* Interrupted, it goes on by itself as if in progress (POSIX). */
	if ((barred('c', fd, NULL) || connect(fd, &u.any, n) < 0) &&
	    errno != EINPROGRESS && errno != EINTR)
		return give_up(fd, why);
	return fd;
}

/* TCP may connect a socket to itself when nobody listens on a local port
 * that the system happens to choose for our side. */
static int is_self(int fd, const struct sock_addr *peer)
{
	union system_addr u;
	struct sock_addr own;
	socklen_t n = sizeof u;

	return peer->family != SOCK_LOCAL &&
	    getsockname(fd, &u.any, &n) == 0 &&
	    from_system(&own, &u) == OK && own.port == peer->port &&
	    own.family == peer->family && memcmp(own.ip, peer->ip, 16) == 0;
}

int sock_connect_done(int fd, enum sock_reason *why)
{
	struct sock_addr peer;
	int err = 0;
	socklen_t n = sizeof err;

	*why = SOCK_FINE;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		err = errno;
	if (err) {
		*why = reason(err);
		return SOCK_ERR;
	}
	if (sock_peer(fd, &peer) != OK)
		return SOCK_AGAIN;
	if (is_self(fd, &peer)) {
		*why = SOCK_REFUSED;
		return SOCK_ERR;
	}
	return OK;
}

/* What a failed read or write means; 0: it was interrupted, repeat it. */
static int moved_nothing(enum sock_reason *why)
{
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return SOCK_AGAIN;
	*why = reason(errno);
	return SOCK_ERR;
}

long sock_read(int fd, char *p, size_t n, enum sock_reason *why)
{
	ssize_t got;
	int bad;

	*why = SOCK_FINE;
	if (n == 0)
		abort();	/* 0 bytes would look like the end */
	do {
		got = barred('r', fd, &n) ? -1 : recv(fd, p, n, 0);
		if (got > 0)
			return (long)got;
		if (got == 0)
			return SOCK_EOF;
		bad = moved_nothing(why);
	} while (bad == 0);
	return bad;
}

long sock_write(int fd, struct str s, enum sock_reason *why)
{
	ssize_t put;
	int bad;

	*why = SOCK_FINE;
	if (s.n == 0)
		return 0;
	do {
		put = barred('w', fd, &s.n) ? -1 :
		    send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (put >= 0)
			return (long)put;
		bad = moved_nothing(why);
	} while (bad == 0);
	return bad;
}

/* Slices as the system wants them, at most `most` bytes in all. The count is
 * small, and systems disagree on the type it should have. */
static uint8_t gather(struct iovec *v, const struct str *s, size_t count,
    size_t most)
{
	size_t i;
	uint8_t used = 0;

	for (i = 0; i < count && i < SOCK_SLICES_MAX; i++) {
		struct str part = str_head(s[i], most);

		if (part.n == 0)
			continue;
		/* The system reads only; its type just doesn't say so. */
		v[used].iov_base = (void *)(uintptr_t)part.p;
		v[used++].iov_len = part.n;
		most -= part.n;
	}
	return used;
}

long sock_writev(int fd, const struct str *s, size_t count,
    enum sock_reason *why)
{
	struct iovec v[SOCK_SLICES_MAX];
	struct msghdr m;
	ssize_t put;
	size_t most;
	int bad;

	*why = SOCK_FINE;
	memset(&m, 0, sizeof m);
	m.msg_iov = v;
	if (gather(v, s, count, SIZE_MAX) == 0)
		return 0;
	do {
		most = SIZE_MAX;
		put = -1;
		if (!barred('w', fd, &most)) {
			m.msg_iovlen = gather(v, s, count, most);
			put = sendmsg(fd, &m, MSG_NOSIGNAL);
		}
		if (put >= 0)
			return (long)put;
		bad = moved_nothing(why);
	} while (bad == 0);
	return bad;
}

void sock_shutdown_write(int fd)
{
	(void)shutdown(fd, SHUT_WR);
}

void sock_close(int fd)
{
	/* Not repeated on EINTR: the descriptor is gone either way, and its
	 * number may already be someone else's. */
	if (fd >= 0)
		(void)close(fd);
}

int sock_peer(int fd, struct sock_addr *a)
{
	union system_addr u;
	socklen_t n = sizeof u;

	memset(&u, 0, sizeof u);
	memset(a, 0, sizeof *a);
	if (getpeername(fd, &u.any, &n) < 0)
		return E_NONE;
	return from_system(a, &u);
}

unsigned sock_port(int fd)
{
	union system_addr u;
	struct sock_addr a;
	socklen_t n = sizeof u;

	memset(&u, 0, sizeof u);
	if (getsockname(fd, &u.any, &n) < 0 || from_system(&a, &u) != OK)
		return 0;
	return a.port;
}

int sock_pair(int fd[2], enum sock_reason *why)
{
	*why = SOCK_FINE;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0) {
		*why = reason(errno);
		return SOCK_ERR;
	}
	if (fd[0] < FD_SETSIZE && fd[1] < FD_SETSIZE &&
	    prepare(fd[0], 1) == 0 && prepare(fd[1], 0) == 0)
		return OK;
	*why = SOCK_NO_FILES;
	sock_close(fd[0]);
	sock_close(fd[1]);
	return SOCK_ERR;
}

/* One descriptor in a message of one byte, as the system wants it. */
union passed {
	struct cmsghdr head;	/* aligns it */
	char room[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message(struct iovec *v, char *byte, union passed *u)
{
	struct msghdr m;

	memset(&m, 0, sizeof m);
	memset(u, 0, sizeof *u);
	v->iov_base = byte;
	v->iov_len = 1;
	m.msg_iov = v;
	m.msg_iovlen = 1;
	m.msg_control = u->room;
	m.msg_controllen = sizeof u->room;
	return m;
}

int sock_give(int pair, int fd, enum sock_reason *why)
{
	char byte = 'f';
	struct iovec v;
	union passed u;
	struct msghdr m = message(&v, &byte, &u);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(c), &fd, sizeof fd);
	do
		n = sendmsg(pair, &m, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	*why = n == 1 ? SOCK_FINE : reason(errno);
	return n == 1 ? OK : SOCK_ERR;
}

int sock_take(int pair, enum sock_reason *why)
{
	char byte;
	struct iovec v;
	union passed u;
	struct msghdr m = message(&v, &byte, &u);
	struct cmsghdr *c;
	ssize_t n;
	int fd;

	*why = SOCK_FINE;
	do
		n = recvmsg(pair, &m, 0);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return SOCK_EOF;
	c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof fd)) {
		*why = n < 0 ? reason(errno) : SOCK_OTHER;
		return SOCK_ERR;
	}
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

void sock_wake(int fd)
{
	int kept = errno;

	(void)send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	errno = kept;
}
