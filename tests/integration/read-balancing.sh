#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Reads are served by the copies that read-balancing says, change under way included; no byte is wrong and none fails when
# one of them is killed.
# Time limit: 300 s
. "$(dirname "$0")/functions.sh"
need jq fio

CLUSTER_DISK='read-balancing = "round-robin";'
CLUSTER_PING_TIMEOUT=20
three_nodes 64M
model_new alpha
put_random alpha 0 16384

received_kib() { peer_field alpha "$1" '.peer_devices[0].received'; }
# Which share of the 16 MiB came from each peer.
read_all() {
	local b g
	b=$(received_kib beta) g=$(received_kib gamma)
	dd if="$(node_file alpha)" bs=64k count=256 iflag=direct status=none | cmp -n $((16 << 20)) - "$WORK/model" ||
		fail "with $1 alpha reads something else than was written"
	from_beta=$(($(received_kib beta) - b)) from_gamma=$(($(received_kib gamma) - g))
}
policy() {
	sed -i "s/read-balancing = \"[^\"]*\"/read-balancing = \"$1\"/" "$CLUSTER_DIR/drbdfs.conf"
	must ctl alpha adjust r0
}

read_all round-robin
{ [ "$from_beta" -ge 4096 ] && [ "$from_gamma" -ge 4096 ] && [ $((from_beta + from_gamma)) -le 12288 ]; } ||
	fail "round-robin: $from_beta KiB came from beta, $from_gamma KiB from gamma"
policy prefer-local
read_all prefer-local
[ $((from_beta + from_gamma)) -eq 0 ] || fail "prefer-local: $from_beta KiB came from beta, $from_gamma KiB from gamma"
policy prefer-remote
read_all prefer-remote
{ [ $((from_beta + from_gamma)) -ge 16384 ] && [ "$from_beta" -ge 4096 ] && [ "$from_gamma" -ge 4096 ]; } ||
	fail "prefer-remote: $from_beta KiB came from beta, $from_gamma KiB from gamma"
policy 1M-striping
read_all 1M-striping
{ [ "$from_beta" -ge 4096 ] && [ "$from_gamma" -ge 4096 ] && [ $((from_beta + from_gamma)) -le 12288 ]; } ||
	fail "1M-striping: $from_beta KiB came from beta, $from_gamma KiB from gamma"

# Under load, with each of the peers killed, and without a disk here.
policy prefer-remote
fio --verify_state_save=0 --name=verify --filename="$(node_file alpha)" --offset=16M --size=32M --rw=randrw --bsrange=4k-64k --ioengine=libaio \
	--iodepth=8 --direct=1 --verify=crc32c --verify_backlog=64 --do_verify=1 --time_based --runtime=15 --output="$WORK/fio.log" &
load=$!
some_read() { [ $(($(received_kib beta) + $(received_kib gamma))) -gt "$more" ] || node_gone "$load"; }
for node in beta gamma; do
	more=$(($(received_kib beta) + $(received_kib gamma) + 1024))
	must wait_for 60 "reads from the peers" some_read
	must node_kill "$node"
	must node_start "$node"
	must wait_for 90 "all nodes settled" cluster_settled
done
must ctl alpha detach r0 --force
must wait_for 30 "alpha to be without disk" disk_is alpha Diskless
wait "$load" || { cat "$WORK/fio.log"; fail "fio met an error or a difference"; }
read_all "prefer-remote without a disk"
must ctl alpha attach r0
must wait_for 60 "all nodes settled" cluster_settled
stop_all
must cluster_compare
