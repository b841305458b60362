# SPDX-License-Identifier: GPL-2.0-or-later
# The link is cut while either Primary writes; it writes on alone, and after the link is back the other one follows.
world_equal C
for primary in here there; do
	must on $primary promote
	must on $primary load_start
	must wait_for 60 "writes" ${primary}_load_did 6
	must cut_link
	must wait_for 60 "the loss here" here_conn_is Connecting
	must wait_for 60 "the loss there" not there_conn_is Connected
	must on $primary load_stop
	must on $primary write 5 3000 200
	must heal_link
	must wait_for 90 "both nodes settled" settled
	must on $primary write 6 4000 200
	must on $primary demote
done
finish_equal no-model
