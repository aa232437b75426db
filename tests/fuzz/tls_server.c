/* tls_server.c -- fuzz target: what a server may send to a TLS client.
 *
 * Holds: every pump ends; a server without the key of a trusted certificate
 * never gets further than the handshake; nothing is given to read; failure is
 * final and has a reason; the end of the connection ends every conversation.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/sock.c net/loop.c */
#include <assert.h>

#include "../../src/net/tls_address.c"
#include "../../src/net/tls_roots.c"
#include "../../src/net/tls_text.c"
#include "../../src/net/tls.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A root that nobody has the key of: the generator of P-256. */
static unsigned char generator[] = {
	0x04,
	0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
	0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
	0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
	0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb,
	0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31,
	0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5
};

static void talk(struct tls *t, struct str host, struct str in)
{
	static unsigned char name[] = { 0x30, 0x00 };
	static br_x509_trust_anchor root = { { name, sizeof name },
	    BR_X509_TA_CA, { BR_KEYTYPE_EC, { .ec = { BR_EC_secp256r1,
	    generator, sizeof generator } } } };
	struct tls_shared shared = { .roots = &root, .count = 1 };
	enum sock_reason why;
	int fd[2];

	assert(sock_pair(fd, &why) == OK);
	assert(tls_start(t, &shared, host, 443, INT64_C(1900000000000)) == OK);
	assert(tls_pump(t, fd[0]) == TLS_HANDSHAKE);
	while (in.n) {
		long n = sock_write(fd[1], str_head(in, 4096), &why);

		assert(n > 0);
		in = str_from(in, (size_t)n);
		(void)tls_pump(t, fd[0]);
		assert(tls_state(t) == TLS_HANDSHAKE ||
		    tls_state(t) == TLS_FAILED);
		assert(tls_recv(t).n == 0 && tls_send(t, S("key")) == 0);
	}
	sock_close(fd[1]);
	while (tls_state(t) == TLS_HANDSHAKE)
		(void)tls_pump(t, fd[0]);
	assert(tls_state(t) == TLS_FAILED && tls_want(t) == 0);
	assert(tls_error(t).n > host.n + 2 &&
	    str_starts(tls_error(t), host));
	assert(tls_pump(t, fd[0]) == TLS_FAILED);
	sock_close(fd[0]);
	tls_wipe(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls t;
	struct str in = { (const char *)data, size };

	/* Both ways of verification see the same bytes. */
	talk(&t, S("zoo.test"), str_head(in, 65536));
	talk(&t, S("127.0.0.1"), str_head(in, 65536));
	return 0;
}
