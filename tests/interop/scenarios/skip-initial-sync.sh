# SPDX-License-Identifier: GPL-2.0-or-later
# Two fresh nodes connect and are declared equal, once by each; then either writes as Primary.
for origin in here there; do
	world_equal C $origin
	for side in here there; do
		must on $side promote
		must on $side write $((100 + RANDOM % 100)) 0 64
		must on $side write 7 5000 1000
		must on $side demote
		must wait_for 30 "both nodes settled" settled
	done
	finish_equal
done
