# muster: build, test, install. "make run" and "make test" are all one needs.

PREFIX	?= /usr/local
DESTDIR	?=
UNITDIR	?= $(PREFIX)/lib/systemd/system
CC	:= $(if $(filter default,$(origin CC)),gcc,$(CC))
BUILD	:= build
RUNFLAGS ?=
TESTFLAGS ?=

OPT	:= -O2 -g
FORTIFY	:= -D_FORTIFY_SOURCE=2
ifdef SANITIZE
BUILD	:= build/sanitize
OPT	:= -O1 -g
FORTIFY	:=
SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	   -fno-omit-frame-pointer
endif

WARN	:= -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes \
	   -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	   -Wwrite-strings -Wvla -Wundef
HARDEN	:= -fstack-protector-strong -fPIE $(FORTIFY)
CFLAGS	?=
# Small variables side by side, apart from the buffers: a worker that writes to
# some has fewer of its master's pages to copy.
DENSE	:= -fdata-sections
ALLC	 = -std=gnu17 -D_GNU_SOURCE -I. $(WARN) $(HARDEN) $(OPT) $(DENSE) \
	   $(SAN) $(CFLAGS)
ALLLD	 = -pie -static-libgcc -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed \
	   -Wl,--sort-section=alignment $(SAN) $(LDFLAGS)
# Static, as every shared library makes each fork dearer: the kernel copies its
# mappings, and the child faults its pages in anew. So backtrace(3), which loads
# one, is not used either.
LIBS	:= -Wl,-Bstatic -levent_core -linih -lbsd -lmd -Wl,-Bdynamic

SRC	:= $(sort $(wildcard common/*.c master/*.c worker/*.c))
OBJ	:= $(SRC:%.c=$(BUILD)/obj/%.o)
PARTS	:= $(filter-out $(BUILD)/obj/master/main.o,$(OBJ))
UNIT	:= $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/unit/*.c)))
SYSTEM	:= $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/system/*.c)))
EXACT	:= $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/exact/*.c)))
SIM	:= $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard tests/sim/*.c)))
FIXTURE	:= $(BUILD)/fixtures/heal
BENCH	:= $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
# With clang's own sanitizers, whatever the rest is built with.
FUZZ	:= $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/*.c))
FUZZOBJ	:= $(patsubst %.c,build/fuzz/obj/%.o,$(filter-out master/main.c,$(SRC)))

.PHONY: all run test unit system sim soak run-tests run-soak bench lint valgrind fuzz deps \
	deps-test deps-programs deps-fuzz deps-lint install uninstall clean
.DELETE_ON_ERROR:

all: | deps
	@$(MAKE) --no-print-directory $(BUILD)/muster

run: all
	$(BUILD)/muster $(RUNFLAGS)

$(BUILD)/muster: $(OBJ)
	$(CC) $(ALLLD) -o $@ $(OBJ) $(LIBS)

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLC) -MMD -MP -c -o $@ $<

# ---- what has to be installed: asked for once, nothing when it is there

DEPS	  := gcc libc6-dev pkg-config libevent-dev libinih-dev libbsd-dev
DEPS_TEST := libcriterion-dev libcap2-bin procps
# Programs that the tests run as workers, with their tests' own needs.
DEPS_PROGRAMS := gunicorn uvicorn daphne python3-aiohttp python3-websockets \
	     python3-socketio python3-tornado python3-twisted \
	     uwsgi-core uwsgi-plugin-python3 nodejs node-ws puma unicorn \
	     starman twiggy libmojolicious-perl libserver-starter-perl \
	     nginx-light php8.2-fpm haproxy lighttpd h2o
# libFuzzer is in the second.
DEPS_FUZZ := clang libclang-rt-dev
DEPS_LINT := clang clang-tidy cppcheck mandoc shellcheck valgrind \
	     libclang-rt-dev systemd

deps:
	@sh tests/deps $(DEPS)
deps-test: deps
	@sh tests/deps $(DEPS_TEST)
deps-programs: deps
	@sh tests/deps -o $(DEPS_PROGRAMS)
deps-fuzz: deps
	@sh tests/deps $(DEPS_FUZZ)
deps-lint: deps
	@sh tests/deps $(DEPS_LINT)

# ---- tests: unit (pure), sim (the pool under random schedules), system

TESTBIN	 = $(BUILD)/tests
TESTENV	 = MUSTER=$(abspath $(BUILD)/muster) TESTS=$(abspath tests)
HARNESS	 = $(TESTENV) $(TESTBIN)/harness
TESTED	 = $(BUILD)/muster $(TESTBIN)/harness $(TESTBIN)/unit $(TESTBIN)/sim \
	   $(TESTBIN)/system
# Built on all processors, unless it was said on how many.
MANY	 = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))
# These wait for the most part: some more at a time than there are processors.
WAITING	 = -j$(shell expr 2 '*' $$(nproc) + 1)
# The fuzz targets run beside the tests, in what time these leave over. They
# have sanitizers of their own.
ifndef SANITIZE
BESIDE	 = FUZZ_SECONDS=10 sh tests/fuzz/run build/fuzz
FUZZED	 = $(FUZZ)
test: deps-fuzz
endif

test: deps-test deps-programs
	@$(MAKE) --no-print-directory $(MANY) $(TESTED) $(FUZZED)
	@$(BESIDE) $(MAKE) --no-print-directory run-tests

# Programs that the tests start, next to the tests; plain, whatever these are.
FIXTURES := $(BUILD)/tests/mis $(BUILD)/tests/show
# The same program with another version, with a state of another version, and
# what crashes a master at a chosen call.
ANEW	:= $(BUILD)/tests/muster-next $(BUILD)/tests/muster-alien
SHIM	:= $(BUILD)/tests/shim.so

run-tests: $(TESTED)
	$(HARNESS) 120 $(TESTBIN)/unit $(TESTFLAGS)
	$(HARNESS) 240 $(TESTBIN)/sim $(TESTFLAGS)
	$(HARNESS) 600 $(TESTBIN)/system $(WAITING) $(TESTFLAGS)

unit sim: deps-test
	@$(MAKE) --no-print-directory $(TESTBIN)/harness $(TESTBIN)/$@
	$(HARNESS) 240 $(TESTBIN)/$@ $(TESTFLAGS)
system: deps-test deps-programs
	@$(MAKE) --no-print-directory $(BUILD)/muster $(TESTBIN)/harness \
	    $(TESTBIN)/system
	$(HARNESS) 600 $(TESTBIN)/system $(WAITING) $(TESTFLAGS)

soak: deps-test deps-programs deps-fuzz
	@$(MAKE) --no-print-directory $(MANY) $(TESTED) $(FUZZ)
	@FUZZ_SECONDS=3600 sh tests/fuzz/run build/fuzz \
	    $(MAKE) --no-print-directory run-soak

run-soak: $(TESTED)
	MUSTER_SOAK=1 $(HARNESS) 3000 $(TESTBIN)/sim $(TESTFLAGS)
	MUSTER_SOAK=1 $(HARNESS) 3000 $(TESTBIN)/system $(TESTFLAGS)

$(TESTBIN)/harness: $(BUILD)/obj/tests/harness.o
	@mkdir -p $(@D)
	$(CC) $(ALLLD) -o $@ $<
$(FIXTURES): $(BUILD)/tests/%: tests/fixtures/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -g $(CFLAGS) -o $@ $<
$(TESTBIN)/unit $(TESTBIN)/system: | $(FIXTURES)
$(TESTBIN)/system: | $(ANEW) $(SHIM)
VERSIONED := $(shell grep -lE '(MUSTER|STATE)_(VERSION|OLDEST|NEWEST)' \
	     $(filter %.c,$(SRC)))
$(BUILD)/next/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLC) -O1 -DMUSTER_VERSION='"9.9.9"' -MMD -MP -c -o $@ $<
$(BUILD)/alien/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALLC) -DMUSTER_VERSION='"8.8.8"' -DSTATE_VERSION=77 \
	    -DSTATE_OLDEST=77 -DSTATE_NEWEST=77 -MMD -MP -c -o $@ $<
$(BUILD)/tests/muster-next: $(VERSIONED:%.c=$(BUILD)/next/%.o)
$(BUILD)/tests/muster-alien: $(VERSIONED:%.c=$(BUILD)/alien/%.o)
$(ANEW): $(filter-out $(VERSIONED:%.c=$(BUILD)/obj/%.o),$(OBJ))
	$(CC) $(ALLLD) -o $@ $^ $(LIBS)
$(SHIM): tests/fixtures/shim.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O1 -g -fPIC -shared -o $@ $< -ldl
$(TESTBIN)/unit: $(UNIT) $(PARTS) | $(FIXTURE)
	@mkdir -p $(@D)
	$(CC) $(ALLLD) -o $@ $^ $(LIBS) -lcriterion
# Programs that unit tests start: what cannot be tried in one's own process.
$(BUILD)/fixtures/%: $(BUILD)/obj/tests/fixtures/%.o $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(ALLLD) -o $@ $^ $(LIBS)
$(TESTBIN)/sim: $(SIM) $(PARTS)
	@mkdir -p $(@D)
	$(CC) $(ALLLD) -o $@ $^ $(LIBS) -lcriterion
$(TESTBIN)/system: $(SYSTEM) $(filter-out %/main.o,$(EXACT))
	@mkdir -p $(@D)
	$(CC) $(ALLLD) -o $@ $^ -lcriterion -lutil
$(TESTBIN)/exact: $(EXACT) $(BUILD)/obj/tests/system/net.o
	@mkdir -p $(@D)
	$(CC) $(ALLLD) -o $@ $^

# ---- figures: each beside its bare twin, in one run

bench: deps
	@$(MAKE) --no-print-directory $(BUILD)/muster $(BENCH)
	sh tests/bench/run $(abspath $(BUILD))

$(BUILD)/bench/%: tests/bench/%.c $(wildcard tests/bench/*.h)
	@mkdir -p $(@D)
	$(CC) $(ALLC) $(ALLLD) -o $@ $< $(filter %.o,$^)
# Those with the exact client under way.
$(BUILD)/bench/away $(BUILD)/bench/reload: $(filter-out %/main.o,$(EXACT)) \
	   $(BUILD)/obj/tests/system/net.o

# ---- checks

valgrind: deps-test deps-lint
	@$(MAKE) --no-print-directory $(TESTBIN)/unit $(TESTBIN)/harness
	sh tests/valgrind $(TESTBIN)/unit

lint: deps-lint deps-test
	sh tests/lint

fuzz: deps-fuzz
	@$(MAKE) --no-print-directory $(FUZZ)
	sh tests/fuzz/run build/fuzz

FUZZCC	?= clang
FUZZSAN	:= address,undefined -fno-sanitize-recover=undefined

build/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(FUZZCC) -std=gnu17 -D_GNU_SOURCE -I. $(WARN) -g -O1 \
	    -fsanitize=fuzzer-no-link,$(FUZZSAN) -MMD -MP -c -o $@ $<
$(FUZZ): build/fuzz/%: build/fuzz/obj/tests/fuzz/%.o $(FUZZOBJ)
	$(FUZZCC) -fsanitize=fuzzer,$(FUZZSAN) -o $@ $^ $(LIBS)

# ---- installation

UNITS	:= muster.service muster@.service muster.socket

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin \
	    $(DESTDIR)$(PREFIX)/share/man/man8 \
	    $(DESTDIR)$(PREFIX)/share/man/man7 \
	    $(DESTDIR)$(PREFIX)/share/man/man5 \
	    $(DESTDIR)$(PREFIX)/share/doc/muster \
	    $(DESTDIR)$(UNITDIR)
	install -m 755 $(BUILD)/muster $(DESTDIR)$(PREFIX)/sbin/muster
	install -m 644 master/muster.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 644 master/muster-moving.7 \
	    $(DESTDIR)$(PREFIX)/share/man/man7/
	install -m 644 common/muster.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 README.md LICENSE etc/muster.ini etc/muster.logrotate \
	    $(DESTDIR)$(PREFIX)/share/doc/muster/
	for unit in $(UNITS); do \
		sed 's|/usr/local/sbin/|$(PREFIX)/sbin/|' etc/$$unit \
		    >$(DESTDIR)$(UNITDIR)/$$unit && \
		chmod 644 $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done

uninstall:
	rm -f $(UNITS:%=$(DESTDIR)$(UNITDIR)/%) \
	    $(DESTDIR)$(PREFIX)/sbin/muster \
	    $(DESTDIR)$(PREFIX)/share/man/man8/muster.8 \
	    $(DESTDIR)$(PREFIX)/share/man/man7/muster-moving.7 \
	    $(DESTDIR)$(PREFIX)/share/man/man5/muster.conf.5
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/muster

clean:
	rm -rf build

-include $(OBJ:.o=.d) $(UNIT:.o=.d) $(SYSTEM:.o=.d) $(SIM:.o=.d) \
	 $(EXACT:.o=.d)
.PRECIOUS: $(BUILD)/obj/tests/fixtures/%.o
-include $(wildcard $(BUILD)/obj/tests/fixtures/*.d $(BUILD)/next/*/*.d \
	 $(BUILD)/alien/*/*.d build/fuzz/obj/*/*.d build/fuzz/obj/tests/fuzz/*.d)
