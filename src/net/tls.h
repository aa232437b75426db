/* tls.h -- a TLS 1.2 client that never blocks and always verifies.
 *
 * Profile: TLS 1.2; ECDHE with x25519, P-256 or P-384; AES-GCM and ChaCha20-
 * Poly1305; certificates signed with SHA-256, -384 or -512, RSA keys of 2048
 * bits and up. There is no switch that turns verification or the check of
 * the name off. Not done, for lack of it in the engine: TLS 1.3, revocation,
 * name constraints (refused when critical), extended key usage.
 *
 * Memory is the caller's. A connection has one buffer for both directions:
 * while a record is coming in, or decrypted bytes wait to be taken, nothing
 * can be sent. tls_want and tls_send say what goes; an owner that takes what
 * tls_recv offers never stalls.
 *
 *	tls_start(&t, &shared, host, port, loop_wall());
 *	each time fd is ready for tls_want(&t):
 *		tls_pump(&t, fd);
 *		while ((s = tls_recv(&t)).n) { use s; tls_ack(&t, used); }
 *		n = tls_send(&t, more);	(goes out with the next tls_pump)
 *
 * SPDX-License-Identifier: MIT */
#ifndef TLS_H
#define TLS_H

#include "../base/base.h"
#include "sock.h"

enum {
	TLS_HOST_MAX = 255,	/* a DNS name in text; the engine's own bound */
	TLS_ROOTS_MAX = 512,	/* public bundles hold about 150 */
	TLS_TRUST_MEMORY = 393216,	/* what 512 roots of 4096 bits take */
	TLS_SESSIONS_MAX = 8,	/* hosts whose last session is remembered */
	TLS_ERROR_MAX = 400,
	TLS_SIZE = 26624	/* one 16 KiB record, its overhead, the engine */
};

/* What all connections share: the roots we trust, sessions to resume, the
 * order of ciphers for this CPU. Filled once at start, kept until the end. */
struct tls_session {
	char host[TLS_HOST_MAX + 1];	/* empty: free */
	unsigned port;
	int64_t until;		/* seconds of the wall clock */
	uint64_t params[16];	/* the engine's, with the master secret */
};

struct tls_shared {
	void *roots;		/* the engine's form, in the caller's arena */
	size_t count;
	size_t skipped;		/* certificates that could not be used */
	char path[512];		/* where they came from, or why there are none */
	unsigned next;		/* session to replace */
	struct tls_session sessions[TLS_SESSIONS_MAX];
};

/* Reads roots from file, or when that is empty from the first bundle found
 * at the usual places of Debian, Alpine, OpenWrt, Fedora, SUSE, FreeBSD, macOS
 * and Entware. Roots are kept in *a, for which TLS_TRUST_MEMORY is ample.
 * A certificate that can't be used is skipped and counted, as are those past
 * TLS_ROOTS_MAX or the arena's end. One that isn't a CA's is trusted for a
 * server that shows exactly that one. OK, or E_FAULT with text in *why, naming
 * every path tried: then sh->count is 0, sh->path holds that text, and every
 * tls_start fails with it as its reason. */
int tls_trust(struct tls_shared *sh, struct arena *a, struct str file,
    struct buf *why);

enum tls_state {
	TLS_IDLE,		/* not started, or wiped */
	TLS_HANDSHAKE,
	TLS_OPEN,
	TLS_CLOSED,		/* ended by both sides in good order */
	TLS_CUT,		/* the peer ended the connection without saying
				 * so in TLS: what came before may be cut short.
				 * Fine only if the message itself was whole. */
	TLS_FAILED		/* see tls_error */
};

/* Opaque; holds pointers into itself, so it may not be moved or copied
 * between tls_start and tls_wipe. */
struct tls {
	uint64_t engine[TLS_SIZE / 8];
};

/* Prepares a handshake with host, a DNS name that is sent (SNI) and checked
 * against the certificate, or an IP address, checked against the iPAddress
 * entries. now: loop_wall(). Takes up a session of the same host and port if
 * one is remembered. OK or E_FAULT (no roots, no random bytes, a name that
 * cannot be checked); the state is then TLS_FAILED and tls_error says why. */
int tls_start(struct tls *t, struct tls_shared *sh, struct str host,
    unsigned port, int64_t now);

/* What the connection's descriptor waits for; 0 when there is nothing to wait
 * for but the owner: plaintext to be taken by tls_recv, or the end. */
unsigned tls_want(const struct tls *t);

/* Moves records both ways until the socket has no more or plaintext is there
 * to be taken. Sends what tls_send took. Returns the new state. */
enum tls_state tls_pump(struct tls *t, int fd);

/* Takes plaintext to send, at most one record's worth; bytes taken, 0 when it
 * can't now or the state isn't TLS_OPEN. Call tls_pump afterwards. */
size_t tls_send(struct tls *t, struct str plain);
/* 1 when everything given to tls_send has gone to the socket. */
int tls_sent(const struct tls *t);

/* Decrypted and authenticated bytes, in place until tls_ack; empty when there
 * are none. After TLS_CLOSED or TLS_CUT nothing is left to take. */
struct str tls_recv(const struct tls *t);
void tls_ack(struct tls *t, size_t n);

/* Starts the goodbye: unread bytes are dropped, close_notify goes out with
 * the next tls_pump. The owner may close the socket right after that. */
void tls_close(struct tls *t);

enum tls_state tls_state(const struct tls *t);
/* In TLS_FAILED and TLS_CUT: one line that names the host and the reason, and
 * what to do where we know it. Else empty. */
struct str tls_error(const struct tls *t);
/* In TLS_OPEN: 1 when a remembered session was resumed. */
int tls_resumed(const struct tls *t);
/* In TLS_OPEN: "ECDHE-RSA-AES128-GCM-SHA256" or the like. */
struct str tls_cipher(const struct tls *t);

/* Overwrites keys and buffers; the state is TLS_IDLE. In every state. */
void tls_wipe(struct tls *t);

#endif
