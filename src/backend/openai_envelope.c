/* openai_envelope.c -- what an upstream wants to see again (OA-62..OA-67).
 *
 * Opaque data travels in the signature of a thinking block, as JSON: clients
 * send those back untouched. What belongs to a call is kept here as well, by
 * the call's id, since thinking is not always shown.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

/* Whether the upstream wants reasoning text back (OA-62). */
static int wants_text(const struct openai_state *st)
{
	return st->flags->reasoning_back == REASONING_BACK_CONTENT ||
	    st->flags->reasoning_back == REASONING_BACK_REASONING;
}

/* ---- writing (OA-65) --------------------------------------------------- */

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
	for (l = r->first; l; l = l->next)
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

void envelope_write(struct buf *b, struct call *c)
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

void envelope_keep(struct buf *b, struct call *c, const struct slot *s,
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

/* ---- OpenRouter's details ---------------------------------------------- */

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
	if (!d->text.n && !d->summary.n && !d->data.n && !d->signature.n)
		d->raw = keep_str(c, json_raw(v));
}

void envelope_details(struct call *c, struct jv details)
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
