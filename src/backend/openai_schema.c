/* openai_schema.c -- JSON Schema as each provider wants it (5.2, 5.3).
 *
 * Three ways. Most take a schema as it is, if it is one of an object. Servers
 * that turn it into a grammar choke on some keywords, which are left out. For
 * Gemini it is written anew, in openai_gemini.c.
 *
 * Nothing recurses: a schema is walked with a stack of bounded depth.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_schema.h"

enum {
	STRICT_DEPTH = 10,	/* 5.3 */
	STRICT_PROPERTIES = 5000
};

/* ---- as it is, or with some keywords left out (OA-57, OA-59) ---- */

enum holds { HOLDS_DATA, HOLDS_SCHEMA, HOLDS_LIST, HOLDS_MAP };

/* What the value of a keyword is made of. */
static enum holds holds(struct jstr key, struct jv value)
{
	static const struct str maps[] = {
		{ "properties", 10 }, { "$defs", 5 }, { "definitions", 11 },
		{ "patternProperties", 17 }, { "dependentSchemas", 16 }
	};
	static const struct str one[] = {
		{ "items", 5 }, { "additionalProperties", 20 }, { "not", 3 },
		{ "if", 2 }, { "then", 4 }, { "else", 4 }, { "contains", 8 },
		{ "propertyNames", 13 }
	};
	static const struct str lists[] = {
		{ "anyOf", 5 }, { "oneOf", 5 }, { "allOf", 5 },
		{ "prefixItems", 11 }, { "items", 5 }
	};

	if (json_type(value) == JSON_ARRAY)
		return IN(key, lists) ? HOLDS_LIST : HOLDS_DATA;
	if (!is_object(value))
		return HOLDS_DATA;
	return IN(key, maps) ? HOLDS_MAP : IN(key, one) ? HOLDS_SCHEMA :
	    HOLDS_DATA;
}

static int is_anchored(struct str s)
{
	return s.n >= 2 && s.p[0] == '^' && s.p[s.n - 1] == '$';
}

/* What llama.cpp's grammar can't be made of (OA-59). */
static int not_in_grammar(struct jstr key, struct jv value)
{
	static const struct str formats[] = {
		{ "date", 4 }, { "time", 4 }, { "date-time", 9 },
		{ "uuid", 4 }
	};

	if (jstr_eq(key, S("pattern")))
		return !is_anchored(json_str(value).raw);
	if (jstr_eq(key, S("format")))
		return !IN(json_str(value), formats);
	return jstr_eq(key, S("$ref")) &&
	    !jstr_starts(json_str(value), S("#"));
}

/* At the top, `parameters` has to be the schema of an object. */
static int not_at_top(struct jstr key)
{
	return jstr_eq(key, S("$schema")) || jstr_eq(key, S("$id"));
}

/* Whether a schema's "type" is this, or has it among others. */
static int is_type(struct jv t, struct str type)
{
	struct json_iter it = json_iter(t);

	if (json_is(t, type))
		return 1;
	while (!it.object && json_next(&it))
		if (json_is(it.value, type))
			return 1;
	return 0;
}

static int names_type(struct jv node, struct str type)
{
	return is_type(json_get(node, S("type")), type);
}

struct copy {
	struct json_iter it;
	enum holds holds;
	size_t n;
	int array, items;	/* a schema's: it is of an array; says of what */
};

static void copy_open(struct buf *b, struct copy *c, struct jv v,
    enum holds what)
{
	*c = (struct copy){ .it = json_iter(v), .holds = what };
	buf_chr(b, what == HOLDS_LIST ? '[' : '{');
}

/* What the copy of a schema has to know of its members. */
static void copy_note(struct copy *c)
{
	if (jstr_eq(c->it.key, S("type")))
		c->array = is_type(c->it.value, S("array"));
	else if (jstr_eq(c->it.key, S("items")))
		c->items = 1;
}

/* The next member of the innermost value that is open. Returns what it holds
 * and leaves that to be opened; HOLDS_DATA: it is written. */
static enum holds copy_member(struct buf *b, struct copy *c, int grammar,
    int top)
{
	struct jv v = c->it.value;
	enum json_type type = json_type(v);
	enum holds what = type == JSON_OBJECT ? HOLDS_SCHEMA : HOLDS_DATA;

	if (c->holds == HOLDS_LIST) {
		if (c->n++)
			buf_chr(b, ',');
	} else {
		if (c->holds == HOLDS_SCHEMA &&
		    ((grammar && not_in_grammar(c->it.key, v)) ||
		    (top && not_at_top(c->it.key))))
			return HOLDS_DATA;
		put_key(b, &c->n, c->it.key.raw);
		if (c->holds == HOLDS_SCHEMA) {
			copy_note(c);
			what = holds(c->it.key, v);
		}
	}
	if (top && type != JSON_OBJECT &&
	    jstr_eq(c->it.key, S("properties")))
		buf_put(b, S("{}"));
	else if (type != JSON_OBJECT && type != JSON_ARRAY)
		buf_put(b, json_raw(v));	/* no blanks in it */
	else if (what == HOLDS_DATA)
		json_compact(b, json_raw(v));
	else
		return what;
	return HOLDS_DATA;
}

static void copy_schema(struct buf *b, struct jv schema, int grammar)
{
	struct copy stack[JSON_DEPTH_MAX + 1];
	enum holds what;
	size_t depth = 1;

	copy_open(b, &stack[0], schema, HOLDS_SCHEMA);
	if (json_type(json_get(schema, S("type"))) == JSON_ABSENT) {
		put_key(b, &stack[0].n, S("type"));
		buf_put(b, S("\"object\""));
	}
	while (depth) {
		struct copy *c = &stack[depth - 1];

		if (json_next(&c->it)) {
			what = copy_member(b, c, grammar, depth == 1);
			if (what != HOLDS_DATA)
				copy_open(b, &stack[depth++], c->it.value,
				    what);
			continue;
		}
		/* OpenAI refuses the whole request for an array that doesn't
		 * say of what; to JSON Schema `items: {}` says the same as
		 * none. */
		if (c->array && !c->items) {
			put_key(b, &c->n, S("items"));
			buf_put(b, S("{}"));
		}
		if (depth == 1 && json_type(json_get(schema,
		    S("properties"))) == JSON_ABSENT) {
			put_key(b, &c->n, S("properties"));
			buf_put(b, S("{}"));
		}
		buf_chr(b, c->holds == HOLDS_LIST ? ']' : '}');
		depth--;
	}
}

int openai_schema(struct buf *b, struct call *c, struct jv schema)
{
	if (!is_object(schema))
		buf_put(b, S("{\"type\":\"object\",\"properties\":{}}"));
	else if (openai_flags(c)->schema_subset == SCHEMA_GEMINI)
		openai_gemini_schema(b, schema,
		    openai_refused(c, PARAM_EMPTY_OBJECT));
	else
		copy_schema(b, schema,
		    openai_flags(c)->schema_subset == SCHEMA_GRAMMAR);
	return b->full ? E_FULL : OK;
}

/* ---- strict (5.3) ---- */

static int keywords_ok(struct jv node, int top)
{
	static const struct str known[] = {
		{ "type", 4 }, { "title", 5 }, { "description", 11 },
		{ "properties", 10 }, { "required", 8 },
		{ "additionalProperties", 20 }, { "items", 5 }, { "enum", 4 },
		{ "const", 5 }, { "anyOf", 5 }, { "$ref", 4 }, { "$defs", 5 },
		{ "definitions", 11 }, { "pattern", 7 }, { "format", 6 },
		{ "multipleOf", 10 }, { "minimum", 7 }, { "maximum", 7 },
		{ "exclusiveMinimum", 16 }, { "exclusiveMaximum", 16 },
		{ "minItems", 8 }, { "maxItems", 8 }
	};
	struct json_iter it = json_iter(node);

	while (json_next(&it))
		if (!IN(it.key, known) && !(top && not_at_top(it.key)))
			return 0;
	return 1;
}

static int all_required(struct jv node)
{
	struct jv required = json_get(node, S("required"));
	struct json_iter p = json_iter(json_get(node, S("properties"))), it;
	int found;

	if (json_count(required) < p.left ||
	    json_count(required) > STRICT_PROPERTIES)
		return 0;
	while (json_next(&p)) {
		it = json_iter(required);
		found = 0;
		while (!found && json_next(&it))
			found = str_eq(json_str(it.value).raw, p.key.raw);
		if (!found)
			return 0;
	}
	return 1;
}

static int node_strict(struct jv node, int top, size_t *properties)
{
	size_t n = json_count(json_get(node, S("properties")));

	if (!keywords_ok(node, top))
		return 0;
	if (top && (!json_is(json_get(node, S("type")), S("object")) ||
	    json_get(node, S("anyOf")).doc))
		return 0;
	*properties += n;
	if (*properties > STRICT_PROPERTIES)
		return 0;
	if (!n && !names_type(node, S("object")))
		return 1;
	return json_type(json_get(node, S("additionalProperties"))) ==
	    JSON_FALSE && all_required(node);
}

int openai_schema_strict(struct jv schema)
{
	struct { struct json_iter it; enum holds holds; } stack[JSON_DEPTH_MAX];
	size_t depth = 1, properties = 0, levels = 1;
	enum holds what;
	struct jv v;

	if (!is_object(schema) || !node_strict(schema, 1, &properties))
		return 0;
	stack[0].it = json_iter(schema);
	stack[0].holds = HOLDS_SCHEMA;
	while (depth) {
		if (!json_next(&stack[depth - 1].it)) {
			depth--;
			levels -= stack[depth].holds == HOLDS_SCHEMA;
			continue;
		}
		v = stack[depth - 1].it.value;
		what = HOLDS_SCHEMA;
		if (stack[depth - 1].holds == HOLDS_SCHEMA)
			what = holds(stack[depth - 1].it.key, v);
		if (what == HOLDS_DATA)
			continue;
		if (what == HOLDS_SCHEMA && (++levels > STRICT_DEPTH ||
		    !is_object(v) || !node_strict(v, 0, &properties)))
			return 0;
		stack[depth].it = json_iter(v);
		stack[depth++].holds = what;
	}
	return 1;
}
