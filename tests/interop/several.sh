# SPDX-License-Identifier: GPL-2.0-or-later
# Worlds of more than two nodes, for scenarios that source it: "there" and "here" as ever, "near" and "far" are further nodes of ours.
#
#   NODES="here there near [far]"    who takes part; the first is node 0, the second 1 (or the other way round: OWN_ID), then 2 and 3
#   LINKS="here-near there-near"     which connections there are; default: all
#   DISKLESS="near"                  who has no disk
#   OPTIONS_HERE, OPTIONS_THERE      of the group options
# After several_new, several_up: node_start NODE, there_up, several_settled, several_equal; several_finish compares. SIDE functions know all of them.
NODES=${NODES:-here there near}
DISKLESS=${DISKLESS:-}
LINKS=${LINKS:-}
needs_drbd9 "it has one peer, and a disk"
read -r near_address far_address <<<"${MORE_ADDRESSES:-}"
if [ "$NODES" != "here there" ] && [ -z "$far_address" ]; then skip "no further addresses of this machine (--more)"; fi
declare -A ADDRESS=([here]=$OWN_ADDRESS [there]=$PEER_ADDRESS [near]=$near_address [far]=$far_address)
declare -A ID=([here]=$OWN_ID [there]=$THERE_ID [near]=2 [far]=3)

is_in() { [[ " $2 " == *" $1 "* ]]; } # WORD WORDS
ours() { local n; for n in $NODES; do [ "$n" = there ] || echo "$n"; done; }
with_disk() { local n; for n in $NODES; do is_in "$n" "$DISKLESS" || echo "$n"; done; }
links() {
	local a b seen=
	[ -z "$LINKS" ] || { echo "$LINKS"; return; }
	for a in $NODES; do
		for b in $seen; do echo "$b-$a"; done
		seen="$seen $a"
	done
}
linked() { local l; for l in $(links); do if [ "$l" = "$1-$2" ] || [ "$l" = "$2-$1" ]; then return 0; fi; done; return 1; } # A B
link_count() { local l k=0; for l in $(links); do case $l in "$1"-* | *-"$1") k=$((k + 1)) ;; esac; done; echo $k; } # NODE
disk_of() { # NODE, for our configuration
	if is_in "$1" "$DISKLESS"; then echo none; elif [ "$1" = there ]; then echo "$PEER_DISK"; else echo "$CLUSTER_DIR/$1/disk.img"; fi
}

conf_here() {
	local n l sep=
	{
		cat <<CONF
version = 1;
common = {
  net = { protocol = "$PROTOCOL";  ping-int = $((PING_DS / 10 + 1));  ping-timeout = $PING_DS;  connect-int = 2;  socket-check-timeout = 5;  ${NET_HERE:-} };
  disk = { ${DISK_HERE:-} };
  options = { ${OPTIONS_HERE:-} };
};
resources = (
  { name = "r0";
    volumes = ( { volume = 0; } );
    nodes = (
CONF
		for n in $NODES; do
			echo "$sep { name = \"$n\";  node-id = ${ID[$n]};  address = \"${ADDRESS[$n]}:$PORT\";  volumes = ( { volume = 0;  disk = \"$(disk_of "$n")\"; } ); }"
			sep=,
		done
		echo '); connections = ('
		sep=
		for l in $(links); do
			echo "$sep { nodes = [\"${l%-*}\", \"${l#*-}\"]; }"
			sep=,
		done
		echo '); } );'
	} >"$CLUSTER_DIR/drbdfs.conf"
}

conf_there() {
	local n l name disk
	{
		cat <<CONF
resource r0 {
	options { auto-promote no; ${OPTIONS_THERE:-} }
	net { protocol $PROTOCOL; ping-int $((PING_DS / 10 + 1)); ping-timeout $PING_DS; connect-int 2; socket-check-timeout 5; ${NET_THERE:-} }
	disk { ${DISK_THERE:-} }
CONF
		for n in $NODES; do
			name=$n disk=/dev/none
			[ "$n" != there ] || name=$THERE_NAME disk=$PEER_DISK
			if is_in "$n" "$DISKLESS"; then disk=none; else disk="$disk; meta-disk internal"; fi
			echo "on $name { address ${ADDRESS[$n]}:$PORT; node-id ${ID[$n]}; device minor $THERE_MINOR; disk $disk; }"
		done
		for l in $(links); do
			l=" $l " l=${l//there/$THERE_NAME} l=${l// /}
			echo "connection { host ${l%-*}; host ${l#*-}; }"
		done
		echo '}'
	} >"$WORK/there.conf"
	there_put "$WORK/there.conf" $THERE_CONF
}

# Fresh metadata on all, nothing up.
several_new() { # [PROTOCOL]
	local n
	MAX_PEERS=${MAX_PEERS:-4}
	PROTOCOL=${1:-C}
	CLUSTER_DIR=$WORK
	CLUSTER_NODES=$(ours)
	there "drbdsetup down r0; dmesg -C; true" >/dev/null 2>&1 || fail "the peer does not answer"
	THERE_NAME=$(there "uname -n")
	for n in $(ours); do mkdir -p "$WORK/$n/mnt"; done
	conf_here
	must conf_there
	for n in $(with_disk); do
		if [ "$n" = there ]; then
			must there "blkdiscard -f -z $PEER_DISK 2>&1"
			must there_create_md
		else
			rm -f "$WORK/$n/disk.img"
			truncate -s "$SIZE" "$WORK/$n/disk.img"
			must ctl "$n" create-md r0 --max-peers $MAX_PEERS
		fi
	done
}
several_up() { local n; for n in $(ours); do must node_start "$n"; done; must there_up; }
# All up, connected and declared equal.
several_equal() { # [PROTOCOL]
	local n first=
	several_new "${1:-C}"
	several_up
	must wait_for 90 "all connections" several_connected
	# It reaches those that are connected to the node that says so.
	for n in $(with_disk); do if [ "$(link_count "$n")" -gt "$(link_count "$first")" ]; then first=$n; fi; done
	if [ "$first" = there ]; then must adm new-current-uuid --clear-bitmap r0/0; else must ctl "$first" new-current-uuid r0/0 --clear-bitmap; fi
	must wait_for 90 "all nodes settled" several_settled
}

status_of() { if [ "$1" = there ]; then there_status; else ctl "$1" status r0 --json; fi 2>/dev/null; } # NODE
node_field() { status_of "$1" | jq -r ".[0] | $2" 2>/dev/null; } # NODE JQ
name_of() { if [ "$1" = there ]; then echo "$THERE_NAME"; else echo "$1"; fi; }
# Ours call the peer "there", itself it goes by its host name.
seen_by() { if [ "$1" = there ]; then name_of "$2"; else echo "$2"; fi; } # NODE PEER
conn_field() { node_field "$1" ".connections[] | select(.name == \"$(seen_by "$1" "$2")\") | $3"; } # NODE PEER JQ
conn_is() { [ "$(conn_field "$1" "$2" '."connection-state"')" = "$3" ]; } # NODE PEER STATE
role_is() { [ "$(node_field "$1" .role)" = "$2" ]; }
quorum_is() { [ "$(node_field "$1" '.devices[0].quorum')" = "$2" ]; } # NODE true|false
nodes_up=
up_or_all() { echo "${nodes_up:-$NODES}"; }
several_connected() {
	local n
	for n in $(up_or_all); do
		[ "$(node_field "$n" '[.connections[] | select(."connection-state" == "Connected")] | length')" = "$(link_count "$n")" ] || return 1
	done
}
one_settled() { # NODE: its disk is good, as are those of its peers, and nothing is out of sync
	local own=UpToDate
	if is_in "$1" "$DISKLESS"; then own=Diskless; fi
	[ "$(node_field "$1" "[(.devices[0].\"disk-state\" == \"$own\"), (.connections | length == $(link_count "$1")),
		(.connections[] | (.\"connection-state\" == \"Connected\"), (.peer_devices[0] | .\"replication-state\" == \"Established\" and .\"out-of-sync\" == 0
			and (.\"peer-disk-state\" == \"UpToDate\" or .\"peer-disk-state\" == \"Diskless\")))] | all")" = true ]
}
several_settled() { local n; for n in $NODES; do one_settled "$n" || return 1; done; }

# near_write and so on: what functions.sh has for "here".
several_file() { echo "$WORK/$1/mnt/r0"; }
for several_n in near far; do
	eval "${several_n}_promote() { ctl $several_n primary r0; }
		${several_n}_demote() { wait_for 30 '$several_n to be Secondary' ctl $several_n secondary r0; }
		${several_n}_write() { several_write $several_n \"\$@\"; }"
done
several_write() { # NODE SEED OFFSET_KIB KIB
	eval "$(fill_line "$2" "$4")" | dd of="$(several_file "$1")" bs=64k iflag=fullblock oflag=seek_bytes seek=$(($3 * 1024)) conv=notrunc,nocreat,fsync status=none &&
		into_model "$2" "$3" "$4"
}
several_model() { # NODE: of ours, that knows the size
	rm -f "$WORK/model"
	truncate -s "$(stat -c %s "$(several_file "$1")")" "$WORK/model"
}

# All down; all data areas are equal, and equal to the model unless a load ran.
several_finish() { # [no-model]
	local n bytes= sum= s
	for n in $(ours); do must node_stop "$n"; done
	must there_down
	for n in $(with_disk); do if [ "$n" != there ]; then bytes=$(data_bytes "$n"); break; fi; done
	[ -n "$bytes" ] || bytes=$(stat -c %s "$WORK/model")
	[ "${bytes:-0}" -gt 0 ] || fail "no agreed size in the metadata here"
	for n in $(with_disk); do
		if [ "$n" = there ]; then s=$(there_sum "$bytes"); else s=$(head -c "$bytes" "$WORK/$n/disk.img" | sha256sum | cut -d' ' -f1); fi
		[ -z "$sum" ] || [ "$s" = "$sum" ] || fail "the data of $n differ"
		sum=$s
		[ "${1:-}" = no-model ] || [ ! -e "$WORK/model" ] || [ "$n" = there ] || cmp -n "$bytes" "$WORK/model" "$WORK/$n/disk.img" || fail "the data of $n are not what was written"
	done
}
