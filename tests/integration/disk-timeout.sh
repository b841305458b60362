#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk that hangs is given up after disk-timeout: the users of a Primary go on through the peer, it is not attached before it has
# answered, what it answers late overwrites nothing, another volume is not touched; down, and the daemon's end, do not wait for it.
# Time limit: 600 s
. "$(dirname "$0")/functions.sh"
need jq
[ -x "$B/volatile_disk" ] || skip "needs $B/volatile_disk (make tests)"

CLUSTER_DISK='disk-timeout = 20;'
CLUSTER_NET='verify-alg = "crc32c";'
cluster_new "$WORK" 24M alpha beta
volatile_disk_below alpha
below_pid=$BELOW_PID
on_exit 'kill_jobs CONT $below_pid'
must cluster_create_md >/dev/null
for n in alpha beta; do must node_start $n; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
model_new alpha

stands_still() { grep -q '^State:[[:space:]]*T' /proc/"$below_pid"/status; }
hang() {
	kill -STOP "$below_pid"
	must wait_for 10 "the disk to stand still" stands_still
}
go_on() { kill -CONT "$below_pid"; }
# Writes, and reads what was written, without waiting for the disk for longer than it has.
within() { # SECONDS COMMAND...
	local limit=$1 before=$SECONDS
	shift
	must "$@"
	[ $((SECONDS - before)) -le "$limit" ] || fail "$* took $((SECONDS - before)) s"
}
refuses_attach() {
	must_fail 10 timeout 10 "$B/drbdctl" -s "$WORK/alpha/control.sock" attach r0/0
	said 'its disk has not answered [0-9]+ requests from before it was given up'
}
attached() { ctl alpha attach r0/0 >/dev/null 2>&1; }
limit() { # TENTHS-OF-A-SECOND
	sed -i "s/disk-timeout = [0-9]*;/disk-timeout = $1;/" "$CLUSTER_DIR/drbdfs.conf"
	must ctl alpha adjust r0
}
is_waiting() { [ "$(field "$1" '.devices[0]."upper-pending"')" -gt 0 ]; }
unanswered() { field alpha '.devices[0].unanswered'; }
returns() {
	go_on
	must wait_for 60 "alpha to have its disk again" attached
	must wait_for 90 "both nodes settled" cluster_settled
}

# ---- on the Primary ----
must ctl alpha primary r0
must put_random alpha 0 256
hang
within 20 put_random alpha 128 256
must wait_for 10 "the disk to be given up" disk_is alpha Diskless
[ "$(unanswered)" -gt 0 ] || fail "nothing is unanswered"
run ctl alpha status
said 'disk:Diskless' 'no answer for [2-9]\.[0-9] s'
run ctl alpha why r0
said 'it does not answer: local disk: no answer for' 'drbdctl attach r0/0' 'restart the daemon'
refuses_attach
# Newer data for the blocks whose writes are still on their way to the disk.
within 5 put_random alpha 128 256
cmp -n $((512 << 10)) "$WORK/model" "$(node_file alpha)" || fail "alpha reads other data than were written"
returns
[ "$(unanswered)" = 0 ] || fail "still $(unanswered) unanswered"

# ---- shorter than the limit ----
limit 300
hang
put_random alpha 512 64 &
writer=$!
must wait_for 30 "a write to hang" is_waiting alpha
go_on
must wait "$writer"
disk_is alpha UpToDate || fail "the disk is $(ctl alpha dstate r0) after a short pause"
limit 20
must ctl alpha secondary r0

# ---- on the Secondary ----
must ctl beta primary r0
hang
within 20 put_random beta 1024 256
must wait_for 10 "the disk to be given up" disk_is alpha Diskless
conn_is beta alpha Connected || fail "the connection is $(peer_field beta alpha '."connection-state"')"
within 5 put_random beta 1100 256
returns

# ---- by hand, without disk-timeout ----
limit 0
hang
put_random beta 2048 64 &
writer=$!
must wait_for 30 "a write to hang" is_waiting beta
must timeout 10 "$B/drbdctl" -s "$WORK/alpha/control.sock" detach r0 --force
must wait "$writer"
disk_is alpha Diskless || fail "the disk is $(ctl alpha dstate r0)"
refuses_attach
returns
limit 20

# ---- down ----
hang
within 20 put_random beta 3072 64
must_fail any timeout 40 "$B/drbdctl" -s "$WORK/alpha/control.sock" down r0
said 'its disk has not answered [0-9]+ requests; everything else of r0 is down'
go_on
must wait_for 30 "alpha to go down" eval 'ctl alpha down r0 >/dev/null'
must ctl alpha up r0
must wait_for 90 "both nodes settled" cluster_settled

# ---- the daemon's end ----
hang
within 20 put_random beta 4096 64
kill -TERM "${NODE_PID[alpha]}"
must wait_for 40 "alpha to end although its disk hangs" node_gone "${NODE_PID[alpha]}"
unset 'NODE_PID[alpha]'
go_on
must node_start alpha
must wait_for 90 "both nodes settled" cluster_settled
must ctl beta secondary r0
must ctl alpha verify r0:beta
must wait_for 60 "both nodes settled" cluster_settled
[ "$(peer_field alpha beta '.peer_devices[0]."out-of-sync"')" = 0 ] || fail "a verify finds differences"
stop_all
must_equal_model alpha beta
