/* tail.c -- claudecodex tail: what happens, line by line.
 *
 *	tail [-s SESSION] [--json] [--all] [--old] [FILE]
 *
 * Without a file it follows the proxy on this machine (SERVER_PORT,
 * MONITOR_TOKEN) and shows words as they stream; several answers at once are
 * told apart by the end of their request's id; --old begins with what the proxy
 * still holds. With one it shows the
 * journal's file and goes on as it grows, or as another takes its name. --json gives the journal's lines as
 * they are. Counts and probes stay hidden without --all.
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"
#include "pages.h"
#include "term.h"

enum {
	LIVE = 32,		/* answers whose words are shown at once */
	LINE = 1000,		/* bytes of a line of words */
	SHORT = 6,		/* of an id, its end: it tells two apart */
	NAME = 48,
	FILE_MAX = 2 << 20,	/* of a file, read at once */
	POLL_MS = 200,		/* between looks at a file that grows */
	FRONT_MS = 1000,	/* of silence: another answer comes to the front */
	PARSE = 64 << 20
};

struct words {
	char id[NAME];
	size_t nid, n;
	int64_t block;		/* -1: none yet */
	char kind;		/* t(ext), (t)h(ink), j(son) */
	int hidden;
	char text[LINE];
};

struct tail {
	struct term out;
	struct str session;
	int json, all, from_file;
	struct words words[LIVE];
	size_t next;		/* to be taken for a new answer */
	struct words *front;	/* whose words show as they come; the others'
				 * line by line */
	int64_t front_at;	/* when it last had one */
	struct words *open;	/* whose line lacks its end; NULL: none */
	char *parse;
};

/* ---- words ------------------------------------------------------------ */

static void close_line(struct tail *t)
{
	if (t->open)
		term_put(&t->out, S("\n"));
	t->open = NULL;
}

static struct words *words_of(struct tail *t, struct str id, int make)
{
	struct words *w;
	size_t i;

	for (i = 0; i < LIVE; i++)
		if (str_eq((struct str){ t->words[i].id, t->words[i].nid },
		    id))
			return &t->words[i];
	if (!make || id.n > NAME)
		return NULL;
	w = &t->words[t->next++ % LIVE];
	if (t->open == w)
		close_line(t);
	if (t->front == w)
		t->front = NULL;
	memset(w, 0, sizeof *w);
	memcpy(w->id, id.p, id.n);
	w->nid = id.n;
	w->block = -1;
	return w;
}

static struct str end_of(struct str id)
{
	return str_from(id, id.n > SHORT ? id.n - SHORT : 0);
}

/* The pending words, on the line that is open for them, or on a new one. */
static void put_words(struct tail *t, struct words *w, size_t n)
{
	enum colour c = w->kind == 'h' ? DIM : w->kind == 'j' ? CYAN : PLAIN;

	if (t->open != w) {
		close_line(t);
		term_put(&t->out, S("         "));
		term_text(&t->out, DIM, end_of((struct str){ w->id,
		    w->nid }));
		term_put(&t->out, w->kind == 'j' ? S(" > ") : S(" | "));
		t->open = w;
	}
	term_text(&t->out, c, (struct str){ w->text, n });
	w->n -= n;
	memmove(w->text, w->text + n, w->n);
}

/* What is left of a line, at the end of a block. */
static void end_words(struct tail *t, struct words *w)
{
	if (w->n)
		put_words(t, w, w->n);
	if (t->open == w)
		close_line(t);
}

/* On a terminal words needn't wait for the end of their line; but of several
 * answers only one may do so, or nobody could read any. */
static void show_now(struct tail *t, struct words *w)
{
	int64_t now = loop_now();

	if (!t->out.tty || w->n == 0 || (t->front && t->front != w &&
	    now - t->front_at < FRONT_MS))
		return;
	t->front = w;
	t->front_at = now;
	put_words(t, w, w->n);
}

static void add_words(struct tail *t, struct words *w, struct str s)
{
	size_t n;

	while (s.n && !w->hidden) {
		n = str_chr(s, '\n');
		if (n > LINE - w->n)
			n = LINE - w->n;
		memcpy(w->text + w->n, s.p, n);
		w->n += n;
		s = str_from(s, n);
		if (s.n && s.p[0] == '\n') {
			put_words(t, w, w->n);
			close_line(t);
			s = str_from(s, 1);
		} else if (w->n == LINE) {
			n = utf8_valid((struct str){ w->text, w->n });
			put_words(t, w, n ? n : w->n);
		}
	}
	if (!w->hidden)
		show_now(t, w);
}

static void take_delta(struct tail *t, struct str line)
{
	char mem[65536];
	struct str id = journal_text(line, S("id")).raw;
	struct jstr d = journal_text(line, S("d"));
	struct jstr name = journal_text(line, S("name"));
	struct str kind = journal_text(line, S("k")).raw;
	int64_t block = journal_number(line, S("i"), 0);
	struct words *w = words_of(t, id, t->session.n == 0);
	struct buf b = buf_on(mem, sizeof mem);
	size_t n;

	if (!w)			/* of another session, or nobody knows */
		return;
	if (w->block != block) {
		end_words(t, w);
		w->block = block;
		w->kind = str_eq(kind, S("json")) ? 'j' :
		    str_eq(kind, S("think")) ? 'h' : 't';
		if (name.raw.n) {
			json_unescape(&b, name);
			buf_chr(&b, ' ');
			add_words(t, w, buf_str(&b));
		}
	}
	while (d.raw.n) {
		n = json_whole(str_head(d.raw, sizeof mem));
		if (n == 0)
			break;
		b.n = 0;
		json_unescape(&b, (struct jstr){ str_head(d.raw, n) });
		add_words(t, w, buf_str(&b));
		d.raw = str_from(d.raw, n);
	}
}

/* ---- lines ------------------------------------------------------------ */

static void put_field(struct tail *t, enum colour c, struct str line,
    const char *key)
{
	char mem[2048];
	struct buf b = buf_on(mem, sizeof mem);
	struct jstr s = journal_text(line, str_of(key));

	s.raw = str_head(s.raw, sizeof mem);
	s.raw.n = json_whole(s.raw);
	json_unescape(&b, s);
	term_text(&t->out, c, buf_str(&b));
}

static void put_begin(struct tail *t, struct str line, const char *mark)
{
	struct term *o = &t->out;

	close_line(t);
	term_clock(o, journal_when(journal_text(line, S("ts")).raw));
	term_put(o, S(" "));
	term_text(o, DIM, end_of(journal_text(line, S("id")).raw));
	term_put(o, S(" "));
	term_put(o, str_of(mark));
	term_put(o, S(" "));
}

/* The results of tools that this request brings, a line each. */
static void put_results(struct tail *t, struct str line)
{
	struct arena a = { t->parse, t->parse + PARSE };
	struct term *o = &t->out;
	struct json doc;
	struct json_iter it;
	struct str name;
	int64_t ms;

	if (json_parse(&doc, journal_member(line, S("cdx.tool_results")), &a,
	    NULL) != OK)
		return;
	it = json_iter(json_root(&doc));
	while (json_next(&it)) {
		name = page_text(it.value, "gen_ai.tool.name", &a);
		ms = json_int(json_get(it.value, S("ms")), -1);
		term_put(o, S("         "));
		term_text(o, DIM, end_of(journal_text(line, S("id")).raw));
		term_put(o, S(" < "));
		term_text(o, CYAN, name);
		if (ms >= 0) {
			term_put(o, json_is(json_get(it.value, S("by")),
			    S("client")) ? S(" ") : S(" <= "));
			term_ms(o, ms);
		}
		term_put(o, S(", "));
		term_bytes(o, (uint64_t)json_int(json_get(it.value,
		    S("bytes")), 0));
		if (json_true(json_get(it.value, S("error"))))
			term_say(o, RED, S(", error"));
		term_put(o, S("\n"));
	}
}

static int is_side(struct str line)
{
	struct str class = journal_text(line, S("cdx.class")).raw;

	return str_eq(class, S("count")) || str_eq(class, S("probe"));
}

static void put_request(struct tail *t, struct str line)
{
	struct term *o = &t->out;
	struct str agent = journal_text(line, S("gen_ai.agent.name")).raw;
	struct words *w = words_of(t, journal_text(line, S("id")).raw, 1);

	if (w)
		w->hidden = !t->all && is_side(line);
	if (w && w->hidden)
		return;
	put_begin(t, line, "->");
	put_field(t, GREEN, line, "cdx.class");
	if (agent.n && !str_eq(agent, S("main"))) {
		term_put(o, S(" "));
		put_field(t, YELLOW, line, "gen_ai.agent.name");
	}
	if (journal_number(line, S("cdx.turn"), 0) > 0) {
		term_put(o, S(" T"));
		term_u64(o, (uint64_t)journal_number(line, S("cdx.turn"), 0));
		term_put(o, S("."));
		term_u64(o, (uint64_t)journal_number(line, S("cdx.step"), 0));
	}
	term_put(o, S(" "));
	put_field(t, BOLD, line, "gen_ai.request.model");
	term_put(o, S(", "));
	term_bytes(o, (uint64_t)journal_number(line, S("cdx.body_bytes"), 0));
	if (journal_text(line, S("cdx.preview")).raw.n) {
		term_put(o, S(": \""));
		put_field(t, DIM, line, "cdx.preview");
		term_put(o, S("\""));
	}
	term_put(o, S("\n"));
	put_results(t, line);
}

static void put_calls(struct tail *t, struct str line)
{
	struct arena a = { t->parse, t->parse + PARSE };
	struct json doc;
	struct json_iter it;
	int any = 0;

	if (json_parse(&doc, journal_member(line, S("cdx.tool_calls")), &a,
	    NULL) != OK)
		return;
	it = json_iter(json_root(&doc));
	while (json_next(&it)) {
		term_put(&t->out, any++ ? S(" ") : S(", calls "));
		term_text(&t->out, CYAN, page_text(it.value,
		    "gen_ai.tool.name", &a));
	}
}

static void put_times(struct tail *t, struct str line)
{
	struct arena a = { t->parse, t->parse + PARSE };
	struct json doc;
	struct jv v;

	if (json_parse(&doc, journal_member(line, S("cdx.t")), &a, NULL) != OK)
		return;
	v = json_root(&doc);
	if (json_type(json_get(v, S("first"))) == JSON_NUMBER) {
		term_put(&t->out, S(", first "));
		term_ms(&t->out, page_nano(json_get(v, S("first"))) /
		    1000000);
	}
	term_put(&t->out, S(", total "));
	term_ms(&t->out, page_nano(json_get(v, S("done"))) / 1000000);
}

static void put_usage(struct tail *t, struct str line)
{
	struct term *o = &t->out;
	int64_t in = journal_number(line, S("gen_ai.usage.input_tokens"), 0);
	int64_t cached = journal_number(line,
	    S("gen_ai.usage.cache_read.input_tokens"), 0);
	struct str by = journal_text(line, S("cdx.usage.by")).raw;

	term_put(o, str_eq(by, S("estimate")) ? S(", in ~") : S(", in "));
	term_tokens(o, (uint64_t)in);
	if (cached > 0) {
		term_put(o, S(" ("));
		term_tokens(o, (uint64_t)cached);
		term_put(o, S(" cached)"));
	}
	term_put(o, S(", out "));
	term_tokens(o, (uint64_t)journal_number(line,
	    S("gen_ai.usage.output_tokens"), 0));
	if (journal_member(line, S("cdx.cost_usd")).n &&
	    journal_member(line, S("cdx.cost_usd")).p[0] != 'n') {
		term_put(o, S(", $"));
		term_text(o, PLAIN, str_head(journal_member(line,
		    S("cdx.cost_usd")), 6));
	}
	if (journal_text(line, S("cdx.cache.cause")).raw.n) {
		term_put(o, S(", cache miss: "));
		put_field(t, YELLOW, line, "cdx.cache.cause");
	}
}

static void put_response(struct tail *t, struct str line)
{
	struct term *o = &t->out;
	struct words *w = words_of(t, journal_text(line, S("id")).raw, 0);
	int64_t status = journal_number(line,
	    S("http.response.status_code"), 0);
	char number[24];
	struct buf b = buf_on(number, sizeof number);

	if (w && w->hidden) {
		w->nid = 0;
		return;
	}
	if (w)
		end_words(t, w);
	if (t->front == w)
		t->front = NULL;
	if (!w || w->block < 0) {	/* no words came: what is kept of them */
		close_line(t);
		term_put(o, S("         "));
		term_text(o, DIM, end_of(journal_text(line, S("id")).raw));
		term_put(o, S(" | "));
		put_field(t, PLAIN, line, "cdx.preview");
		term_put(o, S("\n"));
	}
	put_begin(t, line, "<-");
	buf_int(&b, status);
	term_say(o, status == 200 ? GREEN : RED, buf_str(&b));
	term_put(o, S(" "));
	put_field(t, PLAIN, line, "cdx.stop_reason");
	put_times(t, line);
	put_usage(t, line);
	put_calls(t, line);
	if (journal_text(line, S("error.type")).raw.n) {
		term_put(o, S(": "));
		put_field(t, RED, line, "error.type");
		term_put(o, S(" "));
		put_field(t, RED, line, "cdx.error");
	}
	term_put(o, S("\n"));
	if (w)
		w->nid = 0;
}

static void put_alert(struct tail *t, struct str line)
{
	put_begin(t, line, "!!");
	put_field(t, RED, line, "rule");
	term_put(&t->out, S(" "));
	put_field(t, PLAIN, line, "detail");
	term_put(&t->out, S("\n"));
}

static int is_wanted(struct tail *t, struct str line)
{
	struct str s = journal_text(line, S("gen_ai.conversation.id")).raw;

	/* Only requests and answers say whose they are. */
	if (t->session.n == 0)
		return 1;
	if (s.n)
		return str_starts(s, t->session);
	return words_of(t, journal_text(line, S("id")).raw, 0) != NULL;
}

static void take_line(struct tail *t, struct str line)
{
	struct str event = journal_text(line, S("event")).raw;

	if (t->json) {
		if (!is_wanted(t, line))
			return;
		if (str_eq(event, S("cdx.request")))
			(void)words_of(t, journal_text(line, S("id")).raw, 1);
		term_put(&t->out, line);
		term_put(&t->out, S("\n"));
	} else if (!is_wanted(t, line)) {
		return;
	} else if (str_eq(event, S("cdx.request"))) {
		put_request(t, line);
	} else if (str_eq(event, S("cdx.response"))) {
		put_response(t, line);
	} else if (str_eq(event, S("cdx.alert"))) {
		put_alert(t, line);
	}
}

/* ---- where they come from --------------------------------------------- */

static int64_t until_of(const struct tail *t)
{
	return loop_now() + (t->out.b.n ? 0 : 60000);
}

static int tail_proxy(struct tail *t, const struct command_input *in,
    int from_now)
{
	struct follow *f = command_memory(sizeof *f);
	struct sse_event ev;
	int r;

	if (!f)
		return command_fail(S("no memory"), S(""));
	if (follow_open(f, in) != OK)
		return command_fail(S("MONITOR_TOKEN holds control bytes"),
		    S(""));
	f->from_now = from_now;
	while (!t->out.gone) {
		r = follow_next(f, until_of(t), &ev);
		if (r == E_NONE)
			break;
		if (r == E_FAULT)
			return command_fail((struct str){ f->fault,
			    f->nfault }, S(""));
		if (r == OK && ev.event.n == 0)
			take_line(t, ev.data);
		else if (r == OK && str_eq(ev.event, S("delta")) && !t->json)
			take_delta(t, ev.data);
		else if (r == OK && str_eq(ev.event, S("gap")) && !from_now)
			term_say(&t->out, YELLOW,
			    S("-- older lines are not kept --\n"));
		if (f->fd < 0 && !f->told && f->retry_at) {
			f->told = 1;
			command_fail(f->socket.n ?
			    S("no proxy of this user's answers there yet; "
			    "waiting (SERVER_SOCKET)") :
			    S("no proxy answers on this port yet; waiting "
			    "(SERVER_PORT)"), S(""));
		}
		if (r != OK)
			term_flush(&t->out);
	}
	term_flush(&t->out);
	return 0;
}

/* Whole lines of what is there; the rest stays for next time. */
static size_t take_text(struct tail *t, struct str text)
{
	struct str rest = text, line;
	size_t n;

	while ((n = str_chr(rest, '\n')) < rest.n) {
		line = str_head(rest, n);
		rest = str_from(rest, n + 1);
		if (json_check(line, NULL, NULL) == OK && line.n &&
		    line.p[0] == '{')
			take_line(t, line);
		else
			term_say(&t->out, YELLOW, S("-- a damaged line --\n"));
	}
	return text.n - rest.n;
}

/* The file was finished and another has its name: from there on that one. */
static int follow_name(int fd, const char *path)
{
	struct stat held, named;
	int next;

	if (fstat(fd, &held) < 0 || stat(path, &named) < 0 ||
	    (held.st_ino == named.st_ino && held.st_dev == named.st_dev))
		return fd;
	next = open(path, O_RDONLY | O_CLOEXEC);
	if (next < 0)
		return fd;
	close(fd);
	return next;
}

static int tail_file(struct tail *t, const char *path)
{
	char inside[1024];
	struct buf b;
	struct loop l;
	ssize_t n = 0;
	int fd;

	path = command_path(path, inside, sizeof inside);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	b = buf_on(command_memory(FILE_MAX), FILE_MAX);
	if (fd < 0 || !b.p || loop_init(&l) != OK)
		return command_fail(S("cannot open "), str_of(path));
	t->from_file = 1;
	while (!t->out.gone) {
		n = read(fd, b.p + b.n, b.cap - b.n);
		if (n < 0)
			break;
		b.n += (size_t)n;
		buf_drop(&b, take_text(t, buf_str(&b)));
		if (n > 0 && b.n < b.cap)
			continue;
		if (b.n == b.cap)	/* a line longer than any of ours */
			b.n = 0;
		term_flush(&t->out);
		loop_begin(&l);
		if (loop_wait(&l, loop_now() + POLL_MS) &
		    (LOOP_TERM | LOOP_INT))
			break;
		fd = n == 0 ? follow_name(fd, path) : fd;
	}
	term_flush(&t->out);
	close(fd);
	return n < 0 ? command_fail(S("cannot read "), str_of(path)) : 0;
}

int command_tail(const struct command_input *in)
{
	static struct tail t;
	struct args a = { in->argc, in->argv, 0 };
	const char *arg, *path = NULL, *v;
	int from_now = 1;

	term_open(&t.out, 1, in);
	t.parse = command_memory(PARSE);
	if (!t.parse)
		return command_fail(S("no memory"), S(""));
	while ((arg = args_next(&a)) != NULL) {
		if (strcmp(arg, "--json") == 0)
			t.json = 1;
		else if (strcmp(arg, "--all") == 0)
			t.all = 1;
		else if (strcmp(arg, "--old") == 0)
			from_now = 0;
		else if (strcmp(arg, "-s") == 0 && (v = args_next(&a)) != NULL)
			t.session = str_of(v);
		else if (*arg == '-' || path)
			return command_fail(S("tail [-s SESSION] [--json] "
			    "[--all] [--old] [FILE], not "), str_of(arg));
		else
			path = arg;
	}
	return path ? tail_file(&t, path) : tail_proxy(&t, in, from_now);
}
