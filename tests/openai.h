/* openai.h -- an upstream's answer played to the decoder, for tests.
 *
 * A world is a call that waits for its answer. play() hands it the bytes in
 * any division and returns what the client would get, as one line:
 *
 *	R{Need depth.~{}} T{Hel|lo} C{c1 sound {\"at\"|:7}} tool_use 72/128/0/19.
 *
 * R thinking with its envelope's JSON, T text, C a call: id, name, arguments,
 * as they are escaped, a bar between pieces. Then the stop reason, tokens read
 * fresh, from the cache, into it, and made (? when estimated). Made up ids are
 * shown as #.
 * A fault is shown as !STATUS TYPE TEXT.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TEST_OPENAI_H
#define TEST_OPENAI_H

#include "../src/backend/openai_answer.h"

enum {
	WORLD_ARENA = 1 << 20,
	WORLD_LINE = 1 << 16,
	WORLD_NAMES = 4
};

struct world {
	struct sink sink;	/* first */
	struct openai_facts facts;
	struct openai_flags *flags;
	struct upstream up;
	struct call c;
	struct request req;
	struct notes notes;
	struct ids ids;
	struct http_head head;
	struct openai_name names[WORLD_NAMES];
	struct openai_sent sent;	/* copied into the state */
	struct arena arena;
	size_t room;		/* of the arena; WORLD_ARENA unless set */
	const struct request *asked;
	struct str content_type;
	int merge;		/* no bars: pieces don't matter */
	int in_block, pieces, ended;
	struct usage usage, began;	/* at its end, at its start */
	const char *broken;	/* an invariant of the stream */
	struct buf line, shown;	/* shown: what only the owner sees (EV_PIECE) */
	char line_room[WORLD_LINE], shown_room[WORLD_LINE];
	char state[sizeof(struct openai_state)];
	_Alignas(16) char arena_room[WORLD_ARENA];
};

static inline void world_block(struct world *w, const struct event *e)
{
	if (w->in_block)
		w->broken = "a block opened inside another";
	w->in_block = 1;
	w->pieces = 0;
	if (e->index != w->c.answer.index)
		w->broken = "index";
	if (e->block == B_TEXT)
		buf_put(&w->line, S("T{"));
	else if (e->block == B_THINKING)
		buf_put(&w->line, S("R{"));
	else
		buf_put(&w->line, S("C{"));
	if (e->block != B_TOOL_USE)
		return;
	if (str_starts(e->id.raw, S("toolu_")) && e->id.raw.n == 30)
		buf_chr(&w->line, '#');
	else
		buf_put(&w->line, e->id.raw);
	buf_chr(&w->line, ' ');
	buf_put(&w->line, e->toolset.raw);
	if (e->toolset.raw.n)
		buf_chr(&w->line, ':');
	buf_put(&w->line, e->name.raw);
	buf_chr(&w->line, ' ');
}

static inline void world_piece(struct world *w, const struct event *e)
{
	if (!w->in_block)
		w->broken = "a delta outside a block";
	if (e->text.raw.n == 0)
		w->broken = "an empty delta";
	if (w->pieces++ && !w->merge)
		buf_chr(&w->line, '|');
	buf_put(&w->line, e->text.raw);
}

static inline void world_event(struct sink *s, const struct event *e)
{
	struct world *w = (struct world *)s;

	if (w->ended)
		w->broken = "an event after the end";
	switch (e->type) {
	case EV_MESSAGE_START:
		if (w->line.n)
			w->broken = "message_start is not first";
		w->began = e->usage;
		break;
	case EV_BLOCK_START:
		world_block(w, e);
		break;
	case EV_TEXT: case EV_THINKING: case EV_INPUT:
		world_piece(w, e);
		break;
	case EV_SIGNATURE:
		buf_chr(&w->line, '~');
		if (!str_starts(e->text.raw, S("p1.")) ||
		    base64_decode(&w->line, str_from(e->text.raw, 3)) != OK)
			w->broken = "signature";
		break;
	case EV_BLOCK_STOP:
		if (!w->in_block)
			w->broken = "a stop without a start";
		w->in_block = 0;
		buf_put(&w->line, S("} "));
		break;
	case EV_MESSAGE_DELTA:
		buf_put(&w->line, str_of(stop_reason_name(e->stop)));
		if (e->stop_sequence.raw.p) {
			buf_chr(&w->line, '=');
			buf_put(&w->line, e->stop_sequence.raw);
		}
		if (e->explanation.raw.p) {
			buf_chr(&w->line, '(');
			buf_put(&w->line, e->explanation.raw);
			buf_chr(&w->line, ')');
		}
		buf_chr(&w->line, ' ');
		buf_int(&w->line, e->usage.input);
		buf_chr(&w->line, '/');
		buf_int(&w->line, e->usage.cache_read);
		buf_chr(&w->line, '/');
		buf_int(&w->line, e->usage.cache_write);
		buf_chr(&w->line, '/');
		if (e->usage.estimated)
			buf_chr(&w->line, '?');
		else
			buf_int(&w->line, e->usage.output);
		w->usage = e->usage;
		break;
	case EV_MESSAGE_STOP:
		if (w->in_block)
			w->broken = "the message ended inside a block";
		buf_chr(&w->line, '.');
		w->ended = 1;
		break;
	case EV_ERROR:
		w->ended = 1;
		break;
	case EV_PIECE:
		if (e->index != w->c.answer.index + w->c.answer.open)
			w->broken = "index of a piece";
		buf_int(&w->shown, e->index);
		buf_chr(&w->shown, ' ');
		buf_put(&w->shown, e->name.raw);
		buf_chr(&w->shown, ' ');
		buf_put(&w->shown, e->text.raw);
		buf_chr(&w->shown, ';');
		break;
	}
}

/* A generic local server, thinking shown, the tools "sound" and "lamp". */
static inline void world_init(struct world *w)
{
	memset(w, 0, sizeof *w - sizeof w->arena_room);
	w->sink.event = world_event;
	w->flags = &w->facts.flags;
	w->flags->profile = P_GENERIC;
	w->up.name = S("local");
	w->up.facts = &w->facts;
	w->up.backend = &backend_openai;
	w->names[0].client.raw = w->names[0].upstream = S("sound");
	w->names[1].client.raw = w->names[1].upstream = S("lamp");
	w->sent.names = w->names;
	w->sent.nnames = 2;
	w->sent.show_reasoning = 1;
	w->sent.sent_max = 32000;
	w->sent.sent_params = ~UINT64_C(0);
	w->req.max_tokens = 32000;
	w->asked = &w->req;
	w->content_type = S("text/event-stream");
	w->room = WORLD_ARENA;
	w->c.model = S("m");
}

/* The call as encode leaves it. Facts stay as they are. */
static inline void world_call(struct world *w)
{
	struct call *c = &w->c;
	enum call_kind kind = c->kind;
	struct str model = c->model;
	int64_t estimate = c->estimate;
	int attempt = c->attempt;

	memset(c, 0, sizeof *c);
	memset(w->state, 0, sizeof w->state);
	memset(&w->notes, 0, sizeof w->notes);
	memset(&w->ids, 0, sizeof w->ids);
	memcpy(w->state, &w->sent, sizeof w->sent);
	w->arena = (struct arena){ w->arena_room, w->arena_room + w->room };
	w->head.status = 200;
	w->head.nfields = 1;
	w->head.fields[0].name = S("content-type");
	w->head.fields[0].value = w->content_type;
	w->line = buf_on(w->line_room, sizeof w->line_room);
	w->shown = buf_on(w->shown_room, sizeof w->shown_room);
	w->in_block = w->pieces = w->ended = 0;
	w->broken = NULL;
	c->kind = kind;
	c->req = w->asked;
	c->up = &w->up;
	c->model = model;
	c->a = &w->arena;
	c->notes = &w->notes;
	c->ids = &w->ids;
	c->attempt = attempt;
	c->estimate = estimate;
	c->state = w->state;
	c->counted = -1;
	c->answer.sink = &w->sink;
	c->answer.id = S("msg_1");
	c->answer.model.raw = S("claude");
	c->answer.usage.input = estimate;
}

static inline void world_fault(struct world *w)
{
	buf_chr(&w->line, '!');
	buf_int(&w->line, w->c.fault.status);
	buf_chr(&w->line, ' ');
	buf_put(&w->line, str_of(w->c.fault.type));
	buf_chr(&w->line, ' ');
	buf_put(&w->line, fault_text(&w->c.fault));
}

/* Hands bytes over in steps: 0 all at once, n > 0 that many at a time, n < 0
 * at random from the seed -n. room must hold them all and is written to.
 * clean: how the body ended; -1: it doesn't end. Returns decode's last word. */
static inline int world_feed(struct world *w, struct str bytes, char *room, int steps,
    int clean)
{
	uint32_t x = (uint32_t)-steps * 2654435761u + 1;
	struct str s;
	size_t n = 0, at = 0, k;
	int r;

	r = openai_begin(&w->c, &w->head);
	while (r == OK && at < bytes.n) {
		x = x * 1664525 + 1013904223;
		k = steps == 0 ? bytes.n : steps > 0 ? (size_t)steps :
		    1 + (x >> 16) % ((x >> 29) ? 7 : 90);
		if (k > bytes.n - at)
			k = bytes.n - at;
		memcpy(room + n, bytes.p + at, k);
		n += k;
		at += k;
		s = (struct str){ room, n };
		r = openai_decode(&w->c, &s, 0, 0);
		memmove(room, room + n - s.n, s.n);
		n = s.n;
	}
	s = (struct str){ room, n };
	if (r == OK && clean >= 0)
		r = openai_decode(&w->c, &s, 1, clean);
	if (r == E_FAULT)
		world_fault(w);
	if (r == CALL_RETRY)
		buf_put(&w->line, S("retry"));
	return r;
}

#endif
