# SPDX-License-Identifier: GPL-2.0-or-later
# Online verify from either node finds what a disk has changed behind its node's back, under writes; resyncs by checksum send only what differs.
needs_drbd9 "what was found is not resynced by command"
NET_HERE='verify-alg = "crc32c"; csums-alg = "sha1";'
NET_THERE='verify-alg crc32c; csums-alg sha1;'
DISK_THERE='c-min-rate 0;' # not slower because somebody writes
LOAD_BLOCKS=4000
# Without RESYNC_DAGTAG a DRBD kernel skips the whole 128 MiB around a write.
writes=y
[[ $THERE_VERSION != 9.1.* ]] || writes=
here_spoil() { head -c 8192 /dev/urandom | dd of="$WORK/here/disk.img" bs=4k seek=$(($1 / 4)) oflag=direct conv=notrunc status=none; } # OFFSET_KIB
there_spoil() { there "head -c 8192 /dev/urandom >/tmp/drbdfs-spoil; dd if=/tmp/drbdfs-spoil of=$PEER_DISK bs=4k seek=$(($1 / 4)) oflag=direct conv=notrunc,nocreat status=none"; }
here_verify() { ctl here verify r0; }
there_verify() { adm verify r0; }
here_invalidate() { ctl here invalidate r0/0 --reset-bitmap=no; }
there_invalidate() { adm invalidate --reset-bitmap=no r0; }
marked() { # KIB
	here_repl_is Established && there_repl_is Established &&
		[ "$(here_peer '.peer_devices[0]."out-of-sync"')" = "$1" ] &&
		[ "$(there_field '.connections[0].peer_devices[0]."out-of-sync"')" = "$1" ]
}
world_equal C
must here_promote
must here_write 1 0 60000
must here_demote
for checker in here there; do
	for bad in here there; do
		must on $bad spoil 40000
		must here_promote
		[ -z "$writes" ] || must here_load_start
		[ -z "$writes" ] || must wait_for 60 "writes" here_load_did 3
		must on $checker verify
		must wait_for 120 "the end of the verify by $checker" marked 8
		[ -z "$writes" ] || must here_load_stop
		must here_demote
		before=$(here_moved)
		must on $bad invalidate
		must wait_for 60 "both nodes settled" settled
		moved=$(($(here_moved) - before))
		[ $moved -le 8 ] || fail "$moved KiB travelled for 8"
	done
done
finish_equal no-model
cp "$WORK/here/disk.img" "$WORK/model"
both_up
must wait_for 60 "both nodes settled" settled
for source in here there; do
	must on $source promote
	must on $source write 1 20000 8000
	must on $source disconnect
	must wait_for 30 "the disconnect here" not connected
	must on $source write 1 20000 8000
	must on $source write 2 30000 100
	before=$(here_moved)
	must on $source connect
	must wait_for 60 "both nodes settled" settled
	moved=$(($(here_moved) - before))
	[ $moved -le 1000 ] || fail "$moved KiB travelled for 100 that differ"
	must on $source demote
done
finish_equal
