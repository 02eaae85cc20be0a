// SPDX-License-Identifier: Apache-2.0
// Ranges of user and group ids for pods with `hostUsers: false` (KEP-127): no two pods, and no pod and the node, have
// an id in common.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "common/result.h"

namespace keelson::agent {

/// Every range has as many ids as the others (65536, or a multiple), and starts at a multiple of that; the first, the
/// node's own, is never given. A pod's range stands in <root>/pods/<uid>/userns, as the kubelet writes it, and so
/// survives the agent. Thread-safe.
class UserRanges {
 public:
  static constexpr uint32_t kLeast = 65536;

  /// `root` is the agent's state folder; `length`: of each range, a multiple of kLeast. Ranges of another length, from
  /// before, are not ours.
  explicit UserRanges(std::string root, uint32_t length = kLeast);

  uint32_t length() const { return length_; }

  /// The first id of the node for the pod; its folder must be there. The same again for the same pod.
  /// Kind::invalid: the pod's file is not one of ours; Kind::exhausted: all ranges are taken.
  Result<uint32_t> acquire(const std::string& uid);
  /// What acquire() gave, or found at the start.
  std::optional<uint32_t> of(const std::string& uid) const;
  /// The pod's folder is gone.
  void release(const std::string& uid);

 private:
  std::string file_of(const std::string& uid) const;
  const std::string root_;
  const uint32_t length_;
  mutable std::mutex mutex_;
  std::map<std::string, uint32_t> ranges_;  // numbers of ranges by pod
  std::set<uint32_t> taken_;
};

}  // namespace keelson::agent
