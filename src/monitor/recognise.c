/* recognise.c -- which session, which agent, which turn.
 *
 * The client's headers are taken at their word. Where they are missing, what
 * a request has in common with earlier ones decides: a conversation repeats
 * its messages. Two requests of one conversation at the same time prove that
 * there are two agents, whatever the labels say; the second gets a lane.
 *
 * SPDX-License-Identifier: MIT */
#include "../net/loop.h"
#include "lines.h"
#include "recognise.h"

enum {
	CLAIM_MAX = 256,	/* of a header that only informs */
	TTL_5M = 300000, TTL_1H = 3600000
};

static const char *const cause_names[] = {
	NULL, "initial", "system_prompt_changed", "tools_changed",
	"model_changed", "messages_rewritten", "ttl_expired_5m",
	"ttl_expired_1h", "likely_server_side", "not_supported_upstream",
	"marks_dropped"
};

const char *cause_name(enum cause c)
{
	return cause_names[c];
}

/* A header's claim: printable ASCII of a bounded length, or nothing. */
static struct str claim(const struct http_head *h, const char *name)
{
	struct str s = http_field(h, str_of(name));
	size_t i;

	if (s.n > CLAIM_MAX)
		return S("");
	for (i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return S("");
	return s;
}

static uint64_t key_of(struct str s)
{
	uint64_t h = journal_hash(s);

	return h ? h : 1;
}

int recognise_reminder(struct jstr text)
{
	struct str s = text.raw;

	/* Blanks before it, escaped or not, don't count. */
	while (s.n && (s.p[0] == ' ' || str_starts(s, S("\\n"))))
		s = str_from(s, s.p[0] == ' ' ? 1 : 2);
	return str_starts(s, S("<system-reminder>"));
}

struct jstr recognise_first_text(const struct request *q)
{
	const struct message *m;
	size_t i, k;

	for (i = 0; i < q->nmessages; i++) {
		m = &q->messages[i];
		if (m->role != ROLE_USER)
			continue;
		for (k = 0; k < m->n; k++)
			if (m->blocks[k].type == B_TEXT &&
			    !recognise_reminder(m->blocks[k].text))
				return m->blocks[k].text;
		break;
	}
	return (struct jstr){ { NULL, 0 } };
}

uint64_t recognise_text(struct jstr text, struct arena scratch)
{
	struct str plain = json_text(&scratch, text);

	plain = str_trim(plain.p ? plain : text.raw);
	return plain.n ? key_of(plain) : 0;
}

/* ---- sessions --------------------------------------------------------- */

static struct session *session_find(struct recogniser *g, uint64_t key)
{
	size_t i;

	for (i = 0; i < SESSIONS_MAX; i++)
		if (g->session[i].key == key)
			return &g->session[i];
	return NULL;
}

static struct session *session_get(struct recogniser *g, uint64_t key)
{
	struct session *s = session_find(g, key), *oldest = NULL;
	size_t i;

	if (s)
		return s;
	for (i = 0; i < SESSIONS_MAX; i++) {
		s = &g->session[i];
		if (!s->in_flight && (!oldest || s->key == 0 ||
		    (oldest->key && s->last_ms < oldest->last_ms)))
			oldest = s;
	}
	if (!oldest)
		return NULL;
	for (i = 0; i < CONVS_MAX; i++)
		if (g->conv[i].of == oldest)
			g->conv[i].of = NULL;
	memset(oldest, 0, sizeof *oldest);
	oldest->key = key;
	return oldest;
}

struct session *recognise_session(struct monitor *m, struct str id)
{
	return session_get(m->recogniser, key_of(id));
}

/* No id anywhere: whoever says the same first words under the same system
 * prompt from the same address is the same. */
static void guess_session(struct record *r, const struct facts *f)
{
	char text[24];
	struct buf b = buf_on(text, sizeof text);
	uint64_t h = journal_hash(f->peer) ^ f->first_text;
	size_t i;

	for (i = 0; i < f->nsystem; i++)
		h = h * 0x100000001b3u ^ blob_key(&f->system[i]);
	buf_put(&b, S("guess-"));
	for (i = 0; i < 8; i++)
		buf_hex(&b, (struct str){ &(char){ (char)(h >> 8 * i) }, 1 });
	label_set(&r->session, str_head(buf_str(&b), 18));
	r->session_by = "guess";
}

static int has_hints(const struct http_head *h)
{
	static const char *const hints[] = {
		"x-claude-code-request-class", "x-claude-code-agent-type",
		"x-claude-code-prev-tool-durations",
		"x-claude-code-compaction", "x-claude-code-context-compacted"
	};
	size_t i;

	for (i = 0; i < COUNT(hints); i++)
		if (http_field(h, str_of(hints[i])).n)
			return 1;
	return 0;
}

int recognise_rename(struct monitor *m, struct str from, struct str to)
{
	struct recogniser *g = m->recogniser;
	uint64_t old = key_of(from), key = key_of(to);
	struct session *s = session_find(g, old);
	size_t i;

	if (!s || session_find(g, key))
		return E_NONE;
	s->key = key;
	for (i = 0; i < CONVS_MAX; i++)
		if (g->conv[i].session == old)
			g->conv[i].session = key;
	for (i = 0; i < SPAWNS_MAX; i++)
		if (g->spawn[i].session == old)
			g->spawn[i].session = key;
	return OK;
}

/* A client that didn't say who it is may do so later: what was guessed until
 * then goes on under its name. */
static void merge_guess(struct record *r, const struct facts *f,
    struct label id)
{
	if (f->q->nmessages && !session_find(r->mon->recogniser,
	    key_of(label_str(&id)))) {
		guess_session(r, f);
		if (recognise_rename(r->mon, label_str(&r->session),
		    label_str(&id)) == OK)
			r->session_was = r->session;
	}
	r->session = id;
}

static void find_session(struct record *r, const struct facts *f)
{
	struct recogniser *g = r->mon->recogniser;
	struct str id = claim(f->head, "x-claude-code-session-id");
	struct session *s;

	if (id.n)
		label_set(&r->session, id);
	if (r->session.n) {
		merge_guess(r, f, r->session);
		r->session_by = id.n ? "header" : "body";
	} else if (f->q->nmessages) {
		guess_session(r, f);
	} else {
		return;
	}
	s = session_get(g, key_of(label_str(&r->session)));
	r->sess = s;
	if (!s)
		return;
	if (s->requests == 0)
		s->first_ms = r->wall_ms;
	if (s->requests == 0 || r->session_was.n) {
		s->id = r->session;
		s->by = r->session_by;
	}
	s->last_ms = r->wall_ms;
	s->requests++;
	s->in_flight++;
	if (has_hints(f->head))
		s->hints = 1;
	if (claim(f->head, "x-claude-code-agent-id").n)
		s->agents = 1;
}

/* ---- agents ----------------------------------------------------------- */

/* How an agent's system prompt begins, where the client doesn't name it. */
static const struct {
	const char *begins, *type;
} types[] = {
	{ "You are an agent for Claude Code", "general-purpose" },
	{ "You are a file search specialist", "Explore" },
	{ "You are a software architect and planning", "Plan" },
	{ "You are the Claude guide agent", "claude-code-guide" },
	{ "You are an interactive agent", "main" },
	{ "You are an interactive CLI tool", "main" }
};

static void name_agent(struct record *r, struct conv *c,
    const struct facts *f)
{
	struct str hint = claim(f->head, "x-claude-code-agent-type");
	size_t i, k;

	if (hint.n) {
		label_set(&c->type, hint);
		c->type_by = "hint";
	}
	for (i = 0; c->type.n == 0 && i < f->q->nsystem; i++)
		for (k = 0; k < COUNT(types); k++)
			if (jstr_starts(f->q->system[i].text,
			    str_of(types[k].begins))) {
				label_set(&c->type, str_of(types[k].type));
				c->type_by = "body";
			}
	if (c->type.n == 0 && strcmp(r->class, "main") == 0 && !c->sub) {
		label_set(&c->type, S("main"));
		c->type_by = r->class_by;
	}
	r->agent_type = c->type;
	r->agent_type_by = c->type_by;
}

/* Messages of the last request whose names are known. */
static size_t kept(const struct conv *c)
{
	return c->n < CONV_MESSAGES ? c->n : CONV_MESSAGES;
}

static size_t common(const struct conv *c, const struct facts *f)
{
	size_t n = kept(c), i;

	if (!f->sha)
		return 0;
	if (f->q->nmessages < n)
		n = f->q->nmessages;
	for (i = 0; i < n; i++)
		if (memcmp(&c->sha[i], &f->sha[i], sizeof f->sha[i]) != 0)
			break;
	return i;
}

/* The same system prompt: the same kind of agent. */
static int same_system(const struct conv *c, const struct facts *f)
{
	return c->nsystem == f->nsystem &&
	    memcmp(c->system, f->system, f->nsystem * sizeof *f->system) == 0;
}

static struct conv *conv_new(struct recogniser *g, struct session *of,
    uint64_t agent, int sub)
{
	struct conv *c, *oldest = NULL;
	size_t i;

	for (i = 0; i < CONVS_MAX; i++) {
		c = &g->conv[i];
		if (c->of == NULL) {
			oldest = c;
			break;
		}
		if (!c->in_flight && (!oldest || c->used < oldest->used))
			oldest = c;
	}
	if (!oldest)
		return NULL;
	/* Names of messages stay as they are: n says how many count. */
	memset(oldest, 0, offsetof(struct conv, sha));
	memset((char *)oldest + offsetof(struct conv, nsystem), 0,
	    sizeof *oldest - offsetof(struct conv, nsystem));
	oldest->of = of;
	oldest->session = of->key;
	oldest->agent = agent;
	oldest->sub = sub;
	return oldest;
}

struct conv *recognise_conv(struct monitor *m, struct session *s,
    struct str agent, int sub, unsigned lane)
{
	struct recogniser *g = m->recogniser;
	uint64_t key = agent.n ? key_of(agent) : 0;
	struct conv *c;
	size_t i;

	for (i = 0; i < CONVS_MAX; i++) {
		c = &g->conv[i];
		if (c->of == s && c->agent == key && c->sub == sub &&
		    c->lane == lane)
			break;
	}
	c = i < CONVS_MAX ? &g->conv[i] : conv_new(g, s, key, sub);
	if (c) {
		c->lane = lane;
		c->used = ++g->clock;
	}
	return c;
}

uint64_t recognise_key(struct str s)
{
	return key_of(s);
}

struct match {
	struct conv *best, *idle, *first;	/* by common messages; the same among
						 * those at rest; lane 0 */
	size_t n, nidle;
};

static struct match look(struct record *r, const struct facts *f,
    uint64_t agent, int sub)
{
	struct recogniser *g = r->mon->recogniser;
	struct match m = { 0 };
	struct conv *c;
	size_t i, n;

	for (i = 0; i < CONVS_MAX; i++) {
		c = &g->conv[i];
		if (c->of != r->sess || c->agent != agent || c->sub != sub)
			continue;
		if (c->lane == 0 && (!m.first || c->used > m.first->used))
			m.first = c;
		n = common(c, f);
		if (n == 0)
			continue;
		if (n > m.n || (n == m.n && c->used > m.best->used)) {
			m.best = c;
			m.n = n;
		}
		if (!c->in_flight && (n > m.nidle || (n == m.nidle &&
		    c->used > m.idle->used))) {
			m.idle = c;
			m.nidle = n;
		}
	}
	return m;
}

/* Whether two requests in flight are one and the same, sent again. */
static int sent_again(const struct conv *c, const struct facts *f, size_t n)
{
	return n == c->n && n == f->q->nmessages;
}

static struct conv *pick(struct record *r, const struct facts *f,
    uint64_t agent, int sub, struct conv **fork)
{
	struct match m = look(r, f, agent, sub);
	struct conv *c;

	*fork = NULL;
	/* An id is the agent's own: nothing to find out. */
	if (agent)
		return m.best ? m.best : m.first ? m.first :
		    conv_new(r->mon->recogniser, r->sess, agent, sub);
	if (m.idle && m.nidle == m.n)
		return m.idle;
	if (m.best && sent_again(m.best, f, m.n))
		return m.best;
	if (!m.best && !sub && m.first && !m.first->in_flight &&
	    (r->sess->agents || same_system(m.first, f)))
		return m.first;		/* compacted, or cleared */
	c = conv_new(r->mon->recogniser, r->sess, agent, sub);
	if (!c || (!m.first && !sub))
		return c;
	c->lane = ++r->sess->lanes;
	*fork = m.best;
	return c;
}

static void link_spawn(struct record *r, struct conv *c,
    const struct facts *f)
{
	struct recogniser *g = r->mon->recogniser;
	struct spawn *s, *best = NULL;
	unsigned found = 0;
	size_t i;

	for (i = 0; i < SPAWNS_MAX; i++) {
		s = &g->spawn[i];
		if (!s->n || s->session != r->sess->key ||
		    s->prompt != f->first_text || f->first_text == 0)
			continue;
		found++;
		if (!best || (best->taken && !s->taken) ||
		    (best->taken == s->taken && s->n < best->n))
			best = s;
	}
	if (!best || best->taken)
		return;
	best->taken = 1;
	c->spawn_call = best->call;
	c->spawn_request = best->request;
	c->link_by = found > 1 ? "guess" : "body";
}

void recognise_spawn(struct record *r, struct str call, uint64_t prompt)
{
	struct recogniser *g = r->mon->recogniser;
	struct spawn *s, *oldest = &g->spawn[0];
	size_t i;

	if (!r->sess || prompt == 0)
		return;
	for (i = 0; i < SPAWNS_MAX; i++) {
		s = &g->spawn[i];
		if (s->n < oldest->n)
			oldest = s;
	}
	memset(oldest, 0, sizeof *oldest);
	oldest->session = r->sess->key;
	oldest->prompt = prompt;
	oldest->n = ++g->clock;
	label_set(&oldest->call, call);
	oldest->request = r->id;
}

/* ---- turns ------------------------------------------------------------ */

/* A person spoke: text that is no reminder, in a message without results. */
static int person_spoke(const struct request *q, size_t from)
{
	const struct message *m;
	size_t i, k;
	int text;

	for (i = q->nmessages; i-- > from;) {
		m = &q->messages[i];
		if (m->role == ROLE_SYSTEM)
			continue;
		if (m->role != ROLE_USER)
			return 0;
		for (text = 0, k = 0; k < m->n; k++) {
			if (m->blocks[k].type == B_TOOL_RESULT)
				return 0;
			text |= m->blocks[k].type != B_TEXT ||
			    !recognise_reminder(m->blocks[k].text);
		}
		if (text)
			return 1;
	}
	return 0;
}

/* All that is new are reminders: a background agent has ended, say. The
 * client gives such a notice a prompt id of its own. */
static int only_notices(const struct request *q, size_t from)
{
	const struct message *m;
	size_t i, k;
	int any = 0;

	for (i = from; i < q->nmessages; i++) {
		m = &q->messages[i];
		for (k = 0; m->role == ROLE_USER && k < m->n; k++) {
			if (m->blocks[k].type != B_TEXT ||
			    !recognise_reminder(m->blocks[k].text))
				return 0;
			any = 1;
		}
	}
	return any;
}

static int is_new_turn(const struct session *s, const struct facts *f,
    size_t from)
{
	if (s->turn == 0)
		return 1;
	if (!f->prompt)
		return person_spoke(f->q, from);
	return f->prompt != s->prompt && !only_notices(f->q, from);
}

static void count_turn(struct record *r, struct conv *c,
    const struct facts *f)
{
	struct session *s = r->sess;
	int again = c->n && r->first_new == f->q->nmessages &&
	    r->first_new == c->n;

	r->turn_by = f->prompt ? "header" : "body";
	if (again) {
		r->turn = c->turn;
		r->step = c->step;
		if (r->retry == 0)
			r->retry = 1;
		return;
	}
	if (c->agent || c->sub || c->lane) {
		/* An agent works for the turn in which it was started. */
		r->turn = c->turn ? c->turn : s->turn ? s->turn : 1;
		r->step = c->step + 1;
	} else {
		r->step = c->step + 1;
		if (is_new_turn(s, f, r->first_new)) {
			s->turn++;
			r->step = 1;
		}
		r->turn = s->turn;
		s->prompt = f->prompt ? f->prompt : s->prompt;
	}
	c->turn = r->turn;
	c->step = r->step;
}

/* ---- cache ------------------------------------------------------------ */

static enum cache_mark marks_of(const struct request *q)
{
	enum cache_mark most = q->cache;
	size_t i, k;

	for (i = 0; i < q->nsystem; i++)
		if (q->system[i].cache > most)
			most = q->system[i].cache;
	for (i = 0; i < q->ntools; i++)
		if (q->tools[i].cache > most)
			most = q->tools[i].cache;
	for (i = 0; i < q->nmessages; i++)
		for (k = 0; k < q->messages[i].n; k++)
			if (q->messages[i].blocks[k].cache > most)
				most = q->messages[i].blocks[k].cache;
	return most;
}

/* What would explain a miss: the first difference in the order in which a
 * prefix is made, else time. */
static enum cause explain(const struct record *r, const struct conv *c,
    const struct facts *f, size_t same)
{
	int64_t gap = r->arrived - c->last_start;

	if (c->last_start == 0)
		return CAUSE_INITIAL;
	if (c->model != key_of(label_str(&r->asked)))
		return CAUSE_MODEL;
	if (memcmp(&c->tools, &f->tools, sizeof c->tools) != 0)
		return CAUSE_TOOLS;
	if (!same_system(c, f))
		return CAUSE_SYSTEM;
	if (same < kept(c))
		return CAUSE_MESSAGES;
	if (gap > (c->marks == CACHE_1H ? TTL_1H : TTL_5M))
		return c->marks == CACHE_1H ? CAUSE_TTL_1H : CAUSE_TTL_5M;
	return CAUSE_SERVER;
}

/* ---- the whole -------------------------------------------------------- */

static int is_conversation(const char *class)
{
	return strcmp(class, "main") == 0 || strcmp(class, "subagent") == 0 ||
	    strcmp(class, "workflow") == 0 || strcmp(class, "compaction") == 0;
}

static void remember(struct record *r, struct conv *c, const struct facts *f)
{
	size_t n = f->q->nmessages;

	c->n = f->sha ? n : 0;
	if (f->sha)
		memcpy(c->sha, f->sha, (n < CONV_MESSAGES ? n :
		    CONV_MESSAGES) * sizeof *c->sha);
	c->nsystem = f->nsystem;
	memcpy(c->system, f->system, sizeof c->system);
	c->tools = f->tools;
	c->model = key_of(label_str(&r->asked));
	c->marks = r->marks;
	c->last_start = r->arrived;
}

void recognise_request(struct record *r, struct facts *f)
{
	struct recogniser *g = r->mon->recogniser;
	struct str agent = claim(f->head, "x-claude-code-agent-id");
	struct conv *c, *fork;
	size_t same;
	int sub;

	find_session(r, f);
	r->first_new = 0;
	r->marks = marks_of(f->q);
	if (!r->sess || !f->q->nmessages || !is_conversation(r->class))
		return;
	label_set(&r->agent, agent);
	label_set(&r->parent, claim(f->head, "x-claude-code-parent-agent-id"));
	/* A summary is asked for by the agent whose history it is. */
	sub = strcmp(r->class, "subagent") == 0;
	c = pick(r, f, agent.n ? key_of(agent) : 0, sub, &fork);
	if (!c)
		return;
	c->used = ++g->clock;
	if (c->agent_id.n == 0) {
		c->agent_id = r->agent;
		c->parent = r->parent;
	}
	r->conv = c;
	r->lane = c->lane;
	if (c->last_start == 0)
		link_spawn(r, c, f);
	r->spawn_call = c->spawn_call;
	r->spawn_request = c->spawn_request;
	r->link_by = c->link_by;
	name_agent(r, c, f);
	same = common(fork ? fork : c, f);
	r->prev = fork ? fork->last : c->last;
	r->prev_end = c->last_end;
	r->leans = fork ? fork : c;
	r->first_new = same;
	r->cause = (int)explain(r, c, f, same);
	r->cause_index = same;
	c->in_flight++;
	if (strcmp(r->class, "compaction") == 0) {
		r->turn = c->turn;
		r->step = ++c->step;
		return;
	}
	count_turn(r, c, f);
	r->goes_on = 1;
}

int recognise_result(struct record *r, struct jstr id)
{
	struct conv *c = r->conv;
	uint64_t key = journal_hash(id.raw);
	size_t i;

	if (!c || r->prev.n == 0)
		return 1;
	for (i = 0; i < c->ncalls; i++)
		if (c->call[i].id == key)
			return !c->call[i].answered;
	return 0;
}

/* Apart from the above, as events.c compares before. */
void recognise_remember(struct record *r, const struct facts *f)
{
	if (!r->conv || !r->goes_on)
		return;
	remember(r, r->conv, f);
	r->conv->last = r->id;
}

void recognise_response(struct record *r)
{
	struct conv *c = r->conv;
	struct session *s = r->sess;
	const struct usage *u = &r->usage;

	if (s) {
		s->in_flight -= s->in_flight > 0;
		s->errors += r->outcome == OUTCOME_ERROR ||
		    r->outcome == OUTCOME_CUT;
		s->last_ms = r->wall_ms + (r->ended - r->arrived);
		if (r->have_usage && strcmp(r->class, "count") != 0) {
			s->input += u->input;
			s->output += u->output;
			s->cache_read += u->cache_read;
			s->cache_write += u->cache_write;
		}
	}
	if (!c)
		return;
	c->in_flight -= c->in_flight > 0;
	c->last_end = r->ended;
	if (r->have_usage && !u->estimated && r->goes_on)
		c->cached = u->cache_read + u->cache_write;
}
