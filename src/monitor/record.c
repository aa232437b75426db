/* record.c -- what a request was and what became of it.
 *
 * The record is the first sink of the tee. It keeps figures and names by
 * value, nothing that lives in the request's memory.
 *
 * SPDX-License-Identifier: MIT */
#include "../net/loop.h"
#include "lines.h"

void label_set(struct label *l, struct str s)
{
	size_t n = s.n < RECORD_TEXT ? s.n : RECORD_TEXT;

	/* Cut at a whole character. */
	while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	if (n)
		memcpy(l->p, s.p, n);
	l->n = n;
}

void label_jset(struct label *l, struct jstr s)
{
	char text[RECORD_TEXT * 2];
	struct buf b = buf_on(text, sizeof text);

	/* Unescaping never grows; what is cut away would not be kept. */
	s.raw = str_head(s.raw, sizeof text);
	s.raw.n = json_whole(s.raw);
	json_unescape(&b, s);
	label_set(l, buf_str(&b));
}

struct str label_str(const struct label *l)
{
	return (struct str){ l->p, l->n };
}

static void record_event(struct sink *s, const struct event *e)
{
	struct record *r = (struct record *)s;

	monitor_enter(r->mon);
	events_answer(r, e, loop_recent());
	monitor_leave(r->mon);
	switch (e->type) {
	case EV_MESSAGE_START:
		r->usage = e->usage;
		break;
	case EV_BLOCK_START:
		if (e->block != B_TOOL_USE)
			break;
		if (r->ntools < RECORD_TOOLS_MAX)
			label_jset(&r->tools[r->ntools], e->name);
		r->ntools++;
		break;
	case EV_TEXT:
		r->text_bytes += e->text.raw.n;
		break;
	case EV_THINKING:
		r->thinking_bytes += e->text.raw.n;
		break;
	case EV_INPUT:
		r->input_bytes += e->text.raw.n;
		break;
	case EV_MESSAGE_DELTA:
		r->usage = e->usage;
		r->have_usage = 1;
		r->stop = e->stop;
		break;
	case EV_ERROR:
		r->fault = *e->fault;
		break;
	case EV_SIGNATURE:
	case EV_BLOCK_STOP:
	case EV_MESSAGE_STOP:
	case EV_PIECE:
		break;
	}
}

void record_init(struct record *r, struct monitor *m)
{
	memset(r, 0, sizeof *r);
	r->sink.event = record_event;
	r->mon = m;
	r->usage.thinking = -1;
	r->cost = -1;
	r->attempts = 1;
	r->class = "main";
	r->class_by = "guess";
}

/* ---- class ------------------------------------------------------------ */

static int is_reminder(struct jstr text)
{
	return jstr_starts(text, S("<system-reminder>"));
}

/* The last user text that a person, or a prompt for a side call, wrote. */
static struct jstr last_user_text(const struct request *q)
{
	const struct message *m;
	size_t i, k;

	for (i = q->nmessages; i-- > 0;) {
		m = &q->messages[i];
		if (m->role != ROLE_USER)
			continue;
		for (k = m->n; k-- > 0;)
			if (m->blocks[k].type == B_TEXT &&
			    !is_reminder(m->blocks[k].text))
				return m->blocks[k].text;
	}
	return (struct jstr){ { NULL, 0 } };
}

static int any_starts(struct jstr text, const char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (jstr_starts(text, str_of(list[i])))
			return 1;
	return 0;
}

/* Prompts that Claude Code sends beside the conversation, new ones first:
 * titles, searches, pages, and the judge of auto mode. */
static const char *const side_prompts[] = {
	"You are naming a coding session",
	"You run a web search for another Claude model",
	"\nWeb page content:\n---", "You are a security monitor for autonomous",
	"Generate a concise", "Generate a short kebab-case name",
	"You are an assistant for performing a web",
	"Summarize this coding conversation in under 50 characters",
	"Please write a 5-10 word title"
};

static int system_starts(const struct request *q, const char *const *list,
    size_t n)
{
	size_t i;

	for (i = 0; i < q->nsystem; i++)
		if (any_starts(q->system[i].text, list, n))
			return 1;
	return 0;
}

/* Tools that the client runs; a side call has none. */
static int has_tools(const struct request *q)
{
	size_t i;

	for (i = 0; i < q->ntools; i++)
		if (q->tools[i].kind != TOOL_SERVER)
			return 1;
	return 0;
}

static const char *class_by_body(const struct request *q)
{
	static const char *const summariser[] = {
		"You are a helpful AI assistant tasked with summarizing"
	};
	struct jstr last = last_user_text(q);

	if (q->max_tokens == 1 && q->nmessages == 1 && jstr_eq(last,
	    S("quota")))
		return "probe";
	if (q->nsystem && str_find(q->system[0].text.raw,
	    S("cc_is_subagent=true")) < q->system[0].text.raw.n)
		return "subagent";
	if (str_find(q->user_id.raw, S("parent_session_id")) <
	    q->user_id.raw.n)
		return "subagent";
	if (!has_tools(q) && (any_starts(last, side_prompts,
	    COUNT(side_prompts)) || system_starts(q, side_prompts,
	    COUNT(side_prompts))))
		return "auxiliary";
	if (jstr_starts(last, S("CRITICAL: Respond with TEXT")) ||
	    system_starts(q, summariser, 1))
		return "compaction";
	return NULL;
}

static const char *class_by_hint(struct str hint)
{
	static const char *const known[] = {
		"main", "subagent", "workflow", "compaction", "auxiliary"
	};
	size_t i;

	for (i = 0; i < COUNT(known); i++)
		if (str_eq(hint, str_of(known[i])))
			return known[i];
	return NULL;
}

/* session_id inside metadata.user_id, a JSON text within a JSON string; or
 * the older user_..._session_UUID. */
static struct str session_of(struct jstr user_id)
{
	static const struct str marks[] = {
		{ "\\\"session_id\\\":\\\"", 17 }, { "_session_", 9 }
	};
	struct str s = user_id.raw;
	size_t i, at, n;

	for (i = 0; i < COUNT(marks); i++) {
		at = str_find(s, marks[i]);
		if (at == s.n)
			continue;
		s = str_from(s, at + marks[i].n);
		for (n = 0; n < s.n && n < 64 && (s.p[n] == '-' ||
		    (s.p[n] >= '0' && s.p[n] <= '9') ||
		    (s.p[n] >= 'a' && s.p[n] <= 'f')); n++)
			continue;
		return str_head(s, n);
	}
	return S("");
}

void record_classify(struct record *r, const struct request *q,
    struct str request_class, struct str agent_id, struct str parent_id)
{
	const char *c;

	if (!q || q->nmessages == 0)
		return;
	label_jset(&r->prompt, last_user_text(q));
	if (r->session.n == 0)
		label_set(&r->session, session_of(q->user_id));
	c = class_by_hint(request_class);
	if (c) {
		r->class = c;
		r->class_by = "hint";
		return;
	}
	c = class_by_body(q);
	if (agent_id.n || parent_id.n) {
		r->class = "subagent";
		r->class_by = "header";
	} else if (c) {
		r->class = c;
		r->class_by = "body";
	}
}
