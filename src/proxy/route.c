/* route.c -- MODEL_MAP: which backend and model serve a name.
 *
 * SPDX-License-Identifier: MIT */
#include "config.h"

static int find_upstream(const struct config *c, struct str name, size_t *at)
{
	size_t i;

	for (i = 0; i < c->nupstreams; i++)
		if (str_eq(str_of(c->upstreams[i].backend->name), name)) {
			*at = i;
			return OK;
		}
	return E_NONE;
}

/* backend:model, where backend is one of ours; anything else before a colon
 * belongs to the model's name (qwen3:8b). */
static void read_target(const struct config *c, struct route *r,
    struct str target)
{
	struct str name = str_head(target, str_chr(target, ':'));

	r->upstream = c->chosen;
	r->model = target;
	if (name.n == target.n)
		return;
	if (str_eq(name, S("openai")))
		name = S("openai_compatible");
	if (find_upstream(c, name, &r->upstream) == OK)
		r->model = str_from(target, str_chr(target, ':') + 1);
}

int route_read(struct config *c, struct str map, struct arena *a,
    struct fault *f)
{
	struct str entry, pattern;
	struct route *r;

	(void)a;
	while (str_cut(&map, ',', &entry)) {
		entry = str_trim(entry);
		if (entry.n == 0)
			continue;
		if (str_chr(entry, '=') == entry.n) {
			FAULT(f, 500, S("every entry must be pattern=model"));
			return E_FAULT;
		}
		if (c->nroutes == ROUTES_MAX) {
			FAULT(f, 500, S("more than 64 entries"));
			return E_FAULT;
		}
		str_cut(&entry, '=', &pattern);
		r = &c->routes[c->nroutes++];
		r->pattern = str_trim(pattern);
		r->glob = str_chr(r->pattern, '*') < r->pattern.n ||
		    str_chr(r->pattern, '?') < r->pattern.n;
		read_target(c, r, str_trim(entry));
		if (r->pattern.n == 0) {
			FAULT(f, 500, S("an entry has no pattern before its ="));
			return E_FAULT;
		}
	}
	return OK;
}

void route_add(struct config *c, struct str pattern, size_t upstream,
    struct str model)
{
	struct route *r;

	if (c->nroutes == ROUTES_MAX)
		return;
	r = &c->routes[c->nroutes++];
	r->pattern = pattern;
	r->glob = 1;
	r->upstream = upstream;
	r->model = model;
}

int route_pick(struct config *c, struct str model, struct destination *d,
    struct fault *f)
{
	const struct route *r = NULL;
	struct str shown;
	size_t i;

	if (model.n >= 4 && str_ieq(str_from(model, model.n - 4), S("[1m]")))
		model.n -= 4;
	shown = str_head(model, 100);
	for (i = 0; i < c->nroutes && !r; i++)
		if (!c->routes[i].glob && str_eq(c->routes[i].pattern, model))
			r = &c->routes[i];
	for (i = 0; i < c->nroutes && !r; i++)
		if (c->routes[i].glob && str_glob(c->routes[i].pattern, model))
			r = &c->routes[i];
	d->up = &c->upstreams[r ? r->upstream : c->chosen];
	d->by = r ? r->pattern : S("default");
	d->model = r ? r->model : (struct str){ NULL, 0 };
	/* "backend:" alone: that backend with its own default. */
	if (d->model.n == 0)
		d->model = d->up->model.n ? d->up->model : model;
	if (!http_value_ok(d->model) || d->model.n == 0) {
		FAULT(f, 404, S("model: "), shown);
		return E_FAULT;
	}
	/* A name of Anthropic's means nothing to another service. */
	if (!r && d->up->model.n == 0 && d->up->backend == &backend_openai &&
	    str_istarts(model, S("claude"))) {
		FAULT(f, 404, S("model: "), shown, S(" is not mapped to one of "
		    "this backend: set OPENAI_MODEL or MODEL_MAP"));
		return E_FAULT;
	}
	return OK;
}
