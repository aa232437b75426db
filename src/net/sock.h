/* sock.h -- stream sockets, and the only place where errno is looked at.
 *
 * Every descriptor handed out is non-blocking, close-on-exec and below
 * FD_SETSIZE, so that select() may take it. EINTR is retried inside. Calls
 * return a count or descriptor (zero and up) or one of the outcomes below;
 * with SOCK_ERR *why says the reason, and why may not be NULL.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SOCK_H
#define SOCK_H

#include "../base/base.h"

/* Interest in a descriptor, computed each turn from state. */
enum { WANT_READ = 1, WANT_WRITE = 2 };

enum {
	SOCK_AGAIN = -1,	/* nothing now: wait for select */
	SOCK_EOF = -2,		/* the peer ended its direction; reads only */
	SOCK_ERR = -3,		/* this socket is over, see *why */
	SOCK_FULL = -4		/* no descriptor left; accept only */
};

enum sock_reason {
	SOCK_FINE,
	SOCK_REFUSED,		/* nobody listens there */
	SOCK_RESET,		/* the peer dropped the connection */
	SOCK_TIMEOUT,		/* the system gave up on the peer */
	SOCK_NO_ROUTE,		/* host or network unreachable */
	SOCK_NO_FAMILY,		/* no IPv6 (or IPv4) on this machine */
	SOCK_NOT_LOCAL,		/* no such address on this machine */
	SOCK_IN_USE,		/* the port is taken */
	SOCK_DENIED,		/* not permitted: port < 1024, firewall */
	SOCK_NO_FILES,		/* out of descriptors, or past FD_SETSIZE */
	SOCK_NO_MEMORY,
	SOCK_BAD_ADDRESS,	/* not a numeric address */
	SOCK_NO_NAME,		/* no such socket in the file system */
	SOCK_FOREIGN,		/* the other end is another user's */
	SOCK_OTHER
};

/* Static text for a message: "connection refused", ... */
struct str sock_text(enum sock_reason why);

/* An address and port in a form of our own, without pointers, so that it can
 * travel in messages. family is 4, 6, SOCK_LOCAL for who came by a Unix socket
 * and has no address, or 0 for none. */
enum { SOCK_LOCAL = 1 };
struct sock_addr {
	unsigned char family;
	unsigned char ip[16];		/* network order; IPv4 in the first 4 */
	uint16_t port;			/* host order */
	uint32_t scope;			/* interface of a link-local IPv6 */
};

enum { SOCK_ADDR_TEXT = 64 };		/* room for any sock_addr_text */

/* Numeric only, IPv6 with or without brackets; names are the helper's work.
 * OK or E_BAD. */
int sock_addr_parse(struct sock_addr *a, struct str host, unsigned port);
/* From the resolver's form, n bytes of a struct sockaddr. OK, or E_NONE for
 * other families. */
int sock_addr_of(struct sock_addr *a, const void *system, size_t n);
/* On this machine: 127.0.0.0/8, ::1, 127.0.0.0/8 mapped into IPv6, SOCK_LOCAL. */
int sock_addr_is_loopback(const struct sock_addr *a);
/* "127.0.0.1:80", "[::1]:80". */
void sock_addr_text(struct buf *b, const struct sock_addr *a);
/* The same without port and brackets; "unix" for SOCK_LOCAL. */
void sock_addr_host(struct buf *b, const struct sock_addr *a);

/* One listener, with SO_REUSEADDR; IPv6 only for itself. A descriptor or
 * SOCK_ERR; a port that another process listens on is SOCK_IN_USE. */
int sock_listen_one(const struct sock_addr *a, enum sock_reason *why);

enum { SOCK_LISTEN_MAX = 2 };

/* Listens on host, a numeric address; empty or "localhost" means 127.0.0.1
 * and ::1, the latter left out on a machine without it. Both get the same
 * port, also when port is 0 (any free one). Fills fd[], returns how many, or
 * SOCK_ERR with nothing left open. */
int sock_listen(int fd[SOCK_LISTEN_MAX], struct str host, unsigned port,
    enum sock_reason *why);

/* The longest path of a Unix socket, without its NUL: what the system's
 * sun_path has room for. */
#ifdef __linux__
enum { SOCK_PATH_MAX = 107 };
#else
enum { SOCK_PATH_MAX = 103 };	/* the BSDs, macOS */
#endif

/* Unix stream sockets with a name in the file system. path begins with '/' and
 * holds no NUL, so that none is ever abstract; else SOCK_BAD_ADDRESS.
 *
 * A listener whose file is made with mode 0600, whatever the umask, unless the
 * directory's default ACL has it otherwise: that is for the caller to look at.
 * What is there already is left, with SOCK_IN_USE. */
int sock_local_listen(struct str path, enum sock_reason *why);
/* Connected at once, or not: SOCK_REFUSED when nobody listens there,
 * SOCK_TIMEOUT when who does has let many wait, SOCK_FOREIGN as below. */
int sock_local_connect(struct str path, enum sock_reason *why);
/* Whether the other end is a process of our own user or of root, by what the
 * system noted when it connected or began to listen. OK or E_FAULT; OK where
 * the system doesn't say (no SO_PEERCRED). */
int sock_local_peer(int fd);
/* Whether the other end of a connected one is closed, not just its direction
 * ended: unlike TCP's it keeps its peer's address then. */
int sock_local_closed(int fd);

/* The next connection, with TCP_NODELAY; *peer may be NULL. SOCK_AGAIN: none.
 * SOCK_FULL: out of descriptors: the connection waits where it is, and the
 * caller pauses accepting for a moment, lest select wake it for nothing; or
 * its number was >= FD_SETSIZE, and it was closed. SOCK_ERR: the listener itself is broken. A
 * connection that died in the backlog is skipped. */
int sock_accept(int listener, struct sock_addr *peer, enum sock_reason *why);

/* Starts a connection, with TCP_NODELAY and keep-alive probes (a peer that
 * vanished is noticed in about two minutes). A descriptor or SOCK_ERR. It is
 * never awaited: want write, then ask sock_connect_done. */
int sock_connect_start(const struct sock_addr *a, enum sock_reason *why);
/* OK: connected. SOCK_AGAIN: not yet. SOCK_ERR: failed, close it. */
int sock_connect_done(int fd, enum sock_reason *why);

/* Up to n bytes (n > 0). Bytes, SOCK_AGAIN, SOCK_EOF or SOCK_ERR. */
long sock_read(int fd, char *p, size_t n, enum sock_reason *why);
/* Bytes taken, which may be fewer than s.n; SOCK_AGAIN or SOCK_ERR. Raises
 * no SIGPIPE. An empty s takes 0. */
long sock_write(int fd, struct str s, enum sock_reason *why);

enum { SOCK_SLICES_MAX = 4 };

/* The same over count slices (at most SOCK_SLICES_MAX), in one call. */
long sock_writev(int fd, const struct str *s, size_t count,
    enum sock_reason *why);

void sock_shutdown_write(int fd);	/* FIN; reading goes on */
/* Unsent and unread bytes are the system's business: to be sure that a peer
 * sees an answer, shut down, read to the end, then close. -1 is ignored. */
void sock_close(int fd);

/* OK or E_NONE (not connected, a socket of another kind). */
int sock_peer(int fd, struct sock_addr *a);
/* The port a socket is bound to; 0 if none. */
unsigned sock_port(int fd);

/* A connected pair for use inside the process and to its children: both ends
 * close-on-exec; fd[0] non-blocking, fd[1] blocking. OK or SOCK_ERR. */
int sock_pair(int fd[2], enum sock_reason *why);
/* Hands descriptor `fd` to the process at the other end of a pair; it stays
 * open here. OK or SOCK_ERR. */
int sock_give(int pair, int fd, enum sock_reason *why);
/* Takes what was handed over, close-on-exec; waits for it where `pair` is
 * blocking. A descriptor, SOCK_EOF or SOCK_ERR. */
int sock_take(int pair, enum sock_reason *why);
/* Drops one byte into fd if it fits. The one call here that a signal handler
 * may make: errno is preserved and the test hook not consulted. */
void sock_wake(int fd);

/* For tests alone: asked before each system call that moves bytes or makes a
 * connection. op is 'r', 'w', 'a' (accept) or 'c' (connect). Return 0 to let
 * it pass, n > 0 to let it move at most n bytes, -errno to fail it with that
 * errno without making the call. NULL takes the hook out. */
struct sock_hook {
	long (*before)(void *ctx, int op, int fd);
	void *ctx;
};

void sock_test_hook(const struct sock_hook *h);

#endif
