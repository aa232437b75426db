/* tls.c -- net/tls against a server in the same program: good, cut, damaged,
 * and talking nonsense; bundles of roots, whole and broken.
 *
 * Certificates of every other kind are tests/interop/tls-zoo.sh's, which
 * needs openssl; this needs only what the program itself is built of.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/sock.c net/loop.c */
#include "t.h"

#include "../../src/net/loop.h"

static int no_random;

static int random_or_not(void *p, size_t n)
{
	return no_random ? E_FAULT : loop_random(p, n);
}
#define loop_random random_or_not

#include "../../src/net/tls_address.c"
#include "../../src/net/tls_roots.c"
#include "../../src/net/tls_text.c"
#include "../../src/net/tls.c"

enum { WHEN = 1900000000, ROUNDS = 100000, SERVER_KEEPS = 8192 };	/* 2030 */

static const char root_pem[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBXTCCAQSgAwIBAgIUU073d915TG7YtNvsRCeXUbBKyE0wCgYIKoZIzj0EAwIw\n"
	"FDESMBAGA1UEAwwJVGVzdCBSb290MCAXDTI0MDEwMTAwMDAwMFoYDzIwOTkxMjMx\n"
	"MDAwMDAwWjAUMRIwEAYDVQQDDAlUZXN0IFJvb3QwWTATBgcqhkjOPQIBBggqhkjO\n"
	"PQMBBwNCAATJfBG5ZN+PFToz4BqPE5yEo+kvfbTKBrUy/ZDMA++t2nodVhUFhOdi\n"
	"5dnk8F3kpR8svpPfd9qz/AftnDEIAH94ozIwMDAPBgNVHRMBAf8EBTADAQH/MB0G\n"
	"A1UdDgQWBBTI1KrSerJ5dUffhmxWFwP2PqAKXDAKBggqhkjOPQQDAgNHADBEAiB9\n"
	"/NrGVDlSmxJ+sJwLy2dp2ydA2D4fXo4ceWSiaMfAVQIgIlpYPOWucrPnpyz44/Uy\n"
	"9ALAey7hNKvSGe3W2cTUgzw=\n"
	"-----END CERTIFICATE-----\n";

/* Its key is for nothing but this test. */
static unsigned char leaf_der[] = {
	0x30, 0x82, 0x01, 0xb3, 0x30, 0x82, 0x01, 0x5a, 0xa0, 0x03, 0x02, 0x01,
	0x02, 0x02, 0x14, 0x26, 0x35, 0xae, 0xcc, 0x97, 0xa3, 0x5c, 0x05, 0x45,
	0xe0, 0xdd, 0xde, 0x2c, 0x84, 0xfb, 0x37, 0x8b, 0xa8, 0x36, 0xdf, 0x30,
	0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x30,
	0x14, 0x31, 0x12, 0x30, 0x10, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x09,
	0x54, 0x65, 0x73, 0x74, 0x20, 0x52, 0x6f, 0x6f, 0x74, 0x30, 0x20, 0x17,
	0x0d, 0x32, 0x34, 0x30, 0x31, 0x30, 0x31, 0x30, 0x30, 0x30, 0x30, 0x30,
	0x30, 0x5a, 0x18, 0x0f, 0x32, 0x30, 0x39, 0x39, 0x31, 0x32, 0x33, 0x31,
	0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x5a, 0x30, 0x13, 0x31, 0x11, 0x30,
	0x0f, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x08, 0x7a, 0x6f, 0x6f, 0x2e,
	0x74, 0x65, 0x73, 0x74, 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86,
	0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
	0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04, 0x86, 0x6c, 0x06, 0x67, 0x4e,
	0x9f, 0x3a, 0x91, 0xd5, 0x3a, 0xf3, 0x44, 0x08, 0xec, 0x41, 0xa3, 0xf9,
	0xa0, 0xcd, 0xc4, 0x43, 0xb3, 0xed, 0xb3, 0xb8, 0x84, 0x4e, 0x1f, 0xb0,
	0x19, 0x98, 0x34, 0xb0, 0xbe, 0x9b, 0x0c, 0x24, 0x14, 0x71, 0xdb, 0x10,
	0xa3, 0x8c, 0x78, 0x0f, 0x4a, 0x2a, 0xe0, 0x13, 0xfe, 0x6b, 0x3a, 0x00,
	0x29, 0x25, 0x7d, 0x6a, 0x6d, 0xba, 0x8e, 0x89, 0x18, 0xb4, 0xf5, 0xa3,
	0x81, 0x88, 0x30, 0x81, 0x85, 0x30, 0x09, 0x06, 0x03, 0x55, 0x1d, 0x13,
	0x04, 0x02, 0x30, 0x00, 0x30, 0x38, 0x06, 0x03, 0x55, 0x1d, 0x11, 0x04,
	0x31, 0x30, 0x2f, 0x82, 0x08, 0x7a, 0x6f, 0x6f, 0x2e, 0x74, 0x65, 0x73,
	0x74, 0x82, 0x0b, 0x2a, 0x2e, 0x77, 0x69, 0x6c, 0x64, 0x2e, 0x74, 0x65,
	0x73, 0x74, 0x87, 0x04, 0x7f, 0x00, 0x00, 0x01, 0x87, 0x10, 0x20, 0x01,
	0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	0x00, 0x01, 0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04, 0x16, 0x04,
	0x14, 0x22, 0x8f, 0xc7, 0x4d, 0x76, 0x09, 0x1a, 0x68, 0xe2, 0x09, 0x75,
	0x2c, 0xfa, 0x5b, 0xae, 0x15, 0x1c, 0x13, 0x20, 0xb5, 0x30, 0x1f, 0x06,
	0x03, 0x55, 0x1d, 0x23, 0x04, 0x18, 0x30, 0x16, 0x80, 0x14, 0xc8, 0xd4,
	0xaa, 0xd2, 0x7a, 0xb2, 0x79, 0x75, 0x47, 0xdf, 0x86, 0x6c, 0x56, 0x17,
	0x03, 0xf6, 0x3e, 0xa0, 0x0a, 0x5c, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
	0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x03, 0x47, 0x00, 0x30, 0x44, 0x02,
	0x20, 0x58, 0x84, 0xb4, 0x22, 0x4b, 0xd9, 0x03, 0xad, 0x75, 0x3d, 0xa4,
	0x92, 0x1a, 0x17, 0xcb, 0x83, 0x6d, 0xdf, 0xd1, 0x89, 0x48, 0x8a, 0xbf,
	0xc2, 0x5a, 0x25, 0xfb, 0x99, 0x87, 0x7a, 0x72, 0xab, 0x02, 0x20, 0x6b,
	0xda, 0x78, 0x49, 0x94, 0x0d, 0xf3, 0x40, 0xca, 0xea, 0x29, 0x1e, 0x8b,
	0x2d, 0xc3, 0x54, 0xd2, 0x1c, 0xdd, 0x5d, 0x16, 0xe2, 0xcf, 0x71, 0x2d,
	0xb8, 0x89, 0x57, 0x8d, 0x4c, 0xbe, 0x25
};

static unsigned char leaf_key[32] = {
	0x62, 0xc3, 0xae, 0xd7, 0x37, 0x69, 0x8e, 0x93, 0xa6, 0xf4, 0x5b, 0xac,
	0x04, 0x90, 0xd1, 0xca, 0xf7, 0xf8, 0xc2, 0x3a, 0x1f, 0xef, 0xf6, 0x45,
	0xb8, 0x35, 0x63, 0x2c, 0x7b, 0x16, 0x94, 0x69
};

/* ---- a server ---- */

static struct server {
	br_ssl_server_context ctx;
	br_ssl_session_cache_lru cache;
	int fd;
	int finish;		/* says goodbye when all is sent */
	size_t want;		/* bytes to have before it answers */
	size_t n;		/* bytes it has */
	unsigned sum;		/* of them */
	struct str answer;
	size_t sent, cut, flip;	/* record bytes sent; where to stop or err */
	unsigned char store[SERVER_KEEPS];
	unsigned char io[BR_SSL_BUFSIZE_BIDI];
} server;

static struct tls t;
static struct tls_shared shared;
static char memory[TLS_TRUST_MEMORY];
static char big[100000];
static struct str answer;
static int client_fd;
static int patience = 40;	/* steps without visible progress */

static unsigned sum_of(struct str s, unsigned sum)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		sum = sum * 31 + (unsigned char)s.p[i];
	return sum;
}

static void server_open(int keep_sessions)
{
	static br_ec_private_key key = { BR_EC_secp256r1, leaf_key,
	    sizeof leaf_key };
	static br_x509_certificate chain[1] = {
		{ leaf_der, sizeof leaf_der } };
	enum sock_reason why;
	int fd[2];

	T_INT(sock_pair(fd, &why), OK, "a pair");
	client_fd = fd[0];
	server.fd = fd[1];
	(void)fcntl(fd[1], F_SETFL, fcntl(fd[1], F_GETFL) | O_NONBLOCK);
	br_ssl_server_init_full_ec(&server.ctx, chain, 1, BR_KEYTYPE_EC, &key);
	br_ssl_engine_set_buffer(&server.ctx.eng, server.io,
	    sizeof server.io, 1);
	if (keep_sessions)
		br_ssl_server_set_cache(&server.ctx, &server.cache.vtable);
	server.finish = 0;
	server.want = 1;
	server.n = server.sent = 0;
	server.sum = 0;
	server.cut = server.flip = SIZE_MAX;
	server.answer = answer;
}

static void server_ready(void)
{
	T(br_ssl_server_reset(&server.ctx), "the server is ready");
}

static void both_close(void)
{
	tls_wipe(&t);
	sock_close(client_fd);
	sock_close(server.fd);
	client_fd = server.fd = -1;
}

static int server_sends(br_ssl_engine_context *eng)
{
	enum sock_reason why;
	unsigned char damaged;
	struct str s;
	long n;

	s.p = (const char *)br_ssl_engine_sendrec_buf(eng, &s.n);
	if (server.sent >= server.cut) {
		sock_close(server.fd);
		server.fd = -1;
		return 0;
	}
	s = str_head(s, server.cut - server.sent);
	if (server.sent < server.flip)
		s = str_head(s, server.flip - server.sent);
	if (server.sent == server.flip) {
		damaged = (unsigned char)(s.p[0] ^ 0x10);
		s = (struct str){ (const char *)&damaged, 1 };
	}
	n = sock_write(server.fd, s, &why);
	if (n <= 0)
		return 0;
	server.sent += (size_t)n;
	br_ssl_engine_sendrec_ack(eng, (size_t)n);
	return 1;
}

static int server_receives(br_ssl_engine_context *eng)
{
	enum sock_reason why;
	size_t room;
	char *p = (char *)br_ssl_engine_recvrec_buf(eng, &room);
	long n = sock_read(server.fd, p, room, &why);

	if (n > 0)
		br_ssl_engine_recvrec_ack(eng, (size_t)n);
	return n > 0;
}

static int server_answers(br_ssl_engine_context *eng)
{
	size_t room;
	unsigned char *p = br_ssl_engine_sendapp_buf(eng, &room);
	struct str s = str_head(server.answer, room);

	memcpy(p, s.p, s.n);
	br_ssl_engine_sendapp_ack(eng, s.n);
	br_ssl_engine_flush(eng, 0);
	server.answer = str_from(server.answer, s.n);
	if (server.answer.n == 0 && server.finish)
		br_ssl_engine_close(eng);
	return 1;
}

/* One step of the server: 1 when something moved. */
static int server_step(void)
{
	br_ssl_engine_context *eng = &server.ctx.eng;
	unsigned st = br_ssl_engine_current_state(eng);
	struct str s;

	if (server.fd < 0 || st == BR_SSL_CLOSED)
		return 0;
	if ((st & BR_SSL_SENDREC) && server_sends(eng))
		return 1;
	if (server.fd < 0)
		return 0;
	if (st & BR_SSL_RECVAPP) {
		s.p = (const char *)br_ssl_engine_recvapp_buf(eng, &s.n);
		server.n += s.n;
		server.sum = sum_of(s, server.sum);
		br_ssl_engine_recvapp_ack(eng, s.n);
		return 1;
	}
	if ((st & BR_SSL_SENDAPP) && server.n >= server.want &&
	    server.answer.n)
		return server_answers(eng);
	return (st & BR_SSL_RECVREC) && server_receives(eng);
}

/* ---- a client, and both until nothing moves ---- */

static struct {
	struct str to_send;
	size_t got;
	unsigned sum;
	int lazy;		/* leaves plaintext untaken */
} mine;

static int client_step(void)
{
	enum tls_state before = tls_state(&t);
	size_t n = mine.got;
	struct str s = tls_recv(&t);
	size_t put;
	int moved = 0;

	if (s.n && !mine.lazy) {
		/* In two bites, as an owner with little room would. */
		s = str_head(s, (s.n + 1) / 2);
		mine.sum = sum_of(s, mine.sum);
		mine.got += s.n;
		tls_ack(&t, s.n);
	}
	put = tls_send(&t, mine.to_send);
	mine.to_send = str_from(mine.to_send, put);
	moved = tls_pump(&t, client_fd) != before;
	return moved || put || mine.got != n;
}

/* Until neither moves for a while: with a hook, a step may move a byte that
 * shows in no state, so that quiet is quiet only when it lasts. */
static void drive(void)
{
	int i, quiet = 0;

	for (i = 0; i < ROUNDS && quiet < patience; i++) {
		quiet++;
		if (client_step())
			quiet = 0;
		while (server_step())
			quiet = 0;
	}
	T(i < ROUNDS, "comes to rest");
}

static void trust(void)
{
	struct arena a = { memory, memory + sizeof memory };
	br_x509_trust_anchor *root;
	struct bundle b;
	br_pem_decoder_context pem;

	memset(&shared, 0, sizeof shared);
	memset(&b, 0, sizeof b);
	b.shared = &shared;
	b.arena = &a;
	b.roots = root = arena_array(&a, TLS_ROOTS_MAX, sizeof *root);
	shared.roots = root;
	br_pem_decoder_init(&pem);
	push_pem(&b, &pem, S(root_pem));
	T_INT(shared.count, 1, "the root is read");
}

static int begin(struct str host, int64_t when)
{
	server_ready();
	mine.to_send = S("GET / HTTP/1.1\r\n\r\n");
	mine.got = 0;
	mine.sum = 0;
	mine.lazy = 0;
	return tls_start(&t, &shared, host, 443, when * 1000);
}

static int said(const char *what)
{
	struct str e = tls_error(&t), w = str_of(what);

	if (str_find(e, w) < e.n)
		return 1;
	t_show("said", e);
	return 0;
}

/* ---- tests ---- */

static void test_good(void)
{
	static const char *const hosts[] = { "zoo.test", "ZOO.test.",
	    "a.wild.test", "127.0.0.1", "[2001:db8::1]", "2001:DB8:0::1" };
	size_t i;

	for (i = 0; i < COUNT(hosts); i++) {
		server_open(0);
		server.finish = 1;
		server.want = sizeof big;
		T_INT(begin(str_of(hosts[i]), WHEN), OK, "%s", hosts[i]);
		mine.to_send = (struct str){ big, sizeof big };
		T_INT(tls_state(&t), TLS_HANDSHAKE, "under way");
		T_INT(tls_want(&t), WANT_WRITE, "hello first");
		T(!tls_sent(&t), "and not sent yet");
		drive();
		T_INT(tls_state(&t), TLS_CLOSED, "%s: in good order", hosts[i]);
		T_INT(server.n, sizeof big, "all was sent");
		T(server.sum == sum_of((struct str){ big, sizeof big }, 0),
		    "unchanged");
		T_INT(mine.got, answer.n, "all came back");
		T(mine.sum == sum_of(answer, 0), "unchanged");
		T(!str_starts(str_of(server.ctx.eng.server_name), S("127")) &&
		    (server.ctx.eng.server_name[0] != 0) == (i < 3),
		    "RFC 6066: a name is sent, an address is not");
		T_INT(tls_error(&t).n, 0, "without a word");
		both_close();
	}
}

static void test_wrong(void)
{
	static const char *const hosts[] = { "wild.test", "a.b.wild.test",
	    "zoo.tes", "zoo.test.evil", "xzoo.test", "*.wild.testx",
	    "127.0.0.2", "::1", "::ffff:127.0.0.1" };
	size_t i;

	for (i = 0; i < COUNT(hosts); i++) {
		server_open(0);
		T_INT(begin(str_of(hosts[i]), WHEN), OK, "%s", hosts[i]);
		drive();
		T_INT(tls_state(&t), TLS_FAILED, "%s", hosts[i]);
		T(said("the certificate is for another name"), "says so");
		T(said(hosts[i]), "and names the host");
		T_INT(server.n, 0, "nothing was sent to it");
		both_close();
	}
}

static void test_unfit_names(void)
{
	char longest[300];
	struct str no[] = { S(""), S("."), S("a b"), S("a\0b"), S("a\r\nb"),
	    S("caf\xc3\xa9.test"), { longest, 256 } };
	size_t i;

	memset(longest, 'a', sizeof longest);
	for (i = 0; i < COUNT(no); i++) {
		server_open(0);
		T_INT(begin(no[i], WHEN), E_FAULT, "unfit name %d", (int)i);
		T_INT(tls_state(&t), TLS_FAILED, "failed");
		T(said("not a host name"), "says so");
		T_INT(tls_pump(&t, client_fd), TLS_FAILED, "stays so");
		both_close();
	}
}

/* Without a seed there is no connection: what was guessed once would open all
 * that was ever said. */
static void test_no_seed(void)
{
	no_random = 1;
	server_open(0);
	T_INT(begin(S("zoo.test"), WHEN), E_FAULT, "no seed: no connection");
	T_INT(tls_state(&t), TLS_FAILED, "failed");
	T(said("random"), "says so");
	T_INT(tls_want(&t), 0, "wants nothing");
	drive();
	T_INT(server.n, 0, "nothing was sent");
	T_INT(tls_state(&t), TLS_FAILED, "nor later");
	both_close();
	no_random = 0;
}

static void test_clock(void)
{
	static const struct {
		int64_t when;
		const char *says;
	} cases[] = {
		{ 0, "clock says 1970-01-01, so it is not set" },
		{ -5, "clock says 19" },
		{ 1703980800, "clock says 2023-12-31, so it is not set" },
		{ 1709164800, NULL },
		{ 2147483648, NULL },		/* past 32 bits of time_t */
		{ 4000000000, NULL },
		{ 4133980799, "clock says 2100-12-31" }
	};
	size_t i;

	for (i = 0; i < COUNT(cases); i++) {
		server_open(0);
		T_INT(begin(S("zoo.test"), cases[i].when), OK, "starts");
		drive();
		T_INT(tls_state(&t), cases[i].says ? TLS_FAILED : TLS_OPEN,
		    "at %lld", (long long)cases[i].when);
		if (cases[i].says)
			T(said(cases[i].says) && said("expired"), "says so");
		both_close();
	}
}

/* Hands out short moves, EINTR and EAGAIN as a seed says. */
static long shuffle(void *ctx, int op, int fd)
{
	uint32_t *seed_of = ctx;

	(void)op;
	if (fd != client_fd)
		return 0;
	*seed_of = *seed_of * 1664525 + 1013904223;
	switch (*seed_of >> 29) {
	case 0:
		return -EINTR;
	case 1:
		return -EAGAIN;
	case 2:
		return 1;
	default:
		return 1 + (long)(*seed_of >> 8 & 4095);
	}
}

static long one_byte(void *ctx, int op, int fd)
{
	(void)ctx;
	(void)op;
	return fd == client_fd ? 1 : 0;
}

static void test_split(void)
{
	uint32_t seed_of = 1;
	struct sock_hook h = { shuffle, &seed_of };
	int i;

	patience = 400;
	for (i = 0; i < 20; i++) {
		if (i == 0)
			h.before = one_byte;
		else
			h.before = shuffle;
		sock_test_hook(&h);
		server_open(0);
		server.finish = 1;
		T_INT(begin(S("zoo.test"), WHEN), OK, "starts");
		drive();
		T_INT(tls_state(&t), TLS_CLOSED, "split %d: to the end", i);
		T(mine.got == answer.n && mine.sum == sum_of(answer, 0),
		    "split %d: the same bytes", i);
		sock_test_hook(NULL);
		both_close();
	}
	patience = 40;
}

/* The record bytes of a whole good conversation. */
static size_t whole(void)
{
	size_t n;

	server_open(0);
	server.finish = 1;
	(void)begin(S("zoo.test"), WHEN);
	drive();
	T_INT(tls_state(&t), TLS_CLOSED, "whole");
	n = server.sent;
	both_close();
	return n;
}

static int prefix(size_t n)
{
	return n <= answer.n &&
	    mine.sum == sum_of(str_head(answer, n), 0);
}

static void test_cuts(void)
{
	size_t n, at, step, handshake = 0, open = 0;
	struct str kept = answer;

	answer = str_head(answer, 300);
	n = whole();
	T(n > 800, "%lu bytes in all", (unsigned long)n);
	for (at = 0; at < n; at += step) {
		step = at < 700 ? 9 : 1;
		server_open(0);
		server.finish = 1;
		server.cut = at;
		(void)begin(S("zoo.test"), WHEN);
		drive();
		/* Signatures differ in length by a byte or two, and with
		 * them the whole: this one may be over before the cut. */
		if (server.fd >= 0) {
			T(at + 8 > n, "cut at %lu of %lu never came",
			    (unsigned long)at, (unsigned long)n);
			both_close();
			continue;
		}
		T(tls_state(&t) == TLS_FAILED || tls_state(&t) == TLS_CUT,
		    "cut at %lu: state %d", (unsigned long)at,
		    (int)tls_state(&t));
		T(tls_error(&t).n > 20, "cut at %lu: has a reason",
		    (unsigned long)at);
		T(prefix(mine.got), "cut at %lu: a prefix came",
		    (unsigned long)at);
		handshake += tls_state(&t) == TLS_FAILED &&
		    said("the server closed the connection during the TLS "
		    "handshake");
		open += tls_state(&t) == TLS_CUT &&
		    said("without ending TLS");
		both_close();
	}
	T(handshake > 10 && open > 10, "both kinds: %lu, %lu",
	    (unsigned long)handshake, (unsigned long)open);
	answer = kept;
}

static void test_flips(void)
{
	size_t n, at, step;
	struct str kept = answer;

	answer = str_head(answer, 100);
	n = whole();
	for (at = 0; at < n; at += step) {
		step = at < 100 ? 1 : 5;
		server_open(0);
		server.finish = 1;
		server.flip = at;
		(void)begin(S("zoo.test"), WHEN);
		drive();
		if (server.sent <= at) {	/* shorter than the first */
			T(at + 8 > n, "flip at %lu of %lu never came",
			    (unsigned long)at, (unsigned long)n);
			both_close();
			continue;
		}
		/* A longer length leaves the client waiting: then it ends. */
		if (server.fd >= 0) {
			sock_close(server.fd);
			server.fd = -1;
			drive();
		}
		T(tls_state(&t) == TLS_FAILED || tls_state(&t) == TLS_CUT,
		    "flip at %lu: state %d", (unsigned long)at,
		    (int)tls_state(&t));
		T(prefix(mine.got), "flip at %lu: nothing false came",
		    (unsigned long)at);
		both_close();
	}
	answer = kept;
}

static void test_nonsense(void)
{
	static char zeros[40000], noise[5000];
	struct str said_by[] = {
		S("HTTP/1.1 400 Bad Request\r\n\r\n"),
		S("SSH-2.0-OpenSSH_9.2\r\n"),
		S("220 mail ESMTP\r\n"),
		S("\x15\x03\x03\x00\x02\x02\x46"),	/* protocol_version */
		S("\x15\x03\x03\x00\x02\x02\x28"),	/* handshake_failure */
		S("\x15\x03\x03\x00\x02\x02\x70"),	/* unrecognized_name */
		S("\x15\x03\x03\x00\x02\x02\xff"),
		S("\x15\x03\x03\x00\x02\x01\x00"),	/* close_notify */
		S("\x15\x03\x03\x00\x01\x00"),	/* half an alert */
		S("\x16\x03\x03\xff\xff"),
		S("\x16\x03\x03\x40\x01"),
		S("\x16\x03\x03\x00\x04\x02\xff\xff\xff"),
		S("\x17\x03\x03\x00\x05hello"),
		S("\x14\x03\x03\x00\x01\x01"),
		S("\x16\x03\x01\x00\x04\x0e\x00\x00\x00"),
		{ zeros, sizeof zeros }, { noise, sizeof noise }
	};
	enum sock_reason why;
	uint32_t r = 7;
	size_t i;

	for (i = 0; i < sizeof noise; i++)
		noise[i] = (char)((r = r * 1664525 + 1013904223) >> 24);
	for (i = 0; i < COUNT(said_by); i++) {
		server_open(0);
		T_INT(begin(S("zoo.test"), WHEN), OK, "starts");
		(void)sock_write(server.fd, said_by[i], &why);
		(void)tls_pump(&t, client_fd);
		T(tls_state(&t) == TLS_FAILED || tls_want(&t),
		    "nonsense %d: over, or something is waited for", (int)i);
		sock_close(server.fd);
		server.fd = -1;
		(void)tls_pump(&t, client_fd);
		T(tls_state(&t) == TLS_FAILED, "nonsense %d: state %d",
		    (int)i, (int)tls_state(&t));
		T(tls_error(&t).n > 20, "nonsense %d: has a reason", (int)i);
		if (i < 3)
			T(said("does not speak TLS"), "not TLS");
		if (i == 3)
			T(said("does not accept TLS 1.2") && said("1.3 only"),
			    "TLS 1.3 only");
		if (i == 4)
			T(said("none of our ciphers"), "no cipher");
		if (i == 5)
			T(said("does not know this host name"), "no name");
		both_close();
	}
	/* Empty records for ever: each pump ends. */
	server_open(0);
	(void)begin(S("zoo.test"), WHEN);
	for (i = 0; i < 4000; i++)
		(void)sock_write(server.fd, S("\x16\x03\x03\x00\x00"), &why);
	for (i = 0; i < 100; i++)
		(void)tls_pump(&t, client_fd);
	T(1, "a flood of nothing ends each pump");
	both_close();
}

static void test_old_version(void)
{
	server_open(0);
	br_ssl_engine_set_versions(&server.ctx.eng, BR_TLS10, BR_TLS11);
	(void)begin(S("zoo.test"), WHEN);
	drive();
	T_INT(tls_state(&t), TLS_FAILED, "TLS 1.1 is refused");
	T(said("TLS 1.2") || said("TLS version"), "says so");
	both_close();
}

/* The server answers before it has heard all: nothing deadlocks, and what is
 * left unsent is said by tls_send. */
static void test_early(void)
{
	size_t put = 0;

	server_open(0);
	server.want = 100;
	T_INT(begin(S("zoo.test"), WHEN), OK, "starts");
	mine.to_send = (struct str){ big, sizeof big };
	drive();
	T_INT(tls_state(&t), TLS_OPEN, "goes on");
	T_INT(server.n, sizeof big, "all was sent");
	T_INT(mine.got, answer.n, "all came");
	T(tls_sent(&t), "sent");

	/* Plaintext that nobody takes stops everything, and nothing breaks. */
	server.answer = answer;
	mine.lazy = 1;
	drive();
	T(tls_recv(&t).n > 0, "plaintext waits");
	T_INT(tls_want(&t), 0, "so nothing is read: back-pressure");
	put = tls_send(&t, S("more"));
	T_INT(put, 0, "nor can anything be sent");
	mine.lazy = 0;
	mine.got = 0;
	mine.to_send = S("more");
	drive();
	T_INT(mine.got, answer.n, "taken, it goes on");
	T_INT(server.n, sizeof big + 4, "both ways");
	T_INT(tls_want(&t), WANT_READ, "then only reading is wanted");
	both_close();
}

static void test_close(void)
{
	server_open(0);
	(void)begin(S("zoo.test"), WHEN);
	drive();
	T_INT(tls_state(&t), TLS_OPEN, "open");
	T(str_starts(tls_cipher(&t), S("ECDHE-ECDSA-")), "has a cipher");
	server.answer = answer;
	while (server_step())
		;
	tls_close(&t);
	T_INT(tls_recv(&t).n, 0, "nothing to take after a close");
	T_INT(tls_send(&t, S("x")), 0, "nor to send");
	drive();
	T_INT(br_ssl_engine_last_error(&server.ctx.eng), BR_ERR_OK,
	    "the server is content");
	T(br_ssl_engine_current_state(&server.ctx.eng) == BR_SSL_CLOSED,
	    "and closed");
	T_INT(tls_state(&t), TLS_CLOSED, "as are we");
	T_INT(tls_want(&t), 0, "nothing is wanted");
	tls_close(&t);
	T_INT(tls_pump(&t, client_fd), TLS_CLOSED, "for good");
	both_close();

	/* The goodbye of a server that closes at once instead of answering. */
	server_open(0);
	(void)begin(S("zoo.test"), WHEN);
	drive();
	tls_close(&t);
	sock_close(server.fd);
	server.fd = -1;
	(void)tls_pump(&t, client_fd);
	(void)tls_pump(&t, client_fd);
	T_INT(tls_state(&t), TLS_CLOSED, "our close is not their cut");
	both_close();
}

static void test_idle(void)
{
	memset(&t, 0, sizeof t);
	T_INT(tls_state(&t), TLS_IDLE, "zeroed is idle");
	T_INT(tls_want(&t), 0, "wants nothing");
	T_INT(tls_pump(&t, -1), TLS_IDLE, "does nothing");
	T_INT(tls_send(&t, S("x")), 0, "takes nothing");
	T_INT(tls_recv(&t).n, 0, "gives nothing");
	T_INT(tls_error(&t).n, 0, "says nothing");
	T_INT(tls_cipher(&t).n, 0, "has none");
	tls_ack(&t, 5);
	tls_close(&t);
	tls_wipe(&t);
	T_INT(tls_state(&t), TLS_IDLE, "still");
}

static void test_wipe(void)
{
	const unsigned char *p = (const unsigned char *)&t;
	size_t i, left = 0;

	server_open(0);
	(void)begin(S("zoo.test"), WHEN);
	drive();
	tls_wipe(&t);
	for (i = 0; i < sizeof t; i++)
		left += p[i] != 0;
	T_INT(left, 0, "wiped");
	both_close();
}

/* One conversation; returns whether the session was resumed, -1: failed. */
static int session(struct str host, unsigned port, int64_t when)
{
	int r;

	server_open(1);
	server_ready();
	mine.to_send = S("x");
	mine.got = 0;
	(void)tls_start(&t, &shared, host, port, when * 1000);
	drive();
	r = tls_state(&t) == TLS_OPEN ? tls_resumed(&t) : -1;
	if (r >= 0)
		T(mine.got == answer.n, "and works");
	both_close();
	return r;
}

static void test_sessions(void)
{
	char name[] = "a.wild.test";
	size_t i;

	br_ssl_session_cache_lru_init(&server.cache, server.store,
	    sizeof server.store);
	trust();
	T_INT(session(S("zoo.test"), 443, WHEN), 0, "the first is full");
	T_INT(session(S("zoo.test"), 443, WHEN), 1, "the second resumes");
	T_INT(session(S("zoo.test"), 443, WHEN + 10), 1, "as does the third");
	T_INT(session(S("zoo.test"), 444, WHEN), 0, "not on another port");
	T_INT(session(S("b.wild.test"), 443, WHEN), 0, "nor another host");
	T_INT(session(S("127.0.0.1"), 443, WHEN), 0, "an address");
	T_INT(session(S("127.0.0.1"), 443, WHEN), 1, "resumes as well");
	T_INT(session(S("zoo.test"), 443, WHEN + SESSION_TIME + 20), 0,
	    "an hour later it is forgotten");
	for (i = 0; i < 2 * TLS_SESSIONS_MAX; i++) {
		name[0] = (char)('a' + i);
		T_INT(session(str_of(name), 443, WHEN), i == 1,
		    "%s: b is known from before", name);
	}
	T_INT(session(str_of(name), 443, WHEN), 1, "the latest is there");
	T_INT(session(S("a.wild.test"), 443, WHEN), 0, "the oldest is not");
	/* The server forgets: a full handshake, without a stumble. */
	br_ssl_session_cache_lru_init(&server.cache, server.store,
	    sizeof server.store);
	T_INT(session(str_of(name), 443, WHEN), 0, "forgotten by the server");
	T_INT(session(str_of(name), 443, WHEN), 1, "remembered anew");
}

static int fake_bundle(struct str text, size_t room, struct buf *why)
{
	char path[] = "/tmp/tls-test-XXXXXX";
	struct arena a = { memory, memory + room };
	int fd = mkstemp(path), r;

	while (fd >= 0 && text.n) {
		ssize_t n = write(fd, text.p, text.n);

		if (n <= 0)
			break;
		text = str_from(text, (size_t)n);
	}
	T(fd >= 0 && text.n == 0, "a bundle is written");
	(void)close(fd);
	why->n = 0;
	r = tls_trust(&shared, &a, str_of(path), why);
	(void)unlink(path);
	T(a.cur <= a.end, "within its arena");
	return r;
}

static void test_bundles(void)
{
	static char text[700000];
	struct str pem = S(root_pem), part;
	char words[1024];
	struct buf why = buf_on(words, sizeof words), b;
	struct arena a = { memory, memory + sizeof memory };
	size_t i, all = sizeof memory;

	T_INT(fake_bundle(pem, all, &why), OK, "one root");
	T_INT(shared.count, 1, "counted");
	T_INT(shared.skipped, 0, "none skipped");
	T_INT(fake_bundle(str_head(pem, pem.n - 1), all, &why), OK,
	    "no newline at the end");
	for (i = 0; i <= str_find(pem, S("-----END")); i += 4) {
		T_INT(fake_bundle(str_head(pem, i), all, &why), E_FAULT,
		    "cut at %lu", (unsigned long)i);
		T_INT(shared.count, 0, "gives none");
	}
	b = buf_on(text, sizeof text);
	buf_put(&b, S("# comment\r\n\r\nCN=Something\r\n"));
	for (part = S(""); pem.n && str_cut(&pem, '\n', &part);) {
		buf_put(&b, part);
		buf_put(&b, S("\r\n"));
	}
	pem = S(root_pem);
	buf_put(&b, S("-----BEGIN CERTIFICATE-----\nAAAA\n"
	    "-----END CERTIFICATE-----\n"));
	buf_put(&b, S("-----BEGIN CERTIFICATE-----\nAAAA\n!!!!\n"
	    "-----END CERTIFICATE-----\n"));
	buf_put(&b, S("-----BEGIN PRIVATE KEY-----\nAAAA\n"
	    "-----END PRIVATE KEY-----\n"));
	buf_put(&b, pem);
	T_INT(fake_bundle(buf_str(&b), all, &why), OK,
	    "CRLF, comments, broken ones and a key between");
	T_INT(shared.count, 2, "the good ones count");
	T_INT(shared.skipped, 2, "so do the broken ones");

	b = buf_on(text, sizeof text);
	for (i = 0; i < TLS_ROOTS_MAX + 8; i++)
		buf_put(&b, pem);
	T_INT(fake_bundle(buf_str(&b), all, &why), OK, "more than enough");
	T_INT(shared.count, TLS_ROOTS_MAX, "up to the limit");
	T_INT(shared.skipped, 8, "the rest is skipped");
	T_INT(fake_bundle(buf_str(&b), TLS_ROOTS_MAX *
	    sizeof(br_x509_trust_anchor) + 1000, &why), OK, "a small arena");
	T(shared.count > 2 && shared.count < 12, "holds some");
	for (i = 0; i < 40000; i += 997)
		(void)fake_bundle(pem, i, &why);
	T_INT(shared.count, 1, "each arena holds what it can");

	/* A certificate too long to be one. */
	b = buf_on(text, sizeof text);
	buf_put(&b, S("-----BEGIN CERTIFICATE-----\n"));
	for (i = 0; i < 400; i++)
		buf_put(&b, S("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"));
	buf_put(&b, S("-----END CERTIFICATE-----\n"));
	buf_put(&b, pem);
	T_INT(fake_bundle(buf_str(&b), all, &why), OK, "a huge one first");
	T(shared.count == 1 && shared.skipped == 1, "is skipped");

	why.n = 0;
	T_INT(tls_trust(&shared, &a, S("/nowhere/at/all"), &why), E_FAULT,
	    "no such file");
	T(str_find(buf_str(&why), S("/nowhere/at/all (not readable)")) <
	    why.n, "names it");
	server_open(0);
	T_INT(begin(S("zoo.test"), WHEN), E_FAULT, "no roots: no connection");
	T(said("SSL_CERT_FILE"), "and what to do");
	both_close();
	why.n = 0;
	T_INT(tls_trust(&shared, &a, S("/tmp"), &why), E_FAULT,
	    "a directory");
	memset(text, 'x', 2000);
	T_INT(tls_trust(&shared, &a, (struct str){ text, 2000 }, &why),
	    E_FAULT, "a path too long");
	T_INT(tls_trust(&shared, &a, S("/tmp\0x"), &why), E_FAULT,
	    "a path with NUL");
}

/* The search for addresses, over certificates it should never see: those
 * that BearSSL would refuse before. */
static void test_addresses(void)
{
	char der[sizeof leaf_der];
	struct str s = { der, sizeof der }, ip = S("\x7f\0\0\1");
	size_t i, found = 0;
	int bit;

	memcpy(der, leaf_der, sizeof der);
	T(has_address(s, ip), "found");
	T(has_address(s, S("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")), "6");
	T(!has_address(s, S("\x7f\0\0\2")), "not another");
	T(!has_address(s, S("\x7f\0\0")), "nor a part of it");
	T(!has_address(s, S("")), "nor nothing");
	for (i = 0; i < sizeof der; i++) {
		/* A copy of that length, so that ASan sees an overrun. */
		char *cut = malloc(i + 1);

		memcpy(cut, der, i);
		found += (size_t)has_address((struct str){ cut, i }, ip);
		free(cut);
	}
	T_INT(found, 0, "never in a cut certificate");
	for (i = 0; i < sizeof der; i++) {
		for (bit = 0; bit < 8; bit++) {
			der[i] = (char)(der[i] ^ 1 << bit);
			(void)has_address(s, ip);
			der[i] = (char)(der[i] ^ 1 << bit);
		}
	}
	T(has_address(s, ip), "and no damage does harm");
}

int main(void)
{
	struct loop l;
	size_t i;

	(void)loop_init(&l);
	for (i = 0; i < sizeof big; i++)
		big[i] = (char)(i * i >> 3);
	answer = (struct str){ big, 40000 };
	printf("tls: a connection takes %lu bytes, a kept session %lu\n",
	    (unsigned long)sizeof(struct tls),
	    (unsigned long)sizeof(struct tls_session));
	trust();
	test_good();
	test_wrong();
	test_unfit_names();
	test_no_seed();
	test_clock();
	test_split();
	test_cuts();
	test_flips();
	test_nonsense();
	test_old_version();
	test_early();
	test_close();
	test_idle();
	test_wipe();
	test_sessions();
	test_bundles();
	test_addresses();
	return t_done("tls");
}
