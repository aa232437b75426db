/* config.c -- flags, environment, .env, defaults; --help and --check's table.
 *
 * One table names every setting, its older name, flag, default and meaning:
 * reading, --help and --check all walk it. Secrets have no flag, as arguments
 * show in the process list. A file of the current directory is trusted less
 * than the environment: it can't send a key of the environment elsewhere, nor
 * name the roots or the proxy through which it travels.
 *
 * SPDX-License-Identifier: MIT */
#include "settings.h"
#include "../backend/bedrock.h"
#include "../net/credentials.h"
#include "../net/sock.h"

enum { SMALL_MACHINE = 512 << 20 };	/* bytes: less for the monitor */
enum {
	TOKEN_MIN = 8,		/* shorter ones are guessed */
	PEOPLE_FROM = 1000, PEOPLE_TO = 59999	/* numbers of users, as Debian
						 * and most others give them */
};

/* What .env may say to the look-up of credentials: whose keys, but neither
 * where they go nor what is run. */
static const char *const aws_names[CONFIG_AWS] = { "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_BEARER_TOKEN_BEDROCK" };

/* scheme://host[:port][/path], nothing more. */
static int read_url(struct reader *r, enum set s, struct upstream *u)
{
	struct str v = str_trim(setting_value(r->c, s)), port = { NULL, 0 };
	uint64_t n;
	size_t i;

	if (!http_value_ok(v) || str_chr(v, ' ') < v.n)
		return setting_bad(r, s,
		    S("must not hold blanks or control bytes"));
	if (str_istarts(v, S("https://"))) {
		u->tls = 1;
		v = str_from(v, 8);
	} else if (str_istarts(v, S("http://"))) {
		v = str_from(v, 7);
	} else {
		return setting_bad(r, s,
		    S("must begin with http:// or https://"));
	}
	u->authority = str_head(v, str_chr(v, '/'));
	u->base = str_from(v, u->authority.n);
	while (u->base.n && u->base.p[u->base.n - 1] == '/')
		u->base.n--;
	if (str_chr(u->authority, '@') < u->authority.n)
		return setting_bad(r, s, S("must not hold a user or password"));
	if (str_chr(u->base, '?') < u->base.n ||
	    str_chr(u->base, '#') < u->base.n)
		return setting_bad(r, s,
		    S("must not hold a query or fragment"));
	u->host = u->authority;
	if (u->host.n && u->host.p[0] == '[') {
		i = str_chr(u->host, ']');
		port = str_from(u->host, i + 1);
		u->host = str_from(str_head(u->host, i), 1);
	} else {
		i = str_chr(u->host, ':');
		port = str_from(u->host, i);
		u->host = str_head(u->host, i);
	}
	u->port = u->tls ? 443 : 80;
	if (port.n > 1) {
		if (port.p[0] != ':' || str_u64(str_from(port, 1), &n) != OK ||
		    n < 1 || n > 65535)
			return setting_bad(r, s, S("has a bad port"));
		u->port = (unsigned)n;
	}
	if (u->host.n == 0 || u->host.n > 253)
		return setting_bad(r, s, S("must name a host"));
	for (i = 0; i < u->host.n; i++)
		if ((unsigned char)u->host.p[i] > '~')
			return setting_bad(r, s, S("must name the host in "
			    "ASCII (xn--...)"));
	return OK;
}

/* http://[user:password@]host:port */
static int read_proxy(struct reader *r)
{
	struct str v = str_trim(setting_value(r->c, HTTPS_PROXY));
	struct upstream u = { 0 };
	struct setting saved = *setting(r->c, HTTPS_PROXY);
	size_t at;

	if (v.n == 0)
		return OK;
	if (!str_istarts(v, S("http://")))
		return setting_bad(r, HTTPS_PROXY,
		    S("must be http://host:port (a "
		    "proxy spoken to in TLS is not supported)"));
	v = str_from(v, 7);
	at = str_chr(v, '@');
	if (at < v.n) {
		struct buf b = buf_open(r->a);

		if (http_decode(&b, str_head(v, at)) != OK)
			return setting_bad(r, HTTPS_PROXY,
			    S("has a bad % escape"));
		r->c->proxy_auth = buf_end(r->a, &b);
		v = str_from(v, at + 1);
	}
	{
		struct buf b = buf_open(r->a);

		buf_put(&b, S("http://"));
		buf_put(&b, v);
		setting(r->c, HTTPS_PROXY)->value = buf_end(r->a, &b);
	}
	if (read_url(r, HTTPS_PROXY, &u) != OK)
		return E_FAULT;
	*setting(r->c, HTTPS_PROXY) = saved;
	r->c->have_proxy = 1;
	r->c->proxy_host = u.host;
	r->c->proxy_port = u.port;
	return OK;
}

int config_no_proxy(const struct config *c, struct str host, unsigned port)
{
	struct str list = c->no_proxy, one, p;
	uint64_t n;

	if (host_is_loopback(host))
		return 1;
	while (str_cut(&list, ',', &one)) {
		one = str_trim(one);
		if (str_eq(one, S("*")))
			return 1;
		p = str_from(one, str_chr(one, ':') + 1);
		if (p.n && str_u64(p, &n) == OK) {
			if (n != port)
				continue;
			one = str_head(one, str_chr(one, ':'));
		}
		if (one.n && one.p[0] == '.')
			one = str_from(one, 1);
		if (one.n == 0 || host.n < one.n)
			continue;
		if (str_ieq(host, one) || (host.n > one.n &&
		    str_ieq(str_from(host, host.n - one.n), one) &&
		    host.p[host.n - one.n - 1] == '.'))
			return 1;
	}
	return 0;
}

/* ---- upstreams -------------------------------------------------------- */

static void warn(struct config *c, struct str text)
{
	if (c->nwarnings < COUNT(c->warnings))
		c->warnings[c->nwarnings++] = text;
}

/* A key of the environment goes only where the environment, or nobody, sends
 * it: a cloned repository's .env must not redirect it. */
static int keep_key_home(struct reader *r, enum set key, enum set url,
    struct str host)
{
	const struct setting *k = setting(r->c, key), *u = setting(r->c, url);

	if (u->source != FROM_DOTENV || host_is_loopback(host))
		return OK;
	if (key == ANTHROPIC_KEY && str_ieq(host, S("api.anthropic.com")))
		return OK;
	if (k->value.n && k->source == FROM_DOTENV)
		return OK;
	if (k->value.n == 0 && key != ANTHROPIC_KEY)
		return OK;
	return setting_bad(r, url,
	    S("a .env file may not send a credential that is "
	    "set elsewhere to a host of its choice; set this variable in the "
	    "environment too"));
}

static int set_up(struct reader *r, const struct backend *b, enum set url,
    enum set key, enum set model, struct str name)
{
	struct upstream *u = &r->c->upstreams[r->c->nupstreams];
	struct buf w;

	u->backend = b;
	u->name = name;
	if (url != SETS && (read_url(r, url, u) != OK ||
	    keep_key_home(r, key, url, u->host) != OK))
		return E_FAULT;
	if (key != SETS)
		u->key = setting_value(r->c, key);
	if (!http_value_ok(u->key))
		return setting_bad(r, key, S("holds control bytes"));
	if (model != SETS)
		u->model = setting_value(r->c, model);
	u->facts = arena_get(r->a, b->facts_size);
	if (!u->facts) {
		buf_put(r->out, S("no memory for the configuration"));
		return E_FAULT;
	}
	if (b->configure && b->configure(u, setting_value(r->c, OPENAI_PROFILE),
	    setting_value(r->c, OPENAI_FLAGS), &r->f) != OK) {
		buf_put(r->out, fault_text(&r->f));
		return E_FAULT;
	}
	if (u->warning.n)
		warn(r->c, u->warning);
	if (u->key.n && !u->tls && u->host.n && !host_is_loopback(u->host)) {
		w = buf_open(r->a);
		buf_put(&w, str_of(setting(r->c, url)->name));
		buf_put(&w, S(" is http://: the key and all you send can be "
		    "read on the way to "));
		buf_printable(&w, u->authority);
		warn(r->c, buf_end(r->a, &w));
	}
	r->c->nupstreams++;
	return OK;
}

/* What the whole of AWS's settings comes to. */
static int set_up_bedrock(struct reader *r)
{
	static const enum set family[] = { BEDROCK_OPUS, BEDROCK_SONNET,
	    BEDROCK_HAIKU };
	static const struct str globs[] = { { "*opus*", 6 },
	    { "*sonnet*", 8 }, { "*haiku*", 7 } };
	struct config *c = r->c;
	size_t i, at = c->nupstreams;
	struct str api = setting_value(c, BEDROCK_API);
	struct bedrock_options o = {
		.prefix = setting_value(c, BEDROCK_PREFIX),
		.betas = setting_value(c, BEDROCK_BETAS),
		.guardrail = setting_value(c, BEDROCK_GUARD),
		.guardrail_version = setting_value(c, BEDROCK_GUARD_VERSION),
		.guardrail_trace = setting_value(c, BEDROCK_GUARD_TRACE),
		.latency = setting_value(c, BEDROCK_LATENCY),
		.tier = setting_value(c, BEDROCK_TIER),
		.keep_billing = str_eq(setting_value(c, BEDROCK_BILLING),
		    S("1"))
	};

	if (str_eq(api, S("converse")))
		o.api = BEDROCK_CONVERSE;
	else if (str_eq(api, S("invoke")))
		o.api = BEDROCK_INVOKE;
	else if (!str_eq(api, S("auto")))
		return setting_bad(r, BEDROCK_API,
		    S("must be auto, converse or "
		    "invoke"));
	if (set_up(r, &backend_bedrock, setting_given(c, BEDROCK_URL) ?
	    BEDROCK_URL : SETS, SETS, BEDROCK_MODEL, S("bedrock")) != OK)
		return E_FAULT;
	if (bedrock_setup(&c->upstreams[at], &o, &r->f) != OK) {
		buf_put(r->out, fault_text(&r->f));
		return E_FAULT;
	}
	for (i = 0; i < COUNT(family) && c->chosen == at; i++)
		if (setting_given(c, family[i]))
			route_add(c, globs[i], at, setting_value(c, family[i]));
	return OK;
}

static int mentions(struct str map, struct str backend)
{
	size_t at;

	while ((at = str_find(map, backend)) < map.n) {
		map = str_from(map, at + backend.n);
		if (map.n && map.p[0] == ':')
			return 1;
	}
	return 0;
}

const char *config_aws_env(const struct config *c,
    const struct config_input *in, const char *name)
{
	const char *v = in->env(in->ctx, name);
	size_t i;

	for (i = 0; i < CONFIG_AWS && !(v && *v); i++)
		if (strcmp(name, aws_names[i]) == 0)
			v = c->aws_env[i];
	return v;
}

static const char *aws_env(void *ctx, const char *name)
{
	const struct reader *r = ctx;

	return config_aws_env(r->c, r->in, name);
}

/* Keys in .env, and what was said by flag or there. */
static int read_aws(struct reader *r)
{
	struct config *c = r->c;
	struct str v;
	char *p;
	size_t i;

	if (setting(c, AWS_PROFILE)->source != FROM_ENVIRONMENT)
		c->aws_profile = setting_value(c, AWS_PROFILE);
	if (setting(c, AWS_REGION)->source != FROM_ENVIRONMENT)
		c->aws_region = setting_value(c, AWS_REGION);
	if (c->aws_profile.n > CREDENTIALS_NAME_MAX)
		return setting_bad(r, AWS_PROFILE,
		    S("is longer than a profile's name "
		    "can be"));
	for (i = 0; i < CONFIG_AWS; i++) {
		if (!settings_dotenv(r->in->dotenv, aws_names[i], &v) ||
		    v.n == 0)
			continue;
		p = arena_bytes(r->a, v.n + 1);
		if (!p)
			continue;
		memcpy(p, v.p, v.n);
		p[v.n] = '\0';
		c->aws_env[i] = p;
		if (i != 0 && c->nsecrets < SECRETS_MAX)
			c->secrets[c->nsecrets++] = v;
	}
	return OK;
}

/* Whether there is somebody to sign in as. */
static int has_aws(struct reader *r)
{
	struct credentials_input in = { .env = aws_env, .ctx = r,
		.profile = r->c->aws_profile };

	return credentials_hint(&in, *r->a);
}

static struct str detect(struct reader *r)
{
	const struct config *c = r->c;

	if (setting_given(c, OPENAI_KEY) || setting_given(c, OPENAI_URL))
		return S("openai_compatible");
	return has_aws(r) ? S("bedrock") : S("demo");
}

/* Every backend that the choice or the map needs, once. */
static int set_up_all(struct reader *r)
{
	struct config *c = r->c;
	struct str name = setting_value(c, BACKEND);
	struct str map = setting_value(c, MODEL_MAP);
	const struct backend *b;
	size_t i;

	if (name.n == 0) {
		name = detect(r);
		c->demo_by_default = str_eq(name, S("demo")) &&
		    !setting_given(c, MODEL_MAP);
		setting(c, BACKEND)->value = name;
		setting(c, BACKEND)->source = FROM_DETECTION;
	}
	if (str_eq(name, S("openai")))
		name = S("openai_compatible");
	if (!backend_find(name))
		return setting_bad(r, BACKEND,
		    S("must be bedrock, openai_compatible, "
		    "anthropic or demo"));
	for (i = 0; (b = backend_at(i)) != NULL; i++) {
		if (!str_eq(str_of(b->name), name) &&
		    !mentions(map, str_of(b->name)))
			continue;
		if (str_eq(str_of(b->name), name))
			c->chosen = c->nupstreams;
		if (b == &backend_openai) {
			if (set_up(r, b, OPENAI_URL, OPENAI_KEY, OPENAI_MODEL,
			    S("openai")) != OK)
				return E_FAULT;
		} else if (b == &backend_anthropic) {
			if (set_up(r, b, ANTHROPIC_URL, ANTHROPIC_KEY,
			    ANTHROPIC_MODEL, S("anthropic")) != OK)
				return E_FAULT;
		} else if (b == &backend_bedrock) {
			if (set_up_bedrock(r) != OK)
				return E_FAULT;
		} else if (set_up(r, b, SETS, SETS, SETS,
		    str_of(b->name)) != OK) {
			return E_FAULT;
		}
	}
	if (route_read(c, map, r->a, &r->f) != OK)
		return setting_bad(r, MODEL_MAP, fault_text(&r->f));
	return OK;
}

/* ---- the whole -------------------------------------------------------- */

static int read_times(struct reader *r)
{
	struct config *c = r->c;

	return setting_ms(r, HEADER_T, &c->header_ms) == OK &&
	    setting_ms(r, BODY_T, &c->body_ms) == OK &&
	    setting_ms(r, KEEPALIVE_T, &c->keepalive_ms) == OK &&
	    setting_ms(r, WRITE_T, &c->write_ms) == OK &&
	    setting_ms(r, CONNECT_T, &c->connect_ms) == OK &&
	    setting_ms(r, FIRST_T, &c->first_byte_ms) == OK &&
	    setting_ms(r, IDLE_T, &c->idle_ms) == OK &&
	    setting_ms(r, DRAIN_T, &c->drain_ms) == OK ? OK : E_FAULT;
}

static int read_journal(struct reader *r)
{
	struct config *c = r->c;
	uint64_t keep, days;

	if (setting_megabytes(r, LOG_MB, &c->segment_max) != OK ||
	    setting_number(r, LOG_KEEP, 1, 1000, &keep) != OK ||
	    setting_number(r, LOG_DAYS, 1, 36500, &days) != OK ||
	    setting_number(r, SPEND_SESSION, 0, 1000000,
	    &c->spend_session) != OK ||
	    setting_number(r, SPEND_HOUR, 0, 1000000, &c->spend_hour) != OK ||
	    setting_number(r, SPEND_DAY, 0, 1000000, &c->spend_day) != OK)
		return E_FAULT;
	c->alert_cmd = setting_value(c, ALERT_CMD);
	if (c->alert_cmd.n >= ALARM_COMMAND)
		return setting_bad(r, ALERT_CMD, S("is longer than 4095 bytes"));
	c->spend_session *= 1000000000000u;
	c->spend_hour *= 1000000000000u;
	c->spend_day *= 1000000000000u;
	c->log_keep = (unsigned)keep;
	c->log_days = (unsigned)days;
	c->prices_file = setting_value(c, PRICES);
	c->log_max_bytes = c->segment_max * keep;
	if (!setting_given(c, LOG_MAX))
		return OK;
	if (setting_bytes(r, LOG_MAX, 65536, UINT64_MAX,
	    &c->log_max_bytes) != OK)
		return E_FAULT;
	/* Room for a few segments, so that the oldest can go. */
	if (c->segment_max > c->log_max_bytes / 4)
		c->segment_max = c->log_max_bytes / 4;
	return OK;
}

static int read_limits(struct reader *r)
{
	struct config *c = r->c;
	struct str bodies = setting_value(c, LOG_BODIES);
	uint64_t n = sizeof(void *) < 8 ? 24 : 450;
	uint64_t most = sizeof(void *) < 8 ? 8 << 20 : (uint64_t)1 << 30;
	int small = sizeof(void *) < 8 || (r->in->machine_memory &&
	    r->in->machine_memory < SMALL_MACHINE);

	/* 32-bit addresses hold fewer and smaller slots. */
	if (sizeof(void *) < 8 && !setting_given(c, MAX_BODY))
		setting(c, MAX_BODY)->value = S("4m");
	if (small && !setting_given(c, MONITOR_MEM))
		setting(c, MONITOR_MEM)->value = S("4m");
	if (small && !setting_given(c, RAW_MEM))
		setting(c, RAW_MEM)->value = S("2");
	if (setting_given(c, MAX_CONN) &&
	    setting_number(r, MAX_CONN, 2, n, &n) != OK)
		return E_FAULT;
	c->connections = (unsigned)n;
	n = (n * 3 + 3) / 4;
	if (setting_given(c, CLIENT_CONN) &&
	    setting_number(r, CLIENT_CONN, 1, c->connections, &n) != OK)
		return E_FAULT;
	c->per_client = (unsigned)n;
	if (setting_number(r, WORKERS, 1, WORKERS_MAX, &n) != OK)
		return E_FAULT;
	c->workers = (unsigned)n;
	c->max_memory = r->in->machine_memory / 2;
	if (c->max_memory == 0 || c->max_memory > 1 << 30)
		c->max_memory = 1 << 30;
	if (setting_given(c, MAX_MEMORY) &&
	    setting_bytes(r, MAX_MEMORY, 1 << 20,
	    UINT64_MAX, &c->max_memory) != OK)
		return E_FAULT;
	if (setting_bytes(r, MONITOR_MEM, 65536, most,
	    &c->monitor_memory) != OK ||
	    setting_number(r, RAW_MEM, 0, most >> 20, &c->raw_memory) != OK)
		return E_FAULT;
	c->raw_memory <<= 20;
	if (setting_bytes(r, MAX_BODY, 1024, most, &c->max_body) != OK ||
	    read_journal(r) != OK)
		return E_FAULT;
	if (str_eq(bodies, S("all")))
		c->log_bodies = LOG_BODIES_ALL;
	else if (str_eq(bodies, S("errors")))
		c->log_bodies = LOG_BODIES_ERRORS;
	else if (str_eq(bodies, S("none")))
		c->log_bodies = LOG_BODIES_NONE;
	else
		return setting_bad(r, LOG_BODIES,
		    S("must be all, errors or none"));
	if (setting_number(r, LOG_FULL, 0, 1, &n) != OK)
		return E_FAULT;
	c->log_full = (int)n;
	if (c->log_full && (c->log_dir.n == 0 || c->raw_memory == 0 ||
	    c->log_bodies == LOG_BODIES_NONE))
		warn(c, S("LOG_FULL_PAYLOADS writes nothing without LOG_DIR, "
		    "with RAW_MB=0 or with LOG_BODIES=none"));
	c->sandbox = str_eq(setting_value(c, SANDBOX), S("on"));
	if (!c->sandbox && !str_eq(setting_value(c, SANDBOX), S("off")))
		return setting_bad(r, SANDBOX, S("must be on or off"));
	return OK;
}

/* By a flag or the environment, not by a file of the current directory. */
static int set_by_owner(const struct config *c, enum set s)
{
	return setting_given(c, s) && setting(c, s)->source != FROM_DOTENV;
}

/* Alone it leaves no port open, whatever a .env says: who chose it wants the
 * machine's other users out. */
static int read_socket(struct reader *r)
{
	struct config *c = r->c;
	struct str path = setting_value(c, SOCKET);
	struct buf b = buf_open(r->a);
	size_t i;

	c->socket = path;
	c->tcp = path.n == 0 || set_by_owner(c, HOST) ||
	    set_by_owner(c, PORT_);
	if (!c->tcp) {
		setting(c, HOST)->value = S("");
		setting(c, PORT_)->value = S("");
	}
	if (path.n == 0)
		return OK;
	for (i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] < ' ' || path.p[i] == 127)
			return setting_bad(r, SOCKET,
			    S("must not hold control bytes"));
	if (path.p[0] != '/' || path.p[path.n - 1] == '/')
		return setting_bad(r, SOCKET,
		    S("must be the path of a file, from / on"));
	if (path.n <= SOCK_PATH_MAX)
		return OK;
	buf_put(&b, S("is longer than the "));
	buf_u64(&b, SOCK_PATH_MAX);
	buf_put(&b, S(" bytes a socket's path may have"));
	return setting_bad(r, SOCKET, buf_end(r->a, &b));
}

static int read_server(struct reader *r)
{
	struct config *c = r->c;
	struct str names = setting_value(c, NAMES), one;
	uint64_t n = 0;

	if (read_socket(r) != OK ||
	    (c->tcp && setting_number(r, PORT_, 0, 65535, &n) != OK))
		return E_FAULT;
	c->host = setting_value(c, HOST);
	c->port = (unsigned)n;
	while (str_cut(&names, ',', &one))
		if (str_trim(one).n && c->nnames < COUNT(c->names))
			c->names[c->nnames++] = str_trim(one);
	c->proxy_key = setting_value(c, PROXY_KEY);
	if (!http_value_ok(c->proxy_key))
		return setting_bad(r, PROXY_KEY, S("holds control bytes"));
	for (n = 0; n < c->host.n && !host_is_loopback(c->host); n++)
		if (!memchr("0123456789abcdefABCDEF.:", c->host.p[n], 24))
			return setting_bad(r, HOST,
			    S("must be an address in numbers, "
			    "0.0.0.0 for all of this machine's"));
	if (c->host.n && !host_is_loopback(c->host) && c->proxy_key.n == 0)
		return setting_bad(r, HOST,
		    S("set PROXY_API_KEY too, as whoever "
		    "reaches the port spends your money; without, it must be "
		    "127.0.0.1 or ::1"));
	return OK;
}

/* name=value,name=value with %XX, as field lines. */
static int read_otlp_headers(struct reader *r)
{
	struct str list = setting_value(r->c, OTLP_HEADERS), one, name;
	struct buf b = buf_open(r->a);

	while (str_cut(&list, ',', &one)) {
		if (str_trim(one).n == 0)
			continue;
		str_cut(&one, '=', &name);
		buf_put(&b, str_trim(name));
		buf_put(&b, S(": "));
		if (!http_value_ok(name) || str_trim(name).n == 0 ||
		    str_chr(name, ':') < name.n ||
		    http_decode(&b, str_trim(one)) != OK)
			return setting_bad(r, OTLP_HEADERS,
			    S("must be name=value,..."));
		buf_put(&b, S("\r\n"));
	}
	r->c->otlp.fields = buf_end(r->a, &b);
	return OK;
}

static int read_otlp(struct reader *r)
{
	struct config *c = r->c;
	enum set from = setting_value(c, OTLP_TRACES).n ?
	    OTLP_TRACES : OTLP_URL;
	struct str url = str_trim(setting_value(c, from));
	struct buf b = buf_open(r->a);
	struct upstream u = { 0 };

	if (url.n == 0)
		return OK;
	if (str_eq(setting_value(c, OTLP_PROTOCOL), S("grpc"))) {
		warn(c, S("OTEL_EXPORTER_OTLP_PROTOCOL is grpc: no spans are "
		    "pushed"));
		return OK;
	}
	if (read_url(r, from, &u) != OK)
		return E_FAULT;
	while (url.n && url.p[url.n - 1] == '/')
		url.n--;
	buf_put(&b, url);
	if (from == OTLP_URL)
		buf_put(&b, S("/v1/traces"));
	c->otlp.url = buf_end(r->a, &b);
	c->otlp.cert_file = c->cert_file;
	if (c->have_proxy && !config_no_proxy(c, u.host, u.port))
		c->otlp.proxy = setting_value(c, HTTPS_PROXY);
	return read_otlp_headers(r);
}

static int read_monitor(struct reader *r)
{
	struct config *c = r->c;
	uint64_t n;

	c->monitor_token = setting_value(c, MONITOR_TOKEN);
	if (!http_value_ok(c->monitor_token))
		return setting_bad(r, MONITOR_TOKEN, S("holds control bytes"));
	if (c->monitor_token.n && c->monitor_token.n < TOKEN_MIN)
		return setting_bad(r, MONITOR_TOKEN,
		    S("is too short: it must have 8 "
		    "characters at least"));
	if (setting_number(r, MONITOR_REPLAY, 0, 1, &n) != OK)
		return E_FAULT;
	c->monitor_replay = (int)n;
	c->monitor_on = c->host.n == 0 || host_is_loopback(c->host) ||
	    c->monitor_token.n > 0;
	return OK;
}

unsigned config_people(struct str passwd, uint64_t uid)
{
	enum { UID = 2, SHELL = 6, FIELDS };
	struct str line, field[FIELDS] = { { NULL, 0 } };
	unsigned people = 0;
	uint64_t n;
	size_t i;

	while (str_cut(&passwd, '\n', &line)) {
		for (i = 0; i < FIELDS && str_cut(&line, ':', &field[i]); i++)
			;
		if (i < FIELDS || str_u64(field[UID], &n) != OK || n == uid ||
		    n < PEOPLE_FROM || n > PEOPLE_TO)
			continue;
		people += field[SHELL].n > 0 &&
		    !str_ends(field[SHELL], S("/nologin")) &&
		    !str_ends(field[SHELL], S("/false"));
	}
	return people;
}

static void keep_secrets(struct config *c)
{
	size_t s;

	for (s = 0; s < SETS; s++)
		if (c->settings[s].secret && c->settings[s].value.n >= 8 &&
		    s != HTTPS_PROXY && c->nsecrets < SECRETS_MAX)
			c->secrets[c->nsecrets++] = c->settings[s].value;
	if (c->proxy_auth.n && c->nsecrets < SECRETS_MAX)
		c->secrets[c->nsecrets++] = c->proxy_auth;
}

int config_load(struct config *c, const struct config_input *in,
    struct arena *a, struct buf *out)
{
	struct reader r = { .c = c, .in = in, .a = a, .out = out };
	int i;

	memset(c, 0, sizeof *c);
	i = settings_read(&r);
	if (i != CONFIG_RUN)
		return i;
	if (in->dotenv_open)
		warn(c, S(".env can be read by other users; chmod 600 .env if "
		    "it holds keys"));
	c->log_dir = setting_value(c, LOG_DIR);
	c->cert_file = setting_value(c, CERT_FILE);
	c->no_proxy = setting_value(c, NO_PROXY);
	c->colour = setting_value(c, NO_COLOR).n ? 0 : -1;
	if (read_server(&r) != OK || read_times(&r) != OK ||
	    read_limits(&r) != OK || read_monitor(&r) != OK ||
	    read_aws(&r) != OK || read_proxy(&r) != OK ||
	    read_otlp(&r) != OK ||
	    set_up_all(&r) != OK)
		return E_FAULT;
	if (in->people && c->proxy_key.n == 0 && c->tcp)
		warn(c, S("this machine has other users, and whoever reaches "
		    "the port spends your money: set PROXY_API_KEY, or "
		    "SERVER_SOCKET instead of a port"));
	keep_secrets(c);
	return CONFIG_RUN;
}

static void print_missing(const struct config *c, struct buf *b)
{
	const struct upstream *u;
	size_t i;

	for (i = 0; i < c->nupstreams; i++) {
		u = &c->upstreams[i];
		if (u->backend == &backend_openai && u->model.n == 0)
			buf_put(b, S("missing: OPENAI_MODEL, the model for "
			    "names that MODEL_MAP doesn't cover\n"));
		if (u->backend == &backend_openai && u->key.n == 0 &&
		    !host_is_loopback(u->host))
			buf_put(b, S("missing: OPENAI_API_KEY, unless this "
			    "server takes requests without\n"));
		if (u->backend == &backend_anthropic && u->key.n == 0)
			buf_put(b, S("note: no ANTHROPIC_API_KEY, so each "
			    "client's own credential is forwarded\n"));
	}
	for (i = 0; i < c->nwarnings; i++) {
		buf_put(b, S("warning: "));
		buf_put(b, c->warnings[i]);
		buf_chr(b, '\n');
	}
}

void config_print(const struct config *c, struct buf *b)
{
	settings_print(c, b);
	print_missing(c, b);
}
