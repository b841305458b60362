#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Primary itself is behind: it reads and writes through its peer and is brought up to date meanwhile.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes_slow_resync 64M 100
must ctl alpha primary r0
must put_random alpha 0 4096
must ctl alpha detach r0 --force
must wait_for 30 "alpha to be without disk" disk_is alpha Diskless
# Through beta alone.
must put_random alpha 8192 20480
cmp "$(node_file alpha)" "$WORK/model" || fail "wrong data without disk"
must ctl alpha attach r0
must wait_for 60 "the resync to start" repl_is alpha beta SyncTarget
must wait_for 60 "alpha to be Inconsistent" disk_is alpha Inconsistent
rounds=0
while repl_is alpha beta SyncTarget; do
	must put_random alpha $((RANDOM % 60000)) 256
	rounds=$((rounds + 1))
	# Behind and ahead of the resync.
	for at in 0 9000 27000; do
		cmp <(dd if="$(node_file alpha)" bs=1k skip=$at count=512 status=none) \
			<(dd if="$WORK/model" bs=1k skip=$at count=512 status=none) || fail "wrong data at $at KiB during the resync"
	done
done
[ "$rounds" -gt 0 ] || fail "the resync ended before anything was written"
must wait_for 60 "both nodes settled" cluster_settled
cmp "$(node_file alpha)" "$WORK/model" || fail "wrong data after the resync"
must ctl alpha secondary r0
stop_all
must_equal_model alpha beta
