/* openai_account.c -- what became of the request's fields, for the notes.
 *
 * chat.completions has other names for some of them, no place for others. Where
 * a field was changed or left out while the body was written, the note stands
 * there; here is the rest, so that no field of a client's is absent upstream
 * without a word.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

static const struct str no_place = { "this API has no place for it", 28 };

static int noted(const struct enc *e, struct str field)
{
	const struct notes *ns = e->c->notes;
	size_t i;

	for (i = 0; i < ns->n; i++)
		if (str_starts(ns->v[i].field, field))
			return 1;
	return 0;
}

static void tell(struct enc *e, enum note_kind kind, struct str field,
    struct str why)
{
	if (!noted(e, field))
		note(e->c->notes, kind, field, why);
}

static int given(const struct enc *e, struct str name)
{
	enum json_type t = json_type(json_get(e->req->json, name));

	return t != JSON_ABSENT && t != JSON_NULL;
}

/* Anthropic's own, whatever is in them. */
static void tell_alien(struct enc *e)
{
	static const struct str names[] = {
		{ "context_management", 18 }, { "mcp_servers", 11 },
		{ "speed", 5 }, { "inference_geo", 13 },
		{ "diagnostics", 11 }, { "fallbacks", 9 },
		{ "fallback_credit_token", 21 }, { "billing_policy", 14 },
		{ "betas", 5 }, { "compaction", 10 }, { "thread", 6 }
	};
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (given(e, names[i]))
			tell(e, NOTE_DROPPED, names[i], no_place);
	if (given(e, S("service_tier")) && !openai_wrote(e, "service_tier"))
		tell(e, NOTE_DROPPED, S("service_tier"),
		    S("the service's own default holds"));
}

static void tell_reasoning(struct enc *e)
{
	const struct str name = S("reasoning_effort");
	int sent = e->effort != EFFORT_UNSET ||
	    openai_wrote(e, "thinking") || openai_wrote(e, "extra_body");

	if (given(e, S("thinking")))
		tell(e, sent ? NOTE_RENAMED : NOTE_DROPPED, S("thinking"),
		    sent ? name : S("this model reasons as it likes"));
	if (e->req->effort != EFFORT_UNSET)
		tell(e, sent ? NOTE_RENAMED : NOTE_DROPPED,
		    S("output_config.effort"), sent ? name :
		    S("this model reasons as it likes"));
	else if (given(e, S("output_config")))
		tell(e, NOTE_DROPPED, S("output_config"), no_place);
}

static void tell_sampling(struct enc *e)
{
	const struct str why = S("models that reason take none");

	if (e->req->temperature.n && !openai_wrote(e, "temperature"))
		tell(e, NOTE_DROPPED, S("temperature"), why);
	if (e->req->top_p.n && !openai_wrote(e, "top_p"))
		tell(e, NOTE_DROPPED, S("top_p"), why);
	if (e->req->top_k.n && !openai_wrote(e, "top_k"))
		tell(e, NOTE_DROPPED, S("top_k"), why);
	if (e->req->nstops && !openai_wrote(e, "stop"))
		tell(e, NOTE_CHANGED, S("stop_sequences"),
		    S("watched for here, not upstream"));
}

static size_t marks_of(const struct block *b, size_t n)
{
	size_t i, marks = 0;

	for (i = 0; i < n; i++)
		marks += b[i].cache != CACHE_NONE;
	return marks;
}

/* Services of this kind cache prefixes without being told. */
static void tell_marks(struct enc *e)
{
	const struct request *r = e->req;
	size_t i, n = marks_of(r->system, r->nsystem) +
	    (r->cache != CACHE_NONE);

	for (i = 0; i < r->ntools; i++)
		n += r->tools[i].cache != CACHE_NONE;
	for (i = 0; i < r->nmessages; i++)
		n += marks_of(r->messages[i].blocks, r->messages[i].n);
	if (n && !e->marks)
		tell(e, NOTE_CHANGED, S("cache_control"),
		    S("the service caches by itself, or not at all"));
}

void openai_account(struct enc *e)
{
	tell_reasoning(e);
	tell_sampling(e);
	if (e->req->user_id.raw.n)
		tell(e, openai_wrote(e, "safety_identifier") ||
		    openai_wrote(e, "user") ? NOTE_RENAMED : NOTE_DROPPED,
		    S("metadata.user_id"),
		    openai_wrote(e, "safety_identifier") ?
		    S("safety_identifier") : openai_wrote(e, "user") ?
		    S("user") : no_place);
	else if (given(e, S("metadata")))
		tell(e, NOTE_DROPPED, S("metadata"), no_place);
	if (e->req->no_parallel && !openai_wrote(e, "parallel_tool_calls"))
		tell(e, NOTE_DROPPED, S("tool_choice."
		    "disable_parallel_tool_use"), no_place);
	tell_marks(e);
	tell_alien(e);
}
