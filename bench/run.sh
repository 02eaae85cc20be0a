#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the benches, each beside its peer in the same run. usage: bench/run.sh [FILTER]
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
filter=${1:-}
[ "${1:-}" != --filter ] || filter=${2:-}
home=$(mktemp -d /tmp/keelson-bench-XXXXXX)
# Both sides keep their state on one new ext4 with a journal, as nodes have it. On the machine's own disk the figures
# would hang on what was deleted there before: without a journal (and some virtual machines' roots have none) ext4 tries
# every inode that was deleted in the last seconds before it takes one (recently_deleted() in fs/ext4/ialloc.c).
disk=$home.ext4
truncate -s 8G "$disk"
mkfs.ext4 -q "$disk" && mount -o loop "$disk" "$home" || echo "state is on the disk of $home: no loop device" >&2
pids=()
layers=
stop() {
  trap - EXIT
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  # A bench that failed leaves its pods.
  pkill -KILL -f "keelson-shim .*$home" || true
  awk -v home="$home" '$5 ~ "^" home {print $5}' /proc/self/mountinfo | sort -r | xargs -r -n1 umount -l
  ip link del kl-bench0 2>/dev/null || true
  # What services_bench takes away itself, unless it was killed.
  local netns
  for netns in $(ip netns list | awk -v name="$(basename "$home")-" 'index($1, name) == 1 {print $1}'); do
    ip netns pids "$netns" | xargs -r kill -KILL 2>/dev/null || true
    ip netns delete "$netns" || true
  done
  find /sys/fs/bpf -mindepth 1 -maxdepth 1 -name "$(basename "$home")*" -exec rm -rf {} + 2>/dev/null || true
  find /sys/fs/cgroup -depth -type d -path "*/$(basename "$home")*" -exec rmdir {} + 2>/dev/null || true
  umount "$home" 2>/dev/null || true
  rm -rf --one-file-system "$home" "$disk" ${layers:+"$layers"}
}
trap stop EXIT
wanted() { [ -z "$filter" ] || [[ $1 == *$filter* ]]; }
wait_for_socket() { for _ in $(seq 100); do [ -S "$1" ] && return; sleep 0.1; done; echo "bench: no $1" >&2; return 1; }

# join SIDE: this shell's cgroup is SIDE's, whose CPU time is everything that the side does: its daemon, what that starts,
# and its pods, which are below it too.
join() {
  local hierarchy=/sys/fs/cgroup
  [ ! -d $hierarchy/cpuacct ] || hierarchy=$hierarchy/cpuacct
  mkdir -p "$hierarchy/$(basename "$home")/$1/daemon"
  echo "$BASHPID" > "$hierarchy/$(basename "$home")/$1/daemon/cgroup.procs"
}

our_pid= their_pid=
start_runtimes() {  # once, for all benches of runtimes
  [ -z "$our_pid" ] || return 0
  if peer=$("$top/tests/peers/containerd.sh" --if-built 2> /dev/null); then export PATH=$peer:$PATH; fi
  local tool
  for tool in containerd runc ctr; do
    command -v $tool > /dev/null || { echo "SKIP: cri, pull: needs $tool"; return 1; }
  done
  "$top/deploy/examples/make-images.sh" "$top/build/test/test-server" "$home/images"
  mkdir -p "$home/cni/ours" "$home/cni/theirs"
  echo "{\"cniVersion\":\"1.1.0\",\"name\":\"ours\",\"plugins\":[{\"type\":\"keelson-cni\",\"dataDir\":\"$home/ipam\",\"ranges\":[\"10.243.0.0/24\"]}]}" > "$home/cni/ours/10.conflist"
  echo "{\"cniVersion\":\"1.0.0\",\"name\":\"theirs\",\"plugins\":[{\"type\":\"bridge\",\"bridge\":\"kl-bench0\",\"isGateway\":true,\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"$home/host-local\",\"ranges\":[[{\"subnet\":\"10.243.1.0/24\"}]],\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}]}" > "$home/cni/theirs/10.conflist"
  (join theirs && exec "$top/tests/support/containerd.sh" "$home" "$home/cni/theirs" "$home/certs.d") > "$home/containerd.log" 2>&1 &
  their_pid=$!
  pids+=($their_pid)
  (join ours && exec "$top/build/bin/keelson" --run "$home/run" node --roles runtime --root "$home/root" --cni-conf-dir "$home/cni/ours" --cni-bin-dir "$top/build/bin" \
    --registry-config-dir "$home/certs.d" --image-archives "$home/images") > "$home/keelson.log" 2>&1 &
  our_pid=$!
  pids+=($our_pid)
  wait_for_socket "$home/containerd.sock"
  wait_for_socket "$home/run/cri.sock"
  local image
  for image in "$home"/images/busybox.tar "$home"/images/pause.tar; do
    ctr --address "$home/containerd.sock" -n k8s.io images import "$image" > /dev/null
  done
}
beside() { echo "== $1 $(containerd --version | awk '{print $1, $3}'), $(runc --version | head -1), bridge + host-local"; }
why() { tail -n 5 "$home/keelson.log" "$home/containerd.log"; return 1; }

bench_cri() {
  start_runtimes || return 0
  beside "cri: beside"
  "$top/build/bench/cri_bench" --ours "$home/run/cri.sock" --theirs "$home/containerd.sock" --our-pid $our_pid --their-pid $their_pid --home "$home" || why
}

bench_pull() {
  command -v zstd > /dev/null || { echo "SKIP: pull: needs zstd"; return; }
  start_runtimes || return 0
  # Not on the file system of the stores.
  layers=$(mktemp -d /tmp/keelson-bench-layers-XXXXXX)
  "$top/bench/make-image.sh" "$layers"
  "$top/build/test/test-registry" "$layers/list" > "$layers/registry" &
  pids+=($!)
  for _ in $(seq 100); do grep -q '^$' "$layers/registry" && break; sleep 0.1; done
  mkdir -p "$home/certs.d/bench.example"
  printf 'server = "http://%s"\n\n[host."http://%s"]\n  capabilities = ["pull", "resolve"]\n' "$(head -1 "$layers/registry")" "$(head -1 "$layers/registry")" > "$home/certs.d/bench.example/hosts.toml"
  beside "pull: beside"
  "$top/build/bench/pull_bench" --ours "$home/run/cri.sock" --theirs "$home/containerd.sock" --home "$home" --registry bench.example \
    --gzip "$layers"/*.gz --zstd "$layers"/*.zst || why
}

bench_cni() {
  [ -x /usr/lib/cni/bridge ] || { echo "SKIP: cni: needs the reference plugins in /usr/lib/cni"; return; }
  echo "== cni: beside the reference bridge and host-local plugins"
  "$top/build/bench/cni_bench" --ours "$top/build/bin"
}

bench_xdp() {
  echo "== xdp: ns a packet beside an empty program in the same harness (Katran IPIP measured so: 136, Cilium DSR 320, NAT 634)"
  "$top/build/bench/xdp_bench" "$([[ $filter != xdp_* ]] || echo "$filter")"
}

bench_sync() {
  echo "== sync: objects to the kernel's tables (kube-proxy 1.34.4 at 10,000 services: 30 s iptables, 43 s nftables; one change 0.8 s, 3.1 s)"
  "$top/build/bench/sync_bench"
  echo "== sync: the same from an API server through all of the role network"
  "$top/build/bench/api_sync_bench"
}

bench_services() {
  echo "== services: a service's flows beside kube-proxy 1.34's, and beside the pods themselves with no rules on the way"
  # About 6 minutes; with other load on the machine kube-proxy alone may take that for 10,000 services.
  timeout --foreground --kill-after=10 720 "$top/build/bench/services_bench" --home "$home" || echo "services: ended with $? (124: out of time)"
}

bench_cluster() {
  local tool
  if peer=$("$top/tests/peers/containerd.sh" --if-built 2> /dev/null); then export PATH=$peer:$PATH; fi
  for tool in containerd runc ctr; do
    command -v $tool > /dev/null || { echo "SKIP: cluster: needs $tool"; return 0; }
  done
  [ -x /usr/lib/cni/bridge ] || { echo "SKIP: cluster: needs the reference plugins in /usr/lib/cni"; return 0; }
  beside "cluster: a node of a real control plane, beside kubelet 1.34,"
  local folder=$home/$(basename "$home")-cluster  # its last part names cgroup and pins
  mkdir -p "$folder"
  KEELSON_BIN=$top/build/bin timeout --foreground --kill-after=10 900 "$top/build/bench/cluster_bench" --home "$folder" ||
    { echo "cluster: ended with $? (124: out of time)"; tail -n 5 "$folder"/*/*.log; }
}

if wanted sync; then bench_sync; fi
if wanted services; then bench_services; fi
# A filter may name one line of it.
if wanted xdp || [[ $filter == xdp* ]]; then bench_xdp; fi
if wanted cri; then bench_cri; fi
if wanted pull; then bench_pull; fi
if wanted cni; then bench_cni; fi
if wanted cluster; then bench_cluster; fi
