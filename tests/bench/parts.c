/* parts.c -- how many bytes a second the parts take that see every byte.
 *
 *	build/tests/bench/parts
 *
 * CPU time, each part on its own, on requests of three sizes and on a stream.
 * A part that does its work wrong ends the run.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <time.h>

#include "../../src/backend/backend.h"
#include "../../src/wire/sha256.h"
#include "body.h"

enum {
	ROOM = 64 << 20,
	BODY_MAX = 2 << 20,
	EVENTS = 2000,
	STREAM_MAX = 1 << 20,
	LONG_US = 60000,	/* a part is repeated for so long at least */
	MB = 1000000
};

static char room[ROOM], body_room[BODY_MAX], stream_room[STREAM_MAX];
static struct json doc;
static struct request req;
static struct upstream up;
static struct call call;
static struct notes notes;
static struct ids ids;
static struct http_head head;
static struct arena before;
static size_t events;

static void wrong(const char *what)
{
	printf("%s went wrong\n", what);
	exit(1);
}

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void check(struct str s)
{
	size_t tokens;

	if (json_check(s, &tokens, NULL) != OK)
		wrong("json_check");
}

static struct arena fresh(void)
{
	struct arena a = { room, room + ROOM };

	return a;
}

static void parse(struct str s)
{
	struct arena a = fresh();

	if (json_parse(&doc, s, &a, NULL) != OK)
		wrong("json_parse");
}

static void understand(struct str s)
{
	struct arena a = fresh();
	struct fault f;

	memset(&notes, 0, sizeof(notes));
	if (json_parse(&doc, s, &a, NULL) != OK ||
	    request_parse(&req, &doc, 0, &a, &notes, &f) != OK)
		wrong("request_parse");
	before = a;
}

static void count_event(struct sink *s, const struct event *e)
{
	(void)s;
	(void)e;
	events++;
}

static void begin_call(struct arena *a)
{
	static struct sink sink = { count_event };

	*a = before;
	memset(&call, 0, sizeof(call));
	call.req = &req;
	call.up = &up;
	call.model = S("m");
	call.client = &head;
	call.a = a;
	call.notes = &notes;
	call.ids = &ids;
	call.answer.sink = &sink;
	call.answer.model = req.model;
	call.answer.id = S("msg_1");
	call.state = arena_get(a, up.backend->state_size);
	if (!call.state || up.backend->encode(&call) != OK)
		wrong("encode");
}

static void encode(struct str s)
{
	struct arena a;

	(void)s;
	begin_call(&a);
}

static void estimate(struct str s)
{
	(void)s;
	if (estimate_request(&req, VOCAB_O, 0) <= 0)
		wrong("estimate");
}

static void estimate_some(struct str s)
{
	(void)s;
	if (estimate_request(&req, VOCAB_O, 1) <= 0)
		wrong("estimate");
}

static void hash(struct str s)
{
	unsigned char sum[SHA256_SIZE];

	sha256(sum, s);
}

static void decode(struct str s)
{
	struct arena a;
	struct http_head h = { .status = 200 };

	h.nfields = 1;
	h.fields[0] = (struct http_field){ S("content-type"),
	    S("text/event-stream") };
	begin_call(&a);
	events = 0;
	if (up.backend->begin(&call, &h) != OK ||
	    up.backend->decode(&call, &s, 1, 1) != CALL_DONE ||
	    events < EVENTS)
		wrong("decode");
}

static void time_part(const char *name, void (*part)(struct str), struct str s)
{
	double from, now, n = 0;

	part(s);
	from = cpu_us();
	do {
		part(s);
		n++;
		now = cpu_us();
	} while (now - from < LONG_US);
	printf("  %-34s %9.1f us %8.0f MB/s\n", name, (now - from) / n,
	    (double)s.n * n / (now - from) * 1e6 / MB);
}

static struct str make_stream(void)
{
	struct buf b = buf_on(stream_room, sizeof(stream_room));
	int i;

	for (i = 0; i < EVENTS; i++)
		buf_put(&b, S("data: {\"id\":\"chatcmpl-1\",\"object\":\"chat."
		    "completion.chunk\",\"created\":1764000000,\"model\":\"m\","
		    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"and so "
		    "on \"},\"finish_reason\":null}]}\n\n"));
	buf_put(&b, S("data: {\"choices\":[{\"index\":0,\"delta\":{},"
	    "\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"));
	if (b.full)
		wrong("stream");
	return buf_str(&b);
}

int main(void)
{
	static const struct { const char *name; size_t n; } sizes[] = {
		{ "a request of 1 KB", 1 << 10 },
		{ "a request of 120 KB, 30 tools", 120 << 10 },
		{ "a request of 1 MB", 1 << 20 }
	};
	static _Alignas(16) char facts[1 << 20];
	struct fault f;
	struct str s;
	struct buf b;
	size_t i;

	up.backend = &backend_openai;
	up.name = S("openai");
	up.host = up.authority = S("localhost");
	up.base = S("/v1");
	up.facts = facts;
	if (up.backend->facts_size > sizeof(facts) ||
	    up.backend->configure(&up, S("generic"), S(""), &f) != OK)
		wrong("configure");
	printf("the parts, CPU\n");
	for (i = COUNT(sizes); i-- > 0;) {
		b = buf_on(body_room, sizeof(body_room));
		put_body(&b, sizes[i].n, 1, S("please"));
		s = buf_str(&b);
		printf("%s\n", sizes[i].name);
		time_part("json: grammar, UTF-8, depth", check, s);
		time_part("json: the same and tokens", parse, s);
		time_part("the canonical request", understand, s);
		time_part("openai: encode, estimate included", encode, s);
		time_part("estimate, every byte", estimate, s);
		time_part("estimate, samples", estimate_some, s);
		time_part("sha256", hash, s);
	}
	/* With the small request still there: each run encodes it anew. */
	printf("a stream of %d events\n", EVENTS);
	time_part("openai: decode to events", decode, make_stream());
	return 0;
}
