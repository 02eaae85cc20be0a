// SPDX-License-Identifier: Apache-2.0
// A sandbox's network: CNI around it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "cri/runtime/records.h"

namespace keelson::cni {
class Invoker;
}

namespace keelson::cri {

/// Finds the network configuration anew on each call, so that it may come, go and change. Thread-safe.
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

 private:
  const std::unique_ptr<cni::Invoker> invoker_;
};

}  // namespace keelson::cri
