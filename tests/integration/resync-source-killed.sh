#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The source of a resync is killed in its middle: the target stays Inconsistent, and goes on where it was when the source returns.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes_slow_resync 96M 30
must node_stop beta
must put_random alpha 0 49152
must wait_for 30 "alpha to demote" role_is alpha Secondary
# So that its activity log is clean: else a crash would bring everything that it wrote into doubt again.
must node_stop alpha
must node_start alpha
must node_start beta
must wait_for 60 "the resync to start" repl_is beta alpha SyncTarget
mostly_done() { [ "$(out_of_sync_kib beta alpha)" -lt 20480 ]; }
must wait_for 60 "most of the resync" mostly_done
must node_kill alpha
must wait_for 60 "beta to notice" conn_is beta alpha Connecting
disk_is beta Inconsistent || fail "beta is $(field beta '.devices[0]."disk-state"') after a part of the resync"
must_fail any ctl beta primary r0
! ( exec 3<>"$(node_file beta)" ) 2>/dev/null || fail "a part of the data can be opened for writing"
! ( exec 3<"$(node_file beta)" ) 2>/dev/null || fail "a part of the data can be opened for reading"
must node_start alpha
must wait_for 60 "the resync to go on" repl_is beta alpha SyncTarget
must wait_for 60 "both nodes settled" cluster_settled
sent=$(sent_kib alpha beta)
[ "$sent" -le 40960 ] || fail "$sent KiB sent again after the interruption: it began anew"
stop_all
must_equal_model alpha beta
