/* aws_metadata.c -- credentials from where the program runs: the container's
 * endpoint (ECS, EKS Pod Identity) and EC2 instance metadata, version 2.
 *
 * Never through a proxy. Plain HTTP goes only to addresses that can't leave
 * the machine or its host, so that no token is sent to a stranger.
 *
 * SPDX-License-Identifier: MIT */
#include "aws.h"

enum {
	CONTAINER_MS = 2000,
	METADATA_MS = 1000,	/* off EC2 nobody answers: must not be long */
	ROLE_MAX = 1024,	/* an ARN with the longest path has 640 */
	TOKEN_MAX = 65536
};

/* A header's value that came from outside: one line, nothing hidden. */
static int header_ok(struct str s)
{
	return s.n > 0 && s.n < 16384 && http_value_ok(s);
}

static int status_fault(struct lookup *l, struct str what, int status)
{
	char text[12];
	struct buf b = buf_on(text, sizeof(text));

	buf_int(&b, status);
	return FAULT(l, what, S(": answered with status "), buf_str(&b));
}

/* -- container -- */

/* AW-80: where plain HTTP may go. */
static int plain_ok(struct str host)
{
	static const char *const known[] = { "localhost", "169.254.170.2",
	    "169.254.170.23", "fd00:ec2::23" };
	struct sock_addr a;
	size_t i;

	for (i = 0; i < COUNT(known); i++)
		if (str_ieq(host, str_of(known[i])))
			return 1;
	return sock_addr_parse(&a, host, 1) == OK &&
	    sock_addr_is_loopback(&a);
}

/* AW-81. OK with the value; E_NONE when none is set. */
static int authorization(struct lookup *l, struct str *value)
{
	struct str file = aws_env(l, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");

	*value = aws_env(l, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
	if (file.n) {
		if (aws_read(l, JOIN(l, file), TOKEN_MAX, value) != OK)
			return FAULT(l, file, S(" (from AWS_CONTAINER_"
			    "AUTHORIZATION_TOKEN_FILE) can't be read"));
		*value = str_head(*value, value->n -
		    (size_t)str_ends(*value, S("\n")));
		*value = str_head(*value, value->n -
		    (size_t)str_ends(*value, S("\r")));
	}
	if (!value->n && !file.n)
		return E_NONE;
	return header_ok(*value) ? OK : FAULT(l, S("the authorization token "
	    "of the container endpoint has characters that can't be sent"));
}

int aws_container(struct lookup *l, struct credentials *out)
{
	struct str relative = aws_env(l,
	    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	struct str full = aws_env(l, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
	struct str what = S("container credentials"), token;
	struct fetch_answer *answer = arena_get(l->a, sizeof(*answer));
	struct fetch f = { .method = S("GET") };
	struct fetch_url u;
	int r;

	if (!relative.n && !full.n)
		return E_NONE;
	if (relative.n && relative.p[0] != '/')
		return FAULT(l, S("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must "
		    "begin with /"));
	f.url = relative.n ? JOIN(l, S("http://169.254.170.2"), relative) :
	    full;
	if (!f.url.p || !answer)
		return E_FULL;
	if (fetch_url(&u, f.url) != OK)
		return FAULT(l, S("AWS_CONTAINER_CREDENTIALS_FULL_URI is not "
		    "an http or https URL"));
	if (!u.tls && !plain_ok(u.host))
		return FAULT(l, S("AWS_CONTAINER_CREDENTIALS_FULL_URI: plain "
		    "http is allowed only to this machine and the container "
		    "hosts, not to "), u.host);
	r = authorization(l, &token);
	if (r == OK)
		f.fields = JOIN(l, S("accept: application/json\r\n"
		    "authorization: "), token, S("\r\n"));
	else if (r != E_NONE)
		return r;
	r = aws_fetch(l, &f, CONTAINER_MS, AWS_TRIES, NULL, answer);
	if (r == E_FAULT)
		return FAULT(l, what, S(": "), JOIN(l, buf_str(l->why)));
	if (r != OK)
		return r;
	if (answer->head.status != 200)
		return status_fault(l, what, answer->head.status);
	out->source = S("container endpoint");
	return aws_document(l, answer->body, what, S("Token"), 1, out);
}

/* -- EC2 -- */

/* AW-83: base URL; empty when metadata is switched off. */
static struct str metadata_base(struct lookup *l, struct str profile)
{
	struct str off = aws_env(l, "AWS_EC2_METADATA_DISABLED"), s;
	struct str none = { NULL, 0 };

	if (off.n && !str_ieq(off, S("false")))
		return none;
	s = aws_env(l, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
	if (!s.n)
		s = aws_setting(l, profile, "ec2_metadata_service_endpoint");
	if (s.n)
		return str_ends(s, S("/")) ? str_head(s, s.n - 1) : s;
	s = aws_env(l, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	if (!s.n)
		s = aws_setting(l, profile,
		    "ec2_metadata_service_endpoint_mode");
	return str_ieq(s, S("IPv6")) ? S("http://[fd00:ec2::254]") :
	    S("http://169.254.169.254");
}

static int metadata_token(struct lookup *l, struct str base, struct str *token)
{
	struct fetch_answer *answer = arena_get(l->a, sizeof(*answer));
	struct fetch f = { .method = S("PUT"),
		.fields = S("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n")
	};
	int r;

	f.url = JOIN(l, base, S("/latest/api/token"));
	if (!f.url.p || !answer)
		return E_FULL;
	r = aws_fetch(l, &f, METADATA_MS, 1, NULL, answer);
	/* Nobody there is the common case, and so is a host that knows only
	 * version 1 or isn't EC2 at all: there is nothing configured here. */
	if (r == E_FAULT)
		return E_NONE;
	if (r != OK)
		return r;
	*token = str_trim(answer->body);
	return answer->head.status == 200 && header_ok(*token) ? OK : E_NONE;
}

/* One document. *status gets what was answered. */
static int metadata_get(struct lookup *l, struct str url, struct str token,
    struct str *text, int *status)
{
	struct fetch_answer *answer = arena_get(l->a, sizeof(*answer));
	struct fetch f = { .method = S("GET"), .url = url };
	int r;

	f.fields = JOIN(l, S("x-aws-ec2-metadata-token: "), token, S("\r\n"));
	if (!f.fields.p || !answer)
		return E_FULL;
	r = aws_fetch(l, &f, METADATA_MS, AWS_TRIES, NULL, answer);
	if (r == E_FAULT)
		return FAULT(l, S("instance metadata: "),
		    JOIN(l, buf_str(l->why)));
	if (r != OK)
		return r;
	*status = answer->head.status;
	*text = str_trim(answer->body);
	return OK;
}

/* What IAM lets a role be called, or an ARN, as stand-ins for the service may
 * say. It becomes a part of a URL and of what people are told: one that answers
 * every path with the keys must not be quoted. */
static int role_ok(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') ||
		    ((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z') ||
		    memchr("_+=,.@-:/", s.p[i], 9)))
			return 0;
	return s.n > 0 && s.n <= ROLE_MAX;
}

static int metadata_keys(struct lookup *l, struct str base, struct str token,
    struct credentials *out, int *status)
{
	struct str what = S("instance metadata"), url, role = S(""), text;
	int r;

	url = JOIN(l, base, S("/latest/meta-data/iam/security-credentials/"));
	if (!url.p)
		return E_FULL;
	r = metadata_get(l, url, token, &text, status);
	if (r != OK || *status == 401)
		return r;
	if (*status == 404)
		return E_NONE;		/* an instance without a role */
	str_cut(&text, '\n', &role);
	role = str_trim(role);
	if (*status != 200)
		return status_fault(l, what, *status);
	if (!role_ok(role))
		return FAULT(l, what, S(": what it answers is no name of a "
		    "role"));
	url = JOIN(l, url, role);
	if (!url.p)
		return E_FULL;
	r = metadata_get(l, url, token, &text, status);
	if (r != OK || *status == 401)
		return r;
	if (*status != 200)
		return status_fault(l, what, *status);
	out->source = JOIN(l, S("instance metadata, role "), role);
	return aws_document(l, text, what, S("Token"), 1, out);
}

int aws_metadata(struct lookup *l, struct str profile, struct credentials *out)
{
	struct str base = metadata_base(l, profile), token;
	int r, status = 0, tries;

	if (!base.n)
		return E_NONE;
	for (tries = 0; tries < 2; tries++) {
		r = metadata_token(l, base, &token);
		if (r == OK)
			r = metadata_keys(l, base, token, out, &status);
		/* AW-84: a token that ran out; once more from the start. */
		if (r != OK || status != 401)
			return r;
	}
	return status_fault(l, S("instance metadata"), status);
}

struct str aws_metadata_region(struct lookup *l, struct str profile)
{
	struct str base = metadata_base(l, profile), token, text;
	struct str none = { NULL, 0 };
	int status = 0, ignored;

	if (!base.n || metadata_token(l, base, &token) != OK ||
	    metadata_get(l, JOIN(l, base,
	    S("/latest/meta-data/placement/region")), token, &text,
	    &status) != OK || status != 200)
		return none;
	/* Anything else isn't quoted either. */
	return aws_region_ok(aws_region_plain(text, &ignored)) ? text : none;
}
