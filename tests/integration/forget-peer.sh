#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A node leaves the configuration and is forgotten: its bitmap slot is free, in use and after a restart; then it comes back.
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_MAX_PEERS=2 three_nodes 32M
conf=$CLUSTER_DIR/drbdfs.conf
cp "$conf" "$WORK/three.conf"
must put_random alpha 0 1024
must_fail any ctl alpha forget-peer r0:2
said 'node 2 \(gamma\) is configured: take it out of the configuration and adjust first'
must_fail 20 ctl alpha forget-peer r0:gamma
must_fail 20 ctl alpha forget-peer r0:32
must_fail any ctl alpha forget-peer r0:0
said "is this node's own"

must node_stop gamma
sed -zE 's/,\n *\{ name = "gamma"[^}]*\}[^}]*\}//' "$WORK/three.conf" >"$conf"
for n in alpha beta; do must ctl $n adjust r0; done
must wait_for 60 "alpha and beta settled" conn_is alpha beta Connected
must put_random alpha 2048 1024
for n in alpha beta; do must ctl $n forget-peer r0:2; done
must ctl alpha forget-peer r0:2
must put_random alpha 4096 1024
must wait_for 60 "alpha to demote" role_is alpha Secondary
for n in alpha beta; do must node_stop $n; done
for n in alpha beta; do
	slots=$(ctl $n dump-md r0/0 | sed -nE '/^peer\[2\]/,/^}/s/.*bitmap-index (-?[0-9]+);.*/\1/p')
	[ "$slots" = -1 ] || fail "$n: the slot of gamma is $slots"
done

# It comes back, and gets what it lacks.
cp "$WORK/three.conf" "$conf"
for n in alpha beta gamma; do must node_start $n; done
must wait_for 60 "all nodes settled" cluster_settled
stop_all
must cluster_compare
