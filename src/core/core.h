/* core.h -- the canonical form: Anthropic's request as slices, its stream
 * events as a small tagged union, faults, notes, ids, token estimates.
 *
 * Pure: time, ids and memory come in as arguments. Text stays escaped
 * (struct jstr) from the client's bytes to the upstream's and back.
 *
 * SPDX-License-Identifier: MIT */
#ifndef CORE_H
#define CORE_H

#include "../wire/json.h"

/* ---- faults: what went wrong, as a client will read it ---------------- */

enum { FAULT_TEXT_MAX = 600 };	/* an upstream's own words, cut */

struct fault {
	int status;		/* HTTP status: 400..599 */
	const char *type;	/* Anthropic's error type; static */
	int retry_after;	/* seconds; -1: not stated */
	int should_retry;	/* x-should-retry: 0 false, 1 true, -1 absent */
	const char *code;	/* error.details.error_code; static; NULL: none */
	size_t n;
	char text[FAULT_TEXT_MAX];	/* well-formed UTF-8, not escaped */
};

/* Sets status, the type that belongs to it (spec AN section 6), no retry
 * hints, and the message from the parts, cut at a whole character. */
void fault_set(struct fault *f, int status, const struct str *parts, size_t n);
#define FAULT(f, status, ...) \
	fault_set((f), (status), (const struct str[]){ __VA_ARGS__ }, \
	    sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))
struct str fault_text(const struct fault *f);
const char *fault_type(int status);
/* {"type":"error","error":{...},"request_id":"..."} */
void fault_write(struct buf *b, const struct fault *f, struct str request_id);

/* Writes text without what must not be shown: the secrets, each wherever it
 * stands, and everything shaped like a key ("sk-...", "Bearer ...", "AKIA...",
 * "AIza...", "ghp_..."), as "***". */
void mask_secrets(struct buf *b, struct str text, const struct str *secrets,
    size_t n);

/* ---- notes: what translation did to the request ----------------------- */

enum { NOTES_MAX = 48 };	/* distinct; more are only counted */

enum note_kind {
	NOTE_DROPPED, NOTE_RENAMED, NOTE_CLAMPED, NOTE_MERGED, NOTE_CHANGED,
	NOTE_ADDED
};

struct note {
	enum note_kind kind;
	struct str field;	/* path in the client's request: "top_k" */
	struct str why;
	unsigned count;
};

struct notes {
	struct note v[NOTES_MAX];
	size_t n;
	unsigned lost;		/* that found no room */
};

/* One per (kind, field); repetitions are counted. The strings must live as
 * long as the notes: literals or the request's arena. */
void note(struct notes *ns, enum note_kind kind, struct str field,
    struct str why);
const char *note_kind_name(enum note_kind kind);

/* ---- ids -------------------------------------------------------------- */

/* Unpredictable to others, repeatable for tests: SHA-256(seed, counter). */
struct ids {
	unsigned char seed[32];
	uint64_t n;
};

enum { ID_MAX = 32 };

/* prefix (up to 7 bytes) and 24 base62 characters into out. */
struct str id_new(struct ids *ids, struct str prefix, char out[ID_MAX]);

/* ---- the request ------------------------------------------------------ */

enum role { ROLE_USER, ROLE_ASSISTANT, ROLE_SYSTEM };

enum block_type {
	B_TEXT, B_IMAGE, B_DOCUMENT, B_SEARCH_RESULT, B_THINKING,
	B_REDACTED_THINKING, B_TOOL_USE, B_TOOL_RESULT, B_TOOL_REFERENCE,
	B_BROWSER_STATE, B_SERVER_TOOL_USE,
	B_SERVER_TOOL_RESULT,	/* web_search_tool_result and its kin */
	B_MCP,			/* mcp_tool_use, mcp_tool_result, ..._listing */
	B_CONTAINER_UPLOAD, B_COMPACTION, B_FALLBACK, B_TOOL_ADDITION,
	B_TOOL_REMOVAL, B_UNKNOWN
};

enum source_kind {
	SOURCE_NONE, SOURCE_BASE64, SOURCE_TEXT, SOURCE_CONTENT, SOURCE_URL,
	SOURCE_FILE, SOURCE_UNKNOWN
};

enum cache_mark { CACHE_NONE, CACHE_5M, CACHE_1H };

/* Members that a block may have; block.c reads them, whatever the type. */
enum block_member {
	M_TYPE, M_TEXT, M_SOURCE, M_TITLE, M_CONTEXT, M_CONTENT, M_ID, M_NAME,
	M_INPUT, M_TOOL_USE_ID, M_IS_ERROR, M_THINKING, M_SIGNATURE, M_DATA,
	M_TOOL_NAME, M_FILE_ID, M_CACHE, M_CITATIONS, BLOCK_MEMBERS
};
extern const struct str block_members[BLOCK_MEMBERS];

/* One of them in a set; the set of a block has BLOCK_MEMBERS in it when there is
 * a member of any other name. */
#define MEMBER(m) ((uint32_t)1 << (m))

struct block {
	enum block_type type;
	uint32_t members;		/* the set of those it has */
	enum source_kind source;	/* image, document */
	enum cache_mark cache;
	int is_error;			/* tool_result */
	struct jstr text;	/* text; thinking; data of redacted_thinking;
				 * content (summary) of compaction;
				 * source of search_result */
	struct jstr signature;		/* thinking */
	struct jstr id;			/* tool_use id; tool_use_id of a result */
	struct jstr name;		/* tool name; tool_name of a reference */
	struct jstr media_type;		/* source */
	struct jstr data;		/* source: data, url or file_id */
	struct jstr title, context;	/* document, search_result (title) */
	struct str input;		/* tool_use: raw JSON; "{}" if absent */
	struct block *content;		/* tool_result, search_result, document
					 * with SOURCE_CONTENT, these two inside
					 * a tool_result too; a string is one
					 * text block */
	size_t ncontent;
	struct jv json;			/* the whole block as it came; absent
					 * for a text made from a string */
};

struct message {
	enum role role;
	struct block *blocks;		/* empty text blocks are left out, AN-11 */
	size_t n;
	int clear_at_next_user;		/* system: clear_at:"next_user_message" */
	struct jv json;
};

enum tool_kind {
	TOOL_CLIENT,			/* a schema of the client's own */
	TOOL_BASH, TOOL_TEXT_EDITOR, TOOL_MEMORY, TOOL_COMPUTER,
	TOOL_TOOLSET,			/* computer_toolset_*, browser_toolset_* */
	TOOL_SERVER			/* run by Anthropic */
};

struct tool {
	enum tool_kind kind;
	enum cache_mark cache;
	int strict, defer_loading;
	struct jstr type;		/* empty for client tools */
	struct jstr name;
	struct jstr description;	/* raw.p NULL: absent */
	struct jv schema;		/* input_schema; may be absent */
	struct jv json;
};

enum tool_choice { CHOICE_ABSENT, CHOICE_AUTO, CHOICE_ANY, CHOICE_TOOL,
	CHOICE_NONE };
enum thinking { THINKING_ABSENT, THINKING_DISABLED, THINKING_BETWEEN_TOOLS,
	THINKING_ENABLED, THINKING_ADAPTIVE };
enum effort { EFFORT_UNSET, EFFORT_NONE, EFFORT_MINIMAL, EFFORT_LOW,
	EFFORT_MEDIUM, EFFORT_HIGH, EFFORT_XHIGH, EFFORT_MAX };
enum display { DISPLAY_SUMMARIZED, DISPLAY_OMITTED, DISPLAY_UPDATES };

struct request {
	struct str body;		/* the client's bytes */
	struct jv json;			/* its root */
	struct jstr model;		/* as asked, [1m] still on */
	struct jv model_json;		/* the string value, to splice another */
	int64_t max_tokens;		/* -1: absent (count_tokens only) */
	int stream;
	struct block *system;		/* text blocks (others kept by type) */
	size_t nsystem;
	struct message *messages;
	size_t nmessages;
	struct tool *tools;
	size_t ntools;
	enum tool_choice choice;
	struct jstr choice_name;
	int no_parallel;		/* disable_parallel_tool_use */
	struct str temperature, top_p, top_k;	/* number text; empty: absent */
	struct jstr *stops;
	size_t nstops;
	enum thinking thinking;
	enum display display;
	int64_t thinking_budget;
	enum effort effort;		/* of output_config.effort */
	struct jv format;		/* output_config.format or output_format */
	struct jstr user_id;
	int standard_only;		/* service_tier */
	int wants_edits;		/* context_management given */
	enum cache_mark cache;		/* top level, automatic */
};

/* Reads and checks a parsed body (AN-10). OK, E_FAULT (*f set: 400, message
 * begins with the JSON path), or E_FULL (arena). count: the shape of
 * count_tokens, where max_tokens is optional. Unknown top-level keys and
 * blocks are noted, never refused (AN-9, AN-12). */
int request_parse(struct request *r, const struct json *doc, int count,
    struct arena *a, struct notes *notes, struct fault *f);

/* For backends that translate: a note (dropped, why) for each member inside
 * messages, blocks, tools and the like that none of them reads, such as
 * "tools.allowed_callers". document: the set of a document's members that this
 * one carries. Names of notes are kept in *a, which must not have an open
 * buffer. */
void request_unread(const struct request *r, uint32_t document,
    struct arena *a, struct notes *notes, struct str why);

/* ---- the answer ------------------------------------------------------- */

struct usage {
	int64_t input;			/* neither read from nor put in a cache */
	int64_t output;
	int64_t cache_read, cache_write;
	int64_t cache_write_1h;		/* part of cache_write */
	int64_t thinking;		/* part of output; -1: not known */
	int estimated;			/* no figures came from upstream */
	int priority;			/* service tier; else the standard one */
};

enum stop_reason {
	STOP_NONE, STOP_END_TURN, STOP_MAX_TOKENS, STOP_SEQUENCE, STOP_TOOL_USE,
	STOP_PAUSE_TURN, STOP_REFUSAL, STOP_CONTEXT_WINDOW, STOP_OTHER
};
const char *stop_reason_name(enum stop_reason r);

enum event_type {
	EV_MESSAGE_START, EV_BLOCK_START, EV_TEXT, EV_THINKING, EV_SIGNATURE,
	EV_INPUT, EV_BLOCK_STOP, EV_MESSAGE_DELTA, EV_MESSAGE_STOP, EV_ERROR,
	EV_PIECE		/* for the owner's eyes alone: part of a call
				 * that its client gets whole, later */
};

struct event {
	enum event_type type;
	int index;		/* of the block; EV_PIECE: that it will have */
	enum block_type block;	/* EV_BLOCK_START: text, thinking,
				 * redacted_thinking, tool_use; others only
				 * from an upstream that is passed through */
	struct jstr text;	/* the delta; data of redacted_thinking. EV_INPUT,
				 * EV_PIECE: a piece of JSON, escaped once more,
				 * as in partial_json */
	struct jstr id, name;	/* tool_use, EV_PIECE; EV_MESSAGE_START: message
				 * id */
	struct jstr model;	/* EV_MESSAGE_START */
	struct jstr toolset;	/* tool_use of a toolset; usually empty */
	enum stop_reason stop;	/* EV_MESSAGE_DELTA */
	struct jstr stop_sequence;	/* raw.p NULL: null */
	struct jstr explanation;	/* of a refusal; raw.p NULL: null */
	struct usage usage;	/* EV_MESSAGE_START, EV_MESSAGE_DELTA */
	const struct fault *fault;	/* EV_ERROR */
};

/* Whoever wants the events. What an event points to lives only during the
 * call. A sink that can't take more remembers that itself. */
struct sink {
	void (*event)(struct sink *s, const struct event *e);
};

/* The message under construction. Backends speak through it; it keeps the
 * protocol's promises (field notes 1, 2): one message_start, indexes 0,1,2..,
 * one block open at a time, nothing after the end. */
struct answer {
	struct sink *sink;
	struct str id;		/* "msg_...", arena-lived */
	struct jstr model;	/* the name the client asked for */
	struct usage usage;	/* what message_start reports: the estimate */
	int started, ended;
	int index;		/* of the open block, or of the next one */
	int open;		/* a block is open */
	enum block_type block;	/* its type */
	int tools;		/* tool_use blocks so far */
	struct jstr toolset;	/* of the next tool_use to open; usually empty */
	int blocks;		/* blocks so far */
};

void answer_start(struct answer *an);	/* idempotent */
/* Starts the message if need be; closes an open block first. */
void answer_open(struct answer *an, enum block_type type, struct jstr id,
    struct jstr name);
void answer_text(struct answer *an, struct jstr piece);	/* any open kind: the
				 * delta type follows the block; empty: nothing */
void answer_signature(struct answer *an, struct jstr signature);
/* An EV_PIECE of the tool_use that will be the next block; in any state. */
void answer_piece(struct answer *an, struct jstr id, struct jstr name,
    struct jstr piece);
void answer_redacted(struct answer *an, struct jstr data);	/* whole block */
void answer_close(struct answer *an);	/* no block open: nothing */
/* Closes, then message_delta and message_stop. */
void answer_finish(struct answer *an, enum stop_reason stop,
    struct jstr stop_sequence, struct jstr explanation,
    const struct usage *usage);
/* The error event; nothing follows, and an open block stays open, so that no
 * client takes half a call or half a text for a whole one. */
void answer_error(struct answer *an, const struct fault *f);

/* One event as Anthropic's SSE. request_id goes into errors. edits: the
 * client sent context_management, so message_delta carries it. */
void event_write(struct buf *b, const struct event *e, struct str request_id,
    int edits);
void event_write_ping(struct buf *b);

/* Events folded into the one Message of a client that didn't ask for a
 * stream. The JSON is written as events come; fold_event after EV_MESSAGE_STOP
 * leaves *b complete. EV_ERROR is the caller's to handle. */
struct fold {
	struct buf *b;
	int edits;
	int any;		/* blocks written */
	enum block_type block;	/* of the open one */
	size_t input_at;	/* where its input begins */
	size_t signed_at;	/* where its signature member begins; 0: none */
};
void fold_init(struct fold *f, struct buf *b, int edits);
void fold_event(struct fold *f, const struct event *e);

/* ---- messages that are alike ------------------------------------------- */

enum {
	ALIKE_MAX = 480,	/* of a message without its string: most have
				 * half of that */
	ALIKE_TRIES = 8		/* messages kept without use: no two will be
				 * alike */
};

struct alike {			/* begins as zeros */
	size_t head, n;		/* up to the string's first quote; 0: none */
	unsigned tries;
	char p[ALIKE_MAX];
};

/* 0 when nothing more will be kept. */
int alike_wanted(const struct alike *a);
/* Keeps a message in which literal, a string with its quotes, is all that
 * counts. */
void alike_learn(struct alike *a, struct str message, struct str literal);
/* 1: like the message kept; *text is the inside of its string. */
int alike_text(struct alike *a, struct str message, struct jstr *text);

/* ---- token estimate (OA-127..OA-132) ---------------------------------- */

enum vocabulary { VOCAB_O, VOCAB_C };	/* 200k and larger; 100..128k */

/* Hundredths of a token. */
uint64_t estimate_text(struct str s, enum vocabulary v);
uint64_t estimate_jstr(struct jstr s, enum vocabulary v);	/* unescaped */
/* JSON source text as it is in its compact form. */
uint64_t estimate_json(struct str raw, enum vocabulary v);
/* Escaped text, within a few percent when it is long, at a sixteenth of the
 * cost: for what is shown until a service's own figures arrive. */
uint64_t estimate_near(struct str s, enum vocabulary v);
/* The same from memory, where s was estimated before: a client repeats its
 * conversation with each request. Begins as zeros. */
enum { ESTIMATES_KEPT = 2048 };	/* texts: of some five long sessions */
struct estimates {
	uint64_t v[ESTIMATES_KEPT];
};
uint64_t estimate_kept(struct estimates *kept, struct str s,
    enum vocabulary v);
/* Tokens, rounded up once, of a request as the client sent it (OA-129): for
 * services that get it nearly so. near: by estimate_near. */
int64_t estimate_request(const struct request *r, enum vocabulary v, int near);
/* Tokens of an image by its header bytes; 1600 when unknown. base64: the
 * escaped data of the source. */
uint64_t estimate_image(struct jstr base64);
/* Tokens of a base64 PDF: 2000 a page. */
uint64_t estimate_pdf(struct jstr base64);
/* Pixels of PNG, JPEG, GIF, WebP from their first bytes; OK or E_BAD. */
int image_size(struct str bytes, unsigned *w, unsigned *h);
/* "image/png" and so on from the first bytes; empty if not recognised. */
struct str image_type(struct str bytes);

#endif
