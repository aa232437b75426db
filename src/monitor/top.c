/* top.c -- claudecodex top: what is in flight, on the whole screen.
 *
 * A row for each request: who asks, what, since when, what its answer is at.
 * Those that ended stay for a moment, dimmed. q or ^C ends it; the screen is
 * given back as it was.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* TIOCGWINSZ */
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "load.h"
#include "pages.h"
#include "term.h"

enum {
	ROWS = 64,
	FIELD = 40,
	DRAW_MS = 250,
	STAY_MS = 5000		/* a row whose answer has ended */
};

struct row {
	char id[FIELD], class[FIELD], agent[FIELD], model[FIELD], what[FIELD];
	char preview[3 * FIELD];
	int64_t began, first, ended;	/* loop clock; 0: not yet */
	uint64_t bytes;
	int failed;
};

struct top {
	struct term out;
	struct follow f;
	struct termios saved;
	struct row row[ROWS];
	uint64_t in_flight, requests, errors;
	int64_t drawn;
	int64_t nano_usd;
	int unpriced;
};

/* A member's text, plain, cut at a whole character. */
static void keep(char *to, size_t cap, struct jstr s)
{
	struct buf b = buf_on(to, cap - 1);

	memset(to, 0, cap);
	s.raw = str_head(s.raw, cap - 1);
	s.raw.n = json_whole(s.raw);
	json_unescape(&b, s);
	to[b.n] = '\0';
}

/* A free row, else the one that ended first, else the one that began first. */
static int is_better(const struct row *a, const struct row *b)
{
	if (!a->id[0] || !b->id[0])
		return !a->id[0] && b->id[0];
	if (a->ended && b->ended)
		return a->ended < b->ended;
	if (a->ended || b->ended)
		return a->ended != 0;
	return a->began < b->began;
}

static struct row *row_of(struct top *t, struct str id, int make)
{
	struct row *best = &t->row[0];
	size_t i;

	id = str_head(id, FIELD - 1);
	for (i = 0; i < ROWS; i++) {
		if (str_eq(str_of(t->row[i].id), id))
			return &t->row[i];
		if (is_better(&t->row[i], best))
			best = &t->row[i];
	}
	if (!make)
		return NULL;
	memset(best, 0, sizeof *best);
	memcpy(best->id, id.p, id.n);
	best->began = loop_now();
	return best;
}

static void take_response(struct top *t, struct str line)
{
	struct row *r = row_of(t, journal_text(line, S("id")).raw, 0);
	struct str cost = journal_member(line, S("cdx.cost_usd"));
	static char mem[256];
	struct arena a = { mem, mem + sizeof mem };
	struct json doc;

	if (cost.n && cost.p[0] != 'n' && json_parse(&doc, cost, &a, NULL) ==
	    OK)
		t->nano_usd += page_nano(json_root(&doc));
	else
		t->unpriced = 1;
	if (!r)
		return;
	r->ended = loop_now();
	r->failed = journal_text(line, S("error.type")).raw.n > 0;
	keep(r->what, FIELD, journal_text(line, r->failed ? S("error.type") :
	    S("cdx.stop_reason")));
}

static void take_line(struct top *t, struct str line)
{
	struct str event = journal_text(line, S("event")).raw;
	struct str id = journal_text(line, S("id")).raw;
	struct row *r;

	if (str_eq(event, S("cdx.response"))) {
		take_response(t, line);
	} else if (str_eq(event, S("cdx.request")) && id.n) {
		r = row_of(t, id, 1);
		keep(r->class, FIELD, journal_text(line, S("cdx.class")));
		keep(r->agent, FIELD, journal_text(line,
		    S("gen_ai.agent.name")));
		keep(r->model, FIELD, journal_text(line,
		    S("gen_ai.request.model")));
		keep(r->preview, sizeof r->preview, journal_text(line,
		    S("cdx.preview")));
		memcpy(r->what, "waiting", 8);
	}
}

static void take_delta(struct top *t, struct str line)
{
	struct str id = journal_text(line, S("id")).raw;
	struct str kind = journal_text(line, S("k")).raw;
	struct jstr name = journal_text(line, S("name"));
	struct row *r = id.n ? row_of(t, id, 1) : NULL;

	if (!r)
		return;
	if (!r->first)
		r->first = loop_now();
	r->bytes += journal_text(line, S("d")).raw.n;
	if (name.raw.n)
		keep(r->what, FIELD, name);
	else if (str_eq(kind, S("think")))
		memcpy(r->what, "thinking", 9);
	else if (str_eq(kind, S("text")))
		memcpy(r->what, "text", 5);
}

static void take_stat(struct top *t, struct str line)
{
	t->in_flight = (uint64_t)journal_number(line, S("in_flight"), 0);
	t->requests = (uint64_t)journal_number(line, S("requests"), 0);
	t->errors = (uint64_t)journal_number(line, S("errors"), 0);
}

/* ---- the screen ------------------------------------------------------- */

static void put_cut(struct top *t, enum colour c, const char *text,
    size_t width)
{
	struct str s = str_of(text), all = s;
	size_t from = t->out.b.n, n = 0, i;

	for (i = 0; i < s.n && n < width; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	while (i < s.n && (s.p[i] & 0xc0) == 0x80)
		i++;
	s.n = n == width ? i : s.n;
	s.n = s.n > all.n ? all.n : s.n;
	term_text(&t->out, c, s);
	term_pad(&t->out, from, width + 1);
}

static void draw_row(struct top *t, const struct row *r, size_t width)
{
	struct term *o = &t->out;
	int64_t now = loop_now(), to = r->ended ? r->ended : now;
	enum colour c = r->ended ? DIM : PLAIN;
	size_t from;

	put_cut(t, DIM, r->id + (strlen(r->id) > 6 ? strlen(r->id) - 6 : 0),
	    6);
	put_cut(t, r->ended ? DIM : GREEN, r->class, 10);
	put_cut(t, c, r->agent, 14);
	put_cut(t, c, r->model, 24);
	put_cut(t, r->failed ? RED : r->ended ? DIM : CYAN, r->what, 16);
	from = o->b.n;
	term_ms(o, to - r->began);
	term_pad(o, from, 9);
	from = o->b.n;
	/* Four bytes a token: a look at the pace, no figure for a bill. */
	if (r->first && to > r->first + 200) {
		term_u64(o, r->bytes * 250 / (uint64_t)(to - r->first));
		term_put(o, S(" t/s"));
	}
	term_pad(o, from, 9);
	if (width > 100)
		put_cut(t, DIM, r->preview, width - 98);
	term_put(o, S("\033[K\r\n"));
}

static void draw_head(struct top *t)
{
	struct term *o = &t->out;

	term_put(o, S("\033[H"));
	term_say(o, BOLD, S("claudecodex"));
	term_put(o, t->f.fd < 0 ? S("  not connected") : S("  "));
	if (t->f.fd >= 0) {
		term_u64(o, t->in_flight);
		term_put(o, S(" in flight, "));
		term_u64(o, t->requests);
		term_put(o, S(" requests, "));
		term_u64(o, t->errors);
		term_put(o, S(" errors, $"));
		term_u64(o, (uint64_t)(t->nano_usd / 1000000000));
		term_put(o, S("."));
		term_u64(o, (uint64_t)(t->nano_usd / 100000000 % 10));
		term_u64(o, (uint64_t)(t->nano_usd / 10000000 % 10));
		term_put(o, t->unpriced ? S(" + ? since top began") :
		    S(" since top began"));
	}
	term_put(o, S("\033[K\r\n\033[K\r\n"));
	term_say(o, DIM, S("id     class      agent          model"
	    "                    doing            since    pace"));
	term_put(o, S("\033[K\r\n"));
}

static void draw(struct top *t)
{
	struct winsize w = { 0 };
	size_t i, lines = 3, width = 80, height = 24;
	int64_t now = loop_now();
	struct row *r;

	if (ioctl(1, TIOCGWINSZ, &w) == 0 && w.ws_col && w.ws_row) {
		width = w.ws_col;
		height = w.ws_row;
	}
	draw_head(t);
	for (i = 0; i < ROWS; i++) {
		r = &t->row[i];
		if (r->ended && now - r->ended > STAY_MS)
			r->id[0] = '\0';
		if (r->id[0] && lines + 1 < height) {
			draw_row(t, r, width);
			lines++;
		}
	}
	term_put(&t->out, S("\033[J"));
	term_flush(&t->out);
	t->drawn = now;
}

/* Keys come without Enter; ^C still is a signal. */
static void take_screen(struct top *t)
{
	struct termios raw;

	tcgetattr(0, &t->saved);
	raw = t->saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(0, TCSANOW, &raw);
	/* Another screen, no cursor, no wrapping of long rows. */
	term_put(&t->out, S("\033[?1049h\033[?25l\033[?7l\033[2J"));
}

static void give_screen(struct top *t)
{
	term_put(&t->out, S("\033[?7h\033[?25h\033[?1049l"));
	term_flush(&t->out);
	tcsetattr(0, TCSANOW, &t->saved);
}

static int told_to_end(void)
{
	char key;

	return read(0, &key, 1) == 1 && (key == 'q' || key == 'Q' ||
	    key == 3);
}

int command_top(const struct command_input *in)
{
	struct top *t = command_memory(sizeof *t);
	struct sse_event ev;
	int r = OK;

	if (in->argc > 0)
		return command_fail(S("top takes no argument, not "),
		    str_of(in->argv[0]));
	if (!isatty(0) || !isatty(1))
		return command_fail(S("top needs a terminal; tail doesn't"),
		    S(""));
	if (!t)
		return command_fail(S("no memory"), S(""));
	term_open(&t->out, 1, in);
	if (follow_open(&t->f, in) != OK)
		return command_fail(S("MONITOR_TOKEN holds control bytes"),
		    S(""));
	t->f.from_now = 1;
	take_screen(t);
	while (!t->out.gone && r != E_NONE && r != E_FAULT && !told_to_end()) {
		r = follow_next(&t->f, t->drawn + DRAW_MS, &ev);
		if (r == OK && ev.event.n == 0)
			take_line(t, ev.data);
		else if (r == OK && str_eq(ev.event, S("delta")))
			take_delta(t, ev.data);
		else if (r == OK && str_eq(ev.event, S("stat")))
			take_stat(t, ev.data);
		if (loop_now() >= t->drawn + DRAW_MS)
			draw(t);
	}
	give_screen(t);
	return r == E_FAULT ? command_fail((struct str){ t->f.fault,
	    t->f.nfault }, S("")) : 0;
}
