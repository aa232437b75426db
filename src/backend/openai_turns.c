/* openai_turns.c -- whose turn it is, and which result answers which call.
 *
 * Chat backends want roles to alternate and every call to be answered right
 * behind it, once. Clients' histories are looser: neighbours of one role,
 * system messages anywhere, calls that were interrupted, results whose calls
 * were compacted away. Here that becomes turns; nothing is written yet, and
 * the request itself isn't touched. Memory is the call's arena.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_request.h"

/* ---- turns ---- */

static int is_sent(const struct enc *e, const struct block *b, enum role role)
{
	switch (b->type) {
	case B_TEXT:
	case B_DOCUMENT:
	case B_SEARCH_RESULT:
		return 1;
	case B_IMAGE:
	case B_TOOL_RESULT:
		return role == ROLE_USER;
	case B_TOOL_USE:
		return role == ROLE_ASSISTANT;
	case B_COMPACTION:
		return b->text.raw.n != 0;
	case B_SERVER_TOOL_RESULT:
		return openai_readable(b);
	case B_THINKING:
	case B_SERVER_TOOL_USE:	/* kept beside its result */
		break;
	case B_REDACTED_THINKING:
	case B_FALLBACK:
		break;		/* nobody else could read them */
	case B_TOOL_ADDITION:
	case B_TOOL_REMOVAL:
		break;		/* the list of tools shows them */
	case B_CONTAINER_UPLOAD:
		note(e->c->notes, NOTE_DROPPED, S("container_upload"),
		    S("files of Anthropic's containers stay there"));
		break;
	case B_MCP:
		note(e->c->notes, NOTE_DROPPED, S("mcp"),
		    S("calls made by Anthropic's MCP connector"));
		break;
	case B_TOOL_REFERENCE:
	case B_BROWSER_STATE:
	case B_UNKNOWN:
		note(e->c->notes, NOTE_DROPPED, S("content"),
		    S("a block of a type unknown here"));
		break;
	}
	return 0;
}

/* Blocks that stay in a turn but say nothing by themselves. */
static int is_kept(const struct block *b)
{
	return b->type == B_THINKING || b->type == B_SERVER_TOOL_USE;
}

static struct turn *turn_for(struct enc *e, enum role role, struct item *at)
{
	struct turn *t = e->nturns ? &e->turns[e->nturns - 1] : NULL;

	if (t && t->role == role)
		return t;
	t = &e->turns[e->nturns++];
	*t = (struct turn){ .role = role, .items = at };
	return t;
}

/* Items of one message, to where its turn's items end. A message that nothing
 * of is sent leaves no turn: its neighbours meet (OA-48). */
static void add_blocks(struct enc *e, const struct message *m, size_t from,
    struct item **at)
{
	struct turn *t;
	size_t i, said = 0;

	for (i = from; i < m->n; i++)
		said += is_sent(e, &m->blocks[i], m->role) != 0;
	if (!said)
		return;
	t = turn_for(e, m->role, *at);
	for (i = from; i < m->n; i++) {
		if (!is_kept(&m->blocks[i]) &&
		    !is_sent(e, &m->blocks[i], m->role))
			continue;
		*(*at)++ = (struct item){ .b = &m->blocks[i], .m = m };
		t->n++;
		t->calls += m->blocks[i].type == B_TOOL_USE;
	}
}

static void add_item(struct enc *e, enum role role, struct item item,
    struct item **at)
{
	turn_for(e, role, *at)->n++;
	*(*at)++ = item;
}

static int has_text(const struct message *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		if (m->blocks[i].type == B_TEXT)
			return 1;
	return 0;
}

/* A system message in the middle (OA-49). Where the profile can't take it
 * there, it joins the user's turn beside it: the one before, else the one
 * after. So it stays where it stood when the next request repeats it, which
 * upstream prompt caches depend on, and comes behind a turn's results. */
static void add_system(struct enc *e, const struct message *m,
    struct item **at, int user_follows)
{
	if (!has_text(m) || (m->clear_at_next_user && user_follows))
		return;
	if (!e->flags->mid_system)
		note(e->c->notes, NOTE_CHANGED, S("messages.role"),
		    S("system messages become <system-reminder> text of the "
		    "user"));
	add_item(e, e->flags->mid_system ? ROLE_SYSTEM : ROLE_USER,
	    (struct item){ .kind = ITEM_SYSTEM, .m = m }, at);
}

static int is_compacted(const struct message *m)
{
	return m->role == ROLE_ASSISTANT && m->n &&
	    m->blocks[0].type == B_COMPACTION && m->blocks[0].text.raw.n;
}

static int make_turns(struct enc *e)
{
	const struct request *r = e->req;
	const struct message *m;
	size_t i, first = 0, last_user = 0, total = 2 * r->nmessages;
	struct item *at;

	for (i = 0; i < r->nmessages; i++) {
		total += r->messages[i].n;
		if (is_compacted(&r->messages[i]))
			first = i;
		if (r->messages[i].role == ROLE_USER)
			last_user = i + 1;
	}
	at = arena_array(e->c->a, total, sizeof *at);
	e->turns = arena_array(e->c->a, r->nmessages + 2, sizeof *e->turns);
	if (!at || !e->turns)
		return E_FULL;
	for (i = first; i < r->nmessages; i++) {
		m = &r->messages[i];
		if (m->role == ROLE_SYSTEM) {
			add_system(e, m, &at, last_user > i + 1);
		} else if (i == first && is_compacted(m)) {
			add_item(e, ROLE_USER, (struct item){
			    .kind = ITEM_SUMMARY, .b = &m->blocks[0], .m = m },
			    &at);
			add_blocks(e, m, 1, &at);
		} else {
			add_blocks(e, m, 0, &at);
		}
	}
	return OK;
}

/* ---- calls and results ---- */

static int is_result(const struct item *it)
{
	return it->kind == ITEM_BLOCK && it->b->type == B_TOOL_RESULT;
}

static int is_call(const struct item *it)
{
	return it->kind == ITEM_BLOCK && it->b->type == B_TOOL_USE;
}

/* Index of the turn that answers turn i; 0 if the conversation goes on
 * otherwise. A system message may stand between. */
static size_t answer_of(const struct enc *e, size_t i)
{
	for (i++; i < e->nturns && e->turns[i].role == ROLE_SYSTEM; i++)
		continue;
	return i < e->nturns && e->turns[i].role == ROLE_USER ? i : 0;
}

/* Sorts the results of a turn by id and marks all but the last of each. */
static int sort_results(struct enc *e, struct turn *t, struct key *k,
    size_t *out)
{
	size_t i, n = 0;

	for (i = 0; i < t->n; i++)
		if (is_result(&t->items[i]))
			k[n++] = (struct key){ t->items[i].b->id.raw, i };
	keys_sort(k, n);
	for (i = 0; i + 1 < n; i++) {
		if (!str_eq(k[i].s, k[i + 1].s))
			continue;
		t->items[k[i].i].repeated = 1;
		note(e->c->notes, NOTE_DROPPED, S("tool_result"),
		    S("a second result for the same call: the last one is "
		    "sent"));
	}
	*out = n;
	return OK;
}

static int pair_turn(struct enc *e, struct turn *t)
{
	struct arena scratch = *e->c->a;
	struct turn *r = t->results ? &e->turns[t->results] : NULL;
	const struct key *found;
	struct key *k;
	size_t i, n = 0;

	if (!r)
		return OK;
	k = arena_array(&scratch, r->n, sizeof *k);
	if (!k)
		return E_FULL;
	sort_results(e, r, k, &n);
	for (i = 0; i < t->n; i++) {
		if (!is_call(&t->items[i]))
			continue;
		found = keys_find(k, n, t->items[i].b->id.raw);
		if (!found)
			continue;
		t->items[i].pair = &r->items[found->i];
		r->items[found->i].pair = &t->items[i];
	}
	return OK;
}

/* strict_pairs=1: the mistake is the client's (AN-10). */
static int unpaired(struct enc *e, const struct item *it)
{
	char room[64];
	struct buf b = buf_on(room, sizeof room);

	buf_put(&b, S("messages."));
	buf_u64(&b, (uint64_t)(it->m - e->req->messages));
	buf_put(&b, S(".content."));
	buf_u64(&b, (uint64_t)(it->b - it->m->blocks));
	if (is_call(it))
		FAULT(&e->c->fault, 400, buf_str(&b), S(".id: tool_use without "
		    "a tool_result in the next message: "), it->b->id.raw);
	else
		FAULT(&e->c->fault, 400, buf_str(&b), S(".tool_use_id: no "
		    "tool_use of this id in the previous message: "),
		    it->b->id.raw);
	return E_FAULT;
}

static int check_pair(struct enc *e, const struct item *it)
{
	if ((!is_call(it) && !is_result(it)) || it->pair || it->repeated)
		return OK;
	if (e->flags->strict_pairs)
		return unpaired(e, it);
	if (is_call(it))
		note(e->c->notes, NOTE_ADDED, S("tool_result"),
		    S("a call without a result got one that says so"));
	else
		note(e->c->notes, NOTE_CHANGED, S("tool_result"),
		    S("a result without its call is sent as text"));
	return OK;
}

static int pair_all(struct enc *e)
{
	size_t i, j;
	int r;

	for (i = 0; i < e->nturns; i++) {
		if (e->turns[i].role != ROLE_ASSISTANT || !e->turns[i].calls)
			continue;
		e->turns[i].results = answer_of(e, i);
		r = pair_turn(e, &e->turns[i]);
		if (r != OK)
			return r;
	}
	for (i = 0; i < e->nturns; i++) {
		for (j = 0; j < e->turns[i].n; j++) {
			r = check_pair(e, &e->turns[i].items[j]);
			if (r != OK)
				return r;
		}
	}
	return OK;
}

/* ---- what the upstream wants to see again ---- */

/* A document of its own in the arena; absent when it is none. */
static int read_envelope(struct enc *e, struct str text, struct jv *out)
{
	struct json *doc;
	struct json_error err;

	if (text.n == 0)
		return OK;
	doc = arena_get(e->c->a, sizeof *doc);
	if (!doc)
		return E_FULL;
	if (json_parse(doc, text, e->c->a, &err) == OK)
		*out = json_root(doc);
	else if (err.code == E_FULL)
		return E_FULL;
	return OK;
}

/* p1. and base64url of JSON (OA-65). Anything else is no envelope, and never
 * an error: real Claudes sign otherwise. */
static int read_signature(struct enc *e, struct jstr signature, struct jv *out)
{
	struct str text = signature.raw;
	struct buf b;

	if (!str_starts(text, S("p1.")))
		return OK;
	b = buf_open(e->c->a);
	if (base64_decode(&b, str_from(text, 3)) != OK)
		return b.full ? E_FULL : OK;
	return read_envelope(e, buf_end(e->c->a, &b), out);
}

static int recall(struct enc *e, struct item *it)
{
	struct str id;

	if (it->kind != ITEM_BLOCK)
		return OK;
	if (it->b->type == B_THINKING)
		return read_signature(e, it->b->signature, &it->envelope);
	if (it->b->type != B_TOOL_USE)
		return OK;
	id = json_text(e->c->a, it->b->id);
	if (!id.p)
		return E_FULL;
	/* Copied: the cache may move on while this call lasts. */
	id = openai_find_kept(e->c, id);
	if (id.n && !(id = arena_str(e->c->a, id)).p)
		return E_FULL;
	return read_envelope(e, id, &it->envelope);
}

static int recall_all(struct enc *e)
{
	size_t i, j;
	int r;

	if (e->flags->reasoning_back == REASONING_BACK_NO)
		return OK;
	for (i = 0; i < e->nturns; i++) {
		if (e->turns[i].role != ROLE_ASSISTANT)
			continue;
		for (j = 0; j < e->turns[i].n; j++) {
			r = recall(e, &e->turns[i].items[j]);
			if (r != OK)
				return r;
		}
	}
	return OK;
}

/* Whether the user himself says something in a turn: no result, and nothing
 * that a harness adds on its own. */
static int says(const struct turn *t)
{
	const struct item *it;
	size_t i;

	for (i = 0; i < t->n; i++) {
		it = &t->items[i];
		if (it->kind == ITEM_BLOCK && !is_result(it) &&
		    !jstr_starts(it->b->text, S("<system-reminder>")))
			return 1;
	}
	return 0;
}

int openai_plan_turns(struct enc *e)
{
	size_t i;
	int r = make_turns(e);

	if (r == OK)
		r = pair_all(e);
	if (r == OK)
		r = recall_all(e);
	for (i = 0; r == OK && i < e->nturns; i++) {
		if (e->turns[i].role != ROLE_USER)
			continue;
		e->talks |= openai_has_parts(e, &e->turns[i]);
		if (says(&e->turns[i]))
			e->last_text = i;
	}
	return r;
}
