/* credentials.h -- where AWS credentials come from, looked for in one place.
 *
 * The official clients' chain: bearer token, environment, profiles of the
 * shared files (static keys, assumed roles, web identity, a process, IAM
 * Identity Center, `aws login`), web identity of the environment, container
 * endpoint, instance metadata. The first that is configured decides; one that
 * is configured and broken ends the search with a reason, never silently.
 *
 * This waits: for files, processes, services. It is made for the helper's
 * workers and never called by the loop. Memory is the caller's arena. Secrets
 * appear in the result alone, never in a reason.
 *
 * Not done: MFA (nobody could be asked), refreshing `aws login` sessions,
 * instance metadata version 1.
 *
 * SPDX-License-Identifier: MIT */
#ifndef CREDENTIALS_H
#define CREDENTIALS_H

#include "../base/base.h"

enum {
	CREDENTIALS_MEMORY = 4194304,	/* two files of the largest size, the
					 * trusted roots, answers */
	CREDENTIALS_DEADLINE_MS = 90000,	/* a process's 60 s, then a role */
	CREDENTIALS_MODEL_MS = 20000,	/* of a model: keys, then one call */
	CREDENTIALS_CHAIN_MAX = 8,	/* profiles linked by source_profile */
	CREDENTIALS_NAME_MAX = 256	/* of a profile */
};

/* The question when no profile is named: no profile can have this name. */
#define CREDENTIALS_ANY S("]")

struct credentials_input {
	/* getenv-like look-up, so that tests can set it. */
	const char *(*env)(void *ctx, const char *name);
	void *ctx;
	struct str profile;	/* named by our own configuration; empty: by
				 * AWS_PROFILE, then `saml` if there is such a
				 * profile, then `default` */
	struct str region;	/* of our own configuration; empty: AW-100 */
	int64_t now;		/* unix seconds, corrected for skew; 0: ask the
				 * clock */
	struct str cert_file;	/* roots to trust; empty: the system's */
};

/* Either a bearer token, or an id and a secret with or without a token. Slices
 * live as long as the arena or the answer they were read from. */
struct credentials {
	struct str bearer;
	struct str id, secret, token;
	int64_t expires;	/* unix seconds; 0: not known to expire */
	struct str source;	/* for people: "profile dev, role arn:..." */
	struct str region, region_source;	/* "AWS_REGION", "default" */
	int fips, dualstack;	/* asked for by variables or the profile */
	struct str endpoint;	/* URL to use for bedrock-runtime, or empty */
	struct str endpoint_source;
	struct str warning;	/* one line to be said once, or empty */
	int file;		/* straight from a file: costs nothing to read
				 * anew, and changes when somebody logs in */
};

/* OK. E_NONE: nothing is configured anywhere; *why says what can be. E_FAULT:
 * *why names file, profile, line or variable, and what to run. */
int credentials_find(const struct credentials_input *in, struct arena *a,
    struct credentials *out, struct buf *why);

/* Where there could be credentials, by a look at variables and files alone:
 * 1 if credentials_find would find something to try before instance
 * metadata. Quick; for detection at start. */
int credentials_hint(const struct credentials_input *in, struct arena scratch);

/* The result as text for the helper's answer, and back (slices of it).
 * credentials_read: OK or E_BAD. */
void credentials_write(struct buf *b, const struct credentials *c);
int credentials_read(struct credentials *c, struct str text);

/* Seconds for which an answer may be kept: until 5 minutes before it expires
 * (AW-90), then in short steps until it has; a day without an expiry; moments
 * when it comes straight from a file. */
unsigned credentials_keep(const struct credentials *c, int64_t now);

/* For the helper: struct helper_service's serve, for HELPER_CREDENTIALS. ask:
 * the profile's name, or CREDENTIALS_ANY. credentials_setup, before the helper starts,
 * says where to look; *in and what it points to must stay. */
void credentials_setup(const struct credentials_input *in);
int credentials_serve(struct str ask, struct buf *answer, unsigned *keep_s);
/* The same for HELPER_MODEL: which model an application inference profile
 * stands for. ask: its ARN, a blank, and the profile as above. */
int credentials_model_serve(struct str ask, struct buf *answer,
    unsigned *keep_s);

#endif
