// SPDX-License-Identifier: Apache-2.0
// A URL of manifests: asked for again and again, as the kubelet asks its staticPodURL.
//
// What was last heard goes on while the server is away, or says something else than manifests; of a bad document the
// last good version counts, as in a folder. An empty answer wants nothing.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kube/folder/manifest_folder.h"

namespace keelson::kube {

struct ManifestUrl {
  std::string url;                   ///< http or https; empty: none.
  std::vector<std::string> headers;  ///< "Name: value", sent with each request. May be secret: never logged.
  Duration period = std::chrono::seconds(20);
};

/// The body of a GET, behind at most ten redirects; within 10 s. Blocks; ends within a second or so once `stop` is set.
/// Kind::unavailable: no answer, or another than 200. Kind::exhausted: more than a manifest may have (kMaxTextSize).
Result<std::string> fetch(const ManifestUrl& where, const std::atomic<bool>& stop);

/// Belongs to one loop.
class UrlSource {
 public:
  using Fetch = std::function<Task<std::string>()>;
  /// `changed` is called on the loop, first with the first answer. `ask` stands for fetch() in tests.
  UrlSource(Loop& loop, ManifestUrl where, std::function<void(DesiredState)> changed, Fetch ask = {});
  ~UrlSource();
  /// Runs until cancelled.
  Task<> run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::kube
