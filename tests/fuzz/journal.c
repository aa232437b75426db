/* Fuzz target of monitor/load: a journal of anything. Whatever the text, the
 * walk ends, good lines are JSON with a seq that grows, damage has a place in
 * the text, and members found in a line lie in it and are JSON themselves.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "../../src/monitor/load.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void look_up(struct str line)
{
	static const char *const keys[] = {
		"v", "seq", "event", "id", "sha", "gen_ai.conversation.id",
		"cdx.messages", "data", "", "x"
	};
	struct str m;
	struct jstr s;
	size_t i;

	for (i = 0; i < COUNT(keys); i++) {
		m = journal_member(line, str_of(keys[i]));
		must(m.n == 0 || (m.p > line.p && m.p + m.n < line.p + line.n));
		must(m.n == 0 || json_check(m, NULL, NULL) == OK);
		s = journal_text(line, str_of(keys[i]));
		must(s.raw.n + 2 == m.n || s.raw.p == NULL);
		(void)journal_number(line, str_of(keys[i]), 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_reader r = { .text = { (const char *)data, size } };
	struct journal_line l;
	uint64_t seq = 0, line = 0;
	size_t at = 0;
	int k;

	if (size > 65536)
		return -1;
	while ((k = journal_read(&r, &l)) != E_NONE) {
		must(r.at <= size && r.line == ++line);
		if (k == E_BAD) {
			must(r.why != NULL && r.at == at);
			/* It stays there until told to go on. */
			must(journal_read(&r, &l) == E_BAD && r.at == at);
			journal_skip(&r);
		} else {
			must(k == OK && l.seq > seq && r.seq == l.seq);
			must(json_check(l.text, NULL, NULL) == OK);
			look_up(l.text);
			seq = l.seq;
		}
		must(r.at > at);
		at = r.at;
	}
	must(r.at == size);
	return 0;
}
