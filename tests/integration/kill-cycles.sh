#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A random node is killed with SIGKILL under load, 50 times: no acknowledged write is lost, all data areas are equal in the end.
# Time limit: 1200 s
. "$(dirname "$0")/functions.sh"
need jq
[ -x "$B/records" ] || skip "needs $B/records (make tests)"
cycles=${CYCLES:-50}
seed=${SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed

three_nodes 64M

load=
on_exit 'kill_jobs TERM $load'
read_all() { "$B/records" verify "$(node_file "$1")" "$WORK/journal" >"$WORK/verify" 2>&1 || [ $? = 1 ]; } # NODE

primary=alpha
nodes=(alpha beta gamma)
for ((cycle = 1; cycle <= cycles; cycle++)); do
	"$B/records" write "$(node_file $primary)" "$WORK/journal" $((RANDOM)) 4 2>"$WORK/load.err" &
	load=$!
	progress $((50 + RANDOM % 500)) "records to be written" "cycle $cycle"
	victim=${nodes[RANDOM % 3]}
	node_kill "$victim"
	if [ "$victim" = "$primary" ]; then
		must wait_for 60 "the writers to end" node_gone "$load"
		while [ "$primary" = "$victim" ]; do primary=${nodes[RANDOM % 3]}; done
		must wait_for 60 "$primary to be UpToDate" disk_is "$primary" UpToDate
	else
		progress 50 "writes to go on without $victim" "cycle $cycle"
		kill "$load"
		must wait_for 60 "the writers to end" node_gone "$load"
		wait "$load" || { cat "$WORK/load.err"; fail "cycle $cycle: the writers on $primary met an error"; }
	fi
	must wait_for 60 "$primary to be readable" read_all "$primary"
	[ ! -s "$WORK/verify" ] || { cat "$WORK/verify"; fail "cycle $cycle: wrong data on $primary"; }
	must node_start "$victim"
	must wait_for 60 "all nodes settled after cycle $cycle" cluster_settled
done
stop_all
must cluster_compare
echo "$cycles cycles, $(count) acknowledged records"
