#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds metrics-server from the Go module proxy, once, and prints its path. Its Kubernetes libraries are those of
# kubernetes.sh, so that most of it is built already. usage: metrics-server.sh
# (KEELSON_PEERS: where; default ~/.cache/keelson/peers)    Exit 77 with "SKIP: ..." where it cannot.
set -euo pipefail
version=0.8.0
title="metrics-server $version" folder=metrics-server-$version
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ ! -x "$out/metrics-server" ]; then
  begin_build 1.24 "1 to 6 minutes"
  cp "$here"/metrics-server/go.* "$work/"
  cd "$work"
  nice go build -mod=mod -trimpath -ldflags "-s -w" -o metrics-server sigs.k8s.io/metrics-server/cmd/metrics-server >&2 ||
    skip "it does not build, see above"
  mv metrics-server "$out/"
fi
echo "$out/metrics-server"
