/* aws.c -- what the sources of credentials have in common: settings, files,
 * endpoints, calls that are repeated, and the JSON document most of them
 * answer with.
 *
 * SPDX-License-Identifier: MIT */
#include <sys/types.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "aws.h"
#include "loop.h"
#include "../wire/json.h"
#include "../wire/sigv4.h"

enum {
	BACKOFF_MS = 100,	/* AW-121: doubling, with jitter */
	BACKOFF_THROTTLED_MS = 500
};

int aws_fault(struct lookup *l, const struct str *part, size_t n)
{
	size_t i;

	l->why->n = 0;
	/* Names come from files and variables: whatever they hold, a reason is
	 * one line. */
	for (i = 0; i < n; i++)
		buf_printable(l->why, part[i]);
	return E_FAULT;
}

struct str aws_join(struct lookup *l, const struct str *part, size_t n)
{
	struct buf b = buf_open(l->a);
	struct str s;
	size_t i;

	for (i = 0; i < n; i++)
		buf_put(&b, part[i]);
	buf_chr(&b, '\0');
	if (b.full)
		return (struct str){ NULL, 0 };
	s = buf_end(l->a, &b);
	s.n--;
	return s;
}

struct str aws_env(const struct lookup *l, const char *name)
{
	return str_trim(str_of(l->in->env(l->in->ctx, name)));
}

int aws_read(struct lookup *l, struct str path, size_t max, struct str *text)
{
	struct stat st;
	size_t n = 0;
	ssize_t got = 1;
	char *p;
	int fd;

	if (!path.p)
		return E_FULL;
	/* Not to wait for the writer of a pipe that lies in a file's place. */
	fd = open(path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return E_NONE;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return E_NONE;
	}
	if (st.st_size > (off_t)max) {
		close(fd);
		return E_LIMIT;
	}
	p = arena_bytes(l->a, (size_t)st.st_size + 1);
	while (p && got > 0 && n < (size_t)st.st_size) {
		do
			got = read(fd, p + n, (size_t)st.st_size - n);
		while (got < 0 && errno == EINTR);
		if (got > 0)
			n += (size_t)got;
	}
	close(fd);
	*text = (struct str){ p, n };
	return !p ? E_FULL : got < 0 ? E_FAULT : OK;
}

/* -- settings -- */

/* The config file has [profile X], and for `default` also [default], which
 * counts only when the longer form doesn't occur (AW-54). */
static enum ini_kind config_kind(const struct lookup *l, struct str profile)
{
	return str_eq(profile, S("default")) &&
	    !ini_has(l->config.text, INI_PROFILE, profile) ? INI_PLAIN :
	    INI_PROFILE;
}

struct str aws_setting(const struct lookup *l, struct str profile,
    const char *key)
{
	struct str k = str_of(key), none = { NULL, 0 };
	struct str shared = ini_get(l->shared.text, INI_PLAIN, profile, none,
	    k, NULL);
	struct str config = ini_get(l->config.text, config_kind(l, profile),
	    profile, none, k, NULL);

	if (str_starts(k, S("aws_")))
		return shared.n ? shared : config;
	return config.n ? config : shared;
}

int aws_has_profile(const struct lookup *l, struct str profile)
{
	return ini_has(l->shared.text, INI_PLAIN, profile) ||
	    ini_has(l->config.text, config_kind(l, profile), profile);
}

struct str aws_where(struct lookup *l, struct str profile)
{
	int line = ini_has(l->config.text, config_kind(l, profile), profile);
	const struct aws_file *f = &l->config;
	char text[24];
	struct buf b = buf_on(text, sizeof(text));

	if (!line) {
		f = &l->shared;
		line = ini_has(f->text, INI_PLAIN, profile);
	}
	buf_int(&b, line);
	return JOIN(l, S("profile "), profile, S(" ("), f->path, S(" line "),
	    buf_str(&b), S(")"));
}

/* -- regions and endpoints -- */

int aws_region_ok(struct str r)
{
	size_t i;

	for (i = 0; i < r.n; i++)
		if (!((r.p[i] >= 'a' && r.p[i] <= 'z') || r.p[i] == '-' ||
		    (r.p[i] >= '0' && r.p[i] <= '9')))
			return 0;
	return r.n > 0 && r.n < 64 && r.p[0] != '-' && r.p[r.n - 1] != '-';
}

struct str aws_region_plain(struct str r, int *fips)
{
	if (str_starts(r, S("fips-"))) {
		*fips = 1;
		r = str_from(r, 5);
	} else if (str_ends(r, S("-fips"))) {
		*fips = 1;
		r = str_head(r, r.n - 5);
	}
	return str_eq(r, S("aws-global")) ? S("us-east-1") : r;
}

struct str aws_suffix(struct str region)
{
	static const struct { const char *prefix, *suffix; } known[] = {
		{ "cn-", "amazonaws.com.cn" }, { "eusc-", "amazonaws.eu" },
		{ "us-isob-", "sc2s.sgov.gov" }, { "us-isof-", "csp.hci.ic.gov" },
		{ "us-iso-", "c2s.ic.gov" }, { "eu-isoe-", "cloud.adc-e.uk" }
	};
	size_t i;

	for (i = 0; i < COUNT(known); i++)
		if (str_starts(region, str_of(known[i].prefix)))
			return str_of(known[i].suffix);
	return S("amazonaws.com");
}

static struct str without_slash(struct str s)
{
	return str_ends(s, S("/")) ? str_head(s, s.n - 1) : s;
}

struct str aws_endpoint(const struct lookup *l, struct str profile,
    const char *variable, const char *service, const char **from)
{
	struct str s, services;

	*from = variable;
	if (str_ieq(aws_env(l, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
	    S("true")))
		return (struct str){ NULL, 0 };
	s = aws_env(l, variable);
	if (s.n)
		return without_slash(s);
	*from = "AWS_ENDPOINT_URL";
	s = aws_env(l, *from);
	if (s.n)
		return without_slash(s);
	*from = "services of the profile";
	services = aws_setting(l, profile, "services");
	s = services.n ? ini_get(l->config.text, INI_SERVICES, services,
	    str_of(service), S("endpoint_url"), NULL) : services;
	if (s.n)
		return without_slash(s);
	*from = "endpoint_url of the profile";
	return without_slash(aws_setting(l, profile, "endpoint_url"));
}

/* -- calls -- */

static int load_roots(struct lookup *l)
{
	struct arena roots;
	struct str file = l->in->cert_file;
	void *block;

	if (l->tls)
		return OK;
	if (!file.n)
		file = aws_env(l, "AWS_CA_BUNDLE");
	if (!file.n)
		file = aws_env(l, "SSL_CERT_FILE");
	l->tls = arena_get(l->a, sizeof(*l->tls));
	block = arena_get(l->a, TLS_TRUST_MEMORY);
	if (!l->tls || !block)
		return E_FULL;
	roots = (struct arena){ block, (char *)block + TLS_TRUST_MEMORY };
	l->why->n = 0;
	return tls_trust(l->tls, &roots, file, l->why);
}

/* NO_PROXY: "*", names with all below them, with or without a first dot. */
static int proxy_exempt(struct lookup *l, const struct fetch_url *u)
{
	struct str list = aws_env(l, "NO_PROXY"), item;
	struct sock_addr a;

	if (!list.n)
		list = aws_env(l, "no_proxy");
	if (str_ieq(u->host, S("localhost")) ||
	    (sock_addr_parse(&a, u->host, 1) == OK &&
	    (sock_addr_is_loopback(&a) || str_starts(u->host, S("169.254.")) ||
	    str_istarts(u->host, S("fd00:ec2:")))))
		return 1;
	while (str_cut(&list, ',', &item)) {
		item = str_trim(item);
		if (str_eq(item, S("*")))
			return 1;
		if (str_starts(item, S(".")))
			item = str_from(item, 1);
		if (!item.n || u->host.n < item.n ||
		    !str_ieq(str_from(u->host, u->host.n - item.n), item))
			continue;
		if (u->host.n == item.n ||
		    u->host.p[u->host.n - item.n - 1] == '.')
			return 1;
	}
	return 0;
}

static void pause_ms(int64_t ms)
{
	struct timeval tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	select(0, NULL, NULL, NULL, &tv);
}

static int again(const struct fetch_answer *answer,
    int (*retry)(const struct fetch_answer *answer))
{
	int status = answer->head.status;

	return status == 429 || status >= 500 || (retry && retry(answer));
}

int aws_fetch(struct lookup *l, const struct fetch *f, int64_t ms, int tries,
    int (*retry)(const struct fetch_answer *answer),
    struct fetch_answer *out)
{
	struct fetch one = *f;
	struct arena mark;
	struct fetch_url u;
	int64_t base = BACKOFF_MS;
	unsigned char dice = 255;
	int r, i;

	if (fetch_url(&u, f->url) != OK)
		return FAULT(l, S("not a URL: "), f->url);
	if (u.tls) {
		r = load_roots(l);
		if (r != OK)
			return r;
		one.proxy = aws_env(l, "HTTPS_PROXY");
		if (!one.proxy.n)
			one.proxy = aws_env(l, "https_proxy");
		if (proxy_exempt(l, &u))
			one.proxy.n = 0;
	}
	one.tls = l->tls;
	mark = *l->a;
	for (i = 1; ; i++) {
		*l->a = mark;
		l->why->n = 0;
		one.deadline = loop_now() + ms;
		r = fetch(&one, l->a, out, l->why);
		if (i >= tries || r == E_FULL || (r == OK && !again(out, retry)))
			return r;
		if (r == OK && out->head.status == 429)
			base = BACKOFF_THROTTLED_MS;
		loop_random(&dice, 1);
		pause_ms((base << (i - 1)) * (dice + 1) / 256);
	}
}

/* -- the document -- */

static struct str member(struct lookup *l, struct jv doc, struct str name)
{
	return json_text(l->a, json_str(json_get(doc, name)));
}

int aws_document(struct lookup *l, struct str text, struct str what,
    struct str token, int need_all, struct credentials *out)
{
	struct json *doc = arena_get(l->a, sizeof(*doc));
	struct str code, expires;
	struct jv v;

	if (!doc)
		return E_FULL;
	if (json_parse(doc, str_trim(text), l->a, NULL) != OK ||
	    json_type(json_root(doc)) != JSON_OBJECT)
		return FAULT(l, what, S(": the answer is not a JSON object"));
	v = json_root(doc);
	code = member(l, v, S("Code"));
	if (code.n && !str_eq(code, S("Success")))
		return FAULT(l, what, S(": "), code, S(" "),
		    str_head(member(l, v, S("Message")), 200));
	out->id = member(l, v, S("AccessKeyId"));
	out->secret = member(l, v, S("SecretAccessKey"));
	out->token = member(l, v, token);
	expires = member(l, v, S("Expiration"));
	if (!out->id.n || !out->secret.n)
		return FAULT(l, what, S(": the answer has no AccessKeyId or "
		    "no SecretAccessKey"));
	if (need_all && (!out->token.n || !expires.n))
		return FAULT(l, what, S(": the answer has no "),
		    out->token.n ? S("Expiration") : token);
	out->expires = 0;
	if (expires.n && sigv4_iso_date(expires, &out->expires) != OK)
		return FAULT(l, what, S(": Expiration is not a date"));
	return OK;
}
