/* answer.c -- fuzz target: bytes as calls of a backend to the answer.
 *
 * Whatever is called in whatever order, the events keep the protocol: one
 * start first, indexes without gaps, one block open at a time, each closed
 * but one cut by an error, nothing after the end. The folded Message of a
 * finished answer is valid JSON with objects as arguments.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/core/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char out[1 << 20], sse[1 << 20], memory[4 << 20];
static struct {
	struct sink sink;
	struct fold fold;
	struct buf sse;
	int started, ended, open, index;
	enum block_type block;
} w;

static void hold(int cond)
{
	if (!cond)
		__builtin_trap();
}

static void check_order(const struct event *e)
{
	hold(!w.ended);
	hold(w.started || e->type == EV_MESSAGE_START || e->type == EV_ERROR ||
	    e->type == EV_PIECE);
	switch (e->type) {
	case EV_MESSAGE_START:
		hold(!w.started);
		w.started = 1;
		break;
	case EV_BLOCK_START:
		hold(!w.open && e->index == w.index);
		w.open = 1;
		w.block = e->block;
		break;
	case EV_TEXT:
	case EV_THINKING:
	case EV_SIGNATURE:
	case EV_INPUT:
		hold(w.open && e->index == w.index);
		hold(e->type != EV_TEXT || w.block == B_TEXT);
		hold(e->type != EV_INPUT || w.block == B_TOOL_USE);
		hold((e->type != EV_THINKING && e->type != EV_SIGNATURE) ||
		    w.block == B_THINKING);
		break;
	case EV_BLOCK_STOP:
		hold(w.open && e->index == w.index++);
		w.open = 0;
		break;
	case EV_MESSAGE_DELTA:
		hold(!w.open);
		break;
	case EV_MESSAGE_STOP:
		w.ended = 1;
		break;
	case EV_PIECE:
		hold(e->index == w.index + w.open);
		break;
	case EV_ERROR:
		w.ended = 2;
		break;
	}
}

/* An event is three lines, the second of them valid JSON. */
static void check_bytes(const struct event *e)
{
	struct str s;
	size_t at;

	w.sse.n = 0;
	w.sse.full = 0;
	event_write(&w.sse, e, S("req_1"), 1);
	hold(!w.sse.full);
	s = buf_str(&w.sse);
	hold(str_starts(s, S("event: ")) && str_ends(s, S("}\n\n")));
	at = str_find(s, S("\ndata: ")) + 7;
	s = str_from(str_head(s, s.n - 2), at);
	hold(str_chr(s, '\n') == s.n);
	hold(json_check(s, NULL, NULL) == OK);
}

static void take(struct sink *s, const struct event *e)
{
	(void)s;
	check_order(e);
	check_bytes(e);
	fold_event(&w.fold, e);
}

static void check_message(const struct buf *b)
{
	struct arena a = { memory, memory + sizeof memory };
	struct json doc;
	struct json_iter it;
	int n = 0;

	if (b->full || json_parse(&doc, buf_str(b), &a, NULL) == E_FULL)
		return;
	it = json_iter(json_get(json_root(&doc), S("content")));
	while (json_next(&it)) {
		n++;
		if (json_is(json_get(it.value, S("type")), S("tool_use")))
			hold(json_type(json_get(it.value, S("input"))) ==
			    JSON_OBJECT);
	}
	hold(n == w.index);
	hold(json_check(buf_str(b), NULL, NULL) == OK);
}

/* The next bytes as a text: a length, then that many, made to be the inside
 * of a JSON string as backends promise. */
static struct jstr text(struct str *in, char room[512])
{
	struct buf b = buf_on(room, 512);
	size_t n = in->n ? (unsigned char)in->p[0] % 80 : 0;

	*in = str_from(*in, 1);
	json_escape(&b, str_head(*in, n));
	*in = str_from(*in, n);
	return (struct jstr){ buf_str(&b) };
}

static void step(struct answer *an, struct str *in, const struct fault *f)
{
	static const enum block_type types[] = { B_TEXT, B_THINKING,
		B_TOOL_USE };
	const struct jstr none = { { NULL, 0 } };
	char one[512], two[512];
	unsigned op = (unsigned char)in->p[0];

	*in = str_from(*in, 1);
	switch (op % 10) {
	case 0:
		answer_start(an);
		break;
	case 1: case 2:
		answer_open(an, types[op / 10 % 3], text(in, one),
		    text(in, two));
		break;
	case 3: case 4: case 5:
		answer_text(an, text(in, one));
		break;
	case 6:
		answer_signature(an, text(in, one));
		break;
	case 7:
		answer_redacted(an, text(in, one));
		break;
	case 8:
		answer_close(an);
		break;
	case 9:
		if (op / 10 % 4 == 0)
			answer_error(an, f);
		else if (op / 10 % 4 == 1)
			answer_finish(an, (enum stop_reason)(op / 40),
			    text(in, one), none, NULL);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct buf b = buf_on(out, sizeof out);
	struct answer an = { .sink = &w.sink, .id = S("msg_1"),
		.model = { S("m") } };
	struct jstr none = { { NULL, 0 } };
	struct fault f;

	memset(&w, 0, sizeof w);
	w.sink.event = take;
	w.sse = buf_on(sse, sizeof sse);
	fold_init(&w.fold, &b, 1);
	FAULT(&f, 502, S("cut"));
	while (in.n)
		step(&an, &in, &f);
	answer_finish(&an, STOP_END_TURN, none, none, NULL);
	hold(w.ended);
	if (w.ended == 1)
		check_message(&b);
	return 0;
}
