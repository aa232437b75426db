/* redact.c -- finds keys by value and by shape, in pieces cut anywhere.
 *
 * Speed matters, as whole requests pass through: one table look-up a byte
 * until something could begin. step() takes as much as it can decide; what it
 * leaves is the beginning of something, held until more has come.
 *
 * Escapes of JSON are read as blanks, so that "\nsk-..." is the beginning of
 * a word although an n stands before it.
 *
 * SPDX-License-Identifier: MIT */
#include "redact.h"

enum {
	WORD = 1,		/* may stand in a key */
	START = 2,		/* a shape may begin with it, at a word's start */
	KNOWN = 4,		/* a known value begins with it, anywhere */
	BREAK = 8,		/* of a word, but one may begin behind it */
	ESCAPE = 16,		/* a backslash */
	SECRET_MIN = 6,		/* a placeholder such as "none" is no secret */
	JWT_DOT = 200,		/* the first dot comes within so many bytes */
	BEARER_MIN = 12, BEARER_SURE = 24,
	PEM_WORDS = 40,		/* "-----BEGIN ... PRIVATE KEY" fits */
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

static void mark(struct redact_set *set, unsigned char *pairs, int flag,
    const char *begin)
{
	set->byte[(unsigned char)begin[0]] |= (unsigned char)flag;
	pairs[pair(begin) >> 3] |= (unsigned char)(1 << (pair(begin) & 7));
}

/* Whether anything begins with these two bytes, or may with this one. */
static int may_begin(const struct redact *r, struct str s)
{
	unsigned char class = r->set->byte[(unsigned char)s.p[0]];
	size_t at;

	if (r->word)
		class &= (unsigned char)~START;
	if (s.n < 2)
		return 1;
	at = pair(s.p);
	return (class & START && r->set->start[at >> 3] >> (at & 7) & 1) ||
	    (class & KNOWN && r->set->known[at >> 3] >> (at & 7) & 1);
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
			mark(set, set->known, KNOWN, secrets[i].p);
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

/* Length of the backslashes at s and the letter they belong to; 0: more bytes
 * are needed to say. */
static size_t escape(struct str s, int final)
{
	static const char letters[] = "nrtbf\"/";
	size_t n = 0;

	while (n < s.n && s.p[n] == '\\')
		n++;
	if (n == s.n)
		/* A long row of them is just that. */
		return final || n > 64 ? n : 0;
	if (s.p[n] == 'u')
		return s.n - n >= 5 ? n + 5 : final ? s.n : 0;
	return memchr(letters, s.p[n], sizeof letters - 1) ? n + 1 : n;
}

/* To the end of a private key, which a quote also ends. Bytes swallowed; less
 * than all: it ended, or "-----E" may still become its end. */
static size_t leave_pem(struct redact *r, struct buf *out, struct str s,
    int final)
{
	struct str rest;
	size_t i, n;

	for (i = 0; i < s.n; i++, r->n++) {
		if ((s.p[i] == '"' && !(i && s.p[i - 1] == '\\')) ||
		    r->n >= PEM_MAX) {
			replace(r, out);
			return i;
		}
		rest = str_from(s, i);
		if (s.p[i] != '-' || r->n < 8 || !begins(rest, S("-----END")))
			continue;
		n = rest.n < 9 ? rest.n : 9 + str_find(str_from(rest, 9),
		    S("-----")) + 5;
		if (n <= rest.n && rest.n >= 9) {
			r->n += n;
			replace(r, out);
			return i + n;
		}
		if (!final && rest.n < 64)
			return i;
	}
	return i;
}

/* Bytes at which nothing can begin: most, so this is where time goes. */
static size_t plain(struct redact *r, const char *p, size_t n)
{
	const unsigned char *byte = r->set->byte;
	unsigned word = r->word, c = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		c = byte[(unsigned char)p[i]];
		if (c & (word ? KNOWN | ESCAPE : START | KNOWN | ESCAPE))
			break;
		word = (c & (WORD | BREAK)) == WORD;
	}
	r->word = word != 0;
	return i;
}

/* Takes what can be decided off the front of s. Returns how much. */
static size_t step(struct redact *r, struct buf *out, struct str s, int final)
{
	const unsigned char *byte = r->set->byte;
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
		if (may_begin(r, str_from(s, i))) {
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
		}
		/* A key may follow an assignment, a slash or a colon. */
		r->word = (byte[(unsigned char)s.p[i]] & (WORD | BREAK)) ==
		    WORD;
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

void redact_end(struct redact *r, struct buf *out)
{
	if (r->nheld)
		(void)step(r, out, (struct str){ r->held, r->nheld }, 1);
	if (r->inside != OUTSIDE)
		replace(r, out);
	r->nheld = 0;
	r->word = 0;
}

void redact_text(struct redact_set *set, struct buf *out, struct str in)
{
	struct redact r;

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

	for (i = 0; i + 4 <= name.n; i++)
		if (second[name.p[i] & 31] & LETTER(name.p[i + 1]))
			for (k = 0; k < COUNT(parts); k++)
				if (str_istarts(str_from(name, i), parts[k]))
					return 1;
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

void redact_head(struct redact_set *set, struct buf *out, struct str head)
{
	struct str line, name;
	int first = 1;

	while (str_cut(&head, '\n', &line)) {
		name = str_head(line, str_chr(line, ':'));
		if (first || name.n == line.n || !redact_field(name)) {
			redact_text(set, out, line);
		} else {
			size_t cr = line.n && line.p[line.n - 1] == '\r';

			buf_put(out, name);
			buf_put(out, S(": [redacted header len="));
			put_number(out, str_trim(str_from(line,
			    name.n + 1)).n);
			buf_put(out, cr ? S("\r") : S(""));
			set->count[RK_HEADER]++;
		}
		buf_chr(out, '\n');
		first = 0;
	}
}
