/* Tests of net/credentials and all behind it: the chain of AWS credentials
 * against files in a temporary folder and a small fake of STS, SSO, container
 * endpoint and instance metadata in a child process.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/aws_profile.c net/aws.c net/aws_sts.c net/aws_sso.c net/aws_process.c net/shell.c net/keeper.c net/aws_metadata.c net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <signal.h>
#include <time.h>

#include "t.h"
#include "../../src/net/credentials.c"

enum { NOW = 1795437296 };	/* 2026-11-23T12:34:56Z */

static char dir[64] = "/tmp/claudecodex-test-XXXXXX";
static unsigned port;

/* -- the fake -- */

static const char keys_json[] = "\"AccessKeyId\":\"ASIAFAKE\","
    "\"SecretAccessKey\":\"fakesecret\",\"Token\":\"fake/token==\","
    "\"Expiration\":\"2026-11-23T18:34:56Z\"}";
static const char keys_xml[] = "<?xml version=\"1.0\"?>\n<!-- <Credentials>"
    "<AccessKeyId>no</AccessKeyId> -->"
    "<x:AssumeRoleResponse xmlns:x=\"https://sts.amazonaws.com/\">"
    "<AccessKeyId>outside</AccessKeyId><x:AssumeRoleResult>"
    "<x:Credentials><SessionToken> t&amp;o&#107;e&#x6e;&lt; </SessionToken>"
    "<Empty/><x:AccessKeyId>ASIAROLE</x:AccessKeyId>"
    "<SecretAccessKey>rolesecret</SecretAccessKey>"
    "<Expiration>2026-11-23T13:34:56Z</Expiration></x:Credentials>"
    "</x:AssumeRoleResult></x:AssumeRoleResponse>";

static int has(struct str s, const char *what)
{
	return str_find(s, str_of(what)) < s.n;
}

static const char *error_xml(const char *code)
{
	static char text[300];

	snprintf(text, sizeof(text), "<ErrorResponse><Error><Type>Sender</Type>"
	    "<Code>%s</Code><Message>a &quot;message&quot;</Message></Error>"
	    "</ErrorResponse>", code);
	return text;
}

static const char *sts(struct str q, int *status)
{
	static int throttled, identity;

	*status = 403;
	if (has(q, "denied"))
		return error_xml("AccessDenied");
	if (has(q, "skewed") && !has(q, "x-amz-date: 20261123T14"))
		return error_xml("SignatureDoesNotMatch");
	*status = 400;
	if (has(q, "throttled") && !throttled++)
		return error_xml("Throttling");
	if (has(q, "identity") && !identity++)
		return error_xml("InvalidIdentityToken");
	*status = 200;
	return has(q, "incomplete") ? "<Credentials/>" : keys_xml;
}

static const char *sso(struct str q, int *status)
{
	static int failures;

	if (has(q, "x-amz-sso_bearer_token: refused")) {
		*status = 401;
		return "{}";
	}
	if (has(q, "role_name=none")) {
		*status = 403;
		return "{}";
	}
	if (has(q, "role_name=flaky") && failures++ < 2) {
		*status = failures == 1 ? 503 : 429;
		return "";
	}
	if (has(q, "role_name=early"))
		return "{\"roleCredentials\":{\"accessKeyId\":\"ASIASSO\","
		    "\"secretAccessKey\":\"ssosecret\",\"sessionToken\":"
		    "\"ssotoken\",\"expiration\":-5000}}";
	return "{\"roleCredentials\":{\"accessKeyId\":\"ASIASSO\","
	    "\"secretAccessKey\":\"ssosecret\",\"sessionToken\":\"ssotoken\","
	    "\"expiration\":1795440896000}}";
}

static const char *metadata(struct str q, int *status)
{
	static int tokens;
	static char text[400];

	if (str_starts(q, S("PUT /latest/api/token "))) {
		snprintf(text, sizeof(text), "TOKEN-%d", ++tokens);
		return has(q, "x-aws-ec2-metadata-token-ttl-seconds: 21600") ?
		    text : "bad";
	}
	/* Those that don't name a role: one says nothing, a stand-in gives the
	 * keys whatever it is asked, and bytes that no request line can have. */
	/* And one that names it, but answers all else so. */
	if (str_starts(q, S("PUT /keys/")))
		return "TOKEN-9";
	if (has(q, " /nothing/"))
		return has(q, "/api/token ") ? "T" : "";
	if (has(q, " /every/") || has(q, " /odd/")) {
		snprintf(text, sizeof(text), "{\"Code\": \"Success\",%s",
		    keys_json);
		return has(q, " /odd/") ? "my-r\303\266le" : text;
	}
	/* The first token is taken to have run out. */
	if (!has(q, "x-aws-ec2-metadata-token: TOKEN-") ||
	    has(q, "TOKEN-1\r")) {
		*status = 401;
		return "";
	}
	if (has(q, "/placement/region") && !has(q, " /keys/"))
		return "eu-central-1";
	if (has(q, "security-credentials/ "))
		return "my-role\nsecond\n";
	snprintf(text, sizeof(text), "{\"Code\":\"Success\",%s", keys_json);
	return text;
}

static const char *answer(struct str q, int *status)
{
	static char text[400];

	*status = 200;
	if (str_starts(q, S("POST /sts/ ")))
		return sts(q, status);
	if (str_starts(q, S("GET /sso/federation/credentials?")))
		return sso(q, status);
	if (str_starts(q, S("POST /oidc/token ")))
		return has(q, "\"refreshToken\":\"r1\"") ? "{\"accessToken\":"
		    "\"fresh\",\"expiresIn\":28800,\"refreshToken\":\"r2\"}" :
		    (*status = 400, "{}");
	if (str_starts(q, S("GET /norole/latest/meta-data"))) {
		*status = 404;
		return "";
	}
	if (str_starts(q, S("PUT /norole/latest/api/token")))
		return "T";
	if (has(q, "/latest/"))
		return metadata(q, status);
	if (str_starts(q, S("GET /container ")) &&
	    has(q, "authorization: auth token\r\n")) {
		snprintf(text, sizeof(text), "{%s", keys_json);
		return text;
	}
	*status = 404;
	return "{}";
}

/* One request whole: head, and as much body as it says. */
static struct str take(int fd, char *room, size_t cap)
{
	struct str q = { room, 0 };
	ssize_t n;
	size_t end;

	while (q.n < cap && (n = recv(fd, room + q.n, cap - q.n, 0)) > 0) {
		size_t at = str_find(q, S("content-length: "));

		q.n += (size_t)n;
		end = str_find(q, S("\r\n\r\n"));
		if (end == q.n)
			continue;
		at = str_find(q, S("content-length: "));
		if (at == q.n || q.n >= end + 4 +
		    (size_t)strtoul(q.p + at + 16, NULL, 10))
			break;
	}
	return q;
}

static void record(struct str q)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/requests", dir);
	f = fopen(path, "ab");
	if (f) {
		fwrite(q.p, 1, q.n, f);
		fputs("\n=====\n", f);
		fclose(f);
	}
}

static void serve(int listener)
{
	static char room[65536], out[8192];
	struct str q;
	const char *body;
	int fd, status, n;

	for (;;) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		q = take(fd, room, sizeof(room) - 1);
		record(q);
		if (has(q, " /silent "))
			sleep(3);
		body = answer(q, &status);
		/* Every other way to frame an answer gets its turn. */
		n = has(q, "/latest/") ? snprintf(out, sizeof(out),
		    "HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n"
		    "%s%zx\r\n%s\r\n0\r\n\r\n", status, "", strlen(body) ?
		    strlen(body) : (size_t)1, strlen(body) ? body : " ") :
		    has(q, "/container") ? snprintf(out, sizeof(out),
		    "HTTP/1.1 %d X\r\nConnection: close\r\n\r\n%s", status,
		    body) : snprintf(out, sizeof(out), "HTTP/1.1 %d X\r\n"
		    "Date: Mon, 23 Nov 2026 14:34:56 GMT\r\n"
		    "Content-Length: %zu\r\n\r\n%s", status, strlen(body),
		    body);
		send(fd, out, (size_t)n, MSG_NOSIGNAL);
		close(fd);
	}
}

static pid_t start_fake(void)
{
	struct sockaddr_in a;
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    listen(fd, 16) != 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		return -1;
	port = ntohs(a.sin_port);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		serve(fd);
	close(fd);
	return pid;
}

/* -- set-up of a case -- */

static struct { const char *name; char value[300]; } vars[32];
static size_t nvars;

static const char *lookup_var(void *ctx, const char *name)
{
	size_t i;

	(void)ctx;
	for (i = nvars; i-- > 0; )
		if (strcmp(vars[i].name, name) == 0)
			return vars[i].value;
	return NULL;
}

T_PRINTF(2, 3)
static void set(const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vars[nvars].name = name;
	vsnprintf(vars[nvars++].value, sizeof(vars[0].value), fmt, ap);
	va_end(ap);
}

static void put_file(const char *name, const char *text)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!T(f != NULL, "%s can be written", path))
		return;
	fputs(text, f);
	fclose(f);
}

static struct str get_file(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return t_file(path);
}

/* Nothing but the folder as home, and metadata switched off. */
static void reset(const char *config, const char *shared)
{
	nvars = 0;
	set("HOME", "%s", dir);
	set("AWS_EC2_METADATA_DISABLED", "true");
	put_file(".aws/config", config);
	put_file(".aws/credentials", shared);
	put_file("requests", "");
}

static char memory[CREDENTIALS_MEMORY];
static char reason[REASON_MAX];
static struct credentials got;
static struct buf why;

static int find(void)
{
	struct credentials_input in = { .env = lookup_var, .now = NOW };
	struct arena a = { memory, memory + sizeof(memory) };
	int r;

	why = buf_on(reason, sizeof(reason));
	r = credentials_find(&in, &a, &got, &why);
	T(str_chr(buf_str(&why), '\n') == why.n, "a reason is one line");
	T(!has(buf_str(&why), "HUSH") && !has(buf_str(&why), "fakesecret"),
	    "AW-93 no secret in a reason");
	return r;
}

#define FOUND(what, key, from) do { \
	T_INT(find(), OK, "%s: %.*s", what, (int)why.n, why.p); \
	T_STR(got.id, S(key), "%s: id", what); \
	T_STR(got.source, S(from), "%s: source", what); \
} while (0)

#define BROKEN(what, text) do { \
	T_INT(find(), E_FAULT, "%s", what); \
	T(has(buf_str(&why), text), "%s: \"%s\" in \"%.*s\"", what, text, \
	    (int)why.n, why.p); \
} while (0)

#define STATIC "aws_access_key_id = AKIASTATIC\n" \
	"aws_secret_access_key = HUSH\n"

/* -- sources without calls -- */

static void environments(void)
{
	reset("", "");
	T_INT(find(), E_NONE, "AW-42 nothing at all");
	T(has(buf_str(&why), "AWS_PROFILE") && has(buf_str(&why),
	    ".aws/config"), "a reason that says what to set");
	set("AWS_ACCESS_KEY_ID", "AKIAENV");
	T_INT(find(), E_NONE, "half a pair is none");
	set("AWS_SECRET_ACCESS_KEY", "HUSH");
	FOUND("environment", "AKIAENV", "environment");
	T(!got.token.n && !got.expires, "neither token nor end");
	T_STR(got.region, S("us-east-1"), "AW-100 the last resort");
	T(has(got.warning, "AWS_REGION"), "which is warned of");
	set("AWS_SECURITY_TOKEN", "old");
	set("AWS_CREDENTIAL_EXPIRATION", "2026-11-23T12:34:57Z");
	FOUND("with a token", "AKIAENV", "environment");
	T_STR(got.token, S("old"), "the old name of the token");
	T_INT(got.expires, NOW + 1, "an end");
	set("AWS_SESSION_TOKEN", "new");
	set("AWS_PROFILE", "dev");
	set("AWS_DEFAULT_REGION", "eu-west-2");
	FOUND("AW-40 with a profile too", "AKIAENV", "environment");
	T_STR(got.token, S("new"), "the new name wins");
	T(has(got.warning, "AWS_PROFILE"), "AW-41 a warning");
	T_STR(got.region_source, S("AWS_DEFAULT_REGION"), "AW-100 from");
	set("AWS_SECRET_ACCESS_KEY", "HU SH");
	BROKEN("a blank in a key", "characters");
	set("AWS_BEARER_TOKEN_BEDROCK", " \n");
	set("AWS_SECRET_ACCESS_KEY", "HUSH");
	FOUND("AW-11 a blank bearer token is none", "AKIAENV", "environment");
	set("AWS_BEARER_TOKEN_BEDROCK", " ABSKtoken\n");
	FOUND("AW-11 bearer", "", "AWS_BEARER_TOKEN_BEDROCK");
	T_STR(got.bearer, S("ABSKtoken"), "AW-11 trimmed");
	set("AWS_BEARER_TOKEN_BEDROCK", "a b");
	BROKEN("AW-12 a blank inside", "AWS_BEARER_TOKEN_BEDROCK");
}

static void regions(void)
{
	reset("[default]\nregion = ap-south-1\nuse_fips_endpoint = false\n"
	    "services = s\nendpoint_url = http://plain\n[services s]\n"
	    "bedrock_runtime =\n  endpoint_url = http://nested/x/\n",
	    "[default]\n" STATIC "region = us-west-1\n");
	FOUND("default", "AKIASTATIC", "profile default");
	T_STR(got.region, S("ap-south-1"), "AW-57 config first for region");
	T_STR(got.endpoint, S("http://nested/x"), "AW-110 services");
	set("AWS_ENDPOINT_URL", "http://all");
	find();
	T_STR(got.endpoint, S("http://all"), "AW-110 for all services");
	set("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://one/");
	find();
	T_STR(got.endpoint, S("http://one"), "AW-110 for this one");
	set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
	find();
	T(!got.endpoint.n, "AW-110 all switched off");
	set("AWS_REGION", "fips-us-gov-west-1");
	find();
	T(got.fips && str_eq(got.region, S("us-gov-west-1")), "AW-101 fips-X");
	set("AWS_REGION", "us-east-2-fips");
	find();
	T(got.fips && str_eq(got.region, S("us-east-2")), "AW-101 X-fips");
	set("AWS_REGION", "aws-global");
	find();
	T_STR(got.region, S("us-east-1"), "AW-101 aws-global");
	set("AWS_REGION", "evil.com/");
	BROKEN("AW-101 not a label", "AWS_REGION");
	set("AWS_REGION", "us-east-1");
	set("AWS_USE_FIPS_ENDPOINT", "yes");
	BROKEN("AW-112 true or false", "AWS_USE_FIPS_ENDPOINT");
	set("AWS_USE_FIPS_ENDPOINT", "false");
	set("AWS_USE_DUALSTACK_ENDPOINT", "true");
	T(find() == OK && got.dualstack && !got.fips, "AW-112 switches");
	T(str_eq(aws_suffix(S("cn-north-1")), S("amazonaws.com.cn")) &&
	    str_eq(aws_suffix(S("us-gov-west-1")), S("amazonaws.com")) &&
	    str_eq(aws_suffix(S("us-isob-east-1")), S("sc2s.sgov.gov")) &&
	    str_eq(aws_suffix(S("nowhere-1")), S("amazonaws.com")),
	    "AW-112 partitions");
}

static void profiles(void)
{
	reset("[profile dev]\nregion = eu-west-1\n[bare]\n" STATIC,
	    "[dev]\n" STATIC "aws_session_token = tok\n[profile odd]\n"
	    STATIC);
	set("AWS_PROFILE", "dev");
	FOUND("AW-51 named", "AKIASTATIC", "profile dev");
	T_STR(got.token, S("tok"), "with its token");
	T_STR(got.region_source, S("profile dev"), "region's source");
	set("AWS_PROFILE", "bare");
	BROKEN("AW-54 a bare section of config", "profile bare is neither");
	set("AWS_PROFILE", "odd");
	BROKEN("AW-54 profile X in credentials", "profile odd is neither");
	set("AWS_PROFILE", " ");
	set("AWS_DEFAULT_PROFILE", "dev");
	FOUND("AW-51 the last resort", "AKIASTATIC", "profile dev");
	reset("[profile empty]\nregion = x-1\n", "");
	set("AWS_PROFILE", "empty");
	BROKEN("AW-42 named but empty", "config line 1): has no credentials");
	reset("", "[default]\naws_access_key_id = AKIADEFAULT\n"
	    "aws_secret_access_key = HUSH\n[saml]\n" STATIC);
	FOUND("saml when it is there", "AKIASTATIC", "profile saml");
	set("AWS_PROFILE", "default");
	FOUND("and nothing else is named", "AKIADEFAULT", "profile default");
	reset("[default]\n" STATIC "[profile default]\n"
	    "aws_access_key_id = AKIALONG\naws_secret_access_key = HUSH\n",
	    "");
	FOUND("AW-54 the longer form wins", "AKIALONG", "profile default");
	reset("", "");
	put_file("elsewhere", "[default]\n" STATIC);
	set("AWS_SHARED_CREDENTIALS_FILE", "~/elsewhere");
	FOUND("AW-50 a path of one's own", "AKIASTATIC", "profile default");
	put_file(".aws/config", "[default]\n\n");
	{
		char path[128];
		FILE *f;

		snprintf(path, sizeof(path), "%s/.aws/config", dir);
		f = fopen(path, "ab");
		fwrite("a=\0b\n", 1, 5, f);
		fclose(f);
	}
	BROKEN("AW-58 a NUL", "config line 3: the line has a NUL byte");
	set("AWS_ACCESS_KEY_ID", "AKIAENV");
	set("AWS_SECRET_ACCESS_KEY", "HUSH");
	FOUND("a broken file doesn't stop variables", "AKIAENV", "environment");
}

static void processes(void)
{
	reset("[profile p]\ncredential_process = cat $0 " "/dev/null; printf "
	    "'{\"Version\":1,\"AccessKeyId\":\"AKIAPROC\",\"SecretAccessKey\":"
	    "\"s\",\"Expiration\":\"2026-11-23T13:34:56Z\"}'; echo noise >&2\n",
	    "");
	set("AWS_PROFILE", "p");
	put_file("sh", "");
	FOUND("AW-61", "AKIAPROC", "profile p (credential_process)");
	T_INT(got.expires, NOW + 3600, "AW-61 its end");
	reset("[profile p]\ncredential_process = echo '{\"Version\":2,"
	    "\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"HUSH\"}'\n", "");
	set("AWS_PROFILE", "p");
	BROKEN("AW-61 another version", "credential_process: Version");
	put_file(".aws/config", "[profile p]\ncredential_process = exit 3\n");
	BROKEN("AW-61 a failure", "profile p (");
	put_file(".aws/config", "[profile p]\ncredential_process = "
	    "echo HUSH\n");
	BROKEN("AW-61 no JSON", "not a JSON object");
	put_file(".aws/config", "[profile p]\ncredential_process = "
	    "yes HUSH\n");
	BROKEN("AW-61 output without end", "1 MiB");
	put_file(".aws/config", "[profile p]\ncredential_process = "
	    "echo '{\"Version\":1,\"AccessKeyId\":\"A\",\"SecretAccessKey\":"
	    "\"HUSH\",\"Expiration\":\"2026-11-23T12:34:56Z\"}'\n");
	BROKEN("AW-61 expired", "expired");
	put_file(".aws/config", "[profile p]\ncredential_process = "
	    "echo '{\"Version\":1,\"AccessKeyId\":\"A\"}'\n");
	BROKEN("AW-61 half", "no SecretAccessKey");
}

/* -- roles -- */

static void roles(void)
{
	reset("[profile r]\nrole_arn = arn:aws:iam::1:role/x y\n"
	    "source_profile = base\nregion = us-west-2\n"
	    "external_id = e/1\nduration_seconds = 900\n"
	    "[profile chain]\nrole_arn = arn:aws:iam::1:role/two\n"
	    "source_profile = r\nrole_session_name = me\n"
	    "[profile self]\nrole_arn = arn:aws:iam::1:role/self\n"
	    "source_profile = self\n" STATIC
	    "[profile a]\nrole_arn = ra\nsource_profile = b\n"
	    "[profile b]\nrole_arn = rb\nsource_profile = a\n"
	    "[profile lost]\nrole_arn = r\nsource_profile = nowhere\n"
	    "[profile both]\nrole_arn = r\nsource_profile = base\n"
	    "credential_source = Environment\n"
	    "[profile neither]\nrole_arn = r\n" STATIC
	    "[profile mfa]\nrole_arn = r\nsource_profile = base\n"
	    "mfa_serial = arn:m\n"
	    "[profile env]\nrole_arn = r\ncredential_source = Environment\n"
	    "[profile bad]\nrole_arn = r\ncredential_source = Nothing\n"
	    "[profile hollow]\nrole_arn = r\nsource_profile = void\n"
	    "[profile void]\nregion = x\n"
	    "[profile denied]\nrole_arn = denied\nsource_profile = base\n"
	    "[profile half]\nrole_arn = incomplete\nsource_profile = base\n"
	    "[profile busy]\nrole_arn = throttled\nsource_profile = base\n"
	    "[profile late]\nrole_arn = skewed\nsource_profile = base\n"
	    "[profile name]\nrole_arn = r\nsource_profile = base\n"
	    "role_session_name = a b\n", "[base]\n" STATIC);
	set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%u/sts/", port);
	set("AWS_PROFILE", "r");
	FOUND("AW-70 role", "ASIAROLE",
	    "profile r (role arn:aws:iam::1:role/x y)");
	T_STR(got.token, S("t&oken<"), "AW-74 entities");
	T_INT(got.expires, NOW + 3600, "AW-74 its end");
	T(has(get_file("requests"), "Action=AssumeRole&Version=2011-06-15"
	    "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx%20y&RoleSessionName="
	    "claudecodex-1795437296&DurationSeconds=900&ExternalId=e%2F1"),
	    "AW-72 the form");
	T(has(get_file("requests"), "Credential=AKIASTATIC/20261123/us-west-2/"
	    "sts/aws4_request, SignedHeaders=content-type;host;x-amz-date,"),
	    "AW-72 signed with the source's keys");
	set("AWS_PROFILE", "chain");
	FOUND("AW-70 two roles", "ASIAROLE",
	    "profile chain (role arn:aws:iam::1:role/two)");
	T(has(get_file("requests"), "Credential=ASIAROLE/20261123/us-east-1/"
	    "sts/") && has(get_file("requests"), "RoleSessionName=me&") &&
	    has(get_file("requests"), "x-amz-security-token: t&oken<\r\n"),
	    "the second is taken on with the first's");
	set("AWS_PROFILE", "self");
	FOUND("AW-60 itself as source", "ASIAROLE",
	    "profile self (role arn:aws:iam::1:role/self)");
	set("AWS_PROFILE", "a");
	BROKEN("AW-42 a circle", "in a circle: a -> b -> a");
	set("AWS_PROFILE", "lost");
	BROKEN("AW-70 no source", "source_profile nowhere is not there");
	set("AWS_PROFILE", "both");
	BROKEN("AW-60 both", "exclude each other");
	set("AWS_PROFILE", "neither");
	BROKEN("AW-60 neither", "role_arn needs");
	set("AWS_PROFILE", "mfa");
	BROKEN("AW-71 MFA", "mfa_serial");
	set("AWS_PROFILE", "env");
	BROKEN("AW-70 an empty environment", "Environment has no credentials");
	set("AWS_PROFILE", "bad");
	BROKEN("AW-70 an unknown source", "it is Nothing");
	set("AWS_PROFILE", "hollow");
	BROKEN("a source without keys", "is the source_profile of hollow");
	set("AWS_PROFILE", "denied");
	BROKEN("AW-74 refused", "assuming denied: AccessDenied a \"message\"");
	set("AWS_PROFILE", "half");
	BROKEN("AW-74 half an answer", "no complete credentials");
	set("AWS_PROFILE", "busy");
	FOUND("AW-74 again", "ASIAROLE", "profile busy (role throttled)");
	set("AWS_PROFILE", "late");
	FOUND("AW-10 signed by their clock", "ASIAROLE",
	    "profile late (role skewed)");
	set("AWS_PROFILE", "name");
	BROKEN("AW-71 a session's name", "role_session_name must be");
	set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1/sts");
	set("AWS_PROFILE", "r");
	/* qemu-user doesn't translate this error for MIPS. */
	BROKEN("nobody there", getenv("RUN") ? "127.0.0.1: " : "refused");
}

static void web_identities(void)
{
	reset("[profile w]\nweb_identity_token_file = ~/token\n"
	    "role_arn = identity\n", "");
	put_file("token", "eyJ.web.token\n");
	set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%u/sts", port);
	set("AWS_PROFILE", "w");
	FOUND("AW-75 of a profile", "ASIAROLE", "profile w (web identity)");
	T(has(get_file("requests"), "Action=AssumeRoleWithWebIdentity") &&
	    has(get_file("requests"), "&WebIdentityToken=eyJ.web.token") &&
	    !has(get_file("requests"), "%0A") &&
	    !has(get_file("requests"), "authorization"),
	    "AW-75 unsigned, the token's newline gone");
	reset("", "");
	set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%u/sts", port);
	set("AWS_WEB_IDENTITY_TOKEN_FILE", "%s/token", dir);
	set("AWS_ROLE_ARN", "arn:r");
	FOUND("AW-75 of the environment", "ASIAROLE",
	    "web identity, role arn:r");
	set("AWS_WEB_IDENTITY_TOKEN_FILE", "%s/nothing", dir);
	BROKEN("AW-75 no file", "AWS_WEB_IDENTITY_TOKEN_FILE");
}

/* -- SSO -- */

static const char sso_config[] = "[profile s]\nsso_session = main\n"
    "sso_account_id = 123\nsso_role_name = dev role\n"
    "[sso-session main]\nsso_region = us-east-1\n"
    "sso_start_url = https://x.awsapps.com/start\n"
    "[profile old]\nsso_start_url = https://x.awsapps.com/start\n"
    "sso_region = us-east-1\nsso_account_id = 1\nsso_role_name = flaky\n"
    "[profile none]\nsso_session = main\nsso_account_id = 1\n"
    "sso_role_name = none\n"
    "[profile early]\nsso_session = main\nsso_account_id = 1\n"
    "sso_role_name = early\n"
    "[profile lacks]\nsso_session = main\nsso_role_name = r\n"
    "[profile differs]\nsso_session = main\nsso_account_id = 1\n"
    "sso_role_name = r\nsso_region = eu-west-1\n"
    "[profile lost]\nsso_session = gone\nsso_account_id = 1\n"
    "sso_role_name = r\n";

/* SHA-1 of "main" and of the start URL, from another program. */
#define CACHE_MAIN ".aws/sso/cache/b28b7af69320201d1cf206ebf28373980add1451.json"
#define CACHE_URL ".aws/sso/cache/3947de8b16688092197fa616c34e01335f21d256.json"

static void sso_sessions(void)
{
	struct stat st;
	char path[200];

	reset(sso_config, "");
	set("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:%u/sso", port);
	set("AWS_ENDPOINT_URL_SSO_OIDC", "http://127.0.0.1:%u/oidc", port);
	set("AWS_PROFILE", "s");
	BROKEN("AW-63 no file", "run `aws sso login --profile s`");
	T(has(buf_str(&why), CACHE_MAIN), "AW-62 its name by the session's");
	put_file(CACHE_MAIN, "{\"accessToken\":\"tok\",\"expiresAt\":"
	    "\"2026-11-23T20:00:00Z\"}");
	FOUND("AW-65", "ASIASSO", "profile s (sso session main)");
	T_INT(got.expires, 1795440896, "AW-65 milliseconds");
	T(has(get_file("requests"), "GET /sso/federation/credentials?role_name="
	    "dev%20role&account_id=123 ") && has(get_file("requests"),
	    "x-amz-sso_bearer_token: tok\r\n"), "AW-65 the request");
	put_file(CACHE_MAIN, "{\"accessToken\":\"refused\",\"expiresAt\":"
	    "\"2026-11-23T20:00:00Z\"}");
	BROKEN("AW-65 401", "run `aws sso login --profile s`");
	put_file(CACHE_MAIN, "{\"accessToken\":\"tok\",\"expiresAt\":"
	    "\"2026-11-23T12:00:00Z\"}");
	BROKEN("AW-63 expired, nothing to refresh with", "has expired");
	put_file(CACHE_MAIN, "{\"startUrl\":\"u\",\"accessToken\":\"tok\","
	    "\"expiresAt\":\"2026-11-23T12:35:00Z\",\"refreshToken\":\"r1\","
	    "\"clientId\":\"c\",\"clientSecret\":\"cs\",\"other\":[1, 2]}");
	FOUND("AW-64 refreshed", "ASIASSO", "profile s (sso session main)");
	T(has(get_file("requests"), "x-amz-sso_bearer_token: fresh\r\n"),
	    "AW-64 the new token is used");
	T_STR(get_file(CACHE_MAIN), S("{\"accessToken\":\"fresh\","
	    "\"expiresAt\":\"2026-11-23T20:34:56Z\",\"refreshToken\":\"r2\","
	    "\"startUrl\":\"u\",\"clientId\":\"c\",\"clientSecret\":\"cs\","
	    "\"other\":[1, 2]}"), "AW-64 the file is kept up");
	snprintf(path, sizeof(path), "%s/%s", dir, CACHE_MAIN);
	T(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "AW-64 0600");
	put_file(CACHE_MAIN, "{\"accessToken\":\"tok\",\"expiresAt\":"
	    "\"2026-11-23T12:35:00Z\",\"refreshToken\":\"stale\","
	    "\"clientId\":\"c\",\"clientSecret\":\"cs\"}");
	FOUND("AW-64 a failed refresh, the token still good", "ASIASSO",
	    "profile s (sso session main)");
	set("AWS_PROFILE", "none");
	BROKEN("AW-65 403", "role none of account 1 is not granted");
	set("AWS_PROFILE", "early");
	BROKEN("an end before 1970", "no complete credentials");
	set("AWS_PROFILE", "lacks");
	BROKEN("AW-42 incomplete", "sso_account_id is missing");
	set("AWS_PROFILE", "differs");
	BROKEN("contradiction", "sso_region differs");
	set("AWS_PROFILE", "lost");
	BROKEN("no session", "no [sso-session gone]");
	set("AWS_PROFILE", "old");
	put_file(CACHE_URL, "{\"accessToken\":\"tok\",\"expiresAt\":"
	    "\"2026-11-23T20:00:00UTC\"}");
	FOUND("AW-62 legacy, AW-121 after two failures", "ASIASSO",
	    "profile old (sso)");
}

#define LOGIN "login/da19974a351c10e6ddab0fe8d7b1fb3a289211121e24f211c7eb19ed08e30e3a.json"

static void logins(void)
{
	reset("[profile l]\nlogin_session = arn:aws:iam::1:user/me\n", "");
	set("AWS_PROFILE", "l");
	set("AWS_LOGIN_CACHE_DIRECTORY", "%s/login", dir);
	BROKEN("AW-66 no file", "run `aws login --profile l`");
	put_file(LOGIN, "{\"accessToken\":{\"accessKeyId\":"
	    "\"ASIALOGIN\",\"secretAccessKey\":\"HUSH\",\"sessionToken\":"
	    "\"t\",\"expiresAt\":\"2026-11-23T13:00:00Z\"}}");
	FOUND("AW-66", "ASIALOGIN", "profile l (aws login)");
	put_file(LOGIN, "{\"accessToken\":{\"accessKeyId\":"
	    "\"ASIALOGIN\",\"secretAccessKey\":\"HUSH\",\"sessionToken\":"
	    "\"t\",\"expiresAt\":\"2026-11-23T12:00:00Z\"}}");
	BROKEN("AW-66 expired", "run `aws login --profile l`");
}

/* -- container and instance -- */

static void containers(void)
{
	static const char *const good[] = { "127.9.9.9", "LOCALHOST", "[::1]" };
	static const char *const bad[] = { "169.254.170.3", "example.com",
	    "10.0.0.1", "::2", "localhost.evil.com" };
	size_t i;

	reset("", "");
	put_file("auth", "auth token\n");
	set("AWS_CONTAINER_CREDENTIALS_FULL_URI",
	    "http://localhost:%u/container", port);
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s/auth", dir);
	FOUND("AW-82", "ASIAFAKE", "container endpoint");
	T_STR(got.token, S("fake/token=="), "AW-82 token");
	T_INT(got.expires, NOW + 6 * 3600, "AW-82 end");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s/absent", dir);
	BROKEN("AW-81 no file", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	put_file("auth", "a\r\nx: y\n");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s/auth", dir);
	BROKEN("AW-81 two lines", "can't be sent");
	set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s", "");
	BROKEN("AW-81 refused", "status 404");
	set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "nothing");
	BROKEN("AW-80 relative wins", "must begin with /");
	set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "%s", "");
	for (i = 0; i < COUNT(bad); i++) {
		set("AWS_CONTAINER_CREDENTIALS_FULL_URI", strchr(bad[i], ':') ?
		    "http://[%s]/x" : "http://%s/x", bad[i]);
		BROKEN("AW-80 not this host", "plain http is allowed only");
	}
	for (i = 0; i < COUNT(good); i++) {
		set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://%s:1/",
		    good[i]);
		T(find() == E_FAULT && has(buf_str(&why), "container "
		    "credentials: ") && !has(buf_str(&why), "plain http"),
		    "AW-80 %s may be asked", good[i]);
	}
	set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "ftp://localhost/");
	BROKEN("AW-80 not a URL", "not an http or https URL");
}

static void instances(void)
{
	reset("", "");
	set("AWS_EC2_METADATA_DISABLED", "false");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u", port);
	FOUND("AW-84, the first token refused", "ASIAFAKE",
	    "instance metadata, role my-role");
	T_STR(got.region, S("eu-central-1"), "AW-100 the instance's region");
	T_STR(got.region_source, S("instance metadata"), "and its source");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u/norole",
	    port);
	T_INT(find(), E_NONE, "AW-84 an instance without a role");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u/every",
	    port);
	BROKEN("keys for a role's name", "no name of a role");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u/keys",
	    port);
	FOUND("keys for a region", "ASIAFAKE",
	    "instance metadata, role my-role");
	T_STR(got.region_source, S("default"), "are none");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u/odd",
	    port);
	BROKEN("a name that no URL can have", "no name of a role");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%u/nothing",
	    port);
	BROKEN("an empty name", "no name of a role");
	set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
	T_INT(find(), E_NONE, "AW-83 nobody there");
	reset("[profile e]\nrole_arn = r\n"
	    "credential_source = Ec2InstanceMetadata\n", "");
	set("AWS_PROFILE", "e");
	BROKEN("AW-83 switched off", "Ec2InstanceMetadata has no credentials");
}

/* -- the rest -- */

static void messages(void)
{
	static char text[8192], again[8192];
	struct credentials_input in = { .env = lookup_var, .now = NOW };
	struct credentials c;
	struct buf b = buf_on(text, sizeof(text)), d;
	unsigned keep = 0;

	reset("[profile dev]\nregion = eu-west-1\nuse_fips_endpoint = true\n"
	    STATIC "aws_session_token = tok\n", "");
	credentials_setup(&in);
	T_INT(credentials_serve(S("dev"), &b, &keep), OK, "serves");
	T_INT(credentials_read(&c, buf_str(&b)), OK, "and is read");
	T(str_eq(c.id, S("AKIASTATIC")) && str_eq(c.secret, S("HUSH")) &&
	    str_eq(c.token, S("tok")) && str_eq(c.region, S("eu-west-1")) &&
	    c.fips == 1 && c.dualstack == 0 && c.expires == 0,
	    "with what was found");
	T_INT(keep, KEEP_FILE, "AW-92 kept for moments: a login changes the file");
	d = buf_on(again, sizeof(again));
	credentials_write(&d, &c);
	T_STR(buf_str(&d), buf_str(&b), "there and back");
	T_INT(credentials_read(&c, S("id a\n")), E_BAD, "half a pair");
	T_INT(credentials_read(&c, S("id a\nsecret b\ntoken c\n\n")), E_BAD,
	    "an empty line");
	T_INT(credentials_read(&c, S("id a\nsecret b\nnovel c\n")), E_BAD,
	    "an unknown line");
	b = buf_on(text, sizeof(text));
	T_INT(credentials_serve(S("nobody"), &b, &keep), E_FAULT, "a reason");
	T(has(buf_str(&b), "profile nobody"), "which names it");
	b = buf_on(text, 40);
	T(credentials_serve(S("dev"), &b, &keep) == E_FAULT, "no room");
	c.expires = NOW + 3600;
	T_INT(credentials_keep(&c, NOW), 3300, "AW-90 until it is due");
	c.expires = NOW + 100;
	T_INT(credentials_keep(&c, NOW), KEEP_DUE, "AW-90 then in short steps");
}

static void hints(void)
{
	struct credentials_input in = { .env = lookup_var, .now = NOW };
	struct arena a = { memory, memory + sizeof(memory) };

	reset("", "");
	T_INT(credentials_hint(&in, a), 0, "no hint");
	put_file(".aws/config", "[default]\nregion = us-east-1\n");
	T_INT(credentials_hint(&in, a), 0, "a region is no hint");
	put_file(".aws/config", "[default]\nsso_session = s\n");
	T_INT(credentials_hint(&in, a), 1, "SSO is");
	put_file(".aws/config", "");
	put_file(".aws/credentials", "[default]\n" STATIC);
	T_INT(credentials_hint(&in, a), 1, "keys are");
	put_file(".aws/credentials", "");
	set("AWS_BEARER_TOKEN_BEDROCK", "x");
	T_INT(credentials_hint(&in, a), 1, "a bearer token is");
}

/* No place where memory runs out may crash or look like success. */
static void little_memory(void)
{
	struct credentials_input in = { .env = lookup_var, .now = NOW };
	size_t n, found = 0;

	reset(sso_config, "");
	put_file(CACHE_MAIN, "{\"accessToken\":\"tok\",\"expiresAt\":"
	    "\"2026-11-23T20:00:00Z\"}");
	set("AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:%u/sso", port);
	set("AWS_PROFILE", "s");
	for (n = 0; n < 120000; n += n < 4000 ? 37 : 1571) {
		struct arena a = { memory, memory + n };

		why = buf_on(reason, sizeof(reason));
		if (credentials_find(&in, &a, &got, &why) == OK)
			found++;
		else
			T(!got.id.n && !got.secret.n, "nothing half-found");
	}
	T(found > 0, "enough memory is enough");
}

static void urls(void)
{
	struct fetch_url u;

	T(fetch_url(&u, S("https://a.b:8443/p/q?x=1")) == OK && u.tls &&
	    u.port == 8443 && str_eq(u.host, S("a.b")) &&
	    str_eq(u.authority, S("a.b:8443")) && str_eq(u.path, S("/p/q")) &&
	    str_eq(u.query, S("x=1")), "a URL's parts");
	T(fetch_url(&u, S("http://[::1]:80?y")) == OK && !u.tls &&
	    str_eq(u.host, S("::1")) && str_eq(u.authority, S("[::1]")) &&
	    u.path.n == 0 && str_eq(u.query, S("y")), "AW-7 a usual port goes");
	T(fetch_url(&u, S("ftp://a")) != OK && fetch_url(&u, S("http://")) != OK
	    && fetch_url(&u, S("http://u@h/")) != OK &&
	    fetch_url(&u, S("http://h:0/")) != OK &&
	    fetch_url(&u, S("http://h:65536/")) != OK &&
	    fetch_url(&u, S("http://h/a b")) != OK &&
	    fetch_url(&u, S("http://h/\r\n")) != OK &&
	    fetch_url(&u, S("http://[::1/")) != OK &&
	    fetch_url(&u, S("http://h/#f")) != OK, "what isn't one");
}

/* A deadline holds against a server that accepts and says nothing. */
static void silence(void)
{
	static struct fetch_answer a;
	struct arena arena = { memory, memory + sizeof(memory) };
	struct fetch f = { .method = S("GET") };
	char url[64], text[200];
	int64_t start = loop_now();

	snprintf(url, sizeof(url), "http://127.0.0.1:%u/silent", port);
	f.url = str_of(url);
	f.deadline = start + 300;
	why = buf_on(text, sizeof(text));
	T_INT(fetch(&f, &arena, &a, &why), E_FAULT, "no answer");
	T(loop_now() - start >= 300 && loop_now() - start < 2000, "in time");
	T(has(buf_str(&why), "no answer in time"), "and says so");
}

static void tree(int make)
{
	static const char *const names[] = { ".aws", ".aws/sso",
	    ".aws/sso/cache", "login" };
	char path[200];
	size_t i;

	for (i = 0; make && i < COUNT(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		mkdir(path, 0700);
	}
	if (make)
		return;
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	if (system(path) != 0)
		printf("%s stays behind\n", dir);
}

int main(void)
{
	pid_t fake;

	signal(SIGPIPE, SIG_IGN);
	if (!T(mkdtemp(dir) != NULL, "a temporary folder"))
		return t_done("credentials");
	tree(1);
	fake = start_fake();
	T(fake > 0, "the fake service runs");
	environments();
	regions();
	profiles();
	processes();
	roles();
	web_identities();
	sso_sessions();
	logins();
	containers();
	instances();
	messages();
	hints();
	little_memory();
	urls();
	silence();
	kill(fake, SIGKILL);
	waitpid(fake, NULL, 0);
	tree(0);
	return t_done("credentials");
}
