/* sandbox.h -- rights given up once they aren't needed any more.
 *
 * The process that serves reads bytes of strangers and holds the keys. When
 * all it needs is open, it gives up everything else: starting programs or
 * processes, opening files, listening, debugging, other kinds of sockets, other
 * ports. On Linux by seccomp and Landlock, as far as the kernel has them;
 * elsewhere nothing happens and sandbox_text says so. What is given up can't be
 * taken back, and a call that is barred fails like any other.
 *
 * SPDX-License-Identifier: MIT */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "../base/base.h"

/* What is in force. */
enum {
	SANDBOX_PRIVS = 1,	/* no program gains rights: no_new_privs */
	SANDBOX_CALLS = 2,	/* system calls are sifted: seccomp */
	SANDBOX_FILES = 4,	/* files: Landlock */
	SANDBOX_PORTS = 8	/* TCP ports: Landlock 4 */
};

enum { SANDBOX_PORTS_MAX = 16 };

/* At the start of every process of ours, before keys are read: no core files,
 * no debugger of the same user, new files for the owner alone. */
void sandbox_begin(void);

/* For the process that serves, when listeners and roots are open and its
 * children have their keepers. ports: where connections may be made to; NULL:
 * to any. Returns what is in force. */
unsigned sandbox_serve(const unsigned *ports, size_t n);

/* For the process that watches over several that serve: beyond what they may,
 * it starts them and ends them, and reads files, as they do before they give up
 * that right. ports: as theirs, who get no more. */
unsigned sandbox_watch(const unsigned *ports, size_t n);

/* For the process that writes the log: files, but no sockets of its own and no
 * programs. */
unsigned sandbox_store(void);

/* For a helper that only looks up names: it may read files, as the resolver
 * does, but not write any nor start programs. */
unsigned sandbox_resolve(void);

/* "seccomp, Landlock (files, ports)", or "none". */
void sandbox_text(struct buf *b, unsigned rights);

#endif
