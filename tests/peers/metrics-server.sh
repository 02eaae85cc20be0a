#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds metrics-server from the Go module proxy, once, and prints its path. Its Kubernetes libraries are those of
# kubernetes.sh, so that most of it is built already. usage: metrics-server.sh
# (KEELSON_PEERS: where; default ~/.cache/keelson/peers)    Exit 77 with "SKIP: ..." where it cannot.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=0.8.0
out=${KEELSON_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/keelson/peers}/metrics-server-$version
skip() { echo "SKIP: metrics-server: $*" >&2; exit 77; }

if [ ! -x "$out/metrics-server" ]; then
  PATH=$PATH:/usr/local/go/bin
  command -v go > /dev/null || skip "needs go (1.24 or newer)"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$here"/metrics-server/go.* "$work/"
  mkdir -p "$out"
  echo "building metrics-server $version, once (1 to 6 minutes)" >&2
  cd "$work"
  GOTOOLCHAIN=local nice go build -mod=mod -trimpath -ldflags "-s -w" -o metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server >&2 ||
    skip "it does not build, see above"
  mv metrics-server "$out/"
fi
echo "$out/metrics-server"
