/* bedrock.h -- Amazon Bedrock: Claude by InvokeModel with Anthropic's own
 * body, everything else by Converse.
 *
 * bedrock.c		the backend: which way, target, signature, frames
 * bedrock_models.c	names, inference profiles, what a model can
 * bedrock_converse.c	the request for Converse (with bedrock_turns.c,
 *			_content.c, _media.c, _tools.c)
 * bedrock_stream.c	its answer, streamed or whole
 * bedrock_invoke.c	the request (with bedrock_edit.c) and answer of InvokeModel
 * bedrock_estimate.c	tokens of a request for Claude, where nobody counts
 * bedrock_error.c	refusals: what they mean, what is learned from them
 *
 * Only the first part is for others; the rest is private to these files.
 * Rules BR- of the service, AW- of its signing.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BEDROCK_H
#define BEDROCK_H

#include "../wire/eventstream.h"
#include "anthropic.h"

/* What signs a call: either a bearer token, or an id and a secret with or
 * without a token. Lives as long as the call. */
struct aws_credentials {
	struct str bearer;
	struct str id, secret, token;
	struct str region;
	struct str profile;	/* for people; empty: no profile's */
	struct str model;	/* behind bedrock_hidden's ARN; empty: not known */
};

enum bedrock_api { BEDROCK_AUTO, BEDROCK_CONVERSE, BEDROCK_INVOKE };

/* From the configuration; the strings live for good. */
struct bedrock_options {
	enum bedrock_api api;
	struct str prefix;	/* auto global us eu apac jp au ca us-gov none */
	struct str betas;	/* BEDROCK_BETAS: "+flag,-flag" over the list */
	struct str guardrail, guardrail_version;	/* empty: none */
	struct str guardrail_trace;	/* ENABLED DISABLED ENABLED_FULL */
	struct str latency;	/* standard optimized; empty: not sent */
	struct str tier;	/* default flex priority reserved; or empty */
	int keep_billing;	/* 1: the attribution block is sent (BR-143) */
};

/* Into u->facts, once, before anything else. OK or E_FAULT with a message that
 * names the variable. */
int bedrock_setup(struct upstream *u, const struct bedrock_options *o,
    struct fault *f);

/* The service's time less ours in seconds, as its refusals taught (AW-10). */
int64_t bedrock_clock_offset(const struct upstream *u);

/* The region that an ARN carries; empty when id is none (AW-100). */
struct str bedrock_arn_region(struct str id);

/* The ARN of an application inference profile, which doesn't name its model
 * (BR-2), without the [1m] of some clients; empty when id is none. */
struct str bedrock_hidden(struct str id);

/* Host for a region (AW-112), into b: "bedrock-runtime.us-east-1.amazonaws.com"
 */
void bedrock_host(struct buf *b, struct str region, int fips, int dualstack);

/* ---- private ---------------------------------------------------------- */

enum bedrock_family {
	FAMILY_CLAUDE, FAMILY_NOVA, FAMILY_NOVA2, FAMILY_LLAMA, FAMILY_MISTRAL,
	FAMILY_DEEPSEEK, FAMILY_GPT_OSS, FAMILY_COHERE, FAMILY_OTHER
};

/* What a model takes. A clear bit means that it is left out, with a note. */
enum {
	CAN_TOOLS = 1 << 0,
	CAN_TOOLS_STREAMED = 1 << 1,	/* else Converse, replayed (BR-65) */
	CAN_CHOOSE_ANY = 1 << 2, CAN_CHOOSE_TOOL = 1 << 3,	/* BR-63 */
	CAN_SYSTEM = 1 << 4,		/* else joins the first user turn */
	CAN_RESULT_STATUS = 1 << 5,	/* toolResult.status (BR-58) */
	CAN_RESULT_MEDIA = 1 << 6,	/* images, documents inside a result */
	CAN_CACHE = 1 << 7,		/* cachePoint in system and messages */
	CAN_CACHE_TOOLS = 1 << 8,	/* and in tools (BR-68) */
	CAN_CACHE_1H = 1 << 9,		/* and with a ttl */
	CAN_PREFILL = 1 << 10,		/* last message of the assistant (BR-53) */
	CAN_SAMPLING = 1 << 11,		/* temperature, top_p, top_k (BR-50) */
	CAN_TEMP_AND_TOP_P = 1 << 12,	/* both at once */
	CAN_THINK = 1 << 13,		/* Claude's `thinking` */
	CAN_EFFORT = 1 << 14,		/* output_config.effort */
	CAN_EFFORT_BETA = 1 << 15,	/* ... with its beta (4.5, 4.6) */
	CAN_STRICT = 1 << 16,		/* tools[].strict, output_config.format */
	CAN_COUNT = 1 << 17,		/* CountTokens (BR-131) */
	CAN_VERSION_2026 = 1 << 18,	/* anthropic_version 2026-10-21 */
	CAN_SYSTEM_TURNS = 1 << 19	/* role system among the messages, with a
					 * BETA_SYSTEM that is sent (section 16) */
};

/* What bedrock_beta says of a flag: it may be sent, and which members of a
 * request are of use only with it. */
enum {
	BETA_SENT = 1 << 0,
	BETA_COMPUTER = 1 << 1,		/* tools computer_* */
	BETA_EDITS = 1 << 2,		/* context_management */
	BETA_EFFORT = 1 << 3,		/* output_config.effort (4.5, 4.6) */
	BETA_SEARCH = 1 << 4,		/* defer_loading, search tools,
					 * tool_reference */
	BETA_EXAMPLES = 1 << 5,		/* tools[].input_examples */
	BETA_UPDATES = 1 << 6,		/* thinking.display updates */
	BETA_SYSTEM = 1 << 7,		/* role system among the messages */
	BETA_TURNS = 1 << 8		/* messages[].output_config */
};

struct bedrock_model {
	struct str id;		/* plain: "us.anthropic.claude-opus-5-5" */
	struct str bare;	/* without its geography; an ARN: the same */
	enum bedrock_family family;
	int version;		/* Claude: 45 is 4.5, 50 is 5; 0: not known,
				 * taken for the newest */
	unsigned can;		/* less what was learned */
	int64_t window, max_output;	/* tokens; 0: not known */
	int long_context;	/* [1m] was asked for */
	int tries;		/* candidates of the geography (BR-13); 1 when
				 * the id was written by a person */
	int candidate;		/* which of them id is */
	int betas;		/* as learned */
	unsigned news;		/* bedrock_learned.news when it was read */
};

enum {
	LEARNED_MODELS = 24,	/* remembered at once; the oldest goes */
	LEARNED_STRIPS = 8,	/* members that a model refused */
	LEARNED_PATH = 96,	/* "tools.#.defer_loading" */
	BEDROCK_RETRIES = 8,	/* four heals (BR-25), three candidates (BR-13),
				 * one credential or clock (AW-10, AW-91) */
	BEDROCK_BODY_MAX = 25000000	/* BR-5 */
};

/* What refusals taught about one model in one region (BR-13, BR-25). */
struct bedrock_learned {
	char key[160];		/* "REGION MODEL", as bedrock_learned makes it */
	size_t nkey;
	uint64_t used;		/* for eviction */
	unsigned news;		/* counts what was learned: an answer to a
				 * request made before asks for another try */
	int candidate;		/* the one that worked, or to be tried */
	unsigned lacks;		/* CAN_ bits that proved wrong */
	int betas;		/* 1: only those a member needs; 2: none */
	int no_top_p, no_sampling;
	int64_t max_tokens;	/* the model's limit; 0: not learned */
	char strip[LEARNED_STRIPS][LEARNED_PATH];	/* indices as '#' */
	size_t nstrips;
};

/* Facts of the upstream. */
struct bedrock_facts {
	struct bedrock_options opt;
	int64_t clock_offset;	/* service's time less ours, s (AW-10) */
	uint64_t turn;
	struct bedrock_learned learned[LEARNED_MODELS];
};

/* One tool name that had to be changed for the service (BR-62). */
struct bedrock_name {
	struct jstr ours, theirs;
	struct bedrock_name *next;
};

/* What is open in a streamed Converse answer (section 9). */
enum bedrock_open { OPEN_NOTHING, OPEN_TEXT, OPEN_THINKING, OPEN_REDACTED,
	OPEN_TOOL, OPEN_SKIPPED };

/* State of a call. Zeroed before encode; what encode leaves here decode
 * finds. */
struct bedrock {
	struct bedrock_model model;
	int invoke;		/* InvokeModel, else Converse */
	int streamed;		/* the answer is an event stream */
	struct bedrock_name *names;	/* changed tool names */
	int wants_stop_sequence;

	struct eventstream frames;
	struct buf whole;	/* an answer that isn't streamed, in the arena */
	struct anthropic_answer answer;	/* InvokeModel; usage, have_usage and stop
					 * below are what Bedrock said beside */
	int have_input;		/* it said how much it read */

	/* ConverseStream */
	enum bedrock_open open;
	int64_t at;		/* its contentBlockIndex */
	int input_bytes;	/* of the open tool: some came */
	struct buf pending;	/* signature, redacted data or blanks in front
				 * of a text, in the arena */
	char half[6];		/* \uD8xx that waits for the rest of its
				 * character */
	size_t nhalf;
	enum stop_reason stop;
	int stopped;		/* messageStop came */
	struct jstr stop_sequence;
	struct usage usage;
	int have_usage;
	int tools;		/* tool blocks sent */
	int done;
};

/* bedrock_models.c. Reads c->model (and [1m] from the request) into *m, with
 * what was learned: OK; E_FAULT (400, 404); E_FULL. */
int bedrock_resolve(struct call *c, struct bedrock_model *m);
/* What has been learned of this call's model; makes an entry if there is
 * none. Never NULL. The key is by c->model, not by the candidate. */
struct bedrock_learned *bedrock_learned(struct call *c);
/* c->models: names that can be asked for in this region, and the pinned. OK or
 * E_FULL. */
int bedrock_list(struct call *c);
/* Whether that beta may be sent (BR-22) to m, on this way, what was learned
 * included: 0, or BETA_ bits. *as: the name to send, as some are renamed. */
int bedrock_beta(const struct call *c, const struct bedrock_model *m,
    int converse, struct str flag, struct str *as);

/* bedrock.c. AN-20: nothing is to be generated, so nobody is asked: an answer
 * without a block. CALL_DONE. */
int bedrock_empty(struct call *c);

/* bedrock_converse.c. st->model is set. Writes c->body, c->estimate,
 * st->names, c->upstream_stream, notes. OK, E_FAULT, E_FULL; CALL_DONE when
 * nothing is to be generated (AN-20). For CALL_COUNT the members of
 * CountTokens' `converse` alone (BR-130), as an object. */
int bedrock_converse(struct call *c, struct bedrock *st);
/* The client's name for a tool of the answer. */
struct jstr bedrock_tool_name(const struct bedrock *st, struct jstr theirs);

/* bedrock_stream.c. One event of ConverseStream: type as in :event-type,
 * payload JSON. OK, CALL_DONE, E_FAULT (c->fault), E_FULL. */
int bedrock_converse_event(struct call *c, struct bedrock *st,
    struct str type, struct str payload);
/* The stream's framing ended cleanly: CALL_DONE or E_FAULT (BR-93). */
int bedrock_converse_end(struct call *c, struct bedrock *st);
/* A whole answer of Converse, as the same events. CALL_DONE, E_FAULT, E_FULL. */
int bedrock_converse_answer(struct call *c, struct bedrock *st,
    struct str json);

/* bedrock_estimate.c. For a Claude of that version. */
int64_t bedrock_estimate(const struct request *r, int version);

/* bedrock_invoke.c. As above; for CALL_COUNT the body that CountTokens wants
 * encoded (BR-130), or E_NONE for one that it wouldn't take. */
int bedrock_invoke(struct call *c, struct bedrock *st);
/* The head of a 2xx answer: counts and a guardrail's word, should the answer
 * lack them (BR-30, BR-123). */
void bedrock_invoke_head(struct bedrock *st, const struct http_head *h);
/* Payload of one `chunk` (BR-31..35): {"bytes": base64}. */
int bedrock_invoke_event(struct call *c, struct bedrock *st,
    struct str payload);
int bedrock_invoke_answer(struct call *c, struct bedrock *st,
    struct str json);

/* bedrock_error.c. Code and text of a refusal (AW-120), both plain text into
 * c->a, masked; then the table of section 11. */
/* An HTTP refusal. CALL_RETRY after something was learned (c->renew set when
 * it is new credentials that are wanted), E_FAULT. May give CALL_DONE with
 * c->counted -1 for CALL_COUNT (BR-132): the estimate counts. */
int bedrock_refuse(struct call *c, struct bedrock *st,
    const struct http_head *h, struct str body);
/* An exception or error frame: name as in eventstream_kind, text the payload
 * (exception) or the message (error). Sets c->fault; E_FAULT, or CALL_RETRY
 * as above while nothing of the answer was started. */
int bedrock_exception(struct call *c, struct bedrock *st, struct str name,
    struct str text, int is_exception);

#endif
