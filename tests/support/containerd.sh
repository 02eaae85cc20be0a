#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Becomes a containerd that is beside every other one of this machine: the peer of benches and tests.
# usage: containerd.sh HOME CNI_CONF_DIR [REGISTRY_CONFIG_DIR]
# Its socket is HOME/containerd.sock; its pods' pause image must be imported.
set -euo pipefail
home=$1 cni=$2 registries=${3:-}
cat > "$home/containerd.toml" <<TOML
version = 2
root = "$home/containerd/root"
state = "$home/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "$home/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "keelson.example/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$registries"
TOML
exec containerd --config "$home/containerd.toml"
