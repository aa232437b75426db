/* openai_count.c -- the upstream's own count of a request's tokens
 * (OA-123..OA-126).
 *
 * What is counted is what a message would send (OA-130): its model, tools and
 * messages, as openai_encode wrote them for the chat endpoint. vLLM takes
 * them as they are, llama.cpp Anthropic's own form; an older llama.cpp makes
 * a prompt of them in one call and counts that in a second. OpenAI and Gemini
 * count in their native forms, so for these the body is written anew.
 *
 * Nothing here is worth an error: what can't be asked leaves the estimate, and
 * a way that isn't there is not tried again. Memory is the call's arena.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"
#include "../wire/sigv4.h"

static struct openai_facts *facts_of(const struct call *c)
{
	return c->up->facts;
}

static struct openai_sent *sent_of(const struct call *c)
{
	return c->state;
}

static enum openai_count way_of(struct call *c)
{
	int lost = facts_of(c)->count_lost;

	if (!openai_flags(c)->exact_count ||
	    openai_refused(c, PARAM_EXACT_COUNT))
		return COUNT_NONE;
	switch (openai_flags(c)->profile) {
	case P_OPENAI:
		return lost ? COUNT_NONE : COUNT_OPENAI;
	case P_GEMINI:
		return lost ? COUNT_NONE : COUNT_GEMINI;
	case P_VLLM:
		return lost ? COUNT_NONE : COUNT_VLLM;
	case P_LLAMACPP:
		return lost == 0 ? COUNT_ANTHROPIC :
		    lost == 1 ? COUNT_TEMPLATE : COUNT_NONE;
	case P_OPENROUTER:
	case P_DEEPSEEK:
	case P_OLLAMA:
	case P_LMSTUDIO:
	case P_GENERIC:
		break;
	}
	return COUNT_NONE;
}

/* ---- what both native forms share ---- */

/* ,"name":value, without the comma behind a bracket. */
static void put_member(struct buf *b, struct str name, struct str value)
{
	if (value.n == 0)
		return;
	if (b->n && b->p[b->n - 1] != '{')
		buf_chr(b, ',');
	buf_chr(b, '"');
	buf_put(b, name);
	buf_put(b, S("\":"));
	buf_put(b, value);
}

static void put_between(struct buf *b, size_t *n)
{
	if ((*n)++)
		buf_chr(b, ',');
}

static int is_role(struct jv message, struct str role)
{
	return json_is(json_get(message, S("role")), role);
}

static int is_system(struct jv message)
{
	return is_role(message, S("system")) ||
	    is_role(message, S("developer"));
}

/* ---- the form of OpenAI's Responses API ---- */

static void put_input_part(struct buf *b, struct jv part)
{
	struct jv image = json_get(json_get(part, S("image_url")), S("url"));
	struct jv file = json_get(part, S("file"));

	buf_chr(b, '{');
	if (image.doc) {
		put_member(b, S("type"), S("\"input_image\""));
		put_member(b, S("image_url"), json_raw(image));
	} else if (file.doc) {
		put_member(b, S("type"), S("\"input_file\""));
		put_member(b, S("filename"), json_raw(json_get(file,
		    S("filename"))));
		put_member(b, S("file_data"), json_raw(json_get(file,
		    S("file_data"))));
	} else {
		put_member(b, S("type"), S("\"input_text\""));
		put_member(b, S("text"), json_raw(json_get(part, S("text"))));
	}
	buf_chr(b, '}');
}

static void put_said(struct buf *b, struct jv message, size_t *n)
{
	struct jv content = json_get(message, S("content"));
	struct json_iter it = json_iter(content);
	size_t parts = 0;

	if (json_type(content) == JSON_NULL || json_type(content) ==
	    JSON_ABSENT)
		return;
	put_between(b, n);
	buf_chr(b, '{');
	put_member(b, S("role"), json_raw(json_get(message, S("role"))));
	if (json_type(content) == JSON_STRING) {
		put_member(b, S("content"), json_raw(content));
	} else {
		buf_put(b, S(",\"content\":["));
		while (json_next(&it)) {
			put_between(b, &parts);
			put_input_part(b, it.value);
		}
		buf_chr(b, ']');
	}
	buf_chr(b, '}');
}

static void put_input(struct buf *b, struct jv message, size_t *n)
{
	struct json_iter it = json_iter(json_get(message, S("tool_calls")));

	if (is_role(message, S("tool"))) {
		put_between(b, n);
		buf_put(b, S("{\"type\":\"function_call_output\""));
		put_member(b, S("call_id"), json_raw(json_get(message,
		    S("tool_call_id"))));
		put_member(b, S("output"), json_raw(json_get(message,
		    S("content"))));
		buf_chr(b, '}');
		return;
	}
	put_said(b, message, n);
	while (json_next(&it)) {
		struct jv f = json_get(it.value, S("function"));

		put_between(b, n);
		buf_put(b, S("{\"type\":\"function_call\""));
		put_member(b, S("call_id"), json_raw(json_get(it.value,
		    S("id"))));
		put_member(b, S("name"), json_raw(json_get(f, S("name"))));
		put_member(b, S("arguments"), json_raw(json_get(f,
		    S("arguments"))));
		buf_chr(b, '}');
	}
}

static void put_responses(struct buf *b, struct jv chat)
{
	struct json_iter it = json_iter(json_get(chat, S("messages")));
	size_t n = 0;

	buf_chr(b, '{');
	put_member(b, S("model"), json_raw(json_get(chat, S("model"))));
	buf_put(b, S(",\"input\":["));
	while (json_next(&it))
		put_input(b, it.value, &n);
	buf_put(b, S("],\"tools\":["));
	it = json_iter(json_get(chat, S("tools")));
	for (n = 0; json_next(&it);) {
		struct jv f = json_get(it.value, S("function"));

		put_between(b, &n);
		buf_put(b, S("{\"type\":\"function\""));
		put_member(b, S("name"), json_raw(json_get(f, S("name"))));
		put_member(b, S("description"), json_raw(json_get(f,
		    S("description"))));
		put_member(b, S("parameters"), json_raw(json_get(f,
		    S("parameters"))));
		/* Absent means yes there. */
		put_member(b, S("strict"), json_true(json_get(f,
		    S("strict"))) ? S("true") : S("false"));
		buf_chr(b, '}');
	}
	buf_put(b, S("]}"));
}

/* ---- the form of Gemini's generateContent ---- */

static void put_text_part(struct buf *b, struct jv text, size_t *n)
{
	if (json_str(text).raw.n == 0)
		return;
	put_between(b, n);
	buf_chr(b, '{');
	put_member(b, S("text"), json_raw(text));
	buf_chr(b, '}');
}

/* data:TYPE;base64,DATA. E_NONE: a link, which it would have to fetch. */
static int put_inline_part(struct buf *b, struct jv url, size_t *n)
{
	struct str s = json_str(url).raw;
	size_t at = str_find(s, S(";base64,"));

	if (!str_starts(s, S("data:")) || at == s.n)
		return E_NONE;
	put_between(b, n);
	buf_put(b, S("{\"inlineData\":{\"mimeType\":\""));
	buf_put(b, str_from(str_head(s, at), S("data:").n));
	buf_put(b, S("\",\"data\":\""));
	buf_put(b, str_from(s, at + S(";base64,").n));
	buf_put(b, S("\"}}"));
	return OK;
}

static int put_parts(struct buf *b, struct jv message, size_t *n)
{
	struct jv content = json_get(message, S("content")), url;
	struct json_iter it = json_iter(content);
	int r = OK;

	put_text_part(b, content, n);
	while (r == OK && json_next(&it)) {
		url = json_get(json_get(it.value, S("image_url")), S("url"));
		if (url.doc)
			r = put_inline_part(b, url, n);
		else
			put_text_part(b, json_get(it.value, S("text")), n);
	}
	return r;
}

static void put_call_part(struct buf *b, struct jv call, size_t *n)
{
	struct jv f = json_get(call, S("function"));

	put_between(b, n);
	buf_put(b, S("{\"functionCall\":{"));
	put_member(b, S("name"), json_raw(json_get(f, S("name"))));
	buf_put(b, S(",\"args\":"));
	json_unescape(b, json_str(json_get(f, S("arguments"))));
	buf_chr(b, '}');
	put_member(b, S("thoughtSignature"), json_raw(json_get(json_get(
	    json_get(call, S("extra_content")), S("google")),
	    S("thought_signature"))));
	buf_chr(b, '}');
}

/* Results stand right behind their calls, in these' order: calls is where that
 * walk is. */
static void put_result_part(struct buf *b, struct jv message,
    struct json_iter *calls, size_t *n)
{
	if (!json_next(calls))
		return;
	put_between(b, n);
	buf_put(b, S("{\"functionResponse\":{"));
	put_member(b, S("name"), json_raw(json_get(json_get(calls->value,
	    S("function")), S("name"))));
	buf_put(b, S(",\"response\":{"));
	put_member(b, S("output"), json_raw(json_get(message,
	    S("content"))));
	buf_put(b, S("}}}"));
}

/* What the system says lies apart; whatever else follows one another in one
 * role is one content. */
static int put_contents(struct buf *b, struct jv messages)
{
	static const struct str role[] = { { "user", 4 }, { "model", 5 } };
	struct json_iter it = json_iter(messages), calls = json_iter(messages);
	size_t parts = 0;
	int r = OK, last = -1, is;

	buf_put(b, S("\"contents\":["));
	while (r == OK && json_next(&it)) {
		struct json_iter own = json_iter(json_get(it.value,
		    S("tool_calls")));

		if (is_system(it.value))
			continue;
		is = is_role(it.value, S("assistant"));
		if (is != last) {
			buf_put(b, last < 0 ? S("{\"role\":\"") :
			    S("]},{\"role\":\""));
			buf_put(b, role[is]);
			buf_put(b, S("\",\"parts\":["));
			parts = 0;
		}
		last = is;
		if (is)
			calls = own;
		if (is_role(it.value, S("tool"))) {
			put_result_part(b, it.value, &calls, &parts);
			continue;
		}
		r = put_parts(b, it.value, &parts);
		while (json_next(&own))
			put_call_part(b, own.value, &parts);
	}
	buf_put(b, last < 0 ? S("]") : S("]}]"));
	return r;
}

static int put_native(struct buf *b, struct call *c, struct jv chat)
{
	struct jv messages = json_get(chat, S("messages"));
	struct json_iter it = json_iter(messages);
	size_t n = 0, mark;
	int r = OK;

	buf_put(b, S("{\"generateContentRequest\":{\"model\":\""));
	if (!str_starts(c->model, S("models/")))
		buf_put(b, S("models/"));
	json_escape(b, c->model);
	buf_put(b, S("\","));
	mark = b->n;
	buf_put(b, S("\"systemInstruction\":{\"parts\":["));
	while (r == OK && json_next(&it))
		if (is_system(it.value))
			r = put_parts(b, it.value, &n);
	buf_put(b, S("]},"));
	if (n == 0)
		b->n = mark;
	if (r == OK)
		r = put_contents(b, messages);
	it = json_iter(json_get(chat, S("tools")));
	if (it.left)
		buf_put(b, S(",\"tools\":[{\"functionDeclarations\":["));
	for (n = 0; json_next(&it);) {
		put_between(b, &n);
		buf_put(b, json_raw(json_get(it.value, S("function"))));
	}
	buf_put(b, n ? S("]}]}}") : S("}}"));
	return r;
}

/* ---- the contract ---- */

static int translate(struct call *c)
{
	struct json chat;
	struct buf b;
	int r = OK;

	if (json_parse(&chat, c->body[0], c->a, NULL) != OK)
		return E_NONE;
	b = buf_open(c->a);
	if (sent_of(c)->count == COUNT_OPENAI)
		put_responses(&b, json_root(&chat));
	else
		r = put_native(&b, c, json_root(&chat));
	if (r != OK || b.full)
		return E_NONE;
	c->body[0] = buf_end(c->a, &b);
	return OK;
}

int openai_count_body(struct call *c)
{
	int r = E_NONE;

	switch (sent_of(c)->count = way_of(c)) {
	case COUNT_NONE:
	case COUNT_PROMPT:
		break;
	case COUNT_VLLM:
	case COUNT_TEMPLATE:
		r = OK;
		break;
	case COUNT_ANTHROPIC:
		c->body[0] = c->req->body;
		r = OK;
		break;
	case COUNT_OPENAI:
	case COUNT_GEMINI:
		r = translate(c);
		break;
	}
	if (r != OK)
		c->nbody = 0;
	return r;
}

void openai_count_target(struct buf *b, const struct call *c)
{
	struct str root = c->up->base;
	size_t model = str_starts(c->model, S("models/")) ?
	    S("models/").n : 0;

	if (sent_of(c)->count == COUNT_GEMINI) {
		if (str_ends(root, S("/openai")))
			root = str_head(root, root.n - S("/openai").n);
		buf_put(b, root);
		buf_put(b, S("/models/"));
		sigv4_encode(b, str_from(c->model, model));
		buf_put(b, S(":countTokens"));
		return;
	}
	if (sent_of(c)->count != COUNT_OPENAI && str_ends(root, S("/v1")))
		root = str_head(root, root.n - S("/v1").n);
	buf_put(b, root);
	switch (sent_of(c)->count) {
	case COUNT_NONE:
	case COUNT_GEMINI:
		break;
	case COUNT_VLLM:
	case COUNT_PROMPT:
		buf_put(b, S("/tokenize"));
		break;
	case COUNT_ANTHROPIC:
		buf_put(b, S("/v1/messages/count_tokens"));
		break;
	case COUNT_TEMPLATE:
		buf_put(b, S("/apply-template"));
		break;
	case COUNT_OPENAI:
		buf_put(b, S("/responses/input_tokens"));
		break;
	}
}

static int no_count(struct call *c)
{
	FAULT(&c->fault, 502, S("upstream "), c->up->name,
	    S(": it returned no token count"));
	return E_FAULT;
}

/* The prompt goes back as it came, still escaped. The model's begin token
 * counts; special ones inside the prompt are what they stand for. */
static int take_prompt(struct call *c, struct jv prompt)
{
	struct buf b;

	if (json_type(prompt) != JSON_STRING)
		return no_count(c);
	b = buf_open(c->a);
	buf_put(&b, S("{\"content\":"));
	buf_put(&b, json_raw(prompt));
	buf_put(&b, S(",\"add_special\":true,\"parse_special\":true}"));
	if (b.full)
		return no_count(c);
	c->body[0] = buf_end(c->a, &b);
	sent_of(c)->count = COUNT_PROMPT;
	return CALL_NEXT;
}

int openai_count_take(struct call *c, struct jv root)
{
	static const struct str fields[] = {
		{ "count", 5 }, { "input_tokens", 12 }, { "totalTokens", 11 }
	};
	int64_t window = json_int(json_get(root, S("max_model_len")), 0);
	struct jv v;
	size_t i;

	if (sent_of(c)->count == COUNT_TEMPLATE)
		return take_prompt(c, json_get(root, S("prompt")));
	if (window > 0 && openai_flags(c)->profile == P_VLLM) {
		openai_learned(c)->window = window;
		openai_learned(c)->window_ms = c->now_ms;
	}
	for (i = 0; i < COUNT(fields); i++) {
		v = json_get(root, fields[i]);
		c->counted = json_int(v, -1);
		if (c->counted >= 0)
			return CALL_DONE;
	}
	v = json_get(root, S("tokens"));
	if (json_type(v) != JSON_ARRAY)
		return no_count(c);
	c->counted = (int64_t)json_count(v);
	return CALL_DONE;
}

int openai_count_gone(struct call *c, int status, struct str text)
{
	int lost;

	if (status != 404 && status != 405 && status != 501)
		return 0;
	/* It is the model that isn't there, not the way. */
	if (c->model.n && str_find(text, c->model) < text.n) {
		openai_learned(c)->refused |= UINT32_C(1) <<
		    PARAM_EXACT_COUNT;
		return 0;
	}
	/* Of several at once, each has asked the same way. */
	lost = sent_of(c)->count == COUNT_ANTHROPIC ? 1 : 2;
	if (facts_of(c)->count_lost < lost)
		facts_of(c)->count_lost = lost;
	return way_of(c) != COUNT_NONE;
}
