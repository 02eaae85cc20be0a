// SPDX-License-Identifier: Apache-2.0
// Images that no container uses go when their disk fills up, or when they are old (kubelet pkg/kubelet/images).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/node/node_registrar.h"
#include "common/loop.h"
#include "common/stats.h"
#include "cri/client/client.h"
#include "metrics/node_use.h"

namespace keelson::agent {

struct ImagePolicy {
  int high_percent = 85;                           ///< imageGCHighThresholdPercent: so full, images go; 100: never
  int low_percent = 80;                            ///< imageGCLowThresholdPercent: until it is so full
  Duration minimum_age = std::chrono::minutes(2);  ///< imageMinimumGCAge, since it was first seen
  Duration maximum_age{0};                         ///< imageMaximumGCAge, since it was last used; 0: none
};

/// An image, and when we saw it used.
struct ImageRecord {
  std::string id;
  uint64_t size = 0;
  bool pinned = false;
  bool used = false;  ///< now
  SteadyTime first_seen{};
  std::optional<SteadyTime> last_used;  ///< nullopt: never since we look
};

/// What is known of images between looks. No I/O.
class ImageRecords {
 public:
  /// All images there are, and all containers, dead ones, too: an image of a container is in use, and so is one that it
  /// mounts.
  void observe(const std::vector<cri::Image>& images, const std::vector<cri::ContainerStatus>& containers,
               SteadyTime now);
  /// Whoever may go, the longest unused first.
  std::vector<ImageRecord> unused() const;

 private:
  std::map<std::string, ImageRecord> records_;  // by id
};

/// How many bytes to free; 0: none. `capacity` 0 frees nothing.
uint64_t bytes_to_free(const ImagePolicy& policy, uint64_t capacity, uint64_t available);

/// Belongs to one loop. `runtime` outlives it.
class ImageCollector {
 public:
  /// `record`: for events of the node.
  ImageCollector(Loop& loop, cri::RuntimeClient& runtime, ImagePolicy policy,
                 std::function<void(const NodeEvent&)> record);

  /// Looks each 5 minutes, until it is cancelled.
  Task<> run();
  /// All of them that are old enough. The error tells of those that could not be removed.
  Task<> remove_unused();
  /// kubelet_image_garbage_collected_total.
  void collect(Stats& stats) const;

 private:
  Task<> look();
  Task<std::vector<cri::ContainerStatus>> containers();
  Task<std::vector<ImageRecord>> unused();
  Task<std::vector<ImageRecord>> remove_old(std::vector<ImageRecord> images);
  /// Answers how many bytes it was.
  Task<uint64_t> remove(std::vector<ImageRecord> images, uint64_t bytes);

  Loop& loop_;
  cri::RuntimeClient& runtime_;
  const ImagePolicy policy_;
  const std::function<void(const NodeEvent&)> record_;
  const SteadyTime began_;
  ImageRecords records_;
  std::map<std::string, std::vector<cri::Mount>> mounts_;  // by container, of those that were there
  bool failing_ = false;
  std::map<std::string, uint64_t> removed_;  // by reason
  asio::thread_pool disk_{1};
};

}  // namespace keelson::agent
