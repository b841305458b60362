# SPDX-License-Identifier: GPL-2.0-or-later
# Our daemon is killed: as Secondary under the peer's writes, as Primary in its own, in a resync in both directions.
DISK_HERE='c-plan-ahead = 0; resync-rate = "6M"; c-max-rate = "6M";'
DISK_THERE='c-plan-ahead 0; resync-rate 6M; c-max-rate 6M; c-min-rate 6M;'
world_equal C
must there_promote
must there_load_start
must wait_for 60 "writes" there_load_did 4
must node_kill here
must wait_for 60 "the loss there" not there_conn_is Connected
must there_load_stop
must there_write 5 3000 200
must node_start here
must wait_for 90 "both nodes settled" settled
must there_demote
for round in 1 2; do
	must here_promote
	must here_load_start
	must wait_for 60 "writes" here_load_did 30
	must node_kill here
	must here_load_stop
	if [ $round = 2 ]; then
		must wait_for 60 "the peer to take over" there_promote
		must there_write 6 7000 100
		must there_demote
	fi
	must node_start here
	must wait_for 90 "both nodes settled (round $round)" settled
done
for source in here there; do
	must on $source promote
	must on $source disconnect
	must on $source write 11 2000 16000
	must on $source connect
	must wait_for 30 "the resync" $([ $source = here ] && echo here_repl_is SyncSource || echo here_repl_is SyncTarget)
	must wait_for 30 "some of it" eval '[ "$(here_peer ".peer_devices[0].\"out-of-sync\"")" -lt 12000 ]'
	must node_kill here
	must wait_for 60 "the loss there" not there_conn_is Connected
	must node_start here
	must wait_for 90 "both nodes settled" settled
	[ $source = here ] || must there_demote
done
finish_equal no-model
