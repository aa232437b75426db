/* answer.c -- tests of core/answer.c: whatever a backend calls, the client gets
 * the protocol's order.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/core/answer.c"

static struct {
	struct sink sink;
	char text[4096];
	struct buf b;
} log_;

/* One letter an event, with the block's index. */
static void take(struct sink *s, const struct event *e)
{
	static const char letters[] = "SBthgi.DXE";

	(void)s;
	buf_chr(&log_.b, letters[e->type]);
	if (e->type >= EV_BLOCK_START && e->type <= EV_BLOCK_STOP)
		buf_int(&log_.b, e->index);
	if (e->type == EV_BLOCK_START)
		buf_chr(&log_.b, e->block == B_TEXT ? 'T' :
		    e->block == B_THINKING ? 'H' :
		    e->block == B_TOOL_USE ? 'U' : 'R');
	if (e->text.raw.n) {
		buf_chr(&log_.b, '(');
		buf_put(&log_.b, e->text.raw);
		buf_chr(&log_.b, ')');
	}
	buf_chr(&log_.b, ' ');
}

static const struct jstr none = { { NULL, 0 } };
static struct answer an;

static struct answer *fresh(void)
{
	log_.sink.event = take;
	log_.b = buf_on(log_.text, sizeof log_.text);
	an = (struct answer){ .sink = &log_.sink, .id = S("msg_1") };
	return &an;
}

#define LOG(want, ...) T_STR(str_trim(buf_str(&log_.b)), S(want), __VA_ARGS__)

static struct jstr j(const char *s)
{
	return (struct jstr){ str_of(s) };
}

int main(void)
{
	struct fault f;
	struct answer *a = fresh();

	FAULT(&f, 502, S("cut"));
	answer_open(a, B_TEXT, none, none);
	answer_text(a, j("x"));
	answer_text(a, none);
	answer_open(a, B_TOOL_USE, j("id"), j("n"));
	answer_text(a, j("{}"));
	answer_finish(a, STOP_TOOL_USE, none, none, NULL);
	LOG("S B0T t0(x) .0 B1U i1({}) .1 D X",
	    "notes 1, 2: one start, indexes count, one block at a time");
	T_INT(a->tools, 1, "tools are counted");
	T_INT(a->blocks, 2, "blocks are counted");
	answer_start(a);
	answer_open(a, B_TEXT, none, none);
	answer_text(a, j("late"));
	answer_redacted(a, j("late"));
	answer_signature(a, j("late"));
	answer_close(a);
	answer_finish(a, STOP_END_TURN, none, none, NULL);
	answer_error(a, &f);
	LOG("S B0T t0(x) .0 B1U i1({}) .1 D X", "nothing after the end");

	a = fresh();
	answer_start(a);
	answer_start(a);
	answer_close(a);
	answer_text(a, j("lost"));
	answer_signature(a, j("lost"));
	answer_open(a, B_THINKING, none, none);
	answer_text(a, j("h"));
	answer_signature(a, j("s"));
	answer_close(a);
	answer_close(a);
	answer_redacted(a, j("r"));
	answer_open(a, B_TEXT, none, none);
	answer_signature(a, j("no"));
	answer_text(a, j("t"));
	answer_finish(a, STOP_END_TURN, none, none, NULL);
	LOG("S B0H h0(h) g0(s) .0 B1R(r) .1 B2T t2(t) .2 D X",
	    "out of order is ignored, kinds keep their deltas");

	a = fresh();
	answer_finish(a, STOP_MAX_TOKENS, none, none, NULL);
	LOG("S D X", "AN-20 an answer without blocks");

	a = fresh();
	answer_error(a, &f);
	LOG("E", "an error may come first");
	answer_open(a, B_TEXT, none, none);
	answer_error(a, &f);
	LOG("E", "nothing follows it");

	a = fresh();
	answer_open(a, B_TEXT, none, none);
	answer_text(a, j("x"));
	answer_error(a, &f);
	LOG("S B0T t0(x) E", "half a text stays open: no client keeps it");
	a = fresh();
	answer_open(a, B_THINKING, none, none);
	answer_error(a, &f);
	LOG("S B0H E", "half a thought as well");
	a = fresh();
	answer_open(a, B_TOOL_USE, j("i"), j("n"));
	answer_text(a, j("{"));
	answer_error(a, &f);
	LOG("S B0U i0({) E", "half a call stays open: no client runs it");
	return t_done("answer");
}
