/* Tests of wire/eventstream: every stream of tests/data/eventstream.json,
 * whole, byte by byte and in random pieces, all to one result; then headers,
 * limits and the checksum.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"
#include "../../src/wire/json.h"
#include "../../src/wire/eventstream.c"

enum { PIECES = 25 };

static char memory[1 << 22];
static uint32_t seed = 20261123;

static uint32_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	return seed ^= seed << 5;
}

static struct str text_of(struct arena *a, struct jv v)
{
	return json_text(a, json_str(v));
}

/* Everything that came out of a stream, as text to be compared. */
static void describe_header(struct buf *b, const struct eventstream_header *h)
{
	buf_put(b, S(" "));
	buf_printable(b, h->name);
	buf_chr(b, '/');
	buf_int(b, (int)h->type);
	buf_chr(b, '=');
	if (h->type >= EVENTSTREAM_BYTES && h->type != EVENTSTREAM_TIME)
		buf_hex(b, h->value);
	else
		buf_int(b, h->number);
}

static void describe(struct buf *b, uint64_t at,
    const struct eventstream_message *m)
{
	struct str rest = m->headers;
	struct eventstream_header h;

	buf_u64(b, at);
	buf_chr(b, '+');
	buf_u64(b, m->raw.n);
	buf_chr(b, '/');
	buf_u64(b, m->headers.n);
	while (eventstream_header(&rest, &h))
		describe_header(b, &h);
	buf_put(b, S(" : "));
	buf_hex(b, m->payload);
	buf_chr(b, '\n');
}

/* Feeds a stream in pieces of at most `piece` bytes (0: of random sizes) from
 * a block of just the bytes that have arrived, so that ASan sees a read past
 * them. */
static void run(struct buf *b, struct str all, size_t piece)
{
	struct eventstream d;
	struct eventstream_message m;
	size_t have = 0, done = 0, step;
	int r = E_MORE;

	eventstream_init(&d, 0);
	do {
		step = piece ? piece : 1 + rnd() % (1 + rnd() % 300);
		have = have + step < all.n ? have + step : all.n;
		for (;;) {
			size_t n = have - done;
			char *copy = malloc(n + 1);
			struct str in = { copy, n };
			uint64_t at = d.at;

			memcpy(copy, all.p + done, n);
			r = eventstream_next(&d, &in, &m);
			if (r == OK)
				describe(b, at, &m);
			else if (r == E_MORE)
				T(in.n == n && d.need > n, "AW-24 unchanged");
			done += n - in.n;
			free(copy);
			if (r != OK)
				break;
		}
	} while (r == E_MORE && have < all.n);
	if (r == E_MORE)
		eventstream_end(&d, str_from(all, done));
	buf_put(b, S("end "));
	buf_int(b, (int)d.error);
	buf_chr(b, '@');
	buf_u64(b, d.at);
	if (d.error) {
		struct str in = all;

		T(eventstream_next(&d, &in, &m) == E_BAD && in.n == all.n &&
		    eventstream_end(&d, S("")) == E_BAD,
		    "AW-22 an error stays");
	}
}

/* -- what the description says should come out -- */

static void want_header(struct buf *b, struct arena *a, struct str name,
	struct jv h)
{
	static const char *const names[] = { "boolean", "boolean", "byte",
	    "short", "integer", "long", "binary", "string", "timestamp",
	    "uuid" };
	struct jv v = json_get(h, S("value"));
	char raw[40000];
	struct buf t = buf_on(raw, sizeof(raw));
	struct eventstream_header out = { name, 0, { NULL, 0 }, 0 };
	struct str text;
	uint64_t n;
	int i, digit = 0, c;

	for (i = 0; i < (int)COUNT(names); i++)
		if (json_is(json_get(h, S("type")), str_of(names[i])))
			out.type = (enum eventstream_type)i;
	if (out.type <= EVENTSTREAM_FALSE) {
		out.type = json_true(v) ? EVENTSTREAM_TRUE : EVENTSTREAM_FALSE;
		out.number = json_true(v);
	} else if (out.type == EVENTSTREAM_LONG) {
		str_u64(text_of(a, v), &n);
		out.number = (int64_t)n;
	} else if (out.type == EVENTSTREAM_TIME) {
		out.number = json_int(json_get(v, S("epoch_ms")), 0);
	} else if (out.type == EVENTSTREAM_BYTES) {
		base64_decode(&t, text_of(a, json_get(v, S("base64"))));
	} else if (out.type == EVENTSTREAM_STRING) {
		json_unescape(&t, json_str(v));
	} else if (out.type == EVENTSTREAM_UUID) {
		for (text = text_of(a, v); text.n; text = str_from(text, 1)) {
			c = text.p[0];
			if (c == '-')
				continue;
			c = c <= '9' ? c - '0' : c - 'a' + 10;
			if (digit++ % 2)
				t.p[t.n++] = (char)(i = i << 4 | c);
			else
				i = c;
		}
	} else {
		out.number = json_int(v, 0);
	}
	out.value = buf_str(&t);
	describe_header(b, &out);
}

static void want_message(struct buf *b, struct arena *a, struct jv m)
{
	struct json_iter it = json_iter(json_get(m, S("headers")));
	struct str payload;
	struct buf raw;

	buf_int(b, json_int(json_get(m, S("offset")), -1));
	buf_chr(b, '+');
	buf_int(b, json_int(json_get(m, S("total_length")), -1));
	buf_chr(b, '/');
	buf_int(b, json_int(json_get(m, S("headers_length")), -1));
	while (json_next(&it))
		want_header(b, a, json_text(a, it.key), it.value);
	buf_put(b, S(" : "));
	payload = text_of(a, json_get(m, S("payload_base64")));
	raw = buf_open(a);
	if (payload.n)
		base64_decode(&raw, payload);
	else
		json_unescape(&raw, json_str(json_get(m, S("payload_utf8"))));
	payload = buf_end(a, &raw);
	buf_hex(b, payload);
	buf_chr(b, '\n');
}

static enum eventstream_error error_of(struct jv kind)
{
	static const char *const names[] = { "", "prelude_crc", "bad_length",
	    "message_crc", "bad_header", "truncated" };
	int i;

	for (i = 1; i < (int)COUNT(names); i++)
		if (json_is(kind, str_of(names[i])))
			return (enum eventstream_error)i;
	return EVENTSTREAM_FINE;
}

static int lines(struct str s)
{
	struct str line;
	int n = -1;	/* the last one is the end */

	while (str_cut(&s, '\n', &line))
		n++;
	return n;
}

static void check_stream(struct arena a, struct jv c)
{
	static char whole[1 << 19], pieces[1 << 19], want[1 << 19];
	struct str name = text_of(&a, json_get(c, S("name")));
	struct jv error = json_get(c, S("error"));
	struct buf w = buf_on(want, sizeof(want)), b, p;
	struct json_iter it = json_iter(json_get(c, S("messages")));
	struct str file;
	char path[256];
	int i, n = (int)name.n;

	snprintf(path, sizeof(path), "tests/data/eventstream/%.*s.bin", n,
	    name.p);
	file = t_file(path);
	if (!T(file.p != NULL, "%s is there", path))
		return;
	T_INT(file.n, json_int(json_get(c, S("size")), -1), "size of %s", path);
	b = buf_on(whole, sizeof(whole));
	run(&b, file, file.n + 1);
	while (json_next(&it))
		want_message(&w, &a, it.value);
	if (json_type(error) != JSON_OBJECT) {
		buf_put(&w, S("end 0@"));
		buf_u64(&w, file.n);
		T_STR(buf_str(&b), buf_str(&w), "%.*s", n, name.p);
	} else {
		w.n = 0;
		buf_put(&w, S("end "));
		buf_int(&w, (int)error_of(json_get(error, S("kind"))));
		buf_chr(&w, '@');
		buf_int(&w, json_int(json_get(error, S("at_offset")), -1));
		T_INT(lines(buf_str(&b)), json_int(json_get(error,
		    S("messages_before_error")), -1), "%.*s: good ones", n,
		    name.p);
		T(str_ends(buf_str(&b), buf_str(&w)), "%.*s: %.*s, got %.*s",
		    n, name.p, (int)w.n, w.p, (int)b.n, b.p);
	}
	for (i = 0; i < PIECES; i++) {
		p = buf_on(pieces, sizeof(pieces));
		run(&p, file, i == 0);
		T_STR(buf_str(&p), buf_str(&b), "AW-24 %.*s in pieces", n,
		    name.p);
	}
}

static void vectors(void)
{
	struct arena a = { memory, memory + sizeof(memory) };
	struct str file = t_file("tests/data/eventstream.json");
	struct json doc;
	struct json_iter it;
	int n = 0;

	if (!T(file.p != NULL, "tests/data/eventstream.json is there") ||
	    !T(json_parse(&doc, file, &a, NULL) == OK, "and is JSON"))
		return;
	it = json_iter(json_get(json_root(&doc), S("cases")));
	for (; json_next(&it); n++)
		check_stream(a, it.value);
	T_INT(n, 40, "streams");
}

/* -- messages made here -- */

static void put32(struct buf *b, uint64_t v)
{
	int i;

	for (i = 24; i >= 0; i -= 8)
		buf_chr(b, (char)(v >> i & 255));
}

/* A message with right checksums. claim: total length to state, 0: the true
 * one. */
static struct str make(char *to, size_t cap, struct str headers,
	struct str payload, uint64_t claim)
{
	struct buf b = buf_on(to, cap);

	put32(&b, claim ? claim : 16 + headers.n + payload.n);
	put32(&b, headers.n);
	put32(&b, crc32_add(0, buf_str(&b)));
	buf_put(&b, headers);
	buf_put(&b, payload);
	put32(&b, crc32_add(0, buf_str(&b)));
	return buf_str(&b);
}

static enum eventstream_error verdict(struct str all, size_t payload_max)
{
	struct eventstream d;
	struct eventstream_message m;
	int r;

	eventstream_init(&d, payload_max);
	while ((r = eventstream_next(&d, &all, &m)) == OK)
		;
	if (r == E_MORE)
		eventstream_end(&d, all);
	return d.error;
}

static void limits(void)
{
	static char room[200000], headers[140000], payload[1000];
	struct buf h = buf_on(headers, sizeof(headers));
	struct eventstream d;
	struct eventstream_message m;
	struct str s, in, none = { NULL, 0 };
	size_t i;

	/* AW-20: the headers' cap, with headers that are otherwise good. */
	for (i = 0; i < EVENTSTREAM_HEADERS_MAX / 4; i++)
		buf_put(&h, S("\x02""ab\x00"));
	T_INT(h.n, EVENTSTREAM_HEADERS_MAX, "AW-20 headers at their cap");
	s = make(room, sizeof(room), buf_str(&h), none, 0);
	T_INT(verdict(s, 0), EVENTSTREAM_FINE, "AW-20 are taken");
	buf_put(&h, S("\x02""ab\x00"));
	s = make(room, sizeof(room), buf_str(&h), none, 0);
	T_INT(verdict(s, 0), EVENTSTREAM_LENGTH, "AW-20 above it aren't");
	s = make(room, sizeof(room), none, (struct str){ payload, 1000 }, 0);
	T_INT(verdict(s, 1000), EVENTSTREAM_FINE, "a cap of one's own");
	T_INT(verdict(s, 999), EVENTSTREAM_LENGTH, "a cap below the payload");
	/* 24 MiB and one byte, known from twelve bytes. */
	s = make(room, sizeof(room), none, none,
	    16 + EVENTSTREAM_PAYLOAD_MAX + 1);
	T_INT(verdict(str_head(s, 12), SIZE_MAX), EVENTSTREAM_LENGTH,
	    "AW-21 refused before it is awaited");
	s = make(room, sizeof(room), none, none, 16 + EVENTSTREAM_PAYLOAD_MAX);
	eventstream_init(&d, 0);
	in = str_head(s, 12);
	T(eventstream_next(&d, &in, &m) == E_MORE &&
	    d.need == 16 + EVENTSTREAM_PAYLOAD_MAX,
	    "a caller learns how much room a message needs");
	T_INT(verdict(none, 0), EVENTSTREAM_FINE, "AW-25 nothing at all");
	T_INT(verdict(S("x"), 0), EVENTSTREAM_TRUNCATED, "AW-25 one byte");
	T(str_eq(eventstream_text(EVENTSTREAM_TRUNCATED),
	    S("stream ended inside a message")), "texts");
}

/* AW-23: a header block cut at each place, and numbers at their ends. */
static void headers(void)
{
	static const char block[] =
	    "\x01""a\x02\x80" "\x01""b\x03\x7f\xff" "\x01""c\x04\x80\0\0\0"
	    "\x01""d\x05\x80\0\0\0\0\0\0\0" "\x01""e\x06\0\x02zz"
	    "\x01""f\x07\0\x01s" "\x01""f\x07\0\x01t" "\x01""f\x06\0\x01u"
	    "\x01""g\x08\xff\xff\xff\xff\xff\xff\xff\xff"
	    "\x01""h\x09" "0123456789abcdef" "\x01""i\x00" "\x01""j\x01";
	static const struct { char name; int64_t number; size_t n; } want[] = {
		{ 'a', -128, 1 }, { 'b', 32767, 2 }, { 'c', INT32_MIN, 4 },
		{ 'd', INT64_MIN, 8 }, { 'e', 0, 2 }, { 'f', 0, 1 },
		{ 'f', 0, 1 }, { 'f', 0, 1 }, { 'g', -1, 8 }, { 'h', 0, 16 },
		{ 'i', 1, 0 }, { 'j', 0, 0 },
	};
	struct str all = { block, sizeof(block) - 1 }, s, rest;
	struct eventstream_message m = { .headers = all };
	struct eventstream_header h;
	char room[200];
	size_t i, ends = 0, k = 0;

	for (rest = all; eventstream_header(&rest, &h); k++)
		T(k < COUNT(want) && h.name.n == 1 &&
		    h.name.p[0] == want[k].name &&
		    h.number == want[k].number && h.value.n == want[k].n,
		    "header %c", want[k].name);
	T_INT(k, COUNT(want), "headers");
	for (i = 0; i <= all.n; i++) {
		s = make(room, sizeof(room), str_head(all, i), S("{}"), 0);
		ends += verdict(s, 0) == EVENTSTREAM_FINE;
	}
	T_INT(ends, COUNT(want) + 1, "AW-23 cuts that leave whole headers");
	T_STR(eventstream_get(&m, S("f")), S("t"),
	    "AW-23 the last string of a name wins");
	T(!eventstream_get(&m, S("a")).p && !eventstream_get(&m, S("z")).p,
	    "a header that is no string, or absent");
}

static struct str header(struct buf *b, struct str name, struct str value)
{
	buf_chr(b, (char)name.n);
	buf_put(b, name);
	buf_chr(b, EVENTSTREAM_STRING);
	buf_chr(b, (char)(value.n >> 8));
	buf_chr(b, (char)(value.n & 255));
	buf_put(b, value);
	return buf_str(b);
}

static void kinds(void)
{
	char room[300];
	struct buf b = buf_on(room, sizeof(room));
	struct eventstream_message m = { .payload = S("{\"message\":\"m\"}") };
	struct str name, text;

	T_INT(eventstream_kind(&m, &name, &text), EVENTSTREAM_ALIEN,
	    "AW-26 no kind at all");
	m.headers = header(&b, S(":event-type"), S("chunk"));
	T_INT(eventstream_kind(&m, &name, &text), EVENTSTREAM_SKIP,
	    "AW-26 an event-type alone");
	m.headers = header(&b, S(":message-type"), S("event"));
	T(eventstream_kind(&m, &name, &text) == EVENTSTREAM_EVENT &&
	    str_eq(name, S("chunk")), "an event");
	m.headers = header(&b, S(":message-type"), S("novel"));
	T_INT(eventstream_kind(&m, &name, &text), EVENTSTREAM_SKIP,
	    "AW-26 a novel kind with an event-type");
	b.n = 0;
	header(&b, S(":message-type"), S("exception"));
	m.headers = header(&b, S(":exception-type"), S("throttlingException"));
	T(eventstream_kind(&m, &name, &text) == EVENTSTREAM_EXCEPTION &&
	    eventstream_is(name, S("throttling")) &&
	    str_eq(text, m.payload), "AW-27 an exception");
	b.n = 0;
	header(&b, S(":message-type"), S("error"));
	header(&b, S(":error-code"), S("InternalFailure"));
	m.headers = header(&b, S(":error-message"), S("text"));
	T(eventstream_kind(&m, &name, &text) == EVENTSTREAM_ERROR &&
	    str_eq(name, S("InternalFailure")) && str_eq(text, S("text")),
	    "AW-27 an error");
	T(eventstream_is(S("ThrottlingException"), S("throttlingException")) &&
	    eventstream_is(S("Throttling"), S("throttlingException")) &&
	    !eventstream_is(S("throttlinG"), S("throttling")) &&
	    !eventstream_is(S(""), S("x")) &&
	    eventstream_is(S("Exception"), S("")), "AW-27 names");
}

/* The table against the definition, bit by bit. */
static uint32_t slow(uint32_t crc, struct str s)
{
	size_t i;
	int k;

	crc = ~crc;
	for (i = 0; i < s.n; i++) {
		crc ^= (unsigned char)s.p[i];
		for (k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void checksum(void)
{
	char text[3000];
	struct str s = { text, sizeof(text) };
	size_t i, bad = 0;

	T_INT(crc32_add(0, S("123456789")), 0xcbf43926, "the check value");
	T_INT(crc32_add(0, S("")), 0, "of nothing");
	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)rnd();
	for (i = 0; i < 300; i++)
		bad += crc32_add(7, str_head(str_from(s, i % 9), i)) !=
		    slow(7, str_head(str_from(s, i % 9), i));
	for (i = 0; i < sizeof(text); i += 97)
		bad += crc32_add(crc32_add(0, str_head(s, i)),
		    str_from(s, i)) != slow(0, s);
	T_INT(bad, 0, "checksums that differ from the definition");
}

int main(void)
{
	vectors();
	limits();
	headers();
	kinds();
	checksum();
	return t_done("eventstream");
}
