# SPDX-License-Identifier: GPL-2.0-or-later
# A bitmap resync with many requests in flight, and the Primary's writes among them: none is undone by a reply that was read before it.
DISK_HERE='c-plan-ahead = 0; resync-rate = "30M";'
DISK_THERE='c-plan-ahead 0; resync-rate 30M; c-min-rate 0;'
LOAD_BLOCKS=12000
world_equal C
for source in here there; do
	[ $source = here ] && kib=50000 || kib=16000 # an emulated peer writes slowly
	must on $source promote
	must on "$(other $source)" disconnect
	must wait_for 30 "the disconnect here" not connected
	must on $source write 3 0 $kib
	must on $source load_start
	must on "$(other $source)" connect
	must wait_for 60 "the end of the resync" established
	must on $source load_stop
	must on $source demote
	must wait_for 30 "both nodes settled" settled
	finish_equal no-model
	must node_start here
	must there_up
	must wait_for 60 "both nodes settled" settled
done
finish_equal no-model
