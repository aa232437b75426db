/* replay.c -- POST /dashboard/replay: a recorded request, to another model.
 *
 * It runs through the pipeline like any other, as class replay. The client is
 * told the new request's id and let go; the answer goes into the journal,
 * where the page watches it like any other. Tools that the model calls are
 * not run: nobody is there who would, the answer ends at the call.
 *
 *	{"of": request id, "model": name or "backend:name",
 *	 "max_tokens": n, "confirm_cost": true}
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

/* What upstream "backend:name" is about; NULL for a plain name. */
static struct upstream *upstream_of(struct config *c, struct str *model)
{
	struct str name = str_head(*model, str_chr(*model, ':'));
	size_t i;

	if (name.n == model->n)
		return NULL;
	if (str_eq(name, S("openai")))	/* as LLM_BACKEND takes it */
		name = S("openai_compatible");
	for (i = 0; i < c->nupstreams; i++) {
		if (!str_eq(name, str_of(c->upstreams[i].backend->name)) &&
		    !str_eq(name, c->upstreams[i].name))
			continue;
		*model = str_from(*model, str_chr(*model, ':') + 1);
		return &c->upstreams[i];
	}
	return NULL;
}

int replay_route(struct proxy *p, struct str model, struct destination *d,
    struct fault *f)
{
	struct upstream *up = upstream_of(p->config, &model);

	if (!up)
		return route_pick(p->config, model, d, f);
	d->up = up;
	d->by = S("replay");
	d->model = model.n ? model : up->model;
	if (d->model.n && http_value_ok(d->model))
		return OK;
	FAULT(f, 404, S("model: "), str_head(model, 100));
	return E_FAULT;
}

static int read_ask(struct client *c, struct replay *r, struct fault *f)
{
	struct json doc;
	struct jv v;

	memset(r, 0, sizeof *r);
	if (json_parse(&doc, buf_str(&c->content), &c->a, NULL) != OK) {
		FAULT(f, 400, S("the body is not valid JSON"));
		return E_FAULT;
	}
	v = json_root(&doc);
	r->of = json_text(&c->a, json_str(json_get(v, S("of"))));
	r->model = json_text(&c->a, json_str(json_get(v, S("model"))));
	r->max_tokens = json_int(json_get(v, S("max_tokens")), 0);
	if (r->of.n == 0 || r->model.n == 0 || r->max_tokens < 0) {
		FAULT(f, 400, S("of and model: must be strings, and "
		    "max_tokens: a number above 0"));
		return E_FAULT;
	}
	return json_true(json_get(v, S("confirm_cost"))) + 1;
}

/* An id and farewell: from here on nothing is written to this client. */
static int let_go(struct client *c)
{
	char text[1024], json[512];
	struct buf b = buf_on(text, sizeof text), j = buf_on(json,
	    sizeof json);
	enum sock_reason why;

	buf_put(&j, S("{\"id\":"));
	json_quote(&j, client_request_id(c));
	buf_put(&j, S(",\"of\":"));
	json_quote(&j, str_head(c->replay->of, 128));
	buf_put(&j, S("}"));
	c->close = 1;
	reply_head(c, &b, 202, S("application/json"),
	    S("cache-control: no-store\r\n"), (int64_t)j.n);
	buf_put(&b, buf_str(&j));
	if (b.full || sock_write(c->fd, buf_str(&b), &why) != (long)b.n)
		return E_FAULT;
	sock_shutdown_write(c->fd);
	return OK;
}

static void say_cost(struct client *c, const struct replay *r,
    const struct destination *d)
{
	char kb[24];
	struct buf b = buf_on(kb, sizeof kb);
	struct fault f;

	buf_u64(&b, r->body.n / 1024 + 1);
	FAULT(&f, 400, S("confirm_cost: true is needed: this sends "),
	    buf_str(&b), S(" KB to "), str_head(d->model, 100), S(" at "),
	    d->up->name);
	reply_fault(c, &f);
}

static int recall(struct proxy *p, struct client *c, struct replay *r,
    struct fault *f)
{
	int k;

	monitor_enter(p->monitor);
	k = page_replay(p->monitor, r, &c->a, f);
	monitor_leave(p->monitor);
	return k;
}

void replay_start(struct proxy *p, struct client *c)
{
	struct replay *r = arena_get(&c->a, sizeof *r);
	struct destination d = { 0 };
	struct http_head *h = &c->head;
	struct fault f;
	int confirmed;

	FAULT(&f, 413, S("no memory for a replay"));
	confirmed = r ? read_ask(c, r, &f) - 1 : E_FAULT;
	if (confirmed < 0 || replay_route(p, r->model, &d, &f) != OK ||
	    recall(p, c, r, &f) != OK) {
		reply_fault(c, &f);
		return;
	}
	if (!confirmed) {
		say_cost(c, r, &d);
		return;
	}
	c->replay = r;
	if (let_go(c) != OK) {
		client_close(p, c);
		return;
	}
	/* What the page's request says of itself is not the replay's. */
	h->nfields = 0;
	h->fields[h->nfields++] = (struct http_field){
		S("x-claude-code-session-id"), r->session
	};
	c->content = buf_on(NULL, 0);
	c->content.p = (char *)(uintptr_t)r->body.p;
	c->content.n = c->content.cap = r->body.n;
	exchange_start(p, c, CALL_MESSAGES);
	monitor_enter(p->monitor);
	page_replayed(p->monitor, r, client_request_id(c));
	monitor_leave(p->monitor);
}
