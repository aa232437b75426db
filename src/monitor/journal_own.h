/* journal_own.h -- what the files of the journal share.
 *
 *	journal.c	lines: the ring and its index, begin and end
 *	live.c		answers in flight
 *
 * SPDX-License-Identifier: MIT */
#ifndef JOURNAL_OWN_H
#define JOURNAL_OWN_H

#include "journal.h"

enum {
	LIVE_BLOCKS = 64,	/* blocks of one answer that are told apart */
	LIVE_LABEL = 72		/* of a tool's name or a call's id */
};

/* One line in the ring. Position counts every byte ever put in; a line is
 * gone when the ring's head is more than a ring ahead of it. */
struct entry {
	uint64_t key;		/* of its id, or of a blob's name */
	uint64_t pos;
	uint32_t n;
	uint32_t public;	/* bytes that LOG_BODIES=none leaves; then "}" */
	uint32_t session;
	unsigned char kind;
	unsigned char closed;	/* its private part stays out of the file */
	unsigned char pad[2];
};

/* Where the blob of a name was last written. */
struct blob_slot {
	uint64_t key, seq;
};

struct live_block {
	uint32_t from;		/* in the bytes of the answer */
	unsigned char kind;
	unsigned char nname, ncall;
	char name[LIVE_LABEL], call[LIVE_LABEL];
};

struct live {
	uint32_t answer;	/* counts the answers of this slot; 0: none yet */
	uint32_t session;
	char id[ID_MAX];
	size_t nid;
	size_t nblocks, n;
	int lost;
	struct live_block block[LIVE_BLOCKS];
};

struct journal {
	struct journal_options opt;
	char *ring;
	uint64_t size, head;	/* of the ring; of all bytes so far */
	struct entry *entry;
	size_t nentries;	/* a power of two */
	uint64_t first, next;	/* seq: oldest in the ring; of the next line */
	uint64_t young;		/* seq: in the newer three quarters from here */
	uint64_t fresh;		/* seq: what was written before it is not in the
				 * file's current segment */
	struct blob_slot *blob;
	size_t nblobs;		/* a power of two */
	struct buf line;	/* the open one */
	struct entry open;	/* its entry so far */
	char *live_bytes;	/* live_size for each slot */
	size_t live_size;
	struct live *live;
	uint64_t live_count;
	uint64_t lines, bytes, dropped, redactions;
};

/* Address space that costs nothing until it is touched. NULL: none. */
void *journal_map(uint64_t n);
uint64_t journal_hash(struct str s);

/* journal.c: whether a blob of that name must be written (again) before a line
 * may name it; and that it was. */
int journal_needs(const struct journal *j, uint64_t key);
void journal_wrote(struct journal *j, uint64_t key, uint64_t seq);

/* live.c */
int live_map(struct journal *j);
void live_start(struct journal *j, size_t slot, struct str id,
    uint32_t session);
void live_block(struct journal *j, size_t slot, enum live_kind kind,
    struct jstr name, struct jstr call);
void live_add(struct journal *j, size_t slot, struct jstr text);

#endif
