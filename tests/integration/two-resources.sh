#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two resources in one daemon, each Primary elsewhere; adjust brings in a new one and takes one away; "all" means both.
. "$(dirname "$0")/functions.sh"
need jq

cluster_new "$WORK" 16M alpha beta
conf=$CLUSTER_DIR/drbdfs.conf
cp "$conf" "$WORK/one.conf"
for n in alpha beta; do truncate -s 24M "$WORK/$n/r1.img"; done
free_port; port=$PORT
free_port
cat >"$WORK/r1.conf" <<CONF
resources = ( { name = "r1"; volumes = ( { volume = 0; } );
  nodes = ( { name = "alpha"; node-id = 4; address = "127.0.0.1:$port"; volumes = ( { volume = 0; disk = "$WORK/alpha/r1.img"; } ); },
            { name = "beta"; node-id = 7; address = "127.0.0.1:$PORT"; volumes = ( { volume = 0; disk = "$WORK/beta/r1.img"; } ); } ); } );
CONF
must cluster_create_md >/dev/null
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
must ctl alpha new-current-uuid r0/0 --clear-bitmap

# The second one appears in the file.
sed -i 's/^version = 1;/version = 1; include-files = [ "r1.conf" ];/' "$conf"
for n in alpha beta; do
	must ctl $n create-md r1 >/dev/null
	must ctl $n adjust r1
done
must ctl alpha wait-connect r1 --timeout 60
must ctl alpha new-current-uuid r1/0 --clear-bitmap
must wait_for 60 "r0 to settle" cluster_settled
[ "$(ls "$WORK/alpha/mnt" | tr '\n' ' ')" = 'r0 r1 ' ] || fail "the directory holds $(ls "$WORK/alpha/mnt")"
both_ok() { [ "$(ctl "$1" status --json | jq -r '[.[] | .name, .verdict] | join(" ")')" = "r0 OK r1 OK" ]; }
for n in alpha beta; do must wait_for 60 "both resources to be OK on $n" both_ok $n; done

exec 3<>"$WORK/alpha/mnt/r0" 4<>"$WORK/beta/mnt/r1"
must wait_for 30 "alpha to be Primary of r0" eval '[ "$(ctl alpha role r0)" = Primary ]'
[ "$(ctl alpha role r1)" = Secondary ] || fail "alpha is $(ctl alpha role r1) of r1"
[ "$(ctl beta role r1)" = Primary ] || fail "beta is $(ctl beta role r1) of r1"
must put_random alpha 0 1024
cp "$WORK/put.tmp" "$WORK/a"
dd if="$WORK/a" of="$WORK/beta/mnt/r1" bs=64k seek=16 conv=notrunc,fsync status=none || fail "dd to r1"
must_fail 11 ctl alpha down all
exec 3>&- 4>&-
must wait_for 30 "alpha to demote" role_is alpha Secondary
must ctl alpha down all
[ -z "$(ls "$WORK/alpha/mnt")" ] || fail "the directory holds $(ls "$WORK/alpha/mnt")"
must ctl alpha up all
must wait_for 60 "r0 to settle" cluster_settled
must ctl alpha wait-connect r1 --timeout 60

# And it goes from the file again.
cp "$WORK/one.conf" "$conf"
must ctl beta adjust r1
must ctl alpha adjust r1
must_fail 10 ctl alpha role r1
[ "$(ls "$WORK/alpha/mnt")" = r0 ] || fail "the directory holds $(ls "$WORK/alpha/mnt")"
stop_all
must cluster_compare
for n in alpha beta; do cmp -n 1048576 "$WORK/a" <(dd if="$WORK/$n/r1.img" bs=64k skip=16 count=16 status=none) || fail "r1 on $n"; done
