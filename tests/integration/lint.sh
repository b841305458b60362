#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `make lint` finds the source as it should be, and finds what it is there for: a clock in the core, by its header
# and by what the archive asks for; a scenario in the table of DRBD's bugs that does not exist, and one that it leaves out.
# Time limit: 900 s
. "$(dirname "$0")/functions.sh"
need gcc ar nm
nm "$B/libcore.a" 2>/dev/null | grep -q '__asan\|__tsan' && skip "needs a build without sanitizers"

mkdir "$WORK/tree" "$WORK/b"
cp -r src daemon cli tests "$WORK/tree"
cp "$B"/lib*.a "$WORK/b"
run "$WORK/tree/tests/lint/lint.sh" "$WORK/b" || { cat "$WORK/out"; fail "lint complains about the source"; }
said '^lint: ok$'

sed -i '/^#include "core\/core_hooks.h"/a #include <time.h>' "$WORK/tree/src/core/keepalive.c"
echo 'long time(long *); long clock_of_the_core(void); long clock_of_the_core(void) { return time(0); }' >"$WORK/clock.c"
must gcc -c -o "$WORK/clock.o" "$WORK/clock.c"
must ar r "$WORK/b/libcore.a" "$WORK/clock.o"
sed -i 's/`H2-stream-points`/`H2-stream-point`/' "$WORK/tree/tests/sim/README.md"
must_fail 1 "$WORK/tree/tests/lint/lint.sh" "$WORK/b"
said '^lint: src/core/keepalive.c:[0-9]+: src/core/ must not include <time.h>$' "^lint: libcore.a needs 'time', which is not pure$" \
	"^lint: tests/sim/README.md: H2: there is no 'H2-stream-point'$" \
	"^lint: tests/sim/README.md: H2 does not name 'H2-stream-points'$"
[ "$(grep -c '^lint: src\|^lint: lib' "$WORK/out")" = 2 ] || { cat "$WORK/out"; fail "lint complains about something else, too"; }
