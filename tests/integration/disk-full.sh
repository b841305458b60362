#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The backing file of the Primary cannot grow (ENOSPC): its disk is detached, reading and writing go on through the peer.
. "$(dirname "$0")/functions.sh"
need jq

# A Primary without disk has its data on the other side of the connection only.
CLUSTER_PING_TIMEOUT=100
cluster_new "$WORK" 64M alpha beta
# A small file system below alpha's sparse file: mounted here, or in a name space of our own.
if ! is_root && [ -z "${IN_NAMESPACE:-}" ]; then
	unshare -Urm true 2>/dev/null || skip "needs root or user name spaces (mounts a tmpfs)"
	IN_NAMESPACE=1 unshare -Urm bash "$PWD/tests/integration/disk-full.sh"
	exit
fi
mkdir "$WORK/small"
mount -t tmpfs -o size=88M tmpfs "$WORK/small" 2>/dev/null || skip "may not mount a tmpfs"
on_exit 'umount "$WORK/small"'
fallocate -l 64M "$WORK/small/filler" || fail "fallocate"
mv "$(node_disk alpha)" "$WORK/small/disk.img"
ln -s "$WORK/small/disk.img" "$(node_disk alpha)"

must cluster_create_md >/dev/null
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
model_new alpha
must ctl alpha primary r0
must put_random alpha 0 16384
disk_is alpha UpToDate || fail "alpha lost its disk early"
must put_random alpha 16384 32768
must wait_for 30 "alpha to give its disk up" disk_is alpha Diskless
role_is alpha Primary || fail "alpha was demoted"
must wait_for 60 "status to say why" status_shows alpha '^r0: DEGRADED: volume 0 is Diskless here: ' 'disk:Diskless'
must put_random alpha 50000 1024
cmp "$(node_file alpha)" "$WORK/model" || fail "wrong data through the peer"

# With more room the disk is taken back.
rm "$WORK/small/filler"
must ctl alpha attach r0
must wait_for 60 "both nodes settled" cluster_settled
must ctl alpha secondary r0
stop_all
must_equal_model beta alpha
