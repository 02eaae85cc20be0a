#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds critest and crictl from the Go module proxy, once, and prints the folder that has them.
# usage: cri-tools.sh [--if-built]    (KEELSON_PEERS: where; default ~/.cache/keelson/peers)
# Exit 77 with "SKIP: ..." where it cannot, or with --if-built has not yet.
set -euo pipefail
version=1.30.0
title="critest and crictl $version" folder=cri-tools-$version
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
module=github.com/kubernetes-sigs/cri-tools

if [ ! -x "$out/critest" ] || [ ! -x "$out/crictl" ]; then
  [ "${1:-}" != --if-built ] || skip "not built: ./dev peers"
  begin_build 1.22 "some minutes"
  # -mod=mod may write what it resolved, so it works on a copy; go.sum still holds it to what was built before.
  cp "$here"/cri-tools/go.* "$work/"
  flags=(-mod=mod -trimpath -ldflags "-s -w -X $module/pkg/version.Version=$version")
  cd "$work"
  nice go build "${flags[@]}" -o crictl $module/cmd/crictl >&2 || skip "crictl does not build, see above"
  nice go test -c "${flags[@]}" -o critest $module/cmd/critest >&2 || skip "critest does not build, see above"
  mv crictl critest "$out/"
fi
echo "$out"
