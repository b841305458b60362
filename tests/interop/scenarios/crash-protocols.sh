# SPDX-License-Identifier: GPL-2.0-or-later
# With protocols A and B either node is lost, as Secondary under the other one's writes and as Primary in its own; with A the survivor of a Primary takes over.
[ -n "${PEER_CRASH:-}" ] || skip "no way to crash the peer (PEER_CRASH)"
DISK_HERE='c-plan-ahead = 0; resync-rate = "60M";'
DISK_THERE='c-plan-ahead 0; resync-rate 60M;'
LOAD_BLOCKS=1000
here_lose() { node_kill here && wait_for 60 "the loss there" not there_conn_is Connected; }
there_lose() { there_crash && wait_for 60 "the loss here" not connected; }
here_return() { node_start here; }
there_return() { there_up; }
for protocol in A B; do
	world_equal $protocol
	for primary in here there; do
		for lost in here there; do
			must on $primary promote
			must on $primary load_start
			must load_goes_on $primary 10
			must on $lost lose
			if [ $lost != $primary ]; then
				must load_goes_on $primary 3
				must on $primary load_stop
			elif [ $protocol = A ]; then
				must wait_for 60 "the survivor to take over" on "$(other $lost)" promote
				must on "$(other $lost)" write 5 3000 100
				must on "$(other $lost)" demote
			fi
			[ "$lost$primary" != herehere ] || must here_load_stop
			must on $lost return
			must wait_for 90 "both nodes settled after $lost was lost" settled
			[ $lost = $primary ] || must on $primary demote
		done
	done
	finish_equal no-model
done
