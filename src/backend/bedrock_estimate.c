/* bedrock_estimate.c -- tokens of a request for Claude, where nobody counts
 * (BR-133).
 *
 * By bytes, as the tokenizers of Claude are not public: what tells them apart is
 * how many bytes make a token.
 *
 * SPDX-License-Identifier: MIT */
#include "bedrock.h"

enum { PER_IMAGE = 1600, PER_TOOLS = 350, PER_MESSAGE = 8 };	/* tokens */

/* Bytes once unescaped, nearly: an escape is one, \u00e9 three. */
static uint64_t plain_size(struct str s)
{
	uint64_t n = s.n;
	size_t at;

	while ((at = str_chr(s, '\\')) + 1 < s.n) {
		n -= s.p[at + 1] == 'u' ? 3 : 1;
		s = str_from(s, at + 2);
	}
	return n;
}

struct size {
	uint64_t bytes, tokens;
};

static void add_block(struct size *s, const struct block *b)
{
	const struct str texts[] = { b->text.raw, b->name.raw, b->input,
	    b->title.raw, b->context.raw };
	size_t i;

	for (i = 0; i < COUNT(texts); i++)
		s->bytes += plain_size(texts[i]);
	if (b->source == SOURCE_TEXT)
		s->bytes += plain_size(b->data.raw);
	else if (b->type == B_IMAGE)
		s->tokens += b->source == SOURCE_BASE64 ?
		    estimate_image(b->data) : PER_IMAGE;
	else if (b->type == B_DOCUMENT && b->source == SOURCE_BASE64)
		s->tokens += estimate_pdf(b->data) * 3 / 4;
}

static void add_blocks(struct size *s, const struct block *b, size_t n)
{
	const struct block *in;
	size_t i, k;

	for (; n; n--, b++) {
		add_block(s, b);
		for (i = 0; i < b->ncontent; i++) {
			in = &b->content[i];
			add_block(s, in);
			for (k = 0; k < in->ncontent; k++)
				add_block(s, &in->content[k]);
		}
	}
}

/* The tokenizer of 4.7 and later is much finer than the older ones. What is
 * dense (base64, digits) costs more than its bytes say: then the other estimate
 * is larger. Too low would lose a session, too high only compacts early. */
int64_t bedrock_estimate(const struct request *r, int version)
{
	uint64_t per_10_tokens = version == 0 || version >= 47 ? 25 : 33;
	int64_t least = estimate_request(r, VOCAB_O, 1);
	struct size s = { 0, 0 };
	size_t i;

	add_blocks(&s, r->system, r->nsystem);
	for (i = 0; i < r->nmessages; i++)
		add_blocks(&s, r->messages[i].blocks, r->messages[i].n);
	for (i = 0; i < r->ntools; i++)
		s.bytes += plain_size(json_raw(r->tools[i].json));
	s.tokens += r->nmessages * PER_MESSAGE + (r->ntools ? PER_TOOLS : 0);
	s.tokens += (s.bytes * 10 + per_10_tokens - 1) / per_10_tokens;
	return s.tokens > (uint64_t)least ? (int64_t)s.tokens : least;
}
