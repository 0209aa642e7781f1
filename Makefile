# tokenfirst: build, test, run.  `make help` lists the targets.
#
# Folders are discovered, so a new source file needs no line here. One variant of the program
# lives in one BUILD folder:  make BUILD=build/asan SANITIZE=address,undefined
# V=1 shows the commands.

BUILD    ?= build
PREFIX   ?= /usr/local
SANITIZE ?=
WERROR   ?= -Werror
VERSION  := 0.1.0
Q        := $(if $(V),,@)

PACKAGES := libmicrohttpd jansson libcurl sqlite3 libcrypto liboath libutf8proc libcrypt
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wconversion -Wvla -Wformat=2 $(WERROR)
CFLAGS   ?= -O2 -g
DEFINES  := -D_GNU_SOURCE -DTOKENFIRST_VERSION='"$(VERSION)"'

ifeq ($(SANITIZE),)
HARDEN_C := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
HARDEN_L := -pie -Wl,-z,relro,-z,now
else
# no-recover: a finding ends the process with an error, else a run could not fail
HARDEN_C := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -fPIE
HARDEN_L := -fsanitize=$(SANITIZE) -pie
endif

# The hash threads reuse their memory by wrapping libsodium's mmap, which takes the static
# library; without it the program is the same, with libsodium's own allocation (arena_plain.c).
SODIUM_STATIC := $(wildcard $(shell $(CC) -print-file-name=libsodium.a))
ifneq ($(SODIUM_STATIC),)
ARENA       := server/password/arena.c
SODIUM_LIBS := $(SODIUM_STATIC) -Wl,--wrap=mmap,--wrap=munmap
else
ARENA       := server/password/arena_plain.c
SODIUM_LIBS := -lsodium
endif

# Expanded when first needed: on a fresh machine pkg-config comes with `make deps`.
PKG_CFLAGS = $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS   = $(shell pkg-config --libs $(PACKAGES))
ALL_CFLAGS = -std=c11 -pthread -I. $(DEFINES) $(WARNINGS) $(HARDEN_C) $(CFLAGS) $(PKG_CFLAGS)
# a group: libsodium's wrapped mmap is defined in our library
ALL_LIBS   = -Wl,--start-group $(LIBRARY) $(SODIUM_LIBS) -Wl,--end-group $(PKG_LIBS) -lm
# a receiver of the tests speaks TLS; libssl comes with libcrypto
TEST_LIBS  = -lssl

SOURCES := $(filter-out server/main.c server/password/arena.c server/password/arena_plain.c, \
             $(wildcard config/*.c background/*/*.c server/*.c server/*/*.c)) $(ARENA)
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o)
LIBRARY := $(BUILD)/libtokenfirst.a
PROGRAM := $(BUILD)/tokenfirst

# tests/support: programs of their own (sinks, load generator), libraries to be preloaded, and a library for the tests
SUPPORT_PROGRAMS := http_sink smtp_sink open_loop hash_rate raw_multi raw_handoff planted seed_outbox seed_users
SUPPORT_PRELOADS := clock_shift fail_alloc ticking
SUPPORT_SOURCES  := $(filter-out $(SUPPORT_PROGRAMS:%=tests/support/%.c) $(SUPPORT_PRELOADS:%=tests/support/%.c), \
                      $(wildcard tests/support/*.c))
SUPPORT_LIBRARY  := $(BUILD)/libsupport.a
SUPPORT_BINARIES := $(patsubst tests/support/%.c,$(BUILD)/tests/support/%,$(wildcard $(SUPPORT_PROGRAMS:%=tests/support/%.c)))
PRELOADS         := $(patsubst tests/support/%.c,$(BUILD)/tests/support/%.so,$(wildcard $(SUPPORT_PRELOADS:%=tests/support/%.c)))
CRITERION_TESTS  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*.c tests/contract/*.c tests/flow/*.c tests/hostile/*.c tests/crash/*.c))
RACE_TESTS       := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/race/*.c))
# libFuzzer comes with clang: built by scripts/fuzz alone, with SANITIZE=fuzzer-no-link,address,undefined
FUZZ_TARGETS     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))

.PHONY: all deps tests support fuzz-targets run test crash fuzz lint format check-asan check-tsan check-valgrind budget \
        bench bench-survival install clean help
.SECONDARY:

all: $(PROGRAM)

help:
	@echo "make            build $(PROGRAM)"
	@echo "make run        demo: sinks, server, user alice, lines to paste; Ctrl-C ends it"
	@echo "make test       every test"
	@echo "make crash      the crash tests in their long form, with figures: some ten minutes"
	@echo "make fuzz       every fuzz target for FUZZ_SECONDS (600), as many at once as there are cores"
	@echo "make lint       formatting, static analysis, floors, banned calls"
	@echo "make check-asan | check-tsan | check-valgrind   the tests under each tool"
	@echo "make budget     instructions and allocations of requests and effects, against their budgets; UPDATE=1 writes them"
	@echo "make bench      the benchmarks, against programs of others: under 20 minutes; QUICK=1 for a run under 2"
	@echo "make bench-survival   what failure costs: half an hour; QUICK=1 likewise"
	@echo "make install    to \$$(DESTDIR)\$$(PREFIX)"

$(PROGRAM): $(BUILD)/server/main.o $(LIBRARY)
	@echo "  LINK $@"
	$(Q)$(CC) $(HARDEN_L) -pthread -o $@ $< $(ALL_LIBS)

$(LIBRARY): $(OBJECTS)
	@rm -f $@
	@echo "  AR   $@"
	$(Q)$(AR) qcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# texts that are built in (server/embed.h): the compiler's list of dependencies does not know of them
$(BUILD)/server/auth/page.o: $(wildcard server/auth/pages/*)
$(BUILD)/server/ops/openapi.o: $(wildcard server/ops/openapi.json)

$(SUPPORT_LIBRARY): $(SUPPORT_SOURCES:%.c=$(BUILD)/%.o)
	@rm -f $@
	@echo "  AR   $@"
	$(Q)$(AR) qcs $@ $^

$(CRITERION_TESTS): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY) $(SUPPORT_LIBRARY)
	@echo "  LINK $@"
	$(Q)$(CC) $(HARDEN_L) -pthread -o $@ $< $(SUPPORT_LIBRARY) $(TEST_LIBS) $(ALL_LIBS) -lcriterion

$(RACE_TESTS) $(SUPPORT_BINARIES): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY) $(SUPPORT_LIBRARY)
	@echo "  LINK $@"
	$(Q)$(CC) $(HARDEN_L) -pthread -o $@ $< $(SUPPORT_LIBRARY) $(ALL_LIBS)

$(FUZZ_TARGETS): $(BUILD)/%: $(BUILD)/%.o $(LIBRARY)
	@echo "  LINK $@"
	$(Q)$(CC) $(HARDEN_L) -fsanitize=fuzzer -pthread -o $@ $< $(ALL_LIBS)

# never with a sanitizer, whose runtime is the program's
$(PRELOADS): $(BUILD)/%.so: %.c
	@mkdir -p $(@D)
	@echo "  SO   $@"
	$(Q)$(CC) -std=c11 -I. $(DEFINES) $(WARNINGS) $(CFLAGS) -fPIC -shared -o $@ $<

tests: all support $(CRITERION_TESTS) $(RACE_TESTS)
support: $(SUPPORT_BINARIES) $(PRELOADS)
fuzz-targets: $(FUZZ_TARGETS)

deps:
	@scripts/install-deps

# Each of these is enough alone on a fresh machine. The second make sees what was just installed.
run: deps
	@$(MAKE) --no-print-directory all support
	@BUILD=$(BUILD) scripts/demo/run

test: deps
	@$(MAKE) --no-print-directory tests
	@BUILD=$(BUILD) scripts/test

crash: deps
	@$(MAKE) --no-print-directory tests
	@BUILD=$(BUILD) scripts/crash

fuzz: deps
	@scripts/fuzz

check-asan: deps
	@scripts/check-sanitizer asan

check-tsan: deps
	@scripts/check-sanitizer tsan

check-valgrind: deps
	@$(MAKE) --no-print-directory tests
	@BUILD=$(BUILD) scripts/check-valgrind

lint: deps
	@scripts/lint

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

budget: deps
	@$(MAKE) --no-print-directory all support
	@BUILD=$(BUILD) scripts/budget/run $(if $(UPDATE),--update)

# what it is compared with is installed for it alone
bench:
	@scripts/install-deps bench
	@$(MAKE) --no-print-directory all support
	@BUILD=$(BUILD) scripts/bench/run $(if $(QUICK),--quick)

# backlogs, a dead destination, kills, the clock, slow clients
bench-survival:
	@scripts/install-deps bench
	@$(MAKE) --no-print-directory all support
	@BUILD=$(BUILD) scripts/bench/run --survival $(if $(QUICK),--quick)

install: all
	install -D -m 0755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/tokenfirst
	install -D -m 0644 config/minimal.json $(DESTDIR)$(PREFIX)/share/tokenfirst/minimal.json
	install -D -m 0644 config/full.json $(DESTDIR)$(PREFIX)/share/tokenfirst/full.json
	install -d $(DESTDIR)$(PREFIX)/share/tokenfirst/templates
	install -m 0644 config/templates/* $(DESTDIR)$(PREFIX)/share/tokenfirst/templates
	install -D -m 0644 scripts/tokenfirst.service $(DESTDIR)$(PREFIX)/lib/systemd/system/tokenfirst.service
	install -D -m 0644 scripts/tokenfirst.socket $(DESTDIR)$(PREFIX)/lib/systemd/system/tokenfirst.socket

clean:
	rm -rf $(BUILD)

-include $(shell [ -d $(BUILD) ] && find $(BUILD) -name '*.d')
