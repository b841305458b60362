#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Handlers: when they run, what they are told, what their exit codes do; limits; what is refused in the configuration.
# Time limit: 240 s
. "$(dirname "$0")/functions.sh"
need jq

# One script for all: what it was called with goes to a file of its own; exit.HANDLER.NODE says how it ends, hang.HANDLER makes it stay.
H=$WORK/handler
mkdir "$WORK/calls"
cat >"$H" <<SH
#!/bin/sh
eval self=\\\$DRBD_NODE_ID_\$DRBD_MY_NODE_ID
out=\$(mktemp $WORK/calls/\$1.\$self.XXXXXX)
env | sort >\$out
{ echo "cwd=\$(pwd)"; echo "fds=\$(ls /proc/self/fd | tr '\n' ' ')"; echo end; } >>\$out
echo "this is \$1 on \$self"
[ ! -e $WORK/hang.\$1 ] || sleep 1000
exit \$(cat $WORK/exit.\$1.\$self 2>/dev/null || echo 0)
SH
chmod +x "$H"
calls() { cat "$WORK/calls/$1".* 2>/dev/null | grep -cx end; } # HANDLER[.NODE]
called() { [ "$(calls "$1")" -ge "${2:-1}" ]; }                # HANDLER[.NODE] [TIMES]
told() { grep -Fqx -- "$2" "$WORK/calls/$1".* || { cat "$WORK/calls/$1".*; fail "$1 was not told $2"; }; } # HANDLER.NODE LINE

# What cannot be: each is refused before anything starts, with file and line.
cluster_new "$WORK" 16M alpha beta
cp "$CLUSTER_DIR/drbdfs.conf" "$WORK/plain.conf"
with() { # CONTENTS of the group
	HANDLERS="$1" awk '{ print } /^common = {/ { print "  handlers = { " ENVIRON["HANDLERS"] " };" }' "$WORK/plain.conf" >"$CLUSTER_DIR/drbdfs.conf"
}
must cluster_create_md >/dev/null
refuses() { # GROUP REGEX
	with "$1"
	must_fail 10 "$B/drbdfs" mount -c "$CLUSTER_DIR/drbdfs.conf" -n alpha -s "$WORK/alpha/control.sock" -f "$CLUSTER_DIR/alpha/mnt"
	said "$2"
}
refuses 'outdate-peer = "/bin/true";' 'drbdfs.conf:[0-9]+: common, handlers: outdate-peer is the name that fence-peer had in DRBD 8.3'
refuses 'split-brian = "/bin/true";' "unknown key 'split-brian'; did you mean 'split-brain'"
refuses 'split-brain = "true";' 'does not begin with the absolute path of a program'
refuses "split-brain = \"/bin/cat $CLUSTER_DIR/alpha/mnt/r0\";" 'handler split-brain: .*/alpha/mnt/r0 is in the mount of this daemon'
ln -s "$CLUSTER_DIR/alpha/mnt" "$WORK/link"
refuses "split-brain = \"/bin/sh -c '$WORK/link || exit 1'\";" 'handler split-brain: .*/link is in the mount of this daemon'

group=
for h in initial-split-brain split-brain before-resync-target before-resync-source after-resync-target pri-on-incon-degr local-io-error out-of-sync \
	quorum-lost disconnected; do
	group="$group $h = \"$H $h\";"
done
with "$group"
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "both nodes settled" cluster_settled

# A connection ends, a resync begins and ends.
must ctl beta disconnect r0 --force
must wait_for 30 "disconnected on alpha" called disconnected.alpha
told disconnected.alpha DRBD_RESOURCE=r0
told disconnected.alpha DRBD_PEER_NODE_ID=1
told disconnected.alpha DRBD_PEER=beta
told disconnected.alpha DRBD_NODE_ID_0=alpha
told disconnected.alpha DRBD_MY_NODE_ID=0
told disconnected.alpha DRBD_PEER_ADDRESS=127.0.0.1
told disconnected.alpha DRBD_PEER_AF=ipv4
told disconnected.alpha DRBD_VOLUME=0
told disconnected.alpha "DRBD_LL_DISK=$(node_disk alpha)"
told disconnected.alpha "DRBD_BACKING_DEV_0=$(node_disk alpha)"
told disconnected.alpha "DRBD_CONF=$(realpath "$CLUSTER_DIR/drbdfs.conf")"
told disconnected.alpha PATH=/sbin:/usr/sbin:/bin:/usr/bin
told disconnected.alpha cwd=/
grep -Eqx 'DRBD_CSTATE=(NetworkFailure|TearDown)' "$WORK"/calls/disconnected.alpha.* || fail "disconnected was not told the state of the connection"
grep -Eqx 'fds=0 1 2 3 ' "$WORK"/calls/disconnected.alpha.* || fail "disconnected has more open than it should: $(grep -h fds= "$WORK"/calls/disconnected.alpha.*)"
! grep -q '^HOME=/root' "$WORK"/calls/* || fail "a handler has the environment of the daemon"
must wait_for 30 "the output of a handler in the log" grep -q 'r0: handler disconnected: this is disconnected on alpha' "$CLUSTER_DIR/alpha/log"
put_random alpha 0 4096
must wait_for 30 "alpha to demote" role_is alpha Secondary
touch "$WORK/hang.before-resync-target"
must ctl beta connect r0
must wait_for 30 "the handler of the target" called before-resync-target.beta
told before-resync-target.beta DRBD_VOLUME=0
told before-resync-target.beta DRBD_PEER=alpha
told before-resync-target.beta "DRBD_BACKING_DEV=$(node_disk beta)"
told before-resync-target.beta DRBD_VOLUMES=0
must called before-resync-source.alpha
repl_is beta alpha WFBitMapT || fail "the resync does not wait for the handler"
must run ctl beta why r0
said 'handler' 'before-resync-target'

# It is killed, with what it has begun, when its time is over; then the resync is refused.
rm "$WORK/hang.before-resync-target"
sed -i 's/options = {/options = { handler-timeout = 1;/' "$CLUSTER_DIR/drbdfs.conf"
touch "$WORK/hang.before-resync-source"
for n in alpha beta; do must ctl "$n" adjust r0; done
must ctl beta disconnect r0 --force
must ctl beta connect r0
must wait_for 30 "the handler to be killed" grep -q 'handler before-resync-source has not ended for 1 s (handler-timeout): it is killed' "$CLUSTER_DIR/alpha/log"
must wait_for 30 "the resync to be refused" conn_is alpha beta StandAlone
[ "$(peer_field alpha beta .reason)" = "volume 0: the handler before-resync-source refused the resync (did not run to its end)" ] || fail "reason: $(peer_field alpha beta .reason)"
must run ctl alpha why r0
said 'handler before-resync-source refused' 'to do on alpha: drbdctl connect r0:beta'
rm "$WORK/hang.before-resync-source"
none_left() { ! pgrep -f "$H before-resync-source" >/dev/null; }
must wait_for 30 "what the handler had begun to be gone" none_left

# Refused by the exit code; then agreed.
echo 1 >"$WORK/exit.before-resync-target.beta"
must ctl alpha connect r0
must ctl beta connect r0
must wait_for 30 "the resync to be refused" conn_is beta alpha StandAlone
[ "$(peer_field beta alpha .reason)" = "volume 0: the handler before-resync-target refused the resync (exit code 1)" ] || fail "reason: $(peer_field beta alpha .reason)"
rm "$WORK/exit.before-resync-target.beta"
must ctl alpha connect r0
must ctl beta connect r0
must wait_for 60 "both nodes settled" cluster_settled
must wait_for 30 "after-resync-target" called after-resync-target.beta
run ctl beta why r0 --json && jq -e '[.changes[] | select(.what == "handler" and .reason == "after-resync-target: exit code 0")] | length > 0' "$WORK/out" >/dev/null ||
	fail "why does not tell of the handler's end"

# Taken over by adjust: none any more.
cp "$WORK/plain.conf" "$CLUSTER_DIR/drbdfs.conf"
for n in alpha beta; do must ctl "$n" adjust r0; done
before=$(calls disconnected)
must ctl beta disconnect r0 --force
must wait_for 30 "alpha to notice" conn_is alpha beta Connecting
must ctl beta connect r0
must wait_for 60 "both nodes settled" cluster_settled
[ "$(calls disconnected)" = "$before" ] || fail "a handler ran that is not configured any more"
stop_all
must cluster_compare
