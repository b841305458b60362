# SPDX-License-Identifier: GPL-2.0-or-later
# A disk goes from the kernel to us and back, with its metadata: it is taken up without a resync, and only what changed in between is resynced.
needs_drbd9 "its disks have to be converted: move-disk-v08"
[ -n "${PEER_IMAGE:-}" ] || skip "the peer's disk cannot be read here (PEER_IMAGE)"
move() {
	must node_stop here
	must there_down
	swap_disks
	both_up
	must wait_for 60 "both nodes settled after the move" settled
}
moved_between() { # LEAST MOST BEFORE
	local moved=$(($(here_moved) - $3))
	[ $moved -ge "$1" ] && [ $moved -le "$2" ] || fail "$moved KiB travelled, $1 to $2 were expected"
}
world_equal C
must there_promote
must there_write 1 0 50000
must there_demote
must wait_for 60 "both nodes settled" settled
for turn in 1 2; do
	for side in here there; do
		# The disk that the other kind of node had.
		move
		moved_between 0 0 0
		# Written with the peer, then alone: the peer gets what it missed.
		must on $side promote
		must on $side write $((turn + 10)) 1000 500
		must on $side disconnect
		must wait_for 30 "the disconnect here" not connected
		must on $side write $((turn + 20)) 20000 100
		before=$(here_moved)
		must on $side connect
		must wait_for 60 "both nodes settled after the resync" settled
		moved_between 100 1000 "$before"
		# Alone again; the marks are honoured by the one that gets the disk.
		must on $side disconnect
		must wait_for 30 "the disconnect here" not connected
		must on $side write $((turn + 30)) 30000 100
		must on $side demote
		move
		moved_between 100 1000 0
	done
done
finish_equal
