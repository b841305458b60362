#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes the guest's kernel and RAM disk from Debian packages: image.sh DIR leaves DIR/vmlinuz and DIR/initrd.
#
# Debian's stock kernel and busybox-static are downloaded and unpacked there, not installed; the programs and drbd-utils come from this
# machine. What is there already and was made of the same versions by the same script is kept. Exit code 77: it cannot be made here.
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
programs="/bin/bash /usr/bin/env /usr/bin/dd /usr/bin/cmp /usr/bin/sha256sum /usr/bin/timeout /usr/bin/base64 /usr/sbin/blkdiscard
	/usr/sbin/drbdadm /usr/sbin/drbdsetup /usr/sbin/drbdmeta /lib/drbd/drbdadm-84 /lib/drbd/drbdsetup-84"
modules="virtio virtio_ring virtio_pci virtio_pci_modern_dev virtio_pci_legacy_dev virtio_blk virtio_net net_failover failover
	crc32c_generic libcrc32c lru_cache drbd"

cannot() { echo "image.sh: $*"; exit 77; }
candidate() { apt-cache policy "$1" | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; } # PACKAGE
stock_kernel() { apt-cache depends linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }'; }

[ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ] || cannot "only made on Debian for amd64"
update() { [ "$(id -u)" -eq 0 ] && apt-get update -q >/dev/null 2>&1; }
choose() {
	kernel=$(stock_kernel)
	[ -n "$kernel" ] && wanted="$kernel=$(candidate "$kernel") busybox-static=$(candidate busybox-static)"
}
choose || { update && choose; } || cannot "apt knows no package linux-image-amd64"
key=$({ cat "$here/image.sh" "$here/init"; echo "$wanted"; dpkg-query -W bash coreutils diffutils util-linux libc6 drbd-utils; } | sha256sum)
if [ "$(cat "$dir/made-of" 2>/dev/null)" = "$key" ]; then exit 0; fi

work=$(mktemp -d "$dir/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
rm -f "$dir/made-of"
cd "$work"
echo "image.sh: downloading $wanted"
download() { apt-get download -q $wanted >download.log 2>&1; }
# Lists that are older than the archive name a version that is gone.
download || { update && choose && download; } || { cat download.log; cannot "cannot download $wanted"; }

root=$work/root
version=${kernel#linux-image-}
tree=lib/modules/$version
mkdir -p "$root"/{bin,sbin,dev,lib64,etc} "$work/kernel" "$work/busybox"
dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -x -C busybox ./bin/busybox
dpkg-deb --fsys-tarfile linux-image-*.deb | tar -x -C kernel --wildcards "./boot/vmlinuz-*" "./$tree/modules.*" \
	$(for m in $modules; do printf '*/%s.ko ' "$m"; done)
cp busybox/bin/busybox "$root/bin/"
for m in $modules; do
	found=$(find "kernel/$tree" -name "$m.ko")
	[ -n "$found" ] || cannot "$kernel has no module $m"
	install -D -m 644 "$found" "$root/${found#kernel/}"
done
cp "kernel/$tree"/modules.{builtin,builtin.modinfo,order} "$root/$tree/"
depmod -b "$root" "$version"
for p in $programs; do
	install -D "$(readlink -f "$p")" "$root$p"
	for l in $(ldd "$p" | grep -o '/[^ ]*' || true); do [ -e "$root$l" ] || install -D "$(readlink -f "$l")" "$root$l"; done
done
install -m 755 "$here/init" "$root/init"
(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) | zstd -q -3 -f -o "$dir/initrd"
cp "kernel/boot/vmlinuz-$version" "$dir/vmlinuz"
echo "$key" >"$dir/made-of"
