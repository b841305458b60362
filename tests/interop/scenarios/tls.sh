# SPDX-License-Identifier: GPL-2.0-or-later
# TLS as the peer's tlshd does it: writes in both directions, resync; a peer without TLS or with another name's certificate is refused.
needs_drbd9 "has no TLS"
there "command -v tlshd" >/dev/null || skip "needs tlshd (ktls-utils) on the peer"
there "pidof tlshd" >/dev/null && skip "a tlshd runs on the peer: this needs its own"
there "drbdsetup help net-options 2>/dev/null | grep -q -- --tls=" || skip "the peer's drbd-utils do not know tls"
there_tls=/tmp/drbdfs-interop.tls

# The peer's certificate and key are those of NAME in our small authority.
there_certificate() { # NAME
	must there "mkdir -p $there_tls && chmod 700 $there_tls"
	must there_put "$WORK/tls/ca.pem" $there_tls/ca.pem
	must there_put "$WORK/tls/$1.pem" $there_tls/node.pem
	must there_put "$WORK/tls/$1.key" $there_tls/node.key
	must there "chmod 600 $there_tls/node.key"
}
tlshd_start() {
	local role
	echo "[debug]" >"$WORK/tlshd.conf"
	for role in client server; do
		printf '[authenticate.%s]\nx509.truststore= %s\nx509.certificate= %s\nx509.private_key= %s\n' $role \
			$there_tls/ca.pem $there_tls/node.pem $there_tls/node.key >>"$WORK/tlshd.conf"
	done
	must there_put "$WORK/tlshd.conf" $there_tls/tlshd.conf
	must there "tlshd -s -c $there_tls/tlshd.conf </dev/null >$there_tls/log 2>&1 & echo \$! >$there_tls/pid"
}
tlshd_stop() { there "kill \$(cat $there_tls/pid); rm -rf $there_tls" >/dev/null 2>&1; }
trap 'tlshd_stop; finish' EXIT

NET_HERE="tls = true; timeout = 200;"
NET_THERE="tls yes; timeout 200;"
world_new
must ctl here tls init
must ctl here tls issue all
there_certificate there
tlshd_start
world_equal C
[ "$(here_peer .tls)" = true ] || fail "not encrypted"
for side in here there; do
	must on $side promote
	must on $side write 1 $((RANDOM % 100 + 1000)) 8192
	must on $side demote
	# Resync in the other direction, over streams that are opened anew.
	must on $(other $side) disconnect
	must on $side promote
	must on $side write 2 30000 5000
	must on $side demote
	must on $(other $side) connect
	must wait_for 60 "both nodes settled" settled
done
finish_equal

refused() { # REGEX
	both_up
	told() { [[ "$(here_peer .reason)" =~ $1 ]]; }
	must wait_for 60 "our status to say '$1'" told "$1"
	not connected || fail "connected"
	must node_stop here
	must there_down
}
there_certificate here
refused "certificate is refused: it is for 'here', not for 'there'"
there_certificate there
NET_THERE="timeout 200;"
must conf_there
refused 'speaks without TLS; tls must be set on both nodes|during the handshake; is tls set there, too'
