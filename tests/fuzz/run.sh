#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs each fuzzer of BUILDDIR that is named for SECONDS on its corpus, as one process for each
# processor, which share what they find. Usage: tests/fuzz/run.sh BUILDDIR SECONDS fuzz_NAME...
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1 seconds=$2 bad=0
shift 2
# Half of the time of the shortest inputs would be the making of files.
work=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")")
trap 'rm -rf "$work"' EXIT

# run_one NAME N: process N of fuzzer NAME
run_one() {
	local corpus=tests/fuzz/corpus/${1#fuzz_} more=
	[ -d "$corpus" ] || corpus=
	# Weighing inputs by rare features would be half of the time of a session; counting how often
	# a branch is taken keeps each longer session as new: soon they take twice the time.
	[ "$1" != fuzz_session ] || more="-entropic=0 -use_counters=0 -max_len=1024"
	"$build/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		$more -artifact_prefix="$work/$1-" "$work/$1" $corpus >"$work/$1.$2.log" 2>&1
}

# failed NAME N: what process N of fuzzer NAME found
failed() {
	tail -n 40 "$work/$1.$2.log" | sed 's/^/    | /'
	for f in "$work/$1"-*; do
		[ -f "$f" ] || continue
		echo "    | input $(basename "$f"):"
		od -A x -t x1z "$f" | head -n 20 | sed 's/^/    | /'
	done
}

for name; do
	pids=() runs=0 ok=true
	mkdir -p "$work/$name"
	for ((n = 0; n < $(nproc); n++)); do
		run_one "$name" "$n" &
		pids+=($!)
	done
	for n in "${!pids[@]}"; do
		wait "${pids[n]}" || { ok=false; failed "$name" "$n"; }
		runs=$((runs + $(sed -nE 's/^stat::number_of_executed_units: ([0-9]+).*/\1/p' "$work/$name.$n.log" | grep . || echo 0)))
	done
	if $ok; then
		printf '  %-20s ok, %d runs, %d a second\n' "$name" "$runs" $((runs / seconds))
	else
		bad=$((bad + 1))
		printf '  %-20s FAILED\n' "$name"
	fi
done
[ "$bad" -eq 0 ]
