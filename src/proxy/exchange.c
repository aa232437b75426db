/* exchange.c -- a request on its way to a backend, and its answer back.
 *
 * The stages follow the data: parse, route, encode; connect, send, read the
 * head; then content in, events out, through the tee: first the record, then
 * the client. Nothing of an answer is committed to the client before the
 * upstream has said something that counts, so that earlier failures are
 * plain HTTP errors; later ones are the stream's error event. A message that
 * was cut never looks finished.
 *
 * Back-pressure is one clause in exchange_want: with more than OUT_HIGH bytes
 * unsent, the upstream is not read.
 *
 * SPDX-License-Identifier: MIT */
#include "proxy.h"

enum {
	COMMIT_AFTER = 8000,	/* ms from the upstream's 2xx (AN 5.4) */
	PATIENCE = 8,		/* this part of FIRST_BYTE_TIMEOUT without even
				 * a head, and the stream begins all the same:
				 * Ollama and llama.cpp send none before they
				 * have read the prompt, and Claude Code gives
				 * up after six minutes without one */
	PING_EVERY = 10000,	/* ms without a byte for the client */
	COUNT_MAX = 2000,	/* ms for an upstream's own token count, from
				 * the request on */
	MODELS_MAX = 4000,	/* ms for an upstream's list of models */
	WAIT_MAX = 5000,	/* ms for a free upstream slot */
	SIGN_MAX = CREDENTIALS_DEADLINE_MS + 5000,	/* ms for credentials */
	WAIT_STEP = 50,
	CHUNK_HEAD = 10		/* eight hex digits and CRLF */
};

static void end_ok(struct proxy *p, struct client *c);
static void fail(struct proxy *p, struct client *c);

/* ---- towards the client ----------------------------------------------- */

void chunk_begin(struct client *c)
{
	if (c->x.chunk || c->head.minor == 0)
		return;
	buf_put(&c->out, S("00000000\r\n"));
	c->x.chunk = c->out.n;
}

/* Everything since chunk_begin leaves as one chunk: one turn, one write. */
void chunk_end(struct client *c)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = c->x.chunk, n = c->out.n - from;
	int i;

	if (!from)
		return;
	c->x.chunk = 0;
	if (n == 0) {
		c->out.n = from - CHUNK_HEAD;
		return;
	}
	if (c->x.recorded)
		record_raw(&c->x.rec, RAW_CLIENT_RESPONSE, 0,
		    str_from(buf_str(&c->out), from));
	for (i = 0; i < 8; i++)
		c->out.p[from - CHUNK_HEAD + (size_t)i] =
		    hex[n >> (4 * (7 - i)) & 15];
	buf_put(&c->out, S("\r\n"));
}

void last_chunk(struct client *c)
{
	chunk_end(c);
	if (c->head.minor >= 1)
		buf_put(&c->out, S("0\r\n\r\n"));
}

static size_t backlog(const struct client *c)
{
	return c->out.n - c->out_sent;
}

/* What was written to the client since at, as it will see it. What is in an
 * open chunk is kept when that ends. */
static void keep_out(struct client *c, int head, size_t at)
{
	if (!c->out.full && !c->x.chunk)
		record_raw(&c->x.rec, RAW_CLIENT_RESPONSE, head,
		    str_from(buf_str(&c->out), at));
}

/* A whole reply that stands in out. */
static void keep_reply(struct client *c)
{
	struct str all = str_from(buf_str(&c->out), c->out_sent);
	size_t head = http_head_end(all, 0);

	record_raw(&c->x.rec, RAW_CLIENT_RESPONSE, 1, str_head(all, head));
	record_raw(&c->x.rec, RAW_CLIENT_RESPONSE, 0, str_from(all, head));
}

/* Fields of ours that an upstream's answer gives rise to. */
static void stream_head(struct client *c)
{
	size_t at = c->out.n;

	reply_head(c, &c->out, 200, S("text/event-stream; charset=utf-8"),
	    S("cache-control: no-cache\r\nx-accel-buffering: no\r\n"), -1);
	keep_out(c, 1, at);
	c->x.committed = 1;
	c->x.rec.status = 200;
}

static void stream_event(struct client *c, const struct event *e)
{
	size_t at;

	if (!c->x.committed)
		stream_head(c);
	chunk_begin(c);
	at = c->out.n;
	event_write(&c->out, e, client_request_id(c), c->x.req.wants_edits);
	if (e->type == EV_MESSAGE_START)
		event_write_ping(&c->out);
	/* Half an event is none. Only a single event of many megabytes can
	 * get here; the turn ends the stream with an error. */
	if (c->out.full)
		c->out.n = at;
	else
		keep_out(c, 0, at);
}

static void fold_one(struct client *c, const struct event *e)
{
	if (e->type == EV_MESSAGE_START) {
		c->x.fold = (struct fold){ 0 };
		c->out.n = HEAD_ROOM;
		c->out_sent = HEAD_ROOM;	/* nothing to send yet */
		fold_init(&c->x.fold, &c->out, c->x.req.wants_edits);
	}
	if (e->type != EV_ERROR)
		fold_event(&c->x.fold, e);
	/* Bytes of an unfinished message stay: nothing is sent before its
	 * length is known. */
	c->out_sent = c->out.n;
}

static void note_times(struct exchange *x, const struct event *e, int64_t now)
{
	if (!x->rec.first_token && e->type != EV_MESSAGE_START &&
	    e->type != EV_ERROR)
		x->rec.first_token = now;
}

/* The tee: the record first, then the client. */
static void tee(struct sink *s, const struct event *e)
{
	struct exchange *x = (struct exchange *)s;

	if (e->type != EV_PIECE)
		note_times(x, e, loop_now());
	x->rec.sink.event(&x->rec.sink, e);
	if (x->call.up->backend->passthrough || e->type == EV_PIECE)
		return;
	if (x->req.stream)
		stream_event(x->client, e);
	else
		fold_one(x->client, e);
	x->last_out = loop_now();
}

static void finish_record(struct client *c, enum outcome outcome)
{
	struct exchange *x = &c->x;

	if (!x->recorded)
		return;
	x->recorded = 0;
	if (!x->committed && outcome != OUTCOME_CANCELLED)
		keep_reply(c);
	x->rec.outcome = outcome;
	x->rec.ended = loop_now();	/* p->now is when the turn began */
	x->rec.bytes_out += backlog(c);
	record_end(&x->rec);
	otlp_ended(x->rec.mon, label_str(&x->rec.id));
}

/* Upstream done with: back to the pool if what was read leaves it clean. */
static void drop_conn(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	if (!x->conn)
		return;
	if (x->conn->state == CONN_OPEN && x->content_done && x->clean > 0 &&
	    x->head.keep_alive && !p->draining)
		conn_release(p, x->conn);
	else if (x->conn->state == CONN_OPEN && x->stage == X_BODY &&
	    !x->content_done && x->finished == 1 && x->head.keep_alive &&
	    x->body.framing != HTTP_TO_CLOSE)
		conn_drain(p, x->conn, &x->body);
	else
		conn_close(x->conn);
	x->conn = NULL;
}

static void close_exchange(struct proxy *p, struct client *c,
    enum outcome outcome)
{
	if (c->x.in.n > c->x.touched)
		c->x.touched = c->x.in.n;
	drop_conn(p, c);
	c->x.stage = X_NONE;
	c->x.limits.n = 0;
	finish_record(c, outcome);
}

static void reply_count(struct client *c, int64_t n)
{
	char body[128];
	struct buf b = buf_on(body, sizeof body);

	buf_put(&b, S("{\"input_tokens\":"));
	buf_int(&b, n < 0 ? 0 : n);
	if (c->x.req.wants_edits) {
		buf_put(&b, S(",\"context_management\":"
		    "{\"original_input_tokens\":"));
		buf_int(&b, n < 0 ? 0 : n);
		buf_chr(&b, '}');
	}
	buf_chr(&b, '}');
	c->x.rec.status = 200;
	c->x.rec.usage.input = n;
	c->x.rec.have_usage = 1;
	reply(c, 200, S("application/json"), S(""), buf_str(&b));
}

/* The folded message gets its head, now that its length is known. */
static void reply_message(struct proxy *p, struct client *c)
{
	char head[HEAD_ROOM];
	struct buf b = buf_on(head, sizeof head);

	if (c->out.full || c->out.n < HEAD_ROOM) {
		FAULT(&c->x.call.fault, 502,
		    S("the answer is larger than the proxy's buffer"));
		fail(p, c);
		return;
	}
	reply_head(c, &b, 200, S("application/json"), S(""),
	    (int64_t)(c->out.n - HEAD_ROOM));
	c->out_sent = HEAD_ROOM - b.n;
	memcpy(c->out.p + c->out_sent, b.p, b.n);
	c->x.rec.status = 200;
	client_done(c);
}

static void end_ok(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	x->finished = 1;
	if (x->call.kind == CALL_COUNT) {
		reply_count(c, x->call.counted >= 0 ? x->call.counted :
		    x->call.estimate);
	} else if (x->call.kind == CALL_MODELS) {
		x->rec.status = 200;
		surface_models(p, c, x->call.models, x->call.nmodels);
	} else if (x->req.stream) {
		last_chunk(c);
		client_done(c);
	} else {
		reply_message(p, c);
		if (x->stage == X_NONE)
			return;
	}
	close_exchange(p, c, OUTCOME_DONE);
}

/* call.fault says what happened. Before anything was committed it becomes an
 * HTTP error, afterwards the error event that ends the stream. */
static void fail(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct fault *f = &x->call.fault;

	x->finished = 2;
	x->rec.fault = *f;
	/* Counting and listing have answers of their own to fall back on. */
	if (x->call.kind == CALL_COUNT && x->call.nbody &&
	    !x->call.up->backend->passthrough) {
		reply_count(c, x->call.estimate);
		close_exchange(p, c, OUTCOME_DONE);
		return;
	}
	if (x->call.kind == CALL_MODELS && !x->committed) {
		x->rec.status = 200;
		surface_models(p, c, NULL, 0);
		close_exchange(p, c, OUTCOME_DONE);
		return;
	}
	if (!x->committed) {
		c->out.n = c->out_sent = 0;
		c->out.full = 0;
		x->chunk = 0;
		x->rec.status = f->status;
		reply_fault(c, f);
		close_exchange(p, c, OUTCOME_ERROR);
		return;
	}
	c->out.full = 0;
	if (x->call.up->backend->passthrough) {
		struct event e = { .type = EV_ERROR, .fault = f };
		size_t at;

		/* Perhaps inside an event: an empty line ends it. */
		chunk_begin(c);
		at = c->out.n;
		buf_put(&c->out, S("\n\n"));
		event_write(&c->out, &e, client_request_id(c), 0);
		keep_out(c, 0, at);
	} else {
		answer_error(&x->call.answer, f);
	}
	last_chunk(c);
	client_done(c);
	close_exchange(p, c, OUTCOME_CUT);
}

/* ---- start ------------------------------------------------------------ */

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

	x->in.n = x->looked = 0;
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
		fail(p, c);
	} else if (r == E_NONE || r == CALL_DONE) {
		end_ok(p, c);
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
	x->sink.event = tee;
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
		close_exchange(p, c, OUTCOME_ERROR);
		return;
	}
	x->before = c->a;
	x->by = kind == CALL_MODELS ? p->now + MODELS_MAX :
	    kind == CALL_COUNT && !d.up->backend->passthrough ?
	    p->now + COUNT_MAX : LOOP_NEVER;
	launch(p, c);
}

static void retry(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	int most = x->call.up->backend->retries;

	drop_conn(p, c);
	if (x->call.attempt >= (most ? most : 1) || x->committed) {
		if (x->call.fault.status == 0)
			FAULT(&x->call.fault, 502, S("upstream "),
			    x->call.up->name,
			    S(" refused the request twice"));
		fail(p, c);
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

/* The answer needs one more call, whose body decode has left. */
static void follow(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	drop_conn(p, c);
	x->content_done = x->clean = 0;
	if (x->call.up->backend->head(&x->call) == OK) {
		set_out(p, c);
		return;
	}
	FAULT(&x->call.fault, 413, S("the request does not fit the proxy's "
	    "memory for one request (MAX_BODY)"));
	fail(p, c);
}

/* ---- the upstream side ------------------------------------------------ */

/* The connection ended before a byte of the answer: the request may go out
 * once more, on a new one (a pooled one may have been closed under us). */
static void broken(struct proxy *p, struct client *c, struct str why)
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
	fail(p, c);
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
		broken(p, c, conn_trouble(x->conn));
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

/* Fields of an answer that is passed through: what concerns the client, and
 * nothing that concerns a connection. */
static int passes(struct str name)
{
	static const struct str exact[] = {
		{ "request-id", 10 }, { "retry-after", 11 },
		{ "retry-after-ms", 14 }, { "x-should-retry", 14 },
		{ "cache-control", 13 }
	};
	size_t i;

	for (i = 0; i < COUNT(exact); i++)
		if (str_ieq(name, exact[i]))
			return 1;
	return str_istarts(name, S("anthropic-"));
}

static int is_stream(const struct exchange *x)
{
	return x->head.framing != HTTP_NO_BODY && str_starts(http_field(
	    &x->head, S("content-type")), S("text/event-stream"));
}

/* Whether the length that was promised to us is promised on. Of a stream it
 * isn't: it may have to end by an error event. */
static int keeps_length(const struct exchange *x)
{
	return x->head.framing == HTTP_COUNTED && !is_stream(x);
}

static void pass_head(struct client *c)
{
	struct exchange *x = &c->x;
	char fields[8192];
	struct buf b = buf_on(fields, sizeof fields);
	struct str type = http_field(&x->head, S("content-type"));
	size_t i, at;

	for (i = 0; i < x->head.nfields; i++) {
		if (!passes(x->head.fields[i].name) ||
		    !http_value_ok(x->head.fields[i].value))
			continue;
		buf_put(&b, x->head.fields[i].name);
		buf_put(&b, S(": "));
		buf_put(&b, x->head.fields[i].value);
		buf_put(&b, S("\r\n"));
	}
	if (b.full)
		b.n = 0;
	at = c->out.n;
	reply_head(c, &c->out, x->head.status, type, buf_str(&b),
	    keeps_length(x) ? (int64_t)x->head.length :
	    x->head.framing == HTTP_NO_BODY ? 0 : -1);
	keep_out(c, 1, at);
	x->committed = 1;
	x->rec.status = x->head.status;
	x->last_out = loop_now();
}

static void put_passed(struct client *c, struct str bytes)
{
	if (bytes.n == 0)
		return;
	if (!keeps_length(&c->x))
		chunk_begin(c);
	buf_put(&c->out, bytes);
	if (!c->x.chunk)
		record_raw(&c->x.rec, RAW_CLIENT_RESPONSE, 0, bytes);
}

/* Host and port of a Location. The rest may hold a password or a token, and
 * goes into an error, a log and a page. Empty when it names none. */
static struct str location_host(struct str where)
{
	size_t scheme = str_find(where, S("//")), i;
	struct str host = str_from(where, scheme + 2);

	for (i = 0; i < scheme; i++)
		if (where.p[i] == '/' || where.p[i] == '?' ||
		    where.p[i] == '#')
			return S("");
	for (i = 0; i < host.n && host.p[i] != '/' && host.p[i] != '?' &&
	    host.p[i] != '#' && host.p[i] != '\\'; i++)
		;
	host = str_head(host, i);
	while ((i = str_chr(host, '@')) < host.n)
		host = str_from(host, i + 1);
	return str_head(host, 100);
}

static int refused_by_head(struct exchange *x)
{
	struct str encoding = http_field(&x->head, S("content-encoding"));
	struct str host = location_host(http_field(&x->head, S("location")));
	struct fault *f = &x->call.fault;

	if (x->head.status == 101) {
		FAULT(f, 502, S("upstream "), x->call.up->name,
		    S(" switched protocols unasked"));
		return E_FAULT;
	}
	if (encoding.n && !str_ieq(encoding, S("identity"))) {
		FAULT(f, 502, S("upstream "), x->call.up->name,
		    S(" sent content-encoding "), str_head(encoding, 40),
		    S(", which was not asked for"));
		return E_FAULT;
	}
	if (x->head.status / 100 != 3)
		return OK;
	/* Never followed: the key would go along. */
	FAULT(f, 502, S("upstream "), x->call.up->name,
	    S(" redirects to "), host.n ? host : S("another path"),
	    S("; redirects are not followed, correct the base URL"));
	f->should_retry = 0;
	return E_FAULT;
}

static void keep_limits(struct exchange *x)
{
	char text[LIMITS_MAX + SPEND_LINE];
	struct buf b = buf_on(text, sizeof text);

	if (!x->call.up->backend->passthrough)
		put_limits(&b, &x->head, loop_wall());
	monitor_put_spend(&b, x->rec.mon, loop_now());
	if (b.n && !b.full)
		x->limits = arena_str(&x->client->a, buf_str(&b));
}

/* A complete head stands at the front of in. */
static void take_head(struct proxy *p, struct client *c, size_t end)
{
	struct exchange *x = &c->x;
	struct str head = arena_str(&c->a, (struct str){ x->in.p, end });
	const char *why = "";

	buf_drop(&x->in, end);
	x->looked = 0;
	if (!head.p || http_response(&x->head, head, 0, &why) != OK) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" broke HTTP: "), str_of(why));
		fail(p, c);
		return;
	}
	if (x->head.status / 100 == 1 && x->head.status != 101) {
		if (++x->interim <= INTERIM_MAX)
			return;
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" sends interim answers without end"));
		fail(p, c);
		return;
	}
	if (refused_by_head(x) != OK) {
		fail(p, c);
		return;
	}
	record_raw(&x->rec, RAW_UPSTREAM_RESPONSE, 1, head);
	http_body_init(&x->body, &x->head);
	keep_limits(x);
	x->rec.first_byte = loop_now();
	x->deadline = p->now + p->config->idle_ms;
	x->stage = x->head.status / 100 == 2 ? X_BODY : X_REFUSED;
	if (x->stage == X_BODY && x->call.up->backend->begin(&x->call,
	    &x->head) != OK) {
		fail(p, c);
		return;
	}
	if (x->call.up->backend->passthrough)
		pass_head(c);
	else if (x->stage == X_BODY && x->req.stream)
		x->commit_at = p->now + COMMIT_AFTER;
}

/* Takes the framing off raw bytes that stand right behind the content. */
static void take_content(struct exchange *x, struct str raw)
{
	struct client *c = x->client;
	struct str piece;
	size_t from = x->in.n;
	int r = OK;

	while (r == OK && raw.n) {
		r = http_body(&x->body, &raw, &piece);
		if (r == E_BAD)
			break;
		if (x->call.up->backend->passthrough)
			put_passed(c, piece);
		if (piece.n && piece.p != x->in.p + x->in.n)
			memmove(x->in.p + x->in.n, piece.p, piece.n);
		x->in.n += piece.n;
	}
	/* All of a read at once: events are short, and come by the dozen. */
	record_raw(&x->rec, RAW_UPSTREAM_RESPONSE, 0,
	    str_from(buf_str(&x->in), from));
	if (r == OK)
		return;
	x->content_done = 1;
	/* Bytes behind the answer belong to nothing. */
	x->clean = r == E_NONE && raw.n == 0;
	if (r == E_BAD)
		x->clean = -1;
}

/* What came along with the head. */
static void begin_content(struct exchange *x)
{
	struct str raw = buf_str(&x->in);

	x->in.n = 0;
	x->ready = raw.n > 0;
	if (x->body.framing == HTTP_NO_BODY ||
	    (x->body.framing == HTTP_COUNTED && x->body.left == 0)) {
		x->content_done = x->ready = 1;
		x->clean = raw.n == 0;
	} else {
		take_content(x, raw);
	}
}

static void read_answer_head(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	size_t end, from;
	long n;

	n = conn_recv(x->conn, x->in.p + x->in.n, READ_MAX);
	if (n == SOCK_AGAIN)
		return;
	if (n <= 0) {
		broken(p, c, n == SOCK_EOF ? S("closed") :
		    conn_trouble(x->conn));
		return;
	}
	x->got_byte = 1;
	x->in.n += (size_t)n;
	while (x->stage == X_HEAD &&
	    (end = http_head_end(buf_str(&x->in), x->looked)) != 0)
		take_head(p, c, end);
	if (x->stage == X_BODY || x->stage == X_REFUSED)
		begin_content(x);
	if (x->stage != X_HEAD)
		return;
	from = x->looked;
	x->looked = x->in.n;
	if (http_response_partial(buf_str(&x->in), from) != OK ||
	    x->interim > INTERIM_MAX) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" sent what is no HTTP/1.1 head, or too large a one"));
		fail(p, c);
	}
}

/* One read. 1: there is something new. */
static int read_content(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	size_t room = x->in.cap - x->in.n;
	long n;

	if (x->content_done)
		return 0;
	if (room == 0) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" sent an event larger than the proxy's buffer"));
		fail(p, c);
		return 0;
	}
	n = conn_recv(x->conn, x->in.p + x->in.n,
	    room < READ_MAX ? room : READ_MAX);
	if (n == SOCK_AGAIN)
		return 0;
	if (n <= 0) {
		x->content_done = 1;
		x->clean = -1;
		if (n == SOCK_EOF && !x->conn->cut &&
		    http_body_eof(&x->body) == OK)
			x->clean = 0;
		return 1;
	}
	x->deadline = p->now + p->config->idle_ms;
	if (x->tail_at)
		x->tail_at = p->now + x->call.wait_ms;
	if (x->in.n + (size_t)n > x->touched)
		x->touched = x->in.n + (size_t)n;
	take_content(x, (struct str){ x->in.p + x->in.n, (size_t)n });
	return 1;
}

static void end_passed(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	int whole = x->clean >= 0;

	x->finished = whole ? 1 : 2;
	if (!whole && !is_stream(x)) {
		/* Its length is promised already: only a visible end of the
		 * connection says that the rest is missing. */
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" was cut off"));
		x->rec.fault = x->call.fault;
		close_exchange(p, c, OUTCOME_CUT);
		client_close(p, c);
		return;
	}
	if (!whole) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" was cut off"));
		fail(p, c);
		return;
	}
	if (!keeps_length(x) && x->head.framing != HTTP_NO_BODY)
		last_chunk(c);
	x->rec.fault = x->call.fault;
	client_done(c);
	close_exchange(p, c, x->head.status / 100 == 2 &&
	    x->rec.fault.status == 0 ? OUTCOME_DONE : OUTCOME_ERROR);
}

/* A passed-through answer is decoded for the record alone. */
static void decode_passed(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct str s = buf_str(&x->in);
	int r = OK;

	if (x->stage == X_REFUSED) {
		if (x->content_done)
			x->call.up->backend->refuse(&x->call, &x->head,
			    str_head(s, ERROR_BODY_MAX));
		else if (x->in.n > ERROR_BODY_MAX)
			x->in.n = ERROR_BODY_MAX;
	} else if (x->finished == 0) {
		r = x->call.up->backend->decode(&x->call, &s,
		    x->content_done, x->clean > 0);
		if (r != OK)
			x->finished = 3;	/* no more to learn */
		/* Its framing may have ended well, its message didn't. */
		if (r == E_MORE && is_stream(x)) {
			x->content_done = 1;
			x->clean = -1;
		}
		buf_drop(&x->in, x->in.n - s.n);
	}
	/* And the other way round: after message_stop nothing is missing. */
	if (x->clean < 0 && x->call.answer.ended && is_stream(x))
		x->clean = 0;
	if (x->finished == 3)
		x->in.n = 0;
	if (x->content_done)
		end_passed(p, c);
}

static void decode(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct call *call = &x->call;
	struct str s = buf_str(&x->in);
	int ending = x->content_done || (x->tail_at && p->now >= x->tail_at);
	int r;

	/* Whole JSON may stand in half a body: its length was promised. */
	if (x->content_done && x->clean < 0 && str_istarts(http_field(&x->head,
	    S("content-type")), S("application/json"))) {
		FAULT(&call->fault, 502, S("upstream "), call->up->name,
		    S(" was cut off: "), str_of(x->body.why ? x->body.why :
		    "the connection ended"));
		fail(p, c);
		return;
	}
	call->wait_ms = 0;
	r = call->up->backend->decode(call, &s, ending,
	    x->clean > 0 || (x->tail_at && !x->content_done));
	buf_drop(&x->in, x->in.n - s.n);
	if (c->out.full) {
		c->out.full = 0;
		FAULT(&call->fault, 502,
		    S("the answer is larger than the proxy's buffer"));
		r = E_FAULT;
	}
	if (r == OK && call->wait_ms)
		x->tail_at = p->now + call->wait_ms;
	switch (r) {
	case OK:
		if (!ending)
			return;
		FAULT(&call->fault, 502, S("upstream "), call->up->name,
		    S(" ended its answer early"));
		fail(p, c);
		return;
	case CALL_DONE:
		end_ok(p, c);
		return;
	case CALL_RETRY:
		retry(p, c);
		return;
	case CALL_NEXT:
		follow(p, c);
		return;
	case E_FULL:
		FAULT(&call->fault, 502,
		    S("the answer is larger than the proxy's memory"));
		break;
	}
	fail(p, c);
}

static void read_body(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	int rounds = 0, dry;

	if (backlog(c) > OUT_HIGH)
		return;
	dry = x->ready && x->conn->drained;	/* it came with the head */
	while (x->stage == X_BODY || x->stage == X_REFUSED) {
		if (!x->ready) {
			if (dry || !read_content(p, c))
				break;
			dry = x->conn->drained;
		}
		x->ready = 0;
		if (x->call.up->backend->passthrough) {
			decode_passed(p, c);
		} else if (x->stage == X_BODY) {
			decode(p, c);
		} else if (x->content_done || x->in.n >= ERROR_BODY_MAX) {
			int r = x->call.up->backend->refuse(&x->call, &x->head,
			    buf_str(&x->in));

			if (r == CALL_DONE)
				end_ok(p, c);
			else if (r == CALL_RETRY)
				retry(p, c);
			else
				fail(p, c);
		}
		if (++rounds == 4 || backlog(c) > OUT_HIGH)
			break;
	}
}

static void run_local(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct str none = { NULL, 0 };
	int r = OK;

	while (x->stage == X_LOCAL && p->now >= x->local_at &&
	    backlog(c) <= OUT_HIGH) {
		x->call.wait_ms = 0;
		r = x->call.up->backend->decode(&x->call, &none, 0, 1);
		if (r == CALL_DONE)
			end_ok(p, c);
		else if (r != OK)
			fail(p, c);
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
	fail(p, c);
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

static void tend_client(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;

	if (x->stage == X_NONE || !x->req.stream ||
	    x->call.up->backend->passthrough)
		return;
	if (x->commit_at && p->now >= x->commit_at) {
		x->commit_at = 0;
		answer_start(&x->call.answer);
	}
	if (x->committed && p->now - x->last_out >= PING_EVERY) {
		size_t at;

		chunk_begin(c);
		at = c->out.n;
		event_write_ping(&c->out);
		keep_out(c, 0, at);
		x->last_out = p->now;
	}
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
				fail(p, c);
			}
			break;
		case X_SEND:
			send_more(p, c);
			break;
		case X_HEAD:
			read_answer_head(p, c);
			break;
		case X_REFUSED:
		case X_BODY:
			read_body(p, c);
			break;
		}
	} while (x->stage != was && x->stage != X_NONE && x->stage != X_WAIT &&
	    x->stage != X_SIGN);
	if (c->state != CLIENT_WORK)
		return;
	/* While we don't read, silence is ours, not the upstream's. */
	if (backlog(c) > OUT_HIGH)
		x->deadline = p->now + p->config->idle_ms;
	if (overdue(p, x)) {
		FAULT(&x->call.fault, 504, S("upstream "), x->call.up->name,
		    S(" did not answer in time"));
		fail(p, c);
	} else if (x->stage != X_NONE && x->stage != X_LOCAL &&
	    x->stage != X_CONNECT && p->now >= x->deadline) {
		expire(p, c);
	}
	if (x->stage == X_BODY && x->tail_at && p->now >= x->tail_at &&
	    !x->call.up->backend->passthrough)
		decode(p, c);
	tend_client(p, c);
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
	return backlog(c) > OUT_HIGH ? 0 : WANT_READ;
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
	if (backlog(c) > OUT_HIGH)
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
	close_exchange(p, c, OUTCOME_CANCELLED);
}
