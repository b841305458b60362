#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A disk that hangs, with more requests than there are threads: the disk of another volume goes on.
. "$(dirname "$0")/functions.sh"
need jq
[ -x "$B/volatile_disk" ] || skip "needs $B/volatile_disk (make tests)"

cluster_new "$WORK" 24M alpha beta
for n in alpha beta; do
	truncate -s 24M "$WORK/$n/second.img"
	sed -i -E "s|(disk = \"$WORK/$n/disk.img\"; \})|\1, { volume = 5; disk = \"$WORK/$n/second.img\"; }|" "$CLUSTER_DIR/drbdfs.conf"
done
sed -i -e 's/volumes = ( { volume = 0; } )/volumes = ( { volume = 0; }, { volume = 5; } )/' -e '1i node = { disk-threads = 1; };' \
	"$CLUSTER_DIR/drbdfs.conf"
volatile_disk_below alpha
hung=$BELOW_PID
on_exit 'kill_jobs CONT $hung'
# A disk as the other one, else it would not need a thread.
mkdir "$WORK/alpha/second"
mv "$WORK/alpha/second.img" "$WORK/alpha/second-durable.img"
"$B/volatile_disk" "$WORK/alpha/second-durable.img" "$WORK/alpha/second" >"$WORK/alpha/second.log" 2>&1 </dev/null &
second_pid=$!
on_exit 'fusermount3 -uzq "$WORK/alpha/second"; kill_jobs TERM $second_pid'
must wait_for 30 "the second disk" test -e "$WORK/alpha/second/ctl"
ln -s "$WORK/alpha/second/disk" "$WORK/alpha/second.img"
must cluster_create_md >/dev/null
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
for v in 0 5; do must ctl alpha new-current-uuid r0/$v --clear-bitmap; done
must wait_for 60 "both nodes settled" cluster_settled

# The extents are in the activity log: it is data that hang.
must ctl alpha primary r0
for at in 0 4096 8192; do must put_random alpha $at 512; done
kill -STOP "$hung"
writers=
for at in 0 4096 8192; do
	put_random alpha $at 512 2>/dev/null &
	writers+=" $!"
done
is_waiting() { [ "$(field alpha '.devices[0]."upper-pending"')" -gt 2 ]; }
must wait_for 30 "writes to hang" is_waiting
head -c 4M /dev/urandom >"$WORK/second"
must timeout -s KILL 30 dd if="$WORK/second" of="$WORK/alpha/mnt/r0@5" bs=64k conv=notrunc,fsync status=none
must timeout -s KILL 30 cmp -n $((4 << 20)) "$WORK/second" "$WORK/alpha/mnt/r0@5"
kill -CONT "$hung"
for writer in $writers; do must wait "$writer"; done
disk_is alpha UpToDate || fail "the disk is $(ctl alpha dstate r0)"
