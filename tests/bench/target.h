/* target.h -- the programs that are measured: how each is started, and what the
 * kernel says of it. A program is all its processes and threads.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TARGET_H
#define TARGET_H

#include <sched.h>

#include "upstream.h"

enum who { OURS, NGINX, BARE, PEER, WHOS };

/* How it reaches the upstream. The TLS is that of an nginx of its own. */
enum way { PLAIN, TLS_KEPT, TLS_NEW, WAYS };

enum {
	FAMILY = 4,		/* processes of one program */
	START_WAIT_MS = 20000
};

struct target {
	enum who who;
	enum way way;
	int port, nfamily;
	pid_t family[FAMILY];	/* the first is the one started */
	const char *end;	/* stands in every good answer's body */
	const char *stream_end, *event;
	const char *lost;	/* what was wrong with its answer */
};

static const char *const names[WHOS] = { "ours", "nginx", "bare", "router" };
static const char *binaries[WHOS];	/* NULL: not here */
static const char *node;		/* what runs the peer */
static char dir[] = "/tmp/claudecodex-bench-XXXXXX";
static int upstream_port[WAYS];

static void die(const char *what)
{
	printf("VOID: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void run(const char *format, const char *a, const char *b)
{
	char text[1024];

	snprintf(text, sizeof(text), format, a, b);
	if (system(text) != 0)
		die(text);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		die(path);
}

/* ---- what the kernel says ----------------------------------------------- */

static void find_family(struct target *t)
{
	DIR *d = opendir("/proc");
	struct dirent *e;

	t->nfamily = 1;
	while (d && (e = readdir(d)) && t->nfamily < FAMILY) {
		char path[300];
		long parent = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
		f = atoi(e->d_name) > 0 ? fopen(path, "r") : NULL;
		if (f && fscanf(f, "%*d (%*[^)]) %*c %ld", &parent) == 1 &&
		    parent == (long)t->family[0])
			t->family[t->nfamily++] = (pid_t)atoi(e->d_name);
		if (f)
			fclose(f);
	}
	if (d)
		closedir(d);
}

static void each_thread(const struct target *t, void (*f)(const char *task,
    void *x), void *x)
{
	char path[300];
	struct dirent *e;
	DIR *d;
	int i;

	for (i = 0; i < t->nfamily; i++) {
		snprintf(path, sizeof(path), "/proc/%ld/task",
		    (long)t->family[i]);
		d = opendir(path);
		while (d && (e = readdir(d))) {
			snprintf(path, sizeof(path), "/proc/%ld/task/%s",
			    (long)t->family[i], e->d_name);
			if (e->d_name[0] != '.')
				f(path, x);
		}
		if (d)
			closedir(d);
	}
}

static void add_cpu(const char *task, void *sum)
{
	char path[320];
	long long ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/schedstat", task);
	f = fopen(path, "r");
	if (f && fscanf(f, "%lld", &ns) == 1)
		*(int64_t *)sum += ns;
	if (f)
		fclose(f);
}

static int64_t cpu_ns(const struct target *t)
{
	int64_t sum = 0;

	each_thread(t, add_cpu, &sum);
	if (sum == 0)
		die(names[t->who]);
	return sum;
}

static long pss_kb(const struct target *t)
{
	char path[64], line[256];
	long kb = 0;
	FILE *f;
	int i;

	for (i = 0; i < t->nfamily; i++) {
		snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup",
		    (long)t->family[i]);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f))
			if (strncmp(line, "Pss:", 4) == 0)
				kb += strtol(line + 4, NULL, 10);
		if (f)
			fclose(f);
	}
	return kb;
}

static void pin(pid_t pid, int core)
{
	cpu_set_t set;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

static void pin_task(const char *task, void *core)
{
	pin((pid_t)atoi(strrchr(task, '/') + 1), *(int *)core);
}

static void on_core(const struct target *t, int core)
{
	each_thread(t, pin_task, &core);
}

/* ---- how they are started ----------------------------------------------- */

/* Paths are seen from dir. */
static const char nginx_start[] = "daemon off;\nmaster_process off;\n"
	"pid %s.pid;\nerror_log %s.log;\n"
	"events { worker_connections 4096; }\nhttp {\n"
	"access_log access.log;\nclient_body_temp_path body;\n"
	"proxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\n"
	"uwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n"
	"client_max_body_size 32m;\nclient_body_buffer_size 2m;\n"
	"keepalive_requests 1000000;\n"
	"proxy_http_version 1.1; proxy_buffering off;\n"
	"proxy_ssl_trusted_certificate ca.pem; proxy_ssl_verify on;\n"
	"proxy_ssl_name localhost; ssl_certificate leaf.pem;\n"
	"ssl_certificate_key leaf.key; ssl_session_tickets off;\n"
	"ssl_session_cache off;\n"
	"upstream u { server 127.0.0.1:%d; %s }\n%s\n";
static const char pool[] = "keepalive 256; keepalive_requests 1000000;";
static const char keep[] = "proxy_set_header Connection \"\";";

static void nginx_conf(const struct target *t)
{
	char text[4096], name[32], file[40];
	int fresh = t->way == TLS_NEW, n;

	snprintf(name, sizeof(name), "nginx-%d", (int)t->way);
	n = snprintf(text, sizeof(text), nginx_start, name, name,
	    upstream_port[t->way], fresh ? "" : pool, fresh ? "" : keep);
	snprintf(text + n, sizeof(text) - (size_t)n, "server { listen "
	    "127.0.0.1:%d; location / { proxy_pass %s://u; } } }\n", t->port,
	    t->way == PLAIN ? "http" : "https");
	snprintf(file, sizeof(file), "%s.conf", name);
	write_file(file, text);
}

/* Two TLS servers before the upstream; one ends every connection. */
static void terminator_conf(void)
{
	char text[4096];
	int n;

	n = snprintf(text, sizeof(text), nginx_start, "tls", "tls",
	    upstream_port[PLAIN], pool, keep);
	snprintf(text + n, sizeof(text) - (size_t)n,
	    "server { listen 127.0.0.1:%d ssl; location / { "
	    "proxy_pass http://u; } }\nserver { listen 127.0.0.1:%d ssl; "
	    "keepalive_timeout 0; location / { proxy_pass http://u; } } }\n",
	    upstream_port[TLS_KEPT], upstream_port[TLS_NEW]);
	write_file("tls.conf", text);
}

static void peer_conf(const struct target *t, const char *home_name)
{
	char home[64], text[1024], name[96];

	snprintf(home, sizeof(home), "%s/home-%s", dir, home_name);
	run("mkdir -p %s/.claude-code-router", home, "");
	snprintf(text, sizeof(text), "{\"PORT\":%d,\"HOST\":\"127.0.0.1\","
	    "\"LOG\":false,\"NON_INTERACTIVE_MODE\":true,\"Providers\":[{"
	    "\"name\":\"up\",\"api_base_url\":\"http%s://127.0.0.1:%d/v1/"
	    "chat/completions\",\"api_key\":\"k\",\"models\":[\"m\"]}],"
	    "\"Router\":{\"default\":\"up,m\"}}\n", t->port,
	    t->way == PLAIN ? "" : "s", upstream_port[t->way]);
	snprintf(name, sizeof(name), "home-%s/.claude-code-router/config.json",
	    home_name);
	write_file(name, text);
}

/* Becomes the program; its core is the second one from the start. */
static void become_target(const struct target *t, char *const *env,
    const char *out)
{
	char conf[96], name[256], script[256], prefix[] = "-p", file[] = "-c",
	    start_word[] = "start", port[12], up[12];
	char *ours[] = { name, NULL };
	char *nginx[] = { name, prefix, dir, file, conf, NULL };
	char *bare[] = { name, port, up, NULL };
	char *peer[] = { name, script, start_word, NULL };
	char *const *args[WHOS] = { ours, nginx, bare, peer };
	int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* no wrong answer leaves one */
	pin(0, 1);
	snprintf(conf, sizeof(conf), "%s/nginx-%d.conf", dir, (int)t->way);
	snprintf(port, sizeof(port), "%d", t->port);
	snprintf(up, sizeof(up), "%d", upstream_port[t->way]);
	snprintf(name, sizeof(name), "%s", t->who == PEER ? node :
	    binaries[t->who]);
	snprintf(script, sizeof(script), "%s", t->who == PEER ?
	    binaries[PEER] : "");
	dup2(open("/dev/null", O_RDONLY), 0);
	dup2(fd, 1);
	dup2(fd, 2);
	execve(name, args[t->who], env);
	_exit(127);
}

/* logs: names its journal, and the router's home. */
static void spawn(struct target *t, const char *logs)
{
	char env[7][128], out[96], *envp[8];
	int i;

	snprintf(env[0], sizeof(env[0]), "SERVER_PORT=%d", t->port);
	snprintf(env[1], sizeof(env[1]), "OPENAI_BASE_URL=http%s://127.0.0.1:"
	    "%d/v1", t->way == PLAIN ? "" : "s", upstream_port[t->way]);
	snprintf(env[2], sizeof(env[2]), "LOG_DIR=%s/%s", dir, logs);
	snprintf(env[3], sizeof(env[3]), "OPENAI_MODEL=m");
	snprintf(env[4], sizeof(env[4]), "SSL_CERT_FILE=%s/ca.pem", dir);
	snprintf(env[5], sizeof(env[5]), "NODE_EXTRA_CA_CERTS=%s/ca.pem", dir);
	snprintf(env[6], sizeof(env[6]), "HOME=%s/home-%s", dir, logs);
	for (i = 0; i < 7; i++)
		envp[i] = env[i];
	envp[7] = NULL;
	if (t->who == NGINX)
		nginx_conf(t);
	if (t->who == PEER)
		peer_conf(t, logs);
	snprintf(out, sizeof(out), "%s/%s-%d.out", dir, names[t->who],
	    (int)t->way);
	t->nfamily = 1;
	t->family[0] = fork();
	if (t->family[0] < 0)
		die("fork");
	if (t->family[0] == 0)
		become_target(t, envp, out);
}

static void await(int port, const char *name)
{
	int64_t end = now_ms() + START_WAIT_MS;
	int fd;

	while ((fd = dial(port)) < 0) {
		if (now_ms() > end)
			die(name);
		usleep(2000);
	}
	close(fd);
}

/* Chooses its port and starts it; it listens when this returns. */
static void target_start(struct target *t, enum who who, enum way way)
{
	static const char end[] = "\"finish_reason\":\"stop\"";
	int passes = who == NGINX || who == BARE;
	char logs[16];

	memset(t, 0, sizeof(*t));
	t->who = who;
	t->way = way;
	t->end = passes ? end : "end_turn";
	t->stream_end = passes ? "[DONE]" : "message_stop";
	t->event = passes ? "\"content\":\"" :
	    "event: content_block_delta";
	close(listen_free(&t->port));
	snprintf(logs, sizeof(logs), "logs-%d", (int)way);
	spawn(t, logs);
	await(t->port, names[who]);
	find_family(t);
}

static void target_stop(struct target *t)
{
	kill(t->family[0], SIGTERM);
	waitpid(t->family[0], NULL, 0);
}

/* The authority, a certificate of it, and the servers that show it. */
static void terminator_start(void)
{
	static char name[] = "nginx", prefix[] = "-p", file[] = "-c", conf[96];
	static char *const args[] = { name, prefix, dir, file, conf, NULL };
	static char *const env[] = { NULL };

	run("cd %s && { openssl req -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=bench-root "
	    "-addext keyUsage=keyCertSign -keyout ca.key -out ca.pem && "
	    "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
	    "-subj /CN=localhost -keyout leaf.key -out leaf.csr && echo "
	    "subjectAltName=DNS:localhost,IP:127.0.0.1 >leaf.ext && "
	    "openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key "
	    "-CAcreateserial -days 30 -extfile leaf.ext -out leaf.pem; } "
	    ">%s/openssl.log 2>&1", dir, dir);
	close(listen_free(&upstream_port[TLS_KEPT]));
	close(listen_free(&upstream_port[TLS_NEW]));
	terminator_conf();
	snprintf(conf, sizeof(conf), "%s/tls.conf", dir);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execve(binaries[NGINX], args, env);
		_exit(127);
	}
	await(upstream_port[TLS_KEPT], "the TLS server");
}

#endif
