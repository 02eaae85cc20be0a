#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the example images as docker archives: make-images.sh TEST_SERVER OUTPUT_DIR
set -euo pipefail
server=$1 output=$2
busybox=$(command -v busybox)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# archive NAME TAG CONFIG_JSON: one layer with what is in $work/root
archive() {
  local name=$1 config=$2 digest
  tar -C "$work/root" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$work/layer.tar" .
  digest=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  cat > "$work/config.json" <<JSON
{"architecture":"$(dpkg --print-architecture)","os":"linux","config":$config,"rootfs":{"type":"layers","diff_ids":["sha256:$digest"]}}
JSON
  shift 2
  local tags
  tags=$(printf '"%s",' "$@")
  echo "[{\"Config\":\"config.json\",\"RepoTags\":[${tags%,}],\"Layers\":[\"layer.tar\"]}]" > "$work/manifest.json"
  tar -C "$work" -cf "$output/$name.tar" manifest.json config.json layer.tar
}

mkdir -p "$output" "$work/root/etc" "$work/root/tmp"
chmod 1777 "$work/root/tmp"
printf 'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' > "$work/root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' > "$work/root/etc/group"

install -m 755 "$server" "$work/root/server"
path='"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"'
archive server "{\"Env\":[$path]}" keelson.example/server:1
archive mysql "{\"Env\":[$path],\"Cmd\":[\"/server\",\"--port\",\"3306\",\"--fail-after\",\"0\",\"--name\",\"db\"]}" mysql:8
archive wordpress "{\"Env\":[$path],\"Cmd\":[\"/server\",\"--port\",\"80\",\"--fail-after\",\"0\",\"--name\",\"wp\"]}" wordpress:6

rm "$work/root/server"
if [ -x "$(dirname "$server")/pause" ]; then
  install -m 755 "$(dirname "$server")/pause" "$work/root/pause"
  archive pause '{"Entrypoint":["/pause"]}' keelson.example/pause:1
  rm "$work/root/pause"
fi
mkdir -p "$work/root/bin"
install -m 755 "$busybox" "$work/root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -sf busybox "$work/root/bin/$applet"
done
archive busybox "{\"Env\":[$path],\"Cmd\":[\"sh\"]}" keelson.example/busybox:1
