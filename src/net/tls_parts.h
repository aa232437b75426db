/* tls_parts.h -- what tls.c is made of, beside tls.h: BearSSL's side of it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TLS_PARTS_H
#define TLS_PARTS_H

#include <bearssl.h>

#include "tls.h"

enum {
	RSA_MIN = 256,		/* bytes: 2048 bits */
	LEAF_MAX = 2048		/* certificate of a host known by address */
};

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

/* BearSSL's interface of a verifier, for a struct by_address whose chain and
 * addr are set. */
extern const br_x509_class tls_by_address;

/* A reason in words: of an alert's number, of a BR_ERR_X509_ number, of any
 * other BR_ERR_ number. */
struct str tls_alert_text(int alert);
struct str tls_certificate_text(int err);
struct str tls_protocol_text(int err);

#endif
