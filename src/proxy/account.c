/* account.c -- for services of AWS: whose keys sign a call, and where it goes.
 *
 * The helper finds credentials; this keeps the last good ones, so that a
 * refresh neither delays a request nor fails one while the old are valid
 * (AW-85). With them comes the region and so the endpoint, which a model's ARN
 * may move elsewhere (AW-100): each endpoint in use is an upstream of its own
 * here, made when first wanted, all sharing the facts of the configured one.
 * An inference profile's ARN hides its model, which the helper asks once.
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum {
	STILL_GOOD = 60,	/* s before the end that a call may begin */
	REST = 30000		/* ms after a renewal that failed (AW-90) */
};

static int64_t clock_now(const struct account *acc)
{
	return loop_wall() / 1000 + bedrock_clock_offset(acc->up);
}

static int last_is_good(const struct account *acc)
{
	return acc->nlast && (acc->expires == 0 ||
	    acc->expires > clock_now(acc) + STILL_GOOD);
}

void account_init(struct proxy *p)
{
	struct account *acc = &p->account;
	size_t i;

	acc->up = NULL;
	for (i = 0; i < p->config->nupstreams; i++)
		if (p->config->upstreams[i].backend->signed_aws)
			acc->up = &p->config->upstreams[i];
	acc->ask = p->config->aws_profile.n ? p->config->aws_profile :
	    CREDENTIALS_ANY;
}

void account_renew(struct proxy *p)
{
	struct account *acc = &p->account;

	helper_forget(&p->helper, HELPER_CREDENTIALS, acc->ask);
	memset(acc->last, 0, acc->nlast);
	acc->nlast = 0;
	acc->rest_until = 0;
}

/* The credentials' text into acc->last. */
static int look(struct proxy *p, struct str *why)
{
	struct account *acc = &p->account;
	struct credentials c;
	struct str answer;
	int r;

	/* What looks them up may be a program of the user's, or a service that
	 * is down: while the old are valid it isn't asked at every request. */
	if (p->now < acc->rest_until && last_is_good(acc))
		return OK;
	r = helper_ask(&p->helper, HELPER_CREDENTIALS, acc->ask, p->now,
	    &answer);
	if (r == OK && credentials_read(&c, answer) == OK) {
		memcpy(acc->last, answer.p, answer.n);
		acc->nlast = answer.n;
		acc->expires = c.expires;
		return OK;
	}
	if (last_is_good(acc)) {
		if (r != E_MORE)
			acc->rest_until = p->now + REST;
		return OK;
	}
	*why = r == OK ? S("the AWS credentials can't be read") :
	    r == E_LIMIT ? S("AWS_PROFILE is longer than any profile's name") :
	    answer;
	return r == E_MORE ? E_MORE : E_FAULT;
}

static void put_key(struct buf *b, const struct credentials *c)
{
	if (c->bearer.n) {
		buf_put(b, S(" (a Bedrock API key)"));
		return;
	}
	buf_put(b, S(", key ..."));
	buf_printable(b, str_from(c->id, c->id.n > 4 ? c->id.n - 4 : 0));
}

void account_describe(const struct account *acc, struct buf *b)
{
	struct credentials c;
	int64_t left;

	if (!acc->nlast || credentials_read(&c, (struct str){ acc->last,
	    acc->nlast }) != OK)
		return;
	buf_printable(b, c.source);
	put_key(b, &c);
	buf_put(b, S(", region "));
	buf_printable(b, c.region);
	buf_put(b, S(" ("));
	buf_printable(b, c.region_source);
	buf_chr(b, ')');
	if (c.endpoint.n) {
		buf_put(b, S(", endpoint by "));
		buf_printable(b, c.endpoint_source);
	}
	if (!c.expires)
		return;
	left = c.expires - clock_now(acc);
	buf_put(b, S(", valid for "));
	buf_int(b, left < 120 ? left : left < 7200 ? left / 60 : left / 3600);
	buf_put(b, left < 120 ? S(" s") : left < 7200 ? S(" minutes") :
	    S(" hours"));
}

void account_tend(struct proxy *p)
{
	struct account *acc = &p->account;
	struct credentials c;
	char text[1024];
	struct buf b = buf_on(text, sizeof text);
	struct str why = { NULL, 0 };
	int r;

	if (!acc->up || acc->told)
		return;
	r = look(p, &why);
	if (r == E_MORE)
		return;
	acc->told = 1;
	if (r != OK) {
		monitor_say(p->monitor, "warning", why);
		return;
	}
	buf_put(&b, S("AWS: "));
	account_describe(acc, &b);
	monitor_say(p->monitor, "note", buf_str(&b));
	if (credentials_read(&c, (struct str){ acc->last, acc->nlast }) == OK &&
	    c.warning.n)
		monitor_say(p->monitor, "warning", c.warning);
}

/* ---- where ---- */

/* How an endpoint is in use: 2 by somebody, 1 by idle connections alone. */
static int in_use(const struct proxy *p, const struct upstream *up)
{
	int used = 0;
	size_t i;

	for (i = 0; i < p->n; i++) {
		const struct conn *c = &p->conns[i];
		const struct exchange *x = &p->clients[i].x;

		if ((x->stage != X_NONE && x->call.up == up) || (c->up == up &&
		    c->state != CONN_FREE && c->state != CONN_IDLE))
			return 2;
		if (c->up == up && c->state == CONN_IDLE)
			used = 1;
	}
	return used;
}

/* A connection goes where it was made to, whatever stands in the entry. */
static void close_idle(struct proxy *p, const struct upstream *up)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->conns[i].state == CONN_IDLE && p->conns[i].up == up)
			conn_close(&p->conns[i]);
}

/* The entry that goes to that place; else one that is free; NULL: none. */
static struct endpoint *find(struct proxy *p, const struct fetch_url *u)
{
	struct account *acc = &p->account;
	struct endpoint *e, *best = NULL;
	int use, least = 2;
	size_t i;

	for (i = 0; i < ENDPOINTS_MAX; i++) {
		e = &acc->endpoints[i];
		if (e->used && e->up.tls == u->tls &&
		    str_eq(e->up.authority, u->authority) &&
		    str_eq(e->up.base, u->path))
			return e;
	}
	for (i = 0; i < ENDPOINTS_MAX; i++) {
		e = &acc->endpoints[i];
		use = e->used ? in_use(p, &e->up) : 0;
		if (use < least || (best && use == least &&
		    e->used < best->used)) {
			best = e;
			least = use;
		}
	}
	if (best) {
		close_idle(p, &best->up);
		best->used = 0;
	}
	return best;
}

static struct str keep(struct buf *b, struct str s)
{
	size_t at = b->n;

	buf_put(b, s);
	return (struct str){ b->p + at, s.n };
}

/* url: "https://host[:port][/base]" */
static int go_to(struct proxy *p, struct call *c, struct str url)
{
	struct fetch_url u;
	struct endpoint *e;
	struct buf b;

	if (fetch_url(&u, url) != OK || u.query.n) {
		FAULT(&c->fault, 401, S("the endpoint of Bedrock is no URL: "),
		    url);
		c->fault.should_retry = 0;
		return E_FAULT;
	}
	while (u.path.n && u.path.p[u.path.n - 1] == '/')
		u.path.n--;
	e = find(p, &u);
	if (!e) {
		FAULT(&c->fault, 529, S("calls to more than 8 regions at "
		    "once"));
		return E_FAULT;
	}
	if (!e->used) {
		b = buf_on(e->text, sizeof e->text);
		e->up = *p->account.up;
		e->up.tls = u.tls;
		e->up.port = u.port;
		e->up.host = keep(&b, u.host);
		e->up.authority = keep(&b, u.authority);
		e->up.base = keep(&b, u.path);
		if (b.full) {
			FAULT(&c->fault, 401, S("the endpoint of Bedrock is "
			    "too long"));
			return E_FAULT;
		}
	}
	e->used = ++p->account.turn;
	c->up = &e->up;
	return OK;
}

/* AW-100: an ARN's own region, unless somebody said another. */
static struct str region_for(const struct call *c,
    const struct credentials *cr)
{
	struct str arn = bedrock_arn_region(c->model);

	if (arn.n == 0 || cr->endpoint.n ||
	    str_eq(cr->region_source, S("configuration")) ||
	    str_eq(cr->region_source, S("AWS_REGION")))
		return cr->region;
	return arn;
}

static int place(struct proxy *p, struct call *c, const struct credentials *cr,
    struct str region)
{
	char text[ENDPOINT_MAX];
	struct buf b = buf_on(text, sizeof text);

	if ((p->account.up->host.n || cr->endpoint.n) &&
	    (cr->fips || cr->dualstack)) {
		FAULT(&c->fault, 401, S("AWS_USE_FIPS_ENDPOINT and "
		    "AWS_USE_DUALSTACK_ENDPOINT can't be had together with an "
		    "endpoint of your own ("), cr->endpoint.n ?
		    cr->endpoint_source : S("BEDROCK_BASE_URL"), S(")"));
		c->fault.should_retry = 0;
		return E_FAULT;
	}
	if (p->account.up->host.n) {
		c->up = p->account.up;
		return OK;
	}
	if (cr->endpoint.n)
		return go_to(p, c, cr->endpoint);
	buf_put(&b, S("https://"));
	bedrock_host(&b, region, cr->fips, cr->dualstack);
	return go_to(p, c, buf_str(&b));
}

/* ---- which model ---- */

/* The newest takes the place of the oldest. */
static struct hidden_model *hidden(struct account *acc, struct str arn)
{
	struct hidden_model *h;
	size_t i;

	for (i = 0; i < HIDDEN_MAX && i < acc->nhidden; i++) {
		h = &acc->hidden[i];
		if (str_eq(arn, (struct str){ h->arn, h->narn }))
			return h;
	}
	h = &acc->hidden[acc->nhidden++ % HIDDEN_MAX];
	h->narn = arn.n;
	h->nmodel = 0;
	h->until = 0;
	memcpy(h->arn, arn.p, arn.n);
	return h;
}

/* Not asked where the endpoint is a gateway of the owner's: AWS may be out of
 * reach there. E_MORE, or OK with *model, which may be empty. */
static int look_behind(struct proxy *p, const struct call *c,
    struct str *model)
{
	struct account *acc = &p->account;
	struct str arn = bedrock_hidden(c->model), answer = S("");
	struct hidden_model *h;
	char room[HELPER_ASK_MAX];
	struct buf ask = buf_on(room, sizeof room);
	char text[1024];
	struct buf b = buf_on(text, sizeof text);
	int r;

	*model = S("");
	if (!arn.n || acc->up->host.n)
		return OK;
	buf_put(&ask, arn);
	buf_chr(&ask, ' ');
	buf_put(&ask, acc->ask);
	if (ask.full)
		return OK;
	h = hidden(acc, arn);
	*model = (struct str){ h->model, h->nmodel };
	if (h->nmodel || p->now < h->until)
		return OK;
	r = helper_ask(&p->helper, HELPER_MODEL, buf_str(&ask), p->now,
	    &answer);
	if (r == E_MORE)
		return E_MORE;
	h->until = p->now + HIDDEN_REST;
	if (r == OK && answer.n <= sizeof h->model) {
		memcpy(h->model, answer.p, answer.n);
		*model = (struct str){ h->model, h->nmodel = answer.n };
		return OK;
	}
	buf_put(&b, S("which model "));
	buf_printable(&b, arn);
	buf_put(&b, S(" stands for can't be learned ("));
	buf_printable(&b, str_head(answer, 300));
	buf_put(&b, S("), so it goes by Converse; if it is Claude, set "
	    "BEDROCK_API=invoke"));
	monitor_say(p->monitor, "warning", buf_str(&b));
	return OK;
}

/* "dev" of "profile dev (credential_process)". */
static struct str profile_of(struct str source)
{
	if (!str_starts(source, S("profile ")))
		return S("");
	source = str_from(source, 8);
	return str_head(source, str_find(source, S(" (")));
}

int account_ready(struct proxy *p, struct call *c)
{
	struct account *acc = &p->account;
	struct aws_credentials *aws;
	struct credentials cr;
	struct str why = { NULL, 0 }, text, model = { NULL, 0 };
	int r = look(p, &why);

	if (r == OK)
		r = look_behind(p, c, &model);
	if (r == E_MORE)
		return E_MORE;
	if (r != OK) {
		FAULT(&c->fault, 401, why);
		c->fault.should_retry = 0;
		return E_FAULT;
	}
	text = arena_str(c->a, (struct str){ acc->last, acc->nlast });
	aws = arena_get(c->a, sizeof *aws);
	if (!text.p || !aws || credentials_read(&cr, text) != OK)
		return E_FULL;
	aws->bearer = cr.bearer;
	aws->id = cr.id;
	aws->secret = cr.secret;
	aws->token = cr.token;
	aws->profile = profile_of(cr.source);
	aws->region = region_for(c, &cr);
	aws->model = arena_str(c->a, model);
	c->aws = aws;
	return place(p, c, &cr, aws->region);
}
