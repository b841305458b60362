#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A peer with the wrong secret, the wrong node id, or without authentication is refused with the reason, again and again.
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_NET='cram-hmac-alg = "sha256"; shared-secret = "right";'
two_nodes 16M
good=$CLUSTER_DIR/drbdfs.conf
must node_stop beta

# beta with another configuration; alpha is left as it is.
beta_with() { # SED-SCRIPT
	sed -E "$1" "$good" >"$WORK/beta.conf"
	cmp -s "$good" "$WORK/beta.conf" && fail "nothing changed: $1"
	setsid "$B/drbdfs" mount -c "$WORK/beta.conf" -n beta -s "$WORK/beta/control.sock" -f "$WORK/beta/mnt" \
		>>"$WORK/beta/log" 2>&1 </dev/null &
	NODE_PID[beta]=$!
	must wait_for 60 "beta to answer" node_answers beta
}
never_connected() { # REGEX: in the log of one of them
	: >"$WORK/seen"
	reported() { grep -Eqi "$1" <(tail -c +$((alpha_log + 1)) "$WORK/alpha/log") <(tail -c +$((beta_log + 1)) "$WORK/beta/log"); }
	must wait_for 60 "a reason like '$1'" reported "$1"
	conn_is alpha beta Connected && fail "alpha is connected"
	conn_is beta alpha Connected && fail "beta is connected"
	must wait_for 60 "status to give a reason" eval '[ -n "$(peer_field alpha beta .reason)$(peer_field beta alpha .reason)" ]'
}
mark() { alpha_log=$(stat -c %s "$WORK/alpha/log"); beta_log=$(stat -c %s "$WORK/beta/log"); }

mark; beta_with 's/"right"/"wrong"/'
never_connected 'authentica|secret'
must node_stop beta
must ctl alpha connect r0 || true
mark; beta_with 's/cram-hmac-alg = "sha256"; shared-secret = "right";//'
never_connected 'cram-hmac|authentica'
must node_stop beta
ctl alpha connect r0 >/dev/null 2>&1
mark; beta_with 's/"sha256"/"sha1"/'
never_connected 'cram-hmac|authentica|sha'
must node_stop beta
ctl alpha connect r0 >/dev/null 2>&1
# Metadata of node 1, configuration says node 2.
mark; beta_with 's/node-id = 1;/node-id = 2;/'
[ "$(ctl beta dstate r0 | cut -d/ -f1)" = Diskless ] || fail "beta took metadata of another node id"
grep -Eqi 'node.id' <(tail -c +$((beta_log + 1)) "$WORK/beta/log") || fail "no word about the node id"
conn_is alpha beta Connected && fail "connected although the node ids do not match"
must node_stop beta
ctl alpha connect r0 >/dev/null 2>&1

# The right one is welcome.
must node_start beta
ctl beta connect r0 >/dev/null 2>&1
must wait_for 60 "both nodes settled" cluster_settled
stop_all
