#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The test of fuzz_session itself: each of PROGRAMS has one fault (planted/*.sed) that has to be
# found within SESSIONS. Usage: tests/fuzz/planted.sh PROGRAMS...
set -u
cd "$(dirname "$0")/../.." || exit 2
SESSIONS=40000
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
for program; do
	name=$(basename "$program")
	mkdir "$work/$name"
	"$program" -runs="$SESSIONS" -seed=1 -entropic=0 -use_counters=0 -max_len=1024 \
		-timeout=10 -artifact_prefix="$work/" "$work/$name" tests/fuzz/corpus/session >"$work/log" 2>&1
	# Not each end with an error is a find: it could not have begun.
	if find=$(grep -m1 -oE 'assertion failed: .*|AddressSanitizer: [a-z-]*|runtime error: .*' "$work/log"); then
		printf '  planted %-20s found: %s\n' "$name" "$find"
	else
		bad=$((bad + 1))
		printf '  planted %-20s NOT FOUND in %d sessions\n' "$name" "$SESSIONS"
		tail -n 5 "$work/log" | sed 's/^/    | /'
	fi
done
[ "$bad" -eq 0 ]
