/* sha256.h -- SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104).
 *
 * SPDX-License-Identifier: MIT */
#ifndef SHA256_H
#define SHA256_H

#include "../base/base.h"

enum { SHA256_SIZE = 32, SHA256_BLOCK = 64 };

struct sha256 {
	uint32_t h[8];
	uint64_t n;		/* bytes so far */
	unsigned char block[SHA256_BLOCK];
	unsigned char form;	/* sha256.c's own: what the CPU can do */
};

void sha256_init(struct sha256 *s);
/* The same, knowing what another one has found out about the CPU: asking costs
 * more than hashing a few kilobytes does. */
void sha256_init_as(struct sha256 *s, const struct sha256 *other);
void sha256_add(struct sha256 *s, struct str bytes);
void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE]);
void sha256(unsigned char out[SHA256_SIZE], struct str bytes);
void hmac_sha256(unsigned char out[SHA256_SIZE], struct str key,
    struct str bytes);

#endif
