#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the DaemonSet's image, without a registry and without root: make-image.sh KEELSON OUTPUT.tar [NAME:TAG...]
#
# One layer: the binary, the libraries that it is linked with, and iptables-save and nft, which read kube-proxy's rules
# when they are compared. The archive is an OCI layout and what `docker load` reads at once: `ctr -n k8s.io images
# import`, `docker load -i`, `skopeo copy oci-archive:...` and `keelson node --image-archives` take it. The same files
# make the same digest.
set -euo pipefail
keelson=$1 output=$2
shift 2
[ $# -gt 0 ] || set -- docker.io/library/keelson:latest
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root blobs=$work/image/blobs/sha256
mkdir -p "$root"/{etc,tmp,proc,sys,dev,run,var/lib,usr/local/bin,usr/sbin,usr/bin,usr/lib,usr/lib64} "$blobs"
for folder in bin sbin lib lib64; do ln -s usr/$folder "$root/$folder"; done
chmod 1777 "$root/tmp"

# Below /usr, wherever the loader found it.
copy() {
  local from to
  from=$(readlink -f "$1") to=$1
  case $to in /usr/*) ;; *) to=/usr$to ;; esac
  mkdir -p "$root$(dirname "$to")"
  [ -e "$root$to" ] || install -m "$(stat -c %a "$from")" "$from" "$root$to"
}
with_libraries() {
  local library
  for library in $(ldd "$1" | grep -o '/[^ ]*'); do copy "$library"; done
}
strip -o "$root/usr/local/bin/keelson" "$keelson"
with_libraries "$keelson"
for program in nft xtables-nft-multi xtables-legacy-multi; do
  path=/usr/sbin/$program
  [ -x $path ] || { echo "make-image.sh: needs iptables and nftables: no $path" >&2; exit 1; }
  copy $path
  with_libraries $path
done
for family in iptables ip6tables; do
  for way in nft legacy; do ln -s xtables-$way-multi "$root/usr/sbin/$family-$way-save"; done
done
# What a rule matches and does is printed by a module each.
modules=$(dirname "$(dpkg -L iptables | grep -m 1 '/libxt_.*\.so$')")
for module in "$modules"/lib*.so; do copy "$module"; done

printf 'root:x:0:0:root:/:/bin/false\n' > "$root/etc/passwd"
printf 'root:x:0:\n' > "$root/etc/group"

digest() { sha256sum "$1" | cut -d' ' -f1; }
# blob FILE: moves it to where its digest says, and prints that
blob() {
  local name
  name=$(digest "$1")
  mv "$1" "$blobs/$name"
  echo "$name"
}
tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=gnu -cf "$work/layer" .
layer=$(blob "$work/layer")
architecture=$(dpkg --print-architecture)
cat > "$work/config" <<JSON
{"architecture":"$architecture","os":"linux","config":{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Entrypoint":["keelson"],"WorkingDir":"/"},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
JSON
config=$(blob "$work/config")
size() { stat -c %s "$blobs/$1"; }
cat > "$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$(size "$config")},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$(size "$layer")}]}
JSON
manifest=$(blob "$work/manifest")
names= entries=
for name in "$@"; do
  names+="${names:+,}\"$name\""
  entries+="${entries:+,}{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:$manifest\",\"size\":$(size "$manifest"),\"annotations\":{\"io.containerd.image.name\":\"$name\",\"org.opencontainers.image.ref.name\":\"${name##*:}\"}}"
done
echo '{"imageLayoutVersion":"1.0.0"}' > "$work/image/oci-layout"
echo "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[$entries]}" > "$work/image/index.json"
echo "[{\"Config\":\"blobs/sha256/$config\",\"RepoTags\":[$names],\"Layers\":[\"blobs/sha256/$layer\"]}]" > "$work/image/manifest.json"
tar -C "$work/image" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$output" .
echo "$output: sha256:$manifest, $(($(stat -c %s "$output") / 1048576)) MiB"
