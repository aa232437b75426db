/* config.h -- flags, environment, .env, defaults; and where each came from.
 *
 * Precedence: flag, environment, .env of the current directory, default.
 * A value that can't be right stops the start with one line that names the
 * variable and where it was set. Secrets are never taken from flags (they'd
 * show in the process list) nor printed.
 *
 * SPDX-License-Identifier: MIT */
#ifndef CONFIG_H
#define CONFIG_H

#include "../backend/backend.h"
#include "../monitor/monitor.h"

enum {
	UPSTREAMS_MAX = 4,	/* one per backend */
	ROUTES_MAX = 64,	/* entries of MODEL_MAP */
	SECRETS_MAX = 12,
	SETTINGS_MAX = 96,
	CONFIG_AWS = 4		/* AWS_ variables that .env may set */
};

enum source { FROM_DEFAULT, FROM_DOTENV, FROM_ENVIRONMENT, FROM_FLAG,
	FROM_DETECTION };

/* One effective value, for --check. */
struct setting {
	const char *name;
	const char *alias;	/* the name it was found under, if another */
	struct str value;	/* as given or defaulted */
	enum source source;
	int line;		/* of .env */
	int secret;
};

struct route {
	struct str pattern;	/* model name; may hold * and ? */
	int glob;
	size_t upstream;	/* index */
	struct str model;	/* of the upstream */
};

struct config {
	struct str host;	/* empty: both loopback addresses */
	unsigned port;
	int tcp;		/* listens on these; else they are empty and 0 */
	struct str socket;	/* path of a Unix socket; empty: none */
	struct str proxy_key;	/* empty: none asked */
	struct str names[16];	/* further Host names that are ours */
	size_t nnames;
	struct upstream upstreams[UPSTREAMS_MAX];
	size_t nupstreams, chosen;	/* chosen: LLM_BACKEND's, the default */
	struct route routes[ROUTES_MAX];
	size_t nroutes;
	int64_t header_ms, body_ms, keepalive_ms, write_ms, connect_ms,
	    first_byte_ms, idle_ms, drain_ms;
	struct str aws_profile, aws_region;	/* set here: by flag or .env. The
					 * environment's own are read where
					 * credentials are looked for */
	const char *aws_env[CONFIG_AWS];	/* variables of .env that are not
					 * in the environment; NULL: not there */
	struct str log_dir;
	uint64_t log_max_bytes;
	enum log_bodies log_bodies;
	int log_full;		/* LOG_FULL_PAYLOADS */
	uint64_t max_body, max_memory;
	uint64_t monitor_memory, raw_memory;
	uint64_t segment_max;	/* of one file of the journal */
	unsigned log_keep, log_days;
	struct str prices_file;
	struct otlp_options otlp;
	uint64_t spend_session, spend_hour, spend_day;	/* 10^-12 USD; 0: no
							 * alert */
	struct str alert_cmd;	/* empty: none */
	unsigned connections;	/* client connections served at once */
	unsigned per_client;	/* of one address, unless it is loopback */
	unsigned workers;	/* processes that do */
	struct str cert_file;
	int have_proxy;		/* HTTPS_PROXY */
	struct str proxy_host, proxy_auth;	/* auth: Basic credentials, plain
						 * user:password; empty: none */
	unsigned proxy_port;
	struct str no_proxy;
	int sandbox;		/* give up rights after start */
	int colour;		/* -1: by the terminal */
	struct str secrets[SECRETS_MAX];	/* known values, for masking */
	size_t nsecrets;
	int monitor_on;		/* /dashboard answers */
	int monitor_replay;	/* and may send requests of its own */
	struct str monitor_token;	/* empty: none asked */
	int check, health;	/* --check, --health were given */
	int demo_by_default;	/* nothing was configured */
	/* Said at start and by --check: two of each upstream and four. */
	struct str warnings[UPSTREAMS_MAX * 2 + 4];
	size_t nwarnings;
	struct setting settings[SETTINGS_MAX];
	size_t nsettings;
};

enum { CONFIG_RUN = 0, CONFIG_EXIT = 4 };

/* How many people but uid can log in, by the text of /etc/passwd: those with a
 * number people get and a shell. */
unsigned config_people(struct str passwd, uint64_t uid);

/* Reads everything. getenv-like lookup and the .env text come in as
 * arguments, so that tests can set them; memory is the arena's, for good.
 * CONFIG_RUN; CONFIG_EXIT (--help or --version: the text is in *out);
 * E_FAULT: one line in *out. cpus, memory: of the machine, for defaults. */
struct config_input {
	int argc;
	char *const *argv;
	const char *(*env)(void *ctx, const char *name);
	void *ctx;
	struct str dotenv;	/* contents, empty if there is none */
	int dotenv_open;	/* other users can read it */
	unsigned people;	/* users of this machine who can log in, without
				 * the one that runs this */
	uint64_t machine_memory;	/* bytes; 0: not known */
};
int config_load(struct config *c, const struct config_input *in,
    struct arena *a, struct buf *out);
/* The table of --check: every effective value and its source, secrets masked,
 * then what is missing and which variable sets it. */
void config_print(const struct config *c, struct buf *out);
/* True if host is exempt from HTTPS_PROXY (NO_PROXY: names, .suffixes, *,
 * addresses, optional :port). Loopback is always exempt. */
int config_no_proxy(const struct config *c, struct str host, unsigned port);

/* For the look-up of AWS credentials: the environment, and for the keys
 * themselves .env after it. */
const char *config_aws_env(const struct config *c,
    const struct config_input *in, const char *name);

/* ---- routing (route.c) ------------------------------------------------ */

struct destination {
	struct upstream *up;
	struct str model;	/* for the upstream */
	struct str by;		/* the pattern that matched, "default" */
};

/* Exact, then glob in the order written, then the chosen backend's default;
 * a trailing [1m] is taken off first (AN-28, OA-6). model: plain text. Never
 * fails for a claude-* name when a default model exists; E_FAULT otherwise
 * with a message that names the variable to set. A backend without default
 * model gets the client's name. */
int route_pick(struct config *c, struct str model, struct destination *d,
    struct fault *f);
/* Reads MODEL_MAP into c->routes. */
int route_read(struct config *c, struct str map, struct arena *a,
    struct fault *f);
/* One more, after those of MODEL_MAP. Nothing when there is no room. */
void route_add(struct config *c, struct str pattern, size_t upstream,
    struct str model);

#endif
