/* mask.c -- keys out of texts that people will read.
 *
 * By value, where the value is known; by shape, where it isn't: an upstream's
 * error may quote a key that only it knows.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"

enum {
	KEY_MIN = 12,		/* shorter than any key: "sk-" in prose stays */
	SECRET_MIN = 6		/* a placeholder such as "none" is no secret, and
				 * masking it would eat ordinary words */
};

static int is_key_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
	    c == '/' || c == '+' || c == '=' || c == '~';
}

static size_t key_run(struct str s)
{
	size_t n = 0;

	while (n < s.n && is_key_byte(s.p[n]))
		n++;
	return n;
}

/* Length of a prefix that announces a key, 0 if there is none. */
static size_t announces(struct str s)
{
	static const char *const shapes[] = {
		"sk-", "sk_", "pk-", "AIza", "AKIA", "ASIA", "ghp_", "gho_",
		"github_pat_", "xoxb-", "xoxp-", "hf_", "gsk_", "nvapi-",
		"r8_", "eyJ", "ABSK"
	};
	static const char *const words[] = { "bearer ", "basic " };
	size_t i;

	/* Asked at every word of every text: the first byte decides most. */
	for (i = 0; i < COUNT(shapes); i++)
		if (*s.p == *shapes[i] && str_starts(s, str_of(shapes[i])))
			return strlen(shapes[i]);
	for (i = 0; i < COUNT(words); i++)
		if ((*s.p | 0x20) == *words[i] &&
		    str_istarts(s, str_of(words[i])))
			return strlen(words[i]);
	return 0;
}

static size_t known(struct str s, const struct str *secrets, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (secrets[i].n >= SECRET_MIN && *s.p == *secrets[i].p &&
		    str_starts(s, secrets[i]))
			return secrets[i].n;
	return 0;
}

void mask_secrets(struct buf *b, struct str text, const struct str *secrets,
    size_t n)
{
	size_t hit, word = 0, from = 0, at;

	for (at = 0; at < text.n;) {
		struct str rest = str_from(text, at);

		hit = known(rest, secrets, n);
		/* A shape counts only where a word begins. */
		if (!hit && (at == 0 || !is_key_byte(text.p[at - 1]) ||
		    text.p[at - 1] == '=' || text.p[at - 1] == '/')) {
			word = announces(rest);
			if (word && rest.p[word - 1] == ' ') {
				hit = key_run(str_from(rest, word));
				at += hit >= KEY_MIN ? word : 0;
				hit = hit >= KEY_MIN ? hit : 0;
			} else if (word && key_run(rest) >= KEY_MIN + word) {
				hit = key_run(rest);
			}
		}
		if (!hit) {
			at++;
			continue;
		}
		buf_put(b, str_head(str_from(text, from), at - from));
		buf_put(b, S("***"));
		at += hit;
		from = at;
	}
	buf_put(b, str_from(text, from));
}
