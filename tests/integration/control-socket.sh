#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The control socket takes curl, answers nonsense with a precise error and survives garbage; it is closed to other users.
. "$(dirname "$0")/functions.sh"
need jq curl timeout

two_nodes 16M
sock=$WORK/alpha/control.sock
[ "$(stat -c %a "$sock")" = 660 ] || fail "the socket has mode $(stat -c %a "$sock")"

get() { curl -sS --max-time 10 --unix-socket "$sock" -w '\n%{http_code}\n' "$@" >"$WORK/out" 2>&1; }
is() { # HTTP-CODE JQ-CONDITION CURL-ARGUMENTS...
	local code=$1 cond=$2
	shift 2
	must get "$@"
	[ "$(tail -n 1 "$WORK/out")" = "$code" ] || { cat "$WORK/out"; fail "$*: HTTP $(tail -n 1 "$WORK/out"), expected $code"; }
	sed '$d' "$WORK/out" | jq -e "$cond" >/dev/null || { cat "$WORK/out"; fail "$*: not $cond"; }
}
url=http://localhost
is 200 '.api == 1 and ."protocol-max" == 124' $url/v1/version
is 200 'length == 1 and .[0].name == "r0"' $url/v1/status
is 200 '.[0].verdict == "OK"' $url/v1/status/r0
is 404 '.error.code == "not-found" and (.error.message | test("r7"))' $url/v1/status/r7
is 404 '.error.code == "not-found"' $url/v2/status
is 404 '.error.code == "not-found"' $url/
is 404 '.error.code == "not-found"' -d '{}' $url/v1/resources/r0/explode
is 405 '.error.code == "method-not-allowed"' -d '{}' $url/v1/status
is 405 '.error.code == "method-not-allowed"' $url/v1/resources/r0/primary
is 405 '.error.code == "method-not-allowed"' -X DELETE $url/v1/status
is 400 '.error.code == "bad-request"' -d '{' $url/v1/resources/r0/primary
is 400 '.error.code == "bad-request"' -d '[1,2]' $url/v1/resources/r0/primary
is 400 '.error.message | test("forse")' -d '{"forse": true}' $url/v1/resources/r0/primary
is 400 '.error.message | test("force")' -d '{"force": "yes"}' $url/v1/resources/r0/primary
is 400 '.error.message | test("volume")' -d '{"volume": -1}' $url/v1/resources/r0/detach
is 400 '.error.code == "bad-request"' -d '{"volume": 99999999999999999999}' $url/v1/resources/r0/detach
is 400 '.error.message | test("volume")' -d '{}' $url/v1/resources/r0/detach
is 404 '.error.message | test("no volume 5")' -d '{"volume": 5}' $url/v1/resources/r0/detach
is 404 '.error.message | test("no peer")' -d '{"peer": "gamma"}' $url/v1/resources/r0/connect
is 200 '.message' -d '{}' $url/v1/resources/r0/primary
[ "$(ctl alpha role r0)" = Primary ] || fail "primary through curl had no effect"
is 200 '.message' -d '{"force": false}' $url/v1/resources/r0/secondary

# Garbage of all kinds, in pieces and at once; each time the next request is served.
send() { timeout 5 curl -s --max-time 3 --unix-socket "$sock" "telnet://localhost" <"$1" >/dev/null 2>&1; }
alive() { is 200 'length == 1' $url/v1/status; }
head -c 100000 /dev/urandom >"$WORK/g"; send "$WORK/g"; alive
printf 'GET ' >"$WORK/g"; send "$WORK/g"; alive
printf 'GET /v1/status HTTP/1.1\r\n\r\nGET /v1/status HTTP/1.1\r\n' >"$WORK/g"; send "$WORK/g"; alive
printf 'POST /v1/resources/r0/primary HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n{' >"$WORK/g"; send "$WORK/g"; alive
printf 'POST /v1/resources/r0/primary HTTP/1.1\r\nContent-Length: -5\r\n\r\n{}' >"$WORK/g"; send "$WORK/g"; alive
printf 'GET /%%00%%2f HTTP/1.1\r\n\r\n' >"$WORK/g"; send "$WORK/g"; alive
{ printf 'GET /v1/status HTTP/1.1\r\nX: '; head -c 1000000 /dev/zero | tr '\0' x; } >"$WORK/g"; send "$WORK/g"; alive
{ printf 'GET /'; head -c 100000 /dev/zero | tr '\0' a; printf ' HTTP/1.1\r\n\r\n'; } >"$WORK/g"; send "$WORK/g"; alive
{ printf '['; head -c 60000 /dev/zero | tr '\0' '['; } >"$WORK/g"
is 400 '.error.code == "bad-request"' --data-binary "@$WORK/g" $url/v1/resources/r0/primary
head -c 200000 /dev/zero >"$WORK/g"
get --data-binary "@$WORK/g" $url/v1/resources/r0/primary
alive
[ "$(ctl alpha role r0)" = Secondary ] || fail "garbage made the node Primary"

# Another user: refused, although the socket file would let him in.
if is_root; then
	need setpriv
	chmod 755 "$WORK" "$WORK/alpha"; chmod 666 "$sock"
	code=$(setpriv --reuid=65534 --regid=65534 --clear-groups curl -sS --max-time 10 --unix-socket "$sock" -o /dev/null \
		-w '%{http_code}' $url/v1/status)
	[ "$code" = 403 ] || fail "a stranger got HTTP $code"
	code=$(setpriv --reuid=65534 --regid=65534 --clear-groups curl -sS --max-time 10 --unix-socket "$sock" -o /dev/null \
		-w '%{http_code}' -d '{}' $url/v1/shutdown)
	[ "$code" = 403 ] || fail "a stranger got HTTP $code"
fi
alive
stop_all
