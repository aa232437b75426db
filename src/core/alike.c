/* alike.c -- messages of a stream that differ in one string alone.
 *
 * An answer is hundreds of messages with a word each, and everything else in
 * them repeats byte for byte (ids, model, time). Once one has been read, those
 * with the same bytes around one string literal can do nothing else, and need
 * not be parsed: only that string is checked.
 *
 * Memory: the bytes around the string, in the struct. A message that is longer
 * without its string is not kept.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

int alike_wanted(const struct alike *a)
{
	return a->tries < ALIKE_TRIES;
}

void alike_learn(struct alike *a, struct str message, struct str literal)
{
	size_t head = (size_t)(literal.p - message.p);
	size_t tail = message.n - head - literal.n;

	if (!alike_wanted(a) || head + tail > sizeof a->p)
		return;
	a->tries++;
	a->head = head;
	a->n = head + tail;
	memcpy(a->p, message.p, head);
	memcpy(a->p + head, literal.p + literal.n, tail);
}

int alike_text(struct alike *a, struct str message, struct jstr *text)
{
	struct str s = str_from(message, a->head);
	size_t tail = a->n - a->head;

	if (a->n == 0 || message.n < a->n + 2)
		return 0;
	s.n -= tail;
	if (memcmp(message.p, a->p, a->head) != 0 ||
	    memcmp(s.p + s.n, a->p + a->head, tail) != 0 ||
	    !json_is_string(s))
		return 0;
	a->tries = 0;
	text->raw = str_head(str_from(s, 1), s.n - 2);
	return 1;
}
