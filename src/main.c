/* main.c -- the reading order of the program: configuration, helper,
 * listeners, slots, loop, clean exit.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* sysconf's _SC_PHYS_PAGES, environ */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/command.h"
#include "proxy/proxy.h"

enum {
	SETUP_MEMORY = 4 << 20,	/* configuration, roots, what upstreams learn */
	TEXT_MAX = 65536,
	OUTPUT_MAX = 32768	/* --help, --check, the banner */
};

static struct proxy proxy;
static struct config config;
static struct monitor monitor;
static char output_text[OUTPUT_MAX];

static void put_all(int fd, struct str s)
{
	ssize_t n;

	while (s.n && (n = write(fd, s.p, s.n)) > 0)
		s = str_from(s, (size_t)n);
}

static int die(struct str text)
{
	put_all(2, S("claudecodex: "));
	put_all(2, text);
	put_all(2, S("\n"));
	return 1;
}

static const char *environment(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

/* Where the helper looks for AWS credentials. */
static const char *aws_environment(void *ctx, const char *name)
{
	const struct config_input in = { .env = environment };

	return config_aws_env(ctx, &in, name);
}

static void start_helper(struct proxy *p)
{
	static struct credentials_input look;
	static const struct helper_service aws[] = {
		{ HELPER_CREDENTIALS, credentials_serve,
		    CREDENTIALS_DEADLINE_MS },
		{ HELPER_MODEL, credentials_model_serve, CREDENTIALS_MODEL_MS }
	};

	account_init(p);
	look.env = aws_environment;
	look.ctx = p->config;
	look.profile = p->config->aws_profile;
	look.region = p->config->aws_region;
	look.cert_file = p->config->cert_file;
	credentials_setup(&look);
	if (p->config->workers > 1)
		workers_prepare(p, aws, COUNT(aws));
	else
		helper_start(&p->helper, aws, COUNT(aws), loop_now());
}

/* A file's beginning; absent is empty. */
static struct str read_text(const char *name, struct arena *a, int *open_to_all)
{
	char *p = arena_bytes(a, TEXT_MAX);
	struct stat st;
	ssize_t n = 0, k;
	int fd = p ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	if (fd < 0)
		return S("");
	while (n < TEXT_MAX &&
	    (k = read(fd, p + n, (size_t)(TEXT_MAX - n))) > 0)
		n += k;
	*open_to_all = fstat(fd, &st) == 0 && st.st_mode & 077;
	close(fd);
	return (struct str){ p, (size_t)n };
}

/* .env of the current directory, and who else is here. */
static void read_surroundings(struct config_input *in, struct arena *a)
{
	struct arena scratch = *a;
	int ignored;

	in->people = config_people(read_text("/etc/passwd", &scratch, &ignored),
	    (uint64_t)geteuid());
	in->dotenv = read_text(".env", a, &in->dotenv_open);
}

static uint64_t machine_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}

static int listen_on_port(struct proxy *p)
{
	enum sock_reason why = SOCK_FINE;
	char text[256];
	struct buf b = buf_on(text, sizeof text);

	p->nlisteners = sock_listen(p->listener, p->config->host,
	    p->config->port, &why);
	if (p->nlisteners > 0) {
		if (p->config->port == 0)
			p->config->port = sock_port(p->listener[0]);
		return OK;
	}
	p->nlisteners = 0;
	buf_put(&b, S("cannot listen on port "));
	buf_u64(&b, p->config->port);
	if (p->config->host.n) {
		buf_put(&b, S(" of "));
		buf_put(&b, p->config->host);
	}
	buf_put(&b, S(": "));
	buf_put(&b, sock_text(why));
	buf_put(&b, S("; set SERVER_PORT or --port to another one"));
	die(buf_str(&b));
	return E_FAULT;
}

static int listen_on_socket(struct proxy *p)
{
	char text[256 + SOCK_PATH_MAX];
	struct buf b = buf_on(text, sizeof text);

	buf_put(&b, S("cannot listen on unix:"));
	buf_printable(&b, p->config->socket);
	buf_put(&b, S(": "));
	if (local_listen(&p->local, p->config->socket, &b) != OK) {
		buf_put(&b, S("; set SERVER_SOCKET or --socket to another "
		    "path"));
	} else if (local_keep(&p->local, p->config->sandbox) != OK) {
		buf_put(&b, S("no process to remove it in the end"));
	} else {
		p->listener[p->nlisteners++] = p->local.fd;
		return OK;
	}
	die(buf_str(&b));
	return E_FAULT;
}

/* The port first: when it is taken, no file has been made. */
static int listen_on(struct proxy *p)
{
	if (p->config->tcp && listen_on_port(p) != OK)
		return E_FAULT;
	return p->config->socket.n ? listen_on_socket(p) : OK;
}

static void put_use(const struct config *c, struct buf *b)
{
	buf_put(b, S("  to use it:  export ANTHROPIC_BASE_URL=http://"
	    "localhost"));
	if (c->tcp) {
		buf_chr(b, ':');
		buf_u64(b, c->port);
	} else {
		buf_put(b, S(" ANTHROPIC_UNIX_SOCKET="));
		buf_printable(b, c->socket);
	}
	buf_put(b, S(" CLAUDE_CODE_GATEWAY_HINT_HEADERS=1\n"
	    "              export ANTHROPIC_API_KEY="));
	buf_put(b, c->proxy_key.n ? S("<the PROXY_API_KEY>") : S("any"));
	buf_put(b, S(" ; claude\n"));
	if (!c->tcp) {
		buf_put(b, S("  to watch:   SERVER_SOCKET="));
		buf_printable(b, c->socket);
		buf_put(b, S(" claudecodex tail\n"));
	} else if (c->monitor_on) {
		buf_put(b, S("  to watch:   http://localhost:"));
		buf_u64(b, c->port);
		buf_put(b, c->monitor_token.n ?
		    S("/dashboard?token=<the MONITOR_TOKEN>\n") :
		    S("/dashboard\n"));
	}
}

static void banner(const struct proxy *p)
{
	const struct config *c = p->config;
	const struct upstream *up = &c->upstreams[c->chosen];
	struct buf b = buf_on(output_text, sizeof output_text);

	buf_put(&b, S("claudecodex " VERSION " answers "));
	if (c->tcp) {
		buf_put(&b, S("on http://"));
		buf_put(&b, c->host.n ? c->host : S("localhost"));
		buf_chr(&b, ':');
		buf_u64(&b, c->port);
		buf_chr(&b, ' ');
	}
	buf_put(&b, S("from "));
	buf_put(&b, up->name);
	if (up->host.n) {
		buf_put(&b, S(" ("));
		buf_put(&b, up->authority);
		buf_chr(&b, ')');
	}
	if (up->model.n) {
		buf_put(&b, S(", model "));
		buf_put(&b, up->model);
	}
	buf_chr(&b, '\n');
	if (c->demo_by_default)
		buf_put(&b, S("  nothing is configured, so a scripted demo "
		    "model answers: no key, no network.\n"
		    "  For a real one set OPENAI_API_KEY and OPENAI_MODEL, "
		    "OPENAI_BASE_URL and OPENAI_MODEL,\n"
		    "  AWS_PROFILE, or LLM_BACKEND=anthropic; then look at the result with "
		    "--check. --help lists all.\n"));
	if (c->socket.n) {
		buf_put(&b, S("  listening on unix:"));
		buf_printable(&b, c->socket);
		buf_put(&b, S(", for this user and root\n"));
	}
	put_use(c, &b);
	put_all(1, buf_str(&b));
}

static void say_problems(struct proxy *p)
{
	size_t i;

	for (i = 0; i < p->config->nwarnings; i++)
		monitor_say(p->monitor, "warning", p->config->warnings[i]);
	if (p->tls_why.n && p->tls.count == 0)
		monitor_say(p->monitor, "warning", p->tls_why);
	if (p->config->host.n && !host_is_loopback(p->config->host))
		monitor_say(p->monitor, "warning", S("listening beyond this "
		    "machine: whoever has PROXY_API_KEY spends your money"));
	if (geteuid() == 0)
		monitor_say(p->monitor, "note", S("running as root; any user "
		    "will do"));
}

static void open_monitor(struct proxy *p)
{
	struct monitor_options o;

	o.log_dir = p->config->log_dir;
	o.log_max_bytes = p->config->log_max_bytes;
	o.bodies = p->config->log_bodies;
	o.full = p->config->log_full;
	o.console_fd = 1;
	o.segment_max = p->config->segment_max;
	o.log_keep = p->config->log_keep;
	o.log_days = p->config->log_days;
	o.prices_file = p->config->prices_file;
	o.spend_session = p->config->spend_session;
	o.spend_hour = p->config->spend_hour;
	o.spend_day = p->config->spend_day;
	o.memory = p->config->monitor_memory;
	o.raw = p->config->raw_memory;
	o.slots = p->nall;
	o.shared = p->config->workers > 1;
	o.colour = p->config->colour;
	o.secrets = p->config->secrets;
	o.nsecrets = p->config->nsecrets;
	monitor_open(p->monitor, &o);
	otlp_open(p->monitor, &p->config->otlp);
	alarm_open(p->monitor, p->config->alert_cmd, p->config->port);
}

/* From here on nothing is opened but connections. */
static void give_up_rights(struct proxy *p)
{
	const struct config *c = p->config;
	unsigned ports[SANDBOX_PORTS_MAX];
	size_t i, n = 0;
	int any = 0;

	if (!c->sandbox)
		return;
	for (i = 0; i < c->nupstreams && n < SANDBOX_PORTS_MAX - 1; i++) {
		/* Its endpoint comes with the credentials, later. */
		any |= c->upstreams[i].backend == &backend_bedrock;
		ports[n++] = c->upstreams[i].port;
	}
	if (c->have_proxy)
		ports[n++] = c->proxy_port;
	p->rights = p->config->workers > 1 && !p->worker ?
	    sandbox_watch(any ? NULL : ports, n) :
	    sandbox_serve(any ? NULL : ports, n);
}

/* Without its helper it finds no upstream, and where processes may not be
 * started any more nobody here can start that again: who started us can. */
static int is_lost(const struct proxy *p)
{
	return p->helper.lost && p->rights & SANDBOX_CALLS;
}

static void serve_until_told(struct proxy *p)
{
	int64_t until = LOOP_NEVER;
	unsigned signals;

	while (!p->draining || (proxy_busy(p) && p->now < until)) {
		signals = proxy_turn(p, until);
		if (p->worker)
			signals = workers_orders(p);
		if (signals & LOOP_HUP)
			monitor_reopen(p->monitor);
		if (is_lost(p) && !p->draining) {
			monitor_say(p->monitor, "warning", S("the process that "
			    "starts the helper was killed, and no other can be "
			    "started: ending with status 1, to be started "
			    "anew"));
			signals |= LOOP_TERM;
		}
		if (!(signals & (LOOP_TERM | LOOP_INT)))
			continue;
		if (p->draining)
			break;			/* told twice: at once */
		p->draining = 1;
		until = loop_now() + p->config->drain_ms;
		proxy_stop_listening(p);
		if (proxy_busy(p) && !p->worker)
			monitor_say(p->monitor, "note", S("ending; requests "
			    "in flight may finish (DRAIN_TIMEOUT)"));
	}
}

static void close_all(struct proxy *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (p->clients[i].state != CLIENT_FREE)
			client_close(p, &p->clients[i]);
	for (i = 0; i < p->n; i++)
		conn_close(&p->conns[i]);
	helper_stop(&p->helper);
	if (p->worker)
		return;
	otlp_close(p->monitor);
	alarm_close(p->monitor);
	monitor_close(p->monitor);
}

static int configure(struct config *c, int argc, char **argv,
    struct arena *a)
{
	struct buf out = buf_on(output_text, sizeof output_text);
	struct config_input in = {
		.argc = argc, .argv = argv, .env = environment,
		.machine_memory = machine_memory()
	};
	int r;

	read_surroundings(&in, a);
	r = config_load(c, &in, a, &out);
	if (r == CONFIG_EXIT)
		put_all(1, buf_str(&out));
	else if (r != CONFIG_RUN)
		die(buf_str(&out));
	return r;
}

static int need_roots(const struct config *c)
{
	size_t i;

	for (i = 0; i < c->nupstreams; i++)
		if (c->upstreams[i].tls || c->upstreams[i].backend->signed_aws)
			return 1;
	return 0;
}

static int run_command(int argc, char **argv)
{
	struct command_input in = {
		.argc = argc - 2, .argv = argv + 2, .env = environment
	};

	return command_run(argv[1], &in);
}

int main(int argc, char **argv)
{
	struct proxy *p = &proxy;
	char why_text[1024];
	struct buf why = buf_on(why_text, sizeof why_text);
	struct arena setup;
	int r;

	if (argc > 1 && command_is(argv[1]))
		return run_command(argc, argv);
	setup.cur = mmap(NULL, SETUP_MEMORY, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (setup.cur == MAP_FAILED)
		return die(S("no memory"));
	setup.end = setup.cur + SETUP_MEMORY;
	sandbox_begin();
	p->config = &config;
	p->monitor = &monitor;
	local_init(&p->local);
	if (loop_init(&p->loop) != OK ||
	    loop_random(p->ids.seed, sizeof p->ids.seed) != OK)
		return die(S("the system gives no random bytes or no pipe"));
	r = configure(p->config, argc, argv, &setup);
	if (r != CONFIG_RUN)
		return r == CONFIG_EXIT ? 0 : 1;
	if (p->config->health)
		return health_run(&p->loop, p->config);
	if (p->config->check)
		p->config->workers = 1;
	if (p->config->workers > 1) {
		share_begin();
		p->monitor = share_map_open(sizeof *p->monitor);
		if (!p->monitor)
			return die(S("no memory to share; set WORKERS=1"));
	}
	/* Before keys fill the memory of this process beyond its
	 * configuration, as the child gets a copy. */
	start_helper(p);
	if (need_roots(p->config) && tls_trust(&p->tls, &setup,
	    p->config->cert_file, &why) != OK)
		p->tls_why = buf_str(&why);
	p->now = loop_now();
	if (memory_map(p, p->config->check ? 2 :
	    p->config->connections) != OK)
		return die(S("no address space for the slots; lower MAX_BODY "
		    "or MAX_CONNECTIONS"));
	if (p->config->check) {
		r = check_socket(p->config);
		/* Under the same limits, or it would promise too much. */
		give_up_rights(p);
		return check_run(p) | r;
	}
	if (listen_on(p) != OK)
		return 1;
	open_monitor(p);
	give_up_rights(p);
	banner(p);
	say_problems(p);
	if (p->config->workers > 1) {
		r = workers_run(p);
		if (r != E_MORE)
			return r != OK;
		give_up_rights(p);
	}
	serve_until_told(p);
	close_all(p);
	return is_lost(p);
}
