/* term.c -- lines for a terminal or a pipe.
 *
 * Written at once and whole where the reader takes them; waiting for the
 * reader is right here, as nobody else is served.
 *
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "pages.h"
#include "term.h"

void term_open(struct term *t, int fd, const struct command_input *in)
{
	const char *no = in->env(in->ctx, "NO_COLOR");
	const char *kind = in->env(in->ctx, "TERM");

	t->fd = fd;
	t->gone = 0;
	t->b = buf_on(t->mem, sizeof t->mem);
	t->tty = isatty(fd);
	t->colour = t->tty && !(no && *no) &&
	    !(kind && strcmp(kind, "dumb") == 0);
	tzset();
}

void term_flush(struct term *t)
{
	size_t done = 0;
	ssize_t n;

	while (done < t->b.n && !t->gone) {
		n = write(t->fd, t->b.p + done, t->b.n - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			t->gone = 1;
		else
			done += (size_t)n;
	}
	t->b.n = 0;
	t->b.full = 0;
}

void term_put(struct term *t, struct str s)
{
	struct str part;

	while (s.n) {
		if (t->b.cap - t->b.n < s.n && t->b.n)
			term_flush(t);
		part = str_head(s, t->b.cap - t->b.n);
		buf_put(&t->b, part);
		s = str_from(s, part.n);
	}
}

static void paint(struct term *t, enum colour c)
{
	static const char *const codes[] = {
		"\033[0m", "\033[2m", "\033[1m", "\033[32m", "\033[33m",
		"\033[31m", "\033[36m"
	};

	if (t->colour)
		term_put(t, str_of(codes[c]));
}

void term_say(struct term *t, enum colour c, struct str s)
{
	if (c != PLAIN)
		paint(t, c);
	term_put(t, s);
	if (c != PLAIN)
		paint(t, PLAIN);
}

void term_text(struct term *t, enum colour c, struct str s)
{
	char mem[1024];
	struct buf b;
	struct str part;

	if (c != PLAIN)
		paint(t, c);
	while (s.n) {
		/* At most eight bytes out for one in; whole characters. */
		part = str_head(s, sizeof mem / 8);
		while (part.n && part.n < s.n &&
		    ((unsigned char)s.p[part.n] & 0xc0) == 0x80)
			part.n--;
		part.n = part.n ? part.n : str_head(s, sizeof mem / 8).n;
		b = buf_on(mem, sizeof mem);
		page_put_plain(&b, part);
		term_put(t, buf_str(&b));
		s = str_from(s, part.n);
	}
	if (c != PLAIN)
		paint(t, PLAIN);
}

void term_u64(struct term *t, uint64_t v)
{
	char mem[24];
	struct buf b = buf_on(mem, sizeof mem);

	buf_u64(&b, v);
	term_put(t, buf_str(&b));
}

void term_clock(struct term *t, int64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	char mem[16];
	struct buf b = buf_on(mem, sizeof mem);
	struct tm tm;

	if (!localtime_r(&s, &tm))
		return;
	buf_clock(&b, tm.tm_hour, tm.tm_min, tm.tm_sec);
	term_say(t, DIM, buf_str(&b));
}

static void put_scaled(struct term *t, uint64_t v, uint64_t unit,
    const char *name)
{
	char mem[32];
	struct buf b = buf_on(mem, sizeof mem);

	buf_fixed(&b, (int64_t)(v / (unit / 10)), 1);
	buf_put(&b, str_of(name));
	term_put(t, buf_str(&b));
}

void term_ms(struct term *t, int64_t ms)
{
	if (ms < 1000) {
		term_u64(t, ms > 0 ? (uint64_t)ms : 0);
		term_put(t, S(" ms"));
	} else if (ms < 600000) {
		put_scaled(t, (uint64_t)ms, 1000, " s");
	} else {
		put_scaled(t, (uint64_t)ms, 60000, " min");
	}
}

void term_bytes(struct term *t, uint64_t n)
{
	if (n < 1000) {
		term_u64(t, n);
		term_put(t, S(" B"));
	} else if (n < 1000000) {
		put_scaled(t, n, 1000, " KB");
	} else {
		put_scaled(t, n, 1000000, " MB");
	}
}

void term_tokens(struct term *t, uint64_t n)
{
	if (n < 10000)
		term_u64(t, n);
	else if (n < 1000000)
		put_scaled(t, n, 1000, "k");
	else
		put_scaled(t, n, 1000000, "M");
}

void term_pad(struct term *t, size_t from, size_t column)
{
	size_t i = from, n = 0;

	/* Columns are characters; colours take none. */
	for (; i < t->b.n; i++) {
		if (t->b.p[i] == '\033') {
			while (i < t->b.n && t->b.p[i] != 'm')
				i++;
			continue;
		}
		n += ((unsigned char)t->b.p[i] & 0xc0) != 0x80;
	}
	do
		term_put(t, S(" "));
	while (++n < column);
}
