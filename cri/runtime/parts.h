// SPDX-License-Identifier: Apache-2.0
// What the runtime consists of, for the RPCs that move it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/cgroup/tree.h"
#include "cri/runtime/events.h"
#include "cri/runtime/exec_waiters.h"
#include "cri/runtime/image_source.h"
#include "cri/runtime/network.h"
#include "cri/runtime/pod_table.h"
#include "cri/runtime/records.h"
#include "cri/runtime/watcher.h"
#include "cri/server.h"
#include "cri/streaming/server.h"

namespace keelson::cri {

/// What an OCI runtime can do beyond the least.
struct HandlerFeatures {
  bool recursive_read_only_mounts = false;
};

/// Built and torn down by Server, in the order of declaration. Everything in it is thread-safe.
struct Parts {
  RuntimeOptions options;
  Records records;
  cgroup::Tree cgroups;
  Network network;
  std::optional<Error> no_user_namespaces;  ///< why this node has none for pods
  ImageSource& images;
  PodTable pods;
  Events events;
  ExecWaiters execs;
  std::unique_ptr<StreamingServer> streaming;
  std::unique_ptr<ShimWatcher> watcher;
  /// By handler; what `RUNTIME features` has told at start.
  std::map<std::string, HandlerFeatures> handler_features{};

  /// On the state disk: run_dir is memory that the whole node needs, and what containers write has no bound.
  std::string container_dir(const std::string& id) const { return options.state_dir + "/containers/" + id; }
  /// The lowest layer of every container: empty folders and files for what is always mounted, so that no container's
  /// own layer needs them.
  std::string mount_points_dir() const { return options.state_dir + "/mount-points"; }
  /// hostname, hosts, resolv.conf.
  std::string sandbox_files_dir(const std::string& id) const { return options.state_dir + "/sandboxes/" + id; }
  /// The shim's socket, shared memory.
  std::string sandbox_dir(const std::string& id) const { return options.run_dir + "/sandboxes/" + id; }
  /// Where a handler's runtime keeps its state (--root).
  std::string handler_dir(const std::string& handler) const { return options.run_dir + "/oci/" + handler; }
  std::string shared_memory_dir(const std::string& id) const { return sandbox_dir(id) + "/shm"; }
  std::string netns_path(const std::string& id) const { return options.run_dir + "/netns/" + id; }
};

/// Now, as records have it: nanoseconds since the epoch.
int64_t now_ns();

}  // namespace keelson::cri
