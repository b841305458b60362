# SPDX-License-Identifier: GPL-2.0-or-later
# What a user would take instead, where installed: qemu-storage-daemon (FUSE export of a quorum over two NBD servers), nbdkit with nbdfuse. Sourced by bench.sh.

other_qemu_quorum() {
	local i sock=() children= pids=
	for i in 0 1; do
		truncate -s "$size" "$work/qsd$i.img"
		sock[i]=$work/qsd$i.sock
		qemu-nbd -k "${sock[i]}" -f raw -e 8 -t --cache=writeback "$work/qsd$i.img" &
		pids_to_end+=($!)
		pids="$pids $!"
		wait_for 10 "qemu-nbd" test -S "${sock[i]}" || return
	done
	truncate -s "$size" "$work/qsd.img"
	: >"$work/qsd.mnt"
	for i in 0 1; do
		children="$children --blockdev driver=nbd,node-name=n$i,server.type=unix,server.path=${sock[i]}"
	done
	qemu-storage-daemon --blockdev driver=file,node-name=l0,filename="$work/qsd.img" $children \
		--blockdev driver=quorum,node-name=q,vote-threshold=2,read-pattern=fifo,children.0=l0,children.1=n0,children.2=n1 \
		--export type=fuse,id=e,node-name=q,mountpoint="$work/qsd.mnt",writable=on &
	pids_to_end+=($!)
	mounts_to_end+=("$work/qsd.mnt")
	mounted() { grep -qs " $work/qsd.mnt fuse" /proc/mounts; }
	wait_for 10 "qemu-storage-daemon's export" mounted || return
	add_target "qemu quorum (3 copies)" "$work/qsd.mnt" $! $pids
}

other_nbdfuse() {
	mkdir -p "$work/nbd"
	truncate -s "$size" "$work/nbd.img"
	nbdkit -f -U "$work/nbd.sock" file "$work/nbd.img" &
	pids_to_end+=($!)
	wait_for 10 "nbdkit" test -S "$work/nbd.sock" || return
	local server=$!
	nbdfuse "$work/nbd/data" --unix "$work/nbd.sock" &
	pids_to_end+=($!)
	mounts_to_end+=("$work/nbd")
	wait_for 10 "nbdfuse" test -e "$work/nbd/data" || return
	add_target "nbdkit+nbdfuse (1 copy)" "$work/nbd/data" $! "$server"
}
