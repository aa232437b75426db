/* bedrock_content.c -- messages and system, written as elements of Converse.
 *
 * Each element is an object with one member. Text is copied still escaped.
 * What this model can't take becomes text that says so, with a note
 * (BR-54..BR-59, BR-65, BR-66, BR-68, BR-69).
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock_request.h"

/* ---- small pieces ---- */

void bedrock_comma(struct enc *e)
{
	char last = bedrock_last(e);

	if (last && last != '[' && last != '{')
		buf_chr(&e->b, ',');
}

/* Its bytes without escapes, within a few for what lies outside ASCII. */
void bedrock_count_text(struct enc *e, struct str raw)
{
	const char *p = raw.p, *end = raw.p + raw.n;

	e->bytes += raw.n;
	while (p < end && (p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
		e->bytes -= p[1] == 'u' ? 3 : 1;
		p += 2;
	}
}

void bedrock_put_text(struct enc *e, struct jstr s)
{
	json_put(&e->b, s);
	bedrock_count_text(e, s.raw);
}

void bedrock_text_begin(struct enc *e)
{
	bedrock_comma(e);
	buf_put(&e->b, S("{\"text\":\""));
	buf_put(&e->b, e->lead);
	e->lead = S("");
	e->texts++;
}

void bedrock_text_end(struct enc *e)
{
	buf_put(&e->b, S("\"}"));
}

void bedrock_put_line(struct enc *e, struct str text)
{
	bedrock_text_begin(e);
	bedrock_put_text(e, (struct jstr){ text });
	bedrock_text_end(e);
}

void bedrock_put_mark(struct enc *e, enum cache_mark mark)
{
	if (mark == CACHE_NONE)
		return;
	if (!(e->can & CAN_CACHE)) {
		note(e->c->notes, NOTE_DROPPED, S("cache_control"),
		    S("this model has no prompt cache"));
		return;
	}
	if (e->skip || e->marks == MARKS_MAX) {
		e->skip -= e->skip > 0;
		note(e->c->notes, NOTE_DROPPED, S("cache_control"),
		    S("at most four are taken: the last ones are sent"));
		return;
	}
	e->marks++;
	bedrock_comma(e);
	buf_put(&e->b, S("{\"cachePoint\":{\"type\":\"default\""));
	if (mark == CACHE_1H && e->can & CAN_CACHE_1H && !e->short_mark) {
		buf_put(&e->b, S(",\"ttl\":\"1h\""));
	} else {
		e->short_mark = 1;
		if (mark == CACHE_1H)
			note(e->c->notes, NOTE_CHANGED, S("cache_control.ttl"),
			    S("5 minutes: the model has no longer one, or one "
			    "of 5 minutes came before"));
	}
	buf_put(&e->b, S("}}"));
}

/* ---- anything as text ---- */

static void put_titled(struct enc *e, const struct block *b, struct str what)
{
	size_t i;

	buf_chr(&e->b, '[');
	buf_put(&e->b, what);
	if (b->title.raw.n) {
		buf_chr(&e->b, ' ');
		bedrock_put_text(e, b->title);
	}
	if (b->type == B_SEARCH_RESULT) {
		buf_put(&e->b, S(", "));
		bedrock_put_text(e, b->text);
	}
	buf_chr(&e->b, ']');
	if (b->source == SOURCE_TEXT) {
		buf_put(&e->b, S("\\n"));
		bedrock_put_text(e, b->data);
	}
	for (i = 0; i < b->ncontent; i++) {
		if (b->content[i].type != B_TEXT)
			continue;
		buf_put(&e->b, S("\\n"));
		bedrock_put_text(e, b->content[i].text);
	}
}

/* Inside of a JSON string. Never blank, but for a text that is. */
static void put_words(struct enc *e, const struct block *b)
{
	switch (b->type) {
	case B_TEXT:
	case B_COMPACTION:
		bedrock_put_text(e, b->text);
		return;
	case B_IMAGE:
		buf_put(&e->b, S("[image]"));
		note(e->c->notes, NOTE_DROPPED, S("image"),
		    S("none can be sent in this place; the model is told"));
		return;
	case B_DOCUMENT:
		put_titled(e, b, S("document"));
		if (b->source != SOURCE_TEXT && b->source != SOURCE_CONTENT)
			note(e->c->notes, NOTE_DROPPED, S("document"), S("none "
			    "can be sent in this place; the model is told"));
		return;
	case B_SEARCH_RESULT:
		put_titled(e, b, S("search result"));
		return;
	case B_TOOL_REFERENCE:
		buf_put(&e->b, S("Tool available: "));
		bedrock_put_name(e, &e->b, b->name);
		return;
	default:
		json_stringify(&e->b, json_raw(b->json));
		e->bytes += json_raw(b->json).n;
		return;
	}
}

static void put_as_text(struct enc *e, const struct block *b)
{
	bedrock_text_begin(e);
	put_words(e, b);
	bedrock_text_end(e);
}

static void put_search_result(struct enc *e, const struct block *b)
{
	if (!e->claude || !bedrock_has_words(b) || bedrock_blank(b->text) ||
	    bedrock_blank(b->title)) {
		put_as_text(e, b);
		return;
	}
	bedrock_comma(e);
	buf_put(&e->b, S("{\"searchResult\":{\"source\":\""));
	bedrock_put_text(e, b->text);
	buf_put(&e->b, S("\",\"title\":\""));
	bedrock_put_text(e, b->title);
	buf_put(&e->b, S("\",\"content\":"));
	bedrock_put_texts(e, b);
	buf_put(&e->b, json_true(json_get(json_get(b->json, S("citations")),
	    S("enabled"))) ? S(",\"citations\":{\"enabled\":true}}}") :
	    S(",\"citations\":{\"enabled\":false}}}"));
}

/* ---- calls and results ---- */

static void put_call(struct enc *e, const struct part *p)
{
	bedrock_comma(e);
	buf_put(&e->b, S("{\"toolUse\":{\"toolUseId\":\""));
	buf_put(&e->b, p->id);
	buf_put(&e->b, S("\",\"name\":\""));
	bedrock_put_name(e, &e->b, p->b->name);
	buf_put(&e->b, S("\",\"input\":"));
	json_put(&e->b, (struct jstr){ p->b->input });
	buf_put(&e->b, S("}}"));
	e->bytes += p->b->input.n;
}

static void put_flat_call(struct enc *e, const struct block *b)
{
	bedrock_text_begin(e);
	buf_put(&e->b, S("[tool call "));
	bedrock_put_text(e, b->name);
	buf_put(&e->b, S(": "));
	json_stringify(&e->b, b->input);
	buf_chr(&e->b, ']');
	bedrock_text_end(e);
	e->bytes += b->input.n;
}

static void put_flat_result(struct enc *e, const struct block *b)
{
	size_t i;

	bedrock_text_begin(e);
	buf_put(&e->b, b->is_error ? S("[tool result: Error: ") :
	    S("[tool result: "));
	for (i = 0; i < b->ncontent; i++) {
		if (i)
			buf_put(&e->b, S("\\n"));
		put_words(e, &b->content[i]);
	}
	buf_chr(&e->b, ']');
	bedrock_text_end(e);
}

static void put_inner(struct enc *e, const struct part *p,
    const struct block *b)
{
	int media = !!(e->can & CAN_RESULT_MEDIA);

	if (b->type == B_IMAGE && media)
		bedrock_put_image(e, p, b);
	else if (b->type == B_DOCUMENT && media && bedrock_is_file(e, b))
		bedrock_put_document(e, p, b);
	else if (b->type == B_SEARCH_RESULT)
		put_search_result(e, b);
	else if (b->type != B_TEXT || !bedrock_blank(b->text))
		put_as_text(e, b);
}

static void result_begin(struct enc *e, struct str id)
{
	bedrock_comma(e);
	buf_put(&e->b, S("{\"toolResult\":{\"toolUseId\":\""));
	buf_put(&e->b, id);
	buf_put(&e->b, S("\",\"content\":["));
}

static void result_end(struct enc *e, int error)
{
	buf_put(&e->b, error && e->can & CAN_RESULT_STATUS ?
	    S("],\"status\":\"error\"}}") : S("]}}"));
}

static void put_result(struct enc *e, const struct part *p)
{
	size_t texts = e->texts, files = e->documents, i;

	result_begin(e, p->id);
	if (p->b->is_error && !(e->can & CAN_RESULT_STATUS))
		e->lead = S("Error: ");
	for (i = 0; i < p->b->ncontent; i++)
		put_inner(e, p, &p->b->content[i]);
	if (e->lead.n || bedrock_last(e) == '[')
		bedrock_put_line(e, S("(no output)"));
	result_end(e, p->b->is_error);
	/* They are the result's, not the message's. */
	e->texts = texts;
	e->documents = files;
}

/* ---- messages ---- */

static void put_reasoning(struct enc *e, const struct block *b)
{
	bedrock_comma(e);
	if (b->type == B_REDACTED_THINKING) {
		buf_put(&e->b,
		    S("{\"reasoningContent\":{\"redactedContent\":\""));
		json_put(&e->b, b->text);
		buf_put(&e->b, S("\"}}"));
		return;
	}
	buf_put(&e->b, S("{\"reasoningContent\":{\"reasoningText\":"
	    "{\"text\":\""));
	bedrock_put_text(e, b->text);
	buf_put(&e->b, S("\",\"signature\":\""));
	json_put(&e->b, b->signature);
	buf_put(&e->b, S("\"}}}"));
}

static void put_reminder(struct enc *e, const struct message *m)
{
	size_t i, any = 0;

	bedrock_text_begin(e);
	buf_put(&e->b, S("<system-reminder>\\n"));
	for (i = 0; i < m->n; i++) {
		if (m->blocks[i].type != B_TEXT)
			continue;
		if (any++)
			buf_put(&e->b, S("\\n\\n"));
		bedrock_put_text(e, m->blocks[i].text);
	}
	buf_put(&e->b, S("\\n</system-reminder>"));
	bedrock_text_end(e);
}

static void put_part(struct enc *e, const struct turn *t,
    const struct part *p)
{
	const struct block *b = p->b;
	int user = t->role == ROLE_USER;

	if (!b)
		put_reminder(e, p->m);
	else if (b->type == B_TOOL_USE && p->flat)
		put_flat_call(e, b);
	else if (b->type == B_TOOL_USE)
		put_call(e, p);
	else if (b->type == B_TOOL_RESULT && p->flat)
		put_flat_result(e, b);
	else if (b->type == B_TOOL_RESULT)
		put_result(e, p);
	else if (b->type == B_THINKING || b->type == B_REDACTED_THINKING)
		put_reasoning(e, b);
	else if (b->type == B_IMAGE && user)
		bedrock_put_image(e, p, b);
	else if (b->type == B_DOCUMENT && user && bedrock_is_file(e, b))
		bedrock_put_document(e, p, b);
	else if (b->type == B_SEARCH_RESULT && user)
		put_search_result(e, b);
	else if (b->type == B_TEXT && !user &&
	    t == &e->turns[e->nturns - 1] && p == &t->parts[t->n - 1])
		/* What the answer goes on with must not end in a blank. */
		bedrock_put_line(e, bedrock_trim_end(b->text).raw);
	else
		put_as_text(e, b);
	bedrock_put_mark(e, p->mark);
}

static int is_result(const struct part *p)
{
	return p->b && p->b->type == B_TOOL_RESULT && !p->flat;
}

/* Results come first, those for calls without one too (BR-59). */
static void put_user(struct enc *e, const struct turn *t,
    const struct turn *before)
{
	const struct part *p;
	size_t i, texts = e->texts;

	for (i = 0; i < t->n; i++)
		if (is_result(&t->parts[i]))
			put_part(e, t, &t->parts[i]);
	for (i = 0; before && i < before->n; i++) {
		p = &before->parts[i];
		if (!p->b || p->b->type != B_TOOL_USE || p->flat || p->paired)
			continue;
		result_begin(e, p->id);
		bedrock_put_line(e, S("(no result: interrupted)"));
		result_end(e, 1);
		e->texts = texts;
	}
	for (i = 0; i < t->n; i++)
		if (!is_result(&t->parts[i]))
			put_part(e, t, &t->parts[i]);
	if (e->documents && !e->texts)
		bedrock_put_line(e, S("See the attached document."));
}

/* ---- system ---- */

/* The line changes with every process and would ruin the cache (BR-143). */
static int is_billing(const struct enc *e, const struct block *b)
{
	return !e->opt->keep_billing &&
	    jstr_starts(b->text, S("x-anthropic-billing-header:"));
}

static void put_system_blocks(struct enc *e, const struct block *b, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (b[i].type != B_TEXT) {
			note(e->c->notes, NOTE_DROPPED, S("system"),
			    S("a block that isn't text"));
		} else if (is_billing(e, &b[i])) {
			note(e->c->notes, NOTE_DROPPED, S("system"),
			    S("the billing line, which isn't for the model"));
		} else if (!bedrock_blank(b[i].text)) {
			bedrock_put_line(e, b[i].text.raw);
			bedrock_put_mark(e, b[i].cache);
		}
	}
}

/* What the request can't say otherwise on this way. */
static void put_notices(struct enc *e)
{
	if (e->lone) {
		bedrock_text_begin(e);
		buf_put(&e->b, S("The tool "));
		bedrock_put_text(e, e->lone->name);
		buf_put(&e->b, S(" is not available here. Do not pretend to "
		    "have used it: say that it is not available, and answer "
		    "from what you know."));
		bedrock_text_end(e);
	}
	if (e->schema_in_text) {
		bedrock_text_begin(e);
		buf_put(&e->b, S("Answer with one JSON object that matches "
		    "this JSON Schema, and with nothing else:\\n"));
		json_stringify(&e->b, json_raw(json_get(e->req->format,
		    S("schema"))));
		bedrock_text_end(e);
	}
}

static void put_system_elements(struct enc *e)
{
	size_t i;

	put_system_blocks(e, e->req->system, e->req->nsystem);
	for (i = 0; i < e->leading; i++)
		put_system_blocks(e, e->req->messages[i].blocks,
		    e->req->messages[i].n);
	put_notices(e);
}

void bedrock_put_system(struct enc *e)
{
	size_t mark = e->b.n;

	if (!(e->can & CAN_SYSTEM))
		return;
	bedrock_comma(e);
	buf_put(&e->b, S("\"system\":["));
	put_system_elements(e);
	if (bedrock_last(e) == '[')
		e->b.n = mark;
	else
		buf_chr(&e->b, ']');
}

/* ---- all of them ---- */

static void put_turn(struct enc *e, size_t i)
{
	const struct turn *t = &e->turns[i];
	size_t k, start;

	bedrock_comma(e);
	buf_put(&e->b, t->role == ROLE_USER ?
	    S("{\"role\":\"user\",\"content\":[") :
	    S("{\"role\":\"assistant\",\"content\":["));
	start = e->b.n;
	e->texts = e->documents = 0;
	if (i == 0 && !(e->can & CAN_SYSTEM)) {
		put_system_elements(e);
		if (e->b.n > start)
			note(e->c->notes, NOTE_CHANGED, S("system"), S("this "
			    "model has none: it is the user's first text"));
	}
	if (t->role == ROLE_USER)
		put_user(e, t, i ? &e->turns[i - 1] : NULL);
	for (k = 0; t->role == ROLE_ASSISTANT && k < t->n; k++)
		put_part(e, t, &t->parts[k]);
	/* System text alone is no turn of the user's. */
	if (e->b.n == start || (t->n == 0 && i == 0)) {
		bedrock_put_line(e, t->filler);
		if (!t->made)
			note(e->c->notes, NOTE_ADDED, S("messages.content"),
			    S("a message without content got a text"));
	}
	buf_put(&e->b, S("]}"));
	e->tokens += 8;
}

void bedrock_put_messages(struct enc *e)
{
	size_t i, left = MARKS_MAX - e->marks;

	e->skip = e->wished > left ? e->wished - left : 0;
	bedrock_comma(e);
	buf_put(&e->b, S("\"messages\":["));
	for (i = 0; i < e->nturns; i++)
		put_turn(e, i);
	buf_chr(&e->b, ']');
}
