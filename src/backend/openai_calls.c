/* openai_calls.c -- tool calls put together from pieces.
 *
 * Servers number calls, or don't; give ids, or empty ones, or the same to
 * all; send a call in fifty pieces, or whole, or twice. Each call gets a slot.
 * One at a time is open towards the client, the others wait with what they
 * have. Arguments go out as they come, unless the profile or their shape asks
 * for the whole first.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

enum {
	SIG_MAX = CACHE_VALUE - 256	/* of a signature the cache can keep */
};

static const struct str no_str = { NULL, 0 };

/* ---- names and ids ----------------------------------------------------- */

/* By the exact name, else with another case. */
static const struct openai_name *find_name(const struct openai_sent *sent,
    struct str name, int any_case)
{
	size_t i;

	for (i = 0; i < sent->nnames; i++)
		if (any_case ? str_ieq(sent->names[i].upstream, name) :
		    str_eq(sent->names[i].upstream, name))
			return &sent->names[i];
	return NULL;
}

const struct openai_name *calls_name(const struct call *c, struct jstr *name)
{
	static const struct str prefixes[] = {
		{ "functions.", 10 }, { "default_api:", 12 },
		{ "default_api.", 12 }
	};
	const struct openai_sent *sent = &openai_state(c)->sent;
	struct arena scratch = *c->a;
	struct str plain = json_text(&scratch, *name), cut = plain;
	const struct openai_name *n = find_name(sent, plain, 0);
	size_t i;

	for (i = 0; !n && i < COUNT(prefixes); i++) {
		if (!str_starts(plain, prefixes[i]))
			continue;
		cut = str_from(plain, prefixes[i].n);
		n = find_name(sent, cut, 0);
	}
	if (!n)
		n = find_name(sent, cut, 1);
	if (n)
		*name = n->client;
	return n;
}

static int id_ok(struct str id)
{
	size_t i;

	for (i = 0; i < id.n; i++)
		if (!openai_name_byte(id.p[i]))
			return 0;
	return id.n > 0 && id.n <= sizeof ((struct slot *)0)->out;
}

static int id_in_history(const struct request *r, struct str id)
{
	const struct message *m;
	size_t i, k;

	for (i = 0; r && i < r->nmessages; i++) {
		m = &r->messages[i];
		for (k = 0; m->role == ROLE_ASSISTANT && k < m->n; k++)
			if (m->blocks[k].type == B_TOOL_USE &&
			    jstr_eq(m->blocks[k].id, id))
				return 1;
	}
	return 0;
}

struct str slot_out(const struct slot *s)
{
	return (struct str){ s->out, s->nout };
}

/* The upstream's own, unless it can't be told from others (OA-106). */
void calls_id(struct call *c, struct slot *s)
{
	struct str id = s->id.raw;
	char made[ID_MAX];
	const struct slot *o;
	int good;

	if (s->nout)
		return;
	good = id_ok(id) && !id_in_history(c->req, id);
	for (o = openai_state(c)->slots; good && o; o = o->next)
		good = !str_eq(slot_out(o), id);
	if (!good)
		id = id_new(c->ids, S("toolu_"), made);
	memcpy(s->out, id.p, id.n);
	s->nout = id.n;
}

/* ---- which call a piece belongs to (OA-87) ----------------------------- */

static struct slot *slot_new(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct slot *s;

	if (st->nslots == CALLS_MAX) {
		st->full = 1;
		return NULL;
	}
	s = keep_get(c, sizeof *s);
	if (!s)
		return NULL;
	st->nslots++;
	if (st->last_slot)
		st->last_slot->next = s;
	else
		st->slots = s;
	st->last_slot = s;
	s->whole = (unsigned char)(st->flags->buffer_args || st->whole);
	s->chunk = st->chunk;
	st->any = 1;
	return s;
}

/* Whether a changed id means another call. Some servers make up an id for
 * every piece: then there is no name, and the call isn't complete. */
static int id_differs(const struct slot *s, struct jstr id, struct jstr name)
{
	if (id.raw.n == 0 || s->id.raw.n == 0 || str_eq(id.raw, s->id.raw))
		return 0;
	return name.raw.n || !s->begun || s->scan.done;
}

static struct slot *by_index(struct openai_state *st, int64_t index,
    struct jstr id, struct jstr name)
{
	struct slot *s, *found = NULL;

	for (s = st->slots; s; s = s->next)
		if (s->has_index && s->index == index)
			found = s;
	if (!found || id_differs(found, id, name))
		return NULL;
	/* Another name behind a complete call: another call. */
	if (name.raw.n && found->scan.done &&
	    !str_eq(name.raw, found->name.raw))
		return NULL;
	return found;
}

/* Some servers give all calls one id: another name then means another call,
 * and in one chunk even the same name does. */
static int another_name(const struct openai_state *st, const struct slot *s,
    struct jstr name)
{
	return name.raw.n && (s->chunk == st->chunk || (s->scan.done &&
	    !str_eq(s->name.raw, name.raw)));
}

static struct slot *by_id(struct openai_state *st, struct jstr id,
    struct jstr name)
{
	struct slot *s = st->current;

	if (id.raw.n) {
		for (s = st->slots; s; s = s->next)
			if (str_eq(s->id.raw, id.raw) &&
			    !another_name(st, s, name))
				return s;
		s = st->current;
		return s && s->begun && !s->scan.done && !name.raw.n &&
		    s->chunk != st->chunk ? s : NULL;
	}
	if (s && name.raw.n && (s->begun || s->chunk == st->chunk))
		return NULL;
	return s;
}

/* ---- emission ---------------------------------------------------------- */

static struct jstr blank_object(void)
{
	return (struct jstr){ S("{}") };
}

/* What came since the last time. */
static void emit_more(struct call *c, struct slot *s)
{
	struct link *l = s->sent ? s->sent : s->args.first;
	struct str part;

	for (; l && l->n; l = l->next) {
		if (l != s->sent)
			s->sent_at = 0;
		part = str_from(link_str(l), s->sent_at);
		emit_text(c, (struct jstr){ part });
		s->sent = l;
		s->sent_at = l->n;
	}
}

/* The arguments so far, unescaped, in scratch memory. */
static struct str args_text(struct call *c, struct arena *scratch,
    const struct slot *s)
{
	struct str flat = rope_flat(scratch, &s->args), text = flat;

	if (flat.p)
		text = json_text(scratch, (struct jstr){ flat });
	if (!text.p)
		openai_state(c)->full = 1;
	return text;
}

/* json: text in scratch memory, which ends where it did. */
static void emit_plain(struct call *c, struct arena *scratch, struct str json)
{
	struct buf b = buf_open(scratch);

	json_escape(&b, json);
	if (b.full)
		openai_state(c)->full = 1;
	else
		answer_text(&c->answer, (struct jstr){ buf_str(&b) });
}

/* Whole arguments, made an object where they aren't one (OA-105). */
static void emit_whole(struct call *c, struct slot *s)
{
	struct arena scratch = *c->a;
	struct str text = args_text(c, &scratch, s), json;

	json = repair_object(&scratch, c, text);
	if (json.p)
		emit_plain(c, &scratch, json);
	else
		openai_state(c)->full = 1;
}

static int cut_short(const struct openai_state *st)
{
	return jstr_eq(st->finish, S("length")) ||
	    jstr_eq(st->finish, S("max_tokens")) ||
	    jstr_eq(st->finish, S("MAX_TOKENS"));
}

/* What a call owes when it ends before its arguments do (OA-88). */
static void emit_end(struct call *c, struct slot *s)
{
	struct arena scratch = *c->a;
	char room[2 * JSON_DEPTH_MAX];
	struct buf b = buf_on(room, sizeof room);
	struct str text;

	if (cut_short(openai_state(c)) || s->scan.bad)
		return;
	text = args_text(c, &scratch, s);
	if (!text.p || repair_suffix(&b, text) != OK || b.full) {
		note(c->notes, NOTE_CHANGED, S("tool arguments"),
		    S("the upstream's are not valid JSON"));
		return;
	}
	note(c->notes, NOTE_ADDED, S("tool arguments"),
	    S("their missing end"));
	emit_plain(c, &scratch, buf_str(&b));
}

static void slot_close(struct call *c, struct slot *s)
{
	struct openai_state *st = openai_state(c);

	if (!s->begun) {
		emit_text(c, blank_object());
	} else if (!s->scan.done || s->whole) {
		if (!s->whole || (cut_short(st) && !s->scan.done))
			emit_more(c, s);
		else
			emit_whole(c, s);
		if (!s->whole)
			emit_end(c, s);
	}
	st->estimate += 400;
	answer_close(&c->answer);
	s->state = SLOT_CLOSED;
	st->open = NULL;
}

static void slot_open(struct call *c, struct slot *s)
{
	struct openai_state *st = openai_state(c);
	struct jstr name = s->name;
	const struct openai_name *known;

	if (c->req && c->req->no_parallel && c->answer.tools) {
		st->cut = CUT_PARALLEL;
		return;
	}
	calls_id(c, s);
	text_flush(c);
	if (st->cut)
		return;
	text_carrier(c, s->sig.raw.n > SIG_MAX && !s->sent_sig);
	text_close(c);
	known = calls_name(c, &name);
	if (known)
		c->answer.toolset = known->toolset;
	st->estimate += estimate_jstr(name, st->flags->vocabulary);
	if (st->shown && st->shown != s)
		st->shown->unshown = 1;
	answer_open(&c->answer, B_TOOL_USE, (struct jstr){ slot_out(s) }, name);
	s->state = SLOT_OPEN;
	st->open = s;
}

/* ---- repetitions (OA-92) ----------------------------------------------- */

static int same_arguments(struct call *c, const struct slot *a,
    const struct slot *b)
{
	struct arena scratch = *c->a;
	struct str x = args_text(c, &scratch, a), y = args_text(c, &scratch, b);
	struct buf p = buf_open(&scratch), q;

	json_compact(&p, x);
	x = buf_end(&scratch, &p);
	q = buf_open(&scratch);
	json_compact(&q, y);
	if (p.full || q.full)
		openai_state(c)->full = 1;
	return str_eq(x, buf_str(&q));
}

/* A call that followed a complete one without an id of its own: dropped when
 * it only says the same again. 1 if it was. */
static int drop_repetition(struct call *c, struct slot *s)
{
	if (!s->twin || !s->scan.done || !same_arguments(c, s, s->twin))
		return 0;
	s->state = SLOT_CLOSED;
	note(c->notes, NOTE_DROPPED, S("tool call"),
	    S("the upstream sent it twice"));
	return 1;
}

/* ---- what can go out now (OA-84, OA-85, OA-89) ------------------------- */

static int ready(struct call *c, const struct slot *s)
{
	struct openai_state *st = openai_state(c);
	struct jstr name = s->name;

	if (name.raw.n == 0)
		return 0;
	if (st->finishing)
		return 1;
	if (s->whole || s->odd || s->twin)
		return s->scan.done;
	/* A name may still grow while no arguments have come, unless it is
	 * one we sent. */
	return s->begun || (!st->flags->name_pieces && calls_name(c, &name));
}

static int before(const struct slot *a, const struct slot *b)
{
	return a->has_index && b->has_index && a->index < b->index;
}

static struct slot *next_ready(struct call *c)
{
	struct slot *s, *best = NULL;

	for (s = openai_state(c)->slots; s; s = s->next) {
		if (s->state != SLOT_WAIT || !ready(c, s) ||
		    drop_repetition(c, s))
			continue;
		if (!best || before(s, best))
			best = s;
	}
	return best;
}

void calls_pump(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct slot *s;

	while (!st->cut && !st->full && !st->gathering) {
		if (!st->open) {
			text_later(c);
			s = st->cut ? NULL : next_ready(c);
			if (!s)
				return;
			slot_open(c, s);
			continue;
		}
		s = st->open;
		if (!s->whole && !s->odd && s->begun)
			emit_more(c, s);
		if (!s->scan.done && !st->finishing)
			return;
		if (s->odd)
			s->whole = 1;
		slot_close(c, s);
	}
}

/* ---- pieces of arguments ----------------------------------------------- */

/* Escaped bytes that make up the first n unescaped ones of s. */
static size_t escaped_length(struct arena scratch, struct str s, size_t n)
{
	size_t at = 0, from;
	struct buf b;

	while (n && at < s.n) {
		from = at;
		jchar(s, &at);
		b = buf_open(&scratch);
		json_unescape(&b, (struct jstr){ str_from(str_head(s, at),
		    from) });
		n -= b.n < n ? b.n : n;
	}
	return at;
}

static uint32_t first_char(struct jstr piece)
{
	uint32_t ch = ' ';
	size_t at = 0;

	while (at < piece.raw.n && jchar_blank(ch))
		ch = jchar(piece.raw, &at);
	return ch;
}

/* Something behind complete arguments: perhaps another call (OA-91), which
 * is returned. */
static struct slot *args_after(struct call *c, struct slot *s,
    struct jstr piece)
{
	struct slot *more;

	if (jstr_blank(piece))
		return NULL;
	if (first_char(piece) != '{') {
		note(c->notes, NOTE_DROPPED, S("tool arguments"),
		    S("text behind their end"));
		return NULL;
	}
	more = slot_new(c);
	if (!more)
		return NULL;
	more->has_index = s->has_index;
	more->index = s->index;
	more->name = s->name;
	more->twin = s->twin ? s->twin : s;
	openai_state(c)->current = more;
	return more;
}

/* What the client gets whole, the owner sees grow: of the call that comes
 * next, from its beginning or not at all. */
static void args_show(struct call *c, struct slot *s, struct str piece)
{
	struct openai_state *st = openai_state(c);
	const struct slot *o = st->slots;
	struct jstr name = s->name;

	while (o && o->state == SLOT_CLOSED)
		o = o->next;
	if (!s->whole || st->whole || st->open || o != s || s->twin ||
	    s->name.raw.n == 0 || s->id.raw.n == 0)
		s->unshown = 1;
	if (s->unshown)
		return;
	st->shown = s;
	calls_id(c, s);
	calls_name(c, &name);
	answer_piece(&c->answer, (struct jstr){ slot_out(s) }, name,
	    (struct jstr){ piece });
}

/* Takes what belongs to the slot's arguments off the front of piece; how much
 * that was. */
static size_t args_take(struct call *c, struct slot *s, struct jstr piece)
{
	struct openai_state *st = openai_state(c);
	struct arena scratch = *c->a;
	struct str text = json_text(&scratch, piece), taken;
	size_t n;

	if (!text.p) {
		st->full = 1;
		return piece.raw.n;
	}
	if (!s->begun && !jstr_blank(piece)) {
		s->begun = 1;
		s->odd = first_char(piece) != '{';
	}
	/* What isn't an object has no end that could be seen: more text behind
	 * "[1]" may be anything. */
	n = s->odd ? text.n : json_scan(&s->scan, text);
	n = n < text.n ? escaped_length(scratch, piece.raw, n) : piece.raw.n;
	taken = str_head(piece.raw, n);
	rope_put(c, &s->args, taken);
	args_show(c, s, taken);
	st->estimate += estimate_jstr((struct jstr){ taken },
	    st->flags->vocabulary);
	return n;
}

/* arg: the slot. */
static void args_whole(struct call *c, void *arg, struct jstr piece)
{
	struct slot *s = arg;

	while (piece.raw.n && !openai_state(c)->full) {
		if (s->scan.done)
			s = args_after(c, s, piece);
		if (!s)
			return;
		piece.raw = str_from(piece.raw, args_take(c, s, piece));
	}
}

/* Arguments that aren't a string but the value itself (OA-90). */
static void args_value(struct call *c, struct slot *s, struct jv v)
{
	struct arena before_it = *c->a;
	struct buf b = buf_open(c->a);
	struct str raw;

	json_stringify(&b, json_raw(v));
	raw = buf_end(c->a, &b);
	if (b.full)
		openai_state(c)->full = 1;
	else
		args_whole(c, s, (struct jstr){ raw });
	c->a->cur = before_it.cur;
}

static void take_arguments(struct call *c, struct slot *s, struct jv v)
{
	switch (json_type(v)) {
	case JSON_ABSENT:
	case JSON_NULL:
		break;
	case JSON_STRING:
		carry_pass(c, &s->carry, json_str(v), args_whole, s);
		break;
	case JSON_FALSE: case JSON_TRUE: case JSON_NUMBER:
	case JSON_ARRAY: case JSON_OBJECT:
		args_value(c, s, v);
		break;
	}
}

/* ---- pieces of calls --------------------------------------------------- */

static void take_name(struct call *c, struct slot *s, struct jstr name)
{
	struct arena before_it = *c->a;
	struct buf b;

	if (name.raw.n == 0 || s->state != SLOT_WAIT ||
	    (s->begun && s->name.raw.n) || str_eq(name.raw, s->name.raw))
		return;
	if (s->name.raw.n == 0 || (!openai_state(c)->flags->name_pieces &&
	    str_starts(name.raw, s->name.raw))) {
		s->name.raw = keep_str(c, name.raw);
	} else if (openai_state(c)->flags->name_pieces) {
		b = buf_open(c->a);
		buf_put(&b, s->name.raw);
		buf_put(&b, name.raw);
		s->name.raw = keep_str(c, buf_end(c->a, &b));
		c->a->cur = before_it.cur;
	}
}

static struct jstr google_sig(struct jv holder)
{
	return json_str(json_get(json_get(json_get(holder,
	    S("extra_content")), S("google")), S("thought_signature")));
}

static struct slot *find_slot(struct call *c, struct jv call, struct jstr id,
    struct jstr name)
{
	struct openai_state *st = openai_state(c);
	struct jv v = json_get(call, S("index"));
	int has_index = json_type(v) == JSON_NUMBER;
	int64_t index = json_int(v, 0);
	struct slot *s = NULL;

	/* In a whole answer each element is a call. */
	if (!st->whole)
		s = has_index ? by_index(st, index, id, name) :
		    by_id(st, id, name);
	if (s)
		return s;
	s = slot_new(c);
	if (!s)
		return NULL;
	s->has_index = has_index;
	s->index = index;
	return s;
}

void calls_take(struct call *c, struct jv call)
{
	struct openai_state *st = openai_state(c);
	struct jv fn = json_get(call, S("function"));
	struct jstr id = json_str(json_get(call, S("id"))), name, sig;
	struct slot *s;

	if (json_type(fn) != JSON_OBJECT)
		fn = call;	/* some put the parts beside the id */
	name = json_str(json_get(fn, S("name")));
	sig = google_sig(call);
	if (!sig.raw.n)
		sig = google_sig(fn);
	if (!id.raw.n && !name.raw.n && sig.raw.n &&
	    json_type(json_get(fn, S("arguments"))) == JSON_ABSENT) {
		calls_signature(c, sig);
		return;
	}
	s = find_slot(c, call, id, name);
	if (!s)
		return;
	if (!s->id.raw.n && !s->nout && id.raw.n)
		s->id.raw = keep_str(c, id.raw);
	s->chunk = st->chunk;
	st->current = s;
	take_name(c, s, name);
	if (!sig.raw.n && st->stray_sig.raw.n) {
		s->sig = st->stray_sig;
		st->stray_sig.raw = no_str;
	} else if (sig.raw.n) {
		s->sig.raw = keep_str(c, sig.raw);
	}
	take_arguments(c, s, json_get(fn, S("arguments")));
	calls_pump(c);
}

void calls_signature(struct call *c, struct jstr sig)
{
	struct openai_state *st = openai_state(c);
	struct slot *s;

	if (sig.raw.n == 0)
		return;
	for (s = st->slots; s && s->sig.raw.n; )
		s = s->next;
	if (s)
		s->sig.raw = keep_str(c, sig.raw);
	else
		st->stray_sig.raw = keep_str(c, sig.raw);
}

/* ---- the end ----------------------------------------------------------- */

void calls_finish(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct slot *s;

	st->gathering = 0;
	for (s = st->slots; s; s = s->next)
		if (s->state != SLOT_CLOSED && !s->scan.done)
			carry_flush(c, &s->carry, args_whole, s);
	st->finishing = 1;
	calls_pump(c);
	for (s = st->slots; s && !st->cut; s = s->next)
		if (s->state == SLOT_WAIT)
			note(c->notes, NOTE_DROPPED, S("tool call"),
			    S("the upstream gave it no name"));
}

int calls_incomplete(const struct call *c)
{
	const struct slot *s;

	for (s = openai_state(c)->slots; s; s = s->next)
		if (s->state != SLOT_CLOSED && !s->scan.done)
			return 1;
	return 0;
}

void calls_keep(struct call *c)
{
	struct slot *s;

	for (s = openai_state(c)->slots; s; s = s->next) {
		char room[CACHE_VALUE];
		struct buf b = buf_on(room, sizeof room);

		if (s->state != SLOT_CLOSED || s->nout == 0)
			continue;
		envelope_keep(&b, c, s, 0);
		if (b.full) {
			b = buf_on(room, sizeof room);
			envelope_keep(&b, c, s, 1);
		}
		if (b.n && !b.full)
			openai_keep(c, slot_out(s), buf_str(&b));
	}
}
