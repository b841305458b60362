#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A node with TLS against a peer that shares no code with it: in both roles on both streams, and everything that must be refused.
# Time limit: 900 s
. "$(dirname "$0")/functions.sh"
. tests/lib/tls.sh
need jq openssl python3
python3 -c 'import ssl' 2>/dev/null || skip "needs the ssl module of python3"

CLUSTER_NET='tls = true; timeout = 30; socket-check-timeout = 1;'
cluster_new "$WORK" 16M alpha beta
conf=$CLUSTER_DIR/drbdfs.conf
sed -i "s/connect-int = 2;/connect-int = 1;/" "$conf"
tls=$CLUSTER_DIR/tls
address() { sed -nE "s/.*name = \"$1\".*address = \"([^\"]+)\".*/\1/p" "$conf"; }
must tls_ca "$tls/ca"
must tls_ca "$tls/other"
for n in alpha beta gamma; do must tls_cert "$tls/ca" "$tls/$n" "$n"; done
must tls_cert "$tls/ca" "$tls/past" beta -1
must tls_cert "$tls/other" "$tls/stranger" beta
must cluster_create_md >/dev/null
must node_start alpha
before=$(head -c 15M "$(node_disk alpha)" | sha256sum)

peer() { # CERT MODE OPEN [OPTION...]
	local cert=$1 mode=$2 open=$3
	shift 3
	alpha_log=$(stat -c %s "$WORK/alpha/log")
	timeout 60 python3 tests/lib/tls_peer.py --listen "$(address beta)" --node "$(address alpha)" --name alpha \
		--ca "$tls/ca.pem" --cert "$tls/$cert.pem" --key "$tls/$cert.key" --mode "$mode" --open "$open" "$@"
}
accepted() { # MODE OPEN ROLE-ON-CONTROL ROLE-ON-DATA: the peer's
	run peer beta "$1" "$2" || { cat "$WORK/out"; fail "mode $1, opens $2: refused"; }
	said "^control: $3, TLSv1.3" "^data: $4, TLSv1.3" '^features: protocol 1[01][0-9] to 12[0-9], nodes 0 and 1' \
		'^ping answered' '^protocol 3$' '^done'
}
refused() { # REGEX CERT MODE OPEN [OPTION...]: what alpha says in its log, and status
	local regex=$1
	shift
	must_fail 3 peer "$@"
	logged() { tail -c +$((alpha_log + 1)) "$WORK/alpha/log" | grep -Eq "$regex"; }
	must wait_for 30 "$*: the log to say '$regex'" logged
	shows() { [[ "$(peer_field alpha beta .reason)" =~ $regex ]]; }
	must wait_for 30 "$*: status to say '$regex'" shows
	! grep -q '^features' "$WORK/out" || fail "$*: it answered to packets"
	node_alive alpha || fail "$*: alpha died"
}

# The greater address opens the data stream; with only one side that can open, it opens both.
accepted good data server client
accepted good both client client
accepted good none server server
accepted bytewise data server client
accepted bytewise none server server

for open in data both none; do
	refused 'certificate is refused: unable to get local issuer certificate' stranger good $open
	refused 'certificate is refused: certificate has expired' past good $open
	refused "certificate is refused: it is for 'gamma', not for 'beta'" gamma good $open
	refused 'the peer does not offer TLS 1.3|protocol version' beta tls12 $open
	refused 'speaks without TLS; tls must be set on both nodes' beta plain $open
done
refused 'no handshake within 3000 ms; is tls set on the peer, too' beta silent data
refused 'TLS on the data stream: no handshake within 3000 ms' beta half data
# Our name is checked by the peer, and its refusal is told.
must_fail 3 peer beta good both --name delta
said 'refused: .*(ostname mismatch|not valid for)'

# After the handshake: what is not a record of this connection ends it, and none of it is taken for a packet.
for open in data none; do
	for mode in garbage clear-after hello-after cut; do
		refused 'data stream: .*(wrong version number|bad record|unexpected|decryption failed|record layer|packet length|record type)' beta $mode $open
	done
done

# No key or certificate at all.
no_cert() {
	alpha_log=$(stat -c %s "$WORK/alpha/log")
	timeout 60 python3 tests/lib/tls_peer.py --listen "$(address beta)" --node "$(address alpha)" --name alpha --ca "$tls/ca.pem" --open both
}
must_fail 3 no_cert
logged() { tail -c +$((alpha_log + 1)) "$WORK/alpha/log" | grep -q 'the peer showed no certificate'; }
must wait_for 30 "the log to say that there was no certificate" logged

# And a node without TLS says it to one that begins with it.
must node_stop alpha
sed -i 's/tls = true;//' "$conf"
must node_start alpha
must_fail 3 peer beta good both
logged() { tail -c +$((alpha_log + 1)) "$WORK/alpha/log" | grep -q 'what arrived is TLS; tls must be set on both nodes, or on none'; }
must wait_for 30 "the log to say that it is TLS" logged

[ "$(head -c 15M "$(node_disk alpha)" | sha256sum)" = "$before" ] || fail "data were changed"
stop_all
