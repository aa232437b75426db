/* bedrock_stream.h -- an answer of Converse played to its decoder, for tests.
 *
 * What the client would get becomes one line:
 *
 *	R{Need depth.~sig} T{Hel|lo} C{c1 read {\"at\"|:7}} tool_use 72/128/0/19.
 *
 * R thinking with its signature, X redacted, T text, C a call: id, name,
 * arguments, as they are escaped, a bar between pieces. Then the stop reason,
 * tokens read fresh, from the cache, into it, and made (? when estimated). A
 * fault is shown as !STATUS TYPE TEXT.
 *
 * A script has an event a line: a letter or a type's full name, a blank, the
 * payload, where ' stands for ".
 *
 * SPDX-License-Identifier: MIT */
#ifndef TEST_BEDROCK_STREAM_H
#define TEST_BEDROCK_STREAM_H

#include "../src/backend/bedrock.h"

enum { PLAY_ARENA = 1 << 17, PLAY_LINE = 1 << 16 };

struct play {
	struct sink sink;	/* first */
	struct call c;
	struct bedrock st;
	struct bedrock_facts facts;
	struct upstream up;
	struct request req;
	struct notes notes;
	struct ids ids;
	struct arena a;
	struct bedrock_name name;
	int in_block, pieces, ended, folded;
	const char *broken;	/* a promise of the protocol */
	struct buf line, whole, event;
	struct fold fold;
	char line_room[PLAY_LINE], whole_room[PLAY_LINE], event_room[PLAY_LINE];
	_Alignas(16) char memory[PLAY_ARENA];
};

static inline void play_start(struct play *p, const struct event *e)
{
	if (p->in_block)
		p->broken = "a block opened inside another";
	if (e->index != p->c.answer.index)
		p->broken = "index";
	p->in_block = 1;
	p->pieces = 0;
	buf_put(&p->line, e->block == B_TEXT ? S("T{") :
	    e->block == B_THINKING ? S("R{") :
	    e->block == B_REDACTED_THINKING ? S("X{") : S("C{"));
	if (e->block == B_REDACTED_THINKING)
		buf_put(&p->line, e->text.raw);
	if (e->block != B_TOOL_USE)
		return;
	if (str_starts(e->id.raw, S("toolu_")) && e->id.raw.n == 30)
		buf_chr(&p->line, '#');
	else
		buf_put(&p->line, e->id.raw);
	buf_chr(&p->line, ' ');
	buf_put(&p->line, e->name.raw);
	buf_chr(&p->line, ' ');
}

static inline void play_end_of(struct play *p, const struct event *e)
{
	const int64_t n[] = { e->usage.input, e->usage.cache_read,
	    e->usage.cache_write, e->usage.output };
	size_t i;

	buf_put(&p->line, str_of(stop_reason_name(e->stop)));
	if (e->stop_sequence.raw.p) {
		buf_chr(&p->line, '=');
		buf_put(&p->line, e->stop_sequence.raw);
	}
	for (i = 0; i < 4; i++) {
		buf_chr(&p->line, i ? '/' : ' ');
		buf_int(&p->line, n[i]);
	}
	if (e->usage.cache_write_1h) {
		buf_chr(&p->line, '+');
		buf_int(&p->line, e->usage.cache_write_1h);
	}
	if (e->usage.estimated)
		buf_chr(&p->line, '?');
}

/* As it is written, and folded into a Message. */
static inline void play_write(struct play *p, const struct event *e)
{
	struct str s, name;

	event_write(&p->event, e, S("req_1"), 0);
	if (!p->folded++)
		fold_init(&p->fold, &p->whole, 0);
	if (e->type != EV_ERROR)
		fold_event(&p->fold, e);
	s = buf_str(&p->event);
	while (s.n && str_cut(&s, '\n', &name)) {
		if (str_starts(name, S("data: ")) && !p->event.full &&
		    json_check(str_from(name, 6), NULL, NULL) != OK)
			p->broken = "an event that isn't JSON";
	}
	p->event.n = 0;
}

static inline void play_sink(struct sink *s, const struct event *e)
{
	struct play *p = (struct play *)s;

	if (p->ended)
		p->broken = "an event after the end";
	switch (e->type) {
	case EV_MESSAGE_START:
		if (p->line.n)
			p->broken = "message_start isn't first";
		break;
	case EV_BLOCK_START:
		play_start(p, e);
		break;
	case EV_TEXT: case EV_THINKING: case EV_INPUT:
		if (!p->in_block || e->text.raw.n == 0)
			p->broken = "a piece";
		if (p->pieces++)
			buf_chr(&p->line, '|');
		buf_put(&p->line, e->text.raw);
		break;
	case EV_SIGNATURE:
		buf_chr(&p->line, '~');
		buf_put(&p->line, e->text.raw);
		break;
	case EV_BLOCK_STOP:
		if (!p->in_block)
			p->broken = "a stop without a start";
		p->in_block = 0;
		buf_put(&p->line, S("} "));
		break;
	case EV_MESSAGE_DELTA:
		play_end_of(p, e);
		break;
	case EV_MESSAGE_STOP:
		if (p->in_block)
			p->broken = "the message ended inside a block";
		buf_chr(&p->line, '.');
		p->ended = 1;
		break;
	case EV_ERROR:
		p->ended = 1;
		break;
	case EV_PIECE:
		p->broken = "calls are never put together here";
		break;
	}
	play_write(p, e);
}

static inline void play_init(struct play *p, enum bedrock_family family)
{
	p->sink.event = play_sink;
	p->facts = (struct bedrock_facts){ 0 };
	p->up = (struct upstream){ .name = S("bedrock"), .facts = &p->facts };
	p->req = (struct request){ .max_tokens = 100 };
	p->a = (struct arena){ p->memory, p->memory + PLAY_ARENA };
	p->st = (struct bedrock){ .model.family = family, .streamed = 1 };
	p->c = (struct call){ .kind = CALL_MESSAGES, .req = &p->req,
	    .up = &p->up, .a = &p->a, .notes = &p->notes, .ids = &p->ids,
	    .state = &p->st, .answer.sink = &p->sink,
	    .answer.id = S("msg_1"), .answer.model = { S("asked") } };
	p->c.answer.usage = (struct usage){ .thinking = -1 };
	p->in_block = p->pieces = p->ended = p->folded = 0;
	p->broken = NULL;
	p->line = buf_on(p->line_room, sizeof p->line_room);
	p->whole = buf_on(p->whole_room, sizeof p->whole_room);
	p->event = buf_on(p->event_room, sizeof p->event_room);
}

/* The line, with what the last call said. */
static inline struct str play_line(struct play *p, int r)
{
	if (r == E_FAULT) {
		buf_put(&p->line, S("!"));
		buf_int(&p->line, p->c.fault.status);
		buf_chr(&p->line, ' ');
		buf_put(&p->line, str_of(p->c.fault.type));
		buf_chr(&p->line, ' ');
		buf_put(&p->line, fault_text(&p->c.fault));
	} else if (r == E_FULL) {
		buf_put(&p->line, S("!full"));
	}
	return buf_str(&p->line);
}

static inline struct str play_type(struct str name)
{
	static const struct {
		const char *letter, *name;
	} names[] = {
		{ "S", "messageStart" }, { "B", "contentBlockStart" },
		{ "D", "contentBlockDelta" }, { "E", "contentBlockStop" },
		{ "X", "messageStop" }, { "M", "metadata" }
	};
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (str_eq(name, str_of(names[i].letter)))
			return str_of(names[i].name);
	return name;
}

/* A script, then the clean end of the stream if nothing ended it before. */
static inline int play_script(struct play *p, struct str script)
{
	struct str line, type;
	int r = OK;

	while (r == OK && str_cut(&script, '\n', &line)) {
		if (!str_cut(&line, ' ', &type))
			continue;	/* an empty line */
		r = bedrock_converse_event(&p->c, &p->st, play_type(type),
		    line);
	}
	return r == OK ? bedrock_converse_end(&p->c, &p->st) : r;
}

#endif
