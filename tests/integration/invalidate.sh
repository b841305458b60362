#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# invalidate fetches the whole local copy anew, invalidate-remote sends the peer's anew: corrupted blocks are repaired.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 24M
model_new alpha
must put_random alpha 0 20480
must wait_for 30 "alpha to demote" role_is alpha Secondary
# Everything was sent since $before, and all is well again.
sent_all() { cluster_settled && [ $(($(sent_kib alpha beta) - before)) -ge "$size_kib" ]; }
size_kib=$(field alpha '.devices[0].size')
corrupt() { head -c 65536 /dev/urandom | dd of="$(node_disk "$1")" bs=64k seek=40 conv=notrunc,fsync status=none; }

must node_stop beta
corrupt beta
must node_start beta
must wait_for 60 "both nodes settled" cluster_settled
before=$(sent_kib alpha beta)
must ctl beta invalidate r0/0
must wait_for 90 "both nodes settled after all $size_kib KiB were sent" sent_all
must node_stop beta
must node_stop alpha
must_equal_model beta

corrupt beta
for n in alpha beta; do must node_start $n; done
must wait_for 60 "both nodes settled" cluster_settled
# While the source is Primary and writes.
must put_random alpha 10240 256
before=$(sent_kib alpha beta)
must ctl alpha invalidate-remote r0:beta
must put_random alpha 1024 256
must wait_for 90 "both nodes settled after all $size_kib KiB were sent" sent_all

# Refused without anybody to fetch from.
must node_stop beta
must_fail 11 ctl alpha invalidate r0
must_fail 11 ctl alpha invalidate-remote r0:beta
disk_is alpha UpToDate || fail "a refused invalidate made the disk $(field alpha '.devices[0]."disk-state"')"
must node_stop alpha
must_equal_model alpha beta
