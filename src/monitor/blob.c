/* blob.c -- messages, system blocks and tools, stored once by what they say.
 *
 * A name is SHA-256 over what a block means, cut to 16 bytes: a cache mark
 * that moved, or a string that became a text block, changes nothing. What is
 * stored is the block as it was sent, without cache_control, with secrets
 * masked and with what nobody reads (images, signatures) named by its size.
 *
 * SPDX-License-Identifier: MIT */
#include "blob.h"
#include "lines.h"

enum {
	OPAQUE_MIN = 128,	/* base64 shorter than this is shown */
	CUT_MAX = 262144,	/* of a text that is too long for a line */
	ENVELOPE = 512		/* of a line, around its data */
};

/* ---- names ------------------------------------------------------------ */

/* A tag and a length before the bytes: no two contents run together. */
static void feed(struct sha256 *h, char tag, struct str s)
{
	char head[9];
	int i;

	head[0] = tag;
	for (i = 0; i < 8; i++)
		head[i + 1] = (char)(s.n >> (8 * i) & 255);
	sha256_add(h, (struct str){ head, sizeof head });
	sha256_add(h, s);
}

static void feed_signature(struct sha256 *h, uint64_t signature)
{
	char bytes[8];
	int i;

	for (i = 0; i < 8; i++)
		bytes[i] = (char)(signature >> (8 * i) & 255);
	feed(h, 'S', (struct str){ bytes, sizeof bytes });
}

static void feed_input(struct sha256 *h, struct str input,
    struct arena scratch)
{
	struct buf b = buf_open(&scratch);

	json_compact(&b, input);
	feed(h, 'i', b.full ? input : buf_str(&b));
}

static void feed_members(struct sha256 *h, struct jv v)
{
	struct json_iter it = json_iter(v);

	while (json_next(&it)) {
		if (jstr_eq(it.key, S("cache_control")))
			continue;
		feed(h, 'k', it.key.raw);
		feed(h, 'x', json_raw(it.value));
	}
}

/* Everything but the content of a result. */
static void feed_flat(struct sha256 *h, const struct block *b,
    struct arena scratch)
{
	switch (b->type) {
	case B_TEXT:
		feed(h, 't', b->text.raw);
		return;
	case B_THINKING:
		feed(h, 'T', b->text.raw);
		feed_signature(h, journal_hash(b->signature.raw));
		return;
	case B_REDACTED_THINKING:
		feed(h, 'R', b->text.raw);
		return;
	case B_TOOL_USE:
		feed(h, 'U', b->id.raw);
		feed(h, 'n', b->name.raw);
		feed_input(h, b->input, scratch);
		return;
	case B_TOOL_RESULT:
		feed(h, b->is_error ? 'E' : 'V', b->id.raw);
		return;
	case B_IMAGE:
		feed(h, 'I', b->media_type.raw);
		feed(h, 'd', b->data.raw);
		return;
	default:
		feed_members(h, b->json);
		return;
	}
}

static void feed_block(struct sha256 *h, const struct block *b,
    struct arena scratch)
{
	size_t i;

	feed_flat(h, b, scratch);
	if (b->type != B_TOOL_RESULT)
		return;
	for (i = 0; i < b->ncontent; i++)
		feed_flat(h, &b->content[i], scratch);
	feed(h, 'v', S(""));
}

static void name(struct sha16 *out, struct sha256 *h)
{
	unsigned char all[SHA256_SIZE];

	sha256_end(h, all);
	memcpy(out->b, all, sizeof out->b);
}

static struct str role_name(enum role role)
{
	return role == ROLE_USER ? S("user") : role == ROLE_ASSISTANT ?
	    S("assistant") : S("system");
}

/* 1: that sum of bytes has a name already. */
static int named(struct quick *q, struct sha16 *out, uint64_t sum,
    struct sha16 **place)
{
	int known;

	*place = quick_name(q, sum, &known);
	if (known)
		*out = **place;
	return known;
}

uint64_t blob_message(struct quick *q, struct sha16 *out,
    const struct message *m, struct arena scratch)
{
	uint64_t sum = quick_sum(q, 'm', json_raw(m->json));
	struct sha16 *place;
	struct sha256 h;
	size_t i;

	if (named(q, out, sum, &place))
		return sum;
	sha256_init_as(&h, &q->warm);
	feed(&h, 'm', role_name(m->role));
	for (i = 0; i < m->n; i++)
		feed_block(&h, &m->blocks[i], scratch);
	name(out, &h);
	*place = *out;
	return sum;
}

uint64_t blob_block(struct quick *q, struct sha16 *out, const struct block *b,
    struct arena scratch)
{
	struct str raw = json_type(b->json) == JSON_ABSENT ? b->text.raw :
	    json_raw(b->json);
	uint64_t sum = quick_sum(q, 's', raw);
	struct sha16 *place;
	struct sha256 h;

	if (named(q, out, sum, &place))
		return sum;
	sha256_init_as(&h, &q->warm);
	feed(&h, 's', S(""));
	feed_block(&h, b, scratch);
	name(out, &h);
	*place = *out;
	return sum;
}

uint64_t blob_tools(struct quick *q, struct sha16 *out,
    const struct request *r)
{
	struct sha16 *place;
	struct sha256 h;
	uint64_t sum = 'o';
	size_t i;

	for (i = 0; i < r->ntools; i++)
		sum = quick_sum(q, sum, json_raw(r->tools[i].json));
	if (named(q, out, sum, &place))
		return sum;
	sha256_init_as(&h, &q->warm);
	feed(&h, 'o', S(""));
	for (i = 0; i < r->ntools; i++) {
		feed(&h, 'O', S(""));
		feed_members(&h, r->tools[i].json);
	}
	name(out, &h);
	*place = *out;
	return sum;
}

void blob_bytes(const struct quick *q, struct sha16 *out,
    const struct str *parts, size_t n)
{
	struct sha256 h;
	size_t i;

	sha256_init_as(&h, &q->warm);
	for (i = 0; i < n; i++)
		sha256_add(&h, parts[i]);
	name(out, &h);
}

struct str blob_hex(const struct sha16 *s, char out[JOURNAL_SHA])
{
	struct buf b = buf_on(out, JOURNAL_SHA);

	buf_hex(&b, (struct str){ (const char *)s->b, sizeof s->b });
	return buf_str(&b);
}

uint64_t blob_key(const struct sha16 *s)
{
	uint64_t key = 0;
	int i;

	for (i = 0; i < 8; i++)
		key = key << 8 | s->b[i];
	return key;
}

void blob_put(struct buf *b, const struct sha16 *s)
{
	buf_chr(b, '"');
	buf_hex(b, (struct str){ (const char *)s->b, sizeof s->b });
	buf_chr(b, '"');
}

/* ---- contents --------------------------------------------------------- */

struct out {
	struct redact r;
	struct buf *b;
	const struct quick *quick;
};

static void put(struct out *o, struct str s)
{
	redact_put(&o->r, o->b, s);
}

/* A value's source, on one line: blanks outside strings go. */
static void put_json(struct out *o, struct str s)
{
	size_t i, from = 0;
	int string = 0;

	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			string = !string;
		else if (string && s.p[i] == '\\')
			i++;
		if (string || (s.p[i] != ' ' && s.p[i] != '\n' &&
		    s.p[i] != '\r' && s.p[i] != '\t'))
			continue;
		put(o, (struct str){ s.p + from, i - from });
		from = i + 1;
	}
	put(o, str_from(s, from));
}

static void put_size(struct buf *b, size_t n)
{
	if (n < 1024) {
		buf_u64(b, n);
		buf_put(b, S(" B"));
	} else if (n < 1 << 20) {
		buf_u64(b, n / 1024);
		buf_put(b, S(" KB"));
	} else {
		buf_fixed(b, (int64_t)(n / 104858), 1);
		buf_put(b, S(" MB"));
	}
}

/* "[image/png 48 KB sha=...]" for what nobody reads. */
static void put_opaque(struct out *o, struct str what, struct str data,
    int base64)
{
	char text[160];
	struct buf b = buf_on(text, sizeof text);
	struct sha16 sha;

	blob_bytes(o->quick, &sha, &data, 1);
	buf_put(&b, S("\"["));
	json_escape(&b, str_head(what, 64));
	buf_chr(&b, ' ');
	put_size(&b, base64 ? data.n / 4 * 3 : data.n);
	buf_put(&b, S(" sha="));
	buf_hex(&b, (struct str){ (const char *)sha.b, 8 });
	buf_put(&b, S("]\""));
	put(o, buf_str(&b));
}

static void put_source(struct out *o, struct jv source)
{
	struct json_iter it = json_iter(source);
	struct str media = json_str(json_get(source, S("media_type"))).raw;
	int base64 = json_is(json_get(source, S("type")), S("base64"));
	int any = 0;

	put(o, S("{"));
	while (json_next(&it)) {
		put(o, any++ ? S(",\"") : S("\""));
		put(o, it.key.raw);
		put(o, S("\":"));
		if (base64 && jstr_eq(it.key, S("data")) &&
		    json_str(it.value).raw.n >= OPAQUE_MIN)
			put_opaque(o, media.n ? media : S("data"),
			    json_str(it.value).raw, 1);
		else
			put_json(o, json_raw(it.value));
	}
	put(o, S("}"));
}

static int is_opaque(const struct block *b, struct jstr key)
{
	return (b->type == B_THINKING && jstr_eq(key, S("signature"))) ||
	    (b->type == B_COMPACTION && jstr_eq(key, S("signature"))) ||
	    (b->type == B_REDACTED_THINKING && jstr_eq(key, S("data")));
}

static void put_flat(struct out *o, const struct block *b);

static void put_content(struct out *o, const struct block *b, struct jv v)
{
	size_t i;

	if (json_type(v) != JSON_ARRAY) {
		put_json(o, json_raw(v));
		return;
	}
	put(o, S("["));
	for (i = 0; i < b->ncontent; i++) {
		put(o, i ? S(",") : S(""));
		put_flat(o, &b->content[i]);
	}
	put(o, S("]"));
}

/* A block's members. Those inside a result have none of their own: the
 * request's parser nests one level. */
static void put_flat(struct out *o, const struct block *b)
{
	struct json_iter it = json_iter(b->json);
	int any = 0;

	if (!it.object) {
		put(o, S("{\"type\":\"text\",\"text\":\""));
		put(o, b->text.raw);
		put(o, S("\"}"));
		return;
	}
	put(o, S("{"));
	while (json_next(&it)) {
		if (jstr_eq(it.key, S("cache_control")))
			continue;
		put(o, any++ ? S(",\"") : S("\""));
		put(o, it.key.raw);
		put(o, S("\":"));
		if (b->type == B_TOOL_RESULT && b->content &&
		    jstr_eq(it.key, S("content")))
			put_content(o, b, it.value);
		else if (json_type(it.value) == JSON_OBJECT &&
		    jstr_eq(it.key, S("source")))
			put_source(o, it.value);
		else if (is_opaque(b, it.key) &&
		    json_str(it.value).raw.n >= OPAQUE_MIN)
			put_opaque(o, it.key.raw, json_str(it.value).raw, 0);
		else
			put_json(o, json_raw(it.value));
	}
	put(o, S("}"));
}

/* ---- lines ------------------------------------------------------------ */

/* Begins the line of a blob, up to its data. */
static void begin(struct journal *j, struct out *o, const struct sha16 *sha,
    const char *kind, size_t bytes, uint32_t session)
{
	char hex[JOURNAL_SHA];

	o->b = journal_begin(j, J_BLOB, S(""), session);
	j->open.key = blob_key(sha);
	journal_put_word(j, "sha", blob_hex(sha, hex));
	journal_put_word(j, "kind", str_of(kind));
	journal_put_int(j, "bytes", (int64_t)bytes);
	journal_private(j);
	journal_put_key(j, "data");
	redact_begin(&o->r, &j->redact);
	o->quick = &j->quick;
}

/* Ends it. A text too long for a line is there with its beginning. */
static void end(struct journal *j, struct out *o, const struct sha16 *sha,
    struct str source)
{
	struct buf *b = o->b;
	size_t room = b->cap - ENVELOPE, n = room / 8;

	redact_end(&o->r, b);
	if (b->full || b->n > b->cap - 1) {
		b->full = 0;
		b->n = j->open.public;
		journal_put_key(j, "data");
		redact_begin(&o->r, &j->redact);
		put(o, S("{\"cdx.cut\":"));
		redact_end(&o->r, b);
		source = str_head(source, n < CUT_MAX ? n : CUT_MAX);
		source.n = utf8_valid(source);
		journal_quote(j, b, source);
		buf_chr(b, '}');
	}
	journal_wrote(j, blob_key(sha), journal_end(j));
}

void blob_write_message(struct journal *j, const struct sha16 *sha,
    const struct message *m, uint32_t session)
{
	struct str raw = json_raw(m->json);
	struct out o;
	size_t i;

	if (!journal_needs(j, blob_key(sha)))
		return;
	begin(j, &o, sha, "message", raw.n, session);
	put(&o, S("{\"role\":\""));
	put(&o, role_name(m->role));
	put(&o, S("\",\"content\":["));
	for (i = 0; i < m->n; i++) {
		put(&o, i ? S(",") : S(""));
		put_flat(&o, &m->blocks[i]);
	}
	put(&o, S("]}"));
	end(j, &o, sha, raw);
}

void blob_write_system(struct journal *j, const struct sha16 *sha,
    const struct block *b, uint32_t session)
{
	struct out o;
	struct str raw = json_type(b->json) == JSON_ABSENT ? b->text.raw :
	    json_raw(b->json);

	if (!journal_needs(j, blob_key(sha)))
		return;
	begin(j, &o, sha, "system", raw.n, session);
	put_flat(&o, b);
	end(j, &o, sha, raw);
}

void blob_write_tools(struct journal *j, const struct sha16 *sha,
    const struct request *q, size_t bytes, uint32_t session)
{
	struct json_iter it;
	struct out o;
	size_t i;
	int any;

	if (!journal_needs(j, blob_key(sha)))
		return;
	begin(j, &o, sha, "tool", bytes, session);
	put(&o, S("["));
	for (i = 0; i < q->ntools; i++) {
		put(&o, i ? S(",{") : S("{"));
		it = json_iter(q->tools[i].json);
		any = 0;
		while (json_next(&it)) {
			if (jstr_eq(it.key, S("cache_control")))
				continue;
			put(&o, any++ ? S(",\"") : S("\""));
			put(&o, it.key.raw);
			put(&o, S("\":"));
			put_json(&o, json_raw(it.value));
		}
		put(&o, S("}"));
	}
	put(&o, S("]"));
	end(j, &o, sha, q->ntools ? json_raw(q->tools[0].json) : S(""));
}

/* ---- an answer -------------------------------------------------------- */

/* Text as clients write it back: escapes undone and made anew. */
static struct str tidy(struct arena *a, struct str raw, int input)
{
	struct jstr s = { raw };
	struct str plain;
	struct buf b;

	if (input && raw.n == 0)
		return S("{}");
	plain = json_text(a, s);
	if (!plain.p)
		return input ? S("{}") : raw;
	b = buf_open(a);
	if (!input)
		json_escape(&b, plain);
	else if (json_check(plain, NULL, NULL) == OK)
		json_compact(&b, plain);
	else
		json_quote(&b, plain);	/* broken: kept as a string */
	/* No room: as it came, which is sound unless it is no JSON. */
	return !b.full ? buf_end(a, &b) : input ? S("{}") : raw;
}

static struct str live_text(const struct journal *j, size_t slot, size_t i)
{
	const struct live *l = &j->live[slot];
	size_t from = l->block[i].from;
	size_t to = i + 1 < l->nblocks ? l->block[i + 1].from : l->n;

	return (struct str){ j->live_bytes + slot * j->live_size + from,
	    to - from };
}

/* Names the answer; text[] gets each block's text. Returns its bytes. */
static size_t name_answer(struct journal *j, struct sha16 *sha, size_t slot,
    struct str *text, struct arena *scratch)
{
	const struct live *l = &j->live[slot];
	const struct live_block *k;
	struct sha256 h;
	size_t i, bytes = 0;

	sha256_init_as(&h, &j->quick.warm);
	feed(&h, 'm', S("assistant"));
	for (i = 0; i < l->nblocks; i++) {
		k = &l->block[i];
		text[i] = tidy(scratch, live_text(j, slot, i),
		    k->kind == LIVE_INPUT);
		bytes += text[i].n;
		if (k->kind == LIVE_INPUT) {
			feed(&h, 'U', (struct str){ k->call, k->ncall });
			feed(&h, 'n', (struct str){ k->name, k->nname });
			feed(&h, 'i', text[i]);
		} else if (k->kind == LIVE_THINKING) {
			feed(&h, 'T', text[i]);
			feed_signature(&h, k->signature);
		} else {
			feed(&h, 't', text[i]);
		}
	}
	name(sha, &h);
	return bytes;
}

static void put_called(struct out *o, const struct live_block *k,
    struct str input)
{
	char part[64 + 2 * LIVE_LABEL * 6];
	struct buf b = buf_on(part, sizeof part);

	buf_put(&b, S("{\"type\":\"tool_use\",\"id\":"));
	json_quote(&b, (struct str){ k->call, k->ncall });
	buf_put(&b, S(",\"name\":"));
	json_quote(&b, (struct str){ k->name, k->nname });
	buf_put(&b, S(",\"input\":"));
	put(o, buf_str(&b));
	put(o, input);
	put(o, S("}"));
}

int blob_write_answer(struct journal *j, struct sha16 *sha, size_t slot,
    uint32_t session, struct arena scratch)
{
	const struct live *l = &j->live[slot];
	struct str text[LIVE_BLOCKS];
	struct out o;
	size_t i, bytes;

	if (slot >= j->opt.slots || l->nblocks == 0)
		return E_NONE;
	bytes = name_answer(j, sha, slot, text, &scratch);
	if (!journal_needs(j, blob_key(sha)))
		return OK;
	begin(j, &o, sha, "message", bytes, session);
	put(&o, S("{\"role\":\"assistant\",\"content\":["));
	for (i = 0; i < l->nblocks; i++) {
		put(&o, i ? S(",") : S(""));
		if (l->block[i].kind == LIVE_INPUT) {
			put_called(&o, &l->block[i], text[i]);
			continue;
		}
		put(&o, l->block[i].kind == LIVE_THINKING ?
		    S("{\"type\":\"thinking\",\"thinking\":\"") :
		    S("{\"type\":\"text\",\"text\":\""));
		put(&o, text[i]);
		put(&o, S("\"}"));
	}
	put(&o, S("]}"));
	end(j, &o, sha, text[0]);
	return OK;
}
