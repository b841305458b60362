# SPDX-License-Identifier: GPL-2.0-or-later
# Roles change in both directions; a second Primary is refused on either side.
world_equal C
for round in 1 2; do
	for side in here there; do
		peer=$(other $side)
		must on $side promote
		! on $peer promote >/dev/null 2>&1 || fail "two Primaries"
		must on $side write "$round" $((round * 100)) 100
		must on $side demote
	done
done
must wait_for 30 "both nodes settled" settled
finish_equal
