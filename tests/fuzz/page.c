/* Fuzz target of the monitor's answers: whatever well-formed lines a journal's
 * file holds, what is made of them is JSON, lines of JSON, or a page without
 * elements of theirs; every answer ends.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/journal.c */
/* link: monitor/quick.c */
/* link: monitor/live.c */
/* link: monitor/load.c */
/* link: monitor/raw.c */
/* link: monitor/redact.c */
/* link: monitor/page_events.c */
/* link: monitor/page_steps.c */
/* link: monitor/page_prices.c */
/* link: monitor/fitness.c */
/* link: monitor/prices.c */
/* link: monitor/page_export.c */
/* link: monitor/page_har.c */
/* link: monitor/page_otlp.c */
/* link: monitor/page_replay.c */
/* link: net/loop.c */
/* link: net/sock.c */
/* link: net/keeper.c */
/* link: net/sandbox.c */
/* link: net/share.c */
#include <stdlib.h>

#include "../../src/monitor/journal_own.h"
#include "../../src/monitor/load.h"
#include "../../src/monitor/page.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 8 << 20, OUT = 16 << 20, SEQ_MAX = 1 << 20 };

static char room[ROOM], out[OUT], head_mem[sizeof(struct page_head)];
static struct monitor monitor;

/* The tests of other files need them whole; here they keep figures alone. */
void label_set(struct label *l, struct str s)
{
	l->n = s.n < RECORD_TEXT ? s.n : RECORD_TEXT;
	l->n = utf8_valid(str_head(s, l->n));
	if (l->n)
		memcpy(l->p, s.p, l->n);
}

struct str label_str(const struct label *l)
{
	return (struct str){ l->p, l->n };
}

static void must(int ok)
{
	if (!ok)
		abort();
}

/* The whole answer; empty when it is refused. */
static struct str take(const char *path, struct str id, const char *query_text)
{
	char path_text[256];
	struct buf p = buf_on(path_text, sizeof path_text);
	struct arena a = { room, room + sizeof room };
	struct buf b = buf_on(out, sizeof out);
	struct page_head *h = (struct page_head *)(void *)head_mem;
	struct page_ask ask = { { NULL, 0 }, str_of(query_text), { NULL, 0 },
		{ NULL, 0 } };
	struct fault f;
	int r, calls = 0;

	memset(h, 0, sizeof *h);
	buf_put(&p, str_of(path));
	buf_put(&p, id);
	ask.path = buf_str(&p);
	if (p.full || page_open(h, &monitor, &ask, &a, 1, &f) != OK)
		return S("");
	do {
		must(++calls < 100000);
		r = page_more(h->page, &b, 0, 1);
	} while (r == OK || (r == E_MORE && !h->page->live));
	must(!b.full && (r == E_NONE || h->page->live));
	return buf_str(&b);
}

static void check_json(struct str s)
{
	must(s.n == 0 || json_check(s, NULL, NULL) == OK);
}

static void check_session(struct str name)
{
	struct str s, line;

	check_json(take("/session/", name, ""));
	check_json(take("/export/", name, "as=har"));
	check_json(take("/export/", name, "as=otlp"));
	s = take("/export/", name, "as=jsonl");
	while (str_cut(&s, '\n', &line))
		must(json_check(line, NULL, NULL) == OK);
	s = take("/export/", name, "as=html");
	must(s.n == 0 || str_ends(s, S("</html>\n")));
	must(str_ifind(s, S("<script")) == s.n);
	must(str_ifind(s, S("<img")) == s.n);
	must(str_find(s, S("\xe2\x80\xae")) == s.n);
}

static void check_request(struct str id)
{
	struct arena a = { room, room + sizeof room };
	struct replay r;
	struct fault f;

	check_json(take("/request/", id, ""));
	check_json(take("/request/", id, "all=1"));
	memset(&r, 0, sizeof r);
	r.of = id;
	r.model = S("m");
	if (page_replay(&monitor, &r, &a, &f) == OK)
		must(json_check(r.body, NULL, NULL) == OK);
}

static void insert(struct journal *j, const struct journal_line *l,
    uint64_t base)
{
	struct str session = journal_text(l->text,
	    S("gen_ai.conversation.id")).raw;
	struct entry e = { .kind = (unsigned char)l->kind };

	e.session = journal_key(session.n ? session : S("s"));
	e.key = l->kind == J_BLOB ?
	    journal_sha_key(journal_text(l->text, S("sha")).raw) :
	    journal_hash(journal_text(l->text, S("id")).raw);
	journal_insert(j, base + l->seq, &e, l->text);
	if (l->kind == J_BLOB)
		journal_wrote(j, e.key, base + l->seq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct journal *j;
	struct journal_options o = { .memory = 4 << 20, .slots = 1 };
	struct journal_reader r = { .text = { (const char *)data, size } };
	struct journal_line l;
	uint64_t base;
	size_t requests = 0;
	int k;

	if (size > 65536)
		return -1;
	if (!j)
		j = journal_open(&o);
	must(j != NULL);
	monitor.journal = j;
	j->first = base = j->next;	/* nothing of the last input */
	while ((k = journal_read(&r, &l)) != E_NONE) {
		if (k != OK)
			journal_skip(&r);
		else if (l.seq < SEQ_MAX)
			insert(j, &l, base);
	}
	check_json(take("/data", S(""), ""));
	check_json(take("/sessions", S(""), ""));
	check_json(take("/search", S(""), "q=a"));
	(void)take("/events", S(""), "");
	check_session(S("s"));
	for (; base < j->next && requests < 8; base++) {
		if (journal_line(j, base, &l) != OK || l.kind != J_REQUEST)
			continue;
		requests++;
		check_request(journal_text(l.text, S("id")).raw);
		check_session(journal_text(l.text,
		    S("gen_ai.conversation.id")).raw);
	}
	return 0;
}
