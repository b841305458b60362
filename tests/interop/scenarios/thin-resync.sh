# SPDX-License-Identifier: GPL-2.0-or-later
# With rs-discard-granularity the whole device is resynced in either direction, and only what is not zero travels.
needs_drbd9 "as a target it asks for some of the zeroes as data"
DISK_HERE='rs-discard-granularity = "64K";'
DISK_THERE='rs-discard-granularity 65536; c-min-rate 0;'
here_spoil() { head -c 4194304 /dev/urandom | dd of="$WORK/here/disk.img" bs=64k seek=$((30000 / 64)) iflag=fullblock conv=notrunc status=none; }
there_spoil() { there "dd if=/dev/urandom of=$PEER_DISK bs=64k count=64 seek=$((30000 / 64)) iflag=fullblock oflag=direct conv=notrunc,nocreat status=none"; }
here_invalidate() { ctl here invalidate r0/0; }
there_invalidate() { adm invalidate r0; }
world_equal C
must here_promote
must here_write 1 8192 3000
must here_demote
for target in here there; do
	must on $target spoil # where the source has zeroes
	before=$(here_moved)
	must on $target invalidate
	must wait_for 120 "what is not zero" eval '[ $(($(here_moved) - before)) -ge 3000 ]'
	must wait_for 180 "both nodes settled" settled
	moved=$(($(here_moved) - before))
	[ $moved -ge 3000 ] && [ $moved -le 6000 ] || fail "$moved KiB travelled to $target for 3000 that are not zero"
done
finish_equal
