/* openai_tools.c -- which tools are sent, under which names, and tool_choice.
 *
 * Every tool that can be called is sent as a function, in the client's order:
 * upstream prompt caches begin with them. What runs on Anthropic's servers
 * can't run here: it is left out and noted, and where it was all there was the
 * model is told, because clients answer a refusal by asking again.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"
#include "../wire/sha256.h"

enum {
	NAME_MAX = 64,		/* of a function at most services (OA-51) */
	NAME_CUT = 55,		/* with _ and eight digits: 64 */
	NAME_HASH = 8,
	EXAMPLES_MAX = 3,	/* OA-50 */
	TOOL_COST = 700,	/* hundredths of a token (OA-129) */
	TOOLS_MANY = 8
};

/* ---- names (OA-51) ---- */

static int first_byte(const struct enc *e, char c)
{
	if (e->flags->profile != P_GEMINI)
		return openai_name_byte(c);
	return openai_name_byte(c) && c != '-' && !(c >= '0' && c <= '9');
}

static int name_ok(const struct enc *e, struct str s)
{
	size_t i;

	if (s.n == 0 || s.n > NAME_MAX || !first_byte(e, s.p[0]))
		return 0;
	for (i = 0; i < s.n; i++)
		if (!openai_name_byte(s.p[i]))
			return 0;
	return 1;
}

void openai_put_hash(struct buf *b, struct jstr s, size_t n)
{
	char plain[1024], hex[2 * SHA256_SIZE];
	struct buf p = buf_on(plain, sizeof plain), h = buf_on(hex, sizeof hex);
	unsigned char sum[SHA256_SIZE];

	/* Longer ones are hashed as they stand: as good a name. */
	json_unescape(&p, s);
	sha256(sum, p.full ? s.raw : buf_str(&p));
	buf_hex(&h, (struct str){ (const char *)sum, sizeof sum });
	buf_put(b, str_head(buf_str(&h), n));
}

void openai_put_name(struct enc *e, struct buf *b, struct jstr name)
{
	struct str s = name.raw;
	size_t i;

	if (name_ok(e, s)) {
		buf_put(b, s);
		return;
	}
	note(e->c->notes, NOTE_RENAMED, S("tools.name"),
	    S("letters, digits, _ and - only, at most 64"));
	s = str_head(s, NAME_CUT);
	for (i = 0; i < s.n; i++)
		buf_chr(b, (i ? openai_name_byte(s.p[i]) : first_byte(e, s.p[i])) ?
		    s.p[i] : '_');
	buf_chr(b, '_');
	openai_put_hash(b, name, NAME_HASH);
}

/* ---- the choice ---- */

/* Names of tools that the history calls or refers to, sorted; one pass over
 * it however many tools are deferred. */
struct seen {
	struct key *k;
	size_t n;
	int referred;		/* there was a tool_reference */
	struct key *changes;
	size_t nchanges;
};

static size_t see_block(struct seen *s, const struct block *b, size_t n)
{
	if (b->type != B_TOOL_USE && b->type != B_TOOL_REFERENCE)
		return n;
	s->referred |= b->type == B_TOOL_REFERENCE;
	if (s->k)
		s->k[n] = (struct key){ b->name.raw, n };
	return n + 1;
}

static size_t see_all(const struct request *r, struct seen *s)
{
	const struct block *b;
	size_t i, j, k, n = 0;

	for (i = 0; i < r->nmessages; i++) {
		for (j = 0; j < r->messages[i].n; j++) {
			b = &r->messages[i].blocks[j];
			n = see_block(s, b, n);
			for (k = 0; b->type == B_TOOL_RESULT &&
			    k < b->ncontent; k++)
				n = see_block(s, &b->content[k], n);
		}
	}
	return n;
}

static struct jstr changed_name(const struct block *b)
{
	struct jv tool = json_get(b->json, S("tool"));

	if (b->name.raw.n)
		return b->name;
	if (json_type(json_get(tool, S("definition"))) == JSON_OBJECT)
		tool = json_get(tool, S("definition"));
	if (json_type(tool) == JSON_OBJECT)
		return json_str(json_get(tool, S("name")));
	return json_str(json_get(b->json, S("tool_name")));
}

/* What system messages add and take away (OA-49), by name: an odd index is a
 * removal. */
static size_t see_changes(const struct request *r, struct key *k)
{
	const struct message *m;
	size_t i, j, n = 0;
	int removes;

	for (i = 0; i < r->nmessages; i++) {
		m = &r->messages[i];
		for (j = 0; m->role == ROLE_SYSTEM && j < m->n; j++) {
			removes = m->blocks[j].type == B_TOOL_REMOVAL;
			if (!removes && m->blocks[j].type != B_TOOL_ADDITION)
				continue;
			if (k)
				k[n] = (struct key){
				    changed_name(&m->blocks[j]).raw,
				    2 * n + (size_t)removes };
			n++;
		}
	}
	return n;
}

static int see(struct enc *e, struct seen *s)
{
	struct arena *a = e->c->a;

	s->k = s->changes = NULL;
	s->n = see_all(e->req, s);
	s->nchanges = see_changes(e->req, NULL);
	s->k = arena_array(a, s->n, sizeof *s->k);
	s->changes = arena_array(a, s->nchanges, sizeof *s->changes);
	if (!s->k || !s->changes)
		return E_FULL;
	see_all(e->req, s);
	see_changes(e->req, s->changes);
	keys_sort(s->k, s->n);
	keys_sort(s->changes, s->nchanges);
	return OK;
}

/* The last word counts. */
static int is_removed(const struct tool *t, const struct seen *s)
{
	const struct key *k = keys_find(s->changes, s->nchanges, t->name.raw);

	return k && k->i % 2;
}

static int is_search_tool(const struct tool *t)
{
	return t->kind == TOOL_CLIENT &&
	    (str_ifind(t->name.raw, S("toolsearch")) < t->name.raw.n ||
	    str_ifind(t->name.raw, S("tool_search")) < t->name.raw.n);
}

/* Whether deferred tools have to be asked for (OA-53): the client lets the
 * model search, and no server tool was to do it, which can't run here. */
static int defers(const struct request *r, const struct seen *s)
{
	int search = s->referred, deferred = 0;
	size_t i;

	for (i = 0; i < r->ntools; i++) {
		if (r->tools[i].kind == TOOL_SERVER &&
		    jstr_starts(r->tools[i].type, S("tool_search")))
			return 0;
		search |= is_search_tool(&r->tools[i]);
		deferred |= r->tools[i].defer_loading;
	}
	return search && deferred;
}

static int is_hidden(const struct tool *t, const struct seen *s)
{
	return t->defer_loading && !keys_find(s->k, s->n, t->name.raw);
}

static int refuse_toolset(struct enc *e, const struct tool *t)
{
	FAULT(&e->c->fault, 400, S("tools: the toolset "), t->type.raw,
	    S(" is not available with this backend: only Anthropic knows its "
	    "tools"));
	return E_FAULT;
}

static void leave_out(struct enc *e, const struct tool *t)
{
	note(e->c->notes, NOTE_DROPPED, S("tools"), t->type.raw.n ?
	    t->type.raw : t->name.raw);
	if (!jstr_starts(t->type, S("tool_search")) &&
	    (!e->lone || str_eq(e->req->choice_name.raw, t->name.raw)))
		e->lone = t;
}

static int gather(struct enc *e, const struct seen *s)
{
	const struct request *r = e->req;
	int hide = defers(r, s);
	const struct tool *t;
	size_t i;
	int code = OK;

	for (i = 0; i < r->ntools && code == OK; i++) {
		t = &r->tools[i];
		if (t->kind == TOOL_TOOLSET)
			code = openai_toolset_size(t) ?
			    openai_toolset_expand(e, t) : refuse_toolset(e, t);
		else if (t->kind == TOOL_SERVER)
			leave_out(e, t);
		else if (!(hide && is_hidden(t, s)) &&
		    !is_removed(t, s))
			e->tools[e->ntools++] = t;
	}
	return code;
}

/* Past the service's limit (OA-52): deferred ones that nobody asked for go
 * first, from the end, and only as many as need be. */
static int limit(struct enc *e, const struct seen *s)
{
	size_t max = (size_t)e->flags->tool_limit, over, i, n = 0;
	char room[2][24];
	struct buf a = buf_on(room[0], 24), b = buf_on(room[1], 24);

	if (max == 0 || e->ntools <= max)
		return OK;
	buf_u64(&a, e->ntools);
	buf_u64(&b, max);
	over = e->ntools - max;
	for (i = e->ntools; i-- > 0 && over; ) {
		if (!is_hidden(e->tools[i], s))
			continue;
		e->tools[i] = NULL;
		over--;
	}
	for (i = 0; i < e->ntools; i++)
		if (e->tools[i])
			e->tools[n++] = e->tools[i];
	e->ntools = n;
	note(e->c->notes, NOTE_DROPPED, S("tools"),
	    S("deferred tools past this backend's limit"));
	if (!over)
		return OK;
	FAULT(&e->c->fault, 400, S("tools: "), buf_str(&a),
	    S(" tools, but this backend takes at most "), buf_str(&b));
	return E_FAULT;
}

static const struct tool *tool_named(const struct enc *e, struct jstr name)
{
	size_t i;

	for (i = 0; i < e->ntools; i++)
		if (str_eq(e->tools[i]->name.raw, name.raw))
			return e->tools[i];
	return NULL;
}

/* tool_choice as it will be sent (OA-17). */
static void choose(struct enc *e)
{
	const struct tool *t = tool_named(e, e->req->choice_name);

	e->choice = e->ntools ? e->req->choice : CHOICE_ABSENT;
	if (e->choice != CHOICE_TOOL) {
		if (e->ntools)
			e->lone = NULL;
		return;
	}
	if (!t) {
		e->choice = CHOICE_AUTO;
		note(e->c->notes, NOTE_CHANGED, S("tool_choice"),
		    S("it names a tool that isn't sent"));
		if (e->lone && !str_eq(e->lone->name.raw,
		    e->req->choice_name.raw))
			e->lone = NULL;
		return;
	}
	e->lone = NULL;
	if (e->flags->named_tool_choice == NAMED_YES)
		return;
	/* Its object form isn't understood there: with this one tool alone,
	 * "required" says the same. */
	e->tools[0] = t;
	e->ntools = 1;
	e->choice = CHOICE_ANY;
	note(e->c->notes, NOTE_CHANGED, S("tool_choice"),
	    S("only the named tool is sent"));
}

static int name_all(struct enc *e)
{
	struct openai_name *names;
	struct buf b;
	size_t i, k;

	names = arena_array(e->c->a, e->ntools, sizeof *names);
	if (!names)
		return E_FULL;
	for (i = 0; i < e->ntools; i++) {
		names[i].client = e->tools[i]->name;
		b = buf_open(e->c->a);
		openai_put_name(e, &b, e->tools[i]->name);
		if (b.full)
			return E_FULL;
		names[i].upstream = buf_end(e->c->a, &b);
		for (k = 0; k < e->nmembers; k++) {
			if (e->tools[i] != &e->members[k].tool)
				continue;
			names[i].client = e->members[k].member;
			names[i].toolset = e->members[k].set;
		}
	}
	e->sent->names = names;
	e->sent->nnames = e->ntools;
	return OK;
}

int openai_plan_tools(struct enc *e)
{
	struct seen s = { 0 };
	size_t i, n = 0;
	int r;

	for (i = 0; i < e->req->ntools; i++)
		n += openai_toolset_size(&e->req->tools[i]);
	e->tools = arena_array(e->c->a, e->req->ntools + n, sizeof *e->tools);
	e->members = arena_array(e->c->a, n, sizeof *e->members);
	if (!e->tools || !e->members)
		return E_FULL;
	r = see(e, &s);
	if (r == OK)
		r = gather(e, &s);
	if (r == OK)
		r = limit(e, &s);
	if (r != OK)
		return r;
	choose(e);
	return name_all(e);
}

/* ---- writing ---- */

/* What Anthropic's models know by heart (OA-55). */
static const struct known {
	enum tool_kind kind;
	const char *about, *schema;
} known[] = {
	{ TOOL_BASH, "Run a command in a bash session that lasts; restart "
	    "begins a new one.",
	    "{\"type\":\"object\",\"properties\":{"
	    "\"command\":{\"type\":\"string\"},"
	    "\"restart\":{\"type\":\"boolean\"}}}" },
	{ TOOL_MEMORY, "View and edit the files of the memory directory.",
	    "{\"type\":\"object\",\"properties\":{"
	    "\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\","
	    "\"str_replace\",\"insert\",\"delete\",\"rename\"]},"
	    "\"path\":{\"type\":\"string\"},"
	    "\"view_range\":{\"type\":\"array\",\"items\":"
	    "{\"type\":\"integer\"}},"
	    "\"file_text\":{\"type\":\"string\"},"
	    "\"old_str\":{\"type\":\"string\"},"
	    "\"new_str\":{\"type\":\"string\"},"
	    "\"insert_line\":{\"type\":\"integer\"},"
	    "\"insert_text\":{\"type\":\"string\"},"
	    "\"old_path\":{\"type\":\"string\"},"
	    "\"new_path\":{\"type\":\"string\"}},"
	    "\"required\":[\"command\"]}" },
	{ TOOL_COMPUTER, "Use the screen, the mouse and the keyboard. "
	    "Coordinates are pixels: x, y.",
	    "{\"type\":\"object\",\"properties\":{"
	    "\"action\":{\"type\":\"string\"},"
	    "\"coordinate\":{\"type\":\"array\",\"items\":"
	    "{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":2},"
	    "\"start_coordinate\":{\"type\":\"array\",\"items\":"
	    "{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":2},"
	    "\"text\":{\"type\":\"string\"},"
	    "\"duration\":{\"type\":\"number\"},"
	    "\"scroll_direction\":{\"type\":\"string\",\"enum\":[\"up\","
	    "\"down\",\"left\",\"right\"]},"
	    "\"scroll_amount\":{\"type\":\"integer\"},"
	    "\"region\":{\"type\":\"array\",\"items\":"
	    "{\"type\":\"integer\"}}},"
	    "\"required\":[\"action\"]}" },
};

#define EDITOR(undo) "{\"type\":\"object\",\"properties\":{" \
	"\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\"," \
	"\"str_replace\",\"insert\"" undo "]}," \
	"\"path\":{\"type\":\"string\"}," \
	"\"file_text\":{\"type\":\"string\"}," \
	"\"old_str\":{\"type\":\"string\"}," \
	"\"new_str\":{\"type\":\"string\"}," \
	"\"insert_line\":{\"type\":\"integer\"}," \
	"\"insert_text\":{\"type\":\"string\"}," \
	"\"view_range\":{\"type\":\"array\",\"items\":" \
	"{\"type\":\"integer\"},\"minItems\":2,\"maxItems\":2}}," \
	"\"required\":[\"command\",\"path\"]}"

static struct known known_tool(const struct tool *t)
{
	struct known k = { TOOL_TEXT_EDITOR, "View, create and edit text "
	    "files. Lines count from 1.", EDITOR("") };
	size_t i;

	for (i = 0; i < COUNT(known); i++)
		if (known[i].kind == t->kind)
			return known[i];
	/* The later ones have no undo. */
	if (str_ends(t->type.raw, S("_20241022")) ||
	    str_ends(t->type.raw, S("_20250124")))
		k.schema = EDITOR(",\"undo_edit\"");
	return k;
}

static void put_examples(struct enc *e, const struct tool *t, size_t from)
{
	struct json_iter it = json_iter(json_get(t->json, S("input_examples")));
	int n;

	for (n = 0; n < EXAMPLES_MAX && json_next(&it); n++) {
		if (n == 0)
			buf_put(&e->b, e->b.n > from ? S("\\nExamples:") :
			    S("Examples:"));
		buf_put(&e->b, S("\\n"));
		json_stringify(&e->b, json_raw(it.value));
	}
}

/* Then they are estimated together: one by one they are as short as words that
 * have to be read to the byte, and together as long as a conversation. */
static int many_tools(const struct enc *e)
{
	return e->ntools >= TOOLS_MANY && counts_nearly(e);
}

static void put_description(struct enc *e, const struct tool *t)
{
	size_t mark = e->b.n, from;

	buf_put(&e->b, S(",\"description\":\""));
	from = e->b.n;
	put_text(e, t->description);
	put_examples(e, t, from);
	if (t->kind != TOOL_CLIENT && e->b.n == from)
		buf_put(&e->b, str_of(known_tool(t).about));
	if (e->b.n == from && !t->description.raw.p) {
		e->b.n = mark;
		return;
	}
	if (!many_tools(e))
		cost_text(e, from);
	buf_chr(&e->b, '"');
}

static int wants_strict(struct enc *e, const struct tool *t)
{
	enum openai_profile p = e->flags->profile;

	if (!t->strict)
		return 0;
	if ((p == P_OPENAI || p == P_OPENROUTER || p == P_VLLM) &&
	    !openai_refused(e->c, PARAM_STRICT) &&
	    openai_schema_strict(t->schema)) {
		e->sent->sent_params |= 1u << PARAM_STRICT;
		return 1;
	}
	note(e->c->notes, NOTE_DROPPED, S("tools.strict"),
	    S("the schema or the backend doesn't allow it"));
	return 0;
}

static void put_tool(struct enc *e, size_t i)
{
	const struct tool *t = e->tools[i];
	struct str name = e->sent->names[i].upstream;
	size_t from;

	buf_put(&e->b, S("{\"type\":\"function\",\"function\":{\"name\":\""));
	buf_put(&e->b, name);
	buf_chr(&e->b, '"');
	put_description(e, t);
	buf_put(&e->b, S(",\"parameters\":"));
	from = e->b.n;
	if (t->kind == TOOL_CLIENT)
		openai_schema(&e->b, e->c, t->schema);
	else
		buf_put(&e->b, str_of(known_tool(t).schema));
	if (!many_tools(e))
		e->cost += estimate_text(name, e->flags->vocabulary) +
		    estimate_text(str_from(buf_str(&e->b), from),
		    e->flags->vocabulary) + TOOL_COST;
	if (wants_strict(e, t))
		buf_put(&e->b, S(",\"strict\":true"));
	buf_put(&e->b, S("}}"));
}

static void put_choice(struct enc *e)
{
	switch (e->choice) {
	case CHOICE_ABSENT:
		return;
	case CHOICE_AUTO:
		buf_put(&e->b, S("\"auto\""));
		return;
	case CHOICE_ANY:
		buf_put(&e->b, S("\"required\""));
		return;
	case CHOICE_NONE:
		buf_put(&e->b, S("\"none\""));
		return;
	case CHOICE_TOOL:
		buf_put(&e->b, S("{\"type\":\"function\",\"function\":"
		    "{\"name\":\""));
		openai_put_name(e, &e->b, e->req->choice_name);
		buf_put(&e->b, S("\"}}"));
		return;
	}
}

/* What stands around a tool is paid for by TOOL_COST. */
static uint64_t cost_of_many(const struct enc *e, size_t from)
{
	const struct str around = S("{\"type\":\"function\",\"function\""
	    ":{\"name\":\"\",\"description\":\"\",\"parameters\":}},");
	enum vocabulary v = e->flags->vocabulary;
	uint64_t all = estimate_kept(openai_estimates(e->c),
	    str_from(buf_str(&e->b), from), v);
	uint64_t frames = e->ntools * estimate_text(around, v);

	return (all > frames ? all - frames : 0) + e->ntools * TOOL_COST;
}

void openai_put_tools(struct enc *e)
{
	size_t i, mark, from;

	if (!e->ntools)
		return;
	e->cost += 1200;
	mark = openai_key(e, S("tools"));
	from = e->b.n;
	for (i = 0; i < e->ntools; i++) {
		buf_chr(&e->b, i ? ',' : '[');
		put_tool(e, i);
	}
	buf_chr(&e->b, ']');
	if (many_tools(e))
		e->cost += cost_of_many(e, from);
	openai_key_end(e, S("tools"), mark);
	if (e->choice != CHOICE_ABSENT && e->c->kind == CALL_MESSAGES) {
		mark = openai_key(e, S("tool_choice"));
		put_choice(e);
		openai_key_end(e, S("tool_choice"), mark);
	}
}
