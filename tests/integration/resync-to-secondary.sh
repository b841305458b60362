#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A Secondary that was away is brought up to date while the Primary goes on writing; little more than the changes travels.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes_slow_resync 96M 100
must put_random alpha 0 1024
must node_kill beta
must wait_for 60 "alpha to notice" conn_is alpha beta Connecting
must put_random alpha 16384 24576
marked() { [ "$(out_of_sync_kib alpha beta)" -ge 24576 ]; }
must wait_for 30 "all that was written to be marked" marked
oos=$(out_of_sync_kib alpha beta)
[ "$oos" -le $((24576 + 8192)) ] || fail "$oos KiB are out of sync after 24576 were written"
before=$(sent_kib alpha beta)
must node_start beta
must wait_for 60 "the resync to start" repl_is alpha beta SyncSource
must wait_for 60 "the target to follow" repl_is beta alpha SyncTarget
must wait_for 60 "the target to be Inconsistent" disk_is beta Inconsistent
must wait_for 60 "status to tell of the resync" status_shows alpha \
	'^r0: SYNCING [0-9]+ %' 'replication:SyncSource peer-disk:Inconsistent done:[0-9.]+ rate:'
jq_sync() { peer_field beta alpha '.peer_devices[0]["percent-resync-done", "estimated-seconds-to-finish", "rs-total"]'; }
jq_sync_whole() { [ "$(jq_sync | grep -c '^[0-9.][0-9.]*$')" = 3 ]; }
must wait_for 60 "the details of the resync" jq_sync_whole
repl_is alpha beta SyncSource || fail "the resync ended before it was looked at: alpha is $(peer_field alpha beta '.peer_devices[0]."replication-state"')"

# Inside and outside of what is being synced.
written=0
while repl_is alpha beta SyncSource; do
	must put_random alpha $((RANDOM % 60000)) 256
	written=$((written + 256))
done
[ "$written" -gt 0 ] || fail "the resync ended before anything was written"
must wait_for 60 "both nodes settled" cluster_settled
sent=$(($(sent_kib alpha beta) - before))
[ "$sent" -le $((oos + written + 4096)) ] || fail "$sent KiB sent for $oos KiB out of sync and $written KiB written"
must wait_for 30 "alpha to demote" role_is alpha Secondary
stop_all
must_equal_model alpha beta
