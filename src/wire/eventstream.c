/* eventstream.c -- frames of Amazon event streams, checked and taken apart.
 *
 * Order matters (AW-21): the prelude's checksum before its lengths, so that a
 * flipped bit in a length is an error at once, not a wait for four gigabytes;
 * the message's checksum before its headers; all headers before any is shown.
 *
 * SPDX-License-Identifier: MIT */
#include "eventstream.h"

/* -- CRC-32, eight bytes a step --
 *
 * crc_table[k][i] is the checksum's state for byte i with k zero bytes after
 * it. It is linear in i, so eight values a row, those of the single bits, say
 * all 256; the preprocessor adds them up. */
#define BITS0 0x77073096u, 0xee0e612cu, 0x076dc419u, 0x0edb8832u, \
	0x1db71064u, 0x3b6e20c8u, 0x76dc4190u, 0xedb88320u
#define BITS1 0x191b3141u, 0x32366282u, 0x646cc504u, 0xc8d98a08u, \
	0x4ac21251u, 0x958424a2u, 0xf0794f05u, 0x3b83984bu
#define BITS2 0x01c26a37u, 0x0384d46eu, 0x0709a8dcu, 0x0e1351b8u, \
	0x1c26a370u, 0x384d46e0u, 0x709a8dc0u, 0xe1351b80u
#define BITS3 0xb8bc6765u, 0xaa09c88bu, 0x8f629757u, 0xc5b428efu, \
	0x5019579fu, 0xa032af3eu, 0x9b14583du, 0xed59b63bu
#define BITS4 0x3d6029b0u, 0x7ac05360u, 0xf580a6c0u, 0x30704bc1u, \
	0x60e09782u, 0xc1c12f04u, 0x58f35849u, 0xb1e6b092u
#define BITS5 0xcb5cd3a5u, 0x4dc8a10bu, 0x9b914216u, 0xec53826du, \
	0x03d6029bu, 0x07ac0536u, 0x0f580a6cu, 0x1eb014d8u
#define BITS6 0xa6770bb4u, 0x979f1129u, 0xf44f2413u, 0x33ef4e67u, \
	0x67de9cceu, 0xcfbd399cu, 0x440b7579u, 0x8816eaf2u
#define BITS7 0xccaa009eu, 0x4225077du, 0x844a0efau, 0xd3e51bb5u, \
	0x7cbb312bu, 0xf9766256u, 0x299dc2edu, 0x533b85dau
#define BIT(i, n, v) ((i) >> (n) & 1 ? (v) : 0u)
#define SUM(i, a, b, c, d, e, f, g, h) \
	(BIT(i, 0, a) ^ BIT(i, 1, b) ^ BIT(i, 2, c) ^ BIT(i, 3, d) ^ \
	BIT(i, 4, e) ^ BIT(i, 5, f) ^ BIT(i, 6, g) ^ BIT(i, 7, h))
#define ROW4(i, ...) SUM(4 * (i), __VA_ARGS__), \
	SUM(4 * (i) + 1, __VA_ARGS__), SUM(4 * (i) + 2, __VA_ARGS__), \
	SUM(4 * (i) + 3, __VA_ARGS__)
#define ROW16(i, ...) ROW4(4 * (i), __VA_ARGS__), \
	ROW4(4 * (i) + 1, __VA_ARGS__), ROW4(4 * (i) + 2, __VA_ARGS__), \
	ROW4(4 * (i) + 3, __VA_ARGS__)
#define ROW64(i, ...) ROW16(4 * (i), __VA_ARGS__), \
	ROW16(4 * (i) + 1, __VA_ARGS__), ROW16(4 * (i) + 2, __VA_ARGS__), \
	ROW16(4 * (i) + 3, __VA_ARGS__)
#define ROW(...) { ROW64(0, __VA_ARGS__), ROW64(1, __VA_ARGS__), \
	ROW64(2, __VA_ARGS__), ROW64(3, __VA_ARGS__) }

static const uint32_t crc_table[8][256] = {
	ROW(BITS0), ROW(BITS1), ROW(BITS2), ROW(BITS3),
	ROW(BITS4), ROW(BITS5), ROW(BITS6), ROW(BITS7)
};

static uint32_t little32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	    (uint32_t)p[3] << 24;
}

uint32_t crc32_add(uint32_t crc, struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	size_t n = bytes.n;

	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint32_t lo = little32(p) ^ crc, hi = little32(p + 4);

		crc = crc_table[7][lo & 255] ^ crc_table[6][lo >> 8 & 255] ^
		    crc_table[5][lo >> 16 & 255] ^ crc_table[4][lo >> 24] ^
		    crc_table[3][hi & 255] ^ crc_table[2][hi >> 8 & 255] ^
		    crc_table[1][hi >> 16 & 255] ^ crc_table[0][hi >> 24];
	}
	for (; n; n--)
		crc = crc_table[0][(crc ^ *p++) & 255] ^ crc >> 8;
	return ~crc;
}

/* -- headers -- */

/* Bytes of a value by its type; -1: a length of its own comes first. */
static const signed char type_size[] = { 0, 0, 1, 2, 4, 8, -1, -1, 8, 16 };

static uint64_t big(struct str s)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < s.n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

static int64_t big_signed(struct str s)
{
	uint64_t v = big(s), top;

	if (s.n == 0)
		return 0;
	top = (uint64_t)1 << (8 * s.n - 1);

	/* Sign by arithmetic: no shift of a negative, no cast that overflows. */
	if (v < top)
		return (int64_t)v;
	return -(int64_t)(top - 1 - (v - top)) - 1;
}

/* One header off the front; E_BAD when it doesn't fit into *in (AW-23). */
static int take_header(struct str *in, struct eventstream_header *h)
{
	struct str s = *in;
	size_t n = s.n ? (unsigned char)s.p[0] : 0, type;

	if (n == 0 || s.n < 1 + n + 1)
		return E_BAD;
	h->name = (struct str){ s.p + 1, n };
	type = (unsigned char)s.p[1 + n];
	s = str_from(s, 1 + n + 1);
	if (type >= COUNT(type_size))
		return E_BAD;
	h->type = (enum eventstream_type)type;
	if (type_size[type] >= 0) {
		n = (size_t)type_size[type];
	} else {
		if (s.n < 2)
			return E_BAD;
		n = (size_t)big(str_head(s, 2));
		s = str_from(s, 2);
		if (n > EVENTSTREAM_VALUE_MAX)
			return E_BAD;
	}
	if (s.n < n)
		return E_BAD;
	h->value = (struct str){ s.p, n };
	h->number = type == EVENTSTREAM_TRUE;
	if ((type >= EVENTSTREAM_BYTE && type <= EVENTSTREAM_LONG) ||
	    type == EVENTSTREAM_TIME)
		h->number = big_signed(h->value);
	*in = str_from(s, n);
	return OK;
}

static int headers_ok(struct str headers)
{
	struct eventstream_header h;

	while (headers.n)
		if (take_header(&headers, &h) != OK)
			return 0;
	return 1;
}

int eventstream_header(struct str *rest, struct eventstream_header *h)
{
	return rest->n && take_header(rest, h) == OK;
}

struct str eventstream_get(const struct eventstream_message *m,
    struct str name)
{
	struct str rest = m->headers, found = { NULL, 0 };
	struct eventstream_header h;

	while (eventstream_header(&rest, &h))
		if (h.type == EVENTSTREAM_STRING && str_eq(h.name, name))
			found = h.value;
	return found;
}

/* -- messages -- */

void eventstream_init(struct eventstream *d, size_t payload_max)
{
	memset(d, 0, sizeof(*d));
	d->payload_max = payload_max && payload_max < EVENTSTREAM_PAYLOAD_MAX ?
	    payload_max : EVENTSTREAM_PAYLOAD_MAX;
}

static int fail(struct eventstream *d, enum eventstream_error error)
{
	d->error = error;
	return E_BAD;
}

static int more(struct eventstream *d, size_t need)
{
	d->need = need;
	return E_MORE;
}

int eventstream_next(struct eventstream *d, struct str *in,
    struct eventstream_message *out)
{
	uint64_t total, headers;
	struct str body;
	uint32_t crc;

	if (d->error)
		return E_BAD;
	if (in->n < EVENTSTREAM_PRELUDE)
		return more(d, EVENTSTREAM_PRELUDE);
	crc = crc32_add(0, str_head(*in, 8));
	if (crc != big(str_head(str_from(*in, 8), 4)))
		return fail(d, EVENTSTREAM_PRELUDE_CRC);
	total = big(str_head(*in, 4));
	headers = big(str_head(str_from(*in, 4), 4));
	if (total < EVENTSTREAM_LEAST || headers > EVENTSTREAM_HEADERS_MAX ||
	    headers > total - EVENTSTREAM_LEAST ||
	    total - EVENTSTREAM_LEAST - headers > d->payload_max)
		return fail(d, EVENTSTREAM_LENGTH);
	if (in->n < total)
		return more(d, (size_t)total);

	out->raw = str_head(*in, (size_t)total);
	body = str_head(str_from(out->raw, 8), (size_t)total - 8 - 4);
	if (crc32_add(crc, body) != big(str_from(out->raw, (size_t)total - 4)))
		return fail(d, EVENTSTREAM_MESSAGE_CRC);
	body = str_from(body, 4);
	out->headers = str_head(body, (size_t)headers);
	out->payload = str_from(body, (size_t)headers);
	if (!headers_ok(out->headers))
		return fail(d, EVENTSTREAM_HEADER);
	*in = str_from(*in, (size_t)total);
	d->at += total;
	return OK;
}

int eventstream_end(struct eventstream *d, struct str left)
{
	if (d->error)
		return E_BAD;
	return left.n ? fail(d, EVENTSTREAM_TRUNCATED) : OK;
}

struct str eventstream_text(enum eventstream_error error)
{
	switch (error) {
	case EVENTSTREAM_FINE:
		break;
	case EVENTSTREAM_PRELUDE_CRC:
		return S("frame checksum doesn't match");
	case EVENTSTREAM_LENGTH:
		return S("frame lengths are out of bounds");
	case EVENTSTREAM_MESSAGE_CRC:
		return S("message checksum doesn't match");
	case EVENTSTREAM_HEADER:
		return S("malformed message header");
	case EVENTSTREAM_TRUNCATED:
		return S("stream ended inside a message");
	}
	return S("no error");
}

enum eventstream_kind eventstream_kind(const struct eventstream_message *m,
    struct str *name, struct str *text)
{
	struct str type = eventstream_get(m, S(":message-type"));

	*text = (struct str){ NULL, 0 };
	if (str_eq(type, S("exception"))) {
		*name = eventstream_get(m, S(":exception-type"));
		*text = m->payload;
		return EVENTSTREAM_EXCEPTION;
	}
	if (str_eq(type, S("error"))) {
		*name = eventstream_get(m, S(":error-code"));
		*text = eventstream_get(m, S(":error-message"));
		return EVENTSTREAM_ERROR;
	}
	*name = eventstream_get(m, S(":event-type"));
	if (str_eq(type, S("event")))
		return EVENTSTREAM_EVENT;
	return name->p ? EVENTSTREAM_SKIP : EVENTSTREAM_ALIEN;
}

static struct str without_tail(struct str s)
{
	return str_ends(s, S("Exception")) ?
	    str_head(s, s.n - sizeof("Exception") + 1) : s;
}

int eventstream_is(struct str name, struct str what)
{
	name = without_tail(name);
	what = without_tail(what);
	return name.n == what.n && (name.n == 0 ||
	    (str_ieq(str_head(name, 1), str_head(what, 1)) &&
	    str_eq(str_from(name, 1), str_from(what, 1))));
}
