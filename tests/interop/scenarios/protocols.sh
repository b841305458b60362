# SPDX-License-Identifier: GPL-2.0-or-later
# Writes of a Primary on either side with protocols A, B and C, some while either end disconnects and connects again: all of them are on both disks.
DISK_HERE='c-plan-ahead = 0; resync-rate = "60M";'
DISK_THERE='c-plan-ahead 0; resync-rate 60M;'
LOAD_BLOCKS=1000
for protocol in A B C; do
	world_equal $protocol
	for side in here there; do
		case $protocol in A) ends=$side ;; B) ends=$(other $side) ;; C) ends= ;; esac # C: resync-load
		must on $side promote
		for i in 1 2 3 4; do must on $side write "$i" $((i * 300)) $((i * i * 16)); done
		must on $side load_start
		must load_goes_on $side 6
		for end in $ends; do
			must on $end disconnect
			must wait_for 30 "the disconnect here" not connected
			must load_goes_on $side 3
			must on $end connect
			must wait_for 60 "the end of the resync after the disconnect from $end" established
		done
		must load_goes_on $side 3
		must on $side load_stop
		must on $side write 9 1000 512
		must on $side demote
		must wait_for 30 "both nodes settled" settled
	done
	finish_equal no-model
done
