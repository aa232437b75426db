/* image.c -- tests of core/image.c: kinds, sizes and tokens of images, pages of
 * PDFs.
 *
 * SPDX-License-Identifier: MIT */
#include "t.h"

#include "../../src/core/image.c"

static void put_be(struct buf *b, unsigned v, int n)
{
	while (n--)
		buf_chr(b, (char)(v >> (8 * n)));
}

static void put_le(struct buf *b, unsigned v, int n)
{
	for (; n--; v >>= 8)
		buf_chr(b, (char)(v & 255));
}

static void check_image(const struct buf *b, const char *type, unsigned w,
    unsigned h, unsigned tokens)
{
	static char text[200000];
	struct buf t = buf_on(text, sizeof text);
	unsigned gw = 0, gh = 0;

	T_STR(image_type(buf_str(b)), str_of(type), "type of %s", type);
	T_INT(image_size(buf_str(b), &gw, &gh), w ? OK : E_BAD, "%s has a size",
	    type);
	T_INT(gw, w, "%s width", type);
	T_INT(gh, h, "%s height", type);
	buf_base64(&t, buf_str(b));
	T_INT(estimate_image((struct jstr){ buf_str(&t) }), tokens,
	    "OA-129 tokens of %s %ux%u", type, w, h);
}

static void png(struct buf *b, unsigned w, unsigned h)
{
	b->n = 0;
	buf_put(b, S("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"));
	put_be(b, w, 4);
	put_be(b, h, 4);
	buf_put(b, S("\x08\x06\0\0\0"));
}

static void test_images(void)
{
	static char room[131072];
	struct buf b = buf_on(room, sizeof room);

	png(&b, 100, 100);
	check_image(&b, "image/png", 100, 100, 50);
	png(&b, 1000, 600);
	check_image(&b, "image/png", 1000, 600, 800);
	png(&b, 3136, 784);	/* 1568 x 392 */
	check_image(&b, "image/png", 3136, 784, 820);
	png(&b, 5000, 5000);
	check_image(&b, "image/png", 5000, 5000, 1600);
	png(&b, 0, 10);
	T_INT(estimate_image((struct jstr){ S("bm8gaW1hZ2U=") }), 1600,
	    "OA-129 unknown bytes");
	T_INT(estimate_image((struct jstr){ S("") }), 1600, "OA-129 none");

	b.n = 0;
	buf_put(&b, S("GIF89a"));
	put_le(&b, 640, 2);
	put_le(&b, 480, 2);
	check_image(&b, "image/gif", 640, 480, 410);

	b.n = 0;
	buf_put(&b, S("\xff\xd8\xff\xe1"));
	put_be(&b, 60002, 2);	/* as large as EXIF gets */
	while (b.n < 6 + 60000)
		buf_chr(&b, '\xff');
	buf_put(&b, S("\xff\xff\xc4\0\x04zz\xff\xc2\0\x11\x08"));
	put_be(&b, 750, 2);
	put_be(&b, 1000, 2);
	check_image(&b, "image/jpeg", 1000, 750, 1000);
	b.n = 6 + 60000;
	T_INT(image_size(buf_str(&b), &(unsigned){ 0 }, &(unsigned){ 0 }),
	    E_BAD, "a JPEG without a frame");

	b.n = 0;
	buf_put(&b, S("RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a"));
	put_le(&b, 300, 2);
	put_le(&b, 0x4000 | 500, 2);
	check_image(&b, "image/webp", 300, 500, 200);
	b.n = 0;
	buf_put(&b, S("RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f"));
	put_le(&b, 299 | 499 << 14, 4);
	check_image(&b, "image/webp", 300, 500, 200);
	b.n = 0;
	buf_put(&b, S("RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0"));
	put_le(&b, 299, 3);
	put_le(&b, 499, 3);
	check_image(&b, "image/webp", 300, 500, 200);
}

static uint64_t pdf(struct str bytes)
{
	static char text[400000];
	struct buf t = buf_on(text, sizeof text);

	buf_base64(&t, bytes);
	return estimate_pdf((struct jstr){ buf_str(&t) });
}

static void test_pdf(void)
{
	static char room[200000];
	struct buf b = buf_on(room, sizeof room);

	T_INT(pdf(S("%PDF-1.4 /Type /Pages /Type/Page /Type /Page>> "
	    "/Type\n/Page")), 6000, "OA-129 three pages, and their tree");
	T_INT(pdf(S("%PDF-1.4")), 2000, "OA-129 at least one page");
	T_INT(pdf(S("/Type /Font /Type /Page ")), 2000, "other types");
	while (b.n < 120000)
		buf_put(&b, S("stream......"));
	T_INT(pdf(buf_str(&b)), 6000, "OA-129 hidden pages, by size");
	buf_put(&b, S("/Type /ObjStm /Type /Page "));
	T_INT(pdf(buf_str(&b)), 6000, "OA-129 some are hidden");
	b.n = 0;
	while (b.n < 120000)
		buf_put(&b, S("stream......"));
	buf_put(&b, S("/Type /Page "));
	T_INT(pdf(buf_str(&b)), 2000, "OA-129 one large page is one");
	T_INT(estimate_pdf((struct jstr){ S("L1R5cGUg\\nL1BhZ2Ug") }), 2000,
	    "breaks in base64");
}

int main(void)
{
	test_images();
	test_pdf();
	return t_done("image");
}
