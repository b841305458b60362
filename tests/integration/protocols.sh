#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Protocols A, B and C (with digests of the data) side by side: what each peer of one Primary got is the same in the end, and fsync holds with all.
. "$(dirname "$0")/functions.sh"
need jq fio

cluster_new "$WORK" 48M alpha beta gamma delta
sed -i '/^    nodes = /i\    connections = ( { nodes = [ "alpha", "beta" ]; net = { protocol = "A"; }; }, { nodes = [ "alpha", "gamma" ]; net = { protocol = "B"; }; }, { nodes = [ "alpha", "delta" ]; net = { data-integrity-alg = "crc32c"; }; }, { nodes = [ "beta", "gamma" ]; }, { nodes = [ "beta", "delta" ]; }, { nodes = [ "gamma", "delta" ]; } );' "$CLUSTER_DIR/drbdfs.conf"
must cluster_create_md >/dev/null
for n in alpha beta gamma delta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "all nodes settled" cluster_settled
for p in beta:A gamma:B delta:C; do
	[ "$(peer_field alpha "${p%:*}" .protocol)" = "${p#*:}" ] || fail "protocol towards ${p%:*}: $(peer_field alpha "${p%:*}" .protocol)"
done
fio --verify_state_save=0 --name=load --filename="$(node_file alpha)" --size=40M --rw=randwrite --bsrange=4k-128k --ioengine=libaio --iodepth=16 --direct=1 \
	--fsync=64 --verify=crc32c --do_verify=1 --output="$WORK/fio.log" || { cat "$WORK/fio.log"; fail "fio"; }
must wait_for 30 "all nodes settled" cluster_settled
must wait_for 30 "alpha to demote" role_is alpha Secondary
stop_all
must cluster_compare
