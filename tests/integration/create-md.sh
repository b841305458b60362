#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# create-md writes nothing outside the metadata and refuses stores that hold something, unless forced; dump-md prints it.
. "$(dirname "$0")/functions.sh"
need mkfs.ext4

cluster_new "$WORK" 32M alpha beta
disk=$(node_disk alpha)

must_fail 255 ctl alpha dump-md r0
said 'No valid meta data found'
must_fail 10 ctl alpha create-md r1
said 'r1: No such resource'
must_fail 10 ctl alpha create-md r0/7

head -c 30M /dev/urandom | dd of="$disk" conv=notrunc status=none
sum() { head -c 30M "$disk" | sha256sum; }
before=$(sum)
must run ctl alpha create-md r0 --max-peers 5
said 'r0/0: metadata for 5 peers created'
[ "$(sum)" = "$before" ] || fail "create-md changed data"
must run ctl alpha dump-md r0
said '^version "v09";' '^max-peers 5;' '^current-uuid 0x0000000000000004;' '^la-size-sect 0;'

cp "$disk" "$WORK/copy"
must_fail 10 ctl alpha create-md r0
said 'holds DRBD metadata \(v09\) already; .*--force'
cmp "$disk" "$WORK/copy" || fail "a refused create-md wrote something"
must ctl alpha create-md r0 --force --max-peers 7 >/dev/null
must run ctl alpha dump-md r0/0
said '^max-peers 7;'
[ "$(sum)" = "$before" ] || fail "create-md --force changed data"

# A file system that fills the store.
truncate -s 0 "$disk"; truncate -s 32M "$disk"
mkfs.ext4 -q -F "$disk" || fail "mkfs.ext4"
cp "$disk" "$WORK/copy"
must_fail 10 ctl alpha create-md r0
said 'ext2/3/4 file system' '--force'
cmp "$disk" "$WORK/copy" || fail "a refused create-md wrote something"
# One that leaves room is kept.
truncate -s 64M "$disk"
must ctl alpha create-md r0 >/dev/null
cmp -n $((32 * 1024 * 1024)) "$disk" "$WORK/copy" || fail "create-md changed the file system"

# Something unknown where the metadata would lie.
truncate -s 0 "$disk"; truncate -s 32M "$disk"
printf 'precious' | dd of="$disk" bs=1 seek=$((32 * 1024 * 1024 - 4000)) conv=notrunc status=none
must_fail 10 ctl alpha create-md r0
said 'unknown data where the metadata would lie'
must ctl alpha create-md r0 --force >/dev/null

truncate -s 0 "$disk"; truncate -s 64K "$disk"
must_fail 10 ctl alpha create-md r0 --max-peers 31
truncate -s 0 "$disk"
must_fail 10 ctl alpha create-md r0
printf 'not metadata at all' >"$disk"
must_fail 255 ctl alpha dump-md r0
