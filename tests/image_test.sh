#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The DaemonSet's image: made twice it is the same, and its programs run on its own files: image_test.sh KEELSON
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "$(id -u)" -eq 0 ] || { echo "SKIP: needs root"; exit 77; }
for tool in nft xtables-nft-multi; do
  [ -x /usr/sbin/$tool ] || { echo "SKIP: needs $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
complain() { echo "image: $*" >&2; exit 1; }

deploy/kubernetes/make-image.sh "$1" "$work/first.tar" example/keelson:1 example/keelson:2
deploy/kubernetes/make-image.sh "$1" "$work/second.tar" example/keelson:1 example/keelson:2
cmp "$work/first.tar" "$work/second.tar" || complain "the same files made another image"

mkdir "$work/image" "$work/root"
tar -C "$work/image" -xf "$work/first.tar"
for name in example/keelson:1 example/keelson:2; do
  grep -q "\"io.containerd.image.name\":\"$name\"" "$work/image/index.json" || complain "index.json has no $name"
  grep -q "\"$name\"" "$work/image/manifest.json" || complain "manifest.json has no $name"
done
for blob in "$work"/image/blobs/sha256/*; do
  [ "$(sha256sum "$blob" | cut -d' ' -f1)" = "$(basename "$blob")" ] || complain "$blob is not what its name says"
done
layer=$(grep -o 'blobs/sha256/[0-9a-f]*"\]' "$work/image/manifest.json" | tr -d '"]')
tar -C "$work/root" -xf "$work/image/$layer"
for command in "keelson --version" "nft --version" "iptables-nft-save --version" "ip6tables-legacy-save --version"; do
  # shellcheck disable=SC2086
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$work/root" $command || complain "$command"
done
