#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Two nodes with disks and an arbiter: whatever link is cut, one side keeps quorum and writes; the arbiter needs no privilege,
# nothing to write to, and less than 10 MB with ten resources.
if [ -z "${ARBITER_NET:-}" ] && [ "$(id -u)" -eq 0 ] && unshare -n true 2>/dev/null; then
	exec env ARBITER_NET=1 unshare -n bash "$0" "$@"
fi
. "$(dirname "$0")/functions.sh"
need jq ip setpriv unshare
[ -n "${ARBITER_NET:-}" ] || skip "needs root and a network namespace"
RSS_MAX_KB=9765 # 10 MB
RESOURCES='r0 r1 r2 r3 r4 r5 r6 r7 r8 r9'

# Every link has a pair of addresses of its own on the loopback device; without one of them the link is cut.
must ip link set lo up
declare -A LINK=([alpha-beta]=10.9.1 [alpha-witness]=10.9.2 [beta-witness]=10.9.3)
link_ends() { ip addr "$1" "${LINK[$2]}.1/32" dev lo && ip addr "$1" "${LINK[$2]}.2/32" dev lo; }
cut() { local l; for l in "$@"; do must link_ends del "$l"; done; }
join() { local l; for l in "$@"; do must link_ends add "$l"; done; }
join alpha-beta alpha-witness beta-witness

CLUSTER_DIR=$WORK
CLUSTER_NODES='alpha beta'
chmod 755 "$WORK"
connection() { # A B PORT
	local net=${LINK[$1-$2]}
	echo "{ nodes = [\"$1\", \"$2\"];  paths = ( { ends = ( { node = \"$1\"; address = \"$net.1:$3\"; }, { node = \"$2\"; address = \"$net.2:$3\"; } ); } ); }"
}
resource() { # NAME PORT
	cat <<CONF
  { name = "$1";  volumes = ( { volume = 0; } );
    nodes = (
      { name = "alpha";  node-id = 0;  volumes = ( { volume = 0;  disk = "$WORK/alpha/$1.img"; } ); },
      { name = "beta";  node-id = 1;  volumes = ( { volume = 0;  disk = "$WORK/beta/$1.img"; } ); },
      { name = "witness";  node-id = 2;  volumes = ( { volume = 0;  disk = "none"; } ); } );
    connections = ( $(connection alpha beta "$2"), $(connection alpha witness "$2"), $(connection beta witness "$2") ); }
CONF
}
mkdir -p "$WORK"/{alpha,beta}/mnt "$WORK/witness"
port=7000
{
	echo 'version = 1;'
	echo 'common = { options = { quorum = "majority";  on-no-quorum = "io-error"; };'
	echo '  net = { ping-int = 2;  ping-timeout = 20;  connect-int = 2; }; };'
	echo 'resources = ('
	for r in $RESOURCES; do
		[ "$port" -eq 7000 ] || echo ,
		resource "$r" "$port"
		port=$((port + 1))
	done
	echo ');'
} >"$WORK/drbdfs.conf"
for r in $RESOURCES; do
	for n in alpha beta; do
		truncate -s 16M "$WORK/$n/$r.img"
		must ctl "$n" create-md "$r" --max-peers 3 >/dev/null
	done
done
ln "$WORK/alpha/r0.img" "$WORK/alpha/disk.img"
ln "$WORK/beta/r0.img" "$WORK/beta/disk.img"

# Nobody, with every file system read-only but the directory of its control socket, and without FUSE.
must install -m 755 "$B/drbdfs" "$WORK/arbiter-program"
chown 65534 "$WORK/witness"
witness_start() {
	setsid unshare -m bash -c '
		work=$1
		mount --make-rprivate / && mount --bind "$work/witness" "$work/witness" || exit 1
		for m in $(tac /proc/self/mountinfo | cut -d " " -f 5); do
			case $m in "$work/witness") ;; *) mount -o remount,bind,ro "$m" 2>/dev/null ;; esac
		done
		! touch "$work/probe" 2>/dev/null && mount --bind /dev/null /dev/fuse || exit 1
		exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs \
			"$work/arbiter-program" arbiter -f -c "$work/drbdfs.conf" -n witness -s "$work/witness/control.sock"
	' - "$WORK" >>"$WORK/witness/log" 2>&1 </dev/null &
	NODE_PID[witness]=$!
	must wait_for 60 "the arbiter to answer" ctl witness role r0
}
on_exit 'kill_jobs TERM "${NODE_PID[witness]:-}"'

connected() { # NODE PEER...: in all resources
	local n=$1 p
	shift
	for p in "$@"; do
		[ "$(ctl "$n" status --json 2>/dev/null | jq "[.[].connections[] | select(.name == \"$p\" and .\"connection-state\" == \"Connected\")] | length")" -eq 10 ] || return 1
	done
}
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/${NODE_PID[witness]}/status"; }
must_be_small() {
	grep -q __asan_init "$B/drbdfs" && return
	[ "$(rss_kb)" -lt "$RSS_MAX_KB" ] || fail "the arbiter has $(rss_kb) kB in memory, $RSS_MAX_KB are too many"
}

for n in alpha beta; do must node_start "$n"; done
witness_start
must wait_for 60 "all to be connected" connected witness alpha beta
must wait_for 60 "alpha and beta to be connected" connected alpha beta
for r in $RESOURCES; do must ctl alpha new-current-uuid "$r/0" --clear-bitmap; done
peer_disk() { [ "$(peer_field "$1" "$2" '.peer_devices[0]."peer-disk-state"')" = UpToDate ]; }
whole() { # both disks good, every link there
	disk_is alpha UpToDate && disk_is beta UpToDate && conn_is alpha beta Connected && repl_is alpha beta Established &&
		[ "$(out_of_sync_kib alpha beta)" = 0 ] && conn_is alpha witness Connected && conn_is beta witness Connected &&
		peer_disk witness alpha && peer_disk witness beta
}
must wait_for 60 "both disks to be good" whole
must_be_small
echo "arbiter: $(rss_kb) kB with 10 resources"
role_is witness Secondary || fail "the arbiter is not Secondary"
must_fail any ctl witness primary r0
said 'never becomes Primary'

has_quorum() { [ "$(field "$1" '.devices[0].quorum')" = true ]; }
lost() { conn_is "$1" "$2" Connected && return 1; return 0; }
may_not_write() { # NODE
	mv "$WORK/model" "$WORK/kept"
	ctl "$1" primary r0 >/dev/null 2>&1
	put_random "$1" 4096 64 2>/dev/null && fail "$1 wrote, too"
	mv "$WORK/kept" "$WORK/model"
}
offset=0
writes() { # NODE
	must put_random "$1" "$offset" 64
	offset=$((offset + 64))
}
model_new alpha
must ctl alpha primary r0

# Between the two: the Primary goes on with the arbiter, and the other one knows that it is behind.
cut alpha-beta
must wait_for 60 "alpha to notice" lost alpha beta
must wait_for 60 "beta to notice" lost beta alpha
must wait_for 60 "beta to learn that alpha goes on" not disk_is beta UpToDate
has_quorum alpha || fail "alpha lost quorum in sight of the arbiter"
writes alpha
may_not_write beta
join alpha-beta
must wait_for 60 "all to be whole" whole

# Between either of them and the arbiter: they have each other.
for n in alpha beta; do
	cut "$n-witness"
	must wait_for 60 "$n to notice" lost "$n" witness
	must wait_for 60 "the arbiter to notice" lost witness "$n"
	has_quorum alpha && has_quorum beta || fail "a link to the arbiter took quorum away"
	writes alpha
	may_not_write beta
	join "$n-witness"
	must wait_for 60 "all to be whole" whole
done

# The Secondary alone.
cut alpha-beta beta-witness
must wait_for 60 "beta to lose quorum" not has_quorum beta
must wait_for 60 "alpha to notice" lost alpha beta
writes alpha
may_not_write beta
join alpha-beta beta-witness
must wait_for 60 "all to be whole" whole

# The Primary alone: the other one goes on.
cut alpha-beta alpha-witness
must wait_for 60 "alpha to lose quorum" not has_quorum alpha
may_not_write alpha
must wait_for 60 "beta to become Primary" ctl beta primary r0
writes beta
may_not_write alpha
must ctl alpha secondary r0 --force
join alpha-beta alpha-witness
must wait_for 60 "all to be whole" whole
writes beta

# The arbiter alone, and then without it: nobody decides between two.
node_kill witness
must wait_for 60 "beta to notice" lost beta witness
must wait_for 60 "alpha to notice" lost alpha witness
writes beta
cut alpha-beta
must wait_for 60 "beta to lose quorum" not has_quorum beta
must wait_for 60 "alpha to lose quorum" not has_quorum alpha
may_not_write beta
may_not_write alpha
join alpha-beta
witness_start
must wait_for 60 "all to be whole" whole
writes beta
must ctl beta secondary r0
must wait_for 60 "all to be connected" connected witness alpha beta
must_be_small
grep -qi 'split.brain' "$WORK"/*/log && fail "there was a split brain"

must ctl witness shutdown
must wait_for 30 "the arbiter to end" node_gone "${NODE_PID[witness]}"
stop_all
must_equal_model alpha beta
