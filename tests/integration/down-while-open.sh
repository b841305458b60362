#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# down and adjust of a resource in use are refused; with --force, and at the end of the daemon, its users get errors, not hangs.
. "$(dirname "$0")/functions.sh"
need jq timeout

two_nodes 32M
exec 3<>"$(node_file alpha)"
must_fail 11 ctl alpha down r0
said 'open' 'close or unmount'
role_is alpha Primary || fail "a refused down demoted"
sed -i 's/^  disk = {/  disk = { al-extents = 67;/' "$CLUSTER_DIR/drbdfs.conf"
must_fail any ctl alpha adjust r0
said 'down and up'
must put_random alpha 0 64
exec 3>&-
must wait_for 30 "alpha to demote" role_is alpha Secondary
must ctl beta adjust r0
must ctl alpha adjust r0
must wait_for 60 "both nodes settled" cluster_settled

# By force, under I/O: whoever has it open gets errors.
load() { ( while dd if=/dev/zero of="$(node_file alpha)" bs=64k count=64 conv=notrunc,nocreat,fsync status=none; do :; done ) 2>/dev/null; }
load &
writer=$!
on_exit 'kill_jobs TERM $writer'
written() { [ "$(field alpha '.devices[0].written')" -gt $((before + 4096)) ]; }
before=$(field alpha '.devices[0].written')
must wait_for 60 "some writes" written
must timeout 30 "$B/drbdctl" -s "$WORK/alpha/control.sock" down r0 --force
must wait_for 30 "the writer to fail" node_gone "$writer"
[ ! -e "$(node_file alpha)" ] || fail "the file is still there"
must ctl alpha up r0
must wait_for 60 "both nodes settled" cluster_settled

# The daemon ends although somebody writes.
load &
writer=$!
before=$(field alpha '.devices[0].written')
must wait_for 60 "some writes" written
pid=${NODE_PID[alpha]}
kill -TERM "$pid"
must wait_for 60 "alpha to end" node_gone "$pid"
must wait_for 30 "the writer to fail" node_gone "$writer"
# What ended orderly needs no resync and is not in doubt.
must node_start alpha
must wait_for 60 "both nodes settled" cluster_settled
! grep -q 'activity log was not clean' "$WORK/alpha/log" || fail "an orderly end left an unclean activity log"
stop_all
must cluster_compare
