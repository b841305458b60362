# SPDX-License-Identifier: GPL-2.0-or-later
# A disk goes from the kernel to us and back, with its metadata: it is taken up without a resync, and what changed in between is marked.
needs_drbd9 "its disks have to be converted: move-disk-v08"
[ -n "${PEER_IMAGE:-}" ] || skip "the peer's disk cannot be read here (PEER_IMAGE)"
swap_disks() {
	must node_stop here
	must there_down
	must cp --sparse=never "$PEER_IMAGE" "$WORK/moved"
	must dd if="$WORK/here/disk.img" of="$PEER_IMAGE" bs=1M conv=notrunc status=none
	must mv "$WORK/moved" "$WORK/here/disk.img"
	# The disk keeps its node id: the other node has it now.
	OWN_ID=$THERE_ID THERE_ID=$((1 - THERE_ID))
	conf_here
	must conf_there
	there "blockdev --flushbufs $PEER_DISK" >/dev/null 2>&1
}
world_equal C
for turn in 1 2; do
	for side in here there; do
		must on $side promote
		must on $side write $((turn + 10)) 1000 500
		must on $side demote
		must wait_for 30 "both nodes settled" settled
		swap_disks
		both_up
		must wait_for 60 "both nodes settled after the move" settled
		[ "$(($(here_received) + $(here_sent)))" = 0 ] || fail "$(here_received) KiB came, $(here_sent) KiB went after the move"
		# One side goes on alone; the move makes the other kind of node the one that has the bits.
		must on $side promote
		must on $side disconnect
		must on $side write $((turn + 20)) 20000 100
		must on $side demote
		swap_disks
		both_up
		must wait_for 60 "both nodes settled after the resync" settled
		moved=$(($(here_received) + $(here_sent)))
		[ $moved -ge 100 ] && [ $moved -lt 1000 ] || fail "$moved KiB travelled for 100"
	done
done
finish_equal
