/* tls_trust.c -- fuzz target: a bundle of roots, and the search for addresses.
 *
 * The input is read as PEM, whole and in pieces, and as the DER of a
 * certificate. Holds: pieces give what the whole gives; the arena and the
 * counts keep their bounds; every root kept is complete; no address is found
 * where its bytes are not.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/sock.c net/loop.c */
#include <assert.h>
#include <stdlib.h>

#include "../../src/net/tls_address.c"
#include "../../src/net/tls_roots.c"
#include "../../src/net/tls_text.c"
#include "../../src/net/tls.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_shared shared;
static struct bundle bundle;

static struct arena load(struct str text, char *memory, size_t room,
    size_t piece)
{
	br_pem_decoder_context pem;
	struct arena a = { memory, memory + room };

	memset(&shared, 0, sizeof shared);
	memset(&bundle, 0, sizeof bundle);
	bundle.shared = &shared;
	bundle.arena = &a;
	bundle.roots = arena_array(&a, TLS_ROOTS_MAX, sizeof *bundle.roots);
	assert(bundle.roots);
	br_pem_decoder_init(&pem);
	for (; text.n; text = str_from(text, piece))
		push_pem(&bundle, &pem, str_head(text, piece));
	assert(a.cur <= a.end && shared.count <= TLS_ROOTS_MAX);
	return a;
}

static void check_roots(void)
{
	const br_x509_trust_anchor *r = bundle.roots;
	size_t i;

	for (i = 0; i < shared.count; i++, r++) {
		assert(r->dn.data);
		if (r->pkey.key_type == BR_KEYTYPE_RSA)
			assert(r->pkey.key.rsa.nlen >= RSA_MIN &&
			    r->pkey.key.rsa.n && r->pkey.key.rsa.e);
		else
			assert(r->pkey.key_type == BR_KEYTYPE_EC &&
			    r->pkey.key.ec.q && r->pkey.key.ec.qlen);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char memory[65536];
	struct str in = { (const char *)data, size };
	struct str ip = S("\x7f\0\0\1");
	size_t count, skipped;

	load(in, memory, sizeof memory, size ? size : 1);
	check_roots();
	count = shared.count;
	skipped = shared.skipped;
	load(in, memory, sizeof memory, 7);
	assert(shared.count == count && shared.skipped == skipped);
	load(in, memory, TLS_ROOTS_MAX * sizeof(br_x509_trust_anchor) + 300, 64);
	check_roots();
	assert(shared.count <= count);
	if (has_address(in, ip))
		assert(str_find(in, ip) < in.n);
	return 0;
}
