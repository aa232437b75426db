/* Fuzz target of what the monitor hands to its children: an alert's order for
 * ALERT_CMD, spans for a collector, exact bytes for files.
 *
 * Input: lines of a journal, in which requests ended; then sections, each begun
 * by "\n=====", a letter and a line's end: d, what an alert says; s, the
 * session it says it of; m, a message for requests_full, where the first line's
 * end stands for the zero byte.
 *
 * Holds: an order's texts end in their fields, are one line without a control
 * byte and no option, its address is a URI; a document is JSON, and each request
 * that ended is in one or counted; files are opened in their folder alone, by
 * plain names, never through a link or over another, and closed; what is
 * deleted is ours.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/alerts.c monitor/account.c monitor/blob.c monitor/console.c monitor/events.c monitor/events_request.c monitor/events_raw.c monitor/events_response.c monitor/events_results.c */
/* link: monitor/journal.c monitor/live.c monitor/load.c monitor/metrics.c monitor/monitor.c monitor/prices.c monitor/quick.c monitor/raw.c monitor/recognise.c monitor/record.c monitor/redact.c monitor/recall.c monitor/restore.c monitor/scribe.c monitor/start.c monitor/writer.c */
/* link: monitor/page.c monitor/page_events.c monitor/page_steps.c monitor/page_prices.c monitor/page_export.c monitor/page_har.c monitor/page_otlp.c monitor/page_replay.c monitor/fitness.c */
/* link: net/keeper.c net/sandbox.c net/loop.c net/sock.c net/shell.c net/share.c net/fetch.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../../src/monitor/journal_own.h"
#include "../../src/monitor/load.h"
#include "../../src/wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_MAX = 1 << 16,
	SEQ_MAX = 1 << 20,
	DIR_FD = 1000, FOLDER, FILE_FD,
	ENTRIES = 100,
	AGE = 3600,
	FULL = 4096		/* bytes of all files */
};

static void held(int cond, int line)
{
	if (cond)
		return;
	fprintf(stderr, "children.c:%d doesn't hold\n", line);
	abort();
}

#define hold(COND) held(COND, __LINE__)

static uint32_t chance;

static unsigned next(unsigned below)
{
	chance = chance * 1664525 + 1013904223;
	return (chance >> 16) % below;
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

/* ---- a folder of our own, for payloads.c -------------------------------- */

static struct entry_of { char name[64]; off_t size; int64_t age; int gone; }
	entries[ENTRIES];
static int at, folders, files, made;
static uint64_t bytes;

static int k_mkdirat(int dir, const char *name, mode_t mode)
{
	hold(dir == DIR_FD && strcmp(name, "requests_full") == 0);
	hold(mode == 0700);
	return refuse(EEXIST);
}

static int is_plain_name(const char *name)
{
	return !strchr(name, '/') && name[0] && name[0] != '.';
}

static int k_openat(int dir, const char *name, int flags, ...)
{
	hold(flags & O_NOFOLLOW && flags & O_CLOEXEC);
	if (next(16) == 0)
		return refuse(EROFS);
	if (dir == DIR_FD) {
		hold(strcmp(name, "requests_full") == 0 &&
		    flags & O_DIRECTORY);
		folders++;
		return FOLDER;
	}
	hold(dir == FOLDER && is_plain_name(name));
	hold(flags & O_CREAT && flags & O_EXCL && files == 0);
	if (next(16) == 0)
		return refuse(ENOSPC);
	files++;
	made++;
	return FILE_FD;
}

static int k_close(int fd)
{
	hold(fd == FOLDER ? folders-- > 0 : fd == FILE_FD && files-- > 0);
	return 0;
}

static int k_fstat(int fd, struct stat *st)
{
	hold(fd == FOLDER);
	memset(st, 0, sizeof *st);
	st->st_uid = geteuid() + (next(16) == 0);
	return 0;
}

static int k_fstatat(int fd, const char *name, struct stat *st, int flags)
{
	int i = at - 1;

	hold(fd == FOLDER && flags & AT_SYMLINK_NOFOLLOW && i >= 0);
	hold(strcmp(name, entries[i].name) == 0);
	memset(st, 0, sizeof *st);
	st->st_mode = next(8) ? S_IFREG : S_IFLNK;
	st->st_size = entries[i].size;
	st->st_mtime = (time_t)(time(NULL) - entries[i].age);
	return next(16) ? 0 : refuse(ENOENT);
}

static int k_unlinkat(int fd, const char *name, int flags)
{
	int i;

	hold(fd == FOLDER && is_plain_name(name) && flags == 0);
	for (i = 0; i < ENTRIES; i++)
		if (strcmp(entries[i].name, name) == 0)
			entries[i].gone = 1;
	return next(8) ? 0 : refuse(EROFS);
}

static ssize_t k_write(int fd, const void *p, size_t n)
{
	(void)p;
	hold(fd == FILE_FD && files == 1 && n > 0);
	if (next(8) == 0)
		return refuse(next(2) ? ENOSPC : EINTR);
	n = 1 + next((unsigned)n);
	bytes += n;
	return (ssize_t)n;
}

static int k_dup(int fd)
{
	hold(fd == FOLDER);
	if (next(16) == 0)
		return refuse(EMFILE);
	folders++;
	return FOLDER;
}

static DIR *k_fdopendir(int fd)
{
	static char any;

	hold(fd == FOLDER);
	at = 0;
	return next(16) ? (DIR *)(void *)&any : NULL;
}

static void k_rewinddir(DIR *d)
{
	(void)d;
}

static struct dirent *k_readdir(DIR *d)
{
	static struct dirent e;

	(void)d;
	while (at < ENTRIES && (entries[at].gone || !entries[at].name[0]))
		at++;
	if (at == ENTRIES)
		return NULL;
	memcpy(e.d_name, entries[at].name, sizeof entries[at].name);
	at++;
	return &e;
}

static int k_closedir(DIR *d)
{
	(void)d;
	return k_close(FOLDER);
}

#define mkdirat k_mkdirat
#define openat k_openat
#define close k_close
#define fstat k_fstat
#define fstatat k_fstatat
#define unlinkat k_unlinkat
#define write k_write
#define dup k_dup
#define fdopendir k_fdopendir
#define rewinddir k_rewinddir
#define readdir k_readdir
#define closedir k_closedir
#define begin payloads_begin
#undef _DEFAULT_SOURCE		/* each file says it for itself */
#include "../../src/monitor/payloads.c"
#undef begin
#undef close
#undef fstat
#undef write
#undef dup
#define run alarm_run
#define child alarm_child
#define start alarm_start
#define hear alarm_hear
#define listen_to alarm_listen_to
#include "../../src/monitor/alarm.c"
#undef run
#undef child
#undef start
#undef hear
#undef listen_to
#undef _DEFAULT_SOURCE
#include "../../src/monitor/otlp.c"

static struct monitor monitor;

/* ---- exact bytes -------------------------------------------------------- */

/* Files that are there: named by a part of the input, some of them ours. */
static void furnish(struct str s)
{
	static const char *const ends_in[] = { ".http", "", ".http.tmp" };
	size_t i, n;

	memset(entries, 0, sizeof entries);
	for (i = 0; i < ENTRIES && s.n; i++) {
		struct buf b = buf_on(entries[i].name, 60);

		n = 1 + next(24);
		buf_digits(&b, (int)i, 3);
		buf_put(&b, str_head(s, n));
		buf_put(&b, str_of(ends_in[next(3)]));
		/* What no name can hold. */
		for (n = 0; n < b.n; n++)
			if (b.p[n] == '\0' || b.p[n] == '/')
				b.p[n] = '_';
		s = str_from(s, 8);
		entries[i].size = (off_t)next(200);
		entries[i].age = next(2 * AGE);
	}
}

static int ours(const char *name)
{
	size_t n = strlen(name);

	return n >= 5 && memcmp(name + n - 5, ".http", 5) == 0;
}

static void check_payloads(struct str s)
{
	static char message[INPUT_MAX];
	struct payloads p = { .fd = -1, .max = FULL, .age = AGE };
	struct str mark = S("\n=====m\n"), one;
	size_t n;
	int i;

	folders = files = made = 0;
	bytes = 0;
	furnish(s);
	payloads_tidy(&p, DIR_FD);
	for (s = str_from(s, str_find(s, mark)); s.n; s = str_from(s, n)) {
		s = str_from(s, mark.n);
		n = str_find(s, mark);
		one = str_head(s, n);
		if (one.n)
			memcpy(message, one.p, one.n);
		if (str_chr(one, '\n') < one.n)
			message[str_chr(one, '\n')] = '\0';
		payloads_put(&p, DIR_FD, (struct str){ message, one.n });
		hold(folders == 0 && files == (p.fd >= 0));
		hold(p.failed || p.fd >= 0 || !made);
	}
	for (i = 0; i < ENTRIES; i++)
		hold(!entries[i].gone || ours(entries[i].name));
	if (p.fd >= 0)
		k_close(p.fd);
	hold(files == 0 && p.lost <= INPUT_MAX);
}

/* ---- alerts ------------------------------------------------------------- */

static struct str section(struct str s, const char *mark)
{
	s = str_from(s, str_find(s, str_of(mark)) + strlen(mark));
	s = str_head(s, str_find(s, S("\n=====")));
	return str_head(s, utf8_valid(s));
}

static struct str field(const char *p, size_t size, struct str name)
{
	struct str s = str_of(p);
	size_t i;

	hold(s.n < size && str_starts(s, name));
	for (i = 0; i < s.n; i++)
		hold((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
	hold(utf8_valid(s) == s.n);
	return str_from(s, name.n);
}

/* As alerts.c raises one, of texts as long as it lets through. */
static uint64_t alert(struct str detail, struct str session)
{
	struct journal *j = monitor.journal;

	detail = str_head(detail, 255);
	session = str_head(session, RECORD_TEXT - 1);
	journal_begin(j, J_ALERT, S("req_1"), 1);
	journal_put_text(j, "rule", S("stall"));
	journal_put_int(j, "count", 3);
	journal_put_text(j, "gen_ai.conversation.id", str_head(session,
	    utf8_valid(session)));
	journal_private(j);
	journal_put_text(j, "detail", str_head(detail, utf8_valid(detail)));
	return journal_end(j);
}

static void check_alert(struct str s)
{
	static struct order o;
	struct str text;
	size_t i;

	hold(make_order(&monitor, alert(section(s, "\n=====d\n"),
	    section(s, "\n=====s\n")), &o) == OK);
	text = field(o.rule, sizeof o.rule, S("ALERT_RULE="));
	hold(str_eq(text, S("stall")));
	text = field(o.text, sizeof o.text, S("ALERT_TEXT="));
	hold(str_starts(text, S("stall: ")));
	text = field(o.count, sizeof o.count, S("ALERT_COUNT="));
	hold(str_eq(text, S("3")));
	(void)field(o.missed, sizeof o.missed, S("ALERT_MISSED="));
	text = field(o.url, sizeof o.url, S("ALERT_URL=http://localhost:"));
	for (i = 0; i < text.n; i++)
		hold(text.p[i] > ' ' && text.p[i] < 0x7f &&
		    !memchr("\"<>\\^`{|}'$;&()", text.p[i], 15));
	text = str_of(o.line);
	hold(text.n < sizeof o.line && str_ends(text, S("}\n")));
	hold(json_check(str_head(text, text.n - 1), NULL, NULL) == OK);
}

/* ---- spans -------------------------------------------------------------- */

static void insert(struct journal *j, const struct journal_line *l,
    uint64_t base)
{
	struct entry e = { .kind = (unsigned char)l->kind };
	struct str id = journal_text(l->text, S("id")).raw;

	e.key = journal_hash(id);
	journal_insert(j, base + l->seq, &e, l->text);
	if (l->kind == J_REQUEST && id.n)
		otlp_ended(&monitor, id);
}

static size_t spans(struct str document)
{
	struct str mark = S("{\"traceId\":");
	size_t n = 0, i;

	while ((i = str_find(document, mark)) < document.n) {
		document = str_from(document, i + mark.n);
		n++;
	}
	return n;
}

/* Requests that wait and of which the journal has no line. */
static size_t missing(void)
{
	const struct otlp *o = &monitor.otlp;
	struct journal_line l;
	size_t i, n = 0;

	for (i = 0; i < o->n; i++)
		n += journal_find(monitor.journal, str_of(o->id[(o->first + i) %
		    OTLP_QUEUE]), J_REQUEST, 0, &l) != OK;
	return n;
}

static void check_spans(struct str lines)
{
	struct journal_reader r = { .text = lines };
	struct otlp *o = &monitor.otlp;
	struct journal *j = monitor.journal;
	struct journal_line l;
	uint64_t base, before, most;
	struct str s;
	uint32_t n;
	int k;

	j->first = base = j->next;	/* nothing of the last input */
	o->n = 0;
	while ((k = journal_read(&r, &l)) != E_NONE) {
		if (k != OK)
			journal_skip(&r);
		else if (l.seq < SEQ_MAX)
			insert(j, &l, base);
	}
	while (o->n) {
		before = o->n;
		most = o->dropped + missing() + 1;
		make_frame(&monitor);
		hold(o->n < before && !o->frame.full && o->sent == 0);
		/* One that is larger than a document takes no other with it. */
		hold(o->dropped <= most);
		if (o->frame.n == 0)
			continue;
		memcpy(&n, o->frame.p, sizeof n);
		hold(n + sizeof n == o->frame.n && n <= OTLP_FRAME);
		s = str_from(buf_str(&o->frame), sizeof n);
		hold(json_check(s, NULL, NULL) == OK && spans(s) > 0);
	}
}

static void begin(void)
{
	static char memory[SCRATCH + OTLP_FRAME];
	struct journal_options o = { .memory = 4 << 20, .slots = 1 };

	monitor.journal = journal_open(&o);
	hold(monitor.journal != NULL);
	monitor.opt.console_fd = -1;
	monitor.alarm.port = 8082;
	monitor.otlp.fd = -1;
	monitor.otlp.memory = memory;
	monitor.otlp.frame = buf_on(memory + SCRATCH, OTLP_FRAME);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = { (const char *)data, size };

	if (size > INPUT_MAX)
		return -1;
	if (!monitor.journal)
		begin();
	chance = (uint32_t)size + (size ? data[size - 1] : 0);
	check_spans(str_head(s, str_find(s, S("\n====="))));
	check_alert(s);
	check_payloads(s);
	return 0;
}
