#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# With verify-interval the copies are compared again and again; status tells of the last one, and of what it has found.
# Time limit: 240 s
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_NET='verify-alg = "crc32c";'
CLUSTER_OPTIONS='verify-interval = "2s";'
two_nodes 16M
put_random alpha 0 8192
must wait_for 30 "alpha to demote" role_is alpha Secondary

last() { peer_field "$1" "$2" ".peer_devices[0].\"last-verify\".$3"; }
ended() { # NODE PEER SINCE: a whole one, some time after that
	[ "$(last "$1" "$2" complete)" = true ] && [[ "$(last "$1" "$2" time)" > "$3" ]]
}
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
must wait_for 60 "a verify to end, as alpha sees it" ended alpha beta "$now"
must wait_for 60 "a verify to end, as beta sees it" ended beta alpha "$now"
[ "$(last alpha beta found)" = 0 ] || fail "$(last alpha beta found) KiB differ between equal disks"
must wait_for 60 "another one" ended alpha beta "$(last alpha beta time)"
run ctl alpha status -v && said 'last-verify:20[0-9T:-]*Z complete:yes found:0 skipped:0 next-verify:20'

# A block changes behind beta's back.
must node_stop beta
head -c 4096 /dev/urandom | dd of="$(node_disk beta)" bs=4k seek=100 conv=notrunc,fsync status=none
must node_start beta
found() { [ "$(last "$1" "$2" found)" = 4 ]; }
must wait_for 60 "the difference to be found, as alpha sees it" found alpha beta
must wait_for 60 "the difference to be found, as beta sees it" found beta alpha
must wait_for 60 "the verdict" status_shows alpha 'r0: DEGRADED.*verify found 4 KiB'
grep -q 'out of sync: sector 800, 8 sectors' "$CLUSTER_DIR/alpha/log" || fail "alpha's log does not name the block"
run ctl alpha why r0 --json && jq -e '.changes[] | select(.what == "differs" and .reason == "verify found 4 KiB that differ")' "$WORK/out" >/dev/null ||
	fail "why does not tell of what was found"

# Switched off under way; what was found is repaired when the operator says so.
sed -i 's/verify-interval = "2s"/verify-interval = 0/' "$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta; do must ctl "$n" adjust r0; done
at_rest() { repl_is alpha beta Established && repl_is beta alpha Established; }
must wait_for 60 "the verify under way to end" at_rest
must ctl beta invalidate r0 --reset-bitmap=no
must wait_for 60 "both nodes settled" cluster_settled
[ "$(peer_field alpha beta '.peer_devices[0]."next-verify"')" = null ] || fail "another verify is due"
stop_all
must cluster_compare
