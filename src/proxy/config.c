/* config.c -- flags, environment, .env, defaults; --help and --check's table.
 *
 * One table names every setting, its older name, flag, default and meaning:
 * reading, --help and --check all walk it. Secrets have no flag, as arguments
 * show in the process list. A file of the current directory is trusted less
 * than the environment: it can't send a key of the environment elsewhere, nor
 * name the roots or the proxy through which it travels.
 *
 * SPDX-License-Identifier: MIT */
#include "config.h"
#include "../backend/bedrock.h"
#include "../net/credentials.h"

enum kind { TEXT, SECRET, PORT, MS, BYTES, NUMBER };
enum { SMALL_MACHINE = 512 << 20 };	/* bytes: the monitor then keeps less */
enum { NO_DOTENV = 1 };		/* not taken from .env */
enum { TOKEN_MIN = 8 };		/* shorter ones are guessed */

/* In the order and the groups in which --help lists them. */
enum set {
	BACKEND, MODEL_MAP,
	HOST, PORT_, NAMES, PROXY_KEY,
	OPENAI_KEY, OPENAI_URL, OPENAI_MODEL, OPENAI_PROFILE, OPENAI_FLAGS,
	ANTHROPIC_KEY, ANTHROPIC_URL, ANTHROPIC_MODEL,
	AWS_PROFILE, AWS_REGION, BEDROCK_MODEL, BEDROCK_OPUS, BEDROCK_SONNET,
	BEDROCK_HAIKU, BEDROCK_API, BEDROCK_URL, BEDROCK_PREFIX,
	BEDROCK_BETAS, BEDROCK_GUARD, BEDROCK_GUARD_VERSION,
	BEDROCK_GUARD_TRACE, BEDROCK_LATENCY, BEDROCK_TIER, BEDROCK_BILLING,
	CERT_FILE, HTTPS_PROXY, NO_PROXY,
	MONITOR_TOKEN, MONITOR_REPLAY, MONITOR_MEM, RAW_MEM, PRICES,
	SPEND_SESSION, SPEND_HOUR, NO_COLOR,
	LOG_DIR, LOG_BODIES, LOG_MB, LOG_KEEP, LOG_DAYS, LOG_MAX,
	OTLP_URL, OTLP_TRACES, OTLP_HEADERS, OTLP_PROTOCOL,
	MAX_BODY, MAX_MEMORY, MAX_CONN, SANDBOX,
	HEADER_T, BODY_T, KEEPALIVE_T, WRITE_T, CONNECT_T, FIRST_T, IDLE_T,
	DRAIN_T, SETS
};

static const struct {
	enum set first;
	const char *title;
} groups[] = {
	{ BACKEND, "Who answers" },
	{ HOST, "Where it listens, and to whom" },
	{ OPENAI_KEY, "OpenAI-compatible servers" },
	{ ANTHROPIC_KEY, "Anthropic" },
	{ AWS_PROFILE, "Amazon Bedrock; beside these, all that signs in the "
	    "AWS command line" },
	{ CERT_FILE, "The way to an upstream" },
	{ MONITOR_TOKEN, "The monitor" },
	{ LOG_DIR, "The journal on disk" },
	{ OTLP_URL, "OpenTelemetry" },
	{ MAX_BODY, "Limits; sizes in bytes, or with k, m or g" },
	{ HEADER_T, "Timeouts, in seconds" }
};

static const struct option {
	const char *name, *alias, *flag;
	enum kind kind;
	int how;
	const char *fallback;
	const char *help;
} options[SETS] = {
	[BACKEND] = { "LLM_BACKEND", "LLM_PROVIDER", "--backend", TEXT, 0, "",
	    "bedrock, openai_compatible, anthropic or demo; else by the keys "
	    "that can be found" },
	[HOST] = { "SERVER_HOST", NULL, "--host", TEXT, 0, "",
	    "numeric address to listen on; default: 127.0.0.1 and ::1. Any "
	    "other demands PROXY_API_KEY" },
	[PORT_] = { "SERVER_PORT", NULL, "--port", PORT, 0, "8082",
	    "port; 0 takes a free one" },
	[NAMES] = { "SERVER_NAMES", NULL, "--names", TEXT, 0, "",
	    "further host names clients may use for us, comma separated" },
	[PROXY_KEY] = { "PROXY_API_KEY", NULL, NULL, SECRET, 0, "",
	    "key that clients must send (x-api-key or Bearer)" },
	[OPENAI_KEY] = { "OPENAI_API_KEY", "OPENAICOMPATIBLE_API_KEY", NULL,
	    SECRET, 0, "", "key of the OpenAI-compatible server; a local one "
	    "needs none" },
	[OPENAI_URL] = { "OPENAI_BASE_URL", "OPENAICOMPATIBLE_BASE_URL",
	    "--openai-base-url", TEXT, 0, "https://api.openai.com/v1",
	    "its base URL, up to but without /chat/completions" },
	[OPENAI_MODEL] = { "OPENAI_MODEL", "OPENAICOMPATIBLE_MODEL",
	    "--openai-model", TEXT, 0, "",
	    "its model for every name that MODEL_MAP doesn't cover" },
	[OPENAI_PROFILE] = { "OPENAI_PROFILE", NULL, "--openai-profile", TEXT,
	    0, "auto", "openai gemini openrouter deepseek vllm llamacpp ollama "
	    "lmstudio generic; auto goes by the URL" },
	[OPENAI_FLAGS] = { "OPENAI_FLAGS", NULL, "--openai-flags", TEXT, 0, "",
	    "single flags over the profile: max_field=max_tokens,"
	    "always_stream=1" },
	[ANTHROPIC_KEY] = { "ANTHROPIC_API_KEY", NULL, NULL, SECRET, 0, "",
	    "key for Anthropic; without it the client's own credential is "
	    "forwarded" },
	[ANTHROPIC_URL] = { "ANTHROPIC_UPSTREAM_URL", NULL,
	    "--anthropic-url", TEXT, 0, "https://api.anthropic.com",
	    "where the anthropic backend goes" },
	[ANTHROPIC_MODEL] = { "ANTHROPIC_UPSTREAM_MODEL", NULL,
	    "--anthropic-model", TEXT, 0, "",
	    "model to ask of Anthropic instead of the client's" },
	[AWS_PROFILE] = { "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
	    "--aws-profile", TEXT, 0, "", "profile of the AWS files; else "
	    "saml if there is one, else default" },
	[AWS_REGION] = { "AWS_REGION", "AWS_DEFAULT_REGION", "--aws-region",
	    TEXT, 0, "", "region of Bedrock; else the profile's, else "
	    "us-east-1" },
	[BEDROCK_MODEL] = { "BEDROCK_MODEL_ID", NULL, "--bedrock-model", TEXT,
	    0, "", "Bedrock model, inference profile or ARN for every name "
	    "that MODEL_MAP doesn't cover; else Claude under the client's own "
	    "name" },
	[BEDROCK_OPUS] = { "BEDROCK_MODEL_ID_OPUS", NULL, NULL, TEXT, 0, "",
	    "the same for names with opus in them" },
	[BEDROCK_SONNET] = { "BEDROCK_MODEL_ID_SONNET", NULL, NULL, TEXT, 0,
	    "", "for names with sonnet" },
	[BEDROCK_HAIKU] = { "BEDROCK_MODEL_ID_HAIKU", NULL, NULL, TEXT, 0, "",
	    "for names with haiku" },
	[BEDROCK_API] = { "BEDROCK_API", NULL, "--bedrock-api", TEXT, 0,
	    "auto", "auto (invoke for Claude, converse for the rest), converse "
	    "or invoke" },
	[BEDROCK_URL] = { "BEDROCK_BASE_URL", "ANTHROPIC_BEDROCK_BASE_URL",
	    "--bedrock-url", TEXT, NO_DOTENV, "", "endpoint instead of the "
	    "region's own: a VPC endpoint, a gateway" },
	[BEDROCK_PREFIX] = { "BEDROCK_PROFILE_PREFIX", NULL,
	    "--bedrock-prefix", TEXT, 0, "auto", "geography of inference "
	    "profiles: auto (by the region), global, us, eu, apac, jp, au, ca, "
	    "us-gov or none" },
	[BEDROCK_BETAS] = { "BEDROCK_BETAS", NULL, NULL, TEXT, 0, "",
	    "changes to the list of betas that are passed on: +flag,-flag" },
	[BEDROCK_GUARD] = { "BEDROCK_GUARDRAIL_ID", NULL, NULL, TEXT, 0, "",
	    "guardrail to apply" },
	[BEDROCK_GUARD_VERSION] = { "BEDROCK_GUARDRAIL_VERSION", NULL, NULL,
	    TEXT, 0, "", "its version; DRAFT or a number" },
	[BEDROCK_GUARD_TRACE] = { "BEDROCK_GUARDRAIL_TRACE", NULL, NULL, TEXT,
	    0, "", "ENABLED, DISABLED or ENABLED_FULL" },
	[BEDROCK_LATENCY] = { "BEDROCK_LATENCY", NULL, NULL, TEXT, 0, "",
	    "standard or optimized" },
	[BEDROCK_TIER] = { "BEDROCK_SERVICE_TIER", NULL, NULL, TEXT, 0, "",
	    "default, flex, priority or reserved" },
	[BEDROCK_BILLING] = { "BEDROCK_KEEP_ATTRIBUTION", NULL, NULL, TEXT, 0,
	    "", "1: Claude Code's attribution block is sent on; it spoils "
	    "prompt caching" },
	[MODEL_MAP] = { "MODEL_MAP", NULL, "--model-map", TEXT, 0, "",
	    "claude-opus-*=gpt-5,claude-haiku-*=openai_compatible:gpt-5-mini" },
	[CERT_FILE] = { "SSL_CERT_FILE", NULL, "--cert-file", TEXT, NO_DOTENV,
	    "", "PEM bundle of trusted roots; default: the system's" },
	[HTTPS_PROXY] = { "HTTPS_PROXY", "https_proxy", NULL, SECRET,
	    NO_DOTENV, "", "http://[user:password@]host:port for TLS "
	    "upstreams" },
	[NO_PROXY] = { "NO_PROXY", "no_proxy", NULL, TEXT, 0, "",
	    "hosts reached without it: names, .suffixes, *" },
	[HEADER_T] = { "HEADER_TIMEOUT", NULL, "--header-timeout", MS, 0, "20",
	    "for a request's head, as a whole" },
	[BODY_T] = { "BODY_TIMEOUT", NULL, "--body-timeout", MS, 0, "120",
	    "for a request's body, as a whole" },
	[KEEPALIVE_T] = { "KEEPALIVE_TIMEOUT", NULL, "--keepalive-timeout", MS,
	    0, "60", "that a client's connection may rest" },
	[WRITE_T] = { "WRITE_TIMEOUT", NULL, "--write-timeout", MS, 0, "60",
	    "that a client may take nothing of its answer" },
	[CONNECT_T] = { "CONNECT_TIMEOUT", NULL, "--connect-timeout", MS, 0,
	    "10", "to reach an upstream: name, TCP, proxy, TLS" },
	[FIRST_T] = { "FIRST_BYTE_TIMEOUT", NULL, "--first-byte-timeout", MS,
	    0, "600", "until an upstream begins to answer" },
	[IDLE_T] = { "IDLE_TIMEOUT", NULL, "--idle-timeout", MS, 0, "300",
	    "of silence inside an answer" },
	[DRAIN_T] = { "DRAIN_TIMEOUT", NULL, "--drain-timeout", MS, 0, "30",
	    "for requests in flight after SIGTERM" },
	[LOG_DIR] = { "LOG_DIR", NULL, "--log-dir", TEXT, 0, "",
	    "directory for the journal (structured.jsonl) and requests.log; "
	    "empty: none" },
	[LOG_MAX] = { "LOG_MAX_BYTES", NULL, "--log-max-bytes", BYTES, 0,
	    "", "size of the journal's files together; default: LOG_MAX_MB "
	    "times LOG_KEEP" },
	[LOG_MB] = { "LOG_MAX_MB", NULL, "--log-max-mb", BYTES, 0, "64",
	    "MiB of one file of the journal (or bytes, with k or m)" },
	[LOG_KEEP] = { "LOG_KEEP", NULL, "--log-keep", NUMBER, 0, "8",
	    "files of the journal that are kept" },
	[LOG_DAYS] = { "LOG_DAYS", NULL, "--log-days", NUMBER, 0, "14",
	    "days that they are kept" },
	[LOG_BODIES] = { "LOG_BODIES", NULL, "--log-bodies", TEXT, 0, "all",
	    "contents of messages in LOG_DIR: all, errors or none" },
	[MONITOR_MEM] = { "MONITOR_MEMORY", NULL, "--monitor-memory", BYTES, 0,
	    "16m", "memory for what the page shows: the newest records" },
	[RAW_MEM] = { "RAW_MB", NULL, "--raw-mb", NUMBER, 0, "8",
	    "MiB for the exact bytes of requests and answers; 0: none" },
	[OTLP_URL] = { "OTEL_EXPORTER_OTLP_ENDPOINT", NULL, "--otlp", TEXT,
	    NO_DOTENV, "", "OpenTelemetry collector that spans are pushed to, "
	    "as JSON over HTTP: http://localhost:4318" },
	[OTLP_TRACES] = { "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", NULL, NULL,
	    TEXT, NO_DOTENV, "", "the whole URL, where it isn't that and "
	    "/v1/traces" },
	[OTLP_HEADERS] = { "OTEL_EXPORTER_OTLP_HEADERS", NULL, NULL, SECRET,
	    NO_DOTENV, "", "name=value,... sent along" },
	[OTLP_PROTOCOL] = { "OTEL_EXPORTER_OTLP_PROTOCOL", NULL, NULL, TEXT,
	    NO_DOTENV, "", "with grpc nothing is pushed: that isn't spoken "
	    "here" },
	[PRICES] = { "PRICES_FILE", NULL, "--prices-file", TEXT, NO_DOTENV, "",
	    "JSON of prices, over the built-in list: {\"model\":{\"input\":"
	    "1,\"output\":5}}, USD a million tokens" },
	[SPEND_SESSION] = { "ALERT_SESSION_USD", NULL, "--alert-session-usd",
	    NUMBER, 0, "0", "an alert when a session has cost so much; 0: "
	    "none" },
	[SPEND_HOUR] = { "ALERT_HOUR_USD", NULL, "--alert-hour-usd", NUMBER, 0,
	    "0", "the same for an hour" },
	[MAX_BODY] = { "MAX_BODY", NULL, "--max-body", BYTES, 0, "32m",
	    "largest request" },
	[MAX_MEMORY] = { "MAX_MEMORY", NULL, "--max-memory", BYTES, 0, "",
	    "ceiling for requests in flight; default: half the machine's "
	    "memory, at most 1g" },
	[MAX_CONN] = { "MAX_CONNECTIONS", NULL, "--max-connections", NUMBER, 0,
	    "", "clients served at once, more wait; default, and most: 450, or "
	    "24 with 32-bit addresses" },
	[MONITOR_TOKEN] = { "MONITOR_TOKEN", NULL, NULL, SECRET, 0, "",
	    "opens the monitor: /dashboard?token=...; beyond this machine "
	    "there is no monitor without" },
	[MONITOR_REPLAY] = { "MONITOR_REPLAY", NULL, "--monitor-replay", NUMBER,
	    0, "0", "1: the monitor may send a recorded request to another "
	    "model" },
	[SANDBOX] = { "SANDBOX", NULL, "--sandbox", TEXT, NO_DOTENV, "on",
	    "on: rights are given up after start (seccomp, Landlock), where "
	    "the system has that; off" },
	[NO_COLOR] = { "NO_COLOR", NULL, "--no-color", TEXT, 0, "",
	    "any value: no colours on the console" }
};

/* What .env may say to the look-up of credentials: whose keys, but neither
 * where they go nor what is run. */
static const char *const aws_names[CONFIG_AWS] = { "AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	"AWS_BEARER_TOKEN_BEDROCK" };

struct reader {
	struct config *c;
	const struct config_input *in;
	struct arena *a;
	struct buf *out;
	struct fault f;
};

static struct setting *setting(const struct config *c, enum set s)
{
	/* The array is filled in the order of the table. */
	return (struct setting *)(uintptr_t)&c->settings[s];
}

static struct str value(const struct config *c, enum set s)
{
	return c->settings[s].value;
}

static const char *source_name(enum source s)
{
	switch (s) {
	case FROM_DEFAULT:
		return "default";
	case FROM_DOTENV:
		return ".env";
	case FROM_ENVIRONMENT:
		return "environment";
	case FROM_FLAG:
		return "flag";
	case FROM_DETECTION:
		return "detected";
	}
	return "";
}

/* One line that names the variable and where its value came from. */
static int bad(struct reader *r, enum set s, struct str why)
{
	const struct setting *v = setting(r->c, s);

	buf_put(r->out, str_of(v->alias ? v->alias : options[s].name));
	if (v->source == FROM_DOTENV) {
		buf_put(r->out, S(" (line "));
		buf_int(r->out, v->line);
		buf_put(r->out, S(" of .env)"));
	} else if (v->source == FROM_FLAG) {
		buf_put(r->out, S(" ("));
		buf_put(r->out, str_of(options[s].flag));
		buf_chr(r->out, ')');
	}
	buf_put(r->out, S(": "));
	buf_put(r->out, why);
	if (options[s].kind != SECRET && v->value.n) {
		buf_put(r->out, S(", not \""));
		buf_printable(r->out, str_head(v->value, 200));
		buf_chr(r->out, '"');
	}
	return E_FAULT;
}

/* ---- sources ---------------------------------------------------------- */

/* Finds NAME=value in .env text: comments, blanks, `export `, quotes. The
 * last one wins. */
static int dotenv_get(struct str text, const char *name, struct str *out)
{
	struct str line, key;
	int n = 0, found = 0;

	while (str_cut(&text, '\n', &line)) {
		n++;
		line = str_trim(line);
		if (str_starts(line, S("export ")))
			line = str_trim(str_from(line, 7));
		if (line.n == 0 || line.p[0] == '#' ||
		    str_chr(line, '=') == line.n)
			continue;
		str_cut(&line, '=', &key);
		if (!str_eq(str_trim(key), str_of(name)))
			continue;
		line = str_trim(line);
		if (line.n >= 2 && (line.p[0] == '"' || line.p[0] == '\'') &&
		    line.p[line.n - 1] == line.p[0])
			line = str_head(str_from(line, 1), line.n - 2);
		else if (str_find(line, S(" #")) < line.n)
			line = str_trim(str_head(line,
			    str_find(line, S(" #"))));
		*out = line;
		found = n;
	}
	return found;
}

static int from_flags(struct reader *r)
{
	const struct config_input *in = r->in;
	struct str arg, name;
	size_t s;
	int i;

	for (i = 1; i < in->argc; i++) {
		arg = str_of(in->argv[i]);
		if (str_eq(arg, S("--check"))) {
			r->c->check = 1;
			continue;
		}
		if (str_eq(arg, S("--health"))) {
			r->c->health = 1;
			continue;
		}
		name = str_head(arg, str_chr(arg, '='));
		for (s = 0; s < SETS; s++)
			if (options[s].flag &&
			    str_eq(name, str_of(options[s].flag)))
				break;
		if (s == SETS) {
			buf_put(r->out, S("unknown argument \""));
			buf_printable(r->out, str_head(arg, 100));
			buf_put(r->out, S("\"; --help lists all"));
			return E_FAULT;
		}
		if (name.n < arg.n)
			arg = str_from(arg, name.n + 1);
		else if (s == NO_COLOR)
			arg = S("1");
		else if (i + 1 < in->argc)
			arg = str_of(in->argv[++i]);
		else {
			buf_put(r->out, name);
			buf_put(r->out, S(" needs a value"));
			return E_FAULT;
		}
		r->c->settings[s].value = arg;
		r->c->settings[s].source = FROM_FLAG;
	}
	return OK;
}

static void read_one(struct reader *r, enum set s)
{
	struct setting *v = setting(r->c, s);
	const char *names[2] = { options[s].name, options[s].alias };
	const char *env;
	int i;

	v->name = names[0];
	v->secret = options[s].kind == SECRET;
	for (i = 0; i < 2 && v->source == FROM_DEFAULT && names[i]; i++) {
		env = r->in->env(r->in->ctx, names[i]);
		if (!env || !*env)
			continue;
		v->value = str_of(env);
		v->source = FROM_ENVIRONMENT;
		v->alias = i ? names[i] : NULL;
	}
	for (i = 0; i < 2 && v->source == FROM_DEFAULT && names[i]; i++) {
		if (options[s].how & NO_DOTENV)
			break;
		v->line = dotenv_get(r->in->dotenv, names[i], &v->value);
		if (!v->line || v->value.n == 0)
			continue;
		v->source = FROM_DOTENV;
		v->alias = i ? names[i] : NULL;
	}
	if (v->source == FROM_DEFAULT)
		v->value = str_of(options[s].fallback);
}

/* ---- values ----------------------------------------------------------- */

static int read_ms(struct reader *r, enum set s, int64_t *out)
{
	struct str v = value(r->c, s), whole = str_head(v, str_chr(v, '.'));
	struct str part = str_from(v, whole.n + 1);
	uint64_t ms = 0, sec = 0;
	size_t i;

	for (i = 0; i < 3; i++)
		ms = ms * 10 + (i < part.n && part.p[i] >= '0' &&
		    part.p[i] <= '9' ? (uint64_t)(part.p[i] - '0') : 0);
	for (i = 0; i < part.n; i++)
		if (part.p[i] < '0' || part.p[i] > '9')
			return bad(r, s, S("must be a number of seconds"));
	if ((whole.n || part.n == 0) && str_u64(whole, &sec) != OK)
		return bad(r, s, S("must be a number of seconds"));
	if (sec > 86400 || sec * 1000 + ms == 0)
		return bad(r, s, S("must be more than 0 and at most 86400 "
		    "seconds"));
	*out = (int64_t)(sec * 1000 + ms);
	return OK;
}

static int read_bytes(struct reader *r, enum set s, uint64_t min,
    uint64_t max, uint64_t *out)
{
	struct str v = value(r->c, s);
	uint64_t unit = 1, n;
	char last = v.n ? v.p[v.n - 1] : '0';

	if (last == 'k' || last == 'K')
		unit = 1024;
	else if (last == 'm' || last == 'M')
		unit = 1 << 20;
	else if (last == 'g' || last == 'G')
		unit = 1 << 30;
	if (unit > 1)
		v.n--;
	if (str_u64(v, &n) != OK || n > UINT64_MAX / unit)
		return bad(r, s, S("must be a number of bytes, k, m or g "
		    "allowed"));
	n *= unit;
	if (n < min || n > max)
		return bad(r, s, n < min ? S("must be larger") :
		    S("must be smaller"));
	*out = n;
	return OK;
}

static int read_number(struct reader *r, enum set s, uint64_t min,
    uint64_t max, uint64_t *out)
{
	if (str_u64(value(r->c, s), out) != OK || *out < min || *out > max) {
		struct buf b = buf_open(r->a);
		struct str text;

		buf_put(&b, S("must be a number from "));
		buf_u64(&b, min);
		buf_put(&b, S(" to "));
		buf_u64(&b, max);
		text = buf_end(r->a, &b);
		return bad(r, s, text);
	}
	return OK;
}

static int is_loopback(struct str host)
{
	return str_ieq(host, S("localhost")) || str_eq(host, S("::1")) ||
	    str_starts(host, S("127."));
}

/* scheme://host[:port][/path], nothing more. */
static int read_url(struct reader *r, enum set s, struct upstream *u)
{
	struct str v = str_trim(value(r->c, s)), port = { NULL, 0 };
	uint64_t n;
	size_t i;

	if (!http_value_ok(v) || str_chr(v, ' ') < v.n)
		return bad(r, s, S("must not hold blanks or control bytes"));
	if (str_istarts(v, S("https://"))) {
		u->tls = 1;
		v = str_from(v, 8);
	} else if (str_istarts(v, S("http://"))) {
		v = str_from(v, 7);
	} else {
		return bad(r, s, S("must begin with http:// or https://"));
	}
	u->authority = str_head(v, str_chr(v, '/'));
	u->base = str_from(v, u->authority.n);
	while (u->base.n && u->base.p[u->base.n - 1] == '/')
		u->base.n--;
	if (str_chr(u->authority, '@') < u->authority.n)
		return bad(r, s, S("must not hold a user or password"));
	if (str_chr(u->base, '?') < u->base.n ||
	    str_chr(u->base, '#') < u->base.n)
		return bad(r, s, S("must not hold a query or fragment"));
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
			return bad(r, s, S("has a bad port"));
		u->port = (unsigned)n;
	}
	if (u->host.n == 0 || u->host.n > 253)
		return bad(r, s, S("must name a host"));
	return OK;
}

/* http://[user:password@]host:port */
static int read_proxy(struct reader *r)
{
	struct str v = str_trim(value(r->c, HTTPS_PROXY));
	struct upstream u = { 0 };
	struct setting saved = *setting(r->c, HTTPS_PROXY);
	size_t at;

	if (v.n == 0)
		return OK;
	if (!str_istarts(v, S("http://")))
		return bad(r, HTTPS_PROXY, S("must be http://host:port (a "
		    "proxy spoken to in TLS is not supported)"));
	v = str_from(v, 7);
	at = str_chr(v, '@');
	if (at < v.n) {
		struct buf b = buf_open(r->a);

		if (http_decode(&b, str_head(v, at)) != OK)
			return bad(r, HTTPS_PROXY, S("has a bad % escape"));
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

	if (is_loopback(host))
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

	if (u->source != FROM_DOTENV || is_loopback(host))
		return OK;
	if (key == ANTHROPIC_KEY && str_ieq(host, S("api.anthropic.com")))
		return OK;
	if (k->value.n && k->source == FROM_DOTENV)
		return OK;
	if (k->value.n == 0 && key != ANTHROPIC_KEY)
		return OK;
	return bad(r, url, S("a .env file may not send a credential that is "
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
		u->key = value(r->c, key);
	if (!http_value_ok(u->key))
		return bad(r, key, S("holds control bytes"));
	if (model != SETS)
		u->model = value(r->c, model);
	u->facts = arena_get(r->a, b->facts_size);
	if (!u->facts) {
		buf_put(r->out, S("no memory for the configuration"));
		return E_FAULT;
	}
	if (b->configure && b->configure(u, value(r->c, OPENAI_PROFILE),
	    value(r->c, OPENAI_FLAGS), &r->f) != OK) {
		buf_put(r->out, fault_text(&r->f));
		return E_FAULT;
	}
	if (u->warning.n)
		warn(r->c, u->warning);
	if (u->key.n && !u->tls && u->host.n && !is_loopback(u->host)) {
		w = buf_open(r->a);
		buf_put(&w, str_of(options[url].name));
		buf_put(&w, S(" is http://: the key and all you send can be "
		    "read on the way to "));
		buf_put(&w, u->authority);
		warn(r->c, buf_end(r->a, &w));
	}
	r->c->nupstreams++;
	return OK;
}

static int set(const struct config *c, enum set s)
{
	return c->settings[s].source != FROM_DEFAULT &&
	    c->settings[s].value.n > 0;
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
	struct str api = value(c, BEDROCK_API);
	struct bedrock_options o = {
		.prefix = value(c, BEDROCK_PREFIX),
		.betas = value(c, BEDROCK_BETAS),
		.guardrail = value(c, BEDROCK_GUARD),
		.guardrail_version = value(c, BEDROCK_GUARD_VERSION),
		.guardrail_trace = value(c, BEDROCK_GUARD_TRACE),
		.latency = value(c, BEDROCK_LATENCY),
		.tier = value(c, BEDROCK_TIER),
		.keep_billing = str_eq(value(c, BEDROCK_BILLING), S("1"))
	};

	if (str_eq(api, S("converse")))
		o.api = BEDROCK_CONVERSE;
	else if (str_eq(api, S("invoke")))
		o.api = BEDROCK_INVOKE;
	else if (!str_eq(api, S("auto")))
		return bad(r, BEDROCK_API, S("must be auto, converse or "
		    "invoke"));
	if (set_up(r, &backend_bedrock, set(c, BEDROCK_URL) ? BEDROCK_URL :
	    SETS, SETS, BEDROCK_MODEL, S("bedrock")) != OK)
		return E_FAULT;
	if (bedrock_setup(&c->upstreams[at], &o, &r->f) != OK) {
		buf_put(r->out, fault_text(&r->f));
		return E_FAULT;
	}
	for (i = 0; i < COUNT(family) && c->chosen == at; i++)
		if (set(c, family[i]))
			route_add(c, globs[i], at, value(c, family[i]));
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
		c->aws_profile = value(c, AWS_PROFILE);
	if (setting(c, AWS_REGION)->source != FROM_ENVIRONMENT)
		c->aws_region = value(c, AWS_REGION);
	if (c->aws_profile.n > CREDENTIALS_NAME_MAX)
		return bad(r, AWS_PROFILE, S("is longer than a profile's name "
		    "can be"));
	for (i = 0; i < CONFIG_AWS; i++) {
		if (!dotenv_get(r->in->dotenv, aws_names[i], &v) || v.n == 0)
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

	if (set(c, OPENAI_KEY) || set(c, OPENAI_URL))
		return S("openai_compatible");
	return has_aws(r) ? S("bedrock") : S("demo");
}

/* Every backend that the choice or the map needs, once. */
static int set_up_all(struct reader *r)
{
	struct config *c = r->c;
	struct str name = value(c, BACKEND), map = value(c, MODEL_MAP);
	const struct backend *b;
	size_t i;

	if (name.n == 0) {
		name = detect(r);
		c->demo_by_default = str_eq(name, S("demo")) &&
		    !set(c, MODEL_MAP);
		setting(c, BACKEND)->value = name;
		setting(c, BACKEND)->source = FROM_DETECTION;
	}
	if (str_eq(name, S("openai")))
		name = S("openai_compatible");
	if (!backend_find(name))
		return bad(r, BACKEND, S("must be bedrock, openai_compatible, "
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
		return bad(r, MODEL_MAP, fault_text(&r->f));
	return OK;
}

/* ---- the whole -------------------------------------------------------- */

static int read_times(struct reader *r)
{
	struct config *c = r->c;

	return read_ms(r, HEADER_T, &c->header_ms) == OK &&
	    read_ms(r, BODY_T, &c->body_ms) == OK &&
	    read_ms(r, KEEPALIVE_T, &c->keepalive_ms) == OK &&
	    read_ms(r, WRITE_T, &c->write_ms) == OK &&
	    read_ms(r, CONNECT_T, &c->connect_ms) == OK &&
	    read_ms(r, FIRST_T, &c->first_byte_ms) == OK &&
	    read_ms(r, IDLE_T, &c->idle_ms) == OK &&
	    read_ms(r, DRAIN_T, &c->drain_ms) == OK ? OK : E_FAULT;
}

/* A plain number is MiB: LOG_MAX_MB=64. */
static int read_megabytes(struct reader *r, enum set s, uint64_t *out)
{
	struct str v = value(r->c, s);
	uint64_t n;

	if (str_u64(v, &n) != OK)
		return read_bytes(r, s, 65536, UINT64_MAX / 64, out);
	if (n < 1 || n > 1 << 20)
		return bad(r, s, S("must be 1 to 1048576 MiB"));
	*out = n << 20;
	return OK;
}

static int read_journal(struct reader *r)
{
	struct config *c = r->c;
	uint64_t keep, days;

	if (read_megabytes(r, LOG_MB, &c->segment_max) != OK ||
	    read_number(r, LOG_KEEP, 1, 1000, &keep) != OK ||
	    read_number(r, LOG_DAYS, 1, 36500, &days) != OK ||
	    read_number(r, SPEND_SESSION, 0, 1000000,
	    &c->spend_session) != OK ||
	    read_number(r, SPEND_HOUR, 0, 1000000, &c->spend_hour) != OK)
		return E_FAULT;
	c->spend_session *= 1000000000000u;
	c->spend_hour *= 1000000000000u;
	c->log_keep = (unsigned)keep;
	c->log_days = (unsigned)days;
	c->prices_file = value(c, PRICES);
	c->log_max_bytes = c->segment_max * keep;
	if (!set(c, LOG_MAX))
		return OK;
	if (read_bytes(r, LOG_MAX, 65536, UINT64_MAX, &c->log_max_bytes) != OK)
		return E_FAULT;
	/* Room for a few segments, so that the oldest can go. */
	if (c->segment_max > c->log_max_bytes / 4)
		c->segment_max = c->log_max_bytes / 4;
	return OK;
}

static int read_limits(struct reader *r)
{
	struct config *c = r->c;
	struct str bodies = value(c, LOG_BODIES);
	uint64_t n = sizeof(void *) < 8 ? 24 : 450;
	uint64_t most = sizeof(void *) < 8 ? 8 << 20 : (uint64_t)1 << 30;
	int small = sizeof(void *) < 8 || (r->in->machine_memory &&
	    r->in->machine_memory < SMALL_MACHINE);

	/* 32-bit addresses hold fewer and smaller slots. */
	if (sizeof(void *) < 8 && !set(c, MAX_BODY))
		setting(c, MAX_BODY)->value = S("4m");
	if (small && !set(c, MONITOR_MEM))
		setting(c, MONITOR_MEM)->value = S("4m");
	if (small && !set(c, RAW_MEM))
		setting(c, RAW_MEM)->value = S("2");
	if (set(c, MAX_CONN) && read_number(r, MAX_CONN, 2, n, &n) != OK)
		return E_FAULT;
	c->connections = (unsigned)n;
	c->max_memory = r->in->machine_memory / 2;
	if (c->max_memory == 0 || c->max_memory > 1 << 30)
		c->max_memory = 1 << 30;
	if (set(c, MAX_MEMORY) && read_bytes(r, MAX_MEMORY, 1 << 20,
	    UINT64_MAX, &c->max_memory) != OK)
		return E_FAULT;
	if (read_bytes(r, MONITOR_MEM, 65536, most, &c->monitor_memory) != OK ||
	    read_number(r, RAW_MEM, 0, most >> 20, &c->raw_memory) != OK)
		return E_FAULT;
	c->raw_memory <<= 20;
	if (read_bytes(r, MAX_BODY, 1024, most, &c->max_body) != OK ||
	    read_journal(r) != OK)
		return E_FAULT;
	if (str_eq(bodies, S("all")))
		c->log_bodies = LOG_BODIES_ALL;
	else if (str_eq(bodies, S("errors")))
		c->log_bodies = LOG_BODIES_ERRORS;
	else if (str_eq(bodies, S("none")))
		c->log_bodies = LOG_BODIES_NONE;
	else
		return bad(r, LOG_BODIES, S("must be all, errors or none"));
	c->sandbox = str_eq(value(c, SANDBOX), S("on"));
	if (!c->sandbox && !str_eq(value(c, SANDBOX), S("off")))
		return bad(r, SANDBOX, S("must be on or off"));
	return OK;
}

static int read_server(struct reader *r)
{
	struct config *c = r->c;
	struct str names = value(c, NAMES), one;
	uint64_t n;

	c->host = value(c, HOST);
	if (read_number(r, PORT_, 0, 65535, &n) != OK)
		return E_FAULT;
	c->port = (unsigned)n;
	while (str_cut(&names, ',', &one))
		if (str_trim(one).n && c->nnames < COUNT(c->names))
			c->names[c->nnames++] = str_trim(one);
	c->proxy_key = value(c, PROXY_KEY);
	if (!http_value_ok(c->proxy_key))
		return bad(r, PROXY_KEY, S("holds control bytes"));
	for (n = 0; n < c->host.n && !is_loopback(c->host); n++)
		if (!memchr("0123456789abcdefABCDEF.:", c->host.p[n], 24))
			return bad(r, HOST, S("must be an address in numbers, "
			    "0.0.0.0 for all of this machine's"));
	if (c->host.n && !is_loopback(c->host) && c->proxy_key.n == 0)
		return bad(r, HOST, S("set PROXY_API_KEY too, as whoever "
		    "reaches the port spends your money; without, it must be "
		    "127.0.0.1 or ::1"));
	return OK;
}

/* name=value,name=value with %XX, as field lines. */
static int read_otlp_headers(struct reader *r)
{
	struct str list = value(r->c, OTLP_HEADERS), one, name;
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
			return bad(r, OTLP_HEADERS, S("must be name=value,..."));
		buf_put(&b, S("\r\n"));
	}
	r->c->otlp.fields = buf_end(r->a, &b);
	return OK;
}

static int read_otlp(struct reader *r)
{
	struct config *c = r->c;
	enum set from = value(c, OTLP_TRACES).n ? OTLP_TRACES : OTLP_URL;
	struct str url = str_trim(value(c, from));
	struct buf b = buf_open(r->a);
	struct upstream u = { 0 };

	if (url.n == 0)
		return OK;
	if (str_eq(value(c, OTLP_PROTOCOL), S("grpc"))) {
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
		c->otlp.proxy = value(c, HTTPS_PROXY);
	return read_otlp_headers(r);
}

static int read_monitor(struct reader *r)
{
	struct config *c = r->c;
	uint64_t n;

	c->monitor_token = value(c, MONITOR_TOKEN);
	if (!http_value_ok(c->monitor_token))
		return bad(r, MONITOR_TOKEN, S("holds control bytes"));
	if (c->monitor_token.n && c->monitor_token.n < TOKEN_MIN)
		return bad(r, MONITOR_TOKEN, S("is too short: it must have 8 "
		    "characters at least"));
	if (read_number(r, MONITOR_REPLAY, 0, 1, &n) != OK)
		return E_FAULT;
	c->monitor_replay = (int)n;
	c->monitor_on = c->host.n == 0 || is_loopback(c->host) ||
	    c->monitor_token.n > 0;
	return OK;
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

static void put_padded(struct buf *b, struct str s, size_t width)
{
	size_t i;

	buf_put(b, s);
	for (i = s.n; i < width; i++)
		buf_chr(b, ' ');
}

/* Words of text in lines of at most 78 columns, indented. */
static void put_wrapped(struct buf *b, struct str text, size_t indent)
{
	struct str word;
	size_t column = indent;

	while (str_cut(&text, ' ', &word)) {
		if (column + word.n + 1 > 78) {
			buf_chr(b, '\n');
			put_padded(b, S(""), indent);
			column = indent;
		}
		if (column > indent) {
			buf_chr(b, ' ');
			column++;
		}
		buf_put(b, word);
		column += word.n;
	}
	buf_chr(b, '\n');
}

static void print_help(struct buf *b)
{
	size_t s, g = 0;

	buf_put(b, S(
"claudecodex: answers the Anthropic Messages API from Amazon Bedrock, from any\n"
"OpenAI-compatible server, from Anthropic itself or from a built-in demo model,\n"
"and shows what passes.\n\n"
"  claudecodex [FLAG VALUE ...]   serve, until SIGINT or SIGTERM\n"
"  claudecodex --check            settings, their sources, a look upstream\n"
"  claudecodex --health           whether the running one is well, as status\n"
"  claudecodex tail [-s SESSION] [--json] [--all] [--old] [FILE]\n"
"  claudecodex top                what is in flight, on the whole screen\n"
"  claudecodex report [--html] FILE|LOG_DIR    what a journal amounts to\n"
"  claudecodex replay --model NAME [-s SESSION] [--max-tokens N] [--most N]\n"
"                     [--yes] FILE|LOG_DIR     its requests, asked of another\n"
"  claudecodex --version\n\n"
"  ANTHROPIC_BASE_URL=http://localhost:8082 claude    use it\n\n"
"Each setting comes from its flag, else the environment, else .env of the\n"
"current directory, else its default. Keys have no flag: arguments show in\n"
"the process list.\n"));
	for (s = 0; s < SETS; s++) {
		if (g < COUNT(groups) && groups[g].first == (enum set)s) {
			buf_chr(b, '\n');
			buf_put(b, str_of(groups[g++].title));
			buf_put(b, S(":\n\n"));
		}
		buf_put(b, S("  "));
		buf_put(b, str_of(options[s].name));
		if (options[s].flag) {
			buf_put(b, S(", "));
			buf_put(b, str_of(options[s].flag));
		}
		if (options[s].alias) {
			buf_put(b, S(", or "));
			buf_put(b, str_of(options[s].alias));
		}
		buf_put(b, S("\n      "));
		if (*options[s].fallback) {
			struct buf line = buf_on((char [256]){ 0 }, 256);

			buf_put(&line, str_of(options[s].help));
			buf_put(&line, S(" ["));
			buf_put(&line, str_of(options[s].fallback));
			buf_put(&line, S("]"));
			put_wrapped(b, buf_str(&line), 6);
		} else {
			put_wrapped(b, str_of(options[s].help), 6);
		}
	}
}

static int early_exit(struct reader *r)
{
	struct str arg;
	int i;

	for (i = 1; i < r->in->argc; i++) {
		arg = str_of(r->in->argv[i]);
		if (str_eq(arg, S("--help")) || str_eq(arg, S("-h"))) {
			print_help(r->out);
			return 1;
		}
		if (str_eq(arg, S("--version"))) {
			buf_put(r->out, S("claudecodex " VERSION "\n"));
			return 1;
		}
	}
	return 0;
}

int config_load(struct config *c, const struct config_input *in,
    struct arena *a, struct buf *out)
{
	struct reader r = { .c = c, .in = in, .a = a, .out = out };
	size_t s;

	memset(c, 0, sizeof *c);
	if (early_exit(&r))
		return CONFIG_EXIT;
	if (from_flags(&r) != OK)
		return E_FAULT;
	for (s = 0; s < SETS; s++)
		read_one(&r, (enum set)s);
	c->nsettings = SETS;
	c->log_dir = value(c, LOG_DIR);
	c->cert_file = value(c, CERT_FILE);
	c->no_proxy = value(c, NO_PROXY);
	c->colour = value(c, NO_COLOR).n ? 0 : -1;
	if (read_server(&r) != OK || read_times(&r) != OK ||
	    read_limits(&r) != OK || read_monitor(&r) != OK ||
	    read_aws(&r) != OK || read_proxy(&r) != OK ||
	    read_otlp(&r) != OK ||
	    set_up_all(&r) != OK)
		return E_FAULT;
	keep_secrets(c);
	return CONFIG_RUN;
}

static void print_value(struct buf *b, const struct setting *v)
{
	if (v->value.n == 0)
		buf_put(b, S("-"));
	else if (v->secret && v->value.n >= 12)
		/* Enough to tell two keys apart, too little to use. */
		buf_put(b, S("set, ends in ...")),
		buf_printable(b, str_from(v->value, v->value.n - 4));
	else if (v->secret)
		buf_put(b, S("set"));
	else
		buf_printable(b, v->value);
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
		    !is_loopback(u->host))
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
	const struct setting *v;
	size_t s;

	for (s = 0; s < c->nsettings; s++) {
		v = &c->settings[s];
		put_padded(b, str_of(v->name), 26);
		print_value(b, v);
		buf_put(b, S("  ("));
		buf_put(b, str_of(source_name(v->source)));
		if (v->source == FROM_DOTENV) {
			buf_put(b, S(" line "));
			buf_int(b, v->line);
		}
		if (v->alias) {
			buf_put(b, S(", as "));
			buf_put(b, str_of(v->alias));
		}
		buf_put(b, S(")\n"));
	}
	print_missing(c, b);
}
