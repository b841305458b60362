#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two disks last used by DRBD 8.4 (metadata as its kernel module left it) are converted, and only what they mark is resynced.
. "$(dirname "$0")/functions.sh"
need jq

# Writes a vector of tests/vectors/meta over the last 64 KiB of a store.
put_metadata() { # STORE VECTOR
	local store=$1 start offset count hex
	start=$(($(stat -c %s "$store") - 65536))
	while read -r offset count hex; do
		case $offset in '#'*) continue ;; esac
		hex=$(sed 's/../\\x&/g' <<<"$hex")
		while [ "$count" -gt 0 ]; do printf "$hex"; count=$((count - 1)); done |
			dd of="$store" bs=64K oflag=seek_bytes seek=$((start + offset)) conv=notrunc status=none
	done <"tests/vectors/meta/$2.img"
}
block() { # STORE BLOCK: other data there
	head -c 4096 /dev/urandom | dd of="$1" bs=4096 seek="$2" conv=notrunc status=none
}
# KiB that travelled to a node.
received() { ctl "$1" status r0 --json --statistics | jq '.[0].connections[0].peer_devices[0].received'; }
begin() { # VECTOR_OF_ALPHA BLOCKS_THAT_DIFFER...
	local vector=$1 n b
	shift
	cluster_new "$WORK" 16M alpha beta
	head -c 16M /dev/urandom >"$(node_disk alpha)"
	dd if=/dev/zero of="$(node_disk alpha)" bs=64K seek=255 count=1 conv=notrunc status=none
	cp "$(node_disk alpha)" "$(node_disk beta)"
	for b in "$@"; do block "$(node_disk alpha)" "$b"; done
	put_metadata "$(node_disk alpha)" "$vector"
	put_metadata "$(node_disk beta)" v84-2-diverged-peer-16M
}
# Both are UpToDate, what differed has come over and nothing else.
resynced() { # AT_MOST_KIB
	for n in alpha beta; do must node_start "$n"; done
	must ctl alpha wait-connect r0 --timeout 60
	must wait_for 60 "both nodes settled" cluster_settled
	got=$(received beta)
	[ "$got" -le "$1" ] || fail "$got KiB travelled, $1 differed"
	for n in alpha beta; do must node_stop "$n"; done
	# The agreed size of these disks: 32688 sectors.
	must cmp -n $((32688 * 512)) "$(node_disk alpha)" "$(node_disk beta)"
}

echo "without conversion they are refused, and keep what they have"
begin v84-2-diverged-16M 3 64 65 66 67 300
before=$(sha256sum <"$(node_disk alpha)")
must_fail 10 ctl alpha create-md r0
said 'DRBD 8 metadata \(v08\).*--from-v08'
must_fail 255 ctl alpha dump-md r0
said 'unclean'
must run ctl alpha dump-md r0 --force
said '^version "v08";' '0x190BF55943552FAA|0x[0-9A-F]{16}; 0x[0-9A-F]{16};'
must_fail 10 ctl alpha create-md r0 --from-v08 --peer gamma
said "no other node 'gamma'"
[ "$before" = "$(sha256sum <"$(node_disk alpha)")" ] || fail "something was written"

echo "cleanly shut down, diverged by six blocks"
must run ctl alpha create-md r0 --from-v08
said 'converted from v08: beta is peer with bitmap slot 0'
must ctl beta create-md r0/0 --from-v08 --peer alpha >/dev/null
must run ctl alpha dump-md r0
said '^version "v09";' '^# bits-set 6;' '^node-id 0;' '    bitmap-index 0;'
must_fail 10 ctl alpha create-md r0 --from-v08
said 'nothing to convert'
resynced 24

echo "a crashed Primary: what its activity log has counts, too"
cluster_cleanup
begin v84-3-crashed-primary-16M 3 10 64 65 66 67 300
must run ctl alpha create-md r0 --from-v08
said 'activity log applied: 1 extents of 4 MiB'
must ctl beta create-md r0 --from-v08 >/dev/null
resynced 4096

echo "equal disks: nothing travels"
cluster_cleanup
begin v84-2-diverged-peer-16M
for n in alpha beta; do must ctl $n create-md r0 --from-v08 >/dev/null; done
resynced 0
