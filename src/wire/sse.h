/* sse.h -- server-sent events: bytes in, events out (WHATWG HTML 9.2.6).
 *
 * The decoder keeps no copy. It takes whole events off the front of the input
 * and leaves the rest for next time, so the caller's buffer sets the largest
 * event. To join several data lines it moves bytes inside the input itself.
 * What it left must be in front of what it is given next, with new bytes only
 * appended: it goes on where it had stopped looking. A zeroed struct sse is
 * ready.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SSE_H
#define SSE_H

#include "../base/base.h"

struct sse {
	unsigned char begun;	/* a leading byte order mark was looked for */
	unsigned char skip_lf;	/* the last event ended in CR at the input's end */
	size_t seen;		/* bytes of the input's front that hold no whole event */
};

struct sse_event {
	struct str event;	/* empty: "message" */
	struct str data;	/* lines joined by LF */
	struct str id;		/* as of this event only; p NULL if none */
	struct str raw;		/* the bytes of the whole event; empty when it
				 * had several data lines, which were joined */
};

/* Takes one event off the front of *in (blocks that have no data line are
 * dropped on the way). OK: *out is an event, its slices point into the input
 * and live until the input moves. E_MORE: no whole event is left; *in was
 * advanced past whatever was dropped (comments, dataless blocks).
 * end: the stream is over, so a last event without its blank line counts
 * (which WHATWG would drop, and model servers send).
 * in's bytes may be changed: it must point into writable memory. */
int sse_next(struct sse *d, struct str *in, int end, struct sse_event *out);

/* How much of s is whole events: up to its last blank line; 0 when none ends
 * behind offset from. For who passes them on without reading them. */
size_t sse_whole(struct str s, size_t from);

#endif
