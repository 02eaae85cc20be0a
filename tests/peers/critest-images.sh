#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes what critest's images are made of, and the list that test-registry serves: critest-images.sh PROGRAMS_DIR OUTPUT_DIR
# PROGRAMS_DIR has the test programs (build/test). Needs busybox-static, and apt-get for one package that is not installed.
set -euo pipefail
programs=$1 output=$2
busybox=$(command -v busybox)
mkdir -p "$output"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

layer() {  # layer NAME: what is in $root, which is empty again afterwards
  tar -C "$root" --sort=name --owner=0 --group=0 --mtime=@0 --format=pax --pax-option=delete=atime,delete=ctime -cf "$output/$1.tar" .
  rm -rf "${root:?}"/*
}
image() {  # image REPOSITORY TAG LAYERS CONFIG
  local layers
  layers=$(printf "%s\n" "$3" | sed "s#[^,]*#$output/&.tar#g")
  echo "$1 $2 $layers $4" >> "$output/list"
}

# A shell that runs /bin/ls for ls, as other distributions' busybox does and Debian's static one does not: critest masks
# /bin/ls. The package conflicts with busybox-static, so it is unpacked and not installed.
shell_layer() {
  local unpacked=$output/busybox.deb.d
  mkdir -p "$unpacked" "$root/bin"
  (cd "$unpacked" && timeout 60 apt-get download busybox > /dev/null 2>&1 && dpkg-deb -x busybox_*.deb .) || return 1
  install -m 755 "$unpacked/bin/busybox" "$root/bin/sh"
  local library
  for library in $(ldd "$unpacked/bin/busybox" | grep -o '/[^ ]*'); do
    install -D -m 755 "$library" "$root$library"
  done
  rm -rf "$unpacked"
}
if ! shell_layer; then echo "SKIP: critest's images: no busybox package to be had" >&2; exit 77; fi

mkdir -p "$root"/{etc,tmp,var/run,var/log,root,home}
chmod 1777 "$root/tmp"
printf '%s\n' root:x:0:0:root:/root:/bin/sh www-data:x:33:33:www-data:/var/www:/bin/false \
  default-user:x:1000:1000:default:/home:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false > "$root/etc/passwd"
printf '%s\n' root:x:0: www-data:x:33: default-user:x:1000: group-defined-in-image:x:50000:default-user nogroup:x:65534: > "$root/etc/group"
install -m 755 "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
  # Hard links, so that masking one applet leaves the others.
  [ -e "$root/bin/$applet" ] || ln "$root/bin/busybox" "$root/bin/$applet"
done
rm "$root/bin/ls"
install -m 755 "$busybox" "$root/bin/ls"
# Two tools that Debian's busybox leaves out, as far as critest asks for them.
printf '#!/bin/sh\npidof "$@"\n' > "$root/bin/pgrep"
printf '#!/bin/sh\ncat /proc/sysvipc/shm\n' > "$root/bin/ipcs"
chmod 755 "$root/bin/pgrep" "$root/bin/ipcs"
layer base
for name in nginx httpd; do
  install -D -m 755 "$programs/test-server" "$root/usr/sbin/$name"
  layer $name
done
install -m 4755 "$programs/nnp" "$root/nnp"
layer nnp

env='"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]'
e2e=e2e-test-images own=k8s-staging-cri-tools
: > "$output/list"
server() {  # server BINARY PORT: as an image's command
  echo "[\"sh\",\"-c\",\"echo \$\$ > /var/run/$1.pid; echo $1 -D FOREGROUND; exec $1 --port $2 --fail-after 0 --name 'master process'\"]"
}
image $e2e/busybox 1.29-2 base "{$env,\"Cmd\":[\"sh\"]}"
image $e2e/nginx 1.14-2 base,nginx "{$env,\"Cmd\":$(server nginx 80)}"
image $e2e/httpd 2.4.39-4 base,httpd "{$env,\"Cmd\":$(server httpd 80)}"
image $e2e/nonewprivs 1.3 base,nnp "{$env,\"Cmd\":[\"/nnp\"]}"
image $own/hostnet-nginx-"$(dpkg --print-architecture)" latest base,nginx "{$env,\"Cmd\":$(server nginx 12003)}"
image $own/test-image-user-uid latest base "{$env,\"User\":\"1002\"}"
image $own/test-image-user-username latest base "{$env,\"User\":\"www-data\"}"
image $own/test-image-user-uid-group latest base "{$env,\"User\":\"1003:users\"}"
image $own/test-image-user-username-group latest base "{$env,\"User\":\"www-data:www-data\"}"
image $own/test-image-predefined-group latest base "{$env,\"User\":\"1000\",\"Labels\":{\"image\":\"group\"}}"
for name in latest:latest tag:test tag:all digest:latest 1:latest 2:latest 3:latest; do
  image $own/test-image-"${name%:*}" "${name#*:}" base "{$env,\"Labels\":{\"image\":\"$name\"}}"
done
for tag in 1 2 3; do
  image $own/test-image-tags $tag base "{$env,\"Labels\":{\"image\":\"tags\"}}"
done
