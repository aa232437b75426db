/* jsonchar.h -- what json.c and jstr.c share: the bytes of JSON text, and
 * steps over many of them at once. Private to the two.
 *
 * SPDX-License-Identifier: MIT */
#ifndef JSONCHAR_H
#define JSONCHAR_H

#include "../base/base.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#include <arm_neon.h>
#define JSON_NEON 1
#endif

static inline int is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline int is_mark(char c)
{
	return c == '"' || c == '\\';
}

static inline int is_plain(char c)
{
	return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 &&
	    !is_mark(c);
}

/* Below, `all` is a constant for the compiler: 1 stops at every byte that is
 * not plain (quote, backslash, control, not ASCII), 0 at the first two only.
 * Each variant looks at 16 bytes and returns a bit for each byte, the first
 * one's lowest: backs() sets those of backslashes, others() the rest of where
 * it stops, stops() both. */

#if defined(__SSE2__)

static inline __m128i block(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline uint64_t bits(__m128i v)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(v);
}

static inline __m128i is_back(__m128i v)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
}

static inline __m128i is_other(__m128i v, int all)
{
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));

	/* The comparison is signed: what isn't ASCII is negative. */
	return all ? _mm_or_si128(quote,
	    _mm_cmplt_epi8(v, _mm_set1_epi8(0x20))) : quote;
}

static inline __m128i is_letter(__m128i v)
{
	return _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
	    _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('n')),
	    _mm_cmpeq_epi8(v, _mm_set1_epi8('t'))));
}

static inline uint64_t stops(const char *p, int all)
{
	return bits(_mm_or_si128(is_back(block(p)), is_other(block(p), all)));
}
#elif defined(JSON_NEON)

static inline uint8x16_t block(const char *p)
{
	return vld1q_u8((const uint8_t *)p);
}

static inline uint64_t bits(uint8x16_t v)
{
	static const uint8_t weight[16] = {
		1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128
	};

	v = vandq_u8(v, vld1q_u8(weight));
	return (uint64_t)vaddv_u8(vget_low_u8(v)) |
	    (uint64_t)vaddv_u8(vget_high_u8(v)) << 8;
}

static inline uint8x16_t is_back(uint8x16_t v)
{
	return vceqq_u8(v, vdupq_n_u8('\\'));
}

static inline uint8x16_t is_other(uint8x16_t v, int all)
{
	uint8x16_t quote = vceqq_u8(v, vdupq_n_u8('"'));

	return all ? vorrq_u8(quote, vcltq_s8(vreinterpretq_s8_u8(v),
	    vdupq_n_s8(0x20))) : quote;
}

static inline uint8x16_t is_letter(uint8x16_t v)
{
	return vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')),
	    vorrq_u8(vceqq_u8(v, vdupq_n_u8('n')),
	    vceqq_u8(v, vdupq_n_u8('t'))));
}

static inline uint64_t stops(const char *p, int all)
{
	return bits(vorrq_u8(is_back(block(p)), is_other(block(p), all)));
}
#else
struct block {
	uint64_t half[2];	/* each eight bytes, the first one lowest */
};

static inline uint64_t word(const char *p)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	uint64_t v;

	memcpy(&v, p, sizeof v);
#else
	const unsigned char *u = (const unsigned char *)p;
	uint64_t v = 0;
	int i;

	for (i = 0; i < 8; i++)
		v |= (uint64_t)u[i] << 8 * i;
#endif
	return v;
}

static inline struct block block(const char *p)
{
	return (struct block){ { word(p), word(p + 8) } };
}

/* Bit 8i + 7 becomes bit 56 + i; no two products meet. */
static inline uint64_t bits(struct block v)
{
	return (v.half[0] >> 7) * 0x0102040810204080u >> 56 |
	    (v.half[1] >> 7) * 0x0102040810204080u >> 56 << 8;
}

/* The top bit of each byte of v that is zero. Exact: the sum of seven bits
 * and 0x7f never carries into the next byte. */
static inline uint64_t zeros(uint64_t v)
{
	const uint64_t seven = ~(uint64_t)0 / 255 * 0x7f;

	return ~(((v & seven) + seven) | v | seven);
}

static inline struct block equal(struct block v, char c)
{
	const uint64_t all = ~(uint64_t)0 / 255 * (unsigned char)c;

	return (struct block){ { zeros(v.half[0] ^ all),
	    zeros(v.half[1] ^ all) } };
}

static inline struct block is_back(struct block v)
{
	return equal(v, '\\');
}

static inline struct block is_letter(struct block v)
{
	struct block q = equal(v, '"'), n = equal(v, 'n'), t = equal(v, 't');

	return (struct block){ { q.half[0] | n.half[0] | t.half[0],
	    q.half[1] | n.half[1] | t.half[1] } };
}

static inline struct block is_other(struct block v, int all)
{
	const uint64_t ones = ~(uint64_t)0 / 255;
	int i;

	for (i = 0; i < 2; i++) {
		uint64_t h = v.half[i], stop = zeros(h ^ ones * '"');

		/* A control has none of the upper three bits. */
		if (all)
			stop |= zeros(h & ones * 0xe0) | (h & ones * 0x80);
		v.half[i] = stop;
	}
	return v;
}

static inline uint64_t stops(const char *p, int all)
{
	return bits(is_back(block(p))) | bits(is_other(block(p), all));
}
#endif

static inline uint64_t backs(const char *p)
{
	return bits(is_back(block(p)));
}

static inline uint64_t others(const char *p)
{
	return bits(is_other(block(p), 0));
}

static inline uint64_t others_all(const char *p)
{
	return bits(is_other(block(p), 1));
}

/* What most backslashes stand before. */
static inline uint64_t letters16(const char *p)
{
	return bits(is_letter(block(p)));
}

/* The same of 64 bytes. */
static inline uint64_t four(uint64_t (*of)(const char *), const char *p)
{
	return of(p) | of(p + 16) << 16 | of(p + 32) << 32 | of(p + 48) << 48;
}

static inline size_t lowest(uint64_t bits)
{
#if defined(__GNUC__)
	return (size_t)__builtin_ctzll(bits);
#else
	size_t i = 0;

	while (!(bits >> i & 1))
		i++;
	return i;
#endif
}

static inline const char *run_end(const char *p, const char *end, int all)
{
	uint64_t stop;

	for (; end - p >= 16; p += 16) {
		stop = stops(p, all);
		if (stop)
			return p + lowest(stop);
	}
	while (p < end && (all ? is_plain(*p) : !is_mark(*p)))
		p++;
	return p;
}

static inline const char *plain_end(const char *p, const char *end)
{
	return run_end(p, end, 1);
}

static inline const char *mark_end(const char *p, const char *end)
{
	return run_end(p, end, 0);
}

static inline int is_short_escape(char c)
{
	static const char yes[256] = {
		['"'] = 1, ['\\'] = 1, ['/'] = 1, ['b'] = 1, ['f'] = 1,
		['n'] = 1, ['r'] = 1, ['t'] = 1
	};

	return yes[(unsigned char)c];
}

static inline int at_short_escape(const char *p)
{
	return p[0] == '\\' && is_short_escape(p[1]);
}

/* Of 64 bytes, behind a backslash if *carry: past them when all is simple, and
 * *carry is set anew; otherwise where something else stands. */
static inline const char *skip_block(const char *p, int all, uint64_t *carry)
{
	uint64_t back = four(backs, p), letters = four(letters16, p);
	uint64_t other = all ? four(others_all, p) : four(others, p);
	uint64_t escaped = back << 1 | *carry, left, low, odd;
	size_t end;

	letters |= back;
	/* Of backslashes in a row every second one escapes. */
	if (back & escaped) {
		left = back & ~*carry;
		for (back = 0; left; left &= ~(low << 1)) {
			low = left & (~left + 1);
			back |= low;
			left ^= low;
		}
		escaped = back << 1 | *carry;
	}
	other &= ~escaped;
	end = other ? lowest(other) : 64;
	for (odd = escaped & ~letters & ~*carry; odd; odd &= odd - 1)
		if (!is_short_escape(p[lowest(odd)]))
			return p + (lowest(odd) < end ? lowest(odd) - 1 : end);
	*carry = back >> 63;
	if (*carry && end == 64 && !is_short_escape(p[64]))
		return p + 63;
	return p + end;
}

/* Like run_end, but goes on past escapes of two bytes, of which program text
 * is full. All stops of 64 bytes are known before the first is looked at, and
 * the step is always the same, so that nothing waits for where the last escape
 * ended. */
static inline const char *skip_simple(const char *p, const char *end, int all)
{
	/* 1 when the last byte was a backslash, and the next one is done. */
	uint64_t carry = 0, stop;
	const char *to;

	/* More than 64: the last of them may be a backslash. */
	while (end - p > 64) {
		stop = stops(p, all) & ~carry;
		if (!stop) {
			carry = 0;
			p += 16;
			continue;
		}
		/* Most strings end here. */
		if (!at_short_escape(p + lowest(stop)))
			return p + lowest(stop);
		to = skip_block(p, all, &carry);
		if (to < p + 64)
			return to;
		p = to;
	}
	p += carry;
	while ((p = run_end(p, end, all)) < end && end - p > 1 &&
	    at_short_escape(p))
		p += 2;
	return p;
}

static inline const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static inline int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The four digits of a \u escape; -1 when they aren't. */
static inline int hex4(const char *p)
{
	int i, d, v = 0;

	for (i = 0; i < 4; i++) {
		d = hex_value(p[i]);
		if (d < 0)
			return -1;
		v = v << 4 | d;
	}
	return v;
}

#endif
