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

#endif
