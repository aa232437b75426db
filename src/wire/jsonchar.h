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
 * one's lowest, that is set where it stops. */

#if defined(__SSE2__)

static inline uint64_t stops(const char *p, int all)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
	    _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));

	/* The comparison is signed: what isn't ASCII is negative. */
	if (all)
		stop = _mm_or_si128(stop,
		    _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
	return (uint64_t)(unsigned)_mm_movemask_epi8(stop);
}
#elif defined(JSON_NEON)

static inline uint64_t stops(const char *p, int all)
{
	static const uint8_t weight[16] = {
		1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128
	};
	uint8x16_t v = vld1q_u8((const uint8_t *)p);
	uint8x16_t stop = vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')),
	    vceqq_u8(v, vdupq_n_u8('\\')));

	if (all)
		stop = vorrq_u8(stop, vcltq_s8(vreinterpretq_s8_u8(v),
		    vdupq_n_s8(0x20)));
	stop = vandq_u8(stop, vld1q_u8(weight));
	return (uint64_t)vaddv_u8(vget_low_u8(stop)) |
	    (uint64_t)vaddv_u8(vget_high_u8(stop)) << 8;
}
#else
/* Eight bytes, the first one lowest. */
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

/* The top bit of each byte of v that is zero. Exact: the sum of seven bits
 * and 0x7f never carries into the next byte. */
static inline uint64_t zeros(uint64_t v)
{
	const uint64_t seven = ~(uint64_t)0 / 255 * 0x7f;

	return ~(((v & seven) + seven) | v | seven);
}

static inline uint64_t stops8(uint64_t v, int all)
{
	const uint64_t ones = ~(uint64_t)0 / 255;
	uint64_t stop;

	stop = zeros(v ^ ones * '"') | zeros(v ^ ones * '\\');
	/* A control has none of the upper three bits. */
	if (all)
		stop |= zeros(v & ones * 0xe0) | (v & ones * 0x80);
	/* Bit 8i becomes bit 56 + i; no two products meet. */
	return (stop >> 7) * 0x0102040810204080u >> 56;
}

static inline uint64_t stops(const char *p, int all)
{
	return stops8(word(p), all) | stops8(word(p + 8), all) << 8;
}
#endif

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

/* Like run_end, but goes on past escapes of two bytes, of which program text
 * is full. All stops of 64 bytes are known before the first is looked at, and
 * the step is always the same, so that nothing waits for where the last escape
 * ended. */
static inline const char *skip_simple(const char *p, const char *end, int all)
{
	/* 1 when the last byte was a backslash, and the next one is done. */
	uint64_t carry = 0, stop, low;

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
		stop |= stops(p + 16, all) << 16 | stops(p + 32, all) << 32 |
		    stops(p + 48, all) << 48;
		for (carry = 0; stop; stop &= ~(low << 1)) {
			if (!at_short_escape(p + lowest(stop)))
				return p + lowest(stop);
			low = stop & (~stop + 1);
			carry = low >> 63;
			stop ^= low;
		}
		p += 64;
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
