#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A life that a mutant fails in is made shorter; what is printed then fails again.
# Usage: tests/sim/shorter.sh BUILDDIR MUTANTS...
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1
shift
fail() { echo "FAIL $mutant: $*"; exit 1; }

for mutant; do
	out=$("$build/mutants/$mutant" --schedules 1000 --shrink 10)
	read -r faults of_faults requests of_requests < <(
		sed -nE 's/^  shortest .*: ([0-9]+) of ([0-9]+) faults, ([0-9]+) of ([0-9]+) requests.*/\1 \2 \3 \4/p' <<<"$out")
	[ -n "${of_requests:-}" ] || fail "no shorter life: $out"
	[ $((faults + requests)) -lt $((of_faults + of_requests)) ] || fail "not shorter"
	again=$(sed -n 's/^  again: sim \(.* --only .*\) --trace$/\1/p' <<<"$out")
	# shellcheck disable=SC2086
	"$build/mutants/$mutant" $again >/dev/null && fail "sim $again does not fail"
	# shellcheck disable=SC2086
	"$build/sim" $again >/dev/null || fail "sim $again fails without the mutant"
	echo "$mutant: $faults of $of_faults faults, $requests of $of_requests requests: $again"
done
