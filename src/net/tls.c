/* tls.c -- a TLS 1.2 client that never blocks and always verifies.
 *
 * The protocol is BearSSL's; here it gets its profile, its roots, a seed, a
 * socket, and words for its error numbers (tls_text.c). The one check that
 * BearSSL lacks is added in tls_address.c. All memory is in the caller's struct tls and struct tls_shared.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "loop.h"
#include "tls_parts.h"

enum {
	SEED_SIZE = 32,
	SESSION_TIME = 3600,	/* s; servers forget sooner than that */
	DAYS_TO_1970 = 719528,	/* from year 0, as BearSSL counts */
	CLOCK_SET = 1704067200,	/* 2024-01-01: earlier is no set clock */
	PUMP_TURNS = 64		/* records moved before others get a turn */
};

#define CURVES (1u << BR_EC_curve25519 | 1u << BR_EC_secp256r1 | \
	1u << BR_EC_secp384r1)
/* What a struct tls really is. */
struct engine {
	enum tls_state state;
	int unflushed, closing, resumed, known;
	unsigned port;
	int64_t now;			/* seconds */
	struct tls_shared *shared;
	br_ssl_client_context client;
	struct by_address verify;	/* .chain alone for a DNS name */
	br_ec_impl curves;
	char host[TLS_HOST_MAX + 1];
	char error[TLS_ERROR_MAX];
	size_t nerror;
	unsigned char io[BR_SSL_BUFSIZE_MONO];
};

_Static_assert(sizeof(struct engine) <= sizeof(struct tls), "TLS_SIZE");
_Static_assert(sizeof(br_ssl_session_parameters) <=
    sizeof(((struct tls_session *)0)->params), "struct tls_session");

static struct engine *open_up(struct tls *t)
{
	return (struct engine *)(void *)t;
}

static const struct engine *look_in(const struct tls *t)
{
	return (const struct engine *)(const void *)t;
}

/* memset behind a pointer that the compiler may not see through: it would
 * leave out the writing of memory that is not read again. */
static void wipe(void *p, size_t n)
{
	static void *(*const volatile set)(void *, int, size_t) = memset;

	set(p, 0, n);
}

/* ---- sessions ---- */

static struct tls_session *find_session(struct engine *e)
{
	struct tls_session *s = e->shared->sessions;
	size_t i;

	for (i = 0; i < TLS_SESSIONS_MAX; i++)
		if (s[i].host[0] && s[i].port == e->port &&
		    strcmp(s[i].host, e->host) == 0)
			return &s[i];
	return NULL;
}

static void forget_session(struct engine *e)
{
	struct tls_session *s = find_session(e);

	if (s)
		wipe(s, sizeof *s);
}

/* 1 when there was one to offer. A clock set back makes it look younger than
 * it is, which does no harm: the server decides. */
static int offer_session(struct engine *e)
{
	struct tls_session *s = find_session(e);
	br_ssl_session_parameters p;

	if (!s)
		return 0;
	if (s->until < e->now) {
		wipe(s, sizeof *s);
		return 0;
	}
	memcpy(&p, s->params, sizeof p);
	br_ssl_engine_set_session_parameters(&e->client.eng, &p);
	wipe(&p, sizeof p);
	return 1;
}

/* Called when the handshake is through. */
static void keep_session(struct engine *e)
{
	struct tls_shared *sh = e->shared;
	struct tls_session *s = find_session(e);
	br_ssl_session_parameters p, old;

	br_ssl_engine_get_session_parameters(&e->client.eng, &p);
	if (s && e->known) {
		memcpy(&old, s->params, sizeof old);
		e->resumed = p.session_id_len > 0 &&
		    p.session_id_len == old.session_id_len &&
		    memcmp(p.session_id, old.session_id,
		    p.session_id_len) == 0;
		wipe(&old, sizeof old);
	}
	if (p.session_id_len > 0 && !e->resumed) {
		if (!s)
			s = &sh->sessions[sh->next++ % TLS_SESSIONS_MAX];
		memcpy(s->host, e->host, sizeof s->host);
		s->port = e->port;
		s->until = e->now + SESSION_TIME;
		memcpy(s->params, &p, sizeof p);
	}
	wipe(&p, sizeof p);
}

/* ---- what went wrong ---- */

static enum tls_state fail(struct engine *e, enum tls_state state,
    struct str text)
{
	struct buf b = buf_on(e->error, sizeof e->error);

	buf_put(&b, str_of(e->host));
	if (b.n)
		buf_put(&b, S(": "));
	buf_put(&b, str_head(text, b.cap - b.n));
	e->nerror = b.n;
	return e->state = state;
}

/* The clock is the first suspect: routers start in 1970. */
static void add_clock(struct engine *e)
{
	struct buf b = buf_on(e->error, sizeof e->error);

	b.n = e->nerror;
	buf_put(&b, S("; this machine's clock says "));
	buf_day(&b, e->now);
	if (e->now < CLOCK_SET)
		buf_put(&b, S(", so it is not set: set it"));
	e->nerror = b.n;
}

static void add_number(struct engine *e, struct str what, int number)
{
	struct buf b = buf_on(e->error, sizeof e->error);

	b.n = e->nerror;
	buf_put(&b, what);
	buf_int(&b, number);
	buf_chr(&b, ')');
	e->nerror = b.n;
}

static enum tls_state engine_failed(struct engine *e, int err)
{
	forget_session(e);
	if (err >= BR_ERR_SEND_FATAL_ALERT) {
		fail(e, TLS_FAILED, S("the server and we have no TLS version "
		    "or cipher in common"));
		add_number(e, S(" (our alert "), err - BR_ERR_SEND_FATAL_ALERT);
	} else if (err >= BR_ERR_RECV_FATAL_ALERT) {
		err -= BR_ERR_RECV_FATAL_ALERT;
		fail(e, TLS_FAILED, tls_alert_text(err));
		add_number(e, S(" (alert "), err);
	} else if (err >= BR_ERR_X509_OK) {
		fail(e, TLS_FAILED, tls_certificate_text(err));
		if (err == BR_ERR_X509_EXPIRED)
			add_clock(e);
	} else {
		fail(e, TLS_FAILED, tls_protocol_text(err));
		add_number(e, S(" (error "), err);
	}
	return TLS_FAILED;
}

/* ---- a connection ---- */

/* A fixed choice, best first. Without AES instructions AES-GCM is slow when
 * it is done in constant time, as here, and ChaCha20 is not. */
static void set_suites(br_ssl_engine_context *eng)
{
	static const uint16_t aes_first[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
	};
	static const uint16_t chacha_first[] = {
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
	};
	int aes = br_aes_x86ni_ctr_get_vtable() != NULL ||
	    br_aes_pwr8_ctr_get_vtable() != NULL;

	br_ssl_engine_set_suites(eng, aes ? aes_first : chacha_first,
	    COUNT(aes_first));
}

static void set_hashes(br_ssl_engine_context *eng,
    br_x509_minimal_context *chain)
{
	static const br_hash_class *const hashes[] = {
		&br_sha256_vtable, &br_sha384_vtable, &br_sha512_vtable
	};
	size_t i;

	/* SHA-1 and MD5 are not among them, and so refused everywhere. */
	for (i = 0; i < COUNT(hashes); i++) {
		int id = br_sha256_ID + (int)i;

		br_ssl_engine_set_hash(eng, id, hashes[i]);
		br_x509_minimal_set_hash(chain, id, hashes[i]);
	}
}

static void set_profile(struct engine *e)
{
	static const char *alpn[] = { "http/1.1" };
	br_ssl_engine_context *eng = &e->client.eng;
	br_x509_minimal_context *chain = &e->verify.chain;

	br_ssl_client_zero(&e->client);
	br_ssl_engine_set_versions(eng, BR_TLS12, BR_TLS12);
	br_ssl_engine_add_flags(eng, BR_OPT_NO_RENEGOTIATION);
	set_suites(eng);
	br_x509_minimal_init(chain, &br_sha256_vtable, e->shared->roots,
	    e->shared->count);
	set_hashes(eng, chain);
	br_ssl_engine_set_default_rsavrfy(eng);
	br_ssl_engine_set_default_ecdsa(eng);
	br_x509_minimal_set_rsa(chain, br_ssl_engine_get_rsavrfy(eng));
	br_x509_minimal_set_ecdsa(chain, br_ssl_engine_get_ec(eng),
	    br_ssl_engine_get_ecdsa(eng));
	br_x509_minimal_set_minrsa(chain, RSA_MIN);
	/* Certificates may be signed with P-521; we don't offer it. */
	e->curves = *br_ssl_engine_get_ec(eng);
	e->curves.supported_curves &= CURVES;
	br_ssl_engine_set_ec(eng, &e->curves);
	br_ssl_engine_set_prf_sha256(eng, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(eng, &br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_gcm(eng);
	br_ssl_engine_set_default_chapol(eng);
	br_ssl_engine_set_protocol_names(eng, alpn, COUNT(alpn));
	br_ssl_engine_set_buffer(eng, e->io, sizeof e->io, 0);
}

static void set_clock(struct engine *e)
{
	int64_t now = e->now < 0 ? 0 : e->now;

	br_x509_minimal_set_time(&e->verify.chain,
	    (uint32_t)(now / 86400 + DAYS_TO_1970), (uint32_t)(now % 86400));
}

/* The host as it is sent and compared: no brackets, no final dot. E_BAD for
 * what can be no name, as it would go unchecked into messages. */
static int set_host(struct engine *e, struct str host, int *is_address)
{
	size_t i;

	if (sock_addr_parse(&e->verify.addr, host, 0) == OK) {
		struct buf b = buf_on(e->host, TLS_HOST_MAX);

		*is_address = 1;
		sock_addr_host(&b, &e->verify.addr);
		e->host[b.n] = '\0';
		return OK;
	}
	*is_address = 0;
	if (str_ends(host, S(".")))
		host.n--;
	if (host.n == 0 || host.n > TLS_HOST_MAX)
		return E_BAD;
	for (i = 0; i < host.n; i++)
		if (host.p[i] <= ' ' || host.p[i] > '~')
			return E_BAD;
	memcpy(e->host, host.p, host.n);
	e->host[host.n] = '\0';
	return OK;
}

static int seed(struct engine *e)
{
	unsigned char bytes[SEED_SIZE];

	if (loop_random(bytes, sizeof bytes) != OK)
		return E_FAULT;
	br_ssl_engine_inject_entropy(&e->client.eng, bytes, sizeof bytes);
	wipe(bytes, sizeof bytes);
	return OK;
}

int tls_start(struct tls *t, struct tls_shared *sh, struct str host,
    unsigned port, int64_t now)
{
	struct engine *e = open_up(t);
	int address = 0;

	memset(e, 0, sizeof *e - sizeof e->io);
	e->shared = sh;
	e->port = port;
	e->now = now / 1000;
	if (set_host(e, host, &address) != OK) {
		fail(e, TLS_FAILED, S("not a host name that a certificate "
		    "could be for"));
		return E_FAULT;
	}
	if (sh->count == 0) {
		fail(e, TLS_FAILED, sh->path[0] ? str_of(sh->path) :
		    S("no CA certificates were read"));
		return E_FAULT;
	}
	set_profile(e);
	set_clock(e);
	e->verify.vtable = &tls_by_address;
	br_ssl_engine_set_x509(&e->client.eng, address ? &e->verify.vtable :
	    &e->verify.chain.vtable);
	if (seed(e) != OK) {
		fail(e, TLS_FAILED, S("the system gives no random bytes"));
		return E_FAULT;
	}
	e->known = offer_session(e);
	/* An address is not a name and may not be sent as one (RFC 6066). */
	if (!br_ssl_client_reset(&e->client, address ? NULL : e->host,
	    e->known)) {
		engine_failed(e, br_ssl_engine_last_error(&e->client.eng));
		return E_FAULT;
	}
	e->state = TLS_HANDSHAKE;
	return OK;
}

static int running(const struct engine *e)
{
	return e->state == TLS_HANDSHAKE || e->state == TLS_OPEN;
}

unsigned tls_want(const struct tls *t)
{
	const struct engine *e = look_in(t);
	unsigned st, want = 0;

	if (!running(e))
		return 0;
	st = br_ssl_engine_current_state(&e->client.eng);
	if (st & BR_SSL_RECVREC)
		want |= WANT_READ;
	if ((st & BR_SSL_SENDREC) || e->unflushed)
		want |= WANT_WRITE;
	return want;
}

/* Follows the engine into its new state. Returns what it can do now. */
static unsigned follow(struct engine *e)
{
	unsigned st = br_ssl_engine_current_state(&e->client.eng);
	int err;

	if (st == BR_SSL_CLOSED) {
		err = br_ssl_engine_last_error(&e->client.eng);
		if (err != BR_ERR_OK)
			engine_failed(e, err);
		else if (e->state == TLS_HANDSHAKE && !e->closing)
			fail(e, TLS_FAILED, S("the server ended the TLS "
			    "handshake without a reason"));
		else
			e->state = TLS_CLOSED;
		return 0;
	}
	/* Able to do nothing at all: half an alert in the handshake does that
	 * to an engine with one buffer. It would wait for ever. */
	if (st == 0 && e->closing)
		e->state = TLS_CLOSED;
	else if (st == 0)
		engine_failed(e, BR_ERR_UNEXPECTED);
	if (e->state == TLS_HANDSHAKE &&
	    (st & (BR_SSL_SENDAPP | BR_SSL_RECVAPP))) {
		e->state = TLS_OPEN;
		keep_session(e);
	}
	return st;
}

/* The connection under us ended, or never worked. */
static void lost(struct engine *e, long how, enum sock_reason why)
{
	struct str text = how == SOCK_EOF ?
	    S("the server closed the connection") : sock_text(why);
	struct buf b = buf_on(e->error, sizeof e->error);

	if (e->closing) {
		e->state = TLS_CLOSED;
		return;
	}
	fail(e, e->state == TLS_OPEN ? TLS_CUT : TLS_FAILED, text);
	b.n = e->nerror;
	buf_put(&b, e->state == TLS_CUT ?
	    S(" without ending TLS: what came may be cut short") :
	    S(" during the TLS handshake"));
	e->nerror = b.n;
	if (e->state == TLS_FAILED)
		forget_session(e);
}

/* One system call each: 1 when bytes moved. */
static int push_out(struct engine *e, int fd)
{
	enum sock_reason why;
	struct str s;
	long n;

	s.p = (const char *)br_ssl_engine_sendrec_buf(&e->client.eng, &s.n);
	n = sock_write(fd, s, &why);
	if (n > 0)
		br_ssl_engine_sendrec_ack(&e->client.eng, (size_t)n);
	else if (n != SOCK_AGAIN)
		lost(e, n, why);
	return n > 0;
}

static int pull_in(struct engine *e, int fd)
{
	enum sock_reason why;
	size_t room;
	char *p = (char *)br_ssl_engine_recvrec_buf(&e->client.eng, &room);
	long n = sock_read(fd, p, room, &why);

	if (n > 0)
		br_ssl_engine_recvrec_ack(&e->client.eng, (size_t)n);
	else if (n != SOCK_AGAIN)
		lost(e, n, why);
	return n > 0;
}

enum tls_state tls_pump(struct tls *t, int fd)
{
	struct engine *e = open_up(t);
	unsigned st;
	int i;

	for (i = 0; i < PUMP_TURNS && running(e); i++) {
		if (e->unflushed) {
			br_ssl_engine_flush(&e->client.eng, 0);
			e->unflushed = 0;
		}
		st = follow(e);
		if ((st & BR_SSL_SENDREC) && push_out(e, fd))
			continue;
		/* Plaintext waits to be taken, and its owner decides when to
		 * go on: that is how back-pressure reaches the server. */
		if (!running(e) || (st & BR_SSL_RECVAPP) ||
		    !(st & BR_SSL_RECVREC) || !pull_in(e, fd))
			break;
	}
	if (running(e))
		(void)follow(e);
	return e->state;
}

size_t tls_send(struct tls *t, struct str plain)
{
	struct engine *e = open_up(t);
	unsigned char *p;
	size_t room;

	if (e->state != TLS_OPEN || e->closing || plain.n == 0)
		return 0;
	p = br_ssl_engine_sendapp_buf(&e->client.eng, &room);
	if (!p)
		return 0;
	plain = str_head(plain, room);
	memcpy(p, plain.p, plain.n);
	br_ssl_engine_sendapp_ack(&e->client.eng, plain.n);
	e->unflushed = 1;
	return plain.n;
}

int tls_sent(const struct tls *t)
{
	const struct engine *e = look_in(t);

	return !running(e) || (!e->unflushed && !(BR_SSL_SENDREC &
	    br_ssl_engine_current_state(&e->client.eng)));
}

struct str tls_recv(const struct tls *t)
{
	const struct engine *e = look_in(t);
	struct str s = { NULL, 0 };

	if (e->state == TLS_OPEN && !e->closing)
		s.p = (const char *)br_ssl_engine_recvapp_buf(&e->client.eng,
		    &s.n);
	return s;
}

void tls_ack(struct tls *t, size_t n)
{
	struct engine *e = open_up(t);

	n = n < tls_recv(t).n ? n : tls_recv(t).n;
	if (n)
		br_ssl_engine_recvapp_ack(&e->client.eng, n);
}

void tls_close(struct tls *t)
{
	struct engine *e = open_up(t);

	if (!running(e))
		return;
	e->closing = 1;
	br_ssl_engine_close(&e->client.eng);
}

enum tls_state tls_state(const struct tls *t)
{
	return look_in(t)->state;
}

struct str tls_error(const struct tls *t)
{
	const struct engine *e = look_in(t);
	struct str s = { e->error, e->nerror };

	return s;
}

int tls_resumed(const struct tls *t)
{
	return look_in(t)->resumed;
}

struct str tls_cipher(const struct tls *t)
{
	const struct engine *e = look_in(t);

	if (!running(e))
		return S("");
	switch (e->client.eng.session.cipher_suite) {
	case BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:
		return S("ECDHE-ECDSA-AES128-GCM-SHA256");
	case BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:
		return S("ECDHE-RSA-AES128-GCM-SHA256");
	case BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:
		return S("ECDHE-ECDSA-AES256-GCM-SHA384");
	case BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:
		return S("ECDHE-RSA-AES256-GCM-SHA384");
	case BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return S("ECDHE-ECDSA-CHACHA20-POLY1305");
	case BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:
		return S("ECDHE-RSA-CHACHA20-POLY1305");
	default:
		return S("");
	}
}

void tls_wipe(struct tls *t)
{
	wipe(t, sizeof *t);
}
