/* replay.c -- the main of every fuzz target where there is no fuzzer.
 *
 *	build/tests/fuzz/NAME tests/fuzz/corpus/NAME
 *
 * Each file of the folder (or each file named) is one check: the target is
 * shown the whole, prefixes of it, and copies with a few bytes changed, the
 * same ones in every run. Each input lies in a block of its own size, so that
 * a sanitizer sees a read past its end. A target that finds a broken invariant
 * crashes; the path of the input was printed just before.
 *
 * SPDX-License-Identifier: MIT */
#include <dirent.h>

#include "../unit/t.h"

enum {
	PREFIXES = 64,		/* of each file, evenly spread */
	CHANGED = 64		/* copies with bytes changed */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seed = 1;

static size_t below(size_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return n ? (size_t)(seed >> 33) % n : 0;
}

/* Shows the target n bytes, in a block that ends with them. */
static int show(const char *p, size_t n)
{
	uint8_t *block = calloc(n ? n : 1, 1);
	int r;

	if (!block)
		return -1;
	if (n)
		memcpy(block, p, n);
	r = LLVMFuzzerTestOneInput(block, n);
	free(block);
	return r;
}

static int show_changed(struct str s)
{
	static const char odd[] = "\0\"\\{}[],:\r\n \t0-\x7f\x80\xff";
	char *copy = malloc(s.n ? s.n : 1);
	size_t i;
	int r = copy ? 0 : -1;

	for (i = 0; copy && r == 0 && s.n && i < CHANGED; i++) {
		size_t changes = 1 + below(3);

		memcpy(copy, s.p, s.n);
		while (changes--)
			copy[below(s.n)] = odd[below(sizeof(odd) - 1)];
		r = show(copy, s.n);
	}
	free(copy);
	return r;
}

static void replay(const char *path)
{
	struct str s = t_file(path);
	size_t i, n;
	int r;

	printf("%s\n", path);
	fflush(stdout);
	if (!T(s.p != NULL, "%s can be read", path))
		return;
	r = show(s.p, s.n);
	n = s.n < PREFIXES ? s.n : PREFIXES;
	for (i = 0; i < n && r == 0; i++)
		r = show(s.p, s.n * i / n);
	if (r == 0)
		r = show_changed(s);
	T(r == 0, "%s is accepted by the target", path);
}

static void replay_folder(const char *path, DIR *d)
{
	char name[4096];
	struct dirent *e;

	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		replay(name);
	}
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	char name[64];
	int i;

	/* Nothing, then each single byte: a start where no corpus is. */
	T(show("", 0) == 0, "no bytes at all");
	for (i = 0; i < 256; i++) {
		char c = (char)i;

		T(show(&c, 1) == 0, "the byte %d", i);
	}
	for (i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);

		if (d) {
			replay_folder(argv[i], d);
			closedir(d);
		} else {
			replay(argv[i]);
		}
	}
	snprintf(name, sizeof(name), "fuzz_%s", slash ? slash + 1 : argv[0]);
	return t_done(name);
}
