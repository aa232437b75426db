/* guard.c -- who may talk to us: Host, Origin, Sec-Fetch-Site, key.
 *
 * The proxy holds keys and listens where any web page may knock. A page that
 * rebinds its name to 127.0.0.1 betrays itself by the Host field; one that
 * posts across sites by Origin or Sec-Fetch-Site. All are looked at before
 * routing, on every path. No Access-Control field is ever sent.
 *
 * SPDX-License-Identifier: MIT */
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
