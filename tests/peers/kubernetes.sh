#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds etcd, the control plane, kubectl, kubelet and kube-proxy as one program from the Go module proxy, once, and
# prints its path. usage: kubernetes.sh    (KEELSON_PEERS: where; default ~/.cache/keelson/peers)
# Exit 77 with "SKIP: ..." where it cannot.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=1.34.4
out=${KEELSON_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/keelson/peers}/kubernetes-$version
skip() { echo "SKIP: the Kubernetes control plane: $*" >&2; exit 77; }

if [ ! -x "$out/kubernetes" ]; then
  PATH=$PATH:/usr/local/go/bin
  command -v go > /dev/null || skip "needs go (1.24 or newer)"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$here"/kubernetes/go.* "$here"/kubernetes/main.go "$work/"
  mkdir -p "$out"
  echo "building Kubernetes $version, once (4 to 20 minutes)" >&2
  cd "$work"
  stamp=k8s.io/component-base/version
  GOTOOLCHAIN=local nice go build -mod=mod -trimpath -o kubernetes \
    -ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=34" . >&2 || skip "it does not build, see above"
  mv kubernetes "$out/"
fi
echo "$out/kubernetes"
