/* live.c -- answers in flight: what has come so far, for whoever watches.
 *
 * Each slot has one buffer: the texts of the answer's blocks one behind the
 * other, and a table that says where each begins. A watcher keeps only a
 * cursor. An answer that is larger than the buffer goes on unwatched.
 *
 * SPDX-License-Identifier: MIT */
#include "journal_own.h"

enum {
	LIVE_SIZE = 1 << 20,	/* as long as a journal line */
	LIVE_SIZE_MIN = 1 << 16,
	LIVE_KEEP = 1 << 17	/* pages that stay with a slot */
};

int live_map(struct journal *j)
{
	size_t size;

	j->live = share_map(j->opt.slots * sizeof *j->live);
	for (size = LIVE_SIZE; j->live && size >= LIVE_SIZE_MIN; size /= 2) {
		j->live_bytes = share_map((uint64_t)size * j->opt.slots);
		if (!j->live_bytes)
			continue;
		j->live_size = size;
		return OK;
	}
	j->opt.slots = 0;
	return E_FULL;
}

static char *bytes_of(const struct journal *j, size_t slot)
{
	return j->live_bytes + slot * j->live_size;
}

void live_start(struct journal *j, size_t slot, struct str id,
    uint32_t session)
{
	struct live *l;

	if (slot >= j->opt.slots)
		return;
	l = &j->live[slot];
	if (l->n > LIVE_KEEP)
		share_drop(bytes_of(j, slot) + LIVE_KEEP,
		    j->live_size - LIVE_KEEP);
	l->answer++;
	l->answer += l->answer == 0;
	l->session = session;
	id = str_head(id, sizeof l->id);
	memcpy(l->id, id.p, id.n);
	l->nid = id.n;
	l->nblocks = l->n = 0;
	l->lost = 0;
	redact_begin(&l->redact, &j->redact);
	j->live_count++;
}

static size_t label(char *to, struct jstr s)
{
	struct buf b = buf_on(to, LIVE_LABEL);

	s.raw = str_head(s.raw, LIVE_LABEL);
	s.raw.n = json_whole(s.raw);
	json_unescape(&b, s);
	return utf8_valid(buf_str(&b));
}

/* Through the redaction into the buffer; nothing in pieces once it is lost. */
static void add(struct journal *j, size_t slot, struct str text, int end)
{
	struct live *l = &j->live[slot];
	struct buf b = buf_on(bytes_of(j, slot), j->live_size);

	if (l->lost || l->nblocks == 0) {
		l->lost = 1;
		return;
	}
	b.n = l->n;
	redact_put(&l->redact, &b, text);
	if (end)
		redact_end(&l->redact, &b);
	l->lost = b.full;
	j->live_count += b.n > l->n || b.full;
	l->n = b.n;
}

void live_end(struct journal *j, size_t slot)
{
	if (slot < j->opt.slots && j->live[slot].nblocks)
		add(j, slot, S(""), 1);
}

void live_block(struct journal *j, size_t slot, enum live_kind kind,
    struct jstr name, struct jstr call)
{
	struct live *l;
	struct live_block *k;

	if (slot >= j->opt.slots)
		return;
	live_end(j, slot);
	l = &j->live[slot];
	if (l->nblocks == LIVE_BLOCKS) {
		l->lost = 1;
		return;
	}
	k = &l->block[l->nblocks++];
	k->from = (uint32_t)l->n;
	k->kind = (unsigned char)kind;
	k->nname = (unsigned char)label(k->name, name);
	k->ncall = (unsigned char)label(k->call, call);
	k->signature = journal_hash(S(""));
	j->live_count++;
}

void live_add(struct journal *j, size_t slot, struct jstr text)
{
	if (slot < j->opt.slots)
		add(j, slot, text.raw, 0);
}

void live_sign(struct journal *j, size_t slot, struct jstr signature)
{
	struct live *l;

	if (slot >= j->opt.slots || j->live[slot].nblocks == 0)
		return;
	l = &j->live[slot];
	l->block[l->nblocks - 1].signature = journal_hash(signature.raw);
}

size_t journal_slots(const struct journal *j)
{
	return j->opt.slots;
}

uint64_t journal_live_count(const struct journal *j)
{
	return j->live_count;
}

int journal_live(const struct journal *j, size_t slot, struct live_cursor *c,
    struct live_piece *out)
{
	const struct live *l;
	const struct live_block *k;
	size_t end;

	if (slot >= j->opt.slots)
		return E_NONE;
	l = &j->live[slot];
	if (c->answer != l->answer)
		*c = (struct live_cursor){ .answer = l->answer };
	/* block counts those whose beginning was told. */
	if (c->block == l->nblocks && c->at == l->n)
		return E_NONE;
	memset(out, 0, sizeof *out);
	if (c->block == 0 || (c->block < l->nblocks &&
	    c->at == l->block[c->block].from)) {
		c->block++;
		out->begins = 1;
	}
	k = &l->block[c->block - 1];
	end = c->block < l->nblocks ? l->block[c->block].from : l->n;
	out->id = (struct str){ l->id, l->nid };
	out->session = l->session;
	out->block = c->block - 1;
	out->kind = (enum live_kind)k->kind;
	out->text.raw = (struct str){ bytes_of(j, slot) + c->at, end - c->at };
	out->name = (struct str){ k->name, k->nname };
	out->call = (struct str){ k->call, k->ncall };
	out->lost = l->lost;
	c->at = (uint32_t)end;
	return OK;
}
