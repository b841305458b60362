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
	said '^r0: SPLIT-BRAIN: .*drbdctl resolve r0 --keep NODE' 'connection:StandAlone'
	grep -qi 'split.brain' "$WORK/$n/log" || fail "the log of $n says nothing"
	must disk_is $n UpToDate
done
# What each has changed, told by both.
for n in alpha beta; do
	ctl $n split-brain r0 --json >"$WORK/split" || fail "split-brain on $n"
	[ "$(jq -r '.version, (."split-brains" | length)' "$WORK/split" | tr '\n' ' ')" = "1 1 " ] || fail "$n tells of no split brain"
	for side in alpha:1024:1100 beta:2560:2600; do
		IFS=: read -r node low high <<<"$side"
		kib=$(jq -r ".\"split-brains\"[0].sides[] | select(.node == \"$node\") | .\"changed-kib\"" "$WORK/split")
		[ "$kib" -ge "$low" ] && [ "$kib" -le "$high" ] || fail "$n: $node has changed $kib KiB"
	done
	jq -r '."split-brains"[0] | .ancestor, (.sides | sort_by(.node)[].generation)' "$WORK/split" >"$WORK/split.$n"
	jq -e '."split-brains"[0]."apart-since" | test("^20..-..-..T")' "$WORK/split" >/dev/null || fail "$n does not know since when"
	must run ctl $n split-brain r0
	said '^r0/0: (alpha|beta) and (alpha|beta) have changed their data alone since generation [0-9A-F]{16}' 'drbdctl resolve r0 --keep alpha'
	must run ctl $n why r0
	said 'StandAlone: both nodes changed their data alone: split brain' 'drbdctl split-brain r0'
done
cmp "$WORK/split.alpha" "$WORK/split.beta" || fail "the two tell different generations"
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
must run ctl beta split-brain r0
said 'no split brain is known on beta'
stop_all
must_equal_model alpha beta
