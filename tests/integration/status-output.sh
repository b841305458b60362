#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# status as text and as JSON: one verdict per resource, the words of the DRBD utilities, their keys, no colour in a pipe.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 32M
must run ctl alpha status
said '^r0: OK$' '^r0 role:Secondary$' '^  disk:UpToDate.* open:no$' '^  beta role:Secondary$' '^    peer-disk:UpToDate$'
! grep -q $'\e' "$WORK/out" || fail "colour in a pipe"
must run ctl alpha status r0 --verbose --statistics
said 'node-id:0' 'connection:Connected' 'replication:Established' 'peer-disk:UpToDate' "backing_dev:$(node_disk alpha)" \
	'quorum:yes' 'protocol:C' 'agreed-protocol:12[1-4]' 'out-of-sync:0' 'al-writes:' 'resync-suspended:no'
must_fail 10 ctl alpha status r9
said 'r9: No such resource'

must ctl alpha status --json >"$WORK/status.json"
has_keys() { # JQ-OF-OBJECT KEY...
	local at=$1 k
	shift
	for k in "$@"; do
		jq -e "$at | has(\"$k\")" "$WORK/status.json" >/dev/null || fail "$at has no key $k"
	done
}
has_keys '.[0]' name node-id role suspended suspended-user suspended-no-data suspended-fencing suspended-quorum \
	force-io-failures write-ordering devices connections verdict reason
has_keys '.[0].devices[0]' volume minor disk-state client open quorum size read written al-writes bm-writes \
	upper-pending lower-pending
has_keys '.[0].connections[0]' peer-node-id name connection-state congested peer-role tls ap-in-flight rs-in-flight \
	paths peer_devices
has_keys '.[0].connections[0].peer_devices[0]' volume replication-state peer-disk-state peer-client resync-suspended \
	received sent out-of-sync pending unacked has-sync-details has-online-verify-details percent-in-sync
[ "$(jq -r '.[0] | [.name, ."node-id", .role, .verdict, .suspended] | join(" ")' "$WORK/status.json")" = "r0 0 Secondary OK false" ] ||
	fail "wrong values in the JSON"
jq -e '.[0].devices[0] | (.size | type) == "number" and (.size * 1024) < 33554432 and (.open | type) == "boolean"' \
	"$WORK/status.json" >/dev/null || fail "wrong types in the JSON"
size=$(stat -c %s "$(node_file alpha)")
[ "$(jq '.[0].devices[0].size * 1024' "$WORK/status.json")" = "$size" ] || fail "size in status is not that of the file"

# Counters: 3 MiB written here arrive there.
before=$(peer_field beta alpha '.peer_devices[0].received')
must put_random alpha 0 3072
arrived() { [ "$(peer_field beta alpha '.peer_devices[0].received')" = $((before + 3072)) ]; }
must wait_for 30 "beta to count what it received" arrived
exec 3<>"$(node_file alpha)"
must wait_for 30 "beta to show the Primary" eval "[ \"\$(peer_field beta alpha '.\"peer-role\"')\" = Primary ]"
must run ctl alpha status
said '^r0 role:Primary$' 'open:yes'
exec 3>&-

# A lost peer, then a resync.
must node_kill beta
must wait_for 60 "alpha to notice" conn_is alpha beta Connecting
must wait_for 60 "status to tell of it" status_shows alpha '^r0: DEGRADED: beta is Connecting' '^  beta connection:Connecting$'

# Status shows what is done when it is asked, however short ago: here blocks written while the file stays open.
exec 3<>"$(node_file alpha)"
before=$(peer_field alpha beta '.peer_devices[0]."out-of-sync"')
for i in $(seq 1 20); do
	dd if=/dev/urandom bs=64k count=1 conv=notrunc,fsync status=none >&3
	now=$(peer_field alpha beta '.peer_devices[0]."out-of-sync"')
	[ "$now" = $((before + 64 * i)) ] || fail "status shows $now KiB out of sync after $i synced writes of 64 KiB, $before KiB before"
done
exec 3>&-

# --watch in a pipe: prints the state, and again when it changes; ends with SIGTERM.
"$B/drbdctl" -s "$WORK/alpha/control.sock" status --watch >"$WORK/watch" &
watch=$!
on_exit "kill_jobs TERM $watch"
must wait_for 30 "status --watch to print" grep -q DEGRADED "$WORK/watch"
must node_start beta
must wait_for 60 "status --watch to print the change" grep -q '^r0: OK' "$WORK/watch"
kill "$watch"
must wait_for 30 "status --watch to end" node_gone "$watch"
stop_all
