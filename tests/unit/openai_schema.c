/* openai_schema.c -- schemas as each provider takes them, rule by rule.
 *
 * JSON is written with ' for " here, so that it can be read.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/backend/openai_schema.c"
#include "t.h"

enum { ARENA = 8 << 20 };

static _Alignas(16) char memory[ARENA];
static char in_room[1 << 20], want_room[1 << 16], out_room[1 << 20];
static struct openai_facts facts;
static struct upstream up = { .facts = &facts };
static struct call c = { .up = &up };

static struct str quoted(char *room, const char *s)
{
	size_t i;

	for (i = 0; s[i]; i++)
		room[i] = s[i] == '\'' ? '"' : s[i];
	return (struct str){ room, i };
}

static struct jv parsed(struct str s)
{
	static struct json doc;
	struct arena a = { memory, memory + ARENA };

	T(json_parse(&doc, s, &a, NULL) == OK, "the test's schema: %.*s",
	    (int)s.n, s.p);
	return json_root(&doc);
}

static struct str cleaned(struct str s)
{
	struct buf b = buf_on(out_room, sizeof out_room);

	openai_schema(&b, &c, parsed(s));
	T(json_check(buf_str(&b), NULL, NULL) == OK, "valid JSON: %.*s",
	    (int)b.n, b.p);
	return buf_str(&b);
}

static void becomes(const char *schema, const char *want, const char *label)
{
	T_STR(cleaned(quoted(in_room, schema)), quoted(want_room, want), "%s",
	    label);
}

/* A property's schema inside an object. */
static void property(const char *schema, const char *want, const char *label)
{
	char in[2048], out[2048];

	snprintf(in, sizeof in, "{'type':'object','properties':{'p':%s}}",
	    schema);
	snprintf(out, sizeof out, "{'type':'object','properties':{'p':%s}}",
	    want);
	becomes(in, out, label);
}

static void test_full(void)
{
	facts.flags.schema_subset = SCHEMA_FULL;
	becomes("{'type':'object'}", "{'type':'object','properties':{}}",
	    "OA-57 properties missing");
	becomes("{'type':'object','properties':null,'x':1}",
	    "{'type':'object','properties':{},'x':1}", "OA-57 null");
	becomes("{'properties':{}}", "{'type':'object','properties':{}}",
	    "OA-57 type missing");
	becomes("true", "{'type':'object','properties':{}}", "OA-57 no object");
	becomes("{ '$schema' : 'x', '$id':'y', 'type':'object', 'required':"
	    " ['$id'], 'properties':{'$id':{'$schema':1},'n':{'minimum':1.0}}"
	    "}", "{'type':'object','required':['$id'],'properties':{'$id':"
	    "{'$schema':1},'n':{'minimum':1.0}}}",
	    "OA-57 at the top alone, never a property's name; order kept");
}

static void test_grammar(void)
{
	facts.flags.schema_subset = SCHEMA_GRAMMAR;
	property("{'type':'string','pattern':'a+'}", "{'type':'string'}",
	    "OA-59 pattern");
	property("{'pattern':'^a+$','type':'string'}",
	    "{'pattern':'^a+$','type':'string'}", "OA-59 anchored");
	property("{'format':'uri'}", "{}", "OA-59 format");
	property("{'format':'date-time'}", "{'format':'date-time'}",
	    "OA-59 date-time");
	property("{'$ref':'https://e/s.json'}", "{}", "OA-59 remote");
	property("{'$ref':'#/$defs/a'}", "{'$ref':'#/$defs/a'}",
	    "OA-59 local");
	property("{'type':'object','properties':{'pattern':{'type':'string'},"
	    "'format':{'pattern':'x'}},'default':{'pattern':'x'},'anyOf':"
	    "[{'format':'uri'},{'items':{'pattern':'b'}}]}",
	    "{'type':'object','properties':{'pattern':{'type':'string'},"
	    "'format':{}},'default':{'pattern':'x'},'anyOf':[{},{'items':"
	    "{}}]}", "OA-59 field note 35: names and data are not keywords");
	becomes("{'$schema':'x'}", "{'type':'object','properties':{}}",
	    "OA-57 in this way too");
}

static void test_gemini(void)
{
	facts.flags.schema_subset = SCHEMA_GEMINI;
	becomes("{'$schema':'x','type':'object','additionalProperties':false,"
	    "'properties':{'a':{'type':'string','$comment':'c','examples':"
	    "['x'],'minLength':1},'additionalProperties':{'type':'number',"
	    "'multipleOf':2}},'required':['a','gone']}",
	    "{'type':'object','required':['a'],'properties':{'a':{'type':"
	    "'string','minLength':1},'additionalProperties':{'type':"
	    "'number'}}}", "OA-58 dropped; required filtered");
	becomes("{}", "{'type':'object','properties':{}}", "OA-57 OA-58");
	property("{'const':'v'}", "{'type':'string','enum':['v']}",
	    "OA-58 const");
	property("{'type':'integer','const':5,'description':'d'}",
	    "{'type':'integer','description':'d (always 5)'}",
	    "OA-58 const, no string");
	property("{'type':'integer','exclusiveMinimum':0,'exclusiveMaximum':"
	    "9}", "{'type':'integer','minimum':1,'maximum':8}",
	    "OA-58 exclusive, integer");
	property("{'type':'number','exclusiveMinimum':0.5}",
	    "{'type':'number','minimum':0.5}", "OA-58 exclusive, number");
	property("{'type':['string','null']}",
	    "{'type':'string','nullable':true}", "OA-58 null among types");
	property("{'type':['string','integer']}",
	    "{'anyOf':[{'type':'string'},{'type':'integer'}]}",
	    "OA-58 several types");
	property("{'oneOf':[{'type':'string'},{'type':'number'}]}",
	    "{'anyOf':[{'type':'string'},{'type':'number'}]}",
	    "OA-58 oneOf");
	property("{'anyOf':[{'type':'string','maxLength':3},{'type':'null'}]"
	    ",'description':'d'}", "{'type':'string','description':'d',"
	    "'nullable':true,'maxLength':3}", "OA-58 one and null");
	property("{'allOf':[{'type':'object','properties':{'a':{'type':"
	    "'string'}},'required':['a']},{'type':'object','properties':{'b':"
	    "{'type':'integer'},'a':{'type':'null'}}}]}",
	    "{'type':'object','required':['a'],'properties':{'a':{'type':"
	    "'string'},'b':{'type':'integer'}}}", "OA-58 allOf merged");
	property("{'type':'string','format':'uri'}", "{'type':'string'}",
	    "OA-58 format");
	property("{'type':'string','format':'date-time'}",
	    "{'type':'string','format':'date-time'}", "OA-58 date-time");
	property("{'type':'string','enum':['a',1,true,null,'']}",
	    "{'type':'string','enum':['a','1','true']}",
	    "OA-58 enum stringified");
	property("{'enum':['a','b']}", "{'type':'string','enum':['a','b']}",
	    "OA-58 an enum says its type");
	property("{'enum':['a',1]}", "{'type':'string','enum':['a']}",
	    "OA-58 an enum of several types");
	property("{'enum':[1,2]}", "{}", "OA-58 an enum of numbers alone");
	property("{'type':'integer','enum':[1,2]}", "{'type':'integer'}",
	    "OA-58 enum dropped");
	property("{'type':'array'}",
	    "{'type':'array','items':{'type':'string'}}", "OA-58 items");
	property("{'type':'array','items':{'type':'array'}}",
	    "{'type':'array','items':{'type':'array','items':{'type':"
	    "'string'}}}", "OA-58 nested items");
	property("{'type':'object','properties':{}}", "{'type':'object'}",
	    "OA-58 empty object");
	property("true", "{}", "a schema that is true");
	property("{'type':'object','patternProperties':{'^a':{}},'not':{},"
	    "'if':{},'then':{},'propertyNames':{},'deprecated':true}",
	    "{'type':'object'}", "OA-58 all these");
	property("{'type':'string','default':{'a': [1]},'title':'t'}",
	    "{'type':'string','title':'t','default':{'a':[1]}}",
	    "OA-58 kept");
}

static void test_empty_refused(void)
{
	facts.flags.schema_subset = SCHEMA_GEMINI;
	openai_learned(&c)->refused = 1u << PARAM_EMPTY_OBJECT;
	property("{'type':'object','description':'d'}", "{'type':'string',"
	    "'description':'d (JSON object)'}", "OA-58 refused before");
	becomes("{'type':'object'}", "{'type':'object','properties':{}}",
	    "OA-58 not at the top");
	openai_learned(&c)->refused = 0;
}

static void test_refs(void)
{
	char big[1 << 14];
	size_t n, i;

	facts.flags.schema_subset = SCHEMA_GEMINI;
	becomes("{'type':'object','properties':{'a':{'$ref':'#/$defs/x',"
	    "'description':'here'}},'$defs':{'x':{'type':'string',"
	    "'description':'there'}}}", "{'type':'object','properties':{'a':"
	    "{'type':'string','description':'here'}}}",
	    "OA-58 inlined; siblings stay");
	becomes("{'type':'object','properties':{'a':{'$ref':"
	    "'#/definitions/x~1y'}},'definitions':{'x/y':{'type':"
	    "'integer'}}}", "{'type':'object','properties':{'a':{'type':"
	    "'integer'}}}", "OA-58 a pointer's escapes");
	becomes("{'type':'object','properties':{'n':{'$ref':'#/$defs/n'}},"
	    "'$defs':{'n':{'type':'object','properties':{'next':{'$ref':"
	    "'#/$defs/n'}}}}}", "{'type':'object','properties':{'n':{'type':"
	    "'object','properties':{'next':{'type':'object'}}}}}",
	    "OA-58 a cycle");
	becomes("{'type':'object','properties':{'a':{'$ref':'#'}}}",
	    "{'type':'object','properties':{'a':{'type':'object'}}}",
	    "OA-58 the root itself");
	property("{'$ref':'#/$defs/gone'}", "{}", "OA-58 nowhere");
	property("{'$ref':'https://e/x'}", "{}", "OA-58 elsewhere");
	/* a0 -> {x: a1, y: a1} -> ...: doubles at every step. */
	n = (size_t)snprintf(big, sizeof big, "{'type':'object','properties':"
	    "{'p':{'$ref':'#/$defs/a0'}},'$defs':{");
	for (i = 0; i < 40; i++)
		n += (size_t)snprintf(big + n, sizeof big - n, "%s'a%zu':"
		    "{'type':'object','properties':{'x':{'$ref':'#/$defs/"
		    "a%zu'},'y':{'$ref':'#/$defs/a%zu'}}}", i ? "," : "", i,
		    i + 1, i + 1);
	snprintf(big + n, sizeof big - n, "}}");
	{
		struct buf b = buf_on(out_room, sizeof out_room);

		T(openai_schema(&b, &c, parsed(quoted(in_room, big))) ==
		    E_FULL, "OA-58 what doubles ends at the room there is");
	}
}

static void test_deep(void)
{
	static const int subsets[] = { SCHEMA_FULL, SCHEMA_GEMINI,
	    SCHEMA_GRAMMAR };
	char *p = in_room;
	size_t i, k;

	/* items inside items, as deep as JSON may be. */
	for (i = 0; i < JSON_DEPTH_MAX - 1; i++)
		p += sprintf(p, "{\"items\":");
	p += sprintf(p, "{}");
	for (i = 0; i < JSON_DEPTH_MAX - 1; i++)
		*p++ = '}';
	for (k = 0; k < COUNT(subsets); k++) {
		facts.flags.schema_subset = subsets[k] == SCHEMA_FULL ?
		    SCHEMA_FULL : subsets[k] == SCHEMA_GEMINI ?
		    SCHEMA_GEMINI : SCHEMA_GRAMMAR;
		T(cleaned((struct str){ in_room, (size_t)(p - in_room) }).n >
		    JSON_DEPTH_MAX, "as deep as JSON goes, way %zu", k);
	}
	T(!openai_schema_strict(parsed((struct str){ in_room,
	    (size_t)(p - in_room) })), "5.3 too deep");
}

static int strict(const char *s)
{
	return openai_schema_strict(parsed(quoted(in_room, s)));
}

static void test_strict(void)
{
#define CLOSED "'additionalProperties':false"
	T(strict("{'$schema':'x','type':'object','properties':{'a':{'type':"
	    "'string'}},'required':['a']," CLOSED "}"), "5.3");
	T(!strict("{'type':'object','properties':{'a':{'type':'string'}},"
	    "'required':['a']}"), "5.3 open");
	T(!strict("{'type':'object','properties':{'a':{}},'required':[],"
	    CLOSED "}"), "5.3 not required");
	T(!strict("{'type':'object','properties':{'a':{},'b':{}},'required':"
	    "['a','a']," CLOSED "}"), "5.3 not all of them");
	T(!strict("{'type':'object','properties':{'a':{'type':'object',"
	    "'properties':{}}},'required':['a']," CLOSED "}"),
	    "5.3 an inner one is open");
	T(!strict("{'type':'object','properties':{'a':{'oneOf':[]}},"
	    "'required':['a']," CLOSED "}"), "5.3 oneOf");
	T(!strict("{'type':'object','properties':{'a':{'minLength':1}},"
	    "'required':['a']," CLOSED "}"), "5.3 minLength");
	T(strict("{'type':'object','properties':{'minLength':{'type':['null',"
	    "'string']}},'required':['minLength']," CLOSED "}"),
	    "5.3 a property's name is no keyword");
	T(!strict("{'type':'object','properties':{'a':{'type':'array','items':"
	    "{'type':'object'}}},'required':['a']," CLOSED "}"),
	    "5.3 in items");
	T(!strict("{'type':'array','items':{}}"), "5.3 no object");
	T(!strict("true"), "5.3 no schema");
}

int main(void)
{
	test_full();
	test_grammar();
	test_gemini();
	test_empty_refused();
	test_refs();
	test_deep();
	test_strict();
	return t_done("openai_schema");
}
