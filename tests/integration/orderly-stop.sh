#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A daemon that is told to end under load leaves its metadata clean: no mark of a crash, an empty activity log, nothing in doubt.
# Time limit: 600 s
. "$(dirname "$0")/functions.sh"
need jq
[ -x "$B/records" ] || skip "needs $B/records (make tests)"

# The stopped NODE's dump is given without --force, and bears none of the marks 0x02 (it is Primary) and 0x40 (it was, when it crashed).
must_be_clean() { # NODE WHEN
	local flags
	run ctl "$1" dump-md r0 || { cat "$WORK/out"; fail "the metadata of $1 are not clean after $2"; }
	flags=$(sed -nE 's/^flags (0x[0-9a-fA-F]+);.*/\1/p' "$WORK/out")
	[ -n "$flags" ] || { cat "$WORK/out"; fail "no flags in the dump of $1"; }
	[ $((flags & 0x42)) = 0 ] || fail "$1 has the flags $flags after $2"
}
load=
on_exit 'kill_jobs TERM $load'
more_written() { [ "$(count)" -ge "$target" ]; }
start_load() { # NODE
	target=$(($(count) + 400))
	"$B/records" write "$(node_file "$1")" "$WORK/journal" $((RANDOM)) 16 2>"$WORK/load.err" &
	load=$!
	must wait_for 60 "some writes" more_written
}
ended() { must wait_for 60 "the writers to end" node_gone "$load"; load=; }

two_nodes 96M
for round in 1 2 3; do
	start_load alpha
	case $round in
	1) must node_stop alpha ;;
	2)
		pid=${NODE_PID[alpha]}
		must ctl alpha shutdown
		must wait_for 60 "alpha to end" node_gone "$pid"
		unset 'NODE_PID[alpha]'
		;;
	3)
		# With nobody left to tell.
		must node_kill beta
		must wait_for 60 "alpha to notice" conn_is alpha beta Connecting
		target=$(($(count) + 200))
		must wait_for 60 "writes to go on alone" more_written
		must node_stop alpha
		;;
	esac
	ended
	must_be_clean alpha "round $round"
	must node_start alpha
	[ "$round" != 3 ] || must node_start beta
	must wait_for 60 "both nodes settled (round $round)" cluster_settled
	"$B/records" verify "$(node_file alpha)" "$WORK/journal" || fail "wrong data on alpha (round $round)"
done
# The Secondary of a writing Primary.
start_load alpha
must node_stop beta
must_be_clean beta "its end as a Secondary"
must node_start beta
must wait_for 60 "the resync to end" cluster_settled
kill "$load"
ended
must wait_for 60 "alpha to demote" role_is alpha Secondary
for n in alpha beta; do must node_stop $n; must_be_clean $n "the last stop"; done

# Told to end while it starts: sooner or later in that.
for ((i = 0; i < 30; i++)); do
	mv "$WORK/alpha/log" "$WORK/alpha/log.$i"
	setsid "$B/drbdfs" mount -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$CLUSTER_DIR/alpha/control.sock" -f "$CLUSTER_DIR/alpha/mnt" \
		>"$WORK/alpha/log" 2>&1 </dev/null &
	NODE_PID[alpha]=$!
	must wait_for 60 "alpha to begin" eval 'grep -q "Diskless -> Attaching" "$WORK/alpha/log" || node_gone "${NODE_PID[alpha]}"'
	pause "0.0$(printf %02d $((i / 3)))"
	kill -TERM "${NODE_PID[alpha]}"
	must wait_for 60 "alpha to end" node_gone "${NODE_PID[alpha]}"
	wait "${NODE_PID[alpha]}" || { cat "$WORK/alpha/log"; fail "exit $? when told to end while it starts"; }
	unset 'NODE_PID[alpha]'
done
cat "$WORK"/alpha/log.* >>"$WORK/alpha/log"
must_be_clean alpha "its aborted starts"
! grep -q 'activity log was not clean' "$WORK/alpha/log" || fail "alpha found its activity log unclean"
must cluster_compare
