/* Fuzz target of net/aws_sts: an answer's text lies in the answer, and
 * decoding never makes it longer.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/aws.c net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include <stdlib.h>

#include "../../src/net/aws_sts.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct str doc, struct str parent, struct str name)
{
	static char text[65536];
	struct buf b = buf_on(text, sizeof(text));
	struct str s = xml_find(doc, parent, name);

	if (s.n && (s.p < doc.p || s.p + s.n > doc.p + doc.n ||
	    str_chr(s, '<') < s.n))
		abort();
	put_decoded(&b, s);
	if (b.full || b.n > s.n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str doc = { (const char *)data, size };

	if (size > 16384)
		return -1;
	check(doc, S("Credentials"), S("AccessKeyId"));
	check(doc, S("Credentials"), S("SessionToken"));
	check(doc, S("Error"), S("Code"));
	check(doc, S("a"), S("b"));
	return 0;
}
