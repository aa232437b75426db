# claudecodex: needs a C compiler and GNU make. "make help" lists the targets.
#
# SPDX-License-Identifier: MIT
ifeq ($(origin CC),default)
CC = cc
endif
HOSTCC ?= cc
MUSL_CC ?= musl-gcc
B ?= build
PREFIX ?= /usr/local
CFLAGS ?= -O2 -g
FUZZ_SECONDS ?= 30
# The whole server is slow to fuzz and wants hours: make fuzz FUZZERS=server
FUZZERS ?= $(filter-out server,$(notdir $(FUZZ)))
MINUTES ?= 60
Q = $(if $(V),,@echo "  $@";)	# make V=1 shows the commands
# All cores, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(findstring j,$(firstword -$(MAKEFLAGS))),0)
MAKEFLAGS += -j$(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
endif

STD = -std=c11 -D_POSIX_C_SOURCE=200809L
WARN = -pedantic -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wwrite-strings -Wundef -Wcast-qual \
	-Wpointer-arith -fno-common
# Hardening, as far as this compiler knows it.
ok = $(shell echo 'int main(void){return 0;}' | \
	$(CC) -Werror $1 -x c -o /dev/null - 2>/dev/null && echo '$1')
WISH = -fstack-protector-strong -fstack-clash-protection -fcf-protection \
	-fPIE -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack
HARDEN ?= $(foreach f,$(WISH),$(call ok,$f)) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
# SMALL=1: a program without dependencies, in as few bytes as this compiler can.
ifdef SMALL
SIZE := $(or $(call ok,-Oz),-Os) -fno-expensive-optimizations
HARDEN = -fstack-protector-strong
CFLAGS = $(SIZE) -ffunction-sections -fdata-sections -fno-pie \
	-fno-asynchronous-unwind-tables
LDFLAGS = -static -no-pie -s -Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack
endif
HARDEN := $(HARDEN)
LINKFLAGS = $(filter -pie -Wl%,$(HARDEN)) $(LDFLAGS)
COMPILE = $(CC) $(STD) $(WARN) $(filter-out $(LINKFLAGS),$(HARDEN)) \
	$(CPPFLAGS) $(CFLAGS) $(SPEED) -MMD -MP
JSMN = -isystem vendor/jsmn
BEARSSL = -isystem vendor/bearssl/inc
BEARSSL_A ?= $(B)/libbearssl.a

SRC = $(sort $(wildcard src/*/*.c)) src/main.c
OBJ = $(SRC:src/%.c=$(B)/obj/%.o)
PURE = $(filter $(foreach f,base wire core backend,$(B)/obj/$f/%),$(OBJ))
WEB = $(wildcard src/web/*)
WEB_H = $(B)/web.h
program = $(patsubst tests/%.c,$(B)/tests/%,$(sort $(wildcard $1)))
UNIT = $(call program,tests/unit/*.c)
GOLDEN = $(call program,tests/golden/run.c)
FUZZ = $(filter-out %/replay,$(call program,tests/fuzz/*.c))
LIVE = $(call program,$(shell grep -l '^int main' tests/live/*.c 2>/dev/null))
INTEROP = $(call program,tests/interop/*.c)
BENCH = $(call program,tests/bench/*.c)
SOAK = $(call program,tests/soak/*.c)
FETCHED = vendor/bearssl/.sha256 vendor/jsmn/.sha256
SUBMAKE = +@$(MAKE) --no-print-directory

all: $(B)/claudecodex ## build/claudecodex, with the system's compiler

$(B)/claudecodex: $(OBJ) $(BEARSSL_A)
	$(Q)$(CC) $(CFLAGS) -o $@ $(OBJ) $(BEARSSL_A) $(LINKFLAGS) $(LIBS)

# A library is seen by one part, and only that part is told where it lies.
TLS = tls tls_address tls_roots tls_text
$(B)/obj/wire/json.o: private CPPFLAGS += $(JSMN)
$(TLS:%=$(B)/obj/net/%.o): private CPPFLAGS += $(BEARSSL)
$(B)/obj/monitor/page.o: private CPPFLAGS += -I$(B)
$(B)/obj/%.o: src/%.c Makefile | $(FETCHED) $(WEB_H)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

$(B)/web.h: $(WEB) $(B)/embed
	@$(B)/embed $(WEB) >$@.tmp && mv $@.tmp $@
$(B)/embed: tools/embed.c
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -O1 -o $@ $<

vendor/jsmn/.sha256: | vendor/bearssl/.sha256
$(FETCHED):
	@vendor/fetch
$(B)/libbearssl.a: vendor/bearssl/.sha256 vendor/Makefile
	@echo "  $@ (277 files)"
	$(SUBMAKE) -s -f vendor/Makefile OUT=$(B) CC='$(CC)' AR='$(AR)' \
		HARDEN='$(filter -fPIE -fstack-protector%,$(HARDEN))' SIZE='$(SIZE)'

libclaudecodex.a: $(B)/libclaudecodex.a ## the pure floors as a library, to embed
$(B)/libclaudecodex.a: $(PURE)
	@rm -f $@
	$(Q)$(AR) rcs $@ $(PURE)

# Where the time of a request goes is built for speed in small programs too.
HOT = base/% wire/json.o wire/jstr.o wire/sse.o wire/http.o wire/eventstream.o \
	wire/sha256.o core/alike.o core/answer.o core/block.o core/estimate.o \
	core/event.o backend/openai_decode.o backend/openai_chunk.o \
	backend/openai_text.o monitor/redact.o monitor/live.o proxy/serve.o \
	net/loop.o net/sock.o net/tls.o
$(filter $(HOT:%=$(B)/obj/%),$(OBJ)): private SPEED = \
	$(if $(SMALL),-O2 -fexpensive-optimizations)

static: ## build/static/claudecodex: one stripped file without dependencies; musl
	@command -v $(MUSL_CC) >/dev/null || { echo "make static needs" \
		"$(MUSL_CC): on Debian it is in the package musl-tools"; exit 1; }
	$(SUBMAKE) all B=$(B)/static CC=$(MUSL_CC) SMALL=1
	@size $(B)/static/claudecodex

release: static $(LIVE) ## static binaries for arm64, armhf, mipsel, s390x, tried under qemu
	+@MAKE='$(MAKE) --no-print-directory' tools/release $(B) $(ARCHS)

run: $(B)/claudecodex ## build and start in the foreground; unconfigured, the demo answers
	@exec tools/run $(B)/claudecodex $(ARGS)

# A test includes the .c under test, finds the pure floors in their library, and
# names what else it needs in a line of its own: /* link: net/sock.c */
links = $(patsubst %.c,$(B)/obj/%.o,$(shell \
	sed -n 's|^/\* link: \(.*\) \*/$$|\1|p' $1))
$(B)/tests/%.o: tests/%.c Makefile | $(FETCHED) $(WEB_H)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) $(JSMN) $(BEARSSL) -I$(B) -c -o $@ $<
.SECONDEXPANSION:
REPLAY = $(B)/tests/fuzz/replay.o
$(FUZZ): $$(REPLAY)
# The whole server but what that target replaces, and all of its configuration.
SERVER = $(filter-out $(B)/obj/main.o $(PURE),$(OBJ))
$(B)/tests/fuzz/server: $(filter-out $(addprefix \
	$(B)/obj/net/,sock.o loop.o helper.o),$(SERVER))
$(B)/tests/fuzz/config: $(SERVER)
$(UNIT) $(GOLDEN) $(FUZZ) $(LIVE) $(INTEROP) $(BENCH) $(SOAK): $(B)/tests/%: $(B)/tests/%.o \
		$$(call links,tests/$$*.c) $(B)/libclaudecodex.a $(BEARSSL_A)
	$(Q)$(CC) $(CFLAGS) -o $@ $(sort $(filter %.o,$^)) $(B)/libclaudecodex.a \
		$(BEARSSL_A) $(LINKFLAGS) $(LIBS)

unit: $(UNIT) ## tests/unit alone; make build/tests/unit/NAME builds one
	@tools/runtests $(B)/log $(UNIT)

# Those that run on any processor, and under qemu-user (tools/release).
PORTABLE = $(UNIT) $(GOLDEN) \
	$(foreach f,$(FUZZ),'$f tests/fuzz/corpus/$(notdir $f)')
portable: all $(UNIT) $(GOLDEN) $(FUZZ)
	@tools/runtests $(B)/log $(PORTABLE)

test: all $(UNIT) $(GOLDEN) $(FUZZ) $(LIVE) ## all tests that need only a C compiler and make
	@tools/runtests $(B)/log tools/floors 'tools/documented $(B)/claudecodex' \
		$(if $(SANITIZE),,'tools/pure $(B)/obj') \
		$(PORTABLE) $(foreach f,$(LIVE),'$f $(B)/claudecodex')

check: $(BEARSSL_A) ## the same tests under ASan and UBSan; warnings are errors
	$(SUBMAKE) test B=$(B)/check BEARSSL_A=$(BEARSSL_A) HARDEN= SANITIZE=1 \
		CFLAGS='-O1 -g -Werror -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'

lint: $(WEB_H) | $(FETCHED) ## warnings of gcc and clang, cppcheck, clang-tidy, floors
	@CC=$(CC) tools/lint '$(STD) $(WARN) $(JSMN) $(BEARSSL) -I$(B)'

fuzz: $(BEARSSL_A) ## libFuzzer on each target for FUZZ_SECONDS; needs clang
	@command -v clang >/dev/null || { echo "make fuzz needs clang"; exit 1; }
	$(SUBMAKE) fuzzers B=$(B)/fuzz BEARSSL_A=$(BEARSSL_A) CC=clang HARDEN= \
		REPLAY= LDFLAGS=-fsanitize=fuzzer CFLAGS='-O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
	@tools/fuzz $(B)/fuzz $(FUZZ_SECONDS) $(FUZZERS)
fuzzers: $(FUZZ)

coverage: $(BEARSSL_A) ## lines that the fuzzers' inputs reach; needs clang and llvm
	$(SUBMAKE) fuzzers B=$(B)/coverage BEARSSL_A=$(BEARSSL_A) CC=clang \
		HARDEN= REPLAY= LDFLAGS=-fsanitize=fuzzer CFLAGS='-O1 -g -fsanitize=fuzzer-no-link -fprofile-instr-generate -fcoverage-mapping'
	@tools/coverage $(B)/coverage $(B)/fuzz $(notdir $(FUZZ))

interop: all $(INTEROP) ## real clients and services from npm and Debian; installs them
	@tests/interop/run

bench: all $(BENCH) ## CPU, memory and time beside nginx and another translator; installs them
	@tools/bench $(B) $(ROUNDS)

faults: all $(B)/tests/live/faults ## every system call fails in turn with every error it can give
	@$(B)/tests/live/faults $(B)/claudecodex 1 all

soak: all $(SOAK) ## MINUTES of requests while one connection in a hundred is cut
	@$(B)/tests/soak/soak $(B)/claudecodex $(MINUTES) $(RATE)

size: all ## lines of functions and files, bytes of the programs
	@tools/size $(B)/claudecodex $(B)/static/claudecodex

install: all ## to DESTDIR/PREFIX/bin; PREFIX is /usr/local
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 755 $(B)/claudecodex '$(DESTDIR)$(PREFIX)/bin/claudecodex'

clean: ## remove what was built; fetched sources stay
	rm -rf $(B)

help: ## this list
	@sed -n 's/^\([a-z.]*\):.*## \(.*\)/\1:\2/p' Makefile | \
		awk '{ i = index($$0, ":"); printf "make %-16s %s\n", \
		substr($$0, 1, i - 1), substr($$0, i + 1) }'

.PHONY: all libclaudecodex.a static release run unit portable test check lint fuzz \
	fuzzers coverage interop bench faults soak size install clean help
.DELETE_ON_ERROR:
-include $(OBJ:.o=.d) $(patsubst %,%.d,$(UNIT) $(GOLDEN) $(FUZZ) $(LIVE) $(INTEROP) $(BENCH) $(SOAK)) \
	$(B)/tests/fuzz/replay.d
