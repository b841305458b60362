#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A third node joins two that are in use, and leaves them again, by adjust alone; who is connected stays connected.
# Time limit: 240 s
. "$(dirname "$0")/functions.sh"
need jq fio

cluster_new "$WORK" 96M alpha beta gamma
conf=$CLUSTER_DIR/drbdfs.conf
must cluster_create_md >/dev/null
cp "$conf" "$WORK/three.conf"
sed -zE 's/,\n *\{ name = "gamma"[^}]*\}[^}]*\}//' "$WORK/three.conf" >"$WORK/two.conf"
cp "$WORK/two.conf" "$conf"
for n in alpha beta; do must node_start $n; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled "alpha beta"
incarnations() { grep -c 'r0 beta: connection Connecting -> Connected' "$WORK/alpha/log"; }
before=$(incarnations)
peers_of() { ctl "$1" status r0 --json | jq -r '[.[0].connections[].name] | sort | join(" ")'; }

begin_load() {
	fio --verify_state_save=0 --name=verify --filename="$(node_file alpha)" --offset=16M --size=32M --rw=randrw --bsrange=4k-64k \
		--ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --verify_backlog=256 --do_verify=1 --time_based --runtime="$1" \
		--output="$WORK/fio.log" &
	load=$!
	must wait_for 30 "alpha to be Primary" role_is alpha Primary
}
end_load() { wait "$load" || { cat "$WORK/fio.log"; fail "fio met an error or a difference"; }; }

# Both have written to their metadata before; the third has nothing yet.
must put_random alpha 0 4096
begin_load 15
cp "$WORK/three.conf" "$conf"
must ctl alpha adjust r0
[ "$(peers_of alpha)" = "beta gamma" ] || fail "alpha has the peers $(peers_of alpha)"
must node_start gamma
must ctl beta adjust r0
must wait_for 60 "gamma to be UpToDate" disk_is gamma UpToDate
end_load
must wait_for 60 "all nodes settled" cluster_settled
must wait_for 30 "alpha to demote" role_is alpha Secondary
[ "$(incarnations)" = "$before" ] || fail "a new peer disturbed the connection to beta"
stop_all
must cluster_compare

# It leaves: the others go on, and mark what it lacks.
for n in alpha beta gamma; do must node_start $n; done
must wait_for 60 "all nodes settled" cluster_settled
before=$(incarnations)
begin_load 8
cp "$WORK/two.conf" "$conf"
for n in alpha beta; do must ctl $n adjust r0; done
[ "$(peers_of alpha)" = beta ] || fail "alpha has the peers $(peers_of alpha)"
[ "$(peers_of beta)" = alpha ] || fail "beta has the peers $(peers_of beta)"
end_load
[ "$(incarnations)" = "$before" ] || fail "a peer that left disturbed the connection to beta"
must wait_for 30 "alpha to demote" role_is alpha Secondary

# And comes back, to other peers' memory; more than once.
for round in 1 2 3; do
	cp "$WORK/three.conf" "$conf"
	for n in alpha beta; do must ctl $n adjust r0; done
	must wait_for 60 "all nodes settled" cluster_settled
	must put_random beta $((round << 12)) 512
	must wait_for 30 "beta to demote" role_is beta Secondary
	[ $round = 3 ] && break
	cp "$WORK/two.conf" "$conf"
	for n in alpha beta; do must ctl $n adjust r0; done
	must put_random beta $((round << 12 | 1024)) 512
done
must wait_for 60 "all nodes settled" cluster_settled
[ "$(incarnations)" = "$before" ] || fail "the connection to beta was disturbed"
stop_all
must cluster_compare
