/* openai_text.c -- text and reasoning on their way to the client.
 *
 * Content passes, in this order: characters cut between chunks, think tags,
 * a repeated prefill, stop sequences, blanks that must not open a block. Each
 * step holds back as little as it can. Text stays escaped; only a request
 * with stop sequences has its text unescaped to look for them.
 *
 * Blocks are opened by the first piece that has something to say, and closed
 * before another kind opens.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

static const struct jstr nothing = { { NULL, 0 } };

static const struct {
	struct str start, end;
} tags[] = {
	{ { "<think>", 7 }, { "</think>", 8 } },
	{ { "<thinking>", 10 }, { "</thinking>", 11 } },
	{ { "<thought>", 9 }, { "</thought>", 10 } }	/* Gemini's */
};

/* ---- memory and ropes -------------------------------------------------- */

void *keep_get(struct call *c, size_t n)
{
	size_t pad;

	if (arena_room(c->a) < n)
		goto full;
	pad = (uintptr_t)(c->a->end - n) & 15;
	if (arena_room(c->a) - n < pad)
		goto full;
	c->a->end -= n + pad;
	return memset(c->a->end, 0, n);
full:
	openai_state(c)->full = 1;
	return NULL;
}

struct str keep_str(struct call *c, struct str s)
{
	char *p = keep_get(c, s.n);

	if (!p)
		return S("");
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct str){ p, s.n };
}

static struct link *rope_room(struct call *c, struct rope *r, size_t n)
{
	struct link *l = r->last, *more;
	size_t cap = n < LINK_MIN ? LINK_MIN : n;

	if (l && l->cap - l->n >= n)
		return l;
	/* Links that rope_clear left behind. */
	if (l && l->next && l->next->cap >= n) {
		r->last = l->next;
		return r->last;
	}
	more = keep_get(c, sizeof *more + cap);
	if (!more)
		return NULL;
	more->cap = cap;
	if (l) {
		more->next = l->next;
		l->next = more;
	} else {
		r->first = more;
	}
	r->last = more;
	return more;
}

void rope_put(struct call *c, struct rope *r, struct str piece)
{
	struct link *l;

	if (piece.n == 0)
		return;
	l = rope_room(c, r, piece.n);
	if (!l)
		return;
	memcpy((char *)(l + 1) + l->n, piece.p, piece.n);
	l->n += piece.n;
	r->n += piece.n;
}

void rope_clear(struct rope *r)
{
	struct link *l;

	for (l = r->first; l; l = l->next)
		l->n = 0;
	r->last = r->first;
	r->n = 0;
}

struct str rope_flat(struct arena *a, const struct rope *r)
{
	char *p = arena_bytes(a, r->n);
	const struct link *l;
	size_t n = 0;

	if (!p)
		return (struct str){ NULL, 0 };
	for (l = r->first; l && l->n; l = l->next) {
		memcpy(p + n, l + 1, l->n);
		n += l->n;
	}
	return (struct str){ p, r->n };
}

/* ---- characters -------------------------------------------------------- */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The code unit of the \u escape at the front of s; -1 when there is none. */
static int32_t unit_at(struct str s)
{
	int32_t v = 0;
	int i, d;

	if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u')
		return -1;
	for (i = 2; i < 6; i++) {
		d = hex_digit(s.p[i]);
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

static int is_high(int32_t u)
{
	return u >= 0xd800 && u < 0xdc00;
}

static int is_low(int32_t u)
{
	return u >= 0xdc00 && u < 0xe000;
}

static uint32_t jchar_escape(struct str s, size_t *at)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	struct str rest = str_from(s, *at);
	int32_t u = unit_at(rest), low;
	const char *name;

	if (u >= 0) {
		*at += 6;
		low = is_high(u) ? unit_at(str_from(rest, 6)) : -1;
		if (!is_low(low))
			return (uint32_t)u;
		*at += 6;
		return 0x10000u + (((uint32_t)u & 0x3ff) << 10 |
		    ((uint32_t)low & 0x3ff));
	}
	name = rest.n > 1 ? memchr(names, rest.p[1], sizeof names - 1) : NULL;
	*at += rest.n > 1 ? 2 : 1;
	return name ? (uint32_t)values[name - names] : '\\';
}

uint32_t jchar(struct str s, size_t *at)
{
	unsigned char b = (unsigned char)s.p[*at];
	uint32_t v;
	int n, i;

	if (b == '\\')
		return jchar_escape(s, at);
	if (b < 0x80) {
		++*at;
		return b;
	}
	n = utf8_len(str_from(s, *at));
	if (n < 2) {
		++*at;
		return 0xfffd;
	}
	v = b & (0x7fu >> n);
	for (i = 1; i < n; i++)
		v = v << 6 | ((unsigned char)s.p[*at + (size_t)i] & 63u);
	*at += (size_t)n;
	return v;
}

static int is_blank(uint32_t ch)
{
	return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

int jstr_blank(struct jstr s)
{
	size_t at = 0;

	while (at < s.raw.n)
		if (!is_blank(jchar(s.raw, &at)))
			return 0;
	return 1;
}

/* ---- characters cut between chunks (OA-79) ----------------------------- */

/* The byte that stands as \udcXX at the front of s; -1 if none does. */
static int stray_byte(const struct call *c, struct str s)
{
	int32_t u = openai_state(c)->repaired ? unit_at(s) : -1;

	return u >= 0xdc80 && u <= 0xdcff ? u & 0xff : -1;
}

static struct str carry_join(struct call *c, struct carry *k, struct str s,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg)
{
	struct jstr joined = { S("\\ufffd") };
	char pair[12];
	int b, n = 0;

	if (k->escape && is_low(unit_at(s))) {
		memcpy(pair, k->p, 6);
		memcpy(pair + 6, s.p, 6);
		s = str_from(s, 6);
		joined.raw = (struct str){ pair, 12 };
	}
	while (!k->escape && n <= 0 && s.n && (b = stray_byte(c, s)) >= 0) {
		k->p[k->n] = (char)b;
		n = utf8_len((struct str){ k->p, (size_t)k->n + 1 });
		if (n == 0)
			break;
		k->n++;
		s = str_from(s, 6);
	}
	if (n < 0 && s.n == 0)
		return s;	/* still not whole */
	if (n > 0)
		joined.raw = (struct str){ k->p, k->n };
	k->n = 0;
	out(c, arg, joined);
	return s;
}

/* How many bytes at the end of s begin a UTF-8 sequence that goes on. */
static size_t open_bytes(struct call *c, struct str s, struct carry *k)
{
	char bytes[3];
	size_t n, i;
	int b;

	for (n = 1; n <= 3 && n * 6 <= s.n; n++) {
		b = stray_byte(c, str_from(s, s.n - n * 6));
		if (b < 0)
			break;
		for (i = n - 1; i > 0; i--)
			bytes[i] = bytes[i - 1];
		bytes[0] = (char)b;
		if (utf8_len((struct str){ bytes, n }) < 0) {
			memcpy(k->p, bytes, n);
			k->n = (unsigned char)n;
			k->escape = 0;
			return n * 6;
		}
	}
	return 0;
}

void carry_pass(struct call *c, struct carry *k, struct jstr piece,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg)
{
	struct str s = piece.raw;
	struct carry rest = { .n = 0 };
	size_t n;

	if (s.n && k->n)
		s = carry_join(c, k, s, out, arg);
	if (s.n == 0)
		return;
	n = json_whole(s);
	if (n < s.n && s.n - n <= sizeof rest.p) {
		rest.escape = 1;
		rest.n = (unsigned char)(s.n - n);
		memcpy(rest.p, s.p + n, s.n - n);
	} else {
		n = s.n - open_bytes(c, s, &rest);
	}
	if (n)
		out(c, arg, (struct jstr){ str_head(s, n) });
	*k = rest;
}

void carry_flush(struct call *c, struct carry *k,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg)
{
	if (!k->n)
		return;
	k->n = 0;
	out(c, arg, (struct jstr){ S("\\ufffd") });
}

/* ---- out to the client ------------------------------------------------- */

static int has_surrogate(struct str s)
{
	size_t at = 0;

	while ((at += str_chr(str_from(s, at), '\\')) < s.n) {
		if (s.n - at > 2 && s.p[at + 1] == 'u' &&
		    (s.p[at + 2] | 0x20) == 'd')
			return 1;
		at += 2;
	}
	return 0;
}

void emit_text(struct call *c, struct jstr piece)
{
	struct arena scratch = *c->a;
	struct buf b;

	if (!has_surrogate(piece.raw)) {
		answer_text(&c->answer, piece);
		return;
	}
	b = buf_open(&scratch);
	json_put(&b, piece);
	if (b.full)
		openai_state(c)->full = 1;
	else
		answer_text(&c->answer, (struct jstr){ buf_str(&b) });
}

static void emit_rope(struct call *c, struct rope *r)
{
	struct link *l;

	for (l = r->first; l && l->n; l = l->next)
		emit_text(c, (struct jstr){ link_str(l) });
	rope_clear(r);
}

static int is_open(const struct call *c, enum block_type type)
{
	return c->answer.open && c->answer.block == type;
}

/* Adds to what is collected; that it doesn't fit is no reason to fail. */
static void collect(struct call *c, struct rope *r, struct str piece)
{
	struct openai_state *st = openai_state(c);
	int full = st->full;

	if (st->lost)
		return;
	rope_put(c, r, piece);
	st->lost = st->full && !full;
	st->full = full;
}

/* Whether the upstream wants reasoning text back (OA-62). */
static int wants_text(const struct openai_state *st)
{
	return st->flags->reasoning_back == REASONING_BACK_CONTENT ||
	    st->flags->reasoning_back == REASONING_BACK_REASONING;
}

/* ---- envelopes (OA-65) ------------------------------------------------- */

/* Puts the comma or brace before a member. */
static void put_key(struct buf *b, int *any, struct str key)
{
	buf_chr(b, *any ? ',' : '{');
	*any = 1;
	json_quote(b, key);
	buf_chr(b, ':');
}

static void put_rope(struct buf *b, const struct rope *r)
{
	const struct link *l;

	buf_chr(b, '"');
	for (l = r->first; l && l->n; l = l->next)
		json_put(b, (struct jstr){ link_str(l) });
	buf_chr(b, '"');
}

static void put_raw(struct buf *b, int *any, struct str key, struct str raw)
{
	if (raw.n == 0)
		return;
	put_key(b, any, key);
	buf_put(b, raw);
}

static void put_text(struct buf *b, int *any, struct str key,
    const struct rope *r)
{
	if (r->n == 0)
		return;
	put_key(b, any, key);
	put_rope(b, r);
}

static void put_detail(struct buf *b, const struct detail *d)
{
	int any = 0;

	if (d->raw.n) {
		buf_put(b, d->raw);
		return;
	}
	put_raw(b, &any, S("type"), d->type);
	put_text(b, &any, S("text"), &d->text);
	put_text(b, &any, S("summary"), &d->summary);
	put_text(b, &any, S("data"), &d->data);
	put_raw(b, &any, S("signature"), d->signature);
	put_raw(b, &any, S("id"), d->id);
	put_raw(b, &any, S("format"), d->format);
	put_raw(b, &any, S("index"), d->index);
	buf_put(b, any ? S("}") : S("{}"));
}

static void put_details(struct buf *b, int *any, const struct detail *d)
{
	if (!d)
		return;
	put_key(b, any, S("d"));
	buf_chr(b, '[');
	for (; d; d = d->next) {
		put_detail(b, d);
		if (d->next)
			buf_chr(b, ',');
	}
	buf_chr(b, ']');
}

static void put_sig(struct buf *b, int *any, const struct slot *s)
{
	put_key(b, any, slot_out(s));
	buf_chr(b, '"');
	json_put(b, s->sig);
	buf_chr(b, '"');
}

/* Signatures of calls whose place in the answer is known by now. */
static void put_sigs(struct buf *b, int *any, struct openai_state *st)
{
	struct slot *s;
	int inner = 0;

	for (s = st->slots; s; s = s->next) {
		if (s->sig.raw.n == 0 || s->sent_sig || s->nout == 0)
			continue;
		if (!inner)
			put_key(b, any, S("t"));
		put_sig(b, &inner, s);
		s->sent_sig = 1;
	}
	if (inner)
		buf_chr(b, '}');
}

static void put_envelope(struct buf *b, struct call *c)
{
	struct openai_state *st = openai_state(c);
	int any = 0;

	if (wants_text(st))
		put_raw(b, &any, S("r"), S("true"));
	put_details(b, &any, st->unsent);
	st->unsent = NULL;
	put_sigs(b, &any, st);
	if (wants_text(st))
		put_text(b, &any, S("x"), &st->hidden);
	rope_clear(&st->hidden);
	if (any) {
		put_key(b, &any, S("u"));
		json_quote(b, c->up->name);
	}
	buf_put(b, any ? S("}") : S("{}"));
}

static void sign(struct call *c)
{
	struct arena scratch = *c->a;
	struct buf plain = buf_open(&scratch), b;
	struct str json;

	put_envelope(&plain, c);
	json = buf_end(&scratch, &plain);
	b = buf_open(&scratch);
	buf_put(&b, S("p1."));
	buf_base64url(&b, json);
	if (plain.full || b.full) {
		openai_state(c)->full = 1;
		return;
	}
	answer_signature(&c->answer, (struct jstr){ buf_str(&b) });
}

void text_kept(struct buf *b, struct call *c, const struct slot *s,
    int sparse)
{
	struct openai_state *st = openai_state(c);
	int any = 0, inner = 0;

	if (!sparse && wants_text(st) && !st->lost)
		put_text(b, &any, S("x"), &st->reasoning);
	if (!sparse)
		put_details(b, &any, st->details);
	if (s->sig.raw.n) {
		put_key(b, &any, S("t"));
		put_sig(b, &inner, s);
		buf_chr(b, '}');
	}
	if (any)
		buf_chr(b, '}');
}

/* ---- reasoning --------------------------------------------------------- */

static void reasoning_out(struct call *c, void *arg, struct jstr piece);

static void close_block(struct call *c)
{
	struct openai_state *st = openai_state(c);

	if (is_open(c, B_THINKING)) {
		carry_flush(c, &st->thought, reasoning_out, NULL);
		sign(c);
	}
	answer_close(&c->answer);
}

static void open_thinking(struct call *c)
{
	struct openai_state *st = openai_state(c);

	text_flush(c);
	if (st->cut)
		return;
	close_block(c);
	rope_clear(&st->blank);
	answer_open(&c->answer, B_THINKING, nothing, nothing);
	if (st->sent.show_reasoning == 1)
		emit_rope(c, &st->rblank);
	rope_clear(&st->rblank);
}

/* disable_parallel_tool_use: the first call was the answer (OA-99). */
static int after_the_call(struct call *c)
{
	struct openai_state *st = openai_state(c);

	if (!c->req || !c->req->no_parallel || c->answer.tools == 0 ||
	    st->open)
		return 0;
	st->cut = CUT_PARALLEL;
	return 1;
}

static void reasoning_out(struct call *c, void *arg, struct jstr piece)
{
	struct openai_state *st = openai_state(c);
	int show = st->sent.show_reasoning;

	(void)arg;
	if (piece.raw.n == 0 || st->cut)
		return;
	if (st->open) {
		rope_put(c, &st->later_thought, piece.raw);
		return;
	}
	if (!is_open(c, B_THINKING) && jstr_blank(piece)) {
		rope_put(c, &st->rblank, piece.raw);
		return;
	}
	st->any = 1;
	if (after_the_call(c))
		return;
	collect(c, &st->reasoning, piece.raw);
	if (show == 2)
		collect(c, &st->hidden, piece.raw);
	if (!show)
		return;
	if (!is_open(c, B_THINKING))
		open_thinking(c);
	if (show == 1 && !st->cut)
		emit_text(c, piece);
}

void text_reasoning(struct call *c, struct jstr piece)
{
	struct openai_state *st = openai_state(c);

	if (piece.raw.n == 0 || st->cut)
		return;
	st->server_thinks = 1;
	st->estimate += estimate_jstr(piece, st->flags->vocabulary);
	carry_pass(c, &st->thought, piece, reasoning_out, NULL);
}

static struct str keep_raw(struct call *c, struct jv v, struct str old)
{
	if (json_type(v) == JSON_NULL || json_type(v) == JSON_ABSENT)
		return old;
	if (str_eq(json_raw(v), old))
		return old;
	return keep_str(c, json_raw(v));
}

/* Whether d goes on in v: same type, index and id, as far as stated. */
static int same_detail(const struct detail *d, struct jv v)
{
	struct str id = json_raw(json_get(v, S("id")));

	return d && d->raw.n == 0 &&
	    str_eq(d->type, json_raw(json_get(v, S("type")))) &&
	    str_eq(d->index, json_raw(json_get(v, S("index")))) &&
	    (id.n == 0 || d->id.n == 0 || str_eq(id, S("null")) ||
	    str_eq(id, d->id));
}

static void take_detail(struct call *c, struct jv v)
{
	struct openai_state *st = openai_state(c);
	struct detail *d = st->last_detail;
	struct jv text = json_get(v, S("text")),
	    summary = json_get(v, S("summary")), data = json_get(v, S("data"));

	if (!same_detail(d, v)) {
		d = keep_get(c, sizeof *d);
		if (!d)
			return;
		if (st->last_detail)
			st->last_detail->next = d;
		else
			st->details = d;
		st->last_detail = d;
		if (!st->unsent)
			st->unsent = d;
	}
	d->type = keep_raw(c, json_get(v, S("type")), d->type);
	d->index = keep_raw(c, json_get(v, S("index")), d->index);
	d->id = keep_raw(c, json_get(v, S("id")), d->id);
	d->format = keep_raw(c, json_get(v, S("format")), d->format);
	d->signature = keep_raw(c, json_get(v, S("signature")), d->signature);
	rope_put(c, &d->text, json_str(text).raw);
	rope_put(c, &d->summary, json_str(summary).raw);
	rope_put(c, &d->data, json_str(data).raw);
	if (json_type(text) != JSON_STRING && json_type(data) != JSON_STRING &&
	    json_type(summary) != JSON_STRING && !d->signature.n)
		d->raw = keep_str(c, json_raw(v));
}

void text_details(struct call *c, struct jv details)
{
	struct openai_state *st = openai_state(c);
	struct json_iter it = json_iter(details);

	if (st->flags->reasoning_back != REASONING_BACK_DETAILS ||
	    json_type(details) != JSON_ARRAY)
		return;
	while (json_next(&it))
		if (json_type(it.value) == JSON_OBJECT)
			take_detail(c, it.value);
}

void text_carrier(struct call *c, int needed)
{
	struct openai_state *st = openai_state(c);

	if (!st->sent.show_reasoning || is_open(c, B_THINKING) ||
	    !(needed || st->unsent))
		return;
	close_block(c);
	answer_open(&c->answer, B_THINKING, nothing, nothing);
}

/* ---- visible text ------------------------------------------------------ */

static void text_out(struct call *c, struct jstr piece)
{
	struct openai_state *st = openai_state(c);

	if (piece.raw.n == 0 || st->cut)
		return;
	if (st->open) {
		if (st->later_text.n || !jstr_blank(piece))
			rope_put(c, &st->later_text, piece.raw);
		return;
	}
	if (!is_open(c, B_TEXT)) {
		if (jstr_blank(piece)) {
			rope_put(c, &st->blank, piece.raw);
			return;
		}
		if (after_the_call(c))
			return;
		close_block(c);
		answer_open(&c->answer, B_TEXT, nothing, nothing);
		st->texts++;
		emit_rope(c, &st->blank);
	}
	st->any = 1;
	emit_text(c, piece);
}

/* ---- stop sequences (7.4) ---------------------------------------------- */

static void stops_begin(struct call *c)
{
	struct stops *t = &openai_state(c)->stops;
	struct arena scratch;
	size_t i, n = c->req ? c->req->nstops : 0;

	if (n == 0)
		return;
	t->v = keep_get(c, n * sizeof *t->v);
	for (i = 0; t->v && i < n; i++) {
		scratch = *c->a;
		t->v[i] = keep_str(c, json_text(&scratch, c->req->stops[i]));
		if (t->v[i].n == 0)
			continue;
		t->first[(unsigned char)t->v[i].p[0]] = 1;
		if (t->v[i].n > t->longest)
			t->longest = t->v[i].n;
	}
	t->live = keep_get(c, t->longest);
	t->n = t->live && t->longest ? n : 0;
}

/* The earliest place where a sequence stands, the longest of those that do;
 * *hit is its number. Or, unless this is the end of the text, where one may
 * be beginning, with *hit == t->n. */
static size_t stops_find(const struct stops *t, struct str m, int end,
    size_t *hit)
{
	size_t at, i;
	struct str rest;

	for (at = 0; at < m.n; at++) {
		if (!t->first[(unsigned char)m.p[at]])
			continue;
		rest = str_from(m, at);
		*hit = t->n;
		for (i = 0; i < t->n; i++) {
			if (t->v[i].n > rest.n) {
				if (!end && str_starts(t->v[i], rest)) {
					*hit = t->n;
					return at;
				}
			} else if (t->v[i].n && str_starts(rest, t->v[i]) &&
			    (*hit == t->n || t->v[i].n > t->v[*hit].n)) {
				*hit = i;
			}
		}
		if (*hit < t->n)
			return at;
	}
	*hit = t->n;
	return m.n;
}

static void stops_send(struct call *c, struct arena scratch, struct str bytes)
{
	struct buf b = buf_open(&scratch);
	struct arena before = *c->a;

	json_escape(&b, bytes);
	if (b.full) {
		openai_state(c)->full = 1;
		return;
	}
	/* What is sent may be kept, or be mended in scratch memory: both must
	 * stay clear of it. */
	buf_end(&scratch, &b);
	c->a->cur = scratch.cur;
	text_out(c, (struct jstr){ { b.p, b.n } });
	c->a->cur = before.cur;
}

/* end: nothing follows for now; what is held is sent but stays in sight. */
static void stops_in(struct call *c, struct jstr piece, int end)
{
	struct openai_state *st = openai_state(c);
	struct stops *t = &st->stops;
	struct arena scratch = *c->a;
	struct str bytes = json_text(&scratch, piece), m;
	char *p = arena_bytes(&scratch, t->nlive + bytes.n);
	size_t at, hit, upto;

	if (!bytes.p || !p) {
		st->full = 1;
		return;
	}
	memcpy(p, t->live, t->nlive);
	if (bytes.n)
		memcpy(p + t->nlive, bytes.p, bytes.n);
	m = (struct str){ p, t->nlive + bytes.n };
	at = stops_find(t, m, end, &hit);
	upto = end && hit == t->n ? m.n : at;
	if (upto > t->out)
		stops_send(c, scratch, str_from(str_head(m, upto), t->out));
	if (hit < t->n) {
		if (st->cut)
			return;
		st->cut = CUT_STOP;
		st->stop_hit = c->req->stops[hit];
		st->any = 1;
		t->nlive = t->out = 0;
	} else if (end) {
		t->out = t->nlive;
	} else {
		t->nlive = m.n - at;
		t->out = t->out > at ? t->out - at : 0;
		memcpy(t->live, p + at, t->nlive);
	}
}

static void stops_pass(struct call *c, struct jstr piece)
{
	if (openai_state(c)->stops.n)
		stops_in(c, piece, 0);
	else
		text_out(c, piece);
}

/* ---- a repeated prefill (OA-47) ---------------------------------------- */

/* What matched so far was no repetition: it is the prefill's own beginning,
 * so nothing had to be kept. */
static void prefill_give(struct call *c)
{
	struct openai_state *st = openai_state(c);
	size_t n = st->prefill_at;

	if (!st->prefill_on)
		return;
	st->prefill_on = 0;
	if (n)
		stops_pass(c, (struct jstr){ str_head(st->sent.prefill, n) });
}

static void visible_in(struct call *c, struct jstr piece)
{
	struct openai_state *st = openai_state(c);
	size_t at = 0, next, next_pre;

	while (st->prefill_on && at < piece.raw.n) {
		next = at;
		next_pre = st->prefill_at;
		if (jchar(piece.raw, &next) !=
		    jchar(st->sent.prefill, &next_pre)) {
			prefill_give(c);
			break;
		}
		at = next;
		st->prefill_at = next_pre;
		st->any = 1;
		if (st->prefill_at >= st->sent.prefill.n)
			st->prefill_on = 0;
	}
	if (at < piece.raw.n)
		stops_pass(c, (struct jstr){ str_from(piece.raw, at) });
}

/* ---- think tags (OA-68) ------------------------------------------------ */

static void think_give(struct call *c, struct str part)
{
	if (openai_state(c)->think.state == TH_IN)
		reasoning_out(c, NULL, (struct jstr){ part });
	else
		visible_in(c, (struct jstr){ part });
}

static void lead_give(struct call *c)
{
	struct think *t = &openai_state(c)->think;
	struct link *l;

	for (l = t->lead.first; l && l->n; l = l->next)
		visible_in(c, (struct jstr){ link_str(l) });
	rope_clear(&t->lead);
}

/* What was held was no tag after all. */
static void held_give(struct call *c)
{
	struct think *t = &openai_state(c)->think;
	struct str s = { t->held, t->n };
	char held[TAG_MAX];

	if (t->state == TH_START) {
		t->state = TH_DONE;
		lead_give(c);
	}
	memcpy(held, s.p, s.n);
	s.p = held;
	t->n = 0;
	if (s.n)
		think_give(c, s);
}

/* Whether what is held begins a tag that counts now. *whole: it is one. */
static int tag_begun(const struct call *c, int *whole)
{
	struct openai_state *st = openai_state(c);
	struct think *t = &st->think;
	struct str held = { t->held, t->n }, tag;
	int gemini = st->flags->reasoning_back == REASONING_BACK_GEMINI;
	size_t i;

	*whole = 0;
	for (i = 0; i < COUNT(tags); i++) {
		if (t->state == TH_IN ? i != t->tag : (i == 2) != gemini)
			continue;
		tag = t->state == TH_IN ? tags[i].end : tags[i].start;
		if (!str_starts(tag, held))
			continue;
		*whole = tag.n == held.n;
		if (*whole)
			t->tag = (unsigned char)i;
		return 1;
	}
	return 0;
}

static void tag_done(struct call *c)
{
	struct think *t = &openai_state(c)->think;

	t->n = 0;
	t->skip = t->state == TH_START;
	t->state = t->state == TH_START ? TH_IN : TH_AFTER;
	openai_state(c)->any = 1;
	rope_clear(&t->lead);
}

/* One character of tagged text: 1 when it is dealt with, 0 when it belongs
 * to the run that is given out. */
static int think_char(struct call *c, uint32_t ch, struct str raw)
{
	struct think *t = &openai_state(c)->think;
	int whole;

	if (t->state == TH_AFTER || (t->state == TH_IN && t->skip)) {
		if (is_blank(ch))
			return 1;
		t->skip = 0;
		if (t->state == TH_AFTER) {
			t->state = TH_DONE;
			return 0;
		}
	}
	if (t->state == TH_START && t->n == 0 && is_blank(ch)) {
		rope_put(c, &t->lead, raw);
		return 1;
	}
	if (ch < 0x80 && t->n < TAG_MAX) {
		t->held[t->n++] = (char)ch;
		if (tag_begun(c, &whole)) {
			if (whole)
				tag_done(c);
			return 1;
		}
		t->n--;
	}
	held_give(c);
	if (t->state != TH_IN || ch != '<')
		return 0;
	t->held[t->n++] = '<';
	return 1;
}

static void think_in(struct call *c, void *arg, struct jstr piece)
{
	struct openai_state *st = openai_state(c);
	struct str s = piece.raw;
	size_t at = 0, from = 0, next;

	(void)arg;
	if (st->think.state == TH_START && st->server_thinks &&
	    st->think.n == 0)
		held_give(c);
	while (at < s.n && st->think.state != TH_DONE && !st->cut) {
		int held = st->think.n;
		enum think_state before = st->think.state;
		uint32_t ch;

		next = at;
		ch = jchar(s, &next);
		/* The run before a tag goes out before the tag is judged. */
		if (before == TH_IN && !held && ch == '<' && at > from) {
			think_give(c, str_from(str_head(s, at), from));
			from = at;
		}
		if (think_char(c, ch, str_from(str_head(s, next), at)))
			from = next;
		at = next;
	}
	if (from < s.n && !st->cut)
		think_give(c, str_from(s, from));
}

void text_content(struct call *c, struct jstr piece)
{
	struct openai_state *st = openai_state(c);

	if (piece.raw.n == 0 || st->cut)
		return;
	st->estimate += estimate_jstr(piece, st->flags->vocabulary);
	carry_pass(c, &st->content, piece, think_in, NULL);
}

/* ---- the whole --------------------------------------------------------- */

void text_begin(struct call *c)
{
	struct openai_state *st = openai_state(c);
	const struct openai_flags *f = st->flags;

	st->prefill_on = st->sent.prefill.n != 0;
	if (f->think_tags == THINK_AUTO ||
	    f->reasoning_back == REASONING_BACK_GEMINI)
		st->think.state = TH_START;
	if (f->think_tags == THINK_OPEN) {
		st->think.state = TH_IN;
		st->think.skip = 1;
	}
	stops_begin(c);
}

void text_flush(struct call *c)
{
	struct openai_state *st = openai_state(c);

	carry_flush(c, &st->content, think_in, NULL);
	if (st->think.n)
		held_give(c);
	if (st->think.state == TH_START)
		lead_give(c);
	if (st->prefill_at)
		prefill_give(c);
	if (st->stops.nlive > st->stops.out && !st->cut)
		stops_in(c, nothing, 1);
}

void text_later(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct rope thought = st->later_thought, text = st->later_text;
	struct link *l;

	st->later_thought = st->later_text = (struct rope){ NULL, NULL, 0 };
	for (l = thought.first; l && l->n; l = l->next)
		reasoning_out(c, NULL, (struct jstr){ link_str(l) });
	for (l = text.first; l && l->n; l = l->next)
		text_out(c, (struct jstr){ link_str(l) });
}

void text_close(struct call *c)
{
	text_flush(c);
	close_block(c);
	rope_clear(&openai_state(c)->blank);
}
