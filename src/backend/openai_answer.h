/* openai_answer.h -- what the parts of the receiving side share.
 *
 * openai_decode.c  frames; usage; the end
 * openai_chunk.c   what one chunk, or a whole answer, says
 * openai_text.c    text and reasoning on their way to the client
 * openai_calls.c   tool calls put together from pieces
 * openai_piece.c   memory, ropes, characters cut in two
 * openai_envelope.c  what an upstream wants to see again
 * openai_repair.c  arguments that are not quite JSON
 *
 * Memory is the call's arena, used from both ends: tokens of the chunk in hand
 * come off the front and are given back with it, what has to outlive the
 * chunk comes off the end. Lack of room is sticky (state.full) and looked at
 * once a chunk.
 *
 * SPDX-License-Identifier: MIT */
#ifndef OPENAI_ANSWER_H
#define OPENAI_ANSWER_H

#include "openai.h"
#include "../wire/sse.h"

enum {
	LINK_MIN = 256,		/* pieces are about a token long: some fifty */
	CALLS_MAX = 512,	/* one answer; each is looked up linearly */
	BAD_CHUNKS_MAX = 3,	/* in a row that aren't JSON (OA-74) */
	TRAIL_MS = 2000,	/* for usage after the finish (OA-78) */
	TAG_MAX = 11,		/* the longest think tag: </thinking> */
	CALL_MARK = 16		/* of a call written as text, the longest */
};

/* Escaped text kept in pieces. A piece is never divided, so no escape is. */
struct link {
	struct link *next;
	size_t n, cap;		/* the bytes follow */
};

struct rope {
	struct link *first, *last;
	size_t n;
};

/* The end of a piece that was cut inside a character (OA-79): a high
 * surrogate's escape, or bytes of a UTF-8 sequence. */
struct carry {
	unsigned char n, escape;
	char p[6];
};

enum think_state {
	TH_DONE,		/* visible text, whatever it holds */
	TH_START,		/* nothing but blanks yet: a tag may come */
	TH_IN,			/* reasoning, up to the end tag */
	TH_AFTER		/* blanks behind the end tag */
};

struct think {
	enum think_state state;
	unsigned char tag;	/* of the tags, which is open */
	unsigned char skip;	/* blanks just behind the start tag */
	unsigned char n;	/* of a tag's beginning, held */
	char held[TAG_MAX];
	struct rope lead;	/* blanks before a tag or the text */
};

/* Stop sequences, unescaped (7.4). */
struct stops {
	struct str *v;
	size_t n, longest;
	unsigned char first[256];	/* bytes one of them begins with */
	char *live;		/* end of the text that may become one */
	size_t nlive, out;	/* how much of it has been sent already */
};

enum slot_state { SLOT_WAIT, SLOT_OPEN, SLOT_CLOSED };

struct slot {
	struct slot *next;
	enum slot_state state;
	int has_index;
	int64_t index;
	size_t chunk;		/* the last that had a part of it */
	struct jstr id, name;	/* as the upstream gave them */
	struct jstr sig;	/* Gemini's thought signature */
	struct slot *twin;	/* of which this may be a repetition (OA-92) */
	unsigned char begun;	/* arguments: something but blanks */
	unsigned char odd;	/* they don't begin with a brace */
	unsigned char whole;	/* emitted in one piece, put right before */
	unsigned char sent_sig;	/* it is in an envelope */
	unsigned char unshown;	/* no EV_PIECE: one would be missing */
	struct carry carry;
	struct json_scan scan;
	struct rope args;
	struct link *sent;	/* the link emission stands in, and where */
	size_t sent_at;
	size_t nout;		/* the id as the client knows it */
	char out[ID_MAX * 4];
};

/* One entry of OpenRouter's reasoning_details, put together (OA-65). */
struct detail {
	struct detail *next;
	struct str type, index, id, format, signature;	/* raw JSON */
	struct rope text, summary, data;
	struct str raw;		/* of a type we don't know: as it came */
};

enum cut { CUT_NONE, CUT_STOP, CUT_PARALLEL };
enum mode { MODE_UNKNOWN, MODE_SSE, MODE_JSON };

struct openai_state {
	struct openai_sent sent;	/* encode's; must come first */
	const struct openai_flags *flags;
	enum mode mode;
	struct sse sse;
	int full;		/* the arena is; sticky */
	int over;		/* what decode said at the end; 0: not yet */
	size_t chunk;		/* ordinal */
	int bad;		/* chunks in a row that weren't JSON */
	int repaired;		/* this chunk had ill-formed UTF-8: its bytes
				 * stand as \udcXX in our copy */
	int done;		/* [DONE] was seen */
	int whole;		/* one JSON answer, not a stream */

	/* Text and reasoning. */
	struct carry content, thought;
	struct think think;
	size_t prefill_at;	/* matched so far */
	int prefill_on;
	struct stops stops;
	struct rope blank, rblank;	/* held until something follows */
	struct rope later_text, later_thought;	/* while a call is open */
	struct rope reasoning;	/* all of it, for the end and the cache */
	struct rope hidden;	/* what no envelope has yet (display omitted) */
	int lost;		/* some of either didn't fit */
	int texts;		/* text blocks opened */
	int any;		/* the upstream said something */
	int server_thinks;	/* reasoning came in a field of its own */
	struct detail *details, *last_detail;
	struct detail *unsent;	/* the first that no envelope has yet */

	/* Calls. */
	struct slot *slots, *last_slot, *current, *open;
	struct slot *shown;	/* the last whose pieces the owner saw */
	size_t nslots;
	struct jstr stray_sig;	/* signature that came before its call */
	int finishing;		/* no more pieces will come */
	int gathering;		/* don't open yet */

	/* The end. */
	enum cut cut;
	struct jstr stop_hit;
	struct jstr finish;	/* empty: not seen */
	struct jstr stopped_at;	/* vLLM says which sequence it was */
	int refused;
	struct rope refusal;
	struct rope maybe_call;	/* text that may be a call (OA-109) */
	int plain;		/* it isn't */
	unsigned char nmark;	/* bytes of a mark of such text, matched so far */
	unsigned char wrote_call;	/* one stood in the text */
	char mark[CALL_MARK];
	int have_usage;
	struct usage usage;
	uint64_t estimate;	/* of the output, in hundredths of a token */
	struct alike alike;	/* chunks that say nothing but text */
};

static inline struct openai_state *openai_state(const struct call *c)
{
	return c->state;
}

/* ---- openai_chunk.c ---- */

/* The parts of a chunk or of a whole answer; absent ones are absent. */
struct chunk {
	struct jv root, error, usage, tier;
	int any_choice;
	struct jv delta, message, finish, stop;	/* of the choice */
};

/* named_error: the event's name says that it is one. */
struct chunk chunk_read(const struct json *doc, int named_error);
void chunk_delta(struct call *c, struct jv delta);
/* The message of a whole answer. Its calls are put together first, so that an
 * envelope can name them, and go out with calls_finish. */
void chunk_message(struct call *c, struct jv message);
void chunk_finish(struct call *c, const struct chunk *k);
/* Remembers the chunk, if text is all it says. */
void chunk_learn(struct call *c, const struct chunk *k);
/* Takes a chunk that is like the one remembered: 1, else 0. */
int chunk_alike(struct call *c, struct str data);
/* At the end: was the text a call (OA-109)? Else it is text after all. */
void chunk_maybe_call(struct call *c);

/* ---- openai_piece.c ---- */

void *keep_get(struct call *c, size_t n);	/* NULL: full; zeroed */
struct str keep_str(struct call *c, struct str s);
void rope_put(struct call *c, struct rope *r, struct str piece);
void rope_clear(struct rope *r);
static inline struct str link_str(const struct link *l)
{
	return (struct str){ (const char *)(l + 1), l->n };
}
/* The whole, in one piece: in the arena, at its front. p NULL: full. */
struct str rope_flat(struct arena *a, const struct rope *r);

/* Code point of the character at s.p[*at], which is moved past it. */
uint32_t jchar(struct str s, size_t *at);
int jchar_blank(uint32_t ch);
int jstr_blank(struct jstr s);	/* empty counts */

/* Gives the piece to out in whole characters, with what was held before it;
 * keeps a cut end for next time. */
void carry_pass(struct call *c, struct carry *k, struct jstr piece,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg);
/* The held end, which nothing follows: U+FFFD. */
void carry_flush(struct call *c, struct carry *k,
    void (*out)(struct call *c, void *arg, struct jstr piece), void *arg);
/* answer_text without lone surrogates. */
void emit_text(struct call *c, struct jstr piece);

/* ---- openai_text.c ---- */

void text_begin(struct call *c);
void text_content(struct call *c, struct jstr piece);
void text_reasoning(struct call *c, struct jstr piece);
/* Gives out what filters hold back: nothing joins on to it. */
void text_flush(struct call *c);
/* What waited for a call to close. */
void text_later(struct call *c);
/* Closes whatever is open; a thinking block gets its signature first. */
void text_close(struct call *c);
/* Before a call opens: what only an envelope can carry gets one, in a thinking
 * block without text. */
void text_carrier(struct call *c, int needed);

/* ---- openai_envelope.c ---- */

/* Takes the elements of a reasoning_details array, if they must return. */
void envelope_details(struct call *c, struct jv details);
/* The JSON for a thinking block's signature: what none had so far. */
void envelope_write(struct buf *b, struct call *c);
/* What the cache keeps for one call (OA-66). sparse: the thought signature
 * alone. */
void envelope_keep(struct buf *b, struct call *c, const struct slot *s,
    int sparse);

/* ---- openai_calls.c ---- */

void calls_take(struct call *c, struct jv call);
void calls_signature(struct call *c, struct jstr sig);
/* Opens, continues and closes what can be. */
void calls_pump(struct call *c);
/* No more pieces will come. */
void calls_finish(struct call *c);
/* 1 if a call was begun and isn't complete. */
int calls_incomplete(const struct call *c);
/* Opaque data into the cache (OA-66). */
void calls_keep(struct call *c);
struct str slot_out(const struct slot *s);
/* Decides which id the client gets to see. */
void calls_id(struct call *c, struct slot *s);
/* The tool of the request that an upstream's name means; NULL: none. */
const struct openai_name *calls_name(const struct call *c, struct jstr *name);

/* ---- openai_repair.c ---- */

/* Arguments as they came (unescaped) -> a JSON object, compact (OA-105), in
 * the arena. p NULL: full. */
struct str repair_object(struct arena *a, struct call *c, struct str text);
/* The shortest end that makes text, the beginning of a JSON value, one. OK, or
 * E_BAD when text isn't such a beginning. */
int repair_suffix(struct buf *b, struct str text);

#endif
