#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# drbdmeta of the DRBD utilities dumps the metadata of a used and stopped store with the same generations as drbdctl dump-md.
. "$(dirname "$0")/functions.sh"
need jq drbdmeta

same_dump() { # NODE
	local members=
	drbdmeta_knows_members || members=--no-members
	ctl "$1" dump-md r0 $members >"$WORK/ours" || fail "dump-md of $1"
	drbdmeta --force - v09 "$(node_disk "$1")" internal dump-md >"$WORK/theirs" 2>"$WORK/err" || { cat "$WORK/err"; fail "drbdmeta refuses the metadata of $1"; }
	for f in ours theirs; do
		grep -Ev '^# ' "$WORK/$f" | sed -n '/^version/,$p' >"$WORK/$f.plain"
		grep -E '^(current-uuid|    bitmap-uuid|la-size-sect)' "$WORK/$f" >"$WORK/$f.uuids"
	done
	[ "$(wc -l <"$WORK/ours.uuids")" -ge 4 ] || fail "no generations in the dump"
	diff "$WORK/theirs.uuids" "$WORK/ours.uuids" || fail "other generations in the dump of $1"
	diff "$WORK/theirs.plain" "$WORK/ours.plain" || fail "another dump of $1"
}

# No slot beyond those of the two peers: it would count everything ever written.
CLUSTER_MAX_PEERS=2
three_nodes 32M
must put_random alpha 0 4096
must node_kill gamma
must wait_for 60 "alpha to notice" conn_is alpha gamma Connecting
must put_random alpha 8192 1024
must wait_for 30 "alpha to demote" role_is alpha Secondary
must node_stop alpha
must node_stop beta
for n in alpha beta; do same_dump "$n"; done
grep -Eq 'bitmap-uuid 0x[0-9A-F]*[1-9A-F]' "$WORK/ours" || fail "no bitmap uuid towards gamma"
grep -Eq '^# bits-set 2[0-9][0-9];' "$WORK/ours" || fail "the bitmap towards gamma: $(grep bits-set "$WORK/ours")"
