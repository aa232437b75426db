/* Fuzz target: the whole search for AWS credentials over a kernel of our own.
 *
 * The sources that wait for something (fetch.c, aws.c, aws_sso.c,
 * aws_process.c) and sock.c are compiled in with their system calls replaced:
 * connections, files and pipes are arrays, time is a number, and a call is
 * interrupted, told to wait, cut short or refused as the input says. What is
 * above runs as it does in a worker of the helper's.
 *
 * Input: a letter for where credentials are to come from (places below), a byte
 * of faults ('0': none), four of chance, then sections, each begun by
 * "\n=====", a letter and a line's end: a, what the next connection answers; f,
 * what a file holds (a cache, a token); p, what a credential_process prints.
 *
 * Holds: credentials are all there and can be sent, or there is a reason of one
 * line; neither a secret of ours nor one that was answered stands in a reason;
 * the secret key is never sent; what is sent is one request, what is written
 * back is JSON; memory past the arena isn't touched; nothing is left open.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/credentials.c net/aws_metadata.c net/aws_profile.c net/aws_sts.c net/ini.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#define _DEFAULT_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../src/net/aws.h"
#include "../../src/net/loop.h"
#include "../../src/net/shell.h"
#include "../../src/wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_MAX = 1 << 15,
	NOW = 1795437296,	/* 2026-11-23T12:34:56Z */
	FIRST = 16,		/* descriptor */
	FDS = 16,
	OUT_MAX = 1 << 18,	/* a token, encoded, has thrice its bytes */
	ANSWERS_MAX = 32,
	REASON = 2048,
	CANARY = 64
};

enum { INTERRUPT = 1, AGAIN = 2, RESET = 4, SHORT = 8, REFUSE = 16, HANG = 32,
	LITTLE = 64 };

enum kind { NONE, NET, READ, WRITE, PIPE };

struct end {
	enum kind kind;
	struct str in;		/* still to be read */
	struct buf out;		/* what was written */
};

static struct end ends[FDS];
static char out_mem[FDS][OUT_MAX], kept_mem[OUT_MAX];
static struct str input, answers[ANSWERS_MAX], stored, printed;
static size_t nanswers, dialled;
static int has_file, tunnelled;
static unsigned faults;
static uint32_t chance;
static int64_t at_ms;

static void held(int cond, int line)
{
	if (cond)
		return;
	fprintf(stderr, "credentials.c:%d doesn't hold\n", line);
	abort();
}

#define hold(COND) held(COND, __LINE__)

static uint32_t next(void)
{
	chance ^= chance << 13;
	chance ^= chance >> 17;
	chance ^= chance << 5;
	return chance;
}

/* Whether a fault that the input asks for happens now. */
static int happens(unsigned fault, unsigned often)
{
	return faults & fault && next() % often == 0;
}

static int fail(int error)
{
	errno = error;
	return -1;
}

/* ---- where credentials come from ---------------------------------------- */

#define ENDPOINT "endpoint_url = http://127.0.0.1:1\n"
#define ROLE ENDPOINT "role_arn = arn:aws:iam::123456789012:role/r\n"
#define START "sso_region = us-east-1\n" \
	"sso_start_url = https://x.awsapps.com/start\n"
#define OF_SSO ENDPOINT "sso_account_id = 123456789012\n" \
	"sso_role_name = dev\n"
#define SSO OF_SSO "sso_session = s\n[sso-session s]\n" START
#define PROCESS "credential_process = the command\n"
#define LOGIN "login_session = arn:aws:iam::123456789012:user/me\n"
#define KEYS "aws_access_key_id = AKIDEXAMPLE\n" \
	"aws_secret_access_key = plantedsecret\n"
#define OF_OTHER "[profile p]\nsource_profile = q\n" ROLE "[profile q]\n"

static const struct place {
	const char *profile;	/* NULL: none is named */
	const char *config;
	int expires;		/* those from here always say when */
	const char *env[3][2];
} places[] = {
	{ "p", "[profile p]\n" SSO, 1, { { NULL, NULL } } },		/* a */
	{ "p", "[profile p]\n" OF_SSO START, 1, { { NULL, NULL } } },
	{ "p", "[profile p]\n" LOGIN, 1, { { NULL, NULL } } },
	{ "p", "[profile p]\n" PROCESS, 0, { { NULL, NULL } } },
	{ "p", OF_OTHER KEYS, 1, { { NULL, NULL } } },
	{ "p", "[profile p]\nweb_identity_token_file = /file\n" ROLE, 1,
	    { { NULL, NULL } } },					/* f */
	{ NULL, "", 1, { { "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	    "http://localhost:2/x" }, { "AWS_CONTAINER_AUTHORIZATION_TOKEN",
	    "plantedtoken" } } },
	{ NULL, "", 1, { { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x" },
	    { "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/file" } } },
	{ NULL, "", 1, { { NULL, NULL } } },	/* the instance's */
	{ "p", OF_OTHER SSO, 1, { { NULL, NULL } } },
	{ "p", OF_OTHER PROCESS, 1, { { NULL, NULL } } },		/* k */
	{ "p", "[profile p]\ncredential_source = Ec2InstanceMetadata\n" ROLE,
	    1, { { NULL, NULL } } }
};

static const struct place *place;

/* ---- what was sent ------------------------------------------------------ */

/* One request, or the beginning of one; behind a tunnel TLS follows. */
static void check_request(struct str s)
{
	static struct http_head h;
	size_t n = http_head_end(s, 0);
	const char *why;

	hold(str_find(s, S("plantedsecret")) == s.n);
	if (!n)
		return;
	if (http_request(&h, str_head(s, n), &why) != OK) {
		fprintf(stderr, "%s:\n%.*s\n", why, (int)n, s.p);
		hold(0);
	}
	hold(tunnelled || s.n - n <= h.length);
}

/* ---- the kernel --------------------------------------------------------- */

static struct end *end_of(int fd)
{
	hold(fd >= FIRST && fd < FIRST + FDS && ends[fd - FIRST].kind);
	return &ends[fd - FIRST];
}

static int new_end(enum kind kind, struct str in)
{
	int i;

	for (i = 0; i < FDS && ends[i].kind; i++)
		;
	hold(i < FDS);
	ends[i].kind = kind;
	ends[i].in = in;
	ends[i].out = buf_on(out_mem[i], OUT_MAX);
	return FIRST + i;
}

static int k_socket(int family, int type, int protocol)
{
	(void)family, (void)type, (void)protocol;
	return happens(REFUSE, 8) ? fail(EMFILE) : new_end(NET, S(""));
}

static int k_connect(int fd, const struct sockaddr *a, socklen_t n)
{
	struct end *e = end_of(fd);

	(void)a, (void)n;
	if (dialled == nanswers || happens(REFUSE, 6))
		return fail(ECONNREFUSED);
	e->in = answers[dialled++];
	return happens(AGAIN, 3) ? fail(EINPROGRESS) : 0;
}

/* What every transfer may meet first. */
static int troubled(void)
{
	if (happens(INTERRUPT, 4))
		return fail(EINTR);
	if (happens(AGAIN, 4))
		return fail(EAGAIN);
	return happens(RESET, 16) ? fail(ECONNRESET) : 0;
}

static ssize_t take(struct end *e, void *p, size_t n)
{
	n = n < e->in.n ? n : e->in.n;
	if (faults & SHORT && n > 1)
		n = 1 + next() % n;
	if (n)
		memcpy(p, e->in.p, n);
	e->in = str_from(e->in, n);
	return (ssize_t)n;
}

static ssize_t put(struct end *e, const void *p, size_t n)
{
	if (faults & SHORT && n > 1)
		n = 1 + next() % n;
	buf_put(&e->out, (struct str){ p, n });
	hold(!e->out.full);
	return (ssize_t)n;
}

static ssize_t k_recv(int fd, void *p, size_t n, int flags)
{
	struct end *e = end_of(fd);

	(void)flags;
	hold(e->kind == NET);
	if (troubled() || (faults & HANG && !e->in.n && fail(EAGAIN)))
		return -1;
	return take(e, p, n);
}

static ssize_t k_send(int fd, const void *p, size_t n, int flags)
{
	struct end *e = end_of(fd);

	hold(flags & MSG_NOSIGNAL && e->kind == NET);
	return troubled() ? -1 : put(e, p, n);
}

static ssize_t k_read(int fd, void *p, size_t n)
{
	struct end *e = end_of(fd);

	hold(e->kind == READ || e->kind == PIPE);
	return happens(INTERRUPT, 8) ? fail(EINTR) : take(e, p, n);
}

static ssize_t k_write(int fd, const void *p, size_t n)
{
	struct end *e = end_of(fd);

	hold(e->kind == WRITE);
	return happens(REFUSE, 8) ? fail(ENOSPC) : put(e, p, n);
}

static int k_close(int fd)
{
	struct end *e = end_of(fd);

	if (e->kind == NET)
		check_request(buf_str(&e->out));
	e->kind = NONE;
	return 0;
}

static int k_pipe(int fd[2])
{
	if (happens(REFUSE, 8))
		return fail(EMFILE);
	fd[0] = new_end(PIPE, printed);
	fd[1] = new_end(WRITE, S(""));
	return 0;
}

static int k_open(const char *path, int flags, ...)
{
	struct str p = str_of(path);

	if (happens(REFUSE, 16))
		return fail(EACCES);
	if (flags & O_CREAT) {
		hold(str_starts(p, S("/h/.aws/sso/cache/")) && flags & O_EXCL);
		return new_end(WRITE, S(""));
	}
	if (str_eq(p, S("/config")))
		return new_end(READ, str_of(place->config));
	if (str_eq(p, S("/none")) || !has_file)
		return fail(ENOENT);
	return new_end(READ, stored);
}

static int k_fstat(int fd, struct stat *st)
{
	struct end *e = end_of(fd);

	memset(st, 0, sizeof(*st));
	st->st_mode = S_IFREG;
	st->st_size = (off_t)e->in.n;
	/* It may become shorter after that. */
	if (e->in.p == stored.p && happens(RESET, 4))
		e->in = str_head(e->in, next() % (e->in.n + 1));
	return happens(REFUSE, 16) ? fail(EIO) : 0;
}

static int k_fsync(int fd)
{
	struct end *e = end_of(fd);

	memcpy(kept_mem, e->out.p, e->out.n);
	stored = (struct str){ kept_mem, e->out.n };
	return happens(REFUSE, 8) ? fail(EIO) : 0;
}

/* Whole, and of use to whoever reads it next. */
static int k_rename(const char *from, const char *to)
{
	hold(str_starts(str_of(from), str_of(to)));
	hold(json_check(stored, NULL, NULL) == OK);
	hold(str_starts(stored, S("{\"accessToken\":\"")));
	return happens(REFUSE, 8) ? fail(EXDEV) : 0;
}

static int k_unlink(const char *path)
{
	(void)path;
	return 0;
}

static int k_fcntl(int fd, int command, ...)
{
	(void)end_of(fd);
	return command == F_GETFL ? O_RDWR : 0;
}

static int k_setsockopt(int fd, int level, int name, const void *p,
    socklen_t n)
{
	(void)end_of(fd), (void)level, (void)name, (void)p, (void)n;
	return 0;
}

static int k_getsockopt(int fd, int level, int name, void *p, socklen_t *n)
{
	int error = happens(REFUSE, 6) ? ETIMEDOUT : 0;

	(void)end_of(fd), (void)level, (void)name, (void)n;
	memcpy(p, &error, sizeof(error));
	return 0;
}

static int k_name(int fd, struct sockaddr *a, socklen_t *n, int port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	(void)end_of(fd);
	in.sin_port = htons((uint16_t)port);
	memcpy(a, &in, sizeof(in));
	*n = sizeof(in);
	return 0;
}

static int k_getpeername(int fd, struct sockaddr *a, socklen_t *n)
{
	return happens(AGAIN, 3) ? fail(ENOTCONN) : k_name(fd, a, n, 9);
}

static int k_getsockname(int fd, struct sockaddr *a, socklen_t *n)
{
	return k_name(fd, a, n, 10);
}

/* One descriptor, or none to let time go by. */
static int k_select(int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t)
{
	int waits = n == 0 || happens(AGAIN, 4);

	(void)w, (void)x;
	hold(t != NULL && t->tv_sec >= 0 && t->tv_usec >= 0);
	if (happens(INTERRUPT, 8))
		return fail(EINTR);
	/* Everything was read, and whoever wrote it is still there. */
	if (!waits && faults & HANG && FD_ISSET(n - 1, r))
		waits = !end_of(n - 1)->in.n;
	if (waits)
		at_ms += (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000 + 1;
	return !waits;
}

static int k_getaddrinfo(const char *name, const char *service,
    const struct addrinfo *hints, struct addrinfo **list)
{
	static struct sockaddr_in a = { .sin_family = AF_INET };
	static struct addrinfo one = { .ai_addrlen = sizeof(a) };

	(void)name, (void)service, (void)hints;
	one.ai_addr = (struct sockaddr *)(void *)&a;
	*list = &one;
	return happens(REFUSE, 4) ? EAI_NONAME : 0;
}

static void k_freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

#define socket k_socket
#define connect k_connect
#define recv k_recv
#define send k_send
#define close k_close
#define fcntl k_fcntl
#define setsockopt k_setsockopt
#define getsockopt k_getsockopt
#define getpeername k_getpeername
#define getsockname k_getsockname
#define reason sock_reason_of
#include "../../src/net/sock.c"
#undef reason
#undef socket
#undef send
#define select k_select
#define getaddrinfo k_getaddrinfo
#define freeaddrinfo k_freeaddrinfo
#include "../../src/net/fetch.c"
#define open k_open
#define fstat k_fstat
#define read k_read
#include "../../src/net/aws.c"
#define write k_write
#define fsync k_fsync
#define rename k_rename
#define unlink k_unlink
#define member sso_member
#include "../../src/net/aws_sso.c"
#undef member
#define pipe k_pipe
#define run process_run
#include "../../src/net/aws_process.c"
#undef run
#undef close
#undef open
#undef read
#undef write
#undef select

int64_t loop_now(void)
{
	return at_ms;
}

int64_t loop_wall(void)
{
	return INT64_C(1000) * NOW + at_ms;
}

int loop_random(void *p, size_t n)
{
	while (n--)
		((unsigned char *)p)[n] = (unsigned char)next();
	return OK;
}

long shell_start(const char *command, char *const *env, int in, int out)
{
	(void)env;
	hold(strcmp(command, "the command") == 0 && in == -1);
	hold(end_of(out)->kind == WRITE);
	return happens(REFUSE, 8) ? -1 : 1;
}

int shell_end(long pid, int64_t deadline, int wanted)
{
	(void)deadline;
	hold(pid == 1);
	return !wanted || happens(RESET, 4) ? -1 : 0;
}

static const char *variable(void *ctx, const char *name)
{
	static const char *const all[][2] = {
		{ "HOME", "/h" }, { "AWS_CONFIG_FILE", "/config" },
		{ "AWS_SHARED_CREDENTIALS_FILE", "/none" }
	};
	size_t i;

	(void)ctx;
	for (i = 0; i < COUNT(all); i++)
		if (strcmp(all[i][0], name) == 0)
			return all[i][1];
	for (i = 0; i < COUNT(place->env) && place->env[i][0]; i++)
		if (strcmp(place->env[i][0], name) == 0)
			return place->env[i][1];
	return NULL;
}

/* ---- what came of it ---------------------------------------------------- */

static void check_line(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		hold((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f);
	hold(utf8_valid(s) == s.n);
}

/* A secret with the mark of its kind, which no text of ours has. When it stands
 * nowhere else in the input, it can be in a reason only because somebody took it
 * for something else. */
static void hidden(struct str secret, struct str why)
{
	size_t n = str_find(input, secret);

	if (str_find(secret, S("hush")) == secret.n ||
	    str_chr(secret, '\\') < secret.n ||
	    str_find(str_from(input, n + 1), secret) < input.n - n - 1)
		return;
	if (str_find(why, secret) < why.n)
		fprintf(stderr, "%.*s\n", (int)why.n, why.p);
	hold(str_find(why, secret) == why.n);
}

static void hidden_json(struct str text, struct str why)
{
	static char room[1 << 20];
	static const char *const names[] = { "SecretAccessKey", "Token",
	    "SessionToken", "secretAccessKey", "sessionToken", "accessToken",
	    "refreshToken", "clientSecret" };
	struct arena a = { room, room + sizeof(room) };
	struct jv v, inner;
	struct json doc;
	size_t i;

	if (json_parse(&doc, str_trim(text), &a, NULL) != OK)
		return;
	v = json_root(&doc);
	inner = json_get(v, S("roleCredentials"));
	for (i = 0; i < COUNT(names); i++) {
		hidden(json_str(json_get(v, str_of(names[i]))).raw, why);
		hidden(json_str(json_get(inner, str_of(names[i]))).raw, why);
	}
}

static void hidden_xml(struct str text, struct str why)
{
	static const char *const names[] = { "<SecretAccessKey>",
	    "<SessionToken>" };
	size_t i, n, open;

	for (i = 0; i < COUNT(names); i++) {
		n = str_find(text, str_of(names[i]));
		/* Not where it is a part of another tag. */
		for (open = n; open > 0 && text.p[open - 1] != '<' &&
		    text.p[open - 1] != '>'; open--)
			;
		if (n == text.n || (open && text.p[open - 1] == '<'))
			continue;
		text = str_from(text, n + strlen(names[i]));
		hidden(str_head(text, str_chr(text, '<')), why);
	}
}

static void check_reason(struct str why)
{
	size_t i, n;

	hold(why.n > 0);
	check_line(why);
	hold(str_find(why, S("planted")) == why.n);
	hidden_json(stored, why);
	hidden_json(printed, why);
	for (i = 0; i < nanswers; i++) {
		n = http_head_end(answers[i], 0);
		hidden_json(str_from(answers[i], n), why);
		hidden_xml(str_from(answers[i], n), why);
	}
}

static void check_sendable(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		hold(s.p[i] > ' ' && s.p[i] <= '~');
}

static void same(struct str a, struct str b)
{
	hold(str_eq(a, str_head(b, str_chr(b, '\n'))));
}

static void check_found(const struct credentials *c)
{
	static char text[1 << 17];
	struct buf b = buf_on(text, sizeof(text));
	struct credentials again;

	hold(!c->bearer.n && c->id.n && c->secret.n && c->source.n);
	hold(!place->expires || (c->token.n && c->expires));
	check_sendable(c->id);
	check_sendable(c->secret);
	check_sendable(c->token);
	check_line(c->source);
	check_line(c->region);
	check_line(c->warning);
	hold(credentials_keep(c, NOW) > 0);
	credentials_write(&b, c);
	hold(!b.full && credentials_read(&again, buf_str(&b)) == OK);
	same(again.id, c->id);
	same(again.secret, c->secret);
	same(again.token, c->token);
	same(again.source, c->source);
	same(again.region, c->region);
	hold(again.expires == c->expires);
}

/* An arena of some size, behind which something lies. */
static struct arena begin(void)
{
	static _Alignas(16) char memory[CREDENTIALS_MEMORY + CANARY];
	size_t n = faults & LITTLE ? next() % 65536 : CREDENTIALS_MEMORY;

	memset(memory + n, 'c', CANARY);
	return (struct arena){ memory, memory + n };
}

static void end(const struct arena *a)
{
	size_t i;

	hold(a->cur <= a->end);
	for (i = 0; i < CANARY; i++)
		hold(a->end[i] == 'c');
	for (i = 0; i < FDS; i++)
		hold(ends[i].kind == NONE);
}

static void find(void)
{
	static char text[REASON];
	struct buf why = buf_on(text, sizeof(text));
	struct credentials_input in = { .env = variable,
		.profile = str_of(place->profile) };
	struct credentials c;
	struct arena a = begin();
	int r = credentials_find(&in, &a, &c, &why);

	hold(r == OK || r == E_FAULT || r == E_NONE);
	if (r == OK)
		check_found(&c);
	else
		check_reason(buf_str(&why));
	if (r != OK)
		hold(!c.id.n && !c.secret.n && !c.token.n && !c.bearer.n);
	end(&a);
}

/* GetInferenceProfile, asked with keys of the environment. */
static void find_model(void)
{
	static const struct place keys = { NULL, "", 0, {
		{ "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE" },
		{ "AWS_SECRET_ACCESS_KEY", "plantedsecret" },
		{ "AWS_ENDPOINT_URL_BEDROCK", "http://127.0.0.1:1" } } };
	static const struct credentials_input in = { .env = variable };
	static char text[REASON];
	struct buf b = buf_on(text, sizeof(text));
	unsigned keep;

	place = &keys;
	credentials_setup(&in);
	if (credentials_model_serve(S("arn:aws:bedrock:us-east-1:123456789012:"
	    "application-inference-profile/x ]"), &b, &keep) == OK)
		hold(b.n > 0 && !b.full);
	else
		check_reason(buf_str(&b));
}

/* fetch() alone: of any host, small answers, through a proxy. */
static void call(const char *url, const char *proxy)
{
	static struct tls_shared none;
	static char text[REASON];
	struct buf why = buf_on(text, sizeof(text));
	struct arena a = begin(), whole = a;
	struct fetch f = { .method = S("POST"), .url = str_of(url),
		.body = S("{}"), .deadline = at_ms + 10000, .tls = &none,
		.proxy = str_of(proxy), .answer_max = 1024 };
	struct fetch_answer out;
	int r = fetch(&f, &a, &out, &why);

	hold(r == OK || r == E_FAULT || r == E_FULL);
	if (r == OK) {
		hold(out.head.status >= 200 && out.head.status <= 999);
		hold(out.body.p >= whole.cur && out.body.p + out.body.n <=
		    whole.end && out.body.n <= f.answer_max);
		hold(out.date >= 0);
	}
	if (r == E_FAULT)
		check_reason(buf_str(&why));
	end(&a);
}

/* "\n=====", a letter, a line's end, then the text up to the next one. */
static void take_apart(struct str s)
{
	struct str mark = S("\n=====");
	size_t n;
	char kind;

	nanswers = dialled = 0;
	stored = printed = S("");
	has_file = 0;
	for (s = str_from(s, str_find(s, mark)); s.n > mark.n + 1;
	    s = str_from(s, n)) {
		kind = s.p[mark.n];
		s = str_from(s, mark.n + 2);
		n = str_find(s, mark);
		if (kind == 'f')
			stored = str_head(s, n);
		has_file |= kind == 'f';
		if (kind == 'p')
			printed = str_head(s, n);
		if (kind == 'a' && nanswers < ANSWERS_MAX)
			answers[nanswers++] = str_head(s, n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned which;

	/* A fuzzer finds our secrets' mark out: then it may stand anywhere. */
	input = (struct str){ (const char *)data, size };
	if (size < 6 || size > INPUT_MAX || str_find(input, S("planted")) < size)
		return 0;
	which = (unsigned)(data[0] - 'a') % (COUNT(places) + 3);
	faults = data[1] ^ '0';
	memcpy(&chance, data + 2, 4);
	chance |= 1;
	at_ms = 1000;
	tunnelled = which == COUNT(places) + 2;
	take_apart(str_from(input, 6));
	place = places;
	if (which < COUNT(places)) {
		place = &places[which];
		find();
	} else if (which == COUNT(places)) {
		find_model();
	} else if (which == COUNT(places) + 1) {
		call("http://name.test:8080/v1/traces?x=1", NULL);
	} else {
		call("https://name.test/", "http://u:planted%40p@127.0.0.1:3");
	}
	return 0;
}
