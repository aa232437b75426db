/* run.c -- golden cases: a client's request in, an upstream's answer in, and
 * exactly these bytes out on both sides.
 *
 *	run [--write] [DIRECTORY]	tests/golden unless said otherwise
 *
 * A case is a directory DIRECTORY/BACKEND/CASE with
 *
 *	config		lines NAME=VALUE: profile, flags, model, base, session,
 *			kind (messages, count, models), clean (0: the answer's
 *			connection just ended); for bedrock also region, api,
 *			betas (of the client's head), guardrail, latency, tier
 *	request.json	the client's body
 *	upstream.json	what must be sent
 *	upstream.head	its request head, lines ended by LF
 *	notes		what translation did, lines KIND FIELD
 *	answer.head	the upstream's head, lines ended by LF
 *	answer		its body, without framing, or
 *	answer.frames	an AWS event stream in words, a frame a line:
 *				event TYPE JSON
 *				chunk JSON		as bytes of a chunk
 *				exception TYPE JSON
 *				error CODE MESSAGE
 *	client.sse	what a streaming client must get,
 *	client.json	or any other,
 *	client.error	or either, if all it gets is an HTTP error
 *	retry.json	what must be sent the second time, if there is one
 *
 * and only what is there is compared; --write writes what isn't. An answer is
 * decoded whole, byte by byte and in random pieces from a printed seed
 * (GOLDEN_SEED sets it), and every way must give the same.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <time.h>

#include "../../src/backend/bedrock.h"
#include "../unit/t.h"

enum {
	ARENA = 24 << 20,
	OUT = 4 << 20,
	CASES_MAX = 512,
	NAME_LONG = 256,
	RANDOM_WAYS = 6
};

static _Alignas(16) char memory[ARENA];
static _Alignas(16) char facts_room[4 << 20];
static char out_room[OUT], first_room[OUT], feed_room[OUT];
static char head_room[HTTP_HEAD_MAX];
static const char *root = "tests/golden";
static int writes;
static unsigned seed;

struct run {
	struct sink sink;		/* first */
	const char *dir;
	struct str config;
	struct arena a, before;
	struct json doc;
	struct request req;
	struct notes notes;
	struct ids ids;
	struct upstream up;
	struct aws_credentials aws;
	struct http_head client, head;
	struct call c;
	struct buf out;
	struct fold fold;
	struct str sent, sent_head, again;
	int folded;
};

/* ---- files ---- */

static void path_of(char *path, const char *dir, const char *name)
{
	snprintf(path, 2 * NAME_LONG, "%s/%s", dir, name);
}

static struct str file(const char *dir, const char *name)
{
	char path[2 * NAME_LONG];

	path_of(path, dir, name);
	return t_file(path);
}

static void write_file(const char *dir, const char *name, struct str s)
{
	char path[2 * NAME_LONG];
	FILE *f;

	path_of(path, dir, name);
	f = fopen(path, "wb");
	if (f) {
		fwrite(s.p, 1, s.n, f);
		fclose(f);
		printf("wrote %s\n", path);
	}
}

/* Compares with the file, if it is there. One newline at its end is free, for
 * editors. */
static void expect(const char *dir, const char *name, struct str got)
{
	struct str want = file(dir, name);

	if (!want.p) {
		if (writes && got.n)
			write_file(dir, name, got);
		return;
	}
	if (want.n == got.n + 1 && want.p[got.n] == '\n')
		want.n--;
	T_STR(got, want, "%s/%s", dir, name);
}

static struct str setting(const struct run *r, const char *name,
	const char *otherwise)
{
	struct str rest = r->config, line;

	while (str_cut(&rest, '\n', &line)) {
		struct str key = str_head(line, str_chr(line, '='));

		if (str_eq(key, str_of(name)))
			return str_from(line, key.n + 1);
	}
	return str_of(otherwise);
}

/* ---- the call ---- */

/* scheme://host[:port][/path], as the configuration would read it. */
static void read_base(struct upstream *u, struct str url)
{
	uint64_t port;
	struct str host;

	u->tls = str_starts(url, S("https://"));
	url = str_from(url, str_find(url, S("://")) + 3);
	u->authority = str_head(url, str_chr(url, '/'));
	u->base = str_from(url, u->authority.n);
	host = str_head(u->authority, str_chr(u->authority, ':'));
	u->host = host;
	u->port = u->tls ? 443 : 80;
	if (str_u64(str_from(u->authority, host.n + 1), &port) == OK)
		u->port = (unsigned)port;
}

static void on_event(struct sink *s, const struct event *e)
{
	struct run *r = (struct run *)s;

	if (r->req.stream) {
		event_write(&r->out, e, S("req_golden"), r->req.wants_edits);
		return;
	}
	if (e->type == EV_MESSAGE_START) {
		fold_init(&r->fold, &r->out, r->req.wants_edits);
		r->folded = 1;
	}
	if (e->type != EV_ERROR)
		fold_event(&r->fold, e);
}

static void reset_call(struct run *r, int attempt)
{
	struct call *c = &r->c;
	struct str kind = setting(r, "kind", "messages");
	unsigned tried = attempt ? c->tried : 0;

	memset(c, 0, sizeof *c);
	c->tried = tried;
	r->a = r->before;
	c->kind = str_eq(kind, S("count")) ? CALL_COUNT :
	    str_eq(kind, S("models")) ? CALL_MODELS : CALL_MESSAGES;
	c->req = &r->req;
	c->up = &r->up;
	c->model = setting(r, "model", "local-model");
	c->client = &r->client;
	c->a = &r->a;
	c->notes = &r->notes;
	c->ids = &r->ids;
	c->attempt = attempt;
	c->now = 1764000000;
	c->now_ms = 1000;
	c->counted = -1;
	c->answer.sink = &r->sink;
	c->answer.id = S("msg_golden");
	c->answer.model = r->req.model;
	c->aws = r->up.backend->signed_aws ? &r->aws : NULL;
	c->state = arena_get(&r->a, r->up.backend->state_size);
}

static void put_fault(struct run *r)
{
	const struct fault *f = &r->c.fault;

	buf_put(&r->out, S("status "));
	buf_int(&r->out, f->status);
	if (f->retry_after >= 0) {
		buf_put(&r->out, S("\nretry-after "));
		buf_int(&r->out, f->retry_after);
	}
	if (f->should_retry >= 0) {
		buf_put(&r->out, S("\nx-should-retry "));
		buf_put(&r->out, f->should_retry ? S("true") : S("false"));
	}
	buf_chr(&r->out, '\n');
	fault_write(&r->out, f, S("req_golden"));
	buf_chr(&r->out, '\n');
}

static int encode(struct run *r)
{
	const struct backend *b = r->up.backend;
	int code = b->encode(&r->c);

	r->c.answer.usage = (struct usage){ .input = r->c.estimate,
	    .output = 1, .thinking = -1, .estimated = 1 };
	if (code == OK && b->head)
		code = b->head(&r->c);
	return code;
}

static struct str joined(struct run *r)
{
	struct buf b = buf_open(&r->a);
	size_t i;

	if (r->c.nbody == 1)
		return r->c.body[0];
	for (i = 0; i < r->c.nbody; i++)
		buf_put(&b, r->c.body[i]);
	return buf_end(&r->a, &b);
}

static void add_field(struct run *r, const char *name, struct str value)
{
	struct http_field *f = &r->client.fields[r->client.nfields];

	if (value.n == 0)
		return;
	f->name = str_of(name);
	f->value = value;
	r->client.nfields++;
}

/* Published example credentials. */
static int set_up_bedrock(struct run *r, struct fault *f)
{
	struct str api = setting(r, "api", "auto");
	struct bedrock_options o = {
		.api = str_eq(api, S("converse")) ? BEDROCK_CONVERSE :
		    str_eq(api, S("invoke")) ? BEDROCK_INVOKE : BEDROCK_AUTO,
		.prefix = setting(r, "prefix", "auto"),
		.guardrail = setting(r, "guardrail", ""),
		.guardrail_version = setting(r, "guardrail", "").n ? S("1") :
		    S(""),
		.latency = setting(r, "latency", ""),
		.tier = setting(r, "tier", "")
	};

	r->aws = (struct aws_credentials){ .id = S("AKIDEXAMPLE"),
	    .secret = S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
	    .region = setting(r, "region", "us-east-1") };
	return bedrock_setup(&r->up, &o, f);
}

/* From the client's bytes to the upstream's. Anew each time: facts, notes and
 * ids must not depend on what ran before. */
static int prepare(struct run *r, const struct backend *backend)
{
	struct str body = file(r->dir, "request.json");
	struct fault f = { 0 };
	struct json_error err;
	int code;

	memset(&r->notes, 0, sizeof r->notes);
	memset(&r->ids, 0, sizeof r->ids);
	memset(facts_room, 0, sizeof facts_room);
	r->a = (struct arena){ memory, memory + ARENA };
	r->out = buf_on(out_room, OUT);
	r->folded = 0;
	r->sink.event = on_event;
	r->client.nfields = 0;
	add_field(r, "x-claude-code-session-id", setting(r, "session", ""));
	add_field(r, "anthropic-beta", setting(r, "betas", ""));
	r->up = (struct upstream){ .backend = backend, .key = S("sk-golden"),
	    .name = S("golden"), .facts = facts_room };
	read_base(&r->up, setting(r, "base", "http://127.0.0.1:9/v1"));
	if (backend->facts_size > sizeof facts_room || (backend->configure &&
	    backend->configure(&r->up, setting(r, "profile", ""),
	    setting(r, "flags", ""), &f) != OK) ||
	    (backend->signed_aws && set_up_bedrock(r, &f) != OK))
		return T(0, "%s: config: %.*s", r->dir, (int)f.n, f.text);
	memset(&r->req, 0, sizeof r->req);
	if (body.p) {
		code = json_parse(&r->doc, str_trim(body), &r->a, &err);
		if (!T(code == OK, "%s: request.json isn't JSON at %zu",
		    r->dir, err.at))
			return 0;
		code = request_parse(&r->req, &r->doc,
		    str_eq(setting(r, "kind", ""), S("count")), &r->a,
		    &r->notes, &f);
		if (!T(code == OK, "%s: request.json: %.*s", r->dir,
		    (int)f.n, f.text))
			return 0;
	}
	r->before = r->a;
	reset_call(r, 0);
	return 1;
}

/* ---- the answer ---- */

static int read_head(struct run *r)
{
	struct str s = file(r->dir, "answer.head");
	struct buf b = buf_on(head_room, sizeof head_room);
	const char *why = "";
	size_t i;

	if (!s.p)
		return 0;
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buf_chr(&b, '\r');
		buf_chr(&b, s.p[i]);
	}
	if (!str_ends(buf_str(&b), S("\r\n\r\n")))
		buf_put(&b, S("\r\n"));
	return T(http_response(&r->head, buf_str(&b), 0, &why) == OK,
	    "%s/answer.head: %s", r->dir, why);
}

static void put_header(struct buf *b, struct str name, struct str value)
{
	buf_chr(b, (char)name.n);
	buf_put(b, name);
	buf_chr(b, EVENTSTREAM_STRING);
	buf_chr(b, (char)(value.n >> 8));
	buf_chr(b, (char)(value.n & 0xff));
	buf_put(b, value);
}

static void put_u32(struct buf *b, size_t v)
{
	int shift;

	for (shift = 24; shift >= 0; shift -= 8)
		buf_chr(b, (char)(v >> shift & 0xff));
}

/* A frame of those headers. */
static void put_frame(struct buf *b, struct str headers, struct str payload)
{
	size_t from = b->n;

	put_u32(b, EVENTSTREAM_LEAST + headers.n + payload.n);
	put_u32(b, headers.n);
	put_u32(b, crc32_add(0, str_from(buf_str(b), from)));
	buf_put(b, headers);
	buf_put(b, payload);
	put_u32(b, crc32_add(0, str_from(buf_str(b), from)));
}

/* A line of answer.frames. */
static void put_described(struct buf *b, struct str line)
{
	static char head_bytes[1 << 14], text_bytes[1 << 16];
	struct buf h = buf_on(head_bytes, sizeof head_bytes);
	struct buf p = buf_on(text_bytes, sizeof text_bytes);
	struct str kind, type = { NULL, 0 };

	if (!str_cut(&line, ' ', &kind))
		return;
	if (str_eq(kind, S("chunk"))) {
		buf_put(&p, S("{\"bytes\":\""));
		buf_base64(&p, line);
		buf_put(&p, S("\"}"));
		type = kind;
		kind = S("event");
	} else {
		str_cut(&line, ' ', &type);
		buf_put(&p, line);
	}
	if (str_eq(kind, S("error"))) {
		put_header(&h, S(":error-code"), type);
		put_header(&h, S(":error-message"), line);
		p.n = 0;
	} else {
		put_header(&h, str_eq(kind, S("event")) ? S(":event-type") :
		    S(":exception-type"), type);
		put_header(&h, S(":content-type"), S("application/json"));
	}
	put_header(&h, S(":message-type"), kind);
	put_frame(b, buf_str(&h), buf_str(&p));
}

/* The bytes of the answer; p NULL: there is none. */
static struct str read_answer(struct run *r)
{
	static char room[1 << 20];
	struct str words = file(r->dir, "answer.frames"), line;
	struct buf b = buf_on(room, sizeof room);

	if (!words.p)
		return file(r->dir, "answer");
	while (str_cut(&words, '\n', &line))
		put_described(&b, line);
	T(!b.full, "%s/answer.frames is too long", r->dir);
	return buf_str(&b);
}

/* way 0: whole; 1: byte by byte; else random pieces. */
static size_t step(int way, size_t left, uint32_t *x)
{
	size_t n = way == 0 ? left : 1;

	if (way > 1) {
		*x = *x * 1664525 + 1013904223;
		n = 1 + (*x >> 16) % (*x >> 30 ? 9 : 200);
	}
	return n < left ? n : left;
}

static int feed(struct run *r, struct str answer, int way)
{
	const struct backend *b = r->up.backend;
	int clean = !str_eq(setting(r, "clean", "1"), S("0"));
	uint32_t x = seed + (uint32_t)way * 2654435761u;
	size_t n = 0, at = 0, k;
	struct str in;
	int code;

	if (r->head.status / 100 != 2)
		return b->refuse(&r->c, &r->head, answer);
	code = b->begin(&r->c, &r->head);
	while (code == OK && at < answer.n) {
		k = step(way, answer.n - at, &x);
		memcpy(feed_room + n, answer.p + at, k);
		at += k;
		in = (struct str){ feed_room, n + k };
		code = b->decode(&r->c, &in, 0, 0);
		memmove(feed_room, feed_room + n + k - in.n, in.n);
		n = in.n;
	}
	in = (struct str){ feed_room, n };
	if (code == OK)
		code = b->decode(&r->c, &in, 1, clean);
	return code;
}

static void end(struct run *r, int code)
{
	if (code == CALL_RETRY) {
		reset_call(r, 1);
		if (encode(r) == OK)
			r->again = joined(r);
		buf_put(&r->out, S("retry\n"));
	} else if (code == E_FAULT && r->c.answer.started && r->req.stream) {
		answer_error(&r->c.answer, &r->c.fault);
	} else if (code == E_FAULT) {
		r->out.n = 0;
		put_fault(r);
	} else if (r->c.kind == CALL_COUNT) {
		buf_int(&r->out, r->c.counted >= 0 ? r->c.counted :
		    r->c.estimate);
		buf_chr(&r->out, '\n');
	}
}

static const char *out_name(const struct run *r, struct str out)
{
	if (str_starts(out, S("status ")))
		return "client.error";
	return r->req.stream ? "client.sse" : "client.json";
}

static void play(struct run *r, const struct backend *b)
{
	struct str answer = read_answer(r), first;
	int way, code;

	if (!answer.p || !read_head(r))
		return;
	if (!T(answer.n < OUT, "%s/answer is too long", r->dir))
		return;
	for (way = 0; way < 2 + RANDOM_WAYS; way++) {
		if (!prepare(r, b) || encode(r) != OK)
			return;
		r->again = (struct str){ NULL, 0 };
		code = feed(r, answer, way);
		T(code == CALL_DONE || code == CALL_RETRY || code == E_FAULT,
		    "%s: the answer must come to an end, not %d", r->dir,
		    code);
		end(r, code);
		if (way == 0) {
			memcpy(first_room, r->out.p, r->out.n);
			first = (struct str){ first_room, r->out.n };
			if (r->again.p)
				expect(r->dir, "retry.json", r->again);
			else
				expect(r->dir, out_name(r, first), first);
			continue;
		}
		T_STR(buf_str(&r->out), first, "%s, %s (seed %u)", r->dir,
		    way == 1 ? "byte by byte" : "in random pieces", seed);
	}
}

/* ---- a case ---- */

static void check_notes(struct run *r)
{
	static char room[1 << 14];
	struct buf b = buf_on(room, sizeof room);
	size_t i;

	for (i = 0; i < r->notes.n; i++) {
		buf_put(&b, str_of(note_kind_name(r->notes.v[i].kind)));
		buf_chr(&b, ' ');
		buf_put(&b, r->notes.v[i].field);
		buf_chr(&b, '\n');
	}
	expect(r->dir, "notes", buf_str(&b));
}

static void check_head(struct run *r)
{
	struct buf b = buf_open(&r->a);
	size_t i;

	for (i = 0; i < r->c.head.n; i++)
		if (r->c.head.p[i] != '\r')
			buf_chr(&b, r->c.head.p[i]);
	if (file(r->dir, "upstream.head").p)
		expect(r->dir, "upstream.head", buf_str(&b));
}

static void run_case(const char *dir, const struct backend *b)
{
	static struct run r;
	size_t ntok;
	int code;

	memset(&r, 0, sizeof r);
	r.dir = dir;
	r.config = file(dir, "config");
	if (!prepare(&r, b))
		return;
	code = encode(&r);
	check_notes(&r);
	if (code != OK) {
		end(&r, code);
		T(r.out.n != 0, "%s: encode said %d", dir, code);
		expect(dir, out_name(&r, buf_str(&r.out)), buf_str(&r.out));
		return;
	}
	if (r.c.nbody) {
		r.sent = joined(&r);
		T(json_check(r.sent, &ntok, NULL) == OK,
		    "%s: what is sent is JSON", dir);
		expect(dir, "upstream.json", r.sent);
	}
	check_head(&r);
	play(&r, b);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in a directory, in order. */
static size_t list(const char *dir, char **names)
{
	static char room[CASES_MAX * NAME_LONG];
	static size_t used;
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0, len;

	while (d && (e = readdir(d)) != NULL && n < CASES_MAX) {
		len = strlen(e->d_name) + 1;
		if (e->d_name[0] == '.' || strchr(e->d_name, '.') ||
		    sizeof room - used < len)
			continue;
		names[n++] = memcpy(room + used, e->d_name, len);
		used += len;
	}
	if (d)
		closedir(d);
	qsort(names, n, sizeof *names, by_name);
	return n;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *dir;
		const struct backend *backend;
	} sets[] = {
		{ "openai", &backend_openai },
		{ "bedrock", &backend_bedrock },
	};
	static char *names[CASES_MAX];
	char dir[NAME_LONG], path[2 * NAME_LONG];
	const char *wish = getenv("GOLDEN_SEED");
	size_t i, j, n;

	for (i = 1; i < (size_t)argc; i++) {
		if (strcmp(argv[i], "--write") == 0)
			writes = 1;
		else
			root = argv[i];
	}
	seed = wish ? (unsigned)strtoul(wish, NULL, 10) :
	    (unsigned)time(NULL);
	for (i = 0; i < COUNT(sets); i++) {
		snprintf(dir, sizeof dir, "%s/%s", root, sets[i].dir);
		n = list(dir, names);
		T(n > 0, "%s has cases", dir);
		for (j = 0; j < n; j++) {
			snprintf(path, sizeof path, "%s/%s", dir, names[j]);
			run_case(path, sets[i].backend);
		}
	}
	printf("golden: seed %u\n", seed);
	return t_done("golden");
}
