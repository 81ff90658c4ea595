# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The build of webmond: GNU make, written by hand. ./configure writes config.mk, which this file
# reads; everything that is made goes to build/, but for the program itself. `make help` lists what
# can be made. V=1 shows the commands.

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-print-directory

# Sources lie beside this file; out of the source tree a Makefile of one line includes it.
srcdir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

.PHONY: all help deps format clean distclean bench check check-debian check-faults check-fuzz \
	check-recipes demo lint FORCE
all:

help:
	@sed -n 's/^# GOAL //p' $(srcdir)/Makefile

# --- from a fresh clone --------------------------------------------------------------------------

# GOAL make demo            the whole thing on this machine: broker, sites, daemon, records; HOSTS=3
# GOAL make check           build and run every test; SANITIZE=address,undefined with sanitizers
# GOAL make check-faults    break everything that can be broken; FAULTS=quick: 10 minutes
# GOAL make check-fuzz      hostile bytes for every parser, FUZZ_SECONDS=30 for each
# GOAL make check-recipes   run the recipes in etc/recipes: PostgreSQL, ClickHouse, kcat, Python
# GOAL make bench           measure, side by side with others; BENCH=quick: 3 minutes; PEERS=1
# GOAL make lint            every linter, every warning
# These seven need no preparation: they first get what is missing, and configure.
bench check check-faults check-fuzz check-recipes demo lint:
	@$(srcdir)/tests/deps.sh $(patsubst demo,demo$(HOSTS:%=-hosts),$(@:check-faults=check))
	@test -f $(srcdir)/configure || $(srcdir)/autogen.sh
	@test -f config.mk || $(srcdir)/configure
	@$(MAKE) run-$@

# GOAL make check-debian    as root: demo, unit tests, main path, package in a fresh Debian 13
check-debian:
	@$(srcdir)/tests/debian.sh

# GOAL make deps            install what building, testing and linting need (Debian, Ubuntu)
deps:
	@$(srcdir)/tests/deps.sh all

# GOAL make format          clang-format
format:
	clang-format -i $(addprefix $(srcdir)/,include/*.h src/*.c src/*/*.[ch] tests/*.[ch] tests/fuzz/*.[ch] \
		tests/bench/*.[ch])

# --- configuration -------------------------------------------------------------------------------

WITHOUT_CONFIG = bench check check-debian check-faults check-fuzz check-recipes clean demo deps \
	distclean format help lint

ifneq ($(filter-out $(WITHOUT_CONFIG),$(or $(MAKECMDGOALS),all)),)
ifeq ($(wildcard config.mk),)
$(error not configured. Run: $(if $(wildcard $(srcdir)/configure),,./autogen.sh && )./configure)
endif
include config.mk
endif

config.mk: $(srcdir)/configure $(srcdir)/src/config.mk.in
	./config.status --recheck && ./config.status

$(srcdir)/configure: $(srcdir)/configure.ac
	$(srcdir)/autogen.sh

# --- flags ---------------------------------------------------------------------------------------

# Those of the user (CPPFLAGS CFLAGS LDFLAGS LIBS) come last and so win; nothing here sets them.
WARNINGS = -Wall -Wextra -Wshadow -Wmissing-prototypes -Wvla -Wstrict-prototypes -Wformat=2

# libc warns about _FORTIFY_SOURCE without optimisation, sanitizers want to see what it replaces,
# and distributions set their own.
FORTIFY = $(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),$(if $(SANITIZE)$(findstring \
	_FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))

comma = ,
SANITIZERS = $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all \
	-fno-omit-frame-pointer)

FLAGS = -std=gnu11 -D_GNU_SOURCE -I$(srcdir)/include -DVERSION=\"$(VERSION)\" \
	-DRELEASE_DATE=\"$(RELEASE_DATE)\" \
	-DSYSCONFDIR=\"$(sysconfdir)\" -DLOCALSTATEDIR=\"$(localstatedir)\" \
	-DRUNSTATEDIR=\"$(runstatedir)\" $(LIB_CFLAGS) $(FORTIFY) $(CPPFLAGS) \
	$(WARNINGS) $(HARDEN_CFLAGS) $(SANITIZERS) $(CFLAGS)
COMPILE = $(CC) $(FLAGS)
LINK = $(CC) $(HARDEN_CFLAGS) $(SANITIZERS) $(CFLAGS) $(HARDEN_LDFLAGS) $(LDFLAGS)

# --- program -------------------------------------------------------------------------------------

# GOAL make                 build ./webmond, ./webmondctl and their manuals
B = build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
WEBMOND = $(if $(SANITIZE),$(B)/)webmond
WEBMONDCTL = $(if $(SANITIZE),$(B)/)webmondctl
Q = $(if $(V),,@)
SAY = @$(if $(V),:,printf '  %-6s %s\n')

# src/ctl is the other program, with the rooms that it shares.
objects_of = $(patsubst $(srcdir)/%.c,$(B)/%.o,$(wildcard $(1:%=$(srcdir)/src/%.c)))
CTL := $(call objects_of,ctl/*)
OBJECTS := $(filter-out $(CTL),$(call objects_of,* */*))
CTL_OBJECTS := $(CTL) $(call objects_of,base/* config/* record/* publisher/kafka_hints publisher/kafka_tls)

all: $(WEBMOND) $(WEBMONDCTL)

$(WEBMOND): $(OBJECTS)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $(OBJECTS) $(LIB_LIBS) $(LIBS)

$(WEBMONDCTL): $(CTL_OBJECTS)
	$(SAY) LINK $@
	$(Q)$(LINK) -Wl,--as-needed -o $@ $(CTL_OBJECTS) $(LIB_LIBS) $(LIBS)

$(B)/%.o: $(srcdir)/%.c $(B)/flags config.mk
	$(SAY) CC $*.c
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) $(TEST_CFLAGS) -MMD -MP -c -o $@ $<

# Changes when the command lines do, so that other flags rebuild everything.
COMMANDS = $(subst ','\'',$(COMPILE) $(LINK) $(LIB_LIBS) $(LIBS))
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(COMMANDS)' | cmp -s - $@ || printf '%s\n' '$(COMMANDS)' >$@

# Which headers an object was made from, noted by the compiler.
-include $(wildcard $(B)/src/*.d $(B)/src/*/*.d $(B)/tests/*.d $(B)/tests/fuzz/*.d $(B)/tests/bench/*.d)

# Manual pages, configuration and service files with the directories of this build.
EDIT = $(foreach v,VERSION bindir sbindir sysconfdir localstatedir runstatedir datadir docdir,-e 's|@$v@|$($v)|g')
EDITED = $(patsubst $(srcdir)/%.in,$(B)/%,$(filter-out %/config.mk.in,\
	$(wildcard $(srcdir)/src/*.in $(srcdir)/etc/*.in)))

# Documents that are installed beside no sources: links to each other stay, pictures and other links
# into the sources go, and paths are those of this build.
RECIPES = $(patsubst $(srcdir)/etc/%,%,$(wildcard $(srcdir)/etc/recipes/*.md))
DOCUMENTS = $(addprefix $(B)/doc/,README.md aiven.md migrate.md $(RECIPES))
RELINK = -e 's|\]\((etc/\|\.\./)(README\|aiven\|migrate\|recipes/[a-z]*)\.md|](:\2.md|g' \
	-e 's/!\[[^]]*\]\([^):]*\)//g; s/\[([^]]*)\]\([^):\#][^):]*\)/\1/g; s/\]\(:/](/g' \
	-e 's|/usr/local/etc|$(sysconfdir)|g; s|/usr/local/var/run|$(runstatedir)|g' \
	-e 's|/usr/local/var|$(localstatedir)|g; s|/usr/local/share|$(datadir)|g' \
	-e 's|/usr/local/sbin|$(sbindir)|g'

$(B)/doc/README.md: $(srcdir)/README.md
$(filter-out %/README.md,$(DOCUMENTS)): $(B)/doc/%.md: $(srcdir)/etc/%.md
$(DOCUMENTS): $(srcdir)/Makefile config.mk
	$(SAY) EDIT $(@F)
	$(Q)mkdir -p $(@D)
	$(Q)sed -Ez $(RELINK) $(filter %.md,$^) >$@

all: $(if $(SANITIZE),,$(EDITED) $(DOCUMENTS))

$(B)/%: $(srcdir)/%.in $(srcdir)/Makefile config.mk
	$(SAY) EDIT $*
	$(Q)mkdir -p $(@D)
	$(Q)sed $(EDIT) $< >$@

# --- tests ---------------------------------------------------------------------------------------

# GOAL make check-unit      one half of make check
# GOAL make check-scenarios the other half
.PHONY: run-check run-check-faults run-check-fuzz run-check-recipes run-fuzz check-unit \
	check-scenarios run-demo run-bench run-lint

# A unit test is tests/check_MODULE.c with everything but main(); other C files there are programs
# that scenarios use, such as the test broker.
UNITS = $(patsubst $(srcdir)/%.c,$(B)/%,$(wildcard $(srcdir)/tests/check_*.c))
HELPERS = $(filter-out $(UNITS),$(patsubst $(srcdir)/%.c,$(B)/%,$(wildcard $(srcdir)/tests/*.c)))
TESTED = $(filter-out %/src/main.o %/webmondctl.o,$(OBJECTS) $(CTL))

# A test may look into a room: #include "spool/internal.h".
PRIVATE = -I$(srcdir)/src

# libcheck is asked for here and not by configure, because only tests need it.
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs 'check >= 0.15')
$(B)/tests/%.o: TEST_CFLAGS = $(PRIVATE)
$(B)/tests/check_%.o: TEST_CFLAGS = $(PRIVATE) $(shell $(PKG_CONFIG) --cflags 'check >= 0.15')

$(UNITS): $(B)/tests/%: $(B)/tests/%.o $(TESTED)
	$(SAY) LINK $@
	$(Q)$(LINK) $(WRAP) -o $@ $< $(TESTED) $(CHECK_LIBS) $(LIB_LIBS) $(LIBS)

# The supervisor without forks, and with a clock that a test sets.
$(B)/tests/check_dispatch: WRAP = -Wl,--wrap=start_checker
$(B)/tests/check_sites: WRAP = -Wl,--wrap=util_mono_us,--wrap=util_utc_us
$(B)/tests/check_shards: WRAP = -Wl,--wrap=util_mono_us,--wrap=util_utc_us,--wrap=util_boot_us

# The mock cluster does not know the offsets of times.
$(B)/tests/check_group $(B)/tests/check_lease: WRAP = -Wl,--wrap=rd_kafka_offsets_for_times

$(HELPERS): $(B)/tests/%: $(B)/tests/%.o
	$(SAY) LINK $@
	$(Q)$(LINK) $(WRAP) -Wl,--as-needed -o $@ $^ $(LIB_LIBS) $(LIBS)

$(B)/tests/check_validate: WRAP = -Wl,--wrap=checker_validate_site
$(B)/tests/fillspool: $(TESTED)
$(B)/tests/hijacked: $(OBJECTS)
$(B)/tests/hijacked: WRAP = -Wl,--wrap=probe_run,--wrap=util_clean_text \
	-Wl,--wrap=checker_main,--wrap=recv,--wrap=wire_token

# What the tests learn from us. Python leaves nothing in the source tree, which may be read-only.
TEST_ENVIRONMENT = WEBMOND='$(abspath $(WEBMOND))' WEBMONDCTL='$(abspath $(WEBMONDCTL))' \
	MOCKBROKER='$(abspath $(B)/tests/mockbroker)' \
	srcdir='$(abspath $(srcdir))' builddir='$(abspath $(B))' PYTHONDONTWRITEBYTECODE=1
RUN_TESTS = $(TEST_ENVIRONMENT) $(srcdir)/tests/check.sh
SCENARIOS = $(srcdir)/tests/run $(if $(REQUIRE_KAFKA),--require-kafka) $(if $(RETRY),--retry)

run-check: $(WEBMOND) $(WEBMONDCTL) $(UNITS) $(HELPERS)
	@$(RUN_TESTS) '$(UNITS)' '$(SCENARIOS)'

check-unit: $(UNITS)
	@$(RUN_TESTS) '$(UNITS)' ''

check-scenarios: $(WEBMOND) $(WEBMONDCTL) $(HELPERS)
	@$(RUN_TESTS) '' '$(SCENARIOS)'

run-check-faults: $(WEBMOND) $(WEBMONDCTL) $(HELPERS)
	@$(RUN_TESTS) '' '$(SCENARIOS) --faults $(if $(filter quick,$(FAULTS)),--quick)'

run-check-recipes: $(WEBMOND) $(HELPERS)
	@$(RUN_TESTS) '' '$(SCENARIOS) --recipes'

# A fuzz target is tests/fuzz/TARGET.c, its seeds are in tests/fuzz/corpus/TARGET. What a run finds
# stays beside the program: good inputs in TARGET.corpus, bad ones in TARGET-crash-…. FUZZ_RUNS
# is a number of inputs, the same ones each time: what such a run finds is due to what was changed.
FUZZERS = $(patsubst $(srcdir)/%.c,$(B)/%,$(wildcard $(srcdir)/tests/fuzz/*.c))
FUZZ_SECONDS = 30
FUZZ_RUNS =
FUZZ_LIMIT = $(if $(FUZZ_RUNS),-seed=1 -runs=$(FUZZ_RUNS),-max_total_time=$(FUZZ_SECONDS))

run-check-fuzz:
	@$(MAKE) CC=clang SANITIZE=fuzzer-no-link,address,undefined run-fuzz

run-fuzz: $(FUZZERS:=.run)

$(FUZZERS): $(B)/tests/%: $(B)/tests/%.o $(TESTED)
	$(SAY) LINK $@
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $< $(TESTED) $(LIB_LIBS) $(LIBS)

$(FUZZERS:=.run): %.run: % FORCE
	$(SAY) FUZZ "$(<F), $(FUZZ_LIMIT)"
	$(Q)mkdir -p $<.corpus
	$(Q)$< $(FUZZ_LIMIT) -timeout=20 -max_len=16384 -close_fd_mask=3 \
		-artifact_prefix=$<- $<.corpus $(srcdir)/tests/fuzz/corpus/$(<F) >$<.log 2>&1 && \
		grep '^Done' $<.log || { cat $<.log; false; }

run-demo: $(WEBMOND) $(WEBMONDCTL) $(HELPERS)
	@$(TEST_ENVIRONMENT) $(if $(HOSTS),HOSTS='$(HOSTS)' $(srcdir)/tests/demo_hosts,$(srcdir)/tests/demo)

# The loops that webmond is compared with; their slots are those of its schedule.
LOOP = $(B)/tests/bench/loop
LOOP_OBJECTS = $(filter-out %/phases.o,\
	$(patsubst $(srcdir)/%.c,$(B)/%.o,$(wildcard $(srcdir)/tests/bench/*.c)))

$(LOOP): $(LOOP_OBJECTS) $(addprefix $(B)/src/,base/clock.o base/log.o base/util.o supervisor/schedule.o)
	$(SAY) LINK $@
	$(Q)$(LINK) -Wl,--as-needed -o $@ $^ $(LIB_LIBS) $(LIBS)

# A daemon whose publisher says where its time goes; what is called for each row all the time is not
# told apart from its callers.
TIMED = $(B)/tests/bench/webmond
TIMED_OBJECTS = $(addprefix $(B)/tests/bench/,publisher.o sender.o)
INSTRUMENT = $(if $(findstring clang,$(CC)),-finstrument-functions-after-inlining,\
	-finstrument-functions -finstrument-functions-exclude-function-list=$\
	set_state$(comma)find_row$(comma)window_limit$(comma)unsent)

$(TIMED_OBJECTS): $(B)/tests/bench/%.o: $(srcdir)/src/publisher/%.c $(B)/flags config.mk
	$(SAY) CC "$*.c, with its times"
	$(Q)mkdir -p $(@D)
	$(Q)$(COMPILE) $(INSTRUMENT) -MMD -MP -c -o $@ $<

$(TIMED): $(TIMED_OBJECTS) $(B)/tests/bench/phases.o \
		$(filter-out %/publisher/publisher.o %/publisher/sender.o,$(OBJECTS))
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $^ $(LIB_LIBS) $(LIBS)

# BENCH: what it is told, such as BENCH=quick; PEERS=1: get the other programs first. See
# tests/README.md.
run-bench: $(WEBMOND) $(LOOP) $(TIMED)
	$(if $(PEERS),@$(srcdir)/tests/bench/peers.sh)
	@$(TEST_ENVIRONMENT) LOOP='$(abspath $(LOOP))' TIMED='$(abspath $(TIMED))' \
		$(srcdir)/tests/bench.py $(BENCH)

run-lint: $(EDITED) $(OBJECTS) $(CTL)
	@cd $(srcdir) && builddir='$(abspath $(B))' OBJECTS='$(abspath $(OBJECTS) $(CTL))' \
		FLAGS="$(subst -I$(srcdir)/,-I,$(FLAGS) $(PRIVATE))" tests/lint.sh

# --- installation --------------------------------------------------------------------------------

# GOAL make install         DESTDIR=… for packagers; creates no users and starts nothing
# GOAL make uninstall       leaves what is yours, and says how to remove it
.PHONY: install uninstall installcheck

confdir = $(sysconfdir)/webmond
spooldir = $(localstatedir)/lib/webmond

# mode:file:destination. Both goals read this list.
INSTALLED = \
	0755:$(WEBMOND):$(sbindir)/webmond \
	0755:$(WEBMONDCTL):$(bindir)/webmondctl \
	0644:$(B)/src/webmond.8:$(mandir)/man8/webmond.8 \
	0644:$(B)/src/webmondctl.8:$(mandir)/man8/webmondctl.8 \
	0644:$(B)/src/webmond.conf.5:$(mandir)/man5/webmond.conf.5 \
	0644:$(B)/src/webmond-records.7:$(mandir)/man7/webmond-records.7 \
	0644:$(B)/etc/webmond.conf:$(confdir)/webmond.conf.sample \
	0644:$(srcdir)/etc/check-result.v1.schema.json:$(datadir)/webmond/check-result.v1.schema.json \
	0644:$(srcdir)/etc/prometheus-rules.yml:$(datadir)/webmond/prometheus-rules.yml \
	0755:$(srcdir)/etc/webmond-consumer.py:$(datadir)/webmond/webmond-consumer.py \
	0755:$(srcdir)/etc/webmond-alert.py:$(datadir)/webmond/webmond-alert.py \
	0755:$(srcdir)/etc/webmond-import.py:$(datadir)/webmond/webmond-import.py \
	0755:$(B)/etc/webmond.init:$(sysconfdir)/init.d/webmond \
	$(if $(systemdsystemunitdir),\
	0644:$(B)/etc/webmond.service:$(systemdsystemunitdir)/webmond.service) \
	0644:$(B)/etc/webmond.tmpfiles:$(prefix)/lib/tmpfiles.d/webmond.conf \
	0644:$(srcdir)/etc/webmond.sysusers:$(prefix)/lib/sysusers.d/webmond.conf \
	0644:$(B)/etc/webmond.bash-completion:$(datadir)/bash-completion/completions/webmond \
	0644:$(srcdir)/etc/webmondctl.bash-completion:$(datadir)/bash-completion/completions/webmondctl \
	$(foreach f,$(DOCUMENTS),0644:$f:$(f:$(B)/doc/%=$(docdir)/%)) \
	$(foreach f,NEWS LICENSE,0644:$(srcdir)/$f:$(docdir)/$f) \
	0644:$(B)/etc/webmond.conf:$(docdir)/webmond.conf.sample

# Directories for `rmdir` from the last to the first: ours, and those below the prefix that may have
# been made for us; what is not empty stays.
DIRECTORIES = $(confdir) $(confdir)/sites.d $(datadir)/webmond $(docdir) \
	$(docdir)/recipes $(spooldir) $(filter $(prefix)/%,$(sysconfdir)/init.d $(localstatedir) \
	$(localstatedir)/lib $(runstatedir) $(runstatedir)/webmond \
	$(patsubst %/system,%,$(systemdsystemunitdir)) $(systemdsystemunitdir) \
	$(prefix)/lib/tmpfiles.d $(prefix)/lib/sysusers.d $(mandir)/man5 \
	$(mandir)/man7 $(mandir)/man8 $(datadir)/bash-completion $(datadir)/bash-completion/completions)

# The configuration may get secrets in headers, and only root has to read it. The spool belongs to
# the user of the daemon, if there is one already.
install: all
	@set -e; for entry in $(INSTALLED); do \
		echo "$$entry" | { IFS=: read -r mode from to; \
		$(if $(V),set -x;,echo "  INSTALL $(DESTDIR)$$to";) \
		install -D -m $$mode "$$from" "$(DESTDIR)$$to"; }; \
	done
	$(Q)test -e "$(DESTDIR)$(confdir)/webmond.conf" || \
		install -m 0640 $(B)/etc/webmond.conf "$(DESTDIR)$(confdir)/webmond.conf"
	$(Q)install -d "$(DESTDIR)$(confdir)/sites.d" \
		$(foreach d,$(filter-out /run,$(runstatedir)),"$(DESTDIR)$d")
	$(Q)test -d "$(DESTDIR)$(spooldir)" || install -d -m 0700 \
		$$(test -z '$(DESTDIR)' && test "$$(id -u)" = 0 && id webmond >/dev/null 2>&1 && \
		echo -o webmond -g webmond) "$(DESTDIR)$(spooldir)"

# For the shell: left PATH WHAT COMMAND says what uninstall leaves, if it is there.
LEFT = left() { if [ -e "$$1" ] || [ -L "$$1" ]; then echo "  LEFT   $$1: $$2: $$3"; fi; }
LEFT_ON_SYSTEM = \
	left "$(runstatedir)/webmond.pid" "the PID of a daemon that runs" "kill it"; \
	left /etc/systemd/system/multi-user.target.wants/webmond.service \
		"the service is enabled" "systemctl disable webmond && systemctl daemon-reload"; \
	left /etc/init.d/webmond "a link" "rm /etc/init.d/webmond && update-rc.d webmond remove"; \
	for user in webmond webmond-check; do \
		! id $$user >/dev/null 2>&1 || echo "  LEFT   user $$user: userdel $$user"; \
	done

uninstall:
	$(Q)conf="$(DESTDIR)$(confdir)/webmond.conf"; \
		cmp -s "$$conf" "$$conf.sample" && rm -f "$$conf" || true
	@for entry in $(INSTALLED); do \
		$(if $(V),set -x;,echo "  REMOVE $(DESTDIR)$${entry##*:}";) \
		rm -f "$(DESTDIR)$${entry##*:}" || exit; \
	done
	$(Q)for dir in $(DIRECTORIES); do echo "$(DESTDIR)$$dir"; done | sort -r | \
		tr '\n' '\0' | xargs -0 rmdir 2>/dev/null || true
	@$(LEFT); \
	conf="$(DESTDIR)$(confdir)" spool="$(DESTDIR)$(spooldir)"; \
	left "$$conf" "your configuration, with its certificates and keys" "rm -r $$conf"; \
	left "$$spool" "records that Kafka has not confirmed" "rm -r $$spool"; \
	$(if $(DESTDIR),:,$(LEFT_ON_SYSTEM))

# The installed program starts, and likes the installed sample, which names no Kafka; root needs a
# user that exists.
installcheck:
	"$(DESTDIR)$(sbindir)/webmond" -V
	"$(DESTDIR)$(bindir)/webmondctl" -V
	@mkdir -p $(B)
	@{ cat "$(DESTDIR)$(confdir)/webmond.conf.sample"; \
		id webmond >/dev/null 2>&1 || echo 'user = "nobody";'; } >$(B)/sample.conf
	"$(DESTDIR)$(sbindir)/webmond" -t --once -c $(B)/sample.conf

# --- release -------------------------------------------------------------------------------------

# GOAL make dist            a reproducible tarball of what git knows, and configure
# GOAL make distcheck       prove it: read-only source, install, uninstall, clean, dist again
.PHONY: dist distcheck

NAME = $(PACKAGE_TARNAME)-$(VERSION)

# Without git, in a release, everything is a source that is not made here.
LIST_FILES = { test -e .git && git ls-files; } 2>/dev/null || \
	find . \( -name .git -o -name build -o -name __pycache__ -o -name autom4te.cache \) -prune \
	-o -type f ! -path './config.*' ! -path ./webmond ! -path ./webmondctl ! -path './*.tar*' -printf '%P\n'

dist: $(srcdir)/configure
	@out=$$PWD/$(NAME).tar; cd $(srcdir) && \
	when=$${SOURCE_DATE_EPOCH:-$$({ test -e .git && git log -1 --format=%ct; } 2>/dev/null || \
		stat -c %Y configure.ac)} && \
	{ $(LIST_FILES); echo configure; } | LC_ALL=C sort -u | \
	tar -c -f "$$out" -T - --transform 's|^|$(NAME)/|' --format=ustar --mtime=@$$when \
		--owner=0 --group=0 --numeric-owner --mode=a+rX,u+w,go-w && \
	gzip -9nf "$$out" && echo $(NAME).tar.gz

distcheck: dist
	@MAKE='$(MAKE)' $(srcdir)/tests/distcheck.sh $(NAME) $(abspath $(B))/distcheck

# GOAL make deb             Debian's package in build/deb, seen by lintian; DEB_BUILD_OPTIONS=nocheck
.PHONY: deb

# The release with etc/debian/ as debian/. The changelog has the version and its date from here. -I
# and -d: not all of build-essential is needed, which has a compiler for C++.
DEB = $(B)/deb
deb: dist
	@rm -rf $(DEB) && mkdir -p $(DEB) && tar -xzf $(NAME).tar.gz -C $(DEB)
	@cp -R $(srcdir)/etc/debian $(DEB)/$(NAME)/debian
	@cd $(DEB)/$(NAME)/debian && sed 's/@VERSION@/$(VERSION)/; s/@DATE@/$(shell LC_ALL=C \
		date -u -R -d $(RELEASE_DATE))/' changelog.in >changelog && rm changelog.in
	@cd $(DEB)/$(NAME) && dpkg-checkbuilddeps -I
	@cd $(DEB)/$(NAME) && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES \
		DEB_BUILD_OPTIONS="parallel=$$(nproc) $(DEB_BUILD_OPTIONS)" \
		dpkg-buildpackage -d --build=binary --no-sign >../log 2>&1 || { cat ../log; false; }
	@if command -v lintian >/dev/null; then \
		lintian --allow-root --fail-on error,warning $(DEB)/*.changes; \
	else echo 'lintian is not there; the package was not looked at'; fi
	@ls $(DEB)/*.deb

# GOAL make release         what is published: tarball, package, checksums, signatures; RELEASE=check
.PHONY: release

release: $(srcdir)/configure
	@MAKE='$(MAKE)' $(if $(RELEASE),RELEASE='$(RELEASE)') \
		$(srcdir)/tests/release.sh $(NAME) $(VERSION) $(RELEASE_DATE)

# --- cleaning ------------------------------------------------------------------------------------

# GOAL make clean           remove what make has written
# GOAL make distclean       and what configure has
clean:
	rm -rf build webmond webmondctl

distclean: clean
	rm -rf webmond-[0-9]*[0-9]
	rm -f config.mk config.log config.status $(if $(filter-out .,$(srcdir)),Makefile) \
		webmond-*.tar.gz
	rm -rf autom4te.cache
