/* t.h -- what a test program needs: counted checks and one closing line.
 *
 * A test includes the .c under test, then calls these and returns t_done():
 *
 *	T(n == 3, "OA-42 three blocks");
 *	T(ok, "case %s at byte %zu", name, at);
 *	T_STR(got, S("data: x\n"), "LF ends a line");
 *	T_INT(sum, 7, "sum of %d parts", parts);
 *	return t_done("sse");
 *
 * The label is a printf format and says which rule is checked. Only failures
 * are printed, the first T_SHOWN of them; all are counted. A test that wants
 * data which may be absent asks t_shared(), which says so aloud.
 *
 * SPDX-License-Identifier: MIT */
#ifndef T_H
#define T_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/base/base.h"

enum {
	T_SHOWN = 40,		/* enough to see a pattern, not to drown it */
	T_BYTES = 600		/* of each side of a failed comparison */
};

static struct {
	unsigned long passed, failed, skipped;
} t_count;

#if defined(__GNUC__)
#define T_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define T_PRINTF(fmt, args)
#endif

/* Counts one check. Returns whether it held, so that a test can stop early. */
static inline int t_vcheck(int ok, const char *file, int line,
	const char *label, va_list ap)
{
	if (ok) {
		t_count.passed++;
		return 1;
	}
	if (++t_count.failed > T_SHOWN)
		return 0;
	printf("%s:%d: FAILED: ", file, line);
	vprintf(label, ap);
	putchar('\n');
	fflush(stdout);
	return 0;
}

T_PRINTF(4, 5)
static inline int t_check(int ok, const char *file, int line,
	const char *label, ...)
{
	va_list ap;

	va_start(ap, label);
	ok = t_vcheck(ok, file, line, label, ap);
	va_end(ap);
	return ok;
}

/* The bytes on one line, controls and what isn't ASCII as escapes. */
static inline void t_show(const char *name, struct str s)
{
	size_t i;

	printf("\t%s (%lu bytes): \"", name, (unsigned long)s.n);
	for (i = 0; i < s.n && i < T_BYTES; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\n')
			fputs("\\n", stdout);
		else if (c == '\r')
			fputs("\\r", stdout);
		else if (c == '\t')
			fputs("\\t", stdout);
		else if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	printf("\"%s\n", i < s.n ? "..." : "");
}

T_PRINTF(5, 6)
static inline int t_str(struct str got, struct str want, const char *file,
	int line, const char *label, ...)
{
	int ok = got.n == want.n &&
		(got.n == 0 || memcmp(got.p, want.p, got.n) == 0);
	va_list ap;
	size_t at = 0;

	va_start(ap, label);
	ok = t_vcheck(ok, file, line, label, ap);
	va_end(ap);
	if (ok || t_count.failed > T_SHOWN)
		return ok;
	while (at < got.n && at < want.n && got.p[at] == want.p[at])
		at++;
	printf("\tthey differ from byte %lu on\n", (unsigned long)at);
	/* A long common part is left out, so that the difference is seen. */
	at = at > T_BYTES / 2 ? at - T_BYTES / 2 : 0;
	t_show("want", (struct str){ want.p + at, want.n - at });
	t_show("got ", (struct str){ got.p + at, got.n - at });
	fflush(stdout);
	return 0;
}

T_PRINTF(5, 6)
static inline int t_int(intmax_t got, intmax_t want, const char *file,
	int line, const char *label, ...)
{
	va_list ap;
	int ok;

	va_start(ap, label);
	ok = t_vcheck(got == want, file, line, label, ap);
	va_end(ap);
	if (!ok && t_count.failed <= T_SHOWN) {
		printf("\twant %jd, got %jd\n", want, got);
		fflush(stdout);
	}
	return ok;
}

#define T(cond, ...) t_check(!!(cond), __FILE__, __LINE__, __VA_ARGS__)
#define T_STR(got, want, ...) \
	t_str((got), (want), __FILE__, __LINE__, __VA_ARGS__)
#define T_INT(got, want, ...) \
	t_int((intmax_t)(got), (intmax_t)(want), __FILE__, __LINE__, __VA_ARGS__)

/* Says that something could not be checked here, and why. */
T_PRINTF(1, 2)
static inline void t_skip(const char *why, ...)
{
	va_list ap;

	t_count.skipped++;
	fputs("SKIPPED: ", stdout);
	va_start(ap, why);
	vprintf(why, ap);
	va_end(ap);
	putchar('\n');
}

/* A whole file, with a NUL after it that isn't counted; p is NULL when there
 * is none. It is kept until the program ends. */
static inline struct str t_file(const char *path)
{
	static struct t_text {
		struct t_text *next;
		char bytes[];
	} *kept, *t, *more;
	struct str none = { NULL, 0 };
	size_t cap = 1 << 16, n = 0, got;
	FILE *f = fopen(path, "rb");

	if (!f)
		return none;
	t = malloc(sizeof(*t) + cap);
	while (t && (got = fread(t->bytes + n, 1, cap - n - 1, f)) > 0) {
		n += got;
		if (cap - n > 1)
			continue;
		more = realloc(t, sizeof(*t) + (cap *= 2));
		if (!more)
			free(t);
		t = more;
	}
	fclose(f);
	if (!t)
		return none;
	t->next = kept;
	kept = t;
	t->bytes[n] = '\0';
	return (struct str){ t->bytes, n };
}

/* Where shared data lies: name below $SHARED, else below ../shared of the
 * repository's root, from where tests are run. NULL when it isn't there, which
 * is said aloud and counted as skipped: never silently. Overwritten by the
 * next call. */
static inline const char *t_shared(const char *name)
{
	static char path[4096];
	const char *dir = getenv("SHARED");
	FILE *f;
	int n;

	n = snprintf(path, sizeof(path), "%s/%s", dir ? dir : "../shared", name);
	f = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "rb") : NULL;
	if (!f) {
		t_skip("%s is not there", path);
		return NULL;
	}
	fclose(f);
	return path;
}

/* The last line of every test program; its value is main's. */
static inline int t_done(const char *name)
{
	if (t_count.failed > T_SHOWN)
		printf("%s: %lu more failures not shown\n", name,
			t_count.failed - T_SHOWN);
	printf("%s: %lu passed, %lu failed", name, t_count.passed,
		t_count.failed);
	if (t_count.skipped)
		printf(", %lu skipped", t_count.skipped);
	putchar('\n');
	/* A program that checked nothing has proved nothing. */
	return t_count.failed || !(t_count.passed || t_count.skipped);
}

#endif
