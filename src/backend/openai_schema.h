/* openai_schema.h -- what the two writers of schemas share.
 *
 * Private to openai_schema.c and openai_gemini.c.
 *
 * SPDX-License-Identifier: MIT */
#ifndef OPENAI_SCHEMA_H
#define OPENAI_SCHEMA_H

#include "openai.h"

static inline int is_object(struct jv v)
{
	return json_type(v) == JSON_OBJECT;
}

static inline int key_in(struct jstr key, const struct str *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (jstr_eq(key, list[i]))
			return 1;
	return 0;
}

#define IN(key, list) key_in((key), (list), COUNT(list))

/* n counts the keys of the object so far. */
static inline void put_key(struct buf *b, size_t *n, struct str key)
{
	buf_put(b, (*n)++ ? S(",\"") : S("\""));
	buf_put(b, key);
	buf_put(b, S("\":"));
}

/* schema is an object. empty_refused: nested objects without properties were
 * (PARAM_EMPTY_OBJECT). */
void openai_gemini_schema(struct buf *b, struct jv schema, int empty_refused);

#endif
