/* journal.c -- lines: a ring of them, found by number, by id and by name.
 *
 * A line is written into one buffer, then copied whole into the ring, whose
 * oldest lines make room. The index is an array by seq; the table of blobs
 * forgets by being overwritten, which at worst writes a blob twice. All of it
 * is mapped once.
 *
 * SPDX-License-Identifier: MIT */
#include "../net/loop.h"
#include "lines.h"

enum {
	ENTRY_FOR = 192,	/* an entry for so many bytes of ring: lines are
				 * longer on average */
	BLOB_FOR = 96,		/* less than any blob's line: never full */
	PROBES = 8,		/* places a name may have in the table */
	RING_MIN = 1 << 16
};

/* FNV-1a: a key for looking up, not for trust. */
uint64_t journal_hash(struct str s)
{
	uint64_t h = 0xcbf29ce484222325u;
	size_t i;

	for (i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	return h;
}

uint32_t journal_key(struct str session)
{
	uint64_t h = journal_hash(session);

	h ^= h >> 32;
	return (uint32_t)h ? (uint32_t)h : 1;
}

static size_t power_of_two(uint64_t n)
{
	size_t p = 64;

	while (p < n)
		p *= 2;
	return p;
}

struct journal *journal_open(const struct journal_options *o)
{
	/* The child that writes the file looks at the options in it. */
	struct journal *j = share_map_open(sizeof *j);
	char *line, *text;

	if (!j)
		return NULL;
	j->opt = *o;
	j->size = o->memory < RING_MIN ? RING_MIN : o->memory;
	j->nentries = power_of_two(j->size / ENTRY_FOR);
	j->nblobs = power_of_two(j->size / BLOB_FOR);
	j->ring = share_map(j->size);
	j->entry = share_map(j->nentries * sizeof *j->entry);
	j->blob = share_map(j->nblobs * sizeof *j->blob);
	line = share_map(JOURNAL_LINE_MAX);
	text = share_map(JOURNAL_LINE_MAX);
	if (!j->ring || !j->entry || !j->blob || !line || !text)
		return NULL;
	j->text = buf_on(text, JOURNAL_LINE_MAX);
	redact_set_init(&j->redact, o->secrets, o->nsecrets);
	/* Fresh pages are zeros: enough of them to make it look at the CPU. */
	sha256_init(&j->quick.warm);
	sha256_add(&j->quick.warm, (struct str){ text, 4096 });
	if (quick_open(&j->quick) != OK)
		return NULL;
	/* A line never takes more than a quarter of the ring. */
	j->line = buf_on(line, j->size / 4 < JOURNAL_LINE_MAX ?
	    (size_t)(j->size / 4) : JOURNAL_LINE_MAX);
	j->first = j->next = j->young = j->fresh = 1;
	j->writer.fd = -1;
	live_map(j);
	raw_map(j);
	return j;
}

/* ---- the ring --------------------------------------------------------- */

static struct entry *entry_of(const struct journal *j, uint64_t seq)
{
	return &j->entry[seq & (j->nentries - 1)];
}

/* Forgets what the coming n bytes will overwrite. Returns where they go: a
 * line is in one piece, so the rest of the ring may be skipped. */
static uint64_t make_room(struct journal *j, size_t n)
{
	uint64_t at = j->head % j->size;
	uint64_t pos = j->size - at < n ? j->head + j->size - at : j->head;
	uint64_t end = pos + n;

	while (j->first < j->next && (j->next - j->first >= j->nentries ||
	    entry_of(j, j->first)->pos + j->size < end))
		j->first++;
	j->head = end;
	return pos;
}

static void grow_old(struct journal *j)
{
	uint64_t reach = j->size / 2;

	if (j->young < j->first)
		j->young = j->first;
	while (j->young < j->next &&
	    entry_of(j, j->young)->pos + reach < j->head)
		j->young++;
	/* The index may run out before the bytes do. */
	if (j->next - j->young > j->nentries / 2)
		j->young = j->next - j->nentries / 2;
}

uint64_t journal_first(const struct journal *j)
{
	return j->first;
}

uint64_t journal_next(const struct journal *j)
{
	return j->next;
}

int journal_line(const struct journal *j, uint64_t seq,
    struct journal_line *out)
{
	const struct entry *e;

	if (seq < j->first || seq >= j->next)
		return E_NONE;
	e = entry_of(j, seq);
	if (e->n == 0)
		return E_NONE;
	out->seq = seq;
	out->kind = (enum journal_kind)e->kind;
	out->session = e->session;
	out->text = (struct str){ j->ring + e->pos % j->size, e->n };
	return OK;
}

int journal_find(const struct journal *j, struct str id,
    enum journal_kind kind, uint64_t from, struct journal_line *out)
{
	uint64_t key = journal_hash(id), seq = from;
	const struct entry *e;

	if (seq < j->first)
		seq = j->first;
	for (; seq < j->next; seq++) {
		e = entry_of(j, seq);
		if (e->key == key && e->kind == kind)
			return journal_line(j, seq, out);
	}
	return E_NONE;
}

/* ---- blobs ------------------------------------------------------------ */

static struct blob_slot *blob_at(const struct journal *j, uint64_t key,
    size_t probe)
{
	return &j->blob[(key + probe) & (j->nblobs - 1)];
}

static struct blob_slot *blob_find(const struct journal *j, uint64_t key)
{
	size_t i;

	for (i = 0; i < PROBES; i++)
		if (blob_at(j, key, i)->key == key)
			return blob_at(j, key, i);
	return NULL;
}

int journal_needs(const struct journal *j, uint64_t key)
{
	const struct blob_slot *s = blob_find(j, key);

	return !s || s->seq < j->young || s->seq < j->fresh ||
	    (j->failed && j->opt.bodies == LOG_BODIES_ERRORS && !s->open);
}

void journal_wrote(struct journal *j, uint64_t key, uint64_t seq)
{
	struct blob_slot *s, *oldest = blob_at(j, key, 0);
	size_t i;

	for (i = 0; i < PROBES; i++) {
		s = blob_at(j, key, i);
		if (s->key == key) {
			oldest = s;
			if (s->seq < j->fresh && seq >= j->first)
				j->writer.carried += entry_of(j, seq)->n;
			break;
		}
		if (s->seq < oldest->seq)
			oldest = s;
	}
	oldest->key = key;
	oldest->seq = seq;
	oldest->open = j->failed;
}

/* The first 16 digits of a name; 0 when it is none. */
uint64_t journal_sha_key(struct str sha)
{
	static const char digits[] = "0123456789abcdef";
	const char *d;
	uint64_t key = 0;
	size_t i;

	for (i = 0; i < 16 && i < sha.n; i++) {
		d = memchr(digits, sha.p[i], sizeof digits - 1);
		if (!d)
			return 0;
		key = key << 4 | (uint64_t)(d - digits);
	}
	return i == 16 ? key : 0;
}

int journal_blob(const struct journal *j, struct str sha,
    struct journal_line *out)
{
	const struct blob_slot *s = blob_find(j, journal_sha_key(sha));
	size_t at;

	if (sha.n != JOURNAL_SHA || !s ||
	    journal_line(j, s->seq, out) != OK || out->kind != J_BLOB)
		return E_NONE;
	/* The key was short of the name: compare the whole. */
	at = str_find(out->text, S("\"sha\":\"")) + 7;
	return str_starts(str_from(out->text, at), sha) ? OK : E_NONE;
}

/* ---- a line ----------------------------------------------------------- */

void journal_quote(struct journal *j, struct buf *b, struct str s)
{
	j->text.n = 0;
	j->text.full = 0;
	redact_text(&j->redact, &j->text, str_head(s, j->text.cap / 2));
	json_quote(b, buf_str(&j->text));
}

void journal_put_key(struct journal *j, const char *key)
{
	buf_put(&j->line, S(",\""));
	buf_put(&j->line, str_of(key));
	buf_put(&j->line, S("\":"));
}

void journal_put_text(struct journal *j, const char *key, struct str s)
{
	journal_put_key(j, key);
	if (s.p)
		journal_quote(j, &j->line, s);
	else
		buf_put(&j->line, S("null"));
}

void journal_put_word(struct journal *j, const char *key, struct str s)
{
	journal_put_key(j, key);
	if (!s.p) {
		buf_put(&j->line, S("null"));
		return;
	}
	buf_chr(&j->line, '"');
	buf_put(&j->line, s);
	buf_chr(&j->line, '"');
}

void journal_put_int(struct journal *j, const char *key, int64_t v)
{
	journal_put_key(j, key);
	buf_int(&j->line, v);
}

void journal_put_bool(struct journal *j, const char *key, int v)
{
	journal_put_key(j, key);
	buf_put(&j->line, v ? S("true") : S("false"));
}

void journal_put_null(struct journal *j, const char *key)
{
	journal_put_key(j, key);
	buf_put(&j->line, S("null"));
}

void journal_put_seconds(struct journal *j, const char *key, int64_t ms)
{
	journal_put_key(j, key);
	buf_fixed(&j->line, ms, 3);
}

static void put_digits(struct buf *b, int64_t v, int n)
{
	int64_t unit = 1;

	while (--n > 0)
		unit *= 10;
	for (; unit; unit /= 10)
		buf_chr(b, (char)('0' + v / unit % 10));
}

/* Days since 1970 to a date of the Gregorian calendar, counted in years that
 * begin in March, so that the leap day is the last. */
void monitor_when(struct buf *b, int64_t wall_ms)
{
	int64_t ms = wall_ms < 0 ? 0 : wall_ms, day = ms / 86400000 + 719468;
	int64_t era = day / 146097, of_era = day % 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 -
	    of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t month = (5 * of_year + 2) / 153;

	put_digits(b, year + era * 400 + (month >= 10), 4);
	buf_chr(b, '-');
	put_digits(b, month < 10 ? month + 3 : month - 9, 2);
	buf_chr(b, '-');
	put_digits(b, of_year - (153 * month + 2) / 5 + 1, 2);
	buf_chr(b, 'T');
	put_digits(b, ms / 3600000 % 24, 2);
	buf_chr(b, ':');
	put_digits(b, ms / 60000 % 60, 2);
	buf_chr(b, ':');
	put_digits(b, ms / 1000 % 60, 2);
	buf_chr(b, '.');
	put_digits(b, ms % 1000, 3);
	buf_chr(b, 'Z');
}

struct buf *journal_begin(struct journal *j, enum journal_kind kind,
    struct str id, uint32_t session)
{
	struct buf *b = &j->line;

	b->n = 0;
	b->full = 0;
	j->open = (struct entry){ .key = journal_hash(id), .session = session,
	    .kind = (unsigned char)kind };
	buf_put(b, S("{\"v\":1,\"seq\":"));
	buf_u64(b, j->next);
	journal_put_key(j, "ts");
	buf_chr(b, '"');
	monitor_when(b, loop_wall());
	buf_chr(b, '"');
	journal_put_word(j, "event", journal_kind_name(kind));
	if (id.n)
		journal_put_word(j, "id", id);
	return b;
}

void journal_private(struct journal *j)
{
	j->open.public = (uint32_t)j->line.n;
}

/* Puts a line of n bytes under the next number. */
static void place(struct journal *j, const struct entry *as, const char *text)
{
	struct entry *e;
	uint64_t pos = make_room(j, as->n);

	e = entry_of(j, j->next);
	*e = *as;
	e->pos = pos;
	if (text)
		memcpy(j->ring + pos % j->size, text, e->n);
	j->next++;
	j->lines++;
	j->bytes += e->n;
	grow_old(j);
}

void journal_insert(struct journal *j, uint64_t seq, const struct entry *as,
    struct str text)
{
	static const struct entry gap;
	struct entry e = *as;

	/* Numbers that the file lacks are places without a line. */
	if (seq - j->next >= j->nentries || j->next == j->first) {
		j->first = j->next = j->young = seq;
	}
	while (j->next < seq)
		place(j, &gap, NULL);
	e.n = (uint32_t)text.n;
	e.public = e.n - 1;
	place(j, &e, text.p);
}

uint64_t journal_end(struct journal *j)
{
	struct buf *b = &j->line;
	uint64_t seq = j->next;

	buf_put(b, S("}"));
	if (b->full) {
		j->dropped++;
		return 0;
	}
	j->open.n = (uint32_t)b->n;
	if (j->open.public == 0)
		j->open.public = j->open.n - 1;
	j->open.closed = j->opt.bodies == LOG_BODIES_NONE ||
	    (j->opt.bodies == LOG_BODIES_ERRORS && !j->failed);
	j->writer.emitted += j->open.closed ? j->open.public + 2 : b->n + 1;
	place(j, &j->open, b->p);
	return seq;
}

void journal_mend(struct journal *j)
{
	j->failed = 0;
	j->young = j->fresh = j->next;
	j->raw_first = j->raw_next;
	quick_forget(&j->quick);
}

void journal_stats(const struct journal *j, struct journal_stats *out)
{
	size_t i;

	memset(out, 0, sizeof *out);
	out->lines = j->lines;
	out->bytes = j->bytes;
	out->ring_size = j->size;
	if (j->first < j->next)
		out->ring_used = j->head - entry_of(j, j->first)->pos;
	out->dropped = j->dropped;
	out->failing = j->writer.failing;
	if (j->writer.opt.dir.n) {
		/* Gone from the ring before a full disk had room again. */
		if (j->writer.seq < j->first)
			out->dropped += j->first - j->writer.seq;
		out->waiting = j->next - j->writer.seq;
		out->segment = j->writer.segment;
		out->segment_bytes = j->writer.emitted;
	}
	for (i = 0; i < RK_KINDS; i++)
		out->redactions += j->redact.count[i];
}
