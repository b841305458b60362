#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One table: raw file, thinnest FUSE, drbdfs alone and replicated, and what a user would take instead. All targets of a
# backing are up at once and measured in turn, ROUNDS times; thin FUSE is measured again before every third target, and
# a ratio is that of a target to the thin FUSE before it. table.awk makes the medians and compares them with what is wanted.
#   BACKINGS="tmpfs disk" ROUNDS=3 SECONDS_EACH=2 SIZE=256M   BENCH_DISK_DIR=/var/tmp
#   ROWS=REGEX WORKLOADS=REGEX: only these (thin FUSE always)
# Debian's congestion control is cubic. bbr paces what it sends with a timer per segment, which in a virtual machine takes
# a quarter of the CPU time of a replicated 1 MiB write: the last lines say which one was in use.
set -u
cd "$(dirname "$0")/../.." || exit 2
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-2} size=${SIZE:-256M}
. tests/lib/cluster.sh
. tests/bench/others.sh
build=$B
command -v fio >/dev/null || die "bench needs fio"
results=$(mktemp) || exit 1

work=
pids_to_end=()
mounts_to_end=()
clusters=()
is_mounted() { grep -qs " $1 fuse" /proc/mounts; }
cluster_stop() { # the current one
	local n
	for n in $CLUSTER_NODES; do
		[ -f "$CLUSTER_DIR/$n/pid" ] && NODE_PID[$n]=$(cat "$CLUSTER_DIR/$n/pid")
	done
	cluster_cleanup
}
teardown() {
	local dir m p
	# The one that is just being started has no pid files yet.
	[ -z "$CLUSTER_DIR" ] || cluster_cleanup
	for dir in "${clusters[@]}"; do
		CLUSTER_DIR=$dir CLUSTER_NODES=$(cat "$dir/nodes") cluster_stop
	done
	for m in "${mounts_to_end[@]}"; do ! is_mounted "$m" || fusermount3 -uz "$m" 2>/dev/null || umount -l "$m"; done
	for p in "${pids_to_end[@]}"; do kill "$p" 2>/dev/null; done
	for p in "${pids_to_end[@]}"; do
		wait_for 5 "process $p to end" node_gone "$p" || kill -KILL "$p"
		wait "$p" 2>/dev/null
	done
	mounts_to_end=() pids_to_end=() clusters=() CLUSTER_DIR=
	[ -z "$work" ] || rm -rf "$work"
	work=
}
cleanup() {
	local rc=$?
	trap - EXIT INT TERM
	teardown
	rm -f "$results"
	exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

target_names=()
declare -A target_file=() target_pids=()
add_target() { # NAME FILE PIDS...
	local name=$1
	target_names+=("$name")
	target_file[$name]=$2
	shift 2
	target_pids[$name]="$*"
	note_row "$name" ""
}
skip_target() { note_row "$1" "$2"; } # NAME REASON: the row says why it has no figures
note_row() { printf 'row\t%s\t%s\t%s\n' "$backing" "$1" "$2" >>"$results"; }
wanted_row() { [[ $1 =~ ${ROWS:-.} ]]; } # NAME

add_cluster() { # NAME PROTOCOL NODE...
	local name=$1 dir n pids=
	wanted_row "$name" || return 0
	CLUSTER_NET="protocol = \"$2\";"
	[[ $name != *TLS ]] || CLUSTER_NET+=" tls = true;"
	shift 2
	dir=$work/${name// /-}
	cluster_new "$dir" "$size" "$@"
	echo "$*" >"$dir/nodes"
	clusters+=("$dir")
	cluster_create_md >/dev/null || die "create-md failed"
	[[ $name != *TLS ]] || { ctl "$1" tls init && ctl "$1" tls issue all; } >/dev/null || die "tls failed"
	for n in "$@"; do
		node_start "$n" || exit 1
		echo "${NODE_PID[$n]}" >"$dir/$n/pid"
		pids="$pids ${NODE_PID[$n]}"
	done
	if [ $# -gt 1 ]; then ctl "$1" wait-connect r0 --timeout 20 || exit 1; fi
	ctl "$1" new-current-uuid r0/0 --clear-bitmap || exit 1
	wait_for 20 "$name to settle" disk_is "$1" UpToDate || exit 1
	add_target "$name" "$(node_file "$1")" $pids
}

hz=$(getconf CLK_TCK)
cpu_us() { # PIDS...: all their threads, user and system
	local p u s sum=0
	for p in "$@"; do
		read -r u s < <(sed 's/.*) //' "/proc/$p/stat" 2>/dev/null | awk '{print $12, $13}') || continue
		sum=$((sum + u + s))
	done
	echo $((sum * 1000000 / hz))
}

# name:rw:bs:iodepth
workloads="randwrite-4k-qd1:randwrite:4k:1 randwrite-4k-qd32:randwrite:4k:32 write-1m:write:1M:4
	randread-4k-qd32:randread:4k:32 read-1m:read:1M:4"

# CPU per operation is that of the daemons and of fio, the latter with the kernel's part of each call.
measure() { # ROUND TARGET WORKLOAD: sets measured_iops
	local name rw bs depth before json line
	IFS=: read -r name rw bs depth <<<"$3"
	before=$(cpu_us ${target_pids[$2]})
	json=$(fio --name=b --filename="${target_file[$2]}" --size=$((${size%M} - 4))M --rw="$rw" --bs="$bs" --iodepth="$depth" \
		--ioengine=libaio --direct=1 --runtime="$seconds" --time_based --randrepeat=1 --output-format=json)
	line=$(jq -r --argjson cpu $(($(cpu_us ${target_pids[$2]}) - before)) '.jobs[0] | select(.error == 0) |
		((.usr_cpu + .sys_cpu) / 100 * .job_runtime * 1000) as $fio |
		(if .write.total_ios > 0 then .write else .read end) | select(.total_ios > 0) |
		[.iops, .bw_bytes / 1048576, .clat_ns.percentile."50.000000" / 1000, .clat_ns.percentile."99.000000" / 1000,
		 ($cpu + $fio) / .total_ios] | @tsv' <<<"$json")
	measured_iops=${line%%$'\t'*}
	[ -n "$line" ] || { echo "bench: $2, $name: fio failed" >&2; return 1; }
	[ "$2" != "thin FUSE" ] || thin_iops=$measured_iops
	printf 'figure\t%s\t%s\t%s\t%s\t%s\t%s\n' "$backing" "$name" "$2" "$1" "$line" "$thin_iops" >>"$results"
}

measure_all() { # ROUND WORKLOAD
	local t i=0
	for t in "${target_names[@]}"; do
		[ "$t" != "thin FUSE" ] || continue
		[ $((i % 3)) -ne 0 ] || measure "$1" "thin FUSE" "$2" || exit 1
		measure "$1" "$t" "$2"
		i=$((i + 1))
	done
}

setup() { # DIR
	target_names=() target_file=() target_pids=()
	work=$(mktemp -d "$1/drbdfs-bench.XXXXXX") || exit 1
	head -c "$size" /dev/zero >"$work/raw"
	wanted_row "raw file" && add_target "raw file" "$work/raw"
	head -c "$size" /dev/zero >"$work/thin.img"
	mkdir "$work/thin"
	"$build/fuse_thin" "$work/thin.img" "$work/thin" &
	pids_to_end+=($!)
	mounts_to_end+=("$work/thin")
	wait_for 10 "thin FUSE" test -e "$work/thin/data" || exit 1
	add_target "thin FUSE" "$work/thin/data" $!
	add_cluster "drbdfs alone" C alpha
	add_cluster "one peer C" C alpha beta
	add_cluster "two peers C" C alpha beta gamma
	add_cluster "one peer A" A alpha beta
	add_cluster "one peer C TLS" C alpha beta
	setup_others "$backing"
}

for backing in ${BACKINGS:-tmpfs disk}; do
	case $backing in
	tmpfs) dir=/dev/shm ;;
	disk) dir=${BENCH_DISK_DIR:-/var/tmp} ;;
	*) die "BACKINGS knows tmpfs and disk, not $backing" ;;
	esac
	setup "$dir"
	# Once over everything first: allocated, caches warm.
	for t in "${target_names[@]}"; do
		fio --name=fill --filename="${target_file[$t]}" --size=$((${size%M} - 4))M --rw=write --bs=1M --direct=1 >/dev/null 2>&1
	done
	for ((r = 1; r <= rounds; r++)); do
		for w in $workloads; do
			[[ ${w%%:*} =~ ${WORKLOADS:-.} ]] && measure_all "$r" "$w"
		done
	done
	teardown
done

echo "medians of $rounds rounds of $seconds s; ratio: median of the ratios to the thin FUSE measured just before"
echo "machine: $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r), TCP $(cat /proc/sys/net/ipv4/tcp_congestion_control); load at the end $(cut -d' ' -f1 /proc/loadavg)"
echo "quorum L+P: qemu-storage-daemon with L local files and P NBD servers (nbdkit; on disk qemu-nbd with O_DIRECT; \"cached\": nbdkit, whose copy is only in the page cache)"
awk -f tests/bench/table.awk "$results"
