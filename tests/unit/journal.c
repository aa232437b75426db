/* journal.c -- lines in the ring, blobs by name, answers in flight.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/live.c */
/* link: monitor/load.c */
/* link: monitor/quick.c */
/* link: monitor/raw.c */
/* link: monitor/redact.c */
/* link: net/loop.c */
/* link: net/sock.c */
/* link: net/keeper.c */
/* link: net/sandbox.c */
/* link: net/share.c */
#include "../../src/monitor/journal.c"
#include "t.h"

static struct journal *small(void)
{
	struct journal_options o = { .memory = 1 << 16, .slots = 3 };

	return journal_open(&o);
}

static uint64_t write_one(struct journal *j, struct str id, size_t filler)
{
	struct buf *b = journal_begin(j, J_REQUEST, id, 7);
	size_t i;

	journal_put_key(j, "x");
	buf_chr(b, '"');
	for (i = 0; i < filler; i++)
		buf_chr(b, 'x');
	buf_chr(b, '"');
	return journal_end(j);
}

static void test_lines(void)
{
	struct journal *j = small();
	struct journal_line l;

	T_INT(journal_next(j), 1, "numbers begin at 1");
	T_INT(journal_line(j, 1, &l), E_NONE, "nothing is there yet");
	T_INT(write_one(j, S("req_a"), 1), 1, "the first line");
	T_INT(journal_line(j, 1, &l), OK, "it is there");
	T(str_starts(l.text, S("{\"v\":1,\"seq\":1,\"ts\":\"20")) &&
	    str_ends(l.text, S("Z\",\"event\":\"cdx.request\","
	    "\"id\":\"req_a\",\"x\":\"x\"}")), "common keys, in order");
	T_INT(l.session, 7, "its session");
	write_one(j, S("req_b"), 1);
	T_INT(journal_find(j, S("req_b"), J_REQUEST, 0, &l), OK, "by id");
	T_INT(l.seq, 2, "the right one");
	T_INT(journal_find(j, S("req_b"), J_RESPONSE, 0, &l), E_NONE,
	    "by id and kind");
	T_INT(journal_find(j, S("req_b"), J_REQUEST, 3, &l), E_NONE,
	    "from a number on");
	T_INT(write_one(j, S("req_c"), 20000), 0,
	    "a line over a quarter of the ring is dropped");
	T_INT(j->dropped, 1, "and counted");
}

/* Whatever the ring says it has is whole, after any number of turns. */
static void test_turns(void)
{
	struct journal *j = small();
	struct journal_line l;
	uint64_t seq, n, bad = 0;
	unsigned r = 1;
	char id[32];

	for (n = 1; n <= 5000; n++) {
		r = r * 1103515245 + 12345;
		snprintf(id, sizeof id, "req_%lu", (unsigned long)n);
		if (write_one(j, str_of(id), (r >> 16) % (n % 7 ? 300 :
		    15000)) != n)
			bad++;
		if (n % 50 && n < 4990)
			continue;
		for (seq = journal_first(j); seq < journal_next(j); seq++) {
			snprintf(id, sizeof id, "\"req_%lu\"",
			    (unsigned long)seq);
			if (journal_line(j, seq, &l) != OK ||
			    json_check(l.text, NULL, NULL) != OK ||
			    str_find(l.text, str_of(id)) == l.text.n)
				bad++;
		}
		bad += journal_first(j) > j->young;
	}
	T_INT(bad, 0, "every line in the ring is whole and the one asked for");
	T(journal_first(j) > 1, "the oldest made room");
	T_INT(journal_line(j, journal_first(j) - 1, &l), E_NONE,
	    "what made room is said to be gone");
}

static void test_many_small(void)
{
	struct journal *j = small();
	struct journal_line l;
	uint64_t n;

	for (n = 0; n < 3000; n++)
		write_one(j, S("r"), 0);
	T(journal_next(j) - journal_first(j) <= j->nentries,
	    "the index bounds the ring too");
	T_INT(journal_line(j, journal_next(j) - 1, &l), OK, "the last line");
}

static uint64_t write_blob(struct journal *j, const char *sha, size_t filler)
{
	struct buf *b = journal_begin(j, J_BLOB, S(""), 0);
	uint64_t key = journal_sha_key(str_of(sha)), seq;
	size_t i;

	j->open.key = key;
	journal_put_text(j, "sha", str_of(sha));
	journal_put_key(j, "data");
	buf_chr(b, '"');
	for (i = 0; i < filler; i++)
		buf_chr(b, 'x');
	buf_chr(b, '"');
	seq = journal_end(j);
	journal_wrote(j, key, seq);
	return seq;
}

static void test_blobs(void)
{
	struct journal *j = small();
	struct journal_line l;
	const char *a = "00112233445566778899aabbccddeeff";
	uint64_t key = journal_sha_key(str_of(a));
	char sha[40];
	size_t i;

	T(journal_needs(j, key), "a name not seen needs its blob");
	write_blob(j, a, 100);
	T(!journal_needs(j, key), "once");
	T_INT(journal_blob(j, str_of(a), &l), OK, "found by its name");
	T_INT(journal_blob(j, S("00112233445566778899aabbccddee"), &l),
	    E_NONE, "a shorter name is none");
	for (i = 0; !journal_needs(j, key) && i < 1000; i++)
		write_one(j, S("r"), 500);
	T(journal_blob(j, str_of(a), &l) == OK, "asked for again while it "
	    "is still there: a line that names it stays readable");
	write_blob(j, a, 100);
	T(!journal_needs(j, key), "and is young again");
	j->fresh = journal_next(j);
	T(journal_needs(j, key), "a new segment needs it again");
	for (i = 0; i < 20000; i++) {
		snprintf(sha, sizeof sha, "%016lx%016lx", (unsigned long)i * 7919 + 1, 0ul);
		write_blob(j, sha, 0);
	}
	T_INT(journal_blob(j, str_of(sha), &l), OK, "a full table still "
	    "takes the newest");
	T_INT(journal_blob(j, str_of(a), &l), E_NONE, "and forgets the rest");
}

static void test_live(void)
{
	struct journal *j = small();
	struct live_cursor c = { 0 }, late = { 0 };
	struct live_piece p;
	struct jstr none = { { NULL, 0 } };

	T_INT(journal_live(j, 0, &c, &p), E_NONE, "nothing begun");
	live_start(j, 0, S("req_1"), 5);
	T_INT(journal_live(j, 0, &c, &p), E_NONE, "nothing said");
	live_block(j, 0, LIVE_TEXT, none, none);
	T_INT(journal_live(j, 0, &c, &p), OK, "a block begins");
	T(p.begins && p.text.raw.n == 0 && p.block == 0, "empty, told once");
	T_STR(p.id, S("req_1"), "whose");
	T_INT(journal_live(j, 0, &c, &p), E_NONE, "nothing more");
	live_add(j, 0, (struct jstr){ S("Hel") });
	T_INT(journal_live(j, 0, &c, &p), OK, "words");
	T_STR(p.text.raw, S("Hel"), "as they came");
	T(!p.begins, "of the same block");
	live_add(j, 0, (struct jstr){ S("lo\\n") });
	live_block(j, 0, LIVE_INPUT, (struct jstr){ S("Bash") },
	    (struct jstr){ S("toolu_1") });
	live_add(j, 0, (struct jstr){ S("{}") });
	T_INT(journal_live(j, 0, &c, &p), OK, "the rest of the block");
	T_STR(p.text.raw, S("lo\\n"), "alone");
	T_INT(journal_live(j, 0, &c, &p), OK, "then the next one");
	T(p.begins && p.kind == LIVE_INPUT && p.block == 1, "a tool's input");
	T_STR(p.name, S("Bash"), "its name");
	T_STR(p.call, S("toolu_1"), "its id");
	T_STR(p.text.raw, S("{}"), "what is there of it");
	T_INT(journal_live(j, 0, &c, &p), E_NONE, "all seen");
	T_INT(journal_live(j, 0, &late, &p), OK, "a late watcher");
	T_STR(p.text.raw, S("Hello\\n"), "gets it in larger pieces");
	live_start(j, 0, S("req_2"), 5);
	live_block(j, 0, LIVE_THINKING, none, none);
	T_INT(journal_live(j, 0, &late, &p), OK, "the slot went on");
	T_STR(p.id, S("req_2"), "and so does the watcher");
	T_INT(journal_live(j, 9, &c, &p), E_NONE, "no such slot");
	live_add(j, 9, (struct jstr){ S("x") });
}

/* A secret that comes in pieces is masked before anybody sees it. */
static void test_live_secrets(void)
{
	static const char *const pieces[] = {
		"the key: s", "k-a", "nt-api03-0123", "456789ab", "cdef. And",
		" more"
	};
	struct journal *j = small();
	struct live_cursor c = { 0 };
	struct live_piece p;
	struct jstr none = { { NULL, 0 } };
	char seen[256];
	struct buf b = buf_on(seen, sizeof seen);
	size_t i;

	live_start(j, 0, S("req_1"), 5);
	live_block(j, 0, LIVE_TEXT, none, none);
	for (i = 0; i < COUNT(pieces); i++) {
		live_add(j, 0, (struct jstr){ str_of(pieces[i]) });
		while (journal_live(j, 0, &c, &p) == OK)
			buf_put(&b, p.text.raw);
		T(str_find(buf_str(&b), S("ant-api03")) == b.n,
		    "nothing of it after piece %lu", (unsigned long)i);
	}
	live_end(j, 0);
	while (journal_live(j, 0, &c, &p) == OK)
		buf_put(&b, p.text.raw);
	T_STR(buf_str(&b), S("the key: [redacted anthropic_key len=30] And "
	    "more"), "in its place a note, and all the rest");
}

static struct str raw_text(struct journal *j, const char *id,
    enum raw_side side, int head, int *r)
{
	static char text[1 << 20];
	struct buf b = buf_on(text, sizeof text);

	*r = journal_raw(j, str_of(id), side, head, &b);
	return buf_str(&b);
}

/* A key is masked in what was made of a content that holds one, wherever in it,
 * and of one that wasn't seen whole. */
static void test_made(struct journal *j)
{
	static const struct {
		const char *from, *what;
		int clean;
	} cases[] = {
		{ "{\"a\":1}", "none", 1 },
		{ "{\"a\":\"sk-ant-0123456789abcdef\"}", "in it", 0 },
		{ "{\"a\":1} sk-ant-0123456789abcdef", "at its end", 0 },
		{ "{\"a\":1} -----BEGIN RSA PRIVATE KEY-----\nabc", "open", 0 },
		{ NULL, "not there", 0 }
	};
	static const char key[] = "sk-ant-0123456789abcdef";
	struct str made[] = { S("{\"b\":\"sk-ant-0123456"),
	    S("789abcdef\"}") };
	char id[] = "req_m0";
	size_t i;
	int r;

	for (i = 0; i < COUNT(cases); i++) {
		id[5] = (char)('0' + i);
		raw_begin(j, 2, str_of(id));
		raw_head(j, 2, RAW_CLIENT_REQUEST, S("h\r\n\r\n"));
		if (cases[i].from)
			raw_add(j, 2, RAW_CLIENT_REQUEST,
			    str_of(cases[i].from));
		raw_head(j, 2, RAW_UPSTREAM_REQUEST, S("u\r\n\r\n"));
		raw_made(j, 2, RAW_UPSTREAM_REQUEST, RAW_CLIENT_REQUEST,
		    made, COUNT(made));
		T(raw_text(j, id, RAW_UPSTREAM_REQUEST, 0, &r).n > 10,
		    "made, %s: kept", cases[i].what);
		T_INT(str_find(raw_text(j, id, RAW_UPSTREAM_REQUEST, 0, &r),
		    str_of(key)) == 6, cases[i].clean,
		    "made, %s", cases[i].what);
	}
}

static void test_raw(void)
{
	struct journal_options o = { .memory = 1 << 16, .slots = 3,
	    .raw = 1 << 17 };
	struct journal *j = journal_open(&o);
	static char big[1 << 16];
	char id[32];
	int r, i;

	raw_begin(j, 0, S("req_1"));
	raw_begin(j, 1, S("req_2"));
	raw_head(j, 0, RAW_CLIENT_REQUEST, S("POST / HTTP/1.1\r\nx-api-key: "
	    "abc\r\n\r\n"));
	raw_add(j, 0, RAW_CLIENT_REQUEST, S("{\"a\":\"sk-an"));
	raw_head(j, 1, RAW_CLIENT_REQUEST, S("other\r\n\r\n"));
	raw_add(j, 0, RAW_CLIENT_REQUEST, S("t-0123456789\"}"));
	T_STR(raw_text(j, "req_1", RAW_CLIENT_REQUEST, 1, &r),
	    S("POST / HTTP/1.1\r\nx-api-key: [redacted header len=3]\r\n"
	    "\r\n"), "a head, its key masked");
	T_INT(r, OK, "all of it");
	T_STR(raw_text(j, "req_1", RAW_CLIENT_REQUEST, 0, &r),
	    S("{\"a\":\"[redacted anthropic_key len=17]\"}"),
	    "content in pieces between others', masked across them");
	T_INT(r, OK, "all of it");
	T_INT(str_find((struct str){ j->raw, o.raw }, S("0123456789")), o.raw,
	    "the key isn't in memory either");
	raw_text(j, "req_1", RAW_UPSTREAM_REQUEST, 0, &r);
	T_INT(r, E_NONE, "a side that was not seen");
	raw_text(j, "req_9", RAW_CLIENT_REQUEST, 0, &r);
	T_INT(r, E_NONE, "a request that was not seen");
	raw_head(j, 0, RAW_UPSTREAM_REQUEST, S("one\r\n\r\n"));
	raw_add(j, 0, RAW_UPSTREAM_REQUEST, S("first"));
	raw_head(j, 0, RAW_UPSTREAM_REQUEST, S("two\r\n\r\n"));
	raw_add(j, 0, RAW_UPSTREAM_REQUEST, S("second"));
	T_STR(raw_text(j, "req_1", RAW_UPSTREAM_REQUEST, 0, &r), S("second"),
	    "the last attempt");
	memset(big, 'b', sizeof big);
	raw_head(j, 1, RAW_UPSTREAM_RESPONSE, S("HTTP/1.1 200\r\n\r\n"));
	raw_add(j, 1, RAW_UPSTREAM_RESPONSE, S("begins"));
	raw_add(j, 1, RAW_UPSTREAM_RESPONSE, (struct str){ big, sizeof big });
	T_STR(raw_text(j, "req_2", RAW_UPSTREAM_RESPONSE, 0, &r),
	    S("begins"), "what is too long is there with its beginning");
	T_INT(r, E_LIMIT, "and says so");
	for (i = 0; i < 40; i++) {
		snprintf(id, sizeof id, "req_x%d", i);
		raw_begin(j, 2, str_of(id));
		raw_head(j, 2, RAW_CLIENT_REQUEST, S("h\r\n\r\n"));
		raw_add(j, 2, RAW_CLIENT_REQUEST, (struct str){ big, 9000 });
	}
	raw_text(j, "req_1", RAW_CLIENT_REQUEST, 0, &r);
	T_INT(r, E_NONE, "the oldest makes room, as a whole");
	T_INT(raw_text(j, "req_x39", RAW_CLIENT_REQUEST, 0, &r).n, 9000,
	    "the newest is there");
	test_made(j);
	o.raw = 0;
	j = journal_open(&o);
	raw_begin(j, 0, S("req_1"));
	raw_head(j, 0, RAW_CLIENT_REQUEST, S("h\r\n\r\n"));
	raw_text(j, "req_1", RAW_CLIENT_REQUEST, 1, &r);
	T_INT(r, E_NONE, "RAW_MB=0 keeps nothing");
}

/* Sums tell apart what differs in a bit, a length or an order. */
static void test_quick(void)
{
	struct journal *j = small(), *k = small();
	static char a[3000], b[3000];
	uint64_t sum;
	size_t i, n, same = 0;
	int known;

	for (i = 0; i < sizeof a; i++)
		a[i] = b[i] = (char)(i * 7 % 251);
	sum = quick_sum(&j->quick, 0, (struct str){ a, sizeof a });
	T(sum == quick_sum(&j->quick, 0, (struct str){ b, sizeof b }),
	    "equal bytes, equal sums");
	T(sum != quick_sum(&k->quick, 0, (struct str){ b, sizeof b }),
	    "but not under another key");
	for (i = 0; i < sizeof b; i += 13) {
		b[i] ^= (char)0x80;
		same += sum == quick_sum(&j->quick, 0,
		    (struct str){ b, sizeof b });
		b[i] ^= (char)0x80;
	}
	for (n = 0; n < sizeof a; n++)
		same += sum == quick_sum(&j->quick, 0, (struct str){ a, n });
	memcpy(b, a + 256, 256);
	memcpy(b + 256, a, 256);
	same += sum == quick_sum(&j->quick, 0, (struct str){ b, sizeof b });
	memset(b, 0, sizeof b);
	same += quick_sum(&j->quick, 0, (struct str){ b, 256 }) ==
	    quick_sum(&j->quick, 0, (struct str){ b, 255 });
	T_INT(same, 0, "a bit, a byte less, two blocks exchanged");
	*quick_name(&j->quick, 7, &known) = (struct sha16){ { 1 } };
	T(!known, "a sum not seen");
	T(quick_name(&j->quick, 7, &known)->b[0] == 1 && known, "seen");
	T(!quick_clean(&j->quick, 7), "nobody looked");
	quick_set_clean(&j->quick, 7);
	/* Four sums of which only the upper bits differ find room. */
	for (i = 1; i < 4; i++) {
		(void)quick_name(&j->quick, 7 + ((uint64_t)i << 32), &known);
		T(!known, "another");
	}
	T(quick_name(&j->quick, 7, &known)->b[0] == 1 && known &&
	    quick_clean(&j->quick, 7), "the first is there still, and clean");
	T(!quick_clean(&j->quick, 7 + ((uint64_t)1 << 32)), "not another");
	(void)quick_name(&j->quick, 7 + ((uint64_t)4 << 32), &known);
	T(!quick_clean(&j->quick, 7), "the fifth makes it forget the first");
	(void)quick_name(&j->quick, 7, &known);
	T(!known && !quick_clean(&j->quick, 7), "which begins anew");
}

int main(void)
{
	test_lines();
	test_turns();
	test_many_small();
	test_blobs();
	test_live();
	test_live_secrets();
	test_raw();
	test_quick();
	return t_done("journal");
}
