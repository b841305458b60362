#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A third node joins two whose metadata have a bitmap slot for one: they grow in use, or say what they need. drbdmeta reads the result.
# Time limit: 240 s
. "$(dirname "$0")/functions.sh"
need jq fio drbdmeta

CLUSTER_MAX_PEERS=1 # of alpha and beta
cluster_new "$WORK" 96M alpha beta gamma
conf=$CLUSTER_DIR/drbdfs.conf
cp "$conf" "$WORK/three.conf"
sed -zE 's/,\n *\{ name = "gamma"[^}]*\}[^}]*\}//' "$WORK/three.conf" >"$WORK/two.conf"
# Beta's disk is the smallest: behind the volume the others have room.
for n in alpha gamma; do must truncate -s 97M "$(node_disk $n)"; done
must cluster_create_md >/dev/null
must ctl gamma create-md r0 --max-peers 2 --force
cp "$WORK/two.conf" "$conf"
for n in alpha beta; do must node_start $n; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled "alpha beta"

# What is marked for beta when the metadata grow is marked for it afterwards.
must node_stop beta
must put_random alpha 4096 3072
marked=$(out_of_sync_kib alpha beta)
[ "$marked" -ge 3072 ] || fail "$marked KiB are marked for beta"
fio --verify_state_save=0 --name=verify --filename="$(node_file alpha)" --offset=16M --size=32M --rw=randrw --bsrange=4k-64k \
	--ioengine=libaio --iodepth=8 --direct=1 --verify=crc32c --verify_backlog=256 --do_verify=1 --time_based --runtime=15 \
	--output="$WORK/fio.log" &
load=$!
must wait_for 30 "alpha to be Primary" role_is alpha Primary
cp "$WORK/three.conf" "$conf"
must ctl alpha adjust r0
grep -q 'r0/0: the metadata have 2 bitmap slots now' "$WORK/alpha/log" || fail "the metadata of alpha did not grow"
[ "$(out_of_sync_kib alpha beta)" -ge "$marked" ] || fail "marks for beta are lost: $(out_of_sync_kib alpha beta) of $marked KiB"
[ "$(out_of_sync_kib alpha gamma)" -ge $((94 << 10)) ] || fail "gamma does not lack everything: $(out_of_sync_kib alpha gamma) KiB"
must node_start gamma
must wait_for 60 "gamma to be UpToDate" disk_is gamma UpToDate
wait "$load" || { cat "$WORK/fio.log"; fail "fio met an error or a difference"; }

# A crash: what is on disk is as good.
must wait_for 30 "alpha to demote" role_is alpha Secondary
marked=$(out_of_sync_kib alpha beta)
must node_kill alpha
must node_start alpha
must wait_for 60 "gamma to be connected" conn_is alpha gamma Connected
[ "$(out_of_sync_kib alpha beta)" -ge "$marked" ] || fail "marks for beta are lost: $(out_of_sync_kib alpha beta) of $marked KiB"

# The attach of beta finds no room for another peer: its disk is full.
must node_start beta
must wait_for 30 "beta to say why" status_shows beta 'has no room for the bitmap of 2 peers behind [0-9]* KiB of data: make it 2 MiB larger, shrink the volume'
must node_stop beta
cp "$WORK/two.conf" "$conf"
must node_start beta
must wait_for 60 "beta to be UpToDate" disk_is beta UpToDate
# Nor does an adjust, which then leaves everything as it was.
cp "$WORK/three.conf" "$conf"
must_fail 10 ctl beta adjust r0
said 'volume 0 lacks bitmap slots: .*: make it 2 MiB larger, shrink the volume \(drbdctl resize\) to [0-9]* KiB, or forget a node \(drbdctl forget-peer\)'
[ "$(ctl beta status r0 --json | jq -r '[.[0].connections[].name] | join(" ")')" = alpha ] || fail "gamma is a peer in spite of it"
must truncate -s 98M "$(node_disk beta)"
must ctl beta adjust r0
must wait_for 60 "all nodes settled" cluster_settled
must put_random beta 0 4096
must wait_for 30 "beta to demote" role_is beta Secondary
must wait_for 60 "all nodes settled" cluster_settled

stop_all
must cluster_compare
for n in alpha beta gamma; do
	drbdmeta --force - v09 "$(node_disk $n)" internal dump-md >"$WORK/dump" 2>"$WORK/err" || { cat "$WORK/err"; fail "drbdmeta refuses the metadata of $n"; }
	grep -q '^max-peers 2;' "$WORK/dump" || { cat "$WORK/dump"; fail "$n has other metadata"; }
	[ "$(grep -c 'bitmap-index [01];' "$WORK/dump")" = 2 ] || { cat "$WORK/dump"; fail "$n has no slot for each peer"; }
done
for n in alpha beta gamma; do must node_start $n; done
must wait_for 60 "all nodes settled" cluster_settled
stop_all
