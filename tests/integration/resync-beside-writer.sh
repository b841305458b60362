#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A resync is held back beside a writer, status says by what it is limited, and it ends all the same.
# Time limit: 300 s
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_DISK='c-plan-ahead = 0; resync-rate = "6M";'
two_nodes 96M
model_new alpha
must node_stop beta
must put_random alpha 16384 73728
must node_start beta
must wait_for 60 "the resync to start" repl_is beta alpha SyncTarget
limited_by() { [ "$(peer_field beta alpha '.peer_devices[0]."limited-by"')" = "$1" ]; }
must wait_for 30 "the fixed rate to be the limit" limited_by resync-rate
run ctl beta status -v && said 'replication:SyncTarget.*limited-by:resync-rate'
# It has to have run alone for a second: the share is that of what it reached then.
fast() { [ "$(peer_field beta alpha '.peer_devices[0].received')" -ge 12288 ]; }
must wait_for 30 "the resync to get going" fast

touch "$WORK/writing"
while [ -e "$WORK/writing" ]; do
	dd if=/dev/zero of="$(node_file alpha)" bs=256k count=8 conv=notrunc,nocreat,fsync status=none
done &
writer=$!
on_exit 'rm -f "$WORK/writing"; kill_jobs KILL "$writer"'
must wait_for 30 "the writer to be the limit" limited_by application
repl_is beta alpha SyncTarget || fail "the resync was over before it was looked at"
rm "$WORK/writing"
wait "$writer"
dd if=/dev/zero of="$WORK/model" bs=256k count=8 conv=notrunc status=none
must wait_for 120 "both nodes settled" cluster_settled
must wait_for 30 "alpha to demote" role_is alpha Secondary
stop_all
must_equal_model alpha beta
