/* openai_error.c -- fuzz target: an upstream's refusal.
 *
 * The first byte chooses the status, the second the attempt, the rest is the
 * body.
 *
 * Holds: a fault with a status and a text in UTF-8, an answer that is whole,
 * or a second attempt, and that only once and only when it differs.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/backend/openai_error.c"
#include "../openai.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct world w;

static int refuse(const uint8_t *data, size_t size, int status)
{
	struct str body = { (const char *)data + 2, size - 2 };
	int r;

	world_call(&w);
	w.head.status = status;
	r = openai_refuse(&w.c, &w.head, body);
	assert(r == E_FAULT || r == CALL_RETRY || r == CALL_DONE);
	assert(!w.broken && !w.line.full);
	assert((r == CALL_DONE) == w.ended);
	if (r != E_FAULT)
		return r;
	assert(w.c.fault.status >= 400 && w.c.fault.status < 600);
	assert(w.c.fault.type && w.c.fault.n <= FAULT_TEXT_MAX);
	assert(utf8_valid(fault_text(&w.c.fault)) == w.c.fault.n);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int status[] = { 400, 401, 402, 403, 404, 408, 413, 422,
		429, 500, 502, 503, 504, 529, 302, 418 };
	const struct openai_learned *l;
	int s;

	if (size < 2 || size > 1 << 14)
		return 0;
	s = status[data[0] % COUNT(status)];
	world_init(&w);
	w.c.attempt = data[1] & 1;
	w.c.kind = data[1] & 2 ? CALL_COUNT : CALL_MESSAGES;
	w.c.estimate = 1000;
	if (refuse(data, size, s) != CALL_RETRY)
		return 0;
	assert(w.c.attempt == 0);
	l = openai_learned(&w.c);
	assert(l->refused || l->max_output || l->retry_max);
	w.c.attempt = 1;
	assert(refuse(data, size, s) != CALL_RETRY);
	return 0;
}
