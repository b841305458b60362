#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Run by root: an ordinary user mounts with fusermount3, writes, loses a node and gets it back; the other tests as they are run by him.
# Time limit: 600 s
. "$(dirname "$0")/functions.sh"
is_root || skip "the other tests are run by an ordinary user already"
need setpriv jq fusermount3
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all env -u XDG_RUNTIME_DIR HOME="$WORK" "$@"; }
as_nobody test -w /dev/fuse || skip "/dev/fuse is not open to ordinary users"

# A copy, since an ordinary user may not be let into the directory that this is run in.
mkdir "$WORK/user" "$WORK/tree" "$WORK/tree/tests"
cp -r tests/lib tests/integration "$WORK/tree/tests"
cp "$B/drbdfs" "$B/drbdctl" "$WORK/tree"
B=$WORK/tree
chown 65534:65534 "$WORK/user"
chmod 711 "$WORK"
for t in auto-promote resync-to-secondary detach-attach; do
	as_nobody env B="$B" TMPDIR="$WORK/user" bash "$WORK/tree/tests/integration/$t.sh" >"$WORK/out" 2>&1 || { cat "$WORK/out"; fail "$t as an ordinary user"; }
done
# The default places.
as_nobody mkdir -p "$WORK/user/run" "$WORK/user/.config/drbdfs" "$WORK/user/mnt"
as_nobody truncate -s 16M "$WORK/user/disk.img"
free_port
host=$(uname -n | cut -d. -f1)
as_nobody tee "$WORK/user/.config/drbdfs/drbdfs.conf" >/dev/null <<CONF
version = 1;
resources = ( { name = "r0"; volumes = ( { volume = 0; disk = "$WORK/user/disk.img"; } );
  nodes = ( { name = "$host"; node-id = 0; address = "127.0.0.1:$PORT"; } ); } );
CONF
at_home() { as_nobody env HOME="$WORK/user" XDG_RUNTIME_DIR="$WORK/user/run" "$@"; }
must at_home "$B/drbdctl" create-md r0 >/dev/null
must at_home "$B/drbdfs" mount "$WORK/user/mnt"
on_exit 'at_home "$B/drbdctl" shutdown 2>/dev/null; fusermount3 -uzq "$WORK/user/mnt" 2>/dev/null'
must at_home "$B/drbdctl" primary r0 --force
printf 'hello' | must at_home dd of="$WORK/user/mnt/r0" conv=notrunc,fsync status=none
[ "$(at_home head -c 5 "$WORK/user/mnt/r0")" = hello ] || fail "wrong data"
must at_home "$B/drbdctl" secondary r0
must at_home "$B/drbdctl" shutdown
must wait_for 30 "the mount to go" eval '! grep -q " $WORK/user/mnt " /proc/mounts'
