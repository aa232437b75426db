/* Fuzz target of wire/eventstream. Each input is decoded as it is, and again
 * with its checksums put right, as no fuzzer finds those. Either way pieces
 * must give what the whole gives, and a message must lie in its input.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "../../src/wire/eventstream.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

/* A digest of all that came out; equal for equal results. */
static uint32_t mix(uint32_t sum, struct str s)
{
	unsigned char n[4] = { (unsigned char)s.n, (unsigned char)(s.n >> 8),
	    (unsigned char)(s.n >> 16), 1 };

	sum = crc32_add(sum, (struct str){ (const char *)n, sizeof(n) });
	return crc32_add(sum, s);
}

static uint32_t use(uint32_t sum, const struct eventstream_message *m)
{
	struct str rest = m->headers, name, text;
	struct eventstream_header h;
	size_t n = 0;

	must(m->raw.n == 16 + m->headers.n + m->payload.n);
	must(m->headers.p == m->raw.p + 12);
	must(m->payload.p == m->headers.p + m->headers.n);
	while (eventstream_header(&rest, &h)) {
		must(h.name.n > 0 && h.value.p >= h.name.p + h.name.n);
		must(h.value.p + h.value.n <= m->payload.p);
		sum = mix(mix(sum, h.name), h.value) + (uint32_t)h.number;
		n++;
	}
	must(rest.n == 0 && (n > 0) == (m->headers.n > 0));
	sum += (uint32_t)eventstream_kind(m, &name, &text);
	eventstream_is(name, S("throttling"));
	return mix(mix(sum, name), m->payload);
}

static uint32_t decode(struct str all, size_t piece)
{
	struct eventstream d;
	struct eventstream_message m;
	struct str in = { all.p, 0 };
	uint32_t sum = 0;
	int r = E_MORE;

	eventstream_init(&d, 1 << 20);
	while (r == E_MORE && in.p + in.n < all.p + all.n) {
		size_t left = (size_t)(all.p + all.n - in.p) - in.n;

		in.n += piece < left ? piece : left;
		while ((r = eventstream_next(&d, &in, &m)) == OK)
			sum = use(sum, &m);
		must(r == E_BAD || d.need > in.n);
	}
	if (r == E_MORE)
		eventstream_end(&d, in);
	must(d.error == EVENTSTREAM_FINE ||
	    eventstream_next(&d, &in, &m) == E_BAD);
	return sum + (uint32_t)d.error * 31 + (uint32_t)d.at;
}

static void store(char *p, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = (char)(v >> (24 - 8 * i) & 255);
}

static void put_right(char *p, size_t n)
{
	while (n >= EVENTSTREAM_LEAST) {
		struct str s = { p, n };
		uint64_t total = big(str_head(s, 4));

		store(p + 8, crc32_add(0, str_head(s, 8)));
		if (total < EVENTSTREAM_LEAST || total > n)
			return;
		store(p + total - 4, crc32_add(0, str_head(s,
		    (size_t)total - 4)));
		p += total;
		n -= (size_t)total;
	}
}

static void agree(struct str s)
{
	uint32_t sum = decode(s, s.n + 1);

	must(decode(s, 1) == sum);
	must(decode(s, 7) == sum);
	must(decode(s, 61) == sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;

	if (size > 8192)	/* byte by byte is quadratic in a frame */
		return -1;
	copy = malloc(size + 1);
	if (!copy)
		return -1;
	if (size)
		memcpy(copy, data, size);
	agree((struct str){ copy, size });
	put_right(copy, size);
	agree((struct str){ copy, size });
	free(copy);
	return 0;
}
