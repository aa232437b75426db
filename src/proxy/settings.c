/* settings.c -- the table of settings, read from flags, environment and .env;
 * --help and --check's table.
 *
 * One table names every setting, its older name, flag, default and meaning:
 * reading, --help and --check all walk it. Secrets have no flag, as arguments
 * show in the process list. What the values mean is config.c's.
 *
 * SPDX-License-Identifier: MIT */
#include "settings.h"

enum kind { TEXT, SECRET, PORT, MS, BYTES, NUMBER };
enum { NO_DOTENV = 1 };		/* not taken from .env */

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
	[SOCKET] = { "SERVER_SOCKET", NULL, "--socket", TEXT, NO_DOTENV, "",
	    "path of a Unix socket for this user alone. A port is then opened "
	    "only if a flag or the environment sets SERVER_HOST or "
	    "SERVER_PORT" },
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
	[LOG_FULL] = { "LOG_FULL_PAYLOADS", NULL, "--log-full-payloads", NUMBER,
	    0, "0", "1: the exact bytes of both sides too, secrets masked, in "
	    "LOG_DIR/requests_full, as far as LOG_BODIES goes" },
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
	    NUMBER, 0, "0", "alerts when a session has cost 80, 90, 100 % of "
	    "so much; 0: none" },
	[SPEND_HOUR] = { "ALERT_HOUR_USD", NULL, "--alert-hour-usd", NUMBER, 0,
	    "0", "the same for an hour" },
	[SPEND_DAY] = { "ALERT_DAY_USD", NULL, "--alert-day-usd", NUMBER, 0,
	    "0", "the same for 24 hours" },
	[ALERT_CMD] = { "ALERT_CMD", NULL, NULL, TEXT, NO_DOTENV, "", "command "
	    "for /bin/sh, run when there is an alert: ALERT_TEXT and ALERT_URL "
	    "in its environment, the journal's line as input" },
	[MAX_BODY] = { "MAX_BODY", NULL, "--max-body", BYTES, 0, "32m",
	    "largest request" },
	[MAX_MEMORY] = { "MAX_MEMORY", NULL, "--max-memory", BYTES, 0, "",
	    "ceiling for requests in flight; default: half the machine's "
	    "memory, at most 1g" },
	[MAX_CONN] = { "MAX_CONNECTIONS", NULL, "--max-connections", NUMBER, 0,
	    "", "clients served at once by each worker, more wait; default, and "
	    "most: 450, or 24 with 32-bit addresses" },
	[CLIENT_CONN] = { "CLIENT_CONNECTIONS", NULL, "--client-connections",
	    NUMBER, 0, "", "of those, what one address may hold, or one /64 of "
	    "IPv6, this machine aside; default: three quarters" },
	[WORKERS] = { "WORKERS", NULL, "--workers", NUMBER, 0, "1",
	    "processes that serve, one a processor; MAX_MEMORY is all of "
	    "theirs together" },
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

struct setting *setting(const struct config *c, enum set s)
{
	/* The array is filled in the order of the table. */
	return (struct setting *)(uintptr_t)&c->settings[s];
}

struct str setting_value(const struct config *c, enum set s)
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
int setting_bad(struct reader *r, enum set s, struct str why)
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

int setting_given(const struct config *c, enum set s)
{
	return c->settings[s].source != FROM_DEFAULT &&
	    c->settings[s].value.n > 0;
}

/* ---- sources ---------------------------------------------------------- */

/* Finds NAME=value in .env text: comments, blanks, `export `, quotes. The
 * last one wins. */
int settings_dotenv(struct str text, const char *name, struct str *out)
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
		v->line = settings_dotenv(r->in->dotenv, names[i], &v->value);
		if (!v->line || v->value.n == 0)
			continue;
		v->source = FROM_DOTENV;
		v->alias = i ? names[i] : NULL;
	}
	if (v->source == FROM_DEFAULT)
		v->value = str_of(options[s].fallback);
}

/* ---- values ----------------------------------------------------------- */

int setting_ms(struct reader *r, enum set s, int64_t *out)
{
	struct str v = setting_value(r->c, s);
	struct str whole = str_head(v, str_chr(v, '.'));
	struct str part = str_from(v, whole.n + 1);
	uint64_t ms = 0, sec = 0;
	size_t i;

	for (i = 0; i < 3; i++)
		ms = ms * 10 + (i < part.n && part.p[i] >= '0' &&
		    part.p[i] <= '9' ? (uint64_t)(part.p[i] - '0') : 0);
	for (i = 0; i < part.n; i++)
		if (part.p[i] < '0' || part.p[i] > '9')
			return setting_bad(r, s,
			    S("must be a number of seconds"));
	if ((whole.n || part.n == 0) && str_u64(whole, &sec) != OK)
		return setting_bad(r, s, S("must be a number of seconds"));
	if (sec > 86400 || sec * 1000 + ms == 0)
		return setting_bad(r, s,
		    S("must be more than 0 and at most 86400 "
		    "seconds"));
	*out = (int64_t)(sec * 1000 + ms);
	return OK;
}

int setting_bytes(struct reader *r, enum set s, uint64_t min,
    uint64_t max, uint64_t *out)
{
	struct str v = setting_value(r->c, s);
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
		return setting_bad(r, s,
		    S("must be a number of bytes, k, m or g "
		    "allowed"));
	n *= unit;
	if (n < min || n > max)
		return setting_bad(r, s, n < min ? S("must be larger") :
		    S("must be smaller"));
	*out = n;
	return OK;
}

int setting_number(struct reader *r, enum set s, uint64_t min,
    uint64_t max, uint64_t *out)
{
	if (str_u64(setting_value(r->c, s), out) != OK || *out < min ||
	    *out > max) {
		struct buf b = buf_open(r->a);
		struct str text;

		buf_put(&b, S("must be a number from "));
		buf_u64(&b, min);
		buf_put(&b, S(" to "));
		buf_u64(&b, max);
		text = buf_end(r->a, &b);
		return setting_bad(r, s, text);
	}
	return OK;
}

/* A plain number is MiB: LOG_MAX_MB=64. */
int setting_megabytes(struct reader *r, enum set s, uint64_t *out)
{
	struct str v = setting_value(r->c, s);
	uint64_t n;

	if (str_u64(v, &n) != OK)
		return setting_bytes(r, s, 65536, UINT64_MAX / 64, out);
	if (n < 1 || n > 1 << 20)
		return setting_bad(r, s, S("must be 1 to 1048576 MiB"));
	*out = n << 20;
	return OK;
}

/* ---- --help and --check ---------------------------------------------- */

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
	else if (str_eq(str_of(v->name), S("ALERT_CMD")))
		/* What follows may hold an address that is a secret. */
		buf_printable(b, str_head(v->value, str_chr(v->value, ' '))),
		buf_put(b, S(" ..."));
	else
		buf_printable(b, v->value);
}

void settings_print(const struct config *c, struct buf *b)
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
}

int settings_read(struct reader *r)
{
	size_t s;

	if (early_exit(r))
		return CONFIG_EXIT;
	if (from_flags(r) != OK)
		return E_FAULT;
	for (s = 0; s < SETS; s++)
		read_one(r, (enum set)s);
	r->c->nsettings = SETS;
	return CONFIG_RUN;
}
