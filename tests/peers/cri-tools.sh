#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds critest and crictl from the Go module proxy, once, and prints the folder that has them.
# usage: cri-tools.sh [--if-built]    (KEELSON_PEERS: where; default ~/.cache/keelson/peers)
# Exit 77 with "SKIP: ..." where it cannot, or with --if-built has not yet.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=1.30.0
out=${KEELSON_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/keelson/peers}/cri-tools-$version
module=github.com/kubernetes-sigs/cri-tools
skip() { echo "SKIP: critest and crictl: $*" >&2; exit 77; }

if [ ! -x "$out/critest" ] || [ ! -x "$out/crictl" ]; then
  [ "${1:-}" != --if-built ] || skip "not built: ./dev peers"
  PATH=$PATH:/usr/local/go/bin
  command -v go > /dev/null || skip "needs go (1.22 or newer)"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # -mod=mod may write what it resolved, so it works on a copy; go.sum still holds it to what was built before.
  cp "$here"/cri-tools/go.* "$work/"
  mkdir -p "$out"
  echo "building critest and crictl $version, once (some minutes)" >&2
  flags=(-mod=mod -trimpath -ldflags "-s -w -X $module/pkg/version.Version=$version")
  cd "$work"
  nice go build "${flags[@]}" -o crictl $module/cmd/crictl >&2 || skip "crictl does not build, see above"
  nice go test -c "${flags[@]}" -o critest $module/cmd/critest >&2 || skip "critest does not build, see above"
  mv crictl critest "$out/"
fi
echo "$out"
