/* blob.h -- messages, system blocks and tools under the name of their content.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BLOB_H
#define BLOB_H

#include "../wire/sha256.h"
#include "journal.h"

/* The name of a content: half a SHA-256. */
struct sha16 {
	unsigned char b[16];
};

enum { QUICK_KEYS = 64 };

/* The lowest bit of sum says that nothing in those bytes has to be masked. */
struct seen {
	uint64_t sum;
	struct sha16 name;
};

/* quick.c: names by a fast sum of the bytes they were made from. */
struct quick {
	uint32_t key[QUICK_KEYS];
	uint64_t mix;
	struct seen *seen;
	struct sha256 warm;	/* knows the CPU */
};

int quick_open(struct quick *q);
void quick_forget(struct quick *q);
/* Goes on from h, 0 at first. */
uint64_t quick_sum(const struct quick *q, uint64_t h, struct str s);
/* Where the name for that sum is (known), or is to be put. */
struct sha16 *quick_name(struct quick *q, uint64_t sum, int *known);

/* Whether those bytes were found clean; that they were. */
int quick_clean(const struct quick *q, uint64_t sum);
void quick_set_clean(struct quick *q, uint64_t sum);

/* Bytes that had a name before keep it, without being hashed again. Returns the
 * sum of the bytes: the source of the message, the block, all tools. */
uint64_t blob_message(struct quick *q, struct sha16 *out,
    const struct message *m, struct arena scratch);
uint64_t blob_block(struct quick *q, struct sha16 *out, const struct block *b,
    struct arena scratch);
uint64_t blob_tools(struct quick *q, struct sha16 *out,
    const struct request *r);
void blob_bytes(const struct quick *q, struct sha16 *out,
    const struct str *parts, size_t n);

struct str blob_hex(const struct sha16 *s, char out[JOURNAL_SHA]);
uint64_t blob_key(const struct sha16 *s);
void blob_put(struct buf *b, const struct sha16 *s);	/* "..." */

/* Each writes its line if a reader of what follows would miss it. */
void blob_write_message(struct journal *j, const struct sha16 *sha,
    const struct message *m, uint32_t session);
void blob_write_system(struct journal *j, const struct sha16 *sha,
    const struct block *b, uint32_t session);
void blob_write_tools(struct journal *j, const struct sha16 *sha,
    const struct request *q, size_t bytes, uint32_t session);
/* What a slot's answer came to. OK, or E_NONE: nothing was said. */
int blob_write_answer(struct journal *j, struct sha16 *sha, size_t slot,
    uint32_t session, struct arena scratch);

#endif
