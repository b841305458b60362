# SPDX-License-Identifier: GPL-2.0-or-later
# Either node has no disk: it is Primary and writes to the other one's, reads what that one has written, and waits while the link is cut.
NODES="here there"
. tests/interop/several.sh
OPTIONS_HERE='on-no-data-accessible = "suspend-io";'
OPTIONS_THERE='on-no-data-accessible suspend-io;'
# The first 8 MiB, all that is written to.
here_reads() { cmp -n 8388608 "$(here_file)" "$WORK/model"; }
there_reads() { [ "$(there "dd if=$THERE_DEV bs=64k count=128 iflag=direct status=none | sha256sum")" = "$(head -c 8388608 "$WORK/model" | sha256sum)" ]; }
# 4 KiB that are not answered before the link is back.
here_write_waits() { head -c 4096 /dev/urandom >"$WORK/late" && (dd if="$WORK/late" of="$(here_file)" bs=4k seek=1000 oflag=direct conv=notrunc,nocreat status=none && echo >"$WORK/late.done") & }
there_write_waits() {
	head -c 4096 /dev/urandom >"$WORK/late"
	there_put "$WORK/late" /tmp/drbdfs-late
	must there "rm -f /tmp/drbdfs-late.done; (dd if=/tmp/drbdfs-late of=$THERE_DEV bs=4k seek=1000 oflag=direct conv=notrunc,nocreat status=none && touch /tmp/drbdfs-late.done) </dev/null >/dev/null 2>&1 &"
}
here_late_is_done() { [ -e "$WORK/late.done" ]; }
there_late_is_done() { there "[ -e /tmp/drbdfs-late.done ]"; }
for client in here there; do
	server=$(other $client)
	DISKLESS=$client
	several_equal
	several_model here
	must on $client promote
	for i in 1 2 3; do must on $client write $i $((i * 1000)) 400; done
	must on $client reads
	must on $client demote
	must on $server promote
	must on $server write 4 1200 300
	must on $server demote
	must on $client promote
	must on $client reads
	if [ -n "${LINK_CUT:-}" ]; then
		must cut_link
		must wait_for 60 "the loss here" here_conn_is Connecting
		must wait_for 60 "the loss there" not there_conn_is Connected
		rm -f "$WORK/late.done"
		on $client write_waits
		pause 2
		not on $client late_is_done || fail "a write was answered without any disk"
		must heal_link
		must wait_for 90 "the write to be answered" on $client late_is_done
		dd if="$WORK/late" of="$WORK/model" bs=4k seek=1000 conv=notrunc status=none
		must on $client write 5 5000 100
		must on $client reads
	fi
	must on $client demote
	must wait_for 60 "both nodes settled" several_settled
	several_finish
done
