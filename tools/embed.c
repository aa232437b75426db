/* embed.c -- turns files into a C header, at build time, on the host.
 *
 *	embed [FILE...] >web.h
 *
 * The header defines for each file, by its name without folders:
 *
 *	static const struct web_file {
 *		const char *name;	"app.js"
 *		const char *bytes;
 *		size_t n;
 *		const char *tag;	changes with the bytes; quoted, for an ETag
 *	} web_files[];			and one more, whose name is empty
 *	enum { WEB_FILES };		how many
 *
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void die(const char *what, const char *path)
{
	fprintf(stderr, "embed: %s %s\n", what, path);
	exit(1);
}

/* Writes the bytes as an array and gives back their FNV-1a hash: it is there
 * to see a change, not to keep anyone out. */
static uint64_t embed(const char *path, int index)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	FILE *f = fopen(path, "rb");
	unsigned long n = 0;
	int c;

	if (!f)
		die("cannot open", path);
	printf("static const unsigned char web_bytes_%d[] = {", index);
	while ((c = getc(f)) != EOF) {
		printf("%s%d,", n++ % 20 ? "" : "\n", c);
		hash = (hash ^ (uint64_t)c) * UINT64_C(0x100000001b3);
	}
	if (ferror(f) || fclose(f))
		die("cannot read", path);
	/* The last byte isn't counted; it keeps an empty file valid C. */
	printf("\n0 };\n");
	return hash;
}

int main(int argc, char **argv)
{
	uint64_t hash[64];
	int i;

	if (argc > 64)
		die("give it 63 files at most:", argv[64]);
	puts("/* Made by tools/embed from src/web; changes here are lost. */");
	for (i = 1; i < argc; i++)
		hash[i] = embed(argv[i], i);
	puts("static const struct web_file {\n"
		"\tconst char *name;\n\tconst char *bytes;\n"
		"\tsize_t n;\n\tconst char *tag;\n} web_files[] = {");
	for (i = 1; i < argc; i++)
		printf("\t{ \"%s\", (const char *)web_bytes_%d, "
			"sizeof(web_bytes_%d) - 1, \"\\\"%016" PRIx64 "\\\"\" },\n",
			base_name(argv[i]), i, i, hash[i]);
	printf("\t{ \"\", \"\", 0, \"\" }\n};\nenum { WEB_FILES = %d };\n",
		argc - 1);
	if (fflush(stdout) || ferror(stdout))
		die("cannot write", "to stdout");
	return 0;
}
