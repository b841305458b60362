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
endif

PKGS := fuse3 libevent libcurl libconfig jansson libcrypto libzstd
# Only asked for when a link needs it, so that `make deps` works on a bare machine.
PKG_CFLAGS = $(shell pkg-config --cflags fuse3 libevent libcurl libconfig jansson libcrypto 2>/dev/null)
LIBS_DAEMON = $(shell pkg-config --libs fuse3 libevent libconfig jansson libcrypto) -pthread
LIBS_CTL = $(shell pkg-config --libs libcurl libconfig jansson libcrypto) -pthread
LIBS_TEST = $(shell pkg-config --libs fuse3 libevent libcurl libconfig jansson libcrypto criterion) -pthread

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

.PHONY: clean
clean:
	rm -rf $(B)

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)
