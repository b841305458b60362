#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A resync that is paused on its target or its source stands still while the Primary goes on writing, and is finished after resume-sync.
# Time limit: 300 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes_slow_resync 64M 100
put_random alpha 0 1024
must node_kill beta
must wait_for 60 "alpha to notice" conn_is alpha beta Connecting
must put_random alpha 16384 8192
suspended_is() { [ "$(peer_field "$1" "$2" '.peer_devices[0]."resync-suspended"')" = "$3" ]; }

# By the source, before it begins.
must ctl alpha pause-sync r0
must node_start beta
must wait_for 60 "the source to pause" repl_is alpha beta PausedSyncS
must wait_for 60 "the target to follow" repl_is beta alpha PausedSyncT
suspended_is alpha beta user || fail "alpha does not say that it has paused"
must wait_for 30 "beta to be told" suspended_is beta alpha peer
status_shows beta 'SYNCING.*paused there' 'resync-suspended:peer' || { cat "$WORK/out"; fail "status of beta"; }
status_shows alpha 'SYNCING.*paused here' 'resync-suspended:user' || { cat "$WORK/out"; fail "status of alpha"; }
must put_random alpha 20000 64
left=$(out_of_sync_kib beta alpha)
[ "$left" -ge 8128 ] || fail "$left KiB are left although nothing could travel"

# By the target as well: both have to resume.
must ctl beta pause-sync r0:alpha/0
must ctl alpha resume-sync r0:beta
must wait_for 30 "alpha to wait for beta" suspended_is alpha beta peer
suspended_is beta alpha user || fail "beta does not say that it has paused"
must ctl beta pause-sync r0
repl_is beta alpha PausedSyncT || fail "the resync runs although beta has paused it"
must ctl beta resume-sync r0
must wait_for 60 "the resync to go on" repl_is beta alpha SyncTarget
must ctl beta pause-sync r0
must put_random alpha 30000 64
must ctl beta resume-sync r0
must wait_for 120 "both nodes settled" cluster_settled
must ctl beta resume-sync r0
must_fail 10 ctl beta resume-sync r0:nobody/0
must wait_for 30 "alpha to demote" role_is alpha Secondary
stop_all
must_equal_model alpha beta
