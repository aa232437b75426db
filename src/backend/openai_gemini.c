/* openai_gemini.c -- a JSON Schema as Gemini takes it (OA-58).
 *
 * Gemini fails the whole request for any keyword it doesn't know, so a schema
 * is written anew from what it does know, in a fixed order.
 *
 * Nothing recurses: a schema is walked with a stack of bounded depth, what
 * lies deeper becomes an object of any kind, and each frame knows which nodes
 * it stands for, so that a $ref that leads back to one of them is seen.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_schema.h"

enum {
	PARTS_MAX = 8,		/* nodes that make one: a $ref's target, allOf's
				 * members; more are left out */
	REFS_MAX = 16,		/* inlined one inside the other (OA-58) */
	PATH_MAX = 200,		/* of a $ref that is followed */
	FILTER_MAX = 1 << 20,	/* name comparisons worth making for one
				 * `required`; past that it is left out */
	PROPERTIES_MAX = 1000	/* of several nodes merged to one */
};

/* One schema to be written: the nodes that make it, and how far it is. */
struct frame {
	struct jv parts[PARTS_MAX];
	size_t nparts;
	int refs;		/* followed on the way here */
	int nullable, cycle;
	int top;
	size_t n;		/* keys written */
	enum { DO_PROPERTIES, DO_ITEMS, DO_ANY, DO_END } stage;
	int open;		/* that stage's bracket is */
	size_t part;		/* whose properties are being written */
	size_t children;
	struct json_iter it;
};

struct gemini {
	struct buf *b;
	struct jv root;
	int empty_refused;	/* PARAM_EMPTY_OBJECT */
	size_t depth;
	struct frame stack[JSON_DEPTH_MAX];
};

static struct jv get(const struct frame *f, struct str key)
{
	struct jv v = { NULL, 0 };
	size_t i;

	for (i = 0; i < f->nparts && !v.doc; i++)
		v = json_get(f->parts[i], key);
	return v;
}

/* Where "#/$defs/a/b" leads; absent if it leaves the document. */
static struct jv follow(struct jv root, struct jstr ref)
{
	char room[PATH_MAX];
	struct buf b = buf_on(room, sizeof room);
	struct jv v = { NULL, 0 };
	struct str path, name;
	size_t i;

	json_unescape(&b, ref);
	if (b.full || b.n == 0 || b.p[0] != '#')
		return v;
	path = str_from(buf_str(&b), 1);
	if (path.n && path.p[0] != '/')
		return v;
	for (v = root, path = str_from(path, 1); str_cut(&path, '/', &name); ) {
		char plain[PATH_MAX];
		struct buf p = buf_on(plain, sizeof plain);

		/* JSON Pointer: ~1 is a slash, ~0 a tilde. */
		for (i = 0; i < name.n; i++) {
			int tilde = name.p[i] == '~' && i + 1 < name.n;

			buf_chr(&p, !tilde ? name.p[i] :
			    name.p[i + 1] == '1' ? '/' : '~');
			i += (size_t)tilde;
		}
		v = json_get(v, buf_str(&p));
	}
	return v;
}

static int stands_for(const struct frame *f, struct jv v)
{
	size_t i;

	for (i = 0; i < f->nparts; i++)
		if (f->parts[i].i == v.i)
			return 1;
	return 0;
}

/* On the way from the root to here? */
static int leads_back(const struct gemini *g, struct jv v)
{
	size_t i;

	for (i = 0; i < g->depth; i++)
		if (stands_for(&g->stack[i], v))
			return 1;
	return 0;
}

static void add_part(struct frame *f, struct jv v)
{
	if (is_object(v) && f->nparts < PARTS_MAX && !stands_for(f, v))
		f->parts[f->nparts++] = v;
}

static void add_all_of(struct frame *f, struct jv list)
{
	struct json_iter it = json_iter(list);
	size_t n = 0;

	while (json_next(&it)) {
		struct jv ref = json_get(it.value, S("$ref"));

		if (n++ && !ref.doc && !json_get(it.value,
		    S("properties")).doc && !json_is(json_get(it.value,
		    S("type")), S("object")))
			continue;	/* the first stands for what won't merge */
		add_part(f, it.value);
	}
}

static struct jv alternatives(const struct frame *f)
{
	struct jv v = get(f, S("anyOf"));

	return json_type(v) == JSON_ARRAY ? v : get(f, S("oneOf"));
}

static int is_null(struct jv v)
{
	return json_is(json_get(v, S("type")), S("null"));
}

static size_t count_real(struct jv list)
{
	struct json_iter it = json_iter(list);
	size_t n = 0;

	while (!it.object && json_next(&it))
		n += !is_null(it.value);
	return n;
}

/* The only one beside null; absent if there are more, or none. */
static struct jv only_one(struct frame *f, struct jv list)
{
	struct json_iter it = json_iter(list);
	struct jv found = { NULL, 0 };

	while (!it.object && json_next(&it)) {
		if (is_null(it.value))
			f->nullable = 1;
		else
			found = it.value;
	}
	return count_real(list) == 1 ? found : (struct jv){ NULL, 0 };
}

/* Collects the nodes that v stands for. */
static void expand(const struct gemini *g, struct frame *f, struct jv v)
{
	struct jv ref;
	size_t i = 0;

	add_part(f, v);
	for (;;) {
		for (; i < f->nparts; i++) {
			ref = json_get(f->parts[i], S("$ref"));
			if (ref.doc) {
				v = follow(g->root, json_str(ref));
				if (v.doc && (++f->refs > REFS_MAX ||
				    leads_back(g, v) || stands_for(f, v)))
					f->cycle = 1;
				add_part(f, v);
			}
			add_all_of(f, json_get(f->parts[i], S("allOf")));
		}
		v = only_one(f, alternatives(f));
		if (!v.doc || stands_for(f, v) || f->nparts == PARTS_MAX)
			return;
		add_part(f, v);
	}
}

/* ---- one node's own keywords ---- */

/* The one real type, empty if there is none or several. */
static struct str type_of(struct frame *f)
{
	struct jv t = get(f, S("type"));
	struct json_iter it = json_iter(t);
	struct str found = S("");
	size_t n = 0;

	if (json_type(t) == JSON_STRING)
		return json_str(t).raw;
	while (!it.object && json_next(&it)) {
		if (json_is(it.value, S("null"))) {
			f->nullable = 1;
		} else {
			found = json_str(it.value).raw;
			n++;
		}
	}
	if (n)
		return n == 1 ? found : S("");
	if (get(f, S("properties")).doc)
		return S("object");
	return get(f, S("items")).doc ? S("array") : S("");
}

static int several_types(const struct frame *f)
{
	struct json_iter it = json_iter(get(f, S("type")));
	size_t n = 0;

	while (!it.object && json_next(&it))
		n += !json_is(it.value, S("null"));
	return n > 1;
}

static void put_member(struct gemini *g, struct frame *f, const char *key)
{
	struct jv v = get(f, str_of(key));

	if (!v.doc)
		return;
	put_key(g->b, &f->n, str_of(key));
	json_compact(g->b, json_raw(v));
}

static void put_format(struct gemini *g, struct frame *f, struct str type)
{
	static const struct str numbers[] = {
		{ "int32", 5 }, { "int64", 5 }, { "float", 5 },
		{ "double", 6 }
	};
	struct jstr v = json_str(get(f, S("format")));

	if (jstr_eq(v, S("date-time")) || jstr_eq(v, S("enum")) ||
	    (!str_eq(type, S("string")) && IN(v, numbers)))
		put_member(g, f, "format");
}

/* A constant that no enum can hold, and an object that had to become a
 * string, are told in words. */
static void put_description(struct gemini *g, struct frame *f, int as_text)
{
	struct jv constant = get(f, S("const"));
	struct jstr d = json_str(get(f, S("description")));
	int told = constant.doc && json_type(constant) != JSON_STRING;

	if (!d.raw.n && !told && !as_text)
		return;
	put_key(g->b, &f->n, S("description"));
	buf_chr(g->b, '"');
	buf_put(g->b, d.raw);
	if (told) {
		buf_put(g->b, d.raw.n ? S(" (always ") : S("(always "));
		json_stringify(g->b, json_raw(constant));
		buf_chr(g->b, ')');
	}
	if (as_text)
		buf_put(g->b, d.raw.n ? S(" (JSON object)") :
		    S("(JSON object)"));
	buf_chr(g->b, '"');
}

/* Strings only, and none that is empty; others as strings where the type says
 * so. */
static void put_enum(struct gemini *g, struct frame *f, struct str type)
{
	struct jv list = get(f, S("enum")), constant = get(f, S("const"));
	struct json_iter it = json_iter(list);
	size_t mark = g->b->n, keys = f->n, n = 0;

	put_key(g->b, &f->n, S("enum"));
	buf_chr(g->b, '[');
	if (!list.doc && json_str(constant).raw.n) {
		buf_put(g->b, json_raw(constant));
		n++;
	}
	while (!it.object && json_next(&it)) {
		int text = json_type(it.value) == JSON_STRING;

		if (text ? json_str(it.value).raw.n == 0 :
		    json_type(it.value) == JSON_NULL ||
		    !str_eq(type, S("string")))
			continue;
		buf_put(g->b, n++ ? S(",\"") : S("\""));
		if (text)
			buf_put(g->b, json_str(it.value).raw);
		else
			json_stringify(g->b, json_raw(it.value));
		buf_chr(g->b, '"');
	}
	buf_chr(g->b, ']');
	if (n)
		return;
	g->b->n = mark;
	f->n = keys;
}

static void put_bound(struct gemini *g, struct frame *f, struct str type,
    struct str key, struct str exclusive, int step)
{
	struct jv v = get(f, key), x = get(f, exclusive);
	int64_t i;

	if (json_num(v).n) {
		put_key(g->b, &f->n, key);
		buf_put(g->b, json_raw(v));
	} else if (json_num(x).n) {
		put_key(g->b, &f->n, key);
		i = json_int(x, INT64_MAX);
		if (str_eq(type, S("integer")) && i < INT64_MAX - 1 &&
		    i > INT64_MIN)
			buf_int(g->b, i + step);
		else
			buf_put(g->b, json_raw(x));
	}
}

/* Whether one of the frame's first n nodes has a property of that name. */
static int is_property(const struct frame *f, size_t n, struct jstr name)
{
	struct json_iter it;
	size_t i;

	for (i = 0; i < n; i++) {
		it = json_iter(json_get(f->parts[i], S("properties")));
		while (json_next(&it))
			if (str_eq(it.key.raw, name.raw))
				return 1;
	}
	return 0;
}

/* Those of all nodes, but only names that are there. */
static void put_required(struct gemini *g, struct frame *f)
{
	size_t mark = g->b->n, keys = f->n, i, n = 0, names = 0, wanted = 0;
	struct json_iter it;

	for (i = 0; i < f->nparts; i++) {
		names += json_count(json_get(f->parts[i], S("properties")));
		wanted += json_count(json_get(f->parts[i], S("required")));
	}
	if (!wanted || !names || wanted > FILTER_MAX / names)
		return;
	put_key(g->b, &f->n, S("required"));
	buf_chr(g->b, '[');
	for (i = 0; i < f->nparts; i++) {
		it = json_iter(json_get(f->parts[i], S("required")));
		while (!it.object && json_next(&it)) {
			if (!is_property(f, f->nparts,
			    json_str(it.value)))
				continue;
			if (n++)
				buf_chr(g->b, ',');
			buf_put(g->b, json_raw(it.value));
		}
	}
	buf_chr(g->b, ']');
	if (n)
		return;
	g->b->n = mark;
	f->n = keys;
}

static size_t count_properties(const struct frame *f)
{
	size_t i, n = 0;

	for (i = 0; i < f->nparts; i++)
		n += json_count(json_get(f->parts[i], S("properties")));
	return n;
}

/* Gemini takes an enum for strings alone, and only where the type says so. */
static int has_string(struct jv list)
{
	struct json_iter it = json_iter(list);

	while (!it.object && json_next(&it))
		if (json_str(it.value).raw.n)
			return 1;
	return 0;
}

/* Everything of a node but its children. */
static void put_node(struct gemini *g, struct frame *f)
{
	static const char *const kept[] = { "minItems", "maxItems",
	    "minLength", "maxLength", "pattern", "propertyOrdering",
	    "default" };
	struct str type = type_of(f), given = type;
	int as_text = g->empty_refused && !f->top &&
	    str_eq(type, S("object")) && !count_properties(f);
	size_t i;

	buf_chr(g->b, '{');
	if (f->cycle) {
		put_key(g->b, &f->n, S("type"));
		buf_put(g->b, S("\"object\""));
		f->stage = DO_END;
		return;
	}
	if (f->top)
		type = S("object");
	if (type.n == 0 && (json_str(get(f, S("const"))).raw.n ||
	    has_string(get(f, S("enum")))))
		type = S("string");
	if (type.n) {
		put_key(g->b, &f->n, S("type"));
		buf_chr(g->b, '"');
		buf_put(g->b, as_text ? S("string") : type);
		buf_chr(g->b, '"');
	}
	put_format(g, f, type);
	put_member(g, f, "title");
	put_description(g, f, as_text);
	if (f->nullable || json_true(get(f, S("nullable")))) {
		put_key(g->b, &f->n, S("nullable"));
		buf_put(g->b, S("true"));
	}
	put_enum(g, f, given);
	put_required(g, f);
	put_bound(g, f, type, S("minimum"), S("exclusiveMinimum"), 1);
	put_bound(g, f, type, S("maximum"), S("exclusiveMaximum"), -1);
	for (i = 0; i < COUNT(kept); i++)
		put_member(g, f, kept[i]);
	if (as_text)
		f->stage = DO_END;
}

/* ---- children ---- */

static void push(struct gemini *g, struct jv v, const struct frame *parent)
{
	struct frame *f = &g->stack[g->depth];

	if (g->depth == JSON_DEPTH_MAX || !is_object(v)) {
		/* true: anything. Deeper than any real schema: an object. */
		buf_put(g->b, is_object(v) ? S("{\"type\":\"object\"}") :
		    S("{}"));
		return;
	}
	*f = (struct frame){ .refs = parent ? parent->refs : 0,
	    .top = !parent };
	expand(g, f, v);
	put_node(g, f);
	g->depth++;
}

/* The next property that no earlier node of the frame has. */
static int next_property(struct frame *f)
{
	do {
		while (!json_next(&f->it)) {
			if (++f->part >= f->nparts)
				return 0;
			f->it = json_iter(json_get(f->parts[f->part],
			    S("properties")));
			if (count_properties(f) > PROPERTIES_MAX)
				f->it.left = 0;
		}
	} while (is_property(f, f->part, f->it.key));
	return 1;
}

static void do_properties(struct gemini *g, struct frame *f)
{
	if (!f->open) {
		f->open = 1;
		f->it = json_iter(json_get(f->parts[0], S("properties")));
		if (!count_properties(f) && !f->top) {
			f->stage = DO_ITEMS;
			f->open = 0;
			return;
		}
		put_key(g->b, &f->n, S("properties"));
		buf_chr(g->b, '{');
	}
	if (!next_property(f)) {
		buf_chr(g->b, '}');
		f->stage = DO_ITEMS;
		f->open = 0;
		return;
	}
	put_key(g->b, &f->children, f->it.key.raw);
	push(g, f->it.value, f);
}

static void do_items(struct gemini *g, struct frame *f)
{
	struct jv items = get(f, S("items"));

	f->stage = DO_ANY;
	if (json_type(items) == JSON_ARRAY)
		items = json_at(items, 0);	/* a tuple: its first */
	if (!items.doc && !str_eq(type_of(f), S("array")))
		return;
	put_key(g->b, &f->n, S("items"));
	if (is_object(items))
		push(g, items, f);
	else
		buf_put(g->b, S("{\"type\":\"string\"}"));
}

/* Several types of one value, told as alternatives. */
static void put_types(struct gemini *g, struct frame *f)
{
	struct json_iter it = json_iter(get(f, S("type")));
	size_t n = 0;

	put_key(g->b, &f->n, S("anyOf"));
	buf_chr(g->b, '[');
	while (json_next(&it)) {
		if (json_type(it.value) != JSON_STRING ||
		    json_is(it.value, S("null")))
			continue;
		buf_put(g->b, n++ ? S(",{\"type\":") : S("{\"type\":"));
		buf_put(g->b, json_raw(it.value));
		if (json_is(it.value, S("array")))
			buf_put(g->b, S(",\"items\":{\"type\":\"string\"}"));
		buf_chr(g->b, '}');
	}
	buf_chr(g->b, ']');
}

static void do_any(struct gemini *g, struct frame *f)
{
	struct jv list = alternatives(f);

	if (!f->open) {
		/* A single one is part of the node already. */
		if (count_real(list) < 2) {
			if (several_types(f))
				put_types(g, f);
			f->stage = DO_END;
			return;
		}
		f->open = 1;
		f->children = 0;
		f->it = json_iter(list);
		put_key(g->b, &f->n, S("anyOf"));
		buf_chr(g->b, '[');
	}
	while (json_next(&f->it)) {
		if (is_null(f->it.value))
			continue;
		if (f->children++)
			buf_chr(g->b, ',');
		push(g, f->it.value, f);
		return;
	}
	buf_chr(g->b, ']');
	f->stage = DO_END;
}

void openai_gemini_schema(struct buf *b, struct jv schema, int empty_refused)
{
	struct gemini g;
	struct frame *f;

	/* Not all of it: a frame is set when it is pushed. */
	g.b = b;
	g.root = schema;
	g.empty_refused = empty_refused;
	g.depth = 0;
	push(&g, schema, NULL);
	while (g.depth && !b->full) {
		f = &g.stack[g.depth - 1];
		switch (f->stage) {
		case DO_PROPERTIES:
			do_properties(&g, f);
			break;
		case DO_ITEMS:
			do_items(&g, f);
			break;
		case DO_ANY:
			do_any(&g, f);
			break;
		case DO_END:
			buf_chr(b, '}');
			g.depth--;
			break;
		}
	}
}
