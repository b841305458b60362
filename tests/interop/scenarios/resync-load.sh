# SPDX-License-Identifier: GPL-2.0-or-later
# Bitmap resyncs that take their time, with the Primary writing on, also while it is disconnected; the Primary is the source, then the target.
DISK_HERE='c-plan-ahead = 0; resync-rate = "4M"; c-max-rate = "4M";'
DISK_THERE='c-plan-ahead 0; resync-rate 4M; c-max-rate 4M; c-min-rate 4M;'
LOAD_BLOCKS=5000
world_equal C
for source in here there; do
	for primary in here there; do
		must on $source promote
		if [ $primary = $source ]; then must on $source load_start && must load_goes_on $source 3; fi
		must on $source disconnect
		must wait_for 30 "the disconnect here" not connected
		must on $source write 11 2000 16000
		if [ $primary != $source ]; then must on $source demote; fi
		must on $source connect
		must wait_for 30 "the resync from $source" $([ $source = here ] && echo here_repl_is SyncSource || echo here_repl_is SyncTarget)
		if [ $primary != $source ]; then
			must wait_for 30 "the target to be Primary" on $primary promote
			must on $primary load_start
		fi
		must load_goes_on $primary 6
		must wait_for 120 "the end of the resync" here_repl_is Established
		must on $primary load_stop
		must wait_for 60 "both nodes settled" settled
		must on $primary demote
	done
done
finish_equal no-model
