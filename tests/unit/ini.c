/* Tests of net/ini: the grammar of AWS config files, rule by rule.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"
#include "../../src/net/ini.c"

static const char text[] =
	"stray = before any section\n"
	"[default]\r\n"
	"region = us-west-2\r\n"
	"  # an indented comment\n"
	"; another\n"
	"key=a#b\n"
	"key2 = a #b\n"
	"key3 = a;b\t; c\n"
	"quoted = \"q\"\n"
	" = nameless\n"
	"no equals sign\n"
	"two = 1=2\n"
	"[profile dev]  # trailing\n"
	"region=eu-west-1\n"
	"Region=ignored, as names are matched as written\n"
	"empty =\n"
	"after = x\n"
	"[profile \"quoted name\"]\n"
	"region = not a name\n"
	"[profile 'single']\n"
	"region = s\n"
	"[weird dev]\n"
	"region = ignored\n"
	"[sso-session main]\n"
	"sso_region = us-east-2\n"
	"[services svc]\n"
	"bedrock_runtime =\n"
	"  endpoint_url = http://localhost:1\n"
	"\tother = y\n"
	"sts =\n"
	"  endpoint_url = http://localhost:2\n"
	"plain = z\n"
	"  indented = w\n"
	"[profile dev]\n"
	"region = eu-west-3\n"
	"extra = 1";

static struct str get(enum ini_kind kind, const char *section,
	const char *parent, const char *key, int *line)
{
	return ini_get(str_of(text), kind, str_of(section), str_of(parent),
	    str_of(key), line);
}

static void rules(void)
{
	int line = 0;

	T_STR(get(INI_PLAIN, "default", "", "region", &line), S("us-west-2"),
	    "AW-55 CRLF trimmed");
	T_INT(line, 3, "line numbers");
	T_STR(get(INI_PLAIN, "default", "", "key", NULL), S("a#b"),
	    "AW-52 a glued # is data");
	T_STR(get(INI_PLAIN, "default", "", "key2", NULL), S("a"),
	    "AW-52 a # after a blank cuts");
	T_STR(get(INI_PLAIN, "default", "", "key3", NULL), S("a;b"),
	    "AW-52 a ; after a tab cuts");
	T_STR(get(INI_PLAIN, "default", "", "quoted", NULL), S("\"q\""),
	    "AW-55 quotes stay");
	T_STR(get(INI_PLAIN, "default", "", "two", NULL), S("1=2"),
	    "AW-55 split at the first =");
	T(!get(INI_PLAIN, "default", "", "", NULL).p, "AW-55 no name");
	T(!get(INI_NONE, "", "", "stray", NULL).p, "AW-55 before a section");
	T_STR(get(INI_PROFILE, "dev", "", "region", &line), S("eu-west-3"),
	    "AW-57 the later one wins");
	T_INT(line, 35, "its line");
	T_STR(get(INI_PROFILE, "dev", "", "after", NULL), S("x"),
	    "AW-57 sections merge");
	T_STR(get(INI_PROFILE, "dev", "", "extra", NULL), S("1"),
	    "the last line needs no end");
	T(get(INI_PROFILE, "dev", "", "empty", NULL).p != NULL &&
	    get(INI_PROFILE, "dev", "", "empty", NULL).n == 0,
	    "an empty value is there");
	T(!get(INI_PROFILE, "dev", "", "absent", NULL).p, "an absent one isn't");
	T_STR(get(INI_PROFILE, "single", "", "region", NULL), S("s"),
	    "AW-53 quoted names");
	T(!ini_has(str_of(text), INI_PROFILE, S("quoted name")),
	    "AW-53 names without blanks");
	T(!ini_has(str_of(text), INI_PLAIN, S("dev")) &&
	    !ini_has(str_of(text), INI_PLAIN, S("weird dev")),
	    "AW-53 an unknown prefix is ignored");
	T_INT(ini_has(str_of(text), INI_PROFILE, S("dev")), 13,
	    "where a section begins");
	T_STR(get(INI_SSO_SESSION, "main", "", "sso_region", NULL),
	    S("us-east-2"), "AW-53 sso-session");
	T_STR(get(INI_SERVICES, "svc", "bedrock_runtime", "endpoint_url",
	    NULL), S("http://localhost:1"), "AW-56 nested");
	T_STR(get(INI_SERVICES, "svc", "bedrock_runtime", "other", NULL),
	    S("y"), "AW-56 a second one");
	T_STR(get(INI_SERVICES, "svc", "sts", "endpoint_url", NULL),
	    S("http://localhost:2"), "AW-56 the next parent");
	T_STR(get(INI_SERVICES, "svc", "", "plain", NULL), S("z"),
	    "AW-56 closed by a setting that isn't indented");
	T_STR(get(INI_SERVICES, "svc", "", "indented", NULL), S("w"),
	    "an indented one under a full one is just a setting");
}

static void limits(void)
{
	static char big[INI_FILE_MAX + 1];
	const char *why;
	int line;

	T_INT(ini_check(str_of(text), &line, &why), OK, "AW-58 a good file");
	memset(big, '\n', sizeof(big));
	T_INT(ini_check((struct str){ big, sizeof(big) }, &line, &why), E_BAD,
	    "AW-58 too large");
	T_INT(ini_check((struct str){ big, sizeof(big) - 1 }, &line, &why), OK,
	    "AW-58 as large as may be");
	memset(big + 10, 'x', INI_LINE_MAX + 1);
	T(ini_check((struct str){ big, sizeof(big) - 1 }, &line, &why) ==
	    E_BAD && line == 11, "AW-58 a line too long");
	T(ini_check(S("a\nb\0c\n"), &line, &why) == E_BAD && line == 2,
	    "AW-58 a NUL byte");
	T_STR(ini_get(S("\xef\xbb\xbf[default]\nk=v"), INI_PLAIN, S("default"),
	    S(""), S("k"), NULL), S("v"), "a byte order mark");
}

static void odd_lines(void)
{
	T_INT(ini_odd(S("")), 0, "nothing is not odd");
	T_INT(ini_odd(S("# c\n[a]\nk = v\n s =\n  x = y\n  z\n\n")), 0,
	    "heads, settings, what is indented under them");
	T_INT(ini_odd(S("[a]\nk = v\n[default\nregion = x\n")), 3,
	    "a head without its end");
	T_INT(ini_odd(S("k = v\n")), 1, "a setting of no section");
	T_INT(ini_odd(S("[a]\n\nwhat is this\n")), 3, "words");
	T_INT(ini_odd(S("[a]\n= v\n")), 2, "a value without a name");
}

int main(void)
{
	rules();
	limits();
	odd_lines();
	return t_done("ini");
}
