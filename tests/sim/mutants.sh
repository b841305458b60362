#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Shows that the simulator finds the faults that tests/sim/mutants/*.sed plant. Each program is built by make.
# Usage: tests/sim/mutants.sh BUILDDIR test [NAMES...]                 the test that its second line names fails
#        tests/sim/mutants.sh BUILDDIR lives COUNT KINDS [NAMES...]    random lives of these kinds find it, from seed 1 on
# All mutants without names. The last line counts; of lives it is enough that they find LEAST % (80).
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1 what=$2
shift 2

# Prints one line, which says "found" or "NOT FOUND".
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

# The first life from FIRST to LAST that fails with the fault, and not without it.
by_lives() { # FIRST LAST NAME
	local seed=$1 out find
	[ -x "$build/mutants/$3" ] || { printf '  %-5s NOT FOUND: it is not built\n' "$3"; return; }
	while [ "$seed" -le "$2" ]; do
		out=$("$build/mutants/$3" --seed "$seed" --schedules $(($2 - seed + 1)) --kinds "$kinds" --having "$having" --shrink 0 2>&1)
		find=$(grep -m1 '^seed [0-9]* failed' <<<"$out") || break
		find=${find#seed }
		seed=${find%% *}
		if "$build/sim" --seed "$seed" --kinds "$kinds" --shrink 0 >/dev/null 2>&1; then
			printf '  %-5s found after %5d lives: %.100s\n' "$3" "$seed" "${find#*: }"
			return
		fi
		seed=$((seed + 1))
	done
	if [ "$seed" -le "$2" ] && ! grep -q '^seeds .*: 0 failed' <<<"$out"; then
		printf '  %-5s found before %d lives: it dies\n' "$3" "$2"
	elif [ "$2" -eq "$count" ]; then
		printf '  %-5s NOT FOUND in %d lives\n' "$3" "$2"
	fi
}

export build
export -f by_test by_lives
log=$(mktemp)
trap 'rm -f "$log"' EXIT
least=100
case $what in
test) ;;
lives)
	export count=$1 kinds=$2 having=${HAVING:-none}
	least=${LEAST:-80}
	shift 2
	;;
*) exit 2 ;;
esac
[ $# -gt 0 ] || set -- $(ls tests/sim/mutants | sed -n 's/\.sed$//p' | sort -V)
if [ "$what" = test ]; then
	printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c "by_test {}" | tee "$log"
else
	# Most are found by the first lives: then only the others are looked for.
	first=1
	for last in 500 2000 "$count"; do
		[ "$last" -le "$count" ] || last=$count
		[ "$first" -le "$last" ] || continue
		for name in "$@"; do
			grep -q "^  $name  *found" "$log" || echo "$name"
		done | nice -n 19 xargs -P "$(nproc)" -I{} bash -c "by_lives $first $last {}" | tee -a "$log"
		first=$((last + 1))
	done
fi
found=$(grep -vc 'NOT FOUND' "$log")
echo "$found of $# mutants found"
[ $((found * 100)) -ge $(($# * least)) ]
