#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs every fuzzer in BUILDDIR for SECONDS on its corpus. Usage: tests/fuzz/run.sh BUILDDIR SECONDS
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1 seconds=$2 bad=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for src in tests/fuzz/fuzz_*.c; do
	name=$(basename "$src" .c)
	corpus=tests/fuzz/corpus/${name#fuzz_}
	mkdir -p "$work/$name"
	[ -d "$corpus" ] || corpus=
	# Weighing inputs by rare features would be half of the time of a session.
	more=
	[ "$name" != fuzz_session ] || more="-entropic=0 -max_len=1024"
	if "$build/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 $more \
		-artifact_prefix="$work/$name-" "$work/$name" $corpus >"$work/$name.log" 2>&1; then
		printf '  %-20s ok, %s runs\n' "$name" "$(sed -nE 's/^stat::number_of_executed_units: //p' "$work/$name.log")"
	else
		bad=$((bad + 1))
		printf '  %-20s FAILED\n' "$name"
		tail -n 40 "$work/$name.log" | sed 's/^/    | /'
		for f in "$work/$name"-*; do [ -f "$f" ] && { echo "    | input $(basename "$f"):"; od -A x -t x1z "$f" | head -n 20 | sed 's/^/    | /'; }; done
	fi
done
[ "$bad" -eq 0 ]
