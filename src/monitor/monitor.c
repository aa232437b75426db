/* monitor.c -- the readers of a record, the counters, and the redaction that
 * stands before all of them.
 *
 * SPDX-License-Identifier: MIT */
#include "lines.h"

void monitor_redact(struct monitor *m, struct buf *b, struct str text)
{
	mask_secrets(b, text, m->secrets, m->opt.nsecrets);
}

void record_begin(struct record *r, const struct record_source *from)
{
	struct monitor *m = r->mon;

	m->requests++;
	if (r->accepted == 0)
		r->accepted = r->arrived;
	console_begin(r);
	console_log_begin(r);
	events_request(r, from);
	if (m->journal && r->req && r->slot < m->opt.slots)
		m->in_flight[r->slot] = r;
}

static size_t class_index(const char *class)
{
	size_t i;

	for (i = 0; i + 1 < METRIC_CLASSES; i++)
		if (strcmp(class, metric_classes[i]) == 0)
			break;
	return i;
}

void record_end(struct record *r, int64_t now)
{
	struct monitor *m = r->mon;
	struct metrics *t = &m->metrics;

	if (r->outcome == OUTCOME_CANCELLED)
		m->cancelled++;
	else if (r->outcome != OUTCOME_DONE)
		m->errors++;
	t->ended[class_index(r->class)][r->outcome]++;
	if (r->have_usage && strcmp(r->class, "count") != 0) {
		t->input += (uint64_t)r->usage.input;
		t->output += (uint64_t)r->usage.output;
		t->cache_read += (uint64_t)r->usage.cache_read;
		t->cache_write += (uint64_t)r->usage.cache_write;
	}
	t->tool_calls += r->ntools;
	t->retries += r->attempts > 1 ? (uint64_t)r->attempts - 1 : 0;
	t->duration_ms += (uint64_t)(now - r->arrived);
	console_end(r, r->wall_ms + (r->ended - r->arrived));
	console_log_end(r, r->wall_ms + (r->ended - r->arrived));
	events_response(r);
	if (m->journal && r->slot < m->opt.slots)
		m->in_flight[r->slot] = NULL;
}

const char *const metric_classes[METRIC_CLASSES] = {
	"main", "subagent", "workflow", "auxiliary", "compaction", "probe",
	"count", "models", "other"
};

static void family(struct buf *b, const char *name, const char *type,
    const char *help)
{
	buf_put(b, S("# HELP claudecodex_"));
	buf_put(b, str_of(name));
	buf_chr(b, ' ');
	buf_put(b, str_of(help));
	buf_put(b, S("\n# TYPE claudecodex_"));
	buf_put(b, str_of(name));
	buf_chr(b, ' ');
	buf_put(b, str_of(type));
	buf_chr(b, '\n');
}

static void sample(struct buf *b, const char *name, const char *labels,
    uint64_t v)
{
	buf_put(b, S("claudecodex_"));
	buf_put(b, str_of(name));
	buf_put(b, str_of(labels));
	buf_chr(b, ' ');
	buf_u64(b, v);
	buf_chr(b, '\n');
}

static void single(struct buf *b, const char *name, const char *type,
    const char *help, uint64_t v)
{
	family(b, name, type, help);
	sample(b, name, "", v);
}

uint64_t monitor_dropped(const struct monitor *m)
{
	return m->dropped + (m->journal ? m->journal->dropped : 0);
}

void metrics_write(const struct monitor *m, size_t in_flight, struct buf *b)
{
	static const char *const outcomes[] = {
		"open", "done", "error", "cut", "cancelled"
	};
	const struct metrics *t = &m->metrics;
	size_t c, o;

	family(b, "requests_total", "counter",
	    "Requests ended, by class and outcome.");
	for (c = 0; c < METRIC_CLASSES; c++)
		for (o = 1; o < COUNT(outcomes); o++) {
			if (t->ended[c][o] == 0)
				continue;
			buf_put(b, S("claudecodex_requests_total{class=\""));
			buf_put(b, str_of(metric_classes[c]));
			buf_put(b, S("\",outcome=\""));
			buf_put(b, str_of(outcomes[o]));
			buf_put(b, S("\"} "));
			buf_u64(b, t->ended[c][o]);
			buf_chr(b, '\n');
		}
	family(b, "tokens_total", "counter",
	    "Tokens by type; input is neither read from nor put in a cache.");
	sample(b, "tokens_total", "{type=\"input\"}", t->input);
	sample(b, "tokens_total", "{type=\"output\"}", t->output);
	sample(b, "tokens_total", "{type=\"cache_read\"}", t->cache_read);
	sample(b, "tokens_total", "{type=\"cache_write\"}", t->cache_write);
	single(b, "tool_calls_total", "counter", "Tools called by models.",
	    t->tool_calls);
	single(b, "upstream_retries_total", "counter",
	    "Requests sent to an upstream once more.", t->retries);
	family(b, "request_duration_seconds_total", "counter",
	    "Time spent in requests.");
	buf_put(b, S("claudecodex_request_duration_seconds_total "));
	buf_fixed(b, (int64_t)t->duration_ms, 3);
	buf_chr(b, '\n');
	single(b, "requests_in_flight", "gauge", "Requests now.", in_flight);
	single(b, "log_lines_dropped_total", "counter",
	    "Console or log lines that could not be written.", monitor_dropped(m));
	family(b, "build_info", "gauge", "Version.");
	sample(b, "build_info", "{version=\"" VERSION "\"}", 1);
}
