/* recall.c -- after a start: where conversations stood, out of the lines that
 * were loaded.
 *
 * The lines come in their order, so each request finds the one that it leans on
 * as it was left. What can't be put together again is not guessed at: such a
 * conversation begins anew with its next request. Nothing new leans on what
 * is recalled, but it is known what is new, what was called, and what lies in
 * a cache.
 *
 * SPDX-License-Identifier: MIT */
#include "../net/loop.h"
#include "lines.h"
#include "load.h"
#include "recognise.h"

enum { SCRATCH = 8 << 20 };	/* for one line; the largest has 1 MB */

static const char *known(struct jv v)
{
	static const char *const ways[] = { "hint", "header", "body", "guess" };
	size_t i;

	for (i = 0; i < COUNT(ways); i++)
		if (json_is(v, str_of(ways[i])))
			return ways[i];
	return NULL;
}

/* On the loop's clock, which began anew. */
static int64_t clock_of(struct jv line)
{
	struct str ts = json_str(json_get(line, S("ts"))).raw;
	int64_t at = loop_now() - (loop_wall() - journal_when(ts));

	return at ? at : 1;
}

static struct sha16 name_of(struct jv v)
{
	static const char digits[] = "0123456789abcdef";
	struct str hex = json_str(v).raw;
	struct sha16 out = { { 0 } };
	const char *d;
	size_t i;

	for (i = 0; hex.n == JOURNAL_SHA && i < JOURNAL_SHA; i++) {
		d = memchr(digits, hex.p[i], 16);
		out.b[i / 2] = (unsigned char)(out.b[i / 2] << 4 |
		    (d ? d - digits : 0));
	}
	return out;
}

/* Whose last request that was; NULL: not there. */
static struct conv *conv_of(struct monitor *m, struct str id)
{
	struct recogniser *g = m->recogniser;
	size_t i;

	for (i = 0; id.n && i < CONVS_MAX; i++)
		if (g->conv[i].of &&
		    str_eq(label_str(&g->conv[i].last), id))
			return &g->conv[i];
	return NULL;
}

/* Its names: those it keeps of an earlier request, then its own. */
static int recall_messages(struct monitor *m, struct conv *c, struct jv v)
{
	struct json_iter it = json_iter(json_get(v, S("add")));
	int64_t keep = json_int(json_get(v, S("keep")), 0);
	struct conv *base = conv_of(m, json_str(json_get(v, S("base"))).raw);
	size_t n;

	if (keep < 0 || (keep && (!base || (size_t)keep > base->n)))
		return E_NONE;
	n = (size_t)keep;
	if (n && base != c)
		memcpy(c->sha, base->sha, (n < CONV_MESSAGES ? n :
		    CONV_MESSAGES) * sizeof *c->sha);
	for (; json_next(&it); n++)
		if (n < CONV_MESSAGES)
			c->sha[n] = name_of(it.value);
	c->n = n;
	return n ? OK : E_NONE;
}

/* The client's own block changes each time and is left out. */
static void recall_system(struct monitor *m, struct conv *c, struct jv list)
{
	struct json_iter it = json_iter(list);
	struct journal_line l;

	c->nsystem = 0;
	memset(c->system, 0, sizeof c->system);
	while (c->nsystem < SYSTEM_MAX && json_next(&it))
		if (journal_blob(m->journal, json_str(it.value).raw, &l) != OK ||
		    str_find(l.text, S("\"text\":\"x-anthropic-billing-header"))
		    == l.text.n)
			c->system[c->nsystem++] = name_of(it.value);
}

static void recall_agent(struct conv *c, struct jv v)
{
	label_jset(&c->agent_id, json_str(json_get(v, S("gen_ai.agent.id"))));
	label_jset(&c->parent, json_str(json_get(v, S("cdx.agent.parent"))));
	label_jset(&c->type, json_str(json_get(v, S("gen_ai.agent.name"))));
	c->type_by = known(json_get(v, S("cdx.agent.name.by")));
	label_jset(&c->spawn_call, json_str(json_get(v, S("cdx.agent.call"))));
	label_jset(&c->spawn_request, json_str(json_get(v,
	    S("cdx.agent.call_request"))));
	c->link_by = known(json_get(v, S("cdx.link_by")));
}

static unsigned small(struct jv v)
{
	int64_t n = json_int(v, 0);

	return n > 0 && n < 1 << 20 ? (unsigned)n : 0;
}

static struct jv parse(struct json *doc, struct str line)
{
	static char *memory;
	struct arena a;

	if (!memory)
		memory = share_map_own(SCRATCH);
	a = (struct arena){ memory, memory ? memory + SCRATCH : NULL };
	/* A value of a document that isn't sound is absent. */
	memset(doc, 0, sizeof *doc);
	(void)json_parse(doc, line, &a, NULL);
	return json_root(doc);
}

void recall_request(struct monitor *m, struct session *s, struct str line)
{
	struct json doc;
	struct jv v = parse(&doc, line);
	struct jv class = json_get(v, S("cdx.class"));
	struct str prompt = json_str(json_get(v, S("cdx.prompt.id"))).raw;
	int sub = json_is(class, S("subagent"));
	struct label agent;
	struct conv *c;

	s->prompt = prompt.n ? journal_hash(prompt) | 1 : s->prompt;
	s->hints |= json_true(json_get(v, S("cdx.hints")));
	if (!sub && !json_is(class, S("main")) &&
	    !json_is(class, S("workflow")))
		return;
	label_jset(&agent, json_str(json_get(v, S("gen_ai.agent.id"))));
	s->agents |= agent.n > 0;
	c = recognise_conv(m, s, label_str(&agent), sub,
	    small(json_get(v, S("cdx.lane"))));
	if (!c)
		return;
	c->cached = 0;
	c->ncalls = 0;
	c->last_start = 0;
	if (recall_messages(m, c, json_get(v, S("cdx.messages"))) != OK) {
		c->n = c->last.n = 0;
		return;
	}
	label_jset(&c->last, json_str(json_get(v, S("id"))));
	recall_system(m, c, json_get(v, S("cdx.system")));
	c->tools = name_of(json_get(json_get(v, S("cdx.tools")), S("sha")));
	c->model = recognise_key(json_str(json_get(v,
	    S("gen_ai.request.model"))).raw);
	c->marks = json_count(json_get(v, S("cdx.cache_marks"))) ? CACHE_5M :
	    CACHE_NONE;
	recall_agent(c, v);
	c->turn = small(json_get(v, S("cdx.turn")));
	c->step = small(json_get(v, S("cdx.step")));
	c->last_start = clock_of(v);
}

void recall_response(struct monitor *m, struct str line)
{
	struct json doc;
	struct jv v = parse(&doc, line);
	struct conv *c = conv_of(m, json_str(json_get(v, S("id"))).raw);
	struct json_iter it = json_iter(json_get(v, S("cdx.tool_calls")));

	if (!c)
		return;
	c->last_end = clock_of(v);
	if (json_is(json_get(v, S("cdx.usage.by")), S("upstream")))
		c->cached = json_int(json_get(v,
		    S("gen_ai.usage.cache_read.input_tokens")), 0) +
		    json_int(json_get(v,
		    S("gen_ai.usage.cache_write.input_tokens")), 0);
	for (c->ncalls = 0; c->ncalls < CONV_CALLS && json_next(&it);
	    c->ncalls++)
		c->call[c->ncalls] = (struct called){
			.id = journal_hash(json_str(json_get(it.value,
			    S("gen_ai.tool.call.id"))).raw),
			.hash = journal_sha_key(json_str(json_get(it.value,
			    S("hash"))).raw)
		};
}
