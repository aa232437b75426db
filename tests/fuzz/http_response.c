/* http_response.c -- fuzz target: an upstream's answer, head and body.
 *
 * Holds: slices lie in the input; a part that is refused belongs to a whole
 * that is; the body is the same however the bytes were cut, every call takes
 * something, and no more content comes out than went in.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/wire/http.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	int rc, eof;
	size_t rest, n;
	uint64_t sum;		/* of the content, order included */
};

static void inside(struct str s, struct str in)
{
	assert(s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n));
}

static void judge(const struct http_head *h, struct str head)
{
	size_t i;

	inside(h->reason, head);
	assert(h->status >= 100 && h->status <= 999 && h->status != 101);
	assert(h->minor == 0 || h->minor == 1);
	assert(h->framing != HTTP_TO_CLOSE || !h->keep_alive);
	assert(h->framing == HTTP_COUNTED || h->length == 0);
	assert(h->status >= 200 || h->framing == HTTP_NO_BODY);
	for (i = 0; i < h->nfields; i++) {
		inside(h->fields[i].name, head);
		inside(h->fields[i].value, head);
		assert(is_token(h->fields[i].name));
		assert(http_value_ok(h->fields[i].value));
	}
}

static struct outcome body(const struct http_head *h, struct str text,
    size_t step)
{
	struct outcome o = { OK, OK, 0, 0, 1469598103934665603u };
	struct http_body b;
	struct str in = { text.p, 0 }, run;
	size_t at = 0, i, n;

	http_body_init(&b, h);
	do {
		n = step < text.n - at ? step : text.n - at;
		if (in.n == 0)
			in.p = text.p + at;
		in.n += n;
		at += n;
		do {
			n = in.n;
			o.rc = http_body(&b, &in, &run);
			assert(in.n <= n && in.p + in.n == text.p + at);
			assert(o.rc != OK || in.n < n || n == 0);
			inside(run, text);
			for (i = 0; i < run.n; i++)
				o.sum = (o.sum ^ (unsigned char)run.p[i]) *
				    1099511628211u;
			o.n += run.n;
		} while (o.rc == OK && in.n);
	} while (o.rc == OK && at < text.n);
	o.rest = text.n - at + in.n;
	assert(o.n <= text.n);
	o.eof = http_body_eof(&b);
	assert(o.rc != E_NONE || o.eof == OK);
	assert(o.rc != E_BAD || (o.eof == E_BAD && b.why));
	return o;
}

static void bodies(const struct http_head *h, struct str text)
{
	struct outcome whole = body(h, text, text.n), cut;
	size_t step;

	for (step = 1; step < 12; step += 1 + step / 2) {
		cut = body(h, text, step);
		assert(cut.rc == whole.rc && cut.eof == whole.eof);
		if (whole.rc == E_BAD)
			continue;
		assert(cut.n == whole.n && cut.sum == whole.sum);
		assert(cut.rest == whole.rest);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head h;
	struct str in = { (const char *)data, size }, head;
	const char *why = NULL;
	size_t end = http_head_end(in, 0), i, good = 0;
	int rc, request_head, part;

	head = str_head(in, end ? end : size);
	for (request_head = 0; request_head < 2; request_head++) {
		rc = http_response(&h, head, request_head, &why);
		assert(rc == OK || rc == E_BAD);
		assert(why != NULL && (rc == OK) == (*why == '\0'));
		if (rc != OK)
			continue;
		judge(&h, head);
		assert(!request_head || h.framing == HTTP_NO_BODY);
		bodies(&h, str_from(in, end));
	}
	for (i = 0; i < head.n; i += 1 + size / 97) {
		part = http_response_partial(str_head(head, i), 0);
		assert(part == OK || rc == E_BAD);
		/* Going on from where all was good says the same. */
		if (good <= i)
			assert(http_response_partial(str_head(head, i), good)
			    == part);
		good = part == OK ? i : head.n;
	}
	return 0;
}
