/* eventstream.h -- application/vnd.amazon.eventstream: frames in, messages out.
 *
 * The decoder keeps no copy. It takes whole messages off the front of the
 * input and leaves the rest for next time, so the caller's buffer sets the
 * largest message, beside the cap given here. How the bytes were cut makes no
 * difference. Nothing of a message is shown before all of it was checked;
 * framing can't be found again, so the first violation ends the stream.
 * Writing event streams is not done: no request of ours is one (AW-30).
 *
 * SPDX-License-Identifier: MIT */
#ifndef EVENTSTREAM_H
#define EVENTSTREAM_H

#include "../base/base.h"

enum {
	EVENTSTREAM_PRELUDE = 12,	/* two lengths and their checksum */
	EVENTSTREAM_LEAST = 16,		/* neither headers nor payload */
	EVENTSTREAM_HEADERS_MAX = 131072,	/* the format's own limits */
	EVENTSTREAM_PAYLOAD_MAX = 25165824,
	EVENTSTREAM_VALUE_MAX = 32767
};

enum eventstream_error {
	EVENTSTREAM_FINE,
	EVENTSTREAM_PRELUDE_CRC,
	EVENTSTREAM_LENGTH,
	EVENTSTREAM_MESSAGE_CRC,
	EVENTSTREAM_HEADER,
	EVENTSTREAM_TRUNCATED
};

struct eventstream {
	size_t payload_max;
	enum eventstream_error error;	/* the first one; it stays */
	uint64_t at;		/* offset in the stream of the next message, or
				 * of the bad one */
	size_t need;		/* after E_MORE: bytes that *in must have for
				 * this to go on. More than the caller's buffer
				 * can hold: a message too large for it. */
};

/* Types as the format numbers them. */
enum eventstream_type {
	EVENTSTREAM_TRUE, EVENTSTREAM_FALSE, EVENTSTREAM_BYTE,
	EVENTSTREAM_SHORT, EVENTSTREAM_INT, EVENTSTREAM_LONG,
	EVENTSTREAM_BYTES, EVENTSTREAM_STRING, EVENTSTREAM_TIME,
	EVENTSTREAM_UUID
};

struct eventstream_header {
	struct str name;
	enum eventstream_type type;
	struct str value;	/* its bytes, without a length */
	int64_t number;		/* integers and times (ms); 1 for true; else 0 */
};

struct eventstream_message {
	struct str headers;	/* checked: walking them can't fail */
	struct str payload;
	struct str raw;		/* the whole message */
};

/* payload_max: 0 means EVENTSTREAM_PAYLOAD_MAX, which is also the most. */
void eventstream_init(struct eventstream *d, size_t payload_max);

/* Takes one message off the front of *in. OK: *out has slices of the input,
 * which live until the input moves. E_MORE: *in is unchanged. E_BAD: d->error
 * says why, and every later call says so again. */
int eventstream_next(struct eventstream *d, struct str *in,
    struct eventstream_message *out);
/* The stream is over and `left` is what remained: OK when that is nothing and
 * no error came before, else E_BAD (AW-25). */
int eventstream_end(struct eventstream *d, struct str left);
/* Static text for a message: "message checksum doesn't match", ... */
struct str eventstream_text(enum eventstream_error error);

/* Walks headers: rest = m->headers; while (eventstream_header(&rest, &h)). */
int eventstream_header(struct str *rest, struct eventstream_header *h);
/* Value of the last string header of that name; p NULL if there is none. */
struct str eventstream_get(const struct eventstream_message *m,
    struct str name);

enum eventstream_kind {
	EVENTSTREAM_EVENT,	/* name: :event-type; text: empty */
	EVENTSTREAM_EXCEPTION,	/* name: :exception-type; text: the payload */
	EVENTSTREAM_ERROR,	/* name: :error-code; text: :error-message */
	EVENTSTREAM_SKIP,	/* some other kind of event: to be ignored */
	EVENTSTREAM_ALIEN	/* no kind at all: fatal (AW-26) */
};

enum eventstream_kind eventstream_kind(const struct eventstream_message *m,
    struct str *name, struct str *text);
/* Whether an exception's name is `what` ("throttling"): the case of the first
 * letter and an Exception at the end of either don't count (AW-27). */
int eventstream_is(struct str name, struct str what);

/* The checksum of zlib and gzip (IEEE, reflected). crc 0 to begin with, or the
 * result for the bytes before. */
uint32_t crc32_add(uint32_t crc, struct str bytes);

#endif
