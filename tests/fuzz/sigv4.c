/* Fuzz target of wire/sigv4. An input's lines are: method, path, query pairs
 * and fields, told apart by their first byte ('?' or ':'), with '=' between
 * name and value; all others are dates. What is signed must be lines of
 * visible bytes, the same with a kept key, and a normal path.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "../../src/wire/sigv4.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

static void add(struct sigv4_pair *to, size_t *n, size_t max, struct str line)
{
	struct sigv4_pair p = { { NULL, 0 }, { NULL, 0 } };

	line = str_from(line, 1);
	str_cut(&line, '=', &p.name);
	p.value = line;
	if (*n < max)
		to[(*n)++] = p;
}

static void use_date(struct str s)
{
	int64_t at = -1;
	char stamp[SIGV4_DATE];

	if (sigv4_http_date(s, &at) == OK || sigv4_iso_date(s, &at) == OK) {
		must(at > -2 * DAY && at < (int64_t)1 << 40);
		sigv4_date(stamp, at);
		must(stamp[8] == 'T' && stamp[15] == 'Z');
	}
}

static void check_path(struct str path)
{
	static char text[1 << 16];
	struct buf b = buf_on(text, sizeof(text));
	struct str s;

	if (!path_ok(path))
		return;
	put_path((struct out){ NULL, &b }, path);
	if (b.full)
		return;
	s = buf_str(&b);
	must(s.n && s.p[0] == '/');
	must(str_find(s, S("//")) == s.n && str_find(s, S("/./")) == s.n &&
	    str_find(s, S("/../")) == s.n && !str_ends(s, S("/..")));
}

static void check_lines(struct str s, int lines)
{
	size_t at;

	while (s.n) {
		at = str_find(s, S("\r\n"));
		must(at < s.n && lines-- > 0);
		for (; at; at--, s = str_from(s, 1))
			must(s.p[0] >= ' ' && s.p[0] <= '~');
		s = str_from(s, 2);
	}
	must(lines == 0);
}

static void sign(struct sigv4 *s)
{
	static char one[1 << 16], two[1 << 16];
	struct buf a = buf_on(one, sizeof(one)), b = buf_on(two, sizeof(two));
	unsigned char key[SHA256_SIZE];
	int i, r = sigv4_sign(s, &a), given = 0;

	if (r != OK) {
		must(r == E_BAD || r == E_LIMIT || r == E_FULL);
		return;
	}
	for (i = 0; i < (int)s->nfields; i++)
		given |= str_ieq(s->fields[i].name, S("x-amz-content-sha256"));
	sigv4_key(key, s->secret, s->now, s->region, s->service);
	s->key = key;
	must(sigv4_sign(s, &b) == OK);
	s->key = NULL;
	must(str_eq(buf_str(&a), buf_str(&b)));
	/* Names of signed fields are the caller's; those of a fuzzer may be
	 * anything, those of a parsed or written head can't. */
	for (i = 0; i < (int)s->nfields; i++)
		if (!visible(s->fields[i].name))
			return;
	check_lines(buf_str(&a), 3 + (s->send_payload && !given));
	must(a.p[a.n - 3] != ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sigv4_pair query[SIGV4_QUERY_MAX + 1];
	static struct sigv4_pair fields[SIGV4_FIELDS_MAX + 2];
	struct sigv4 s = {
		.id = S("AKID"), .secret = S("secret"), .token = S("token"),
		.region = S("us-east-1"), .service = S("bedrock"),
		.now = 1795437296, .query = query, .fields = fields,
		.nfields = 1
	};
	struct str in = { (const char *)data, size }, line;

	if (size > 16384)
		return -1;
	fields[0] = (struct sigv4_pair){ S("host"), S("h") };
	sigv4_payload(s.payload, &in, 1);
	s.send_payload = (int)(size & 1);
	str_cut(&in, '\n', &s.method);
	str_cut(&in, '\n', &s.path);
	while (str_cut(&in, '\n', &line)) {
		if (line.n && line.p[0] == '?')
			add(query, &s.nquery, COUNT(query), line);
		else if (line.n && line.p[0] == ':')
			add(fields, &s.nfields, COUNT(fields), line);
		else
			use_date(line);
	}
	check_path(s.path);
	sign(&s);
	return 0;
}
