/* tls.c -- a TLS 1.2 client that never blocks and always verifies.
 *
 * The protocol is BearSSL's; here it gets its profile, its roots, a seed, a
 * socket, and words for its error numbers. The one check that BearSSL lacks
 * and we add is that of an IP address against the certificate's iPAddress
 * entries. All memory is in the caller's struct tls and struct tls_shared.
 *
 * SPDX-License-Identifier: MIT */
#include <bearssl.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "loop.h"
#include "tls.h"

enum {
	RSA_MIN = 256,		/* bytes: 2048 bits */
	SEED_SIZE = 32,
	SESSION_TIME = 3600,	/* s; servers forget sooner than that */
	DAYS_TO_1970 = 719528,	/* from year 0, as BearSSL counts */
	CLOCK_SET = 1704067200,	/* 2024-01-01: earlier is no set clock */
	DER_MAX = 8192,		/* one root; public ones are under 2 KiB */
	LEAF_MAX = 2048,	/* certificate of a host known by address */
	PUMP_TURNS = 64		/* records moved before others get a turn */
};

#define CURVES (1u << BR_EC_curve25519 | 1u << BR_EC_secp256r1 | \
	1u << BR_EC_secp384r1)
#define ROOT_CURVES (1u << BR_EC_secp256r1 | 1u << BR_EC_secp384r1 | \
	1u << BR_EC_secp521r1)

/* Verification for a host known by address: BearSSL judges the chain, and a
 * copy of the first certificate is then searched for the address. */
struct by_address {
	const br_x509_class *vtable;	/* first, as BearSSL wants it */
	br_x509_minimal_context chain;
	struct sock_addr addr;
	int leaf;			/* this is the first certificate */
	size_t n;			/* its length, LEAF_MAX + 1: too long */
	unsigned char der[LEAF_MAX];
};

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

/* ---- roots ---- */

struct bundle {
	struct tls_shared *shared;
	struct arena *arena;
	br_x509_trust_anchor *roots;
	size_t n;			/* of der; DER_MAX + 1: too long */
	int inside;			/* of a certificate's PEM */
	unsigned char der[DER_MAX];
};

static void add_der(void *ctx, const void *p, size_t n)
{
	struct bundle *b = ctx;

	if (n > DER_MAX - b->n || b->n > DER_MAX) {
		b->n = DER_MAX + 1;
		return;
	}
	memcpy(b->der + b->n, p, n);
	b->n += n;
}

static void add_name(void *ctx, const void *p, size_t n)
{
	struct str s = { p, n };

	buf_put(ctx, s);
}

static unsigned char *keep(struct arena *a, const unsigned char *p, size_t n)
{
	char *copy = arena_bytes(a, n);

	return copy ? memcpy(copy, p, n) : NULL;
}

/* Copies the key out of the decoder, which is about to go away. */
static int keep_key(struct arena *a, br_x509_pkey *to, br_x509_pkey *from)
{
	*to = *from;
	if (from->key_type == BR_KEYTYPE_RSA) {
		if (from->key.rsa.nlen < RSA_MIN)
			return E_BAD;
		to->key.rsa.n = keep(a, from->key.rsa.n, from->key.rsa.nlen);
		to->key.rsa.e = keep(a, from->key.rsa.e, from->key.rsa.elen);
		return to->key.rsa.n && to->key.rsa.e ? OK : E_FULL;
	}
	if (from->key_type != BR_KEYTYPE_EC || from->key.ec.curve < 0 ||
	    from->key.ec.curve > 31 ||
	    !(ROOT_CURVES >> from->key.ec.curve & 1))
		return E_BAD;
	to->key.ec.q = keep(a, from->key.ec.q, from->key.ec.qlen);
	return to->key.ec.q ? OK : E_FULL;
}

static int decode_root(struct bundle *b, br_x509_trust_anchor *root)
{
	br_x509_decoder_context d;
	br_x509_pkey *key;
	struct buf name = buf_open(b->arena);
	struct str dn;

	if (b->n == 0 || b->n > DER_MAX)
		return E_BAD;
	br_x509_decoder_init(&d, add_name, &name);
	br_x509_decoder_push(&d, b->der, b->n);
	key = br_x509_decoder_get_pkey(&d);
	if (!key || name.full)
		return E_BAD;
	dn = buf_end(b->arena, &name);
	/* The type wants bytes it may write to; it never does. */
	root->dn.data = (unsigned char *)(uintptr_t)dn.p;
	root->dn.len = dn.n;
	root->flags = br_x509_decoder_isCA(&d) ? BR_X509_TA_CA : 0;
	return keep_key(b->arena, &root->pkey, key);
}

static void add_root(struct bundle *b)
{
	struct tls_shared *sh = b->shared;
	struct arena before = *b->arena;

	if (sh->count < TLS_ROOTS_MAX &&
	    decode_root(b, &b->roots[sh->count]) == OK) {
		sh->count++;
		return;
	}
	*b->arena = before;
	sh->skipped++;
}

static void pem_event(struct bundle *b, br_pem_decoder_context *pem)
{
	struct str name;

	switch (br_pem_decoder_event(pem)) {
	case BR_PEM_BEGIN_OBJ:
		name = str_of(br_pem_decoder_name(pem));
		b->inside = str_eq(name, S("CERTIFICATE")) ||
		    str_eq(name, S("X509 CERTIFICATE"));
		b->n = 0;
		br_pem_decoder_setdest(pem, b->inside ? add_der : NULL, b);
		break;
	case BR_PEM_END_OBJ:
		if (b->inside)
			add_root(b);
		b->inside = 0;
		break;
	case BR_PEM_ERROR:
		/* Started anew, or it would put bytes it still holds in
		 * front of the next certificate. */
		br_pem_decoder_init(pem);
		b->shared->skipped++;
		b->inside = 0;
		break;
	default:
		break;
	}
}

static void push_pem(struct bundle *b, br_pem_decoder_context *pem,
    struct str s)
{
	size_t n;

	while (s.n) {
		n = br_pem_decoder_push(pem, s.p, s.n);
		s = str_from(s, n);
		pem_event(b, pem);
	}
}

/* BearSSL's decoder takes the CR of a first line for a part of the name. */
static size_t drop_cr(char *p, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++)
		if (p[i] != '\r')
			p[kept++] = p[i];
	return kept;
}

/* OK when the file could be read; how many roots it gave is another matter. */
static int read_bundle(struct bundle *b, const char *path)
{
	br_pem_decoder_context pem;
	char text[4096];
	off_t at = 0;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return E_NONE;
	br_pem_decoder_init(&pem);
	do {
		n = pread(fd, text, sizeof text, at);
		if (n > 0) {
			push_pem(b, &pem, (struct str){ text,
			    drop_cr(text, (size_t)n) });
			at += n;
		}
	} while (n > 0 || (n < 0 && errno == EINTR));
	sock_close(fd);
	/* The last line may lack its end, which is all it lacks. */
	push_pem(b, &pem, S("\n"));
	if (b->inside)
		b->shared->skipped++;
	return n < 0 ? E_NONE : OK;
}

static const char *const usual[] = {
	"/etc/ssl/certs/ca-certificates.crt",	/* Debian, Alpine, OpenWrt */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",	/* Fedora */
	"/etc/pki/tls/certs/ca-bundle.crt",	/* RHEL, older Fedora */
	"/etc/ssl/ca-bundle.pem",		/* SUSE */
	"/var/lib/ca-certificates/ca-bundle.pem",
	"/etc/ssl/cert.pem",			/* Alpine, BSDs, macOS */
	"/usr/local/share/certs/ca-root-nss.crt",	/* FreeBSD */
	"/opt/etc/ssl/certs/ca-certificates.crt"	/* Entware */
};

static int try_file(struct bundle *b, struct str path, struct buf *tried)
{
	struct tls_shared *sh = b->shared;
	int r;

	if (path.n >= sizeof sh->path || memchr(path.p, 0, path.n)) {
		buf_put(tried, S(" (a path too long)"));
		return E_NONE;
	}
	memcpy(sh->path, path.p, path.n);
	sh->path[path.n] = '\0';
	sh->skipped = 0;
	b->inside = 0;
	r = read_bundle(b, sh->path);
	if (r == OK && sh->count)
		return OK;
	buf_chr(tried, ' ');
	buf_printable(tried, path);
	buf_put(tried, r == OK ? S(" (nothing usable in it)") :
	    S(" (not readable)"));
	return E_NONE;
}

static int no_roots(struct tls_shared *sh, const struct buf *tried,
    struct buf *why)
{
	struct buf b = buf_on(sh->path, sizeof sh->path - 1);

	buf_put(&b, S("no CA certificates, so no server can be trusted; "
	    "set SSL_CERT_FILE. Tried:"));
	/* What doesn't fit is cut, the start says the most. */
	buf_put(&b, str_head(buf_str(tried), b.cap - b.n));
	b.p[b.n] = '\0';
	buf_put(why, buf_str(&b));
	return E_FAULT;
}

int tls_trust(struct tls_shared *sh, struct arena *a, struct str file,
    struct buf *why)
{
	char text[1024];
	struct buf tried = buf_on(text, sizeof text);
	struct bundle b;
	size_t i;

	memset(sh, 0, sizeof *sh);
	memset(&b, 0, sizeof b);
	b.shared = sh;
	b.arena = a;
	b.roots = arena_array(a, TLS_ROOTS_MAX, sizeof *b.roots);
	sh->roots = b.roots;
	if (!b.roots) {
		buf_put(&tried, S(" nothing, for lack of memory"));
		return no_roots(sh, &tried, why);
	}
	if (file.n) {
		if (try_file(&b, file, &tried) == OK)
			return OK;
		return no_roots(sh, &tried, why);
	}
	for (i = 0; i < COUNT(usual); i++)
		if (try_file(&b, str_of(usual[i]), &tried) == OK)
			return OK;
	return no_roots(sh, &tried, why);
}

/* ---- a certificate for an address ---- */

/* Takes one DER element off *in; content is another slice than in. Only what
 * BearSSL found well-formed comes here, so strictness serves safety alone. */
static int der_next(struct str *in, unsigned *tag, struct str *content)
{
	const unsigned char *p = (const unsigned char *)in->p;
	size_t n, head = 2;

	if (in->n < 2 || (p[0] & 31) == 31)
		return E_BAD;
	n = p[1];
	if (n == 0x81 && in->n >= 3) {
		n = p[2];
		head = 3;
	} else if (n == 0x82 && in->n >= 4) {
		n = (size_t)p[2] << 8 | p[3];
		head = 4;
	} else if (n >= 0x80) {
		return E_BAD;
	}
	if (in->n - head < n)
		return E_BAD;
	*tag = p[0];
	*content = str_head(str_from(*in, head), n);
	*in = str_from(*in, head + n);
	return OK;
}

/* The content of the first element of *in that has this tag; others before
 * it are passed over. */
static int der_find(struct str *in, unsigned want, struct str *content)
{
	unsigned tag;

	while (der_next(in, &tag, content) == OK)
		if (tag == want)
			return OK;
	return E_BAD;
}

/* Certificate, TBSCertificate, [3] extensions: the list of extensions. */
static int der_extensions(struct str der, struct str *list)
{
	struct str certificate, tbs, three;

	if (der_find(&der, 0x30, &certificate) != OK ||
	    der_find(&certificate, 0x30, &tbs) != OK ||
	    der_find(&tbs, 0xa3, &three) != OK)
		return E_BAD;
	return der_find(&three, 0x30, list);
}

/* Whether subjectAltName (2.5.29.17) has the address as an iPAddress. */
static int has_address(struct str der, struct str ip)
{
	struct str list, ext, oid, value, names, name;

	if (der_extensions(der, &list) != OK)
		return 0;
	while (der_find(&list, 0x30, &ext) == OK) {
		if (der_find(&ext, 0x06, &oid) != OK ||
		    !str_eq(oid, S("\x55\x1d\x11")))
			continue;
		if (der_find(&ext, 0x04, &value) != OK ||
		    der_find(&value, 0x30, &names) != OK)
			return 0;
		while (der_find(&names, 0x87, &name) == OK)
			if (str_eq(name, ip))
				return 1;
		return 0;
	}
	return 0;
}

static struct by_address *verifier(const br_x509_class **ctx)
{
	return (struct by_address *)(void *)ctx;
}

static void ip_start_chain(const br_x509_class **ctx, const char *name)
{
	struct by_address *v = verifier(ctx);

	(void)name;
	v->leaf = 1;
	v->n = 0;
	/* No name for BearSSL to compare: ip_end_chain does it, always. */
	br_x509_minimal_vtable.start_chain(&v->chain.vtable, NULL);
}

static void ip_start_cert(const br_x509_class **ctx, uint32_t n)
{
	br_x509_minimal_vtable.start_cert(&verifier(ctx)->chain.vtable, n);
}

static void ip_append(const br_x509_class **ctx, const unsigned char *p,
    size_t n)
{
	struct by_address *v = verifier(ctx);

	if (v->leaf && (v->n > LEAF_MAX || n > LEAF_MAX - v->n)) {
		v->n = LEAF_MAX + 1;
	} else if (v->leaf) {
		memcpy(v->der + v->n, p, n);
		v->n += n;
	}
	br_x509_minimal_vtable.append(&v->chain.vtable, p, n);
}

static void ip_end_cert(const br_x509_class **ctx)
{
	struct by_address *v = verifier(ctx);

	v->leaf = 0;
	br_x509_minimal_vtable.end_cert(&v->chain.vtable);
}

static unsigned ip_end_chain(const br_x509_class **ctx)
{
	struct by_address *v = verifier(ctx);
	unsigned err = br_x509_minimal_vtable.end_chain(&v->chain.vtable);
	struct str der = { (const char *)v->der, v->n };
	struct str ip = { (const char *)v->addr.ip,
	    v->addr.family == 4 ? 4 : 16 };

	if (err)
		return err;
	if (v->n > LEAF_MAX)
		return BR_ERR_X509_LIMIT_EXCEEDED;
	return has_address(der, ip) ? 0 : BR_ERR_X509_BAD_SERVER_NAME;
}

static const br_x509_pkey *ip_get_pkey(const br_x509_class *const *ctx,
    unsigned *usages)
{
	const struct by_address *v = (const void *)ctx;

	return br_x509_minimal_vtable.get_pkey(&v->chain.vtable, usages);
}

static const br_x509_class by_address_class = {
	sizeof(struct by_address), ip_start_chain, ip_start_cert, ip_append,
	ip_end_cert, ip_end_chain, ip_get_pkey
};

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

static struct str alert_text(int alert)
{
	switch (alert) {
	case 40:
		return S("the server accepts none of our ciphers (TLS 1.2 "
		    "with ECDHE and AES-GCM or ChaCha20), or it asks for a "
		    "client certificate");
	case 42:
	case 43:
	case 46:
	case 116:
		return S("the server asks for a client certificate, "
		    "which is not supported");
	case 70:
	case 86:
		return S("the server does not accept TLS 1.2; "
		    "if it accepts TLS 1.3 only, it cannot be used");
	case 80:
		return S("the server reports an internal error");
	case 112:
		return S("the server does not know this host name");
	default:
		return S("the server refused the handshake");
	}
}

static struct str certificate_text(int err)
{
	switch (err) {
	case BR_ERR_X509_EXPIRED:
		return S("the certificate, or one that vouches for it, has "
		    "expired or is not valid yet");
	case BR_ERR_X509_BAD_SERVER_NAME:
		return S("the certificate is for another name");
	case BR_ERR_X509_NOT_TRUSTED:
		return S("the certificate's issuer is not known: it is not in "
		    "the CA file, or the server leaves out an intermediate "
		    "certificate");
	case BR_ERR_X509_NOT_CA:
		return S("the certificate is signed by one that may not sign "
		    "(not a CA, or its path length is used up)");
	case BR_ERR_X509_BAD_SIGNATURE:
		return S("a signature in the certificate chain is wrong");
	case BR_ERR_X509_DN_MISMATCH:
		return S("the certificate chain is out of order or broken");
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		return S("the certificate chain has an RSA key of less than "
		    "2048 bits");
	case BR_ERR_X509_UNSUPPORTED:
		return S("the certificate uses an algorithm that is not "
		    "accepted (SHA-1, MD5) or not supported (RSA-PSS, "
		    "Ed25519)");
	case BR_ERR_X509_CRITICAL_EXTENSION:
		return S("the certificate has a critical extension that is "
		    "not supported");
	case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
	case BR_ERR_X509_WRONG_KEY_TYPE:
		return S("the certificate's key is not for this use");
	case BR_ERR_X509_LIMIT_EXCEEDED:
		return S("the certificate is too large");
	default:
		return S("the certificate is malformed");
	}
}

static struct str protocol_text(int err)
{
	switch (err) {
	case BR_ERR_UNSUPPORTED_VERSION:
	case BR_ERR_BAD_VERSION:
		return S("the server does not speak TLS 1.2, or it does not "
		    "speak TLS on this port");
	case BR_ERR_BAD_MAC:
		return S("a record was damaged on the way, or forged");
	case BR_ERR_BAD_SIGNATURE:
		return S("the server's signature is wrong: it does not hold "
		    "the certificate's key");
	case BR_ERR_NO_RANDOM:
		return S("the system gives no random bytes");
	case BR_ERR_BAD_CIPHER_SUITE:
	case BR_ERR_INVALID_ALGORITHM:
		return S("the server chose an algorithm that was not offered");
	case BR_ERR_WRONG_KEY_USAGE:
		return S("the certificate's key is not for this use");
	case BR_ERR_BAD_FINISHED:
		return S("the handshake was tampered with");
	case BR_ERR_TOO_LARGE:
	case BR_ERR_BAD_LENGTH:
		return S("the server sent a record of an impossible length");
	default:
		return S("the server broke the TLS protocol");
	}
}

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
		fail(e, TLS_FAILED, alert_text(err));
		add_number(e, S(" (alert "), err);
	} else if (err >= BR_ERR_X509_OK) {
		fail(e, TLS_FAILED, certificate_text(err));
		if (err == BR_ERR_X509_EXPIRED)
			add_clock(e);
	} else {
		fail(e, TLS_FAILED, protocol_text(err));
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
	e->verify.vtable = &by_address_class;
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
