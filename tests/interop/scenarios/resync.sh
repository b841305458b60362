# SPDX-License-Identifier: GPL-2.0-or-later
# Either Primary writes alone after a disconnect from either end; the other one gets those blocks and no more.
world_equal C
n=0
for primary in here there; do
	must on $primary promote
	for end in here there; do
		n=$((n + 1))
		must on $primary write $((n + 40)) 1000 100
		must on $end disconnect
		must wait_for 30 "the disconnect here" not connected
		must on $primary write $((n + 10)) $((n * 1000)) 300
		must on $primary write $((n + 20)) $((n * 9000)) 64
		before=$(($(here_received) + $(here_sent)))
		must on $end connect
		must wait_for 60 "both nodes settled" settled
		moved=$(($(here_received) + $(here_sent) - before))
		[ $moved -lt 2000 ] || fail "$moved KiB travelled for 364"
		must on $primary write $((n + 30)) $((n * 1000 + 100)) 300
	done
	must on $primary demote
done
finish_equal
