#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# invalidate fetches the whole local copy anew, invalidate-remote sends the peer's anew: corrupted blocks are repaired.
# Time limit: 180 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 24M
model_new alpha
must put_random alpha 0 20480
must wait_for 5 "alpha to demote" role_is alpha Secondary
size_kib=$(field alpha '.devices[0].size')
corrupt() { head -c 65536 /dev/urandom | dd of="$(node_disk "$1")" bs=64k seek=40 conv=notrunc,fsync status=none; }

must node_stop beta
corrupt beta
must node_start beta
must wait_for 20 "both nodes settled" cluster_settled
before=$(sent_kib alpha beta)
must ctl beta invalidate r0/0
must wait_for 60 "both nodes settled" cluster_settled
sent=$(($(sent_kib alpha beta) - before))
[ "$sent" -ge "$size_kib" ] || fail "only $sent of $size_kib KiB were sent"
must node_stop beta
must node_stop alpha
must_equal_model beta

corrupt beta
for n in alpha beta; do must node_start $n; done
must wait_for 20 "both nodes settled" cluster_settled
# While the source is Primary and writes.
must put_random alpha 10240 256
before=$(sent_kib alpha beta)
must ctl alpha invalidate-remote r0:beta
must put_random alpha 1024 256
must wait_for 60 "both nodes settled" cluster_settled
sent=$(($(sent_kib alpha beta) - before))
[ "$sent" -ge "$size_kib" ] || fail "only $sent of $size_kib KiB were sent"

# Refused without anybody to fetch from.
must node_stop beta
must_fail 11 ctl alpha invalidate r0
must_fail 11 ctl alpha invalidate-remote r0:beta
disk_is alpha UpToDate || fail "a refused invalidate changed the disk"
must node_stop alpha
must_equal_model alpha beta
