#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Both sides write while disconnected: both ends report the split brain and stop; connect --discard-my-data resolves it.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 48M
model_new alpha
must put_random alpha 0 4096
must wait_for 30 "alpha to demote" role_is alpha Secondary

part() {
	must ctl alpha disconnect r0:beta --force
	must wait_for 30 "beta to notice" eval '! conn_is beta alpha Connected'
	must ctl beta disconnect r0:alpha --force
}
part
must put_random alpha 8192 1024
must ctl beta primary r0 --force
cp "$WORK/model" "$WORK/alphas"
# Overlaps with what alpha wrote, and elsewhere.
rm "$WORK/model"
must put_random beta 8704 2048
must put_random beta 20480 512
must ctl beta secondary r0
mv "$WORK/alphas" "$WORK/model"
must ctl alpha connect r0
must ctl beta connect r0
split() { # NODE PEER
	conn_is "$1" "$2" StandAlone && [ "$(field "$1" .verdict)" = SPLIT-BRAIN ]
}
must wait_for 60 "alpha to report the split brain" split alpha beta
must wait_for 60 "beta to report the split brain" split beta alpha
for n in alpha beta; do
	must run ctl $n status
	said '^r0: SPLIT-BRAIN: .*drbdctl connect r0:.* --discard-my-data' 'connection:StandAlone'
	grep -qi 'split.brain' "$WORK/$n/log" || fail "the log of $n says nothing"
	must disk_is $n UpToDate
done
# Again without an order: the same end.
must ctl alpha connect r0
must ctl beta connect r0
must wait_for 60 "alpha to report it again" split alpha beta
must wait_for 60 "beta to report it again" split beta alpha

# Both go on alone meanwhile.
must put_random alpha 12288 64
before=$(sent_kib alpha beta)
must ctl beta connect r0:alpha --discard-my-data
must ctl alpha connect r0
must ctl beta wait-connect r0 --timeout 60
must ctl beta wait-sync r0 --timeout 60
must wait_for 30 "both nodes settled" cluster_settled
# Only what either side had changed travelled: at most alpha's 1088 KiB and beta's 2560 KiB, in 4 MiB extents when one crashed.
sent=$(($(sent_kib alpha beta) - before))
[ "$sent" -le 5120 ] || fail "$sent KiB were sent"
stop_all
must_equal_model alpha beta
