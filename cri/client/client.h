// SPDX-License-Identifier: Apache-2.0
// CRI v1 as coroutines: ours, containerd or CRI-O.
//
// Every call takes a deadline and ends by it with Kind::timeout; a cancelled caller cancels its call. Other errors are
// the runtime's: not_found, exists, invalid, unavailable (it is away), unsupported, permission, exhausted, internal,
// each with its text.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/loop.h"
#include "cri/client/call_stats.h"
#include "cri/client/types.h"

namespace keelson::cri {

/// A runtime, as the agent sees it. All calls, and all callbacks, on the loop it was made for. Tests have a small world
/// behind it.
class RuntimeClient {
 public:
  virtual ~RuntimeClient() = default;

  virtual Task<RuntimeVersion> version(Duration deadline) = 0;
  virtual Task<RuntimeStatus> status(Duration deadline) = 0;
  /// The range of pods' addresses on this node, of each family, with commas between.
  virtual Task<> update_runtime_config(std::string pod_cidr, Duration deadline) = 0;

  virtual Task<std::string> run_pod_sandbox(SandboxConfig config, std::string runtime_handler, Duration deadline) = 0;
  virtual Task<> stop_pod_sandbox(std::string id, Duration deadline) = 0;
  virtual Task<> remove_pod_sandbox(std::string id, Duration deadline) = 0;
  virtual Task<SandboxStatus> pod_sandbox_status(std::string id, Duration deadline) = 0;
  /// Without addresses: those are in the status.
  virtual Task<std::vector<SandboxStatus>> list_pod_sandboxes(ListFilter filter, Duration deadline) = 0;

  virtual Task<std::string> create_container(std::string sandbox_id, ContainerConfig config, SandboxConfig sandbox,
                                             Duration deadline) = 0;
  virtual Task<> start_container(std::string id, Duration deadline) = 0;
  /// `grace` is the time between the stop signal and SIGKILL; the deadline should be longer.
  virtual Task<> stop_container(std::string id, std::chrono::seconds grace, Duration deadline) = 0;
  virtual Task<> remove_container(std::string id, Duration deadline) = 0;
  virtual Task<ContainerStatus> container_status(std::string id, Duration deadline) = 0;
  virtual Task<std::vector<ContainerStatus>> list_containers(ListFilter filter, Duration deadline) = 0;
  virtual Task<> update_container_resources(std::string id, LinuxResources resources, Duration deadline) = 0;
  virtual Task<> reopen_container_log(std::string id, Duration deadline) = 0;
  /// What the containers that run have written, by their ids. The runtime walks through their files.
  virtual Task<std::map<std::string, FileUse>> list_writable_layers(Duration deadline) = 0;

  /// Runs a command to its end; Kind::timeout when `limit` has passed (the runtime then kills it).
  virtual Task<ExecResult> exec_sync(std::string id, std::vector<std::string> command, Duration limit) = 0;
  struct StreamRequest {
    std::vector<std::string> command;
    bool in = false;
    bool out = true;
    bool error = true;
    bool tty = false;
  };
  /// Writes the container's memory and files as an archive to `file`; it runs on. `seconds`: what the runtime may take;
  /// 0: as it likes. Kind::unsupported: this runtime makes none.
  virtual Task<> checkpoint_container(std::string id, std::string file, int64_t seconds, Duration deadline) = 0;
  /// A one-time URL.
  virtual Task<std::string> exec(std::string id, StreamRequest request, Duration deadline) = 0;
  virtual Task<std::string> attach(std::string id, StreamRequest request, Duration deadline) = 0;
  /// A one-time URL. `ports`: for WebSocket's channels; over SPDY the client names the port of each connection.
  virtual Task<std::string> port_forward(std::string sandbox_id, std::vector<uint16_t> ports, Duration deadline) = 0;

  virtual Task<std::vector<Image>> list_images(Duration deadline) = 0;
  /// An empty id: it is not there.
  virtual Task<Image> image_status(std::string image, Duration deadline) = 0;
  /// The reference to create containers with.
  virtual Task<std::string> pull_image(std::string image, AuthConfig auth, SandboxConfig sandbox,
                                       Duration deadline) = 0;
  virtual Task<> remove_image(std::string image, Duration deadline) = 0;
  /// What all images take.
  virtual Task<FileUse> image_store(Duration deadline) = 0;
  /// Keelson's own: loads an archive or layout that the runtime can read; the names it now has. Kind::unsupported
  /// elsewhere.
  virtual Task<std::vector<std::string>> load_image(std::string path, Duration deadline) = 0;

  /// Calls `handle` for each container event, from now on until the object goes, reconnecting as often as needed.
  /// `resync` is called after each (re)connection: events may have been missed, so look at everything. Kept for the
  /// life of the object. A runtime that tells no events (containerd before 1.7) is asked for everything each second.
  virtual void watch_events(std::function<void(ContainerEvent)> handle, std::function<void()> resync) = 0;
};

/// Makes a client for the runtime on this unix socket. It need not be there yet: calls fail with Kind::unavailable
/// until it is. `stats`: where its calls are counted with those of other clients. `image_socket`: of the image service;
/// empty: the runtime's.
std::unique_ptr<RuntimeClient> connect_runtime(Loop& loop, const std::string& socket,
                                               std::shared_ptr<CallStats> stats = nullptr,
                                               const std::string& image_socket = "");

}  // namespace keelson::cri
