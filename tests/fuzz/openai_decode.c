/* openai_decode.c -- fuzz target: an upstream's answer.
 *
 * The first byte chooses flags, the second how thinking is shown and how the
 * body ended, the rest is the answer.
 *
 * Holds: an end in every case; the same events whole, byte by byte and in
 * other pieces; blocks balanced, in order, nothing after the end; every delta
 * the inside of a JSON string; each event as it is written is JSON, and so is
 * the message they fold into; complete calls have an object for their input
 * where arguments are put right.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/backend/openai_decode.c"
#include "../openai.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_IN = 1 << 14 };

static struct world w;
static char room[SIZE_MAX_IN], written[1 << 18], folded_room[1 << 18];
static struct buf folded;
static struct fold fold;

/* In front of the world's own sink: what a client would get. */
static void check_event(struct sink *s, const struct event *e)
{
	struct buf b = buf_on(written, sizeof written);
	struct str line, name;
	size_t ntok;

	world_event(s, e);
	assert(!w.broken);
	if (e->type == EV_ERROR)
		return;
	event_write(&b, e, S("req_1"), 0);
	assert(!b.full);
	if (e->type == EV_PIECE) {
		assert(b.n == 0);
		return;
	}
	line = buf_str(&b);
	assert(str_starts(line, S("event: ")) && str_ends(line, S("\n\n")));
	assert(str_cut(&line, '\n', &name));
	assert(str_starts(line, S("data: ")));
	assert(json_check(str_from(line, 6), &ntok, NULL) == OK);
	fold_event(&fold, e);
}

static void set_up(uint8_t a, uint8_t b)
{
	static struct jstr stops[] = { { { "END", 3 } }, { { "\\n\\n", 4 } },
		{ { "\\u00e9a", 7 } } };

	world_init(&w);
	w.sink.event = check_event;
	w.flags->buffer_args = a & 1;
	w.flags->think_tags = a & 2 ? THINK_AUTO : a & 4 ? THINK_OPEN :
	    THINK_NO;
	w.req.stops = stops;
	w.req.nstops = a & 8 ? COUNT(stops) : 0;
	w.sent.prefill = a & 16 ? S("Once \\u00fcpon") : S("");
	w.flags->name_pieces = !!(a & 32);
	w.flags->text_calls = !!(a & 64);
	w.req.no_parallel = !!(a & 128);
	w.sent.show_reasoning = (b & 3) % 3;
	w.flags->reasoning_back = b >> 2 & 3 ? (b & 4 ?
	    REASONING_BACK_DETAILS : REASONING_BACK_GEMINI) :
	    REASONING_BACK_CONTENT;
	w.flags->profile = b & 16 ? P_OLLAMA : P_GENERIC;
}

static struct str run(const uint8_t *data, size_t size, int steps)
{
	struct str body = { (const char *)data + 2, size - 2 };
	size_t ntok;
	int r;

	set_up(data[0], data[1]);
	world_call(&w);
	folded = buf_on(folded_room, sizeof folded_room);
	fold = (struct fold){ 0 };
	fold_init(&fold, &folded, 0);
	r = world_feed(&w, body, room, steps, !(data[1] & 32));
	assert(r == CALL_DONE || r == E_FAULT || r == CALL_RETRY);
	assert(r != CALL_RETRY || !w.c.answer.started);
	assert(r != E_FAULT || w.c.fault.status >= 400);
	if (r == CALL_DONE) {
		assert(w.ended && !w.in_block);
		assert(!folded.full);
		assert(json_check(buf_str(&folded), &ntok, NULL) == OK);
	}
	return buf_str(&w.line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char first[WORLD_LINE];
	struct str line;
	size_t n;

	if (size < 2 || size > SIZE_MAX_IN)
		return 0;
	line = run(data, size, 0);
	assert(!w.line.full);
	n = line.n;
	memcpy(first, line.p, n);
	assert(str_eq(run(data, size, 1), (struct str){ first, n }));
	assert(str_eq(run(data, size, -1 - (int)(size % 1000)),
	    (struct str){ first, n }));
	return 0;
}
