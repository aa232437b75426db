/* http_request.c -- fuzz target: request heads, whole and cut.
 *
 * Holds: slices lie in the input; a head refused in part is refused as a whole
 * and for the same status; the end of a head is found wherever the search had
 * paused; what is accepted has a method, a version, and one framing.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/wire/http.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct str s, struct str in)
{
	assert(s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n));
}

static void judge(const struct http_head *h, struct str head)
{
	char space[512];
	struct buf b = buf_on(space, sizeof(space));
	struct str value;
	size_t i;
	int rc;

	inside(h->method, head);
	inside(h->target, head);
	inside(h->query, head);
	inside(h->authority, head);
	if (!str_eq(h->path, S("/")))
		inside(h->path, head);
	assert(is_token(h->method) && h->target.n);
	assert(h->path.n || str_eq(h->method, S("CONNECT")));
	assert(h->minor == 0 || h->minor == 1);
	assert(h->nfields <= HTTP_FIELDS_MAX);
	assert(h->framing != HTTP_TO_CLOSE);
	assert(h->framing == HTTP_COUNTED || h->length == 0);
	assert(h->minor == 1 || h->framing != HTTP_CHUNKED);
	assert(h->minor == 0 || http_field(h, S("host")).n);
	for (i = 0; i < h->nfields; i++) {
		inside(h->fields[i].name, head);
		inside(h->fields[i].value, head);
		assert(is_token(h->fields[i].name));
		assert(http_value_ok(h->fields[i].value));
	}
	rc = http_decode(&b, h->path);
	assert(rc == OK || rc == E_BAD || rc == E_FULL);
	assert(b.n <= h->path.n);
	value = http_query(h->query, S("a"));
	inside(value, h->query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head h;
	struct str in = { (const char *)data, size };
	const char *why = NULL;
	size_t end, i, good = 0, step = 1 + size / 97;
	int full;

	end = http_head_end(in, 0);
	for (i = 0; i < end; i += step)
		assert(http_head_end(in, i) == end);
	in = str_head(in, end ? end : size);
	full = http_request(&h, in, &why);
	assert(full == 0 || full == 400 || full == 414 || full == 417 ||
	    full == 431 || full == 501 || full == 505);
	assert(why != NULL && (full == 0) == (*why == '\0'));
	if (full == 0)
		judge(&h, in);
	for (i = 0; i < in.n; i += step) {
		int part = http_request_partial(str_head(in, i), 0);

		/* Going on from where all was good says the same. */
		if (good <= i)
			assert(http_request_partial(str_head(in, i), good) ==
			    part);
		good = part == OK ? i : in.n;
		assert(part == OK || part == full || end == 0);
		/* Once refused, refused for good. */
		if (part != OK)
			assert(http_request_partial(in, 0) == part);
	}
	return 0;
}
