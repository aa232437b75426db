/* aws.h -- what the files of the credential chain share. Not for others:
 * credentials.h is the door.
 *
 * A source is a function of a struct lookup that fills a struct credentials.
 * It returns OK; E_NONE when it isn't configured, so that the next is asked;
 * E_FAULT when it is and fails, with the reason in l->why; E_FULL.
 *
 * SPDX-License-Identifier: MIT */
#ifndef AWS_H
#define AWS_H

#include "credentials.h"
#include "fetch.h"
#include "ini.h"

enum {
	AWS_FETCH_MS = 10000,	/* one call to STS or SSO */
	AWS_TRIES = 3		/* AW-121 */
};

struct aws_file {
	struct str path, text;
};

struct lookup {
	const struct credentials_input *in;
	struct arena *a;
	struct buf *why;
	int64_t now;
	struct str home;
	struct aws_file config, shared;
	struct tls_shared *tls;	/* NULL until needed */
};

/* Ends a function with a reason made of several parts:
 *	return FAULT(l, S("profile "), name, S(" is not there")); */
#define FAULT(l, ...) aws_fault(l, (const struct str[]){ __VA_ARGS__ }, \
	sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))
int aws_fault(struct lookup *l, const struct str *part, size_t n);

#define JOIN(l, ...) aws_join(l, (const struct str[]){ __VA_ARGS__ }, \
	sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))
/* In the arena, with a NUL after it; p NULL when full. */
struct str aws_join(struct lookup *l, const struct str *part, size_t n);

/* A variable, trimmed; empty when unset or blank. */
struct str aws_env(const struct lookup *l, const char *name);
/* A whole file into the arena. OK; E_NONE when it can't be opened; E_LIMIT;
 * E_FAULT when it can't be read to its end; E_FULL. path ends in a NUL (see
 * aws_join). */
int aws_read(struct lookup *l, struct str path, size_t max, struct str *text);

/* A setting of a profile: credentials file first for aws_*, config file first
 * for the rest (AW-57). Empty when absent. */
struct str aws_setting(const struct lookup *l, struct str profile,
    const char *key);
int aws_has_profile(const struct lookup *l, struct str profile);
/* "profile X (FILE line N)" for a reason. */
struct str aws_where(struct lookup *l, struct str profile);

/* AW-101: one host label. */
int aws_region_ok(struct str region);
/* And what is written for one: fips-X and X-fips are X, with *fips set. */
struct str aws_region_plain(struct str region, int *fips);
/* AW-112: "amazonaws.com" or what the region's partition has. */
struct str aws_suffix(struct str region);
/* Base URL of a service without the last slash: its variable,
 * AWS_ENDPOINT_URL, the profile's services and endpoint_url (AW-110). *from
 * gets what set it. Empty: none. */
struct str aws_endpoint(const struct lookup *l, struct str profile,
    const char *variable, const char *service, const char **from);

/* One call, repeated on 5xx, 429 and connection errors (AW-121). ms: for each
 * try. tries: 1 to AWS_TRIES. retry: may be NULL; says of an answer that would
 * be final whether it should be tried again all the same. */
int aws_fetch(struct lookup *l, const struct fetch *f, int64_t ms, int tries,
    int (*retry)(const struct fetch_answer *answer),
    struct fetch_answer *out);

/* The JSON document of credential_process, container and metadata. what names
 * the source in reasons; token: name of the member with the session token.
 * need_all: token and Expiration must be there. */
int aws_document(struct lookup *l, struct str text, struct str what,
    struct str token, int need_all, struct credentials *out);

/* The sources. */
int aws_process(struct lookup *l, struct str profile, struct str command,
    struct credentials *out);
int aws_sso(struct lookup *l, struct str profile, struct credentials *out);
int aws_login(struct lookup *l, struct str profile, struct str session,
    struct credentials *out);
int aws_container(struct lookup *l, struct credentials *out);
int aws_metadata(struct lookup *l, struct str profile,
    struct credentials *out);
/* Region of the instance; empty when it can't be had. */
struct str aws_metadata_region(struct lookup *l, struct str profile);
/* Takes on the role that the profile names, with *c's keys; *c gets those of
 * the role. */
int aws_assume(struct lookup *l, struct str profile, struct credentials *c);
/* The model's name behind an application inference profile; profile: of the
 * shared files, for its endpoint. OK, E_FAULT, E_FULL. */
int aws_profile_model(struct lookup *l, struct str profile,
    const struct credentials *c, struct str arn, struct str *model);
/* The values may come from a profile or from variables; name may be empty. */
int aws_web_identity(struct lookup *l, struct str profile, struct str file,
    struct str role, struct str name, struct credentials *out);

#endif
