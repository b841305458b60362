#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fio writes with verification at depth while a Secondary leaves and returns; then all data areas are equal.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq fio

three_nodes 64M
fio_verify() {
	fio --verify_state_save=0 --name=verify --filename="$(node_file alpha)" --size=48M --rw=randwrite --bsrange=4k-128k --ioengine=libaio \
		--iodepth=16 --direct=1 --verify=crc32c --verify_backlog=512 --do_verify=1 --output="$WORK/fio.log" --loops=3
}
fio_verify &
load=$!
some_written() { [ "$(field beta '[.connections[].peer_devices[]?.received] | add')" -gt 4096 ]; }
must wait_for 60 "some writes" some_written
node_kill gamma
must node_start gamma
wait "$load" || { cat "$WORK/fio.log"; fail "fio found a difference"; }
must wait_for 60 "all nodes settled" cluster_settled
for n in alpha beta gamma; do must node_stop "$n"; done
must cluster_compare
