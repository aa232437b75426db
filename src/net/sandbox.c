/* sandbox.c -- rights given up once they aren't needed any more.
 *
 * Tables of system calls: what the serving process and the log's may still do,
 * and what a resolver may not. The numbers and structures of seccomp and Landlock are
 * written out here, as a libc for small systems brings no headers of the
 * kernel's. A call that is barred fails with EPERM instead of ending the
 * process: a libc that uses one we don't know of should cost an answer, not
 * months of running.
 *
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE		/* syscall */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#endif

#include "sandbox.h"

/* Sanitizers start processes and read files of their own. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

void sandbox_begin(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	umask(077);
#ifdef __linux__
	if (!SANITIZED)
		(void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

void sandbox_text(struct buf *b, unsigned rights)
{
	buf_put(b, rights & SANDBOX_CALLS ? S("seccomp") : S(""));
	if (rights & SANDBOX_FILES) {
		buf_put(b, rights & SANDBOX_CALLS ? S(", ") : S(""));
		buf_put(b, rights & SANDBOX_PORTS ?
		    S("Landlock (files, ports)") : S("Landlock (files)"));
	}
	if (!(rights & (SANDBOX_CALLS | SANDBOX_FILES)))
		buf_put(b, SANITIZED ? S("none (a build with sanitizers)") :
		    S("none (this system has neither seccomp nor Landlock)"));
}

#ifndef __linux__

unsigned sandbox_serve(const unsigned *ports, size_t n)
{
	(void)ports;
	(void)n;
	return 0;
}

unsigned sandbox_watch(const unsigned *ports, size_t n)
{
	(void)ports;
	(void)n;
	return 0;
}

unsigned sandbox_store(void)
{
	return 0;
}

unsigned sandbox_resolve(void)
{
	return 0;
}

#else

/* ---- seccomp ---- */

/* The kernel's name for this processor; 0: not known here, so no filter, as
 * numbers of another one would mean other calls. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define ARCH 0xc000003e
#elif defined(__i386__)
#define ARCH 0x40000003
#elif defined(__aarch64__) && defined(__LP64__)
#define ARCH 0xc00000b7
#elif defined(__arm__) && defined(__ARMEL__) && defined(__ARM_EABI__)
#define ARCH 0x40000028
#elif defined(__mips__) && _MIPS_SIM == _ABIO32 && defined(__MIPSEL__)
#define ARCH 0x40000008
#elif defined(__mips__) && _MIPS_SIM == _ABIO32
#define ARCH 0x00000008
#elif defined(__s390x__)
#define ARCH 0x80000016
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH 0xc00000f3
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define ARCH 0xc0000015
#else
#define ARCH 0
#endif

/* Berkeley packet filter, of which this is all that is needed. */
struct filter {
	uint16_t code;
	uint8_t yes, no;
	uint32_t k;
};

struct program {
	unsigned short n;
	struct filter *code;
};

enum {
	LOAD = 0x20, JUMP_EQUAL = 0x15, JUMP_SET = 0x45, RETURN = 0x06,
	NUMBER = 0, ARCHITECTURE = 4, ARGUMENTS = 16,	/* of seccomp_data */
	MODE_FILTER = 2,
	WRITES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC,
	FILTER_MAX = 400
};

#define ALLOW 0x7fff0000u
#define BAR (0x00050000u | EPERM)

static int add(struct program *p, unsigned code, uint32_t k, unsigned yes,
    unsigned no)
{
	if (p->n == FILTER_MAX)
		return E_FULL;
	p->code[p->n++] = (struct filter){ (uint16_t)code, (uint8_t)yes,
	    (uint8_t)no, k };
	return OK;
}

/* The lower half of an argument. */
static uint32_t argument(unsigned i)
{
	const union { uint32_t whole; unsigned char first; } one = { 1 };

	return ARGUMENTS + 8 * i + (one.first ? 0 : 4);
}

static void begin(struct program *p)
{
	add(p, LOAD, ARCHITECTURE, 0, 0);
	add(p, JUMP_EQUAL, ARCH, 1, 0);
	add(p, RETURN, BAR, 0, 0);
	add(p, LOAD, NUMBER, 0, 0);
}

static void rule(struct program *p, long number, uint32_t verdict)
{
	add(p, JUMP_EQUAL, (uint32_t)number, 0, 1);
	add(p, RETURN, verdict, 0, 0);
}

/* Allowed when argument i is one of two. */
static void rule_among(struct program *p, long number, unsigned i, uint32_t a,
    uint32_t b)
{
	add(p, JUMP_EQUAL, (uint32_t)number, 0, 5);
	add(p, LOAD, argument(i), 0, 0);
	add(p, JUMP_EQUAL, a, 1, 0);
	add(p, JUMP_EQUAL, b, 0, 1);
	add(p, RETURN, ALLOW, 0, 0);
	add(p, RETURN, BAR, 0, 0);
}

/* Allowed when argument i has none of these bits. */
static void rule_without(struct program *p, long number, unsigned i,
    uint32_t bits)
{
	add(p, JUMP_EQUAL, (uint32_t)number, 0, 4);
	add(p, LOAD, argument(i), 0, 0);
	add(p, JUMP_SET, bits, 1, 0);
	add(p, RETURN, ALLOW, 0, 0);
	add(p, RETURN, BAR, 0, 0);
}

static unsigned install(struct program *p)
{
	if (ARCH == 0 || p->n == FILTER_MAX ||
	    prctl(PR_SET_SECCOMP, MODE_FILTER, p) != 0)
		return 0;
	return SANDBOX_CALLS;
}

/* Landlock's numbers are the same on every processor, on MIPS above its own
 * base. */
#ifndef SYS_landlock_create_ruleset
#if defined(__mips__)
#define CALL_BASE 4000
#else
#define CALL_BASE 0
#endif
#define SYS_landlock_create_ruleset (CALL_BASE + 444)
#define SYS_landlock_add_rule (CALL_BASE + 445)
#define SYS_landlock_restrict_self (CALL_BASE + 446)
#endif

/* What waiting, moving bytes and the end of a process need. The same thing
 * has several names: 32-bit systems have calls for 64-bit times and
 * sizes, newer systems for what older ones did by another. */
static const long common[] = {
	SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_close,
#ifdef SYS_recv
	SYS_recv, SYS_send,
#endif
#ifdef SYS_recvfrom
	SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg,
#endif
#ifdef SYS_socketcall
	SYS_socketcall,
#endif
#ifdef SYS_select
	SYS_select,
#endif
#ifdef SYS__newselect
	SYS__newselect,
#endif
	SYS_pselect6,
#ifdef SYS_pselect6_time64
	SYS_pselect6_time64,
#endif
#ifdef SYS_poll
	SYS_poll,
#endif
	SYS_ppoll,
#ifdef SYS_ppoll_time64
	SYS_ppoll_time64,
#endif
	SYS_fcntl,
#ifdef SYS_fcntl64
	SYS_fcntl64,
#endif
#ifdef SYS_clock_gettime
	SYS_clock_gettime, SYS_clock_nanosleep,
#endif
#ifdef SYS_clock_gettime32
	SYS_clock_gettime32,
#endif
#ifdef SYS_clock_gettime64
	SYS_clock_gettime64, SYS_clock_nanosleep_time64,
#endif
#ifdef SYS_gettimeofday
	SYS_gettimeofday,
#endif
#ifdef SYS_gettimeofday_time32
	SYS_gettimeofday_time32,
#endif
#ifdef SYS_time
	SYS_time,
#endif
	SYS_nanosleep, SYS_getrandom, SYS_madvise, SYS_munmap, SYS_brk,
#ifdef SYS_fstat
	SYS_fstat,
#endif
#ifdef SYS_fstat64
	SYS_fstat64,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64
	SYS_fstatat64,
#endif
#ifdef SYS_statx
	SYS_statx,
#endif
#ifdef SYS_lseek
	SYS_lseek,
#endif
#ifdef SYS__llseek
	SYS__llseek,
#endif
#ifdef SYS_ftruncate
	SYS_ftruncate,
#endif
#ifdef SYS_ftruncate64
	SYS_ftruncate64,
#endif
	SYS_pread64, SYS_pwrite64, SYS_fsync, SYS_fdatasync, SYS_flock,
	SYS_getdents64, SYS_getpid, SYS_gettid, SYS_getppid,
	SYS_getuid, SYS_geteuid,
#ifdef SYS_getuid32
	SYS_getuid32, SYS_geteuid32,
#endif
	SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
	SYS_restart_syscall,
#ifdef SYS_sigreturn
	SYS_sigreturn,
#endif
#ifdef SYS_futex
	SYS_futex,
#endif
	SYS_exit, SYS_exit_group
};

static const long serving[] = {
#ifdef SYS_connect
	SYS_connect, SYS_getsockopt, SYS_setsockopt, SYS_getsockname,
	SYS_getpeername, SYS_shutdown, SYS_socketpair,
#endif
#ifdef SYS_accept
	SYS_accept,
#endif
#ifdef SYS_accept4
	SYS_accept4,
#endif
	/* The keepers are waited for. */
	SYS_wait4,
#ifdef SYS_waitid
	SYS_waitid,
#endif
#ifdef SYS_waitpid
	SYS_waitpid,
#endif
};

/* Beyond that, and opening files to read them. A worker gives up its rights
 * after it was forked, and has by then opened what tells its memory. */
static const long watching[] = {
	SYS_clone, SYS_kill, SYS_tgkill, SYS_prctl, SYS_set_robust_list,
	SYS_set_tid_address,
#ifdef SYS_clone3
	SYS_clone3,
#endif
#ifdef SYS_fork
	SYS_fork,
#endif
#ifdef SYS_rseq
	SYS_rseq,
#endif
	SYS_landlock_create_ruleset, SYS_landlock_add_rule,
	SYS_landlock_restrict_self
};

static const long storing[] = {
	SYS_openat, SYS_mkdirat, SYS_unlinkat, SYS_dup,
#ifdef SYS_open
	SYS_open, SYS_mkdir,
#endif
#ifdef SYS_renameat
	SYS_renameat,
#endif
#ifdef SYS_renameat2
	SYS_renameat2,
#endif
#ifdef SYS_unlink
	SYS_unlink, SYS_rename,
#endif
};

/* What nobody who looks up names has a use for. */
static const long not_resolving[] = {
	SYS_execve,
#ifdef SYS_execveat
	SYS_execveat,
#endif
	SYS_ptrace, SYS_mount, SYS_umount2, SYS_chroot, SYS_pivot_root,
	SYS_process_vm_readv, SYS_process_vm_writev, SYS_init_module,
	SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon,
	SYS_setuid, SYS_setgid, SYS_setresuid, SYS_setresgid, SYS_unshare,
#ifdef SYS_bpf
	SYS_bpf,
#endif
#ifdef SYS_userfaultfd
	SYS_userfaultfd,
#endif
#ifdef SYS_perf_event_open
	SYS_perf_event_open,
#endif
#ifdef SYS_io_uring_setup
	SYS_io_uring_setup,
#endif
#ifdef SYS_keyctl
	SYS_keyctl, SYS_add_key,
#endif
#ifdef SYS_listen
	SYS_listen,
#endif
};

/* What everybody may, a table of one's own, and one more. */
static unsigned sift(const long *own, size_t n, const long *more, size_t nmore,
    int sockets)
{
	struct filter code[FILTER_MAX];
	struct program p = { 0, code };
	size_t i;

	begin(&p);
	for (i = 0; i < COUNT(common); i++)
		rule(&p, common[i], ALLOW);
	for (i = 0; i < n; i++)
		rule(&p, own[i], ALLOW);
	for (i = 0; i < nmore; i++)
		rule(&p, more[i], ALLOW);
	if (nmore) {
		rule_without(&p, SYS_openat, 2, WRITES);
#ifdef SYS_open
		rule_without(&p, SYS_open, 1, WRITES);
#endif
	}
#ifdef SYS_socket
	if (sockets)
		rule_among(&p, SYS_socket, 0, AF_INET, AF_INET6);
#endif
	/* Memory, but never such that holds code. */
#ifdef SYS_mmap
	rule_without(&p, SYS_mmap, 2, PROT_EXEC);
#endif
#ifdef SYS_mmap2
	rule_without(&p, SYS_mmap2, 2, PROT_EXEC);
#endif
	rule_without(&p, SYS_mprotect, 2, PROT_EXEC);
	/* abort() signals its own process. */
	rule_among(&p, SYS_tgkill, 0, (uint32_t)getpid(), (uint32_t)getpid());
	add(&p, RETURN, BAR, 0, 0);
	return install(&p);
}

static unsigned sift_resolving(void)
{
	struct filter code[FILTER_MAX];
	struct program p = { 0, code };
	size_t i;

	begin(&p);
	for (i = 0; i < COUNT(not_resolving); i++)
		rule(&p, not_resolving[i], BAR);
	add(&p, RETURN, ALLOW, 0, 0);
	return install(&p);
}

/* ---- Landlock ---- */

enum {
	FS_EXECUTE = 1, FS_READ_FILE = 4, FS_READ_DIR = 8, FS_REFER = 1 << 13,
	FS_TRUNCATE = 1 << 14, FS_IOCTL = 1 << 15,
	FS_FIRST = (1 << 13) - 1,	/* all that version 1 knows */
	FS_READS = FS_READ_FILE | FS_READ_DIR,
	NET_BIND = 1, NET_CONNECT = 2,
	SCOPE_ALL = 3,			/* abstract sockets, signals */
	ASK_VERSION = 1, OF_PORT = 2
};

struct ruleset {
	uint64_t fs, net, scope;
};

struct port_rule {
	uint64_t allowed, port;
};

static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
	    ASK_VERSION);
}

/* Every right over files that this kernel can take away. */
static uint64_t all_rights(long version)
{
	uint64_t all = FS_FIRST;

	if (version >= 2)
		all |= FS_REFER;
	if (version >= 3)
		all |= FS_TRUNCATE;
	if (version >= 5)
		all |= FS_IOCTL;
	return all;
}

static int new_ruleset(struct ruleset *r, long version)
{
	/* Older kernels know the first members only. */
	size_t n = version >= 6 ? sizeof *r : version >= 4 ? 16 : 8;

	return (int)syscall(SYS_landlock_create_ruleset, r, n, 0);
}

static int allow_ports(int rules, const unsigned *ports, size_t n)
{
	struct port_rule r = { NET_CONNECT, 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		r.port = ports[i];
		if (syscall(SYS_landlock_add_rule, rules, OF_PORT, &r, 0) != 0)
			return E_FAULT;
	}
	return OK;
}

/* Enforces the rules; the descriptor is closed either way. */
static unsigned enforce(int rules, unsigned rights)
{
	long r = syscall(SYS_landlock_restrict_self, rules, 0);

	close(rules);
	return r == 0 ? rights : 0;
}

/* Takes these rights over files away, and over ports all but those. */
static unsigned lock(uint64_t files, int net, const unsigned *ports, size_t n)
{
	long version = landlock_version();
	struct ruleset r = { files & all_rights(version), 0, 0 };
	unsigned rights = SANDBOX_FILES;
	int rules;

	if (version < 1)
		return 0;
	if (version >= 4) {
		r.net = (uint64_t)net;
		rights |= net & NET_CONNECT ? SANDBOX_PORTS : 0;
	}
	if (version >= 6 && files & FS_READ_FILE)
		r.scope = SCOPE_ALL;
	rules = new_ruleset(&r, version);
	if (rules < 0)
		return 0;
	if (ports && r.net && allow_ports(rules, ports, n) != OK) {
		close(rules);
		return 0;
	}
	return enforce(rules, rights);
}

/* ---- both ---- */

static unsigned no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? SANDBOX_PRIVS : 0;
}

static unsigned serve(uint64_t files, const unsigned *ports, size_t n,
    const long *more, size_t nmore)
{
	unsigned rights = SANITIZED ? 0 : no_new_privs();

	if (!rights)
		return 0;
	/* Landlock first: its calls are not among those that are left. */
	rights |= lock(files, ports ? NET_BIND | NET_CONNECT :
	    NET_BIND, ports, n);
	return rights | sift(serving, COUNT(serving), more, nmore, 1);
}

unsigned sandbox_serve(const unsigned *ports, size_t n)
{
	return serve(~(uint64_t)0, ports, n, NULL, 0);
}

unsigned sandbox_watch(const unsigned *ports, size_t n)
{
	return serve(~(uint64_t)FS_READ_FILE, ports, n, watching,
	    COUNT(watching));
}

unsigned sandbox_store(void)
{
	unsigned rights = SANITIZED ? 0 : no_new_privs();

	if (!rights)
		return 0;
	rights |= lock(FS_EXECUTE, NET_BIND | NET_CONNECT, NULL, 0);
	return rights | sift(storing, COUNT(storing), NULL, 0, 0);
}

unsigned sandbox_resolve(void)
{
	unsigned rights = SANITIZED ? 0 : no_new_privs();

	if (!rights)
		return 0;
	/* The resolver opens its files and sockets as it likes. */
	rights |= lock(~(uint64_t)(FS_READS | FS_IOCTL), NET_BIND, NULL, 0);
	return rights | sift_resolving();
}

#endif
