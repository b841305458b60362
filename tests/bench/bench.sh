#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# One table: raw file, thinnest FUSE, drbdfs alone and replicated, and what else is installed. All targets are up at
# once and measured in turn, ROUNDS times; the table shows medians and the median of the paired ratios to thin FUSE.
# BACKINGS="tmpfs disk" ROUNDS=3 SECONDS_EACH=2 SIZE=256M
set -u
cd "$(dirname "$0")/../.." || exit 2
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-2} size=${SIZE:-256M}
. tests/lib/cluster.sh
build=$B
command -v fio >/dev/null || die "bench needs fio"

work=
pids_to_end=()
mounts_to_end=()
clusters=()
all_clusters() { # COMMAND...: for each cluster as the current one
	local c
	for c in "${clusters[@]}"; do
		CLUSTER_DIR=$c CLUSTER_NODES=$(cat "$c/nodes")
		"$@"
	done
}
cleanup() {
	local rc=$? m p
	trap - EXIT INT TERM
	all_clusters cluster_stop_all
	for m in "${mounts_to_end[@]}"; do fusermount3 -uz "$m" 2>/dev/null; done
	for p in "${pids_to_end[@]}"; do kill "$p" 2>/dev/null; done
	[ -n "$work" ] && rm -rf "$work"
	exit "$rc"
}
cluster_stop_all() {
	local n
	for n in $CLUSTER_NODES; do
		[ -f "$CLUSTER_DIR/$n/pid" ] && NODE_PID[$n]=$(cat "$CLUSTER_DIR/$n/pid")
	done
	cluster_cleanup
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
}

add_cluster() { # NAME PROTOCOL NODE...
	local name=$1 dir n pids=
	CLUSTER_NET="protocol = \"$2\";"
	shift 2
	dir=$work/${name// /-}
	cluster_new "$dir" "$size" "$@"
	echo "$*" >"$dir/nodes"
	clusters+=("$dir")
	cluster_create_md >/dev/null || die "create-md failed"
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

cpu_ticks() { # PIDS...
	local p sum=0 u s
	for p in "$@"; do
		read -r u s < <(sed 's/.*) //' "/proc/$p/stat" 2>/dev/null | awk '{print $12, $13}') || continue
		sum=$((sum + u + s))
	done
	echo "$sum"
}

# workload: name rw bs iodepth unit
workloads="randwrite-4k-qd1:randwrite:4k:1 randwrite-4k-qd32:randwrite:4k:32 write-1m:write:1M:4
	randread-4k-qd32:randread:4k:32 read-1m:read:1M:4"

measure() { # BACKING ROUND TARGET WORKLOAD
	local IFS=: name rw bs depth before after json direct=1 hz
	read -r name rw bs depth <<<"$4"
	unset IFS
	hz=$(getconf CLK_TCK)
	before=$(cpu_ticks ${target_pids[$3]})
	json=$(fio --name=b --filename="${target_file[$3]}" --size=$((${size%M} - 4))M --rw="$rw" --bs="$bs" --iodepth="$depth" \
		--ioengine=libaio --direct=$direct --runtime="$seconds" --time_based --randrepeat=1 --output-format=json 2>/dev/null)
	after=$(cpu_ticks ${target_pids[$3]})
	jq -r --arg b "$1" --arg r "$2" --arg t "$3" --arg w "$name" --argjson cpu $(((after - before) * 1000000 / hz)) \
		'.jobs[0] | (if .write.total_ios > 0 then .write else .read end) |
		 [$b, $r, $t, $w, .iops, (.bw_bytes / 1048576), (.clat_ns.percentile."50.000000" // 0) / 1000,
		  (.clat_ns.percentile."99.000000" // 0) / 1000, $cpu / (if .total_ios > 0 then .total_ios else 1 end)] | @tsv' \
		<<<"$json" >>"$results"
}

setup() { # DIR
	target_names=() target_file=() target_pids=() clusters=()
	work=$(mktemp -d "$1/drbdfs-bench.XXXXXX") || exit 1
	head -c "$size" /dev/zero >"$work/raw"
	add_target "raw file" "$work/raw"
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
	setup_others
}

setup_others() {
	if command -v qemu-storage-daemon >/dev/null && command -v qemu-nbd >/dev/null; then
		. tests/bench/others.sh
		other_qemu_quorum
	fi
	if command -v nbdkit >/dev/null && command -v nbdfuse >/dev/null; then
		. tests/bench/others.sh
		other_nbdfuse
	fi
}

teardown() {
	local m p
	all_clusters cluster_stop_all
	for m in "${mounts_to_end[@]}"; do fusermount3 -uz "$m" 2>/dev/null; done
	for p in "${pids_to_end[@]}"; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done
	mounts_to_end=() pids_to_end=() clusters=()
	rm -rf "$work"
	work=
}

results=$(mktemp)
for backing in ${BACKINGS:-tmpfs disk}; do
	case $backing in
	tmpfs) dir=/dev/shm ;;
	disk) dir=${BENCH_DISK_DIR:-/var/tmp} ;;
	esac
	setup "$dir"
	# Once over everything first: allocated, caches warm.
	for t in "${target_names[@]}"; do
		fio --name=fill --filename="${target_file[$t]}" --size=$((${size%M} - 4))M --rw=write --bs=1M --direct=1 >/dev/null 2>&1
	done
	for ((r = 1; r <= rounds; r++)); do
		for w in $workloads; do
			for t in "${target_names[@]}"; do measure "$backing" "$r" "$t" "$w"; done
		done
	done
	teardown
done

echo "medians of $rounds rounds of $seconds s; ratio = median of the paired ratios to thin FUSE"
echo "machine: $(nproc) CPUs, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r)"
awk -F'\t' '
function median(s,   a, n, i, j, t) {
	n = split(s, a, " ")
	for (i = 2; i <= n; i++) { t = a[i] + 0; for (j = i - 1; j > 0 && a[j] + 0 > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}
{
	k = $1 FS $4 FS $3
	if (!(k in seen)) { seen[k] = 1; order[++count] = k }
	iops[k] = iops[k] " " $5; mib[k] = mib[k] " " $6; p50[k] = p50[k] " " $7; p99[k] = p99[k] " " $8; cpu[k] = cpu[k] " " $9
	one[$1 FS $4 FS $3 FS $2] = $5
	rounds_of[k] = rounds_of[k] " " $2
}
END {
	for (i = 1; i <= count; i++) {
		split(order[i], f, FS)
		if (f[1] FS f[2] != last) {
			printf "\n%s, %s\n%-22s %10s %10s %10s %10s %8s\n", f[1], f[2], "", (f[2] ~ /1m/ ? "MiB/s" : "IOPS"), "p50 us", "p99 us", "CPU us/op", "ratio"
			last = f[1] FS f[2]
		}
		k = order[i]; ratios = ""
		n = split(rounds_of[k], r, " ")
		for (j = 1; j <= n; j++) { base = one[f[1] FS f[2] FS "thin FUSE" FS r[j]]; if (base > 0) ratios = ratios " " one[k FS r[j]] / base }
		printf "%-22s %10.0f %10.0f %10.0f %10.1f %8.2f\n", f[3], median(f[2] ~ /1m/ ? mib[k] : iops[k]), median(p50[k]), median(p99[k]), median(cpu[k]), median(ratios)
	}
}' "$results"
rm -f "$results"
