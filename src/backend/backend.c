/* backend.c -- the table of backends, and what they share.
 *
 * What services have in common when they are asked (a request head) and when
 * they refuse (a status, a delay, the words for a prompt that is too long).
 * What only one of them does is in its own file.
 *
 * SPDX-License-Identifier: MIT */
#include "backend.h"

enum {
	DELAY_MAX = 86400,	/* seconds; a longer Retry-After is a mistake */
	WINDOW_USUAL = 200000,	/* what a client assumes when nobody says */
	NEAR = 48		/* bytes between a phrase and its number */
};

static const struct backend *const backends[] = {
	&backend_openai, &backend_anthropic, &backend_demo
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

static int two_digits(const char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + p[1] - '0';
}

/* Days since 1970-01-01; years begin in March, so leap days come last. */
static int64_t days(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day -
	    1 - 719468;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", the one form a sender may use (RFC 9110
 * 5.6.7). -1 for anything else. */
static int64_t http_date(struct str s)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int day, year, century, h, m, sec;
	size_t month;

	if (s.n != 29 || s.p[3] != ',' || s.p[4] != ' ' || s.p[7] != ' ' ||
	    s.p[11] != ' ' || s.p[16] != ' ' || s.p[19] != ':' ||
	    s.p[22] != ':' || !str_ends(s, S(" GMT")))
		return -1;
	for (month = 0; month < 12; month++)
		if (memcmp(months + 3 * month, s.p + 8, 3) == 0)
			break;
	day = two_digits(s.p + 5);
	century = two_digits(s.p + 12);
	year = two_digits(s.p + 14);
	h = two_digits(s.p + 17);
	m = two_digits(s.p + 20);
	sec = two_digits(s.p + 23);
	if (month == 12 || day < 1 || day > 31 || century < 19 || year < 0 ||
	    h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60)
		return -1;
	return days(century * 100 + year, (int)month + 1, day) * 86400 +
	    h * 3600 + m * 60 + sec;
}

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
	at = v.n ? http_date(v) : -1;
	if (at < 0)
		return -1;
	if (at <= now)
		return 0;
	return at - now > DELAY_MAX ? DELAY_MAX : (int)(at - now);
}

/* ---- prompts that are too long ---- */

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

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
