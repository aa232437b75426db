/* aws_sso.c -- IAM Identity Center and `aws login`: tokens that the AWS CLI
 * leaves in files of its own.
 *
 * Nobody is asked to log in from here; when a token has run out, the reason
 * names the command that gets a new one.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/types.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws.h"
#include "loop.h"
#include "../wire/json.h"
#include "../wire/sha256.h"
#include "../wire/sigv4.h"

enum {
	SHA1_SIZE = 20,
	CACHE_MAX = 262144,	/* a cache file has under 10 KiB */
	DUE = 300		/* AW-64: seconds before the end */
};

struct session {
	struct str profile, name;	/* name empty: the legacy form */
	struct str start_url, region, account, role;
	struct str path;		/* of the cache file */
	struct json *doc;		/* what is in it */
	struct str token;
	int64_t expires;
};

/* -- SHA-1, for names of files only: FIPS 180-4, one pass over little -- */

static uint32_t rol(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const unsigned char *p)
{
	static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc,
	    0xca62c1d6 };
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
	int i;

	for (i = 0; i < 16; i++)
		w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
		    (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
	for (; i < 80; i++)
		w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (i = 0; i < 80; i++) {
		uint32_t f = i < 20 ? (d ^ (b & (c ^ d))) :
		    i < 40 || i >= 60 ? (b ^ c ^ d) : ((b & c) | (d & (b | c)));
		uint32_t t = rol(a, 5) + f + e + k[i / 20] + w[i];

		e = d;
		d = c;
		c = rol(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

static void sha1(unsigned char out[SHA1_SIZE], struct str s)
{
	uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
	    0xc3d2e1f0 };
	unsigned char block[128] = { 0 };
	uint64_t bits = (uint64_t)s.n << 3;
	size_t i, end;

	for (; s.n >= 64; s = str_from(s, 64))
		sha1_block(h, (const unsigned char *)s.p);
	if (s.n)
		memcpy(block, s.p, s.n);
	block[s.n] = 0x80;
	end = s.n < 56 ? 64 : 128;
	for (i = 0; i < 8; i++)
		block[end - 1 - i] = (unsigned char)(bits >> (8 * i));
	for (i = 0; i < end; i += 64)
		sha1_block(h, block + i);
	for (i = 0; i < SHA1_SIZE; i++)
		out[i] = (unsigned char)(h[i / 4] >> (24 - i % 4 * 8));
}

/* -- cache files -- */

static struct str hex(struct lookup *l, const unsigned char *p, size_t n)
{
	char text[2 * SHA256_SIZE];
	struct buf b = buf_on(text, sizeof(text));

	buf_hex(&b, (struct str){ (const char *)p, n });
	return JOIN(l, buf_str(&b));
}

static int read_cache(struct lookup *l, struct str path, struct json **doc)
{
	struct str text;
	int r = aws_read(l, path, CACHE_MAX, &text);

	if (r != OK)
		return r;
	*doc = arena_get(l->a, sizeof(**doc));
	if (!*doc)
		return E_FULL;
	return json_parse(*doc, text, l->a, NULL) == OK ? OK : E_NONE;
}

static struct str member(struct lookup *l, struct jv v, const char *name)
{
	return json_text(l->a, json_str(json_get(v, str_of(name))));
}

/* What goes into a header. */
static int token_ok(struct str s)
{
	return s.n > 0 && s.n < 16384 && http_value_ok(s) &&
	    str_chr(s, ' ') == s.n;
}

static int log_in(struct lookup *l, const struct session *s, const char *what)
{
	return FAULT(l, aws_where(l, s->profile), S(": "), str_of(what),
	    S(" (token file "), s->path, S("); run `aws sso login --profile "),
	    s->profile, S("`"));
}

/* -- settings -- */

/* A value of the session's section, which the profile may repeat but not
 * contradict. */
static int shared_value(struct lookup *l, const struct session *s,
    const char *key, struct str *value)
{
	struct str none = { NULL, 0 }, of_session;
	struct str of_profile = aws_setting(l, s->profile, key);

	*value = of_profile;
	if (!s->name.n)
		return OK;
	of_session = ini_get(l->config.text, INI_SSO_SESSION, s->name, none,
	    str_of(key), NULL);
	if (of_session.n)
		*value = of_session;
	if (of_session.n && of_profile.n && !str_eq(of_session, of_profile))
		return FAULT(l, aws_where(l, s->profile), S(": "), str_of(key),
		    S(" differs from that of [sso-session "), s->name, S("]"));
	return OK;
}

static int settings(struct lookup *l, struct session *s)
{
	const char *lacks;
	unsigned char digest[SHA1_SIZE];
	int r;

	s->name = aws_setting(l, s->profile, "sso_session");
	s->account = aws_setting(l, s->profile, "sso_account_id");
	s->role = aws_setting(l, s->profile, "sso_role_name");
	if (s->name.n && !ini_has(l->config.text, INI_SSO_SESSION, s->name))
		return FAULT(l, aws_where(l, s->profile), S(": there is no "
		    "[sso-session "), s->name, S("] in "), l->config.path);
	r = shared_value(l, s, "sso_region", &s->region);
	if (r == OK)
		r = shared_value(l, s, "sso_start_url", &s->start_url);
	if (r != OK)
		return r;
	lacks = !s->account.n ? "sso_account_id" : !s->role.n ?
	    "sso_role_name" : !s->region.n ? "sso_region" :
	    !s->start_url.n ? "sso_start_url" : NULL;
	if (lacks)
		return FAULT(l, aws_where(l, s->profile), S(": "),
		    str_of(lacks), S(" is missing; run `aws configure sso`"));
	if (!aws_region_ok(s->region))
		return FAULT(l, aws_where(l, s->profile),
		    S(": sso_region is not a region"));
	sha1(digest, s->name.n ? s->name : s->start_url);
	s->path = JOIN(l, l->home, S("/.aws/sso/cache/"),
	    hex(l, digest, SHA1_SIZE), S(".json"));
	return s->path.p ? OK : E_FULL;
}

/* -- refreshing -- */

/* The cached document with three members replaced, others as they were. */
static void put_cache(struct buf *b, const struct session *s,
    struct str refresh)
{
	struct json_iter it = json_iter(json_root(s->doc));
	char date[SIGV4_DATE];
	struct str d = { date, sizeof(date) };

	sigv4_date(date, s->expires);
	buf_put(b, S("{\"accessToken\":"));
	json_quote(b, s->token);
	buf_put(b, S(",\"expiresAt\":\""));
	buf_put(b, str_head(d, 4));
	buf_chr(b, '-');
	buf_put(b, str_head(str_from(d, 4), 2));
	buf_chr(b, '-');
	buf_put(b, str_head(str_from(d, 6), 5));
	buf_chr(b, ':');
	buf_put(b, str_head(str_from(d, 11), 2));
	buf_chr(b, ':');
	buf_put(b, str_from(d, 13));
	buf_chr(b, '"');
	if (refresh.n) {
		buf_put(b, S(",\"refreshToken\":"));
		json_quote(b, refresh);
	}
	while (json_next(&it)) {
		if (jstr_eq(it.key, S("accessToken")) ||
		    jstr_eq(it.key, S("expiresAt")) ||
		    (refresh.n && jstr_eq(it.key, S("refreshToken"))))
			continue;
		buf_put(b, S(",\""));
		buf_put(b, it.key.raw);
		buf_put(b, S("\":"));
		buf_put(b, json_raw(it.value));
	}
	buf_chr(b, '}');
}

/* AW-64: by a new file in the old one's place. Failing is not fatal: the
 * token serves this once. */
static void write_cache(struct lookup *l, const struct session *s,
    struct str refresh)
{
	char pid[24];
	struct buf p = buf_on(pid, sizeof(pid)), b;
	struct str path, text;
	ssize_t n;
	int fd;

	buf_int(&p, (int64_t)getpid());
	path = JOIN(l, s->path, S("."), buf_str(&p));
	b = buf_open(l->a);
	put_cache(&b, s, refresh);
	if (b.full || !path.p)
		return;
	text = buf_end(l->a, &b);
	unlink(path.p);
	fd = open(path.p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    S_IRUSR | S_IWUSR);
	if (fd < 0)
		return;
	n = write(fd, text.p, text.n);
	if (fsync(fd) != 0)
		n = -1;
	if (close(fd) != 0 || n != (ssize_t)text.n ||
	    rename(path.p, s->path.p) != 0)
		unlink(path.p);
}

static struct str refresh_body(struct lookup *l, struct str id,
    struct str secret, struct str token)
{
	struct buf b = buf_open(l->a);

	buf_put(&b, S("{\"clientId\":"));
	json_quote(&b, id);
	buf_put(&b, S(",\"clientSecret\":"));
	json_quote(&b, secret);
	buf_put(&b, S(",\"grantType\":\"refresh_token\",\"refreshToken\":"));
	json_quote(&b, token);
	buf_chr(&b, '}');
	return buf_end(l->a, &b);
}

/* A base URL: an override's, or the service's own in its region. */
static struct str service(struct lookup *l, const struct session *s,
    const char *variable, const char *name, struct str host)
{
	const char *from;
	struct str base = aws_endpoint(l, s->profile, variable, name, &from);

	return base.n ? base : JOIN(l, S("https://"), host, S("."), s->region,
	    S("."), str_starts(s->region, S("cn-")) ? S("amazonaws.com.cn") :
	    aws_suffix(s->region));
}

static int refresh(struct lookup *l, struct session *s)
{
	struct jv v = json_root(s->doc);
	struct str old = member(l, v, "refreshToken"), token, fresh;
	struct str id = member(l, v, "clientId");
	struct str secret = member(l, v, "clientSecret");
	struct fetch_answer *answer = arena_get(l->a, sizeof(*answer));
	struct json *doc = arena_get(l->a, sizeof(*doc));
	struct fetch f = { .method = S("POST"),
		.fields = S("content-type: application/json\r\n") };
	int64_t until, seconds;

	if (!answer || !doc)
		return E_FULL;
	if (!old.n || !id.n || !secret.n)
		return E_NONE;
	if (sigv4_iso_date(member(l, v, "registrationExpiresAt"),
	    &until) == OK && until <= l->now)
		return E_NONE;
	f.url = JOIN(l, service(l, s, "AWS_ENDPOINT_URL_SSO_OIDC",
	    "sso_oidc", S("oidc")), S("/token"));
	f.body = refresh_body(l, id, secret, old);
	if (aws_fetch(l, &f, AWS_FETCH_MS, AWS_TRIES, NULL, answer) != OK ||
	    answer->head.status != 200 ||
	    json_parse(doc, answer->body, l->a, NULL) != OK)
		return E_NONE;
	v = json_root(doc);
	token = member(l, v, "accessToken");
	fresh = member(l, v, "refreshToken");
	seconds = json_int(json_get(v, S("expiresIn")), 0);
	if (!token_ok(token) || seconds <= 0 || seconds > 366 * 86400)
		return E_NONE;
	s->token = token;
	s->expires = l->now + seconds;
	write_cache(l, s, fresh);
	return OK;
}

/* -- credentials -- */

static int load_token(struct lookup *l, struct session *s)
{
	struct jv v;
	int r = read_cache(l, s->path, &s->doc);

	if (r == E_FULL)
		return r;
	if (r != OK)
		return log_in(l, s, "not logged in");
	v = json_root(s->doc);
	s->token = member(l, v, "accessToken");
	if (!token_ok(s->token) || sigv4_iso_date(member(l, v, "expiresAt"),
	    &s->expires) != OK)
		return log_in(l, s, "the cached token is not complete");
	if (s->name.n && s->expires - DUE <= l->now) {
		r = refresh(l, s);
		if (r == E_FULL)
			return r;
	}
	if (s->expires <= l->now)
		return log_in(l, s, "the session has expired");
	return OK;
}

static int ask(struct lookup *l, struct session *s,
    struct fetch_answer *answer)
{
	struct fetch f = { .method = S("GET") };
	struct buf b;
	int r;

	b = buf_open(l->a);
	buf_put(&b, S("/federation/credentials?role_name="));
	sigv4_encode(&b, s->role);
	buf_put(&b, S("&account_id="));
	sigv4_encode(&b, s->account);
	if (b.full)
		return E_FULL;
	f.url = buf_end(l->a, &b);
	f.url = JOIN(l, service(l, s, "AWS_ENDPOINT_URL_SSO", "sso",
	    S("portal.sso")), f.url);
	f.fields = JOIN(l, S("accept: application/json\r\n"
	    "x-amz-sso_bearer_token: "), s->token, S("\r\n"));
	if (!f.url.p || !f.fields.p)
		return E_FULL;
	r = aws_fetch(l, &f, AWS_FETCH_MS, AWS_TRIES, NULL, answer);
	if (r == E_FAULT)
		return FAULT(l, aws_where(l, s->profile), S(": IAM Identity "
		    "Center: "), JOIN(l, buf_str(l->why)));
	if (r != OK)
		return r;
	if (answer->head.status == 401)
		return log_in(l, s, "the session was refused");
	if (answer->head.status == 403 || answer->head.status == 404)
		return FAULT(l, aws_where(l, s->profile), S(": the role "),
		    s->role, S(" of account "), s->account,
		    S(" is not granted to you"));
	if (answer->head.status != 200)
		return FAULT(l, aws_where(l, s->profile), S(": IAM Identity "
		    "Center doesn't answer as expected"));
	return OK;
}

int aws_sso(struct lookup *l, struct str profile, struct credentials *out)
{
	struct session s = { .profile = profile };
	struct fetch_answer *answer = arena_get(l->a, sizeof(*answer));
	struct json *doc = arena_get(l->a, sizeof(*doc));
	struct jv v;
	int r;

	if (!answer || !doc)
		return E_FULL;
	r = settings(l, &s);
	if (r == OK)
		r = load_token(l, &s);
	if (r == OK)
		r = ask(l, &s, answer);
	if (r != OK)
		return r;
	if (json_parse(doc, answer->body, l->a, NULL) == OK) {
		v = json_get(json_root(doc), S("roleCredentials"));
		out->id = member(l, v, "accessKeyId");
		out->secret = member(l, v, "secretAccessKey");
		out->token = member(l, v, "sessionToken");
		out->expires = json_int(json_get(v, S("expiration")), 0) / 1000;
	}
	if (!out->id.n || !out->secret.n || !out->token.n || out->expires <= 0)
		return FAULT(l, aws_where(l, profile), S(": the answer of IAM "
		    "Identity Center has no complete credentials"));
	out->source = JOIN(l, S("profile "), profile,
	    s.name.n ? S(" (sso session ") : S(" (sso"), s.name, S(")"));
	return OK;
}

int aws_login(struct lookup *l, struct str profile, struct str session,
    struct credentials *out)
{
	unsigned char digest[SHA256_SIZE];
	struct str dir = aws_env(l, "AWS_LOGIN_CACHE_DIRECTORY"), path;
	struct json *doc;
	struct jv v;
	int r;

	if (!dir.n)
		dir = JOIN(l, l->home, S("/.aws/login/cache"));
	sha256(digest, str_trim(session));
	path = JOIN(l, dir, S("/"), hex(l, digest, SHA256_SIZE), S(".json"));
	r = read_cache(l, path, &doc);
	if (r == E_FULL)
		return r;
	if (r == OK) {
		v = json_get(json_root(doc), S("accessToken"));
		out->id = member(l, v, "accessKeyId");
		out->secret = member(l, v, "secretAccessKey");
		out->token = member(l, v, "sessionToken");
		if (sigv4_iso_date(member(l, v, "expiresAt"),
		    &out->expires) != OK)
			out->expires = 0;
	}
	if (r != OK || !out->id.n || !out->secret.n || !out->token.n ||
	    out->expires <= l->now)
		return FAULT(l, aws_where(l, profile), S(": the login session "
		    "has expired or is not there (file "), path,
		    S("); run `aws login --profile "), profile, S("`"));
	out->source = JOIN(l, S("profile "), profile, S(" (aws login)"));
	return OK;
}
