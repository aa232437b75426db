/* fault.c -- what went wrong, what was changed, and names for things.
 *
 * Faults are what a client reads; notes are what the owner reads. Both hold
 * text in bounded memory of their own or point to text that outlives them.
 * Ids come from a seed and a counter, so a test can repeat them and nobody
 * else can guess them.
 *
 * SPDX-License-Identifier: MIT */
#include "core.h"
#include "../wire/sha256.h"

enum { ID_CHARS = 24 };

const char *fault_type(int status)
{
	switch (status) {
	case 401:
		return "authentication_error";
	case 402:
		return "billing_error";
	case 403:
		return "permission_error";
	case 404:
		return "not_found_error";
	case 408:
	case 504:
		return "timeout_error";
	case 413:
		return "request_too_large";
	case 429:
		return "rate_limit_error";
	case 503:
	case 529:
		return "overloaded_error";
	}
	/* 431 and its kin are the client's doing, like 400. */
	return status < 500 ? "invalid_request_error" : "api_error";
}

void fault_set(struct fault *f, int status, const struct str *parts, size_t n)
{
	char text[FAULT_TEXT_MAX];
	struct buf b = buf_on(text, sizeof text), out;
	size_t i, room;

	/* A part may be a slice of f->text, so the new text grows elsewhere. */
	for (i = 0; i < n; i++) {
		room = b.cap - b.n;
		buf_put(&b, str_head(parts[i], room));
		if (parts[i].n > room)
			break;
	}
	/* Cut at a whole character; what is broken inside is replaced, which
	 * can make it longer, so whole pieces go in until one doesn't fit. */
	out = buf_on(f->text, sizeof f->text);
	for (i = 0; i < b.n && !out.full;) {
		struct str rest = { text + i, b.n - i };
		int k = utf8_len(rest);

		if (k < 0)
			break;
		buf_put(&out, k ? str_head(rest, (size_t)k) : S("\xef\xbf\xbd"));
		i += k ? (size_t)k : 1;
	}
	f->n = out.n;
	f->status = status;
	f->type = fault_type(status);
	f->retry_after = -1;
	f->should_retry = -1;
	f->code = NULL;
}

struct str fault_text(const struct fault *f)
{
	return (struct str){ f->text, f->n };
}

void fault_write(struct buf *b, const struct fault *f, struct str request_id)
{
	buf_put(b, S("{\"type\":\"error\",\"error\":{\"type\":"));
	json_quote(b, str_of(f->type));
	buf_put(b, S(",\"message\":"));
	json_quote(b, fault_text(f));
	if (f->code) {
		buf_put(b, S(",\"details\":{\"error_code\":"));
		json_quote(b, str_of(f->code));
		buf_chr(b, '}');
	}
	buf_put(b, S("},\"request_id\":"));
	json_quote(b, request_id);
	buf_chr(b, '}');
}

void note(struct notes *ns, enum note_kind kind, struct str field,
    struct str why)
{
	struct note *v = ns->v;
	size_t i;

	for (i = 0; i < ns->n; i++)
		if (v[i].kind == kind && str_eq(v[i].field, field)) {
			v[i].count++;
			return;
		}
	if (ns->n == NOTES_MAX) {
		ns->lost++;
		return;
	}
	v[ns->n++] = (struct note){ kind, field, why, 1 };
}

const char *note_kind_name(enum note_kind kind)
{
	switch (kind) {
	case NOTE_DROPPED:
		return "dropped";
	case NOTE_RENAMED:
		return "renamed";
	case NOTE_CLAMPED:
		return "clamped";
	case NOTE_MERGED:
		return "merged";
	case NOTE_CHANGED:
		return "changed";
	case NOTE_ADDED:
		return "added";
	}
	return "changed";
}

struct str id_new(struct ids *ids, struct str prefix, char out[ID_MAX])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz";
	unsigned char in[sizeof ids->seed + 9], hash[SHA256_SIZE];
	struct buf b = buf_on(out, ID_MAX);
	unsigned char block = 0;
	size_t i, left = ID_CHARS;

	memcpy(in, ids->seed, sizeof ids->seed);
	for (i = 0; i < 8; i++)
		in[sizeof ids->seed + i] = (unsigned char)(ids->n >> (8 * i));
	ids->n++;
	buf_put(&b, str_head(prefix, ID_MAX - ID_CHARS - 1));
	while (left) {
		in[sizeof in - 1] = block++;
		sha256(hash, (struct str){ (const char *)in, sizeof in });
		for (i = 0; i < SHA256_SIZE && left; i++) {
			/* 248 is four times 62: no digit is likelier than
			 * another. */
			if (hash[i] >= 248)
				continue;
			buf_chr(&b, digits[hash[i] % 62]);
			left--;
		}
	}
	return buf_str(&b);
}
