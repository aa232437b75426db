/* exchange.c -- a request on its way to a backend.
 *
 * The stages follow the data: parse, route, encode; connect, send, read the
 * head; then content in (receive.c), events out (respond.c).
 *
 * Back-pressure is one clause in exchange_want: with more than OUT_HIGH bytes
 * unsent, the upstream is not read.
 *
 * SPDX-License-Identifier: MIT */
#include "exchange.h"

enum {
	PATIENCE = 8,		/* this part of FIRST_BYTE_TIMEOUT without even
				 * a head, and the stream begins all the same:
				 * Ollama and llama.cpp send none before they
				 * have read the prompt, and Claude Code gives
				 * up after six minutes without one */
	COUNT_MAX = 2000,	/* ms for an upstream's own token count, from
				 * the request on */
	MODELS_MAX = 4000,	/* ms for an upstream's list of models */
	WAIT_MAX = 5000,	/* ms for a free upstream slot */
	SIGN_MAX = CREDENTIALS_DEADLINE_MS + 5000,	/* ms for credentials */
	WAIT_STEP = 50
};

static void record_start(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	const struct http_head *h = &c->head;
	struct record_source source;
	char peer[SOCK_ADDR_TEXT];
	struct buf b = buf_on(peer, sizeof peer);

	record_init(&x->rec, p->monitor);
	x->rec.slot = (size_t)(c - p->all);
	label_set(&x->rec.id, client_request_id(c));
	label_set(&x->rec.client, http_field(h, S("user-agent")));
	x->rec.accepted = c->begun_at;
	x->rec.wall_ms = loop_wall();
	x->rec.arrived = p->now;
	x->rec.bytes_in = c->content.n;
	x->rec.notes = &x->notes;
	x->rec.stream = x->req.stream;
	x->rec.messages = x->req.nmessages;
	x->rec.tools_offered = x->req.ntools;
	record_classify(&x->rec, x->call.kind == CALL_MODELS ? NULL : &x->req,
	    http_field(h, S("x-claude-code-request-class")),
	    http_field(h, S("x-claude-code-agent-id")),
	    http_field(h, S("x-claude-code-parent-agent-id")));
	/* The target tells, whatever the client's hints call it. */
	if (x->call.kind != CALL_MESSAGES || c->replay) {
		x->rec.class = c->replay ? "replay" :
		    x->call.kind == CALL_COUNT ? "count" : "models";
		x->rec.class_by = "header";
	}
	label_jset(&x->rec.asked, x->req.model);
	label_set(&x->rec.served, x->call.model);
	if (x->call.up)
		label_set(&x->rec.backend, x->call.up->name);
	x->recorded = 1;
	source.req = x->call.kind == CALL_MODELS ? NULL : &x->req;
	source.head = h;
	sock_addr_host(&b, &c->peer);
	source.peer = buf_str(&b);
	source.body = buf_str(&c->content);
	source.arena = &c->a;
	record_begin(&x->rec, &source);
}

static int parse(struct client *c, struct fault *f)
{
	struct exchange *x = &c->x;
	struct json_error err;
	char at[24];
	struct buf b = buf_on(at, sizeof at);
	int r = json_parse(&x->doc, buf_str(&c->content), &c->a, &err);

	if (r == E_FULL) {
		FAULT(f, 413, S("the request has too many JSON values for its "
		    "size (MAX_BODY)"));
		return E_FAULT;
	}
	if (r != OK) {
		buf_u64(&b, err.at);
		FAULT(f, 400, S("the body is not valid JSON: "),
		    str_of(err.why), S(" at byte "), buf_str(&b));
		return E_FAULT;
	}
	r = request_parse(&x->req, &x->doc, x->call.kind == CALL_COUNT, &c->a,
	    &x->notes, f);
	if (r == E_FULL)
		FAULT(f, 413, S("the request is too large"));
	return r == OK ? OK : E_FAULT;
}

static void begin_conn(struct proxy *p, struct client *c, int fresh)
{
	struct exchange *x = &c->x;

	x->in.n = x->looked = x->passed = 0;
	x->sent = 0;
	x->interim = x->got_byte = 0;
	x->conn = conn_get(p, x->call.up, fresh);
	if (x->conn) {
		x->stage = X_CONNECT;
		return;
	}
	if (x->stage != X_WAIT)
		x->deadline = p->now + WAIT_MAX;
	x->stage = X_WAIT;
	x->local_at = p->now + WAIT_STEP;
}

static void record_sent(struct exchange *x)
{
	const struct upstream *up = x->call.up;
	struct record_sent s = { .backend = str_of(up->backend->name),
	    .host = up->host, .port = up->port, .tls = up->tls,
	    .head = x->call.head,
	    .body = x->call.body, .nbody = x->call.nbody,
	    .bytes = body_size(&x->call) };

	if (x->call.served.n)
		label_set(&x->rec.served, x->call.served);
	record_upstream(&x->rec, &s);
}

/* Refused credentials aren't worth a second request when looking them up anew
 * gave the same (AW-91). */
static int same_again(struct exchange *x)
{
	const struct aws_credentials *aws = x->call.aws;
	unsigned char was[SHA256_SIZE];
	struct sha256 s;

	memcpy(was, x->signer, sizeof was);
	sha256_init(&s);
	sha256_add(&s, aws->bearer);
	sha256_add(&s, aws->id);
	sha256_add(&s, aws->token);
	sha256_end(&s, x->signer);
	if (!x->renewed || memcmp(was, x->signer, sizeof was) != 0)
		return OK;
	FAULT(&x->call.fault, 401, S("the AWS credentials"),
	    aws->profile.n ? S(" of profile ") : S(""), aws->profile,
	    S(" were refused as expired or unknown, and looked up anew they "
	    "are the same: run `aws sso login"), aws->profile.n ?
	    S(" --profile ") : S(""), aws->profile,
	    S("`, or put new keys where these come from"));
	x->call.fault.should_retry = 0;
	return E_FAULT;
}

/* Credentials for services that want a signature. Counting and listing go on
 * without. */
static int sign_in(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	int r;

	x->call.aws = NULL;
	if (!x->call.up->backend->signed_aws)
		return OK;
	r = account_ready(p, &x->call);
	if (r == E_FAULT && x->call.kind != CALL_MESSAGES) {
		x->call.fault.status = 0;
		return OK;
	}
	if (r == OK)
		return same_again(x);
	if (r != E_MORE)
		return r;
	if (x->stage != X_SIGN)
		x->deadline = x->by != LOOP_NEVER ? x->by : p->now + SIGN_MAX;
	x->stage = X_SIGN;
	/* A process that hangs is no reason to count nothing. */
	return x->call.kind != CALL_MESSAGES && p->now >= x->deadline ? OK :
	    E_MORE;
}

static void set_out(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	x->total = x->call.head.n + body_size(&x->call);
	record_sent(x);
	begin_conn(p, c, 0);
}

/* Encodes and sets out; again after CALL_RETRY. */
static void launch(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct call *call = &x->call;
	const struct backend *b = call->up->backend;
	int r;

	c->a = x->before;
	x->limits.n = 0;
	call->now = loop_wall() / 1000;
	call->now_ms = (uint64_t)p->now;
	call->nbody = 0;
	call->counted = -1;
	call->wait_ms = 0;
	call->estimate = 0;
	call->fault.status = 0;
	r = sign_in(p, c);
	if (r == E_MORE)
		return;
	if (r == OK) {
		call->state = arena_get(&c->a, b->state_size);
		r = call->state ? b->encode(call) : E_FULL;
	}
	call->answer.usage = (struct usage){ .input = call->estimate,
	    .output = 1, .thinking = -1, .estimated = 1 };
	if (r == OK && !b->local)
		r = b->head(call);
	if (r == E_FULL) {
		FAULT(&call->fault, 413, S("the request does not fit the "
		    "proxy's memory for one request (MAX_BODY)"));
		r = E_FAULT;
	}
	if (r == E_FAULT) {
		exchange_fail(p, c);
	} else if (r == E_NONE || r == CALL_DONE) {
		exchange_done(p, c);
	} else if (b->local) {
		record_sent(x);
		x->stage = X_LOCAL;
		x->local_at = p->now;
	} else {
		set_out(p, c);
	}
}

void exchange_start(struct proxy *p, struct client *c, enum call_kind kind)
{
	struct exchange *x = &c->x;
	struct destination d = { 0 };
	struct fault *f = &x->call.fault;
	char id[ID_MAX];
	int r = OK;

	memset(x, 0, sizeof *x);
	x->sink.event = exchange_tee;
	x->client = c;
	x->stage = X_CONNECT;
	x->in = buf_on(c->mem.in, (size_t)(c->mem.in_end - c->mem.in));
	x->call.kind = kind;
	if (kind == CALL_MODELS) {
		d.up = &p->config->upstreams[p->config->chosen];
	} else {
		r = parse(c, f);
		if (r == OK) {
			x->model_plain = json_text(&c->a, x->req.model);
			r = c->replay ? replay_route(p, x->model_plain, &d, f) :
			    route_pick(p->config, x->model_plain, &d, f);
		}
		x->call.req = &x->req;
	}
	x->call.up = d.up;
	x->call.model = d.model;
	x->call.client = &c->head;
	x->call.a = &c->a;
	x->call.notes = &x->notes;
	x->call.ids = &p->ids;
	x->call.own_key = p->config->proxy_key;
	x->call.answer.sink = &x->sink;
	x->call.answer.model = x->req.model;
	x->call.answer.id = arena_str(&c->a,
	    id_new(&p->ids, S("msg_"), id));
	record_start(p, c);
	if (r != OK) {
		if (x->call.up == NULL)
			x->call.up = &p->config->upstreams[p->config->chosen];
		x->finished = 2;
		x->rec.fault = *f;
		x->rec.status = f->status;
		reply_fault(c, f);
		exchange_close(p, c, OUTCOME_ERROR);
		return;
	}
	x->before = c->a;
	x->by = kind == CALL_MODELS ? p->now + MODELS_MAX :
	    kind == CALL_COUNT && !d.up->backend->passthrough ?
	    p->now + COUNT_MAX : LOOP_NEVER;
	launch(p, c);
}

void exchange_retry(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	int most = x->call.up->backend->retries;

	exchange_drop(p, c);
	if (x->call.attempt >= (most ? most : 1) || x->committed) {
		if (x->call.fault.status == 0)
			FAULT(&x->call.fault, 502, S("upstream "),
			    x->call.up->name,
			    S(" refused the request twice"));
		exchange_fail(p, c);
		return;
	}
	x->renewed = x->call.renew;
	if (x->call.renew)
		account_renew(p);
	x->call.renew = 0;
	x->call.attempt++;
	x->rec.attempts++;
	x->content_done = x->clean = 0;
	launch(p, c);
}

void exchange_follow(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	exchange_drop(p, c);
	x->content_done = x->clean = 0;
	if (x->call.up->backend->head(&x->call) == OK) {
		set_out(p, c);
		return;
	}
	FAULT(&x->call.fault, 413, S("the request does not fit the proxy's "
	    "memory for one request (MAX_BODY)"));
	exchange_fail(p, c);
}

/* The connection ended before a byte of the answer: the request may go out
 * once more, on a new one (a pooled one may have been closed under us). */
void exchange_broken(struct proxy *p, struct client *c, struct str why)
{
	struct exchange *x = &c->x;

	if (!x->got_byte && !x->redone) {
		x->redone = 1;
		x->rec.attempts++;
		conn_close(x->conn);
		begin_conn(p, c, 1);
		return;
	}
	FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
	    x->got_byte ? S(" ended the connection inside its answer: ") :
	    S(" ended the connection without an answer: "), why);
	exchange_fail(p, c);
}

static void send_more(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct str all[SOCK_SLICES_MAX], part[SOCK_SLICES_MAX];
	size_t i, k = 0, skip = x->sent;
	long n;

	all[0] = x->call.head;
	for (i = 0; i < x->call.nbody; i++)
		all[i + 1] = x->call.body[i];
	for (i = 0; i <= x->call.nbody; i++) {
		if (skip < all[i].n)
			part[k++] = str_from(all[i], skip);
		skip -= skip < all[i].n ? skip : all[i].n;
	}
	n = k ? conn_send(x->conn, part, k) : 0;
	if (n == SOCK_ERR && !x->conn->up->tls &&
	    x->conn->why != SOCK_RESET) {
		/* Not its end but the system's trouble: it would wait for the
		 * rest, and we for its answer. */
		exchange_broken(p, c, conn_trouble(x->conn));
		return;
	}
	if (n == SOCK_ERR) {
		/* It may have answered before it closed: a refusal of a body
		 * it won't read. */
		x->stage = X_HEAD;
		return;
	}
	if (n > 0) {
		x->sent += (size_t)n;
		x->deadline = p->now + p->config->idle_ms;
	}
	if (x->sent == x->total && conn_flushed(x->conn)) {
		x->stage = X_HEAD;
		x->rec.sent = loop_now();
		x->deadline = p->now + p->config->first_byte_ms;
		if (x->call.kind == CALL_MESSAGES && x->req.stream &&
		    !x->call.up->backend->passthrough)
			x->commit_at = p->now + p->config->first_byte_ms /
			    PATIENCE;
	}
}

static void run_local(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct str none = { NULL, 0 };
	int r = OK;

	while (x->stage == X_LOCAL && p->now >= x->local_at &&
	    exchange_backlog(c) <= OUT_HIGH) {
		x->call.wait_ms = 0;
		r = x->call.up->backend->decode(&x->call, &none, 0, 1);
		if (r == CALL_DONE)
			exchange_done(p, c);
		else if (r != OK)
			exchange_fail(p, c);
		x->local_at = p->now + x->call.wait_ms;
		if (x->call.wait_ms)
			break;
	}
}

static void expire(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct str name = x->call.up->name;

	switch (x->stage) {
	case X_NONE:
	case X_LOCAL:
	case X_CONNECT:			/* conn_connect watches its own */
		return;
	case X_SIGN:
		FAULT(&x->call.fault, 504, S("the look-up of AWS credentials "
		    "does not end"));
		break;
	case X_WAIT:
		FAULT(&x->call.fault, 529, S("all connections to upstreams "
		    "are in use"));
		break;
	case X_SEND:
		FAULT(&x->call.fault, 504, S("upstream "), name,
		    S(" stopped taking the request (IDLE_TIMEOUT)"));
		break;
	case X_HEAD:
		FAULT(&x->call.fault, 504, S("upstream "), name,
		    S(" did not answer in time (FIRST_BYTE_TIMEOUT)"));
		break;
	case X_REFUSED:
	case X_BODY:
		FAULT(&x->call.fault, 504, S("upstream "), name,
		    S(" fell silent inside its answer (IDLE_TIMEOUT)"));
		break;
	}
	exchange_fail(p, c);
}

/* Nobody waits long for what has an answer to fall back on, whatever it is
 * that takes its time. A look-up of credentials ends by itself. */
static int overdue(const struct proxy *p, const struct exchange *x)
{
	switch (x->stage) {
	case X_NONE:
	case X_LOCAL:
	case X_SIGN:
		return 0;
	case X_WAIT:
	case X_CONNECT:
	case X_SEND:
	case X_HEAD:
	case X_REFUSED:
	case X_BODY:
		break;
	}
	return p->now >= x->by && !x->committed;
}

void exchange_turn(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	enum stage was;
	int r;

	do {
		was = x->stage;
		switch (x->stage) {
		case X_NONE:
			break;
		case X_LOCAL:
			run_local(p, c);
			break;
		case X_SIGN:
			launch(p, c);
			break;
		case X_WAIT:
			begin_conn(p, c, 0);
			break;
		case X_CONNECT:
			r = conn_connect(p, x->conn);
			if (r == OK) {
				x->rec.connected = loop_now();
				x->stage = X_SEND;
				x->deadline = p->now + p->config->idle_ms;
			} else if (r == E_FAULT) {
				x->call.fault = x->conn->fault;
				exchange_fail(p, c);
			}
			break;
		case X_SEND:
			send_more(p, c);
			break;
		case X_HEAD:
			exchange_read_head(p, c);
			break;
		case X_REFUSED:
		case X_BODY:
			exchange_read_body(p, c);
			break;
		}
		/* Who has just been asked hasn't answered: select tells. */
	} while (x->stage != was && x->stage != X_NONE && x->stage != X_WAIT &&
	    x->stage != X_SIGN && !(was == X_SEND && x->stage == X_HEAD));
	if (c->state != CLIENT_WORK)
		return;
	/* While we don't read, silence is ours, not the upstream's. */
	if (exchange_backlog(c) > OUT_HIGH)
		x->deadline = p->now + p->config->idle_ms;
	if (overdue(p, x)) {
		FAULT(&x->call.fault, 504, S("upstream "), x->call.up->name,
		    S(" did not answer in time"));
		exchange_fail(p, c);
	} else if (x->stage != X_NONE && x->stage != X_LOCAL &&
	    x->stage != X_CONNECT && p->now >= x->deadline) {
		expire(p, c);
	}
	if (x->stage == X_BODY && x->tail_at && p->now >= x->tail_at &&
	    !x->call.up->backend->passthrough)
		exchange_decode(p, c);
	exchange_tend(p, c);
	chunk_end(c);
}

unsigned exchange_want(const struct client *c)
{
	const struct exchange *x = &c->x;

	switch (x->stage) {
	case X_NONE:
	case X_LOCAL:
	case X_SIGN:
	case X_WAIT:
	case X_CONNECT:
		return 0;
	case X_SEND:
		return WANT_WRITE;
	case X_HEAD:
		return WANT_READ;
	case X_REFUSED:
	case X_BODY:
		break;
	}
	return exchange_backlog(c) > OUT_HIGH ? 0 : WANT_READ;
}

int64_t exchange_deadline(const struct client *c)
{
	const struct exchange *x = &c->x;
	int64_t at = x->deadline;

	switch (x->stage) {
	case X_NONE:
		return LOOP_NEVER;
	case X_LOCAL:
		at = x->local_at;
		break;
	case X_WAIT:
		at = x->local_at;
		break;
	case X_CONNECT:
		at = conn_deadline(x->conn);
		break;
	case X_SIGN:
	case X_SEND:
	case X_HEAD:
	case X_REFUSED:
		break;
	case X_BODY:
		if (x->tail_at && x->tail_at < at)
			at = x->tail_at;
		break;
	}
	if (x->by < at && !x->committed && x->stage != X_LOCAL)
		at = x->by;
	if (exchange_backlog(c) > OUT_HIGH)
		return LOOP_NEVER;	/* the client's write deadline holds */
	if (x->commit_at && x->commit_at < at)
		at = x->commit_at;
	if (x->committed && x->req.stream &&
	    x->last_out + PING_EVERY < at &&
	    !x->call.up->backend->passthrough)
		at = x->last_out + PING_EVERY;
	return at;
}

void exchange_cancel(struct proxy *p, struct client *c)
{
	if (c->x.conn)
		conn_close(c->x.conn);
	c->x.conn = NULL;
	exchange_close(p, c, OUTCOME_CANCELLED);
}
