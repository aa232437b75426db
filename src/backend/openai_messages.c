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
	ID_SHORT = 9,		/* what Mistral's template wants, exactly */
	SNIFF = 64		/* base64 that holds any image's first bytes */
};

/* ---- small pieces ---- */

/* A title inside quotes of its own: " becomes '. */
static void put_title(struct buf *b, struct jstr title)
{
	struct str s = title.raw;
	size_t at, run = 0;

	for (at = 0; at + 1 < s.n; at++) {
		if (s.p[at] != '\\')
			continue;
		if (s.p[at + 1] == '"') {
			json_put(b, (struct jstr){ str_head(str_from(s, run),
			    at - run) });
			buf_chr(b, '\'');
			run = at + 2;
		}
		at++;
	}
	json_put(b, (struct jstr){ str_from(s, run) });
}

static int is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

static int id_ok(const struct enc *e, struct str id)
{
	size_t i;

	if (e->flags->tool_id_9 ? id.n != ID_SHORT :
	    id.n == 0 || id.n > ID_LONG)
		return 0;
	for (i = 0; i < id.n; i++)
		if (!is_alnum(id.p[i]) && (e->flags->tool_id_9 ||
		    (id.p[i] != '_' && id.p[i] != '-')))
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

/* ---- images and files ---- */

/* The type its first bytes show, else the one the client says (OA-33). */
static struct str media_of(const struct block *b)
{
	char bytes[SNIFF];
	struct buf out = buf_on(bytes, sizeof bytes);
	struct str real = { NULL, 0 };

	if (base64_decode(&out, str_head(b->data.raw, SNIFF)) == OK)
		real = image_type(buf_str(&out));
	return real.n ? real : b->media_type.raw;
}

static int image_fits(const struct enc *e, const struct block *b)
{
	if (!e->flags->images)
		return 0;
	if (b->source == SOURCE_URL)
		return e->flags->image_url;
	return b->source == SOURCE_BASE64 &&
	    (e->flags->gif || !str_eq(media_of(b), S("image/gif")));
}

static int is_pdf(const struct block *b)
{
	return b->source == SOURCE_BASE64 &&
	    (b->media_type.raw.n == 0 ||
	    jstr_eq(b->media_type, S("application/pdf")));
}

/* Whether a block is sent as a part that isn't text. */
static int is_media(const struct enc *e, const struct block *b)
{
	if (b->type == B_IMAGE)
		return image_fits(e, b);
	return b->type == B_DOCUMENT && e->flags->file_parts && is_pdf(b);
}

static void put_kilobytes(struct buf *b, size_t base64)
{
	buf_u64(b, (base64 / 4 * 3 + 1023) / 1024);
	buf_put(b, S(" KB, "));
}

/* In the place of what can't be sent: section 12 on OA-34 and OA-39. */
static void put_omitted(struct enc *e, const struct block *b)
{
	int image = b->type == B_IMAGE;

	note(e->c->notes, NOTE_DROPPED, image ? S("image") : S("document"),
	    S("this backend takes none of this kind; the model is told"));
	if (image && !e->flags->images) {
		buf_put(&e->b,
		    S("[image omitted: the model cannot see images]"));
		return;
	}
	buf_put(&e->b, image ? S("[image, ") : S("[document "));
	if (b->title.raw.n) {
		buf_put(&e->b, S("\\\""));
		put_title(&e->b, b->title);
		buf_put(&e->b, S("\\\", "));
	} else if (!image) {
		buf_put(&e->b, S("without a name, "));
	}
	if (b->source == SOURCE_BASE64)
		put_kilobytes(&e->b, b->data.raw.n);
	if (b->source == SOURCE_URL)
		buf_put(&e->b, S("not sent: this backend takes no links]"));
	else
		buf_put(&e->b, image ? S("not sent: this backend takes no "
		    "such image]") :
		    S("not sent: this backend takes no files]"));
}

/* Without the blanks some clients break it with. */
static void put_base64(struct buf *b, struct str s)
{
	size_t at, run = 0;

	if (!s.n || (!memchr(s.p, '\\', s.n) && !memchr(s.p, ' ', s.n))) {
		buf_put(b, s);
		return;
	}
	for (at = 0; at < s.n; at++) {
		if (s.p[at] != '\\' && s.p[at] != ' ')
			continue;
		buf_put(b, str_head(str_from(s, run), at - run));
		run = at + 1;
		if (s.p[at] == '\\' && at + 1 < s.n) {
			at++;
			/* \/ is a slash; \u002f may stay. */
			run = memchr("nrt", s.p[at], 3) ? at + 1 :
			    s.p[at] == '/' ? at : at - 1;
		}
	}
	buf_put(b, str_from(s, run));
}

static void put_image(struct enc *e, const struct block *b)
{
	struct str type = media_of(b);

	buf_put(&e->b, S("{\"type\":\"image_url\",\"image_url\":{\"url\":\""));
	if (b->source == SOURCE_URL) {
		json_put(&e->b, b->data);
		e->cost += 160000;	/* its size isn't known */
	} else {
		if (!str_eq(type, b->media_type.raw))
			note(e->c->notes, NOTE_CHANGED,
			    S("image.source.media_type"),
			    S("its bytes are of another type"));
		buf_put(&e->b, S("data:"));
		json_put(&e->b, (struct jstr){ type });
		buf_put(&e->b, S(";base64,"));
		put_base64(&e->b, b->data.raw);
		e->cost += 100 * estimate_image(b->data);
	}
	buf_put(&e->b, S("\"}}"));
	e->images++;
}

static void put_file(struct enc *e, const struct block *b)
{
	buf_put(&e->b, S("{\"type\":\"file\",\"file\":{\"filename\":\""));
	if (b->title.raw.n)
		put_title(&e->b, b->title);
	else
		buf_put(&e->b, S("document"));
	if (!str_ends(b->title.raw, S(".pdf")))
		buf_put(&e->b, S(".pdf"));
	buf_put(&e->b, S("\",\"file_data\":\"data:application/pdf;base64,"));
	put_base64(&e->b, b->data.raw);
	buf_put(&e->b, S("\"}}"));
	e->cost += 100 * estimate_pdf(b->data);
	e->images++;
}

static void put_media(struct enc *e, const struct block *b)
{
	if (b->type == B_IMAGE)
		put_image(e, b);
	else
		put_file(e, b);
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
	put_media(p->e, b);
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
		put_title(&e->b, b->title);
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
		put_omitted(e, b);
		return;
	}
	put_document_head(e, b);
	if (b->source == SOURCE_TEXT) {
		json_put(&e->b, b->data);
		buf_put(&e->b, S("\\n"));
	}
	for (i = 0; b->source == SOURCE_CONTENT && i < b->ncontent; i++) {
		in = &b->content[i];
		if (in->type == B_TEXT) {
			json_put(&e->b, in->text);
			buf_put(&e->b, S("\\n"));
		} else if (parts && parts->result && is_media(e, in)) {
			put_pointer(parts, in);
			buf_put(&e->b, S("\\n"));
		} else if (parts && is_media(e, in)) {
			text_end(parts, CACHE_NONE);
			part_media(parts, in);
			text_begin(parts);
		} else if (in->type == B_IMAGE) {
			put_omitted(e, in);
			buf_put(&e->b, S("\\n"));
		}
	}
	buf_put(&e->b, S("</document>"));
}

void openai_put_search_result(struct enc *e, const struct block *b)
{
	size_t i;

	buf_put(&e->b, S("<search_result source=\\\""));
	put_title(&e->b, b->text);
	buf_put(&e->b, S("\\\" title=\\\""));
	put_title(&e->b, b->title);
	buf_put(&e->b, S("\\\">\\n"));
	for (i = 0; i < b->ncontent; i++) {
		if (b->content[i].type != B_TEXT)
			continue;
		json_put(&e->b, b->content[i].text);
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
		json_put(&e->b, b->text);
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
	if (is_media(e, b))
		put_pointer(p, b);
	else if (b->type == B_DOCUMENT)
		openai_put_document(e, b, p);
	else
		put_omitted(e, b);
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
	if (!is_media(p->e, b))
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

	if (is_media(e, b))
		return 1;
	for (i = 0; (b->type == B_TOOL_RESULT || is_compound(b)) &&
	    i < b->ncontent; i++) {
		in = &b->content[i];
		if (is_media(e, in))
			return 1;
		for (k = 0; is_compound(in) && k < in->ncontent; k++)
			if (is_media(e, &in->content[k]))
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
		json_put(&e->b, b[i].text);
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
		json_put(&e->b, b->text);
	} else if (b->type == B_TOOL_RESULT) {
		buf_put(&e->b, S("Result of an earlier tool call "));
		openai_put_id(e, b->id);
		buf_put(&e->b, S(":\\n"));
		put_result(e, b);
	} else if (b->type == B_TEXT) {
		json_put(&e->b, b->text);
	} else if (b->type == B_SEARCH_RESULT) {
		openai_put_search_result(e, b);
	} else if (b->type == B_DOCUMENT) {
		openai_put_document(e, b, p->array ? p : NULL);
	} else {
		put_omitted(e, b);	/* an image */
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
		    is_media(e, it->b)) {
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
		json_put(&p->e->b, b->text);
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
