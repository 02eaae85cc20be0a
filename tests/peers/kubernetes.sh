#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds etcd, the control plane, kubectl, kubelet and kube-proxy as one program from the Go module proxy, once, and
# prints its path. usage: kubernetes.sh    (KEELSON_PEERS: where; default ~/.cache/keelson/peers)
# Exit 77 with "SKIP: ..." where it cannot.
set -euo pipefail
version=1.34.4
title="Kubernetes $version" folder=kubernetes-$version
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [ ! -x "$out/kubernetes" ]; then
  begin_build 1.24 "4 to 20 minutes"
  cp "$here"/kubernetes/go.* "$here"/kubernetes/main.go "$work/"
  cd "$work"
  stamp=k8s.io/component-base/version
  nice go build -mod=mod -trimpath -o kubernetes \
    -ldflags "-s -w -X $stamp.gitVersion=v$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=34" . >&2 || skip "it does not build, see above"
  mv kubernetes "$out/"
fi
echo "$out/kubernetes"
