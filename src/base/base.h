/* base.h -- slices, arena, bounded writer, numbers, base64, hex, dates.
 *
 * The ground floor: everything above speaks in these types. Nothing here
 * owns memory, allocates, or can fail otherwise than by its return value.
 * Only mem* and str* of libc are used.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BASE_H
#define BASE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define VERSION "0.1.0"

/* Results of functions that can fail. Positive is never an error. */
enum {
	OK = 0,
	E_MORE = 1,		/* give me more bytes; nothing was lost */
	E_BAD = -1,		/* the input breaks its grammar */
	E_FULL = -2,		/* no room in a buffer or an arena */
	E_LIMIT = -3,		/* a stated limit was passed */
	E_FAULT = -4,		/* failed; the reason is in a struct fault */
	E_NONE = -5		/* there is no such thing here */
};

/* Bytes looked at, not owned, no NUL. p may be NULL only when n is 0. */
struct str {
	const char *p;
	size_t n;
};

/* The inside of a JSON string literal, still escaped, without the quotes.
 * Always valid UTF-8 with valid escapes when it comes from wire/json. */
struct jstr {
	struct str raw;
};

/* Literals and arrays only: of a pointer, sizeof says something else. */
#define S(lit) ((struct str){ (lit), sizeof(lit) - 1 })
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

inline struct str str_of(const char *z);		/* NUL-terminated; NULL: empty */
inline int str_eq(struct str a, struct str b);
int str_ieq(struct str a, struct str b);	/* ASCII case ignored */
int str_starts(struct str s, struct str prefix);
int str_istarts(struct str s, struct str prefix);
int str_ends(struct str s, struct str suffix);
/* Offset of the first occurrence; s.n when there is none. */
size_t str_find(struct str s, struct str what);
size_t str_ifind(struct str s, struct str what);
inline size_t str_chr(struct str s, char c);
/* From offset at (clamped to the end) to the end. */
inline struct str str_from(struct str s, size_t at);
/* At most the first n bytes. */
inline struct str str_head(struct str s, size_t n);
/* Without leading and trailing blanks (space, tab, CR, LF). */
struct str str_trim(struct str s);
/* Takes the part before c off *s (and c itself); the whole rest when c is
 * absent. Returns 0 only when *s was empty; *part stays as it was then. */
int str_cut(struct str *s, char c, struct str *part);
/* Decimal digits only, whole slice, no sign. E_BAD, or E_LIMIT past 2^64. */
int str_u64(struct str s, uint64_t *out);
/* '*' any bytes, '?' one byte; linear in pattern times text, no recursion. */
int str_glob(struct str pattern, struct str s);
/* Time depends on n only, never on the contents or the place of a difference. */
int str_eq_secret(struct str a, struct str b);

/* Memory carved from one block. Passed by pointer when the result must live,
 * by value for scratch: returning undoes it. There is no free. */
struct arena {
	char *cur, *end;
};

/* n zeroed bytes aligned for any object; NULL when they don't fit, or when n
 * overflows. n 0 gives a valid pointer. */
void *arena_get(struct arena *a, size_t n);
/* count objects of size bytes, zeroed; NULL as above, overflow checked. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* n bytes, neither zeroed nor aligned: for text. */
char *arena_bytes(struct arena *a, size_t n);
/* A copy that lives as long as the arena; p is NULL when it didn't fit. */
struct str arena_str(struct arena *a, struct str s);
inline size_t arena_room(const struct arena *a);

/* A bounded writer. Overflow is sticky: once full, nothing more is written
 * and n keeps its value, so a caller writes freely and checks once. */
struct buf {
	char *p;
	size_t n, cap;
	int full;
};

inline struct buf buf_on(char *p, size_t cap);
/* All the room an arena has, to be given back by buf_end. Between the two
 * nothing else may be taken from the arena. */
struct buf buf_open(struct arena *a);
struct str buf_end(struct arena *a, const struct buf *b);
inline struct str buf_str(const struct buf *b);
inline void buf_put(struct buf *b, struct str s);
inline void buf_chr(struct buf *b, char c);
void buf_u64(struct buf *b, uint64_t v);
void buf_int(struct buf *b, int64_t v);
/* v / 10^places with exactly that many decimals. */
void buf_fixed(struct buf *b, int64_t v, int places);
void buf_hex(struct buf *b, struct str bytes);	/* lower case */
void buf_base64(struct buf *b, struct str bytes);	/* RFC 4648, padded */
void buf_base64url(struct buf *b, struct str bytes);	/* unpadded */
/* Takes the first n bytes out and moves the rest down. */
void buf_drop(struct buf *b, size_t n);

/* 0..63 of a digit of base64 or base64url; -1 for any other byte. */
int base64_value(char c);
/* Decodes base64 or base64url, padding optional, blanks skipped.
 * E_BAD for any other byte; E_FULL when the output doesn't fit. */
int base64_decode(struct buf *b, struct str text);

/* The calendar (UTC, Gregorian), between 1970 and 9999. */
struct date {
	int year, month, day;		/* from 1 */
	int weekday;			/* 0: Sunday */
	int hour, minute, second;
};

/* Seconds since 1970; what lies outside is moved to the nearest end. */
struct date date_of(int64_t seconds);
/* Days from 1970-01-01 to a date that exists. */
int64_t date_days(int64_t year, int64_t month, int64_t day);
/* The last n digits of v, zeros in front; v not negative, n at most 20. */
void buf_digits(struct buf *b, int v, int n);
/* "13:10:25" */
void buf_clock(struct buf *b, int hour, int minute, int second);
/* RFC 3339: "2026-11-25", and "2026-11-25T13:10:25Z". */
void buf_day(struct buf *b, int64_t seconds);
void buf_date(struct buf *b, int64_t seconds);

/* UTF-8 (RFC 3629). Length of the well-formed sequence at s.p, 1..4; 0 when
 * it is ill-formed; -1 when s ends inside a sequence that is good so far.
 * s.n must not be 0. */
int utf8_len(struct str s);
/* Bytes of the longest well-formed prefix. */
size_t utf8_valid(struct str s);
/* Writes s for a log or a terminal: control bytes, DEL and C1 controls,
 * ill-formed bytes and what turns the direction of text as \xNN, backslash
 * doubled; one line out, always. */
void buf_printable(struct buf *b, struct str s);

/* ---- short enough to be a part of their callers ------------------------ */

inline struct str str_of(const char *z)
{
	struct str s = { z, z ? strlen(z) : 0 };

	return s;
}

inline int str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

inline size_t str_chr(struct str s, char c)
{
	const char *p = s.n ? memchr(s.p, c, s.n) : NULL;

	return p ? (size_t)(p - s.p) : s.n;
}

inline struct str str_from(struct str s, size_t at)
{
	if (at > s.n)
		at = s.n;
	if (at) {
		s.p += at;
		s.n -= at;
	}
	return s;
}

inline struct str str_head(struct str s, size_t n)
{
	if (s.n > n)
		s.n = n;
	return s;
}

inline size_t arena_room(const struct arena *a)
{
	return (size_t)(a->end - a->cur);
}

inline struct buf buf_on(char *p, size_t cap)
{
	struct buf b = { p, 0, cap, 0 };

	return b;
}

inline struct str buf_str(const struct buf *b)
{
	struct str s = { b->p, b->n };

	return s;
}

inline void buf_put(struct buf *b, struct str s)
{
	if (b->full || b->cap - b->n < s.n) {
		b->full = 1;
		return;
	}
	if (s.n)
		memcpy(b->p + b->n, s.p, s.n);
	b->n += s.n;
}

inline void buf_chr(struct buf *b, char c)
{
	if (b->full || b->n == b->cap) {
		b->full = 1;
		return;
	}
	b->p[b->n++] = c;
}

#endif
