/* account.c -- whose keys sign, and where a call goes.
 *
 * The helper is played by the test: it says what it likes.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/credentials.c net/aws_profile.c net/aws.c net/aws_sts.c net/aws_sso.c net/aws_process.c net/shell.c net/keeper.c net/aws_metadata.c net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include "../../src/proxy/account.c"
#include "t.h"

enum { CLIENTS = 12, MEMORY = 1 << 18 };

static struct proxy p;
static struct config config;
static struct monitor monitor;
static struct client clients[CLIENTS];
static struct conn conns[CLIENTS];
static struct bedrock_facts facts;
static _Alignas(16) char memory[MEMORY];
static struct call call;

static int helper_says;		/* OK, E_MORE, E_FAULT */
static int model_says = E_FAULT;	/* the same, of HELPER_MODEL */
static const char *model_text = "";
static char helper_text[2048], asked[300], told[4096];
static int forgotten, nasked, models_asked;

int helper_ask(struct helper *h, enum helper_kind kind, struct str ask,
    int64_t now, struct str *answer)
{
	(void)h;
	(void)now;
	nasked++;
	if (kind == HELPER_MODEL) {
		models_asked++;
		snprintf(asked, sizeof asked, "%.*s", (int)ask.n, ask.p);
		*answer = str_of(model_text);
		return model_says;
	}
	T_INT(kind, HELPER_CREDENTIALS, "else asks for credentials");
	snprintf(asked, sizeof asked, "%.*s", (int)ask.n, ask.p);
	*answer = str_of(helper_text);
	return helper_says;
}

void helper_forget(struct helper *h, enum helper_kind kind, struct str ask)
{
	(void)h;
	(void)kind;
	(void)ask;
	forgotten++;
}

void monitor_say(struct monitor *m, const char *level, struct str text)
{
	size_t n = strlen(told);

	(void)m;
	snprintf(told + n, sizeof told - n, "%s: %.*s\n", level, (int)text.n,
	    text.p);
}

static int closed;

void conn_close(struct conn *c)
{
	c->state = CONN_FREE;
	closed++;
}

static void set_up(void)
{
	memset(&p, 0, sizeof p);
	memset(&config, 0, sizeof config);
	memset(&facts, 0, sizeof facts);
	memset(clients, 0, sizeof clients);
	memset(conns, 0, sizeof conns);
	told[0] = '\0';
	p.config = &config;
	p.monitor = &monitor;
	p.clients = clients;
	p.conns = conns;
	p.n = CLIENTS;
	config.nupstreams = 1;
	config.upstreams[0].backend = &backend_bedrock;
	config.upstreams[0].name = S("bedrock");
	config.upstreams[0].facts = &facts;
	account_init(&p);
}

static void helper(int r, const char *text)
{
	helper_says = r;
	snprintf(helper_text, sizeof helper_text, "%s", text);
}

static int ready(const char *model)
{
	static struct arena a;

	a = (struct arena){ memory, memory + sizeof memory };
	memset(&call, 0, sizeof call);
	call.up = p.account.up;
	call.model = str_of(model);
	call.a = &a;
	return account_ready(&p, &call);
}

static int fault_has(const char *text)
{
	return str_find(fault_text(&call.fault), str_of(text)) <
	    fault_text(&call.fault).n;
}

#define KEYS "id AKIA0123\nsecret hush\n"
#define EAST "region us-east-1\nregion_source default\n"

static void places(void)
{
	const struct upstream *east;

	set_up();
	helper(E_MORE, "");
	T_INT(ready("m"), E_MORE, "AW-43 waits for the look-up");
	T(strcmp(asked, "]") == 0, "no profile is named");
	helper(OK, KEYS EAST "source profile dev (role r)\nexpires 0\n");
	T_INT(ready("m"), OK, "then is ready");
	T_STR(call.aws->id, S("AKIA0123"), "with the keys");
	T_STR(call.aws->profile, S("dev"), "and the profile's own name");
	T_STR(call.up->host, S("bedrock-runtime.us-east-1.amazonaws.com"),
	    "AW-112 the region's host");
	T(call.up->tls && call.up->port == 443 && call.up->facts == &facts,
	    "one service, one memory");
	east = call.up;
	T(ready("m") == OK && call.up == east, "the same upstream again");
	T(ready("arn:aws:bedrock:eu-west-1:1:inference-profile/x") == OK &&
	    call.up != east, "AW-100 an ARN's region");
	T_STR(call.up->host, S("bedrock-runtime.eu-west-1.amazonaws.com"),
	    "is where it goes");
	T_STR(call.aws->region, S("eu-west-1"), "and what it signs for");
	helper(OK, KEYS "region us-east-1\nregion_source AWS_REGION\n");
	ready("arn:aws:bedrock:eu-west-1:1:inference-profile/x");
	T_STR(call.aws->region, S("us-east-1"), "AW-100 unless told");
	helper(OK, KEYS "region us-gov-west-1\nregion_source x\nfips 1\n");
	ready("m");
	T_STR(call.up->host, S("bedrock-runtime-fips.us-gov-west-1."
	    "amazonaws.com"), "AW-112 FIPS");
}

static void endpoints(void)
{
	char text[512];
	int i;

	set_up();
	helper(OK, KEYS EAST "endpoint http://[::1]:8080/a/b/\n"
	    "endpoint_source AWS_ENDPOINT_URL\n");
	T_INT(ready("m"), OK, "AW-110 an endpoint of one's own");
	T_STR(call.up->host, S("::1"), "its host");
	T_STR(call.up->authority, S("[::1]:8080"), "AW-7 host and port");
	T_STR(call.up->base, S("/a/b"), "AW-111 its path, no slash behind");
	T(!call.up->tls && call.up->port == 8080, "plain, that port");
	helper(OK, KEYS EAST "endpoint http://x/\nfips 1\n"
	    "endpoint_source AWS_ENDPOINT_URL\n");
	T(ready("m") == E_FAULT && fault_has("AWS_USE_FIPS_ENDPOINT") &&
	    fault_has("AWS_ENDPOINT_URL"), "AW-111 not both");
	T_INT(call.fault.should_retry, 0, "no use in trying again");
	helper(OK, KEYS EAST "endpoint ftp://x/\n");
	T(ready("m") == E_FAULT && fault_has("ftp://x/"), "no URL");
	for (i = 0; i < ENDPOINTS_MAX + 3; i++) {
		snprintf(text, sizeof text, KEYS "region us-test-%d\n", i);
		helper(OK, text);
		T_INT(ready("m"), OK, "region %d: unused ones make room", i);
	}
	for (i = 0; i <= ENDPOINTS_MAX; i++) {
		snprintf(text, sizeof text, KEYS "region eu-test-%d\n", i);
		helper(OK, text);
		if (ready("m") != OK)
			break;
		clients[i].x.stage = X_BODY;
		clients[i].x.call.up = call.up;
	}
	T(i == ENDPOINTS_MAX && call.fault.status == 529,
	    "but not those in use");
	clients[2].x.stage = X_NONE;
	conns[5].state = CONN_DRAIN;
	conns[5].up = clients[2].x.call.up;
	T(ready("m") == E_FAULT, "nor those that a connection is busy with");
	conns[5].state = CONN_IDLE;
	conns[6] = conns[5];
	conns[6].up = clients[3].x.call.up;
	T(ready("m") == OK && call.up == clients[2].x.call.up && closed == 1 &&
	    conns[6].state == CONN_IDLE,
	    "idle connections make room, closed first");
	set_up();
	config.upstreams[0].host = S("vpce.test");
	helper(OK, KEYS EAST "endpoint http://x/\n");
	T(ready("m") == OK && call.up == &config.upstreams[0],
	    "AW-110 our own setting first");
}

static void keeping(void)
{
	char text[256];
	int64_t now = loop_wall() / 1000;

	set_up();
	snprintf(text, sizeof text, KEYS EAST "expires %lld\n",
	    (long long)now + 300);
	helper(OK, text);
	T_INT(ready("m"), OK, "good for five minutes");
	helper(E_MORE, "");
	T_INT(ready("m"), OK, "AW-90 goes on while they are renewed");
	helper(E_FAULT, "STS is down");
	T_INT(ready("m"), OK, "AW-85 and when that fails");
	nasked = 0;
	p.now += REST - 1;
	T(ready("m") == OK && nasked == 0, "AW-90 not asked at every request");
	p.now++;
	T(ready("m") == OK && nasked == 1, "AW-90 but again after 30 s");
	account_renew(&p);
	T(forgotten == 1 && ready("m") == E_FAULT && fault_has("STS is down"),
	    "AW-91 refused ones are gone");
	T(call.fault.status == 401 && call.fault.should_retry == 0,
	    "a person must act");
	snprintf(text, sizeof text, KEYS EAST "expires %lld\n",
	    (long long)now + 30);
	helper(OK, text);
	T_INT(ready("m"), OK, "what was just found is used");
	helper(E_MORE, "");
	T_INT(ready("m"), E_MORE, "AW-90 less than a minute is too little");
	facts.clock_offset = -3600;
	T_INT(ready("m"), OK, "AW-10 by the service's clock");
	helper(OK, "nonsense\n");
	facts.clock_offset = 0;
	T_INT(ready("m"), E_FAULT, "an answer that is none");
}

static void told_once(void)
{
	char text[256];
	struct buf b = buf_on(text, sizeof text);

	set_up();
	helper(E_MORE, "");
	account_tend(&p);
	T(told[0] == '\0', "nothing to say yet");
	helper(OK, KEYS EAST "source profile dev\nwarning mind this\n");
	account_tend(&p);
	T(strstr(told, "note: AWS: profile dev, key ...0123, region us-east-1 "
	    "(default)"), "whose keys, where");
	T(strstr(told, "warning: mind this"), "a warning");
	T(!strstr(told, "hush") && !strstr(told, "AKIA"), "AW-93 no secret");
	told[0] = '\0';
	account_tend(&p);
	T(told[0] == '\0', "once");
	account_describe(&p.account, &b);
	T(str_find(buf_str(&b), S("hush")) == b.n, "AW-93 nor here");
	set_up();
	config.nupstreams = 0;
	nasked = 0;
	account_init(&p);
	account_tend(&p);
	T_INT(nasked, 0, "no AWS service, no look-up");
}

#define HIDES "arn:aws:bedrock:us-east-1:1:application-inference-profile/"

static void models(void)
{
	char name[sizeof HIDES + 16];
	int i;

	set_up();
	helper(OK, KEYS EAST "source x\nexpires 0\n");
	T_INT(ready("anthropic.claude-opus-4-5"), OK, "BR-2 a plain name");
	T_INT(models_asked, 0, "BR-2 isn't asked about");
	model_says = E_MORE;
	T_INT(ready(HIDES "a"), E_MORE, "BR-2 waits for the model's name");
	T(strcmp(asked, HIDES "a ]") == 0, "BR-2 of that ARN: %s", asked);
	model_says = OK;
	model_text = "anthropic.claude-x";
	T_INT(ready(HIDES "a[1m]"), OK, "BR-2 then goes on");
	T_STR(call.aws->model, S("anthropic.claude-x"), "BR-2 knowing it");
	i = models_asked;
	T_INT(ready(HIDES "a"), OK, "BR-2 a second time");
	T_INT(models_asked, i, "BR-2 isn't asked again");
	model_says = E_FAULT;
	model_text = "status 403";
	T_INT(ready(HIDES "b"), OK, "BR-2 not told: goes by Converse");
	T_INT(call.aws->model.n, 0, "BR-2 not knowing");
	T(strstr(told, "status 403") && strstr(told, "BEDROCK_API=invoke"),
	    "BR-2 and the owner hears why: %s", told);
	i = models_asked;
	ready(HIDES "b");
	T_INT(models_asked, i, "BR-2 nor asked for a while");
	p.now += HIDDEN_REST;
	ready(HIDES "b");
	T_INT(models_asked, i + 1, "BR-2 but then");
	for (i = 0; i < 3 * HIDDEN_MAX; i++) {
		snprintf(name, sizeof name, "%s%d", HIDES, i);
		ready(name);
	}
	i = models_asked;
	model_says = OK;
	model_text = "anthropic.claude-x";
	ready(HIDES "a");
	T_INT(models_asked, i + 1, "BR-2 the oldest was forgotten");
	T_STR(call.aws->model, S("anthropic.claude-x"), "BR-2 and is back");
	config.upstreams[0].host = S("gateway");
	ready(HIDES "c");
	T_INT(models_asked, i + 1, "BR-2 nobody is asked past a gateway");
}

int main(void)
{
	models();
	places();
	endpoints();
	keeping();
	told_once();
	return t_done("account");
}
