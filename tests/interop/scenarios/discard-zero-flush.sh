# SPDX-License-Identifier: GPL-2.0-or-later
# Discards, zeroes and flushes from either Primary have the same effect on both disks.
world_equal C
for side in here there; do
	must on $side promote
	must on $side write 1 0 8192
	if [ $side = here ]; then
		must fallocate -p -o $((512 * 1024)) -l $((1024 * 1024)) "$(here_file)"
		must fallocate -z -o $((3 * 1024 * 1024)) -l $((65536 + 4096)) "$(here_file)"
		must dd if=/dev/zero of="$(here_file)" bs=4k count=1 conv=notrunc,nocreat,fdatasync status=none
	else
		must there "blkdiscard -o $((512 * 1024)) -l $((1024 * 1024)) $THERE_DEV"
		must there "blkdiscard -z -o $((3 * 1024 * 1024)) -l $((65536 + 4096)) $THERE_DEV"
		must there "dd if=/dev/zero of=$THERE_DEV bs=4k count=1 conv=notrunc,nocreat,fdatasync status=none"
	fi
	zero_model 512 1024
	zero_model 3072 68
	zero_model 0 4
	must on $side write 2 1000 16
	must on $side demote
	must wait_for 30 "both nodes settled" settled
	finish_equal
	must node_start here
	must there_up
	must wait_for 60 "both nodes settled" settled
done
finish_equal
