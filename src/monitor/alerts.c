/* alerts.c -- what its owner would want to be told.
 *
 * Each rule speaks once for each time it comes true, with a reason in its
 * detail. Only what is new counts: a history repeated by the next request was
 * judged when it was new.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"
#include "recognise.h"

enum {
	REPEAT = 3,		/* equal calls, or results, in a row */
	STREAK = 5,		/* failed results in a row */
	RESULT_MIN = 32,	/* "(no output)" may repeat */
	BURST = 3, BURST_MS = 60000,	/* upstream errors */
	STALL_MS = 30000,	/* Claude Code gives up after 300 s */
	DROPPED_MS = 10000,	/* between two alerts about dropped lines */
	WINDOW = 200000, WINDOW_1M = 1000000
};

static uint32_t session_key(const struct record *r)
{
	return r->session.n ? journal_key(label_str(&r->session)) : 0;
}

/* For ALERT_CMD. */
static void queue(struct alarm *a, uint64_t seq)
{
	if (!a->command[0] || !seq)
		return;
	if (a->n == ALARM_QUEUE)
		a->dropped++;
	else
		a->seq[(a->first + a->n++) % ALARM_QUEUE] = seq;
}

static void raise_alert(struct monitor *m, struct record *r,
    const char *rule, uint64_t count, const struct str *parts, size_t n)
{
	struct journal *j = m->journal;
	char text[256];
	struct buf b = buf_on(text, sizeof text);
	size_t i;

	for (i = 0; i < n; i++)
		buf_put(&b, str_head(parts[i], 120));
	journal_begin(j, J_ALERT, r ? label_str(&r->id) : S(""),
	    r ? session_key(r) : 0);
	journal_put_text(j, "rule", str_of(rule));
	journal_put_int(j, "count", (int64_t)count);
	if (r && r->session.n)
		journal_put_text(j, "gen_ai.conversation.id",
		    label_str(&r->session));
	journal_private(j);
	journal_put_text(j, "detail", str_head(buf_str(&b),
	    utf8_valid(buf_str(&b))));
	queue(&m->alarm, journal_end(j));
	m->alerts++;
	metrics_alert(&m->metrics, str_of(rule));
	if (r && r->sess)
		r->sess->alerts++;
}
#define ALERT(m, r, rule, count, ...) \
	raise_alert((m), (r), (rule), (count), \
	    (const struct str[]){ __VA_ARGS__ }, \
	    sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))

/* ---- calls ------------------------------------------------------------ */

void alerts_call(struct record *r, struct jstr name)
{
	const struct request *q = r->req;
	struct label l;
	size_t i;

	for (i = 0; i < q->ntools; i++)
		if (str_eq(q->tools[i].name.raw, name.raw))
			return;
	/* Server tools and toolsets are not called by the names offered. */
	for (i = 0; i < q->ntools; i++)
		if (q->tools[i].kind != TOOL_CLIENT)
			return;
	label_jset(&l, name);
	metrics_call(&r->mon->metrics, label_str(&l), 0);
	ALERT(r->mon, r, "unknown_tool", 1, label_str(&l),
	    S(" was not offered"));
}

static void count_call(struct record *r, const struct record_call *call)
{
	struct conv *c = r->conv;
	struct recent *slot = NULL, *least = &c->recent[0];
	size_t i;

	for (i = 0; i < CONV_RECENT; i++) {
		if (c->recent[i].hash == call->hash)
			slot = &c->recent[i];
		if (c->recent[i].count < least->count)
			least = &c->recent[i];
	}
	if (!slot) {
		slot = least;
		*slot = (struct recent){ .hash = call->hash };
	}
	if (++slot->count == REPEAT)
		ALERT(r->mon, r, "repeat_call", slot->count,
		    label_str(&call->name), S(" "), label_str(&call->brief));
	memmove(c->pong, c->pong + 1, 3 * sizeof *c->pong);
	c->pong[3] = call->hash;
	if (c->pong[0] == c->pong[2] && c->pong[1] == c->pong[3] &&
	    c->pong[0] != c->pong[1] && c->pong[0]) {
		ALERT(r->mon, r, "ping_pong", 4, label_str(&call->name),
		    S(" "), label_str(&call->brief),
		    S(" and the call before it alternate"));
		memset(c->pong, 0, sizeof c->pong);
	}
}

/* A call that worked and is another one breaks the row of equal ones. */
static void forgive(struct conv *c, uint64_t hash)
{
	size_t i;

	for (i = 0; i < CONV_RECENT; i++)
		if (c->recent[i].hash != hash)
			c->recent[i] = (struct recent){ 0 };
}

void alerts_result(struct record *r, uint64_t call, struct str name,
    uint64_t result, size_t bytes, int error)
{
	struct conv *c = r->conv;
	size_t i;

	if (!c || !r->goes_on)
		return;
	for (i = 0; i < c->ncalls; i++) {
		if (c->call[i].id != call)
			continue;
		c->call[i].answered = 1;
		if (!error)
			forgive(c, c->call[i].hash);
	}
	if (error) {
		if (++c->errors == STREAK)
			ALERT(r->mon, r, "error_streak", c->errors, name,
			    S(" and others failed in a row"));
	} else {
		c->errors = 0;
	}
	if (bytes < RESULT_MIN)
		return;
	result ^= journal_hash(name);
	c->results = result == c->last_result ? c->results + 1 : 1;
	c->last_result = result;
	if (c->results == REPEAT)
		ALERT(r->mon, r, "repeat_result", c->results, name,
		    S(" gives the same result again and again"));
}

/* ---- the end of an answer --------------------------------------------- */

static void check_calls(struct record *r)
{
	struct conv *c = r->conv;
	size_t i;

	for (i = 0; i < r->ncalled; i++) {
		if (r->mon->called[i].broken && r->outcome == OUTCOME_DONE &&
		    r->stop != STOP_MAX_TOKENS) {
			metrics_call(&r->mon->metrics,
			    label_str(&r->mon->called[i].name), 1);
			ALERT(r->mon, r, "bad_tool_json", 1,
			    label_str(&r->mon->called[i].name),
			    S(": arguments that are no JSON"));
		}
		if (c && r->goes_on && r->outcome == OUTCOME_DONE)
			count_call(r, &r->mon->called[i]);
	}
	if (r->stop == STOP_MAX_TOKENS && r->ncalled &&
	    r->mon->called[r->ncalled - 1].broken)
		ALERT(r->mon, r, "truncated", 1,
		    label_str(&r->mon->called[r->ncalled - 1].name),
		    S(": max_tokens reached inside the call"));
}

static void check_context(struct record *r)
{
	struct conv *c = r->conv;
	const struct usage *u = &r->usage;
	int64_t used = u->input + u->cache_read + u->cache_write + u->output;
	int64_t window = r->window_1m ? WINDOW_1M : WINDOW;
	unsigned level = used * 100 > window * 95 ? 95 :
	    used * 100 > window * 80 ? 80 : 0;

	if (!c || !r->goes_on || !r->have_usage)
		return;
	if (level > c->context)
		ALERT(r->mon, r, "context", level, S("the context is more than "),
		    level == 95 ? S("95") : S("80"), S(" % of "),
		    r->window_1m ? S("1M") : S("200k"), S(" tokens"));
	c->context = level;
}

static void check_cache(struct record *r)
{
	char text[48];
	struct buf b = buf_on(text, sizeof text);

	if (r->cause <= CAUSE_INITIAL || r->cause >= CAUSE_NOT_SUPPORTED)
		return;
	if (r->miss_cost > 0) {
		buf_put(&b, S(", about $"));
		buf_fixed(&b, r->miss_cost / 100000000, 4);
	}
	ALERT(r->mon, r, "cache_miss", 1,
	    str_of(cause_name((enum cause)r->cause)), buf_str(&b));
}

static void check_upstream(struct record *r)
{
	struct monitor *m = r->mon;

	if (r->outcome != OUTCOME_ERROR && r->outcome != OUTCOME_CUT)
		return;
	if (r->fault.status < 500 && r->fault.status != 429)
		return;
	memmove(m->error_at, m->error_at + 1, 2 * sizeof *m->error_at);
	m->error_at[2] = r->ended;
	if (m->error_at[0] && r->ended - m->error_at[0] <= BURST_MS) {
		ALERT(m, r, "upstream_errors", BURST, label_str(&r->backend),
		    S(": "), fault_text(&r->fault));
		memset(m->error_at, 0, sizeof m->error_at);
	}
}

/* What has been reached of a budget that wasn't told yet: 80, 90, 100 %, then
 * each further hundred. 0: nothing. */
static int reached(int64_t cost, uint64_t budget, int *told)
{
	int64_t percent;
	int step;

	if (budget == 0)
		return 0;
	percent = cost / (int64_t)(budget / 100);
	step = percent >= 100 ? (int)(percent / 100 * 100) :
	    percent >= 90 ? 90 : percent >= 80 ? 80 : 0;
	if (step <= *told)
		return 0;
	*told = step;
	return step;
}

static void tell_spend(struct record *r, int percent, struct str whose)
{
	char text[24];
	struct buf b = buf_on(text, sizeof text);

	if (!percent)
		return;
	buf_int(&b, percent);
	ALERT(r->mon, r, "spend", (uint64_t)percent, buf_str(&b), S(" % of "),
	    whose);
}

static void add_spend(struct record *r, struct spend *s, int64_t ms,
    uint64_t budget, struct str whose)
{
	if (r->ended - s->began >= ms || s->began == 0)
		*s = (struct spend){ .began = r->ended };
	s->cost += r->cost > 0 ? r->cost : 0;
	tell_spend(r, reached(s->cost, budget, &s->told), whose);
}

static void check_spend(struct record *r)
{
	struct monitor *m = r->mon;

	if (r->sess)
		tell_spend(r, reached(r->sess->cost, m->opt.spend_session,
		    &r->sess->spent_told), S("this session's budget"));
	add_spend(r, &m->hour, 3600000, m->opt.spend_hour,
	    S("this hour's budget"));
	add_spend(r, &m->day, 86400000, m->opt.spend_day,
	    S("this day's budget"));
}

static void put_spend(struct buf *b, size_t from, const struct spend *s,
    int64_t now, int64_t ms, struct str name)
{
	if (s->told == 0 || now - s->began >= ms)
		return;
	buf_put(b, b->n == from ? S("cdx-spend: ") : S(", "));
	buf_put(b, name);
	buf_chr(b, ' ');
	buf_int(b, s->told);
	buf_chr(b, '%');
}

void monitor_put_spend(struct buf *b, const struct monitor *m, int64_t now)
{
	size_t from = b->n;

	put_spend(b, from, &m->hour, now, 3600000, S("hour"));
	put_spend(b, from, &m->day, now, 86400000, S("day"));
	if (b->n > from)
		buf_put(b, S("\r\n"));
}

/* The calls of this answer, to be known again by their results. */
static void keep_calls(struct record *r)
{
	struct conv *c = r->conv;
	size_t i;

	if (!c || !r->goes_on || (r->ncalled == 0 &&
	    r->outcome != OUTCOME_DONE))
		return;
	memset(c->call, 0, sizeof c->call);
	c->ncalls = r->ncalled < CONV_CALLS ? r->ncalled : CONV_CALLS;
	for (i = 0; i < c->ncalls; i++) {
		c->call[i].id = journal_hash(label_str(&r->mon->called[i].call));
		c->call[i].hash = r->mon->called[i].hash;
	}
}

void alerts_response(struct record *r)
{
	check_calls(r);
	check_context(r);
	check_cache(r);
	check_upstream(r);
	check_spend(r);
	keep_calls(r);
}

/* ---- time ------------------------------------------------------------- */

void alerts_stall(struct record *r, int64_t now)
{
	int64_t since = r->last ? r->last : r->sent ? r->sent : 0;

	if (r->stalled || !since || !r->req || now - since < STALL_MS)
		return;
	r->stalled = 1;
	ALERT(r->mon, r, "stall", (uint64_t)((now - since) / 1000),
	    label_str(&r->backend), S(" says nothing for 30 s"));
}

void alerts_dropped(struct monitor *m, int64_t now)
{
	uint64_t dropped = m->journal->dropped;

	if (dropped == m->dropped_told || (m->dropped_at &&
	    now - m->dropped_at < DROPPED_MS))
		return;
	m->dropped_at = now;
	ALERT(m, NULL, "journal_dropped", dropped - m->dropped_told,
	    S("lines did not reach the file in LOG_DIR"));
	m->dropped_told = dropped;
}
