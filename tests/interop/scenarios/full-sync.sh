# SPDX-License-Identifier: GPL-2.0-or-later
# A forced Primary on fresh disks fills the other one, once from each side; writes go on during the second half.
for source in here there; do
	world_new C
	both_up
	must wait_for 60 "the connection" connected
	if [ $source = here ]; then must ctl here primary r0 --force; else must adm primary --force r0; fi
	model_new
	must on $source write 1 0 4000
	must on $source write 2 30000 500
	must wait_for 120 "both nodes settled" settled
	must on $source write 3 200 64
	must on $source demote
	# What was there before the first write is whatever the source's disk held: zeroes.
	finish_equal
done
