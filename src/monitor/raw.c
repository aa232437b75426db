/* raw.c -- exact bytes of both sides, the newest few megabytes of them.
 *
 * A ring of pieces: whose they are, which side, head or content. It lives in
 * memory alone and is read through journal_raw alone. Secrets are masked before
 * anything is stored, each side by a machine of its own, as they may be cut
 * between two pieces; what one holds back is read from it. What is made of a
 * content in which there was none isn't searched again. A request whose first
 * piece has left the ring is gone as a whole.
 *
 * SPDX-License-Identifier: MIT */
#include "journal_own.h"

enum {
	PIECE_FOR = 1024,	/* an entry for so many bytes of ring */
	PART_MAX = 4,		/* a fourth of the ring is the most a side gets */
	HEAD_BYTES = 32768,
	AT_ONCE = 65536		/* masked in one go: stays in the cache */
};

struct raw_entry {
	uint64_t key, pos;
	uint32_t n;
	unsigned char side, head, begins, cut;
};

struct raw_slot {
	uint64_t key;
	uint64_t kept[RAW_SIDES];
	unsigned char begun[RAW_SIDES], cut[RAW_SIDES];
	unsigned char masked[RAW_SIDES];	/* something was */
	struct redact mask[RAW_SIDES];
};

int raw_map(struct journal *j)
{
	uint64_t n = 64;

	if (j->opt.raw < 1 << 16)
		return E_NONE;
	while (n < j->opt.raw / PIECE_FOR)
		n *= 2;
	j->nraw = (size_t)n;
	j->raw = share_map(j->opt.raw);
	j->raw_entry = share_map(n * sizeof *j->raw_entry);
	j->raw_slot = share_map(j->opt.slots * sizeof *j->raw_slot);
	if (j->raw && j->raw_entry && j->raw_slot)
		return OK;
	j->opt.raw = 0;
	return E_FULL;
}

static struct raw_entry *entry_of(const struct journal *j, uint64_t i)
{
	return &j->raw_entry[i & (j->nraw - 1)];
}

/* ---- writing ---------------------------------------------------------- */

/* Whether what is put at pos follows the last entry, is the same's, and does not
 * stand beyond the ring's end. */
static int goes_on(const struct journal *j, const struct raw_slot *s,
    enum raw_side side, int head, uint64_t pos)
{
	const struct raw_entry *e = entry_of(j, j->raw_next - 1);

	return !head && s->begun[side] == 2 && j->raw_first < j->raw_next &&
	    e->key == s->key && e->side == side && !e->head && !e->cut &&
	    e->pos + e->n == pos && pos % j->opt.raw;
}

static struct raw_entry *enter(struct journal *j, struct raw_slot *s,
    enum raw_side side, int head, uint64_t pos)
{
	struct raw_entry *e;

	if (j->raw_next - j->raw_first >= j->nraw)
		j->raw_first++;
	e = entry_of(j, j->raw_next++);
	*e = (struct raw_entry){ .key = s->key, .pos = pos,
	    .side = (unsigned char)side, .head = (unsigned char)head };
	e->begins = s->begun[side] < (head ? 1 : 2);
	s->begun[side] = head ? 1 : 2;
	return e;
}

static void store(struct journal *j, struct raw_slot *s, enum raw_side side,
    int head, struct str text)
{
	uint64_t size = j->opt.raw, at = j->raw_head % size, pos;
	struct raw_entry *e;

	/* An empty content is worth an entry: it is known to be empty. */
	if (text.n == 0 && s->begun[side] > (head ? 0 : 1))
		return;
	pos = size - at < text.n ? j->raw_head + size - at : j->raw_head;
	j->raw_head = pos + text.n;
	while (j->raw_first < j->raw_next &&
	    entry_of(j, j->raw_first)->pos + size < j->raw_head)
		j->raw_first++;
	e = goes_on(j, s, side, head, pos) ? entry_of(j, j->raw_next - 1) :
	    enter(j, s, side, head, pos);
	e->n += (uint32_t)text.n;
	if (text.n)
		memcpy(j->raw + pos % size, text.p, text.n);
}

static struct buf *scratch(struct journal *j)
{
	j->text.n = 0;
	j->text.full = 0;
	return &j->text;
}

/* Text goes on, or with none it ends. Returns whether anything was masked. What
 * is masked here was counted when it was masked for a line. */
static int mask(struct journal *j, struct redact *r, const struct str *text)
{
	struct buf *b = scratch(j);
	uint64_t count[RK_KINDS];
	int masked;

	memcpy(count, j->redact.count, sizeof count);
	if (text)
		redact_put(r, b, *text);
	else
		redact_end(r, b);
	masked = memcmp(j->redact.count, count, sizeof count) != 0;
	memcpy(j->redact.count, count, sizeof count);
	return masked;
}

static void store_masked(struct journal *j, struct raw_slot *s,
    enum raw_side side, const struct str *text)
{
	if (mask(j, &s->mask[side], text))
		s->masked[side] = 1;
	store(j, s, side, 0, buf_str(&j->text));
}

/* Whether a content was seen whole and holds nothing to mask, what is held back
 * of it included. */
static int is_clean(struct journal *j, const struct raw_slot *s,
    enum raw_side side)
{
	struct redact r;

	if (s->begun[side] != 2 || s->cut[side] || s->masked[side])
		return 0;
	if (!redact_holds(&s->mask[side]))
		return 1;
	r = s->mask[side];
	return !mask(j, &r, NULL);
}

static void cut(struct journal *j, struct raw_slot *s, enum raw_side side)
{
	if (!s->cut[side] && j->raw_next > j->raw_first) {
		store_masked(j, s, side, NULL);
		enter(j, s, side, 0, j->raw_head)->cut = 1;
	}
	s->cut[side] = 1;
}

/* What is held back of a content can't be the beginning of anything. */
static void flush(struct journal *j, struct raw_slot *s, enum raw_side side)
{
	const struct redact *r = &s->mask[side];

	if (s->begun[side] == 2 && !s->cut[side] && redact_holds(r))
		store_masked(j, s, side, NULL);
}

void raw_begin(struct journal *j, size_t slot, struct str id)
{
	struct raw_slot *s;
	size_t i;

	if (!j->opt.raw || slot >= j->opt.slots)
		return;
	s = &j->raw_slot[slot];
	for (i = 0; i < RAW_SIDES; i++)
		flush(j, s, (enum raw_side)i);
	memset(s->kept, 0, sizeof s->kept);
	memset(s->begun, 0, sizeof s->begun);
	memset(s->cut, 0, sizeof s->cut);
	memset(s->masked, 0, sizeof s->masked);
	s->key = journal_hash(id);
}

void raw_head(struct journal *j, size_t slot, enum raw_side side,
    struct str head)
{
	struct raw_slot *s;

	if (!j->opt.raw || slot >= j->opt.slots)
		return;
	s = &j->raw_slot[slot];
	/* Another attempt takes the place of the one before. */
	s->begun[side] = s->cut[side] = s->masked[side] = 0;
	s->kept[side] = 0;
	redact_begin(&s->mask[side], &j->redact);
	redact_head(&j->redact, scratch(j), str_head(head, HEAD_BYTES));
	store(j, s, side, 1, buf_str(&j->text));
}

static void add(struct journal *j, size_t slot, enum raw_side side,
    struct str text, int clean)
{
	struct raw_slot *s = &j->raw_slot[slot];
	struct str part;

	if (s->begun[side] == 0)
		return;
	do {
		part = str_head(text, AT_ONCE);
		text = str_from(text, part.n);
		s->kept[side] += part.n;
		if (s->kept[side] > j->opt.raw / PART_MAX)
			cut(j, s, side);
		if (s->cut[side])
			return;
		if (clean)
			store(j, s, side, 0, part);
		else
			store_masked(j, s, side, &part);
	} while (text.n);
}

void raw_add(struct journal *j, size_t slot, enum raw_side side,
    struct str text)
{
	if (j->opt.raw && slot < j->opt.slots)
		add(j, slot, side, text, 0);
}

int raw_part(struct journal *j, size_t slot, enum raw_side side,
    struct str text, int clean)
{
	struct raw_slot *s;
	int was;

	if (!j->opt.raw || slot >= j->opt.slots)
		return 0;
	s = &j->raw_slot[slot];
	if (j->redact.odd) {
		add(j, slot, side, text, 0);
		return 0;
	}
	flush(j, s, side);
	was = s->masked[side];
	s->masked[side] = 0;
	add(j, slot, side, text, clean);
	flush(j, s, side);
	clean = !s->masked[side] && s->begun[side] == 2 && !s->cut[side];
	s->masked[side] |= (unsigned char)was;
	return clean;
}

void raw_made(struct journal *j, size_t slot, enum raw_side side,
    enum raw_side from, const struct str *parts, size_t n)
{
	size_t i;
	int clean;

	if (!j->opt.raw || slot >= j->opt.slots)
		return;
	clean = is_clean(j, &j->raw_slot[slot], from);
	for (i = 0; i < n; i++)
		add(j, slot, side, parts[i], clean);
}

/* ---- reading ---------------------------------------------------------- */

/* What is held back of a content that is its slot's still. */
static void put_held(const struct journal *j, uint64_t key, enum raw_side side,
    struct buf *out)
{
	struct redact_set set = j->redact;
	struct redact r;
	size_t i;

	for (i = 0; i < j->opt.slots; i++)
		if (j->raw_slot[i].key == key &&
		    j->raw_slot[i].begun[side] == 2 &&
		    !j->raw_slot[i].cut[side]) {
			r = j->raw_slot[i].mask[side];
			r.set = &set;
			redact_end(&r, out);
		}
}

int journal_raw(const struct journal *j, struct str id, enum raw_side side,
    int head, struct buf *out)
{
	uint64_t key = journal_hash(id), i, from = 0;
	const struct raw_entry *e;
	int is_cut = 0, found = 0;

	if (!j->opt.raw)
		return E_NONE;
	/* The last beginning: an earlier attempt is not what was asked for. */
	for (i = j->raw_first; i < j->raw_next; i++) {
		e = entry_of(j, i);
		if (e->key == key && e->side == side && e->begins &&
		    e->head == (head != 0)) {
			from = i;
			found = 1;
		}
	}
	for (i = from; found && i < j->raw_next; i++) {
		e = entry_of(j, i);
		if (e->key != key || e->side != side ||
		    e->head != (head != 0))
			continue;
		is_cut |= e->cut;
		buf_put(out, (struct str){ j->raw + e->pos % j->opt.raw,
		    e->n });
	}
	if (found && !head)
		put_held(j, key, side, out);
	return !found ? E_NONE : out->full ? E_FULL : is_cut ? E_LIMIT : OK;
}
