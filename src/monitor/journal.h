/* journal.h -- the one source of truth of the monitor: lines of JSON.
 *
 * Every line is an object with "v" (1), "seq" (one more each line), "ts" (RFC
 * 3339, UTC, milliseconds), "event" and, but for blobs and segments, "id" (the
 * request's). Lines go into a ring in memory, where the page and the terminal
 * read them by number, and from there to LOG_DIR/structured.jsonl. Nothing
 * here makes a request wait: what finds no room is dropped and counted.
 *
 * Events and their keys, in OpenTelemetry's names where there is one:
 *
 *	cdx.blob	sha kind(message system tool) bytes data
 *	cdx.request	as a client's request was understood
 *	cdx.upstream	one attempt upstream
 *	cdx.first	its first token
 *	cdx.response	its end, whatever end it was
 *	cdx.alert	rule id count detail
 *	cdx.replay	id of
 *	cdx.segment	n started version
 *
 * A blob stands before the first line that names it, and again once its line
 * grows old in the ring or another segment has begun: so whatever a line in
 * the newer half of the ring names is in the ring. The
 * same goes for "base".
 *
 * A message's blob is {"role","content":[blocks]}: a content that was a string
 * is one text block, cache_control is left out, base64 data and signatures are
 * replaced by "[image/png 48 KB sha=...]", secrets by "[redacted KIND len=N]".
 * "data" is null where LOG_BODIES keeps it out of the file; a text too long for
 * a line is {"cdx.cut":"its beginning"}.
 *
 * Keys beside those of the line schema, all optional:
 *
 *	cdx.blob	-
 *	cdx.request	cdx.messages: {"base","keep","add","n","new"}: n messages
 *			in all, of which those from index new on were not in
 *			cdx.prev. base and keep are absent when everything is
 *			in add, though cdx.prev may be known.
 *			cdx.lane: number of an agent that overlap in time gave
 *			away (0: none); cdx.agent.call, .call_request: the
 *			tool_use and the request that spawned this agent, with
 *			cdx.link_by (body, guess)
 *			cdx.agent.name.by; cdx.turn.by; cdx.hints: true when the
 *			client sends its hint headers
 *			cdx.parent_session; cdx.session.was: the name under which
 *			the session was guessed in the lines before
 *	cdx.upstream	cdx.upstream.backend; url.scheme; cdx.body_sha is null for
 *			bodies above 8 KB
 *	cdx.response	cdx.content: shas of blobs of kind "message", in practice
 *			one: the assistant's
 *			cdx.cache.expected, .index, .cost_usd: of a miss
 *			cdx.error: text of the fault
 *			cdx.outcome: done error cut cancelled
 *			cdx.attempts, cdx.bytes_out, cdx.preview
 *			cdx.tool_calls[].hash: of name and arguments; .agent: the
 *			type of agent that the call asks for, null if none
 *
 * Memory is mapped at journal_open and never grows.
 *
 * SPDX-License-Identifier: MIT */
#ifndef JOURNAL_H
#define JOURNAL_H

#include "../core/core.h"

enum {
	JOURNAL_LINE_MAX = 1 << 20,	/* a line; longer blobs are cut */
	JOURNAL_SHA = 32		/* hex digits of a blob's name */
};

enum journal_kind {
	J_BLOB, J_REQUEST, J_UPSTREAM, J_FIRST, J_RESPONSE, J_ALERT, J_REPLAY,
	J_SEGMENT, J_KINDS
};

/* "cdx.blob" and so on. */
struct str journal_kind_name(enum journal_kind kind);

struct journal;

/* ---- reading ---------------------------------------------------------- */

struct journal_line {
	uint64_t seq;
	enum journal_kind kind;
	uint32_t session;	/* journal_key of its session; 0: none */
	struct str text;	/* JSON, without the end of line; valid until the
				 * next line is written */
};

/* The oldest line in memory; equal to journal_next when there is none. */
uint64_t journal_first(const struct journal *j);
/* The number that the next line will get. */
uint64_t journal_next(const struct journal *j);
/* OK; E_NONE: not there any more, or not yet; or a number without a line, as
 * after a restart from a file that lacks some: go on with the next. */
int journal_line(const struct journal *j, uint64_t seq,
    struct journal_line *out);
/* By name, in hex. OK or E_NONE. */
int journal_blob(const struct journal *j, struct str sha,
    struct journal_line *out);
/* The first line of that kind with that request id whose seq is not below
 * from. OK or E_NONE. A look over the index: cheap, but not for every event. */
int journal_find(const struct journal *j, struct str id,
    enum journal_kind kind, uint64_t from, struct journal_line *out);
/* What journal_line.session holds. Never 0. */
uint32_t journal_key(struct str session);

/* ---- answers in flight ------------------------------------------------ */

enum live_kind { LIVE_TEXT, LIVE_THINKING, LIVE_INPUT };

/* Where a watcher stands in the answer of one slot. Zeroed: at the beginning
 * of whatever answer is there. */
struct live_cursor {
	uint32_t answer;	/* which answer of the slot */
	uint32_t at;
	uint32_t block;
};

struct live_piece {
	struct str id;		/* of the request */
	uint32_t session;
	size_t block;		/* index in the answer */
	enum live_kind kind;
	int begins;		/* the first piece of its block; may be empty */
	struct jstr text;	/* escaped; as partial_json for LIVE_INPUT */
	struct str name, call;	/* LIVE_INPUT: the tool's name and the call's
				 * id, plain */
	int lost;		/* the answer outgrew its buffer: the rest comes
				 * only with its blob */
};

/* How many slots there are. */
size_t journal_slots(const struct journal *j);
/* What is new in a slot since the cursor, one block at a time: OK, and call
 * again; E_NONE: nothing. A slot that went on to another answer starts over
 * there; the end of the former one is in its cdx.response. A finished answer
 * stays readable until the slot begins another. */
int journal_live(const struct journal *j, size_t slot, struct live_cursor *c,
    struct live_piece *out);
/* Grows with every byte added to any slot: equal means nothing is new. */
uint64_t journal_live_count(const struct journal *j);

/* ---- exact bytes ------------------------------------------------------ */

enum raw_side {
	RAW_CLIENT_REQUEST, RAW_UPSTREAM_REQUEST, RAW_UPSTREAM_RESPONSE,
	RAW_CLIENT_RESPONSE, RAW_SIDES
};

/* Writes head (start line, fields, empty line) or content of one side of a
 * request, as it was sent or received without transfer coding, secrets masked.
 * OK; E_NONE: not kept or no more, so that a page must rebuild it from records
 * and say so; E_LIMIT: written, but its end was not kept; E_FULL. The last
 * attempt, where there were several. */
int journal_raw(const struct journal *j, struct str id, enum raw_side side,
    int head, struct buf *out);

/* ---- figures ---------------------------------------------------------- */

struct journal_stats {
	uint64_t lines, bytes;	/* ever written to the ring */
	uint64_t ring_used, ring_size;
	uint64_t dropped;	/* lines that missed the file */
	uint64_t waiting;	/* lines not yet handed to the file */
	uint64_t segment;	/* its number; 0: no file */
	uint64_t segment_bytes;
	uint64_t redactions;
	int failing;		/* the file can't be written now */
};
void journal_stats(const struct journal *j, struct journal_stats *out);

/* ---- writing ---------------------------------------------------------- */

enum log_bodies { LOG_BODIES_ALL, LOG_BODIES_ERRORS, LOG_BODIES_NONE };

struct journal_options {
	uint64_t memory;	/* ring, index and names of blobs */
	uint64_t raw;		/* ring of exact bytes; 0: none are kept */
	size_t slots;		/* connections that may be in flight */
	enum log_bodies bodies;
	const struct str *secrets;	/* known values, masked everywhere */
	size_t nsecrets;
};

/* Maps everything. NULL when the system gives no memory: the monitor then
 * does without. */
struct journal *journal_open(const struct journal_options *o);

/* A line begins: v, seq, ts, event and id are written; the caller adds
 * ",\"key\":value" and calls journal_end. Exactly one line is open at a time.
 * id may be empty. session: its journal_key, or 0. */
struct buf *journal_begin(struct journal *j, enum journal_kind kind,
    struct str id, uint32_t session);
/* From here on the line is content, which LOG_BODIES may keep out of the
 * file. */
void journal_private(struct journal *j);
/* Closes the line. Returns its seq; 0 when it was too long, and dropped. */
uint64_t journal_end(struct journal *j);

/* ,"key": and a value, into the open line. Texts lose their secrets. */
void journal_put_key(struct journal *j, const char *key);
void journal_put_text(struct journal *j, const char *key, struct str s);
/* A word of this program, or a name it made: nothing to mask or escape. */
void journal_put_word(struct journal *j, const char *key, struct str s);
						/* null when p is NULL */
void journal_put_int(struct journal *j, const char *key, int64_t v);
void journal_put_bool(struct journal *j, const char *key, int v);
void journal_put_null(struct journal *j, const char *key);
/* Seconds of ms milliseconds. */
void journal_put_seconds(struct journal *j, const char *key, int64_t ms);
/* A text in quotes, without its secrets. */
void journal_quote(struct journal *j, struct buf *b, struct str s);

#endif
