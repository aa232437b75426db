/* rerun.c -- claudecodex replay: a recorded session, asked of another model.
 *
 *	replay --model NAME [-s SESSION] [--max-tokens N] [--most N] [--yes] FILE
 *
 * Each step of the journal's file is made anew from its records and sent to
 * the proxy on this machine (SERVER_PORT, PROXY_API_KEY), which routes the
 * model's name as for any client. What comes back is held against what was
 * recorded: the tools called, their arguments, tokens, time. No tool is run;
 * each step starts from the recorded history, so that steps can be compared one
 * by one. Nothing is sent before --yes: it costs money.
 *
 * SPDX-License-Identifier: MIT */
#include "load.h"
#include "pages.h"
#include "../net/fetch.h"
#include "term.h"

enum {
	MEMORY = 192 << 20,	/* for a request and its answer */
	MOST = 50,		/* steps, unless told otherwise */
	TOKENS = 4096,		/* of an answer, unless told otherwise */
	ANSWER_MAX = 16 << 20,	/* what the proxy takes of an upstream */
	ANSWER_MS = 600000,
	CALLS = 32
};

struct rerun {
	struct term out;
	struct monitor *m;
	char *memory;
	struct str model, session;
	int64_t max_tokens;
	struct str socket;
	unsigned port;
	struct str key;
	uint64_t steps, bytes;
	uint64_t failed, same_tools, same_arguments, called;
	int64_t was_out, is_out;
};

/* What an answer called, in order. */
struct calls {
	size_t n;
	struct str name[CALLS], input[CALLS];	/* plain; compact JSON */
	size_t text;		/* bytes of text beside them */
};

static void read_calls(struct calls *c, struct jv content, struct arena *a)
{
	struct json_iter it = json_iter(content);
	struct buf b;

	memset(c, 0, sizeof *c);
	while (json_next(&it)) {
		c->text += json_str(json_get(it.value, S("text"))).raw.n;
		if (!json_is(json_get(it.value, S("type")), S("tool_use")) ||
		    c->n == CALLS)
			continue;
		c->name[c->n] = page_text(it.value, "name", a);
		b = buf_open(a);
		json_compact(&b, json_raw(json_get(it.value, S("input"))));
		c->input[c->n++] = buf_end(a, &b);
	}
}

static int equal(const struct calls *x, const struct calls *y, int arguments)
{
	size_t i;

	for (i = 0; i < x->n && i < y->n; i++)
		if (!str_eq(x->name[i], y->name[i]) ||
		    (arguments && !str_eq(x->input[i], y->input[i])))
			return 0;
	return x->n == y->n;
}

static void put_calls(struct term *o, const struct calls *c, int64_t tokens,
    int64_t ms)
{
	size_t i;

	for (i = 0; i < c->n; i++) {
		term_text(o, CYAN, c->name[i]);
		term_put(o, S(" "));
		term_text(o, DIM, str_head(c->input[i],
		    utf8_valid(str_head(c->input[i], 60))));
		term_put(o, S("  "));
	}
	if (c->n == 0) {
		term_put(o, S("text, "));
		term_bytes(o, c->text);
		term_put(o, S("  "));
	}
	term_put(o, S("out "));
	term_tokens(o, (uint64_t)(tokens > 0 ? tokens : 0));
	term_put(o, S("  "));
	term_ms(o, ms);
	term_put(o, S("\n"));
}

/* ---- one step --------------------------------------------------------- */

static int send(struct rerun *r, struct str body, struct arena *a,
    struct fetch_answer *answer, struct buf *why)
{
	char url_text[64], field_text[1024];
	struct buf url = buf_on(url_text, sizeof url_text);
	struct buf fields = buf_on(field_text, sizeof field_text);
	struct fetch f;

	/* With a socket the port is only part of a name. */
	buf_put(&url, S("http://127.0.0.1:"));
	buf_u64(&url, r->port);
	buf_put(&url, S("/v1/messages"));
	buf_put(&fields, S("content-type: application/json\r\n"
	    "user-agent: claudecodex-replay/" VERSION "\r\n"
	    "x-claude-code-request-class: auxiliary\r\n"
	    "x-api-key: "));
	buf_put(&fields, r->key.n ? r->key : S("any"));
	buf_put(&fields, S("\r\n"));
	memset(&f, 0, sizeof f);
	f.method = S("POST");
	f.url = buf_str(&url);
	f.socket = r->socket;
	f.fields = buf_str(&fields);
	f.body = body;
	f.deadline = loop_now() + ANSWER_MS;
	f.answer_max = ANSWER_MAX;
	return fetch(&f, a, answer, why);
}

static void fail_step(struct rerun *r, struct str why)
{
	r->failed++;
	term_put(&r->out, S("    now   "));
	term_text(&r->out, RED, str_head(why, 400));
	term_put(&r->out, S("\n"));
}

static void compare(struct rerun *r, const struct calls *was,
    const struct calls *is)
{
	int tools = equal(was, is, 0), arguments = equal(was, is, 1);

	r->called += was->n > 0;
	if (was->n == 0 && is->n == 0)
		return;
	r->same_tools += tools && was->n;
	r->same_arguments += arguments && was->n;
	term_put(&r->out, S("    "));
	if (arguments)
		term_say(&r->out, GREEN, S("same calls"));
	else if (tools)
		term_say(&r->out, YELLOW, S("same tools, other arguments"));
	else
		term_say(&r->out, RED, S("other tools"));
	term_put(&r->out, S("\n"));
}

static void ask_again(struct rerun *r, struct str body,
    const struct calls *was, struct arena *a)
{
	struct fetch_answer answer;
	char why_text[400];
	struct buf why = buf_on(why_text, sizeof why_text);
	int64_t began = loop_now(), tokens;
	struct json doc;
	struct jv v;
	struct calls is;

	if (send(r, body, a, &answer, &why) != OK) {
		fail_step(r, buf_str(&why));
		return;
	}
	if (json_parse(&doc, answer.body, a, NULL) != OK) {
		fail_step(r, S("the answer is no JSON"));
		return;
	}
	v = json_root(&doc);
	if (answer.head.status != 200) {
		fail_step(r, page_text(json_get(v, S("error")), "message",
		    a));
		return;
	}
	read_calls(&is, json_get(v, S("content")), a);
	tokens = json_int(json_get(json_get(v, S("usage")),
	    S("output_tokens")), 0);
	r->is_out += tokens;
	term_put(&r->out, S("    now   "));
	put_calls(&r->out, &is, tokens, loop_now() - began);
	compare(r, was, &is);
}

/* What was recorded of a request's answer. 0: nothing. */
static int tell_recorded(struct rerun *r, struct str id, uint64_t seq,
    struct calls *was, struct arena *a)
{
	struct journal_line l;
	struct json doc, said;
	struct page pg;
	int64_t tokens;
	struct str data;
	struct jv v;

	memset(&pg, 0, sizeof pg);
	pg.j = r->m->journal;
	if (journal_find(pg.j, id, J_RESPONSE, seq, &l) != OK ||
	    json_parse(&doc, l.text, a, NULL) != OK)
		return 0;
	v = json_root(&doc);
	data = page_blob(&pg, json_str(json_at(json_get(v,
	    S("cdx.content")), 0)).raw);
	if (json_parse(&said, data, a, NULL) != OK)
		return 0;
	read_calls(was, json_get(json_root(&said), S("content")), a);
	tokens = json_int(json_get(v, S("gen_ai.usage.output_tokens")), 0);
	r->was_out += tokens;
	term_put(&r->out, S("    then  "));
	put_calls(&r->out, was, tokens, page_nano(json_get(json_get(v,
	    S("cdx.t")), S("done"))) / 1000000);
	return 1;
}

/* ---- all of them ------------------------------------------------------ */

static int is_step(struct rerun *r, const struct journal_line *l)
{
	struct str class = journal_text(l->text, S("cdx.class")).raw;
	struct str s = journal_text(l->text,
	    S("gen_ai.conversation.id")).raw;

	return l->kind == J_REQUEST && (str_eq(class, S("main")) ||
	    str_eq(class, S("subagent"))) &&
	    (r->session.n == 0 || str_starts(s, r->session));
}

static void run_step(struct rerun *r, const struct journal_line *l, int yes)
{
	struct arena a = { r->memory, r->memory + MEMORY };
	struct str id = journal_text(l->text, S("id")).raw;
	struct replay again;
	struct fault f;
	struct calls was;
	int ok;

	memset(&again, 0, sizeof again);
	again.of = id;
	again.model = r->model;
	again.whole = 1;
	again.max_tokens = journal_number(l->text,
	    S("gen_ai.request.max_tokens"), TOKENS);
	if (r->max_tokens)
		again.max_tokens = r->max_tokens;
	else if (again.max_tokens > TOKENS || again.max_tokens <= 0)
		again.max_tokens = TOKENS;
	ok = page_replay(r->m, &again, &a, &f) == OK;
	r->steps++;
	r->bytes += ok ? again.body.n : 0;
	if (!yes)
		return;
	term_text(&r->out, BOLD, id);
	term_put(&r->out, S("  "));
	term_text(&r->out, PLAIN, journal_text(l->text, S("cdx.preview")).raw);
	term_put(&r->out, S("\n"));
	if (!ok)
		fail_step(r, fault_text(&f));
	else if (!tell_recorded(r, id, l->seq, &was, &a))
		fail_step(r, S("its answer was not recorded"));
	else
		ask_again(r, again.body, &was, &a);
	term_flush(&r->out);
}

static void sum_up(struct rerun *r)
{
	struct term *o = &r->out;

	term_put(o, S("\n"));
	term_u64(o, r->steps);
	term_put(o, S(" steps, "));
	term_u64(o, r->failed);
	term_put(o, S(" failed; of "));
	term_u64(o, r->called);
	term_put(o, S(" that called tools, "));
	term_u64(o, r->same_tools);
	term_put(o, S(" called the same, "));
	term_u64(o, r->same_arguments);
	term_put(o, S(" with the same arguments; tokens out "));
	term_tokens(o, (uint64_t)r->was_out);
	term_put(o, S(" then, "));
	term_tokens(o, (uint64_t)r->is_out);
	term_put(o, S(" now\n"));
	term_flush(o);
}

static int walk(struct rerun *r, uint64_t most, int yes)
{
	struct journal *j = r->m->journal;
	struct journal_line l;
	uint64_t seq;

	for (seq = journal_first(j); seq < journal_next(j) && !r->out.gone &&
	    r->steps < most; seq++)
		if (journal_line(j, seq, &l) == OK && is_step(r, &l))
			run_step(r, &l, yes);
	if (r->steps == 0)
		return command_fail(S("no step to replay in this file"),
		    S(""));
	if (yes) {
		sum_up(r);
		return r->failed ? 1 : 0;
	}
	term_put(&r->out, S("would send "));
	term_u64(&r->out, r->steps);
	term_put(&r->out, S(" requests, "));
	term_bytes(&r->out, r->bytes);
	term_put(&r->out, S(" in all, to "));
	term_text(&r->out, BOLD, r->model);
	term_put(&r->out, S("; add --yes to send them\n"));
	term_flush(&r->out);
	return 2;
}

static int usage(const char *arg)
{
	return command_fail(S("replay --model NAME [-s SESSION] [--max-tokens "
	    "N] [--most N] [--yes] FILE, not "), str_of(arg));
}

int command_replay(const struct command_input *in)
{
	static struct rerun r;
	struct args a = { in->argc, in->argv, 0 };
	const char *arg, *v, *path = NULL;
	uint64_t lines = 0, damaged = 0, n, most = MOST;
	struct str text;
	int yes = 0;

	term_open(&r.out, 1, in);
	r.socket = command_socket(in);
	r.port = command_port(in);
	r.key = str_of(in->env(in->ctx, "PROXY_API_KEY"));
	while ((arg = args_next(&a)) != NULL) {
		if (strcmp(arg, "--yes") == 0) {
			yes = 1;
		} else if (*arg != '-' && !path) {
			path = arg;
		} else if ((v = args_next(&a)) == NULL) {
			return usage(arg);
		} else if (strcmp(arg, "--model") == 0) {
			r.model = str_of(v);
		} else if (strcmp(arg, "-s") == 0) {
			r.session = str_of(v);
		} else if (str_u64(str_of(v), &n) != OK || n == 0 ||
		    n > INT32_MAX) {
			return usage(arg);
		} else if (strcmp(arg, "--max-tokens") == 0) {
			r.max_tokens = (int64_t)n;
		} else if (strcmp(arg, "--most") == 0) {
			most = n;
		} else {
			return usage(arg);
		}
	}
	if (!path || r.model.n == 0 || !http_value_ok(r.key))
		return usage("that");
	r.memory = command_memory(MEMORY);
	if (command_map(path, &text) != OK)
		return 1;
	r.m = command_memory(sizeof *r.m);
	if (r.m)
		r.m->journal = command_load(text, &lines, &damaged);
	if (!r.memory || !r.m || !r.m->journal)
		return command_fail(S("no memory for "), str_of(path));
	if (damaged)
		command_fail(S("damaged lines were passed over"), S(""));
	return walk(&r, most, yes);
}
