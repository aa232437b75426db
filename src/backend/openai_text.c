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

/* ---- out to the client ------------------------------------------------- */

static void emit_rope(struct call *c, struct rope *r)
{
	struct link *l;

	for (l = r->first; l; l = l->next)
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

/* ---- reasoning --------------------------------------------------------- */

static void sign(struct call *c)
{
	struct arena scratch = *c->a;
	struct buf plain = buf_open(&scratch), b;
	struct str json;

	envelope_write(&plain, c);
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

	for (l = t->lead.first; l; l = l->next)
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
		if (jchar_blank(ch))
			return 1;
		t->skip = 0;
		if (t->state == TH_AFTER) {
			t->state = TH_DONE;
			return 0;
		}
	}
	if (t->state == TH_START && t->n == 0 && jchar_blank(ch)) {
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
	for (l = thought.first; l; l = l->next)
		reasoning_out(c, NULL, (struct jstr){ link_str(l) });
	for (l = text.first; l; l = l->next)
		text_out(c, (struct jstr){ link_str(l) });
}

void text_close(struct call *c)
{
	text_flush(c);
	close_block(c);
	rope_clear(&openai_state(c)->blank);
}
