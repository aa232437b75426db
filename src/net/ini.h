/* ini.h -- the config and credentials files that AWS tools share.
 *
 * One file's text, looked into without copies or a tree: a look-up walks the
 * lines. Files are small, look-ups few. The grammar is that of the official
 * clients, with their differences between the two files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef INI_H
#define INI_H

#include "../base/base.h"

enum {
	INI_FILE_MAX = 1048576,	/* real files have some kilobytes */
	INI_LINE_MAX = 65536	/* a line holds a key or a command */
};

enum ini_kind {
	INI_NONE,		/* before any section, or in one to ignore */
	INI_PLAIN,		/* [name] */
	INI_PROFILE,		/* [profile name] */
	INI_SSO_SESSION,	/* [sso-session name] */
	INI_SERVICES		/* [services name] */
};

/* One section head or one setting. */
struct ini_line {
	enum ini_kind kind;
	struct str section;
	struct str parent;	/* setting this one is indented under, or empty */
	struct str key, value;	/* key empty: a section head */
	int number;		/* of the line, from 1 */
};

/* Walks a text: w = ini_walk(text); while (ini_next(&w, &line)). */
struct ini_walk {
	struct str rest;
	struct ini_line at;	/* section and parent so far */
};

struct ini_walk ini_walk(struct str text);
int ini_next(struct ini_walk *w, struct ini_line *line);

/* Limits and NUL bytes. OK, or E_BAD with the line and a static reason. */
int ini_check(struct str text, int *line, const char **why);

/* The first line that is neither blank nor comment, head nor setting of a
 * section: number from 1, or 0. Such lines are passed over, as the official
 * clients do, but a person who misses something will want to know. */
int ini_odd(struct str text);

/* The last value of key in the sections of that kind and name; p NULL if there
 * is none. parent as in ini_line. *line (may be NULL) gets its place. */
struct str ini_get(struct str text, enum ini_kind kind, struct str section,
    struct str parent, struct str key, int *line);
/* Number of the line where the section begins first; 0 if it doesn't occur. */
int ini_has(struct str text, enum ini_kind kind, struct str section);

#endif
