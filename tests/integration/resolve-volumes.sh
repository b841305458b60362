#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# resolve --volume: of two volumes each node gives another one up, and saves it.
. "$(dirname "$0")/functions.sh"
need jq

cluster_new "$WORK" 24M alpha beta
for n in alpha beta; do
	truncate -s 24M "$WORK/$n/second.img"
	sed -i -E "s|(disk = \"$WORK/$n/disk.img\"; \})|\1, { volume = 5; disk = \"$WORK/$n/second.img\"; }|" "$CLUSTER_DIR/drbdfs.conf"
done
sed -i 's/volumes = ( { volume = 0; } )/volumes = ( { volume = 0; }, { volume = 5; } )/' "$CLUSTER_DIR/drbdfs.conf"
must cluster_create_md >/dev/null
for n in alpha beta; do must node_start "$n"; done
must ctl alpha wait-connect r0 --timeout 60
for v in 0 5; do must ctl alpha new-current-uuid r0/$v --clear-bitmap; done
must wait_for 60 "both nodes settled" cluster_settled
file() { echo "$WORK/$1/mnt/r0$([ "$2" = 0 ] || echo "@$2")"; } # NODE VOLUME
put() { # NODE VOLUME OFFSET_KIB LENGTH_KIB
	head -c $(($4 * 1024)) /dev/urandom | dd of="$(file "$1" "$2")" bs=64k oflag=seek_bytes seek=$(($3 * 1024)) conv=notrunc,nocreat,fsync iflag=fullblock status=none
}
for v in 0 5; do must put alpha $v 0 2048; done
must wait_for 30 "alpha to demote" role_is alpha Secondary
must ctl alpha disconnect r0:beta --force
must wait_for 30 "beta to notice" eval '! conn_is beta alpha Connected'
must ctl beta disconnect r0:alpha --force
for v in 0 5; do must put alpha $v 1024 512; done
must wait_for 30 "alpha to demote" role_is alpha Secondary
must ctl beta primary r0 --force
for v in 0 5; do must put beta $v 1280 512; done
must ctl beta secondary r0
for n in alpha beta; do for v in 0 5; do cp "$(file $n $v)" "$WORK/$n.$v"; done; done
must ctl alpha connect r0
must ctl beta connect r0
for n in alpha beta; do must wait_for 60 "$n to report the split brain" eval "[ \"\$(field $n .verdict)\" = SPLIT-BRAIN ]"; done
must run ctl alpha split-brain r0
said '^r0/0: ' '^r0/5: '

# Of one volume only is not enough: the other one keeps them apart.
must ctl alpha connect r0
must_fail 11 ctl beta resolve r0 --keep alpha --volume 0 --save-loser "$WORK/early" --timeout 60
said 'split brain'
[ ! -e "$WORK/early.0" ] || fail "something was saved though nothing was given up"
must_fail 10 ctl beta resolve r0 --keep alpha --volume 7
said 'there is no volume 7'

ctl alpha resolve r0 --keep beta --volume 5 --save-loser "$WORK/undo-alpha" --timeout 60 >"$WORK/alpha.out" 2>&1 &
other=$!
must ctl beta resolve r0 --keep alpha --volume 0 --save-loser "$WORK/undo-beta" --timeout 60
wait "$other" || { cat "$WORK/alpha.out"; fail "resolve on alpha"; }
must wait_for 60 "both nodes settled" cluster_settled
[ "$(cd "$WORK" && echo undo-*)" = "undo-alpha.5 undo-beta.0" ] || fail "saved: $(cd "$WORK" && echo undo-*)"
must cmp "$WORK/alpha.0" "$(file beta 0)"
must cmp "$WORK/beta.5" "$(file alpha 5)"
must run ctl beta apply-undo "$WORK/undo-beta.0" "$WORK/alpha.0"
said 'of r0/0 .* as beta had them'
must cmp "$WORK/alpha.0" "$WORK/beta.0"
must ctl beta apply-undo "$WORK/undo-alpha.5" "$(file beta 5)"
must cmp "$WORK/alpha.5" "$(file beta 5)"
