/* log.c -- LOG_DIR/requests.jsonl: one JSON object a request, bounded.
 *
 * Four files at most, each a quarter of LOG_MAX_BYTES: requests.jsonl is
 * appended to, .1 to .3 are older. A directory of somebody else's is not
 * written to, links are not followed. A line that can't be written, the disk
 * being full, is dropped and counted; one warning is said; the next line is
 * tried again a few seconds later, and writing resumes by itself.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lines.h"

enum {
	FILES = 4,
	RETRY_MS = 5000,	/* after a failed write */
	DIR_MAX = 1024
};

static const char *const names[FILES] = {
	"requests.jsonl", "requests.jsonl.1", "requests.jsonl.2",
	"requests.jsonl.3"
};

static int open_dir(struct monitor *m)
{
	char path[DIR_MAX];
	struct stat st;
	int fd;

	if (m->opt.log_dir.n >= sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, m->opt.log_dir.p, m->opt.log_dir.n);
	path[m->opt.log_dir.n] = '\0';
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid())) {
		close(fd);
		errno = EPERM;
		return -1;
	}
	return fd;
}

static int open_file(struct monitor *m)
{
	struct stat st;
	int dir = open_dir(m), fd;

	if (dir < 0)
		return -1;
	fd = openat(dir, names[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
	    O_NOFOLLOW | O_NONBLOCK, 0600);
	close(dir);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	if (fd >= 0)
		m->log_size = (uint64_t)st.st_size;
	return fd;
}

static void rotate(struct monitor *m)
{
	int dir = open_dir(m), i;

	if (dir < 0)
		return;
	for (i = FILES - 1; i > 0; i--)
		renameat(dir, names[i - 1], dir, names[i]);
	close(dir);
	if (m->log_fd >= 0)
		close(m->log_fd);
	m->log_fd = open_file(m);
}

static void failed(struct monitor *m, int64_t now)
{
	char text[256];
	struct buf b = buf_on(text, sizeof text);
	int why = errno;

	m->dropped++;
	m->retry_at = now + RETRY_MS;
	if (m->warned)
		return;
	m->warned = 1;
	buf_put(&b, S("the log in LOG_DIR cannot be written ("));
	buf_put(&b, str_of(why == EPERM ? "directory of another user" :
	    strerror(why)));
	buf_put(&b, S("); requests go on, without it"));
	monitor_say(m, "warning", buf_str(&b));
}

static void write_line(struct monitor *m, struct str line, int64_t now)
{
	ssize_t n;

	if (m->opt.log_dir.n == 0)
		return;
	if (m->retry_at && now < m->retry_at) {
		m->dropped++;
		return;
	}
	if (m->log_fd < 0)
		m->log_fd = open_file(m);
	if (m->log_fd >= 0 && m->log_size &&
	    m->log_size + line.n > m->opt.log_max_bytes / FILES)
		rotate(m);
	n = m->log_fd < 0 ? -1 : write(m->log_fd, line.p, line.n);
	if (n == (ssize_t)line.n) {
		m->log_size += line.n;
		m->retry_at = 0;
		if (m->warned)
			monitor_say(m, "note", S("the log is written again"));
		m->warned = 0;
		return;
	}
	/* Half a line is taken back: the file stays readable. */
	if (n > 0) {
		if (ftruncate(m->log_fd, (off_t)m->log_size) < 0)
			m->log_size += (uint64_t)n;
		errno = ENOSPC;
	}
	failed(m, now);
}

/* ---- the line --------------------------------------------------------- */

static void put_key(struct buf *b, const char *key)
{
	if (b->n > 1)
		buf_chr(b, ',');
	buf_chr(b, '"');
	buf_put(b, str_of(key));
	buf_put(b, S("\":"));
}

static void put_text(struct monitor *m, struct buf *b, const char *key,
    struct str s)
{
	struct buf t = buf_on(m->text, sizeof m->text);

	if (s.n == 0)
		return;
	monitor_redact(m, &t, s);
	put_key(b, key);
	json_quote(b, buf_str(&t));
}

static void put_number(struct buf *b, const char *key, int64_t v)
{
	put_key(b, key);
	buf_int(b, v);
}

static void put_when(struct buf *b, int64_t wall_ms)
{
	put_key(b, "ts");
	buf_chr(b, '"');
	monitor_when(b, wall_ms);
	buf_chr(b, '"');
}

static const char *outcome_name(enum outcome o)
{
	switch (o) {
	case OUTCOME_DONE:
		return "done";
	case OUTCOME_ERROR:
		return "error";
	case OUTCOME_CUT:
		return "cut";
	case OUTCOME_CANCELLED:
		return "cancelled";
	case OUTCOME_OPEN:
		break;
	}
	return "open";
}

static void put_usage(struct buf *b, const struct record *r)
{
	if (!r->have_usage)
		return;
	put_number(b, "input_tokens", r->usage.input);
	put_number(b, "output_tokens", r->usage.output);
	put_number(b, "cache_read_tokens", r->usage.cache_read);
	put_number(b, "cache_write_tokens", r->usage.cache_write);
	if (r->usage.thinking >= 0)
		put_number(b, "thinking_tokens", r->usage.thinking);
	put_key(b, "usage_estimated");
	buf_put(b, r->usage.estimated ? S("true") : S("false"));
}

static void put_calls(struct monitor *m, struct buf *b,
    const struct record *r)
{
	struct buf t;
	size_t i;

	put_number(b, "tool_calls", (int64_t)r->ntools);
	put_key(b, "tools_called");
	buf_chr(b, '[');
	for (i = 0; i < r->ntools && i < RECORD_TOOLS_MAX; i++) {
		if (i)
			buf_chr(b, ',');
		t = buf_on(m->text, sizeof m->text);
		monitor_redact(m, &t, label_str(&r->tools[i]));
		json_quote(b, buf_str(&t));
	}
	buf_chr(b, ']');
}

static void put_notes(struct buf *b, const struct notes *ns)
{
	size_t i;

	if (!ns || ns->n == 0)
		return;
	put_key(b, "notes");
	buf_chr(b, '[');
	for (i = 0; i < ns->n; i++) {
		buf_put(b, i ? S(",{\"kind\":\"") : S("{\"kind\":\""));
		buf_put(b, str_of(note_kind_name(ns->v[i].kind)));
		buf_put(b, S("\",\"field\":"));
		json_quote(b, str_head(ns->v[i].field, 128));
		buf_put(b, S(",\"why\":"));
		json_quote(b, str_head(ns->v[i].why, 256));
		buf_put(b, S(",\"count\":"));
		buf_u64(b, ns->v[i].count);
		buf_chr(b, '}');
	}
	buf_chr(b, ']');
	if (ns->lost)
		put_number(b, "notes_lost", ns->lost);
}

static void put_times(struct buf *b, const struct record *r)
{
	if (r->sent)
		put_number(b, "sent_ms", r->sent - r->arrived);
	if (r->first_byte)
		put_number(b, "first_byte_ms", r->first_byte - r->arrived);
	if (r->first_token)
		put_number(b, "first_token_ms", r->first_token - r->arrived);
	put_number(b, "total_ms", r->ended - r->arrived);
}

void log_record(const struct record *r, int64_t now)
{
	struct monitor *m = r->mon;
	struct buf b = buf_on(m->line, sizeof m->line);
	int prompt = m->opt.bodies == LOG_BODIES_ALL ||
	    (m->opt.bodies == LOG_BODIES_ERRORS && r->fault.status);

	if (m->opt.log_dir.n == 0)
		return;
	buf_put(&b, S("{"));
	put_when(&b, r->wall_ms);
	put_text(m, &b, "id", label_str(&r->id));
	put_text(m, &b, "class", str_of(r->class));
	put_text(m, &b, "class_by", str_of(r->class_by));
	put_text(m, &b, "session", label_str(&r->session));
	put_text(m, &b, "agent", label_str(&r->agent));
	put_text(m, &b, "client", label_str(&r->client));
	put_text(m, &b, "model", label_str(&r->asked));
	put_text(m, &b, "served_model", label_str(&r->served));
	put_text(m, &b, "backend", label_str(&r->backend));
	put_key(&b, "stream");
	buf_put(&b, r->stream ? S("true") : S("false"));
	put_number(&b, "messages", (int64_t)r->messages);
	put_number(&b, "tools", (int64_t)r->tools_offered);
	put_number(&b, "bytes_in", (int64_t)r->bytes_in);
	put_number(&b, "bytes_out", (int64_t)r->bytes_out);
	put_number(&b, "attempts", r->attempts);
	put_number(&b, "status", r->status);
	put_text(m, &b, "outcome", str_of(outcome_name(r->outcome)));
	if (r->stop != STOP_NONE)
		put_text(m, &b, "stop_reason",
		    str_of(stop_reason_name(r->stop)));
	put_times(&b, r);
	put_usage(&b, r);
	put_calls(m, &b, r);
	put_notes(&b, r->notes);
	if (r->fault.status) {
		put_text(m, &b, "error_type", str_of(r->fault.type));
		put_text(m, &b, "error", fault_text(&r->fault));
	}
	if (prompt)
		put_text(m, &b, "prompt", label_str(&r->prompt));
	buf_put(&b, S("}\n"));
	if (!b.full)
		write_line(m, buf_str(&b), now);
	else
		m->dropped++;
}

void monitor_reopen(struct monitor *m)
{
	if (m->log_fd >= 0)
		close(m->log_fd);
	m->log_fd = -1;
	m->retry_at = 0;
}

void monitor_open(struct monitor *m, const struct monitor_options *o)
{
	size_t i;

	memset(m, 0, sizeof *m);
	m->opt = *o;
	m->log_fd = -1;
	for (i = 0; i < o->nsecrets && i < MONITOR_SECRETS_MAX; i++)
		m->secrets[i] = o->secrets[i];
	m->opt.secrets = m->secrets;
	m->opt.nsecrets = i;
	m->colour = o->colour >= 0 ? o->colour : isatty(o->console_fd);
	m->journal = journal_open(&(struct journal_options){
	    .memory = o->memory, .raw = o->raw, .slots = o->slots,
	    .bodies = o->bodies, .secrets = m->secrets, .nsecrets = i });
	/* Reads the time zone now: later it would allocate while serving. */
	tzset();
	if (o->log_dir.n == 0)
		return;
	m->log_fd = open_file(m);
	if (m->log_fd < 0)
		failed(m, 0);
}

void monitor_close(struct monitor *m)
{
	if (m->log_fd >= 0)
		close(m->log_fd);
	m->log_fd = -1;
}
