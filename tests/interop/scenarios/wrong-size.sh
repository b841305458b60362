# SPDX-License-Identifier: GPL-2.0-or-later
# A disk that the data of the other node do not fit on is refused on both nodes, and nothing of them is cut off.
for small in here there; do
	world_equal C
	must here_promote
	must here_write 1 60000 100
	must here_demote
	finish_equal
	big=$(data_bytes here)
	if [ $small = here ]; then
		truncate -s 0 "$WORK/here/disk.img"
		truncate -s $(($(stat -c %s "$WORK/model") / 2)) "$WORK/here/disk.img"
		must ctl here create-md r0 --max-peers 3
	else
		DISK_THERE='size 32M;' conf_there
		must there_create_md
	fi
	both_up
	must wait_for 60 "StandAlone of the one with the data" "$(other $small)_conn_is" StandAlone
	# DRBD 8.4 is not told, and goes on trying.
	if [[ $THERE_VERSION != 8.* ]]; then must wait_for 60 "StandAlone of the other one" ${small}_conn_is StandAlone; fi
	must node_stop here
	must there_down
	if [ $small = there ]; then
		[ "$(data_bytes here)" = "$big" ] || fail "the volume here has $(data_bytes here) bytes now"
		cmp -n "$big" "$WORK/model" "$WORK/here/disk.img" || fail "the data here are not what was written"
	else
		[ "$(there_sum "$big")" = "$(head -c "$big" "$WORK/model" | sha256sum | cut -d' ' -f1)" ] || fail "the data there are not what was written"
	fi
done
