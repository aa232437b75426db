/* guard.c -- who may talk to us: Host, Origin, Sec-Fetch-Site, key.
 *
 * The proxy holds keys and listens where any web page may knock. A page that
 * rebinds its name to 127.0.0.1 betrays itself by the Host field; one that
 * posts across sites by Origin or Sec-Fetch-Site. All are looked at before
 * routing, on every path. No Access-Control field is ever sent.
 *
 * The monitor shows every prompt, so it asks for more: beyond this machine's own
 * names a token, which a browser holds as a cookie, and where only the proxy's
 * key is set, that key.
 *
 * SPDX-License-Identifier: MIT */
#include "../wire/sha256.h"
#include "proxy.h"

/* Host without port; the brackets of an IPv6 address stay off. */
static struct str host_of(struct str authority)
{
	size_t end;

	if (authority.n && authority.p[0] == '[') {
		end = str_chr(authority, ']');
		return str_from(str_head(authority, end), 1);
	}
	return str_head(authority, str_chr(authority, ':'));
}

/* ":8082", or empty. */
static struct str port_of(struct str authority)
{
	size_t at = 0;

	if (authority.n && authority.p[0] == '[')
		at = str_chr(authority, ']');
	authority = str_from(authority, at);
	return str_from(authority, str_chr(authority, ':'));
}

static int is_ours(const struct proxy *p, struct str authority)
{
	struct str host = host_of(authority);
	struct sock_addr a;
	size_t i;

	if (str_ieq(host, S("localhost")))
		return 1;
	/* A rebound name is never a numeric address, so where we listen more
	 * widely every address literal is as good as our own. */
	if (sock_addr_parse(&a, host, 0) == OK)
		return sock_addr_is_loopback(&a) || p->config->host.n > 0;
	for (i = 0; i < p->config->nnames; i++)
		if (str_ieq(host, p->config->names[i]))
			return 1;
	return 0;
}

static int origin_is_ours(const struct proxy *p, const struct http_head *h,
    struct str origin)
{
	struct str host = http_field(h, S("host"));

	if (str_istarts(origin, S("http://")))
		origin = str_from(origin, 7);
	else if (str_istarts(origin, S("https://")))
		origin = str_from(origin, 8);
	else
		return 0;		/* "null", extensions, files */
	/* Another local port is another program, perhaps a page under attack:
	 * only the port the request came to is ours. */
	return is_ours(p, origin) && (host.n == 0 ||
	    str_eq(port_of(origin), port_of(host)));
}

int guard_check(const struct proxy *p, const struct http_head *h,
    struct fault *f)
{
	struct str host = http_field(h, S("host"));
	struct str origin = http_field(h, S("origin"));
	struct str site = http_field(h, S("sec-fetch-site"));

	/* An absolute target outranks Host (RFC 9112 section 3.2.2): both
	 * must be ours. HTTP/1.0 may come without. */
	if ((h->authority.n && !is_ours(p, h->authority)) ||
	    (host.n && !is_ours(p, host))) {
		FAULT(f, 403, S("this server does not answer to the name \""),
		    h->authority.n && !is_ours(p, h->authority) ?
		    h->authority : host,
		    S("\"; use localhost, or list the name in SERVER_NAMES"));
		return E_FAULT;
	}
	if (origin.p && !origin_is_ours(p, h, origin)) {
		FAULT(f, 403, S("requests from web pages of other origins are "
		    "refused"));
		return E_FAULT;
	}
	if (site.p && !str_ieq(site, S("same-origin")) &&
	    !str_ieq(site, S("none"))) {
		FAULT(f, 403, S("cross-site requests are refused"));
		return E_FAULT;
	}
	return OK;
}

/* Whether a field bears the proxy's key; if so, empties it. */
static int bears_key(const struct proxy *p, struct http_field *f)
{
	struct str v = f->value;

	if (str_ieq(f->name, S("authorization"))) {
		if (!str_istarts(v, S("bearer ")))
			return 0;
		v = str_trim(str_from(v, 7));
	} else if (!str_ieq(f->name, S("x-api-key"))) {
		return 0;
	}
	if (!str_eq_secret(v, p->config->proxy_key))
		return 0;
	f->value.n = 0;
	return 1;
}

int guard_key(const struct proxy *p, struct http_head *h, struct fault *f)
{
	int good = p->config->proxy_key.n == 0;
	int any = http_field(h, S("x-api-key")).n ||
	    http_field(h, S("authorization")).n;
	size_t i;

	for (i = 0; i < h->nfields && p->config->proxy_key.n; i++)
		good |= bears_key(p, &h->fields[i]);
	if (good)
		return OK;
	FAULT(f, 401, any ? S("this key is not the proxy's "
	    "PROXY_API_KEY") : S("the proxy asks for a key: send its "
	    "PROXY_API_KEY as x-api-key or Bearer token"));
	f->should_retry = 0;
	return E_FAULT;
}

/* ---- the monitor ------------------------------------------------------ */

/* Cookies know no ports: two proxies on one machine must not take each
 * other's. */
static void put_cookie_name(const struct proxy *p, struct buf *b)
{
	buf_put(b, S("claudecodex_"));
	buf_u64(b, p->config->port);
}

/* Of the token its hash: who reads a cookie must not learn what was typed. */
static void put_cookie_value(const struct proxy *p, struct buf *b)
{
	unsigned char hash[SHA256_SIZE];

	hmac_sha256(hash, p->config->monitor_token, S("claudecodex monitor"));
	buf_hex(b, (struct str){ (const char *)hash, sizeof hash });
}

void guard_cookie(const struct proxy *p, struct buf *b)
{
	buf_put(b, S("set-cookie: "));
	put_cookie_name(p, b);
	buf_chr(b, '=');
	put_cookie_value(p, b);
	buf_put(b, S("; HttpOnly; SameSite=Strict; Path=/\r\n"));
}

static int has_cookie(const struct proxy *p, struct str field)
{
	char name_text[32], value_text[2 * SHA256_SIZE];
	struct buf name = buf_on(name_text, sizeof name_text);
	struct buf value = buf_on(value_text, sizeof value_text);
	struct str one, key;
	int found = 0;

	put_cookie_name(p, &name);
	put_cookie_value(p, &value);
	while (str_cut(&field, ';', &one)) {
		one = str_trim(one);
		if (str_cut(&one, '=', &key) && str_eq(key, buf_str(&name)))
			found |= str_eq_secret(one, buf_str(&value));
	}
	return found;
}

int guard_token(const struct proxy *p, struct str token)
{
	return p->config->monitor_token.n &&
	    str_eq_secret(token, p->config->monitor_token);
}

static int may_watch(const struct proxy *p, struct http_head *h,
    struct fault *f)
{
	struct str host = host_of(h->authority.n ? h->authority :
	    http_field(h, S("host")));
	struct str bearer = http_field(h, S("authorization"));
	struct sock_addr a;

	if (p->config->monitor_token.n) {
		if (has_cookie(p, http_field(h, S("cookie"))))
			return OK;
		if (str_istarts(bearer, S("bearer ")) && guard_token(p,
		    str_trim(str_from(bearer, 7))))
			return OK;
		FAULT(f, 401, S("the monitor asks for its token: open "
		    "/dashboard?token=... once with MONITOR_TOKEN, or send "
		    "it as Bearer token"));
		return E_FAULT;
	}
	/* A name of SERVER_NAMES leads here from elsewhere. */
	if (host.n && !str_ieq(host, S("localhost")) &&
	    (sock_addr_parse(&a, host, 0) != OK ||
	    !sock_addr_is_loopback(&a))) {
		FAULT(f, 403, S("under this name the monitor is off until "
		    "MONITOR_TOKEN is set"));
		return E_FAULT;
	}
	if (guard_key(p, h, f) == OK)
		return OK;
	FAULT(f, 401, S("PROXY_API_KEY closes the monitor too: send it as "
	    "x-api-key or Bearer token, or set MONITOR_TOKEN, which a browser "
	    "can keep"));
	f->should_retry = 0;
	return E_FAULT;
}

int guard_monitor(const struct proxy *p, struct http_head *h, struct fault *f)
{
	struct str type = http_field(h, S("content-type"));

	if (!p->config->monitor_on) {
		FAULT(f, 404, S("the monitor is off: beyond this machine it "
		    "needs MONITOR_TOKEN"));
		return E_FAULT;
	}
	if (may_watch(p, h, f) != OK)
		return E_FAULT;
	if (!str_eq(h->method, S("POST")))
		return OK;
	/* What spends money is asked by our own page, or by somebody who
	 * takes pains to look like it; never by a form. */
	if (http_field(h, S("origin")).n == 0 ||
	    !str_ieq(http_field(h, S("sec-fetch-site")), S("same-origin"))) {
		FAULT(f, 403, S("this is for the monitor's own page: origin "
		    "and sec-fetch-site: same-origin are required"));
		return E_FAULT;
	}
	type = str_trim(str_head(type, str_chr(type, ';')));
	if (!str_ieq(type, S("application/json"))) {
		FAULT(f, 415, S("content-type must be application/json"));
		return E_FAULT;
	}
	return OK;
}
