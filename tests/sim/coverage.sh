#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Which lines of src/core the scenarios and random lives of the simulator reach.
# Usage: tests/sim/coverage.sh BUILDDIR LIVES     (a build with --coverage)
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1 lives=$2
LEAST=90

find "$build" -name '*.gcda' -delete
"$build/sim" --scenarios >/dev/null || exit 1
# A life that fails is another test's business; what it reached counts.
half=$(((lives + 1) / 2))
"$build/sim" --schedules "$half" --keep-going >/dev/null &
"$build/sim" --seed $((half + 1)) --schedules "$((lives - half))" --keep-going >/dev/null
wait

# Of lines that several copies of a function have (inline ones of headers) one copy is enough.
gcov -t "$build"/src/core/*.gcda 2>/dev/null | awk -v least=$LEAST -v lives="$lives" '
function flush_range() {
	if (from)
		missed[file] = missed[file] " " (from == to ? from : from "-" to)
	from = 0
}
/^ *-: *0:Source:/ {
	flush_range()
	file = $0
	sub(/.*Source:/, "", file)
	wanted = file ~ /^src\/core\/.*\.c$/
	next
}
!wanted { next }
{
	split($0, part, ":")
	count = part[1]
	line = part[2] + 0
	gsub(/ /, "", count)
	if (count == "-")
		next
	all[file]++
	if (count ~ /^#/) {
		if (!from)
			from = line
		to = line
	} else {
		flush_range()
		hit[file]++
	}
}
END {
	flush_range()
	for (f in all) {
		total += all[f]
		reached += hit[f]
		printf "%6.1f %%  %s%s\n", 100 * hit[f] / all[f], f,
			missed[f] ? ":" missed[f] : "" | "sort -n"
	}
	close("sort -n")
	percent = 100 * reached / total
	printf "%.1f %% of %d lines of src/core are reached by the scenarios and %d lives (%d %% wanted)\n",
		percent, total, lives, least
	exit percent < least
}'
