# SPDX-License-Identifier: GPL-2.0-or-later
# Build, install and test drbdfs. `make help` lists the targets.
B ?= build
PREFIX ?= /usr/local
DESTDIR ?=
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

VERSION := 0.1.0

CSTD := -std=gnu11
WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wvla -Wpointer-arith -Wwrite-strings -Werror
OPT ?= -O2 -g
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2
# SAN=address|thread|undefined builds everything with that sanitizer (address implies undefined).
ifeq ($(SAN),address)
SANFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifneq ($(SAN),)
SANFLAGS := -fsanitize=$(SAN) -fno-omit-frame-pointer
endif
ifneq ($(SAN),)
HARDEN :=
OPT := -O1 -g
# gcc sees through less of the code when it is instrumented.
WARN += -Wno-maybe-uninitialized
endif

# Only asked for when a link needs it, so that `make deps` works on a bare machine.
PKG_CFLAGS = $(shell pkg-config --cflags fuse3 libevent libcurl libconfig jansson libssl libcrypto 2>/dev/null)
LIBS_DAEMON = $(shell pkg-config --libs fuse3 libevent libconfig jansson libssl libcrypto) -pthread
LIBS_CTL = $(shell pkg-config --libs libcurl libconfig jansson libcrypto) -pthread
LIBS_TEST = $(shell pkg-config --libs fuse3 libevent libcurl libconfig jansson libssl libcrypto criterion) -pthread

CPPFLAGS += -Isrc -D_GNU_SOURCE -DDRBDFS_VERSION='"$(VERSION)"'
CFLAGS += $(CSTD) $(OPT) $(WARN) $(HARDEN) $(SANFLAGS) -fPIE -pthread
LDFLAGS += $(SANFLAGS) -pie -Wl,-z,relro,-z,now

# Link order: users before the used.
LIBNAMES := api conf net disk core wire meta proto base
LIBFILES := $(foreach l,$(LIBNAMES),$(B)/lib$(l).a)

objs = $(patsubst %.c,$(B)/%.o,$(1))

.PHONY: all
all: $(B)/drbdfs $(B)/drbdctl

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(CFLAGS_$(subst /,_,$(dir $<))) -MMD -MP -c $< -o $@

define LIB_RULE
$(B)/lib$(1).a: $$(call objs,$$(wildcard src/$(1)/*.c))
	@mkdir -p $$(@D)
	@echo "  AR      $$@"
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
endef
$(foreach l,$(LIBNAMES),$(eval $(call LIB_RULE,$(l))))

$(B)/drbdfs: $(call objs,$(wildcard daemon/*.c)) $(LIBFILES)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(LIBFILES) -Wl,--end-group $(LIBS_DAEMON)

$(B)/drbdctl: $(call objs,$(wildcard cli/*.c)) $(LIBFILES)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(LIBFILES) -Wl,--end-group $(LIBS_CTL)

# One program per file in tests/unit (Criterion), tests/property and tests/threads (plain main).
TESTLIB := $(call objs,$(wildcard tests/lib/*.c))
define TEST_RULE
$(B)/tests/$(1)/%: $(B)/tests/$(1)/%.o $$(TESTLIB) $$(LIBFILES)
	@echo "  LD      $$@"
	$$(Q)$$(CC) $$(LDFLAGS) -o $$@ $$< $$(TESTLIB) -Wl,--start-group $$(LIBFILES) -Wl,--end-group $$(LIBS_TEST)
endef
$(foreach t,unit property threads,$(eval $(call TEST_RULE,$(t))))

UNIT_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/*.c))
PROPERTY_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/property/*.c))
THREAD_TESTS := $(patsubst %.c,$(B)/%,$(wildcard tests/threads/*.c))

# The simulator: the unmodified core, wire and metadata codecs.
$(B)/sim: $(call objs,$(wildcard tests/sim/*.c)) $(LIBFILES)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(LIBFILES) -Wl,--end-group $(LIBS_TEST)

# The simulator with a fault that DRBD has had in the sources that the first line of mutants/NAME.sed names.
MUTANTS ?= $(patsubst tests/sim/mutants/%.sed,%,$(wildcard tests/sim/mutants/*.sed))
MUTANT_PROGRAMS := $(addprefix $(B)/mutants/,$(MUTANTS))
SIM_OBJECTS := $(call objs,$(wildcard tests/sim/*.c))
$(B)/mutants/%: tests/sim/mutants/%.sed $(B)/sim
	@rm -rf $@.src && mkdir -p $@.src
	@echo "  MUTANT  $@"
	$(Q)for file in $$(sed -n '1s/^# \([^:]*\): .*/\1/p' $<); do \
		c=$@.src/$$(basename $$file); sed -f $< $$file >$$c; \
		! cmp -s $$file $$c || { echo "$<: $$file has no such line"; exit 1; }; \
		$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -w -c $$c -o $${c%.c}.o || exit 1; done
	$(Q)$(CC) $(LDFLAGS) -s -o $@ $@.src/*.o $(SIM_OBJECTS) -Wl,--start-group $(LIBFILES) -Wl,--end-group $(LIBS_TEST)

# The test that the second line of mutants/NAME.sed names, where it is no scenario, with that fault.
MUTANT_TESTS := $(patsubst tests/sim/mutants/%.sed,$(B)/mutants/%.test,$(shell grep -l '^# program ' tests/sim/mutants/*.sed))
$(B)/mutants/%.test: $(B)/mutants/% $(UNIT_TESTS) $(PROPERTY_TESTS)
	$(Q)$(CC) $(LDFLAGS) -s -o $@ $<.src/*.o $(B)/$$(sed -n '2s/^# program //p' tests/sim/mutants/$*.sed).o $(TESTLIB) \
		-Wl,--start-group $(LIBFILES) -Wl,--end-group $(LIBS_TEST)

# libFuzzer needs clang: each target builds everything it links with instrumentation of its own.
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SRC := $(foreach l,$(LIBNAMES),$(wildcard src/$(l)/*.c))
FUZZ_FLAGS := -g -O2 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
# Traced comparisons are a quarter of the time of a session, in loops over the entries of a log block or bitmap page most of it. They are
# for where unknown values have to be found: fuzz_wire has a codec of its own with them; fuzz_session's mutator knows the values.
UNTRACED := $(addprefix src/meta/meta_,al.c bitmap.c text.c) $(filter-out src/base/str.c,$(foreach l,base core disk net proto wire,$(wildcard src/$(l)/*.c)))
$(patsubst %.c,$(B)/fuzz/%.o,$(UNTRACED)): FUZZ_FLAGS += -fno-sanitize-coverage=trace-cmp
# What plays the peers and the disk is not what is looked at; what it is given is checked where it hands that on.
$(patsubst %,$(B)/fuzz/tests/fuzz/session_%.o,disk node packet peer pipe): FUZZ_FLAGS := -g -O2
$(B)/fuzz/tests/fuzz/fuzz_session.o $(B)/fuzz/tests/fuzz/session_mutate.o: FUZZ_FLAGS += -fno-sanitize-coverage=trace-cmp,inline-8bit-counters,pc-table
FUZZ_CC = clang $(CPPFLAGS) $(PKG_CFLAGS) $(CSTD) $(FUZZ_FLAGS)
FUZZ_LD = clang -fsanitize=fuzzer,address,undefined
FUZZ_LIBS = -Wl,--start-group $(B)/fuzz/libfuzz.a -Wl,--end-group $(LIBS_TEST)
$(B)/fuzz/traced/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -MMD -MP -c $< -o $@
$(B)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -MMD -MP -c $< -o $@
$(B)/fuzz/libfuzz.a: $(patsubst %.c,$(B)/fuzz/%.o,$(FUZZ_SRC))
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(B)/fuzz/fuzz_wire: $(patsubst %.c,$(B)/fuzz/traced/%.o,$(wildcard src/wire/*.c))
# What session_pipe.c takes the place of.
SESSION_PARTS := $(patsubst %.c,$(B)/fuzz/%.o,$(wildcard tests/fuzz/session_*.c))
SESSION_WRAP := $(foreach f,close shutdown readv recv send sendmsg,-Wl,--wrap=$(f))
$(B)/fuzz/fuzz_session: FUZZ_LD += $(SESSION_WRAP)
$(B)/fuzz/fuzz_session: $(SESSION_PARTS)
$(addprefix $(B)/fuzz/,$(FUZZ_TARGETS)): $(B)/fuzz/%: $(B)/fuzz/tests/fuzz/%.o $(B)/fuzz/libfuzz.a
	@echo "  FUZZ    $@"
	$(Q)$(FUZZ_LD) -o $@ $(filter %.o,$^) $(FUZZ_LIBS)

# fuzz_session with a fault in the source that the first line of planted/NAME.sed names.
PLANTED := $(patsubst tests/fuzz/planted/%.sed,$(B)/fuzz/planted/%,$(wildcard tests/fuzz/planted/*.sed))
$(PLANTED): $(B)/fuzz/planted/%: tests/fuzz/planted/%.sed $(B)/fuzz/fuzz_session
	@mkdir -p $(@D)
	@echo "  FUZZ    $@"
	$(Q)file=$$(sed -n '1s/^# \(.*\.c\): .*/\1/p' $<) && sed -f $< $$file >$@.c && \
		{ ! cmp -s $$file $@.c || { echo "$<: $$file has no such line"; exit 1; }; }
	$(Q)$(FUZZ_CC) -fno-sanitize-coverage=trace-cmp -c $@.c -o $@.o
	$(Q)$(FUZZ_LD) $(SESSION_WRAP) -o $@ $@.o $(B)/fuzz/tests/fuzz/fuzz_session.o $(SESSION_PARTS) $(FUZZ_LIBS)

# ---- what people call ----

.PHONY: soak help deps deps-test demo check check-kernel lint sim sim-mutants sim-coverage fuzz bench install uninstall clean

help:
	@echo "make            build drbdfs and drbdctl into $(B)/"
	@echo "make demo       the main job in one terminal: three nodes, a crash, a resync (KEEP=1 leaves it running)"
	@echo "make check      all tests; ends with their counts"
	@echo "make check-kernel  our node against the DRBD 8.4 of Debian's kernel in an emulated machine (SCENARIOS=\"...\")"
	@echo "make bench      one table: bare FUSE, drbdfs, what else is installed; ends with what is met of the targets"
	@echo "                (BACKINGS=\"tmpfs disk\" ROUNDS=3 SECONDS_EACH=2 SIZE=256M ROWS=REGEX WORKLOADS=REGEX)"
	@echo "make sim        deterministic simulation (SCHEDULES=2000)"
	@echo "make sim-mutants  which planted faults random lives find (LIVES=20000 KINDS=all MUTANTS=\"H1 H2\")"
	@echo "make sim-coverage  which lines of the core it reaches (COVERAGE_LIVES=2000)"
	@echo "make soak       random faults on real daemons (ROUNDS=24 SEED=n)"
	@echo "make fuzz       every fuzzer for FUZZ_SECONDS=20, after a test of one with planted faults (FUZZERS=\"...\")"
	@echo "make lint       layers, purity, sizes"
	@echo "make install    into DESTDIR=$(DESTDIR) PREFIX=$(PREFIX); make uninstall takes it away"
	@echo "make deps       installs the packages for a build (deps-test: for everything); make clean removes $(B)/"
	@echo "Variables: B=build V=1 (show commands) CC=clang SAN=address|thread (with a B of its own)"

deps:
	@packaging/deps.sh build

deps-test:
	@packaging/deps.sh build demo test

demo:
	@packaging/deps.sh build demo
	@$(MAKE) --no-print-directory -s all
	@B=$(B) KEEP=$(KEEP) tests/demo/demo.sh

SCHEDULES ?= 2000
sim: $(B)/sim
	$(B)/sim --seeds $(SCHEDULES) --packets=count

# Random lives find 80 % of the mutants: LIVES=20000 KINDS=all MUTANTS="H1 H2".
LIVES ?= 20000
KINDS ?= all
sim-mutants: $(MUTANT_PROGRAMS)
	@tests/sim/mutants.sh $(B) lives $(LIVES) $(KINDS) $(MUTANTS)

# Which lines of the core that reaches, in how many lives.
COVERAGE_LIVES ?= 2000
sim-coverage:
	@$(MAKE) --no-print-directory -s B=$(B)/coverage CC=gcc OPT=-O0 HARDEN= SANFLAGS=--coverage LIBNAMES="conf core wire meta proto base" $(B)/coverage/sim
	@tests/sim/coverage.sh $(B)/coverage $(COVERAGE_LIVES)

# What the shell cannot do in tests/integration.
INTEGRATION_PROGRAMS := $(patsubst tests/integration/%.c,$(B)/%,$(wildcard tests/integration/*.c))
$(INTEGRATION_PROGRAMS): $(B)/%: $(B)/tests/integration/%.o
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $< $(PROGRAM_LIBS) -pthread
$(B)/volatile_disk: PROGRAM_LIBS = $(shell pkg-config --libs fuse3)

# A daemon with a fault in the source that the first line of planted/NAME.sed names, for tests that must find it.
PLANTED_DAEMONS := $(patsubst tests/integration/planted/%.sed,$(B)/planted/%/drbdfs,$(wildcard tests/integration/planted/*.sed))
$(PLANTED_DAEMONS): $(B)/planted/%/drbdfs: tests/integration/planted/%.sed $(B)/drbdfs
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)file=$$(sed -n '1s/^# \(.*\.c\): .*/\1/p' $<) && sed -f $< $$file >$(@D)/planted.c && \
		{ ! cmp -s $$file $(@D)/planted.c || { echo "$<: $$file has no such line"; exit 1; }; }
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -c $(@D)/planted.c -o $(@D)/planted.o
	$(Q)$(CC) $(LDFLAGS) -o $@ $(call objs,$(wildcard daemon/*.c)) $(@D)/planted.o -Wl,--start-group $(LIBFILES) -Wl,--end-group $(LIBS_DAEMON)

.PHONY: tests
tests: all $(UNIT_TESTS) $(PROPERTY_TESTS) $(THREAD_TESTS) $(B)/sim $(INTEGRATION_PROGRAMS) $(PLANTED_DAEMONS)

# The simulator by other compilers; one trace has to come out of all.
OTHER_SIMS := $(foreach v,gcc-O0 clang-O0 clang-O2,$(B)/$(v)/sim)
.PHONY: $(OTHER_SIMS)
$(OTHER_SIMS): $(B)/%/sim:
	@$(MAKE) --no-print-directory -s B=$(B)/$* CC=$(word 1,$(subst -, ,$*)) OPT=-$(word 2,$(subst -, ,$*)) HARDEN= LIBNAMES="conf core wire meta proto base" $(B)/$*/sim

check: deps-test
	@$(MAKE) --no-print-directory -j$(shell nproc) tests $(MUTANT_PROGRAMS) $(MUTANT_TESTS) $(OTHER_SIMS)
	@$(MAKE) --no-print-directory -j$(shell nproc) B=$(B)/asan SAN=address tests
	@$(MAKE) --no-print-directory -j$(shell nproc) B=$(B)/tsan SAN=thread $(patsubst $(B)/%,$(B)/tsan/%,$(THREAD_TESTS))
	@tests/run.sh $(B) all

# The emulated machine is made of Debian packages and kept in $(B)/kernel-guest.
SCENARIOS ?=
check-kernel:
	@packaging/deps.sh kernel
	@$(MAKE) --no-print-directory -s -j$(shell nproc) all $(if $(filter x86_64,$(shell uname -m)),$(B)/tests/interop/guest/tsc)
	@B=$(B) tests/interop/check-kernel.sh $(SCENARIOS)

$(B)/tests/interop/guest/tsc: $(B)/tests/interop/guest/tsc.o
	$(Q)$(CC) $(LDFLAGS) -o $@ $<

# Random faults on real daemons, more than in make check: ROUNDS=24 SEED=n THING=name.
ROUNDS ?= 24
soak: deps-test
	@$(MAKE) --no-print-directory -s tests
	B=$(B) ROUNDS=$(ROUNDS) bash tests/integration/mixed-faults.sh

lint: deps-test $(foreach l,core wire meta base proto,$(B)/lib$(l).a)
	@tests/lint/lint.sh $(B)

FUZZ_SECONDS ?= 20
FUZZERS ?= $(FUZZ_TARGETS)
fuzz: $(addprefix $(B)/fuzz/,$(FUZZERS)) $(PLANTED)
	@tests/fuzz/planted.sh $(PLANTED)
	@tests/fuzz/run.sh $(B)/fuzz $(FUZZ_SECONDS) $(FUZZERS)

$(B)/fuse_thin: tests/bench/fuse_thin.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) -D_GNU_SOURCE -O2 -Wall -Wextra $(PKG_CFLAGS) -o $@ $< $(shell pkg-config --libs fuse3)

bench:
	@packaging/deps.sh bench
	@$(MAKE) --no-print-directory -s all $(B)/fuse_thin
	@B=$(B) tests/bench/bench.sh

SYSTEMD_DIR ?= $(PREFIX)/lib/systemd/system
MAN_DIR ?= $(PREFIX)/share/man
UNITS := drbdfs.service drbdfs-arbiter.service
install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(MAN_DIR)/man5 $(DESTDIR)$(MAN_DIR)/man8 \
		$(DESTDIR)$(SYSTEMD_DIR) $(DESTDIR)$(PREFIX)/share/doc/drbdfs \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 $(B)/drbdfs $(B)/drbdctl $(DESTDIR)$(PREFIX)/sbin
	install -m 644 packaging/man/drbdfs.8 packaging/man/drbdctl.8 $(DESTDIR)$(MAN_DIR)/man8
	install -m 644 packaging/man/drbdfs.conf.5 $(DESTDIR)$(MAN_DIR)/man5
	for unit in $(UNITS); do \
		sed 's|@PREFIX@|$(PREFIX)|g' packaging/systemd/$$unit > $(DESTDIR)$(SYSTEMD_DIR)/$$unit && \
		chmod 644 $(DESTDIR)$(SYSTEMD_DIR)/$$unit || exit 1; \
	done
	install -m 644 etc/drbdfs.conf $(DESTDIR)$(PREFIX)/share/doc/drbdfs/drbdfs.conf.example
	install -m 644 packaging/drbdctl.bash-completion $(DESTDIR)$(PREFIX)/share/bash-completion/completions/drbdctl

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/drbdfs $(DESTDIR)$(PREFIX)/sbin/drbdctl \
		$(DESTDIR)$(MAN_DIR)/man8/drbdfs.8 $(DESTDIR)$(MAN_DIR)/man8/drbdctl.8 \
		$(DESTDIR)$(MAN_DIR)/man5/drbdfs.conf.5 $(addprefix $(DESTDIR)$(SYSTEMD_DIR)/,$(UNITS)) \
		$(DESTDIR)$(PREFIX)/share/doc/drbdfs/drbdfs.conf.example \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/drbdctl
	rmdir --ignore-fail-on-non-empty $(DESTDIR)$(PREFIX)/share/doc/drbdfs 2>/dev/null || true

clean:
	rm -rf $(B)

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
