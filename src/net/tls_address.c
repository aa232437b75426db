/* tls_address.c -- a certificate for a host known by address.
 *
 * BearSSL compares names only. Here it judges the chain, and a copy of the
 * first certificate is then searched for the address among subjectAltName's
 * iPAddress entries (RFC 5280, 4.2.1.6; RFC 9110, 4.3.5).
 *
 * SPDX-License-Identifier: MIT */
#include "tls_parts.h"

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

const br_x509_class tls_by_address = {
	sizeof(struct by_address), ip_start_chain, ip_start_cert, ip_append,
	ip_end_cert, ip_end_chain, ip_get_pkey
};
