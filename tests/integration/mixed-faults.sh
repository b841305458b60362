#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Many writers on one of three nodes while random things fail: no acknowledged write is lost, all data areas are equal in the end.
# ROUNDS=n SEED=n THING=name: how many, from which start, only this one.
# Time limit: 600 s
. "$(dirname "$0")/functions.sh"
need jq
[ -x "$B/records" ] || skip "needs $B/records (make tests)"
rounds=${ROUNDS:-8}
seed=${SEED:-$RANDOM}
echo "seed $seed"
RANDOM=$seed

CLUSTER_NET='timeout = 20; ko-count = 2;'
CLUSTER_DISK='c-plan-ahead = 0; resync-rate = "24M";'
three_nodes 48M

load=
start_load() { # NODE
	"$B/records" write "$(node_file "$1")" "$WORK/journal" $((RANDOM)) 6 2>"$WORK/load.err" &
	load=$!
}
on_exit 'kill_jobs TERM $load'
# Writes go on, on the node that has them.
progress() { # HOW-MANY
	target=$(($(count) + $1))
	must wait_for 60 "writes to go on" enough
	node_alive "$primary" && { ! node_gone "$load" || { cat "$WORK/load.err"; fail "the writers on $primary met an error"; }; }
	return 0
}
pause_ms() { pause "0.$(printf %03d $((RANDOM % $1)))"; }

# --- what may happen; $primary writes, $a and $b are its peers, all settled -----------------------
peer_killed() { node_kill $a; progress 200; must node_start $a; }
peer_killed_twice() {
	node_kill $a; progress 500; must node_start $a
	pause_ms 900
	node_kill $a; progress 200; must node_start $a
}
peer_stopped() { must node_stop $a; progress 200; must node_start $a; }
peer_hangs() {
	local pid=${NODE_PID[$a]}
	kill -STOP "$pid"; progress 200; kill -CONT "$pid"
}
peer_disconnected() {
	if [ $((RANDOM % 2)) = 0 ]; then
		must ctl $primary disconnect r0:$a; progress 200; must ctl $primary connect r0:$a
	else
		must ctl $a disconnect r0; progress 200; must ctl $a connect r0
	fi
}
peers_disconnected() { must ctl $a disconnect r0:$b; progress 300; must ctl $a connect r0:$b; }
peer_detached() { must ctl $a detach r0 --force; progress 200; must ctl $a attach r0; }
own_disk_detached() { must ctl $primary detach r0 --force; progress 200; must ctl $primary attach r0; }
peer_invalidated() { must ctl $a invalidate r0; progress 200; }
peer_invalidated_from_here() { must ctl $primary invalidate-remote r0:$a; progress 200; }
invalidated_and_killed() { must ctl $a invalidate r0; pause_ms 400; node_kill $a; progress 200; must node_start $a; }
primary_killed() { node_kill $primary; must wait_for 60 "the writers to end" node_gone "$load"; must node_start $primary; }
primary_killed_in_resync() {
	node_kill $a; progress 500; must node_start $a
	pause_ms 600
	primary_killed
}
both_peers_killed() { node_kill $a; node_kill $b; progress 300; must node_start $a; must node_start $b; }
all_killed() {
	local n
	for n in $a $primary $b; do node_kill $n; done
	must wait_for 60 "the writers to end" node_gone "$load"
	for n in $b $primary $a; do must node_start $n; done
}
things=(peer_killed peer_killed_twice peer_stopped peer_hangs peer_disconnected peers_disconnected peer_detached own_disk_detached
	peer_invalidated peer_invalidated_from_here invalidated_and_killed primary_killed primary_killed_in_resync
	both_peers_killed all_killed)

nodes=(alpha beta gamma)
for ((round = 1; round <= rounds; round++)); do
	shift_by=$((RANDOM % 3))
	primary=${nodes[shift_by]} a=${nodes[(shift_by + 1) % 3]} b=${nodes[(shift_by + 2) % 3]}
	[ $((RANDOM % 2)) = 0 ] || { t=$a; a=$b; b=$t; }
	thing=${THING:-${things[RANDOM % ${#things[@]}]}}
	echo "round $round: $thing, Primary $primary, peers $a $b"
	start_load $primary
	progress 300
	$thing
	if node_gone "$load"; then
		# It ended with its node; another one may take over before all have settled. What survivors show is kept. When all
		# were down, the one that was Primary decides about its unacknowledged writes, whoever is there first.
		reading=verify
		[ "$thing" != all_killed ] || reading=look
		must wait_for 120 "$b to be UpToDate (round $round: $thing)" disk_is $b UpToDate
		must wait_for 120 "$b to be readable (round $round: $thing)" eval '"$B/records" $reading "$(node_file $b)" "$WORK/journal" >"$WORK/verify" 2>&1 || [ $? = 1 ]'
		[ ! -s "$WORK/verify" ] || { cat "$WORK/verify"; fail "wrong data on $b (round $round: $thing)"; }
	else
		kill "$load"
		must wait_for 60 "the last writes to complete (round $round: $thing)" node_gone "$load"
		wait "$load" || { cat "$WORK/load.err"; fail "the writers on $primary met an error (round $round: $thing)"; }
	fi
	must wait_for 120 "all nodes settled (round $round: $thing)" cluster_settled
	for n in $primary $a $b; do
		"$B/records" verify "$(node_file $n)" "$WORK/journal" || fail "wrong data on $n (round $round: $thing)"
	done
done
stop_all
must cluster_compare
echo "$rounds rounds, $(count) acknowledged records"
