# SPDX-License-Identifier: GPL-2.0-or-later
# The link is cut again and again while either Primary writes; it writes on alone, and after the link is back the other one follows.
DISK_HERE='c-plan-ahead = 0; resync-rate = "60M";'
DISK_THERE='c-plan-ahead 0; resync-rate 60M;'
LOAD_BLOCKS=1000
cuts="1 2"
[[ $THERE_VERSION != 8.* ]] || cuts=2 # a loss and a return of DRBD 8.4 take long
world_equal C
for primary in here there; do
	must on $primary promote
	must on $primary load_start
	must load_goes_on $primary 6
	for cut in $cuts; do
		must cut_link
		must wait_for 60 "the loss here" here_conn_is Connecting
		must wait_for 60 "the loss there" not there_conn_is Connected
		must load_goes_on $primary 3
		if [ $cut = 2 ]; then must on $primary load_stop && must on $primary write 5 3000 200; fi
		must heal_link
		must wait_for 90 "the end of the resync under writes" established
	done
	must wait_for 90 "both nodes settled" settled
	must on $primary write 6 4000 200
	must on $primary demote
done
finish_equal no-model
