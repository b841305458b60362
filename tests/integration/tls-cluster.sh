#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Three nodes with TLS: two commands make the certificates; write, kill, resync, compare; new certificates without reconnecting.
. "$(dirname "$0")/functions.sh"
need jq

CLUSTER_NET='tls = true;'
cluster_new "$WORK" 64M alpha beta gamma
conf=$CLUSTER_DIR/drbdfs.conf
tls=$CLUSTER_DIR/tls

# Nothing starts without certificates, and the message says what to do.
must cluster_create_md >/dev/null
mount_alpha() { "$B/drbdfs" mount -c "$conf" -n alpha -s "$WORK/alpha/control.sock" "$WORK/alpha/mnt"; }
must_fail 10 mount_alpha
said "drbdfs.conf:[0-9]+: .*certificate $tls/alpha.pem: No such file or directory; 'drbdctl tls issue alpha' makes one" \
	"ca $tls/ca.pem: No such file or directory; 'drbdctl tls init' makes one"
must_fail 10 ctl alpha tls issue alpha
said "'drbdctl tls init' comes first"
must ctl alpha tls init
must_fail 10 ctl alpha tls init
said 'is there already'
must_fail 10 ctl alpha tls issue delta
said "has a node 'delta'"
must_fail 20 ctl alpha tls issue
must_fail 20 ctl alpha tls revoke alpha
must ctl alpha tls issue all
[ "$(stat -c %a "$tls/alpha.key" "$tls/ca.key" | sort -u)" = 600 ] || fail "keys are not private"

three() {
	for n in alpha beta gamma; do must node_start "$n"; done
	must ctl alpha wait-connect r0 --timeout 60
}
three
must ctl alpha new-current-uuid r0/0 --clear-bitmap
must wait_for 60 "all nodes settled" cluster_settled
model_new alpha

# Status tells of it.
encrypted() { [ "$(field "$1" '[.connections[].tls] | unique | join(",")')" = true ]; }
for n in alpha beta gamma; do encrypted "$n" || fail "$n has connections without TLS"; done
expires() { peer_field alpha "$1" '."tls-peer-expires"'; }
[[ "$(expires beta)" =~ ^20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9:]+Z$ ]] || fail "beta's certificate expires '$(expires beta)'"
[ "$(date -ud "$(openssl x509 -in "$tls/beta.pem" -noout -enddate | cut -d= -f2)" +%FT%TZ)" = "$(expires beta)" ] ||
	fail "not what the certificate says: $(expires beta)"
run ctl alpha status
said '^  beta role:Secondary tls:yes'
run ctl alpha status -v
said "tls-peer-expires:$(expires beta) tls-cipher:TLS_"

must put_random alpha 0 16384
must put_random alpha 40000 333
# Loss of a peer, and of the Primary in the middle of writing.
must node_kill gamma
must put_random alpha 8192 8192
must node_start gamma
must wait_for 60 "all nodes settled" cluster_settled
must node_kill alpha
must wait_for 60 "beta to see it" not conn_is beta alpha Connected
must put_random beta 4096 4096
must put_random beta 60000 1000
must node_start alpha
must wait_for 60 "all nodes settled" cluster_settled

# New certificates: for new connections only. An unusable one is refused with the reason, and the one before stays.
first=$(expires beta)
up_since=$(grep -c 'encrypted with' "$WORK/alpha/log")
cp "$tls/beta.pem" "$WORK/beta.pem"
openssl x509 -in "$tls/beta.pem" -signkey "$tls/beta.key" -days 1 -out "$WORK/self.pem" 2>/dev/null
cp "$tls/alpha.pem" "$tls/beta.pem"
must_fail 10 ctl beta adjust all
said "beta.pem: is not for node 'beta'|does not belong"
cp "$WORK/beta.pem" "$tls/beta.pem"
on_exit 'rm -f "$tls/beta.pem"'
must ctl alpha tls issue beta
must ctl beta adjust all
[ "$(grep -c 'encrypted with' "$WORK/alpha/log")" = "$up_since" ] || fail "a new certificate made beta reconnect"
conn_is alpha beta Connected || fail "the connection was lost"
must ctl beta disconnect r0:alpha
must ctl beta connect r0:alpha
must wait_for 60 "all nodes settled" cluster_settled
[ "$(expires beta)" != "$first" ] || [ "$(date +%s)" = "$(stat -c %Y "$WORK/beta.pem")" ] ||
	fail "the new certificate is not in use: it expires $(expires beta)"

# Switched off on one node: neither side connects, both say why; then on again.
must ctl beta status >/dev/null
sed 's/tls = true;//' "$conf" >"$WORK/plain.conf"
must node_stop gamma
setsid "$B/drbdfs" mount -c "$WORK/plain.conf" -n gamma -s "$WORK/gamma/control.sock" -f "$WORK/gamma/mnt" \
	>>"$WORK/gamma/log" 2>&1 </dev/null &
NODE_PID[gamma]=$!
must wait_for 60 "gamma to answer" node_answers gamma
told() { [[ "$(peer_field "$1" "$2" .reason)" =~ $3 ]]; } # NODE PEER REGEX
must wait_for 60 "alpha to say why" told alpha gamma 'TLS.*(tls must be set on both nodes|is tls set there, too)'
must wait_for 60 "gamma to say why" told gamma alpha 'TLS; tls must be set on both nodes'
grep -Eq 'warning: r0:gamma: TLS on the (data|control) stream: .*tls' "$WORK/alpha/log" || fail "no word in the log of alpha"
grep -q 'tls must be set on both nodes' "$WORK/gamma/log" || fail "no word in the log of gamma"
conn_is alpha gamma Connected && fail "alpha and gamma are connected"
must put_random alpha 0 512
must node_stop gamma
must node_start gamma
must wait_for 60 "all nodes settled" cluster_settled

# In operation, by adjust: off and on again, on all nodes; and with pinned keys instead of an authority.
everywhere() { # SED-SCRIPT TLS
	sed -i -E "$1" "$conf"
	for n in alpha beta gamma; do must ctl "$n" adjust all; done
	as_wanted() { local n; for n in alpha beta gamma; do [ "$(field "$n" '[.connections[].tls] | unique | join(",")')" = "$1" ] || return 1; done; }
	must wait_for 60 "tls $2 everywhere" as_wanted "$2"
	must wait_for 60 "all nodes settled" cluster_settled
}
everywhere 's/tls = true;/tls = false;/' false
must put_random alpha 20000 100
everywhere 's/tls = false;/tls = true;/' true
pin() { openssl x509 -in "$tls/$1.pem" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -c 1-64; }
everywhere "s/^common = \\{/common = { tls = { verify = \"fingerprint\"; };/
	s/name = \"alpha\";/& tls-fingerprint = \"$(pin alpha)\";/; s/name = \"beta\";/& tls-fingerprint = \"$(pin beta)\";/
	s/name = \"gamma\";/& tls-fingerprint = \"$(pin gamma)\";/" true
for n in alpha beta gamma; do must ctl "$n" disconnect r0; done
for n in alpha beta gamma; do must ctl "$n" connect r0; done
must wait_for 60 "all nodes settled" cluster_settled
must put_random alpha 30000 100

stop_all
must_equal_model alpha beta gamma

# Certificates that cannot work are found before anything starts.
sed -i -E 's/ tls = \{ verify = "fingerprint"; \};//; s/ tls-fingerprint = "[0-9a-f]+";//' "$conf"
. tests/lib/tls.sh
bad() { # REGEX
	must_fail 10 mount_alpha
	said "drbdfs.conf:[0-9]+: .*$1"
	! grep -q " $WORK/alpha/mnt " /proc/mounts || fail "something was mounted"
}
must tls_cert "$tls/ca" "$tls/alpha" alpha -1
bad "certificate $tls/alpha.pem: expired on 20"
must tls_cert "$tls/ca" "$tls/alpha" omega
bad "certificate $tls/alpha.pem: is not for node 'alpha', but for '/CN=omega'"
must tls_cert "$tls/ca" "$tls/alpha" alpha
cp "$tls/beta.key" "$tls/alpha.key"
bad "private-key $tls/alpha.key: does not belong to certificate $tls/alpha.pem"
must tls_cert "$tls/ca" "$tls/alpha" alpha
echo nonsense >"$tls/ca.pem"
bad "ca $tls/ca.pem: "
