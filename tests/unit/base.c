/* base.c -- texts of strangers on a terminal.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/base/base.c"
#include "t.h"

static void shown(struct str s, struct str want, const char *label)
{
	char text[256];
	struct buf b = buf_on(text, sizeof text);

	buf_printable(&b, s);
	T_STR(buf_str(&b), want, "%s", label);
}

int main(void)
{
	shown(S("plain \xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x99\x82"),
	    S("plain \xc3\xbc \xe6\xbc\xa2 \xf0\x9f\x99\x82"), "letters");
	shown(S("a\x1b[2J\x7f\n"), S("a\\x1b[2J\\x7f\\x0a"), "controls");
	shown(S("\xc2\x9b" "1m"), S("\\xc2\\x9b" "1m"), "C1");
	shown(S("\xff\xc3"), S("\\xff\\xc3"), "what is no UTF-8");
	shown(S("a\\x"), S("a\\\\x"), "a backslash");
	shown(S("\xe2\x80\xae" "gpj.exe\xe2\x81\xa6\xe2\x80\x8f"),
	    S("\\xe2\\x80\\xae" "gpj.exe\\xe2\\x81\\xa6\\xe2\\x80\\x8f"),
	    "what turns the direction of text");
	shown(S("\xe2\x80\xa6\xe2\x80\x94\xe2\x81\xa5"),
	    S("\xe2\x80\xa6\xe2\x80\x94\xe2\x81\xa5"), "their neighbours");
	return t_done("base");
}
