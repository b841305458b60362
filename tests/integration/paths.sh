#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two paths between two nodes: when the one in use fails the other one takes over; adjust adds and removes paths under way.
# Time limit: 180 s
if [ -z "${PATHS_NETNS:-}" ]; then
	. "$(dirname "$0")/functions.sh"
	need jq ip unshare
	is_root && unshare -n true 2>/dev/null || skip "needs a network namespace"
	trap - EXIT
	rm -rf "$WORK"
	PATHS_NETNS=1 exec unshare -n "$(pwd)/tests/integration/paths.sh"
fi
. "$(dirname "$0")/functions.sh"
ip link set lo up
for a in 1.1 1.2 2.1 2.2 3.1 3.2; do must ip addr add "10.99.$a/32" dev lo; done

cluster_new "$WORK" 32M alpha beta
conf=$CLUSTER_DIR/drbdfs.conf
# NETWORK...: a path over each of them.
paths() {
	local list=
	for k in "$@"; do
		list="$list${list:+, }{ ends = ( { node = \"alpha\"; address = \"10.99.$k.1:7789\"; }, { node = \"beta\"; address = \"10.99.$k.2:7789\"; } ); }"
	done
	echo "    connections = ( { nodes = [ \"alpha\", \"beta\" ]; paths = ( $list ); } );"
}
cp "$conf" "$WORK/plain.conf"
with_paths() { sed "/^    volumes = ( { volume = 0; } );/r "<(paths "$@") "$WORK/plain.conf" >"$conf"; }
with_paths 1 2
must cluster_create_md >/dev/null
for n in alpha beta; do must node_start $n; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
in_use() { peer_field "$1" "$2" '[.paths[] | select(.established) | .this_host.address] | join(" ")'; }
uses() { [ "$(in_use alpha beta)" = "10.99.$1.1" ] && [ "$(in_use beta alpha)" = "10.99.$1.2" ] && cluster_settled; }
must wait_for 60 "the first path" uses 1
status_shows alpha 'path:10.99.1.1 to:10.99.1.2 established:yes' 'path:10.99.2.1 to:10.99.2.2 established:no'

# The network that is in use is gone, then the other one.
exec 3<>"$(node_file alpha)"
must put_random alpha 0 1024
must ip addr del 10.99.1.2/32 dev lo
must ip addr del 10.99.1.1/32 dev lo
must put_random alpha 1024 1024
must wait_for 90 "the second path" uses 2
for a in 1.1 1.2; do must ip addr add "10.99.$a/32" dev lo; done
for a in 2.1 2.2; do must ip addr del "10.99.$a/32" dev lo; done
must put_random alpha 2048 1024
must wait_for 90 "the first path again" uses 1
for a in 2.1 2.2; do must ip addr add "10.99.$a/32" dev lo; done

# Under way: one more does not disturb; without the one in use another is taken.
connections() { grep -c 'Connecting -> Connected' "$WORK/alpha/log"; }
before=$(connections)
with_paths 3 1
for n in alpha beta; do must ctl $n adjust r0; done
must wait_for 30 "the first path, in another place" uses 1
[ "$(connections)" = "$before" ] || fail "a path that stays was disturbed"
with_paths 3
for n in alpha beta; do must ctl $n adjust r0; done
must wait_for 60 "the third path" uses 3
must put_random alpha 4096 1024
must wait_for 60 "both nodes settled" cluster_settled
exec 3>&-
# An address that this machine has not is refused, and what is connected stays.
with_paths 3 9
must_fail any ctl alpha adjust r0
said '10.99.9.1'
uses 3 || fail "a refused adjust disturbed the connection"
stop_all
must cluster_compare
