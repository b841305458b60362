# SPDX-License-Identifier: GPL-2.0-or-later
# With protocols A and B the source is Primary and writes in bursts: its target lets no write into what it waits for, and yet gets all, without losing the connection.
DISK_HERE='c-plan-ahead = 0; resync-rate = "4M"; c-max-rate = "4M"; c-min-rate = 0;'
DISK_THERE='c-plan-ahead 0; resync-rate 4M; c-max-rate 4M; c-min-rate 0;'
# With fsync: a peer that cannot follow would fall behind until ko-count ends the connection.
here_burst() { head -c 65536 /dev/urandom | dd of="$(here_file)" bs=4k iflag=fullblock oflag=seek_bytes,direct seek=$(($1 * 1048576)) conv=notrunc,nocreat,fsync status=none; } # MIB
there_burst() { there "dd if=/dev/urandom of=$THERE_DEV bs=4k count=16 iflag=fullblock oflag=direct seek=$(($1 * 256)) conv=notrunc,nocreat,fsync status=none"; } # MIB
for protocol in A B; do
	world_equal $protocol
	for source in here there; do
		if [ $source = here ]; then kib=20000 least=3; else kib=6000 least=1; fi # an emulated peer writes slowly
		must on $source promote
		must on $source disconnect
		must wait_for 30 "the disconnect here" not connected
		must on $source write 11 2000 $kib
		lost=$(grep -c 'connection Connected ->' "$WORK/here/log")
		must on $source connect
		must wait_for 30 "the resync from $source" $([ $source = here ] && echo here_repl_is SyncSource || echo here_repl_is SyncTarget)
		bursts=0
		while ! here_repl_is Established; do
			must on $source burst $((bursts % 40))
			[ "$(grep -c 'connection Connected ->' "$WORK/here/log")" = "$lost" ] || fail "the connection was lost under writes"
			bursts=$((bursts + 1))
			pause 0.2 # the kernel's resync steps aside for what is written to
			[ $bursts -lt 600 ] || fail "the resync from $source does not end under writes"
		done
		[ $bursts -ge $least ] || fail "the resync from $source was over after $bursts bursts"
		must wait_for 60 "both nodes settled" settled
		must on $source demote
	done
	finish_equal no-model
done
