#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# dump-md, restore-md, apply-al, get-gi, show-gi, set-gi and wipe-md on a stopped node: force, exit statuses, nothing while a daemon has the store.
. "$(dirname "$0")/functions.sh"
need jq

two_nodes 32M
must put_random alpha 0 512
store=$(node_disk alpha)
sum() { sha256sum <"$store"; }
offline() { # EXIT: every command that touches metadata
	must_fail "$1" ctl alpha dump-md r0 --force
	must_fail "$1" ctl alpha restore-md r0/0 "$WORK/dump" --force
	must_fail "$1" ctl alpha apply-al r0
	must_fail "$1" ctl alpha get-gi r0
	must_fail "$1" ctl alpha show-gi r0:beta
	must_fail "$1" ctl alpha set-gi r0:beta/0 : --force
}

echo "the daemon has the store"
printf 'version "v09";\n' >"$WORK/dump"
offline 10
said 'set-gi r0/0: cannot use .*in use by another drbdfs daemon'
must_fail 10 ctl alpha wipe-md r0 --force
must_fail 10 ctl alpha create-md r0 --from-v08
must node_kill alpha

echo "a crashed Primary or one that had a Primary around"
before=$(sum)
must_fail 255 ctl alpha dump-md r0
said 'please apply-al first'
must run ctl alpha dump-md r0 --force
said '^This_is_an_unclean'
cp "$WORK/out" "$WORK/unclean"
must_fail 10 ctl alpha restore-md r0/0 "$WORK/unclean" --force
said 'the dump is wrong in line 8: the dump was taken with an unclean activity log'
[ "$before" = "$(sum)" ] || fail "something was written"
must run ctl alpha apply-al r0
said 'activity log applied: [0-9]+ extents'
must run ctl alpha apply-al r0/0
said 'clean, nothing to do'

echo "dump and restore"
must run ctl alpha dump-md r0
cp "$WORK/out" "$WORK/dump"
before=$(sum)
must_fail 10 ctl alpha restore-md r0/0 "$WORK/dump"
said 'holds DRBD metadata \(v09\) already.*--force'
[ "$before" = "$(sum)" ] || fail "a refusal wrote something"
must ctl alpha restore-md r0/0 "$WORK/dump" --force >/dev/null
must run ctl alpha dump-md r0
body() { sed -n '/^version/,$p' "$1" | grep -v '^# al-extents'; }
[ "$(body "$WORK/out")" = "$(body "$WORK/dump")" ] || fail "another dump: $(diff "$WORK/out" "$WORK/dump")"
must ctl alpha restore-md r0/0 - --force <"$WORK/dump" >/dev/null
must_fail 10 ctl alpha restore-md r0/0 "$WORK" --force
sed 's/^node-id 0/node-id 77/' "$WORK/dump" >"$WORK/wrong"
must_fail 10 ctl alpha restore-md r0/0 "$WORK/wrong" --force
said 'the node id is out of range'

echo "generations"
must run ctl alpha get-gi r0:beta
said '^[0-9A-F]{16}:[0-9A-F]{16}:[0-9A-F]{16}:[0-9A-F]{16}(:[01]){12}$'
gi=$(cat "$WORK/out")
must run ctl alpha show-gi r0:beta/0
said "^$gi$" '\+- current generation' 'last agreed size: [0-9]+ MB \([0-9]+ sectors\)'
before=$(sum)
must_fail 10 ctl alpha set-gi r0:beta 1234
said "^previously $gi" '^set GI to  0000000000001234:' 'nothing was written; repeat with --force'
[ "$before" = "$(sum)" ] || fail "something was written"
must_fail 10 ctl alpha set-gi r0:beta ::::7 --force
said 'field 5 of'
must_fail 10 ctl alpha set-gi r0:gamma : --force
must ctl alpha set-gi r0:beta/0 1234::::0 --force >/dev/null
must run ctl alpha get-gi r0
said '^0000000000001234:.*' '(:[01]){11}$'
must ctl alpha set-gi r0:beta "$gi" --force >/dev/null
[ "$before" = "$(sum)" ] || fail "set-gi back is not the same"

echo "what was restored is used: no resync but of what is marked"
must node_start alpha
must ctl alpha wait-connect r0 --timeout 60
must wait_for 60 "both nodes settled" cluster_settled
must node_stop alpha

echo "wiped"
must_fail 10 ctl alpha wipe-md r0
said 'repeat with --force'
must ctl alpha wipe-md r0/0 --force >/dev/null
offline_none() { must run ctl alpha wipe-md r0; said 'there is no DRBD metadata'; }
offline_none
must_fail 255 ctl alpha get-gi r0
said 'No valid meta data found'
must_fail 255 ctl alpha apply-al r0
must_fail 10 ctl alpha restore-md r0/0 "$WORK/dump"
said 'unknown data where the metadata would lie'
must ctl alpha restore-md r0/0 "$WORK/dump" --force >/dev/null
must node_start alpha
must ctl alpha wait-connect r0 --timeout 60
must wait_for 60 "both nodes settled" cluster_settled
must node_stop alpha
must node_stop beta
must cmp -n $((31 * 1024 * 1024)) "$(node_disk alpha)" "$(node_disk beta)"
