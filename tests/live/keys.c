/* keys.c -- where the keys of the running program go, and where they don't.
 *
 *	build/tests/live/keys [build/claudecodex]
 *
 * Two upstreams with a key each, and a third listener that nobody configured:
 * it stands for every other host. A redirect is not followed, a request can't
 * choose its upstream, no page shows a key, and each key goes to its own host
 * alone.
 *
 * SPDX-License-Identifier: MIT */
#include "../../src/wire/http.h"
#include "../unit/t.h"
#include "start.h"

enum { ROOM = 1 << 20, WAIT_MS = 4000 };

#define OPENAI_KEY "sk-canary-openai-0123456789"
#define ANTHROPIC_KEY "sk-ant-canary-anthropic-0123456789"
#define PROXY_KEY "canary-of-the-proxy-0123456789"
#define CLIENT_KEY "canary-of-the-client-0123456789"

static struct started proxy;
static int openai, anthropic, stranger;	/* listeners */
static int openai_port, anthropic_port, stranger_port;
static char asked[ROOM + 1], answer[ROOM + 1];

static int has(const char *in, const char *text)
{
	return strstr(in, text) != NULL;
}

/* Reads to the end, or until a request is whole. */
static size_t read_all(int fd, char *to, int request)
{
	static struct http_head h;
	int64_t end = now_ms() + WAIT_MS;
	struct pollfd p = { fd, POLLIN, 0 };
	const char *why;
	size_t n = 0, head;
	ssize_t k = 1;

	while (k > 0 && n < ROOM && now_ms() < end &&
	    poll(&p, 1, (int)(end - now_ms())) == 1) {
		k = recv(fd, to + n, ROOM - n, 0);
		n += k > 0 ? (size_t)k : 0;
		head = http_head_end((struct str){ to, n }, 0);
		if (request && head && http_request(&h,
		    (struct str){ to, head }, &why) == OK &&
		    n >= head + h.length)
			break;
	}
	to[n] = '\0';
	return n;
}

/* One request and what the upstream answers, if it is asked. The answer is
 * left in answer, what the upstream got in asked. */
static void talk(int listener, const char *request, const char *reply)
{
	struct pollfd p = { listener, POLLIN, 0 };
	int fd = dial(proxy.port), up;

	asked[0] = '\0';
	say(fd, request);
	if (listener >= 0 && T(poll(&p, 1, WAIT_MS) == 1, "it is asked for")) {
		up = accept(listener, NULL, NULL);
		fcntl(up, F_SETFD, FD_CLOEXEC);
		(void)read_all(up, asked, 1);
		say(up, reply);
		close(up);
	}
	(void)read_all(fd, answer, 0);
	close(fd);
}

static const char *post(const char *target, const char *model,
    const char *fields, const char *members)
{
	static char text[4096];
	char body[2048];
	int n = snprintf(body, sizeof(body), "{\"model\":\"%s\",%s"
	    "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
	    "\"hi\"}]}", model, members);

	snprintf(text, sizeof(text), "POST %s HTTP/1.1\r\nHost: localhost\r\n"
	    "x-api-key: " PROXY_KEY "\r\nConnection: close\r\n%s"
	    "Content-Length: %d\r\n\r\n%s", target, fields, n, body);
	return text;
}

static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Type: "
	"application/json\r\nConnection: close\r\n\r\n{\"choices\":[{"
	"\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
	"\"plain-answer\"},\"finish_reason\":\"stop\"}]}";
static const char message[] = "HTTP/1.1 200 OK\r\nContent-Type: "
	"application/json\r\nConnection: close\r\n\r\n{\"id\":\"msg_1\","
	"\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\","
	"\"content\":[{\"type\":\"text\",\"text\":\"plain-answer\"}],"
	"\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,"
	"\"output_tokens\":1}}";

/* Whether somebody came to it. */
static int visited(int listener)
{
	struct pollfd p = { listener, POLLIN, 0 };

	return poll(&p, 1, 0) == 1;
}

static void test_own_host(void)
{
	talk(openai, post("/v1/messages", "m", "", ""), plain);
	T(has(answer, "plain-answer"), "answered: %.300s", answer);
	T(has(asked, OPENAI_KEY), "its key goes to its host");
	T(!has(asked, ANTHROPIC_KEY) && !has(asked, PROXY_KEY),
	    "and no other key: %.500s", asked);
	talk(anthropic, post("/v1/messages", "far", "", ""), message);
	T(has(answer, "plain-answer"), "answered: %.300s", answer);
	T(has(asked, ANTHROPIC_KEY), "the other's goes to the other");
	T(!has(asked, OPENAI_KEY) && !has(asked, PROXY_KEY),
	    "alone: %.500s", asked);
	/* A second credential is somebody's: no upstream's affair. */
	talk(openai, post("/v1/messages", "m", "Authorization: Bearer "
	    CLIENT_KEY "\r\nCookie: a=" CLIENT_KEY "\r\n", ""), plain);
	T(has(asked, OPENAI_KEY) && !has(asked, CLIENT_KEY),
	    "a client's credential isn't passed on: %.500s", asked);
}

/* What a client says never makes another host of it. */
static void test_choice(void)
{
	char url[80], members[512], fields[512], target[256];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/v1", stranger_port);
	snprintf(members, sizeof(members), "\"api_base\":\"%s\",\"base_url\":"
	    "\"%s\",\"api_key\":\"x\",\"metadata\":{\"user_id\":\"%s\"},"
	    "\"extra_body\":{\"api_base\":\"%s\"},", url, url, url, url);
	talk(openai, post("/v1/messages", "m", "", members), plain);
	T(has(answer, " 200 ") || has(answer, " 400 "), "a body's URL: %.200s",
	    answer);
	snprintf(fields, sizeof(fields), "X-Forwarded-Host: 127.0.0.1:%d\r\n"
	    "Forwarded: host=127.0.0.1:%d\r\nX-Base-Url: %s\r\n"
	    "X-Upstream: %s\r\nX-Original-URL: %s\r\n", stranger_port,
	    stranger_port, url, url, url);
	talk(openai, post("/v1/messages", "m", fields, ""), plain);
	T(has(answer, "plain-answer"), "fields with a host: %.200s", answer);
	T(!has(asked, "orwarded"), "which end here");
	snprintf(target, sizeof(target), "/v1/messages?base_url=%s&api_base=%s",
	    url, url);
	talk(openai, post(target, "m", "", ""), plain);
	T(has(answer, "plain-answer"), "a query: %.200s", answer);
	talk(openai, post("/v1/messages", url, "", ""), plain);
	snprintf(target, sizeof(target), "http://127.0.0.1:%d/v1/messages",
	    stranger_port);
	talk(openai, post(target, "m", "", ""), plain);
	T(!visited(stranger), "a request can't choose its upstream");
}

static void test_redirects(void)
{
	static const char *const status[] = { "301 Moved", "302 Found",
		"303 See Other", "307 Temporary", "308 Permanent", "300 Many" };
	static const struct {
		const char *location, *told;
	} to[] = {
		{ "http://127.0.0.1:%d/v1/steal?token=s3cret-part#s3cret-part",
		    " redirects to 127.0.0.1:" },
		{ "http://user:s3cret-part@127.0.0.1:%d?k=s3cret-part",
		    " redirects to 127.0.0.1:" },
		{ "//login.test:%d#s3cret-part", " redirects to login.test:" },
		{ "HTTPS://[::1]:%d/s3cret-part", " redirects to [::1]:" },
		{ "/s3cret-part//path?%d", " redirects to another path;" },
		{ "s3cret-part%d", " redirects to another path;" }
	};
	char reply[512], where[160];
	size_t i, k;

	for (i = 0; i < COUNT(status); i++)
		for (k = 0; k < COUNT(to); k++) {
			int far = (i + k) % 2;

			/* The one number is the port, where there is one. */
			snprintf(where, sizeof(where), "%.*s%d%s",
			    (int)(strstr(to[k].location, "%d") -
			    to[k].location), to[k].location, stranger_port,
			    strstr(to[k].location, "%d") + 2);
			snprintf(reply, sizeof(reply), "HTTP/1.1 %s\r\n"
			    "Location: %s\r\nContent-Length: 0\r\n\r\n",
			    status[i], where);
			talk(far ? anthropic : openai, post("/v1/messages",
			    far ? "far" : "m", "", ""), reply);
			T(has(answer, "HTTP/1.1 502 "),
			    "a redirect is an error: %s to %s: %.300s",
			    status[i], where, answer);
			T(has(answer, to[k].told), "only its host is told, of "
			    "%s: %.600s", where, answer);
			T(!has(answer, "s3cret-part") &&
			    !has(answer, "canary"), "and nothing else of "
			    "it: %s", answer);
			T(has(answer, "x-should-retry: false"),
			    "nor is it tried again");
		}
	T(!visited(stranger), "a redirect is never followed");
}

static void test_pages(void)
{
	static const char *const paths[] = { "/", "/health", "/metrics",
		"/dashboard", "/dashboard/data",
		"/dashboard/sessions", "/dashboard/search?q=canary",
		"/dashboard/prices", "/nowhere" };
	static const char *const keys[] = { OPENAI_KEY, ANTHROPIC_KEY,
		PROXY_KEY };
	char text[512];
	size_t i, k;

	/* They are also said, as by somebody who pasted them. */
	talk(openai, post("/v1/messages", "m", "", "\"system\":\"" OPENAI_KEY
	    " " PROXY_KEY "\","), plain);
	for (i = 0; i < COUNT(paths); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: "
		    "localhost\r\nx-api-key: " PROXY_KEY "\r\n"
		    "Connection: close\r\n\r\n", paths[i]);
		talk(-1, text, "");
		T(has(answer, "HTTP/1.1 "), "%s answers", paths[i]);
		for (k = 0; k < COUNT(keys); k++)
			T(!has(answer, keys[k]), "no key on a page: %s",
			    paths[i]);
	}
}

/* After its end: all it has written is there. */
static void test_written(void)
{
	static const char *const keys[] = { OPENAI_KEY, ANTHROPIC_KEY,
		PROXY_KEY, CLIENT_KEY };
	char path[512];
	struct dirent *e;
	size_t k, files = 0;
	DIR *d = opendir(proxy.logs);
	struct str s;

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", proxy.logs, e->d_name);
		s = t_file(e->d_name[0] == '.' ? proxy.output : path);
		files += e->d_name[0] != '.';
		for (k = 0; s.p && k < COUNT(keys); k++)
			T(str_find(s, str_of(keys[k])) == s.n,
			    "no key in what is written: %s", e->d_name);
	}
	if (d)
		closedir(d);
	T(files >= 2, "there are logs");
}

int main(int argc, char **argv)
{
	static char one[80], two[80];
	static const char *const settings[] = { one, two, "OPENAI_MODEL=m",
		"LLM_BACKEND=openai_compatible", "OPENAI_API_KEY=" OPENAI_KEY,
		"ANTHROPIC_API_KEY=" ANTHROPIC_KEY, "PROXY_API_KEY=" PROXY_KEY,
		"MODEL_MAP=far=anthropic:m", NULL };
	const char *binary = argc > 1 ? argv[1] : "build/claudecodex";

	openai = listen_free(&openai_port);
	anthropic = listen_free(&anthropic_port);
	stranger = listen_free(&stranger_port);
	snprintf(one, sizeof(one), "OPENAI_BASE_URL=http://127.0.0.1:%d/v1",
	    openai_port);
	snprintf(two, sizeof(two), "ANTHROPIC_UPSTREAM_URL=http://127.0.0.1:%d",
	    anthropic_port);
	if (!T(start(&proxy, binary, settings), "it starts"))
		return t_done("keys");
	test_own_host();
	test_choice();
	test_redirects();
	test_pages();
	kill(proxy.pid, SIGTERM);
	waitpid(proxy.pid, &proxy.status, 0);
	proxy.pid = -1;
	test_written();
	T(stop(&proxy, t_count.failed > 0), "SIGTERM ends it with status 0");
	return t_done("keys");
}
