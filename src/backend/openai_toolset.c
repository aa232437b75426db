/* openai_toolset.c -- toolsets, one function for each of their members (OA-56).
 *
 * One entry of the client's list stands for a family of tools whose schemas
 * Anthropic's models know by heart. Here they are spelled out, in the form the
 * clients' own types give them. A call of "computer__left_click" reaches the
 * client as left_click of the toolset computer.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

struct member {
	const char *name, *about;
	const char *properties;		/* of its schema */
	const char *required;		/* names, quoted */
	int off;			/* unless the client turns it on */
};

#define STRING(name) "\"" name "\":{\"type\":\"string\"}"
#define NUMBER(name) "\"" name "\":{\"type\":\"number\"}"
#define WHOLE(name) "\"" name "\":{\"type\":\"integer\"}"
#define POINT(name) "\"" name "\":{\"type\":\"array\",\"items\":" \
	"{\"type\":\"number\"},\"minItems\":2,\"maxItems\":2," \
	"\"description\":\"x, y: pixels from the left and the top edge\"}"
#define REGION "\"region\":{\"type\":\"array\",\"items\":" \
	"{\"type\":\"number\"},\"minItems\":4,\"maxItems\":4," \
	"\"description\":\"x0, y0, x1, y1 in pixels\"}"
#define DIRECTION "\"scroll_direction\":{\"type\":\"string\",\"enum\":" \
	"[\"up\",\"down\",\"left\",\"right\"]}"
#define KEYS "\"text\":{\"type\":\"string\",\"description\":" \
	"\"keys to hold meanwhile, such as ctrl+shift\"}"
#define CLICK POINT("coordinate") "," KEYS

static const struct member computer[] = {
	{ "key", "Press a key or a combination such as ctrl+s.",
	    STRING("text") "," WHOLE("repeat"), "\"text\"", 0 },
	{ "hold_key", "Hold a key or a combination for some seconds.",
	    STRING("text") "," NUMBER("duration"), "\"text\",\"duration\"", 0 },
	{ "type", "Type a text.", STRING("text"), "\"text\"", 0 },
	{ "cursor_position", "Tell where the mouse pointer is.", "", "", 0 },
	{ "mouse_move", "Move the mouse pointer.", POINT("coordinate"),
	    "\"coordinate\"", 0 },
	{ "left_mouse_down", "Press the left mouse button and keep it down.",
	    "", "", 0 },
	{ "left_mouse_up", "Let go of the left mouse button.", "", "", 0 },
	{ "left_click", "Click the left mouse button, at the pointer if no "
	    "coordinate is given.", CLICK, "", 0 },
	{ "left_click_drag", "Drag with the left mouse button from "
	    "start_coordinate to coordinate.",
	    POINT("start_coordinate") "," CLICK,
	    "\"start_coordinate\",\"coordinate\"", 0 },
	{ "right_click", "Click the right mouse button.", CLICK, "", 0 },
	{ "middle_click", "Click the middle mouse button.", CLICK, "", 0 },
	{ "double_click", "Click twice.", CLICK, "", 0 },
	{ "triple_click", "Click three times.", CLICK, "", 0 },
	{ "scroll", "Turn the mouse wheel by some clicks.",
	    DIRECTION "," WHOLE("scroll_amount") "," CLICK,
	    "\"scroll_direction\",\"scroll_amount\"", 0 },
	{ "wait", "Wait for some seconds.", NUMBER("duration"),
	    "\"duration\"", 0 },
	{ "screenshot", "Look at the screen.", "", "", 0 },
	{ "zoom", "Look at a part of the screen closely.", REGION,
	    "\"region\"", 0 },
};

#define TAB "\"tab_id\":{\"type\":\"string\",\"description\":" \
	"\"the active tab if left out\"}"
#define SPOT(name) "\"" name "\":{\"type\":\"object\",\"properties\":{" \
	"\"type\":{\"type\":\"string\",\"enum\":[\"coordinate\"]}," \
	NUMBER("x") "," NUMBER("y") "},\"required\":[\"type\",\"x\",\"y\"]}"
#define ELEMENT "\"target\":{\"type\":\"object\",\"properties\":{" \
	"\"type\":{\"type\":\"string\",\"enum\":[\"ref\"]}," STRING("ref") \
	"},\"required\":[\"type\",\"ref\"]}"
#define TARGET "\"target\":{\"type\":\"object\",\"description\":" \
	"\"type coordinate with x and y, or type ref with an element's ref\"," \
	"\"properties\":{\"type\":{\"type\":\"string\",\"enum\":" \
	"[\"coordinate\",\"ref\"]}," NUMBER("x") "," NUMBER("y") "," \
	STRING("ref") "},\"required\":[\"type\"]}"
#define TAP TARGET "," STRING("modifiers") "," TAB

static const struct member browser[] = {
	{ "navigate", "Open a URL; back, forward and reload are taken too.",
	    STRING("url") "," TAB, "\"url\"", 0 },
	{ "list_tabs", "List the open tabs.", "", "", 0 },
	{ "new_tab", "Open a tab.", "", "", 0 },
	{ "switch_tab", "Make a tab the active one.", STRING("tab_id"),
	    "\"tab_id\"", 0 },
	{ "close_tab", "Close a tab.", STRING("tab_id"), "\"tab_id\"", 0 },
	{ "read_page", "Read the page as a tree of elements with references "
	    "for later actions.", "\"filter\":{\"type\":\"string\",\"enum\":"
	    "[\"all\",\"interactive\"]}," STRING("ref") "," WHOLE("depth") ","
	    TAB, "", 0 },
	{ "get_page_text", "Read the page's text.", TAB, "", 0 },
	{ "find", "Find elements by a description in words.",
	    STRING("query") "," TAB, "\"query\"", 0 },
	{ "form_input", "Set the value of a form's element.", ELEMENT
	    ",\"value\":{\"type\":[\"string\",\"number\",\"boolean\"]}," TAB,
	    "\"target\",\"value\"", 0 },
	{ "file_upload", "Give files to a form's element.", ELEMENT
	    ",\"paths\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
	    "\"document_ids\":{\"type\":\"array\",\"items\":{\"type\":"
	    "\"string\"}}," TAB, "\"target\"", 1 },
	{ "left_click", "Click.", TAP, "\"target\"", 0 },
	{ "right_click", "Click the right mouse button.", TAP,
	    "\"target\"", 0 },
	{ "middle_click", "Click the middle mouse button.", TAP,
	    "\"target\"", 0 },
	{ "double_click", "Click twice.", TAP, "\"target\"", 0 },
	{ "triple_click", "Click three times.", TAP, "\"target\"", 0 },
	{ "hover", "Hold the pointer over something.", TARGET "," TAB,
	    "\"target\"", 0 },
	{ "mouse_move", "Move the pointer.", SPOT("target") "," TAB,
	    "\"target\"", 0 },
	{ "left_mouse_down", "Press the left mouse button and keep it down.",
	    SPOT("target") "," TAB, "\"target\"", 0 },
	{ "left_mouse_up", "Let go of the left mouse button.",
	    SPOT("target") "," TAB, "\"target\"", 0 },
	{ "left_click_drag", "Drag with the left mouse button.",
	    SPOT("from") "," SPOT("target") "," TAB, "\"from\",\"target\"", 0 },
	{ "scroll", "Turn the mouse wheel at a place, 1 to 10 notches.",
	    DIRECTION "," SPOT("target") "," WHOLE("scroll_amount") "," TAB,
	    "\"scroll_direction\",\"target\"", 0 },
	{ "scroll_to", "Scroll an element into view.", ELEMENT "," TAB,
	    "\"target\"", 0 },
	{ "type", "Type a text.", STRING("text") "," TAB, "\"text\"", 0 },
	{ "key", "Press keys: + joins them, a blank begins the next.",
	    STRING("text") "," WHOLE("repeat") "," TAB, "\"text\"", 0 },
	{ "hold_key", "Hold a key for some seconds, 30 at most.",
	    STRING("text") "," NUMBER("duration") "," TAB,
	    "\"text\",\"duration\"", 0 },
	{ "wait", "Wait for some seconds, 30 at most.",
	    NUMBER("duration") "," TAB, "\"duration\"", 0 },
	{ "screenshot", "Look at the page.", TAB, "", 0 },
	{ "zoom", "Look at a part of the page closely.", REGION "," TAB,
	    "\"region\"", 0 },
	{ "read_console", "Read the console's messages.", TAB, "", 0 },
	{ "read_network", "Read the network's requests.", TAB, "", 0 },
	{ "javascript_exec", "Run JavaScript in the page.",
	    STRING("text") "," TAB, "\"text\"", 1 },
};

/* Which members are on when nobody says so is in no type: those that run code
 * or take files wait to be asked for, as the harmless mistake of the two. */
static const struct set {
	struct str type, name;
	const struct member *v;
	size_t n;
} sets[] = {
	{ { "computer_toolset_20260801", 25 }, { "computer", 8 }, computer,
	    COUNT(computer) },
	{ { "browser_toolset_20260801", 24 }, { "browser", 7 }, browser,
	    COUNT(browser) },
};

static const struct set *set_of(const struct tool *t)
{
	size_t i;

	for (i = 0; i < COUNT(sets); i++)
		if (jstr_eq(t->type, sets[i].type))
			return &sets[i];
	return NULL;
}

size_t openai_toolset_size(const struct tool *t)
{
	const struct set *s = t->kind == TOOL_TOOLSET ? set_of(t) : NULL;

	return s ? s->n : 0;
}

static int is_on(const struct tool *t, const struct member *m)
{
	struct jv v = json_get(json_get(json_get(t->json, S("configs")),
	    str_of(m->name)), S("enabled"));

	return json_true(v) || (!m->off && json_type(v) != JSON_FALSE);
}

/* The client's names: out is in the arena. */
static int join(struct arena *a, struct jstr set, struct jstr member,
    struct jstr *out)
{
	struct buf b = buf_open(a);

	buf_put(&b, set.raw);
	buf_put(&b, S("__"));
	buf_put(&b, member.raw);
	out->raw = buf_end(a, &b);
	return b.full ? E_FULL : OK;
}

void openai_put_call_name(struct enc *e, const struct block *b)
{
	struct jstr set = json_str(json_get(b->json, S("toolset_name")));
	struct buf *to = &e->b;
	struct arena scratch = { to->p + to->n, to->p + to->cap };
	struct jstr name = b->name;

	/* The name is put together behind the body, from where it is written
	 * once more: it may have to change on the way. */
	scratch.cur += (to->cap - to->n) / 2;
	if (set.raw.n && join(&scratch, set, b->name, &name) != OK)
		to->full = 1;
	openai_put_name(e, to, name);
}

/* Its schema, parsed like one of the client's. */
static struct jv schema_of(struct arena *a, const struct member *m)
{
	struct json *doc = arena_get(a, sizeof *doc);
	struct buf b = buf_open(a);
	struct str text;

	buf_put(&b, S("{\"type\":\"object\",\"properties\":{"));
	buf_put(&b, str_of(m->properties));
	buf_put(&b, S("}"));
	if (m->required[0]) {
		buf_put(&b, S(",\"required\":["));
		buf_put(&b, str_of(m->required));
		buf_put(&b, S("]"));
	}
	buf_put(&b, S("}"));
	text = buf_end(a, &b);
	if (!doc || b.full || json_parse(doc, text, a, NULL) != OK)
		return (struct jv){ NULL, 0 };
	return json_root(doc);
}

int openai_toolset_expand(struct enc *e, const struct tool *t)
{
	const struct set *s = set_of(t);
	struct member_tool *to;
	size_t i;

	if (!s)
		return OK;		/* of size 0: nothing to expand */
	for (i = 0; i < e->nmembers; i++)
		if (str_eq(e->members[i].set.raw, s->name))
			return OK;	/* listed twice */
	for (i = 0; i < s->n; i++) {
		if (!is_on(t, &s->v[i]))
			continue;
		to = &e->members[e->nmembers++];
		to->set.raw = s->name;
		to->member.raw = str_of(s->v[i].name);
		to->tool.description.raw = str_of(s->v[i].about);
		to->tool.schema = schema_of(e->c->a, &s->v[i]);
		if (!to->tool.schema.doc || join(e->c->a, to->set, to->member,
		    &to->tool.name) != OK)
			return E_FULL;
		e->tools[e->ntools++] = &to->tool;
	}
	return OK;
}
