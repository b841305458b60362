# SPDX-License-Identifier: GPL-2.0-or-later
# What every interop scenario starts from: our node "here", the peer machine "there" with kernel DRBD. Sourced.
#
# From run.sh, in the environment: PEER_RUN (runs its argument as a line of shell on the peer), PEER_ADDRESS, OWN_ADDRESS,
# PEER_DISK, and where given PEER_CRASH, PEER_IMAGE, PEER_CONSOLE, LINK_CUT, LINK_HEAL; OWN_ID (0 or 1); B.
# drbd8.sh has what is different with DRBD 8.4.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
. tests/lib/cluster.sh

WORK=$(mktemp -d "${TMPDIR:-/tmp}/drbdfs-interop.XXXXXX")
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
THERE_MINOR=${PEER_MINOR:-100}
THERE_DEV=/dev/drbd$THERE_MINOR
THERE_CONF=/tmp/drbdfs-interop.conf
PORT=${PORT:-7789}
SIZE=${SIZE:-64M}
OWN_ID=${OWN_ID:-0}
PING_DS=${PING_DS:-30} # ping-timeout in tenths of a second
SLOW=${SLOW:-1}        # all limits times this
eval "unhurried_$(declare -f wait_for)"
wait_for() { unhurried_wait_for $(($1 * SLOW)) "${@:2}"; }
THERE_ID=$((1 - OWN_ID))
link_is_cut=
kernel_trouble='BUG[: ]|Oops|WARNING: CPU|BAD!|ASSERTION .* FAILED|ASSERT FAILED|ASSERT\(|Call Trace'
our_trouble='Sanitizer|runtime error:|this must always hold'

skip() { echo "$*"; exit 77; }
fail() { echo "FAIL: $*"; exit 1; }
must() { "$@" || fail "$* (exit $?)"; }
not() { ! "$@"; }

# ---- the peer ----

there() { $PEER_RUN "$1"; } # LINE
there_put() { there "echo $(base64 -w0 "$1") | base64 -d >$2"; } # FILE PATH
adm() { there "drbdadm -c $THERE_CONF $*"; }
# drbdadm waits 5 s for each drbdsetup; an emulated machine may need more, and then adjust does the rest.
there_up() { adm up r0 || adm adjust r0 || adm adjust r0; }
there_down() { adm down r0; }

there_status() { there "drbdsetup status r0 --json --statistics"; }
there_field() { # JQ
	there_status 2>/dev/null | jq -r ".[0] | $1" 2>/dev/null
}

there_crash() { # the machine is lost without warning and comes back without its resource
	[ -n "${PEER_CRASH:-}" ] || skip "no way to crash the peer (PEER_CRASH)"
	there_trouble
	$PEER_CRASH || return 1
	there_put "$WORK/there.conf" $THERE_CONF
}

# ---- configurations ----

# Settings of both: NET_HERE/NET_THERE, DISK_HERE/DISK_THERE.
conf_here() {
	cat >"$CLUSTER_DIR/drbdfs.conf" <<CONF
version = 1;
common = {
  net = { protocol = "$PROTOCOL";  ping-int = $((PING_DS / 10 + 1));  ping-timeout = $PING_DS;  connect-int = 2;  socket-check-timeout = 5;  ${NET_HERE:-} };
  disk = { ${DISK_HERE:-} };
};
resources = (
  { name = "r0";
    volumes = ( { volume = 0; } );
    nodes = (
      { name = "here";  node-id = $OWN_ID;  address = "$OWN_ADDRESS:$PORT";
        volumes = ( { volume = 0;  disk = "$CLUSTER_DIR/here/disk.img"; } ); },
      { name = "there";  node-id = $THERE_ID;  address = "$PEER_ADDRESS:$PORT";
        volumes = ( { volume = 0;  disk = "$PEER_DISK"; } ); } );
  }
);
CONF
}

conf_there() {
	cat >"$WORK/there.conf" <<CONF
resource r0 {
	options { auto-promote no; }
	net { protocol $PROTOCOL; ping-int $((PING_DS / 10 + 1)); ping-timeout $PING_DS; connect-int 2; socket-check-timeout 5; ${NET_THERE:-} }
	disk { ${DISK_THERE:-} }
	on here { address $OWN_ADDRESS:$PORT; node-id $OWN_ID; device minor $THERE_MINOR; disk /dev/none; meta-disk internal; }
	on $THERE_NAME { address $PEER_ADDRESS:$PORT; node-id $THERE_ID; device minor $THERE_MINOR; disk $PEER_DISK; meta-disk internal; }
}
CONF
	there_put "$WORK/there.conf" $THERE_CONF
}

# Fresh metadata on both, nothing up.
world_new() { # [PROTOCOL]
	PROTOCOL=${1:-C}
	CLUSTER_DIR=$WORK
	CLUSTER_NODES=here
	mkdir -p "$WORK/here/mnt"
	rm -f "$WORK/here/disk.img"
	truncate -s "$SIZE" "$WORK/here/disk.img"
	[ -z "${THERE_NAME:-}" ] || there_trouble
	there "drbdsetup down r0; dmesg -C; true" >/dev/null 2>&1 || fail "the peer does not answer"
	THERE_NAME=$(there "uname -n")
	conf_here
	must conf_there
	must there "blkdiscard -f -z $PEER_DISK 2>&1"
	must ctl here create-md r0 --max-peers ${MAX_PEERS:-3}
	must there_create_md
}
there_create_md() { adm create-md --force --max-peers=${MAX_PEERS:-3} r0; }

both_up() {
	must node_start here
	must there_up
}

# Both up, connected and declared equal by ORIGIN.
world_equal() { # [PROTOCOL [here|there]]
	world_new "${1:-C}"
	both_up
	must wait_for 60 "the connection" connected
	if [ "${2:-here}" = here ]; then
		must ctl here new-current-uuid r0/0 --clear-bitmap
	else
		must adm new-current-uuid --clear-bitmap r0/0
	fi
	must wait_for 60 "both nodes settled" settled
	model_new
}

# ---- what is the case ----

here_peer() { field here ".connections[0] | $1"; }
connected() { [ "$(here_peer '."connection-state"')" = Connected ]; }
here_conn_is() { [ "$(here_peer '."connection-state"')" = "$1" ]; }
here_repl_is() { [ "$(here_peer '.peer_devices[0]."replication-state"')" = "$1" ]; }
there_conn_is() { [ "$(there_field '.connections[0]."connection-state"')" = "$1" ]; }
there_repl_is() { [ "$(there_field '.connections[0].peer_devices[0]."replication-state"')" = "$1" ]; }
there_disk_is() { [ "$(there_field '.devices[0]."disk-state"')" = "$1" ]; }
there_settled() {
	[ "$(there_field '[.role != null, .devices[0]."disk-state", .connections[0].peer_devices[0]."peer-disk-state",
		.connections[0].peer_devices[0]."replication-state", .connections[0].peer_devices[0]."out-of-sync"] | join(",")')" = \
		"true,UpToDate,UpToDate,Established,0" ]
}
established() { here_repl_is Established && there_repl_is Established; }
settled() { node_settled here && there_settled; }
# KiB of data that came from the peer / went to it.
here_received() { here_peer '.peer_devices[0].received'; }
here_sent() { here_peer '.peer_devices[0].sent'; }
here_moved() { echo $(($(here_received) + $(here_sent))); }
here_file() { echo "$WORK/here/mnt/r0"; }

# ---- writing ----

# KIB KiB of text that depends on SEED: 64 bytes a line, no two lines alike. Runs on both machines.
fill_line() { echo "awk 'BEGIN { for (i = 0; i < $2 * 16; i++) printf \"%06d %056d\\n\", $1, i }'"; } # SEED KIB
into_model() { # SEED OFFSET_KIB KIB
	eval "$(fill_line "$1" "$3")" | dd of="$WORK/model" bs=64k iflag=fullblock oflag=seek_bytes seek=$(($2 * 1024)) conv=notrunc status=none
}
model_new() {
	rm -f "$WORK/model"
	truncate -s "$(stat -c %s "$(here_file)")" "$WORK/model"
}
here_write() { # SEED OFFSET_KIB KIB
	eval "$(fill_line "$1" "$3")" | dd of="$(here_file)" bs=64k iflag=fullblock oflag=seek_bytes seek=$(($2 * 1024)) conv=notrunc,nocreat,fsync status=none &&
		into_model "$@"
}
there_write() { # SEED OFFSET_KIB KIB
	there "$(fill_line "$1" "$3") | dd of=$THERE_DEV bs=64k iflag=fullblock oflag=seek_bytes,direct seek=$(($2 * 1024)) conv=notrunc,nocreat,fsync status=none" &&
		into_model "$@"
}
zero_model() { # OFFSET_KIB KIB
	dd if=/dev/zero of="$WORK/model" bs=1024 seek="$1" count="$2" conv=notrunc status=none
}
# SIDE_write etc. by a variable: on SIDE FUNCTION ARGUMENTS
on() { local side=$1 what=$2; shift 2; "${side}_$what" "$@"; }
other() { if [ "$1" = here ]; then echo there; else echo here; fi; }
here_promote() { ctl here primary r0; }
there_promote() { adm primary r0; }
# FUSE tells a moment after close() that the file is not open any more.
here_demote() { wait_for 30 "us to be Secondary" ctl here secondary r0; }
there_demote() { adm secondary r0; }
here_disconnect() { ctl here disconnect r0; }
there_disconnect() { adm disconnect r0; }
here_connect() { ctl here connect r0; }
there_connect() { adm connect r0; }

# Writes into the first LOAD_BLOCKS blocks of 4 KiB until load_stop; the model does not follow.
LOAD_BLOCKS=14000
here_load_start() {
	rm -f "$WORK/load.done"
	: >"$WORK/load"
	( while [ -e "$WORK/load" ]; do
		head -c 65536 /dev/urandom | dd of="$(here_file)" bs=64k iflag=fullblock oflag=seek_bytes,direct seek=$((RANDOM % LOAD_BLOCKS * 4096)) conv=notrunc,nocreat status=none || break
		echo >>"$WORK/load.done"
	done ) >"$WORK/load.out" 2>&1 &
	load_pid=$!
}
here_load_stop() { rm -f "$WORK/load"; wait_for 60 "the load to end" node_gone "$load_pid"; }
there_load_start() {
	must there "rm -f /tmp/drbdfs-load.*; dd if=/dev/urandom of=/tmp/drbdfs-load.data bs=64k count=16 iflag=fullblock status=none && touch /tmp/drbdfs-load"
	must there "(while [ -e /tmp/drbdfs-load ]; do dd if=/tmp/drbdfs-load.data skip=\$((RANDOM % 256)) of=$THERE_DEV bs=4k count=16 seek=\$((RANDOM % $LOAD_BLOCKS)) oflag=direct conv=notrunc,nocreat status=none || break; echo >>/tmp/drbdfs-load.done; done; touch /tmp/drbdfs-load.end) </dev/null >/dev/null 2>&1 &"
}
there_load_stop() { must there "rm -f /tmp/drbdfs-load" && there_waits 60 "[ -e /tmp/drbdfs-load.end ]"; }
load_goes_on() { wait_for 60 "writes of $1" "$1_load_did" $(($("$1_load_count") + $2)); } # SIDE WRITES
# Polled on the peer: an emulated one is slow enough without being asked all the time.
there_waits() { # LIMIT_S CONDITION
	there "for ((i = 0; i < $1 * $SLOW * 2; i++)); do $2 && exit 0; sleep 0.5; done; exit 1"
}
# Before the first write there is no file; the shell itself would say so.
here_load_count() { [ ! -e "$WORK/load.done" ] && echo 0 || wc -l <"$WORK/load.done"; }
there_load_count() { there "[ ! -e /tmp/drbdfs-load.done ] && echo 0 || wc -l </tmp/drbdfs-load.done"; }
here_load_did() { [ "$(here_load_count)" -ge "$1" ]; }
there_load_did() { there_waits 60 "[ -e /tmp/drbdfs-load.done ] && [ \$(wc -l </tmp/drbdfs-load.done) -ge $1 ]"; }

# ---- moving ----

# Of two nodes that are down each gets the other's disk, with its metadata and so with its node id.
swap_disks() {
	must cp --sparse=never "$PEER_IMAGE" "$WORK/moved"
	must dd if="$WORK/here/disk.img" of="$PEER_IMAGE" bs=1M conv=notrunc status=none
	must mv "$WORK/moved" "$WORK/here/disk.img"
	OWN_ID=$THERE_ID THERE_ID=$((1 - THERE_ID))
	conf_here
	must conf_there
	there "blockdev --flushbufs $PEER_DISK" >/dev/null 2>&1
}

# ---- end ----

# The data area of the peer's disk, of a volume that is down.
there_sum() { # BYTES
	if [ -n "${PEER_IMAGE:-}" ]; then
		head -c "$1" "$PEER_IMAGE" | sha256sum
	else
		there "dd if=$PEER_DISK bs=4096 count=$(($1 / 4096)) iflag=direct status=none | sha256sum"
	fi | cut -d' ' -f1
}

# Which blocks of 4 KiB of the data areas, where the peer's disk is a file here.
differing_blocks() { # BYTES
	[ -z "${PEER_IMAGE:-}" ] || cmp -l -n "$1" "$WORK/here/disk.img" "$PEER_IMAGE" |
		awk '{ b = int(($1 - 1) / 4096) } b != last || NR == 1 { last = b; if (n++ < 20) list = list " " b } END { print ": " n " blocks of 4 KiB:" list }'
}

# Both down; both data areas are equal, and equal to the model unless a load ran.
finish_equal() { # [no-model]
	local bytes
	must node_stop here
	must there_down
	bytes=$(data_bytes here)
	[ "${bytes:-0}" -gt 0 ] || fail "no agreed size in the metadata here"
	[ "$(head -c "$bytes" "$WORK/here/disk.img" | sha256sum | cut -d' ' -f1)" = "$(there_sum "$bytes")" ] || fail "the data of both nodes differ$(differing_blocks "$bytes")"
	[ "${1:-}" = no-model ] || [ ! -e "$WORK/model" ] || cmp -n "$bytes" "$WORK/model" "$WORK/here/disk.img" || fail "the data are not what was written"
}

cut_link() {
	[ -n "${LINK_CUT:-}" ] || skip "no way to cut the link (LINK_CUT)"
	$LINK_CUT && link_is_cut=y
}
heal_link() { $LINK_HEAL && link_is_cut=; }

there_trouble() { # appends what the peer's kernel has said since the last time
	if [ -n "${PEER_CONSOLE:-}" ]; then
		tail -c +$((console_read + 1)) "$PEER_CONSOLE" >>"$WORK/there.log"
		console_read=$(stat -c %s "$PEER_CONSOLE")
	else
		there "dmesg" 2>/dev/null >>"$WORK/there.log"
	fi
}
[ -z "${PEER_CONSOLE:-}" ] || console_read=$(stat -c %s "$PEER_CONSOLE")

finish() {
	local rc=$?
	trap - EXIT INT TERM
	[ -z "$link_is_cut" ] || heal_link
	rm -f "$WORK/load"
	there_trouble
	if [ "$rc" -eq 0 ] && grep -E "$kernel_trouble" "$WORK/there.log"; then rc=1; fi
	if [ "$rc" -eq 0 ] && grep -E "$our_trouble" "$WORK/here/log" 2>/dev/null; then rc=1; fi
	if [ "$rc" -ne 0 ] && [ "$rc" -ne 77 ]; then
		local n
		for n in here near far; do
			[ -e "$WORK/$n/log" ] || continue
			echo "--- $n: status and end of the log"
			node_alive "$n" && ctl "$n" status --verbose
			tail -n 40 "$WORK/$n/log"
		done
		echo "--- there: status and end of the kernel's log"
		there "rm -f /tmp/drbdfs-load"
		there_status
		tail -n 60 "$WORK/there.log"
	fi
	cluster_cleanup
	there "rm -f /tmp/drbdfs-load; drbdsetup secondary --force r0 || drbdsetup secondary r0; drbdsetup down r0" >/dev/null 2>&1
	if [ -n "${KEEP:-}" ]; then echo "kept: $WORK"; else rm -rf "$WORK"; fi
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

THERE_VERSION=$(there "sed -n 's/^version: \([0-9.]*\).*/\1/p' /proc/drbd")
[[ $THERE_VERSION != 8.* ]] || . tests/interop/drbd8.sh
needs_drbd8() { [[ $THERE_VERSION = 8.* ]] || skip "DRBD $THERE_VERSION: $1"; } # WHY
needs_drbd9() { [[ $THERE_VERSION != 8.* ]] || skip "DRBD $THERE_VERSION: $1"; } # WHY
