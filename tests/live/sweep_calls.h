/* sweep_calls.h -- the system calls the program makes, for tests/live/faults.c
 * and sweep_shim.c: what `nm -D --undefined-only` shows of them, without those
 * that can't fail or whose failure nobody looks at.
 *
 * SPDX-License-Identifier: MIT */
#define SWEEP_CALLS(X) \
	X(accept) X(bind) X(close) X(connect) X(dup) X(dup2) X(fcntl) \
	X(fdopendir) X(flock) X(fork) X(fstat) X(fstatat) X(fsync) \
	X(ftruncate) X(getpeername) X(getrandom) X(getsockname) \
	X(getsockopt) X(ioctl) X(kill) X(listen) X(madvise) X(mkdir) \
	X(mkdirat) X(mmap) X(munmap) X(nanosleep) X(open) X(openat) X(poll) \
	X(prctl) X(pread) X(read) X(readdir) X(recv) X(recvmsg) X(rename) \
	X(renameat) X(select) X(send) X(sendmsg) X(setpgid) X(setrlimit) \
	X(setsockopt) X(shutdown) X(sigaction) X(sigprocmask) X(socket) \
	X(socketpair) X(stat) X(syscall) X(unlink) X(unlinkat) X(waitpid) \
	X(write)

#define SWEEP_ENUM(NAME) CALL_##NAME,
enum sweep_call { SWEEP_CALLS(SWEEP_ENUM) CALLS };

enum { SWEEP_MAIN, SWEEP_CHILDREN, SWEEP_ROLES };

/* In a file that both map. */
struct sweep {
	unsigned count[SWEEP_ROLES][CALLS];	/* calls made */
	unsigned injected;
};
