#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fencing: writes wait until the peer is fenced; who is fenced takes nothing over; what a promotion needs; what why says.
# Time limit: 240 s
. "$(dirname "$0")/functions.sh"
need jq

# By the truth: the peer is told to become Outdated; or, as long as there is a file `exit`, with that code.
F=$WORK/fence-peer
cat >"$F" <<SH
#!/bin/bash
echo "\$DRBD_PEER \$UP_TO_DATE_NODES" >>$WORK/fenced
[ ! -e $WORK/exit ] || exit \$(cat $WORK/exit)
"$B/drbdctl" -c $WORK/drbdfs.conf -n "\$DRBD_PEER" -s "$WORK/\$DRBD_PEER/control.sock" outdate r0 --for "\$(eval echo "\\\$DRBD_NODE_ID_\$DRBD_MY_NODE_ID")"
case \$? in
0) exit 4 ;;
11) exit 6 ;;
*) exit 5 ;;
esac
SH
cat >"$WORK/unfence-peer" <<SH
#!/bin/sh
echo "\$DRBD_PEER" >>$WORK/unfenced
SH
chmod +x "$F" "$WORK/unfence-peer"
CLUSTER_NET='fencing = "resource-and-stonith"; };
  handlers = { fence-peer = "'$F'"; unfence-peer = "'$WORK/unfence-peer'";'

# Without a handler, or with protocol A, it is refused.
cluster_new "$WORK" 16M alpha beta
cp "$CLUSTER_DIR/drbdfs.conf" "$WORK/good.conf"
must cluster_create_md >/dev/null
refuses() { # SED REGEX
	sed "$1" "$WORK/good.conf" >"$CLUSTER_DIR/drbdfs.conf"
	must_fail 10 "$B/drbdfs" mount -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$WORK/alpha/control.sock" -f "$CLUSTER_DIR/alpha/mnt"
	said "$2"
}
refuses '/handlers = /s/fence-peer = "[^"]*";//' "connection 'alpha'-'beta': fencing needs a handler fence-peer"
refuses 's/fencing = /protocol = "A"; fencing = /' 'fencing resource-and-stonith does not go with protocol A'
cp "$WORK/good.conf" "$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled

# alpha is Primary and loses beta, whose fencing fails: writes wait, and why says what to do.
must ctl alpha primary r0
echo 1 >"$WORK/exit"
must ctl beta disconnect r0 --force
must wait_for 30 "alpha to call the handler" grep -qx 'beta 0x00000001' "$WORK/fenced"
failed() { run ctl alpha why r0 && grep -q 'fence-peer has failed (exit code 1)' "$WORK/out"; }
must wait_for 30 "the handler to fail" failed
said 'suspended-fencing: reads and writes wait until beta is fenced or connected' 'to do on alpha: drbdctl resume-io r0' 'handler .*: fence-peer: exit code 1'
must status_shows alpha 'suspended:fencing' 'BLOCKED: a peer out of sight is not fenced yet'
[ "$(field alpha '."suspended-fencing"')" = true ] || fail "the status does not say suspended-fencing"
put_random alpha 0 1024 & writer=$!
pause 2
job_runs "$writer" || fail "a write did not wait for the fencing"
must ctl alpha resume-io r0
must wait_for 30 "the write to end" node_gone "$writer"
[ "$(peer_field alpha beta '.peer_devices[0]."peer-disk-state"')" = DUnknown ] || fail "beta counts as fenced"

# Back: resynced, and unfenced.
rm -f "$WORK/unfenced"
must ctl beta connect r0
must wait_for 60 "both nodes settled" cluster_settled
must wait_for 30 "unfence-peer" grep -qx beta "$WORK/unfenced"

# Fenced for good: beta is Outdated, alpha goes on, beta is not promoted.
rm "$WORK/exit"
must ctl beta disconnect r0 --force
must wait_for 30 "beta to be Outdated" disk_is beta Outdated
pdsk_is() { [ "$(peer_field "$1" "$2" '.peer_devices[0]."peer-disk-state"')" = "$3" ]; }
must wait_for 30 "alpha to know it" pdsk_is alpha beta Outdated
must put_random alpha 1024 1024
must_fail any ctl beta primary r0
role_is beta Secondary || fail "beta was promoted"
must_fail 11 ctl alpha outdate r0
said 'this node is Primary'
# Nor does beta go on when alpha is not Primary any more: alpha's data are newer.
must ctl alpha secondary r0
must_fail any ctl beta primary r0
must_fail 11 ctl alpha outdate r0 --for beta
said 'has newer data than the node that would go on'
must_fail 11 ctl alpha outdate r0
disk_is alpha UpToDate || fail "alpha is not UpToDate any more"
must ctl alpha primary r0
must ctl beta connect r0
must wait_for 60 "both nodes settled" cluster_settled

# alpha is gone: beta takes over, because that is what its handler finds.
must node_kill alpha
must wait_for 30 "beta to notice" not conn_is beta alpha Connected
must wait_for 30 "beta to take over" ctl beta primary r0
grep -q '^alpha ' "$WORK/fenced" || fail "alpha was not fenced"
must put_random beta 2048 1024
must node_start alpha
must wait_for 60 "both nodes settled" cluster_settled
stop_all
must cluster_compare
