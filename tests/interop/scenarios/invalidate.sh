# SPDX-License-Identifier: GPL-2.0-or-later
# What a verify from either node finds on a disk is repaired by a full sync of that node (invalidate), by checksums; DRBD 8.4 has no other way.
NET_HERE='verify-alg = "sha1"; csums-alg = "crc32c";'
NET_THERE='verify-alg sha1; csums-alg crc32c;'
DISK_HERE='c-plan-ahead = 0; resync-rate = "60M";'
DISK_THERE='c-plan-ahead 0; resync-rate 60M;'
here_verify() { ctl here verify r0; }
there_verify() { adm verify r0; }
here_invalidate() { ctl here invalidate r0; }
there_invalidate() { adm invalidate r0; }
here_change() { dd if=/dev/urandom of="$WORK/here/disk.img" bs=4k seek="$1" count=1 conv=notrunc status=none; } # BLOCK
there_change() { there "dd if=/dev/urandom of=$PEER_DISK bs=4k seek=$1 count=1 oflag=direct conv=notrunc status=none"; }
verify_over() { here_repl_is Established && there_repl_is Established; }
found_12_kib() {
	[ "$(here_peer '.peer_devices[0]."out-of-sync"')" = 12 ] && [ "$(there_field '.connections[0].peer_devices[0]."out-of-sync"')" = 12 ]
}
world_equal C
must here_promote
must here_write 1 0 8000
must here_demote
for side in here there; do
	must wait_for 30 "both nodes settled" settled
	must node_stop here
	must there_down
	for block in 10 100 101; do must on $side change $block; done
	both_up
	must wait_for 60 "both nodes settled, who do not know yet" settled
	for starter in here there; do
		must on $starter verify
		must wait_for 90 "the verify to end" verify_over
		must wait_for 30 "12 KiB found by a verify from $starter" found_12_kib
	done
	before=$(($(here_received) + $(here_sent)))
	must on $side invalidate
	must wait_for 120 "both nodes settled" settled
	moved=$(($(here_received) + $(here_sent) - before))
	[ $moved -lt 2000 ] || fail "$moved KiB travelled for 12 in two requests"
done
finish_equal
