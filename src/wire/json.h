/* json.h -- JSON text in, views out; and the writer's side of strings.
 *
 * json_parse first runs our own validator (RFC 8259 grammar, well-formed
 * UTF-8, nesting), which also counts the tokens exactly, then jsmn into an
 * array taken from the arena. Nothing is copied: views point into the text,
 * which must outlive them. Numbers stay text. Duplicate keys: the last wins.
 *
 * A view of something absent is valid and empty: look-ups chain unchecked.
 *
 * SPDX-License-Identifier: MIT */
#ifndef JSON_H
#define JSON_H

#include "../base/base.h"

enum {
	JSON_DEPTH_MAX = 128,	/* real requests stay under 30; jsmn's cost grows
				 * with depth */
	JSON_TEXT_MAX = 0x7fffffff	/* jsmn's offsets are ints */
};

enum json_type {
	JSON_ABSENT, JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING,
	JSON_ARRAY, JSON_OBJECT
};

struct json_tok;		/* private to json.c */

struct json {
	struct str text;
	const struct json_tok *toks;
	size_t n;
	int plain;		/* no \u escape in it: json_put copies */
};

/* A view: a value inside a parsed document, or nothing. */
struct jv {
	const struct json *doc;	/* NULL: absent */
	size_t i;
};

struct json_error {
	int code;		/* E_BAD, E_LIMIT (nesting, size), E_FULL (arena) */
	size_t at;		/* byte offset in the text */
	const char *why;	/* static, for people: "nesting deeper than 128" */
};

/* Whole text = one value with blanks around. The struct json itself is the
 * caller's and must stay where it is while views are used. err may be NULL. */
int json_parse(struct json *doc, struct str text, struct arena *a,
    struct json_error *err);
/* The validator alone: OK or E_BAD/E_LIMIT; *ntok gets the token count. Both
 * pointers may be NULL. */
int json_check(struct str text, size_t *ntok, struct json_error *err);
/* Whether s is one string literal, from quote to quote and nothing else. */
int json_is_string(struct str s);

struct jv json_root(const struct json *doc);
enum json_type json_type(struct jv v);
/* Member of an object by its unescaped name; absent when v is no object. */
struct jv json_get(struct jv v, struct str name);
/* Element of an array by index; absent past the end. Linear. */
struct jv json_at(struct jv v, size_t index);
/* Members of an object or elements of an array; 0 for anything else. */
size_t json_count(struct jv v);
/* The source text of the value, strings with their quotes; empty if absent. */
struct str json_raw(struct jv v);
/* Inside of a string, escaped; empty for anything but a string. */
struct jstr json_str(struct jv v);
/* Text of a number; empty for anything else. */
struct str json_num(struct jv v);
/* Integers, also spelled 1e3 or 5.0, within int64; otherwise `otherwise`. */
int64_t json_int(struct jv v, int64_t otherwise);
int json_true(struct jv v);	/* the literal true */
int json_is(struct jv v, struct str text);	/* string equal to, unescaped */

/* Walks an object or an array: it = json_iter(v); while (json_next(&it))
 * use it.key (objects; escaped) and it.value. Linear in the whole. */
struct json_iter {
	struct jstr key;
	struct jv value;
	const struct json *doc;
	size_t next, left;
	int object;
};
struct json_iter json_iter(struct jv v);
int json_next(struct json_iter *it);

/* jstr -> bytes. Escapes are undone; a lone surrogate becomes U+FFFD; \u0000
 * becomes a NUL byte. Writes at most raw.n bytes. */
void json_unescape(struct buf *b, struct jstr s);
/* Unescaped copy; the slice itself, uncopied, when it has no escape.
 * p NULL when the arena is full, and never else. */
struct str json_text(struct arena *a, struct jstr s);
/* Equality after unescaping, without a copy. Nearly all questions end at the
 * first byte, and an escape is never shorter than what it stands for. */
int jstr_same(struct jstr s, struct str text);
static inline int jstr_eq(struct jstr s, struct str text)
{
	if (s.raw.n < text.n || (text.n && *s.raw.p != *text.p &&
	    *s.raw.p != '\\'))
		return 0;
	return jstr_same(s, text);
}
/* Prefix of the unescaped text. */
int jstr_starts(struct jstr s, struct str prefix);
/* bytes -> inside of a JSON string: quotes, backslash, controls escaped;
 * ill-formed UTF-8 becomes U+FFFD. */
void json_escape(struct buf *b, struct str s);
/* Writes "..." around json_escape. */
void json_quote(struct buf *b, struct str s);
/* Escapes already escaped text once more: what a JSON value must look like
 * inside a JSON string. s is any JSON source text (raw of a value). Control
 * bytes cannot occur in strings; blanks outside strings are removed, so the
 * result is the compact form, numbers and key order kept. */
void json_stringify(struct buf *b, struct str raw);
/* The value's source text with insignificant blanks removed. */
void json_compact(struct buf *b, struct str raw);
/* Takes a lone surrogate escape (\ud83d alone) out of the text by writing
 * \ufffd in its place; pairs are kept. For text on its way out. */
void json_put(struct buf *b, struct jstr s);

/* Pieces of a JSON string that were cut anywhere. Returns how many bytes of s
 * can be written now: it never ends inside an escape, inside \uD8xx waiting
 * for its partner, or inside a UTF-8 sequence. */
size_t json_whole(struct str s);

/* Follows raw JSON that arrives in pieces (a tool's arguments), to say when
 * the value is complete. Bytes are the unescaped JSON text. */
struct json_scan {
	unsigned char stack[JSON_DEPTH_MAX / 8];	/* 1 = object, per level */
	int depth;
	unsigned char started, in_string, escape, done, bad;
};
/* Returns how many bytes belong to the value (all, until it is done). A bracket
 * that closes nothing, or nesting past the limit, makes it bad: all bytes are
 * the value's from then on, and it is never done. A number or a word alone is
 * done by the first byte behind it. */
size_t json_scan(struct json_scan *s, struct str piece);

#endif
