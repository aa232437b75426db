/* metrics.c -- counters since the start, in Prometheus' text format.
 *
 * Counting is additions in tables of fixed size. Writing walks them: a series
 * that never counted isn't written, a cost that isn't known is absent, not 0.
 * Text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
 *
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <unistd.h>

#include "lines.h"
#include "metrics.h"
#include "recognise.h"

enum { PAGE = 4096 };

_Static_assert((int)CAUSES <= (int)METRIC_CAUSES, "a counter for each cause");

static const char *const classes[METRIC_CLASSES] = {
	"main", "subagent", "workflow", "auxiliary", "compaction", "probe",
	"count", "models", "replay", "other"
};

static const int codes[METRIC_CODES] = {
	200, 400, 401, 403, 404, 408, 413, 422, 429, 499, 500, 502, 503, 504,
	529, 0			/* 0: any other */
};

static const char *const tools[METRIC_TOOLS] = {
	"Agent", "AskUserQuestion", "Bash", "BashOutput", "Edit",
	"EnterPlanMode", "ExitPlanMode", "Glob", "Grep", "KillShell", "LS",
	"ListMcpResourcesTool", "LSP", "MultiEdit", "NotebookEdit",
	"NotebookRead", "Read", "ReadMcpResourceTool", "SendMessage", "Skill",
	"SlashCommand", "StructuredOutput", "Task", "TaskCreate", "TaskOutput",
	"TodoWrite", "ToolSearch", "WebFetch", "WebSearch", "Write", "mcp",
	"other"
};

static const char *const tool_outcomes[METRIC_OUTCOMES] = {
	"ok", "error", "bad_json", "unknown_tool"
};

static const char *const rules[METRIC_RULES] = {
	"repeat_call", "repeat_result", "ping_pong", "error_streak",
	"upstream_errors", "stall", "cache_miss", "context", "truncated",
	"bad_tool_json", "unknown_tool", "spend", "journal_dropped", "other"
};

static const char *const errors[METRIC_ERRORS] = {
	"invalid_request_error", "authentication_error", "billing_error",
	"permission_error", "not_found_error", "request_too_large",
	"rate_limit_error", "api_error", "timeout_error", "overloaded_error",
	"other"
};

/* ---- counting --------------------------------------------------------- */

static size_t index_of(const char *const *list, size_t n, struct str s)
{
	size_t i;

	for (i = 0; i < n && list[i]; i++)
		if (str_eq(str_of(list[i]), s))
			break;
	return i;
}

static void observe(struct metric_histogram *h, int64_t us)
{
	uint64_t bound = 10000;
	size_t i;

	if (us < 0)
		return;
	for (i = 0; i < METRIC_BUCKETS && (uint64_t)us > bound; i++)
		bound *= 2;
	if (i < METRIC_BUCKETS)
		h->bucket[i]++;
	else
		h->over++;
	h->sum_us += (uint64_t)us;
}

static unsigned char keep_name(char *to, struct str s)
{
	s = str_head(s, METRIC_NAME);
	memcpy(to, s.p, s.n);
	return (unsigned char)s.n;
}

static struct metric_model *model_of(struct metrics *t, struct str provider,
    struct str model)
{
	struct metric_model *m;
	size_t i;

	if (!provider.n)
		provider = S("none");
	if (!model.n)
		model = S("none");
	for (i = 0; i < METRIC_MODELS && t->model[i].nprovider; i++) {
		m = &t->model[i];
		if (str_eq((struct str){ m->provider, m->nprovider },
		    str_head(provider, METRIC_NAME)) && str_eq((struct str){
		    m->model, m->nmodel }, str_head(model, METRIC_NAME)))
			return m;
	}
	m = &t->model[i];
	if (m->nprovider)
		return m;
	if (i == METRIC_MODELS)
		provider = model = S("other");
	m->nprovider = keep_name(m->provider, provider);
	m->nmodel = keep_name(m->model, model);
	m->cost = -1;
	return m;
}

static size_t code_index(const struct record *r)
{
	/* 499, as nginx has it: the client went away. */
	int code = r->outcome == OUTCOME_CANCELLED ? 499 : r->status;
	size_t i;

	for (i = 0; i + 1 < METRIC_CODES && codes[i] != code; i++)
		continue;
	return i;
}

static void count_tokens(struct metric_model *m, const struct record *r)
{
	const struct usage *u = &r->usage;

	m->input += (uint64_t)u->input;
	m->output += (uint64_t)u->output;
	m->cache_read += (uint64_t)u->cache_read;
	m->cache_write += (uint64_t)u->cache_write;
	m->thinking += u->thinking > 0 ? (uint64_t)u->thinking : 0;
	if (r->cost >= 0)
		m->cost = (m->cost < 0 ? 0 : m->cost) + r->cost;
	else
		m->unpriced += (uint64_t)(u->input + u->output +
		    u->cache_read + u->cache_write);
}

static int statm = -1;

void metrics_open(void)
{
	if (statm >= 0)
		close(statm);
	statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

void metrics_init(struct metrics *t, int64_t wall_ms)
{
	t->started = wall_ms;
	metrics_open();
}

void metrics_record(struct metrics *t, const struct record *r)
{
	struct metric_model *m = model_of(t, r->provider.n ? r->provider :
	    label_str(&r->backend), label_str(&r->served));
	size_t class = index_of(classes, METRIC_CLASSES - 1,
	    str_of(r->class));
	int64_t answer = r->last - r->first_token;

	t->ended++;
	m->code[class][code_index(r)]++;
	observe(&m->duration[class], (r->ended - r->arrived) * 1000);
	if (r->first_token)
		observe(&m->first, (r->first_token - r->arrived) * 1000);
	if (r->chunks > 1 && r->first_token && answer >= 0)
		observe(&m->chunk, answer * 1000 / (r->chunks - 1));
	if (r->have_usage && strcmp(r->class, "count") != 0)
		count_tokens(m, r);
	m->retries += r->attempts > 1 ? (uint64_t)r->attempts - 1 : 0;
	if (r->fault.status && (r->sent || r->fault.status >= 502))
		m->errors[index_of(errors, METRIC_ERRORS - 2,
		    str_of(r->fault.type ? r->fault.type : "other"))]++;
	if (r->cause > 0 && r->cause < CAUSES)
		t->cause[r->cause]++;
}

static size_t tool_index(struct str tool)
{
	size_t i = index_of(tools, METRIC_TOOLS - 2, tool);

	if (i == METRIC_TOOLS - 2 && !str_starts(tool, S("mcp__")))
		i++;
	return i;
}

void metrics_result(struct metrics *t, struct str tool, int error,
    int64_t ms)
{
	size_t i = tool_index(tool);

	t->tool[i][error != 0]++;
	if (ms >= 0)
		observe(&t->tool_time[i], ms * 1000);
}

void metrics_call(struct metrics *t, struct str tool, int known)
{
	t->tool[tool_index(tool)][known ? 2 : 3]++;
}

void metrics_alert(struct metrics *t, struct str rule)
{
	size_t i = index_of(rules, METRIC_RULES, rule);

	t->rule[i < METRIC_RULES && rules[i] ? i :
	    index_of(rules, METRIC_RULES, S("other"))]++;
}

/* ---- writing ---------------------------------------------------------- */

static void family(struct buf *b, const char *name, const char *type,
    const char *help)
{
	buf_put(b, S("# HELP "));
	buf_put(b, str_of(name));
	buf_chr(b, ' ');
	buf_put(b, str_of(help));
	buf_put(b, S("\n# TYPE "));
	buf_put(b, str_of(name));
	buf_chr(b, ' ');
	buf_put(b, str_of(type));
	buf_chr(b, '\n');
}

static void put_label(struct buf *b, const char *name, struct str v)
{
	size_t i;

	if (b->n && b->p[b->n - 1] != '{')
		buf_chr(b, ',');
	buf_put(b, str_of(name));
	buf_put(b, S("=\""));
	v = str_head(v, utf8_valid(v));
	for (i = 0; i < v.n; i++) {
		if (v.p[i] == '\n')
			buf_put(b, S("\\n"));
		else if (v.p[i] == '"' || v.p[i] == '\\')
			buf_chr(b, '\\'), buf_chr(b, v.p[i]);
		else
			buf_chr(b, v.p[i]);
	}
	buf_chr(b, '"');
}

/* "name{class=...,provider=...,model=..." without its closing brace. */
static void open_sample(struct buf *b, const char *name, const char *suffix,
    const char *class, const struct metric_model *m)
{
	buf_put(b, str_of(name));
	buf_put(b, str_of(suffix));
	buf_chr(b, '{');
	if (class)
		put_label(b, "class", str_of(class));
	put_label(b, "provider", (struct str){ m->provider, m->nprovider });
	put_label(b, "model", (struct str){ m->model, m->nmodel });
}

static void close_u64(struct buf *b, uint64_t v)
{
	buf_put(b, S("} "));
	buf_u64(b, v);
	buf_chr(b, '\n');
}

static void single(struct buf *b, const char *name, const char *type,
    const char *help, uint64_t v)
{
	family(b, name, type, help);
	buf_put(b, str_of(name));
	buf_chr(b, ' ');
	buf_u64(b, v);
	buf_chr(b, '\n');
}

static uint64_t observed(const struct metric_histogram *h)
{
	uint64_t n = h->over;
	size_t i;

	for (i = 0; i < METRIC_BUCKETS; i++)
		n += h->bucket[i];
	return n;
}

/* labels: what stands in braces before le, without the braces. */
static void put_histogram(struct buf *b, const char *name, struct str labels,
    const struct metric_histogram *h)
{
	uint64_t n = 0, bound = 1;	/* 10 ms */
	const struct str comma = labels.n ? S(",") : S("");
	size_t i;

	for (i = 0; i <= METRIC_BUCKETS; i++, bound *= 2) {
		n += i < METRIC_BUCKETS ? h->bucket[i] : h->over;
		buf_put(b, str_of(name));
		buf_put(b, S("_bucket{"));
		buf_put(b, labels);
		buf_put(b, comma);
		buf_put(b, S("le=\""));
		if (i < METRIC_BUCKETS)
			buf_fixed(b, (int64_t)bound, 2);
		else
			buf_put(b, S("+Inf"));
		buf_chr(b, '"');
		close_u64(b, n);
	}
	buf_put(b, str_of(name));
	buf_put(b, S("_sum{"));
	buf_put(b, labels);
	buf_put(b, S("} "));
	buf_fixed(b, (int64_t)h->sum_us, 6);
	buf_chr(b, '\n');
	buf_put(b, str_of(name));
	buf_put(b, S("_count{"));
	buf_put(b, labels);
	close_u64(b, n);
}

static void model_histogram(struct buf *b, const char *name,
    const char *class, const struct metric_model *m,
    const struct metric_histogram *h)
{
	char room[3 * METRIC_NAME * 2 + 64];
	struct buf l = buf_on(room, sizeof room);

	if (observed(h) == 0)
		return;
	open_sample(&l, "", "", class, m);
	put_histogram(b, name, str_from(buf_str(&l), 1), h);
}

static void put_requests(const struct metrics *t, struct buf *b)
{
	char digits[12];
	struct buf d;
	size_t i, c, k;

	family(b, "claudecodex_requests_total", "counter",
	    "Requests ended, by class, the model that served and status; 499: "
	    "the client went away.");
	for (i = 0; i <= METRIC_MODELS; i++)
		for (c = 0; c < METRIC_CLASSES; c++)
			for (k = 0; k < METRIC_CODES; k++) {
				if (!t->model[i].code[c][k])
					continue;
				d = buf_on(digits, sizeof digits);
				buf_int(&d, codes[k]);
				open_sample(b, "claudecodex_requests_total", "",
				    classes[c], &t->model[i]);
				put_label(b, "code", codes[k] ? buf_str(&d) :
				    S("other"));
				close_u64(b, t->model[i].code[c][k]);
			}
	family(b, "claudecodex_request_duration_seconds", "histogram",
	    "From a request's arrival to the end of its answer.");
	for (i = 0; i <= METRIC_MODELS; i++)
		for (c = 0; c < METRIC_CLASSES; c++)
			model_histogram(b,
			    "claudecodex_request_duration_seconds",
			    classes[c], &t->model[i],
			    &t->model[i].duration[c]);
	family(b, "claudecodex_time_to_first_chunk_seconds", "histogram",
	    "From a request's arrival to the first content of its answer.");
	for (i = 0; i <= METRIC_MODELS; i++)
		model_histogram(b, "claudecodex_time_to_first_chunk_seconds",
		    NULL, &t->model[i], &t->model[i].first);
	family(b, "claudecodex_time_per_output_chunk_seconds", "histogram",
	    "Mean time between two pieces of content, observed once an "
	    "answer.");
	for (i = 0; i <= METRIC_MODELS; i++)
		model_histogram(b, "claudecodex_time_per_output_chunk_seconds",
		    NULL, &t->model[i], &t->model[i].chunk);
}

static void put_tokens(const struct metrics *t, struct buf *b)
{
	static const char *const types[] = {
		"input", "output", "cache_read", "cache_write", "reasoning"
	};
	const struct metric_model *m;
	size_t i, k;

	family(b, "claudecodex_tokens_total", "counter",
	    "Tokens; input is neither read from nor put in a cache, reasoning "
	    "is part of output.");
	for (i = 0; i <= METRIC_MODELS; i++) {
		m = &t->model[i];
		const uint64_t v[] = { m->input, m->output, m->cache_read,
			m->cache_write, m->thinking };

		for (k = 0; k < COUNT(v); k++) {
			if (!v[k])
				continue;
			open_sample(b, "claudecodex_tokens_total", "", NULL,
			    m);
			put_label(b, "type", str_of(types[k]));
			close_u64(b, v[k]);
		}
	}
	family(b, "claudecodex_cost_usd_total", "counter",
	    "At list price; absent for a model without one.");
	for (i = 0; i <= METRIC_MODELS; i++) {
		m = &t->model[i];
		if (!m->nprovider || m->cost < 0)
			continue;
		open_sample(b, "claudecodex_cost_usd_total", "", NULL, m);
		buf_put(b, S("} "));
		buf_fixed(b, m->cost / 1000000, 6);
		buf_chr(b, '\n');
	}
	family(b, "claudecodex_unpriced_tokens_total", "counter",
	    "Tokens of models without a price.");
	for (i = 0; i <= METRIC_MODELS; i++) {
		if (!t->model[i].unpriced)
			continue;
		open_sample(b, "claudecodex_unpriced_tokens_total", "", NULL,
		    &t->model[i]);
		close_u64(b, t->model[i].unpriced);
	}
}

static void put_tools(const struct metrics *t, struct buf *b)
{
	char room[64];
	struct buf l;
	size_t i, k;

	family(b, "claudecodex_tool_calls_total", "counter",
	    "Tool calls, by what came of them: ok and error when the result "
	    "came back.");
	for (i = 0; i < METRIC_TOOLS; i++)
		for (k = 0; k < METRIC_OUTCOMES; k++) {
			if (!t->tool[i][k])
				continue;
			buf_put(b, S("claudecodex_tool_calls_total{"));
			put_label(b, "tool", str_of(tools[i]));
			put_label(b, "outcome", str_of(tool_outcomes[k]));
			close_u64(b, t->tool[i][k]);
		}
	family(b, "claudecodex_tool_duration_seconds", "histogram",
	    "As the client measured it; none without its hint headers.");
	for (i = 0; i < METRIC_TOOLS; i++) {
		if (!observed(&t->tool_time[i]))
			continue;
		l = buf_on(room, sizeof room);
		buf_chr(&l, '{');
		put_label(&l, "tool", str_of(tools[i]));
		put_histogram(b, "claudecodex_tool_duration_seconds",
		    str_from(buf_str(&l), 1), &t->tool_time[i]);
	}
}

static void put_listed(struct buf *b, const char *name, const char *help,
    const char *label, const char *value, uint64_t v, int first)
{
	if (first)
		family(b, name, "counter", help);
	if (!v)
		return;
	buf_put(b, str_of(name));
	buf_chr(b, '{');
	put_label(b, label, str_of(value));
	close_u64(b, v);
}

static void put_troubles(const struct monitor *mon, const struct metrics *t,
    struct buf *b)
{
	const struct metric_model *m;
	size_t i, k;

	family(b, "claudecodex_upstream_errors_total", "counter",
	    "Requests that an upstream failed, by the error the client got.");
	for (i = 0; i <= METRIC_MODELS; i++)
		for (k = 0; k < METRIC_ERRORS; k++) {
			m = &t->model[i];
			if (!m->errors[k])
				continue;
			open_sample(b, "claudecodex_upstream_errors_total", "",
			    NULL, m);
			put_label(b, "error_type", str_of(errors[k]));
			close_u64(b, m->errors[k]);
		}
	family(b, "claudecodex_upstream_retries_total", "counter",
	    "Requests sent to an upstream once more.");
	for (i = 0; i <= METRIC_MODELS; i++) {
		if (!t->model[i].retries)
			continue;
		open_sample(b, "claudecodex_upstream_retries_total", "", NULL,
		    &t->model[i]);
		close_u64(b, t->model[i].retries);
	}
	for (i = 1; i < CAUSES; i++)
		put_listed(b, "claudecodex_cache_misses_total",
		    "Prompts that a cache should have held, by why it didn't.",
		    "cause", cause_name((enum cause)i), t->cause[i], i == 1);
	for (i = 0; i < METRIC_RULES && rules[i]; i++)
		put_listed(b, "claudecodex_alerts_total", "Alerts raised.",
		    "rule", rules[i], t->rule[i], i == 0);
	put_listed(b, "claudecodex_alert_commands_total",
	    "Alerts handed to ALERT_CMD, by what came of it.", "outcome", "ok",
	    mon->alarm.run - mon->alarm.failed, 1);
	put_listed(b, "claudecodex_alert_commands_total", "", "outcome",
	    "failed", mon->alarm.failed, 0);
	put_listed(b, "claudecodex_alert_commands_total", "", "outcome",
	    "dropped", mon->alarm.dropped, 0);
	for (i = 0; mon->journal && i < RK_KINDS; i++)
		put_listed(b, "claudecodex_redactions_total",
		    "Secrets kept out of the journal.", "kind",
		    redact_kind_name((enum redact_kind)i),
		    mon->journal->redact.count[i], i == 0);
}

/* Of statm the second number is pages in memory, the third those of them that
 * others may have too. */
uint64_t metrics_resident(int shared)
{
	char text[128];
	struct str s = { text, 0 }, part;
	ssize_t n = statm < 0 ? -1 : pread(statm, text, sizeof text, 0);
	uint64_t all, common;

	if (n <= 0)
		return 0;
	s.n = (size_t)n;
	str_cut(&s, ' ', &part);
	str_cut(&s, ' ', &part);
	if (str_u64(part, &all) != OK)
		return 0;
	str_cut(&s, ' ', &part);
	if (str_u64(part, &common) != OK || common > all)
		return 0;
	return (shared ? common : all - common) * PAGE;
}

/* Of all who serve. What they share counts once. */
static uint64_t resident(const struct monitor *m)
{
	uint64_t n = metrics_resident(1);
	size_t i;

	if (!m->lock.shared)
		return n + metrics_resident(0);
	for (i = 0; i < WORKERS_MAX; i++)
		n += m->resident[i];
	return n;
}

static void put_state(const struct monitor *m, size_t in_flight,
    size_t watchers, struct buf *b)
{
	const struct metrics *t = &m->metrics;
	struct journal_stats s = { 0 };
	uint64_t memory = resident(m);

	if (m->journal)
		journal_stats(m->journal, &s);
	single(b, "claudecodex_requests_in_flight", "gauge", "Requests now.",
	    in_flight);
	single(b, "claudecodex_monitor_clients", "gauge",
	    "Who follows the live stream.", watchers);
	single(b, "claudecodex_journal_bytes", "gauge",
	    "Lines of the journal in memory.", s.ring_used);
	single(b, "claudecodex_journal_dropped_total", "counter",
	    "Lines that missed the journal's file.", s.dropped);
	single(b, "claudecodex_payloads_dropped_total", "counter",
	    "Requests, and files of them, that missed requests_full.",
	    m->journal ? m->journal->writer.full_dropped : 0);
	single(b, "claudecodex_otlp_dropped_total", "counter",
	    "Requests and documents that did not reach the collector.",
	    m->otlp.dropped + m->otlp.lost);
	single(b, "claudecodex_console_dropped_total", "counter",
	    "Lines of the console that found no room.", m->dropped);
	family(b, "claudecodex_build_info", "gauge", "Version.");
	buf_put(b, S("claudecodex_build_info{version=\"" VERSION "\"} 1\n"));
	family(b, "process_start_time_seconds", "gauge",
	    "Since 1970.");
	buf_put(b, S("process_start_time_seconds "));
	buf_fixed(b, t->started, 3);
	buf_chr(b, '\n');
	if (memory)
		single(b, "process_resident_memory_bytes", "gauge",
		    "Memory in use.", memory);
}

void metrics_write(const struct monitor *m, size_t in_flight, size_t watchers,
    struct buf *b)
{
	put_requests(&m->metrics, b);
	put_tokens(&m->metrics, b);
	put_tools(&m->metrics, b);
	put_troubles(m, &m->metrics, b);
	put_state(m, in_flight, watchers, b);
}
