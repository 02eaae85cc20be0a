// SPDX-License-Identifier: Apache-2.0
// A sandbox's network: CNI around it.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "common/result.h"
#include "cri/runtime/records.h"

namespace keelson::cni {
class Invoker;
}

namespace keelson::cri {

/// Finds the network configuration anew on each call, so that it may come, go and change. Thread-safe.
///
/// The ranges of pods' addresses that the cluster gives the node reach plugins by the capability ipRanges (CNI
/// conventions), and outlive the runtime in `cache_dir`/pod-ranges.
class Network {
 public:
  Network(std::string conf_dir, std::vector<std::string> bin_dirs, std::string cache_dir, std::chrono::seconds timeout);
  ~Network();

  struct Attachment {
    std::vector<std::string> addresses;  ///< without prefix lengths; the default interface's, primary first
    std::string result;                  ///< CNI's result, for later verbs
  };
  /// CNI ADD of the whole chain, `lo` up. Needs record.netns_path. Kind::unavailable while no configuration is there.
  Result<Attachment> attach(const SandboxRecord& record);
  /// CNI DEL; idempotent. The namespace may be gone already. No configuration is success: there is nobody to ask.
  Result<> detach(const SandboxRecord& record);
  /// Why sandboxes cannot get a network now: CRI's condition NetworkReady.
  Result<> ready();
  /// "10.244.1.0/24,fd00:1::/64", of each family one at most; in force for what is attached from now on. Kind::invalid
  /// names the wrong one.
  Result<> set_pod_ranges(const std::string& text);

 private:
  boost::json::object with_ranges(boost::json::object capability_args) const;

  const std::string ranges_file_;
  const std::unique_ptr<cni::Invoker> invoker_;
  mutable std::mutex mutex_;
  std::vector<std::string> ranges_;
};

}  // namespace keelson::cri
