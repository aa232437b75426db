/* bedrock_stream.c -- fuzz target: an answer of Converse.
 *
 * The first byte chooses the model's family, whether thinking is wanted, how
 * much room there is, and whether the rest is a whole answer or a script, an
 * event a line: a letter or a type's name, a blank, the payload.
 *
 * Holds: an end in every case; blocks balanced, in order, nothing after the
 * end; each event as it is written is JSON, and so is the message they fold
 * into; lack of room is said and nothing else; a fault has a status.
 *
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "../../src/backend/bedrock_stream.c"
#include "../bedrock_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE_MAX_IN = 1 << 12, ROOM_SMALL = 700 };

static struct play p;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data + 1, size - 1 };
	int r, small;

	if (size < 1 || size > SIZE_MAX_IN)
		return 0;
	play_init(&p, data[0] & 1 ? FAMILY_CLAUDE : FAMILY_NOVA);
	p.req.display = data[0] & 2 ? DISPLAY_OMITTED : DISPLAY_SUMMARIZED;
	small = data[0] & 4;
	if (small)
		p.a.end = p.memory + ROOM_SMALL;
	p.name = (struct bedrock_name){ { S("f \\\"x") },
	    { S("f_x") }, NULL };
	p.st.names = &p.name;
	r = data[0] & 8 ? bedrock_converse_answer(&p.c, &p.st, text) :
	    play_script(&p, text);
	assert(!p.broken);
	assert(r == CALL_DONE || r == E_FAULT || r == E_FULL);
	assert(p.a.cur <= p.a.end);
	if (r == CALL_DONE) {
		assert(p.ended && !p.in_block);
		assert(p.whole.full ||
		    json_check(buf_str(&p.whole), NULL, NULL) == OK);
	} else {
		assert(!p.ended);
		assert(r != E_FAULT || p.c.fault.status >= 500);
	}
	return 0;
}
