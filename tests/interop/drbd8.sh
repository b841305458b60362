# SPDX-License-Identifier: GPL-2.0-or-later
# What is different in the scenarios where the peer runs DRBD 8.4: no node ids, v08 metadata, its state in /proc/drbd. Sourced by functions.sh.

conf_there() {
	cat >"$WORK/there.conf" <<CONF
resource r0 {
	net { protocol $PROTOCOL; ping-int $((PING_DS / 10 + 1)); ping-timeout $PING_DS; connect-int 2; socket-check-timeout 5; ${NET_THERE:-} }
	disk { ${DISK_THERE:-} }
	on here { address $OWN_ADDRESS:$PORT; device minor $THERE_MINOR; disk /dev/none; meta-disk internal; }
	on $THERE_NAME { address $PEER_ADDRESS:$PORT; device minor $THERE_MINOR; disk $PEER_DISK; meta-disk internal; }
}
CONF
	there_put "$WORK/there.conf" $THERE_CONF
}

there_create_md() { adm create-md --force r0; }

# /proc/drbd as the later `drbdsetup status --json` would put it; a state after WFReportParams belongs to the volume.
there_status() {
	there "cat /proc/drbd" | awk -v minor="$THERE_MINOR:" '
		$1 ~ /^[0-9]+:$/ { ours = $1 == minor }
		!ours { next }
		{
			for (i = 1; i <= NF; i++) {
				at = index($i, ":")
				value[substr($i, 1, at - 1)] = substr($i, at + 1)
			}
		}
		END {
			if (value["cs"] == "" || value["cs"] == "Unconfigured") { print "[]"; exit }
			split(value["ro"], role, "/")
			split(value["ds"], disk, "/")
			conn = repl = value["cs"]
			if (conn ~ /^(StandAlone|Disconnecting|Unconnected|Timeout|BrokenPipe|NetworkFailure|ProtocolError|TearDown)$/) repl = "Off"
			else if (conn == "WFConnection") { conn = "Connecting"; repl = "Off" }
			else {
				if (conn == "Connected") repl = "Established"
				else if (conn == "WFReportParams") repl = "Off"
				conn = "Connected"
			}
			printf "[{\"role\":\"%s\",\"devices\":[{\"disk-state\":\"%s\"}],\"connections\":[{\"connection-state\":\"%s\",", role[1], disk[1], conn
			printf "\"peer-role\":\"%s\",\"peer_devices\":[{\"replication-state\":\"%s\",\"peer-disk-state\":\"%s\",\"out-of-sync\":%d}]}]}]\n", role[2], repl, disk[2], value["oos"]
		}'
}
