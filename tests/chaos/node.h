// SPDX-License-Identifier: Apache-2.0
// The runtime under test: a `keelson node --roles runtime` on folders of its own, that may be killed at any time.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "cri/proto/api.grpc.pb.h"
#include "tests/support/process.h"

namespace keelson::chaos {

namespace v1 = ::runtime::v1;

/// Thread-safe, but for the order of kill() and start(), which is one thread's.
class Node {
 public:
  /// `bin`: where the binaries are. Makes the folders and the images.
  explicit Node(std::string bin);
  /// Ends the daemon and whatever is left of the pods, and removes the folders.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Returns once the runtime answers. False if it has not within 20 s.
  bool start();
  void kill();
  /// False if it has ended by itself.
  bool alive();
  pid_t pid() const { return daemon_.pid(); }
  /// The handler "runc" is there.
  bool has_runc() const { return !runc_.empty(); }

  std::shared_ptr<v1::RuntimeService::Stub> runtime() const;
  std::shared_ptr<v1::ImageService::Stub> images() const;

  const std::string& home() const { return home_; }
  const std::string& bin() const { return bin_; }
  /// The cgroup that all pods are below, "/keelson-chaos-XXXXXX".
  std::string cgroup() const;
  std::string run_dir() const { return home_ + "/run/runtime"; }
  std::string state_dir() const { return home_ + "/root/runtime"; }
  std::string leases() const { return home_ + "/ipam/chaos.leases"; }
  /// The log's last lines.
  std::string log_tail() const;

 private:
  const std::string bin_;
  std::string runc_;  ///< its path, if it is installed
  std::string home_;
  testing::Background daemon_;
  mutable std::mutex mutex_;
  std::shared_ptr<v1::RuntimeService::Stub> runtime_;
  std::shared_ptr<v1::ImageService::Stub> images_;
};

}  // namespace keelson::chaos
