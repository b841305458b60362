#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# why: names what is wrong, who has to act and how; tells the changes with their causes, also of a resource that is down.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 32M
must run ctl alpha why r0
said '^r0 on alpha, (Primary|Secondary): OK' 'everything is as it should be' 'Last changes' \
	'connection to beta: connection Connecting -> Connected, by two-phase commit of '

# Promotion: by command, then refused because of the other.
must ctl alpha primary r0
must run ctl alpha why r0
said 'resource: role Secondary -> Primary, by command primary'
must run ctl beta why r0
said 'beta: peer-role|alpha: peer-role Secondary -> Primary, by two-phase commit of alpha'
must ctl alpha why r0 primary
must_fail 11 ctl beta why r0 primary
said 'beta could not become Primary now:' 'alpha is Primary' 'to do on alpha: drbdctl secondary r0'
must ctl alpha secondary r0
must run ctl beta why r0 primary
said 'beta could become Primary now'

# A connection that was ended, and one that is tried again and again.
must ctl alpha disconnect r0:beta
must run ctl alpha why r0:beta
said 'connection to beta: StandAlone' 'to do on alpha: drbdctl connect r0:beta' 'Connected -> Disconnecting, by command disconnect'
must wait_for 30 "beta to try again" conn_is beta alpha Connecting
must run ctl beta why r0
said 'connection to alpha: Connecting: alpha is not reached' 'to do on alpha: drbdctl connect r0:beta'
must ctl alpha connect r0
must ctl alpha wait-connect r0 --timeout 60
must wait_for 30 "both nodes settled" cluster_settled

# A disk that is missing.
must ctl beta detach r0/0
must run ctl beta why r0/0
said 'volume 0: Diskless: no disk is attached here' 'to do on beta: drbdctl attach r0/0' 'disk UpToDate -> Detaching, by '
must run ctl alpha why r0
said 'volume 0 with beta: Diskless: beta has no disk attached' 'to do on beta: drbdctl attach r0/0'
must ctl beta attach r0/0
must wait_for 30 "both nodes settled" cluster_settled

# For programs; and what led to the end.
why() { ctl alpha why r0 --json | jq -r "$1"; }
[ "$(why '.version')" = 1 ] || fail "no version"
[ "$(why '.items | length')" = 0 ] || fail "something is explained that is as it should be"
[ "$(why '.primary.possible')" = true ] || fail "alpha could be Primary"
[ "$(why '[.changes[] | select(.what == "role" and .by == "command primary")] | length')" = 1 ] || fail "the promotion is not told"
must ctl alpha down r0
must run ctl alpha why r0
said '^r0 on alpha, Unknown: DOWN' 'to do on alpha: drbdctl up r0' 'disk .* -> Diskless'
must_fail 20 ctl alpha why r0 secondary
must_fail 10 ctl alpha why r9
