#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A seed gives one trace, whichever compiler built the simulator, with and without optimisation and
# sanitizers. Usage: tests/sim/one_trace.sh BUILDDIR
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1
SEEDS=50
ALL_KINDS=30 # lives of all kinds; whether they fail is for others to say

hashes() {
	"$build/$1" --hashes --schedules $SEEDS | grep ' hash '
	"$build/$1" --hashes --schedules $ALL_KINDS --kinds all --keep-going --shrink 0 |
		grep ' hash '
}

want=$(hashes sim)
[ "$(wc -l <<<"$want")" -eq $((SEEDS + ALL_KINDS)) ] || { echo "FAIL: $want"; exit 1; }
for other in gcc-O0/sim clang-O0/sim clang-O2/sim asan/sim; do
	got=$(hashes "$other")
	if [ "$got" != "$want" ]; then
		echo "FAIL $other: its traces are not those of $build/sim"
		diff <(echo "$want") <(echo "$got") | head -n 4
		exit 1
	fi
done
echo "$SEEDS seeds, and $ALL_KINDS of all kinds, the same traces by gcc and clang, -O0 and -O2, with ASan"
