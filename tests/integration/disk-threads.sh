#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# node.disk-threads is how many threads the disks get.
. "$(dirname "$0")/functions.sh"

configure() { # COUNT
	sed -i -e "1i node = { disk-threads = $1; };" -e "/^node = /d" "$CLUSTER_DIR/drbdfs.conf"
}
count_threads() { # COUNT: sets threads
	configure "$1"
	must node_start alpha
	threads=$(ls "/proc/${NODE_PID[alpha]}/task" | wc -l)
	must node_stop alpha
}

cluster_new "$WORK" 16M alpha beta
must cluster_create_md >/dev/null
count_threads 2
few=$threads
count_threads 33
[ $((threads - few)) -eq 31 ] || fail "$few threads with 2 for disks, $threads with 33"
configure 65
node_start alpha 2>/dev/null && fail "65 threads were taken"
grep -q 'disk-threads: 65 is out of range \[1..64\]' "$CLUSTER_DIR/alpha/log" || fail "no word about the range"
