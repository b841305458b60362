# SPDX-License-Identifier: GPL-2.0-or-later
# The disk of a Primary that crashed goes to the other kind of node: what its activity log covers is resynced, and nothing else.
needs_drbd9 "its disks have to be converted: move-disk-v08"
[ -n "${PEER_IMAGE:-}" ] || skip "the peer's disk cannot be read here (PEER_IMAGE)"
[ -n "${PEER_CRASH:-}" ] || skip "no way to crash the peer (PEER_CRASH)"
LOAD_BLOCKS=2000 # two extents of 4 MiB
world_equal C
must there_promote
must there_write 1 0 50000
must there_demote
must wait_for 60 "both nodes settled" settled
finish_equal
for crashed in there here; do
	for survivor in waits writes; do
		both_up
		must wait_for 60 "both nodes settled" settled
		must on $crashed promote
		must on $crashed load_start
		must wait_for 60 "writes" ${crashed}_load_did 6
		if [ $crashed = there ]; then
			must there_crash
			must wait_for 60 "the loss here" not connected
		else
			must node_kill here
			must here_load_stop
			must wait_for 60 "the loss there" not there_conn_is Connected
		fi
		if [ $survivor = writes ]; then
			must wait_for 60 "the other one to take over" on "$(other $crashed)" promote
			must on "$(other $crashed)" write 2 20000 100
			must on "$(other $crashed)" demote
		fi
		if [ $crashed = there ]; then must node_stop here; else must there_down; fi
		swap_disks
		both_up
		must wait_for 90 "both nodes settled after the move" settled
		moved=$(here_moved)
		[ "$moved" -ge 4096 ] && [ "$moved" -le 9000 ] || fail "$moved KiB travelled after the crash of $crashed, the log covers 8192"
		finish_equal no-model
	done
done
