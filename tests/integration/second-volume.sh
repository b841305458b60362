#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A resource of two volumes with metadata elsewhere: files RES and RES@VOL, promoted together, each with its own disk.
. "$(dirname "$0")/functions.sh"
need jq

cluster_new "$WORK" 24M alpha beta
for n in alpha beta; do
	truncate -s 40M "$WORK/$n/second.img"
	truncate -s 4M "$WORK/$n/meta.img"
	sed -i -E "s|(disk = \"$WORK/$n/disk.img\"; \})|\1, { volume = 5; disk = \"$WORK/$n/second.img\"; meta-disk = \"$WORK/$n/meta.img\"; }|" "$CLUSTER_DIR/drbdfs.conf"
done
sed -i 's/volumes = ( { volume = 0; } )/volumes = ( { volume = 0; }, { volume = 5; } )/' "$CLUSTER_DIR/drbdfs.conf"
must cluster_create_md >/dev/null
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must_fail 17 ctl alpha primary r0
must ctl alpha new-current-uuid r0/5 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled
[ "$(ls "$WORK/alpha/mnt" | tr '\n' ' ')" = 'r0 r0@5 ' ] || fail "the directory holds $(ls "$WORK/alpha/mnt")"
second=$WORK/alpha/mnt/r0@5
[ "$(stat -c %s "$second")" = $((40 * 1024 * 1024)) ] || fail "external metadata takes room: $(stat -c %s "$second")"
head -c 8M /dev/urandom >"$WORK/a"; head -c 8M /dev/urandom >"$WORK/b"
exec 3<>"$(node_file alpha)" 4<>"$second"
dd if="$WORK/a" of="$(node_file alpha)" bs=256k conv=notrunc,fsync status=none &
dd if="$WORK/b" of="$second" bs=256k seek=64 conv=notrunc,fsync status=none || fail "dd"
wait $! || fail "dd"
exec 3>&-
role_is alpha Primary || fail "demoted while the second volume is open"
# One volume loses its disk, the other one does not care.
must ctl beta detach r0/5
[ "$(ctl beta dstate r0/0)" = UpToDate/UpToDate ] || fail "volume 0: $(ctl beta dstate r0/0)"
[ "$(ctl beta dstate r0/5)" = Diskless/UpToDate ] || fail "volume 5: $(ctl beta dstate r0/5)"
dd if="$WORK/a" of="$second" bs=256k seek=100 count=4 conv=notrunc,fsync status=none || fail "dd"
dd if="$WORK/a" of="$WORK/b" bs=256k seek=36 count=4 conv=notrunc status=none
must ctl beta attach r0/5
must wait_for 60 "both nodes settled" cluster_settled
exec 4>&-
must wait_for 30 "alpha to demote" role_is alpha Secondary
stop_all
for n in alpha beta; do
	cmp -n 8388608 "$WORK/a" "$WORK/$n/disk.img" || fail "volume 0 on $n"
	cmp -n 8388608 "$WORK/b" <(dd if="$WORK/$n/second.img" bs=256k skip=64 count=40 status=none) || fail "volume 5 on $n"
done
must run ctl alpha dump-md r0/5
said '^la-size-sect 81920;'
