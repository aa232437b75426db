/* bedrock_error.c -- fuzz target: a refusal of Bedrock's, said again and again.
 *
 * The first byte chooses the status, the second whether it is an HTTP answer,
 * an exception or an error frame, the kind of call and who signs; then the code
 * up to a line's end, then the body.
 *
 * Holds: there is an end, after no more tries than the caller allows; a fault
 * with a status and a text in UTF-8 that shows no secret; a count is never
 * refused; what was learned is bounded and in its form.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/backend/bedrock_error.c"
#include "../invoke.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY "wJalrXUtnFEMI/K7MDENG"

static struct world w;

static int refuse(int status, unsigned how, struct str code, struct str body)
{
	if (how & 1)
		return bedrock_exception(&w.c, &w.st, code, body,
		    (how & 2) != 0);
	w.head = (struct http_head){ .status = status, .nfields = 2 };
	w.head.fields[0].name = S("x-amzn-errortype");
	w.head.fields[0].value = code;
	w.head.fields[1].name = S("date");
	w.head.fields[1].value = how & 2 ? S("Wed, 18 Nov 2026 11:16:40 GMT") :
	    code;
	return bedrock_refuse(&w.c, &w.st, &w.head, body);
}

static void check_learned(void)
{
	const struct bedrock_learned *l = bedrock_learned(&w.c);
	size_t i;

	assert(l->nstrips <= LEARNED_STRIPS && l->betas <= 2);
	assert(l->max_tokens >= 0 && l->candidate < 4);
	for (i = 0; i < l->nstrips; i++)
		assert(l->strip[i][0] && memchr(l->strip[i], '\0',
		    LEARNED_PATH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int status[] = { 400, 401, 403, 404, 408, 413, 424, 429,
		500, 502, 503, 504, 302, 418 };
	struct str rest, code;
	int r, tries = 0;

	if (size < 3 || size > 1 << 14)
		return 0;
	rest = (struct str){ (const char *)data + 2, size - 2 };
	str_cut(&rest, '\n', &code);
	memset(&w.facts, 0, sizeof w.facts);
	w.aws = (struct aws_credentials){ .id = S("AKIAIOSFODNN7EXAMPLE"),
	    .secret = S(KEY), .profile = S("dev"), .region = S("us-east-1") };
	if (data[1] & 8)
		w.aws.bearer = S("ABSKQmVkcm9ja0FQSUtleS0");
	world_call(&w, S(""), data[1] & 4 ? CALL_COUNT : CALL_MESSAGES);
	w.c.model = S("claude-sonnet-4-5");
	w.c.answer.started = (data[1] & 16) != 0;
	do {
		w.c.attempt = tries;
		memset(&w.st, 0, sizeof w.st);
		w.a.cur = w.memory;
		r = bedrock_resolve(&w.c, &w.st.model);
		assert(r == OK);
		r = refuse(status[data[0] % COUNT(status)], data[1], code,
		    rest);
		assert(r != CALL_RETRY || !w.c.answer.started);
		check_learned();
	} while (r == CALL_RETRY && ++tries <= BEDROCK_RETRIES);
	assert(r == E_FAULT || (r == CALL_DONE && w.c.kind == CALL_COUNT));
	if (r != E_FAULT)
		return 0;
	assert(w.c.fault.status >= 400 && w.c.fault.status < 600);
	assert(w.c.fault.n && w.c.fault.n <= FAULT_TEXT_MAX);
	assert(utf8_valid(fault_text(&w.c.fault)) == w.c.fault.n);
	assert(str_find(fault_text(&w.c.fault), S(KEY)) == w.c.fault.n);
	return 0;
}
