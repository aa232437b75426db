/* invoke.h -- a call to Bedrock without a socket, for tests of its files.
 *
 * A world is a parsed request and what belongs to its call. What the answer
 * says is written as one line:
 *
 *	start msg_1 T{Hel|lo} R{why~sig} C{toolu_1 grep {}} tool_use 7/5/0/0.
 *
 * with tokens of input, output, cache reads and writes. Faults are shown by
 * world_fault as "400 invalid_request_error text", with "; again 0" for
 * x-should-retry and "; after 7" for retry-after.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TEST_INVOKE_H
#define TEST_INVOKE_H

#include "../src/backend/bedrock.h"

enum { WORLD_ARENA = 1 << 20, WORLD_LINE = 1 << 16 };

struct world {
	struct sink sink;	/* first */
	struct bedrock_facts facts;
	struct aws_credentials aws;
	struct upstream up;
	struct http_head client, head;
	struct call c;
	struct bedrock st;
	struct json doc;
	struct request req;
	struct notes notes;
	struct ids ids;
	struct arena a;
	size_t room;		/* of the arena; WORLD_ARENA unless set */
	int in_block, ended, pieces;
	const char *broken;	/* a promise of the stream */
	struct buf line;
	char line_room[WORLD_LINE];
	_Alignas(16) char memory[WORLD_ARENA];
};

static inline void world_number(struct buf *b, int64_t v, char after)
{
	buf_int(b, v);
	buf_chr(b, after);
}

static inline void world_open(struct world *w, const struct event *e)
{
	if (w->in_block)
		w->broken = "a block opened inside another";
	w->in_block = 1;
	w->pieces = 0;
	buf_put(&w->line, e->block == B_TEXT ? S("T{") :
	    e->block == B_THINKING ? S("R{") :
	    e->block == B_REDACTED_THINKING ? S("X{") : S("C{"));
	if (e->block == B_TOOL_USE) {
		buf_put(&w->line, e->id.raw);
		buf_chr(&w->line, ' ');
		buf_put(&w->line, e->name.raw);
		buf_chr(&w->line, ' ');
	} else if (e->block == B_REDACTED_THINKING) {
		buf_put(&w->line, e->text.raw);
	}
}

static inline void world_event(struct sink *s, const struct event *e)
{
	struct world *w = (struct world *)s;

	if (w->ended)
		w->broken = "an event after the end";
	switch (e->type) {
	case EV_MESSAGE_START:
		buf_put(&w->line, S("start "));
		buf_put(&w->line, e->id.raw);
		buf_chr(&w->line, ' ');
		break;
	case EV_BLOCK_START:
		world_open(w, e);
		break;
	case EV_TEXT: case EV_THINKING: case EV_INPUT:
		if (!w->in_block)
			w->broken = "a delta outside a block";
		if (w->pieces++)
			buf_chr(&w->line, '|');
		buf_put(&w->line, e->text.raw);
		break;
	case EV_SIGNATURE:
		buf_chr(&w->line, '~');
		buf_put(&w->line, e->text.raw);
		break;
	case EV_BLOCK_STOP:
		if (!w->in_block)
			w->broken = "a stop without a start";
		w->in_block = 0;
		buf_put(&w->line, S("} "));
		break;
	case EV_MESSAGE_DELTA:
		buf_put(&w->line, str_of(stop_reason_name(e->stop)));
		buf_chr(&w->line, ' ');
		world_number(&w->line, e->usage.input, '/');
		world_number(&w->line, e->usage.output, '/');
		world_number(&w->line, e->usage.cache_read, '/');
		world_number(&w->line, e->usage.cache_write, '.');
		break;
	case EV_PIECE:
		break;
	case EV_MESSAGE_STOP: case EV_ERROR:
		if (w->in_block && e->type == EV_MESSAGE_STOP)
			w->broken = "the end inside a block";
		w->ended = 1;
		break;
	}
}

/* A call for that body (empty: none), with nothing learned. OK, or what the
 * parser said. */
static inline int world_call(struct world *w, struct str body,
    enum call_kind kind)
{
	struct fault f;

	w->a = (struct arena){ w->memory, w->memory + (w->room ? w->room :
	    sizeof w->memory) };
	w->sink.event = world_event;
	w->line = buf_on(w->line_room, sizeof w->line_room);
	w->in_block = w->ended = w->pieces = 0;
	w->broken = NULL;
	w->notes.n = 0;
	w->notes.lost = 0;
	memset(&w->st, 0, sizeof w->st);
	w->up.name = S("bedrock");
	w->up.facts = &w->facts;
	if (!w->aws.region.n)
		w->aws.region = S("us-east-1");
	w->c = (struct call){ .kind = kind, .up = &w->up, .a = &w->a,
	    .notes = &w->notes, .ids = &w->ids, .client = &w->client,
	    .state = &w->st, .aws = &w->aws, .now = 1795000000,
	    .counted = -1 };
	w->c.answer.sink = &w->sink;
	w->c.answer.id = S("msg_ours");
	w->c.answer.model = (struct jstr){ S("asked") };
	w->c.answer.usage = (struct usage){ .input = 99, .output = 1,
	    .thinking = -1, .estimated = 1 };
	w->c.estimate = 99;
	if (!body.n)
		return OK;
	if (json_parse(&w->doc, body, &w->a, NULL) != OK)
		return E_BAD;
	if (request_parse(&w->req, &w->doc, kind == CALL_COUNT, &w->a,
	    &w->notes, &f) != OK)
		return E_FAULT;
	w->c.req = &w->req;
	w->c.model = json_text(&w->a, w->req.model);
	return OK;
}

static inline void world_field(struct http_head *h, const char *name,
    const char *value)
{
	h->fields[h->nfields].name = str_of(name);
	h->fields[h->nfields++].value = str_of(value);
}

static inline struct str world_body(struct world *w)
{
	static char room[WORLD_ARENA];
	struct buf b = buf_on(room, sizeof room);
	size_t i;

	for (i = 0; i < w->c.nbody; i++)
		buf_put(&b, w->c.body[i]);
	return buf_str(&b);
}

static inline struct str world_fault(struct world *w)
{
	static char room[FAULT_TEXT_MAX + 100];
	struct buf b = buf_on(room, sizeof room);
	const struct fault *f = &w->c.fault;

	buf_int(&b, f->status);
	buf_chr(&b, ' ');
	buf_put(&b, str_of(f->type));
	buf_chr(&b, ' ');
	buf_put(&b, fault_text(f));
	if (f->should_retry >= 0) {
		buf_put(&b, S("; again "));
		buf_int(&b, f->should_retry);
	}
	if (f->retry_after >= 0) {
		buf_put(&b, S("; after "));
		buf_int(&b, f->retry_after);
	}
	return buf_str(&b);
}

static inline int world_noted(const struct world *w, const char *field)
{
	size_t i;

	for (i = 0; i < w->notes.n; i++)
		if (str_eq(w->notes.v[i].field, str_of(field)))
			return 1;
	return 0;
}

#endif
