/* bedrock_turns.c -- whose turn it is, and which result answers which call.
 *
 * Converse wants the user to begin, roles to alternate, content in every
 * message and each call answered once in the message behind it. Clients'
 * histories are looser. Here they become turns; nothing is written yet, and
 * the request itself isn't touched. What an endless loop of 400s would come
 * of is put right, since it stands in the history and comes again with every
 * request (BR-52..BR-61). Memory is the call's arena.
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock_request.h"
#include "../wire/sha256.h"

enum {
	ID_LONG = 64,		/* of a toolUseId (BR-60) */
	ID_HASH = 24,
	ID_MISTRAL = 9,		/* what Mistral's template wants, exactly */
	HASHED = 1024		/* longer texts are hashed as they stand */
};

/* ---- text ---- */

static int hex_of(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

uint32_t bedrock_char(struct str s, size_t *at)
{
	const unsigned char *p = (const unsigned char *)s.p + *at;
	uint32_t v = 0;
	int i, n;

	if (*p == '\\') {
		*at += p[1] == 'u' ? 6 : 2;
		for (i = 2; p[1] == 'u' && i < 6; i++)
			v = v << 4 | (uint32_t)hex_of((char)p[i]);
		return p[1] == 'u' ? v : memchr("nrtbf", p[1], 5) ? ' ' : p[1];
	}
	n = utf8_len(str_from(s, *at));
	*at += n > 1 ? (size_t)n : 1;
	v = n < 2 ? *p : *p & (0x7fu >> n);
	for (i = 1; i < n; i++)
		v = v << 6 | (p[i] & 0x3f);
	return v;
}

static int is_blank(uint32_t c)
{
	return c <= 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	    (c >= 0x2000 && c <= 0x200f) || c == 0x2028 || c == 0x2029 ||
	    c == 0x202f || c == 0x205f || c == 0x2060 || c == 0x3000 ||
	    c == 0xfeff;
}

int bedrock_blank(struct jstr s)
{
	size_t at = 0;

	while (at < s.raw.n)
		if (!is_blank(bedrock_char(s.raw, &at)))
			return 0;
	return 1;
}

struct jstr bedrock_trim_end(struct jstr s)
{
	size_t at = 0, end = 0;

	while (at < s.raw.n)
		if (!is_blank(bedrock_char(s.raw, &at)))
			end = at;
	s.raw.n = end;
	return s;
}

static void hash(unsigned char sum[SHA256_SIZE], struct jstr s)
{
	char plain[HASHED];
	struct buf p = buf_on(plain, sizeof plain);

	json_unescape(&p, s);
	sha256(sum, p.full ? s.raw : buf_str(&p));
}

void bedrock_put_hash(struct buf *b, struct jstr s, size_t n)
{
	char hex[2 * SHA256_SIZE];
	unsigned char sum[SHA256_SIZE];
	struct buf h = buf_on(hex, sizeof hex);

	hash(sum, s);
	buf_hex(&h, (struct str){ (const char *)sum, sizeof sum });
	buf_put(b, str_head(buf_str(&h), n));
}

/* ---- ids (BR-60) ---- */

static int is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9');
}

static int id_ok(struct str id)
{
	size_t i;

	for (i = 0; i < id.n; i++)
		if (!is_alnum(id.p[i]) && id.p[i] != '_' && id.p[i] != '-')
			return 0;
	return id.n && id.n <= ID_LONG;
}

/* The same for a call and for its result, in this request and in the next. */
static int plan_id(struct enc *e, struct part *p)
{
	char room[ID_LONG];
	struct buf b = buf_on(room, sizeof room);

	p->id = p->b->id.raw;
	if (id_ok(p->id))
		return OK;
	note(e->c->notes, NOTE_RENAMED, S("tool_use.id"),
	    S("letters, digits, _ and - only, at most 64"));
	buf_put(&b, S("tu_"));
	bedrock_put_hash(&b, p->b->id, ID_HASH);
	p->id = arena_str(e->c->a, buf_str(&b));
	return p->id.p ? OK : E_FULL;
}

/* Nine letters and digits: the first ones, or of the hash. */
static int short_id(struct enc *e, struct part *p, int hashed)
{
	static const char base36[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	unsigned char sum[SHA256_SIZE];
	char room[ID_MISTRAL];
	struct buf b = buf_on(room, sizeof room);
	struct str id = p->b->id.raw;
	size_t i;

	for (i = 0; i < id.n && !hashed && b.n < sizeof room; i++)
		if (is_alnum(id.p[i]))
			buf_chr(&b, id.p[i]);
	if (b.n < sizeof room) {
		hash(sum, p->b->id);
		for (b.n = i = 0; i < sizeof room; i++)
			buf_chr(&b, base36[sum[i] % 36]);
	}
	if (!str_eq(id, buf_str(&b)))
		note(e->c->notes, NOTE_RENAMED, S("tool_use.id"),
		    S("this model takes nine letters and digits"));
	p->id = arena_str(e->c->a, buf_str(&b));
	return p->id.p ? OK : E_FULL;
}

/* For Mistral. Of different ids that begin alike, the first in the request
 * keeps its nine, so that later requests don't change it. */
static int shorten_ids(struct enc *e, struct part *p, size_t n)
{
	struct key *k = arena_array(e->c->a, n, sizeof *k);
	size_t i, m = 0, first = 0;
	int r = k ? OK : E_FULL;

	for (i = 0; r == OK && i < n; i++) {
		if (p[i].id.n == 0)
			continue;
		r = short_id(e, &p[i], 0);
		k[m++] = (struct key){ p[i].id, i };
	}
	if (r != OK)
		return r;
	keys_sort(k, m);
	for (i = 1; r == OK && i < m; i++) {
		if (!str_eq(k[i].s, k[first].s))
			first = i;
		else if (!str_eq(p[k[i].i].b->id.raw, p[k[first].i].b->id.raw))
			r = short_id(e, &p[k[i].i], 1);
	}
	return r;
}

/* ---- turns ---- */

static int drop(struct enc *e, struct str field, struct str why)
{
	note(e->c->notes, NOTE_DROPPED, field, why);
	return 0;
}

/* Reasoning goes back to Claude alone, and only what Claude signed. */
static int reasons(struct enc *e, const struct block *b)
{
	if (!e->claude || !(e->can & CAN_THINK))
		return drop(e, S("thinking"),
		    S("this model doesn't take its thinking back"));
	if (b->type == B_THINKING && anthropic_foreign(b->signature))
		return drop(e, S("thinking"), S("signed by another service"));
	return b->type == B_THINKING || b->text.raw.n != 0;
}

/* Whether a block becomes an element of its message. */
static int is_sent(struct enc *e, const struct block *b, enum role role)
{
	switch (b->type) {
	case B_TEXT:
	case B_COMPACTION:
		return !bedrock_blank(b->text);
	case B_DOCUMENT:
	case B_SEARCH_RESULT:
		return 1;
	case B_IMAGE:
		return role == ROLE_USER ||
		    drop(e, S("image"), S("only the user can send one"));
	case B_TOOL_RESULT:
		return role == ROLE_USER ||
		    drop(e, S("tool_result"), S("only the user can send one"));
	case B_TOOL_USE:
		return role == ROLE_ASSISTANT ||
		    drop(e, S("tool_use"), S("only the assistant can call"));
	case B_THINKING:
	case B_REDACTED_THINKING:
		return role == ROLE_ASSISTANT && reasons(e, b);
	case B_SERVER_TOOL_USE:
	case B_SERVER_TOOL_RESULT:
		return drop(e, S("server_tool_use"),
		    S("run by Anthropic's own service"));
	case B_MCP:
		return drop(e, S("mcp"),
		    S("calls made by Anthropic's MCP connector"));
	case B_CONTAINER_UPLOAD:
		return drop(e, S("container_upload"),
		    S("files of Anthropic's containers stay there"));
	case B_TOOL_ADDITION:
	case B_TOOL_REMOVAL:
	case B_FALLBACK:
		return 0;	/* marks of the service: nothing is lost */
	case B_TOOL_REFERENCE:
	case B_BROWSER_STATE:
	case B_UNKNOWN:
		break;
	}
	return drop(e, S("content"), S("a block of a type unknown here"));
}

static enum cache_mark longest(const struct block *b, size_t n)
{
	enum cache_mark mark = CACHE_NONE;
	size_t i;

	for (i = 0; i < n; i++)
		if (b[i].cache > mark)
			mark = b[i].cache;
	return mark;
}

/* One inside a result stands behind it: there is no other place (BR-68). Right
 * behind reasoning there is none at all. */
static enum cache_mark mark_of(const struct block *b)
{
	enum cache_mark inner = longest(b->content, b->ncontent);

	if (b->type == B_THINKING || b->type == B_REDACTED_THINKING)
		return CACHE_NONE;
	return inner > b->cache ? inner : b->cache;
}

static struct turn *turn_for(struct enc *e, enum role role, struct part *at)
{
	struct turn *t = e->nturns ? &e->turns[e->nturns - 1] : NULL;

	if (t && t->role == role)
		return t;
	t = &e->turns[e->nturns++];
	*t = (struct turn){ .role = role, .parts = at,
	    .filler = S("(no content)") };
	return t;
}

/* A message of the assistant that nothing of is sent leaves no turn: its
 * neighbours meet (BR-55). */
static int add_blocks(struct enc *e, const struct message *m,
    struct part **at)
{
	struct turn *t = m->role == ROLE_USER ?
	    turn_for(e, ROLE_USER, *at) : NULL;
	const struct block *b;
	size_t i;
	int r;

	for (i = 0; i < m->n; i++) {
		b = &m->blocks[i];
		if (!is_sent(e, b, m->role))
			continue;
		if (!t)
			t = turn_for(e, m->role, *at);
		**at = (struct part){ .b = b, .m = m, .mark = mark_of(b),
		    .flat = e->flatten };
		if (b->type == B_TOOL_USE || b->type == B_TOOL_RESULT) {
			r = plan_id(e, *at);
			if (r != OK)
				return r;
		}
		t->calls += b->type == B_TOOL_USE && !e->flatten;
		t->n++;
		++*at;
	}
	return OK;
}

static int says(struct enc *e, const struct message *m)
{
	size_t i, texts = 0;

	for (i = 0; i < m->n; i++) {
		texts += m->blocks[i].type == B_TEXT &&
		    !bedrock_blank(m->blocks[i].text);
		if (m->blocks[i].type == B_TOOL_REMOVAL)
			drop(e, S("tool_removal"), S("the tool stays listed"));
	}
	return texts != 0;
}

/* A system message in the middle becomes text of the user's turn beside it,
 * where it stands in every later request too (BR-54). */
static void add_system(struct enc *e, const struct message *m,
    struct part **at, int user_follows)
{
	if (!says(e, m) || (m->clear_at_next_user && user_follows))
		return;
	note(e->c->notes, NOTE_CHANGED, S("messages.role"),
	    S("system messages become <system-reminder> text of the user"));
	turn_for(e, ROLE_USER, *at)->n++;
	*(*at)++ = (struct part){ .m = m, .mark = longest(m->blocks, m->n) };
}

static int make_turns(struct enc *e)
{
	const struct request *r = e->req;
	size_t i, last_user = 0, total = r->nmessages;
	struct part *parts, *at;
	int code;

	for (i = 0; i < r->nmessages; i++) {
		total += r->messages[i].n;
		if (r->messages[i].role == ROLE_USER)
			last_user = i;
	}
	at = parts = arena_array(e->c->a, total, sizeof *at);
	/* One more in front, two behind. */
	e->turns = arena_array(e->c->a, r->nmessages + 3, sizeof *e->turns);
	if (!at || !e->turns)
		return E_FULL;
	e->turns++;
	/* If there is nothing else, the last one is what is asked. */
	while (e->leading + 1 < r->nmessages &&
	    r->messages[e->leading].role == ROLE_SYSTEM)
		e->leading++;
	for (i = e->leading; i < r->nmessages; i++) {
		if (r->messages[i].role == ROLE_SYSTEM) {
			add_system(e, &r->messages[i], &at, last_user > i);
			continue;
		}
		code = add_blocks(e, &r->messages[i], &at);
		if (code != OK)
			return code;
	}
	return e->st->model.family == FAMILY_MISTRAL ?
	    shorten_ids(e, parts, (size_t)(at - parts)) : OK;
}

/* ---- calls and results (BR-59) ---- */

/* The parts of that type, by id; of several with one id the first. Calls that
 * repeat an id become text. */
static size_t sort_parts(struct turn *t, enum block_type type, struct key *k)
{
	size_t i, n = 0, kept = 0;

	for (i = 0; i < t->n; i++)
		if (t->parts[i].b && t->parts[i].b->type == type)
			k[n++] = (struct key){ t->parts[i].id, i };
	keys_sort(k, n);
	for (i = 0; i < n; i++) {
		if (kept == 0 || !str_eq(k[kept - 1].s, k[i].s)) {
			k[kept++] = k[i];
		} else if (type == B_TOOL_USE) {
			t->parts[k[i].i].flat = 1;
			t->calls--;
		}
	}
	return kept;
}

/* next NULL: nobody answers. */
static int pair_turn(struct enc *e, struct turn *t, struct turn *next)
{
	struct arena scratch = *e->c->a;
	struct key *calls = arena_array(&scratch, t->n, sizeof *calls);
	struct key *results = arena_array(&scratch, next ? next->n : 0,
	    sizeof *results);
	const struct key *found;
	size_t i, n, ncalls;

	if (!calls || !results)
		return E_FULL;
	ncalls = sort_parts(t, B_TOOL_USE, calls);
	n = next ? sort_parts(next, B_TOOL_RESULT, results) : 0;
	for (i = 0; i < n; i++) {
		found = keys_find(calls, ncalls, results[i].s);
		if (!found)
			continue;
		t->parts[found->i].paired = 1;
		next->parts[results[i].i].paired = 1;
	}
	return OK;
}

/* Whoever found no partner: results are sent as text, and calls get a result
 * that says so. */
static void settle(struct enc *e, struct turn *t)
{
	struct part *p;
	size_t i;

	for (i = 0; i < t->n; i++) {
		p = &t->parts[i];
		if (!p->b || p->flat)
			continue;
		if (p->b->type == B_TOOL_RESULT && !p->paired) {
			p->flat = 1;
			note(e->c->notes, NOTE_CHANGED, S("tool_result"),
			    S("a result without a call of its own is sent as "
			    "text"));
		} else if (p->b->type == B_TOOL_USE && !p->paired) {
			note(e->c->notes, NOTE_ADDED, S("tool_result"),
			    S("a call without a result got one that says so"));
		}
		e->history |= p->b->type == B_TOOL_USE ||
		    (p->b->type == B_TOOL_RESULT && p->paired);
	}
}

static int pair_all(struct enc *e)
{
	size_t i;
	int r;

	for (i = 0; i < e->nturns; i++) {
		if (!e->turns[i].calls)
			continue;
		r = pair_turn(e, &e->turns[i], i + 1 < e->nturns ?
		    &e->turns[i + 1] : NULL);
		if (r != OK)
			return r;
	}
	for (i = 0; i < e->nturns; i++)
		settle(e, &e->turns[i]);
	return OK;
}

/* ---- both ends (BR-52, BR-53) ---- */

static void mend_ends(struct enc *e)
{
	struct turn goes_on = { .role = ROLE_USER, .filler = S("(continue)"),
	    .made = 1 };
	struct turn *last;

	if (e->nturns == 0) {
		turn_for(e, ROLE_USER, NULL);
		return;
	}
	if (e->turns[0].role == ROLE_ASSISTANT) {
		*--e->turns = goes_on;
		e->nturns++;
		note(e->c->notes, NOTE_ADDED, S("messages"),
		    S("the user has to begin"));
	}
	last = &e->turns[e->nturns - 1];
	if (last->role == ROLE_USER ||
	    (e->can & CAN_PREFILL && !last->calls))
		return;
	if (!last->calls)
		note(e->c->notes, NOTE_CHANGED, S("messages"),
		    S("this model answers anew instead of going on with the "
		    "last assistant message"));
	e->turns[e->nturns++] = goes_on;
}

static void count_marks(struct enc *e)
{
	struct turn *t = &e->turns[e->nturns - 1];
	struct part *p = t->n ? &t->parts[t->n - 1] : NULL;
	size_t i, k;

	if (!(e->can & CAN_CACHE))
		return;
	/* The automatic one, behind the last block. */
	if (p && p->mark == CACHE_NONE && (!p->b ||
	    (p->b->type != B_THINKING && p->b->type != B_REDACTED_THINKING)))
		p->mark = e->req->cache;
	for (i = 0; i < e->nturns; i++)
		for (k = 0; k < e->turns[i].n; k++)
			e->wished += e->turns[i].parts[k].mark != CACHE_NONE;
}

int bedrock_plan_turns(struct enc *e)
{
	int r = make_turns(e);

	if (r == OK)
		r = pair_all(e);
	if (r != OK)
		return r;
	mend_ends(e);
	count_marks(e);
	return OK;
}
