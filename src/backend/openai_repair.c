/* openai_repair.c -- arguments that are not quite JSON.
 *
 * Models write the arguments of a call token by token, and servers pass them
 * on as they find them: wrapped twice, in a code fence, with the end missing.
 * A client must get an object. What can be saved is saved; the rest is handed
 * over as it came, under a key that says so.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

/* What may come next, for finding how to end. */
enum expect {
	X_VALUE, X_VALUE_OR_END, X_KEY, X_KEY_OR_END, X_COLON, X_COMMA, X_DONE
};

struct walk {
	enum expect expect;
	int depth;
	char open[JSON_DEPTH_MAX];	/* what closes each level */
};

static int is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	    (c >= 'A' && c <= 'F');
}

static void value_done(struct walk *w)
{
	w->expect = w->depth ? X_COMMA : X_DONE;
}

/* The string at the front of s, from its quote. Its length; past the end of s
 * when it is unfinished, and then its missing end is written. 0: not one. */
static size_t walk_string(struct buf *b, struct str s)
{
	size_t at = 1, hex;

	while (at < s.n && s.p[at] != '"') {
		if ((unsigned char)s.p[at] < 0x20)
			return 0;
		if (s.p[at++] != '\\')
			continue;
		if (at == s.n) {
			buf_chr(b, '\\');
			break;
		}
		if (s.p[at++] != 'u')
			continue;
		for (hex = 0; hex < 4 && at < s.n; hex++)
			if (!is_hex(s.p[at++]))
				return 0;
		for (; hex < 4; hex++)
			buf_chr(b, '0');
	}
	if (at < s.n)
		return at + 1;
	buf_chr(b, '"');
	return s.n + 1;
}

/* A number or word at the front of s: its length, and if it reaches the end of
 * s, what it lacks. */
static size_t walk_word(struct buf *b, struct str s)
{
	static const struct str words[] = {
		{ "true", 4 }, { "false", 5 }, { "null", 4 }
	};
	size_t n = 0, i;

	while (n < s.n && !jchar_blank((unsigned char)s.p[n]) &&
	    !memchr("{}[],:\"", s.p[n], 7))
		n++;
	if (n == 0 || n < s.n)
		return n;
	for (i = 0; i < COUNT(words); i++)
		if (str_starts(words[i], s))
			buf_put(b, str_from(words[i], n));
	if (s.p[n - 1] == '-' || s.p[n - 1] == '+' || s.p[n - 1] == '.' ||
	    ((s.p[n - 1] | 0x20) == 'e' && s.p[0] <= '9'))
		buf_chr(b, '0');
	return n;
}

/* One bracket, comma or colon. 0: it can't stand here. */
static int walk_mark(struct walk *w, char c)
{
	if (c == '{' || c == '[') {
		if ((w->expect != X_VALUE && w->expect != X_VALUE_OR_END) ||
		    w->depth == JSON_DEPTH_MAX)
			return 0;
		w->open[w->depth++] = c == '{' ? '}' : ']';
		w->expect = c == '{' ? X_KEY_OR_END : X_VALUE_OR_END;
		return 1;
	}
	if (c == ':') {
		if (w->expect != X_COLON)
			return 0;
		w->expect = X_VALUE;
		return 1;
	}
	if (c == ',') {
		if (w->expect != X_COMMA)
			return 0;
		w->expect = w->open[w->depth - 1] == '}' ? X_KEY : X_VALUE;
		return 1;
	}
	if (w->depth == 0 || w->open[w->depth - 1] != c ||
	    (w->expect != X_COMMA && w->expect != X_KEY_OR_END &&
	    w->expect != X_VALUE_OR_END))
		return 0;
	w->depth--;
	value_done(w);
	return 1;
}

static size_t walk_scalar(struct walk *w, struct buf *b, struct str s)
{
	int key = w->expect == X_KEY || w->expect == X_KEY_OR_END;
	size_t n;

	if (w->expect == X_COLON || w->expect == X_COMMA ||
	    w->expect == X_DONE || (key && s.p[0] != '"'))
		return 0;
	n = s.p[0] == '"' ? walk_string(b, s) : walk_word(b, s);
	if (key)
		w->expect = X_COLON;
	else
		value_done(w);
	return n;
}

/* What stands between the last byte and the brackets that close. */
static void put_rest(struct buf *b, struct walk *w)
{
	if (w->expect == X_KEY)
		buf_put(b, S("\"\":null"));
	else if (w->expect == X_COLON)
		buf_put(b, S(":null"));
	else if (w->expect == X_VALUE)
		buf_put(b, S("null"));
	while (w->depth)
		buf_chr(b, w->open[--w->depth]);
}

int repair_suffix(struct buf *b, struct str text)
{
	struct walk w = { .expect = X_VALUE };
	size_t n;

	while (text.n) {
		if (jchar_blank((unsigned char)text.p[0]))
			n = 1;
		else if (memchr("{}[],:", text.p[0], 6))
			n = (size_t)walk_mark(&w, text.p[0]);
		else
			n = walk_scalar(&w, b, text);
		if (n == 0)
			return E_BAD;
		text = str_from(text, n);
	}
	put_rest(b, &w);
	return OK;
}

/* ---- OA-105 ------------------------------------------------------------ */

/* Without a code fence, and without a comma at the end. */
static struct str stripped(struct str text)
{
	size_t at;

	text = str_trim(text);
	if (str_starts(text, S("```"))) {
		at = str_chr(text, '\n');
		text = str_trim(str_from(text, at < text.n ? at : 3));
		if (str_ends(text, S("```")))
			text = str_trim(str_head(text, text.n - 3));
	}
	if (str_ends(text, S(",")))
		text = str_trim(str_head(text, text.n - 1));
	return text;
}

/* text with its missing end; empty if there is no way or no room. */
static struct str completed(struct arena *a, struct str text)
{
	char room[2 * JSON_DEPTH_MAX];
	struct buf end = buf_on(room, sizeof room), b = buf_open(a);

	if (text.n == 0 || repair_suffix(&end, text) != OK || end.full)
		return S("");
	buf_put(&b, text);
	buf_put(&b, buf_str(&end));
	return b.full ? S("") : buf_end(a, &b);
}

/* The text of an object inside a string, else p NULL. */
static struct str unwrapped(struct arena *a, struct jv root)
{
	struct json inner;
	struct str s = { NULL, 0 };

	if (json_type(root) == JSON_STRING)
		s = json_text(a, json_str(root));
	if (s.p && json_parse(&inner, s, a, NULL) == OK &&
	    json_type(json_root(&inner)) == JSON_OBJECT)
		return s;
	return (struct str){ NULL, 0 };
}

static struct str put_object(struct arena *a, struct jv root)
{
	struct str inner = unwrapped(a, root);
	struct buf b = buf_open(a);

	if (inner.p) {
		json_compact(&b, inner);
	} else if (json_type(root) == JSON_OBJECT) {
		json_compact(&b, json_raw(root));
	} else if (json_type(root) == JSON_NULL) {
		buf_put(&b, S("{}"));
	} else {
		buf_put(&b, S("{\"value\":"));
		json_compact(&b, json_raw(root));
		buf_chr(&b, '}');
	}
	return b.full ? (struct str){ NULL, 0 } : buf_end(a, &b);
}

struct str repair_object(struct arena *a, struct call *c, struct str text)
{
	struct json doc;
	struct str mended;
	struct buf b;

	text = str_trim(text);
	if (text.n == 0)
		return S("{}");
	if (json_parse(&doc, text, a, NULL) == OK)
		return put_object(a, json_root(&doc));
	mended = completed(a, stripped(text));
	if (mended.n && json_parse(&doc, mended, a, NULL) == OK) {
		note(c->notes, NOTE_CHANGED, S("tool arguments"),
		    S("repaired"));
		return put_object(a, json_root(&doc));
	}
	note(c->notes, NOTE_CHANGED, S("tool arguments"),
	    S("not JSON: passed on as _raw"));
	b = buf_open(a);
	buf_put(&b, S("{\"_raw\":"));
	json_quote(&b, text);
	buf_chr(&b, '}');
	return b.full ? (struct str){ NULL, 0 } : buf_end(a, &b);
}
