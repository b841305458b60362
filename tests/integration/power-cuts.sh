#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The power of random nodes is cut under load, 100 times, and their disks lose what was not flushed, in any order: what an fsync
# has returned for is there afterwards, and all data areas are equal. CUTS=n SEED=n: how many, from which start.
# Time limit: 900 s
. "$(dirname "$0")/functions.sh"
need jq
for program in records volatile_disk; do [ -x "$B/$program" ] || skip "needs $B/$program (make tests)"; done
cuts=${CUTS:-100}
seed=${SEED:-$RANDOM}

# Without the one flush that there is this must fail, or it proves nothing.
find_planted() { # NAME
	local program
	[ -x "$B/planted/$1/drbdfs" ] || skip "needs $B/planted/$1/drbdfs (make tests)"
	mkdir "$WORK/$1"
	for program in drbdctl records volatile_disk; do ln -s "$B/$program" "$WORK/$1/$program"; done
	ln -s "$B/planted/$1/drbdfs" "$WORK/$1/drbdfs"
	must_fail 1 env PLANTED="$1" B="$WORK/$1" bash tests/integration/power-cuts.sh
	# Data that are gone, or metadata with which the nodes do not come together again.
	said 'FAIL: (wrong data|cluster_compare|wait_for 60 all nodes settled)'
	echo "$1: $(grep FAIL "$WORK/out")"
}
[ -n "${PLANTED:-}" ] || find_planted no-flush

echo "seed $seed"
RANDOM=$seed

cluster_new "$WORK" 24M alpha beta gamma
for n in $CLUSTER_NODES; do volatile_disk_below "$n"; done
must cluster_create_md >/dev/null
for n in $CLUSTER_NODES; do must node_start "$n"; done
for n in alpha beta; do must ctl "$n" wait-connect r0 --timeout 60; done
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "all nodes settled" cluster_settled

load=
on_exit 'kill_jobs TERM $load'

modes=(all none random random random prefix torn)
nodes=(alpha beta gamma)
lost=0
for ((done = 0; done < cuts;)); do
	primary=${nodes[RANDOM % 3]}
	"$B/records" sync "$(node_file $primary)" "$WORK/journal" $((RANDOM)) 6 2>"$WORK/load.err" &
	load=$!
	progress $((20 + RANDOM % 100)) "records to be written" "cut $done"
	# One, the next one too, or all.
	first=$((RANDOM % 3)) victims=()
	for ((i = 0; i < 1 + RANDOM % 3; i++)); do victims+=("${nodes[(first + i) % 3]}"); done
	for n in "${victims[@]}"; do node_kill "$n"; done
	for n in "${victims[@]}"; do
		must echo "cut ${modes[RANDOM % ${#modes[@]}]} $RANDOM" >"$WORK/$n/below/ctl"
		lost=$((lost + $(cut -d ' ' -f 1 "$WORK/$n/below/ctl")))
	done
	done=$((done + ${#victims[@]}))
	if [[ " ${victims[*]} " != *" $primary "* ]]; then
		progress 10 "writes to go on without ${victims[*]}" "cut $done"
		kill "$load"
	fi
	must wait_for 60 "the writers to end" node_gone "$load"
	for n in "${victims[@]}"; do must node_start "$n"; done
	must wait_for 60 "all nodes settled after cut $done (${victims[*]}, Primary $primary)" cluster_settled
	"$B/records" verify-cut "$(node_file "${nodes[RANDOM % 3]}")" "$WORK/journal" || fail "wrong data after cut $done (${victims[*]}, Primary $primary)"
done
stop_all
must cluster_compare
echo "$done cuts, $(count) records acknowledged after fdatasync, $lost sectors lost or put back"
