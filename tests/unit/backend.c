/* backend.c -- tests of backend/backend.c: heads, statuses, delays, and the
 * many words for a prompt that is too long.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/backend/backend.c"

static void test_table(void)
{
	size_t i;

	T(backend_find(S("openai_compatible")) == &backend_openai, "by name");
	T(backend_find(S("anthropic")) == &backend_anthropic, "by name");
	T(backend_find(S("demo")) == &backend_demo, "by name");
	T(backend_find(S("demo2")) == NULL, "none of that name");
	T(backend_find(S("")) == NULL, "no name");
	for (i = 0; backend_at(i); i++)
		T(backend_find(str_of(backend_at(i)->name)) == backend_at(i),
		    "row %u", (unsigned)i);
	T(i >= 3, "all of them");
}

static void test_head(void)
{
	static const struct backend plain = { .name = "x" };
	static const struct backend passing = { .name = "y", .passthrough = 1 };
	struct upstream up = { .backend = &plain, .authority = S("h:81") };
	struct http_head client = { .nfields = 1 };
	struct call c = { .up = &up, .client = &client, .nbody = 3 };
	char room[512];
	struct buf b = buf_on(room, sizeof room);

	client.fields[0].name = S("User-Agent");
	client.fields[0].value = S("claude-cli/2");
	c.body[0] = S("12345");
	c.body[2] = S("67");
	T_INT(body_size(&c), 7, "three slices");
	head_begin(&b, S("POST"), &c, S("/v1/x?y"));
	T_STR(buf_str(&b), S("POST /v1/x?y HTTP/1.1\r\nhost: h:81\r\n"
	    "user-agent: claudecodex/" VERSION "\r\n"
	    "accept-encoding: identity\r\ncontent-length: 7\r\n"), "FN-54 our own head");
	b.n = 0;
	up.backend = &passing;
	c.nbody = 0;
	head_begin(&b, S("GET"), &c, S("/"));
	T_STR(buf_str(&b), S("GET / HTTP/1.1\r\nhost: h:81\r\n"
	    "user-agent: claude-cli/2\r\naccept-encoding: identity\r\n"),
	    "the client's agent where its bytes pass; no length for a GET");
}

static void test_statuses(void)
{
	static const struct {
		int in, out, retry;
	} rows[] = {		/* OA-120 */
		{ 301, 502, -1 }, { 400, 400, -1 }, { 401, 401, 0 },
		{ 402, 402, -1 }, { 403, 403, -1 }, { 404, 404, -1 },
		{ 405, 400, -1 }, { 408, 504, -1 }, { 409, 503, -1 },
		{ 413, 413, -1 }, { 415, 400, -1 }, { 422, 400, -1 },
		{ 424, 500, -1 }, { 425, 503, -1 }, { 429, 429, -1 },
		{ 500, 500, -1 }, { 502, 502, -1 }, { 503, 529, -1 },
		{ 504, 504, -1 }, { 520, 502, -1 }, { 529, 529, -1 }
	};
	struct fault f;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		fault_from_status(&f, rows[i].in, S("up"), S(" why\n"));
		T_INT(f.status, rows[i].out, "OA-120 status %d", rows[i].in);
		T_STR(str_of(f.type), str_of(fault_type(rows[i].out)),
		    "OA-120 type for %d", rows[i].in);
		T_INT(f.should_retry, rows[i].retry, "OA-120 retry of %d",
		    rows[i].in);
	}
	T_STR(fault_text(&f), S("upstream up: why"), "OA-119 text");
	fault_from_status(&f, 418, S("up"), S("  "));
	T_STR(fault_text(&f), S("upstream up: status 418"), "no text");
}

static int delay(const char *value)
{
	struct http_head h = { .nfields = 1 };

	h.fields[0].name = S("Retry-After");
	h.fields[0].value = str_of(value);
	/* 1994-11-06 08:49:37 GMT */
	return retry_after(&h, 784111777);
}

static void test_delays(void)
{
	struct http_head none = { .nfields = 0 };

	T_INT(retry_after(&none, 0), -1, "absent");
	T_INT(delay("0"), 0, "now");
	T_INT(delay("17"), 17, "seconds");
	T_INT(delay("86401"), 86400, "bounded");
	T_INT(delay("99999999999999999999999"), 86400, "bounded");
	T_INT(delay("1.5"), -1, "malformed");
	T_INT(delay("-1"), -1, "malformed");
	T_INT(delay(""), -1, "empty");
	T_INT(delay("Sun, 06 Nov 1994 08:49:37 GMT"), 0, "RFC 9110 this moment");
	T_INT(delay("Sun, 06 Nov 1994 08:50:37 GMT"), 60, "a minute");
	T_INT(delay("Mon, 07 Nov 1994 08:49:37 GMT"), 86400, "a day");
	T_INT(delay("Tue, 29 Feb 2000 00:00:00 GMT"), 86400, "far ahead");
	T_INT(delay("Sat, 01 Jan 1994 00:00:00 GMT"), 0, "past");
	T_INT(delay("Sun, 06 Nov 1994 08:49:37 CET"), -1, "another zone");
	T_INT(delay("Sun, 06 Nox 1994 08:49:37 GMT"), -1, "no month");
	T_INT(delay("Sun, 06 Nov 1994 25:49:37 GMT"), -1, "no hour");
	T_INT(delay("Sun, 31 Nov 1994 08:49:37 GMT"), -1, "no such day");
}

static struct str limits(struct buf *b, const char *name, const char *value)
{
	struct http_head h = { .nfields = 1 };

	h.fields[0].name = str_of(name);
	h.fields[0].value = str_of(value);
	b->n = 0;
	/* 2026-11-25 13:10:25.500 GMT */
	put_limits(b, &h, 1795612225500);
	return buf_str(b);
}

/* AN section 6.2: an upstream's limits under Anthropic's names. */
static void test_limits(void)
{
	static const struct {
		const char *value, *at;		/* NULL: malformed, dropped */
	} rows[] = {
		{ "0s", "2026-11-25T13:10:26Z" },
		{ "6ms", "2026-11-25T13:10:26Z" },
		{ "500ms", "2026-11-25T13:10:26Z" },
		{ "501ms", "2026-11-25T13:10:27Z" },
		{ "2s", "2026-11-25T13:10:28Z" },
		{ "7.66s", "2026-11-25T13:10:34Z" },
		{ "1.5s", "2026-11-25T13:10:27Z" },
		{ "1m30s", "2026-11-25T13:11:56Z" },
		{ "2m59.56s", "2026-11-25T13:13:26Z" },
		{ "1h0m3s", "2026-11-25T14:10:29Z" },
		{ "1d", "2026-11-26T13:10:26Z" },
		{ " 2s ", "2026-11-25T13:10:28Z" },
		{ "366d", "2027-11-26T13:10:26Z" },
		{ "367d", NULL }, { "99999999999999999999s", NULL },
		{ "9000h1d9000h", NULL },
		{ "", NULL }, { "2", NULL }, { "-2s", NULL }, { "s", NULL },
		{ "1.s", NULL }, { ".5s", NULL }, { "2sx", NULL },
		{ "1m 30s", NULL }, { "2 s", NULL }, { "1y", NULL },
		{ "2026-11-25T14:00:00Z", NULL }, { "1e3s", NULL }
	};
	static const char *const bad[] = { "", "-1", "1.5", "many", "1,000",
		"0x10", "99999999999999999999999", "5;w=60", "1 2" };
	struct http_head all = { .nfields = 7 };
	char room[1024], want[128];
	struct buf b = buf_on(room, sizeof room);
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		snprintf(want, sizeof want, "%s%s%s", rows[i].at ?
		    "anthropic-ratelimit-tokens-reset: " : "", rows[i].at ?
		    rows[i].at : "", rows[i].at ? "\r\n" : "");
		T_STR(limits(&b, "X-RateLimit-Reset-Tokens", rows[i].value),
		    str_of(want), "AN 6.2 reset \"%s\"", rows[i].value);
	}
	for (i = 0; i < COUNT(bad); i++) {
		T_INT(limits(&b, "x-ratelimit-limit-requests", bad[i]).n, 0,
		    "AN 6.2 malformed limit \"%s\"", bad[i]);
		T_INT(limits(&b, "x-ratelimit-remaining-tokens", bad[i]).n, 0,
		    "AN 6.2 malformed remainder \"%s\"", bad[i]);
	}
	T_STR(limits(&b, "X-Ratelimit-Limit-Requests", "0500"),
	    S("anthropic-ratelimit-requests-limit: 500\r\n"), "AN 6.2 limit");
	T_INT(limits(&b, "x-ratelimit-limit", "5").n, 0, "AN 6.2 of what?");
	T_INT(limits(&b, "x-ratelimit-limit-images", "5").n, 0,
	    "AN 6.2 Anthropic has no such thing");
	all.fields[0] = (struct http_field){ S("date"), S("now") };
	all.fields[1] = (struct http_field){ S("x-ratelimit-reset-tokens"),
		S("6ms") };
	all.fields[2] = (struct http_field){ S("x-ratelimit-limit-requests"),
		S("60") };
	all.fields[3] = (struct http_field){ S("x-ratelimit-limit-tokens"),
		S("150000") };
	all.fields[4] = (struct http_field){
		S("x-ratelimit-remaining-requests"), S("59") };
	all.fields[5] = (struct http_field){
		S("x-ratelimit-remaining-tokens"), S("149984") };
	all.fields[6] = (struct http_field){ S("x-ratelimit-reset-requests"),
		S("1s") };
	b.n = 0;
	put_limits(&b, &all, 1795612225000);
	T_STR(buf_str(&b), S("anthropic-ratelimit-requests-limit: 60\r\n"
	    "anthropic-ratelimit-requests-remaining: 59\r\n"
	    "anthropic-ratelimit-requests-reset: 2026-11-25T13:10:26Z\r\n"
	    "anthropic-ratelimit-tokens-limit: 150000\r\n"
	    "anthropic-ratelimit-tokens-remaining: 149984\r\n"
	    "anthropic-ratelimit-tokens-reset: 2026-11-25T13:10:26Z\r\n"),
	    "AN 6.2 all six");
	T(b.n < LIMITS_MAX, "they fit their room");
}

static void test_masked(void)
{
	char room[512];
	struct buf b = buf_on(room, sizeof room);

	put_masked(&b, S("key sk-abcdefghijklmnopqrstuvwxyz012345, mine "
	    "hunter2hunter2, Bearer abcdefghijklmnopqrstuvwxyz, "
	    "AKIAIOSFODNN7EXAMPLEX, AIzaSyA1234567890abcdefghijk"),
	    S("hunter2hunter2"));
	T(str_find(buf_str(&b), S("sk-abc")) == b.n, "sk-");
	T(str_find(buf_str(&b), S("hunter2")) == b.n, "the key itself");
	T(str_find(buf_str(&b), S("abcdefgh")) == b.n, "Bearer");
	T(str_find(buf_str(&b), S("AKIAIO")) == b.n, "AKIA");
	T(str_find(buf_str(&b), S("AIzaSy")) == b.n, "AIza");
	T(str_starts(buf_str(&b), S("key ***")), "the rest stays");
	b.n = 0;
	put_masked(&b, S("a task- and a risk-free text"), S(""));
	T_STR(buf_str(&b), S("a task- and a risk-free text"), "nothing to hide");
}

static void test_overflow(void)
{
	static const struct {
		const char *text;
		int is;
		uint64_t tokens, limit;
	} rows[] = {
		{ "prompt is too long: 210000 tokens > 200000 maximum", 1,
		    210000, 200000 },
		{ "This model's maximum context length is 128,000 tokens. However, "
		    "your messages resulted in 130,012 tokens.", 1, 130012,
		    128000 },
		{ "This endpoint's maximum context length is 131072 tokens. "
		    "However, you requested about 140000 tokens (120000 of text "
		    "input, 20000 in the output).", 1, 140000, 131072 },
		{ "context_length_exceeded", 1, 0, 0 },
		{ "The decoder prompt (length 5000) is longer than the maximum "
		    "model length of 4096. Make sure", 1, 5000, 4096 },
		{ "request (12345 tokens) exceeds the available context size "
		    "(8192 tokens), try increasing it", 1, 12345, 8192 },
		{ "The number of tokens to keep from the initial prompt is "
		    "greater than the context length (n_keep: 5000 >= n_ctx: "
		    "4096)", 1, 5000, 4096 },
		{ "Trying to keep the first 4917 tokens when context the "
		    "overflows. However, the model is loaded with context length "
		    "of only 4096 tokens", 1, 4917, 4096 },
		{ "The input token count (1048577) exceeds the maximum number of "
		    "tokens allowed (1048576).", 1, 1048577, 1048576 },
		{ "Input is too long for requested model.", 1, 0, 0 },
		{ "Input Tokens Exceeded: Number of input tokens exceeds maximum "
		    "length. The maximum length is 8192", 1, 0, 8192 },
		{ "too many input tokens", 1, 0, 0 },
		{ "gpt-4-32768's maximum context length is 8192 tokens, "
		    "req_99999 has 2025.1 of 9001", 1, 9001, 8192 },
		/* Not these. */
		{ "input length and `max_tokens` exceed context limit: 190000 + "
		    "20000 > 200000, decrease input length", 0, 0, 0 },
		{ "max_tokens: 64000 > 8192, which is the maximum allowed number "
		    "of output tokens", 0, 0, 0 },
		{ "Too many tokens, please wait before trying again.", 0, 0, 0 },
		{ "Quota exceeded for metric: generate_content_input_token_count, "
		    "limit: 250000", 0, 0, 0 },
		{ "", 0, 0, 0 }
	};
	struct fault f;
	uint64_t tokens, limit;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		T_INT(overflow_text(str_of(rows[i].text), &tokens, &limit),
		    rows[i].is, "OA-120 %s", rows[i].text);
		T_INT(tokens, rows[i].tokens, "OA-120 tokens: %s", rows[i].text);
		T_INT(limit, rows[i].limit, "OA-120 limit: %s", rows[i].text);
	}
	fault_overflow(&f, 210000, 200000);
	T_STR(fault_text(&f), S("prompt is too long: 210000 tokens > 200000 "
	    "maximum"), "AN-25");
	T_INT(f.status, 400, "AN-25");
	fault_overflow(&f, 100, 4096);
	T_STR(fault_text(&f), S("prompt is too long: 4097 tokens > 4096 "
	    "maximum"), "BR-121 at least one more than fits");
	fault_overflow(&f, 0, 0);
	T_STR(fault_text(&f), S("prompt is too long: 200001 tokens > 200000 "
	    "maximum"), "BR-121 nothing known");
	fault_overflow(&f, 50000, 0);
	T_STR(fault_text(&f), S("prompt is too long: 50000 tokens > 49999 "
	    "maximum"), "an unknown window is smaller than what didn't fit");
}

int main(void)
{
	test_table();
	test_head();
	test_statuses();
	test_delays();
	test_limits();
	test_masked();
	test_overflow();
	return t_done("backend");
}
