/* Tests of wire/sigv4: every case of tests/data/sigv4.json, made by an
 * independent signer, to the byte; then the edges and the dates.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"
#include "../../src/wire/json.h"
#include "../../src/wire/sigv4.c"

static char memory[1 << 22];
static char big[1 << 20];

static struct str text_of(struct arena *a, struct jv v)
{
	return json_text(a, json_str(v));
}

static size_t pairs_of(struct arena *a, struct sigv4_pair *out, struct jv v)
{
	struct json_iter it = json_iter(v);
	size_t n = 0;

	while (json_next(&it))
		out[n++] = (struct sigv4_pair){
			text_of(a, json_at(it.value, 0)),
			text_of(a, json_at(it.value, 1))
		};
	return n;
}

static struct str body_of(struct arena *a, struct jv request)
{
	struct jv repeat = json_get(request, S("body_repeat"));
	struct str unit = text_of(a, json_get(repeat, S("unit")));
	int64_t n = json_int(json_get(repeat, S("count")), 0);
	struct buf b = buf_on(big, sizeof(big));

	if (json_type(repeat) == JSON_ABSENT)
		return text_of(a, json_get(request, S("body_utf8")));
	while (n--)
		buf_put(&b, unit);
	return buf_str(&b);
}

/* What a case asks for, from its JSON. */
static void read_case(struct arena *a, struct jv c, struct sigv4 *s,
	struct sigv4_pair *query, struct sigv4_pair *fields)
{
	struct jv r = json_get(c, S("request"));
	struct jv who = json_get(c, S("credentials"));
	struct str date = text_of(a, json_get(c, S("amz_date"))), body;
	char iso[32];
	struct buf b = buf_on(iso, sizeof(iso));

	*s = (struct sigv4){
		.id = text_of(a, json_get(who, S("access_key_id"))),
		.secret = text_of(a, json_get(who, S("secret_access_key"))),
		.token = text_of(a, json_get(who, S("session_token"))),
		.region = text_of(a, json_get(c, S("region"))),
		.service = text_of(a, json_get(c, S("service"))),
		.method = text_of(a, json_get(r, S("method"))),
		.path = text_of(a, json_get(r, S("path"))),
		.query = query,
		.nquery = pairs_of(a, query, json_get(r, S("query"))),
		.fields = fields,
		.nfields = pairs_of(a, fields, json_get(r, S("headers"))),
		.send_payload = json_true(json_get(c,
		    S("add_content_sha256"))),
	};
	buf_put(&b, str_head(date, 4));
	buf_chr(&b, '-');
	buf_put(&b, str_head(str_from(date, 4), 2));
	buf_chr(&b, '-');
	buf_put(&b, str_head(str_from(date, 6), 5));
	buf_chr(&b, ':');
	buf_put(&b, str_head(str_from(date, 11), 2));
	buf_chr(&b, ':');
	buf_put(&b, str_from(date, 13));
	T_INT(sigv4_iso_date(buf_str(&b), &s->now), OK, "the case's date");
	body = body_of(a, r);
	sigv4_payload(s->payload, &body, 1);
}

static struct str hex_of(char *to, const unsigned char *p)
{
	struct buf b = buf_on(to, HEX);

	buf_hex(&b, bytes_of(p, SHA256_SIZE));
	return buf_str(&b);
}

/* The fields written, from those the vector says are added. */
static struct str lines_of(struct arena *a, struct jv want)
{
	static const char *const order[] = { "x-amz-date",
	    "x-amz-security-token", "x-amz-content-sha256" };
	struct jv added = json_get(want, S("added_headers"));
	struct buf b = buf_open(a);
	size_t i;

	for (i = 0; i < COUNT(order); i++) {
		struct jv v = json_get(added, str_of(order[i]));

		if (json_type(v) != JSON_ABSENT)
			put_line(&b, str_of(order[i]), json_str(v).raw);
	}
	put_line(&b, S("authorization"),
	    json_str(json_get(want, S("authorization"))).raw);
	return buf_end(a, &b);
}

static void check_case(struct arena a, struct jv c)
{
	static struct sigv4_pair query[SIGV4_QUERY_MAX];
	static struct sigv4_pair fields[SIGV4_FIELDS_MAX];
	static char out[8192], text[8192];
	struct jv want = json_get(c, S("expected"));
	struct str name = text_of(&a, json_get(c, S("name"))), date, lines;
	char hex[HEX], stamp[SIGV4_DATE];
	unsigned char key[SHA256_SIZE];
	struct fields f;
	struct buf b;
	struct sigv4 s;
	int n = (int)name.n;

#define WANT(member) text_of(&a, json_get(want, S(member)))
	read_case(&a, c, &s, query, fields);
	date = (struct str){ stamp, sizeof(stamp) };
	sigv4_date(stamp, s.now);
	T_STR(date, text_of(&a, json_get(c, S("amz_date"))), "%.*s: date", n,
	    name.p);
	T_STR(hex_of(hex, s.payload), WANT("payload_sha256"), "%.*s: payload",
	    n, name.p);
	T_INT(collect(&f, &s, date, (struct str){ hex, HEX }), OK,
	    "%.*s: fields", n, name.p);
	b = buf_on(text, sizeof(text));
	put_names((struct out){ NULL, &b }, &f);
	T_STR(buf_str(&b), WANT("signed_headers"), "AW-6 %.*s: names", n,
	    name.p);
	b = buf_on(text, sizeof(text));
	put_request((struct out){ NULL, &b }, &s, &f);
	T_STR(buf_str(&b), WANT("canonical_request"), "%.*s: canonical", n,
	    name.p);
	b = buf_on(text, sizeof(text));
	string_to_sign(&b, &s, &f, date);
	T_STR(buf_str(&b), WANT("string_to_sign"), "%.*s: string", n, name.p);
	sigv4_key(key, s.secret, s.now, s.region, s.service);
	T_STR(hex_of(hex, key), WANT("signing_key_hex"), "%.*s: key", n,
	    name.p);
	b = buf_on(out, sizeof(out));
	T_INT(sigv4_sign(&s, &b), OK, "%.*s: signs", n, name.p);
	lines = lines_of(&a, want);
	T_STR(buf_str(&b), lines, "%.*s: lines", n, name.p);
	s.key = key;
	b = buf_on(out, sizeof(out));
	T_INT(sigv4_sign(&s, &b), OK, "%.*s: signs by key", n, name.p);
	T_STR(buf_str(&b), lines, "%.*s: a kept key signs the same", n,
	    name.p);
	b = buf_on(text, sizeof(text));
	T_INT(sigv4_query(&b, s.query, s.nquery), OK, "%.*s: query", n,
	    name.p);
	T_STR(buf_str(&b), text_of(&a, json_get(json_get(c, S("request")),
	    S("wire_query"))), "%.*s: wire query", n, name.p);
#undef WANT
}

static void vectors(void)
{
	struct arena a = { memory, memory + sizeof(memory) };
	struct str file = t_file("tests/data/sigv4.json");
	struct json doc;
	struct json_iter it;
	int n = 0;

	if (!T(file.p != NULL, "tests/data/sigv4.json is there") ||
	    !T(json_parse(&doc, file, &a, NULL) == OK, "and is JSON"))
		return;
	it = json_iter(json_get(json_root(&doc), S("cases")));
	for (; json_next(&it); n++)
		check_case(a, it.value);
	T_INT(n, 28, "cases");
}

static struct sigv4_pair host = { { "Host", 4 }, { "h", 1 } };

static struct sigv4 minimal(void)
{
	struct sigv4 s = {
		.id = S("AKID"), .secret = S("secret"),
		.region = S("us-east-1"), .service = S("bedrock"),
		.now = 1795437296, .method = S("POST"), .path = S("/"),
		.fields = &host, .nfields = 1
	};
	sigv4_payload(s.payload, NULL, 0);
	return s;
}

static int signs(const struct sigv4 *s, size_t room)
{
	static char out[8192];
	struct buf b = buf_on(out, room);

	return sigv4_sign(s, &b);
}

static void edges(void)
{
	static char path[8192], name[SIGV4_NAME_MAX + 1];
	struct sigv4_pair many[SIGV4_FIELDS_MAX + 1];
	struct sigv4 s = minimal();
	size_t i, n;

	for (n = 0; signs(&s, n) == E_FULL; n++)
		;
	T(n > 200 && n < 300 && signs(&s, n) == OK, "sticky overflow, then OK");
	for (i = 0; i < COUNT(many); i++)
		many[i] = host;
	s.fields = many;
	s.nfields = SIGV4_FIELDS_MAX;
	T_INT(signs(&s, 8192), OK, "as many fields as are allowed");
	s.nfields++;
	T_INT(signs(&s, 8192), E_LIMIT, "one field too many");
	s = minimal();
	s.nfields = 0;
	T_INT(signs(&s, 8192), E_BAD, "a request without host");
	s = minimal();
	s.secret = S("");
	T_INT(signs(&s, 8192), E_BAD, "an empty secret");
	s = minimal();
	s.token = S("a\r\nx: y");
	T_INT(signs(&s, 8192), E_BAD, "a token that breaks out of its line");
	s = minimal();
	s.id = S("AK ID");
	T_INT(signs(&s, 8192), E_BAD, "an id with a blank");
	s = minimal();
	s.path = S("/a?b");
	T_INT(signs(&s, 8192), E_BAD, "a path with a query in it");
	s.path = S("a");
	T_INT(signs(&s, 8192), E_BAD, "a path without its slash");
	s.path = S("");
	T_INT(signs(&s, 8192), OK, "AW-4 the empty path");
	s = minimal();
	memset(name, 'x', sizeof(name));
	s.region = (struct str){ name, sizeof(name) };
	T_INT(signs(&s, 8192), E_LIMIT, "a region longer than a label");
	s.region.n--;
	T_INT(signs(&s, 8192), OK, "a region as long as a label");
	s = minimal();
	for (i = 0; i + 1 < sizeof(path); i += 2)
		memcpy(path + i, "/a", 2);
	memcpy(path + sizeof(path) - 3, "/..", 3);
	s.path = (struct str){ path, sizeof(path) };
	T_INT(signs(&s, 8192), OK, "a long path that needs normalising");
}

/* AW-4 by small cases, AW-3 by every byte. */
static void paths(void)
{
	static const struct { const char *in, *want; } v[] = {
		{ "", "/" }, { "/", "/" }, { "//", "/" }, { "/.", "/" },
		{ "/..", "/" }, { "/../a", "/a" }, { "/a/..", "/" },
		{ "/a/../", "/" }, { "/a/b/../c", "/a/c" },
		{ "/a/b/../../../c/d", "/c/d" }, { "/a/./b/", "/a/b/" },
		{ "/a..b/...", "/a..b/..." }, { "/../a/..", "/" },
		{ "/a%3Ab", "/a%253Ab" }, { "/a:b", "/a%3Ab" },
		{ "/a/x/y/../../b", "/a/b" }, { "/..a/../b", "/b" },
	};
	char text[64], raw[256], all[1024];
	struct buf b;
	size_t i, kept = 0;

	for (i = 0; i < COUNT(v); i++) {
		b = buf_on(text, sizeof(text));
		put_path((struct out){ NULL, &b }, str_of(v[i].in));
		T_STR(buf_str(&b), str_of(v[i].want), "AW-4 %s", v[i].in);
	}
	for (i = 0; i < sizeof(raw); i++)
		raw[i] = (char)i;
	b = buf_on(all, sizeof(all));
	sigv4_encode(&b, (struct str){ raw, sizeof(raw) });
	for (i = 0; i < b.n; i += b.p[i] == '%' ? 3 : 1)
		kept += b.p[i] != '%';
	T_INT(kept, 66, "AW-3 bytes that stay");
	T_INT(b.n, 66 + 190 * 3, "AW-3 bytes that don't");
	T(str_find(buf_str(&b), S("%FF")) == b.n - 3, "AW-3 upper case");
}

static void sorting(void)
{
	static struct sigv4_pair q[] = {
		{ { "b", 1 }, { "", 0 } }, { { "a", 1 }, { "~", 1 } },
		{ { "a", 1 }, { "/", 1 } }, { { "a-", 2 }, { "1", 1 } },
		{ { "x-amz-signature", 15 }, { "s", 1 } },
		{ { "A", 1 }, { "\xc3\xbc", 2 } },
	};
	static struct sigv4_pair h[] = {
		{ { "X-B", 3 }, { " one  two\r\n three ", 18 } },
		{ { "host", 4 }, { "h", 1 } }, { { "x-b", 3 }, { "four", 4 } },
		{ { "X-Amz-Content-SHA256", 20 }, { "UNSIGNED", 8 } },
		{ { "Sec-Thing", 9 }, { "no", 2 } },
		{ { "x-amz-security-token", 20 }, { "stale", 5 } },
	};
	char text[512];
	struct sigv4 s = minimal();
	struct fields f;
	struct buf b = buf_on(text, sizeof(text));

	put_query((struct out){ NULL, &b }, q, COUNT(q));
	T_STR(buf_str(&b), S("A=%C3%BC&a=%2F&a=~&a-=1&b="),
	    "query sorted by its encoded form, the signature left out");
	s.fields = h;
	s.nfields = COUNT(h);
	s.send_payload = 1;
	T_INT(collect(&f, &s, S("D"), S("P")), OK, "collects");
	b = buf_on(text, sizeof(text));
	put_request((struct out){ NULL, &b }, &s, &f);
	T_STR(buf_str(&b), S("POST\n/\n\nhost:h\n"
	    "x-amz-content-sha256:UNSIGNED\nx-amz-date:D\n"
	    "x-b:one two three,four\n\n"
	    "host;x-amz-content-sha256;x-amz-date;x-b\nUNSIGNED"),
	    "folding, joining, a digest taken at its word");
}

static void payload_slices(void)
{
	struct str whole = S("{\"a\":\"body in three slices\"}"), part[3];
	unsigned char want[SHA256_SIZE], got[SHA256_SIZE];
	size_t i, k, bad = 0;

	sha256(want, whole);
	for (i = 0; i <= whole.n; i++)
		for (k = i; k <= whole.n; k++) {
			part[0] = str_head(whole, i);
			part[1] = str_head(str_from(whole, i), k - i);
			part[2] = str_from(whole, k);
			sigv4_payload(got, part, 3);
			bad += memcmp(want, got, sizeof(got)) != 0;
		}
	T_INT(bad, 0, "cuts of a body that change its digest");
}

static void dates(void)
{
	static const struct { const char *text; int64_t want; } iso[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-23T12:34:56Z", 1795437296 },
		{ "2026-11-23t12:34:56.789z", 1795437296 },
		{ "2026-11-23T13:34:56+01:00", 1795437296 },
		{ "2026-11-23T12:04:56-0030", 1795437296 },
		{ "2026-11-23T12:34:56UTC", 1795437296 },
		{ "2000-02-29T00:00:00Z", 951782400 },
		{ "9999-12-31T23:59:59Z", 253402300799 },
		{ "2016-12-31T23:59:60Z", 1483228799 },
		{ "", -1 }, { "2026-11-23", -1 }, { "2026-11-23T12:34Z", -1 },
		{ "2026-11-23T12:34:56", -1 }, { "2026-02-29T00:00:00Z", -1 },
		{ "2100-02-29T00:00:00Z", -1 }, { "2026-13-01T00:00:00Z", -1 },
		{ "2026-11-31T00:00:00Z", -1 }, { "2026-11-23T24:00:00Z", -1 },
		{ "2026-11-23T12:34:56.Z", -1 },
		{ "2026-11-23T12:34:56+1", -1 },
		{ "2026-11-23T12:34:56Zx", -1 }, { "1969-12-31T23:59:59Z", -1 },
		{ "1970-01-01T00:59:58+01:00", -1 },
	};
	static const struct { const char *text; int64_t want; } http[] = {
		{ "Mon, 23 Nov 2026 12:34:56 GMT", 1795437296 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		{ "Mon, 23 Nov 2026 12:34:56 UTC", -1 },
		{ "Mon, 23 Foo 2026 12:34:56 GMT", -1 },
		{ "Monday, 23-Nov-26 12:34:56 GMT", -1 },
		{ "Mon, 31 Nov 2026 12:34:56 GMT", -1 }, { "", -1 },
		{ "Mon, 23 Nov 2026 12:34:5  GMT", -1 },
	};
	char stamp[SIGV4_DATE], text[24];
	int64_t at, day;
	size_t i, bad = 0;

	for (i = 0; i < COUNT(iso); i++) {
		at = -1;
		sigv4_iso_date(str_of(iso[i].text), &at);
		T_INT(at, iso[i].want, "ISO 8601 %s", iso[i].text);
	}
	for (i = 0; i < COUNT(http); i++) {
		at = -1;
		sigv4_http_date(str_of(http[i].text), &at);
		T_INT(at, http[i].want, "Date %s", http[i].text);
	}
	sigv4_date(stamp, -5);
	T(memcmp(stamp, "19700101T000000Z", SIGV4_DATE) == 0, "before 1970");
	sigv4_date(stamp, INT64_MAX);
	T(memcmp(stamp, "99991231T235959Z", SIGV4_DATE) == 0, "after 9999");
	/* There and back, every 9 days and some seconds of eight thousand
	 * years. */
	for (day = 0; day < 253402300799; day += 9 * DAY + 4321) {
		struct buf b = buf_on(text, sizeof(text));

		sigv4_date(stamp, day);
		for (i = 0; i < SIGV4_DATE; i++) {
			if (i == 4 || i == 6)
				buf_chr(&b, '-');
			if (i == 11 || i == 13)
				buf_chr(&b, ':');
			buf_chr(&b, stamp[i]);
		}
		bad += sigv4_iso_date(buf_str(&b), &at) != OK || at != day;
	}
	T_INT(bad, 0, "instants that don't survive the way there and back");
}

int main(void)
{
	vectors();
	edges();
	paths();
	sorting();
	payload_slices();
	dates();
	return t_done("sigv4");
}
