# SPDX-License-Identifier: GPL-2.0-or-later
# A disk goes from DRBD 8.4 to us by `create-md --from-v08` and back by `drbdmeta ... v08 ... create-md`: generations, bitmap and activity log go with it.
needs_drbd8 "move-disk moves v09 disks without a conversion"
[ -n "${PEER_IMAGE:-}" ] || skip "the peer's disk cannot be read here (PEER_IMAGE)"
# A v08 disk has one peer: it comes from slot 0 of a disk with one slot, whose peer has node id 0.
OWN_ID=1 THERE_ID=0 MAX_PEERS=1

# Each machine gets the other one's disk, which are both down.
swap_disks() {
	must cp --sparse=never "$PEER_IMAGE" "$WORK/moved"
	must dd if="$WORK/here/disk.img" of="$PEER_IMAGE" bs=1M conv=notrunc status=none
	must mv "$WORK/moved" "$WORK/here/disk.img"
	must there "blockdev --flushbufs $PEER_DISK"
	must ctl here create-md r0 --from-v08
	# Refuses a disk whose activity log is still to be applied.
	must there "drbdmeta --force $THERE_MINOR v09 $PEER_DISK internal apply-al && drbdmeta --force $THERE_MINOR v08 $PEER_DISK internal create-md"
	both_up
	must wait_for 60 "both nodes settled after the move" settled
}
both_down() { must node_stop here; must there_down; }
travelled() { # AT_LEAST_KIB AT_MOST_KIB
	local moved=$(($(here_received) + $(here_sent)))
	[ "$moved" -ge "$1" ] && [ "$moved" -le "$2" ] || fail "$moved KiB travelled after the move, not $1 to $2"
}
world_equal C
for side in there here; do
	must on $side promote
	must on $side write 10 1000 500
	must on $side demote
	must wait_for 30 "both nodes settled" settled
	both_down
	swap_disks
	travelled 0 0
	# One side goes on alone; the move makes the other kind of node the one that has the bits.
	must on $side promote
	must on $side disconnect
	must on $side write 20 20000 100
	must on $side demote
	both_down
	swap_disks
	travelled 100 1000
done
# After a crash of who had it: what the activity log has counts, one extent of 4 MiB.
for side in there here; do
	must on $side promote
	must on $side write 30 8000 100
	if [ $side = there ]; then
		must there_crash
	else
		must node_kill here
		must wait_for 60 "the loss there" not there_conn_is Connected
	fi
	both_down
	swap_disks
	travelled 100 4096
done
finish_equal
