#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The file behaves like a disk: any offset and length, no growing, punched and zeroed ranges read as zeroes on all nodes.
. "$(dirname "$0")/functions.sh"
need jq fallocate

three_nodes 32M
file=$(node_file alpha)
size=$(stat -c %s "$file")
model_new alpha
exec 3<>"$file"
both() { # DD-ARGUMENTS: the same write to the file and to its model
	dd "$@" of="$file" conv=notrunc status=none || fail "dd $*"
	dd "$@" of="$WORK/model" conv=notrunc status=none || fail "dd $* (model)"
}
same() { cmp "$file" "$WORK/model" || fail "reads something else: $*"; }

must put_random alpha 0 8192
same "first data"
head -c 3000000 /dev/urandom >"$WORK/in"
for at in 1 511 512 513 4095 4096 4097 65535 1048575 1048577 3145728; do
	for len in 1 2 511 512 513 4095 4097 65536 131073 1048577; do
		both if="$WORK/in" bs=$len count=1 iflag=fullblock oflag=seek_bytes seek=$((at * 3))
	done
done
same "odd offsets and lengths"
for bs in 512 4k 1M; do
	both if="$WORK/in" bs=$bs count=2 oflag=direct,seek_bytes iflag=fullblock seek=$((8 * 1024 * 1024))
done
same "O_DIRECT"
[ "$(dd if="$file" bs=1000 skip=7 count=3 status=none | sha256sum)" = "$(dd if="$WORK/model" bs=1000 skip=7 count=3 status=none | sha256sum)" ] ||
	fail "odd reads"

# The end.
both if="$WORK/in" bs=100 count=1 oflag=seek_bytes seek=$((size - 100))
! dd if="$WORK/in" bs=512 count=1 of="$file" oflag=seek_bytes seek="$size" conv=notrunc status=none 2>"$WORK/out" || fail "wrote behind the end"
said 'No space left'
[ "$(tail -c 100 "$file" | sha256sum)" = "$(head -c 100 "$WORK/in" | sha256sum)" ] || fail "the last bytes"
[ "$(dd if="$file" bs=512 skip=$((size / 512)) count=1 status=none | wc -c)" = 0 ] || fail "read behind the end"
[ "$(stat -c %s "$file")" = "$size" ] || fail "the size changed"
must_fail any truncate -s 1M "$file"
must_fail any truncate -s $((size + 512)) "$file"
must truncate -s "$size" "$file"
: >"$file"
[ "$(stat -c %s "$file")" = "$size" ] || fail "an open with O_TRUNC changed the size"
same "truncation changes nothing"
must_fail any rm -f "$file"
must_fail any mv "$file" "$WORK/alpha/mnt/r1"
must_fail any mkdir "$WORK/alpha/mnt/d"
must_fail any touch "$WORK/alpha/mnt/new"
for c in "mkfifo $WORK/alpha/mnt/p" "ln -s r0 $WORK/alpha/mnt/s" "ln $file $WORK/alpha/mnt/l" "rmdir $WORK/alpha/mnt/r0" "chmod 644 $file"; do
	# shellcheck disable=SC2086
	must_fail any $c
	said 'not permitted|Not a directory'
done
[ "$(ls -A "$WORK/alpha/mnt")" = r0 ] || fail "the directory holds: $(ls -A "$WORK/alpha/mnt")"

# Punched and zeroed.
zero() { # FALLOCATE-OPTION OFFSET LENGTH
	must fallocate "$1" -n -o "$2" -l "$3" "$file"
	dd if=/dev/zero of="$WORK/model" bs="$3" count=1 oflag=seek_bytes seek="$2" conv=notrunc status=none
}
must put_random alpha 0 24576
zero -p 0 4096
zero -p 65536 1048576
zero -z 2097152 65536
zero -z 4194304 $((5 * 1024 * 1024))
zero -p $((10 * 1024 * 1024)) $((6 * 1024 * 1024))
zero -p 100001 3333
zero -z 200001 7
zero -p 300000 1
zero -z $((size - 4096)) 4096
same "fallocate"
must_fail any fallocate -c -o 0 -l 4096 "$file"
must_fail any fallocate -o "$size" -l 4096 "$file"
must sync "$file"
exec 3>&-
stop_all
must_equal_model alpha beta gamma
# What was punched takes no room, as far as the file system below can tell.
for n in alpha beta gamma; do
	[ $(($(stat -c %b "$(node_disk "$n")") * 512)) -lt $((20 * 1024 * 1024)) ] || fail "punched ranges take room on $n"
done
