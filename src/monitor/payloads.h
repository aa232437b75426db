/* payloads.h -- LOG_DIR/requests_full: the exact bytes of requests and answers,
 * secrets masked, a file for each side of each request.
 *
 *	req_ID-client-request.http	as the client sent it
 *	req_ID-upstream-request.http	as it left for the model's service
 *	req_ID-upstream-response.http	what that answered
 *	req_ID-client-response.http	what the client got
 *
 * Head, empty line, content without transfer coding; 0600 in a directory 0700,
 * never a link. All together are no larger than the journal's files may be,
 * none is older: the oldest are deleted. Used by the child that writes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef PAYLOADS_H
#define PAYLOADS_H

#include "../base/base.h"

enum { PAYLOADS_NAME = 128 };

struct payloads {
	int fd;			/* the file being written; -1: none */
	int failed;		/* it can't be: the rest of it is passed over */
	uint32_t lost;		/* files that couldn't be */
	char name[PAYLOADS_NAME];
	uint64_t total;		/* bytes of all files, about */
	uint64_t max;
	int64_t age;		/* seconds */
};

/* dir: an open LOG_DIR, which stays open. */
void payloads_tidy(struct payloads *p, int dir);
/* message: a file's name, a zero byte, and what is added to it. */
void payloads_put(struct payloads *p, int dir, struct str message);

#endif
