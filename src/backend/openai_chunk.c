/* openai_chunk.c -- what one chunk says, in whichever field it says it.
 *
 * A chunk, and a whole answer too, is walked over once: chunks are small and
 * come by the thousand, and there are some twenty names to look for.
 *
 * SPDX-License-Identifier: MIT */
#include "openai_answer.h"

/* ---- fields ------------------------------------------------------------ */

enum root_field { R_ERROR, R_OBJECT, R_CHOICES, R_USAGE, R_TIER, R_COUNT };
enum choice_field {
	C_INDEX, C_DELTA, C_MESSAGE, C_FINISH, C_STOP, C_ERROR, C_COUNT
};
enum delta_field {
	D_CONTENT, D_CALLS, D_REASONING_CONTENT, D_REASONING, D_DETAILS,
	D_THINKING, D_REFUSAL, D_LEGACY, D_EXTRA, D_COUNT
};

static const struct str root_names[R_COUNT] = {
	{ "error", 5 }, { "object", 6 }, { "choices", 7 }, { "usage", 5 },
	{ "service_tier", 12 }
};
static const struct str choice_names[C_COUNT] = {
	{ "index", 5 }, { "delta", 5 }, { "message", 7 },
	{ "finish_reason", 13 }, { "stop_reason", 11 }, { "error", 5 }
};
static const struct str delta_names[D_COUNT] = {
	{ "content", 7 }, { "tool_calls", 10 }, { "reasoning_content", 17 },
	{ "reasoning", 9 }, { "reasoning_details", 17 }, { "thinking", 8 },
	{ "refusal", 7 }, { "function_call", 13 }, { "extra_content", 13 }
};

/* The members of that names in one walk; absent ones are absent. */
static void pick(struct jv object, const struct str *names, struct jv *out,
    size_t n)
{
	struct json_iter it = json_iter(object);
	size_t i;
	int plain;

	memset(out, 0, n * sizeof *out);
	while (it.object && json_next(&it)) {
		plain = it.key.raw.n && !memchr(it.key.raw.p, '\\',
		    it.key.raw.n);
		for (i = 0; i < n; i++)
			if (plain ? str_eq(it.key.raw, names[i]) :
			    jstr_eq(it.key, names[i]))
				out[i] = it.value;
	}
}

static int present(struct jv v)
{
	switch (json_type(v)) {
	case JSON_ABSENT: case JSON_NULL: case JSON_FALSE:
		return 0;
	case JSON_STRING:
		return json_str(v).raw.n > 0;
	case JSON_TRUE: case JSON_NUMBER: case JSON_ARRAY: case JSON_OBJECT:
		break;
	}
	return 1;
}

/* ---- text that may be a call (OA-109) ---------------------------------- */

static void maybe_call_give(struct call *c)
{
	struct openai_state *st = openai_state(c);
	struct link *l;

	st->plain = 1;
	for (l = st->maybe_call.first; l; l = l->next)
		text_content(c, (struct jstr){ link_str(l) });
	rope_clear(&st->maybe_call);
}

/* How models write a call that their server doesn't take for one: Hermes and
 * Qwen, Llama, Mistral, DeepSeek, and bare JSON. Escaped, as it arrives. */
static const struct str marks[] = {
	{ "<tool_call>", 11 }, { "<function=", 10 }, { "<invoke name", 12 },
	{ "<|python_tag|>", 14 }, { "<|tool_call", 11 },
	{ "[TOOL_CALLS]", 12 }, { "<\xef\xbd\x9c" "DSML", 8 },
	{ "<\xef\xbd\x9c" "tool", 8 }, { "{\\\"name\\\":", 10 }
};

/* Whether what was matched so far is a mark, or may become one. */
static int mark_seen(struct openai_state *st)
{
	struct str s = { st->mark, st->nmark };
	int may = 0;
	size_t i;

	for (i = 0; i < COUNT(marks); i++) {
		if (str_eq(s, marks[i]))
			return 1;
		may |= str_starts(marks[i], s);
	}
	if (!may)
		st->nmark = 0;
	return 0;
}

/* It is only said: taking it as a call is its owner's choice (OA-109). */
static void look_for_call(struct openai_state *st, struct str s)
{
	size_t i;

	for (i = 0; i < s.n && !st->wrote_call; i++) {
		if (s.p[i] == '<' || s.p[i] == '[' || s.p[i] == '{')
			st->nmark = 0;
		else if (!st->nmark)
			continue;
		st->mark[st->nmark++] = s.p[i];
		st->wrote_call = (unsigned char)mark_seen(st);
	}
}

static void content_in(struct call *c, struct jstr piece)
{
	struct openai_state *st = openai_state(c);
	struct rope *r = &st->maybe_call;
	size_t at = 0;
	uint32_t ch;

	if (st->sent.nnames)
		look_for_call(st, piece.raw);
	if (!st->flags->text_calls || !st->sent.nnames || st->plain ||
	    st->slots) {
		text_content(c, piece);
		return;
	}
	if (r->n) {
		rope_put(c, r, piece.raw);
		return;
	}
	while (at < piece.raw.n) {
		ch = jchar(piece.raw, &at);
		if (jchar_blank(ch))
			continue;
		if (ch == '{' || ch == '<') {
			rope_put(c, r, piece.raw);
			return;
		}
		st->plain = 1;
		break;
	}
	text_content(c, piece);
}

static void note_written_call(struct call *c)
{
	struct openai_state *st = openai_state(c);

	if (st->wrote_call && !st->slots)
		note(c->notes, NOTE_CHANGED, S("content"), S("the model wrote "
		    "a tool call as text, which is passed on as text (see "
		    "text_calls in OPENAI_FLAGS)"));
}

void chunk_maybe_call(struct call *c)
{
	struct openai_state *st = openai_state(c);
	char *before = c->a->cur;
	struct str text;
	struct json doc;
	struct jstr name;

	if (st->maybe_call.n == 0) {
		note_written_call(c);
		return;
	}
	text = rope_flat(c->a, &st->maybe_call);
	if (text.p)
		text = str_trim(json_text(c->a, (struct jstr){ text }));
	if (str_starts(text, S("<tool_call>")) &&
	    str_ends(text, S("</tool_call>")))
		text = str_from(str_head(text, text.n - 12), 11);
	if (!st->slots && json_parse(&doc, text, c->a, NULL) == OK) {
		name = json_str(json_get(json_root(&doc), S("name")));
		if (name.raw.n && calls_name(c, &name) &&
		    json_type(json_get(json_root(&doc), S("arguments"))) ==
		    JSON_OBJECT) {
			rope_clear(&st->maybe_call);
			st->gathering = 0;
			calls_take(c, json_root(&doc));
		}
	}
	c->a->cur = before;
	note_written_call(c);
	maybe_call_give(c);
}

/* ---- parts ------------------------------------------------------------- */

/* Text too, and the reason of the end (OA-97, OA-104). */
static void take_refusal(struct call *c, struct jstr refusal)
{
	struct openai_state *st = openai_state(c);

	if (!refusal.raw.n)
		return;
	st->refused = 1;
	rope_put(c, &st->refusal, refusal.raw);
	content_in(c, refusal);
}

/* Text in an array of parts (OA-103); Mistral puts thoughts there too. */
static void take_part(struct call *c, struct jv part)
{
	struct jv thoughts = json_get(part, S("thinking"));
	struct json_iter it = json_iter(thoughts);

	if (json_type(part) == JSON_STRING) {
		content_in(c, json_str(part));
		return;
	}
	text_reasoning(c, json_str(thoughts));
	while (json_type(thoughts) == JSON_ARRAY && json_next(&it))
		text_reasoning(c, json_str(json_get(it.value, S("text"))));
	content_in(c, json_str(json_get(part, S("text"))));
	take_refusal(c, json_str(json_get(part, S("refusal"))));
}

/* The first of the fields that has any (OA-63). Details are taken in all
 * cases, for sending them back. */
static void take_reasoning(struct call *c, const struct jv *d)
{
	struct json_iter it = json_iter(d[D_DETAILS]);
	struct jstr text = json_str(d[D_REASONING_CONTENT]);
	int any;

	if (!text.raw.n)
		text = json_str(d[D_REASONING]);
	any = text.raw.n != 0;
	text_reasoning(c, text);
	while (!any && json_type(d[D_DETAILS]) == JSON_ARRAY &&
	    json_next(&it)) {
		text = json_str(json_get(it.value, S("text")));
		if (!text.raw.n)
			text = json_str(json_get(it.value, S("summary")));
		text_reasoning(c, text);
	}
	if (!text.raw.n)
		text_reasoning(c, json_str(d[D_THINKING]));
	envelope_details(c, d[D_DETAILS]);
}

static void take_content(struct call *c, const struct jv *d)
{
	struct openai_state *st = openai_state(c);
	struct jv content = d[D_CONTENT];
	struct jstr text = json_str(content);
	struct jv google = json_get(d[D_EXTRA], S("google"));
	struct json_iter it = json_iter(content);

	if (json_type(content) == JSON_ARRAY)
		while (json_next(&it))
			take_part(c, it.value);
	else if (json_true(json_get(google, S("thought"))) &&
	    st->think.state != TH_IN && !jstr_starts(text, S("<thought>")))
		text_reasoning(c, text);
	else if (text.raw.n)
		content_in(c, text);
	take_refusal(c, json_str(d[D_REFUSAL]));
	calls_signature(c, json_str(json_get(google,
	    S("thought_signature"))));
}

static void take_calls(struct call *c, const struct jv *d)
{
	struct json_iter it = json_iter(d[D_CALLS]);

	if (json_type(d[D_CALLS]) == JSON_ARRAY)
		while (json_next(&it))
			calls_take(c, it.value);
	else if (json_type(d[D_CALLS]) == JSON_OBJECT)
		calls_take(c, d[D_CALLS]);
	else if (json_type(d[D_LEGACY]) == JSON_OBJECT)
		calls_take(c, d[D_LEGACY]);
}

void chunk_delta(struct call *c, struct jv delta)
{
	struct jv d[D_COUNT];

	pick(delta, delta_names, d, D_COUNT);
	take_reasoning(c, d);
	take_content(c, d);
	take_calls(c, d);
}

void chunk_message(struct call *c, struct jv message)
{
	struct openai_state *st = openai_state(c);
	struct jv d[D_COUNT];
	struct slot *s;

	pick(message, delta_names, d, D_COUNT);
	st->gathering = 1;
	take_calls(c, d);
	for (s = st->slots; s; s = s->next)
		calls_id(c, s);
	take_reasoning(c, d);
	take_content(c, d);
}

void chunk_finish(struct call *c, const struct chunk *k)
{
	struct openai_state *st = openai_state(c);
	struct jstr f = json_str(k->finish);
	struct jstr at = json_str(k->stop);

	/* The first one counts; some servers repeat it with the usage. */
	if (f.raw.n && !st->finish.raw.n)
		st->finish.raw = keep_str(c, f.raw);
	if (at.raw.n && !st->stopped_at.raw.n)
		st->stopped_at.raw = keep_str(c, at.raw);
}

/* ---- chunks that are alike --------------------------------------------- */

/* What such a chunk does depends on its text alone, once one has been read in
 * which every other field of interest was empty. */

static int says_nothing(struct jv v)
{
	return !present(v) ||
	    (json_type(v) == JSON_ARRAY && json_count(v) == 0);
}

void chunk_learn(struct call *c, const struct chunk *k)
{
	struct openai_state *st = openai_state(c);
	struct jv d[D_COUNT];
	size_t i;

	if (!alike_wanted(&st->alike) || st->repaired ||
	    json_type(k->delta) != JSON_OBJECT || present(k->finish) ||
	    present(k->stop) || present(k->usage))
		return;
	pick(k->delta, delta_names, d, D_COUNT);
	for (i = 0; i < D_COUNT; i++)
		if (i != D_CONTENT && !says_nothing(d[i]))
			return;
	if (json_type(d[D_CONTENT]) == JSON_STRING)
		alike_learn(&st->alike, k->root.doc->text,
		    json_raw(d[D_CONTENT]));
}

int chunk_alike(struct call *c, struct str data)
{
	struct jstr text;

	if (!alike_text(&openai_state(c)->alike, data, &text))
		return 0;
	if (text.raw.n)
		content_in(c, text);
	return 1;
}

/* ---- the whole --------------------------------------------------------- */

/* The first choice, by number where there are numbers (OA-77). */
static int pick_choice(struct jv choices, struct jv *choice)
{
	struct json_iter it = json_iter(choices);

	while (!it.object && json_next(&it)) {
		pick(it.value, choice_names, choice, C_COUNT);
		if (json_int(choice[C_INDEX], 0) == 0)
			return 1;
	}
	memset(choice, 0, C_COUNT * sizeof *choice);
	return 0;
}

/* An array stands for its first element (OA-75). */
static struct jv root_of(const struct json *doc)
{
	struct jv root = json_root(doc);

	return json_type(root) == JSON_ARRAY ? json_at(root, 0) : root;
}

struct chunk chunk_read(const struct json *doc, int named_error)
{
	struct chunk k;
	struct jv r[R_COUNT], choice[C_COUNT];

	memset(&k, 0, sizeof k);
	k.root = root_of(doc);
	pick(k.root, root_names, r, R_COUNT);
	k.any_choice = pick_choice(r[R_CHOICES], choice);
	k.usage = r[R_USAGE];
	k.tier = r[R_TIER];
	k.delta = choice[C_DELTA];
	k.message = choice[C_MESSAGE];
	k.finish = choice[C_FINISH];
	k.stop = choice[C_STOP];
	if (present(r[R_ERROR]))
		k.error = r[R_ERROR];
	else if (named_error || json_is(r[R_OBJECT], S("error")))
		k.error = k.root;
	else if (present(choice[C_ERROR]))
		k.error = choice[C_ERROR];
	return k;
}
