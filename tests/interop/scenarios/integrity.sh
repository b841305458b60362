# SPDX-License-Identifier: GPL-2.0-or-later
# data-integrity-alg: writes from either side, a full sync, discards and zeroes; then two algorithms that differ.
for alg in crc32c sha1; do
	NET_HERE="data-integrity-alg = \"$alg\";"
	NET_THERE="data-integrity-alg $alg;"
	world_new C
	both_up
	must wait_for 60 "the connection" connected
	must adm primary --force r0
	model_new
	must there_write 1 0 500
	must wait_for 120 "both nodes settled" settled
	for side in there here; do
		must on $side promote
		must on $side write 2 1000 500
		if [ $side = here ]; then
			must fallocate -p -o $((512 * 1024)) -l $((1024 * 1024)) "$(here_file)"
			must fallocate -z -o $((3 * 1024 * 1024)) -l 65536 "$(here_file)"
		else
			must there "blkdiscard -o $((512 * 1024)) -l $((1024 * 1024)) $THERE_DEV"
			must there "blkdiscard -z -o $((3 * 1024 * 1024)) -l 65536 $THERE_DEV"
		fi
		zero_model 512 1024
		zero_model 3072 64
		must on $side write 3 700 100
		must on $side demote
	done
	must wait_for 30 "both nodes settled" settled
	finish_equal
done
NET_THERE='data-integrity-alg md5;'
world_new C
both_up
must wait_for 60 "StandAlone here" here_conn_is StandAlone
must wait_for 60 "StandAlone there" there_conn_is StandAlone
