/* fault.c -- tests of core/fault.c: statuses and types, cut texts, notes, ids.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/core/fault.c"

static void test_types(void)
{
	static const struct {
		int status;
		const char *type;
	} rows[] = {		/* AN section 6 */
		{ 400, "invalid_request_error" }, { 401, "authentication_error" },
		{ 402, "billing_error" }, { 403, "permission_error" },
		{ 404, "not_found_error" }, { 405, "invalid_request_error" },
		{ 408, "timeout_error" }, { 413, "request_too_large" },
		{ 422, "invalid_request_error" }, { 429, "rate_limit_error" },
		{ 500, "api_error" }, { 502, "api_error" },
		{ 503, "overloaded_error" }, { 504, "timeout_error" },
		{ 529, "overloaded_error" }, { 599, "api_error" }
	};
	size_t i;

	for (i = 0; i < COUNT(rows); i++)
		T_STR(str_of(fault_type(rows[i].status)), str_of(rows[i].type),
		    "AN 6: type of %d", rows[i].status);
}

static void test_text(void)
{
	static char long_text[FAULT_TEXT_MAX + 10];
	struct fault f;
	size_t i;

	FAULT(&f, 404, S("model: "), S("x"));
	T_STR(fault_text(&f), S("model: x"), "parts in order");
	T_INT(f.status, 404, "status");
	T_INT(f.retry_after, -1, "no hint");
	T_INT(f.should_retry, -1, "no hint");
	FAULT(&f, 400, S("old: "), fault_text(&f));
	T_STR(fault_text(&f), S("old: model: x"), "a part may be the old text");
	/* Two-byte characters from an odd offset: the last is cut in two. */
	for (i = 0; i + 1 < sizeof long_text; i += 2)
		memcpy(long_text + i, "\xc3\xa9", 2);
	FAULT(&f, 400, S("x"), (struct str){ long_text, sizeof long_text },
	    S("never seen"));
	T_INT(f.n, FAULT_TEXT_MAX - 1, "cut at a whole character");
	T_INT(utf8_valid(fault_text(&f)), f.n, "well-formed");
	FAULT(&f, 400, S("a\xff" "b\xe2\x82"));
	T_STR(fault_text(&f), S("a\xef\xbf\xbd" "b"),
	    "ill-formed bytes are replaced, a half at the end goes");
	memset(long_text, 0xff, sizeof long_text);
	FAULT(&f, 400, (struct str){ long_text, sizeof long_text });
	T_INT(f.n, FAULT_TEXT_MAX, "replacements stay within the bound");
	T_INT(utf8_valid(fault_text(&f)), f.n, "well-formed");
	fault_set(&f, 500, NULL, 0);
	T_INT(f.n, 0, "no parts, no text");
}

static void test_write(void)
{
	char room[400];
	struct buf b = buf_on(room, sizeof room);
	struct fault f;

	FAULT(&f, 429, S("say \"no\"\n"));
	fault_write(&b, &f, S("req_7"));
	T_STR(buf_str(&b), S("{\"type\":\"error\",\"error\":{\"type\":"
	    "\"rate_limit_error\",\"message\":\"say \\\"no\\\"\\n\"},"
	    "\"request_id\":\"req_7\"}"), "AN 6: the body of an error");
	b.n = 0;
	f.code = "thread_unsupported_request";
	fault_write(&b, &f, S("req_7"));
	T(str_find(buf_str(&b), S("\\n\",\"details\":{\"error_code\":"
	    "\"thread_unsupported_request\"}},\"request_id\"")) < b.n,
	    "AN-4 AN 6: a code where one is known");
	FAULT(&f, 400, S("x"));
	T(!f.code, "and none after the next fault");
}

static void test_notes(void)
{
	static char names[NOTES_MAX + 5][8];
	struct notes ns = { .n = 0 };
	size_t i;

	note(&ns, NOTE_DROPPED, S("top_k"), S("not there"));
	note(&ns, NOTE_CHANGED, S("top_k"), S("not there"));
	note(&ns, NOTE_DROPPED, S("top_k"), S("not there"));
	T_INT(ns.n, 2, "one per kind and field");
	T_INT(ns.v[0].count, 2, "repetitions are counted");
	T_INT(ns.v[1].count, 1, "others are not");
	for (i = 0; i < NOTES_MAX + 5; i++) {
		snprintf(names[i], sizeof names[i], "f%u", (unsigned)i);
		note(&ns, NOTE_ADDED, str_of(names[i]), S(""));
	}
	T_INT(ns.n, NOTES_MAX, "bounded");
	T_INT(ns.lost, 7, "what found no room is counted");
	note(&ns, NOTE_DROPPED, S("top_k"), S(""));
	T_INT(ns.v[0].count, 3, "known ones are still counted");
	T_STR(str_of(note_kind_name(NOTE_DROPPED)), S("dropped"), "name");
	T_STR(str_of(note_kind_name(NOTE_ADDED)), S("added"), "name");
}

static void test_ids(void)
{
	struct ids a = { { 1 }, 0 }, b = { { 1 }, 0 }, c = { { 2 }, 0 };
	char x[ID_MAX], y[ID_MAX];
	static char seen[4000][ID_MAX];
	struct str s = id_new(&a, S("msg_"), x);
	unsigned count[128] = { 0 };
	size_t i, k;

	T_INT(s.n, 28, "AN-13 msg_ and 24 characters");
	T_STR(str_head(s, 4), S("msg_"), "AN-13 prefix");
	T_STR(id_new(&b, S("msg_"), y), s, "the same seed and counter");
	T(!str_eq(id_new(&b, S("msg_"), y), s), "the next one differs");
	T(!str_eq(id_new(&c, S("msg_"), y), s), "another seed differs");
	T_INT(id_new(&c, S("toolu_"), y).n, 30, "AN 9: tool id");
	T_INT(id_new(&c, S("a prefix too long"), y).n, 31, "bounded");
	for (i = 0; i < COUNT(seen); i++) {
		s = id_new(&a, S(""), seen[i]);
		for (k = 0; k < s.n; k++)
			count[(unsigned char)s.p[k] & 127]++;
		if (s.n != 24)
			T(0, "length %u", (unsigned)s.n);
	}
	/* 96000 characters over 62: 1548 each, give or take five sigma. */
	for (i = k = 0; i < 128; i++) {
		int base62 = (i >= '0' && i <= '9') || (i >= 'A' && i <= 'Z') ||
		    (i >= 'a' && i <= 'z');

		T(base62 ? count[i] > 1350 && count[i] < 1750 : count[i] == 0,
		    "base62, each alike: %c %u", (int)i, count[i]);
	}
	for (i = k = 0; i + 1 < COUNT(seen); i++)
		k += memcmp(seen[i], seen[i + 1], 24) == 0;
	T_INT(k, 0, "no repetition");
}

int main(void)
{
	test_types();
	test_text();
	test_write();
	test_notes();
	test_ids();
	return t_done("fault");
}
