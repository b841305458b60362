#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Metadata commands beside drbdmeta and real file systems, on a file and (as root) on loop devices.
# Time limit: 300 s
. "$(dirname "$0")/functions.sh"
need drbdmeta cmp mkfs.ext4 mkswap

# drbdmeta notes the size per minor, here for the minor that is none.
noted=/var/lib/drbd/drbd-minor--1.lkbd
[ -e "$noted" ] || on_exit "rm -f $noted"
cluster_new "$WORK" 64M alpha beta
store=$(node_disk alpha)
meta() { drbdmeta --force - v09 "$1" internal "${@:2}" 2>"$WORK/drbdmeta.err"; }
members=
drbdmeta_knows_members || members=--no-members
body() { sed -n '/^version/,$p'; }
# Offset of the device uuid, the only thing that differs from one create-md to the next.
uuid_at() { echo $(($(blockdev --getsize64 "$1" 2>/dev/null || stat -c %s "$1") / 4096 * 4096 - 4096 + 48)); }
refuses() { # WORD COMMAND...
	must_fail 10 "${@:2}"
	grep -q "$1" "$WORK/out" || { cat "$WORK/out"; fail "the message does not speak of $1"; }
}

echo "a file: same bytes, same text, and restore-md takes our dump"
must ctl alpha create-md r0 --max-peers 5
truncate -s 64M "$WORK/theirs"
must meta "$WORK/theirs" create-md 5 >/dev/null
at=$(uuid_at "$store")
must cmp -n "$at" "$store" "$WORK/theirs"
must cmp -i $((at + 8)) "$store" "$WORK/theirs"
ctl alpha dump-md r0 $members >"$WORK/dump" || fail "dump-md"
body <"$WORK/dump" >"$WORK/ours.txt"
meta "$store" dump-md | body >"$WORK/theirs.txt"
must cmp "$WORK/ours.txt" "$WORK/theirs.txt"
must meta "$WORK/theirs" restore-md "$WORK/dump" >/dev/null
must cmp "$store" "$WORK/theirs"

echo "the store is kept as it is without --force"
before=$(sha256sum <"$store")
refuses v09 ctl alpha create-md r0
truncate -s 0 "$store" && truncate -s 64M "$store"
must mkfs.ext4 -q -F "$store"
refuses ext2/3/4 ctl alpha create-md r0
must mkfs.ext4 -q -F "$store" 60M
must ctl alpha create-md r0
must e2fsck -fn "$store" >/dev/null 2>&1
truncate -s 0 "$store" && truncate -s 64M "$store"
must mkswap -q "$store" 2>/dev/null
refuses swap ctl alpha create-md r0
must ctl alpha create-md r0 --force
[ "$before" != "$(sha256sum <"$store")" ] || fail "nothing was written"

[ "$(id -u)" = 0 ] || { echo "loop devices left out: not root"; exit 0; }
truncate -s 64M "$WORK/loop.img"
losetup -f >/dev/null 2>&1 || { echo "loop devices left out: none"; exit 0; }
for sector in 512 4096; do
	echo "a loop device with sectors of $sector bytes"
	loop=$(losetup -f --show -b "$sector" "$WORK/loop.img") || { echo "left out: losetup failed"; exit 0; }
	on_exit "losetup -d $loop 2>/dev/null"
	must blkdiscard -z "$loop"
	sed "s|$store|$loop|" "$WORK/drbdfs.conf" >"$WORK/loop.conf"
	on_loop() { "$B/drbdctl" -c "$WORK/loop.conf" -n alpha -s "$WORK/none" "$@"; }
	must on_loop create-md r0 --max-peers 3
	on_loop dump-md r0 $members | body >"$WORK/ours.txt"
	meta "$loop" dump-md | body >"$WORK/theirs.txt"
	must cmp "$WORK/ours.txt" "$WORK/theirs.txt"
	[ "$(wc -l <"$WORK/ours.txt")" -gt 200 ] || fail "the dump is too short"
	must mkfs.ext4 -q -F "$loop"
	refuses ext2/3/4 on_loop create-md r0
	mkdir -p "$WORK/mnt"
	if mount "$loop" "$WORK/mnt" 2>/dev/null; then
		on_exit "umount $WORK/mnt 2>/dev/null"
		refuses mounted on_loop create-md r0 --force
		must umount "$WORK/mnt"
	fi
	if [ -x "$B/tests/unit/test_backing" ]; then
		DRBDFS_TEST_STORE=$loop must "$B/tests/unit/test_backing" --filter 'backing/random*' >/dev/null 2>&1
	fi
	must losetup -d "$loop"
done
