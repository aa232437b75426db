/* body.h -- requests as Claude Code sends them, of any size, for benchmarks:
 * a system text, thirty tools, then turns that read files.
 *
 * SPDX-License-Identifier: MIT */
#ifndef BODY_H
#define BODY_H

#include <stdio.h>

#include "../../src/base/base.h"

static const char body_code[] = "static int take(struct buf *b, int n)\\n{\\n"
	"\\tif (n < 0)\\n\\t\\treturn -1;\\t/* \\\"never\\\" */\\n\\tfor (i = "
	"0; i < n; i++)\\n\\t\\tb->p[b->n++] = next();\\n\\treturn 0;\\n}\\n";

static inline void put_tool(struct buf *b, int i)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s{\"name\":\"Tool%d\",\"description\":"
	    "\"Does one thing to a file in the working directory and says "
	    "what came of it.\\n\\nUsage:\\n- The path must be absolute.\\n- "
	    "Results come in the form `cat -n` has.\",\"input_schema\":{"
	    "\"type\":\"object\",\"properties\":{\"file_path\":{\"type\":"
	    "\"string\",\"description\":\"The absolute path\"},\"limit\":{"
	    "\"type\":\"number\",\"description\":\"How many lines\"},"
	    "\"mode\":{\"type\":\"string\",\"enum\":[\"a\",\"b\",\"c\"]}},"
	    "\"required\":[\"file_path\"],\"additionalProperties\":false}}",
	    i ? "," : "", i);
	buf_put(b, str_of(text));
}

static inline void put_turn(struct buf *b, int i, size_t size)
{
	char text[512];
	size_t end;

	snprintf(text, sizeof(text), "{\"role\":\"assistant\",\"content\":[{"
	    "\"type\":\"text\",\"text\":\"I will look at file %d.\"},{"
	    "\"type\":\"tool_use\",\"id\":\"toolu_%d\",\"name\":\"Tool1\","
	    "\"input\":{\"file_path\":\"/src/f%d.c\",\"limit\":200}}]},{"
	    "\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"toolu_%d\",\"content\":\"", i, i, i, i);
	buf_put(b, str_of(text));
	for (end = b->n + size; b->n < end;)
		buf_put(b, S(body_code));
	buf_put(b, S("\"}]},"));
}

/* About `bytes` of JSON; the last words are `last`. */
static inline void put_body(struct buf *b, size_t bytes, int stream,
    struct str last)
{
	int i;

	buf_put(b, S("{\"model\":\"claude-opus-5-5\",\"max_tokens\":4096,"));
	if (stream)
		buf_put(b, S("\"stream\":true,"));
	buf_put(b, S("\"system\":[{\"type\":\"text\",\"text\":\"You help "
	    "with code."));
	for (i = 0; bytes > 4096 && i < 60; i++)
		buf_put(b, S(" Say what you did in a line. Change as little "
		    "as you can, and \\\"run the tests\\\" after.\\n"));
	buf_put(b, S("\"}],"));
	if (bytes > 4096) {
		buf_put(b, S("\"tools\":["));
		for (i = 0; i < 30; i++)
			put_tool(b, i);
		buf_put(b, S("],"));
	}
	buf_put(b, S("\"messages\":[{\"role\":\"user\",\"content\":\"Mend "
	    "the parser.\"},"));
	for (i = 0; b->n + 600 < bytes; i++)
		put_turn(b, i, bytes < 4096 ? 200 : 4000);
	buf_put(b, S("{\"role\":\"assistant\",\"content\":\"Done.\"},"
	    "{\"role\":\"user\",\"content\":\"Go on, "));
	buf_put(b, last);
	buf_put(b, S("\"}]}"));
}

/* Requests of shapes that cost more than their size says, where something is
 * looked for again and again: a head, pieces until it is large enough, as many
 * second pieces, a tail. '#' stands for the number of the piece, and for that
 * from the end in the second ones. */
struct shape {
	const char *name, *head, *piece, *middle, *second, *tail;
};

#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}"
#define INPUT ASK ",{\"role\":\"assistant\",\"content\":[{\"type\":" \
	"\"tool_use\",\"id\":\"t\",\"name\":\"T\",\"input\":{\"a\":"
#define RESULT "}}]},{\"role\":\"user\",\"content\":[{\"type\":" \
	"\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"b\"}]}]"
#define SAY "{\"role\":\"user\",\"content\":"

static const struct shape shapes[] = {
	{ "one text", "\"messages\":[" SAY "\"", "and so on ", "", "",
	    "\"}]" },
	{ "escapes", "\"messages\":[" SAY "\"", "\\n\\\"\\u00e9\\ud83d\\ude00",
	    "", "", "\"}]" },
	{ "text blocks", "\"messages\":[" SAY "[",
	    "{\"type\":\"text\",\"text\":\"a\"},", "", "",
	    "{\"type\":\"text\",\"text\":\"z\"}]}]" },
	{ "turns", "\"messages\":[", SAY "\"a\"},{\"role\":\"assistant\","
	    "\"content\":\"b\"},", "", "", SAY "\"z\"}]" },
	{ "calls, turn by turn", ASK ",", "{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"tool_use\",\"id\":\"t#\",\"name\":\"T\","
	    "\"input\":{}}]}," SAY "[{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"t#\",\"content\":\"a\"}]},", "", "",
	    SAY "\"z\"}]" },
	{ "calls of one turn, backwards", ASK ",{\"role\":\"assistant\","
	    "\"content\":[{\"type\":\"text\",\"text\":\"a\"}",
	    ",{\"type\":\"tool_use\",\"id\":\"t#\",\"name\":\"T\","
	    "\"input\":{}}", "]}," SAY "[", "{\"type\":\"tool_result\","
	    "\"tool_use_id\":\"t#\",\"content\":\"a\"},",
	    "{\"type\":\"text\",\"text\":\"z\"}]}]" },
	{ "tools", ASK "],\"tools\":[", "{\"name\":\"T#\",\"input_schema\":"
	    "{\"type\":\"object\"}},", "", "", "{\"name\":\"Z\","
	    "\"input_schema\":{\"type\":\"object\"}}]" },
	{ "properties of one tool", ASK "],\"tools\":[{\"name\":\"T\","
	    "\"input_schema\":{\"type\":\"object\",\"properties\":{\"z\":{}",
	    ",\"p#\":{\"type\":\"string\"}", "},\"required\":[\"z\"",
	    ",\"p#\"", "]}}]" },
	{ "system blocks", ASK "],\"system\":[", "{\"type\":\"text\","
	    "\"text\":\"a\"},", "", "", "{\"type\":\"text\",\"text\":"
	    "\"z\"}]" },
	{ "empty objects", INPUT "[", "{},", "", "", "{}]" RESULT },
	{ "keys", INPUT "{", "\"k#\":1,", "", "", "\"z\":1}" RESULT },
	{ "digits", INPUT, "1", "", "", RESULT },
	{ "brackets", INPUT, "[", "", "]", RESULT }
};

static inline void put_piece(struct buf *b, const char *p, size_t number)
{
	for (; *p; p++)
		if (*p == '#')
			buf_int(b, (int64_t)number);
		else
			buf_put(b, (struct str){ p, 1 });
}

/* Numbers begin at first: what the log has seen before costs it less. */
static inline void put_shape(struct buf *b, const struct shape *s, size_t bytes,
    size_t first)
{
	/* Half of it is second pieces, where there are any. */
	size_t until = s->second[0] ? bytes / (1 + strlen(s->second) /
	    strlen(s->piece)) : bytes, n, i;

	buf_put(b, S("{\"model\":\"claude-opus-5-5\",\"max_tokens\":9,"));
	buf_put(b, str_of(s->head));
	for (n = 0; b->n < until; n++)
		put_piece(b, s->piece, first + n);
	buf_put(b, str_of(s->middle));
	for (i = n; s->second[0] && i-- > 0;)
		put_piece(b, s->second, first + i);
	buf_put(b, str_of(s->tail));
	buf_put(b, S("}"));
}

#endif
