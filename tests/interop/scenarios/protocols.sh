# SPDX-License-Identifier: GPL-2.0-or-later
# Writes of a Primary on either side with protocols A, B and C: all of them are on both disks.
for protocol in A B C; do
	world_equal $protocol
	for side in here there; do
		must on $side promote
		for i in 1 2 3 4; do must on $side write "$i" $((i * 300)) $((i * i * 16)); done
		must on $side load_start
		must wait_for 60 "writes" ${side}_load_did 6
		must on $side load_stop
		must on $side write 9 1000 512
		must on $side demote
		must wait_for 30 "both nodes settled" settled
	done
	finish_equal no-model
done
