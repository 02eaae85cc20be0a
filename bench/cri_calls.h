// SPDX-License-Identifier: Apache-2.0
// The CRI calls that benches time, on any runtime's socket.
#pragma once

#include <memory>
#include <string>

#include "bench/report.h"
#include "cri/proto/api.grpc.pb.h"

namespace keelson::bench {

struct Pod {
  std::string sandbox;
  std::string container;
};

/// One runtime under test; thread-safe. Any failed call ends the bench: a figure of a broken runtime is no figure.
class Runtime {
 public:
  /// `cgroup_parent` of its pods, `logs` the folder of theirs.
  Runtime(std::string name, const std::string& socket, std::string cgroup_parent, std::string logs);

  /// A sandbox with one container that sleeps, started. `samples` (may be null) get the time of each call.
  Pod start(const std::string& pod, const std::string& image, Samples* samples);
  /// ExecSync of /bin/true; its milliseconds.
  double exec(const Pod& pod);
  /// Stops and removes the sandbox and what is in it.
  void remove(const Pod& pod, Samples* samples);

  void pull(const std::string& image);
  /// Not there is success.
  void remove_image(const std::string& image);

  const std::string& name() const { return name_; }

 private:
  ::runtime::v1::PodSandboxConfig sandbox_config(const std::string& pod) const;
  void check(const char* verb, const grpc::Status& status) const;

  std::string name_;
  std::string cgroup_parent_;
  std::string logs_;
  std::unique_ptr<::runtime::v1::RuntimeService::Stub> runtime_;
  std::unique_ptr<::runtime::v1::ImageService::Stub> images_;
};

}  // namespace keelson::bench
