/* surface.c -- paths that are answered here, and the list of models.
 *
 * A path is matched decoded, with duplicate slashes collapsed and the query
 * ignored: clients add ?beta=true, and base URLs end in a slash (AN-1, AN-3).
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum {
	MODELS_DEFAULT = 20,	/* a page of GET /v1/models, and its largest */
	MODELS_LIMIT = 1000,
	PATH_TEXT_MAX = 1024	/* longer ones are nothing of ours */
};

static const struct {
	const char *path;
	enum path id;
	const char *methods;
} surface[] = {
	{ "/v1/messages", PATH_MESSAGES, "POST" },
	{ "/v1/messages/count_tokens", PATH_COUNT, "POST" },
	{ "/v1/models", PATH_MODELS, "GET, HEAD" },
	{ "/health", PATH_HEALTH, "GET, HEAD" },
	{ "/", PATH_ROOT, "GET, HEAD" },
	{ "/api/hello", PATH_HELLO, "GET, HEAD" },
	{ "/api/event_logging/batch", PATH_EVENTS, "POST" },
	{ "/metrics", PATH_METRICS, "GET, HEAD" },
	{ "/dashboard/replay", PATH_REPLAY, "POST" },
	{ "/dashboard", PATH_PAGE, "GET, HEAD" }
};

enum path surface_path(struct client *c, struct str *rest)
{
	char text[PATH_TEXT_MAX];
	struct buf b = buf_on(text, sizeof text);
	struct str path;
	size_t i, n = 0;

	*rest = S("");
	if (c->head.path.n >= PATH_TEXT_MAX ||
	    http_decode(&b, c->head.path) != OK)
		return PATH_NONE;
	for (i = 0; i < b.n; i++)
		if (!(i && text[i] == '/' && text[i - 1] == '/'))
			text[n++] = text[i];
	if (n > 1 && text[n - 1] == '/')
		n--;
	path = (struct str){ text, n };
	for (i = 0; i < COUNT(surface); i++)
		if (str_eq(path, str_of(surface[i].path)))
			return surface[i].id;
	if (str_starts(path, S("/v1/messages/batches")))
		return PATH_BATCHES;
	if (str_starts(path, S("/dashboard/"))) {
		*rest = arena_str(&c->a, str_from(path, 10));
		return PATH_PAGE;
	}
	if (!str_starts(path, S("/v1/models/")))
		return PATH_NONE;
	*rest = arena_str(&c->a, str_from(path, 11));
	return PATH_MODEL;
}

struct str surface_methods(enum path path)
{
	size_t i;

	for (i = 0; i < COUNT(surface); i++)
		if (surface[i].id == path)
			return str_of(surface[i].methods);
	return S("GET, HEAD");
}

int surface_allows(enum path path, struct str method)
{
	struct str list = surface_methods(path), one;

	while (str_cut(&list, ',', &one))
		if (str_eq(str_trim(one), method))
			return 1;
	return 0;
}

static const char landing[] =
"<!doctype html><html lang=en><meta charset=utf-8><title>claudecodex</title>"
"<meta name=viewport content=\"width=device-width\">"
"<link rel=icon href=\"data:,\">"
"<body><h1>claudecodex</h1>"
"<p>This is a proxy for the Anthropic Messages API. It is running.</p>"
"<p>Point Claude Code at it:</p>"
"<pre>export ANTHROPIC_BASE_URL=http://localhost:%\n"
"export CLAUDE_CODE_GATEWAY_HINT_HEADERS=1\nclaude</pre>"
"<p>Every request shows on the console that runs it; its page needs "
"MONITOR_TOKEN here. "
"<a href=\"/health\">health</a>, <a href=\"/v1/models\">models</a>.</p>"
"</body></html>\n";

int surface_sends_on(const struct proxy *p, const struct http_head *h)
{
	struct str accept = http_field(h, S("accept"));

	return p->config->monitor_on &&
	    str_ifind(accept, S("text/html")) < accept.n;
}

static void answer_root(struct proxy *p, struct client *c)
{
	struct str text = { landing, sizeof landing - 1 }, part;
	char page[sizeof landing + 16];
	struct buf b = buf_on(page, sizeof page);

	if (str_ifind(http_field(&c->head, S("accept")), S("text/html")) ==
	    http_field(&c->head, S("accept")).n) {
		reply(c, 200, S("application/json"), S(""),
		    str_eq(c->head.method, S("HEAD")) ? S("") :
		    S("{\"name\":\"claudecodex\",\"version\":\"" VERSION
		    "\",\"messages\":\"/v1/messages\"}"));
		return;
	}
	if (surface_sends_on(p, &c->head)) {
		reply(c, 303, S(""), S("location: /dashboard\r\n"
		    "cache-control: no-store\r\n"), S(""));
		return;
	}
	str_cut(&text, '%', &part);
	buf_put(&b, part);
	buf_u64(&b, p->config->port);
	buf_put(&b, text);
	reply(c, 200, S("text/html; charset=utf-8"),
	    S("content-security-policy: default-src 'none'; img-src data:; "
	    "frame-ancestors 'none'\r\nreferrer-policy: no-referrer\r\n"
	    "cache-control: no-store\r\n"), buf_str(&b));
}

static void answer_health(struct proxy *p, struct client *c)
{
	char text[256];
	struct buf b = buf_on(text, sizeof text);
	const struct upstream *up = &p->config->upstreams[p->config->chosen];

	buf_put(&b, S("{\"status\":\"ok\",\"version\":\"" VERSION
	    "\",\"backend\":\""));
	buf_put(&b, str_of(up->backend->name));
	buf_put(&b, S("\",\"requests\":"));
	buf_u64(&b, p->monitor->requests);
	buf_put(&b, S(",\"errors\":"));
	buf_u64(&b, p->monitor->errors);
	buf_put(&b, S(",\"log_lines_dropped\":"));
	buf_u64(&b, monitor_dropped(p->monitor));
	buf_put(&b, S("}"));
	reply(c, 200, S("application/json"),
	    S("cache-control: no-store\r\n"), buf_str(&b));
}

void surface_metrics(struct proxy *p, struct client *c)
{
	struct buf b = buf_open(&c->a);
	size_t i, open = 0, watchers = 0;

	/* Other workers' too, as they are at this moment. */
	for (i = 0; i < p->nall; i++) {
		open += p->all[i].x.stage != X_NONE;
		watchers += p->all[i].state == CLIENT_PAGE;
	}
	monitor_enter(p->monitor);
	metrics_write(p->monitor, open, watchers, &b);
	monitor_leave(p->monitor);
	reply(c, 200, S("text/plain; version=0.0.4; charset=utf-8"),
	    S("cache-control: no-store\r\n"), buf_end(&c->a, &b));
}

/* ---- models ----------------------------------------------------------- */

static void put_known(struct buf *b, int64_t n)
{
	if (n > 0)
		buf_int(b, n);
	else
		buf_put(b, S("null"));
}

static void put_model(struct proxy *p, struct buf *b, struct str id,
    struct str shown)
{
	struct destination d = { 0 };
	struct fault f;
	int routed = route_pick(p->config, id, &d, &f) == OK;

	buf_put(b, S("{\"type\":\"model\",\"id\":"));
	json_quote(b, id);
	buf_put(b, S(",\"display_name\":"));
	json_quote(b, shown);
	buf_put(b, S(",\"created_at\":\"1970-01-01T00:00:00Z\","
	    "\"max_input_tokens\":"));
	put_known(b, routed ? d.up->window : 0);
	buf_put(b, S(",\"max_tokens\":"));
	put_known(b, routed ? d.up->max_output : 0);
	buf_put(b, S(",\"capabilities\":null,\"lifecycle\":\"active\",\"line\":null,"
	    "\"deprecated_at\":null,\"retires_at\":null}"));
}

static void answer_model(struct proxy *p, struct client *c, struct str id)
{
	struct destination d;
	struct fault f;
	struct buf b;

	if (id.n == 0 || route_pick(p->config, id, &d, &f) != OK) {
		FAULT(&f, 404, S("model: "), str_head(id, 100));
		reply_fault(c, &f);
		return;
	}
	b = buf_open(&c->a);
	put_model(p, &b, id, d.model.n ? d.model : id);
	reply(c, 200, S("application/json"), S(""), buf_end(&c->a, &b));
}

void surface_answer(struct proxy *p, struct client *c, enum path path,
    struct str rest)
{
	struct fault f;

	switch (path) {
	case PATH_ROOT:
		answer_root(p, c);
		return;
	case PATH_HEALTH:
		answer_health(p, c);
		return;
	case PATH_HELLO:
	case PATH_EVENTS:		/* accepted, and discarded */
		reply(c, 200, S("application/json"), S(""), S("{}"));
		return;
	case PATH_MODEL:
		answer_model(p, c, rest);
		return;
	case PATH_METRICS:
		surface_metrics(p, c);
		return;
	case PATH_NONE:
	case PATH_BATCHES:
	case PATH_MESSAGES:
	case PATH_COUNT:
	case PATH_MODELS:
	case PATH_PAGE:
	case PATH_REPLAY:
		break;
	}
	FAULT(&f, 404, S("there is nothing at this path"));
	reply_fault(c, &f);
}

/* A model on offer: an id that a client can ask for, and what serves it. */
struct offer {
	struct str id, shown;
};

/* "claude-" and the name with what a picker may not like made '-' (AN-26). */
static struct str alias(struct arena *a, struct str model)
{
	struct buf b = buf_open(a);
	size_t i;
	char ch;

	if (!str_starts(model, S("claude")))
		buf_put(&b, S("claude-"));
	for (i = 0; i < model.n; i++) {
		ch = model.p[i];
		buf_chr(&b, (ch >= 'a' && ch <= 'z') || (ch >= '0' &&
		    ch <= '9') || ch == '.' ? ch : ch >= 'A' && ch <= 'Z' ?
		    (char)(ch + 32) : '-');
	}
	return b.full ? model : buf_end(a, &b);
}

static size_t add_offer(struct offer *list, size_t n, struct str id,
    struct str shown)
{
	size_t i;

	if (id.n == 0)
		return n;
	for (i = 0; i < n; i++)
		if (str_eq(list[i].id, id))
			return n;
	list[n].id = id;
	list[n].shown = shown;
	return n + 1;
}

static size_t offers(struct proxy *p, struct client *c, struct offer *list,
    const struct str *ids, size_t nids)
{
	const struct config *cfg = p->config;
	struct str own = cfg->upstreams[cfg->chosen].model;
	size_t i, n = 0;

	for (i = 0; i < cfg->nroutes; i++)
		if (!cfg->routes[i].glob)
			n = add_offer(list, n, cfg->routes[i].pattern,
			    cfg->routes[i].model);
	/* Names that the map doesn't know lead to the chosen one alone. */
	if (own.n)
		n = add_offer(list, n, alias(&c->a, own), own);
	n = add_offer(list, n, own, own);
	for (i = 0; i < nids; i++)
		n = add_offer(list, n, ids[i], ids[i]);
	return n;
}

/* Cursors (AN section 8): the page starts behind after_id or ends before
 * before_id; an unknown one gives an empty page. */
static void page(const struct client *c, const struct offer *list, size_t n,
    size_t *from, size_t *to)
{
	struct str limit = http_query(c->head.query, S("limit"));
	struct str after = http_query(c->head.query, S("after_id"));
	struct str before = http_query(c->head.query, S("before_id"));
	uint64_t max = MODELS_DEFAULT;
	char text[PATH_TEXT_MAX];
	struct buf b = buf_on(text, sizeof text);
	size_t i;

	*from = 0;
	*to = n;
	if (limit.n && str_u64(limit, &max) == OK &&
	    (max < 1 || max > MODELS_LIMIT))
		max = max ? MODELS_LIMIT : 1;
	if (after.p || before.p) {
		if (http_decode(&b, after.p ? after : before) != OK)
			b.n = 0;
		for (i = 0; i < n && !str_eq(list[i].id, buf_str(&b)); i++)
			continue;
		if (i == n)
			*to = 0;
		else if (after.p)
			*from = i + 1;
		else
			*to = i;
	}
	if (before.p && !after.p && *to - *from > max)
		*from = *to - (size_t)max;
	if (*to - *from > max)
		*to = *from + (size_t)max;
}

static void put_id(struct buf *b, const struct offer *list, size_t i, int any)
{
	if (any)
		json_quote(b, list[i].id);
	else
		buf_put(b, S("null"));
}

void surface_models(struct proxy *p, struct client *c, const struct str *ids,
    size_t n)
{
	struct offer *list = arena_array(&c->a,
	    n + ROUTES_MAX + 2, sizeof *list);
	size_t from, to, i;
	struct fault f;
	struct buf b;

	if (!list) {
		FAULT(&f, 500, S("no room for the list of models"));
		reply_fault(c, &f);
		return;
	}
	n = offers(p, c, list, ids, n);
	page(c, list, n, &from, &to);
	b = buf_open(&c->a);
	buf_put(&b, S("{\"data\":["));
	for (i = from; i < to; i++) {
		if (i > from)
			buf_chr(&b, ',');
		put_model(p, &b, list[i].id, list[i].shown);
	}
	buf_put(&b, S("],\"has_more\":"));
	buf_put(&b, (http_query(c->head.query, S("before_id")).p ?
	    from > 0 : to < n) ? S("true") : S("false"));
	buf_put(&b, S(",\"first_id\":"));
	put_id(&b, list, from, to > from);
	buf_put(&b, S(",\"last_id\":"));
	put_id(&b, list, to - 1, to > from);
	buf_chr(&b, '}');
	reply(c, 200, S("application/json"), S(""), buf_end(&c->a, &b));
}
