/* answer.c -- the message under construction, and the protocol's promises.
 *
 * Backends say what arrived; this file says it in order: one message_start,
 * blocks numbered 0, 1, 2.. with one open at a time, every block that was
 * opened closed, nothing after the end. A call out of order is put right or
 * ignored, never passed on, so no backend can break a client's parser.
 *
 * Memory: none; an event's slices live during the sink's call.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

static void emit(struct answer *an, const struct event *e)
{
	an->sink->event(an->sink, e);
}

void answer_start(struct answer *an)
{
	struct event e = { .type = EV_MESSAGE_START };

	if (an->started || an->ended)
		return;
	an->started = 1;
	e.id.raw = an->id;
	e.model = an->model;
	e.usage = an->usage;
	emit(an, &e);
}

void answer_close(struct answer *an)
{
	struct event e = { .type = EV_BLOCK_STOP };

	if (!an->open || an->ended)
		return;
	e.index = an->index;
	e.block = an->block;
	an->open = 0;
	an->index++;
	emit(an, &e);
}

static void open_block(struct answer *an, struct event *e)
{
	answer_start(an);
	answer_close(an);
	e->type = EV_BLOCK_START;
	e->index = an->index;
	an->open = 1;
	an->block = e->block;
	an->blocks++;
	if (e->block == B_TOOL_USE)
		an->tools++;
	emit(an, e);
}

void answer_open(struct answer *an, enum block_type type, struct jstr id,
    struct jstr name)
{
	struct event e = { .block = type, .id = id, .name = name };

	e.toolset = an->toolset;
	an->toolset.raw.n = 0;
	if (!an->ended)
		open_block(an, &e);
}

void answer_text(struct answer *an, struct jstr piece)
{
	struct event e = { .text = piece };

	if (!an->open || an->ended || piece.raw.n == 0)
		return;
	switch (an->block) {
	case B_TEXT:
		e.type = EV_TEXT;
		break;
	case B_THINKING:
		e.type = EV_THINKING;
		break;
	case B_TOOL_USE:
	case B_SERVER_TOOL_USE:
	case B_MCP:
		e.type = EV_INPUT;
		break;
	default:
		return;		/* kinds that come whole */
	}
	e.index = an->index;
	e.block = an->block;
	emit(an, &e);
}

void answer_signature(struct answer *an, struct jstr signature)
{
	struct event e = { .type = EV_SIGNATURE, .text = signature };

	if (!an->open || an->ended || an->block != B_THINKING)
		return;
	e.index = an->index;
	e.block = an->block;
	emit(an, &e);
}

void answer_piece(struct answer *an, struct jstr id, struct jstr name,
    struct jstr piece)
{
	struct event e = { .type = EV_PIECE, .block = B_TOOL_USE, .id = id,
	    .name = name, .text = piece };

	if (an->ended || piece.raw.n == 0)
		return;
	e.index = an->index + an->open;
	emit(an, &e);
}

void answer_redacted(struct answer *an, struct jstr data)
{
	struct event e = { .block = B_REDACTED_THINKING, .text = data };

	if (an->ended)
		return;
	open_block(an, &e);
	answer_close(an);
}

void answer_finish(struct answer *an, enum stop_reason stop,
    struct jstr stop_sequence, struct jstr explanation,
    const struct usage *usage)
{
	struct event e = { .type = EV_MESSAGE_DELTA, .stop = stop };

	if (an->ended)
		return;
	answer_start(an);
	answer_close(an);
	e.stop_sequence = stop_sequence;
	e.explanation = explanation;
	e.usage = usage ? *usage : an->usage;
	emit(an, &e);
	an->ended = 1;
	e = (struct event){ .type = EV_MESSAGE_STOP };
	emit(an, &e);
}

void answer_error(struct answer *an, const struct fault *f)
{
	struct event e = { .type = EV_ERROR, .fault = f };

	if (an->ended)
		return;
	/* The open block stays open, as Anthropic leaves it. Its end would
	 * make a client run half a call, and keep half a text: Claude Code
	 * then asks for the rest only, instead of for the answer again. */
	an->ended = 1;
	emit(an, &e);
}
