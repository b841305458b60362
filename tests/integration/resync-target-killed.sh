#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The target of a resync is killed in its middle, while its Primary source writes on: it resumes, little travels twice.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes_slow_resync 96M 100
must ctl alpha primary r0
must node_stop beta
must put_random alpha 0 49152
must node_start beta
must wait_for 60 "the resync to start" repl_is beta alpha SyncTarget
half_done() { [ "$(out_of_sync_kib alpha beta)" -lt 28672 ]; }
must wait_for 60 "half of the resync" half_done
must put_random alpha 1024 512
must node_kill beta
must wait_for 60 "alpha to notice" conn_is alpha beta Connecting
role_is alpha Primary || fail "alpha was demoted"
must put_random alpha 90000 512
oos=$(out_of_sync_kib alpha beta) before=$(sent_kib alpha beta)
[ "$oos" -lt 40960 ] || fail "$oos KiB are out of sync again: the resync will begin anew"
must node_start beta
disk_is beta UpToDate && fail "beta is UpToDate after half a resync"
must wait_for 60 "both nodes settled" cluster_settled
sent=$(($(sent_kib alpha beta) - before))
[ "$sent" -le 40960 ] || fail "$sent KiB sent after the interruption: it began anew"
must ctl alpha secondary r0
stop_all
must_equal_model alpha beta
