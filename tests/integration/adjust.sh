#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# adjust follows the configuration: resources that are new, changed, moved away or gone; in use, it refuses; mistakes change nothing.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 32M
conf=$CLUSTER_DIR/drbdfs.conf
cp "$conf" "$WORK/first.conf"
change() { cp "$WORK/first.conf" "$conf"; [ $# = 0 ] || sed -i "$1" "$conf"; ! [ $# != 0 ] || ! cmp -s "$conf" "$WORK/first.conf" || fail "nothing changed by $1"; }
verdicts() { ctl alpha status --json | jq -r '[.[] | .name + " " + .verdict] | join(", ")'; }

# A second resource appears in the file. Nobody has to name it.
free_port; one=$PORT; free_port
truncate -s 16M "$WORK/alpha/second.img" "$WORK/beta/second.img"
sed '$d' "$WORK/first.conf" >"$WORK/second.conf"
cat >>"$WORK/second.conf" <<CONF
  , { name = "r1"; volumes = ( { volume = 0; } ); nodes = (
     { name = "alpha"; node-id = 0; address = "127.0.0.1:$one"; volumes = ( { volume = 0; disk = "$WORK/alpha/second.img"; } ); },
     { name = "beta"; node-id = 1; address = "127.0.0.1:$PORT"; volumes = ( { volume = 0; disk = "$WORK/beta/second.img"; } ); } ); } );
CONF
cp "$WORK/second.conf" "$conf"
must ctl alpha create-md r1 >/dev/null
must_fail 10 ctl alpha up r1
said 'up r1: No such resource'
must ctl alpha adjust all
[ "$(verdicts)" = 'r0 OK, r1 BLOCKED' ] || fail "after adjust all: $(verdicts)"
must test -e "$WORK/alpha/mnt/r1"
conn_is alpha beta Connected || fail "the other resource was disturbed"

# In use, what is gone from the file stays; then it goes.
must ctl alpha primary r1 --force
exec 3<>"$WORK/alpha/mnt/r1"
change
must_fail 11 ctl alpha adjust all
said 'adjust r1: .*the file of volume 0 is open'
[ "$(verdicts)" != 'r0 OK' ] || fail "a resource in use went away"
exec 3>&-
must wait_for 30 "r1 to be closed" eval '[ "$(ctl alpha status r1 --json | jq -r ".[0].devices[0].open")" = false ]'
must ctl alpha secondary r1
must ctl alpha adjust all
[ "$(verdicts)" = 'r0 OK' ] || fail "after the resource was removed: $(verdicts)"
[ ! -e "$WORK/alpha/mnt/r1" ] || fail "its file is still there"
# And comes back to a daemon that has forgotten it.
cp "$WORK/second.conf" "$conf"
must ctl alpha adjust all
must ctl alpha status r1 >/dev/null
change
must ctl alpha adjust r1
must_fail 10 ctl alpha status r1

# What is changed has an effect, on the running resource.
change 's/common = {/common = { options = { auto-promote = false; };/; /^  options/d'
must ctl alpha adjust r0
! : 2>/dev/null >"$(node_file alpha)" || fail "auto-promote is still on"
change 's/ping-int = 1;/ping-int = 1; protocol = "A";/'
for n in alpha beta; do must ctl $n adjust r0; done
must wait_for 60 "both nodes settled" cluster_settled
[ "$(peer_field alpha beta .protocol)" = A ] || fail "the protocol is $(peer_field alpha beta .protocol)"
change
for n in alpha beta; do must ctl $n adjust all; done
must wait_for 60 "both nodes settled" cluster_settled

# In use, options change under way: nobody is disconnected, and the protocol changes on both nodes.
exec 3<>"$(node_file alpha)"
incarnations() { grep -c 'Connecting -> Connected' "$WORK/alpha/log"; }
before=$(incarnations)
change 's/ping-int = 1;/ping-int = 2; connect-int = 3; protocol = "A";/; s/connect-int = 2;//; s/^  disk = {/  disk = { c-max-rate = "8M";/'
must ctl alpha adjust r0
[ "$(peer_field alpha beta .protocol)" = A ] || fail "the protocol is $(peer_field alpha beta .protocol)"
must wait_for 30 "beta to take the protocol over" eval '[ "$(peer_field beta alpha .protocol)" = A ]'
must put_random alpha 0 512
must ctl beta adjust r0
change
must ctl beta adjust r0
must wait_for 30 "alpha to take the protocol over" eval '[ "$(peer_field alpha beta .protocol)" = C ]'
must ctl alpha adjust r0
[ "$(incarnations)" = "$before" ] || fail "an adjust of options disturbed the connection"

# What the volumes are made of needs down and up: refused with the reason, and nothing happens.
change 's/^  disk = {/  disk = { al-extents = 67;/'
must_fail 11 ctl alpha adjust r0
said 'adjust r0: the changes need the resource to go down and up: the file of volume 0 is open'
conn_is alpha beta Connected || fail "a refused adjust disturbed the connection"
exec 3>&-
must wait_for 30 "alpha to demote" role_is alpha Secondary
must ctl alpha adjust r0
must wait_for 60 "both nodes settled" cluster_settled

# Mistakes: several of them in one message, nothing changes.
change 's/ping-int/ping-itn/; s/connect-int = 2/connect-int = 9999/'
for what in r0 all; do
	must_fail 10 ctl alpha adjust $what
	said "ping-itn'; did you mean 'ping-int'.*connect-int: value is too big"
done
[ "$(verdicts)" = 'r0 OK' ] || fail "after a wrong configuration: $(verdicts)"

# So are files that cannot be used: the connection stays.
before=$(incarnations)
change 's/version = 1;/version = 1; security = { secret-file = "SECRET"; };/; s/ping-int = 1;/ping-int = 1; cram-hmac-alg = "sha256";/'
sed -i "s|SECRET|$WORK/secret|" "$conf"
: >"$WORK/secret"
must_fail 10 ctl alpha adjust r0
said "$WORK/secret: the secret-file must hold one line of 1 to 63 bytes"
rm "$WORK/secret"
must_fail 10 ctl alpha adjust all
said "$WORK/secret: cannot read the secret-file: No such file or directory; the user that runs drbdfs"
[ "$(verdicts)" = 'r0 OK' ] && [ "$(incarnations)" = "$before" ] || fail "after a wrong secret-file: $(verdicts)"
change

# This node has left the resource: for it, that is the end of the resource.
change 's/name = "alpha";/name = "omega";/'
must ctl alpha adjust r0
must_fail 10 ctl alpha status r0
said 'No such resource'
change
must ctl alpha adjust all
must wait_for 60 "both nodes settled" cluster_settled

# Who may control it.
if is_root && command -v setpriv >/dev/null; then
	chmod 755 "$WORK" "$WORK/alpha"
	chmod 666 "$WORK/alpha/control.sock"
	as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$B/drbdctl" -s "$WORK/alpha/control.sock" status; }
	must_fail 10 as_nobody
	said 'you may not control this daemon'
	change 's/version = 1;/version = 1; security = { allowed-control-users = [ "65534" ]; };/'
	must ctl alpha adjust all
	must as_nobody >/dev/null
	change
	must ctl alpha adjust all
	must_fail 10 as_nobody
fi
stop_all
