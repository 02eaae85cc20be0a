// SPDX-License-Identifier: Apache-2.0
// Where a node's static pods are from: a folder of manifests, a URL of some, or both, as one state.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kube/folder/url_source.h"

namespace keelson::kube {

/// Belongs to one loop. A state is complete once each source has told its first. A pod of the folder counts before one
/// of the same name of the URL, which is told as a problem. Of a URL, Pods, ConfigMaps and Secrets are taken.
class ManifestSource {
 public:
  /// No folder, no URL: nothing is ever told. `changed` is called on the loop. `ask`: see UrlSource.
  ManifestSource(Loop& loop, std::string folder, ManifestUrl url, std::function<void(DesiredState)> changed,
                 UrlSource::Fetch ask = {});
  ~ManifestSource();
  /// Runs until cancelled; without a source it ends at once.
  Task<> run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::kube
