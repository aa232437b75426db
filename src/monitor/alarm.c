/* alarm.c -- ALERT_CMD: the owner's own command, run when an alert is raised.
 *
 * Here a queue of numbers of lines; there, in a child that lives as long as one
 * command, what is left of the alert is put into an environment and a pipe. The
 * child is told in one message of fixed size, and says in another how it
 * ended.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/wait.h>
#include <unistd.h>

#include "../net/loop.h"
#include "../net/shell.h"
#include "lines.h"
#include "load.h"
#include "pages.h"

enum {
	GRACE_MS = 5000,	/* that a child has beyond its command */
	VARIABLES = 32
};

enum alarm_end { ENDED = 1, KILLED, LATE, NOT_STARTED };

/* Each text ends with a zero byte. */
struct order {
	char rule[64], text[1024], count[48], url[1024], missed[48];
	char line[4000];	/* a pipe takes so much at once */
};

/* ---- in the child ------------------------------------------------------ */

extern char **environ;

/* Whether the command may know a variable of ours. */
static int is_shared(struct str variable)
{
	static const char *const names[] = {
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ",
		"TMPDIR", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR",
		"DBUS_SESSION_BUS_ADDRESS"
	};
	struct str name = str_head(variable, str_chr(variable, '='));
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (str_eq(name, str_of(names[i])))
			return 1;
	return str_starts(name, S("LC_"));
}

static void run(const char *command, struct order *o, struct alarm_news *news)
{
	char *env[VARIABLES + 6];
	size_t n = 0, i;
	int in[2], status = -1;
	long pid = -1;

	for (i = 0; environ[i] && n < VARIABLES; i++)
		if (is_shared(str_of(environ[i])))
			env[n++] = environ[i];
	env[n++] = o->rule;
	env[n++] = o->text;
	env[n++] = o->count;
	env[n++] = o->url;
	env[n++] = o->missed;
	env[n] = NULL;
	if (pipe(in) == 0) {
		if (write(in[1], o->line, strlen(o->line)) > 0)
			pid = shell_start(command, env, in[0], -1);
		close(in[0]);
		close(in[1]);
	}
	if (pid > 0)
		status = shell_end(pid, loop_now() + ALARM_MS, 1);
	news->how = pid <= 0 ? NOT_STARTED : status == -1 ? LATE :
	    WIFSIGNALED(status) ? KILLED : ENDED;
	news->code = news->how == ENDED ? (uint32_t)WEXITSTATUS(status) :
	    news->how == KILLED ? (uint32_t)WTERMSIG(status) : 0;
}

static void child(void *ctx, int fd)
{
	const struct alarm *a = ctx;
	static struct order o;
	struct alarm_news news = { 0 };
	size_t have = 0;
	ssize_t n;

	while (have < sizeof o && (n = read(fd, (char *)&o + have,
	    sizeof o - have)) > 0)
		have += (size_t)n;
	if (have < sizeof o)
		return;
	run(a->command, &o, &news);
	n = write(fd, &news, sizeof news);
	(void)n;			/* nobody may be left to hear it */
}

/* ---- orders ------------------------------------------------------------ */

static void put_uri(struct buf *b, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	static const char as_is[] = "-_.~";
	size_t i;

	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z') ||
		    (c && memchr(as_is, c, sizeof as_is - 1))) {
			buf_chr(b, (char)c);
		} else {
			buf_chr(b, '%');
			buf_chr(b, digits[c >> 4]);
			buf_chr(b, digits[c & 15]);
		}
	}
}

static void put_url(struct buf *b, const struct alarm *a, struct str line)
{
	struct str id = journal_text(line, S("id")).raw;
	struct jstr session = journal_text(line, S("gen_ai.conversation.id"));
	char plain[RECORD_TEXT + 1];
	struct buf s = buf_on(plain, sizeof plain);

	buf_put(b, S("ALERT_URL=http://localhost"));
	if (a->port) {
		buf_chr(b, ':');
		buf_u64(b, a->port);
	}
	buf_put(b, S("/dashboard"));
	if (!id.n)
		return;
	json_unescape(&s, session);
	buf_put(b, S("#/s/"));
	put_uri(b, buf_str(&s));
	buf_put(b, S("/r/"));
	put_uri(b, id);
	buf_put(b, S("/new"));
}

/* The last byte stays zero. */
#define FIELD(f) buf_on((f), sizeof(f) - 1)

static int make_order(struct monitor *m, uint64_t seq, struct order *o)
{
	struct journal_line l;
	char plain[512];
	struct buf b, detail = buf_on(plain, sizeof plain);
	struct str rule;

	memset(o, 0, sizeof *o);
	if (journal_line(m->journal, seq, &l) != OK ||
	    l.text.n + 1 >= sizeof o->line)
		return E_NONE;
	rule = journal_text(l.text, S("rule")).raw;
	json_unescape(&detail, journal_text(l.text, S("detail")));
	b = FIELD(o->rule);
	buf_put(&b, S("ALERT_RULE="));
	buf_put(&b, rule);
	b = FIELD(o->text);
	buf_put(&b, S("ALERT_TEXT="));
	buf_put(&b, rule);
	buf_put(&b, S(": "));
	page_put_plain(&b, buf_str(&detail));
	b = FIELD(o->count);
	buf_put(&b, S("ALERT_COUNT="));
	buf_int(&b, journal_number(l.text, S("count"), 0));
	b = FIELD(o->url);
	put_url(&b, &m->alarm, l.text);
	b = FIELD(o->missed);
	buf_put(&b, S("ALERT_MISSED="));
	buf_u64(&b, m->alarm.dropped - m->alarm.missed);
	b = FIELD(o->line);
	buf_put(&b, l.text);
	buf_chr(&b, '\n');
	return OK;
}

static void end_child(struct alarm *a)
{
	sock_close(a->fd);
	a->fd = -1;
	a->nin = 0;
}

/* Starts the command for the oldest alert that waits. */
static void start(struct monitor *m, int64_t now)
{
	struct alarm *a = &m->alarm;
	static struct order o;
	enum sock_reason why;
	uint64_t seq = a->seq[a->first];

	a->first = (a->first + 1) % ALARM_QUEUE;
	a->n--;
	a->full = (a->full > now ? a->full : now) + ALARM_EVERY_MS;
	a->fd = make_order(m, seq, &o) == OK ? keeper_child(&a->keeper) : -1;
	if (a->fd >= 0 && sock_write(a->fd, (struct str){ (const char *)&o,
	    sizeof o }, &why) != (long)sizeof o)
		end_child(a);
	if (a->fd < 0) {
		a->dropped++;
		return;
	}
	a->missed = a->dropped;
	a->until = now + ALARM_MS + GRACE_MS;
	a->run++;
}

/* ---- news -------------------------------------------------------------- */

static void complain(struct monitor *m, const struct alarm_news *n)
{
	char text[160];
	struct buf b = buf_on(text, sizeof text);

	buf_put(&b, S("ALERT_CMD "));
	switch ((enum alarm_end)n->how) {
	case ENDED:
		buf_put(&b, S("ended with status "));
		buf_u64(&b, n->code);
		if (n->code == 126 || n->code == 127)
			buf_put(&b, S(": there is no such command, or none "
			    "that can be run"));
		break;
	case KILLED:
		buf_put(&b, S("was ended by signal "));
		buf_u64(&b, n->code);
		break;
	case LATE:
		buf_put(&b, S("took longer than 10 seconds and was ended"));
		break;
	case NOT_STARTED:
		buf_put(&b, S("could not be started"));
		break;
	}
	monitor_say(m, "warning", buf_str(&b));
}

/* Said once, until it ends in another way. */
static void hear(struct monitor *m, struct alarm_news n)
{
	struct alarm *a = &m->alarm;
	int well = n.how == ENDED && n.code == 0;

	a->failed += !well;
	if (!well && (n.how != a->told.how || n.code != a->told.code))
		complain(m, &n);
	a->told = n;
	end_child(a);
}

static void listen_to(struct monitor *m, int64_t now)
{
	static const struct alarm_news lost = { NOT_STARTED, 0 },
	    late = { LATE, 0 };
	struct alarm *a = &m->alarm;
	enum sock_reason why;
	long n = sock_read(a->fd, a->u.in + a->nin, sizeof a->u - a->nin,
	    &why);

	if (n > 0)
		a->nin += (size_t)n;
	if (a->nin == sizeof a->u)
		hear(m, a->u.news);
	else if (n <= 0 && n != SOCK_AGAIN)
		hear(m, lost);
	else if (now >= a->until)
		hear(m, late);
}

/* ---- turns ------------------------------------------------------------- */

void alarm_open(struct monitor *m, struct str command, unsigned port)
{
	struct alarm *a = &m->alarm;

	a->fd = -1;
	a->port = port;
	if (!m->journal || !command.n || command.n >= sizeof a->command)
		return;
	memcpy(a->command, command.p, command.n);
	(void)keeper_start(&a->keeper, child, a, 0);
}

int alarm_fd(const struct monitor *m)
{
	return m->alarm.command[0] ? m->alarm.fd : -1;
}

int64_t alarm_turn(struct monitor *m, int64_t now, int readable)
{
	struct alarm *a = &m->alarm;
	int64_t next = a->full - (ALARM_BURST - 1) * ALARM_EVERY_MS;

	if (alarm_fd(m) >= 0 && (readable || now >= a->until))
		listen_to(m, now);
	if (alarm_fd(m) < 0 && a->n && now >= next)
		start(m, now);
	if (alarm_fd(m) >= 0)
		return a->until;
	return a->n ? next > now ? next : now : LOOP_NEVER;
}

void alarm_close(struct monitor *m)
{
	struct alarm *a = &m->alarm;

	if (!a->command[0])
		return;
	end_child(a);
	keeper_stop(&a->keeper, 0);
}
