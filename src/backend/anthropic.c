/* anthropic.c -- Anthropic's own service, or one that speaks as it does.
 *
 * The client's bytes go there and the answer's bytes come back, untouched but
 * for three things: the model's name, where MODEL_MAP says another; thinking
 * that other services signed, which Anthropic would refuse; and the fields of
 * the head, of which only those that concern the service are passed on. What
 * is decoded here is for the record alone.
 *
 * A client's own credential goes to Anthropic's hosts and to this machine,
 * nowhere else, and never when it is the proxy's own key.
 *
 * SPDX-License-Identifier: MIT */
#include "anthropic.h"
#include "../wire/sse.h"

struct state {
	struct sse sse;
	struct anthropic_answer answer;
	int whole;		/* the answer is one JSON text */
	struct buf text;	/* of it, in the arena */
};

/* ---- the body ---- */

static int is_foreign(struct jv block)
{
	return json_is(json_get(block, S("type")), S("thinking")) &&
	    anthropic_foreign(json_str(json_get(block, S("signature"))));
}

static int has_foreign(const struct message *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (m->blocks[i].type == B_THINKING &&
		    anthropic_foreign(m->blocks[i].signature))
			return 1;
	return 0;
}

/* The content without them. It must not become empty. */
static void put_content(struct buf *b, struct jv content)
{
	struct json_iter it = json_iter(content);
	int any = 0;

	buf_chr(b, '[');
	while (json_next(&it)) {
		if (is_foreign(it.value))
			continue;
		if (any++)
			buf_chr(b, ',');
		buf_put(b, json_raw(it.value));
	}
	if (!any)
		buf_put(b, S("{\"type\":\"text\",\"text\":\"(thinking of "
		    "another model)\"}"));
	buf_chr(b, ']');
}

/* Copies the body up to p and moves *at there. */
static void copy_to(struct buf *b, const char **at, const char *p)
{
	buf_put(b, (struct str){ *at, (size_t)(p - *at) });
	*at = p;
}

static int rewrite(struct call *c, int rename)
{
	const struct request *r = c->req;
	struct str name = json_raw(r->model_json), raw;
	struct buf b = buf_open(c->a);
	const char *at = r->body.p;
	struct jv content;
	size_t i;

	for (i = 0; i < r->nmessages; i++) {
		if (!has_foreign(&r->messages[i]))
			continue;
		content = json_get(r->messages[i].json, S("content"));
		raw = json_raw(content);
		if (rename && name.p < raw.p) {
			copy_to(&b, &at, name.p);
			json_quote(&b, c->model);
			at = name.p + name.n;
			rename = 0;
		}
		copy_to(&b, &at, raw.p);
		put_content(&b, content);
		at = raw.p + raw.n;
		note(c->notes, NOTE_DROPPED, S("thinking"),
		    S("signed by another service"));
	}
	if (rename) {
		copy_to(&b, &at, name.p);
		json_quote(&b, c->model);
		at = name.p + name.n;
	}
	copy_to(&b, &at, r->body.p + r->body.n);
	if (b.full)
		return E_FULL;
	c->body[0] = buf_end(c->a, &b);
	c->nbody = 1;
	return OK;
}

/* Three slices: nothing large is copied for a name. */
static int splice(struct call *c)
{
	struct str body = c->req->body, name = json_raw(c->req->model_json);
	struct buf b = buf_open(c->a);
	size_t at = (size_t)(name.p - body.p);

	json_quote(&b, c->model);
	if (b.full)
		return E_FULL;
	c->body[0] = str_head(body, at);
	c->body[1] = buf_end(c->a, &b);
	c->body[2] = str_from(body, at + name.n);
	c->nbody = 3;
	return OK;
}

static int encode(struct call *c)
{
	const struct request *r = c->req;
	int rename, foreign = 0;
	size_t i;

	if (c->kind == CALL_MODELS)
		return OK;
	/* What the parser didn't know passes all the same. */
	c->notes->n = 0;
	c->notes->lost = 0;
	c->upstream_stream = r->stream;
	rename = !jstr_eq(r->model, c->model);
	for (i = 0; i < r->nmessages && !foreign; i++)
		foreign = has_foreign(&r->messages[i]);
	if (foreign)
		return rewrite(c, rename);
	if (rename)
		return splice(c);
	c->body[0] = r->body;
	c->nbody = 1;
	return OK;
}

/* ---- the head ---- */

static int is_home(const struct upstream *u)
{
	struct str ending = S(".anthropic.com");

	if (host_is_loopback(u->host))
		return 1;
	return u->tls && (str_ieq(u->host, S("anthropic.com")) ||
	    (u->host.n > ending.n && str_ieq(str_from(u->host,
	    u->host.n - ending.n), ending)));
}

/* up->base and the client's path, which may have slashes too many. A base
 * that ends in /v1 is a common way to write it. */
static void put_target(struct buf *b, const struct call *c)
{
	struct str base = c->up->base, path = S(""), query = S("");
	size_t i;

	if (c->client) {
		path = c->client->path;
		query = c->client->query;
	}
	if (path.n == 0)
		path = c->kind == CALL_MODELS ? S("/v1/models") :
		    c->kind == CALL_COUNT ? S("/v1/messages/count_tokens") :
		    S("/v1/messages");
	if (str_ends(base, S("/v1")))
		base.n -= 3;
	buf_put(b, base);
	for (i = 0; i < path.n; i++)
		if (i == 0 || path.p[i] != '/' || path.p[i - 1] != '/')
			buf_chr(b, path.p[i]);
	if (query.n) {
		buf_chr(b, '?');
		buf_put(b, query);
	}
}

static void put_field(struct buf *b, struct str name, struct str value)
{
	buf_put(b, name);
	buf_put(b, S(": "));
	buf_put(b, value);
	buf_put(b, S("\r\n"));
}

/* Who calls and in which dialect: the service's business. */
static int passes(const struct http_head *h, struct str name)
{
	if (!str_istarts(name, S("anthropic-")) &&
	    !str_istarts(name, S("x-claude-code-")) &&
	    !str_istarts(name, S("x-stainless-")) &&
	    !str_ieq(name, S("x-app")))
		return 0;
	/* Named there, it is for us and not for the next. */
	return !http_has_token(h, S("connection"), name);
}

static void put_client_fields(struct buf *b, const struct call *c)
{
	const struct http_head *h = c->client;
	struct str accept = S("application/json");
	int version = 0;
	size_t i;

	for (i = 0; h && i < h->nfields; i++) {
		if (!http_value_ok(h->fields[i].value))
			continue;
		if (str_ieq(h->fields[i].name, S("accept")))
			accept = h->fields[i].value;
		if (!passes(h, h->fields[i].name))
			continue;
		put_field(b, h->fields[i].name, h->fields[i].value);
		version |= str_ieq(h->fields[i].name, S("anthropic-version"));
	}
	put_field(b, S("accept"), accept);
	if (!version)
		put_field(b, S("anthropic-version"), S("2023-06-01"));
}

/* Whether a field's value is the proxy's own key, alone or behind Bearer. */
static int is_own(const struct call *c, struct str value)
{
	return c->own_key.n && value.n >= c->own_key.n &&
	    str_eq_secret(str_from(value, value.n - c->own_key.n),
	    c->own_key);
}

static int put_credential(struct buf *b, struct call *c)
{
	static const struct str names[] = {
		{ "x-api-key", 9 }, { "authorization", 13 }
	};
	struct str key = c->up->key, v;
	size_t i;

	if (key.n) {
		/* A token of a login is no API key. */
		if (str_starts(key, S("sk-ant-oat")))
			buf_put(b, S("authorization: Bearer "));
		else
			buf_put(b, S("x-api-key: "));
		buf_put(b, key);
		buf_put(b, S("\r\n"));
		return OK;
	}
	for (i = 0; c->client && i < COUNT(names); i++) {
		v = http_field(c->client, names[i]);
		if (v.n == 0 || !http_value_ok(v) || is_own(c, v))
			continue;
		if (!is_home(c->up)) {
			FAULT(&c->fault, 401, S("set ANTHROPIC_API_KEY: a "
			    "client's own credential is not sent to "),
			    c->up->host);
			c->fault.should_retry = 0;
			return E_FAULT;
		}
		put_field(b, names[i], v);
	}
	return OK;
}

static int head(struct call *c)
{
	struct buf b = buf_open(c->a);
	struct str target;

	put_target(&b, c);
	if (b.full)
		return E_FULL;
	target = buf_end(c->a, &b);
	b = buf_open(c->a);
	head_begin(&b, c->kind == CALL_MODELS ? S("GET") : S("POST"), c,
	    target);
	if (c->kind != CALL_MODELS)
		put_field(&b, S("content-type"), S("application/json"));
	put_client_fields(&b, c);
	if (put_credential(&b, c) != OK)
		return E_FAULT;
	buf_put(&b, S("\r\n"));
	if (b.full)
		return E_FULL;
	c->head = buf_end(c->a, &b);
	return OK;
}

/* ---- the answer, for the record ---- */

static int begin(struct call *c, const struct http_head *h)
{
	struct state *st = c->state;

	st->whole = c->kind != CALL_MESSAGES ||
	    !str_istarts(http_field(h, S("content-type")),
	    S("text/event-stream"));
	if (st->whole)
		st->text = buf_open(c->a);
	return OK;
}

static int take_count(struct call *c, struct jv v)
{
	c->counted = json_int(json_get(v, S("input_tokens")), -1);
	return CALL_DONE;
}

static int take_models(struct call *c, struct jv v)
{
	struct json_iter it = json_iter(json_get(v, S("data")));
	struct str id;

	c->models = arena_array(c->a, it.left < CALL_MODELS_MAX ? it.left :
	    CALL_MODELS_MAX, sizeof *c->models);
	if (!c->models)
		return E_FULL;
	while (!it.object && c->nmodels < CALL_MODELS_MAX &&
	    json_next(&it)) {
		id = json_text(c->a, json_str(json_get(it.value, S("id"))));
		if (id.n)
			c->models[c->nmodels++] = id;
	}
	return CALL_DONE;
}

/* The whole text stands in the arena. */
static int take_whole(struct call *c, struct state *st, int clean)
{
	struct str text = buf_end(c->a, &st->text);
	struct json doc;
	int r;

	if (st->text.full)
		return E_FULL;
	if (c->kind == CALL_MESSAGES)
		return anthropic_message(c, &st->answer, text);
	r = clean ? json_parse(&doc, text, c->a, NULL) : E_BAD;
	if (r != OK) {
		FAULT(&c->fault, 502, S("upstream "), c->up->name,
		    S(" sent an answer that is not JSON"));
		return r == E_FULL ? E_FULL : E_FAULT;
	}
	return c->kind == CALL_COUNT ? take_count(c, json_root(&doc)) :
	    take_models(c, json_root(&doc));
}

static int decode(struct call *c, struct str *in, int end, int clean)
{
	struct state *st = c->state;
	struct sse_event e;
	int r;

	if (st->whole) {
		buf_put(&st->text, *in);
		*in = str_from(*in, in->n);
		return end ? take_whole(c, st, clean) : OK;
	}
	while (sse_next(&st->sse, in, end, &e) == OK) {
		r = anthropic_event(c, &st->answer, e.data);
		/* Too large to be looked at; the client has it all the same. */
		if (r == E_FAULT && !st->answer.told)
			return E_MORE;
		if (r != OK && r != E_FULL)
			return r;
	}
	if (!end)
		return OK;
	FAULT(&c->fault, 502, S("upstream "), c->up->name,
	    S(" ended its answer without message_stop"));
	return E_MORE;
}

static int refuse(struct call *c, const struct http_head *h, struct str body)
{
	anthropic_fault(c, h->status, body);
	/* The client sees the service's own status, and so does the record. */
	if (h->status >= 400 && h->status < 600)
		c->fault.status = h->status;
	c->fault.retry_after = retry_after(h, c->now);
	return E_FAULT;
}

const struct backend backend_anthropic = {
	.name = "anthropic",
	.state_size = sizeof(struct state),
	.passthrough = 1,
	.encode = encode,
	.head = head,
	.begin = begin,
	.decode = decode,
	.refuse = refuse,
};
