/* sigv4.c -- AWS Signature Version 4, headers only.
 *
 * The canonical request is written into a digest as it is walked, so its
 * size needs no bound and its text no room; what must be sorted is sorted as
 * an array of slices. The string to sign is short and does have a buffer.
 *
 * SPDX-License-Identifier: MIT */
#include "sigv4.h"

enum {
	ADDED = 3,		/* date, token, digest: fields of our own */
	SCOPE_MAX = SIGV4_DATE + 2 * SIGV4_NAME_MAX + 16,
	TEXT_MAX = SCOPE_MAX + 128,	/* string to sign: two lines and a digest
					 * more than the scope */
	HEX = 2 * SHA256_SIZE,
	DAY = 86400
};

/* Where canonical text goes: into the digest, or a buffer, or both. */
struct out {
	struct sha256 *sha;
	struct buf *text;
};

/* What is signed, sorted: fields that count, then the three of ours. */
struct fields {
	struct sigv4_pair at[SIGV4_FIELDS_MAX + ADDED];
	size_t n;
	struct str payload;	/* hex */
	int given;		/* the payload is the caller's field */
};

static void put(struct out o, struct str s)
{
	if (o.sha)
		sha256_add(o.sha, s);
	if (o.text)
		buf_put(o.text, s);
}

static struct str bytes_of(const unsigned char *p, size_t n)
{
	return (struct str){ (const char *)p, n };
}

static void wipe(void *p, size_t n)
{
	volatile unsigned char *v = p;

	while (n--)
		*v++ = 0;
}

/* -- percent encoding -- */

static int unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	    c == '~';
}

static void put_encoded(struct out o, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i = 0, n;

	while (i < s.n) {
		for (n = i; n < s.n && unreserved(s.p[n]); n++)
			;
		if (n > i)
			put(o, (struct str){ s.p + i, n - i });
		if (n < s.n) {
			unsigned char c = (unsigned char)s.p[n++];
			char pct[3] = { '%', digits[c >> 4], digits[c & 15] };

			put(o, (struct str){ pct, sizeof(pct) });
		}
		i = n;
	}
}

void sigv4_encode(struct buf *b, struct str s)
{
	put_encoded((struct out){ NULL, b }, s);
}

/* -- path -- */

/* Whether a segment survives the ".." in the rest of the path. Looks ahead
 * instead of keeping a stack: quadratic, but only for paths that have a ".."
 * at all, and nobody sends those. */
static int segment_stays(struct str segment, struct str rest, int dots)
{
	size_t depth = 0;
	struct str next;

	if (!segment.n || str_eq(segment, S(".")) || str_eq(segment, S("..")))
		return 0;
	while (dots && str_cut(&rest, '/', &next)) {
		if (!next.n || str_eq(next, S(".")))
			continue;
		if (!str_eq(next, S("..")))
			depth++;
		else if (depth-- == 0)
			return 0;
	}
	return 1;
}

/* AW-2, AW-4: normalised, then encoded for the second time. */
static void put_path(struct out o, struct str path)
{
	struct str rest = str_from(path, 1), segment;
	int any = 0, dots = str_find(path, S("/..")) < path.n;

	while (str_cut(&rest, '/', &segment)) {
		if (!segment_stays(segment, rest, dots))
			continue;
		put(o, S("/"));
		put_encoded(o, segment);
		any = 1;
	}
	if (!any || str_ends(path, S("/")))
		put(o, S("/"));
}

static int path_ok(struct str path)
{
	size_t i;

	if (path.n && path.p[0] != '/')
		return 0;
	for (i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] <= ' ' || path.p[i] == 0x7f ||
		    path.p[i] == '?' || path.p[i] == '#')
			return 0;
	return 1;
}

/* -- query -- */

/* Order of the encoded forms without encoding: '%' sorts before all that
 * stays as it is, and hex digits sort like the byte they spell. */
static int compare_encoded(struct str a, struct str b)
{
	size_t i;

	for (i = 0; i < a.n && i < b.n; i++) {
		int x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];

		if (x == y)
			continue;
		x += unreserved(a.p[i]) ? 256 : 0;
		y += unreserved(b.p[i]) ? 256 : 0;
		return x - y;
	}
	return (a.n > b.n) - (a.n < b.n);
}

static int compare_pairs(const struct sigv4_pair *a, const struct sigv4_pair *b)
{
	int d = compare_encoded(a->name, b->name);

	return d ? d : compare_encoded(a->value, b->value);
}

static void put_pair(struct out o, const struct sigv4_pair *p, int first)
{
	if (!first)
		put(o, S("&"));
	put_encoded(o, p->name);
	put(o, S("="));
	put_encoded(o, p->value);
}

static void put_query(struct out o, const struct sigv4_pair *pair, size_t n)
{
	const struct sigv4_pair *sorted[SIGV4_QUERY_MAX];
	size_t i, k, used = 0;

	for (i = 0; i < n; i++) {
		if (str_ieq(pair[i].name, S("X-Amz-Signature")))
			continue;
		for (k = used++; k && compare_pairs(sorted[k - 1],
		    pair + i) > 0; k--)
			sorted[k] = sorted[k - 1];
		sorted[k] = pair + i;
	}
	for (i = 0; i < used; i++)
		put_pair(o, sorted[i], i == 0);
}

int sigv4_query(struct buf *b, const struct sigv4_pair *pair, size_t n)
{
	size_t i;

	if (n > SIGV4_QUERY_MAX)
		return E_LIMIT;
	for (i = 0; i < n; i++)
		put_pair((struct out){ NULL, b }, pair + i, i == 0);
	return b->full ? E_FULL : OK;
}

/* -- fields -- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static int compare_names(struct str a, struct str b)
{
	size_t i;

	for (i = 0; i < a.n && i < b.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return (unsigned char)lower(a.p[i]) -
			    (unsigned char)lower(b.p[i]);
	return (a.n > b.n) - (a.n < b.n);
}

/* AW-6: these change on the way, concern one hop, or are ours to write. */
static int signable(struct str name)
{
	static const char *const never[] = {
		"authorization", "cache-control", "connection", "date",
		"expect", "from", "keep-alive", "max-forwards", "pragma",
		"referer", "te", "traceparent", "tracestate", "trailer",
		"transfer-encoding", "upgrade", "user-agent", "x-amz-date",
		"x-amz-security-token", "x-amzn-trace-id"
	};
	size_t i;

	if (str_istarts(name, S("proxy-")) || str_istarts(name, S("sec-")))
		return 0;
	for (i = 0; i < COUNT(never); i++)
		if (str_ieq(name, str_of(never[i])))
			return 0;
	return 1;
}

static void add_field(struct fields *f, struct str name, struct str value)
{
	size_t k;

	/* Stable: fields of one name stay in the order they are sent in. */
	for (k = f->n++; k && compare_names(f->at[k - 1].name, name) > 0; k--)
		f->at[k] = f->at[k - 1];
	f->at[k] = (struct sigv4_pair){ name, value };
}

static int collect(struct fields *f, const struct sigv4 *s, struct str date,
    struct str payload)
{
	int host = 0;
	size_t i;

	f->n = 0;
	f->given = 0;
	f->payload = payload;
	for (i = 0; i < s->nfields; i++) {
		struct sigv4_pair p = s->fields[i];

		if (!p.name.n)
			return E_BAD;
		if (!signable(p.name))
			continue;
		if (f->n == SIGV4_FIELDS_MAX)
			return E_LIMIT;
		if (str_ieq(p.name, S("x-amz-content-sha256"))) {
			f->payload = str_trim(p.value);
			f->given = 1;
		}
		host |= str_ieq(p.name, S("host"));
		add_field(f, p.name, p.value);
	}
	add_field(f, S("x-amz-date"), date);
	if (s->token.n)
		add_field(f, S("x-amz-security-token"), s->token);
	if (s->send_payload && !f->given)
		add_field(f, S("x-amz-content-sha256"), payload);
	return host ? OK : E_BAD;
}

static void put_lower(struct out o, struct str s)
{
	char part[64];
	size_t i, n;

	for (; s.n; s = str_from(s, n)) {
		n = s.n < sizeof(part) ? s.n : sizeof(part);
		for (i = 0; i < n; i++)
			part[i] = lower(s.p[i]);
		put(o, (struct str){ part, n });
	}
}

static int blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Words with single blanks between. */
static void put_folded(struct out o, struct str s)
{
	size_t i, from;
	int any = 0;

	for (i = 0; i < s.n; ) {
		while (i < s.n && blank(s.p[i]))
			i++;
		for (from = i; i < s.n && !blank(s.p[i]); i++)
			;
		if (i == from)
			break;
		if (any)
			put(o, S(" "));
		put(o, (struct str){ s.p + from, i - from });
		any = 1;
	}
}

static int repeats(const struct fields *f, size_t i)
{
	return i && compare_names(f->at[i - 1].name, f->at[i].name) == 0;
}

static void put_fields(struct out o, const struct fields *f)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		if (repeats(f, i)) {
			put(o, S(","));
		} else {
			if (i)
				put(o, S("\n"));
			put_lower(o, f->at[i].name);
			put(o, S(":"));
		}
		put_folded(o, f->at[i].value);
	}
	put(o, S("\n"));
}

static void put_names(struct out o, const struct fields *f)
{
	size_t i;

	for (i = 0; i < f->n; i++) {
		if (repeats(f, i))
			continue;
		if (i)
			put(o, S(";"));
		put_lower(o, f->at[i].name);
	}
}

static void put_request(struct out o, const struct sigv4 *s,
    const struct fields *f)
{
	put(o, s->method);
	put(o, S("\n"));
	put_path(o, s->path);
	put(o, S("\n"));
	put_query(o, s->query, s->nquery);
	put(o, S("\n"));
	put_fields(o, f);
	put(o, S("\n"));
	put_names(o, f);
	put(o, S("\n"));
	put(o, f->payload);
}

/* -- signing -- */

void sigv4_payload(unsigned char out[SHA256_SIZE], const struct str *part,
    size_t n)
{
	struct sha256 sha;
	size_t i;

	sha256_init(&sha);
	for (i = 0; i < n; i++)
		sha256_add(&sha, part[i]);
	sha256_end(&sha, out);
}

void sigv4_key(unsigned char key[SHA256_SIZE], struct str secret,
    int64_t now, struct str region, struct str service)
{
	unsigned char first[SHA256_BLOCK];
	struct str k = bytes_of(key, SHA256_SIZE);
	char date[SIGV4_DATE];
	size_t n = 4 + secret.n;
	struct sha256 sha;

	sigv4_date(date, now);
	if (n <= sizeof(first)) {
		memcpy(first, "AWS4", 4);
		if (secret.n)
			memcpy(first + 4, secret.p, secret.n);
	} else {
		/* As HMAC does with a key longer than its block; done here, a
		 * secret of any length needs no buffer. */
		sha256_init(&sha);
		sha256_add(&sha, S("AWS4"));
		sha256_add(&sha, secret);
		sha256_end(&sha, first);
		n = SHA256_SIZE;
	}
	hmac_sha256(key, bytes_of(first, n), (struct str){ date, 8 });
	hmac_sha256(key, k, region);
	hmac_sha256(key, k, service);
	hmac_sha256(key, k, S("aws4_request"));
	wipe(first, sizeof(first));
}

/* Visible ASCII only: what may stand in a field, and in the middle of one. */
static int visible(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return 0;
	return 1;
}

static int check(const struct sigv4 *s)
{
	if (s->region.n > SIGV4_NAME_MAX || s->service.n > SIGV4_NAME_MAX ||
	    s->id.n > SIGV4_ID_MAX || s->nquery > SIGV4_QUERY_MAX)
		return E_LIMIT;
	if (!s->id.n || !s->secret.n || !s->method.n || !s->region.n ||
	    !s->service.n)
		return E_BAD;
	if (!path_ok(s->path) || !visible(s->id) || !visible(s->token) ||
	    !visible(s->region) || !visible(s->service) ||
	    !visible(s->method))
		return E_BAD;
	return OK;
}

static void put_scope(struct buf *b, struct str date, const struct sigv4 *s)
{
	buf_put(b, str_head(date, 8));
	buf_chr(b, '/');
	buf_put(b, s->region);
	buf_chr(b, '/');
	buf_put(b, s->service);
	buf_put(b, S("/aws4_request"));
}

static void string_to_sign(struct buf *b, const struct sigv4 *s,
    const struct fields *f, struct str date)
{
	unsigned char digest[SHA256_SIZE];
	struct sha256 sha;

	sha256_init(&sha);
	put_request((struct out){ &sha, NULL }, s, f);
	sha256_end(&sha, digest);
	buf_put(b, S("AWS4-HMAC-SHA256\n"));
	buf_put(b, date);
	buf_chr(b, '\n');
	put_scope(b, date, s);
	buf_chr(b, '\n');
	buf_hex(b, bytes_of(digest, sizeof(digest)));
}

/* The value of authorization: names the key and what it signed. */
static void put_authorization(struct buf *b, const struct sigv4 *s,
    const struct fields *f, struct str date)
{
	unsigned char key[SHA256_SIZE], mac[SHA256_SIZE];
	char text[TEXT_MAX];
	struct buf t = buf_on(text, sizeof(text));

	string_to_sign(&t, s, f, date);
	if (!s->key)
		sigv4_key(key, s->secret, s->now, s->region, s->service);
	hmac_sha256(mac, bytes_of(s->key ? s->key : key, SHA256_SIZE),
	    buf_str(&t));
	wipe(key, sizeof(key));
	buf_put(b, S("AWS4-HMAC-SHA256 Credential="));
	buf_put(b, s->id);
	buf_chr(b, '/');
	put_scope(b, date, s);
	buf_put(b, S(", SignedHeaders="));
	put_names((struct out){ NULL, b }, f);
	buf_put(b, S(", Signature="));
	buf_hex(b, bytes_of(mac, sizeof(mac)));
}

static void put_line(struct buf *b, struct str name, struct str value)
{
	buf_put(b, name);
	buf_put(b, S(": "));
	buf_put(b, value);
	buf_put(b, S("\r\n"));
}

int sigv4_sign(const struct sigv4 *s, struct buf *b)
{
	char stamp[SIGV4_DATE], hex[HEX];
	struct buf h = buf_on(hex, sizeof(hex));
	struct str date = { stamp, sizeof(stamp) };
	struct fields f;
	int r = check(s);

	if (r != OK)
		return r;
	sigv4_date(stamp, s->now);
	buf_hex(&h, bytes_of(s->payload, SHA256_SIZE));
	r = collect(&f, s, date, buf_str(&h));
	if (r != OK)
		return r;
	put_line(b, S("x-amz-date"), date);
	if (s->token.n)
		put_line(b, S("x-amz-security-token"), s->token);
	if (s->send_payload && !f.given)
		put_line(b, S("x-amz-content-sha256"), f.payload);
	buf_put(b, S("authorization: "));
	put_authorization(b, s, &f, date);
	buf_put(b, S("\r\n"));
	return b->full ? E_FULL : OK;
}

/* -- dates -- */

void sigv4_date(char out[SIGV4_DATE], int64_t now)
{
	struct date d = date_of(now);
	struct buf b = buf_on(out, SIGV4_DATE);

	buf_digits(&b, d.year, 4);
	buf_digits(&b, d.month, 2);
	buf_digits(&b, d.day, 2);
	buf_chr(&b, 'T');
	buf_digits(&b, d.hour, 2);
	buf_digits(&b, d.minute, 2);
	buf_digits(&b, d.second, 2);
	buf_chr(&b, 'Z');
}

/* Exactly n digits off the front; -1 if they aren't there. */
static int64_t number(struct str *s, size_t n)
{
	uint64_t v;

	if (s->n < n || str_u64(str_head(*s, n), &v) != OK)
		return -1;
	*s = str_from(*s, n);
	return (int64_t)v;
}

static int literal(struct str *s, struct str what)
{
	if (!str_istarts(*s, what))
		return 0;
	*s = str_from(*s, what.n);
	return 1;
}

static int month_days(int64_t year, int64_t month)
{
	return (int)(date_days(month == 12 ? year + 1 : year, month % 12 + 1, 1) -
	    date_days(year, month, 1));
}

/* "hh:mm:ss" off the front, as seconds; -1. A leap second counts as the last
 * of its minute. */
static int64_t clock_of(struct str *s)
{
	int64_t h = number(s, 2), m, sec;

	if (h < 0 || h > 23 || !literal(s, S(":")))
		return -1;
	m = number(s, 2);
	if (m < 0 || m > 59 || !literal(s, S(":")))
		return -1;
	sec = number(s, 2);
	if (sec < 0 || sec > 60)
		return -1;
	return h * 3600 + m * 60 + (sec == 60 ? 59 : sec);
}

static int instant(int64_t year, int64_t month, int64_t day, int64_t *out)
{
	if (year < 1970 || month < 1 || month > 12 || day < 1 ||
	    day > month_days(year, month))
		return E_BAD;
	*out = date_days(year, month, day) * DAY;
	return OK;
}

int sigv4_http_date(struct str text, int64_t *now)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct str s = str_trim(text);
	int64_t day, month, year, at, sec;

	if (s.n != 29 || s.p[3] != ',' || s.p[4] != ' ')
		return E_BAD;
	s = str_from(s, 5);
	day = number(&s, 2);
	if (day < 0 || !literal(&s, S(" ")))
		return E_BAD;
	for (month = 0; month < 12; month++)
		if (literal(&s, (struct str){ months + 3 * month, 3 }))
			break;
	if (month == 12 || !literal(&s, S(" ")))
		return E_BAD;
	year = number(&s, 4);
	if (!literal(&s, S(" ")) || instant(year, month + 1, day, &at) != OK)
		return E_BAD;
	sec = clock_of(&s);
	if (sec < 0 || !str_eq(s, S(" GMT")))
		return E_BAD;
	*now = at + sec;
	return OK;
}

/* The end of an ISO instant: its distance from UTC in seconds. */
static int zone_of(struct str s, int64_t *offset)
{
	int64_t h, m = 0, sign;

	*offset = 0;
	if (str_ieq(s, S("Z")) || str_ieq(s, S("UTC")))
		return OK;
	sign = literal(&s, S("-")) ? -1 : literal(&s, S("+")) ? 1 : 0;
	h = number(&s, 2);
	if (!sign || h < 0 || h > 23)
		return E_BAD;
	literal(&s, S(":"));
	if (s.n)
		m = number(&s, 2);
	if (s.n || m < 0 || m > 59)
		return E_BAD;
	*offset = sign * (h * 3600 + m * 60);
	return OK;
}

int sigv4_iso_date(struct str text, int64_t *now)
{
	struct str s = str_trim(text);
	int64_t year, month, day, at, sec, offset;

	year = number(&s, 4);
	if (year < 0 || !literal(&s, S("-")))
		return E_BAD;
	month = number(&s, 2);
	if (!literal(&s, S("-")))
		return E_BAD;
	day = number(&s, 2);
	if ((!literal(&s, S("T")) && !literal(&s, S(" "))) ||
	    instant(year, month, day, &at) != OK)
		return E_BAD;
	sec = clock_of(&s);
	if (sec < 0)
		return E_BAD;
	if (literal(&s, S(".")) || literal(&s, S(","))) {
		if (number(&s, 1) < 0)
			return E_BAD;
		while (number(&s, 1) >= 0)
			;
	}
	if (zone_of(s, &offset) != OK)
		return E_BAD;
	at += sec - offset;
	if (at < 0)
		return E_BAD;
	*now = at;
	return OK;
}
