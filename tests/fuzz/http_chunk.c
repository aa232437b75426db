/* http_chunk.c -- fuzz target: a chunked body from its first byte on.
 *
 * Holds: the same result, content and rest for every cut; each call takes
 * something; errors and completion are final; the bounds on lines are kept.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/wire/http.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	int rc;
	size_t rest, n;
	uint64_t sum;
};

static void final(struct http_body *b, int rc)
{
	struct str in = S("0\r\n\r\n"), run;

	assert(http_body(b, &in, &run) == rc);
	assert(in.n == 5 && run.n == 0);
	assert(http_body_eof(b) == (rc == E_NONE ? OK : E_BAD));
	assert(rc == E_NONE || b->why);
}

/* cut: seed of the pieces' sizes; 0 for all at once. */
static struct outcome run_body(struct str text, uint32_t cut)
{
	struct outcome o = { OK, 0, 0, 1469598103934665603u };
	struct http_head h = { .framing = HTTP_CHUNKED };
	struct http_body b;
	struct str in = { text.p, 0 }, run;
	size_t at = 0, i, n;

	http_body_init(&b, &h);
	do {
		cut = cut * 1664525u + (cut ? 1013904223u : 0);
		n = cut ? 1 + (cut >> 28) : text.n;
		if (n > text.n - at)
			n = text.n - at;
		if (in.n == 0)
			in.p = text.p + at;
		in.n += n;
		at += n;
		do {
			n = in.n;
			o.rc = http_body(&b, &in, &run);
			assert(in.p + in.n == text.p + at);
			assert(o.rc != OK || in.n < n || n == 0);
			assert(run.n == 0 || (run.p >= text.p &&
			    run.p + run.n <= in.p));
			assert(b.line <= HTTP_TRAILER_MAX + 1);
			assert(b.state == BROKEN || b.digits <= 16);
			for (i = 0; i < run.n; i++)
				o.sum = (o.sum ^ (unsigned char)run.p[i]) *
				    1099511628211u;
			o.n += run.n;
		} while (o.rc == OK && in.n);
	} while (o.rc == OK && at < text.n);
	o.rest = text.n - at + in.n;
	if (o.rc != OK)
		final(&b, o.rc);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct outcome whole = run_body(text, 0), cut;
	uint32_t seed;

	for (seed = 1; seed < 6; seed++) {
		cut = run_body(text, seed * 2654435761u);
		assert(cut.rc == whole.rc && cut.n == whole.n);
		assert(cut.sum == whole.sum && cut.rest == whole.rest);
	}
	return 0;
}
