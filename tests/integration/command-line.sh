#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Wrong command lines of both programs: exit 20 and a message that names the mistake; help and version need no daemon.
. "$(dirname "$0")/functions.sh"

cluster_new "$WORK" 16M alpha beta

must_fail 20 ctl alpha
said '^usage: drbdctl'
must_fail 20 ctl alpha stauts
said "unknown command 'stauts', did you mean status"
must_fail 20 ctl alpha frobnicate-everything
said "unknown command 'frobnicate-everything'"
must_fail 20 ctl alpha primary
said 'primary: argument RES is missing'
must_fail 20 ctl alpha primary r0 r1
said "one argument too many: 'r1'"
must_fail 20 ctl alpha primary r0 --froce
said "primary: unknown option '--froce'"
must_fail 20 ctl alpha primary r0/0
must_fail 20 ctl alpha new-current-uuid r0
must_fail 20 ctl alpha invalidate-remote r0
must_fail 20 ctl alpha attach r0/x
must_fail 20 ctl alpha attach r0/65536
must_fail 20 ctl alpha create-md r0 --max-peers 0
must_fail 20 ctl alpha create-md r0 --max-peers 32
must_fail 20 ctl alpha create-md r0 --max-peers
said 'max-peers needs a value'
must_fail 20 ctl alpha create-md r0 --from-v08 --max-peers 3
said 'one bitmap slot'
must_fail 20 ctl alpha create-md r0 --peer beta
said '--peer goes with --from-v08'
must_fail 20 ctl alpha restore-md r0/0
said 'argument RES/VOL FILE is missing'
must_fail 20 ctl alpha restore-md r0 dump
must_fail 20 ctl alpha restore-md r0/0 "$WORK/none"
said 'cannot open the dump'
must_fail 20 ctl alpha set-gi r0:beta
must_fail 20 ctl alpha set-gi r0/0 :::
must_fail 20 ctl alpha set-gi r0:beta ::: more
must_fail 10 ctl alpha get-gi r0:delta
must_fail 20 ctl alpha wait-sync r0 --timeout soon
must_fail 20 ctl alpha --nonsense status
said "unknown option '--nonsense' in front of the command"
must_fail 20 ctl alpha help frobnicate
must_fail 20 ctl alpha help statsu
said "did you mean status"
must_fail 20 ctl alpha version r0
said "version: takes no argument"
must_fail 10 "$B/drbdctl" -c "$WORK/no.conf" status
said 'no.conf: cannot read the configuration'
must_fail 20 "$B/drbdctl" -s "$WORK/$(printf 'x%.0s' {1..120})" status
said 'must have 1 to 107 bytes'
must_fail 10 ctl alpha create-md r00
said 'create-md: r00: No such resource in .*, did you mean r0'
must_fail 10 ctl alpha create-md r0/3
said 'create-md r0/3: the resource has no such volume'

must run ctl alpha help
for c in create-md dump-md restore-md apply-al wipe-md get-gi show-gi set-gi status up down adjust attach detach connect disconnect primary secondary suspend-io resume-io invalidate \
	invalidate-remote new-current-uuid wait-sync wait-connect role dstate cstate version shutdown; do
	said "^  $c "
	must ctl alpha help "$c" >/dev/null
done
must run ctl alpha version
said '^drbdctl [0-9]'

for c in 'status' 'role r0' 'dstate r0' 'cstate r0' 'primary r0' 'shutdown' 'wait-connect r0'; do
	# shellcheck disable=SC2086
	must_fail 20 ctl alpha $c
	said "^drbdctl: ${c%% *}: control socket .* there is none: no drbdfs runs here; start it with"
done

must_fail 20 "$B/drbdfs"
said 'a command is missing'
must_fail 20 "$B/drbdfs" unmount "$WORK/alpha/mnt"
said "the command must be 'mount' or 'arbiter'"
must_fail 20 "$B/drbdfs" mount
said 'the MOUNTPOINT is missing'
must_fail 20 "$B/drbdfs" mount a b
said 'one MOUNTPOINT only'
must_fail 20 "$B/drbdfs" --nonsense mount a
must_fail 20 "$B/drbdfs" mount --trace everything a
must_fail 20 "$B/drbdfs" arbiter "$WORK/alpha/mnt"
said 'an arbiter has no MOUNTPOINT'
must_fail 20 "$B/drbdfs" arbiter -o allow_other
said 'an arbiter mounts nothing'
must_fail 10 "$B/drbdfs" arbiter -f -c "$CLUSTER_DIR/drbdfs.conf" -n alpha
said "an arbiter has no disk, but in every resource of node 'alpha' this node has one"
must run "$B/drbdfs" --help
said 'Usage: drbdfs mount'
must run "$B/drbdfs" --version
said '^drbdfs [0-9]'

# Completion knows what help knows.
completes() { # WORD... : the candidates for the last one
	PATH=$B:$PATH bash -c '. packaging/drbdctl.bash-completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); "_$1"; echo "${COMPREPLY[*]}"' - "$@"
}
[ "$(completes drbdctl sta)" = status ] || fail "completion of a command: $(completes drbdctl sta)"
[ "$(completes drbdctl status --w)" = --watch ] || fail "completion of an option: $(completes drbdctl status --w)"
[ "$(completes drbdctl adjust a)" = all ] || fail "completion of all: $(completes drbdctl adjust a)"
[ "$(completes drbdctl -n x help wait-c)" = wait-connect ] || fail "completion behind options in front"
[ "$(completes drbdfs mo)" = mount ] || fail "completion of drbdfs"
[ "$(completes drbdfs ar)" = arbiter ] || fail "completion of drbdfs arbiter"
