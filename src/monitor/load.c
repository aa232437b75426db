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
	size_t i;

	for (i = 1; i < s.n && s.p[i] != '"'; i++)
		if (s.p[i] == '\\')
			i++;
	return i < s.n ? i + 1 : s.n;
}

/* The source text of a top-level member. The line is sound JSON. */
struct str journal_member(struct str line, struct str key)
{
	struct str none = { NULL, 0 }, name;
	size_t i = 1, n, from;
	int depth;

	while (i < line.n && line.p[i] == '"') {
		n = string_length(str_from(line, i));
		name = (struct str){ line.p + i + 1, n - 2 };
		i += n + 1;		/* the colon */
		from = i;
		for (depth = 0; i < line.n; i++) {
			char c = line.p[i];

			if (c == '"') {
				i += string_length(str_from(line, i)) - 1;
				continue;
			}
			depth += c == '{' || c == '[';
			if (depth == 0 && (c == ',' || c == '}'))
				break;
			depth -= c == '}' || c == ']';
		}
		if (str_eq(name, key))
			return (struct str){ line.p + from, i - from };
		i++;
	}
	return none;
}

struct jstr journal_text(struct str line, struct str key)
{
	struct str s = journal_member(line, key);
	struct jstr none = { { NULL, 0 } };

	if (s.n < 2 || s.p[0] != '"')
		return none;
	return (struct jstr){ { s.p + 1, s.n - 2 } };
}

int64_t journal_number(struct str line, struct str key, int64_t otherwise)
{
	struct str s = journal_member(line, key);
	uint64_t v;

	return str_u64(s, &v) == OK && v <= INT64_MAX ? (int64_t)v : otherwise;
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
