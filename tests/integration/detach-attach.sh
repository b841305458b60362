#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The Primary's disk is detached and attached again under verified I/O: no error, no wrong byte.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq fio

# A Primary without disk has its data on the other side of the connection only.
CLUSTER_PING_TIMEOUT=100
two_nodes 64M
fio --verify_state_save=0 --name=verify --filename="$(node_file alpha)" --size=48M --rw=randrw --bsrange=4k-64k --ioengine=libaio --iodepth=8 \
	--direct=1 --verify=crc32c --verify_backlog=256 --do_verify=1 --time_based --runtime=12 --output="$WORK/fio.log" &
load=$!
some_written() { [ "$(field alpha '.devices[0].written')" -gt $(($1 + 2048)) ]; }
must wait_for 60 "some writes" some_written 0
for round in 1 2 3; do
	must ctl alpha detach r0 --force
	must wait_for 30 "alpha to be without disk" disk_is alpha Diskless
	received=$(peer_field beta alpha '.peer_devices[0].received')
	goes_on() { [ "$(peer_field beta alpha '.peer_devices[0].received')" -gt $((received + 1024)) ] || node_gone "$load"; }
	must wait_for 60 "writes to go on through beta (round $round)" goes_on
	must ctl alpha attach r0
	must wait_for 60 "alpha to be UpToDate again (round $round)" disk_is alpha UpToDate
done
wait "$load" || { cat "$WORK/fio.log"; fail "fio met an error or a difference"; }
# The last copy is not given up.
must wait_for 60 "both nodes settled" cluster_settled
must ctl alpha primary r0
must ctl beta detach r0
must_fail 17 ctl alpha detach r0
must ctl beta attach r0
must wait_for 60 "both nodes settled" cluster_settled
must ctl alpha secondary r0
stop_all
must cluster_compare
