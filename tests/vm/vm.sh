#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Boots a virtual machine (QEMU) with Debian's cloud kernel and cgroup v2 alone, runs COMMAND in
# it as root, and ends with its exit code. usage: vm.sh BUILD_DIR COMMAND...
# It has what is in BUILD_DIR/bin and BUILD_DIR/test at the same paths, busybox, ip, runc and crun; no network, no
# other file of this machine. Exit 77 with "SKIP: ..." where it cannot. The kernel is downloaded once (KEELSON_PEERS:
# where to; default ~/.cache/keelson/peers). The machine is ended after KEELSON_VM_TIMEOUT seconds (1200).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$(cd "${1:?usage: vm.sh BUILD_DIR COMMAND...}" && pwd)
shift
skip() { echo "SKIP: virtual machine: $*" >&2; exit 77; }
for tool in qemu-system-x86_64 cpio depmod mkfs.ext4 busybox; do
  PATH=$PATH:/sbin:/usr/sbin command -v $tool > /dev/null || skip "needs $tool"
done

package=$(apt-cache depends linux-image-cloud-amd64 2> /dev/null | awk '/Depends: linux-image/ {print $2; exit}')
[ -n "$package" ] || skip "no package linux-image-cloud-amd64"
kernel=${KEELSON_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/keelson/peers}/$package
work=$(mktemp -d)
trap 'rm -rf "${work:?}"' EXIT
if [ ! -d "$kernel" ]; then
  (cd "$work" && apt-get download -qq "$package" 2> /dev/null) || skip "cannot download $package"
  dpkg -x "$work"/*.deb "$work/kernel"
  depmod -b "$work/kernel" "${package#linux-image-}"
  mkdir -p "$(dirname "$kernel")"
  mv "$work/kernel" "$kernel"
fi

# The first root: as much as finds the disk.
first=$work/first
mkdir -p "$first"/{bin,dev,proc,sys,root,modules}
cp "$(command -v busybox)" "$first/bin/busybox"
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
  cp "$(find "$kernel/lib/modules" -name $module.ko)" "$first/modules/"
done
cp "$here/first-init" "$first/init"
(cd "$first" && find . | cpio -o -H newc --quiet) > "$work/initrd"

# The second: programs with their libraries, at their own paths.
root=$work/root
mkdir -p "$root"/{bin,sbin,dev,proc,sys,run,tmp,var,root,etc,lib,usr/lib,usr/bin,usr/sbin}
chmod 1777 "$root/tmp"
cp -r "$kernel/lib/modules" "$root/lib/"
add() {  # a file, or a program and what it needs
  mkdir -p "$root$(dirname "$1")"
  cp -L "$1" "$root$1"
  { ldd "$1" 2> /dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
    [ -e "$root$library" ] || { mkdir -p "$root$(dirname "$library")"; cp -L "$library" "$root$library"; }
  done
}
for program in "$(command -v busybox)" "$build"/bin/* "$build"/test/* $(command -v ip runc crun || true); do
  [ ! -f "$program" ] || add "$(realpath -s "$program")"
done
[ -e "$root/bin/busybox" ] || cp "$(command -v busybox)" "$root/bin/busybox"
for applet in $("$root/bin/busybox" --list); do
  [ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"
printf '127.0.0.1 localhost\n' > "$root/etc/hosts"
cp "$here/second-init" "$root/sbin/init"
{ printf 'cd %q\nexport KEELSON_BIN=%q\n' "$(dirname "$build")" "$build/bin"; printf '%q ' "$@"; echo; } > "$root/command"
mkdir -p "$root$(dirname "$build")"
truncate -s 3G "$work/disk"
PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q -d "$root" "$work/disk"

# Emulated: KVM is not everywhere, and does not work in every machine that is virtual itself.
timeout --foreground "${KEELSON_VM_TIMEOUT:-1200}" qemu-system-x86_64 -accel "${KEELSON_VM_ACCELERATOR:-tcg}" -cpu max -smp 2 -m 2048 -display none -no-reboot -serial stdio -net none \
  -kernel "$kernel"/boot/vmlinuz-* -initrd "$work/initrd" -append "console=ttyS0 quiet panic=-1" \
  -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe" < /dev/null | tr -d '\r' | tee "$work/console"
code=$(sed -n 's/^vm: exit //p' "$work/console" | tail -1)
exit "${code:-1}"
