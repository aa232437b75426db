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

void blob_message(struct sha16 *out, const struct message *m,
    struct arena scratch);
void blob_block(struct sha16 *out, const struct block *b,
    struct arena scratch);
void blob_tools(struct sha16 *out, const struct request *q);
void blob_bytes(struct sha16 *out, const struct str *parts, size_t n);

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
