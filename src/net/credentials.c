/* credentials.c -- the order in which sources are asked, and what a profile
 * means.
 *
 * Profiles that name each other are followed into an array first and their
 * roles assumed on the way back: no recursion, and a circle is seen by its
 * names. Between "not configured" and "broken" there is a sharp line (AW-42):
 * only the former lets the next source have its turn.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/types.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "aws.h"
#include "loop.h"
#include "../wire/sigv4.h"

enum {
	KEEP_STATIC = 86400,	/* refused ones are forgotten at once anyway */
	DUE = 300,		/* AW-90: refreshed from five minutes before */
	KEEP_DUE = 30,		/* then tried again this often */
	KEEP_FILE = 15,		/* a login writes new keys into the file */
	REASON_MAX = 2048
};

/* -- beginning -- */

static struct str home_of(struct lookup *l)
{
	struct str home = aws_env(l, "HOME");
	const struct passwd *p;

	if (home.n)
		return JOIN(l, home);
	p = getpwuid(getuid());
	return p && p->pw_dir ? JOIN(l, str_of(p->pw_dir)) : home;
}

/* AW-50. A file that isn't there counts as empty. */
static int load(struct lookup *l, struct aws_file *f, const char *variable,
    const char *usual)
{
	struct str path = aws_env(l, variable);
	char number[12];
	struct buf b = buf_on(number, sizeof(number));
	const char *why;
	int r, line;

	if (!path.n)
		f->path = JOIN(l, l->home, str_of(usual));
	else if (str_starts(path, S("~/")))
		f->path = JOIN(l, l->home, str_from(path, 1));
	else
		f->path = JOIN(l, path);
	f->text = (struct str){ NULL, 0 };
	r = aws_read(l, f->path, INI_FILE_MAX, &f->text);
	if (r == E_LIMIT)
		return FAULT(l, f->path, S(": larger than 1 MiB"));
	if (r == E_FAULT)
		return FAULT(l, f->path, S(": can't be read to its end"));
	if (r == E_FULL)
		return r;
	if (ini_check(f->text, &line, &why) == OK)
		return OK;
	f->text = (struct str){ NULL, 0 };
	buf_int(&b, line);
	return FAULT(l, f->path, S(" line "), buf_str(&b), S(": "),
	    str_of(why));
}

static int begin(struct lookup *l, const struct credentials_input *in,
    struct arena *a, struct buf *why)
{
	int r;

	memset(l, 0, sizeof(*l));
	l->in = in;
	l->a = a;
	l->why = why;
	l->now = in->now ? in->now : loop_wall() / 1000;
	l->home = home_of(l);
	r = load(l, &l->config, "AWS_CONFIG_FILE", "/.aws/config");
	if (r == OK)
		r = load(l, &l->shared, "AWS_SHARED_CREDENTIALS_FILE",
		    "/.aws/credentials");
	return r;
}

/* AW-51. Whether somebody named it, which makes its absence an error. */
static int choose(const struct lookup *l, struct str *profile)
{
	*profile = l->in->profile;
	if (!profile->n)
		*profile = aws_env(l, "AWS_PROFILE");
	if (!profile->n)
		*profile = aws_env(l, "AWS_DEFAULT_PROFILE");
	if (profile->n)
		return 1;
	*profile = aws_has_profile(l, S("saml")) ? S("saml") : S("default");
	return 0;
}

/* -- sources that need no call -- */

static int bearer(struct lookup *l, struct credentials *out)
{
	size_t i;

	out->bearer = aws_env(l, "AWS_BEARER_TOKEN_BEDROCK");
	if (!out->bearer.n)
		return E_NONE;
	for (i = 0; i < out->bearer.n; i++)
		if (out->bearer.p[i] <= ' ' || out->bearer.p[i] > '~')
			return FAULT(l, S("AWS_BEARER_TOKEN_BEDROCK has blanks "
			    "or control characters inside"));
	out->source = S("AWS_BEARER_TOKEN_BEDROCK");
	return OK;
}

static int environment(struct lookup *l, struct credentials *out)
{
	struct str expires = aws_env(l, "AWS_CREDENTIAL_EXPIRATION");

	out->id = aws_env(l, "AWS_ACCESS_KEY_ID");
	out->secret = aws_env(l, "AWS_SECRET_ACCESS_KEY");
	if (!out->id.n || !out->secret.n)
		return E_NONE;
	out->token = aws_env(l, "AWS_SESSION_TOKEN");
	if (!out->token.n)
		out->token = aws_env(l, "AWS_SECURITY_TOKEN");
	out->expires = 0;
	if (expires.n && sigv4_iso_date(expires, &out->expires) != OK)
		return FAULT(l, S("AWS_CREDENTIAL_EXPIRATION is not a date"));
	out->source = S("environment");
	return OK;
}

static int has_static(const struct lookup *l, struct str profile)
{
	return aws_setting(l, profile, "aws_access_key_id").n > 0 &&
	    aws_setting(l, profile, "aws_secret_access_key").n > 0;
}

static int static_keys(struct lookup *l, struct str profile,
    struct credentials *out)
{
	out->id = aws_setting(l, profile, "aws_access_key_id");
	out->secret = aws_setting(l, profile, "aws_secret_access_key");
	out->token = aws_setting(l, profile, "aws_session_token");
	out->source = JOIN(l, S("profile "), profile);
	out->file = 1;
	return out->source.p ? OK : E_FULL;
}

/* -- profiles -- */

/* AW-70: credential_source of a profile. */
static int named_source(struct lookup *l, struct str profile, struct str name,
    struct credentials *out)
{
	int r;

	if (str_eq(name, S("Environment")))
		r = environment(l, out);
	else if (str_eq(name, S("EcsContainer")))
		r = aws_container(l, out);
	else if (str_eq(name, S("Ec2InstanceMetadata")))
		r = aws_metadata(l, profile, out);
	else
		return FAULT(l, aws_where(l, profile),
		    S(": credential_source must be Environment, EcsContainer "
		    "or Ec2InstanceMetadata, it is "), name);
	return r != E_NONE ? r : FAULT(l, aws_where(l, profile),
	    S(": credential_source "), name, S(" has no credentials"));
}

static int has_sso(const struct lookup *l, struct str profile)
{
	static const char *const keys[] = { "sso_start_url", "sso_account_id",
	    "sso_session", "sso_region", "sso_role_name" };
	size_t i;

	for (i = 0; i < COUNT(keys); i++)
		if (aws_setting(l, profile, keys[i]).n)
			return 1;
	return 0;
}

/* AW-60 rules 3 to 8: what a profile has by itself. */
static int own_source(struct lookup *l, struct str profile,
    struct credentials *out)
{
	struct str s;

	if (has_static(l, profile))
		return static_keys(l, profile, out);
	s = aws_setting(l, profile, "web_identity_token_file");
	if (s.n && aws_setting(l, profile, "role_arn").n) {
		out->source = JOIN(l, S("profile "), profile,
		    S(" (web identity)"));
		return aws_web_identity(l, profile, s, aws_setting(l, profile,
		    "role_arn"), aws_setting(l, profile, "role_session_name"),
		    out);
	}
	s = aws_setting(l, profile, "credential_process");
	if (s.n)
		return aws_process(l, profile, s, out);
	if (has_sso(l, profile))
		return aws_sso(l, profile, out);
	s = aws_setting(l, profile, "login_session");
	return s.n ? aws_login(l, profile, s, out) : E_NONE;
}

struct chain {
	struct str name[CREDENTIALS_CHAIN_MAX];
	size_t n;		/* profiles visited */
	size_t roles;		/* of these, from the first, so many have a role
				 * to be assumed */
};

static int circle(struct lookup *l, const struct chain *c, struct str again)
{
	struct buf b = buf_open(l->a);
	struct str path;
	size_t i;

	for (i = 0; i < c->n; i++) {
		buf_put(&b, c->name[i]);
		buf_put(&b, S(" -> "));
	}
	buf_put(&b, again);
	path = buf_end(l->a, &b);
	return FAULT(l, aws_where(l, c->name[c->n - 1]),
	    S(": source_profile goes in a circle: "), path);
}

/* The next profile of the chain. OK: go on with it. */
static int follow(struct lookup *l, struct chain *c, struct str next)
{
	struct str here = c->name[c->n - 1];
	size_t i;

	for (i = 0; i < c->n; i++)
		if (str_eq(c->name[i], next))
			return circle(l, c, next);
	if (!aws_has_profile(l, next))
		return FAULT(l, aws_where(l, here), S(": source_profile "),
		    next, S(" is not there"));
	if (c->n == CREDENTIALS_CHAIN_MAX)
		return FAULT(l, aws_where(l, here),
		    S(": more than 8 profiles linked by source_profile"));
	c->name[c->n++] = next;
	return OK;
}

/* One profile of the chain (AW-60). E_MORE: the chain goes on. */
static int link_source(struct lookup *l, struct chain *c,
    struct credentials *out)
{
	struct str p = c->name[c->n - 1];
	struct str role = aws_setting(l, p, "role_arn");
	struct str source = aws_setting(l, p, "source_profile");
	struct str named = aws_setting(l, p, "credential_source");
	int r;

	if (c->n > 1 && has_static(l, p))
		return static_keys(l, p, out);
	if (c->n > 1 && named.n && !role.n)
		return named_source(l, p, named, out);
	if (!role.n)
		return own_source(l, p, out);
	if (source.n && named.n)
		return FAULT(l, aws_where(l, p), S(": source_profile and "
		    "credential_source exclude each other"));
	if (!source.n && !named.n)
		return aws_setting(l, p, "web_identity_token_file").n ?
		    own_source(l, p, out) : FAULT(l, aws_where(l, p),
		    S(": role_arn needs source_profile, credential_source or "
		    "web_identity_token_file"));
	c->roles = c->n;
	if (named.n)
		return named_source(l, p, named, out);
	if (str_eq(source, p) && has_static(l, p))
		return static_keys(l, p, out);
	r = follow(l, c, source);
	return r == OK ? E_MORE : r;
}

static int profile_source(struct lookup *l, struct str profile,
    struct credentials *out)
{
	struct chain c = { { profile }, 1, 0 };
	int r;

	do
		r = link_source(l, &c, out);
	while (r == E_MORE);
	if (r == E_NONE && c.n > 1)
		return FAULT(l, aws_where(l, c.name[c.n - 1]),
		    S(": has no credentials, and is the source_profile of "),
		    c.name[c.n - 2]);
	while (r == OK && c.roles) {
		struct str p = c.name[--c.roles];

		r = aws_assume(l, p, out);
		out->source = JOIN(l, S("profile "), p, S(" (role "),
		    aws_setting(l, p, "role_arn"), S(")"));
	}
	return r;
}

/* -- the chain -- */

static void warn(struct lookup *l, struct credentials *out, struct str text)
{
	out->warning = out->warning.n ?
	    JOIN(l, out->warning, S("; "), text) : text;
}

static int web_identity(struct lookup *l, struct credentials *out)
{
	struct str none = { NULL, 0 };
	struct str file = aws_env(l, "AWS_WEB_IDENTITY_TOKEN_FILE");
	struct str role = aws_env(l, "AWS_ROLE_ARN");

	if (!file.n || !role.n)
		return E_NONE;
	out->source = JOIN(l, S("web identity, role "), role);
	return aws_web_identity(l, none, file, role, aws_env(l,
	    "AWS_ROLE_SESSION_NAME"), out);
}

/* AW-40: what the environment says outright. */
/* A named profile whose role is assumed with the environment's keys: they are
 * its source, not its rival (AW-41). */
static int wants_variables(const struct lookup *l, struct str profile)
{
	return aws_setting(l, profile, "role_arn").n > 0 &&
	    str_ieq(aws_setting(l, profile, "credential_source"),
	    S("Environment"));
}

static int variables(struct lookup *l, struct str profile, int named,
    struct credentials *out)
{
	int r = bearer(l, out);

	if (r == E_NONE && !(named && wants_variables(l, profile)))
		r = environment(l, out);
	if (r == OK && !out->bearer.n && aws_env(l, "AWS_PROFILE").n)
		warn(l, out, S("AWS_PROFILE is set, but the keys of the "
		    "environment are used"));
	if (r == E_NONE)
		memset(out, 0, sizeof(*out));
	return r;
}

/* AW-40, the rest. *instance: they are an EC2 instance's. */
static int chain(struct lookup *l, struct str profile, int named,
    struct credentials *out, int *instance)
{
	int r = E_NONE;

	if (aws_has_profile(l, profile))
		r = profile_source(l, profile, out);
	if (r != E_NONE || named)
		return r != E_NONE ? r : !aws_has_profile(l, profile) ?
		    FAULT(l, S("profile "), profile, S(" is neither in "),
		    l->config.path, S(" nor in "), l->shared.path) :
		    FAULT(l, aws_where(l, profile),
		    S(": has no credentials"));
	r = web_identity(l, out);
	if (r == E_NONE)
		r = aws_container(l, out);
	if (r != E_NONE)
		return r;
	r = aws_metadata(l, profile, out);
	*instance = r == OK;
	return r;
}

static int region(struct lookup *l, struct str profile, int instance,
    struct credentials *out)
{
	static const char *const names[] = { "AWS_REGION",
	    "AWS_DEFAULT_REGION" };
	struct str r = l->in->region;
	size_t i;

	out->region_source = S("configuration");
	for (i = 0; i < COUNT(names) && !r.n; i++) {
		r = aws_env(l, names[i]);
		out->region_source = str_of(names[i]);
	}
	if (!r.n) {
		r = aws_setting(l, profile, "region");
		out->region_source = JOIN(l, S("profile "), profile);
	}
	if (!r.n && instance) {
		r = aws_metadata_region(l, profile);
		out->region_source = S("instance metadata");
	}
	if (!r.n) {
		r = S("us-east-1");
		out->region_source = S("default");
		warn(l, out, S("no region is configured, us-east-1 is used; "
		    "set AWS_REGION"));
	}
	out->region = aws_region_plain(r, &out->fips);
	return aws_region_ok(out->region) ? OK : FAULT(l,
	    out->region_source, S(": not a region: "), r);
}

/* AW-112: true and false only. */
static int flag(struct lookup *l, struct str profile, const char *variable,
    const char *key, int *value)
{
	struct str s = aws_env(l, variable), from = str_of(variable);

	if (!s.n) {
		s = aws_setting(l, profile, key);
		from = JOIN(l, aws_where(l, profile), S(": "), str_of(key));
	}
	if (!s.n)
		return OK;
	if (!str_ieq(s, S("true")) && !str_ieq(s, S("false")))
		return FAULT(l, from, S(" must be true or false, it is "), s);
	if (str_ieq(s, S("true")))
		*value = 1;
	return OK;
}

static int place(struct lookup *l, struct str profile, int instance,
    struct credentials *out)
{
	const char *from;
	struct fetch_url u;
	int r = region(l, profile, instance, out);

	if (r == OK)
		r = flag(l, profile, "AWS_USE_FIPS_ENDPOINT",
		    "use_fips_endpoint", &out->fips);
	if (r == OK)
		r = flag(l, profile, "AWS_USE_DUALSTACK_ENDPOINT",
		    "use_dualstack_endpoint", &out->dualstack);
	if (r != OK)
		return r;
	out->endpoint = aws_endpoint(l, profile,
	    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "bedrock_runtime", &from);
	if (!out->endpoint.n)
		return OK;
	out->endpoint_source = str_of(from);
	return fetch_url(&u, out->endpoint) == OK ? OK :
	    FAULT(l, out->endpoint_source, S(": not a URL: "), out->endpoint);
}

/* Keys become part of header lines. */
static int sendable(const struct credentials *c)
{
	const struct str *part[] = { &c->id, &c->secret, &c->token };
	size_t i, k;

	for (i = 0; i < COUNT(part); i++)
		for (k = 0; k < part[i]->n; k++)
			if (part[i]->p[k] <= ' ' || part[i]->p[k] > '~')
				return 0;
	return 1;
}

/* Nothing is configured, or it is in a line that can't be read. */
static void explain(struct lookup *l)
{
	const struct aws_file *f = &l->config;
	int odd = ini_odd(f->text);
	char number[12];
	struct buf b = buf_on(number, sizeof(number));

	if (!odd) {
		f = &l->shared;
		odd = ini_odd(f->text);
	}
	buf_int(&b, odd);
	FAULT(l, S("no AWS credentials: set AWS_PROFILE, AWS_ACCESS_KEY_ID "
	    "and AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK; looked "
	    "also in "), l->config.path, S(" and "), l->shared.path,
	    odd ? S("; ") : S(""), odd ? f->path : S(""),
	    odd ? S(" line ") : S(""), odd ? buf_str(&b) : S(""),
	    odd ? S(" is no setting of a section") : S(""));
}

/* l and profile are left for further questions. */
static int search(struct lookup *l, const struct credentials_input *in,
    struct arena *a, struct str *profile, struct credentials *out,
    struct buf *why)
{
	int r, files, named, instance = 0;

	memset(out, 0, sizeof(*out));
	files = begin(l, in, a, why);
	named = choose(l, profile);
	/* Variables need no files, so broken files don't stop them. */
	r = variables(l, *profile, named, out);
	if (r == E_NONE && files != OK)
		r = files;
	else if (r == E_NONE)
		r = chain(l, *profile, named, out, &instance);
	if (r == OK && !sendable(out))
		r = FAULT(l, out->source, S(": the keys have characters that "
		    "no key has"));
	if (r == OK)
		r = place(l, *profile, instance, out);
	if (r == E_FULL)
		r = FAULT(l, S("AWS credentials: more data than there is "
		    "memory for"));
	if (r == E_NONE)
		explain(l);
	if (r != OK)
		memset(out, 0, sizeof(*out));
	return r;
}

int credentials_find(const struct credentials_input *in, struct arena *a,
    struct credentials *out, struct buf *why)
{
	struct lookup l;
	struct str profile;

	return search(&l, in, a, &profile, out, why);
}

int credentials_hint(const struct credentials_input *in, struct arena scratch)
{
	static const char *const names[] = { "AWS_BEARER_TOKEN_BEDROCK",
	    "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
	    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	    "AWS_CONTAINER_CREDENTIALS_FULL_URI" };
	static const char *const keys[] = { "role_arn", "aws_access_key_id",
	    "credential_process", "login_session" };
	char text[REASON_MAX];
	struct buf why = buf_on(text, sizeof(text));
	struct lookup l;
	struct str profile;
	size_t i;

	if (begin(&l, in, &scratch, &why) != OK)
		return 1;	/* broken, which credentials_find will explain */
	for (i = 0; i < COUNT(names); i++)
		if (aws_env(&l, names[i]).n)
			return 1;
	if (choose(&l, &profile))
		return 1;
	for (i = 0; i < COUNT(keys); i++)
		if (aws_setting(&l, profile, keys[i]).n)
			return 1;
	return has_sso(&l, profile);
}

/* -- as a message -- */

static const struct { const char *name; size_t at; } texts[] = {
	{ "bearer", offsetof(struct credentials, bearer) },
	{ "id", offsetof(struct credentials, id) },
	{ "secret", offsetof(struct credentials, secret) },
	{ "token", offsetof(struct credentials, token) },
	{ "source", offsetof(struct credentials, source) },
	{ "region", offsetof(struct credentials, region) },
	{ "region_source", offsetof(struct credentials, region_source) },
	{ "endpoint", offsetof(struct credentials, endpoint) },
	{ "endpoint_source", offsetof(struct credentials, endpoint_source) },
	{ "warning", offsetof(struct credentials, warning) },
};

void credentials_write(struct buf *b, const struct credentials *c)
{
	struct str s;
	size_t i;

	for (i = 0; i < COUNT(texts); i++) {
		memcpy(&s, (const char *)c + texts[i].at, sizeof(s));
		if (!s.n)
			continue;
		buf_put(b, str_of(texts[i].name));
		buf_chr(b, ' ');
		/* Keys are visible bytes; the rest is for people. */
		buf_put(b, str_head(s, str_chr(s, '\n')));
		buf_chr(b, '\n');
	}
	buf_put(b, S("expires "));
	buf_int(b, c->expires);
	buf_put(b, c->fips ? S("\nfips 1\n") : S("\nfips 0\n"));
	buf_put(b, c->dualstack ? S("dualstack 1\n") : S("dualstack 0\n"));
}

static int read_number(struct credentials *c, struct str name, struct str s)
{
	uint64_t v;

	if (str_u64(s, &v) != OK || v > INT64_MAX)
		return E_BAD;
	if (str_eq(name, S("expires")))
		c->expires = (int64_t)v;
	else if (str_eq(name, S("fips")))
		c->fips = v == 1;
	else if (str_eq(name, S("dualstack")))
		c->dualstack = v == 1;
	else
		return E_BAD;
	return OK;
}

int credentials_read(struct credentials *c, struct str text)
{
	struct str line, name;
	size_t i;

	memset(c, 0, sizeof(*c));
	while (str_cut(&text, '\n', &line)) {
		if (!str_cut(&line, ' ', &name))
			return E_BAD;
		for (i = 0; i < COUNT(texts); i++)
			if (str_eq(name, str_of(texts[i].name)))
				break;
		if (i < COUNT(texts))
			memcpy((char *)c + texts[i].at, &line, sizeof(line));
		else if (read_number(c, name, line) != OK)
			return E_BAD;
	}
	return c->bearer.n || (c->id.n && c->secret.n) ? OK : E_BAD;
}

unsigned credentials_keep(const struct credentials *c, int64_t now)
{
	int64_t left = c->expires - now - DUE;

	if (!c->expires && c->file)
		return KEEP_FILE;
	if (!c->expires || left > KEEP_STATIC)
		return KEEP_STATIC;
	return left > KEEP_DUE ? (unsigned)left : KEEP_DUE;
}

/* -- for the helper -- */

static const struct credentials_input *place_to_look;

void credentials_setup(const struct credentials_input *in)
{
	place_to_look = in;
}

int credentials_serve(struct str ask, struct buf *answer, unsigned *keep_s)
{
	static char memory[CREDENTIALS_MEMORY];
	struct arena a = { memory, memory + sizeof(memory) };
	struct credentials_input in = *place_to_look;
	struct credentials c;
	size_t start = answer->n;
	int r;

	if (!str_eq(ask, CREDENTIALS_ANY))
		in.profile = ask;
	r = credentials_find(&in, &a, &c, answer);
	if (r != OK)
		return E_FAULT;
	answer->n = start;
	credentials_write(answer, &c);
	*keep_s = credentials_keep(&c, in.now ? in.now : loop_wall() / 1000);
	if (answer->full) {
		*answer = buf_on(answer->p, answer->cap);
		buf_put(answer, S("the AWS credentials are longer than 8 KiB"));
		return E_FAULT;
	}
	return OK;
}

int credentials_model_serve(struct str ask, struct buf *answer,
    unsigned *keep_s)
{
	static char memory[CREDENTIALS_MEMORY];
	struct arena a = { memory, memory + sizeof(memory) };
	struct credentials_input in = *place_to_look;
	struct lookup l;
	struct credentials c;
	struct str arn = S(""), profile, model;

	str_cut(&ask, ' ', &arn);
	if (!str_eq(ask, CREDENTIALS_ANY))
		in.profile = ask;
	if (search(&l, &in, &a, &profile, &c, answer) != OK)
		return E_FAULT;
	if (aws_profile_model(&l, profile, &c, arn, &model) != OK)
		return E_FAULT;
	*answer = buf_on(answer->p, answer->cap);
	buf_put(answer, model);
	*keep_s = KEEP_STATIC;
	return OK;
}
