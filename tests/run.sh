#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs the built tests and counts them. Usage: tests/run.sh BUILDDIR all|unit|integration
# The last line is "N passed, N failed, N skipped". JOBS: how many of the integration tests at once; most of their time is waiting.
set -u
cd "$(dirname "$0")/.." || exit 2
build=$1
what=${2:-all}
passed=0 failed=0 skipped=0
log=$(mktemp -d)
integration=
end() {
	[ -z "$integration" ] || kill -TERM -- "-$integration" 2>/dev/null
	rm -rf "$log"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export DRBDFS_CAPTURES=${DRBDFS_CAPTURES:-$(cd ../shared/captures 2>/dev/null && pwd)}

# Each failure in a line, told again at the end.
export FAILURES=${FAILURES:-$log/failures}
# And how long each took: the longest are told, too.
export DURATIONS=${DURATIONS:-$log/durations}
touch "$FAILURES" "$DURATIONS"
took() { echo "$((SECONDS - $2)) s: $1" >>"$DURATIONS"; } # LABEL SINCE
show_failure() { # LABEL OUTPUT
	sed 's/^/    | /' "$2" | tail -n 40
	echo "failed: $1: $(grep -E '^(FAIL|seed|round)' "$2" | tail -n 3 | paste -sd ' ' | grep . || tail -n 1 "$2")" >>"$FAILURES"
}

# Criterion prints "Synthesis: Tested: 3 | Passing: 3 | Failing: 0 | Crashing: 0"; skipped cases are
# reported by the test itself as a line "SKIP: reason".
run_criterion() { # LABEL PROGRAM
	local out=$log/out rc=0 pass fail skips since=$SECONDS
	timeout 900 "$2" --jobs 2 --short-filename >"$out" 2>&1 || rc=$?
	took "$1" "$since"
	pass=$(sed -nE 's/.*Passing: [^0-9]*([0-9]+).*/\1/p' "$out" | tail -n 1)
	fail=$(sed -nE 's/.*Failing: [^0-9]*([0-9]+).*Crashing: [^0-9]*([0-9]+).*/\1 \2/p' "$out" | tail -n 1 | awk '{print $1 + $2}')
	skips=$(grep -c '^SKIP: ' "$out")
	if [ -z "$pass" ]; then pass=0; fail=1; fi
	[ "$rc" -eq 0 ] || [ "${fail:-0}" -gt 0 ] || fail=1
	passed=$((passed + pass - skips)) failed=$((failed + fail)) skipped=$((skipped + skips))
	printf '  %-46s %s passed' "$1" "$((pass - skips))"
	[ "$skips" -eq 0 ] || printf ', %s skipped' "$skips"
	[ "$fail" -eq 0 ] && echo || { printf ', %s FAILED (exit %s)\n' "$fail" "$rc"; show_failure "$1" "$out"; }
	grep '^SKIP: ' "$out" | sed 's/^/      /'
}

run_plain() { # LABEL TIMEOUT COMMAND...
	local label=$1 limit=$2 out=$log/out rc=0 since=$SECONDS
	shift 2
	timeout -k 10 "$limit" "$@" >"$out" 2>&1 </dev/null || rc=$?
	took "$label" "$since"
	case $rc in
	0) passed=$((passed + 1)); printf '  %-46s ok\n' "$label" ;;
	77) skipped=$((skipped + 1)); printf '  %-46s skipped: %s\n' "$label" "$(tail -n 1 "$out")" ;;
	*) failed=$((failed + 1)); printf '  %-46s FAILED (exit %s)\n' "$label" "$rc"; show_failure "$label" "$out" ;;
	esac
}

run_unit() { # LABEL-SUFFIX BUILDDIR
	local t
	for t in tests/unit/*.c; do
		t=$(basename "$t" .c)
		run_criterion "unit/$t$1" "$2/tests/unit/$t"
	done
	for t in tests/property/*.c; do
		t=$(basename "$t" .c)
		run_plain "property/$t$1" 900 "$2/tests/property/$t"
	done
}

run_units() {
	echo "unit and property tests"
	run_unit "" "$build"
	echo "the same under ASan and UBSan"
	run_unit " (asan)" "$build/asan"
	echo "threads (plain, ASan, TSan)"
	for t in tests/threads/*.c; do
		t=$(basename "$t" .c)
		run_plain "threads/$t" 900 "$build/tests/threads/$t"
		run_plain "threads/$t (asan)" 900 "$build/asan/tests/threads/$t"
		run_plain "threads/$t (tsan)" 900 "$build/tsan/tests/threads/$t"
	done
	echo "simulator"
	run_plain "sim: its models" 900 "$build/sim" --self-test
	run_plain "sim: named scenarios" 900 "$build/sim" --scenarios
	run_plain "sim: mutants are found" 900 tests/sim/mutants.sh "$build" test
	run_plain "sim: mutants are found by random lives" 900 tests/sim/mutants.sh "$build" lives 1000 default H16 H20 H28
	run_plain "sim: what fails is made shorter" 900 tests/sim/shorter.sh "$build" H16 H20 H28
	run_plain "sim: one trace, whatever built it" 900 tests/sim/one_trace.sh "$build"
	run_plain "sim: ${SIM_SEEDS:-2000} schedules" 900 "$build/sim" --seeds "${SIM_SEEDS:-2000}"
	run_plain "sim: 100 schedules (asan)" 900 "$build/asan/sim" --seeds 100
}

time_limit() { sed -nE 's/^# Time limit: ([0-9]+) s$/\1/p' "$1" | grep . || echo 300; } # TEST
integration_tests() { # the long ones first
	local t
	for t in tests/integration/*.sh; do [ "$t" = tests/integration/functions.sh ] || echo "$(time_limit "$t") $t"; done |
		sort -k 1,1nr -k 2 | cut -d ' ' -f 2
}
# One, on behalf of the next function: its lines in one piece, its result into a file.
if [ "$what" = one ]; then # ... one TEST RESULTS
	run_plain "integration/$(basename "$3" .sh)" "$(time_limit "$3")" env B="$build" bash "$3" >"$log/lines"
	cat "$log/lines"
	echo "$passed $failed $skipped" >>"$4"
	exit 0
fi
run_at_once() { # HOW-MANY: the tests of stdin; SLOT, which xargs sets, keeps their ports apart
	xargs -r -P "$1" --process-slot-var=SLOT -I TEST tests/run.sh "$build" one TEST "$log/results"
}
begin_integration() {
	: >"$log/results"
	set -m # a group of its own, for `end`
	(integration_tests | run_at_once "${JOBS:-$(nproc)}") >"$log/integration" &
	integration=$!
	set +m
}
end_integration() {
	local p f s ended=0
	echo "integration: real daemons"
	tail -n +1 -f --pid="$integration" "$log/integration"
	wait "$integration"
	integration=
	while read -r p f s; do
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s)) ended=$((ended + 1))
	done <"$log/results"
	failed=$((failed + $(integration_tests | wc -l) - ended))
}

# Real daemons mostly wait, for each other and for time to pass: the others compute meanwhile, of what they leave.
[ "$what" = unit ] || begin_integration
[ "$what" != all ] || renice -n 10 -p $$ >/dev/null
[ "$what" = integration ] || run_units
[ "$what" = unit ] || end_integration

echo "in $SECONDS s, of which"
sort -nr "$DURATIONS" | head -n 15 | sed 's/^/  /'
cat "$FAILURES"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
