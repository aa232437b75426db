/* load.c -- reads journals: for the ring at start, for reports later.
 *
 * SPDX-License-Identifier: MIT */
#include "load.h"

static const char *const kind_names[J_KINDS] = {
	"cdx.blob", "cdx.request", "cdx.upstream", "cdx.first",
	"cdx.response", "cdx.alert", "cdx.replay", "cdx.segment"
};

struct str journal_kind_name(enum journal_kind kind)
{
	return str_of(kind_names[kind]);
}

/* ---- members ---------------------------------------------------------- */

/* Length of the JSON string at the front of s, quotes included. */
static size_t string_length(struct str s)
{
	size_t i, slashes;

	for (i = 1; i < s.n; i++) {
		i += str_chr(str_from(s, i), '"');
		for (slashes = 0; i < s.n && s.p[i - 1 - slashes] == '\\';)
			slashes++;
		if (slashes % 2 == 0)
			break;
	}
	return i < s.n ? i + 1 : s.n;
}

/* Length of the value at the front of s, up to the comma or brace behind. */
static size_t value_length(struct str s)
{
	size_t i;
	int depth = 0;

	for (i = 0; i < s.n; i++) {
		switch (s.p[i]) {
		case '"':
			i += string_length(str_from(s, i)) - 1;
			break;
		case '{': case '[':
			depth++;
			break;
		case '}': case ']':
			if (depth-- == 0)
				return i;
			break;
		case ',':
			if (depth == 0)
				return i;
			break;
		}
	}
	return i;
}

void journal_members(struct str line, const struct str *keys, struct str *out,
    size_t n)
{
	struct str s = str_from(line, 1), name;
	size_t k, found = 0;

	memset(out, 0, n * sizeof *out);
	/* The line is sound JSON; blanks between its tokens are not ours, and
	 * what follows them is not looked for. */
	while (s.n && *s.p == '"' && found < n) {
		k = string_length(s);
		name = (struct str){ s.p + 1, k - 2 };
		s = str_from(s, k);
		if (!str_starts(s, S(":")))
			return;
		s = str_from(s, 1);
		for (k = 0; k < n && !str_eq(name, keys[k]); k++)
			continue;
		name = str_head(s, value_length(s));
		if (name.n == 0 || name.p[0] <= ' ' ||
		    name.p[name.n - 1] <= ' ')
			return;
		if (k < n && !out[k].p) {
			out[k] = name;
			found++;
		}
		s = str_from(s, name.n + 1);
	}
}

struct str journal_member(struct str line, struct str key)
{
	struct str s;

	journal_members(line, &key, &s, 1);
	return s;
}

struct jstr journal_inside(struct str member)
{
	struct jstr none = { { NULL, 0 } };

	if (member.n < 2 || member.p[0] != '"')
		return none;
	return (struct jstr){ { member.p + 1, member.n - 2 } };
}

int64_t journal_integer(struct str member, int64_t otherwise)
{
	uint64_t v;

	return str_u64(member, &v) == OK && v <= INT64_MAX ? (int64_t)v :
	    otherwise;
}

struct jstr journal_text(struct str line, struct str key)
{
	return journal_inside(journal_member(line, key));
}

int64_t journal_number(struct str line, struct str key, int64_t otherwise)
{
	return journal_integer(journal_member(line, key), otherwise);
}

int64_t journal_when(struct str ts)
{
	/* "2026-11-25T13:08:12.123Z" */
	static const unsigned char at[] = { 0, 5, 8, 11, 14, 17, 20 };
	static const unsigned char size[] = { 4, 2, 2, 2, 2, 2, 3 };
	uint64_t v[7] = { 0 };
	size_t i;

	if (ts.n != 24)
		return 0;
	for (i = 0; i < COUNT(at); i++)
		if (str_u64(str_head(str_from(ts, at[i]), size[i]),
		    &v[i]) != OK)
			return 0;
	if (v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31)
		return 0;
	return ((date_days((int64_t)v[0], (int64_t)v[1], (int64_t)v[2]) *
	    86400 + (int64_t)(v[3] * 3600 + v[4] * 60 + v[5])) * 1000) +
	    (int64_t)v[6];
}

/* ---- lines ------------------------------------------------------------ */

static const char *check(struct str line, uint64_t last,
    struct journal_line *out)
{
	struct jstr event;
	int64_t seq;
	int k;

	if (line.n > JOURNAL_LINE_MAX)
		return "the line is longer than a journal's";
	if (line.n < 2 || line.p[0] != '{' ||
	    json_check(line, NULL, NULL) != OK)
		return "this is no JSON object";
	/* Ours have no blanks between tokens; members are found that way. */
	if (line.p[1] != '"' || journal_number(line, S("v"), 0) != 1)
		return "not a line of a journal, or of a later version";
	seq = journal_number(line, S("seq"), 0);
	if (seq <= 0 || (uint64_t)seq <= last)
		return "its seq does not follow the line before";
	event = journal_text(line, S("event"));
	for (k = 0; k < J_KINDS; k++)
		if (event.raw.p && str_eq(event.raw,
		    journal_kind_name((enum journal_kind)k)))
			break;
	if (k == J_KINDS)
		return "its event is unknown";
	out->kind = (enum journal_kind)k;
	out->seq = (uint64_t)seq;
	out->text = line;
	out->session = 0;
	return NULL;
}

int journal_read(struct journal_reader *r, struct journal_line *out)
{
	struct str rest = str_from(r->text, r->at), line;

	if (r->why)
		return E_BAD;
	if (rest.n == 0)
		return E_NONE;
	line = str_head(rest, str_chr(rest, '\n'));
	r->line++;
	r->why = line.n == rest.n ? "the line does not end" :
	    check(line, r->seq, out);
	if (r->why)
		return E_BAD;
	r->seq = out->seq;
	r->at += line.n + 1;
	return OK;
}

void journal_skip(struct journal_reader *r)
{
	struct str rest = str_from(r->text, r->at);

	r->why = NULL;
	r->at += str_chr(rest, '\n') + 1;
	if (r->at > r->text.n)
		r->at = r->text.n;
}
