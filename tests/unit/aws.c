/* Tests of net/aws: which hosts a proxy is for, where services are, files that
 * can't be read to their end.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include <sys/types.h>
#include <errno.h>
#include <unistd.h>

#include "t.h"

static ssize_t t_read(int fd, void *p, size_t n);

#define read t_read
#include "../../src/net/aws.c"
#undef read

static int fault;		/* errno of every second read */
static unsigned reads;

static ssize_t t_read(int fd, void *p, size_t n)
{
	if (fault && reads++ % 2) {
		errno = fault;
		return -1;
	}
	return read(fd, p, n < 4 ? n : 4);
}

static const char *variable[8][2];
static struct credentials_input in;
static struct lookup l;

static const char *env(void *ctx, const char *name)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < COUNT(variable) && variable[i][0]; i++)
		if (strcmp(variable[i][0], name) == 0)
			return variable[i][1];
	return "";
}

static void set(size_t i, const char *name, const char *value)
{
	variable[i][0] = name;
	variable[i][1] = value;
}

static int exempt(const char *url)
{
	struct fetch_url u;

	return T_INT(fetch_url(&u, str_of(url)), OK, "%s", url) &&
	    proxy_exempt(&l, &u);
}

static void proxies(void)
{
	T(!exempt("https://sts.us-east-1.amazonaws.com/"), "AW-114 AWS");
	T(exempt("https://169.254.169.254/"), "AW-114 never metadata");
	T(exempt("https://[fd00:ec2::254]/"), "AW-114 in IPv6 either");
	T(exempt("https://127.0.0.2/") && exempt("https://[::1]:8443/x") &&
	    exempt("https://LocalHost/"), "AW-114 nor this machine");
	set(0, "NO_PROXY", "vpce.example, .corp.test,");
	T(exempt("https://vpce.example/") && exempt("https://a.VPCE.example/"),
	    "AW-114 a name and what is below it");
	T(exempt("https://x.corp.test/") && !exempt("https://xcorp.test/") &&
	    !exempt("https://notvpce.example/"), "AW-114 whole labels");
	set(0, "no_proxy", "*");
	T(exempt("https://sts.us-east-1.amazonaws.com/"), "AW-114 all");
	set(0, NULL, NULL);
}

static int is(const char *url, const char *by)
{
	const char *from;
	struct str s = aws_endpoint(&l, S("p"), "AWS_ENDPOINT_URL_STS", "sts",
	    &from);

	return T_STR(s, str_of(url), "AW-110 %s", url) &&
	    T(strcmp(from, by) == 0, "AW-110 by %s, not %s", by, from);
}

static void endpoints(void)
{
	l.config.text = S("[profile p]\nservices = s\n"
	    "endpoint_url = https://all.test\n");
	is("https://all.test", "endpoint_url of the profile");
	l.config.text = S("[profile p]\nservices = s\n"
	    "endpoint_url = https://all.test\n[services s]\nsts =\n"
	    "  endpoint_url = https://sts.test/\n");
	is("https://sts.test", "services of the profile");
	set(0, "AWS_ENDPOINT_URL", "http://every/");
	is("http://every", "AWS_ENDPOINT_URL");
	set(1, "AWS_ENDPOINT_URL_STS", "http://one");
	is("http://one", "AWS_ENDPOINT_URL_STS");
	set(2, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
	is("", "AWS_ENDPOINT_URL_STS");
}

/* Half a file must not pass for the whole: what it says may mean something
 * else, and a command of it would be run. */
static void files(void)
{
	static char memory[4096], path[] = "/tmp/claudecodex-aws-XXXXXX";
	struct arena a = { memory, memory + sizeof(memory) };
	struct str text = { NULL, 0 };
	int fd = mkstemp(path);

	l.a = &a;
	if (!T(fd >= 0 && write(fd, "0123456789", 10) == 10, "a file"))
		return;
	close(fd);
	T_INT(aws_read(&l, str_of(path), 100, &text), OK, "in small pieces");
	T_STR(text, S("0123456789"), "the whole");
	fault = EINTR;
	T_INT(aws_read(&l, str_of(path), 100, &text), OK, "interrupted");
	T_STR(text, S("0123456789"), "the whole");
	fault = EIO;
	T_INT(aws_read(&l, str_of(path), 100, &text), E_FAULT, "half of it");
	fault = 0;
	T_INT(aws_read(&l, str_of(path), 9, &text), E_LIMIT, "too large");
	unlink(path);
	T_INT(aws_read(&l, str_of(path), 100, &text), E_NONE, "none");
}

int main(void)
{
	in.env = env;
	l.in = &in;
	proxies();
	endpoints();
	files();
	return t_done("aws");
}
