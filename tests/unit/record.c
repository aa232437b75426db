/* record.c -- which kind of request it is, by hint, header or body.
 *
 * The bodies are Claude Code 2.1.330's, cut down to what tells them apart.
 *
 * SPDX-License-Identifier: MIT */
/* link: monitor/account.c */
/* link: monitor/metrics.c */
/* link: monitor/alerts.c */
/* link: monitor/blob.c */
/* link: monitor/quick.c */
/* link: monitor/console.c */
/* link: monitor/events.c */
/* link: monitor/events_request.c monitor/events_raw.c */
/* link: monitor/events_response.c */
/* link: monitor/events_results.c */
/* link: monitor/journal.c */
/* link: monitor/live.c */
/* link: monitor/load.c */
/* link: monitor/monitor.c */
/* link: monitor/prices.c */
/* link: monitor/raw.c */
/* link: monitor/recognise.c */
/* link: monitor/redact.c */
/* link: monitor/recall.c */
/* link: monitor/restore.c */
/* link: monitor/scribe.c */
/* link: monitor/payloads.c */
/* link: monitor/start.c */
/* link: monitor/writer.c */
/* link: net/keeper.c */
/* link: net/sandbox.c */
/* link: net/loop.c */
/* link: net/sock.c */
/* link: net/share.c */
#include "../../src/monitor/record.c"
#include "t.h"

static char memory[1 << 20];

static void class_is(const char *label, const char *body, const char *hint,
    const char *agent, const char *want, const char *by)
{
	struct arena a = { memory, memory + sizeof memory };
	static struct record r;
	static struct request q;
	struct notes notes = { .n = 0 };
	struct fault f;
	struct json doc;

	memset(&r, 0, sizeof r);
	r.class = "main";
	r.class_by = "guess";
	if (!T(json_parse(&doc, str_of(body), &a, NULL) == OK &&
	    request_parse(&q, &doc, 0, &a, &notes, &f) == OK, "%s", label))
		return;
	record_classify(&r, &q, str_of(hint), str_of(agent), S(""));
	T_STR(str_of(r.class), str_of(want), "%s", label);
	T_STR(str_of(r.class_by), str_of(by), "%s, by", label);
}

#define BODY(system, text, more) "{\"model\":\"m\",\"max_tokens\":9,\"system\":" \
	"[{\"type\":\"text\",\"text\":\"x-anthropic-billing-header: cc_version=1;" \
	"\"},{\"type\":\"text\",\"text\":\"You are a Claude agent.\"}," \
	"{\"type\":\"text\",\"text\":\"" system "\"}],\"messages\":[{\"role\":" \
	"\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}]" \
	more "}"
#define TOOLS ",\"tools\":[{\"name\":\"Bash\",\"input_schema\":{\"type\":" \
	"\"object\"}}]"
#define SEARCH ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":" \
	"\"web_search\",\"max_uses\":8}]"

int main(void)
{
	const char *plain = BODY("\\nYou are an agent", "go", TOOLS);

	class_is("monitor 1: a hint", plain, "workflow", "", "workflow", "hint");
	class_is("monitor 1: no such hint", plain, "nonsense", "", "main",
	    "guess");
	class_is("monitor 1: an agent's id", plain, "", "a1", "subagent",
	    "header");
	class_is("monitor 1: plain", plain, "", "", "main", "guess");
	class_is("monitor 1: compaction", BODY("\\nYou are an agent",
	    "CRITICAL: Respond with TEXT ONLY. Do NOT call any tools.", TOOLS),
	    "", "", "compaction", "body");
	class_is("monitor 1: a search", BODY("You run a web search for another "
	    "Claude model, which is waiting", "Perform a web search for the "
	    "query: tides", SEARCH), "", "", "auxiliary", "body");
	class_is("monitor 1: a main request that may search", BODY("\\nYou are "
	    "an agent", "go", ",\"tools\":[{\"type\":\"web_search_20250305\","
	    "\"name\":\"web_search\"},{\"name\":\"Bash\",\"input_schema\":{"
	    "\"type\":\"object\"}}]"), "", "", "main", "guess");
	class_is("monitor 1: a page", BODY("x", "\\nWeb page content:\\n---\\n"
	    "Tides", ",\"tools\":[]"), "", "", "auxiliary", "body");
	class_is("monitor 1: a title", BODY("You are naming a coding session so "
	    "the user", "<session>\\nhi\\n</session>", ",\"tools\":[]"), "", "",
	    "auxiliary", "body");
	class_is("monitor 1: auto mode's judge", BODY("You are a security "
	    "monitor for autonomous AI coding agents.", "</transcript>", ""),
	    "", "", "auxiliary", "body");
	class_is("monitor 1: a user who says so", BODY("\\nYou are an agent",
	    "\\nWeb page content:\\n---", TOOLS), "", "", "main", "guess");
	return t_done("record");
}
