#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk that does not answer, while it is being attached or written to: status answers all the same, the daemon ends in
# time, and a Primary elsewhere does not wait for it longer than ko-count allows.
. "$(dirname "$0")/functions.sh"
need jq

# Something that can hang: alpha's disk is the file of another drbdfs, which gets stopped.
below_disk=$WORK/below.img
mkdir "$WORK/below"
truncate -s 40M "$below_disk"
CLUSTER_NET='ko-count = 2; timeout = 10;'
cluster_new "$WORK" 32M alpha beta
free_port
cat >"$WORK/below.conf" <<CONF
version = 1;
resources = ( { name = "r0"; volumes = ( { volume = 0; disk = "$below_disk"; } );
  nodes = ( { name = "below"; node-id = 0; address = "127.0.0.1:$PORT"; } ); } );
CONF
below() { "$B/drbdctl" -c "$WORK/below.conf" -n below -s "$WORK/below.sock" "$@"; }
must below create-md r0 >/dev/null
"$B/drbdfs" mount -f -c "$WORK/below.conf" -n below -s "$WORK/below.sock" "$WORK/below" >"$WORK/below.log" 2>&1 </dev/null &
below_pid=$!
on_exit 'kill_jobs CONT $below_pid; kill_jobs KILL $below_pid; fusermount3 -uzq "$WORK/below" 2>/dev/null'
must wait_for 60 "what is below to answer" below role r0
must below primary r0 --force
must wait_for 60 "the file below" test -e "$WORK/below/r0"
ln -sf "$WORK/below/r0" "$(node_disk alpha)"
# The first close asks the file system below whether it wants to know; later ones, by who ends, need not wait for it.
head -c 4096 "$WORK/below/r0" >/dev/null

# A request that one of its threads still took, and does not answer, is waited for by the kernel, whoever is killed.
stands_still() { [ -z "$(grep -L '^State:[[:space:]]*T' /proc/"$below_pid"/task/*/status)" ]; }
stop_below() {
	kill -STOP "$below_pid"
	must wait_for 10 "what is below to stand still" stands_still
}

# The bound is 15 s without progress in the daemon.
ends_in_time() { # WHAT
	local pid=${NODE_PID[alpha]} before=$SECONDS
	kill -TERM "$pid"
	must wait_for 40 "alpha to end although $1" node_gone "$pid"
	unset 'NODE_PID[alpha]'
	echo "ended after $((SECONDS - before)) s although $1"
}

must cluster_create_md >/dev/null
for n in alpha beta; do must node_start $n; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
must put_random alpha 0 1024

# The command in whose middle it hangs keeps neither a detach by force nor the end waiting.
must wait_for 30 "alpha to demote" role_is alpha Secondary
must ctl alpha detach r0
hang_in_attach() {
	stop_below
	ctl alpha attach r0 >"$WORK/attach" 2>&1 &
	attach=$!
	on_exit 'kill_jobs TERM $attach'
	must wait_for 60 "the attach to hang" disk_is alpha Attaching
}
hang_in_attach
must timeout 10 "$B/drbdctl" -s "$WORK/alpha/control.sock" detach r0 --force
disk_is alpha Diskless || fail "the disk is $(ctl alpha dstate r0)"
! wait "$attach" || fail "an attach that was given up succeeded: $(cat "$WORK/attach")"
grep -q 'no answer for .* attach given up' "$WORK/attach" || fail "attach says: $(cat "$WORK/attach")"
must_fail 10 timeout 10 "$B/drbdctl" -s "$WORK/alpha/control.sock" attach r0/0
said 'its disk has not answered 1 requests from before it was given up.*try again'
kill -CONT "$below_pid"
must wait_for 60 "the disk to be attached again" ctl alpha attach r0
must wait_for 60 "both nodes settled" cluster_settled
must ctl alpha detach r0
hang_in_attach
ends_in_time "its disk is being attached"
must wait_for 60 "the command to fail" node_gone "$attach"
! wait "$attach" || fail "an attach that never ended succeeded: $(cat "$WORK/attach")"

# With its disk back all is well.
back() {
	kill -CONT "$below_pid"
	must node_start alpha
	must wait_for 60 "both nodes settled" cluster_settled
	must wait_for 30 "nobody to be Primary" eval 'role_is alpha Secondary && role_is beta Secondary'
}
answers_at_once() { must timeout 3 "$B/drbdctl" -s "$WORK/alpha/control.sock" status >/dev/null; }
back

# In the middle of its own writes: at first in one of the metadata, then in one of the data.
for hangs in upper lower; do
	if [ "$hangs" = lower ]; then
		# The extent is in the activity log, nothing is under way.
		exec 3<>"$(node_file alpha)"
		must put_random alpha 2048 64
		must wait_for 30 "alpha to be idle" eval '[ "$(field alpha "[.devices[0].\"upper-pending\", .connections[0].peer_devices[0].unacked] | add")" = 0 ]'
	fi
	stop_below
	put_random alpha 2048 64 2>/dev/null 3>&- &
	writer=$!
	on_exit 'kill_jobs TERM $writer'
	must wait_for 30 "a write to hang" eval '[ "$(field alpha ".devices[0].\"$hangs-pending\"")" -gt 0 ]'
	answers_at_once
	ends_in_time "it is being written to ($hangs-pending)"
	exec 3>&-
	must wait_for 30 "the writer to fail" node_gone "$writer"
	! wait "$writer" || fail "a write to a disk that never answered, and its fsync, succeeded"
	back
done

# In the middle of what a peer writes. The peer goes on without it.
stop_below
must put_random beta 4096 64
must wait_for 30 "alpha to be given up" eval '! conn_is beta alpha Connected || [ "$(peer_field beta alpha ".peer_devices[0].\"peer-disk-state\"")" != UpToDate ]'
answers_at_once
# One who forces a detach does not wait for the disk; other commands do not either, then.
must timeout 10 "$B/drbdctl" -s "$WORK/alpha/control.sock" detach r0 --force
disk_is alpha Diskless || fail "the disk is $(ctl alpha dstate r0)"
must_fail 10 timeout 10 "$B/drbdctl" -s "$WORK/alpha/control.sock" attach r0/0
said 'its disk has not answered [0-9]+ requests from before it was given up.*try again'
ends_in_time "a peer is writing to it"
back
cmp "$(node_file alpha)" "$(node_file beta)" || fail "alpha has other data than beta"
must wait_for 30 "nobody to be Primary" eval 'role_is alpha Secondary && role_is beta Secondary'
stop_all
must below shutdown
must wait_for 60 "what is below to end" node_gone "$below_pid"
