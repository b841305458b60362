#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Shows that the simulator finds the faults that tests/sim/mutants/*.sed plant. Each program is built by make.
# Usage: tests/sim/mutants.sh BUILDDIR test [NAMES...]           the test that its second line names fails
#        tests/sim/mutants.sh BUILDDIR lives COUNT [NAMES...]    random lives find it, from seed 1 on
# All mutants without names. The last line counts.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1 what=$2
shift 2

# Both print one line, which says "found" or "NOT FOUND".
by_test() { # NAME
	local kind what out rc=0
	read -r _ kind what < <(sed -n 2p "tests/sim/mutants/$1.sed")
	if [ "$kind" = scenario ]; then
		out=$(timeout 60 "$build/mutants/$1" --scenarios "$what" 2>&1) || rc=$?
	else
		out=$(timeout 60 "$build/mutants/$1.test" 2>&1) || rc=$?
	fi
	if [ "$rc" -eq 124 ] || { [ "$rc" -eq 1 ] && { [ "$kind" = program ] || grep -q "^FAIL $what " <<<"$out"; }; }; then
		printf '  %-5s found by %s\n' "$1" "$what"
	else
		printf '  %-5s NOT FOUND by %s\n' "$1" "$what"
	fi
}

by_lives() { # COUNT NAME
	local out find
	out=$(nice -n 19 "$build/mutants/$2" --schedules "$1" --shrink 0 2>&1)
	if find=$(grep -m1 '^seed [0-9]* failed' <<<"$out"); then
		find=${find#seed }
		printf '  %-5s found after %5d lives: %.100s\n' "$2" "${find%% *}" "${find#*: }"
	else
		printf '  %-5s NOT FOUND in %d lives: %s\n' "$2" "$1" "$(tail -n 1 <<<"$out")"
	fi
}

export build
export -f by_test by_lives
log=$(mktemp)
trap 'rm -f "$log"' EXIT
case $what in
test) call=by_test ;;
lives) call="by_lives $1" && shift ;;
*) exit 2 ;;
esac
[ $# -gt 0 ] || set -- $(ls tests/sim/mutants | sed -n 's/\.sed$//p' | sort -V)
printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c "$call {}" | tee "$log"
found=$(grep -vc 'NOT FOUND' "$log")
echo "$found of $# mutants found"
[ "$found" -eq $# ]
