#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds containerd, its runc shim, ctr and runc from the Go module proxy, once, and prints the folder that has them:
# put it first in PATH. usage: containerd.sh [--if-built]    (KEELSON_PEERS: where; default ~/.cache/keelson/peers)
# Exit 77 with "SKIP: ..." where it cannot, or with --if-built has not yet; Debian's containerd 1.6 is the peer then.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=2.1.9 runc_version=1.3.6
out=${KEELSON_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/keelson/peers}/containerd-$version
module=github.com/containerd/containerd/v2
skip() { echo "SKIP: containerd $version: $*" >&2; exit 77; }

if [ ! -x "$out/containerd" ] || [ ! -x "$out/runc" ]; then
  [ "${1:-}" != --if-built ] || skip "not built: ./dev peers"
  PATH=$PATH:/usr/local/go/bin
  command -v go > /dev/null || skip "needs go (1.24 or newer)"
  [ -e /usr/include/seccomp.h ] || skip "needs libseccomp-dev, for runc"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # -mod=mod may write what it resolved, so it works on a copy; go.sum still holds it to what was built before.
  cp -r "$here/containerd" "$here/runc" "$work/"
  mkdir -p "$out"
  echo "building containerd $version and runc $runc_version, once (some minutes)" >&2
  export GOTOOLCHAIN=local
  flags=(-mod=mod -trimpath)
  cd "$work/containerd"
  for program in containerd-shim-runc-v2 ctr containerd; do
    nice go build "${flags[@]}" -tags no_btrfs,no_devmapper,no_zfs,no_aufs -ldflags "-s -w -X $module/version.Version=v$version" \
      -o $program $module/cmd/$program >&2 || skip "$program does not build, see above"
  done
  cd "$work/runc"
  nice go build "${flags[@]}" -tags seccomp -ldflags "-s -w -X main.version=$runc_version" -o runc github.com/opencontainers/runc >&2 ||
    skip "runc does not build, see above"
  mv "$work"/containerd/{containerd-shim-runc-v2,ctr,containerd} "$work/runc/runc" "$out/"
fi
echo "$out"
