/* sse.c -- server-sent events: bytes in, events out.
 *
 * An event is a block of lines that a blank line ends; lines end in CR, LF or
 * both. A call looks for the end of the first block, from where the last call
 * gave up, and only then reads the lines: however the bytes were split, each
 * is looked at a fixed number of times.
 *
 * Nothing is kept but two flags and that place. Fields other than event, data
 * and id are dropped, retry among them: upstreams are asked once, by us.
 * Ill-formed UTF-8 is passed on as it is.
 *
 * SPDX-License-Identifier: MIT */
#include "sse.h"

struct line {
	struct str field, value;
	size_t at, next;	/* where it and the following line begin */
};

static int is_eol(char c)
{
	return c == '\r' || c == '\n';
}

/* Offset of the first CR or LF at or after at; s.n when there is none. LF is
 * looked for in windows that double, then CR in front of it: a stream that has
 * only one of the two is so not read to its end for every line. */
static size_t line_end(struct str s, size_t at)
{
	size_t n, size = 256;
	struct str w;

	for (; at < s.n; at += w.n, size *= 2) {
		w = str_head(str_from(s, at), size);
		n = str_chr(w, '\n');
		n = str_chr(str_head(w, n), '\r');
		if (n < w.n)
			return at + n;
	}
	return s.n;
}

/* Past the line end at offset at. */
static size_t past_eol(struct str s, size_t at)
{
	if (s.p[at] == '\r' && at + 1 < s.n && s.p[at + 1] == '\n')
		at++;
	return at + 1;
}

/* Past the first blank line; 0 when there is none. Nothing before offset at
 * is one. */
static size_t block_end(struct str s, size_t at)
{
	size_t end;
	int blank;

	if (at && at < s.n && s.p[at - 1] == '\r' && s.p[at] == '\n')
		at++;
	while ((end = line_end(s, at)) < s.n) {
		blank = end == at && (at == 0 || is_eol(s.p[at - 1]));
		at = past_eol(s, end);
		if (blank)
			return at;
	}
	return 0;
}

/* Whether a blank line ends in front of offset i, which is above 0. */
static int is_blank_before(struct str s, size_t i)
{
	size_t at = i - 1;	/* of the last line end */

	if (at && s.p[at] == '\n' && s.p[at - 1] == '\r')
		at--;
	return at && is_eol(s.p[i - 1]) && is_eol(s.p[at - 1]);
}

size_t sse_whole(struct str s, size_t from)
{
	size_t i;

	for (i = s.n; i > from; i--)
		if (is_blank_before(s, i))
			return i;
	return 0;
}

static struct line line_at(struct str block, size_t at)
{
	size_t end = line_end(block, at), colon;
	struct str s = str_from(str_head(block, end), at);
	struct line l;

	l.at = at;
	l.next = end < block.n ? past_eol(block, end) : end;
	colon = str_chr(s, ':');
	l.field = str_head(s, colon);
	l.value = str_from(s, colon + 1);
	if (str_starts(l.value, S(" ")))
		l.value = str_from(l.value, 1);
	return l;
}

static void reverse(char *p, char *end)
{
	char c;

	while (p < end) {
		c = *p;
		*p++ = *--end;
		*end = c;
	}
}

/* Moves line l in front of offset to, and what was there behind it; so that
 * joining the data, which begins at *to, doesn't run over it. *other, a line
 * that may be on the way, keeps its text. */
static void hoist(char *p, struct line *l, size_t *to, struct line *other)
{
	size_t n = l->next - l->at, up = l->at - *to;

	if (l->at < *to || n == 0)
		return;
	reverse(p + *to, p + l->at);
	reverse(p + l->at, p + l->next);
	reverse(p + *to, p + l->next);
	if (other->next && other->at >= *to && other->at < l->at) {
		other->at += n;
		other->next += n;
		other->value.p += n;
	}
	l->at -= up;
	l->next -= up;
	l->value.p -= up;
	*to += n;
}

/* The values of all data lines from offset at on, joined by LF, in place: a
 * value only ever moves towards the front, over what was read already. */
static struct str join(struct str block, char *p, size_t at)
{
	struct line l = line_at(block, at);
	size_t from = (size_t)(l.value.p - block.p), n = from + l.value.n;

	for (at = l.next; at < block.n; at = l.next) {
		l = line_at(block, at);
		if (!str_eq(l.field, S("data")))
			continue;
		p[n++] = '\n';
		memmove(p + n, l.value.p, l.value.n);
		n += l.value.n;
	}
	return str_from(str_head(block, n), from);
}

/* Whether the block has data, and so is an event. */
static int read_block(struct str block, struct sse_event *out)
{
	struct line l, data = { .at = 0 }, event = data, id = data;
	char *p = (char *)(uintptr_t)block.p;
	size_t at, count = 0;

	for (at = 0; at < block.n; at = l.next) {
		l = line_at(block, at);
		if (str_eq(l.field, S("event"))) {
			event = l;
		} else if (str_eq(l.field, S("id"))) {
			/* An id with a NUL inside is ignored. */
			if (str_chr(l.value, '\0') == l.value.n)
				id = l;
		} else if (str_eq(l.field, S("data")) && count++ == 0) {
			data = l;
		}
	}
	if (count == 0)
		return 0;
	out->raw = block;
	out->data = data.value;
	if (count > 1) {
		at = data.at;
		hoist(p, &event, &at, &id);
		hoist(p, &id, &at, &event);
		out->data = join(block, p, at);
		out->raw = (struct str){ NULL, 0 };
	}
	out->event = event.value;
	out->id = id.value;
	return 1;
}

/* Takes a byte order mark off the very front. 0 while it can't be told. */
static int begin(struct sse *d, struct str *in, int end)
{
	struct str mark = S("\xef\xbb\xbf");

	if (d->begun)
		return 1;
	if (in->n < mark.n && !end && str_starts(mark, *in))
		return 0;
	if (str_starts(*in, mark))
		*in = str_from(*in, mark.n);
	d->begun = 1;
	return 1;
}

int sse_next(struct sse *d, struct str *in, int end, struct sse_event *out)
{
	struct str block;
	size_t n;

	if (!begin(d, in, end))
		return E_MORE;
	for (;;) {
		if (d->skip_lf && in->n) {
			if (in->p[0] == '\n')
				*in = str_from(*in, 1);
			d->skip_lf = 0;
		}
		n = block_end(*in, d->seen <= in->n ? d->seen : 0);
		if (n == 0 && end)
			n = in->n;
		if (n == 0)
			break;
		block = str_head(*in, n);
		*in = str_from(*in, n);
		d->seen = 0;
		/* The CR may be half of a line end whose LF is on its way. */
		d->skip_lf = in->n == 0 && block.p[n - 1] == '\r';
		if (read_block(block, out))
			return OK;
	}
	d->seen = in->n;
	return E_MORE;
}
