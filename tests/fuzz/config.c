/* Fuzz target: the configuration: environment, .env, flags.
 *
 * Input: lines NAME=VALUE, the environment; after a line "=====", the text of
 * .env; after another one, arguments, one a line. Two keys are always in the
 * environment, under other names than the input may set.
 *
 * Holds: it is taken or refused with one line of text; what --check prints has
 * no control bytes and neither key; a key of the environment goes to hosts named
 * outside .env alone; ports, limits and routes are within their bounds, and any
 * model finds a way or a refusal.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/net/sock.h"
#include "../../src/proxy/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 16384, LINES_MAX = 64, LINE_MAX_BYTES = 2048 };

static const char openai_key[] = "sk-environment-openai-0123456789";
static const char anthropic_key[] = "sk-ant-environment-0123456789";

static _Alignas(16) char memory[6 << 20];
static char lines[LINES_MAX][LINE_MAX_BYTES];
static char out_text[65536];
static struct config c;
static size_t nenv;

static void hold(int cond)
{
	if (!cond)
		__builtin_trap();
}

static const char *look(void *ctx, const char *name)
{
	size_t i, n = strlen(name);

	(void)ctx;
	if (strcmp(name, "OPENAI_API_KEY") == 0)
		return openai_key;
	if (strcmp(name, "ANTHROPIC_API_KEY") == 0)
		return anthropic_key;
	/* No file of the machine plays a part. */
	if (strcmp(name, "HOME") == 0 || strstr(name, "_FILE"))
		return strstr(name, "AWS") || name[0] == 'H' ?
		    "/nonexistent/x" : NULL;
	for (i = 0; i < nenv; i++)
		if (strncmp(lines[i], name, n) == 0 && lines[i][n] == '=')
			return lines[i] + n + 1;
	return NULL;
}

/* Lines of s behind those that are there, as strings; how many there are. */
static size_t take_lines(struct str s, size_t n)
{
	struct str line;

	while (n < LINES_MAX && str_cut(&s, '\n', &line)) {
		line = str_head(line, LINE_MAX_BYTES - 1);
		line = str_head(line, str_chr(line, '\0'));
		if (line.n == 0)
			continue;
		memcpy(lines[n], line.p, line.n);
		lines[n++][line.n] = '\0';
	}
	return n;
}

static struct str section(struct str *in)
{
	struct str mark = S("=====\n"), part;
	size_t at = str_find(*in, mark);

	part = str_head(*in, at);
	*in = str_from(*in, at + mark.n);
	return part;
}

static int is_home(struct str host)
{
	return str_eq(host, S("api.openai.com")) ||
	    str_eq(host, S("api.anthropic.com"));
}

static int is_here(struct str host)
{
	struct sock_addr a;

	return str_ieq(host, S("localhost")) ||
	    (sock_addr_parse(&a, host, 1) == OK && sock_addr_is_loopback(&a));
}

/* Keys that stand in the environment and where they would go. */
static void check_keys(struct str outside, struct str args)
{
	const struct upstream *u;
	size_t i;

	for (i = 0; i < c.nupstreams; i++) {
		u = &c.upstreams[i];
		hold(u->backend && u->port <= 65535 && (u->port || !u->host.n));
		hold(u->host.n || u->backend->local || u->backend->signed_aws);
		if (str_eq(u->key, str_of(openai_key)) ||
		    str_eq(u->key, str_of(anthropic_key)))
			hold(is_home(u->host) || is_here(u->host) ||
			    str_find(outside, u->host) < outside.n ||
			    str_find(args, u->host) < args.n);
	}
}

static void check_print(void)
{
	struct buf b = buf_on(out_text, sizeof(out_text));
	size_t i;

	config_print(&c, &b);
	for (i = 0; i < b.n; i++)
		hold((unsigned char)b.p[i] >= ' ' || b.p[i] == '\n');
	hold(utf8_valid(buf_str(&b)) == b.n || b.full);
	/* Others may stand where they shouldn't, by the input's own doing. */
	hold(str_find(buf_str(&b), str_of(openai_key)) == b.n);
	hold(str_find(buf_str(&b), str_of(anthropic_key)) == b.n);
}

static void check_routes(void)
{
	static const char *const models[] = { "claude-opus-4-1", "gpt-5", "",
		"claude-haiku-x[1m]", "a*b", "demo" };
	struct destination d;
	struct fault f;
	size_t i;
	int r;

	for (i = 0; i < COUNT(models); i++) {
		memset(&f, 0, sizeof(f));
		r = route_pick(&c, str_of(models[i]), &d, &f);
		hold(r == OK ? d.up >= c.upstreams &&
		    d.up < c.upstreams + c.nupstreams :
		    r == E_FAULT && f.status >= 400);
	}
	for (i = 0; i < c.nroutes; i++)
		hold(c.routes[i].upstream < c.nupstreams);
	(void)config_no_proxy(&c, S("example.com"), 443);
	hold(config_no_proxy(&c, S("127.0.0.1"), 80));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "claudecodex";
	char *argv[LINES_MAX + 2] = { program };
	struct arena a = { memory, memory + sizeof(memory) };
	struct buf out = buf_on(out_text, sizeof(out_text));
	struct config_input in = { .env = look, .argv = argv, .argc = 1,
		.machine_memory = UINT64_C(1) << 30 };
	struct str rest = { (const char *)data, size }, outside;
	size_t i, n;
	int r;

	/* A fuzzer finds the keys out: then they may stand anywhere. */
	if (size > INPUT_MAX ||
	    str_find(rest, str_of(openai_key)) < rest.n ||
	    str_find(rest, str_of(anthropic_key)) < rest.n)
		return -1;
	outside = section(&rest);
	nenv = take_lines(outside, 0);
	in.dotenv = section(&rest);
	n = take_lines(rest, nenv);
	for (i = nenv; i < n; i++)
		argv[in.argc++] = lines[i];
	memset(&c, 0, sizeof(c));
	r = config_load(&c, &in, &a, &out);
	hold(r == CONFIG_RUN || r == CONFIG_EXIT || r == E_FAULT);
	hold(a.cur <= a.end);
	if (r != CONFIG_RUN) {
		hold(out.n > 0 && (r == CONFIG_EXIT ||
		    str_chr(buf_str(&out), '\n') == out.n));
		hold(str_find(buf_str(&out), str_of(openai_key)) == out.n);
		return 0;
	}
	hold(c.nupstreams > 0 && c.chosen < c.nupstreams && c.port <= 65535);
	hold(c.connections >= 1 && c.nsecrets <= SECRETS_MAX);
	check_keys(outside, rest);
	check_print();
	check_routes();
	return 0;
}
