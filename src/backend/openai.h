/* openai.h -- what the parts of the OpenAI-compatible backend share.
 *
 * openai.c         profiles, flags, the request head, what is learned
 * openai_encode.c  canonical request -> chat.completions body
 * openai_effort.c  how long to think
 * openai_turns.c   whose turn it is, which result answers which call
 * openai_messages.c  turns -> messages
 * openai_assistant.c  the assistant's among them
 * openai_media.c   images and files
 * openai_tools.c   tools and tool_choice
 * openai_toolset.c  members of Anthropic's toolsets
 * openai_schema.c  JSON Schema as each provider wants it
 * openai_gemini.c  and as Gemini does
 * openai_count.c   how many tokens that would be, by the upstream's count
 * openai_decode.c  chunks and whole answers -> events
 * openai_error.c   refusals -> faults, retries
 *
 * Private to these files. Rule numbers are those of the test cases (OA-n).
 *
 * SPDX-License-Identifier: MIT */
#ifndef OPENAI_H
#define OPENAI_H

#include "backend.h"

enum openai_profile {
	P_OPENAI, P_GEMINI, P_OPENROUTER, P_DEEPSEEK, P_VLLM, P_LLAMACPP,
	P_OLLAMA, P_LMSTUDIO, P_GENERIC
};

/* One field a flag of section 1; OPENAI_FLAGS sets them by name. */
struct openai_flags {
	enum openai_profile profile;
	int key_needed;
	enum { MAX_TOKENS, MAX_COMPLETION_TOKENS } max_field;
	enum { SYSTEM_SYSTEM, SYSTEM_AUTO, SYSTEM_DEVELOPER } system_role;
	int mid_system, top_k, stream_options, always_stream;
	enum { REASONING_IN_NONE, REASONING_IN_EFFORT, REASONING_IN_OPENROUTER,
	    REASONING_IN_DEEPSEEK, REASONING_IN_TEMPLATE } reasoning_in;
	enum { REASONING_BACK_NO, REASONING_BACK_CONTENT /* reasoning_content */,
	    REASONING_BACK_REASONING, REASONING_BACK_DETAILS,
	    REASONING_BACK_GEMINI } reasoning_back;
	int send_reasoning;	/* 1: since the user's last text; 2: all of it */
	int show_reasoning_always;
	int image_url, gif, images, file_parts;
	enum { SCHEMA_FULL, SCHEMA_GEMINI, SCHEMA_GRAMMAR } schema_subset;
	enum { SCHEMA_OUT_JSON_SCHEMA, SCHEMA_OUT_JSON_OBJECT, SCHEMA_OUT_NONE }
	    schema_out;
	enum { NAMED_ONLY_TOOL, NAMED_YES } named_tool_choice;
	int parallel_flag;
	int buffer_args;		/* tool_args=buffer */
	enum { THINK_NO, THINK_AUTO, THINK_OPEN } think_tags;
	int stop_upstream, send_user, strict_pairs, null_content;
	int template_thinking, name_pieces, text_calls, exact_count;
	int tool_id_9;			/* tool_id=9alnum */
	int64_t max_output;		/* clamp of max_tokens; 0: none */
	int64_t context;		/* window in tokens; 0: not known */
	int64_t tool_limit;		/* 128 at openai; 0: none */
	struct str extra_body;		/* JSON object merged last */
	int cache_marks;
	int tools_reasoning_drop;	/* gpt-5.4 and later: OA-61 */
	enum vocabulary vocabulary;
};

/* Parameters an upstream refused (OA-5), per model. */
enum openai_param {
	PARAM_TEMPERATURE, PARAM_TOP_P, PARAM_TOP_K, PARAM_STOP,
	PARAM_REASONING_EFFORT, PARAM_PARALLEL, PARAM_STREAM_OPTIONS,
	PARAM_USER, PARAM_STRICT, PARAM_SERVICE_TIER, PARAM_RESPONSE_FORMAT,
	PARAM_MAX_SWAP,		/* the other name of max_tokens */
	PARAM_EFFORT_NONE,	/* tools need reasoning_effort none (OA-61) */
	PARAM_REASONING_SPACE,	/* empty reasoning_content refused (OA-62) */
	PARAM_EMPTY_OBJECT,	/* empty nested object schema refused (OA-58) */
	PARAM_EXACT_COUNT	/* this model isn't counted there */
};

enum {
	LEARNED_MAX = 64,	/* models remembered per upstream; the oldest goes */
	LEARNED_NAME = 128,	/* longer model names share no facts */
	CACHE_WAYS = 8,		/* places one tool id may have; the oldest goes */
	CACHE_MAX = 4096,	/* tool ids whose opaque data is kept (OA-66) */
	CACHE_BYTES = 512 << 10,	/* of all that data, the oldest overwritten;
				 * a thought signature is about 1 KiB */
	CACHE_VALUE = 4096,	/* of one; longer rides in the envelope */
	CACHE_AGE_MS = 24 * 3600 * 1000,	/* OA-66 */
	WINDOW_AGE_MS = 600 * 1000	/* a server may come back with a larger
				 * window: asking anew costs one refusal */
};

struct openai_learned {
	char model[LEARNED_NAME];
	size_t nmodel;
	uint32_t refused;	/* bit per enum openai_param */
	int64_t max_output;	/* learned clamp for this model; 0: none */
	int64_t retry_max;	/* clamp of the next second attempt alone, which
				 * begins in the turn that learned it; 0: none */
	int64_t window;		/* of prompt and output together, as a refusal
				 * told it; 0: none did */
	uint64_t window_ms;	/* when */
	uint32_t ratio;		/* OA-131, in 1/65536; 0: 1.0 */
	uint64_t used;		/* for eviction */
};

/* Opaque upstream data by tool id (OA-66): where in the ring of bytes an
 * envelope's JSON (OA-65) begins, counted from the start of time. */
struct openai_kept {
	uint64_t hash;		/* of the tool id; 0: free */
	uint64_t at_ms;
	uint64_t begin;
	uint32_t n;
};

/* How a count is asked for (OA-123..OA-125). */
enum openai_count {
	COUNT_NONE,		/* nobody is asked: the estimate counts */
	COUNT_VLLM,		/* the chat body, tokenized */
	COUNT_ANTHROPIC,	/* llama.cpp: the client's own body */
	COUNT_TEMPLATE,		/* an older one: its prompt first, */
	COUNT_PROMPT,		/* then that prompt's tokens */
	COUNT_OPENAI,		/* in the Responses API's form */
	COUNT_GEMINI		/* in generateContent's */
};

struct openai_facts {
	struct openai_flags flags;
	int count_lost;		/* ways of counting that aren't there: 1 is
				 * COUNT_ANTHROPIC, 2 is all */
	uint64_t clock;
	struct openai_learned learned[LEARNED_MAX];
	struct openai_learned unnamed;	/* for names too long to be kept */
	struct estimates estimates;
	struct openai_kept kept[CACHE_MAX];
	uint64_t written;	/* bytes that ever went into the ring */
	char ring[CACHE_BYTES];
};

/* Tool names that had to change (OA-51). */
struct openai_name {
	struct jstr client;	/* as the client knows it */
	struct str upstream;	/* as sent */
	struct jstr toolset;	/* OA-56: whose member it is; usually empty */
};

/* What encode leaves for decode; first member of struct openai_state. */
struct openai_sent {
	struct openai_name *names;	/* every tool sent */
	size_t nnames;
	struct str prefill;		/* OA-47: raw escaped text of the last
					 * assistant message; empty: none */
	int64_t sent_max;		/* max tokens as sent */
	int64_t estimate;		/* c->estimate before OA-131's ratio; 0 when
					 * images make it no measure */
	int show_reasoning;		/* OA-64: 1 text, 0 not, 2 omitted */
	enum openai_count count;	/* CALL_COUNT: how */
	uint64_t sent_params;		/* bit per enum openai_param, sent */
};

/* What names and ids may be made of: letters, digits, _ and -. */
static inline int openai_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-';
}

const struct openai_flags *openai_flags(const struct call *c);
/* The entry for the call's model, made if need be; never NULL. */
struct openai_learned *openai_learned(struct call *c);
struct estimates *openai_estimates(const struct call *c);
int openai_refused(struct call *c, enum openai_param p);
/* Model families by name: o1, o3, o4, gpt-5 and later. */
int openai_is_reasoning(struct str model);
/* major*10+minor of gpt-N.M; 0 if the name isn't of that form. */
int openai_gpt_version(struct str model);

/* Envelope data by tool id (OA-66). find returns the JSON, empty if none; it
 * stays in place until the next keep.
 * An envelope's keys, all optional: u upstream name; r true when reasoning must
 * return; d reasoning_details array; t object tool id -> thought signature; x
 * the reasoning text where the client was not shown it (and in the cache). */
void openai_keep(struct call *c, struct str tool_id, struct str json);
struct str openai_find_kept(struct call *c, struct str tool_id);

int openai_encode(struct call *c);
int openai_decode(struct call *c, struct str *in, int end, int clean);
int openai_begin(struct call *c, const struct http_head *h);
int openai_refuse(struct call *c, const struct http_head *h, struct str body);
/* openai_count.c. What encode wrote for the chat endpoint becomes what the
 * counting one reads: OK, or E_NONE when nobody is asked. */
int openai_count_body(struct call *c);
void openai_count_target(struct buf *b, const struct call *c);
/* CALL_DONE, CALL_NEXT or E_FAULT. */
int openai_count_take(struct call *c, struct jv root);
/* After a refusal: whether there is another way to ask. What was learned is
 * kept: that the endpoint, or there the model, is missing. */
int openai_count_gone(struct call *c, int status, struct str text);
/* Reads an upstream's error value (any shape of OA-119) into c->fault, or
 * decides for a retry: E_FAULT, CALL_RETRY, CALL_DONE. status 0: mid-stream or
 * inside a 200. h may be NULL. */
int openai_error(struct call *c, int status, const struct http_head *h,
    struct jv error, struct str text);

/* Writes the cleaned schema (OA-57..OA-59). schema may be absent. */
int openai_schema(struct buf *b, struct call *c, struct jv schema);
/* OA-20, 5.3: whether a schema passes OpenAI's strict rules. */
int openai_schema_strict(struct jv schema);

#endif
