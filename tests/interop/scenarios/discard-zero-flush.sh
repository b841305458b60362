# SPDX-License-Identifier: GPL-2.0-or-later
# Discards, zeroes and flushes from either Primary have the same effect on both disks, also on one that was not connected meanwhile.
here_discard() { fallocate -p -o $(($1 * 1024)) -l $(($2 * 1024)) "$(here_file)" && zero_model "$@"; } # OFFSET_KIB KIB
there_discard() { there "blkdiscard -o $(($1 * 1024)) -l $(($2 * 1024)) $THERE_DEV" && zero_model "$@"; }
here_zero() { fallocate -z -o $(($1 * 1024)) -l $(($2 * 1024)) "$(here_file)" && zero_model "$@"; }
there_zero() { there "blkdiscard -z -o $(($1 * 1024)) -l $(($2 * 1024)) $THERE_DEV" && zero_model "$@"; }
here_flush() { dd if=/dev/zero of="$(here_file)" bs=4k count=1 conv=notrunc,nocreat,fdatasync status=none && zero_model 0 4; }
there_flush() { there "dd if=/dev/zero of=$THERE_DEV bs=4k count=1 conv=notrunc,nocreat,fdatasync status=none" && zero_model 0 4; }
world_equal C
for side in here there; do
	must on $side promote
	must on $side write 1 0 8192
	must on $side discard 512 1024
	must on $side zero 3072 68
	must on $side flush
	must on $side write 2 1000 16
	must on $side disconnect
	must wait_for 30 "the disconnect here" not connected
	must on $side discard 5000 1024
	must on $side zero 6200 68
	must on $side write 3 5500 16
	must on $side connect
	must wait_for 60 "the end of the resync" settled
	must on $side discard 7000 500
	must on $side demote
	must wait_for 30 "both nodes settled" settled
	finish_equal
	must node_start here
	must there_up
	must wait_for 60 "both nodes settled" settled
done
finish_equal
