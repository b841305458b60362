#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Blocks that change behind a node's back are found by verify, exactly these and under load; invalidate --reset-bitmap=no
# repairs them, and so does --repair. By checksums a full sync transfers what differs only.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_NET='verify-alg = "sha1";  csums-alg = "crc32c";'
two_nodes 24M
put_random alpha 0 12288
must wait_for 30 "alpha to demote" role_is alpha Secondary
size_kib=$(field alpha '.devices[0].size')

corrupt() { # NODE BLOCK...: of 4 KiB
	local node=$1 block
	shift
	for block in "$@"; do
		head -c 4096 /dev/urandom | dd of="$(node_disk "$node")" bs=4k seek="$block" conv=notrunc,fsync status=none
	done
}
found_kib() { [ "$(out_of_sync_kib alpha beta)" = "$1" ] && [ "$(out_of_sync_kib beta alpha)" = "$1" ]; }
verify_over() { repl_is alpha beta Established && repl_is beta alpha Established; }

# Nothing differs.
must ctl alpha verify r0
must wait_for 60 "the verify to end" verify_over
found_kib 0 || fail "a verify of equal disks finds $(out_of_sync_kib alpha beta) KiB"

# Three blocks on beta, while alpha writes elsewhere, and also where blocks are that were compared just now.
must node_stop beta
corrupt beta 10 100 101
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
touch "$WORK/writing"
while [ -e "$WORK/writing" ]; do
	dd if=/dev/urandom of="$(node_file alpha)" bs=64k count=8 seek=$((RANDOM % 300 + 60)) conv=notrunc,nocreat status=none
done &
writer=$!
on_exit 'rm -f "$WORK/writing"; kill_jobs KILL "$writer"'
must ctl alpha verify r0:beta/0
must wait_for 120 "the verify to end" verify_over
rm "$WORK/writing"
wait "$writer"
must wait_for 30 "alpha to demote" role_is alpha Secondary
found_kib 12 || fail "found $(out_of_sync_kib alpha beta) KiB on alpha, $(out_of_sync_kib beta alpha) KiB on beta instead of 12"
# One line, or two where the disks have answered in another order.
for range in 'sector 80, 8 sectors' 'sector 80[08], (8|16) sectors'; do
	grep -Eq "out of sync: $range" "$CLUSTER_DIR/alpha/log" || fail "alpha's log does not name $range"
done
status_shows alpha 'r0: DEGRADED.*verify found 12 KiB' || fail "status does not tell"
run ctl alpha status -s && said 'out-of-sync:12'

# Beta is wrong, says the operator; only that travels.
before=$(sent_kib alpha beta)
must ctl beta invalidate r0 --reset-bitmap=no
must wait_for 60 "both nodes settled" cluster_settled
[ $(($(sent_kib alpha beta) - before)) -eq 12 ] || fail "$(($(sent_kib alpha beta) - before)) KiB travelled instead of 12"

# A range, and where the next one goes on.
must node_stop beta
corrupt beta 200 300
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
must ctl beta verify r0 --start 0 --stop 1M
must wait_for 60 "the verify to end" verify_over
found_kib 4 || fail "found $(out_of_sync_kib alpha beta) KiB in the first MiB instead of 4"
must ctl beta verify r0
must wait_for 60 "the verify to end" verify_over
found_kib 8 || fail "found $(out_of_sync_kib alpha beta) KiB in all instead of 8"

# Alpha says that it is right: repaired at the end of the verify.
must ctl beta invalidate r0 --reset-bitmap=no
must wait_for 60 "both nodes settled" cluster_settled
must node_stop beta
corrupt beta 20 400
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
before=$(sent_kib alpha beta)
must ctl alpha primary r0
must_fail 11 ctl beta verify r0 --repair
said 'alpha is Primary, what its users have read stays: repair from there'
must ctl alpha verify r0 --start 0 --repair
must wait_for 60 "both nodes settled" cluster_settled
[ $(($(sent_kib alpha beta) - before)) -eq 8 ] || fail "$(($(sent_kib alpha beta) - before)) KiB travelled instead of 8"
must ctl alpha secondary r0
must ctl alpha verify r0 --start 0
must wait_for 60 "the verify to end" verify_over
found_kib 0 || fail "a repair leaves $(out_of_sync_kib alpha beta) KiB that differ"

# All of it is doubted: what is equal does not travel.
must node_stop beta
corrupt beta 200 300
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
before=$(sent_kib alpha beta)
must ctl beta invalidate r0
must wait_for 90 "both nodes settled" cluster_settled
sent=$(($(sent_kib alpha beta) - before))
# Requests are of up to 1 MiB; two of them differ.
{ [ "$sent" -ge 8 ] && [ "$sent" -le 2048 ]; } || fail "$sent of $size_kib KiB travelled for two blocks that differed"

# Refused.
must_fail 11 ctl alpha verify r0:beta/0 --start "$((size_kib * 2))"
must_fail 20 ctl alpha verify r0 --start here
must node_stop beta
must_fail 11 ctl alpha verify r0:beta/0
must node_stop alpha
must cluster_compare
