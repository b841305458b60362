# SPDX-License-Identifier: GPL-2.0-or-later
# Roles change in both directions, right after writes, too; a second Primary is refused on either side, also under writes.
LOAD_BLOCKS=32
world_equal C
for round in 1 2; do
	for side in here there; do
		peer=$(other $side)
		must on $side promote
		if [ $round = 2 ]; then must on $side load_start && must load_goes_on $side 3; fi
		! on $peer promote >/dev/null 2>&1 || fail "two Primaries"
		must on $side write "$round" $((round * 1000)) 100
		if [ $round = 2 ]; then must load_goes_on $side 3 && must on $side load_stop; fi
		must on $side demote
	done
done
must here_promote
must here_write 3 0 192 # over what the load has written
must here_demote
must wait_for 30 "both nodes settled" settled
finish_equal
