/* tls_roots.c -- trusted roots, read from a PEM bundle at start.
 *
 * What can't be used is skipped and counted: a bundle is the system's, and
 * one odd root must not cost the others. Memory is the caller's arena.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tls_parts.h"

enum { DER_MAX = 8192 };	/* one root; public ones are under 2 KiB */

#define ROOT_CURVES (1u << BR_EC_secp256r1 | 1u << BR_EC_secp384r1 | \
	1u << BR_EC_secp521r1)

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
