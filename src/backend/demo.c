/* demo.c -- a scripted model inside the binary.
 *
 * It answers where nothing is configured, so that the first command shows a
 * working proxy: text, thinking and tool calls in a real stream, without an
 * account, a key or a network. It says what it is. There is no chance in it:
 * the same request gives the same answer.
 *
 * The script is written into the call's arena by encode; decode, which the
 * loop calls again and again, tells one piece of it each time.
 *
 * SPDX-License-Identifier: MIT */
#include "demo.h"

enum {
	WORD_MS = 15,		/* a brisk reader's pace */
	PIECE_MAX = 48,		/* bytes; longer words come in parts */
	INPUT_PIECE = 12	/* of a call's arguments, so that they stream */
};

enum stage { THINKING, TEXT, CALLS, OVER };

struct demo {
	struct demo_script script;
	enum stage stage;
	size_t at;		/* told of the current part */
	size_t call;
	uint64_t told;		/* hundredths of a token */
	uint64_t thought;	/* of these in thinking */
	struct jstr stop;	/* the stop sequence that cut the text */
};

/* Cuts the text at the first stop sequence in it; calls would follow it. */
static void apply_stops(struct call *c, struct demo *d)
{
	struct str text = d->script.text, stop;
	struct arena scratch = *c->a;
	size_t i, at, best = text.n;

	for (i = 0; i < c->req->nstops; i++) {
		stop = json_text(&scratch, c->req->stops[i]);
		scratch = *c->a;
		at = stop.n ? str_find(text, stop) : text.n;
		if (at >= best)
			continue;
		best = at;
		d->stop = c->req->stops[i];
		d->script.ncalls = 0;
	}
	d->script.text = str_head(text, best);
}

static int encode(struct call *c)
{
	struct demo *d = c->state;

	if (c->kind == CALL_MODELS)
		return E_NONE;
	c->estimate = estimate_request(c->req, VOCAB_O,
	    c->kind != CALL_COUNT);
	if (c->kind == CALL_COUNT)
		return E_NONE;
	if (demo_script(&d->script, c) != OK)
		return E_FULL;
	apply_stops(c, d);
	return OK;
}

/* A word with the blanks behind it, at most n bytes of whole characters. */
static struct str next_piece(struct str s, size_t max)
{
	size_t n = 0;

	while (n < s.n && n < max && s.p[n] != ' ' && s.p[n] != '\n')
		n++;
	while (n < s.n && n < max && (s.p[n] == ' ' || s.p[n] == '\n'))
		n++;
	max = utf8_valid(str_head(s, n));
	/* Not ours to mend: json_escape does. */
	return str_head(s, max ? max : n);
}

static uint64_t tokens(uint64_t hundredths)
{
	return (hundredths + 99) / 100;
}

static void tell(struct call *c, struct demo *d, struct str piece,
    uint64_t cost)
{
	char room[PIECE_MAX * 6];
	struct buf b = buf_on(room, sizeof room);

	d->told += cost;
	if (d->stage == THINKING)
		d->thought += cost;
	d->at += piece.n;
	json_escape(&b, piece);
	answer_text(&c->answer, (struct jstr){ buf_str(&b) });
}

static void open_part(struct call *c, struct demo *d)
{
	static const struct jstr none = { { "", 0 } };
	char room[ID_MAX];
	struct str id;

	switch (d->stage) {
	case THINKING:
		answer_open(&c->answer, B_THINKING, none, none);
		return;
	case TEXT:
		answer_open(&c->answer, B_TEXT, none, none);
		return;
	case CALLS:
		id = id_new(c->ids, S("toolu_"), room);
		answer_open(&c->answer, B_TOOL_USE, (struct jstr){ id },
		    d->script.calls[d->call].name);
		return;
	case OVER:
		return;
	}
}

/* In the form of all signatures made here; this one says {"u":"demo"}. */
static void sign(struct call *c)
{
	answer_signature(&c->answer,
	    (struct jstr){ S("p1.eyJ1IjoiZGVtbyJ9") });
}

static void close_part(struct call *c, struct demo *d)
{
	if (d->stage == THINKING)
		sign(c);
	answer_close(&c->answer);
	d->at = 0;
	if (d->stage != CALLS)
		d->stage++;
	else
		d->call++;
}

static int finish(struct call *c, struct demo *d, enum stop_reason stop)
{
	struct usage u = { .input = c->estimate, .thinking = -1,
	    .estimated = 1 };
	struct jstr none = { { NULL, 0 } };

	u.output = (int64_t)tokens(d->told);
	if (d->thought)
		u.thinking = (int64_t)tokens(d->thought);
	if (c->answer.open && d->stage == THINKING)
		sign(c);
	answer_finish(&c->answer, stop, stop == STOP_SEQUENCE ? d->stop : none,
	    none, &u);
	return CALL_DONE;
}

static struct str current(const struct demo *d)
{
	if (d->stage == THINKING)
		return d->script.thinking;
	if (d->stage == TEXT)
		return d->script.text;
	return d->call < d->script.ncalls ? d->script.calls[d->call].input :
	    S("");
}

static int decode(struct call *c, struct str *in, int end, int clean)
{
	struct demo *d = c->state;
	struct str part, piece;
	uint64_t cost;

	(void)end;
	(void)clean;
	in->n = 0;
	c->wait_ms = c->req->stream ? WORD_MS : 0;
	if (c->req->max_tokens == 0)
		return finish(c, d, STOP_MAX_TOKENS);
	answer_start(&c->answer);
	while ((part = current(d)).n == 0 && d->stage < CALLS)
		d->stage++;
	if (part.n == 0)
		return finish(c, d, d->stop.raw.n ? STOP_SEQUENCE :
		    c->answer.tools ? STOP_TOOL_USE : STOP_END_TURN);
	piece = next_piece(str_from(part, d->at),
	    d->stage == CALLS ? INPUT_PIECE : PIECE_MAX);
	cost = estimate_text(piece, VOCAB_O);
	if (c->req->max_tokens >= 0 &&
	    tokens(d->told + cost) > (uint64_t)c->req->max_tokens)
		return finish(c, d, STOP_MAX_TOKENS);
	if (d->at == 0)
		open_part(c, d);
	tell(c, d, piece, cost);
	if (d->at == part.n)
		close_part(c, d);
	return OK;
}

const struct backend backend_demo = {
	.name = "demo",
	.state_size = sizeof(struct demo),
	.local = 1,
	.encode = encode,
	.decode = decode,
};
