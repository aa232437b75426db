/* bedrock_converse.h -- a request made into a body of Converse, for tests.
 *
 * JSON is written with ' for ", and members stand for a whole request: a model,
 * max_tokens and a message are put in where they aren't given.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TEST_BEDROCK_CONVERSE_H
#define TEST_BEDROCK_CONVERSE_H

#include "../src/backend/bedrock.h"

enum { CONV_ARENA = 1 << 20, CONV_TEXT = 1 << 18 };

struct conv {
	struct bedrock_facts facts;
	struct upstream up;
	struct call c;
	struct bedrock st;
	struct request req;
	struct http_head client;
	struct notes notes;
	struct ids ids;
	struct fault fault;
	struct arena a;
	struct json doc, out;
	size_t room;		/* of the arena when the request was read;
				 * 0: all of it */
	char text[CONV_TEXT];
	_Alignas(16) char memory[CONV_ARENA];
};

/* ' becomes "; members become a request. */
static inline struct str conv_request(struct conv *w, const char *members)
{
	struct buf b = buf_on(w->text, sizeof w->text);
	size_t i;

	buf_put(&b, S("{\"model\":\"m\","));
	if (!strstr(members, "'max_tokens'"))
		buf_put(&b, S("\"max_tokens\":4096,"));
	if (!strstr(members, "'messages'"))
		buf_put(&b, S("\"messages\":[{\"role\":\"user\","
		    "\"content\":\"hi\"}],"));
	for (i = 0; members[i]; i++)
		buf_chr(&b, members[i] == '\'' ? '"' : members[i]);
	if (b.p[b.n - 1] == ',')
		b.n--;
	buf_chr(&b, '}');
	return buf_str(&b);
}

/* Reads a request and makes a call of it. OK or what the parser said. */
static inline int conv_call(struct conv *w, const char *model,
    struct str request, enum call_kind kind)
{
	int r;

	w->a = (struct arena){ w->memory, w->memory + CONV_ARENA };
	w->notes.n = w->notes.lost = 0;
	w->up = (struct upstream){ .name = S("bedrock"), .facts = &w->facts };
	r = json_parse(&w->doc, request, &w->a, NULL);
	if (r == OK)
		r = request_parse(&w->req, &w->doc, kind == CALL_COUNT, &w->a,
		    &w->notes, &w->fault);
	w->c = (struct call){ .kind = kind, .req = &w->req, .up = &w->up,
	    .model = str_of(model), .client = &w->client, .a = &w->a,
	    .notes = &w->notes, .ids = &w->ids, .counted = -1,
	    .state = &w->st };
	w->st = (struct bedrock){ 0 };
	return r == OK ? bedrock_resolve(&w->c, &w->st.model) : r;
}

static inline int conv_encode(struct conv *w, const char *model,
    const char *members, enum call_kind kind)
{
	int r = conv_call(w, model, conv_request(w, members), kind);

	if (r != OK)
		return r;
	if (w->room)
		w->a.end = w->a.cur + w->room;
	r = bedrock_converse(&w->c, &w->st);
	w->a.end = w->memory + CONV_ARENA;
	if (r == OK && json_parse(&w->out, w->c.body[0], &w->a, NULL) != OK)
		return E_BAD;
	return r;
}

/* The value at a path of names and indexes with dots between; "" is the
 * whole. */
static inline struct jv conv_at(const struct conv *w, const char *path)
{
	struct jv v = json_root(&w->out);
	struct str rest = str_of(path), part;
	uint64_t i;

	while (str_cut(&rest, '.', &part))
		v = json_type(v) == JSON_ARRAY && str_u64(part, &i) == OK ?
		    json_at(v, (size_t)i) : json_get(v, part);
	return v;
}

/* Whether there is a note "dropped top_k". */
static inline int conv_noted(const struct conv *w, const char *what)
{
	struct str field = str_of(what), kind;
	size_t i;

	str_cut(&field, ' ', &kind);
	for (i = 0; i < w->notes.n; i++)
		if (str_eq(w->notes.v[i].field, field) && str_eq(kind,
		    str_of(note_kind_name(w->notes.v[i].kind))))
			return 1;
	return 0;
}

#define CLAUDE_37 "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
#define CLAUDE_40 "us.anthropic.claude-sonnet-4-20250514-v1:0"
#define CLAUDE_45 "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
#define CLAUDE_46 "us.anthropic.claude-sonnet-4-6"
#define CLAUDE_5 "us.anthropic.claude-opus-5"
#define SONNET_55 "us.anthropic.claude-sonnet-5-5"
#define NOVA "amazon.nova-pro-v1:0"
#define NOVA_2 "us.amazon.nova-2-lite-v1:0"
#define LLAMA "us.meta.llama3-3-70b-instruct-v1:0"
#define MISTRAL "mistral.mistral-large-2407-v1:0"
#define MISTRAL_7B "mistral.mistral-7b-instruct-v0:2"
#define DEEPSEEK "us.deepseek.r1-v1:0"
#define GPT_OSS "openai.gpt-oss-120b-1:0"
#define COHERE "cohere.command-r-plus-v1:0"

#endif
