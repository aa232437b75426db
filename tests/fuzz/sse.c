/* sse.c -- fuzz target: server-sent events.
 *
 * Holds: the same events whole, byte by byte and in any pieces; the same as a
 * second decoder, written from the text of WHATWG HTML 9.2.6 line by line;
 * slices lie in the event; nothing is left after the end.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdlib.h>

#include "../../src/wire/sse.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	SIZE_MAX_IN = 1 << 14,
	TOLD = 64 * SIZE_MAX_IN	/* an event may be told in more bytes than it
				 * has: at most 5 + 2 * 8 for one of 6 */
};

static char told[TOLD], wanted[TOLD];

static void tell(struct buf *b, struct str event, struct str data,
    struct str id)
{
	buf_u64(b, event.n);
	buf_put(b, event);
	buf_chr(b, '|');
	buf_u64(b, data.n);
	buf_put(b, data);
	buf_chr(b, '|');
	buf_u64(b, id.n);
	buf_put(b, id);
	buf_chr(b, '\n');
}

static int within(struct str in, struct str s)
{
	return s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n);
}

/* cut: seed of the pieces' sizes; 0 for all at once, 1 for one by one. */
static struct str decode(struct str s, uint32_t cut, int end)
{
	char *copy = malloc(s.n ? s.n : 1);
	struct buf b = buf_on(told, sizeof told);
	struct sse d = { .seen = 0 };
	struct sse_event e;
	struct str in, was;
	size_t at = 0, n;

	assert(copy);
	if (s.n)
		memcpy(copy, s.p, s.n);
	in = (struct str){ copy, 0 };
	do {
		cut = cut > 1 ? cut * 1664525 + 1013904223 : cut;
		n = cut == 0 ? s.n : cut == 1 ? 1 : (cut >> 16) % 9;
		if (n > s.n - at)
			n = s.n - at;
		at += n;
		in.n += n;
		was = in;
		while (sse_next(&d, &in, end && at == s.n, &e) == OK) {
			assert(within(was, e.data) && within(was, e.event));
			assert(within(was, e.id) && within(was, e.raw));
			assert(in.p + in.n == copy + at);
			tell(&b, e.event, e.data, e.id);
			was = in;
		}
		assert(in.p + in.n == copy + at);
	} while (at < s.n);
	assert(!end || in.n == 0);
	assert(!b.full);
	free(copy);
	return buf_str(&b);
}

/* The other decoder: a line at a time, with buffers of its own. */
struct plain {
	char data[2 * SIZE_MAX_IN], event[SIZE_MAX_IN], id[SIZE_MAX_IN];
	size_t data_n, event_n, id_n;
};

static void plain_line(struct plain *p, struct str l)
{
	size_t colon = str_chr(l, ':');
	struct str field = str_head(l, colon), value = str_from(l, colon + 1);

	if (value.n && value.p[0] == ' ')
		value = str_from(value, 1);
	if (str_eq(field, S("data"))) {
		if (value.n)
			memcpy(p->data + p->data_n, value.p, value.n);
		p->data_n += value.n;
		p->data[p->data_n++] = '\n';
	} else if (str_eq(field, S("event"))) {
		if (value.n)
			memcpy(p->event, value.p, value.n);
		p->event_n = value.n;
	} else if (str_eq(field, S("id"))) {
		if (value.n && memchr(value.p, 0, value.n))
			return;
		if (value.n)
			memcpy(p->id, value.p, value.n);
		p->id_n = value.n;
	}
}

static void plain_event(struct plain *p, struct buf *b)
{
	if (p->data_n)
		tell(b, (struct str){ p->event, p->event_n },
		    (struct str){ p->data, p->data_n - 1 },
		    (struct str){ p->id, p->id_n });
	p->data_n = p->event_n = p->id_n = 0;
}

static struct str plainly(struct str s, int end)
{
	static struct plain p;
	struct buf b = buf_on(wanted, sizeof wanted);
	size_t i, from;

	p.data_n = p.event_n = p.id_n = 0;
	if (str_starts(s, S("\xef\xbb\xbf")))
		s = str_from(s, 3);
	for (i = from = 0; i < s.n; i++) {
		if (s.p[i] != '\r' && s.p[i] != '\n')
			continue;
		if (i == from)
			plain_event(&p, &b);
		else
			plain_line(&p, str_from(str_head(s, i), from));
		if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
			i++;
		from = i + 1;
	}
	if (end) {
		plain_line(&p, str_from(s, from));
		plain_event(&p, &b);
	}
	assert(!b.full);
	return buf_str(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size }, want;
	uint32_t cut = 2166136261u;
	size_t i;
	int end;

	if (size > SIZE_MAX_IN)
		return 0;
	for (i = 0; i < size; i++)
		cut = (cut ^ data[i]) * 16777619u;
	for (end = 0; end < 2; end++) {
		want = plainly(s, end);
		assert(str_eq(decode(s, 0, end), want));
		assert(str_eq(decode(s, 1, end), want));
		assert(str_eq(decode(s, cut | 2, end), want));
		assert(str_eq(decode(s, ~cut | 2, end), want));
	}
	return 0;
}
