#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The man pages render without a warning and name every command, option and key that there is.
. "$(dirname "$0")/functions.sh"
command -v groff >/dev/null || command -v man >/dev/null || skip "needs groff or man"

for page in packaging/man/drbdfs.8 packaging/man/drbdctl.8 packaging/man/drbdfs.conf.5; do
	[ -s "$page" ] || fail "$page is missing"
	if command -v groff >/dev/null; then
		groff -man -Tutf8 -ww -z "$page" >"$WORK/out" 2>&1
	else
		MANROFFSEQ='' LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>"$WORK/out" >/dev/null
	fi
	[ ! -s "$WORK/out" ] || { cat "$WORK/out"; fail "$page renders with warnings"; }
done
plain() { sed 's/\\-/-/g; s/\\f[BIRP]//g' "$1"; }
for c in $("$B/drbdctl" help | sed -nE 's/^  ([a-z][a-z-]+) .*/\1/p'); do
	plain packaging/man/drbdctl.8 | grep -q -- "$c" || fail "drbdctl(8) does not tell of '$c'"
done
for o in $("$B/drbdfs" --help | grep -oE -- '--[a-z]+'); do
	plain packaging/man/drbdfs.8 | grep -q -- "$o" || fail "drbdfs(8) does not tell of '$o'"
done
for k in $(grep -oE '^	(NUM|FLAG|WORD|TEXT)\([A-Z]+, "[a-z0-9-]+"' src/conf/conf_options.c | sed -E 's/.*"(.*)"/\1/'); do
	plain packaging/man/drbdfs.conf.5 | grep -q -- "$k" || fail "drbdfs.conf(5) does not tell of '$k'"
done
