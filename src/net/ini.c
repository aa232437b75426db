/* ini.c -- lines of AWS config files, one at a time.
 *
 * Quotes are part of a value, a '#' glued to other bytes is data, an indented
 * setting under an empty one belongs to it: as the official clients read it,
 * strange as some of that is.
 *
 * SPDX-License-Identifier: MIT */
#include "ini.h"

static int blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cut at a '#' or ';' that begins the line or follows a blank. */
static struct str without_comment(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((s.p[i] == '#' || s.p[i] == ';') &&
		    (i == 0 || blank(s.p[i - 1])))
			break;
	return str_head(s, i);
}

static int name_ok(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || memchr("_-@+.%:/", c, 8)))
			return 0;
	}
	return s.n > 0;
}

static struct str unquoted(struct str s)
{
	if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') &&
	    s.p[s.n - 1] == s.p[0])
		return str_head(str_from(s, 1), s.n - 2);
	return s;
}

/* The inside of [...]. */
static void read_section(struct str inside, struct ini_line *at)
{
	static const struct { const char *prefix; enum ini_kind kind; } k[] = {
		{ "profile", INI_PROFILE }, { "sso-session", INI_SSO_SESSION },
		{ "services", INI_SERVICES }
	};
	struct str prefix, name;
	size_t i, n;

	inside = str_trim(inside);
	for (n = 0; n < inside.n && !blank(inside.p[n]); n++)
		;
	prefix = str_head(inside, n);
	name = unquoted(str_trim(str_from(inside, n)));
	at->kind = name.n ? INI_NONE : INI_PLAIN;
	at->section = name.n ? name : inside;
	for (i = 0; i < COUNT(k); i++)
		if (name_ok(name) && str_eq(prefix, str_of(k[i].prefix)))
			at->kind = k[i].kind;
}

struct ini_walk ini_walk(struct str text)
{
	struct ini_walk w;

	memset(&w, 0, sizeof(w));
	/* Editors of one system put a byte order mark there. */
	w.rest = str_starts(text, S("\xef\xbb\xbf")) ? str_from(text, 3) : text;
	return w;
}

/* A line with an '=' that isn't at its start. */
static int read_setting(struct ini_walk *w, struct str trimmed, int indented)
{
	struct ini_line *at = &w->at;
	size_t eq = str_chr(trimmed, '=');

	if (eq == trimmed.n)
		return 0;
	if (!indented)
		at->parent = (struct str){ NULL, 0 };
	at->key = str_trim(str_head(trimmed, eq));
	at->value = str_trim(str_from(trimmed, eq + 1));
	return at->key.n > 0 && at->kind != INI_NONE;
}

int ini_next(struct ini_walk *w, struct ini_line *line)
{
	struct ini_line *at = &w->at;
	struct str raw, s;
	int found = 0;

	/* The setting before this one had no value: what is indented under it
	 * is its own. Kept until a line that isn't indented. */
	if (at->key.n && !at->value.n && !at->parent.n)
		at->parent = at->key;
	while (!found && str_cut(&w->rest, '\n', &raw)) {
		at->number++;
		s = str_trim(without_comment(raw));
		at->key = at->value = (struct str){ NULL, 0 };
		if (!s.n)
			continue;
		if (s.p[0] == '[' && s.p[s.n - 1] == ']') {
			at->parent = (struct str){ NULL, 0 };
			read_section(str_head(str_from(s, 1), s.n - 2), at);
			found = at->kind != INI_NONE;
		} else {
			found = read_setting(w, s, blank(raw.p[0]));
		}
	}
	*line = *at;
	return found;
}

int ini_check(struct str text, int *line, const char **why)
{
	struct str raw;

	*line = 0;
	*why = "the file is larger than 1 MiB";
	if (text.n > INI_FILE_MAX)
		return E_BAD;
	while (str_cut(&text, '\n', &raw)) {
		++*line;
		*why = "the line is longer than 64 KiB";
		if (raw.n > INI_LINE_MAX)
			return E_BAD;
		*why = "the line has a NUL byte";
		if (str_chr(raw, '\0') < raw.n)
			return E_BAD;
	}
	return OK;
}

int ini_odd(struct str text)
{
	struct ini_walk w = ini_walk(text);
	struct str raw, s;
	int n = 0, inside = 0;

	while (str_cut(&w.rest, '\n', &raw)) {
		n++;
		s = str_trim(without_comment(raw));
		if (!s.n)
			continue;
		if (s.p[0] == '[' && s.p[s.n - 1] == ']')
			inside = 1;
		else if (!inside || s.p[0] == '[' || s.p[0] == '=' ||
		    (!blank(raw.p[0]) && str_chr(s, '=') == s.n))
			return n;
	}
	return 0;
}

struct str ini_get(struct str text, enum ini_kind kind, struct str section,
    struct str parent, struct str key, int *line)
{
	struct ini_walk w = ini_walk(text);
	struct str found = { NULL, 0 };
	struct ini_line at;

	while (ini_next(&w, &at)) {
		if (!at.key.n || at.kind != kind ||
		    !str_eq(at.section, section) ||
		    !str_eq(at.key, key) || !str_eq(at.parent, parent))
			continue;
		found = at.value.p ? at.value : S("");
		if (line)
			*line = at.number;
	}
	return found;
}

int ini_has(struct str text, enum ini_kind kind, struct str section)
{
	struct ini_walk w = ini_walk(text);
	struct ini_line at;

	while (ini_next(&w, &at))
		if (!at.key.n && at.kind == kind &&
		    str_eq(at.section, section))
			return at.number;
	return 0;
}
