#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The daemon goes to the background only when it is ready; failures reach the shell; SIGTERM, unmounting and shutdown end it.
. "$(dirname "$0")/functions.sh"
need jq

cluster_new "$WORK" 16M alpha beta
must cluster_create_md >/dev/null
sock=$WORK/alpha/control.sock mnt=$WORK/alpha/mnt
mount_alpha() { "$B/drbdfs" mount -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$sock" "$@" "$mnt" </dev/null; }
# Who listens on the socket.
pid_of() {
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$B/drbdfs" ] && tr '\0' ' ' <"$p/cmdline" | grep -q " $sock " && echo "${p#/proc/}"
	done
}
is_mounted() { grep -q " $mnt fuse.drbdfs " /proc/mounts; }
on_exit 'for p in $(pid_of); do kill -KILL "$p"; done; ! is_mounted || fusermount3 -uz "$mnt"'
ended() { # PID: gone, nothing left
	must wait_for 60 "the daemon to end" not kill -0 "$1"
	! is_mounted || fail "still mounted"
	[ ! -e "$sock" ] || fail "the socket is still there"
}

# Nothing is inherited that would keep the shell's pipe open, and when the command returns everything works at once.
for end in sigterm unmount shutdown; do
	out=$(mount_alpha 2>&1) || fail "mount: exit $? $out"
	[ -f "$mnt/r0" ] || fail "no file although the command returned"
	[ -S "$sock" ] || fail "no socket although the command returned"
	[ "$(ctl alpha role r0)" = Secondary ] || fail "does not answer although the command returned"
	[ "$(stat -c %s "$mnt/r0")" -ge 0 ] || fail "stat"
	pid=$(pid_of)
	[ -n "$pid" ] || fail "no daemon"
	[ "$(cut -d ' ' -f 6 "/proc/$pid/stat")" = "$pid" ] || fail "the daemon is not in a session of its own"
	case $end in
	sigterm) kill -TERM "$pid" ;;
	unmount) must fusermount3 -u "$mnt" ;;
	shutdown) must ctl alpha shutdown ;;
	esac
	ended "$pid"
done

# A log file, moved away and opened again; the daemon goes on.
cp "$CLUSTER_DIR/drbdfs.conf" "$WORK/no-log.conf"
sed -i "s|^version = 1;|version = 1; node = { log = \"$WORK/alpha.log\"; };|" "$CLUSTER_DIR/drbdfs.conf"
must mount_alpha
pid=$(pid_of)
grep -q 'r0/0: disk' "$WORK/alpha.log" || fail "nothing in the log file"
mv "$WORK/alpha.log" "$WORK/alpha.log.1"
kill -HUP "$pid"
must wait_for 30 "the log to be opened again" test -s "$WORK/alpha.log"
[ "$(ctl alpha role r0)" = Secondary ] || fail "does not answer after SIGHUP"
must ctl alpha adjust r0
# New certificates, too; what is unusable is told, and the one before stays.
sed -i 's/common = {/&  tls = { };/; s/net = {/& tls = true;/' "$CLUSTER_DIR/drbdfs.conf"
must_fail 10 ctl alpha adjust r0
said "certificate $CLUSTER_DIR/tls/alpha.pem: No such file"
must ctl alpha tls init
must ctl alpha tls issue all
must ctl alpha adjust r0
kill -HUP "$pid"
must wait_for 30 "the certificate to be read again" grep -q 'the certificate was read again' "$WORK/alpha.log"
cp "$CLUSTER_DIR/tls/alpha.pem" "$WORK/alpha.pem"
echo nonsense >"$CLUSTER_DIR/tls/alpha.pem"
kill -HUP "$pid"
must wait_for 30 "the bad certificate to be told" grep -q 'alpha.pem: .*; the certificate read before stays in use' "$WORK/alpha.log"
cp "$WORK/alpha.pem" "$CLUSTER_DIR/tls/alpha.pem"
kill -HUP "$pid"
must ctl alpha shutdown
ended "$pid"
tail -n 1 "$WORK/alpha.log" | grep -q 'disk Detaching' || { cat "$WORK/alpha.log"; fail "the new log file is not the one in use"; }
cp "$WORK/no-log.conf" "$CLUSTER_DIR/drbdfs.conf"

# A shell without standard descriptors: what the daemon opens must not take their place.
(exec 0<&- 1>&- 2>&-; "$B/drbdfs" mount -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$sock" "$mnt") || fail "mount without descriptors: exit $?"
[ "$(ctl alpha role r0)" = Secondary ] || fail "does not answer when started without descriptors"
pid=$(pid_of)
must ctl alpha shutdown
ended "$pid"

# Failures: in the background as in the foreground.
for f in "" -f; do
	mkdir "$mnt/occupied"
	must_fail 10 mount_alpha $f
	said "mountpoint $mnt: not empty"
	rmdir "$mnt/occupied"

	: >"$sock"
	must_fail 10 mount_alpha $f
	said "control socket $sock: there is something else than a socket"
	rm "$sock"

	# Before a disk is touched.
	for o in no_such_option max_read=65536 blkdev blksize=4096 subtype=other; do
		must_fail 10 mount_alpha $f -o allow_other,$o
		said "^drbdfs: -o .*$o"
		! grep -q 'Attaching' "$WORK/out" || fail "found late: -o $o"
	done
	! is_mounted || fail "mounted"
	must wait_for 60 "the daemon to end" eval '[ -z "$(pid_of)" ]'
	[ ! -e "$sock" ] || fail "a socket is left"
done

# A store without metadata: the resource is there, diskless, and the shell gets told.
mv "$(node_disk alpha)" "$WORK/kept"
truncate -s 16M "$(node_disk alpha)"
must run mount_alpha
said 'r0: .*create-md'
[ "$(ctl alpha dstate r0)" = Diskless/DUnknown ] || fail "dstate $(ctl alpha dstate r0)"
must run ctl alpha status
said 'r0: BLOCKED'
must_fail 10 mount_alpha
said 'is mounted there'
pid=$(pid_of)
mv "$WORK/kept" "$(node_disk alpha)"
must ctl alpha attach r0
kill -TERM "$pid"
ended "$pid"
