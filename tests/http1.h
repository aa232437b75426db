/* http1.h -- the cases of tests/data/http1 as bytes, for the tests that use
 * them. The format is described beside them.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TEST_HTTP1_H
#define TEST_HTTP1_H

#include <stdio.h>

#include "../src/base/base.h"
#include "../src/wire/json.h"

enum {
	PARTS_MAX = 1024,	/* of one case; some send byte by byte */
	CASES_MAX = 256,
	BYTES_MAX = 3 << 20,	/* of one case, expanded */
	TREE_MAX = 8 << 20	/* text and tokens of one file */
};

enum part_kind { PART_BYTES, PART_PAUSE, PART_AWAIT, PART_HALF_CLOSE };

struct part {
	enum part_kind kind;
	struct str bytes;
	long ms;
};

struct vcase {
	char id[48], level[16];
	struct jv json, expect;
	struct part parts[PARTS_MAX];
	size_t nparts;
	struct str text;	/* all its bytes, one after the other */
};

struct vfile {
	struct json doc;
	struct jv cases;
	size_t n;
};

/* What {HOST}, {PORT}, {H} and {T} stand for. */
struct names {
	struct str host, port, h, t;
};

static inline int vfile_load(struct vfile *v, const char *path, char *mem,
    size_t cap)
{
	struct arena a = { mem, mem + cap };
	FILE *f = fopen(path, "rb");
	struct str text;
	struct json_error e;
	char *p;

	if (!f)
		return 0;
	p = arena_bytes(&a, cap / 4);
	text.p = p;
	text.n = p ? fread(p, 1, cap / 4, f) : 0;
	fclose(f);
	if (json_parse(&v->doc, text, &a, &e) != OK)
		return 0;
	v->cases = json_get(json_root(&v->doc), S("cases"));
	v->n = json_count(v->cases);
	return v->n > 0;
}

/* A string of the file to bytes: code points up to U+00FF are the bytes. */
static inline struct str vbytes(struct arena *a, struct jv v)
{
	struct jstr s = json_str(v);
	char *p = arena_bytes(a, s.raw.n);
	struct buf b = buf_on(p, s.raw.n);
	size_t i, n = 0;

	if (!p)
		return (struct str){ NULL, 0 };
	json_unescape(&b, s);
	for (i = 0; i < b.n; i++, n++) {
		unsigned char c = (unsigned char)p[i];

		if (c >= 0xc0)
			c = (unsigned char)((c & 3) << 6 | (p[++i] & 0x3f));
		p[n] = (char)c;
	}
	return (struct str){ p, n };
}

static inline void put_named(struct buf *b, struct str s,
    const struct names *names)
{
	const struct { struct str name, value; } table[] = {
		{ S("{HOST}"), names->host }, { S("{PORT}"), names->port },
		{ S("{H}"), names->h }, { S("{T}"), names->t },
	};
	size_t i;

	while (s.n) {
		for (i = 0; i < COUNT(table); i++)
			if (str_starts(s, table[i].name))
				break;
		if (i < COUNT(table)) {
			buf_put(b, table[i].value);
			s = str_from(s, table[i].name.n);
		} else {
			buf_chr(b, s.p[0]);
			s = str_from(s, 1);
		}
	}
}

static inline void vcopy(char *to, size_t cap, struct jv v)
{
	struct str s = json_str(v).raw;

	s = str_head(s, cap - 1);
	memcpy(to, s.p ? s.p : "", s.n);
	to[s.n] = '\0';
}

/* Expands a case into mem, of BYTES_MAX bytes. 0 when it doesn't fit. */
static inline int vcase_expand(struct vcase *c, struct jv v,
    const struct names *names, char *mem)
{
	static char space[1 << 16];
	struct json_iter it = json_iter(json_get(v, S("send")));
	struct buf b = buf_on(mem, BYTES_MAX);

	memset(c, 0, sizeof(*c));
	c->json = v;
	c->expect = json_get(v, S("expect"));
	vcopy(c->id, sizeof(c->id), json_get(v, S("id")));
	vcopy(c->level, sizeof(c->level), json_get(v, S("level")));
	while (json_next(&it)) {
		struct arena a = { space, space + sizeof(space) };
		struct part *p = &c->parts[c->nparts++];
		int64_t times = json_int(json_get(it.value, S("times")), 1);
		struct jv text = it.value;
		struct str bytes;

		if (c->nparts == PARTS_MAX)
			return 0;
		p->bytes.p = mem + b.n;
		if (json_type(it.value) == JSON_OBJECT) {
			text = json_get(it.value, S("repeat"));
			p->ms = (long)json_int(json_get(it.value,
			    S("pause_ms")), 0);
			p->kind = p->ms ? PART_PAUSE : PART_BYTES;
			if (json_type(json_get(it.value, S("await")))) {
				p->kind = PART_AWAIT;
				p->ms = (long)json_int(json_get(it.value,
				    S("ms")), 0);
			}
			if (json_true(json_get(it.value, S("half_close"))))
				p->kind = PART_HALF_CLOSE;
		}
		bytes = vbytes(&a, text);
		while (p->kind == PART_BYTES && times-- > 0)
			put_named(&b, bytes, names);
		p->bytes.n = (size_t)(mem + b.n - p->bytes.p);
	}
	c->text = buf_str(&b);
	return !b.full;
}

/* Whether expect.status lists it; a single number is a list of one. */
static inline int status_listed(struct jv expect, int status)
{
	struct jv list = json_get(expect, S("status"));
	struct json_iter it = json_iter(list);

	if (json_type(list) == JSON_NUMBER)
		return json_int(list, 0) == status;
	while (json_next(&it))
		if (json_int(it.value, 0) == status)
			return 1;
	return 0;
}

#endif
