#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A whole cluster of one Keelson node on this machine, in a network of its own that reaches nothing outside: etcd,
# kube-apiserver, kube-controller-manager and kube-scheduler of Kubernetes, and `keelson node` with all its roles.
# usage: cluster.sh [COMMAND...]    COMMAND (default: a shell) finds kubectl, keelson and KUBECONFIG ready; when it ends,
# every trace of the cluster goes. Exit: COMMAND's, or 77 with "SKIP: ..." where it cannot.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${KEELSON_BUILD:-$here/../../build}
[ "$(id -u)" -eq 0 ] || { echo "SKIP: cluster: needs root" >&2; exit 77; }
if [ -z "${KEELSON_CLUSTER_HOME:-}" ]; then
  program=$("$here/../peers/kubernetes.sh")
  export KEELSON_CLUSTER_PROGRAM=$program
  KEELSON_CLUSTER_HOME=$(mktemp -d /tmp/keelson-cluster-XXXXXX)
  export KEELSON_CLUSTER_HOME
  exec unshare --net "$0" "$@"
fi
home=$KEELSON_CLUSTER_HOME name=$(basename "$KEELSON_CLUSTER_HOME")
node=node-1 address=10.250.0.1
cgroup2=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
plane=
daemon=
command=
stop() {
  trap - EXIT INT TERM
  [ -z "$command" ] || kill "$command" 2>/dev/null || true
  if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
    kill -TERM "$daemon"
    wait "$daemon" || echo "the node ended with $?: $(tail -3 "$home/node.log")" >&2
  fi
  [ -z "$plane" ] || { exec 9>&-; wait "$plane" || true; }
  # What a node leaves that was killed.
  pkill -KILL -f "keelson-shim .*$home" || true
  awk -v home="$home/" 'index($5, home) == 1 {print $5}' /proc/self/mountinfo | sort -r | xargs -r -n1 umount -l
  rm -rf "/sys/fs/bpf/$name"
  [ -z "$cgroup2" ] || rmdir "$cgroup2/$name-sockets" 2>/dev/null || true
  [ -n "${KEELSON_CLUSTER_KEEP:-}" ] && echo "kept: $home" || rm -rf --one-file-system "$home"
}
trap stop EXIT
trap 'exit 130' INT TERM

ip link set lo up
ip link add node0 type veth peer name node0-peer
ip address add $address/24 dev node0
ip link set node0 up
ip link set node0-peer up
ip route add default dev node0

mkdir -p "$home/bin" "$home/manifests" "$home/cni"
printf '#!/bin/sh\nexec "%s" kubectl "$@"\n' "$KEELSON_CLUSTER_PROGRAM" > "$home/bin/kubectl"
printf '#!/bin/sh\nexec "%s/bin/keelson" --run "%s/run" "$@"\n' "$build" "$home" > "$home/bin/keelson"
chmod +x "$home/bin/"*
export PATH=$home/bin:$PATH KUBECONFIG=$home/control-plane/admin.conf KUBE_EDITOR=${EDITOR:-vi}

echo "starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler" >&2
mkfifo "$home/open"
"$build/test/control-plane" "$home/control-plane" $node < "$home/open" > "$home/control-plane.out" 2>&1 &
plane=$!
exec 9> "$home/open"
until grep -q '^ready' "$home/control-plane.out"; do
  kill -0 $plane 2>/dev/null || { cat "$home/control-plane.out" >&2; exit 1; }
  sleep 0.2
done

echo "starting keelson" >&2
"$here/../../deploy/examples/make-images.sh" "$build/test/test-server" "$home/images"
echo "{\"cniVersion\": \"1.1.0\", \"name\": \"cluster\", \"plugins\": [{\"type\": \"keelson-cni\", \"dataDir\": \"$home/cni/data\", \"ranges\": [\"10.240.0.0/24\"]}]}" > "$home/cni/10-keelson.conflist"
sockets=()
if [ -n "$cgroup2" ]; then mkdir -p "$cgroup2/$name-sockets"; sockets=(--socket-cgroup "$cgroup2/$name-sockets"); fi
keelson node --roles agent,runtime,network --node-name $node --root "$home/root" --manifests "$home/manifests" --cni-conf-dir "$home/cni" \
  --kubeconfig "$home/control-plane/node.conf" --network-kubeconfig "$home/control-plane/proxy.conf" --client-ca-file "$home/control-plane/ca.crt" \
  --cni-bin-dir "$build/bin" --pod-logs-dir "$home/logs/pods" --container-logs-dir "$home/logs/containers" --cgroup-root "/$name" \
  --bpf-dir "/sys/fs/bpf/$name" "${sockets[@]}" --set-kernel-defaults=false --fail-swap-on=false --remove-pods-on-exit --remove-services-on-exit --image-archives "$home/images" > "$home/node.log" 2>&1 9>&- &
daemon=$!
until [ "$(kubectl get node $node -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]; do
  kill -0 $daemon 2>/dev/null || { tail -20 "$home/node.log" >&2; exit 1; }
  [ $SECONDS -lt 120 ] || { echo "the node is not Ready after two minutes:" >&2; tail -20 "$home/node.log" >&2; exit 1; }
  sleep 0.2
done
kubectl get nodes -o wide >&2
# In the background, so that a signal is answered at once and not when it has ended; without what holds the control
# plane, which ends when nobody does.
if [ $# -gt 0 ]; then "$@" <&0 9>&- & command=$!; wait $command; exit; fi
echo "kubectl and keelson are ready in this shell; images: $(cd "$home/images" && ls | sed 's/\.tar$//' | tr '\n' ' '); \`exit\` ends the cluster" >&2
bash --norc -i
