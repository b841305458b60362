# SPDX-License-Identifier: GPL-2.0-or-later
# What a user would take instead, where installed. Sourced by bench.sh. Every row ends as add_target or skip_target.
#
#   quorum L+P           qemu-storage-daemon: FUSE export of a quorum of L local files and P NBD servers, so L+P
#                        synchronous copies. 1+1 is the shape of "one peer C"; reads come from the first copy.
#   nbdkit+nbdfuse       one remote copy: no replication, what FUSE and NBD alone cost
#   GlusterFS replica 2  two bricks and a FUSE mount, O_DIRECT passed through, no write-behind or other caching
#
# The NBD servers are nbdkit, the fastest one. Its file plugin knows the page cache only: on a disk a peer that
# promises as much as drbdfs (the data have reached the disk) is qemu-nbd with O_DIRECT. NBD goes over Unix sockets,
# in favour of it: over TCP qemu-nbd 7.2 answers 32 requests at once only every 130 ms. GlusterFS uses TCP on 127.0.0.1.

have() { command -v "$1" >/dev/null; }
others_log() { echo "$work/others.log"; }
not_started() { # NAME
	echo "bench: $1 did not start:" >&2
	tail -n 5 "$(others_log)" >&2
	skip_target "$1" "did not start"
}

start_nbd_server() { # SOCKET FILE SERVER: sets nbd_pid
	head -c "$size" /dev/zero >"$2"
	case $3 in
	nbdkit) nbdkit -f -U "$1" file "$2" 2>>"$(others_log)" & ;;
	qemu-nbd-direct) qemu-nbd -k "$1" -f raw -e 8 -t --cache=none --aio=native "$2" 2>>"$(others_log)" & ;;
	esac
	nbd_pid=$!
	pids_to_end+=("$nbd_pid")
	wait_for 10 "$3" test -S "$1"
}

other_qemu_quorum() { # NAME LOCAL PEERS SERVER
	local name=$1 dir=$work/${1// /-} i blockdev=() children= pids=
	wanted_row "$name" || return 0
	have qemu-storage-daemon || { skip_target "$name" "not installed (qemu-system-common)"; return; }
	have "${4%-direct}" || { skip_target "$name" "not installed (nbdkit, qemu-utils)"; return; }
	mkdir "$dir"
	for ((i = 0; i < $2 + $3; i++)); do
		children="$children,children.$i=c$i"
		if [ "$i" -lt "$2" ]; then
			head -c "$size" /dev/zero >"$dir/$i.img"
			blockdev+=(--blockdev "driver=file,node-name=c$i,filename=$dir/$i.img,$local_aio")
			continue
		fi
		start_nbd_server "$dir/$i.sock" "$dir/$i.img" "$4" || { not_started "$name"; return; }
		pids="$pids $nbd_pid"
		blockdev+=(--blockdev "driver=nbd,node-name=c$i,server.type=unix,server.path=$dir/$i.sock")
	done
	: >"$dir/data"
	qemu-storage-daemon "${blockdev[@]}" \
		--blockdev "driver=quorum,node-name=q,vote-threshold=$(($2 + $3)),read-pattern=fifo$children" \
		--export "type=fuse,id=e,node-name=q,mountpoint=$dir/data,writable=on" 2>>"$(others_log)" &
	pids="$pids $!"
	pids_to_end+=($!)
	mounts_to_end+=("$dir/data")
	wait_for 10 "qemu-storage-daemon's export" is_mounted "$dir/data" || { not_started "$name"; return; }
	add_target "$name" "$dir/data" $pids
}

other_nbdfuse() {
	local name="nbdkit+nbdfuse" dir=$work/nbdfuse
	wanted_row "$name" || return 0
	have nbdkit && have nbdfuse || { skip_target "$name" "not installed (nbdkit, libnbd-bin)"; return; }
	mkdir -p "$dir/mnt"
	start_nbd_server "$dir/sock" "$dir/img" nbdkit || { not_started "$name"; return; }
	nbdfuse "$dir/mnt/data" --unix "$dir/sock" 2>>"$(others_log)" &
	pids_to_end+=($!)
	mounts_to_end+=("$dir/mnt")
	wait_for 10 "nbdfuse" test -e "$dir/mnt/data" || { not_started "$name"; return; }
	add_target "$name" "$dir/mnt/data" $! "$nbd_pid"
}

# Asks the kernel's table: a connection would be taken for a client.
port_listens() { grep -qi "0100007F:$(printf %04X "$1") 00000000:0000 0A" /proc/net/tcp; }

# One layer of a GlusterFS volume file on top of $below.
layer() { # NAME TYPE OPTION...
	printf 'volume %s\n    type %s\n' "$1" "$2"
	[ $# -le 2 ] || printf '    option %s\n' "${@:3}"
	[ -z "$below" ] || printf '    subvolumes %s\n' "$below"
	printf 'end-volume\n'
	below=$1
}

# The layers that `gluster volume create` stacks for a brick.
gluster_brick() { # DIR PORT
	local below= uuid
	uuid=$(cat /proc/sys/kernel/random/uuid)
	layer posix storage/posix "directory $1" "shared-brick-count 2" "fips-mode-rchecksum on"
	layer trash features/trash "trash-dir .trashcan" "brick-path $1" "trash-internal-op off"
	layer changelog features/changelog "changelog-brick $1" "changelog-dir $1/.glusterfs/changelogs"
	layer bitrot-stub features/bitrot-stub "export $1" "bitrot disable"
	layer access-control features/access-control
	layer locks features/locks
	layer worm features/worm
	layer read-only features/read-only
	layer leases features/leases
	layer upcall features/upcall
	layer io-threads performance/io-threads
	layer selinux features/selinux
	layer marker features/marker "volume-uuid $uuid" "timestamp-file $1/.glusterfs/marker.tstamp"
	layer barrier features/barrier
	layer index features/index "index-base $1/.glusterfs/indices" \
		"xattrop-pending-watchlist trusted.afr.bench-" "xattrop-dirty-watchlist trusted.afr.dirty"
	layer quota features/quota "volume-uuid bench"
	layer brick debug/io-stats
	layer server protocol/server "transport-type tcp" "transport.address-family inet" \
		"transport.socket.bind-address 127.0.0.1" "transport.socket.listen-port $2" \
		"auth-path brick" "auth.addr.brick.allow 127.0.0.1"
}

gluster_client() { # PORT PORT
	local below= i=0 port
	for port in "$@"; do
		below=
		layer "bench-client-$i" protocol/client "transport-type tcp" "transport.address-family inet" \
			"remote-host 127.0.0.1" "remote-port $port" "remote-subvolume brick" "filter-O_DIRECT disable"
		i=$((i + 1))
	done
	below="bench-client-0 bench-client-1"
	layer bench-replicate-0 cluster/replicate "afr-pending-xattr bench-client-0,bench-client-1"
	layer bench-dht cluster/distribute
	layer bench-utime features/utime "noatime on"
	layer bench debug/io-stats
}

# The daemons are started from volume files: the management daemon accepts no loopback address and keeps its state
# in /var. The volume files are what it would write for `volume create bench replica 2` with the caching layers off
# (write-behind, io-cache, read-ahead, quick-read, open-behind, stat-prefetch).
other_gluster() {
	local name="GlusterFS replica 2" dir=$work/gluster i ports=() pids=
	wanted_row "$name" || return 0
	have glusterfsd && have glusterfs || { skip_target "$name" "not installed (glusterfs-server)"; return; }
	[ "$(id -u)" -eq 0 ] || { skip_target "$name" "needs root (trusted xattrs)"; return; }
	mkdir -p "$dir/mnt"
	for i in 0 1; do
		mkdir -p "$dir/brick$i/.glusterfs/indices" "$dir/brick$i/.glusterfs/changelogs"
		free_port
		ports+=("$PORT")
		gluster_brick "$dir/brick$i" "$PORT" >"$dir/brick$i.vol"
		glusterfsd -N -f "$dir/brick$i.vol" -l "$(others_log)" &
		pids="$pids $!"
		pids_to_end+=($!)
		wait_for 10 "a brick of GlusterFS" port_listens "$PORT" || { not_started "$name"; return; }
	done
	gluster_client "${ports[@]}" >"$dir/client.vol"
	glusterfs -N --direct-io-mode=enable -f "$dir/client.vol" -l "$(others_log)" "$dir/mnt" &
	pids="$pids $!"
	pids_to_end+=($!)
	mounts_to_end+=("$dir/mnt")
	wait_for 10 "the mount of GlusterFS" is_mounted "$dir/mnt" &&
		wait_for 10 "both bricks of GlusterFS" gluster_makes_file "$dir" ||
		{ not_started "$name"; return; }
	add_target "$name" "$dir/mnt/data" $pids
}
# A file that is made before both bricks are connected would need healing all the time.
gluster_makes_file() {
	rm -f "$1/mnt/data"
	truncate -s "$size" "$1/mnt/data" && [ -e "$1/brick0/data" ] && [ -e "$1/brick1/data" ]
}

setup_others() { # BACKING
	local server=nbdkit local_aio=cache.direct=off
	if [ "$1" = disk ]; then
		server=qemu-nbd-direct local_aio=cache.direct=on,aio=native
		other_qemu_quorum "quorum 1+1 cached" 1 1 nbdkit
	fi
	other_qemu_quorum "quorum 1+1" 1 1 "$server"
	other_qemu_quorum "quorum 0+2" 0 2 "$server"
	other_nbdfuse
	other_gluster
}
