/* bench.c -- what a request costs here, beside nginx passing the same bytes and
 * beside another translator, claude-code-router; and beside bare.c, which shows
 * what the loop and the sockets alone cost.
 *
 *	build/tests/bench/bench build/claudecodex NGINX [ROUNDS [LOAD]]
 *
 * LOAD: part of the name of one, or "one at a time", to look into.
 *
 * One run on one machine: an upstream of our own, then rounds in which the
 * programs take turns at the same loads. nginx has one process, keep-alive
 * upstreams, and looks into nothing; PEER names the other translator's script,
 * NODE what runs it. The load and the upstream run on the first core, what is
 * measured alone on the second. A cost is CPU time of all a program's processes
 * as the scheduler counts it; what is printed is the median of the rounds. No
 * time is asserted, but a wrong answer of ours or of nginx makes the run void;
 * one of the peer, its cell.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE		/* sched_setaffinity */
#include <sys/resource.h>

#include "../../src/base/base.h"
#include "../unit/t.h"
#include "load.h"
#include "body.h"

enum {
	BODY_MAX = 8 << 20,
	ROUNDS_MAX = 15,
	STARTS = 9,		/* of each program, for how long one takes */
	PROBES = 1500,		/* requests, for how long one takes */
	PROBES_FEW = 200,	/* where one takes milliseconds */
	TRACED = 400,		/* requests, for system calls */
	LATE_MAX = 200 * PACED	/* events of one round */
};

struct load {
	const char *name;
	size_t bytes;
	enum kind kind;
	enum way way;
	size_t lanes, requests, peer;	/* the last: requests of the peer */
	const char *aim;	/* ratios to nginx: must, good, reach for */
};

static const struct load loads[] = {
	{ "1 KB, 16 at once", 1 << 10, WHOLE, PLAIN, 16, 4000, 160,
	    "1.5  1.2  1.0" },
	{ "120 KB, 16 at once", 120 << 10, WHOLE, PLAIN, 16, 480, 8,
	    "4.0  3.2  2.0" },
	{ "1 MB, 4 at once", 1 << 20, WHOLE, PLAIN, 4, 48, 2,
	    "3.5  2.7  1.8" },
	{ "1 KB, TLS kept, 16 at once", 1 << 10, WHOLE, TLS_KEPT, 16, 1600,
	    160, "" },
	{ "1 KB, TLS new, 4 at once", 1 << 10, WHOLE, TLS_NEW, 4, 120, 60,
	    "" },
	{ "stream of 200, 1 at once", 1 << 10, BURST, PLAIN, 1, 100, 10,
	    "3.0  2.0  1.2" },
	{ "stream of 200, 16 at once", 1 << 10, BURST, PLAIN, 16, 320, 32,
	    "3.0  2.0  1.2" },
	{ "200 slow streams", 1 << 10, SLOW, PLAIN, 200, 200, 200,
	    "2.0  1.3  1.0" },
	/* How the cost of an event grows. */
	{ "1 slow stream", 1 << 10, SLOW, PLAIN, 1, 1, 0, "" },
	{ "50 slow streams", 1 << 10, SLOW, PLAIN, 50, 50, 0, "" },
	{ "450 slow streams", 1 << 10, SLOW, PLAIN, 450, 450, 0, "" }
};
enum { KB1, KB120, MB1, KEPT, NEW, ONE, MANY, SLOW200, SLOW1, SLOW50,
	SLOW450, LOADS };
_Static_assert(COUNT(loads) == LOADS, "an index for each load");

static struct target targets[WAYS][WHOS];
static char request_room[LOADS][2 << 20], body_text[BODY_MAX];
static char shape_room[BODY_MAX + 512];
static struct str request[LOADS];
static double cost[LOADS][WHOS][ROUNDS_MAX];
static long pss[LOADS][WHOS], idle[WHOS], fresh[WHOS], full[WHOS];
static int64_t late[WHOS][ROUNDS_MAX * LATE_MAX], took[PROBES];
static size_t nlate[WHOS];
static const char *lost[LOADS][WHOS];
static char lost_text[8][600];

/* ---- requests ----------------------------------------------------------- */

/* A body in body_text, put behind its head into room. */
static struct str make_request(struct buf *body, char *room, size_t n)
{
	struct buf r = buf_on(room, n);
	char head[256];

	snprintf(head, sizeof(head), "POST /v1/messages HTTP/1.1\r\nHost: "
	    "localhost\r\nContent-Type: application/json\r\n"
	    "anthropic-version: 2023-06-01\r\nContent-Length: %zu\r\n\r\n",
	    body->n);
	buf_put(&r, str_of(head));
	buf_put(&r, buf_str(body));
	if (body->full || r.full)
		die("a request too large");
	return buf_str(&r);
}

static void make_load(size_t i)
{
	const struct load *l = &loads[i];
	struct buf b = buf_on(body_text, sizeof(body_text));

	put_body(&b, l->bytes, l->kind != WHOLE, l->kind == WHOLE ?
	    S("@whole") : l->kind == BURST ? S("@burst") : S("@slow"));
	request[i] = make_request(&b, request_room[i],
	    sizeof(request_room[i]));
}

/* ---- the measure -------------------------------------------------------- */

/* A wrong answer of the peer is kept to be told; any other ends the run. */
static int right(struct trial *x, size_t i)
{
	static size_t n;

	if (trial(x))
		return 1;
	if (x->t->who != PEER) {
		printf("VOID: %s: %s\n", loads[i].name, x->wrong);
		exit(1);
	}
	if (n < COUNT(lost_text)) {
		snprintf(lost_text[n], sizeof(lost_text[n]), "%s, %s",
		    loads[i].name, x->wrong);
		lost[i][PEER] = lost_text[n++];
	}
	return 0;
}

static struct trial trial_of(const struct target *t, size_t i, size_t total)
{
	struct trial x = { 0 };

	x.t = t;
	x.text = request[i];
	x.kind = loads[i].kind;
	x.total = total;
	x.lanes = loads[i].lanes < total ? loads[i].lanes : total;
	return x;
}

static double per(size_t i, size_t requests)
{
	return (double)requests * (loads[i].kind == WHOLE ? 1 :
	    loads[i].kind == BURST ? EVENTS : PACED);
}

/* The one that passes bytes unread has no TLS. */
static int takes_part(enum who who, enum way way)
{
	return binaries[who] && (who != BARE || way == PLAIN);
}

static double measure(size_t i, enum who who)
{
	const struct load *l = &loads[i];
	const struct target *t = &targets[l->way][who];
	size_t total = who == PEER ? l->peer : l->requests;
	struct trial x = trial_of(t, i, total), warm = x;
	int64_t before;

	if (!takes_part(who, l->way) || !total || lost[i][who])
		return 0;
	warm.total = who == PEER ? 1 : x.lanes;
	warm.lanes = warm.total;
	if (l->kind != SLOW && !right(&warm, i))
		return 0;
	if (l->kind == SLOW) {
		pss[i][who] = -1;
		x.pss = &pss[i][who];
	}
	if (i == SLOW200) {
		x.late = late[who] + nlate[who];
		x.late_max = LATE_MAX;
	}
	/* Slow streams come at their own pace, as in life. */
	*awake = l->kind != SLOW;
	before = cpu_ns(t);
	if (!right(&x, i))
		return 0;
	*awake = 0;
	nlate[who] += x.nlate;
	return (double)(cpu_ns(t) - before) / 1000 / per(i, total);
}

/* ---- the report --------------------------------------------------------- */

static int by_double(const void *a, const void *b)
{
	double x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static int by_time(const void *a, const void *b)
{
	int64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

static double median(const double *v, int n)
{
	double w[ROUNDS_MAX > STARTS ? ROUNDS_MAX : STARTS];

	memcpy(w, v, (size_t)n * sizeof(*v));
	qsort(w, (size_t)n, sizeof(*w), by_double);
	return n % 2 ? w[n / 2] : (w[n / 2 - 1] + w[n / 2]) / 2;
}

static void heading(const char *what, const char *aim)
{
	printf("\n%-28s %8s %8s %8s %8s %8s   %s\n", what, names[OURS],
	    names[NGINX], names[BARE], names[PEER], "ratio", aim);
}

/* v: of all; 0 is not measured, less is void. */
static void row(const char *name, int digits, const double *v, double ratio,
    const char *aim)
{
	int k;

	printf("%-28s ", name);
	for (k = 0; k < WHOS; k++)
		if (v[k] > 0)
			printf("%8.*f ", digits, v[k]);
		else
			printf("%8s ", v[k] < 0 ? "void" : "-");
	if (ratio > 0)
		printf("%8.2f", ratio);
	else
		printf("%8s", "");
	printf(*aim ? "   %s\n" : "\n", aim);
}

static void report_cost(size_t i, int rounds)
{
	double ratios[ROUNDS_MAX], v[WHOS];
	int r, k;

	if (cost[i][OURS][0] <= 0)
		return;
	for (r = 0; r < rounds; r++)
		ratios[r] = cost[i][OURS][r] / cost[i][NGINX][r];
	for (k = 0; k < WHOS; k++)
		v[k] = lost[i][k] ? -1 : median(cost[i][k], rounds);
	row(loads[i].name, 2, v, median(ratios, rounds), loads[i].aim);
}

/* p50 and p99 of a single connection, load and program on one core. */
static void probe(const struct target *t, size_t i, size_t n, double *p50,
    double *p99)
{
	struct trial x = trial_of(t, i, n);

	x.lanes = 1;
	x.total = n / 10;
	*p50 = *p99 = -1;
	if (t->nfamily)
		on_core(t, 0);
	if (right(&x, i)) {
		x.total = n;
		x.took = took;
		if (right(&x, i)) {
			qsort(took, n, sizeof(took[0]), by_time);
			*p50 = (double)took[n / 2];
			*p99 = (double)took[n * 99 / 100];
		}
	}
	if (t->nfamily)
		on_core(t, 1);
}

static void report_times(void)
{
	static const size_t which[] = { KB1, KEPT, NEW };
	struct target direct = targets[PLAIN][NGINX];
	double base[2], p50[WHOS], p99[WHOS];
	char name[64];
	size_t i;
	int k;

	direct.nfamily = 0;
	direct.port = upstream_port[PLAIN];
	probe(&direct, KB1, PROBES, &base[0], &base[1]);
	heading("us added, one at a time", "must good reach for");
	for (i = 0; i < COUNT(which); i++) {
		const struct load *l = &loads[which[i]];

		for (k = 0; k < WHOS; k++) {
			p50[k] = p99[k] = 0;
			if (!takes_part((enum who)k, l->way) ||
			    lost[which[i]][k])
				continue;
			probe(&targets[l->way][k], which[i], k == PEER ||
			    l->way == TLS_NEW ? PROBES_FEW : PROBES, &p50[k],
			    &p99[k]);
			p50[k] -= p50[k] > 0 ? base[0] : 0;
			p99[k] -= p99[k] > 0 ? base[1] : 0;
		}
		snprintf(name, sizeof(name), "%.*s, p50",
		    (int)strcspn(l->name + 6, ",") + 6, l->name);
		if (i == 0)
			snprintf(name, sizeof(name), "1 KB, p50 (itself %.0f)",
			    base[0]);
		row(name, 0, p50, p50[OURS] / p50[NGINX],
		    i ? "" : "1.5  1.2  1.0");
		snprintf(name, sizeof(name), "     p99 (itself %.0f)",
		    base[1]);
		row(name, 0, p99, p99[OURS] / p99[NGINX], "");
	}
}

static void report_late(void)
{
	double p50[WHOS] = { 0 }, p99[WHOS] = { 0 };
	int k;

	for (k = 0; k < WHOS; k++) {
		size_t n = nlate[k];

		if (!n)
			continue;
		qsort(late[k], n, sizeof(late[k][0]), by_time);
		p50[k] = (double)late[k][n / 2];
		p99[k] = (double)late[k][n * 99 / 100];
	}
	row("event of 200 streams, p50", 0, p50, p50[OURS] / p50[NGINX],
	    "2.0  1.3  1.0");
	row("     p99", 0, p99, p99[OURS] / p99[NGINX], "");
}

static double calls_of(const struct target *t)
{
	char path[64], text[256], line[256];
	struct trial x = trial_of(t, KB1, t->who == PEER ? 100 : TRACED);
	double calls = -1;
	int64_t end = now_ms() + 5000;
	FILE *f;
	pid_t s;

	snprintf(path, sizeof(path), "%s/strace", dir);
	snprintf(text, sizeof(text), "exec strace -f -c -p %ld -o %s 2>%s.err",
	    (long)t->family[0], path, path);
	run("rm -f %s %s.err", path, path);
	s = fork();
	if (s == 0) {
		execl("/bin/sh", "sh", "-c", text, (char *)NULL);
		_exit(127);
	}
	/* It says when it holds the program. */
	snprintf(text, sizeof(text), "grep -qs attached %s.err", path);
	while (system(text) != 0 && now_ms() < end)
		usleep(20000);
	if (!right(&x, KB1))
		x.total = 0;
	kill(s, SIGINT);
	waitpid(s, NULL, 0);
	f = fopen(path, "r");
	/* The last line: share, seconds, us a call, calls, errors, total. */
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, " total\n"))
			(void)sscanf(line, "%*f %*f %*f %lf", &calls);
	if (f)
		fclose(f);
	return calls < 0 || !x.total ? -1 : calls / (double)x.total;
}

static double start_ms(enum who who)
{
	static const char ask[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
		"Connection: close\r\n\r\n";
	struct target t = targets[PLAIN][who];
	int64_t began;
	char byte;
	int fd;

	run("rm -rf %s/*%s", dir, "fresh");
	close(listen_free(&t.port));
	began = now_us();
	spawn(&t, "fresh");
	while ((fd = dial(t.port)) < 0) {
		if (now_us() - began > START_WAIT_MS * 1000)
			die(names[who]);
		usleep(100);
	}
	fcntl(fd, F_SETFL, 0);
	if (send(fd, ask, sizeof(ask) - 1, MSG_NOSIGNAL) < 0 ||
	    recv(fd, &byte, 1, 0) != 1)
		die(names[who]);
	began = now_us() - began;
	close(fd);
	target_stop(&t);
	return (double)began / 1000;
}

static void report_rest(void)
{
	double v[WHOS], starts[STARTS];
	int k, i, n;

	heading("", "must good reach for");
	for (k = 0; k < WHOS; k++)
		v[k] = (double)idle[k];
	row("kB (PSS) at rest", 0, v, v[OURS] / v[NGINX], "0.6  0.4  0.2");
	for (k = 0; k < WHOS; k++)
		v[k] = (double)fresh[k];
	row("kB (PSS) with 200 streams", 0, v, v[OURS] / v[NGINX],
	    "1.5  1.0  0.6");
	for (k = 0; k < WHOS; k++)
		v[k] = (double)pss[SLOW200][k];
	row("  after all loads, logs full", 0, v, v[OURS] / v[NGINX], "");
	for (k = 0; k < WHOS; k++)
		v[k] = binaries[k] ? calls_of(&targets[PLAIN][k]) : 0;
	row("system calls for 1 KB", 1, v, v[OURS] / v[NGINX],
	    "9    7.5  5.5 calls");
	for (k = 0; k < WHOS; k++) {
		n = k == PEER ? 1 : STARTS;
		for (i = 0; i < n && binaries[k]; i++)
			starts[i] = start_ms((enum who)k);
		v[k] = binaries[k] ? median(starts, n) : 0;
	}
	row("ms from start to answer", 1, v, v[OURS] / v[NGINX],
	    "9    5    3 ms");
}

/* ---- growth ------------------------------------------------------------- */

/* us of CPU for a request of this shape and size that wasn't seen before; it is
 * answered, or refused with an error of the right form. */
static double shape_us(const struct shape *s, size_t bytes, int *status)
{
	static size_t first = 10000000;
	struct trial x = { 0 };
	int64_t before = 0;
	size_t i, times = bytes > 1 << 20 ? 3 : 6;

	x.t = &targets[PLAIN][OURS];
	x.lanes = x.total = 1;
	x.refusable = 1;
	for (i = 0; i <= times; i++) {
		struct buf b = buf_on(body_text, sizeof(body_text));

		put_shape(&b, s, bytes, first);
		first += 1000000;
		x.text = make_request(&b, shape_room, sizeof(shape_room));
		if (i == 1)
			before = cpu_ns(x.t);	/* the first one warms up */
		(void)right(&x, KB1);
	}
	*status = x.status;
	return (double)(cpu_ns(x.t) - before) / 1000 / (double)times;
}

static void report_shapes(void)
{
	static const size_t sizes[] = { 64 << 10, 512 << 10, 4 << 20 };
	double us[COUNT(sizes)];
	size_t i, k;
	int status;

	printf("\n%-28s %8s %8s %8s %8s\n", "us of ours, by shape", "64 KB",
	    "512 KB", "4 MB", "growth");
	for (i = 0; i < COUNT(shapes); i++) {
		for (k = 0; k < COUNT(sizes); k++)
			us[k] = shape_us(&shapes[i], sizes[k], &status);
		printf("%-28s %8.0f %8.0f %8.0f %8.1f%s\n", shapes[i].name,
		    us[0], us[1], us[2], us[2] / us[1],
		    status == 200 ? "" : "   refused");
	}
	printf("growth: 4 MB to 512 KB; 8 is in step with the size\n");
}

static void report_growth(int rounds)
{
	static const size_t which[] = { SLOW1, SLOW50, SLOW200, SLOW450 };
	double v[WHOS] = { 0 };
	size_t i;
	int k;

	heading("us of an event, by streams", "");
	for (i = 0; i < COUNT(which); i++)
		report_cost(which[i], rounds);
	for (k = 0; k < PEER; k++)
		v[k] = (double)(full[k] - idle[k]) / LANES;
	row("kB of one open stream", 1, v, v[OURS] / v[NGINX], "");
}

static void start_all(void)
{
	int k, w;

	terminator_start();
	for (w = 0; w < WAYS; w++)
		for (k = 0; k < WHOS; k++) {
			struct trial x;

			if (!takes_part((enum who)k, (enum way)w))
				continue;
			target_start(&targets[w][k], (enum who)k, (enum way)w);
			x = trial_of(&targets[w][k], KB1, 1);
			(void)right(&x, KB1);
			if (w == PLAIN)
				idle[k] = pss_kb(&targets[w][k]);
		}
}

/* What a stream takes, before any other load has left memory behind. */
static void fill_once(void)
{
	int k;

	for (k = 0; k < WHOS; k++) {
		(void)measure(SLOW200, (enum who)k);
		fresh[k] = pss[SLOW200][k];
		if (k == PEER)
			continue;
		(void)measure(SLOW450, (enum who)k);
		full[k] = pss[SLOW450][k];
	}
}

static void rounds_of(int rounds, const char *only)
{
	size_t i;
	int r, k;

	for (r = 0; r < rounds; r++)
		for (i = 0; i < LOADS; i++)
			for (k = 0; k < WHOS; k++) {
				/* Who is first changes from round to round. */
				int who = (k + r) % WHOS;

				if (!only || strstr(loads[i].name, only))
					cost[i][who][r] = measure(i,
					    (enum who)who);
			}
}

static void clean(void)
{
	kill(upstream_pid, SIGKILL);
	(void)!chdir("/");
	run("rm -rf %s%s", dir, "");
}

int main(int argc, char **argv)
{
	int rounds = argc > 3 ? atoi(argv[3]) : 3;
	const char *only = argc > 4 ? argv[4] : NULL;
	static char bare[512];
	struct rlimit files;
	size_t i;

	if (argc < 3 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: bench PROGRAM NGINX [ROUNDS [LOAD]]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	binaries[OURS] = argv[1];
	binaries[NGINX] = argv[2];
	/* Stands beside this one: bench, but for the name. */
	snprintf(bare, sizeof(bare), "%.*sbare", (int)strlen(argv[0]) - 5,
	    argv[0]);
	binaries[BARE] = bare;
	binaries[PEER] = getenv("PEER");
	node = getenv("NODE");
	if (!node)
		binaries[PEER] = NULL;
	if (!mkdtemp(dir))
		die(dir);
	for (i = 0; i < LANES; i++)
		lanes[i].fd = -1;
	for (i = 0; i < LOADS; i++)
		make_load(i);
	pin(0, 0);
	upstream_port[PLAIN] = upstream_start();
	atexit(clean);
	start_all();
	if (!only)
		fill_once();
	rounds_of(rounds, only);
	heading("us of CPU, each request", "must good reach for");
	for (i = 0; i < LOADS; i++) {
		if (i == ONE)
			heading("us of CPU, each event", "must good reach for");
		if (i <= SLOW200 || only)
			report_cost(i, rounds);
	}
	if (only) {			/* one load, to look into */
		if (nlate[OURS])
			report_late();
		if (strcmp(only, "one at a time") == 0)
			report_times();
		/* Not killed: callgrind writes what it saw at the end. */
		for (i = 0; i < WAYS; i++)
			target_stop(&targets[i][OURS]);
		return 0;
	}
	report_times();
	report_late();
	report_rest();
	report_growth(rounds);
	report_shapes();
	for (i = 0; i < LOADS; i++)
		if (lost[i][PEER])
			printf("void: %s\n", lost[i][PEER]);
	printf("every answer of ours and of nginx was right\n");
	return 0;
}
