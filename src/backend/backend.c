/* backend.c -- the table of backends, and what they share.
 *
 * What services have in common when they are asked (a request head) and when
 * they refuse (a status, a delay, the words for a prompt that is too long).
 * What only one of them does is in its own file.
 *
 * SPDX-License-Identifier: MIT */
#include "backend.h"
#include "../wire/sigv4.h"

enum {
	DELAY_MAX = 86400,	/* seconds; a longer Retry-After is a mistake */
	WINDOW_USUAL = 200000,	/* what a client assumes when nobody says */
	NEAR = 48,		/* bytes between a phrase and its number */
	DURATION_MAX = 17,	/* bytes; numbers stay far below 2^63 */
	MILLION = 1000000
};

static const int64_t RESET_MAX = 366 * 86400000LL;	/* ms: a year */

static const struct backend *const backends[] = {
	&backend_bedrock, &backend_openai, &backend_anthropic, &backend_demo
};

const struct backend *backend_at(size_t i)
{
	return i < COUNT(backends) ? backends[i] : NULL;
}

const struct backend *backend_find(struct str name)
{
	size_t i;

	for (i = 0; i < COUNT(backends); i++)
		if (str_eq(str_of(backends[i]->name), name))
			return backends[i];
	return NULL;
}

/* ---- heads ---- */

int host_is_loopback(struct str host)
{
	struct str part, rest = host;
	uint64_t n;
	int parts = 0;

	if (str_ieq(host, S("localhost")) || str_eq(host, S("::1")))
		return 1;
	if (!str_starts(host, S("127.")) || host.p[host.n - 1] == '.')
		return 0;
	for (; str_cut(&rest, '.', &part); parts++)
		if (part.n > 3 || str_u64(part, &n) != OK || n > 255)
			return 0;
	return parts == 4;
}

size_t body_size(const struct call *c)
{
	size_t i, n = 0;

	for (i = 0; i < c->nbody; i++)
		n += c->body[i].n;
	return n;
}

void head_begin(struct buf *b, struct str method, const struct call *c,
    struct str target)
{
	struct str agent = { NULL, 0 };

	if (c->up->backend->passthrough && c->client)
		agent = http_field(c->client, S("user-agent"));
	buf_put(b, method);
	buf_chr(b, ' ');
	buf_put(b, target);
	buf_put(b, S(" HTTP/1.1\r\nhost: "));
	buf_put(b, c->up->authority);
	buf_put(b, S("\r\nuser-agent: "));
	buf_put(b, agent.n ? agent : S("claudecodex/" VERSION));
	/* Events are read as they come; nothing here unpacks. */
	buf_put(b, S("\r\naccept-encoding: identity\r\n"));
	if (c->nbody || !str_eq(method, S("GET"))) {
		buf_put(b, S("content-length: "));
		buf_u64(b, body_size(c));
		buf_put(b, S("\r\n"));
	}
}

/* ---- statuses ---- */

/* What the client gets for an upstream's status: its SDK retries 408, 409,
 * 429 and 500 up, so what is worth retrying must be one of these, and what
 * isn't must be none. */
static int status_out(int status)
{
	switch (status) {
	case 401:
	case 402:
	case 403:
	case 404:
	case 413:
	case 429:
	case 500:
	case 502:
	case 504:
	case 529:
		return status;
	case 408:
		return 504;
	case 409:
	case 425:
		return 503;
	case 424:
		return 500;	/* the model behind the service failed */
	case 503:
		return 529;
	}
	/* A redirect is a wrong base URL, seen from here. */
	return status >= 400 && status < 500 ? 400 : 502;
}

void fault_from_status(struct fault *f, int status, struct str upstream,
    struct str text)
{
	char digits[24];
	struct buf b = buf_on(digits, sizeof digits);

	buf_put(&b, S("status "));
	buf_int(&b, status);
	text = str_trim(text);
	FAULT(f, status_out(status), S("upstream "), upstream, S(": "),
	    text.n ? text : buf_str(&b));
	/* Another try meets the same key; without this Claude Code tries for
	 * three minutes. */
	if (f->status == 401)
		f->should_retry = 0;
}

void put_masked(struct buf *b, struct str text, struct str key)
{
	mask_secrets(b, text, &key, 1);
}

/* ---- Retry-After ---- */

int retry_after(const struct http_head *h, int64_t now)
{
	struct str v = str_trim(http_field(h, S("retry-after")));
	uint64_t n;
	int64_t at;
	int r = v.n ? str_u64(v, &n) : E_BAD;

	if (r == OK && n <= DELAY_MAX)
		return (int)n;
	if (r == OK || r == E_LIMIT)
		return DELAY_MAX;
	if (sigv4_http_date(v, &at) != OK)
		return -1;
	if (at <= now)
		return 0;
	return at - now > DELAY_MAX ? DELAY_MAX : (int)(at - now);
}

/* ---- rate limits ---- */

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "1m30s", "7.66s", "6ms": milliseconds, or E_BAD. */
static int duration(struct str s, int64_t *ms)
{
	static const struct {
		struct str name;
		int64_t ms;
	} units[] = {		/* "ms" before "m" */
		{ { "ms", 2 }, 1 }, { { "s", 1 }, 1000 },
		{ { "m", 1 }, 60000 }, { { "h", 1 }, 3600000 },
		{ { "d", 1 }, 86400000 }
	};
	int64_t whole, part, place;
	size_t i;

	if (s.n == 0 || s.n > DURATION_MAX)
		return E_BAD;
	for (*ms = 0; s.n; s = str_from(s, units[i].name.n)) {
		if (!is_digit(s.p[0]))
			return E_BAD;
		for (whole = 0; s.n && is_digit(s.p[0]); s = str_from(s, 1))
			whole = whole * 10 + s.p[0] - '0';
		part = 0;
		if (s.n > 1 && s.p[0] == '.' && is_digit(s.p[1])) {
			s = str_from(s, 1);
			for (place = MILLION / 10; s.n && is_digit(s.p[0]);
			    place /= 10, s = str_from(s, 1))
				part += (s.p[0] - '0') * place;
		}
		for (i = 0; i < COUNT(units); i++)
			if (str_starts(s, units[i].name))
				break;
		if (i == COUNT(units) || whole > RESET_MAX / units[i].ms)
			return E_BAD;
		*ms += whole * units[i].ms + part * units[i].ms / MILLION;
	}
	return *ms <= RESET_MAX ? OK : E_BAD;
}

void put_limits(struct buf *b, const struct http_head *h, int64_t now_ms)
{
	static const char *const of[] = { "requests", "tokens" };
	static const char *const what[] = { "limit", "remaining", "reset" };
	char name[48];
	struct buf from;
	struct str v;
	uint64_t n;
	int64_t ms;
	size_t i, k;

	for (i = 0; i < COUNT(of) * COUNT(what); i++) {
		k = i % COUNT(what);
		from = buf_on(name, sizeof name);
		buf_put(&from, S("x-ratelimit-"));
		buf_put(&from, str_of(what[k]));
		buf_chr(&from, '-');
		buf_put(&from, str_of(of[i / COUNT(what)]));
		v = str_trim(http_field(h, buf_str(&from)));
		if (k == 2 ? duration(v, &ms) != OK : str_u64(v, &n) != OK)
			continue;
		buf_put(b, S("anthropic-ratelimit-"));
		buf_put(b, str_of(of[i / COUNT(what)]));
		buf_chr(b, '-');
		buf_put(b, str_of(what[k]));
		buf_put(b, S(": "));
		if (k == 2)	/* whole seconds, never too early */
			buf_date(b, (now_ms + ms + 999) / 1000);
		else
			buf_u64(b, n);
		buf_put(b, S("\r\n"));
	}
}

/* ---- prompts that are too long ---- */

/* Part of a name: gpt-4, req_12, 2.5. */
static int is_name(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
	    c == '-' || is_digit(c);
}

/* The next number that stands for itself, thousands separated or not; moves
 * *at past it. 0: none. */
static uint64_t next_number(struct str s, size_t *at)
{
	uint64_t v;
	size_t from, i = *at, digits;

	while (i < s.n) {
		if (!is_digit(s.p[i])) {
			i++;
			continue;
		}
		from = i;
		for (v = 0, digits = 0; i < s.n; i++) {
			if (is_digit(s.p[i])) {
				v = digits++ < 18 ? v * 10 +
				    (uint64_t)(s.p[i] - '0') : v;
				continue;
			}
			/* 128,000 but not "8192, 12". */
			if (s.p[i] != ',' || s.n - i < 4 || !is_digit(s.p[i + 1])
			    || !is_digit(s.p[i + 2]) || !is_digit(s.p[i + 3]))
				break;
		}
		*at = i;
		if ((from == 0 || !is_name(s.p[from - 1])) && v > 0 &&
		    (i == s.n || !is_name(s.p[i])) &&
		    !(i + 1 < s.n && s.p[i] == '.' && is_digit(s.p[i + 1])))
			return v;
	}
	*at = s.n;
	return 0;
}

/* The number soon after the phrase. */
static uint64_t number_after(struct str text, struct str phrase)
{
	size_t at = str_ifind(text, phrase), from = at + phrase.n;
	uint64_t v;

	if (at == text.n)
		return 0;
	at = 0;
	text = str_head(str_from(text, from), NEAR);
	v = next_number(text, &at);
	return v;
}

static uint64_t find_limit(struct str text)
{
	/* The most telling first; a message may hold several. */
	static const char *const phrases[] = {
		" tokens > ", "maximum context length", "n_ctx",
		"maximum model length", "maximum number of tokens",
		"context length", "context size", "context window",
		"maximum length", "context limit", " maximum of ", " limit of "
	};
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < COUNT(phrases) && !v; i++)
		v = number_after(text, str_of(phrases[i]));
	return v;
}

int overflow_text(struct str text, uint64_t *tokens, uint64_t *limit)
{
	static const char *const phrases[] = {
		"prompt is too long", "context_length_exceeded",
		"exceed_context_size_error", "maximum context length",
		"maximum model length", "context length", "context size",
		"context window", "n_ctx", "n_keep",
		"exceeds the maximum number of tokens", "input token count",
		"input is too long for requested model",
		"input tokens exceeded",
		"number of input tokens exceeds", "too many input tokens",
		"exceeds the model's context", "longer than the model's context"
	};
	size_t i, at = 0;
	uint64_t v;

	*tokens = *limit = 0;
	/* The client reads its numbers and asks for less itself (BR-122). */
	if (str_ifind(text, S("exceed context limit")) < text.n)
		return 0;
	for (i = 0; i < COUNT(phrases); i++)
		if (str_ifind(text, str_of(phrases[i])) < text.n)
			break;
	if (i == COUNT(phrases))
		return 0;
	*limit = find_limit(text);
	/* What was too much is what is more. */
	while (*limit && (v = next_number(text, &at)) != 0)
		if (v > *limit) {
			*tokens = v;
			break;
		}
	return 1;
}

void fault_overflow(struct fault *f, uint64_t tokens, uint64_t limit)
{
	char text[64];
	struct buf b = buf_on(text, sizeof text);

	/* The client must see more than fits, whatever an estimate says. */
	if (limit == 0)
		limit = tokens > 1 && tokens <= WINDOW_USUAL ? tokens - 1 :
		    WINDOW_USUAL;
	if (tokens <= limit)
		tokens = limit + 1;
	buf_u64(&b, tokens);
	buf_put(&b, S(" tokens > "));
	buf_u64(&b, limit);
	FAULT(f, 400, S("prompt is too long: "), buf_str(&b), S(" maximum"));
}
