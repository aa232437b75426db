/* load.c -- journals read back, whole and damaged.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/monitor/load.c"
#include "t.h"

#define LINE(seq, more) "{\"v\":1,\"seq\":" #seq ",\"ts\":\"t\",\"event\":" \
	"\"cdx.first\"" more "}\n"

static void test_good(void)
{
	struct journal_reader r = { .text = S(LINE(5, "")
	    LINE(9, ",\"id\":\"req_1\"")) };
	struct journal_line l;

	T_INT(journal_read(&r, &l), OK, "a line");
	T_INT(l.seq, 5, "its number");
	T_INT(l.kind, J_FIRST, "its kind");
	T_INT(journal_read(&r, &l), OK, "numbers may be missing");
	T_STR(journal_text(l.text, S("id")).raw, S("req_1"), "a text");
	T_INT(journal_number(l.text, S("seq"), 0), 9, "a number");
	T(journal_text(l.text, S("seq")).raw.p == NULL, "which is no text");
	T_INT(journal_number(l.text, S("id"), -7), -7, "and the other way");
	T_INT(journal_read(&r, &l), E_NONE, "the end");
	T_INT(r.line, 2, "two lines");
	T_INT(journal_member(S("{\"a\":1,\"id\"\r\r:\"x\"}"), S("id")).n, 0,
	    "a blank before the colon isn't ours");
	T_INT(journal_member(S("{\"a\": 1}"), S("a")).n, 0, "nor one behind");
	T_INT(journal_member(S("{\"a\":1 }"), S("a")).n, 0, "nor one after");
}

static void damage(const char *text, uint64_t line, size_t at,
    const char *why)
{
	struct journal_reader r = { .text = str_of(text) };
	struct journal_line l;
	int k;

	while ((k = journal_read(&r, &l)) == OK)
		continue;
	T_INT(k, E_BAD, "damage is told: %s", why);
	T_INT(r.line, line, "in which line: %s", why);
	T_INT(r.at, at, "at which byte: %s", why);
	T_STR(str_of(r.why ? r.why : ""), str_of(why), "and what it is");
}

static void test_damage(void)
{
	struct journal_reader r = { .text = S(LINE(1, "") "?\n" LINE(2, "")) };
	struct journal_line l;
	size_t first = sizeof LINE(1, "") - 1;

	damage(LINE(1, "") "{\"v\":1,\"seq\":2", 2, first,
	    "the line does not end");
	damage(LINE(1, "") "x\n", 2, first, "this is no JSON object");
	damage(LINE(1, "") "[]\n", 2, first, "this is no JSON object");
	damage(LINE(1, "") "\n", 2, first, "this is no JSON object");
	damage("{\"v\":2,\"seq\":1,\"event\":\"cdx.first\"}\n", 1, 0,
	    "not a line of a journal, or of a later version");
	damage("{ \"v\":1}\n", 1, 0,
	    "not a line of a journal, or of a later version");
	damage(LINE(2, "") LINE(2, ""), 2, first,
	    "its seq does not follow the line before");
	damage("{\"v\":1,\"seq\":1,\"event\":\"cdx.else\"}\n", 1, 0,
	    "its event is unknown");
	T_INT(journal_read(&r, &l), OK, "up to the damage");
	T_INT(journal_read(&r, &l), E_BAD, "the damage");
	T_INT(journal_read(&r, &l), E_BAD, "it stays there");
	journal_skip(&r);
	T_INT(journal_read(&r, &l), OK, "and goes on behind it when asked");
	T_INT(l.seq, 2, "with the next line");
}

static void test_members(void)
{
	struct str line = S("{\"a\":{\"b\":1,\"c\":[\"}\",\"\\\"]\"]},\"b\":"
	    "\"x\\\"y\",\"c\":[1,2],\"d\":null,\"e\":12}");

	T_STR(journal_member(line, S("a")), S("{\"b\":1,\"c\":[\"}\","
	    "\"\\\"]\"]}"), "an object, with brackets in strings");
	T_STR(journal_member(line, S("b")), S("\"x\\\"y\""),
	    "not the one inside");
	T_STR(journal_member(line, S("c")), S("[1,2]"), "an array");
	T_STR(journal_member(line, S("d")), S("null"), "null");
	T_STR(journal_member(line, S("e")), S("12"), "the last");
	T(journal_member(line, S("f")).n == 0, "absent");
	T_STR(journal_member(journal_member(line, S("a")), S("b")), S("1"),
	    "and inside");
}

int main(void)
{
	test_good();
	test_damage();
	test_members();
	return t_done("load");
}
