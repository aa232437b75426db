/* estimate.c -- tests of core/estimate.c: the published vectors, exactly.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/core/estimate.c"

/* Profile o: text as the inside of a JSON string, hundredths, tokens; and what
 * the o200k vocabulary makes of it. */
static const struct {
	const char *json;
	unsigned sum, tokens, real;
} vectors[] = {
	{ "",
	    0, 0, 0 },
	{ "Hello, world!",
	    326, 4, 4 },
	{ "The harbour master logs every arrival.",
	    648, 7, 7 },
	{ "int main(void) {\\n    return 0;\\n}\\n",
	    1084, 11, 11 },
	{ "getUserProfileById(userId, MAX_RETRY_COUNT)",
	    1513, 16, 13 },
	{ "{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"path\\\":{\\\"type\\\":\\\"string\\\"}},\\\"required\\\":[\\\"path\\\"]}",
	    1792, 18, 19 },
	{ "2026-11-23 took 1048576 bytes",
	    1241, 13, 12 },
	{ "港务长记录每一艘船的到港时间。",
	    1163, 12, 14 },
	{ "港の管理人は毎日記録します。",
	    1073, 11, 11 },
	{ "항만 관리자는 매일 기록합니다.",
	    1080, 11, 9 },
	{ "Начальник порта ведёт журнал.",
	    729, 8, 9 },
	{ "Übergröße für Größenänderung",
	    651, 7, 6 },
	{ "a  b\\t c",
	    573, 6, 5 },
	{ "x\\r\\n\\r\\n\\ty",
	    433, 5, 3 },
	{ "🙂🙂 ok",
	    323, 4, 3 },
	{ "https://example.com/a/b?c=1&d=2",
	    1459, 15, 14 },
	{ "Q2FyZ28gbWFuaWZlc3QgMTIzNDU2Nzg5MCBiYXlsaW5lIDQyIGhhcmJvdXI0",
	    3960, 40, 38 },
};

static void test_vectors(void)
{
	char room[512], again[1024];
	uint64_t all = 0, real = 0;
	size_t i;

	for (i = 0; i < COUNT(vectors); i++) {
		struct jstr j = { str_of(vectors[i].json) };
		struct buf b = buf_on(room, sizeof room);
		struct buf e = buf_on(again, sizeof again);
		uint64_t sum = estimate_jstr(j, VOCAB_O);

		T_INT(sum, vectors[i].sum, "OA-127 %s", vectors[i].json);
		T_INT((sum + 99) / 100, vectors[i].tokens, "OA-127 tokens %s",
		    vectors[i].json);
		all += vectors[i].tokens;
		real += vectors[i].real;
		json_unescape(&b, j);
		T_INT(estimate_text(buf_str(&b), VOCAB_O), vectors[i].sum,
		    "OA-127 plain text of %s", vectors[i].json);
		/* As a JSON value it has its quotes and escapes besides. */
		json_quote(&e, buf_str(&b));
		T_INT(estimate_json(buf_str(&e), VOCAB_O),
		    estimate_text(buf_str(&e), VOCAB_O),
		    "compact JSON is read as it is: %s", vectors[i].json);
	}
	T(all * 100 <= real * 108 && all * 100 >= real * 92,
	    "OA-128 all of them within 8 percent: %lu for %lu",
	    (unsigned long)all, (unsigned long)real);
}

static uint64_t o(const char *s)
{
	return estimate_text(str_of(s), VOCAB_O);
}

static uint64_t c(const char *s)
{
	return estimate_text(str_of(s), VOCAB_C);
}

static void test_rules(void)
{
	T_INT(o("abcdefg"), 97, "OA-127 2 seven letters are one item");
	T_INT(o("abcdefgh"), 142, "OA-127 2 the eighth costs");
	T_INT(o("ABC"), 168, "OA-127 2 capitals");
	T_INT(o("A"), 97, "OA-127 2 one capital is a word");
	T_INT(o("aB"), 194, "OA-127 2 cut before a capital");
	T_INT(o("aBC"), 97 + 168, "OA-127 2 the rest may be capitals");
	T_INT(o("\xc3\xa9""cole"), 112 + 21, "OA-127 2 accents");
	T_INT(o("1234"), 230, "OA-127 4 three digits a piece");
	T_INT(o("  "), 141, "OA-127 5 two blanks");
	T_INT(o("\t"), 141, "OA-127 5 a tab");
	T_INT(o(" 1"), 225, "OA-127 5 a blank before a digit");
	T_INT(o(";\n"), 66, "OA-127 6 a newline behind punctuation");
	T_INT(o("; \n"), 66, "OA-127 5 blanks leave that as it is");
	T_INT(o("a\n"), 97 + 98, "OA-127 6 another newline");
	T_INT(o("\r\n\r\n"), 98, "OA-127 6 CR and LF are one run");
	T_INT(o("!!!"), 88, "OA-127 7 punctuation");
	T_INT(o("\xff\xfe"), 226, "OA-127 each ill-formed byte is one O");
	T_INT(c("abcdefgh"), 95 + 56, "OA-127 profile c, word");
	T_INT(c("ABC"), 162, "OA-127 profile c, capitals");
	T_INT(c("\xe6\xb8\xaf"), 104, "OA-127 profile c, Han");
	T_INT(c("!!"), 73, "OA-127 profile c, punctuation");
	/* 40 with 1 in 16 digits is a blob; with fewer it is words. */
	T_INT(o("abcdefghijklmnopqrstuvwxyzabcdefghijk123"), 40 * 66,
	    "OA-127 1 blob of 40");
	T(o("abcdefghijklmnopqrstuvwxyzabcdefghijkl12") != 40 * 66,
	    "OA-127 1 too few digits");
	T(o("abcdefghijklmnopqrstuvwxyzabcdefghij123") != 39 * 66,
	    "OA-127 1 too short");
	T_INT(o("-abcdefghijklmnopqrstuvwxyzabcdefghijk1234"),
	    66 + 97 + 45 * (37 - 7) + 230,
	    "OA-127 1 no blob inside a run that began otherwise");
	T_INT(estimate_jstr((struct jstr){ S("\\ud83d") }, VOCAB_O), 113,
	    "a lone surrogate is one O");
	T_INT(estimate_jstr((struct jstr){ S("\\ud83d\\ude42") }, VOCAB_O), 113,
	    "a pair is one code point");
	T_INT(estimate_jstr((struct jstr){ S("\\u00e9\\/\\n") }, VOCAB_O),
	    112 + 66, "escapes are undone on the way");
	T_INT(estimate_json(S("{ \"a\" : [ 1 , \"x \\\" y\" ] }"), VOCAB_O),
	    o("{\"a\":[1,\"x \\\" y\"]}"),
	    "blanks outside of strings don't count");
}

static void test_near(void)
{
	static const char *const kinds[] = {
		"The harbour master logs every arrival, by day and by night. ",
		"\\tif (n == 0) {\\n\\t\\treturn E_FULL; /* no room */\\n\\t}\\n",
		"\\u00e9t\\u00e9 \xe6\xb8\xaf\xe5\x8a\xa1\xe9\x95\xbf 1048576, ",
	};
	static char room[300000];
	static struct estimates kept;
	struct buf b;
	uint64_t exact, near;
	size_t i, n;

	for (i = 0; i < COUNT(kinds); i++) {
		for (n = 500; n < 250000; n *= 3) {
			b = buf_on(room, sizeof room);
			while (b.n < n)
				buf_put(&b, str_of(kinds[i]));
			exact = estimate_jstr((struct jstr){ buf_str(&b) },
			    VOCAB_O);
			near = estimate_near(buf_str(&b), VOCAB_O);
			T(n > 1000 || near == exact, "short text is exact");
			T(estimate_kept(&kept, buf_str(&b), VOCAB_O) == near &&
			    estimate_kept(&kept, buf_str(&b), VOCAB_O) == near,
			    "the same when it is seen again");
			T(estimate_kept(&kept, buf_str(&b), VOCAB_C) ==
			    estimate_near(buf_str(&b), VOCAB_C),
			    "with the other weights");
			T(near * 100 > exact * 88 && near * 100 < exact * 112,
			    "near %lu, exact %lu of %lu bytes %s",
			    (unsigned long)near, (unsigned long)exact,
			    (unsigned long)n, kinds[i]);
		}
	}
}

/* ---- whole requests ---- */

static int64_t whole(const char *text)
{
	static char room[65536];
	struct arena a = { room, room + sizeof room };
	static struct json doc;
	struct request r;
	struct notes notes = { .n = 0 };
	struct fault f;

	if (!T(json_parse(&doc, str_of(text), &a, NULL) == OK, "%s", text))
		return -1;
	T_INT(request_parse(&r, &doc, 1, &a, &notes, &f), OK, "%s", text);
	return estimate_request(&r, VOCAB_O, 0);
}

static void test_requests(void)
{
	T_INT(whole("{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
	    "\"content\":\"Hello, world!\"}]}"), (300 + 400 + 326 + 99) / 100,
	    "OA-129 request, message, text");
	T_INT(whole("{\"model\":\"m\",\"system\":\"ab\",\"messages\":["
	    "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","
	    "\"id\":\"x\",\"name\":\"ls\",\"input\":{ }}]},"
	    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"x\",\"content\":\"ok\"}]}]}"),
	    (300 + 3 * 400 + 97 + 97 + 77 + 800 + 400 + 97 + 99) / 100,
	    "OA-129 system, call, result");
	T_INT(whole("{\"model\":\"m\",\"tools\":[{\"name\":\"ls\","
	    "\"description\":\"ab\",\"input_schema\":{}},{\"type\":"
	    "\"web_search_20250305\",\"name\":\"web_search\"}],\"messages\":["
	    "{\"role\":\"user\",\"content\":\"ab\"}]}"),
	    (300 + 400 + 97 + 1200 + 97 + 97 + 77 + 700 + 99) / 100,
	    "OA-129 tools; a server's cost nothing");
}

int main(void)
{
	test_vectors();
	test_rules();
	test_near();
	test_requests();
	return t_done("estimate");
}
