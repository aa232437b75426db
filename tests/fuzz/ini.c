/* Fuzz target of net/ini: lines lie in the text, in order, without blanks
 * around or line ends inside; and a look-up finds what the walk showed last.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "../../src/net/ini.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void within(struct str s, struct str text)
{
	if (!s.n)
		return;
	must(s.p >= text.p && s.p + s.n <= text.p + text.n);
	must(str_chr(s, '\n') == s.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };
	struct ini_walk w = ini_walk(text);
	struct ini_line at, last = { 0 };
	const char *why;
	int number = 0, line;

	if (size > 16384)
		return -1;
	ini_check(text, &line, &why);
	while (ini_next(&w, &at)) {
		must(at.number > number && at.kind != INI_NONE);
		number = at.number;
		within(at.section, text);
		within(at.parent, text);
		within(at.key, text);
		within(at.value, text);
		must(str_eq(at.key, str_trim(at.key)) &&
		    str_eq(at.value, str_trim(at.value)));
		if (at.key.n)
			last = at;
		else
			must(ini_has(text, at.kind, at.section) > 0);
		if (number > 200)
			break;
	}
	if (last.key.n && number <= 200) {
		struct str v = ini_get(text, last.kind, last.section,
		    last.parent, last.key, &line);

		must(v.p && str_eq(v, last.value) && line == last.number);
	}
	return 0;
}
