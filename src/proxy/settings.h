/* settings.h -- the table of settings, as config.c reads it.
 *
 * Each setting has one effective value and a source (config.h). A reader's
 * errors are E_FAULT with one line in *out that names the variable, where its
 * value came from and, unless it is a secret, the value.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "config.h"

/* In the order and the groups in which --help lists them. */
enum set {
	BACKEND, MODEL_MAP,
	HOST, PORT_, SOCKET, NAMES, PROXY_KEY,
	OPENAI_KEY, OPENAI_URL, OPENAI_MODEL, OPENAI_PROFILE, OPENAI_FLAGS,
	ANTHROPIC_KEY, ANTHROPIC_URL, ANTHROPIC_MODEL,
	AWS_PROFILE, AWS_REGION, BEDROCK_MODEL, BEDROCK_OPUS, BEDROCK_SONNET,
	BEDROCK_HAIKU, BEDROCK_API, BEDROCK_URL, BEDROCK_PREFIX,
	BEDROCK_BETAS, BEDROCK_GUARD, BEDROCK_GUARD_VERSION,
	BEDROCK_GUARD_TRACE, BEDROCK_LATENCY, BEDROCK_TIER, BEDROCK_BILLING,
	CERT_FILE, HTTPS_PROXY, NO_PROXY,
	MONITOR_TOKEN, MONITOR_REPLAY, MONITOR_MEM, RAW_MEM, PRICES,
	SPEND_SESSION, SPEND_HOUR, SPEND_DAY, ALERT_CMD, NO_COLOR,
	LOG_DIR, LOG_BODIES, LOG_FULL, LOG_MB, LOG_KEEP, LOG_DAYS, LOG_MAX,
	OTLP_URL, OTLP_TRACES, OTLP_HEADERS, OTLP_PROTOCOL,
	MAX_BODY, MAX_MEMORY, MAX_CONN, CLIENT_CONN, WORKERS, SANDBOX,
	HEADER_T, BODY_T, KEEPALIVE_T, WRITE_T, CONNECT_T, FIRST_T, IDLE_T,
	DRAIN_T, SETS
};

struct reader {
	struct config *c;
	const struct config_input *in;
	struct arena *a;
	struct buf *out;
	struct fault f;
};

/* Every setting's value by precedence. CONFIG_RUN, CONFIG_EXIT or E_FAULT as
 * config_load. */
int settings_read(struct reader *r);
struct setting *setting(const struct config *c, enum set s);
struct str setting_value(const struct config *c, enum set s);
/* Not the default, and not empty. */
int setting_given(const struct config *c, enum set s);
int setting_bad(struct reader *r, enum set s, struct str why);
/* A value as seconds (fractions allowed), as bytes (k, m or g allowed), as
 * MiB (or bytes with a unit), as a number; both limits are inclusive. */
int setting_ms(struct reader *r, enum set s, int64_t *out);
int setting_bytes(struct reader *r, enum set s, uint64_t min, uint64_t max,
    uint64_t *out);
int setting_megabytes(struct reader *r, enum set s, uint64_t *out);
int setting_number(struct reader *r, enum set s, uint64_t min, uint64_t max,
    uint64_t *out);
/* The line of .env that sets name (the last one wins), and its value; 0:
 * none. */
int settings_dotenv(struct str text, const char *name, struct str *out);
/* --check's table: every effective value and its source, secrets masked. */
void settings_print(const struct config *c, struct buf *out);

#endif
