/* aws_profile.c -- which model an application inference profile stands for.
 *
 * Its ARN doesn't say (BR-2): GetInferenceProfile of Bedrock's control plane
 * does, to whoever has bedrock:GetInferenceProfile. One try, soon given up:
 * many networks reach the runtime alone, and a request is waiting.
 *
 * SPDX-License-Identifier: MIT */
#include "aws.h"
#include "../wire/json.h"
#include "../wire/sigv4.h"

enum {
	PROFILE_MS = 4000,
	MODEL_MAX = 160		/* "anthropic.claude-..."; real ones have 50 */
};

/* arn:aws:bedrock:REGION:... */
static struct str region_of(struct str arn)
{
	struct str part = S("");
	int i;

	for (i = 0; i < 4; i++)
		str_cut(&arn, ':', &part);
	return part;
}

static int sign(struct lookup *l, const struct fetch_url *u, struct str region,
    const struct credentials *keys, struct buf *fields)
{
	struct sigv4_pair host = { S("host"), u->authority };
	struct sigv4 s = {
		.id = keys->id, .secret = keys->secret, .token = keys->token,
		.region = region, .service = S("bedrock"), .now = l->now,
		.method = S("GET"), .path = u->path, .fields = &host,
		.nfields = 1
	};

	buf_put(fields, S("accept: application/json\r\n"));
	if (keys->bearer.n) {
		buf_put(fields, S("authorization: Bearer "));
		buf_put(fields, keys->bearer);
		buf_put(fields, S("\r\n"));
		return OK;
	}
	sigv4_payload(s.payload, NULL, 0);
	return sigv4_sign(&s, fields);
}

static struct str url_of(struct lookup *l, struct str profile,
    const struct credentials *c, struct str region, struct str arn)
{
	struct buf b = buf_open(l->a);
	const char *from;
	struct str base = aws_endpoint(l, profile, "AWS_ENDPOINT_URL_BEDROCK",
	    "bedrock", &from);

	if (base.n) {
		buf_put(&b, base);
	} else {
		buf_put(&b, S("https://bedrock"));
		buf_put(&b, c->fips ? S("-fips.") : S("."));
		buf_put(&b, region);
		buf_chr(&b, '.');
		buf_put(&b, aws_suffix(region));
	}
	buf_put(&b, S("/inference-profiles/"));
	sigv4_encode(&b, arn);
	return b.full ? S("") : buf_end(l->a, &b);
}

/* models[0].modelArn: arn:...:foundation-model/NAME; all are one model, in
 * several regions. */
static int read_model(struct lookup *l, const struct fetch_answer *answer,
    struct str *model)
{
	struct json *doc = arena_get(l->a, sizeof *doc);
	char number[12];
	struct buf status = buf_on(number, sizeof number);
	struct str arn = S("");
	struct jv v;

	if (!doc)
		return E_FULL;
	buf_int(&status, answer->head.status);
	if (answer->head.status != 200)
		return FAULT(l, S("status "), buf_str(&status),
		    answer->head.status == 403 ?
		    S(" (bedrock:GetInferenceProfile is not granted)") : S(""));
	if (json_parse(doc, answer->body, l->a, NULL) == OK) {
		v = json_at(json_get(json_root(doc), S("models")), 0);
		arn = json_text(l->a, json_str(json_get(v, S("modelArn"))));
	}
	*model = str_from(arn, str_chr(arn, '/') + 1);
	if (!model->n || model->n > MODEL_MAX)
		return FAULT(l, S("the answer names no model"));
	return OK;
}

int aws_profile_model(struct lookup *l, struct str profile,
    const struct credentials *c, struct str arn, struct str *model)
{
	struct fetch_answer *answer = arena_get(l->a, sizeof *answer);
	struct str region = region_of(arn);
	struct fetch f = { .method = S("GET") };
	char fields[16384];
	struct buf b = buf_on(fields, sizeof fields);
	struct fetch_url u;
	int r;

	if (!aws_region_ok(region))
		return FAULT(l, S("the ARN names no region"));
	f.url = url_of(l, profile, c, region, arn);
	if (!answer || !f.url.n)
		return E_FULL;
	if (fetch_url(&u, f.url) != OK)
		return FAULT(l, S("not a URL: "), f.url);
	if (sign(l, &u, region, c, &b) != OK)
		return FAULT(l, S("the credentials can't sign a request"));
	f.fields = buf_str(&b);
	r = aws_fetch(l, &f, PROFILE_MS, 1, NULL, answer);
	return r == OK ? read_model(l, answer, model) : r;
}
