#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ext4 on a loop device over the file: survives, trims on all nodes, is clean after a fail-over.
# Time limit: 420 s
. "$(dirname "$0")/functions.sh"
need jq mkfs.ext4 losetup fstrim e2fsck
may_mount_loop "$WORK" || skip "may not mount a loop device here (needs root)"

three_nodes 96M
loop=
release() {
	! grep -q " $WORK/fs " /proc/mounts || umount "$WORK/fs"
	[ -z "$loop" ] || losetup -d "$loop"
	loop=
}
on_exit release
mkdir "$WORK/fs"
loop=$(losetup --direct-io=on -f --show "$(node_file alpha)") || fail "losetup"
must wait_for 30 "losetup to promote" role_is alpha Primary
must mkfs.ext4 -q -F "$loop"
must mount "$loop" "$WORK/fs"
for i in $(seq 1 200); do head -c $((i * 300)) /dev/urandom >"$WORK/fs/small.$i"; done
head -c 40M /dev/urandom >"$WORK/fs/big"
must sync -f "$WORK/fs"
sum=$(cd "$WORK/fs" && find . -type f ! -name big -print0 | sort -z | xargs -0 sha256sum | sha256sum)
used() { echo $(($(stat -c %b "$(node_disk "$1")") / 2048)); } # MiB
full=$(used alpha)
rm "$WORK/fs/big"
must sync -f "$WORK/fs"
must fstrim "$WORK/fs"
trimmed() { [ "$(used "$1")" -le $((full - 35)) ]; }
for n in alpha beta gamma; do must wait_for 30 "$n to have trimmed its $full MiB" trimmed "$n"; done
release
must wait_for 30 "alpha to demote" role_is alpha Secondary

loop=$(losetup --direct-io=on -f --show "$(node_file beta)") || fail "losetup on beta"
must e2fsck -fn "$loop" >/dev/null
must mount "$loop" "$WORK/fs"
[ "$(cd "$WORK/fs" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)" = "$sum" ] || fail "files differ on beta"
# Its daemon dies under the mounted file system; another node recovers the journal.
head -c 5M /dev/urandom >"$WORK/fs/synced"
must sync -f "$WORK/fs"
sum=$(sha256sum <"$WORK/fs/synced")
head -c 5M /dev/urandom >"$WORK/fs/not-synced"
must node_kill beta
umount "$WORK/fs" || umount -l "$WORK/fs"
losetup -d "$loop"
loop=
must wait_for 60 "gamma to be UpToDate" disk_is gamma UpToDate
loop=$(losetup --direct-io=on -f --show "$(node_file gamma)") || fail "losetup on gamma"
must mount "$loop" "$WORK/fs"
[ "$(sha256sum <"$WORK/fs/synced")" = "$sum" ] || fail "what was synced is not there"
must umount "$WORK/fs"
must e2fsck -fn "$loop" >/dev/null
release
must node_start beta
must wait_for 60 "all nodes settled" cluster_settled
stop_all
must cluster_compare
