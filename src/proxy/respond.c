/* respond.c -- an exchange towards its client.
 *
 * Events pass the tee, first into the record, then to the client: as they come,
 * or folded into one message. Nothing of an answer is committed before the
 * upstream has said something that counts, so that earlier failures are plain
 * HTTP errors; later ones are the stream's error event. A message that was cut
 * never looks finished.
 *
 * SPDX-License-Identifier: MIT */
#include "exchange.h"

enum {
	CHUNK_HEAD = 10		/* eight hex digits and CRLF */
};

void chunk_begin(struct client *c)
{
	if (c->chunk || c->head.minor == 0)
		return;
	buf_put(&c->out, S("00000000\r\n"));
	c->chunk = c->out.n;
}

/* Everything since chunk_begin leaves as one chunk: one turn, one write. */
void chunk_end(struct client *c)
{
	static const char hex[] = "0123456789abcdef";
	size_t from = c->chunk, n = c->out.n - from;
	int i;

	if (!from)
		return;
	c->chunk = 0;
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

size_t exchange_backlog(const struct client *c)
{
	return c->out.n - c->out_sent;
}

/* What was written to the client since at, as it will see it. What is in an
 * open chunk is kept when that ends. */
static void keep_out(struct client *c, int head, size_t at)
{
	if (!c->out.full && !c->chunk)
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

void exchange_tee(struct sink *s, const struct event *e)
{
	struct exchange *x = (struct exchange *)s;

	if (e->type != EV_PIECE)
		note_times(x, e, loop_recent());
	x->rec.sink.event(&x->rec.sink, e);
	if (x->call.up->backend->passthrough || e->type == EV_PIECE)
		return;
	if (x->req.stream)
		stream_event(x->client, e);
	else
		fold_one(x->client, e);
	x->last_out = loop_recent();
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
	x->rec.bytes_out += exchange_backlog(c);
	record_end(&x->rec);
	otlp_ended(x->rec.mon, label_str(&x->rec.id));
}

void exchange_drop(struct proxy *p, struct client *c)
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

void exchange_close(struct proxy *p, struct client *c,
    enum outcome outcome)
{
	if (c->x.in.n > c->x.touched)
		c->x.touched = c->x.in.n;
	exchange_drop(p, c);
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
		exchange_fail(p, c);
		return;
	}
	reply_head(c, &b, 200, S("application/json"), S(""),
	    (int64_t)(c->out.n - HEAD_ROOM));
	c->out_sent = HEAD_ROOM - b.n;
	memcpy(c->out.p + c->out_sent, b.p, b.n);
	c->x.rec.status = 200;
	client_done(c);
}

void exchange_done(struct proxy *p, struct client *c)
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
	exchange_close(p, c, OUTCOME_DONE);
}

void exchange_fail(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	struct fault *f = &x->call.fault;

	x->finished = 2;
	x->rec.fault = *f;
	/* Counting and listing have answers of their own to fall back on. */
	if (x->call.kind == CALL_COUNT && x->call.nbody &&
	    !x->call.up->backend->passthrough) {
		reply_count(c, x->call.estimate);
		exchange_close(p, c, OUTCOME_DONE);
		return;
	}
	if (x->call.kind == CALL_MODELS && !x->committed) {
		x->rec.status = 200;
		surface_models(p, c, NULL, 0);
		exchange_close(p, c, OUTCOME_DONE);
		return;
	}
	if (!x->committed) {
		c->out.n = c->out_sent = 0;
		c->out.full = 0;
		c->chunk = 0;
		x->rec.status = f->status;
		reply_fault(c, f);
		exchange_close(p, c, OUTCOME_ERROR);
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
	exchange_close(p, c, OUTCOME_CUT);
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

int pass_is_stream(const struct exchange *x)
{
	return x->head.framing != HTTP_NO_BODY && str_starts(http_field(
	    &x->head, S("content-type")), S("text/event-stream"));
}

/* Whether the length that was promised to us is promised on. Of a stream it
 * isn't: it may have to end by an error event. */
static int keeps_length(const struct exchange *x)
{
	return x->head.framing == HTTP_COUNTED && !pass_is_stream(x);
}

void pass_head(struct client *c)
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
	x->last_out = loop_recent();
}

void pass_bytes(struct client *c, struct str bytes)
{
	if (bytes.n == 0)
		return;
	if (!keeps_length(&c->x))
		chunk_begin(c);
	buf_put(&c->out, bytes);
	if (!c->chunk)
		record_raw(&c->x.rec, RAW_CLIENT_RESPONSE, 0, bytes);
}

void pass_end(struct proxy *p, struct client *c)
{
	struct exchange *x = &c->x;
	int whole = x->clean >= 0;

	x->finished = whole ? 1 : 2;
	if (!whole && !pass_is_stream(x)) {
		/* Its length is promised already: only a visible end of the
		 * connection says that the rest is missing. */
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" was cut off"));
		x->rec.fault = x->call.fault;
		exchange_close(p, c, OUTCOME_CUT);
		client_close(p, c);
		return;
	}
	if (!whole) {
		FAULT(&x->call.fault, 502, S("upstream "), x->call.up->name,
		    S(" was cut off"));
		exchange_fail(p, c);
		return;
	}
	if (!keeps_length(x) && x->head.framing != HTTP_NO_BODY)
		last_chunk(c);
	x->rec.fault = x->call.fault;
	client_done(c);
	exchange_close(p, c, x->head.status / 100 == 2 &&
	    x->rec.fault.status == 0 ? OUTCOME_DONE : OUTCOME_ERROR);
}

void exchange_tend(struct proxy *p, struct client *c)
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
