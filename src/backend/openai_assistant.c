/* openai_assistant.c -- the assistant's turns: text, reasoning that has to go
 * back, calls, and right behind them their results.
 *
 * What a provider gave us in confidence (signatures, reasoning that wasn't
 * shown) comes back out of the cache, else out of the client's envelope, and
 * only to that provider. Text is copied still escaped; a tool's input is
 * escaped once more, because upstream it travels as a string.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

enum { NEAR = 64 };	/* items looked back over for what belongs to one */

/* ---- text (3.3) ---- */

/* Ends in a blank? s is escaped. */
static int ends_blank(struct str s)
{
	size_t n = 0;

	if (s.n == 0)
		return 1;
	if (s.p[s.n - 1] == ' ')
		return 1;
	if (!memchr("ntr", s.p[s.n - 1], 3))
		return 0;
	while (n + 1 < s.n && s.p[s.n - 2 - n] == '\\')
		n++;
	return n & 1;
}

static int begins_blank(struct str s)
{
	if (s.n && s.p[0] == ' ')
		return 1;
	return s.n > 1 && s.p[0] == '\\' && memchr("ntr", s.p[1], 3);
}

static struct jv results_of(const struct block *b)
{
	return json_get(b->json, S("content"));
}

int openai_readable(const struct block *b)
{
	struct jv v = results_of(b);
	struct json_iter it = json_iter(v);

	if (json_type(v) == JSON_OBJECT)
		return json_str(json_get(v, S("url"))).raw.n != 0;
	while (json_next(&it))
		if (json_str(json_get(it.value, S("url"))).raw.n)
			return 1;
	return 0;
}

static void put_hit(struct enc *e, struct jv hit)
{
	struct jstr url = json_str(json_get(hit, S("url")));
	struct jstr title = json_str(json_get(hit, S("title")));

	if (url.raw.n == 0)
		return;
	buf_put(&e->b, S("\\n"));
	json_put(&e->b, title);
	if (title.raw.n)
		buf_put(&e->b, S(" - "));
	json_put(&e->b, url);
}

/* What a search of a real Claude's found; its encrypted text stays closed
 * (OA-45). */
static void put_server_result(struct enc *e, const struct turn *t, size_t i)
{
	const struct block *b = t->items[i].b, *use = NULL;
	struct json_iter it = json_iter(results_of(b));
	struct jv input;
	size_t back;

	for (back = 0; back < NEAR && back < i && !use; back++) {
		use = t->items[i - 1 - back].b;
		if (!use || use->type != B_SERVER_TOOL_USE ||
		    !str_eq(use->id.raw, b->id.raw))
			use = NULL;
	}
	buf_chr(&e->b, '[');
	json_put(&e->b, use ? use->name : (struct jstr){ S("web_search") });
	input = json_get(use ? use->json : b->json, S("input"));
	if (json_str(json_get(input, S("query"))).raw.n) {
		buf_put(&e->b, S(": "));
		json_put(&e->b, json_str(json_get(input, S("query"))));
	}
	buf_chr(&e->b, ']');
	if (it.object)
		put_hit(e, results_of(b));
	else
		while (json_next(&it))
			put_hit(e, it.value);
}

/* One text of the message: blocks are set apart unless a blank does it
 * (OA-42). */
static void put_said(struct enc *e, const struct turn *t, size_t i,
    size_t from)
{
	const struct block *b = t->items[i].b;

	switch (b->type) {
	case B_TEXT:
	case B_DOCUMENT:
	case B_SEARCH_RESULT:
	case B_COMPACTION:
	case B_SERVER_TOOL_RESULT:
		break;
	default:
		return;
	}
	if (!ends_blank(str_from(buf_str(&e->b), from)) &&
	    !(b->type == B_TEXT && begins_blank(b->text.raw)))
		buf_put(&e->b, S("\\n\\n"));
	if (b->type == B_SERVER_TOOL_RESULT)
		put_server_result(e, t, i);
	else if (b->type == B_DOCUMENT)
		openai_put_document(e, b, NULL);
	else if (b->type == B_SEARCH_RESULT)
		openai_put_search_result(e, b);
	else
		put_text(e, b->text);
}

static void put_content(struct enc *e, const struct turn *t, int last)
{
	size_t i, mark = e->b.n, from;

	buf_put(&e->b, S(",\"content\":\""));
	from = e->b.n;
	for (i = 0; i < t->n; i++)
		put_said(e, t, i, from);
	if (e->b.n == from && t->calls && e->flags->null_content) {
		e->b.n = mark;
		buf_put(&e->b, S(",\"content\":null"));
		return;
	}
	cost_text(e, from);
	if (last && !t->calls)
		e->sent->prefill = str_from(buf_str(&e->b), from);
	buf_chr(&e->b, '"');
}

/* ---- reasoning that goes back (OA-62) ---- */

static void put_reasoning_text(struct enc *e, const struct turn *t)
{
	size_t i, from = e->b.n;
	const struct item *it;

	for (i = 0; i < t->n; i++) {
		it = &t->items[i];
		if (it->b->type != B_THINKING || it->b->text.raw.n == 0)
			continue;
		if (e->b.n > from)
			buf_put(&e->b, S("\\n\\n"));
		put_text(e, it->b->text);
	}
	/* Not shown to the client: then we or its envelope have it. */
	for (i = 0; i < t->n && e->b.n == from; i++)
		json_put(&e->b, json_str(json_get(t->items[i].envelope,
		    S("x"))));
	if (e->b.n == from && e->flags->send_reasoning == 2 &&
	    openai_refused(e->c, PARAM_REASONING_SPACE))
		buf_chr(&e->b, ' ');
}

static void put_reasoning(struct enc *e, const struct turn *t, size_t at)
{
	size_t mark = e->b.n, from;

	if (e->flags->send_reasoning == 0 ||
	    (e->flags->send_reasoning == 1 && at < e->last_text))
		return;
	buf_put(&e->b, e->flags->reasoning_back == REASONING_BACK_REASONING ?
	    S(",\"reasoning\":\"") : S(",\"reasoning_content\":\""));
	from = e->b.n;
	put_reasoning_text(e, t);
	if (e->b.n == from && e->flags->send_reasoning != 2) {
		e->b.n = mark;
		return;
	}
	cost_text(e, from);
	buf_chr(&e->b, '"');
}

/* Only its maker can read what is opaque in an envelope. */
static int is_ours(const struct enc *e, struct jv envelope)
{
	struct jv u = json_get(envelope, S("u"));

	return json_type(u) != JSON_STRING || json_is(u, e->c->up->name);
}

static size_t put_details_of(struct enc *e, struct jv envelope, size_t n)
{
	struct json_iter it;

	if (!is_ours(e, envelope))
		return n;
	it = json_iter(json_get(envelope, S("d")));
	while (!it.object && json_next(&it)) {
		if (n++)
			buf_chr(&e->b, ',');
		json_compact(&e->b, json_raw(it.value));
	}
	return n;
}

/* reasoning_details: the cache has all of a message's with one of its calls;
 * else every envelope has its share. */
static void put_details(struct enc *e, const struct turn *t)
{
	size_t mark = e->b.n, i, n = 0;
	int cached;

	buf_put(&e->b, S(",\"reasoning_details\":["));
	for (i = 0; i < t->n && !n; i++)
		if (t->items[i].b->type == B_TOOL_USE)
			n = put_details_of(e, t->items[i].envelope, n);
	cached = n != 0;
	for (i = 0; i < t->n && !cached; i++)
		if (t->items[i].b->type == B_THINKING)
			n = put_details_of(e, t->items[i].envelope, n);
	if (n)
		buf_chr(&e->b, ']');
	else
		e->b.n = mark;
}

/* The thought signature of the call at index i (OA-67); empty. */
static struct jstr thought_of(const struct enc *e, const struct turn *t,
    size_t i)
{
	char room[128];
	struct buf id = buf_on(room, sizeof room);
	struct jstr found = { { NULL, 0 } };
	const struct item *it;
	size_t back;

	json_unescape(&id, t->items[i].b->id);
	for (back = 0; back <= i && back < NEAR && !id.full; back++) {
		it = &t->items[i - back];
		if (back && it->b->type != B_THINKING)
			continue;
		if (is_ours(e, it->envelope))
			found = json_str(json_get(json_get(it->envelope,
			    S("t")), buf_str(&id)));
		if (found.raw.n)
			break;
	}
	return found;
}

static int any_thought(const struct enc *e, const struct turn *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->items[i].b->type == B_TOOL_USE &&
		    thought_of(e, t, i).raw.n)
			return 1;
	return 0;
}

static void put_thought(struct enc *e, const struct turn *t, size_t i,
    int lead)
{
	struct jstr sig = thought_of(e, t, i);

	/* Gemini 3 refuses a turn whose first call has none, except this. */
	if (sig.raw.n == 0 && lead && !any_thought(e, t))
		sig.raw = S("skip_thought_signature_validator");
	if (sig.raw.n == 0)
		return;
	buf_put(&e->b, S(",\"extra_content\":{\"google\":"
	    "{\"thought_signature\":\""));
	buf_put(&e->b, sig.raw);
	buf_put(&e->b, S("\"}}"));
}

/* ---- calls ---- */

static void put_call(struct enc *e, const struct block *b)
{
	size_t from;

	buf_put(&e->b, S("{\"id\":\""));
	openai_put_id(e, b->id);
	buf_put(&e->b, S("\",\"type\":\"function\",\"function\":"
	    "{\"name\":\""));
	from = e->b.n;
	openai_put_call_name(e, b);
	cost_text(e, from);
	buf_put(&e->b, S("\",\"arguments\":\""));
	from = e->b.n;
	if (b->input.n && b->input.p[0] == '{') {
		json_stringify(&e->b, b->input);
	} else {
		buf_put(&e->b, S("{\\\"value\\\":"));
		json_stringify(&e->b, b->input);
		buf_chr(&e->b, '}');
	}
	cost_text(e, from);
	e->cost += 800;
	buf_put(&e->b, S("\"}"));
}

static void put_calls(struct enc *e, const struct turn *t)
{
	size_t i, n = 0;

	if (!t->calls)
		return;
	buf_put(&e->b, S(",\"tool_calls\":["));
	for (i = 0; i < t->n; i++) {
		if (t->items[i].b->type != B_TOOL_USE)
			continue;
		if (n)
			buf_chr(&e->b, ',');
		put_call(e, t->items[i].b);
		if (e->flags->reasoning_back == REASONING_BACK_GEMINI)
			put_thought(e, t, i, n == 0);
		buf_chr(&e->b, '}');
		n++;
	}
	buf_chr(&e->b, ']');
}

void openai_put_assistant(struct enc *e, size_t at)
{
	const struct turn *t = &e->turns[at];
	size_t i;

	openai_message_begin(e, S("assistant"));
	put_content(e, t, at + 1 == e->nturns);
	switch (e->flags->reasoning_back) {
	case REASONING_BACK_NO:
	case REASONING_BACK_GEMINI:
		break;
	case REASONING_BACK_CONTENT:
	case REASONING_BACK_REASONING:
		put_reasoning(e, t, at);
		break;
	case REASONING_BACK_DETAILS:
		put_details(e, t);
		break;
	}
	put_calls(e, t);
	buf_chr(&e->b, '}');
	/* Every call is answered right behind it, in the calls' order. */
	for (i = 0; i < t->n; i++)
		if (t->items[i].b->type == B_TOOL_USE)
			openai_put_tool_message(e, &t->items[i]);
}
