#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# House rules as a test: layers, purity of the core and the codecs, sizes, leftovers.
# Usage: tests/lint/lint.sh BUILDDIR   (the archives must be built without sanitizers)
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1
bad=0
fail() { echo "lint: $*"; bad=$((bad + 1)); }

# --- includes: what each directory may use ------------------------------------------------
# Project directories and system headers by layer; everything else is an error.
pure_sys="stdbool.h stddef.h stdint.h string.h stdarg.h limits.h inttypes.h"
allow() { # DIR PROJECT-DIRS SYSTEM-HEADERS ('*' = any)
	local dir=$1 project=$2 system=$3 file line inc
	[ -d "$dir" ] || return 0
	while IFS=: read -r file line inc; do
		case $inc in
		*'"'*)
			inc=${inc#*\"}; inc=${inc%%\"*}
			case " $project " in *" ${inc%%/*} "*) ;; *) [ "$inc" = "${inc#*/}" ] && [ "$system" = '*' ] ||
				fail "$file:$line: $dir/ must not include \"$inc\"" ;; esac ;;
		*'<'*)
			inc=${inc#*<}; inc=${inc%%>*}
			[ "$system" = '*' ] && continue
			case " $system " in *" $inc "*) ;; *) fail "$file:$line: $dir/ must not include <$inc>" ;; esac ;;
		esac
	done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$dir"/*.[ch] /dev/null)
}
allow src/proto "base proto" "$pure_sys"
allow src/wire "base proto wire" "$pure_sys stdio.h errno.h"
allow src/meta "base proto meta" "$pure_sys stdio.h errno.h"
allow src/core "base proto core" "$pure_sys stdio.h errno.h"
allow src/base "base" '*'
allow src/disk "base proto meta disk" '*'
allow src/net "base proto wire disk net" '*'
allow src/conf "base proto core conf" '*'
allow src/api "base proto core conf api" '*'
for lib in libconfig:src/conf fuse3:daemon curl:cli; do
	hits=$(grep -lE "#[[:space:]]*include[[:space:]]*<${lib%%:*}" -r src daemon cli --include='*.[ch]' | grep -v "^${lib#*:}/")
	[ -z "$hits" ] || fail "only ${lib#*:}/ may use ${lib%%:*}: $hits"
done

# --- purity: what the archives may ask of the outside -------------------------------------
# stdio and errno are headers only here: formatting into memory is pure, files are not.
pure_syms="memcpy memset memcmp memmove memchr strlen strnlen strcmp strncmp strchr snprintf vsnprintf
	__snprintf_chk __vsnprintf_chk __memcpy_chk __memset_chk __memmove_chk __stack_chk_fail
	__builtin_trap abort _GLOBAL_OFFSET_TABLE_ strspn strcspn __popcountdi2 strerrordesc_np"
for lib in core wire meta; do
	a=$build/lib$lib.a
	[ -f "$a" ] || { fail "$a is not built"; continue; }
	own=$(nm "$a" "$build/libproto.a" "$build/libbase.a" 2>/dev/null | awk '$2 ~ /^[TDRBVW]$/ {print $3}' | sort -u)
	for sym in $(nm -u "$a" 2>/dev/null | awk '$1 == "U" {print $2}' | sort -u); do
		case " $(echo $pure_syms) " in *" $sym "*) continue ;; esac
		grep -qx "$sym" <<<"$own" || fail "lib$lib.a needs '$sym', which is not pure"
	done
done
# What core, wire and meta take from base must be pure as well.
for obj in assert crc32c vli bits range_map prng; do
	o=$build/src/base/$obj.o
	[ -f "$o" ] || continue
	for sym in $(nm -u "$o" | awk '$1 == "U" {print $2}'); do
		case " $(echo $pure_syms) assert_hook assert_fail __cpu_model __cpu_indicator_init " in
		*" $sym "*) ;; *) nm "$build/libbase.a" 2>/dev/null | awk '$2 == "T" {print $3}' | grep -qx "$sym" ||
			fail "base/$obj.c needs '$sym', which is not pure" ;; esac
	done
done

# --- sizes -------------------------------------------------------------------------------
for f in $(find src daemon cli tests -name '*.[ch]'); do
	case $f in tests/*vectors*) continue ;; esac
	n=$(wc -l <"$f")
	[ "$n" -le 800 ] || echo "$f has $n lines (800)"
	expand -t 8 "$f" | awk -v f="$f" 'length > 100 { printf "%s:%d: %d columns (100)\n", f, NR, length }'
	case $f in tests/*) continue ;; esac
	awk -v f="$f" '
		/^[a-zA-Z_].*\)[[:space:]]*$|^[a-zA-Z_][^;=]*\)$/ { head = $0 }
		/^\{/ { start = NR }
		/^\}/ { if (start && NR - start - 1 > 70) printf "%s:%d: function of %d lines (70)\n", f, start, NR - start - 1; start = 0 }
	' "$f"
done >"$build/lint.sizes"
while read -r line; do fail "$line"; done <"$build/lint.sizes"

# --- every header compiles alone, every file says what it owns ------------------------------
for h in $(find src daemon cli -name '*.h'); do
	gcc -std=gnu11 -D_GNU_SOURCE -Isrc -I. $(pkg-config --cflags fuse3 jansson libconfig libcurl 2>/dev/null) \
		-DFUSE_USE_VERSION=35 -fsyntax-only -x c "$h" 2>/dev/null || fail "$h does not compile alone"
done
for f in $(find src daemon cli tests -name '*.[ch]'); do
	head -n 1 "$f" | grep -q 'SPDX-License-Identifier: GPL-2.0-or-later' || fail "$f: first line is no SPDX line"
	sed -n 2p "$f" | grep -q '^/\*' || fail "$f: second line does not say what the file owns"
done

# --- leftovers ------------------------------------------------------------------------------
hits=$(grep -rnEi 'not (yet )?implemented|\bTODO\b|\bFIXME\b|\bXXX\b|placeholder' src daemon cli)
[ -z "$hits" ] || fail "unfinished words: $hits"
hits=$(grep -rnE '^[[:space:]]*sleep [0-9]|[^u]sleep\([1-9]' tests --exclude-dir=lint --exclude-dir=vectors --exclude-dir=corpus)
[ -z "$hits" ] || fail "sleep as synchronisation: $hits"
hits=$(grep -rnE '\b(int|short|long)[[:space:]]+(bytes|size|length|sectors)\b' src/wire src/proto/proto_pkt.h)
[ -z "$hits" ] || fail "signed size on the wire: $hits"

# --- DRBD's bugs: what the table names exists, what is named after a bug is in the table ------
table=tests/sim/README.md
scenarios=$(sed -nE 's/^\t\{ "([^"]+)", .*/\1/p' tests/sim/scenario_*.c)
units=$(sed -nE 's/^Test\(([a-z0-9_]+), *([a-z0-9_]+).*/\1\/\2/p' tests/unit/*.c
	for f in tests/unit/*.c; do
		suite=$(sed -nE 's/^#define [A-Za-z]+Test\(name\) Test\(([a-z0-9_]+),.*/\1/p' "$f")
		[ -z "$suite" ] || sed -nE "s/^[A-Za-z]+Test\\(([a-z0-9_]+)\\).*/$suite\/\1/p" "$f"
	done)
named() { # NAME
	case $1 in
	tests/*) [ -e "$1" ] ;;
	*/*) grep -qxF "$1" <<<"$units" ;;
	*) grep -qxF "$1" <<<"$scenarios" ;;
	esac
}
for i in $(seq 86); do
	row=$(sed -nE "s/^\| H$i \|.*\| (.*) \|$/\1/p" "$table")
	[ "$(grep -c . <<<"$row")" -eq 1 ] || { fail "$table: not one row for H$i"; continue; }
	names=$(grep -oE '`[^`]+`' <<<"$row" | tr -d '`')
	case $row in "waits for "*|"cannot apply: "*) ;; *) [ -n "$names" ] || fail "$table: H$i has neither a name nor a reason" ;; esac
	for name in $names $(grep -E "^H$i-" <<<"$scenarios"); do
		named "$name" || fail "$table: H$i: there is no '$name'"
		grep -qxF -- "$name" <<<"$names" || fail "$table: H$i does not name '$name'"
	done
done

# The maps name every file.
for f in src/*/*.c daemon/*.c cli/*.c; do
	map=src/README.md
	[ "${f%/*}" = src/core ] && map=src/core/README.md
	grep -q "\b${f##*/}\`" "$map" || fail "$map does not name $f"
done

if [ "$bad" -ne 0 ]; then
	echo "lint: $bad complaints"
	exit 1
fi
echo "lint: ok"
