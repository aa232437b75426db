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
 * Each variant tells how many bytes at p come before such a one, up to WIDE. */

#if defined(__SSE2__)
enum { WIDE = 16 };

static inline size_t wide_run(const char *p, int all)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i stop = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
	    _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	unsigned bits;

	/* The comparison is signed: what isn't ASCII is negative. */
	if (all)
		stop = _mm_or_si128(stop,
		    _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
	bits = (unsigned)_mm_movemask_epi8(stop);
	return bits ? (size_t)__builtin_ctz(bits) : WIDE;
}
#elif defined(JSON_NEON)
enum { WIDE = 16 };

static inline size_t wide_run(const char *p, int all)
{
	uint8x16_t v = vld1q_u8((const uint8_t *)p);
	uint8x16_t stop = vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')),
	    vceqq_u8(v, vdupq_n_u8('\\')));
	uint64_t bits;

	if (all)
		stop = vorrq_u8(stop, vcltq_s8(vreinterpretq_s8_u8(v),
		    vdupq_n_s8(0x20)));
	/* Four bits a byte: the nearest thing to a mask of bytes. */
	bits = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(
	    vreinterpretq_u16_u8(stop), 4)), 0);
	return bits ? (size_t)__builtin_ctzll(bits) / 4 : WIDE;
}
#else
enum { WIDE = 8 };

/* Nonzero when a byte of v is below n, for n up to 0x80 and bytes of ASCII;
 * wrong only about which byte it was, after a right one. */
static inline uint64_t has_below(uint64_t v, uint64_t n)
{
	const uint64_t ones = ~(uint64_t)0 / 255;

	return (v - ones * n) & ~v & ones * 0x80;
}

static inline size_t wide_run(const char *p, int all)
{
	const uint64_t ones = ~(uint64_t)0 / 255;
	uint64_t v, stop;
	size_t i;

	memcpy(&v, p, sizeof v);
	stop = has_below(v ^ ones * '"', 1) | has_below(v ^ ones * '\\', 1);
	if (all)
		stop |= has_below(v, 0x20) | (v & ones * 0x80);
	if (!stop)
		return WIDE;
	/* Whichever end of the word comes first: bytes know. */
	for (i = 0; i < WIDE; i++)
		if (all ? !is_plain(p[i]) : is_mark(p[i]))
			break;
	return i;
}
#endif

static inline const char *run_end(const char *p, const char *end, int all)
{
	size_t n;

	while ((size_t)(end - p) >= WIDE) {
		n = wide_run(p, all);
		p += n;
		if (n < WIDE)
			return p;
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
