#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds containerd, its runc shim, ctr and runc from the Go module proxy, once, and prints the folder that has them:
# put it first in PATH. usage: containerd.sh [--if-built]    (KEELSON_PEERS: where; default ~/.cache/keelson/peers)
# Exit 77 with "SKIP: ..." where it cannot, or with --if-built has not yet; Debian's containerd 1.6 is the peer then.
set -euo pipefail
version=2.1.9 runc_version=1.3.6
title="containerd $version and runc $runc_version" folder=containerd-$version
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
module=github.com/containerd/containerd/v2

if [ ! -x "$out/containerd" ] || [ ! -x "$out/runc" ]; then
  [ "${1:-}" != --if-built ] || skip "not built: ./dev peers"
  [ -e /usr/include/seccomp.h ] || skip "needs libseccomp-dev, for runc"
  begin_build 1.24 "some minutes"
  # -mod=mod may write what it resolved, so it works on a copy; go.sum still holds it to what was built before.
  cp -r "$here/containerd" "$here/runc" "$work/"
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
