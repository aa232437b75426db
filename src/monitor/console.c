/* console.c -- two calm lines a request: when it comes, when it ends.
 *
 *	12:03:11 -> a3F9Zq main claude-opus-5-5 as gpt-5 (openai), 12 messages,
 *	    24 tools, 49.4 KB: "why does the button ..."
 *	12:03:17 <- a3F9Zq 200 tool_use, first 0.8 s, total 6.2 s, in 12034
 *	    (8192 cached), out 312, calls Bash Read; top_k dropped
 *
 * (each on one line). Colours on a terminal only. A terminal or pipe that
 * takes nothing is skipped and counted: the loop never waits for a reader.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "lines.h"

enum {
	FRONT = 256,		/* time and id, in colours, of either line */
	LINE_MAX_BYTES = 4000	/* below PIPE_BUF: a pipe that polls writable
				 * takes it at once and whole */
};

enum colour { PLAIN, DIM, BOLD, GREEN, YELLOW, RED, CYAN };

static void paint(const struct monitor *m, struct buf *b, enum colour c)
{
	static const char *const codes[] = {
		"\033[0m", "\033[2m", "\033[1m", "\033[32m", "\033[33m",
		"\033[31m", "\033[36m"
	};

	if (m->colour)
		buf_put(b, str_of(codes[c]));
}

static void put_in(const struct monitor *m, struct buf *b, enum colour c,
    struct str s)
{
	paint(m, b, c);
	buf_printable(b, s);
	paint(m, b, PLAIN);
}

static void put_clock(struct monitor *m, struct buf *b, int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct buf c = buf_on(m->clock, sizeof m->clock);
	struct tm tm;

	/* The calendar costs more than the line it is for. */
	if (t != m->clock_at && localtime_r(&t, &tm)) {
		m->clock_at = t;
		buf_clock(&c, tm.tm_hour, tm.tm_min, tm.tm_sec);
	}
	put_in(m, b, DIM, (struct str){ m->clock, sizeof m->clock });
}

void console_flush(struct monitor *m)
{
	struct pollfd pfd = { m->opt.console_fd, POLLOUT, 0 };

	if (m->nconsole == 0)
		return;
	if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT) ||
	    write(m->opt.console_fd, m->console, m->nconsole) < 0)
		m->dropped += m->console_lines;
	m->nconsole = m->console_lines = 0;
}

/* Lines wait a moment for others, as a call of the system costs more than a
 * line: monitor_turn lets them go. */
static void print(struct monitor *m, struct buf *b)
{
	/* Room is kept for the end of the line. */
	b->full = 0;
	if (b->n > LINE_MAX_BYTES) {
		b->n = LINE_MAX_BYTES;
		b->n = utf8_valid(buf_str(b));
		buf_put(b, m->colour ? S("...\033[0m") : S("..."));
	}
	buf_chr(b, '\n');
	if (m->opt.console_fd < 0)
		return;
	if (b->n > sizeof m->console - m->nconsole)
		console_flush(m);
	memcpy(m->console + m->nconsole, b->p, b->n);
	m->nconsole += b->n;
	m->console_lines++;
}

/* "6.2 s", "340 ms" */
static void put_time(struct buf *b, int64_t ms)
{
	if (ms < 1000) {
		buf_int(b, ms < 0 ? 0 : ms);
		buf_put(b, S(" ms"));
	} else {
		buf_fixed(b, (ms + 50) / 100, 1);
		buf_put(b, S(" s"));
	}
}

static void put_bytes(struct buf *b, uint64_t n)
{
	if (n < 1000) {
		buf_u64(b, n);
		buf_put(b, S(" B"));
	} else if (n < 1000000) {
		buf_fixed(b, (int64_t)(n / 100), 1);
		buf_put(b, S(" KB"));
	} else {
		buf_fixed(b, (int64_t)(n / 100000), 1);
		buf_put(b, S(" MB"));
	}
}

static void put_counted(struct buf *b, size_t n, const char *what)
{
	buf_u64(b, n);
	buf_chr(b, ' ');
	buf_put(b, str_of(what));
	if (n != 1)
		buf_chr(b, 's');
}

/* The last characters tell two requests apart; the log has the whole. */
static struct str short_id(const struct record *r)
{
	struct str id = label_str(&r->id);

	return id.n > 6 ? str_from(id, id.n - 6) : id;
}

static void put_models(const struct monitor *m, struct buf *b,
    const struct record *r)
{
	if (r->asked.n) {
		buf_chr(b, ' ');
		put_in(m, b, BOLD, label_str(&r->asked));
	}
	if (r->served.n && !str_eq(label_str(&r->served),
	    label_str(&r->asked))) {
		buf_put(b, S(" as "));
		put_in(m, b, BOLD, label_str(&r->served));
	}
	if (r->backend.n) {
		buf_put(b, S(" ("));
		buf_printable(b, label_str(&r->backend));
		buf_chr(b, ')');
	}
}

static void put_prompt(struct monitor *m, struct buf *b,
    const struct record *r)
{
	struct buf t = buf_on(m->text, sizeof m->text);
	struct str s = label_str(&r->prompt), line;

	s = str_trim(s);
	if (!str_cut(&s, '\n', &line))
		return;
	monitor_redact(m, &t, line);
	buf_put(b, S(": \""));
	put_in(m, b, DIM, buf_str(&t));
	buf_put(b, s.n || r->prompt.n > 90 ? S("...\"") : S("\""));
}

static void put_begin(struct monitor *m, struct buf *b,
    const struct record *r, int prompt)
{
	put_in(m, b, CYAN, str_of(r->class));
	put_models(m, b, r);
	if (r->messages) {
		buf_put(b, S(", "));
		put_counted(b, r->messages, "message");
	}
	if (r->tools_offered) {
		buf_put(b, S(", "));
		put_counted(b, r->tools_offered, "tool");
	}
	if (r->bytes_in) {
		buf_put(b, S(", "));
		put_bytes(b, r->bytes_in);
	}
	if (prompt)
		put_prompt(m, b, r);
}

static void put_usage(struct buf *b, const struct record *r)
{
	const struct usage *u = &r->usage;
	const char *about = u->estimated ? "~" : "";

	if (!r->have_usage)
		return;
	buf_put(b, S(", in "));
	buf_put(b, str_of(about));
	buf_int(b, u->input + u->cache_read + u->cache_write);
	if (u->cache_read || u->cache_write) {
		buf_put(b, S(" ("));
		buf_int(b, u->cache_read);
		buf_put(b, S(" cached"));
		if (u->cache_write) {
			buf_put(b, S(", "));
			buf_int(b, u->cache_write);
			buf_put(b, S(" written"));
		}
		buf_chr(b, ')');
	}
	if (strcmp(r->class, "count") == 0)
		return;
	buf_put(b, S(", out "));
	buf_put(b, str_of(about));
	buf_int(b, u->output);
	if (u->thinking > 0) {
		buf_put(b, S(" ("));
		buf_int(b, u->thinking);
		buf_put(b, S(" thinking)"));
	}
}

static void put_calls(const struct monitor *m, struct buf *b,
    const struct record *r)
{
	size_t i;

	if (r->ntools == 0)
		return;
	buf_put(b, S(", calls"));
	for (i = 0; i < r->ntools && i < RECORD_TOOLS_MAX; i++) {
		buf_chr(b, ' ');
		put_in(m, b, CYAN, label_str(&r->tools[i]));
	}
	if (i < r->ntools) {
		buf_put(b, S(" and "));
		buf_u64(b, r->ntools - i);
		buf_put(b, S(" more"));
	}
}

static void put_notes(const struct monitor *m, struct buf *b,
    const struct notes *ns)
{
	size_t i, shown = 0, more = 0;

	if (!ns || ns->n == 0)
		return;
	buf_put(b, S("; "));
	paint(m, b, DIM);
	for (i = 0; i < ns->n; i++) {
		/* Another name is no loss: the page tells it. */
		if (shown == 4 || ns->v[i].kind == NOTE_RENAMED) {
			more++;
			continue;
		}
		buf_put(b, shown++ ? S(", ") : S(""));
		buf_printable(b, ns->v[i].field);
		buf_chr(b, ' ');
		buf_put(b, str_of(note_kind_name(ns->v[i].kind)));
	}
	if (more) {
		buf_put(b, shown ? S(", ") : S(""));
		put_counted(b, more, shown ? "more note" : "note");
	}
	paint(m, b, PLAIN);
}

static void put_result(struct monitor *m, struct buf *b,
    const struct record *r)
{
	char status[8];
	struct buf s = buf_on(status, sizeof status);

	buf_int(&s, r->status);
	switch (r->outcome) {
	case OUTCOME_DONE:
		put_in(m, b, GREEN, buf_str(&s));
		break;
	case OUTCOME_ERROR:
		put_in(m, b, r->status < 500 ? YELLOW : RED, buf_str(&s));
		break;
	case OUTCOME_CUT:
		put_in(m, b, RED, S("CUT"));
		break;
	case OUTCOME_CANCELLED:
	case OUTCOME_OPEN:
		put_in(m, b, YELLOW, S("cancelled by the client"));
		break;
	}
	if (r->stop != STOP_NONE) {
		buf_chr(b, ' ');
		buf_put(b, str_of(stop_reason_name(r->stop)));
	}
}

static void put_end(struct monitor *m, struct buf *b, const struct record *r)
{
	struct buf t = buf_on(m->text, sizeof m->text);

	put_result(m, b, r);
	if (r->first_token) {
		buf_put(b, S(", first "));
		put_time(b, r->first_token - r->arrived);
	}
	buf_put(b, S(", total "));
	put_time(b, r->ended - r->arrived);
	put_usage(b, r);
	put_calls(m, b, r);
	if (r->attempts > 1) {
		buf_put(b, S(", sent "));
		buf_int(b, r->attempts);
		buf_put(b, S(" times"));
	}
	if (r->fault.status) {
		monitor_redact(m, &t, fault_text(&r->fault));
		buf_put(b, S(": "));
		buf_printable(b, buf_str(&t));
	}
	put_notes(m, b, r->notes);
}

/* ---- both lines, on the console and in requests.log -------------------- */

/* What a line says, behind FRONT bytes of room. */
static struct buf describe(struct monitor *m, const struct record *r,
    int begin, int prompt, int colour)
{
	struct buf b = buf_on(m->line + FRONT, sizeof m->line - FRONT);
	int had = m->colour;

	m->colour = colour;
	if (begin)
		put_begin(m, &b, r, prompt);
	else
		put_end(m, &b, r);
	m->colour = had;
	return b;
}

/* The whole line: front is put before what it says. */
static struct buf line_of(struct monitor *m, const struct buf *front,
    const struct buf *said)
{
	struct buf b = buf_on(m->line + FRONT - front->n,
	    sizeof m->line - FRONT + front->n);

	memcpy(b.p, front->p, front->n);
	b.n = front->n + said->n;
	return b;
}

/* The whole id and time. */
static void log_line(const struct record *r, int64_t wall_ms, int begin,
    const struct buf *said)
{
	char room[FRONT];
	struct buf front = buf_on(room, sizeof room), b;

	monitor_when(&front, wall_ms);
	buf_put(&front, begin ? S(" REQ ") : S(" RES "));
	buf_printable(&front, label_str(&r->id));
	buf_chr(&front, ' ');
	b = line_of(r->mon, &front, said);
	writer_log(r->mon->journal, str_head(buf_str(&b), LINE_MAX_BYTES));
}

static void console_line(const struct record *r, int64_t wall_ms, int begin,
    const struct buf *said)
{
	char room[FRONT];
	struct buf front = buf_on(room, sizeof room), b;

	put_clock(r->mon, &front, wall_ms);
	buf_put(&front, begin ? S(" -> ") : S(" <- "));
	put_in(r->mon, &front, DIM, short_id(r));
	buf_chr(&front, ' ');
	b = line_of(r->mon, &front, said);
	print(r->mon, &b);
}

static void tell(const struct record *r, int64_t wall_ms, int begin)
{
	struct monitor *m = r->mon;
	int logs = m->journal && m->opt.log_dir.n;
	int prompt = m->opt.bodies == LOG_BODIES_ALL;
	struct buf said;

	if (logs) {
		said = describe(m, r, begin, prompt, 0);
		log_line(r, wall_ms, begin, &said);
	}
	if (m->opt.console_fd < 0)
		return;
	/* Usually both say the same. */
	if (!logs || m->colour || (begin && !prompt))
		said = describe(m, r, begin, 1, m->colour);
	console_line(r, wall_ms, begin, &said);
}

void console_begin(const struct record *r)
{
	tell(r, r->wall_ms, 1);
}

void console_end(const struct record *r, int64_t wall_ms)
{
	tell(r, wall_ms, 0);
}

void monitor_say(struct monitor *m, const char *level, struct str text)
{
	struct buf b = buf_on(m->line, sizeof m->line);
	struct buf t = buf_on(m->text, sizeof m->text);

	monitor_enter(m);
	monitor_redact(m, &t, text);
	put_in(m, &b, strcmp(level, "warning") ? DIM : YELLOW, str_of(level));
	buf_put(&b, S(": "));
	buf_printable(&b, buf_str(&t));
	print(m, &b);
	console_flush(m);
	monitor_leave(m);
}
