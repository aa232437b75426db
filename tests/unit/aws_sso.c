/* Tests of net/aws_sso: the names of its files (AW-62), by the examples of
 * FIPS 180-4 and by lengths around a block's end.
 *
 * SPDX-License-Identifier: MIT */
/* link: net/aws.c net/fetch.c net/ini.c net/sock.c net/loop.c net/tls.c net/tls_address.c net/tls_roots.c net/tls_text.c */
#include "t.h"
#include "../../src/net/aws_sso.c"

static void digest(struct str s, const char *want)
{
	unsigned char d[SHA1_SIZE];
	char text[2 * SHA1_SIZE];
	struct buf b = buf_on(text, sizeof(text));

	sha1(d, s);
	buf_hex(&b, (struct str){ (const char *)d, sizeof(d) });
	T_STR(buf_str(&b), str_of(want), "SHA-1 of %zu bytes", s.n);
}

int main(void)
{
	static const struct { size_t n; const char *want; } a[] = {
		{ 54, "b05d71c64979cb95fa74a33cdb31a40d258ae02e" },
		{ 55, "c1c8bbdc22796e28c0e15163d20899b65621d65a" },
		{ 56, "c2db330f6083854c99d4b5bfb6e8f29f201be699" },
		{ 57, "f08f24908d682555111be7ff6f004e78283d989a" },
		{ 63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5" },
		{ 64, "0098ba824b5c16427bd7a1122a5a442a25ec644d" },
		{ 65, "11655326c708d70319be2610e8a57d9a5b959d3b" },
		{ 119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56" },
		{ 120, "f34c1488385346a55709ba056ddd08280dd4c6d6" },
		{ 128, "ad5b3fdbcb526778c2839d2f151ea753995e26a0" },
		{ 200, "e61cfffe0d9195a525fc6cf06ca2d77119c24a40" },
	};
	char text[200];
	size_t i;

	digest(S(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	digest(S("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
	digest(S("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
	    "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	memset(text, 'a', sizeof(text));
	for (i = 0; i < COUNT(a); i++)
		digest((struct str){ text, a[i].n }, a[i].want);
	T(token_ok(S("a.b-c_")) && !token_ok(S("")) && !token_ok(S("a b")) &&
	    !token_ok(S("a\r\nb")), "tokens that may be sent");
	return t_done("aws_sso");
}
