# SPDX-License-Identifier: GPL-2.0-or-later
# A cluster of drbdfs nodes on this machine: one directory, one configuration file, one daemon per node. Sourced.
#
#   cluster_new DIR SIZE NODE...     directory, ports, configuration, backing files (sparse)
#   cluster_create_md                create-md on every node
#   node_start NODE / node_stop NODE / node_kill NODE (SIGKILL)
#   ctl NODE COMMAND...              drbdctl for that node
#   field NODE JQ                    a value from `status r0 --json`
#   wait_for LIMIT_S "what" COMMAND...  polls until COMMAND succeeds; a limit is for what hangs, not for what is slow
#   may_mount_loop DIR               whether a file system on a loop device can be used here; tried out in DIR
#   free_port                        sets PORT to one that nobody listens on, another one each time
#   cluster_cleanup                  stops everything that was started here; safe to call twice
#
# CLUSTER_NET, CLUSTER_DISK, CLUSTER_OPTIONS: extra settings for the common section. CLUSTER_PING_INT (s), CLUSTER_PING_TIMEOUT: in tenths of a
# second; more than the usual one second where a connection must not be lost because the machine is busy.

B=${B:-build}
B=$(cd "$B" && pwd)
PATH=$PATH:/usr/sbin:/sbin
declare -A NODE_PID=()
declare -A NODE_ID=()
declare -A NODE_EXEC=() # what the daemon is started by, if anything
CLUSTER_DIR=

# Sleeps without a process: bash can take a new child for an earlier `<(...)` with the same process id, and wait for ever.
exec {NEVER_READY}<> <(:)
pause() { read -r -t "$1" -u "$NEVER_READY" || true; } # SECONDS

die() { echo "$*" >&2; exit 1; }

wait_for() { # LIMIT_S WHAT COMMAND...
	local limit=$1 what=$2 end=$((SECONDS + $1))
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "waited ${limit} s in vain for: $what ($*)" >&2
			return 1
		fi
		pause 0.05
	done
}

# Not who we are decides, but what a container lets us do and has devices for.
may_mount_loop() { # DIR
	local dev rc=1
	mkdir "$1/probe"
	truncate -s 1M "$1/probe.img" && mkfs.ext4 -q -F "$1/probe.img" && dev=$(losetup -f --show "$1/probe.img") && {
		mount "$dev" "$1/probe" && umount "$1/probe" && rc=0
		losetup -d "$dev"
	}
	rm -rf "$1/probe" "$1/probe.img"
	return "$rc"
} 2>/dev/null

# Below those that the system gives to outgoing connections (and drbdfs to its own): one of them could hold the port
# of a node that is down for a moment.
PORT=$((20000 + ($$ * 37) % 12000))
[ -z "${SLOT:-}" ] || PORT=$((20000 + SLOT % 6 * 2000 + ($$ * 37) % 1900)) # of several runs at once
free_port() {
	PORT=$((PORT + 1))
	while (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do PORT=$((PORT + 1)); done
}

cluster_new() { # DIR SIZE NODE...
	CLUSTER_DIR=$1
	local size=$2 name id=0 nodes= sep=
	shift 2
	CLUSTER_NODES="$*"
	for name in "$@"; do
		free_port
		mkdir -p "$CLUSTER_DIR/$name/mnt"
		truncate -s "$size" "$CLUSTER_DIR/$name/disk.img"
		NODE_ID[$name]=$id
		nodes="$nodes$sep
      { name = \"$name\";  node-id = $id;  address = \"127.0.0.1:$PORT\";
        volumes = ( { volume = 0;  disk = \"$CLUSTER_DIR/$name/disk.img\"; } ); }"
		sep=,
		id=$((id + 1))
	done
	cat >"$CLUSTER_DIR/drbdfs.conf" <<CONF
version = 1;
common = {
  net = { ping-int = ${CLUSTER_PING_INT:-$(((${CLUSTER_PING_TIMEOUT:-10} + 9) / 10))};  ping-timeout = ${CLUSTER_PING_TIMEOUT:-10};  connect-int = 2;  ${CLUSTER_NET:-} };
  disk = { ${CLUSTER_DISK:-} };
  options = { ${CLUSTER_OPTIONS:-} };
};
resources = (
  { name = "r0";
    volumes = ( { volume = 0; } );
    nodes = ($nodes );
  }
);
CONF
}

ctl() { # NODE COMMAND...
	local node=$1
	shift
	"$B/drbdctl" -c "$CLUSTER_DIR/drbdfs.conf" -n "$node" -s "$CLUSTER_DIR/$node/control.sock" "$@"
}

cluster_create_md() {
	local node
	for node in $CLUSTER_NODES; do
		ctl "$node" create-md r0 --max-peers "${CLUSTER_MAX_PEERS:-3}" || return 1
	done
}

node_file() { echo "$CLUSTER_DIR/$1/mnt/r0"; }
node_disk() { echo "$CLUSTER_DIR/$1/disk.img"; }

node_answers() { ctl "$1" role r0 && [ -e "$(node_file "$1")" ]; }
# Of children of this shell, and only as long as they run: soon the number of one that has ended is somebody else's.
job_runs() { [ -n "$1" ] && [[ $'\n'"$(jobs -rp)"$'\n' == *$'\n'"$1"$'\n'* ]]; } # PID
kill_jobs() { # SIGNAL PID...
	local signal=$1 pid
	shift
	for pid in "$@"; do ! job_runs "$pid" || kill "-$signal" "$pid" 2>/dev/null; done
	return 0
}
node_alive() { job_runs "${NODE_PID[$1]:-none}"; }

node_start() { # NODE [extra drbdfs options]
	local node=$1
	shift
	setsid ${NODE_EXEC[$node]:-} "$B/drbdfs" mount -c "$CLUSTER_DIR/drbdfs.conf" -n "$node" -s "$CLUSTER_DIR/$node/control.sock" \
		-f "$@" "$CLUSTER_DIR/$node/mnt" >>"$CLUSTER_DIR/$node/log" 2>&1 </dev/null &
	NODE_PID[$node]=$!
	node_up_or_dead() { node_answers "$1" || ! node_alive "$1"; }
	wait_for 60 "node $node to answer" node_up_or_dead "$node" && node_alive "$node" || {
		echo "node $node did not start; the end of its log:" >&2
		tail -n 20 "$CLUSTER_DIR/$node/log" >&2
		return 1
	}
}

node_gone() { ! job_runs "$1"; }

node_stop() { # NODE: orderly
	local pid=${NODE_PID[$1]:-}
	[ -n "$pid" ] || return 0
	kill_jobs TERM "$pid"
	wait_for 60 "node $1 to end" node_gone "$pid" || return 1
	unset "NODE_PID[$1]"
}

node_kill() { # NODE: SIGKILL
	local pid=${NODE_PID[$1]:-}
	[ -n "$pid" ] || return 0
	# The shell says of a child that it was killed, here it is no news.
	{
		kill_jobs KILL "$pid"
		wait "$pid"
	} 2>/dev/null
	unset "NODE_PID[$1]"
}

field() { # NODE JQ
	ctl "$1" status r0 --json 2>/dev/null | jq -r ".[0] | $2"
}

disk_is() { [ "$(field "$1" '.devices[0]."disk-state"')" = "$2" ]; }
# Every node is UpToDate, all its connections Established with UpToDate peers and nothing out of sync.
node_settled() {
	[ "$(field "$1" '[.devices[]."disk-state", .connections[].peer_devices[]?."peer-disk-state"] | unique | join(",")')" = UpToDate ] &&
		[ "$(field "$1" '[.connections[].peer_devices[]?."replication-state"] | unique | join(",")')" = Established ] &&
		[ "$(field "$1" '[.connections[].peer_devices[]?."out-of-sync"] | add')" = 0 ]
}
cluster_settled() {
	local node
	for node in ${1:-$CLUSTER_NODES}; do node_settled "$node" || return 1; done
}

# Bytes of the replicated data area of a stopped node's backing file.
data_bytes() { ctl "$1" dump-md --force r0 2>/dev/null | awk '/la-size-sect/ { sub(";", "", $2); print $2 * 512 }'; }

# Compares the data areas of all (stopped) nodes.
cluster_compare() {
	local first= node bytes
	for node in $CLUSTER_NODES; do
		if [ -z "$first" ]; then
			first=$node
			bytes=$(data_bytes "$node")
			[ "${bytes:-0}" -gt 0 ] || { echo "no agreed size in the metadata of $node" >&2; return 1; }
			continue
		fi
		cmp -n "$bytes" "$(node_disk "$first")" "$(node_disk "$node")" || return 1
	done
}

cluster_cleanup() {
	local node pid
	for node in ${CLUSTER_NODES:-}; do
		pid=${NODE_PID[$node]:-}
		if [ -n "$pid" ]; then
			kill_jobs TERM "$pid"
			wait_for 5 "node $node to end" node_gone "$pid" 2>/dev/null || kill_jobs KILL "$pid"
		fi
		unset "NODE_PID[$node]"
		if grep -qs " $CLUSTER_DIR/$node/mnt fuse" /proc/mounts; then
			fusermount3 -uz "$CLUSTER_DIR/$node/mnt" 2>/dev/null || umount -l "$CLUSTER_DIR/$node/mnt" 2>/dev/null
		fi
	done
	return 0
}
