# SPDX-License-Identifier: GPL-2.0-or-later
# The volume grows and shrinks by command on either node; both have the size at once, what was there stays, and what is new is replicated.
needs_drbd9 "no agreement on the size"
SIZE=24M
here_resize() { ctl here resize r0/0 ${1:+--size $1}; } # [SIZE]
there_resize() { there "drbdadm -c $THERE_CONF ${1:+-- --size=$1} resize r0"; } # [SIZE]
here_kib() { echo $(($(stat -c %s "$(here_file)") / 1024)); }
there_kib() { echo $(($(there "cat /sys/block/${THERE_DEV##*/}/size") / 2)); }
sizes_are() { local h t; h=$(here_kib) t=$(there_kib); [ "$h" = "$t" ] && [ "$h" -ge "$1" ] && [ "$h" -le "$2" ]; } # AT_LEAST AT_MOST
world_equal C
must sizes_are 24000 24576
must here_promote
must here_write 1 0 8000
must here_demote
at=24576
for side in here there; do
	at=$((at + 16384))
	must truncate -s ${at}K "$WORK/here/disk.img"
	must on $side resize
	must wait_for 60 "the larger size by $side" sizes_are $((at - 600)) $at
	must wait_for 120 "both nodes settled" settled
	truncate -s "$(stat -c %s "$(here_file)")" "$WORK/model"
	for writer in here there; do
		must on $writer promote
		must on $writer write 2 $((at - 4000)) 500
		must on $writer demote
	done
done
for side in here there; do
	at=$((at - 16384))
	must on $side resize ${at}K
	must wait_for 60 "the smaller size by $side" sizes_are $at $at
	truncate -s ${at}K "$WORK/model"
	must wait_for 60 "both nodes settled" settled
	# Not only until the next handshake.
	must on $side disconnect
	must wait_for 30 "the disconnect here" not connected
	must on $side connect
	must wait_for 60 "both nodes settled" settled
	must sizes_are $at $at
	must there_promote
	must there_write 3 $((at - 1000)) 900
	must there_demote
done
finish_equal
