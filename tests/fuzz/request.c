/* request.c -- fuzz target: any JSON as a request, then all that is made of it
 * here: an estimate, the demo's answer.
 *
 * Never a crash; every slice lies in the body or is one of our literals; a
 * refusal has a message; an answer is whole and valid JSON.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/backend/backend.h"

enum { TURNS = 100000 };	/* more pieces than the longest script has */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char memory[4 << 20], out[1 << 20];
static struct {
	struct sink sink;
	struct fold fold;
	int stops;
} w;

static void hold(int cond)
{
	if (!cond)
		__builtin_trap();
}

/* A slice of the body, or nothing, or a literal of ours ("{}"). */
static void within(struct str body, struct str s)
{
	if (s.n == 0 || (s.n == 2 && memcmp(s.p, "{}", 2) == 0))
		return;
	hold(s.p >= body.p && s.n <= body.n &&
	    s.p <= body.p + (body.n - s.n));
}

static void check_block(struct str body, const struct block *b)
{
	within(body, b->text.raw);
	within(body, b->signature.raw);
	within(body, b->id.raw);
	within(body, b->name.raw);
	within(body, b->media_type.raw);
	within(body, b->data.raw);
	within(body, b->title.raw);
	within(body, b->context.raw);
	within(body, b->input);
	if (b->type == B_TOOL_USE || b->type == B_SERVER_TOOL_USE)
		hold(b->input.n > 0 && b->input.p[0] == '{');
}

/* A message's blocks, theirs, and those of what stands in a tool's result. */
static void check_blocks(struct str body, const struct block *b, size_t n)
{
	const struct block *in;
	size_t i, k, l;

	for (i = 0; i < n; i++) {
		check_block(body, &b[i]);
		for (k = 0; k < b[i].ncontent; k++) {
			in = &b[i].content[k];
			check_block(body, in);
			for (l = 0; l < in->ncontent; l++) {
				check_block(body, &in->content[l]);
				hold(in->content[l].ncontent == 0);
			}
		}
	}
}

static void check(const struct request *r)
{
	size_t i;

	hold(r->model.raw.n > 0 && r->nmessages > 0);
	within(r->body, r->model.raw);
	check_blocks(r->body, r->system, r->nsystem);
	for (i = 0; i < r->nmessages; i++)
		check_blocks(r->body, r->messages[i].blocks, r->messages[i].n);
	for (i = 0; i < r->ntools; i++) {
		within(r->body, r->tools[i].name.raw);
		within(r->body, r->tools[i].description.raw);
	}
	for (i = 0; i < r->nstops; i++)
		hold(r->stops[i].raw.n > 0);
	hold(r->max_tokens >= 0);
	hold(estimate_request(r, VOCAB_O, 0) > 0 &&
	    estimate_request(r, VOCAB_O, 1) > 0);
}

static void take(struct sink *s, const struct event *e)
{
	(void)s;
	w.stops += e->type == EV_MESSAGE_STOP;
	fold_event(&w.fold, e);
}

static void answer(const struct request *r, struct arena a)
{
	static struct ids ids;
	struct notes notes = { .n = 0 };
	struct upstream up = { .backend = &backend_demo };
	struct call c = { .req = r, .up = &up, .a = &a, .notes = &notes,
		.ids = &ids };
	struct buf b = buf_on(out, sizeof out);
	struct str none = { NULL, 0 };
	int e, i;

	w.sink.event = take;
	w.stops = 0;
	fold_init(&w.fold, &b, 0);
	c.answer.sink = &w.sink;
	c.answer.id = S("msg_1");
	c.answer.model = r->model;
	c.state = arena_get(&a, backend_demo.state_size);
	if (!c.state)
		return;
	e = backend_demo.encode(&c);
	for (i = 0; e == OK && i < TURNS; i++)
		e = backend_demo.decode(&c, &none, 0, 1);
	hold(e == CALL_DONE || e == E_FULL);
	hold(w.stops == (e == CALL_DONE));
	if (e == CALL_DONE && !b.full)
		hold(json_check(buf_str(&b), NULL, NULL) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { memory, memory + sizeof memory };
	struct json doc;
	struct request r;
	struct notes notes = { .n = 0 };
	struct fault f = { .n = 0 };
	int e;

	if (json_parse(&doc, (struct str){ (const char *)data, size }, &a,
	    NULL) != OK)
		return 0;
	e = request_parse(&r, &doc, 0, &a, &notes, &f);
	hold(e == OK || e == E_FAULT || e == E_FULL);
	hold(notes.n <= NOTES_MAX);
	if (e == E_FAULT)
		hold(f.status == 400 && f.n > 0 &&
		    utf8_valid(fault_text(&f)) == f.n);
	if (e == OK) {
		check(&r);
		answer(&r, a);
	}
	return 0;
}
