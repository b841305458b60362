#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A node that never has a disk uses the volume of two that have: each of these is killed, returns, is detached and attached again
# under its writes; no error, no wrong byte, and what it has written is there when it is killed itself.
# Time limit: 900 s
. "$(dirname "$0")/functions.sh"
need jq
[ -x "$B/records" ] || skip "needs $B/records (make tests)"

# A Primary without disk has its data on the other side of the connections only.
CLUSTER_PING_TIMEOUT=100
cluster_new "$WORK" 64M alpha beta gamma
sed -i "s|disk = \"$(node_disk gamma)\"|disk = \"none\"|" "$WORK/drbdfs.conf"
rm "$(node_disk gamma)"
for n in alpha beta; do must ctl "$n" create-md r0 --max-peers 3 >/dev/null; done
must_fail 10 ctl gamma create-md r0
for n in alpha beta gamma; do must node_start "$n"; done
for n in alpha gamma; do must ctl "$n" wait-connect r0 --timeout 60; done
must ctl alpha new-current-uuid r0/0 --clear-bitmap
both_good() {
	local n
	for n in alpha beta; do
		disk_is "$n" UpToDate && [ "$(peer_field gamma "$n" '.peer_devices[0]."peer-disk-state"')" = UpToDate ] || return 1
	done
}
must wait_for 60 "both disks UpToDate" both_good
[ "$(field gamma '.devices[0].client')" = true ] || fail "gamma: $(ctl gamma status r0 --json)"
[ "$(peer_field alpha gamma '.peer_devices[0]."peer-client"')" = true ] || fail "alpha: $(ctl alpha status r0 --json)"
must_fail 10 ctl gamma attach r0/0
said ': volume 0 is configured without a disk on this node$'
must run ctl gamma why r0

load=
on_exit 'kill_jobs TERM $load'
records_run() { # NODE
	primary=$1
	"$B/records" write "$(node_file "$primary")" "$WORK/journal" $((RANDOM)) 4 2>"$WORK/load.err" &
	load=$!
}
records_run gamma
for round in 1 2; do
	for n in alpha beta; do
		node_kill "$n"
		progress 100 "writes without $n" "round $round"
		must node_start "$n"
		must wait_for 180 "$n to be back" both_good
		must ctl "$n" detach r0
		progress 100 "writes while $n has no disk" "round $round"
		must ctl "$n" attach r0
		must wait_for 180 "$n to have its disk back" both_good
	done
done
must_fail any ctl alpha primary r0
kill "$load"
wait "$load" || { cat "$WORK/load.err"; fail "the writers met an error"; }
must "$B/records" verify "$(node_file gamma)" "$WORK/journal"
settled() { both_good && [ "$(out_of_sync_kib alpha beta)/$(out_of_sync_kib beta alpha)" = 0/0 ]; }
must wait_for 60 "nothing out of sync" settled
records_run gamma
progress 100 "more of them" "before gamma is killed"
node_kill gamma
must wait_for 60 "the writers to end" node_gone "$load"
for n in alpha beta; do
	must wait_for 60 "$n to be good for itself" disk_is "$n" UpToDate
	must wait_for 60 "$n to have everything" "$B/records" verify "$(node_file "$n")" "$WORK/journal"
done
for n in alpha beta; do must node_stop "$n"; done
CLUSTER_NODES='alpha beta' must cluster_compare
echo "$(count) acknowledged records"
