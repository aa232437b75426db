/* Tests of wire/sha256: published vectors, every form against every other.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"
#include "../../src/wire/sha256.c"

static const char *hex(const unsigned char *d)
{
	static char out[2 * SHA256_SIZE + 1];
	struct buf b = buf_on(out, sizeof(out) - 1);

	buf_hex(&b, (struct str){ (const char *)d, SHA256_SIZE });
	out[b.n] = '\0';
	return out;
}

/* FIPS 180-4 examples, and the digest of nothing. */
static void published(void)
{
	static const struct { const char *text, *want; } v[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb924"
		    "27ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223"
		    "b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039"
		    "a33ce45964ff2167f6ecedd419db06c1" },
		{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
		    "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
		    "cf5b16a778af8380036ce59e7b049237"
		    "0b249b11e8f07a51afac45037afee9d1" },
	};
	unsigned char d[SHA256_SIZE];
	struct sha256 s;
	size_t i, k;

	for (i = 0; i < COUNT(v); i++) {
		struct str text = str_of(v[i].text);

		sha256(d, text);
		T_STR(str_of(hex(d)), str_of(v[i].want), "FIPS 180-4 case %zu",
		    i);
		sha256_init(&s);
		for (k = 0; k < text.n; k++)
			sha256_add(&s, (struct str){ text.p + k, 1 });
		sha256_end(&s, d);
		T_STR(str_of(hex(d)), str_of(v[i].want), "case %zu by bytes",
		    i);
	}
	sha256_init(&s);
	for (i = 0; i < 100000; i++)
		sha256_add(&s, S("aaaaaaaaaa"));
	sha256_end(&s, d);
	T_STR(str_of(hex(d)), S("cdc76e5c9914fb9281a1c7e284d73e67"
	    "f1809a48a497200e046d39ccc7112cd0"), "a million a");
	for (i = 0, k = 0; i < sizeof(s); i++)
		k |= ((unsigned char *)&s)[i];
	T(k == 0, "the state is wiped at the end");
}

/* RFC 4231, without case 5 (a truncated output, which isn't offered). */
static void hmac(void)
{
	static char key[131], data[50], seq[25];
	static const char *const want[] = {
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
		"9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
	};
	struct str k[COUNT(want)], m[COUNT(want)];
	unsigned char d[SHA256_SIZE];
	size_t i;

	memset(key, 0x0b, 20);
	k[0] = (struct str){ key, 20 };
	m[0] = S("Hi There");
	hmac_sha256(d, k[0], m[0]);
	T_STR(str_of(hex(d)), str_of(want[0]), "RFC 4231 case 1");
	memset(key, 0xaa, sizeof(key));
	memset(data, 0xdd, sizeof(data));
	k[1] = S("Jefe");
	m[1] = S("what do ya want for nothing?");
	k[2] = (struct str){ key, 20 };
	m[2] = (struct str){ data, 50 };
	for (i = 0; i < sizeof(seq); i++)
		seq[i] = (char)(i + 1);
	k[3] = (struct str){ seq, sizeof(seq) };
	k[4] = k[5] = (struct str){ key, 131 };
	m[4] = S("Test Using Larger Than Block-Size Key - Hash Key First");
	m[5] = S("This is a test using a larger than block-size key and a "
	    "larger than block-size data. The key needs to be hashed before "
	    "being used by the HMAC algorithm.");
	for (i = 1; i < COUNT(want); i++) {
		if (i == 3) {
			memset(data, 0xcd, sizeof(data));
			m[3] = m[2];
		}
		hmac_sha256(d, k[i], m[i]);
		T_STR(str_of(hex(d)), str_of(want[i]), "RFC 4231 case %zu",
		    i < 4 ? i + 1 : i + 2);
	}
	hmac_sha256(d, (struct str){ NULL, 0 }, (struct str){ NULL, 0 });
	T_STR(str_of(hex(d)), S("b613679a0814d9ec772f95d778c35fc5"
	    "ff1697c493715653c6c712144292c5ad"), "an empty key");
}

static uint32_t seed = 20261123;

static uint32_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	return seed ^= seed << 5;
}

/* Every length around block borders and pieces of every size give one
 * answer, whichever form computes them. */
static void pieces(void)
{
	static char text[5000];
	unsigned char whole[SHA256_SIZE], d[SHA256_SIZE];
	struct sha256 s;
	size_t n, at, step, bad = 0;

	for (n = 0; n < sizeof(text); n++)
		text[n] = (char)rnd();
	for (n = 0; n <= sizeof(text); n += n < 260 ? 1 : 237) {
		sha256(whole, (struct str){ text, n });
		sha256_init(&s);
		for (at = 0; at < n; at += step) {
			step = rnd() % (rnd() % 4 ? 150 : 3000);
			if (step > n - at)
				step = n - at;
			sha256_add(&s, (struct str){ text + at, step });
		}
		sha256_end(&s, d);
		bad += memcmp(whole, d, sizeof(d)) != 0;
	}
	T_INT(bad, 0, "lengths whose pieces differ from the whole");
}

static int compress_same(void (*f)(uint32_t *, const char *, size_t))
{
	char data[40 * SHA256_BLOCK + 1];
	uint32_t a[8], b[8];
	size_t i, n;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (char)rnd();
	for (n = 0; n <= 40; n++) {
		for (i = 0; i < 8; i++)
			a[i] = b[i] = rnd();
		/* Unaligned on purpose. */
		blocks_portable(a, data + (n & 1), n);
		f(b, data + (n & 1), n);
		if (memcmp(a, b, sizeof(a)) != 0)
			return 0;
	}
	return 1;
}

int main(void)
{
	published();
	hmac();
	pieces();
#if defined(SHA256_X86)
	if (x86_has_sha())
		T(compress_same(blocks_x86), "SHA-NI equals portable");
	else
		t_skip("this CPU has no SHA extensions");
#elif defined(SHA256_ARM)
	T(compress_same(blocks_arm), "ARMv8 crypto equals portable");
#else
	t_skip("no accelerated form in this build");
#endif
	return t_done("sha256");
}
