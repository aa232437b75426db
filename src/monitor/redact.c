/* redact.c -- finds keys by value and by shape, in pieces cut anywhere.
 *
 * Speed matters, as whole requests pass through. Every key is a long run of
 * the bytes that words are made of, so skip() looks, at 64 bytes in one go, only
 * where such runs begin; for the last few bytes of a piece it is a table look-up
 * a byte. step() takes as much as it can decide; what it leaves is the beginning
 * of something, held until more has come.
 *
 * Escapes of JSON are read as blanks, so that "\nsk-..." is the beginning of
 * a word although an n stands before it.
 *
 * SPDX-License-Identifier: MIT */
#include "redact.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#include <arm_neon.h>
#define REDACT_NEON 1
#endif

enum {
	WORD = 1,		/* may stand in a key */
	START = 2,		/* a shape may begin with it, at a word's start */
	KNOWN = 4,		/* a known value begins with it, anywhere */
	BREAK = 8,		/* of a word, but one may begin behind it */
	ESCAPE = 16,		/* a backslash */
	RUN_MIN = 10,		/* bytes of a word that each key has together */
	BLOCK = 64,		/* bytes looked at in one go */
	SECRET_MIN = 6,		/* a placeholder such as "none" is no secret */
	JWT_DOT = 200,		/* the first dot comes within so many bytes */
	BEARER_MIN = 12, BEARER_SURE = 24,
	PEM_WORDS = 40,		/* "-----BEGIN ... PRIVATE KEY" fits */
	PEM_END = 64,		/* "-----END ... PRIVATE KEY-----" fits */
	PEM_MAX = 16384
};

enum { OUTSIDE, IN_KEY, IN_PEM };

static const char *const kind_names[RK_KINDS] = {
	"configured_key", "anthropic_key", "openrouter_key", "openai_key",
	"aws_key", "github_token", "slack_token", "google_key",
	"private_key", "jwt", "bearer", "api_key", "header"
};

const char *redact_kind_name(enum redact_kind k)
{
	return kind_names[k];
}

/* Longer ones first, where one begins like another. rest: bytes that must
 * follow for it to be a key and not a word of prose. */
static const struct shape {
	const char *begin;
	unsigned char kind, rest;
} shapes[] = {
	{ "sk-ant-", RK_ANTHROPIC, 8 }, { "sk-or-", RK_OPENROUTER, 8 },
	{ "sk-", RK_OPENAI, 12 }, { "sk_", RK_API, 12 },
	{ "pk-", RK_API, 16 }, { "AKIA", RK_AWS, 12 }, { "ASIA", RK_AWS, 12 },
	{ "ABSK", RK_AWS, 24 }, { "ghp_", RK_GITHUB, 12 },
	{ "gho_", RK_GITHUB, 12 }, { "ghu_", RK_GITHUB, 12 },
	{ "ghs_", RK_GITHUB, 12 }, { "ghr_", RK_GITHUB, 12 },
	{ "github_pat_", RK_GITHUB, 12 }, { "glpat-", RK_API, 12 },
	{ "xoxb-", RK_SLACK, 8 }, { "xoxp-", RK_SLACK, 8 },
	{ "xoxa-", RK_SLACK, 8 }, { "xoxr-", RK_SLACK, 8 },
	{ "xoxs-", RK_SLACK, 8 }, { "AIza", RK_GOOGLE, 16 },
	{ "hf_", RK_API, 16 }, { "gsk_", RK_API, 16 },
	{ "nvapi-", RK_API, 12 }, { "r8_", RK_API, 16 }
};

static size_t pair(const char *two)
{
	return (size_t)(unsigned char)two[0] << 8 | (unsigned char)two[1];
}

static int has_pair(const unsigned char *pairs, const char *two)
{
	return pairs[pair(two) >> 3] >> (pair(two) & 7) & 1;
}

static void mark(struct redact_set *set, unsigned char *pairs, int flag,
    const char *begin)
{
	set->byte[(unsigned char)begin[0]] |= (unsigned char)flag;
	pairs[pair(begin) >> 3] |= (unsigned char)(1 << (pair(begin) & 7));
}

/* A known value may be shorter than keys are, or hold other bytes. */
static void add_known(struct redact_set *set, struct str secret)
{
	size_t i;

	mark(set, set->known, KNOWN, secret.p);
	for (i = 0; i < set->nfirst && i < REDACT_FIRST; i++)
		if (set->first[i] == secret.p[0])
			break;
	if (i == set->nfirst || i == REDACT_FIRST) {
		if (i < REDACT_FIRST)
			set->first[i] = secret.p[0];
		set->nfirst = i + 1;
	}
	for (i = 0; i < secret.n; i++)
		if (!(set->byte[(unsigned char)secret.p[i]] & WORD))
			break;
	if (i < secret.n)
		set->odd = 1;
	else if (secret.n < set->run)
		set->run = secret.n;
}

/* Whether anything begins with these two bytes, or may with this one. */
static int may_begin(const struct redact_set *set, struct str s, unsigned word)
{
	return s.n < 2 || (!word && has_pair(set->start, s.p)) ||
	    has_pair(set->known, s.p);
}

void redact_set_init(struct redact_set *set, const struct str *secrets,
    size_t n)
{
	static const char other[] = "-_./+=~";
	static const char *const more[] = {
		"ey", "--", "be", "bE", "Be", "BE", "ba", "bA", "Ba", "BA"
	};
	size_t i;
	int c;

	memset(set, 0, sizeof *set);
	set->secrets = secrets;
	set->nsecrets = n;
	set->run = RUN_MIN;
	for (c = 0; c < 256; c++)
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') ||
		    (c && memchr(other, c, sizeof other - 1)))
			set->byte[c] = WORD;
	set->byte['='] |= BREAK;
	set->byte['/'] |= BREAK;
	set->byte['\\'] = ESCAPE;
	for (i = 0; i < COUNT(shapes); i++)
		mark(set, set->start, START, shapes[i].begin);
	/* A JWT, a PEM block, Bearer, Basic. */
	for (i = 0; i < COUNT(more); i++)
		mark(set, set->start, START, more[i]);
	for (i = 0; i < n; i++)
		if (secrets[i].n >= SECRET_MIN)
			add_known(set, secrets[i]);
}

void redact_begin(struct redact *r, struct redact_set *set)
{
	r->set = set;
	r->inside = OUTSIDE;
	r->word = 0;
	r->n = 0;
	r->nheld = 0;
}

static void put_number(struct buf *out, uint64_t n)
{
	buf_u64(out, n);
	buf_chr(out, ']');
}

static void replace(struct redact *r, struct buf *out)
{
	buf_put(out, S("[redacted "));
	buf_put(out, str_of(kind_names[r->kind]));
	buf_put(out, S(" len="));
	put_number(out, r->n);
	r->set->count[r->kind]++;
	r->inside = OUTSIDE;
	r->word = 0;
}

static int is_word(const struct redact *r, char c)
{
	return r->set->byte[(unsigned char)c] & WORD;
}

static size_t run(const struct redact *r, struct str s)
{
	size_t n = 0;

	while (n < s.n && is_word(r, s.p[n]))
		n++;
	return n;
}

/* How much of s the text begins with; both ways, as either may be shorter. */
static int begins(struct str s, struct str with)
{
	size_t n = s.n < with.n ? s.n : with.n;

	return memcmp(s.p, with.p, n) == 0;
}

static int ibegins(struct str s, struct str with)
{
	return str_ieq(str_head(s, with.n), str_head(with, s.n));
}

static void enter(struct redact *r, int inside, enum redact_kind kind)
{
	r->inside = (unsigned char)inside;
	r->kind = (unsigned char)kind;
	r->n = 0;
}

/* The tests below say E_NONE (nothing begins here), E_MORE (perhaps; wait) or
 * OK (*take bytes are taken, as they are or swallowed). */

static int try_known(struct redact *r, struct buf *out, struct str s,
    int final, size_t *take)
{
	const struct str *k;
	size_t i;

	for (i = 0; i < r->set->nsecrets; i++) {
		k = &r->set->secrets[i];
		if (k->n < SECRET_MIN || !begins(s, *k))
			continue;
		if (s.n < k->n) {
			if (!final && k->n < REDACT_HOLD)
				return E_MORE;
			continue;
		}
		enter(r, OUTSIDE, RK_CONFIGURED);
		r->n = k->n;
		replace(r, out);
		*take = k->n;
		return OK;
	}
	return E_NONE;
}

static int try_shape(struct redact *r, struct str s, int final)
{
	struct str begin;
	size_t i, n;

	for (i = 0; i < COUNT(shapes); i++) {
		begin = str_of(shapes[i].begin);
		if (!begins(s, begin))
			continue;
		n = run(r, s);
		if (n >= begin.n + shapes[i].rest) {
			enter(r, IN_KEY, (enum redact_kind)shapes[i].kind);
			return OK;
		}
		if (n == s.n && !final)
			return E_MORE;
	}
	return E_NONE;
}

/* header.payload.signature, each base64url; header and payload are JSON. */
static int try_jwt(struct redact *r, struct str s, int final)
{
	struct str more;
	size_t n;

	if (!begins(s, S("eyJ")))
		return E_NONE;
	n = run(r, s);
	if (n < RUN_MIN)
		return n == s.n && !final ? E_MORE : E_NONE;
	n = str_chr(str_head(s, JWT_DOT), '.');
	if (run(r, str_head(s, n)) < n)
		return E_NONE;
	more = str_from(s, n);
	if (n < JWT_DOT && begins(more, S(".eyJ"))) {
		if (more.n >= 4) {
			enter(r, IN_KEY, RK_JWT);
			return OK;
		}
		return final ? E_NONE : E_MORE;
	}
	return E_NONE;
}

static int try_bearer(struct redact *r, struct buf *out, struct str s,
    int final, size_t *take)
{
	struct str word = ibegins(s, S("bearer ")) ? S("bearer ") :
	    S("basic "), rest;
	size_t n, i;

	if (!ibegins(s, word))
		return E_NONE;
	if (s.n < word.n)
		return final ? E_NONE : E_MORE;
	rest = str_from(s, word.n);
	n = run(r, rest);
	if (n == rest.n && n < BEARER_SURE && !final)
		return E_MORE;
	/* "Bearer authentication" is prose. */
	for (i = 0; i < n && n < BEARER_SURE; i++)
		if (rest.p[i] >= '0' && rest.p[i] <= '9')
			break;
	if (n < BEARER_MIN || i == n)
		return E_NONE;
	buf_put(out, str_head(s, word.n));
	*take = word.n;
	enter(r, IN_KEY, RK_BEARER);
	return OK;
}

static int try_pem(struct redact *r, struct str s, int final)
{
	struct str head = str_head(s, PEM_WORDS);

	if (!begins(s, S("-----BEGIN ")))
		return E_NONE;
	if (str_find(head, S("PRIVATE KEY")) < head.n) {
		enter(r, IN_PEM, RK_PRIVATE);
		r->word = 0;
		return OK;
	}
	return head.n < PEM_WORDS && !final ? E_MORE : E_NONE;
}

static int try_all(struct redact *r, struct buf *out, struct str s,
    int final, size_t *take)
{
	unsigned char class = r->set->byte[(unsigned char)s.p[0]];
	int got = E_NONE;

	*take = 0;
	if (class & KNOWN)
		got = try_known(r, out, s, final, take);
	if (got != E_NONE || r->word || !(class & START))
		return got;
	switch (s.p[0]) {
	case 'e':
		return try_jwt(r, s, final);
	case '-':
		return try_pem(r, s, final);
	case 'B':
	case 'b':
		return try_bearer(r, out, s, final, take);
	default:
		return try_shape(r, s, final);
	}
}

static int is_hex(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* Length of the backslashes at s and the letter they belong to; 0: more bytes
 * are needed to say. */
static size_t escape(struct str s, int final)
{
	static const char letters[] = "nrtbf\"/";
	size_t n = 0, k;

	while (n < s.n && s.p[n] == '\\')
		n++;
	if (n == s.n)
		/* A long row of them is just that. */
		return final || n > 64 ? n : 0;
	if (s.p[n] == 'u') {
		for (k = 1; k < 5 && n + k < s.n; k++)
			if (!is_hex(s.p[n + k]))
				return n;
		return k == 5 ? n + 5 : final ? n : 0;
	}
	return memchr(letters, s.p[n], sizeof letters - 1) ? n + 1 : n;
}

/* To the end of a private key, which a quote also ends. Bytes swallowed; less
 * than all: it ended, or "-----E" may still become its end. */
static size_t leave_pem(struct redact *r, struct buf *out, struct str s,
    int final)
{
	struct str rest;
	size_t i, n;

	/* word: the last byte was a backslash. */
	for (i = 0; i < s.n; r->word = s.p[i++] == '\\', r->n++) {
		if ((s.p[i] == '"' && !r->word) || r->n >= PEM_MAX) {
			replace(r, out);
			return i;
		}
		if (s.p[i] != '-' || r->n < 8)
			continue;
		rest = str_head(str_from(s, i), PEM_END);
		if (!begins(rest, S("-----END")))
			continue;
		n = 9 + str_find(str_from(rest, 9), S("-----")) + 5;
		if (rest.n >= 9 && n <= rest.n) {
			r->n += n;
			replace(r, out);
			return i + n;
		}
		if (!final && rest.n < PEM_END)
			return i;
	}
	return i;
}

/* ---- passing over most of it ------------------------------------------- */

/* Of 64 bytes a bit each, the first one's lowest. */
struct look {
	uint64_t word, brk;	/* part of a word; of these, one may begin
				 * behind it */
	uint64_t known;		/* a known value may begin */
};

#if defined(__SSE2__)
#define VECTOR __m128i

static VECTOR load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static VECTOR either(VECTOR a, VECTOR b)
{
	return _mm_or_si128(a, b);
}

static VECTOR equal(VECTOR v, char c)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

/* The comparison is signed: what isn't ASCII is below all. */
static VECTOR among(VECTOR v, char from, char to)
{
	return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8((char)(from - 1))),
	    _mm_cmplt_epi8(v, _mm_set1_epi8((char)(to + 1))));
}

static VECTOR lower(VECTOR v)
{
	return _mm_or_si128(v, _mm_set1_epi8(0x20));
}

static uint64_t bits(VECTOR v, int at)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(v) << at;
}
#elif defined(REDACT_NEON)
#define VECTOR uint8x16_t

static VECTOR load(const char *p)
{
	return vld1q_u8((const uint8_t *)p);
}

static VECTOR either(VECTOR a, VECTOR b)
{
	return vorrq_u8(a, b);
}

static VECTOR equal(VECTOR v, char c)
{
	return vceqq_u8(v, vdupq_n_u8((uint8_t)c));
}

static VECTOR among(VECTOR v, char from, char to)
{
	return vandq_u8(vcgeq_u8(v, vdupq_n_u8((uint8_t)from)),
	    vcleq_u8(v, vdupq_n_u8((uint8_t)to)));
}

static VECTOR lower(VECTOR v)
{
	return vorrq_u8(v, vdupq_n_u8(0x20));
}

static uint64_t bits(VECTOR v, int at)
{
	static const uint8_t weight[16] = {
		1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128
	};

	v = vandq_u8(v, vld1q_u8(weight));
	return ((uint64_t)vaddv_u8(vget_low_u8(v)) |
	    (uint64_t)vaddv_u8(vget_high_u8(v)) << 8) << at;
}
#endif

#if defined(VECTOR)
static void look(const struct redact_set *set, const char *p, struct look *l)
{
	VECTOR v, brk, word;
	size_t i;
	int at;

	*l = (struct look){ 0, 0, set->nfirst > REDACT_FIRST ?
	    ~(uint64_t)0 : 0 };
	for (at = 0; at < BLOCK; at += 16) {
		v = load(p + at);
		brk = either(equal(v, '='), equal(v, '/'));
		/* - . / and the digits stand side by side. */
		word = either(either(brk, among(v, '-', '9')),
		    among(lower(v), 'a', 'z'));
		word = either(either(word, equal(v, '_')),
		    either(equal(v, '+'), equal(v, '~')));
		l->word |= bits(word, at);
		l->brk |= bits(brk, at);
		for (i = 0; i < set->nfirst && i < REDACT_FIRST; i++)
			l->known |= bits(equal(v, set->first[i]), at);
	}
}
#else
static void look(const struct redact_set *set, const char *p, struct look *l)
{
	uint64_t c;
	int i;

	*l = (struct look){ 0, 0, 0 };
	for (i = 0; i < BLOCK; i++) {
		c = set->byte[(unsigned char)p[i]];
		l->word |= (c & WORD) / WORD << i;
		l->brk |= (c & BREAK) / BREAK << i;
		l->known |= (c & KNOWN) / KNOWN << i;
	}
}
#endif

/* Where so many bits in a row begin. */
static uint64_t rows(uint64_t w, size_t row)
{
	size_t n = 1;

	for (; n * 2 <= row; n *= 2)
		w &= w >> n;
	return w & w >> (row - n);
}

static size_t lowest(uint64_t set)
{
#if defined(__GNUC__)
	return (size_t)__builtin_ctzll(set);
#else
	size_t i = 0;

	while (!(set >> i & 1))
		i++;
	return i;
#endif
}

/* "Bearer " or "Basic " before p[at]: where it begins; else at. */
static size_t scheme(const char *p, size_t at)
{
	if (at >= 7 && str_ieq((struct str){ p + at - 7, 7 }, S("bearer ")))
		return at - 7;
	if (at >= 6 && str_ieq((struct str){ p + at - 6, 6 }, S("basic ")))
		return at - 6;
	return at;
}

/* Whether a key may begin at p[at], where a long run does, or in it, where a
 * known value may. Behind an escape it begins later; a scheme stands before
 * it. n: bytes at p. */
static int is_hot(const struct redact_set *set, const char *p, size_t n,
    size_t at, int begins_here)
{
	if (has_pair(set->known, p + at))
		return 1;
	if (!begins_here)
		return 0;
	if (has_pair(set->start, p + at))
		return 1;
	if (at == 0)
		return 0;
	if (p[at - 1] == '\\')
		return n - at < 7 || has_pair(set->start, p + at + 1) ||
		    has_pair(set->start, p + at + 5);
	return p[at - 1] == ' ' && scheme(p, at) < at;
}

/* To what must be seen before a run at p[at]. first: word before p[0]. */
static size_t look_back(struct redact *r, const char *p, size_t at,
    unsigned first)
{
	size_t to = at;

	if (to > 0 && p[to - 1] == ' ')
		to = scheme(p, to);
	while (to < at && to > 0 && is_word(r, p[to - 1]))
		to--;
	while (to > 0 && p[to - 1] == '\\')
		to--;
	if (to < at)
		r->word = to == 0 && first;
	return to;
}

/* Whether a word can't begin behind it. */
static int goes_on(const struct redact_set *set, char c)
{
	return (set->byte[(unsigned char)c] & (WORD | BREAK)) == WORD;
}

/* Fewer bytes than a block: as if blanks followed. */
static void look_short(const struct redact_set *set, const char *p, size_t n,
    struct look *l)
{
	char block[BLOCK] = { 0 };

	memcpy(block, p, n);
	look(set, block, l);
}

/* Passes over bytes at which no key begins: one is a long run of bytes of
 * words, and only where such a run begins need two bytes of it be looked at.
 * The last bytes are left, as a run may go on. */
static size_t skip(struct redact *r, const char *p, size_t n)
{
	const struct redact_set *set = r->set;
	size_t run = set->run, at = 0, step, q;
	unsigned first = r->word;
	uint64_t hot, begin;
	struct look l;

	if (run == 0)
		return 0;
	for (; n - at >= run; at += step) {
		step = (n - at < BLOCK ? n - at : BLOCK) - run + 1;
		if (n - at < BLOCK)
			look_short(set, p + at, n - at, &l);
		else
			look(set, p + at, &l);
		hot = rows(l.word, run);
		if (set->odd)		/* it needs no run, only two bytes */
			l.known &= ~(uint64_t)0 >> (BLOCK - step);
		else
			l.known &= hot;
		l.word &= ~l.brk;
		begin = hot & ~(l.word << 1 | r->word);
		for (hot = begin | l.known; hot; hot &= hot - 1) {
			q = lowest(hot);
			if (!is_hot(set, p, n, at + q, begin >> q & 1))
				continue;
			if (q > 0)
				r->word = l.word >> (q - 1) & 1;
			return look_back(r, p, at + q, first);
		}
		r->word = l.word >> (step - 1) & 1;
	}
	/* "Bear" of a scheme whose token isn't here whole. */
	for (q = at; q > 0 && at - q < 7 && goes_on(set, p[q - 1]); q--)
		continue;
	if (q < at && (q == 0 || !goes_on(set, p[q - 1]))) {
		r->word = q == 0 && first;
		at = q;
	}
	return look_back(r, p, at, first);
}

/* Bytes at which nothing can begin, one by one. */
static size_t plain(struct redact *r, const char *p, size_t n)
{
	const struct redact_set *set = r->set;
	unsigned word = r->word, c;
	size_t i;

	for (i = 0; i < n; i++) {
		c = set->byte[(unsigned char)p[i]];
		if (c & ESCAPE || (c & (START | KNOWN) && may_begin(set,
		    (struct str){ p + i, n - i }, word)))
			break;
		word = (c & (WORD | BREAK)) == WORD;
	}
	r->word = word != 0;
	return i;
}

/* Takes what can be decided off the front of s. Returns how much. */
static size_t step(struct redact *r, struct buf *out, struct str s, int final)
{
	size_t i = 0, from = 0, n;
	int got;

	while (i < s.n) {
		if (r->inside == IN_KEY) {
			n = run(r, str_from(s, i));
			r->n += n;
			i += n;
			from = i;
			if (i < s.n)
				replace(r, out);
			continue;
		}
		if (r->inside == IN_PEM) {
			n = leave_pem(r, out, str_from(s, i), final);
			i += n;
			from = i;
			if (r->inside == IN_PEM && i < s.n)
				return i;
			continue;
		}
		i += skip(r, s.p + i, s.n - i);
		i += plain(r, s.p + i, s.n - i);
		if (i == s.n)
			break;
		if (s.p[i] == '\\') {
			n = escape(str_from(s, i), final);
			if (n == 0)
				break;
			r->word = 0;
			i += n;
			continue;
		}
		/* What stands before it goes first. */
		buf_put(out, (struct str){ s.p + from, i - from });
		from = i;
		got = try_all(r, out, str_from(s, i), final, &n);
		if (got == E_MORE)
			break;
		if (got == OK) {
			i += n;
			from = i;
			continue;
		}
		/* A key may follow an assignment, a slash or a colon. */
		r->word = goes_on(r->set, s.p[i]) != 0;
		i++;
	}
	buf_put(out, (struct str){ s.p + from, i - from });
	return i;
}

void redact_put(struct redact *r, struct buf *out, struct str in)
{
	size_t take, used, was;

	while (r->nheld && in.n) {
		was = r->nheld;
		take = REDACT_HOLD - was < in.n ? REDACT_HOLD - was : in.n;
		memcpy(r->held + was, in.p, take);
		used = step(r, out, (struct str){ r->held, was + take },
		    take < in.n && was + take == REDACT_HOLD);
		if (used >= was) {
			/* The rest stands in the input as well. */
			in = str_from(in, used - was);
			r->nheld = 0;
			break;
		}
		r->nheld = was + take - used;
		memmove(r->held, r->held + used, r->nheld);
		in = str_from(in, take);
	}
	if (in.n == 0)
		return;
	used = step(r, out, in, 0);
	in = str_from(in, used);
	if (in.n > REDACT_HOLD) {
		/* Nothing waits for so much: not reached, but bounded. */
		used = step(r, out, str_head(in, in.n - REDACT_HOLD / 2), 1);
		in = str_from(in, used);
	}
	r->nheld = in.n < REDACT_HOLD ? in.n : REDACT_HOLD;
	memcpy(r->held, in.p, r->nheld);
}

int redact_holds(const struct redact *r)
{
	return r->nheld || r->inside != OUTSIDE;
}

void redact_end(struct redact *r, struct buf *out)
{
	if (r->nheld)
		(void)step(r, out, (struct str){ r->held, r->nheld }, 1);
	if (r->inside != OUTSIDE)
		replace(r, out);
	r->nheld = 0;
	r->word = 0;
}

/* Whether no key can be in a text that is all there is: most fields of heads. */
static int is_plain(const struct redact_set *set, struct str s)
{
	struct look l;
	uint64_t hot, begin;
	size_t q;

	if (s.n == 0)
		return 1;
	if (set->odd || set->run == 0 || s.n > BLOCK)
		return 0;
	look_short(set, s.p, s.n, &l);
	hot = rows(l.word, set->run);
	begin = hot & ~((l.word & ~l.brk) << 1);
	for (hot = begin | (l.known & hot); hot; hot &= hot - 1) {
		q = lowest(hot);
		if (is_hot(set, s.p, s.n, q, begin >> q & 1))
			return 0;
	}
	return 1;
}

void redact_text(struct redact_set *set, struct buf *out, struct str in)
{
	struct redact r;

	if (is_plain(set, in)) {
		buf_put(out, in);
		return;
	}
	redact_begin(&r, set);
	r.nheld = 0;
	redact_put(&r, out, in);
	redact_end(&r, out);
}

/* ---- heads ------------------------------------------------------------ */

#define LETTER(c) ((uint32_t)1 << ((c) & 31))

static int has_part(struct str name)
{
	static const struct str parts[] = {
		{ "auth", 4 }, { "api-key", 7 }, { "apikey", 6 },
		{ "_key", 4 }, { "token", 5 }, { "secret", 6 },
		{ "cookie", 6 }, { "signature", 9 }, { "credential", 10 },
		{ "passw", 5 }
	};
	/* What follows their first letter: seldom met in other names. */
	static const uint32_t second[32] = {
		['a' & 31] = LETTER('u') | LETTER('p'),
		['_' & 31] = LETTER('k'), ['t' & 31] = LETTER('o'),
		['s' & 31] = LETTER('e') | LETTER('i'),
		['c' & 31] = LETTER('o') | LETTER('r'),
		['p' & 31] = LETTER('a')
	};
	size_t i, k;

	for (i = 0; i + 4 <= name.n; i++) {
		if (!(second[name.p[i] & 31] & LETTER(name.p[i + 1])))
			continue;
		for (k = 0; k < COUNT(parts); k++)
			if (((parts[k].p[0] ^ name.p[i]) & 31) == 0 &&
			    str_istarts(str_from(name, i), parts[k]))
				return 1;
	}
	return 0;
}

int redact_field(struct str name)
{
	if (!has_part(name) && !str_ieq(name, S("key")) &&
	    !(str_istarts(name, S("x-")) &&
	    str_ifind(name, S("-key")) + 4 == name.n))
		return 0;
	/* How many tokens are left is no secret. */
	return str_ifind(name, S("ratelimit")) == name.n;
}

/* What stands between fields that are masked is looked at in one go. */
void redact_head(struct redact_set *set, struct buf *out, struct str head)
{
	struct str rest = head, line, name, open = head;
	size_t at = 0;

	while (str_cut(&rest, '\n', &line)) {
		int first = line.p == head.p;

		name = str_head(line, str_chr(line, ':'));
		if (first || name.n == line.n || !redact_field(name))
			continue;
		at = (size_t)(name.p + name.n - open.p);
		redact_text(set, out, str_head(open, at));
		buf_put(out, S(": [redacted header len="));
		put_number(out, str_trim(str_from(line, name.n + 1)).n);
		set->count[RK_HEADER]++;
		at = (size_t)(line.p + line.n - open.p);
		if (line.p[line.n - 1] == '\r')
			at--;
		open = str_from(open, at);
	}
	redact_text(set, out, open);
}
