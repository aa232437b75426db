/* bedrock.c -- the running program signs in, signs, and reads frames.
 *
 *	build/tests/live/bedrock [build/claudecodex]
 *
 * Our own upstream takes each signed request apart and signs it again with
 * the keys it knows; only then does it answer, in frames it makes itself.
 * Every wait is bounded.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/eventstream.h"
#include "../../src/wire/http.h"
#include "../../src/wire/sigv4.h"
#include "../unit/t.h"
#include "start.h"

enum {
	ASKED_MAX = 1 << 16,
	ANSWER_MAX = 1 << 18,
	SOON_MS = 5000,
	ANSWER_MS = 15000,	/* more than the wait for counters (BR-93) */
	FRAME_MAX = 4096
};

#define ID "AKIALIVELIVELIVE0001"
#define SECRET "live/secret+dddddddddddddddddddddddddddd"
#define TOKEN "live//token+eeeeeeeeeeee=="

struct asked {
	int fd;
	struct http_head head;
	struct str body;
	char mem[ASKED_MAX];
	size_t n;
};

static struct started proxy;
static int listener, listener_port;
static struct asked asked;
static char answer_mem[ANSWER_MAX];
static const char *binary;

static int has(struct str s, const char *text)
{
	return str_find(s, str_of(text)) < s.n;
}

/* ---- ends of connections ---- */

static ssize_t read_some(int fd, char *to, size_t n, int64_t end)
{
	struct pollfd p = { fd, POLLIN, 0 };
	int64_t left = end - now_ms();

	if (poll(&p, 1, left > 0 ? (int)left : 0) <= 0)
		return -1;
	return recv(fd, to, n, 0);
}

static int post(const char *path, const char *body)
{
	char text[4096];
	int fd = dial(proxy.port);

	snprintf(text, sizeof text, "POST %s HTTP/1.1\r\nHost: localhost\r\n"
	    "Content-Type: application/json\r\nx-api-key: sk-client-secret\r\n"
	    "anthropic-beta: oauth-2025-04-20\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n%s", path, strlen(body), body);
	say(fd, text);
	return fd;
}

/* All that comes until the end of the connection. */
static struct str read_all(int fd)
{
	int64_t end = now_ms() + ANSWER_MS;
	size_t n = 0;
	ssize_t r;

	while (n < ANSWER_MAX && (r = read_some(fd, answer_mem + n,
	    ANSWER_MAX - n, end)) > 0)
		n += (size_t)r;
	close(fd);
	return (struct str){ answer_mem, n };
}

/* The program's next request, whole. */
static int next_request(void)
{
	int64_t end = now_ms() + SOON_MS;
	struct pollfd p = { listener, POLLIN, 0 };
	const char *why;
	size_t head;
	ssize_t r;

	if (asked.fd > 0)
		close(asked.fd);
	asked.fd = poll(&p, 1, SOON_MS) > 0 ? accept(listener, NULL, NULL) : -1;
	asked.n = 0;
	while (asked.fd >= 0 && asked.n < ASKED_MAX && (r = read_some(asked.fd,
	    asked.mem + asked.n, ASKED_MAX - asked.n, end)) > 0) {
		asked.n += (size_t)r;
		head = http_head_end((struct str){ asked.mem, asked.n }, 0);
		if (!head || http_request(&asked.head, (struct str){ asked.mem,
		    head }, &why) != OK)
			continue;
		asked.body = (struct str){ asked.mem + head, asked.n - head };
		if (asked.body.n == asked.head.length)
			return 1;
	}
	return 0;
}

/* ---- the signature ---- */

/* When the request says it was signed: "20261123T123456Z". */
static int64_t signed_at(void)
{
	struct str d = http_field(&asked.head, S("x-amz-date"));
	char iso[24];
	int64_t t = 0;

	if (d.n != SIGV4_DATE)
		return 0;
	snprintf(iso, sizeof iso, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", d.p,
	    d.p + 4, d.p + 6, d.p + 9, d.p + 11, d.p + 13);
	sigv4_iso_date(str_of(iso), &t);
	return t;
}

/* Signs what came with the keys we know and compares. */
static int signature_holds(const char *region, const char *token)
{
	char room[4096];
	struct buf b = buf_on(room, sizeof room);
	struct str given = http_field(&asked.head, S("authorization"));
	struct str list = str_from(given, str_find(given,
	    S("SignedHeaders=")) + 14), name;
	struct sigv4_pair f[16];
	struct sigv4 s = { .id = S(ID), .secret = S(SECRET),
		.token = str_of(token), .region = str_of(region),
		.service = S("bedrock"), .now = signed_at(),
		.method = S("POST"), .path = asked.head.target, .fields = f };

	list = str_head(list, str_chr(list, ','));
	while (str_cut(&list, ';', &name) && s.nfields < COUNT(f)) {
		if (str_starts(name, S("x-amz-")))
			continue;
		f[s.nfields].name = name;
		f[s.nfields++].value = http_field(&asked.head, name);
	}
	sigv4_payload(s.payload, &asked.body, 1);
	if (sigv4_sign(&s, &b) != OK)
		return 0;
	return given.n > 100 && str_find(buf_str(&b), given) < b.n &&
	    str_eq(http_field(&asked.head, S("x-amz-security-token")),
	    str_of(token));
}

/* ---- frames ---- */

static void put_u32(struct buf *b, uint32_t v)
{
	int i;

	for (i = 24; i >= 0; i -= 8)
		buf_chr(b, (char)(v >> i & 255));
}

static void put_header(struct buf *b, const char *name, const char *value)
{
	buf_chr(b, (char)strlen(name));
	buf_put(b, str_of(name));
	buf_chr(b, EVENTSTREAM_STRING);
	buf_chr(b, 0);
	buf_chr(b, (char)strlen(value));
	buf_put(b, str_of(value));
}

static void send_frame(const char *kind, const char *name, const char *json)
{
	char headers[512], room[FRAME_MAX];
	struct buf h = buf_on(headers, sizeof headers);
	struct buf b = buf_on(room, sizeof room);

	put_header(&h, ":message-type", kind);
	put_header(&h, strcmp(kind, "event") == 0 ? ":event-type" :
	    ":exception-type", name);
	put_header(&h, ":content-type", "application/json");
	put_u32(&b, (uint32_t)(16 + h.n + strlen(json)));
	put_u32(&b, (uint32_t)h.n);
	put_u32(&b, crc32_add(0, buf_str(&b)));
	buf_put(&b, buf_str(&h));
	buf_put(&b, str_of(json));
	put_u32(&b, crc32_add(0, buf_str(&b)));
	say_bytes(asked.fd, b.p, b.n);
}

static void send_head(const char *status, const char *type, const char *more)
{
	char text[512];

	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nContent-Type: %s\r\n"
	    "x-amzn-requestid: aws-1\r\n%sConnection: close\r\n\r\n", status,
	    type, more);
	say(asked.fd, text);
}

#define FRAMES "application/vnd.amazon.eventstream"

static void refuse(const char *status, const char *code, const char *message)
{
	char more[256], body[512];

	snprintf(more, sizeof more, "x-amzn-errortype: %s:http://x/\r\n", code);
	snprintf(body, sizeof body, "{\"message\":\"%s\"}", message);
	send_head(status, "application/json", more);
	say(asked.fd, body);
	shutdown(asked.fd, SHUT_WR);
}

/* ---- cases ---- */

static void put_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", proxy.dir, name);
	f = fopen(path, "w");
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

#define ASK "{\"model\":\"amazon.nova-lite-v1:0\",\"max_tokens\":99," \
	"\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define KEYS(T) "[default]\naws_access_key_id = " ID \
	"\naws_secret_access_key = " SECRET "\n" T

static void converse(void)
{
	int fd = post("/v1/messages", ASK);
	struct str a;

	T(next_request(), "BR-1 Nova goes to Converse");
	T_STR(asked.head.target,
	    S("/model/amazon.nova-lite-v1%3A0/converse-stream"), "BR-3");
	T(signature_holds("eu-west-1", TOKEN), "AW-2 AW-5 signed as it came");
	T(!has((struct str){ asked.mem, asked.n }, "sk-client-secret"),
	    "BR-4 the client's key stays here");
	T(http_field(&asked.head, S("anthropic-beta")).n == 0, "BR-4 betas");
	send_head("200 OK", FRAMES, "");
	send_frame("event", "messageStart", "{\"role\":\"assistant\"}");
	send_frame("event", "contentBlockDelta", "{\"contentBlockIndex\":0,"
	    "\"delta\":{\"text\":\"hello \\\"you\\\"\"},\"p\":\"abc\"}");
	send_frame("event", "contentBlockStop", "{\"contentBlockIndex\":0}");
	send_frame("event", "messageStop", "{\"stopReason\":\"end_turn\"}");
	send_frame("event", "metadata", "{\"usage\":{\"inputTokens\":7,"
	    "\"outputTokens\":3,\"totalTokens\":10}}");
	shutdown(asked.fd, SHUT_WR);
	a = read_all(fd);
	T(has(a, "HTTP/1.1 200"), "200");
	T(has(a, "\"text\":\"hello \\\"you\\\"\""), "BR-81 text as it came");
	T(has(a, "\"output_tokens\":3") && has(a, "\"input_tokens\":7"),
	    "BR-110 FN-14 counters last");
	T(has(a, "event: message_stop"), "whole");
	T(has(a, "\"model\":\"amazon.nova-lite-v1:0\""), "the name asked for");
}

/* The next request is asked for and answered, up to its first words. */
static void begin_answer(void)
{
	T(next_request(), "asked");
	send_head("200 OK", FRAMES, "");
	send_frame("event", "messageStart", "{\"role\":\"assistant\"}");
	send_frame("event", "contentBlockDelta",
	    "{\"contentBlockIndex\":0,\"delta\":{\"text\":\"x\"}}");
}

/* The stop has come, the counters never do. */
static void no_metadata(void)
{
	int64_t began = now_ms();
	int fd = post("/v1/messages", ASK);
	struct str a;

	begin_answer();
	send_frame("event", "messageStop", "{\"stopReason\":\"end_turn\"}");
	a = read_all(fd);
	T(has(a, "event: message_stop"), "BR-93 whole all the same");
	T(now_ms() - began < ANSWER_MS, "BR-93 the wait ends");
}

/* What comes behind the end is nobody's, and isn't waited for. */
static void after_done(void)
{
	int64_t began = now_ms();
	int fd = post("/v1/messages", ASK);
	struct str a;

	begin_answer();
	send_frame("event", "messageStop", "{\"stopReason\":\"end_turn\"}");
	send_frame("event", "metadata", "{\"usage\":{\"inputTokens\":7,"
	    "\"outputTokens\":3,\"totalTokens\":10}}");
	send_frame("exception", "throttlingException", "{\"message\":\"x\"}");
	a = read_all(fd);
	T(has(a, "event: message_stop") && !has(a, "event: error"),
	    "BR-38 frames after the end");
	T(now_ms() - began < 2000, "BR-38 aren't waited for");
}

static void cut(void)
{
	int fd = post("/v1/messages", ASK);
	struct str a;

	begin_answer();
	shutdown(asked.fd, SHUT_WR);
	a = read_all(fd);
	T(has(a, "event: error") && has(a, "api_error") &&
	    !has(a, "message_stop"), "BR-37 FN-6 a cut stream is an error");
}

static void exceptions(void)
{
	int fd = post("/v1/messages", ASK);
	struct str a;

	T(next_request(), "asked");
	send_head("200 OK", FRAMES, "");
	send_frame("exception", "throttlingException",
	    "{\"message\":\"slow down\"}");
	shutdown(asked.fd, SHUT_WR);
	a = read_all(fd);
	T(has(a, "HTTP/1.1 429") && has(a, "rate_limit_error") &&
	    has(a, "slow down"), "BR-97 first: an HTTP error");
	fd = post("/v1/messages", ASK);
	T(next_request(), "asked");
	refuse("400 Bad Request", "ValidationException",
	    "Input is too long for requested model.");
	a = read_all(fd);
	T(has(a, "HTTP/1.1 400") && has(a, "prompt is too long: "), "BR-121");
}

/* Refused keys are looked up anew, and the file has new ones by then. */
static void renewed(void)
{
	int fd = post("/v1/messages", ASK);
	struct str a;

	T(next_request() && signature_holds("eu-west-1", TOKEN), "old keys");
	put_file(".aws-credentials", KEYS(""));
	refuse("403 Forbidden", "ExpiredTokenException",
	    "The security token included in the request is expired");
	T(next_request() && signature_holds("eu-west-1", ""),
	    "AW-91 FN-32 new keys, once");
	refuse("403 Forbidden", "ExpiredTokenException", "expired");
	a = read_all(fd);
	T(has(a, "HTTP/1.1 401") && has(a, "x-should-retry: false"),
	    "AW-91 then it is said");
}

/* A credential_process that hangs: what can be said without keys is said. */
static void hanging(void)
{
	const char *get = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n"
	    "Connection: close\r\n\r\n";
	int64_t began;
	struct str a;
	int waits, fd;

	put_file(".aws-credentials", "");
	put_file(".aws-config", "[default]\ncredential_process = sleep 50\n");
	poll(NULL, 0, 1100);
	waits = post("/v1/messages", ASK);
	began = now_ms();
	a = read_all(post("/v1/messages/count_tokens", ASK));
	T(has(a, "HTTP/1.1 200") && has(a, "{\"input_tokens\":") &&
	    !has(a, ":0}"), "BR-132 counts without keys");
	fd = dial(proxy.port);
	say(fd, get);
	a = read_all(fd);
	T(has(a, "HTTP/1.1 200") && has(a, "claude-opus-"),
	    "BR-140 lists without keys");
	T(now_ms() - began < 9000, "AW-61 a process that hangs delays neither "
	    "for long");
	close(waits);	/* nor does it hold the program back at its end */
}

int main(int argc, char **argv)
{
	char endpoint[96], files[2][128];
	const char *settings[] = { "LLM_BACKEND=bedrock",
		"AWS_EC2_METADATA_DISABLED=true", endpoint, files[0], files[1],
		NULL };

	binary = argc > 1 ? argv[1] : "build/claudecodex";
	listener = listen_free(&listener_port);
	snprintf(endpoint, sizeof endpoint,
	    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:%d",
	    listener_port);
	strcpy(files[0], "AWS_SHARED_CREDENTIALS_FILE=.aws-credentials");
	strcpy(files[1], "AWS_CONFIG_FILE=.aws-config");
	T(start(&proxy, binary, settings), "starts without keys");
	put_file(".aws-credentials", KEYS("aws_session_token = " TOKEN "\n"));
	put_file(".aws-config", "[default]\nregion = eu-west-1\n");
	poll(NULL, 0, 1100);	/* that there were none is known for a second */
	converse();
	no_metadata();
	after_done();
	cut();
	exceptions();
	renewed();
	T(stop(&proxy, t_count.failed > 0), "ends");
	T(start(&proxy, binary, settings), "starts again");
	hanging();
	T(stop(&proxy, t_count.failed > 0), "ends while a look-up hangs");
	return t_done("live/bedrock");
}
