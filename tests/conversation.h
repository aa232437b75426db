/* conversation.h -- any bytes as a conversation, for fuzz targets of encoders.
 *
 * Of a few bytes every order of blocks, roles and messages can be made, so that
 * a fuzzer comes upon those that JSON by chance never is.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TEST_CONVERSATION_H
#define TEST_CONVERSATION_H

#include "../src/base/base.h"

enum { CONVERSATION_MAX = 64 };

#define MARK ",'cache_control':{'type':'ephemeral'}"
#define MARK_1H ",'cache_control':{'type':'ephemeral','ttl':'1h'}"
#define USE(id) "{'type':'tool_use','id':'" id "','name':'f " id \
	"','input':{}}"
#define RESULT(id, more) "{'type':'tool_result','tool_use_id':'" id "'" \
	more "}"
#define PNG "{'type':'image','source':{'type':'base64','media_type':" \
	"'image/png','data':'AAAA'}}"

static const char *const conversation_blocks[32] = {
	"{'type':'text','text':'a'}", "{'type':'text','text':'b'" MARK "}",
	"{'type':'text','text':'c'" MARK_1H "}",
	"{'type':'text','text':'\\u200b \\u00a0'" MARK "}",
	USE("t1"), USE("t2"), USE("t.1"), USE("t\\u002e1"), USE("toolu_01abX"),
	USE("toolu_01abY"), RESULT("t1", ""), RESULT("t2", ",'content':'r'"),
	RESULT("t.1", ",'is_error':true"), RESULT("t1", ",'content':[" PNG
	    "],'is_error':true" MARK), RESULT("toolu_01abX", MARK),
	RESULT("toolu_01abY", ",'content':[{'type':'text','text':' '},"
	    "{'type':'tool_reference','tool_name':'g'}]"),
	RESULT("t2", ",'content':[{'type':'document','title':'x','source':"
	    "{'type':'text','data':''}}]"), PNG,
	"{'type':'document','title':' ','source':{'type':'base64','data':"
	    "'AAAA'}}", "{'type':'document','title':'d','source':{'type':"
	    "'text','data':'x'}" MARK "}",
	"{'type':'document','title':'d','source':{'type':'content',"
	    "'content':[{'type':'text','text':'p'}]}}",
	"{'type':'document','source':{'type':'content','content':[]}}",
	"{'type':'search_result','source':'u','title':'t','content':"
	    "[{'type':'text','text':'p'}]}",
	"{'type':'search_result','source':'','title':'','content':[]}",
	"{'type':'thinking','thinking':'h','signature':'S'}",
	"{'type':'thinking','thinking':'h','signature':'p1.e30'}",
	"{'type':'redacted_thinking','data':'Zg=='}",
	"{'type':'compaction','content':'sum'}",
	"{'type':'container_upload','file_id':'f'}",
	"{'type':'server_tool_use','id':'s','name':'n','input':{}}",
	"{'type':'tool_removal','tool':{'name':'f'}}", "{'type':'novel'}"
};

/* n bytes as a request, at most 64 of them are looked at. Of each, five bits say
 * which block, two whose, one that a message begins. */
static inline struct str conversation(char *text, size_t room,
    const uint8_t *data, size_t n)
{
	static const char *const roles[] = { "user", "assistant", "user",
	    "system" };
	struct buf b = buf_on(text, room);
	const char *p;
	size_t i;

	if (n > CONVERSATION_MAX)
		n = CONVERSATION_MAX;
	buf_put(&b, S("{\"model\":\"m\",\"max_tokens\":9,"));
	if (n && data[0] & 1)
		buf_put(&b, S("\"tools\":[{\"name\":\"f t1\","
		    "\"input_schema\":{}}],"));
	if (n && data[0] & 2)
		buf_put(&b, S("\"tool_choice\":{\"type\":\"none\"},"));
	buf_put(&b, S("\"messages\":["));
	for (i = 0; i < n; i++) {
		if (i == 0 || data[i] & 0x80) {
			buf_put(&b, i ? S("]},{\"role\":\"") :
			    S("{\"role\":\""));
			buf_put(&b, str_of(roles[data[i] >> 5 & 3]));
			buf_put(&b, S("\",\"content\":["));
		} else {
			buf_chr(&b, ',');
		}
		for (p = conversation_blocks[data[i] & 31]; *p; p++)
			buf_chr(&b, *p == '\'' ? '"' : *p);
	}
	buf_put(&b, S("]}]}"));
	return buf_str(&b);
}

#endif
