/* config.c -- flags, environment, .env and defaults: who wins, what is
 * refused, which backend is taken.
 *
 * SPDX-License-Identifier: MIT */
/* link: proxy/route.c net/credentials.c net/aws_profile.c net/aws.c net/aws_sts.c net/aws_sso.c net/aws_process.c net/shell.c net/keeper.c net/aws_metadata.c net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include "../../src/proxy/settings.c"
#include "../../src/proxy/config.c"
#include "t.h"

enum { MEMORY = 6 << 20, PAIRS = 12 };

static _Alignas(16) char memory[MEMORY];
static char out_text[32768];
static struct config c;
static struct str said;
static uint64_t machine;
static const char *vars[PAIRS][2];
static size_t nvars;

static const char *look(void *ctx, const char *name)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < nvars; i++)
		if (strcmp(vars[i][0], name) == 0)
			return vars[i][1];
	return NULL;
}

static unsigned people_here;

/* env: NAME, VALUE ... NULL. No file of the machine plays a part. */
static int load(const char *const *env, const char *dotenv,
    char *const *argv)
{
	struct arena a = { memory, memory + sizeof memory };
	struct buf out = buf_on(out_text, sizeof out_text);
	struct config_input in = { .env = look, .dotenv = str_of(dotenv),
		.argv = argv, .machine_memory = machine,
		.people = people_here };
	int r;

	nvars = 0;
	vars[nvars][0] = "HOME";
	vars[nvars++][1] = "/nonexistent";
	for (; env && *env; env += 2) {
		vars[nvars][0] = env[0];
		vars[nvars++][1] = env[1];
	}
	for (in.argc = 0; argv && argv[in.argc]; in.argc++)
		;
	r = config_load(&c, &in, &a, &out);
	said = buf_str(&out);
	return r;
}

#define ENV(...) (const char *const []){ __VA_ARGS__, NULL }
#define ARGS(...) (char *const []){ (char []){ "claudecodex" }, __VA_ARGS__, \
	NULL }
#define A(TEXT) (char []){ TEXT }
#define BACKEND_IS(NAME, WHAT) T_STR(str_of(c.upstreams[c.chosen].backend-> \
	name), S(NAME), WHAT)

static int says(const char *text)
{
	return str_find(said, str_of(text)) < said.n;
}

static int warned(const char *text)
{
	size_t i;

	for (i = 0; i < c.nwarnings; i++)
		if (str_find(c.warnings[i], str_of(text)) < c.warnings[i].n)
			return 1;
	return 0;
}

static void precedence(void)
{
	T_INT(load(NULL, "", NULL), CONFIG_RUN, "nothing at all");
	T_INT(c.port, 8082, "the default port");
	T(c.host.n == 0 && c.demo_by_default, "loopback, demo");
	load(NULL, "# c\nexport SERVER_PORT = \"81\"  \n", NULL);
	T_INT(c.port, 81, ".env, export and quotes");
	load(ENV("SERVER_PORT", "82"), "SERVER_PORT=81\n", NULL);
	T_INT(c.port, 82, "the environment wins over it");
	load(ENV("SERVER_PORT", "82"), "", ARGS(A("--port"), A("83")));
	T_INT(c.port, 83, "a flag over both");
	load(NULL, "", ARGS(A("--port=84")));
	T_INT(c.port, 84, "with an equals sign");
	load(NULL, "OPENAI_MODEL=a # why\nOPENAI_MODEL='b'\nOPENAI_API_KEY=k\n",
	    NULL);
	T_STR(c.upstreams[0].model, S("b"), "the last one, comments off");
	load(ENV("SERVER_PORT", ""), "SERVER_PORT=81\n", NULL);
	T_INT(c.port, 81, "an empty variable is none");
}

static void small(void)
{
	if (sizeof(void *) < 8)
		return;			/* small in any case */
	machine = (uint64_t)8 << 30;
	load(NULL, "", NULL);
	T(c.monitor_memory == 16 << 20 && c.raw_memory == 8 << 20,
	    "a usual machine's monitor");
	machine = 128 << 20;
	load(NULL, "", NULL);
	T(c.monitor_memory == 4 << 20 && c.raw_memory == 2 << 20,
	    "a router's");
	load(ENV("MONITOR_MEMORY", "1m", "RAW_MB", "0"), "", NULL);
	T(c.monitor_memory == 1 << 20 && c.raw_memory == 0, "as told");
	machine = 0;
}

static void people(void)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
	    "www:x:33:33:www:/var/www:/usr/sbin/nologin\n"
	    "ann:x:1000:1000:Ann,,,:/home/ann:/bin/bash\n"
	    "bob:x:1001:1001::/home/bob:/bin/zsh\n"
	    "off:x:1002:1002::/home/off:/bin/false\n"
	    "nobody:x:65534:65534::/:/bin/sh\nbroken:x:1003\n\n::::::\n";

	T_INT(config_people(str_of(passwd), 0), 2, "people but root");
	T_INT(config_people(str_of(passwd), 1001), 1, "people but bob");
	T_INT(config_people(S(""), 0), 0, "a machine without that file");
	people_here = 1;
	load(NULL, "", NULL);
	T(warned("other users"), "that others are here is said");
	load(ENV("PROXY_API_KEY", "0123456789abcdef"), "", NULL);
	T(!warned("other users"), "unless they need a key");
	people_here = 0;
	load(NULL, "", NULL);
	T(!warned("other users"), "nor when nobody is");
	T(c.per_client == 338 || c.per_client == 18, "three quarters");
	load(ENV("MAX_CONNECTIONS", "2"), "", NULL);
	T_INT(c.per_client, 2, "of two, both");
	load(ENV("MAX_CONNECTIONS", "20", "CLIENT_CONNECTIONS", "5"), "", NULL);
	T_INT(c.per_client, 5, "as told");
}

static void a_socket(void)
{
	static const char *const bad[] = { "sock", "./sock", "@sock", "/run/",
		"/", "/run/a\nb", "/run/a\177b", " /run/sock" };
	char path[SOCK_PATH_MAX + 2];
	size_t i;

	T_INT(load(ENV("SERVER_SOCKET", "/run/sock"), "", NULL), CONFIG_RUN,
	    "a socket");
	T_STR(c.socket, S("/run/sock"), "is listened on");
	T(!c.tcp && c.port == 0, "alone it leaves no port open");
	T(c.monitor_on, "the monitor is this machine's");
	load(ENV("SERVER_SOCKET", "/run/sock"), "SERVER_PORT=81\n"
	    "SERVER_HOST=0.0.0.0\n", NULL);
	T(!c.tcp && c.port == 0 && c.host.n == 0, "nor does a .env open one");
	load(ENV("SERVER_SOCKET", "/run/sock", "SERVER_PORT", "81"), "", NULL);
	T(c.tcp && c.port == 81 && c.socket.n, "both when a port is set");
	load(ENV("SERVER_SOCKET", "/run/sock", "SERVER_HOST", "127.0.0.1"), "",
	    NULL);
	T(c.tcp && c.port == 8082, "or a host");
	load(NULL, "", ARGS(A("--socket=/run/s"), A("--port"), A("0")));
	T(c.tcp && c.port == 0 && c.socket.n, "or by flags");
	T_INT(load(ENV("SERVER_SOCKET", "/run/sock", "SERVER_HOST", "::"), "",
	    NULL), E_FAULT, "a wide host wants its key all the same");
	load(NULL, "SERVER_SOCKET=/home/me/.ssh/agent\n", NULL);
	T(c.socket.n == 0 && c.tcp, "a .env names no socket");
	for (i = 0; i < COUNT(bad); i++) {
		T_INT(load(ENV("SERVER_SOCKET", bad[i]), "", NULL), E_FAULT,
		    "no path of a socket: %s", bad[i]);
		T(says("SERVER_SOCKET: must"), "says so");
	}
	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[SOCK_PATH_MAX] = '\0';
	T_INT(load(ENV("SERVER_SOCKET", path), "", NULL), CONFIG_RUN,
	    "the longest path");
	path[SOCK_PATH_MAX] = 'x';
	path[SOCK_PATH_MAX + 1] = '\0';
	T_INT(load(ENV("SERVER_SOCKET", path), "", NULL), E_FAULT,
	    "one byte more");
	T(says("SERVER_SOCKET: is longer than the 10"), "says how long");
	people_here = 1;
	load(ENV("SERVER_SOCKET", "/run/sock"), "", NULL);
	T(!warned("other users"), "with a socket alone others are shut out");
	load(ENV("SERVER_SOCKET", "/run/sock", "SERVER_PORT", "81"), "", NULL);
	T(warned("other users"), "with a port beside it they aren't");
	load(NULL, "", NULL);
	T(warned("SERVER_SOCKET"), "and are told of the way out");
	people_here = 0;
}

static void wrong(void)
{
	static const struct { const char *name, *value, *text; } bad[] = {
		{ "SERVER_PORT", "x", "SERVER_PORT" },
		{ "SERVER_PORT", "65536", "0 to 65535" },
		{ "SERVER_HOST", "0.0.0.0", "PROXY_API_KEY" },
		{ "LLM_BACKEND", "aws", "must be bedrock" },
		{ "IDLE_TIMEOUT", "0", "IDLE_TIMEOUT" },
		{ "IDLE_TIMEOUT", "1.x", "seconds" },
		{ "CLIENT_CONNECTIONS", "0", "CLIENT_CONNECTIONS" },
		{ "CLIENT_CONNECTIONS", "451", "CLIENT_CONNECTIONS" },
		{ "MAX_BODY", "1q", "bytes" },
		{ "MAX_BODY", "99999999999999999999", "bytes" },
		{ "LOG_BODIES", "some", "all, errors or none" },
		{ "OPENAI_BASE_URL", "ftp://x", "http://" },
		{ "OPENAI_BASE_URL", "http://u:p@x/", "password" },
		{ "OPENAI_BASE_URL", "http://x:0/", "port" },
		{ "HTTPS_PROXY", "https://x", "http://host:port" },
		{ "MODEL_MAP", "nonsense", "MODEL_MAP" },
		{ "OPENAI_FLAGS", "no_such=1", "OPENAI_FLAGS" }
	};
	size_t i;

	for (i = 0; i < COUNT(bad); i++) {
		T_INT(load(ENV("OPENAI_API_KEY", "k", bad[i].name,
		    bad[i].value), "", NULL), E_FAULT, "%s", bad[i].name);
		T(says(bad[i].text) && says(bad[i].name), "%s",
		    bad[i].text);
	}
	T_INT(load(NULL, "\n\nSERVER_PORT=x\n", NULL), E_FAULT, ".env");
	T(says("line 3 of .env"), "names the line");
	T_INT(load(NULL, "", ARGS(A("--nonsense"))), E_FAULT, "a flag");
	T(says("--help"), "says where to look");
	T_INT(load(NULL, "", ARGS(A("--port"))), E_FAULT, "without a value");
	T_INT(load(NULL, "", ARGS(A("--help"))), CONFIG_EXIT, "--help");
	T(says("BEDROCK_MODEL_ID") && says("SERVER_PORT"), "lists settings");
}

static void detection(void)
{
	load(ENV("OPENAI_API_KEY", "k", "AWS_PROFILE", "p"), "", NULL);
	BACKEND_IS("openai_compatible", "an OpenAI key first");
	load(ENV("AWS_PROFILE", "p"), "", NULL);
	BACKEND_IS("bedrock", "then AWS");
	load(NULL, "AWS_ACCESS_KEY_ID=AKIA0123456789\n"
	    "AWS_SECRET_ACCESS_KEY=secretsecret\n", NULL);
	BACKEND_IS("bedrock", "AWS keys in .env");
	T(c.aws_env[0] && strcmp(c.aws_env[0], "AKIA0123456789") == 0,
	    "are kept for the look-up");
	load(ENV("LLM_PROVIDER", "anthropic", "AWS_PROFILE", "p"), "", NULL);
	BACKEND_IS("anthropic", "the name wins, the older one too");
	load(ENV("OPENAICOMPATIBLE_BASE_URL", "http://127.0.0.1:1/v1"), "",
	    NULL);
	BACKEND_IS("openai_compatible", "an older name of a URL");
	T_INT(load(NULL, "OPENAI_BASE_URL=http://ev\xc3\xafl.test/v1\n", NULL),
	    E_FAULT, "a host is ASCII");
	load(NULL, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://evil\n", NULL);
	T(c.demo_by_default, "an endpoint in .env is nobody's");
}

static void trust(void)
{
	size_t i;

	T_INT(load(ENV("OPENAI_API_KEY", "k"),
	    "OPENAI_BASE_URL=https://evil.test/v1\n", NULL), E_FAULT,
	    "a .env can't redirect a key of the environment");
	T_INT(load(ENV("OPENAI_API_KEY", "k"),
	    "OPENAI_BASE_URL=https://127.evil.test/v1\n", NULL), E_FAULT,
	    "nor to a name that begins like an address of this machine");
	for (i = 0; i < 6; i++) {
		static const char *const hosts[] = { "127.", "127.1",
			"127.0.0.1.", "127.0.0.256", "127.0.0.1.test",
			"127..0.1" };
		char text[80];

		snprintf(text, sizeof text, "OPENAI_BASE_URL=http://%s/v1\n",
		    hosts[i]);
		T_INT(load(ENV("OPENAI_API_KEY", "k"), text, NULL), E_FAULT,
		    "no address of this machine: %s", hosts[i]);
	}
	T_INT(load(ENV("OPENAI_API_KEY", "k"),
	    "OPENAI_BASE_URL=http://127.0.0.2/v1\n", NULL), CONFIG_RUN,
	    "to this machine it may");
	T_INT(load(NULL, "OPENAI_API_KEY=k\n"
	    "OPENAI_BASE_URL=https://own.test/v1\n", NULL), CONFIG_RUN,
	    "its own key it may send where it likes");
	load(NULL, "SSL_CERT_FILE=/x\nHTTPS_PROXY=http://evil:1\n"
	    "BEDROCK_BASE_URL=http://evil\nALERT_CMD=evil\n", NULL);
	T(c.cert_file.n == 0 && !c.have_proxy, "nor roots, nor a proxy");
	T(c.alert_cmd.n == 0, "nor a command");
	load(ENV("ALERT_CMD", "mine"), "", NULL);
	T_STR(c.alert_cmd, S("mine"), "its owner's is");
	load(NULL, "", ARGS(A("--help")));
	T(!says("nsecure") && !says("INSECURE") && !says("VERIFY") &&
	    !says("verify"), "no setting turns the look at certificates off");
	for (i = 0; i < SETS; i++)
		T(options[i].kind != SECRET || !options[i].flag, "no key has "
		    "a flag, as all may see arguments: %s", options[i].name);
}

static void bedrock(void)
{
	struct destination d;
	struct fault f;

	load(ENV("LLM_BACKEND", "bedrock", "BEDROCK_MODEL_ID", "pinned",
	    "BEDROCK_MODEL_ID_OPUS", "big", "MODEL_MAP",
	    "claude-opus-4-1=mapped"), "", NULL);
	T_INT(route_pick(&c, S("claude-opus-4-1"), &d, &f), OK, "the map");
	T_STR(d.model, S("mapped"), "first");
	route_pick(&c, S("claude-opus-5-5[1m]"), &d, &f);
	T_STR(d.model, S("big"), "FN-18 then the family");
	route_pick(&c, S("claude-haiku-4-5"), &d, &f);
	T_STR(d.model, S("pinned"), "then the pin");
	load(ENV("LLM_BACKEND", "bedrock"), "", NULL);
	route_pick(&c, S("claude-haiku-4-5"), &d, &f);
	T_STR(d.model, S("claude-haiku-4-5"), "else the client's own name");
	load(ENV("LLM_BACKEND", "bedrock", "AWS_PROFILE", "e", "AWS_REGION",
	    "eu-west-1"), "", NULL);
	T(c.aws_profile.n == 0 && c.aws_region.n == 0,
	    "the environment's are the chain's to read");
	load(ENV("LLM_BACKEND", "bedrock"), "AWS_PROFILE=d\n",
	    ARGS(A("--aws-region"), A("us-west-2")));
	T_STR(c.aws_profile, S("d"), ".env's and a flag's are handed on");
	T_STR(c.aws_region, S("us-west-2"), "both");
	T_INT(load(ENV("LLM_BACKEND", "bedrock", "BEDROCK_API", "x"), "",
	    NULL), E_FAULT, "an unknown way");
	T_INT(load(ENV("LLM_BACKEND", "bedrock", "BEDROCK_GUARDRAIL_ID", "g"),
	    "", NULL), E_FAULT, "half a guardrail");
	T(says("BEDROCK_GUARDRAIL_VERSION"), "names the other half");
	T_INT(load(ENV("LLM_BACKEND", "bedrock", "BEDROCK_PROFILE_PREFIX",
	    "mars"), "", NULL), E_FAULT, "a geography that is none");
}

static void shown(void)
{
	char text[32768];
	struct buf b = buf_on(text, sizeof text);

	load(ENV("OPENAI_API_KEY", "sk-0123456789abcdefXYZW"), "", NULL);
	config_print(&c, &b);
	said = buf_str(&b);
	T(!says("0123456789") && says("XYZW"), "a key shows its end alone");
	T(says("missing: OPENAI_MODEL"), "what is missing");
}

int main(void)
{
	precedence();
	small();
	wrong();
	people();
	a_socket();
	detection();
	trust();
	bedrock();
	shown();
	return t_done("config");
}
