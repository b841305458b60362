# SPDX-License-Identifier: GPL-2.0-or-later
# The peer machine is lost: as Secondary under our writes, as Primary in its own, in a resync in both directions.
DISK_HERE='c-plan-ahead = 0; resync-rate = "6M"; c-max-rate = "6M";'
DISK_THERE='c-plan-ahead 0; resync-rate 6M; c-max-rate 6M; c-min-rate 6M;'
[ -n "${PEER_CRASH:-}" ] || skip "no way to crash the peer (PEER_CRASH)"
world_equal C
must here_promote
must here_load_start
must wait_for 60 "writes" here_load_did 20
must there_crash
must wait_for 60 "writes go on" here_load_did $(($(wc -l <"$WORK/load.done") + 5))
must here_load_stop
must here_write 5 3000 200
must there_up
must wait_for 90 "both nodes settled" settled
must here_demote
for round in 1 2; do
	must there_promote
	must there_load_start
	must wait_for 60 "writes" there_load_did 5
	must there_crash
	must wait_for 60 "the loss here" not connected
	if [ $round = 2 ]; then
		must wait_for 60 "us to take over" here_promote
		must here_write 6 7000 100
		must here_demote
	fi
	must there_up
	must wait_for 90 "both nodes settled (round $round)" settled
done
for source in here there; do
	must on $source promote
	must on $source disconnect
	must on $source write 11 2000 16000
	must on $source connect
	must wait_for 30 "the resync" $([ $source = here ] && echo here_repl_is SyncSource || echo here_repl_is SyncTarget)
	must wait_for 30 "some of it" eval '[ "$(here_peer ".peer_devices[0].\"out-of-sync\"")" -lt 12000 ]'
	must there_crash
	must wait_for 60 "the loss here" not connected
	must there_up
	must wait_for 90 "both nodes settled" settled
	[ $source = there ] || must here_demote
done
finish_equal no-model
