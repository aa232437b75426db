/* demo_script.c -- what the demo model says to a request.
 *
 * In this order: what a tool found, when its result came last; the value a
 * schema or a forced tool asks for; a title or a summary, for the side jobs of
 * clients; a call of a tool that only reads, when the prompt asks to see
 * something; else who is speaking and how to get a real model.
 *
 * Only tools whose name says that they read are ever called: a demo that
 * writes to somebody's disk would be no demo.
 *
 * SPDX-License-Identifier: MIT */
#include "demo.h"

enum {
	PROMPT_MAX = 2000,	/* of the prompt that is looked at */
	SAID_MAX = 80,		/* of somebody's words that are repeated */
	LEVELS = 8		/* of a schema that are filled */
};

/* ---- reading the request ---- */

static struct str plain(struct call *c, struct jstr s)
{
	struct str text;

	s.raw = str_head(s.raw, PROMPT_MAX);
	s.raw.n = json_whole(s.raw);
	text = json_text(c->a, s);
	return text.p ? text : S("");
}

/* The last turn of the user; system turns may follow it. */
static const struct message *last_turn(const struct request *r)
{
	size_t i = r->nmessages;

	while (i > 0)
		if (r->messages[--i].role == ROLE_USER)
			return &r->messages[i];
	return NULL;
}

/* What the user typed: the last text that no client wrapped in a tag. */
static struct jstr prompt_of(const struct message *m)
{
	struct jstr found = { S("") };
	size_t i;

	for (i = 0; m && i < m->n; i++)
		if (m->blocks[i].type == B_TEXT &&
		    (!jstr_starts(m->blocks[i].text, S("<")) ||
		    found.raw.n == 0))
			found = m->blocks[i].text;
	return found;
}

static int has(struct str text, struct str word)
{
	return str_ifind(text, word) < text.n;
}

static int is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
	    (c >= '0' && c <= '9');
}

/* The word alone, not as a part of another. */
static int has_word(struct str text, struct str word)
{
	size_t at, end;

	for (; (at = str_ifind(text, word)) < text.n;
	    text = str_from(text, at + 1)) {
		end = at + word.n;
		if ((at == 0 || !is_letter(text.p[at - 1])) &&
		    (end == text.n || !is_letter(text.p[end])))
			return 1;
	}
	return 0;
}

static int has_any(struct str text, const char *const *words)
{
	for (; *words; words++)
		if (has_word(text, str_of(*words)))
			return 1;
	return 0;
}

static int in_system(const struct request *r, struct str word)
{
	size_t i;

	for (i = 0; i < r->nsystem; i++)
		if (has(str_head(r->system[i].text.raw, PROMPT_MAX), word))
			return 1;
	return 0;
}

/* At most n bytes of whole characters, one line, without blanks around. */
static struct str clip(struct str s, size_t n)
{
	s = str_trim(s);
	s = str_head(s, str_chr(s, '\n'));
	s = str_head(s, n);
	return str_trim(str_head(s, utf8_valid(s)));
}

/* ---- paths ---- */

static int is_path_byte(char c)
{
	return is_letter(c) || c == '.' || c == '/' || c == '-' || c == '~' ||
	    c == '+' || (unsigned char)c >= 0x80;
}

/* The nth word that looks like a path: a slash in it, or a dot and a letter. */
static struct str find_path(struct str text, size_t nth)
{
	struct str w;
	size_t i = 0, n, dot;

	while (i < text.n) {
		for (n = i; n < text.n && is_path_byte(text.p[n]); n++)
			;
		w = str_head(str_from(text, i), n - i);
		i = n + (n == i);
		while (w.n && w.p[w.n - 1] == '.')
			w.n--;		/* the end of a sentence */
		dot = str_chr(w, '.');
		if (w.n < 2 || !(str_chr(w, '/') < w.n || (dot + 1 < w.n &&
		    w.n > 3 && w.p[dot + 1] > '9')))
			continue;
		if (nth-- == 0)
			return w;
	}
	return S("");
}

/* Where the client says it works, as Claude Code does in its system texts. */
static struct str find_folder(struct call *c)
{
	static const struct str mark = { "orking directory: ", 18 };
	const struct request *r = c->req;
	struct str text, folder = S("");
	size_t i, at, n = r->nsystem + r->nmessages;

	for (i = 0; i < n && folder.n == 0; i++) {
		const struct message *m = i < r->nsystem ? NULL :
		    &r->messages[i - r->nsystem];

		if (m && (m->role == ROLE_ASSISTANT || m->n == 0))
			continue;
		text = m ? m->blocks[0].text.raw : r->system[i].text.raw;
		at = str_find(text, mark);
		folder = str_from(text, at + mark.n);
		folder = str_head(folder, str_chr(folder, '\\'));
	}
	return folder.n && folder.p[0] == '/' && folder.n < 1000 ? folder :
	    S("");
}

static struct str absolute(struct call *c, struct str path)
{
	struct str folder = find_folder(c);
	struct buf b;

	if (path.n == 0 || path.p[0] == '/' || path.p[0] == '~' ||
	    folder.n == 0)
		return path;
	b = buf_open(c->a);
	buf_put(&b, folder);
	buf_chr(&b, '/');
	buf_put(&b, path);
	return b.full ? path : buf_end(c->a, &b);
}

/* ---- values for a schema ---- */

static struct jstr schema_type(struct jv schema)
{
	struct jv type = json_get(schema, S("type"));

	if (json_type(type) == JSON_ARRAY)
		type = json_at(type, 0);
	if (json_type(type) == JSON_STRING)
		return json_str(type);
	return (struct jstr){ json_count(json_get(schema, S("properties"))) ?
	    S("object") : S("string") };
}

static void fill_string(struct buf *b, struct str key, struct str path,
    struct str prompt)
{
	struct str said = clip(prompt, SAID_MAX);

	if (has(key, S("path")) || has(key, S("file")) || has(key, S("dir")) ||
	    has(key, S("folder")))
		json_quote(b, path.n ? path : S("README.md"));
	else if (has(key, S("glob")) || has(key, S("pattern")))
		json_quote(b, S("*"));
	else if (has(key, S("url")) || has(key, S("uri")))
		json_quote(b, S("https://example.com/"));
	else if (has(key, S("title")) || has(key, S("name")))
		json_quote(b, S("Demo conversation"));
	else
		json_quote(b, said.n ? said : S("demo"));
}

/* Anything but an object or an array. */
static void fill_scalar(struct buf *b, struct jv schema, struct str key,
    struct str path, struct str prompt)
{
	static const struct str given[] = {
		{ "const", 5 }, { "default", 7 }
	};
	struct jv v;
	struct jstr type = schema_type(schema);
	size_t i;

	for (i = 0; i < COUNT(given); i++) {
		v = json_get(schema, given[i]);
		if (json_type(v) != JSON_ABSENT) {
			json_compact(b, json_raw(v));
			return;
		}
	}
	v = json_at(json_get(schema, S("enum")), 0);
	if (json_type(v) != JSON_ABSENT)
		json_compact(b, json_raw(v));
	else if (jstr_eq(type, S("boolean")))
		buf_put(b, S("false"));
	else if (jstr_eq(type, S("null")))
		buf_put(b, S("null"));
	else if (jstr_eq(type, S("integer")) || jstr_eq(type, S("number")))
		buf_int(b, json_int(json_get(schema, S("minimum")), 1));
	else
		fill_string(b, key, path, prompt);
}

struct level {
	struct jv properties;
	struct json_iter required;
	struct str close;
	int any;
};

static struct level level_of(struct jv schema, struct str close)
{
	struct level l = { .close = close };

	l.properties = json_get(schema, S("properties"));
	l.required = json_iter(json_get(schema, S("required")));
	return l;
}

/* Takes up the next required member; 0 when there is none left. */
static int fill_member(struct buf *b, struct level *l, struct jv *schema,
    struct str *key)
{
	while (!l->required.object && json_next(&l->required)) {
		if (json_type(l->required.value) != JSON_STRING)
			continue;
		*key = json_str(l->required.value).raw;
		*schema = json_get(l->properties, *key);
		if (l->any++)
			buf_chr(b, ',');
		buf_chr(b, '"');
		json_put(b, (struct jstr){ *key });
		buf_put(b, S("\":"));
		return 1;
	}
	return 0;
}

void demo_fill(struct buf *b, struct jv schema, struct str path,
    struct str prompt)
{
	struct level levels[LEVELS];
	struct str key = S("");
	size_t depth = 0;
	int many;

	for (;;) {
		many = jstr_eq(schema_type(schema), S("array"));
		if (many && json_int(json_get(schema, S("minItems")), 0) < 1) {
			buf_put(b, S("[]"));
		} else if (many || jstr_eq(schema_type(schema), S("object"))) {
			if (many) {
				buf_chr(b, '[');
				schema = json_get(schema, S("items"));
			}
			if (!jstr_eq(schema_type(schema), S("object"))) {
				fill_scalar(b, schema, key, path, prompt);
				buf_chr(b, ']');
			} else if (depth == LEVELS) {
				buf_put(b, many ? S("{}]") : S("{}"));
			} else {
				buf_chr(b, '{');
				levels[depth++] = level_of(schema,
				    many ? S("}]") : S("}"));
			}
		} else {
			fill_scalar(b, schema, key, path, prompt);
		}
		while (depth && !fill_member(b, &levels[depth - 1], &schema,
		    &key))
			buf_put(b, levels[--depth].close);
		if (depth == 0)
			return;
	}
}

/* ---- tools ---- */

/* Whether a part of the name is the word or begins with it: read_file,
 * NotebookRead, but not spreadsheet. */
static int has_part(struct str name, struct str word)
{
	size_t at, from = 0;

	while ((at = str_ifind(str_from(name, from), word)) + from < name.n) {
		at += from;
		if (at == 0 || name.p[at - 1] == '_' || name.p[at - 1] == '-' ||
		    (name.p[at] >= 'A' && name.p[at] <= 'Z'))
			return 1;
		from = at + 1;
	}
	return 0;
}

/* Whether its name says that it reads and nothing more. */
static int reads(const struct tool *t)
{
	static const char *const good[] = {
		"read", "list", "glob", "grep", "get", "search", "find", "view",
		"ls"
	};
	static const char *const bad[] = {
		"write", "edit", "create", "update", "delete", "remove", "set",
		"send", "exec", "run", "bash", "shell", "kill", "move", "todo",
		"web", "fetch", "toolsearch", "append", "insert", "post"
	};
	size_t i;

	if (t->kind != TOOL_CLIENT || t->defer_loading ||
	    json_type(t->schema) != JSON_OBJECT)
		return 0;
	for (i = 0; i < COUNT(bad); i++)
		if (has(t->name.raw, str_of(bad[i])))
			return 0;
	for (i = 0; i < COUNT(good); i++)
		if (has_part(t->name.raw, str_of(good[i])))
			return 1;
	return 0;
}

/* How well a tool answers the prompt; 0: it wasn't asked for. */
static int fits(const struct tool *t, struct str prompt)
{
	static const char *const see[] = { "read", "look at", "show", "open",
		"view", NULL };
	static const char *const list[] = { "list", "files", "folder",
		"directory", NULL };
	static const char *const seek[] = { "search", "find", "grep", NULL };
	struct str name = t->name.raw;

	if (has_word(prompt, name))
		return 3;
	if (has_any(prompt, see))
		return has(name, S("read")) || has(name, S("view")) ? 2 : 1;
	if (has_any(prompt, list))
		return has(name, S("list")) || has(name, S("glob")) ||
		    str_ieq(name, S("ls")) ? 2 : 1;
	if (has_any(prompt, seek))
		return has(name, S("search")) || has(name, S("find")) ||
		    has(name, S("grep")) ? 2 : 1;
	return 0;
}

static void add_call(struct demo_script *s, struct call *c,
    const struct tool *t, struct str prompt)
{
	struct str path = absolute(c, find_path(prompt, s->ncalls));
	struct buf b;

	if (path.n == 0)
		path = absolute(c, find_path(prompt, 0));
	b = buf_open(c->a);
	if (json_type(t->schema) == JSON_OBJECT &&
	    json_count(json_get(t->schema, S("required"))))
		demo_fill(&b, t->schema, path, prompt);
	else
		buf_put(&b, S("{}"));
	s->calls[s->ncalls].name = t->name;
	s->calls[s->ncalls++].input = b.full ? S("{}") : buf_end(c->a, &b);
}

static void choose_tools(struct demo_script *s, struct call *c,
    struct str prompt)
{
	static const char *const twice[] = { "both", "parallel", "two", NULL };
	const struct request *r = c->req;
	const struct tool *best = NULL, *next = NULL;
	int score, high = 0, second = -1;
	size_t i;

	for (i = 0; i < r->ntools; i++) {
		if (!reads(&r->tools[i]))
			continue;
		score = fits(&r->tools[i], prompt);
		if (score > high) {
			if (best) {
				next = best;
				second = high;
			}
			best = &r->tools[i];
			high = score;
		} else if (score > second) {
			next = &r->tools[i];
			second = score;
		}
	}
	if (!best)
		return;
	add_call(s, c, best, prompt);
	if (has_any(prompt, twice) && !r->no_parallel)
		add_call(s, c, next && find_path(prompt, 1).n == 0 ? next :
		    best, prompt);
}

static const struct tool *find_tool(const struct request *r, struct jstr name)
{
	size_t i;

	for (i = 0; i < r->ntools; i++)
		if (r->tools[i].kind != TOOL_SERVER &&
		    (name.raw.n == 0 ||
		    str_eq(r->tools[i].name.raw, name.raw)))
			return &r->tools[i];
	return NULL;
}

/* ---- texts ---- */

/* The first line of a text in a result; room for SAID_MAX bytes. */
static struct str first_line(const struct block *result, char *room)
{
	struct buf b = buf_on(room, SAID_MAX);
	struct jstr text;
	size_t i;

	for (i = 0; i < result->ncontent && b.n == 0; i++) {
		if (result->content[i].type != B_TEXT)
			continue;
		text.raw = str_head(result->content[i].text.raw, SAID_MAX);
		text.raw.n = json_whole(text.raw);
		json_unescape(&b, text);
	}
	return clip(buf_str(&b), SAID_MAX);
}

static void put_results(struct buf *b, const struct message *m)
{
	char room[SAID_MAX];
	struct str line;
	size_t i, k, size;

	for (i = 0; i < m->n; i++) {
		const struct block *t = &m->blocks[i];

		if (t->type != B_TOOL_RESULT)
			continue;
		for (k = size = 0; k < t->ncontent; k++)
			size += t->content[k].text.raw.n;
		line = first_line(t, room);
		buf_put(b, t->is_error ? S("The tool failed") :
		    S("The tool answered"));
		buf_put(b, S(" with about "));
		buf_u64(b, size);
		buf_put(b, size == 1 ? S(" byte") : S(" bytes"));
		if (line.n) {
			buf_put(b, S(". It begins: "));
			buf_put(b, line);
		}
		buf_put(b, S("\n\n"));
	}
	buf_put(b, S("That was the demo model's look at it; a real one would "
	    "go on from here."));
}

static void put_intro(struct buf *b, const struct request *r,
    struct str prompt)
{
	struct str said = clip(prompt, SAID_MAX);
	size_t i;
	int any = 0;

	buf_put(b, S("I am the demo model inside claudecodex " VERSION ": no "
	    "key, no network, a script that shows the proxy at work."));
	if (said.n) {
		buf_put(b, S(" You wrote: \""));
		buf_put(b, said);
		buf_put(b, S("\"."));
	}
	buf_put(b, S("\n\nTo talk to a real model, stop the proxy and set one "
	    "of these:\n\n"));
	if (backend_find(S("bedrock")))
		buf_put(b, S("- AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
		    "AWS_SECRET_ACCESS_KEY, for Amazon Bedrock\n"));
	buf_put(b, S("- OPENAI_API_KEY and OPENAI_MODEL for OpenAI, with "
	    "OPENAI_BASE_URL for any server that speaks its language\n"
	    "- LLM_BACKEND=anthropic, with ANTHROPIC_API_KEY or the client's "
	    "own, for Anthropic\n"));
	for (i = 0; i < r->ntools && !any; i++)
		any = reads(&r->tools[i]);
	if (any)
		buf_put(b, S("\nYour client offers tools: ask me to read "
		    "README.md and I will call one, or two in parallel if "
		    "you say so."));
	else
		buf_put(b, S("\nEvery request and its answer shows on the "
		    "proxy's console meanwhile."));
}

static void put_summary(struct buf *b, const struct request *r,
    struct str prompt)
{
	struct str said = clip(prompt, SAID_MAX);

	buf_put(b, S("Summary by the demo model, which understands nothing: a "
	    "conversation of "));
	buf_u64(b, r->nmessages);
	buf_put(b, r->nmessages == 1 ? S(" message") : S(" messages"));
	if (said.n) {
		buf_put(b, S(", the last request being: "));
		buf_put(b, said);
	}
}

static int has_results(const struct message *m)
{
	size_t i;

	for (i = 0; m && i < m->n; i++)
		if (m->blocks[i].type == B_TOOL_RESULT)
			return 1;
	return 0;
}

/* Side jobs of clients: short, and in the form they ask for. 0: none. */
static int put_side_job(struct buf *b, const struct request *r,
    struct str prompt)
{
	int alone = r->ntools == 0;

	if (alone && str_ieq(str_trim(prompt), S("quota"))) {
		buf_put(b, S("ok"));
		return 1;
	}
	if (alone && (in_system(r, S("title")) || has_word(prompt,
	    S("title")))) {
		buf_put(b, in_system(r, S("json")) ? S("{\"isNewTopic\":false,"
		    "\"title\":\"Demo conversation\"}") :
		    S("Demo conversation"));
		return 1;
	}
	if ((alone && in_system(r, S("summar"))) ||
	    has(prompt, S("summary of the conversation")) ||
	    has(str_head(prompt, SAID_MAX), S("summari"))) {
		put_summary(b, r, prompt);
		return 1;
	}
	return 0;
}

static void put_text(const struct demo_script *s, struct buf *b,
    const struct request *r, struct str prompt)
{
	if (r->format.doc) {
		demo_fill(b, json_get(r->format, S("schema")), S(""), prompt);
		return;
	}
	if (put_side_job(b, r, prompt))
		return;
	if (s->ncalls) {
		buf_put(b, s->ncalls > 1 ? S("Two calls at once, then:") :
		    S("Let me have a look."));
		return;
	}
	put_intro(b, r, prompt);
}

static void choose_calls(struct demo_script *s, struct call *c,
    struct str prompt)
{
	const struct request *r = c->req;
	const struct tool *t;

	if (r->choice == CHOICE_ANY || r->choice == CHOICE_TOOL) {
		t = find_tool(r, r->choice == CHOICE_TOOL ? r->choice_name :
		    (struct jstr){ S("") });
		if (t)
			add_call(s, c, t, prompt);
	} else if (r->choice != CHOICE_NONE && !r->format.doc) {
		choose_tools(s, c, prompt);
	}
}

int demo_script(struct demo_script *s, struct call *c)
{
	const struct request *r = c->req;
	const struct message *m = last_turn(r);
	struct str prompt = plain(c, prompt_of(m));
	struct buf b;

	if (has_results(m)) {
		b = buf_open(c->a);
		put_results(&b, m);
	} else {
		choose_calls(s, c, prompt);
		b = buf_open(c->a);
		put_text(s, &b, r, prompt);
	}
	if (b.full)
		return E_FULL;
	s->text = buf_end(c->a, &b);
	if ((r->thinking == THINKING_ENABLED ||
	    r->thinking == THINKING_ADAPTIVE) &&
	    r->display != DISPLAY_OMITTED)
		s->thinking = s->ncalls ? S("The prompt asks to see something, "
		    "and there is a tool that only reads. I will call it.") :
		    S("There is no model behind me, so there is little to "
		    "think about: say who I am, and what to do next.");
	return OK;
}
