/* sha256.c -- SHA-256 and HMAC-SHA-256: portable, and with the CPU's help.
 *
 * One compression function in up to three forms. x86 asks the CPU at run
 * time; ARMv8 decides when compiled (asking there needs the system, which
 * this floor doesn't know). The answer is kept with the digest, as anything
 * wider would be a global that changes, and is asked for by the first run
 * that is long enough to repay the question: a hypervisor must emulate it.
 *
 * No memory but the caller's. Not a defence against timing of table look-ups:
 * there are none in any form. What held key bytes on the stack is wiped.
 *
 * SPDX-License-Identifier: MIT */
#include "sha256.h"

#if (defined(__x86_64__) || defined(__i386__)) && defined(__GNUC__)
#define SHA256_X86 1
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && \
	!defined(__AARCH64EB__) && \
	(defined(__ARM_FEATURE_SHA2) || defined(__ARM_FEATURE_CRYPTO))
#define SHA256_ARM 1
#include <arm_neon.h>
#endif

#ifdef SHA256_X86
enum { UNKNOWN, PORTABLE, FAST };	/* struct sha256's form */
#endif

enum {
	ROUNDS = 64,
	ASK_BLOCKS = 48		/* 3 KiB take 9 us in portable form, 2 with the
				 * CPU's help; asking, when a hypervisor
				 * emulates CPUID, takes up to 7 */
};

static const uint32_t k256[ROUNDS] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5,
	0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
	0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
	0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
	0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5,
	0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
	0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t ror(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	    (uint32_t)u[2] << 8 | u[3];
}

static void store32(unsigned char *p, uint32_t v)
{
	p[0] = (unsigned char)(v >> 24);
	p[1] = (unsigned char)(v >> 16);
	p[2] = (unsigned char)(v >> 8);
	p[3] = (unsigned char)v;
}

/* One round, with the eight names rotated by the caller instead of moved.
 * The majority of a, b, c is b where a and b agree and otherwise c, which is
 * b ^ ((a ^ b) & (b ^ c)); a ^ b is the next round's b ^ c, and returned. */
static inline uint32_t step(uint32_t a, uint32_t b, uint32_t bc, uint32_t *d,
	uint32_t e, uint32_t f, uint32_t g, uint32_t *h, uint32_t kw)
{
	uint32_t ab = a ^ b, t = *h + kw + (g ^ (e & (f ^ g))) +
	    (ror(e, 6) ^ ror(e, 11) ^ ror(e, 25));

	*d += t;
	*h = t + (ror(a, 2) ^ ror(a, 13) ^ ror(a, 22)) + (b ^ (ab & bc));
	return ab;
}

static void schedule(uint32_t w[ROUNDS], const char *p)
{
	int i;

	for (i = 0; i < 16; i++)
		w[i] = load32(p + 4 * i);
	for (; i < ROUNDS; i++) {
		uint32_t x = w[i - 15], y = w[i - 2];

		w[i] = w[i - 16] + (ror(x, 7) ^ ror(x, 18) ^ x >> 3) +
		    w[i - 7] + (ror(y, 17) ^ ror(y, 19) ^ y >> 10);
	}
}

/* Where the other form is certain, only the tests compare with this one. */
#ifdef SHA256_ARM
__attribute__((unused))
#endif
static void blocks_portable(uint32_t s[8], const char *p, size_t n)
{
	uint32_t w[ROUNDS], x;
	uint32_t a = s[0], b = s[1], c = s[2], d = s[3];
	uint32_t e = s[4], f = s[5], g = s[6], h = s[7];
	int i;

	for (; n; n--, p += SHA256_BLOCK) {
		schedule(w, p);
		x = b ^ c;
		for (i = 0; i < ROUNDS; i += 8) {
			const uint32_t *k = k256 + i, *v = w + i;

			x = step(a, b, x, &d, e, f, g, &h, k[0] + v[0]);
			x = step(h, a, x, &c, d, e, f, &g, k[1] + v[1]);
			x = step(g, h, x, &b, c, d, e, &f, k[2] + v[2]);
			x = step(f, g, x, &a, b, c, d, &e, k[3] + v[3]);
			x = step(e, f, x, &h, a, b, c, &d, k[4] + v[4]);
			x = step(d, e, x, &g, h, a, b, &c, k[5] + v[5]);
			x = step(c, d, x, &f, g, h, a, &b, k[6] + v[6]);
			x = step(b, c, x, &e, f, g, h, &a, k[7] + v[7]);
		}
		a = s[0] += a;
		b = s[1] += b;
		c = s[2] += c;
		d = s[3] += d;
		e = s[4] += e;
		f = s[5] += f;
		g = s[6] += g;
		h = s[7] += h;
	}
}

#ifdef SHA256_X86
#define X86_SHA __attribute__((target("sha,sse4.1,ssse3")))

/* Leaf 7 says whether there is SHA; no CPU has that without SSSE3 and SSE4.1,
 * which the code around it uses. All of it works in SSE registers, so whether
 * the system saves those needs no question. */
static int x86_has_sha(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}

/* Four rounds: two with the low half of w + k, two with the high. */
X86_SHA
static inline void x86_rounds(__m128i *abef, __m128i *cdgh, __m128i w, int i)
{
	__m128i kw = _mm_add_epi32(w,
	    _mm_loadu_si128((const __m128i *)(const void *)(k256 + i)));

	*cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, kw);
	*abef = _mm_sha256rnds2_epu32(*abef, *cdgh,
	    _mm_shuffle_epi32(kw, 0x0e));
}

/* The four words that follow the sixteen of a, b, c, d. */
X86_SHA
static inline __m128i x86_next(__m128i a, __m128i b, __m128i c, __m128i d)
{
	return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b),
	    _mm_alignr_epi8(d, c, 4)), d);
}

X86_SHA
static inline __m128i x86_load(const char *p)
{
	return _mm_shuffle_epi8(
	    _mm_loadu_si128((const __m128i *)(const void *)p),
	    _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

X86_SHA
static void blocks_x86(uint32_t h[8], const char *p, size_t n)
{
	__m128i *state = (__m128i *)(void *)h;
	__m128i lo, hi, abef, cdgh, a, b, c, d, abef0, cdgh0;
	int i;

	/* The instructions want the words a b e f and c d g h, highest first. */
	lo = _mm_shuffle_epi32(_mm_loadu_si128(state), 0xb1);
	hi = _mm_shuffle_epi32(_mm_loadu_si128(state + 1), 0x1b);
	abef = _mm_alignr_epi8(lo, hi, 8);
	cdgh = _mm_blend_epi16(hi, lo, 0xf0);
	for (; n; n--, p += SHA256_BLOCK) {
		abef0 = abef;
		cdgh0 = cdgh;
		a = x86_load(p);
		b = x86_load(p + 16);
		c = x86_load(p + 32);
		d = x86_load(p + 48);
		for (i = 0; ; i += 16) {
			x86_rounds(&abef, &cdgh, a, i);
			x86_rounds(&abef, &cdgh, b, i + 4);
			x86_rounds(&abef, &cdgh, c, i + 8);
			x86_rounds(&abef, &cdgh, d, i + 12);
			if (i == ROUNDS - 16)
				break;
			a = x86_next(a, b, c, d);
			b = x86_next(b, c, d, a);
			c = x86_next(c, d, a, b);
			d = x86_next(d, a, b, c);
		}
		abef = _mm_add_epi32(abef, abef0);
		cdgh = _mm_add_epi32(cdgh, cdgh0);
	}
	lo = _mm_shuffle_epi32(abef, 0x1b);
	hi = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128(state, _mm_blend_epi16(lo, hi, 0xf0));
	_mm_storeu_si128(state + 1, _mm_alignr_epi8(hi, lo, 8));
}
#endif

#ifdef SHA256_ARM
static inline void arm_rounds(uint32x4_t *abcd, uint32x4_t *efgh,
	uint32x4_t w, int i)
{
	uint32x4_t kw = vaddq_u32(w, vld1q_u32(k256 + i)), was = *abcd;

	*abcd = vsha256hq_u32(was, *efgh, kw);
	*efgh = vsha256h2q_u32(*efgh, was, kw);
}

static inline uint32x4_t arm_next(uint32x4_t a, uint32x4_t b, uint32x4_t c,
	uint32x4_t d)
{
	return vsha256su1q_u32(vsha256su0q_u32(a, b), c, d);
}

static inline uint32x4_t arm_load(const char *p)
{
	return vreinterpretq_u32_u8(vrev32q_u8(
	    vld1q_u8((const uint8_t *)p)));
}

static void blocks_arm(uint32_t h[8], const char *p, size_t n)
{
	uint32x4_t abcd = vld1q_u32(h), efgh = vld1q_u32(h + 4);
	uint32x4_t a, b, c, d, abcd0, efgh0;
	int i;

	for (; n; n--, p += SHA256_BLOCK) {
		abcd0 = abcd;
		efgh0 = efgh;
		a = arm_load(p);
		b = arm_load(p + 16);
		c = arm_load(p + 32);
		d = arm_load(p + 48);
		for (i = 0; ; i += 16) {
			arm_rounds(&abcd, &efgh, a, i);
			arm_rounds(&abcd, &efgh, b, i + 4);
			arm_rounds(&abcd, &efgh, c, i + 8);
			arm_rounds(&abcd, &efgh, d, i + 12);
			if (i == ROUNDS - 16)
				break;
			a = arm_next(a, b, c, d);
			b = arm_next(b, c, d, a);
			c = arm_next(c, d, a, b);
			d = arm_next(d, a, b, c);
		}
		abcd = vaddq_u32(abcd, abcd0);
		efgh = vaddq_u32(efgh, efgh0);
	}
	vst1q_u32(h, abcd);
	vst1q_u32(h + 4, efgh);
}
#endif

static void blocks(struct sha256 *s, const char *p, size_t n)
{
#if defined(SHA256_X86)
	if (s->form == UNKNOWN && n >= ASK_BLOCKS)
		s->form = x86_has_sha() ? FAST : PORTABLE;
	if (s->form == FAST)
		blocks_x86(s->h, p, n);
	else
		blocks_portable(s->h, p, n);
#elif defined(SHA256_ARM)
	blocks_arm(s->h, p, n);
#else
	blocks_portable(s->h, p, n);
#endif
}

/* A plain memset of what is dead afterwards would be left out. */
static void wipe(void *p, size_t n)
{
	volatile unsigned char *v = p;

	while (n--)
		*v++ = 0;
}

void sha256_init(struct sha256 *s)
{
	static const uint32_t start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
	};

	memcpy(s->h, start, sizeof(start));
	s->n = 0;
	s->form = 0;
}

void sha256_init_as(struct sha256 *s, const struct sha256 *other)
{
	sha256_init(s);
	s->form = other->form;
}

void sha256_add(struct sha256 *s, struct str bytes)
{
	size_t have = (size_t)(s->n % SHA256_BLOCK), n;

	s->n += bytes.n;
	if (have) {
		n = SHA256_BLOCK - have;
		if (n > bytes.n)
			n = bytes.n;
		if (n)
			memcpy(s->block + have, bytes.p, n);
		if (have + n < SHA256_BLOCK)
			return;
		blocks(s, (const char *)s->block, 1);
		bytes = str_from(bytes, n);
	}
	n = bytes.n / SHA256_BLOCK;
	if (n)
		blocks(s, bytes.p, n);
	bytes = str_from(bytes, n * SHA256_BLOCK);
	if (bytes.n)
		memcpy(s->block, bytes.p, bytes.n);
}

void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE])
{
	size_t have = (size_t)(s->n % SHA256_BLOCK);
	uint64_t bits = s->n << 3;
	int i;

	s->block[have++] = 0x80;
	if (have > SHA256_BLOCK - 8) {
		memset(s->block + have, 0, SHA256_BLOCK - have);
		blocks(s, (const char *)s->block, 1);
		have = 0;
	}
	memset(s->block + have, 0, SHA256_BLOCK - 8 - have);
	store32(s->block + SHA256_BLOCK - 8, (uint32_t)(bits >> 32));
	store32(s->block + SHA256_BLOCK - 4, (uint32_t)bits);
	blocks(s, (const char *)s->block, 1);
	for (i = 0; i < 8; i++)
		store32(out + 4 * i, s->h[i]);
	wipe(s, sizeof(*s));
}

void sha256(unsigned char out[SHA256_SIZE], struct str bytes)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, bytes);
	sha256_end(&s, out);
}

void hmac_sha256(unsigned char out[SHA256_SIZE], struct str key,
	struct str bytes)
{
	unsigned char pad[SHA256_BLOCK] = { 0 };
	struct str block = { (const char *)pad, sizeof(pad) };
	struct sha256 s;
	size_t i;

	if (key.n > sizeof(pad))
		sha256(pad, key);
	else if (key.n)
		memcpy(pad, key.p, key.n);
	for (i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36;
	sha256_init(&s);
	sha256_add(&s, block);
	sha256_add(&s, bytes);
	sha256_end(&s, out);
	for (i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	sha256_init(&s);
	sha256_add(&s, block);
	sha256_add(&s, (struct str){ (const char *)out, SHA256_SIZE });
	sha256_end(&s, out);
	wipe(pad, sizeof(pad));
}
