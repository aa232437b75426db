/* restore.c -- after a start: the end of the last journal, back in the ring.
 *
 * Runs once, before the first request, and may wait for the disk. What is
 * damaged is passed over and told. Numbers go on from the last line.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lines.h"
#include "load.h"
#include "recognise.h"
#include "scribe.h"

enum { OWNERS = 1024 };		/* requests whose session is remembered */

struct owners {
	struct {
		uint64_t id;
		uint32_t session;
	} v[OWNERS];
};

static uint64_t key_of_sha(struct str line)
{
	struct str hex = journal_text(line, S("sha")).raw;

	return journal_sha_key(hex);
}

/* Only requests and answers say whose they are; what lies between has the
 * request's id. */
static uint32_t owner(struct owners *o, const struct journal_line *l,
    uint64_t id)
{
	struct jstr s = { { NULL, 0 } };
	size_t i = (size_t)(id % OWNERS);

	if (l->kind == J_REQUEST || l->kind == J_RESPONSE)
		s = journal_text(l->text, S("gen_ai.conversation.id"));

	if (s.raw.n) {
		o->v[i].id = id;
		o->v[i].session = journal_key(s.raw);
	}
	return o->v[i].id == id ? o->v[i].session : 0;
}

static void insert(struct journal *j, struct owners *o,
    const struct journal_line *l)
{
	struct str id = journal_text(l->text, S("id")).raw;
	struct entry e = { .kind = (unsigned char)l->kind };

	if (l->text.n > j->line.cap)
		return;
	if (l->kind == J_BLOB) {
		e.key = key_of_sha(l->text);
	} else {
		e.key = journal_hash(id);
		e.session = id.n ? owner(o, l, e.key) : 0;
	}
	journal_insert(j, l->seq, &e, l->text);
	if (l->kind == J_BLOB)
		journal_wrote(j, e.key, l->seq);
}

/* The end of one file. Returns its size; *segment grows to the last number
 * in it. */
static uint64_t read_file(struct journal *j, int dir, const char *name,
    uint64_t budget, struct owners *o, uint64_t *segment)
{
	struct journal_reader r = { 0 };
	struct journal_line l;
	struct stat st;
	void *m = MAP_FAILED;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW |
	    O_NONBLOCK), k;
	int64_t n;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size > 0 && (uint64_t)st.st_size < SIZE_MAX / 2)
		m = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd,
		    0);
	if (fd >= 0)
		close(fd);
	if (m == MAP_FAILED)
		return 0;
	r.text = (struct str){ m, (size_t)st.st_size };
	if (r.text.n > budget) {
		r.at = r.text.n - (size_t)budget;
		journal_skip(&r);
	}
	r.seq = j->next - 1;
	while ((k = journal_read(&r, &l)) != E_NONE) {
		if (k == E_BAD) {
			j->damaged++;
			j->damage_at = r.at;
			j->damage_why = r.why;
			journal_skip(&r);
			continue;
		}
		insert(j, o, &l);
		n = l.kind == J_SEGMENT ? journal_number(l.text, S("n"), 0) :
		    0;
		if (n > 0 && (uint64_t)n > *segment)
			*segment = (uint64_t)n;
	}
	munmap(m, (size_t)st.st_size);
	return (uint64_t)st.st_size;
}

static uint64_t newest(int dir)
{
	int fd = dup(dir);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	uint64_t n, most = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	rewinddir(d);
	while ((e = readdir(d)) != NULL) {
		n = scribe_number(e->d_name);
		most = n > most ? n : most;
	}
	closedir(d);
	return most;
}

void load_tail(struct journal *j, struct str path, uint64_t *size,
    uint64_t *segment)
{
	static struct owners o;
	uint64_t budget = j->size / 4 * 3, finished;
	struct stat st;
	char name[64];
	int dir = scribe_dir(path);

	*size = *segment = 0;
	if (dir < 0)
		return;
	finished = newest(dir);
	*segment = finished;
	if (fstatat(dir, "structured.jsonl", &st, AT_SYMLINK_NOFOLLOW) < 0)
		st.st_size = 0;
	if (finished && (uint64_t)st.st_size < budget) {
		(void)read_file(j, dir, scribe_name(name, finished),
		    budget - (uint64_t)st.st_size, &o, segment);
	}
	*size = read_file(j, dir, "structured.jsonl", budget, &o, segment);
	if (*size && *segment == finished)
		++*segment;
	close(dir);
	/* All of it belongs to the past: nothing new may lean on it. */
	j->fresh = j->next;
}

/* ---- sessions --------------------------------------------------------- */

static struct session *session_named(struct monitor *m, struct str id)
{
	struct jstr s = journal_inside(id);

	return s.raw.n ? recognise_session(m, s.raw) : NULL;
}

static void restore_request(struct monitor *m, struct str line)
{
	enum { ID, BY, WAS, TURN, LANE, N };
	static const struct str keys[N] = {
		[ID] = { "gen_ai.conversation.id", 22 },
		[BY] = { "cdx.session.by", 14 },
		[WAS] = { "cdx.session.was", 15 }, [TURN] = { "cdx.turn", 8 },
		[LANE] = { "cdx.lane", 8 }
	};
	struct str v[N];
	struct session *s;
	int64_t turn, lane;
	int renamed;

	journal_members(line, keys, v, N);
	renamed = v[WAS].n && recognise_rename(m, journal_inside(v[WAS]).raw,
	    journal_inside(v[ID]).raw) == OK;
	s = session_named(m, v[ID]);
	if (!s)
		return;
	if (s->requests++ == 0 || renamed) {
		label_set(&s->id, journal_inside(v[ID]).raw);
		s->by = str_eq(v[BY], S("\"header\"")) ? "header" :
		    str_eq(v[BY], S("\"body\"")) ? "body" : "guess";
	}
	turn = journal_integer(v[TURN], 0);
	lane = journal_integer(v[LANE], 0);
	if (turn > s->turn && turn < 1 << 20)
		s->turn = (unsigned)turn;
	if (lane > s->lanes && lane < 1 << 20)
		s->lanes = (unsigned)lane;
	recall_request(m, s, line);
}

/* 0.012345678 in 10^-12. -1: null. */
static int64_t cost_of(struct str s)
{
	struct str whole = str_head(s, str_chr(s, '.'));
	struct str part = str_head(str_from(s, whole.n + 1), 9);
	uint64_t v, f;

	if (str_u64(whole, &v) != OK || str_u64(part, &f) != OK ||
	    part.n != 9 || v > 1000000)
		return -1;
	return (int64_t)(v * 1000000000 + f) * 1000;
}

static void restore_response(struct monitor *m, struct str line)
{
	enum { ID, ERROR, COST, IN, READ, WRITTEN, OUT, N };
	static const struct str keys[N] = {
		[ID] = { "gen_ai.conversation.id", 22 },
		[ERROR] = { "error.type", 10 }, [COST] = { "cdx.cost_usd", 12 },
		[IN] = { "gen_ai.usage.input_tokens", 25 },
		[READ] = { "gen_ai.usage.cache_read.input_tokens", 36 },
		[WRITTEN] = { "gen_ai.usage.cache_write.input_tokens", 37 },
		[OUT] = { "gen_ai.usage.output_tokens", 26 }
	};
	struct str v[N];
	struct session *s;
	int64_t all, read, written, cost;

	journal_members(line, keys, v, N);
	s = session_named(m, v[ID]);
	if (!s)
		return;
	all = journal_integer(v[IN], 0);
	read = journal_integer(v[READ], 0);
	written = journal_integer(v[WRITTEN], 0);
	cost = cost_of(v[COST]);
	s->input += all - read - written;
	s->cache_read += read;
	s->cache_write += written;
	s->output += journal_integer(v[OUT], 0);
	if (cost >= 0)
		s->cost += cost;
	else if (all)
		s->unpriced++;
	s->errors += journal_inside(v[ERROR]).raw.p != NULL;
	recall_response(m, line);
}

void restore_sessions(struct monitor *m)
{
	struct journal *j = m->journal;
	struct journal_line l;
	uint64_t seq;

	for (seq = j->first; seq < j->next; seq++) {
		if (journal_line(j, seq, &l) != OK)
			continue;
		if (l.kind == J_REQUEST)
			restore_request(m, l.text);
		else if (l.kind == J_RESPONSE)
			restore_response(m, l.text);
	}
}
