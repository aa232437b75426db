/* journal_own.h -- what the files of the journal share.
 *
 *	journal.c	lines: the ring and its index, begin and end
 *	live.c		answers in flight
 *	raw.c		exact bytes
 *	blob.c		contents by name; quick.c finds it without hashing
 *	writer.c	to the file; scribe.c is the child that writes it
 *	load.c		reads a file; restore.c puts its end into the ring, recall.c
 *			knows conversations again by it
 *
 * SPDX-License-Identifier: MIT */
#ifndef JOURNAL_OWN_H
#define JOURNAL_OWN_H

#include "../net/share.h"
#include "blob.h"
#include "journal.h"
#include "redact.h"
#include "writer.h"

enum {
	LIVE_BLOCKS = 64,	/* blocks of one answer that are told apart */
	LIVE_LABEL = 128	/* of a call's id or a tool's name: Anthropic takes
				 * names of 128, and MCP servers make long ones */
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
	unsigned char rotates;	/* a segment that begins with it */
	unsigned char pad;
};

/* Where the blob of a name was last written. */
struct blob_slot {
	uint64_t key, seq;
	int open;		/* the file has its data too */
};

struct live_block {
	uint64_t signature;	/* journal_hash of it */
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
	struct redact redact;
	struct live_block block[LIVE_BLOCKS];
};

struct journal {
	struct journal_options opt;
	char *ring;
	uint64_t size, head;	/* of the ring; of all bytes so far */
	struct entry *entry;
	size_t nentries;	/* a power of two */
	uint64_t first, next;	/* seq: oldest in the ring; of the next line */
	uint64_t young;		/* seq: in the newer half from here on */
	uint64_t fresh;		/* seq: what was written before it is not in the
				 * file's current segment */
	struct blob_slot *blob;
	size_t nblobs;		/* a power of two */
	struct buf line;	/* the open one */
	struct entry open;	/* its entry so far */
	struct buf text;	/* scratch for journal_quote */
	int failed;		/* what is written belongs to a failed request:
				 * LOG_BODIES=errors keeps it */
	struct redact_set redact;
	struct quick quick;
	char *live_bytes;	/* live_size for each slot */
	size_t live_size;
	struct live *live;
	uint64_t live_count;
	char *raw;		/* opt.raw bytes; raw.c */
	uint64_t raw_head, raw_first, raw_next;	/* bytes; entries */
	struct raw_entry *raw_entry;
	size_t nraw;		/* a power of two */
	struct raw_slot *raw_slot;
	uint64_t lines, bytes, dropped;
	uint64_t damaged, damage_at;	/* lines of the file that were passed
					 * over at start; where, the last */
	const char *damage_why;
	struct writer writer;
};

uint64_t journal_hash(struct str s);

/* journal.c: whether a blob of that name must be written (again) before a line
 * may name it; and that it was. */
int journal_needs(const struct journal *j, uint64_t key);
void journal_wrote(struct journal *j, uint64_t key, uint64_t seq);
/* What may be half written, as its writer died, is not relied on any more:
 * contents are hashed and written anew. */
void journal_mend(struct journal *j);
/* The key that a blob's hex name has; 0: it is none. */
uint64_t journal_sha_key(struct str hex);
/* A line that was written in an earlier life. seq is not below the next. */
void journal_insert(struct journal *j, uint64_t seq, const struct entry *as,
    struct str text);

/* restore.c: the end of LOG_DIR's journal into the ring; size of the current
 * file, number of its segment. */
void load_tail(struct journal *j, struct str dir, uint64_t *size,
    uint64_t *segment);

/* live.c */
int live_map(struct journal *j);
void live_start(struct journal *j, size_t slot, struct str id,
    uint32_t session);
void live_block(struct journal *j, size_t slot, enum live_kind kind,
    struct jstr name, struct jstr call);
void live_add(struct journal *j, size_t slot, struct jstr text);
void live_sign(struct journal *j, size_t slot, struct jstr signature);
/* The answer is whole: what was held back comes out. */
void live_end(struct journal *j, size_t slot);

/* raw.c: a slot goes on to another request; a head, which begins a side (anew,
 * with another attempt); its content. */
int raw_map(struct journal *j);
void raw_begin(struct journal *j, size_t slot, struct str id);
void raw_head(struct journal *j, size_t slot, enum raw_side side,
    struct str head);
void raw_add(struct journal *j, size_t slot, enum raw_side side,
    struct str text);
/* The same of a part that is JSON of its own, from bracket to bracket. clean:
 * it was found so before, and isn't looked at. Returns whether it is: its bytes
 * hold nothing to mask, wherever they stand. */
int raw_part(struct journal *j, size_t slot, enum raw_side side,
    struct str text, int clean);
/* A content made of that of another side and of nothing else that is secret:
 * if there was no key in that, there is none in this. Its texts may be put
 * together, but with an escape between them, which ends a word. */
void raw_made(struct journal *j, size_t slot, enum raw_side side,
    enum raw_side from, const struct str *parts, size_t n);

#endif
