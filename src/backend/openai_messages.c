/* openai_messages.c -- turns, written as chat messages.
 *
 * Text is copied still escaped, base64 as it is; only a tool's input is
 * escaped once more, because upstream it travels as a string. Nothing here
 * refuses a request: what a backend can't take becomes a line of text that
 * says so, with a note, since a refusal would block every later turn of the
 * conversation.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

enum {
	ID_LONG = 40,		/* OpenAI refuses longer tool ids (OA-44) */
	ID_HASH = 32,
	ID_SHORT = 9		/* what Mistral's template wants, exactly */
};

/* ---- small pieces ---- */

static int id_ok(const struct enc *e, struct str id)
{
	size_t i;

	if (e->flags->tool_id_9 ? id.n != ID_SHORT :
	    id.n == 0 || id.n > ID_LONG)
		return 0;
	for (i = 0; i < id.n; i++)
		if (!openai_name_byte(id.p[i]) || (e->flags->tool_id_9 &&
		    (id.p[i] == '_' || id.p[i] == '-')))
			return 0;
	return 1;
}

/* The same id goes out for a call and for its result (OA-44). */
void openai_put_id(struct enc *e, struct jstr id)
{
	static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz";
	char hex[2 * ID_SHORT];
	struct buf h = buf_on(hex, sizeof hex);
	size_t i;
	unsigned v;

	if (id_ok(e, id.raw)) {
		buf_put(&e->b, id.raw);
		return;
	}
	if (!e->flags->tool_id_9) {
		buf_put(&e->b, S("call_"));
		openai_put_hash(&e->b, id, ID_HASH);
		return;
	}
	openai_put_hash(&h, id, sizeof hex);
	for (i = 0; i < sizeof hex; i += 2) {
		v = (unsigned)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
		v = v * 16 + (unsigned)(hex[i + 1] <= '9' ? hex[i + 1] - '0' :
		    hex[i + 1] - 'a' + 10);
		buf_chr(&e->b, base62[v % 62]);
	}
}

void openai_message_begin(struct enc *e, struct str role)
{
	buf_put(&e->b, e->nmessages++ ? S(",{\"role\":\"") :
	    S("{\"role\":\""));
	buf_put(&e->b, role);
	buf_chr(&e->b, '"');
	e->cost += 400;
}

/* ---- the parts of a user message (OA-31) ---- */

/* One string if all is text, because not every template takes more. */
struct openai_parts {
	struct enc *e;
	int array;
	size_t n;
	size_t from;		/* where the string, or this part's text begins */
	const struct block *result;	/* a tool's, whose media are only named
					 * here and follow later (OA-39) */
	size_t nth[2];		/* of its documents and images so far */
};

static void parts_open(struct openai_parts *p, struct enc *e, int array)
{
	*p = (struct openai_parts){ .e = e, .array = array };
	buf_put(&e->b, array ? S(",\"content\":[") : S(",\"content\":\""));
	p->from = e->b.n;
}

static void text_begin(struct openai_parts *p)
{
	if (!p->array) {
		if (p->n++)
			buf_put(&p->e->b, S("\\n\\n"));
		return;
	}
	buf_put(&p->e->b, p->n++ ? S(",{\"type\":\"text\",\"text\":\"") :
	    S("{\"type\":\"text\",\"text\":\""));
	p->from = p->e->b.n;
}

static void text_end(struct openai_parts *p, enum cache_mark mark)
{
	if (!p->array)
		return;
	cost_text(p->e, p->from);
	buf_chr(&p->e->b, '"');
	if (p->e->marks && mark != CACHE_NONE)
		buf_put(&p->e->b, mark == CACHE_1H ?
		    S(",\"cache_control\":{\"type\":\"ephemeral\","
		    "\"ttl\":\"1h\"}") :
		    S(",\"cache_control\":{\"type\":\"ephemeral\"}"));
	buf_chr(&p->e->b, '}');
}

static void part_media(struct openai_parts *p, const struct block *b)
{
	if (p->n++)
		buf_chr(&p->e->b, ',');
	openai_put_media(p->e, b);
}

static void parts_close(struct openai_parts *p)
{
	if (!p->array)
		cost_text(p->e, p->from);
	buf_chr(&p->e->b, p->array ? ']' : '"');
}

/* ---- documents and search results as text ---- */

static int is_compound(const struct block *b)
{
	return b->type == B_DOCUMENT && b->source == SOURCE_CONTENT;
}

static void put_document_head(struct enc *e, const struct block *b)
{
	buf_put(&e->b, S("<document"));
	if (b->title.raw.n) {
		buf_put(&e->b, S(" title=\\\""));
		openai_put_title(&e->b, b->title);
		buf_put(&e->b, S("\\\""));
	}
	buf_put(&e->b, S(">\\n"));
	if (b->context.raw.n) {
		buf_put(&e->b, S("<context>"));
		json_put(&e->b, b->context);
		buf_put(&e->b, S("</context>\\n"));
	}
}

/* How the next image or file of a result is spoken of (OA-39). */
static void put_nth(struct openai_parts *p, const struct block *b,
    int first_upper)
{
	struct buf *to = &p->e->b;

	if (b->type == B_IMAGE)
		buf_put(to, first_upper ? S("Image ") : S("image "));
	else
		buf_put(to, first_upper ? S("Document ") : S("document "));
	buf_u64(to, ++p->nth[b->type == B_IMAGE]);
	buf_put(to, first_upper ? S(" from tool result ") :
	    S(" of tool result "));
	openai_put_id(p->e, p->result->id);
}

static void put_pointer(struct openai_parts *p, const struct block *b)
{
	buf_chr(&p->e->b, '[');
	put_nth(p, b, 0);
	buf_put(&p->e->b, S(" is in the next message]"));
}

/* Its text; images among it are named where `parts` isn't there to take
 * them. */
void openai_put_document(struct enc *e, const struct block *b,
    struct openai_parts *parts)
{
	const struct block *in;
	size_t i;

	if (b->source != SOURCE_TEXT && b->source != SOURCE_CONTENT) {
		openai_put_omitted(e, b);
		return;
	}
	put_document_head(e, b);
	if (b->source == SOURCE_TEXT) {
		put_text(e, b->data);
		buf_put(&e->b, S("\\n"));
	}
	for (i = 0; b->source == SOURCE_CONTENT && i < b->ncontent; i++) {
		in = &b->content[i];
		if (in->type == B_TEXT) {
			put_text(e, in->text);
			buf_put(&e->b, S("\\n"));
		} else if (parts && parts->result && openai_is_media(e, in)) {
			put_pointer(parts, in);
			buf_put(&e->b, S("\\n"));
		} else if (parts && openai_is_media(e, in)) {
			text_end(parts, CACHE_NONE);
			part_media(parts, in);
			text_begin(parts);
		} else if (in->type == B_IMAGE) {
			openai_put_omitted(e, in);
			buf_put(&e->b, S("\\n"));
		}
	}
	buf_put(&e->b, S("</document>"));
}

void openai_put_search_result(struct enc *e, const struct block *b)
{
	size_t i;

	buf_put(&e->b, S("<search_result source=\\\""));
	openai_put_title(&e->b, b->text);
	buf_put(&e->b, S("\\\" title=\\\""));
	openai_put_title(&e->b, b->title);
	buf_put(&e->b, S("\\\">\\n"));
	for (i = 0; i < b->ncontent; i++) {
		if (b->content[i].type != B_TEXT)
			continue;
		put_text(e, b->content[i].text);
		buf_put(&e->b, S("\\n"));
	}
	buf_put(&e->b, S("</search_result>"));
}

/* ---- tool results (3.2) ---- */

static void put_result_block(struct openai_parts *p, const struct block *b)
{
	struct enc *e = p->e;

	switch (b->type) {
	case B_TEXT:
		put_text(e, b->text);
		return;
	case B_SEARCH_RESULT:
		openai_put_search_result(e, b);
		return;
	case B_TOOL_REFERENCE:
		buf_put(&e->b, S("Tool available: "));
		openai_put_name(e, &e->b, b->name);
		return;
	case B_BROWSER_STATE:
		json_stringify(&e->b, json_raw(b->json));
		return;
	case B_IMAGE:
	case B_DOCUMENT:
		break;
	default:
		note(e->c->notes, NOTE_DROPPED, S("tool_result.content"),
		    S("a block of a type unknown here"));
		return;
	}
	if (openai_is_media(e, b))
		put_pointer(p, b);
	else if (b->type == B_DOCUMENT)
		openai_put_document(e, b, p);
	else
		openai_put_omitted(e, b);
}

/* There is no error field in this dialect (OA-38). */
static int says_error(const struct block *result)
{
	struct jstr s = { { NULL, 0 } };

	if (result->ncontent && result->content[0].type == B_TEXT)
		s = result->content[0].text;
	return str_istarts(s.raw, S("error")) ||
	    jstr_starts(s, S("<tool_use_error>"));
}

/* The content as one string, without its quotes. */
static void put_result(struct enc *e, const struct block *result)
{
	struct openai_parts p = { .e = e, .result = result };
	size_t i, from, mark, after;

	if (result->is_error && !says_error(result))
		buf_put(&e->b, S("Error: "));
	from = e->b.n;
	for (i = 0; i < result->ncontent; i++) {
		mark = e->b.n;
		if (mark > from)
			buf_put(&e->b, S("\\n"));
		after = e->b.n;
		put_result_block(&p, &result->content[i]);
		if (e->b.n == after)
			e->b.n = mark;
	}
	/* Some servers refuse an empty one. */
	if (e->b.n == from)
		buf_put(&e->b, S("(no output)"));
}

void openai_put_tool_message(struct enc *e, const struct item *call)
{
	size_t from;

	openai_message_begin(e, S("tool"));
	e->cost += 400;
	buf_put(&e->b, S(",\"tool_call_id\":\""));
	openai_put_id(e, call->b->id);
	buf_put(&e->b, S("\",\"content\":\""));
	from = e->b.n;
	if (call->pair)
		put_result(e, call->pair->b);
	else
		buf_put(&e->b, S("(no result: the call was interrupted)"));
	cost_text(e, from);
	buf_put(&e->b, S("\"}"));
}

static void put_announced(struct openai_parts *p, const struct block *b)
{
	if (!openai_is_media(p->e, b))
		return;
	text_begin(p);
	put_nth(p, b, 1);
	buf_chr(&p->e->b, ':');
	text_end(p, CACHE_NONE);
	part_media(p, b);
}

/* Images and files of a result, as parts of the user's message. */
static void put_result_media(struct openai_parts *p, const struct block *result)
{
	const struct block *b;
	size_t i, k;

	p->result = result;
	p->nth[0] = p->nth[1] = 0;
	for (i = 0; i < result->ncontent; i++) {
		b = &result->content[i];
		put_announced(p, b);
		for (k = 0; is_compound(b) && k < b->ncontent; k++)
			put_announced(p, &b->content[k]);
	}
	p->result = NULL;
}

/* ---- user messages (3.1) ---- */

static int holds_media(const struct enc *e, const struct block *b)
{
	const struct block *in;
	size_t i, k;

	if (openai_is_media(e, b))
		return 1;
	for (i = 0; (b->type == B_TOOL_RESULT || is_compound(b)) &&
	    i < b->ncontent; i++) {
		in = &b->content[i];
		if (openai_is_media(e, in))
			return 1;
		for (k = 0; is_compound(in) && k < in->ncontent; k++)
			if (openai_is_media(e, &in->content[k]))
				return 1;
	}
	return 0;
}

static int is_result(const struct item *it)
{
	return it->kind == ITEM_BLOCK && it->b->type == B_TOOL_RESULT;
}

/* An item that is a text of the user's: all but results that a tool message
 * takes, and repeated ones. */
static int is_part(const struct item *it)
{
	return !is_result(it) || (!it->pair && !it->repeated);
}

static int shows_media(const struct enc *e, const struct item *it)
{
	return it->kind == ITEM_BLOCK && !it->repeated &&
	    holds_media(e, it->b);
}

int openai_has_parts(const struct enc *e, const struct turn *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (is_part(&t->items[i]) || shows_media(e, &t->items[i]))
			return 1;
	return 0;
}

static int needs_array(const struct enc *e, const struct turn *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (shows_media(e, &t->items[i]) || (e->marks &&
		    t->items[i].kind == ITEM_BLOCK &&
		    t->items[i].b->cache != CACHE_NONE &&
		    is_part(&t->items[i])))
			return 1;
	return 0;
}

/* Text blocks of a system message, joined. */
static void put_texts(struct enc *e, const struct block *b, size_t n)
{
	size_t i, any = 0;

	for (i = 0; i < n; i++) {
		if (b[i].type != B_TEXT)
			continue;
		if (any++)
			buf_put(&e->b, S("\\n\\n"));
		put_text(e, b[i].text);
	}
}

static void put_part_text(struct openai_parts *p, const struct item *it)
{
	struct enc *e = p->e;
	const struct block *b = it->b;

	if (it->kind == ITEM_SYSTEM) {
		buf_put(&e->b, S("<system-reminder>\\n"));
		put_texts(e, it->m->blocks, it->m->n);
		buf_put(&e->b, S("\\n</system-reminder>"));
	} else if (it->kind == ITEM_SUMMARY || b->type == B_COMPACTION) {
		buf_put(&e->b, S("Summary of the conversation so far:\\n"));
		put_text(e, b->text);
	} else if (b->type == B_TOOL_RESULT) {
		buf_put(&e->b, S("Result of an earlier tool call "));
		openai_put_id(e, b->id);
		buf_put(&e->b, S(":\\n"));
		put_result(e, b);
	} else if (b->type == B_TEXT) {
		put_text(e, b->text);
	} else if (b->type == B_SEARCH_RESULT) {
		openai_put_search_result(e, b);
	} else if (b->type == B_DOCUMENT) {
		openai_put_document(e, b, p->array ? p : NULL);
	} else {
		openai_put_omitted(e, b);	/* an image */
	}
}

static void put_user(struct enc *e, const struct turn *t)
{
	const struct item *it;
	struct openai_parts p;
	size_t i;

	if (!openai_has_parts(e, t))
		return;
	openai_message_begin(e, S("user"));
	parts_open(&p, e, needs_array(e, t));
	for (i = 0; i < t->n; i++) {
		it = &t->items[i];
		if (is_part(it) && it->kind == ITEM_BLOCK &&
		    openai_is_media(e, it->b)) {
			part_media(&p, it->b);
		} else if (is_part(it)) {
			text_begin(&p);
			put_part_text(&p, it);
			text_end(&p, it->kind == ITEM_BLOCK ? it->b->cache :
			    CACHE_NONE);
		}
		if (is_result(it) && !it->repeated)
			put_result_media(&p, it->b);
	}
	parts_close(&p);
	buf_chr(&e->b, '}');
}

/* ---- system ---- */

static struct str system_role(const struct enc *e)
{
	if (e->flags->system_role == SYSTEM_DEVELOPER ||
	    (e->flags->system_role == SYSTEM_AUTO &&
	    openai_is_reasoning(e->c->model)))
		return S("developer");
	return S("system");
}

/* The line changes with every process and would ruin the upstream's cache of
 * prompts (OA-7). */
static int is_billing(const struct block *b)
{
	return jstr_starts(b->text, S("x-anthropic-billing-header:"));
}

static void put_system_block(struct openai_parts *p, const struct block *b)
{
	if (b->type != B_TEXT) {
		note(p->e->c->notes, NOTE_DROPPED, S("system"),
		    S("a block that isn't text"));
	} else if (is_billing(b)) {
		note(p->e->c->notes, NOTE_DROPPED, S("system"),
		    S("the billing line, which isn't for the model"));
	} else {
		text_begin(p);
		put_text(p->e, b->text);
		text_end(p, b->cache);
	}
}

static void put_notices(struct openai_parts *p)
{
	struct enc *e = p->e;
	struct arena scratch;
	struct buf schema;

	if (e->lone) {
		text_begin(p);
		buf_put(&e->b, S("The tool "));
		json_put(&e->b, e->lone->name);
		buf_put(&e->b, S(" is not available here. Do not pretend to "
		    "have used it: say that it is not available, and answer "
		    "from what you know."));
		text_end(p, CACHE_NONE);
	}
	if (!e->schema_in_text)
		return;
	text_begin(p);
	buf_put(&e->b, S("Answer with one JSON object that matches this JSON "
	    "Schema, and with nothing else:\\n"));
	/* Written behind the body, then once more as text. */
	scratch = (struct arena){ e->b.p + e->b.n, e->b.p + e->b.cap };
	scratch.cur += (e->b.cap - e->b.n) / 2;
	schema = buf_open(&scratch);
	openai_schema(&schema, e->c, json_get(e->req->format, S("schema")));
	if (schema.full)
		e->b.full = 1;
	json_stringify(&e->b, buf_str(&schema));
	text_end(p, CACHE_NONE);
}

static int marked_system(const struct enc *e)
{
	size_t i;

	for (i = 0; e->marks && i < e->req->nsystem; i++)
		if (e->req->system[i].cache != CACHE_NONE)
			return 1;
	return 0;
}

static void put_system(struct enc *e)
{
	size_t mark = e->b.n, i;
	uint64_t cost = e->cost;
	struct openai_parts p;

	openai_message_begin(e, system_role(e));
	parts_open(&p, e, marked_system(e));
	for (i = 0; i < e->req->nsystem; i++)
		put_system_block(&p, &e->req->system[i]);
	put_notices(&p);
	parts_close(&p);
	buf_chr(&e->b, '}');
	if (p.n)
		return;
	e->b.n = mark;
	e->cost = cost;
	e->nmessages--;
}

static void put_mid_system(struct enc *e, const struct turn *t)
{
	size_t i, from;

	openai_message_begin(e, system_role(e));
	buf_put(&e->b, S(",\"content\":\""));
	from = e->b.n;
	for (i = 0; i < t->n; i++) {
		if (i)
			buf_put(&e->b, S("\\n\\n"));
		put_texts(e, t->items[i].m->blocks, t->items[i].m->n);
	}
	cost_text(e, from);
	buf_put(&e->b, S("\"}"));
}

/* ---- all of them ---- */

/* Several templates fail without a user's message (OA-36). */
static void put_dot(struct enc *e)
{
	if (e->talks)
		return;
	e->talks = 1;
	note(e->c->notes, NOTE_ADDED, S("messages"),
	    S("a user message, since there was none"));
	openai_message_begin(e, S("user"));
	buf_put(&e->b, S(",\"content\":\".\"}"));
}

void openai_put_messages(struct enc *e)
{
	size_t i;

	buf_chr(&e->b, '[');
	put_system(e);
	for (i = 0; i < e->nturns; i++) {
		switch (e->turns[i].role) {
		case ROLE_SYSTEM:
			put_mid_system(e, &e->turns[i]);
			break;
		case ROLE_USER:
			put_user(e, &e->turns[i]);
			break;
		case ROLE_ASSISTANT:
			put_dot(e);
			openai_put_assistant(e, i);
			break;
		}
	}
	put_dot(e);
	buf_chr(&e->b, ']');
}
