/* Tests of net/aws_sts: the little XML it knows (AW-74).
 *
 * SPDX-License-Identifier: MIT */
/* link: net/aws.c net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include "t.h"
#include "../../src/net/aws_sts.c"

static void find(const char *doc, const char *want, const char *label)
{
	char text[200];
	struct buf b = buf_on(text, sizeof(text));

	put_decoded(&b, xml_find(str_of(doc), S("P"), S("n")));
	T_STR(buf_str(&b), str_of(want), "%s", label);
}

static const char *region_variable;

static const char *env(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "AWS_REGION") == 0 ? region_variable : "";
}

static void regions(void)
{
	static const struct { const char *config, *own, *variable, *want; }
	    rows[] = {
		{ "[profile p]\nregion = eu-west-1\n", "us-west-2", "a-1",
		    "eu-west-1" },
		{ "", "us-west-2", "ap-south-1", "us-west-2" },
		{ "", "", "ap-south-1", "ap-south-1" },
		{ "", "", "", "us-east-1" },
		{ "", "", "aws-global", "us-east-1" },
		{ "", "", "fips-us-west-2", "us-west-2" },
		{ "[profile p]\nregion = us-gov-west-1-fips\n", "", "",
		    "us-gov-west-1" },
		{ "[profile p]\nregion = a.evil/\n", "", "x@y", "us-east-1" },
		{ "", "", "fips-", "us-east-1" }
	};
	struct credentials_input in = { .env = env };
	struct lookup l = { .in = &in };
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		l.config.text = str_of(rows[i].config);
		in.region = str_of(rows[i].own);
		region_variable = rows[i].variable;
		T_STR(sts_region(&l, S("p")), str_of(rows[i].want),
		    "AW-73 which STS, %zu", i);
	}
}

int main(void)
{
	static const char whole[] = "<?xml v?><!-- <P><n>0</n> --><a:P q='1'>"
	    "<m/><n x=\"y\"> 1 </n></a:P>";
	char part[sizeof(whole)];
	size_t i, found = 0;

	find("<P><n>v</n></P>", "v", "plain");
	find("<n>0</n><P></P><n>1</n><P><m>2</m><n>3</n></P>", "3", "inside");
	find("<n>0</n><P></P><n>1</n>", "", "outside alone");
	find("<P><n/></P>", "", "an empty element");
	find("<P><nn>1</nn><N>2</N></P>", "", "other names");
	find("<a:P xmlns:a='b'>\n\t<b:n>\n v w \n</b:n></a:P>", "v w",
	    "prefixes and blanks");
	find("<P><n>&amp;&lt;&gt;&quot;&apos;</n></P>", "&<>\"'", "entities");
	find("<P><n>&#65;&#x42;&#xe9;&#8364;&#x1F680;</n></P>",
	    "AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x80", "references");
	find("<P><n>&nbsp;&;&#;&#x;&#xd800;&#x110000;&#9z;&amp</n></P>",
	    "&nbsp;&;&#;&#x;&#xd800;&#x110000;&#9z;&amp",
	    "what isn't known stays as it is");
	find("<P><n>a&amp;amp;b</n></P>", "a&amp;b", "decoded once");
	find("", "", "nothing");
	find("<", "", "an open tag");
	find("<P", "", "cut in a tag");
	find("<!--", "", "cut in a comment");
	find("<P><n>v", "v", "cut in a text");
	for (i = 0; i < sizeof(whole); i++) {
		struct str s = { part, i };

		memcpy(part, whole, i);
		found += xml_find(s, S("P"), S("n")).n > 0;
	}
	T(found > 0 && found < 20, "cut anywhere");
	regions();
	return t_done("aws_sts");
}
