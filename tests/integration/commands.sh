#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Every command of drbdctl on a running pair of nodes: effect, exit code and message.
. "$(dirname "$0")/functions.sh"
need jq

cluster_new "$WORK" 32M alpha beta
must cluster_create_md >/dev/null
must node_start alpha

# Alone, with fresh metadata: nothing to be Primary for.
must_fail 17 ctl alpha primary r0
said 'UpToDate'
must_fail 5 ctl alpha wait-connect r0 --timeout 1
said 'wait-connect r0: not within 1 s: beta is Connecting'
must_fail 10 ctl alpha role r1
said 'role: r1: No such resource, did you mean r0'
for c in primary up down adjust; do
	must_fail 10 ctl alpha $c r1
	said "$c r1: No such resource, did you mean r0"
done
must_fail 10 ctl alpha status r1 --watch
said 'status: r1: No such resource'
must_fail 10 ctl alpha dstate r0/1
said 'dstate r0/1: the resource has no such volume'
must_fail 10 ctl alpha connect r0:gamma
said "connect r0:gamma: 'gamma' is no peer of this node \(peers: beta\)"
must_fail 10 ctl alpha attach r0/3
said 'attach r0/3: there is no volume 3 \(volumes: 0\)'
must_fail 10 ctl alpha invalidate-remote r0:gamma/0
must_fail 11 ctl alpha invalidate-remote r0:beta
must_fail 10 ctl alpha create-md r0 --force
said 'in use'
must_fail 10 ctl alpha dump-md r0

must node_start beta
must ctl alpha wait-connect r0 --timeout 60
must ctl beta wait-connect r0:alpha --timeout 60
must_fail 10 ctl beta wait-connect r0:gamma --timeout 5
[ "$(ctl alpha role r0)" = Secondary ] || fail "role: $(ctl alpha role r0)"
dstate_is() { [ "$(ctl "$1" dstate "$2")" = "$3" ]; } # NODE RESOURCE[/VOLUME] STATES
must wait_for 60 "the states of both disks" dstate_is alpha r0 Inconsistent/Inconsistent
[ "$(ctl alpha cstate r0)" = Connected ] || fail "cstate of alpha: $(ctl alpha cstate r0)"
[ "$(ctl alpha cstate r0:beta)" = Connected ] || fail "cstate of beta: $(ctl alpha cstate r0:beta)"
must_fail 10 ctl alpha cstate r0:gamma
must_fail 17 ctl alpha primary r0
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
[ "$(ctl beta dstate r0/0)" = UpToDate/UpToDate ] || fail "dstate $(ctl beta dstate r0/0)"
must ctl alpha wait-sync r0 --timeout 60

must ctl alpha primary r0
must ctl alpha primary r0
[ "$(ctl alpha role r0)" = Primary ] || fail "not Primary"
must_fail 11 ctl beta primary r0
said 'Primary'
must_fail 11 ctl alpha invalidate r0
must ctl alpha secondary r0
must ctl alpha secondary r0

# disconnect and connect: one side leaves, the other one waits.
must ctl beta disconnect r0:alpha
[ "$(ctl beta cstate r0)" = StandAlone ] || fail "beta is $(ctl beta cstate r0)"
must wait_for 30 "alpha to wait for beta" conn_is alpha beta Connecting
[ "$(ctl beta dstate r0)" = UpToDate/DUnknown ] || [ "$(ctl beta dstate r0)" = Outdated/DUnknown ] ||
	[ "$(ctl beta dstate r0)" = Consistent/DUnknown ] || fail "dstate $(ctl beta dstate r0)"
must ctl beta wait-connect r0 --timeout 5
must ctl beta connect r0
must ctl beta wait-connect r0 --timeout 60
must wait_for 60 "both nodes settled" cluster_settled

must ctl alpha detach r0
[ "$(ctl alpha dstate r0)" = Diskless/UpToDate ] || fail "dstate $(ctl alpha dstate r0)"
must_fail 16 ctl alpha invalidate r0/0
must ctl alpha attach r0
must wait_for 60 "both nodes settled" cluster_settled

must ctl alpha invalidate r0
must ctl alpha wait-sync r0 --timeout 60
must wait_for 60 "both nodes settled" cluster_settled
must ctl alpha invalidate-remote r0:beta
must ctl beta wait-sync r0 --timeout 60
must wait_for 60 "both nodes settled" cluster_settled

must ctl alpha down r0
must_fail 10 ctl alpha role r0
said 'the resource is down'
must_fail 10 ctl alpha primary r0
said 'the resource is down'
must_fail 10 ctl alpha detach r0
must run ctl alpha status
said '^r0: DOWN'
[ ! -e "$(node_file alpha)" ] || fail "the file of a resource that is down is there"
must ctl alpha down r0
must ctl alpha dump-md r0 >"$WORK/dump"
grep -q '^flags' "$WORK/dump" || fail "dump-md of a resource that is down"
must ctl alpha up r0
must ctl alpha up r0
must ctl alpha up all
must wait_for 60 "both nodes settled" cluster_settled
[ -e "$(node_file alpha)" ] || fail "no file after up"

must ctl alpha adjust r0
must ctl alpha adjust all
[ "$(ctl alpha cstate r0)" = Connected ] || fail "an adjust without changes disturbed the connection"
sed -i 's/connect-int = 2/conect-int = 3/' "$CLUSTER_DIR/drbdfs.conf"
must_fail 10 ctl alpha adjust r0
said 'conect-int'
sed -i 's/conect-int = 3/connect-int = 3/' "$CLUSTER_DIR/drbdfs.conf"
must ctl alpha adjust r0
must wait_for 60 "both nodes settled" cluster_settled

must run ctl alpha version
said '^drbdctl [0-9]' '^drbdfs .*protocol 118-124'
pid=${NODE_PID[alpha]}
must ctl alpha shutdown
must wait_for 60 "alpha to end" node_gone "$pid"
must_fail 20 ctl alpha status
must node_stop beta
