#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A mountpoint that is missing, no directory, not empty or busy is refused; the dead mount of a killed daemon is taken over.
. "$(dirname "$0")/functions.sh"
need jq

cluster_new "$WORK" 16M alpha beta
must cluster_create_md >/dev/null
mount_at() { "$B/drbdfs" mount -f -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$WORK/alpha/control.sock" "$1" </dev/null; }

must_fail 10 mount_at "$WORK/none"
said "mountpoint $WORK/none: No such file"
: >"$WORK/file"
must_fail 10 mount_at "$WORK/file"
said "mountpoint $WORK/file: not a directory"
mkdir "$WORK/full"; : >"$WORK/full/x"
must_fail 10 mount_at "$WORK/full"
said 'not empty'
must_fail 10 mount_at "$WORK/$(head -c 5000 /dev/zero | tr '\0' m)"
if ! is_root; then
	mkdir "$WORK/locked"; chmod 555 "$WORK/locked"
	must_fail 10 mount_at "$WORK/locked"
fi

# Taken over, also when somebody stands in it and has the file open.
must node_start alpha
must node_start beta
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
must put_random alpha 0 64
exec 3<"$(node_file alpha)"
must node_kill alpha
! stat "$WORK/alpha/mnt" 2>/dev/null || fail "the mount is not dead"
must node_start alpha
[ "$(grep -c " $WORK/alpha/mnt " /proc/mounts)" = 1 ] || fail "the dead mount is still there"
# By another name of it, too.
ln -s mnt "$WORK/alpha/link"
must node_kill alpha
must_fail 10 mount_at "$WORK/alpha/link/none"
"$B/drbdfs" mount -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$WORK/alpha/control.sock" "$WORK/alpha/link/" </dev/null ||
	fail "the dead mount was not taken over through a symbolic link"
must test -e "$(node_file alpha)"
must ctl alpha shutdown
must wait_for 60 "alpha to end" eval '! ctl alpha version | grep -q running'
must wait_for 60 "alpha to be unmounted" eval '! grep -q " $WORK/alpha/mnt " /proc/mounts'
must node_start alpha
must wait_for 60 "both nodes settled" cluster_settled
cmp -n 65536 "$(node_file alpha)" "$WORK/put.tmp" || fail "wrong data after the take-over"
! head -c 1 <&3 2>/dev/null || fail "the old descriptor reads"
exec 3<&-

# A living mount is not taken over, whoever asks.
must_fail 10 mount_at "$WORK/alpha/mnt"
said 'another drbdfs'
must_fail 10 "$B/drbdfs" mount -f -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$WORK/alpha/other.sock" "$WORK/alpha/mnt"
said 'another drbdfs daemon is mounted there'
[ "$(ctl alpha role r0)" = Secondary ] || fail "alpha was disturbed"
stop_all
