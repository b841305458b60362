# SPDX-License-Identifier: GPL-2.0-or-later
# What every integration test starts from: a scratch directory, cleanup on all exits, skip with a reason. Sourced.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/lib/cluster.sh

WORK=$(mktemp -d "${TMPDIR:-/tmp}/drbdfs-test.XXXXXX")
cleanup_hooks=()
broken='Sanitizer|runtime error:|this must always hold'
on_exit() { cleanup_hooks=("$*" "${cleanup_hooks[@]}"); }
finish() {
	local rc=$? hook n
	trap - EXIT INT TERM
	# A daemon that broke its own rules, or a sanitizer's, has not passed whatever it did else.
	if [ "$rc" -eq 0 ] && [ -n "$CLUSTER_DIR" ] && grep -Eq "$broken" "$CLUSTER_DIR"/*/log 2>/dev/null; then
		grep -Eh -A 30 "$broken" "$CLUSTER_DIR"/*/log
		rc=1
	fi
	if [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ] && [ -n "$CLUSTER_DIR" ]; then
		for n in ${CLUSTER_NODES:-}; do
			echo "--- $n: status and end of the log"
			node_alive "$n" && ctl "$n" status --verbose 2>&1
			tail -n 25 "$CLUSTER_DIR/$n/log" 2>/dev/null
		done
	fi
	for hook in "${cleanup_hooks[@]}"; do eval "$hook"; done
	cluster_cleanup
	rm -rf "$WORK"
	exit "$rc"
}
trap finish EXIT
export LC_ALL=C
trap 'exit 130' INT
trap 'exit 143' TERM

skip() { echo "$*"; exit 77; }
fail() { echo "FAIL: $*"; exit 1; }
must() { "$@" || fail "$* (exit $?)"; }
must_fail() { # WANTED_EXIT COMMAND...: any failure if WANTED_EXIT is "any"
	local want=$1 rc=0
	shift
	"$@" >"$WORK/out" 2>&1 || rc=$?
	[ "$rc" -ne 0 ] || fail "$* succeeded, expected exit $want"
	[ "$want" = any ] || [ "$rc" = "$want" ] || { cat "$WORK/out"; fail "$*: exit $rc, expected $want"; }
}
need() { local c; for c in "$@"; do command -v "$c" >/dev/null || skip "needs $c"; done; }
# drbd-utils before 9.27 neither print nor read `members`.
drbdmeta_knows_members() {
	truncate -s 1M "$WORK/members" && drbdmeta --force - v09 "$WORK/members" internal create-md 1 >/dev/null 2>&1
	drbdmeta --force - v09 "$WORK/members" internal dump-md 2>/dev/null | grep -q '^members '
}
[ -w /dev/fuse ] || skip "needs /dev/fuse"

# Three nodes, metadata created, mounted, connected, declared equal.
three_nodes() { # SIZE
	cluster_new "$WORK" "${1:-64M}" alpha beta gamma
	must cluster_create_md >/dev/null
	for n in alpha beta gamma; do must node_start "$n"; done
	# Two that are still connecting when they are declared equal find a full resync safer.
	for n in alpha beta; do must ctl "$n" wait-connect r0 --timeout 60; done
	must ctl alpha new-current-uuid r0/0 --clear-bitmap
	must wait_for 60 "all nodes settled" cluster_settled
}

two_nodes() { # SIZE
	cluster_new "$WORK" "${1:-64M}" alpha beta
	must cluster_create_md >/dev/null
	for n in alpha beta; do must node_start "$n"; done
	must ctl alpha wait-connect r0 --timeout 60
	must ctl alpha new-current-uuid r0/0 --clear-bitmap
	must wait_for 60 "both nodes settled" cluster_settled
}

# Two nodes whose resync takes its time; the model is that of alpha. Where a node must not be lost because the machine is
# busy: a Primary without disk has its data on the other side of the connection only.
two_nodes_slow_resync() { # SIZE PING_TIMEOUT_DS
	CLUSTER_DISK='c-plan-ahead = 0; resync-rate = "4M"; c-max-rate = "4M";'
	CLUSTER_PING_TIMEOUT=$2
	two_nodes "$1"
	model_new alpha
}

# Writers of numbered records: job $load on $primary, journal $WORK/journal.
count() { "$B/records" acknowledged "$WORK/journal"; }
enough() { [ "$(count)" -ge "$target" ] || node_gone "$load"; }
progress() { # HOW-MANY WHAT WHEN
	target=$(($(count) + $1))
	must wait_for 60 "$2" enough
	! node_gone "$load" || { cat "$WORK/load.err"; fail "$3: the writers on $primary ended by themselves"; }
}

# The disk of NODE lies in the volatile cache of volatile_disk from now on; commands: $WORK/NODE/below/ctl; process: $BELOW_PID.
volatile_disk_below() { # NODE
	local below=$WORK/$1/below
	mkdir "$below"
	mv "$(node_disk "$1")" "$WORK/$1/durable.img"
	"$B/volatile_disk" "$WORK/$1/durable.img" "$below" >"$WORK/$1/below.log" 2>&1 </dev/null &
	BELOW_PID=$!
	on_exit "fusermount3 -uzq '$below'; kill_jobs TERM $BELOW_PID"
	must wait_for 30 "the disk below $1" test -e "$below/ctl"
	ln -s "$below/disk" "$(node_disk "$1")"
}

# The text of the last must_fail, or of `run COMMAND...`.
run() { "$@" >"$WORK/out" 2>&1; }
said() { # EXTENDED-REGEX...
	local p
	for p in "$@"; do
		grep -Eq -- "$p" "$WORK/out" || { cat "$WORK/out"; fail "expected a line matching: $p"; }
	done
}
# The same of `status` on NODE, now or (with wait_for) some time.
status_shows() { # NODE EXTENDED-REGEX...
	local node=$1 p
	shift
	run ctl "$node" status || return 1
	for p in "$@"; do grep -Eq -- "$p" "$WORK/out" || return 1; done
}
is_root() { [ "$(id -u)" -eq 0 ]; }

role_is() { [ "$(ctl "$1" role r0 2>/dev/null)" = "$2" ]; }
peer_field() { field "$1" ".connections[] | select(.name == \"$2\") | $3"; } # NODE PEER JQ
not() { ! "$@"; }
conn_is() { [ "$(peer_field "$1" "$2" '."connection-state"')" = "$3" ]; }
repl_is() { [ "$(peer_field "$1" "$2" '.peer_devices[0]."replication-state"')" = "$3" ]; }
out_of_sync_kib() { peer_field "$1" "$2" '.peer_devices[0]."out-of-sync"'; }
# KiB of data (application and resync) sent to PEER since the resource is up.
sent_kib() { peer_field "$1" "$2" '.peer_devices[0].sent'; }

# Random data into NODE's file: OFFSET and LENGTH in KiB; synced. The same bytes go into the model file if there is one, the last ones
# are in $WORK/put.tmp. Several may run at once: each has a source of its own, that no other one truncates while it is read.
put_random() { # NODE OFFSET_KIB LENGTH_KIB
	local source=$WORK/put.$BASHPID
	head -c $(($3 * 1024)) /dev/urandom >"$source"
	dd if="$source" of="$(node_file "$1")" bs=64k oflag=seek_bytes seek=$(($2 * 1024)) conv=notrunc,nocreat,fsync status=none || return 1
	[ ! -e "$WORK/model" ] || dd if="$source" of="$WORK/model" bs=64k oflag=seek_bytes seek=$(($2 * 1024)) conv=notrunc status=none || return 1
	mv "$source" "$WORK/put.tmp"
}
# A file that shall be equal to the volume: zeroes at first.
model_new() { truncate -s "$(stat -c %s "$(node_file "$1")")" "$WORK/model"; }
# The backing file of a stopped node holds what the model says.
must_equal_model() { # NODE...
	local n bytes
	for n in "$@"; do
		bytes=$(stat -c %s "$WORK/model")
		cmp -n "$bytes" "$WORK/model" "$(node_disk "$n")" || fail "the data of $n differ from what was written"
	done
}
stop_all() { local n; for n in $CLUSTER_NODES; do must node_stop "$n"; done; }
