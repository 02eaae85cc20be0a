// SPDX-License-Identifier: Apache-2.0
// Which pod has an address, as far as EndpointSlices tell (targetRef).
#pragma once

#include <string>
#include <unordered_map>

#include "network/router.h"

namespace keelson::network {

/// Built when it is first asked, and again after a change of services; so it costs nothing while nobody asks. One
/// thread at a time.
class PodNames {
 public:
  explicit PodNames(const Router& router) : router_(router) {}
  /// "default/web-0"; empty: not known.
  std::string of(const dataplane::Address& address);
  /// Gives the memory back.
  void clear();

 private:
  const Router& router_;
  WallTime built_{};
  std::unordered_map<std::string, std::string> names_;
};

}  // namespace keelson::network
