/* aws_sts.c -- roles: AssumeRole and AssumeRoleWithWebIdentity.
 *
 * The answer is XML. Of XML this knows what such answers hold: elements with
 * text, prefixes, the five entities and character references. It builds no
 * tree and expands nothing else.
 *
 * SPDX-License-Identifier: MIT */
#include "aws.h"
#include "../wire/sigv4.h"

enum {
	TOKEN_FILE_MAX = 65536,
	SESSION_MIN = 2, SESSION_MAX = 64,	/* of RoleSessionName */
	SKEW_MIN = 240		/* AW-10: seconds that count as a wrong clock */
};

/* -- XML -- */

static void put_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_chr(b, (char)c);
		return;
	}
	if (c >= 0x10000) {
		buf_chr(b, (char)(0xf0 | c >> 18));
		buf_chr(b, (char)(0x80 | (c >> 12 & 63)));
	} else if (c >= 0x800) {
		buf_chr(b, (char)(0xe0 | c >> 12));
	}
	if (c >= 0x800)
		buf_chr(b, (char)(0x80 | (c >> 6 & 63)));
	else
		buf_chr(b, (char)(0xc0 | c >> 6));
	buf_chr(b, (char)(0x80 | (c & 63)));
}

/* The inside of "&...;". 0 when it is none that we know. */
static uint32_t entity(struct str s)
{
	static const struct { const char *name; char c; } known[] = {
		{ "amp", '&' }, { "lt", '<' }, { "gt", '>' }, { "quot", '"' },
		{ "apos", '\'' }
	};
	uint32_t v = 0, base = 10;
	size_t i;

	for (i = 0; i < COUNT(known); i++)
		if (str_eq(s, str_of(known[i].name)))
			return (unsigned char)known[i].c;
	if (s.n < 2 || s.n > 8 || s.p[0] != '#')
		return 0;
	i = 1;
	if (s.p[1] == 'x') {
		base = 16;
		i = 2;
	}
	for (; i < s.n; i++) {
		char c = s.p[i];
		uint32_t d = c >= '0' && c <= '9' ? (uint32_t)(c - '0') :
		    c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 :
		    c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10 : 99;

		if (d >= base)
			return 0;
		v = v * base + d;
	}
	return v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : v;
}

static void put_decoded(struct buf *b, struct str s)
{
	while (s.n) {
		size_t n = str_chr(s, '&'), end;
		uint32_t c;

		buf_put(b, str_head(s, n));
		s = str_from(s, n);
		end = str_chr(str_head(s, 10), ';');
		c = end < s.n && s.p[end] == ';' ?
		    entity(str_head(str_from(s, 1), end - 1)) : 0;
		if (c) {
			put_utf8(b, c);
			s = str_from(s, end + 1);
		} else if (s.n) {
			buf_chr(b, '&');
			s = str_from(s, 1);
		}
	}
}

/* A tag's name without its prefix. */
static struct str local_name(struct str tag)
{
	size_t n;

	for (n = 0; n < tag.n && tag.p[n] != ' ' && tag.p[n] != '\t' &&
	    tag.p[n] != '\r' && tag.p[n] != '\n' && tag.p[n] != '/'; n++)
		;
	tag = str_head(tag, n);
	n = str_chr(tag, ':');
	return n < tag.n ? str_from(tag, n + 1) : tag;
}

/* Text of the first element `name` inside an element `parent`, undecoded. */
static struct str xml_find(struct str doc, struct str parent, struct str name)
{
	struct str none = { NULL, 0 }, tag;
	int inside = 0;

	for (;;) {
		doc = str_from(doc, str_chr(doc, '<') + 1);
		if (str_starts(doc, S("!--")))
			doc = str_from(doc, str_find(doc, S("-->")) + 2);
		if (!doc.n)
			return none;
		tag = str_head(doc, str_chr(doc, '>'));
		doc = str_from(doc, tag.n + 1);
		if (!tag.n || tag.p[0] == '?' || tag.p[0] == '!')
			continue;
		if (tag.p[0] == '/') {
			if (str_eq(local_name(str_from(tag, 1)), parent))
				inside = 0;
		} else if (str_eq(local_name(tag), parent)) {
			inside = 1;
		} else if (inside && str_eq(local_name(tag), name)) {
			return str_ends(tag, S("/")) ? none :
			    str_trim(str_head(doc, str_chr(doc, '<')));
		}
	}
}

static struct str xml_text(struct lookup *l, struct str doc,
    struct str parent, struct str name)
{
	struct buf b = buf_open(l->a);

	put_decoded(&b, xml_find(doc, parent, name));
	return buf_end(l->a, &b);
}

/* -- the call -- */

static int code_is(const struct fetch_answer *answer, struct str code)
{
	return str_eq(xml_find(answer->body, S("Error"), S("Code")), code);
}

/* AW-74, AW-75: what passes by itself. */
static int passing(const struct fetch_answer *answer)
{
	return code_is(answer, S("Throttling")) ||
	    code_is(answer, S("IDPCommunicationError"));
}

static int passing_identity(const struct fetch_answer *answer)
{
	return passing(answer) || code_is(answer, S("InvalidIdentityToken"));
}

static int skewed(const struct fetch_answer *answer)
{
	return answer->head.status == 403 &&
	    (code_is(answer, S("SignatureDoesNotMatch")) ||
	    code_is(answer, S("InvalidSignatureException")) ||
	    code_is(answer, S("RequestTimeTooSkewed")) ||
	    code_is(answer, S("RequestExpired")) ||
	    code_is(answer, S("RequestInTheFuture")));
}

static struct str sts_region(struct lookup *l, struct str profile)
{
	static const char *const names[] = { "AWS_REGION",
	    "AWS_DEFAULT_REGION" };
	struct str r = profile.n ? aws_setting(l, profile, "region") : profile;
	size_t i;
	int ignored;

	if (!aws_region_ok(r))
		r = l->in->region;
	for (i = 0; i < COUNT(names) && !aws_region_ok(r); i++)
		r = aws_env(l, names[i]);
	r = aws_region_plain(r, &ignored);
	return aws_region_ok(r) ? r : S("us-east-1");
}

static int sign(struct lookup *l, const struct fetch_url *u, struct str region,
    const struct credentials *keys, struct str body, struct buf *fields)
{
	struct sigv4_pair f[] = {
		{ S("host"), u->authority },
		{ S("content-type"), S("application/x-www-form-urlencoded") }
	};
	struct sigv4 s = {
		.id = keys->id, .secret = keys->secret, .token = keys->token,
		.region = region, .service = S("sts"), .now = l->now,
		.method = S("POST"), .path = u->path, .fields = f,
		.nfields = COUNT(f)
	};

	sigv4_payload(s.payload, &body, 1);
	return sigv4_sign(&s, fields);
}

static int read_answer(struct lookup *l, const struct fetch_answer *answer,
    struct str what, struct credentials *out)
{
	struct str doc = answer->body, parent = S("Credentials"), expires;

	if (answer->head.status != 200) {
		struct str code = xml_text(l, doc, S("Error"), S("Code"));
		char status[12];
		struct buf b = buf_on(status, sizeof(status));

		buf_int(&b, answer->head.status);
		return FAULT(l, what, S(": "), code.n ? code : S("status "),
		    code.n ? S("") : buf_str(&b), S(" "),
		    str_head(xml_text(l, doc, S("Error"), S("Message")), 300));
	}
	out->id = xml_text(l, doc, parent, S("AccessKeyId"));
	out->secret = xml_text(l, doc, parent, S("SecretAccessKey"));
	out->token = xml_text(l, doc, parent, S("SessionToken"));
	expires = xml_text(l, doc, parent, S("Expiration"));
	if (!out->id.n || !out->secret.n || !out->token.n ||
	    sigv4_iso_date(expires, &out->expires) != OK)
		return FAULT(l, what, S(": the answer of STS has no complete "
		    "credentials"));
	return OK;
}

/* keys NULL: unsigned. */
static int call(struct lookup *l, struct str profile, struct str what,
    struct str body, const struct credentials *keys, struct credentials *out)
{
	struct str region = sts_region(l, profile), url, base, host;
	char fields[16384];
	struct buf b = buf_on(fields, sizeof(fields));
	struct fetch_answer *answer = arena_get(l->a, sizeof(*answer));
	const char *from;
	struct fetch_url u;
	struct fetch f = { .method = S("POST"), .body = body };
	int r, again = 0;

	host = JOIN(l, S("https://sts."), region, S("."), aws_suffix(region));
	base = aws_endpoint(l, profile, "AWS_ENDPOINT_URL_STS", "sts", &from);
	url = JOIN(l, base.n ? base : host, S("/"));
	if (!answer || !host.p || !url.p)
		return E_FULL;
	if (fetch_url(&u, url) != OK)
		return FAULT(l, S("not a URL: "), url, S(" (from "),
		    str_of(from), S(")"));
	for (;;) {
		b.n = 0;
		buf_put(&b, S("content-type: application/x-www-form-urlencoded"
		    "\r\n"));
		r = keys ? sign(l, &u, region, keys, body, &b) : OK;
		if (r != OK)
			return FAULT(l, what, S(": the source credentials "
			    "can't sign a request"));
		f.url = url;
		f.fields = buf_str(&b);
		r = aws_fetch(l, &f, AWS_FETCH_MS, AWS_TRIES,
		    keys ? passing : passing_identity, answer);
		if (r == E_FAULT)
			return FAULT(l, what, S(": "), JOIN(l, buf_str(l->why)));
		if (r != OK)
			return r;
		/* AW-10: our clock is wrong; sign once more by theirs. */
		if (again++ || !keys || !skewed(answer) || !answer->date ||
		    (answer->date - l->now < SKEW_MIN &&
		    l->now - answer->date < SKEW_MIN))
			return read_answer(l, answer, what, out);
		l->now = answer->date;
	}
}

static void put_form(struct buf *b, struct str name, struct str value)
{
	buf_chr(b, '&');
	buf_put(b, name);
	buf_chr(b, '=');
	sigv4_encode(b, value);
}

/* AW-71. The name given, or one of our own that tells when it was made. */
static int session_name(struct lookup *l, struct str given, struct str *name)
{
	char text[40];
	struct buf b = buf_on(text, sizeof(text));
	size_t i;

	buf_put(&b, S("claudecodex-"));
	buf_int(&b, l->now);
	*name = given.n ? given : JOIN(l, buf_str(&b));
	if (!name->p)
		return E_FULL;
	for (i = 0; i < name->n; i++) {
		char c = name->p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    (c >= '0' && c <= '9') || memchr("_+=,.@-", c, 7)))
			break;
	}
	if (i < name->n || i < SESSION_MIN || i > SESSION_MAX)
		return FAULT(l, S("role_session_name must be 2 to 64 of "
		    "A-Z a-z 0-9 _ + = , . @ -, it is "), *name);
	return OK;
}

int aws_assume(struct lookup *l, struct str profile, struct credentials *c)
{
	struct str role = aws_setting(l, profile, "role_arn");
	struct str external = aws_setting(l, profile, "external_id");
	struct str seconds = aws_setting(l, profile, "duration_seconds");
	struct str name, body, what = JOIN(l, aws_where(l, profile),
	    S(": assuming "), role);
	struct credentials got = *c;
	struct buf b;
	uint64_t n;
	int r;

	if (aws_setting(l, profile, "mfa_serial").n)
		return FAULT(l, aws_where(l, profile), S(": mfa_serial is set, "
		    "and nobody can be asked for a code here; take the role "
		    "with another tool and use its temporary credentials"));
	if (seconds.n && (str_u64(seconds, &n) != OK || n > 43200))
		return FAULT(l, aws_where(l, profile),
		    S(": duration_seconds is not a number up to 43200"));
	r = session_name(l, aws_setting(l, profile, "role_session_name"),
	    &name);
	if (r != OK)
		return r;
	b = buf_open(l->a);
	buf_put(&b, S("Action=AssumeRole&Version=2011-06-15"));
	put_form(&b, S("RoleArn"), role);
	put_form(&b, S("RoleSessionName"), name);
	put_form(&b, S("DurationSeconds"), seconds.n ? seconds : S("3600"));
	if (external.n)
		put_form(&b, S("ExternalId"), external);
	if (b.full || !what.p)
		return E_FULL;
	body = buf_end(l->a, &b);
	r = call(l, profile, what, body, c, &got);
	if (r == OK)
		*c = got;
	return r;
}

int aws_web_identity(struct lookup *l, struct str profile, struct str file,
    struct str role, struct str name, struct credentials *out)
{
	struct str path, token, body, what = JOIN(l, S("web identity for "),
	    role);
	struct buf b;
	int r;

	path = str_starts(file, S("~/")) ? JOIN(l, l->home,
	    str_from(file, 1)) : JOIN(l, file);
	r = aws_read(l, path, TOKEN_FILE_MAX, &token);
	if (r == E_FULL)
		return r;
	if (r != OK)
		return FAULT(l, what, S(": the token file "), path,
		    S(" can't be read (web_identity_token_file or "
		    "AWS_WEB_IDENTITY_TOKEN_FILE)"));
	r = session_name(l, name, &name);
	if (r != OK)
		return r;
	b = buf_open(l->a);
	buf_put(&b, S("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"));
	put_form(&b, S("RoleArn"), role);
	put_form(&b, S("RoleSessionName"), name);
	put_form(&b, S("WebIdentityToken"), str_trim(token));
	if (profile.n && aws_setting(l, profile, "duration_seconds").n)
		put_form(&b, S("DurationSeconds"), aws_setting(l, profile,
		    "duration_seconds"));
	if (b.full || !what.p)
		return E_FULL;
	body = buf_end(l->a, &b);
	return call(l, profile, what, body, NULL, out);
}
